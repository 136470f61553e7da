// SPDX-License-Identifier: Apache-2.0
/* Why user namespaces are refused here, and the line that changes it. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <linux/capability.h>

#include "base/child.h"
#include "host/host-internal.h"

enum { MODE_SECCOMP_FILTER = 2, EXE_PATH_MAX = 64 << 10 };

void rb_obstacle_clear(struct rb_obstacle *o)
{
	free(o->why);
	free(o->unlock);
	*o = (struct rb_obstacle){0};
}

/* --- lines --- */

const char *rb_host_sudo(void)
{
	return geteuid() == 0 ? "" : "sudo ";
}

char *rb_host_install_line(const char *package, bool *ret_by_hand)
{
	static const struct {
		const char *program, *command;
	} managers[] = {
		{"apt-get", "install"}, {"dnf", "install"}, {"zypper", "install"},
		{"apk", "add"},         {"pacman", "-S"},
	};
	static const struct {
		const char *package, *v[RB_ARRAY_LEN(managers)];
	} names[] = {
		{"uidmap", {"uidmap", "shadow-utils", "shadow", "shadow-uidmap", "shadow"}},
		{"getsubids",
		 {"uidmap", "shadow-utils-subid", "shadow", "shadow-uidmap", "shadow"}},
	};

	for (size_t m = 0; m < RB_ARRAY_LEN(managers); m++) {
		RB_CLEANUP(rb_strp) char *path = rb_find_program(managers[m].program);

		if (!path)
			continue;
		for (size_t i = 0; i < RB_ARRAY_LEN(names); i++)
			if (rb_streq(names[i].package, package))
				package = names[i].v[m];
		return rb_asprintf("%s%s %s %s", rb_host_sudo(), managers[m].program,
				   managers[m].command, package);
	}
	*ret_by_hand = true;
	return rb_asprintf("install the package %s", package);
}

static bool in_container(void)
{
	return getenv("container") || getenv("KUBERNETES_SERVICE_HOST") ||
	       access("/run/.containerenv", F_OK) == 0 || access("/.dockerenv", F_OK) == 0;
}

char *rb_host_container_line(const char *option, const char *pod)
{
	if (getenv("KUBERNETES_SERVICE_HOST"))
		return rb_asprintf("put %s into the securityContext of the container", pod);
	return rb_asprintf("start the container with %s", option);
}

char *rb_host_apparmor_line(const char *path)
{
	RB_CLEANUP(rb_buf_clear) struct rb_buf b = RB_BUF_INIT;
	const char *sudo = rb_host_sudo();

	/* AppArmor's own quotes and patterns first, then those of the shell. */
	for (; *path; path++) {
		if (strchr("\\\"*?[]{}^@", *path))
			rb_buf_addch(&b, '\\');
		if (*path == '\'')
			rb_buf_addstr(&b, "'\\'");
		rb_buf_addch(&b, *path);
	}
	return rb_asprintf("printf '%%s\\n' 'abi <abi/4.0>,' 'profile rbuild \"%s\" "
			   "flags=(unconfined) {' '  userns,' '}' | %stee /etc/apparmor.d/rbuild "
			   "&& %sapparmor_parser -r /etc/apparmor.d/rbuild",
			   b.ptr, sudo, sudo);
}

/* --- causes --- */

static bool says(const char *path, const char *value)
{
	RB_CLEANUP(rb_buf_clear) struct rb_buf text = RB_BUF_INIT;

	/* A kernel without this switch has no such file, and then it is not the reason. */
	rb_host_read(path, &text);
	return rb_slice_eq((struct rb_slice){text.ptr, strcspn(text.ptr, "\n")}, value);
}

/* The label of this process without its mode, "" when no security module gives one. */
static char *security_label(void)
{
	RB_CLEANUP(rb_buf_clear) struct rb_buf text = RB_BUF_INIT;

	rb_host_read("/proc/self/attr/current", &text);
	return rb_strndup(text.ptr, strcspn(text.ptr, "\n"));
}

static bool no_kernel_support(int e, struct rb_obstacle *ret)
{
	(void)e;
	if (access("/proc/self/ns/user", F_OK) == 0 || access("/proc/self/ns", F_OK) < 0)
		return false;
	ret->why = rb_strdup("this kernel is built without user namespaces");
	ret->unlock = rb_strdup("boot a kernel with CONFIG_USER_NS=y");
	ret->by_hand = true;
	return true;
}

static bool switched_off(int e, struct rb_obstacle *ret)
{
	static const char *const kinds[] = {"user", "mnt", "pid", "ipc", "uts", "cgroup"};

	(void)e;
	for (size_t i = 0; i < RB_ARRAY_LEN(kinds); i++) {
		RB_CLEANUP(rb_strp)
		char *path = rb_asprintf("/proc/sys/user/max_%s_namespaces", kinds[i]);

		if (!says(path, "0"))
			continue;
		ret->why = rb_asprintf("%s namespaces are switched off (user.max_%s_namespaces = "
				       "0)",
				       kinds[i], kinds[i]);
		ret->unlock = rb_asprintf("%ssysctl -w user.max_%s_namespaces=15000",
					  rb_host_sudo(), kinds[i]);
		return true;
	}
	return false;
}

static bool for_root_only(int e, struct rb_obstacle *ret)
{
	(void)e;
	if (!says("/proc/sys/kernel/unprivileged_userns_clone", "0"))
		return false;
	ret->why = rb_strdup("user namespaces are for root only "
			     "(kernel.unprivileged_userns_clone = 0)");
	ret->unlock = rb_asprintf("%ssysctl -w kernel.unprivileged_userns_clone=1", rb_host_sudo());
	return true;
}

static bool apparmor_restriction(int e, struct rb_obstacle *ret)
{
	static const char path[] = "/proc/sys/kernel/apparmor_restrict_unprivileged_userns";
	RB_CLEANUP(rb_strp) char *label = security_label();
	RB_CLEANUP(rb_strp) char *exe = NULL;

	(void)e;
	/* A process under a profile of its own is judged by that. */
	if (access(path, F_OK) < 0 || says(path, "0") ||
	    (*label && !rb_starts_with(label, "unconfined")))
		return false;
	exe = rb_calloc(1, EXE_PATH_MAX);
	if (readlink("/proc/self/exe", exe, EXE_PATH_MAX - 1) < 0)
		return false;
	ret->why = rb_strdup("AppArmor lets only listed programs mount in a user namespace "
			     "(kernel.apparmor_restrict_unprivileged_userns = 1)");
	ret->unlock = rb_host_apparmor_line(exe);
	return true;
}

static bool security_module(int e, struct rb_obstacle *ret)
{
	RB_CLEANUP(rb_strp) char *label = security_label();
	bool selinux = access("/sys/fs/selinux", F_OK) == 0 || strchr(label, ':');

	if (e != EACCES || !*label || rb_starts_with(label, "unconfined") ||
	    strstr(label, "(unconfined)"))
		return false;
	ret->why = rb_asprintf("%s refuses user namespaces or mounts to this process, whose %s is "
			       "%s",
			       selinux ? "SELinux" : "AppArmor", selinux ? "context" : "profile",
			       label);
	ret->unlock = selinux ? rb_host_container_line("--security-opt label=disable",
						       "seLinuxOptions: {type: spc_t}")
			      : rb_host_container_line("--security-opt apparmor=unconfined",
						       "appArmorProfile: {type: Unconfined}");
	ret->by_hand = true;
	return true;
}

/* create_user_ns(9) refuses a process whose root is not the root of its mount namespace. */
static bool inside_chroot(int e, struct rb_obstacle *ret)
{
	RB_CLEANUP(rb_buf_clear) struct rb_buf text = RB_BUF_INIT;

	rb_host_read("/proc/self/mountinfo", &text);
	if (e != EPERM || !text.len || rb_mount_shows_root(text.ptr))
		return false;
	ret->why = rb_strdup("rbuild runs inside a chroot, where the kernel refuses user "
			     "namespaces");
	ret->unlock = rb_strdup("run rbuild outside of the chroot, or enter it by pivot_root "
				"(systemd-nspawn, bwrap)");
	ret->by_hand = true;
	return true;
}

static bool seccomp_filter(int e, struct rb_obstacle *ret)
{
	(void)e;
	if (prctl(PR_GET_SECCOMP) != MODE_SECCOMP_FILTER)
		return false;
	ret->why = rb_strdup("a seccomp filter around this process forbids user namespaces or "
			     "mounts");
	ret->unlock = in_container()
			      ? rb_host_container_line("--security-opt seccomp=unconfined, or with "
						       "a profile that allows clone, unshare and "
						       "mount",
						       "seccompProfile: {type: Unconfined}")
			      : rb_strdup("run rbuild outside of that filter: in a container with "
					  "--security-opt seccomp=unconfined, in a service without "
					  "RestrictNamespaces= and SystemCallFilter=");
	ret->by_hand = true;
	return true;
}

/* Linux 5.12: only who may set file capabilities may map root. */
static bool root_without_setfcap(int e, struct rb_obstacle *ret)
{
	if (e != EPERM || geteuid() != 0 || prctl(PR_CAPBSET_READ, CAP_SETFCAP) != 0)
		return false;
	ret->why = rb_strdup("root without CAP_SETFCAP may not map itself into a user namespace");
	ret->unlock = rb_host_container_line("--cap-add SETFCAP", "capabilities: {add: [SETFCAP]}");
	ret->by_hand = true;
	return true;
}

static bool used_up(int e, struct rb_obstacle *ret)
{
	if (e != ENOSPC && e != EUSERS)
		return false;
	ret->why = rb_strdup("the number of user namespaces allowed is used up, or they are "
			     "nested too deep");
	ret->unlock = rb_asprintf("%ssysctl -w user.max_user_namespaces=100000", rb_host_sudo());
	return true;
}

void rb_host_explain_userns(const struct rb_error *cause, struct rb_obstacle *ret)
{
	/* In this order: a switch that is off explains more than a filter that is there. */
	static bool (*const causes[])(int e, struct rb_obstacle *ret) = {
		no_kernel_support,    switched_off,         for_root_only,
		root_without_setfcap, apparmor_restriction, security_module,
		inside_chroot,        seccomp_filter,       used_up,
	};
	RB_CLEANUP(rb_strp) char *text = rb_error_text(cause);

	while (cause->cause)
		cause = cause->cause;
	for (size_t i = 0; i < RB_ARRAY_LEN(causes); i++)
		if (causes[i](cause->sys_errno, ret))
			return;
	/* A chroot into a mount of its own cannot be told from a root directory. */
	ret->why = rb_asprintf("the kernel refuses a user namespace with mounts (%s)%s", text,
			       cause->sys_errno == EPERM ? "; it does so in a chroot" : "");
}
