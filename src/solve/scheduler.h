/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The order of work. Pure: knows nodes, edges and a number of slots; no I/O, no clock. The solver
 *asks what to do next and says what became of it:
 *
 *	WAITING --(all inputs done)--> READY --next()--> examined by the solver, which calls one of
 *		finish()      known without work (a cache hit): DONE
 *		depend()      something else is needed first: WAITING again
 *		want_slot()   work has to be done: QUEUED --next_job()--> RUNNING --finish()--> DONE
 *
 * With no slots nothing is ever started: what finishes then is what could be had by looking up
 *alone.
 */
#ifndef RB_SOLVE_SCHEDULER_H
#define RB_SOLVE_SCHEDULER_H

#include "base/base.h"

enum rb_node_state {
	RB_NODE_WAITING,
	RB_NODE_READY,
	RB_NODE_QUEUED,
	RB_NODE_RUNNING,
	RB_NODE_DONE
};

struct rb_sched;

struct rb_sched *rb_sched_new(void);
void rb_sched_free(struct rb_sched *s);
RB_DEFINE_CLEANUP(rb_sched)
/* How many nodes may be RUNNING at a time. 0 at first. */
void rb_sched_set_slots(struct rb_sched *s, unsigned slots);

/* A new node without inputs, READY; ids are 0, 1, ... */
unsigned rb_sched_add(struct rb_sched *s);
/* `node` needs `input`. A node that was READY or is being examined waits again unless input is
 * DONE. No cycles. */
void rb_sched_depend(struct rb_sched *s, unsigned node, unsigned input);
enum rb_node_state rb_sched_state(const struct rb_sched *s, unsigned node);

/* A READY node to examine, the lowest id first; false when there is none. */
bool rb_sched_next(struct rb_sched *s, unsigned *ret);
/* The examined node needs work. */
void rb_sched_want_slot(struct rb_sched *s, unsigned node);
/* Makes QUEUED nodes READY again: what was looked up before may be known by now. */
void rb_sched_reconsider(struct rb_sched *s);
/* A QUEUED node that may start now (it becomes RUNNING); false when there is none or no slot is
 * free. */
bool rb_sched_next_job(struct rb_sched *s, unsigned *ret);
/* An examined or RUNNING node is done; its dependents may become READY. */
void rb_sched_finish(struct rb_sched *s, unsigned node);
/* A RUNNING node has to be looked at once more: READY. */
void rb_sched_again(struct rb_sched *s, unsigned node);
/* A RUNNING node gave up without a result (its slot is free); it never becomes DONE. */
void rb_sched_drop(struct rb_sched *s, unsigned node);
unsigned rb_sched_running(const struct rb_sched *s);

#endif
