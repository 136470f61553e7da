/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by git*.c only. */
#ifndef RB_CONTEXT_GIT_INTERNAL_H
#define RB_CONTEXT_GIT_INTERNAL_H

#include "context/context-internal.h"

#define RB_GIT_STALL_SEC 30 /* a transfer without a byte; text of a setting */

enum {
	RB_GIT_OUTPUT_MAX = 8 << 20,     /* bytes of a command that is no listing of a tree */
	RB_GIT_ENTRIES_MAX = 1000000,    /* files, links and directories of a commit */
	RB_GIT_SUBMODULES_MAX = 1000,    /* of a reference, all levels */
	RB_GIT_SUBMODULE_DEPTH_MAX = 16, /* levels */
};
#define RB_GIT_BYTES_MAX (UINT64_C(64) << 30) /* of all files of a commit */

/* A repository that is worked with. */
struct rb_git {
	const struct rb_remote_env *env;
	const struct rb_git_ref *ref; /* borrowed */
	char *dir;                    /* absolute path of the bare repository */
	char *name;                   /* the same below the store */
	char *auth; /* value of an Authorization header or NULL; has no formatter */
};

struct rb_git_command {
	const char *const *argv; /* without "git" */
	int cwd_fd;              /* -1: none */
	bool own_dir;            /* argv says what repository is meant */
	bool network;            /* may talk to others, and gets what that needs */
	bool from_store;         /* fetches from a repository of the store */
	const char *index;       /* path of the index file, or NULL */
	/* Where its output goes: take, or `out` up to RB_GIT_OUTPUT_MAX, or nowhere. */
	int (*take)(void *ctx, const char *data, size_t len, struct rb_error **err);
	void *ctx;
	struct rb_buf *out;
};

/* Runs git to its end (git-run.c). Its words are the error: NETWORK or AUTH, CORRUPT without
 * `network`. */
int rb_git_run(const struct rb_git *g, const struct rb_git_command *c, struct rb_error **err);

/* A directory of a commit that is a commit of another repository. */
struct rb_git_link {
	char *path;            /* in the tree */
	char *id;              /* of the commit */
	struct rb_git_ref ref; /* where it is fetched from, with ref = id */
};
struct rb_git_links {
	struct rb_git_link *v;
	size_t n, cap;
};
/*
 * Reads the tree of a commit (git-tree.c): that it is within the limits and, with ref->submodules,
 * its submodules. CORRUPT.
 */
int rb_git_read_tree(const struct rb_git *g, const char *commit, struct rb_git_links *ret,
		     struct rb_error **err);
void rb_git_links_clear(struct rb_git_links *l);

/* git.c */
int rb_git_open(const struct rb_remote_env *env, const struct rb_git_ref *ref,
		const struct rb_git_ref *top, struct rb_git *ret, struct rb_error **err);
void rb_git_close(struct rb_git *g);

#endif
