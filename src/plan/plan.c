// SPDX-License-Identifier: Apache-2.0
#include "plan/plan.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "dockerfile/values.h"
#include "image/reference.h"
#include "plan/plan-internal.h"

void rb_stage_state_clear(struct rb_stage_state *s)
{
	rb_env_clear(&s->env);
	rb_env_clear(&s->arg_values);
	rb_env_clear(&s->config_env);
	rb_env_clear(&s->arg_names);
	s->cmd_set = false;
}

void rb_stage_state_copy(struct rb_stage_state *dst, const struct rb_stage_state *src)
{
	rb_env_copy(&dst->env, &src->env);
	rb_env_copy(&dst->arg_values, &src->arg_values);
	rb_env_copy(&dst->config_env, &src->config_env);
	rb_env_copy(&dst->arg_names, &src->arg_names);
	dst->cmd_set = false;
	dst->workdir_set = src->workdir_set;
	dst->base_assumed = src->base_assumed;
}

static void vertex_clear(struct rb_vertex *v)
{
	if (v->kind != RB_VERTEX_RUN)
		return;
	rb_strv_clear(&v->run.argv);
	rb_strv_clear(&v->run.proxy_env);
}

void rb_plan_free(struct rb_plan *plan)
{
	if (!plan)
		return;
	for (size_t i = 0; i < plan->n_stages; i++) {
		struct rb_plan_stage *s = &plan->stages[i];

		for (size_t j = 0; j < s->n_vertices; j++)
			vertex_clear(s->vertices[j]);
		rb_image_config_clear(&s->config);
		if (s->state)
			rb_stage_state_clear(s->state);
	}
	rb_env_clear(&plan->global);
	rb_strv_clear(&plan->global_declared);
	free(plan->images);
	free(plan->remotes);
	rb_arena_free(plan->arena);
	free(plan);
}

/* --- global scope
 * ------------------------------------------------------------------------------------ */

static void set_automatic(struct rb_plan *plan, const char *name, const char *value)
{
	const char *given = rb_env_get(plan->options.build_args, name);

	rb_env_set(&plan->global, name, given ? given : value);
}

static void set_platform_args(struct rb_plan *plan, const char *prefix, const struct rb_platform *p)
{
	char text[RB_PLATFORM_TEXT_BYTES];
	const struct {
		const char *suffix, *value;
	} args[] = {
		{"PLATFORM", rb_platform_text(p, text)},
		{"OS", p->os},
		{"OSVERSION", ""},
		{"ARCH", p->arch},
		{"VARIANT", p->variant},
	};

	for (size_t i = 0; i < RB_ARRAY_LEN(args); i++) {
		RB_CLEANUP(rb_strp) char *name = rb_asprintf("%s%s", prefix, args[i].suffix);

		set_automatic(plan, name, args[i].value);
	}
}

static int eval_global_arg(struct rb_plan *plan, const struct rb_inst *inst, struct rb_error **err)
{
	for (size_t i = 0; i < inst->kvs.n; i++) {
		const struct rb_kv *kv = &inst->kvs.v[i];
		const char *given = rb_env_get(plan->options.build_args, kv->key);

		rb_strv_add(&plan->global_declared, kv->key);
		if (given) {
			rb_env_set(&plan->global, kv->key, given);
		} else if (kv->value) {
			RB_CLEANUP(rb_strp)
			char *value = rb_plan_expand_global(plan, inst, kv->value, err);

			if (!value)
				return rb_error_at(err, inst->line_first, inst->line_last);
			rb_env_set(&plan->global, kv->key, value);
		}
	}
	return 0;
}

static const char *target_stage_name(const struct rb_plan *plan)
{
	const struct rb_dockerfile *df = plan->df;

	if (plan->options.target)
		return plan->options.target;
	const char *last = df->stages[df->n_stages - 1].name;
	return last ? last : "default";
}

static int eval_globals(struct rb_plan *plan, struct rb_error **err)
{
	set_platform_args(plan, "BUILD", &plan->options.build_platform);
	set_platform_args(plan, "TARGET", &plan->options.target_platform);
	set_automatic(plan, "TARGETSTAGE", target_stage_name(plan));
	rb_plan_check_defaults(plan, &plan->global);
	for (size_t i = 0; i < plan->df->n_global_args; i++)
		if (eval_global_arg(plan, &plan->df->global_args[i], err) < 0)
			return -1;
	return 0;
}

/* --- names
 * ------------------------------------------------------------------------------------------- */

/* Latest stage before `before` with that name, or NULL. Names are lower case already; fold: the
 * reference is not. */
static struct rb_plan_stage *find_stage(struct rb_plan *plan, const char *name, size_t before,
					bool fold)
{
	for (size_t i = before; i-- > 0;) {
		const char *have = plan->df->stages[i].name;

		if (have && (fold ? rb_ascii_strcaseeq(have, name) : rb_streq(have, name)))
			return &plan->stages[i];
	}
	return NULL;
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

/* Decides what FROM means; an image is only remembered by its text until the stage turns out to be
 * needed. */
static int resolve_base(struct rb_plan *plan, struct rb_plan_stage *stage, struct rb_error **err)
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
	struct rb_plan_stage *earlier = find_stage(plan, base, stage->ast->index, false);
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

struct rb_plan_image *rb_plan_find_image(struct rb_plan *plan, const char *name,
					 const struct rb_platform *platform)
{
	for (size_t i = 0; i < plan->n_images; i++)
		if (rb_streq(plan->images[i]->name, name) &&
		    rb_platform_eq(&plan->images[i]->platform, platform))
			return plan->images[i];
	return NULL;
}

/* The image of that name, registered when it is new. */
static struct rb_plan_image *register_image(struct rb_plan *plan, const char *name,
					    const char *shown, const struct rb_platform *platform,
					    const struct rb_inst *inst)
{
	struct rb_plan_image *image = rb_plan_find_image(plan, name, platform);

	if (image)
		return image;
	image = rb_arena_alloc(plan->arena, sizeof(*image));
	rb_grow(plan->images, plan->n_images, &plan->cap_images);
	plan->images[plan->n_images] = image;
	*image = (struct rb_plan_image){
		.index = plan->n_images++,
		.name = rb_arena_strdup(plan->arena, name),
		.shown = rb_arena_strdup(plan->arena, shown),
		.platform = *platform,
		.line_first = inst->line_first,
		.line_last = inst->line_last,
	};
	return image;
}

/* `context`: the named one that the image was found by, or NULL. */
static const char *suggest_stage(const struct rb_plan *plan, const char *name, struct rb_buf *hint)
{
	const char *names[64];
	size_t n = 0;

	for (size_t i = 0; i < plan->df->n_stages && n < RB_ARRAY_LEN(names); i++)
		if (plan->df->stages[i].name)
			names[n++] = plan->df->stages[i].name;
	return rb_suggest(hint, name, names, n);
}

static const char *near_stage(const struct rb_plan *plan, const char *text)
{
	RB_CLEANUP(rb_buf_clear) struct rb_buf hint = RB_BUF_INIT;
	RB_CLEANUP(rb_buf_clear) struct rb_buf b = RB_BUF_INIT;

	if (*suggest_stage(plan, text, &hint))
		rb_buf_addf(&b, "%s%s", text, hint.ptr);
	return rb_arena_strdup(plan->arena, b.ptr);
}

static int use_image(struct rb_plan *plan, const char *text, const struct rb_plan_context *context,
		     const struct rb_platform *platform, const struct rb_inst *inst,
		     struct rb_plan_image **ret, struct rb_error **err)
{
	struct rb_ref ref = {0};

	if (context)
		text = context->image;
	if (context && context->kind == RB_NAMED_LAYOUT) {
		*ret = register_image(plan, text, text, platform, inst);
		(*ret)->layout = context;
		return 0;
	}
	if (rb_ref_parse(text, &ref, err) < 0) {
		(*err)->code = RB_ERR_DOCKERFILE;
		(void)rb_wrap(err, "failed to parse stage name \"%s\"", text);
		const struct rb_plan_stage *stage = find_stage(plan, text, plan->n_stages, true);
		if (stage && inst->kind == RB_INST_FROM)
			(void)rb_wrap(err, "FROM takes names of stages in lower case only: %s",
				      stage->ast->name);
		return rb_error_at(err, inst->line_first, inst->line_last);
	}
	RB_CLEANUP(rb_strp) char *name = rb_ref_text(&ref);
	RB_CLEANUP(rb_strp) char *shown = rb_ref_familiar(&ref);
	rb_ref_clear(&ref);
	*ret = register_image(plan, name, shown, platform, inst);
	if (!(*ret)->near_stage)
		(*ret)->near_stage = near_stage(plan, text);
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
		queue_stage(q, find_stage(plan, from->text, plan->n_stages, true));
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
	struct rb_plan_stage *earlier = find_stage(plan, from->text, stage->ast->index, true);
	if (!earlier) {
		struct rb_plan_stage *any = find_stage(plan, from->text, plan->n_stages, true);

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
	return ret->kind == RB_ROOT_IMAGE
		       ? use_image(plan, from->text, context, platform, inst, &ret->image, err)
		       : 0;
}

/* --- reachability
 * ------------------------------------------------------------------------------------ */

static int refuse_unsupported(const struct rb_inst *inst, struct rb_error **err)
{
	if (!inst->unsupported)
		return 0;
	(void)rb_fail(err, RB_ERR_UNSUPPORTED, "%s", inst->unsupported);
	return rb_error_at(err, inst->line_first, inst->line_last);
}

static int need_from(struct rb_plan *plan, struct rb_plan_stage *stage, const struct rb_inst *inst,
		     const struct rb_from *from, struct rb_error **err)
{
	struct rb_root_ref root;

	if (rb_plan_resolve_from(plan, stage, inst, from, &root, err) < 0)
		return -1;
	if (root.kind == RB_ROOT_STAGE)
		root.stage->needed = true;
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

/* Marks what one instruction of a needed stage needs. */
/* Heredocs, URLs and git repositories need no context. */
static bool names_files(const struct rb_inst *inst)
{
	for (size_t i = 0; i < inst->copy.sources.n; i++)
		if (rb_dockerfile_source_kind(inst->copy.sources.v[i]) == RB_SOURCE_PATH)
			return true;
	return false;
}

static int need_inst(struct rb_plan *plan, struct rb_plan_stage *stage, const struct rb_inst *inst,
		     struct rb_error **err)
{
	struct rb_from from = {.text = NULL};

	if (refuse_unsupported(inst, err) < 0)
		return -1;
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
	if (!stage->replaced && refuse_unsupported(stage->ast->from, err) < 0)
		return -1;
	if (stage->base.kind == RB_ROOT_STAGE)
		stage->base.stage->needed = true;
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
		    use_image(plan, stage->from_name, stage->base.context, &stage->platform,
			      stage->ast->from, &stage->base.image, err) < 0)
			return -1;
	}
	return 0;
}

/* What the needed stages before number `end` need. Stages refer to earlier ones only, so one pass
 * from the end suffices. */
static int close_needs(struct rb_plan *plan, size_t end, struct rb_error **err)
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
	const struct rb_strv *texts = &stage->config.onbuild;
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
	if (!stage->config.onbuild.n)
		return 0;
	int r = parse_triggers(plan, stage, err);
	rb_strv_clear(&stage->config.onbuild);
	for (size_t i = 0; r == 0 && i < stage->n_triggers; i++)
		if ((r = need_inst(plan, stage, &stage->triggers[i], err)) < 0)
			return rb_wrap(err, "ONBUILD trigger %s of the base %s",
				       rb_inst_kind_name(stage->triggers[i].kind),
				       stage->ast->from->from.image);
	return r < 0 ? -1 : close_needs(plan, stage->ast->index, err);
}

static int unknown_target(const struct rb_plan *plan, struct rb_error **err)
{
	RB_CLEANUP(rb_buf_clear) struct rb_buf hint = RB_BUF_INIT;

	return rb_fail(err, RB_ERR_DOCKERFILE, "target stage \"%s\" could not be found%s",
		       plan->options.target, suggest_stage(plan, plan->options.target, &hint));
}

static int find_target(struct rb_plan *plan, struct rb_error **err)
{
	uint64_t n;

	if (!plan->options.target) {
		plan->target = &plan->stages[plan->n_stages - 1];
		return 0;
	}
	plan->target = find_stage(plan, plan->options.target, plan->n_stages, true);
	if (!plan->target &&
	    rb_parse_u64(rb_slice_str(plan->options.target), plan->n_stages - 1, &n) == 0)
		plan->target = &plan->stages[n];
	return plan->target ? 0 : unknown_target(plan, err);
}

/* "linux/arm64", or "linux/amd64->arm64" where that of the target is another one (4.6). */
static void add_platform(const struct rb_plan *plan, const struct rb_platform *p, struct rb_buf *b)
{
	const struct rb_platform *target = &plan->options.target_platform;
	char text[RB_PLATFORM_TEXT_BYTES];

	rb_buf_addstr(b, rb_platform_text(p, text));
	if (rb_platform_eq(p, target))
		return;
	(void)rb_platform_text(target, text);
	size_t same = strlen(p->os);
	bool same_os = strncmp(text, p->os, same) == 0 && text[same] == '/';
	rb_buf_addf(b, "->%s", same_os ? text + same + 1 : text);
}

/* After its platform is known. */
static void name_stage(struct rb_plan *plan, struct rb_plan_stage *stage)
{
	RB_CLEANUP(rb_buf_clear) struct rb_buf label = RB_BUF_INIT;
	RB_CLEANUP(rb_buf_clear) struct rb_buf prefix = RB_BUF_INIT;

	if (plan->n_stages > 1 && stage->ast->name)
		rb_buf_addstr(&label, stage->ast->name);
	else if (plan->n_stages > 1)
		rb_buf_addf(&label, "stage-%zu", stage->ast->index);
	if (plan->options.several_platforms) {
		add_platform(plan, &stage->platform, &prefix);
		rb_buf_addch(&prefix, ' ');
	}
	rb_buf_addf(&prefix, "%s%s", label.ptr, label.len ? " " : "");
	stage->label = rb_arena_strdup(plan->arena, label.ptr);
	stage->prefix = rb_arena_strdup(plan->arena, prefix.ptr);
}

static int build_plan(struct rb_plan *plan, struct rb_error **err)
{
	const struct rb_dockerfile *df = plan->df;

	plan->n_stages = df->n_stages;
	plan->stages = rb_arena_array(plan->arena, df->n_stages, sizeof(*plan->stages));
	if (eval_globals(plan, err) < 0)
		return -1;
	for (size_t i = 0; i < df->n_stages; i++) {
		plan->stages[i].ast = &df->stages[i];
		rb_plan_check_platform_flag(plan, &plan->stages[i]);
		if (resolve_base(plan, &plan->stages[i], err) < 0)
			return -1;
		name_stage(plan, &plan->stages[i]);
	}
	if (find_target(plan, err) < 0)
		return -1;
	plan->target->needed = true;
	for (size_t i = 0; i < plan->n_stages; i++)
		plan->stages[i].needed |= plan->options.all_stages;
	return close_needs(plan, plan->n_stages, err);
}

int rb_plan_new(const struct rb_dockerfile *df, const struct rb_plan_options *options,
		struct rb_plan **ret, struct rb_error **err)
{
	RB_CLEANUP(rb_plan_freep) struct rb_plan *plan = rb_calloc(1, sizeof(*plan));

	plan->arena = rb_arena_new();
	plan->df = df;
	plan->options = *options;
	/* --target "$STAGE" of a script in which it is not set */
	if (plan->options.target && !*plan->options.target)
		plan->options.target = NULL;
	if (build_plan(plan, err) < 0)
		return -1;
	*ret = rb_steal_ptr(&plan);
	return 0;
}

bool rb_plan_can_elaborate(const struct rb_plan_stage *stage)
{
	if (!stage->needed || stage->elaborated)
		return false;
	switch (stage->base.kind) {
	case RB_ROOT_STAGE:
		return stage->base.stage->elaborated;
	case RB_ROOT_IMAGE:
		return stage->base.image->config != NULL;
	case RB_ROOT_SCRATCH:
	case RB_ROOT_CONTEXT:
		break;
	}
	return true;
}

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
	for (; stage; stage = stage->base.kind == RB_ROOT_STAGE ? stage->base.stage : NULL)
		if (stage->n_vertices)
			return stage->vertices[stage->n_vertices - 1];
	return NULL;
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
