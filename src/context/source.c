// SPDX-License-Identifier: Apache-2.0
/* Which entries of a root the source of a COPY names (dockerfile.md 3.9, rules 1 to 3). */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/path.h"
#include "context/context-internal.h"
#include "layer/copy.h"

/* As many links as the kernel follows in one path. */
enum { LINKS_MAX = 40 };

void rb_source_push(struct rb_buf *path, const char *name)
{
	if (rb_streq(path->ptr, "."))
		rb_buf_truncate(path, 0);
	if (path->len && *name)
		rb_buf_addch(path, '/');
	rb_buf_addstr(path, name);
	if (!path->len)
		rb_buf_addstr(path, ".");
}

/* What the root is, for messages. */
static const char *where(const struct rb_source_root *root)
{
	if (root->where)
		return root->where;
	return root->ledger ? "the image" : "the build context";
}

int rb_source_fail(const struct rb_source_root *root, const char *path, int neg,
		   struct rb_error **err)
{
	const char *advice = "";

	if ((neg == -EACCES || neg == -EPERM) && !root->ledger)
		advice = "; make it readable or list it in .dockerignore";
	else if (neg == -ENOENT || neg == -ESTALE)
		advice = ", it disappeared while it was read";
	return rb_error_push(err, RB_ERR_CONTEXT, -neg, RB_HERE, "cannot read \"%s\" in %s: %s%s",
			     path, where(root), strerrordesc_np(-neg), advice);
}

static bool is_excluded(const struct rb_source_root *root, const char *path)
{
	return root->ignore && rb_ignore_matches(root->ignore, path, NULL);
}

static int verdict(const struct rb_ignore *rules, const char *path)
{
	if (!rules || !rb_ignore_matches(rules, path, NULL))
		return RB_COPY_TAKE;
	return rb_ignore_may_reinclude(rules, path) ? RB_COPY_DESCEND : RB_COPY_SKIP;
}

int rb_source_verdict(const struct rb_source_root *root, const struct rb_match *m, const char *path)
{
	size_t n = rb_streq(m->path, ".") ? 0 : strlen(m->path);
	const char *below = path + n + (path[n] == '/');
	const int all[] = {
		verdict(root->ignore, path),
		m->is_dir ? verdict(root->exclude, below) : RB_COPY_TAKE,
		verdict(m->include, below),
	};
	int worst = RB_COPY_TAKE;

	for (size_t i = 0; i < RB_ARRAY_LEN(all); i++)
		if (all[i] == RB_COPY_SKIP || worst == RB_COPY_TAKE)
			worst = all[i];
	return worst;
}

int rb_source_skip(void *ctx, const char *path, bool is_dir)
{
	const struct rb_selection *sel = ctx;
	int r = rb_source_verdict(sel->root, sel->match, path);

	return r == RB_COPY_DESCEND && !is_dir ? RB_COPY_SKIP : r;
}

/* Neither an entry nor anything below it is part of the root. */
static bool root_skips(const struct rb_source_root *root, const char *path)
{
	return is_excluded(root, path) && !rb_ignore_may_reinclude(root->ignore, path);
}

/* --- resolving --- */

/* A path that is being resolved: `done` has no link in it, `rest` is still to be looked at. */
struct resolution {
	struct rb_buf done;
	char *rest;
	unsigned links;
};

static void resolution_clear(struct resolution *r)
{
	rb_buf_clear(&r->done);
	free(r->rest);
}

/* Takes the next component off `rest`; NULL at the end. Caller frees. */
static char *next_component(struct resolution *r)
{
	const char *p = r->rest + strspn(r->rest, "/");
	size_t n = strcspn(p, "/");

	if (n == 0)
		return NULL;
	char *name = rb_strndup(p, n), *rest = rb_strdup(p + n);
	free(r->rest);
	r->rest = rest;
	return name;
}

static void pop(struct rb_buf *path)
{
	char *slash = strrchr(path->ptr, '/');

	rb_buf_truncate(path, slash ? (size_t)(slash - path->ptr) : 0);
	rb_source_push(path, "");
}

/* Follows the link that `done` ends with. */
static int follow(const struct rb_source_root *root, int link_fd, struct resolution *r)
{
	char target[PATH_MAX];
	ssize_t n = readlinkat(link_fd, "", target, sizeof(target) - 1);

	if (n < 0)
		return -errno;
	target[n] = '\0';
	/* A link that is not in the context leads nowhere. */
	if (++r->links > LINKS_MAX)
		return -ELOOP;
	if (is_excluded(root, r->done.ptr))
		return -ENOENT;
	char *rest = rb_asprintf("%s/%s", target, r->rest);
	free(r->rest);
	r->rest = rest;
	pop(&r->done);
	if (target[0] == '/') {
		rb_buf_truncate(&r->done, 0);
		rb_source_push(&r->done, "");
	}
	return 0;
}

static int resolve_component(const struct rb_source_root *root, const char *name,
			     struct resolution *r, struct stat *st)
{
	if (!S_ISDIR(st->st_mode))
		return -ENOTDIR;
	if (rb_streq(name, "."))
		return 0;
	if (rb_streq(name, "..")) {
		pop(&r->done);
		return 0;
	}
	rb_source_push(&r->done, name);
	RB_CLEANUP(rb_closep)
	int fd = rb_open_in_root(root->root_fd, r->done.ptr, O_PATH | O_NOFOLLOW, 0);
	if (fd < 0)
		return rb_steal_fd(&fd);
	if (fstat(fd, st) < 0)
		return -errno;
	if (!S_ISLNK(st->st_mode))
		return 0;
	st->st_mode = S_IFDIR; /* what the link is in */
	return follow(root, fd, r);
}

/* The path with every link in it resolved inside the root, also the last one. Mechanism; -ENOENT
 * also where an excluded link is in the way. */
static int resolve(const struct rb_source_root *root, const char *path, char **ret_path,
		   struct stat *ret_st)
{
	RB_CLEANUP(resolution_clear)
	struct resolution r = {.done = RB_BUF_INIT, .rest = rb_strdup(path)};
	struct stat st = {.st_mode = S_IFDIR};
	int result = 0;

	rb_source_push(&r.done, "");
	while (result == 0) {
		RB_CLEANUP(rb_strp) char *name = next_component(&r);

		if (!name)
			break;
		result = resolve_component(root, name, &r, &st);
	}
	if (result < 0)
		return result;
	*ret_path = rb_buf_steal(&r.done);
	*ret_st = st;
	return 0;
}

/* --- what is visible --- */

static int any_visible(const struct rb_source_root *root, int dirfd, struct rb_buf *path,
		       unsigned depth);

/* Whether an entry is part of the root: not excluded, or a directory with something in it that is
 * not. 1, 0 or -errno. */
static int is_visible(const struct rb_source_root *root, int dirfd, const char *name, bool is_dir,
		      struct rb_buf *path, unsigned depth)
{
	if (!is_excluded(root, path->ptr))
		return 1;
	if (!is_dir || root_skips(root, path->ptr))
		return 0;
	RB_CLEANUP(rb_closep)
	int fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	return any_visible(root, fd, path, depth + 1);
}

static int any_visible(const struct rb_source_root *root, int dirfd, struct rb_buf *path,
		       unsigned depth)
{
	RB_CLEANUP(rb_strv_clear) struct rb_strv names = RB_STRV_INIT;
	size_t len = path->len;
	struct stat st;
	int r = depth > RB_SOURCE_DEPTH_MAX ? -ENAMETOOLONG : rb_list_names(dirfd, &names);

	for (size_t i = 0; r == 0 && i < names.n; i++) {
		rb_source_push(path, names.v[i]);
		if (fstatat(dirfd, names.v[i], &st, AT_SYMLINK_NOFOLLOW) < 0)
			r = -errno;
		else
			r = is_visible(root, dirfd, names.v[i], S_ISDIR(st.st_mode), path, depth);
		rb_buf_truncate(path, len);
	}
	return r;
}

/* is_visible() of a resolved path. */
static int path_is_visible(const struct rb_source_root *root, const char *path, bool is_dir)
{
	RB_CLEANUP(rb_buf_clear) struct rb_buf p = RB_BUF_INIT;

	rb_buf_addstr(&p, path);
	if (!is_excluded(root, path))
		return 1;
	RB_CLEANUP(rb_strp) char *name = NULL;
	RB_CLEANUP(rb_closep)
	int dirfd = rb_open_parent_in_root(root->root_fd, path, O_PATH, &name);
	return dirfd < 0 ? dirfd : is_visible(root, dirfd, name, is_dir, &p, 0);
}

/* --- matching --- */

static void add_match(struct rb_matches *m, char *path /* takes */, const char *name, bool is_dir)
{
	rb_grow(m->v, m->n, &m->cap);
	m->v[m->n++] = (struct rb_match){.path = path, .name = rb_strdup(name), .is_dir = is_dir};
}

static void free_match(struct rb_match *m)
{
	free(m->path);
	free(m->name);
	rb_ignore_free(m->include);
}

void rb_matches_clear(struct rb_matches *m)
{
	for (size_t i = 0; i < m->n; i++)
		free_match(&m->v[i]);
	free(m->v);
	*m = (struct rb_matches){0};
}

/* " (did you mean x?)" from the entries beside it. */
static const char *suggest_entry(const struct rb_source_root *root, const char *path,
				 struct rb_buf *hint)
{
	/* Two short names are always near each other. */
	enum { NAMES_MAX = 2000, NAME_BYTES_MIN = 5 };
	RB_CLEANUP(rb_strv_clear) struct rb_strv names = RB_STRV_INIT;
	RB_CLEANUP(rb_strp) char *name = NULL;
	RB_CLEANUP(rb_closep)
	int fd = rb_open_parent_in_root(root->root_fd, path, O_PATH, &name);

	if (fd < 0 || strlen(name) < NAME_BYTES_MIN || rb_list_names(fd, &names) < 0)
		return "";
	return rb_suggest(hint, name, (const char *const *)names.v,
			  rb_min_size(names.n, NAMES_MAX));
}

static bool is_empty(const struct rb_source_root *root)
{
	RB_CLEANUP(rb_strv_clear) struct rb_strv names = RB_STRV_INIT;

	return rb_list_names(root->root_fd, &names) == 0 && names.n == 0;
}

/* What may have been meant by the name of nothing. */
static const char *missing_hint(const struct rb_source_root *root, const char *path,
				struct rb_buf *hint)
{
	if (is_empty(root)) {
		rb_buf_addf(hint, " (%s is empty)", where(root));
		return hint->ptr;
	}
	return suggest_entry(root, path, hint);
}

/* Why an entry that is on disk is not there for a COPY. */
static int fail_not_found(const struct rb_source_root *root, const char *path,
			  struct rb_error **err)
{
	RB_CLEANUP(rb_closep)
	int fd = rb_open_in_root(root->root_fd, path, O_PATH | O_NOFOLLOW, 0);
	RB_CLEANUP(rb_buf_clear) struct rb_buf hint = RB_BUF_INIT;
	const char *pattern = NULL;
	char target[PATH_MAX];

	if (fd >= 0 && root->ignore && rb_ignore_matches(root->ignore, path, &pattern))
		return rb_fail(err, RB_ERR_NOTFOUND,
			       "\"/%s\": not found: excluded by the pattern \"%s\" in %s", path,
			       pattern, root->ignore_file ? root->ignore_file : ".dockerignore");
	ssize_t n = fd < 0 ? -1 : readlinkat(fd, "", target, sizeof(target) - 1);
	if (n < 0)
		return rb_fail(err, RB_ERR_NOTFOUND, "\"/%s\": not found%s", path,
			       missing_hint(root, path, &hint));
	target[n] = '\0';
	return rb_fail(
		err, RB_ERR_NOTFOUND,
		"\"/%s\": not found: it is a symbolic link to \"%s\", which leads to nothing inside of %s",
		path, target, where(root));
}

static bool is_left_out(const struct rb_source_root *root, const char *path)
{
	return root->exclude && rb_ignore_matches(root->exclude, rb_path_base(path), NULL);
}

/* A link that leads to nothing is as good as any other file where nothing of it is taken. */
static bool is_left_out_link(const struct rb_source_root *root, const char *path)
{
	RB_CLEANUP(rb_closep)
	int fd = is_left_out(root, path)
			 ? rb_open_in_root(root->root_fd, path, O_PATH | O_NOFOLLOW, 0)
			 : -1;
	struct stat st;

	return fd >= 0 && fstat(fd, &st) == 0 && S_ISLNK(st.st_mode);
}

/* An entry that is named, "dir/link" for instance, becomes a match on what it leads to. */
static int match_path(const struct rb_source_root *root, const char *path, struct rb_matches *ret,
		      struct rb_error **err)
{
	RB_CLEANUP(rb_strp) char *resolved = NULL;
	struct stat st;
	int r = resolve(root, path, &resolved, &st);

	if (r < 0 && is_left_out_link(root, path))
		return 0;
	if (r == -ENOENT || r == -ENOTDIR)
		return fail_not_found(root, path, err);
	if (r < 0)
		return rb_source_fail(root, path, r, err);
	r = path_is_visible(root, resolved, S_ISDIR(st.st_mode));
	if (r < 0)
		return rb_source_fail(root, resolved, r, err);
	if (r == 0)
		return fail_not_found(root, resolved, err);
	if (!S_ISDIR(st.st_mode) && is_left_out(root, path))
		return 0;
	add_match(ret, rb_steal_ptr(&resolved), rb_path_base(path), S_ISDIR(st.st_mode));
	return 0;
}

/* A walk below the directory that comes before the first wildcard. */
struct walk {
	const struct rb_source_root *root;
	const struct rb_glob *glob;
	struct rb_buf path; /* of the entry, in the root */
	size_t prefix;      /* where the part starts that the pattern is for */
	struct rb_matches *ret;
};

static int walk_dir(struct walk *w, int dirfd, unsigned depth, struct rb_error **err);

static int walk_entry(struct walk *w, int dirfd, const char *name, unsigned depth,
		      struct rb_error **err)
{
	bool below;
	struct stat st;

	if (root_skips(w->root, w->path.ptr))
		return 0;
	if (rb_glob_matches(w->glob, w->path.ptr + w->prefix, &below)) {
		if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			return rb_source_fail(w->root, w->path.ptr, -errno, err);
		int r = is_visible(w->root, dirfd, name, S_ISDIR(st.st_mode), &w->path, depth);
		if (r < 0)
			return rb_source_fail(w->root, w->path.ptr, r, err);
		return r ? match_path(w->root, w->path.ptr, w->ret, err) : 0;
	}
	if (!below)
		return 0;
	RB_CLEANUP(rb_closep)
	int fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 && (errno == ENOTDIR || errno == ELOOP)) /* links are not walked into */
		return 0;
	if (fd < 0)
		return rb_source_fail(w->root, w->path.ptr, -errno, err);
	return walk_dir(w, fd, depth + 1, err);
}

static int walk_dir(struct walk *w, int dirfd, unsigned depth, struct rb_error **err)
{
	RB_CLEANUP(rb_strv_clear) struct rb_strv names = RB_STRV_INIT;
	size_t len = w->path.len;
	int r = depth > RB_SOURCE_DEPTH_MAX ? -ENAMETOOLONG : rb_list_names(dirfd, &names);

	if (r < 0)
		return rb_source_fail(w->root, w->path.ptr, r, err);
	for (size_t i = 0; i < names.n; i++) {
		rb_source_push(&w->path, names.v[i]);
		r = walk_entry(w, dirfd, names.v[i], depth, err);
		rb_buf_truncate(&w->path, len);
		if (r < 0)
			return -1;
	}
	return 0;
}

static int match_below(const struct rb_source_root *root, const char *dir,
		       const struct rb_glob *glob, struct rb_matches *ret, struct rb_error **err)
{
	RB_CLEANUP(rb_strp) char *resolved = NULL;
	struct stat st;
	int r = resolve(root, dir, &resolved, &st);

	if (r == -ENOENT || r == -ENOTDIR || (r == 0 && !S_ISDIR(st.st_mode)))
		return 0;
	RB_CLEANUP(rb_closep)
	int fd = r < 0 ? r : rb_open_in_root(root->root_fd, resolved, O_RDONLY | O_DIRECTORY, 0);
	if (fd < 0)
		return rb_source_fail(root, dir, fd, err);
	struct walk w = {.root = root, .glob = glob, .path = RB_BUF_INIT, .ret = ret};
	if (!rb_streq(resolved, ".")) {
		rb_buf_addstr(&w.path, resolved);
		w.prefix = w.path.len + 1;
	}
	r = walk_dir(&w, fd, 0, err);
	rb_buf_clear(&w.path);
	return r;
}

/* Where the first component with a wildcard starts. */
static const char *first_wildcard(const char *path)
{
	for (const char *p = path;;) {
		size_t n = strcspn(p, "/");
		RB_CLEANUP(rb_strp) char *name = rb_strndup(p, n);

		if (rb_path_has_wildcard(name))
			return p;
		if (!p[n])
			return NULL;
		p += n + 1;
	}
}

int rb_source_find(const struct rb_source_root *root, const char *path, struct rb_matches *ret,
		   struct rb_error **err)
{
	RB_CLEANUP(rb_strp) char *clean = rb_path_join_abs("/", path);

	return match_path(root, clean[1] ? clean + 1 : ".", ret, err);
}

int rb_source_match(const struct rb_source_root *root, const char *source, struct rb_matches *ret,
		    struct rb_error **err)
{
	RB_CLEANUP(rb_strp) char *clean = rb_path_join_abs("/", source);
	const char *rel = clean[1] ? clean + 1 : ".", *pattern = first_wildcard(rel);
	RB_CLEANUP(rb_glob_clear) struct rb_glob glob = {0};

	if (!pattern)
		return match_path(root, rel, ret, err);
	if (rb_glob_add(&glob, pattern, false) < 0)
		return rb_fail(err, RB_ERR_DOCKERFILE, "syntax error in pattern: \"%s\"", source);
	RB_CLEANUP(rb_strp)
	char *dir = pattern == rel ? rb_strdup(".") : rb_strndup(rel, (size_t)(pattern - rel) - 1);
	return match_below(root, dir, &glob, ret, err);
}

/* --- --parents --- */

static int fail_link_in_the_way(const char *path, const char *resolved, struct rb_error **err)
{
	return rb_fail(
		err, RB_ERR_NOTFOUND,
		"\"/%s\": not found: a symbolic link on the way leads to \"/%s\", and --parents follows links only before the pivot \"/./\"; name the directory itself",
		path, resolved);
}

/* A name without a pattern must be there: an entry in directories that are no links. */
static int check_named(const struct rb_source_root *root, const char *path, struct rb_error **err)
{
	const char *slash = strrchr(path, '/');
	RB_CLEANUP(rb_strp)
	char *dir = slash ? rb_strndup(path, (size_t)(slash - path)) : rb_strdup(".");
	RB_CLEANUP(rb_strp) char *resolved = NULL;
	struct stat st;
	int r = resolve(root, dir, &resolved, &st);

	if (r == 0 && !rb_streq(resolved, dir))
		return fail_link_in_the_way(path, resolved, err);
	RB_CLEANUP(rb_closep)
	int fd = r < 0 ? r : rb_open_in_root(root->root_fd, path, O_PATH | O_NOFOLLOW, 0);
	if (fd == -ENOENT || fd == -ENOTDIR)
		return fail_not_found(root, path, err);
	if (fd < 0 || fstat(fd, &st) < 0)
		return rb_source_fail(root, path, fd < 0 ? fd : -errno, err);
	r = path_is_visible(root, path, S_ISDIR(st.st_mode));
	if (r < 0)
		return rb_source_fail(root, path, r, err);
	return r ? 0 : fail_not_found(root, path, err);
}

/* What comes before the pivot has to be directories; a wildcard takes those it finds. */
static int drop_files(struct rb_matches *m, size_t first, const char *base, struct rb_error **err)
{
	size_t n = first;

	for (size_t i = first; i < m->n; i++) {
		if (m->v[i].is_dir) {
			m->v[n++] = m->v[i];
			continue;
		}
		if (!rb_path_has_wildcard(base))
			return rb_fail(err, RB_ERR_DOCKERFILE, "\"/%s\": not a directory",
				       m->v[i].path);
		free_match(&m->v[i]);
	}
	m->n = n;
	return 0;
}

/* What the part behind the pivot takes of one directory. */
static int include_below(const struct rb_source_root *root, struct rb_match *m, const char *pattern,
			 struct rb_error **err)
{
	if (!*pattern)
		return 0;
	if (!strpbrk(pattern, "*?[\\")) {
		RB_CLEANUP(rb_buf_clear) struct rb_buf path = RB_BUF_INIT;

		rb_buf_addstr(&path, m->path);
		rb_source_push(&path, pattern);
		if (check_named(root, path.ptr, err) < 0)
			return -1;
	}
	return rb_ignore_new_all_but(pattern, &m->include, err);
}

int rb_source_match_parents(const struct rb_source_root *root, const char *source,
			    struct rb_matches *ret, struct rb_error **err)
{
	const char *pivot = strstr(source, "/./");
	RB_CLEANUP(rb_strp) char *base = rb_strndup(source, pivot ? (size_t)(pivot - source) : 0);
	RB_CLEANUP(rb_strp) char *clean = rb_path_join_abs("/", pivot ? pivot + 3 : source);
	size_t n = ret->n;

	if (rb_source_match(root, base, ret, err) < 0 || drop_files(ret, n, base, err) < 0)
		return -1;
	for (size_t i = n; i < ret->n; i++)
		if (include_below(root, &ret->v[i], clean + 1, err) < 0)
			return -1;
	return 0;
}
