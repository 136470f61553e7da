/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Agents that the caller lends to steps by name (--ssh). A step gets a socket of its own; what it
 * writes there goes through a forwarder, a forked process that reads whole messages of the agent
 * protocol and hands on only those that list identities and sign. So a step can use the keys and
 * can neither change nor lock the agent, and the agent, which answers to nobody but its user, sees
 * that user whoever the step runs as.
 *
 * SPEC (dockerfile.md 8.1): ID[=SOCKET] or ID=KEY[,KEY...]; without a path the socket is
 * $SSH_AUTH_SOCK. Keys are given to an ssh-agent of the build's own, started when a step needs it,
 * whose socket is in no directory of the host.
 */
#ifndef RB_SOLVE_SSH_H
#define RB_SOLVE_SSH_H

#include "base/child.h"
#include "base/error.h"

struct rb_ssh;

struct rb_ssh *rb_ssh_new(void);
/* Ends the agents of the build. */
void rb_ssh_free(struct rb_ssh *s);
RB_DEFINE_CLEANUP(rb_ssh)

/*
 * Opens socket or keys; the last of an id counts. Errors: USAGE, NOTFOUND and SYS for the files,
 * UNSUPPORTED where OpenSSH's programs are missing that keys need.
 */
int rb_ssh_add(struct rb_ssh *s, const char *spec, struct rb_error **err);
/* `s` may be NULL. */
bool rb_ssh_has(const struct rb_ssh *s, const char *id);

/*
 * Starts the forwarder from a listening socket to the agent `id`, which is started if it has to be.
 * Inside the user namespace, by a process without threads.
 */
int rb_ssh_forward(struct rb_ssh *s, const char *id, int listen_fd, struct rb_child *ret,
		   struct rb_error **err);

/* The agent `id` at the path of a socket, for a program of ours. */
struct rb_ssh_loan {
	char dir[64];  /* "": none */
	char path[80]; /* of the socket */
	struct rb_child forwarder;
};
/* *ret is zero before; as rb_ssh_forward(). */
int rb_ssh_lend(struct rb_ssh *s, const char *id, struct rb_ssh_loan *ret, struct rb_error **err);
/* Ends the forwarder and removes the socket; harmless on an empty one. */
void rb_ssh_end_loan(struct rb_ssh_loan *l);

/* The forwarder's loop (ssh-forward.c): `listen_fd` does not block, `agent` is the path of a
 * socket.
 */
void rb_ssh_forward_main(int listen_fd, const char *agent) RB_NORETURN;

#endif
