// SPDX-License-Identifier: Apache-2.0
#include "exec/exec.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/child.h"
#include "base/fd.h"
#include "base/path.h"
#include "base/sys.h"
#include "exec/exec-internal.h"
#include "image/platform.h"
#include "layer/acl.h"

#define DEFAULT_HOSTNAME "buildkitsandbox"

/* What outlives the start of a step. */
struct rb_exec_private {
	struct rb_stubs stubs;
	int sys_net_fd; /* as in struct rb_step */
	struct rb_oom_mark before;
	struct rb_supervision supervision;
};

/* dockerfile.md 10.5 */
static const char *const capabilities[] = {
	"cap_chown",   "cap_dac_override", "cap_fsetid",           "cap_fowner",
	"cap_mknod",   "cap_net_raw",      "cap_setgid",           "cap_setuid",
	"cap_setfcap", "cap_setpcap",      "cap_net_bind_service", "cap_sys_chroot",
	"cap_kill",    "cap_audit_write",
};

/* --- the step --- */

int rb_step_fd(struct rb_step *s, int fd)
{
	if (s->n_fds == RB_STEP_FDS_MAX)
		rb_bug("a step has more than %d descriptors", RB_STEP_FDS_MAX);
	s->fds[s->n_fds] = fd;
	return (int)s->n_fds++;
}

struct rb_op *rb_step_op(struct rb_step *s, enum rb_op_kind kind, const char *what)
{
	if (s->n_ops == RB_STEP_OPS_MAX)
		rb_bug("a step has more than %d operations", RB_STEP_OPS_MAX);
	struct rb_op *op = &s->ops[s->n_ops++];
	*op = (struct rb_op){.kind = kind, .what = what, .path = "", .from = ""};
	return op;
}

static void step_free(struct rb_step *s)
{
	rb_user_clear(&s->user);
	for (size_t i = 0; i < s->n_fds; i++)
		rb_closep(&s->fds[i]);
	rb_stubs_remove(&s->stubs);
	rb_strv_clear(&s->names);
	rb_strv_wipe(&s->envp); /* secrets may be in it */
	rb_strv_clear(&s->candidates);
	rb_closep(&s->channel);
	rb_closep(&s->sys_net_fd);
	free(s);
}

static void step_freep(struct rb_step **s)
{
	if (*s)
		step_free(*s);
}

/* --- prepare --- */

static int check_user(struct rb_step *s, struct rb_error **err)
{
	const struct rb_host *h = s->spec->host;
	uint32_t uids = rb_id_map_limit(&h->uids), gids = rb_id_map_limit(&h->gids);
	const struct rb_user *u = &s->user;
	const char *name = s->spec->user && *s->spec->user ? s->spec->user : "root";

	s->supervision_level = rb_supervision_choose(s->spec, u);
	/* The ids of a supervised step are numbers only. */
	if (s->supervision_level == RB_SUPERVISE_ALL)
		return 0;
	if (u->uid >= uids || u->gid >= gids)
		return rb_fail(err, RB_ERR_UNSUPPORTED,
			       "the step runs as user %s (uid %u, gid %u), but the subordinate ids "
			       "of this host end at %u and %u; a larger range would allow it: see "
			       "rbuild doctor",
			       name, u->uid, u->gid, uids - 1, gids - 1);
	return 0;
}

static void set_environment(struct rb_step *s)
{
	bool has_home = false;

	for (const char *const *e = s->spec->envp; *e; e++) {
		rb_strv_add(&s->envp, *e);
		has_home |= rb_starts_with(*e, "HOME=");
	}
	if (!has_home)
		rb_strv_addf(&s->envp, "HOME=%s", s->user.home);
}

enum { CWD_MODE = 0755 };

static int own_dir(void *ctx, int dirfd, const char *path)
{
	const struct rb_step *s = ctx;
	const struct rb_user *u = &s->user;
	int r = 0;

	if (u->uid || u->gid) {
		if (s->spec->ledger)
			r = rb_ledger_chown(s->spec->ledger, dirfd, "", path, u->uid, u->gid);
		else if (fchown(dirfd, u->uid, u->gid) < 0)
			r = -errno;
	}
	return r < 0 ? r : rb_acl_inherit_dir(dirfd, CWD_MODE);
}

/* Whether a path lies where the step has mounts of its own. */
static bool is_mounted_over(const char *path)
{
	static const char *const mounts[] = {"/proc", "/sys", "/dev"};

	for (size_t i = 0; i < RB_ARRAY_LEN(mounts); i++) {
		size_t n = strlen(mounts[i]);

		if (strncmp(path, mounts[i], n) == 0 && (path[n] == '/' || path[n] == '\0'))
			return true;
	}
	return false;
}

int rb_step_make_cwd(struct rb_step *s, int root_fd, const char *path, struct rb_error **err)
{
	RB_CLEANUP(rb_closep)
	int fd = rb_mkdirs_in_root(root_fd, path, CWD_MODE, own_dir, s);

	if (fd < 0)
		return rb_fail_sys(err, fd, "cannot use the working directory %s of the step",
				   s->spec->cwd);
	return 0;
}

static int make_cwd(struct rb_step *s, struct rb_error **err)
{
	RB_CLEANUP(rb_strp) char *clean = rb_path_join_abs("/", s->spec->cwd);

	return is_mounted_over(clean) ? 0
				      : rb_step_make_cwd(s, s->spec->root_fd, s->spec->cwd, err);
}

static void choose_capabilities(struct rb_step *s)
{
	for (size_t i = 0; i < RB_ARRAY_LEN(capabilities); i++) {
		cap_value_t cap;

		if (cap_from_name(capabilities[i], &cap) < 0)
			rb_bug("libcap does not know %s", capabilities[i]);
		s->caps |= (uint64_t)1 << cap;
	}
	s->cap_last = (unsigned)cap_max_bits() - 1;
	if (s->spec->insecure)
		s->caps = ((uint64_t)1 << (s->cap_last + 1)) - 1;
}

/*
 * What an insecure step's capabilities are for. The network is the host's or shared with later
 * steps, or its own already. Where all ids are emulated the supervisor answers by the mounts that
 * it knows.
 */
static unsigned own_namespaces(const struct rb_step *s)
{
	unsigned flags = CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP;

	return s->supervision_level == RB_SUPERVISE_NONE ? flags | CLONE_NEWNS : flags;
}

static void add_limits(struct rb_step *s)
{
	const struct rb_exec_settings *settings = s->spec->settings;

	for (size_t i = 0; settings && i < settings->n_limits; i++)
		/* The kernel does not heed that one; to the supervisor it is somebody's identity.
		 */
		if (settings->limits[i].resource != RLIMIT_LOCKS ||
		    s->supervision_level != RB_SUPERVISE_ALL)
			rb_step_op(s, RB_OP_LIMIT, "setting limits (--ulimit)")->src = (int)i;
}

/* Namespaces and mounts, then the nested user namespace, then what a process is. */
static int add_operations(struct rb_step *s, struct rb_error **err)
{
	rb_step_op(s, RB_OP_HOSTNAME, "setting the host name")->from = s->spec->hostname;
	if (s->spec->network == RB_NET_NONE)
		rb_step_op(s, RB_OP_LOOPBACK, "starting the loopback interface");
	if (rb_step_add_mounts(s, err) < 0)
		return -1;
	rb_step_op(s, RB_OP_USERNS, "making the step's user namespace");
	/* /sys shows the network of the clone, because only the owner of that could mount it. The
	 * step moves on to one where its own capabilities count: low ports, raw sockets. */
	if (s->spec->network == RB_NET_NONE)
		rb_step_op(s, RB_OP_LOOPBACK, "making an empty network")->attrs = CLONE_NEWNET;
	rb_step_op(s, RB_OP_SESSION, "starting a session");
	struct rb_op *cwd = rb_step_op(s, RB_OP_CWD, "entering the working directory");
	cwd->from = s->spec->cwd;
	cwd->src = 0; /* the root, added first */
	rb_step_op(s, RB_OP_STDIO, "connecting the output");
	if (s->spec->insecure)
		rb_step_op(s, RB_OP_OWN, "making the step's own namespaces")->attrs =
			own_namespaces(s);
	add_limits(s);
	rb_step_op(s, RB_OP_CAPS, "dropping capabilities");
	rb_step_op(s, RB_OP_IDS, "becoming the user of the step");
	if (!s->spec->insecure)
		rb_step_op(s, RB_OP_FILTER, "loading the system call filter");
	if (s->supervision_level != RB_SUPERVISE_NONE)
		rb_step_op(s, RB_OP_SUPERVISE, "sending calls to the supervisor");
	rb_step_op(s, RB_OP_EXEC, "starting the command");
	return 0;
}

static int get_supervision(struct rb_step *s, struct rb_error **err)
{
	if (s->supervision_level == RB_SUPERVISE_NONE)
		return 0;
	static const enum rb_filter_kind kinds[2][2] = {{RB_FILTER_OWNERS, RB_FILTER_OWNERS_NET},
							{RB_FILTER_ALL, RB_FILTER_ALL_NET}};
	bool all = s->supervision_level == RB_SUPERVISE_ALL;

	return rb_filter_get(kinds[all][s->spec->net_on_demand], &s->supervision, err);
}

static enum rb_filter_kind profile(const struct rb_exec_spec *spec)
{
	return spec->arch && rb_streq(spec->arch, "386") ? RB_FILTER_PROFILE_386
							 : RB_FILTER_PROFILE;
}

/* The kernel itself runs i386 on x86-64; whether it runs 32 bit arm depends on the processor. */
static bool runs_natively(const char *arch)
{
	struct rb_platform host = rb_platform_host();

	return rb_streq(arch, host.arch) || (rb_streq(arch, "386") && rb_streq(host.arch, "amd64"));
}

static struct rb_step *step_new(const struct rb_exec_spec *spec, const int stdio[3],
				struct rb_error **err)
{
	RB_CLEANUP(step_freep) struct rb_step *s = rb_calloc(1, sizeof(*s));

	s->spec = spec;
	s->channel = s->sys_net_fd = -1;
	memcpy(s->stdio, stdio, sizeof(s->stdio));
	if (rb_user_lookup(spec->root_fd, spec->user, &s->user, err) < 0 || check_user(s, err) < 0)
		return NULL;
	if (spec->arch && !runs_natively(spec->arch))
		rb_foreign_prepare(spec->arch);
	set_environment(s);
	choose_capabilities(s);
	if (rb_command_candidates(spec, &s->envp, &s->candidates, err) < 0 ||
	    make_cwd(s, err) < 0 || rb_filter_get(profile(spec), &s->filter, err) < 0 ||
	    get_supervision(s, err) < 0 || add_operations(s, err) < 0)
		return NULL;
	return rb_steal_ptr(&s);
}

/* --- start --- */

static uint64_t namespaces(const struct rb_exec_spec *spec)
{
	return CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP |
	       (spec->network == RB_NET_NONE ? CLONE_NEWNET : 0);
}

/* Every id keeps its number: the nested namespace takes capabilities away, not ids. */
static int write_nested_maps(const struct rb_host *host, int proc_fd)
{
	const struct rb_id_map *maps[] = {&host->uids, &host->gids};
	static const char *const files[] = {"uid_map", "gid_map"};

	for (size_t i = 0; i < RB_ARRAY_LEN(files); i++) {
		struct rb_id_map m = *maps[i];

		for (size_t k = 0; k < m.n; k++)
			m.v[k].outside = m.v[k].inside;
		int r = rb_id_map_write(proc_fd, files[i], &m);
		if (r < 0)
			return r;
	}
	return 0;
}

/* *ret_fd: a descriptor that came along, or -1. */
static ssize_t receive(int fd, struct rb_child_message *m, int *ret_fd)
{
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control;
	struct iovec iov = {.iov_base = m, .iov_len = sizeof(*m)};
	struct msghdr msg = {.msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = control.bytes,
			     .msg_controllen = sizeof(control.bytes)};
	ssize_t n;

	*ret_fd = -1;
	while ((n = recvmsg(fd, &msg, MSG_CMSG_CLOEXEC)) < 0 && errno == EINTR)
		;
	const struct cmsghdr *cm = n > 0 ? CMSG_FIRSTHDR(&msg) : NULL;
	if (cm && cm->cmsg_level == SOL_SOCKET && cm->cmsg_type == SCM_RIGHTS)
		memcpy(ret_fd, CMSG_DATA(cm), sizeof(*ret_fd));
	return n < 0 ? -errno : n;
}

/* The limits of the step before it set them are those of this process. */
static int explain_limit(const struct rb_exec_limit *l, struct rb_error **err)
{
	struct rlimit ours = {0};

	(void)getrlimit((enum __rlimit_resource)l->resource, &ours);
	return rb_fail(err, RB_ERR_UNSUPPORTED,
		       "--ulimit: a limit above the hard limit of this process (%llu) takes root; "
		       "raise that first (ulimit -H, or limits.conf), or ask for less",
		       (unsigned long long)ours.rlim_max);
}

/* Sentence for an operation that failed. */
static int explain(const struct rb_step *s, const struct rb_child_message *m, struct rb_error **err)
{
	if (m->op >= s->n_ops)
		rb_bug("a step reports operation %u of %zu", m->op, s->n_ops);
	const struct rb_op *op = &s->ops[m->op];

	if (op->kind == RB_OP_EXEC)
		return rb_command_explain(s, m->sys_errno, err);
	if (op->kind == RB_OP_CWD)
		return rb_fail_sys(err, -m->sys_errno,
				   "cannot use the working directory %s of the step", s->spec->cwd);
	if (op->kind == RB_OP_ATTACH || op->kind == RB_OP_ATTACH_PART)
		return rb_fail_sys(err, -m->sys_errno, "cannot mount anything at %s", op->path);
	if (op->kind == RB_OP_LIMIT && m->sys_errno == EPERM)
		return explain_limit(&s->spec->settings->limits[op->src], err);
	return rb_fail_sys(err, -m->sys_errno, "cannot set the step up: %s", op->what);
}

/* The child waits for this at two places. */
static int let_go(int channel, struct rb_error **err)
{
	if (send(channel, "g", 1, MSG_NOSIGNAL) != 1)
		return rb_fail(err, RB_ERR_SYS, "the step ended during its set-up");
	return 0;
}

static int give_maps(struct rb_step *s, int channel, int pidfd, struct rb_error **err)
{
	RB_CLEANUP(rb_closep) int proc_fd = rb_host_open_proc(pidfd, NULL);
	int r = proc_fd < 0 ? proc_fd : write_nested_maps(s->spec->host, proc_fd);

	if (r < 0)
		return rb_fail_sys(err, r, "cannot write the maps of the step's user namespace");
	/* It is about to move on, and a network without members is taken down, also under /sys. */
	if (s->spec->network == RB_NET_NONE &&
	    (s->sys_net_fd = openat(proc_fd, "ns/net", O_RDONLY | O_CLOEXEC)) < 0)
		return rb_fail_errno(err, "cannot keep the network of the step's /sys");
	return let_go(channel, err);
}

/*
 * Follows the child until execve has closed the channel. 0, 1 when another try makes sense, or -1.
 */
static int talk(struct rb_step *s, int channel, const struct rb_child *child,
		struct rb_supervision *supervision, struct rb_error **err)
{
	for (;;) {
		RB_CLEANUP(rb_closep) int fd = -1;
		struct rb_child_message m;
		ssize_t n = receive(channel, &m, &fd);
		int r;

		if (n == 0)
			return 0;
		if (n != (ssize_t)sizeof(m))
			return rb_fail(err, RB_ERR_SYS, "the step ended during its set-up");
		if (m.op == RB_EXEC_WANT_MAPS)
			r = give_maps(s, channel, child->pidfd, err);
		else if (m.op == RB_EXEC_LISTENER)
			r = rb_supervision_begin(supervision, s, child, rb_steal_fd(&fd), err) < 0
				    ? -1
				    : let_go(channel, err);
		else if (m.op < s->n_ops && rb_step_mounts_retry(&s->ops[m.op], m.sys_errno))
			return 1;
		else
			return explain(s, &m, err);
		if (r < 0)
			return -1;
	}
}

static int launch(struct rb_step *s, struct rb_child *ret, struct rb_supervision *ret_supervision,
		  struct rb_error **err)
{
	RB_CLEANUP(rb_child_killp) struct rb_child child = RB_CHILD_INIT;
	sigset_t all, before;
	int pair[2], pidfd = -1;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return rb_fail_errno(err, "cannot make a socket pair");
	RB_CLEANUP(rb_closep) int ours = pair[0];
	s->channel = pair[1];
	/* No handler of ours runs in the child. */
	sigfillset(&all);
	(void)sigprocmask(SIG_SETMASK, &all, &before);
	pid_t pid = rb_sys_clone(namespaces(s->spec), &pidfd);
	if (pid == 0) {
		(void)close(ours);
		rb_step_child(s);
	}
	(void)sigprocmask(SIG_SETMASK, &before, NULL);
	rb_closep(&s->channel);
	if (pid < 0)
		return rb_fail_sys(err, pid, "cannot make the namespaces of the step");
	child = (struct rb_child){.pid = pid, .pidfd = pidfd};
	RB_CLEANUP(rb_supervision_clear) struct rb_supervision supervision = RB_SUPERVISION_INIT;
	int r = talk(s, ours, &child, &supervision, err);
	if (r == 0) {
		*ret = child;
		child = (struct rb_child)RB_CHILD_INIT;
		*ret_supervision = supervision;
		supervision = (struct rb_supervision)RB_SUPERVISION_INIT;
	}
	return r;
}

/* A pipe for the step's output where the caller has none. */
static int make_output(int wanted, int *ret_read, int *ret_write, struct rb_error **err)
{
	int p[2], r;

	if (wanted >= 0)
		return 0;
	if ((r = rb_pipe(p)) < 0)
		return rb_fail_sys(err, r, "cannot make a pipe");
	*ret_read = p[0];
	*ret_write = p[1];
	return 0;
}

/* /dev/stdout opened by name checks the owner of the pipe, which is us; failure costs only that. */
static void own_output(const struct rb_step *s, int fd)
{
	if (fd >= 0 && fchown(fd, s->user.uid, s->user.gid) < 0)
		return;
}

static int start(const struct rb_exec_spec *spec, const int stdio[3], const int made[2],
		 struct rb_exec *ret, struct rb_error **err)
{
	for (;;) {
		RB_CLEANUP(step_freep) struct rb_step *s = step_new(spec, stdio, err);
		RB_CLEANUP(rb_child_killp) struct rb_child child = RB_CHILD_INIT;
		struct rb_oom_mark before = rb_oom_now();

		if (!s)
			return -1;
		own_output(s, made[0]);
		own_output(s, made[1]);
		struct rb_supervision supervision = RB_SUPERVISION_INIT;
		int r = launch(s, &child, &supervision, err);
		if (r == 1)
			continue;
		if (r < 0)
			return -1;
		ret->pid = child.pid;
		ret->pidfd = child.pidfd;
		ret->attend_fd = rb_supervision_fd(&supervision);
		child = (struct rb_child)RB_CHILD_INIT;
		ret->private_ = rb_calloc(1, sizeof(*ret->private_));
		*ret->private_ = (struct rb_exec_private){.stubs = s->stubs,
							  .sys_net_fd = rb_steal_fd(&s->sys_net_fd),
							  .before = before,
							  .supervision = supervision};
		s->stubs.n = 0;
		return 0;
	}
}

int rb_exec_start(const struct rb_exec_spec *spec, struct rb_exec *ret, struct rb_error **err)
{
	struct rb_exec_spec full = *spec;
	RB_CLEANUP(rb_closep) int out_read = -1;
	RB_CLEANUP(rb_closep) int err_read = -1;
	RB_CLEANUP(rb_closep) int out_write = -1;
	RB_CLEANUP(rb_closep) int err_write = -1;

	if (!full.hostname)
		full.hostname = DEFAULT_HOSTNAME;
	if (!full.cwd || !*full.cwd)
		full.cwd = "/";
	if (make_output(spec->stdout_fd, &out_read, &out_write, err) < 0 ||
	    make_output(spec->stderr_fd, &err_read, &err_write, err) < 0)
		return -1;
	const int stdio[3] = {spec->stdin_fd, spec->stdout_fd < 0 ? out_write : spec->stdout_fd,
			      spec->stderr_fd < 0 ? err_write : spec->stderr_fd};
	const int made[2] = {out_write, err_write};
	struct rb_exec e = {0};
	if (start(&full, stdio, made, &e, err) < 0)
		return -1;
	e.out_fd = rb_steal_fd(&out_read);
	e.err_fd = rb_steal_fd(&err_read);
	*ret = e;
	return 0;
}

void rb_exec_attend(struct rb_exec *e)
{
	rb_supervision_attend(&e->private_->supervision);
	e->attend_fd = rb_supervision_fd(&e->private_->supervision);
}

/* --- end --- */

static int reap(struct rb_exec *e)
{
	int status;

	while (waitpid(e->pid, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	return status;
}

static void exec_clear(struct rb_exec *e)
{
	if (e->private_) {
		rb_supervision_clear(&e->private_->supervision);
		rb_stubs_remove(&e->private_->stubs);
		rb_closep(&e->private_->sys_net_fd);
	}
	free(e->private_);
	rb_closep(&e->pidfd);
	rb_closep(&e->out_fd);
	rb_closep(&e->err_fd);
	*e = (struct rb_exec){.pidfd = -1, .out_fd = -1, .err_fd = -1, .attend_fd = -1};
}

int rb_exec_finish(struct rb_exec *e, struct rb_exec_result *ret, struct rb_error **err)
{
	struct rb_exec_result r = {0};
	struct rb_oom_mark before = e->private_->before;
	int status = reap(e);
	int kept = status < 0 ? 0 : rb_supervision_finish(&e->private_->supervision, err);

	exec_clear(e);
	if (status < 0)
		return rb_fail_sys(err, status, "cannot wait for the step");
	if (kept < 0)
		return -1;
	r.signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
	r.exit_status = r.signal ? 128 + r.signal : WEXITSTATUS(status);
	/* A shell reports its child's SIGKILL as its own status. */
	if (r.exit_status == 128 + SIGKILL) {
		struct rb_oom_mark now = rb_oom_now();

		r.out_of_memory = now.kills > before.kills || now.group_kills > before.group_kills;
	}
	*ret = r;
	return 0;
}

void rb_exec_kill(struct rb_exec *e)
{
	if (!e->pid)
		return;
	/* The kernel kills the rest of a pid namespace with its first process, before we can reap
	 * that one. */
	(void)kill(e->pid, SIGKILL);
	(void)reap(e);
	exec_clear(e);
}
