/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What somebody who builds a target can or must give it (dockerfile.md 8.3): arguments, secrets,
 * ssh agents, cache mounts; of the target and all that it is made from. Pure.
 */
#ifndef RB_PLAN_OUTLINE_H
#define RB_PLAN_OUTLINE_H

#include "plan/plan.h"

struct rb_outline_arg {
	const char *name;
	const char *value;       /* what it is in this build; NULL: none */
	const char *description; /* from the comment above; NULL: none */
	unsigned line_first, line_last;
};

struct rb_outline_mount {
	const char *name; /* id */
	bool required;    /* some mount of it is */
	unsigned line_first, line_last;
};

struct rb_outline_mounts {
	struct rb_outline_mount *v;
	size_t n, cap;
};

struct rb_outline {
	const char *name;            /* of the target, or NULL */
	const char *description;     /* or NULL */
	struct rb_outline_arg *args; /* by line; each name once */
	size_t n_args, cap_args;
	struct rb_outline_mounts secrets, ssh, caches; /* in order of use; each name once */
};

/*
 * After elaboration of all needed stages. Texts are borrowed from the plan; cleared with
 * rb_outline_clear().
 */
void rb_plan_outline(struct rb_plan *plan, struct rb_outline *ret);
void rb_outline_clear(struct rb_outline *o);

#endif
