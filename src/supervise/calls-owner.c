// SPDX-License-Identifier: Apache-2.0
/* chown, chmod and the times of files: what only the owner, or root, may change. */
#include <errno.h>
#include <linux/capability.h>
#include <stdio.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>
#include <utime.h>

#include "supervise/supervise-internal.h"

/* --- chown --- */

/* Takes the descriptor, as the other helpers of this file do. */
static int64_t do_chown(struct call *c, int object, uint32_t uid, uint32_t gid)
{
	RB_CLEANUP(rb_closep) int fd = object;
	struct stat st;

	if (fd < 0)
		return rb_steal_fd(&fd);
	int r = rb_entry_stat(c->s, fd, &st);
	if (r < 0 || (r = rb_cred_may_chown(&c->cred, &st, uid, gid)) < 0)
		return r;
	rb_call_may_take_long(c, &st);
	return rb_entry_chown(c->s, fd, uid, gid);
}

int64_t rb_call_chown(struct call *c)
{
	return do_chown(c, rb_resolve_at(c, AT_FDCWD, c->a[0], 0), (uint32_t)c->a[1],
			(uint32_t)c->a[2]);
}

int64_t rb_call_lchown(struct call *c)
{
	return do_chown(c, rb_resolve_at(c, AT_FDCWD, c->a[0], AT_SYMLINK_NOFOLLOW),
			(uint32_t)c->a[1], (uint32_t)c->a[2]);
}

int64_t rb_call_fchown(struct call *c)
{
	return do_chown(c, rb_caller_file(c, (int)c->a[0]), (uint32_t)c->a[1], (uint32_t)c->a[2]);
}

int64_t rb_call_fchownat(struct call *c)
{
	if ((unsigned)c->a[4] & ~(unsigned)(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH))
		return -EINVAL;
	return do_chown(c, rb_resolve_at(c, (int)c->a[0], c->a[1], (int)c->a[4]), (uint32_t)c->a[2],
			(uint32_t)c->a[3]);
}

/* --- chmod --- */

static int64_t do_chmod(struct call *c, int object, mode_t mode)
{
	RB_CLEANUP(rb_closep) int fd = object;
	char path[32];
	struct stat st;

	if (fd < 0)
		return rb_steal_fd(&fd);
	int r = rb_entry_stat(c->s, fd, &st);
	if (r < 0 || (r = rb_cred_owns(&c->cred, &st)) < 0)
		return r;
	rb_call_may_take_long(c, &st);
	mode &= 07777;
	if (mode & S_ISGID && !rb_cred_in_group(&c->cred, st.st_gid) &&
	    !rb_cred_has(&c->cred, CAP_FSETID))
		mode &= ~(mode_t)S_ISGID;
	/* fchmod does not take a descriptor that is a path only. */
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return chmod(path, mode) < 0 ? -errno : rb_entry_renumber(c->s, &st, fd);
}

int64_t rb_call_chmod(struct call *c)
{
	return do_chmod(c, rb_resolve_at(c, AT_FDCWD, c->a[0], 0), (mode_t)c->a[1]);
}

int64_t rb_call_fchmod(struct call *c)
{
	return do_chmod(c, rb_caller_file(c, (int)c->a[0]), (mode_t)c->a[1]);
}

int64_t rb_call_fchmodat(struct call *c)
{
	return do_chmod(c, rb_resolve_at(c, (int)c->a[0], c->a[1], 0), (mode_t)c->a[2]);
}

/* --- times --- */

/* Setting times is for the owner; to the present, for whoever may write. */
static int check_times(struct call *c, const struct stat *st, const struct timespec *t)
{
	if (t && t[0].tv_nsec == UTIME_OMIT && t[1].tv_nsec == UTIME_OMIT)
		return 0;
	bool now = !t || (t[0].tv_nsec == UTIME_NOW && t[1].tv_nsec == UTIME_NOW);
	int r = rb_cred_owns(&c->cred, st);
	return r < 0 && now ? rb_cred_may(&c->cred, st, RB_MAY_WRITE) : r;
}

static int64_t do_times(struct call *c, int object, const struct timespec *t)
{
	RB_CLEANUP(rb_closep) int fd = object;
	struct stat disk, st;

	if (fd < 0)
		return rb_steal_fd(&fd);
	if (fstat(fd, &disk) < 0)
		return -errno;
	st = disk;
	int r = rb_entry_fix(c->s, fd, &st);
	if (r < 0 || (r = check_times(c, &st, t)) < 0)
		return r;
	rb_call_may_take_long(c, &st);
	if (utimensat(fd, "", t, AT_EMPTY_PATH) < 0)
		return -errno;
	return rb_entry_renumber(c->s, &disk, fd);
}

/* Two times at the address, or none. */
static int read_times(const struct call *c, uint64_t address, bool narrow, struct timespec t[2])
{
	int32_t small[4];

	if (!narrow)
		return rb_caller_read(c, address, t, 2 * sizeof(*t));
	int r = rb_caller_read(c, address, small, sizeof(small));
	for (int i = 0; i < 2; i++)
		t[i] = (struct timespec){.tv_sec = small[2 * i], .tv_nsec = small[2 * i + 1]};
	return r;
}

static int64_t times_at(struct call *c, uint64_t address, bool narrow, int flags)
{
	struct timespec t[2];
	int r = address ? read_times(c, address, narrow, t) : 0;

	if (r < 0)
		return r;
	if (address && t[0].tv_nsec == UTIME_OMIT && t[1].tv_nsec == UTIME_OMIT)
		return 0; /* not even the path is looked at */
	if (flags & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH))
		return -EINVAL;
	if (!c->a[1] && (int)c->a[0] != AT_FDCWD)
		return flags & AT_SYMLINK_NOFOLLOW
			       ? -EINVAL
			       : do_times(c, rb_caller_file(c, (int)c->a[0]), address ? t : NULL);
	return do_times(c, rb_resolve_at(c, (int)c->a[0], c->a[1], flags), address ? t : NULL);
}

int64_t rb_call_utimensat(struct call *c)
{
	return times_at(c, c->a[2], c->compat, (int)c->a[3]);
}

int64_t rb_call_utimensat_time64(struct call *c)
{
	return times_at(c, c->a[2], false, (int)c->a[3]);
}

static int64_t do_timevals(struct call *c, int dirfd, uint64_t path, uint64_t address)
{
	struct timeval tv[2];
	struct timespec t[2];
	int r = address ? rb_caller_read(c, address, tv, sizeof(tv)) : 0;

	if (r < 0)
		return r;
	for (int i = 0; address && i < 2; i++) {
		if (tv[i].tv_usec < 0 || tv[i].tv_usec >= 1000000)
			return -EINVAL;
		t[i] = (struct timespec){.tv_sec = tv[i].tv_sec, .tv_nsec = tv[i].tv_usec * 1000};
	}
	if (!path && dirfd != AT_FDCWD)
		return do_times(c, rb_caller_file(c, dirfd), address ? t : NULL);
	return do_times(c, rb_resolve_at(c, dirfd, path, 0), address ? t : NULL);
}

int64_t rb_call_utimes(struct call *c)
{
	return do_timevals(c, AT_FDCWD, c->a[0], c->a[1]);
}

int64_t rb_call_futimesat(struct call *c)
{
	return do_timevals(c, (int)c->a[0], c->a[1], c->a[2]);
}

int64_t rb_call_utime(struct call *c)
{
	struct utimbuf u = {0};
	int r = c->a[1] ? rb_caller_read(c, c->a[1], &u, sizeof(u)) : 0;

	if (r < 0)
		return r;
	const struct timespec t[2] = {{.tv_sec = u.actime}, {.tv_sec = u.modtime}};
	return do_times(c, rb_resolve_at(c, AT_FDCWD, c->a[0], 0), c->a[1] ? t : NULL);
}
