// SPDX-License-Identifier: Apache-2.0
/* An agent for a program of ours, git, which finds it by the path of a socket. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/fd.h"
#include "solve/ssh.h"

static int listen_at(const char *path)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	RB_CLEANUP(rb_closep)
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	(void)snprintf(at.sun_path, sizeof(at.sun_path), "%s", path);
	if (fd < 0 || bind(fd, (const struct sockaddr *)&at, sizeof(at)) < 0 || listen(fd, 8) < 0)
		return -errno;
	return rb_steal_fd(&fd);
}

int rb_ssh_lend(struct rb_ssh *s, const char *id, struct rb_ssh_loan *ret, struct rb_error **err)
{
	char rnd[17];

	/* Not in the store: its path may be longer than a socket's can be. */
	rb_random_hex(rnd, 8);
	(void)snprintf(ret->dir, sizeof(ret->dir), "/tmp/rbuild-ssh-%s", rnd);
	(void)snprintf(ret->path, sizeof(ret->path), "%s/agent", ret->dir);
	if (mkdir(ret->dir, 0700) < 0) {
		ret->dir[0] = '\0';
		return rb_fail_errno(err, "cannot make a directory in /tmp for the ssh agent");
	}
	RB_CLEANUP(rb_closep) int fd = listen_at(ret->path);
	if (fd < 0) {
		(void)rb_fail_sys(err, fd, "cannot make a socket for the ssh agent");
	} else if (rb_ssh_forward(s, id, fd, &ret->forwarder, err) == 0) {
		return 0;
	}
	rb_ssh_end_loan(ret);
	return -1;
}

void rb_ssh_end_loan(struct rb_ssh_loan *l)
{
	rb_child_kill(&l->forwarder);
	if (l->dir[0]) {
		(void)unlink(l->path);
		(void)rmdir(l->dir);
	}
	*l = (struct rb_ssh_loan){0};
}
