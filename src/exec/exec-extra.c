// SPDX-License-Identifier: Apache-2.0
/*
 * The mounts that the caller wants in a step (RUN --mount), on top of those that every step has.
 *
 * The parent makes the mount points, as far as the image has none: in the root, or in the mount
 * that lies over that place. The child, whose root is the step's by then, finds them anew one after
 * the other, as the mounts come to lie over each other: a link leads nowhere but into the step.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/path.h"
#include "base/sys.h"
#include "exec/exec-internal.h"

/* Where a mount waits in the step's /dev while parts of it are cloned. Before Linux 6.15 only what
 * is mounted somewhere can be cloned. */
#define WAITING_PREFIX ".mount"

enum { TMPFS_ATTRS = RB_MOUNT_ATTR_NOSUID | RB_MOUNT_ATTR_NODEV };

/* One of them as it is prepared. */
struct extra {
	const struct rb_exec_mount *m;
	int top;      /* O_PATH or mount descriptor of what is to be seen; in step->fds */
	int index;    /* of the mount itself in step->fds */
	bool is_part; /* top is an entry in it */
	bool is_dir;
};

static int new_tmpfs(const struct rb_exec_mount *m, struct rb_error **err)
{
	char size[24];
	RB_CLEANUP(rb_closep) int fs = rb_sys_fsopen("tmpfs");
	int r = fs < 0 ? fs : rb_sys_fsconfig_str(fs, "mode", "1777");

	(void)snprintf(size, sizeof(size), "%llu", (unsigned long long)m->size_bytes);
	if (r >= 0 && m->size_bytes)
		r = rb_sys_fsconfig_str(fs, "size", size);
	if (r >= 0)
		r = rb_sys_fsconfig_create(fs);
	if (r >= 0)
		r = rb_sys_fsmount(fs, TMPFS_ATTRS);
	return r < 0 ? rb_fail_sys(err, r, "cannot make the tmpfs for %s", m->target) : r;
}

/* A mount that was given for an earlier one too, of which that one took a part. */
static const struct extra *find_same(const struct extra *v, size_t i)
{
	for (size_t k = 0; k < i; k++)
		if (v[i].m->fd >= 0 && v[k].m->fd == v[i].m->fd)
			return &v[k];
	return NULL;
}

static int open_mount(struct rb_step *s, struct extra *v, size_t i, struct rb_error **err)
{
	const struct rb_exec_mount *m = v[i].m;
	const struct extra *same = find_same(v, i);
	int fd;

	if (same) {
		v[i].index = same->index;
		return 0;
	}
	fd = m->fd < 0 ? new_tmpfs(m, err) : fcntl(m->fd, F_DUPFD_CLOEXEC, 3);
	if (fd < 0)
		return m->fd < 0 ? -1
				 : rb_fail_errno(err, "cannot use the mount for %s", m->target);
	v[i].index = rb_step_fd(s, fd);
	return 0;
}

static int open_extra(struct rb_step *s, struct extra *v, size_t i, struct rb_error **err)
{
	const struct rb_exec_mount *m = v[i].m;
	struct stat st;

	if (open_mount(s, v, i, err) < 0)
		return -1;
	v[i].is_part = m->path && !rb_streq(m->path, "/") && !rb_streq(m->path, ".");
	v[i].top = v[i].index;
	if (v[i].is_part) {
		int fd = rb_open_in_root(s->fds[v[i].index], m->path, O_PATH, 0);

		if (fd == -ENOENT || fd == -ENOTDIR)
			return rb_fail(err, RB_ERR_NOTFOUND,
				       "\"%s\": not found, for the mount at %s", m->path,
				       m->target);
		if (fd < 0)
			return rb_fail_sys(err, fd, "cannot open %s for the mount at %s", m->path,
					   m->target);
		v[i].top = rb_step_fd(s, fd);
	}
	if (fstat(s->fds[v[i].top], &st) < 0)
		return rb_fail_errno(err, "cannot stat what is mounted at %s", m->target);
	v[i].is_dir = S_ISDIR(st.st_mode);
	return 0;
}

/* What of `path` comes below `dir`; NULL when it is elsewhere. */
static const char *below(const char *path, const char *dir)
{
	size_t n = strlen(dir);

	return strncmp(path, dir, n) == 0 && path[n] == '/' ? path + n : NULL;
}

/* The last of n mounts that `path` lies in, and where; NULL when in none. */
static const struct extra *find_over(const struct extra *v, size_t n, const char *path,
				     const char **ret_rest)
{
	while (n-- > 0) {
		const char *rest = below(path, v[n].m->target);

		if (rest) {
			*ret_rest = rest;
			return &v[n];
		}
	}
	return NULL;
}

/* Sees that there is a mount point, in whatever lies over that place then. */
static int make_point(struct rb_step *s, const struct extra *v, size_t i, struct rb_error **err)
{
	const char *target = v[i].m->target, *rest = below(target, "/dev");
	int base = rest ? s->fds[s->dev] : s->spec->root_fd;
	const struct extra *over = find_over(v, i, target, &rest);

	if (over)
		base = s->fds[over->top];
	RB_CLEANUP(rb_closep)
	int fd = rb_target_open(base, rest ? rest : target, v[i].is_dir, true, &s->stubs, err);
	if (fd < 0 && over)
		return rb_wrap(
			err, "the mount at %s lies in that at %s, where its mount point has to be",
			target, over->m->target);
	return fd < 0 ? -1 : 0;
}

/* The working directory, where a mount hides that of the root. */
static int make_cwd(struct rb_step *s, const struct extra *v, struct rb_error **err)
{
	RB_CLEANUP(rb_strp) char *path = rb_path_join_abs("/", s->spec->cwd);
	const char *rest;
	const struct extra *over = find_over(v, s->spec->n_mounts, path, &rest);

	return over ? rb_step_make_cwd(s, s->fds[over->top], rest, err) : 0;
}

/* Name of the place in /dev for the mount in fds[index]; kept by the step. */
static const char *waiting_name(struct rb_step *s, int index)
{
	rb_strv_addf(&s->names, WAITING_PREFIX "%d", index);
	return s->names.v[s->names.n - 1];
}

/* Parts of mounts are cloned while the whole is mounted in /dev. */
static int add_waiting(struct rb_step *s, const struct extra *v, size_t i, struct rb_error **err)
{
	if (!v[i].is_part || find_same(v, i))
		return 0;
	const char *name = waiting_name(s, v[i].index);
	if (mkdirat(s->fds[s->dev], name, 0700) < 0)
		return rb_fail_errno(err, "cannot make %s in the step's /dev", name);
	struct rb_op *op = rb_step_op(s, RB_OP_MOVE, "preparing a mount of RUN --mount");
	op->src = v[i].index;
	op->dst = s->dev;
	op->path = name;
	return 0;
}

static void add_release(struct rb_step *s, const char *name)
{
	struct rb_op *op = rb_step_op(s, RB_OP_RELEASE, "tidying after the mounts of RUN --mount");

	op->dst = s->dev;
	op->path = name;
	op = rb_step_op(s, RB_OP_UNLINK, "tidying after the mounts of RUN --mount");
	op->dst = s->dev;
	op->path = name;
	op->attrs = AT_REMOVEDIR;
}

static void add_attach(struct rb_step *s, const struct extra *e)
{
	struct rb_op *op =
		rb_step_op(s, e->is_part ? RB_OP_ATTACH_PART : RB_OP_ATTACH, e->m->target);

	op->src = e->top;
	op->dst = 0; /* the root, added first */
	op->path = e->m->target;
	op->attrs = e->m->read_only ? RB_MOUNT_ATTR_RDONLY : 0;
}

int rb_step_add_extra(struct rb_step *s, struct rb_error **err)
{
	const struct rb_exec_spec *spec = s->spec;
	struct extra v[RB_EXEC_MOUNTS_MAX] = {0};

	if (spec->n_mounts > RB_EXEC_MOUNTS_MAX)
		rb_bug("a step with %zu mounts", spec->n_mounts);
	for (size_t i = 0; i < spec->n_mounts; i++) {
		v[i].m = &spec->mounts[i];
		if (open_extra(s, v, i, err) < 0 || make_point(s, v, i, err) < 0 ||
		    add_waiting(s, v, i, err) < 0)
			return -1;
	}
	if (make_cwd(s, v, err) < 0)
		return -1;
	for (size_t i = 0; i < spec->n_mounts; i++)
		add_attach(s, &v[i]);
	for (size_t i = 0; i < s->names.n; i++)
		add_release(s, s->names.v[i]);
	return 0;
}
