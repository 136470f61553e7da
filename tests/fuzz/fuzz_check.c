// SPDX-License-Identifier: Apache-2.0
/* A Dockerfile through all checks: its check directive and comments, the rules of the text,
 * planning of every stage upon unknown bases, and the outline. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "dockerfile/lint.h"
#include "plan/outline.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static volatile size_t sink;

static bool is_ignored(void *ctx, const char *source)
{
	(void)ctx;
	sink += strlen(source);
	return source[0] == 'a';
}

/* Bounds what one input may cost: each stage starts with a copy of its parent's environment. */
enum { STAGES_MAX = 200 };

static int elaborate(struct rb_plan *plan, const struct rb_image_config *base,
		     struct rb_error **err)
{
	bool again = true;

	while (again) {
		again = false;
		for (size_t i = 0; i < plan->n_images; i++) {
			plan->images[i]->config = base;
			plan->images[i]->assumed = i % 2;
		}
		for (size_t i = 0; i < plan->n_stages; i++) {
			if (!rb_plan_can_elaborate(&plan->stages[i]))
				continue;
			if (rb_plan_elaborate(plan, &plan->stages[i], err) < 0)
				return -1;
			again = true;
		}
	}
	return 0;
}

static int check(const struct rb_dockerfile *df, struct rb_lint *lint, struct rb_error **err)
{
	static const struct rb_env args;
	const struct rb_image_config base = {.platform = {.os = "linux", .arch = "s390x"}};
	const struct rb_plan_options o = {
		.build_args = &args,
		.build_platform = {.os = "linux", .arch = "amd64"},
		.target_platform = {.os = "linux", .arch = "amd64"},
		.all_stages = true,
		.lint = lint,
	};
	RB_CLEANUP(rb_plan_freep) struct rb_plan *plan = NULL;
	RB_CLEANUP(rb_outline_clear) struct rb_outline outline = {0};

	if (rb_lint_configure(lint, df, &args, err) < 0)
		return -1;
	lint->is_ignored = is_ignored;
	rb_lint_file(lint, df);
	if (rb_plan_new(df, &o, &plan, err) < 0 || elaborate(plan, &base, err) < 0)
		return -1;
	rb_plan_outline(plan, &outline);
	for (size_t i = 0; i < outline.n_args; i++)
		sink += strlen(outline.args[i].name);
	return rb_lint_verdict(lint, err);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	RB_CLEANUP(rb_dockerfile_freep) struct rb_dockerfile *df = NULL;
	RB_CLEANUP(rb_error_freep) struct rb_error *err = NULL;
	struct rb_lint lint = {0};

	if (rb_dockerfile_parse((const char *)data, size, &df, &err) < 0 ||
	    df->n_stages > STAGES_MAX)
		return 0;
	if (check(df, &lint, &err) < 0 && err->line_last < err->line_first)
		abort();
	rb_lint_sort(&lint);
	for (size_t i = 0; i < lint.n; i++) {
		const struct rb_lint_warning *w = &lint.warnings[i];

		if (!(lint.violated & 1u << w->rule) || w->line_first == 0 ||
		    w->line_last < w->line_first ||
		    (i && w->line_first < lint.warnings[i - 1].line_first))
			abort();
		sink += strlen(w->detail) + strlen(rb_lint_rule_info(w->rule)->name);
	}
	rb_lint_clear(&lint);
	return 0;
}
