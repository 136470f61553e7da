// SPDX-License-Identifier: Apache-2.0
/* A tree as a changeset: one sorted walk, one pass over the data. */
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
#include "base/sys.h"
#include "layer/layer-internal.h"

enum { TAR_BLOCK_BYTES = 512, TAR_END_BYTES = 2 * TAR_BLOCK_BYTES };

struct inode_key {
	dev_t dev;
	ino_t ino;
};

/*
 * The first name of a file with several, and its owner: of a link the ledger may know the owner by
 * one of its names only.
 */
struct first_name {
	struct inode_key key;
	char *path;
	uint32_t uid, gid;
	UT_hash_handle hh;
};

struct writer {
	const struct rb_layer_write_spec *spec;
	struct rb_layer_sink *sink;
	struct rb_buf path;   /* of the entry, no leading or trailing slash */
	struct rb_buf header; /* kept for its memory */
	struct first_name *names;
};

static void writer_clear(struct writer *w)
{
	struct first_name *n, *tmp;

	HASH_ITER (hh, w->names, n, tmp) {
		HASH_DEL(w->names, n);
		free(n->path);
		free(n);
	}
	rb_buf_clear(&w->path);
	rb_buf_clear(&w->header);
	rb_layer_sink_free(w->sink);
}

/* --- one entry */

static int put_header(struct writer *w, const struct rb_tar_entry *e, struct rb_error **err)
{
	rb_buf_truncate(&w->header, 0);
	if (rb_tar_header(&w->header, e, err) < 0)
		return -1;
	return rb_layer_sink_add(w->sink, w->header.ptr, w->header.len, err);
}

/* An empty file that deletes; it has no metadata of its own. */
static int put_whiteout(struct writer *w, const char *prefix, const char *name,
			struct rb_error **err)
{
	const char *slash = strrchr(w->path.ptr, '/');
	int dir_len = slash ? (int)(slash - w->path.ptr) + 1 : 0;
	RB_CLEANUP(rb_strp)
	char *path = rb_asprintf("%.*s%s%s", dir_len, w->path.ptr, prefix, name);
	const struct rb_tar_entry e = {.path = path, .type = '0'};

	return put_header(w, &e, err);
}

/* One descriptor is open for each directory above the entry. */
static int fail_open(const struct writer *w, int neg, struct rb_error **err)
{
	return rb_fail_sys(err, neg, "cannot open /%s%s", w->path.ptr,
			   neg == -EMFILE ? " (raise the limit of open files, ulimit -n)" : "");
}

static int changed(const struct writer *w, struct rb_error **err)
{
	return rb_fail(err, RB_ERR_SYS, "%s changed while its layer was written", w->path.ptr);
}

/* Bytes [pos, end) of the file. */
static int put_range(struct writer *w, int fd, uint64_t pos, uint64_t end, struct rb_error **err)
{
	while (pos < end) {
		void *room;
		size_t len;

		if (rb_layer_sink_room(w->sink, &room, &len, err) < 0)
			return -1;
		ssize_t n =
			pread(fd, room, end - pos < len ? (size_t)(end - pos) : len, (off_t)pos);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return rb_fail_errno(err, "cannot read %s", w->path.ptr);
		if (n == 0)
			return changed(w, err);
		rb_layer_sink_advance(w->sink, (size_t)n);
		pos += (uint64_t)n;
	}
	return 0;
}

/* Holes are not read; the layer has zeros there, for the format we write knows no holes. */
static int put_data(struct writer *w, int fd, const struct stat *st, struct rb_error **err)
{
	uint64_t size = (uint64_t)st->st_size, pos = 0;
	bool sparse = (uint64_t)st->st_blocks * 512 < size;

	while (pos < size) {
		off_t data = sparse ? lseek(fd, (off_t)pos, SEEK_DATA) : (off_t)pos;
		off_t hole = (off_t)size;

		if (data < 0) /* ENXIO: a hole to the end; anything else: no holes known here */
			data = errno == ENXIO ? (off_t)size : (off_t)pos;
		else if (sparse && (hole = lseek(fd, data, SEEK_HOLE)) < 0)
			hole = (off_t)size;
		if ((uint64_t)data > size)
			data = (off_t)size;
		if ((uint64_t)hole > size)
			hole = (off_t)size;
		if (rb_layer_sink_add(w->sink, NULL, (uint64_t)data - pos, err) < 0 ||
		    put_range(w, fd, (uint64_t)data, (uint64_t)hole, err) < 0)
			return -1;
		pos = (uint64_t)hole;
	}
	return rb_layer_sink_add(w->sink, NULL, -size % TAR_BLOCK_BYTES, err);
}

static int put_file(struct writer *w, int dirfd, const char *name, const struct stat *disk,
		    const struct rb_tar_entry *e, struct rb_error **err)
{
	RB_CLEANUP(rb_closep)
	int fd = openat(dirfd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	struct stat st;

	if (fd < 0)
		return fail_open(w, -errno, err);
	if (fstat(fd, &st) < 0)
		return rb_fail_errno(err, "cannot stat %s", w->path.ptr);
	if (st.st_dev != disk->st_dev || st.st_ino != disk->st_ino || st.st_size != disk->st_size)
		return changed(w, err);
	if (put_header(w, e, err) < 0 || put_data(w, fd, &st, err) < 0)
		return -1;
	if (fstat(fd, &st) < 0 || st.st_size != disk->st_size)
		return changed(w, err);
	return 0;
}

/* The earlier name of the same file, or NULL the first time. `st` is the image's view. */
static const struct first_name *earlier_name(struct writer *w, const struct stat *st,
					     const struct stat *disk)
{
	struct inode_key key;
	struct first_name *n = NULL;

	if (S_ISDIR(disk->st_mode) || disk->st_nlink < 2)
		return NULL;
	memset(&key, 0, sizeof(key)); /* it is hashed with its padding */
	key.dev = disk->st_dev;
	key.ino = disk->st_ino;
	HASH_FIND(hh, w->names, &key, sizeof(key), n);
	if (n)
		return n;
	n = rb_calloc(1, sizeof(*n));
	n->key = key;
	n->path = rb_strdup(w->path.ptr);
	n->uid = st->st_uid;
	n->gid = st->st_gid;
	HASH_ADD(hh, w->names, key, sizeof(key), n);
	return NULL;
}

static int read_target(const struct writer *w, int dirfd, const char *name, char **ret,
		       struct rb_error **err)
{
	char buf[PATH_MAX];
	ssize_t n = readlinkat(dirfd, name, buf, sizeof(buf));

	if (n < 0)
		return rb_fail_errno(err, "cannot read the link %s", w->path.ptr);
	*ret = rb_strndup(buf, (size_t)n);
	return 0;
}

static char tar_type(mode_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFLNK:
		return '2';
	case S_IFCHR:
		return '3';
	case S_IFBLK:
		return '4';
	case S_IFDIR:
		return '5';
	case S_IFIFO:
		return '6';
	default:
		return '0';
	}
}

/* Header, and data of a regular file. `st` is the image's view, `disk` the disk's. */
static int put_entry(struct writer *w, int dirfd, const char *name, const char *tar_path,
		     const struct stat *st, const struct stat *disk, struct rb_error **err)
{
	const struct first_name *first = earlier_name(w, st, disk);
	RB_CLEANUP(rb_strp) char *target = NULL;
	struct rb_xattr *xattrs = NULL;
	ssize_t n = 0;
	struct rb_tar_entry e = {
		.path = tar_path,
		.linkname = first ? first->path : NULL,
		.type = first ? '1' : tar_type(st->st_mode),
		.mode = st->st_mode & 07777,
		.uid = first ? first->uid : st->st_uid,
		.gid = first ? first->gid : st->st_gid,
		.mtime = st->st_mtim,
	};

	if (w->spec->newest && e.mtime.tv_sec >= *w->spec->newest)
		e.mtime = (struct timespec){.tv_sec = *w->spec->newest};
	if (!first && S_ISLNK(st->st_mode)) {
		if (read_target(w, dirfd, name, &target, err) < 0)
			return -1;
		e.linkname = target;
		e.mode = 0777;
	}
	if (!first && (S_ISCHR(st->st_mode) || S_ISBLK(st->st_mode)))
		e.rdev = st->st_rdev;
	if (!first && (n = rb_xattrs_read(dirfd, name, &xattrs)) < 0)
		return rb_fail_sys(err, (int)n, "cannot read the attributes of %s", w->path.ptr);
	e.xattrs = xattrs;
	e.n_xattrs = (size_t)n;
	bool data = e.type == '0';
	if (data)
		e.size = (uint64_t)st->st_size;
	int r = data ? put_file(w, dirfd, name, disk, &e, err) : put_header(w, &e, err);
	rb_xattrs_free(xattrs, (size_t)n);
	return r;
}

/* --- the walk */

/* 1 when the entry has the attribute (with this value, if one is given), 0, or -1. */
static int has_mark(const struct writer *w, int dirfd, const char *name, const char *key,
		    const char *value, struct rb_error **err)
{
	char buf[8];
	ssize_t n = rb_sys_getxattr(dirfd, name, key, buf, sizeof(buf));

	if (n == -ENODATA || n == -EOPNOTSUPP)
		return 0;
	if (n == -ERANGE) /* longer than every value that means something */
		return value == NULL;
	if (n < 0)
		return rb_fail_sys(err, (int)n, "cannot read the attributes of %s", w->path.ptr);
	return !value || ((size_t)n == strlen(value) && memcmp(buf, value, (size_t)n) == 0);
}

/* A deletion as overlay records it: a device 0:0, or an attribute where devices cannot be made. */
static int is_whiteout(const struct writer *w, int dirfd, const char *name, const struct stat *disk,
		       struct rb_error **err)
{
	if (S_ISCHR(disk->st_mode))
		return disk->st_rdev == 0;
	if (!S_ISREG(disk->st_mode) || disk->st_size)
		return 0;
	return has_mark(w, dirfd, name, "user.overlay.whiteout", NULL, err);
}

/* The mark of an opaque directory ("x" only says that whiteouts in it are attributes). */
static int put_opaque(struct writer *w, int fd, struct rb_error **err)
{
	int r = has_mark(w, fd, "", "user.overlay.opaque", "y", err);

	if (r <= 0)
		return r;
	size_t before = rb_layer_push(&w->path, "");
	r = put_whiteout(w, RB_WHITEOUT_OPAQUE, "", err);
	rb_buf_truncate(&w->path, before);
	return r;
}

static int write_entry(struct writer *w, int dirfd, const char *name, unsigned depth,
		       struct rb_error **err);

/* What is in a directory, after its own entry. */
static int write_children(struct writer *w, int fd, unsigned depth, struct rb_error **err)
{
	struct rb_strv names = RB_STRV_INIT;
	int r = rb_layer_list(fd, &names);

	if (r < 0)
		r = fail_open(w, r, err);
	for (size_t i = 0; i < names.n && r == 0; i++) {
		size_t before = rb_layer_push(&w->path, names.v[i]);

		r = write_entry(w, fd, names.v[i], depth, err);
		rb_buf_truncate(&w->path, before);
	}
	rb_strv_clear(&names);
	return r;
}

static int write_dir(struct writer *w, int dirfd, const char *name, const struct stat *st,
		     unsigned depth, struct rb_error **err)
{
	RB_CLEANUP(rb_strp) char *tar_path = rb_asprintf("%s/", w->path.ptr);

	if (depth >= rb_layer_limits_default.depth)
		return rb_fail(err, RB_ERR_CORRUPT,
			       "%.80s...: deeper than %u directories, which no layer may be",
			       w->path.ptr, rb_layer_limits_default.depth);
	if (put_entry(w, dirfd, name, tar_path, st, st, err) < 0)
		return -1;
	RB_CLEANUP(rb_closep)
	int fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return fail_open(w, -errno, err);
	if (put_opaque(w, fd, err) < 0)
		return -1;
	return write_children(w, fd, depth + 1, err);
}

static int write_entry(struct writer *w, int dirfd, const char *name, unsigned depth,
		       struct rb_error **err)
{
	struct stat disk, st;

	if (rb_starts_with(name, RB_WHITEOUT_PREFIX))
		return rb_whiteout_refuse(w->path.ptr, err);
	if (fstatat(dirfd, name, &disk, AT_SYMLINK_NOFOLLOW) < 0)
		return rb_fail_errno(err, "cannot stat %s", w->path.ptr);
	int r = is_whiteout(w, dirfd, name, &disk, err);
	if (r)
		return r < 0 ? -1 : put_whiteout(w, RB_WHITEOUT_PREFIX, name, err);
	if (S_ISSOCK(disk.st_mode))
		return 0;
	st = disk;
	r = rb_ledger_fix(w->spec->ledger, dirfd, name, w->path.ptr, &st);
	if (r < 0)
		return rb_fail_sys(err, r, "cannot read the owner of %s", w->path.ptr);
	if (S_ISDIR(st.st_mode))
		return write_dir(w, dirfd, name, &st, depth, err);
	return put_entry(w, dirfd, name, w->path.ptr, &st, &disk, err);
}

static bool same_xattrs(const struct rb_xattr *a, ssize_t n_a, const struct rb_xattr *b,
			ssize_t n_b)
{
	if (n_a != n_b)
		return false;
	for (ssize_t i = 0; i < n_a; i++)
		if (!rb_streq(a[i].name, b[i].name) || a[i].len != b[i].len ||
		    memcmp(a[i].value, b[i].value, a[i].len) != 0)
			return false;
	return true;
}

int rb_layer_same_dir(const struct rb_ledger *l, int a_fd, int b_fd)
{
	struct rb_xattr *a = NULL, *b = NULL;
	struct stat st_a, st_b;
	int r = rb_ledger_stat(l, a_fd, "", "", &st_a);

	/* A directory's owner is in its attribute: no table is asked. */
	if (r == 0)
		r = rb_ledger_stat(l, b_fd, "", "", &st_b);
	if (r < 0)
		return r;
	if (st_a.st_mode != st_b.st_mode || st_a.st_uid != st_b.st_uid ||
	    st_a.st_gid != st_b.st_gid)
		return 0;
	ssize_t n_a = rb_xattrs_read(a_fd, "", &a), n_b = rb_xattrs_read(b_fd, "", &b);
	r = n_a < 0 ? (int)n_a : n_b < 0 ? (int)n_b : same_xattrs(a, n_a, b, n_b);
	rb_xattrs_free(a, n_a > 0 ? (size_t)n_a : 0);
	rb_xattrs_free(b, n_b > 0 ? (size_t)n_b : 0);
	return r;
}

/* Whether the root of the tree is as the layers below leave it (without any: 0755, 0:0). Mechanism.
 */
static int root_is_same(const struct writer *w, const struct stat *st)
{
	struct rb_xattr *v = NULL;

	if (w->spec->parent_fd >= 0)
		return rb_layer_same_dir(w->spec->ledger, w->spec->diff_fd, w->spec->parent_fd);
	if (st->st_mode != (S_IFDIR | 0755) || st->st_uid || st->st_gid)
		return 0;
	ssize_t n = rb_xattrs_read(w->spec->diff_fd, "", &v);
	rb_xattrs_free(v, n > 0 ? (size_t)n : 0);
	return n < 0 ? (int)n : n == 0;
}

static int write_root(struct writer *w, struct rb_error **err)
{
	struct stat st;
	int r = rb_ledger_stat(w->spec->ledger, w->spec->diff_fd, "", "", &st);

	if (r == 0)
		r = root_is_same(w, &st);
	if (r < 0)
		return rb_fail_sys(err, r, "cannot read the metadata of the root directory");
	if (!r && put_entry(w, w->spec->diff_fd, "", "./", &st, &st, err) < 0)
		return -1;
	RB_CLEANUP(rb_closep)
	int fd = openat(w->spec->diff_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return fail_open(w, -errno, err);
	if (put_opaque(w, fd, err) < 0)
		return -1;
	return write_children(w, fd, 0, err);
}

int rb_layer_write(const struct rb_layer_write_spec *spec, struct rb_layer_write_result *ret,
		   struct rb_error **err)
{
	RB_CLEANUP(writer_clear)
	struct writer w = {.spec = spec, .path = RB_BUF_INIT, .header = RB_BUF_INIT};

	w.sink = rb_layer_sink_new(spec, err);
	if (!w.sink || write_root(&w, err) < 0 ||
	    rb_layer_sink_add(w.sink, NULL, TAR_END_BYTES, err) < 0)
		return -1;
	return rb_layer_sink_finish(w.sink, ret, err);
}
