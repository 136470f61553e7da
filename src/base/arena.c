// SPDX-License-Identifier: Apache-2.0
#include "base/arena.h"

#include <stdlib.h>
#include <string.h>

enum { CHUNK_BYTES = 16 * 1024 };

struct chunk {
	struct chunk *next;
	size_t used, size;
	_Alignas(max_align_t) char data[];
};

struct rb_arena {
	struct chunk *head;
};

struct rb_arena *rb_arena_new(void)
{
	return rb_calloc(1, sizeof(struct rb_arena));
}

void rb_arena_free(struct rb_arena *a)
{
	if (!a)
		return;
	for (struct chunk *c = a->head; c;) {
		struct chunk *next = c->next;

		free(c);
		c = next;
	}
	free(a);
}

void *rb_arena_alloc(struct rb_arena *a, size_t size)
{
	const size_t align = _Alignof(max_align_t);
	struct chunk *c = a->head;

	if (size > SIZE_MAX / 2)
		rb_bug("arena request of %zu bytes", size);
	size = (size + align - 1) & ~(align - 1);
	if (!c || c->size - c->used < size) {
		size_t room = size > CHUNK_BYTES ? size : CHUNK_BYTES;

		c = rb_calloc(1, sizeof(*c) + room);
		c->size = room;
		c->next = a->head;
		a->head = c;
	}
	void *p = c->data + c->used;
	c->used += size;
	return p;
}

void *rb_arena_array(struct rb_arena *a, size_t n, size_t size)
{
	size_t bytes;

	if (__builtin_mul_overflow(n, size, &bytes))
		rb_bug("arena array overflow");
	return rb_arena_alloc(a, bytes);
}

char *rb_arena_strndup(struct rb_arena *a, const char *s, size_t n)
{
	char *p = rb_arena_alloc(a, n + 1);

	memcpy(p, s, n);
	p[n] = '\0';
	return p;
}

char *rb_arena_strdup(struct rb_arena *a, const char *s)
{
	return rb_arena_strndup(a, s, strlen(s));
}
