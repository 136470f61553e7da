/* SPDX-License-Identifier: Apache-2.0 */
/* Command line options as tables; each verb has one. */
#ifndef RB_CLI_OPTIONS_H
#define RB_CLI_OPTIONS_H

#include "base/buf.h"
#include "base/error.h"

enum rb_option_kind {
	RB_OPT_FLAG,    /* bool *: --x, --x=true, --x=false */
	RB_OPT_STRING,  /* const char **: the last one wins */
	RB_OPT_LIST,    /* struct rb_strv *: may be repeated */
	RB_OPT_COUNT,   /* unsigned *: a number from 1 to 1024 */
	RB_OPT_REFUSED, /* exists in docker build, not here yet: an error that names it, unless its
			   value is empty; `arg` NULL: it takes none */
	RB_OPT_OFF,     /* REFUSED, but for a value that switches it off: "false" */
	RB_OPT_IGNORED, /* scripts still pass it and it means nothing here: accepted with a notice
			 */
};

struct rb_option {
	const char *name; /* without "--" */
	char letter;      /* 0: none */
	enum rb_option_kind kind;
	void *target;
	const char *arg; /* name of the value in help; NULL: takes none */
	/* NULL: not shown. REFUSED and OFF are not shown; theirs, for the error, is what to do
	 * instead. */
	const char *help;
};

/*
 * Parses argv[0..argc) against the tables (NULL-terminated list of arrays ending in a NULL name).
 * What is not an option is appended to `rest`; with stop_at_rest everything from the first such
 * word on is. "--" ends options. Errors: RB_ERR_USAGE with a suggestion; RB_ERR_UNSUPPORTED for
 * REFUSED ones.
 */
int rb_options_parse(int argc, char *const *argv, const struct rb_option *const *tables,
		     bool stop_at_rest, struct rb_strv *rest, struct rb_error **err);

/* The lines "  -t, --tag NAME   help" of the tables. */
void rb_options_help(const struct rb_option *const *tables, struct rb_buf *out);

#endif
