// SPDX-License-Identifier: Apache-2.0
/* Committed snapshots: look-up, metadata, views, removal. Active ones are in active.c. */
#include "snapshot/snapshot.h"

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
#include "base/log.h"
#include "snapshot/snapshot-internal.h"

int rb_snapshot_fail_disk(struct rb_error **err, int neg, const char *what, const char *where)
{
	if (neg == -ENOSPC || neg == -EDQUOT)
		return rb_fail_sys(err, neg, "%s in %s: %s", what, where, RB_SNAPSHOT_NO_SPACE);
	return rb_fail_sys(err, neg, "%s in %s", what, where);
}

int rb_snapshotter_open(struct rb_store *store, const struct rb_host *host,
			struct rb_snapshotter **ret, struct rb_error **err)
{
	RB_CLEANUP(rb_strp) char *rel = rb_asprintf("trees/%s", rb_rung_name(host->rung));
	RB_CLEANUP(rb_closep) int dirfd = rb_store_dir(store, rel, err);

	if (dirfd < 0)
		return rb_wrap(err, "cannot open the snapshots");
	struct rb_snapshotter *s = rb_calloc(1, sizeof(*s));
	s->dirfd = rb_steal_fd(&dirfd);
	s->path = rb_asprintf("%s/%s", rb_store_path(store), rel);
	s->uid_limit = rb_id_map_limit(&host->uids);
	s->gid_limit = rb_id_map_limit(&host->gids);
	if (host->rung == RB_RUNG_NONE)
		s->why_not = rb_strdup(host->why_not_single ? host->why_not_single
							    : "there is no user namespace");
	else
		s->ops = &rb_snapshot_overlay;
	*ret = s;
	return 0;
}

void rb_snapshotter_free(struct rb_snapshotter *s)
{
	if (!s)
		return;
	for (size_t i = 0; i < s->n_fds; i++) {
		rb_closep(&s->fds[i].fd);
		free(s->fds[i].id);
	}
	free(s->fds);
	rb_closep(&s->dirfd);
	free(s->path);
	free(s->why_not);
	free(s);
}

bool rb_snapshot_exists(struct rb_snapshotter *s, const char *id)
{
	if (!*id)
		return true;
	if (!rb_snapshot_id_valid(id))
		return false;
	RB_CLEANUP(rb_strp) char *name = rb_asprintf("%s/meta", id);
	struct stat st;

	/* Lost power may leave an empty file, which is no snapshot. */
	return fstatat(s->dirfd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && st.st_size > 0;
}

int rb_snapshot_stat(struct rb_snapshotter *s, const char *id, struct rb_snapshot_meta *ret,
		     struct rb_error **err)
{
	if (*id)
		return rb_snapshot_meta_read(s->dirfd, id, ret, NULL, err);
	*ret = (struct rb_snapshot_meta){0};
	return 0;
}

int rb_snapshot_update(struct rb_snapshotter *s, const struct rb_snapshot_meta *meta,
		       struct rb_error **err)
{
	RB_CLEANUP(rb_strv_clear) struct rb_strv lowers = RB_STRV_INIT;
	struct rb_snapshot_meta m;

	/* What the stack is made of never changes: only what is learnt later is taken over. */
	if (rb_snapshot_meta_read(s->dirfd, meta->id, &m, &lowers, err) < 0)
		return -1;
	if (meta->has_diff) {
		m.has_diff = true;
		m.diff_id = meta->diff_id;
		m.diff_size = meta->diff_size;
	}
	if (meta->has_blob) {
		m.has_blob = true;
		m.blob = meta->blob;
		m.blob_size = meta->blob_size;
		memcpy(m.media_type, meta->media_type, sizeof(m.media_type));
	}
	RB_CLEANUP(rb_closep)
	int dirfd = openat(s->dirfd, m.id, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (dirfd < 0)
		return rb_fail_errno(err, "cannot open snapshot %s", m.id);
	if (rb_snapshot_meta_write(dirfd, &m, &lowers, err) < 0)
		return rb_wrap(err, "cannot update snapshot %s", m.id);
	return 0;
}

int rb_snapshot_check_depth(size_t depth, struct rb_error **err)
{
	if (depth <= RB_SNAPSHOT_DEPTH_MAX)
		return 0;
	return rb_fail(
		err, RB_ERR_UNSUPPORTED,
		"more than %d layers and steps on top of each other, which is all that the kernel's overlay takes: join RUN instructions, or copy the result so far into a new stage with COPY --from",
		RB_SNAPSHOT_DEPTH_MAX);
}

int rb_snapshot_chain(struct rb_snapshotter *s, const char *id, struct rb_strv *ret,
		      struct rb_error **err)
{
	RB_CLEANUP(rb_strv_clear) struct rb_strv lowers = RB_STRV_INIT;
	struct rb_snapshot_meta m;

	if (!*id)
		return 0;
	if (rb_snapshot_meta_read(s->dirfd, id, &m, &lowers, err) < 0)
		return -1;
	for (size_t i = 0; i < lowers.n; i++)
		rb_strv_add(ret, lowers.v[i]);
	if (!m.placed)
		rb_strv_add(ret, id);
	return 0;
}

/* --- mounting --- */

/* The trees directory as the current mount namespace has it: an overlay takes no layers from a
 * descriptor that was opened in another one. */
static int open_here(const struct rb_snapshotter *s, struct rb_error **err)
{
	struct stat kept, here;
	int fd = open(s->path, O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return rb_fail_errno(err, "cannot open %s", s->path);
	if (fstat(s->dirfd, &kept) == 0 && fstat(fd, &here) == 0 && kept.st_dev == here.st_dev &&
	    kept.st_ino == here.st_ino)
		return fd;
	close(fd);
	return rb_fail(err, RB_ERR_NOTFOUND, "%s was replaced while rbuild was running", s->path);
}

/* Two directories that stay empty. Made with their final mode whatever the umask is. */
static int make_empties(int trees_fd)
{
	if (mkdirat(trees_fd, RB_SNAPSHOT_EMPTY_DIR, 0700) < 0 && errno != EEXIST)
		return -errno;
	for (int i = 0; i < RB_SNAPSHOT_EMPTIES; i++) {
		char name[] = RB_SNAPSHOT_EMPTY_DIR "/0";

		name[sizeof(name) - 2] = (char)('0' + i);
		if (mkdirat(trees_fd, name, 0755) == 0) {
			if (fchmodat(trees_fd, name, 0755, 0) < 0)
				return -errno;
		} else if (errno != EEXIST) {
			return -errno;
		}
	}
	return 0;
}

static bool occurs(const struct rb_strv *list, size_t from, const char *s)
{
	for (size_t i = from; i < list->n; i++)
		if (rb_streq(list->v[i], s))
			return true;
	return false;
}

int rb_snapshot_mount(struct rb_snapshotter *s, const struct rb_strv *chain, const char *upper,
		      const char *work, struct rb_error **err)
{
	RB_CLEANUP(rb_strv_clear) struct rb_strv lowers = RB_STRV_INIT;
	size_t need = upper ? 1 : s->ops->lowers_min;
	RB_CLEANUP(rb_closep) int trees_fd = open_here(s, err);

	if (trees_fd < 0)
		return -1;
	/* A tree that was placed twice counts where it is higher, and what is below is in it. The
	 * kernel takes no directory twice. */
	for (size_t i = chain->n; i > 0; i--)
		if (!occurs(chain, i, chain->v[i - 1]))
			rb_strv_addf(&lowers, "%s/diff", chain->v[i - 1]);
	int r = make_empties(s->dirfd);
	if (r < 0)
		return rb_snapshot_fail_disk(err, r, "cannot make a directory", s->path);
	for (size_t i = 0; lowers.n < need && i < RB_SNAPSHOT_EMPTIES; i++)
		rb_strv_addf(&lowers, RB_SNAPSHOT_EMPTY_DIR "/%zu", i);
	struct rb_snapshot_stack stack = {.trees_fd = trees_fd,
					  .trees_path = s->path,
					  .lowers = &lowers,
					  .upper = upper,
					  .work = work};
	return s->ops->mount(&stack, err);
}

int rb_snapshot_check_backend(const struct rb_snapshotter *s, struct rb_error **err)
{
	if (s->ops)
		return 0;
	return rb_fail(err, RB_ERR_UNSUPPORTED, "cannot make or mount snapshots: %s", s->why_not);
}

int rb_snapshot_view(struct rb_snapshotter *s, const char *id, struct rb_error **err)
{
	RB_CLEANUP(rb_strv_clear) struct rb_strv chain = RB_STRV_INIT;

	if (rb_snapshot_check_backend(s, err) < 0 || rb_snapshot_chain(s, id, &chain, err) < 0)
		return -1;
	return rb_snapshot_mount(s, &chain, NULL, NULL, err);
}

/* --- ledgers --- */

static int open_below(const struct rb_snapshotter *s, const char *id, const char *sub,
		      struct rb_error **err)
{
	RB_CLEANUP(rb_strp) char *name = rb_asprintf("%s/%s", id, sub);
	int fd = openat(s->dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0 && errno == ENOENT)
		return rb_fail(err, RB_ERR_NOTFOUND, "snapshot %s does not exist in %s", id,
			       s->path);
	if (fd < 0)
		return rb_fail_errno(err, "cannot open snapshot %s in %s", id, s->path);
	return fd;
}

/* Ledgers borrow the diff directories of their trees, so these stay open as long as s. */
static int borrow_diff_fd(struct rb_snapshotter *s, const char *id, struct rb_error **err)
{
	for (size_t i = 0; i < s->n_fds; i++)
		if (rb_streq(s->fds[i].id, id))
			return s->fds[i].fd;
	int fd = open_below(s, id, "diff", err);
	if (fd < 0)
		return -1;
	rb_grow(s->fds, s->n_fds, &s->cap_fds);
	s->fds[s->n_fds++] = (struct rb_snapshot_fd){.id = rb_strdup(id), .fd = fd};
	return fd;
}

static int add_tree(struct rb_snapshotter *s, struct rb_ledger *l, const char *id,
		    struct rb_error **err)
{
	RB_CLEANUP(rb_closep) int dirfd = open_below(s, id, ".", err);
	int diff_fd = dirfd < 0 ? -1 : borrow_diff_fd(s, id, err);

	if (diff_fd < 0)
		return -1;
	if (rb_ledger_add_tree(l, diff_fd, dirfd, "ledger", err) < 0)
		return rb_wrap(err, "snapshot %s", id);
	return 0;
}

int rb_snapshot_add_trees(struct rb_snapshotter *s, struct rb_ledger *l,
			  const struct rb_strv *chain, struct rb_error **err)
{
	size_t lowest = 0;

	/* A row counts unless a tree above has its path, so trees above the lowest table are needed
	 * also without a table of their own; those below it would only cost descriptors. */
	for (; lowest < chain->n; lowest++) {
		RB_CLEANUP(rb_strp) char *name = rb_asprintf("%s/ledger", chain->v[lowest]);

		if (faccessat(s->dirfd, name, F_OK, 0) == 0)
			break;
	}
	for (size_t i = chain->n; i > lowest; i--)
		if (add_tree(s, l, chain->v[i - 1], err) < 0)
			return -1;
	return 0;
}

int rb_snapshot_view_ledger(struct rb_snapshotter *s, const char *id, struct rb_ledger **ret,
			    struct rb_error **err)
{
	RB_CLEANUP(rb_strv_clear) struct rb_strv chain = RB_STRV_INIT;
	RB_CLEANUP(rb_ledger_freep)
	struct rb_ledger *l = rb_ledger_new(s->uid_limit, s->gid_limit);

	if (rb_snapshot_chain(s, id, &chain, err) < 0 ||
	    rb_snapshot_add_trees(s, l, &chain, err) < 0)
		return -1;
	*ret = rb_steal_ptr(&l);
	return 0;
}

int rb_snapshot_diff(struct rb_snapshotter *s, const char *id, int *ret_fd,
		     struct rb_ledger **ret_ledger, struct rb_error **err)
{
	RB_CLEANUP(rb_ledger_freep)
	struct rb_ledger *l = rb_ledger_new(s->uid_limit, s->gid_limit);

	if (!rb_snapshot_id_valid(id))
		return rb_fail(err, RB_ERR_NOTFOUND, "snapshot \"%s\" does not exist", id);
	RB_CLEANUP(rb_closep) int fd = open_below(s, id, "diff", err);
	if (fd < 0 || add_tree(s, l, id, err) < 0)
		return -1;
	*ret_fd = rb_steal_fd(&fd);
	*ret_ledger = rb_steal_ptr(&l);
	return 0;
}

/* --- removal --- */

static void forget_diff_fd(struct rb_snapshotter *s, const char *id)
{
	for (size_t i = 0; i < s->n_fds; i++) {
		if (!rb_streq(s->fds[i].id, id))
			continue;
		rb_closep(&s->fds[i].fd);
		free(s->fds[i].id);
		s->fds[i] = s->fds[--s->n_fds];
		return;
	}
}

int rb_snapshot_set_aside(struct rb_snapshotter *s, const char *id, char **ret_name)
{
	char rnd[17];

	rb_random_hex(rnd, 8);
	RB_CLEANUP(rb_strp) char *dead = rb_asprintf(RB_SNAPSHOT_DEAD_PREFIX "%s", rnd);
	if (renameat(s->dirfd, id, s->dirfd, dead) < 0)
		return -errno;
	*ret_name = rb_steal_ptr(&dead);
	return 0;
}

int rb_snapshot_remove(struct rb_snapshotter *s, const char *id, struct rb_error **err)
{
	RB_CLEANUP(rb_strp) char *dead = NULL;

	if (!rb_snapshot_id_valid(id))
		return rb_fail(err, RB_ERR_NOTFOUND, "snapshot \"%s\" does not exist", id);
	forget_diff_fd(s, id);
	/* Gone at once for everybody else, however long the removal takes. */
	int r = rb_snapshot_set_aside(s, id, &dead);
	if (r == -ENOENT)
		return rb_fail(err, RB_ERR_NOTFOUND, "snapshot %s does not exist in %s", id,
			       s->path);
	if (r == 0)
		r = rb_remove_tree_at(s->dirfd, dead);
	if (r < 0)
		return rb_fail_sys(err, r, "cannot remove snapshot %s in %s", id, s->path);
	return 0;
}

/* --- copies --- */

int rb_snapshot_hold(struct rb_snapshotter *s, const char *id)
{
	RB_CLEANUP(rb_strp) char *meta = rb_asprintf("%s/meta", id);
	RB_CLEANUP(rb_closep) int fd = openat(s->dirfd, meta, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	struct stat ours, there;

	/* Who has it exclusively removes it. And it may have been removed before we had the lock.
	 */
	if (fd < 0 || flock(fd, LOCK_SH | LOCK_NB) < 0 || fstat(fd, &ours) < 0 ||
	    fstatat(s->dirfd, meta, &there, AT_SYMLINK_NOFOLLOW) < 0 || ours.st_ino != there.st_ino)
		return -1;
	return rb_steal_fd(&fd);
}

void rb_snapshot_let_go(struct rb_snapshotter *s, const char *id, int fd)
{
	RB_CLEANUP(rb_strp) char *dead = NULL;

	if (flock(fd, LOCK_EX | LOCK_NB) == 0 && rb_snapshot_set_aside(s, id, &dead) == 0) {
		forget_diff_fd(s, id);
		/* What cannot be removed now is reaped later. */
		(void)rb_remove_tree_at(s->dirfd, dead);
	}
	/* Forks may have the descriptor, too. */
	(void)flock(fd, LOCK_UN);
	rb_closep(&fd);
}

/* Gives a copy that nobody holds a name of the dead. */
static void set_unheld_aside(struct rb_snapshotter *s, const char *id, struct rb_strv *ret)
{
	RB_CLEANUP(rb_strp) char *meta = rb_asprintf("%s/meta", id);
	RB_CLEANUP(rb_closep) int fd = openat(s->dirfd, meta, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	char *dead;

	if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) < 0 || rb_snapshot_set_aside(s, id, &dead) < 0)
		return;
	rb_strv_take(ret, dead);
}

/* --- left-overs --- */

/* Whether nobody holds the lock of an active state. Called while no maker is between mkdir and
 * flock, so a missing lock file means a killed maker. */
static bool is_abandoned(int trees_fd, const char *name)
{
	RB_CLEANUP(rb_strp) char *lock = rb_asprintf("%s/lock", name);
	RB_CLEANUP(rb_closep) int fd = openat(trees_fd, lock, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0)
		return errno == ENOENT;
	return flock(fd, LOCK_EX | LOCK_NB) == 0;
}

static void closedirp(DIR **d)
{
	if (*d)
		closedir(*d);
}

static int list_abandoned(struct rb_snapshotter *s, int fd, struct rb_strv *ret)
{
	int dup_fd = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	RB_CLEANUP(closedirp) DIR *d = dup_fd < 0 ? NULL : fdopendir(dup_fd);
	struct dirent *e;

	if (!d)
		return -errno;
	while ((e = readdir(d))) {
		if (rb_starts_with(e->d_name, RB_SNAPSHOT_DEAD_PREFIX) ||
		    (rb_starts_with(e->d_name, RB_SNAPSHOT_ACTIVE_PREFIX) &&
		     is_abandoned(fd, e->d_name)))
			rb_strv_add(ret, e->d_name);
		else if (rb_starts_with(e->d_name, RB_SNAPSHOT_COPY_PREFIX))
			set_unheld_aside(s, e->d_name, ret);
	}
	return 0;
}

int rb_snapshot_reap(struct rb_snapshotter *s, struct rb_error **err)
{
	RB_CLEANUP(rb_strv_clear) struct rb_strv names = RB_STRV_INIT;
	RB_CLEANUP(rb_closep) int fd = openat(s->dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return rb_fail_errno(err, "cannot open %s", s->path);
	/* Somebody is just making or reaping states: the next rbuild finds the left-overs too. */
	if (flock(fd, LOCK_EX | LOCK_NB) < 0)
		return 0;
	int r = list_abandoned(s, fd, &names);
	rb_closep(&fd); /* nobody takes up an abandoned state, so removing needs no lock */
	for (size_t i = 0; i < names.n; i++) {
		rb_log_debug("removing left-over %s/%s", s->path, names.v[i]);
		int removed = rb_remove_tree_at(s->dirfd, names.v[i]);

		r = r < 0 ? r : removed; /* goes on, and reports the first failure */
	}
	if (r < 0)
		return rb_fail_sys(err, r, "cannot remove left-over states in %s", s->path);
	return 0;
}
