/* SPDX-License-Identifier: Apache-2.0 */
/* Copying into a root: dockerfile.md 3.9, rules 3 to 9. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/path.h"
#include "base/sys.h"
#include "layer/copy.h"
#include "trees.h"

/* --- and back --- */

static void describe_other(struct rb_buf *out, int dirfd, const char *name, mode_t mode)
{
	char target[256] = "";
	struct rb_error *err = NULL;
	RB_CLEANUP(rb_buf_clear) struct rb_buf text = RB_BUF_INIT;

	if (S_ISLNK(mode)) {
		CHECK(readlinkat(dirfd, name, target, sizeof(target) - 1) > 0);
		rb_buf_addf(out, ">%s", target);
	} else if (S_ISREG(mode)) {
		(void)rb_read_file_at(dirfd, name, 4096, &text, &err);
		CHECK_OK(&err);
		rb_buf_addf(out, "=%s", text.ptr);
	} else {
		rb_buf_addch(out, S_ISFIFO(mode) ? '|' : '?');
	}
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

/* The same words, sorted within each directory. */
static void describe(struct rb_buf *out, int rootfd, const char *prefix)
{
	struct dirent **v = NULL;
	int n = scandirat(rootfd, *prefix ? prefix : ".", &v, NULL, by_name);

	for (int i = 0; i < n; i++) {
		RB_CLEANUP(rb_strp) char *path = rb_asprintf("%s%s", prefix, v[i]->d_name);
		bool dots = rb_streq(v[i]->d_name, ".") || rb_streq(v[i]->d_name, "..");
		struct stat st;

		free(v[i]);
		if (dots || fstatat(rootfd, path, &st, AT_SYMLINK_NOFOLLOW) < 0)
			continue;
		rb_buf_addf(out, "%s%s", out->len ? " " : "", path);
		if (S_ISDIR(st.st_mode)) {
			RB_CLEANUP(rb_strp) char *below = rb_asprintf("%s/", path);
			rb_buf_addch(out, '/');
			describe(out, rootfd, below);
		} else {
			describe_other(out, rootfd, path, st.st_mode);
		}
	}
	free(v);
}

static void check_tree(const char *what, int rootfd, const char *want)
{
	RB_CLEANUP(rb_buf_clear) struct rb_buf got = RB_BUF_INIT;

	describe(&got, rootfd, "");
	if (!rb_streq(got.ptr, want))
		printf("# in %s:\n", what);
	CHECK_STR(got.ptr, want);
}

/* --- the copy under test --- */

/* Which ids are real owners: none (a plain user), root's only, a range. */
static const uint32_t limits[] = {0, 1, 65536};

/* Runs with every ledger this process may use. */
static void each_ledger(void (*fn)(uint32_t limit))
{
	for (size_t i = 0; i < RB_ARRAY_LEN(limits); i++)
		if (limits[i] == 0 || geteuid() == 0)
			fn(limits[i]);
}

struct fixture {
	int src, dst;
	struct rb_ledger *src_ledger, *dst_ledger;
	struct rb_copy_spec spec;
};

static void setup(struct fixture *f, uint32_t limit, const char *src, const char *dst)
{
	*f = (struct fixture){
		.src = tree("src", src),
		.dst = tree("dst", dst),
		.src_ledger = rb_ledger_new(limit, limit),
		.dst_ledger = rb_ledger_new(limit, limit),
	};
	f->spec = (struct rb_copy_spec){
		.src_root_fd = f->src,
		.dst_root_fd = f->dst,
		.dst_ledger = f->dst_ledger,
		.chown_uid = -1,
		.chown_gid = -1,
	};
}

static void teardown(struct fixture *f)
{
	rb_closep(&f->src);
	rb_closep(&f->dst);
	rb_ledger_free(f->src_ledger);
	rb_ledger_free(f->dst_ledger);
}

/* As COPY src dest. */
static int copy(struct fixture *f, const char *src, const char *dest, struct rb_error **err)
{
	size_t n = strlen(dest);

	f->spec.src = src;
	f->spec.name = rb_path_base(src);
	f->spec.dest = dest;
	f->spec.dest_is_dir = n && dest[n - 1] == '/';
	return rb_copy(&f->spec, err);
}

static void copy_ok(struct fixture *f, const char *src, const char *dest)
{
	struct rb_error *err = NULL;

	(void)copy(f, src, dest, &err);
	CHECK_OK(&err);
}

static struct stat image_stat(struct fixture *f, const char *path)
{
	struct stat st = {0};

	CHECK_INT(rb_ledger_stat(f->dst_ledger, f->dst, path, path, &st), 0);
	return st;
}

static void check_owner(struct fixture *f, const char *path, uint32_t uid, uint32_t gid)
{
	struct stat st = image_stat(f, path);

	CHECK_INT(st.st_uid, uid);
	CHECK_INT(st.st_gid, gid);
}

static void check_mode(struct fixture *f, const char *path, mode_t mode)
{
	CHECK_INT(image_stat(f, path).st_mode & 07777, mode);
}

static void set_mtime(int dirfd, const char *path, time_t sec, long nsec)
{
	const struct timespec t[] = {{sec + 1, nsec}, {sec, nsec}};

	CHECK_INT(utimensat(dirfd, path, t, AT_SYMLINK_NOFOLLOW), 0);
}

static void check_times(int dirfd, const char *path, time_t sec, long nsec)
{
	struct stat st = {0};

	CHECK_INT(fstatat(dirfd, path, &st, AT_SYMLINK_NOFOLLOW), 0);
	CHECK_INT(st.st_mtim.tv_sec, sec);
	CHECK_INT(st.st_mtim.tv_nsec, nsec);
	/* Looking into it may have moved the access time on, but not from the past to the past. */
	CHECK(st.st_atim.tv_sec == sec + 1 || st.st_atim.tv_sec > time(NULL) - 60);
}

/* --- where things land --- */

static void rules(uint32_t limit)
{
	static const struct {
		const char *what, *src_tree, *dst_tree, *src, *dest, *want, *error;
	} rows[] = {
		{"file to a new name", "f=x", "", "f", "/g", "g=x", NULL},
		{"file into a new directory", "f=x", "", "f", "/a/b/", "a/ a/b/ a/b/f=x", NULL},
		{"file, missing parents", "f=x", "", "f", "/a/b/c", "a/ a/b/ a/b/c=x", NULL},
		{"file into an existing directory", "f=x", "d/", "f", "/d", "d/ d/f=x", NULL},
		{"file into the root", "f=x", "", "f", "/", "f=x", NULL},
		{"file over a file", "f=x", "g=old", "f", "/g", "g=x", NULL},
		{"file over a file in DEST", "f=x", "d/ d/f=old", "f", "/d", "d/ d/f=x", NULL},
		{"file over a link in DEST", "f=x", "d/ d/f>../k k=keep", "f", "/d",
		 "d/ d/f=x k=keep", NULL},
		{"file over a FIFO", "f=x", "g|", "f", "/g", "g=x", NULL},
		{"DEST is a link to a file", "f=x", "g>k k=old", "f", "/g", "g>k k=x", NULL},
		{"DEST is a link to a directory", "f=x", "l>/d d/", "f", "/l", "d/ d/f=x l>/d",
		 NULL},
		{"DEST is a link out of the root", "f=x", "l>../../../e e/", "f", "/l/",
		 "e/ e/f=x l>../../../e", NULL},
		{"DEST is a dangling link", "f=x", "l>/new/g", "f", "/l", "l>/new/g new/ new/g=x",
		 NULL},
		{"DEST is a dangling link, directory", "f=x", "l>new", "f", "/l/",
		 "l>new new/ new/f=x", NULL},
		{"a parent is a link", "f=x", "d/ l>d", "f", "/l/m/g", "d/ d/m/ d/m/g=x l>d", NULL},
		{"file over a directory in DEST", "f=x", "d/ d/f/", "f", "/d", NULL,
		 "cannot replace to directory /d/f with file"},
		{"a parent is a file", "f=x", "g=old", "f", "/g/h", NULL,
		 "cannot copy to non-directory: /g"},
		{"a parent's parent is a file", "f=x", "g=old", "f", "/g/h/i", NULL,
		 "cannot copy to non-directory: /g"},
		{"DEST/ is a file", "f=x", "g=old", "f", "/g/", NULL,
		 "cannot copy to non-directory: /g"},
		{"DEST loops", "f=x", "l>l", "f", "/l", NULL, "cannot follow /l in the image"},

		{"directory: its contents", "d/ d/f=x d/e/ d/e/g=y", "", "d", "/t",
		 "t/ t/e/ t/e/g=y t/f=x", NULL},
		{"the whole root", "f=x d/", "", "/", "/t/", "t/ t/d/ t/f=x", NULL},
		{"merged into the root", "d/ d/a/ d/a/f=x", "a/ a/g=y", "d", "/", "a/ a/f=x a/g=y",
		 NULL},
		{"directory into a link", "d/ d/f=x", "l>t t/", "d", "/l", "l>t t/ t/f=x", NULL},
		{"directory to a dangling link", "d/ d/f=x", "l>t", "d", "/l", "l>t t/ t/f=x",
		 NULL},
		{"empty directory", "d/", "", "d", "/t/u", "t/ t/u/", NULL},
		{"directory over a file", "d/", "t=old", "d", "/t", NULL,
		 "cannot copy to non-directory: /t"},
		{"sub-directory over a file", "d/ d/e/", "t/ t/e=old", "d", "/t", NULL,
		 "cannot copy to non-directory: /t/e"},
		{"sub-directory over a link to one", "d/ d/e/", "t/ t/e>../u u/", "d", "/t", NULL,
		 "cannot copy to non-directory: /t/e"},
		{"file over a sub-directory", "d/ d/e=x", "t/ t/e/", "d", "/t", NULL,
		 "cannot replace to directory /t/e with file"},
		{"link over a sub-directory", "d/ d/e>x", "t/ t/e/", "d", "/t", NULL,
		 "cannot replace to directory /t/e with file"},
		{"link over a file below", "d/ d/e>x", "t/ t/e=old", "d", "/t", "t/ t/e>x", NULL},

		{"the source is a link", "l>f f=x", "", "l", "/d/", "d/ d/l=x", NULL},
		{"the source is a link to a directory", "l>/d d/ d/f=x", "", "l", "/t", "t/ t/f=x",
		 NULL},
		{"the source is behind a link", "l>../../d d/ d/f=x", "", "l/f", "/f", "f=x", NULL},
		{"links inside stay", "d/ d/a>f d/f=x d/b>/etc/passwd d/c>..", "", "d", "/t",
		 "t/ t/a>f t/b>/etc/passwd t/c>.. t/f=x", NULL},
		{"FIFO and socket", "d/ d/p| d/s~", "", "d", "/t", "t/ t/p| t/s=", NULL},
		{"the source is missing", "", "", "nope", "/t", NULL, "\"/nope\": not found"},
		{"the source dangles", "l>nope", "", "l", "/t", NULL, "\"/nope\": not found"},
	};

	for (size_t i = 0; i < RB_ARRAY_LEN(rows); i++) {
		struct rb_error *err = NULL;
		struct fixture f;

		setup(&f, limit, rows[i].src_tree, rows[i].dst_tree);
		int r = copy(&f, rows[i].src, rows[i].dest, &err);
		if (rows[i].error) {
			CHECK_INT(r, -1);
			CHECK_ERR(&err, rows[i].error);
		} else {
			CHECK_OK(&err);
			check_tree(rows[i].what, f.dst, rows[i].want);
		}
		teardown(&f);
	}
}

static void test_copy__rules(void)
{
	each_ledger(rules);
}

/* As from a context: empty files (dockerfile.md 3.9). */
static void stage_sockets(uint32_t limit)
{
	struct fixture f;

	setup(&f, limit, "d/ d/s~ d/f=x s~", "");
	f.spec.src_ledger = f.src_ledger;
	copy_ok(&f, "d", "/t");
	copy_ok(&f, "s", "/u/");
	check_tree("sockets", f.dst, "t/ t/f=x t/s= u/ u/s=");
	teardown(&f);
}

static void test_copy__stage_sockets(void)
{
	each_ledger(stage_sockets);
}

/* --- metadata --- */

static void context_owner(uint32_t limit)
{
	struct fixture f;

	setup(&f, limit, "d/ d/e/ d/e/f=x d/l>f", "");
	if (geteuid() == 0)
		CHECK_INT(fchownat(f.src, "d/e/f", 7, 8, 0), 0);
	copy_ok(&f, "d", "/t/u");
	static const char *const paths[] = {"t", "t/u", "t/u/e", "t/u/e/f", "t/u/l"};
	for (size_t i = 0; i < RB_ARRAY_LEN(paths); i++)
		check_owner(&f, paths[i], 0, 0);
	teardown(&f);
}

static void test_copy__context_owner(void)
{
	each_ledger(context_owner);
}

/* What a tree of an image may hold, on both sides of what this ledger's disk can. */
static const struct {
	const char *path;
	uint32_t uid, gid;
	mode_t mode;
} kept[] = {
	{"d", 3, 4, 0700},     {"d/e", 1000, 1001, 02750}, {"d/e/f", 100000, 5, 04751},
	{"d/e/g", 0, 7, 0444}, {"d/p", 9, 100000, 0622},   {"d/l", 12, 13, 0777},
	{"d/c", 0, 6, 0660},   {"d/m", 1, 2, 01777},
};

static void own(struct fixture *f)
{
	CHECK_INT(
		rb_ledger_mknod(f->src_ledger, f->src, "d/c", "d/c", S_IFCHR | 0660, makedev(1, 3)),
		0);
	for (size_t i = 0; i < RB_ARRAY_LEN(kept); i++) {
		CHECK_INT(rb_ledger_chown(f->src_ledger, f->src, kept[i].path, kept[i].path,
					  kept[i].uid, kept[i].gid),
			  0);
		if (kept[i].mode != 0777)
			CHECK_INT(fchmodat(f->src, kept[i].path, kept[i].mode, 0), 0);
	}
	f->spec.src_ledger = f->src_ledger;
}

/* Existing sub-directories are as new ones; DEST is not. */
static void keeps(uint32_t limit)
{
	static const char *const dst_trees[] = {"d/", "d/ d/e/ d/m/ d/p| d/l>old d/c=old"};

	for (size_t t = 0; t < RB_ARRAY_LEN(dst_trees); t++) {
		struct fixture f;

		setup(&f, limit, "d/ d/e/ d/e/f=x d/e/g=y d/p| d/l>f d/m/", dst_trees[t]);
		own(&f);
		CHECK_INT(rb_ledger_chown(f.dst_ledger, f.dst, "d", "d", 77, 100000), 0);
		CHECK_INT(fchmodat(f.dst, "d", 0751, 0), 0);
		copy_ok(&f, "d", "/d");
		check_owner(&f, "d", 77, 100000);
		check_mode(&f, "d", 0751);
		for (size_t i = 1; i < RB_ARRAY_LEN(kept); i++) {
			check_owner(&f, kept[i].path, kept[i].uid, kept[i].gid);
			check_mode(&f, kept[i].path, kept[i].mode);
		}
		struct stat st = image_stat(&f, "d/c");
		CHECK(S_ISCHR(st.st_mode));
		CHECK_INT(st.st_rdev, makedev(1, 3));
		teardown(&f);
	}
}

static void test_copy__keeps_owner_and_mode(void)
{
	mode_t old = umask(0077);

	each_ledger(keeps);
	(void)umask(old);
}

static void chown_chmod(uint32_t limit)
{
	static const char *const all[] = {"n", "n/t", "n/t/e", "n/t/e/f", "n/t/s"};
	struct rb_mode_change mode;
	struct fixture f;

	CHECK_INT(rb_mode_parse("4710", &mode), 0);
	setup(&f, limit, "d/ d/e/ d/e/f=x d/l>f d/s/", "old/");
	f.spec.chown_uid = 70000;
	f.spec.chown_gid = 5;
	f.spec.chmod = &mode;
	copy_ok(&f, "d", "/n/t");
	copy_ok(&f, "d", "/old");
	for (size_t i = 0; i < RB_ARRAY_LEN(all); i++) {
		check_owner(&f, all[i], 70000, 5);
		check_mode(&f, all[i], 04710);
	}
	check_owner(&f, "n/t/l", 70000, 5);
	check_mode(&f, "n/t/l", 0777);
	check_owner(&f, "old/s", 70000, 5);
	check_mode(&f, "old", 0755);
	teardown(&f);
}

static void test_copy__chown_and_chmod(void)
{
	each_ledger(chown_chmod);
}

static void test_copy__made_parents(void)
{
	mode_t old = umask(0077);
	struct fixture f;

	setup(&f, 0, "d/ f=x", "");
	CHECK_INT(fchmodat(f.src, "d", 0700, 0), 0);
	copy_ok(&f, "f", "/a/b/");
	copy_ok(&f, "d", "/c/e");
	(void)umask(old);
	static const char *const made[] = {"a", "a/b", "c", "c/e"};
	for (size_t i = 0; i < RB_ARRAY_LEN(made); i++)
		check_mode(&f, made[i], 0755);
	check_mode(&f, "a/b/f", 0644);
	teardown(&f);
}

static void test_copy__times(void)
{
	static const char *const paths[] = {"t", "t/e", "t/e/f", "t/e/l", "t/e/p", "new", "new/e"};
	struct fixture f;

	setup(&f, 0, "t/ t/e/ t/e/f=x t/e/l>f t/e/p|", "t/ t/e/");
	for (size_t i = 5; i-- > 0;)
		set_mtime(f.src, paths[i], 1000000000 + (time_t)i, 123456789);
	copy_ok(&f, "t", "/t");
	copy_ok(&f, "t", "/new");
	for (size_t i = 0; i < RB_ARRAY_LEN(paths); i++)
		check_times(f.dst, paths[i], 1000000000 + (time_t)(i < 5 ? i : i - 5), 123456789);
	teardown(&f);
}

static void check_xattr(int dirfd, const char *path, const char *key, const char *want)
{
	char got[64] = "";
	ssize_t n = rb_sys_getxattr(dirfd, path, key, got, sizeof(got) - 1);

	CHECK_STR(n < 0 ? NULL : got, want);
}

static void set_xattr(int dirfd, const char *path, const char *key, const char *value)
{
	CHECK_INT(rb_sys_setxattr(dirfd, path, key, value, strlen(value)), 0);
}

static void test_copy__xattrs(void)
{
	struct fixture f;

	setup(&f, 0, "d/ d/e/ d/f=x", "t/ t/e/ t/f=old");
	set_xattr(f.src, "d", "user.top", "no");
	set_xattr(f.src, "d/e", "user.a", "1");
	set_xattr(f.src, "d/f", "user.b", "2");
	set_xattr(f.src, "d/f", "user.overlay.opaque", "y");
	set_xattr(f.src, "d/f", "user.rbuild.entry", "5:5");
	set_xattr(f.dst, "t", "user.kept", "3");
	set_xattr(f.dst, "t/e", "user.old", "4");
	set_xattr(f.dst, "t/f", "user.old", "4");
	CHECK_INT(fchmodat(f.src, "d/f", 0444, 0), 0);
	CHECK_INT(fchmodat(f.dst, "t/e", 0555, 0), 0);
	copy_ok(&f, "d", "/t");
	check_xattr(f.dst, "t", "user.top", NULL);
	check_xattr(f.dst, "t", "user.kept", "3");
	check_xattr(f.dst, "t/e", "user.a", "1");
	check_xattr(f.dst, "t/e", "user.old", NULL);
	check_xattr(f.dst, "t/f", "user.b", "2");
	check_xattr(f.dst, "t/f", "user.old", NULL);
	check_xattr(f.dst, "t/f", "user.overlay.opaque", NULL);
	check_owner(&f, "t/f", 0, 0);
	teardown(&f);
}

/* chown takes capabilities away: they have to come after it. */
static void test_copy__capabilities(void)
{
	static const char caps[20] = {1, 0, 0, 2, 0, 0x20};
	char got[64];
	struct fixture f;

	if (geteuid() != 0)
		return;
	setup(&f, 65536, "f=x", "");
	CHECK_INT(rb_sys_setxattr(f.src, "f", "security.capability", caps, sizeof(caps)), 0);
	f.spec.chown_uid = f.spec.chown_gid = 5;
	copy_ok(&f, "f", "/g");
	CHECK_INT(rb_sys_getxattr(f.dst, "g", "security.capability", got, sizeof(got)), 20);
	CHECK(memcmp(got, caps, sizeof(caps)) == 0);
	teardown(&f);
}

/* --- contents --- */

static ino_t inode(int dirfd, const char *path)
{
	struct stat st = {0};

	CHECK_INT(fstatat(dirfd, path, &st, AT_SYMLINK_NOFOLLOW), 0);
	return st.st_ino;
}

static void hard_links(uint32_t limit)
{
	struct fixture f;

	setup(&f, limit, "d/ d/a=x d/b/ d/b/c@d/a d/e=y d/p| d/q@d/p d/l>a d/m@d/l out@d/e",
	      "t/ t/b/ t/b/c=old");
	f.spec.src_ledger = f.src_ledger;
	for (const char *const *p = (const char *const[]){"d/p", "d/q", "d/l", "d/m", NULL}; *p;
	     p++)
		CHECK_INT(rb_ledger_chown(f.src_ledger, f.src, *p, *p, 100000, 1), 0);
	copy_ok(&f, "d", "/t");
	check_tree("hard links", f.dst, "t/ t/a=x t/b/ t/b/c=x t/e=y t/l>a t/m>a t/p| t/q|");
	CHECK_INT(inode(f.dst, "t/b/c"), inode(f.dst, "t/a"));
	CHECK_INT(inode(f.dst, "t/q"), inode(f.dst, "t/p"));
	CHECK_INT(inode(f.dst, "t/m"), inode(f.dst, "t/l"));
	check_owner(&f, "t/q", 100000, 1);
	check_owner(&f, "t/m", 100000, 1);
	/* Each call stands alone. */
	copy_ok(&f, "d/a", "/u");
	CHECK(inode(f.dst, "u") != inode(f.dst, "t/a"));
	teardown(&f);
}

static void test_copy__hard_links(void)
{
	each_ledger(hard_links);
}

static void test_copy__sparse(void)
{
	struct stat st = {0};
	struct fixture f;

	setup(&f, 0, "s=", "");
	RB_CLEANUP(rb_closep) int fd = openat(f.src, "s", O_WRONLY | O_CLOEXEC);
	CHECK_INT(pwrite(fd, "end", 3, 64 << 20), 3);
	copy_ok(&f, "s", "/s");
	CHECK_INT(fstatat(f.dst, "s", &st, 0), 0);
	CHECK_INT(st.st_size, (64 << 20) + 3);
	CHECK(st.st_blocks < 2048);
	teardown(&f);
}

static void test_copy__context_device(void)
{
	struct fixture f;

	if (geteuid() != 0)
		return;
	setup(&f, 65536, "d/", "");
	if (mknodat(f.src, "d/z", S_IFCHR | 0600, makedev(0, 0)) == 0) {
		copy_ok(&f, "d", "/t");
		struct stat st = image_stat(&f, "t/z");
		CHECK(S_ISCHR(st.st_mode));
		CHECK_INT(st.st_rdev, 0);
		CHECK_INT(fstatat(f.dst, "t/z", &st, 0), 0);
		CHECK(S_ISREG(st.st_mode));
	}
	teardown(&f);
}

static void test_copy__deep(void)
{
	RB_CLEANUP(rb_buf_clear) struct rb_buf path = RB_BUF_INIT;
	struct rb_error *err = NULL;
	struct fixture f;

	setup(&f, 0, "", "");
	rb_buf_addstr(&path, "d");
	for (int i = 0; i < 405; i++) {
		if (i == 400) {
			CHECK_INT(rb_mkdirs_at(f.src, path.ptr, 0755), 0);
			copy_ok(&f, "d", "/t");
		}
		rb_buf_addstr(&path, "/d");
	}
	CHECK_INT(rb_mkdirs_at(f.src, path.ptr, 0755), 0);
	CHECK_INT(copy(&f, "d", "/t", &err), -1);
	CHECK_ERR(&err, "directories are nested more than 400 deep");
	teardown(&f);
}

/* --- what is left out --- */

/* Leaves out what begins with "no"; directories "maybe" are looked into. */
static int skip_no(void *ctx, const char *path, bool is_dir)
{
	(void)ctx;
	if (is_dir && rb_starts_with(rb_path_base(path), "maybe"))
		return RB_COPY_DESCEND;
	if (rb_streq(rb_path_base(path), "answers-descend"))
		return RB_COPY_DESCEND;
	return rb_starts_with(rb_path_base(path), "no") ? RB_COPY_SKIP : RB_COPY_TAKE;
}

static void test_copy__skip(void)
{
	static const struct {
		const char *src, *dst, *want;
	} rows[] = {
		{"d/ d/a=1 d/no=2 d/nod/ d/nod/a=3", "", "t/ t/a=1"},
		{"d/ d/maybe/ d/maybe/no=1", "", "t/"},
		{"d/ d/maybe/ d/maybe/maybe2/ d/maybe/maybe2/a=1 d/maybe/maybe3/", "",
		 "t/ t/maybe/ t/maybe/maybe2/ t/maybe/maybe2/a=1"},
		{"d/ d/maybe/ d/maybe/e/", "", "t/ t/maybe/ t/maybe/e/"},
		{"d/ d/maybe/ d/maybe/no=1", "t/ t/maybe=kept", "t/ t/maybe=kept"},
		{"d/ d/answers-descend=1", "", "t/"},
		/* The first name of two is hidden. */
		{"d/ d/no=1 d/y@d/no d/z@d/no", "", "t/ t/y=1 t/z=1"},
	};

	for (size_t i = 0; i < RB_ARRAY_LEN(rows); i++) {
		struct fixture f;

		setup(&f, 0, rows[i].src, rows[i].dst);
		f.spec.skip = skip_no;
		copy_ok(&f, "d", "/t");
		check_tree(rows[i].src, f.dst, rows[i].want);
		teardown(&f);
	}
}

static void test_copy__skip_conflict(void)
{
	struct rb_error *err = NULL;
	struct fixture f;

	setup(&f, 0, "d/ d/maybe/ d/maybe/e/ d/maybe/e/a=1", "t/ t/maybe=kept");
	f.spec.skip = skip_no;
	CHECK_INT(copy(&f, "d", "/t", &err), -1);
	CHECK_ERR(&err, "cannot copy to non-directory: /t/maybe");
	teardown(&f);
}

/* A put-off directory has its source's metadata. */
static void test_copy__skip_metadata(void)
{
	struct fixture f;

	setup(&f, 0, "d/ d/maybe/ d/maybe/a=1", "");
	CHECK_INT(fchmodat(f.src, "d/maybe", 0710, 0), 0);
	set_mtime(f.src, "d/maybe", 1234567890, 5);
	f.spec.skip = skip_no;
	copy_ok(&f, "d", "/t");
	check_mode(&f, "t/maybe", 0710);
	check_times(f.dst, "t/maybe", 1234567890, 5);
	teardown(&f);
}

/* --- a plain user --- */

static void unreadable(void)
{
	static const struct {
		const char *src;
		bool from_image;
		const char *error;
	} rows[] = {
		{"d", false,
		 "cannot read \"d/f\" in the build context: Permission denied; make it readable "
		 "(chmod) or list it in .dockerignore"},
		{"e", false, "cannot read \"e/g\" in the build context: Permission denied"},
		{"d", true, "cannot read \"d/f\": Permission denied"},
	};
	struct fixture f;

	setup(&f, 0, "d/ d/f=secret e/ e/g/", "");
	CHECK_INT(fchmodat(f.src, "d/f", 0, 0), 0);
	CHECK_INT(fchmodat(f.src, "e/g", 0, 0), 0);
	for (size_t i = 0; i < RB_ARRAY_LEN(rows); i++) {
		struct rb_error *err = NULL;

		f.spec.src_ledger = rows[i].from_image ? f.src_ledger : NULL;
		CHECK_INT(copy(&f, rows[i].src, "/t", &err), -1);
		CHECK_INT(err ? err->code : 0, RB_ERR_CONTEXT);
		CHECK_ERR(&err, rows[i].error);
	}
	CHECK_INT(fchmodat(f.src, "e/g", 0755, 0), 0);
	teardown(&f);
}

/* Trees that are not writable are copied, and copied onto, all the same. */
static void read_only(void)
{
	struct fixture f;

	setup(&f, 0, "d/ d/e/ d/e/f=x", "");
	set_xattr(f.src, "d/e/f", "user.a", "1");
	CHECK_INT(fchmodat(f.src, "d/e/f", 0444, 0), 0);
	CHECK_INT(fchmodat(f.src, "d/e", 0555, 0), 0);
	f.spec.chown_uid = f.spec.chown_gid = 5;
	for (int i = 0; i < 2; i++) {
		copy_ok(&f, "d", "/t");
		check_mode(&f, "t/e", 0555);
		check_mode(&f, "t/e/f", 0444);
		check_owner(&f, "t/e/f", 5, 5);
		check_xattr(f.dst, "t/e/f", "user.a", "1");
	}
	teardown(&f);
}

static int as_nobody(void (*fn)(void))
{
	unsigned before = tap_failures;

	if (fchownat(AT_FDCWD, top, 65534, 65534, 0) < 0 || setresgid(65534, 65534, 65534) < 0 ||
	    setresuid(65534, 65534, 65534) < 0)
		return 1;
	fn();
	(void)fflush(stdout);
	return tap_failures != before;
}

static void plain_user(void (*fn)(void))
{
	int status = -1;

	if (geteuid() != 0) {
		fn();
		return;
	}
	/* What the tests before left behind is root's. */
	CHECK_INT(rb_remove_tree_at(AT_FDCWD, top), 0);
	CHECK_INT(mkdir(top, 0700), 0);
	(void)fflush(stdout);
	pid_t pid = fork();
	if (pid == 0)
		_exit(as_nobody(fn));
	CHECK_INT(waitpid(pid, &status, 0), pid);
	CHECK_INT(status, 0);
}

static void test_copy__unreadable(void)
{
	plain_user(unreadable);
}

static void test_copy__read_only(void)
{
	plain_user(read_only);
}

static void rules_plain(void)
{
	each_ledger(rules);
	each_ledger(keeps);
	each_ledger(hard_links);
}

static void test_copy__plain_user(void)
{
	plain_user(rules_plain);
}

/* --- files with given content --- */

static void inline_files(uint32_t limit)
{
	static const struct {
		const char *name, *dest, *dst_tree, *want, *error;
	} rows[] = {
		{"EOF", "/f", "", "f=text", NULL},
		{"EOF", "/d/", "", "d/ d/EOF=text", NULL},
		{"EOF", "/d", "d/", "d/ d/EOF=text", NULL},
		{"EOF", "/l", "l>f f=old", "f=text l>f", NULL},
		{"EOF", "/l/", "l>/n/m", "l>/n/m n/ n/m/ n/m/EOF=text", NULL},
		{"EOF", "/a/b/c", "", "a/ a/b/ a/b/c=text", NULL},
		{"a/b", "/f", "", "f=text", NULL},
		{"../b", "/d/", "", NULL, "\"../b\" cannot be the name of a file in /d/"},
		{"..", "/d/", "", NULL, "\"..\" cannot be the name of a file"},
		{"EOF", "/d/", "d/ d/EOF/", NULL, "cannot replace to directory /d/EOF with file"},
		{"EOF", "/f/g", "f=x", NULL, "cannot copy to non-directory: /f"},
	};

	for (size_t i = 0; i < RB_ARRAY_LEN(rows); i++) {
		struct rb_error *err = NULL;
		struct fixture f;

		setup(&f, limit, "", rows[i].dst_tree);
		f.spec.name = rows[i].name;
		f.spec.dest = rows[i].dest;
		f.spec.dest_is_dir = rows[i].dest[strlen(rows[i].dest) - 1] == '/';
		int r = rb_copy_inline(&f.spec, "text", 4, &err);
		if (rows[i].error) {
			CHECK_INT(r, -1);
			CHECK_ERR(&err, rows[i].error);
		} else {
			CHECK_OK(&err);
			check_tree(rows[i].dest, f.dst, rows[i].want);
		}
		teardown(&f);
	}
}

static void inline_metadata(uint32_t limit)
{
	static const struct {
		int64_t uid, gid;
		const char *chmod;
		uint32_t want_uid, want_gid;
		mode_t want_mode, want_dir;
	} rows[] = {
		{-1, -1, NULL, 0, 0, 0644, 0755},
		{5, 100000, NULL, 5, 100000, 0644, 0755},
		{5, 6, "4700", 5, 6, 04700, 04700},
		{5, 6, "u+xs,o=", 5, 6, 04740, 0755},
	};

	for (size_t i = 0; i < RB_ARRAY_LEN(rows); i++) {
		struct rb_error *err = NULL;
		struct rb_mode_change mode;
		struct fixture f;

		setup(&f, limit, "", "");
		f.spec.name = "EOF";
		f.spec.dest = "/d/";
		f.spec.dest_is_dir = true;
		f.spec.chown_uid = rows[i].uid;
		f.spec.chown_gid = rows[i].gid;
		if (rows[i].chmod) {
			CHECK_INT(rb_mode_parse(rows[i].chmod, &mode), 0);
			f.spec.chmod = &mode;
		}
		(void)rb_copy_inline(&f.spec, "text", 4, &err);
		CHECK_OK(&err);
		check_owner(&f, "d/EOF", rows[i].want_uid, rows[i].want_gid);
		check_owner(&f, "d", rows[i].want_uid, rows[i].want_gid);
		check_mode(&f, "d/EOF", rows[i].want_mode);
		check_mode(&f, "d", rows[i].want_dir);
		CHECK(image_stat(&f, "d/EOF").st_mtime > time(NULL) - 60);
		teardown(&f);
	}
}

static void test_copy__inline(void)
{
	mode_t old = umask(0077);

	each_ledger(inline_files);
	each_ledger(inline_metadata);
	(void)umask(old);
}

int main(void)
{
	(void)umask(0022);
	if (!mkdtemp(top))
		return 1;
	int r = rb_sys_setxattr(AT_FDCWD, top, "user.rbuild.test", "", 0);
	if (r < 0) {
		printf("1..0 # SKIP no user attributes in /tmp: %s\n", strerrordesc_np(-r));
		(void)rmdir(top);
		return 0;
	}
	r = tap_run((const struct tap_test[]){TAP(test_copy__stage_sockets),
					      TAP(test_copy__rules),
					      TAP(test_copy__context_owner),
					      TAP(test_copy__keeps_owner_and_mode),
					      TAP(test_copy__chown_and_chmod),
					      TAP(test_copy__made_parents),
					      TAP(test_copy__times),
					      TAP(test_copy__xattrs),
					      TAP(test_copy__capabilities),
					      TAP(test_copy__hard_links),
					      TAP(test_copy__sparse),
					      TAP(test_copy__context_device),
					      TAP(test_copy__deep),
					      TAP(test_copy__skip),
					      TAP(test_copy__skip_conflict),
					      TAP(test_copy__skip_metadata),
					      TAP(test_copy__inline),
					      TAP(test_copy__unreadable),
					      TAP(test_copy__read_only),
					      TAP(test_copy__plain_user),
					      TAP_END});
	(void)rb_remove_tree_at(AT_FDCWD, top);
	return r;
}
