// SPDX-License-Identifier: Apache-2.0
#include <stdlib.h>
#include <string.h>

#include "dockerfile/expand.h"

static ssize_t find(const struct rb_env *env, const char *name)
{
	for (size_t i = 0; i < env->n; i++)
		if (rb_streq(env->names[i], name))
			return (ssize_t)i;
	return -1;
}

void rb_env_set(struct rb_env *env, const char *name, const char *value)
{
	ssize_t i = find(env, name);
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
	}
	env->names[env->n] = rb_strdup(name);
	env->values[env->n++] = copy;
}

const char *rb_env_get(const struct rb_env *env, const char *name)
{
	ssize_t i = find(env, name);

	return i < 0 ? NULL : env->values[i];
}

void rb_env_unset(struct rb_env *env, const char *name)
{
	ssize_t i = find(env, name);

	if (i < 0)
		return;
	free(env->names[i]);
	free(env->values[i]);
	size_t after = --env->n - (size_t)i;
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
	*env = (struct rb_env){0};
}

void rb_env_to_strv(const struct rb_env *env, struct rb_strv *ret)
{
	for (size_t i = 0; i < env->n; i++)
		rb_strv_addf(ret, "%s=%s", env->names[i], env->values[i]);
}
