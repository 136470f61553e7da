// SPDX-License-Identifier: Apache-2.0
/* rbuild check: what a Dockerfile would be better without (dockerfile.md 8.2, 9). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "cli/call.h"

static void print_frame(const struct rb_session *s, unsigned first, unsigned last)
{
	RB_CLEANUP(rb_strp)
	char *frame = rb_dockerfile_frame(s->file, s->text.ptr, s->text.len, first, last);

	(void)fputs(frame, stdout);
}

static void print_warning(const struct rb_session *s, const struct rb_lint_warning *w)
{
	const struct rb_lint_rule_info *rule = rb_lint_rule_info(w->rule);
	RB_CLEANUP(rb_buf_clear) struct rb_buf raw = RB_BUF_INIT;

	(void)printf("\nWARNING: %s%s%s\n", rule->name, *rule->url ? " - " : "", rule->url);
	RB_CLEANUP(rb_strp)
	char *detail = rb_progress_clean_dup(w->detail, strlen(w->detail), SIZE_MAX);
	(void)printf("%s\n", detail);
	print_frame(s, w->line_first, w->line_last);
	rb_buf_addstr(&raw, w->instead ? w->instead : rule->instead);
	RB_CLEANUP(rb_strp) char *instead = rb_progress_clean_dup(raw.ptr, raw.len, SIZE_MAX);
	(void)printf("Instead: %s.\n", instead);
}

static void print_text(const struct rb_session *s, bool failed)
{
	size_t n = s->lint.n + s->lint.dropped;

	if (n == 0 && !failed)
		(void)printf("Check complete, no warnings found.\n");
	else if (n == 1)
		(void)printf("Check complete, 1 warning has been found!\n");
	else if (n)
		(void)printf("Check complete, %zu warnings have been found!\n", n);
	for (size_t i = 0; i < s->lint.n; i++)
		print_warning(s, &s->lint.warnings[i]);
	if (s->lint.dropped)
		(void)printf("\n%zu more warnings are not shown.\n", s->lint.dropped);
}

static struct rb_json *warning_json(const struct rb_lint_warning *w)
{
	const struct rb_lint_rule_info *rule = rb_lint_rule_info(w->rule);
	struct rb_json *j = rb_json_new_object();

	rb_json_set_str(j, "ruleName", rule->name);
	rb_json_set_str(j, "description", rule->description);
	rb_json_set_str(j, "url", rule->url);
	rb_json_set_str(j, "detail", w->detail);
	rb_call_set_location(j, w->line_first, w->line_last);
	return j;
}

static void print_json(const struct rb_session *s, const struct rb_error *e)
{
	RB_CLEANUP(rb_json_freep) struct rb_json *j = rb_json_new_object();
	struct rb_json *warnings = rb_json_new_array();

	for (size_t i = 0; i < s->lint.n; i++)
		rb_json_add(warnings, warning_json(&s->lint.warnings[i]));
	rb_json_set(j, "warnings", warnings);
	rb_call_set_sources(j, s);
	if (e) {
		struct rb_json *error = rb_json_new_object();
		RB_CLEANUP(rb_strp) char *text = rb_error_text(e);

		rb_json_set_str(error, "message", text);
		rb_call_set_location(error, e->line_first, e->line_last);
		rb_json_set(j, "buildError", error);
	}
	rb_call_print_json(j);
}

int rb_call_check(struct rb_session *s, bool json, struct rb_error **err)
{
	int status = *err || s->lint.violated ? RB_EXIT_FAILED : RB_EXIT_OK;

	rb_lint_sort(&s->lint);
	if (json) {
		print_json(s, *err);
		rb_error_drop(err); /* it is part of the answer */
		return status;
	}
	print_text(s, *err != NULL);
	if (!*err)
		return status;
	struct rb_cli_source source = rb_session_source(s);
	(void)fflush(stdout);
	return rb_cli_report(s->cli, &source, err);
}

/* --- the verb
 * ---------------------------------------------------------------------------------------- */

static int run_check(struct rb_cli *cli, int argc, char *const *argv, struct rb_error **err)
{
	RB_CLEANUP(rb_strv_clear) struct rb_strv rest = RB_STRV_INIT;
	RB_CLEANUP(rb_build_options_clear) struct rb_build_options o = {0};
	struct rb_call call = {.method = RB_CALL_CHECK};
	const char *format = "text";
	const struct rb_option table[] = {
		{"build-arg", 0, RB_OPT_LIST, &o.build_args, "NAME[=VALUE]",
		 "value of an ARG; without =, the variable's"},
		{"build-context", 0, RB_OPT_LIST, &o.build_contexts, "NAME=VALUE",
		 "files or image that FROM and --from=NAME mean"},
		{"file", 'f', RB_OPT_STRING, &o.file, "FILE",
		 "Dockerfile (default: CONTEXT/Dockerfile)"},
		{"format", 0, RB_OPT_STRING, &format, "FORMAT", "text or json; default: text"},
		{"platform", 0, RB_OPT_LIST, &o.platforms, "OS/ARCH", "target platform"},
		{"secret", 0, RB_OPT_LIST, &o.secrets, "id=ID[,...]",
		 "secret for reaching CONTEXT, with src=FILE or env=NAME"},
		{"ssh", 0, RB_OPT_LIST, &o.ssh, "ID[=PATH,...]",
		 "agent (socket) or keys (files) for reaching CONTEXT"},
		{"target", 0, RB_OPT_STRING, &o.target, "STAGE",
		 "look at what this stage is made from only; default: every stage"},
		{0},
	};
	int r = rb_cli_parse(cli, &rb_verb_check, table, argc, argv, false, 1, 1, &rest, err);

	if (r)
		return r < 0 ? -1 : RB_EXIT_OK;
	call.json = rb_streq(format, "json");
	if (!call.json && !rb_streq(format, "text"))
		return rb_fail(err, RB_ERR_USAGE, "--format is text or json, not \"%s\"", format);
	return rb_call_run(cli, &o, rest.v[0], &call, err);
}

const struct rb_verb rb_verb_check = {
	.name = "check",
	.usage = "check [OPTIONS] CONTEXT",
	.summary = "say what a Dockerfile would be better without, and build nothing",
	.text = "Every rule with what to write instead is in doc/checks.md. Base images are what the store knows of them;\n"
		"nothing is fetched. The exit status is 1 when there is a warning or an error.",
	.run = run_check,
};
