// SPDX-License-Identifier: Apache-2.0
#include "exec/network.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/child.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/sys.h"
#include "exec/exec-internal.h"

#define ADDRESS "10.0.2.100"
#define NETMASK "255.255.255.0"
#define DEVICE  "eth0"
#define MTU     "65520" /* the largest that both take: nothing on the way is an Ethernet */

enum {
	READY_MS = 10000, /* a helper takes 20 to 60; only a hanging one is waited for that long */
	COMPLAINT_MAX = 4096,
	BOOT_ID_MAX = 64,
};

struct rb_netns {
	int fd;
	bool taken;
	struct rb_child helper;
	struct rb_netns *next;
};

struct rb_networks {
	const struct rb_host *host; /* borrowed */
	bool host_gateway;
	bool proved; /* a helper has worked since the boot */
	int cache_fd;
	struct rb_netns *list; /* owned */
	char *why_not;         /* NULL: not known to be impossible; owned */
};

/* --- what is known since the boot --- */

#define PROOF "network"

static char *boot_id(void)
{
	struct rb_buf text = RB_BUF_INIT;
	struct rb_error *why = NULL;

	if (rb_read_file_at(AT_FDCWD, "/proc/sys/kernel/random/boot_id", BOOT_ID_MAX, &text, &why) <
	    0)
		rb_error_drop(&why); /* then nothing is remembered */
	return rb_buf_steal(&text);
}

static bool is_proved(int cache_fd)
{
	RB_CLEANUP(rb_strp) char *boot = boot_id();
	RB_CLEANUP(rb_buf_clear) struct rb_buf text = RB_BUF_INIT;
	struct rb_error *why = NULL;

	if (rb_read_file_at(cache_fd, PROOF, BOOT_ID_MAX, &text, &why) < 0)
		rb_error_drop(&why); /* not yet */
	return *boot && rb_streq(text.ptr, boot);
}

static void note(struct rb_networks *n, bool works)
{
	RB_CLEANUP(rb_strp) char *boot = boot_id();
	struct rb_error *why = NULL;

	if (n->proved == works)
		return;
	n->proved = works;
	if (!works)
		(void)unlinkat(n->cache_fd, PROOF, 0);
	else if (rb_publish_at(n->cache_fd, PROOF, boot, strlen(boot), 0600, &why) < 0)
		rb_error_drop(&why); /* then the next build finds out anew */
}

struct rb_networks *rb_networks_new(const struct rb_host *host, bool host_gateway, int cache_fd)
{
	struct rb_networks *n = rb_calloc(1, sizeof(*n));

	n->host = host;
	n->host_gateway = host_gateway;
	n->cache_fd = fcntl(cache_fd, F_DUPFD_CLOEXEC, 3);
	n->proved = is_proved(cache_fd);
	return n;
}

static void netns_free(struct rb_netns *ns)
{
	if (!ns)
		return;
	rb_child_kill(&ns->helper);
	rb_closep(&ns->fd);
	free(ns);
}

static void netns_freep(struct rb_netns **ns)
{
	netns_free(*ns);
}

void rb_networks_free(struct rb_networks *n)
{
	if (!n)
		return;
	for (struct rb_netns *next, *ns = n->list; ns; ns = next) {
		next = ns->next;
		netns_free(ns);
	}
	rb_closep(&n->cache_fd);
	free(n->why_not);
	free(n);
}

/* --- helpers --- */

/* What a helper is started with: the namespace is its standard input; it writes to `ready_fd` when
 * it serves. */
typedef void helper_argv_fn(const struct rb_networks *n, int ready_fd, struct rb_strv *ret);

/* The port options keep it from connecting the loopbacks of both sides, as it would by itself. */
static void pasta_argv(const struct rb_networks *n, int ready_fd, struct rb_strv *ret)
{
	static const char *const args[] = {"pasta",           "--foreground",
					   "--quiet",         "--config-net",
					   "--ns-ifname",     DEVICE,
					   "--address",       ADDRESS,
					   "--netmask",       NETMASK,
					   "--gateway",       RB_NETWORK_GATEWAY,
					   "--tcp-ports",     "none",
					   "--udp-ports",     "none",
					   "--tcp-ns",        "none",
					   "--udp-ns",        "none",
					   "--mtu",           MTU,
					   "--runas",         "0:0",
					   "--no-netns-quit", "--netns",
					   "/proc/self/fd/0"};

	for (size_t i = 0; i < RB_ARRAY_LEN(args); i++)
		rb_strv_add(ret, args[i]);
	RB_CLEANUP(rb_buf_clear) struct rb_buf resolv = RB_BUF_INIT;
	rb_resolv_read(&resolv);
	if (rb_resolv_is_local(resolv.ptr)) {
		rb_strv_add(ret, "--dns-forward");
		rb_strv_add(ret, RB_NETWORK_DNS);
	}
	if (!n->host_gateway)
		rb_strv_add(ret, "--no-map-gw");
	rb_strv_add(ret, "--pid");
	rb_strv_addf(ret, "/proc/self/fd/%d", ready_fd);
}

static void slirp_argv(const struct rb_networks *n, int ready_fd, struct rb_strv *ret)
{
	static const char *const args[] = {"slirp4netns",      "--configure",
					   "--mtu=" MTU,       "--enable-sandbox",
					   "--enable-seccomp", "--netns-type=path"};

	for (size_t i = 0; i < RB_ARRAY_LEN(args); i++)
		rb_strv_add(ret, args[i]);
	if (!n->host_gateway)
		rb_strv_add(ret, "--disable-host-loopback");
	rb_strv_addf(ret, "--ready-fd=%d", ready_fd);
	rb_strv_add(ret, "/proc/self/fd/0");
	rb_strv_add(ret, DEVICE);
}

#define CAP_BIT(cap) ((uint64_t)1 << (cap))

/*
 * Both enter the namespace, make a tap device there, and then lock themselves up: an empty root, a
 * filter, no privilege. What they need until then is all they can get.
 */
static const struct helper {
	const char *name;
	helper_argv_fn *argv;
	bool ready_on_stdout;
	uint64_t caps;
} helpers[] = {
	/* Newer versions close all but the standard descriptors first. */
	{"pasta", pasta_argv, true, CAP_BIT(CAP_SYS_ADMIN) | CAP_BIT(CAP_NET_ADMIN)},
	/* Its standard output tells of other things. CAP_SETPCAP: it empties its bounding set, and
	 * keeps CAP_NET_BIND_SERVICE, or ends. */
	{"slirp4netns", slirp_argv, false,
	 CAP_BIT(CAP_SYS_ADMIN) | CAP_BIT(CAP_NET_ADMIN) | CAP_BIT(CAP_NET_BIND_SERVICE) |
		 CAP_BIT(CAP_SETPCAP)},
};

/* The last line that a helper has said, or nothing. */
static void read_complaint(int fd, struct rb_buf *ret)
{
	char text[COMPLAINT_MAX];
	ssize_t n = read(fd, text, sizeof(text));

	while (n > 0 && (text[n - 1] == '\n' || text[n - 1] == ' '))
		n--;
	const char *line = n > 0 ? memrchr(text, '\n', (size_t)n) : NULL;
	line = line ? line + 1 : text;
	if (n > 0)
		rb_buf_add(ret, line, (size_t)(text + n - line));
}

/* Until it serves: 0, or -1 with the reason. */
static int wait_ready(const struct helper *h, int ready_fd, int complaint_fd, struct rb_error **err)
{
	RB_CLEANUP(rb_buf_clear) struct rb_buf why = RB_BUF_INIT;
	struct pollfd p = {.fd = ready_fd, .events = POLLIN};
	char byte;
	int r;

	while ((r = poll(&p, 1, READY_MS)) < 0 && errno == EINTR)
		;
	if (r > 0 && read(ready_fd, &byte, 1) == 1)
		return 0;
	read_complaint(complaint_fd, &why);
	return rb_fail(err, RB_ERR_UNSUPPORTED, "%s %s%s%s", h->name,
		       r == 0 ? "did not get ready" : "ended", why.len ? ": " : "", why.ptr);
}

static int start_helper(const struct rb_networks *n, const struct helper *h, struct rb_netns *ns,
			struct rb_error **err)
{
	static const char *const env[] = {"PATH=/usr/bin:/usr/sbin:/bin:/sbin", NULL};
	RB_CLEANUP(rb_strv_clear) struct rb_strv argv = RB_STRV_INIT;
	int ready[2], said[2], r = rb_pipe(ready);

	if (r < 0)
		return rb_fail_sys(err, r, "cannot make a pipe");
	RB_CLEANUP(rb_closep) int ready_in = ready[0];
	RB_CLEANUP(rb_closep) int ready_out = ready[1];
	if ((r = rb_pipe(said)) < 0)
		return rb_fail_sys(err, r, "cannot make a pipe");
	RB_CLEANUP(rb_closep) int said_in = said[0];
	RB_CLEANUP(rb_closep) int said_out = said[1];
	/* Nobody reads it later: what does not fit is lost, and must not stop the helper. */
	(void)fcntl(said_in, F_SETFL, O_NONBLOCK);
	(void)fcntl(said_out, F_SETFL, O_NONBLOCK);
	h->argv(n, h->ready_on_stdout ? STDOUT_FILENO : ready_out, &argv);
	const struct rb_spawn spec = {
		.argv = (const char *const *)rb_strv_argv(&argv),
		.envp = env,
		.stdin_fd = ns->fd,
		.stdout_fd = h->ready_on_stdout ? ready_out : -1,
		.stderr_fd = said_out,
		.keep_fds = &ready_out,
		.n_keep_fds = !h->ready_on_stdout,
		.bounding = h->caps,
	};
	if (rb_spawn(&spec, false, &ns->helper, err) < 0)
		return -1;
	rb_closep(&ready_out);
	rb_closep(&said_out);
	if (wait_ready(h, ready_in, said_in, err) == 0)
		return 0;
	rb_child_kill(&ns->helper);
	return -1;
}

/* Of two errors the first, but what a helper complained of tells more than that one is missing. */
static void keep_telling(struct rb_error **first, struct rb_error **now)
{
	if (*first && ((*now)->code == RB_ERR_NOTFOUND || (*first)->code != RB_ERR_NOTFOUND)) {
		rb_error_drop(now);
		return;
	}
	rb_error_drop(first);
	*first = rb_steal_ptr(now);
}

static bool is_any_installed(void)
{
	for (size_t i = 0; i < RB_ARRAY_LEN(helpers); i++) {
		RB_CLEANUP(rb_strp) char *path = rb_find_program(helpers[i].name);

		if (path)
			return true;
	}
	return false;
}

int rb_netns_connect(struct rb_networks *n, struct rb_netns *ns, struct rb_error **err)
{
	RB_CLEANUP(rb_error_freep) struct rb_error *first = NULL;

	for (size_t i = 0; i < RB_ARRAY_LEN(helpers) && !rb_netns_is_connected(ns); i++) {
		struct rb_error *why = NULL;

		if (start_helper(n, &helpers[i], ns, &why) < 0)
			keep_telling(&first, &why);
	}
	note(n, rb_netns_is_connected(ns));
	if (rb_netns_is_connected(ns))
		return 0;
	*err = rb_steal_ptr(&first);
	return -1;
}

bool rb_netns_is_connected(const struct rb_netns *ns)
{
	return ns->helper.pid != 0;
}

/* --- namespaces --- */

static void put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	/* Where /proc/sys is read-only, ping and low ports are not for steps: that is all. */
	if (fd < 0)
		return;
	(void)!write(fd, text, strlen(text));
	(void)close(fd);
}

int rb_loopback_up(void)
{
	struct ifreq req = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), r;

	if (fd < 0)
		return -errno;
	r = ioctl(fd, SIOCSIFFLAGS, &req) < 0 ? -errno : 0;
	(void)close(fd);
	return r;
}

/* In a child that is in the new namespace and ends when it has been opened. */
static void RB_NORETURN furnish(const char *groups, int done_fd)
{
	int32_t e = -rb_loopback_up();

	put("/proc/sys/net/ipv4/ip_unprivileged_port_start", "0");
	put("/proc/sys/net/ipv4/ping_group_range", groups);
	(void)rb_write_full(done_fd, &e, sizeof(e));
	(void)pause();
	_exit(0);
}

static int open_netns(const struct rb_child *child)
{
	RB_CLEANUP(rb_closep) int proc = rb_host_open_proc(child->pidfd, NULL);

	if (proc < 0)
		return proc;
	int fd = openat(proc, "ns/net", O_RDONLY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static int make_netns(const struct rb_host *host, struct rb_netns *ns, struct rb_error **err)
{
	RB_CLEANUP(rb_child_killp) struct rb_child child = RB_CHILD_INIT;
	int p[2], pidfd = -1, r = rb_pipe(p);
	int32_t e = EPIPE;

	if (r < 0)
		return rb_fail_sys(err, r, "cannot make a pipe");
	RB_CLEANUP(rb_closep) int done_in = p[0];
	RB_CLEANUP(rb_closep) int done_out = p[1];
	RB_CLEANUP(rb_strp)
	char *groups = rb_asprintf("0 %u", rb_id_map_limit(&host->gids) - 1);
	pid_t pid = rb_sys_clone(CLONE_NEWNET, &pidfd);
	if (pid == 0)
		furnish(groups, done_out);
	if (pid < 0)
		return rb_fail_sys(err, pid, "this host allows no network namespace");
	child = (struct rb_child){.pid = pid, .pidfd = pidfd};
	rb_closep(&done_out);
	if (rb_read_full(done_in, &e, sizeof(e)) != (ssize_t)sizeof(e) || e)
		return rb_fail_sys(err, -e, "cannot furnish a network namespace");
	ns->fd = open_netns(&child);
	return ns->fd < 0 ? rb_fail_sys(err, ns->fd, "cannot open a network namespace") : 0;
}

static struct rb_netns *new_netns(struct rb_networks *n, struct rb_error **err)
{
	RB_CLEANUP(netns_freep) struct rb_netns *ns = rb_calloc(1, sizeof(*ns));

	ns->fd = -1;
	ns->helper = (struct rb_child)RB_CHILD_INIT;
	if (!is_any_installed()) {
		(void)rb_fail(err, RB_ERR_UNSUPPORTED,
			      "neither pasta nor slirp4netns is installed");
		return NULL;
	}
	RB_CLEANUP(rb_closep) int tun = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
	if (tun < 0) {
		(void)rb_fail_errno(err, "cannot open /dev/net/tun");
		return NULL;
	}
	if (make_netns(n->host, ns, err) < 0)
		return NULL;
	return rb_steal_ptr(&ns);
}

/* --- the pool --- */

static bool is_alive(const struct rb_netns *ns)
{
	return !rb_netns_is_connected(ns) || !rb_pidfd_has_ended(ns->helper.pidfd);
}

/* A helper that has ended has left its namespace without a way out. */
static void remove_dead(struct rb_networks *n)
{
	for (struct rb_netns **at = &n->list; *at;) {
		struct rb_netns *ns = *at;

		if (ns->taken || is_alive(ns)) {
			at = &ns->next;
			continue;
		}
		*at = ns->next;
		netns_free(ns);
	}
}

/* A free one, or a new one, connected where that is due; NULL with *err. */
static struct rb_netns *find_free(struct rb_networks *n, bool now, struct rb_error **err)
{
	struct rb_netns *ns = n->list;

	while (ns && ns->taken)
		ns = ns->next;
	if (!ns) {
		ns = new_netns(n, err);
		if (!ns)
			return NULL;
		ns->next = n->list;
		n->list = ns;
	}
	return (now || !n->proved) && rb_netns_connect(n, ns, err) < 0 ? NULL : ns;
}

struct rb_netns *rb_networks_take(struct rb_networks *n, bool now, const char **why)
{
	struct rb_netns *ns = NULL;
	struct rb_error *err = NULL;

	remove_dead(n);
	if (!n->why_not && !(ns = find_free(n, now, &err))) {
		n->why_not = rb_error_text(err);
		rb_error_drop(&err);
	}
	if (!ns) {
		*why = n->why_not;
		return NULL;
	}
	ns->taken = true;
	return ns;
}

void rb_netns_give_back(struct rb_netns *ns)
{
	if (ns)
		ns->taken = false;
}

int rb_netns_fd(const struct rb_netns *ns)
{
	return ns->fd;
}

bool rb_networks_owns(const struct rb_networks *n, pid_t pid)
{
	for (const struct rb_netns *ns = n ? n->list : NULL; ns; ns = ns->next)
		if (ns->helper.pid == pid)
			return true;
	return false;
}
