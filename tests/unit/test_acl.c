// SPDX-License-Identifier: Apache-2.0
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fd.h"
#include "base/sys.h"
#include "layer/acl.h"
#include "layer/ledger.h"
#include "tap.h"

/*
 * "u7 u1234:7 g5 g55:6 m7 o1": owner, a user, the group, a group, the mask, others. Tags as in
 * linux/posix_acl.h.
 */
static void parse(const char *text, struct rb_buf *ret)
{
	static const struct {
		char letter;
		uint16_t tag;
	} tags[] = {{'u', 1}, {'g', 4}, {'m', 16}, {'o', 32}, {'x', 64}};
	const uint32_t version = htole32(2);

	rb_buf_truncate(ret, 0);
	rb_buf_add(ret, &version, sizeof(version));
	for (const char *word = text; *word; word += word[0] == ' ') {
		unsigned id = UINT32_MAX, perm = 0;
		bool named = sscanf(word + 1, "%u:%u", &id, &perm) == 2;
		uint16_t tag = 0;

		if (!named) {
			perm = id;
			id = UINT32_MAX;
		}
		for (size_t i = 0; i < RB_ARRAY_LEN(tags); i++)
			if (tags[i].letter == *word)
				tag = named ? (uint16_t)(tags[i].tag << 1) : tags[i].tag;
		const uint16_t head[] = {htole16(tag), htole16((uint16_t)perm)};
		id = htole32(id);
		rb_buf_add(ret, head, sizeof(head));
		rb_buf_add(ret, &id, sizeof(id));
		word += strcspn(word, " ");
	}
}

static void check_same(const struct rb_buf *got, const char *want)
{
	RB_CLEANUP(rb_buf_clear) struct rb_buf b = RB_BUF_INIT;

	parse(want, &b);
	CHECK_INT(got->len, b.len);
	CHECK(got->len == b.len && memcmp(got->ptr, b.ptr, b.len) == 0);
}

static void test_acl__valid(void)
{
	static const struct {
		const char *text;
		bool valid;
	} t[] = {
		{"u7 g5 o0", true},
		{"u7 g5 m7 o0", true},
		{"u7 u5:7 u6:1 g5 g5:1 g4:1 m7 o0", true},
		{"u7 u5:7 u5:7 g5 m7 o0", true}, /* as the kernel: doubles are not looked for */
		{"", false},
		{"u7 g5", false},
		{"g5 o0", false},
		{"u7 o0", false},
		{"u7 u5:7 g5 o0", false},
		{"u7 g5 g5:7 o0", false},
		{"g5 u7 o0", false},
		{"u7 g5 u5:7 m7 o0", false},
		{"u7 g5 o0 m7", false},
		{"u7 u7 g5 o0", false},
		{"u7 g5 g5 o0", false},
		{"u7 g5 o0 o0", false},
		{"u8 g5 o0", false},
		{"u7 u4294967295:7 g5 m7 o0", false},
		{"u7 g5 o0 x0", false},
	};
	RB_CLEANUP(rb_buf_clear) struct rb_buf b = RB_BUF_INIT;

	for (size_t i = 0; i < RB_ARRAY_LEN(t); i++) {
		parse(t[i].text, &b);
		if (rb_acl_is_valid(b.ptr, b.len) != t[i].valid)
			printf("# %s\n", t[i].text);
		CHECK(rb_acl_is_valid(b.ptr, b.len) == t[i].valid);
	}
	parse("u7 g5 o0", &b);
	for (size_t len = 0; len < b.len; len++)
		CHECK(!rb_acl_is_valid(b.ptr, len));
	b.ptr[0] = 1;
	CHECK(!rb_acl_is_valid(b.ptr, b.len));
}

/* An ACL and a mode: what chmod makes of it, and what a file made with that mode inherits. */
static void test_acl__modes(void)
{
	static const struct {
		const char *acl;
		mode_t own, mode;
		const char *chmod, *created;
		mode_t created_mode;
	} t[] = {
		{"u7 g5 o1", 0751, 0640, "u6 g4 o0", "u6 g4 o0", 0640},
		{"u7 g5 o1", 0751, 0777, "u7 g7 o7", "u7 g5 o1", 0751},
		{"u7 g5 m6 o1", 0761, 0657, "u6 g5 m5 o7", "u6 g5 m4 o1", 0641},
		{"u7 u5:6 g5 g6:7 m7 o0", 0770, 0644, "u6 u5:6 g5 g6:7 m4 o4",
		 "u6 u5:6 g5 g6:7 m4 o0", 0640},
		{"u7 u5:6 g5 m0 o0", 0700, 07777, "u7 u5:6 g5 m7 o7", "u7 u5:6 g5 m0 o0", 0700},
	};
	RB_CLEANUP(rb_buf_clear) struct rb_buf b = RB_BUF_INIT;

	for (size_t i = 0; i < RB_ARRAY_LEN(t); i++) {
		parse(t[i].acl, &b);
		CHECK_INT(rb_acl_mode(b.ptr, b.len), t[i].own);
		rb_acl_chmod(b.ptr, b.len, t[i].mode);
		check_same(&b, t[i].chmod);
		parse(t[i].acl, &b);
		CHECK_INT(rb_acl_create(b.ptr, b.len, t[i].mode), t[i].created_mode);
		check_same(&b, t[i].created);
	}
}

static bool in_groups(const void *ctx, uint32_t gid)
{
	const uint32_t *groups = ctx;

	for (; *groups; groups++)
		if (*groups == gid)
			return true;
	return false;
}

/* The file is 10:20's. */
static void test_acl__grants(void)
{
	static const struct {
		const char *acl;
		uint32_t uid, groups[3];
		unsigned may; /* one bit for each want of 0 to 7 */
	} t[] = {
		{"u4 u11:7 g6 m7 o7", 10, {20}, 1 << 0 | 1 << 4},
		{"u4 u11:7 g6 m5 o7", 11, {20}, 1 << 0 | 1 << 1 | 1 << 4 | 1 << 5},
		{"u4 u11:7 g6 m5 o7", 12, {20}, 1 << 0 | 1 << 4},
		{"u4 g4 g30:2 m7 o7", 12, {20, 30}, 1 << 0 | 1 << 4 | 1 << 2},
		{"u4 g4 g30:2 m7 o5", 12, {31}, 1 << 0 | 1 << 1 | 1 << 4 | 1 << 5},
		{"u4 g4 g30:0 m7 o7", 12, {30}, 1 << 0},
		{"u4 g7 o0", 12, {20}, 0xff},
	};
	RB_CLEANUP(rb_buf_clear) struct rb_buf b = RB_BUF_INIT;

	for (size_t i = 0; i < RB_ARRAY_LEN(t); i++) {
		const struct rb_acl_who who = {10, 20, t[i].uid, in_groups, t[i].groups};
		unsigned may = 0;

		parse(t[i].acl, &b);
		for (unsigned want = 0; want < 8; want++)
			may |= (unsigned)rb_acl_grants(b.ptr, b.len, &who, want) << want;
		CHECK_INT(may, t[i].may);
	}
}

/* --- on disk */

static char top[] = "/tmp/rb-acl-XXXXXX";

static void check_read(int dirfd, const char *name, const char *key, const char *want)
{
	struct rb_xattr *v;
	ssize_t n = rb_xattrs_read(dirfd, name, &v);
	bool found = false;

	for (ssize_t i = 0; i < n; i++) {
		RB_CLEANUP(rb_buf_clear) struct rb_buf b = RB_BUF_INIT;

		if (!rb_streq(v[i].name, key))
			continue;
		rb_buf_add(&b, v[i].value, v[i].len);
		CHECK(want != NULL && !found);
		if (want)
			check_same(&b, want);
		found = true;
	}
	CHECK(found == (want != NULL));
	rb_xattrs_free(v, n > 0 ? (size_t)n : 0);
}

static mode_t mode_of(int dirfd, const char *name)
{
	struct stat st;

	return fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0 ? 0 : st.st_mode & 07777;
}

static void test_acl__kept(void)
{
	RB_CLEANUP(rb_closep) int root = open(top, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	RB_CLEANUP(rb_buf_clear) struct rb_buf b = RB_BUF_INIT;

	CHECK_INT(mkdirat(root, "d", 0755), 0);
	if (rb_sys_setxattr(root, "d", "user.rbuild.test", "", 0) < 0) {
		printf("# skipped: no attributes in /tmp\n");
		return;
	}
	parse("u7 u1234:7 g5 m7 o1", &b);
	CHECK_INT(rb_acl_keep(root, "d", RB_ACL_DEFAULT, b.ptr, b.len), 0);
	CHECK_INT(mode_of(root, "d"), 0755);
	check_read(root, "d", RB_ACL_DEFAULT, "u7 u1234:7 g5 m7 o1");
	check_read(root, "d", RB_ACL_ACCESS, NULL);
	RB_CLEANUP(rb_closep) int d = openat(root, "d", O_PATH | O_DIRECTORY | O_CLOEXEC);

	CHECK_INT(mkdirat(d, "sub", 0700), 0);
	CHECK_INT(rb_acl_inherit(d, d, "sub", 02775), 0);
	CHECK_INT(mode_of(d, "sub"), 0771);
	check_read(d, "sub", RB_ACL_ACCESS, "u7 u1234:7 g5 m7 o1");
	check_read(d, "sub", RB_ACL_DEFAULT, "u7 u1234:7 g5 m7 o1");

	CHECK_INT(mknodat(d, "f", S_IFREG | 0600, 0), 0);
	CHECK_INT(mkfifoat(d, "p", 0600), 0);
	CHECK_INT(symlinkat("f", d, "l"), 0);
	RB_CLEANUP(rb_closep) int f = openat(d, "f", O_PATH | O_CLOEXEC);
	CHECK_INT(rb_acl_inherit(d, f, "", 0666), 0);
	CHECK_INT(rb_acl_inherit(d, d, "p", 0666), 0);
	CHECK_INT(rb_acl_inherit(d, d, "l", 0777), 0);
	CHECK_INT(mode_of(d, "f"), 0660);
	CHECK_INT(mode_of(d, "p"), 0660);
	check_read(d, "f", RB_ACL_ACCESS, "u6 u1234:7 g5 m6 o0");
	check_read(d, "f", RB_ACL_DEFAULT, NULL);

	/* The disk's bits are the truth. */
	CHECK_INT(fchmodat(d, "f", 04751, 0), 0);
	check_read(d, "f", RB_ACL_ACCESS, "u7 u1234:7 g5 m5 o1");
	CHECK_INT(rb_acl_keep(d, "f", RB_ACL_ACCESS, b.ptr, b.len), 0);
	CHECK_INT(mode_of(d, "f"), 04771);
	CHECK_INT(rb_acl_keep(d, "f", RB_ACL_DEFAULT, b.ptr, b.len), -EACCES);
	CHECK_INT(rb_acl_keep(d, "p", RB_ACL_ACCESS, b.ptr, b.len), -EOPNOTSUPP);
	CHECK_INT(rb_acl_drop(d, "f", RB_ACL_ACCESS), 1);
	CHECK_INT(rb_acl_drop(d, "f", RB_ACL_ACCESS), 0);
	check_read(d, "f", RB_ACL_ACCESS, NULL);

	/* What a step wrote there by itself, and both. */
	CHECK_INT(rb_sys_setxattr(d, "f", "user.rbuild.acl", "junk", 4), 0);
	check_read(d, "f", RB_ACL_ACCESS, NULL);
	if (rb_sys_setxattr(d, "sub", RB_ACL_DEFAULT, b.ptr, b.len) == 0)
		check_read(d, "sub", RB_ACL_DEFAULT, "u7 u1234:7 g5 m7 o1");
}

int main(void)
{
	if (!mkdtemp(top)) {
		printf("Bail out! cannot make a directory in /tmp\n");
		return 1;
	}
	int r = tap_run((const struct tap_test[]){TAP(test_acl__valid), TAP(test_acl__modes),
						  TAP(test_acl__grants), TAP(test_acl__kept),
						  TAP_END});
	(void)rb_remove_tree_at(AT_FDCWD, top);
	return r;
}
