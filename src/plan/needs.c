// SPDX-License-Identifier: Apache-2.0
/* Which stages and images the target is made from: nobody else's are elaborated or asked for. */
#include <string.h>

#include "dockerfile/values.h"
#include "plan/plan-internal.h"

void rb_plan_need_stage(struct rb_plan_stage *stage)
{
	stage->plan->n_needed += !stage->needed;
	stage->needed = true;
}

static int need_from(struct rb_plan *plan, struct rb_plan_stage *stage, const struct rb_inst *inst,
		     const struct rb_from *from, struct rb_error **err)
{
	struct rb_root_ref root;

	if (rb_plan_resolve_from(plan, stage, inst, from, &root, err) < 0)
		return -1;
	if (root.kind == RB_ROOT_STAGE)
		rb_plan_need_stage(root.stage);
	if (root.kind == RB_ROOT_CONTEXT && !root.context)
		plan->needs_context = true;
	return 0;
}

static int need_mount(struct rb_plan *plan, struct rb_plan_stage *stage, const struct rb_inst *inst,
		      const struct rb_kvs *options, struct rb_error **err)
{
	struct rb_from from;

	return rb_plan_mount_root(plan, options, &from.text, &from.mount_target)
		       ? need_from(plan, stage, inst, &from, err)
		       : 0;
}

/* Heredocs, URLs and git repositories need no context. */
static bool names_files(const struct rb_inst *inst)
{
	for (size_t i = 0; i < inst->copy.sources.n; i++)
		if (rb_dockerfile_source_kind(inst->copy.sources.v[i]) == RB_SOURCE_PATH)
			return true;
	return false;
}

/* Marks what one instruction of a needed stage needs. */
static int need_inst(struct rb_plan *plan, struct rb_plan_stage *stage, const struct rb_inst *inst,
		     struct rb_error **err)
{
	struct rb_from from = {.text = NULL};

	if (inst->kind == RB_INST_RUN) {
		for (size_t i = 0; i < inst->run.n_mounts; i++)
			if (need_mount(plan, stage, inst, &inst->run.mounts[i], err) < 0)
				return -1;
		return 0;
	}
	if (inst->kind != RB_INST_COPY && inst->kind != RB_INST_ADD)
		return 0;
	if (inst->kind == RB_INST_COPY)
		from.text = inst->copy.from;
	return from.text || names_files(inst) ? need_from(plan, stage, inst, &from, err) : 0;
}

static int need_inputs(struct rb_plan *plan, struct rb_plan_stage *stage, struct rb_error **err)
{
	stage->has_inputs = true;
	if (!stage->replaced)
		rb_lint_stage(plan->options.lint, stage->ast);
	if (stage->base.kind == RB_ROOT_STAGE)
		rb_plan_need_stage(stage->base.stage);
	for (size_t i = 0; i < rb_plan_n_insts(stage); i++)
		if (need_inst(plan, stage, rb_plan_inst(stage, i), err) < 0)
			return -1;
	return 0;
}

/* Images of bases, in file order, after reachability is known. */
static int use_base_images(struct rb_plan *plan, struct rb_error **err)
{
	for (size_t i = 0; i < plan->n_stages; i++) {
		struct rb_plan_stage *stage = &plan->stages[i];

		if (stage->needed && stage->base.kind == RB_ROOT_IMAGE && !stage->base.image &&
		    rb_plan_use_image(plan, stage->from_name, stage->base.context, &stage->platform,
				      stage->ast->from, &stage->base.image, err) < 0)
			return -1;
	}
	return 0;
}

int rb_plan_close_needs(struct rb_plan *plan, size_t end, struct rb_error **err)
{
	for (size_t i = end; i-- > 0;) {
		struct rb_plan_stage *stage = &plan->stages[i];

		if (stage->needed && !stage->has_inputs && need_inputs(plan, stage, err) < 0)
			return -1;
	}
	return use_base_images(plan, err);
}

static int parse_triggers(struct rb_plan *plan, struct rb_plan_stage *stage, struct rb_error **err)
{
	const struct rb_words *texts = &stage->state->onbuild;
	const struct rb_inst *from = stage->ast->from;
	struct rb_inst *v = rb_arena_array(plan->arena, texts->n, sizeof(*v));

	for (size_t i = 0; i < texts->n; i++) {
		const char *text = texts->v[i];

		if (rb_dockerfile_parse_trigger(plan->arena, text, from->line_first,
						from->line_last, &v[i], err) < 0)
			return rb_wrap(err, "ONBUILD trigger \"%.*s\" of the base %s",
				       (int)rb_min_size(strcspn(text, "\n"), 200), text,
				       from->from.image);
	}
	stage->triggers = v;
	stage->n_triggers = texts->n;
	return 0;
}

int rb_plan_take_triggers(struct rb_plan *plan, struct rb_plan_stage *stage, struct rb_error **err)
{
	if (!stage->state->onbuild.n)
		return 0;
	const size_t before = plan->n_needed;
	int r = parse_triggers(plan, stage, err);
	stage->state->onbuild = (struct rb_words){0};
	for (size_t i = 0; r == 0 && i < stage->n_triggers; i++)
		if ((r = need_inst(plan, stage, &stage->triggers[i], err)) < 0)
			return rb_wrap(err, "ONBUILD trigger %s of the base %s",
				       rb_inst_kind_name(stage->triggers[i].kind),
				       stage->ast->from->from.image);
	if (r < 0 || plan->n_needed == before)
		return r;
	return rb_plan_close_needs(plan, stage->ast->index, err);
}
