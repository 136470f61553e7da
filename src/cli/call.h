/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is asked about a Dockerfile instead of building it (dockerfile.md 8.2, 8.3): rbuild check,
 * and build with --check or --call=METHOD[,format=json]. Nothing is run, fetched or written.
 *
 * Base images are what the store knows of them. One that it does not know is no error: what depends
 * on it is left out, and a notice says so.
 */
#ifndef RB_CLI_CALL_H
#define RB_CLI_CALL_H

#include "cli/build-options.h"
#include "cli/session.h"

enum rb_call_method {
	RB_CALL_BUILD,
	RB_CALL_CHECK,
	RB_CALL_OUTLINE,
	RB_CALL_TARGETS,
	RB_CALL_DESCRIBE,
};

struct rb_call {
	enum rb_call_method method;
	bool json;
};

/* What --call ("check", "outline,format=json") and --check ask for; USAGE for what they cannot. */
int rb_call_choose(const struct rb_build_options *o, struct rb_call *ret, struct rb_error **err);
/* Answers on the standard output, reports errors; returns the exit status. -1 with *err only for
 * what has nothing to do with the Dockerfile. */
int rb_call_run(struct rb_cli *cli, struct rb_build_options *o, const char *context,
		const struct rb_call *call, struct rb_error **err);

/* --- for the files that print the answers --- */

struct rb_json;
/* Adds "location" (lines first to last of the Dockerfile) and "sources" (the Dockerfile). */
void rb_call_set_location(struct rb_json *j, unsigned first, unsigned last);
void rb_call_set_sources(struct rb_json *j, const struct rb_session *s);
void rb_call_print_json(const struct rb_json *j);

enum { RB_CALL_COLUMNS_MAX = 3 };

/* Rows of cells under headings, in columns. */
struct rb_call_table {
	size_t n_columns;
	struct rb_strv cells; /* row by row, the headings first */
};
void rb_call_table_row(struct rb_call_table *t, const char *const *cells);
/* Prints and clears it. */
void rb_call_table_print(struct rb_call_table *t);

/* What planning came to; `err` may hold why it ended early. Each returns the exit status. */
int rb_call_check(struct rb_session *s, bool json, struct rb_error **err);
int rb_call_outline(struct rb_session *s, bool json);
int rb_call_targets(const struct rb_session *s, bool json);

#endif
