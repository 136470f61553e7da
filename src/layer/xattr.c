// SPDX-License-Identifier: Apache-2.0
/*
 * Extended attributes by allow-list (design 3.10): what is neither user data, capabilities nor an
 * ACL belongs to the host (selinux, ima) or to the overlay, and has no business in an image.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/sys.h"
#include "layer/acl.h"
#include "layer/layer-internal.h"

#define CAPS_NAME "security.capability"

static const struct {
	const char *key, *kept;
} acls[] = {
	{RB_ACL_ACCESS, "user.rbuild.acl"},
	{RB_ACL_DEFAULT, "user.rbuild.acl-default"},
};

bool rb_xattr_allowed(const char *name)
{
	if (rb_starts_with(name, "user."))
		return !rb_starts_with(name, "user.overlay.") &&
		       !rb_starts_with(name, "user.rbuild.");
	return rb_streq(name, CAPS_NAME) || rb_acl_kept_key(name);
}

/* struct vfs_ns_cap_data of linux/capability.h: version and flags, then pairs of 32-bit words, then
 * the root id. */
int rb_layer_caps_v2(const void *value, size_t len, uint8_t ret[static RB_CAPS_V2_BYTES])
{
	static const size_t sizes[] = {[1] = 12, [2] = 20, [3] = 24};
	const uint8_t *v = value;
	uint8_t version = len > 3 ? v[3] : 0;

	if (version < 1 || version > 3 || len != sizes[version])
		return -EINVAL;
	memset(ret, 0, RB_CAPS_V2_BYTES);
	memcpy(ret, v, rb_min_size(len, RB_CAPS_V2_BYTES));
	ret[3] = 2;
	return 0;
}

void rb_xattrs_free(struct rb_xattr *v, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		free(v[i].name);
		free(v[i].value);
	}
	free(v);
}

/* All names, NUL after each: length, 0 when there are none or the file system knows none. */
static ssize_t list_names(int dirfd, const char *name, char **ret)
{
	char small[512];
	ssize_t n = rb_sys_listxattr(dirfd, name, small, sizeof(small));

	*ret = NULL;
	if (n == -EOPNOTSUPP)
		return 0;
	if (n >= 0) {
		if (n > 0)
			*ret = memcpy(rb_malloc((size_t)n), small, (size_t)n);
		return n;
	}
	if (n != -ERANGE)
		return n;
	RB_CLEANUP(rb_strp) char *big = rb_malloc(XATTR_LIST_MAX);
	n = rb_sys_listxattr(dirfd, name, big, XATTR_LIST_MAX);
	if (n > 0)
		*ret = rb_steal_ptr(&big);
	return n;
}

/* 1 and the value, 0 when it is gone meanwhile. */
static int read_value(int dirfd, const char *name, const char *key, struct rb_xattr *ret)
{
	RB_CLEANUP(rb_strp) char *buf = rb_malloc(XATTR_SIZE_MAX);
	ssize_t n = rb_sys_getxattr(dirfd, name, key, buf, XATTR_SIZE_MAX);
	uint8_t caps[RB_CAPS_V2_BYTES];

	if (n == -ENODATA)
		return 0;
	if (n < 0)
		return (int)n;
	if (rb_streq(key, CAPS_NAME) && rb_layer_caps_v2(buf, (size_t)n, caps) == 0) {
		n = sizeof(caps);
		memcpy(buf, caps, sizeof(caps));
	}
	ret->name = rb_strdup(key);
	ret->value = memcpy(rb_malloc((size_t)n + 1), buf, (size_t)n);
	ret->value[n] = '\0';
	ret->len = (size_t)n;
	return 1;
}

/* --- ACLs that are kept */

const char *rb_acl_kept_key(const char *key)
{
	for (size_t i = 0; i < RB_ARRAY_LEN(acls); i++)
		if (rb_streq(acls[i].key, key))
			return acls[i].kept;
	return NULL;
}

const char *rb_acl_key_of_kept(const char *name)
{
	for (size_t i = 0; i < RB_ARRAY_LEN(acls); i++)
		if (rb_streq(acls[i].kept, name))
			return acls[i].key;
	return NULL;
}

static int stat_entry(int dirfd, const char *name, struct stat *ret)
{
	int flags = AT_SYMLINK_NOFOLLOW | (*name ? 0 : AT_EMPTY_PATH);

	return fstatat(dirfd, name, ret, flags) < 0 ? -errno : 0;
}

/* Permission bits of a file that is no link; the descriptor of an empty name may be O_PATH. */
static int set_permissions(int dirfd, const char *name, const struct stat *st, mode_t bits)
{
	mode_t mode = (st->st_mode & 07000) | bits;
	char path[32];

	if (*name)
		return fchmodat(dirfd, name, mode, 0) < 0 ? -errno : 0;
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", dirfd);
	return chmod(path, mode) < 0 ? -errno : 0;
}

int rb_acl_keep(int dirfd, const char *name, const char *key, const void *value, size_t len)
{
	struct stat st;
	int r = stat_entry(dirfd, name, &st);

	if (r < 0)
		return r;
	if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode))
		return -EOPNOTSUPP;
	if (rb_streq(key, RB_ACL_DEFAULT) && !S_ISDIR(st.st_mode))
		return -EACCES;
	if ((r = rb_sys_setxattr(dirfd, name, rb_acl_kept_key(key), value, len)) < 0)
		return r;
	r = rb_sys_removexattr(dirfd, name, key);
	if (r < 0 && r != -ENODATA && r != -EOPNOTSUPP)
		return r;
	return rb_streq(key, RB_ACL_ACCESS)
		       ? set_permissions(dirfd, name, &st, rb_acl_mode(value, len))
		       : 0;
}

int rb_acl_kept(int dirfd, const char *name, const char *key, char **ret, size_t *ret_len)
{
	char small[512];
	RB_CLEANUP(rb_strp) char *big = NULL;
	const char *value = small, *kept = rb_acl_kept_key(key);
	ssize_t n = rb_sys_getxattr(dirfd, name, kept, small, sizeof(small));
	struct stat st;

	if (n == -ERANGE) {
		value = big = rb_malloc(XATTR_SIZE_MAX);
		n = rb_sys_getxattr(dirfd, name, kept, big, XATTR_SIZE_MAX);
	}
	/* EPERM and the like: /proc and what has no such attributes. */
	if (n == -ENODATA || n == -EOPNOTSUPP || n == -EPERM || n == -EACCES)
		return 0;
	if (n < 0)
		return (int)n;
	/* A step of a mode that does not hide it may have written anything. */
	if (!rb_acl_is_valid(value, (size_t)n))
		return 0;
	int r = stat_entry(dirfd, name, &st);
	if (r < 0)
		return r;
	*ret = memcpy(rb_malloc((size_t)n), value, (size_t)n);
	*ret_len = (size_t)n;
	if (rb_streq(key, RB_ACL_ACCESS))
		rb_acl_chmod(*ret, *ret_len, st.st_mode);
	return 1;
}

int rb_acl_drop(int dirfd, const char *name, const char *key)
{
	int r = rb_sys_removexattr(dirfd, name, rb_acl_kept_key(key));

	return r == -ENODATA || r == -EOPNOTSUPP || r == -EPERM ? 0 : r < 0 ? r : 1;
}

int rb_acl_inherit(int parent_fd, int dirfd, const char *name, mode_t mode)
{
	RB_CLEANUP(rb_strp) char *acl = NULL;
	struct stat st;
	size_t len;
	int r = rb_acl_kept(parent_fd, "", RB_ACL_DEFAULT, &acl, &len);

	if (r <= 0 || (r = stat_entry(dirfd, name, &st)) < 0 || S_ISLNK(st.st_mode))
		return r < 0 ? r : 0;
	if (S_ISDIR(st.st_mode) && (r = rb_acl_keep(dirfd, name, RB_ACL_DEFAULT, acl, len)) < 0)
		return r;
	mode = rb_acl_create(acl, len, mode);
	if (S_ISREG(st.st_mode) || S_ISDIR(st.st_mode))
		return rb_acl_keep(dirfd, name, RB_ACL_ACCESS, acl, len);
	/* What cannot keep it has the bits at least. */
	return set_permissions(dirfd, name, &st, mode);
}

int rb_acl_inherit_dir(int fd, mode_t mode)
{
	RB_CLEANUP(rb_closep) int parent = openat(fd, "..", O_PATH | O_DIRECTORY | O_CLOEXEC);
	int r = parent < 0 ? -errno : rb_acl_inherit(parent, fd, "", mode);

	if (r < 0)
		return r;
	return fchmod(fd, mode) < 0 ? -errno : 0;
}

/* 1 and the kept ACL as what the image has, 0 when there is none. */
static int read_kept(int dirfd, const char *name, const char *key, struct rb_xattr *ret)
{
	RB_CLEANUP(rb_strp) char *acl = NULL;
	size_t len;
	int r = rb_acl_kept(dirfd, name, key, &acl, &len);

	if (r > 0)
		*ret = (struct rb_xattr){
			.name = rb_strdup(key), .value = rb_steal_ptr(&acl), .len = len};
	return r;
}

/* --- all of an entry */

/* One of a list; `kept` says that the list names ACLs that are kept. */
static int read_one(int dirfd, const char *name, const char *listed, bool kept,
		    struct rb_xattr *ret)
{
	const char *key = rb_acl_key_of_kept(listed);

	if (key)
		return read_kept(dirfd, name, key, ret);
	/* There are not both, unless a step sees to it. */
	if (kept && rb_acl_kept_key(listed)) {
		RB_CLEANUP(rb_strp) char *acl = NULL;
		size_t len;
		int r = rb_acl_kept(dirfd, name, listed, &acl, &len);

		if (r != 0)
			return r < 0 ? r : 0;
	}
	return read_value(dirfd, name, listed, ret);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct rb_xattr *)a)->name, ((const struct rb_xattr *)b)->name);
}

ssize_t rb_xattrs_read(int dirfd, const char *name, struct rb_xattr **ret)
{
	RB_CLEANUP(rb_strp) char *names = NULL;
	ssize_t len = list_names(dirfd, name, &names);
	struct rb_xattr *v = NULL;
	size_t n = 0, cap = 0;
	bool kept = false;

	*ret = NULL;
	if (len <= 0)
		return len;
	for (const char *key = names; key < names + len; key += strlen(key) + 1)
		kept |= rb_acl_key_of_kept(key) != NULL;
	for (const char *key = names; key < names + len; key += strlen(key) + 1) {
		if (!rb_xattr_allowed(key) && !rb_acl_key_of_kept(key))
			continue;
		rb_grow(v, n, &cap);
		int r = read_one(dirfd, name, key, kept, &v[n]);
		if (r < 0) {
			rb_xattrs_free(v, n);
			return r;
		}
		n += (size_t)r;
	}
	if (n)
		qsort(v, n, sizeof(*v), by_name);
	*ret = v;
	return (ssize_t)n;
}

static bool cannot_hold(int r)
{
	return r == -EOPNOTSUPP || r == -EPERM || r == -EINVAL || r == -EACCES;
}

static int set_one(int dirfd, const char *name, const struct rb_xattr *v)
{
	int r = rb_sys_setxattr(dirfd, name, v->name, v->value, v->len);

	if (!rb_acl_kept_key(v->name))
		return r;
	if (r == -EINVAL && rb_acl_is_valid(v->value, v->len))
		return rb_acl_keep(dirfd, name, v->name, v->value, v->len);
	/* One that was inherited. */
	if (r == 0 && (r = rb_acl_drop(dirfd, name, v->name)) > 0)
		r = 0;
	return r;
}

int rb_layer_set_xattrs(int dirfd, const char *name, const struct rb_xattr *v, size_t n,
			const char *path)
{
	for (size_t i = 0; i < n; i++) {
		int r = set_one(dirfd, name, &v[i]);

		if (r < 0 && !cannot_hold(r))
			return r;
		if (r < 0)
			rb_log_warn("%s: attribute %s cannot be kept here: %s", path, v[i].name,
				    strerrordesc_np(-r));
	}
	return 0;
}

int rb_layer_clear_xattrs(int dirfd, const char *name)
{
	RB_CLEANUP(rb_strp) char *names = NULL;
	ssize_t len = list_names(dirfd, name, &names);

	if (len <= 0)
		return (int)len;
	for (const char *key = names; key < names + len; key += strlen(key) + 1) {
		bool gone = rb_xattr_allowed(key) || rb_acl_key_of_kept(key);
		int r = gone ? rb_sys_removexattr(dirfd, name, key) : 0;

		if (r < 0 && r != -ENODATA)
			return r;
	}
	return 0;
}
