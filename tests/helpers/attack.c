// SPDX-License-Identifier: Apache-2.0
/*
 * A step that tries to lead the supervisor out of its root, or to become who it is not:
 *
 *	attack CANARY [ROUNDS]
 *
 * CANARY is a directory of the host that is not in the root; it holds "secret" and "dir/file". One
 * line for each attack: "NAME: nothing" when it got nothing.
 */
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <pthread.h>
#include <stddef.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "calls.h"

enum { RLIMIT_OF_LOCKS = 10 };

static const char *canary;
static unsigned rounds = 25000;
static volatile bool stop;
static char path[4096] __attribute__((aligned(4096)));

static void verdict(const char *what, unsigned found)
{
	if (found)
		note("%s: %u things", what, found);
	else
		note("%s: nothing", what);
}

/* What a call may find is the file that says so, or an empty one under half a name. */
static bool is_ours(int fd)
{
	char buf[16] = "";

	return pread(fd, buf, sizeof(buf) - 1, 0) >= 0 && (!*buf || strncmp(buf, "inside", 6) == 0);
}

/* --- the path changes while it is looked at ------------------------------------------------ */

static char evil[8][512];

static void make_evil_names(void)
{
	static const char *const prefixes[] = {"",
					       "/proc/self/root/../../../..",
					       "/proc/1/root/../..",
					       "/proc/self/cwd/../../../../..",
					       "../../../../../../../..",
					       "/proc/thread-self/root",
					       "/proc/self/task/../root/.."};

	for (size_t i = 0; i < COUNT(prefixes); i++)
		(void)snprintf(evil[i], sizeof(evil[i]), "%s%s/secret", prefixes[i], canary);
	(void)snprintf(evil[7], sizeof(evil[7]), "/w/links/absolute");
}

static void *rewrite(void *arg)
{
	(void)arg;
	for (unsigned i = 0; !stop; i++) {
		memcpy(path, evil[i % COUNT(evil)], sizeof(evil[0]));
		memcpy(path, "/w/file", 8);
	}
	return NULL;
}

static void attack_rewriting(void)
{
	pthread_t t;
	struct stat st;
	unsigned found = 0;

	memcpy(path, "/w/file", 8);
	must(pthread_create(&t, NULL, rewrite, NULL) == 0, "thread");
	for (unsigned i = 0; i < rounds; i++) {
		if (CALL(SYS_newfstatat, AT_FDCWD, path, &st, 0) == 0)
			found += S_ISREG(st.st_mode) && st.st_size != 0 && st.st_size != 6;
		int fd = (int)CALL(SYS_openat, AT_FDCWD, path, O_RDWR | O_CREAT, 0600);
		if (fd >= 0) {
			found += !is_ours(fd);
			(void)close(fd);
		}
		(void)CALL(SYS_fchownat, AT_FDCWD, path, i, 5, 0);
		(void)CALL(SYS_renameat2, AT_FDCWD, path, AT_FDCWD, "/w/file", 0);
	}
	stop = true;
	(void)pthread_join(t, NULL);
	stop = false;
	verdict("a path rewritten by a thread", found);
}

/* --- links --------------------------------------------------------------------------------- */

static void make_link(const char *name, const char *format, const char *target)
{
	char text[1024];

	(void)snprintf(text, sizeof(text), "%s%s", format, target);
	must(symlink(text, name) == 0, name);
}

static void make_links(void)
{
	make_dir("/w/links", 0755, 0, 0);
	make_link("/w/links/absolute", canary, "/secret");
	make_link("/w/links/climbing", "../../../../../../../../../..", canary);
	make_link("/w/links/root", "/proc/self/root/../../..", canary);
	make_link("/w/links/one", "/proc/1/root", canary);
	make_link("/w/links/cwd", "/proc/self/cwd/../../../../..", canary);
	make_link("/w/links/directory", canary, "");
	make_link("/w/links/fd", "/proc/1/fd/../../..", canary);
}

static unsigned use_everything(const char *p)
{
	struct stat st;
	char buf[64];
	unsigned found = 0;
	int fd = (int)CALL(SYS_openat, AT_FDCWD, p, O_RDWR | O_CREAT | O_TRUNC, 0600);

	found += fd >= 0;
	(void)closed(fd);
	found += closed(CALL(SYS_openat, AT_FDCWD, p, O_RDONLY)) == 0;
	found += CALL(SYS_newfstatat, AT_FDCWD, p, &st, 0) == 0;
	found += CALL(SYS_fchownat, AT_FDCWD, p, 5, 6, 0) == 0;
	found += CALL(SYS_fchmodat, AT_FDCWD, p, 0777) == 0;
	found += CALL(SYS_utimensat, AT_FDCWD, p, NULL, 0) == 0;
	found += CALL(SYS_setxattr, p, "user.x", "v", 1, 0) == 0;
	found += CALL(SYS_getxattr, p, "user.x", buf, sizeof(buf)) >= 0;
	found += CALL(SYS_listxattr, p, buf, sizeof(buf)) >= 0;
	found += CALL(SYS_truncate, p, 0) == 0;
	found += CALL(SYS_linkat, AT_FDCWD, p, AT_FDCWD, "/w/twin", AT_SYMLINK_FOLLOW) == 0;
	found += CALL(SYS_faccessat, AT_FDCWD, p, F_OK) == 0;
	return found;
}

static unsigned use_inside(const char *directory)
{
	static const char *const names[] = {"secret", "dir/file", "new"};
	char p[1024];
	unsigned found = 0;

	for (size_t i = 0; i < COUNT(names); i++) {
		(void)snprintf(p, sizeof(p), "%s/%s", directory, names[i]);
		found += use_everything(p);
		found += CALL(SYS_mkdirat, AT_FDCWD, p, 0700) == 0;
		found += CALL(SYS_mknodat, AT_FDCWD, p, S_IFIFO | 0600, 0) == 0;
		found += CALL(SYS_symlinkat, "x", AT_FDCWD, p) == 0;
		found += CALL(SYS_renameat2, AT_FDCWD, "/w/file", AT_FDCWD, p, 0) == 0;
		found += CALL(SYS_renameat2, AT_FDCWD, p, AT_FDCWD, "/w/stolen", 0) == 0;
		found += CALL(SYS_linkat, AT_FDCWD, "/w/file", AT_FDCWD, p, 0) == 0;
		found += CALL(SYS_unlinkat, AT_FDCWD, p, 0) == 0;
		found += CALL(SYS_unlinkat, AT_FDCWD, p, AT_REMOVEDIR) == 0;
	}
	return found;
}

static void attack_links(void)
{
	static const char *const links[] = {"climbing", "root", "one", "cwd", "directory", "fd"};
	char p[64];
	unsigned found = use_everything("/w/links/absolute");

	for (size_t i = 0; i < COUNT(links); i++) {
		(void)snprintf(p, sizeof(p), "/w/links/%s", links[i]);
		found += use_inside(p);
	}
	for (size_t i = 0; i < COUNT(evil); i++)
		found += use_everything(evil[i]);
	verdict("links and names that lead out", found);
}

static void *swap(void *arg)
{
	(void)arg;
	while (!stop)
		(void)CALL(SYS_renameat2, AT_FDCWD, "/w/swap", AT_FDCWD, "/w/links/directory", 2);
	return NULL;
}

static void attack_swapping(void)
{
	pthread_t t;
	unsigned found = 0;

	make_dir("/w/swap", 0755, 0, 0);
	put("/w/swap/secret", "inside", 0600);
	must(pthread_create(&t, NULL, swap, NULL) == 0, "thread");
	for (unsigned i = 0; i < rounds / 5; i++) {
		int fd = (int)CALL(SYS_openat, AT_FDCWD, "/w/swap/secret", O_RDWR | O_CREAT, 0600);

		if (fd >= 0) {
			found += !is_ours(fd);
			(void)close(fd);
		}
		(void)CALL(SYS_fchownat, AT_FDCWD, "/w/swap/secret", 5, 6, 0);
		(void)CALL(SYS_fchmodat, AT_FDCWD, "/w/swap/secret", 0600);
	}
	stop = true;
	(void)pthread_join(t, NULL);
	stop = false;
	verdict("a directory that becomes a link", found);
}

/* --- other processes ----------------------------------------------------------------------- */

static void attack_processes(void)
{
	unsigned found = 0;
	char p[1024];

	/* Numbers that are not the step's: the supervisor's, rbuild's. */
	for (int pid = 0; pid < 400; pid++) {
		static const char *const parts[] = {"root", "cwd", "exe", "fd/0", "fd/3"};

		if (pid == 1 || pid == getpid() || kill(pid ? pid : -2, 0) == 0)
			continue;
		for (size_t i = 0; i < COUNT(parts); i++) {
			(void)snprintf(p, sizeof(p), "/proc/%d/%s", pid, parts[i]);
			found += CALL(SYS_faccessat, AT_FDCWD, p, F_OK) == 0;
		}
	}
	verdict("processes that are not the step's", found);
	(void)snprintf(p, sizeof(p), "/proc/%d/root%s/secret", getppid() ? getppid() : 1, canary);
	verdict("the parent's root", use_everything(p));
}

static void attack_reuse(void)
{
	struct stat st;
	unsigned found = 0;

	make_dir("/w/reuse", 0777, 0, 0);
	for (unsigned i = 0; i < 1000; i++) {
		pid_t pid = fork();

		if (pid == 0) {
			if (i % 2)
				become(1000, 1000);
			for (;;)
				(void)closed(CALL(SYS_openat, AT_FDCWD, "/w/reuse/mine",
						  O_CREAT | O_RDWR, 0666));
		}
		if (i % 10 == 0)
			(void)usleep(300);
		(void)kill(pid, SIGKILL);
		(void)waitpid(pid, NULL, 0);
		(void)unlink("/w/reuse/mine");
		must(mkdir("/w/reuse/root", 0700) == 0 && stat("/w/reuse/root", &st) == 0, "mkdir");
		found += st.st_uid != 0;
		must(rmdir("/w/reuse/root") == 0, "rmdir");
	}
	verdict("process numbers used again", found);
}

static void send_fd(int to, int fd)
{
	struct {
		struct cmsghdr head;
		int fd;
	} control = {.head = {CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS}, .fd = fd};
	char text[] = "x";
	struct iovec iov = {text, 1};
	struct msghdr m = {.msg_iov = &iov,
			   .msg_iovlen = 1,
			   .msg_control = &control,
			   .msg_controllen = sizeof(control)};

	must(sendmsg(to, &m, 0) == 1, "sendmsg");
}

static int receive_fd(int from)
{
	char control[64] __attribute__((aligned(8)));
	struct cmsghdr head;
	char text[1];
	struct iovec iov = {text, 1};
	struct msghdr m = {.msg_iov = &iov,
			   .msg_iovlen = 1,
			   .msg_control = control,
			   .msg_controllen = sizeof(control)};
	int fd;

	must(recvmsg(from, &m, 0) == 1, "recvmsg");
	memcpy(&head, control, sizeof(head));
	must(head.cmsg_type == SCM_RIGHTS, "SCM_RIGHTS");
	memcpy(&fd, control + CMSG_ALIGN(sizeof(head)), sizeof(fd));
	return fd;
}

static void say_where(const char *what, int dir, const char *name, const char *seen)
{
	struct stat a, b;

	if (CALL(SYS_newfstatat, dir, name, &a, AT_SYMLINK_NOFOLLOW) < 0 ||
	    CALL(SYS_newfstatat, AT_FDCWD, seen, &b, AT_SYMLINK_NOFOLLOW) < 0)
		say(what, -errno);
	else
		note("%s: %s", what,
		     a.st_ino == b.st_ino && a.st_dev == b.st_dev ? "there" : "elsewhere");
}

/* After chroot(2) a path begins at the new root; a descriptor from outside still leads outside, as
 * far as the step's root. */
static void attack_chroot(void)
{
	int sockets[2], outside;
	char p[1024];
	pid_t pid;

	make_dir("/w/jail", 0755, 0, 0);
	make_dir("/w/jail/w", 0755, 0, 0);
	make_dir("/w/outside", 0755, 0, 0);
	make_link("/w/jail/link", "/w/made", "-by-link");
	make_link("/w/jail/up", "../../../../w/made", "-by-up");
	must(socketpair(AF_UNIX, SOCK_STREAM, 0, sockets) == 0, "socketpair");
	(void)fflush(stdout);
	pid = fork();
	if (pid == 0) {
		outside = receive_fd(sockets[1]);
		must(chroot("/w/jail") == 0 && chdir("/") == 0, "chroot");
		say("jail: absolute", closed(CALL(SYS_openat, AT_FDCWD, "/w/absolute",
						  O_CREAT | O_EXCL | O_RDWR, 0600)));
		say("jail: by a link",
		    closed(CALL(SYS_openat, AT_FDCWD, "/link", O_CREAT | O_RDWR, 0600)));
		say("jail: by a link upwards",
		    closed(CALL(SYS_openat, AT_FDCWD, "/up", O_CREAT | O_RDWR, 0600)));
		say("jail: above", CALL(SYS_mkdirat, AT_FDCWD, "../../../above", 0700));
		say("jail: in a passed directory", CALL(SYS_mkdirat, outside, "passed", 0700));
		say("jail: chown there", CALL(SYS_fchownat, outside, "passed", 7, 8, 0));
		(void)snprintf(p, sizeof(p), "../../../../../../../../..%s/secret", canary);
		say("jail: the canary from there", CALL(SYS_newfstatat, outside, p, path, 0));
		say("jail: cannot see outside", CALL(SYS_faccessat, AT_FDCWD, "/w/outside", F_OK));
		_exit(0);
	}
	outside = open("/w/outside", O_RDONLY | O_DIRECTORY);
	send_fd(sockets[0], outside);
	must(waitpid(pid, NULL, 0) == pid, "wait");
	say_where("absolute", AT_FDCWD, "/w/jail/w/absolute", "/w/jail/w/absolute");
	say_where("by a link", AT_FDCWD, "/w/jail/w/made-by-link", "/w/jail/w/made-by-link");
	say_where("by a link upwards", AT_FDCWD, "/w/jail/w/made-by-up", "/w/jail/w/made-by-up");
	say_where("above", AT_FDCWD, "/w/jail/above", "/w/jail/above");
	look("passed", "/w/outside/passed");
}

/* --- identity ------------------------------------------------------------------------------ */

static unsigned is_root_again(void)
{
	struct stat st;
	unsigned found = 0;

	found += CALL(SYS_getuid) != 1000 || CALL(SYS_geteuid) != 1000;
	found += CALL(SYS_setresuid, 0, 0, 0) == 0;
	found += CALL(SYS_setgroups, 0, NULL) == 0;
	found += CALL(SYS_fchownat, AT_FDCWD, "/w/file", 1000, 1000, 0) == 0;
	found += CALL(SYS_mkdirat, AT_FDCWD, "/root-was-here", 0700) == 0;
	(void)unlink("/w/open/probe");
	must(closed(CALL(SYS_openat, AT_FDCWD, "/w/open/probe", O_CREAT | O_EXCL | O_RDWR, 0600)) ==
		     0,
	     "probe");
	must(CALL(SYS_newfstatat, AT_FDCWD, "/w/open/probe", &st, 0) == 0, "stat");
	return found + (st.st_uid != 1000);
}

static void attack_limits(void)
{
	unsigned found = 0;
	pid_t parent = getppid();

	become(1000, 1000);
	for (rlim_t i = 0; i < 300; i++) {
		struct rlimit l = {i, RLIM_INFINITY};

		if (i >= 150)
			l.rlim_max = i;
		(void)CALL(SYS_setrlimit, RLIMIT_OF_LOCKS, &l);
		(void)CALL(SYS_prlimit64, 0, RLIMIT_OF_LOCKS, &l, NULL);
		(void)CALL(SYS_prlimit64, parent, RLIMIT_OF_LOCKS, &l, NULL);
		pid_t pid = fork();
		if (pid == 0)
			_exit((int)is_root_again());
		int status;
		must(waitpid(pid, &status, 0) == pid && WIFEXITED(status), "wait");
		found += (unsigned)WEXITSTATUS(status);
	}
	verdict("a forged resource limit", found + is_root_again());
}

static long install(struct sock_filter *f, unsigned short n, unsigned flags)
{
	struct sock_fprog prog = {n, f};

	return CALL(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &prog);
}

static void attack_filter(void)
{
	struct sock_filter allow[] = {BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
	struct sock_filter listen[] = {BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF)};
	struct sock_filter refuse[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_mkdirat, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EXDEV),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};

	become(1000, 1000);
	must(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0, "no_new_privs");
	say("filter: allowing everything", install(allow, COUNT(allow), 0));
	note("filter: a listener of its own: %s",
	     install(listen, COUNT(listen), SECCOMP_FILTER_FLAG_NEW_LISTENER) < 0 ? "refused"
										  : "there");
	say("filter: refusing mkdir", install(refuse, COUNT(refuse), 0));
	say("filter: is obeyed", CALL(SYS_mkdirat, AT_FDCWD, "/w/open/dir", 0700));
	verdict("a filter of its own", is_root_again());
}

/* A tracer sees the calls of its child and lets them go; the child stays who it is. */
static void attack_ptrace(void)
{
	int status = 0;
	pid_t pid = fork();

	if (pid == 0) {
		must(ptrace(PTRACE_TRACEME, 0, NULL, NULL) == 0 && raise(SIGSTOP) == 0, "traceme");
		become(1000, 1000);
		_exit((int)is_root_again());
	}
	must(waitpid(pid, &status, 0) == pid && WIFSTOPPED(status), "wait");
	while (WIFSTOPPED(status)) {
		must(ptrace(PTRACE_SYSCALL, pid, NULL, NULL) == 0 &&
			     waitpid(pid, &status, 0) == pid,
		     "ptrace");
	}
	verdict("a traced process", WIFEXITED(status) ? (unsigned)WEXITSTATUS(status) : 100);
}

static void become_and_look(void)
{
	become(1000, 1000);
	verdict("a user who wants to be root", is_root_again());
}

static void attack_kill(void)
{
	/* All that can be seen: process 1 does not hear it, and neither does whoever answers. */
	say("kill of everybody", raw(kill(-1, SIGCONT)));
	say("kill of the parent's group", raw(kill(0, SIGCONT)));
	say("and owners still work", CALL(SYS_fchownat, AT_FDCWD, "/w/file", 11, 12, 0));
	look("they are", "/w/file");
}

static void run_swapping(void)
{
	attack_swapping();
	attack_rewriting();
}

int main(int argc, char **argv)
{
	static void (*const attacks[])(void) = {
		attack_links,    run_swapping,  attack_processes, attack_reuse,  attack_chroot,
		become_and_look, attack_limits, attack_filter,    attack_ptrace, attack_kill};

	(void)setvbuf(stdout, NULL, _IOLBF, 0);
	canary = argc > 1 ? argv[1] : "/canary";
	if (argc > 2)
		rounds = (unsigned)strtoul(argv[2], NULL, 10);
	(void)umask(022);
	for (size_t i = 0; i < COUNT(attacks); i++) {
		make_dir("/w", 0755, 0, 0);
		make_dir("/w/open", 0777, 0, 0);
		put("/w/file", "inside", 0644);
		must(chdir("/w") == 0, "chdir");
		make_evil_names();
		make_links();
		in_child(attacks[i]);
		must(chdir("/") == 0, "chdir");
		remove_tree("/w");
	}
	note("done");
	return 0;
}
