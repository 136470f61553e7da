/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the renderers share: the state of every vertex, kept by progress.c from the events, and the
 * table of what a renderer does with it. Output is collected in `out` and written once at the end
 * of each public call.
 */
#ifndef RB_CLI_PROGRESS_INTERNAL_H
#define RB_CLI_PROGRESS_INTERNAL_H

#include "base/buf.h"
#include "cli/progress/progress.h"

/* Log lines kept for the failure block; the tty rows are the last of them. */
#define RB_PROGRESS_TAIL_LINES 20
/* A kept line is cut here, and a line without an end is broken here. */
#define RB_PROGRESS_TAIL_COLS  1000
#define RB_PROGRESS_LINE_BYTES (1024 * 1024)

#define RB_NS_PER_S  1000000000LL
#define RB_NS_PER_MS 1000000LL

enum rb_vertex_state {
	RB_VERTEX_WAITING,
	RB_VERTEX_RUNNING,
	RB_VERTEX_CACHED, /* this and all below: ended */
	RB_VERTEX_DONE,
	RB_VERTEX_ERROR,
	RB_VERTEX_CANCELED,
};

struct rb_tail_line {
	int64_t time_ns; /* since the start of the vertex */
	char *text;      /* clean (rb_progress_clean) */
};

struct rb_progress_vertex {
	unsigned id;
	char *name;       /* clean */
	unsigned *inputs; /* ids of the vertices it is made from */
	size_t n_inputs;
	enum rb_vertex_state state;
	int64_t started_ns, ended_ns; /* since the start of the build */

	/* An output line that has no end yet, one for each stream, and when it began. */
	struct rb_buf partial[2];
	int64_t partial_ns[2];
	struct rb_tail_line tail[RB_PROGRESS_TAIL_LINES]; /* ring */
	size_t n_tail;                                    /* lines ever added */

	char *status; /* clean; NULL: none yet */
	int64_t status_first_ns, status_last_ns;

	/* Of the plain renderer: its number (0: no line printed yet), lines not printed yet, where
	 * it waits for the word (or NULL), when its last status went out. */
	unsigned number;
	struct rb_buf pending;
	struct rb_progress_queue *queue;
	int64_t status_out_ns;
	bool status_unsaid, closed;

	/* Of the tty renderer: has a row in the drawing being made. */
	bool visible;

	/* Of the rawjson renderer: the status that is open, since when, its counts of bytes. */
	char *status_id;
	int64_t status_began_ns, status_current, status_total;
};

enum rb_progress_color { RB_COLOR_RUN, RB_COLOR_CANCEL, RB_COLOR_ERROR, RB_PROGRESS_COLORS };
enum { RB_PROGRESS_COLOR_BYTES = 24 };

struct rb_progress_ops {
	/* After the vertex was brought up to date; for LOG after `line` was called for each line.
	 */
	void (*event)(struct rb_progress *p, struct rb_progress_vertex *v,
		      const struct rb_event *ev);
	/* A complete output line as it came, without its newline. */
	void (*line)(struct rb_progress *p, struct rb_progress_vertex *v, int64_t time_ns,
		     struct rb_slice text);
	/* A status of something else is about to replace one that was not said yet. */
	void (*status_ends)(struct rb_progress *p, struct rb_progress_vertex *v, int64_t now_ns);
	void (*tick)(struct rb_progress *p, int64_t now_ns);
	int (*tick_ms)(const struct rb_progress *p);
	void (*note)(struct rb_progress *p, const char *line);
	void (*finish)(struct rb_progress *p, int64_t now_ns);
};

struct rb_progress_queue {
	struct rb_progress_vertex **v; /* first .. n */
	size_t first, n, cap;
};

struct rb_progress {
	const struct rb_progress_ops *ops;
	int fd;      /* borrowed */
	bool broken; /* a write failed */
	bool finished;
	int64_t epoch_ns; /* of the wall clock, when it began */
	struct rb_buf out;
	struct rb_progress_vertex **vertices; /* in the order of their start; waiting ones last */
	size_t n, cap;
	size_t n_begun;
	struct rb_progress_vertex *failed; /* the first one with an error */

	/* plain */
	struct rb_progress_vertex *current; /* whose lines are being printed */
	int64_t current_since_ns, current_said_ns;
	unsigned last_number;
	struct rb_progress_queue running, ended; /* those that wait for the word */
	bool has_overfull;                       /* one of them has more than is kept */

	/* tty */
	unsigned width, height;
	bool color;
	char colors[RB_PROGRESS_COLORS][RB_PROGRESS_COLOR_BYTES]; /* escape sequences */
	int64_t drawn_ns;                                         /* time of the last drawing */
	unsigned *rows; /* columns used by each row on the screen */
	size_t n_rows, rows_cap;
};

/* The colours of BUILDKIT_COLORS, or the usual ones; what is not understood is told. */
void rb_progress_choose_colors(struct rb_progress *p, const char *text);

extern const struct rb_progress_ops rb_progress_plain_ops, rb_progress_tty_ops,
	rb_progress_rawjson_ops;

static inline bool rb_progress_ended(const struct rb_progress_vertex *v)
{
	return v->state >= RB_VERTEX_CACHED;
}

/* Ended without ever having run: nobody is told about it. */
static inline bool rb_progress_never_ran(const struct rb_progress_vertex *v)
{
	return v->state == RB_VERTEX_WAITING ||
	       (v->state == RB_VERTEX_CANCELED && v->started_ns < 0);
}

/* Asks the terminal for its size; 80 x 24 when it does not know. */
void rb_progress_tty_size(struct rb_progress *p);

/*
 * Appends at most cols_max code points of text that cannot drive a terminal: escape sequences, C0
 * and C1 controls and bidirectional overrides are left out, tabs and newlines become blanks, bytes
 * that are not UTF-8 become U+FFFD. Returns the code points appended.
 */
size_t rb_progress_clean(struct rb_buf *out, const char *s, size_t len, size_t cols_max);
/* What a terminal would show of a line with carriage returns: the text after the last one. */
struct rb_slice rb_progress_last_segment(struct rb_slice line);

#endif
