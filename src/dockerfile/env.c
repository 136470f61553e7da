// SPDX-License-Identifier: Apache-2.0
#include <stdlib.h>
#include <string.h>

#include "dockerfile/expand.h"

/* Fewer are found as fast by comparing. */
enum { FEW = 16 };

/* FNV-1a */
static uint32_t hash(const char *name)
{
	uint32_t h = 2166136261u;

	for (; *name; name++)
		h = (h ^ (uint8_t)*name) * 16777619u;
	return h;
}

/* The slot that has the name, or the free one where it belongs. */
static size_t slot_of(const struct rb_env *env, const char *name)
{
	size_t i = hash(name) & (env->n_slots - 1);

	while (env->slots[i] && !rb_streq(env->names[env->slots[i] - 1], name))
		i = (i + 1) & (env->n_slots - 1);
	return i;
}

/* At most half of the slots are taken. */
static void index_names(struct rb_env *env)
{
	free(env->slots);
	env->n_slots = FEW * 4;
	while (env->n_slots < env->cap * 2)
		env->n_slots *= 2;
	env->slots = rb_calloc(env->n_slots, sizeof(*env->slots));
	for (size_t i = 0; i < env->n; i++)
		env->slots[slot_of(env, env->names[i])] = (uint32_t)i + 1;
}

/* The entries behind it may only lie where they do because it was taken. */
static void free_slot(struct rb_env *env, size_t i)
{
	env->slots[i] = 0;
	for (;;) {
		i = (i + 1) & (env->n_slots - 1);
		uint32_t entry = env->slots[i];

		if (!entry)
			return;
		env->slots[i] = 0;
		env->slots[slot_of(env, env->names[entry - 1])] = entry;
	}
}

static void drop_index(struct rb_env *env)
{
	free(env->slots);
	env->slots = NULL;
	env->n_slots = 0;
}

ssize_t rb_env_find(const struct rb_env *env, const char *name)
{
	if (env->slots)
		return (ssize_t)env->slots[slot_of(env, name)] - 1;
	for (size_t i = 0; i < env->n; i++)
		if (rb_streq(env->names[i], name))
			return (ssize_t)i;
	return -1;
}

void rb_env_set(struct rb_env *env, const char *name, const char *value)
{
	ssize_t i = rb_env_find(env, name);
	/* The value may be borrowed from the entry that it replaces. */
	char *copy = rb_strdup(value);

	if (i >= 0) {
		free(env->values[i]);
		env->values[i] = copy;
		return;
	}
	if (env->n == env->cap) {
		env->cap = env->cap ? env->cap * 2 : 16;
		env->names = rb_reallocarray(env->names, env->cap, sizeof(*env->names));
		env->values = rb_reallocarray(env->values, env->cap, sizeof(*env->values));
		drop_index(env); /* it grows as well */
	}
	env->names[env->n] = rb_strdup(name);
	env->values[env->n++] = copy;
	if (env->slots)
		env->slots[slot_of(env, name)] = (uint32_t)env->n;
	else if (env->n > FEW)
		index_names(env);
}

const char *rb_env_get(const struct rb_env *env, const char *name)
{
	ssize_t i = rb_env_find(env, name);

	return i < 0 ? NULL : env->values[i];
}

void rb_env_unset(struct rb_env *env, const char *name)
{
	ssize_t i = rb_env_find(env, name);

	if (i < 0)
		return;
	size_t after = --env->n - (size_t)i;
	/* The others' places in the list change, unless it is the last. */
	if (after)
		drop_index(env);
	else if (env->slots)
		free_slot(env, slot_of(env, name));
	free(env->names[i]);
	free(env->values[i]);
	memmove(env->names + i, env->names + i + 1, after * sizeof(*env->names));
	memmove(env->values + i, env->values + i + 1, after * sizeof(*env->values));
}

void rb_env_copy(struct rb_env *dst, const struct rb_env *src)
{
	struct rb_env copy = {0};

	for (size_t i = 0; i < src->n; i++)
		rb_env_set(&copy, src->names[i], src->values[i]);
	rb_env_clear(dst);
	*dst = copy;
}

void rb_env_clear(struct rb_env *env)
{
	for (size_t i = 0; i < env->n; i++) {
		free(env->names[i]);
		free(env->values[i]);
	}
	free(env->names);
	free(env->values);
	free(env->slots);
	*env = (struct rb_env){0};
}

void rb_env_to_strv(const struct rb_env *env, struct rb_strv *ret)
{
	for (size_t i = 0; i < env->n; i++)
		rb_strv_addf(ret, "%s=%s", env->names[i], env->values[i]);
}
