/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The program's own diagnostics on stderr. Progress of a build is not logged: it is a stream of
 * typed events that cli/ renders. Credentials and secrets have no formatter.
 */
#ifndef RB_BASE_LOG_H
#define RB_BASE_LOG_H

#include "base/base.h"

enum rb_log_level { RB_LOG_WARN, RB_LOG_INFO, RB_LOG_DEBUG };

/* Messages above the level are dropped. Default RB_LOG_WARN; --debug sets RB_LOG_DEBUG. */
void rb_log_set_level(enum rb_log_level level);
enum rb_log_level rb_log_level(void);

/* Redirects every line to fn (a progress renderer that owns the terminal); NULL restores stderr. */
void rb_log_set_sink(void (*fn)(void *ctx, const char *line), void *ctx);

void rb_log(enum rb_log_level level, const char *fmt, ...) RB_PRINTF(2, 3);
#define rb_log_warn(...)  rb_log(RB_LOG_WARN, __VA_ARGS__)
#define rb_log_info(...)  rb_log(RB_LOG_INFO, __VA_ARGS__)
#define rb_log_debug(...) rb_log(RB_LOG_DEBUG, __VA_ARGS__)

#endif
