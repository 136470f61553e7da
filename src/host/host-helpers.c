// SPDX-License-Identifier: Apache-2.0
/* newuidmap and newgidmap: whether they are there and can have the privilege that they need. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <linux/capability.h>

#include "base/child.h"
#include "base/fd.h"
#include "host/host-internal.h"

enum { OVERFLOW_UID = 65534 };

struct helper {
	const char *name, *cap_name;
	int cap;
};
static const struct helper helpers[] = {
	{"newuidmap", "cap_setuid", CAP_SETUID},
	{"newgidmap", "cap_setgid", CAP_SETGID},
};

static bool explain_mount(const char *path, const char *option, struct rb_obstacle *ret)
{
	RB_CLEANUP(rb_mount_clear) struct rb_mount m = {0};
	RB_CLEANUP(rb_closep) int fd = open(path, O_PATH | O_CLOEXEC);
	RB_CLEANUP(rb_strp) char *options = NULL;
	RB_CLEANUP(rb_strp) char *word = rb_asprintf(",%s,", option);

	if (fd < 0 || !rb_mount_of_fd(fd, &m))
		return false;
	options = rb_asprintf(",%s,", m.options);
	if (!strstr(options, word))
		return false;
	ret->why = rb_asprintf("%s cannot serve, because %s is mounted with %s", path, m.point,
			       option);
	ret->unlock =
		rb_asprintf("%smount -o remount,bind,%s %s", rb_host_sudo(), option + 2, m.point);
	return true;
}

/* rb_find_program() passes over what is there but cannot be executed. */
static void explain_missing(const struct helper *t, struct rb_obstacle *ret)
{
	RB_CLEANUP(rb_strp) char *usual = rb_asprintf("/usr/bin/%s", t->name);
	struct stat st;

	if (stat(usual, &st) < 0 || !S_ISREG(st.st_mode)) {
		ret->why = rb_strdup("newuidmap and newgidmap are not installed");
		ret->unlock = rb_host_install_line("uidmap", &ret->by_hand);
	} else if (!explain_mount(usual, "noexec", ret)) {
		ret->why = rb_asprintf("%s cannot be executed by this user", usual);
		ret->unlock = rb_asprintf("%schmod 4755 %s", rb_host_sudo(), usual);
	}
}

/* A setuid bit or a file capability that this process could gain by executing the program. */
static bool explain_file(const struct helper *t, const char *path, struct rb_obstacle *ret,
			 bool *stable)
{
	struct stat st;
	bool caps = getxattr(path, "security.capability", NULL, 0) > 0;

	if (stat(path, &st) < 0)
		return false;
	if (!caps && !(st.st_mode & S_ISUID)) {
		ret->why = rb_asprintf("%s is neither setuid root nor has it the file capability "
				       "%s",
				       path, t->cap_name);
		ret->unlock = rb_asprintf("%schmod u+s %s", rb_host_sudo(), path);
		return true;
	}
	if (!caps && st.st_uid != 0) {
		ret->why = rb_asprintf("%s is setuid, but its owner (uid %u here) is not root%s",
				       path, (unsigned)st.st_uid,
				       st.st_uid == OVERFLOW_UID
					       ? ": the real one is outside of this user namespace"
					       : "");
		ret->unlock = rb_asprintf("%schown root %s && %schmod u+s %s", rb_host_sudo(), path,
					  rb_host_sudo(), path);
		return true;
	}
	*stable = false; /* mounts can change without a trace in the file */
	return explain_mount(path, "nosuid", ret);
}

bool rb_host_may_gain_privilege(const struct rb_caller *c, struct rb_obstacle *ret)
{
	if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1) {
		ret->why = rb_strdup("newuidmap can gain no privilege: no_new_privs is set on this "
				     "process");
		ret->unlock = rb_host_container_line(
			"no --security-opt no-new-privileges (a service without NoNewPrivileges=)",
			"allowPrivilegeEscalation: true");
		ret->by_hand = true;
		return false;
	}
	for (size_t i = 0; i < RB_ARRAY_LEN(helpers); i++) {
		if (prctl(PR_CAPBSET_READ, helpers[i].cap) != 0)
			continue;
		ret->why = rb_asprintf("%s can gain no privilege: %s is not in the bounding set of "
				       "this process",
				       helpers[i].name, helpers[i].cap_name);
		ret->unlock = rb_host_container_line("--cap-add SETUID --cap-add SETGID",
						     "capabilities: {add: [SETUID, SETGID]}");
		ret->by_hand = true;
		return false;
	}
	if (!c->name) {
		ret->why = rb_asprintf("newuidmap serves only users who have a name, and nobody "
				       "knows one for uid %u",
				       c->uid);
		ret->unlock = rb_asprintf("echo u%u:x:%u:%u::/:/bin/sh | %stee -a /etc/passwd",
					  c->uid, c->uid, c->gid, rb_host_sudo());
		return false;
	}
	return true;
}

bool rb_host_find_helpers(struct rb_host *h, struct rb_obstacle *ret, bool *stable)
{
	char **paths[] = {&h->newuidmap, &h->newgidmap};

	*stable = true;
	for (size_t i = 0; i < RB_ARRAY_LEN(helpers); i++)
		if (!(*paths[i] = rb_find_program(helpers[i].name))) {
			explain_missing(&helpers[i], ret);
			return false;
		}
	for (size_t i = 0; i < RB_ARRAY_LEN(helpers); i++)
		if (explain_file(&helpers[i], *paths[i], ret, stable))
			return false;
	*stable = true;
	return true;
}
