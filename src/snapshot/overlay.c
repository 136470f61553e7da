// SPDX-License-Identifier: Apache-2.0
/*
 * Kernel overlay with `userxattr` (Linux 5.11). redirect_dir and metacopy cannot be had with it and
 * are off by themselves; naming them is an error on some kernels. index=off: an index would tie the
 * upperdir to file handles of its lowers. xino=off: all layers are on one file system, so inode
 * numbers are those of the disk anyway. volatile: no syncfs at unmount; nothing of an active state
 * outlives a crash.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/sys.h"
#include "snapshot/snapshot-internal.h"

/* One option of fsconfig(2) is at most 255 bytes, all options of mount(2) together one page. */
enum { FSCONFIG_VALUE_BYTES = 256, MOUNT_OPTIONS_BYTES = 4096 };

/* An option that is a directory of the stack. The path goes over the descriptor, since the store's
 * own may be longer than an option. */
static int set_dir(int fsfd, const char *key, int trees_fd, const char *dir)
{
	char value[FSCONFIG_VALUE_BYTES];
	int n = snprintf(value, sizeof(value), "/proc/self/fd/%d/%s", trees_fd, dir);

	if (n < 0 || n >= (int)sizeof(value))
		return -ENAMETOOLONG;
	return rb_sys_fsconfig_str(fsfd, key, value);
}

static int configure(int fsfd, const struct rb_snapshot_stack *s)
{
	int r;

	for (size_t i = 0; i < s->lowers->n; i++)
		if ((r = set_dir(fsfd, "lowerdir+", s->trees_fd, s->lowers->v[i])) < 0)
			return r;
	if (s->upper && ((r = set_dir(fsfd, "upperdir", s->trees_fd, s->upper)) < 0 ||
			 (r = set_dir(fsfd, "workdir", s->trees_fd, s->work)) < 0 ||
			 (r = rb_sys_fsconfig_flag(fsfd, "volatile")) < 0))
		return r;
	if ((r = rb_sys_fsconfig_flag(fsfd, "userxattr")) < 0 ||
	    (r = rb_sys_fsconfig_str(fsfd, "index", "off")) < 0 ||
	    (r = rb_sys_fsconfig_str(fsfd, "xino", "off")) < 0)
		return r;
	return rb_sys_fsconfig_create(fsfd);
}

int rb_overlay_mount_api(const struct rb_snapshot_stack *s)
{
	RB_CLEANUP(rb_closep) int fsfd = rb_sys_fsopen("overlay");

	if (fsfd < 0)
		return rb_steal_fd(&fsfd);
	int r = configure(fsfd, s);
	if (r < 0)
		return r;
	return rb_sys_fsmount(fsfd, s->upper ? 0 : RB_MOUNT_ATTR_RDONLY);
}

struct fd_list {
	int v[RB_SNAPSHOT_DEPTH_MAX + 2];
	size_t n;
};

static void fd_list_close(struct fd_list *l)
{
	while (l->n)
		rb_closep(&l->v[--l->n]);
}

static int fd_list_open(struct fd_list *l, int dirfd, const char *path)
{
	int fd = openat(dirfd, path, O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	l->v[l->n++] = fd;
	return fd;
}

/* "lowerdir=5:6:7,…": with the directory of descriptors as working directory these are the shortest
 * names there are. */
static int legacy_options(const struct rb_snapshot_stack *s, struct fd_list *fds,
			  struct rb_buf *ret)
{
	rb_buf_addstr(ret, "userxattr,index=off,xino=off,lowerdir=");
	for (size_t i = 0; i < s->lowers->n; i++) {
		int fd = fd_list_open(fds, s->trees_fd, s->lowers->v[i]);

		if (fd < 0)
			return fd;
		rb_buf_addf(ret, "%s%d", i ? ":" : "", fd);
	}
	if (s->upper) {
		int upper = fd_list_open(fds, s->trees_fd, s->upper);
		int work = fd_list_open(fds, s->trees_fd, s->work);

		if (upper < 0 || work < 0)
			return upper < 0 ? upper : work;
		rb_buf_addf(ret, ",upperdir=%d,workdir=%d,volatile", upper, work);
	}
	return ret->len < MOUNT_OPTIONS_BYTES ? 0 : -E2BIG;
}

/* mount(2) with /proc/self/fd as working directory, in a child because the directory is ours for
 * life. The mount namespace is shared with it. */
static int mount_in_child(const char *target, unsigned long flags, const char *options)
{
	int status;
	pid_t pid = fork();

	if (pid < 0)
		return -errno;
	if (pid == 0) {
		if (chdir("/proc/self/fd") < 0 ||
		    mount("overlay", target, "overlay", flags, options) < 0)
			_exit(errno < 256 ? errno : EIO);
		_exit(0);
	}
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	return WIFEXITED(status) ? -WEXITSTATUS(status) : -EIO;
}

int rb_overlay_mount_legacy(const struct rb_snapshot_stack *s)
{
	RB_CLEANUP(rb_buf_clear) struct rb_buf options = RB_BUF_INIT;
	RB_CLEANUP(fd_list_close) struct fd_list fds = {.n = 0};
	char target[64];
	int r = legacy_options(s, &fds, &options);

	if (r < 0)
		return r;
	/* mount(2) cannot give a detached mount: mount in our namespace, take a copy, unmount. */
	(void)snprintf(target, sizeof(target), "/proc/self/fd/%d/" RB_SNAPSHOT_EMPTY_DIR,
		       s->trees_fd);
	r = mount_in_child(target, s->upper ? 0 : MS_RDONLY, options.ptr);
	if (r < 0)
		return r;
	int fd = rb_sys_open_tree(s->trees_fd, RB_SNAPSHOT_EMPTY_DIR, RB_OPEN_TREE_CLONE);
	(void)umount2(target, MNT_DETACH);
	return fd;
}

static const struct {
	int sys_errno;
	enum rb_err code;
	const char *text;
} reasons[] = {
	{EPERM, RB_ERR_UNSUPPORTED,
	 "the kernel does not allow overlay mounts in a user namespace (Linux 5.11 does, unless a security module forbids it)"},
	{ENODEV, RB_ERR_UNSUPPORTED,
	 "the kernel has no overlay file system: as root, run `modprobe overlay`"},
	{EINVAL, RB_ERR_UNSUPPORTED,
	 "the kernel refuses an overlay of this file system or these options (Linux 5.11 and a local file system such as ext4, xfs, btrfs or tmpfs are needed); use another store with --root DIR"},
	{E2BIG, RB_ERR_UNSUPPORTED,
	 "too many steps on top of each other for this kernel (Linux 6.5 takes 499): join RUN instructions"},
};

static int fail_mount(const struct rb_snapshot_stack *s, int r, struct rb_error **err)
{
	for (size_t i = 0; i < RB_ARRAY_LEN(reasons); i++)
		if (reasons[i].sys_errno == -r)
			return rb_error_push(err, reasons[i].code, -r, RB_HERE,
					     "cannot mount %zu overlay layers in %s: %s",
					     s->lowers->n, s->trees_path, reasons[i].text);
	return rb_snapshot_fail_disk(err, r, "cannot mount an overlay", s->trees_path);
}

static int overlay_mount(const struct rb_snapshot_stack *s, struct rb_error **err)
{
	int fd = rb_overlay_mount_api(s);

	/* No fsopen before 5.2 and under some filters, no lowerdir+ before 6.5. */
	if (fd == -ENOSYS || fd == -EINVAL)
		fd = rb_overlay_mount_legacy(s);
	return fd < 0 ? fail_mount(s, fd, err) : fd;
}

const struct rb_snapshotter_ops rb_snapshot_overlay = {
	.name = "overlay",
	.lowers_min = 2,
	.mount = overlay_mount,
};
