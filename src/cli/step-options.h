/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The options of build that are about what its steps run in (dockerfile.md 8.1):
 *
 *	--add-host NAME:IP, NAME=IP; IP may be in brackets, or the word host-gateway; several with
 *","
 *	--allow    network.host, security.insecure, device, buildx.local.delete
 *	--shm-size bytes, or with a unit such as 64m
 *	--ulimit   NAME=SOFT[:HARD], -1 for no limit
 */
#ifndef RB_CLI_STEP_OPTIONS_H
#define RB_CLI_STEP_OPTIONS_H

#include <sys/resource.h>

#include "exec/exec.h"
#include "plan/plan.h"

struct rb_step_options {
	/* As given. */
	struct rb_strv hosts, ulimits, allow;
	const char *hostname, *network, *shm_size, *cgroup_parent;
	struct rb_strv resources;

	/* Filled by rb_step_options_check(). */
	struct rb_exec_settings settings;
	struct rb_exec_host *host_lines; /* owned; the texts live in host_texts */
	struct rb_strv host_texts;
	struct rb_exec_limit limits[RLIM_NLIMITS];
	struct rb_strv key;
};

/* Checks the values and fills what the planner needs; *ret borrows from *o. Errors: USAGE,
 * UNSUPPORTED. */
int rb_step_options_check(struct rb_step_options *o, struct rb_plan_options *ret,
			  struct rb_error **err);
void rb_step_options_clear(struct rb_step_options *o);

#endif
