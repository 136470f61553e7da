// SPDX-License-Identifier: Apache-2.0
/* A stage -> its config, history and vertices. */
#include <stdlib.h>
#include <string.h>

#include "plan/plan-internal.h"

const char *rb_elab_keep(struct rb_elab *e, const char *s)
{
	return rb_arena_strdup(e->plan->arena, s);
}

char rb_elab_escape(const struct rb_elab *e)
{
	return e->inst->trigger ? '\\' : e->plan->df->escape;
}

char *rb_elab_expand(struct rb_elab *e, const char *word, struct rb_error **err)
{
	struct rb_expand_report report = {0};
	char *value = rb_expand(word, rb_elab_escape(e), &e->state->env, &report, err);

	rb_elab_check_undefined(e, &report);
	return value;
}

/* The text lives as long as the plan. */
static void add_history(struct rb_elab *e, struct rb_vertex *vertex, const char *created_by)
{
	if (e->n_history == e->cap_history) {
		size_t cap = e->cap_history ? e->cap_history * 2 : 16;
		struct rb_plan_history *h = rb_arena_array(e->plan->arena, cap, sizeof(*h));

		if (e->n_history)
			memcpy(h, e->history, e->n_history * sizeof(*h));
		e->history = h;
		e->cap_history = cap;
	}
	e->history[e->n_history++] =
		(struct rb_plan_history){.created_by = created_by, .vertex = vertex};
}

void rb_elab_history(struct rb_elab *e, struct rb_vertex *vertex, const char *created_by)
{
	add_history(e, vertex, rb_arena_strdup(e->plan->arena, created_by));
}

typedef int step_fn(struct rb_elab *e, struct rb_error **err);

static step_fn *const steps[RB_INST_N] = {
	[RB_INST_ADD] = rb_elab_copy,
	[RB_INST_COPY] = rb_elab_copy,
	[RB_INST_RUN] = rb_elab_run,
	[RB_INST_WORKDIR] = rb_elab_workdir,
};

/* Puts the config's Env into the stage environment; PATH is added to both when absent (3.1). */
static void load_env(struct rb_elab *e)
{
	for (size_t i = 0; i < e->config->env.n; i++) {
		const char *entry = e->config->env.v[i], *eq = strchr(entry, '=');
		RB_CLEANUP(rb_strp)
		char *name = rb_strndup(entry, eq ? (size_t)(eq - entry) : strlen(entry));

		rb_env_set(&e->state->env, name, eq ? eq + 1 : "");
		rb_env_set(&e->state->config_env, name, eq ? eq + 1 : "");
	}
	if (!rb_env_get(&e->state->env, "PATH")) {
		rb_env_set(&e->state->env, "PATH", RB_PLAN_DEFAULT_PATH);
		rb_env_set(&e->state->config_env, "PATH", RB_PLAN_DEFAULT_PATH);
	}
}

static void start_from_image(struct rb_elab *e, const struct rb_plan_image *image)
{
	rb_image_config_copy(e->config, image->config);
	e->state->base_assumed = image->assumed;
	/* Where nobody asked for a platform, that of an image that has only one is as good (3.1).
	 */
	if (e->plan->options.platform_is_default && !e->stage->ast->from->from.platform &&
	    !image->assumed && *e->config->platform.os)
		e->stage->platform = e->config->platform;
	rb_plan_check_base_platform(e, image);
	free(e->config->created);
	e->config->created = NULL;
	load_env(e);
}

static void start_from_stage(struct rb_elab *e, const struct rb_plan_stage *parent)
{
	e->stage->platform = parent->platform;
	rb_image_config_copy(e->config, &parent->config);
	rb_stage_state_copy(e->state, parent->state);
	for (size_t i = 0; i < parent->n_history; i++)
		add_history(e, parent->history[i].vertex, parent->history[i].created_by);
	e->top = rb_plan_stage_top(parent);
}

static void start_stage(struct rb_elab *e)
{
	struct rb_plan_stage *stage = e->stage;

	switch (stage->base.kind) {
	case RB_ROOT_IMAGE:
		start_from_image(e, stage->base.image);
		return;
	case RB_ROOT_STAGE:
		start_from_stage(e, stage->base.stage);
		return;
	case RB_ROOT_SCRATCH:
	case RB_ROOT_CONTEXT:
		e->config->platform = stage->platform;
		e->config->working_dir = rb_strdup("/");
		load_env(e);
		return;
	}
	rb_bug("unknown base of a stage");
}

static void name_base(struct rb_elab *e)
{
	struct rb_plan_stage *stage = e->stage;
	RB_CLEANUP(rb_buf_clear) struct rb_buf name = RB_BUF_INIT;

	if (stage->base.kind != RB_ROOT_IMAGE)
		return;
	e->step = 1;
	rb_elab_step_number(e, "FROM", &name);
	rb_buf_addf(&name, " %s", stage->base.image->name);
	stage->from_name = rb_arena_strdup(e->plan->arena, name.ptr);
}

int rb_plan_elaborate(struct rb_plan *plan, struct rb_plan_stage *stage, struct rb_error **err)
{
	stage->state = rb_arena_alloc(plan->arena, sizeof(*stage->state));
	struct rb_elab e = {
		.plan = plan,
		.stage = stage,
		.state = stage->state,
		.config = &stage->config,
		.n_steps = stage->base.kind == RB_ROOT_IMAGE || stage->base.kind == RB_ROOT_CONTEXT,
	};
	start_stage(&e);
	if (!stage->replaced && rb_plan_take_triggers(plan, stage, err) < 0)
		return -1;
	for (size_t i = 0; i < rb_plan_n_insts(stage); i++)
		e.n_steps += steps[rb_plan_inst(stage, i)->kind] != NULL;
	/* COPY --link makes two. */
	stage->vertices = rb_arena_array(plan->arena, 2 * e.n_steps, sizeof(struct rb_vertex *));
	name_base(&e);
	if (stage->base.kind == RB_ROOT_CONTEXT)
		rb_elab_from_context(&e);
	for (size_t i = 0; i < rb_plan_n_insts(stage); i++) {
		e.inst = rb_plan_inst(stage, i);
		step_fn *fn = steps[e.inst->kind] ? steps[e.inst->kind] : rb_elab_config;

		if (fn(&e, err) < 0)
			return rb_error_at(err, e.inst->line_first, e.inst->line_last);
	}
	if (stage == plan->target && plan->options.labels)
		for (size_t i = 0; i < plan->options.labels->keys.n; i++)
			rb_labels_set(&stage->config.labels, plan->options.labels->keys.v[i],
				      plan->options.labels->values.v[i]);
	/* Who asks for a platform gets an image that says so, whatever its last stage starts from
	 * (4.6). */
	if (stage == plan->target && !plan->options.platform_is_default)
		stage->config.platform = plan->options.target_platform;
	rb_strv_clear(&stage->config.env);
	rb_env_to_strv(&stage->state->config_env, &stage->config.env);
	stage->history = e.history;
	stage->n_history = e.n_history;
	stage->elaborated = true;
	return 0;
}
