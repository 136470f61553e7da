/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of src/supervise/ share. One process, several
 * threads. A call that only looks may be answered beside others of its kind; all others are alone.
 */
#ifndef RB_SUPERVISE_INTERNAL_H
#define RB_SUPERVISE_INTERNAL_H

#include <fcntl.h>
#include <limits.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sys/stat.h>
#include <uthash.h>

#include "base/fd.h"
#include "base/sys.h"
#include "layer/ledger.h"
#include "supervise/cred.h"
#include "supervise/supervise.h"

/* --- identities (identity.c) --- */

/*
 * Every set of credentials that occurs has a number. A process carries its number in the soft
 * limit of RLIMIT_LOCKS, which the kernel has ignored since 2.4.25: so fork hands it down before
 * anybody is asked, also when the parent is gone by the time the child makes its first call. The
 * step cannot touch that limit: its calls are answered here.
 *
 * A limit is the whole process's. A thread that differs carries its number above RB_CREDS_MARK in
 * its timer slack (nanoseconds, proc_pid_timerslack_ns(5)), which threads and children take over
 * from the very thread that makes them. Some microseconds more of it harm nobody. Marks go when
 * all threads of a process agree.
 */
enum {
	RB_CREDS_MAX = 65536,
	RB_CREDS_MIN = 1024, /* a hard limit below that would show in the middle of a step */
	RB_CREDS_GROUPS_MAX = 1 << 20,
	RB_CREDS_SLACK = 50000, /* the kernel's default */
	RB_CREDS_MARK,
};

/* An execve that changes credentials counts when the process runs that file. */
struct pending_exec {
	pid_t tgid;
	dev_t dev;
	ino_t ino;
	uint32_t cred;
};

/* A handle on a caller that is likely to call again. */
struct handle {
	pid_t tid;
	int pidfd;
};
enum { RB_HANDLES = 64 };

/* --- owners that no attribute holds (entry.c) --- */

struct node_key {
	uint64_t dev, ino;
};
struct node {
	struct node_key key;
	uint64_t twin; /* its other number, or 0 */
	struct rb_owner owner;
	UT_hash_handle hh;
};

/* --- calls that are made again (replay.c) --- */

enum { RB_REPLAYS = 16 };
struct replay {
	pid_t tid; /* 0: free */
	struct seccomp_data data;
	int64_t result;
};

/*
 * What attributes have said, by the file's last change: setting one is a change. Only files that
 * have been left alone for a while are kept, since clocks of file systems are coarse.
 */
struct known {
	uint64_t ino;
	struct timespec ctime;
	bool has;
	struct rb_owner owner;
};
enum { RB_KNOWN = 256, RB_KNOWN_AGE_S = 2 };

/* Who called from a processor last. */
struct seat {
	_Atomic pid_t tid;
	_Atomic int64_t used_ns;
};

struct supervisor {
	const struct rb_supervise_spec *spec;
	int listener, proc_fd, root_fd;
	struct stat root;
	bool chrooted;         /* somebody has called chroot: paths start where /proc says */
	bool set_up;           /* the first execve has been seen: what runs is the step's */
	struct rb_cred *creds; /* by number */
	size_t n_creds, cap_creds, n_groups; /* groups of all together */
	uint64_t limit_max;                  /* hard limit that goes with the numbers */
	bool any_marked;                     /* a thread has differed from its process, ever */
	struct pending_exec *pending;
	size_t n_pending, cap_pending;
	struct node *nodes;
	struct replay replays[RB_REPLAYS];
	int next_replay;
	bool any_replay;
	bool has_rows;          /* of files in the root, ever */
	bool has_owners;        /* an owner was given that the disk cannot hold */
	pthread_rwlock_t *lock; /* held while a call is answered */
	bool may_repeat;        /* signals make callers repeat calls that are being answered */
	bool wakes_here;        /* callers are woken on the processor that we are on */
	struct seat *seats;     /* by processor */
};

/* --- one call --- */

struct call {
	struct supervisor *s;
	uint64_t id;
	pid_t tid;
	bool compat; /* 32 bit entry */
	uint64_t a[6];
	uint32_t cred_index;
	struct rb_cred cred; /* a copy */
	uint32_t groups[64]; /* of it, where they are the kernel's */
	mode_t *mask;        /* the umask that this thread of ours has now */
	struct pool *pool;   /* of our threads */
	bool changes;        /* it does more than look */
	bool gave_place;     /* another one receives meanwhile */
};

typedef int64_t call_fn(struct call *c);

/* Answers that are no results. */
#define RB_CALL_CONTINUE INT64_MIN       /* the kernel goes on: no pointer was looked at */
#define RB_CALL_ANSWERED (INT64_MIN + 1) /* a descriptor was handed over */

/* calls.c: the table */
void rb_call_table_init(void);
struct call_entry {
	call_fn *handler;
	bool only_looks;
};
struct call_entry rb_call_find(uint32_t arch, uint32_t nr, bool *ret_compat);

/* Before something that waits, or copies a large file up. */
void rb_call_may_take_long(struct call *c, const struct stat *st);
void rb_call_takes_long(struct call *c);

/* caller.c. Mechanism: results or -errno. */
int rb_caller_read(const struct call *c, uint64_t address, void *buf, size_t len);
int rb_caller_write(const struct call *c, uint64_t address, const void *buf, size_t len);
/* A string of at most size - 1 bytes: its length, -ENAMETOOLONG, -EFAULT. */
ssize_t rb_caller_string(const struct call *c, uint64_t address, char *buf, size_t size);
/* -ENOENT when the caller has gone: nothing may be done for who has its number now. */
int rb_caller_check(const struct call *c);
/* Opened anew: its cwd, root, executable; and a copy of a descriptor. The caller closes. */
int rb_caller_open(const struct call *c, const char *what, int flags);
int rb_caller_fd(const struct call *c, int fd);
/* The same for calls that want more than an O_PATH descriptor: -EBADF for that. The caller is
 * known to be there afterwards. */
int rb_caller_file(const struct call *c, int fd);
/* From /proc/<tid>/status; *_inside are numbers in the step's own pid namespace. */
struct caller_status {
	pid_t tgid, pid_inside, tid_inside;
	unsigned threads;
	bool no_new_privs;
};
int rb_caller_status(const struct call *c, struct caller_status *ret);
/* What the kernel says of its rights: file system ids, effective capabilities, groups as far as
 * there is room, umask. */
int rb_caller_creds(const struct call *c, struct rb_cred *ret, uint32_t *groups, size_t room);
/* Whether a process is in the caller's pid namespace. */
bool rb_caller_shares_pids(const struct call *c, pid_t pid);

/* Keeps a result that could not be delivered, for when the same thread makes the same call. */
void rb_replay_keep(struct supervisor *s, const struct seccomp_notif *n, int64_t result);
bool rb_replay_take(struct supervisor *s, const struct seccomp_notif *n, int64_t *ret);

/* identity.c */
int rb_creds_init(struct supervisor *s);
void rb_creds_load(struct call *c);
/* The caller has these from now on. -EAGAIN when there are too many different ones. */
int rb_creds_store(struct call *c, const struct rb_cred *cred);
/* All threads of the caller's process have this mask. */
int rb_creds_store_umask(struct call *c, mode_t mask);
/* Whether the caller's timer slack is ours. */
bool rb_creds_in_slack(const struct call *c);
/* When the caller's execve of the file succeeds it has these. */
int rb_creds_after_exec(struct call *c, const struct stat *file, const struct rb_cred *cred);
/* What another process has, by its number in our pid namespace, or in the step's. */
int rb_creds_of(struct supervisor *s, pid_t pid, struct rb_cred *ret, pid_t *ret_inside);
int rb_creds_of_inside(struct call *c, pid_t inside, struct rb_cred *ret);

/* resolve.c: paths as the caller sees them. Descriptors are O_PATH. Mechanism. */
int rb_resolve(struct call *c, int dirfd, const char *path, bool follow_last);
/* The same from an open directory of ours. */
int rb_resolve_from(struct call *c, int base, const char *path, bool follow_last);
/* The directory of the last component, and that component: "." and ".." may be in it, with which
 * every call that changes a directory fails. */
struct parent {
	int fd;
	char name[NAME_MAX + 1];
	bool slash; /* the path ends in one: a directory is meant */
};
static inline void parent_clear(struct parent *p)
{
	rb_closep(&p->fd);
}
int rb_resolve_parent(struct call *c, int dirfd, const char *path, struct parent *ret);
int rb_resolve_parent_from(struct call *c, int base, const char *path, struct parent *ret);
/* The component with its slash, which the kernel has rules for. */
const char *rb_parent_name(const struct parent *p, char buf[static NAME_MAX + 2]);
/* Arguments of a call, by the address of the path; the caller is known to be there afterwards.
 * AT_EMPTY_PATH and AT_SYMLINK_NOFOLLOW in flags. */
int rb_resolve_at(struct call *c, int dirfd, uint64_t address, int flags);
/* Whether an open file is on a procfs. */
bool rb_on_proc(int fd);
/* 1 or 0. */
int rb_path_ends_in_slash(const struct call *c, uint64_t address);
/* What AT_EMPTY_PATH means. */
int rb_resolve_self(const struct call *c, int dirfd);
int rb_resolve_parent_at(struct call *c, int dirfd, uint64_t address, struct parent *ret);

/* entry.c: what the image says of an open file (any descriptor, O_PATH too). */
int rb_entry_stat(struct supervisor *s, int fd, struct stat *ret);
/* The same for a stat that is known already. */
int rb_entry_fix(struct supervisor *s, int fd, struct stat *st);
/* Gives it to others, with what the kernel does to set-id bits then. */
int rb_entry_chown(struct supervisor *s, int fd, uint32_t uid, uint32_t gid);
/* The same with permission bits as they are for the caller: what a kept ACL grants it stands for
 * its group and for the others. To be asked, not to be shown. */
int rb_entry_stat_as(struct call *c, int fd, struct stat *ret);
/* A new file, made by the caller in the directory; `mode` is what it asked for, without its mask.
 */
int rb_entry_created(struct call *c, int dir_fd, int fd, mode_t mode);
/* Whether the caller may make and remove names in the directory: 0 or -EACCES. */
int rb_may_change(struct call *c, int dir_fd);
/* A device's placeholder. */
int rb_entry_device(struct call *c, int dir_fd, int fd, mode_t mode, dev_t rdev);
/* Around calls that copy a link up from a lower directory, and so give it a new number. */
int rb_entry_renumber(struct supervisor *s, const struct stat *before, int fd);
/* The last name of it is gone. */
void rb_entry_forget(struct supervisor *s, const struct stat *disk);
/* The step's output belongs to who it starts as: /dev/stdout can be opened. */
void rb_entry_give_pipe(struct supervisor *s, int fd);
/* The table rows of a tree whose root is open. */
int rb_entry_load(struct supervisor *s, int root_fd, struct rb_ledger *ledger);

/* The handlers, by file. */
call_fn rb_call_chown, rb_call_lchown, rb_call_fchown, rb_call_fchownat;
call_fn rb_call_chmod, rb_call_fchmod, rb_call_fchmodat;
call_fn rb_call_utime, rb_call_utimes, rb_call_futimesat, rb_call_utimensat,
	rb_call_utimensat_time64;
call_fn rb_call_setxattr, rb_call_lsetxattr, rb_call_fsetxattr;
call_fn rb_call_getxattr, rb_call_lgetxattr, rb_call_fgetxattr;
call_fn rb_call_listxattr, rb_call_llistxattr, rb_call_flistxattr;
call_fn rb_call_removexattr, rb_call_lremovexattr, rb_call_fremovexattr;

call_fn rb_call_open, rb_call_openat, rb_call_creat;
call_fn rb_call_mkdir, rb_call_mkdirat, rb_call_mknod, rb_call_mknodat;
call_fn rb_call_bind, rb_call_symlink, rb_call_symlinkat, rb_call_link, rb_call_linkat;
call_fn rb_call_unlink, rb_call_unlinkat, rb_call_rmdir;
call_fn rb_call_rename, rb_call_renameat, rb_call_renameat2;

call_fn rb_call_stat, rb_call_lstat, rb_call_fstat, rb_call_newfstatat, rb_call_statx;
call_fn rb_call_access, rb_call_faccessat, rb_call_faccessat2;

call_fn rb_call_setuid, rb_call_setreuid, rb_call_setresuid, rb_call_setfsuid;
call_fn rb_call_setgid, rb_call_setregid, rb_call_setresgid, rb_call_setfsgid;
call_fn rb_call_getuid, rb_call_geteuid, rb_call_getgid, rb_call_getegid;
call_fn rb_call_getresuid, rb_call_getresgid, rb_call_getgroups, rb_call_setgroups;
call_fn rb_call_capget, rb_call_capset, rb_call_prctl, rb_call_umask;
call_fn rb_call_execve, rb_call_execveat, rb_call_chroot, rb_call_socket;
call_fn rb_call_setrlimit, rb_call_getrlimit, rb_call_prlimit, rb_call_getsockopt;

#endif
