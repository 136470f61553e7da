// SPDX-License-Identifier: Apache-2.0
/*
 * Extended attributes by allow-list (design 3.10): what is neither user data, capabilities nor an
 * ACL belongs to the host (selinux, ima) or to the overlay, and has no business in an image.
 */
#include <errno.h>
#include <linux/limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/sys.h"
#include "layer/layer-internal.h"

#define CAPS_NAME "security.capability"

bool rb_xattr_allowed(const char *name)
{
	if (rb_starts_with(name, "user."))
		return !rb_starts_with(name, "user.overlay.") &&
		       !rb_starts_with(name, "user.rbuild.");
	return rb_streq(name, CAPS_NAME) || rb_streq(name, "system.posix_acl_access") ||
	       rb_streq(name, "system.posix_acl_default");
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

	*ret = NULL;
	if (len <= 0)
		return len;
	for (const char *key = names; key < names + len; key += strlen(key) + 1) {
		if (!rb_xattr_allowed(key))
			continue;
		rb_grow(v, n, &cap);
		int r = read_value(dirfd, name, key, &v[n]);
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

int rb_layer_set_xattrs(int dirfd, const char *name, const struct rb_xattr *v, size_t n,
			const char *path)
{
	for (size_t i = 0; i < n; i++) {
		int r = rb_sys_setxattr(dirfd, name, v[i].name, v[i].value, v[i].len);

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
		int r = rb_xattr_allowed(key) ? rb_sys_removexattr(dirfd, name, key) : 0;

		if (r < 0 && r != -ENODATA)
			return r;
	}
	return 0;
}
