// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/sys.h"
#include "layer/layer-internal.h"
#include "tap.h"

static char top[] = "/tmp/rbuild-test-ledger-XXXXXX";
static int top_fd = -1;
static uint32_t limit; /* the largest that works here */

static int fresh_dir(const char *name)
{
	CHECK_INT(rb_remove_tree_at(top_fd, name), 0);
	CHECK_INT(mkdirat(top_fd, name, 0755), 0);
	int fd = openat(top_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	CHECK(fd >= 0);
	return fd;
}

static void make_file(int dirfd, const char *name)
{
	RB_CLEANUP(rb_closep)
	int fd = openat(dirfd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);

	CHECK(fd >= 0);
}

/* One of each kind that can be made everywhere. */
static const char *const kinds[] = {"file", "dir", "link", "fifo"};

static int tree(const char *name)
{
	int fd = fresh_dir(name);

	make_file(fd, "file");
	CHECK_INT(mkdirat(fd, "dir", 0755), 0);
	CHECK_INT(symlinkat("nowhere", fd, "link"), 0);
	CHECK_INT(mkfifoat(fd, "fifo", 0644), 0);
	return fd;
}

static void check_owner(const struct rb_ledger *l, int dirfd, const char *name, const char *path,
			uint32_t uid, uint32_t gid)
{
	struct stat st = {0};

	CHECK_INT(rb_ledger_stat(l, dirfd, name, path, &st), 0);
	CHECK_INT(st.st_uid, uid);
	CHECK_INT(st.st_gid, gid);
}

static bool has_entry(int dirfd, const char *name)
{
	char buf[64];

	return rb_sys_getxattr(dirfd, name, RB_LEDGER_XATTR, buf, sizeof(buf)) >= 0;
}

/* Whatever the namespace maps, the image's owner comes back; the disk holds it if it can. */
static void test_ledger__chown(void)
{
	static const struct {
		uint32_t uid, gid;
	} owners[] = {{0, 0},     {0, 42},          {1000, 0}, {65535, 65535},
		      {65536, 3}, {4294967294u, 1}, {0, 0}};
	const uint32_t limits[] = {0, limit ? 1 : 0, limit};

	for (size_t k = 0; k < RB_ARRAY_LEN(limits); k++) {
		RB_CLEANUP(rb_ledger_freep)
		struct rb_ledger *l = rb_ledger_new(limits[k], limits[k]);
		RB_CLEANUP(rb_closep) int fd = tree("t");

		for (size_t i = 0; i < RB_ARRAY_LEN(owners); i++) {
			bool real = owners[i].uid < limits[k] && owners[i].gid < limits[k];

			for (size_t j = 0; j < RB_ARRAY_LEN(kinds); j++) {
				CHECK_INT(rb_ledger_chown(l, fd, kinds[j], kinds[j], owners[i].uid,
							  owners[i].gid),
					  0);
				check_owner(l, fd, kinds[j], kinds[j], owners[i].uid,
					    owners[i].gid);
				if (j < 2)
					CHECK_INT(has_entry(fd, kinds[j]), !real);
			}
		}
	}
}

/* By descriptor, and without following a link. */
static void test_ledger__by_descriptor(void)
{
	RB_CLEANUP(rb_ledger_freep) struct rb_ledger *l = rb_ledger_new(0, 0);
	RB_CLEANUP(rb_closep) int fd = tree("t");
	static const int flags[] = {O_RDONLY, O_PATH};

	for (size_t i = 0; i < RB_ARRAY_LEN(flags); i++) {
		RB_CLEANUP(rb_closep) int file = openat(fd, "file", flags[i] | O_CLOEXEC);
		uint32_t uid = 7 + (uint32_t)i;

		CHECK_INT(rb_ledger_chown(l, file, "", "file", uid, 8), 0);
		check_owner(l, file, "", "file", uid, 8);
		check_owner(l, fd, "file", "file", uid, 8);
	}
	CHECK_INT(unlinkat(fd, "link", 0), 0);
	CHECK_INT(symlinkat("file", fd, "link"), 0);
	CHECK_INT(rb_ledger_chown(l, fd, "link", "link", 99, 99), 0);
	check_owner(l, fd, "link", "link", 99, 99);
	check_owner(l, fd, "file", "file", 8, 8);
	CHECK_INT(rb_ledger_chown(l, fd, "missing", "missing", 1, 1), -ENOENT);
}

static void test_ledger__devices(void)
{
	static const struct {
		const char *name;
		mode_t mode;
		unsigned major, minor;
	} t[] = {{"null", S_IFCHR | 0666, 1, 3},
		 {"zero", S_IFCHR | 0600, 0, 0},
		 {"sda", S_IFBLK | 02660, 8, 1048575}};
	RB_CLEANUP(rb_ledger_freep) struct rb_ledger *l = rb_ledger_new(limit, limit);
	RB_CLEANUP(rb_closep) int fd = fresh_dir("t");

	for (size_t i = 0; i < RB_ARRAY_LEN(t); i++) {
		struct stat st;

		CHECK_INT(rb_ledger_mknod(l, fd, t[i].name, t[i].name, t[i].mode,
					  makedev(t[i].major, t[i].minor)),
			  0);
		/* Its numbers outlive every change of owner, also back to one that is mapped. */
		CHECK_INT(rb_ledger_chown(l, fd, t[i].name, t[i].name, 3000000, 6), 0);
		check_owner(l, fd, t[i].name, t[i].name, 3000000, 6);
		CHECK_INT(rb_ledger_chown(l, fd, t[i].name, t[i].name, 0, 0), 0);
		CHECK_INT(rb_ledger_stat(l, fd, t[i].name, t[i].name, &st), 0);
		CHECK_INT(st.st_mode, t[i].mode);
		CHECK(st.st_rdev == makedev(t[i].major, t[i].minor));
		CHECK_INT(st.st_uid, 0);
		CHECK_INT(fstatat(fd, t[i].name, &st, AT_SYMLINK_NOFOLLOW), 0);
		CHECK(S_ISREG(st.st_mode) && st.st_size == 0);
		CHECK_INT(rb_ledger_mknod(l, fd, t[i].name, t[i].name, t[i].mode, 0), -EEXIST);
	}
	CHECK_INT(rb_ledger_mknod(l, fd, "x", "x", S_IFREG | 0644, 0), -EINVAL);
}

static void test_ledger__damaged_entries(void)
{
	static const char *const bad[] = {
		"",
		"1",
		"1:",
		":1",
		"1:2:",
		"1:2:c",
		"1:2:c:1",
		"1:2:c:1:2:3",
		"1:2:x:1:2",
		"-1:2",
		"1:4294967295",
		"1 :2",
		"1:2 ",
		"11111111111111111111111111111111111111111111111111111111111111:1"};
	RB_CLEANUP(rb_ledger_freep) struct rb_ledger *l = rb_ledger_new(limit, limit);
	RB_CLEANUP(rb_closep) int fd = tree("t");
	struct stat st;

	for (size_t i = 0; i < RB_ARRAY_LEN(bad); i++) {
		CHECK_INT(rb_sys_setxattr(fd, "file", RB_LEDGER_XATTR, bad[i], strlen(bad[i])), 0);
		CHECK_INT(rb_ledger_stat(l, fd, "file", "file", &st), -EBADMSG);
	}
}

/* The table survives a save; rows of what is gone, or of another kind by now, do not. */
static void test_ledger__table(void)
{
	RB_CLEANUP(rb_ledger_freep) struct rb_ledger *l = rb_ledger_new(0, 0);
	RB_CLEANUP(rb_closep) int fd = tree("t");
	RB_CLEANUP(rb_buf_clear) struct rb_buf text = RB_BUF_INIT;
	static const char want[] = "7:8 fifo\0"
				   "5:6 link";
	struct rb_error *err = NULL;
	struct stat st;

	(void)unlinkat(top_fd, "table", 0);
	CHECK_INT(rb_ledger_save(l, fd, top_fd, "table", &err), 0);
	CHECK(fstatat(top_fd, "table", &st, 0) < 0);
	CHECK_INT(symlinkat("x", fd, "gone"), 0);
	CHECK_INT(symlinkat("x", fd, "file2"), 0);
	static const struct {
		const char *name;
		uint32_t uid, gid;
	} owners[] = {{"link", 5, 6}, {"fifo", 7, 8}, {"gone", 9, 9}, {"file2", 9, 9}};
	for (size_t i = 0; i < RB_ARRAY_LEN(owners); i++)
		CHECK_INT(rb_ledger_chown(l, fd, owners[i].name, owners[i].name, owners[i].uid,
					  owners[i].gid),
			  0);
	CHECK(unlinkat(fd, "gone", 0) == 0 && unlinkat(fd, "file2", 0) == 0);
	make_file(fd, "file2");
	check_owner(l, fd, "file2", "file2", geteuid(), getegid());
	CHECK_INT(rb_ledger_save(l, fd, top_fd, "table", &err), 0);
	CHECK_OK(&err);
	CHECK_INT(rb_read_file_at(top_fd, "table", 4096, &text, &err), 0);
	CHECK(text.len == sizeof(want) && !memcmp(text.ptr, want, sizeof(want)));

	RB_CLEANUP(rb_ledger_freep) struct rb_ledger *again = rb_ledger_new(0, 0);
	CHECK_INT(rb_ledger_add_tree(again, fd, top_fd, "table", &err), 0);
	CHECK_OK(&err);
	check_owner(again, fd, "link", "link", 5, 6);
	check_owner(again, fd, "fifo", "fifo", 7, 8);
}

static void test_ledger__damaged_table(void)
{
	static const struct {
		const char *text;
		size_t len;
	} bad[] = {{"x", 2}, {"1:2", 4}, {"1:2 a", 5}, {"1:2 a\0x:1 b", 12}, {" a", 3}, {"\0", 1}};
	RB_CLEANUP(rb_closep) int fd = fresh_dir("t");
	struct rb_error *err = NULL;

	for (size_t i = 0; i < RB_ARRAY_LEN(bad); i++) {
		RB_CLEANUP(rb_ledger_freep) struct rb_ledger *l = rb_ledger_new(0, 0);

		CHECK_INT(rb_publish_at(top_fd, "table", bad[i].text, bad[i].len, 0600, &err), 0);
		CHECK_INT(rb_ledger_add_tree(l, fd, top_fd, "table", &err), -1);
		CHECK(err && err->code == RB_ERR_CORRUPT);
		CHECK_ERR(&err, "ownership ledger table: damaged entry at byte");
	}
}

static int tree_with_table(const char *name, const char *const *paths, size_t n, uint32_t uid)
{
	RB_CLEANUP(rb_ledger_freep) struct rb_ledger *l = rb_ledger_new(0, 0);
	RB_CLEANUP(rb_strp) char *table = rb_asprintf("%s.table", name);
	struct rb_error *err = NULL;
	int fd = fresh_dir(name);

	for (size_t i = 0; i < n; i++) {
		CHECK_INT(symlinkat(name, fd, paths[i]), 0);
		CHECK_INT(rb_ledger_chown(l, fd, paths[i], paths[i], uid, uid), 0);
	}
	(void)unlinkat(top_fd, table, 0);
	CHECK_INT(rb_ledger_save(l, fd, top_fd, table, &err), 0);
	CHECK_OK(&err);
	return fd;
}

/* Of two trees the upper one speaks for what it has, also when it has nothing to say about it. */
static void test_ledger__merged(void)
{
	static const char *const lower_paths[] = {"a", "b", "c", "d"};
	static const char *const upper_paths[] = {"a"};
	RB_CLEANUP(rb_closep) int lower = tree_with_table("lower", lower_paths, 4, 5);
	RB_CLEANUP(rb_closep) int upper = tree_with_table("upper", upper_paths, 1, 9);
	RB_CLEANUP(rb_ledger_freep) struct rb_ledger *l = rb_ledger_new(0, 0);
	struct rb_error *err = NULL;
	struct stat st;

	CHECK_INT(symlinkat("new", upper, "b"), 0);
	make_file(upper, "d");
	CHECK_INT(rb_ledger_add_tree(l, upper, top_fd, "upper.table", &err), 0);
	CHECK_INT(rb_ledger_add_tree(l, lower, top_fd, "lower.table", &err), 0);
	CHECK_OK(&err);
	check_owner(l, upper, "a", "a", 9, 9);
	check_owner(l, upper, "b", "b", geteuid(), getegid());
	check_owner(l, lower, "c", "c", 5, 5);
	CHECK_INT(fstatat(upper, "d", &st, 0), 0);
	check_owner(l, upper, "d", "d", st.st_uid, st.st_gid);
	/* What is recorded now is the upper tree's. */
	CHECK_INT(rb_ledger_chown(l, upper, "b", "b", 77, 78), 0);
	check_owner(l, upper, "b", "b", 77, 78);
}

static void test_ledger__allowed_names(void)
{
	static const struct {
		const char *name;
		bool want;
	} t[] = {
		{"user.x", true},
		{"user.", true},
		{"user.overlayx", true},
		{"user.overlay.opaque", false},
		{"user.overlay.overlay.opaque", false},
		{"user.rbuild.entry", false},
		{"security.capability", true},
		{"security.capabilityx", false},
		{"security.selinux", false},
		{"security.ima", false},
		{"security.evm", false},
		{"system.posix_acl_access", true},
		{"system.posix_acl_default", true},
		{"system.nfs4_acl", false},
		{"trusted.overlay.opaque", false},
		{"lustre.x", false},
		{"", false},
	};

	for (size_t i = 0; i < RB_ARRAY_LEN(t); i++)
		if (rb_xattr_allowed(t[i].name) != t[i].want) {
			tap_failures++;
			printf("# %s\n", t[i].name);
		}
}

static void test_ledger__capabilities(void)
{
	static const uint8_t v1[12] = {1, 0, 0, 1, 0, 4, 0, 0, 9};
	static const uint8_t v3[24] = {1, 0, 0, 3, 0, 4, 0, 0, 9, 0, 0, 0,
				       8, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4};
	uint8_t out[RB_CAPS_V2_BYTES];

	CHECK_INT(rb_layer_caps_v2(v1, sizeof(v1), out), 0);
	CHECK(out[3] == 2 && out[5] == 4 && out[8] == 9 && out[12] == 0);
	CHECK_INT(rb_layer_caps_v2(v3, sizeof(v3), out), 0);
	CHECK(out[0] == 1 && out[3] == 2 && out[12] == 8);
	for (size_t len = 0; len < sizeof(v3); len++)
		CHECK_INT(rb_layer_caps_v2(v3, len, out), -EINVAL);
	CHECK_INT(rb_layer_caps_v2("\0\0\0\4________________", 20, out), -EINVAL);
	CHECK_INT(rb_layer_caps_v2("\0\0\0\0________________", 20, out), -EINVAL);
}

static void test_ledger__read_attributes(void)
{
	RB_CLEANUP(rb_closep) int fd = tree("t");
	struct rb_xattr *v = NULL;

	CHECK_INT(rb_xattrs_read(fd, "file", &v), 0);
	rb_xattrs_free(v, 0);
	CHECK_INT(rb_sys_setxattr(fd, "file", "user.z", "", 0), 0);
	for (int i = 0; i < 60; i++) {
		RB_CLEANUP(rb_strp) char *key = rb_asprintf("user.key%02d", 59 - i);

		CHECK_INT(rb_sys_setxattr(fd, "file", key, "v\0w", 3), 0);
	}
	CHECK_INT(rb_sys_setxattr(fd, "file", RB_LEDGER_XATTR, "1:2", 3), 0);
	CHECK_INT(rb_sys_setxattr(fd, "file", "user.overlay.opaque", "y", 1), 0);
	ssize_t n = rb_xattrs_read(fd, "file", &v);
	CHECK_INT(n, 61);
	if (n == 61) {
		CHECK_STR(v[0].name, "user.key00");
		CHECK(v[0].len == 3 && !memcmp(v[0].value, "v\0w", 3));
		CHECK_STR(v[60].name, "user.z");
		CHECK_INT(v[60].len, 0);
	}
	rb_xattrs_free(v, n > 0 ? (size_t)n : 0);
	CHECK_INT(rb_layer_clear_xattrs(fd, "file"), 0);
	CHECK_INT(rb_xattrs_read(fd, "file", &v), 0);
	rb_xattrs_free(v, 0);
	CHECK(has_entry(fd, "file"));
	for (size_t i = 2; i < RB_ARRAY_LEN(kinds); i++) {
		CHECK_INT(rb_xattrs_read(fd, kinds[i], &v), 0);
		rb_xattrs_free(v, 0);
	}
	CHECK_INT(rb_xattrs_read(fd, "missing", &v), -ENOENT);
}

static void test_ledger__resolve(void)
{
	static const struct {
		const char *path, *want; /* NULL: -ELOOP */
	} t[] = {
		{"/", ""},
		{"", ""},
		{"d/../x/./y", "x/y"},
		{"../../x", "x"},
		{"abs/z", "d/e/z"},
		{"d/up/up2", "up2"},
		{"out/etc/passwd", "etc/passwd"},
		{"dangling/x/y", "no/where/x/y"},
		{"loop/x", NULL},
		{"abs", "d/e"},
	};
	RB_CLEANUP(rb_closep) int fd = fresh_dir("t");

	CHECK(mkdirat(fd, "d", 0755) == 0 && mkdirat(fd, "d/e", 0755) == 0);
	CHECK(symlinkat("/d/e", fd, "abs") == 0 && symlinkat("..", fd, "d/up") == 0);
	CHECK(symlinkat("../../../../..", fd, "out") == 0 &&
	      symlinkat("no/where", fd, "dangling") == 0);
	CHECK(symlinkat("loop", fd, "loop") == 0);
	for (size_t i = 0; i < RB_ARRAY_LEN(t); i++) {
		RB_CLEANUP(rb_buf_clear) struct rb_buf real = RB_BUF_INIT;

		CHECK_INT(rb_layer_resolve(fd, t[i].path, &real), t[i].want ? 0 : -ELOOP);
		if (t[i].want)
			CHECK_STR(real.ptr, t[i].want);
	}
	CHECK_INT(rb_layer_open(fd, "abs/x", O_RDONLY), -ELOOP);
	CHECK_INT(rb_layer_open(fd, "../t", O_RDONLY), -EXDEV);
}

static uint32_t find_limit(void)
{
	RB_CLEANUP(rb_closep) int fd = fresh_dir("probe");

	if (geteuid() != 0)
		return 0;
	return fchown(fd, 65535, 65535) == 0 ? 65536 : 1;
}

int main(void)
{
	if (!mkdtemp(top) || (top_fd = open(top, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0) {
		printf("Bail out! cannot make a directory in /tmp\n");
		return 1;
	}
	limit = find_limit();
	int r = tap_run((const struct tap_test[]){
		TAP(test_ledger__chown), TAP(test_ledger__by_descriptor), TAP(test_ledger__devices),
		TAP(test_ledger__damaged_entries), TAP(test_ledger__table),
		TAP(test_ledger__damaged_table), TAP(test_ledger__merged),
		TAP(test_ledger__allowed_names), TAP(test_ledger__capabilities),
		TAP(test_ledger__read_attributes), TAP(test_ledger__resolve), TAP_END});
	(void)rb_remove_tree_at(AT_FDCWD, top);
	return r;
}
