/* SPDX-License-Identifier: Apache-2.0 */
/* needs: userns */
/* users: range single */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/sys.h"
#include "host/host-internal.h"
#include "tap.h"

/* --- ids --- */

static char *ranges_text(const struct rb_id_map *m)
{
	struct rb_buf b = RB_BUF_INIT;

	for (size_t i = 0; i < m->n; i++)
		rb_buf_addf(&b, "%s%u:%u:%u", i ? " " : "", m->v[i].inside, m->v[i].outside,
			    m->v[i].count);
	return rb_buf_steal(&b);
}

static void test_host__subids_by_name_and_number(void)
{
	static const struct {
		const char *text, *want;
		uint32_t next;
	} rows[] = {
		{"", "0:1000:1", 100000},
		{"jane:100000:65536\n", "0:1000:1 1:100000:65536", 165536},
		{"joe:100000:65536\njane:165536:65536", "0:1000:1 1:165536:65536", 231072},
		{"1000:200000:10\njane:300000:20\n", "0:1000:1 1:200000:10 11:300000:20", 300020},
		/* a range that holds the own id, and one given twice */
		{"jane:500:1000\njane:200000:5\njane:200003:5\n", "0:1000:1 1:200000:5", 200008},
		{"jane:x:1\njane:1\n:::\njane:-1:5\njane:4294967290:100\n", "0:1000:1", 100000},
		{"janet:100000:65536\n10000:1:1\n", "0:1000:1", 165536},
	};

	for (size_t i = 0; i < RB_ARRAY_LEN(rows); i++) {
		struct rb_id_map m = {.v = {{0, 1000, 1}}, .n = 1};
		uint32_t next = 0;

		rb_subids_parse(rows[i].text, "jane", 1000, &m, &next);
		RB_CLEANUP(rb_strp) char *got = ranges_text(&m);
		CHECK_STR(got, rows[i].want);
		CHECK_INT(next, rows[i].next);
	}
}

static void test_host__subids_from_getsubids(void)
{
	struct rb_id_map m = {.v = {{0, 1000, 1}}, .n = 1};

	rb_subids_parse_getsubids("0: jane 100000 65536\n1: jane 300000 10\nnonsense\n", &m);
	RB_CLEANUP(rb_strp) char *got = ranges_text(&m);
	CHECK_STR(got, "0:1000:1 1:100000:65536 65537:300000:10");
}

static void test_host__limit_ends_at_the_first_hole(void)
{
	const struct rb_id_map any_order = {.v = {{1, 100000, 10}, {0, 1000, 1}}, .n = 2};
	const struct rb_id_map hole = {.v = {{0, 1000, 1}, {2, 100000, 10}}, .n = 2};
	const struct rb_id_map none = {.n = 0};
	const struct rb_id_map all = {.v = {{0, 0, UINT32_MAX}}, .n = 1};

	CHECK_INT(rb_id_map_limit(&any_order), 11);
	CHECK_INT(rb_id_map_limit(&hole), 1);
	CHECK_INT(rb_id_map_limit(&none), 0);
	CHECK_INT(rb_id_map_limit(&all), UINT32_MAX);
}

/* --- probing --- */

static void test_host__unknown_mode(void)
{
	struct rb_error *err = NULL;
	struct rb_host h = {0};

	CHECK_INT(rb_host_probe("root", -1, &h, &err), -1);
	CHECK_INT(err ? err->code : 0, RB_ERR_USAGE);
	CHECK_ERR(&err, "unknown mode \"root\": range or single");
}

static void test_host__probe_is_remembered(void)
{
	char dir[] = "/tmp/rbuild-test-host-XXXXXX";
	struct rb_error *err = NULL;
	struct rb_host a = {0}, b = {0};

	RB_CLEANUP(rb_closep) int fd = open(mkdtemp(dir), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	CHECK_INT(rb_host_probe(NULL, fd, &a, &err), 0);
	CHECK(faccessat(fd, "host-probe", R_OK, 0) == 0);
	CHECK_INT(rb_host_probe(NULL, fd, &b, &err), 0);
	CHECK_OK(&err);
	RB_CLEANUP(rb_strp) char *first = ranges_text(&a.uids);
	RB_CLEANUP(rb_strp) char *second = ranges_text(&b.uids);
	CHECK_STR(second, first);
	CHECK_INT(b.rung, a.rung);
	CHECK_STR(b.newuidmap, a.newuidmap);
	CHECK_STR(b.why_not_range, a.why_not_range);
	rb_host_clear(&b);

	/* whatever stands in that file, it can only be forgotten */
	CHECK_INT(rb_publish_at(fd, "host-probe", "{\"key\":1}", 9, 0600, &err), 0);
	CHECK_INT(rb_host_probe(NULL, fd, &b, &err), 0);
	CHECK_OK(&err);
	CHECK_INT(b.rung, a.rung);
	rb_host_clear(&a);
	rb_host_clear(&b);
	(void)rb_remove_tree_at(AT_FDCWD, dir);
}

/* --- entering --- */

static int inner_identity(void *ctx)
{
	struct stat st;

	(void)ctx;
	if (getuid() != 0 || getgid() != 0 || getpid() != 1)
		return 1;
	/* private mounts: the namespace is ours to change */
	return stat("/", &st) == 0 ? 42 : 2;
}

static int inner_suicide(void *ctx)
{
	/* A pid 1 is deaf to its own SIGKILL; its fault is not. */
	(void)ctx;
	__builtin_trap();
}

static void test_host__enter_gives_root_and_status(void)
{
	struct rb_error *err = NULL;
	struct rb_host h = {0};

	CHECK_INT(rb_host_probe(NULL, -1, &h, &err), 0);
	CHECK_INT(rb_host_enter(&h, inner_identity, NULL, &err), 42);
	CHECK_INT(rb_host_enter(&h, inner_suicide, NULL, &err), 128 + SIGILL);
	CHECK_OK(&err);
	rb_host_clear(&h);
}

static void test_host__bad_map_is_an_error(void)
{
	struct rb_error *err = NULL;
	struct rb_host h = {.rung = RB_RUNG_SINGLE,
			    .uids = {.v = {{0, geteuid() + 1, 1}}, .n = 1},
			    .gids = {.v = {{0, getegid(), 1}}, .n = 1}};

	if (geteuid() != 0) /* root may map whom it likes */
		CHECK_INT(rb_host_enter(&h, inner_identity, NULL, &err), -1);
	if (geteuid() != 0)
		CHECK_ERR(&err, "uid map");
}

static int inner_signals(void *ctx)
{
	int ready_fd = *(int *)ctx;
	sigset_t set;
	int sig;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	(void)sigprocmask(SIG_BLOCK, &set, NULL);
	(void)rb_write_full(ready_fd, "r", 1);
	(void)sigwait(&set, &sig);
	return 50;
}

static int inner_deaf(void *ctx)
{
	(void)rb_write_full(*(int *)ctx, "r", 1);
	while (pause() < 0)
		;
	return 0;
}

/* Runs rb_host_enter in a child, sends the signals when fn says it is ready; the child's status. */
static int enter_and_signal(int (*fn)(void *), const int *signals, size_t n, int *ret_alive_fd)
{
	struct rb_error *err = NULL;
	struct rb_host h = {0};
	int ready[2], status = -1;
	char c;

	if (rb_host_probe(NULL, -1, &h, &err) < 0 || rb_pipe(ready) < 0)
		return -1;
	pid_t pid = fork();
	if (pid == 0) {
		(void)close(ready[0]);
		_exit(rb_host_enter(&h, fn, &ready[1], &err) & 0xff);
	}
	(void)close(ready[1]);
	CHECK_INT(rb_read_full(ready[0], &c, 1), 1);
	for (size_t i = 0; i < n; i++) {
		CHECK_INT(kill(pid, signals[i]), 0);
		(void)usleep(20000);
	}
	CHECK_INT(waitpid(pid, &status, 0), pid);
	*ret_alive_fd = ready[0];
	rb_host_clear(&h);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* The write end lives in the inner process alone: end of file means that it is gone. */
static void check_gone(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	char c;

	CHECK_INT(poll(&p, 1, 2000), 1);
	CHECK_INT(read(fd, &c, 1), 0);
	(void)close(fd);
}

static void test_host__signals_are_forwarded(void)
{
	const int term[] = {SIGTERM};
	int fd;

	CHECK_INT(enter_and_signal(inner_signals, term, 1, &fd), 50);
	check_gone(fd);
}

static void test_host__second_interrupt_kills(void)
{
	const int twice[] = {SIGINT, SIGINT};
	int fd;

	CHECK_INT(enter_and_signal(inner_deaf, twice, 2, &fd), 128 + SIGINT);
	check_gone(fd);
}

static void test_host__inner_dies_with_outer(void)
{
	const int kill_it[] = {SIGKILL};
	int fd;

	CHECK_INT(enter_and_signal(inner_deaf, kill_it, 1, &fd), 128 + SIGKILL);
	check_gone(fd);
}

/* --- doctor --- */

static void test_host__doctor_leaves_nothing(void)
{
	char dir[] = "/tmp/rbuild-test-host-XXXXXX";
	struct rb_error *err = NULL;
	struct rb_host h = {0};

	RB_CLEANUP(rb_strp) char *below = rb_asprintf("%s/not/there", mkdtemp(dir));
	CHECK_INT(rb_host_doctor(below, &h, &err), 0);
	CHECK_OK(&err);
	CHECK(h.n_checks >= 5);
	for (size_t i = 0; i < h.n_checks; i++) {
		CHECK(h.checks[i].name && h.checks[i].found);
		if (rb_streq(h.checks[i].name, "user namespaces"))
			CHECK(h.checks[i].ok);
	}
	rb_host_clear(&h);
	CHECK_INT(rmdir(dir), 0);
}

int main(void)
{
	return tap_run((const struct tap_test[]){
		TAP(test_host__subids_by_name_and_number),
		TAP(test_host__subids_from_getsubids),
		TAP(test_host__limit_ends_at_the_first_hole),
		TAP(test_host__unknown_mode),
		TAP(test_host__probe_is_remembered),
		TAP(test_host__enter_gives_root_and_status),
		TAP(test_host__bad_map_is_an_error),
		TAP(test_host__signals_are_forwarded),
		TAP(test_host__second_interrupt_kills),
		TAP(test_host__inner_dies_with_outer),
		TAP(test_host__doctor_leaves_nothing),
		TAP_END,
	});
}
