/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One wrapper for each newer system call, with its fallback where one exists. All are mechanism:
 * they return
 * `>= 0` or `-errno`, allocate nothing and may be called between fork and exec.
 */
#ifndef RB_BASE_SYS_H
#define RB_BASE_SYS_H

#include <signal.h>
#include <sys/stat.h>

#include "base/base.h"

#define RB_RESOLVE_NO_XDEV       0x01u
#define RB_RESOLVE_NO_MAGICLINKS 0x02u
#define RB_RESOLVE_NO_SYMLINKS   0x04u
#define RB_RESOLVE_BENEATH       0x08u
#define RB_RESOLVE_IN_ROOT       0x10u

int rb_sys_openat2(int dirfd, const char *path, int flags, mode_t mode, uint64_t resolve);

int rb_sys_pidfd_open(pid_t pid);
int rb_sys_pidfd_send_signal(int pidfd, int sig);
/* clone3 (else clone) without a new stack: a fork with namespace flags. *ret_pidfd receives a
 * CLOEXEC pidfd. Pid, or 0 in the child, or -errno. */
pid_t rb_sys_clone(uint64_t flags, int *ret_pidfd);
/* Closes every descriptor >= first. */
int rb_sys_close_from(unsigned first);

/* The mount API by descriptor (Linux 5.2). All descriptors are CLOEXEC. */
int rb_sys_fsopen(const char *fstype);
int rb_sys_fsconfig_str(int fsfd, const char *key, const char *value);
int rb_sys_fsconfig_flag(int fsfd, const char *key);
int rb_sys_fsconfig_create(int fsfd);
int rb_sys_fsmount(int fsfd, unsigned attrs /* RB_MOUNT_ATTR_* */);
int rb_sys_open_tree(int dirfd, const char *path, unsigned flags);
int rb_sys_move_mount(int from_fd, int to_dirfd, const char *to_path);
/* Sets and clears attributes; recursive with AT_RECURSIVE in flags. dirfd itself when path is "".
 */
int rb_sys_mount_setattr(int dirfd, const char *path, unsigned flags, uint64_t set, uint64_t clear);
int rb_sys_pivot_root(const char *new_root, const char *put_old);
/* A tmpfs of its own, mode 0700, without programs and devices, that is mounted nowhere. */
int rb_sys_private_tmpfs(void);

#define RB_MOUNT_ATTR_RDONLY      0x01u
#define RB_MOUNT_ATTR_NOSUID      0x02u
#define RB_MOUNT_ATTR_NODEV       0x04u
#define RB_MOUNT_ATTR_NOEXEC      0x08u
#define RB_MOUNT_ATTR_STRICTATIME 0x20u
#define RB_OPEN_TREE_CLONE        1u
#define RB_AT_RECURSIVE           0x8000u

/*
 * Extended attributes of name below dirfd, never following a link in the last component; name ""
 * means dirfd itself (which may be O_PATH). Uses the *xattrat calls (Linux 6.13), else
 * /proc/self/fd. get and list: size or -errno (-ERANGE when the buffer is small); set and remove: 0
 * or -errno.
 */
ssize_t rb_sys_getxattr(int dirfd, const char *name, const char *key, void *buf, size_t size);
ssize_t rb_sys_listxattr(int dirfd, const char *name, char *buf, size_t size);
int rb_sys_setxattr(int dirfd, const char *name, const char *key, const void *value, size_t size);
int rb_sys_removexattr(int dirfd, const char *name, const char *key);

#endif
