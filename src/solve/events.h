/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a build tells about itself while it runs: a stream of typed events, rendered by
 *cli/progress/ and by nobody else. Sequence for each vertex:
 *
 *	ADD, then one of CACHED | START (LOG | STATUS | WARN)* (DONE | ERROR | CANCELED)
 *
 * A vertex that is never needed is never ADDed. A vertex ADDed but not STARTed when the build ends
 *gets CANCELED.
 */
#ifndef RB_SOLVE_EVENTS_H
#define RB_SOLVE_EVENTS_H

#include "base/base.h"

enum rb_event_kind {
	RB_EV_ADD, /* name */
	RB_EV_START,
	RB_EV_LOG, /* data, len: raw output bytes as they came, not cut at lines; stream 1 or 2 */
	RB_EV_STATUS, /* data: one line that replaces the one before it ("1.00MB / 4.20MB") */
	RB_EV_WARN,   /* data: one line */
	RB_EV_CACHED,
	RB_EV_DONE,
	RB_EV_ERROR, /* data: message */
	RB_EV_CANCELED,
};

struct rb_event {
	enum rb_event_kind kind;
	unsigned vertex;        /* small number, unique in the build */
	int64_t time_ns;        /* since the start of the build, monotonic */
	const char *name;       /* RB_EV_ADD: "[build 2/3] RUN make" */
	const unsigned *inputs; /* RB_EV_ADD: the vertices it is made from */
	size_t n_inputs;
	const char *data;
	size_t len;
	int stream;
};

struct rb_event_sink {
	void (*event)(void *ctx, const struct rb_event *ev);
	/* Called by the solver's loop; returns the milliseconds until it wants to be called again,
	 * or -1. May be NULL. */
	int (*tick)(void *ctx, int64_t now_ns);
	/* true: nobody can see the events any more, so the build is to be cancelled. May be NULL.
	 */
	bool (*broken)(void *ctx);
	/* The terminal changed its size. May be NULL. */
	void (*resized)(void *ctx);
	void *ctx;
};

#endif
