// SPDX-License-Identifier: Apache-2.0
/*
 * The check directive (dockerfile.md 9): the first line is its value, the rest a Dockerfile that is
 * checked as it says.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "dockerfile/lint.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool ok)
{
	if (!ok)
		abort();
}

static void check_file(const struct rb_dockerfile *df, const struct rb_lint_config *config)
{
	RB_CLEANUP(rb_error_freep) struct rb_error *err = NULL;
	struct rb_lint lint = {.config = *config};

	rb_lint_file(&lint, df);
	for (size_t i = 0; i < df->n_stages; i++)
		rb_lint_stage(&lint, &df->stages[i]);
	rb_lint_sort(&lint);
	for (size_t i = 0; i < lint.n; i++) {
		const struct rb_lint_warning *w = &lint.warnings[i];

		require(rb_lint_rule_info(w->rule)->name && *w->detail);
		require(w->line_first && w->line_last >= w->line_first);
		require(!i || w[-1].line_first <= w->line_first);
	}
	int r = rb_lint_verdict(&lint, &err);
	require((r < 0) == !!err);
	require(lint.violated || r == 0);
	rb_lint_clear(&lint);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	RB_CLEANUP(rb_strp) char *text = rb_strndup((const char *)data, size);
	RB_CLEANUP(rb_strv_clear) struct rb_strv notes = RB_STRV_INIT;
	RB_CLEANUP(rb_error_freep) struct rb_error *err = NULL;
	RB_CLEANUP(rb_error_freep) struct rb_error *ignored = NULL;
	RB_CLEANUP(rb_dockerfile_freep) struct rb_dockerfile *df = NULL;
	struct rb_lint_config config = {0};
	char *rest = text, *value = strsep(&rest, "\n");
	int r = rb_lint_config_parse(value, &config, &notes, &err);

	require((r < 0) == !!err);
	for (size_t i = 0; i < notes.n; i++)
		require(*notes.v[i]);
	if (r == 0 && rest && rb_dockerfile_parse(rest, strlen(rest), &df, &ignored) == 0)
		check_file(df, &config);
	return 0;
}
