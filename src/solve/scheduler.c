// SPDX-License-Identifier: Apache-2.0
#include "solve/scheduler.h"

#include <stdlib.h>

struct node {
	enum rb_node_state state;
	bool examined;      /* handed out by rb_sched_next() and not decided yet */
	unsigned n_missing; /* inputs that are not done */
	unsigned *dependents;
	size_t n_dependents, cap_dependents;
};

/*
 * The lowest first, as a binary heap. What leaves the state that it waits in stays here until it is
 * taken, and one that comes back is here twice: whoever takes an id looks at its state.
 */
struct heap {
	unsigned *v;
	size_t n, cap;
};

struct rb_sched {
	struct node *nodes;
	size_t n, cap;
	unsigned slots, running;
	struct heap ready, queued;
};

static void heap_put(struct heap *h, unsigned id)
{
	size_t i;

	rb_grow(h->v, h->n, &h->cap);
	for (i = h->n++; i && h->v[(i - 1) / 2] > id; i = (i - 1) / 2)
		h->v[i] = h->v[(i - 1) / 2];
	h->v[i] = id;
}

static unsigned heap_take(struct heap *h)
{
	unsigned lowest = h->v[0], last = h->v[--h->n];
	size_t i = 0;

	for (size_t child; (child = 2 * i + 1) < h->n; i = child) {
		child += child + 1 < h->n && h->v[child + 1] < h->v[child];
		if (h->v[child] >= last)
			break;
		h->v[i] = h->v[child];
	}
	h->v[i] = last;
	return lowest;
}

struct rb_sched *rb_sched_new(void)
{
	return rb_calloc(1, sizeof(struct rb_sched));
}

void rb_sched_free(struct rb_sched *s)
{
	if (!s)
		return;
	for (size_t i = 0; i < s->n; i++)
		free(s->nodes[i].dependents);
	free(s->nodes);
	free(s->ready.v);
	free(s->queued.v);
	free(s);
}

void rb_sched_set_slots(struct rb_sched *s, unsigned slots)
{
	s->slots = slots;
}

static struct node *get(const struct rb_sched *s, unsigned id)
{
	if (id >= s->n)
		rb_bug("scheduler node %u of %zu", id, s->n);
	return &s->nodes[id];
}

static void make_ready(struct rb_sched *s, unsigned id)
{
	get(s, id)->state = RB_NODE_READY;
	heap_put(&s->ready, id);
}

unsigned rb_sched_add(struct rb_sched *s)
{
	unsigned id = (unsigned)s->n;

	rb_grow(s->nodes, s->n, &s->cap);
	s->nodes[s->n++] = (struct node){.state = RB_NODE_WAITING};
	make_ready(s, id);
	return id;
}

void rb_sched_depend(struct rb_sched *s, unsigned id, unsigned input_id)
{
	struct node *node = get(s, id), *input = get(s, input_id);

	if (node->state == RB_NODE_QUEUED || node->state == RB_NODE_RUNNING ||
	    node->state == RB_NODE_DONE)
		rb_bug("input %u for node %u, which is past waiting", input_id, id);
	if (input->state == RB_NODE_DONE) {
		/* An examined node must be handed out again. */
		if (node->state == RB_NODE_READY && node->examined)
			make_ready(s, id);
		node->examined = false;
		return;
	}
	rb_grow(input->dependents, input->n_dependents, &input->cap_dependents);
	input->dependents[input->n_dependents++] = id;
	node->n_missing++;
	node->state = RB_NODE_WAITING;
	node->examined = false;
}

enum rb_node_state rb_sched_state(const struct rb_sched *s, unsigned id)
{
	return get(s, id)->state;
}

bool rb_sched_next(struct rb_sched *s, unsigned *ret)
{
	while (s->ready.n) {
		unsigned id = heap_take(&s->ready);
		struct node *node = get(s, id);

		if (node->state != RB_NODE_READY || node->examined)
			continue;
		node->examined = true;
		*ret = id;
		return true;
	}
	return false;
}

void rb_sched_want_slot(struct rb_sched *s, unsigned id)
{
	struct node *node = get(s, id);

	if (node->state != RB_NODE_READY)
		rb_bug("node %u wants a slot before it is ready", id);
	node->state = RB_NODE_QUEUED;
	heap_put(&s->queued, id);
}

void rb_sched_reconsider(struct rb_sched *s)
{
	for (unsigned id = 0; id < s->n; id++) {
		if (s->nodes[id].state != RB_NODE_QUEUED)
			continue;
		s->nodes[id].examined = false;
		make_ready(s, id);
	}
}

bool rb_sched_next_job(struct rb_sched *s, unsigned *ret)
{
	if (s->running >= s->slots)
		return false;
	while (s->queued.n) {
		unsigned id = heap_take(&s->queued);

		if (get(s, id)->state != RB_NODE_QUEUED)
			continue;
		get(s, id)->state = RB_NODE_RUNNING;
		s->running++;
		*ret = id;
		return true;
	}
	return false;
}

void rb_sched_finish(struct rb_sched *s, unsigned id)
{
	struct node *node = get(s, id);

	if (node->state == RB_NODE_RUNNING)
		s->running--;
	else if (node->state != RB_NODE_READY)
		rb_bug("node %u finishes without having been looked at", id);
	node->state = RB_NODE_DONE;
	for (size_t i = 0; i < node->n_dependents; i++)
		if (--get(s, node->dependents[i])->n_missing == 0)
			make_ready(s, node->dependents[i]);
}

void rb_sched_again(struct rb_sched *s, unsigned id)
{
	struct node *node = get(s, id);

	if (node->state != RB_NODE_RUNNING)
		rb_bug("node %u is to be looked at again but does not run", id);
	s->running--;
	node->examined = false;
	make_ready(s, id);
}

void rb_sched_drop(struct rb_sched *s, unsigned id)
{
	struct node *node = get(s, id);

	if (node->state != RB_NODE_RUNNING)
		rb_bug("node %u is dropped but does not run", id);
	s->running--;
	node->state = RB_NODE_WAITING;
}

unsigned rb_sched_running(const struct rb_sched *s)
{
	return s->running;
}
