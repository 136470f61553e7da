// SPDX-License-Identifier: Apache-2.0
/* SOURCE_DATE_EPOCH (dockerfile.md 7.5): a number, or what has a time. */
#include "dockerfile/values.h"
#include "plan/plan-internal.h"

/* The ARG before the first FROM that declares it, or NULL. */
static const struct rb_inst *find_declaration(const struct rb_plan *plan)
{
	for (size_t i = plan->df->n_global_args; i-- > 0;) {
		const struct rb_inst *inst = &plan->df->global_args[i];

		for (size_t k = 0; k < inst->kvs.n; k++)
			if (rb_streq(inst->kvs.v[k].key, RB_PLAN_EPOCH_ARG))
				return inst;
	}
	return NULL;
}

/* Of a build argument no line is to blame. */
static int invalid(const struct rb_plan *plan, const char *text, const char *why,
		   struct rb_error **err)
{
	const struct rb_inst *inst = plan->epoch.is_arg ? NULL : find_declaration(plan);

	(void)rb_fail(err, inst ? RB_ERR_DOCKERFILE : RB_ERR_USAGE,
		      "invalid " RB_PLAN_EPOCH_ARG ": %.80s: %s", text, why);
	return inst ? rb_error_at(err, inst->line_first, inst->line_last) : -1;
}

/* Whether the one step of the stage is an ADD of one source, as far as the text tells. */
static bool is_one_add(const struct rb_plan_stage *stage)
{
	const struct rb_inst *add = NULL;

	if (stage->replaced || stage->base.kind != RB_ROOT_SCRATCH)
		return false;
	for (size_t i = 0; i < stage->ast->n_insts; i++) {
		const struct rb_inst *inst = &stage->ast->insts[i];

		if (inst->kind == RB_INST_RUN || inst->kind == RB_INST_COPY ||
		    inst->kind == RB_INST_WORKDIR || (inst->kind == RB_INST_ADD && add))
			return false;
		if (inst->kind == RB_INST_ADD)
			add = inst;
	}
	return add && add->copy.n_order == 1;
}

/* What names it is the value of no ARG in a stage: programs take seconds only. */
static void ask(struct rb_plan *plan, struct rb_root_ref from)
{
	plan->epoch.pending = plan->epoch.is_asked = true;
	plan->epoch.from = from;
	rb_env_unset(&plan->global, RB_PLAN_EPOCH_ARG);
}

static int from_context(struct rb_plan *plan, const char *text,
			const struct rb_plan_context *context, struct rb_error **err)
{
	if (context && context->kind != RB_NAMED_TREE)
		return invalid(plan, text,
			       "that context is an image, which has no time of its own; name one "
			       "of files, or give the seconds",
			       err);
	ask(plan, (struct rb_root_ref){.kind = RB_ROOT_CONTEXT, .context = context});
	return 0;
}

static int from_stage(struct rb_plan *plan, const char *text, struct rb_plan_stage *stage,
		      struct rb_error **err)
{
	if (!is_one_add(stage))
		return invalid(
			plan, text,
			"a stage has a time when it is FROM scratch and its only step is one "
			"ADD of one URL or git repository",
			err);
	rb_plan_need_stage(stage);
	ask(plan, (struct rb_root_ref){.kind = RB_ROOT_STAGE, .stage = stage});
	return 0;
}

int rb_plan_find_epoch(struct rb_plan *plan, struct rb_error **err)
{
	const char *given = rb_env_get(plan->options.build_args, RB_PLAN_EPOCH_ARG);
	const char *text = given ? given : rb_env_get(&plan->global, RB_PLAN_EPOCH_ARG);
	uint64_t seconds;

	plan->epoch.is_arg = given != NULL;
	if (!text || !*text)
		return 0;
	if (rb_parse_u64(rb_slice_str(text), RB_TIME_MAX, &seconds) == 0) {
		plan->epoch.set = true;
		plan->epoch.seconds = (int64_t)seconds;
		return 0;
	}
	if (rb_streq(text, "context"))
		return from_context(plan, text, NULL, err);
	const struct rb_plan_context *context =
		rb_plan_find_context(plan, text, &plan->options.target_platform);
	if (context)
		return from_context(plan, text, context, err);
	struct rb_plan_stage *stage = rb_plan_find_stage(plan, text, plan->n_stages, true);
	if (stage)
		return from_stage(plan, text, stage, err);
	return invalid(plan, text,
		       "expected whole seconds since 1970, \"context\", or the name of a "
		       "--build-context or of a stage that ADDs one URL or git repository",
		       err);
}

void rb_plan_set_epoch(struct rb_plan *plan, const int64_t *seconds)
{
	struct rb_plan_epoch *epoch = &plan->epoch;

	epoch->pending = false;
	epoch->set = seconds != NULL;
	if (epoch->set)
		epoch->seconds = *seconds;
	RB_CLEANUP(rb_strp)
	char *text = epoch->set ? rb_asprintf("%lld", (long long)*seconds) : NULL;
	if (text)
		rb_env_set(&plan->global, RB_PLAN_EPOCH_ARG, text);
}

int rb_plan_epoch_remote(const struct rb_plan *plan, struct rb_plan_remote **ret,
			 struct rb_error **err)
{
	const struct rb_plan_stage *stage = plan->epoch.from.stage;
	const struct rb_vertex *add = stage->vertices[0];

	*ret = add->copy.sources[0].remote;
	if (*ret)
		return 0;
	(void)rb_fail(err, RB_ERR_DOCKERFILE,
		      "invalid " RB_PLAN_EPOCH_ARG
		      ": %s: what this stage ADDs is no URL or git repository, and so has no time",
		      stage->ast->name);
	return rb_error_at(err, add->inst->line_first, add->inst->line_last);
}

const char *rb_plan_given_arg(const struct rb_plan *plan, const char *name)
{
	if (!plan->epoch.is_asked || !rb_streq(name, RB_PLAN_EPOCH_ARG))
		return rb_env_get(plan->options.build_args, name);
	return plan->epoch.is_arg ? rb_env_get(&plan->global, name) : NULL;
}
