/* SPDX-License-Identifier: Apache-2.0 */
/* --build-context NAME=VALUE (dockerfile.md 4.5). */
#ifndef RB_CLI_CONTEXTS_H
#define RB_CLI_CONTEXTS_H

#include "context/context.h"
#include "plan/plan.h"

struct rb_named_contexts {
	struct rb_arena *arena;       /* of the texts in `plan` */
	struct rb_plan_context *plan; /* for struct rb_plan_options */
	struct rb_context **opened;   /* for struct rb_solve_inputs, in the same order */
	size_t n;
};

/*
 * Parses the options' values. Directories are opened, with their ignore files, whether they are
 * needed or not: a mistyped one is said at once. Everything else is opened when it is needed.
 * Errors: USAGE, CONTEXT ("failed to get build context NAME: ..."), UNSUPPORTED ("unsupported
 * context source SCHEME for NAME").
 */
int rb_named_contexts_open(const struct rb_strv *texts, struct rb_named_contexts *ret,
			   struct rb_error **err);
void rb_named_contexts_clear(struct rb_named_contexts *c);

#endif
