// SPDX-License-Identifier: Apache-2.0
#include "layer/ledger.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>
#include <uthash.h>

#include "base/fd.h"
#include "base/sys.h"
#include "layer/layer-internal.h"

enum {
	TABLE_BYTES_MAX = 256 << 20,
	ENTRY_BYTES_MAX = 64, /* five numbers of at most ten digits, a letter, colons */
};

struct row {
	char *path; /* key */
	struct rb_owner owner;
	UT_hash_handle hh;
};

struct tree {
	int diff_fd; /* borrowed; -1 for a topmost tree without add_tree */
	struct row *rows;
};

struct rb_ledger {
	uint32_t uid_limit, gid_limit;
	struct tree *trees; /* topmost first; there is always one */
	size_t n, cap;
	bool top_added;
	bool has_owners;
};

struct rb_ledger *rb_ledger_new(uint32_t uid_limit, uint32_t gid_limit)
{
	struct rb_ledger *l = rb_calloc(1, sizeof(*l));

	l->uid_limit = uid_limit;
	l->gid_limit = gid_limit;
	rb_grow(l->trees, l->n, &l->cap);
	l->trees[l->n++] = (struct tree){.diff_fd = -1};
	return l;
}

static void row_free(struct tree *t, struct row *row)
{
	HASH_DEL(t->rows, row);
	free(row->path);
	free(row);
}

void rb_ledger_free(struct rb_ledger *l)
{
	struct row *row, *tmp;

	if (!l)
		return;
	for (size_t i = 0; i < l->n; i++)
		HASH_ITER (hh, l->trees[i].rows, row, tmp)
			row_free(&l->trees[i], row);
	free(l->trees);
	free(l);
}

/* --- entries as text */

static int parse_number(struct rb_slice *s, uint32_t *ret)
{
	const char *colon = memchr(s->ptr, ':', s->len);
	size_t len = colon ? (size_t)(colon - s->ptr) : s->len;
	uint64_t v;
	int r = rb_parse_u64((struct rb_slice){s->ptr, len}, UINT32_MAX - 1, &v);

	if (r < 0 || (colon && len + 1 == s->len))
		return -EBADMSG;
	*ret = (uint32_t)v;
	s->ptr += len + (colon != NULL);
	s->len -= len + (colon != NULL);
	return 0;
}

static int parse_owner(struct rb_slice s, struct rb_owner *ret)
{
	struct rb_owner o = {0};

	if (parse_number(&s, &o.uid) < 0 || parse_number(&s, &o.gid) < 0)
		return -EBADMSG;
	if (s.len) {
		if (s.len < 2 || (s.ptr[0] != 'c' && s.ptr[0] != 'b') || s.ptr[1] != ':')
			return -EBADMSG;
		o.type = s.ptr[0] == 'c' ? S_IFCHR : S_IFBLK;
		s.ptr += 2;
		s.len -= 2;
		if (parse_number(&s, &o.major) < 0 || parse_number(&s, &o.minor) < 0 || s.len)
			return -EBADMSG;
	}
	*ret = o;
	return 0;
}

static size_t format_owner(const struct rb_owner *o, char buf[static ENTRY_BYTES_MAX])
{
	int n = o->type ? snprintf(buf, ENTRY_BYTES_MAX, "%u:%u:%c:%u:%u", o->uid, o->gid,
				   o->type == S_IFCHR ? 'c' : 'b', o->major, o->minor)
			: snprintf(buf, ENTRY_BYTES_MAX, "%u:%u", o->uid, o->gid);

	return (size_t)n;
}

int rb_owner_read(int dirfd, const char *name, struct rb_owner *ret)
{
	char buf[ENTRY_BYTES_MAX];
	ssize_t n = rb_sys_getxattr(dirfd, name, RB_LEDGER_XATTR, buf, sizeof(buf));

	if (n == -ENODATA || n == -EOPNOTSUPP)
		return 0;
	if (n < 0)
		return n == -ERANGE ? -EBADMSG : (int)n;
	int r = parse_owner((struct rb_slice){buf, (size_t)n}, ret);
	return r < 0 ? r : 1;
}

int rb_owner_write(int dirfd, const char *name, const struct rb_owner *o)
{
	char buf[ENTRY_BYTES_MAX];

	return rb_sys_setxattr(dirfd, name, RB_LEDGER_XATTR, buf, format_owner(o, buf));
}

/* --- tables */

static struct row *row_find(const struct tree *t, const char *path)
{
	struct row *row = NULL;

	HASH_FIND_STR(t->rows, path, row);
	return row;
}

static void row_set(struct tree *t, const char *path, const struct rb_owner *o)
{
	struct row *row = row_find(t, path);

	if (!row) {
		row = rb_calloc(1, sizeof(*row));
		row->path = rb_strdup(path);
		HASH_ADD_KEYPTR(hh, t->rows, row->path, strlen(row->path), row);
	}
	row->owner = *o;
}

static void row_drop(struct rb_ledger *l, const char *path)
{
	struct row *row = l->trees[0].rows ? row_find(&l->trees[0], path) : NULL;

	if (row)
		row_free(&l->trees[0], row);
}

/* Whether the tree has an entry of a kind that tables serve at the path. */
static bool tree_has(int diff_fd, const char *path, bool *ret_serves)
{
	RB_CLEANUP(rb_closep) int fd = rb_layer_open(diff_fd, path, O_PATH | O_NOFOLLOW);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return false;
	*ret_serves = rb_owner_in_table(st.st_mode);
	return true;
}

/*
 * The row of a merged entry. The entry exists, so the topmost tree that has its path provides it: a
 * row of another tree describes something that is hidden.
 */
static const struct rb_owner *row_lookup(const struct rb_ledger *l, const char *path)
{
	bool any = false, serves = true;

	for (size_t i = 0; i < l->n && !any; i++)
		any = l->trees[i].rows && row_find(&l->trees[i], path);
	if (!any)
		return NULL;
	for (size_t i = 0; i < l->n; i++) {
		if (l->n > 1 && !tree_has(l->trees[i].diff_fd, path, &serves))
			continue;
		const struct row *row = row_find(&l->trees[i], path);
		return row && serves ? &row->owner : NULL;
	}
	return NULL;
}

bool rb_owner_in_table(mode_t mode)
{
	return !S_ISREG(mode) && !S_ISDIR(mode);
}

void rb_ledger_each(const struct rb_ledger *l, rb_ledger_row_fn *fn, void *ctx)
{
	struct row *row, *tmp;

	for (size_t i = 0; i < l->n; i++)
		HASH_ITER (hh, l->trees[i].rows, row, tmp)
			if (row_lookup(l, row->path) == &row->owner)
				fn(ctx, row->path, &row->owner);
}

void rb_ledger_set(struct rb_ledger *l, const char *path, const struct rb_owner *o)
{
	row_set(&l->trees[0], path, o);
}

static int load_table(struct tree *t, const struct rb_buf *text, struct rb_error **err)
{
	for (const char *p = text->ptr, *end = p + text->len; p < end;) {
		size_t len = strnlen(p, (size_t)(end - p));
		const char *space = memchr(p, ' ', len);
		struct rb_owner o;

		if (p + len == end || !space ||
		    parse_owner((struct rb_slice){p, (size_t)(space - p)}, &o) < 0)
			return rb_fail(err, RB_ERR_CORRUPT, "damaged entry at byte %zu",
				       (size_t)(p - text->ptr));
		row_set(t, space + 1, &o);
		p += len + 1;
	}
	return 0;
}

int rb_ledger_add_tree(struct rb_ledger *l, int diff_fd, int table_dirfd, const char *name,
		       struct rb_error **err)
{
	RB_CLEANUP(rb_buf_clear) struct rb_buf text = RB_BUF_INIT;
	struct rb_error *e = NULL;

	if (l->top_added) {
		rb_grow(l->trees, l->n, &l->cap);
		l->trees[l->n++] = (struct tree){0};
	}
	l->top_added = true;
	struct tree *t = &l->trees[l->n - 1];
	t->diff_fd = diff_fd;
	if (rb_read_file_at(table_dirfd, name, TABLE_BYTES_MAX, &text, &e) < 0) {
		/* No file: every entry of that tree is as the disk says. */
		if (e->code == RB_ERR_NOTFOUND) {
			rb_error_free(e);
			return 0;
		}
		*err = e;
		return rb_wrap(err, "cannot read the ownership ledger");
	}
	if (load_table(t, &text, err) < 0)
		return rb_wrap(err, "ownership ledger %s", name);
	return 0;
}

static int by_path(const void *a, const void *b)
{
	return strcmp((*(struct row *const *)a)->path, (*(struct row *const *)b)->path);
}

int rb_ledger_save(const struct rb_ledger *l, int diff_fd, int dirfd, const char *name,
		   struct rb_error **err)
{
	RB_CLEANUP(rb_buf_clear) struct rb_buf text = RB_BUF_INIT;
	size_t n = HASH_COUNT(l->trees[0].rows), i = 0;
	struct row *row, *tmp;

	if (n == 0)
		return 0;
	struct row **sorted = rb_reallocarray(NULL, n, sizeof(*sorted));
	HASH_ITER (hh, l->trees[0].rows, row, tmp)
		sorted[i++] = row;
	qsort(sorted, n, sizeof(*sorted), by_path);
	for (i = 0; i < n; i++) {
		char entry[ENTRY_BYTES_MAX];
		bool serves;

		if (!tree_has(diff_fd, sorted[i]->path, &serves) || !serves)
			continue;
		rb_buf_add(&text, entry, format_owner(&sorted[i]->owner, entry));
		rb_buf_addch(&text, ' ');
		rb_buf_add(&text, sorted[i]->path, strlen(sorted[i]->path) + 1);
	}
	free(sorted);
	if (text.len > TABLE_BYTES_MAX)
		return rb_fail(err, RB_ERR_CORRUPT,
			       "ownership ledger is larger than %d bytes: too many links and pipes "
			       "with owners beyond the user namespace",
			       TABLE_BYTES_MAX);
	if (text.len && rb_publish_at(dirfd, name, text.ptr, text.len, 0600, err) < 0)
		return rb_wrap(err, "cannot save the ownership ledger");
	return 0;
}

/* --- the view of the image */

static int stat_at(int dirfd, const char *name, struct stat *ret)
{
	int flags = AT_SYMLINK_NOFOLLOW | (*name ? 0 : AT_EMPTY_PATH);

	return fstatat(dirfd, name, ret, flags) < 0 ? -errno : 0;
}

void rb_owner_apply(const struct rb_owner *o, struct stat *st)
{
	st->st_uid = o->uid;
	st->st_gid = o->gid;
	if (o->type && S_ISREG(st->st_mode)) {
		st->st_mode = (st->st_mode & 07777) | o->type;
		st->st_rdev = makedev(o->major, o->minor);
		st->st_size = 0;
	}
}

int rb_ledger_fix(const struct rb_ledger *l, int dirfd, const char *name, const char *path,
		  struct stat *st)
{
	const struct rb_owner *found = NULL;
	struct rb_owner o;

	if (S_ISREG(st->st_mode) || S_ISDIR(st->st_mode)) {
		int r = rb_owner_read(dirfd, name, &o);

		if (r < 0)
			return r;
		found = r ? &o : NULL;
	} else {
		found = row_lookup(l, path);
	}
	if (found)
		rb_owner_apply(found, st);
	return 0;
}

int rb_ledger_stat(const struct rb_ledger *l, int dirfd, const char *name, const char *path,
		   struct stat *ret)
{
	struct stat st;
	int r = stat_at(dirfd, name, &st);

	if (r == 0)
		r = rb_ledger_fix(l, dirfd, name, path, &st);
	if (r == 0)
		*ret = st;
	return r;
}

static int disk_chown(int dirfd, const char *name, uint32_t uid, uint32_t gid)
{
	int flags = AT_SYMLINK_NOFOLLOW | (*name ? 0 : AT_EMPTY_PATH);

	return fchownat(dirfd, name, uid, gid, flags) < 0 ? -errno : 0;
}

static int record(struct rb_ledger *l, int dirfd, const char *name, const char *path,
		  const struct rb_owner *o)
{
	struct stat st;
	int r = stat_at(dirfd, name, &st);

	if (r < 0)
		return r;
	/*
	 * The disk says 0:0, where 0 is an id at all. A symlink or FIFO of a lower directory is
	 * copied up by the call even when it changes nothing: its row is in the topmost table and
	 * must have an entry there.
	 */
	if (l->uid_limit && l->gid_limit &&
	    (st.st_uid || st.st_gid || rb_owner_in_table(st.st_mode)))
		r = disk_chown(dirfd, name, 0, 0);
	if (r < 0)
		return r;
	l->has_owners |= o->type == 0;
	if (!rb_owner_in_table(st.st_mode))
		return rb_owner_write(dirfd, name, o);
	row_set(&l->trees[0], path, o);
	return 0;
}

bool rb_ledger_has_owners(const struct rb_ledger *l)
{
	return l->has_owners;
}

void rb_ledger_note_owners(struct rb_ledger *l)
{
	l->has_owners = true;
}

int rb_ledger_chown(struct rb_ledger *l, int dirfd, const char *name, const char *path,
		    uint32_t uid, uint32_t gid)
{
	struct rb_owner o = {0};
	int had = rb_owner_read(dirfd, name, &o);

	if (had < 0)
		return had;
	if (!o.type && uid < l->uid_limit && gid < l->gid_limit) {
		int r = disk_chown(dirfd, name, uid, gid);

		if (r == 0 && had)
			r = rb_sys_removexattr(dirfd, name, RB_LEDGER_XATTR);
		if (r == 0)
			row_drop(l, path);
		return r;
	}
	o.uid = uid;
	o.gid = gid;
	return record(l, dirfd, name, path, &o);
}

int rb_ledger_mknod(struct rb_ledger *l, int dirfd, const char *name, const char *path, mode_t mode,
		    dev_t rdev)
{
	struct rb_owner o = {.type = mode & S_IFMT, .major = major(rdev), .minor = minor(rdev)};

	if (o.type != S_IFCHR && o.type != S_IFBLK)
		return -EINVAL;
	RB_CLEANUP(rb_closep)
	int fd = openat(dirfd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	row_drop(l, path);
	int r = rb_owner_write(fd, "", &o);
	if (r == 0 && fchmod(fd, mode & 07777) < 0)
		r = -errno;
	if (r < 0)
		(void)unlinkat(dirfd, name, 0);
	return r;
}
