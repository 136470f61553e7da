// SPDX-License-Identifier: Apache-2.0
/*
 * The confined extractor. Only an entry's parent is ever looked up by path, inside the root, and
 * the last component is made with calls that follow nothing: what an earlier entry left there is
 * replaced, never written through (threats S28 to S30).
 */
#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/path.h"
#include "base/sys.h"
#include "layer/layer-internal.h"

enum { HOLE_BYTES = 4096 };

/* A directory's metadata waits for the end: entries below change its times, a default ACL would be
 * inherited by them, and without write permission nobody but root could make them. */
struct dir_meta {
	char *path;
	size_t order; /* of a path that came twice the later counts */
	mode_t mode;
	uint32_t uid, gid;
	struct timespec times[2];
	struct rb_xattr *xattrs;
	size_t n_xattrs;
	bool clear; /* it was there before and may have attributes that the entry does not */
};

struct applier {
	const struct rb_apply_spec *spec;
	const char *prefix;
	struct rb_tar *tar;
	struct archive_entry *entry;

	/* The directory of the last entry: most entries follow a sibling. */
	char *parent_name; /* clean, as the layer writes it */
	struct rb_buf parent_real;
	int parent_fd;
	bool parent_has_acl; /* new entries inherit from it */

	struct rb_buf real; /* of the entry */
	const char *base;   /* its last component, inside `real` */

	struct dir_meta *dirs;
	size_t n_dirs, cap_dirs;
	struct rb_strv opaque;
};

static void applier_clear(struct applier *ap)
{
	for (size_t i = 0; i < ap->n_dirs; i++) {
		free(ap->dirs[i].path);
		rb_xattrs_free(ap->dirs[i].xattrs, ap->dirs[i].n_xattrs);
	}
	free(ap->dirs);
	free(ap->parent_name);
	rb_closep(&ap->parent_fd);
	rb_buf_clear(&ap->parent_real);
	rb_buf_clear(&ap->real);
	rb_strv_clear(&ap->opaque);
	rb_tar_free(ap->tar);
}

/* Names that no file system takes are the layer's fault. */
static int entry_fail(struct applier *ap, int neg, const char *what, struct rb_error **err)
{
	const char *name = archive_entry_pathname(ap->entry);

	if (neg == -ENAMETOOLONG || neg == -ENOTDIR || neg == -ELOOP || neg == -EISDIR ||
	    neg == -EINVAL)
		return rb_fail(err, RB_ERR_CORRUPT, "%s: cannot %s: %s", name, what,
			       strerrordesc_np(-neg));
	return rb_fail_sys(err, neg, "%s: cannot %s%s", name, what, rb_space_hint(neg));
}

/* --- where entries go */

static void forget_parent(struct applier *ap)
{
	free(ap->parent_name);
	ap->parent_name = NULL;
	rb_closep(&ap->parent_fd);
}

/* Real path and descriptor of the directory `name`; a missing one is made if `make`. */
static int find_dir(struct applier *ap, const char *name, bool make, struct rb_buf *real)
{
	const struct rb_layer_owner *owner = ap->spec->owner;
	const struct rb_layer_made made = {ap->spec->ledger, 0755, owner ? owner->uid : 0,
					   owner ? owner->gid : 0};
	int fd = rb_layer_open(ap->spec->root_fd, name, O_PATH | O_DIRECTORY);

	rb_buf_truncate(real, 0);
	rb_buf_addstr(real, name);
	if (fd == -ELOOP) {
		int r = rb_layer_resolve(ap->spec->root_fd, name, real);

		if (r < 0)
			return r;
		fd = rb_layer_open(ap->spec->root_fd, real->ptr, O_PATH | O_DIRECTORY);
	}
	if (fd == -ENOENT && make)
		fd = rb_layer_mkdirs(ap->spec->root_fd, real->ptr, &made);
	return fd;
}

static int open_parent(struct applier *ap, const char *name, bool make)
{
	if (ap->parent_name && rb_streq(ap->parent_name, name))
		return 0;
	forget_parent(ap);
	int fd = find_dir(ap, name, make, &ap->parent_real);
	if (fd < 0)
		return fd;
	ap->parent_fd = fd;
	ap->parent_name = rb_strdup(name);
	ap->parent_has_acl = rb_sys_getxattr(fd, "", "system.posix_acl_default", NULL, 0) > 0;
	return 0;
}

/* Splits a clean name and opens its parent; "" (the root) is its own parent and has base "". */
static int locate(struct applier *ap, const char *clean, bool make)
{
	const char *base = *clean ? rb_path_base(clean) : clean;
	size_t len = base > clean ? (size_t)(base - clean) - 1 : 0;
	RB_CLEANUP(rb_strp) char *parent = rb_strndup(clean, len);
	int r = open_parent(ap, parent, make);

	if (r < 0)
		return r;
	rb_buf_truncate(&ap->real, 0);
	rb_buf_add(&ap->real, ap->parent_real.ptr, ap->parent_real.len);
	if (*base)
		rb_layer_push(&ap->real, base);
	ap->base = ap->real.ptr + ap->real.len - strlen(base);
	return 0;
}

static char *clean_below(const struct applier *ap, const char *name)
{
	RB_CLEANUP(rb_strp) char *clean = rb_layer_clean_name(name);

	if (!*ap->prefix)
		return rb_steal_ptr(&clean);
	return *clean ? rb_asprintf("%s/%s", ap->prefix, clean) : rb_strdup(ap->prefix);
}

/* --- metadata */

static int collect_xattrs(struct applier *ap, struct rb_xattr **ret, size_t *ret_n,
			  struct rb_error **err)
{
	struct rb_xattr *v = NULL;
	size_t n = 0, cap = 0, len;
	const char *name;
	const void *value;
	uint8_t caps[RB_CAPS_V2_BYTES];

	archive_entry_xattr_reset(ap->entry);
	while (archive_entry_xattr_next(ap->entry, &name, &value, &len) == ARCHIVE_OK) {
		if (!rb_xattr_allowed(name))
			continue;
		if (rb_streq(name, "security.capability")) {
			if (rb_layer_caps_v2(value, len, caps) < 0) {
				rb_xattrs_free(v, n);
				return rb_fail(err, RB_ERR_CORRUPT, "%s: damaged file capabilities",
					       archive_entry_pathname(ap->entry));
			}
			value = caps;
			len = sizeof(caps);
		}
		rb_grow(v, n, &cap);
		v[n].name = rb_strdup(name);
		v[n].value = len ? memcpy(rb_malloc(len), value, len) : rb_malloc(0);
		v[n++].len = len;
	}
	*ret = v;
	*ret_n = n;
	return 0;
}

static void entry_times(struct archive_entry *e, struct timespec ret[static 2])
{
	ret[1] = (struct timespec){archive_entry_mtime(e), archive_entry_mtime_nsec(e)};
	ret[0] = ret[1];
	if (archive_entry_atime_is_set(e))
		ret[0] = (struct timespec){archive_entry_atime(e), archive_entry_atime_nsec(e)};
}

/*
 * What all kinds but directories get; name "" with dirfd is the entry itself. Owner first, since
 * chown takes setuid bits and capabilities away; mode behind the attributes, since user attributes
 * need write permission and an ACL changes the mode; times last.
 */
static int set_metadata(struct applier *ap, int dirfd, const char *name, struct rb_error **err)
{
	struct archive_entry *e = ap->entry;
	mode_t type = archive_entry_filetype(e);
	struct timespec times[2];
	struct rb_xattr *xattrs;
	size_t n;
	int r = rb_ledger_chown(ap->spec->ledger, dirfd, name, ap->real.ptr,
				(uint32_t)archive_entry_uid(e), (uint32_t)archive_entry_gid(e));

	if (r < 0)
		return entry_fail(ap, r, "set the owner", err);
	if (ap->parent_has_acl && type != AE_IFLNK && (r = rb_layer_clear_xattrs(dirfd, name)) < 0)
		return entry_fail(ap, r, "clear inherited attributes", err);
	if (collect_xattrs(ap, &xattrs, &n, err) < 0)
		return -1;
	r = rb_layer_set_xattrs(dirfd, name, xattrs, n, ap->real.ptr);
	rb_xattrs_free(xattrs, n);
	if (r < 0)
		return entry_fail(ap, r, "set an extended attribute", err);
	mode_t mode = archive_entry_perm(e) & 07777;
	if (type != AE_IFLNK && (*name ? fchmodat(dirfd, name, mode, 0) : fchmod(dirfd, mode)) < 0)
		return entry_fail(ap, -errno, "set the mode", err);
	entry_times(e, times);
	if ((*name ? utimensat(dirfd, name, times, AT_SYMLINK_NOFOLLOW) : futimens(dirfd, times)) <
	    0)
		return entry_fail(ap, -errno, "set the times", err);
	return 0;
}

static int by_path_latest_first(const void *a, const void *b)
{
	const struct dir_meta *x = a, *y = b;
	int c = strcmp(y->path, x->path);

	return c ? c : (x->order < y->order) - (x->order > y->order);
}

static int finish_dir(struct applier *ap, const struct dir_meta *m, struct rb_error **err)
{
	RB_CLEANUP(rb_closep)
	int fd = rb_layer_open(ap->spec->root_fd, m->path, O_RDONLY | O_DIRECTORY);
	int r = fd < 0 ? fd : 0;

	/* A later entry took its place. */
	if (r == -ENOENT || r == -ENOTDIR || r == -ELOOP)
		return 0;
	if (r == 0)
		r = rb_ledger_chown(ap->spec->ledger, fd, "", m->path, m->uid, m->gid);
	if (r == 0 && m->clear)
		r = rb_layer_clear_xattrs(fd, "");
	if (r == 0)
		r = rb_layer_set_xattrs(fd, "", m->xattrs, m->n_xattrs, m->path);
	if (r == 0 && (fchmod(fd, m->mode) < 0 || futimens(fd, m->times) < 0))
		r = -errno;
	return r < 0 ? rb_fail_sys(err, r, "%s: cannot set the metadata of the directory", m->path)
		     : 0;
}

/* Children before their parents, whose modes may lock us out. */
static int finish_dirs(struct applier *ap, struct rb_error **err)
{
	const char *done = NULL;

	if (ap->n_dirs)
		qsort(ap->dirs, ap->n_dirs, sizeof(*ap->dirs), by_path_latest_first);
	for (size_t i = 0; i < ap->n_dirs; i++) {
		if (done && rb_streq(done, ap->dirs[i].path))
			continue;
		done = ap->dirs[i].path;
		if (finish_dir(ap, &ap->dirs[i], err) < 0)
			return -1;
	}
	return 0;
}

/* --- the kinds of entries: each makes the new entry, 0 (a regular file: a descriptor) or -errno */

static int make_file(struct applier *ap)
{
	int fd = openat(ap->parent_fd, ap->base,
			O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);

	return fd < 0 ? -errno : fd;
}

static int make_symlink(struct applier *ap)
{
	const char *target = archive_entry_symlink(ap->entry);

	if (!target || !*target)
		return -EINVAL;
	return symlinkat(target, ap->parent_fd, ap->base) < 0 ? -errno : 0;
}

static int make_fifo(struct applier *ap)
{
	return mkfifoat(ap->parent_fd, ap->base, 0600) < 0 ? -errno : 0;
}

static int make_device(struct applier *ap)
{
	mode_t mode = archive_entry_filetype(ap->entry) | (archive_entry_perm(ap->entry) & 07777);

	return rb_ledger_mknod(ap->spec->ledger, ap->parent_fd, ap->base, ap->real.ptr, mode,
			       archive_entry_rdev(ap->entry));
}

static int make_dir(struct applier *ap)
{
	return mkdirat(ap->parent_fd, ap->base, 0700) < 0 ? -errno : 0;
}

static int make_hardlink(struct applier *ap)
{
	RB_CLEANUP(rb_strp) char *clean = clean_below(ap, archive_entry_hardlink(ap->entry));
	RB_CLEANUP(rb_buf_clear) struct rb_buf real = RB_BUF_INIT;
	const char *base = rb_path_base(clean);
	RB_CLEANUP(rb_strp)
	char *parent = rb_strndup(clean, base > clean ? (size_t)(base - clean) - 1 : 0);
	RB_CLEANUP(rb_closep) int dir = find_dir(ap, parent, false, &real);

	if (dir < 0)
		return rb_steal_fd(&dir);
	rb_layer_push(&real, base);
	/* A link to itself: the caller must not remove it to make room. */
	if (rb_streq(real.ptr, ap->real.ptr))
		return faccessat(dir, base, F_OK, AT_SYMLINK_NOFOLLOW) < 0 ? -errno : 0;
	return linkat(dir, base, ap->parent_fd, ap->base, 0) < 0 ? -errno : 0;
}

static const struct maker {
	mode_t type;
	int (*make)(struct applier *ap);
} makers[] = {
	{AE_IFREG, make_file},   {AE_IFLNK, make_symlink}, {AE_IFIFO, make_fifo},
	{AE_IFCHR, make_device}, {AE_IFBLK, make_device},  {AE_IFDIR, make_dir},
};

/* Makes the entry in place of whatever is there. */
static int place(struct applier *ap, int (*make)(struct applier *ap))
{
	int r = make(ap);

	if (r != -EEXIST)
		return r;
	r = rb_remove_tree_at(ap->parent_fd, ap->base);
	if (r == 0)
		r = make(ap);
	/* A directory or link that later parents were looked up through may be gone; ap->parent_fd
	 * itself serves this entry to its end. */
	free(ap->parent_name);
	ap->parent_name = NULL;
	return r;
}

/* --- data */

static int write_at(int fd, const char *p, size_t len, uint64_t offset)
{
	while (len) {
		ssize_t n = pwrite(fd, p, len, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		p += n;
		len -= (size_t)n;
		offset += (uint64_t)n;
	}
	return 0;
}

/* Length of the part of a piece up to the next block boundary of the file. */
static size_t block_part(size_t len, uint64_t offset)
{
	return rb_min_size(len, HOLE_BYTES - (size_t)(offset % HOLE_BYTES));
}

/* Writes a piece without its zero blocks; *end is where the file on disk ends. */
static int write_piece(int fd, const char *p, size_t len, uint64_t offset, uint64_t *end)
{
	while (len) {
		size_t run = 0, n = block_part(len, offset);

		while (run < len && !rb_layer_is_zero(p + run, n)) {
			run += n;
			n = block_part(len - run, offset + run);
		}
		if (run) {
			int r = write_at(fd, p, run, offset);

			if (r < 0)
				return r;
			*end = offset + run;
			n = 0;
		}
		p += run + n;
		len -= run + n;
		offset += run + n;
	}
	return 0;
}

static int write_data(struct applier *ap, int fd, struct rb_error **err)
{
	uint64_t size = (uint64_t)archive_entry_size(ap->entry), offset, end = 0;
	const void *piece;
	size_t len;
	int r;

	while ((r = rb_tar_data(ap->tar, &piece, &len, &offset, err)) > 0) {
		uint64_t stop;

		if (__builtin_add_overflow(offset, len, &stop) || stop > size)
			return rb_fail(err, RB_ERR_CORRUPT, "%s: data beyond the size",
				       archive_entry_pathname(ap->entry));
		if ((r = write_piece(fd, piece, len, offset, &end)) < 0)
			return entry_fail(ap, r, "write", err);
	}
	if (r < 0)
		return -1;
	if (end != size && ftruncate(fd, (off_t)size) < 0)
		return entry_fail(ap, -errno, "set the size", err);
	return 0;
}

/* --- entries */

static int apply_file(struct applier *ap, struct rb_error **err)
{
	RB_CLEANUP(rb_closep) int fd = place(ap, make_file);

	if (fd < 0)
		return entry_fail(ap, rb_steal_fd(&fd), "create the file", err);
	return write_data(ap, fd, err) < 0 || set_metadata(ap, fd, "", err) < 0 ? -1 : 0;
}

static int apply_dir(struct applier *ap, struct rb_error **err)
{
	struct dir_meta m = {.order = ap->n_dirs};
	struct stat st;
	int r = 0;

	if (!*ap->base || (fstatat(ap->parent_fd, ap->base, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
			   S_ISDIR(st.st_mode)))
		m.clear = true;
	else
		r = place(ap, make_dir);
	if (r < 0)
		return entry_fail(ap, r, "create the directory", err);
	if (collect_xattrs(ap, &m.xattrs, &m.n_xattrs, err) < 0)
		return -1;
	m.clear |= ap->parent_has_acl;
	m.path = rb_strdup(ap->real.ptr);
	m.mode = archive_entry_perm(ap->entry) & 07777;
	m.uid = (uint32_t)archive_entry_uid(ap->entry);
	m.gid = (uint32_t)archive_entry_gid(ap->entry);
	entry_times(ap->entry, m.times);
	rb_grow(ap->dirs, ap->n_dirs, &ap->cap_dirs);
	ap->dirs[ap->n_dirs++] = m;
	return 0;
}

static int apply_hardlink(struct applier *ap, struct rb_error **err)
{
	int r = place(ap, make_hardlink);

	if (r == -ENOENT || r == -EPERM)
		return rb_fail(
			err, RB_ERR_CORRUPT, "%s: hard link to %s, which is no file of this image",
			archive_entry_pathname(ap->entry), archive_entry_hardlink(ap->entry));
	return r < 0 ? entry_fail(ap, r, "link", err) : 0;
}

static int apply_whiteout(struct applier *ap, const char *clean, enum rb_whiteout kind,
			  struct rb_error **err)
{
	const char *name = archive_entry_pathname(ap->entry);

	if (ap->spec->plain_archive)
		return rb_whiteout_refuse(clean, err);
	if (kind == RB_WHITEOUT_BAD)
		return rb_fail(err, RB_ERR_CORRUPT, "%s: not a possible whiteout", name);
	if (kind == RB_WHITEOUT_METADATA || ap->spec->upper_fd < 0)
		return 0;
	int r = locate(ap, clean, false);
	if (r == -ENOENT || r == -ENOTDIR)
		return 0; /* nothing to delete */
	if (r < 0)
		return entry_fail(ap, r, "find its directory", err);
	if (kind == RB_WHITEOUT_DIR) {
		rb_strv_add(&ap->opaque, ap->parent_real.ptr);
		return 0;
	}
	RB_CLEANUP(rb_strp) char *real = rb_strdup(ap->real.ptr);
	char *base = real + (ap->base - ap->real.ptr);
	const char *hidden = base + strlen(RB_WHITEOUT_PREFIX);
	memmove(base, hidden, strlen(hidden) + 1);
	forget_parent(ap);
	return rb_whiteout_delete(ap->spec, real, &ap->opaque, err);
}

/* Asked of the name as written, and of where links took it. */
static int check_depth(struct applier *ap, const char *path, struct rb_error **err)
{
	unsigned depth = 1;

	for (const char *p = path; *p; p++)
		depth += *p == '/';
	if (depth <= ap->spec->limits->depth)
		return 0;
	return rb_fail(err, RB_ERR_CORRUPT, "%.80s...: deeper than the limit of %u directories",
		       path, ap->spec->limits->depth);
}

/* Whether a name leaves where it starts: "a/../../b". */
static bool climbs_out(const char *name)
{
	int depth = 0;

	while (*name && depth >= 0) {
		size_t len = strcspn(name, "/");

		if (len == 2 && name[0] == '.' && name[1] == '.')
			depth--;
		else if (len && !(len == 1 && name[0] == '.'))
			depth++;
		name += len + (name[len] == '/');
	}
	return depth < 0;
}

static int check_entry(struct applier *ap, const char *clean, struct rb_error **err)
{
	struct archive_entry *e = ap->entry;
	const char *name = archive_entry_pathname(e);

	if (check_depth(ap, clean, err) < 0)
		return -1;
	if (ap->spec->plain_archive && climbs_out(name))
		return rb_fail(err, RB_ERR_CORRUPT, "%s leaves the directory it is unpacked into",
			       name);
	if (ap->spec->owner) {
		archive_entry_set_uid(e, ap->spec->owner->uid);
		archive_entry_set_gid(e, ap->spec->owner->gid);
	}
	if (archive_entry_uid(e) < 0 || archive_entry_uid(e) >= UINT32_MAX ||
	    archive_entry_gid(e) < 0 || archive_entry_gid(e) >= UINT32_MAX)
		return rb_fail(err, RB_ERR_CORRUPT, "%s: impossible owner", name);
	if (archive_entry_mtime_nsec(e) < 0 || archive_entry_mtime_nsec(e) >= 1000000000)
		return rb_fail(err, RB_ERR_CORRUPT, "%s: impossible time", name);
	return 0;
}

static int apply_other(struct applier *ap, const struct maker *m, struct rb_error **err)
{
	int r = place(ap, m->make);

	if (r < 0)
		return entry_fail(ap, r, "create", err);
	return set_metadata(ap, ap->parent_fd, ap->base, err);
}

static int apply_entry(struct applier *ap, struct rb_error **err)
{
	const char *name = archive_entry_pathname(ap->entry);
	RB_CLEANUP(rb_strp) char *clean = clean_below(ap, name);
	enum rb_whiteout kind = rb_whiteout_kind(clean);
	mode_t type = archive_entry_filetype(ap->entry);
	bool hardlink = archive_entry_hardlink(ap->entry) != NULL;

	if (check_entry(ap, clean, err) < 0)
		return -1;
	/* The directory that an archive is unpacked into stays what it is, as one that COPY copies
	 * into: "./" has the mode and the owner that its maker's temporary directory happened to
	 * have. */
	if (ap->spec->plain_archive && rb_streq(clean, ap->prefix))
		return 0;
	if (kind != RB_WHITEOUT_NONE && !ap->spec->keep_whiteouts)
		return apply_whiteout(ap, clean, kind, err);
	if (!*clean && (type != AE_IFDIR || hardlink))
		return rb_fail(err, RB_ERR_CORRUPT, "%s: the root is a directory", name);
	int r = locate(ap, clean, true);
	if (r < 0)
		return entry_fail(ap, r, "make its directory", err);
	if (check_depth(ap, ap->real.ptr, err) < 0)
		return -1;
	if (hardlink)
		return apply_hardlink(ap, err);
	if (type == AE_IFREG)
		return apply_file(ap, err);
	if (type == AE_IFDIR)
		return apply_dir(ap, err);
	for (size_t i = 0; i < RB_ARRAY_LEN(makers); i++)
		if (makers[i].type == type)
			return apply_other(ap, &makers[i], err);
	return rb_fail(err, RB_ERR_CORRUPT, "%s: unknown kind of entry", name);
}

int rb_layer_apply_below(const struct rb_apply_spec *spec, const char *prefix,
			 struct rb_apply_result *ret, struct rb_error **err)
{
	RB_CLEANUP(rb_layer_reader_freep)
	struct rb_layer_reader *reader =
		rb_layer_reader_new(spec->src_fd, spec->limits, spec->plain_archive);
	RB_CLEANUP(applier_clear)
	struct applier ap = {.spec = spec,
			     .prefix = prefix,
			     .parent_fd = -1,
			     .parent_real = RB_BUF_INIT,
			     .real = RB_BUF_INIT};
	struct rb_apply_result result;
	int r;

	ap.tar = rb_tar_new(reader, spec->limits);
	while ((r = rb_tar_next(ap.tar, &ap.entry, err)) > 0)
		if (apply_entry(&ap, err) < 0)
			return -1;
	if (r < 0)
		return -1;
	/* Before the metadata, since a bad digest makes it useless; the tree is discarded then. */
	if (rb_layer_reader_finish(reader, spec->want_blob, spec->want_diff, &result, err) < 0 ||
	    rb_whiteout_finish(spec, &ap.opaque, err) < 0 || finish_dirs(&ap, err) < 0)
		return -1;
	result.entries = rb_tar_entries(ap.tar);
	*ret = result;
	return 0;
}

int rb_layer_apply(const struct rb_apply_spec *spec, struct rb_apply_result *ret,
		   struct rb_error **err)
{
	return rb_layer_apply_below(spec, "", ret, err);
}
