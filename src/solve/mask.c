// SPDX-License-Identifier: Apache-2.0
#include "solve/mask.h"

#include <stdlib.h>
#include <string.h>

/* Longer lines are looked for in pieces, so that no more than this is held back. */
enum { PIECE_MAX = 4096 };

struct pattern {
	const char *ptr; /* borrowed */
	size_t len;
};

struct rb_mask_set {
	struct pattern *v[256]; /* by first byte */
	size_t n[256], cap[256];
};

/* --- what is looked for --- */

struct rb_mask_set *rb_mask_set_new(void)
{
	return rb_calloc(1, sizeof(struct rb_mask_set));
}

void rb_mask_set_free(struct rb_mask_set *set)
{
	if (!set)
		return;
	for (size_t i = 0; i < RB_ARRAY_LEN(set->v); i++)
		free(set->v[i]);
	free(set);
}

bool rb_mask_set_is_empty(const struct rb_mask_set *set)
{
	for (size_t i = 0; i < RB_ARRAY_LEN(set->n); i++)
		if (set->n[i])
			return false;
	return true;
}

static void add_pattern(struct rb_mask_set *set, const char *ptr, size_t len)
{
	size_t b = (unsigned char)*ptr;

	for (size_t i = 0; i < set->n[b]; i++)
		if (set->v[b][i].len == len && memcmp(set->v[b][i].ptr, ptr, len) == 0)
			return;
	rb_grow(set->v[b], set->n[b], &set->cap[b]);
	set->v[b][set->n[b]++] = (struct pattern){.ptr = ptr, .len = len};
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\0';
}

static void add_line(struct rb_mask_set *set, const char *line, size_t len, size_t min)
{
	while (len && is_blank(*line)) {
		line++;
		len--;
	}
	while (len && is_blank(line[len - 1]))
		len--;
	if (len < min)
		return;
	/* The rest may be too short to be told, so the last piece is a whole one too. */
	for (size_t n; len > PIECE_MAX; line += n, len -= n) {
		add_pattern(set, line, PIECE_MAX);
		n = rb_min_size(PIECE_MAX, len - PIECE_MAX);
	}
	add_pattern(set, line, len);
}

void rb_mask_set_add(struct rb_mask_set *set, const char *value, size_t len)
{
	const char *end = value + len;

	while (end > value && (end[-1] == '\n' || is_blank(end[-1])))
		end--;
	size_t min =
		memchr(value, '\n', (size_t)(end - value)) ? RB_MASK_LINE_MIN : RB_MASK_VALUE_MIN;
	for (const char *p = value; p < end; p++) {
		const char *nl = memchr(p, '\n', (size_t)(end - p));
		size_t n = (size_t)((nl ? nl : end) - p);

		add_line(set, p, n, min);
		p += n;
	}
}

/* Length of the longest value at the beginning of the text, or 0. *ret_more: a longer one may
 * begin here if more text comes. */
static size_t match(const struct rb_mask_set *set, const char *text, size_t len, bool *ret_more)
{
	size_t b = (unsigned char)*text, longest = 0;

	*ret_more = false;
	for (size_t i = 0; i < set->n[b]; i++) {
		const struct pattern *p = &set->v[b][i];

		/* Most differ at once, and a call would cost more than all the rest. */
		if ((len > 1 && p->ptr[1] != text[1]) ||
		    memcmp(p->ptr, text, rb_min_size(p->len, len)) != 0)
			continue;
		if (p->len > len)
			*ret_more = true;
		else if (p->len > longest)
			longest = p->len;
	}
	return longest;
}

/* --- one sequence of bytes --- */

struct sequence {
	struct rb_buf text; /* not decided yet */
	struct rb_buf tags; /* the stream of each byte of it */
	size_t covered;     /* bytes at its beginning that belong to a value told already */
};

#define SEQUENCE_INIT                                                                              \
	{                                                                                          \
		.text = RB_BUF_INIT, .tags = RB_BUF_INIT                                           \
	}

static void sequence_clear(struct sequence *q)
{
	/* It may be most of a secret. */
	explicit_bzero(q->text.ptr, q->text.len);
	rb_buf_clear(&q->text);
	rb_buf_clear(&q->tags);
}

static void drop(struct rb_buf *b, size_t n)
{
	memmove(b->ptr, b->ptr + n, b->len - n);
	explicit_bzero(b->ptr + b->len - n, n);
	rb_buf_truncate(b, b->len - n);
}

/* The bytes [from, to), cut where the stream changes. */
static void emit_range(const struct sequence *q, size_t from, size_t to, rb_mask_emit_fn *emit,
		       void *ctx)
{
	while (from < to) {
		size_t n = 1;

		while (from + n < to && q->tags.ptr[from + n] == q->tags.ptr[from])
			n++;
		emit(ctx, q->tags.ptr[from], q->text.ptr + from, n);
		from += n;
	}
}

/* Tells what is decided: all of it at the end. */
static void scan(const struct rb_mask_set *set, struct sequence *q, bool at_end,
		 rb_mask_emit_fn *emit, void *ctx)
{
	size_t covered = q->covered, plain = q->covered, i;

	for (i = 0; i < q->text.len; i++) {
		bool more;

		if (!set->n[(unsigned char)q->text.ptr[i]])
			continue;
		size_t n = match(set, q->text.ptr + i, q->text.len - i, &more);
		if (more && !at_end)
			break;
		if (!n || i + n <= covered)
			continue;
		if (i >= covered) {
			emit_range(q, plain, i, emit, ctx);
			emit(ctx, q->tags.ptr[i], RB_MASK_TEXT, strlen(RB_MASK_TEXT));
		}
		covered = plain = i + n;
	}
	emit_range(q, plain, i, emit, ctx);
	q->covered = covered > i ? covered - i : 0;
	drop(&q->text, i);
	drop(&q->tags, i);
}

static void add(struct sequence *q, int stream, const char *data, size_t len)
{
	char tags[1024];

	memset(tags, stream, sizeof(tags));
	rb_buf_add(&q->text, data, len);
	for (size_t n; len; len -= n) {
		n = rb_min_size(len, sizeof(tags));
		rb_buf_add(&q->tags, tags, n);
	}
}

static void emit_to_buf(void *ctx, int stream, const char *data, size_t len)
{
	(void)stream;
	rb_buf_add(ctx, data, len);
}

char *rb_mask_text(const struct rb_mask_set *set, const char *text)
{
	struct rb_buf out = RB_BUF_INIT;
	RB_CLEANUP(sequence_clear) struct sequence q = SEQUENCE_INIT;

	add(&q, 1, text, strlen(text));
	scan(set, &q, true, emit_to_buf, &out);
	return rb_buf_steal(&out);
}

/* --- two streams --- */

struct rb_mask {
	const struct rb_mask_set *set;
	struct sequence alone[RB_MASK_STREAMS], mixed;
};

struct rb_mask *rb_mask_new(const struct rb_mask_set *set)
{
	struct rb_mask *m = rb_calloc(1, sizeof(*m));

	*m = (struct rb_mask){
		.set = set, .alone = {SEQUENCE_INIT, SEQUENCE_INIT}, .mixed = SEQUENCE_INIT};
	return m;
}

void rb_mask_free(struct rb_mask *m)
{
	if (!m)
		return;
	for (size_t i = 0; i < RB_MASK_STREAMS; i++)
		sequence_clear(&m->alone[i]);
	sequence_clear(&m->mixed);
	free(m);
}

static void add_alone(void *ctx, int stream, const char *data, size_t len)
{
	struct rb_mask *m = ctx;

	add(&m->alone[stream - 1], stream, data, len);
}

/*
 * First mixed, in the order in which it came: what one stream holds back would let the other's part
 * of a value pass before it.
 */
static void advance(struct rb_mask *m, bool at_end, rb_mask_emit_fn *emit, void *ctx)
{
	scan(m->set, &m->mixed, at_end, add_alone, m);
	for (size_t i = 0; i < RB_MASK_STREAMS; i++)
		scan(m->set, &m->alone[i], at_end, emit, ctx);
}

void rb_mask_feed(struct rb_mask *m, int stream, const char *data, size_t len,
		  rb_mask_emit_fn *emit, void *ctx)
{
	add(&m->mixed, stream, data, len);
	advance(m, false, emit, ctx);
}

void rb_mask_flush(struct rb_mask *m, rb_mask_emit_fn *emit, void *ctx)
{
	advance(m, true, emit, ctx);
}
