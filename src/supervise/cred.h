/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The credentials that a thread of a step believes to have, and what Linux lets them become or do
 * (credentials(7), capabilities(7)). Pure: no I/O, no globals. In a mode with one id the kernel's
 * own credentials never change; these take their place.
 *
 * Results are 0 (or the number that the call returns) or -errno, as the system call of the same
 * name gives them. Ids are those of the image; UINT32_MAX stands for "no change" where the call
 * says so.
 */
#ifndef RB_SUPERVISE_CRED_H
#define RB_SUPERVISE_CRED_H

#include <sys/stat.h>

#include "base/base.h"

struct rb_cred {
	uint32_t ruid, euid, suid, fsuid;
	uint32_t rgid, egid, sgid, fsgid;
	const uint32_t *groups; /* supplementary; borrowed */
	size_t n_groups;
	uint64_t permitted, effective, inheritable; /* capabilities, a bit each */
	uint64_t bounding;
	bool keep_caps; /* PR_SET_KEEPCAPS */
	mode_t umask;
};

bool rb_cred_equal(const struct rb_cred *a, const struct rb_cred *b);
/* Whether there are directories that it may not search. */
bool rb_cred_is_restricted(const struct rb_cred *c);
bool rb_cred_has(const struct rb_cred *c, int cap);

int rb_cred_setuid(struct rb_cred *c, uint32_t uid);
int rb_cred_setreuid(struct rb_cred *c, uint32_t ruid, uint32_t euid);
int rb_cred_setresuid(struct rb_cred *c, uint32_t ruid, uint32_t euid, uint32_t suid);
/* The id before, whether or not it changed. */
int64_t rb_cred_setfsuid(struct rb_cred *c, uint32_t uid);
int rb_cred_setgid(struct rb_cred *c, uint32_t gid);
int rb_cred_setregid(struct rb_cred *c, uint32_t rgid, uint32_t egid);
int rb_cred_setresgid(struct rb_cred *c, uint32_t rgid, uint32_t egid, uint32_t sgid);
int64_t rb_cred_setfsgid(struct rb_cred *c, uint32_t gid);
int rb_cred_capset(struct rb_cred *c, uint64_t permitted, uint64_t effective, uint64_t inheritable);

/* What execve changes. */
struct rb_cred_file {
	struct stat st;  /* owner and mode as the image has them */
	bool privileged; /* set-id bits and capabilities count: no script, no no_new_privs, no
			    nosuid */
	uint64_t permitted, inheritable; /* of security.capability; 0 without */
	bool has_caps, effective;
};
void rb_cred_exec(struct rb_cred *c, const struct rb_cred_file *f);

/* Files. `st` is what the image says of them. */
enum { RB_MAY_EXEC = 1, RB_MAY_WRITE = 2, RB_MAY_READ = 4 };
bool rb_cred_in_group(const struct rb_cred *c, uint32_t gid);
/* Permission bits and capabilities: 0 or -EACCES. */
int rb_cred_may(const struct rb_cred *c, const struct stat *st, int want);
/* Owner, or CAP_FOWNER: 0 or -EPERM. */
int rb_cred_owns(const struct rb_cred *c, const struct stat *st);
/* New owners, UINT32_MAX for none: 0 or -EPERM. */
int rb_cred_may_chown(const struct rb_cred *c, const struct stat *st, uint32_t uid, uint32_t gid);
/* Removing or replacing an entry of a directory: 0, -EACCES or -EPERM (sticky). */
int rb_cred_may_remove(const struct rb_cred *c, const struct stat *dir, const struct stat *entry);

#endif
