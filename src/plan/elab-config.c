// SPDX-License-Identifier: Apache-2.0
/* The instructions that make no vertex: they change the config, or variables. */
#include <stdlib.h>
#include <string.h>

#include "dockerfile/values.h"
#include "plan/plan-internal.h"

static void empty_history(struct rb_elab *e, struct rb_buf *text)
{
	rb_elab_history(e, NULL, text->ptr);
	rb_buf_clear(text);
}

/* "[a b c]" as Go prints a list of strings. */
static void add_go_list(struct rb_buf *b, const char *const *v, size_t n)
{
	rb_buf_addch(b, '[');
	for (size_t i = 0; i < n; i++)
		rb_buf_addf(b, "%s%s", i ? " " : "", v[i]);
	rb_buf_addch(b, ']');
}

static void add_go_quoted_list(struct rb_buf *b, const struct rb_words *list)
{
	rb_buf_addch(b, '[');
	for (size_t i = 0; i < list->n; i++) {
		if (i)
			rb_buf_addch(b, ' ');
		rb_dockerfile_add_quoted(b, list->v[i]);
	}
	rb_buf_addch(b, ']');
}

/* --- ENV, ARG, LABEL
 * --------------------------------------------------------------------------------- */

/* Expands all pairs against the environment before the instruction. */
static int expand_pairs(struct rb_elab *e, struct rb_strv *keys, struct rb_strv *values,
			struct rb_error **err)
{
	for (size_t i = 0; i < e->inst->kvs.n; i++) {
		const struct rb_kv *kv = &e->inst->kvs.v[i];
		char *key = rb_elab_expand(e, kv->key, err);

		if (!key)
			return -1;
		rb_strv_take(keys, key);
		char *value = rb_elab_expand(e, kv->value, err);
		if (!value)
			return -1;
		rb_strv_take(values, value);
		if (!*key)
			return rb_fail(err, RB_ERR_DOCKERFILE,
				       "%s names can not be blank: %.60s is empty here",
				       rb_inst_kind_name(e->inst->kind), kv->key);
	}
	return 0;
}

/* ENV and LABEL */
static int elab_pairs(struct rb_elab *e, struct rb_error **err)
{
	const bool is_env = e->inst->kind == RB_INST_ENV;
	RB_CLEANUP(rb_strv_clear) struct rb_strv keys = RB_STRV_INIT;
	RB_CLEANUP(rb_strv_clear) struct rb_strv values = RB_STRV_INIT;
	struct rb_buf text = RB_BUF_INIT;

	if (expand_pairs(e, &keys, &values, err) < 0)
		return -1;
	rb_buf_addstr(&text, rb_inst_kind_name(e->inst->kind));
	for (size_t i = 0; i < keys.n; i++) {
		rb_elab_set(e, is_env ? RB_SCOPE_ENV : RB_SCOPE_LABELS, keys.v[i], values.v[i]);
		if (is_env)
			rb_elab_set(e, RB_SCOPE_CONFIG_ENV, keys.v[i], values.v[i]);
		rb_buf_addf(&text, " %s=%s", keys.v[i], values.v[i]);
	}
	empty_history(e, &text);
	return 0;
}

/* Value by 2.4: command line, own default, global scope, none (NULL). Caller frees. */
static int arg_value(struct rb_elab *e, const struct rb_kv *kv, char **ret, struct rb_error **err)
{
	const char *given = rb_plan_given_arg(e->plan, kv->key);

	*ret = NULL;
	if (given) {
		*ret = rb_strdup(given);
	} else if (kv->value) {
		*ret = rb_elab_expand(e, kv->value, err);
		return *ret ? 0 : -1;
	} else {
		const char *global = rb_env_get(&e->plan->global, kv->key);

		*ret = global ? rb_strdup(global) : NULL;
	}
	return 0;
}

/* Options of the builder that a stage may set for itself; no step sees them (3.14). */
static bool is_option(const char *name)
{
	return rb_streq(name, "BUILDKIT_SBOM_SCAN_CONTEXT") ||
	       rb_streq(name, "BUILDKIT_SBOM_SCAN_STAGE");
}

static int elab_arg(struct rb_elab *e, struct rb_error **err)
{
	RB_CLEANUP(rb_buf_clear) struct rb_buf text = RB_BUF_INIT;

	rb_buf_addstr(&text, "ARG");
	for (size_t i = 0; i < e->inst->kvs.n; i++) {
		const struct rb_kv *kv = &e->inst->kvs.v[i];
		RB_CLEANUP(rb_strp) char *value = NULL;

		if (arg_value(e, kv, &value, err) < 0)
			return -1;
		rb_buf_addf(&text, " %s%s%s", kv->key, value ? "=" : "", value ? value : "");
		if (is_option(kv->key))
			continue;
		rb_elab_set(e, RB_SCOPE_ARGS, kv->key, "");
		if (!value)
			continue;
		rb_elab_set(e, RB_SCOPE_ENV, kv->key, value);
		rb_elab_set(e, RB_SCOPE_ARG_VALUES, kv->key, value);
	}
	rb_elab_history(e, NULL, text.ptr);
	return 0;
}

/* --- single values
 * ----------------------------------------------------------------------------------- */

static int elab_maintainer(struct rb_elab *e, struct rb_error **err)
{
	struct rb_buf text = RB_BUF_INIT;

	(void)err;
	e->state->author = rb_elab_keep(e, e->inst->text);
	rb_buf_addf(&text, "MAINTAINER %s", e->inst->text);
	empty_history(e, &text);
	return 0;
}

static int elab_user(struct rb_elab *e, struct rb_error **err)
{
	RB_CLEANUP(rb_strp) char *user = rb_elab_expand(e, e->inst->text, err);
	struct rb_buf text = RB_BUF_INIT;

	if (!user)
		return -1;
	e->state->user = rb_elab_keep(e, user);
	rb_buf_addf(&text, "USER %s", user);
	empty_history(e, &text);
	return 0;
}

static int elab_stopsignal(struct rb_elab *e, struct rb_error **err)
{
	RB_CLEANUP(rb_strp) char *sig = rb_elab_expand(e, e->inst->text, err);
	struct rb_buf text = RB_BUF_INIT;

	if (!sig || rb_dockerfile_check_signal(sig, err) < 0)
		return -1;
	e->state->stop_signal = rb_elab_keep(e, sig);
	rb_buf_addf(&text, "STOPSIGNAL %s", sig);
	empty_history(e, &text);
	return 0;
}

/* --- lists
 * ------------------------------------------------------------------------------------------- */

static int compare_strings(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static int elab_expose(struct rb_elab *e, struct rb_error **err)
{
	RB_CLEANUP(rb_strv_clear) struct rb_strv sorted = RB_STRV_INIT;
	RB_CLEANUP(rb_strv_clear) struct rb_strv words = RB_STRV_INIT;
	RB_CLEANUP(rb_strv_clear) struct rb_strv ports = RB_STRV_INIT;
	struct rb_expand_report report = {0};
	struct rb_buf text = RB_BUF_INIT;

	/* The order of the history is that of the words as they are written (dockerfile.md 3.7). */
	for (size_t i = 0; i < e->inst->words.n; i++)
		rb_strv_add(&sorted, e->inst->words.v[i]);
	qsort(sorted.v, sorted.n, sizeof(*sorted.v), compare_strings);
	for (size_t i = 0; i < sorted.n; i++)
		if (rb_expand_split(sorted.v[i], rb_plan_escape(e->plan, e->inst),
				    rb_elab_map(e, RB_SCOPE_ENV), &report, &words, err) < 0) {
			rb_strv_clear(&report.undefined);
			return -1;
		}
	rb_elab_check_undefined(e, &report);
	for (size_t i = 0; i < words.n; i++) {
		if (rb_dockerfile_parse_port(words.v[i], &ports, err) < 0)
			return -1;
		rb_elab_check_port(e, words.v[i]);
	}
	for (size_t i = 0; i < ports.n; i++)
		rb_elab_set(e, RB_SCOPE_PORTS, ports.v[i], "");
	rb_buf_addstr(&text, "EXPOSE ");
	add_go_list(&text, (const char *const *)ports.v, ports.n);
	empty_history(e, &text);
	return 0;
}

static int elab_volume(struct rb_elab *e, struct rb_error **err)
{
	RB_CLEANUP(rb_strv_clear) struct rb_strv paths = RB_STRV_INIT;
	struct rb_buf text = RB_BUF_INIT;

	for (size_t i = 0; i < e->inst->words.n; i++) {
		char *path = rb_elab_expand(e, e->inst->words.v[i], err);

		if (!path)
			return -1;
		rb_strv_take(&paths, path);
		if (!path[strspn(path, " \t\r\n\v\f")])
			return rb_fail(
				err, RB_ERR_DOCKERFILE,
				"VOLUME specified can not be an empty string: %.60s is empty here",
				e->inst->words.v[i]);
	}
	for (size_t i = 0; i < paths.n; i++)
		rb_elab_set(e, RB_SCOPE_VOLUMES, paths.v[i], "");
	rb_buf_addstr(&text, "VOLUME ");
	add_go_list(&text, (const char *const *)paths.v, paths.n);
	empty_history(e, &text);
	return 0;
}

static int elab_shell(struct rb_elab *e, struct rb_error **err)
{
	struct rb_buf text = RB_BUF_INIT;

	(void)err;
	e->state->shell = e->inst->words;
	rb_buf_addstr(&text, "SHELL ");
	add_go_list(&text, e->state->shell.v, e->state->shell.n);
	empty_history(e, &text);
	return 0;
}

static struct rb_words command(struct rb_elab *e)
{
	if (e->inst->cmd.exec)
		return e->inst->cmd.argv;
	rb_elab_check_shell_form(e);
	return rb_elab_shell_form(e, e->inst->cmd.script);
}

static int elab_cmd(struct rb_elab *e, struct rb_error **err)
{
	struct rb_buf text = RB_BUF_INIT;

	(void)err;
	e->state->cmd = command(e);
	e->state->args_escaped = true;
	e->state->cmd_set = true;
	rb_buf_addstr(&text, "CMD ");
	add_go_quoted_list(&text, &e->state->cmd);
	empty_history(e, &text);
	return 0;
}

static int elab_entrypoint(struct rb_elab *e, struct rb_error **err)
{
	struct rb_buf text = RB_BUF_INIT;

	(void)err;
	e->state->entrypoint = command(e);
	/* An inherited CMD was meant for the inherited entry point (3.4). */
	if (!e->state->cmd_set)
		e->state->cmd = (struct rb_words){0};
	rb_buf_addstr(&text, "ENTRYPOINT ");
	add_go_quoted_list(&text, &e->state->entrypoint);
	empty_history(e, &text);
	return 0;
}

static struct rb_words health_test(struct rb_elab *e)
{
	const struct rb_inst *inst = e->inst;
	const char *first = inst->health.none ? "NONE" : inst->health.exec ? "CMD" : "CMD-SHELL";
	const char *text = inst->health.script;
	const struct rb_words type = {&first, 1}, script = {&text, 1};

	if (inst->health.none)
		return rb_plan_join_words(e->plan, &type, &(const struct rb_words){0});
	return rb_plan_join_words(e->plan, &type, inst->health.exec ? &inst->health.argv : &script);
}

static int elab_healthcheck(struct rb_elab *e, struct rb_error **err)
{
	struct rb_healthcheck *h = &e->state->health;
	struct rb_buf text = RB_BUF_INIT;

	(void)err;
	*h = (struct rb_healthcheck){
		.set = true,
		.interval_ns = e->inst->health.interval_ns,
		.timeout_ns = e->inst->health.timeout_ns,
		.start_period_ns = e->inst->health.start_period_ns,
		.start_interval_ns = e->inst->health.start_interval_ns,
		.retries = e->inst->health.retries,
	};
	e->state->health_test = health_test(e);
	rb_buf_addstr(&text, "HEALTHCHECK {Test:");
	add_go_list(&text, e->state->health_test.v, e->state->health_test.n);
	const struct {
		const char *name;
		int64_t ns;
	} times[] = {
		{" Interval:", h->interval_ns},
		{" Timeout:", h->timeout_ns},
		{" StartPeriod:", h->start_period_ns},
		{" StartInterval:", h->start_interval_ns},
	};
	for (size_t i = 0; i < RB_ARRAY_LEN(times); i++) {
		rb_buf_addstr(&text, times[i].name);
		rb_dockerfile_add_duration(&text, times[i].ns);
	}
	rb_buf_addf(&text, " Retries:%lld}", (long long)h->retries);
	empty_history(e, &text);
	return 0;
}

/* For the children of this stage, who ask for all of them; nothing happens here, and it leaves no
 * history (3.15). */
static int elab_onbuild(struct rb_elab *e, struct rb_error **err)
{
	(void)e;
	(void)err;
	return 0;
}

static int (*const handlers[RB_INST_N])(struct rb_elab *e, struct rb_error **err) = {
	[RB_INST_ARG] = elab_arg,
	[RB_INST_CMD] = elab_cmd,
	[RB_INST_ENTRYPOINT] = elab_entrypoint,
	[RB_INST_ENV] = elab_pairs,
	[RB_INST_EXPOSE] = elab_expose,
	[RB_INST_HEALTHCHECK] = elab_healthcheck,
	[RB_INST_LABEL] = elab_pairs,
	[RB_INST_MAINTAINER] = elab_maintainer,
	[RB_INST_ONBUILD] = elab_onbuild,
	[RB_INST_SHELL] = elab_shell,
	[RB_INST_STOPSIGNAL] = elab_stopsignal,
	[RB_INST_USER] = elab_user,
	[RB_INST_VOLUME] = elab_volume,
};

int rb_elab_config(struct rb_elab *e, struct rb_error **err)
{
	if (!handlers[e->inst->kind])
		rb_bug("no handler for %s", rb_inst_kind_name(e->inst->kind));
	return handlers[e->inst->kind](e, err);
}
