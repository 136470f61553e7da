// SPDX-License-Identifier: Apache-2.0
/* What doctor prints about the machine. */
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/child.h"
#include "host/host-internal.h"

enum { KERNEL_MAJOR = 5, KERNEL_MINOR = 11, USUAL_IDS = 65536 };

static char *copy(const char *s)
{
	return s ? rb_strdup(s) : NULL;
}

static void check_kernel(struct rb_host *h)
{
	struct utsname u;
	unsigned major = 0, minor = 0;

	if (uname(&u) < 0 || sscanf(u.release, "%u.%u", &major, &minor) != 2)
		return;
	bool ok = major > KERNEL_MAJOR || (major == KERNEL_MAJOR && minor >= KERNEL_MINOR);
	rb_host_add_check(h, "kernel", ok,
			  rb_asprintf("Linux %s, %s%s", u.release, u.machine,
				      ok ? "" : ": overlays in user namespaces came with 5.11"),
			  ok ? NULL : rb_strdup("use Linux 5.11 or later"));
}

static void check_userns(struct rb_host *h, const struct rb_findings *f)
{
	rb_host_add_check(h, "user namespaces", !f->userns.why,
			  f->userns.why ? rb_strdup(f->userns.why)
					: rb_strdup("a user namespace with mounts works: RUN is "
						    "confined"),
			  copy(f->userns.unlock));
}

static void check_ids(struct rb_host *h, const struct rb_findings *f)
{
	uint32_t uids = rb_id_map_limit(&f->uids), gids = rb_id_map_limit(&f->gids);

	if (f->ids.why)
		rb_host_add_check(h, "subordinate ids", false,
				  rb_asprintf("%s: a step has one id only; owners are kept beside "
					      "the files",
					      f->ids.why),
				  copy(f->ids.unlock));
	else
		rb_host_add_check(h, "subordinate ids", true,
				  rb_asprintf("%u uids and %u gids%s", uids, gids,
					      uids < USUAL_IDS || gids < USUAL_IDS
						      ? "; owners beyond are kept beside the files"
						      : ""),
				  NULL);
}

static void check_helpers(struct rb_host *h, const struct rb_findings *f)
{
	if (f->privilege.why)
		rb_host_add_check(h, "helper privilege", false, rb_strdup(f->privilege.why),
				  copy(f->privilege.unlock));
	if (f->helpers.why)
		rb_host_add_check(h, "id helpers", false, rb_strdup(f->helpers.why),
				  copy(f->helpers.unlock));
	else if (f->set_ids && !f->ids.why)
		rb_host_add_check(
			h, "id helpers", true,
			rb_strdup("not needed: root maps ids by CAP_SETUID and CAP_SETGID"), NULL);
	else if (!f->set_ids)
		rb_host_add_check(h, "id helpers", true,
				  rb_asprintf("newuidmap and newgidmap %s",
					      h->rung == RB_RUNG_RANGE
						      ? "work"
						      : "are there, with setuid or capability"),
				  NULL);
}

static void check_supervisor(struct rb_host *h)
{
	static const char name[] = "emulated owners";
	bool other = h->notify_errno == EBUSY;

	if (h->can_notify)
		rb_host_add_check(
			h, name, true,
			rb_asprintf("seccomp user notification works%s%s%s",
				    h->rung == RB_RUNG_SINGLE
					    ? ": steps see root and all users; other users are "
					      "kept from changing files that are not theirs, not "
					      "from reading them"
					    : "",
				    h->notify_killable ? ""
						       : "; without WAIT_KILLABLE_RECV (Linux "
							 "5.19) signals repeat calls",
				    h->notify_sync ? ""
						   : "; without SYNC_WAKE_UP (Linux 6.6) it is "
						     "slower"),
			NULL);
	else if (h->notify_errno)
		rb_host_add_check(
			h, name, false,
			rb_asprintf("no seccomp user notification (%s)%s: a step cannot change "
				    "owners that its ids do not hold",
				    strerrordesc_np(h->notify_errno),
				    other ? ", as another supervisor watches this process already"
					  : ""),
			other ? rb_strdup("run rbuild outside of it: outside of a RUN, or in a "
					  "container whose engine intercepts no system calls")
			      : rb_strdup("use Linux 5.0 or later, and in a container a seccomp "
					  "profile that allows seccomp()"));
	else
		rb_host_add_check(
			h, name, false,
			rb_asprintf("processes may not look into each other (%s): a step cannot "
				    "change owners that its ids do not hold",
				    strerrordesc_np(h->inspect_errno)),
			h->inspect_errno == ENOSYS
				? rb_strdup("use Linux 5.6 or later")
				: rb_strdup("kernel.yama.ptrace_scope must be below 3 (set at "
					    "boot), and in a container the seccomp profile must "
					    "allow pidfd_getfd and process_vm_readv"));
}

/* The trials run inside the namespace, as its pid 1, and return an errno. */
static int try_proc(void *ctx)
{
	(void)ctx;
	return mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) < 0 ? errno
											  : 0;
}

static int try_network(void *ctx)
{
	(void)ctx;
	return unshare(CLONE_NEWNET) < 0 ? errno : 0;
}

static int inside(const struct rb_host *h, int (*fn)(void *))
{
	struct rb_error *err = NULL;
	int r = rb_host_enter(h, fn, NULL, &err);

	rb_error_drop(&err); /* the check on user namespaces says it already */
	return r;
}

static void check_proc(struct rb_host *h)
{
	int e = inside(h, try_proc);
	const char *cost = h->rung == RB_RUNG_SINGLE
				   ? "the supervisor of a step needs one, so no RUN works"
				   : "steps see the processes outside their pid namespace in "
				     "/proc, and cannot give files to ids that they do not have";

	rb_host_add_check(
		h, "procfs", e == 0,
		e ? rb_asprintf("a fresh /proc is refused (%s), as the outer one is partly hidden: "
				"%s",
				strerrordesc_np(e), cost)
		  : rb_strdup("each step has a /proc of its own"),
		e ? rb_host_container_line("--security-opt unmask=ALL (podman) or --security-opt "
					   "systempaths=unconfined (docker)",
					   "procMount: Unmasked")
		  : NULL);
}

/* The helpers need the device; a container has none, and some distributions keep it for root. */
static void check_network_helpers(struct rb_host *h, const char *helper)
{
	bool by_hand;

	if (!helper)
		rb_host_add_check(
			h, "network helpers", false,
			rb_strdup("neither pasta nor slirp4netns is installed: steps have no "
				  "network of their own"),
			rb_host_install_line("passt", &by_hand));
	else if (access("/dev/net/tun", R_OK | W_OK) < 0)
		rb_host_add_check(h, "network helpers", false,
				  rb_asprintf("%s is there, but cannot open /dev/net/tun (%s)",
					      helper, strerrordesc_np(errno)),
				  errno == EACCES
					  ? rb_asprintf("%schmod 666 /dev/net/tun", rb_host_sudo())
					  : rb_asprintf("%smodprobe tun (in a container: start it "
							"with --device /dev/net/tun)",
							rb_host_sudo()));
	else
		rb_host_add_check(h, "network helpers", true, rb_strdup(helper), NULL);
}

static void check_network(struct rb_host *h)
{
	int e = inside(h, try_network);
	RB_CLEANUP(rb_strp) char *pasta = rb_find_program("pasta");
	RB_CLEANUP(rb_strp) char *slirp = rb_find_program("slirp4netns");
	const char *helper = pasta ? pasta : slirp;
	bool own = !e && helper && access("/dev/net/tun", R_OK | W_OK) == 0;

	/* What is so by design and should be known (threats S44). */
	rb_host_add_check(
		h, "network", e == 0,
		own ? rb_strdup("steps have networks of their own: services on this host's "
				"localhost and abstract sockets are out of their reach")
		    : rb_asprintf("steps share this host's network: they reach services on "
				  "localhost and abstract sockets; RUN --network=none %s%s%s",
				  e ? "is not possible (" : "does not", e ? strerrordesc_np(e) : "",
				  e ? ")" : ""),
		e == ENOSPC
			? rb_asprintf("%ssysctl -w user.max_net_namespaces=15000", rb_host_sudo())
			: NULL);
	check_network_helpers(h, helper);
}

static void check_bootstrap(struct rb_host *h)
{
	RB_CLEANUP(rb_strp) char *path = rb_find_program("mmdebstrap");
	bool by_hand;

	if (!path)
		rb_host_add_check(
			h, "bootstrap", false,
			rb_strdup("mmdebstrap is not installed: no base images from packages"),
			rb_host_install_line("mmdebstrap", &by_hand));
	else if (h->rung != RB_RUNG_RANGE)
		rb_host_add_check(h, "bootstrap", false,
				  rb_strdup("mmdebstrap needs subordinate ids; a root file system "
					    "made elsewhere can be imported"),
				  rb_strdup("rbuild import rootfs.tar debian:bookworm"));
	else
		rb_host_add_check(h, "bootstrap", true, rb_steal_ptr(&path), NULL);
}

static void check_git(struct rb_host *h)
{
	RB_CLEANUP(rb_strp) char *path = rb_find_program("git");
	bool by_hand;

	if (path)
		rb_host_add_check(h, "git", true, rb_steal_ptr(&path), NULL);
	else
		rb_host_add_check(h, "git", false,
				  rb_strdup("git is not installed: no repositories as contexts or "
					    "for ADD"),
				  rb_host_install_line("git", &by_hand));
}

/* With one id setgroups is denied for good (threats S44). */
static void note_groups(struct rb_host *h)
{
	if (h->rung == RB_RUNG_SINGLE && getgroups(0, NULL) > 0)
		rb_host_add_check(h, "groups", true,
				  rb_strdup("with one id the kernel denies setgroups: what your "
					    "supplementary groups may read, steps may"),
				  NULL);
}

void rb_host_doctor(const char *store_path, struct rb_host *ret)
{
	RB_CLEANUP(rb_findings_clear) struct rb_findings f = {0};
	struct rb_host h = {0};

	rb_host_decide(NULL, &h, &f);
	check_kernel(&h);
	check_userns(&h, &f);
	check_ids(&h, &f);
	check_helpers(&h, &f);
	if (h.rung != RB_RUNG_NONE) {
		check_supervisor(&h);
		check_proc(&h);
		check_network(&h);
		note_groups(&h);
	}
	if (store_path)
		rb_host_check_store(store_path, &h);
	check_bootstrap(&h);
	check_git(&h);
	*ret = h;
}
