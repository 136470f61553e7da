/* SPDX-License-Identifier: Apache-2.0 */
/* Shells in what a build has made: where a RUN failed, and in a stage or image. */
#ifndef RB_CLI_SHELL_H
#define RB_CLI_SHELL_H

#include "cli/session.h"

/* Whether there is a terminal for one; a warning says that there is none. */
bool rb_shell_is_possible(void);
/* After a build that has failed and said so: a shell in the step that it kept, if it did. Inside of
 * the user namespace. */
void rb_shell_on_failure(struct rb_session *s);

#endif
