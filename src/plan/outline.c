// SPDX-License-Identifier: Apache-2.0
/*
 * Which arguments a target uses is found by walking its stages in file order: an ARG is used when a
 * later instruction of the stage, or of one that is from it, names it, or is a RUN, which sees all
 * of them. A global one is used by FROM, by a bare ARG of its name that is used, and by the
 * defaults of others that are.
 */
#include "plan/outline.h"

#include <stdlib.h>
#include <string.h>

#include "plan/plan-internal.h"

/* A declaration. Those that a stage sees are a list, newest first, which its children continue. */
struct decl {
	struct decl *below;
	const struct rb_inst *inst;
	const struct rb_kv *kv;
	const char *value;
	bool used;
	bool all_below; /* a RUN has seen this and all below */
};

struct walk {
	struct rb_plan *plan;
	struct decl *globals;
	struct decl **ends; /* by stage: what it has declared at its end */
	struct decl **all;  /* in order of declaration */
	size_t n_all, cap_all;
	struct rb_env told; /* names of the arguments that are in the result */
	struct rb_outline *out;
};

/* --- results
 * ----------------------------------------------------------------------------------------- */

static void add_arg(struct walk *w, const struct decl *d)
{
	struct rb_outline *o = w->out;

	if (rb_env_get(&w->told, d->kv->key))
		return;
	rb_env_set(&w->told, d->kv->key, "");
	rb_grow(o->args, o->n_args, &o->cap_args);
	o->args[o->n_args++] = (struct rb_outline_arg){
		.name = d->kv->key,
		.value = d->value,
		.description = rb_inst_description(d->inst, d->kv->key),
		.line_first = d->inst->line_first,
		.line_last = d->inst->line_last,
	};
}

static void add_mount(struct rb_outline_mounts *list, const struct rb_vertex *v,
		      const struct rb_run_mount *m, const char *name)
{
	for (size_t i = 0; i < list->n; i++) {
		if (rb_streq(list->v[i].name, name)) {
			list->v[i].required |= m->required;
			return;
		}
	}
	rb_grow(list->v, list->n, &list->cap);
	list->v[list->n++] = (struct rb_outline_mount){
		.name = name,
		.required = m->required,
		.line_first = v->inst->line_first,
		.line_last = v->inst->line_last,
	};
}

/* The id of a cache without the name space that the build puts before it. */
static const char *cache_name(const struct walk *w, const char *id)
{
	const char *ns = rb_env_get(w->plan->options.build_args, "BUILDKIT_CACHE_MOUNT_NS");

	return id + (ns ? strlen(ns) : 0) + 1;
}

static void add_mounts(struct walk *w, const struct rb_vertex *v)
{
	for (size_t i = 0; v->kind == RB_VERTEX_RUN && i < v->run.n_mounts; i++) {
		const struct rb_run_mount *m = &v->run.mounts[i].spec;

		if (m->type == RB_MOUNT_SECRET)
			add_mount(&w->out->secrets, v, m, m->id);
		else if (m->type == RB_MOUNT_SSH)
			add_mount(&w->out->ssh, v, m, m->id);
		else if (m->type == RB_MOUNT_CACHE)
			add_mount(&w->out->caches, v, m, cache_name(w, m->id));
	}
}

/* --- uses
 * -------------------------------------------------------------------------------------------- */

static struct decl *find(struct decl *visible, const char *name)
{
	for (; visible; visible = visible->below)
		if (rb_streq(visible->kv->key, name))
			return visible;
	return NULL;
}

static void use_name(struct decl *visible, const char *name)
{
	struct decl *d = find(visible, name);

	if (d)
		d->used = true;
}

static void use_names(struct decl *visible, struct rb_expand_report *report)
{
	for (size_t i = 0; i < report->undefined.n; i++)
		use_name(visible, report->undefined.v[i]);
	rb_strv_clear(&report->undefined);
}

/* Where nothing is set all names that a text uses are undefined ones. */
static void use_text(struct walk *w, struct decl *visible, const struct rb_inst *inst,
		     const char *text)
{
	const struct rb_env nothing = {0};
	struct rb_expand_report report = {0};
	struct rb_error *ignored = NULL;

	if (!text || !strchr(text, '$'))
		return;
	free(rb_expand(text, rb_plan_escape(w->plan, inst), &nothing, &report, &ignored));
	rb_error_drop(&ignored); /* the plan has expanded it with its values */
	use_names(visible, &report);
}

static void use_words(struct walk *w, struct decl *visible, const struct rb_inst *inst,
		      const struct rb_words *words)
{
	for (size_t i = 0; i < words->n; i++)
		use_text(w, visible, inst, words->v[i]);
}

static void use_copy(struct walk *w, struct decl *visible, const struct rb_inst *inst)
{
	const struct rb_env nothing = {0};

	use_words(w, visible, inst, &inst->copy.sources);
	use_text(w, visible, inst, inst->copy.dest);
	use_text(w, visible, inst, inst->copy.chown);
	use_text(w, visible, inst, inst->copy.chmod);
	use_text(w, visible, inst, inst->copy.checksum);
	for (size_t i = 0; i < inst->n_heredocs; i++) {
		struct rb_expand_report report = {0};
		struct rb_error *ignored = NULL;

		if (!inst->heredocs[i].expand)
			continue;
		free(rb_expand_heredoc(inst->heredocs[i].body, &nothing, &report, &ignored));
		rb_error_drop(&ignored); /* as above */
		use_names(visible, &report);
	}
}

static void use_all(struct decl *visible)
{
	for (struct decl *d = visible; d && !d->all_below; d = d->below)
		d->used = true;
	if (visible)
		visible->all_below = true;
}

static void use_inst(struct walk *w, struct decl *visible, const struct rb_inst *inst)
{
	switch (inst->kind) {
	case RB_INST_RUN:
		use_all(visible);
		break;
	case RB_INST_COPY:
	case RB_INST_ADD:
		use_copy(w, visible, inst);
		break;
	case RB_INST_ENV:
	case RB_INST_LABEL:
		for (size_t i = 0; i < inst->kvs.n; i++) {
			use_text(w, visible, inst, inst->kvs.v[i].key);
			use_text(w, visible, inst, inst->kvs.v[i].value);
		}
		break;
	case RB_INST_EXPOSE:
	case RB_INST_VOLUME:
		use_words(w, visible, inst, &inst->words);
		break;
	case RB_INST_USER:
	case RB_INST_WORKDIR:
	case RB_INST_STOPSIGNAL:
		use_text(w, visible, inst, inst->text);
		break;
	default:
		break; /* no variables are expanded */
	}
}

/* --- the stages
 * -------------------------------------------------------------------------------------- */

static struct decl *declare(struct walk *w, struct decl *below, const struct rb_inst *inst,
			    const struct rb_env *values)
{
	for (size_t i = 0; i < inst->kvs.n; i++) {
		struct decl *d = rb_arena_alloc(w->plan->arena, sizeof(*d));
		const char *value = rb_env_get(values, inst->kvs.v[i].key);

		*d = (struct decl){
			.below = below,
			.inst = inst,
			.kv = &inst->kvs.v[i],
			.value = value ? rb_arena_strdup(w->plan->arena, value) : NULL,
		};
		rb_grow(w->all, w->n_all, &w->cap_all);
		w->all[w->n_all++] = d;
		below = d;
	}
	return below;
}

static void walk_stage(struct walk *w, struct rb_plan_stage *stage)
{
	const struct rb_inst *from = stage->ast->from;
	struct decl *visible = NULL;

	if (!stage->replaced) {
		use_text(w, w->globals, from, from->from.image);
		use_text(w, w->globals, from, from->from.platform);
	}
	if (stage->base.kind == RB_ROOT_STAGE)
		visible = w->ends[stage->base.stage->ast->index];
	for (size_t i = 0; i < rb_plan_n_insts(stage); i++) {
		const struct rb_inst *inst = rb_plan_inst(stage, i);

		if (inst->kind == RB_INST_ARG)
			visible = declare(w, visible, inst,
					  rb_scope_map(w->plan->scopes, stage->state->scope,
						       RB_SCOPE_ARG_VALUES));
		else
			use_inst(w, visible, inst);
	}
	w->ends[stage->ast->index] = visible;
	for (size_t i = 0; i < stage->n_vertices; i++)
		add_mounts(w, stage->vertices[i]);
}

/* What the defaults of used ones use was declared before them: one pass backwards finds it all. */
static void use_defaults(struct walk *w)
{
	for (size_t i = w->n_all; i-- > 0;) {
		const struct decl *d = w->all[i];

		if (d->used && d->kv->value)
			use_text(w, d->below, d->inst, d->kv->value);
		else if (d->used)
			use_name(w->globals, d->kv->key);
	}
}

void rb_plan_outline(struct rb_plan *plan, struct rb_outline *ret)
{
	struct walk w = {
		.plan = plan,
		.out = ret,
		.ends = rb_calloc(plan->n_stages, sizeof(*w.ends)),
	};
	const struct rb_stage *target = plan->target->ast;

	*ret = (struct rb_outline){
		.name = target->name,
		.description = rb_stage_description(target),
	};
	for (size_t i = 0; i < plan->df->n_global_args; i++)
		w.globals = declare(&w, w.globals, &plan->df->global_args[i], &plan->global);
	for (size_t i = 0; i < plan->n_stages; i++)
		if (plan->stages[i].needed && plan->stages[i].elaborated)
			walk_stage(&w, &plan->stages[i]);
	use_defaults(&w);
	for (size_t i = 0; i < w.n_all; i++)
		if (w.all[i]->used)
			add_arg(&w, w.all[i]);
	free(w.ends);
	free(w.all);
	rb_env_clear(&w.told);
}

void rb_outline_clear(struct rb_outline *o)
{
	free(o->args);
	free(o->secrets.v);
	free(o->ssh.v);
	free(o->caches.v);
	*o = (struct rb_outline){0};
}
