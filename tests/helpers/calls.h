/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the programs calls-*.c share. Each runs many small system calls raw, without the C library's
 * detours, and prints one line for each observation; nothing in a line depends on time, inode
 * numbers, process ids or the file system. Real root in a chroot prints what is right, and every
 * mode of rbuild has to print the same (tests/calls.sh).
 */
#ifndef CALLS_H
#define CALLS_H

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/time.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* Calls that only the older architectures have; the others do what their C libraries do. */
#ifdef __x86_64__
#define OLD(old_call, at_call) (old_call)
#else
#define OLD(old_call, at_call) (at_call)
#endif

#ifndef SYS_fchmodat2
#define SYS_fchmodat2 452
#endif

/* The value, or -errno. */
static inline long raw(long r)
{
	return r < 0 ? -errno : r;
}
#define CALL(...) raw(syscall(__VA_ARGS__))

/* For a call that makes a descriptor: closes it, and says 0 or -errno. */
static inline long closed(long fd)
{
	if (fd >= 0)
		(void)close((int)fd);
	return fd < 0 ? fd : 0;
}

static inline const char *result_text(long r, char *buf, size_t size)
{
	if (r == 0)
		return "ok";
	if (r < 0 && r > -4096 && strerrorname_np((int)-r))
		return strerrorname_np((int)-r);
	(void)snprintf(buf, size, "%ld", r);
	return buf;
}

/* "what: ok", "what: EPERM" or "what: 5"; takes a C library's -1, too. */
static inline void say(const char *what, long r)
{
	char buf[32];

	if (r == -1)
		r = -errno;
	printf("%s: %s\n", what, result_text(r, buf, sizeof(buf)));
}

__attribute__((format(printf, 1, 2))) static inline void note(const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	(void)vprintf(format, ap);
	va_end(ap);
	putchar('\n');
}

/* The test itself cannot go on: its line differs from what anybody expects. */
static inline void must(bool fine, const char *what)
{
	if (fine)
		return;
	printf("cannot go on: %s: %s\n", what, strerrorname_np(errno));
	exit(1);
}

static inline char type_letter(mode_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFREG:
		return 'f';
	case S_IFDIR:
		return 'd';
	case S_IFLNK:
		return 'l';
	case S_IFIFO:
		return 'p';
	case S_IFSOCK:
		return 's';
	case S_IFCHR:
		return 'c';
	case S_IFBLK:
		return 'b';
	default:
		return '?';
	}
}

/* "f 0644 0:0 5": what does not depend on the file system. The size of a directory does, and so
 * does its count of links. */
static inline const char *fields_of(const struct stat *st, char *buf, size_t size)
{
	int n = snprintf(buf, size, "%c %04o %u:%u", type_letter(st->st_mode), st->st_mode & 07777,
			 st->st_uid, st->st_gid);

	if (S_ISCHR(st->st_mode) || S_ISBLK(st->st_mode))
		(void)snprintf(buf + n, size - n, " %u,%u", major(st->st_rdev), minor(st->st_rdev));
	else if (S_ISREG(st->st_mode) || S_ISLNK(st->st_mode))
		(void)snprintf(buf + n, size - n, " %ld", (long)st->st_size);
	if (!S_ISDIR(st->st_mode) && st->st_nlink != 1 && strlen(buf) + 16 < size)
		(void)snprintf(buf + strlen(buf), size - strlen(buf), " x%lu",
			       (unsigned long)st->st_nlink);
	return buf;
}

/* "what: f 0644 0:0 5" by lstat(2) */
static inline void look(const char *what, const char *path)
{
	struct stat st;
	char buf[96];

	if (fstatat(AT_FDCWD, path, &st, AT_SYMLINK_NOFOLLOW) < 0)
		say(what, -errno);
	else
		printf("%s: %s\n", what, fields_of(&st, buf, sizeof(buf)));
}

static inline void put(const char *path, const char *text, mode_t mode)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	must(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text), path);
	must(fchmod(fd, mode) == 0 && close(fd) == 0, path);
}

static inline void own(const char *path, uid_t uid, gid_t gid)
{
	must(fchownat(AT_FDCWD, path, uid, gid, AT_SYMLINK_NOFOLLOW) == 0, path);
}

static inline void make_dir(const char *path, mode_t mode, uid_t uid, gid_t gid)
{
	must(mkdir(path, 0700) == 0, path);
	own(path, uid, gid);
	must(chmod(path, mode) == 0, path);
}

/* Calls of the process, not those of the C library that ask all threads. */
static inline long set_resuid(uid_t r, uid_t e, uid_t s)
{
	return CALL(SYS_setresuid, r, e, s);
}

static inline long set_resgid(gid_t r, gid_t e, gid_t s)
{
	return CALL(SYS_setresgid, r, e, s);
}

static inline long set_groups(int n, const gid_t *groups)
{
	return CALL(SYS_setgroups, n, groups);
}

/* Give up being root for good. */
static inline void become(uid_t uid, gid_t gid)
{
	must(set_groups(0, NULL) == 0 && set_resgid(gid, gid, gid) == 0 &&
		     set_resuid(uid, uid, uid) == 0,
	     "become");
}

static const gid_t group_2000 = 2000;

/* Effective ids of a user, with root in reserve. */
static inline void user_begin(void)
{
	must(set_groups(1, &group_2000) == 0 && set_resgid(1000, 1000, 1000) == 0 &&
		     set_resuid(1000, 1000, 0) == 0,
	     "become a user");
}

static inline void user_end(void)
{
	must(set_resuid(0, 0, 0) == 0 && set_resgid(0, 0, 0) == 0 && set_groups(0, NULL) == 0,
	     "become root again");
}

static inline long open_file(const char *path, int flags, mode_t mode)
{
	return CALL(SYS_openat, AT_FDCWD, path, flags, mode);
}

/* The attributes that llistxattr(2) tells, sorted. */
static inline int by_name(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static inline void say_list(const char *what, const char *path)
{
	char buf[1024], *names[32];
	size_t n = 0;
	ssize_t size = llistxattr(path, buf, sizeof(buf));

	if (size < 0) {
		say(what, -errno);
		return;
	}
	for (ssize_t i = 0; i < size && n < COUNT(names); i += (ssize_t)strlen(buf + i) + 1)
		names[n++] = buf + i;
	qsort(names, n, sizeof(*names), by_name);
	printf("%s: %zd bytes:", what, size);
	for (size_t i = 0; i < n; i++)
		printf(" %s", names[i]);
	putchar('\n');
}

/* Run in a child, wait for it, and say its end if that is not exit(0). */
static inline void in_child(void (*run)(void))
{
	int status = 0;
	pid_t pid;

	(void)fflush(stdout);
	pid = fork();
	must(pid >= 0, "fork");
	if (pid == 0) {
		run();
		(void)fflush(stdout);
		_exit(0);
	}
	must(waitpid(pid, &status, 0) == pid, "wait");
	if (status)
		note("the child ended with %#x", status);
}

struct caps {
	uint64_t effective, permitted, inheritable;
};

static inline long get_caps(struct caps *c)
{
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2] = {{0}};
	long r = CALL(SYS_capget, &head, data);

	c->effective = data[0].effective | (uint64_t)data[1].effective << 32;
	c->permitted = data[0].permitted | (uint64_t)data[1].permitted << 32;
	c->inheritable = data[0].inheritable | (uint64_t)data[1].inheritable << 32;
	return r;
}

static inline long set_caps(uint64_t effective, uint64_t permitted, uint64_t inheritable)
{
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2];

	for (int i = 0; i < 2; i++)
		data[i] = (struct __user_cap_data_struct){
			.effective = (uint32_t)(effective >> (32 * i)),
			.permitted = (uint32_t)(permitted >> (32 * i)),
			.inheritable = (uint32_t)(inheritable >> (32 * i)),
		};
	return CALL(SYS_capset, &head, data);
}

/* "u=0,0,0,0 g=0,0,0,0 groups= caps=a80425fb,a80425fb,0": real, effective, saved, file system */
static inline const char *identity(char *buf, size_t size)
{
	uid_t r, e, s;
	gid_t gr, ge, gs, groups[64];
	struct caps c;
	int n;
	size_t at;

	must(CALL(SYS_getresuid, &r, &e, &s) == 0 && CALL(SYS_getresgid, &gr, &ge, &gs) == 0,
	     "getres*id");
	at = (size_t)snprintf(buf, size, "u=%u,%u,%u,%u g=%u,%u,%u,%u groups=", r, e, s,
			      (uid_t)syscall(SYS_setfsuid, -1), gr, ge, gs,
			      (gid_t)syscall(SYS_setfsgid, -1));
	n = (int)syscall(SYS_getgroups, 64, groups);
	for (int i = 0; i < n && at < size; i++)
		at += (size_t)snprintf(buf + at, size - at, "%s%u", i ? "," : "", groups[i]);
	(void)get_caps(&c);
	if (at < size)
		(void)snprintf(buf + at, size - at, " caps=%llx,%llx,%llx",
			       (unsigned long long)c.effective, (unsigned long long)c.permitted,
			       (unsigned long long)c.inheritable);
	return buf;
}

static inline void say_identity(const char *what)
{
	char buf[1024];

	note("%s: %s", what, identity(buf, sizeof(buf)));
}

static inline int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static inline void remove_tree(const char *path)
{
	must(nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS) == 0, "remove_tree");
}

struct call_test {
	const char *name;
	void (*run)(void);
};

/* Each in a child of its own and an empty directory, or the one that is named. */
static inline void run_tests(const struct call_test *tests, size_t n, const char *only)
{
	for (size_t i = 0; i < n; i++) {
		if (only && strcmp(only, tests[i].name) != 0)
			continue;
		must(mkdir("/w", 0755) == 0 && chdir("/w") == 0, "/w");
		note("== %s", tests[i].name);
		in_child(tests[i].run);
		must(chdir("/") == 0, "chdir");
		remove_tree("/w");
	}
	note("done");
}

#endif
