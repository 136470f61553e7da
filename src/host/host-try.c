// SPDX-License-Identifier: Apache-2.0
/* Trying inside a user namespace what builds will do there. */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/sys.h"
#include "host/host-internal.h"

/* Newer than the headers of older distributions. */
#define FILTER_WAIT_KILLABLE_RECV (1UL << 5)               /* Linux 5.19 */
#define NOTIF_SET_FLAGS           SECCOMP_IOW(4, uint64_t) /* Linux 6.6 */
#define NOTIF_SYNC_WAKE_UP        1UL

enum {
	STEP_NAMESPACES = CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS |
			  CLONE_NEWCGROUP
};

/* Shared by the processes of a trial. Errno values, 0: it works. */
struct trial {
	int mount_errno, step_errno, notify_errno, inspect_errno;
	bool killable, sync;
};

static void listen_to_nobody(struct trial *t)
{
	struct sock_filter allow[] = {BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
	struct sock_fprog program = {.len = RB_ARRAY_LEN(allow), .filter = allow};
	const unsigned long flags = SECCOMP_FILTER_FLAG_NEW_LISTENER;
	long fd = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags | FILTER_WAIT_KILLABLE_RECV,
			  &program);

	t->killable = fd >= 0;
	if (fd < 0 && errno == EINVAL)
		fd = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program);
	t->notify_errno = fd < 0 ? errno : 0;
	t->sync = fd >= 0 && ioctl((int)fd, NOTIF_SET_FLAGS, NOTIF_SYNC_WAKE_UP) == 0;
}

/* A step in small: confined as one, and looked at by its parent as by the supervisor. */
static void RB_NORETURN step_main(struct trial *t, int ready_fd)
{
	listen_to_nobody(t);
	t->step_errno = unshare(STEP_NAMESPACES) < 0 ? errno : 0;
	(void)rb_write_full(ready_fd, "r", 1);
	for (;;)
		(void)pause();
}

/*
 * As the supervisor reaches into a process that called it. Yama's ptrace_scope 3 forbids this to
 * everybody; filters of container engines may know some of these calls only.
 */
static int inspect(pid_t pid, int fd, struct trial *t)
{
	char byte = 0;
	struct iovec here = {&byte, 1}, there = {t, 1};
	RB_CLEANUP(rb_closep) int pidfd = rb_sys_pidfd_open(pid);

	if (pidfd < 0)
		return -pidfd;
	RB_CLEANUP(rb_closep) int copy = (int)syscall(SYS_pidfd_getfd, pidfd, fd, 0);
	if (copy < 0 || process_vm_readv(pid, &here, 1, &there, 1, 0) < 0 ||
	    process_vm_writev(pid, &here, 1, &there, 1, 0) < 0)
		return errno;
	return 0;
}

static void try_step(struct trial *t)
{
	char c;
	int ready[2];

	t->step_errno = t->notify_errno = t->inspect_errno = EAGAIN;
	if (rb_pipe(ready) < 0)
		return;
	pid_t pid = fork();
	if (pid == 0)
		step_main(t, ready[1]);
	(void)close(ready[1]);
	if (pid > 0 && rb_read_full(ready[0], &c, 1) == 1)
		t->inspect_errno = inspect(pid, ready[0], t);
	(void)close(ready[0]);
	if (pid > 0 && kill(pid, SIGKILL) == 0)
		(void)waitpid(pid, NULL, 0);
}

static int inner_main(void *ctx)
{
	struct trial *t = ctx;

	/* Before the mount: whose root lies under a mount may make no user namespace, as in a
	 * chroot. */
	try_step(t);
	/* AppArmor can let unshare pass and refuse what follows, so something is mounted. */
	t->mount_errno =
		mount("rbuild", "/", "tmpfs", MS_NOSUID | MS_NODEV, "size=4k") < 0 ? errno : 0;
	return 0;
}

static int judge(const struct trial *t, struct rb_host *h, struct rb_error **err)
{
	if (t->mount_errno)
		return rb_fail_sys(err, -t->mount_errno, "cannot mount inside the user namespace");
	if (t->step_errno)
		return rb_fail_sys(
			err, -t->step_errno,
			"cannot make the namespaces of a step inside the user namespace");
	h->notify_errno = t->notify_errno;
	h->inspect_errno = t->inspect_errno;
	h->can_notify = t->notify_errno == 0 && t->inspect_errno == 0;
	h->notify_killable = t->killable;
	h->notify_sync = t->sync;
	return 0;
}

int rb_host_try(struct rb_host *h, struct rb_error **err)
{
	struct trial *t =
		mmap(NULL, sizeof(*t), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (t == MAP_FAILED)
		return rb_fail_errno(err, "cannot share memory with a trial");
	int r = rb_host_enter(h, inner_main, t, err);
	if (r > 0)
		r = rb_fail(err, RB_ERR_SYS, "the trial in the user namespace ended with status %d",
			    r);
	if (r == 0)
		r = judge(t, h, err);
	(void)munmap(t, sizeof(*t));
	return r;
}
