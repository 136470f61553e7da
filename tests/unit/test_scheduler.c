// SPDX-License-Identifier: Apache-2.0
/* The scheduler with a fake runner: no disk, no namespace, no time. */
#include "solve/scheduler.h"

#include "tap.h"

/* Examines everything that is ready and queues it. */
static void queue_all(struct rb_sched *s)
{
	unsigned n;

	while (rb_sched_next(s, &n))
		rb_sched_want_slot(s, n);
}

static void test_scheduler__hands_out_ready_nodes_in_order(void)
{
	RB_CLEANUP(rb_sched_freep) struct rb_sched *s = rb_sched_new();
	unsigned a = rb_sched_add(s), b = rb_sched_add(s), c = rb_sched_add(s), n = 99;

	rb_sched_depend(s, b, a);
	CHECK(rb_sched_next(s, &n));
	CHECK_INT(n, a);
	CHECK(rb_sched_next(s, &n));
	CHECK_INT(n, c);
	CHECK(!rb_sched_next(s, &n));
	rb_sched_finish(s, a);
	CHECK(rb_sched_next(s, &n));
	CHECK_INT(n, b);
}

static void test_scheduler__no_slots_start_nothing(void)
{
	RB_CLEANUP(rb_sched_freep) struct rb_sched *s = rb_sched_new();
	unsigned a = rb_sched_add(s), b = rb_sched_add(s), n;

	rb_sched_depend(s, b, a);
	queue_all(s);
	CHECK(!rb_sched_next_job(s, &n));
	CHECK_INT(rb_sched_state(s, a), RB_NODE_QUEUED);
	CHECK_INT(rb_sched_state(s, b), RB_NODE_WAITING);
	/* The same scheduler goes on when it gets slots. */
	rb_sched_set_slots(s, 1);
	CHECK(rb_sched_next_job(s, &n));
	CHECK_INT(n, a);
}

static void test_scheduler__runs_at_most_the_slots(void)
{
	RB_CLEANUP(rb_sched_freep) struct rb_sched *s = rb_sched_new();
	unsigned n, running[2];

	for (int i = 0; i < 5; i++)
		(void)rb_sched_add(s);
	rb_sched_set_slots(s, 2);
	queue_all(s);
	CHECK(rb_sched_next_job(s, &running[0]));
	CHECK(rb_sched_next_job(s, &running[1]));
	CHECK(!rb_sched_next_job(s, &n));
	CHECK_INT(rb_sched_running(s), 2);
	rb_sched_finish(s, running[0]);
	CHECK(rb_sched_next_job(s, &n));
	CHECK_INT(n, 2);
}

static void test_scheduler__independent_branches_run_together(void)
{
	RB_CLEANUP(rb_sched_freep) struct rb_sched *s = rb_sched_new();
	unsigned base = rb_sched_add(s), left = rb_sched_add(s), right = rb_sched_add(s),
		 join = rb_sched_add(s), n;

	rb_sched_depend(s, left, base);
	rb_sched_depend(s, right, base);
	rb_sched_depend(s, join, left);
	rb_sched_depend(s, join, right);
	rb_sched_set_slots(s, 4);
	queue_all(s);
	CHECK(rb_sched_next_job(s, &n));
	CHECK(!rb_sched_next_job(s, &n));
	rb_sched_finish(s, base);
	queue_all(s);
	CHECK(rb_sched_next_job(s, &n));
	CHECK(rb_sched_next_job(s, &n));
	rb_sched_finish(s, right);
	queue_all(s);
	CHECK_INT(rb_sched_state(s, join), RB_NODE_WAITING);
	rb_sched_finish(s, left);
	queue_all(s);
	CHECK_INT(rb_sched_state(s, join), RB_NODE_QUEUED);
}

static void test_scheduler__an_examined_node_can_find_a_new_input(void)
{
	RB_CLEANUP(rb_sched_freep) struct rb_sched *s = rb_sched_new();
	unsigned step = rb_sched_add(s), n;

	CHECK(rb_sched_next(s, &n));
	CHECK_INT(n, step);
	unsigned unpack = rb_sched_add(s);
	rb_sched_depend(s, step, unpack);
	CHECK_INT(rb_sched_state(s, step), RB_NODE_WAITING);
	CHECK(rb_sched_next(s, &n));
	CHECK_INT(n, unpack);
	rb_sched_finish(s, unpack);
	CHECK(rb_sched_next(s, &n));
	CHECK_INT(n, step);
	/* An input that is done already hands the node out again at once. */
	rb_sched_depend(s, step, unpack);
	CHECK(rb_sched_next(s, &n));
	CHECK_INT(n, step);
}

static void test_scheduler__a_dropped_node_frees_its_slot(void)
{
	RB_CLEANUP(rb_sched_freep) struct rb_sched *s = rb_sched_new();
	unsigned a = rb_sched_add(s), b = rb_sched_add(s), n;

	rb_sched_depend(s, b, a);
	rb_sched_set_slots(s, 1);
	queue_all(s);
	CHECK(rb_sched_next_job(s, &n));
	rb_sched_drop(s, a);
	CHECK_INT(rb_sched_running(s), 0);
	CHECK(!rb_sched_next(s, &n));
	CHECK_INT(rb_sched_state(s, b), RB_NODE_WAITING);
}

static void test_scheduler__what_is_queued_can_be_looked_at_again(void)
{
	RB_CLEANUP(rb_sched_freep) struct rb_sched *s = rb_sched_new();
	unsigned a = rb_sched_add(s), b = rb_sched_add(s), c = rb_sched_add(s), n;

	rb_sched_depend(s, c, a);
	queue_all(s);
	CHECK(!rb_sched_next(s, &n));
	rb_sched_reconsider(s);
	CHECK(rb_sched_next(s, &n));
	CHECK_INT(n, a);
	rb_sched_finish(s, a);
	CHECK(rb_sched_next(s, &n));
	CHECK_INT(n, b);
	rb_sched_want_slot(s, b);
	CHECK(rb_sched_next(s, &n));
	CHECK_INT(n, c);
	rb_sched_set_slots(s, 2);
	CHECK(rb_sched_next_job(s, &n));
	CHECK_INT(n, b);
	CHECK(!rb_sched_next_job(s, &n));
}

static void test_scheduler__a_running_node_can_go_on_later(void)
{
	RB_CLEANUP(rb_sched_freep) struct rb_sched *s = rb_sched_new();
	unsigned a = rb_sched_add(s), b = rb_sched_add(s), n;

	rb_sched_depend(s, b, a);
	rb_sched_set_slots(s, 1);
	for (int round = 0; round < 3; round++) {
		queue_all(s);
		CHECK(rb_sched_next_job(s, &n));
		CHECK_INT(n, a);
		rb_sched_again(s, a);
		CHECK_INT(rb_sched_running(s), 0);
		CHECK_INT(rb_sched_state(s, b), RB_NODE_WAITING);
	}
	queue_all(s);
	CHECK(rb_sched_next_job(s, &n));
	rb_sched_finish(s, a);
	CHECK(rb_sched_next(s, &n));
	CHECK_INT(n, b);
}

static void test_scheduler__a_long_chain(void)
{
	enum { N = 20000 };
	RB_CLEANUP(rb_sched_freep) struct rb_sched *s = rb_sched_new();
	unsigned n;

	for (unsigned i = 0; i < N; i++) {
		unsigned id = rb_sched_add(s);

		if (i)
			rb_sched_depend(s, id, i - 1);
	}
	rb_sched_set_slots(s, 1);
	for (unsigned i = 0; i < N; i++) {
		queue_all(s);
		CHECK(rb_sched_next_job(s, &n));
		CHECK_INT(n, i);
		rb_sched_finish(s, n);
	}
}

/* A chain whose beginning was added last, as stages are that are named at the end. */
static void test_scheduler__a_long_chain_backwards(void)
{
	enum { N = 20000 };
	RB_CLEANUP(rb_sched_freep) struct rb_sched *s = rb_sched_new();
	unsigned n;

	for (unsigned i = 0; i < N; i++) {
		unsigned id = rb_sched_add(s);

		if (i)
			rb_sched_depend(s, i - 1, id);
	}
	for (unsigned i = N; i-- > 0;) {
		CHECK(rb_sched_next(s, &n));
		CHECK_INT(n, i);
		rb_sched_finish(s, n);
	}
	CHECK(!rb_sched_next(s, &n));
}

/* Whatever the graph: of those that may be looked at the lowest one, each once. */
static void check_random_graph(unsigned seed)
{
	enum { N = 40 };
	RB_CLEANUP(rb_sched_freep) struct rb_sched *s = rb_sched_new();
	unsigned order[N], missing[N] = {0}, n;
	bool needs[N][N] = {{false}}, handed[N] = {false};

	srandom(seed);
	for (unsigned i = 0; i < N; i++) {
		unsigned k = (unsigned)random() % (i + 1);

		order[i] = order[k];
		order[k] = i;
		(void)rb_sched_add(s);
	}
	for (unsigned i = 0; i < 3 * N; i++) {
		unsigned a = (unsigned)random() % N, b = (unsigned)random() % N;
		unsigned node = order[a > b ? a : b], input = order[a > b ? b : a];

		if (a == b || needs[node][input])
			continue;
		needs[node][input] = true;
		missing[node]++;
		rb_sched_depend(s, node, input);
	}
	for (unsigned i = 0; i < N; i++) {
		unsigned lowest = 0;

		while (lowest < N && (handed[lowest] || missing[lowest]))
			lowest++;
		CHECK(rb_sched_next(s, &n));
		CHECK_INT(n, lowest);
		handed[n] = true;
		rb_sched_finish(s, n);
		for (unsigned k = 0; k < N; k++)
			missing[k] -= needs[k][n];
	}
	CHECK(!rb_sched_next(s, &n));
}

static void test_scheduler__random_graphs(void)
{
	for (unsigned seed = 1; seed <= 200; seed++)
		check_random_graph(seed);
}

int main(void)
{
	return tap_run((const struct tap_test[]){
		TAP(test_scheduler__hands_out_ready_nodes_in_order),
		TAP(test_scheduler__no_slots_start_nothing),
		TAP(test_scheduler__runs_at_most_the_slots),
		TAP(test_scheduler__independent_branches_run_together),
		TAP(test_scheduler__an_examined_node_can_find_a_new_input),
		TAP(test_scheduler__a_dropped_node_frees_its_slot),
		TAP(test_scheduler__what_is_queued_can_be_looked_at_again),
		TAP(test_scheduler__a_running_node_can_go_on_later),
		TAP(test_scheduler__a_long_chain),
		TAP(test_scheduler__a_long_chain_backwards),
		TAP(test_scheduler__random_graphs),
		TAP_END,
	});
}
