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

/* The initial namespace, a container of podman's, one whose ids have a hole. */
static const struct rb_id_map whole = {.v = {{0, 0, UINT32_MAX}}, .n = 1};
static const struct rb_id_map container = {.v = {{0, 1000, 1}, {1, 100000, 65536}}, .n = 2};
static const struct rb_id_map holed = {.v = {{200000, 5, 10}, {0, 1000, 1}, {1000, 7, 1}}, .n = 3};

static void test_host__subids_by_name_and_number(void)
{
	static const struct {
		const char *text;
		const struct rb_id_map *here;
		const char *want;
		bool any;
	} rows[] = {
		{"", &whole, "0:1000:1", false},
		{"jane:100000:65536\n", &whole, "0:1000:1 1:100000:65536", true},
		{"joe:100000:65536\njane:165536:65536", &whole, "0:1000:1 1:165536:65536", true},
		{"1000:200000:10\njane:300000:20\n", &whole, "0:1000:1 1:200000:10 11:300000:20",
		 true},
		/* small ones serve, too */
		{"jane:200000:1\n", &whole, "0:1000:1 1:200000:1", true},
		{"jane:200000:0\n", &whole, "0:1000:1", true},
		/* a range that holds the own id, and one given twice: the kernel wants each id once
		 */
		{"jane:500:1000\n", &whole, "0:1000:1 1:500:500 501:1001:499", true},
		{"jane:200000:5\njane:200003:5\n", &whole, "0:1000:1 1:200000:5 6:200005:3", true},
		{"jane:200003:5\njane:200000:9\n", &whole,
		 "0:1000:1 1:200003:5 6:200000:3 9:200008:1", true},
		{"jane:x:1\njane:1\n:::\njane:-1:5\njane:1:2:3\njane:4294967295:1\n", &whole,
		 "0:1000:1", false},
		{"jane:4294967290:100\n", &whole, "0:1000:1 1:4294967290:5", true},
		{"janet:100000:65536\n10000:1:1\n jane:1:1\n", &whole, "0:1000:1", false},
		/* what the namespace around does not have, and pieces of its extents */
		{"jane:100000:65536\n", &container, "0:1000:1", true},
		{"jane:1:999\njane:1001:64535\n", &container, "0:1000:1 1:1:999 1000:1001:64535",
		 true},
		{"jane:0:100\n", &container, "0:1000:1 1:0:1 2:1:99", true},
		{"jane:199990:15\n", &holed, "0:1000:1 1:200000:5", true},
	};

	for (size_t i = 0; i < RB_ARRAY_LEN(rows); i++) {
		struct rb_id_map m = {.v = {{0, 1000, 1}}, .n = 1};

		CHECK_INT(rb_subids_parse(rows[i].text, "jane", 1000, rows[i].here, &m),
			  rows[i].any);
		RB_CLEANUP(rb_strp) char *got = ranges_text(&m);
		CHECK_STR(got, rows[i].want);
	}
}

static void test_host__subids_without_a_name(void)
{
	struct rb_id_map m = {.v = {{0, 1000, 1}}, .n = 1};

	CHECK(rb_subids_parse("jane:5:5\n:7:7\n1000:200000:10\n", NULL, 1000, &whole, &m));
	RB_CLEANUP(rb_strp) char *got = ranges_text(&m);
	CHECK_STR(got, "0:1000:1 1:200000:10");
}

static void test_host__more_subids_than_a_map_holds(void)
{
	RB_CLEANUP(rb_buf_clear) struct rb_buf text = RB_BUF_INIT;
	struct rb_id_map m = {.v = {{0, 1000, 1}}, .n = 1};

	for (unsigned i = 0; i < 2 * RB_ID_EXTENTS_MAX; i++)
		rb_buf_addf(&text, "jane:%u:10\n", 100000 + i * 100);
	CHECK(rb_subids_parse(text.ptr, "jane", 1000, &whole, &m));
	CHECK_INT(m.n, RB_ID_EXTENTS_MAX);
	CHECK_INT(rb_id_map_limit(&m), 1 + 10 * (RB_ID_EXTENTS_MAX - 1));
}

static void test_host__subids_from_getsubids(void)
{
	struct rb_id_map m = {.v = {{0, 1000, 1}}, .n = 1};

	CHECK(rb_subids_parse_getsubids("0: jane 100000 65536\n1: jane 300000 10\nnonsense\n",
					&whole, &m));
	RB_CLEANUP(rb_strp) char *got = ranges_text(&m);
	CHECK_STR(got, "0:1000:1 1:100000:65536 65537:300000:10");
	CHECK(!rb_subids_parse_getsubids("", &whole, &m));
	CHECK(!rb_subids_parse_getsubids("Error fetching ranges\n", &whole, &m));
}

static void test_host__source_of_subids(void)
{
	static const struct {
		const char *text, *want;
	} rows[] = {
		{"", NULL},
		{"passwd: files sss\n", NULL},
		{"subid: files\n", NULL},
		{"subid:\n", NULL},
		{"# subid: sss\npasswd: files\n", NULL},
		{"subid: sss\n", "sss"},
		{"passwd: files\nsubid:\tsss files\n", "sss"},
		{"SubID: ldap", "ldap"},
	};

	for (size_t i = 0; i < RB_ARRAY_LEN(rows); i++) {
		RB_CLEANUP(rb_strp) char *got = rb_subids_source(rows[i].text);
		CHECK_STR(got, rows[i].want);
	}
}

static void test_host__free_range_is_nobodys(void)
{
	static const struct {
		const char *subuid, *subgid, *passwd;
		uint32_t id, want;
	} rows[] = {
		{"", "", "", 1000, 100000},
		{"a:100000:65536\n", "", "", 1000, 165536},
		{"", "a:100000:65536\n", "", 1000, 165536},
		/* the first hole that is large enough, in whatever order the lines are */
		{"b:300000:65536\na:100000:65536\n", "", "", 1000, 165536},
		{"b:200000:65536\na:100000:65536\n", "", "", 1000, 265536},
		{"a:100000:65536\n", "b:165536:10\n", "", 1000, 165546},
		{"a:99990:20\n", "", "", 1000, 100010},
		{"a:1:99999\n", "", "", 1000, 100000},
		/* ranges within ranges */
		{"a:100000:1000000\nb:200000:10\n", "", "", 1000, 1100000},
		/* users whose own numbers lie there: from /etc/passwd, and the caller's */
		{"", "", "big:x:120000:100::/:/bin/sh\n", 1000, 120001},
		{"", "", "", 165535, 165536},
		/* no room */
		{"a:100000:4294867295\n", "", "", 1000, 0},
		{"a:100000:65536\nb:165536:4294801760\n", "", "", 1000, 0},
		{"nonsense\na:b:c\na:1\n", "a:::\n", ":::\n", 1000, 100000},
	};

	for (size_t i = 0; i < RB_ARRAY_LEN(rows); i++)
		CHECK_INT(
			rb_subids_free(rows[i].subuid, rows[i].subgid, rows[i].passwd, rows[i].id),
			rows[i].want);
}

static void test_host__root_maps_what_a_container_has(void)
{
	struct rb_caller c = {.uid = 0,
			      .may_set_ids = true,
			      .may_set_groups = true,
			      .uids = container,
			      .gids = container};
	struct rb_host h = {0};

	/* piece by piece: the kernel takes no extent that spans two of the map around it */
	CHECK(rb_host_identity_maps(&c, &h));
	RB_CLEANUP(rb_strp) char *uids = ranges_text(&h.uids);
	RB_CLEANUP(rb_strp) char *gids = ranges_text(&h.gids);
	CHECK_STR(uids, "0:0:1 1:1:65536");
	CHECK_STR(gids, "0:0:1 1:1:65536");
	c.uids = whole;
	CHECK(rb_host_identity_maps(&c, &h));
	RB_CLEANUP(rb_strp) char *all = ranges_text(&h.uids);
	CHECK_STR(all, "0:0:4294967295");
	c.uids = holed; /* what is behind a hole is not used */
	CHECK(!rb_host_identity_maps(&c, &h));
	c.uids = container;
	c.may_set_groups = false;
	CHECK(!rb_host_identity_maps(&c, &h));
	c.may_set_groups = true;
	c.uid = 5;
	CHECK(!rb_host_identity_maps(&c, &h));
}

static void test_host__maps_are_read(void)
{
	struct rb_id_map m;

	rb_id_map_parse("         0       1000          1\n         1     100000      65536\n", &m);
	RB_CLEANUP(rb_strp) char *got = ranges_text(&m);
	CHECK_STR(got, "0:1000:1 1:100000:65536");
	rb_id_map_parse("", &m);
	CHECK_INT(m.n, 0);
	rb_id_map_parse("1 2\n", &m);
	CHECK_INT(m.n, 0);
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

/* --- mounts and lines --- */

static void test_host__mount_of_a_file(void)
{
	static const char text[] =
		"22 28 0:20 / /proc rw,nosuid - proc proc rw\n"
		"28 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw,discard\n"
		"broken line\n"
		"41 28 0:38 /a\\040b /mnt/two\\040words\\134x ro,nosuid,noexec master:3 shared:9 - "
		"fuse.sshfs host:/x rw\n"
		"42 28 0:39 / /last rw - nfs4 server:/ rw";
	static const struct {
		unsigned id;
		const char *point, *type, *options;
	} rows[] = {
		{28, "/", "ext4", "rw,relatime"},
		{41, "/mnt/two words\\x", "fuse.sshfs", "ro,nosuid,noexec"},
		{42, "/last", "nfs4", "rw"},
		{4, NULL, NULL, NULL},
	};

	for (size_t i = 0; i < RB_ARRAY_LEN(rows); i++) {
		RB_CLEANUP(rb_mount_clear) struct rb_mount m = {0};

		CHECK_INT(rb_mount_parse(text, rows[i].id, &m), rows[i].type != NULL);
		CHECK_STR(m.point, rows[i].point);
		CHECK_STR(m.type, rows[i].type);
		CHECK_STR(m.options, rows[i].options);
	}
	CHECK(rb_mount_shows_root(text));
	CHECK(!rb_mount_shows_root("22 28 0:20 / /proc rw,nosuid - proc proc rw\n"));
	RB_CLEANUP(rb_mount_clear) struct rb_mount proc = {0};
	RB_CLEANUP(rb_closep) int fd = open("/proc", O_PATH | O_CLOEXEC);
	CHECK(rb_mount_of_fd(fd, &proc));
	CHECK_STR(proc.type, "proc");
}

static void test_host__sizes(void)
{
	static const struct {
		uint64_t bytes;
		const char *want;
	} rows[] = {
		{0, "0 bytes"},
		{1023, "1023 bytes"},
		{4096, "4.0 KiB"},
		{65536, "64 KiB"},
		{(uint64_t)512 << 20, "512 MiB"},
		{(uint64_t)3 << 29, "1.5 GiB"},
		{(uint64_t)252 << 30, "252 GiB"},
		{UINT64_MAX, "16 EiB"},
	};

	for (size_t i = 0; i < RB_ARRAY_LEN(rows); i++) {
		RB_CLEANUP(rb_strp) char *got = rb_host_size_text(rows[i].bytes);
		CHECK_STR(got, rows[i].want);
	}
}

static void test_host__apparmor_profile_of_a_path(void)
{
	RB_CLEANUP(rb_strp) char *plain = rb_host_apparmor_line("/home/jane/bin/rbuild");
	RB_CLEANUP(rb_strp) char *odd = rb_host_apparmor_line("/o'x/a b*[1]/rbuild");

	CHECK(strstr(plain, "'profile rbuild \"/home/jane/bin/rbuild\" flags=(unconfined) {'"));
	CHECK(strstr(plain, "apparmor_parser -r /etc/apparmor.d/rbuild"));
	CHECK(strstr(odd, "'profile rbuild \"/o'\\''x/a b\\*\\[1\\]/rbuild\" flags"));
}

/* --- probing --- */

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
	CHECK_INT(b.can_notify, a.can_notify);
	CHECK_INT(b.notify_killable, a.notify_killable);
	CHECK_INT(b.notify_sync, a.notify_sync);
	rb_host_clear(&b);
	rb_host_forget(fd);
	CHECK(faccessat(fd, "host-probe", R_OK, 0) < 0);

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
	struct rb_host h = {0};

	RB_CLEANUP(rb_strp) char *below = rb_asprintf("%s/not/there", mkdtemp(dir));
	rb_host_doctor(below, &h);
	CHECK(h.n_checks >= 5);
	for (size_t i = 0; i < h.n_checks; i++) {
		CHECK(h.checks[i].name && h.checks[i].found);
		if (rb_streq(h.checks[i].name, "user namespaces"))
			CHECK(h.checks[i].ok);
	}
	CHECK(h.store_type != NULL && h.store_free_bytes > 0);
	rb_host_clear(&h);
	CHECK_INT(rmdir(dir), 0);

	rb_host_doctor(NULL, &h);
	for (size_t i = 0; i < h.n_checks; i++)
		CHECK(!rb_streq(h.checks[i].name, "overlay"));
	rb_host_clear(&h);
}

int main(void)
{
	return tap_run((const struct tap_test[]){
		TAP(test_host__subids_by_name_and_number),
		TAP(test_host__subids_without_a_name),
		TAP(test_host__more_subids_than_a_map_holds),
		TAP(test_host__subids_from_getsubids),
		TAP(test_host__source_of_subids),
		TAP(test_host__free_range_is_nobodys),
		TAP(test_host__root_maps_what_a_container_has),
		TAP(test_host__maps_are_read),
		TAP(test_host__limit_ends_at_the_first_hole),
		TAP(test_host__mount_of_a_file),
		TAP(test_host__sizes),
		TAP(test_host__apparmor_profile_of_a_path),
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
