// SPDX-License-Identifier: Apache-2.0
#include "supervise/cred.h"

#include <errno.h>
#include <linux/capability.h>
#include <string.h>

#define KEEP UINT32_MAX

/* The capabilities that follow the file system id (capabilities(7)). */
#define FILE_CAPS                                                                                  \
	(BIT(CAP_CHOWN) | BIT(CAP_DAC_OVERRIDE) | BIT(CAP_DAC_READ_SEARCH) | BIT(CAP_FOWNER) |     \
	 BIT(CAP_FSETID) | BIT(CAP_LINUX_IMMUTABLE) | BIT(CAP_MAC_OVERRIDE) | BIT(CAP_MKNOD))
#define BIT(cap) ((uint64_t)1 << (cap))

bool rb_cred_equal(const struct rb_cred *a, const struct rb_cred *b)
{
	return a->ruid == b->ruid && a->euid == b->euid && a->suid == b->suid &&
	       a->fsuid == b->fsuid && a->rgid == b->rgid && a->egid == b->egid &&
	       a->sgid == b->sgid && a->fsgid == b->fsgid && a->permitted == b->permitted &&
	       a->effective == b->effective && a->inheritable == b->inheritable &&
	       a->bounding == b->bounding && a->keep_caps == b->keep_caps && a->umask == b->umask &&
	       a->n_groups == b->n_groups &&
	       (!a->n_groups ||
		memcmp(a->groups, b->groups, a->n_groups * sizeof(*a->groups)) == 0);
}

bool rb_cred_has(const struct rb_cred *c, int cap)
{
	return c->effective & BIT(cap);
}

bool rb_cred_is_restricted(const struct rb_cred *c)
{
	return !rb_cred_has(c, CAP_DAC_OVERRIDE) && !rb_cred_has(c, CAP_DAC_READ_SEARCH);
}

/* --- users */

/* What a change of user ids does to capabilities. */
static void follow_uids(struct rb_cred *c, const struct rb_cred *old)
{
	bool was_root = old->ruid == 0 || old->euid == 0 || old->suid == 0;
	bool is_root = c->ruid == 0 || c->euid == 0 || c->suid == 0;

	if (was_root && !is_root && !c->keep_caps)
		c->permitted = c->effective = 0;
	if (old->euid == 0 && c->euid != 0)
		c->effective = 0;
	if (old->euid != 0 && c->euid == 0)
		c->effective = c->permitted;
}

int rb_cred_setuid(struct rb_cred *c, uint32_t uid)
{
	const struct rb_cred old = *c;

	if (uid == KEEP)
		return -EINVAL;
	if (rb_cred_has(c, CAP_SETUID))
		c->ruid = c->suid = uid;
	else if (uid != c->ruid && uid != c->suid)
		return -EPERM;
	c->euid = c->fsuid = uid;
	follow_uids(c, &old);
	return 0;
}

int rb_cred_setreuid(struct rb_cred *c, uint32_t ruid, uint32_t euid)
{
	const struct rb_cred old = *c;
	bool any = rb_cred_has(c, CAP_SETUID);

	if (ruid != KEEP && ruid != old.ruid && ruid != old.euid && !any)
		return -EPERM;
	if (euid != KEEP && euid != old.ruid && euid != old.euid && euid != old.suid && !any)
		return -EPERM;
	if (ruid != KEEP)
		c->ruid = ruid;
	if (euid != KEEP)
		c->euid = euid;
	if (ruid != KEEP || (euid != KEEP && euid != old.ruid))
		c->suid = c->euid;
	c->fsuid = c->euid;
	follow_uids(c, &old);
	return 0;
}

static bool is_new(uint32_t id, uint32_t r, uint32_t e, uint32_t s)
{
	return id != KEEP && id != r && id != e && id != s;
}

int rb_cred_setresuid(struct rb_cred *c, uint32_t ruid, uint32_t euid, uint32_t suid)
{
	const struct rb_cred old = *c;
	bool fresh = is_new(ruid, old.ruid, old.euid, old.suid) ||
		     is_new(euid, old.ruid, old.euid, old.suid) ||
		     is_new(suid, old.ruid, old.euid, old.suid);

	/* A call that changes nothing leaves the file system id alone. */
	if ((ruid == KEEP || ruid == old.ruid) &&
	    (euid == KEEP || (euid == old.euid && euid == old.fsuid)) &&
	    (suid == KEEP || suid == old.suid))
		return 0;
	if (fresh && !rb_cred_has(c, CAP_SETUID))
		return -EPERM;
	if (ruid != KEEP)
		c->ruid = ruid;
	if (euid != KEEP)
		c->euid = euid;
	if (suid != KEEP)
		c->suid = suid;
	c->fsuid = c->euid;
	follow_uids(c, &old);
	return 0;
}

int64_t rb_cred_setfsuid(struct rb_cred *c, uint32_t uid)
{
	uint32_t old = c->fsuid;

	if (uid == KEEP || (uid != c->ruid && uid != c->euid && uid != c->suid && uid != old &&
			    !rb_cred_has(c, CAP_SETUID)))
		return old;
	c->fsuid = uid;
	if (old == 0 && uid != 0)
		c->effective &= ~FILE_CAPS;
	if (old != 0 && uid == 0)
		c->effective |= c->permitted & FILE_CAPS;
	return old;
}

/* --- groups */

int rb_cred_setgid(struct rb_cred *c, uint32_t gid)
{
	if (gid == KEEP)
		return -EINVAL;
	if (rb_cred_has(c, CAP_SETGID))
		c->rgid = c->sgid = gid;
	else if (gid != c->rgid && gid != c->sgid)
		return -EPERM;
	c->egid = c->fsgid = gid;
	return 0;
}

int rb_cred_setregid(struct rb_cred *c, uint32_t rgid, uint32_t egid)
{
	const struct rb_cred old = *c;
	bool any = rb_cred_has(c, CAP_SETGID);

	if (rgid != KEEP && rgid != old.rgid && rgid != old.egid && !any)
		return -EPERM;
	if (egid != KEEP && egid != old.rgid && egid != old.egid && egid != old.sgid && !any)
		return -EPERM;
	if (rgid != KEEP)
		c->rgid = rgid;
	if (egid != KEEP)
		c->egid = egid;
	if (rgid != KEEP || (egid != KEEP && egid != old.rgid))
		c->sgid = c->egid;
	c->fsgid = c->egid;
	return 0;
}

int rb_cred_setresgid(struct rb_cred *c, uint32_t rgid, uint32_t egid, uint32_t sgid)
{
	const struct rb_cred old = *c;
	bool fresh = is_new(rgid, old.rgid, old.egid, old.sgid) ||
		     is_new(egid, old.rgid, old.egid, old.sgid) ||
		     is_new(sgid, old.rgid, old.egid, old.sgid);

	if ((rgid == KEEP || rgid == old.rgid) &&
	    (egid == KEEP || (egid == old.egid && egid == old.fsgid)) &&
	    (sgid == KEEP || sgid == old.sgid))
		return 0;
	if (fresh && !rb_cred_has(c, CAP_SETGID))
		return -EPERM;
	if (rgid != KEEP)
		c->rgid = rgid;
	if (egid != KEEP)
		c->egid = egid;
	if (sgid != KEEP)
		c->sgid = sgid;
	c->fsgid = c->egid;
	return 0;
}

int64_t rb_cred_setfsgid(struct rb_cred *c, uint32_t gid)
{
	uint32_t old = c->fsgid;

	if (gid != KEEP && (gid == c->rgid || gid == c->egid || gid == c->sgid || gid == old ||
			    rb_cred_has(c, CAP_SETGID)))
		c->fsgid = gid;
	return old;
}

/* --- capabilities */

int rb_cred_capset(struct rb_cred *c, uint64_t permitted, uint64_t effective, uint64_t inheritable)
{
	if (!rb_cred_has(c, CAP_SETPCAP) && inheritable & ~(c->inheritable | c->permitted))
		return -EPERM;
	if (inheritable & ~(c->inheritable | c->bounding))
		return -EPERM;
	if (permitted & ~c->permitted || effective & ~permitted)
		return -EPERM;
	c->permitted = permitted;
	c->effective = effective;
	c->inheritable = inheritable;
	return 0;
}

void rb_cred_exec(struct rb_cred *c, const struct rb_cred_file *f)
{
	bool caps = f->privileged && f->has_caps;
	uint64_t file_permitted = caps ? f->permitted : 0,
		 file_inheritable = caps ? f->inheritable : 0;
	bool file_effective = caps && f->effective;
	if (f->privileged && f->st.st_mode & S_ISUID)
		c->euid = f->st.st_uid;
	if (f->privileged && (f->st.st_mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP))
		c->egid = f->st.st_gid;
	/* Root has all that the file could have; but root for another real user has what a file
	 * with capabilities of its own gives. */
	if (!(caps && c->ruid != 0 && c->euid == 0)) {
		if (c->euid == 0 || c->ruid == 0)
			file_permitted = file_inheritable = ~(uint64_t)0;
		if (c->euid == 0)
			file_effective = true;
	}
	c->permitted = (file_permitted & c->bounding) | (file_inheritable & c->inheritable);
	c->effective = file_effective ? c->permitted : 0;
	c->suid = c->fsuid = c->euid;
	c->sgid = c->fsgid = c->egid;
	c->keep_caps = false;
}

/* --- files */

bool rb_cred_in_group(const struct rb_cred *c, uint32_t gid)
{
	if (gid == c->fsgid)
		return true;
	for (size_t i = 0; i < c->n_groups; i++)
		if (c->groups[i] == gid)
			return true;
	return false;
}

int rb_cred_may(const struct rb_cred *c, const struct stat *st, int want)
{
	mode_t bits = st->st_mode & 07;

	if (st->st_uid == c->fsuid)
		bits = st->st_mode >> 6 & 07;
	else if (rb_cred_in_group(c, st->st_gid))
		bits = st->st_mode >> 3 & 07;
	if (((mode_t)want & ~bits) == 0)
		return 0;
	if (rb_cred_has(c, CAP_DAC_OVERRIDE) &&
	    (S_ISDIR(st->st_mode) || !(want & RB_MAY_EXEC) || st->st_mode & 0111))
		return 0;
	if (rb_cred_has(c, CAP_DAC_READ_SEARCH) &&
	    (S_ISDIR(st->st_mode) ? !(want & RB_MAY_WRITE) : want == RB_MAY_READ))
		return 0;
	return -EACCES;
}

int rb_cred_owns(const struct rb_cred *c, const struct stat *st)
{
	return st->st_uid == c->fsuid || rb_cred_has(c, CAP_FOWNER) ? 0 : -EPERM;
}

int rb_cred_may_chown(const struct rb_cred *c, const struct stat *st, uint32_t uid, uint32_t gid)
{
	bool owner = st->st_uid == c->fsuid;

	if (rb_cred_has(c, CAP_CHOWN))
		return 0;
	if (uid != KEEP && !(owner && uid == st->st_uid))
		return -EPERM;
	if (gid != KEEP && !(owner && (gid == st->st_gid || rb_cred_in_group(c, gid))))
		return -EPERM;
	return 0;
}

int rb_cred_may_remove(const struct rb_cred *c, const struct stat *dir, const struct stat *entry)
{
	int r = rb_cred_may(c, dir, RB_MAY_WRITE | RB_MAY_EXEC);

	if (r < 0)
		return r;
	if (dir->st_mode & S_ISVTX && entry->st_uid != c->fsuid && dir->st_uid != c->fsuid &&
	    !rb_cred_has(c, CAP_FOWNER))
		return -EPERM;
	return 0;
}
