// SPDX-License-Identifier: Apache-2.0
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/path.h"
#include "output/output-internal.h"

struct rb_output_target {
	char *dest;       /* as given, for messages */
	int parent_fd;    /* directory that holds it */
	const char *name; /* in that directory; points into dest */
	char *temp;       /* name of the temporary, or NULL while it has none */
	int fd;
	bool is_dir;
};

int rb_output_target_fail(const struct rb_output_target *t, int neg, struct rb_error **err)
{
	const char *hint = neg == -ENOSPC || neg == -EDQUOT ? " (nothing was written; free some "
							      "space or choose another place)"
							    : "";

	return rb_fail_sys(err, neg, "cannot write %s%s", t->dest, hint);
}

static char *temp_name(void)
{
	char rnd[17];

	rb_random_hex(rnd, 8);
	return rb_asprintf(".rbuild-%s", rnd);
}

static struct rb_output_target *open_parent(const char *dest, struct rb_error **err)
{
	RB_CLEANUP(rb_output_target_freep) struct rb_output_target *t = rb_calloc(1, sizeof(*t));

	*t = (struct rb_output_target){.dest = rb_strdup(dest), .parent_fd = -1, .fd = -1};
	size_t n = strlen(t->dest);
	while (n > 1 && t->dest[n - 1] == '/')
		t->dest[--n] = '\0';
	t->name = rb_path_base(t->dest);
	if (rb_streq(t->name, "/") || rb_streq(t->name, ".") || rb_streq(t->name, "..")) {
		(void)rb_fail(err, RB_ERR_USAGE, "\"%s\" cannot be replaced by a result", dest);
		return NULL;
	}
	RB_CLEANUP(rb_strp)
	char *dir = t->name == t->dest ? rb_strdup(".")
				       : rb_strndup(t->dest, (size_t)(t->name - t->dest));
	t->parent_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (t->parent_fd < 0) {
		(void)rb_fail_errno(err, "cannot open the directory %s of %s", dir, t->name);
		return NULL;
	}
	return rb_steal_ptr(&t);
}

int rb_output_target_file(const char *dest, struct rb_output_target **ret, struct rb_error **err)
{
	RB_CLEANUP(rb_output_target_freep) struct rb_output_target *t = open_parent(dest, err);
	struct stat st;

	if (!t)
		return -1;
	if (fstatat(t->parent_fd, t->name, &st, 0) == 0 && !S_ISREG(st.st_mode))
		return rb_fail(err, RB_ERR_USAGE, "%s exists and is not a regular file%s", t->dest,
			       S_ISDIR(st.st_mode) ? " (tar=false writes a directory)" : "");
	/* Without a name, so that also kill -9 leaves nothing behind; where the file system cannot,
	 * with one. */
	t->fd = openat(t->parent_fd, ".", O_WRONLY | O_TMPFILE | O_CLOEXEC, 0666);
	if (t->fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR || errno == ENOENT)) {
		t->temp = temp_name();
		t->fd = openat(t->parent_fd, t->temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC,
			       0666);
	}
	if (t->fd < 0) {
		rb_strp(&t->temp);
		return rb_output_target_fail(t, -errno, err);
	}
	*ret = rb_steal_ptr(&t);
	return 0;
}

static bool is_empty_dir(int dirfd, const char *name)
{
	int fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	bool empty = d;

	if (!d) {
		rb_closep(&fd);
		return false;
	}
	for (struct dirent *e; empty && (e = readdir(d));)
		empty = rb_streq(e->d_name, ".") || rb_streq(e->d_name, "..");
	closedir(d);
	return empty;
}

int rb_output_target_dir(const char *dest, struct rb_output_target **ret, struct rb_error **err)
{
	RB_CLEANUP(rb_output_target_freep) struct rb_output_target *t = open_parent(dest, err);
	struct stat st;

	if (!t)
		return -1;
	t->is_dir = true;
	if (fstatat(t->parent_fd, t->name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	    !is_empty_dir(t->parent_fd, t->name))
		return rb_fail(err, RB_ERR_USAGE,
			       "%s exists and is not an empty directory: remove it, or "
			       "name another",
			       t->dest);
	RB_CLEANUP(rb_strp) char *temp = temp_name();
	if (mkdirat(t->parent_fd, temp, 0777) < 0)
		return rb_output_target_fail(t, -errno, err);
	t->temp = rb_steal_ptr(&temp);
	t->fd = openat(t->parent_fd, t->temp, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (t->fd < 0)
		return rb_output_target_fail(t, -errno, err);
	*ret = rb_steal_ptr(&t);
	return 0;
}

void rb_output_target_free(struct rb_output_target *t)
{
	if (!t)
		return;
	rb_closep(&t->fd);
	if (t->temp)
		(void)rb_remove_tree_at(t->parent_fd, t->temp);
	rb_closep(&t->parent_fd);
	free(t->temp);
	free(t->dest);
	free(t);
}

/* The directory itself, or the one in which the first missing part of its path would be made. */
static int check_local(const char *dest, struct rb_error **err)
{
	RB_CLEANUP(rb_strp) char *path = rb_strdup(dest);

	for (;;) {
		struct stat st;

		if (stat(path, &st) == 0 && !S_ISDIR(st.st_mode))
			errno = ENOTDIR;
		else if (access(path, W_OK | X_OK) == 0)
			return 0;
		if (errno != ENOENT || rb_streq(path, ".") || rb_streq(path, "/"))
			return rb_streq(path, dest)
				       ? rb_fail_errno(err, "cannot write into %s", path)
				       : rb_fail_errno(err, "cannot make %s: cannot write into %s",
						       dest, path);
		char *slash = strrchr(path, '/');
		if (!slash)
			memcpy(path, ".", 2); /* it is no shorter than this */
		else
			slash[slash == path] = '\0';
	}
}

int rb_output_spec_check(const struct rb_output_spec *spec, struct rb_error **err)
{
	RB_CLEANUP(rb_output_target_freep) struct rb_output_target *t = NULL;

	switch (spec->type) {
	case RB_OUTPUT_OCI:
		return spec->as_dir ? rb_output_target_dir(spec->dest, &t, err)
				    : rb_output_target_file(spec->dest, &t, err);
	case RB_OUTPUT_LOCAL:
	case RB_OUTPUT_CACHE_LOCAL:
		return check_local(spec->dest, err);
	case RB_OUTPUT_IMAGE:
	case RB_OUTPUT_CACHEONLY:
	case RB_OUTPUT_CACHE_INLINE:
		break;
	}
	return 0;
}

int rb_output_target_fd(const struct rb_output_target *t)
{
	return t->fd;
}

/* linkat cannot replace, so the name that rename will give is prepared by another one. */
static int name_temp(struct rb_output_target *t)
{
	RB_CLEANUP(rb_strp) char *temp = temp_name();
	RB_CLEANUP(rb_strp) char *self = rb_asprintf("/proc/self/fd/%d", t->fd);

	/* By descriptor alone only since Linux 6.10, or with privilege. */
	if (linkat(t->fd, "", t->parent_fd, temp, AT_EMPTY_PATH) < 0 &&
	    linkat(AT_FDCWD, self, t->parent_fd, temp, AT_SYMLINK_FOLLOW) < 0)
		return -errno;
	t->temp = rb_steal_ptr(&temp);
	return 0;
}

int rb_output_target_commit(struct rb_output_target *t, struct rb_error **err)
{
	int r = t->temp ? 0 : name_temp(t);

	if (r == 0)
		r = rb_close_written(&t->fd);
	if (r == 0 && renameat(t->parent_fd, t->temp, t->parent_fd, t->name) < 0)
		r = -errno;
	if (r < 0)
		return rb_output_target_fail(t, r, err);
	rb_strp(&t->temp);
	return 0;
}
