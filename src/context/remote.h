/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sources that lie elsewhere: files by HTTP and git repositories (dockerfile.md 3.10, 5.5, 6.1).
 * Whoever calls may fork and has no threads; a transfer ends with the process that asked for it.
 *
 *	ROOT/blobs/sha256/<hex>   bodies of URLs
 *	ROOT/records/...          URL -> digest, validators: what is unchanged is not sent again
 *	ROOT/git/<hash>           bare repository of one URL, holding the commits that were asked
 *for ROOT/git/<hash>.lock      flock of one fetch at a time; checkouts, which only read, have none
 */
#ifndef RB_CONTEXT_REMOTE_H
#define RB_CONTEXT_REMOTE_H

#include "base/digest.h"
#include "base/error.h"
#include "dockerfile/gitref.h"
#include "store/store.h"

/* What a fetch may use. All borrowed. */
struct rb_remote_env {
	struct rb_store *store;
	/* Value of the build secret `id` into *ret; false: there is none. NULL: no secrets. */
	bool (*secret)(void *ctx, const char *id, struct rb_buf *ret);
	/* One line for the progress, now and then; may be NULL. */
	void (*status)(void *ctx, const char *text);
	void *ctx;
	const char
		*ssh_agent; /* path of the agent's socket (--ssh default); NULL: ssh is refused */
};

/* --- http(s) (url.c) --- */

enum { RB_URL_NAME_BYTES = 256 };

/* Last segment of the URL's path, decoded; "__unnamed__" when it has none. Pure. */
int rb_url_name(const char *url, char ret[static RB_URL_NAME_BYTES], struct rb_error **err);

struct rb_url_file {
	struct rb_digest digest; /* the body, a blob of the store */
	uint64_t size;
	int64_t mtime; /* Last-Modified in seconds, or 0 */
	char name[RB_URL_NAME_BYTES];
	bool downloaded; /* false: unchanged, or known by its checksum */
};

/*
 * Brings the body of a URL into the store, unless it is there and the server (asked by ETag or
 * Last-Modified) says it is unchanged. With `checksum` (else NULL) a body that is there is taken
 * without asking, and another one is refused: "digest mismatch for ...". Secrets
 * HTTP_AUTH_HEADER_<host> and HTTP_AUTH_TOKEN_<host> go to the URL's own origin only.
 *
 * Errors name the URL: NETWORK ("invalid response status N" included), NOTFOUND, AUTH, CORRUPT.
 */
int rb_url_fetch(const struct rb_remote_env *env, const char *url, const struct rb_digest *checksum,
		 struct rb_url_file *ret, struct rb_error **err);

/* The answer of rb_url_fetch() when it needs no server: a body with that checksum is there. */
bool rb_url_known(const struct rb_remote_env *env, const char *url,
		  const struct rb_digest *checksum, struct rb_url_file *ret);

/* --- git (git.c) --- */

enum { RB_GIT_ID_BYTES = 65 };

struct rb_git_commit {
	char object[RB_GIT_ID_BYTES]; /* what the reference names: a commit, or an annotated tag */
	char commit[RB_GIT_ID_BYTES]; /* peeled */
	int64_t time;                 /* of the commit */
	bool downloaded;              /* false: the store had it */
};

/*
 * Finds out what the reference names now and brings it, and its submodules, into the store; a
 * reference that is a commit the store has is not asked about again. Errors: NETWORK with the words
 * of git, NOTFOUND (no such ref), CORRUPT ("expected checksum to match X, got Y"), AUTH,
 * UNSUPPORTED (no git in PATH: says which package; ssh without --ssh).
 */
int rb_git_fetch(const struct rb_remote_env *env, const struct rb_git_ref *ref,
		 struct rb_git_commit *ret, struct rb_error **err);

/* The same when it needs no server: the reference, or its checksum, is the whole id of a commit
 * that the store has. Nothing is started. */
bool rb_git_known(const struct rb_remote_env *env, const struct rb_git_ref *ref,
		  struct rb_git_commit *ret);

/*
 * Writes the tree of a fetched commit, submodules included, into the empty directory dirfd; files
 * 0644 or 0755, owned by the caller, links as they are. `keep_git_dir`: with a .git of its own. The
 * subdirectory is not applied: see rb_git_open_subdir().
 */
int rb_git_checkout(const struct rb_remote_env *env, const struct rb_git_ref *ref,
		    const struct rb_git_commit *commit, bool keep_git_dir, int dirfd,
		    struct rb_error **err);

/*
 * The subdirectory of a checkout as an O_PATH directory; links in it are followed inside of the
 * checkout only (threats S10). NOTFOUND when it is no directory there.
 */
int rb_git_open_subdir(int dirfd, const struct rb_git_ref *ref, struct rb_error **err);

/* What the tree of a reference is known by in cache keys: object, subdirectory, flags. */
struct rb_digest rb_git_identity(const struct rb_git_ref *ref, const struct rb_git_commit *commit,
				 bool keep_git_dir);

#endif
