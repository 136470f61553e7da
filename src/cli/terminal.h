/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A terminal for a step. It never gets the caller's own, which it could type into: a pair of our
 * own devpts stands between them, and what is typed and printed is carried to and fro.
 */
#ifndef RB_CLI_TERMINAL_H
#define RB_CLI_TERMINAL_H

#include <termios.h>

#include "base/error.h"
#include "exec/exec.h"

struct rb_terminal {
	int master;
	int step_fd; /* the other side: 0 to 2 of the step */
	struct termios saved;
};

/* Whether standard input and output are a terminal. */
bool rb_terminal_is_there(void);
/* In the user namespace. Takes the size of the caller's terminal over. */
int rb_terminal_open(struct rb_terminal *ret, struct rb_error **err);
void rb_terminal_close(struct rb_terminal *t);
/*
 * Follows a step that was started on t->step_fd to its end, with the caller's terminal in raw mode;
 * SIGTERM and SIGHUP end it. No other reader of signals may be left in the process.
 */
int rb_terminal_follow(struct rb_terminal *t, struct rb_exec *exec, struct rb_exec_result *ret,
		       struct rb_error **err);

/* The value for TERM of such a step: the caller's, if it is a name. */
const char *rb_terminal_name(void);

#endif
