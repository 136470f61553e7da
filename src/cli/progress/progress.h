/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Renderers of the event stream (dockerfile.md 8.4 and 8.5): `plain` (append only), `tty` (redraws
 * in place), `rawjson` (a JSON object a line), `quiet` (nothing). All output goes to one descriptor
 * (stderr). Text of steps is hostile: control characters that could drive the terminal are shown
 * harmless in tty; plain passes logs unclipped, byte for byte, line by line.
 */
#ifndef RB_CLI_PROGRESS_PROGRESS_H
#define RB_CLI_PROGRESS_PROGRESS_H

#include "solve/events.h"

enum rb_progress_kind {
	RB_PROGRESS_PLAIN,
	RB_PROGRESS_TTY,
	RB_PROGRESS_RAWJSON,
	RB_PROGRESS_QUIET,
};

struct rb_progress;

/* `fd` is borrowed. For TTY the size is asked of it (and again on rb_progress_resized()). NO_COLOR
 * is honoured. */
struct rb_progress *rb_progress_new(enum rb_progress_kind kind, int fd);
void rb_progress_free(struct rb_progress *p);
RB_DEFINE_CLEANUP(rb_progress)

/* For struct rb_event_sink: ctx is the struct rb_progress. */
void rb_progress_event(void *ctx, const struct rb_event *ev);
/* Redraws running timers; the caller's loop calls it every rb_progress_tick_ms() (-1: never). */
void rb_progress_tick(struct rb_progress *p, int64_t now_ns);
int rb_progress_tick_ms(const struct rb_progress *p);
void rb_progress_resized(struct rb_progress *p);
/* A line of diagnostics between the rows (for rb_log_set_sink): ctx is the struct rb_progress. */
void rb_progress_note(void *ctx, const char *line);
/*
 * Final state. With `failed`, the last log lines of the vertex that failed first are printed under
 * "------\n > [name]:" ... "------" (tty always, plain too, as BuildKit's client does; quiet as
 * well; not with rawjson, which has told them).
 */
void rb_progress_finish(struct rb_progress *p, bool failed, int64_t now_ns);
/* true once writing to fd failed (closed output): the caller cancels the build. */
bool rb_progress_broken(const struct rb_progress *p);

/* A text that came from elsewhere, at most cols_max code points of it, without what could drive a
 * terminal, on one line; caller frees. */
char *rb_progress_clean_dup(const char *s, size_t len, size_t cols_max);

#endif
