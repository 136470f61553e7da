// SPDX-License-Identifier: Apache-2.0
/* Active snapshots: prepare, mount, commit or drop. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/sys.h"
#include "snapshot/snapshot-internal.h"

struct rb_active {
	struct rb_snapshotter *s; /* borrowed; outlives this */
	char *name;               /* ".active-<rnd>", NULL when there is nothing to remove */
	int dirfd, diff_fd, lock_fd;
	unsigned n_works;      /* work directories made: "work", "work1", … */
	struct rb_strv lowers; /* ids below, bottom first */
	struct rb_ledger *ledger;
	bool below_has_owners;
};

/* A directory with its final mode whatever the umask is; opened. Mechanism. */
static int make_dir(int dirfd, const char *name, mode_t mode)
{
	if (mkdirat(dirfd, name, mode) < 0)
		return -errno;
	int fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (fchmod(fd, mode) == 0)
		return fd;
	int r = -errno;
	close(fd);
	return r;
}

/*
 * The directory and its lock. Makers hold the trees directory shared meanwhile: a reaper, which
 * takes it exclusively, never sees a state without its lock. Mechanism.
 */
static int make_locked(struct rb_active *a)
{
	RB_CLEANUP(rb_closep)
	int guard = openat(a->s->dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	char rnd[33];

	if (guard < 0 || flock(guard, LOCK_SH) < 0)
		return -errno;
	rb_random_hex(rnd, 16);
	RB_CLEANUP(rb_strp) char *name = rb_asprintf(RB_SNAPSHOT_ACTIVE_PREFIX "%s", rnd);
	a->dirfd = make_dir(a->s->dirfd, name, 0700);
	if (a->dirfd < 0)
		return a->dirfd;
	a->name = rb_steal_ptr(&name);
	a->lock_fd = openat(a->dirfd, "lock", O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (a->lock_fd < 0 || flock(a->lock_fd, LOCK_EX | LOCK_NB) < 0)
		return -errno;
	a->diff_fd = make_dir(a->dirfd, "diff", 0755);
	return a->diff_fd < 0 ? a->diff_fd : 0;
}

/* Whiteouts' opaque marks and owners are user attributes: without them layers would be wrong. */
static int check_xattrs(struct rb_active *a, struct rb_error **err)
{
	static const char probe[] = "user.rbuild.probe";

	if (a->s->xattrs_checked)
		return 0;
	int r = rb_sys_setxattr(a->dirfd, "", probe, "1", 1);
	if (r == -EOPNOTSUPP)
		return rb_fail(
			err, RB_ERR_UNSUPPORTED,
			"the file system of %s has no user extended attributes, which snapshots need: keep the store on a local file system such as ext4, xfs or btrfs with --root DIR",
			a->s->path);
	if (r < 0)
		return rb_snapshot_fail_disk(err, r, "cannot set an extended attribute",
					     a->s->path);
	(void)rb_sys_removexattr(a->dirfd, "", probe);
	a->s->xattrs_checked = true;
	return 0;
}

static int copy_xattrs(int from_fd, int to_fd)
{
	struct rb_xattr *v = NULL;
	ssize_t n = rb_xattrs_read(from_fd, "", &v);

	if (n < 0)
		return (int)n;
	int r = rb_layer_set_xattrs(to_fd, "", v, (size_t)n, "/");
	rb_xattrs_free(v, (size_t)n);
	return r;
}

/* The root of the new diff looks like the parent's, whose own diff root is what its merged view
 * shows. */
static int copy_root(struct rb_active *a, int parent_fd)
{
	struct stat st;
	int r = rb_ledger_stat(a->ledger, parent_fd, "", "", &st);

	if (r < 0 || (r = rb_ledger_chown(a->ledger, a->diff_fd, "", "", st.st_uid, st.st_gid)) < 0)
		return r;
	if (fchmod(a->diff_fd, st.st_mode & 07777) < 0)
		return -errno;
	if ((r = copy_xattrs(parent_fd, a->diff_fd)) < 0)
		return r;
	const struct timespec times[2] = {st.st_atim, st.st_mtim};
	return futimens(a->diff_fd, times) < 0 ? -errno : 0;
}

/*
 * The tree whose root directory is that of the stack: one that was placed (COPY --link) says
 * nothing about the directory it was put into.
 */
static int root_tree(const struct rb_active *a, const char **ret, struct rb_error **err)
{
	struct rb_snapshot_meta m;

	for (size_t i = a->lowers.n - 1; i > 0; i--) {
		if (rb_snapshot_stat(a->s, a->lowers.v[i], &m, err) < 0)
			return -1;
		*ret = a->lowers.v[i];
		if (m.depth > 1)
			return 0;
	}
	*ret = a->lowers.v[0];
	return 0;
}

static int fill(struct rb_active *a, const char *parent, struct rb_error **err)
{
	struct rb_snapshotter *s = a->s;

	a->ledger = rb_ledger_new(s->uid_limit, s->gid_limit);
	if (rb_ledger_add_tree(a->ledger, a->diff_fd, a->dirfd, "ledger", err) < 0 ||
	    rb_snapshot_add_trees(s, a->ledger, &a->lowers, err) < 0)
		return -1;
	if (!*parent) {
		/* A set-group-id store directory would hand down its group. */
		int r = rb_ledger_chown(a->ledger, a->diff_fd, "", "", 0, 0);
		return r < 0 ? rb_fail_sys(err, r, "cannot set the owner of a root directory") : 0;
	}
	const char *tree;
	if (root_tree(a, &tree, err) < 0)
		return -1;
	RB_CLEANUP(rb_strp) char *name = rb_asprintf("%s/diff", tree);
	RB_CLEANUP(rb_closep)
	int fd = openat(s->dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return rb_fail_errno(err, "cannot open snapshot %s in %s", tree, s->path);
	int r = copy_root(a, fd);
	if (r < 0)
		return rb_snapshot_fail_disk(err, r, "cannot take over the root directory's owner",
					     s->path);
	return 0;
}

int rb_snapshot_prepare(struct rb_snapshotter *s, const char *parent, struct rb_active **ret,
			struct rb_error **err)
{
	RB_CLEANUP(rb_active_freep) struct rb_active *a = rb_calloc(1, sizeof(*a));
	struct rb_snapshot_meta below = {0};

	a->s = s;
	a->dirfd = a->diff_fd = a->lock_fd = -1;
	if (rb_snapshot_check_backend(s, err) < 0 ||
	    rb_snapshot_chain(s, parent, &a->lowers, err) < 0 ||
	    (*parent && rb_snapshot_stat(s, parent, &below, err) < 0))
		return -1;
	a->below_has_owners = below.has_owners;
	if (rb_snapshot_check_depth(a->lowers.n + 1, err) < 0)
		return -1;
	int r = make_locked(a);
	if (r < 0)
		return rb_snapshot_fail_disk(err, r, "cannot make a snapshot", s->path);
	if (check_xattrs(a, err) < 0 || fill(a, parent, err) < 0)
		return -1;
	*ret = rb_steal_ptr(&a);
	return 0;
}

static char *work_name(unsigned i)
{
	return i ? rb_asprintf("work%u", i) : rb_strdup("work");
}

int rb_active_mount(struct rb_active *a, struct rb_error **err)
{
	/* A new one for each mount: the kernel marks that of a volatile mount as used up. */
	RB_CLEANUP(rb_strp) char *work = work_name(a->n_works);
	RB_CLEANUP(rb_closep) int fd = make_dir(a->dirfd, work, 0700);

	if (fd < 0)
		return rb_snapshot_fail_disk(err, fd, "cannot make a work directory", a->s->path);
	a->n_works++;
	RB_CLEANUP(rb_strp) char *upper = rb_asprintf("%s/diff", a->name);
	RB_CLEANUP(rb_strp) char *work_path = rb_asprintf("%s/%s", a->name, work);
	return rb_snapshot_mount(a->s, &a->lowers, upper, work_path, err);
}

int rb_active_diff_fd(const struct rb_active *a)
{
	return a->diff_fd;
}

struct rb_ledger *rb_active_ledger(struct rb_active *a)
{
	return a->ledger;
}

bool rb_active_has_owners(const struct rb_active *a)
{
	return a->below_has_owners;
}

int rb_active_settle(struct rb_active *a, struct rb_error **err)
{
	return rb_snapshot_settle(a->s, &a->lowers, a->diff_fd, a->ledger, err);
}

static int remove_works(struct rb_active *a)
{
	int first = 0;

	for (; a->n_works; a->n_works--) {
		RB_CLEANUP(rb_strp) char *work = work_name(a->n_works - 1);
		int r = rb_remove_tree_at(a->dirfd, work);

		first = first ? first : r;
	}
	return first;
}

/* Gives the finished directory its id. A sound snapshot of that id wins and fills *kept, a damaged
 * one (lost power before its metadata was on disk) makes room. */
static int publish(struct rb_active *a, const char *id, struct rb_snapshot_meta *kept,
		   struct rb_error **err)
{
	struct rb_snapshotter *s = a->s;

	for (int tries = 0; tries < 8; tries++) {
		RB_CLEANUP(rb_strp) char *dead = NULL;

		/* A directory never replaces one that is not empty, so this needs no NOREPLACE. */
		if (renameat(s->dirfd, a->name, s->dirfd, id) == 0) {
			rb_strp(&a->name);
			(void)unlinkat(a->dirfd, "lock", 0);
			return 0;
		}
		if (errno != EEXIST && errno != ENOTEMPTY)
			return rb_fail_errno(err, "cannot rename %s to %s", a->name, id);
		struct rb_error *why = NULL;
		if (rb_snapshot_stat(s, id, kept, &why) == 0)
			return 0;
		rb_error_drop(&why); /* what is damaged is replaced */
		if (rb_snapshot_set_aside(s, id, &dead) == 0)
			(void)rb_remove_tree_at(s->dirfd, dead);
	}
	return rb_fail(err, RB_ERR_CORRUPT, "cannot commit snapshot %s: %s/%s is damaged", id,
		       s->path, id);
}

static int commit(struct rb_active *a, const char *id, struct rb_snapshot_meta *ret,
		  struct rb_error **err)
{
	struct rb_snapshot_meta m = {.depth = (unsigned)a->lowers.n + 1,
				     .has_owners = a->below_has_owners ||
						   rb_ledger_has_owners(a->ledger)};
	struct timespec now;
	char rnd[33];

	rb_random_hex(rnd, 16);
	id = id ? id : rnd;
	if (!rb_snapshot_id_valid(id))
		return rb_fail(err, RB_ERR_CORRUPT, "\"%s\" cannot be the id of a snapshot", id);
	memcpy(m.id, id, strlen(id));
	if (a->lowers.n)
		memcpy(m.parent, a->lowers.v[a->lowers.n - 1],
		       strlen(a->lowers.v[a->lowers.n - 1]));
	(void)clock_gettime(CLOCK_REALTIME, &now);
	m.created_s = now.tv_sec;
	m.created_ns = (uint32_t)now.tv_nsec;
	if (rb_ledger_save(a->ledger, a->diff_fd, a->dirfd, "ledger", err) < 0)
		return -1;
	int r = remove_works(a);
	if (r < 0)
		return rb_fail_sys(err, r, "cannot remove the work directory of a snapshot in %s",
				   a->s->path);
	if (rb_snapshot_meta_write(a->dirfd, &m, &a->lowers, err) < 0)
		return -1;
	if (publish(a, id, &m, err) < 0)
		return -1;
	if (ret)
		*ret = m;
	return 0;
}

int rb_active_commit(struct rb_active *a, const char *id, struct rb_snapshot_meta *ret,
		     struct rb_error **err)
{
	int r = commit(a, id, ret, err);

	if (r < 0 && err && ((*err)->sys_errno == ENOSPC || (*err)->sys_errno == EDQUOT))
		(void)rb_wrap(err, "cannot commit a snapshot in %s: %s", a->s->path,
			      RB_SNAPSHOT_NO_SPACE);
	else if (r < 0)
		(void)rb_wrap(err, "cannot commit a snapshot in %s", a->s->path);
	rb_active_free(a);
	return r;
}

void rb_active_forget(struct rb_active *a)
{
	rb_ledger_free(a->ledger);
	rb_closep(&a->dirfd);
	rb_closep(&a->diff_fd);
	rb_closep(&a->lock_fd);
	rb_strv_clear(&a->lowers);
	free(a->name);
	free(a);
}

void rb_active_free(struct rb_active *a)
{
	if (!a)
		return;
	/* What cannot be removed now is reaped later: the lock goes with us. */
	if (a->name)
		(void)rb_remove_tree_at(a->s->dirfd, a->name);
	rb_active_forget(a);
}
