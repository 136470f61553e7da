// SPDX-License-Identifier: Apache-2.0
/* Credentials: asked for and changed. */
#include <errno.h>
#include <linux/capability.h>
#include <stdlib.h>
#include <sys/prctl.h>

#include "supervise/supervise-internal.h"

enum { GROUPS_MAX = 65536 }; /* the kernel's NGROUPS_MAX */

/* --- change --- */

static int64_t store(struct call *c, const struct rb_cred *cred, int64_t result)
{
	int r = result < 0 ? (int)result : rb_creds_store(c, cred);

	return r < 0 ? r : result;
}

#define CHANGE(name, ...)                                                                          \
	int64_t rb_call_##name(struct call *c)                                                     \
	{                                                                                          \
		struct rb_cred cred = c->cred;                                                     \
		int64_t r = rb_cred_##name(&cred, __VA_ARGS__);                                    \
                                                                                                   \
		return store(c, &cred, r);                                                         \
	}

#define ID(i) ((uint32_t)c->a[i])

CHANGE(setuid, ID(0))
CHANGE(setreuid, ID(0), ID(1))
CHANGE(setresuid, ID(0), ID(1), ID(2))
CHANGE(setfsuid, ID(0))
CHANGE(setgid, ID(0))
CHANGE(setregid, ID(0), ID(1))
CHANGE(setresgid, ID(0), ID(1), ID(2))
CHANGE(setfsgid, ID(0))

static void free_groups(uint32_t **p)
{
	free(*p);
}

int64_t rb_call_setgroups(struct call *c)
{
	struct rb_cred cred = c->cred;
	size_t n = (size_t)(uint32_t)c->a[0];

	if (!rb_cred_has(&cred, CAP_SETGID))
		return -EPERM;
	if (n > GROUPS_MAX)
		return -EINVAL;
	RB_CLEANUP(free_groups) uint32_t *groups = rb_reallocarray(NULL, n, sizeof(*groups));
	int r = rb_caller_read(c, c->a[1], groups, n * sizeof(*groups));
	if (r < 0)
		return r;
	for (size_t i = 0; i < n; i++)
		if (groups[i] == UINT32_MAX)
			return -EINVAL;
	qsort(groups, n, sizeof(*groups), rb_cmp_u32);
	cred.groups = groups;
	cred.n_groups = n;
	return store(c, &cred, 0);
}

/* --- ask --- */

int64_t rb_call_getuid(struct call *c)
{
	return c->cred.ruid;
}

int64_t rb_call_geteuid(struct call *c)
{
	return c->cred.euid;
}

int64_t rb_call_getgid(struct call *c)
{
	return c->cred.rgid;
}

int64_t rb_call_getegid(struct call *c)
{
	return c->cred.egid;
}

static int64_t write_three(struct call *c, uint32_t r, uint32_t e, uint32_t s)
{
	const uint32_t ids[] = {r, e, s};

	for (int i = 0; i < 3; i++)
		if (rb_caller_write(c, c->a[i], &ids[i], sizeof(ids[i])) < 0)
			return -EFAULT;
	return 0;
}

int64_t rb_call_getresuid(struct call *c)
{
	return write_three(c, c->cred.ruid, c->cred.euid, c->cred.suid);
}

int64_t rb_call_getresgid(struct call *c)
{
	return write_three(c, c->cred.rgid, c->cred.egid, c->cred.sgid);
}

int64_t rb_call_getgroups(struct call *c)
{
	int room = (int)c->a[0];
	size_t n = c->cred.n_groups;

	if (room < 0)
		return -EINVAL;
	if (room == 0)
		return (int64_t)n;
	if ((size_t)room < n)
		return -EINVAL;
	int r = rb_caller_write(c, c->a[1], c->cred.groups, n * sizeof(*c->cred.groups));
	return r < 0 ? r : (int64_t)n;
}

/* --- capabilities --- */

struct header {
	uint32_t version;
	int32_t pid;
};
struct sets {
	uint32_t effective, permitted, inheritable;
};

/* How many struct sets a version has; 0 for an unknown one, which is answered with ours. */
static size_t sets_of(struct call *c, const struct header *h)
{
	const uint32_t best = _LINUX_CAPABILITY_VERSION_3;

	switch (h->version) {
	case _LINUX_CAPABILITY_VERSION_1:
		return 1;
	case _LINUX_CAPABILITY_VERSION_2:
	case _LINUX_CAPABILITY_VERSION_3:
		return 2;
	default:
		(void)rb_caller_write(c, c->a[0], &best, sizeof(best));
		return 0;
	}
}

/* Whether a number of the step's pid namespace is the caller's own. */
static bool is_caller(const struct call *c, pid_t pid)
{
	struct caller_status st;

	return pid == 0 ||
	       (rb_caller_status(c, &st) == 0 && (pid == st.tid_inside || pid == st.pid_inside));
}

int64_t rb_call_capget(struct call *c)
{
	struct rb_cred cred = c->cred;
	struct sets out[2];
	struct header h;
	int r = rb_caller_read(c, c->a[0], &h, sizeof(h));

	if (r < 0)
		return r;
	size_t n = sets_of(c, &h);
	if (!c->a[1] || !n)
		return !c->a[1] ? 0 : -EINVAL;
	if (h.pid < 0)
		return -EINVAL;
	if (!is_caller(c, h.pid) && (r = rb_creds_of_inside(c, h.pid, &cred)) < 0)
		return r;
	for (size_t i = 0; i < 2; i++)
		out[i] = (struct sets){
			.effective = (uint32_t)(cred.effective >> (32 * i)),
			.permitted = (uint32_t)(cred.permitted >> (32 * i)),
			.inheritable = (uint32_t)(cred.inheritable >> (32 * i)),
		};
	return rb_caller_write(c, c->a[1], out, n * sizeof(*out));
}

int64_t rb_call_capset(struct call *c)
{
	struct rb_cred cred = c->cred;
	struct sets in[2] = {0};
	struct header h;
	int r;

	/* Our own last act before the step's program: it has to be real. */
	if (!c->s->set_up)
		return RB_CALL_CONTINUE;
	if ((r = rb_caller_read(c, c->a[0], &h, sizeof(h))) < 0)
		return r;
	size_t n = sets_of(c, &h);
	if (!n)
		return -EINVAL;
	if (!is_caller(c, h.pid))
		return -EPERM;
	if ((r = rb_caller_read(c, c->a[1], in, n * sizeof(*in))) < 0)
		return r;
	r = rb_cred_capset(&cred, in[0].permitted | (uint64_t)in[1].permitted << 32,
			   in[0].effective | (uint64_t)in[1].effective << 32,
			   in[0].inheritable | (uint64_t)in[1].inheritable << 32);
	return store(c, &cred, r);
}

static int64_t set_keep_caps(struct call *c)
{
	struct rb_cred cred = c->cred;

	if (c->a[1] > 1)
		return -EINVAL;
	cred.keep_caps = c->a[1];
	return store(c, &cred, 0);
}

/* A thread that carries a number there cannot set it, and nobody can set a number. */
static int64_t set_slack(const struct call *c)
{
	bool number = c->a[1] >= RB_CREDS_MARK && c->a[1] - RB_CREDS_MARK < c->s->n_creds;

	return number || rb_creds_in_slack(c) ? 0 : RB_CALL_CONTINUE;
}

int64_t rb_call_prctl(struct call *c)
{
	switch ((int)c->a[0]) {
	case PR_GET_KEEPCAPS:
		return c->cred.keep_caps;
	case PR_SET_KEEPCAPS:
		return set_keep_caps(c);
	default:
		return set_slack(c);
	}
}

/* The kernel's own mask follows, for the sockets that bind makes. */
int64_t rb_call_umask(struct call *c)
{
	int r = rb_creds_store_umask(c, (mode_t)c->a[0] & 0777);

	return r < 0 ? r : RB_CALL_CONTINUE;
}
