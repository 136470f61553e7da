// SPDX-License-Identifier: Apache-2.0
/* Calls that make a file: it belongs to the file system ids of its maker. */
#include <errno.h>
#include <linux/capability.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <unistd.h>

#include "supervise/supervise-internal.h"

enum { TMPFILE_BIT = O_TMPFILE & ~O_DIRECTORY, TRIES = 16, LINKS_MAX = 40 };

/* New files get the mode that the caller's mask leaves, or what a default ACL says instead. */
static void take_umask(const struct call *c)
{
	if (*c->mask != c->cred.umask)
		(void)umask(c->cred.umask);
	*c->mask = c->cred.umask;
}

/* --- open --- */

/* Hands the descriptor over as the call's result. */
static int64_t install(const struct call *c, int fd, int flags)
{
	struct seccomp_notif_addfd add = {
		.id = c->id,
		.flags = SECCOMP_ADDFD_FLAG_SEND,
		.srcfd = (uint32_t)fd,
		.newfd_flags = (uint32_t)(flags & O_CLOEXEC),
	};

	if (ioctl(c->s->listener, SECCOMP_IOCTL_NOTIF_ADDFD, &add) >= 0)
		return RB_CALL_ANSWERED;
	if (errno != EINVAL)
		return -errno;
	/* Before Linux 5.14 the answer is a call of its own. */
	add.flags = 0;
	int number = ioctl(c->s->listener, SECCOMP_IOCTL_NOTIF_ADDFD, &add);
	return number < 0 ? -errno : number;
}

static int reopen(int object, int flags)
{
	char path[32];

	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", object);
	int fd = open(path, (flags & ~(O_CREAT | O_EXCL | O_NOFOLLOW)) | O_CLOEXEC | O_NOCTTY);
	return fd < 0 ? -errno : fd;
}

/* A pipe's open waits for its other end, which may be the next caller: let that one in. Who asked
 * may be gone by then. */
static int64_t open_waiting(const struct call *c, int object, int flags)
{
	(void)pthread_rwlock_unlock(c->s->lock);
	RB_CLEANUP(rb_closep) int fd = reopen(object, flags);
	(void)pthread_rwlock_wrlock(c->s->lock);
	return fd < 0 ? rb_steal_fd(&fd) : install(c, fd, flags);
}

static int wanted(int flags)
{
	static const int by_mode[] = {RB_MAY_READ, RB_MAY_WRITE, RB_MAY_READ | RB_MAY_WRITE,
				      RB_MAY_READ | RB_MAY_WRITE};

	return by_mode[flags & O_ACCMODE] | (flags & O_TRUNC ? RB_MAY_WRITE : 0);
}

static int64_t open_existing(struct call *c, int object, int flags)
{
	struct stat st;
	int r = rb_entry_stat_as(c, object, &st);

	if (r < 0)
		return r;
	if (flags & O_CREAT && flags & O_EXCL)
		return -EEXIST;
	if (S_ISLNK(st.st_mode))
		return -ELOOP;
	if (S_ISDIR(st.st_mode) && flags & O_CREAT)
		return -EISDIR;
	if ((r = rb_cred_may(&c->cred, &st, wanted(flags))) < 0)
		return r;
	rb_call_may_take_long(c, &st);
	if (S_ISFIFO(st.st_mode) && !(flags & O_NONBLOCK))
		return open_waiting(c, object, flags);
	RB_CLEANUP(rb_closep) int fd = reopen(object, flags);
	return fd < 0 ? rb_steal_fd(&fd) : install(c, fd, flags);
}

/* A set-group-id program of a group that is handed down is for its members to make. */
static int strip_mode(struct call *c, int dir_fd, mode_t *mode)
{
	struct stat dir;

	if ((*mode & (S_ISGID | S_IXGRP)) != (S_ISGID | S_IXGRP) ||
	    rb_cred_has(&c->cred, CAP_FSETID))
		return 0;
	int r = rb_entry_stat(c->s, dir_fd, &dir);
	if (r == 0 && dir.st_mode & S_ISGID && !rb_cred_in_group(&c->cred, dir.st_gid))
		*mode &= ~(mode_t)S_ISGID;
	return r;
}

static int64_t open_new(struct call *c, const struct parent *p, int flags, mode_t mode)
{
	/* Of the path, or of a link that it led through. */
	if (p->slash)
		return -EISDIR;
	int r = rb_may_change(c, p->fd);
	if (r < 0 || (r = strip_mode(c, p->fd, &mode)) < 0)
		return r;
	take_umask(c);
	RB_CLEANUP(rb_closep)
	int fd = openat(p->fd, p->name,
			flags | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY, mode & 07777);
	if (fd < 0)
		return -errno;
	int64_t result = rb_entry_created(c, p->fd, fd, mode);
	if (result == 0)
		result = install(c, fd, flags);
	/* With O_EXCL a call that is made again would find what nobody got. */
	if (result < 0 && result != RB_CALL_ANSWERED)
		(void)unlinkat(p->fd, p->name, 0);
	return result;
}

/*
 * The name where a file is to be made: a link that leads to nothing is followed to the name that
 * it stands for. 1 when there is something after all.
 */
static int find_place(struct call *c, struct parent *p, int flags)
{
	char text[PATH_MAX];
	struct parent next = {.fd = -1};

	for (int links = 0; links < LINKS_MAX; links++) {
		ssize_t n = readlinkat(p->fd, p->name, text, sizeof(text) - 1);

		if (n < 0)
			return errno == ENOENT ? 0 : errno == EINVAL ? 1 : -errno;
		if (flags & (O_EXCL | O_NOFOLLOW))
			return 1;
		text[n] = '\0';
		int r = rb_resolve_parent_from(c, p->fd, text, &next);
		if (r < 0)
			return r;
		rb_closep(&p->fd);
		*p = next;
	}
	return -ELOOP;
}

static int64_t open_tmpfile(struct call *c, int dir, int flags, mode_t mode)
{
	struct stat st;
	int r;

	if (fstat(dir, &st) < 0)
		return -errno;
	if (!S_ISDIR(st.st_mode))
		return -ENOTDIR;
	if ((r = rb_may_change(c, dir)) < 0)
		return r;
	take_umask(c);
	RB_CLEANUP(rb_closep)
	int fd = openat(dir, ".", flags | O_CLOEXEC, mode & 07777);
	if (fd < 0)
		return -errno;
	r = rb_entry_created(c, dir, fd, mode);
	return r < 0 ? r : install(c, fd, flags);
}

/* What does not name a directory yet cannot be opened as one. */
static int64_t refuse_directory(struct call *c, int dirfd, uint64_t path)
{
	RB_CLEANUP(parent_clear) struct parent p = {.fd = -1};
	int r = rb_resolve_parent_at(c, dirfd, path, &p);

	return r < 0 ? r : -EISDIR;
}

static int64_t do_open(struct call *c, int dirfd, uint64_t path, int flags, mode_t mode)
{
	int follow =
		flags & O_NOFOLLOW || (flags & O_CREAT && flags & O_EXCL) ? AT_SYMLINK_NOFOLLOW : 0;
	int ends_in_slash;

	/* Nothing is made then, whatever else is asked for. */
	if (flags & O_PATH)
		return RB_CALL_CONTINUE;
	if (flags & O_CREAT && (ends_in_slash = rb_path_ends_in_slash(c, path)) != 0)
		return ends_in_slash < 0 ? ends_in_slash : refuse_directory(c, dirfd, path);
	/* Between two looks somebody else may make or remove the file. */
	for (int i = 0; i < TRIES; i++) {
		RB_CLEANUP(parent_clear) struct parent p = {.fd = -1};
		RB_CLEANUP(rb_closep) int object = rb_resolve_at(c, dirfd, path, follow);
		int64_t r;

		if (object >= 0 && flags & TMPFILE_BIT)
			return open_tmpfile(c, object, flags, mode);
		if (object >= 0)
			return open_existing(c, object, flags);
		if (object != -ENOENT || !(flags & O_CREAT))
			return rb_steal_fd(&object);
		if ((r = rb_resolve_parent_at(c, dirfd, path, &p)) < 0 ||
		    (r = find_place(c, &p, flags)) < 0)
			return r;
		if (r == 1)
			continue;
		r = open_new(c, &p, flags, mode);
		if (r != -EEXIST || flags & O_EXCL)
			return r;
	}
	return -EAGAIN;
}

int64_t rb_call_open(struct call *c)
{
	return do_open(c, AT_FDCWD, c->a[0], (int)c->a[1], (mode_t)c->a[2]);
}

int64_t rb_call_openat(struct call *c)
{
	return do_open(c, (int)c->a[0], c->a[1], (int)c->a[2], (mode_t)c->a[3]);
}

int64_t rb_call_creat(struct call *c)
{
	return do_open(c, AT_FDCWD, c->a[0], O_CREAT | O_WRONLY | O_TRUNC, (mode_t)c->a[1]);
}

/* --- names --- */

/* Before something is made: there is nothing of that name, and the caller may. */
static int check_place(struct call *c, const struct parent *p)
{
	struct stat st;

	if (rb_cred_is_restricted(&c->cred) &&
	    fstatat(p->fd, p->name, &st, AT_SYMLINK_NOFOLLOW) == 0)
		return -EEXIST;
	return rb_may_change(c, p->fd);
}

/* What has just been made gets its owner, or goes away again. */
static int64_t finish(struct call *c, const struct parent *p, mode_t mode, int flags)
{
	RB_CLEANUP(rb_closep) int fd = openat(p->fd, p->name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	int r = fd < 0 ? -errno : rb_entry_created(c, p->fd, fd, mode);

	if (r < 0)
		(void)unlinkat(p->fd, p->name, flags);
	return r;
}

static int64_t do_mkdir(struct call *c, int dirfd, uint64_t path, mode_t mode)
{
	RB_CLEANUP(parent_clear) struct parent p = {.fd = -1};
	char name[NAME_MAX + 2];
	int r = rb_resolve_parent_at(c, dirfd, path, &p);

	if (r < 0 || (r = check_place(c, &p)) < 0)
		return r;
	take_umask(c);
	if (mkdirat(p.fd, rb_parent_name(&p, name), mode & 01777) < 0)
		return -errno;
	return finish(c, &p, mode, AT_REMOVEDIR);
}

int64_t rb_call_mkdir(struct call *c)
{
	return do_mkdir(c, AT_FDCWD, c->a[0], (mode_t)c->a[1]);
}

int64_t rb_call_mkdirat(struct call *c)
{
	return do_mkdir(c, (int)c->a[0], c->a[1], (mode_t)c->a[2]);
}

/* A device is an empty file that the ledger says more about. */
static int64_t make_device(struct call *c, const struct parent *p, mode_t mode, dev_t rdev)
{
	if (!rb_cred_has(&c->cred, CAP_MKNOD))
		return -EPERM;
	RB_CLEANUP(rb_closep)
	int fd = openat(p->fd, p->name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
			mode & 07777);
	if (fd < 0)
		return -errno;
	int r = rb_entry_device(c, p->fd, fd, mode, rdev);
	if (r < 0)
		(void)unlinkat(p->fd, p->name, 0);
	return r;
}

static int64_t do_mknod(struct call *c, int dirfd, uint64_t path, mode_t mode, uint32_t rdev)
{
	RB_CLEANUP(parent_clear) struct parent p = {.fd = -1};
	char name[NAME_MAX + 2];
	mode_t type = mode & S_IFMT;

	if (S_ISDIR(mode))
		return -EPERM;
	if (type && !S_ISREG(mode) && !S_ISFIFO(mode) && !S_ISSOCK(mode) && !S_ISCHR(mode) &&
	    !S_ISBLK(mode))
		return -EINVAL;
	int r = rb_resolve_parent_at(c, dirfd, path, &p);
	if (r < 0 || (r = check_place(c, &p)) < 0 || (r = strip_mode(c, p.fd, &mode)) < 0)
		return r;
	take_umask(c);
	if ((S_ISCHR(mode) || S_ISBLK(mode)) && !p.slash)
		/* The kernel's 32 bit encoding, which makedev() of the C library widens. */
		return make_device(
			c, &p, mode,
			makedev(rdev >> 8 & 0xfff, (rdev & 0xff) | (rdev >> 12 & 0xfff00)));
	if (mknodat(p.fd, rb_parent_name(&p, name), mode, 0) < 0)
		return -errno;
	return finish(c, &p, mode, 0);
}

int64_t rb_call_mknod(struct call *c)
{
	return do_mknod(c, AT_FDCWD, c->a[0], (mode_t)c->a[1], (uint32_t)c->a[2]);
}

int64_t rb_call_mknodat(struct call *c)
{
	return do_mknod(c, (int)c->a[0], c->a[1], (mode_t)c->a[2], (uint32_t)c->a[3]);
}

static int64_t do_symlink(struct call *c, uint64_t target, int dirfd, uint64_t path)
{
	RB_CLEANUP(parent_clear) struct parent p = {.fd = -1};
	char text[PATH_MAX], name[NAME_MAX + 2];
	ssize_t n = rb_caller_string(c, target, text, sizeof(text));
	int r;

	if (n <= 0)
		return n < 0 ? n : -ENOENT;
	if ((r = rb_resolve_parent_at(c, dirfd, path, &p)) < 0 || (r = check_place(c, &p)) < 0)
		return r;
	if (symlinkat(text, p.fd, rb_parent_name(&p, name)) < 0)
		return -errno;
	return finish(c, &p, 0777, 0);
}

int64_t rb_call_symlink(struct call *c)
{
	return do_symlink(c, c->a[0], AT_FDCWD, c->a[1]);
}

int64_t rb_call_symlinkat(struct call *c)
{
	return do_symlink(c, c->a[0], (int)c->a[1], c->a[2]);
}

/* --- bind: the other way to make a socket's file --- */

/*
 * The address has room for 108 bytes: the name is given from its directory, which is ours for the
 * moment (working directories are the thread's own).
 */
static int64_t bind_name(struct call *c, int socket_fd, const char *path)
{
	RB_CLEANUP(parent_clear) struct parent p = {.fd = -1};
	struct sockaddr_un name = {.sun_family = AF_UNIX};
	int r;

	if ((r = rb_resolve_parent(c, AT_FDCWD, path, &p)) < 0)
		return r;
	/* Names for paths have no slash at their end, and EADDRINUSE for what exists. */
	if ((r = check_place(c, &p)) < 0)
		return r == -EEXIST ? -EADDRINUSE : r;
	int n = snprintf(name.sun_path, sizeof(name.sun_path), "%s%s", p.name, p.slash ? "/" : "");
	if (n < 0 || n >= (int)sizeof(name.sun_path))
		return -ENAMETOOLONG;
	if ((r = rb_caller_check(c)) < 0)
		return r;
	take_umask(c);
	if (fchdir(p.fd) < 0)
		return -errno;
	r = bind(socket_fd, (const struct sockaddr *)&name,
		 (socklen_t)(offsetof(struct sockaddr_un, sun_path) + (size_t)n + 1)) < 0
		    ? -errno
		    : 0;
	/* A working directory would keep the step's file systems busy, nothing worse. */
	if (fchdir(c->s->root_fd) < 0 && r == 0)
		r = -errno;
	return r < 0 ? r : finish(c, &p, 0777 & ~c->cred.umask, 0);
}

int64_t rb_call_bind(struct call *c)
{
	union {
		struct sockaddr_storage any;
		struct sockaddr_un local;
		struct sockaddr addr;
	} u = {.any = {0}};
	size_t len = (size_t)(int)c->a[2], start = offsetof(struct sockaddr_un, sun_path);
	int r;

	if (len > sizeof(u.any))
		return -EINVAL;
	if ((r = rb_caller_read(c, c->a[1], &u.any, len)) < 0)
		return r;
	RB_CLEANUP(rb_closep) int fd = rb_caller_fd(c, (int)c->a[0]);
	if (fd < 0)
		return rb_steal_fd(&fd);
	if ((r = rb_caller_check(c)) < 0)
		return r;
	if (len > start && len <= sizeof(u.local) && u.local.sun_family == AF_UNIX &&
	    u.local.sun_path[0]) {
		char path[sizeof(u.local.sun_path) + 1];

		(void)snprintf(path, sizeof(path), "%.*s", (int)(len - start), u.local.sun_path);
		return bind_name(c, fd, path);
	}
	return bind(fd, &u.addr, (socklen_t)len) < 0 ? -errno : 0;
}
