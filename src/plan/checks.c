// SPDX-License-Identifier: Apache-2.0
/*
 * The rules of dockerfile.md 9 that need values or a base image's config. Each is called where
 * planning has them; without a struct rb_lint nothing is looked at.
 */
#include <stdlib.h>
#include <string.h>

#include "base/path.h"
#include "dockerfile/values.h"
#include "image/reference.h"
#include "plan/plan-internal.h"

/* Names that one suggestion is chosen from. */
enum { CANDIDATES_MAX = 256 };

static void add_names(const char **names, size_t *n, char *const *v, size_t n_v)
{
	for (size_t i = 0; i < n_v && *n < CANDIDATES_MAX; i++)
		names[(*n)++] = v[i];
}

/* --- global scope
 * ------------------------------------------------------------------------------------ */

/* " (did you mean X?)" from what the global scope has; the automatic arguments are set there. */
static const char *suggest_global(const struct rb_plan *plan, const char *name, struct rb_buf *hint)
{
	const char *names[CANDIDATES_MAX];
	size_t n = 0;

	add_names(names, &n, plan->global_declared.v, plan->global_declared.n);
	add_names(names, &n, plan->global.names, plan->global.n);
	return rb_suggest(hint, name, names, n);
}

static void check_global_names(const struct rb_plan *plan, const struct rb_inst *inst,
			       const struct rb_strv *undefined)
{
	struct rb_lint *lint = plan->options.lint;

	for (size_t i = 0; i < undefined->n; i++) {
		const char *name = undefined->v[i];
		RB_CLEANUP(rb_buf_clear) struct rb_buf hint = RB_BUF_INIT;

		if (rb_strv_find(&plan->global_declared, name) >= 0)
			continue;
		const char *suggestion = suggest_global(plan, name, &hint);
		if (inst->kind == RB_INST_FROM)
			rb_lint_warn(lint, RB_LINT_UNDEFINED_ARG_IN_FROM, inst,
				     "FROM argument '%s' is not declared%s", name, suggestion);
		else
			rb_lint_warn(lint, RB_LINT_UNDEFINED_VAR, inst,
				     "Usage of undefined variable '$%s'%s", name, suggestion);
	}
}

char *rb_plan_expand_global(struct rb_plan *plan, const struct rb_inst *inst, const char *word,
			    struct rb_error **err)
{
	struct rb_expand_report report = {0};
	char *value = rb_expand(word, plan->df->escape, &plan->global,
				plan->options.lint ? &report : NULL, err);

	check_global_names(plan, inst, &report.undefined);
	rb_strv_clear(&report.undefined);
	if (value && rb_plan_count_expanded(plan, value, err) < 0) {
		free(value);
		return NULL;
	}
	return value;
}

/* Adds what global ARGs are for somebody who gives no build argument. */
static void add_defaults(const struct rb_plan *plan, struct rb_env *ret)
{
	const struct rb_dockerfile *df = plan->df;

	for (size_t i = 0; i < df->n_global_args; i++) {
		const struct rb_kvs *kvs = &df->global_args[i].kvs;

		for (size_t j = 0; j < kvs->n; j++) {
			struct rb_error *ignored = NULL;
			char *value = kvs->v[j].value ? rb_expand(kvs->v[j].value, df->escape, ret,
								  NULL, &ignored)
						      : NULL;

			if (value)
				rb_env_set(ret, kvs->v[j].key, value);
			free(value);
			/* ${X:?why} without a value: such a default is none. */
			rb_error_drop(&ignored);
		}
	}
}

static bool is_image_name(const char *text)
{
	struct rb_error *ignored = NULL;
	struct rb_ref ref = {0};
	bool ok = rb_ref_parse(text, &ref, &ignored) == 0;

	rb_ref_clear(&ref);
	rb_error_drop(&ignored); /* why it is none is not the question */
	return ok;
}

void rb_plan_check_defaults(const struct rb_plan *plan, const struct rb_env *automatic)
{
	struct rb_env defaults = {0};

	if (!plan->options.lint)
		return;
	rb_env_copy(&defaults, automatic);
	add_defaults(plan, &defaults);
	for (size_t i = 0; i < plan->df->n_stages; i++) {
		const struct rb_inst *from = plan->df->stages[i].from;
		struct rb_error *ignored = NULL;

		if (!strchr(from->from.image, '$'))
			continue;
		RB_CLEANUP(rb_strp)
		char *base =
			rb_expand(from->from.image, plan->df->escape, &defaults, NULL, &ignored);
		rb_error_drop(
			&ignored); /* an error that its author wrote, ${X:?why}, says enough */
		if (base && !is_image_name(base))
			rb_lint_warn(
				plan->options.lint, RB_LINT_INVALID_DEFAULT_ARG_IN_FROM, from,
				"Default value for ARG %s results in empty or invalid base image name",
				from->from.image);
	}
	rb_env_clear(&defaults);
}

/* --- platforms
 * --------------------------------------------------------------------------------------- */

void rb_plan_check_platform_flag(const struct rb_plan *plan, const struct rb_plan_stage *stage)
{
	const struct rb_inst *from = stage->ast->from;
	const char *platform = from->from.platform, *name = from->from.name;
	struct rb_error *ignored = NULL;
	struct rb_platform p;

	if (!platform || strchr(platform, '$'))
		return;
	int r = rb_platform_parse(platform, &p, &ignored);
	rb_error_drop(&ignored); /* the plan says so */
	if (r == 0 && (!name || (!strstr(name, p.os) && !strstr(name, p.arch))))
		rb_lint_warn(plan->options.lint, RB_LINT_FROM_PLATFORM_FLAG_CONST_DISALLOWED, from,
			     "FROM --platform flag should not use constant value \"%s\"", platform);
}

void rb_plan_check_base_platform(struct rb_elab *e, const struct rb_plan_image *image)
{
	char want[RB_PLATFORM_TEXT_BYTES], have[RB_PLATFORM_TEXT_BYTES];
	const struct rb_platform *p = &image->config->platform;

	if (image->assumed || !*p->os ||
	    (rb_streq(p->os, image->platform.os) && rb_streq(p->arch, image->platform.arch)))
		return;
	rb_lint_instead(
		rb_lint_warn(
			e->plan->options.lint, RB_LINT_INVALID_BASE_IMAGE_PLATFORM,
			e->stage->ast->from,
			"Base image %s was pulled with platform \"%s\", expected \"%s\" for current build",
			image->shown, rb_platform_text(p, have),
			rb_platform_text(&image->platform, want)),
		"name an image that exists for %s, or build for the image's platform with --platform=%s",
		want, have);
}

/* --- values of a stage
 * ------------------------------------------------------------------------------- */

static const char *suggest_variable(const struct rb_elab *e, const char *name, struct rb_buf *hint)
{
	const struct rb_env *args = rb_elab_map(e, RB_SCOPE_ARGS);
	const struct rb_env *env = rb_elab_map(e, RB_SCOPE_ENV);
	RB_CLEANUP(rb_strp) char *shown = rb_asprintf("$%s", name);
	RB_CLEANUP(rb_strv_clear) struct rb_strv dollars = RB_STRV_INIT;
	const char *names[CANDIDATES_MAX];
	size_t n = 0;

	add_names(names, &n, args->names, args->n);
	add_names(names, &n, env->names, env->n);
	for (size_t i = 0; i < n; i++)
		rb_strv_addf(&dollars, "$%s", names[i]);
	return rb_suggest(hint, shown, (const char *const *)dollars.v, dollars.n);
}

void rb_elab_check_undefined(struct rb_elab *e, struct rb_expand_report *report)
{
	struct rb_lint *lint = e->plan->options.lint;

	/* What the base image sets is not known: it may well be defined. */
	for (size_t i = 0; i < report->undefined.n && !e->state->base_assumed; i++) {
		const char *name = report->undefined.v[i];
		RB_CLEANUP(rb_buf_clear) struct rb_buf hint = RB_BUF_INIT;

		if (rb_env_get(rb_elab_map(e, RB_SCOPE_ARGS), name) ||
		    !rb_lint_wants(lint, RB_LINT_UNDEFINED_VAR, e->inst))
			continue;
		rb_lint_instead(rb_lint_warn(lint, RB_LINT_UNDEFINED_VAR, e->inst,
					     "Usage of undefined variable '$%s'%s", name,
					     suggest_variable(e, name, &hint)),
				"define it with ARG or ENV above, or write ${%s:-default}", name);
	}
	rb_strv_clear(&report->undefined);
}

void rb_elab_check_shell_form(struct rb_elab *e)
{
	if (e->state->shell.n)
		return;
	const char *name = rb_inst_kind_name(e->inst->kind);
	struct rb_lint_warning *w = rb_lint_warn(
		e->plan->options.lint, RB_LINT_JSON_ARGS_RECOMMENDED, e->inst,
		"JSON arguments recommended for %s to prevent surprises with OS signals", name);
	if (*e->inst->cmd.script == '[')
		rb_lint_instead(
			w,
			"this is not JSON and so given to a shell: write strings in double quotes, commas between them and nothing behind the ]");
	else
		rb_lint_instead(
			w, "write %s [\"program\", \"argument\"], or set SHELL if a shell is meant",
			name);
}

void rb_elab_check_workdir(struct rb_elab *e, const char *path)
{
	if (*path != '/' && !e->state->workdir_set)
		rb_lint_instead(
			rb_lint_warn(
				e->plan->options.lint, RB_LINT_WORKDIR_RELATIVE_PATH, e->inst,
				"Relative workdir \"%s\" can have unexpected results if the base image changes",
				path),
			"write WORKDIR /%s", path);
	e->state->workdir_set = true;
}

void rb_elab_check_port(struct rb_elab *e, const char *word)
{
	struct rb_lint *lint = e->plan->options.lint;
	const char *slash = strchrnul(word, '/');
	const char *colon = memrchr(word, ':', (size_t)(slash - word));
	RB_CLEANUP(rb_strp) char *lower = rb_strdup(slash);

	for (char *p = lower; *p; p++)
		*p = rb_ascii_lower(*p);
	if (!rb_streq(slash, lower))
		rb_lint_instead(
			rb_lint_warn(
				lint, RB_LINT_EXPOSE_PROTO_CASING, e->inst,
				"Defined protocol '%s' in EXPOSE instruction should be lowercase",
				word),
			"write %.*s%s", (int)(slash - word), word, lower);
	if (colon)
		rb_lint_instead(
			rb_lint_warn(
				lint, RB_LINT_EXPOSE_INVALID_FORMAT, e->inst,
				"EXPOSE instruction should not define an IP address or host-port mapping, found '%s'",
				word),
			"write %.*s%s; who runs the image chooses the host's port",
			(int)(slash - colon - 1), colon + 1, lower);
}

void rb_elab_check_ignored(struct rb_elab *e, const char *source)
{
	struct rb_lint *lint = e->plan->options.lint;

	if (!lint || !lint->is_ignored)
		return;
	RB_CLEANUP(rb_strp) char *rooted = rb_path_join_abs("/", source);
	bool is_root = rb_streq(rooted, "/");
	if (is_root ? lint->ignore_wants_all : lint->is_ignored(lint->ignore_ctx, rooted + 1))
		rb_lint_warn(lint, RB_LINT_COPY_IGNORED_FILE, e->inst,
			     "Attempting to %s file \"%s\" that is excluded by .dockerignore",
			     e->inst->kind == RB_INST_ADD ? "Add" : "Copy", source);
}
