// SPDX-License-Identifier: Apache-2.0
/* The rules of dockerfile.md 9 that the text of a Dockerfile shows without any value. */
#include <stdlib.h>
#include <string.h>

#include "dockerfile/dockerfile-internal.h"
#include "dockerfile/lint.h"

/* --- casing
 * ------------------------------------------------------------------------------------------ */

enum casing { CASE_UPPER, CASE_LOWER, CASE_MIXED };

static enum casing casing_of(const char *word)
{
	bool upper = false, lower = false;

	for (; *word; word++) {
		upper |= *word >= 'A' && *word <= 'Z';
		lower |= *word >= 'a' && *word <= 'z';
	}
	return upper && lower ? CASE_MIXED : lower ? CASE_LOWER : CASE_UPPER;
}

static char *recase(const char *word, enum casing casing)
{
	char *s = rb_strdup(word);

	for (char *p = s; *p; p++)
		*p = casing == CASE_LOWER ? rb_ascii_lower(*p) : rb_ascii_upper(*p);
	return s;
}

/* All instructions of the file, in order. */
struct walk {
	const struct rb_dockerfile *df;
	size_t stage, i; /* stage 0: global arguments; else that stage - 1 */
};

static const struct rb_inst *next_inst(struct walk *w)
{
	for (; w->stage <= w->df->n_stages; w->stage++, w->i = 0) {
		const struct rb_stage *s = w->stage ? &w->df->stages[w->stage - 1] : NULL;

		if (!s && w->i < w->df->n_global_args)
			return &w->df->global_args[w->i++];
		if (s && w->i <= s->n_insts) {
			const struct rb_inst *inst = w->i ? &s->insts[w->i - 1] : s->from;

			w->i++;
			return inst;
		}
	}
	return NULL;
}

static void check_instruction_casing(struct rb_lint *lint, const struct rb_dockerfile *df)
{
	struct walk w = {.df = df};
	const struct rb_inst *inst;
	size_t n[3] = {0};

	while ((inst = next_inst(&w)))
		n[casing_of(inst->word)]++;
	enum casing want = n[CASE_LOWER] > n[CASE_UPPER] ? CASE_LOWER : CASE_UPPER;
	if (n[CASE_MIXED] + n[want == CASE_LOWER ? CASE_UPPER : CASE_LOWER] == 0)
		return;
	w = (struct walk){.df = df};
	while ((inst = next_inst(&w))) {
		if (casing_of(inst->word) == want)
			continue;
		RB_CLEANUP(rb_strp) char *right = recase(inst->word, want);

		rb_lint_instead(
			rb_lint_warn(
				lint, RB_LINT_CONSISTENT_INSTRUCTION_CASING, inst,
				"Command '%s' should match the case of the command majority (%s)",
				inst->word, want == CASE_LOWER ? "lowercase" : "uppercase"),
			"write %s", right);
	}
}

/* --- FROM
 * -------------------------------------------------------------------------------------------- */

static void check_as(struct rb_lint *lint, const struct rb_inst *from)
{
	RB_CLEANUP(rb_strv_clear) struct rb_strv words = RB_STRV_INIT;
	enum casing want = casing_of(from->word);

	rb_words_split(from->original, &words);
	const char *as = words.v[words.n - 2];
	if (want == CASE_MIXED || casing_of(as) == want)
		return;
	RB_CLEANUP(rb_strp) char *right = recase(as, want);
	rb_lint_instead(rb_lint_warn(lint, RB_LINT_FROM_AS_CASING, from,
				     "'%s' and '%s' keywords' casing do not match", as, from->word),
			"write %s ... %s %s", from->word, right, from->from.name);
}

static void check_stage_name(struct rb_lint *lint, const struct rb_inst *from)
{
	const char *name = from->from.name, *written = from->from.name_written;

	if (!rb_streq(name, written))
		rb_lint_instead(rb_lint_warn(lint, RB_LINT_STAGE_NAME_CASING, from,
					     "Stage name '%s' should be lowercase", written),
				"write AS %s", name);
	if (rb_streq(name, "scratch") || rb_streq(name, "context"))
		rb_lint_warn(lint, RB_LINT_RESERVED_STAGE_NAME, from,
			     "Stage name should not use the same name as reserved stage \"%s\"",
			     name);
	check_as(lint, from);
}

static int by_name(const void *a, const void *b)
{
	const struct rb_stage *x = *(const struct rb_stage *const *)a;
	const struct rb_stage *y = *(const struct rb_stage *const *)b;
	int r = strcmp(x->name, y->name);

	return r ? r : x->index < y->index ? -1 : x->index > y->index;
}

static void check_duplicate_names(struct rb_lint *lint, const struct rb_dockerfile *df)
{
	const struct rb_stage **v = rb_calloc(df->n_stages, sizeof(*v));
	size_t n = 0;

	for (size_t i = 0; i < df->n_stages; i++)
		if (df->stages[i].name)
			v[n++] = &df->stages[i];
	qsort(v, n, sizeof(*v), by_name);
	for (size_t i = 1; i < n; i++)
		if (rb_streq(v[i - 1]->name, v[i]->name))
			rb_lint_warn(lint, RB_LINT_DUPLICATE_STAGE_NAME, v[i]->from,
				     "Duplicate stage name \"%s\", stage names should be unique",
				     v[i]->from->from.name_written);
	free(v);
}

static void check_target_platform(struct rb_lint *lint, const struct rb_inst *from)
{
	const char *platform = from->from.platform;

	if (platform &&
	    (rb_streq(platform, "$TARGETPLATFORM") || rb_streq(platform, "${TARGETPLATFORM}")))
		rb_lint_warn(
			lint, RB_LINT_REDUNDANT_TARGET_PLATFORM, from,
			"Setting platform to predefined %s in FROM is redundant, it is the default",
			platform);
}

/* --- forms
 * ------------------------------------------------------------------------------------------- */

static void check_form(struct rb_lint *lint, const struct rb_inst *inst)
{
	struct rb_lint_warning *w = NULL;
	const char *name = rb_inst_kind_name(inst->kind);

	if (inst->empty_continuation)
		w = rb_lint_warn(lint, RB_LINT_NO_EMPTY_CONTINUATION, inst,
				 "Empty continuation line");
	if (w)
		w->line_first = w->line_last = inst->empty_continuation;
	if (inst->kind == RB_INST_MAINTAINER)
		rb_lint_instead(
			rb_lint_warn(
				lint, RB_LINT_MAINTAINER_DEPRECATED, inst,
				"Maintainer instruction is deprecated in favor of using label"),
			"write LABEL org.opencontainers.image.authors=\"%s\"", inst->text);
	if ((inst->kind == RB_INST_ENV || inst->kind == RB_INST_LABEL) && inst->kvs.legacy)
		rb_lint_instead(
			rb_lint_warn(
				lint, RB_LINT_LEGACY_KEY_VALUE_FORMAT, inst,
				"\"%s key=value\" should be used instead of legacy \"%s key value\" format",
				name, name),
			"write %s %s=\"...\"", name, inst->kvs.v[0].key);
}

/* The last comment above it that is for people. */
static const char *last_comment(const struct rb_inst *inst)
{
	for (size_t i = inst->n_comments; i-- > 0;)
		if (!rb_lint_comment(inst->comments[i]))
			return inst->comments[i];
	return NULL;
}

static bool describes(const char *comment, const char *name)
{
	size_t n = strlen(name);

	return rb_starts_with(comment, name) && (comment[n] == ' ' || !comment[n]);
}

static void check_description(struct rb_lint *lint, const struct rb_inst *inst)
{
	const char *comment = last_comment(inst);
	const char *what, *name;

	if (!comment || !rb_lint_wants(lint, RB_LINT_INVALID_DEFINITION_DESCRIPTION, inst))
		return;
	if (inst->kind == RB_INST_FROM && inst->from.name) {
		what = "build stage";
		name = inst->from.name;
		if (describes(comment, inst->from.name_written))
			return;
	} else if (inst->kind == RB_INST_ARG) {
		what = "ARG";
		name = inst->kvs.v[0].key;
	} else {
		return;
	}
	for (size_t i = 0; inst->kind == RB_INST_ARG && i < inst->kvs.n; i++)
		if (describes(comment, inst->kvs.v[i].key))
			return;
	if (!describes(comment, name))
		rb_lint_warn(lint, RB_LINT_INVALID_DEFINITION_DESCRIPTION, inst,
			     "Comment for %s should follow the format: `# %s <description>`", what,
			     name);
}

/* --- secrets
 * ----------------------------------------------------------------------------------------- */

static bool is_one_of(struct rb_slice token, const char *const *list)
{
	RB_CLEANUP(rb_strp) char *s = rb_strndup(token.ptr, token.len);

	for (; *list; list++)
		if (rb_ascii_strcaseeq(s, *list))
			return true;
	return false;
}

/* A token between underscores says that it is one, and none that it is only about one. */
static bool is_secret_name(const char *name)
{
	static const char *const secret[] = {"apikey", "auth",     "credential", "credentials",
					     "key",    "password", "pword",      "passwd",
					     "secret", "token",    NULL};
	static const char *const harmless[] = {"public", "file", "version", NULL};
	bool found = false;

	for (;;) {
		const char *end = strchrnul(name, '_');
		struct rb_slice token = {name, (size_t)(end - name)};

		if (is_one_of(token, harmless))
			return false;
		found |= is_one_of(token, secret);
		if (!*end)
			return found;
		name = end + 1;
	}
}

static void check_secrets(struct rb_lint *lint, const struct rb_inst *inst)
{
	if (inst->kind != RB_INST_ARG && inst->kind != RB_INST_ENV)
		return;
	for (size_t i = 0; i < inst->kvs.n; i++)
		if (is_secret_name(inst->kvs.v[i].key))
			rb_lint_warn(
				lint, RB_LINT_SECRETS_USED_IN_ARG_OR_ENV, inst,
				"Do not use ARG or ENV instructions for sensitive data (%s \"%s\")",
				rb_inst_kind_name(inst->kind), inst->kvs.v[i].key);
}

/* --- all of them
 * ------------------------------------------------------------------------------------- */

void rb_lint_file(struct rb_lint *lint, const struct rb_dockerfile *df)
{
	struct walk w = {.df = df};
	const struct rb_inst *inst;

	check_instruction_casing(lint, df);
	check_duplicate_names(lint, df);
	while ((inst = next_inst(&w))) {
		rb_lint_check_comments(lint, inst);
		check_form(lint, inst);
		check_description(lint, inst);
		if (inst->kind == RB_INST_FROM) {
			check_target_platform(lint, inst);
			if (inst->from.name)
				check_stage_name(lint, inst);
		}
	}
	for (size_t i = 0; i < df->n_global_args; i++)
		check_secrets(lint, &df->global_args[i]);
}

void rb_lint_stage(struct rb_lint *lint, const struct rb_stage *stage)
{
	const struct rb_inst *last[RB_INST_N] = {NULL};

	for (size_t i = 0; i < stage->n_insts; i++) {
		const struct rb_inst *inst = &stage->insts[i];
		const char *name = rb_inst_kind_name(inst->kind);

		check_secrets(lint, inst);
		if (inst->kind != RB_INST_CMD && inst->kind != RB_INST_ENTRYPOINT &&
		    inst->kind != RB_INST_HEALTHCHECK)
			continue;
		if (last[inst->kind])
			rb_lint_warn(
				lint, RB_LINT_MULTIPLE_INSTRUCTIONS_DISALLOWED, last[inst->kind],
				"Multiple %s instructions should not be used in the same stage, only the last one has an effect",
				name);
		last[inst->kind] = inst;
	}
}
