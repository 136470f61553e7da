// SPDX-License-Identifier: Apache-2.0
#include "cli/terminal.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/child.h"
#include "base/fd.h"
#include "base/sys.h"

bool rb_terminal_is_there(void)
{
	return isatty(STDIN_FILENO) && isatty(STDOUT_FILENO);
}

const char *rb_terminal_name(void)
{
	static const char allowed[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-+._";
	const char *name = getenv("TERM");

	return name && *name && strlen(name) < 64 && !name[strspn(name, allowed)] ? name : "dumb";
}

static void copy_size(const struct rb_terminal *t)
{
	struct winsize size;

	if (ioctl(STDIN_FILENO, TIOCGWINSZ, &size) == 0)
		(void)ioctl(t->master, TIOCSWINSZ, &size);
}

/* A devpts that nobody else sees, by descriptor (threats S15). */
static int open_pair(struct rb_terminal *t)
{
	RB_CLEANUP(rb_closep) int fs = rb_sys_fsopen("devpts");
	int unlocked = 0, r;

	if (fs < 0)
		return rb_steal_fd(&fs);
	if ((r = rb_sys_fsconfig_flag(fs, "newinstance")) < 0 ||
	    (r = rb_sys_fsconfig_str(fs, "ptmxmode", "0600")) < 0 ||
	    (r = rb_sys_fsconfig_create(fs)) < 0)
		return r;
	RB_CLEANUP(rb_closep)
	int mount = rb_sys_fsmount(fs, RB_MOUNT_ATTR_NOSUID | RB_MOUNT_ATTR_NOEXEC);
	if (mount < 0)
		return rb_steal_fd(&mount);
	t->master = openat(mount, "ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (t->master < 0 || ioctl(t->master, TIOCSPTLCK, &unlocked) < 0)
		return -errno;
	t->step_fd = ioctl(t->master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
	return t->step_fd < 0 ? -errno : 0;
}

int rb_terminal_open(struct rb_terminal *ret, struct rb_error **err)
{
	struct rb_terminal t = {.master = -1, .step_fd = -1};
	int r = open_pair(&t);

	if (r < 0) {
		rb_terminal_close(&t);
		return rb_fail_sys(err, r, "cannot make a terminal for the shell");
	}
	if (tcgetattr(STDIN_FILENO, &t.saved) < 0) {
		rb_terminal_close(&t);
		return rb_fail_errno(err, "cannot read the settings of the terminal");
	}
	copy_size(&t);
	*ret = t;
	return 0;
}

void rb_terminal_close(struct rb_terminal *t)
{
	rb_closep(&t->master);
	rb_closep(&t->step_fd);
}

/* What cannot be written is dropped: the other side is gone, and its end shows elsewhere. */
static bool carry(int from, int to)
{
	char buf[4096];
	ssize_t n = read(from, buf, sizeof(buf));

	if (n > 0)
		(void)rb_write_full(to, buf, (size_t)n);
	return n > 0 || (n < 0 && (errno == EINTR || errno == EAGAIN));
}

/* Whether one came that ends the step. */
static bool take_signal(const struct rb_terminal *t, int signal_fd)
{
	struct signalfd_siginfo si;
	bool ends = false;

	while (read(signal_fd, &si, sizeof(si)) == (ssize_t)sizeof(si)) {
		if (si.ssi_signo == SIGWINCH)
			copy_size(t);
		else
			ends = true;
	}
	return ends;
}

static void pump(struct rb_terminal *t, struct rb_exec *exec, int signal_fd)
{
	struct pollfd p[] = {{.fd = STDIN_FILENO, .events = POLLIN},
			     {.fd = t->master, .events = POLLIN},
			     {.fd = signal_fd, .events = POLLIN},
			     {.fd = exec->pidfd, .events = POLLIN},
			     {.fd = exec->attend_fd, .events = POLLIN}};

	while (!p[3].revents) {
		if (poll(p, RB_ARRAY_LEN(p), -1) < 0)
			continue;
		/* The caller's terminal is gone: the shell hears it as a hang-up does. */
		if (p[0].revents && !carry(STDIN_FILENO, t->master))
			rb_closep(&t->master), p[0].fd = p[1].fd = -1;
		if (p[1].revents && p[1].fd >= 0 && !carry(t->master, STDOUT_FILENO))
			p[1].fd = -1;
		if (p[2].revents && take_signal(t, signal_fd))
			(void)rb_sys_pidfd_send_signal(exec->pidfd, SIGKILL);
		if (p[4].revents && !p[3].revents)
			rb_exec_attend(exec);
		p[4].fd = exec->attend_fd;
	}
	/* What it said last. */
	for (struct pollfd last = {.fd = t->master, .events = POLLIN};
	     t->master >= 0 && poll(&last, 1, 0) > 0 && last.revents & POLLIN;)
		if (!carry(t->master, STDOUT_FILENO))
			break;
}

int rb_terminal_follow(struct rb_terminal *t, struct rb_exec *exec, struct rb_exec_result *ret,
		       struct rb_error **err)
{
	static const int wanted[] = {SIGINT, SIGTERM, SIGHUP, SIGWINCH};
	struct termios raw = t->saved;
	RB_CLEANUP(rb_closep)
	int signal_fd = rb_open_signals(wanted, RB_ARRAY_LEN(wanted), NULL, err);

	if (signal_fd < 0) {
		rb_exec_kill(exec);
		return -1;
	}
	/* Only the step holds it now: at its end reading from the master ends as well. */
	rb_closep(&t->step_fd);
	cfmakeraw(&raw);
	(void)tcsetattr(STDIN_FILENO, TCSADRAIN, &raw);
	pump(t, exec, signal_fd);
	(void)tcsetattr(STDIN_FILENO, TCSADRAIN, &t->saved);
	return rb_exec_finish(exec, ret, err);
}
