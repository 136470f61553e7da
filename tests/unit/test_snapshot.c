/* SPDX-License-Identifier: Apache-2.0 */
/* needs: userns overlay */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/sys.h"
#include "snapshot/snapshot-internal.h"
#include "tap.h"

static struct rb_host host;
static char store_dir[] = "/tmp/rbuild-test-snapshot-XXXXXX";

/* --- a store and a snapshotter for one test, inside the namespace --- */

struct fixture {
	struct rb_store *store;
	struct rb_snapshotter *s;
};

static void setup(struct fixture *f)
{
	struct rb_error *err = NULL;

	*f = (struct fixture){0};
	if (rb_store_open(store_dir, &f->store, &err) < 0 ||
	    rb_snapshotter_open(f->store, &host, &f->s, &err) < 0)
		CHECK_OK(&err);
}

static void teardown(struct fixture *f)
{
	rb_snapshotter_free(f->s);
	rb_store_free(f->store);
}

/* Runs a test inside a user namespace; its failed checks come back as the exit status. */
static int run_inside(void *ctx)
{
	struct fixture f;

	setup(&f);
	if (f.s)
		((void (*)(struct fixture *)) * (void **)ctx)(&f);
	teardown(&f);
	return tap_failures > 200 ? 200 : (int)tap_failures;
}

static void inside(void (*fn)(struct fixture *))
{
	struct rb_error *err = NULL;
	void *p = *(void **)&fn;
	unsigned before = tap_failures;

	(void)fflush(stdout);
	int r = rb_host_enter(&host, run_inside, &p, &err);
	CHECK_OK(&err);
	CHECK_INT(r, before);
}

static struct rb_active *prepare(struct fixture *f, const char *parent)
{
	struct rb_error *err = NULL;
	struct rb_active *a = NULL;

	(void)rb_snapshot_prepare(f->s, parent, &a, &err);
	CHECK_OK(&err);
	return a;
}

static void commit(struct rb_active *a, const char *id, struct rb_snapshot_meta *ret)
{
	struct rb_error *err = NULL;

	(void)rb_active_commit(a, id, ret, &err);
	CHECK_OK(&err);
}

static int mount_of(struct rb_active *a)
{
	struct rb_error *err = NULL;
	int fd = rb_active_mount(a, &err);

	CHECK_OK(&err);
	return fd;
}

static int view(struct fixture *f, const char *id)
{
	struct rb_error *err = NULL;
	int fd = rb_snapshot_view(f->s, id, &err);

	CHECK_OK(&err);
	return fd;
}

static void put(int dirfd, const char *name, const char *text)
{
	RB_CLEANUP(rb_closep)
	int fd = openat(dirfd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	CHECK(fd >= 0);
	CHECK_INT(rb_write_full(fd, text, strlen(text)), 0);
}

static bool has(int dirfd, const char *name)
{
	return faccessat(dirfd, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static void check_text(int dirfd, const char *name, const char *want)
{
	struct rb_error *err = NULL;
	struct rb_buf b = RB_BUF_INIT;

	(void)rb_read_file_at(dirfd, name, 1 << 20, &b, &err);
	CHECK_OK(&err);
	CHECK_STR(b.ptr, want);
	rb_buf_clear(&b);
}

/* Names in the trees directory that start with prefix. */
static unsigned count(struct fixture *f, const char *prefix)
{
	unsigned n = 0;
	DIR *d = fdopendir(openat(f->s->dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	struct dirent *e;

	while (d && (e = readdir(d)))
		n += rb_starts_with(e->d_name, prefix);
	if (d)
		closedir(d);
	return n;
}

/* A committed snapshot over parent with one file. */
static void step(struct fixture *f, const char *parent, const char *id, const char *file)
{
	struct rb_active *a = prepare(f, parent);

	if (!a)
		return;
	put(rb_active_diff_fd(a), file, file);
	commit(a, id, NULL);
}

static double now_ms(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

/* --- tests --- */

static void bottom(struct fixture *f)
{
	struct rb_active *a = prepare(f, "");
	struct rb_snapshot_meta m;
	struct stat st;

	CHECK_INT(fstat(rb_active_diff_fd(a), &st), 0);
	CHECK_INT(st.st_mode, S_IFDIR | 0755);
	CHECK_INT(st.st_uid + st.st_gid, 0);
	RB_CLEANUP(rb_closep) int fd = mount_of(a);
	CHECK_INT(mkdirat(fd, "dir", 0755), 0);
	put(fd, "dir/file", "hello");
	check_text(rb_active_diff_fd(a), "dir/file", "hello");
	commit(a, NULL, &m);
	rb_closep(&fd);
	CHECK_INT(strlen(m.id), 32);
	CHECK_STR(m.parent, "");
	CHECK_INT(m.depth, 1);
	CHECK(m.created_s > 1600000000);
	CHECK(rb_snapshot_exists(f->s, m.id));
	fd = view(f, m.id);
	check_text(fd, "dir/file", "hello");
	CHECK_INT(openat(fd, "new", O_WRONLY | O_CREAT | O_CLOEXEC, 0644), -1);
	CHECK_INT(errno, EROFS);
	CHECK_INT(count(f, RB_SNAPSHOT_ACTIVE_PREFIX), 0);
	RB_CLEANUP(rb_strp) char *lock = rb_asprintf("%s/lock", m.id);
	RB_CLEANUP(rb_strp) char *work = rb_asprintf("%s/work", m.id);
	CHECK(!has(f->s->dirfd, lock));
	CHECK(!has(f->s->dirfd, work));
}

static void test_snapshot__bottom(void)
{
	inside(bottom);
}

static void stack(struct fixture *f)
{
	struct stat before, after;

	step(f, "", "c-stack1", "low");
	step(f, "c-stack1", "c-stack2", "mid");
	struct rb_active *a = prepare(f, "c-stack2");
	RB_CLEANUP(rb_closep) int fd = mount_of(a);
	CHECK_INT(fstatat(fd, "mid", &before, 0), 0);
	put(fd, "mid", "changed");
	CHECK_INT(fstatat(fd, "mid", &after, 0), 0);
	/* a number that changes by copy-up would break tar and rsync in a step */
	CHECK_INT(after.st_ino, before.st_ino);
	CHECK_INT(unlinkat(fd, "low", 0), 0);
	/* a whiteout is a 0:0 device in the diff */
	CHECK_INT(fstatat(rb_active_diff_fd(a), "low", &after, AT_SYMLINK_NOFOLLOW), 0);
	CHECK(S_ISCHR(after.st_mode) && after.st_rdev == 0);
	/* mounted again: what was written is there */
	rb_closep(&fd);
	fd = mount_of(a);
	check_text(fd, "mid", "changed");
	CHECK(!has(fd, "low"));
	commit(a, "c-stack3", NULL);
	rb_closep(&fd);
	fd = view(f, "c-stack3");
	check_text(fd, "mid", "changed");
	CHECK(!has(fd, "low"));
	rb_closep(&fd);
	fd = view(f, "c-stack2");
	check_text(fd, "mid", "mid");
	check_text(fd, "low", "low");
}

static void test_snapshot__stack(void)
{
	inside(stack);
}

static void scratch(struct fixture *f)
{
	struct rb_error *err = NULL;
	struct rb_strv chain = RB_STRV_INIT;
	struct rb_snapshot_meta m;
	struct rb_ledger *l = NULL;
	RB_CLEANUP(rb_closep) int fd = view(f, "");

	CHECK(!has(fd, "diff"));
	CHECK_INT(mkdirat(fd, "x", 0755), -1);
	CHECK(rb_snapshot_exists(f->s, ""));
	CHECK_INT(rb_snapshot_stat(f->s, "", &m, &err), 0);
	CHECK_INT(m.depth, 0);
	CHECK_INT(rb_snapshot_chain(f->s, "", &chain, &err), 0);
	CHECK_INT(chain.n, 0);
	CHECK_INT(rb_snapshot_view_ledger(f->s, "", &l, &err), 0);
	rb_ledger_free(l);
	CHECK_OK(&err);
}

static void test_snapshot__scratch(void)
{
	inside(scratch);
}

/* Mode, owner (real and recorded), attributes and times of the root go from step to step. */
static void root_metadata(struct fixture *f)
{
	static const struct {
		mode_t mode;
		uint32_t uid, gid;
	} rows[] = {{0755, 0, 0}, {01777, 0, 0}, {02751, 12345678, 42}, {0700, 0, 4000000000u}};
	const struct timespec times[2] = {{.tv_sec = 1000}, {.tv_sec = 1234567890, .tv_nsec = 987}};
	struct stat st;
	char buf[8];

	for (size_t i = 0; i < RB_ARRAY_LEN(rows); i++) {
		struct rb_snapshot_meta m;
		struct rb_active *a = prepare(f, "");
		int fd = rb_active_diff_fd(a);

		CHECK_INT(
			rb_ledger_chown(rb_active_ledger(a), fd, "", "", rows[i].uid, rows[i].gid),
			0);
		CHECK_INT(fchmod(fd, rows[i].mode), 0);
		CHECK_INT(rb_sys_setxattr(fd, "", "user.test", "abc", 3), 0);
		CHECK_INT(futimens(fd, times), 0);
		commit(a, NULL, &m);
		a = prepare(f, m.id);
		fd = rb_active_diff_fd(a);
		CHECK_INT(rb_ledger_stat(rb_active_ledger(a), fd, "", "", &st), 0);
		CHECK_INT(st.st_mode & 07777, rows[i].mode);
		CHECK_INT(st.st_uid, rows[i].uid);
		CHECK_INT(st.st_gid, rows[i].gid);
		CHECK_INT(st.st_mtim.tv_sec, times[1].tv_sec);
		CHECK_INT(st.st_mtim.tv_nsec, times[1].tv_nsec);
		CHECK_INT(rb_sys_getxattr(fd, "", "user.test", buf, sizeof(buf)), 3);
		rb_active_free(a);
	}
	CHECK_INT(count(f, RB_SNAPSHOT_ACTIVE_PREFIX), 0);
}

static void test_snapshot__root_metadata(void)
{
	mode_t old = umask(0077);

	inside(root_metadata);
	(void)umask(0);
	inside(root_metadata);
	(void)umask(old);
}

/* A recorded owner of a symlink is seen through the stack, and not where something hides it. */
static void ledger(struct fixture *f)
{
	struct rb_error *err = NULL;
	struct rb_ledger *l = NULL;
	struct stat st;
	struct rb_active *a = prepare(f, "");
	int diff = rb_active_diff_fd(a);

	CHECK_INT(symlinkat("x", diff, "link"), 0);
	CHECK_INT(symlinkat("x", diff, "other"), 0);
	CHECK_INT(rb_ledger_chown(rb_active_ledger(a), diff, "link", "link", 3000000000u, 7), 0);
	CHECK_INT(rb_ledger_chown(rb_active_ledger(a), diff, "other", "other", 3000000000u, 7), 0);
	commit(a, "c-ledger1", NULL);
	a = prepare(f, "c-ledger1");
	CHECK_INT(symlinkat("y", rb_active_diff_fd(a), "other"), 0);
	commit(a, "c-ledger2", NULL);
	step(f, "c-ledger2", "c-ledger3", "file");
	CHECK_INT(rb_snapshot_view_ledger(f->s, "c-ledger3", &l, &err), 0);
	CHECK_OK(&err);
	RB_CLEANUP(rb_closep) int fd = view(f, "c-ledger3");
	CHECK_INT(rb_ledger_stat(l, fd, "link", "link", &st), 0);
	CHECK_INT(st.st_uid, 3000000000u);
	CHECK_INT(rb_ledger_stat(l, fd, "other", "other", &st), 0);
	CHECK_INT(st.st_uid, 0);
	rb_ledger_free(l);
	RB_CLEANUP(rb_closep) int own = -1;
	CHECK_INT(rb_snapshot_diff(f->s, "c-ledger1", &own, &l, &err), 0);
	CHECK_OK(&err);
	CHECK_INT(rb_ledger_stat(l, own, "other", "other", &st), 0);
	CHECK_INT(st.st_uid, 3000000000u);
	rb_ledger_free(l);
}

static void test_snapshot__ledger(void)
{
	inside(ledger);
}

/* --- what a step leaves; each directory is copied up first */

static void set_owner(struct rb_active *a, int fd, const char *path)
{
	CHECK_INT(rb_ledger_chown(rb_active_ledger(a), fd, "", path, 1, 3000000001u), 0);
}

static void set_mode(struct rb_active *a, int fd, const char *path)
{
	(void)a, (void)path;
	CHECK_INT(fchmod(fd, 0711), 0);
}

static void set_time(struct rb_active *a, int fd, const char *path)
{
	(void)a, (void)path;
	CHECK_INT(futimens(fd, (struct timespec[]){{.tv_sec = 5}, {.tv_sec = 5, .tv_nsec = 1}}), 0);
}

static void set_attribute(struct rb_active *a, int fd, const char *path)
{
	(void)a, (void)path;
	CHECK_INT(rb_sys_setxattr(fd, "", "user.test", "new", 3), 0);
}

static void add_file(struct rb_active *a, int fd, const char *path)
{
	(void)a, (void)path;
	put(fd, "file", "x");
	set_time(a, fd, path);
}

static void change_nothing(struct rb_active *a, int fd, const char *path)
{
	(void)a, (void)path;
	CHECK_INT(fchmod(fd, 0750), 0);
}

static const struct {
	const char *path;
	void (*change)(struct rb_active *a, int fd, const char *path);
	bool stays;
} settled[] = {
	{"owner", set_owner, true},
	{"mode", set_mode, true},
	{"time", set_time, true},
	{"attribute", set_attribute, true},
	{"filled", add_file, true},
	{"same", change_nothing, false},
	{"in", change_nothing, false},
	{"in/same", change_nothing, false},
	{"in/same/deep", change_nothing, false},
	{"kept", set_mode, true},
	{"kept/same", change_nothing, false},
};

static void settle(struct fixture *f)
{
	const struct timespec times[2] = {{.tv_sec = 5}, {.tv_sec = 5, .tv_nsec = 7}};
	struct rb_error *err = NULL;
	struct rb_active *a = prepare(f, "");
	int diff = rb_active_diff_fd(a);
	struct stat before, after;

	for (size_t i = 0; i < RB_ARRAY_LEN(settled); i++)
		CHECK_INT(mkdirat(diff, settled[i].path, 0750), 0);
	for (size_t i = RB_ARRAY_LEN(settled); i > 0; i--) {
		RB_CLEANUP(rb_closep)
		int fd = openat(diff, settled[i - 1].path, O_RDONLY | O_CLOEXEC);
		CHECK_INT(rb_ledger_chown(rb_active_ledger(a), fd, "", settled[i - 1].path, 0,
					  3000000000u),
			  0);
		CHECK_INT(rb_sys_setxattr(fd, "", "user.test", "abc", 3), 0);
		CHECK_INT(futimens(fd, times), 0);
	}
	CHECK_INT(rb_active_settle(a, &err), 0); /* nothing below: everything stays */
	CHECK(has(diff, "in/same/deep"));
	commit(a, "c-settle1", NULL);
	step(f, "c-settle1", "c-settle2", "between");

	a = prepare(f, "c-settle2");
	diff = rb_active_diff_fd(a);
	int merged = mount_of(a);
	for (size_t i = 0; i < RB_ARRAY_LEN(settled); i++) {
		RB_CLEANUP(rb_closep)
		int fd = openat(merged, settled[i].path, O_RDONLY | O_CLOEXEC);
		change_nothing(a, fd, settled[i].path);
		CHECK(has(diff, settled[i].path));
		settled[i].change(a, fd, settled[i].path);
	}
	rb_closep(&merged);
	CHECK_INT(fstat(diff, &before), 0);
	CHECK_INT(rb_active_settle(a, &err), 0);
	CHECK_OK(&err);
	for (size_t i = 0; i < RB_ARRAY_LEN(settled); i++)
		if (has(diff, settled[i].path) != settled[i].stays)
			CHECK_STR(settled[i].path, settled[i].stays ? "stays" : "goes");
	/* The root and `kept` lost entries that were never changes. */
	CHECK_INT(fstat(diff, &after), 0);
	CHECK_INT(after.st_mtim.tv_nsec, before.st_mtim.tv_nsec);
	CHECK_INT(fstatat(diff, "kept", &after, 0), 0);
	CHECK_INT(after.st_mtim.tv_nsec, 7);
	rb_active_free(a);
}

static void test_snapshot__settle(void)
{
	inside(settle);
}

/* What no layer can hold is an error wherever it is, and however deep. */
static void settle_refuses(struct fixture *f)
{
	static const char *const names[] = {".wh.x", "a/b/.wh..wh..opq", "a/.wh.dir/file"};
	struct rb_error *err = NULL;

	for (size_t i = 0; i < RB_ARRAY_LEN(names); i++) {
		struct rb_active *a = prepare(f, "");
		int diff = rb_active_diff_fd(a);
		RB_CLEANUP(rb_strp) char *dirs = rb_strdup(names[i]);
		char *slash = strrchr(dirs, '/');

		if (slash)
			*slash = '\0';
		CHECK_INT(slash ? rb_mkdirs_at(diff, dirs, 0755) : 0, 0);
		put(diff, names[i], "");
		CHECK_INT(rb_active_settle(a, &err), -1);
		CHECK_INT(err ? err->code : 0, RB_ERR_CORRUPT);
		CHECK_ERR(&err, "names that begin with .wh.");
		rb_active_free(a);
	}
	struct rb_active *a = prepare(f, "");
	RB_CLEANUP(rb_closep) int fd = dup(rb_active_diff_fd(a));
	for (unsigned i = 0; i < 513; i++) {
		CHECK_INT(mkdirat(fd, "d", 0755), 0);
		int next = openat(fd, "d", O_RDONLY | O_CLOEXEC);
		rb_closep(&fd);
		fd = next;
	}
	CHECK_INT(rb_active_settle(a, &err), -1);
	CHECK_ERR(&err, "deeper than 512 directories");
	rb_active_free(a);
}

static void test_snapshot__settle_refuses(void)
{
	inside(settle_refuses);
}

static void deep(struct fixture *f)
{
	struct rb_error *err = NULL;
	struct rb_active *a = NULL;
	struct rb_strv chain = RB_STRV_INIT;
	char id[80] = "", parent[80] = "", file[16];

	for (unsigned i = 1; i <= RB_SNAPSHOT_DEPTH_MAX; i++) {
		(void)snprintf(parent, sizeof(parent), "%s", id);
		(void)snprintf(id, sizeof(id), "c-deep%u", i);
		(void)snprintf(file, sizeof(file), "f%u", i);
		step(f, parent, id, file);
		if (i != 1 && i != 10 && i != 100 && i != 300)
			continue;
		double t0 = now_ms();
		a = prepare(f, id);
		double t1 = now_ms();
		RB_CLEANUP(rb_closep) int fd = mount_of(a);
		double t2 = now_ms();
		check_text(fd, "f1", "f1");
		check_text(fd, file, file);
		put(fd, "f1", "again");
		rb_closep(&fd);
		rb_active_free(a);
		printf("# depth %u: prepare %.2f ms, mount %.2f ms\n", i, t1 - t0, t2 - t1);
	}
	CHECK_INT(rb_snapshot_chain(f->s, id, &chain, &err), 0);
	CHECK_INT(chain.n, RB_SNAPSHOT_DEPTH_MAX);
	CHECK_STR(chain.v[0], "c-deep1");
	CHECK_STR(chain.v[chain.n - 1], id);
	rb_strv_clear(&chain);
	RB_CLEANUP(rb_closep) int fd = view(f, id);
	check_text(fd, "f1", "f1");
	CHECK_INT(rb_snapshot_prepare(f->s, id, &a, &err), -1);
	CHECK_INT(err ? err->code : 0, RB_ERR_UNSUPPORTED);
	CHECK_ERR(&err, "COPY --from");
}

static void test_snapshot__deep(void)
{
	inside(deep);
}

/* mount(2), for kernels before 6.5, with as many layers as the other way. */
static void legacy(struct fixture *f)
{
	struct rb_strv lowers = RB_STRV_INIT;
	struct rb_active *a = prepare(f, "");
	RB_CLEANUP(rb_closep) int upper = mount_of(a); /* makes .empty and the first work */
	RB_CLEANUP(rb_closep)
	int here = open(f->s->path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct rb_snapshot_stack s = {.trees_fd = here, .trees_path = "x", .lowers = &lowers};
	char up[64], work[64];

	(void)snprintf(up, sizeof(up), RB_SNAPSHOT_EMPTY_DIR "/up");
	(void)snprintf(work, sizeof(work), RB_SNAPSHOT_EMPTY_DIR "/wk");
	CHECK_INT(mkdirat(f->s->dirfd, up, 0755) | mkdirat(f->s->dirfd, work, 0755), 0);
	for (unsigned i = RB_SNAPSHOT_DEPTH_MAX; i > 0; i--)
		rb_strv_addf(&lowers, "c-deep%u/diff", i);
	RB_CLEANUP(rb_closep) int fd = rb_overlay_mount_legacy(&s);
	CHECK(fd >= 0);
	check_text(fd, "f1", "f1");
	CHECK_INT(mkdirat(fd, "x", 0755), -1);
	CHECK_INT(errno, EROFS);
	rb_closep(&fd);
	s.upper = up;
	s.work = work;
	fd = rb_overlay_mount_legacy(&s);
	CHECK(fd >= 0);
	check_text(fd, "f300", "f300");
	put(fd, "f300", "written");
	CHECK(has(f->s->dirfd, RB_SNAPSHOT_EMPTY_DIR "/up/f300"));
	rb_strv_clear(&lowers);
	rb_closep(&fd);
	CHECK_INT(rb_remove_tree_at(f->s->dirfd, up) | rb_remove_tree_at(f->s->dirfd, work), 0);
	rb_active_free(a);
}

static void test_snapshot__legacy_mount(void)
{
	inside(legacy);
}

static void existing_wins(struct fixture *f)
{
	struct rb_snapshot_meta m;

	step(f, "", "c-same", "first");
	struct rb_active *a = prepare(f, "c-same");
	put(rb_active_diff_fd(a), "second", "x");
	commit(a, "c-same", &m);
	CHECK_INT(m.depth, 1);
	RB_CLEANUP(rb_closep) int fd = view(f, "c-same");
	CHECK(has(fd, "first") && !has(fd, "second"));
	CHECK_INT(count(f, RB_SNAPSHOT_ACTIVE_PREFIX), 0);
	/* a damaged one does not */
	int dir = openat(f->s->dirfd, "c-same", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	put(dir, "meta", "");
	close(dir);
	CHECK(!rb_snapshot_exists(f->s, "c-same"));
	step(f, "", "c-same", "third");
	rb_closep(&fd);
	fd = view(f, "c-same");
	CHECK(has(fd, "third") && !has(fd, "first"));
}

static void test_snapshot__existing_wins(void)
{
	inside(existing_wins);
}

static void reap(struct fixture *f)
{
	struct rb_error *err = NULL;
	struct rb_active *a = prepare(f, "");

	(void)fflush(stdout);
	pid_t pid = fork();
	if (pid == 0) {
		/* A killed rbuild: what a step wrote and a mode 0 directory stay behind. */
		struct rb_active *b = prepare(f, "");
		RB_CLEANUP(rb_closep) int fd = mount_of(b);

		put(fd, "junk", "junk");
		_exit(mkdirat(fd, "d", 0) + mkdirat(f->s->dirfd, ".dead-1", 0700) +
		      mkdirat(f->s->dirfd, ".active-nolock", 0700));
	}
	int status;
	CHECK_INT(waitpid(pid, &status, 0), pid);
	CHECK_INT(status, 0);
	CHECK_INT(count(f, "."), 2 + 1 + 4); /* . and .., .empty, states */
	CHECK_INT(rb_snapshot_reap(f->s, &err), 0);
	CHECK_OK(&err);
	CHECK_INT(count(f, RB_SNAPSHOT_DEAD_PREFIX), 0);
	CHECK_INT(count(f, RB_SNAPSHOT_ACTIVE_PREFIX), 1);
	put(rb_active_diff_fd(a), "alive", "x");
	commit(a, "c-alive", NULL);
	CHECK(rb_snapshot_exists(f->s, "c-alive"));
}

static void test_snapshot__reap(void)
{
	inside(reap);
}

static void remove_one(struct fixture *f)
{
	struct rb_error *err = NULL;

	step(f, "", "c-gone", "x");
	CHECK_INT(rb_snapshot_remove(f->s, "c-gone", &err), 0);
	CHECK_OK(&err);
	CHECK(!rb_snapshot_exists(f->s, "c-gone"));
	CHECK_INT(count(f, RB_SNAPSHOT_DEAD_PREFIX), 0);
	CHECK_INT(rb_snapshot_remove(f->s, "c-gone", &err), -1);
	CHECK_INT(err ? err->code : 0, RB_ERR_NOTFOUND);
	rb_error_drop(&err);
	struct rb_active *a = NULL;
	CHECK_INT(rb_snapshot_prepare(f->s, "c-gone", &a, &err), -1);
	CHECK_INT(err ? err->code : 0, RB_ERR_NOTFOUND);
	rb_error_drop(&err);
	CHECK_INT(rb_snapshot_view(f->s, "c-gone", &err), -1);
	CHECK_INT(err ? err->code : 0, RB_ERR_NOTFOUND);
	rb_error_drop(&err);
	/* an id of another shape never becomes a name on disk */
	a = prepare(f, "");
	CHECK_INT(rb_active_commit(a, "../x", NULL, &err), -1);
	CHECK_ERR(&err, "cannot be the id");
	CHECK_INT(count(f, RB_SNAPSHOT_ACTIVE_PREFIX), 0);
}

static void test_snapshot__remove(void)
{
	inside(remove_one);
}

/* A snapshotter opened before the namespace was entered serves inside of it. */
static int mount_with(void *ctx)
{
	struct rb_error *err = NULL;
	int fd = rb_snapshot_view(ctx, "c-outer", &err);

	CHECK_OK(&err);
	check_text(fd, "x", "x");
	return (int)tap_failures;
}

static void make_outer(struct fixture *f)
{
	step(f, "", "c-outer", "x");
	step(f, "c-outer", "c-outer2", "y");
}

/* Metadata is for the caller outside the namespace too. */
static void test_snapshot__outside(void)
{
	struct rb_error *err = NULL;
	struct rb_snapshot_meta m = {0};
	struct rb_strv chain = RB_STRV_INIT;
	struct fixture f;

	inside(make_outer);
	setup(&f);
	CHECK(rb_snapshot_exists(f.s, "c-outer2"));
	CHECK(!rb_snapshot_exists(f.s, "c-never") && !rb_snapshot_exists(f.s, ".empty") &&
	      !rb_snapshot_exists(f.s, "../range/c-outer"));
	CHECK_INT(rb_snapshot_stat(f.s, "c-outer2", &m, &err), 0);
	CHECK_OK(&err);
	CHECK_STR(m.parent, "c-outer");
	CHECK_INT(m.depth, 2);
	CHECK(!m.has_diff && !m.has_blob);
	CHECK_INT(rb_snapshot_chain(f.s, "c-outer2", &chain, &err), 0);
	CHECK_INT(chain.n, 2);
	rb_strv_clear(&chain);
	m.has_diff = true;
	m.diff_id = rb_digest_of("a", 1);
	m.diff_size = 12345;
	m.depth = 77; /* not believed */
	CHECK_INT(rb_snapshot_update(f.s, &m, &err), 0);
	m.has_diff = false;
	m.has_blob = true;
	m.blob = rb_digest_of("b", 1);
	m.blob_size = 99;
	(void)snprintf(m.media_type, sizeof(m.media_type), "application/x");
	CHECK_INT(rb_snapshot_update(f.s, &m, &err), 0);
	CHECK_OK(&err);
	struct rb_snapshot_meta got;
	CHECK_INT(rb_snapshot_stat(f.s, "c-outer2", &got, &err), 0);
	struct rb_digest want = rb_digest_of("a", 1);
	CHECK(got.has_diff && rb_digest_eq(&got.diff_id, &want) && got.diff_size == 12345);
	CHECK(got.has_blob && rb_digest_eq(&got.blob, &m.blob) && got.blob_size == 99);
	CHECK_STR(got.media_type, "application/x");
	CHECK_INT(got.depth, 2);
	CHECK_INT(rb_host_enter(&host, mount_with, f.s, &err), tap_failures);
	CHECK_OK(&err);
	teardown(&f);
}

static void place(struct fixture *f)
{
	RB_CLEANUP(rb_strv_clear) struct rb_strv chain = RB_STRV_INIT;
	struct rb_error *err = NULL;
	struct rb_snapshot_meta m, again, layer;

	step(f, "", "c-layer", "new");
	step(f, "", "c-below", "old");
	step(f, "c-below", "c-below2", "older");
	CHECK_INT(rb_snapshot_stat(f->s, "c-layer", &layer, &err), 0);
	CHECK_INT(rb_snapshot_place(f->s, "c-below2", "c-layer", &m, &err), 0);
	CHECK_OK(&err);
	CHECK_INT(m.depth, 3);
	CHECK_STR(m.parent, "c-below2");
	CHECK_INT(m.created_s, layer.created_s);
	CHECK_INT(m.created_ns, layer.created_ns);
	CHECK(rb_snapshot_exists(f->s, m.id));
	CHECK_INT(rb_snapshot_stat(f->s, m.id, &again, &err), 0);
	CHECK_OK(&err);
	CHECK(again.placed && again.depth == 3 && again.created_ns == m.created_ns);
	CHECK_STR(again.parent, "c-below2");
	CHECK_INT(rb_snapshot_place(f->s, "c-below2", "c-layer", &again, &err), 0);
	CHECK_STR(again.id, m.id);
	/* Its tree is the layer's, also for what is made on it. */
	CHECK_INT(rb_snapshot_chain(f->s, m.id, &chain, &err), 0);
	CHECK_INT(chain.n, 3);
	CHECK_STR(chain.v[2], "c-layer");
	RB_CLEANUP(rb_closep) int fd = view(f, m.id);
	CHECK(has(fd, "new") && has(fd, "old") && has(fd, "older"));
	rb_closep(&fd);
	/* Twice in one stack. */
	step(f, m.id, "c-on-it", "more");
	CHECK_INT(rb_snapshot_place(f->s, "c-on-it", "c-layer", &m, &err), 0);
	CHECK_OK(&err);
	CHECK_INT(m.depth, 5);
	fd = view(f, m.id);
	CHECK(has(fd, "new") && has(fd, "old") && has(fd, "more"));
	rb_closep(&fd);
	step(f, m.id, "c-on-both", "most");
	fd = view(f, "c-on-both");
	CHECK(has(fd, "new") && has(fd, "most"));
	rb_closep(&fd);
	/* Over nothing. */
	CHECK_INT(rb_snapshot_place(f->s, "", "c-layer", &m, &err), 0);
	CHECK_INT(m.depth, 1);
	CHECK_STR(m.parent, "");
	fd = view(f, m.id);
	CHECK(has(fd, "new") && !has(fd, "old"));
	CHECK_INT(rb_snapshot_place(f->s, "c-missing", "c-layer", &m, &err), -1);
	CHECK_INT(err ? err->code : 0, RB_ERR_NOTFOUND);
	rb_error_drop(&err);
}

/* A placed tree says nothing about the root directory. */
static void place_root(struct fixture *f)
{
	struct rb_snapshot_meta m;
	struct rb_error *err = NULL;
	struct stat st;

	step(f, "", "c-plain", "file");
	struct rb_active *a = prepare(f, "");
	CHECK_INT(fchmod(rb_active_diff_fd(a), 01777), 0);
	commit(a, "c-sticky", NULL);
	CHECK_INT(rb_snapshot_place(f->s, "c-sticky", "c-plain", &m, &err), 0);
	a = prepare(f, m.id);
	CHECK_INT(fstat(rb_active_diff_fd(a), &st), 0);
	CHECK_INT(st.st_mode & 07777, 01777);
	rb_active_free(a);
}

static void test_snapshot__place(void)
{
	inside(place);
	inside(place_root);
}

static void test_snapshot__damaged_metadata(void)
{
	static const struct {
		const char *text, *error;
	} rows[] = {
		{"", "meta"},
		{"{", "meta"},
		{"[]", "no list"},
		{"{}", "no list"},
		{"{\"lowers\":[\"../x\"]}", "bad id"},
		{"{\"lowers\":[1]}", "expected"},
		{"{\"lowers\":[],\"created_ns\":2000000000}", "impossible time"},
		{"{\"lowers\":[],\"placed\":1}", "no tree"},
		{"{\"lowers\":[],\"diff_size\":-1}", "negative"},
		{"{\"lowers\":[],\"diff_id\":\"sha256:12\"}", "not a digest"},
	};
	struct fixture f;
	struct rb_snapshot_meta m;

	setup(&f);
	CHECK_INT(mkdirat(f.s->dirfd, "c-bad", 0700), 0);
	for (size_t i = 0; i < RB_ARRAY_LEN(rows); i++) {
		struct rb_error *err = NULL;
		int dir = openat(f.s->dirfd, "c-bad", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

		put(dir, "meta", rows[i].text);
		close(dir);
		CHECK_INT(rb_snapshot_stat(f.s, "c-bad", &m, &err), -1);
		CHECK_INT(err ? err->code : 0, RB_ERR_CORRUPT);
		CHECK_ERR(&err, rows[i].error);
	}
	teardown(&f);
}

static void test_snapshot__no_backend(void)
{
	struct rb_host none = {.rung = RB_RUNG_NONE, .why_not_single = rb_strdup("no luck today")};
	struct rb_error *err = NULL;
	struct rb_store *store = NULL;
	struct rb_snapshotter *s = NULL;
	struct rb_active *a = NULL;

	CHECK_INT(rb_store_open(store_dir, &store, &err), 0);
	CHECK_INT(rb_snapshotter_open(store, &none, &s, &err), 0);
	CHECK_OK(&err);
	CHECK_INT(rb_snapshot_prepare(s, "", &a, &err), -1);
	CHECK_INT(err ? err->code : 0, RB_ERR_UNSUPPORTED);
	CHECK_ERR(&err, "no luck today");
	rb_snapshotter_free(s);
	rb_store_free(store);
	rb_host_clear(&none);
}

/* A full file system is told from other failures, and nothing is left behind. */
static void full(struct fixture *f)
{
	struct rb_error *err = NULL;
	struct rb_store *store = NULL;
	struct rb_snapshotter *s = NULL;
	struct rb_active *a = NULL;
	RB_CLEANUP(rb_strp) char *dir = rb_asprintf("%s/full", rb_store_path(f->store));
	unsigned made = 0;

	CHECK_INT(mkdir(dir, 0700), 0);
	CHECK_INT(mount("none", dir, "tmpfs", 0, "nr_inodes=40,mode=700"), 0);
	CHECK_INT(rb_store_open(dir, &store, &err), 0);
	CHECK_OK(&err);
	CHECK_INT(rb_snapshotter_open(store, &host, &s, &err), 0);
	CHECK_OK(&err);
	while (made < 20 && rb_snapshot_prepare(s, "", &a, &err) == 0 &&
	       rb_active_commit(a, NULL, NULL, &err) == 0)
		made++;
	CHECK(made > 0 && made < 20);
	CHECK_INT(err ? err->sys_errno : 0, ENOSPC);
	CHECK_ERR(&err, "free some space there or use a store on another disk with --root DIR");
	struct fixture small = {.store = store, .s = s};
	CHECK_INT(count(&small, RB_SNAPSHOT_ACTIVE_PREFIX), 0);
	rb_snapshotter_free(s);
	rb_store_free(store);
}

static void test_snapshot__full_disk(void)
{
	inside(full);
}

static int clean(void *ctx)
{
	(void)ctx;
	return rb_remove_tree_at(AT_FDCWD, store_dir) < 0;
}

int main(void)
{
	struct rb_error *err = NULL;
	const char *must = getenv("RB_TEST_MUST_HAVE");

	if (rb_host_probe(getenv("RB_TEST_MODE"), -1, &host, &err) < 0 ||
	    host.rung == RB_RUNG_NONE) {
		printf("1..0 # SKIP no user namespace: %s\n", err ? err->msg : host.why_not_single);
		return must && strstr(must, "userns") ? 1 : 0;
	}
	if (!mkdtemp(store_dir))
		return 1;
	printf("# rung %s\n", rb_rung_name(host.rung));
	int r = tap_run((const struct tap_test[]){
		TAP(test_snapshot__bottom), TAP(test_snapshot__stack), TAP(test_snapshot__scratch),
		TAP(test_snapshot__root_metadata), TAP(test_snapshot__ledger),
		TAP(test_snapshot__settle), TAP(test_snapshot__settle_refuses),
		TAP(test_snapshot__deep), TAP(test_snapshot__legacy_mount),
		TAP(test_snapshot__existing_wins), TAP(test_snapshot__reap),
		TAP(test_snapshot__remove), TAP(test_snapshot__outside), TAP(test_snapshot__place),
		TAP(test_snapshot__damaged_metadata), TAP(test_snapshot__no_backend),
		TAP(test_snapshot__full_disk), TAP_END});
	if (rb_host_enter(&host, clean, NULL, &err) != 0)
		r = 1;
	rb_error_drop(&err);
	rb_host_clear(&host);
	return r;
}
