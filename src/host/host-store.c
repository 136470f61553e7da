// SPDX-License-Identifier: Apache-2.0
/* What the file system of a directory can do for trees of images: tried in that very directory. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/sys.h"
#include "host/host-internal.h"

enum { LOW_SPACE_BYTES = 1 << 30, LOW_INODES = 10000 };

/* A scratch directory in the store's file system for the trials. */
struct trial {
	int store_fd; /* the store, or its nearest directory that exists */
	int dir_fd;   /* the scratch directory: "l", "u", "w" below it */
	char name[40];
	char *path; /* of the scratch directory: inside, it must be found anew (host.h) */
};

#define TRIAL_INIT                                                                                 \
	{                                                                                          \
		.store_fd = -1, .dir_fd = -1                                                       \
	}

static void trial_clear(struct trial *t)
{
	rb_closep(&t->dir_fd);
	if (t->store_fd >= 0 && *t->name)
		(void)rb_remove_tree_at(t->store_fd, t->name);
	rb_closep(&t->store_fd);
	free(t->path);
}

static int make_file(int dirfd, const char *name)
{
	RB_CLEANUP(rb_closep)
	int fd = openat(dirfd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0700);

	return fd < 0 ? -errno : 0;
}

static int fill(int dir_fd)
{
	static const char *const dirs[] = {"l", "u", "w", "l/dir"};
	int r = 0;

	for (size_t i = 0; i < RB_ARRAY_LEN(dirs) && r == 0; i++)
		r = mkdirat(dir_fd, dirs[i], 0700) < 0 ? -errno : 0;
	r = r < 0 ? r : make_file(dir_fd, "l/program");
	return r < 0 ? r : make_file(dir_fd, "l/dir/file");
}

static int trial_open(const char *dir, struct trial *t, struct rb_error **err)
{
	RB_CLEANUP(rb_strp) char *path = rb_strdup(dir);

	/* Before its first use the store does not exist: what counts is where it will be. */
	while ((t->store_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0 &&
	       errno == ENOENT && strrchr(path, '/') && path[1]) {
		char *slash = strrchr(path, '/');

		slash[slash == path] = '\0';
	}
	if (t->store_fd < 0)
		return rb_fail_errno(err, "cannot open %s", path);
	(void)memcpy(t->name, ".doctor-", 8);
	rb_random_hex(t->name + 8, 8);
	if (mkdirat(t->store_fd, t->name, 0700) < 0) {
		int saved = errno;

		*t->name = '\0';
		errno = saved;
		return rb_fail_errno(err, "cannot write in %s", path);
	}
	t->path = rb_asprintf("%s/%s", path, t->name);
	t->dir_fd = openat(t->store_fd, t->name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int r = t->dir_fd < 0 ? -errno : fill(t->dir_fd);
	return r < 0 ? rb_fail_sys(err, r, "cannot write in %s", path) : 0;
}

/* The trials run inside the namespace and return an errno. */

/* Deletes of all kinds, as a step makes them: a whiteout, and an opaque directory. */
static int try_deletes(void)
{
	if (unlink("l/dir/file") < 0 || rmdir("l/dir") < 0 || mkdir("l/dir", 0700) < 0)
		return errno;
	return access("l/dir/file", F_OK) == 0 ? EIO : 0;
}

static int try_overlay(void *ctx)
{
	const struct trial *t = ctx;

	/* Relative names keep store paths with commas and colons out of the option string. */
	if (chdir(t->path) < 0 ||
	    mount("rbuild", "l", "overlay", 0, "lowerdir=l,upperdir=u,workdir=w,userxattr") < 0)
		return errno;
	/* An old working directory sees what was there before the mount. */
	return chdir(t->path) < 0 ? errno : try_deletes();
}

static int try_execute(void *ctx)
{
	const struct trial *t = ctx;

	if (chdir(t->path) < 0 ||
	    mount("rbuild", "l", "overlay", 0, "lowerdir=l,upperdir=u,workdir=w,userxattr") < 0 ||
	    chdir(t->path) < 0)
		return 0; /* that is another check's concern */
	return access("l/program", X_OK) < 0 ? errno : 0;
}

static int try_lowerdir_plus(void *ctx)
{
	const struct trial *t = ctx;
	RB_CLEANUP(rb_closep) int fs = rb_sys_fsopen("overlay");

	if (fs < 0)
		return -fs;
	return chdir(t->path) < 0 ? errno : -rb_sys_fsconfig_str(fs, "lowerdir+", "l");
}

/* 0, or the errno of the trial; -1: the namespace itself failed. */
static int inside(const struct rb_host *h, int (*fn)(void *), struct trial *t)
{
	struct rb_error *err = NULL;
	int r = rb_host_enter(h, fn, t, &err);

	rb_error_drop(&err); /* the check on user namespaces says it already */
	return r;
}

static int try_xattr(const struct trial *t)
{
	return rb_sys_setxattr(t->dir_fd, "u", "user.rbuild.doctor", "x", 1);
}

/* A line that puts the store where overlays and attributes work, if /var/tmp is such a place. */
static char *better_place(const struct rb_host *h)
{
	RB_CLEANUP(trial_clear) struct trial t = TRIAL_INIT;
	struct rb_error *err = NULL;
	bool good = trial_open("/var/tmp", &t, &err) == 0 && try_xattr(&t) == 0 &&
		    inside(h, try_overlay, &t) == 0;

	rb_error_drop(&err); /* then it is no better */
	return good ? rb_asprintf("export RBUILD_ROOT=/var/tmp/rbuild-%u (there it works)",
				  (unsigned)geteuid())
		    : rb_strdup("put the store on a local ext4, xfs, btrfs or tmpfs: --root DIR or "
				"RBUILD_ROOT");
}

static void check_overlay(struct rb_host *h, struct trial *t)
{
	const char *type = h->store_type ? h->store_type : "file system";
	int e = inside(h, try_overlay, t);

	if (e) {
		rb_host_add_check(h, "overlay", false,
				  rb_asprintf("overlay with userxattr does not work on the store's "
					      "%s (%s): steps cannot run",
					      type, strerrordesc_np(e)),
				  better_place(h));
		return;
	}
	e = inside(h, try_execute, t);
	rb_host_add_check(
		h, "overlay", e == 0,
		e ? rb_asprintf("programs on the store's %s cannot be executed, also through an "
				"overlay (%s)",
				type, strerrordesc_np(e))
		  : rb_asprintf("overlay with userxattr works on the store's %s", type),
		e ? better_place(h) : NULL);
}

static void check_layers(struct rb_host *h, struct trial *t)
{
	int e = inside(h, try_lowerdir_plus, t);

	rb_host_add_check(
		h, "many layers", e == 0,
		e ? rb_asprintf("this kernel has no lowerdir+ (%s): the paths of all layers "
				"together must fit in one page",
				strerrordesc_np(e))
		  : rb_strdup("lowerdir+ works: 499 layers"),
		e ? rb_strdup("use Linux 6.7 or later for images with more than about 60 layers")
		  : NULL);
}

static void check_xattrs(struct rb_host *h, const struct trial *t)
{
	int r = try_xattr(t);

	rb_host_add_check(
		h, "extended attributes", r == 0,
		r < 0 ? rb_asprintf("no user.* attributes on the store's file system (%s): xattrs "
				    "of files are lost and owners live in tables",
				    strerrordesc_np(-r))
		      : rb_strdup("user.* attributes work on the store"),
		r < 0 ? better_place(h) : NULL);
}

char *rb_host_size_text(uint64_t bytes)
{
	static const char *const units[] = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
	size_t i = 0;
	double n = (double)bytes / 1024;

	if (bytes < 1024)
		return rb_asprintf("%u bytes", (unsigned)bytes);
	for (; n >= 1024 && i + 1 < RB_ARRAY_LEN(units); i++)
		n /= 1024;
	return rb_asprintf("%.*f %s", n < 10 ? 1 : 0, n, units[i]);
}

static void check_space(struct rb_host *h, const struct trial *t)
{
	struct statvfs fs;
	RB_CLEANUP(rb_strp) char *inodes = rb_strdup("");

	if (fstatvfs(t->store_fd, &fs) < 0) {
		rb_host_add_check(h, "store", false, rb_strdup(strerrordesc_np(errno)), NULL);
		return;
	}
	h->store_free_bytes = (uint64_t)fs.f_bavail * fs.f_frsize;
	/* btrfs and others count no inodes and say 0 of 0. */
	h->store_free_inodes = fs.f_files ? fs.f_favail : UINT64_MAX;
	if (fs.f_files) {
		free(inodes);
		inodes = rb_asprintf(" and %llu inodes", (unsigned long long)fs.f_favail);
	}
	RB_CLEANUP(rb_strp) char *size = rb_host_size_text(h->store_free_bytes);
	bool ok = h->store_free_bytes >= LOW_SPACE_BYTES && h->store_free_inodes >= LOW_INODES;
	rb_host_add_check(
		h, "store", ok,
		rb_asprintf("%s, %s%s free%s",
			    h->store_type ? h->store_type : "a file system of unknown kind", size,
			    inodes, ok ? "" : ": that is little for images"),
		ok ? NULL
		   : rb_strdup("rbuild reset --force, or a store elsewhere: --root DIR or "
			       "RBUILD_ROOT"));
}

void rb_host_check_store(const char *path, struct rb_host *h)
{
	RB_CLEANUP(trial_clear) struct trial t = TRIAL_INIT;
	RB_CLEANUP(rb_mount_clear) struct rb_mount m = {0};
	struct rb_error *err = NULL;

	if (trial_open(path, &t, &err) < 0) {
		rb_host_add_check(h, "store", false, rb_error_text(err),
				  rb_strdup("name another directory: --root DIR or RBUILD_ROOT"));
		rb_error_drop(&err); /* reported */
		return;
	}
	if (rb_mount_of_fd(t.store_fd, &m))
		h->store_type = rb_steal_ptr(&m.type);
	check_space(h, &t);
	check_xattrs(h, &t);
	if (h->rung == RB_RUNG_NONE)
		return;
	check_overlay(h, &t);
	check_layers(h, &t);
}
