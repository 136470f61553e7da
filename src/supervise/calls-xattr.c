// SPDX-License-Identifier: Apache-2.0
/* Extended attributes: done with the caller's rights; rbuild's own are hidden. */
#include <errno.h>
#include <linux/capability.h>
#include <linux/limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "layer/acl.h"
#include "supervise/supervise-internal.h"

#define OWN_PREFIX "user.rbuild."

struct xattr_call {
	struct call *c;
	int fd;        /* owned */
	char path[32]; /* of the object, through our own descriptor */
	char name[XATTR_NAME_MAX + 1];
	struct stat st;
};

static void xattr_clear(struct xattr_call *x)
{
	rb_closep(&x->fd);
}

enum how { BY_PATH, BY_LINK, BY_FD };

static int open_object(struct call *c, enum how how)
{
	switch (how) {
	case BY_PATH:
		return rb_resolve_at(c, AT_FDCWD, c->a[0], 0);
	case BY_LINK:
		return rb_resolve_at(c, AT_FDCWD, c->a[0], AT_SYMLINK_NOFOLLOW);
	default:
		return rb_caller_file(c, (int)c->a[0]);
	}
}

static int start(struct xattr_call *x, struct call *c, enum how how)
{
	*x = (struct xattr_call){.c = c, .fd = open_object(c, how)};
	if (x->fd < 0)
		return x->fd;
	int r = rb_caller_check(c);
	if (r < 0)
		return r;
	(void)snprintf(x->path, sizeof(x->path), "/proc/self/fd/%d", x->fd);
	return rb_entry_stat_as(c, x->fd, &x->st);
}

static int start_named(struct xattr_call *x, struct call *c, enum how how)
{
	int r = start(x, c, how);

	if (r < 0)
		return r;
	ssize_t n = rb_caller_string(c, c->a[1], x->name, sizeof(x->name));
	if (n == 0 || n == -ENAMETOOLONG)
		return -ERANGE;
	return n < 0 ? (int)n : 0;
}

static bool is_own(const char *name)
{
	return rb_starts_with(name, OWN_PREFIX);
}

/* A device's placeholder does, and is not to show it. */
static bool holds_user_attributes(const struct xattr_call *x)
{
	return S_ISREG(x->st.st_mode) || S_ISDIR(x->st.st_mode);
}

/* May the caller write this attribute? The kernel sees the owner of everything in us. */
static int check_write(const struct xattr_call *x)
{
	const struct rb_cred *cred = &x->c->cred;

	if (is_own(x->name))
		return -EPERM;
	if (rb_streq(x->name, "security.capability"))
		return rb_cred_has(cred, CAP_SETFCAP) ? 0 : -EPERM;
	if (rb_starts_with(x->name, "system.posix_acl_"))
		return rb_cred_owns(cred, &x->st);
	if (!rb_starts_with(x->name, "user."))
		return 0; /* the kernel knows */
	if (!holds_user_attributes(x))
		return -EPERM;
	if (S_ISDIR(x->st.st_mode) && x->st.st_mode & S_ISVTX && rb_cred_owns(cred, &x->st) < 0)
		return -EPERM;
	return rb_cred_may(cred, &x->st, RB_MAY_WRITE);
}

/* As for chmod: who is not of the group does not leave the file its set-group-id bit. */
static int drop_setgid(const struct xattr_call *x)
{
	const struct rb_cred *cred = &x->c->cred;
	struct stat st;

	if (!(x->st.st_mode & S_ISGID) || !rb_streq(x->name, RB_ACL_ACCESS) ||
	    rb_cred_in_group(cred, x->st.st_gid) || rb_cred_has(cred, CAP_FSETID))
		return 0;
	if (fstat(x->fd, &st) < 0)
		return -errno;
	return chmod(x->path, st.st_mode & 07777 & ~(mode_t)S_ISGID) < 0 ? -errno : 0;
}

/* An ACL with ids that the kernel has no others for is kept; one that it takes is no longer. */
static int set_acl(const struct xattr_call *x, const char *value, size_t size)
{
	int r = setxattr(x->path, x->name, value, size, 0) < 0 ? -errno : 0;

	if (r == -EINVAL && rb_acl_is_valid(value, size))
		r = rb_acl_keep(x->fd, "", x->name, value, size);
	else if (r == 0)
		r = rb_acl_drop(x->fd, "", x->name);
	return r < 0 ? r : drop_setgid(x);
}

static int64_t set(struct call *c, enum how how)
{
	RB_CLEANUP(xattr_clear) struct xattr_call x;
	int r = start_named(&x, c, how);
	size_t size = (size_t)c->a[3];

	if (r < 0)
		return r;
	if (size > XATTR_SIZE_MAX)
		return -E2BIG;
	if ((r = check_write(&x)) < 0)
		return r;
	RB_CLEANUP(rb_strp) char *value = rb_malloc(size);
	if ((r = rb_caller_read(c, c->a[2], value, size)) < 0)
		return r;
	if (rb_acl_kept_key(x.name))
		return set_acl(&x, value, size);
	return setxattr(x.path, x.name, value, size, (int)c->a[4]) < 0 ? -errno : 0;
}

/* 1 and the answer when the ACL is kept, 0 when not. */
static int get_acl(const struct xattr_call *x, size_t size, int64_t *ret)
{
	RB_CLEANUP(rb_strp) char *acl = NULL;
	size_t len;
	int r = rb_acl_kept(x->fd, "", x->name, &acl, &len);

	if (r <= 0)
		return r;
	if (size && len > size)
		return -ERANGE;
	if (size && (r = rb_caller_write(x->c, x->c->a[2], acl, len)) < 0)
		return r;
	*ret = (int64_t)len;
	return 1;
}

static int64_t get(struct call *c, enum how how)
{
	RB_CLEANUP(xattr_clear) struct xattr_call x;
	int64_t kept;
	int r = start_named(&x, c, how);
	size_t size = rb_min_size((size_t)c->a[3], XATTR_SIZE_MAX);

	if (r < 0)
		return r;
	if (is_own(x.name))
		return -ENODATA;
	if (rb_starts_with(x.name, "user.") && !holds_user_attributes(&x))
		return -ENODATA;
	if (rb_starts_with(x.name, "user.") && (r = rb_cred_may(&c->cred, &x.st, RB_MAY_READ)) < 0)
		return r;
	if (rb_acl_kept_key(x.name) && (r = get_acl(&x, size, &kept)) != 0)
		return r < 0 ? r : kept;
	RB_CLEANUP(rb_strp) char *value = rb_malloc(size);
	ssize_t n = getxattr(x.path, x.name, value, size);
	if (n < 0)
		return -errno;
	r = size ? rb_caller_write(c, c->a[2], value, (size_t)n) : 0;
	return r < 0 ? r : n;
}

/* The list as the step sees it: without our names, but with those of what we keep. */
static void show_names(const char *list, size_t len, struct rb_buf *ret)
{
	for (size_t at = 0, n; at < len; at += n) {
		const char *name = list + at, *acl = rb_acl_key_of_kept(name);

		n = strlen(name) + 1;
		if (acl)
			rb_buf_add(ret, acl, strlen(acl) + 1);
		else if (!is_own(name))
			rb_buf_add(ret, name, n);
	}
}

static int64_t list(struct call *c, enum how how)
{
	RB_CLEANUP(xattr_clear) struct xattr_call x;
	RB_CLEANUP(rb_buf_clear) struct rb_buf shown = RB_BUF_INIT;
	int r = start(&x, c, how);

	if (r < 0)
		return r;
	RB_CLEANUP(rb_strp) char *names = rb_malloc(XATTR_LIST_MAX);
	ssize_t n = listxattr(x.path, names, XATTR_LIST_MAX);
	if (n < 0)
		return -errno;
	show_names(names, (size_t)n, &shown);
	if (c->a[2] == 0)
		return (int64_t)shown.len;
	if (shown.len > c->a[2])
		return -ERANGE;
	r = rb_caller_write(c, c->a[1], shown.ptr, shown.len);
	return r < 0 ? r : (int64_t)shown.len;
}

static int64_t remove_it(struct call *c, enum how how)
{
	RB_CLEANUP(xattr_clear) struct xattr_call x;
	int r = start_named(&x, c, how);

	if (r < 0)
		return r;
	if (is_own(x.name))
		return -ENODATA;
	if ((r = check_write(&x)) < 0)
		return r;
	if (rb_acl_kept_key(x.name) && (r = rb_acl_drop(x.fd, "", x.name)) != 0)
		return r < 0 ? r : 0;
	return removexattr(x.path, x.name) < 0 ? -errno : 0;
}

#define THREE(verb, fn)                                                                            \
	int64_t rb_call_##verb(struct call *c)                                                     \
	{                                                                                          \
		return fn(c, BY_PATH);                                                             \
	}                                                                                          \
	int64_t rb_call_l##verb(struct call *c)                                                    \
	{                                                                                          \
		return fn(c, BY_LINK);                                                             \
	}                                                                                          \
	int64_t rb_call_f##verb(struct call *c)                                                    \
	{                                                                                          \
		return fn(c, BY_FD);                                                               \
	}

THREE(setxattr, set)
THREE(getxattr, get)
THREE(listxattr, list)
THREE(removexattr, remove_it)
