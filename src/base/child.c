// SPDX-License-Identifier: Apache-2.0
#include "base/child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/sys.h"

char *rb_find_program(const char *name)
{
	const char *path = getenv("PATH");

	if (strchr(name, '/'))
		return access(name, X_OK) == 0 ? rb_strdup(name) : NULL;
	/* newuidmap and mmdebstrap live in sbin directories on some distributions, which users'
	 * PATHs leave out. */
	RB_CLEANUP(rb_strp)
	char *all = rb_asprintf("%s:/usr/bin:/usr/sbin:/bin:/sbin", path ? path : "");
	for (char *save = NULL, *dir = strtok_r(all, ":", &save); dir;
	     dir = strtok_r(NULL, ":", &save)) {
		RB_CLEANUP(rb_strp) char *p = rb_asprintf("%s/%s", dir, name);
		struct stat st;

		if (dir[0] == '/' && stat(p, &st) == 0 && S_ISREG(st.st_mode) &&
		    access(p, X_OK) == 0)
			return rb_steal_ptr(&p);
	}
	return NULL;
}

static void RB_NORETURN exec_child(const struct rb_spawn *spec, const char *path, bool setuid_ok,
				   int fail_fd)
{
	static const int std[] = {0, 1, 2};
	const int want[] = {spec->stdin_fd, spec->stdout_fd, spec->stderr_fd};
	int fds[3], null_fd;
	sigset_t none;

	/* Signal dispositions are inherited over exec; so is the mask. */
	for (int s = 1; s < 32; s++)
		(void)signal(s, SIG_DFL);
	sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (!setuid_ok && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		goto fail;
	/* EINVAL: the kernel has no more of them. */
	for (unsigned cap = 0; spec->bounding && cap < 64; cap++)
		if (!(spec->bounding >> cap & 1) && prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0 &&
		    errno != EINVAL)
			goto fail;
	null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null_fd < 0)
		goto fail;
	/* Move everything above 2 first, so that dup2 cannot clobber a source. */
	for (size_t i = 0; i < 3; i++) {
		fds[i] = fcntl(want[i] < 0 ? null_fd : want[i], F_DUPFD_CLOEXEC, 3);
		if (fds[i] < 0)
			goto fail;
	}
	for (size_t i = 0; i < 3; i++)
		if (dup2(fds[i], std[i]) < 0)
			goto fail;
	for (size_t i = 0; i < spec->n_keep_fds; i++)
		if (fcntl(spec->keep_fds[i], F_SETFD, 0) < 0)
			goto fail;
	if (spec->cwd && chdir(spec->cwd) < 0)
		goto fail;
	union {
		const char *const *in;
		char *const *out;
	} argv = {.in = spec->argv}, envp = {.in = spec->envp};
	execve(path, argv.out, spec->envp ? envp.out : environ);
fail:;
	int e = errno;
	(void)rb_write_full(fail_fd, &e, sizeof(e));
	_exit(127);
}

int rb_spawn(const struct rb_spawn *spec, bool setuid_ok, struct rb_child *ret,
	     struct rb_error **err)
{
	RB_CLEANUP(rb_strp) char *path = rb_find_program(spec->argv[0]);
	int p[2], pidfd = -1, child_errno = 0;

	if (!path)
		return rb_fail(err, RB_ERR_NOTFOUND, "the program %s is not installed",
			       spec->argv[0]);
	int r = rb_pipe(p);
	if (r < 0)
		return rb_fail_sys(err, r, "cannot make a pipe");
	pid_t pid = fork();
	if (pid < 0) {
		close(p[0]);
		close(p[1]);
		return rb_fail_errno(err, "cannot fork");
	}
	if (pid == 0)
		exec_child(spec, path, setuid_ok, p[1]);
	close(p[1]);
	ssize_t n = rb_read_full(p[0], &child_errno, sizeof(child_errno));
	close(p[0]);
	if (n == (ssize_t)sizeof(child_errno)) {
		(void)waitpid(pid, NULL, 0);
		errno = child_errno;
		return rb_fail_errno(err, "cannot start %s", path);
	}
	pidfd = rb_sys_pidfd_open(pid);
	*ret = (struct rb_child){.pid = pid, .pidfd = pidfd < 0 ? -1 : pidfd};
	return 0;
}

static int wait_for(idtype_t type, int id, siginfo_t *ret)
{
	int r;

	do {
		r = waitid(type, (id_t)id, ret, WEXITED);
	} while (r < 0 && errno == EINTR);
	return r < 0 ? -errno : 0;
}

/* By the descriptor where there is one: a number may be another process's by now. */
int rb_child_wait(struct rb_child *c)
{
	siginfo_t si;

	if (!c->pid)
		return -ECHILD;
	int r = c->pidfd >= 0 ? wait_for((idtype_t)P_PIDFD, c->pidfd, &si) : -EINVAL;
	/* Before Linux 5.4 there were descriptors that could not be waited for. */
	if (r == -EINVAL)
		r = wait_for(P_PID, c->pid, &si);
	if (r == 0)
		r = si.si_code == CLD_EXITED ? si.si_status : 128 + si.si_status;
	c->pid = 0;
	rb_closep(&c->pidfd);
	return r;
}

void rb_child_kill(struct rb_child *c)
{
	if (!c->pid)
		return;
	if (c->pidfd >= 0)
		(void)rb_sys_pidfd_send_signal(c->pidfd, SIGKILL);
	else
		(void)kill(c->pid, SIGKILL);
	(void)rb_child_wait(c);
}

static int capture(const char *const *argv, int stderr_fd, size_t max_bytes, struct rb_buf *ret,
		   struct rb_error **err)
{
	RB_CLEANUP(rb_child_killp) struct rb_child child = RB_CHILD_INIT;
	int p[2], r = rb_pipe(p);

	if (r < 0)
		return rb_fail_sys(err, r, "cannot make a pipe");
	RB_CLEANUP(rb_closep) int in = p[0];
	RB_CLEANUP(rb_closep) int out = p[1];
	struct rb_spawn spec = {
		.argv = argv, .stdin_fd = -1, .stdout_fd = out, .stderr_fd = stderr_fd};
	if (rb_spawn(&spec, false, &child, err) < 0)
		return -1;
	rb_closep(&out);
	if (rb_read_fd(in, max_bytes, ret, err) < 0)
		return rb_wrap(err, "output of %s", argv[0]);
	r = rb_child_wait(&child);
	if (r < 0)
		return rb_fail_sys(err, r, "cannot wait for %s", argv[0]);
	return r;
}

int rb_run_capture(const char *const *argv, size_t max_bytes, struct rb_buf *ret,
		   struct rb_error **err)
{
	return capture(argv, STDERR_FILENO, max_bytes, ret, err);
}

int rb_run_question(const char *const *argv, size_t max_bytes, struct rb_buf *ret,
		    struct rb_error **err)
{
	return capture(argv, -1, max_bytes, ret, err);
}

bool rb_pidfd_has_ended(int pidfd)
{
	siginfo_t si = {0};

	return waitid((idtype_t)P_PIDFD, (id_t)pidfd, &si, WEXITED | WNOHANG | WNOWAIT) < 0
		       ? errno == ECHILD
		       : si.si_pid != 0;
}

int rb_open_signals(const int *signals, size_t n, sigset_t *before, struct rb_error **err)
{
	sigset_t set;

	sigemptyset(&set);
	for (size_t i = 0; i < n; i++)
		sigaddset(&set, signals[i]);
	if (sigprocmask(SIG_BLOCK, &set, before) < 0)
		return rb_fail_errno(err, "cannot block signals");
	int fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return fd < 0 ? rb_fail_errno(err, "cannot open a signal descriptor") : fd;
}
