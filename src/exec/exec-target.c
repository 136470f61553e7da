// SPDX-License-Identifier: Apache-2.0
/*
 * Mount points in a hostile root. The walk holds a descriptor of each directory on its way and
 * reads links as text: an absolute link starts again at the root, ".." ends there, and no magic
 * link of procfs is ever followed (threats S3, S17).
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "exec/exec-internal.h"

enum { DEPTH_MAX = 64, LINKS_MAX = 40, LINK_BYTES_MAX = 4096 };

struct walk {
	int dirs[DEPTH_MAX]; /* from the root down; owned */
	size_t depth;
	char *rest; /* what is still to be walked; owned */
	unsigned links;
	const char *path; /* as asked, for messages */
	struct rb_stubs *stubs;
};

static void pop_to(struct walk *w, size_t depth)
{
	while (w->depth > depth)
		rb_closep(&w->dirs[--w->depth]);
}

static void walk_clear(struct walk *w)
{
	pop_to(w, 0);
	free(w->rest);
}

static int top(const struct walk *w)
{
	return w->dirs[w->depth - 1];
}

/* Takes the next component off the rest; caller frees. NULL at the end. */
static char *next_component(struct walk *w, bool *ret_last)
{
	const char *p = w->rest + strspn(w->rest, "/");
	size_t len = strcspn(p, "/");
	const char *after = p + len + strspn(p + len, "/");

	if (!len)
		return NULL;
	char *name = rb_strndup(p, len), *rest = rb_strdup(after);
	free(w->rest);
	w->rest = rest;
	*ret_last = !*rest;
	return name;
}

static int fail(const struct walk *w, int e, struct rb_error **err)
{
	return rb_fail_sys(err, -e, "cannot prepare the mount point %s in the image", w->path);
}

static int push(struct walk *w, const char *name, struct rb_error **err)
{
	if (w->depth == DEPTH_MAX)
		return fail(w, ENAMETOOLONG, err);
	int fd = openat(top(w), name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return fail(w, errno, err);
	w->dirs[w->depth++] = fd;
	return 0;
}

static int follow(struct walk *w, const char *name, struct rb_error **err)
{
	char link[LINK_BYTES_MAX];
	ssize_t n = readlinkat(top(w), name, link, sizeof(link));

	if (n < 0)
		return fail(w, errno, err);
	if (n == (ssize_t)sizeof(link))
		return fail(w, ENAMETOOLONG, err);
	if (++w->links > LINKS_MAX)
		return rb_fail(err, RB_ERR_UNSUPPORTED,
			       "%s of the image is a symbolic link that leads to itself", w->path);
	char *rest = rb_asprintf("%.*s/%s", (int)n, link, w->rest);
	free(w->rest);
	w->rest = rest;
	if (link[0] == '/')
		pop_to(w, 1);
	return 0;
}

static int make_stub(struct walk *w, const char *name, bool is_dir, struct rb_error **err)
{
	mode_t mode = is_dir ? 0755 : 0644;
	struct stat dir, st;
	RB_CLEANUP(rb_closep)
	int fd = openat(top(w), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (w->stubs->n == RB_STEP_STUBS_MAX)
		return fail(w, ENAMETOOLONG, err);
	if (fd < 0 || fstat(fd, &dir) < 0)
		return fail(w, errno, err);
	if ((is_dir ? mkdirat(fd, name, mode) : mknodat(fd, name, S_IFREG | mode, 0)) < 0)
		return fail(w, errno, err);
	struct rb_stub *s = &w->stubs->v[w->stubs->n++];
	*s = (struct rb_stub){.name = rb_strdup(name), .is_dir = is_dir, .before = dir.st_mtim};
	s->dir_fd = rb_steal_fd(&fd);
	/* The umask of whoever called us is not the image's. */
	if (fchmodat(s->dir_fd, name, mode, 0) < 0 ||
	    fstatat(s->dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return fail(w, errno, err);
	s->ino = st.st_ino;
	if (fstat(s->dir_fd, &dir) < 0)
		return fail(w, errno, err);
	s->after = dir.st_mtim;
	return 0;
}

/* One component. *ret is set when it was the target, a file. */
static int step(struct walk *w, const char *name, bool last, bool is_dir, bool follow_last,
		int *ret, struct rb_error **err)
{
	bool want_dir = !last || is_dir;
	struct stat st;

	if (rb_streq(name, "."))
		return 0;
	if (rb_streq(name, "..")) {
		pop_to(w, w->depth > 1 ? w->depth - 1 : 1);
		return 0;
	}
	if (fstatat(top(w), name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
		if (errno != ENOENT)
			return fail(w, errno, err);
		if (make_stub(w, name, want_dir, err) < 0)
			return -1;
		st.st_mode = want_dir ? S_IFDIR : S_IFREG;
	}
	if (S_ISLNK(st.st_mode) && last && !follow_last)
		return rb_fail(err, RB_ERR_UNSUPPORTED,
			       "%s of the image is a symbolic link: a step mounts there only on "
			       "a real directory; remove the link from the image",
			       w->path);
	if (S_ISLNK(st.st_mode))
		return follow(w, name, err);
	if (S_ISDIR(st.st_mode))
		return push(w, name, err);
	if (want_dir)
		return fail(w, ENOTDIR, err);
	*ret = openat(top(w), name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	return *ret < 0 ? fail(w, errno, err) : 0;
}

int rb_target_open(int root_fd, const char *path, bool is_dir, bool follow_last,
		   struct rb_stubs *stubs, struct rb_error **err)
{
	RB_CLEANUP(walk_clear)
	struct walk w = {.rest = rb_strdup(path), .path = path, .stubs = stubs};
	int fd = -1;
	bool last;

	/* A descriptor of our own: the caller's stays open. */
	w.dirs[0] = fcntl(root_fd, F_DUPFD_CLOEXEC, 3);
	if (w.dirs[0] < 0)
		return fail(&w, errno, err);
	w.depth = 1;
	for (char *name; fd < 0 && (name = next_component(&w, &last)); free(name)) {
		if (step(&w, name, last, is_dir, follow_last, &fd, err) < 0) {
			free(name);
			return -1;
		}
	}
	if (fd >= 0)
		return fd;
	if (!is_dir)
		return fail(&w, EISDIR, err);
	w.depth--;
	return w.dirs[w.depth];
}

static void remove_stub(const struct rb_stub *s)
{
	struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, s->before};
	struct stat dir, st;

	if (fstat(s->dir_fd, &dir) < 0 ||
	    fstatat(s->dir_fd, s->name, &st, AT_SYMLINK_NOFOLLOW) < 0 || st.st_ino != s->ino ||
	    S_ISDIR(st.st_mode) != s->is_dir || (!s->is_dir && st.st_size))
		return;
	/* A directory that the step has put something in is not empty and stays. */
	if (unlinkat(s->dir_fd, s->name, s->is_dir ? AT_REMOVEDIR : 0) < 0)
		return;
	/* What the step itself changed in that directory keeps its time. */
	if (dir.st_mtim.tv_sec != s->after.tv_sec || dir.st_mtim.tv_nsec != s->after.tv_nsec)
		times[1] = dir.st_mtim;
	(void)futimens(s->dir_fd, times);
}

void rb_stubs_remove(struct rb_stubs *stubs)
{
	while (stubs->n) {
		struct rb_stub *s = &stubs->v[--stubs->n];

		remove_stub(s);
		rb_closep(&s->dir_fd);
		free(s->name);
	}
}
