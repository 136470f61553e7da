// SPDX-License-Identifier: Apache-2.0
/* Image config -> what a stage starts with; what it ends with -> image config and history. */
#include <stdlib.h>
#include <string.h>

#include "plan/plan-internal.h"

/* --- from a config
 * ----------------------------------------------------------------------------------- */

static const char *keep(struct rb_plan *plan, const char *s)
{
	return s ? rb_arena_strdup(plan->arena, s) : NULL;
}

struct rb_words rb_plan_keep_words(struct rb_plan *plan, char *const *v, size_t n)
{
	struct rb_words w = {rb_arena_array(plan->arena, n + 1, sizeof(*w.v)), n};

	for (size_t i = 0; i < n; i++)
		w.v[i] = rb_arena_strdup(plan->arena, v[i]);
	return w;
}

struct rb_words rb_plan_join_words(struct rb_plan *plan, const struct rb_words *a,
				   const struct rb_words *b)
{
	const size_t n = a->n + b->n;
	struct rb_words w = {rb_arena_array(plan->arena, n + 1, sizeof(*w.v)), n};

	for (size_t i = 0; i < n; i++)
		w.v[i] = i < a->n ? a->v[i] : b->v[i - a->n];
	return w;
}

static void set_variable(struct rb_plan *plan, struct rb_stage_state *s, const char *name,
			 const char *value)
{
	rb_scope_set(plan->scopes, &s->scope, RB_SCOPE_ENV, name, value);
	rb_scope_set(plan->scopes, &s->scope, RB_SCOPE_CONFIG_ENV, name, value);
}

static void load_env(struct rb_plan *plan, struct rb_stage_state *s, const struct rb_strv *env)
{
	for (size_t i = 0; i < env->n; i++) {
		const char *entry = env->v[i], *eq = strchrnul(entry, '=');
		RB_CLEANUP(rb_strp) char *name = rb_strndup(entry, (size_t)(eq - entry));

		set_variable(plan, s, name, *eq ? eq + 1 : "");
	}
}

/* Every stage has one (3.1). */
static void need_path(struct rb_plan *plan, struct rb_stage_state *s)
{
	if (!rb_env_get(rb_scope_map(plan->scopes, s->scope, RB_SCOPE_ENV), "PATH"))
		set_variable(plan, s, "PATH", RB_PLAN_DEFAULT_PATH);
}

static void load_set(struct rb_plan *plan, struct rb_stage_state *s, enum rb_scope_map map,
		     const struct rb_strv *set)
{
	for (size_t i = 0; i < set->n; i++)
		rb_scope_set(plan->scopes, &s->scope, map, set->v[i], "");
}

static void load_config(struct rb_plan *plan, const struct rb_image_config *c,
			struct rb_stage_state *s)
{
	*s = (struct rb_stage_state){
		.platform = c->platform,
		.author = keep(plan, c->author),
		.user = keep(plan, c->user),
		.working_dir = keep(plan, c->working_dir),
		.stop_signal = keep(plan, c->stop_signal),
		.entrypoint = rb_plan_keep_words(plan, c->entrypoint.v, c->entrypoint.n),
		.cmd = rb_plan_keep_words(plan, c->cmd.v, c->cmd.n),
		.shell = rb_plan_keep_words(plan, c->shell.v, c->shell.n),
		.onbuild = rb_plan_keep_words(plan, c->onbuild.v, c->onbuild.n),
		.health = c->health,
		.health_test = rb_plan_keep_words(plan, c->health.test.v, c->health.test.n),
		.args_escaped = c->args_escaped,
	};
	s->health.test = (struct rb_strv)RB_STRV_INIT;
	load_env(plan, s, &c->env);
	for (size_t i = 0; i < c->labels.keys.n; i++)
		rb_scope_set(plan->scopes, &s->scope, RB_SCOPE_LABELS, c->labels.keys.v[i],
			     c->labels.values.v[i]);
	load_set(plan, s, RB_SCOPE_PORTS, &c->exposed_ports);
	load_set(plan, s, RB_SCOPE_VOLUMES, &c->volumes);
	need_path(plan, s);
}

const struct rb_stage_state *rb_plan_image_state(struct rb_plan *plan, struct rb_plan_image *image)
{
	if (!image->state) {
		struct rb_stage_state *s = rb_arena_alloc(plan->arena, sizeof(*s));

		load_config(plan, image->config, s);
		s->base_assumed = image->assumed;
		image->state = s;
	}
	return image->state;
}

void rb_plan_scratch_state(struct rb_plan_stage *stage, struct rb_stage_state *ret)
{
	*ret = (struct rb_stage_state){.platform = stage->platform, .working_dir = "/"};
	need_path(stage->plan, ret);
}

/* --- to a config
 * ------------------------------------------------------------------------------------- */

static void replace_str(char **field, const char *value)
{
	free(*field);
	*field = value ? rb_strdup(value) : NULL;
}

static void replace_list(struct rb_strv *field, const struct rb_words *words)
{
	rb_strv_clear(field);
	for (size_t i = 0; i < words->n; i++)
		rb_strv_add(field, words->v[i]);
}

static void replace_set(struct rb_strv *field, const struct rb_env *set)
{
	rb_strv_clear(field);
	for (size_t i = 0; i < set->n; i++)
		rb_strset_add(field, set->names[i]);
}

/* --label comes last, and is of the target. */
static void replace_labels(const struct rb_plan_stage *stage, struct rb_labels *field)
{
	const struct rb_plan *plan = stage->plan;
	const struct rb_labels *given = plan->options.labels;
	const struct rb_env *labels =
		rb_scope_map(plan->scopes, stage->state->scope, RB_SCOPE_LABELS);

	rb_strv_clear(&field->keys);
	rb_strv_clear(&field->values);
	for (size_t i = 0; i < labels->n; i++)
		rb_labels_set(field, labels->names[i], labels->values[i]);
	for (size_t i = 0; given && stage == plan->target && i < given->keys.n; i++)
		rb_labels_set(field, given->keys.v[i], given->values.v[i]);
}

void rb_plan_config(const struct rb_plan_stage *stage, struct rb_image_config *ret)
{
	const struct rb_stage_state *s = stage->state;
	const struct rb_plan *plan = stage->plan;
	struct rb_root_ref root = rb_plan_stage_root(stage);

	if (root.kind == RB_ROOT_IMAGE)
		rb_image_config_copy(ret, root.image->config);
	/* Who asks for a platform gets an image that says so, whatever its last stage starts from
	 * (4.6). */
	ret->platform = stage == plan->target && !plan->options.platform_is_default
				? plan->options.target_platform
				: s->platform;
	replace_str(&ret->created, NULL);
	replace_str(&ret->author, s->author);
	replace_str(&ret->user, s->user);
	replace_str(&ret->working_dir, s->working_dir);
	replace_str(&ret->stop_signal, s->stop_signal);
	replace_list(&ret->entrypoint, &s->entrypoint);
	replace_list(&ret->cmd, &s->cmd);
	replace_list(&ret->shell, &s->shell);
	replace_list(&ret->onbuild, &s->onbuild);
	replace_list(&ret->health.test, &s->health_test);
	const struct rb_strv test = ret->health.test;
	ret->health = s->health;
	ret->health.test = test;
	ret->args_escaped = s->args_escaped;
	rb_strv_clear(&ret->env);
	rb_env_to_strv(rb_scope_map(plan->scopes, s->scope, RB_SCOPE_CONFIG_ENV), &ret->env);
	replace_set(&ret->exposed_ports, rb_scope_map(plan->scopes, s->scope, RB_SCOPE_PORTS));
	replace_set(&ret->volumes, rb_scope_map(plan->scopes, s->scope, RB_SCOPE_VOLUMES));
	replace_labels(stage, &ret->labels);
}

const struct rb_plan_history *rb_plan_history(const struct rb_plan_stage *stage, size_t *ret_n)
{
	const struct rb_stage_history *h = stage->state->history;
	struct rb_plan_history *v;

	*ret_n = h ? h->n : 0;
	v = rb_arena_array(stage->plan->arena, *ret_n, sizeof(*v));
	for (; h; h = h->before)
		v[h->n - 1] = (struct rb_plan_history){
			.created_by = h->created_by ? h->created_by : rb_run_created_by(h->vertex),
			.vertex = h->vertex,
		};
	return v;
}
