// SPDX-License-Identifier: Apache-2.0
#include "cli/progress/progress-internal.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/fd.h"

static int never_ms(const struct rb_progress *p)
{
	(void)p;
	return -1;
}

static const struct rb_progress_ops quiet_ops = {.tick_ms = never_ms};

static int64_t wall_ns(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_REALTIME, &t);
	return (int64_t)t.tv_sec * RB_NS_PER_S + t.tv_nsec;
}

struct rb_progress *rb_progress_new(enum rb_progress_kind kind, int fd)
{
	static const struct rb_progress_ops *const ops[] = {
		[RB_PROGRESS_PLAIN] = &rb_progress_plain_ops,
		[RB_PROGRESS_TTY] = &rb_progress_tty_ops,
		[RB_PROGRESS_RAWJSON] = &rb_progress_rawjson_ops,
		[RB_PROGRESS_QUIET] = &quiet_ops,
	};
	const char *no_color = getenv("NO_COLOR");
	struct rb_progress *p = rb_calloc(1, sizeof(*p));

	*p = (struct rb_progress){
		.ops = ops[kind],
		.fd = fd,
		.out = RB_BUF_INIT,
		.color = !no_color || !*no_color,
		.drawn_ns = INT64_MIN / 2,
		.epoch_ns = wall_ns(),
	};
	rb_progress_tty_size(p);
	if (kind == RB_PROGRESS_TTY)
		rb_progress_choose_colors(p, getenv("BUILDKIT_COLORS"));
	return p;
}

static void vertex_free(struct rb_progress_vertex *v)
{
	for (size_t i = 0; i < RB_PROGRESS_TAIL_LINES; i++)
		free(v->tail[i].text);
	rb_buf_clear(&v->partial[0]);
	rb_buf_clear(&v->partial[1]);
	rb_buf_clear(&v->pending);
	free(v->status);
	free(v->status_id);
	free(v->inputs);
	free(v->name);
	free(v);
}

void rb_progress_free(struct rb_progress *p)
{
	if (!p)
		return;
	for (size_t i = 0; i < p->n; i++)
		vertex_free(p->vertices[i]);
	free(p->vertices);
	free(p->running.v);
	free(p->ended.v);
	free(p->rows);
	rb_buf_clear(&p->out);
	free(p);
}

/* One write for what a call has to say, so that it does not tear on the screen. */
static void write_out(struct rb_progress *p)
{
	if (p->out.len && !p->broken)
		p->broken = rb_write_full(p->fd, p->out.ptr, p->out.len) < 0;
	rb_buf_truncate(&p->out, 0);
}

static struct rb_progress_vertex *vertex_add(struct rb_progress *p, const struct rb_event *ev)
{
	struct rb_progress_vertex *v = rb_calloc(1, sizeof(*v));

	*v = (struct rb_progress_vertex){
		.id = ev->vertex,
		.name = rb_progress_clean_dup(ev->name, strlen(ev->name), SIZE_MAX),
		.started_ns = -1,
		.partial = {RB_BUF_INIT, RB_BUF_INIT},
		.pending = RB_BUF_INIT,
		.inputs = rb_calloc(ev->n_inputs, sizeof(*v->inputs)),
		.n_inputs = ev->n_inputs,
	};
	for (size_t i = 0; i < ev->n_inputs; i++)
		v->inputs[i] = ev->inputs[i];
	rb_grow(p->vertices, p->n, &p->cap);
	p->vertices[p->n++] = v;
	return v;
}

/* Moves a vertex that begins behind those that began before it. */
static void vertex_to_front(struct rb_progress *p, struct rb_progress_vertex *v)
{
	size_t from = p->n, to = p->n_begun;

	if (v->state != RB_VERTEX_WAITING)
		return;
	p->n_begun++;
	while (p->vertices[--from] != v)
		;
	memmove(p->vertices + to + 1, p->vertices + to, (from - to) * sizeof(*p->vertices));
	p->vertices[to] = v;
}

static struct rb_progress_vertex *vertex_find(struct rb_progress *p, unsigned id)
{
	for (size_t i = p->n; i-- > 0;)
		if (p->vertices[i]->id == id)
			return p->vertices[i];
	rb_bug("event for vertex %u, which was never added", id);
}

static void line_done(struct rb_progress *p, struct rb_progress_vertex *v, int64_t time_ns,
		      struct rb_slice text)
{
	struct rb_tail_line *kept = &v->tail[v->n_tail++ % RB_PROGRESS_TAIL_LINES];
	struct rb_slice shown = rb_progress_last_segment(text);

	free(kept->text);
	kept->text = rb_progress_clean_dup(shown.ptr, shown.len, RB_PROGRESS_TAIL_COLS);
	kept->time_ns = time_ns;
	if (p->ops->line)
		p->ops->line(p, v, time_ns, text);
}

static void log_add(struct rb_progress *p, struct rb_progress_vertex *v, const struct rb_event *ev)
{
	struct rb_buf *partial = &v->partial[ev->stream == 2];
	int64_t *began_ns = &v->partial_ns[ev->stream == 2];
	int64_t now_ns = ev->time_ns - v->started_ns;
	const char *s = ev->data, *end = ev->data + ev->len;

	while (s < end) {
		const char *nl = memchr(s, '\n', (size_t)(end - s));
		size_t room = RB_PROGRESS_LINE_BYTES - partial->len;
		size_t n = rb_min_size((size_t)((nl ? nl : end) - s), room);
		bool ends = s + n == nl || n == room;

		if (!partial->len)
			*began_ns = now_ns;
		if (ends && !partial->len) {
			line_done(p, v, now_ns, (struct rb_slice){s, n});
		} else {
			rb_buf_add(partial, s, n);
			if (ends) {
				line_done(p, v, *began_ns,
					  (struct rb_slice){partial->ptr, partial->len});
				rb_buf_truncate(partial, 0);
			}
		}
		s += n + (s + n == nl);
	}
}

static void partials_end(struct rb_progress *p, struct rb_progress_vertex *v)
{
	for (size_t i = 0; i < RB_ARRAY_LEN(v->partial); i++) {
		struct rb_buf *b = &v->partial[i];

		if (b->len)
			line_done(p, v, v->partial_ns[i], (struct rb_slice){b->ptr, b->len});
		rb_buf_clear(b);
	}
}

/* Counters repeat themselves up to a word that is a number: "transferring context: 2.10kB". */
static bool is_same_counter(const char *status, const struct rb_event *ev)
{
	size_t n = strcspn(status, "0123456789");

	return status[n] && (!n || status[n - 1] == ' ') && ev->len > n &&
	       strncmp(status, ev->data, n) == 0 && ev->data[n] >= '0' && ev->data[n] <= '9';
}

static void status_set(struct rb_progress *p, struct rb_progress_vertex *v,
		       const struct rb_event *ev)
{
	if (v->status_unsaid && p->ops->status_ends && !is_same_counter(v->status, ev))
		p->ops->status_ends(p, v, ev->time_ns);
	if (!v->status)
		v->status_first_ns = ev->time_ns;
	v->status_last_ns = ev->time_ns;
	free(v->status);
	v->status = rb_progress_clean_dup(ev->data, ev->len, SIZE_MAX);
}

static void vertex_begin(struct rb_progress *p, struct rb_progress_vertex *v, int64_t now_ns)
{
	vertex_to_front(p, v);
	v->started_ns = now_ns;
	v->state = RB_VERTEX_RUNNING;
}

static void vertex_end(struct rb_progress *p, struct rb_progress_vertex *v,
		       enum rb_vertex_state state, int64_t now_ns)
{
	if (state == RB_VERTEX_CACHED)
		vertex_begin(p, v, now_ns);
	partials_end(p, v);
	v->ended_ns = now_ns;
	v->state = state;
	if (state == RB_VERTEX_ERROR && !p->failed)
		p->failed = v;
	/* Only the first failure's lines are asked for later. */
	for (size_t i = 0; v != p->failed && i < RB_PROGRESS_TAIL_LINES; i++)
		rb_strp(&v->tail[i].text);
}

void rb_progress_event(void *ctx, const struct rb_event *ev)
{
	static const enum rb_vertex_state ends[] = {
		[RB_EV_CACHED] = RB_VERTEX_CACHED,
		[RB_EV_DONE] = RB_VERTEX_DONE,
		[RB_EV_ERROR] = RB_VERTEX_ERROR,
		[RB_EV_CANCELED] = RB_VERTEX_CANCELED,
	};
	struct rb_progress *p = ctx;
	struct rb_progress_vertex *v =
		ev->kind == RB_EV_ADD ? vertex_add(p, ev) : vertex_find(p, ev->vertex);

	switch (ev->kind) {
	case RB_EV_ADD:
	case RB_EV_WARN:
		break;
	case RB_EV_START:
		vertex_begin(p, v, ev->time_ns);
		break;
	case RB_EV_LOG:
		log_add(p, v, ev);
		break;
	case RB_EV_STATUS:
		status_set(p, v, ev);
		break;
	case RB_EV_CACHED:
	case RB_EV_DONE:
	case RB_EV_ERROR:
	case RB_EV_CANCELED:
		vertex_end(p, v, ends[ev->kind], ev->time_ns);
		break;
	}
	if (p->ops->event)
		p->ops->event(p, v, ev);
	write_out(p);
}

void rb_progress_tick(struct rb_progress *p, int64_t now_ns)
{
	if (p->ops->tick && !p->finished)
		p->ops->tick(p, now_ns);
	write_out(p);
}

int rb_progress_tick_ms(const struct rb_progress *p)
{
	return p->finished ? -1 : p->ops->tick_ms(p);
}

void rb_progress_resized(struct rb_progress *p)
{
	rb_progress_tty_size(p);
}

void rb_progress_note(void *ctx, const char *line)
{
	struct rb_progress *p = ctx;

	if (p->ops->note && !p->finished) {
		p->ops->note(p, line);
	} else {
		(void)rb_progress_clean(&p->out, line, strlen(line), SIZE_MAX);
		rb_buf_addch(&p->out, '\n');
	}
	write_out(p);
}

static void print_failure(struct rb_progress *p)
{
	const struct rb_progress_vertex *v = p->failed;
	size_t first = v->n_tail - rb_min_size(v->n_tail, RB_PROGRESS_TAIL_LINES);

	rb_buf_addf(&p->out, "------\n > %s:\n", v->name);
	for (size_t i = first; i < v->n_tail; i++) {
		const struct rb_tail_line *l = &v->tail[i % RB_PROGRESS_TAIL_LINES];

		rb_buf_addf(&p->out, "%.3f %s\n", (double)l->time_ns / RB_NS_PER_S, l->text);
	}
	rb_buf_addstr(&p->out, "------\n");
}

void rb_progress_finish(struct rb_progress *p, bool failed, int64_t now_ns)
{
	for (size_t i = 0; i < p->n; i++)
		partials_end(p, p->vertices[i]);
	if (p->ops->finish && !p->finished)
		p->ops->finish(p, now_ns);
	p->finished = true;
	if (failed && p->failed && p->failed->n_tail && p->ops != &rb_progress_rawjson_ops)
		print_failure(p);
	write_out(p);
}

bool rb_progress_broken(const struct rb_progress *p)
{
	return p->broken;
}
