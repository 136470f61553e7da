// SPDX-License-Identifier: Apache-2.0
#include "base/sys.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <linux/sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/fd.h"

/* Numbers that Debian 12's headers do not have; the same on every architecture (since Linux 5.x).
 */
#ifndef __NR_setxattrat
#define __NR_setxattrat 463
#endif
#ifndef __NR_getxattrat
#define __NR_getxattrat 464
#endif
#ifndef __NR_listxattrat
#define __NR_listxattrat 465
#endif
#ifndef __NR_removexattrat
#define __NR_removexattrat 466
#endif

static long ret_errno(long r)
{
	return r < 0 ? -errno : r;
}

int rb_sys_openat2(int dirfd, const char *path, int flags, mode_t mode, uint64_t resolve)
{
	struct open_how how = {.flags = (uint64_t)(unsigned)flags, .resolve = resolve};

	/* openat2 refuses a mode without O_CREAT or O_TMPFILE. */
	if (flags & (O_CREAT | O_TMPFILE))
		how.mode = mode;
	return (int)ret_errno(syscall(__NR_openat2, dirfd, path, &how, sizeof(how)));
}

int rb_sys_pidfd_open(pid_t pid)
{
	return (int)ret_errno(syscall(__NR_pidfd_open, pid, 0));
}

int rb_sys_pidfd_send_signal(int pidfd, int sig)
{
	return (int)ret_errno(syscall(__NR_pidfd_send_signal, pidfd, sig, NULL, 0));
}

pid_t rb_sys_clone(uint64_t flags, int *ret_pidfd)
{
	struct clone_args args = {.flags = flags, .exit_signal = SIGCHLD};
	int pidfd = -1;

	if (ret_pidfd) {
		args.flags |= CLONE_PIDFD;
		args.pidfd = (uint64_t)(uintptr_t)&pidfd;
	}
	pid_t pid = (pid_t)ret_errno(syscall(__NR_clone3, &args, sizeof(args)));
	/* Container filters answer ENOSYS because they cannot read clone3's flags. The old call
	 * puts the pidfd where the parent's thread id would go. */
	if (pid == -ENOSYS)
		pid = (pid_t)ret_errno(
			syscall(__NR_clone, args.flags | SIGCHLD, NULL, &pidfd, NULL, NULL));
	if (pid > 0 && ret_pidfd)
		*ret_pidfd = pidfd;
	return pid;
}

int rb_sys_close_from(unsigned first)
{
	return (int)ret_errno(syscall(__NR_close_range, first, UINT_MAX, 0));
}

int rb_sys_fsopen(const char *fstype)
{
	return (int)ret_errno(syscall(__NR_fsopen, fstype, 1 /* FSOPEN_CLOEXEC */));
}

/* enum fsconfig_command of linux/mount.h, which does not coexist with sys/mount.h on older libcs.
 */
enum { CONFIG_FLAG = 0, CONFIG_STRING = 1, CONFIG_CREATE = 6 };

int rb_sys_fsconfig_str(int fsfd, const char *key, const char *value)
{
	return (int)ret_errno(syscall(__NR_fsconfig, fsfd, CONFIG_STRING, key, value, 0));
}

int rb_sys_fsconfig_flag(int fsfd, const char *key)
{
	return (int)ret_errno(syscall(__NR_fsconfig, fsfd, CONFIG_FLAG, key, NULL, 0));
}

int rb_sys_fsconfig_create(int fsfd)
{
	return (int)ret_errno(syscall(__NR_fsconfig, fsfd, CONFIG_CREATE, NULL, NULL, 0));
}

int rb_sys_fsmount(int fsfd, unsigned attrs)
{
	return (int)ret_errno(syscall(__NR_fsmount, fsfd, 1 /* FSMOUNT_CLOEXEC */, attrs));
}

int rb_sys_open_tree(int dirfd, const char *path, unsigned flags)
{
	return (int)ret_errno(syscall(__NR_open_tree, dirfd, path,
				      flags | O_CLOEXEC | (*path ? 0u : (unsigned)AT_EMPTY_PATH)));
}

int rb_sys_move_mount(int from_fd, int to_dirfd, const char *to_path)
{
	/* MOVE_MOUNT_F_EMPTY_PATH, and MOVE_MOUNT_T_EMPTY_PATH for an empty target path */
	unsigned flags = 4u | (*to_path ? 0u : 0x40u);

	return (int)ret_errno(syscall(__NR_move_mount, from_fd, "", to_dirfd, to_path, flags));
}

int rb_sys_mount_setattr(int dirfd, const char *path, unsigned flags, uint64_t set, uint64_t clear)
{
	struct {
		uint64_t attr_set, attr_clr, propagation, userns_fd;
	} attr = {.attr_set = set, .attr_clr = clear};

	return (int)ret_errno(syscall(__NR_mount_setattr, dirfd, path,
				      flags | (*path ? 0u : (unsigned)AT_EMPTY_PATH), &attr,
				      sizeof(attr)));
}

int rb_sys_pivot_root(const char *new_root, const char *put_old)
{
	return (int)ret_errno(syscall(__NR_pivot_root, new_root, put_old));
}

struct xattr_args {
	uint64_t value;
	uint32_t size;
	uint32_t flags;
};

/* Room for "/proc/self/fd/<int>/<one component>". */
enum { PROC_PATH_BYTES = 32 + NAME_MAX + 1 };

static int proc_path(char *buf, int dirfd, const char *name)
{
	int n = *name ? snprintf(buf, PROC_PATH_BYTES, "/proc/self/fd/%d/%s", dirfd, name)
		      : snprintf(buf, PROC_PATH_BYTES, "/proc/self/fd/%d", dirfd);

	return n < 0 || n >= PROC_PATH_BYTES ? -ENAMETOOLONG : 0;
}

static unsigned at_flags(const char *name)
{
	return *name ? (unsigned)AT_SYMLINK_NOFOLLOW
		     : (unsigned)AT_EMPTY_PATH | (unsigned)AT_SYMLINK_NOFOLLOW;
}

/* Whether the kernel lacks the *xattrat calls; learnt at the first use and the same for every
 * process. */
static bool no_xattrat;

/* The *xattrat calls answer EBADF to an O_PATH descriptor with an empty name (Linux 6.13 to 6.18);
 * the magic link does not. */
static bool try_fallback(long r, const char *name)
{
	if (r == -ENOSYS)
		no_xattrat = true;
	return r == -ENOSYS || (r == -EBADF && !*name);
}

ssize_t rb_sys_getxattr(int dirfd, const char *name, const char *key, void *buf, size_t size)
{
	char path[PROC_PATH_BYTES];
	struct xattr_args args = {.value = (uint64_t)(uintptr_t)buf, .size = (uint32_t)size};
	ssize_t r;

	if (!no_xattrat) {
		r = ret_errno(syscall(__NR_getxattrat, dirfd, name, at_flags(name), key, &args,
				      sizeof(args)));
		if (!try_fallback(r, name))
			return r;
	}
	if ((r = proc_path(path, dirfd, name)) < 0)
		return r;
	r = *name ? lgetxattr(path, key, buf, size) : getxattr(path, key, buf, size);
	return ret_errno(r);
}

ssize_t rb_sys_listxattr(int dirfd, const char *name, char *buf, size_t size)
{
	char path[PROC_PATH_BYTES];
	ssize_t r;

	if (!no_xattrat) {
		r = ret_errno(syscall(__NR_listxattrat, dirfd, name, at_flags(name), buf, size));
		if (!try_fallback(r, name))
			return r;
	}
	if ((r = proc_path(path, dirfd, name)) < 0)
		return r;
	r = *name ? llistxattr(path, buf, size) : listxattr(path, buf, size);
	return ret_errno(r);
}

int rb_sys_setxattr(int dirfd, const char *name, const char *key, const void *value, size_t size)
{
	char path[PROC_PATH_BYTES];
	struct xattr_args args = {.value = (uint64_t)(uintptr_t)value, .size = (uint32_t)size};
	int r;

	if (!no_xattrat) {
		r = (int)ret_errno(syscall(__NR_setxattrat, dirfd, name, at_flags(name), key, &args,
					   sizeof(args)));
		if (!try_fallback(r, name))
			return r;
	}
	if ((r = proc_path(path, dirfd, name)) < 0)
		return r;
	r = *name ? lsetxattr(path, key, value, size, 0) : setxattr(path, key, value, size, 0);
	return (int)ret_errno(r);
}

int rb_sys_removexattr(int dirfd, const char *name, const char *key)
{
	char path[PROC_PATH_BYTES];
	int r;

	if (!no_xattrat) {
		r = (int)ret_errno(syscall(__NR_removexattrat, dirfd, name, at_flags(name), key));
		if (!try_fallback(r, name))
			return r;
	}
	if ((r = proc_path(path, dirfd, name)) < 0)
		return r;
	r = *name ? lremovexattr(path, key) : removexattr(path, key);
	return (int)ret_errno(r);
}

int rb_sys_private_tmpfs(void)
{
	RB_CLEANUP(rb_closep) int fs = rb_sys_fsopen("tmpfs");
	int r = fs < 0 ? fs : rb_sys_fsconfig_str(fs, "mode", "700");

	if (r >= 0)
		r = rb_sys_fsconfig_create(fs);
	return r < 0 ? r
		     : rb_sys_fsmount(fs, RB_MOUNT_ATTR_NOSUID | RB_MOUNT_ATTR_NODEV |
						  RB_MOUNT_ATTR_NOEXEC);
}
