/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Build contexts and the selection of sources by COPY and ADD, in a context directory as well as in
 * a snapshot's view (dockerfile.md 3.9 rules 1 to 3, 5.1 to 5.3, 5.6).
 */
#ifndef RB_CONTEXT_CONTEXT_H
#define RB_CONTEXT_CONTEXT_H

#include "base/buf.h"
#include "base/digest.h"
#include "base/error.h"
#include "layer/ledger.h"
#include "store/store.h"

/* --- ignore files (pure)
 * ------------------------------------------------------------------------------------------ */

struct rb_ignore;
/* Parses a .dockerignore (5.2). `file` names it in errors. */
int rb_ignore_parse(const char *text, size_t len, const char *file, struct rb_ignore **ret,
		    struct rb_error **err);
/* The same rules from patterns, without what is a file's: comments, empty lines (--exclude). */
int rb_ignore_new(const char *const *patterns, size_t n, struct rb_ignore **ret,
		  struct rb_error **err);
/* Excludes everything but what one pattern matches, a path as it is, and what is below that. */
int rb_ignore_new_all_but(const char *pattern, struct rb_ignore **ret, struct rb_error **err);
void rb_ignore_free(struct rb_ignore *ig);
RB_DEFINE_CLEANUP(rb_ignore)
/* Whether a path (relative, clean) is excluded; *ret_pattern (may be NULL) receives the deciding
 * pattern as written. */
bool rb_ignore_matches(const struct rb_ignore *ig, const char *path, const char **ret_pattern);
/* Whether an excluded directory may hold re-included entries. */
bool rb_ignore_may_reinclude(const struct rb_ignore *ig, const char *dir);
/* Both keep what they learn inside of ig: one thread at a time. */
/* Whether some line re-includes something ("!docs"). */
bool rb_ignore_has_exceptions(const struct rb_ignore *ig);
/* Whether some line excludes whatever there is: a lone *, ** or the two with a slash between. */
bool rb_ignore_has_catch_all(const struct rb_ignore *ig);

/* Go's path.Match: `*` and `?` never match "/", classes, `\` escapes. 1 match, 0 none, -EINVAL bad
 * pattern. Pure. */
int rb_path_match(const char *pattern, const char *path);
bool rb_path_has_wildcard(const char *pattern);

/* --- contexts
 * -------------------------------------------------------------------------------------------- */

enum rb_context_kind {
	RB_CONTEXT_DIR,    /* a directory of this machine: owners are 0:0, ignore rules count */
	RB_CONTEXT_TREE,   /* a committed tree: an archive's or repository's, with its own owners */
	RB_CONTEXT_REMOTE, /* a repository or URL, which becomes a tree when it is needed */
	RB_CONTEXT_LAYOUT, /* an OCI image layout: an image, no files */
};

struct rb_context {
	enum rb_context_kind kind;
	char *path;  /* as given, for messages */
	char *where; /* how messages call it; NULL: the build context */
	char *tree;  /* TREE: id of the snapshot, "" for one without files */
	/* When it was made, in seconds: a repository's commit, what a server says of a file; -1:
	 * nobody tells. */
	int64_t time;
	bool is_archive; /* TREE: its newest file tells it then */

	/* DIR: */
	int root_fd;
	char *ignore_file;        /* name of the ignore file used, or NULL */
	struct rb_ignore *ignore; /* NULL: nothing is excluded */
	dev_t dev;
	ino_t ino; /* of the root: identity of the stat cache, with the absolute path */
	char *abs_path;
};

/* Errors: CONTEXT `unable to prepare context: path "x" not found`, not a directory, unreadable. */
int rb_context_open(const char *path, struct rb_context **ret, struct rb_error **err);
/* A context of another kind, with its path or URL; a TREE's id is set by the caller. */
struct rb_context *rb_context_new(enum rb_context_kind kind, const char *path);
void rb_context_free(struct rb_context *c);
RB_DEFINE_CLEANUP(rb_context)
enum { RB_DOCKERFILE_BYTES_MAX = 16 << 20 };

/*
 * Reads the Dockerfile: `file` NULL: Dockerfile, dockerfile or Containerfile in the context, the
 * first that is there; else relative to the current directory, where a missing Dockerfile may again
 * be a dockerfile. *ret_name is the base name of what was read, for messages. Also loads the ignore
 * file (5.1): <Dockerfile>.dockerignore or <Dockerfile>.containerignore beside it, else that of the
 * context. Regular files only; never blocks on a FIFO; at most RB_DOCKERFILE_BYTES_MAX. Links in
 * the context are followed inside of it only (threats S13); a file elsewhere, which the user has
 * named, is opened as it is.
 */
int rb_context_dockerfile(struct rb_context *c, const char *file, struct rb_buf *ret,
			  char **ret_name, struct rb_error **err);
/* Loads the ignore file at the root of a directory: .dockerignore, else .containerignore. */
int rb_context_load_ignore(struct rb_context *c, struct rb_error **err);
/* The same for a tree whose root is open: `file` is relative to it, and nothing is ignored there.
 */
int rb_context_tree_dockerfile(int root_fd, const char *file, struct rb_buf *ret, char **ret_name,
			       struct rb_error **err);
/* A Dockerfile that lies on this machine, whatever the context is. */
int rb_context_host_dockerfile(const char *file, struct rb_buf *ret, char **ret_name,
			       struct rb_error **err);

/* A stream that was read to its end, in a file without a name: it can be read again. */
struct rb_spool {
	int fd;
	uint64_t size;
	struct rb_digest digest;
};
int rb_spool_read(struct rb_store *store, int in, struct rb_spool *ret, struct rb_error **err);

/*
 * Whether a stream is an archive, so that it is a context, or text, so that it is a Dockerfile: 1
 * or 0, or -1. Told by magic or a tar header; the offset is 0 afterwards.
 */
int rb_context_is_archive(int fd, const char *name, struct rb_error **err);

/* --- selecting sources
 * -------------------------------------------------------------------------------------------- */

/* A root that sources are taken from. */
struct rb_source_root {
	int root_fd;
	const struct rb_ledger *ledger; /* NULL: local context, owners are 0:0 */
	const struct rb_ignore *ignore; /* NULL: none */
	const char *ignore_file;        /* for messages, as the next */
	const char *where; /* "the context x"; NULL: the build context, or an image with a ledger */
	/* --exclude: rules for paths below the directory that is copied, and for the name of a file
	 * that is; NULL: none. */
	const struct rb_ignore *exclude;
};

struct rb_match {
	char *path; /* inside the root, clean, relative, "." for the root; every link in it is
		       resolved, also the last one, so that ignore rules see what they are about */
	char *name; /* base name for a directory destination: that of the entry as named */
	bool is_dir;
	struct rb_ignore *include; /* --parents: rules for paths below the directory that leave
				      out all but what is named; NULL: none */
};
struct rb_matches {
	struct rb_match *v;
	size_t n, cap;
};

/*
 * The entries that one COPY source names, sorted: wildcards by rule 1 (none is fine), a literal by
 * rule 2. Errors: NOTFOUND `"/x": not found`, with the ignore file and pattern when that is why.
 */
int rb_source_match(const struct rb_source_root *root, const char *source, struct rb_matches *ret,
		    struct rb_error **err);
/*
 * A source of COPY --parents: the directories before its pivot `/./`, or the root, each with what
 * is to be taken of it. What no pattern is in has to be there. Errors: as above.
 */
int rb_source_match_parents(const struct rb_source_root *root, const char *source,
			    struct rb_matches *ret, struct rb_error **err);
/* The one entry of that path, in which no character is a wildcard. */
int rb_source_find(const struct rb_source_root *root, const char *path, struct rb_matches *ret,
		   struct rb_error **err);
void rb_matches_clear(struct rb_matches *m);

/*
 * Stat cache of one context directory: path -> (device, inode, size, mtime, ctime) -> content
 * digest. An entry counts only when all five are equal and the file was not changed within the
 * clock's granularity of the moment it was hashed (racily clean).
 */
struct rb_statcache;
int rb_statcache_open(struct rb_store *store, const struct rb_context *c, struct rb_statcache **ret,
		      struct rb_error **err);
int rb_statcache_save(struct rb_statcache *sc, struct rb_error **err); /* when something changed */
void rb_statcache_free(struct rb_statcache *sc);
RB_DEFINE_CLEANUP(rb_statcache)

/*
 * Content checksum (5.6) of what copying `m` would take: header of the entry (type, mode, owner,
 * link target, device, allowed xattrs) and content; directories recursively with names, sorted;
 * never mtime, ctime, inode, nlink. The selected path itself is followed. What is left out does not
 * count. `sc` may be NULL. Errors: CONTEXT naming an unreadable file.
 */
int rb_source_checksum(const struct rb_source_root *root, const struct rb_match *m,
		       struct rb_statcache *sc, struct rb_digest *ret, struct rb_error **err);

/* For struct rb_copy_spec.skip (layer/copy.h): ctx is a struct rb_selection. */
struct rb_selection {
	const struct rb_source_root *root;
	const struct rb_match *match;
};
int rb_source_skip(void *ctx, const char *path, bool is_dir);

#endif
