// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/path.h"
#include "base/sys.h"
#include "layer/layer-internal.h"

/* Whether a directory of a clean name, or the name itself, begins with the prefix. */
static bool has_component(const char *clean, const char *prefix, bool last_too)
{
	for (const char *p = clean; p; p = strchr(p, '/')) {
		p += *p == '/';
		if (!last_too && !strchr(p, '/'))
			return false;
		if (rb_starts_with(p, prefix))
			return true;
	}
	return false;
}

enum rb_whiteout rb_whiteout_kind(const char *clean)
{
	const char *base = rb_path_base(clean);

	if (rb_streq(base, RB_WHITEOUT_OPAQUE))
		return RB_WHITEOUT_DIR;
	if (has_component(clean, RB_WHITEOUT_META, true))
		return RB_WHITEOUT_METADATA;
	if (has_component(clean, RB_WHITEOUT_PREFIX, false))
		return RB_WHITEOUT_BAD;
	if (!rb_starts_with(base, RB_WHITEOUT_PREFIX))
		return RB_WHITEOUT_NONE;
	base += strlen(RB_WHITEOUT_PREFIX);
	return *base && !rb_streq(base, ".") && !rb_streq(base, "..") ? RB_WHITEOUT_NAME
								      : RB_WHITEOUT_BAD;
}

int rb_whiteout_refuse(const char *path, struct rb_error **err)
{
	return rb_fail(
		err, RB_ERR_CORRUPT,
		"%s: names that begin with .wh. mean deletions in layers and cannot be files of an image",
		path);
}

enum presence { ABSENT, OTHER, DIRECTORY };

/* What this layer has at a real path. The overlay's own marks of deletion are nothing. */
static enum presence in_upper(int upper_fd, const char *real)
{
	RB_CLEANUP(rb_closep) int fd = rb_layer_open(upper_fd, real, O_PATH | O_NOFOLLOW);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0 || (S_ISCHR(st.st_mode) && st.st_rdev == 0))
		return ABSENT;
	return S_ISDIR(st.st_mode) ? DIRECTORY : OTHER;
}

int rb_whiteout_delete(const struct rb_apply_spec *spec, const char *real, struct rb_strv *opaque,
		       struct rb_error **err)
{
	const char *name;

	switch (in_upper(spec->upper_fd, real)) {
	case OTHER: /* it hides the lower entry already */
		return 0;
	case DIRECTORY:
		rb_strv_add(opaque, real);
		return 0;
	case ABSENT:
		break;
	}
	RB_CLEANUP(rb_closep) int dir = rb_layer_open_parent(spec->root_fd, real, &name);
	if (dir < 0)
		return dir == -ENOENT ? 0
				      : rb_fail_sys(err, dir, "cannot open what holds %s", real);
	int r = rb_remove_tree_at(dir, name);
	return r < 0 ? rb_fail_sys(err, r, "cannot delete %s", real) : 0;
}

/* The kernel never takes the root of an overlay as opaque, so its lower entries go one by one. */
static int clear_root(const struct rb_apply_spec *spec, struct rb_strv *opaque,
		      struct rb_error **err)
{
	struct rb_strv names = RB_STRV_INIT;
	int r = rb_layer_list(spec->root_fd, &names);

	if (r < 0)
		r = rb_fail_sys(err, r, "cannot list the root directory");
	for (size_t i = 0; i < names.n && r == 0; i++)
		r = rb_whiteout_delete(spec, names.v[i], opaque, err);
	rb_strv_clear(&names);
	return r;
}

static int mark_opaque(const struct rb_apply_spec *spec, const char *real, struct rb_error **err)
{
	RB_CLEANUP(rb_closep)
	int fd = rb_layer_open(spec->root_fd, real, O_RDONLY | O_DIRECTORY);
	struct stat st;

	/* Nothing there to hide, or the layer replaced the directory afterwards. */
	if (fd == -ENOENT || fd == -ENOTDIR || fd == -ELOOP)
		return 0;
	if (fd < 0)
		return rb_fail_sys(err, fd, "cannot open %s", real);
	/* A change that changes nothing brings a lower directory up, so that it can be marked. */
	if (fstat(fd, &st) < 0 || fchmod(fd, st.st_mode & 07777) < 0)
		return rb_fail_errno(err, "cannot copy up %s", real);
	RB_CLEANUP(rb_closep)
	int upper = rb_layer_open(spec->upper_fd, real, O_RDONLY | O_DIRECTORY);
	if (upper < 0)
		return rb_fail_sys(err, upper, "cannot open %s of the layer", real);
	int r = rb_sys_setxattr(upper, "", "user.overlay.opaque", "y", 1);
	return r < 0 ? rb_fail_sys(err, r, "cannot mark %s as opaque", real) : 0;
}

int rb_whiteout_finish(const struct rb_apply_spec *spec, struct rb_strv *opaque,
		       struct rb_error **err)
{
	if (rb_strv_find(opaque, "") >= 0 && clear_root(spec, opaque, err) < 0)
		return -1;
	for (size_t i = 0; i < opaque->n; i++)
		if (*opaque->v[i] && mark_opaque(spec, opaque->v[i], err) < 0)
			return -1;
	return 0;
}
