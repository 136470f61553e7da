/* SPDX-License-Identifier: Apache-2.0 */
/* The options of build (dockerfile.md 8.1), shared by build and plan. */
#ifndef RB_CLI_BUILD_OPTIONS_H
#define RB_CLI_BUILD_OPTIONS_H

#include "cli/contexts.h"
#include "cli/options.h"
#include "cli/step-options.h"
#include "plan/plan.h"

enum { RB_BUILD_PLATFORMS_MAX = 64 };

struct rb_build_options {
	struct rb_strv tags, build_args, labels, outputs, platforms, secrets, ssh, build_contexts;
	struct rb_strv cache_from, cache_to, no_cache_filter;
	const char *file, *target, *iidfile, *metadata_file, *progress;
	const char *call; /* --call and --print */
	bool check;       /* --check */
	struct rb_step_options steps;
	const char *on_fail;
	bool no_cache, pull, quiet;
	unsigned jobs; /* 0: number of processors */

	/* Filled by rb_build_options_check(), pointed to by the plan's options. */
	struct rb_env args;
	struct rb_named_contexts named;
	struct rb_labels label_map;
	struct rb_strv no_cache_stages;
	struct rb_platform *targets; /* of --platform, each once; without it, this machine's */
	size_t n_targets;
	bool as_index;           /* the result is an index also of one platform */
	struct rb_option *table; /* owned */
};

/* The table writing into *o; lives as long as *o. */
const struct rb_option *rb_build_options_table(struct rb_build_options *o);
/* Checks values and fills what the planner needs; *ret borrows from *o. Errors: USAGE, UNSUPPORTED.
 */
int rb_build_options_check(struct rb_build_options *o, struct rb_plan_options *ret,
			   struct rb_error **err);
/* Build arguments that mean something to the builder: warns of those without effect; USAGE for one
 * that was removed. */
int rb_build_args_check(const struct rb_env *args, struct rb_error **err);
/* Warns when the file says that it is in another language (1.2). */
void rb_build_syntax_check(const struct rb_dockerfile *df, const struct rb_env *args);
void rb_build_options_clear(struct rb_build_options *o);

#endif
