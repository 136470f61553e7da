/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Helper programs and forked workers. The caller must be single-threaded. A child dies with its
 * parent (PR_SET_PDEATHSIG) and its struct rb_child kills and reaps it when it goes out of scope.
 */
#ifndef RB_BASE_CHILD_H
#define RB_BASE_CHILD_H

#include <signal.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/error.h"

struct rb_child {
	pid_t pid; /* 0: none */
	int pidfd; /* -1: none */
};

#define RB_CHILD_INIT                                                                              \
	{                                                                                          \
		.pid = 0, .pidfd = -1                                                              \
	}

struct rb_spawn {
	const char *const *argv; /* NULL-terminated; argv[0] is looked up in PATH */
	const char *const *envp; /* NULL: the caller's environment */
	int stdin_fd;            /* -1: /dev/null; borrowed */
	int stdout_fd;           /* -1: /dev/null */
	int stderr_fd;           /* -1: /dev/null; 2 to inherit */
	const int *keep_fds;     /* further descriptors kept open under their own numbers */
	size_t n_keep_fds;
	const char *cwd;   /* NULL: inherited */
	uint64_t bounding; /* the capabilities it can get by being root, a bit each; 0: as they are
			    */
};

/*
 * Starts a program with no_new_privs unless `setuid_ok` (newuidmap needs its privilege).
 * Errors: NOTFOUND when there is no such program in PATH, SYS.
 */
int rb_spawn(const struct rb_spawn *spec, bool setuid_ok, struct rb_child *ret,
	     struct rb_error **err);

/* Whether the process, a child, has ended; it stays to be waited for. */
bool rb_pidfd_has_ended(int pidfd);
/* Blocks signals and gives a non-blocking descriptor to read them from; *before (may be NULL) is
 * the mask as it was. */
int rb_open_signals(const int *signals, size_t n, sigset_t *before, struct rb_error **err);

/* Waits for the end: exit status 0..255, or 128 + signal. Mechanism: -errno. */
int rb_child_wait(struct rb_child *c);
/* SIGKILL and reap; harmless on an empty one. */
void rb_child_kill(struct rb_child *c);
static inline void rb_child_killp(struct rb_child *c)
{
	rb_child_kill(c);
}

/*
 * Runs a program to its end and collects at most max_bytes of its stdout. Its stderr goes to ours.
 * Returns the exit status, or -1 with *err.
 */
int rb_run_capture(const char *const *argv, size_t max_bytes, struct rb_buf *ret,
		   struct rb_error **err);
/* The same for programs whose failure is an answer: what they say on stderr is dropped. */
int rb_run_question(const char *const *argv, size_t max_bytes, struct rb_buf *ret,
		    struct rb_error **err);

/* Absolute path of a program in PATH, or NULL. Caller frees. Trusted directories only in so far as
 * PATH is. */
char *rb_find_program(const char *name);

#endif
