// SPDX-License-Identifier: Apache-2.0
#include "store/store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "store/store-internal.h"

static const char version_text[] = "1\n";

enum { VERSION_BYTES_MAX = 64, TEMP_AGE_S = 24 * 60 * 60 };

int rb_store_fail(struct rb_store *store, int neg, const char *what, struct rb_error **err)
{
	const char *hint = rb_space_hint(neg);

	if (neg == -EROFS || neg == -EACCES || neg == -EPERM)
		hint = " (use a place of your own with --root DIR)";
	return rb_fail_sys(err, neg, "cannot %s in the store %s%s", what, store->path, hint);
}

static char *default_root(struct rb_error **err)
{
	const char *root = getenv("RBUILD_ROOT"), *data = getenv("XDG_DATA_HOME"),
		   *home = getenv("HOME");

	if (root && *root)
		return rb_strdup(root);
	/* The XDG base directory specification has relative values ignored. */
	if (data && data[0] == '/')
		return rb_asprintf("%s/rbuild", data);
	if (home && *home)
		return rb_asprintf("%s/.local/share/rbuild", home);
	(void)rb_fail(err, RB_ERR_USAGE,
		      "no place for the store: HOME is not set; name one with --root DIR or "
		      "$RBUILD_ROOT");
	return NULL;
}

/* No lexical cleaning: "link/.." means what the kernel says. */
static char *absolute(const char *path, struct rb_error **err)
{
	if (path[0] == '/')
		return rb_strdup(path);
	RB_CLEANUP(rb_strp) char *cwd = getcwd(NULL, 0);
	if (!cwd) {
		(void)rb_fail_errno(err, "cannot find the current directory for --root %s", path);
		return NULL;
	}
	return rb_asprintf("%s/%s", cwd, path);
}

static int open_root_dir(struct rb_store *store, struct rb_error **err)
{
	const int flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC;

	store->fd = open(store->path, flags);
	if (store->fd < 0 && errno == ENOENT) {
		int r = rb_mkdirs_at(AT_FDCWD, store->path, 0700);

		if (r < 0)
			return rb_fail_sys(err, r, "cannot make the store %s%s", store->path,
					   " (use another place with --root DIR)");
		store->fd = open(store->path, flags);
	}
	if (store->fd < 0)
		return rb_fail_errno(err, "cannot open the store %s%s", store->path,
				     " (use a place of your own with --root DIR)");
	return 0;
}

/* Setuid files and secrets of images lie below: nobody else may get in (threats S42, S45). */
static int check_owner(struct rb_store *store, struct stat *st, struct rb_error **err)
{
	if (fstat(store->fd, st) < 0)
		return rb_fail_errno(err, "cannot stat the store %s", store->path);
	if (st->st_uid != geteuid())
		return rb_fail(err, RB_ERR_USAGE,
			       "the store %s belongs to uid %u, not to you (uid %u): name a "
			       "directory of your own with --root DIR or $RBUILD_ROOT",
			       store->path, (unsigned)st->st_uid, (unsigned)geteuid());
	return 0;
}

static int check_mode(struct rb_store *store, const struct stat *st, struct rb_error **err)
{
	if (st->st_mode & 077)
		return rb_fail(err, RB_ERR_USAGE,
			       "the store %s is open to other users (mode %04o): make it yours "
			       "alone with: chmod 700 %s",
			       store->path, (unsigned)(st->st_mode & 07777), store->path);
	return 0;
}

/* 1: there is a version and it is ours; 0: there is none. */
static int check_version(struct rb_store *store, struct rb_error **err)
{
	RB_CLEANUP(rb_buf_clear) struct rb_buf text = RB_BUF_INIT;

	if (rb_read_file_at(store->fd, "version", VERSION_BYTES_MAX, &text, err) < 0) {
		if ((*err)->code != RB_ERR_NOTFOUND)
			return rb_wrap(err, "the store %s", store->path);
		rb_error_drop(err); /* a new store */
		return 0;
	}
	if (rb_streq(text.ptr, version_text))
		return 1;
	text.ptr[strcspn(text.ptr, "\n")] = '\0';
	return rb_fail(
		err, RB_ERR_USAGE,
		"the store %s was made by another version of rbuild (layout \"%s\", this one "
		"knows 1): name another directory with --root DIR or $RBUILD_ROOT",
		store->path, text.ptr);
}

static bool is_empty_dir(int fd)
{
	RB_CLEANUP(rb_closep) int copy = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = copy < 0 ? NULL : fdopendir(copy);
	bool empty = d;

	if (!d)
		return false;
	(void)rb_steal_fd(&copy);
	for (struct dirent *e; empty && (e = readdir(d));)
		empty = rb_streq(e->d_name, ".") || rb_streq(e->d_name, "..") ||
			rb_starts_with(e->d_name, "version"); /* being founded */
	closedir(d);
	return empty;
}

/* Only an empty directory becomes a store: `--root $HOME` must not change the mode of a home. */
static int found(struct rb_store *store, struct rb_error **err)
{
	if (!is_empty_dir(store->fd)) {
		/* Another rbuild may have founded it since we looked. */
		int r = check_version(store, err);

		if (r)
			return r;
		return rb_fail(err, RB_ERR_USAGE,
			       "%s is neither empty nor a store of rbuild: name another directory "
			       "with --root DIR or $RBUILD_ROOT",
			       store->path);
	}
	if (fchmod(store->fd, 0700) < 0)
		return rb_store_fail(store, -errno, "set the mode of a directory", err);
	if (rb_publish_at(store->fd, "version", version_text, strlen(version_text), 0600, err) < 0)
		return rb_wrap(err, "the store %s", store->path);
	return 1;
}

static int open_store(struct rb_store *store, struct rb_error **err)
{
	struct stat st;

	if (open_root_dir(store, err) < 0 || check_owner(store, &st, err) < 0)
		return -1;
	/* First, since it may be removed just now. */
	rb_store_share(store);
	int known = check_version(store, err);
	if (known < 0)
		return -1;
	return known ? check_mode(store, &st, err) : found(store, err);
}

int rb_store_open(const char *root, struct rb_store **ret, struct rb_error **err)
{
	RB_CLEANUP(rb_strp) char *path = root ? rb_strdup(root) : default_root(err);
	RB_CLEANUP(rb_store_freep) struct rb_store *store = rb_calloc(1, sizeof(*store));

	store->fd = -1;
	rb_random_hex(store->mark, 4);
	if (!path)
		return -1;
	if (!*path)
		return rb_fail(err, RB_ERR_USAGE, "--root needs a directory");
	store->path = absolute(path, err);
	if (!store->path || open_store(store, err) < 0)
		return -1;
	*ret = rb_steal_ptr(&store);
	return 0;
}

void rb_store_free(struct rb_store *store)
{
	if (!store)
		return;
	rb_closep(&store->fd);
	free(store->path);
	free(store);
}

const char *rb_store_path(const struct rb_store *store)
{
	return store->path;
}

int rb_store_fd(const struct rb_store *store)
{
	return store->fd;
}

int rb_store_dir(struct rb_store *store, const char *rel, struct rb_error **err)
{
	const int flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC;
	int fd = openat(store->fd, rel, flags);

	if (fd < 0 && errno == ENOENT) {
		int r = rb_mkdirs_at(store->fd, rel, 0700);

		if (r < 0)
			return rb_store_fail(store, r, "make a directory", err);
		fd = openat(store->fd, rel, flags);
	}
	if (fd < 0)
		return rb_fail_errno(err, "cannot open %s in the store %s", rel, store->path);
	return fd;
}

/* Temporaries */

/*
 * A killed rbuild leaves its temporaries. One that nobody has touched for a day belongs to nobody;
 * what cannot be removed (ids of a namespace) is left to `reset`.
 */
static void reap_temps(struct rb_store *store, int tmp_fd)
{
	int fd = openat(tmp_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	time_t now = time(NULL);
	struct stat st;

	store->reaped = true;
	if (!d) {
		rb_closep(&fd);
		return;
	}
	for (struct dirent *e; (e = readdir(d));) {
		if (rb_streq(e->d_name, ".") || rb_streq(e->d_name, ".."))
			continue;
		if (fstatat(tmp_fd, e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
		    now - st.st_mtime < TEMP_AGE_S)
			continue;
		rb_log_debug("store: removing left-over tmp/%s", e->d_name);
		(void)rb_remove_tree_at(tmp_fd, e->d_name);
	}
	closedir(d);
}

void rb_store_temp_name(struct rb_store *store, char ret[static RB_STORE_TEMP_NAME_BYTES])
{
	char rnd[33];

	rb_random_hex(rnd, 16);
	(void)snprintf(ret, RB_STORE_TEMP_NAME_BYTES, "tmp/%s-%s", store->mark, rnd);
}

void rb_store_drop_temps(struct rb_store *store)
{
	int fd = openat(store->fd, "tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);

	if (!d) {
		rb_closep(&fd);
		return;
	}
	for (struct dirent *e; (e = readdir(d));)
		if (rb_starts_with(e->d_name, store->mark))
			(void)rb_remove_tree_at(fd, e->d_name);
	(void)closedir(d);
}

int rb_store_temp_open(struct rb_store *store, struct rb_store_temp *ret, struct rb_error **err)
{
	struct rb_store_temp t = RB_STORE_TEMP_INIT;

	rb_store_temp_name(store, t.name);
	if (!store->reaped) {
		RB_CLEANUP(rb_closep) int tmp_fd = rb_store_dir(store, "tmp", err);

		if (tmp_fd < 0)
			return -1;
		reap_temps(store, tmp_fd);
	}
	t.fd = openat(store->fd, t.name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
		      0600);
	if (t.fd < 0)
		return rb_store_fail(store, -errno, "create a temporary file", err);
	*ret = t;
	return 0;
}

void rb_store_temp_drop(struct rb_store *store, struct rb_store_temp *t)
{
	rb_closep(&t->fd);
	if (t->name[0])
		(void)unlinkat(store->fd, t->name, 0);
	t->name[0] = '\0';
}

int rb_store_temp_publish(struct rb_store *store, struct rb_store_temp *t, const char *rel,
			  mode_t mode, struct rb_error **err)
{
	const char *slash = strrchr(rel, '/');
	int r = fchmod(t->fd, mode) < 0 ? -errno : 0;

	if (r == 0)
		r = rb_close_written(&t->fd);
	if (r == 0 && renameat(store->fd, t->name, store->fd, rel) < 0)
		r = -errno;
	if (r == -ENOENT && slash) {
		RB_CLEANUP(rb_strp) char *dir = rb_strndup(rel, (size_t)(slash - rel));

		r = rb_mkdirs_at(store->fd, dir, 0700);
		if (r == 0 && renameat(store->fd, t->name, store->fd, rel) < 0)
			r = -errno;
	}
	if (r < 0) {
		rb_store_temp_drop(store, t);
		return rb_store_fail(store, r, "publish a file", err);
	}
	t->name[0] = '\0';
	return 0;
}

int rb_store_publish(struct rb_store *store, const char *rel, const void *data, size_t len,
		     struct rb_error **err)
{
	struct rb_store_temp t = RB_STORE_TEMP_INIT;

	if (rb_store_temp_open(store, &t, err) < 0)
		return -1;
	int r = rb_write_full(t.fd, data, len);
	if (r < 0) {
		rb_store_temp_drop(store, &t);
		return rb_store_fail(store, r, "write a file", err);
	}
	return rb_store_temp_publish(store, &t, rel, 0600, err);
}
