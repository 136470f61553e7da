// SPDX-License-Identifier: Apache-2.0
#include <stdlib.h>

#include "plan/plan-internal.h"

/* A change of one map. */
struct rb_scope {
	const struct rb_scope *before; /* NULL: nothing is set there */
	size_t depth;
	enum rb_scope_map map;
	const char *name, *value;
	const char *old; /* the value that it replaces; NULL: none */
};

struct rb_scopes {
	struct rb_arena *arena;
	struct rb_env maps[RB_SCOPE_MAPS];
	const struct rb_scope *at; /* what the maps show */
};

struct rb_scopes *rb_scopes_new(struct rb_arena *arena)
{
	struct rb_scopes *s = rb_calloc(1, sizeof(*s));

	s->arena = arena;
	return s;
}

void rb_scopes_free(struct rb_scopes *s)
{
	for (size_t i = 0; s && i < RB_SCOPE_MAPS; i++)
		rb_env_clear(&s->maps[i]);
	free(s);
}

static size_t depth(const struct rb_scope *scope)
{
	return scope ? scope->depth : 0;
}

/* Maps are ordered by first use, and the order is right again after this: last in, first out. */
static void undo(struct rb_scopes *s)
{
	const struct rb_scope *c = s->at;

	if (c->old)
		rb_env_set(&s->maps[c->map], c->name, c->old);
	else
		rb_env_unset(&s->maps[c->map], c->name);
	s->at = c->before;
}

/* Leads the maps to another place: back to where the ways to both part, then on. */
static void go_to(struct rb_scopes *s, const struct rb_scope *scope)
{
	const struct rb_scope *fork = scope;

	while (s->at != fork) {
		if (depth(s->at) >= depth(fork))
			undo(s);
		else
			fork = fork->before;
	}
	size_t n = depth(scope) - depth(fork);
	const struct rb_scope **way = rb_calloc(n + 1, sizeof(struct rb_scope *));
	for (const struct rb_scope *c = scope; c != fork; c = c->before)
		way[depth(c) - depth(fork) - 1] = c;
	for (size_t i = 0; i < n; i++)
		rb_env_set(&s->maps[way[i]->map], way[i]->name, way[i]->value);
	s->at = scope;
	free(way);
}

const struct rb_env *rb_scope_map(struct rb_scopes *s, const struct rb_scope *scope,
				  enum rb_scope_map map)
{
	if (s->at != scope)
		go_to(s, scope);
	return &s->maps[map];
}

void rb_scope_set(struct rb_scopes *s, const struct rb_scope **scope, enum rb_scope_map map,
		  const char *name, const char *value)
{
	const char *old = rb_env_get(rb_scope_map(s, *scope, map), name);

	if (old && rb_streq(old, value))
		return;
	struct rb_scope *c = rb_arena_alloc(s->arena, sizeof(*c));
	*c = (struct rb_scope){
		.before = *scope,
		.depth = depth(*scope) + 1,
		.map = map,
		.name = rb_arena_strdup(s->arena, name),
		.value = rb_arena_strdup(s->arena, value),
		.old = old ? rb_arena_strdup(s->arena, old) : NULL,
	};
	rb_env_set(&s->maps[map], c->name, c->value);
	s->at = *scope = c;
}
