/* SPDX-License-Identifier: Apache-2.0 */
/*
 * References to git repositories as ADD and the context argument take them (dockerfile.md 5.5).
 * Pure.
 *
 *	git://HOST/PATH, ssh://[USER@]HOST/PATH, USER@HOST:PATH
 *	http://HOST/PATH.git, https://HOST/PATH.git
 *	github.com/ORG/REPO                          as a context only
 *
 * each followed by "?KEY=VALUE&..." and "#REF[:SUBDIR]", both optional. Keys: ref, tag, branch,
 * subdir, checksum or commit, keep-git-dir, submodules, mtime, fetch-by-commit.
 */
#ifndef RB_DOCKERFILE_GITREF_H
#define RB_DOCKERFILE_GITREF_H

#include "base/buf.h"
#include "base/error.h"

enum { RB_GIT_TEXT_MAX = 8 << 10 }; /* bytes of a whole reference */

struct rb_git_ref {
	char *url;  /* what git is given: no user name and password of http(s), query, fragment */
	char *host; /* "example.com", "example.com:8080" */
	bool ssh;
	char *userinfo; /* "user:password" of an http(s) URL, decoded, or NULL; has no formatter */
	char *ref;      /* branch, tag, commit, "refs/..."; NULL: what the remote's HEAD is */
	char *subdir;   /* clean and relative; "." for the whole */
	char *checksum; /* hexadecimal digits a commit or tag object must begin with, or NULL */
	int keep_git_dir; /* -1: not said, else 0 or 1 */
	bool submodules;
	bool commit_time; /* files get the time of the commit, not of the checkout */
	bool by_commit;   /* `checksum` is fetched, whatever ref is */
};

/* Whether a source of ADD, or the context argument, is a git reference by its form. */
bool rb_git_ref_is(const char *text, bool as_context);

/*
 * Parses one. Errors, RB_ERR_DOCKERFILE: 'unexpected query "x"', 'query "x" has no value',
 * conflicts between query and fragment, names that git could take for options (threats S38), a
 * subdirectory that climbs out (S10). *ret is cleared by the caller after success.
 */
int rb_git_ref_parse(const char *text, bool as_context, struct rb_git_ref *ret,
		     struct rb_error **err);
void rb_git_ref_clear(struct rb_git_ref *r);

/*
 * The URL of a submodule as .gitmodules has it: absolute, or relative ("./x", "../x") to that of
 * its parent. RB_ERR_CORRUPT for what git may not be asked to fetch.
 */
int rb_git_ref_submodule(const struct rb_git_ref *parent, const char *url, struct rb_git_ref *ret,
			 struct rb_error **err);

/* For --checksum, which has the same meaning as the query's. */
int rb_git_ref_set_checksum(struct rb_git_ref *r, const char *text, struct rb_error **err);

/* The whole id of an object, SHA-1 or SHA-256. */
bool rb_git_is_id(const char *s);

/* A text as people may see it: user name and password in URLs are "xxxxx". Caller frees. */
char *rb_url_redact(const char *text);

/* Undoes percent-encoding; NULL for bad escapes and control characters. Caller frees. */
char *rb_url_decode(const char *s, size_t len);

#endif
