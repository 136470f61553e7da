/* SPDX-License-Identifier: Apache-2.0 */
/* Memory for things that die together (a syntax tree, a plan). Nothing in an arena owns a
 * descriptor or child. */
#ifndef RB_BASE_ARENA_H
#define RB_BASE_ARENA_H

#include "base/base.h"

struct rb_arena;

struct rb_arena *rb_arena_new(void);
void rb_arena_free(struct rb_arena *a);
RB_DEFINE_CLEANUP(rb_arena)

/* Zeroed memory, aligned for any type. */
void *rb_arena_alloc(struct rb_arena *a, size_t size) __attribute__((returns_nonnull));
/* Zeroed array; ends the program on overflow. */
void *rb_arena_array(struct rb_arena *a, size_t n, size_t size) __attribute__((returns_nonnull));
char *rb_arena_strdup(struct rb_arena *a, const char *s) __attribute__((returns_nonnull));
char *rb_arena_strndup(struct rb_arena *a, const char *s, size_t n)
	__attribute__((returns_nonnull));

#endif
