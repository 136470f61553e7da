/* SPDX-License-Identifier: Apache-2.0 */
/* Growing byte strings, borrowed slices, string lists, and numbers read from text. */
#ifndef RB_BASE_BUF_H
#define RB_BASE_BUF_H

#include "base/base.h"

/* Always NUL-terminated at ptr[len], except before the first addition, when ptr is "" (not owned).
 */
struct rb_buf {
	char *ptr;
	size_t len;
	size_t cap; /* 0: ptr is the shared empty string */
};

extern char rb_buf_empty[1];
#define RB_BUF_INIT                                                                                \
	{                                                                                          \
		.ptr = rb_buf_empty, .len = 0, .cap = 0                                            \
	}

void rb_buf_clear(struct rb_buf *b);
void rb_buf_reserve(struct rb_buf *b, size_t extra);
void rb_buf_add(struct rb_buf *b, const void *data, size_t len);
void rb_buf_addstr(struct rb_buf *b, const char *s);
void rb_buf_addch(struct rb_buf *b, char c);
void rb_buf_addf(struct rb_buf *b, const char *fmt, ...) RB_PRINTF(2, 3);
/* Shortens to len bytes; len must not exceed b->len. */
void rb_buf_truncate(struct rb_buf *b, size_t len);
/* Hands out the string (caller frees) and leaves an empty buffer. Never NULL. */
char *rb_buf_steal(struct rb_buf *b);

/* Text owned by somebody else; not NUL-terminated. */
struct rb_slice {
	const char *ptr;
	size_t len;
};

static inline struct rb_slice rb_slice_str(const char *s)
{
	return (struct rb_slice){s, __builtin_strlen(s)};
}

bool rb_slice_eq(struct rb_slice a, const char *s);

/* A list of owned strings; v[n] is always NULL once something was added. */
struct rb_strv {
	char **v;
	size_t n;
	size_t cap;
};

#define RB_STRV_INIT                                                                               \
	{                                                                                          \
		0                                                                                  \
	}

void rb_strv_add(struct rb_strv *s, const char *str);
void rb_strv_addf(struct rb_strv *s, const char *fmt, ...) RB_PRINTF(2, 3);
void rb_strv_take(struct rb_strv *s, char *str /* takes */);
void rb_strv_clear(struct rb_strv *s);
void rb_strv_wipe(struct rb_strv *s); /* the same, and overwrites the strings before */
void rb_strv_copy(struct rb_strv *dst, const struct rb_strv *src); /* replaces dst */
/* Index of str or -1. */
ssize_t rb_strv_find(const struct rb_strv *s, const char *str);
/* Of "NAME=value" strings: index of the last one with that name, or -1. */
ssize_t rb_strv_find_var(const struct rb_strv *env, struct rb_slice name);
/* argv form; valid also when empty. */
char *const *rb_strv_argv(const struct rb_strv *s);

/*
 * Decimal digits only (no sign, no blank, at least one). Returns 0, -EINVAL for other text, -ERANGE
 * when the value exceeds max.
 */
int rb_parse_u64(struct rb_slice s, uint64_t max, uint64_t *ret);
/* 1, t, true, 0, f or false in any case, as options and attributes elsewhere take it. 0 or -1. */
int rb_parse_bool(const char *text, bool *ret);
/* The same in base 8. */
int rb_parse_octal(struct rb_slice s, uint64_t max, uint64_t *ret);

/*
 * " (did you mean x?)" for the candidate nearest to `name` (Levenshtein distance 1 or 2, case
 * folded; of equally near ones the first that begins like `name`), or "" when none is near or one
 * equals it. The text lives in hint.
 */
const char *rb_suggest(struct rb_buf *hint, const char *name, const char *const *candidates,
		       size_t n);

#endif
