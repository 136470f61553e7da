// SPDX-License-Identifier: Apache-2.0
/* The instructions that neither run nor copy: what they say goes into the config or variables. */
#include <string.h>

#include "dockerfile/dockerfile-internal.h"
#include "dockerfile/values.h"

int rb_inst_parse_command(struct rb_statement *st, struct rb_error **err)
{
	(void)err;
	st->inst->cmd.exec = st->json;
	if (st->json)
		st->inst->cmd.argv = rb_statement_words(st, st->list.v, st->list.n);
	else
		st->inst->cmd.script = st->args;
	return 0;
}

int rb_inst_parse_shell(struct rb_statement *st, struct rb_error **err)
{
	/* Most of those that look like JSON are, up to a comment behind it. */
	if (!st->json)
		return rb_fail(
			err, RB_ERR_DOCKERFILE,
			"SHELL requires the arguments to be in JSON form, like [\"/bin/bash\", \"-c\"]%s",
			*st->args == '[' ? ", with nothing behind the ], not even a comment" : "");
	if (st->list.n == 0)
		return rb_fail(err, RB_ERR_DOCKERFILE, "SHELL requires at least one argument");
	st->inst->words = rb_statement_words(st, st->list.v, st->list.n);
	return 0;
}

int rb_inst_parse_text(struct rb_statement *st, struct rb_error **err)
{
	(void)err;
	st->inst->text = st->args;
	return 0;
}

int rb_inst_parse_expose(struct rb_statement *st, struct rb_error **err)
{
	(void)err;
	rb_words_split(st->args, &st->list);
	st->inst->words = rb_statement_words(st, st->list.v, st->list.n);
	return 0;
}

int rb_inst_parse_volume(struct rb_statement *st, struct rb_error **err)
{
	struct rb_arena *arena = st->lx->arena;

	if (!st->json)
		rb_words_split(st->args, &st->list);
	if (st->list.n == 0)
		return rb_fail(err, RB_ERR_DOCKERFILE, "VOLUME requires at least one argument");
	st->inst->words = rb_statement_words(st, st->list.v, st->list.n);
	for (size_t i = 0; i < st->list.n; i++) {
		struct rb_slice s = rb_slice_trim(rb_slice_str(st->list.v[i]));

		if (!s.len)
			return rb_fail(err, RB_ERR_DOCKERFILE,
				       "VOLUME specified can not be an empty string");
		st->inst->words.v[i] = rb_arena_strndup(arena, s.ptr, s.len);
	}
	return 0;
}

/* ---- ARG, ENV, LABEL ---- */

static int parse_pair(struct rb_statement *st, const char *word, struct rb_kv *ret,
		      struct rb_error **err)
{
	struct rb_arena *arena = st->lx->arena;
	const char *eq = strchr(word, '=');

	if (!eq && st->inst->kind != RB_INST_ARG)
		return rb_fail(err, RB_ERR_DOCKERFILE,
			       "can't find = in \"%.200s\". Must be of the form: name=value", word);
	if (eq == word)
		return rb_fail(err, RB_ERR_DOCKERFILE, "%s names can not be blank", st->kind->name);
	ret->key = rb_arena_strndup(arena, word, eq ? (size_t)(eq - word) : strlen(word));
	ret->value = eq ? rb_arena_strdup(arena, eq + 1) : NULL;
	return 0;
}

/* `ENV key any text`: one pair, the text as it is. */
static int parse_legacy_pair(struct rb_statement *st, struct rb_error **err)
{
	struct rb_arena *arena = st->lx->arena;
	struct rb_kv *kv = rb_arena_array(arena, 1, sizeof(*kv));
	struct rb_slice rest;
	struct rb_slice key = rb_words_head(rb_slice_str(st->args), &rest);

	if (!rest.len)
		return rb_fail(err, RB_ERR_DOCKERFILE,
			       "%s must have two arguments: write NAME=value", st->kind->name);
	kv->key = rb_arena_strndup(arena, key.ptr, key.len);
	kv->value = rb_arena_strndup(arena, rest.ptr, rest.len);
	st->inst->kvs = (struct rb_kvs){.v = kv, .n = 1, .legacy = true};
	return 0;
}

int rb_inst_parse_pairs(struct rb_statement *st, struct rb_error **err)
{
	rb_words_split_quoted(st->args, st->lx->escape, &st->list);
	if (st->inst->kind != RB_INST_ARG && !strchr(st->list.v[0], '='))
		return parse_legacy_pair(st, err);
	struct rb_kv *v = rb_arena_array(st->lx->arena, st->list.n, sizeof(*v));
	for (size_t i = 0; i < st->list.n; i++)
		if (parse_pair(st, st->list.v[i], &v[i], err) < 0)
			return -1;
	st->inst->kvs = (struct rb_kvs){.v = v, .n = st->list.n};
	return 0;
}

/* ---- HEALTHCHECK ---- */

static int parse_health_duration(struct rb_statement *st, const char *flag, int64_t *ret,
				 struct rb_error **err)
{
	const char *value = rb_statement_flag(st, flag);

	if (!value)
		return 0;
	if (rb_dockerfile_parse_duration(value, ret, err) < 0)
		return rb_wrap(err, "HEALTHCHECK --%s", flag);
	if (*ret != 0 && *ret < 1000 * 1000)
		return rb_fail(err, RB_ERR_DOCKERFILE,
			       "HEALTHCHECK --%s cannot be less than 1ms: %s", flag, value);
	return 0;
}

static int parse_health_flags(struct rb_statement *st, struct rb_error **err)
{
	struct rb_inst *inst = st->inst;
	const struct {
		const char *flag;
		int64_t *ret;
	} durations[] = {
		{"interval", &inst->health.interval_ns},
		{"timeout", &inst->health.timeout_ns},
		{"start-period", &inst->health.start_period_ns},
		{"start-interval", &inst->health.start_interval_ns},
	};
	const char *text = rb_statement_flag(st, "retries");
	uint64_t retries = 0;

	for (size_t i = 0; i < RB_ARRAY_LEN(durations); i++)
		if (parse_health_duration(st, durations[i].flag, durations[i].ret, err) < 0)
			return -1;
	if (text && rb_parse_u64(rb_slice_str(text), INT32_MAX, &retries) < 0)
		return rb_fail(err, RB_ERR_DOCKERFILE,
			       "HEALTHCHECK --retries must be a number from 0 to %d, not: %s",
			       INT32_MAX, text);
	inst->health.retries = (int64_t)retries;
	return 0;
}

static int parse_health_command(struct rb_statement *st, const char *command, struct rb_error **err)
{
	struct rb_inst *inst = st->inst;
	int is_json = rb_words_parse_json(command, &st->list, err);

	if (is_json < 0)
		return -1;
	if (is_json ? st->list.n == 0 : !*command)
		return rb_fail(err, RB_ERR_DOCKERFILE, "Missing command after HEALTHCHECK CMD");
	inst->health.exec = is_json;
	if (is_json)
		inst->health.argv = rb_statement_words(st, st->list.v, st->list.n);
	else
		inst->health.script = command;
	return 0;
}

int rb_inst_parse_health(struct rb_statement *st, struct rb_error **err)
{
	struct rb_arena *arena = st->lx->arena;
	struct rb_slice rest;
	struct rb_slice head = rb_words_head(rb_slice_str(st->args), &rest);
	char *type = rb_arena_strndup(arena, head.ptr, head.len);

	for (char *p = type; *p; p++)
		*p = rb_ascii_upper(*p);
	if (rb_streq(type, "NONE")) {
		if (rest.len)
			return rb_fail(err, RB_ERR_DOCKERFILE,
				       "HEALTHCHECK NONE takes no arguments");
		st->inst->health.none = true;
		return 0;
	}
	if (rb_statement_parse_flags(st, err) < 0 || parse_health_flags(st, err) < 0)
		return -1;
	if (!rb_streq(type, "CMD"))
		return rb_fail(err, RB_ERR_DOCKERFILE,
			       "Unknown type \"%.60s\" in HEALTHCHECK (try CMD)", type);
	return parse_health_command(st, rb_arena_strndup(arena, rest.ptr, rest.len), err);
}
