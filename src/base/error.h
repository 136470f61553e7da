/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Errors for people. Mechanism (base/fd, base/path, base/sys and anything callable in a child)
 * returns
 * `>= 0` or `-errno` and allocates nothing; everything else takes a trailing `struct rb_error
 * **err`, returns 0 (or a useful value or pointer) and on failure -1 / NULL with *err set.
 *
 * The innermost function states the fact, each boundary adds what it alone knows with rb_wrap(),
 * and the program's main prints the chain from the outermost message to the innermost cause. `*err`
 * is NULL on entry and untouched on success.
 */
#ifndef RB_BASE_ERROR_H
#define RB_BASE_ERROR_H

#include "base/base.h"

/* A code exists only for a difference that a caller acts on. */
enum rb_err {
	RB_ERR_SAME = 0,    /* rb_wrap(): keep the code of the cause */
	RB_ERR_USAGE,       /* exit status 2 */
	RB_ERR_DOCKERFILE,  /* carries lines: main prints the source frame */
	RB_ERR_CONTEXT,     /* something about the build context */
	RB_ERR_NOTFOUND,    /* the named thing does not exist: the caller may look elsewhere */
	RB_ERR_AUTH,        /* credentials refused or missing */
	RB_ERR_CANCELLED,   /* stopped because something else failed or the user said so */
	RB_ERR_SYS,         /* a system call failed: sys_errno */
	RB_ERR_RUN,         /* a step ended badly: exit_status */
	RB_ERR_NETWORK,     /* may be retried */
	RB_ERR_CORRUPT,     /* bytes are not what they claim: never retry, never cache */
	RB_ERR_UNSUPPORTED, /* refused by name: the next backend may be able */
};

struct rb_error {
	enum rb_err code;
	int sys_errno;       /* 0 when no system call failed */
	int exit_status;     /* RB_ERR_RUN: what the step ended with; else 0 */
	unsigned line_first; /* 1-based lines of the Dockerfile, 0 when the error has no place there
			      */
	unsigned line_last;  /* inclusive */
	const char *origin;  /* "src/plan/plan.c:214", static; printed with --debug */
	char *msg;           /* lower case start, no newline, no "rbuild:" */
	struct rb_error *cause; /* owned */
};

/*
 * Pushes an error on top of *err (which becomes its cause) and returns -1. With RB_ERR_SAME the new
 * error takes code, errno, exit status and lines of its cause.
 */
int rb_error_push(struct rb_error **err, enum rb_err code, int sys_errno, const char *origin,
		  const char *fmt, ...) RB_PRINTF(5, 6);

#define rb_fail(err, code, ...) rb_error_push((err), (code), 0, RB_HERE, __VA_ARGS__)
#define rb_fail_errno(err, ...) rb_error_push((err), RB_ERR_SYS, errno, RB_HERE, __VA_ARGS__)
/* For mechanism results: `neg` is a negative errno value. */
#define rb_fail_sys(err, neg, ...) rb_error_push((err), RB_ERR_SYS, -(neg), RB_HERE, __VA_ARGS__)
#define rb_wrap(err, ...)          rb_error_push((err), RB_ERR_SAME, 0, RB_HERE, __VA_ARGS__)

/* For a message about something in the store: " (free some space, ...)" when the disk is full, else
 * "". */
const char *rb_space_hint(int neg);

/* Gives the error its place in the Dockerfile unless it has one already. Returns -1. */
int rb_error_at(struct rb_error **err, unsigned line_first, unsigned line_last);

/* One line "outer: inner: cause (strerror)", caller frees. */
char *rb_error_text(const struct rb_error *e);

void rb_error_free(struct rb_error *e);
RB_DEFINE_CLEANUP(rb_error)
/* Frees *err and sets it to NULL: for swallowed errors, always with a comment that says why. */
void rb_error_drop(struct rb_error **err);

#endif
