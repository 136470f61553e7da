// SPDX-License-Identifier: Apache-2.0
/* What the names in FROM, COPY --from and RUN --mount=from mean (dockerfile.md 4.2). */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "plan/plan-internal.h"

static int compare_stages(const void *a, const void *b)
{
	const struct rb_stage *x = (*(struct rb_plan_stage *const *)a)->ast;
	const struct rb_stage *y = (*(struct rb_plan_stage *const *)b)->ast;
	int r = strcmp(x->name, y->name);

	return r ? r : (x->index > y->index) - (x->index < y->index);
}

void rb_plan_index_stages(struct rb_plan *plan)
{
	plan->by_name = rb_arena_array(plan->arena, plan->n_stages, sizeof(*plan->by_name));
	for (size_t i = 0; i < plan->n_stages; i++)
		if (plan->stages[i].ast->name)
			plan->by_name[plan->n_by_name++] = &plan->stages[i];
	qsort(plan->by_name, plan->n_by_name, sizeof(*plan->by_name), compare_stages);
}

struct rb_plan_stage *rb_plan_find_stage(const struct rb_plan *plan, const char *name,
					 size_t before, bool fold)
{
	RB_CLEANUP(rb_strp) char *wanted = rb_strdup(name);
	size_t low = 0, high = plan->n_by_name;

	for (char *p = wanted; fold && *p; p++)
		*p = rb_ascii_lower(*p);
	while (low < high) {
		size_t middle = (low + high) / 2;
		const struct rb_stage *s = plan->by_name[middle]->ast;
		int r = strcmp(s->name, wanted);

		if (r < 0 || (r == 0 && s->index < before))
			low = middle + 1;
		else
			high = middle;
	}
	return low && rb_streq(plan->by_name[low - 1]->ast->name, wanted) ? plan->by_name[low - 1]
									  : NULL;
}

const char *rb_plan_suggest_stage(const struct rb_plan *plan, const char *name, struct rb_buf *hint)
{
	const char *names[64];
	size_t n = 0;

	for (size_t i = 0; i < plan->df->n_stages && n < RB_ARRAY_LEN(names); i++)
		if (plan->df->stages[i].name)
			names[n++] = plan->df->stages[i].name;
	return rb_suggest(hint, name, names, n);
}

static int platform_of_stage(struct rb_plan *plan, struct rb_plan_stage *stage,
			     struct rb_error **err)
{
	const struct rb_inst *from = stage->ast->from;
	RB_CLEANUP(rb_strp) char *text = NULL;

	stage->platform = plan->options.target_platform;
	if (!from->from.platform)
		return 0;
	text = rb_plan_expand_global(plan, from, from->from.platform, err);
	if (!text)
		return -1;
	if (!*text)
		return rb_fail(
			err, RB_ERR_DOCKERFILE,
			"empty platform value from expression %s: give its ARG a value before the first FROM",
			from->from.platform);
	if (rb_platform_parse(text, &stage->platform, err) < 0) {
		/* It is the file's fault here, not the command line's. */
		(*err)->code = RB_ERR_DOCKERFILE;
		return -1;
	}
	return 0;
}

/* What a named context is as the root of something; an image still has to be registered. */
static struct rb_root_ref context_root(const struct rb_plan_context *context)
{
	struct rb_root_ref ref = {.kind = RB_ROOT_IMAGE, .context = context};

	if (context->kind == RB_NAMED_TREE)
		ref.kind = RB_ROOT_CONTEXT;
	else if (context->kind == RB_NAMED_IMAGE && rb_streq(context->image, "scratch"))
		ref.kind = RB_ROOT_SCRATCH;
	return ref;
}

/* A stage that a named context replaces, or one that starts from it. */
static bool base_is_context(struct rb_plan *plan, struct rb_plan_stage *stage, const char *name)
{
	const struct rb_plan_context *c =
		name ? rb_plan_find_context(plan, name, &stage->platform) : NULL;

	if (!c)
		return false;
	stage->base = context_root(c);
	stage->from_name = rb_arena_strdup(plan->arena, name);
	return true;
}

int rb_plan_resolve_base(struct rb_plan *plan, struct rb_plan_stage *stage, struct rb_error **err)
{
	const struct rb_inst *from = stage->ast->from;

	if (platform_of_stage(plan, stage, err) < 0)
		return rb_error_at(err, from->line_first, from->line_last);
	stage->replaced = base_is_context(plan, stage, stage->ast->name);
	if (stage->replaced)
		return 0;
	RB_CLEANUP(rb_strp)
	char *base = rb_plan_expand_global(plan, from, from->from.image, err);
	if (!base)
		return rb_error_at(err, from->line_first, from->line_last);
	if (!*base) {
		(void)rb_fail(
			err, RB_ERR_DOCKERFILE,
			"base name (%s) should not be blank: give its ARG a default before the first FROM, or a value with --build-arg",
			from->from.image);
		return rb_error_at(err, from->line_first, from->line_last);
	}
	struct rb_plan_stage *earlier = rb_plan_find_stage(plan, base, stage->ast->index, false);
	if (earlier) {
		stage->base = (struct rb_root_ref){.kind = RB_ROOT_STAGE, .stage = earlier};
		stage->platform = earlier->platform;
	} else if (rb_streq(base, "scratch")) {
		stage->base.kind = RB_ROOT_SCRATCH;
		stage->platform = plan->options.target_platform;
	} else if (!base_is_context(plan, stage, base)) {
		stage->base.kind = RB_ROOT_IMAGE;
		stage->from_name = rb_arena_strdup(plan->arena, base);
	}
	return 0;
}

/* The label of the only stage is empty: progress does not name it, but an error must. */
static const char *stage_name(const struct rb_plan_stage *stage)
{
	if (stage->ast->name)
		return stage->ast->name;
	return *stage->label ? stage->label : "stage-0";
}

/* Stages to look at; each once. */
struct stage_queue {
	const struct rb_plan_stage **v;
	size_t n;
	bool *seen;
};

static void queue_stage(struct stage_queue *q, const struct rb_plan_stage *stage)
{
	if (!stage || q->seen[stage->ast->index])
		return;
	q->seen[stage->ast->index] = true;
	q->v[q->n++] = stage;
}

static void queue_from(struct rb_plan *plan, struct stage_queue *q, const struct rb_from *from)
{
	uint64_t n;

	if (!from->text)
		return;
	if (!from->mount_target &&
	    rb_parse_u64(rb_slice_str(from->text), plan->n_stages - 1, &n) == 0)
		queue_stage(q, &plan->stages[n]);
	else
		queue_stage(q, rb_plan_find_stage(plan, from->text, plan->n_stages, true));
}

static void queue_inputs(struct rb_plan *plan, struct stage_queue *q,
			 const struct rb_plan_stage *stage)
{
	if (stage->base.kind == RB_ROOT_STAGE)
		queue_stage(q, stage->base.stage);
	for (size_t i = 0; i < rb_plan_n_insts(stage); i++) {
		const struct rb_inst *inst = rb_plan_inst(stage, i);
		struct rb_from from = {.text = NULL};

		if (inst->kind == RB_INST_COPY) {
			from.text = inst->copy.from;
			queue_from(plan, q, &from);
		}
		for (size_t k = 0; inst->kind == RB_INST_RUN && k < inst->run.n_mounts; k++)
			if (rb_plan_mount_root(plan, &inst->run.mounts[k], &from.text,
					       &from.mount_target))
				queue_from(plan, q, &from);
	}
}

/* Whether `stage` is made from `goal`, also where instructions refer to later stages. */
static bool needs_stage(struct rb_plan *plan, const struct rb_plan_stage *stage,
			const struct rb_plan_stage *goal)
{
	struct stage_queue q = {
		.v = rb_arena_array(plan->arena, plan->n_stages, sizeof(*q.v)),
		.seen = rb_arena_array(plan->arena, plan->n_stages, sizeof(*q.seen)),
	};

	queue_stage(&q, stage);
	for (size_t i = 0; i < q.n; i++) {
		if (q.v[i] == goal)
			return true;
		queue_inputs(plan, &q, q.v[i]);
	}
	return false;
}

static int later_stage(struct rb_plan *plan, const struct rb_plan_stage *stage,
		       const struct rb_plan_stage *from, const char *mount_target,
		       struct rb_error **err)
{
	if (from == stage)
		return rb_fail(err, RB_ERR_DOCKERFILE,
			       "circular dependency detected on stage: %s: it takes from itself",
			       stage_name(stage));
	if (needs_stage(plan, from, stage))
		return rb_fail(
			err, RB_ERR_DOCKERFILE,
			"circular dependency detected on stage: %s: it takes from %s (line %u), which is made from it",
			stage_name(stage), stage_name(from), from->ast->from->line_first);
	if (mount_target)
		return rb_fail(
			err, RB_ERR_DOCKERFILE,
			"cannot mount from stage \"%s\" to \"%s\", stage needs to be defined "
			"before current command",
			stage_name(from), mount_target);
	return rb_fail(
		err, RB_ERR_DOCKERFILE,
		"cannot copy from stage \"%s\", it needs to be defined before current stage \"%s\"",
		stage_name(from), stage_name(stage));
}

/* The tree of an earlier stage. What replaces it is taken from directly: who needs one file of a
 * directory need not have it copied whole. */
static struct rb_root_ref end_of_stage(struct rb_plan_stage *stage)
{
	if (stage->replaced && stage->base.kind == RB_ROOT_CONTEXT)
		return stage->base;
	return (struct rb_root_ref){.kind = RB_ROOT_STAGE, .stage = stage};
}

/* COPY --from=N; 1 when the text is a stage number, 0 when it is something else. */
static int from_number(struct rb_plan *plan, struct rb_plan_stage *stage, const char *from,
		       struct rb_root_ref *ret, struct rb_error **err)
{
	uint64_t n;
	int r = rb_parse_u64(rb_slice_str(from), plan->n_stages - 1, &n);

	if (r == -EINVAL)
		return 0;
	if (r < 0)
		return rb_fail(err, RB_ERR_DOCKERFILE,
			       "invalid stage index %s: the stages are 0 to %zu", from,
			       plan->n_stages - 1);
	if (n >= stage->ast->index)
		return later_stage(plan, stage, &plan->stages[n], NULL, err);
	*ret = end_of_stage(&plan->stages[n]);
	return 1;
}

/* A stage that the text names; 1, 0 when it is something else. */
static int from_stage(struct rb_plan *plan, struct rb_plan_stage *stage, const struct rb_from *from,
		      struct rb_root_ref *ret, struct rb_error **err)
{
	int r = from->mount_target ? 0 : from_number(plan, stage, from->text, ret, err);

	if (r)
		return r;
	struct rb_plan_stage *earlier =
		rb_plan_find_stage(plan, from->text, stage->ast->index, true);
	if (!earlier) {
		struct rb_plan_stage *any =
			rb_plan_find_stage(plan, from->text, plan->n_stages, true);

		return any ? later_stage(plan, stage, any, from->mount_target, err) : 0;
	}
	*ret = end_of_stage(earlier);
	return 1;
}

int rb_plan_resolve_from(struct rb_plan *plan, struct rb_plan_stage *stage,
			 const struct rb_inst *inst, const struct rb_from *from,
			 struct rb_root_ref *ret, struct rb_error **err)
{
	*ret = (struct rb_root_ref){.kind = RB_ROOT_CONTEXT};
	if (!from->text)
		return 0;
	int r = from_stage(plan, stage, from, ret, err);
	if (r < 0)
		return rb_error_at(err, inst->line_first, inst->line_last);
	if (r > 0)
		return 0;
	if (rb_streq(from->text, "scratch")) {
		ret->kind = RB_ROOT_SCRATCH;
		return 0;
	}
	const struct rb_platform *platform = &plan->options.target_platform;
	const struct rb_plan_context *context = rb_plan_find_context(plan, from->text, platform);
	*ret = context ? context_root(context) : (struct rb_root_ref){.kind = RB_ROOT_IMAGE};
	return ret->kind == RB_ROOT_IMAGE ? rb_plan_use_image(plan, from->text, context, platform,
							      inst, &ret->image, err)
					  : 0;
}
