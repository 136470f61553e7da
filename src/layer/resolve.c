// SPDX-License-Identifier: Apache-2.0
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/path.h"
#include "base/sys.h"
#include "layer/acl.h"
#include "layer/layer-internal.h"

/* As many as the kernel follows (MAXSYMLINKS). */
enum { LINKS_MAX = 40 };

char *rb_layer_clean_name(const char *name)
{
	char *clean = rb_path_join_abs("/", name);

	memmove(clean, clean + 1, strlen(clean));
	return clean;
}

size_t rb_layer_push(struct rb_buf *path, const char *name)
{
	size_t len = path->len;

	if (len)
		rb_buf_addch(path, '/');
	rb_buf_addstr(path, name);
	return len;
}

int rb_layer_open(int rootfd, const char *real, int flags)
{
	for (;;) {
		int fd = rb_sys_openat2(rootfd, *real ? real : ".", flags | O_CLOEXEC, 0,
					RB_RESOLVE_BENEATH | RB_RESOLVE_NO_SYMLINKS |
						RB_RESOLVE_NO_MAGICLINKS);

		/* EAGAIN: a rename somewhere on the system raced with the walk. */
		if (fd != -EAGAIN && fd != -EINTR)
			return fd;
	}
}

int rb_layer_open_parent(int rootfd, const char *real, const char **ret_name)
{
	const char *slash = strrchr(real, '/');
	RB_CLEANUP(rb_strp)
	char *dir = slash ? rb_strndup(real, (size_t)(slash - real)) : rb_strdup("");

	*ret_name = slash ? slash + 1 : real;
	return rb_layer_open(rootfd, dir, O_PATH | O_DIRECTORY);
}

static void pop(struct rb_buf *path)
{
	char *slash = strrchr(path->ptr, '/');

	rb_buf_truncate(path, slash ? (size_t)(slash - path->ptr) : 0);
}

/*
 * Target of the link at `real`: its length, -EINVAL when it is something else, -ENOENT when
 * nothing is there.
 */
static ssize_t read_link(int rootfd, const char *real, char target[static PATH_MAX])
{
	RB_CLEANUP(rb_closep) int fd = rb_layer_open(rootfd, real, O_PATH | O_NOFOLLOW);

	if (fd < 0)
		return rb_steal_fd(&fd);
	ssize_t n = readlinkat(fd, "", target, PATH_MAX - 1);
	/* An O_PATH descriptor of something that is no link gives ENOENT here, not EINVAL. */
	if (n < 0)
		return errno == ENOENT ? -EINVAL : -errno;
	target[n] = '\0';
	return n;
}

int rb_layer_resolve(int rootfd, const char *path, struct rb_buf *ret)
{
	RB_CLEANUP(rb_strp) char *rest = rb_strdup(path);
	char target[PATH_MAX];
	unsigned links = 0;

	rb_buf_truncate(ret, 0);
	for (char *p = rest; *p;) {
		size_t len = strcspn(p, "/");
		RB_CLEANUP(rb_strp) char *name = rb_strndup(p, len);

		p += len + (p[len] == '/');
		if (len == 0 || rb_streq(name, "."))
			continue;
		if (rb_streq(name, "..")) {
			pop(ret);
			continue;
		}
		size_t before = rb_layer_push(ret, name);
		ssize_t n = read_link(rootfd, ret->ptr, target);
		if (n == -EINVAL || n == -ENOENT)
			continue;
		if (n < 0)
			return (int)n;
		if (++links > LINKS_MAX)
			return -ELOOP;
		rb_buf_truncate(ret, target[0] == '/' ? 0 : before);
		char *spliced = rb_asprintf("%s/%s", target, p);
		free(rest);
		p = rest = spliced;
	}
	return 0;
}

static int make_dir(int parent, const char *name, const char *real,
		    const struct rb_layer_made *made)
{
	if (mkdirat(parent, name, 0700) < 0)
		return -errno;
	RB_CLEANUP(rb_closep)
	int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	int r = rb_acl_inherit(parent, fd, "", 0700);
	if (r == 0)
		r = rb_ledger_chown(made->ledger, fd, "", real, made->uid, made->gid);
	if (r < 0)
		return r;
	return fchmod(fd, made->mode) < 0 ? -errno : 0;
}

int rb_layer_mkdirs(int rootfd, const char *real, const struct rb_layer_made *made)
{
	int fd = rb_layer_open(rootfd, real, O_PATH | O_DIRECTORY);

	if (fd != -ENOENT || !*real)
		return fd;
	/* From the root downwards: `real` exists up to some component and is missing from there. */
	RB_CLEANUP(rb_closep) int dir = rb_layer_open(rootfd, "", O_PATH | O_DIRECTORY);
	RB_CLEANUP(rb_strp) char *path = rb_strdup(real);
	if (dir < 0)
		return rb_steal_fd(&dir);
	for (char *name = path; name;) {
		char *slash = strchr(name, '/');

		if (slash)
			*slash = '\0';
		int r = make_dir(dir, name, path, made);
		if (r < 0 && r != -EEXIST)
			return r;
		int next = openat(dir, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (next < 0)
			return -errno;
		rb_closep(&dir);
		dir = next;
		if (slash)
			*slash = '/';
		name = slash ? slash + 1 : NULL;
	}
	return rb_steal_fd(&dir);
}

static int by_bytes(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

int rb_layer_list(int dirfd, struct rb_strv *ret)
{
	RB_CLEANUP(rb_closep) int fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);

	if (!d)
		return -errno;
	(void)rb_steal_fd(&fd);
	errno = 0;
	for (const struct dirent *e; (e = readdir(d));)
		if (!rb_streq(e->d_name, ".") && !rb_streq(e->d_name, ".."))
			rb_strv_add(ret, e->d_name);
	int r = -errno;
	closedir(d);
	if (r == 0 && ret->n)
		qsort(ret->v, ret->n, sizeof(*ret->v), by_bytes);
	return r;
}
