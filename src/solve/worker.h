/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Forked workers, one a job, and the protocol they report through. A message is
 *
 *	u32 type | u32 length (at most RB_WORKER_MESSAGE_MAX) | payload
 *
 * in host byte order over a pipe: any number of STATUS and PART, then RESULT or ERROR, then the
 * end of the file. PARTs and RESULT make the result; the payload of ERROR is struct fault and the
 * text. Anything else is an error of the worker.
 */
#ifndef RB_SOLVE_WORKER_H
#define RB_SOLVE_WORKER_H

#include "base/buf.h"
#include "base/child.h"
#include "base/error.h"

enum { RB_WORKER_MESSAGE_MAX = 64 * 1024 };

struct rb_worker_port; /* the child's end */

/* Runs in the child; what it returns 0 for must have sent a result with rb_worker_result() if one
 * is expected. */
typedef int rb_worker_fn(void *ctx, struct rb_worker_port *port, struct rb_error **err);

struct rb_worker {
	struct rb_child child;
	int fd; /* readable: call rb_worker_read(); -1: none */
	struct rb_buf in;
	struct rb_buf result;
	struct rb_error *error; /* what the worker sent */
	bool done;              /* RESULT or ERROR has come */
};

#define RB_WORKER_INIT                                                                             \
	{                                                                                          \
		.child = RB_CHILD_INIT, .fd = -1, .in = RB_BUF_INIT, .result = RB_BUF_INIT,        \
	}

/* The caller is single-threaded; the child inherits all it has and dies with it. */
int rb_worker_start(rb_worker_fn *fn, void *ctx, struct rb_worker *ret, struct rb_error **err);

/*
 * Takes what is there to read; calls status (may be NULL) for each STATUS. Returns true at end of
 * file, when rb_worker_finish() is due.
 */
bool rb_worker_read(struct rb_worker *w, void (*status)(void *ctx, const char *text), void *ctx);
/* Reaps. 0 with the result in w->result, or -1 with the worker's own error and in w->result the
 * parts that had come. Clears all but w->result. */
int rb_worker_finish(struct rb_worker *w, struct rb_error **err);
/* Kills, reaps, clears. */
void rb_worker_kill(struct rb_worker *w);

/* In the child. */
void rb_worker_status(struct rb_worker_port *port, const char *fmt, ...) RB_PRINTF(2, 3);
/* What comes before the rest of a result, at most a message; it is not lost when the worker ends
 * without that. */
void rb_worker_part(struct rb_worker_port *port, const void *data, size_t len);
void rb_worker_result(struct rb_worker_port *port, const void *data, size_t len);

#endif
