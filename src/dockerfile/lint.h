/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Checks of a Dockerfile (dockerfile.md 9): the rules, how a file configures them, and what they
 * found, as data. Rules that the text alone shows are applied here; those that need values or a
 * base image's config are applied by plan/. Pure. doc/checks.md says the rules to their readers.
 */
#ifndef RB_DOCKERFILE_LINT_H
#define RB_DOCKERFILE_LINT_H

#include "dockerfile/dockerfile.h"
#include "dockerfile/expand.h"

enum rb_lint_rule {
	RB_LINT_STAGE_NAME_CASING,
	RB_LINT_FROM_AS_CASING,
	RB_LINT_NO_EMPTY_CONTINUATION,
	RB_LINT_CONSISTENT_INSTRUCTION_CASING,
	RB_LINT_DUPLICATE_STAGE_NAME,
	RB_LINT_RESERVED_STAGE_NAME,
	RB_LINT_JSON_ARGS_RECOMMENDED,
	RB_LINT_MAINTAINER_DEPRECATED,
	RB_LINT_UNDEFINED_ARG_IN_FROM,
	RB_LINT_WORKDIR_RELATIVE_PATH,
	RB_LINT_UNDEFINED_VAR,
	RB_LINT_MULTIPLE_INSTRUCTIONS_DISALLOWED,
	RB_LINT_LEGACY_KEY_VALUE_FORMAT,
	RB_LINT_INVALID_BASE_IMAGE_PLATFORM,
	RB_LINT_REDUNDANT_TARGET_PLATFORM,
	RB_LINT_SECRETS_USED_IN_ARG_OR_ENV,
	RB_LINT_INVALID_DEFAULT_ARG_IN_FROM,
	RB_LINT_FROM_PLATFORM_FLAG_CONST_DISALLOWED,
	RB_LINT_COPY_IGNORED_FILE,
	RB_LINT_EXPOSE_PROTO_CASING,
	RB_LINT_EXPOSE_INVALID_FORMAT,
	RB_LINT_INVALID_DEFINITION_DESCRIPTION,
	RB_LINT_N
};

struct rb_lint_rule_info {
	const char *name;        /* "StageNameCasing" */
	const char *description; /* one sentence */
	const char *url;         /* "" when none */
	const char *instead;     /* what to write, as a sentence; a warning may say it better */
	bool experimental;       /* only when asked for */
};

const struct rb_lint_rule_info *rb_lint_rule_info(enum rb_lint_rule rule);

/* Sets of rules are bits 1 << rule. */
_Static_assert(RB_LINT_N <= 32, "a set of rules is 32 bits");

struct rb_lint_config {
	uint32_t skip;
	uint32_t experimental;
	bool error; /* warnings fail the build */
};

struct rb_lint_warning {
	enum rb_lint_rule rule;
	unsigned line_first, line_last;
	char *detail;
	char *instead; /* NULL: that of the rule */
};

/* More warnings than this are counted in `dropped`; nobody reads them. */
enum { RB_LINT_WARNINGS_MAX = 1000 };

/* Zero-initialise, configure, let it collect. */
struct rb_lint {
	struct rb_lint_config config;
	struct rb_lint_warning *warnings; /* in order of finding */
	size_t n, cap, dropped;
	uint32_t violated;    /* rules with warnings, also dropped ones */
	struct rb_strv notes; /* about the configuration itself: a rule that does not exist, ... */

	/*
	 * Whether the ignore file excludes a source (relative, clean) of COPY and ADD from the
	 * context; NULL: nothing does. `ignore_wants_all`: it has "*", "**" or the like, so that
	 * the context's root counts as excluded.
	 */
	bool (*is_ignored)(void *ctx, const char *source);
	void *ignore_ctx;
	bool ignore_wants_all;
};

void rb_lint_clear(struct rb_lint *lint);

/*
 * `skip=A,B;error=true;experimental=C`. Errors: RB_ERR_DOCKERFILE `invalid check option "x"`.
 * Names that no rule has are added to *notes (may be NULL).
 */
int rb_lint_config_parse(const char *text, struct rb_lint_config *ret, struct rb_strv *notes,
			 struct rb_error **err);

/*
 * Takes the configuration from BUILDKIT_DOCKERFILE_CHECK among the build arguments, else from the
 * file's directive.
 */
int rb_lint_configure(struct rb_lint *lint, const struct rb_dockerfile *df,
		      const struct rb_env *build_args, struct rb_error **err);

/*
 * Adds a warning about an instruction unless its rule is skipped, by the file or by a `check=`
 * comment above it. The same warning is not added twice. Returns it, NULL when it was not added;
 * valid until the next one is. `lint` may be NULL.
 */
struct rb_lint_warning *rb_lint_warn(struct rb_lint *lint, enum rb_lint_rule rule,
				     const struct rb_inst *inst, const char *detail, ...)
	RB_PRINTF(4, 5);
/* Says what to write instead of what w (NULL: nothing happens) is about. */
void rb_lint_instead(struct rb_lint_warning *w, const char *instead, ...) RB_PRINTF(2, 3);
/* Whether a warning would be added: for rules whose search costs something. */
bool rb_lint_wants(const struct rb_lint *lint, enum rb_lint_rule rule, const struct rb_inst *inst);

/* The rules about the file as a whole: names of stages, casing, forms. */
void rb_lint_file(struct rb_lint *lint, const struct rb_dockerfile *df);
/* The rules about the instructions of one stage that is looked at: values are not needed. */
void rb_lint_stage(struct rb_lint *lint, const struct rb_stage *stage);

/* "`# NAME text`" among the comments above inst: text, or NULL (dockerfile.md 8.3). Borrowed. */
const char *rb_inst_description(const struct rb_inst *inst, const char *name);
/* The same of a stage, by its name as it is or as it was written; NULL also for one without. */
const char *rb_stage_description(const struct rb_stage *stage);

/* Adds notes about `check=` comments above inst that cannot be what they look like. */
void rb_lint_check_comments(struct rb_lint *lint, const struct rb_inst *inst);

/* Sorts by line; equal lines keep the order of finding. */
void rb_lint_sort(struct rb_lint *lint);
/* With error=true and a warning: -1 with `lint violation found for rules: A, B` and the lines of
 * the last one. */
int rb_lint_verdict(const struct rb_lint *lint, struct rb_error **err);

#endif
