// SPDX-License-Identifier: Apache-2.0
/* Calls that make processes, or ask who they are. */
#include <errno.h>
#include <linux/capability.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "supervise/supervise-internal.h"

enum { SCRIPT_DEPTH = 4, SCRIPT_LINE = 256 };

/* --- execve --- */

/* The interpreter of "#! interpreter argument", or false. */
static bool read_interpreter(int object, char line[static SCRIPT_LINE])
{
	char path[32];

	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", object);
	RB_CLEANUP(rb_closep) int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : rb_read_full(fd, line, SCRIPT_LINE - 1);
	if (n < 2 || line[0] != '#' || line[1] != '!')
		return false;
	line[n] = '\0';
	char *start = line + 2 + strspn(line + 2, " \t");
	start[strcspn(start, " \t\n")] = '\0';
	memmove(line, start, strlen(start) + 1);
	return *line != '\0';
}

/* Goes on from a script to what runs it: takes and gives a descriptor. */
static int find_program(struct call *c, int script)
{
	RB_CLEANUP(rb_closep) int fd = script;
	char line[SCRIPT_LINE];

	for (int depth = 0; depth < SCRIPT_DEPTH && read_interpreter(fd, line); depth++) {
		int next = rb_resolve(c, AT_FDCWD, line, true);

		if (next < 0)
			return next;
		rb_closep(&fd);
		fd = next;
	}
	return rb_steal_fd(&fd);
}

/* vfs_cap_data of linux/capability.h, versions 2 and 3; as our user namespace sees it. */
static void read_caps(int fd, struct rb_cred_file *f)
{
	uint32_t data[6];
	ssize_t n = rb_sys_getxattr(fd, "", "security.capability", data, sizeof(data));

	if (n < (ssize_t)(5 * sizeof(*data)))
		return;
	f->has_caps = true;
	f->effective = data[0] & VFS_CAP_FLAGS_EFFECTIVE;
	f->permitted = data[1] | (uint64_t)data[3] << 32;
	f->inheritable = data[2] | (uint64_t)data[4] << 32;
}

static int read_file(struct call *c, int fd, struct rb_cred_file *ret)
{
	struct caller_status status;
	struct statvfs fs;
	int r = rb_entry_stat(c->s, fd, &ret->st);

	if (r < 0 || (r = rb_caller_status(c, &status)) < 0)
		return r;
	if (fstatvfs(fd, &fs) < 0)
		return -errno;
	ret->privileged = !status.no_new_privs && !(fs.f_flag & ST_NOSUID);
	read_caps(fd, ret);
	return 0;
}

/* Whether execve could change anything: most callers are root through and through. */
static bool may_change(const struct call *c, const struct stat *st)
{
	const struct rb_cred *k = &c->cred;

	return st->st_mode & (S_ISUID | S_ISGID) || k->euid != 0 || k->ruid != 0 || k->suid != 0 ||
	       k->fsuid != 0 || k->sgid != k->egid || k->fsgid != k->egid || k->keep_caps ||
	       k->effective != k->bounding || k->permitted != k->bounding;
}

static int64_t do_exec(struct call *c, int object)
{
	RB_CLEANUP(rb_closep) int fd = object;
	struct rb_cred cred = c->cred;
	struct rb_cred_file f = {0};
	struct stat st;
	int r;

	c->s->set_up = true;
	/* What there is to say of a missing file the kernel says. */
	if (fd < 0)
		return fd == -EACCES ? fd : RB_CALL_CONTINUE;
	if (rb_entry_stat_as(c, fd, &st) < 0 || !S_ISREG(st.st_mode))
		return RB_CALL_CONTINUE;
	if ((r = rb_cred_may(&c->cred, &st, RB_MAY_EXEC)) < 0)
		return r;
	if (!may_change(c, &st))
		return RB_CALL_CONTINUE;
	fd = find_program(c, fd);
	if (fd < 0)
		return RB_CALL_CONTINUE;
	if ((r = read_file(c, fd, &f)) < 0)
		return r;
	rb_cred_exec(&cred, &f);
	if (rb_cred_equal(&cred, &c->cred))
		return RB_CALL_CONTINUE;
	r = rb_creds_after_exec(c, &f.st, &cred);
	return r < 0 ? r : RB_CALL_CONTINUE;
}

int64_t rb_call_execve(struct call *c)
{
	return do_exec(c, rb_resolve_at(c, AT_FDCWD, c->a[0], 0));
}

int64_t rb_call_execveat(struct call *c)
{
	int flags = (int)c->a[4];

	if (flags & ~(AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW))
		return -EINVAL;
	return do_exec(c, rb_resolve_at(c, (int)c->a[0], c->a[1], flags));
}

/* --- chroot --- */

int64_t rb_call_chroot(struct call *c)
{
	if (!rb_cred_has(&c->cred, CAP_SYS_CHROOT))
		return -EPERM;
	c->s->chrooted = true;
	return RB_CALL_CONTINUE;
}

/* --- the network --- */

/*
 * Its helper is started now, by who holds the other end. The kernel goes on afterwards: all that
 * was looked at is the family, which is a number.
 */
int64_t rb_call_socket(struct call *c)
{
	struct pollfd p = {.fd = c->s->spec->network_fd, .events = POLLIN};

	if (poll(&p, 1, 0) == 0) {
		rb_call_takes_long(c);
		(void)send(p.fd, "n", 1, MSG_NOSIGNAL | MSG_DONTWAIT);
		while (poll(&p, 1, -1) < 0)
			;
	}
	return RB_CALL_CONTINUE;
}

/* --- the limit that carries our numbers --- */

static int write_unlimited(const struct call *c, uint64_t address, bool narrow)
{
	const uint32_t small[2] = {UINT32_MAX, UINT32_MAX};
	const uint64_t wide[2] = {UINT64_MAX, UINT64_MAX};

	return narrow ? rb_caller_write(c, address, small, sizeof(small))
		      : rb_caller_write(c, address, wide, sizeof(wide));
}

/* The limit has had no effect since Linux 2.4.25: setting it has none here either. */
static int check_limit(const struct call *c, uint64_t address, bool narrow)
{
	uint64_t wide[2];
	uint32_t small[2];
	int r = narrow ? rb_caller_read(c, address, small, sizeof(small))
		       : rb_caller_read(c, address, wide, sizeof(wide));

	if (r < 0)
		return r;
	return (narrow ? small[0] > small[1] : wide[0] > wide[1]) ? -EINVAL : 0;
}

int64_t rb_call_getrlimit(struct call *c)
{
	return write_unlimited(c, c->a[1], c->compat);
}

int64_t rb_call_setrlimit(struct call *c)
{
	return check_limit(c, c->a[1], c->compat);
}

int64_t rb_call_prlimit(struct call *c)
{
	int r = c->a[2] ? check_limit(c, c->a[2], false) : 0;

	if (r == 0 && c->a[3])
		r = write_unlimited(c, c->a[3], false);
	return r;
}

/* --- who is at the other end --- */

/* The kernel knows the process at the other end and its one id; we know who it says it is. */
int64_t rb_call_getsockopt(struct call *c)
{
	struct ucred peer;
	struct rb_cred cred;
	socklen_t len = sizeof(peer);
	uint32_t room;
	pid_t inside;

	if ((int)c->a[1] != SOL_SOCKET)
		return RB_CALL_CONTINUE;
	int r = rb_caller_read(c, c->a[4], &room, sizeof(room));
	if (r < 0)
		return r;
	RB_CLEANUP(rb_closep) int fd = rb_caller_fd(c, (int)c->a[0]);
	if (fd < 0)
		return rb_steal_fd(&fd);
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0)
		return -errno;
	if (peer.pid > 0 && rb_creds_of(c->s, peer.pid, &cred, &inside) == 0)
		peer = (struct ucred){.pid = inside, .uid = cred.euid, .gid = cred.egid};
	else
		peer.pid = 0;
	room = (uint32_t)rb_min_size(room, sizeof(peer));
	if ((r = rb_caller_write(c, c->a[3], &peer, room)) < 0)
		return r;
	return rb_caller_write(c, c->a[4], &room, sizeof(room));
}
