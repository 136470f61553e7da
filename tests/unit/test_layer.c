// SPDX-License-Identifier: Apache-2.0
/* needs: userns overlay */
/* Overlay shows what the whiteouts do. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zlib.h>

#include "base/fd.h"
#include "base/path.h"
#include "base/sys.h"
#include "layer/archive.h"
#include "layer/layer-internal.h"
#include "tap.h"

/*
 * A tree or an archive as text, one entry a line: `d PATH`, `f PATH CONTENT`, `l PATH TARGET`,
 * `h PATH TARGET` (hard link, archives only), `p PATH` (FIFO), `c PATH` (device 0:0).
 */

static char top[] = "/tmp/rbuild-test-layer-XXXXXX"; /* holds root/ and canary */
static int top_fd = -1;
static uint32_t limit; /* ids below it are on disk: 0 for a plain user */

static const char canary[] = "untouched";

/* --- archives */

static void tar_add(struct rb_buf *tar, const struct rb_tar_entry *e, const char *data)
{
	struct rb_error *err = NULL;

	(void)rb_tar_header(tar, e, &err);
	CHECK_OK(&err);
	rb_buf_add(tar, data, e->size);
	while (tar->len % 512)
		rb_buf_addch(tar, '\0');
}

static void tar_end(struct rb_buf *tar)
{
	for (int i = 0; i < 1024; i++)
		rb_buf_addch(tar, '\0');
}

static void tar_line(struct rb_buf *tar, const char *line)
{
	static const struct {
		char letter, type;
		mode_t mode;
	} kinds[] = {{'d', '5', 0755}, {'f', '0', 0644}, {'l', '2', 0777},
		     {'h', '1', 0644}, {'p', '6', 0600}, {'c', '3', 0600}};
	RB_CLEANUP(rb_strp) char *copy = rb_strdup(line);
	char *path = copy + 2, *arg = strchr(path, ' ');
	struct rb_tar_entry e = {.path = path, .mtime = {1000000000, 0}};

	if (arg)
		*arg++ = '\0';
	for (size_t i = 0; i < RB_ARRAY_LEN(kinds); i++) {
		if (kinds[i].letter != line[0])
			continue;
		e.type = kinds[i].type;
		e.mode = kinds[i].mode;
	}
	if (line[0] == 'l' || line[0] == 'h')
		e.linkname = arg;
	if (line[0] == 'f' && arg)
		e.size = strlen(arg);
	tar_add(tar, &e, arg ? arg : "");
}

static void tar_of(struct rb_buf *tar, const char *text)
{
	RB_CLEANUP(rb_strp) char *copy = rb_strdup(text);
	char *save = NULL;

	rb_buf_truncate(tar, 0);
	for (char *l = strtok_r(copy, "\n", &save); l; l = strtok_r(NULL, "\n", &save))
		tar_line(tar, l);
	tar_end(tar);
}

static int memory_file(const void *data, size_t len)
{
	int fd = memfd_create("layer", MFD_CLOEXEC);

	CHECK(fd >= 0);
	CHECK_INT(rb_write_full(fd, data, len), 0);
	CHECK_INT(lseek(fd, 0, SEEK_SET), 0);
	return fd;
}

/* --- trees */

static void list_below(struct rb_buf *out, int dirfd, const char *prefix)
{
	struct rb_strv names = RB_STRV_INIT;

	CHECK_INT(rb_layer_list(dirfd, &names), 0);
	for (size_t i = 0; i < names.n; i++) {
		RB_CLEANUP(rb_strp) char *path = rb_asprintf("%s%s", prefix, names.v[i]);
		char text[4096] = "";
		struct stat st;

		CHECK_INT(fstatat(dirfd, names.v[i], &st, AT_SYMLINK_NOFOLLOW), 0);
		if (S_ISDIR(st.st_mode)) {
			RB_CLEANUP(rb_strp) char *below = rb_asprintf("%s/", path);
			RB_CLEANUP(rb_closep)
			int fd = openat(dirfd, names.v[i], O_RDONLY | O_DIRECTORY | O_CLOEXEC);

			rb_buf_addf(out, "d %s\n", path);
			list_below(out, fd, below);
		} else if (S_ISLNK(st.st_mode)) {
			CHECK(readlinkat(dirfd, names.v[i], text, sizeof(text) - 1) > 0);
			rb_buf_addf(out, "l %s %s\n", path, text);
		} else if (S_ISREG(st.st_mode)) {
			RB_CLEANUP(rb_closep)
			int fd = openat(dirfd, names.v[i], O_RDONLY | O_CLOEXEC);

			CHECK(rb_read_full(fd, text, sizeof(text) - 1) >= 0);
			rb_buf_addf(out, "f %s%s%s\n", path, *text ? " " : "", text);
		} else {
			rb_buf_addf(out, "p %s\n", path);
		}
	}
	rb_strv_clear(&names);
}

#define CHECK_TREE(fd, want) check_tree(__FILE__, __LINE__, (fd), (want))

static void check_tree(const char *file, int line, int fd, const char *want)
{
	RB_CLEANUP(rb_buf_clear) struct rb_buf got = RB_BUF_INIT;

	list_below(&got, fd, "");
	tap_check_str(file, line, "tree", got.ptr, want);
}

/* A fresh empty root beside the canary. */
static int fresh_root(void)
{
	CHECK_INT(rb_remove_tree_at(top_fd, "root"), 0);
	CHECK_INT(mkdirat(top_fd, "root", 0755), 0);
	int fd = openat(top_fd, "root", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	CHECK(fd >= 0);
	CHECK_INT(fchmod(fd, 0755), 0);
	return fd;
}

/* Nothing but the root and the untouched canary is where an escape would leave its traces. */
static void check_canary(const char *what)
{
	char text[64] = "";
	struct rb_strv names = RB_STRV_INIT;
	struct stat st;
	RB_CLEANUP(rb_closep) int fd = openat(top_fd, "canary", O_RDONLY | O_NOFOLLOW | O_CLOEXEC);

	CHECK(fd >= 0);
	CHECK(rb_read_full(fd, text, sizeof(text) - 1) >= 0);
	CHECK(fstat(fd, &st) == 0 && st.st_nlink == 1 && (st.st_mode & 07777) == 0640);
	CHECK_INT(rb_layer_list(top_fd, &names), 0);
	if (!rb_streq(text, canary) || names.n != 2) {
		tap_failures++;
		printf("# escaped: %s\n", what);
	}
	rb_strv_clear(&names);
}

/* --- applying */

static struct rb_apply_spec spec_for(int src_fd, int root_fd, struct rb_ledger *l)
{
	return (struct rb_apply_spec){.src_fd = src_fd,
				      .root_fd = root_fd,
				      .upper_fd = -1,
				      .ledger = l,
				      .limits = &rb_layer_limits_default};
}

static int apply_bytes(int root, const void *data, size_t len, struct rb_apply_result *ret,
		       struct rb_error **err)
{
	RB_CLEANUP(rb_ledger_freep) struct rb_ledger *l = rb_ledger_new(limit, limit);
	RB_CLEANUP(rb_closep) int src = memory_file(data, len);
	struct rb_apply_spec spec = spec_for(src, root, l);

	return rb_layer_apply(&spec, ret, err);
}

static int apply_text(int root, const char *text, struct rb_error **err)
{
	RB_CLEANUP(rb_buf_clear) struct rb_buf tar = RB_BUF_INIT;
	struct rb_apply_result res;

	tar_of(&tar, text);
	return apply_bytes(root, tar.ptr, tar.len, &res, err);
}

/* Archives and the trees or the errors they give (threats S28 to S31). */
static const struct {
	const char *tar, *error, *tree;
} cases[] = {
	/* plain */
	{"d a\nf a/b hi\nl a/s b\nh a/h a/b\np ff", NULL,
	 "d a\nf a/b hi\nf a/h hi\nl a/s b\np ff\n"},
	{"f x/y/z 1", NULL, "d x\nd x/y\nf x/y/z 1\n"},
	{"d ./\nd ./a/\nf ./a/b 1", NULL, "d a\nf a/b 1\n"},
	/* names */
	{"f ../canary bad", NULL, "f canary bad\n"},
	{"f /../../canary bad", NULL, "f canary bad\n"},
	{"f a/../../canary bad", NULL, "f canary bad\n"},
	{"f a/./b//c 1", NULL, "d a\nd a/b\nf a/b/c 1\n"},
	{"f .. 1", "the root is a directory", NULL},
	{"l / x", "the root is a directory", NULL},
	/* through links */
	{"l l ..\nf l/canary bad", NULL, "f canary bad\nl l ..\n"},
	{"l l ../../..\nf l/canary bad", NULL, "f canary bad\nl l ../../..\n"},
	{"l l /tmp\nf l/canary bad", NULL, "l l /tmp\nd tmp\nf tmp/canary bad\n"},
	{"l a b\nl b /../..\nf a/canary bad", NULL, "l a b\nl b /../..\nf canary bad\n"},
	{"l c ../canary\nf c new", NULL, "f c new\n"},
	{"l c ../canary\nd c", NULL, "d c\n"},
	{"l c ../canary\nh d c", NULL, "l c ../canary\nl d ../canary\n"},
	{"l c ../canary\nf c/x 1", NULL, "l c ../canary\nd canary\nf canary/x 1\n"},
	{"l a a\nf a/x 1", "Too many levels", NULL},
	{"f a 1\nf a/x 1", "Not a directory", NULL},
	/* hard links */
	{"h x ../canary", "no file of this image", NULL},
	{"h x /../canary", "no file of this image", NULL},
	{"l l ..\nh x l/canary", "no file of this image", NULL},
	{"h x x", "no file of this image", NULL},
	{"d a\nh x a", "no file of this image", NULL},
	{"f a 1\nh a a", NULL, "f a 1\n"},
	{"f a 1\nh b /a\nh ./c ../b", NULL, "f a 1\nf b 1\nf c 1\n"},
	{"f a 1\nh b a\nf b 2", NULL, "f a 1\nf b 2\n"},
	{"d u/l\nl l u/l\nf l/a 1\nh l/b u/l/a\nh c l/b", NULL,
	 "f c 1\nl l u/l\nd u\nd u/l\nf u/l/a 1\nf u/l/b 1\n"},
	/* replacing */
	{"f a 1\nf a 2", NULL, "f a 2\n"},
	{"f a 1\nd a\nf a/b 2", NULL, "d a\nf a/b 2\n"},
	{"d a\nf a/b 1\nf a 2", NULL, "f a 2\n"},
	{"d a\nf a/b 1\nd a\nf a/c 2", NULL, "d a\nf a/b 1\nf a/c 2\n"},
	{"d a\nf a/b 1\nl a z\nf a/c 2", NULL, "l a z\nd z\nf z/c 2\n"},
	{"l a z\nd z\nf a/b 1\nd a\nf a/c 2", NULL, "d a\nf a/c 2\nd z\nf z/b 1\n"},
	/* what images do have */
	{"d bin\nf bin/dash elf\nl bin/sh dash\nl bin/sh dash\nf bin/dash ELF", NULL,
	 "d bin\nf bin/dash ELF\nl bin/sh dash\n"},
	{"d usr/lib/jvm/j/lib\nl usr/lib/jvm/j/lib/c ../../../../../../etc/pki/c\nd etc/pki\nf etc/pki/c 1",
	 NULL,
	 "d etc\nd etc/pki\nf etc/pki/c 1\nd usr\nd usr/lib\nd usr/lib/jvm\nd usr/lib/jvm/j\n"
	 "d usr/lib/jvm/j/lib\nl usr/lib/jvm/j/lib/c ../../../../../../etc/pki/c\n"},
	/* whiteouts with nothing below, and impossible ones */
	{"f a 1\nf .wh.a\nf b/.wh..wh..opq", NULL, "f a 1\n"},
	{"f .wh..wh.plnk/1 x\nf .wh..wh.aufs y", NULL, ""},
	{"f a/.wh.", "not a possible whiteout", NULL},
	{"f a/.wh..", "not a possible whiteout", NULL},
	{"f a/.wh...", "not a possible whiteout", NULL},
	{"f .wh.a/b 1", "not a possible whiteout", NULL},
	/* a device is never made */
	{"c null", NULL, "f null\n"},
};

static void test_layer__cases(void)
{
	for (size_t i = 0; i < RB_ARRAY_LEN(cases); i++) {
		RB_CLEANUP(rb_closep) int root = fresh_root();
		struct rb_error *err = NULL;
		unsigned before = tap_failures;
		int r = apply_text(root, cases[i].tar, &err);

		CHECK_INT(r, cases[i].error ? -1 : 0);
		if (cases[i].error) {
			CHECK(err && err->code == RB_ERR_CORRUPT);
			CHECK_ERR(&err, cases[i].error);
		} else {
			CHECK_OK(&err);
			CHECK_TREE(root, cases[i].tree);
		}
		check_canary(cases[i].tar);
		if (tap_failures != before)
			printf("# case %zu: %s\n", i, cases[i].tar);
	}
}

static void test_layer__umask(void)
{
	static const mode_t masks[] = {0, 077};

	for (size_t i = 0; i < RB_ARRAY_LEN(masks); i++) {
		mode_t old = umask(0);
		RB_CLEANUP(rb_closep) int root = fresh_root();
		struct rb_error *err = NULL;
		struct stat st;
		static const struct {
			const char *name;
			mode_t mode;
		} want[] = {{"i", 0755}, {"i/f", 0644}, {"d", 0755}, {"p", 0600}};

		(void)umask(masks[i]);
		CHECK_INT(apply_text(root, "f i/f 1\nd d\np p", &err), 0);
		CHECK_OK(&err);
		(void)umask(old);
		for (size_t k = 0; k < RB_ARRAY_LEN(want); k++) {
			CHECK_INT(fstatat(root, want[k].name, &st, AT_SYMLINK_NOFOLLOW), 0);
			CHECK_INT(st.st_mode & 07777, want[k].mode);
		}
	}
}

/* --- metadata */

static void test_layer__metadata(void)
{
	const struct rb_xattr xattrs[] = {
		{(char[]){"trusted.x"}, (char[]){"y"}, 1},
		{(char[]){"user.a"}, (char[]){"v\0w"}, 3},
		{(char[]){"user.overlay.opaque"}, (char[]){"y"}, 1},
		{(char[]){"user.rbuild.entry"}, (char[]){"7:7"}, 3},
	};
	const struct rb_tar_entry entries[] = {
		{.path = "./", .type = '5', .mode = 01777, .uid = 3, .mtime = {5, 0}},
		{.path = "d/",
		 .type = '5',
		 .mode = 02555,
		 .gid = 12,
		 .mtime = {7, 250000000},
		 .xattrs = xattrs,
		 .n_xattrs = 4},
		{.path = "d/suid",
		 .type = '0',
		 .mode = 04755,
		 .uid = 42,
		 .gid = 3000000,
		 .mtime = {-5, 0},
		 .xattrs = xattrs,
		 .n_xattrs = 4},
		{.path = "d/ro",
		 .type = '0',
		 .mode = 0444,
		 .uid = 3000000,
		 .xattrs = xattrs,
		 .n_xattrs = 4},
		{.path = "d/link",
		 .type = '2',
		 .mode = 0777,
		 .linkname = "x",
		 .uid = 1000000,
		 .mtime = {9, 0}},
		{.path = "d/dev", .type = '4', .mode = 0660, .gid = 6, .rdev = makedev(8, 300)},
		{.path = "d/zero", .type = '3', .mode = 0600, .uid = 65534},
	};
	RB_CLEANUP(rb_ledger_freep) struct rb_ledger *l = rb_ledger_new(limit, limit);
	RB_CLEANUP(rb_buf_clear) struct rb_buf tar = RB_BUF_INIT;
	RB_CLEANUP(rb_closep) int root = fresh_root();
	struct rb_error *err = NULL;
	struct rb_apply_result res;

	for (size_t i = 0; i < RB_ARRAY_LEN(entries); i++)
		tar_add(&tar, &entries[i], "");
	tar_end(&tar);
	RB_CLEANUP(rb_closep) int src = memory_file(tar.ptr, tar.len);
	struct rb_apply_spec spec = spec_for(src, root, l);
	CHECK_INT(rb_layer_apply(&spec, &res, &err), 0);
	CHECK_OK(&err);
	CHECK_INT(res.entries, RB_ARRAY_LEN(entries));
	CHECK_INT(res.diff_size, tar.len);
	for (size_t i = 0; i < RB_ARRAY_LEN(entries); i++) {
		const struct rb_tar_entry *e = &entries[i];
		RB_CLEANUP(rb_strp) char *path = rb_layer_clean_name(e->path);
		struct rb_xattr *v;
		struct stat st;

		CHECK_INT(rb_ledger_stat(l, root, path, path, &st), 0);
		CHECK_INT(st.st_uid, e->uid);
		CHECK_INT(st.st_gid, e->gid);
		CHECK_INT(st.st_mode & 07777, e->mode);
		CHECK_INT(st.st_mtim.tv_sec, e->mtime.tv_sec);
		CHECK_INT(st.st_mtim.tv_nsec, e->mtime.tv_nsec);
		CHECK_INT(st.st_rdev, e->rdev);
		CHECK_INT(S_ISBLK(st.st_mode), e->type == '4');
		CHECK_INT(S_ISCHR(st.st_mode), e->type == '3');
		ssize_t n = rb_xattrs_read(root, path, &v);
		CHECK_INT(n, e->xattrs ? 1 : 0);
		if (n == 1) {
			CHECK_STR(v[0].name, "user.a");
			CHECK_INT(v[0].len, 3);
		}
		rb_xattrs_free(v, n > 0 ? (size_t)n : 0);
	}
	CHECK_INT(fchmod(root, 0755), 0);
}

/* A directory that is there takes the entry's attributes and loses its own. */
static void test_layer__merged_directory(void)
{
	RB_CLEANUP(rb_closep) int root = fresh_root();
	struct rb_error *err = NULL;
	struct stat st;
	char value[8];

	CHECK_INT(mkdirat(root, "d", 0700), 0);
	CHECK_INT(rb_sys_setxattr(root, "d", "user.old", "1", 1), 0);
	CHECK_INT(apply_text(root, "d d\nf d/a 1", &err), 0);
	CHECK_OK(&err);
	CHECK_INT(rb_sys_getxattr(root, "d", "user.old", value, sizeof(value)), -ENODATA);
	CHECK_INT(fstatat(root, "d", &st, 0), 0);
	CHECK_INT(st.st_mode & 07777, 0755);
	CHECK_INT(st.st_mtim.tv_sec, 1000000000);
}

/* user::rwx user:65533:rwx group::r-x mask::rwx other::--- as the kernel's ACL attribute */
static const uint8_t acl[] = {2, 0,   0,   0,   1,   0,   7,  0, 255, 255, 255, 255, 2,   0,  7,
			      0, 253, 255, 0,   0,   4,   0,  5, 0,   255, 255, 255, 255, 16, 0,
			      7, 0,   255, 255, 255, 255, 32, 0, 0,   0,   255, 255, 255, 255};

static void test_layer__default_acl(void)
{
	RB_CLEANUP(rb_closep) int root = fresh_root();
	struct rb_error *err = NULL;
	struct rb_xattr *v;
	struct stat st;

	CHECK_INT(mkdirat(root, "d", 0755), 0);
	if (rb_sys_setxattr(root, "d", "system.posix_acl_default", acl, sizeof(acl)) < 0) {
		printf("# skipped: no ACLs in /tmp\n");
		return;
	}
	CHECK_INT(apply_text(root, "f d/f 1\nd d/e\nf d/e/f 1", &err), 0);
	CHECK_OK(&err);
	static const char *const names[] = {"d/f", "d/e", "d/e/f"};
	for (size_t i = 0; i < RB_ARRAY_LEN(names); i++) {
		ssize_t n = rb_xattrs_read(root, names[i], &v);

		CHECK_INT(n, 0);
		rb_xattrs_free(v, n > 0 ? (size_t)n : 0);
	}
	CHECK_INT(fstatat(root, "d/f", &st, 0), 0);
	CHECK_INT(st.st_mode & 07777, 0644);
}

/* The ledger's table is keyed by where the entry really is. */
static void test_layer__ledger_path(void)
{
	const struct rb_tar_entry entries[] = {
		{.path = "usr/lib/", .type = '5', .mode = 0755},
		{.path = "lib", .type = '2', .linkname = "usr/lib"},
		{.path = "lib/s", .type = '2', .linkname = "x", .uid = 1000000, .gid = 7},
	};
	RB_CLEANUP(rb_ledger_freep) struct rb_ledger *l = rb_ledger_new(limit, limit);
	RB_CLEANUP(rb_buf_clear) struct rb_buf tar = RB_BUF_INIT;
	RB_CLEANUP(rb_closep) int root = fresh_root();
	struct rb_error *err = NULL;
	struct rb_apply_result res;
	struct stat st;

	for (size_t i = 0; i < RB_ARRAY_LEN(entries); i++)
		tar_add(&tar, &entries[i], "");
	tar_end(&tar);
	RB_CLEANUP(rb_closep) int src = memory_file(tar.ptr, tar.len);
	struct rb_apply_spec spec = spec_for(src, root, l);
	CHECK_INT(rb_layer_apply(&spec, &res, &err), 0);
	CHECK_OK(&err);
	CHECK_INT(rb_ledger_stat(l, root, "usr/lib/s", "usr/lib/s", &st), 0);
	CHECK_INT(st.st_uid, 1000000);
	CHECK_INT(st.st_gid, 7);
}

static void test_layer__damaged_capability(void)
{
	const struct rb_xattr caps = {(char[]){"security.capability"}, (char[]){"\1\0\0\2"}, 4};
	const struct rb_tar_entry e = {.path = "f", .type = '0', .xattrs = &caps, .n_xattrs = 1};
	RB_CLEANUP(rb_buf_clear) struct rb_buf tar = RB_BUF_INIT;
	RB_CLEANUP(rb_closep) int root = fresh_root();
	struct rb_error *err = NULL;
	struct rb_apply_result res;

	tar_add(&tar, &e, "");
	tar_end(&tar);
	CHECK_INT(apply_bytes(root, tar.ptr, tar.len, &res, &err), -1);
	CHECK_ERR(&err, "f: damaged file capabilities");
}

/* Names that no text is, and longer than every header field. */
static void test_layer__names(void)
{
	static const char odd[] = "f \xff\xfe\nf d/\xc3\xbc\nf a\001b";
	RB_CLEANUP(rb_closep) int root = fresh_root();
	RB_CLEANUP(rb_buf_clear) struct rb_buf text = RB_BUF_INIT;
	struct rb_error *err = NULL;
	char part[200];

	memset(part, 'n', sizeof(part) - 1);
	part[sizeof(part) - 1] = '\0';
	rb_buf_addf(&text, "%s\nf %s/%s/\xff%s 1\nf %s/\xc3\xbc%s 2\nl l %s/%s", odd, part, part,
		    part, part, part, part, part);
	CHECK_INT(apply_text(root, text.ptr, &err), 0);
	CHECK_OK(&err);
	rb_buf_truncate(&text, 0);
	rb_buf_addf(&text,
		    "f a\001b\nd d\nf d/\xc3\xbc\nl l %s/%s\nd %s\nd %s/%s\nf %s/%s/\xff%s 1\n"
		    "f %s/\xc3\xbc%s 2\nf \xff\xfe\n",
		    part, part, part, part, part, part, part, part, part, part);
	CHECK_TREE(root, text.ptr);
	rb_buf_truncate(&text, 0);
	rb_buf_addstr(&text, "f ");
	for (int i = 0; i < 3; i++)
		rb_buf_addstr(&text, part);
	CHECK_INT(apply_text(root, text.ptr, &err), -1);
	CHECK_ERR(&err, "File name too long");
}

static void test_layer__holes(void)
{
	enum { SIZE = (8 << 20) + 5 };
	RB_CLEANUP(rb_strp) char *data = rb_calloc(1, SIZE);
	RB_CLEANUP(rb_strp) char *got = rb_malloc(SIZE);
	const struct rb_tar_entry e = {.path = "f", .type = '0', .mode = 0644, .size = SIZE};
	RB_CLEANUP(rb_buf_clear) struct rb_buf tar = RB_BUF_INIT;
	RB_CLEANUP(rb_closep) int root = fresh_root();
	struct rb_error *err = NULL;
	struct rb_apply_result res;
	struct stat st;

	data[5000000] = data[1] = 'x';
	memset(data + 700000, 'y', 300);
	tar_add(&tar, &e, data);
	tar_end(&tar);
	CHECK_INT(apply_bytes(root, tar.ptr, tar.len, &res, &err), 0);
	CHECK_OK(&err);
	RB_CLEANUP(rb_closep) int fd = openat(root, "f", O_RDONLY | O_CLOEXEC);
	CHECK(fstat(fd, &st) == 0 && st.st_size == SIZE);
	CHECK(st.st_blocks * 512 <= 64 << 10);
	CHECK_INT(rb_read_full(fd, got, SIZE), SIZE);
	CHECK(memcmp(got, data, SIZE) == 0);
}

/* --- streams */

static void gzip_member(struct rb_buf *out, const void *data, size_t len)
{
	RB_CLEANUP(rb_strp) char *room = rb_malloc(len + 4096);
	RB_CLEANUP(rb_strp) char *in = memcpy(rb_malloc(len), data, len);
	z_stream z = {.next_in = (Bytef *)in,
		      .avail_in = (uInt)len,
		      .next_out = (Bytef *)room,
		      .avail_out = (uInt)len + 4096};

	CHECK_INT(deflateInit2(&z, 6, Z_DEFLATED, 31, 8, 0), Z_OK);
	CHECK_INT(deflate(&z, Z_FINISH), Z_STREAM_END);
	rb_buf_add(out, room, z.total_out);
	(void)deflateEnd(&z);
}

static int keep(void *ctx, const void *data, size_t len, struct rb_error **err)
{
	(void)err;
	rb_buf_add(ctx, data, len);
	return 0;
}

/* The tree as a layer of this compression. */
static void write_tree(int root, enum rb_compression kind, unsigned threads, struct rb_buf *blob,
		       struct rb_layer_write_result *ret)
{
	RB_CLEANUP(rb_ledger_freep) struct rb_ledger *l = rb_ledger_new(limit, limit);
	struct rb_error *err = NULL;
	const struct rb_layer_write_spec spec = {.diff_fd = root,
						 .ledger = l,
						 .parent_fd = -1,
						 .compression = kind,
						 .level = -1,
						 .write = keep,
						 .ctx = blob,
						 .threads = threads};

	rb_buf_truncate(blob, 0);
	CHECK_INT(rb_layer_write(&spec, ret, &err), 0);
	CHECK_OK(&err);
}

/* Every compression and number of threads gives the same diff ID and unpacks to the same tree. */
static void test_layer__round_trip(void)
{
	static const char text[] = "d a\nf a/b hi\nh a/h a/b\nl a/s ../../x\np ff\nf g 1";
	static const char tree[] = "d a\nf a/b hi\nf a/h hi\nl a/s ../../x\nf big ";
	RB_CLEANUP(rb_buf_clear) struct rb_buf blob = RB_BUF_INIT;
	RB_CLEANUP(rb_buf_clear) struct rb_buf again = RB_BUF_INIT;
	RB_CLEANUP(rb_strp) char *noise = rb_malloc(3 << 20);
	struct rb_layer_write_result first = {0}, r;
	struct rb_apply_result res;
	struct rb_error *err = NULL;
	uint32_t x = 1;

	for (size_t i = 0; i < 3 << 20; i++)
		noise[i] = (char)('a' + ((x = x * 1664525 + 1013904223) >> 24) % 26);
	RB_CLEANUP(rb_closep) int root = fresh_root();
	CHECK_INT(apply_text(root, text, &err), 0);
	RB_CLEANUP(rb_closep)
	int fd = openat(root, "big", O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	CHECK_INT(rb_write_full(fd, noise, 3 << 20), 0);
	write_tree(root, RB_COMPRESSION_NONE, 1, &blob, &first);
	CHECK(rb_digest_eq(&first.diff, &first.blob));
	for (int kind = RB_COMPRESSION_NONE; kind <= RB_COMPRESSION_ZSTD; kind++) {
		(void)rb_remove_tree_at(top_fd, "copy");
		CHECK_INT(mkdirat(top_fd, "copy", 0755), 0);
		RB_CLEANUP(rb_closep)
		int copy = openat(top_fd, "copy", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

		write_tree(root, kind, 1, &blob, &r);
		write_tree(root, kind, 3, &again, &r);
		CHECK(blob.len == again.len && !memcmp(blob.ptr, again.ptr, blob.len));
		CHECK(rb_digest_eq(&r.diff, &first.diff));
		CHECK_INT(apply_bytes(copy, blob.ptr, blob.len, &res, &err), 0);
		CHECK_OK(&err);
		CHECK_INT(res.compression, kind);
		CHECK_INT(res.blob_size, blob.len);
		CHECK(rb_digest_eq(&res.diff, &first.diff) && rb_digest_eq(&res.blob, &r.blob));
		struct rb_digest real = rb_digest_of(blob.ptr, blob.len);
		CHECK(rb_digest_eq(&res.blob, &real));
		RB_CLEANUP(rb_buf_clear) struct rb_buf got = RB_BUF_INIT;
		list_below(&got, copy, "");
		CHECK(rb_starts_with(got.ptr, tree));
		write_tree(copy, RB_COMPRESSION_NONE, 1, &again, &r);
		CHECK(rb_digest_eq(&r.diff, &first.diff));
	}
	(void)rb_remove_tree_at(top_fd, "copy");
}

static void test_layer__gzip_members(void)
{
	RB_CLEANUP(rb_buf_clear) struct rb_buf tar = RB_BUF_INIT, blob = RB_BUF_INIT;
	RB_CLEANUP(rb_closep) int root = fresh_root();
	struct rb_error *err = NULL;
	struct rb_apply_result res;

	tar_of(&tar, "f a 1\nf b 2");
	for (size_t i = 0; i < tar.len; i += 100)
		gzip_member(&blob, tar.ptr + i, rb_min_size(100, tar.len - i));
	CHECK_INT(apply_bytes(root, blob.ptr, blob.len, &res, &err), 0);
	CHECK_OK(&err);
	struct rb_digest diff = rb_digest_of(tar.ptr, tar.len);
	CHECK(rb_digest_eq(&res.diff, &diff));
	CHECK_TREE(root, "f a 1\nf b 2\n");
	/* zero padding is part of the blob */
	for (int i = 0; i < 1000; i++)
		rb_buf_addch(&blob, '\0');
	CHECK_INT(apply_bytes(root, blob.ptr, blob.len, &res, &err), 0);
	CHECK_OK(&err);
	CHECK_INT(res.blob_size, blob.len);
	CHECK(rb_digest_eq(&res.diff, &diff));
	rb_buf_addch(&blob, 'x');
	CHECK_INT(apply_bytes(root, blob.ptr, blob.len, &res, &err), -1);
	CHECK_ERR(&err, "garbage behind the gzip stream");
}

/* What stands behind the end mark counts for the digests. */
static void test_layer__trailing_bytes(void)
{
	RB_CLEANUP(rb_buf_clear) struct rb_buf tar = RB_BUF_INIT;
	RB_CLEANUP(rb_closep) int root = fresh_root();
	struct rb_error *err = NULL;
	struct rb_apply_result res;

	tar_of(&tar, "f a 1");
	for (int i = 0; i < 300000; i++)
		rb_buf_addf(&tar, "%d,", i);
	CHECK_INT(apply_bytes(root, tar.ptr, tar.len, &res, &err), 0);
	CHECK_OK(&err);
	struct rb_digest diff = rb_digest_of(tar.ptr, tar.len);
	CHECK(rb_digest_eq(&res.diff, &diff));
	CHECK_INT(res.diff_size, tar.len);
}

/* Cut anywhere, or with a byte changed, a blob is an error, soon (threats S33). */
static void test_layer__damaged(void)
{
	struct rb_buf blobs[3] = {RB_BUF_INIT, RB_BUF_INIT, RB_BUF_INIT};
	RB_CLEANUP(rb_closep) int root = fresh_root();
	struct rb_layer_write_result w;
	struct rb_apply_result res;
	struct rb_error *err = NULL;

	CHECK_INT(apply_text(root, "d a\nf a/b hello\nl s a", &err), 0);
	for (int kind = 0; kind < 3; kind++) {
		write_tree(root, kind, 1, &blobs[kind], &w);
		/* the end mark alone may be missing, as with other readers */
		size_t end = kind ? blobs[kind].len : blobs[kind].len - 1024;
		for (size_t len = 0; len < end; len += kind ? 1 : 100) {
			if (!kind && len && len % 512 == 0)
				continue;
			CHECK_INT(apply_bytes(root, blobs[kind].ptr, len, &res, &err), -1);
			CHECK(err && err->code == RB_ERR_CORRUPT);
			rb_error_drop(&err);
		}
		for (size_t i = 0; kind && i < blobs[kind].len; i++) {
			blobs[kind].ptr[i] ^= 0x40;
			if (apply_bytes(root, blobs[kind].ptr, blobs[kind].len, &res, &err) < 0)
				CHECK(err && err->code == RB_ERR_CORRUPT);
			rb_error_drop(&err);
			blobs[kind].ptr[i] ^= 0x40;
		}
		rb_buf_clear(&blobs[kind]);
	}
	CHECK_INT(apply_bytes(root, "hello, I am no layer", 20, &res, &err), -1);
	CHECK_ERR(&err, "not a tar archive");
	check_canary("damaged");
}

static void test_layer__digests(void)
{
	RB_CLEANUP(rb_buf_clear) struct rb_buf tar = RB_BUF_INIT;
	RB_CLEANUP(rb_ledger_freep) struct rb_ledger *l = rb_ledger_new(limit, limit);
	RB_CLEANUP(rb_closep) int root = fresh_root();
	struct rb_error *err = NULL;
	struct rb_apply_result res;

	tar_of(&tar, "f a 1");
	struct rb_digest right = rb_digest_of(tar.ptr, tar.len), wrong = rb_digest_of("x", 1);
	for (int i = 0; i < 3; i++) {
		RB_CLEANUP(rb_closep) int src = memory_file(tar.ptr, tar.len);
		struct rb_apply_spec spec = spec_for(src, root, l);

		spec.want_blob = i == 1 ? &wrong : &right;
		spec.want_diff = i == 2 ? &wrong : &right;
		CHECK_INT(rb_layer_apply(&spec, &res, &err), i ? -1 : 0);
		CHECK(!err == !i && (!err || err->code == RB_ERR_CORRUPT));
		if (i)
			CHECK_ERR(&err, i == 1 ? "digest of the blob is sha256:"
					       : "diff ID of the layer is sha256:");
	}
}

static void test_layer__limits(void)
{
	static const struct {
		struct rb_layer_limits limits;
		const char *tar, *error;
	} t[] = {
		{{1 << 20, 2, 9, 100, 100}, "f a 1\nf b 1\nf c 1", "more than 2 entries"},
		{{1 << 20, 9, 2, 100, 100}, "f a/b/c 1", "deeper than the limit of 2"},
		{{1 << 20, 9, 3, 100, 100}, "l l a/b/c\nf l/d 1", "deeper than the limit of 3"},
		{{1 << 20, 9, 9, 4, 100}, "f a 12345", "a: larger than the limit of 4 bytes"},
		{{1000, 9, 9, 100, 100}, "f a 1", "larger than the limit of 1000 bytes"},
	};

	for (size_t i = 0; i < RB_ARRAY_LEN(t); i++) {
		RB_CLEANUP(rb_buf_clear) struct rb_buf tar = RB_BUF_INIT;
		RB_CLEANUP(rb_ledger_freep) struct rb_ledger *l = rb_ledger_new(limit, limit);
		RB_CLEANUP(rb_closep) int root = fresh_root();
		struct rb_error *err = NULL;
		struct rb_apply_result res;

		tar_of(&tar, t[i].tar);
		RB_CLEANUP(rb_closep) int src = memory_file(tar.ptr, tar.len);
		struct rb_apply_spec spec = spec_for(src, root, l);
		spec.limits = &t[i].limits;
		CHECK_INT(rb_layer_apply(&spec, &res, &err), -1);
		CHECK(err && err->code == RB_ERR_CORRUPT);
		CHECK_ERR(&err, t[i].error);
	}
}

/* One megabyte of a short pattern, as often as asked, behind gzip. */
static void bomb(struct rb_buf *blob, const char *pattern, unsigned mib)
{
	RB_CLEANUP(rb_strp) char *data = rb_malloc(1 << 20);
	RB_CLEANUP(rb_buf_clear) struct rb_buf tar = RB_BUF_INIT;
	struct rb_tar_entry e = {.path = "bomb", .type = '0', .mode = 0644, .size = 0};
	size_t n = *pattern ? strlen(pattern) : 1;
	struct rb_error *err = NULL;

	for (size_t i = 0; i < 1 << 20; i++)
		data[i] = pattern[i % n];
	e.size = (uint64_t)mib << 20;
	(void)rb_tar_header(&tar, &e, &err);
	gzip_member(blob, tar.ptr, tar.len);
	RB_CLEANUP(rb_buf_clear) struct rb_buf one = RB_BUF_INIT;
	gzip_member(&one, data, 1 << 20);
	for (unsigned i = 0; i < mib; i++)
		rb_buf_add(blob, one.ptr, one.len);
	rb_buf_truncate(&tar, 0);
	tar_end(&tar);
	gzip_member(blob, tar.ptr, tar.len);
}

/* A bomb is refused; a large hole is none, for our own layers have such members (threats S32). */
static void test_layer__ratio(void)
{
	RB_CLEANUP(rb_buf_clear) struct rb_buf blob = RB_BUF_INIT;
	RB_CLEANUP(rb_ledger_freep) struct rb_ledger *l = rb_ledger_new(limit, limit);
	RB_CLEANUP(rb_closep) int root = fresh_root();
	struct rb_layer_limits limits = rb_layer_limits_default;
	struct rb_error *err = NULL;
	struct rb_apply_result res;

	limits.ratio = 300;
	for (int i = 0; i < 2; i++) {
		rb_buf_truncate(&blob, 0);
		bomb(&blob, i ? "ab" : "", 80);
		RB_CLEANUP(rb_closep) int src = memory_file(blob.ptr, blob.len);
		struct rb_apply_spec spec = spec_for(src, root, l);
		spec.limits = &limits;
		CHECK_INT(rb_layer_apply(&spec, &res, &err), i ? -1 : 0);
		if (i)
			CHECK_ERR(&err, "grows to more than 300 times its size");
		else
			CHECK_OK(&err);
	}
}

/* Headers that libarchive reads into memory. */
static void test_layer__header_bombs(void)
{
	static const uint64_t sizes[] = {2 << 20, 4ull << 30};

	for (size_t i = 0; i < RB_ARRAY_LEN(sizes); i++) {
		const struct rb_tar_entry e = {.path = "x", .type = 'x', .size = sizes[i]};
		RB_CLEANUP(rb_buf_clear) struct rb_buf tar = RB_BUF_INIT;
		RB_CLEANUP(rb_closep) int root = fresh_root();
		struct rb_error *err = NULL;
		struct rb_apply_result res;

		(void)rb_tar_header(&tar, &e, &err);
		for (int k = 0; k < 3 << 20; k++)
			rb_buf_addch(&tar, 'a');
		CHECK_INT(apply_bytes(root, tar.ptr, tar.len, &res, &err), -1);
		CHECK(err && err->code == RB_ERR_CORRUPT);
		rb_error_drop(&err);
	}
}

/* A GNU sparse map of a million extents is held in memory: it counts as header. */
static void test_layer__sparse_map_bomb(void)
{
	RB_CLEANUP(rb_buf_clear) struct rb_buf tar = RB_BUF_INIT, map = RB_BUF_INIT;
	static const char records[] = "22 GNU.sparse.major=1\n22 GNU.sparse.minor=0\n"
				      "26 GNU.sparse.name=sparse\n31 GNU.sparse.realsize=9999999\n";
	struct rb_tar_entry pax = {.path = "x", .type = 'x', .size = sizeof(records) - 1};
	struct rb_tar_entry e = {.path = "y", .type = '0', .mode = 0644};
	RB_CLEANUP(rb_closep) int root = fresh_root();
	struct rb_error *err = NULL;
	struct rb_apply_result res;

	rb_buf_addstr(&map, "3000000\n");
	for (int i = 0; i < 3000000; i++)
		rb_buf_addf(&map, "%d\n0\n", i);
	tar_add(&tar, &pax, records);
	e.size = map.len;
	tar_add(&tar, &e, map.ptr);
	tar_end(&tar);
	CHECK_INT(apply_bytes(root, tar.ptr, tar.len, &res, &err), -1);
	CHECK_ERR(&err, "the headers of one entry exceed");
}

/* --- root file systems and ADD */

static void test_layer__plain_archive(void)
{
	static const char *const names[] = {"f a/.wh.x", "f .wh..wh..opq", "d .wh.d",
					    "f .wh.d/x 1"};

	for (size_t i = 0; i < RB_ARRAY_LEN(names); i++) {
		RB_CLEANUP(rb_buf_clear) struct rb_buf tar = RB_BUF_INIT;
		RB_CLEANUP(rb_ledger_freep) struct rb_ledger *l = rb_ledger_new(limit, limit);
		RB_CLEANUP(rb_closep) int root = fresh_root();
		struct rb_error *err = NULL;
		struct rb_apply_result res;

		tar_of(&tar, names[i]);
		RB_CLEANUP(rb_closep) int src = memory_file(tar.ptr, tar.len);
		struct rb_apply_spec spec = spec_for(src, root, l);
		spec.plain_archive = true;
		CHECK_INT(rb_layer_apply(&spec, &res, &err), -1);
		CHECK_ERR(&err, "names that begin with .wh. mean deletions");
		CHECK_INT(lseek(src, 0, SEEK_SET), 0);
		CHECK_INT(rb_layer_scan(src, &rb_layer_limits_default, true, &res, &err), -1);
		CHECK_ERR(&err, "names that begin with .wh. mean deletions");
	}
}

static void test_layer__add(void)
{
	RB_CLEANUP(rb_buf_clear) struct rb_buf tar = RB_BUF_INIT, gz = RB_BUF_INIT;
	RB_CLEANUP(rb_ledger_freep) struct rb_ledger *l = rb_ledger_new(limit, limit);
	RB_CLEANUP(rb_closep) int root = fresh_root();
	struct rb_error *err = NULL;
	struct rb_copy_spec spec = {.dst_root_fd = root,
				    .dst_ledger = l,
				    .dest = "/opt/link/x",
				    .chown_uid = -1,
				    .chown_gid = -1};

	CHECK_INT(apply_text(root, "l opt/link /srv\nf srv/keep 1\nl srv/x/out /etc", &err), 0);
	tar_of(&tar, "f u/../a 1\nf out/b 2\nh c /a\nd d");
	gzip_member(&gz, tar.ptr, tar.len);
	RB_CLEANUP(rb_closep) int src = memory_file(gz.ptr, gz.len);
	CHECK_INT(rb_archive_detect(src, "x.tgz", &err), 1);
	CHECK_INT(rb_archive_unpack(src, &spec, &err), 0);
	CHECK_OK(&err);
	CHECK_TREE(root, "d etc\nf etc/b 2\nd opt\nl opt/link /srv\nd srv\nf srv/keep 1\nd srv/x\n"
			 "f srv/x/a 1\nf srv/x/c 1\nd srv/x/d\nl srv/x/out /etc\n");
	check_canary("add");
}

static void test_layer__detect(void)
{
	static const char zeros[2048];
	static const struct {
		const char *data;
		size_t len;
		int want;
	} t[] = {
		{"", 0, 0},
		{"hello", 5, 0},
		{zeros, sizeof(zeros), 0},
		{"\x1f\x8b\x08 no gzip at all", 18, 0},
		{"BZh91AY", 7, 0},
		{"\xfd"
		 "7zXZ\0\0",
		 7, 0},
	};

	for (size_t i = 0; i < RB_ARRAY_LEN(t); i++) {
		RB_CLEANUP(rb_closep) int src = memory_file(t[i].data, t[i].len);
		struct rb_error *err = NULL;

		CHECK_INT(rb_archive_detect(src, "x", &err), t[i].want);
		CHECK_INT(lseek(src, 0, SEEK_CUR), 0);
		CHECK_OK(&err);
	}
}

/* --- whiteouts, on a real overlay in a user namespace */

static int write_proc(const char *path, const char *text)
{
	RB_CLEANUP(rb_closep) int fd = open(path, O_WRONLY | O_CLOEXEC);

	return fd < 0 ? -errno : rb_write_full(fd, text, strlen(text));
}

static bool enter_namespace(void)
{
	RB_CLEANUP(rb_strp) char *uids = rb_asprintf("0 %d 1", (int)geteuid());
	RB_CLEANUP(rb_strp) char *gids = rb_asprintf("0 %d 1", (int)getegid());

	if (unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0)
		return false;
	limit = 1;
	/* The old descriptor leads to the mounts of the old namespace. */
	rb_closep(&top_fd);
	top_fd = open(top, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return write_proc("/proc/self/setgroups", "deny") == 0 &&
	       write_proc("/proc/self/uid_map", uids) == 0 &&
	       write_proc("/proc/self/gid_map", gids) == 0;
}

/* Mounts lower, upper and work of the top directory on merged. */
static bool mount_overlay(void)
{
	RB_CLEANUP(rb_strp)
	char *options = rb_asprintf("lowerdir=%s/lower,upperdir=%s/upper,workdir=%s/work,userxattr",
				    top, top, top);
	RB_CLEANUP(rb_strp) char *target = rb_asprintf("%s/merged", top);

	return mount("overlay", target, "overlay", 0, options) == 0;
}

/* Lower layer, layer on top, and what is to be seen once it is mounted anew. */
static const struct {
	const char *lower, *layer, *merged;
} overlays[] = {
	{"f a 1\nf b 2", "f .wh.a", "f b 2\n"},
	{"f a 1", "f .wh.b\nf x/.wh.y", "f a 1\n"},
	{"d d\nf d/x 1\nf d/y 2", "f .wh.d", ""},
	{"d d\nf d/x 1\nd d/e\nf d/e/f 1", "f d/.wh.x\nf d/e/.wh.f", "d d\nd d/e\n"},
	/* what the layer itself has stays, before and behind the whiteout */
	{"f a 1", "f a 2\nf .wh.a", "f a 2\n"},
	{"f a 1", "f .wh.a\nf a 2", "f a 2\n"},
	{"d d\nf d/old 1", "f .wh.d\nd d\nf d/new 1", "d d\nf d/new 1\n"},
	{"d d\nf d/old 1", "d d\nf d/new 1\nf .wh.d", "d d\nf d/new 1\n"},
	{"d d\nf d/old 1", "f d/new 1\nf .wh.d", "d d\nf d/new 1\n"},
	/* opaque */
	{"d d\nf d/old 1\nd d/e\nf d/e/x 1", "d d\nf d/.wh..wh..opq\nf d/new 1",
	 "d d\nf d/new 1\n"},
	{"d d\nf d/old 1\nd d/e\nf d/e/x 1", "f d/e/y 1\nf d/.wh..wh..opq",
	 "d d\nd d/e\nf d/e/y 1\n"},
	{"d d\nf d/old 1", "f d/.wh..wh..opq", "d d\n"},
	{"f a 1\nd d\nf d/old 1\nd e\nf e/x 1", "d d\nf d/new 1\nf .wh..wh..opq",
	 "d d\nf d/new 1\n"},
	/* names through links; the link itself is deleted, never its target */
	{"d u\nf u/x 1\nf u/y 1\nl l u", "f l/.wh.x", "l l u\nd u\nf u/y 1\n"},
	{"d u\nf u/x 1\nl l u", "f .wh.l", "d u\nf u/x 1\n"},
	{"d u\nf u/x 1\nl l u", "f l/.wh..wh..opq\nf l/z 1", "l l u\nd u\nf u/z 1\n"},
	{"l l ../..\nf a 1", "f l/.wh.canary\nf l/.wh.a", "l l ../..\n"},
	/* replacing */
	{"d d\nf d/x 1", "f d 1", "f d 1\n"},
	{"f d 1", "d d\nf d/x 1", "d d\nf d/x 1\n"},
	{"d d\nf d/x 1", "l d z", "l d z\n"},
	{"d d\nf d/x 1", "d d\nf d/y 2", "d d\nf d/x 1\nf d/y 2\n"},
	{"f a 1", "h b a\nf c 3", "f a 1\nf b 1\nf c 3\n"},
	/* a device 0:0 in a tar is a device, not a deletion */
	{"f a 1", "c a", "f a\n"},
};

static int open_dir(const char *name)
{
	int fd = openat(top_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	CHECK(fd >= 0);
	return fd;
}

static void overlay_case(size_t i)
{
	static const char *const dirs[] = {"lower", "upper", "work", "merged"};
	RB_CLEANUP(rb_ledger_freep) struct rb_ledger *l = rb_ledger_new(limit, limit);
	RB_CLEANUP(rb_buf_clear) struct rb_buf tar = RB_BUF_INIT;
	RB_CLEANUP(rb_strp) char *merged_path = rb_asprintf("%s/merged", top);
	struct rb_error *err = NULL;
	struct rb_apply_result res;

	for (size_t k = 0; k < RB_ARRAY_LEN(dirs); k++)
		CHECK_INT(mkdirat(top_fd, dirs[k], 0755), 0);
	RB_CLEANUP(rb_closep) int lower = open_dir("lower");
	RB_CLEANUP(rb_closep) int upper = open_dir("upper");
	CHECK_INT(apply_text(lower, overlays[i].lower, &err), 0);
	CHECK(mount_overlay());
	RB_CLEANUP(rb_closep) int merged = open_dir("merged");
	tar_of(&tar, overlays[i].layer);
	RB_CLEANUP(rb_closep) int src = memory_file(tar.ptr, tar.len);
	struct rb_apply_spec spec = spec_for(src, merged, l);
	spec.upper_fd = upper;
	CHECK_INT(rb_layer_apply(&spec, &res, &err), 0);
	CHECK_OK(&err);
	rb_closep(&merged);
	CHECK_INT(umount2(merged_path, 0), 0);
	CHECK(mount_overlay());
	merged = open_dir("merged");
	CHECK_TREE(merged, overlays[i].merged);
	rb_closep(&merged);
	CHECK_INT(umount2(merged_path, 0), 0);
	for (size_t k = 0; k < RB_ARRAY_LEN(dirs); k++)
		CHECK_INT(rb_remove_tree_at(top_fd, dirs[k]), 0);
}

static int overlay_child(void)
{
	static const char *const dirs[] = {"lower", "upper", "work", "merged"};
	struct stat st;

	if (!enter_namespace())
		return 77;
	for (size_t k = 0; k < RB_ARRAY_LEN(dirs); k++)
		(void)mkdirat(top_fd, dirs[k], 0755);
	RB_CLEANUP(rb_strp) char *merged = rb_asprintf("%s/merged", top);
	bool works = mount_overlay() && umount2(merged, 0) == 0;
	for (size_t k = 0; k < RB_ARRAY_LEN(dirs); k++)
		(void)rb_remove_tree_at(top_fd, dirs[k]);
	if (!works)
		return 77;
	for (size_t i = 0; i < RB_ARRAY_LEN(overlays); i++) {
		unsigned before = tap_failures;

		overlay_case(i);
		if (tap_failures != before)
			printf("# overlay %zu: %s\n", i, overlays[i].layer);
		CHECK(fstatat(top_fd, "canary", &st, AT_SYMLINK_NOFOLLOW) == 0);
	}
	return tap_failures ? 1 : 0;
}

static void test_layer__overlay(void)
{
	int status = 0;
	const char *must = getenv("RB_TEST_MUST_HAVE");

	(void)fflush(stdout);
	pid_t pid = fork();
	if (pid == 0) {
		tap_failures = 0;
		int r = overlay_child();
		(void)fflush(stdout);
		_exit(r);
	}
	CHECK(pid > 0 && waitpid(pid, &status, 0) == pid);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 77) {
		printf("# skipped: no user namespace with overlay here\n");
		CHECK(!must || !strstr(must, "overlay"));
		return;
	}
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/* Which ids are on disk: all, as real root; 0 alone, as root of a namespace with one id; or none.
 */
static uint32_t find_limit(int fd)
{
	if (geteuid() != 0)
		return 0;
	return fchown(fd, 65535, 65535) == 0 && fchown(fd, 0, 0) == 0 ? 65536 : 1;
}

static int run(void)
{
	return tap_run((const struct tap_test[]){TAP(test_layer__cases),
						 TAP(test_layer__umask),
						 TAP(test_layer__metadata),
						 TAP(test_layer__merged_directory),
						 TAP(test_layer__default_acl),
						 TAP(test_layer__ledger_path),
						 TAP(test_layer__damaged_capability),
						 TAP(test_layer__names),
						 TAP(test_layer__holes),
						 TAP(test_layer__round_trip),
						 TAP(test_layer__gzip_members),
						 TAP(test_layer__trailing_bytes),
						 TAP(test_layer__damaged),
						 TAP(test_layer__digests),
						 TAP(test_layer__limits),
						 TAP(test_layer__ratio),
						 TAP(test_layer__header_bombs),
						 TAP(test_layer__sparse_map_bomb),
						 TAP(test_layer__plain_archive),
						 TAP(test_layer__add),
						 TAP(test_layer__detect),
						 TAP(test_layer__overlay),
						 TAP_END});
}

int main(void)
{
	if (!mkdtemp(top) || (top_fd = open(top, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0) {
		printf("Bail out! cannot make a directory in /tmp\n");
		return 1;
	}
	RB_CLEANUP(rb_closep)
	int fd = openat(top_fd, "canary", O_WRONLY | O_CREAT | O_CLOEXEC, 0640);
	if (fd < 0 || fchmod(fd, 0640) < 0 || rb_write_full(fd, canary, strlen(canary)) < 0)
		return 1;
	limit = find_limit(fd);
	int r = run();
	(void)rb_remove_tree_at(AT_FDCWD, top);
	return r;
}
