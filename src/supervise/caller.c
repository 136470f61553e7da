// SPDX-License-Identifier: Apache-2.0
/* The calling thread: its memory, its descriptors, what /proc says of it. */
#include <errno.h>
#include <linux/kcmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "supervise/supervise-internal.h"

enum { PAGE = 4096, STATUS_BYTES = 16384 };

/* Of this thread: who called it lately is likely to call again. */
static __thread struct handle handles[RB_HANDLES];

#define PIDFD_THREAD_FLAG O_EXCL /* Linux 6.9; headers lag behind */

/* --- memory --- */

static ssize_t transfer(const struct call *c, uint64_t address, void *buf, size_t len, bool write)
{
	struct iovec ours = {.iov_base = buf, .iov_len = len};
	struct iovec theirs = {.iov_base = (void *)(uintptr_t)address, .iov_len = len};
	ssize_t n = write ? process_vm_writev(c->tid, &ours, 1, &theirs, 1, 0)
			  : process_vm_readv(c->tid, &ours, 1, &theirs, 1, 0);

	return n < 0 ? -errno : n;
}

int rb_caller_read(const struct call *c, uint64_t address, void *buf, size_t len)
{
	ssize_t n = len ? transfer(c, address, buf, len, false) : 0;

	return n == (ssize_t)len ? 0 : -EFAULT;
}

int rb_caller_write(const struct call *c, uint64_t address, const void *buf, size_t len)
{
	union {
		const void *in;
		void *out;
	} u = {.in = buf};
	ssize_t n = len ? transfer(c, address, u.out, len, true) : 0;

	return n == (ssize_t)len ? 0 : -EFAULT;
}

static ssize_t read_string(const struct call *c, uint64_t address, char *buf, size_t size)
{
	size_t have = 0;

	/* Page by page: what lies behind the end of the string may not be mapped. */
	while (have < size) {
		size_t want = rb_min_size(size - have, PAGE - (size_t)((address + have) % PAGE));
		ssize_t n = transfer(c, address + have, buf + have, want, false);

		if (n <= 0)
			return -EFAULT;
		const char *end = memchr(buf + have, '\0', (size_t)n);
		if (end)
			return end - buf;
		have += (size_t)n;
	}
	return -ENAMETOOLONG;
}

/* A call may need its path several times, and is to see the same one each time. */
ssize_t rb_caller_string(const struct call *c, uint64_t address, char *buf, size_t size)
{
	static __thread struct {
		uint64_t id, address;
		ssize_t len;
		char text[PATH_MAX];
	} last = {.len = -1};

	if (size != sizeof(last.text))
		return read_string(c, address, buf, size);
	if (last.len < 0 || last.id != c->id || last.address != address) {
		last.id = c->id;
		last.address = address;
		last.len = read_string(c, address, last.text, sizeof(last.text));
	}
	if (last.len >= 0)
		memcpy(buf, last.text, (size_t)last.len + 1);
	return last.len;
}

int rb_caller_check(const struct call *c)
{
	uint64_t id = c->id;

	return ioctl(c->s->listener, SECCOMP_IOCTL_NOTIF_ID_VALID, &id) < 0 ? -ENOENT : 0;
}

/* --- descriptors --- */

int rb_caller_open(const struct call *c, const char *what, int flags)
{
	char path[64];

	(void)snprintf(path, sizeof(path), "%d/%s", c->tid, what);
	int fd = openat(c->s->proc_fd, path, flags | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static int pidfd_of(pid_t tid)
{
	int fd = (int)syscall(SYS_pidfd_open, tid, PIDFD_THREAD_FLAG);

	/* Before Linux 6.9 first threads only. */
	if (fd < 0 && errno == EINVAL)
		fd = (int)syscall(SYS_pidfd_open, tid, 0);
	return fd < 0 ? -errno : fd;
}

static int copy_fd(int pidfd, int fd)
{
	int r = (int)syscall(SYS_pidfd_getfd, pidfd, fd, 0);

	return r < 0 ? -errno : r;
}

/*
 * Before Linux 6.9 only the first thread of a process has a handle; the others have the same
 * descriptors unless they have asked for a table of their own.
 */
static int copy_fd_of_process(const struct call *c, int fd)
{
	struct caller_status st;
	int r = rb_caller_status(c, &st);

	if (r < 0)
		return r;
	if (syscall(SYS_kcmp, c->tid, st.tgid, KCMP_FILES, 0, 0) != 0)
		return -ESRCH;
	RB_CLEANUP(rb_closep) int pidfd = pidfd_of(st.tgid);
	return pidfd < 0 ? rb_steal_fd(&pidfd) : copy_fd(pidfd, fd);
}

int rb_caller_fd(const struct call *c, int fd)
{
	struct handle *h = &handles[(unsigned)c->tid % RB_HANDLES];
	char what[32];

	if (fd < 0)
		return -EBADF;
	if (h->tid == c->tid && h->pidfd >= 0) {
		int r = copy_fd(h->pidfd, fd);

		/* The one that we know has ended, and its number has been given away again. */
		if (r != -ESRCH)
			return r;
	}
	if (h->tid)
		rb_closep(&h->pidfd);
	h->tid = c->tid;
	h->pidfd = pidfd_of(c->tid);
	if (h->pidfd >= 0)
		return copy_fd(h->pidfd, fd);
	h->pidfd = -1;
	int r = copy_fd_of_process(c, fd);
	if (r >= 0 || r == -EBADF)
		return r;
	(void)snprintf(what, sizeof(what), "fd/%d", fd);
	r = rb_caller_open(c, what, O_PATH);
	return r == -ENOENT ? -EBADF : r;
}

static bool is_path_only(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	return flags >= 0 && flags & O_PATH;
}

int rb_caller_file(const struct call *c, int number)
{
	RB_CLEANUP(rb_closep) int fd = rb_caller_fd(c, number);

	if (fd < 0)
		return rb_steal_fd(&fd);
	int r = rb_caller_check(c);
	if (r < 0)
		return r;
	return is_path_only(fd) ? -EBADF : rb_steal_fd(&fd);
}

/* --- status --- */

static int read_status(const struct supervisor *s, pid_t tid, char text[static STATUS_BYTES])
{
	char path[32];

	(void)snprintf(path, sizeof(path), "%d/status", tid);
	RB_CLEANUP(rb_closep) int fd = openat(s->proc_fd, path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	ssize_t n = rb_read_full(fd, text, STATUS_BYTES - 1);
	if (n < 0)
		return (int)n;
	text[n] = '\0';
	return 0;
}

/* The first or the last number of a line. */
static long status_number(const char *text, const char *key, bool last)
{
	const char *line = strstr(text, key);
	long v = 0;

	if (!line)
		return -1;
	line += strlen(key);
	for (;;) {
		char *end;
		long next = strtol(line, &end, 10);

		if (end == line || (*line == '\n'))
			return v;
		v = next;
		if (!last || *end == '\n')
			return v;
		line = end;
	}
}

/* The last of the four ids of a line (real, effective, saved, file system). */
static uint32_t fs_id(const char *text, const char *key)
{
	return (uint32_t)status_number(text, key, true);
}

static size_t read_groups(const char *text, uint32_t *groups, size_t room)
{
	const char *p = strstr(text, "\nGroups:");
	size_t n = 0;

	for (p = p ? p + strlen("\nGroups:") : ""; n < room; n++) {
		char *end;

		p += strspn(p, " \t");
		groups[n] = (uint32_t)strtoul(p, &end, 10);
		if (end == p)
			break;
		p = end;
	}
	return n;
}

int rb_caller_creds(const struct call *c, struct rb_cred *ret, uint32_t *groups, size_t room)
{
	char text[STATUS_BYTES];
	int r = read_status(c->s, c->tid, text);
	const char *caps = r < 0 ? NULL : strstr(text, "\nCapEff:");
	const char *mask = r < 0 ? NULL : strstr(text, "\nUmask:");

	if (!caps || !mask)
		return r < 0 ? r : -ESRCH;
	*ret = (struct rb_cred){
		.fsuid = fs_id(text, "\nUid:"),
		.fsgid = fs_id(text, "\nGid:"),
		.groups = groups,
		.n_groups = read_groups(text, groups, room),
		.effective = strtoull(caps + strlen("\nCapEff:"), NULL, 16),
		.umask = (mode_t)strtoul(mask + strlen("\nUmask:"), NULL, 8),
	};
	return 0;
}

int rb_caller_status(const struct call *c, struct caller_status *ret)
{
	char text[STATUS_BYTES];
	int r = read_status(c->s, c->tid, text);

	if (r < 0)
		return r;
	*ret = (struct caller_status){
		.tgid = (pid_t)status_number(text, "\nTgid:", false),
		.pid_inside = (pid_t)status_number(text, "\nNStgid:", true),
		.tid_inside = (pid_t)status_number(text, "\nNSpid:", true),
		.threads = (unsigned)status_number(text, "\nThreads:", false),
		.no_new_privs = status_number(text, "\nNoNewPrivs:", false) == 1,
	};
	return ret->tgid > 0 ? 0 : -ESRCH;
}

bool rb_caller_shares_pids(const struct call *c, pid_t pid)
{
	struct stat ours, theirs;
	char path[32];

	(void)snprintf(path, sizeof(path), "%d/ns/pid", c->tid);
	if (fstatat(c->s->proc_fd, path, &ours, 0) < 0)
		return false;
	(void)snprintf(path, sizeof(path), "%d/ns/pid", pid);
	return fstatat(c->s->proc_fd, path, &theirs, 0) == 0 && ours.st_dev == theirs.st_dev &&
	       ours.st_ino == theirs.st_ino;
}
