// SPDX-License-Identifier: Apache-2.0
#include "snapshot/cachedir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/path.h"
#include "base/sys.h"

#define DEAD_PREFIX "dead-"

struct rb_cachedir {
	char *path; /* for messages */
	int dirfd, lock_fd;
	int used_fd; /* the directory that was mounted, locked against removal; -1: none */
	uint32_t uid_limit, gid_limit;
};

static int fail(const struct rb_cachedir *c, int neg, const char *what, struct rb_error **err)
{
	return rb_fail_sys(err, neg, "cannot %s of the cache mount in %s%s", what, c->path,
			   rb_space_hint(neg));
}

int rb_cachedir_open(struct rb_store *store, const struct rb_host *host,
		     const struct rb_digest *key, unsigned copy, struct rb_cachedir **ret,
		     struct rb_error **err)
{
	RB_CLEANUP(rb_cachedir_freep) struct rb_cachedir *c = rb_calloc(1, sizeof(*c));
	char hex[RB_DIGEST_TEXT_BYTES], number[16] = "";

	c->dirfd = c->lock_fd = c->used_fd = -1;
	if (copy)
		(void)snprintf(number, sizeof(number), "-%u", copy);
	RB_CLEANUP(rb_strp)
	char *rel = rb_asprintf("mounts/%s/%s%s", rb_rung_name(host->rung), rb_digest_hex(key, hex),
				number);
	RB_CLEANUP(rb_closep) int made = rb_store_dir(store, rel, err);
	if (made < 0)
		return -1;
	c->path = rb_asprintf("%s/%s", rb_store_path(store), rel);
	c->uid_limit = rb_id_map_limit(&host->uids);
	c->gid_limit = rb_id_map_limit(&host->gids);
	/* The store may have been opened in another mount namespace, whose mounts nobody can clone
	 * here. */
	c->dirfd = open(c->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (c->dirfd < 0)
		return fail(c, -errno, "open the directory", err);
	c->lock_fd = openat(c->dirfd, "lock", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (c->lock_fd < 0)
		return fail(c, -errno, "make the lock", err);
	*ret = rb_steal_ptr(&c);
	return 0;
}

void rb_cachedir_free(struct rb_cachedir *c)
{
	if (!c)
		return;
	/* Closing alone would leave it to those that were forked meanwhile. */
	if (c->lock_fd >= 0)
		(void)flock(c->lock_fd, LOCK_UN);
	if (c->used_fd >= 0)
		(void)flock(c->used_fd, LOCK_UN);
	rb_closep(&c->lock_fd);
	rb_closep(&c->used_fd);
	rb_closep(&c->dirfd);
	free(c->path);
	free(c);
}

/* --- locks --- */

static int lock(int fd, int how)
{
	while (flock(fd, how) < 0)
		if (errno != EINTR)
			return -errno;
	return 0;
}

int rb_cachedir_lock(struct rb_cachedir *c, bool alone, struct rb_error **err)
{
	int r = lock(c->lock_fd, (alone ? LOCK_EX : LOCK_SH) | LOCK_NB);

	if (r == -EWOULDBLOCK)
		return 0;
	return r < 0 ? fail(c, r, "lock the directory", err) : 1;
}

int rb_cachedir_wait(struct rb_cachedir *c, bool alone, struct rb_error **err)
{
	int r = lock(c->lock_fd, alone ? LOCK_EX : LOCK_SH);

	return r < 0 ? fail(c, r, "lock the directory", err) : 0;
}

/* --- contents --- */

int rb_cachedir_empty(struct rb_cachedir *c, struct rb_error **err)
{
	char dead[48] = DEAD_PREFIX;

	rb_random_hex(dead + strlen(DEAD_PREFIX), 16);
	if (renameat(c->dirfd, "data", c->dirfd, dead) < 0 && errno != ENOENT)
		return fail(c, -errno, "empty the directory", err);
	return 0;
}

static void closedirp(DIR **d)
{
	if (*d)
		closedir(*d);
}

static int open_dir(const struct rb_cachedir *c, const char *name)
{
	return openat(c->dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

/* A lock on what was emptied: closing gives it back. -1 while a step still uses it. */
static int lock_dead(const struct rb_cachedir *c, const char *name)
{
	RB_CLEANUP(rb_closep) int fd = open_dir(c, name);

	return fd < 0 || lock(fd, LOCK_EX | LOCK_NB) == -EWOULDBLOCK ? -1 : rb_steal_fd(&fd);
}

/* Names of what has been emptied. */
static void list_dead(const struct rb_cachedir *c, struct rb_strv *ret)
{
	int fd = openat(c->dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	RB_CLEANUP(closedirp) DIR *d = fd < 0 ? NULL : fdopendir(fd);

	for (struct dirent *e; d && (e = readdir(d));)
		if (rb_starts_with(e->d_name, DEAD_PREFIX))
			rb_strv_add(ret, e->d_name);
}

bool rb_cachedir_is_filled(const struct rb_cachedir *c)
{
	RB_CLEANUP(rb_strv_clear) struct rb_strv dead = RB_STRV_INIT;
	struct stat st;

	list_dead(c, &dead);
	for (size_t i = 0; i < dead.n; i++) {
		RB_CLEANUP(rb_closep) int unused = lock_dead(c, dead.v[i]);

		if (unused >= 0)
			return false; /* to be removed */
	}
	return fstatat(c->dirfd, "data", &st, AT_SYMLINK_NOFOLLOW) == 0;
}

static int own(struct rb_ledger *ledger, int dirfd, const char *path,
	       const struct rb_cachedir_owner *owner)
{
	int r = rb_ledger_chown(ledger, dirfd, "", path, owner->uid, owner->gid);

	if (r == 0 && fchmod(dirfd, owner->mode) < 0)
		r = -errno;
	return r;
}

static int make_data(struct rb_cachedir *c, const struct rb_cachedir_owner *owner,
		     rb_cachedir_seed_fn *seed, void *ctx, struct rb_error **err)
{
	RB_CLEANUP(rb_ledger_freep)
	struct rb_ledger *ledger = rb_ledger_new(c->uid_limit, c->gid_limit);

	/* Of a fill that was killed. */
	int r = rb_remove_tree_at(c->dirfd, "new");
	if (r == 0 && mkdirat(c->dirfd, "new", 0700) < 0)
		r = -errno;
	RB_CLEANUP(rb_closep) int fd = r < 0 ? -1 : open_dir(c, "new");
	if (r == 0 && fd < 0)
		r = -errno;
	if (r == 0 && rb_ledger_add_tree(ledger, fd, c->dirfd, "ledger", err) < 0)
		return -1;
	if (r == 0)
		r = own(ledger, fd, "", owner);
	if (r < 0)
		return fail(c, r, "make the directory", err);
	if (seed && seed(ctx, fd, ledger, err) < 0)
		return -1;
	return renameat(c->dirfd, "new", c->dirfd, "data") < 0
		       ? fail(c, -errno, "name the directory", err)
		       : 0;
}

int rb_cachedir_fill(struct rb_cachedir *c, const struct rb_cachedir_owner *owner,
		     rb_cachedir_seed_fn *seed, void *ctx, struct rb_error **err)
{
	RB_CLEANUP(rb_closep)
	int guard = openat(c->dirfd, "fill", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	RB_CLEANUP(rb_strv_clear) struct rb_strv dead = RB_STRV_INIT;
	int r = guard < 0 ? -errno : lock(guard, LOCK_EX);
	struct stat st;

	if (r < 0)
		return fail(c, r, "lock the making", err);
	list_dead(c, &dead);
	for (size_t i = 0; i < dead.n; i++) {
		RB_CLEANUP(rb_closep) int unused = lock_dead(c, dead.v[i]);

		if (unused >= 0 && (r = rb_remove_tree_at(c->dirfd, dead.v[i])) < 0)
			return fail(c, r, "remove old contents", err);
	}
	if (fstatat(c->dirfd, "data", &st, AT_SYMLINK_NOFOLLOW) == 0)
		return 0;
	return make_data(c, owner, seed, ctx, err);
}

/* --- mounting --- */

struct made {
	struct rb_ledger *ledger;
	const struct rb_cachedir_owner *owner;
};

static int own_made(void *ctx, int dirfd, const char *path)
{
	const struct made *m = ctx;

	return own(m->ledger, dirfd, path + strspn(path, "/"), m->owner);
}

/*
 * Opens the contents and locks them against removal. NOTFOUND when another build empties them just
 * now.
 */
static int use_data(struct rb_cachedir *c, struct rb_error **err)
{
	RB_CLEANUP(rb_closep) int fd = open_dir(c, "data");
	struct stat ours, now;

	if (fd < 0 && errno != ENOENT)
		return fail(c, -errno, "open the contents", err);
	if (fd < 0 || lock(fd, LOCK_SH | LOCK_NB) == -EWOULDBLOCK || fstat(fd, &ours) < 0 ||
	    fstatat(c->dirfd, "data", &now, AT_SYMLINK_NOFOLLOW) < 0 || now.st_ino != ours.st_ino)
		return rb_fail(err, RB_ERR_NOTFOUND,
			       "the cache mount in %s is emptied all the time", c->path);
	c->used_fd = rb_steal_fd(&fd);
	return 0;
}

int rb_cachedir_mount(struct rb_cachedir *c, const char *path,
		      const struct rb_cachedir_owner *owner, struct rb_error **err)
{
	RB_CLEANUP(rb_ledger_freep)
	struct rb_ledger *ledger = rb_ledger_new(c->uid_limit, c->gid_limit);
	struct made made = {.ledger = ledger, .owner = owner};

	/* Two mounts of a step are of one directory. */
	if (c->used_fd < 0 && use_data(c, err) < 0)
		return -1;
	if (rb_ledger_add_tree(ledger, c->used_fd, c->dirfd, "ledger", err) < 0)
		return -1;
	RB_CLEANUP(rb_closep)
	int part = path ? rb_mkdirs_in_root(c->used_fd, path, owner->mode, own_made, &made) : -1;
	if (path && part < 0)
		return fail(c, part, "open the source", err);
	int fd = rb_sys_open_tree(path ? part : c->used_fd, "", RB_OPEN_TREE_CLONE);
	return fd < 0 ? fail(c, fd, "clone the mount", err) : fd;
}
