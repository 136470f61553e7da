/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A static program that can be a whole root file system: what a step sees and may do, said in lines
 * that tests compare.
 *
 *	init COMMAND [ARG...] [+ COMMAND [ARG...]]...
 *
 * Called by another name ("true"), that name is the command. The exit status is that of the last
 * command; a system call that fails prints its errno name, e.g. "mount: EPERM".
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/audit.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/personality.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

static int fail(const char *what)
{
	printf("%s: %s\n", what, strerrorname_np(errno));
	return 1;
}

/* "name: ok" or "name: EPERM" for the result of a call. */
static int say(const char *name, long r)
{
	if (r < 0)
		return fail(name);
	printf("%s: ok\n", name);
	return 0;
}

static int do_true(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	return 0;
}

static int do_false(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	return 1;
}

static int do_exit(int argc, char **argv)
{
	exit(argc > 1 ? (int)strtol(argv[1], NULL, 10) : 0);
}

static int do_kill(int argc, char **argv)
{
	/* A first process of a pid namespace does not hear itself: a fault does it. */
	(void)argc;
	(void)argv;
	__builtin_trap();
}

static int do_echo(int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		printf("%s%s", i > 1 ? " " : "", argv[i]);
	putchar('\n');
	return 0;
}

static int do_env(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	for (char **e = environ; *e; e++)
		puts(*e);
	return 0;
}

static int do_cwd(int argc, char **argv)
{
	char buf[4096];

	(void)argc;
	(void)argv;
	if (!getcwd(buf, sizeof(buf)))
		return fail("getcwd");
	puts(buf);
	return 0;
}

static int do_ids(int argc, char **argv)
{
	gid_t groups[64];
	int n = getgroups(64, groups);

	(void)argc;
	(void)argv;
	printf("uid=%u gid=%u groups=", getuid(), getgid());
	for (int i = 0; i < n; i++)
		printf("%s%u", i ? "," : "", groups[i]);
	putchar('\n');
	return 0;
}

/* Lines of /proc/self/status that begin with one of the arguments. */
static int do_status(int argc, char **argv)
{
	char line[512];
	FILE *f = fopen("/proc/self/status", "re");

	if (!f)
		return fail("/proc/self/status");
	while (fgets(line, sizeof(line), f))
		for (int i = 1; i < argc; i++)
			if (strncmp(line, argv[i], strlen(argv[i])) == 0)
				fputs(line, stdout);
	(void)fclose(f);
	return 0;
}

/* Open descriptors, without the one that lists them. */
static int do_fds(int argc, char **argv)
{
	DIR *d = opendir("/proc/self/fd");
	struct dirent *e;

	(void)argc;
	(void)argv;
	if (!d)
		return fail("/proc/self/fd");
	while ((e = readdir(d)))
		if (e->d_name[0] != '.' && strtol(e->d_name, NULL, 10) != dirfd(d))
			printf("%s ", e->d_name);
	putchar('\n');
	(void)closedir(d);
	return 0;
}

static int do_process(int argc, char **argv)
{
	mode_t mask = umask(0);
	sigset_t set;
	int ignored = 0, blocked = 0;

	(void)argc;
	(void)argv;
	(void)umask(mask);
	(void)sigprocmask(SIG_BLOCK, NULL, &set);
	for (int s = 1; s < NSIG; s++) {
		struct sigaction sa = {0};

		blocked += sigismember(&set, s) == 1;
		ignored += sigaction(s, NULL, &sa) == 0 && sa.sa_handler == SIG_IGN;
	}
	printf("pid=%d ppid=%d sid=%d umask=%03o blocked=%d ignored=%d\n", getpid(), getppid(),
	       getsid(0), mask, blocked, ignored);
	return 0;
}

static int do_hostname(int argc, char **argv)
{
	struct utsname u;

	(void)argc;
	(void)argv;
	(void)uname(&u);
	puts(u.nodename);
	return 0;
}

static int do_cat(int argc, char **argv)
{
	char buf[65536];
	int bad = 0;

	for (int i = 1; i < argc; i++) {
		int fd = open(argv[i], O_RDONLY | O_CLOEXEC | O_NONBLOCK);
		ssize_t n;

		if (fd < 0) {
			bad = fail(argv[i]);
			continue;
		}
		while ((n = read(fd, buf, sizeof(buf))) > 0)
			(void)fwrite(buf, 1, (size_t)n, stdout);
		if (n < 0)
			bad = fail(argv[i]);
		(void)close(fd);
	}
	return bad;
}

static int do_ls(int argc, char **argv)
{
	struct dirent **list;
	int n = scandir(argc > 1 ? argv[1] : ".", &list, NULL, alphasort);

	if (n < 0)
		return fail(argc > 1 ? argv[1] : ".");
	for (int i = 0; i < n; i++)
		if (strcmp(list[i]->d_name, ".") != 0 && strcmp(list[i]->d_name, "..") != 0)
			printf("%s ", list[i]->d_name);
	putchar('\n');
	return 0;
}

/* "c 666 0:0 1:3 /dev/null" */
static int do_stat(int argc, char **argv)
{
	static const char types[] = "?pc?d?b?-?l?s???";
	struct stat st;
	int bad = 0;

	for (int i = 1; i < argc; i++) {
		if (lstat(argv[i], &st) < 0)
			bad = fail(argv[i]);
		else
			printf("%c %o %u:%u %u:%u %s\n", types[(st.st_mode & S_IFMT) >> 12],
			       st.st_mode & 07777, st.st_uid, st.st_gid, major(st.st_rdev),
			       minor(st.st_rdev), argv[i]);
	}
	return bad;
}

/* write FILE TEXT */
static int do_write(int argc, char **argv)
{
	int fd = argc > 2 ? open(argv[1], O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666) : -1;

	if (fd < 0 || write(fd, argv[2], strlen(argv[2])) < 0)
		return fail(argc > 1 ? argv[1] : "write");
	return close(fd);
}

static int do_mkdir(int argc, char **argv)
{
	return argc > 1 && mkdir(argv[1], 0777) < 0 ? fail(argv[1]) : 0;
}

static int do_rm(int argc, char **argv)
{
	return argc > 1 && remove(argv[1]) < 0 ? fail(argv[1]) : 0;
}

static int do_rename(int argc, char **argv)
{
	return argc > 2 && rename(argv[1], argv[2]) < 0 ? fail(argv[1]) : 0;
}

static int do_symlink(int argc, char **argv)
{
	return argc > 2 && symlink(argv[1], argv[2]) < 0 ? fail(argv[2]) : 0;
}

static int do_chown(int argc, char **argv)
{
	if (argc < 4)
		return 1;
	return say("chown", lchown(argv[3], (uid_t)strtoul(argv[1], NULL, 10),
				   (gid_t)strtoul(argv[2], NULL, 10)));
}

/* setxattr FILE NAME VALUE */
static int do_setxattr(int argc, char **argv)
{
	if (argc < 4)
		return 1;
	return say(argv[2], lsetxattr(argv[1], argv[2], argv[3], strlen(argv[3]), 0));
}

/* mknod FILE MAJOR MINOR: a character device */
static int do_mknod(int argc, char **argv)
{
	if (argc < 4)
		return 1;
	return say("mknod", mknod(argv[1], S_IFCHR | 0666,
				  makedev((unsigned)strtoul(argv[2], NULL, 10),
					  (unsigned)strtoul(argv[3], NULL, 10))));
}

static int do_sleep(int argc, char **argv)
{
	(void)sleep(argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 1);
	return 0;
}

/* Leaves a process behind that would write FILE after a second. */
static int do_orphan(int argc, char **argv)
{
	if (fork() == 0) {
		(void)sleep(1);
		_exit(do_write(argc, argv));
	}
	return 0;
}

/* Takes and touches N MiB. */
static int do_alloc(int argc, char **argv)
{
	size_t mib = argc > 1 ? strtoul(argv[1], NULL, 10) : 1;

	for (size_t i = 0; i < mib; i++) {
		char *p = malloc(1 << 20);

		if (!p)
			return fail("malloc");
		memset(p, (int)i | 1, 1 << 20);
	}
	puts("allocated");
	return 0;
}

static int do_exec(int argc, char **argv)
{
	if (argc > 1)
		(void)execv(argv[1], argv + 1);
	return fail(argc > 1 ? argv[1] : "exec");
}

/* --- system calls that a step may or may not make --- */

static long try_mount(void)
{
	return mount("t", "/", "tmpfs", 0, NULL);
}

static long try_umount(void)
{
	return umount2("/proc", MNT_DETACH);
}

static long try_unshare(void)
{
	return unshare(CLONE_NEWUSER);
}

static long try_clone_newns(void)
{
	long r = syscall(SYS_clone, CLONE_NEWNS | SIGCHLD, NULL, NULL, NULL, NULL);

	if (r == 0)
		_exit(0);
	return r;
}

static long try_clone3(void)
{
	return syscall(435, NULL, 0);
}

static long try_fork(void)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(0);
	return pid < 0 ? -1 : waitpid(pid, NULL, 0);
}

static long try_fsopen(void)
{
	return syscall(430, "tmpfs", 0);
}

static long try_bpf(void)
{
	return syscall(SYS_bpf, 0, NULL, 0);
}

static long try_keyctl(void)
{
	return syscall(SYS_keyctl, 0, 0, 0, 0, 0);
}

static long try_io_uring(void)
{
	return syscall(425, 1, NULL);
}

static long try_kexec(void)
{
	return syscall(SYS_kexec_load, 0, 0, NULL, 0);
}

static long try_sethostname(void)
{
	return sethostname("x", 1);
}

static long try_af_alg(void)
{
	return socket(38, SOCK_SEQPACKET, 0);
}

/* The kernel sees family 38, a careless filter a huge number. */
static long try_af_alg_high(void)
{
	return syscall(SYS_socket, 0x100000000l + 38, SOCK_SEQPACKET, 0);
}

static long try_af_vsock(void)
{
	return socket(40, SOCK_STREAM, 0);
}

static long try_af_inet(void)
{
	return socket(AF_INET, SOCK_STREAM, 0);
}

static long try_af_unix(void)
{
	return socket(AF_UNIX, SOCK_STREAM, 0);
}

static long try_netlink(void)
{
	return socket(AF_NETLINK, SOCK_RAW, 0);
}

static long try_personality(void)
{
	return personality(ADDR_NO_RANDOMIZE);
}

static long try_personality_query(void)
{
	return personality(0xffffffff);
}

static long try_chroot(void)
{
	return chroot("/");
}

static long try_ptrace(void)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0);
	int status = 0;
	(void)waitpid(pid, &status, 0);
	errno = EPERM;
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -1;
}

static long try_mkfifo(void)
{
	(void)unlink("/fifo");
	return mkfifo("/fifo", 0600);
}

static long try_mknod(void)
{
	return mknod("/device", S_IFCHR | 0600, makedev(1, 3));
}

static long try_setuid(void)
{
	return setuid(0);
}

static long try_setgroups(void)
{
	return setgroups(0, NULL);
}

static long try_fchmodat2(void)
{
	return syscall(452, AT_FDCWD, "/", 0755, 0);
}

static long try_statmount(void)
{
	return syscall(457, NULL, NULL, 0, 0);
}

static long try_future(void)
{
	return syscall(600);
}

static long try_sysctl(void)
{
	int fd = open("/proc/sys/kernel/core_pattern", O_WRONLY | O_CLOEXEC);

	return fd < 0 ? -1 : write(fd, "x", 1);
}

static long try_sysrq(void)
{
	return open("/proc/sysrq-trigger", O_WRONLY | O_CLOEXEC);
}

static long try_sys_write(void)
{
	return mkdir("/sys/x", 0700);
}

static long try_cgroup(void)
{
	return mkdir("/sys/fs/cgroup/x", 0700);
}

static long try_hosts(void)
{
	return open("/etc/hosts", O_WRONLY | O_CLOEXEC);
}

#ifdef __x86_64__
/* The same calls by the doors that a filter tends to forget (threats S26, S46). */
static long x32(long nr, long a, long b, long c)
{
	return syscall(0x40000000 | nr, a, b, c);
}

static long int80(long nr, long a, long b, long c)
{
	long r;

	__asm__ volatile("int $0x80"
			 : "=a"(r)
			 : "a"(nr), "b"(a), "c"(b), "d"(c)
			 : "memory", "r8", "r9", "r10", "r11");
	r = (int)r;
	if (r < 0)
		errno = (int)-r;
	return r < 0 ? -1 : r;
}

static long try_x32_unshare(void)
{
	return x32(SYS_unshare, CLONE_NEWUSER, 0, 0);
}

static long try_x32_getpid(void)
{
	return x32(SYS_getpid, 0, 0, 0);
}

static long try_i386_getpid(void)
{
	return int80(20, 0, 0, 0);
}

static long try_i386_unshare(void)
{
	return int80(310, CLONE_NEWUSER, 0, 0);
}

static long try_i386_mount(void)
{
	return int80(21, 0, 0, 0);
}

static long try_i386_socketcall(void)
{
	return int80(102, 1, 0, 0);
}

static long try_i386_af_alg(void)
{
	return int80(359, 38, SOCK_SEQPACKET, 0);
}

static long try_i386_af_inet(void)
{
	return int80(359, AF_INET, SOCK_STREAM, 0);
}
#endif

static const struct {
	const char *name;
	long (*fn)(void);
} calls[] = {
	{"mount", try_mount},
	{"umount", try_umount},
	{"unshare", try_unshare},
	{"clone-newns", try_clone_newns},
	{"clone3", try_clone3},
	{"fork", try_fork},
	{"fsopen", try_fsopen},
	{"bpf", try_bpf},
	{"keyctl", try_keyctl},
	{"io_uring", try_io_uring},
	{"kexec", try_kexec},
	{"sethostname", try_sethostname},
	{"af_alg", try_af_alg},
	{"af_alg-high", try_af_alg_high},
	{"af_vsock", try_af_vsock},
	{"af_inet", try_af_inet},
	{"af_unix", try_af_unix},
	{"netlink", try_netlink},
	{"personality", try_personality},
	{"personality-query", try_personality_query},
	{"chroot", try_chroot},
	{"ptrace", try_ptrace},
	{"mkfifo", try_mkfifo},
	{"mknod", try_mknod},
	{"setuid", try_setuid},
	{"setgroups", try_setgroups},
	{"fchmodat2", try_fchmodat2},
	{"statmount", try_statmount},
	{"future", try_future},
	{"sysctl", try_sysctl},
	{"sysrq", try_sysrq},
	{"sys-write", try_sys_write},
	{"cgroup", try_cgroup},
	{"hosts", try_hosts},
#ifdef __x86_64__
	{"x32-unshare", try_x32_unshare},
	{"x32-getpid", try_x32_getpid},
	{"i386-getpid", try_i386_getpid},
	{"i386-unshare", try_i386_unshare},
	{"i386-mount", try_i386_mount},
	{"i386-socketcall", try_i386_socketcall},
	{"i386-af_alg", try_i386_af_alg},
	{"i386-af_inet", try_i386_af_inet},
#endif
};

/* try NAME...: each call, each with its result. */
static int do_try(int argc, char **argv)
{
	int bad = 0;

	for (int i = 1; i < argc; i++)
		for (size_t k = 0; k < sizeof(calls) / sizeof(calls[0]); k++)
			if (strcmp(argv[i], calls[k].name) == 0)
				bad |= say(calls[k].name, calls[k].fn());
	return bad;
}

/* Whether an abstract socket of that name answers (threats S44). */
static int do_connect(int argc, char **argv)
{
	struct sockaddr sa = {.sa_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	size_t n = argc > 1 ? strlen(argv[1]) : 0;

	if (fd < 0 || n + 1 > sizeof(sa.sa_data))
		return fail("socket");
	memcpy(sa.sa_data + 1, argv[1], n);
	return say("connect", connect(fd, &sa, (socklen_t)(sizeof(sa.sa_family) + 1 + n)));
}

static const struct {
	const char *name;
	int (*fn)(int argc, char **argv);
} commands[] = {
	{"true", do_true},         {"false", do_false},     {"exit", do_exit},
	{"kill", do_kill},         {"echo", do_echo},       {"env", do_env},
	{"cwd", do_cwd},           {"ids", do_ids},         {"status", do_status},
	{"fds", do_fds},           {"process", do_process}, {"hostname", do_hostname},
	{"cat", do_cat},           {"ls", do_ls},           {"stat", do_stat},
	{"write", do_write},       {"mkdir", do_mkdir},     {"rm", do_rm},
	{"rename", do_rename},     {"symlink", do_symlink}, {"chown", do_chown},
	{"setxattr", do_setxattr}, {"mknod", do_mknod},     {"sleep", do_sleep},
	{"orphan", do_orphan},     {"alloc", do_alloc},     {"exec", do_exec},
	{"try", do_try},           {"connect", do_connect},
};

static int run(int argc, char **argv)
{
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		if (argc > 0 && strcmp(argv[0], commands[i].name) == 0)
			return commands[i].fn(argc, argv);
	printf("init: unknown command %s\n", argc > 0 ? argv[0] : "(none)");
	return 2;
}

int main(int argc, char **argv)
{
	const char *slash = strrchr(argv[0], '/'), *name = slash ? slash + 1 : argv[0];
	int status = 0;

	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		if (strcmp(name, commands[i].name) == 0)
			return commands[i].fn(argc, argv);
	for (int from = 1, to; from < argc; from = to + 1) {
		for (to = from; to < argc && strcmp(argv[to], "+") != 0; to++)
			;
		/* argv of one command ends where the next begins */
		if (to < argc)
			argv[to] = NULL;
		status = run(to - from, argv + from);
		(void)fflush(stdout);
	}
	return status;
}
