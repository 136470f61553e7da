// SPDX-License-Identifier: Apache-2.0
/* Questions about the graph: where a stage begins and ends, what a vertex takes from. */
#include "plan/plan-internal.h"

static bool takes_from_tree(const struct rb_vertex_copy *copy)
{
	for (size_t i = 0; i < copy->n_sources; i++)
		if (copy->sources[i].path)
			return true;
	return false;
}

size_t rb_vertex_n_inputs(const struct rb_vertex *v)
{
	switch (v->kind) {
	case RB_VERTEX_COPY:
		return takes_from_tree(&v->copy);
	case RB_VERTEX_RUN:
		return v->run.n_trees;
	case RB_VERTEX_WORKDIR:
	case RB_VERTEX_LINK:
		break;
	}
	return 0;
}

const struct rb_root_ref *rb_vertex_input(const struct rb_vertex *v, size_t i)
{
	return v->kind == RB_VERTEX_COPY ? &v->copy.from : &v->run.trees[i]->from;
}

struct rb_vertex *rb_plan_stage_top(const struct rb_plan_stage *stage)
{
	return stage->state ? stage->state->top : NULL;
}

struct rb_root_ref rb_plan_stage_root(const struct rb_plan_stage *stage)
{
	while (stage->base.kind == RB_ROOT_STAGE)
		stage = stage->base.stage;
	/* The files of a named context are a vertex's own. */
	if (stage->base.kind == RB_ROOT_CONTEXT)
		return (struct rb_root_ref){.kind = RB_ROOT_SCRATCH};
	return stage->base;
}
