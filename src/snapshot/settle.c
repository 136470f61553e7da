// SPDX-License-Identifier: Apache-2.0
/*
 * Between a step and its commit: one walk over the directories of the upperdir. Overlay copies a
 * directory up before anything in it changes, and leaves it there when the change is undone, as
 * with the mount points that every step gets; a layer has changes only (dockerfile.md 7.2). And
 * what a layer cannot hold is the step's error, not that of whoever writes the layer later.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/sys.h"
#include "layer/layer.h"
#include "snapshot/snapshot-internal.h"

struct walk {
	struct rb_snapshotter *s;
	const struct rb_strv *lowers; /* ids below, bottom first */
	const struct rb_ledger *ledger;
	struct rb_buf path; /* of the entry */
};

static void closedirp(DIR **d)
{
	if (*d)
		closedir(*d);
}

static int fail(const struct walk *w, int neg, const char *what, struct rb_error **err)
{
	return rb_fail_sys(err, neg, "cannot %s /%s of the step%s", what, w->path.ptr,
			   neg == -EMFILE ? " (raise the limit of open files, ulimit -n)" : "");
}

/*
 * The directory that a copied up one was made from: the topmost of its path, for the overlay saw it
 * when it copied. Mechanism.
 */
static int open_origin(const struct walk *w)
{
	int fd = -ENOENT;

	for (size_t i = w->lowers->n; i > 0 && fd == -ENOENT; i--) {
		RB_CLEANUP(rb_strp)
		char *name = rb_asprintf("%s/diff/%s", w->lowers->v[i - 1], w->path.ptr);
		fd = rb_sys_openat2(w->s->dirfd, name,
				    O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, 0,
				    RB_RESOLVE_BENEATH | RB_RESOLVE_NO_SYMLINKS);
	}
	return fd;
}

/*
 * 1 when an empty directory shows nothing but what is below. Overlay gives `origin` to whatever it
 * copies up and to nothing that a step makes. `before` is from before we removed something in it.
 */
static int is_copy(const struct walk *w, int fd, const struct stat *before)
{
	ssize_t n = rb_sys_getxattr(fd, "", "user.overlay.origin", NULL, 0);
	struct stat st;

	if (n < 0)
		return n == -ENODATA || n == -EOPNOTSUPP ? 0 : (int)n;
	RB_CLEANUP(rb_closep) int below = open_origin(w);
	if (below == -ENOENT || below == -ENOTDIR || below == -ELOOP || below == -ENAMETOOLONG)
		return 0; /* then it stays */
	if (below < 0)
		return rb_steal_fd(&below);
	if (fstat(below, &st) < 0)
		return -errno;
	if (st.st_mtim.tv_sec != before->st_mtim.tv_sec ||
	    st.st_mtim.tv_nsec != before->st_mtim.tv_nsec)
		return 0;
	return rb_layer_same_dir(w->ledger, fd, below);
}

static int settle_dir(struct walk *w, DIR *d, unsigned depth, struct rb_error **err);

/* Mechanism: NULL with errno. */
static DIR *open_dir(int dirfd, const char *name)
{
	RB_CLEANUP(rb_closep)
	int fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);

	if (d)
		(void)rb_steal_fd(&fd);
	return d;
}

/* 1 when the entry was a copy and is gone. */
static int settle_entry(struct walk *w, int dirfd, const struct dirent *e, unsigned depth,
			struct rb_error **err)
{
	if (rb_starts_with(e->d_name, RB_WHITEOUT_PREFIX))
		return rb_whiteout_refuse(w->path.ptr, err);
	if (e->d_type != DT_DIR && e->d_type != DT_UNKNOWN)
		return 0;
	RB_CLEANUP(closedirp) DIR *d = open_dir(dirfd, e->d_name);
	if (!d && (errno == ENOTDIR || errno == ELOOP))
		return 0;
	if (!d)
		return fail(w, -errno, "open", err);
	int r = settle_dir(w, d, depth + 1, err);
	if (r > 0 && unlinkat(dirfd, e->d_name, AT_REMOVEDIR) < 0)
		return fail(w, -errno, "remove the unchanged copy", err);
	return r;
}

static int settle_children(struct walk *w, DIR *d, unsigned depth, size_t *ret_kept,
			   size_t *ret_removed, struct rb_error **err)
{
	struct dirent *e;

	while ((errno = 0, e = readdir(d))) {
		size_t len = w->path.len;

		if (rb_streq(e->d_name, ".") || rb_streq(e->d_name, ".."))
			continue;
		rb_buf_addf(&w->path, "%s%s", len ? "/" : "", e->d_name);
		int r = settle_entry(w, dirfd(d), e, depth, err);
		rb_buf_truncate(&w->path, len);
		if (r < 0)
			return -1;
		*(r ? ret_removed : ret_kept) += 1;
	}
	return errno ? fail(w, -errno, "read", err) : 0;
}

/* 1 when the directory is a copy of that below: the caller removes it. */
static int settle_dir(struct walk *w, DIR *d, unsigned depth, struct rb_error **err)
{
	size_t kept = 0, removed = 0;
	const int fd = dirfd(d);
	struct stat st;

	if (fstat(fd, &st) < 0)
		return fail(w, -errno, "stat", err);
	if (depth > rb_layer_limits_default.depth)
		return rb_fail(err, RB_ERR_CORRUPT,
			       "%.80s...: deeper than %u directories, which no layer may be",
			       w->path.ptr, rb_layer_limits_default.depth);
	if (settle_children(w, d, depth, &kept, &removed, err) < 0)
		return -1;
	int r = depth && !kept ? is_copy(w, fd, &st) : 0;
	/* Removing copies is no change of the directory that held them. */
	const struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, st.st_mtim};
	if (r == 0 && removed && futimens(fd, times) < 0)
		r = -errno;
	return r < 0 ? fail(w, r, "compare or restore the metadata of", err) : r;
}

int rb_snapshot_settle(struct rb_snapshotter *s, const struct rb_strv *lowers, int diff_fd,
		       const struct rb_ledger *ledger, struct rb_error **err)
{
	struct walk w = {.s = s, .lowers = lowers, .ledger = ledger, .path = RB_BUF_INIT};
	RB_CLEANUP(closedirp) DIR *d = open_dir(diff_fd, ".");
	int r = d ? settle_dir(&w, d, 0, err) : fail(&w, -errno, "open", err);

	rb_buf_clear(&w.path);
	return r;
}
