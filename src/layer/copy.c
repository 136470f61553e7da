// SPDX-License-Identifier: Apache-2.0
#include "layer/copy.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uthash.h>

#include "base/fd.h"
#include "base/path.h"
#include "layer/layer-internal.h"

/* Two descriptors a level; 1024 is what a process may have everywhere. */
enum { COPY_DEPTH_MAX = 400 };

struct inode_key {
	dev_t dev;
	ino_t ino;
};

/* Where a source file with several names was copied to first. */
struct first_copy {
	struct inode_key key;
	char *path; /* real path in the destination */
	UT_hash_handle hh;
};

struct copier {
	const struct rb_copy_spec *spec;
	struct rb_buf src, dst; /* real paths of the entry in both roots */
	struct first_copy *copies;
};

/* A directory being copied; its destination is made when something needs it. */
struct level {
	struct level *up;
	const char *name;
	struct stat st; /* of the source, as its image sees it */
	int src_fd;
	int dst_fd;     /* -1: not made yet */
	size_t dst_len; /* of copier.dst, for its own path */
	unsigned depth;
};

static void copier_clear(struct copier *c)
{
	struct first_copy *f, *tmp;

	HASH_ITER (hh, c->copies, f, tmp) {
		HASH_DEL(c->copies, f);
		free(f->path);
		free(f);
	}
	rb_buf_clear(&c->src);
	rb_buf_clear(&c->dst);
}

static void level_clear(struct level *l)
{
	rb_closep(&l->src_fd);
	rb_closep(&l->dst_fd);
}

/* A source that cannot be read is the context's fault, unless it is a stage's. */
static int src_fail(const struct copier *c, int neg, const char *what, struct rb_error **err)
{
	if (c->spec->src_ledger)
		return rb_fail_sys(err, neg, "cannot %s /%s", what, c->src.ptr);
	return rb_fail(err, RB_ERR_CONTEXT, "cannot %s %s of the build context: %s%s", what,
		       c->src.ptr, strerrordesc_np(-neg),
		       neg == -EACCES ? " (exclude it in .dockerignore, or make it readable)" : "");
}

static int dst_fail(const struct copier *c, int neg, const char *what, struct rb_error **err)
{
	return rb_fail_sys(err, neg, "cannot %s /%s", what, c->dst.ptr);
}

static int not_a_directory(const char *path, size_t len, struct rb_error **err)
{
	return rb_fail(err, RB_ERR_CONTEXT, "cannot copy to non-directory: /%.*s", (int)len, path);
}

/* --- metadata */

static int src_stat(const struct copier *c, int dirfd, const char *name, struct stat *ret)
{
	int flags = AT_SYMLINK_NOFOLLOW | (*name ? 0 : AT_EMPTY_PATH);

	if (c->spec->src_ledger)
		return rb_ledger_stat(c->spec->src_ledger, dirfd, name, c->src.ptr, ret);
	if (fstatat(dirfd, name, ret, flags) < 0)
		return -errno;
	/* Files of a local context belong to root (rule 9). */
	ret->st_uid = ret->st_gid = 0;
	return 0;
}

static uint32_t uid_for(const struct rb_copy_spec *spec, uint32_t uid)
{
	return spec->chown_uid >= 0 ? (uint32_t)spec->chown_uid : uid;
}

static uint32_t gid_for(const struct rb_copy_spec *spec, uint32_t gid)
{
	return spec->chown_gid >= 0 ? (uint32_t)spec->chown_gid : gid;
}

static int copy_xattrs(struct copier *c, int src_fd, const char *src_name, int fd, const char *name)
{
	struct rb_xattr *v;
	ssize_t n = rb_xattrs_read(src_fd, src_name, &v);

	if (n <= 0)
		return (int)n;
	int r = rb_layer_set_xattrs(fd, name, v, (size_t)n, c->dst.ptr);
	rb_xattrs_free(v, (size_t)n);
	return r;
}

/* The same order, for the same reasons, as in apply.c. */
static int set_metadata(struct copier *c, int src_fd, const char *src_name, const struct stat *st,
			int fd, const char *name, struct rb_error **err)
{
	const struct timespec times[2] = {st->st_atim, st->st_mtim};
	mode_t mode = c->spec->chmod >= 0 ? (mode_t)c->spec->chmod : st->st_mode & 07777;
	int r = rb_ledger_chown(c->spec->dst_ledger, fd, name, c->dst.ptr,
				uid_for(c->spec, st->st_uid), gid_for(c->spec, st->st_gid));

	if (r < 0)
		return dst_fail(c, r, "set the owner of", err);
	if (!S_ISLNK(st->st_mode)) {
		if ((r = copy_xattrs(c, src_fd, src_name, fd, name)) < 0)
			return dst_fail(c, r, "set the attributes of", err);
		if ((*name ? fchmodat(fd, name, mode, 0) : fchmod(fd, mode)) < 0)
			return dst_fail(c, -errno, "set the mode of", err);
	}
	if ((*name ? utimensat(fd, name, times, AT_SYMLINK_NOFOLLOW) : futimens(fd, times)) < 0)
		return dst_fail(c, -errno, "set the times of", err);
	return 0;
}

/* --- what is no directory */

/* Makes room for a new entry (rule 6): files and links go, a directory stays and is an error. */
static int make_room(struct copier *c, int dst_fd, const char *name, struct rb_error **err)
{
	if (unlinkat(dst_fd, name, 0) == 0 || errno == ENOENT)
		return 0;
	struct stat st;
	int saved = errno;
	if (fstatat(dst_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode))
		return rb_fail(err, RB_ERR_CONTEXT, "cannot replace to directory /%s with file",
			       c->dst.ptr);
	return dst_fail(c, -saved, "replace", err);
}

static int create_file(int dst_fd, const char *name)
{
	int fd = openat(dst_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);

	return fd < 0 ? -errno : fd;
}

static int copy_regular(struct copier *c, int src_fd, const char *src_name, const struct stat *st,
			int dst_fd, const char *name, struct rb_error **err)
{
	/* Not to hang on a FIFO that has taken the file's place since. */
	RB_CLEANUP(rb_closep)
	int in =
		openat(src_fd, src_name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	struct stat now;

	if (in < 0)
		return src_fail(c, -errno, "read", err);
	if (fstat(in, &now) < 0)
		return src_fail(c, -errno, "stat", err);
	if (now.st_dev != st->st_dev || now.st_ino != st->st_ino)
		return rb_fail(err, RB_ERR_CONTEXT, "%s changed while it was copied", c->src.ptr);
	RB_CLEANUP(rb_closep) int out = create_file(dst_fd, name);
	if (out < 0)
		return dst_fail(c, out, "create", err);
	int r = rb_copy_data(in, out, (uint64_t)now.st_size);
	if (r == -EIO)
		return src_fail(c, r, "read all of", err);
	if (r < 0)
		return dst_fail(c, r, "write", err);
	return set_metadata(c, in, "", st, out, "", err);
}

static int make_symlink(struct copier *c, int src_fd, const char *src_name, int dst_fd,
			const char *name, struct rb_error **err)
{
	char target[PATH_MAX];
	ssize_t n = readlinkat(src_fd, src_name, target, sizeof(target) - 1);

	if (n < 0)
		return src_fail(c, -errno, "read the link", err);
	target[n] = '\0';
	return symlinkat(target, dst_fd, name) < 0 ? dst_fail(c, -errno, "create", err) : 0;
}

/* Everything whose content is in the inode. Sockets cannot be copied and become empty files. */
static int make_special(struct copier *c, const struct stat *st, int dst_fd, const char *name,
			struct rb_error **err)
{
	int r = 0;

	if (S_ISFIFO(st->st_mode)) {
		r = mkfifoat(dst_fd, name, 0600) < 0 ? -errno : 0;
	} else if (S_ISSOCK(st->st_mode)) {
		RB_CLEANUP(rb_closep) int fd = create_file(dst_fd, name);

		r = fd < 0 ? rb_steal_fd(&fd) : 0;
	} else {
		r = rb_ledger_mknod(c->spec->dst_ledger, dst_fd, name, c->dst.ptr, st->st_mode,
				    st->st_rdev);
	}
	return r < 0 ? dst_fail(c, r, "create", err) : 0;
}

/*
 * Links to the first copy of the same file; *done says whether. Too many links, or another file
 * system below, end in a copy of its own.
 */
static int try_link(struct copier *c, const struct stat *st, int dst_fd, const char *name,
		    bool *done, struct rb_error **err)
{
	struct inode_key key;
	struct first_copy *f = NULL;
	const char *first_name;

	*done = false;
	if (st->st_nlink < 2)
		return 0;
	memset(&key, 0, sizeof(key)); /* it is hashed with its padding */
	key.dev = st->st_dev;
	key.ino = st->st_ino;
	HASH_FIND(hh, c->copies, &key, sizeof(key), f);
	if (!f) {
		f = rb_calloc(1, sizeof(*f));
		f->key = key;
		f->path = rb_strdup(c->dst.ptr);
		HASH_ADD(hh, c->copies, key, sizeof(key), f);
		return 0;
	}
	RB_CLEANUP(rb_closep)
	int dir = rb_layer_open_parent(c->spec->dst_root_fd, f->path, &first_name);
	if (dir < 0)
		return dst_fail(c, dir, "find the first link of", err);
	*done = linkat(dir, first_name, dst_fd, name, 0) == 0;
	if (!*done && errno != EMLINK && errno != EXDEV && errno != EPERM)
		return dst_fail(c, -errno, "link", err);
	return 0;
}

static int copy_file(struct copier *c, int src_fd, const char *src_name, const struct stat *st,
		     int dst_fd, const char *name, struct rb_error **err)
{
	bool linked;
	int r = make_room(c, dst_fd, name, err);

	if (r < 0 || (r = try_link(c, st, dst_fd, name, &linked, err)) < 0 || linked)
		return r;
	if (S_ISREG(st->st_mode))
		return copy_regular(c, src_fd, src_name, st, dst_fd, name, err);
	if (S_ISLNK(st->st_mode))
		r = make_symlink(c, src_fd, src_name, dst_fd, name, err);
	else
		r = make_special(c, st, dst_fd, name, err);
	return r < 0 ? -1 : set_metadata(c, src_fd, src_name, st, dst_fd, name, err);
}

/* --- directories */

/* The destination of a level and of those above it; `c->dst` may name something further down. */
static int make_level(struct copier *c, struct level *l, struct rb_error **err)
{
	if (l->dst_fd >= 0)
		return 0;
	if (make_level(c, l->up, err) < 0)
		return -1;
	if (mkdirat(l->up->dst_fd, l->name, 0700) < 0 && errno != EEXIST)
		return dst_fail(c, -errno, "create", err);
	/* Below DEST links are not followed (rule 7). */
	l->dst_fd = openat(l->up->dst_fd, l->name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (l->dst_fd < 0 && (errno == ENOTDIR || errno == ELOOP))
		return not_a_directory(c->dst.ptr, l->dst_len, err);
	return l->dst_fd < 0 ? dst_fail(c, -errno, "open", err) : 0;
}

static int copy_children(struct copier *c, struct level *l, struct rb_error **err);

static int copy_subdir(struct copier *c, struct level *up, const char *name, const struct stat *st,
		       bool take, struct rb_error **err)
{
	RB_CLEANUP(level_clear)
	struct level l = {.up = up,
			  .name = name,
			  .st = *st,
			  .src_fd = -1,
			  .dst_fd = -1,
			  .dst_len = c->dst.len,
			  .depth = up->depth + 1};

	if (l.depth > COPY_DEPTH_MAX)
		return rb_fail(err, RB_ERR_CONTEXT, "%.80s...: deeper than %d directories",
			       c->src.ptr, COPY_DEPTH_MAX);
	l.src_fd = openat(up->src_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (l.src_fd < 0)
		return src_fail(c, -errno, "read", err);
	if ((take && make_level(c, &l, err) < 0) || copy_children(c, &l, err) < 0)
		return -1;
	if (l.dst_fd < 0)
		return 0; /* nothing below it was wanted */
	return set_metadata(c, l.src_fd, "", st, l.dst_fd, "", err);
}

static int copy_child(struct copier *c, struct level *l, const char *name, struct rb_error **err)
{
	const struct rb_copy_spec *spec = c->spec;
	struct stat st;
	int r = src_stat(c, l->src_fd, name, &st);

	if (r < 0)
		return src_fail(c, r, "stat", err);
	int skip = spec->skip ? spec->skip(spec->skip_ctx, c->src.ptr, S_ISDIR(st.st_mode))
			      : RB_COPY_TAKE;
	if (skip == RB_COPY_SKIP)
		return 0;
	if (S_ISDIR(st.st_mode))
		return copy_subdir(c, l, name, &st, skip == RB_COPY_TAKE, err);
	if (make_level(c, l, err) < 0)
		return -1;
	return copy_file(c, l->src_fd, name, &st, l->dst_fd, name, err);
}

static int copy_children(struct copier *c, struct level *l, struct rb_error **err)
{
	struct rb_strv names = RB_STRV_INIT;
	int r = rb_layer_list(l->src_fd, &names);

	if (r < 0)
		r = src_fail(c, r, "list", err);
	for (size_t i = 0; i < names.n && r == 0; i++) {
		size_t src = rb_layer_push(&c->src, names.v[i]);
		size_t dst = rb_layer_push(&c->dst, names.v[i]);

		r = copy_child(c, l, names.v[i], err);
		rb_buf_truncate(&c->src, src);
		rb_buf_truncate(&c->dst, dst);
	}
	rb_strv_clear(&names);
	return r;
}

/* --- the destination (rules 4 to 6) */

/* Opens a directory by its real path, made with its parents when missing: O_PATH. */
static int open_dest_dir(const struct rb_copy_spec *spec, const char *real, struct rb_error **err)
{
	const struct rb_layer_made made = {spec->dst_ledger,
					   spec->chmod >= 0 ? (mode_t)spec->chmod : 0755,
					   uid_for(spec, 0), gid_for(spec, 0)};
	int fd = rb_layer_mkdirs(spec->dst_root_fd, real, &made);

	if (fd == -ENOTDIR || fd == -ELOOP)
		return not_a_directory(real, strlen(real), err);
	return fd < 0 ? rb_fail_sys(err, fd, "cannot make the directory /%s", real) : fd;
}

static bool is_dir(int rootfd, const char *real)
{
	RB_CLEANUP(rb_closep) int fd = rb_layer_open(rootfd, real, O_PATH | O_DIRECTORY);

	return fd >= 0;
}

static int resolve_dest(struct copier *c, struct rb_error **err)
{
	int r = rb_layer_resolve(c->spec->dst_root_fd, c->spec->dest, &c->dst);

	if (r == -ENOTDIR)
		return rb_fail(err, RB_ERR_CONTEXT, "cannot copy to non-directory: /%s",
			       c->dst.ptr);
	return r < 0 ? rb_fail_sys(err, r, "cannot resolve the destination %s", c->spec->dest) : 0;
}

/* Where a file goes: c->dst becomes its path; returns the directory and *ret_name in c->dst. */
static int open_file_dest(struct copier *c, const char **ret_name, struct rb_error **err)
{
	const struct rb_copy_spec *spec = c->spec;

	if (resolve_dest(c, err) < 0)
		return -1;
	if (spec->dest_is_dir || is_dir(spec->dst_root_fd, c->dst.ptr))
		rb_layer_push(&c->dst, spec->name);
	const char *base = rb_path_base(c->dst.ptr);
	RB_CLEANUP(rb_strp)
	char *dir = rb_strndup(c->dst.ptr, base > c->dst.ptr ? (size_t)(base - c->dst.ptr) - 1 : 0);
	*ret_name = base;
	return open_dest_dir(spec, dir, err);
}

static int copy_one_file(struct copier *c, int src_fd, const char *src_name, const struct stat *st,
			 struct rb_error **err)
{
	const char *name;
	RB_CLEANUP(rb_closep) int dir = open_file_dest(c, &name, err);

	if (dir < 0)
		return -1;
	return copy_file(c, src_fd, src_name, st, dir, name, err);
}

/* Rule 5: the contents; DEST itself takes nothing of S but its times. */
static int copy_top_dir(struct copier *c, int src_fd, const struct stat *st, struct rb_error **err)
{
	const struct timespec times[2] = {st->st_atim, st->st_mtim};

	if (resolve_dest(c, err) < 0)
		return -1;
	RB_CLEANUP(level_clear)
	struct level l = {.name = "", .st = *st, .src_fd = -1, .dst_fd = -1, .dst_len = c->dst.len};
	l.src_fd = openat(src_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (l.src_fd < 0)
		return src_fail(c, -errno, "read", err);
	RB_CLEANUP(rb_closep) int dst = open_dest_dir(c->spec, c->dst.ptr, err);
	if (dst < 0)
		return -1;
	l.dst_fd = openat(dst, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (l.dst_fd < 0)
		return dst_fail(c, -errno, "open", err);
	if (copy_children(c, &l, err) < 0)
		return -1;
	return futimens(l.dst_fd, times) < 0 ? dst_fail(c, -errno, "set the times of", err) : 0;
}

int rb_copy(const struct rb_copy_spec *spec, struct rb_error **err)
{
	RB_CLEANUP(copier_clear)
	struct copier c = {.spec = spec, .src = RB_BUF_INIT, .dst = RB_BUF_INIT};
	const char *name;
	struct stat st;
	int r = rb_layer_resolve(spec->src_root_fd, spec->src, &c.src);

	if (r < 0)
		return src_fail(&c, r, "resolve", err);
	RB_CLEANUP(rb_closep) int dir = rb_layer_open_parent(spec->src_root_fd, c.src.ptr, &name);
	r = dir < 0 ? dir : src_stat(&c, dir, name, &st);
	if (r == -ENOENT)
		return rb_fail(err, RB_ERR_NOTFOUND, "\"/%s\": not found", c.src.ptr);
	if (r < 0)
		return src_fail(&c, r, "stat", err);
	if (!S_ISDIR(st.st_mode))
		return copy_one_file(&c, dir, name, &st, err);
	RB_CLEANUP(rb_closep)
	int src = *name ? openat(dir, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
			: fcntl(dir, F_DUPFD_CLOEXEC, 0);
	if (src < 0)
		return src_fail(&c, -errno, "open", err);
	return copy_top_dir(&c, src, &st, err);
}

int rb_copy_inline(const struct rb_copy_spec *spec, const void *data, size_t len,
		   struct rb_error **err)
{
	RB_CLEANUP(copier_clear)
	struct copier c = {.spec = spec, .src = RB_BUF_INIT, .dst = RB_BUF_INIT};
	const char *name;
	RB_CLEANUP(rb_closep) int dir = open_file_dest(&c, &name, err);

	if (dir < 0 || make_room(&c, dir, name, err) < 0)
		return -1;
	RB_CLEANUP(rb_closep) int fd = create_file(dir, name);
	int r = fd < 0 ? fd : rb_write_full(fd, data, len);
	if (r == 0)
		r = rb_ledger_chown(spec->dst_ledger, fd, "", c.dst.ptr, uid_for(spec, 0),
				    gid_for(spec, 0));
	if (r == 0 && fchmod(fd, spec->chmod >= 0 ? (mode_t)spec->chmod : 0644) < 0)
		r = -errno;
	return r < 0 ? dst_fail(&c, r, "write", err) : 0;
}
