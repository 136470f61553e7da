// SPDX-License-Identifier: Apache-2.0
/*
 * Content checksums (dockerfile.md 5.6). An entry's digest is the SHA-256 of its header and its
 * content; that of a directory goes over the names and digests of what is in it, sorted. The same
 * tree has the same checksum as a local context and as the view of a snapshot.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/path.h"
#include "context/context-internal.h"
#include "layer/copy.h"

enum { READ_BYTES = 256 * 1024 };

/* Changes whenever what is hashed changes: keys of another format must not meet. */
static const char format[] = "rbuild entry 1";

struct walk {
	const struct rb_source_root *root;
	const struct rb_match *match;
	struct rb_statcache *sc; /* NULL: none */
	struct rb_hash *hash;    /* for one entry at a time */
	char *block;             /* READ_BYTES */
	struct rb_buf path;      /* of the entry, in the root */
	unsigned depth;
};

/* An entry as it is being hashed. name "" is dirfd itself. */
struct entry {
	int dirfd;
	const char *name;
	struct stat st;
};

static int entry_stat(const struct walk *w, struct entry *e)
{
	int flags = AT_SYMLINK_NOFOLLOW | (*e->name ? 0 : AT_EMPTY_PATH);

	if (w->root->ledger)
		return rb_ledger_stat(w->root->ledger, e->dirfd, e->name, w->path.ptr, &e->st);
	if (fstatat(e->dirfd, e->name, &e->st, flags) < 0)
		return -errno;
	/* Whoever has the files of a context: in the image they are root's. */
	e->st.st_uid = e->st.st_gid = 0;
	return 0;
}

static void hash_xattrs(struct rb_hash *h, const struct rb_xattr *v, size_t n)
{
	rb_hash_addu64(h, n);
	for (size_t i = 0; i < n; i++) {
		rb_hash_addstr(h, v[i].name);
		rb_hash_addu64(h, v[i].len);
		rb_hash_add(h, v[i].value, v[i].len);
	}
}

static int hash_header(struct walk *w, const struct entry *e, const char *link)
{
	const struct stat *st = &e->st;
	struct rb_hash *h = w->hash;
	/* A socket is copied as an empty regular file. */
	mode_t type = S_ISSOCK(st->st_mode) ? S_IFREG : st->st_mode & S_IFMT;
	bool device = S_ISCHR(st->st_mode) || S_ISBLK(st->st_mode);
	struct rb_xattr *v = NULL;
	ssize_t n = rb_xattrs_read(e->dirfd, e->name, &v);

	if (n < 0)
		return (int)n;
	rb_hash_addstr(h, format);
	rb_hash_addu64(h, type);
	rb_hash_addu64(h, S_ISLNK(type) ? 0777 : st->st_mode & 07777);
	rb_hash_addu64(h, st->st_uid);
	rb_hash_addu64(h, st->st_gid);
	rb_hash_addu64(h, S_ISREG(st->st_mode) ? (uint64_t)st->st_size : 0);
	rb_hash_addu64(h, device ? major(st->st_rdev) : 0);
	rb_hash_addu64(h, device ? minor(st->st_rdev) : 0);
	rb_hash_addstr(h, link);
	hash_xattrs(h, v, (size_t)n);
	rb_xattrs_free(v, (size_t)n);
	return 0;
}

/* A file's bytes; *after is its lstat behind them. */
static int hash_content(struct walk *w, const struct entry *e, struct stat *after)
{
	RB_CLEANUP(rb_closep)
	int fd = openat(e->dirfd, e->name,
			O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return -errno;
	if (fstat(fd, after) < 0)
		return -errno;
	/* A name that became something else between lstat and open. */
	if (after->st_ino != e->st.st_ino || !S_ISREG(after->st_mode))
		return -ESTALE;
	while ((n = rb_read_full(fd, w->block, READ_BYTES)) > 0)
		rb_hash_add(w->hash, w->block, (size_t)n);
	if (n < 0)
		return (int)n;
	return fstat(fd, after) < 0 ? -errno : 0;
}

static int hash_leaf(struct walk *w, const struct entry *e, struct rb_digest *ret)
{
	int64_t started_ns = w->sc ? rb_statcache_now_ns() : 0;
	struct stat after = e->st;
	char link[PATH_MAX];
	int r;

	if (w->sc && rb_statcache_get(w->sc, w->path.ptr, &e->st, ret))
		return 0;
	if (S_ISLNK(e->st.st_mode)) {
		ssize_t n = readlinkat(e->dirfd, e->name, link, sizeof(link) - 1);

		if (n < 0)
			return -errno;
		link[n] = '\0';
	}
	r = hash_header(w, e, S_ISLNK(e->st.st_mode) ? link : NULL);
	if (r == 0 && S_ISREG(e->st.st_mode))
		r = hash_content(w, e, &after);
	*ret = rb_hash_final(w->hash); /* on error too: it starts afresh */
	if (r == 0 && w->sc)
		rb_statcache_put(w->sc, w->path.ptr, &e->st, &after, started_ns, ret);
	return r;
}

static int hash_entry(struct walk *w, struct entry *e, bool *ret_there, struct rb_digest *ret,
		      struct rb_error **err);

/* Adds names and digests of what is in a directory. */
static int hash_children(struct walk *w, int dirfd, struct rb_buf *ret, struct rb_error **err)
{
	RB_CLEANUP(rb_strv_clear) struct rb_strv names = RB_STRV_INIT;
	size_t len = w->path.len;
	int r = w->depth > RB_SOURCE_DEPTH_MAX ? -ENAMETOOLONG : rb_list_names(dirfd, &names);

	if (r < 0)
		return rb_source_fail(w->root, w->path.ptr, r, err);
	bool at_root = rb_streq(w->path.ptr, ".");
	w->depth++;
	for (size_t i = 0; i < names.n && r == 0; i++) {
		struct entry e = {.dirfd = dirfd, .name = names.v[i]};
		struct rb_digest digest;
		bool there;

		rb_source_push(&w->path, e.name);
		r = hash_entry(w, &e, &there, &digest, err);
		rb_buf_truncate(&w->path, at_root ? 0 : len);
		if (r == 0 && there) {
			rb_buf_add(ret, e.name, strlen(e.name) + 1);
			rb_buf_add(ret, digest.bytes, sizeof(digest.bytes));
		}
	}
	w->depth--;
	if (at_root)
		rb_buf_addstr(&w->path, ".");
	return r;
}

static int hash_dir(struct walk *w, const struct entry *e, bool excluded, bool *ret_there,
		    struct rb_digest *ret, struct rb_error **err)
{
	RB_CLEANUP(rb_buf_clear) struct rb_buf children = RB_BUF_INIT;
	RB_CLEANUP(rb_closep)
	int fd = openat(e->dirfd, *e->name ? e->name : ".",
			O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0)
		return rb_source_fail(w->root, w->path.ptr, -errno, err);
	if (hash_children(w, fd, &children, err) < 0)
		return -1;
	*ret_there = !excluded || children.len;
	int r = hash_header(w, e, NULL);
	rb_hash_add(w->hash, children.ptr, children.len);
	*ret = rb_hash_final(w->hash);
	return r < 0 ? rb_source_fail(w->root, w->path.ptr, r, err) : 0;
}

/* *ret_there: false when it is left out. */
static int hash_entry(struct walk *w, struct entry *e, bool *ret_there, struct rb_digest *ret,
		      struct rb_error **err)
{
	const int verdict = rb_source_verdict(w->root, w->match, w->path.ptr);
	const bool excluded = verdict != RB_COPY_TAKE;

	*ret_there = !excluded;
	if (verdict == RB_COPY_SKIP)
		return 0;
	int r = entry_stat(w, e);
	if (r == 0 && S_ISDIR(e->st.st_mode))
		return hash_dir(w, e, excluded, ret_there, ret, err);
	if (r == 0 && !excluded)
		r = hash_leaf(w, e, ret);
	return r < 0 ? rb_source_fail(w->root, w->path.ptr, r, err) : 0;
}

static int hash_top(struct walk *w, struct rb_digest *ret, struct rb_error **err)
{
	RB_CLEANUP(rb_strp) char *name = NULL;
	struct entry e = {.dirfd = w->root->root_fd, .name = ""};
	RB_CLEANUP(rb_closep) int parent = -1;
	bool there;

	if (!rb_streq(w->path.ptr, ".")) {
		parent = rb_open_parent_in_root(w->root->root_fd, w->path.ptr, O_PATH, &name);
		if (parent < 0)
			return rb_source_fail(w->root, w->path.ptr, parent, err);
		e.dirfd = parent;
		e.name = name;
	}
	if (hash_entry(w, &e, &there, ret, err) < 0)
		return -1;
	return there ? 0 : rb_source_fail(w->root, w->path.ptr, -ENOENT, err);
}

int rb_source_checksum(const struct rb_source_root *root, const struct rb_match *m,
		       struct rb_statcache *sc, struct rb_digest *ret, struct rb_error **err)
{
	RB_CLEANUP(rb_strp) char *block = rb_malloc(READ_BYTES);
	RB_CLEANUP(rb_hash_freep) struct rb_hash *hash = rb_hash_new();
	struct walk w = {.root = root,
			 .match = m,
			 .sc = sc,
			 .hash = hash,
			 .block = block,
			 .path = RB_BUF_INIT};

	rb_buf_addstr(&w.path, m->path);
	int r = hash_top(&w, ret, err);
	rb_buf_clear(&w.path);
	return r;
}
