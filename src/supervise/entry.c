// SPDX-License-Identifier: Apache-2.0
/*
 * What the image says of a file of the step: the attribute of the ledger on regular files and
 * directories; for the rest, and where a file system has no user attributes, a table by inode
 * number. Every removal passes here, so that a row never outlives its file.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#include "layer/acl.h"
#include "supervise/supervise-internal.h"

enum {
	OVERFLOW_ID = 65534, /* of /proc/sys/kernel/overflowuid */
	/* Half a gigabyte of rows; pipes without a name can have some too. */
	NODES_MAX = 1 << 22,
};

static struct node_key key_of(const struct stat *st)
{
	return (struct node_key){.dev = st->st_dev, .ino = st->st_ino};
}

static struct node *node_find(const struct supervisor *s, const struct stat *st)
{
	struct node_key key = key_of(st);
	struct node *n = NULL;

	if (s->nodes)
		HASH_FIND(hh, s->nodes, &key, sizeof(key), n);
	return n;
}

static void node_set(struct supervisor *s, const struct stat *st, const struct rb_owner *o,
		     uint64_t twin)
{
	struct node *n = node_find(s, st);

	if (!n) {
		n = rb_calloc(1, sizeof(*n));
		n->key = key_of(st);
		HASH_ADD(hh, s->nodes, key, sizeof(n->key), n);
	}
	n->owner = *o;
	n->twin = twin;
}

/*
 * The number that a link or FIFO has in the topmost tree. When it was copied up from a lower one
 * the mounted view goes on with the old number until it forgets the file, and with this one then:
 * such a file cannot carry the overlay's mark of where it came from. 0 where there is none.
 */
static uint64_t upper_number(const struct supervisor *s, int fd)
{
	char link[32], path[PATH_MAX];
	struct stat st;

	(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	ssize_t n = readlink(link, path, sizeof(path) - 1);
	if (n <= 0)
		return 0;
	path[n] = '\0';
	RB_CLEANUP(rb_closep)
	int upper = rb_sys_openat2(s->spec->diff_fd, path, O_PATH | O_NOFOLLOW | O_CLOEXEC, 0,
				   RB_RESOLVE_IN_ROOT | RB_RESOLVE_NO_SYMLINKS);
	return upper >= 0 && fstat(upper, &st) == 0 && rb_owner_in_table(st.st_mode) ? st.st_ino
										     : 0;
}

/* Under both numbers. */
static void row_set(struct supervisor *s, int fd, const struct stat *st, const struct rb_owner *o)
{
	uint64_t other = st->st_dev == s->root.st_dev ? upper_number(s, fd) : 0;
	struct stat twin = *st;

	s->has_rows = true;
	if (other == st->st_ino)
		other = 0;
	node_set(s, st, o, other);
	twin.st_ino = other;
	if (other)
		node_set(s, &twin, o, st->st_ino);
}

static void node_drop(struct supervisor *s, struct node *n)
{
	HASH_DEL(s->nodes, n);
	free(n);
}

void rb_entry_forget(struct supervisor *s, const struct stat *disk)
{
	struct node *n = node_find(s, disk), *twin = NULL;
	struct stat other = *disk;

	if (!n)
		return;
	other.st_ino = n->twin;
	if (n->twin && (twin = node_find(s, &other)))
		node_drop(s, twin);
	node_drop(s, n);
}

static __thread struct known known[RB_KNOWN];

static struct known *known_slot(const struct stat *st)
{
	return &known[(st->st_ino ^ st->st_ino >> 10) % RB_KNOWN];
}

static bool known_get(const struct supervisor *s, const struct stat *st, struct rb_owner *ret,
		      int *r)
{
	const struct known *k = known_slot(st);

	if (k->ino != st->st_ino || st->st_dev != s->root.st_dev ||
	    k->ctime.tv_sec != st->st_ctim.tv_sec || k->ctime.tv_nsec != st->st_ctim.tv_nsec)
		return false;
	*ret = k->owner;
	*r = k->has;
	return true;
}

static void known_put(const struct supervisor *s, const struct stat *st, const struct rb_owner *o,
		      int r)
{
	struct timespec now;

	if (r < 0 || st->st_dev != s->root.st_dev ||
	    clock_gettime(CLOCK_REALTIME_COARSE, &now) < 0 ||
	    st->st_ctim.tv_sec + RB_KNOWN_AGE_S > now.tv_sec)
		return;
	*known_slot(st) = (struct known){.ino = st->st_ino, .ctime = st->st_ctim, .has = r};
	if (r)
		known_slot(st)->owner = *o;
}

/* A file of a lower tree with several names is copied up by one of them; the others go on with the
 * old number, which nothing else gets. */
static void forget_old(struct supervisor *s, const struct stat *before, const struct stat *now)
{
	if (before->st_nlink <= 1 || before->st_ino == now->st_ino)
		rb_entry_forget(s, before);
}

/* 1 and the entry, 0 when there is none, -errno. */
static int entry_read(struct supervisor *s, int fd, const struct stat *st, struct rb_owner *ret)
{
	const struct node *n = node_find(s, st);

	if (n) {
		*ret = n->owner;
		return 1;
	}
	if (rb_owner_in_table(st->st_mode))
		return 0;
	int r;
	if (known_get(s, st, ret, &r))
		return r;
	r = rb_owner_read(fd, "", ret);
	/* /proc, /sys and the like. */
	if (r == -EPERM || r == -EACCES)
		r = 0;
	known_put(s, st, ret, r);
	return r;
}

static int entry_write(struct supervisor *s, int fd, const struct stat *st,
		       const struct rb_owner *o)
{
	s->has_owners |= o->type == 0;
	int r = rb_owner_in_table(st->st_mode) ? -EOPNOTSUPP : rb_owner_write(fd, "", o);

	if (r == -EOPNOTSUPP || r == -EPERM) {
		if (HASH_COUNT(s->nodes) >= NODES_MAX)
			return -ENOSPC;
		row_set(s, fd, st, o);
		return 0;
	}
	return r;
}

static int entry_remove(struct supervisor *s, int fd, const struct stat *st)
{
	rb_entry_forget(s, st);
	if (rb_owner_in_table(st->st_mode))
		return 0;
	int r = rb_sys_removexattr(fd, "", RB_LEDGER_XATTR);
	return r == -ENODATA || r == -EOPNOTSUPP || r == -EPERM ? 0 : r;
}

/*
 * What the host's root owns (/proc, the devices) has an owner that no id here stands for; for the
 * step that is its root, as it would be for a real one. Where nobody is an id like the others, its
 * files in mounts look the same, and are more than those.
 */
static void adopt(const struct supervisor *s, struct stat *st)
{
	if (st->st_dev == s->root.st_dev)
		return;
	if (st->st_uid == OVERFLOW_ID && s->spec->uid_limit <= OVERFLOW_ID)
		st->st_uid = 0;
	if (st->st_gid == OVERFLOW_ID && s->spec->gid_limit <= OVERFLOW_ID)
		st->st_gid = 0;
}

int rb_entry_fix(struct supervisor *s, int fd, struct stat *st)
{
	struct rb_owner o;
	int r = entry_read(s, fd, st, &o);

	if (r > 0)
		rb_owner_apply(&o, st);
	else
		adopt(s, st);
	return r < 0 ? r : 0;
}

void rb_entry_give_pipe(struct supervisor *s, int fd)
{
	const struct rb_owner o = {.uid = s->spec->uid, .gid = s->spec->gid};
	struct stat st;

	if (fstat(fd, &st) == 0 && S_ISFIFO(st.st_mode))
		node_set(s, &st, &o, 0);
}

int rb_entry_stat(struct supervisor *s, int fd, struct stat *ret)
{
	if (fstat(fd, ret) < 0)
		return -errno;
	return rb_entry_fix(s, fd, ret);
}

static bool is_member(const void *cred, uint32_t gid)
{
	return rb_cred_in_group(cred, gid);
}

int rb_entry_stat_as(struct call *c, int fd, struct stat *ret)
{
	RB_CLEANUP(rb_strp) char *acl = NULL;
	struct stat st;
	size_t len;
	int r = rb_entry_stat(c->s, fd, &st);

	/* As in the kernel a list whose mask is empty is not looked at. */
	if (r == 0 && rb_cred_is_restricted(&c->cred) && st.st_mode & S_IRWXG &&
	    st.st_uid != c->cred.fsuid)
		r = rb_acl_kept(fd, "", RB_ACL_ACCESS, &acl, &len);
	if (r < 0)
		return r;
	if (r > 0) {
		const struct rb_acl_who who = {st.st_uid, st.st_gid, c->cred.fsuid, is_member,
					       &c->cred};

		st.st_mode &= ~(mode_t)(S_IRWXG | S_IRWXO);
		for (unsigned bit = RB_MAY_EXEC; bit <= RB_MAY_READ; bit <<= 1)
			if (rb_acl_grants(acl, len, &who, bit))
				st.st_mode |= bit << 3 | bit;
	}
	*ret = st;
	return 0;
}

static bool is_real(const struct supervisor *s, uint32_t uid, uint32_t gid)
{
	return uid < s->spec->uid_limit && gid < s->spec->gid_limit;
}

int rb_entry_chown(struct supervisor *s, int fd, uint32_t uid, uint32_t gid)
{
	struct rb_owner o = {0};
	struct stat before, st;

	if (fstat(fd, &before) < 0)
		return -errno;
	int had = entry_read(s, fd, &before, &o);
	if (had < 0)
		return had;
	uint32_t old_uid = had ? o.uid : before.st_uid, old_gid = had ? o.gid : before.st_gid;
	o.uid = uid == UINT32_MAX ? old_uid : uid;
	o.gid = gid == UINT32_MAX ? old_gid : gid;
	bool real = is_real(s, o.uid, o.gid) && !o.type;
	/* Also where the owner on disk stays: the kernel clears set-id bits and capabilities and
	 * takes a file of a lower layer up. */
	if (fchownat(fd, "", real ? o.uid : 0, real ? o.gid : 0, AT_EMPTY_PATH) < 0)
		return -errno;
	if (fstat(fd, &st) < 0)
		return -errno;
	forget_old(s, &before, &st);
	if (!real)
		return entry_write(s, fd, &st, &o);
	return had ? entry_remove(s, fd, &st) : 0;
}

/* Who owns what the caller makes in a directory: set-group-id hands the group down. */
static int owner_of_new(struct call *c, int dir_fd, struct rb_owner *ret)
{
	struct stat dir;

	if (fstat(dir_fd, &dir) < 0)
		return -errno;
	int r = dir.st_mode & S_ISGID ? rb_entry_fix(c->s, dir_fd, &dir) : 0;
	if (r < 0)
		return r;
	*ret = (struct rb_owner){.uid = c->cred.fsuid,
				 .gid = dir.st_mode & S_ISGID ? dir.st_gid : c->cred.fsgid};
	return 0;
}

/* What was made belongs to us on disk, or to the directory's group. */
static int give(struct supervisor *s, int fd, const struct rb_owner *o)
{
	struct stat st;

	if (o->type == 0 && is_real(s, o->uid, o->gid)) {
		if (fstat(fd, &st) < 0)
			return -errno;
		if (st.st_uid == o->uid && st.st_gid == o->gid)
			return 0;
		return fchownat(fd, "", o->uid, o->gid, AT_EMPTY_PATH) < 0 ? -errno : 0;
	}
	return fstat(fd, &st) < 0 ? -errno : entry_write(s, fd, &st, o);
}

static int finish_new(struct call *c, int dir_fd, int fd, mode_t mode, const struct rb_owner *o)
{
	int r = give(c->s, fd, o);

	return r < 0 ? r : rb_acl_inherit(dir_fd, fd, "", mode);
}

int rb_entry_created(struct call *c, int dir_fd, int fd, mode_t mode)
{
	struct rb_owner o;
	int r = owner_of_new(c, dir_fd, &o);

	return r < 0 ? r : finish_new(c, dir_fd, fd, mode, &o);
}

int rb_entry_device(struct call *c, int dir_fd, int fd, mode_t mode, dev_t rdev)
{
	struct rb_owner o;
	int r = owner_of_new(c, dir_fd, &o);

	o.type = mode & S_IFMT;
	o.major = major(rdev);
	o.minor = minor(rdev);
	return r < 0 ? r : finish_new(c, dir_fd, fd, mode, &o);
}

int rb_may_change(struct call *c, int dir_fd)
{
	struct stat st;

	if (!rb_cred_is_restricted(&c->cred))
		return 0;
	int r = rb_entry_stat_as(c, dir_fd, &st);
	if (r < 0 || (st.st_dev != c->s->root.st_dev && rb_on_proc(dir_fd)))
		return r; /* where nothing can be made */
	return rb_cred_may(&c->cred, &st, RB_MAY_WRITE | RB_MAY_EXEC);
}

/* --- rows over copy-up --- */

static bool find_owner(struct supervisor *s, const struct stat *disk, struct rb_owner *ret)
{
	const struct node *n = node_find(s, disk);

	if (n)
		*ret = n->owner;
	return n != NULL;
}

int rb_entry_renumber(struct supervisor *s, const struct stat *before, int fd)
{
	struct rb_owner o;
	struct stat st;

	if (!find_owner(s, before, &o))
		return 0;
	if (fstat(fd, &st) < 0)
		return -errno;
	forget_old(s, before, &st);
	row_set(s, fd, &st, &o);
	return 0;
}

/* --- the rows of the layers below --- */

struct load {
	struct supervisor *s;
	int root_fd;
	int r;
};

static void load_row(void *ctx, const char *path, const struct rb_owner *o)
{
	struct load *l = ctx;
	struct stat st;
	RB_CLEANUP(rb_closep)
	int fd = rb_sys_openat2(l->root_fd, path, O_PATH | O_NOFOLLOW | O_CLOEXEC, 0,
				RB_RESOLVE_IN_ROOT | RB_RESOLVE_NO_SYMLINKS | RB_RESOLVE_NO_XDEV);

	/* Hidden by one of the step's own mounts. */
	if (fd < 0)
		return;
	if (fstat(fd, &st) < 0)
		l->r = -errno;
	else if (rb_owner_in_table(st.st_mode))
		row_set(l->s, fd, &st, o);
}

int rb_entry_load(struct supervisor *s, int root_fd, struct rb_ledger *ledger)
{
	struct load l = {.s = s, .root_fd = root_fd};

	rb_ledger_each(ledger, load_row, &l);
	return l.r;
}
