// SPDX-License-Identifier: Apache-2.0
/* A stage -> its config, history and vertices. */
#include <stdlib.h>

#include "plan/plan-internal.h"

const char *rb_elab_keep(struct rb_elab *e, const char *s)
{
	return rb_arena_strdup(e->plan->arena, s);
}

char rb_plan_escape(const struct rb_plan *plan, const struct rb_inst *inst)
{
	return inst->trigger ? '\\' : plan->df->escape;
}

char *rb_elab_expand(struct rb_elab *e, const char *word, struct rb_error **err)
{
	struct rb_expand_report report = {0};
	char *value = rb_expand(word, rb_plan_escape(e->plan, e->inst),
				rb_elab_map(e, RB_SCOPE_ENV), &report, err);

	rb_elab_check_undefined(e, &report);
	if (value && rb_plan_count_expanded(e->plan, value, err) < 0) {
		free(value);
		return NULL;
	}
	return value;
}

const struct rb_env *rb_elab_map(const struct rb_elab *e, enum rb_scope_map map)
{
	return rb_scope_map(e->plan->scopes, e->state->scope, map);
}

void rb_elab_set(struct rb_elab *e, enum rb_scope_map map, const char *name, const char *value)
{
	rb_scope_set(e->plan->scopes, &e->state->scope, map, name, value);
}

const char *rb_elab_working_dir(const struct rb_elab *e)
{
	const char *dir = e->state->working_dir;

	return dir && *dir ? dir : "/";
}

struct rb_words rb_elab_shell_form(struct rb_elab *e, const char *script)
{
	static const char *usual[] = {"/bin/sh", "-c"};
	const struct rb_words sh = {usual, RB_ARRAY_LEN(usual)}, text = {&script, 1};

	return rb_plan_join_words(e->plan, e->state->shell.n ? &e->state->shell : &sh, &text);
}

void rb_elab_history(struct rb_elab *e, struct rb_vertex *vertex, const char *created_by)
{
	const struct rb_stage_history *before = e->state->history;
	struct rb_stage_history *h = rb_arena_alloc(e->plan->arena, sizeof(*h));

	*h = (struct rb_stage_history){
		.before = before,
		.n = before ? before->n + 1 : 1,
		.created_by = created_by ? rb_elab_keep(e, created_by) : NULL,
		.vertex = vertex,
	};
	e->state->history = h;
}

typedef int step_fn(struct rb_elab *e, struct rb_error **err);

static step_fn *const steps[RB_INST_N] = {
	[RB_INST_ADD] = rb_elab_copy,
	[RB_INST_COPY] = rb_elab_copy,
	[RB_INST_RUN] = rb_elab_run,
	[RB_INST_WORKDIR] = rb_elab_workdir,
};

static void start_from_image(struct rb_elab *e, struct rb_plan_image *image)
{
	*e->state = *rb_plan_image_state(e->plan, image);
	/* Where nobody asked for a platform, that of an image that has only one is as good (3.1).
	 */
	if (e->plan->options.platform_is_default && !e->stage->ast->from->from.platform &&
	    !image->assumed && *e->state->platform.os)
		e->stage->platform = e->state->platform;
	rb_plan_check_base_platform(e, image);
}

static void start_from_stage(struct rb_elab *e, const struct rb_plan_stage *parent)
{
	*e->state = *parent->state;
	e->state->cmd_set = false;
	e->stage->platform = parent->platform;
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
		rb_plan_scratch_state(stage, e->state);
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

/* The triggers that this stage leaves to its children. */
static struct rb_words list_onbuild(const struct rb_plan_stage *stage)
{
	struct rb_words w = {0};

	for (size_t i = 0; i < stage->ast->n_insts; i++)
		w.n += stage->ast->insts[i].kind == RB_INST_ONBUILD;
	w.v = rb_arena_array(stage->plan->arena, w.n + 1, sizeof(*w.v));
	w.n = 0;
	for (size_t i = 0; i < stage->ast->n_insts; i++)
		if (stage->ast->insts[i].kind == RB_INST_ONBUILD)
			w.v[w.n++] = stage->ast->insts[i].text;
	return w;
}

int rb_plan_elaborate(struct rb_plan *plan, struct rb_plan_stage *stage, struct rb_error **err)
{
	stage->state = rb_arena_alloc(plan->arena, sizeof(*stage->state));
	struct rb_elab e = {
		.plan = plan,
		.stage = stage,
		.state = stage->state,
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
	if (!stage->replaced)
		e.state->onbuild = list_onbuild(stage);
	stage->elaborated = true;
	return 0;
}
