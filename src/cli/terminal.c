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
	/* Not blocking: a step that does not read must not keep us from reading what it says. */
	t->master = openat(mount, "ptmx", O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
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

static bool is_passing(int e)
{
	return e == EINTR || e == EAGAIN;
}

/* What the step says. What cannot be written is dropped: the caller's terminal is gone, and its end
 * shows elsewhere. */
static bool carry(int master)
{
	char buf[4096];
	ssize_t n = read(master, buf, sizeof(buf));

	if (n > 0)
		(void)rb_write_full(STDOUT_FILENO, buf, (size_t)n);
	return n > 0 || (n < 0 && is_passing(errno));
}

/* What was typed and the step's terminal has not taken yet. */
struct typed {
	char buf[4096];
	size_t at, end;
};

static bool has_more(const struct typed *typed)
{
	return typed->at < typed->end;
}

/* false: nothing will come any more. */
static bool read_typed(struct typed *typed)
{
	ssize_t n = read(STDIN_FILENO, typed->buf, sizeof(typed->buf));

	typed->at = 0;
	typed->end = n > 0 ? (size_t)n : 0;
	return n > 0 || (n < 0 && is_passing(errno));
}

static void pass_typed(struct typed *typed, int master)
{
	ssize_t n = write(master, typed->buf + typed->at, typed->end - typed->at);

	if (n < 0 && !is_passing(errno))
		typed->at = typed->end; /* nobody is left to read it */
	typed->at += n > 0 ? (size_t)n : 0;
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
	struct pollfd p[] = {{.fd = STDIN_FILENO},
			     {.fd = t->master},
			     {.fd = signal_fd, .events = POLLIN},
			     {.fd = exec->pidfd, .events = POLLIN},
			     {.fd = exec->attend_fd, .events = POLLIN}};
	struct typed typed = {.at = 0};

	while (!p[3].revents) {
		p[0].events = has_more(&typed) ? 0 : POLLIN;
		p[1].events = has_more(&typed) ? POLLIN | POLLOUT : POLLIN;
		if (poll(p, RB_ARRAY_LEN(p), -1) < 0)
			continue;
		/* The caller's terminal is gone: the shell hears it as a hang-up does. */
		if (p[0].revents && (has_more(&typed) || !read_typed(&typed)))
			rb_closep(&t->master), p[0].fd = p[1].fd = -1;
		if (t->master >= 0 && has_more(&typed))
			pass_typed(&typed, t->master);
		if (p[1].revents & ~POLLOUT && p[1].fd >= 0 && !carry(t->master))
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
		if (!carry(t->master))
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
