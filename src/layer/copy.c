// SPDX-License-Identifier: Apache-2.0
/*
 * COPY's rules 3 to 9 (dockerfile.md 3.9). Only DEST itself and its parents are resolved through
 * links; below it every step is one component relative to an open directory, never followed.
 */
#include "layer/copy.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uthash.h>

#include "base/fd.h"
#include "layer/acl.h"
#include "layer/layer-internal.h"

/* Each level holds two descriptors; the usual limit of a process is 1024. */
enum { DEPTH_MAX = 400 };

/* A source file with several names, by what makes it one. */
struct inode {
	uint64_t dev, ino;
};

struct linked {
	struct inode inode; /* key */
	char *path;         /* where it was copied first: a real path of the destination */
	UT_hash_handle hh;
};

struct copier {
	const struct rb_copy_spec *spec;
	struct rb_buf src, dst; /* real paths of what is being copied */
	struct linked *linked;
};

/* A source directory that is being copied. */
struct dir {
	struct dir *parent; /* NULL: dst_fd is open from the start */
	int src_fd;
	int dst_fd;     /* -1 until something in it is copied */
	size_t dst_len; /* of its path, with which every path below begins */
	unsigned depth;
};

/* One entry: where it is and where it goes. Its paths are the copier's. */
struct entry {
	int src_dir;
	const char *src_name;
	int dst_dir;
	const char *dst_name;
	struct stat st; /* of the source, as its image sees it */
};

static void copier_clear(struct copier *c)
{
	struct linked *l, *tmp;

	HASH_ITER (hh, c->linked, l, tmp) {
		HASH_DEL(c->linked, l);
		free(l->path);
		free(l);
	}
	rb_buf_clear(&c->src);
	rb_buf_clear(&c->dst);
}

static void dir_close(struct dir *d)
{
	rb_closep(&d->src_fd);
	rb_closep(&d->dst_fd);
}

/* --- errors */

static int fail_source(const struct copier *c, int neg, struct rb_error **err)
{
	const char *where = c->spec->src_ledger ? "" : " in the build context", *advice = "";

	if (neg == -ENOENT)
		return rb_fail(err, RB_ERR_NOTFOUND, "\"/%s\": not found", c->src.ptr);
	if ((neg == -EACCES || neg == -EPERM) && !c->spec->src_ledger)
		advice = "; make it readable (chmod) or list it in .dockerignore";
	return rb_error_push(err, RB_ERR_CONTEXT, -neg, RB_HERE, "cannot read \"%s\"%s: %s%s",
			     c->src.ptr, where, strerrordesc_np(-neg), advice);
}

static int fail_dest(const struct copier *c, int neg, const char *what, struct rb_error **err)
{
	return rb_fail_sys(err, neg, "cannot %s /%s in the image%s", what, c->dst.ptr,
			   rb_space_hint(neg));
}

static int fail_non_dir(const char *path, struct rb_error **err)
{
	return rb_fail(err, RB_ERR_DOCKERFILE, "cannot copy to non-directory: /%s", path);
}

/* --- metadata */

static uint32_t owner_id(int64_t wanted, uint32_t source, const struct rb_copy_spec *spec)
{
	return wanted >= 0 ? (uint32_t)wanted : spec->src_ledger ? source : 0;
}

static mode_t mode_of(const struct rb_copy_spec *spec, mode_t mode, bool is_dir)
{
	return spec->chmod ? rb_mode_apply(spec->chmod, mode, is_dir) : mode & 07777;
}

static struct rb_layer_made made_dirs(const struct rb_copy_spec *spec)
{
	return (struct rb_layer_made){
		.ledger = spec->dst_ledger,
		/* A change says nothing about what has no mode yet (rule 4). */
		.mode = spec->chmod && spec->chmod->octal ? mode_of(spec, 0, true) : 0755,
		.uid = owner_id(spec->chown_uid, 0, spec),
		.gid = owner_id(spec->chown_gid, 0, spec),
	};
}

static int copy_xattrs(const struct copier *c, const struct entry *e)
{
	struct rb_xattr *v = NULL;
	ssize_t n = rb_xattrs_read(e->src_dir, e->src_name, &v);

	if (n < 0)
		return (int)n;
	int r = rb_layer_set_xattrs(e->dst_dir, e->dst_name, v, (size_t)n, c->dst.ptr);
	rb_xattrs_free(v, (size_t)n);
	return r;
}

static int set_times(int dirfd, const char *name, const struct stat *st)
{
	const struct timespec times[] = {st->st_atim, st->st_mtim};

	/* "." for the directory itself: AT_EMPTY_PATH is newer (Linux 5.8), and futimens() refuses
	 * O_PATH. */
	return utimensat(dirfd, *name ? name : ".", times, AT_SYMLINK_NOFOLLOW) < 0 ? -errno : 0;
}

static int set_mode(int dirfd, const char *name, mode_t mode)
{
	int r = *name ? fchmodat(dirfd, name, mode, 0) : fchmod(dirfd, mode);

	return r < 0 ? -errno : 0;
}

static int set_owner(const struct copier *c, const struct entry *e)
{
	return rb_ledger_chown(c->spec->dst_ledger, e->dst_dir, e->dst_name, c->dst.ptr,
			       owner_id(c->spec->chown_uid, e->st.st_uid, c->spec),
			       owner_id(c->spec->chown_gid, e->st.st_gid, c->spec));
}

/*
 * The owner first, since chown takes capabilities and set-id bits away; the mode last: until then
 * it is one that lets a plain user set attributes, and an ACL cannot change it any more. What has
 * an empty name is a directory itself.
 */
static int copy_metadata(const struct copier *c, const struct entry *e, struct rb_error **err)
{
	int r = set_owner(c, e);

	if (r < 0)
		return fail_dest(c, r, "set the owner of", err);
	r = copy_xattrs(c, e);
	if (r < 0)
		return fail_dest(c, r, "copy the extended attributes of", err);
	r = set_times(e->dst_dir, e->dst_name, &e->st);
	if (r < 0)
		return fail_dest(c, r, "set the times of", err);
	if (S_ISLNK(e->st.st_mode))
		return 0;
	r = set_mode(e->dst_dir, e->dst_name,
		     mode_of(c->spec, e->st.st_mode, S_ISDIR(e->st.st_mode)));
	return r < 0 ? fail_dest(c, r, "set the mode of", err) : 0;
}

/* --- everything but directories */

/* An empty file that is not there yet, with a mode that tells nobody what will be in it. */
static int create_file(const struct copier *c, int dirfd, const char *name, struct rb_error **err)
{
	RB_CLEANUP(rb_closep)
	int fd = openat(dirfd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	int r = fd < 0 ? -errno : rb_acl_inherit(dirfd, fd, "", 0600);

	return r < 0 ? fail_dest(c, r, "make the file", err) : rb_steal_fd(&fd);
}

static int make_regular(struct copier *c, struct entry *e, struct rb_error **err)
{
	RB_CLEANUP(rb_closep)
	int in = openat(e->src_dir, e->src_name,
			O_RDONLY | O_NONBLOCK | O_NOCTTY | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;

	if (in < 0 || fstat(in, &st) < 0)
		return fail_source(c, -errno, err);
	if (!S_ISREG(st.st_mode))
		return rb_fail(err, RB_ERR_CONTEXT,
			       "\"%s\" was replaced while it was read; try again", c->src.ptr);
	/* A file of a context may be another one than a moment ago. */
	if (!c->spec->src_ledger)
		e->st = st;
	RB_CLEANUP(rb_closep) int out = create_file(c, e->dst_dir, e->dst_name, err);
	if (out < 0)
		return -1;
	int r = rb_copy_data(in, out, (uint64_t)st.st_size);
	if (r == -ENODATA)
		return rb_fail(err, RB_ERR_CONTEXT,
			       "\"%s\" became shorter while it was read; try again", c->src.ptr);
	if (r < 0)
		return rb_fail_sys(err, r, "cannot copy \"%s\" to /%s in the image%s", c->src.ptr,
				   c->dst.ptr, rb_space_hint(r));
	return 0;
}

static int make_symlink(struct copier *c, struct entry *e, struct rb_error **err)
{
	char target[PATH_MAX];
	ssize_t n = readlinkat(e->src_dir, e->src_name, target, sizeof(target) - 1);

	if (n < 0)
		return fail_source(c, -errno, err);
	target[n] = '\0';
	if (symlinkat(target, e->dst_dir, e->dst_name) < 0)
		return fail_dest(c, -errno, "make the link", err);
	return 0;
}

static int make_fifo(struct copier *c, struct entry *e, struct rb_error **err)
{
	if (mkfifoat(e->dst_dir, e->dst_name, 0600) < 0)
		return fail_dest(c, -errno, "make the FIFO", err);
	return 0;
}

static int make_device(struct copier *c, struct entry *e, struct rb_error **err)
{
	int r = rb_ledger_mknod(c->spec->dst_ledger, e->dst_dir, e->dst_name, c->dst.ptr,
				(e->st.st_mode & S_IFMT) | 0600, e->st.st_rdev);

	if (r == 0)
		r = rb_acl_inherit(e->dst_dir, e->dst_dir, e->dst_name, 0600);
	return r < 0 ? fail_dest(c, r, "make the device", err) : 0;
}

/* What listens at a socket does not come along. */
static int make_empty(struct copier *c, struct entry *e, struct rb_error **err)
{
	RB_CLEANUP(rb_closep) int fd = create_file(c, e->dst_dir, e->dst_name, err);

	return fd < 0 ? -1 : 0;
}

static const struct {
	mode_t type;
	int (*make)(struct copier *c, struct entry *e, struct rb_error **err);
} makers[] = {
	{S_IFREG, make_regular}, {S_IFLNK, make_symlink}, {S_IFIFO, make_fifo},
	{S_IFCHR, make_device},  {S_IFBLK, make_device},  {S_IFSOCK, make_empty},
};

static int make_entry(struct copier *c, struct entry *e, struct rb_error **err)
{
	for (size_t i = 0; i < RB_ARRAY_LEN(makers); i++)
		if (makers[i].type == (e->st.st_mode & S_IFMT))
			return makers[i].make(c, e, err);
	return rb_fail(err, RB_ERR_UNSUPPORTED, "\"%s\" is of a kind that cannot be copied",
		       c->src.ptr);
}

/* Rule 6: what is in a file's place goes away, unless it is a directory. */
static int make_room(const struct copier *c, int dirfd, const char *name, struct rb_error **err)
{
	struct stat st;

	if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : fail_dest(c, -errno, "look at", err);
	if (S_ISDIR(st.st_mode))
		return rb_fail(err, RB_ERR_DOCKERFILE, "cannot replace to directory /%s with file",
			       c->dst.ptr);
	return unlinkat(dirfd, name, 0) < 0 ? fail_dest(c, -errno, "replace", err) : 0;
}

static struct linked *find_linked(const struct copier *c, const struct stat *st)
{
	const struct inode inode = {st->st_dev, st->st_ino};
	struct linked *l = NULL;

	if (st->st_nlink > 1)
		HASH_FIND(hh, c->linked, &inode, sizeof(inode), l);
	return l;
}

static void remember_linked(struct copier *c, const struct stat *st)
{
	if (st->st_nlink < 2 || find_linked(c, st))
		return;
	struct linked *l = rb_calloc(1, sizeof(*l));
	l->inode = (struct inode){st->st_dev, st->st_ino};
	l->path = rb_strdup(c->dst.ptr);
	HASH_ADD(hh, c->linked, inode, sizeof(l->inode), l);
}

/* 1 when the entry now is another name of what was copied before, 0 when it has to be copied. */
static int link_entry(const struct copier *c, const struct entry *e, struct rb_error **err)
{
	const struct linked *l = find_linked(c, &e->st);
	const char *name;

	if (!l)
		return 0;
	RB_CLEANUP(rb_closep)
	int dir = rb_layer_open_parent(c->spec->dst_root_fd, l->path, &name);
	if (dir < 0)
		return fail_dest(c, dir, "make the hard link", err);
	if (linkat(dir, name, e->dst_dir, e->dst_name, 0) < 0)
		/* A file system with a lower limit than that of the source. */
		return errno == EMLINK ? 0 : fail_dest(c, -errno, "make the hard link", err);
	/* The ledger knows symlinks and FIFOs by path, so each name has its owner. */
	int r = S_ISREG(e->st.st_mode) ? 0 : set_owner(c, e);
	return r < 0 ? fail_dest(c, r, "set the owner of", err) : 1;
}

static int copy_file(struct copier *c, struct entry *e, struct rb_error **err)
{
	if (make_room(c, e->dst_dir, e->dst_name, err) < 0)
		return -1;
	int r = link_entry(c, e, err);
	if (r != 0)
		return r < 0 ? -1 : 0;
	if (make_entry(c, e, err) < 0)
		return -1;
	/* Making it has looked at the inode again. */
	if (c->spec->as) {
		e->st.st_mode = (e->st.st_mode & S_IFMT) | c->spec->as->mode;
		e->st.st_mtim = c->spec->as->mtime;
	}
	if (copy_metadata(c, e, err) < 0)
		return -1;
	remember_linked(c, &e->st);
	return 0;
}

/* --- directories */

/*
 * An existing directory gets all of the source's metadata (rule 7): old attributes go first, so
 * that an ACL for new entries does not reach what is copied into it, and a plain user needs its
 * bits for that.
 */
static int reuse_dir(int fd)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	if ((st.st_mode & 0700) != 0700 && fchmod(fd, (st.st_mode & 07777) | 0700) < 0)
		return -errno;
	return rb_layer_clear_xattrs(fd, "");
}

static int enter_dir(int parent, const char *name)
{
	bool exists = mkdirat(parent, name, 0700) < 0;

	if (exists && errno != EEXIST)
		return -errno;
	RB_CLEANUP(rb_closep)
	int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno; /* ENOTDIR also for a link */
	int r = exists ? reuse_dir(fd) : rb_acl_inherit(parent, fd, "", 0700);
	return r < 0 ? r : rb_steal_fd(&fd);
}

/* Makes the destination directory, and those it is in, when they were put off. */
static int need_dir(struct copier *c, struct dir *d, struct rb_error **err)
{
	if (d->dst_fd >= 0)
		return 0;
	if (need_dir(c, d->parent, err) < 0)
		return -1;
	RB_CLEANUP(rb_strp) char *path = rb_strndup(c->dst.ptr, d->dst_len);
	const char *slash = strrchr(path, '/');
	d->dst_fd = enter_dir(d->parent->dst_fd, slash ? slash + 1 : path);
	if (d->dst_fd == -ENOTDIR)
		return fail_non_dir(path, err);
	if (d->dst_fd < 0)
		return rb_fail_sys(err, d->dst_fd, "cannot make the directory /%s in the image",
				   path);
	return 0;
}

static int stat_source(const struct copier *c, int dirfd, const char *name, struct stat *ret)
{
	if (c->spec->src_ledger)
		return rb_ledger_stat(c->spec->src_ledger, dirfd, name, c->src.ptr, ret);
	return fstatat(dirfd, name, ret, AT_SYMLINK_NOFOLLOW) < 0 ? -errno : 0;
}

static int ask_skip(const struct copier *c, bool is_dir)
{
	int r = c->spec->skip ? c->spec->skip(c->spec->skip_ctx, c->src.ptr, is_dir) : RB_COPY_TAKE;

	return r == RB_COPY_DESCEND && !is_dir ? RB_COPY_SKIP : r;
}

static int copy_dir(struct copier *c, struct dir *parent, const struct entry *e, bool put_off,
		    struct rb_error **err);

static int copy_child(struct copier *c, struct dir *d, const char *name, struct rb_error **err)
{
	struct entry e = {.src_dir = d->src_fd, .src_name = name, .dst_name = name};
	int r = stat_source(c, d->src_fd, name, &e.st);

	if (r < 0)
		return fail_source(c, r, err);
	bool is_dir = S_ISDIR(e.st.st_mode);
	int skip = ask_skip(c, is_dir);
	if (skip == RB_COPY_SKIP)
		return 0;
	if (is_dir)
		return copy_dir(c, d, &e, skip == RB_COPY_DESCEND, err);
	if (need_dir(c, d, err) < 0)
		return -1;
	e.dst_dir = d->dst_fd;
	return copy_file(c, &e, err);
}

static int copy_children(struct copier *c, struct dir *d, struct rb_error **err)
{
	RB_CLEANUP(rb_strv_clear) struct rb_strv names = RB_STRV_INIT;
	int r = rb_list_names(d->src_fd, &names);

	if (r < 0)
		return fail_source(c, r, err);
	for (size_t i = 0; i < names.n && r == 0; i++) {
		size_t src_len = rb_layer_push(&c->src, names.v[i]);
		size_t dst_len = rb_layer_push(&c->dst, names.v[i]);

		r = copy_child(c, d, names.v[i], err);
		rb_buf_truncate(&c->src, src_len);
		rb_buf_truncate(&c->dst, dst_len);
	}
	return r;
}

/* A directory below DEST; one that is put off is made only when something in it is copied. */
static int copy_dir(struct copier *c, struct dir *parent, const struct entry *e, bool put_off,
		    struct rb_error **err)
{
	RB_CLEANUP(dir_close)
	struct dir d = {
		.parent = parent,
		.src_fd = openat(e->src_dir, e->src_name,
				 O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC),
		.dst_fd = -1,
		.dst_len = c->dst.len,
		.depth = parent->depth + 1,
	};

	if (d.src_fd < 0)
		return fail_source(c, -errno, err);
	if (d.depth > DEPTH_MAX)
		return rb_fail(err, RB_ERR_CONTEXT,
			       "\"%s\": directories are nested more than %d deep", c->src.ptr,
			       DEPTH_MAX);
	if ((!put_off && need_dir(c, &d, err) < 0) || copy_children(c, &d, err) < 0)
		return -1;
	if (d.dst_fd < 0)
		return 0;
	const struct entry self = {.src_dir = d.src_fd,
				   .src_name = "",
				   .dst_dir = d.dst_fd,
				   .dst_name = "",
				   .st = e->st};
	return copy_metadata(c, &self, err);
}

/* --- the destination */

/* DEST as a real path in c->dst: every link followed, also the last and those to nothing yet. */
static int resolve_dest(struct copier *c, struct rb_error **err)
{
	int r = rb_layer_resolve(c->spec->dst_root_fd, c->spec->dest, &c->dst);

	if (r == -ENOTDIR) {
		/* It stopped at the first component below something that cannot have any. */
		char *slash = strrchr(c->dst.ptr, '/');

		rb_buf_truncate(&c->dst, slash ? (size_t)(slash - c->dst.ptr) : 0);
		return fail_non_dir(c->dst.ptr, err);
	}
	return r < 0 ? rb_fail_sys(err, r, "cannot follow %s in the image", c->spec->dest) : 0;
}

/* The directory of a real path, made when missing (rule 4). */
static int make_dirs(const struct copier *c, const char *real, struct rb_error **err)
{
	const struct rb_layer_made made = made_dirs(c->spec);
	int fd = rb_layer_mkdirs(c->spec->dst_root_fd, real, &made);

	if (fd == -ENOTDIR)
		return fail_non_dir(real, err);
	return fd < 0 ? rb_fail_sys(err, fd, "cannot make the directory /%s in the image", real)
		      : fd;
}

static bool is_dir_at(int rootfd, const char *real)
{
	RB_CLEANUP(rb_closep) int fd = rb_layer_open(rootfd, real, O_PATH | O_DIRECTORY);

	return fd >= 0;
}

/* A file becomes DEST itself: that of one source only, or the last one would be all that stays. */
static int take_dest(const struct copier *c, struct rb_error **err)
{
	bool *taken = c->spec->dest_is_file;

	if (taken && *taken)
		return rb_fail(err, RB_ERR_DOCKERFILE,
			       "cannot copy several files to /%s, which is not a directory; if it "
			       "is meant to be one, end it with a slash: %s/",
			       c->dst.ptr, c->spec->dest);
	if (taken)
		*taken = true;
	return 0;
}

/* Rule 6: where a file goes. c->dst is its path then; returns its directory, in which it has
 * *ret_name. */
static int file_dest(struct copier *c, const char **ret_name, struct rb_error **err)
{
	const char *name = c->spec->name;

	if (resolve_dest(c, err) < 0)
		return -1;
	if (c->spec->dest_is_dir || is_dir_at(c->spec->dst_root_fd, c->dst.ptr)) {
		if (!*name || strchr(name, '/') || rb_streq(name, ".") || rb_streq(name, ".."))
			return rb_fail(err, RB_ERR_DOCKERFILE,
				       "\"%s\" cannot be the name of a file in %s; name the file "
				       "in the destination",
				       name, c->spec->dest);
		(void)rb_layer_push(&c->dst, name);
	} else if (take_dest(c, err) < 0) {
		return -1;
	}
	const char *slash = strrchr(c->dst.ptr, '/');
	RB_CLEANUP(rb_strp)
	char *dir = rb_strndup(c->dst.ptr, slash ? (size_t)(slash - c->dst.ptr) : 0);
	*ret_name = slash ? slash + 1 : c->dst.ptr;
	return make_dirs(c, dir, err);
}

/* --- one source */

/* Rule 5: the contents go into DEST, which is not a copy of the source. */
static int copy_contents(struct copier *c, int src_fd /* takes */, const struct stat *st,
			 struct rb_error **err)
{
	RB_CLEANUP(dir_close) struct dir d = {.src_fd = src_fd, .dst_fd = -1};

	if (resolve_dest(c, err) < 0)
		return -1;
	d.dst_fd = make_dirs(c, c->dst.ptr, err);
	if (d.dst_fd < 0 || copy_children(c, &d, err) < 0)
		return -1;
	int r = set_times(d.dst_fd, "", st);
	return r < 0 ? fail_dest(c, r, "set the times of", err) : 0;
}

static int copy_one_file(struct copier *c, struct entry *e, struct rb_error **err)
{
	RB_CLEANUP(rb_closep)
	int src_dir = rb_layer_open_parent(c->spec->src_root_fd, c->src.ptr, &e->src_name);
	if (src_dir < 0)
		return fail_source(c, src_dir, err);
	RB_CLEANUP(rb_closep) int dst_dir = file_dest(c, &e->dst_name, err);
	if (dst_dir < 0)
		return -1;
	e->src_dir = src_dir;
	e->dst_dir = dst_dir;
	return copy_file(c, e, err);
}

static int copy_source(struct copier *c, struct rb_error **err)
{
	const int root = c->spec->src_root_fd;
	struct entry e = {0};
	int r = rb_layer_resolve(root, c->spec->src, &c->src);
	RB_CLEANUP(rb_closep)
	int fd = r < 0 ? r : rb_layer_open(root, c->src.ptr, O_PATH | O_NOFOLLOW);

	if (fd < 0)
		return fail_source(c, fd, err);
	if (fstat(fd, &e.st) < 0)
		return fail_source(c, -errno, err);
	if (c->spec->src_ledger) {
		r = rb_ledger_fix(c->spec->src_ledger, fd, "", c->src.ptr, &e.st);
		if (r < 0)
			return fail_source(c, r, err);
	}
	if (!S_ISDIR(e.st.st_mode))
		return copy_one_file(c, &e, err);
	int dir = rb_layer_open(root, c->src.ptr, O_RDONLY | O_DIRECTORY);
	return dir < 0 ? fail_source(c, dir, err) : copy_contents(c, dir, &e.st, err);
}

int rb_copy(const struct rb_copy_spec *spec, struct rb_error **err)
{
	RB_CLEANUP(copier_clear)
	struct copier c = {.spec = spec, .src = RB_BUF_INIT, .dst = RB_BUF_INIT};

	return copy_source(&c, err);
}

static int write_inline(struct copier *c, int dirfd, const char *name, const void *data, size_t len,
			struct rb_error **err)
{
	RB_CLEANUP(rb_closep) int fd = create_file(c, dirfd, name, err);
	const struct rb_layer_made made = made_dirs(c->spec);

	if (fd < 0)
		return -1;
	int r = rb_write_full(fd, data, len);
	if (r < 0)
		return fail_dest(c, r, "write", err);
	r = rb_ledger_chown(made.ledger, fd, "", c->dst.ptr, made.uid, made.gid);
	if (r < 0)
		return fail_dest(c, r, "set the owner of", err);
	r = set_mode(fd, "", mode_of(c->spec, 0644, false));
	return r < 0 ? fail_dest(c, r, "set the mode of", err) : 0;
}

int rb_copy_inline(const struct rb_copy_spec *spec, const void *data, size_t len,
		   struct rb_error **err)
{
	RB_CLEANUP(copier_clear)
	struct copier c = {.spec = spec, .src = RB_BUF_INIT, .dst = RB_BUF_INIT};
	const char *name;
	RB_CLEANUP(rb_closep) int dir = file_dest(&c, &name, err);

	if (dir < 0 || make_room(&c, dir, name, err) < 0)
		return -1;
	return write_inline(&c, dir, name, data, len, err);
}
