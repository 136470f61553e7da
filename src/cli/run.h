/* SPDX-License-Identifier: Apache-2.0 */
/* A command on the tree of a session's target; what it writes is thrown away. */
#ifndef RB_CLI_RUN_H
#define RB_CLI_RUN_H

#include "cli/session.h"

struct rb_run_request {
	struct rb_session *s;
	const struct rb_strv *args; /* image, then what replaces CMD */
	bool shell;                 /* instead of them the image's shell, on a terminal */
	const char *user, *workdir, *network;
	struct rb_strv env;
};

/* Opens the session for the image that is named, plans and looks up. */
int rb_run_prepare(struct rb_run_request *rq, struct rb_error **err);
/* For rb_session_enter(), ctx is the request: builds what is left and runs the command; the exit
 * status is the command's. */
int rb_run_inner(void *ctx);

#endif
