// SPDX-License-Identifier: Apache-2.0
/* stat, statx and access: what the disk says, corrected by the ledger. */
#include <errno.h>
#include <linux/capability.h>
#include <linux/stat.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "supervise/supervise-internal.h"

#define STAT_FLAGS ((uint64_t)(AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_EMPTY_PATH))

/* struct stat64 of the 32 bit entry of x86 and arm (the latter aligns its 64 bit members). */
struct compat_stat {
	uint64_t dev;
	uint32_t pad0, short_ino, mode, nlink, uid, gid;
	uint64_t rdev;
	uint32_t pad3;
#if defined(__aarch64__)
	uint32_t pad4;
#endif
	uint64_t size;
	uint32_t blksize;
#if defined(__aarch64__)
	uint32_t pad5;
#endif
	uint64_t blocks;
	uint32_t atime, atime_ns, mtime, mtime_ns, ctime, ctime_ns;
	uint64_t ino;
} __attribute__((packed));

static int write_compat(const struct call *c, uint64_t address, const struct stat *st)
{
	const struct compat_stat out = {
		.dev = st->st_dev,
		.short_ino = (uint32_t)st->st_ino,
		.mode = st->st_mode,
		.nlink = (uint32_t)st->st_nlink,
		.uid = st->st_uid,
		.gid = st->st_gid,
		.rdev = st->st_rdev,
		.size = (uint64_t)st->st_size,
		.blksize = (uint32_t)st->st_blksize,
		.blocks = (uint64_t)st->st_blocks,
		.atime = (uint32_t)st->st_atim.tv_sec,
		.atime_ns = (uint32_t)st->st_atim.tv_nsec,
		.mtime = (uint32_t)st->st_mtim.tv_sec,
		.mtime_ns = (uint32_t)st->st_mtim.tv_nsec,
		.ctime = (uint32_t)st->st_ctim.tv_sec,
		.ctime_ns = (uint32_t)st->st_ctim.tv_nsec,
		.ino = st->st_ino,
	};

	return rb_caller_write(c, address, &out, sizeof(out));
}

/* Takes the descriptor. On 64 bit architectures the C library's struct is the kernel's. */
static int64_t answer_stat(struct call *c, int object, uint64_t address)
{
	RB_CLEANUP(rb_closep) int fd = object;
	struct stat st;

	if (fd < 0)
		return rb_steal_fd(&fd);
	int r = rb_entry_stat(c->s, fd, &st);
	if (r < 0)
		return r;
	return c->compat ? write_compat(c, address, &st)
			 : rb_caller_write(c, address, &st, sizeof(st));
}

int64_t rb_call_stat(struct call *c)
{
	return answer_stat(c, rb_resolve_at(c, AT_FDCWD, c->a[0], 0), c->a[1]);
}

int64_t rb_call_lstat(struct call *c)
{
	return answer_stat(c, rb_resolve_at(c, AT_FDCWD, c->a[0], AT_SYMLINK_NOFOLLOW), c->a[1]);
}

int64_t rb_call_fstat(struct call *c)
{
	return answer_stat(c, rb_caller_fd(c, (int)c->a[0]), c->a[1]);
}

/* These calls alone take no path at all for an empty one (Linux 6.11). */
static int resolve_for_stat(struct call *c, int flags)
{
	if (!c->a[1] && flags & AT_EMPTY_PATH)
		return rb_resolve_self(c, (int)c->a[0]);
	return rb_resolve_at(c, (int)c->a[0], c->a[1], flags);
}

int64_t rb_call_newfstatat(struct call *c)
{
	if ((unsigned)c->a[3] & ~STAT_FLAGS)
		return -EINVAL;
	return answer_stat(c, resolve_for_stat(c, (int)c->a[3]), c->a[2]);
}

/* What the view below is made from: the kernel leaves times out that nobody asks for. */
#define NEEDED                                                                                     \
	(STATX_TYPE | STATX_MODE | STATX_UID | STATX_GID | STATX_SIZE | STATX_INO | STATX_CTIME)

/* The ledger's view of a statx result. */
static int fix_statx(struct supervisor *s, int fd, struct statx *x)
{
	struct stat st = {
		.st_dev = makedev(x->stx_dev_major, x->stx_dev_minor),
		.st_ino = x->stx_ino,
		.st_mode = x->stx_mode,
		.st_uid = x->stx_uid,
		.st_gid = x->stx_gid,
		.st_size = (off_t)x->stx_size,
		.st_rdev = makedev(x->stx_rdev_major, x->stx_rdev_minor),
		.st_ctim = {.tv_sec = x->stx_ctime.tv_sec, .tv_nsec = x->stx_ctime.tv_nsec},
	};
	int r = rb_entry_fix(s, fd, &st);

	x->stx_mode = (uint16_t)st.st_mode;
	x->stx_uid = st.st_uid;
	x->stx_gid = st.st_gid;
	x->stx_size = (uint64_t)st.st_size;
	x->stx_rdev_major = major(st.st_rdev);
	x->stx_rdev_minor = minor(st.st_rdev);
	return r;
}

int64_t rb_call_statx(struct call *c)
{
	unsigned flags = (unsigned)c->a[2], mask = (unsigned)c->a[3];
	struct statx x;

	if (flags & ~(STAT_FLAGS | AT_STATX_SYNC_TYPE) ||
	    (flags & AT_STATX_SYNC_TYPE) == AT_STATX_SYNC_TYPE || mask & STATX__RESERVED)
		return -EINVAL;
	RB_CLEANUP(rb_closep)
	int fd = resolve_for_stat(c, (int)(flags & STAT_FLAGS));
	if (fd < 0)
		return rb_steal_fd(&fd);
	memset(&x, 0, sizeof(x));
	if (syscall(SYS_statx, fd, "", AT_EMPTY_PATH | (flags & AT_STATX_SYNC_TYPE), mask | NEEDED,
		    &x) < 0)
		return -errno;
	int r = fix_statx(c->s, fd, &x);
	return r < 0 ? r : rb_caller_write(c, c->a[4], &x, sizeof(x));
}

/* --- access --- */

/* The real ids decide unless AT_EACCESS says otherwise; root's capabilities count by the real id
 * too. */
static void become_real(struct rb_cred *cred)
{
	cred->fsuid = cred->ruid;
	cred->fsgid = cred->rgid;
	cred->effective = cred->ruid == 0 ? cred->permitted : 0;
}

static int64_t access_at(struct call *c, int dirfd, uint64_t path, int mode, unsigned flags)
{
	struct stat st;

	if (mode & ~(R_OK | W_OK | X_OK) ||
	    flags & ~(unsigned)(AT_EACCESS | AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH))
		return -EINVAL;
	if (!(flags & AT_EACCESS))
		become_real(&c->cred);
	RB_CLEANUP(rb_closep)
	int fd = rb_resolve_at(c, dirfd, path, (int)flags & ~AT_EACCESS);
	if (fd < 0)
		return rb_steal_fd(&fd);
	int r = rb_entry_stat_as(c, fd, &st);
	if (r < 0 || mode == F_OK || (r = rb_cred_may(&c->cred, &st, mode)) < 0)
		return r;
	/* What owners do not decide: read-only mounts and the like. */
	if (syscall(SYS_faccessat2, fd, "", mode, AT_EMPTY_PATH | AT_EACCESS) < 0 &&
	    errno != ENOSYS)
		return -errno;
	return 0;
}

int64_t rb_call_access(struct call *c)
{
	return access_at(c, AT_FDCWD, c->a[0], (int)c->a[1], 0);
}

int64_t rb_call_faccessat(struct call *c)
{
	return access_at(c, (int)c->a[0], c->a[1], (int)c->a[2], 0);
}

int64_t rb_call_faccessat2(struct call *c)
{
	return access_at(c, (int)c->a[0], c->a[1], (int)c->a[2], (unsigned)c->a[3]);
}
