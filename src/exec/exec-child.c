// SPDX-License-Identifier: Apache-2.0
/*
 * The child of a step: a loop over prepared operations. From fork to exec only system calls on
 * memory that the parent has filled (style 7).
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/path.h"
#include "base/sys.h"
#include "exec/exec-internal.h"

struct child {
	const struct rb_step *step;
	int made[RB_STEP_FDS_MAX]; /* descriptors by index; those of RB_OP_PREPARE are ours */
	int channel;
};

static int get_fd(const struct child *c, int index)
{
	return c->step->fds[index] >= 0 ? c->step->fds[index] : c->made[index];
}

static int new_fs(const struct rb_op *op)
{
	int fs = rb_sys_fsopen(op->from);
	int r = fs < 0 ? fs : rb_sys_fsconfig_create(fs);

	return r < 0 ? r : rb_sys_fsmount(fs, op->attrs);
}

static int op_move(struct child *c, const struct rb_op *op)
{
	return rb_sys_move_mount(get_fd(c, op->src), get_fd(c, op->dst), op->path);
}

static int op_bind(struct child *c, const struct rb_op *op)
{
	int fd = rb_sys_open_tree(get_fd(c, op->src), op->from,
				  RB_OPEN_TREE_CLONE | RB_AT_RECURSIVE);
	int r = fd < 0 ? fd : rb_sys_mount_setattr(fd, "", RB_AT_RECURSIVE, op->attrs, 0);

	if (r >= 0)
		r = rb_sys_move_mount(fd, get_fd(c, op->dst), op->path);
	if (fd >= 0)
		(void)close(fd);
	return r;
}

static int op_mount(struct child *c, const struct rb_op *op)
{
	int fd = new_fs(op);

	return fd < 0 ? fd : rb_sys_move_mount(fd, get_fd(c, op->dst), op->path);
}

static int op_prepare(struct child *c, const struct rb_op *op)
{
	c->made[op->dst] = new_fs(op);
	return c->made[op->dst];
}

/*
 * pivot_root wants a mount point: the root is mounted over "/" first, and after the call the old
 * root lies over the new one, where "." finds it (pivot_root(2)).
 */
static int op_enter(struct child *c, const struct rb_op *op)
{
	int root = get_fd(c, op->src), r = rb_sys_move_mount(root, AT_FDCWD, "/");

	if (r < 0)
		return r;
	if (fchdir(root) < 0)
		return -errno;
	if ((r = rb_sys_pivot_root(".", ".")) < 0)
		return r;
	return umount2(".", MNT_DETACH) < 0 || chdir("/") < 0 ? -errno : 0;
}

/* Our root is the step's: whatever leads there, it ends in it. */
static int attach(struct child *c, const struct rb_op *op, int mount)
{
	int at = rb_open_in_root(get_fd(c, op->dst), op->path, O_PATH, 0);
	int r = at < 0 ? at : 0;

	if (r >= 0 && op->attrs)
		r = rb_sys_mount_setattr(mount, "", 0, op->attrs, 0);
	if (r >= 0)
		r = rb_sys_move_mount(mount, at, "");
	if (at >= 0)
		(void)close(at);
	return r;
}

static int op_attach(struct child *c, const struct rb_op *op)
{
	return attach(c, op, get_fd(c, op->src));
}

static int op_attach_part(struct child *c, const struct rb_op *op)
{
	int clone = rb_sys_open_tree(get_fd(c, op->src), "", RB_OPEN_TREE_CLONE);
	int r = clone < 0 ? clone : attach(c, op, clone);

	if (clone >= 0)
		(void)close(clone);
	return r;
}

/* umount2 takes no descriptor. */
static int op_release(struct child *c, const struct rb_op *op)
{
	if (fchdir(get_fd(c, op->dst)) < 0 || umount2(op->path, MNT_DETACH | UMOUNT_NOFOLLOW) < 0)
		return -errno;
	return chdir("/") < 0 ? -errno : 0;
}

static int op_unlink(struct child *c, const struct rb_op *op)
{
	return unlinkat(get_fd(c, op->dst), op->path, (int)op->attrs) < 0 ? -errno : 0;
}

static int op_netns(struct child *c, const struct rb_op *op)
{
	return setns(get_fd(c, op->src), CLONE_NEWNET) < 0 ? -errno : 0;
}

static int op_loopback(struct child *c, const struct rb_op *op)
{
	(void)c;
	return unshare((int)op->attrs) < 0 ? -errno : rb_loopback_up();
}

static int op_own(struct child *c, const struct rb_op *op)
{
	(void)c;
	return unshare((int)op->attrs) < 0 ? -errno : 0;
}

static int op_limit(struct child *c, const struct rb_op *op)
{
	const struct rb_exec_limit *l = &c->step->spec->settings->limits[op->src];
	const struct rlimit limit = {.rlim_cur = l->soft, .rlim_max = l->hard};

	return setrlimit((enum __rlimit_resource)l->resource, &limit) < 0 ? -errno : 0;
}

static int op_hostname(struct child *c, const struct rb_op *op)
{
	(void)c;
	return sethostname(op->from, strlen(op->from)) < 0 ? -errno : 0;
}

/* The mounts now belong to a namespace in which the step has no capability. */
static int op_userns(struct child *c, const struct rb_op *op)
{
	const struct rb_child_message want = {.op = RB_EXEC_WANT_MAPS};
	char go;

	(void)op;
	if (unshare(CLONE_NEWUSER) < 0)
		return -errno;
	if (send(c->channel, &want, sizeof(want), MSG_NOSIGNAL) != (ssize_t)sizeof(want))
		return -EPIPE;
	/* End of file: the parent has gone, and so shall we. */
	return recv(c->channel, &go, 1, 0) == 1 ? 0 : -EPIPE;
}

static int op_session(struct child *c, const struct rb_op *op)
{
	sigset_t none;

	(void)c;
	(void)op;
	if (setsid() < 0)
		return -errno;
	(void)umask(022);
	/* Ignored signals would stay ignored over exec. */
	for (int sig = 1; sig < NSIG; sig++)
		(void)signal(sig, SIG_DFL);
	sigemptyset(&none);
	return sigprocmask(SIG_SETMASK, &none, NULL) < 0 ? -errno : 0;
}

/* After this, 0 to 2 are the step's, 3 is the channel, and nothing else is open (S1). */
static int op_stdio(struct child *c, const struct rb_op *op)
{
	int fds[3];

	(void)op;
	for (int i = 0; i < 3; i++) {
		int fd = c->step->stdio[i] >= 0
				 ? c->step->stdio[i]
				 : openat(get_fd(c, c->step->dev), "null", O_RDWR | O_CLOEXEC);
		/* Above 3, so that no dup2 hits a source. */
		fds[i] = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 4);
		if (fds[i] < 0)
			return -errno;
	}
	for (int i = 0; i < 3; i++)
		if (dup2(fds[i], i) < 0)
			return -errno;
	if (c->step->spec->terminal && ioctl(0, TIOCSCTTY, 0) < 0)
		return -errno;
	if (c->channel != 3 && dup3(c->channel, 3, O_CLOEXEC) < 0)
		return -errno;
	c->channel = 3;
	return rb_sys_close_from(4);
}

static int op_cwd(struct child *c, const struct rb_op *op)
{
	int fd = rb_open_in_root(get_fd(c, op->src), op->from, O_PATH | O_DIRECTORY, 0);

	if (fd < 0)
		return fd;
	return fchdir(fd) < 0 ? -errno : 0;
}

static int set_caps(uint64_t caps)
{
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2];

	for (int i = 0; i < 2; i++)
		data[i] = (struct __user_cap_data_struct){
			.permitted = (uint32_t)(caps >> (32 * i)),
			.effective = (uint32_t)(caps >> (32 * i)),
		};
	return syscall(SYS_capset, &head, data) < 0 ? -errno : 0;
}

static int op_caps(struct child *c, const struct rb_op *op)
{
	(void)op;
	for (unsigned cap = 0; cap <= c->step->cap_last; cap++)
		if (!(c->step->caps >> cap & 1) && prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0)
			return -errno;
	return 0;
}

static int op_ids(struct child *c, const struct rb_op *op)
{
	const struct rb_user *u = &c->step->user;

	(void)op;
	if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0)
		return -errno;
	/* With one id there is nothing to set, and setgroups is denied for good. A step whose ids
	 * are emulated is told that it has these, and stays root. */
	bool emulated = c->step->supervision_level == RB_SUPERVISE_ALL;
	if (c->step->spec->host->rung == RB_RUNG_RANGE &&
	    (syscall(SYS_setgroups, emulated ? 0 : u->n_groups, u->groups) < 0 ||
	     (!emulated && (syscall(SYS_setresgid, u->gid, u->gid, u->gid) < 0 ||
			    syscall(SYS_setresuid, u->uid, u->uid, u->uid) < 0))))
		return -errno;
	/* A change of ids forgets the first, and hides us from the supervisor by the second. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || prctl(PR_SET_DUMPABLE, 1) < 0)
		return -errno;
	/* Loading a filter without no_new_privs takes CAP_SYS_ADMIN, which setresuid has made
	 * ineffective. */
	return set_caps(c->step->caps | (uint64_t)1 << CAP_SYS_ADMIN);
}

static int op_filter(struct child *c, const struct rb_op *op)
{
	(void)op;
	/* SPEC_ALLOW: a step attacks nobody in its own process; the mitigation would slow each
	 * compiler run. */
	return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_SPEC_ALLOW,
		       &c->step->filter) < 0
		       ? -errno
		       : 0;
}

/* Sends a descriptor with a message, and closes it. */
static int send_fd(int channel, struct rb_child_message m, int fd)
{
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = {.bytes = {0}};
	struct iovec iov = {.iov_base = &m, .iov_len = sizeof(m)};
	struct msghdr msg = {.msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = control.bytes,
			     .msg_controllen = sizeof(control.bytes)};
	struct cmsghdr *cm = CMSG_FIRSTHDR(&msg);

	cm->cmsg_level = SOL_SOCKET;
	cm->cmsg_type = SCM_RIGHTS;
	cm->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(cm), &fd, sizeof(fd));
	ssize_t n = sendmsg(channel, &msg, MSG_NOSIGNAL);
	(void)close(fd);
	return n == (ssize_t)sizeof(m) ? 0 : -EPIPE;
}

/* From here on the calls of rb_supervise_rule() wait for the supervisor, ours too. */
static int op_supervise(struct child *c, const struct rb_op *op)
{
	unsigned flags = SECCOMP_FILTER_FLAG_NEW_LISTENER | SECCOMP_FILTER_FLAG_SPEC_ALLOW;
	int fd =
		(int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
			     flags | SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV, &c->step->supervision);

	(void)op;
	/* Linux 5.19 keeps signals from interrupting a call that is being answered. */
	if (fd < 0 && errno == EINVAL)
		fd = (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags,
				  &c->step->supervision);
	if (fd < 0)
		return -errno;
	int r = send_fd(c->channel, (struct rb_child_message){.op = RB_EXEC_LISTENER}, fd);
	char go;

	/* Somebody has to be there to be asked; end of file: the parent has gone. */
	return r < 0 || recv(c->channel, &go, 1, 0) == 1 ? r : -EPIPE;
}

static int op_exec(struct child *c, const struct rb_op *op)
{
	const struct rb_step *s = c->step;
	int first = -ENOENT,
	    r = set_caps(s->supervision_level == RB_SUPERVISE_ALL || s->user.uid == 0 ? s->caps
										      : 0);
	union {
		const char *const *in;
		char *const *out;
	} argv = {.in = s->spec->argv};

	(void)op;
	if (r < 0)
		return r;
	for (size_t i = 0; i < s->candidates.n; i++) {
		execve(s->candidates.v[i], argv.out, s->envp.v);
		if (errno == EACCES)
			first = -EACCES; /* as a shell does: look on, but remember */
		else if (errno != ENOENT && errno != ENOTDIR)
			return -errno;
	}
	return first;
}

static int (*const handlers[])(struct child *, const struct rb_op *) = {
	[RB_OP_MOVE] = op_move,         [RB_OP_BIND] = op_bind,
	[RB_OP_MOUNT] = op_mount,       [RB_OP_PREPARE] = op_prepare,
	[RB_OP_ENTER] = op_enter,       [RB_OP_UNLINK] = op_unlink,
	[RB_OP_ATTACH] = op_attach,     [RB_OP_ATTACH_PART] = op_attach_part,
	[RB_OP_RELEASE] = op_release,   [RB_OP_NETNS] = op_netns,
	[RB_OP_HOSTNAME] = op_hostname, [RB_OP_USERNS] = op_userns,
	[RB_OP_SESSION] = op_session,   [RB_OP_LOOPBACK] = op_loopback,
	[RB_OP_OWN] = op_own,           [RB_OP_STDIO] = op_stdio,
	[RB_OP_CWD] = op_cwd,           [RB_OP_LIMIT] = op_limit,
	[RB_OP_CAPS] = op_caps,         [RB_OP_IDS] = op_ids,
	[RB_OP_FILTER] = op_filter,     [RB_OP_SUPERVISE] = op_supervise,
	[RB_OP_EXEC] = op_exec,
};

void rb_step_child(const struct rb_step *s)
{
	struct child c = {.step = s, .channel = s->channel};

	/* Whoever dies before this is noticed by RB_OP_USERNS, which waits for an answer. */
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (size_t i = 0; i < s->n_ops; i++) {
		int r = handlers[s->ops[i].kind](&c, &s->ops[i]);

		if (r < 0) {
			struct rb_child_message m = {.op = (uint32_t)i, .sys_errno = -r};

			(void)send(c.channel, &m, sizeof(m), MSG_NOSIGNAL);
			_exit(127);
		}
	}
	_exit(127);
}
