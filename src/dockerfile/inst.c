// SPDX-License-Identifier: Apache-2.0
/*
 * One statement -> one instruction (dockerfile.md 1.5, 1.6 and the value-free checks of 3): the
 * table of instructions and their flags, and those two that are about others, FROM and ONBUILD.
 */
#include <string.h>

#include "dockerfile/dockerfile-internal.h"

static int parse_statement(struct rb_lexer *lx, struct rb_slice text, struct rb_inst *ret,
			   struct rb_error **err);

/* ---- Flags (1.5) ---- */

static const struct rb_flag_spec from_flags[] = {{"platform", RB_FLAG_STRING}, {0}};
static const struct rb_flag_spec run_flags[] = {{"mount", RB_FLAG_LIST},
						{"network", RB_FLAG_STRING},
						{"security", RB_FLAG_STRING},
						{"device", RB_FLAG_LIST},
						{0}};
static const struct rb_flag_spec copy_flags[] = {{"from", RB_FLAG_STRING},
						 {"chown", RB_FLAG_STRING},
						 {"chmod", RB_FLAG_STRING},
						 {"link", RB_FLAG_BOOL},
						 {"parents", RB_FLAG_BOOL},
						 {"exclude", RB_FLAG_LIST},
						 {0}};
static const struct rb_flag_spec add_flags[] = {
	{"chown", RB_FLAG_STRING},      {"chmod", RB_FLAG_STRING},
	{"unpack", RB_FLAG_BOOL},       {"link", RB_FLAG_BOOL},
	{"exclude", RB_FLAG_LIST},      {"checksum", RB_FLAG_STRING},
	{"keep-git-dir", RB_FLAG_BOOL}, {0}};
static const struct rb_flag_spec health_flags[] = {
	{"interval", RB_FLAG_STRING},     {"timeout", RB_FLAG_STRING},
	{"start-period", RB_FLAG_STRING}, {"start-interval", RB_FLAG_STRING},
	{"retries", RB_FLAG_STRING},      {0}};

/* ---- FROM ---- */

/* [a-z][a-z0-9-_.]* */
static bool is_stage_name(const char *s)
{
	if (!rb_ascii_isalpha(*s))
		return false;
	for (; *s; s++)
		if (!rb_ascii_isalnum(*s) && !strchr("-_.", *s))
			return false;
	return true;
}

static int parse_from(struct rb_statement *st, struct rb_error **err)
{
	RB_CLEANUP(rb_strv_clear) struct rb_strv words = RB_STRV_INIT;
	struct rb_arena *arena = st->lx->arena;
	struct rb_inst *inst = st->inst;

	rb_words_split(st->args, &words);
	if (words.n != 1 && (words.n != 3 || !rb_ascii_strcaseeq(words.v[1], "as")))
		return rb_fail(
			err, RB_ERR_DOCKERFILE,
			"FROM requires either one or three arguments: FROM IMAGE or FROM IMAGE AS NAME");
	inst->from.image = rb_arena_strdup(arena, words.v[0]);
	inst->from.platform = rb_statement_flag(st, "platform");
	if (words.n == 1)
		return 0;
	char *name = rb_arena_strdup(arena, words.v[2]);
	inst->from.name_written = rb_arena_strdup(arena, name);
	for (char *p = name; *p; p++)
		*p = rb_ascii_lower(*p);
	if (!is_stage_name(name))
		return rb_fail(
			err, RB_ERR_DOCKERFILE,
			"invalid name for build stage: \"%s\", name can't start with a number or contain symbols",
			inst->from.name_written);
	inst->from.name = name;
	return 0;
}

/* ---- ONBUILD ---- */

int rb_inst_check_trigger(const char *word, struct rb_error **err)
{
	static const char *const refused[] = {"FROM", "MAINTAINER"};

	if (rb_ascii_strcaseeq(word, "ONBUILD"))
		return rb_fail(err, RB_ERR_DOCKERFILE,
			       "Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed");
	for (size_t i = 0; i < RB_ARRAY_LEN(refused); i++)
		if (rb_ascii_strcaseeq(word, refused[i]))
			return rb_fail(err, RB_ERR_DOCKERFILE,
				       "%s isn't allowed as an ONBUILD trigger", refused[i]);
	return 0;
}

/* The trigger is checked as the instruction that it will be, then kept as text. */
static int parse_onbuild(struct rb_statement *st, struct rb_error **err)
{
	struct rb_inst *inst = st->inst;
	struct rb_inst trigger = {.line_first = inst->line_first, .line_last = inst->line_last};
	struct rb_slice rest;
	struct rb_slice head = rb_words_head(rb_slice_str(st->args), &rest);
	RB_CLEANUP(rb_strp) char *word = rb_strndup(head.ptr, head.len);

	if (rb_inst_check_trigger(word, err) < 0)
		return -1;
	int r = parse_statement(st->lx, rb_slice_str(st->args), &trigger, err);
	/* Also of one that is refused: its lines are marked to the end of its heredocs. */
	inst->heredocs = trigger.heredocs;
	inst->n_heredocs = trigger.n_heredocs;
	if (r < 0)
		return -1;
	inst->text = rb_statement_with_bodies(st);
	return 0;
}

/* ---- The table ---- */

#define AT_LEAST_ONE "at least one argument"
#define EXACTLY_ONE  "exactly one argument"

static const struct rb_statement_kind kinds[RB_INST_N] = {
	[RB_INST_FROM] = {"FROM", from_flags, .parse = parse_from},
	[RB_INST_ADD] = {"ADD", add_flags, .json = true, .heredoc = true,
			 .parse = rb_inst_parse_copy},
	[RB_INST_ARG] = {"ARG", .drops_flags = true, .needs = AT_LEAST_ONE,
			 .parse = rb_inst_parse_pairs},
	[RB_INST_CMD] = {"CMD", .json = true, .parse = rb_inst_parse_command},
	[RB_INST_COPY] = {"COPY", copy_flags, .json = true, .heredoc = true,
			  .parse = rb_inst_parse_copy},
	[RB_INST_ENTRYPOINT] = {"ENTRYPOINT", .json = true, .parse = rb_inst_parse_command},
	[RB_INST_ENV] = {"ENV", .needs = AT_LEAST_ONE, .parse = rb_inst_parse_pairs},
	[RB_INST_EXPOSE] = {"EXPOSE", .needs = AT_LEAST_ONE, .parse = rb_inst_parse_expose},
	/* NONE takes any flag, so rb_inst_parse_health() looks at them itself. */
	[RB_INST_HEALTHCHECK] = {"HEALTHCHECK", health_flags, .drops_flags = true,
				 .needs = AT_LEAST_ONE, .parse = rb_inst_parse_health},
	[RB_INST_LABEL] = {"LABEL", .needs = AT_LEAST_ONE, .parse = rb_inst_parse_pairs},
	[RB_INST_MAINTAINER] = {"MAINTAINER", .needs = EXACTLY_ONE, .parse = rb_inst_parse_text},
	[RB_INST_ONBUILD] = {"ONBUILD", .needs = AT_LEAST_ONE, .parse = parse_onbuild},
	[RB_INST_RUN] = {"RUN", run_flags, .json = true, .heredoc = true,
			 .parse = rb_inst_parse_run},
	[RB_INST_SHELL] = {"SHELL", .json = true, .needs = AT_LEAST_ONE,
			   .parse = rb_inst_parse_shell},
	[RB_INST_STOPSIGNAL] = {"STOPSIGNAL", .drops_flags = true, .needs = EXACTLY_ONE,
				.parse = rb_inst_parse_text},
	[RB_INST_USER] = {"USER", .needs = EXACTLY_ONE, .parse = rb_inst_parse_text},
	[RB_INST_VOLUME] = {"VOLUME", .json = true, .needs = AT_LEAST_ONE,
			    .parse = rb_inst_parse_volume},
	[RB_INST_WORKDIR] = {"WORKDIR", .needs = EXACTLY_ONE, .parse = rb_inst_parse_text},
};

const char *rb_inst_kind_name(enum rb_inst_kind kind)
{
	return kinds[kind].name;
}

static int unknown_instruction(const char *word, struct rb_statement *st, struct rb_error **err)
{
	RB_CLEANUP(rb_buf_clear) struct rb_buf hint = RB_BUF_INIT;
	const char *names[RB_INST_N];

	/* "&& b" and "--yes": the rest of a command. */
	if (strchr("&|-;", *word) && st->inst->line_first > 1)
		return rb_fail(
			err, RB_ERR_DOCKERFILE,
			"unknown instruction: %.60s (the line before it may lack a %c at its end)",
			word, st->lx->escape);

	for (size_t i = 0; i < RB_INST_N; i++)
		names[i] = kinds[i].name;
	return rb_fail(err, RB_ERR_DOCKERFILE, "unknown instruction: %.60s%s", word,
		       rb_suggest(&hint, word, names, RB_INST_N));
}

static int find_kind(const char *word, struct rb_statement *st, struct rb_error **err)
{
	for (size_t i = 0; i < RB_INST_N; i++) {
		if (rb_ascii_strcaseeq(word, kinds[i].name)) {
			st->kind = &kinds[i];
			st->inst->kind = (enum rb_inst_kind)i;
			return 0;
		}
	}
	return unknown_instruction(word, st, err);
}

static int read_heredocs(struct rb_statement *st, struct rb_error **err)
{
	struct rb_inst *inst = st->inst;

	inst->n_heredocs = rb_heredoc_find(st->lx->arena, st->args, &inst->heredocs);
	for (size_t i = 0; i < inst->n_heredocs; i++)
		if (rb_lexer_read_heredoc(st->lx, &inst->heredocs[i], err) < 0)
			return -1;
	return 0;
}

static int parse_arguments(struct rb_statement *st, struct rb_error **err)
{
	const struct rb_statement_kind *kind = st->kind;

	if (kind->json) {
		int r = rb_words_parse_json(st->args, &st->list, err);

		if (r < 0)
			return -1;
		st->json = r;
	}
	if (kind->heredoc && !st->json && read_heredocs(st, err) < 0)
		return -1;
	if (kind->needs && !*st->args)
		return rb_fail(err, RB_ERR_DOCKERFILE, "%s requires %s", kind->name, kind->needs);
	if (!kind->drops_flags && rb_statement_parse_flags(st, err) < 0)
		return -1;
	return kind->parse(st, err);
}

/* An instruction, or the trigger of ONBUILD. */
static int parse_statement(struct rb_lexer *lx, struct rb_slice text, struct rb_inst *ret,
			   struct rb_error **err)
{
	struct rb_statement st = {.lx = lx, .inst = ret};
	struct rb_slice rest;
	struct rb_slice head = rb_words_head(text, &rest);

	ret->word = rb_arena_strndup(lx->arena, head.ptr, head.len);
	if (find_kind(ret->word, &st, err) < 0)
		return -1;
	rest = rb_words_take_flags(rest, lx->escape, &st.flag_words);
	st.args = rb_arena_strndup(lx->arena, rest.ptr, rest.len);
	int r = parse_arguments(&st, err);
	rb_strv_clear(&st.flag_words);
	rb_strv_clear(&st.list);
	return r;
}

int rb_inst_parse(struct rb_lexer *lx, const struct rb_logical_line *line, struct rb_inst *ret,
		  struct rb_error **err)
{
	*ret = (struct rb_inst){
		.original = line->text, .line_first = line->first, .line_last = line->last};
	ret->n_comments = lx->comments.n;
	ret->comments = rb_arena_array(lx->arena, lx->comments.n + 1, sizeof(*ret->comments));
	for (size_t i = 0; i < lx->comments.n; i++)
		ret->comments[i] = rb_arena_strdup(lx->arena, lx->comments.v[i]);
	rb_strv_clear(&lx->comments);
	int r = parse_statement(lx, rb_slice_str(line->text), ret, err);
	/* One that has no end is as long as the file: its first lines say enough. */
	if (ret->n_heredocs && ret->heredocs[ret->n_heredocs - 1].raw)
		ret->line_last = lx->line;
	if (r < 0) {
		(void)rb_error_at(err, ret->line_first, ret->line_last);
		return rb_wrap(err, "dockerfile parse error on line %u", ret->line_first);
	}
	return 0;
}
