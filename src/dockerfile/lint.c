// SPDX-License-Identifier: Apache-2.0
/* The rules of dockerfile.md 9 as a table, their configuration, and the list of what was found. */
#include "dockerfile/lint.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "dockerfile/dockerfile-internal.h"

#define URL(slug) "https://docs.docker.com/go/dockerfile/rule/" slug "/"

static const struct rb_lint_rule_info rules[RB_LINT_N] = {
	[RB_LINT_STAGE_NAME_CASING] = {"StageNameCasing",
				       "Names of stages are written in lower case",
				       URL("stage-name-casing"), "write the name in lower case"},
	[RB_LINT_FROM_AS_CASING] = {"FromAsCasing", "AS is written in the case of its FROM",
				    URL("from-as-casing"),
				    "write both in the same case: FROM image AS name"},
	[RB_LINT_NO_EMPTY_CONTINUATION] =
		{"NoEmptyContinuation", "A continued instruction has no empty lines in it",
		 URL("no-empty-continuation"),
		 "remove the empty line, or make it a comment that is a lone #"},
	[RB_LINT_CONSISTENT_INSTRUCTION_CASING] =
		{"ConsistentInstructionCasing",
		 "All instructions of a file are written in the same case",
		 URL("consistent-instruction-casing"), "write all instructions in the same case"},
	[RB_LINT_DUPLICATE_STAGE_NAME] = {"DuplicateStageName", "No two stages have the same name",
					  URL("duplicate-stage-name"),
					  "give one of the stages another name"},
	[RB_LINT_RESERVED_STAGE_NAME] =
		{"ReservedStageName",
		 "No stage has a name that means something else to the builder",
		 URL("reserved-stage-name"), "give the stage another name"},
	[RB_LINT_JSON_ARGS_RECOMMENDED] =
		{"JSONArgsRecommended",
		 "CMD and ENTRYPOINT are JSON arrays, so that no shell stands between a signal and the program",
		 URL("json-args-recommended"), "write the command as a JSON array of its words"},
	[RB_LINT_MAINTAINER_DEPRECATED] = {"MaintainerDeprecated",
					   "A label tells more than the deprecated MAINTAINER",
					   URL("maintainer-deprecated"),
					   "write LABEL org.opencontainers.image.authors=\"...\""},
	[RB_LINT_UNDEFINED_ARG_IN_FROM] =
		{"UndefinedArgInFrom",
		 "FROM uses only arguments that are declared before the first FROM",
		 URL("undefined-arg-in-from"), "declare it with ARG before the first FROM"},
	[RB_LINT_WORKDIR_RELATIVE_PATH] =
		{"WorkdirRelativePath",
		 "A relative WORKDIR follows an absolute one and does not depend on the base image",
		 URL("workdir-relative-path"), "write an absolute path"},
	[RB_LINT_UNDEFINED_VAR] = {"UndefinedVar", "Variables are defined before they are used",
				   URL("undefined-var"),
				   "define it with ARG or ENV above, or write ${NAME:-default}"},
	[RB_LINT_MULTIPLE_INSTRUCTIONS_DISALLOWED] =
		{"MultipleInstructionsDisallowed",
		 "CMD, ENTRYPOINT and HEALTHCHECK stand at most once in a stage",
		 URL("multiple-instructions-disallowed"),
		 "remove this one: a later one replaces it"},
	[RB_LINT_LEGACY_KEY_VALUE_FORMAT] =
		{"LegacyKeyValueFormat", "ENV and LABEL have an equals sign between name and value",
		 URL("legacy-key-value-format"), "write NAME=\"value\""},
	[RB_LINT_INVALID_BASE_IMAGE_PLATFORM] =
		{"InvalidBaseImagePlatform", "The base image is of the platform that is built for",
		 "",
		 "name an image that exists for the platform, or build for that of the image with --platform"},
	[RB_LINT_REDUNDANT_TARGET_PLATFORM] =
		{"RedundantTargetPlatform",
		 "FROM does not ask for the platform that it gets anyway",
		 URL("redundant-target-platform"), "leave --platform out"},
	[RB_LINT_SECRETS_USED_IN_ARG_OR_ENV] =
		{"SecretsUsedInArgOrEnv",
		 "Secrets are not passed by ARG or ENV, which image and history keep",
		 URL("secrets-used-in-arg-or-env"),
		 "give the secret to the RUN that needs it: RUN --mount=type=secret,id=NAME"},
	[RB_LINT_INVALID_DEFAULT_ARG_IN_FROM] =
		{"InvalidDefaultArgInFrom",
		 "FROM names an image also when no build argument is given",
		 URL("invalid-default-arg-in-from"), "give the ARG a default that makes it a name"},
	[RB_LINT_FROM_PLATFORM_FLAG_CONST_DISALLOWED] =
		{"FromPlatformFlagConstDisallowed",
		 "FROM --platform is a variable, or its stage is named after the platform",
		 URL("from-platform-flag-const-disallowed"),
		 "use $BUILDPLATFORM or an ARG, or leave --platform out"},
	[RB_LINT_COPY_IGNORED_FILE] =
		{"CopyIgnoredFile", "COPY and ADD do not name what the ignore file keeps out",
		 URL("copy-ignored-file"),
		 "remove the source here, or add an exception (!path) to the ignore file"},
	[RB_LINT_EXPOSE_PROTO_CASING] = {"ExposeProtoCasing",
					 "Protocols in EXPOSE are written in lower case",
					 URL("expose-proto-casing"),
					 "write the protocol in lower case"},
	[RB_LINT_EXPOSE_INVALID_FORMAT] =
		{"ExposeInvalidFormat", "EXPOSE names ports of the container only",
		 URL("expose-invalid-format"),
		 "write the container's port alone; who runs the image chooses the host's"},
	[RB_LINT_INVALID_DEFINITION_DESCRIPTION] =
		{"InvalidDefinitionDescription",
		 "The comment above an ARG or a named FROM describes it and begins with its name",
		 URL("invalid-definition-description"),
		 "begin the comment with the name, or separate it with an empty line", true},
};

#define ALL_RULES ((uint32_t)((1ull << RB_LINT_N) - 1))

const struct rb_lint_rule_info *rb_lint_rule_info(enum rb_lint_rule rule)
{
	return &rules[rule];
}

/* --- configuration
 * ----------------------------------------------------------------------------------- */

enum { OPTIONS_MAX = 3, SHOWN = 60, NOTES_MAX = 20 };

static void unknown_rule(const char *name, struct rb_strv *notes)
{
	RB_CLEANUP(rb_buf_clear) struct rb_buf hint = RB_BUF_INIT;
	const char *names[RB_LINT_N];

	if (!notes)
		return;
	for (size_t i = 0; i < RB_LINT_N; i++)
		names[i] = rules[i].name;
	rb_strv_addf(notes, "check= names the rule %.*s, which does not exist%s", SHOWN, name,
		     rb_suggest(&hint, name, names, RB_LINT_N));
}

static uint32_t find_rule(const char *name, struct rb_strv *notes)
{
	if (rb_streq(name, "all"))
		return ALL_RULES;
	for (size_t i = 0; i < RB_LINT_N; i++)
		if (rb_streq(name, rules[i].name))
			return 1u << i;
	unknown_rule(name, notes);
	return 0;
}

/* The part of *s before c, trimmed; *s goes on after c, or becomes NULL. Caller frees. */
static char *take_until(const char **s, char c)
{
	const char *end = strchrnul(*s, c);
	struct rb_slice part = rb_slice_trim((struct rb_slice){*s, (size_t)(end - *s)});

	*s = *end ? end + 1 : NULL;
	return rb_strndup(part.ptr, part.len);
}

static uint32_t parse_rules(const char *list, struct rb_strv *notes)
{
	uint32_t set = 0;

	while (list) {
		RB_CLEANUP(rb_strp) char *name = take_until(&list, ',');

		if (*name)
			set |= find_rule(name, notes);
	}
	return set;
}

static int parse_option(const char *option, struct rb_lint_config *c, struct rb_strv *notes,
			struct rb_error **err)
{
	const char *value = option;
	RB_CLEANUP(rb_strp) char *key = take_until(&value, '=');

	if (value && rb_streq(key, "skip"))
		c->skip |= parse_rules(value, notes);
	else if (value && rb_streq(key, "experimental"))
		c->experimental |= parse_rules(value, notes);
	else if (!value || !rb_streq(key, "error") || rb_parse_bool(value, &c->error) < 0)
		return rb_fail(
			err, RB_ERR_DOCKERFILE,
			"invalid check option \"%.*s\": the options are skip=RULE,..., error=true and experimental=RULE,..., separated by ;",
			SHOWN, option);
	return 0;
}

int rb_lint_config_parse(const char *text, struct rb_lint_config *ret, struct rb_strv *notes,
			 struct rb_error **err)
{
	struct rb_lint_config c = {0};
	unsigned n = 0;

	while (text) {
		RB_CLEANUP(rb_strp) char *option = take_until(&text, ';');

		if (++n > OPTIONS_MAX)
			return rb_fail(err, RB_ERR_DOCKERFILE,
				       "invalid check option \"%.*s\": there are more than %d",
				       SHOWN, option, OPTIONS_MAX);
		if (parse_option(option, &c, notes, err) < 0)
			return -1;
	}
	*ret = c;
	return 0;
}

int rb_lint_configure(struct rb_lint *lint, const struct rb_dockerfile *df,
		      const struct rb_env *build_args, struct rb_error **err)
{
	const char *arg = rb_env_get(build_args, "BUILDKIT_DOCKERFILE_CHECK");

	if (arg && *arg) {
		if (rb_lint_config_parse(arg, &lint->config, &lint->notes, err) < 0)
			return rb_wrap(err, "--build-arg BUILDKIT_DOCKERFILE_CHECK");
	} else if (!arg && df->check) {
		if (rb_lint_config_parse(df->check, &lint->config, &lint->notes, err) < 0)
			return rb_error_at(err, df->check_line, df->check_line);
		if (df->check_rest)
			rb_strv_addf(
				&lint->notes,
				"line %u: check= ends at the first blank, so this is not read:%.*s",
				df->check_line, SHOWN, df->check_rest);
	}
	return 0;
}

/* --- comments above an instruction
 * ------------------------------------------------------------------- */

const char *rb_lint_comment(const char *comment)
{
	static const char prefix[] = "check=";

	return rb_starts_with(comment, prefix) ? comment + strlen(prefix) : NULL;
}

const char *rb_inst_description(const struct rb_inst *inst, const char *name)
{
	size_t n = strlen(name);

	for (size_t i = 0; i < inst->n_comments; i++)
		if (rb_starts_with(inst->comments[i], name) && inst->comments[i][n] == ' ')
			return inst->comments[i] + n + 1 + strspn(inst->comments[i] + n + 1, " ");
	return NULL;
}

const char *rb_stage_description(const struct rb_stage *stage)
{
	const struct rb_inst *from = stage->from;

	if (!stage->name)
		return NULL;
	const char *text = rb_inst_description(from, stage->name);
	return text ? text : rb_inst_description(from, from->from.name_written);
}

/*
 * What the comments above an instruction add for it alone. A comment that is not of that form is
 * one for people: it may speak of a check.
 */
static void add_own_config(const struct rb_inst *inst, struct rb_lint_config *c)
{
	for (size_t i = 0; i < inst->n_comments; i++) {
		const char *text = rb_lint_comment(inst->comments[i]);
		struct rb_lint_config own = {0};
		struct rb_error *ignored = NULL;

		if (!text)
			continue;
		if (rb_lint_config_parse(text, &own, NULL, &ignored) == 0) {
			c->skip |= own.skip;
			c->experimental |= own.experimental;
		}
		rb_error_drop(&ignored);
	}
}

void rb_lint_check_comments(struct rb_lint *lint, const struct rb_inst *inst)
{
	for (size_t i = 0; i < inst->n_comments; i++) {
		RB_CLEANUP(rb_strv_clear) struct rb_strv notes = RB_STRV_INIT;
		const char *text = rb_lint_comment(inst->comments[i]);
		struct rb_lint_config own = {0};
		struct rb_error *why = NULL;

		if (!text || lint->notes.n > NOTES_MAX)
			continue;
		if (rb_lint_config_parse(text, &own, &notes, &why) < 0)
			rb_strv_take(&notes, rb_error_text(why));
		rb_error_drop(&why); /* it may be meant for people */
		for (size_t j = 0; j < notes.n; j++)
			rb_strv_addf(&lint->notes, "the comment above line %u: %s",
				     inst->line_first, notes.v[j]);
	}
}

/* --- warnings
 * ---------------------------------------------------------------------------------------- */

void rb_lint_clear(struct rb_lint *lint)
{
	for (size_t i = 0; i < lint->n; i++) {
		free(lint->warnings[i].detail);
		free(lint->warnings[i].instead);
	}
	free(lint->warnings);
	rb_strv_clear(&lint->notes);
	*lint = (struct rb_lint){0};
}

bool rb_lint_wants(const struct rb_lint *lint, enum rb_lint_rule rule, const struct rb_inst *inst)
{
	uint32_t bit = 1u << rule;

	/* A trigger was written by somebody else, for another file. */
	if (!lint || (inst && inst->trigger))
		return false;
	struct rb_lint_config own = {0};
	if (inst)
		add_own_config(inst, &own);
	if (!rules[rule].experimental)
		return !((lint->config.skip | own.skip) & bit);
	/* Who asks for one by name or with all the others has it whatever the file skips, so that
	 * skip=all;experimental=all means these alone. */
	return own.experimental & bit || (lint->config.experimental & bit && !(own.skip & bit));
}

static bool is_known(const struct rb_lint *lint, const struct rb_lint_warning *w)
{
	for (size_t i = lint->n; i-- > 0 && lint->warnings[i].line_first == w->line_first;)
		if (lint->warnings[i].rule == w->rule &&
		    rb_streq(lint->warnings[i].detail, w->detail))
			return true;
	return false;
}

struct rb_lint_warning *rb_lint_warn(struct rb_lint *lint, enum rb_lint_rule rule,
				     const struct rb_inst *inst, const char *detail, ...)
{
	struct rb_lint_warning w = {
		.rule = rule, .line_first = inst->line_first, .line_last = inst->line_last};
	va_list ap;

	if (!rb_lint_wants(lint, rule, inst))
		return NULL;
	lint->violated |= 1u << rule;
	if (lint->n == RB_LINT_WARNINGS_MAX) {
		lint->dropped++;
		return NULL;
	}
	va_start(ap, detail);
	w.detail = rb_vasprintf(detail, ap);
	va_end(ap);
	if (is_known(lint, &w)) {
		free(w.detail);
		return NULL;
	}
	rb_grow(lint->warnings, lint->n, &lint->cap);
	lint->warnings[lint->n] = w;
	return &lint->warnings[lint->n++];
}

void rb_lint_instead(struct rb_lint_warning *w, const char *instead, ...)
{
	va_list ap;

	if (!w)
		return;
	va_start(ap, instead);
	free(w->instead);
	w->instead = rb_vasprintf(instead, ap);
	va_end(ap);
}

struct numbered {
	struct rb_lint_warning w;
	size_t i;
};

static int compare(const void *a, const void *b)
{
	const struct numbered *x = a, *y = b;

	if (x->w.line_first != y->w.line_first)
		return x->w.line_first < y->w.line_first ? -1 : 1;
	return x->i < y->i ? -1 : x->i > y->i;
}

void rb_lint_sort(struct rb_lint *lint)
{
	struct numbered *v = rb_calloc(lint->n + 1, sizeof(*v));

	for (size_t i = 0; i < lint->n; i++)
		v[i] = (struct numbered){lint->warnings[i], i};
	qsort(v, lint->n, sizeof(*v), compare);
	for (size_t i = 0; i < lint->n; i++)
		lint->warnings[i] = v[i].w;
	free(v);
}

int rb_lint_verdict(const struct rb_lint *lint, struct rb_error **err)
{
	RB_CLEANUP(rb_buf_clear) struct rb_buf names = RB_BUF_INIT;
	const struct rb_lint_warning *last = NULL;

	if (!lint || !lint->config.error || !lint->violated)
		return 0;
	for (size_t i = 0; i < lint->n; i++)
		if (!last || lint->warnings[i].line_first >= last->line_first)
			last = &lint->warnings[i];
	for (size_t i = 0; i < RB_LINT_N; i++)
		if (lint->violated & 1u << i)
			rb_buf_addf(&names, "%s%s", names.len ? ", " : "", rules[i].name);
	(void)rb_fail(err, RB_ERR_DOCKERFILE, "lint violation found for rules: %s", names.ptr);
	return rb_error_at(err, last->line_first, last->line_last);
}
