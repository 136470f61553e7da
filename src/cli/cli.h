/* SPDX-License-Identifier: Apache-2.0 */
/* Verbs and what they share. */
#ifndef RB_CLI_CLI_H
#define RB_CLI_CLI_H

#include "base/buf.h"
#include "base/error.h"
#include "cli/options.h"
#include "host/host.h"
#include "store/store.h"

/* Exit status (dockerfile.md 12). */
enum { RB_EXIT_OK = 0, RB_EXIT_FAILED = 1, RB_EXIT_USAGE = 2 };

/* Options every verb takes, before or after its name. */
struct rb_cli {
	const char *root; /* --root */
	const char *mode; /* --mode */
	bool debug;
	bool help;
};

struct rb_verb {
	const char *name;
	const char *usage;   /* "build [OPTIONS] CONTEXT" */
	const char *summary; /* one line for `rbuild --help` */
	const char *text;    /* further paragraphs of its help, or NULL */
	/*
	 * argv after the verb. Returns the exit status; -1 with *err for what main is to print. A
	 * verb that needs the text of a Dockerfile for its errors prints them itself with
	 * rb_cli_report().
	 */
	int (*run)(struct rb_cli *cli, int argc, char *const *argv, struct rb_error **err);
};

extern const struct rb_verb rb_verb_build, rb_verb_check, rb_verb_plan, rb_verb_pull, rb_verb_load,
	rb_verb_import, rb_verb_images, rb_verb_run, rb_verb_shell, rb_verb_bootstrap,
	rb_verb_doctor, rb_verb_reset, rb_verb_version;

/*
 * Parses the verb's own table and the common one. *rest receives the other words, at least min and
 * at most max of them (usage error otherwise). Returns 0; 1 when --help was asked for and printed;
 * -1 with *err.
 */
int rb_cli_parse(struct rb_cli *cli, const struct rb_verb *verb, const struct rb_option *own,
		 int argc, char *const *argv, bool stop_at_rest, size_t min, size_t max,
		 struct rb_strv *rest, struct rb_error **err);

int rb_cli_store(const struct rb_cli *cli, struct rb_store **ret, struct rb_error **err);
/* The rung, from the store's cache where possible. */
int rb_cli_host(const struct rb_cli *cli, struct rb_store *store, struct rb_host *ret,
		struct rb_error **err);

/* The Dockerfile that lines in errors refer to. */
struct rb_cli_source {
	const char *name; /* NULL: none */
	const char *text;
	size_t len;
};
/* Prints frame and message to stderr and returns the exit status for the error. Frees it. */
int rb_cli_report(const struct rb_cli *cli, const struct rb_cli_source *source,
		  struct rb_error **err);

#endif
