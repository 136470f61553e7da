// SPDX-License-Identifier: Apache-2.0
/*
 * Append-only output for files and CI: blocks of lines, each of one vertex. Lines of the vertex
 * that has the word go out at once, those of the others wait in `pending` until it ends, falls
 * silent, has spoken long enough while others wait, or a waiting one has too much to keep.
 */
#include "cli/progress/progress-internal.h"

#include <string.h>

/* dockerfile.md 8.4: counters are repeated at most this often. */
#define STATUS_EVERY_NS (5 * RB_NS_PER_S)
#define SILENT_NS       (1 * RB_NS_PER_S)
#define TURN_NS         (5 * RB_NS_PER_S)
#define PENDING_BYTES   (1024 * 1024)
#define TICK_MS         250

static void stop_waiting(struct rb_progress_vertex *v)
{
	struct rb_progress_queue *q = v->queue;

	if (!q)
		return;
	size_t i = q->first;
	while (q->v[i] != v)
		i++;
	memmove(q->v + q->first + 1, q->v + q->first, (i - q->first) * sizeof(*q->v));
	if (++q->first == q->n)
		q->first = q->n = 0;
	v->queue = NULL;
}

static void wants_word(struct rb_progress *p, struct rb_progress_vertex *v)
{
	struct rb_progress_queue *q = rb_progress_ended(v) ? &p->ended : &p->running;

	if (v->closed || v->queue == q)
		return;
	stop_waiting(v);
	if (q->first && q->n == q->cap) {
		memmove(q->v, q->v + q->first, (q->n - q->first) * sizeof(*q->v));
		q->n -= q->first;
		q->first = 0;
	}
	rb_grow(q->v, q->n, &q->cap);
	q->v[q->n++] = v;
	v->queue = q;
}

/* Pending lines get their number when they are printed: numbers follow the first print. */
static void print_pending(struct rb_progress *p, struct rb_progress_vertex *v, int64_t now_ns)
{
	const char *s = v->pending.ptr, *end = s + v->pending.len;

	stop_waiting(v);
	if (s == end)
		return;
	p->current_said_ns = now_ns;
	while (s < end) {
		const char *nl = memchr(s, '\n', (size_t)(end - s));
		size_t n = (size_t)((nl ? nl + 1 : end) - s);

		rb_buf_addf(&p->out, "#%u ", v->number);
		rb_buf_add(&p->out, s, n);
		s += n;
	}
	rb_buf_clear(&v->pending);
}

/* Who speaks next: vertices that have ended, then one with too much to keep, then the one that
 * waits longest. */
static struct rb_progress_vertex *next_speaker(const struct rb_progress *p)
{
	const struct rb_progress_queue *q = &p->running;
	struct rb_progress_vertex *best = NULL;

	if (p->ended.first < p->ended.n)
		return p->ended.v[p->ended.first];
	for (size_t i = q->first; i < q->n; i++) {
		if (q->v[i]->pending.len > PENDING_BYTES)
			return q->v[i];
		if (!best)
			best = q->v[i];
	}
	return best;
}

static bool keeps_word(const struct rb_progress *p, int64_t now_ns)
{
	return p->current && !p->has_overfull && now_ns - p->current_said_ns < SILENT_NS &&
	       now_ns - p->current_since_ns < TURN_NS;
}

static void give_word(struct rb_progress *p, struct rb_progress_vertex *v, int64_t now_ns)
{
	if (!v->number)
		v->number = ++p->last_number;
	rb_buf_addf(&p->out, "#%u %s\n", v->number, v->name);
	p->current = v;
	p->has_overfull = false;
	p->current_since_ns = p->current_said_ns = now_ns;
}

static void speak(struct rb_progress *p, int64_t now_ns)
{
	for (;;) {
		struct rb_progress_vertex *cur = p->current, *next;

		if (cur) {
			print_pending(p, cur, now_ns);
			if (rb_progress_ended(cur)) {
				rb_buf_addch(&p->out, '\n');
				cur->closed = true;
				p->current = NULL;
			}
		}
		if (keeps_word(p, now_ns) || !(next = next_speaker(p)))
			return;
		if (p->current)
			rb_buf_addf(&p->out, "#%u ...\n\n", p->current->number);
		give_word(p, next, now_ns);
	}
}

static void plain_line(struct rb_progress *p, struct rb_progress_vertex *v, int64_t time_ns,
		       struct rb_slice text)
{
	(void)p;
	rb_buf_addf(&v->pending, "%.3f ", (double)time_ns / RB_NS_PER_S);
	rb_buf_add(&v->pending, text.ptr, text.len);
	rb_buf_addch(&v->pending, '\n');
}

static void add_status(struct rb_progress_vertex *v, int64_t now_ns)
{
	rb_buf_addf(&v->pending, "%s\n", v->status);
	v->status_unsaid = false;
	v->status_out_ns = now_ns;
}

static void plain_status_ends(struct rb_progress *p, struct rb_progress_vertex *v, int64_t now_ns)
{
	(void)p;
	add_status(v, now_ns);
}

static void add_end(struct rb_progress_vertex *v, const struct rb_event *ev)
{
	RB_CLEANUP(rb_strp) char *message = NULL;

	if (v->status_unsaid)
		add_status(v, ev->time_ns);
	switch (ev->kind) {
	case RB_EV_CACHED:
		rb_buf_addstr(&v->pending, "CACHED\n");
		break;
	case RB_EV_ERROR:
		message = rb_progress_clean_dup(ev->data, ev->len, SIZE_MAX);
		rb_buf_addf(&v->pending, "ERROR: %s\n", message);
		break;
	case RB_EV_CANCELED:
		rb_buf_addstr(&v->pending, "CANCELED\n");
		break;
	default:
		rb_buf_addf(&v->pending, "DONE %.1fs\n",
			    (double)(v->ended_ns - v->started_ns) / RB_NS_PER_S);
	}
}

static void plain_event(struct rb_progress *p, struct rb_progress_vertex *v,
			const struct rb_event *ev)
{
	RB_CLEANUP(rb_strp) char *warning = NULL;

	if (rb_progress_never_ran(v))
		return;
	switch (ev->kind) {
	case RB_EV_ADD:
		return;
	case RB_EV_START:
		v->status_out_ns = ev->time_ns;
		wants_word(p, v);
		break;
	case RB_EV_LOG:
		break;
	case RB_EV_STATUS:
		v->status_unsaid = true;
		if (ev->time_ns - v->status_out_ns >= STATUS_EVERY_NS)
			add_status(v, ev->time_ns);
		break;
	case RB_EV_WARN:
		warning = rb_progress_clean_dup(ev->data, ev->len, SIZE_MAX);
		rb_buf_addf(&v->pending, "WARN: %s\n", warning);
		break;
	case RB_EV_CACHED:
	case RB_EV_DONE:
	case RB_EV_ERROR:
	case RB_EV_CANCELED:
		add_end(v, ev);
		break;
	}
	if (v->pending.len)
		wants_word(p, v);
	p->has_overfull |= v != p->current && v->pending.len > PENDING_BYTES;
	speak(p, ev->time_ns);
}

static void plain_tick(struct rb_progress *p, int64_t now_ns)
{
	speak(p, now_ns);
}

static int plain_tick_ms(const struct rb_progress *p)
{
	return p->current && next_speaker(p) ? TICK_MS : -1;
}

/* A build that was broken off leaves vertices without an end: their lines are printed all the same.
 */
static void plain_finish(struct rb_progress *p, int64_t now_ns)
{
	struct rb_progress_vertex *v;

	speak(p, now_ns);
	for (size_t i = 0; i < p->n; i++)
		if (p->vertices[i]->status_unsaid) {
			add_status(p->vertices[i], now_ns);
			wants_word(p, p->vertices[i]);
		}
	do {
		if (p->current) {
			print_pending(p, p->current, now_ns);
			p->current->closed = true;
			rb_buf_addch(&p->out, '\n');
			p->current = NULL;
		}
		v = next_speaker(p);
		if (v)
			give_word(p, v, now_ns);
	} while (v);
}

const struct rb_progress_ops rb_progress_plain_ops = {
	.event = plain_event,
	.line = plain_line,
	.status_ends = plain_status_ends,
	.tick = plain_tick,
	.tick_ms = plain_tick_ms,
	.finish = plain_finish,
};
