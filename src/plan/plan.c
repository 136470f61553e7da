// SPDX-License-Identifier: Apache-2.0
#include "plan/plan.h"

#include <stdlib.h>
#include <string.h>

#include "plan/plan-internal.h"

void rb_plan_free(struct rb_plan *plan)
{
	if (!plan)
		return;
	rb_env_clear(&plan->global);
	rb_strv_clear(&plan->global_declared);
	rb_strv_clear(&plan->proxy_env);
	rb_scopes_free(plan->scopes);
	rb_env_clear(&plan->image_index);
	rb_env_clear(&plan->remote_index);
	free(plan->images);
	free(plan->remotes);
	rb_arena_free(plan->arena);
	free(plan);
}

/* --- global scope
 * ------------------------------------------------------------------------------------ */

int rb_plan_count_expanded(struct rb_plan *plan, const char *text, struct rb_error **err)
{
	plan->expanded_bytes += strlen(text);
	if (plan->expanded_bytes <= RB_PLAN_EXPANDED_MAX)
		return 0;
	return rb_fail(err, RB_ERR_DOCKERFILE,
		       "the variables of this Dockerfile expand to more than %d MiB altogether: "
		       "have fewer instructions repeat long values",
		       RB_PLAN_EXPANDED_MAX >> 20);
}

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

/* Proxy build arguments reach every RUN in both spellings, without ARG and without being in the key
 * (3.14). */
static void set_proxies(struct rb_plan *plan)
{
	static const char *const names[][2] = {
		{"HTTP_PROXY", "http_proxy"}, {"HTTPS_PROXY", "https_proxy"},
		{"FTP_PROXY", "ftp_proxy"},   {"NO_PROXY", "no_proxy"},
		{"ALL_PROXY", "all_proxy"},
	};
	const struct rb_env *args = plan->options.build_args;

	for (size_t i = 0; i < RB_ARRAY_LEN(names); i++) {
		const char *value = NULL;

		for (size_t j = 0; j < args->n; j++)
			if (rb_ascii_strcaseeq(args->names[j], names[i][0]))
				value = args->values[j];
		if (!value)
			continue;
		rb_strv_addf(&plan->proxy_env, "%s=%s", names[i][0], value);
		rb_strv_addf(&plan->proxy_env, "%s=%s", names[i][1], value);
	}
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

static int unknown_target(const struct rb_plan *plan, struct rb_error **err)
{
	enum { SHOWN_MAX = 10 };
	RB_CLEANUP(rb_buf_clear) struct rb_buf hint = RB_BUF_INIT;
	RB_CLEANUP(rb_buf_clear) struct rb_buf known = RB_BUF_INIT;
	const char *near = rb_plan_suggest_stage(plan, plan->options.target, &hint);

	for (size_t i = 0; !*near && i < plan->n_stages && i < SHOWN_MAX; i++)
		if (plan->stages[i].ast->name)
			rb_buf_addf(&known, "%s%s", known.len ? ", " : ": there are ",
				    plan->stages[i].ast->name);
	return rb_fail(err, RB_ERR_DOCKERFILE, "target stage \"%s\" could not be found%s%s",
		       plan->options.target, near, known.len ? known.ptr : "");
}

static int find_target(struct rb_plan *plan, struct rb_error **err)
{
	uint64_t n;

	if (!plan->options.target) {
		plan->target = &plan->stages[plan->n_stages - 1];
		return 0;
	}
	plan->target = rb_plan_find_stage(plan, plan->options.target, plan->n_stages, true);
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
		plan->stages[i].plan = plan;
		plan->stages[i].ast = &df->stages[i];
	}
	rb_plan_index_stages(plan);
	for (size_t i = 0; i < df->n_stages; i++) {
		rb_plan_check_platform_flag(plan, &plan->stages[i]);
		if (rb_plan_resolve_base(plan, &plan->stages[i], err) < 0)
			return -1;
		name_stage(plan, &plan->stages[i]);
	}
	if (find_target(plan, err) < 0)
		return -1;
	rb_plan_need_stage(plan->target);
	if (rb_plan_find_epoch(plan, err) < 0)
		return -1;
	for (size_t i = 0; plan->options.all_stages && i < plan->n_stages; i++)
		rb_plan_need_stage(&plan->stages[i]);
	return rb_plan_close_needs(plan, plan->n_stages, err);
}

int rb_plan_new(const struct rb_dockerfile *df, const struct rb_plan_options *options,
		struct rb_plan **ret, struct rb_error **err)
{
	RB_CLEANUP(rb_plan_freep) struct rb_plan *plan = rb_calloc(1, sizeof(*plan));

	plan->arena = rb_arena_new();
	plan->scopes = rb_scopes_new(plan->arena);
	plan->df = df;
	plan->options = *options;
	/* --target "$STAGE" of a script in which it is not set */
	if (plan->options.target && !*plan->options.target)
		plan->options.target = NULL;
	set_proxies(plan);
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
