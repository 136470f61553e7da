// SPDX-License-Identifier: Apache-2.0
/*
 * A view that is redrawn in place: header, one row for each vertex that began, rows below it for
 * its status and, while it runs, its last output lines. Each drawing is one write that hides the
 * cursor, overwrites the rows of the last one and shows the cursor again, so that the terminal is
 * whole whenever the program ends. Rows never wrap: they are cut to the width, and automatic
 * margins are off meanwhile, because characters of double width count as one here.
 */
#include "cli/progress/progress-internal.h"

#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>

#define REDRAW_NS   (100 * RB_NS_PER_MS)
#define TICK_MS     100
#define LOG_ROWS    6u
#define WIDTH_MIN   20u
#define WIDTH_MAX   1000u
#define HEIGHT_MIN  4u
#define NOT_A_TIMER (-1)
#define CURSOR_HIDE "\x1b[?25l\x1b[?7l"
#define CURSOR_SHOW "\x1b[?7h\x1b[?25h"
#define ERASE_LINE  "\x1b[K"
#define ERASE_BELOW "\x1b[J"
#define SGR_OFF     "\x1b[0m"
#define SGR_FAINT   "\x1b[2m"

void rb_progress_tty_size(struct rb_progress *p)
{
	struct winsize ws = {0};

	if (ioctl(p->fd, TIOCGWINSZ, &ws) < 0 || !ws.ws_col || !ws.ws_row)
		ws = (struct winsize){.ws_col = 80, .ws_row = 24};
	p->width = ws.ws_col < WIDTH_MIN   ? WIDTH_MIN
		   : ws.ws_col > WIDTH_MAX ? WIDTH_MAX
					   : ws.ws_col;
	p->height = ws.ws_row < HEIGHT_MIN ? HEIGHT_MIN : ws.ws_row;
}

/* Where the cursor has to go up to. A narrower window has wrapped the rows drawn before. */
static void cursor_to_top(struct rb_progress *p)
{
	unsigned up = 0;

	for (size_t i = 0; i < p->n_rows; i++)
		up += p->rows[i] > p->width ? (p->rows[i] + p->width - 1) / p->width : 1;
	if (up)
		rb_buf_addf(&p->out, "\x1b[%uA", up);
	rb_buf_addch(&p->out, '\r');
	p->n_rows = 0;
}

/* A row: text cut to the width, with a timer at its right end unless that is NOT_A_TIMER. */
static void add_row(struct rb_progress *p, const char *color, int64_t timer_ns, const char *prefix,
		    const char *text)
{
	char timer[32] = "";
	size_t timer_cols = 0, cols;

	if (timer_ns != NOT_A_TIMER) {
		int n = snprintf(timer, sizeof(timer), " %.1fs", (double)timer_ns / RB_NS_PER_S);

		timer_cols = rb_min_size((size_t)n, sizeof(timer) - 1);
	}
	rb_buf_addstr(&p->out, ERASE_LINE);
	if (p->color)
		rb_buf_addstr(&p->out, color);
	cols = rb_progress_clean(&p->out, prefix, strlen(prefix), p->width - timer_cols);
	cols += rb_progress_clean(&p->out, text, strlen(text), p->width - timer_cols - cols);
	if (timer_cols)
		rb_buf_addf(&p->out, "%*s", (int)(p->width - cols), timer);
	if (p->color && *color)
		rb_buf_addstr(&p->out, SGR_OFF);
	rb_buf_addch(&p->out, '\n');
	rb_grow(p->rows, p->n_rows, &p->rows_cap);
	p->rows[p->n_rows++] = timer_cols ? p->width : (unsigned)cols;
}

static unsigned n_log_rows(const struct rb_progress_vertex *v, unsigned limit)
{
	size_t n = v->n_tail + (v->partial[0].len > 0) + (v->partial[1].len > 0);

	return v->state == RB_VERTEX_RUNNING ? (unsigned)rb_min_size(n, limit) : 0;
}

static unsigned n_vertex_rows(const struct rb_progress_vertex *v, unsigned log_rows)
{
	return 1 + (v->status != NULL) + n_log_rows(v, log_rows);
}

/*
 * Chooses what fits into `room` rows: running vertices first, with as many log rows each as
 * possible; then the finished ones, the newest first. Returns the log rows for each.
 */
static unsigned choose_rows(struct rb_progress *p, unsigned room)
{
	unsigned log_rows = LOG_ROWS, need;

	for (;; log_rows--) {
		need = 0;
		for (size_t i = 0; i < p->n; i++)
			if (p->vertices[i]->state == RB_VERTEX_RUNNING)
				need += n_vertex_rows(p->vertices[i], log_rows);
		if (need <= room || !log_rows)
			break;
	}
	room -= need < room ? need : room;
	for (size_t i = p->n; i-- > 0;) {
		struct rb_progress_vertex *v = p->vertices[i];
		unsigned rows = n_vertex_rows(v, 0);

		v->visible = v->state == RB_VERTEX_RUNNING;
		if (v->visible || rb_progress_never_ran(v))
			continue;
		if (rows > room) {
			room = 0;
			continue;
		}
		v->visible = true;
		room -= rows;
	}
	return log_rows;
}

static void add_log_rows(struct rb_progress *p, const struct rb_progress_vertex *v, unsigned limit)
{
	unsigned n = n_log_rows(v, limit), n_partial = 0;
	const struct rb_buf *partial[2];

	for (size_t i = 0; i < 2; i++)
		if (v->partial[i].len && n_partial < n)
			partial[n_partial++] = &v->partial[i];
	for (size_t i = v->n_tail - (n - n_partial); i < v->n_tail; i++)
		add_row(p, SGR_FAINT, NOT_A_TIMER, " => => # ",
			v->tail[i % RB_PROGRESS_TAIL_LINES].text);
	for (size_t i = 0; i < n_partial; i++) {
		struct rb_slice s = rb_progress_last_segment(
			(struct rb_slice){partial[i]->ptr, partial[i]->len});
		RB_CLEANUP(rb_strp) char *text = rb_progress_clean_dup(s.ptr, s.len, p->width);

		add_row(p, SGR_FAINT, NOT_A_TIMER, " => => # ", text);
	}
}

static void add_vertex_rows(struct rb_progress *p, const struct rb_progress_vertex *v,
			    unsigned log_rows, int64_t now_ns)
{
	/* One that waits has no row. */
	static const struct {
		enum rb_progress_color color;
		const char *prefix;
	} looks[] = {
		[RB_VERTEX_RUNNING] = {RB_COLOR_RUN, " => "},
		[RB_VERTEX_CACHED] = {RB_COLOR_RUN, " => CACHED "},
		[RB_VERTEX_DONE] = {RB_COLOR_RUN, " => "},
		[RB_VERTEX_ERROR] = {RB_COLOR_ERROR, " => ERROR "},
		[RB_VERTEX_CANCELED] = {RB_COLOR_CANCEL, " => CANCELED "},
	};
	const char *color = p->colors[looks[v->state].color];
	int64_t end_ns = rb_progress_ended(v) ? v->ended_ns : now_ns;
	/* A note is drawn with the time of the last drawing. */
	int64_t took_ns = end_ns > v->started_ns ? end_ns - v->started_ns : 0;

	add_row(p, color, took_ns, looks[v->state].prefix, v->name);
	if (v->status)
		add_row(p, color, v->status_last_ns - v->status_first_ns, " => => ", v->status);
	add_log_rows(p, v, log_rows);
}

static void add_header(struct rb_progress *p, int64_t now_ns, const char *end)
{
	char text[80];
	size_t ended = 0;

	for (size_t i = 0; i < p->n; i++)
		ended +=
			rb_progress_ended(p->vertices[i]) && !rb_progress_never_ran(p->vertices[i]);
	(void)snprintf(text, sizeof(text), "[+] Building %.1fs (%zu/%zu)%s",
		       (double)now_ns / RB_NS_PER_S, ended, p->n, end);
	add_row(p, "", NOT_A_TIMER, "", text);
}

static void draw(struct rb_progress *p, int64_t now_ns, bool last)
{
	/* Header, and the line the cursor rests on. */
	unsigned room = last ? UINT32_MAX : p->height - 2;
	unsigned log_rows = choose_rows(p, room);

	rb_buf_addstr(&p->out, CURSOR_HIDE);
	cursor_to_top(p);
	add_header(p, now_ns, last ? " FINISHED" : "");
	for (size_t i = 0; i < p->n; i++) {
		const struct rb_progress_vertex *v = p->vertices[i];
		unsigned rows = v->visible ? n_vertex_rows(v, log_rows) : 0;

		/* More running vertices than rows: the later ones are not shown. */
		if (rows && rows <= room) {
			add_vertex_rows(p, v, log_rows, now_ns);
			room -= rows;
		}
	}
	rb_buf_addstr(&p->out, ERASE_BELOW CURSOR_SHOW);
	p->drawn_ns = now_ns;
}

static void tty_tick(struct rb_progress *p, int64_t now_ns)
{
	if (now_ns - p->drawn_ns >= REDRAW_NS)
		draw(p, now_ns, false);
}

static void tty_note(struct rb_progress *p, const char *line)
{
	rb_buf_addstr(&p->out, CURSOR_HIDE);
	cursor_to_top(p);
	rb_buf_addstr(&p->out, ERASE_BELOW CURSOR_SHOW);
	(void)rb_progress_clean(&p->out, line, strlen(line), SIZE_MAX);
	rb_buf_addch(&p->out, '\n');
	if (p->drawn_ns >= 0)
		draw(p, p->drawn_ns, false);
}

static void tty_event(struct rb_progress *p, struct rb_progress_vertex *v,
		      const struct rb_event *ev)
{
	if (ev->kind == RB_EV_WARN) {
		RB_CLEANUP(rb_strp)
		char *line = rb_asprintf("warning: %s: %.*s", v->name, (int)ev->len, ev->data);

		tty_note(p, line);
	}
	tty_tick(p, ev->time_ns);
}

static int tty_tick_ms(const struct rb_progress *p)
{
	(void)p;
	return TICK_MS;
}

static void tty_finish(struct rb_progress *p, int64_t now_ns)
{
	draw(p, now_ns, true);
}

const struct rb_progress_ops rb_progress_tty_ops = {
	.event = tty_event,
	.tick = tty_tick,
	.tick_ms = tty_tick_ms,
	.note = tty_note,
	.finish = tty_finish,
};
