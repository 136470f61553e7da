// SPDX-License-Identifier: Apache-2.0
/*
 * The cost of system calls that the supervisor may answer: one line each, "NAME NANOSECONDS", the
 * median of several rounds.
 */
#include <time.h>

#include "calls.h"

enum { ROUNDS = 9, CALLS = 1000 };

static struct stat st;

static void do_getpid(void)
{
	(void)syscall(SYS_getpid);
}

static void do_getuid(void)
{
	(void)syscall(SYS_getuid);
}

static void do_stat(void)
{
	must(syscall(SYS_newfstatat, AT_FDCWD, "/tmp/bench/file", &st, 0) == 0, "stat");
}

static void do_open(void)
{
	must(close((int)syscall(SYS_openat, AT_FDCWD, "/tmp/bench/file", O_RDONLY)) == 0, "open");
}

static void do_create(void)
{
	must(close((int)syscall(SYS_openat, AT_FDCWD, "/tmp/bench/new", O_CREAT | O_EXCL | O_WRONLY,
				0600)) == 0 &&
		     syscall(SYS_unlinkat, AT_FDCWD, "/tmp/bench/new", 0) == 0,
	     "create");
}

static void do_chown(void)
{
	must(syscall(SYS_fchownat, AT_FDCWD, "/tmp/bench/file", 0, 0, 0) == 0, "chown");
}

static int64_t now_ns(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000 + t.tv_nsec;
}

static int by_value(const void *a, const void *b)
{
	const int64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static void measure(const char *name, void (*call)(void))
{
	int64_t round[ROUNDS];

	for (int i = 0; i < ROUNDS; i++) {
		int64_t start = now_ns();

		for (int j = 0; j < CALLS; j++)
			call();
		round[i] = (now_ns() - start) / CALLS;
	}
	qsort(round, ROUNDS, sizeof(*round), by_value);
	note("%s %lld", name, (long long)round[ROUNDS / 2]);
}

int main(void)
{
	must(mkdir("/tmp/bench", 0755) == 0, "mkdir");
	put("/tmp/bench/file", "x", 0644);
	measure("getpid", do_getpid);
	measure("getuid", do_getuid);
	measure("stat", do_stat);
	measure("open", do_open);
	measure("create+unlink", do_create);
	measure("chown", do_chown);
	remove_tree("/tmp/bench");
	return 0;
}
