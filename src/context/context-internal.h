/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by the files of src/context/ only. */
#ifndef RB_CONTEXT_INTERNAL_H
#define RB_CONTEXT_INTERNAL_H

#include <sys/stat.h>

#include "context/context.h"
#include "context/remote.h"

/* --- patterns (glob.c), pure --- */

/*
 * Compiled patterns, any number in one program. Matching is by sets of positions, so its time grows
 * with pattern and path, never exponentially. Text is code points; a byte that is not UTF-8 is a
 * character of its own.
 */
enum rb_glob_op {
	RB_GLOB_CHAR,  /* this character */
	RB_GLOB_ANY,   /* one that is not "/" */
	RB_GLOB_CLASS, /* one of the ranges, or none of them */
	RB_GLOB_STAR,  /* any run without "/" */
	RB_GLOB_ALL,   /* any run */
	RB_GLOB_DIRS,  /* nothing, or any run that ends in "/" */
	RB_GLOB_END,
};

struct rb_glob_tok {
	uint8_t op; /* enum rb_glob_op */
	bool negated;
	uint32_t a, b; /* CHAR: a; CLASS: ranges [a, a + b) */
	uint32_t pattern;
};

struct rb_glob_range {
	uint32_t lo, hi;
};

struct rb_glob {
	struct rb_glob_tok *toks;
	size_t n_toks, cap_toks;
	struct rb_glob_range *ranges;
	size_t n_ranges, cap_ranges;
	uint32_t *starts; /* first position of each pattern */
	size_t n_starts, cap_starts;
};

/* A set of positions. `mark` holds the generation in which a position was added last. */
struct rb_glob_set {
	uint32_t *v;
	size_t n;
	uint32_t *mark;
	uint32_t gen;
};

/*
 * Adds a pattern: Go's path.Match, and with `deep` also "**" as dockerfile.md 5.2 has it. 0 or
 * -EINVAL.
 */
int rb_glob_add(struct rb_glob *g, const char *pattern, bool deep);
void rb_glob_clear(struct rb_glob *g);
void rb_glob_set_init(struct rb_glob_set *s, const struct rb_glob *g);
void rb_glob_set_clear(struct rb_glob_set *s);
/* All patterns before their first character. */
void rb_glob_begin(const struct rb_glob *g, struct rb_glob_set *ret);
void rb_glob_step(const struct rb_glob *g, const uint32_t *from, size_t n, uint32_t c,
		  struct rb_glob_set *ret);

/* Whether some pattern matches path; *ret_below (may be NULL): whether one may match below it. */
bool rb_glob_matches(const struct rb_glob *g, const char *path, bool *ret_below);

/* --- sources (source.c) --- */

/* Deepest nesting of directories that is walked; each level holds a descriptor. */
enum { RB_SOURCE_DEPTH_MAX = 800 };

/* What becomes of an entry when `m` is copied, RB_COPY_TAKE and so on (layer/copy.h); DESCEND says
 * that it is taken only as a directory with something in it. `path` is relative to the root. */
int rb_source_verdict(const struct rb_source_root *root, const struct rb_match *m,
		      const char *path);
/* CONTEXT, naming the entry and what to do. `neg` is a negative errno. */
int rb_source_fail(const struct rb_source_root *root, const char *path, int neg,
		   struct rb_error **err);
/* "dir" and "name" joined; "." and "" are the root. Truncated again with rb_buf_truncate(). */
void rb_source_push(struct rb_buf *path, const char *name);

/* --- stat cache (statcache.c) --- */

/* The digest that was put for an entry which has not changed since. */
bool rb_statcache_get(struct rb_statcache *sc, const char *path, const struct stat *st,
		      struct rb_digest *ret);
/*
 * `before` and `after` are the entry's lstat around the reading, `started_ns` the clock before it:
 * nothing is put when the entry changed meanwhile or so shortly before that a later change might
 * leave no trace in its times.
 */
void rb_statcache_put(struct rb_statcache *sc, const char *path, const struct stat *before,
		      const struct stat *after, int64_t started_ns, const struct rb_digest *digest);
int64_t rb_statcache_now_ns(void);

/* --- remote sources (url.c) --- */

/* Seconds of a Last-Modified in the form that servers must use (RFC 9110 5.6.7); else 0. Pure. */
int64_t rb_url_date(const char *text);

/*
 * The secret PREFIX<host> (host as in struct rb_net_url.name, then without its port) as the value
 * of a header. 1, 0 when there is none, -1 with AUTH when it cannot be one.
 */
int rb_remote_secret(const struct rb_remote_env *env, const char *prefix, const char *host,
		     struct rb_buf *ret, struct rb_error **err);

#endif
