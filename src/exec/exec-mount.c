// SPDX-License-Identifier: Apache-2.0
/* The mounts of a step (dockerfile.md 10.4 and 12) as operations. Nothing is mounted here. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/sys.h"
#include "exec/exec-internal.h"

#define DEV_BYTES "64m"

/* Names in the step's /dev that exist until the mounts made of them are in their place. */
#define HOSTS_TMP  ".hosts"
#define RESOLV_TMP ".resolv.conf"
#define EMPTY_TMP  ".empty"
#define SCRIPT_DIR "pipes"

enum {
	NOTHING = RB_MOUNT_ATTR_NOSUID | RB_MOUNT_ATTR_NODEV | RB_MOUNT_ATTR_NOEXEC,
	/* For device nodes, and for /dev/null over a file: NODEV would make them unreadable. */
	NODE = RB_MOUNT_ATTR_RDONLY | RB_MOUNT_ATTR_NOSUID | RB_MOUNT_ATTR_NOEXEC,
};

static const struct {
	const char *name;
	unsigned major, minor;
} devices[] = {
	{"null", 1, 3},   {"zero", 1, 5},    {"full", 1, 7},
	{"random", 1, 8}, {"urandom", 1, 9}, {"tty", 5, 0},
};

static const struct {
	const char *name, *target;
} dev_links[] = {
	{"ptmx", "pts/ptmx"},          {"fd", "/proc/self/fd"},       {"stdin", "/proc/self/fd/0"},
	{"stdout", "/proc/self/fd/1"}, {"stderr", "/proc/self/fd/2"}, {"core", "/proc/kcore"},
};

static const char *const proc_masked[] = {"acpi",        "asound",        "kcore",
					  "keys",        "latency_stats", "timer_list",
					  "timer_stats", "sched_debug",   "scsi"};
static const char *const proc_read_only[] = {"bus", "fs", "irq", "sys", "sysrq-trigger"};
static const char *const sys_masked[] = {"firmware", "devices/virtual/powercap", "fs/cgroup"};

/*
 * A fresh procfs or sysfs is refused where the visible one is partly hidden, inside a container.
 * The first step finds out, the others know.
 */
static bool proc_refused, sys_refused;

bool rb_step_mounts_retry(const struct rb_op *op, int sys_errno)
{
	bool *known;

	if (op->kind != RB_OP_PREPARE || sys_errno != EPERM)
		return false;
	known = rb_streq(op->from, "proc") ? &proc_refused : &sys_refused;
	if (*known)
		return false;
	*known = true;
	return true;
}

/* A detached mount of a new file system; options are name and value in turn, NULL for a flag. */
static int new_mount(const char *type, const char *const (*options)[2], size_t n, unsigned attrs,
		     struct rb_error **err)
{
	RB_CLEANUP(rb_closep) int fs = rb_sys_fsopen(type);
	int r = fs;

	for (size_t i = 0; r >= 0 && i < n; i++)
		r = options[i][1] ? rb_sys_fsconfig_str(fs, options[i][0], options[i][1])
				  : rb_sys_fsconfig_flag(fs, options[i][0]);
	if (r >= 0)
		r = rb_sys_fsconfig_create(fs);
	if (r >= 0)
		r = rb_sys_fsmount(fs, attrs);
	if (r < 0)
		return rb_fail_sys(err, r, "cannot make a %s for the step%s", type,
				   r == -ENOSYS ? " (Linux 5.12 or later is needed)" : "");
	return r;
}

static int put_file(int dir_fd, const char *name, const void *data, size_t len, mode_t mode,
		    struct rb_error **err)
{
	RB_CLEANUP(rb_closep)
	int fd = openat(dir_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
	int r = fd < 0 ? -errno : rb_write_full(fd, data, len);

	if (r == 0 && fchmod(fd, mode) < 0)
		r = -errno;
	return r < 0 ? rb_fail_sys(err, r, "cannot write %s in the step's /dev", name) : 0;
}

static int put_dir(int dir_fd, const char *name, mode_t mode, struct rb_error **err)
{
	if (mkdirat(dir_fd, name, mode) < 0 || fchmodat(dir_fd, name, mode, 0) < 0)
		return rb_fail_errno(err, "cannot make %s in the step's /dev", name);
	return 0;
}

/*
 * A detached clone of a device node of the host, verified on the descriptor (threats S14).
 * Read-only says nothing about the device, only about the node: a step of real root could chmod the
 * host's.
 */
static int clone_device(size_t i, struct rb_error **err)
{
	RB_CLEANUP(rb_strp) char *path = rb_asprintf("/dev/%s", devices[i].name);
	RB_CLEANUP(rb_closep) int fd = open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return rb_fail_errno(err, "cannot open %s of this host", path);
	if (!S_ISCHR(st.st_mode) || st.st_rdev != makedev(devices[i].major, devices[i].minor))
		return rb_fail(err, RB_ERR_UNSUPPORTED,
			       "%s of this host is not the character device %u:%u", path,
			       devices[i].major, devices[i].minor);
	RB_CLEANUP(rb_closep) int clone = rb_sys_open_tree(fd, "", RB_OPEN_TREE_CLONE);
	int r = clone < 0 ? clone : rb_sys_mount_setattr(clone, "", 0, NODE, 0);
	return r < 0 ? rb_fail_sys(err, r, "cannot clone %s of this host", path)
		     : rb_steal_fd(&clone);
}

static int fill_dev(int dev_fd, struct rb_error **err)
{
	static const char *const dirs[] = {"pts", "shm", "mqueue", EMPTY_TMP};

	for (size_t i = 0; i < RB_ARRAY_LEN(dirs); i++)
		if (mkdirat(dev_fd, dirs[i], 0755) < 0)
			return rb_fail_errno(err, "cannot make /dev/%s", dirs[i]);
	for (size_t i = 0; i < RB_ARRAY_LEN(devices); i++)
		if (mknodat(dev_fd, devices[i].name, S_IFREG, 0) < 0)
			return rb_fail_errno(err, "cannot make /dev/%s", devices[i].name);
	for (size_t i = 0; i < RB_ARRAY_LEN(dev_links); i++)
		if (symlinkat(dev_links[i].target, dev_fd, dev_links[i].name) < 0)
			return rb_fail_errno(err, "cannot make /dev/%s", dev_links[i].name);
	return 0;
}

static int put_script(const struct rb_exec_spec *spec, int dev_fd, struct rb_error **err)
{
	if (!*spec->script_name || strchr(spec->script_name, '/') ||
	    rb_streq(spec->script_name, ".") || rb_streq(spec->script_name, ".."))
		return rb_fail(err, RB_ERR_UNSUPPORTED,
			       "the heredoc name \"%s\" cannot be a file name; use another word",
			       spec->script_name);
	if (put_dir(dev_fd, SCRIPT_DIR, 0755, err) < 0)
		return -1;
	RB_CLEANUP(rb_strp) char *path = rb_asprintf(SCRIPT_DIR "/%s", spec->script_name);
	return put_file(dev_fd, path, spec->script_body, strlen(spec->script_body), 0755, err);
}

/* The two generated files, in memory: an image never holds them. */
static int put_network_files(const struct rb_exec_spec *spec, int dev_fd, struct rb_error **err)
{
	RB_CLEANUP(rb_buf_clear) struct rb_buf hosts = RB_BUF_INIT;
	RB_CLEANUP(rb_buf_clear) struct rb_buf resolv = RB_BUF_INIT;

	rb_step_hosts(spec, &hosts);
	rb_step_resolv(spec, &resolv);
	if (put_file(dev_fd, HOSTS_TMP, hosts.ptr, hosts.len, 0644, err) < 0)
		return -1;
	return put_file(dev_fd, RESOLV_TMP, resolv.ptr, resolv.len, 0644, err);
}

static int new_dev(const struct rb_exec_spec *spec, struct rb_error **err)
{
	static const char *const options[][2] = {{"size", DEV_BYTES}, {"mode", "755"}};
	RB_CLEANUP(rb_closep)
	int fd = new_mount("tmpfs", options, RB_ARRAY_LEN(options),
			   RB_MOUNT_ATTR_NOSUID | RB_MOUNT_ATTR_STRICTATIME, err);

	if (fd < 0 || fill_dev(fd, err) < 0 || put_network_files(spec, fd, err) < 0)
		return -1;
	if (spec->script_name && put_script(spec, fd, err) < 0)
		return -1;
	return rb_steal_fd(&fd);
}

static int new_pts(const struct rb_host *host, struct rb_error **err)
{
	enum { TTY_GID = 5 };
	static const char *const options[][2] = {
		{"newinstance", NULL}, {"ptmxmode", "0666"}, {"mode", "0620"}, {"gid", "5"}};
	bool has_tty = rb_id_map_limit(&host->gids) > TTY_GID;

	return new_mount("devpts", options, RB_ARRAY_LEN(options) - !has_tty,
			 RB_MOUNT_ATTR_NOSUID | RB_MOUNT_ATTR_NOEXEC, err);
}

static int new_shm(const struct rb_exec_settings *settings, struct rb_error **err)
{
	RB_CLEANUP(rb_strp)
	char *size = settings && settings->shm_bytes
			     ? rb_asprintf("%llu", (unsigned long long)settings->shm_bytes)
			     : rb_strdup(DEV_BYTES);
	const char *const options[][2] = {{"size", size}, {"mode", "1777"}};

	return new_mount("tmpfs", options, RB_ARRAY_LEN(options), NOTHING, err);
}

/* A tree of the host, read-only all through where `attrs` says so. */
static int clone_host_tree(const char *path, unsigned attrs, struct rb_error **err)
{
	RB_CLEANUP(rb_closep)
	int fd = rb_sys_open_tree(AT_FDCWD, path, RB_OPEN_TREE_CLONE | RB_AT_RECURSIVE);
	int r = fd < 0 ? fd : rb_sys_mount_setattr(fd, "", RB_AT_RECURSIVE, attrs, 0);

	if (r < 0)
		return rb_fail_sys(err, r, "cannot clone %s of this host", path);
	return rb_steal_fd(&fd);
}

static void add_move(struct rb_step *s, int src, int dst, const char *path, const char *what)
{
	struct rb_op *op = rb_step_op(s, RB_OP_MOVE, what);

	op->src = src;
	op->dst = dst;
	op->path = path;
}

static void add_bind(struct rb_step *s, int src, const char *from, int dst, const char *path,
		     unsigned attrs, const char *what)
{
	struct rb_op *op = rb_step_op(s, RB_OP_BIND, what);

	op->src = src;
	op->from = from;
	op->dst = dst;
	op->path = path;
	op->attrs = attrs;
}

static int add_dev(struct rb_step *s, int dev, int target, struct rb_error **err)
{
	int fd = new_pts(s->spec->host, err);

	if (fd < 0)
		return -1;
	int pts = rb_step_fd(s, fd);
	if ((fd = new_shm(s->spec->settings, err)) < 0)
		return -1;
	int shm = rb_step_fd(s, fd);

	add_move(s, dev, target, "", "mounting /dev");
	for (size_t i = 0; i < RB_ARRAY_LEN(devices); i++) {
		if ((fd = clone_device(i, err)) < 0)
			return -1;
		add_move(s, rb_step_fd(s, fd), dev, devices[i].name, "mounting a device in /dev");
	}
	add_move(s, pts, dev, "pts", "mounting /dev/pts");
	add_move(s, shm, dev, "shm", "mounting /dev/shm");
	struct rb_op *op = rb_step_op(s, RB_OP_MOUNT, "mounting /dev/mqueue");
	op->from = "mqueue";
	op->dst = dev;
	op->path = "mqueue";
	op->attrs = NOTHING;
	if (s->spec->script_name)
		add_bind(s, dev, SCRIPT_DIR, dev, SCRIPT_DIR,
			 RB_MOUNT_ATTR_RDONLY | RB_MOUNT_ATTR_NOSUID | RB_MOUNT_ATTR_NODEV,
			 "mounting the script of the step");
	return 0;
}

/* Hides what exists below a mounted tree. `host` is where the same tree is seen now. */
static void add_masks(struct rb_step *s, int dev, int tree, const char *host,
		      const char *const *names, size_t n, const char *what)
{
	RB_CLEANUP(rb_closep) int dir = open(host, O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct stat st;

	for (size_t i = 0; i < n; i++) {
		if (fstatat(dir, names[i], &st, AT_SYMLINK_NOFOLLOW) < 0)
			continue; /* not on this kernel */
		add_bind(s, dev, S_ISDIR(st.st_mode) ? EMPTY_TMP : "null", tree, names[i], NODE,
			 what);
	}
}

static void add_proc(struct rb_step *s, int dev, int proc, int target)
{
	struct stat st;

	add_move(s, proc, target, "", "mounting /proc");
	add_masks(s, dev, proc, "/proc", proc_masked, RB_ARRAY_LEN(proc_masked),
		  "hiding a file in /proc");
	for (size_t i = 0; i < RB_ARRAY_LEN(proc_read_only); i++) {
		RB_CLEANUP(rb_strp) char *path = rb_asprintf("/proc/%s", proc_read_only[i]);

		if (lstat(path, &st) == 0)
			add_bind(s, proc, proc_read_only[i], proc, proc_read_only[i],
				 RB_MOUNT_ATTR_RDONLY | NOTHING,
				 "making a part of /proc read-only");
	}
}

/* A file system that the child must make in its own namespaces, before the old root goes. */
static int add_prepare(struct rb_step *s, const char *type, unsigned attrs, const char *what)
{
	struct rb_op *op = rb_step_op(s, RB_OP_PREPARE, what);

	op->from = type;
	op->attrs = attrs;
	op->dst = rb_step_fd(s, -1);
	return op->dst;
}

static int prepare_proc(struct rb_step *s, struct rb_error **err)
{
	if (!proc_refused)
		return add_prepare(s, "proc", NOTHING, "making a /proc");
	int fd = clone_host_tree("/proc", 0, err);
	return fd < 0 ? -1 : rb_step_fd(s, fd);
}

static int prepare_sys(struct rb_step *s, struct rb_error **err)
{
	unsigned attrs = RB_MOUNT_ATTR_RDONLY | NOTHING;

	/* sysfs shows the network namespace it was mounted in and is refused in one of others. */
	if (s->spec->network != RB_NET_HOST && !sys_refused)
		return add_prepare(s, "sysfs", attrs, "making a /sys");
	int fd = clone_host_tree("/sys", attrs, err);
	return fd < 0 ? -1 : rb_step_fd(s, fd);
}

static void add_cleanup(struct rb_step *s, int dev, const char *name, unsigned flags)
{
	struct rb_op *op = rb_step_op(s, RB_OP_UNLINK, "tidying /dev");

	op->dst = dev;
	op->path = name;
	op->attrs = flags;
}

/* Where a step's mounts go, found (or made) in its root. */
struct targets {
	int hosts, resolv, proc, dev, sys; /* indices */
};

static int open_target(struct rb_step *s, const char *path, bool is_dir, int *ret,
		       struct rb_error **err)
{
	/* /etc/resolv.conf is a link in many images; /proc, /sys and /dev never are. */
	int fd = rb_target_open(s->spec->root_fd, path, is_dir, !is_dir, &s->stubs, err);

	if (fd < 0)
		return -1;
	*ret = rb_step_fd(s, fd);
	return 0;
}

static int open_targets(struct rb_step *s, struct targets *t, struct rb_error **err)
{
	/* The files first: their links may lead below the directories. */
	if (open_target(s, "/etc/hosts", false, &t->hosts, err) < 0 ||
	    open_target(s, "/etc/resolv.conf", false, &t->resolv, err) < 0 ||
	    open_target(s, "/proc", true, &t->proc, err) < 0 ||
	    open_target(s, "/dev", true, &t->dev, err) < 0 ||
	    open_target(s, "/sys", true, &t->sys, err) < 0)
		return -1;
	return 0;
}

/* Before /sys is made, which shows it. */
static int add_network(struct rb_step *s, struct rb_error **err)
{
	if (s->spec->network != RB_NET_PRIVATE)
		return 0;
	int fd = fcntl(s->spec->net_fd, F_DUPFD_CLOEXEC, 3);
	if (fd < 0)
		return rb_fail_errno(err, "cannot use the network of the step");
	rb_step_op(s, RB_OP_NETNS, "entering the step's network")->src = rb_step_fd(s, fd);
	return 0;
}

/* Unless the caller mounts there: what is mounted over cannot be tidied away. */
static void add_network_file(struct rb_step *s, const char *from, int target, const char *path)
{
	for (size_t i = 0; i < s->spec->n_mounts; i++)
		if (rb_streq(s->spec->mounts[i].target, path))
			return;
	add_bind(s, s->dev, from, target, "", RB_MOUNT_ATTR_RDONLY | NOTHING,
		 "mounting a file about the network");
}

int rb_step_add_mounts(struct rb_step *s, struct rb_error **err)
{
	struct targets t;
	int fd = fcntl(s->spec->root_fd, F_DUPFD_CLOEXEC, 3);

	if (fd < 0)
		return rb_fail_errno(err, "cannot use the root of the step");
	int root = rb_step_fd(s, fd);
	if (open_targets(s, &t, err) < 0 || (fd = new_dev(s->spec, err)) < 0)
		return -1;
	s->dev = rb_step_fd(s, fd);
	if (add_network(s, err) < 0)
		return -1;
	int proc = prepare_proc(s, err), sys = proc < 0 ? -1 : prepare_sys(s, err);
	if (sys < 0)
		return -1;
	rb_step_op(s, RB_OP_ENTER, "entering the root of the step")->src = root;
	if (add_dev(s, s->dev, t.dev, err) < 0)
		return -1;
	add_network_file(s, HOSTS_TMP, t.hosts, "/etc/hosts");
	add_network_file(s, RESOLV_TMP, t.resolv, "/etc/resolv.conf");
	add_proc(s, s->dev, proc, t.proc);
	add_move(s, sys, t.sys, "", "mounting /sys");
	add_masks(s, s->dev, sys, "/sys", sys_masked, RB_ARRAY_LEN(sys_masked),
		  "hiding a part of /sys");
	if (rb_step_add_extra(s, err) < 0)
		return -1;
	add_cleanup(s, s->dev, HOSTS_TMP, 0);
	add_cleanup(s, s->dev, RESOLV_TMP, 0);
	add_cleanup(s, s->dev, EMPTY_TMP, AT_REMOVEDIR);
	return 0;
}
