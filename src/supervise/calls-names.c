// SPDX-License-Identifier: Apache-2.0
/* Calls that give, take and change names. */
#include <errno.h>
#include <linux/capability.h>
#include <linux/fs.h>
#include <linux/stat.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "supervise/supervise-internal.h"

static int open_entry(const struct parent *p, struct stat *ret)
{
	RB_CLEANUP(rb_closep) int fd = openat(p->fd, p->name, O_PATH | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0 || fstat(fd, ret) < 0)
		return -errno;
	return rb_steal_fd(&fd);
}

/*
 * What something is mounted on stays. The kernel looks at the mounts of the process that asks,
 * which is us, and would take the step's away; steps cannot mount, so this does not change.
 */
static int check_mounted(const struct parent *p)
{
	RB_CLEANUP(rb_closep) int fd = openat(p->fd, p->name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	struct statx x = {0};

	if (fd < 0)
		return 0; /* the call itself says why */
	if (syscall(SYS_statx, fd, "", AT_EMPTY_PATH, 0, &x) < 0)
		return -errno;
	return x.stx_attributes & STATX_ATTR_MOUNT_ROOT ? -EBUSY : 0;
}

/* Whether every check would pass and no row could be concerned. */
static bool nothing_to_see(const struct call *c)
{
	return !c->s->has_rows && !rb_cred_is_restricted(&c->cred) &&
	       rb_cred_has(&c->cred, CAP_FOWNER);
}

/* --- link --- */

/* What fs.protected_hardlinks, which distributions set, leaves to other users. */
static int check_link(struct call *c, int object)
{
	struct stat st;
	int r = rb_entry_stat(c->s, object, &st);

	if (r < 0 || rb_cred_owns(&c->cred, &st) == 0)
		return r;
	if (!S_ISREG(st.st_mode) || st.st_mode & S_ISUID ||
	    (st.st_mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP) ||
	    rb_cred_may(&c->cred, &st, RB_MAY_READ | RB_MAY_WRITE) < 0)
		return -EPERM;
	return 0;
}

static int64_t do_link(struct call *c, int old_dir, uint64_t old, int new_dir, uint64_t new,
		       int flags)
{
	RB_CLEANUP(parent_clear) struct parent p = {.fd = -1};
	char path[32], name[NAME_MAX + 2];
	struct stat before, st;
	int r;

	if (flags & ~(AT_SYMLINK_FOLLOW | AT_EMPTY_PATH))
		return -EINVAL;
	RB_CLEANUP(rb_closep)
	int object = rb_resolve_at(c, old_dir, old,
				   (flags & AT_EMPTY_PATH) |
					   (flags & AT_SYMLINK_FOLLOW ? 0 : AT_SYMLINK_NOFOLLOW));
	if (object < 0)
		return rb_steal_fd(&object);
	if ((r = rb_resolve_parent_at(c, new_dir, new, &p)) < 0)
		return r;
	if (fstat(object, &before) < 0)
		return -errno;
	if (rb_cred_is_restricted(&c->cred) && fstatat(p.fd, p.name, &st, AT_SYMLINK_NOFOLLOW) == 0)
		return -EEXIST;
	if (rb_cred_is_restricted(&c->cred) &&
	    ((r = check_link(c, object)) < 0 || (r = rb_may_change(c, p.fd)) < 0))
		return r;
	rb_call_may_take_long(c, &before);
	/* The magic link leads to the object itself, also when that is a symlink. */
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", object);
	if (linkat(AT_FDCWD, path, p.fd, rb_parent_name(&p, name), AT_SYMLINK_FOLLOW) < 0)
		return -errno;
	/* Of a link that was copied up, the old name goes on with the old number: both have to be
	 * known. */
	return rb_entry_renumber(c->s, &before, object);
}

int64_t rb_call_link(struct call *c)
{
	return do_link(c, AT_FDCWD, c->a[0], AT_FDCWD, c->a[1], 0);
}

int64_t rb_call_linkat(struct call *c)
{
	return do_link(c, (int)c->a[0], c->a[1], (int)c->a[2], c->a[3], (int)c->a[4]);
}

/* --- unlink --- */

static int check_remove(struct call *c, int dir, int entry)
{
	struct stat dir_st, st;
	int r;

	if ((r = rb_entry_stat_as(c, dir, &dir_st)) < 0 ||
	    (r = rb_entry_stat(c->s, entry, &st)) < 0)
		return r;
	return rb_cred_may_remove(&c->cred, &dir_st, &st);
}

static bool is_last_name(const struct stat *st)
{
	return S_ISDIR(st->st_mode) || st->st_nlink <= 1;
}

static int64_t do_unlink(struct call *c, int dirfd, uint64_t path, int flags)
{
	RB_CLEANUP(parent_clear) struct parent p = {.fd = -1};
	char name[NAME_MAX + 2];
	struct stat st = {0};
	int r;

	if (flags & ~AT_REMOVEDIR)
		return -EINVAL;
	if ((r = rb_resolve_parent_at(c, dirfd, path, &p)) < 0 || (r = check_mounted(&p)) < 0)
		return r;
	if (!nothing_to_see(c)) {
		RB_CLEANUP(rb_closep) int entry = open_entry(&p, &st);
		if (entry < 0)
			return rb_steal_fd(&entry);
		if ((r = check_remove(c, p.fd, entry)) < 0)
			return r;
	}
	if (unlinkat(p.fd, rb_parent_name(&p, name), flags) < 0)
		return -errno;
	if (is_last_name(&st))
		rb_entry_forget(c->s, &st);
	return 0;
}

int64_t rb_call_unlink(struct call *c)
{
	return do_unlink(c, AT_FDCWD, c->a[0], 0);
}

int64_t rb_call_rmdir(struct call *c)
{
	return do_unlink(c, AT_FDCWD, c->a[0], AT_REMOVEDIR);
}

int64_t rb_call_unlinkat(struct call *c)
{
	return do_unlink(c, (int)c->a[0], c->a[1], (int)c->a[2]);
}

/* --- rename --- */

struct rename {
	struct parent old, new;
	struct stat old_st, new_st;
	bool replaces;
};

static void rename_clear(struct rename *r)
{
	parent_clear(&r->old);
	parent_clear(&r->new);
}

static bool is_same(int a, int b)
{
	struct stat x, y;

	return fstat(a, &x) == 0 && fstat(b, &y) == 0 && x.st_dev == y.st_dev &&
	       x.st_ino == y.st_ino;
}

/* A directory that goes to another one is written to: its ".." changes. */
static int check_dotdot(struct call *c, int entry)
{
	struct stat st;
	int r = rb_entry_stat(c->s, entry, &st);

	return r < 0 || !S_ISDIR(st.st_mode) ? r : rb_cred_may(&c->cred, &st, RB_MAY_WRITE);
}

static int check_rename(struct call *c, struct rename *m, unsigned flags)
{
	int r;
	RB_CLEANUP(rb_closep) int old = open_entry(&m->old, &m->old_st);

	if (old < 0)
		return rb_steal_fd(&old);
	if ((r = check_remove(c, m->old.fd, old)) < 0)
		return r;
	RB_CLEANUP(rb_closep) int new = open_entry(&m->new, &m->new_st);
	m->replaces = new >= 0;
	if (new < 0 && new != -ENOENT)
		return rb_steal_fd(&new);
	r = m->replaces ? check_remove(c, m->new.fd, new) : rb_may_change(c, m->new.fd);
	if (r < 0 || is_same(m->old.fd, m->new.fd) || (r = check_dotdot(c, old)) < 0)
		return r;
	return m->replaces && flags & RENAME_EXCHANGE ? check_dotdot(c, new) : 0;
}

static int rename_rows(struct call *c, const struct rename *m, unsigned flags)
{
	struct stat st;
	bool same = m->replaces && m->old_st.st_ino == m->new_st.st_ino &&
		    m->old_st.st_dev == m->new_st.st_dev;
	RB_CLEANUP(rb_closep) int fd = open_entry(&m->new, &st);
	int r = fd < 0 ? fd : rb_entry_renumber(c->s, &m->old_st, fd);

	if (r == 0 && m->replaces && flags & RENAME_EXCHANGE) {
		RB_CLEANUP(rb_closep) int other = open_entry(&m->old, &st);
		return other < 0 ? rb_steal_fd(&other) : rb_entry_renumber(c->s, &m->new_st, other);
	}
	if (m->replaces && !same && is_last_name(&m->new_st))
		rb_entry_forget(c->s, &m->new_st);
	return r;
}

static int64_t do_rename(struct call *c, int old_dir, uint64_t old, int new_dir, uint64_t new,
			 unsigned flags)
{
	RB_CLEANUP(rename_clear) struct rename m = {.old = {.fd = -1}, .new = {.fd = -1}};
	char old_name[NAME_MAX + 2], new_name[NAME_MAX + 2];
	bool look = !nothing_to_see(c);
	int r;

	/* A whiteout would be a device of the overlay's own. */
	if (flags & ~(unsigned)(RENAME_NOREPLACE | RENAME_EXCHANGE) ||
	    flags == (RENAME_NOREPLACE | RENAME_EXCHANGE))
		return -EINVAL;
	if ((r = rb_resolve_parent_at(c, old_dir, old, &m.old)) < 0 ||
	    (r = rb_resolve_parent_at(c, new_dir, new, &m.new)) < 0)
		return r;
	if ((r = check_mounted(&m.old)) < 0 || (r = check_mounted(&m.new)) < 0)
		return r;
	if (look && (r = check_rename(c, &m, flags)) < 0)
		return r;
	if (syscall(SYS_renameat2, m.old.fd, rb_parent_name(&m.old, old_name), m.new.fd,
		    rb_parent_name(&m.new, new_name), flags) < 0)
		return -errno;
	return look ? rename_rows(c, &m, flags) : 0;
}

int64_t rb_call_rename(struct call *c)
{
	return do_rename(c, AT_FDCWD, c->a[0], AT_FDCWD, c->a[1], 0);
}

int64_t rb_call_renameat(struct call *c)
{
	return do_rename(c, (int)c->a[0], c->a[1], (int)c->a[2], c->a[3], 0);
}

int64_t rb_call_renameat2(struct call *c)
{
	return do_rename(c, (int)c->a[0], c->a[1], (int)c->a[2], c->a[3], (unsigned)c->a[4]);
}
