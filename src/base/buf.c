// SPDX-License-Identifier: Apache-2.0
#include "base/buf.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

char rb_buf_empty[1] = "";

void rb_buf_clear(struct rb_buf *b)
{
	if (b->cap)
		free(b->ptr);
	*b = (struct rb_buf)RB_BUF_INIT;
}

void rb_buf_reserve(struct rb_buf *b, size_t extra)
{
	size_t need;

	if (__builtin_add_overflow(b->len, extra, &need) || __builtin_add_overflow(need, 1, &need))
		rb_bug("buffer size overflow");
	if (need <= b->cap)
		return;
	size_t cap = b->cap ? b->cap : 32;
	while (cap < need)
		cap = cap > SIZE_MAX / 2 ? need : cap * 2;
	b->ptr = rb_realloc(b->cap ? b->ptr : NULL, cap);
	b->cap = cap;
	b->ptr[b->len] = '\0';
}

void rb_buf_add(struct rb_buf *b, const void *data, size_t len)
{
	rb_buf_reserve(b, len);
	if (len)
		memcpy(b->ptr + b->len, data, len);
	b->len += len;
	b->ptr[b->len] = '\0';
}

void rb_buf_addstr(struct rb_buf *b, const char *s)
{
	rb_buf_add(b, s, strlen(s));
}

void rb_buf_addch(struct rb_buf *b, char c)
{
	rb_buf_add(b, &c, 1);
}

void rb_buf_addf(struct rb_buf *b, const char *fmt, ...)
{
	va_list ap, again;

	va_start(ap, fmt);
	va_copy(again, ap);
	int n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (n < 0)
		rb_bug("bad format \"%s\"", fmt);
	rb_buf_reserve(b, (size_t)n);
	(void)vsnprintf(b->ptr + b->len, (size_t)n + 1, fmt, again);
	va_end(again);
	b->len += (size_t)n;
}

void rb_buf_truncate(struct rb_buf *b, size_t len)
{
	if (len > b->len)
		rb_bug("truncating a buffer of %zu to %zu", b->len, len);
	if (!b->cap)
		return;
	b->len = len;
	b->ptr[len] = '\0';
}

char *rb_buf_steal(struct rb_buf *b)
{
	rb_buf_reserve(b, 0);
	char *p = b->ptr;
	*b = (struct rb_buf)RB_BUF_INIT;
	return p;
}

bool rb_slice_eq(struct rb_slice a, const char *s)
{
	return strlen(s) == a.len && memcmp(a.ptr, s, a.len) == 0;
}

void rb_strv_take(struct rb_strv *s, char *str)
{
	if (s->n + 1 >= s->cap) {
		s->cap = s->cap ? s->cap * 2 : 8;
		s->v = rb_reallocarray(s->v, s->cap, sizeof(*s->v));
	}
	s->v[s->n++] = str;
	s->v[s->n] = NULL;
}

void rb_strv_add(struct rb_strv *s, const char *str)
{
	rb_strv_take(s, rb_strdup(str));
}

void rb_strv_addf(struct rb_strv *s, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	rb_strv_take(s, rb_vasprintf(fmt, ap));
	va_end(ap);
}

void rb_strv_clear(struct rb_strv *s)
{
	for (size_t i = 0; i < s->n; i++)
		free(s->v[i]);
	free(s->v);
	*s = (struct rb_strv)RB_STRV_INIT;
}

void rb_strv_wipe(struct rb_strv *s)
{
	for (size_t i = 0; i < s->n; i++)
		explicit_bzero(s->v[i], strlen(s->v[i]));
	rb_strv_clear(s);
}

void rb_strv_copy(struct rb_strv *dst, const struct rb_strv *src)
{
	struct rb_strv copy = RB_STRV_INIT;

	for (size_t i = 0; i < src->n; i++)
		rb_strv_add(&copy, src->v[i]);
	rb_strv_clear(dst);
	*dst = copy;
}

ssize_t rb_strv_find(const struct rb_strv *s, const char *str)
{
	for (size_t i = 0; i < s->n; i++)
		if (rb_streq(s->v[i], str))
			return (ssize_t)i;
	return -1;
}

ssize_t rb_strv_find_var(const struct rb_strv *env, struct rb_slice name)
{
	for (size_t i = env->n; i-- > 0;)
		if (strncmp(env->v[i], name.ptr, name.len) == 0 && env->v[i][name.len] == '=')
			return (ssize_t)i;
	return -1;
}

char *const *rb_strv_argv(const struct rb_strv *s)
{
	static char *const none[] = {NULL};

	return s->n ? s->v : none;
}

static int parse_digits(struct rb_slice s, unsigned base, uint64_t max, uint64_t *ret)
{
	uint64_t v = 0;

	if (s.len == 0)
		return -EINVAL;
	for (size_t i = 0; i < s.len; i++) {
		if (s.ptr[i] < '0' || s.ptr[i] >= (char)('0' + base))
			return -EINVAL;
	}
	for (size_t i = 0; i < s.len; i++) {
		if (__builtin_mul_overflow(v, (uint64_t)base, &v) ||
		    __builtin_add_overflow(v, (uint64_t)(s.ptr[i] - '0'), &v) || v > max)
			return -ERANGE;
	}
	*ret = v;
	return 0;
}

int rb_parse_u64(struct rb_slice s, uint64_t max, uint64_t *ret)
{
	return parse_digits(s, 10, max, ret);
}

int rb_parse_bool(const char *text, bool *ret)
{
	static const char *const words[] = {"1", "t", "true", "0", "f", "false"};

	for (size_t i = 0; i < RB_ARRAY_LEN(words); i++)
		if (rb_ascii_strcaseeq(text, words[i])) {
			*ret = i < 3;
			return 0;
		}
	return -1;
}

int rb_parse_octal(struct rb_slice s, uint64_t max, uint64_t *ret)
{
	return parse_digits(s, 8, max, ret);
}

/* Levenshtein distance, case folded; anything above 2 is reported as 3. */
static unsigned distance(const char *a, const char *b)
{
	enum { MAX = 64 };
	size_t n = strlen(a), m = strlen(b);
	unsigned row[MAX + 1];

	if (n > MAX || m > MAX)
		return 3;
	for (size_t j = 0; j <= m; j++)
		row[j] = (unsigned)j;
	for (size_t i = 1; i <= n; i++) {
		unsigned diag = row[0];

		row[0] = (unsigned)i;
		for (size_t j = 1; j <= m; j++) {
			unsigned up = row[j];
			unsigned same = rb_ascii_lower(a[i - 1]) == rb_ascii_lower(b[j - 1]);
			unsigned best = diag + !same;

			if (up + 1 < best)
				best = up + 1;
			if (row[j - 1] + 1 < best)
				best = row[j - 1] + 1;
			row[j] = best;
			diag = up;
		}
	}
	return row[m] < 3 ? row[m] : 3;
}

static bool same_start(const char *a, const char *b)
{
	return rb_ascii_lower(a[0]) == rb_ascii_lower(b[0]);
}

const char *rb_suggest(struct rb_buf *hint, const char *name, const char *const *candidates,
		       size_t n)
{
	unsigned best = 3;
	const char *found = NULL;

	for (size_t i = 0; i < n; i++) {
		unsigned d = distance(name, candidates[i]);

		if (d == 0)
			return "";
		if (d < best || (d < 3 && d == best && same_start(candidates[i], name) &&
				 !same_start(found, name))) {
			best = d;
			found = candidates[i];
		}
	}
	if (!found)
		return "";
	rb_buf_clear(hint);
	rb_buf_addf(hint, " (did you mean %s?)", found);
	return hint->ptr;
}
