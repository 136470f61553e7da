// SPDX-License-Identifier: Apache-2.0
/* A local directory as build context; its Dockerfile and ignore file (dockerfile.md 5.1). */
#include "context/context.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/path.h"

enum { IGNORE_FILE_BYTES_MAX = 1 << 20 };

/* What docker looks for comes first: a directory means the same to both. */
static const char *const default_names[] = {"Dockerfile", "dockerfile", "Containerfile"};
static const char *const ignore_names[] = {".dockerignore", ".containerignore"};

static int fail_open(const char *path, struct rb_error **err)
{
	if (errno == ENOENT)
		return rb_fail(err, RB_ERR_CONTEXT,
			       "unable to prepare context: path \"%s\" not found", path);
	if (errno == ENOTDIR)
		return rb_fail(err, RB_ERR_CONTEXT,
			       "unable to prepare context: \"%s\" is not a directory", path);
	return rb_error_push(err, RB_ERR_CONTEXT, errno, RB_HERE,
			     "unable to prepare context: cannot read directory \"%s\": %s", path,
			     strerrordesc_np(errno));
}

int rb_context_open(const char *path, struct rb_context **ret, struct rb_error **err)
{
	RB_CLEANUP(rb_closep) int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	RB_CLEANUP(rb_strp) char *abs_path = fd < 0 ? NULL : realpath(path, NULL);
	struct stat st;

	if (fd < 0 || !abs_path || fstat(fd, &st) < 0)
		return fail_open(path, err);
	struct rb_context *c = rb_calloc(1, sizeof(*c));
	c->root_fd = rb_steal_fd(&fd);
	c->path = rb_strdup(path);
	c->abs_path = rb_steal_ptr(&abs_path);
	c->dev = st.st_dev;
	c->ino = st.st_ino;
	*ret = c;
	return 0;
}

struct rb_context *rb_context_new(enum rb_context_kind kind, const char *path)
{
	struct rb_context *c = rb_calloc(1, sizeof(*c));

	c->kind = kind;
	c->path = rb_strdup(path);
	c->root_fd = -1;
	c->time = -1;
	return c;
}

void rb_context_free(struct rb_context *c)
{
	if (!c)
		return;
	rb_closep(&c->root_fd);
	free(c->tree);
	free(c->where);
	rb_ignore_free(c->ignore);
	free(c->path);
	free(c->abs_path);
	free(c->ignore_file);
	free(c);
}

/*
 * A directory with a name to open in it, and the root that links may not leave: a link of a hostile
 * context must not show files of the host (threats S13).
 */
struct place {
	int root_fd; /* borrowed or own_fd */
	int own_fd;
	char *dir; /* relative to the root */
	char *name;
};

#define PLACE_INIT                                                                                 \
	{                                                                                          \
		.root_fd = -1, .own_fd = -1                                                        \
	}

static void place_clear(struct place *p)
{
	rb_closep(&p->own_fd);
	free(p->dir);
	free(p->name);
}

/* The part of `abs` below the context, "" for its root; NULL when it is elsewhere. */
static const char *below_context(const struct rb_context *c, const char *abs)
{
	size_t n = strlen(c->abs_path);

	if (rb_streq(c->abs_path, "/"))
		return abs + 1;
	if (strncmp(abs, c->abs_path, n) != 0 || (abs[n] && abs[n] != '/'))
		return NULL;
	return abs[n] ? abs + n + 1 : abs + n;
}

/* Where -f points: inside of the context, whatever way it is written, or elsewhere. Mechanism. */
static int find_place(const struct rb_context *c, const char *file, struct place *ret)
{
	const char *slash = strrchr(file, '/');
	RB_CLEANUP(rb_strp)
	char *dir = slash ? rb_strndup(file, (size_t)(slash - file) + 1) : rb_strdup(".");
	RB_CLEANUP(rb_strp) char *abs = realpath(dir, NULL);

	if (!abs)
		return -errno;
	ret->name = rb_strdup(slash ? slash + 1 : file);
	const char *rel = below_context(c, abs);
	if (rel) {
		ret->root_fd = c->root_fd;
		ret->dir = rb_strdup(*rel ? rel : ".");
		return 0;
	}
	ret->own_fd = open(abs, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (ret->own_fd < 0)
		return -errno;
	ret->root_fd = ret->own_fd;
	ret->dir = rb_strdup(".");
	return 0;
}

/* Below a root, or with AT_FDCWD as the user sees it. Mechanism. */
static int open_at(int root_fd, const char *path, int flags)
{
	if (root_fd != AT_FDCWD)
		return rb_open_in_root(root_fd, path, flags, 0);
	int fd = open(path, flags | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* Opens without waiting for the writer of a FIFO; -EPROTOTYPE: not a regular file. Mechanism. */
static int open_regular(int root_fd, const char *path)
{
	RB_CLEANUP(rb_closep)
	int fd = open_at(root_fd, path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
	struct stat st;

	if (fd == -ENXIO || fd == -ENODEV) /* a socket, a device without driver */
		return -EPROTOTYPE;
	if (fd < 0)
		return rb_steal_fd(&fd);
	if (fstat(fd, &st) < 0)
		return -errno;
	return S_ISREG(st.st_mode) ? rb_steal_fd(&fd) : -EPROTOTYPE;
}

static bool is_link(int root_fd, const char *path)
{
	RB_CLEANUP(rb_closep) int fd = open_at(root_fd, path, O_PATH | O_NOFOLLOW);
	struct stat st;

	return fd >= 0 && fstat(fd, &st) == 0 && S_ISLNK(st.st_mode);
}

/*
 * Reads a file. `what` starts the message ("failed to read dockerfile"), `name` is the file in it.
 * Returns 0, or 1 when there is none, or -1 with *err.
 */
static int read_regular(int root_fd, const char *path, size_t max, const char *what,
			const char *name, struct rb_buf *ret, struct rb_error **err)
{
	RB_CLEANUP(rb_closep) int fd = open_regular(root_fd, path);

	if (fd == -ENOENT && !is_link(root_fd, path))
		return 1;
	if (fd == -ENOENT || fd == -ELOOP)
		return rb_fail(
			err, RB_ERR_CONTEXT,
			"%s: %s is a symbolic link that leads out of the build context or to nothing; use the file itself",
			what, name);
	if (fd == -EPROTOTYPE)
		return rb_fail(err, RB_ERR_CONTEXT, "%s: %s is not a regular file", what, name);
	if (fd < 0)
		return rb_error_push(err, RB_ERR_CONTEXT, -fd, RB_HERE, "%s: open %s: %s", what,
				     name, strerrordesc_np(-fd));
	if (rb_read_fd(fd, max, ret, err) < 0)
		return rb_error_push(err, RB_ERR_CONTEXT, 0, RB_HERE, "%s: %s", what, name);
	return 0;
}

/* --- the ignore file --- */

static int load_ignore(struct rb_context *c, int root_fd, const char *path, const char *name,
		       struct rb_error **err)
{
	RB_CLEANUP(rb_buf_clear) struct rb_buf text = RB_BUF_INIT;
	int r = read_regular(root_fd, path, IGNORE_FILE_BYTES_MAX, "failed to read ignore file",
			     name, &text, err);

	if (r != 0)
		return r;
	rb_ignore_free(c->ignore);
	c->ignore = NULL;
	if (rb_ignore_parse(text.ptr, text.len, name, &c->ignore, err) < 0)
		return -1;
	free(c->ignore_file);
	c->ignore_file = rb_strdup(name);
	return 0;
}

int rb_context_load_ignore(struct rb_context *c, struct rb_error **err)
{
	int r = 1;

	for (size_t i = 0; r == 1 && i < RB_ARRAY_LEN(ignore_names); i++)
		r = load_ignore(c, c->root_fd, ignore_names[i], ignore_names[i], err);
	return r < 0 ? -1 : 0;
}

/* <Dockerfile>.dockerignore beside the Dockerfile wins over the context's own. */
static int find_ignore(struct rb_context *c, const struct place *p, struct rb_error **err)
{
	int r = 1;

	for (size_t i = 0; r == 1 && i < RB_ARRAY_LEN(ignore_names); i++) {
		RB_CLEANUP(rb_strp) char *name = rb_asprintf("%s%s", p->name, ignore_names[i]);
		RB_CLEANUP(rb_strp) char *path = rb_asprintf("%s/%s", p->dir, name);

		r = load_ignore(c, p->root_fd, path, name, err);
	}
	return r == 1 ? rb_context_load_ignore(c, err) : r;
}

/* --- the Dockerfile --- */

static const char what_dockerfile[] = "failed to read dockerfile";

static int not_found(const char *file, const char *advice, struct rb_error **err)
{
	return rb_fail(err, RB_ERR_CONTEXT, "%s: open %s: no such file or directory (%s)",
		       what_dockerfile, file, advice);
}

static int read_dockerfile(const struct place *p, const char *shown, struct rb_buf *ret,
			   struct rb_error **err)
{
	RB_CLEANUP(rb_strp) char *path = rb_asprintf("%s/%s", p->dir, p->name);

	return read_regular(p->root_fd, path, RB_DOCKERFILE_BYTES_MAX, what_dockerfile, shown, ret,
			    err);
}

/* One of the default names at the root p->root_fd. */
static int default_dockerfile(struct place *p, struct rb_buf *ret, struct rb_error **err)
{
	int r = 1;

	p->dir = rb_strdup(".");
	for (size_t i = 0; r == 1 && i < RB_ARRAY_LEN(default_names); i++) {
		free(p->name);
		p->name = rb_strdup(default_names[i]);
		r = read_dockerfile(p, p->name, ret, err);
	}
	return r == 1 ? not_found(default_names[0],
				  "nor has the context a Containerfile; name another file with -f",
				  err)
		      : r;
}

/* A file that the user names and that is no part of a context: its links are the user's too. */
static int read_host_file(const char *file, struct rb_buf *ret, struct rb_error **err)
{
	return read_regular(AT_FDCWD, file, RB_DOCKERFILE_BYTES_MAX, what_dockerfile, file, ret,
			    err);
}

/* In a tree, whose root is all there is. */
static int read_tree_file(int root_fd, const char *file, struct place *p, struct rb_buf *ret,
			  struct rb_error **err)
{
	RB_CLEANUP(rb_strp) char *clean = rb_path_join_abs("/", file);
	const char *base = strrchr(clean, '/') + 1;

	p->root_fd = root_fd;
	p->dir = rb_strndup(clean, (size_t)(base - clean));
	p->name = rb_strdup(base);
	return read_dockerfile(p, file, ret, err);
}

/* -f: a file that the user names may lie anywhere, and outside of the context its links too. */
static int read_named_file(const struct rb_context *c, const char *file, struct place *p,
			   struct rb_buf *ret, struct rb_error **err)
{
	int r = find_place(c, file, p);

	if (r == -ENOENT || r == -ENOTDIR)
		return 1;
	if (r < 0)
		return rb_error_push(err, RB_ERR_CONTEXT, -r, RB_HERE, "%s: open %s: %s",
				     what_dockerfile, file, strerrordesc_np(-r));
	return p->own_fd < 0 ? read_dockerfile(p, file, ret, err) : read_host_file(file, ret, err);
}

/* Where a Dockerfile that the user names is looked for: in or beside a directory, in a tree, or on
 * this machine. */
struct search {
	const struct rb_context *c; /* NULL: */
	int tree_fd;                /* -1: this machine */
};

static int read_found(const struct search *in, const char *file, struct place *p,
		      struct rb_buf *ret, struct rb_error **err)
{
	if (in->c)
		return read_named_file(in->c, file, p, ret, err);
	if (in->tree_fd >= 0)
		return read_tree_file(in->tree_fd, file, p, ret, err);
	p->name = rb_strdup(rb_path_base(file));
	return read_host_file(file, ret, err);
}

/* A missing Dockerfile may be called dockerfile also where the user has given its path. */
static int named_dockerfile(const struct search *in, const char *file, struct place *p,
			    struct rb_buf *ret, struct rb_error **err)
{
	const char *base = rb_path_base(file);
	int r = read_found(in, file, p, ret, err);

	if (r == 1 && rb_streq(base, default_names[0])) {
		RB_CLEANUP(rb_strp)
		char *other = rb_asprintf("%.*s%s", (int)(base - file), file, default_names[1]);

		place_clear(p);
		*p = (struct place)PLACE_INIT;
		r = read_found(in, other, p, ret, err);
	}
	if (r != 1)
		return r;
	return not_found(file,
			 in->tree_fd >= 0 && *file != '/'
				 ? "the path of -f begins at the top of the context"
				 : "a relative path of -f begins at the current directory",
			 err);
}

int rb_context_dockerfile(struct rb_context *c, const char *file, struct rb_buf *ret,
			  char **ret_name, struct rb_error **err)
{
	RB_CLEANUP(place_clear) struct place p = PLACE_INIT;
	RB_CLEANUP(rb_buf_clear) struct rb_buf text = RB_BUF_INIT;
	const struct search in = {.c = c, .tree_fd = -1};

	p.root_fd = c->root_fd;
	if ((file ? named_dockerfile(&in, file, &p, &text, err)
		  : default_dockerfile(&p, &text, err)) < 0 ||
	    find_ignore(c, &p, err) < 0)
		return -1;
	rb_buf_clear(ret);
	*ret = text;
	text = (struct rb_buf)RB_BUF_INIT;
	*ret_name = rb_steal_ptr(&p.name);
	return 0;
}

int rb_context_tree_dockerfile(int root_fd, const char *file, struct rb_buf *ret, char **ret_name,
			       struct rb_error **err)
{
	RB_CLEANUP(place_clear) struct place p = PLACE_INIT;
	RB_CLEANUP(rb_buf_clear) struct rb_buf text = RB_BUF_INIT;
	const struct search in = {.tree_fd = root_fd};

	p.root_fd = root_fd;
	if ((file ? named_dockerfile(&in, file, &p, &text, err)
		  : default_dockerfile(&p, &text, err)) < 0)
		return -1;
	rb_buf_clear(ret);
	*ret = text;
	text = (struct rb_buf)RB_BUF_INIT;
	*ret_name = rb_steal_ptr(&p.name);
	return 0;
}

int rb_context_host_dockerfile(const char *file, struct rb_buf *ret, char **ret_name,
			       struct rb_error **err)
{
	RB_CLEANUP(place_clear) struct place p = PLACE_INIT;
	const struct search in = {.tree_fd = -1};

	if (named_dockerfile(&in, file, &p, ret, err) < 0)
		return -1;
	*ret_name = rb_steal_ptr(&p.name);
	return 0;
}
