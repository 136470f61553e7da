/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hides known values in text that comes in pieces. Pure.
 *
 * A value is looked for line by line, each without the blanks around it, because tools print lines
 * and indent them. Lines shorter than RB_MASK_LINE_MIN (of a value of one line: RB_MASK_VALUE_MIN)
 * are not hidden: they would hide ordinary text and tell by that what they are.
 *
 * A step has two streams, and a reader may see each alone or both mixed, so values are hidden in
 * all three. What may be the beginning of a value is held back until more comes.
 */
#ifndef RB_SOLVE_MASK_H
#define RB_SOLVE_MASK_H

#include "base/buf.h"

#define RB_MASK_TEXT "****"
enum { RB_MASK_VALUE_MIN = 4, RB_MASK_LINE_MIN = 6 };

struct rb_mask_set;

struct rb_mask_set *rb_mask_set_new(void);
void rb_mask_set_free(struct rb_mask_set *set);
/* `value` is borrowed for the life of the set. */
void rb_mask_set_add(struct rb_mask_set *set, const char *value, size_t len);
bool rb_mask_set_is_empty(const struct rb_mask_set *set);

/* A whole text with its values hidden; caller frees. */
char *rb_mask_text(const struct rb_mask_set *set, const char *text);

enum { RB_MASK_STREAMS = 2 };
typedef void rb_mask_emit_fn(void *ctx, int stream, const char *data, size_t len);

/* The streams of one step. */
struct rb_mask;
struct rb_mask *rb_mask_new(const struct rb_mask_set *set /* borrowed */);
void rb_mask_free(struct rb_mask *m);
/* `stream` is 1 or 2. */
void rb_mask_feed(struct rb_mask *m, int stream, const char *data, size_t len,
		  rb_mask_emit_fn *emit, void *ctx);
/* At the end of both streams: lets go what was held back. */
void rb_mask_flush(struct rb_mask *m, rb_mask_emit_fn *emit, void *ctx);

#endif
