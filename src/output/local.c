// SPDX-License-Identifier: Apache-2.0
/*
 * type=local: the tree of the result as plain files of the caller. The source is an immutable view;
 * the destination is the caller's and may change under us or hold links that somebody else made, so
 * every directory of it is opened once, below the descriptor of its parent, without following.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/path.h"
#include "base/sys.h"
#include "output/output-internal.h"

/* A file with several names that was written under one of them. */
struct linked {
	dev_t dev;
	ino_t ino;
	char *path;
};

struct copying {
	const struct rb_ledger *ledger;
	const struct rb_output_spec *spec;
	int root;           /* the destination */
	void *links;        /* tsearch(3) tree of struct linked */
	struct rb_buf path; /* of the current entry in the tree, without leading slash */
	unsigned depth;
	unsigned devices, sockets, special, capabilities, acls; /* left out */
};

static int fail_at(const struct copying *e, int neg, const char *what, struct rb_error **err)
{
	return rb_fail_sys(err, neg, "cannot %s %s/%s", what, e->spec->dest, e->path.ptr);
}

/* Makes room for an entry that is no directory. Mechanism. */
static int clear_way(int dst, const char *name)
{
	return unlinkat(dst, name, 0) < 0 && errno != ENOENT ? -errno : 0;
}

/* An existing directory is used; anything else of that name, also a link to a directory, is
 * replaced. Mechanism: descriptor. */
static int make_dir(int dst, const char *name)
{
	for (int tries = 0; tries < 3; tries++) {
		if (mkdirat(dst, name, 0700) < 0 && errno != EEXIST)
			return -errno;
		int fd = openat(dst, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (fd >= 0)
			return fd;
		if (errno != ENOTDIR && errno != ELOOP)
			return -errno;
		int r = clear_way(dst, name);
		if (r < 0)
			return r;
	}
	return -EEXIST; /* somebody keeps putting it back */
}

static int make_file(int dst, const char *name)
{
	for (int tries = 0; tries < 3; tries++) {
		int fd = openat(dst, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
				0600);

		if (fd >= 0 || errno != EEXIST)
			return fd >= 0 ? fd : -errno;
		int r = clear_way(dst, name);
		if (r < 0)
			return r;
	}
	return -EEXIST;
}

/* Setuid files and capabilities would run as the caller for every user of this machine who reaches
 * them (threats S45). */
static mode_t allowed_mode(struct copying *e, mode_t mode)
{
	if ((mode & 06000) && !e->spec->keep_special) {
		e->special++;
		mode &= ~(mode_t)06000;
	}
	return mode & 07777;
}

static int copy_xattrs(struct copying *e, int in, int out)
{
	struct rb_xattr *v = NULL;
	ssize_t n = rb_xattrs_read(in, "", &v);
	int r = n < 0 ? (int)n : 0;

	for (ssize_t i = 0; i < n && r == 0; i++) {
		bool capability = rb_streq(v[i].name, "security.capability");

		if (!capability && !rb_starts_with(v[i].name, "user.")) {
			e->acls++; /* names ids that mean nothing outside */
		} else if (capability && !e->spec->keep_special) {
			e->capabilities++;
		} else {
			r = rb_sys_setxattr(out, "", v[i].name, v[i].value, v[i].len);
			/* A file system without user attributes still takes the files. */
			if (r == -EOPNOTSUPP && !capability)
				r = 0;
		}
	}
	if (n > 0)
		rb_xattrs_free(v, (size_t)n);
	return r;
}

/* With an epoch everything is from then (dockerfile.md 7.5). */
static void times_of(const struct copying *e, const struct stat *st, struct timespec ret[static 2])
{
	const struct timespec epoch = {.tv_sec = e->spec->epoch};

	ret[0] = e->spec->has_epoch ? epoch : st->st_atim;
	ret[1] = e->spec->has_epoch ? epoch : st->st_mtim;
}

/* Mode, attributes, times, in this order: setting an attribute may clear nothing, but writing does.
 * Mechanism. */
static int finish(struct copying *e, int in, int out, const struct stat *st)
{
	struct timespec times[2];

	times_of(e, st, times);
	if (fchmod(out, allowed_mode(e, st->st_mode)) < 0)
		return -errno;
	int r = copy_xattrs(e, in, out);
	if (r < 0)
		return r;
	return futimens(out, times) < 0 ? -errno : 0;
}

static int compare_linked(const void *a, const void *b)
{
	const struct linked *x = a, *y = b;

	if (x->dev != y->dev)
		return x->dev < y->dev ? -1 : 1;
	return x->ino == y->ino ? 0 : x->ino < y->ino ? -1 : 1;
}

static void free_linked(void *p)
{
	free(((struct linked *)p)->path);
	free(p);
}

static void remember_link(struct copying *e, const struct stat *st)
{
	struct linked *l = rb_malloc(sizeof(*l));

	*l = (struct linked){.dev = st->st_dev, .ino = st->st_ino, .path = rb_strdup(e->path.ptr)};
	struct linked **slot = tsearch(l, &e->links, compare_linked);
	if (!slot)
		rb_bug("out of memory for hard links");
	if (*slot != l) { /* that one could not be linked to */
		free((*slot)->path);
		(*slot)->path = l->path;
		free(l);
	}
}

/* A further name of a file that was written before; false: write it as a file of its own. */
static bool link_again(struct copying *e, int dst, const char *name, const struct stat *st)
{
	const struct linked key = {.dev = st->st_dev, .ino = st->st_ino};
	struct linked *const *found =
		st->st_nlink > 1 ? tfind(&key, &e->links, compare_linked) : NULL;

	if (!found)
		return false;
	const char *path = (*found)->path, *base = rb_path_base(path);
	RB_CLEANUP(rb_strp)
	char *dir = base == path ? rb_strdup(".") : rb_strndup(path, (size_t)(base - path));
	/* By name again, so without links: the destination may have changed. */
	RB_CLEANUP(rb_closep)
	int parent = rb_sys_openat2(e->root, dir, O_PATH | O_DIRECTORY | O_CLOEXEC, 0,
				    RB_RESOLVE_BENEATH | RB_RESOLVE_NO_SYMLINKS);
	return parent >= 0 && clear_way(dst, name) == 0 && linkat(parent, base, dst, name, 0) == 0;
}

static int copy_file(struct copying *e, int src, int dst, const char *name, const struct stat *st,
		     struct rb_error **err)
{
	if (link_again(e, dst, name, st))
		return 0;
	RB_CLEANUP(rb_closep)
	int in = openat(src, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	RB_CLEANUP(rb_closep) int out = -1;

	if (in < 0)
		return fail_at(e, -errno, "read the source of", err);
	out = make_file(dst, name);
	if (out == -EISDIR)
		return rb_fail(err, RB_ERR_USAGE,
			       "cannot replace the directory %s/%s by a file: remove it, or name "
			       "another destination",
			       e->spec->dest, e->path.ptr);
	if (out < 0)
		return fail_at(e, rb_steal_fd(&out), "create", err);
	int r = rb_copy_data(in, out, (uint64_t)st->st_size);
	if (r == 0)
		r = finish(e, in, out, st);
	if (r < 0)
		return fail_at(e, r, "write", err);
	if (st->st_nlink > 1)
		remember_link(e, st);
	return 0;
}

static int copy_symlink(struct copying *e, int src, int dst, const char *name,
			const struct stat *st, struct rb_error **err)
{
	struct timespec times[2];
	char target[4096];

	times_of(e, st, times);
	ssize_t n = readlinkat(src, name, target, sizeof(target) - 1);

	if (n < 0)
		return fail_at(e, -errno, "read the source of", err);
	target[n] = '\0';
	int r = clear_way(dst, name);
	if (r == 0 && symlinkat(target, dst, name) < 0)
		r = -errno;
	if (r == 0 && utimensat(dst, name, times, AT_SYMLINK_NOFOLLOW) < 0)
		r = -errno;
	return r < 0 ? fail_at(e, r, "create the link", err) : 0;
}

static int copy_fifo(struct copying *e, int dst, const char *name, const struct stat *st,
		     struct rb_error **err)
{
	int r = clear_way(dst, name);
	struct timespec times[2];

	times_of(e, st, times);
	if (r == 0 && (mkfifoat(dst, name, st->st_mode & 0777) < 0 ||
		       utimensat(dst, name, times, AT_SYMLINK_NOFOLLOW) < 0))
		r = -errno;
	return r < 0 ? fail_at(e, r, "create the FIFO", err) : 0;
}

static int copy_tree(struct copying *e, int src, int dst, struct rb_error **err);

static int copy_dir(struct copying *e, int src, int dst, const char *name, const struct stat *st,
		    struct rb_error **err)
{
	RB_CLEANUP(rb_closep)
	int in = openat(src, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	RB_CLEANUP(rb_closep) int out = -1;

	if (in < 0)
		return fail_at(e, -errno, "read the source of", err);
	if (++e->depth > rb_layer_limits_default.depth)
		return rb_fail(err, RB_ERR_CORRUPT, "/%s is deeper than %u directories",
			       e->path.ptr, rb_layer_limits_default.depth);
	out = make_dir(dst, name);
	if (out < 0)
		return fail_at(e, rb_steal_fd(&out), "create", err);
	if (copy_tree(e, in, out, err) < 0)
		return -1;
	e->depth--;
	/* After its entries: they change its time and may need more rights than it ends with. */
	int r = finish(e, in, out, st);
	return r < 0 ? fail_at(e, r, "finish", err) : 0;
}

static int copy_entry(struct copying *e, int src, int dst, const char *name, struct rb_error **err)
{
	struct stat st;
	int r = rb_ledger_stat(e->ledger, src, name, e->path.ptr, &st);

	if (r < 0)
		return fail_at(e, r, "read the source of", err);
	switch (st.st_mode & S_IFMT) {
	case S_IFDIR:
		return copy_dir(e, src, dst, name, &st, err);
	case S_IFREG:
		return copy_file(e, src, dst, name, &st, err);
	case S_IFLNK:
		return copy_symlink(e, src, dst, name, &st, err);
	case S_IFIFO:
		return copy_fifo(e, dst, name, &st, err);
	case S_IFSOCK:
		e->sockets++;
		return 0;
	default:
		e->devices++;
		return 0;
	}
}

/* The entries of one directory. */
static int copy_tree(struct copying *e, int src, int dst, struct rb_error **err)
{
	int fd = openat(src, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), r = 0;
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	size_t len = e->path.len;

	if (!d) {
		int saved = errno;

		rb_closep(&fd);
		return fail_at(e, -saved, "read the source of", err);
	}
	for (struct dirent *entry; r == 0 && (errno = 0, entry = readdir(d));) {
		if (rb_streq(entry->d_name, ".") || rb_streq(entry->d_name, ".."))
			continue;
		rb_buf_addf(&e->path, "%s%s", len ? "/" : "", entry->d_name);
		r = copy_entry(e, src, dst, entry->d_name, err);
		rb_buf_truncate(&e->path, len);
	}
	if (r == 0 && errno)
		r = fail_at(e, -errno, "read the source of", err);
	closedir(d);
	return r;
}

static void report(const struct copying *e, struct rb_strv *notices)
{
	if (e->special || e->capabilities)
		rb_strv_addf(notices,
			     "%s: setuid or setgid bits of %u entries and capabilities of %u files "
			     "were dropped, because they would run as you for other users of this "
			     "machine (keep-special=true keeps them)",
			     e->spec->dest, e->special, e->capabilities);
	if (e->devices || e->sockets || e->acls)
		rb_strv_addf(notices,
			     "%s: %u devices, %u sockets and %u access control lists were left out",
			     e->spec->dest, e->devices, e->sockets, e->acls);
}

int rb_output_tree(int src, const struct rb_ledger *ledger, const struct rb_output_spec *spec,
		   struct rb_strv *notices, struct rb_error **err)
{
	struct copying e = {.ledger = ledger, .spec = spec, .path = RB_BUF_INIT};
	int r = rb_mkdirs_at(AT_FDCWD, spec->dest, 0777);

	if (r < 0)
		return rb_fail_sys(err, r, "cannot make the directory %s", spec->dest);
	RB_CLEANUP(rb_closep) int dst = open(spec->dest, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dst < 0)
		return rb_fail_errno(err, "cannot open the directory %s", spec->dest);
	e.root = dst;
	r = copy_tree(&e, src, dst, err);
	rb_buf_clear(&e.path);
	tdestroy(e.links, free_linked);
	if (r == 0)
		report(&e, notices);
	return r;
}

int rb_output_local(struct rb_snapshotter *snapshots, const char *top,
		    const struct rb_output_spec *spec, struct rb_strv *notices,
		    struct rb_error **err)
{
	RB_CLEANUP(rb_closep) int src = rb_snapshot_view(snapshots, top, err);
	RB_CLEANUP(rb_ledger_freep) struct rb_ledger *ledger = NULL;

	if (src < 0 || rb_snapshot_view_ledger(snapshots, top, &ledger, err) < 0)
		return -1;
	return rb_output_tree(src, ledger, spec, notices, err);
}
