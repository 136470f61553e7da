/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The supervisor of a step (design 2): a process that answers the ownership and credential calls
 * of a RUN, so that one id on disk looks like root and all its users. What the step gives away is
 * written into the ownership ledger, and what the ledger holds is what the step sees.
 *
 * The step's filter sends the calls of a table (calls.c) to a listener (seccomp user
 * notification, Linux 5.9). The supervisor performs each by itself on descriptors it has opened
 * through the caller's own root, working directory and descriptor table; it never lets the kernel
 * go on with an argument that is a pointer. The exceptions: execve, which nobody can perform for
 * another process, and chroot, which changes nothing but where later paths start. Both go on with
 * the caller's own rights, which are no more than the step's.
 *
 * The process lives in the step's user namespace with the step's capabilities and CAP_SYS_PTRACE,
 * outside of its pid namespace. It has threads and never forks.
 */
#ifndef RB_SUPERVISE_SUPERVISE_H
#define RB_SUPERVISE_SUPERVISE_H

#include "base/child.h"
#include "base/error.h"
#include "layer/ledger.h"

/* How much of a step is answered here. */
enum rb_supervision_level {
	RB_SUPERVISE_NONE,
	RB_SUPERVISE_OWNERS, /* ids are the kernel's; what it cannot hold (owners beyond the range,
				devices) is recorded, and not shown before the next step */
	RB_SUPERVISE_ALL,    /* the step is root for the kernel; all else is emulated */
};

/*
 * What the step's second filter does; whatever is not here is allowed by it. It is evaluated beside
 * the profile of exec/, so what the profile refuses is never sent.
 */
struct rb_supervise_rule {
	const char *name;
	bool masked; /* only where argument `arg`, masked, has the value */
	unsigned arg;
	uint32_t mask, value;
	enum rb_supervision_level from; /* the least supervision that sends it */
	bool network; /* only where the step's network is made when it is asked for */
};
/* Calls that are sent to the listener. */
size_t rb_supervise_rule_count(void);
const struct rb_supervise_rule *rb_supervise_rule(size_t i);
/* Calls that answer ENOSYS, so that programs take an older one that is sent: by number, the same on
 * every architecture; ends with 0. */
extern const uint32_t rb_supervise_not_implemented[];

/* A tree that is mounted in the step beside its root. */
struct rb_supervise_tree {
	int fd; /* the mount, with the tree as its root */
	struct rb_ledger *ledger;
};

struct rb_supervise_spec {
	enum rb_supervision_level level;
	int listener;           /* borrowed */
	pid_t pid;              /* first process of the step, in our pid namespace */
	int pidfd;              /* of it; borrowed */
	int root_fd;            /* the root, as a mount of the step's namespace; borrowed */
	uint32_t uid, gid;      /* who the step starts as, */
	const uint32_t *groups; /* with which supplementary groups; borrowed */
	size_t n_groups;
	uint64_t caps;                 /* what root of the step has, a bit each */
	uint32_t uid_limit, gid_limit; /* ids below are real on disk */
	struct rb_ledger *ledger;      /* of the merged root; borrowed until finish */
	int diff_fd; /* the topmost tree of it, which the root writes into; borrowed */
	const struct rb_supervise_tree *trees; /* borrowed until start returns */
	size_t n_trees;
	/* A socket, or -1: before the step makes its first socket that is none of Unix, a byte is
	 * sent, and one that does not go away awaited. Borrowed. */
	int network_fd;
};

struct rb_supervisor {
	struct rb_child child;
	int result_fd; /* memory that holds the table rows at the end */
};

/* Whether a procfs can be mounted, through which a supervisor looks at who calls: not in a
 * container that masks its own. */
bool rb_supervise_is_possible(void);

/* Starts the process. SYS when the kernel refuses something; the step has to be killed then. */
int rb_supervise_start(const struct rb_supervise_spec *spec, struct rb_supervisor *ret,
		       struct rb_error **err);
/*
 * After the step's last process has ended: waits for the supervisor and enters the links and FIFOs
 * that it knows owners of into `ledger`, whose topmost tree is `diff_fd`. Clears *s. SYS when the
 * supervisor did not end well: the state must not be committed.
 */
int rb_supervise_finish(struct rb_supervisor *s, struct rb_ledger *ledger, int diff_fd,
			struct rb_error **err);
void rb_supervise_kill(struct rb_supervisor *s);

#endif
