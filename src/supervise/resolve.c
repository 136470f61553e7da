// SPDX-License-Identifier: Apache-2.0
/*
 * Paths as the caller sees them, below the root of the step. Most are opened by one call that
 * meets no symlink, or by one that follows symlinks inside the root. The walk, component by
 * component, serves the rest: what goes through /proc/self, which is somebody else for us; relative
 * paths with symlinks; and calls that change something, by callers that may not search every
 * directory. Who only looks is not kept from it: opening what exists is not either, and half a
 * check makes programs fail that get along with a whole one or none.
 */
#include <errno.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "supervise/supervise-internal.h"

enum { LINKS_MAX = 40, PROC_ROOT_INO = 1 };

/* --- where paths start --- */

static int open_root(const struct call *c)
{
	int fd;

	if (c->s->chrooted)
		return rb_caller_open(c, "root", O_PATH | O_DIRECTORY);
	fd = fcntl(c->s->root_fd, F_DUPFD_CLOEXEC, 3);
	return fd < 0 ? -errno : fd;
}

static int open_base(const struct call *c, int dirfd)
{
	struct stat st;

	if (dirfd == AT_FDCWD)
		return rb_caller_open(c, "cwd", O_PATH | O_DIRECTORY);
	RB_CLEANUP(rb_closep) int fd = rb_caller_fd(c, dirfd);
	if (fd < 0)
		return rb_steal_fd(&fd);
	if (fstat(fd, &st) < 0)
		return -errno;
	return S_ISDIR(st.st_mode) ? rb_steal_fd(&fd) : -ENOTDIR;
}

/* --- the walk --- */

struct walk {
	struct call *c;
	int root, at;
	struct stat root_st;
	unsigned links;
	bool restricted;         /* search permission is looked at */
	char rest[2 * PATH_MAX]; /* what is still to be walked */
};

static void walk_clear(struct walk *w)
{
	rb_closep(&w->root);
	rb_closep(&w->at);
}

static int read_link(int link_fd, char text[static PATH_MAX])
{
	ssize_t n = readlinkat(link_fd, "", text, PATH_MAX - 1);

	if (n < 0)
		return -errno;
	text[n] = '\0';
	return 0;
}

bool rb_on_proc(int fd)
{
	struct statfs fs;

	return fstatfs(fd, &fs) == 0 && fs.f_type == PROC_SUPER_MAGIC;
}

/* Whether the process of a /proc directory is in the caller's pid namespace: nobody else's roots
 * and descriptors are for the caller. */
static bool is_of_step(const struct walk *w, int proc_dir)
{
	struct stat theirs, callers;
	char path[32];

	(void)snprintf(path, sizeof(path), "%d/ns/pid", w->c->tid);
	if (fstatat(w->c->s->proc_fd, path, &callers, 0) < 0)
		return false;
	/* proc_dir is /proc/N, /proc/N/fd, /proc/N/task/M, /proc/N/task/M/fd, … */
	for (int up = 0; up < 4; up++) {
		static const char *const places[] = {"ns/pid", "../ns/pid", "../../ns/pid",
						     "../../../ns/pid"};

		if (fstatat(proc_dir, places[up], &theirs, 0) == 0)
			return theirs.st_dev == callers.st_dev && theirs.st_ino == callers.st_ino;
	}
	return false;
}

/*
 * A symlink of procfs: self and thread-self name the caller (for us, outside of its namespace, they
 * lead nowhere); other links of the top are text; what is below a process leads to an object, not
 * to a path. 1 when *ret_fd is that object, 0 when `text` holds the text to follow.
 */
static int proc_link(const struct walk *w, const char *name, int link_fd,
		     char text[static PATH_MAX], int *ret_fd)
{
	bool self = rb_streq(name, "self"), thread = rb_streq(name, "thread-self");
	struct caller_status st;
	struct stat dir;
	int r;

	if (fstat(w->at, &dir) < 0)
		return -errno;
	if (dir.st_ino == PROC_ROOT_INO && (self || thread)) {
		if ((r = rb_caller_status(w->c, &st)) < 0)
			return r;
		if (self)
			(void)snprintf(text, PATH_MAX, "%d", st.pid_inside);
		else
			(void)snprintf(text, PATH_MAX, "%d/task/%d", st.pid_inside, st.tid_inside);
		return 0;
	}
	if (dir.st_ino == PROC_ROOT_INO)
		return read_link(link_fd, text);
	if (!is_of_step(w, w->at))
		return -EACCES;
	int fd = openat(w->at, name, O_PATH | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	*ret_fd = fd;
	return 1;
}

/* Puts the text of a link in front of what is still to be walked. */
static int push_link(struct walk *w, const char *text)
{
	char joined[2 * PATH_MAX];
	int n = snprintf(joined, sizeof(joined), "%s%s%s", text, *w->rest ? "/" : "", w->rest);

	if (n < 0 || n >= (int)sizeof(joined))
		return -ENAMETOOLONG;
	memcpy(w->rest, joined, (size_t)n + 1);
	if (*text != '/')
		return 0;
	int fd = fcntl(w->root, F_DUPFD_CLOEXEC, 3);
	if (fd < 0)
		return -errno;
	rb_closep(&w->at);
	w->at = fd;
	return 0;
}

/* Moves on to what the link `name` (open as link_fd) in w->at leads to. */
static int follow(struct walk *w, const char *name, int link_fd)
{
	char text[PATH_MAX];
	int fd = -1, r;

	if (++w->links > LINKS_MAX)
		return -ELOOP;
	r = rb_on_proc(w->at) ? proc_link(w, name, link_fd, text, &fd) : read_link(link_fd, text);
	if (r == 1) {
		rb_closep(&w->at);
		w->at = fd;
		return 0;
	}
	return r < 0 ? r : push_link(w, text);
}

/*
 * Takes the first component off w->rest; 0 at the end. *ret_last when nothing but slashes follows,
 * *ret_slash when one follows.
 */
static int next_component(struct walk *w, char name[static NAME_MAX + 1], bool *ret_last,
			  bool *ret_slash)
{
	const char *p = w->rest + strspn(w->rest, "/");
	size_t len = strcspn(p, "/");

	if (len == 0)
		return 0;
	if (len > NAME_MAX)
		return -ENAMETOOLONG;
	memcpy(name, p, len);
	name[len] = '\0';
	p += len;
	*ret_slash = *p == '/';
	*ret_last = p[strspn(p, "/")] == '\0';
	memmove(w->rest, p, strlen(p) + 1);
	return 1;
}

static int check_directory(int fd)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	return S_ISDIR(st.st_mode) ? 0 : -ENOTDIR;
}

static int check_search(const struct walk *w)
{
	struct stat st;

	if (!w->restricted)
		return 0;
	int r = rb_entry_stat_as(w->c, w->at, &st);
	if (r < 0)
		return r;
	if (!S_ISDIR(st.st_mode))
		return -ENOTDIR;
	/* What /proc says of processes belongs to root for the kernel, whoever they are for us. */
	if (st.st_dev != w->c->s->root.st_dev && rb_on_proc(w->at))
		return 0;
	return rb_cred_may(&w->c->cred, &st, RB_MAY_EXEC);
}

static int step_up(struct walk *w)
{
	struct stat st;

	if (fstat(w->at, &st) < 0)
		return -errno;
	if (st.st_dev == w->root_st.st_dev && st.st_ino == w->root_st.st_ino)
		return 0;
	int fd = openat(w->at, "..", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	rb_closep(&w->at);
	w->at = fd;
	return 0;
}

static int step_into(struct walk *w, const char *name, bool stop_at_link)
{
	struct stat st;
	int r;

	if ((r = check_search(w)) < 0)
		return r;
	if (rb_streq(name, "."))
		return check_directory(w->at);
	if (rb_streq(name, ".."))
		return step_up(w);
	RB_CLEANUP(rb_closep)
	int fd = openat(w->at, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (S_ISLNK(st.st_mode) && !stop_at_link)
		return follow(w, name, fd);
	rb_closep(&w->at);
	w->at = rb_steal_fd(&fd);
	return 0;
}

static int walk_start(struct walk *w, struct call *c, int base, const char *path)
{
	w->c = c;
	memcpy(w->rest, path, strlen(path) + 1);
	if ((w->root = open_root(c)) < 0)
		return w->root;
	if (fstat(w->root, &w->root_st) < 0)
		return -errno;
	w->at = fcntl(*path == '/' ? w->root : base, F_DUPFD_CLOEXEC, 3);
	return w->at < 0 ? -errno : 0;
}

static int walk(struct call *c, int base, const char *path, bool follow_last, bool restricted)
{
	RB_CLEANUP(walk_clear) struct walk w = {.root = -1, .at = -1};
	char name[NAME_MAX + 1];
	bool last, slash;
	int r = walk_start(&w, c, base, path);

	w.restricted = restricted;

	while (r == 0 && (r = next_component(&w, name, &last, &slash)) > 0) {
		r = step_into(&w, name, last && !slash && !follow_last);
		/* What a link puts in front is still to come. */
		if (r == 0 && last && slash && w.rest[strspn(w.rest, "/")] == '\0')
			r = check_directory(w.at);
	}
	return r < 0 ? r : rb_steal_fd(&w.at);
}

/* --- the short ways --- */

#define NO_LINKS (RB_RESOLVE_NO_SYMLINKS | RB_RESOLVE_NO_MAGICLINKS)

static int try_root(const struct call *c, const char *path, int flags)
{
	RB_CLEANUP(rb_closep) int opened = c->s->chrooted ? open_root(c) : -1;
	int root = c->s->chrooted ? opened : c->s->root_fd;
	int fd = rb_sys_openat2(root, path, flags, 0, NO_LINKS | RB_RESOLVE_IN_ROOT);

	if (fd == -ELOOP)
		fd = rb_sys_openat2(root, path, flags, 0,
				    RB_RESOLVE_IN_ROOT | RB_RESOLVE_NO_MAGICLINKS);
	else if (fd == -ENOENT)
		return fd; /* and no link on the way to say otherwise */
	/* Behind a link may be /proc/self, which does not exist for us. */
	return fd == -ENOENT ? -ELOOP : fd;
}

static int resolve_from(struct call *c, int base, const char *path, bool follow_last)
{
	int flags = O_PATH | O_CLOEXEC | (follow_last ? 0 : O_NOFOLLOW), fd = -ELOOP;

	if (strlen(path) >= PATH_MAX)
		return -ENAMETOOLONG;
	if (*path == '/')
		fd = try_root(c, path, flags);
	/* Without links a relative path leaves a root of the mount namespace no more than any
	 * other of the caller's; a chroot is another matter. */
	else if (!c->s->chrooted)
		fd = rb_sys_openat2(base, path, flags, 0, NO_LINKS);
	if (fd == -ELOOP || fd == -EXDEV || fd == -EAGAIN || fd == -ENOSYS)
		return walk(c, base, path, follow_last, false);
	return fd;
}

int rb_resolve_parent_from(struct call *c, int base, const char *path, struct parent *ret)
{
	char dir[PATH_MAX];
	size_t len = strlen(path);

	if (len == 0)
		return -ENOENT;
	if (len >= PATH_MAX)
		return -ENAMETOOLONG;
	ret->slash = path[len - 1] == '/';
	while (len && path[len - 1] == '/')
		len--;
	size_t start = len;
	while (start && path[start - 1] != '/')
		start--;
	if (len - start > NAME_MAX)
		return -ENAMETOOLONG;
	/* "/" is its own entry. */
	(void)snprintf(ret->name, sizeof(ret->name), "%.*s", len ? (int)(len - start) : 1,
		       len ? path + start : ".");
	memcpy(dir, path, start);
	memcpy(dir + start, start ? "." : len ? "." : "/.", len ? 2 : 3);
	int fd = rb_cred_is_restricted(&c->cred) ? walk(c, base, dir, true, true)
						 : resolve_from(c, base, dir, true);
	if (fd < 0)
		return fd;
	int r = check_directory(fd);
	ret->fd = r < 0 ? -1 : fd;
	if (r < 0)
		(void)close(fd);
	return r;
}

const char *rb_parent_name(const struct parent *p, char buf[static NAME_MAX + 2])
{
	(void)snprintf(buf, NAME_MAX + 2, "%s%s", p->name, p->slash ? "/" : "");
	return buf;
}

int rb_resolve_from(struct call *c, int base, const char *path, bool follow_last)
{
	if (!*path)
		return -ENOENT;
	if (c->changes && strlen(path) < PATH_MAX && rb_cred_is_restricted(&c->cred))
		return walk(c, base, path, follow_last, true);
	return resolve_from(c, base, path, follow_last);
}

/* --- arguments of calls --- */

static int read_path(const struct call *c, uint64_t address, char path[static PATH_MAX])
{
	ssize_t n = rb_caller_string(c, address, path, PATH_MAX);

	return n < 0 ? (int)n : 0;
}

int rb_path_ends_in_slash(const struct call *c, uint64_t address)
{
	char path[PATH_MAX];
	ssize_t n = rb_caller_string(c, address, path, sizeof(path));

	return n < 0 ? (int)n : n > 0 && path[n - 1] == '/';
}

int rb_resolve(struct call *c, int dirfd, const char *path, bool follow_last)
{
	RB_CLEANUP(rb_closep) int base = -1;

	if (!*path)
		return -ENOENT; /* whatever the descriptor is */
	if (*path != '/' && (base = open_base(c, dirfd)) < 0)
		return rb_steal_fd(&base);
	return rb_resolve_from(c, base, path, follow_last);
}

int rb_resolve_self(const struct call *c, int dirfd)
{
	return dirfd == AT_FDCWD ? open_base(c, dirfd) : rb_caller_fd(c, dirfd);
}

int rb_resolve_at(struct call *c, int dirfd, uint64_t address, int flags)
{
	char path[PATH_MAX];
	int r = read_path(c, address, path), fd;

	if (r < 0)
		return r;
	if (!*path && flags & AT_EMPTY_PATH)
		fd = rb_resolve_self(c, dirfd);
	else
		fd = rb_resolve(c, dirfd, path, !(flags & AT_SYMLINK_NOFOLLOW));
	if (fd >= 0 && (r = rb_caller_check(c)) < 0) {
		(void)close(fd);
		return r;
	}
	return fd;
}

int rb_resolve_parent(struct call *c, int dirfd, const char *path, struct parent *ret)
{
	RB_CLEANUP(rb_closep) int base = -1;

	ret->fd = -1;
	if (!*path)
		return -ENOENT;
	if (*path != '/' && (base = open_base(c, dirfd)) < 0)
		return rb_steal_fd(&base);
	return rb_resolve_parent_from(c, base, path, ret);
}

int rb_resolve_parent_at(struct call *c, int dirfd, uint64_t address, struct parent *ret)
{
	char path[PATH_MAX];
	int r = read_path(c, address, path);

	ret->fd = -1;
	if (r < 0 || (r = rb_resolve_parent(c, dirfd, path, ret)) < 0)
		return r;
	if ((r = rb_caller_check(c)) < 0)
		rb_closep(&ret->fd);
	return r;
}
