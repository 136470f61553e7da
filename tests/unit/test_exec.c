/* SPDX-License-Identifier: Apache-2.0 */
/* needs: userns overlay */
/* users: range single */
/*
 * Steps run with tests/helpers/init as the whole root file system. Everything happens inside one
 * user namespace, as in a build.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/sys.h"
#include "exec/exec-internal.h"
#include "tap.h"

static struct rb_host host;
static char work_dir[] = "/tmp/rbuild-test-exec-XXXXXX";
static char *init_path;
static const char *const plain_env[] = {"PATH=/bin:/usr/bin", NULL};

/* --- a root --- */

struct root {
	char *dir;    /* its directories below work_dir; owned */
	int lower_fd; /* the image */
	int fd;       /* detached overlay over it */
};

static int open_dir(const char *path)
{
	return open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static void write_at(int dirfd, const char *path, const char *text, mode_t mode)
{
	int fd = openat(dirfd, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);

	CHECK(fd >= 0);
	if (fd < 0)
		return;
	CHECK_INT(rb_write_full(fd, text, strlen(text)), 0);
	CHECK_INT(fchmod(fd, mode), 0);
	(void)close(fd);
}

/* "d PATH", "l PATH TARGET", "f PATH TEXT", "x PATH TEXT" (executable), "p PATH" (FIFO) */
static void add_entry(int dirfd, const char *entry)
{
	char path[256] = "", text[256] = "";

	(void)sscanf(entry + 2, "%255s %255[^\x01]", path, text);
	switch (entry[0]) {
	case 'd':
		CHECK_INT(rb_mkdirs_at(dirfd, path, 0755), 0);
		break;
	case 'l':
		CHECK_INT(symlinkat(text, dirfd, path), 0);
		break;
	case 'p':
		CHECK_INT(mkfifoat(dirfd, path, 0644), 0);
		break;
	default:
		write_at(dirfd, path, text, entry[0] == 'x' ? 0755 : 0644);
	}
}

static int overlay(const struct root *r)
{
	RB_CLEANUP(rb_closep) int fs = rb_sys_fsopen("overlay");
	static const char *const keys[][2] = {
		{"lowerdir", "lower"}, {"upperdir", "upper"}, {"workdir", "work"}};

	for (size_t i = 0; i < RB_ARRAY_LEN(keys); i++) {
		RB_CLEANUP(rb_strp) char *path = rb_asprintf("%s/%s", r->dir, keys[i][1]);

		CHECK_INT(rb_sys_fsconfig_str(fs, keys[i][0], path), 0);
	}
	CHECK_INT(rb_sys_fsconfig_flag(fs, "userxattr"), 0);
	CHECK_INT(rb_sys_fsconfig_create(fs), 0);
	return rb_sys_fsmount(fs, 0);
}

/* A root that holds /init, /bin/true and the entries. */
static void root_make(struct root *r, const char *const *entries)
{
	static unsigned count;
	static const char *const dirs[] = {"lower", "upper", "work", "lower/bin"};

	r->dir = rb_asprintf("%s/%u", work_dir, count++);
	CHECK_INT(mkdir(r->dir, 0755), 0);
	RB_CLEANUP(rb_closep) int dirfd = open_dir(r->dir);
	for (size_t i = 0; i < RB_ARRAY_LEN(dirs); i++)
		CHECK_INT(mkdirat(dirfd, dirs[i], 0755), 0);
	CHECK_INT(linkat(AT_FDCWD, init_path, dirfd, "lower/init", 0), 0);
	CHECK_INT(linkat(AT_FDCWD, init_path, dirfd, "lower/bin/true", 0), 0);
	r->lower_fd = openat(dirfd, "lower", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	for (; entries && *entries; entries++)
		add_entry(r->lower_fd, *entries);
	r->fd = overlay(r);
	CHECK(r->fd >= 0);
}

static void root_clear(struct root *r)
{
	rb_closep(&r->fd);
	rb_closep(&r->lower_fd);
	(void)rb_remove_tree_at(AT_FDCWD, r->dir);
	free(r->dir);
}

/* The names in the upperdir: "." alone when the step left no trace. */
static char *left_behind(const struct root *r)
{
	RB_CLEANUP(rb_strp) char *command = rb_asprintf("cd %s/upper && find . | sort", r->dir);
	FILE *p = popen(command, "re");
	struct rb_buf b = RB_BUF_INIT;
	struct rb_error *err = NULL;

	CHECK(p != NULL);
	if (p) {
		CHECK_INT(rb_read_fd(fileno(p), 1 << 20, &b, &err), 0);
		(void)pclose(p);
	}
	return rb_buf_steal(&b);
}

/* --- running --- */

struct run {
	struct rb_exec_result result;
	struct rb_buf out; /* stdout and stderr */
	struct rb_error *err;
};

static void run_clear(struct run *r)
{
	rb_buf_clear(&r->out);
	rb_error_drop(&r->err);
}

static struct rb_exec_spec spec_of(const char *const *argv)
{
	return (struct rb_exec_spec){.host = &host,
				     .argv = argv,
				     .envp = plain_env,
				     .cwd = "/",
				     .stdin_fd = -1,
				     .stdout_fd = -1,
				     .stderr_fd = -1};
}

/* A mount serves one step, as it dies with the step's namespace: the next gets a new one. */
static void run_spec(struct root *root, struct rb_exec_spec *spec, struct run *ret)
{
	struct rb_exec e;
	int p[2];

	*ret = (struct run){.out = RB_BUF_INIT};
	CHECK_INT(rb_pipe(p), 0);
	spec->stdout_fd = spec->stderr_fd = p[1];
	spec->root_fd = root->fd;
	int r = rb_exec_start(spec, &e, &ret->err);
	(void)close(p[1]);
	if (r == 0) {
		CHECK_INT(rb_read_fd(p[0], 1 << 20, &ret->out, &ret->err), 0);
		CHECK_INT(rb_exec_finish(&e, &ret->result, &ret->err), 0);
	}
	(void)close(p[0]);
	rb_closep(&root->fd);
	root->fd = overlay(root);
}

#define ARGV(...) ((const char *const[]){__VA_ARGS__, NULL})

static void check_output(const char *file, int line, struct root *root, struct rb_exec_spec *spec,
			 const char *want)
{
	struct run r;

	run_spec(root, spec, &r);
	tap_check_ok(file, line, &r.err);
	tap_check_str(file, line, spec->argv[1] ? spec->argv[1] : spec->argv[0], r.out.ptr, want);
	run_clear(&r);
}

/* Output of a command in a plain root. */
#define CHECK_RUN(root, want, ...)                                                                 \
	do {                                                                                       \
		const char *const argv_[] = {__VA_ARGS__, NULL};                                   \
		struct rb_exec_spec spec_ = spec_of(argv_);                                        \
		check_output(__FILE__, __LINE__, (root), &spec_, (want));                          \
	} while (0)

static void check_refused(const char *file, int line, struct root *root, struct rb_exec_spec *spec,
			  enum rb_err code, int status, const char *part)
{
	struct run r;

	run_spec(root, spec, &r);
	if (!r.err || r.err->code != code || r.err->exit_status != status) {
		tap_failures++;
		printf("# %s:%d: code %d status %d, not %d and %d\n", file, line,
		       r.err ? (int)r.err->code : -1, r.err ? r.err->exit_status : -1, (int)code,
		       status);
	}
	tap_check_err(file, line, &r.err, part);
	run_clear(&r);
}

#define CHECK_REFUSED(spec, code, status, part) /* in `root` */                                    \
	check_refused(__FILE__, __LINE__, &root, (spec), (code), (status), (part))

/* --- users --- */

static char *user_text(const struct rb_user *u)
{
	struct rb_buf b = RB_BUF_INIT;

	rb_buf_addf(&b, "%u:%u", u->uid, u->gid);
	for (size_t i = 0; i < u->n_groups; i++)
		rb_buf_addf(&b, "%c%u", i ? ',' : ' ', u->groups[i]);
	rb_buf_addf(&b, " %s", u->home);
	return rb_buf_steal(&b);
}

static const char *const accounts[] = {
	"d etc",
	"f etc/passwd root:x:0:7:root:/root:/bin/sh\nbad line\nx:y:z\nweb:x:33:33::/var/www:\n"
	"jane:x:1000:1000:Jane:/home/jane:/bin/sh\nnohome:x:1001:1001:::\n"
	"huge:x:4294967295:1::/:\njane:x:2000:2000::/no:/no",
	"f etc/group root:x:0:\nadm:x:4:root,jane\nwww:x:33:\nstaff:x:50:jane\njanes:x:51:janet\n"
	"jane:x:1000:jane",
	NULL,
};

static void test_exec__user_lookup(void)
{
	static const struct {
		const char *spec, *want, *error;
	} rows[] = {
		{NULL, "0:0 0,4 /root", NULL},
		{"", "0:0 0,4 /root", NULL},
		{"root", "0:7 4,7 /root", NULL},
		{"0", "0:7 4,7 /root", NULL},
		{"jane", "1000:1000 4,50,1000 /home/jane", NULL},
		{"1000", "1000:1000 4,50,1000 /home/jane", NULL},
		{"1000:1000", "1000:1000 1000 /home/jane", NULL},
		{"jane:staff", "1000:50 50 /home/jane", NULL},
		{"jane:5", "1000:5 5 /home/jane", NULL},
		{"jane:", "1000:1000 4,50,1000 /home/jane", NULL},
		{":staff", "0:50 50 /root", NULL},
		{"web", "33:33 33 /var/www", NULL},
		{"nohome", "1001:1001 1001 /", NULL},
		{"5555", "5555:0 0 /", NULL},
		{"5555:6666", "5555:6666 6666 /", NULL},
		{"4294967294:4294967294", "4294967294:4294967294 4294967294 /", NULL},
		{"joe", NULL, "unable to find user joe: no matching entries in passwd file"},
		{"huge", NULL, "unable to find user huge"},
		{"-1", NULL, "unable to find user -1"},
		{"jane:nogroup", NULL, "unable to find group nogroup: no matching entries in"},
		/* threats S21 */
		{"4294967295", NULL, "larger than 4294967294"},
		{"4294967296", NULL, "larger than 4294967294"},
		{"2147483648:99999999999999999999", NULL, "larger than"},
	};
	struct root root;

	root_make(&root, accounts);
	for (size_t i = 0; i < RB_ARRAY_LEN(rows); i++) {
		struct rb_error *err = NULL;
		struct rb_user u = {0};
		int r = rb_user_lookup(root.fd, rows[i].spec, &u, &err);

		CHECK_INT(r, rows[i].want ? 0 : -1);
		RB_CLEANUP(rb_strp) char *got = r == 0 ? user_text(&u) : NULL;
		CHECK_STR(got, rows[i].want);
		if (rows[i].error)
			CHECK_ERR(&err, rows[i].error);
		CHECK_OK(&err);
		rb_user_clear(&u);
	}
	root_clear(&root);
}

static void test_exec__owner_lookup(void)
{
	static const struct {
		const char *spec;
		uint32_t uid, gid;
		const char *error;
	} rows[] = {
		{"jane", 1000, 1000, NULL},
		{"5", 5, 5, NULL},
		{"5:6", 5, 6, NULL},
		{"root", 0, 0, NULL},
		{"root:root", 0, 0, NULL},
		{"jane:staff", 1000, 50, NULL},
		{"0:staff", 0, 50, NULL},
		{"joe", 0, 0, "unable to find user joe"},
		{"5:none", 0, 0, "unable to find group none"},
	};
	struct root root;

	root_make(&root, accounts);
	for (size_t i = 0; i < RB_ARRAY_LEN(rows); i++) {
		struct rb_error *err = NULL;
		uint32_t uid = 77, gid = 77;
		int r = rb_user_lookup_owner(root.fd, rows[i].spec, &uid, &gid, &err);

		CHECK_INT(r, rows[i].error ? -1 : 0);
		CHECK_INT(uid, rows[i].error ? 77 : rows[i].uid);
		CHECK_INT(gid, rows[i].error ? 77 : rows[i].gid);
		if (rows[i].error)
			CHECK_ERR(&err, rows[i].error);
		CHECK_OK(&err);
	}
	root_clear(&root);
}

/* threats S22: a hostile /etc/passwd neither hangs nor reads the host's. */
static void test_exec__hostile_passwd(void)
{
	static const struct {
		const char *entries[4];
		const char *error;
	} rows[] = {
		{{"d etc", "p etc/passwd"}, "/etc/passwd of the image is not a regular file"},
		{{"d etc/passwd"}, "/etc/passwd of the image is not a regular file"},
		{{"d etc", "l etc/passwd passwd"}, "/etc/passwd of the image"},
		{{"d etc", "l etc/passwd /etc/real"}, "unable to find user nobody"},
		{{"d etc", "l etc/passwd ../../../../../etc/shadow"}, "unable to find user nobody"},
		{{NULL}, "unable to find user nobody"},
	};

	for (size_t i = 0; i < RB_ARRAY_LEN(rows); i++) {
		struct rb_error *err = NULL;
		struct rb_user u = {0};
		struct root root;

		root_make(&root, rows[i].entries);
		CHECK_INT(rb_user_lookup(root.fd, "nobody", &u, &err), -1);
		CHECK_ERR(&err, rows[i].error);
		root_clear(&root);
	}

	struct rb_error *err = NULL;
	struct rb_user u = {0};
	struct root root;
	root_make(&root, ARGV("d etc", "f etc/passwd x"));
	RB_CLEANUP(rb_closep) int fd = openat(root.lower_fd, "etc/passwd", O_WRONLY | O_CLOEXEC);
	CHECK_INT(ftruncate(fd, 1ll << 40), 0);
	CHECK_INT(rb_user_lookup(root.fd, "nobody", &u, &err), -1);
	CHECK_ERR(&err, "larger than the limit of 10 MiB");
	root_clear(&root);
}

/* --- confinement --- */

static void test_exec__process(void)
{
	struct root root;

	root_make(&root, NULL);
	(void)umask(077);
	(void)signal(SIGPIPE, SIG_IGN);
	RB_CLEANUP(rb_closep) int leak = fcntl(root.lower_fd, F_DUPFD, 100); /* not CLOEXEC */
	CHECK_RUN(&root, "pid=1 ppid=0 sid=1 umask=022 blocked=0 ignored=0\n", "/init", "process");
	(void)signal(SIGPIPE, SIG_DFL);
	CHECK_RUN(&root, "0 1 2 \n", "/init", "fds");
	CHECK_RUN(&root, "buildkitsandbox\n", "/init", "hostname");
	CHECK_RUN(&root,
		  "CapInh:\t0000000000000000\nCapPrm:\t00000000a80425fb\n"
		  "CapEff:\t00000000a80425fb\nCapBnd:\t00000000a80425fb\n"
		  "CapAmb:\t0000000000000000\nNoNewPrivs:\t0\nSeccomp:\t2\n",
		  "/init", "status", "Cap", "NoNewPrivs:", "Seccomp:");
	/* no trace of the mount points, nor of anything else */
	RB_CLEANUP(rb_strp) char *left = left_behind(&root);
	CHECK_STR(left, ".\n");
	(void)umask(022);
	root_clear(&root);
}

static void test_exec__system_calls(void)
{
	static const char *const rows[][2] = {
		{"mount", "EPERM"},       {"umount", "EPERM"},
		{"unshare", "EPERM"},     {"clone-newns", "EPERM"},
		{"clone3", "ENOSYS"},     {"fork", "ok"},
		{"fsopen", "EPERM"},      {"bpf", "EPERM"},
		{"keyctl", "EPERM"},      {"io_uring", "EPERM"},
		{"kexec", "EPERM"},       {"sethostname", "EPERM"},
		{"af_alg", "EPERM"},      {"af_alg-high", "EPERM"},
		{"af_vsock", "EPERM"},    {"af_inet", "ok"},
		{"af_unix", "ok"},        {"netlink", "ok"},
		{"personality", "EPERM"}, {"personality-query", "ok"},
		{"chroot", "ok"},         {"ptrace", "ok"},
		{"mkfifo", "ok"},         {"mknod", "EPERM"}, /* in any unprivileged namespace */
		{"setuid", "ok"},         {"statmount", "ENOSYS"},
		{"future", "ENOSYS"},     {"sys-write", "EROFS"},
		{"hosts", "EROFS"},
#ifdef __x86_64__
		{"x32-unshare", "EPERM"}, {"i386-unshare", "EPERM"},
		{"i386-mount", "EPERM"},  {"i386-socketcall", "ENOSYS"},
		{"i386-af_alg", "EPERM"},
#endif
	};
	struct root root;

	root_make(&root, NULL);
	for (size_t i = 0; i < RB_ARRAY_LEN(rows); i++) {
		RB_CLEANUP(rb_strp) char *want = rb_asprintf("%s: %s\n", rows[i][0], rows[i][1]);

		CHECK_RUN(&root, want, "/init", "try", rows[i][0]);
	}
	/* EACCES, or EROFS for a step of real root */
	struct rb_exec_spec spec = spec_of(ARGV("/init", "try", "sysctl", "+", "false"));
	struct run r;
	run_spec(&root, &spec, &r);
	CHECK(rb_starts_with(r.out.ptr, "sysctl: E"));
	run_clear(&r);
	root_clear(&root);
}

static void test_exec__files_and_devices(void)
{
	struct root root;

	root_make(&root, ARGV("d dev", "l dev/null /proc/sys/kernel/core_pattern", /* S14 */
			      "l dev/tty /etc/canary", "f dev/console x"));
	CHECK_RUN(&root,
		  "core fd full mqueue null ptmx pts random shm stderr stdin stdout tty "
		  "urandom zero \n",
		  "/init", "ls", "/dev");
	CHECK_RUN(&root,
		  "127.0.0.1\tlocalhost buildkitsandbox\n"
		  "::1\tlocalhost ip6-localhost ip6-loopback\n",
		  "/init", "cat", "/etc/hosts");
	struct rb_exec_spec spec = spec_of(ARGV("/init", "stat", "/dev/null", "/dev/tty"));
	struct run r;
	run_spec(&root, &spec, &r);
	CHECK(strstr(r.out.ptr, " 1:3 /dev/null\n") && strstr(r.out.ptr, " 5:0 /dev/tty\n"));
	run_clear(&r);
	/* the nodes work, and are not the step's to change */
	CHECK_RUN(&root, "chown: EROFS\n", "/init", "write", "/dev/null", "x", "+", "cat",
		  "/dev/null", "+", "chown", "0", "0", "/dev/null");
	/* masks */
	CHECK_RUN(&root, "\n\n", "/init", "ls", "/sys/firmware", "+", "ls", "/proc/acpi");
	CHECK_RUN(&root, "", "/init", "cat", "/proc/timer_list");
	root_clear(&root);
}

static void test_exec__network(void)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	struct root root;
	char name[14];

	/* the caller's abstract socket (threats S44) */
	RB_CLEANUP(rb_closep) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	/* one of this run's own: such names are the whole machine's, also of other pid namespaces
	 */
	int n = snprintf(name, sizeof(name), "rbt%s", work_dir + strlen(work_dir) - 6);
	memcpy(sa.sun_path + 1, name, (size_t)n);
	CHECK_INT(bind(fd, (struct sockaddr *)&sa, (socklen_t)(sizeof(sa.sun_family) + 1 + n)), 0);
	CHECK_INT(listen(fd, 1), 0);
	root_make(&root, NULL);
	struct rb_exec_spec spec = spec_of(ARGV("/init", "connect", name));
	check_output(__FILE__, __LINE__, &root, &spec, "connect: ok\n");
	spec.network = RB_NET_NONE;
	check_output(__FILE__, __LINE__, &root, &spec, "connect: ECONNREFUSED\n");
	/* /sys shows another one than the step's, which stays all the same */
	spec.argv = ARGV("/init", "sleep", "1", "+", "cat", "/sys/class/net/lo/flags");
	check_output(__FILE__, __LINE__, &root, &spec, "0x9\n"); /* IFF_UP | IFF_LOOPBACK */
	root_clear(&root);
}

static void test_exec__names(void)
{
	static const struct {
		const char *host, *none, *private_;
	} rows[] = {
		{"", "", ""},
		{"search a b\nnameserver 192.0.2.1\nnameserver 2001:db8::1\noptions x",
		 "search a b\nnameserver 192.0.2.1\nnameserver 2001:db8::1\noptions x",
		 "search a b\nnameserver 192.0.2.1\nnameserver 2001:db8::1\noptions x"},
		{"nameserver 127.0.0.53\noptions edns0\n", "options edns0\n",
		 "nameserver 10.0.2.3\noptions edns0\n"},
		{"nameserver\t127.0.0.1 \nnameserver ::1\nnameserver fe80::1%eth0\nnameserver 8.8.8.8\n",
		 "nameserver 8.8.8.8\n", "nameserver 10.0.2.3\n"},
		{"# nameserver 127.0.0.1\nnameservers 127.0.0.1\nnameserver\n",
		 "# nameserver 127.0.0.1\nnameservers 127.0.0.1\nnameserver\n",
		 "# nameserver 127.0.0.1\nnameservers 127.0.0.1\nnameserver\n"},
	};
	static const struct rb_exec_host hosts[] = {{"a.b", "192.0.2.1"}, {"hub", NULL}};
	static const struct rb_exec_settings settings = {.hosts = hosts, .n_hosts = 2};
	struct rb_exec_spec spec = {.hostname = "name", .settings = &settings};

	for (size_t i = 0; i < RB_ARRAY_LEN(rows); i++) {
		const char *want[] = {[RB_NET_HOST] = rows[i].host,
				      [RB_NET_NONE] = rows[i].none,
				      [RB_NET_PRIVATE] = rows[i].private_};

		for (size_t n = 0; n < RB_ARRAY_LEN(want); n++) {
			RB_CLEANUP(rb_buf_clear) struct rb_buf got = RB_BUF_INIT;

			rb_resolv_adapt(rows[i].host, (enum rb_network)n, &got);
			CHECK_STR(got.ptr, want[n]);
		}
	}
	RB_CLEANUP(rb_buf_clear) struct rb_buf text = RB_BUF_INIT;
	rb_step_hosts(&spec, &text);
	CHECK_STR(text.ptr, "127.0.0.1\tlocalhost name\n"
			    "::1\tlocalhost ip6-localhost ip6-loopback\n"
			    "192.0.2.1\ta.b\n127.0.0.1\thub\n");
	spec.network = RB_NET_PRIVATE;
	rb_buf_truncate(&text, 0);
	rb_step_hosts(&spec, &text);
	CHECK(rb_ends_with(text.ptr, "\n10.0.2.2\thub\n"));
}

static void test_exec__environment(void)
{
	struct root root;

	root_make(&root, accounts);
	(void)setenv("RBUILD_TEST_SECRET", "canary", 1); /* threats S23 */
	CHECK_RUN(&root, "PATH=/bin:/usr/bin\nHOME=/root\n", "/init", "env");
	struct rb_exec_spec spec = spec_of(ARGV("/init", "env"));
	spec.envp = ARGV("A=1", "HOME=/elsewhere", "B=");
	check_output(__FILE__, __LINE__, &root, &spec, "A=1\nHOME=/elsewhere\nB=\n");
	root_clear(&root);
}

static void test_exec__working_directory(void)
{
	struct root root;

	root_make(&root, ARGV("d w/x", "l link w/x", "l up ../../../w", "f file x", "l bad nowhere",
			      "l fd3 /proc/self/fd/3"));
	struct rb_exec_spec spec = spec_of(ARGV("/init", "cwd"));
	static const char *const rows[][2] = {
		{"/", "/\n"},
		{"/w/x", "/w/x\n"},
		{"/link", "/w/x\n"},
		{"/up/x", "/w/x\n"},
		{"w/x", "/w/x\n"},
		{"/w/x/../x/", "/w/x\n"},
		{"/dev/shm", "/dev/shm\n"},
		{"/new/one", "/new/one\n"},
		{"", "/\n"},
	};
	for (size_t i = 0; i < RB_ARRAY_LEN(rows); i++) {
		spec.cwd = rows[i][0];
		check_output(__FILE__, __LINE__, &root, &spec, rows[i][1]);
	}
	CHECK_RUN(&root, "d 755 0:0 0:0 /new\nd 755 0:0 0:0 /new/one\n", "/init", "stat", "/new",
		  "/new/one");
	spec.cwd = "/file";
	CHECK_REFUSED(&spec, RB_ERR_SYS, 0, "working directory /file of the step: Not a directory");
	spec.cwd = "/bad";
	CHECK_REFUSED(&spec, RB_ERR_SYS, 0, "working directory /bad");
	/* threats S1: no descriptor of ours can be entered */
	for (int fd = 0; fd < 40; fd++) {
		RB_CLEANUP(rb_strp) char *path = rb_asprintf("/proc/self/fd/%d", fd);

		spec.cwd = path;
		CHECK_REFUSED(&spec, RB_ERR_SYS, 0, "working directory /proc/self/fd/");
	}
	spec.cwd = "/fd3";
	CHECK_REFUSED(&spec, RB_ERR_SYS, 0, "working directory /fd3");
	root_clear(&root);
}

/* --- ends --- */

static void test_exec__exit_status(void)
{
	static const struct {
		const char *argv[4];
		int status, signal;
	} rows[] = {
		{{"/init", "true"}, 0, 0},
		{{"true"}, 0, 0},
		{{"/init", "false"}, 1, 0},
		{{"/init", "exit", "255"}, 255, 0},
		{{"/init", "kill"}, 128 + SIGILL, SIGILL},
	};
	struct root root;

	root_make(&root, NULL);
	for (size_t i = 0; i < RB_ARRAY_LEN(rows); i++) {
		struct rb_exec_spec spec = spec_of(rows[i].argv);
		struct run r;

		run_spec(&root, &spec, &r);
		CHECK_OK(&r.err);
		CHECK_INT(r.result.exit_status, rows[i].status);
		CHECK_INT(r.result.signal, rows[i].signal);
		CHECK(!r.result.out_of_memory);
		run_clear(&r);
	}
	root_clear(&root);
}

static void test_exec__left_overs_die(void)
{
	struct root root;

	root_make(&root, NULL);
	/* The output ends with the last process that holds it: long before it would write. */
	CHECK_RUN(&root, "", "/init", "orphan", "/late", "x");
	(void)usleep(1200000);
	CHECK_RUN(&root, "/late: ENOENT\n", "/init", "stat", "/late");
	root_clear(&root);
}

static void test_exec__kill(void)
{
	struct rb_error *err = NULL;
	struct root root;
	struct rb_exec e;
	char c;

	root_make(&root, NULL);
	struct rb_exec_spec spec = spec_of(ARGV("/init", "sleep", "1000"));
	spec.root_fd = root.fd;
	CHECK_INT(rb_exec_start(&spec, &e, &err), 0);
	CHECK_OK(&err);
	RB_CLEANUP(rb_closep) int out = fcntl(e.out_fd, F_DUPFD_CLOEXEC, 3);
	rb_exec_kill(&e);
	CHECK_INT(read(out, &c, 1), 0);
	CHECK_INT(e.pid, 0);
	rb_exec_kill(&e); /* harmless */
	RB_CLEANUP(rb_strp) char *left = left_behind(&root);
	CHECK_STR(left, ".\n");
	root_clear(&root);
}

static void test_exec__cannot_start(void)
{
	struct rb_exec_spec spec;
	struct root root;

	root_make(&root, ARGV("x script #!/no/bash -e", "x lost #! lost2", "x lost2 #!/bin/none",
			      "f plain text", "x empty", "x garbage \x7f", "d bin/dir", "d usr",
			      "f bin/unreadable x"));
	CHECK_INT(fchmodat(root.lower_fd, "bin/unreadable", 0644, 0), 0);
	/* an ELF file for another machine, and one whose loader is missing */
	static const unsigned char arm64[64] = {0x7f, 'E', 'L', 'F', 2, 1, 1, [16] = 2, [18] = 183};
	static const unsigned char dynamic[64 + 56 + 16] = {0x7f,
							    'E',
							    'L',
							    'F',
							    2,
							    1,
							    1,
							    [16] = 2,
							    [18] = 62,
							    [20] = 1,
							    [32] = 64,
							    [52] = 64,
							    [54] = 56,
							    [56] = 1,
							    [64] = 3,
							    [64 + 8] = 120,
							    [64 + 32] = 9,
							    [120] = '/',
							    'l',
							    'i',
							    'b',
							    '/',
							    'l',
							    'd',
							    '9'};
	RB_CLEANUP(rb_closep)
	int a = openat(root.lower_fd, "arm", O_WRONLY | O_CREAT | O_CLOEXEC, 0755);
	CHECK_INT(rb_write_full(a, arm64, sizeof(arm64)), 0);
	RB_CLEANUP(rb_closep)
	int d = openat(root.lower_fd, "dyn", O_WRONLY | O_CREAT | O_CLOEXEC, 0755);
	CHECK_INT(rb_write_full(d, dynamic, sizeof(dynamic)), 0);
	rb_closep(&a);
	rb_closep(&d);

	static const struct {
		const char *name;
		int status;
		const char *error;
	} rows[] = {
		{"foo", 127, "exec: \"foo\": executable file not found in $PATH"},
		{"/x/foo", 127, "exec: \"/x/foo\": no such file or directory"},
		{"/plain", 126, "exec: \"/plain\": permission denied"},
		{"unreadable", 126, "exec: \"unreadable\": permission denied"},
		{"/bin/dir", 126, "exec: \"/bin/dir\": permission denied"},
		{"/script", 127, "exec: \"/script\": its interpreter /no/bash is not in the image"},
		{"/lost", 127, "exec: \"/lost\": its interpreter /bin/none is not in the image"},
		{"/empty", 126, "it is not a program and does not begin with \"#!\""},
#ifdef __x86_64__
		{"/arm", 126,
		 "exec: \"/arm\": exec format error: the program is for arm64 and this machine is"},
		{"/dyn", 127, "exec: \"/dyn\": its interpreter /lib/ld9 is not in the image"},
#endif
		{"", 127, "the command is empty"},
	};
	for (size_t i = 0; i < RB_ARRAY_LEN(rows); i++) {
		spec = spec_of(ARGV(rows[i].name));
		CHECK_REFUSED(&spec, RB_ERR_RUN, rows[i].status, rows[i].error);
	}
	root_clear(&root);
}

static void test_exec__script(void)
{
	struct root root;

	root_make(&root, NULL);
	struct rb_exec_spec spec = spec_of(ARGV("/dev/pipes/EOF", "a"));
	spec.script_name = "EOF";
	spec.script_body = "#!/init echo\n";
	check_output(__FILE__, __LINE__, &root, &spec, "/dev/pipes/EOF a\n");
	spec.argv = ARGV("/init", "stat", "/dev/pipes/EOF", "+", "write", "/dev/pipes/EOF", "x");
	check_output(__FILE__, __LINE__, &root, &spec,
		     "- 755 0:0 0:0 /dev/pipes/EOF\n/dev/pipes/EOF: EROFS\n");
	spec.script_name = "../EOF";
	CHECK_REFUSED(&spec, RB_ERR_UNSUPPORTED, 0, "the heredoc name \"../EOF\"");
	root_clear(&root);
}

/* --- users of a step --- */

static void test_exec__user_of_a_step(void)
{
	struct root root;

	root_make(&root, accounts);
	struct rb_exec_spec spec = spec_of(
		ARGV("/init", "ids", "+", "status", "CapPrm", "CapEff", "+", "try", "setuid"));
	spec.user = "jane";
	if (host.rung == RB_RUNG_RANGE)
		check_output(__FILE__, __LINE__, &root, &spec,
			     "uid=1000 gid=1000 groups=4,50,1000\nCapPrm:\t0000000000000000\n"
			     "CapEff:\t0000000000000000\nsetuid: EPERM\n");
	else
		CHECK_REFUSED(
			&spec, RB_ERR_UNSUPPORTED, 0,
			"the step runs as user jane (uid 1000, gid 1000), but the subordinate ids "
			"of this host end at");
	spec.user = "4000000000:1";
	if (rb_id_map_limit(&host.uids) < UINT32_MAX)
		CHECK_REFUSED(&spec, RB_ERR_UNSUPPORTED, 0, "the step runs as user 4000000000:1");
	spec.user = "joe";
	CHECK_REFUSED(&spec, RB_ERR_NOTFOUND, 0, "unable to find user joe: no matching entries in");
	root_clear(&root);
}

static void test_exec__working_directory_belongs_to_user(void)
{
	struct root root;

	if (host.rung != RB_RUNG_RANGE)
		return;
	root_make(&root, accounts);
	struct rb_exec_spec spec = spec_of(ARGV("/init", "stat", "/a", "/a/b"));
	spec.user = "jane";
	spec.cwd = "/a/b";
	check_output(__FILE__, __LINE__, &root, &spec,
		     "d 755 1000:1000 0:0 /a\nd 755 1000:1000 0:0 /a/b\n");
	root_clear(&root);
}

/* --- hostile roots --- */

/* A directory and a file outside of every root, as a step of the image would like to reach them. */
static char *canary_dir;

static void canary_check(void)
{
	RB_CLEANUP(rb_strp) char *path = rb_asprintf("%s/file", canary_dir);
	RB_CLEANUP(rb_buf_clear) struct rb_buf text = RB_BUF_INIT;
	struct rb_error *err = NULL;
	struct stat st;

	CHECK_INT(rb_read_file_at(AT_FDCWD, path, 100, &text, &err), 0);
	CHECK_OK(&err);
	CHECK_STR(text.ptr, "");
	CHECK_INT(stat(canary_dir, &st), 0);
	CHECK_INT(st.st_nlink, 2);
	CHECK_INT(st.st_mtim.tv_sec, 1000);
}

static void canary_make(void)
{
	const struct timespec old[2] = {{.tv_sec = 1000}, {.tv_sec = 1000}};

	canary_dir = rb_asprintf("%s/canary", work_dir);
	CHECK_INT(mkdir(canary_dir, 0755), 0);
	RB_CLEANUP(rb_closep) int fd = open_dir(canary_dir);
	write_at(fd, "file", "", 0644);
	CHECK_INT(futimens(fd, old), 0);
}

/* threats S17: either it works inside the root, or it is refused with a sentence. */
static void test_exec__mount_points_as_links(void)
{
	static const char *const names[] = {"dev", "proc",      "sys",
					    "etc", "etc/hosts", "etc/resolv.conf"};
	static const char *const kinds[] = {
		"%s",                  /* absolute: exists on the host only */
		"%s/file",             /* the same, a file there */
		"../../../../../..%s", /* relative, out of the root */
		"/inside",             /* exists in the root */
		"nowhere/at/all",      /* dangling */
		"/LOOP",               /* itself, below */
		"/proc/self/root",     /* magic */
		"/proc/1/cwd",
	};

	for (size_t i = 0; i < RB_ARRAY_LEN(names); i++) {
		for (size_t k = 0; k < RB_ARRAY_LEN(kinds); k++) {
			struct root root;
			struct run r;
			struct rb_buf entry = RB_BUF_INIT;

			rb_buf_addf(&entry, "l %s ", names[i]);
			if (rb_streq(kinds[k], "/LOOP"))
				rb_buf_addf(&entry, "/%s", names[i]);
			else if (strstr(kinds[k], "%s"))
				rb_buf_addf(&entry, "%.*s%s%s", (int)strcspn(kinds[k], "%"),
					    kinds[k], canary_dir, strchr(kinds[k], '%') + 2);
			else
				rb_buf_addstr(&entry, kinds[k]);
			const char *entries[] = {strchr(names[i], '/') ? "d etc" : "d inside",
						 strchr(names[i], '/') ? "f inside x" : entry.ptr,
						 strchr(names[i], '/') ? entry.ptr : NULL, NULL};

			root_make(&root, entries);
			struct rb_exec_spec spec =
				spec_of(ARGV("/init", "echo", "in", "+", "write", "/etc/new", "x",
					     "+", "stat", "/init"));
			run_spec(&root, &spec, &r);
			if (r.err)
				CHECK_ERR(&r.err, names[i]);
			else
				CHECK(rb_starts_with(r.out.ptr, "in\n"));
			run_clear(&r);
			canary_check();
			root_clear(&root);
			rb_buf_clear(&entry);
		}
	}
}

/* systemd's link, dangling in every image, must work and leave nothing. */
static void test_exec__resolv_conf_link(void)
{
	struct root root;

	root_make(&root, ARGV("d etc", "l etc/resolv.conf ../run/systemd/resolve/stub-resolv.conf",
			      "f etc/hosts old"));
	CHECK_RUN(&root,
		  "- 644 0:0 0:0 /run/systemd/resolve/stub-resolv.conf\n"
		  "127.0.0.1\tlocalhost buildkitsandbox\n"
		  "::1\tlocalhost ip6-localhost ip6-loopback\n",
		  "/init", "stat", "/run/systemd/resolve/stub-resolv.conf", "+", "cat",
		  "/etc/hosts");
	RB_CLEANUP(rb_strp) char *left = left_behind(&root);
	CHECK_STR(left, ".\n");
	root_clear(&root);
}

static void check_mtime(const struct root *root, const char *path, time_t want)
{
	struct stat st;

	CHECK_INT(fstatat(root->fd, path, &st, 0), 0);
	if (want)
		CHECK_INT(st.st_mtim.tv_sec, want);
	else
		CHECK(st.st_mtim.tv_sec > 1000);
}

static void test_exec__stubs_and_times(void)
{
	const struct timespec old[2] = {{.tv_sec = 1000}, {.tv_sec = 1000}};
	struct root root;

	root_make(&root, ARGV("d etc", "d kept"));
	CHECK_INT(utimensat(root.lower_fd, "etc", old, 0), 0);
	CHECK_INT(utimensat(root.fd, ".", old, 0), 0);
	CHECK_RUN(&root, "", "/bin/true");
	check_mtime(&root, "etc", 1000);
	check_mtime(&root, ".", 1000);
	CHECK_INT(faccessat(root.fd, "etc/hosts", F_OK, 0), -1);
	CHECK_INT(faccessat(root.fd, "proc", F_OK, 0), -1);
	/* what the step itself does to a directory keeps its time */
	(void)usleep(20000);
	CHECK_RUN(&root, "", "/init", "write", "/etc/new", "x");
	check_mtime(&root, "etc", 0);
	check_mtime(&root, ".", 1000);
	RB_CLEANUP(rb_strp) char *left = left_behind(&root);
	CHECK_STR(left, ".\n./etc\n./etc/new\n");
	root_clear(&root);
}

/* threats S3: the step moves the directory of a stub away and puts a link in its place. */
static void test_exec__stub_parent_replaced(void)
{
	struct root root;

	root_make(&root, NULL); /* /etc is a stub, too: the overlay cannot move a lower one */
	RB_CLEANUP(rb_strp) char *hosts = rb_asprintf("%s/hosts", canary_dir);
	RB_CLEANUP(rb_closep) int fd = open_dir(canary_dir);
	const struct timespec old[2] = {{.tv_sec = 1000}, {.tv_sec = 1000}};
	write_at(fd, "hosts", "", 0644);
	CHECK_INT(futimens(fd, old), 0);
	CHECK_RUN(&root, "", "/init", "rename", "/etc", "/moved", "+", "symlink", canary_dir,
		  "/etc");
	CHECK_INT(access(hosts, F_OK), 0);
	RB_CLEANUP(rb_strp) char *left = left_behind(&root);
	CHECK_STR(left, ".\n./etc\n./moved\n");
	CHECK_INT(unlink(hosts), 0);
	CHECK_INT(futimens(fd, old), 0);
	canary_check();
	root_clear(&root);
}

/* --- the filter's cache --- */

static void test_exec__filter_cache(void)
{
	struct rb_error *err = NULL;
	RB_CLEANUP(rb_strp) char *dir = rb_asprintf("%s/cache", work_dir);
	RB_CLEANUP(rb_strp) char *command = rb_asprintf("cd %s && cat filter-* | wc -c", dir);
	RB_CLEANUP(rb_strp) char *damage = rb_asprintf("cd %s && printf x >$(ls filter-*)", dir);
	RB_CLEANUP(rb_buf_clear) struct rb_buf program = RB_BUF_INIT;

	CHECK_INT(rb_filter_build(RB_FILTER_PROFILE, &program, &err), 0);
	CHECK_OK(&err);
	CHECK(program.len > 1000 && program.len % sizeof(struct sock_filter) == 0);
	CHECK_INT(mkdir(dir, 0700), 0);
	/* Each process loads once, so each round is a process of its own. */
	for (int round = 0; round < 3; round++) {
		int status = -1;
		pid_t pid = fork();

		if (pid == 0) {
			RB_CLEANUP(rb_closep) int fd = open_dir(dir);
			struct sock_fprog f;

			_exit(rb_exec_filter_prepare(fd, &err) < 0 ||
			      rb_filter_get(RB_FILTER_PROFILE, &f, &err) < 0 ||
			      f.len * sizeof(struct sock_filter) != program.len ||
			      memcmp(f.filter, program.ptr, program.len) != 0);
		}
		CHECK_INT(waitpid(pid, &status, 0), pid);
		CHECK_INT(status, 0);
		if (round == 1)
			CHECK_INT(system(damage), 0);
	}
	FILE *p = popen(command, "re");
	long size = 0;
	CHECK(p && fscanf(p, "%ld", &size) == 1);
	CHECK_INT(size, (long)program.len + 32);
	if (p)
		(void)pclose(p);
}

static const struct tap_test tests[] = {
	TAP(test_exec__filter_cache),
	TAP(test_exec__user_lookup),
	TAP(test_exec__owner_lookup),
	TAP(test_exec__hostile_passwd),
	TAP(test_exec__process),
	TAP(test_exec__system_calls),
	TAP(test_exec__files_and_devices),
	TAP(test_exec__network),
	TAP(test_exec__names),
	TAP(test_exec__environment),
	TAP(test_exec__working_directory),
	TAP(test_exec__exit_status),
	TAP(test_exec__left_overs_die),
	TAP(test_exec__kill),
	TAP(test_exec__cannot_start),
	TAP(test_exec__script),
	TAP(test_exec__user_of_a_step),
	TAP(test_exec__working_directory_belongs_to_user),
	TAP(test_exec__mount_points_as_links),
	TAP(test_exec__resolv_conf_link),
	TAP(test_exec__stubs_and_times),
	TAP(test_exec__stub_parent_replaced),
	TAP_END,
};

static int inside(void *ctx)
{
	(void)ctx;
	canary_make();
	int r = tap_run(tests);
	free(canary_dir);
	/* Here, because files of subordinate ids can be removed from inside only. */
	(void)rb_remove_tree_at(AT_FDCWD, work_dir);
	return r;
}

/* tests/helpers/init of the build, copied to where a root can link it. */
static int copy_helper(void)
{
	char self[4096] = "";
	const char *build = getenv("RB_TEST_BUILD");
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

	for (int i = 0; i < 2 && n > 0; i++)
		*strrchr(self, '/') = '\0';
	RB_CLEANUP(rb_strp)
	char *command =
		rb_asprintf("cp '%s%s/helpers/init' '%s/init' && chmod 755 '%s/init'",
			    build ? build : self, build ? "/tests" : "", work_dir, work_dir);
	init_path = rb_asprintf("%s/init", work_dir);
	return system(command);
}

int main(void)
{
	struct rb_error *err = NULL;

	(void)umask(022);
	if (!mkdtemp(work_dir) || chmod(work_dir, 0755) < 0 || copy_helper() != 0) {
		printf("Bail out! tests/helpers/init cannot be copied\n");
		return 1;
	}
	int r = rb_host_probe(NULL, -1, &host, &err);
	if (r == 0)
		r = rb_host_enter(&host, inside, NULL, &err);
	if (r < 0) {
		RB_CLEANUP(rb_strp) char *text = rb_error_text(err);
		printf("Bail out! %s\n", text);
	}
	rb_host_clear(&host);
	free(init_path);
	return r != 0;
}
