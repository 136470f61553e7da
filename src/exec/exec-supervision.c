// SPDX-License-Identifier: Apache-2.0
/* How much of a step is supervised, and when its supervisor starts and ends. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>

#include "base/child.h"
#include "base/fd.h"
#include "base/sys.h"
#include "exec/exec-internal.h"

enum { IDS_ENOUGH = 65536 };

/*
 * Where ids are missing, all are emulated; so they are where the step could meet one that the
 * kernel does not have. Else the kernel's are as good as root's, but for owners beyond the range.
 */
enum rb_supervision_level rb_supervision_choose(const struct rb_exec_spec *spec,
						const struct rb_user *u)
{
	uint32_t uids = rb_id_map_limit(&spec->host->uids);
	uint32_t gids = rb_id_map_limit(&spec->host->gids);

	/* Without, a chown beyond the range fails as the kernel says; doctor names the reason. */
	if (!spec->ledger || !spec->host->can_notify)
		return RB_SUPERVISE_NONE;
	if (uids < IDS_ENOUGH || gids < IDS_ENOUGH || spec->has_owners || u->uid >= uids ||
	    u->gid >= gids)
		return RB_SUPERVISE_ALL;
	for (size_t i = 0; i < u->n_groups; i++)
		if (u->groups[i] >= gids)
			return RB_SUPERVISE_ALL;
	/* It may mount, which the supervisor does not follow. And inside of a container that masks
	 * its /proc no step can have a supervisor: the kernel's ids do for nearly all. */
	return spec->insecure || !rb_supervise_is_possible() ? RB_SUPERVISE_NONE
							     : RB_SUPERVISE_OWNERS;
}

/* An i386 program can make sockets by socketcall(2), whose arguments are in its memory. */
bool rb_exec_can_ask(const struct rb_exec_spec *spec)
{
	return spec->ledger && spec->host->can_notify && !spec->insecure &&
	       !(spec->arch && rb_streq(spec->arch, "386")) && rb_supervise_is_possible();
}

static int start(struct rb_supervision *v, struct rb_error **err)
{
	RB_CLEANUP(rb_closep) int listener = rb_steal_fd(&v->listener);

	v->spec.listener = listener;
	return rb_supervise_start(&v->spec, &v->supervisor, err);
}

/* What is mounted in the step and has owners of its own. */
static size_t list_trees(const struct rb_exec_spec *spec,
			 struct rb_supervise_tree ret[static RB_EXEC_MOUNTS_MAX])
{
	size_t n = 0;

	for (size_t i = 0; i < spec->n_mounts; i++)
		if (spec->mounts[i].ledger)
			ret[n++] = (struct rb_supervise_tree){spec->mounts[i].fd,
							      spec->mounts[i].ledger};
	return n;
}

int rb_supervision_begin(struct rb_supervision *v, const struct rb_step *s,
			 const struct rb_child *child, int listener, struct rb_error **err)
{
	const struct rb_host *host = s->spec->host;

	v->listener = listener;
	v->spec = (struct rb_supervise_spec){
		.level = s->supervision_level,
		.pid = child->pid,
		.pidfd = child->pidfd,
		.root_fd = s->spec->root_fd,
		.uid = s->user.uid,
		.gid = s->user.gid,
		.groups = s->user.groups,
		.n_groups = s->user.n_groups,
		.caps = s->caps,
		.uid_limit = rb_id_map_limit(&host->uids),
		.gid_limit = rb_id_map_limit(&host->gids),
		.ledger = s->spec->ledger,
		.diff_fd = s->spec->diff_fd,
		.network_fd = s->spec->net_on_demand ? s->spec->ask_fd : -1,
	};
	/* A step whose ids are the kernel's hardly ever calls: the first call starts it. */
	if (s->supervision_level == RB_SUPERVISE_OWNERS) {
		v->spec.groups = NULL;
		v->spec.n_groups = 0;
		return 0;
	}
	struct rb_supervise_tree trees[RB_EXEC_MOUNTS_MAX];
	v->spec.trees = trees;
	v->spec.n_trees = list_trees(s->spec, trees);
	int r = start(v, err);
	v->spec.trees = NULL;
	v->spec.n_trees = 0;
	return r;
}

int rb_supervision_fd(const struct rb_supervision *v)
{
	if (v->listener >= 0)
		return v->listener;
	return v->seen_end ? -1 : v->supervisor.child.pidfd;
}

void rb_supervision_attend(struct rb_supervision *v)
{
	struct pollfd p = {.fd = rb_supervision_fd(v), .events = POLLIN};

	if (p.fd < 0 || poll(&p, 1, 0) <= 0)
		return;
	if (v->listener < 0) {
		/* Nobody answers the step's calls any more: what it would go on to do is not to be
		 * kept. When both have ended this is in vain. */
		if (!rb_pidfd_has_ended(v->spec.pidfd))
			(void)rb_sys_pidfd_send_signal(v->spec.pidfd, SIGKILL);
		v->seen_end = true;
	} else if (!(p.revents & POLLIN)) {
		rb_closep(&v->listener); /* nobody is left to call */
	} else if (start(v, &v->error) < 0) {
		(void)rb_sys_pidfd_send_signal(v->spec.pidfd, SIGKILL);
	}
}

int rb_supervision_finish(struct rb_supervision *v, struct rb_error **err)
{
	if (v->error) {
		*err = rb_steal_ptr(&v->error);
		return -1;
	}
	if (!v->supervisor.child.pid)
		return 0;
	return rb_supervise_finish(&v->supervisor, v->spec.ledger, v->spec.diff_fd, err);
}

void rb_supervision_clear(struct rb_supervision *v)
{
	rb_supervise_kill(&v->supervisor);
	rb_closep(&v->listener);
	rb_error_drop(&v->error);
}
