/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What one RUN is lent of the caller's secrets and agents: variables, and a file system in memory
 * with a file for each secret and a socket for each agent, named by the index of the mount.
 */
#ifndef RB_SOLVE_LEND_H
#define RB_SOLVE_LEND_H

#include "base/child.h"
#include "layer/ledger.h"
#include "plan/plan.h"
#include "solve/secrets.h"
#include "solve/ssh.h"

struct rb_lender {
	struct rb_secrets *secrets;
	struct rb_ssh *ssh;
};

struct rb_loan {
	struct rb_strv env;       /* "NAME=value" */
	int dir_fd;               /* a detached mount; -1: nothing in it */
	struct rb_ledger *owners; /* of sockets that the kernel cannot give to them; NULL: none */
	bool there[RB_RUN_MOUNTS_MAX];
	struct rb_child forwarders[RB_RUN_MOUNTS_MAX];
};

#define RB_LOAN_INIT                                                                               \
	{                                                                                          \
		.env = RB_STRV_INIT, .dir_fd = -1                                                  \
	}

/*
 * Lends what the mounts of a RUN, whose environment is env, ask for. What nobody gave is left out;
 * its variable is empty. Errors: NOTFOUND for what is required and nobody gave. Inside the user
 * namespace.
 */
int rb_lend(const struct rb_lender *from, const struct rb_vertex_run *run,
	    const struct rb_strv *env, struct rb_loan *ret, struct rb_error **err);
void rb_loan_clear(struct rb_loan *l);

/* Name in dir_fd of what mount i is lent. */
enum { RB_LOAN_NAME_BYTES = 24 };
void rb_loan_name(size_t i, char ret[static RB_LOAN_NAME_BYTES]);

#endif
