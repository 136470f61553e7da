// SPDX-License-Identifier: Apache-2.0
/*
 * Whose identity it is: threads, children of all kinds, programs with set-id bits and capabilities,
 * peers of sockets, calls broken off by signals, the entry points of 32 bits.
 */
#include <dirent.h>
#include <pthread.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/xattr.h>

#include "calls.h"

static char self_path[256];

static void touch(const char *path)
{
	int fd = (int)CALL(SYS_openat, AT_FDCWD, path, O_CREAT | O_EXCL | O_WRONLY, 0644);

	must(fd >= 0, path);
	(void)close(fd);
}

/* --- threads ------------------------------------------------------------------------------- */

enum { THREADS = 4, ROUNDS = 50 };

static pthread_barrier_t together;

/* Each has a user of its own, and so have its children; raw calls change the thread alone. */
static void *thread_with_user(void *arg)
{
	unsigned n = (unsigned)(uintptr_t)arg;
	char path[64];
	uintptr_t wrong = 0;

	(void)syscall(SYS_setfsuid, 1000 + n);
	(void)syscall(SYS_setresgid, -1, 2000 + n, -1);
	(void)pthread_barrier_wait(&together);
	for (unsigned i = 0; i < ROUNDS; i++) {
		struct stat st;
		int status = 0;

		(void)snprintf(path, sizeof(path), "threads/%u-%u", n, i);
		wrong += closed(CALL(SYS_openat, AT_FDCWD, path, O_CREAT | O_EXCL | O_WRONLY,
				     0644)) != 0;
		wrong += stat(path, &st) != 0 || st.st_uid != 1000 + n || st.st_gid != 2000 + n;
		pid_t pid = i % 10 ? 0 : fork();
		if (i % 10 == 0 && pid == 0) {
			(void)snprintf(path, sizeof(path), "threads/%u-%u-child", n, i);
			_exit(mkdir(path, 0755) != 0 || stat(path, &st) != 0 ||
			      st.st_uid != 1000 + n || st.st_gid != 2000 + n);
		}
		if (pid)
			wrong += waitpid(pid, &status, 0) != pid || status != 0;
	}
	wrong += (unsigned)syscall(SYS_setfsuid, -1) != 1000 + n;
	return (void *)wrong;
}

static void test_threads(void)
{
	pthread_t threads[THREADS];

	make_dir("threads", 0777, 0, 0);
	must(pthread_barrier_init(&together, NULL, THREADS) == 0, "barrier");
	for (uintptr_t i = 0; i < THREADS; i++)
		must(pthread_create(&threads[i], NULL, thread_with_user, (void *)i) == 0, "thread");
	for (int i = 0; i < THREADS; i++) {
		void *wrong;

		must(pthread_join(threads[i], &wrong) == 0, "join");
		note("thread %d: %lu wrong", i, (unsigned long)(uintptr_t)wrong);
	}
	say_identity("the first thread is as it was");
}

static void *thread_makes_file(void *arg)
{
	touch(arg);
	return NULL;
}

/* The C library changes all threads; a new thread is what its maker is. */
static void test_all_threads(void)
{
	static char before[] = "before", after[] = "after";
	pthread_t t;

	make_dir("d", 0777, 0, 0);
	must(chdir("d") == 0, "chdir");
	(void)syscall(SYS_setfsuid, 42);
	must(pthread_create(&t, NULL, thread_makes_file, before) == 0 && pthread_join(t, NULL) == 0,
	     "thread");
	look("made by a thread of fsuid 42", "before");
	must(setresgid(7, 7, 7) == 0 && setresuid(6, 6, 6) == 0, "setresuid");
	must(pthread_create(&t, NULL, thread_makes_file, after) == 0 && pthread_join(t, NULL) == 0,
	     "thread");
	look("made by a thread of a user", "after");
}

/* --- children ------------------------------------------------------------------------------ */

static void wait_for_path(const char *path)
{
	struct stat st;

	for (int i = 0; i < 5000 && lstat(path, &st) < 0; i++)
		(void)usleep(1000);
	look(path, path);
}

/* A daemon: the parent and the parent's parent are gone before the first call that counts. */
static void daemonize(bool change_last)
{
	pid_t pid = fork();

	must(pid >= 0, "fork");
	if (pid) {
		must(waitpid(pid, NULL, 0) == pid, "wait");
		return;
	}
	if (!change_last)
		become(1234, 4321);
	(void)setsid();
	pid = fork();
	if (pid)
		_exit(0);
	(void)usleep(100000);
	if (change_last)
		become(1234, 4321);
	pid = fork();
	if (pid)
		_exit(0);
	(void)usleep(100000);
	(void)mkdir(change_last ? "daemon-late" : "daemon-early", 0755);
	_exit(0);
}

static int clone_child(void *arg)
{
	touch(arg);
	return 0;
}

static void test_children(void)
{
	static char stack[65536] __attribute__((aligned(16)));
	static char by_clone[] = "by-clone";
	char arg[] = "by-spawn";
	int status;

	make_dir("d", 0777, 0, 0);
	must(chdir("d") == 0, "chdir");
	daemonize(false);
	daemonize(true);
	wait_for_path("daemon-early");
	wait_for_path("daemon-late");
	(void)fflush(stdout);
	if (fork() == 0) {
		become(55, 66);
		pid_t pid = vfork();
		if (pid == 0) {
			execl(self_path, "calls-tasks", "touch", arg, (char *)NULL);
			_exit(1);
		}
		must(waitpid(pid, &status, 0) == pid && status == 0, "vfork");
		pid = clone(clone_child, stack + sizeof(stack), CLONE_VM | CLONE_FILES | SIGCHLD,
			    by_clone);
		must(waitpid(pid, &status, 0) == pid && status == 0, "clone");
		_exit(0);
	}
	must(wait(&status) > 0 && status == 0, "child");
	look(arg, arg);
	look(by_clone, by_clone);
}

/* Nothing of a process may be found in the next one with its number. */
static void test_many_children(void)
{
	struct stat st;
	unsigned wrong = 0;
	char path[32];
	int status;

	make_dir("d", 0777, 0, 0);
	for (unsigned i = 0; i < 300; i++) {
		(void)snprintf(path, sizeof(path), "d/%u", i);
		pid_t pid = fork();
		if (pid == 0) {
			if (i % 3 == 0)
				become(1000 + i, 2000 + i);
			if (i % 3 == 2)
				(void)syscall(SYS_setfsuid, 3000 + i);
			_exit(closed(CALL(SYS_openat, AT_FDCWD, path, O_CREAT | O_EXCL | O_WRONLY,
					  0644)) != 0);
		}
		wrong += waitpid(pid, &status, 0) != pid || status != 0;
		uid_t want = i % 3 == 0 ? 1000 + i : i % 3 == 1 ? 0 : 3000 + i;
		wrong += stat(path, &st) != 0 || st.st_uid != want ||
			 st.st_gid != (i % 3 ? 0 : 2000 + i);
	}
	note("children with another's identity: %u", wrong);
}

/* --- programs ------------------------------------------------------------------------------ */

static void copy_self(const char *path, uid_t uid, gid_t gid, mode_t mode, bool caps)
{
	char buf[65536];
	int in = open(self_path, O_RDONLY), out = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
	ssize_t n;

	must(in >= 0 && out >= 0, path);
	while ((n = read(in, buf, sizeof(buf))) > 0)
		must(write(out, buf, (size_t)n) == n, "write");
	must(close(in) == 0 && close(out) == 0, path);
	own(path, uid, gid);
	must(chmod(path, mode) == 0, path);
	if (caps) /* chown and net_raw, effective */
		must(setxattr(path, "security.capability",
			      "\1\0\0\2\1\40\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 20, 0) == 0,
		     path);
}

static const struct {
	const char *name;
	uid_t uid;
	gid_t gid;
	mode_t mode;
	bool caps;
} programs[] = {
	{"plain", 0, 0, 0755, false},
	{"set-uid-root", 0, 0, 04755, false},
	{"set-uid-user", 77, 88, 04755, false},
	{"set-gid", 77, 88, 02755, false},
	{"set-gid-not-exec", 77, 88, 02745, false},
	{"both", 77, 88, 06755, false},
	{"capabilities", 0, 0, 0755, true},
	{"set-uid-and-caps", 77, 88, 04755, true},
	{"not-exec", 0, 0, 0644, false},
	{"for-its-group", 77, 88, 0750, false},
};

static const char *program;
static int caller;

static void run_program(void)
{
	char path[64], what[64];

	(void)snprintf(path, sizeof(path), "/w/%s", program);
	(void)snprintf(what, sizeof(what), "%s, caller %d", program, caller);
	switch (caller) {
	case 0:
		break;
	case 1:
		become(1000, 1000);
		break;
	case 2: /* root in reserve */
		must(set_resuid(1000, 1000, 0) == 0, "setresuid");
		break;
	case 3: /* effective root for a user */
		must(set_resuid(1000, 0, 0) == 0, "setresuid");
		break;
	case 4:
		must(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0, "no_new_privs");
		become(1000, 1000);
		break;
	case 5:
		must(prctl(PR_SET_KEEPCAPS, 1) == 0 && set_resuid(1000, 1000, 1000) == 0,
		     "keepcaps");
		break;
	case 6:
		(void)syscall(SYS_setfsuid, 1000);
		(void)syscall(SYS_setfsgid, 1000);
		break;
	default:
		must(set_caps(0, 0, 1ull << CAP_CHOWN) == 0, "capset");
	}
	(void)fflush(stdout);
	execl(path, "calls-tasks", "identity", what, (char *)NULL);
	say(what, -errno);
}

static void test_programs(void)
{
	for (size_t i = 0; i < COUNT(programs); i++) {
		char path[64];

		(void)snprintf(path, sizeof(path), "/w/%s", programs[i].name);
		copy_self(path, programs[i].uid, programs[i].gid, programs[i].mode,
			  programs[i].caps);
		program = programs[i].name;
		for (caller = 0; caller < 8; caller++)
			in_child(run_program);
	}
}

static void run_script(void)
{
	become(1000, 1000);
	execl("script", "script", (char *)NULL);
	say("script", -errno);
}

static void run_by_descriptor(void)
{
	int fd = open("/w/suid", O_PATH);
	char *argv[] = {(char[]){"calls-tasks"}, (char[]){"identity"}, (char[]){"by descriptor"},
			NULL},
	     *none[] = {NULL};

	become(1000, 1000);
	(void)syscall(SYS_execveat, fd, "", argv, none, AT_EMPTY_PATH);
	say("execveat", -errno);
}

static void run_by_link(void)
{
	become(1000, 1000);
	(void)fflush(stdout);
	execl("/w/link/../suid-link", "calls-tasks", "identity", "by link", (char *)NULL);
	say("link", -errno);
}

static void run_in_closed(void)
{
	become(1000, 1000);
	say("plain: in a closed directory",
	    (execl("/w/closed/suid", "x", "identity", "plain: in a closed directory", (char *)NULL),
	     -errno));
}

static void run_wrong(void)
{
	become(1000, 1000);
	say("none", (execl("/w/none", "x", (char *)NULL), -errno));
	say("a directory", (execl("/w", "x", (char *)NULL), -errno));
	say("under a file", (execl("/w/suid/x", "x", (char *)NULL), -errno));
	say("nowhere", CALL(SYS_execve, 1, NULL, NULL));
	say("arguments nowhere", CALL(SYS_execve, "/w/suid", 1, NULL));
	say("a name too long", CALL(SYS_execve, memset(calloc(1, 5000), 'x', 4999), NULL, NULL));
}

static void test_more_programs(void)
{
	copy_self("/w/suid", 77, 88, 06755, false);
	put("script", "#!/w/suid identity\n", 06755);
	own("script", 5, 6);
	must(chmod("script", 06755) == 0 && mkdir("link", 0755) == 0 &&
		     symlink("suid", "suid-link") == 0,
	     "links");
	make_dir("closed", 0700, 0, 0);
	copy_self("/w/closed/suid", 77, 88, 06755, false);
	in_child(run_script);
	in_child(run_by_descriptor);
	in_child(run_by_link);
	in_child(run_wrong);
	in_child(run_in_closed);
}

/* --- peers --------------------------------------------------------------------------------- */

static void say_peer(const char *what, int fd)
{
	struct ucred c = {0};
	socklen_t n = sizeof(c);
	long r = raw(getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &c, &n));

	if (r < 0)
		say(what, r);
	else
		note("%s: %u:%u, %u bytes", what, c.uid, c.gid, n);
}

static void connect_as_user(void)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX, .sun_path = "socket"};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	char c;

	become(1000, 2000);
	must(connect(fd, (const struct sockaddr *)&a, sizeof(a)) == 0, "connect");
	say_peer("the listener as its client sees it", fd);
	must(write(fd, "x", 1) == 1 && read(fd, &c, 1) == 0, "read");
}

static void test_peers(void)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX, .sun_path = "socket"};
	int listener = socket(AF_UNIX, SOCK_STREAM, 0), pair[2], fd;
	struct ucred c;
	socklen_t n = 4;

	must(bind(listener, (const struct sockaddr *)&a, sizeof(a)) == 0 &&
		     chmod("socket", 0666) == 0,
	     "bind");
	look("socket", "socket");
	must(set_resgid(-1, 8, -1) == 0 && set_resuid(-1, 7, -1) == 0 && listen(listener, 5) == 0 &&
		     set_resuid(-1, 0, -1) == 0 && set_resgid(-1, 0, -1) == 0,
	     "listen");
	(void)fflush(stdout);
	if (fork() == 0) {
		connect_as_user();
		_exit(0);
	}
	fd = accept(listener, NULL, NULL);
	must(read(fd, &c, 1) == 1, "read"); /* the client has said its line */
	say_peer("the client as the listener sees it", fd);
	(void)close(fd);
	(void)wait(NULL);
	must(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0, "socketpair");
	say_peer("a pair", pair[0]);
	say("too short", raw(getsockopt(pair[0], SOL_SOCKET, SO_PEERCRED, &c, &n)));
	note("%u bytes of it", n);
	say_peer("not a socket", STDOUT_FILENO);
	fd = socket(AF_INET, SOCK_STREAM, 0);
	n = sizeof(c);
	must(getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &c, &n) == 0, "getsockopt");
	note("of the network: %d %d", (int)c.uid, (int)c.gid);
	say("nowhere", CALL(SYS_getsockopt, pair[0], SOL_SOCKET, SO_PEERCRED, 1, 1));
}

/* Credentials in a message are the sender's: those that the kernel takes on its own account, and
 * those that the sender may name. */
static void receive(const char *what, int fd)
{
	char data[8], control[CMSG_SPACE(sizeof(struct ucred))];
	struct iovec iov = {data, sizeof(data)};
	struct msghdr m = {.msg_iov = &iov,
			   .msg_iovlen = 1,
			   .msg_control = control,
			   .msg_controllen = sizeof(control)};
	struct ucred c;

	if (recvmsg(fd, &m, MSG_DONTWAIT) <= 0 || !CMSG_FIRSTHDR(&m)) {
		note("%s: nothing came", what);
		return;
	}
	memcpy(&c, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof(c));
	note("%s: %u:%u", what, c.uid, c.gid);
}

static int message_fds[2];

static void send_as_user(void)
{
	struct {
		struct cmsghdr head;
		struct ucred c;
	} control = {
		.head = {CMSG_LEN(sizeof(struct ucred)), SOL_SOCKET, SCM_CREDENTIALS},
		.c = {.pid = getpid(), .uid = 1000, .gid = 2000},
	};
	char text[] = "x";
	struct iovec iov = {text, 1};
	struct msghdr m = {.msg_iov = &iov,
			   .msg_iovlen = 1,
			   .msg_control = &control,
			   .msg_controllen = sizeof(control)};

	become(1000, 2000);
	must(send(message_fds[0], "x", 1, 0) == 1, "send");
	say("message: with its own ids", raw(sendmsg(message_fds[0], &m, 0)) > 0 ? 0 : -errno);
	control.c.uid = 0;
	say("message: with root's", raw(sendmsg(message_fds[0], &m, 0)) > 0 ? 0 : -errno);
}

static void test_messages(void)
{
	int on = 1;

	must(socketpair(AF_UNIX, SOCK_DGRAM, 0, message_fds) == 0 &&
		     setsockopt(message_fds[1], SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)) == 0,
	     "socketpair");
	in_child(send_as_user);
	receive("message: sender of a plain message", message_fds[1]);
	receive("message: sender of one with ids", message_fds[1]);
}

/* --- signals ------------------------------------------------------------------------------- */

static volatile sig_atomic_t alarms;

static void on_alarm(int sig)
{
	(void)sig;
	alarms++;
}

static unsigned interrupted, errors;

/* Begun anew by hand, a call may not find its own work (EEXIST, ENOENT). */
#define AGAIN(...)                                                                                 \
	do {                                                                                       \
		long again_r;                                                                      \
		while ((again_r = (__VA_ARGS__)) == -EINTR)                                        \
			interrupted++;                                                             \
		if (again_r < 0 && errors++ < 5)                                                   \
			say("a spurious error of " #__VA_ARGS__, again_r);                         \
	} while (0)

static void call_much(unsigned i)
{
	static const char *const paths[] = {"d/b", "d/c", "d/link", "d/null"};
	struct stat st = {0};

	AGAIN(closed(CALL(SYS_openat, AT_FDCWD, "d/a", O_CREAT | O_EXCL | O_RDWR, 0600)));
	AGAIN(CALL(SYS_fchownat, AT_FDCWD, "d/a", 5 + i, 6, 0));
	AGAIN(CALL(SYS_mkdirat, AT_FDCWD, "d/dir", 0700));
	AGAIN(CALL(SYS_renameat2, AT_FDCWD, "d/a", AT_FDCWD, "d/b", 1));
	AGAIN(CALL(SYS_linkat, AT_FDCWD, "d/b", AT_FDCWD, "d/c", 0));
	AGAIN(CALL(SYS_symlinkat, "to", AT_FDCWD, "d/link"));
	AGAIN(CALL(SYS_mknodat, AT_FDCWD, "d/null", S_IFCHR | 0600, makedev(1, 3)));
	AGAIN(CALL(SYS_newfstatat, AT_FDCWD, "d/c", &st, 0));
	errors += st.st_uid != 5 + i || st.st_nlink != 2;
	AGAIN(CALL(SYS_setxattr, "d/c", "user.x", "v", 1, 1));
	AGAIN(CALL(SYS_removexattr, "d/c", "user.x"));
	AGAIN(CALL(SYS_setresuid, i + 1, 0, 0));
	AGAIN(CALL(SYS_setresuid, 0, 0, 0));
	for (size_t j = 0; j < COUNT(paths); j++)
		AGAIN(CALL(SYS_unlinkat, AT_FDCWD, paths[j], 0));
	AGAIN(CALL(SYS_unlinkat, AT_FDCWD, "d/dir", AT_REMOVEDIR));
}

/* A handler without SA_RESTART every millisecond: none of these calls ever says EINTR. */
static void test_signals(void)
{
	struct sigaction sa = {.sa_handler = on_alarm};
	struct itimerval often = {{0, 1000}, {0, 1000}}, never = {{0, 0}, {0, 0}};

	make_dir("d", 0777, 0, 0);
	must(sigaction(SIGALRM, &sa, NULL) == 0 && setitimer(ITIMER_REAL, &often, NULL) == 0,
	     "timer");
	for (unsigned i = 0; i < 200 || alarms < 20; i++)
		call_much(i);
	must(setitimer(ITIMER_REAL, &never, NULL) == 0, "timer");
	note("signals: %u errors", errors);
	note("signals: %u calls interrupted", interrupted);
}

static void wait_for_reader(void)
{
	struct sigaction sa = {.sa_handler = on_alarm};

	must(sigaction(SIGALRM, &sa, NULL) == 0, "sigaction");
	pid_t late = fork();
	if (late == 0) {
		(void)sleep(3);
		_exit(open("fifo", O_RDONLY) < 0);
	}
	(void)alarm(1);
	say("a FIFO nobody reads, broken off",
	    CALL(SYS_openat, AT_FDCWD, "fifo", O_WRONLY | O_CREAT, 0600));
	(void)kill(late, SIGKILL);
	(void)waitpid(late, NULL, 0);
	sa.sa_flags = SA_RESTART;
	must(sigaction(SIGALRM, &sa, NULL) == 0, "sigaction");
	pid_t pid = fork();
	if (pid == 0) {
		(void)usleep(300000);
		(void)kill(getppid(), SIGALRM);
		(void)usleep(100000);
		_exit(open("fifo", O_RDONLY | O_NONBLOCK) < 0 || usleep(100000) < 0);
	}
	say("a FIFO waited for again",
	    closed(CALL(SYS_openat, AT_FDCWD, "fifo", O_WRONLY | O_CREAT, 0600)));
	(void)waitpid(pid, NULL, 0);
}

/* Others go on while one waits: the supervisor must not wait with it. */
static void test_waiting(void)
{
	pid_t pid;

	must(mkfifo("fifo", 0600) == 0 && mkfifo("fifo2", 0600) == 0, "mkfifo");
	(void)fflush(stdout);
	pid = fork();
	if (pid == 0)
		_exit(closed(CALL(SYS_openat, AT_FDCWD, "fifo2", O_WRONLY | O_CREAT, 0600)) != 0);
	(void)usleep(100000);
	touch("meanwhile");
	own("meanwhile", 5, 6);
	look("meanwhile", "meanwhile");
	must(kill(pid, SIGKILL) == 0 && waitpid(pid, NULL, 0) == pid, "kill");
	in_child(wait_for_reader);
}

/* Killed in the middle of whatever it does, often. */
static void test_killed(void)
{
	make_dir("d", 0777, 0, 0);
	must(chdir("d") == 0, "chdir");
	for (int i = 0; i < 100; i++) {
		pid_t pid = fork();

		if (pid == 0)
			for (;;) {
				(void)closed(
					CALL(SYS_openat, AT_FDCWD, "f", O_CREAT | O_RDWR, 0600));
				(void)CALL(SYS_fchownat, AT_FDCWD, "f", 5, 6, 0);
				(void)CALL(SYS_unlinkat, AT_FDCWD, "f", 0);
			}
		(void)usleep((unsigned)(i * 37 % 2000));
		must(kill(pid, SIGKILL) == 0 && waitpid(pid, NULL, 0) == pid, "kill");
	}
	(void)unlink("f");
	touch("f");
	look("after many were killed", "f");
}

/* --- limits -------------------------------------------------------------------------------- */

/* No resource limit of its own is anybody's identity. */
static void test_limits(void)
{
	static const int limits[] = {
		RLIMIT_MEMLOCK, RLIMIT_NICE, RLIMIT_RTPRIO, RLIMIT_SIGPENDING, RLIMIT_MSGQUEUE,
		RLIMIT_CORE,    10 /* RLIMIT_LOCKS, without effect since Linux 2.4 */};
	struct rlimit l;
	char buf[1024], again[1024];

	make_dir("d", 0777, 0, 0);
	must(chdir("d") == 0 && set_groups(0, NULL) == 0 && set_resgid(3, 4, 5) == 0 &&
		     set_resuid(6, 7, 0) == 0,
	     "ids");
	(void)identity(buf, sizeof(buf));
	for (size_t i = 0; i < COUNT(limits); i++) {
		char path[16];

		must(getrlimit(limits[i], &l) == 0, "getrlimit");
		if (limits[i] == 10)
			note("locks are unlimited: %s",
			     l.rlim_cur == RLIM_INFINITY && l.rlim_max == RLIM_INFINITY ? "yes"
											: "no");
		l.rlim_cur = l.rlim_max < 1 ? 0 : 1;
		must(setrlimit(limits[i], &l) == 0, "setrlimit");
		must(CALL(SYS_prlimit64, 0, limits[i], &l, NULL) == 0, "prlimit");
		must(CALL(SYS_prlimit64, getpid(), limits[i], NULL, &l) == 0, "prlimit");
		if (limits[i] == 10)
			note("locks are now %llu", (unsigned long long)l.rlim_cur);
		(void)snprintf(path, sizeof(path), "%zu", i);
		touch(path);
		look(path, path);
	}
	l.rlim_cur = l.rlim_max = 2;
	must(setrlimit(10, &l) == 0, "setrlimit");
	(void)identity(again, sizeof(again));
	note("identity: %s", strcmp(buf, again) ? "changed" : "kept");
	pid_t pid = fork();
	if (pid == 0) {
		touch("child");
		_exit(0);
	}
	must(waitpid(pid, NULL, 0) == pid, "wait");
	look("child", "child");
	say("more than allowed", (l.rlim_max = 3, raw(setrlimit(10, &l))));
}

/* --- 32 bits ------------------------------------------------------------------------------- */

#ifdef __x86_64__
static long call_32(long nr, long a, long b, long c)
{
	long r;

	__asm__ volatile("int $0x80"
			 : "=a"(r)
			 : "a"(nr), "b"(a), "c"(b), "d"(c)
			 : "memory", "r8", "r9", "r10", "r11");
	return (int)r;
}

static long low(const char *text)
{
	static char *page;
	static size_t used;

	if (!page)
		page = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
	must(page != MAP_FAILED, "mmap");
	char *at = memcpy(page + used, text, strlen(text) + 1);
	used += strlen(text) + 1;
	return (long)at;
}

static void test_32(void)
{
	long probe = call_32(20, 0, 0, 0); /* getpid */
	uint32_t *ids = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);

	must(ids != MAP_FAILED, "mmap");
	note("32: there: %s", probe == getpid() ? "yes" : "no");
	say("32: open", closed(call_32(5, low("file"), O_CREAT | O_EXCL | O_WRONLY, 0644)));
	say("32: chown32", call_32(212, low("file"), 1000, 2000));
	look("32: file", "file");
	say("32: mkdir", call_32(39, low("dir"), 0755, 0));
	say("32: mknod", call_32(14, low("char"), S_IFCHR | 0600, (long)makedev(1, 3)));
	look("32: char", "char");
	say("32: chmod", call_32(15, low("file"), 04755, 0));
	look("32: file", "file");
	say("32: access", call_32(33, low("file"), X_OK, 0));
	say("32: setresuid32", call_32(208, 1000, 1001, 0));
	say("32: geteuid32", call_32(201, 0, 0, 0));
	say("32: getresuid32", call_32(209, (long)ids, (long)(ids + 1), (long)(ids + 2)));
	note("32: they are %u %u %u", ids[0], ids[1], ids[2]);
	say("32: setresuid32", call_32(208, 1000, 0, 0));
	ids[0] = 7;
	say("32: setgroups32", call_32(206, 1, (long)ids, 0));
	say("32: getgroups32", call_32(205, 0, 0, 0));
	say("32: rename", call_32(38, low("file"), low("file2"), 0));
	say("32: unlink", call_32(10, low("file2"), 0, 0));
	say("32: rmdir", call_32(40, low("dir"), 0, 0));
	say("32: symlink", call_32(83, low("to"), low("link"), 0));
	say("32: lchown32", call_32(198, low("link"), 3, 4));
	look("32: link", "link");
	say("32: 16 bits: lchown", call_32(16, low("link"), 5, 0xffff));
	look("32: 16 bits: link", "link");
	say("32: 16 bits: getuid", call_32(24, 0, 0, 0));
	say("32: setfsuid32", call_32(215, 9, 0, 0));
	say("32: and again", call_32(215, -1, 0, 0));
	say("32: setuid32", call_32(213, 9, 0, 0));
	say_identity("32: at last");
}
#endif

/* --- everything ---------------------------------------------------------------------------- */

static const struct call_test tests[] = {
	{"threads", test_threads},
	{"all-threads", test_all_threads},
	{"children", test_children},
	{"many-children", test_many_children},
	{"programs", test_programs},
	{"more-programs", test_more_programs},
	{"peers", test_peers},
	{"messages", test_messages},
	{"signals", test_signals},
	{"waiting", test_waiting},
	{"killed", test_killed},
	{"limits", test_limits},
#ifdef __x86_64__
	{"32", test_32},
#endif
};

int main(int argc, char **argv)
{
	ssize_t n = readlink("/proc/self/exe", self_path, sizeof(self_path) - 1);

	(void)setvbuf(stdout, NULL, _IOLBF, 0);
	self_path[n > 0 ? n : 0] = 0;
	(void)umask(022);
	if (argc > 1 && strcmp(argv[1], "identity") == 0) {
		say_identity(argc > 2 ? argv[2] : "script");
		return 0;
	}
	if (argc > 2 && strcmp(argv[1], "touch") == 0) {
		touch(argv[2]);
		return 0;
	}
	run_tests(tests, COUNT(tests), argc > 1 ? argv[1] : NULL);
	return 0;
}
