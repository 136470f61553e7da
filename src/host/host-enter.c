// SPDX-License-Identifier: Apache-2.0
/* Making a user namespace by fork, its maps, and the outer process that waits for it. */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/child.h"
#include "base/fd.h"
#include "base/sys.h"
#include "host/host-internal.h"

enum { HELPER_OUTPUT_MAX = 4096, MAP_TEXT_BYTES = RB_ID_EXTENTS_MAX * 36 };

int rb_host_open_proc(int pidfd, pid_t *ret_pid)
{
	char path[64], text[1024];
	struct statfs fs;
	int pid;

	(void)snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", pidfd);
	RB_CLEANUP(rb_closep) int info = open(path, O_RDONLY | O_CLOEXEC);
	if (info < 0)
		return -errno;
	ssize_t n = rb_read_full(info, text, sizeof(text) - 1);
	if (n < 0)
		return (int)n;
	text[n] = '\0';
	const char *line = strstr(text, "\nPid:");
	/* 0 or -1: ended, or not visible from this procfs */
	if (!line || sscanf(line, "\nPid: %d", &pid) != 1 || pid <= 0)
		return -ESRCH;
	(void)snprintf(path, sizeof(path), "/proc/%d", pid);
	RB_CLEANUP(rb_closep) int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || fstatfs(fd, &fs) < 0)
		return -errno;
	if (fs.f_type != PROC_SUPER_MAGIC)
		return -EXDEV;
	if (ret_pid)
		*ret_pid = pid;
	return rb_steal_fd(&fd);
}

int rb_id_map_write(int proc_fd, const char *file, const struct rb_id_map *map)
{
	char text[MAP_TEXT_BYTES];
	size_t len = 0;

	for (size_t i = 0; i < map->n; i++)
		len += (size_t)snprintf(text + len, sizeof(text) - len, "%u %u %u\n",
					map->v[i].inside, map->v[i].outside, map->v[i].count);
	RB_CLEANUP(rb_closep) int fd = openat(proc_fd, file, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	/* One write: the kernel takes a map once and whole. */
	return write(fd, text, len) < 0 ? -errno : 0;
}

static int deny_setgroups(int proc_fd)
{
	RB_CLEANUP(rb_closep) int fd = openat(proc_fd, "setgroups", O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	return rb_write_full(fd, "deny", 4);
}

static int write_maps(const struct rb_host *h, int proc_fd, struct rb_error **err)
{
	/* Without CAP_SETGID the kernel refuses gid_map while setgroups is allowed
	 * (user_namespaces(7)). */
	int r = h->rung == RB_RUNG_SINGLE ? deny_setgroups(proc_fd) : 0;

	if (r < 0)
		return rb_fail_sys(err, r, "cannot switch setgroups off for the user namespace");
	if ((r = rb_id_map_write(proc_fd, "uid_map", &h->uids)) < 0)
		return rb_fail_sys(err, r, "cannot write the uid map of the user namespace");
	if ((r = rb_id_map_write(proc_fd, "gid_map", &h->gids)) < 0)
		return rb_fail_sys(err, r, "cannot write the gid map of the user namespace");
	return 0;
}

/* newuidmap or newgidmap at work; what it prints is the reason of a failure. */
struct map_helper {
	struct rb_child child;
	int out_fd;
};

#define MAP_HELPER_INIT                                                                            \
	{                                                                                          \
		.child = RB_CHILD_INIT, .out_fd = -1                                               \
	}

static void map_helper_clear(struct map_helper *m)
{
	rb_child_kill(&m->child);
	rb_closep(&m->out_fd);
}

static int map_helper_start(const char *program, pid_t pid, const struct rb_id_map *map,
			    struct map_helper *ret, struct rb_error **err)
{
	RB_CLEANUP(rb_strv_clear) struct rb_strv argv = RB_STRV_INIT;
	int p[2], r = rb_pipe(p);

	if (r < 0)
		return rb_fail_sys(err, r, "cannot make a pipe");
	ret->out_fd = p[0];
	RB_CLEANUP(rb_closep) int out = p[1];
	rb_strv_add(&argv, program);
	rb_strv_addf(&argv, "%d", pid);
	for (size_t i = 0; i < map->n; i++) {
		rb_strv_addf(&argv, "%u", map->v[i].inside);
		rb_strv_addf(&argv, "%u", map->v[i].outside);
		rb_strv_addf(&argv, "%u", map->v[i].count);
	}
	struct rb_spawn spec = {.argv = (const char *const *)rb_strv_argv(&argv),
				.stdin_fd = -1,
				.stdout_fd = out,
				.stderr_fd = out};
	return rb_spawn(&spec, true, &ret->child, err);
}

static int map_helper_finish(const char *program, struct map_helper *m, struct rb_error **err)
{
	RB_CLEANUP(rb_buf_clear) struct rb_buf text = RB_BUF_INIT;

	if (rb_read_fd(m->out_fd, HELPER_OUTPUT_MAX, &text, err) < 0)
		return rb_wrap(err, "output of %s", program);
	int status = rb_child_wait(&m->child);
	if (status == 0)
		return 0;
	while (text.len && text.ptr[text.len - 1] == '\n')
		rb_buf_truncate(&text, text.len - 1);
	return rb_fail(err, RB_ERR_UNSUPPORTED, "%s failed with status %d: %s", program, status,
		       text.len ? text.ptr : "no message");
}

static int run_map_helpers(const struct rb_host *h, pid_t proc_pid, struct rb_error **err)
{
	RB_CLEANUP(map_helper_clear) struct map_helper uid = MAP_HELPER_INIT;
	RB_CLEANUP(map_helper_clear) struct map_helper gid = MAP_HELPER_INIT;

	/* In parallel: each needs a millisecond, most of it its own start. */
	if (map_helper_start(h->newuidmap, proc_pid, &h->uids, &uid, err) < 0 ||
	    map_helper_start(h->newgidmap, proc_pid, &h->gids, &gid, err) < 0 ||
	    map_helper_finish(h->newuidmap, &uid, err) < 0 ||
	    map_helper_finish(h->newgidmap, &gid, err) < 0)
		return -1;
	return 0;
}

static int make_maps(const struct rb_host *h, int pidfd, struct rb_error **err)
{
	pid_t proc_pid = 0;
	RB_CLEANUP(rb_closep) int proc_fd = rb_host_open_proc(pidfd, &proc_pid);

	if (proc_fd < 0)
		return rb_fail_sys(
			err, proc_fd,
			"cannot find the new user namespace in /proc; is /proc mounted?");
	return h->newuidmap ? run_map_helpers(h, proc_pid, err) : write_maps(h, proc_fd, err);
}

struct inner {
	int go_fd;              /* one byte when the maps are written */
	int ready_fd;           /* int32: 0 when the namespace can be used, else the errno */
	const sigset_t *ending; /* blocked until fn is called */
	const sigset_t *mask;
	int (*fn)(void *ctx);
	void *ctx;
};

static void end_by_signal(int sig)
{
	_exit(128 + sig);
}

/*
 * A pid 1 ignores what it has no handler for: without this one a signal that is forwarded before
 * the solver listens, or to a verb that does not, would be lost.
 */
static void heed_signals(const sigset_t *ending)
{
	const struct sigaction end = {.sa_handler = end_by_signal};

	for (int sig = 1; sig < NSIG; sig++)
		if (sigismember(ending, sig) == 1)
			(void)sigaction(sig, &end, NULL);
}

static void RB_NORETURN inner_main(const struct inner *in)
{
	char go;
	int32_t e;

	/* Who dies before the prctl leaves end of file in the pipe; who dies after it kills us. A
	 * parent's SIGKILL reaches a pid 1, since it comes from outside its namespace. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || rb_read_full(in->go_fd, &go, 1) != 1)
		_exit(127);
	(void)close(in->go_fd);
	e = mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ? errno : 0;
	if (rb_write_full(in->ready_fd, &e, sizeof(e)) < 0 || e)
		_exit(127);
	(void)close(in->ready_fd);
	heed_signals(in->ending);
	(void)sigprocmask(SIG_SETMASK, in->mask, NULL);
	int status = in->fn(in->ctx);
	(void)fflush(NULL);
	_exit(status & 0xff);
}

/* The signals that end a build, without those that the caller ignores (nohup). */
static void ending_signals(sigset_t *set)
{
	static const int signals[] = {SIGINT, SIGTERM, SIGHUP};
	struct sigaction now;

	sigemptyset(set);
	for (size_t i = 0; i < RB_ARRAY_LEN(signals); i++)
		if (sigaction(signals[i], NULL, &now) == 0 && now.sa_handler != SIG_IGN)
			sigaddset(set, signals[i]);
}

static void forward(int signal_fd, int pidfd, unsigned *interrupts)
{
	struct signalfd_siginfo info;

	if (read(signal_fd, &info, sizeof(info)) != (ssize_t)sizeof(info))
		return;
	int sig = (int)info.ssi_signo;
	if (sig == SIGINT && ++*interrupts > 1)
		sig = SIGKILL;
	(void)rb_sys_pidfd_send_signal(pidfd, sig);
}

/* Waits for the inner process; its exit status, or 128 + signal. */
static int supervise(struct rb_child *inner, const sigset_t *signals)
{
	RB_CLEANUP(rb_closep) int sfd = signalfd(-1, signals, SFD_CLOEXEC | SFD_NONBLOCK);
	struct pollfd p[] = {{.fd = inner->pidfd, .events = POLLIN}, {.fd = sfd, .events = POLLIN}};
	unsigned interrupts = 0;

	while (!p[0].revents) {
		if (poll(p, RB_ARRAY_LEN(p), -1) < 0)
			continue;
		if (p[1].revents)
			forward(sfd, inner->pidfd, &interrupts);
	}
	int status = rb_child_wait(inner);
	return interrupts > 1 ? 128 + SIGINT : status;
}

static int start_inner(const struct rb_host *h, struct inner *in, int go_out, int ready_in,
		       struct rb_child *ret, struct rb_error **err)
{
	int pidfd = -1;

	(void)fflush(NULL); /* what is buffered now must not be printed twice */
	pid_t pid = rb_sys_clone(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID, &pidfd);
	if (pid < 0)
		return rb_fail_sys(err, pid, "cannot make a user namespace%s",
				   pid == -EAGAIN ? " (the limit of processes may be reached: see "
						    "ulimit -u)"
						  : "");
	if (pid == 0) {
		(void)close(go_out);
		(void)close(ready_in);
		inner_main(in);
	}
	*ret = (struct rb_child){.pid = pid, .pidfd = pidfd};
	return make_maps(h, pidfd, err);
}

/* Lets the inner process go and waits until it can work. */
static int release_inner(int go_out, int ready_in, struct rb_error **err)
{
	int32_t e;
	int r = rb_write_full(go_out, "g", 1);

	if (r < 0 || rb_read_full(ready_in, &e, sizeof(e)) != (ssize_t)sizeof(e))
		return rb_fail(err, RB_ERR_SYS, "the process in the user namespace ended at once");
	if (e == 0)
		return 0;
	return rb_fail_sys(err, -e, "cannot mount inside the user namespace");
}

int rb_host_enter(const struct rb_host *h, int (*fn)(void *ctx), void *ctx, struct rb_error **err)
{
	RB_CLEANUP(rb_child_killp) struct rb_child child = RB_CHILD_INIT;
	int go[2], ready[2], r;
	sigset_t signals, before;

	if ((r = rb_pipe(go)) < 0)
		return rb_fail_sys(err, r, "cannot make a pipe");
	RB_CLEANUP(rb_closep) int go_in = go[0];
	RB_CLEANUP(rb_closep) int go_out = go[1];
	if ((r = rb_pipe(ready)) < 0)
		return rb_fail_sys(err, r, "cannot make a pipe");
	RB_CLEANUP(rb_closep) int ready_in = ready[0];
	RB_CLEANUP(rb_closep) int ready_out = ready[1];
	ending_signals(&signals);
	(void)sigprocmask(SIG_BLOCK, &signals, &before);
	struct inner in = {.go_fd = go_in,
			   .ready_fd = ready_out,
			   .ending = &signals,
			   .mask = &before,
			   .fn = fn,
			   .ctx = ctx};
	r = start_inner(h, &in, go_out, ready_in, &child, err);
	rb_closep(&go_in);
	rb_closep(&ready_out);
	if (r == 0 && (r = release_inner(go_out, ready_in, err)) == 0)
		r = supervise(&child, &signals);
	rb_child_kill(&child);
	(void)sigprocmask(SIG_SETMASK, &before, NULL);
	return r;
}
