// SPDX-License-Identifier: Apache-2.0
/* A plan needs memory in proportion to the Dockerfile, whatever its shape. */
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "plan/outline.h"
#include "tap.h"

/* What is written for each i; %1$zu is i, %2$zu is i - 1. */
struct shape {
	const char *name, *head, *one;
};

static const struct shape shapes[] = {
	{"stages, each from the one before", "FROM scratch AS s0\n",
	 "FROM s%2$zu AS s%1$zu\nLABEL l%1$zu=v\nENV E%1$zu=v\nARG A%1$zu=v\nEXPOSE %1$zu\n"},
	{"stages that copy from the one before", "FROM scratch AS s0\nENV A=b\nLABEL a=b\n",
	 "FROM scratch AS s%1$zu\nCOPY --from=s%2$zu /a /b\nENV E%1$zu=v\n"},
	{"variables between steps", "FROM scratch\n", "ENV E%1$zu=v\nRUN a\n"},
	{"arguments between steps", "FROM scratch\n", "ARG A%1$zu=v\nRUN a\n"},
	{"one of each", "FROM scratch\n",
	 "RUN a\nENV E%1$zu=v\nLABEL l%1$zu=v\nCOPY a /\nARG A%1$zu=v\nVOLUME /v%1$zu\n"},
};

#pragma GCC diagnostic ignored "-Wformat-nonliteral"
static char *write_file(const struct shape *shape, size_t n)
{
	struct rb_buf b = RB_BUF_INIT;

	rb_buf_addstr(&b, shape->head);
	for (size_t i = 1; i <= n; i++)
		rb_buf_addf(&b, shape->one, i, i - 1);
	return rb_buf_steal(&b);
}

static long peak_kib(void)
{
	struct rusage u;

	(void)getrusage(RUSAGE_SELF, &u);
	return u.ru_maxrss;
}

static bool plan_all(const char *text)
{
	const struct rb_env args = {0};
	const struct rb_plan_options o = {
		.build_args = &args,
		.build_platform = {.os = "linux", .arch = "amd64"},
		.target_platform = {.os = "linux", .arch = "amd64"},
		.all_stages = true,
	};
	RB_CLEANUP(rb_dockerfile_freep) struct rb_dockerfile *df = NULL;
	RB_CLEANUP(rb_plan_freep) struct rb_plan *plan = NULL;
	struct rb_error *err = NULL;
	struct rb_outline outline;

	if (rb_dockerfile_parse(text, strlen(text), &df, &err) < 0 ||
	    rb_plan_new(df, &o, &plan, &err) < 0)
		return false;
	for (size_t i = 0; i < plan->n_stages; i++)
		if (rb_plan_elaborate(plan, &plan->stages[i], &err) < 0)
			return false;
	rb_plan_outline(plan, &outline);
	rb_outline_clear(&outline);
	return true;
}

/* What planning adds to the memory of a process of its own, in KiB; -1: it failed. */
static long growth_kib(const struct shape *shape, size_t n)
{
	int fds[2], status;
	long grown = -1;

	if (pipe(fds) < 0)
		return -1;
	pid_t pid = fork();
	if (pid == 0) {
		RB_CLEANUP(rb_strp) char *text = write_file(shape, n);
		long before = peak_kib();

		if (plan_all(text))
			grown = peak_kib() - before;
		_exit(write(fds[1], &grown, sizeof(grown)) != sizeof(grown));
	}
	(void)close(fds[1]);
	if (pid < 0 || read(fds[0], &grown, sizeof(grown)) != sizeof(grown))
		grown = -1;
	(void)close(fds[0]);
	(void)waitpid(pid, &status, 0);
	return grown;
}

/* Twice what is due leaves room for pages and for lists that double; squares would be 16 times. */
static void test_growth__memory_is_linear(void)
{
	enum { N = 1000, TIMES = 4 };

	for (size_t i = 0; i < RB_ARRAY_LEN(shapes); i++) {
		long one = growth_kib(&shapes[i], N);
		long four = growth_kib(&shapes[i], TIMES * N);

		printf("# %s: %ld KiB, %d times: %ld KiB\n", shapes[i].name, one, TIMES, four);
		CHECK(one > 0 && four > one);
		CHECK(four < 2 * TIMES * one);
	}
}

int main(void)
{
	return tap_run((const struct tap_test[]){TAP(test_growth__memory_is_linear), TAP_END});
}
