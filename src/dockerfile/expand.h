/* SPDX-License-Identifier: Apache-2.0 */
/* Variable expansion (dockerfile.md 2) and the ordered environment it works on. Pure. */
#ifndef RB_DOCKERFILE_EXPAND_H
#define RB_DOCKERFILE_EXPAND_H

#include "base/buf.h"
#include "base/error.h"

/* Ordered name=value list; setting an existing name replaces it in place. Zero-initialise. */
struct rb_env {
	char **names;
	char **values;
	size_t n;
	size_t cap;
	uint32_t *slots; /* index + 1 by hash of the name, 0 where free; NULL: there are few */
	size_t n_slots;  /* a power of two */
};

void rb_env_set(struct rb_env *env, const char *name, const char *value);
/* Its place in the list, or -1. */
ssize_t rb_env_find(const struct rb_env *env, const char *name);
/* NULL when not set. Borrowed. */
const char *rb_env_get(const struct rb_env *env, const char *name);
void rb_env_unset(struct rb_env *env, const char *name);
void rb_env_copy(struct rb_env *dst, const struct rb_env *src); /* replaces dst */
void rb_env_clear(struct rb_env *env);
/* "name=value" strings, appended. */
void rb_env_to_strv(const struct rb_env *env, struct rb_strv *ret);

/* Names that were used but not set, in order of first use (for the lint UndefinedVar); may be NULL
 * in calls. */
struct rb_expand_report {
	struct rb_strv undefined;
};

/*
 * Expands one word: variables, modifiers, quote and escape removal (2.2, 2.3). `escape` is the
 * Dockerfile's escape character. The result is one string, never split. Caller frees. NULL with
 * *err: RB_ERR_DOCKERFILE `failed to process "<word>": ...` (the caller adds the lines).
 */
char *rb_expand(const char *word, char escape, const struct rb_env *env,
		struct rb_expand_report *report, struct rb_error **err);

/* The same for EXPOSE: the result is split into words at blanks that were not quoted; appended to
 * *ret. */
int rb_expand_split(const char *word, char escape, const struct rb_env *env,
		    struct rb_expand_report *report, struct rb_strv *ret, struct rb_error **err);

/* Body of a COPY/ADD heredoc with an unquoted delimiter (1.9): escape always '\\', quotes literal.
 * Caller frees. */
char *rb_expand_heredoc(const char *body, const struct rb_env *env, struct rb_expand_report *report,
			struct rb_error **err);

/*
 * A text for people, such as the name of a step (8.4): variables that are set are expanded, all
 * else stays as written: other names, expressions in error, quotes and what is in single ones,
 * escapes. Never fails; caller frees.
 */
char *rb_expand_known(const char *text, char escape, const struct rb_env *env);

#endif
