// SPDX-License-Identifier: Apache-2.0
/* --on-fail=shell, and rbuild shell. */
#include "cli/shell.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "cli/run.h"
#include "cli/terminal.h"

bool rb_shell_is_possible(void)
{
	if (rb_terminal_is_there())
		return true;
	rb_log_warn("--on-fail=shell needs a terminal: a step that fails ends the build");
	return false;
}

static struct rb_solver *failed_solver(struct rb_session *s)
{
	for (size_t i = 0; i < s->n_platforms; i++)
		if (s->platforms[i].solver && rb_solve_has_failed_step(s->platforms[i].solver))
			return s->platforms[i].solver;
	return NULL;
}

static int open_shell(struct rb_solver *solver, struct rb_error **err)
{
	struct rb_terminal t;
	struct rb_exec_result result;

	/* From here on nobody reads them from the solver's descriptor. */
	rb_solve_release_signals(solver);
	if (rb_terminal_open(&t, err) < 0)
		return -1;
	struct rb_exec *exec = rb_solve_failed_shell(solver, t.step_fd, rb_terminal_name(), err);
	int r = exec ? rb_terminal_follow(&t, exec, &result, err) : -1;
	rb_terminal_close(&t);
	return r;
}

void rb_shell_on_failure(struct rb_session *s)
{
	struct rb_solver *solver = failed_solver(s);
	struct rb_error *err = NULL;

	if (!solver)
		return;
	(void)fprintf(stderr, "rbuild: a shell where the step failed; what it changes is thrown "
			      "away, except in cache mounts. Leave it with exit.\n");
	if (open_shell(solver, &err) < 0)
		(void)rb_cli_report(s->cli, NULL, &err);
}

/* --- the verb --- */

struct shell {
	struct rb_build_options options;
	struct rb_session session;
	struct rb_plan_options plan;
	struct rb_run_request run;
	const char *context;
};

/* Whether the Dockerfile that lies here has a stage of that name, or number. */
static bool is_stage_here(const char *file, const char *name)
{
	RB_CLEANUP(rb_context_freep) struct rb_context *c = NULL;
	RB_CLEANUP(rb_buf_clear) struct rb_buf text = RB_BUF_INIT;
	RB_CLEANUP(rb_dockerfile_freep) struct rb_dockerfile *df = NULL;
	RB_CLEANUP(rb_strp) char *shown = NULL;
	struct rb_error *ignored = NULL;
	uint64_t number = UINT64_MAX;
	bool found = false;

	if (rb_context_open(".", &c, &ignored) == 0 &&
	    rb_context_dockerfile(c, file, &text, &shown, &ignored) == 0 &&
	    rb_dockerfile_parse(text.ptr, text.len, &df, &ignored) == 0) {
		(void)rb_parse_u64(rb_slice_str(name), df->n_stages - 1, &number);
		found = number < df->n_stages;
		for (size_t i = 0; i < df->n_stages; i++)
			found |= df->stages[i].name && rb_ascii_strcaseeq(df->stages[i].name, name);
	}
	/* It is an image then, and if not, that is what is told. */
	rb_error_drop(&ignored);
	return found;
}

/* From the reading of the Dockerfile on; returns the exit status. */
static int read_and_open(void *ctx)
{
	struct shell *sh = ctx;
	struct rb_session *s = &sh->session;
	struct rb_error *err = NULL;
	int r = rb_session_read(s, sh->context, sh->options.file, &err);

	if (r == 0)
		r = rb_session_plan(s, &sh->plan, &err);
	if (r == 0)
		r = rb_solve_lookup(s->solver, &err);
	if (r >= 0)
		r = rb_session_enter(s, rb_run_inner, &sh->run, &err);
	if (r >= 0)
		return r;
	struct rb_cli_source source = rb_session_source(s);
	return rb_cli_report(s->cli, &source, &err);
}

static int open_stage(struct shell *sh, const char *stage, struct rb_error **err)
{
	struct rb_session *s = &sh->session;

	sh->options.target = stage;
	if (rb_build_options_check(&sh->options, &sh->plan, err) < 0 ||
	    rb_session_open(s, s->cli, err) < 0 ||
	    rb_session_progress(s, sh->options.progress, err) < 0)
		return -1;
	s->options.settings = &sh->options.steps.settings;
	return rb_session_start(s, &sh->options, sh->context, read_and_open, sh, err);
}

static int open_image(struct shell *sh, struct rb_error **err)
{
	if (rb_run_prepare(&sh->run, err) < 0)
		return -1;
	return rb_session_enter(&sh->session, rb_run_inner, &sh->run, err);
}

static int run_shell(struct rb_cli *cli, int argc, char *const *argv, struct rb_error **err)
{
	RB_CLEANUP(rb_strv_clear) struct rb_strv rest = RB_STRV_INIT;
	struct shell sh = {.session = RB_SESSION_INIT, .context = "."};
	const struct rb_option *table = rb_build_options_table(&sh.options);
	int r = rb_cli_parse(cli, &rb_verb_shell, table, argc, argv, false, 1, 2, &rest, err);

	sh.session.cli = cli;
	sh.run = (struct rb_run_request){.s = &sh.session, .args = &rest, .shell = true};
	if (r == 0 && !rb_terminal_is_there())
		r = rb_fail(err, RB_ERR_USAGE,
			    "a shell needs a terminal; for a command without one there is "
			    "rbuild run");
	else if (r == 0 && rest.n == 2)
		sh.context = rest.v[1];
	if (r == 0)
		r = rest.n == 2 || is_stage_here(sh.options.file, rest.v[0])
			    ? open_stage(&sh, rest.v[0], err)
			    : open_image(&sh, err);
	else if (r > 0)
		r = RB_EXIT_OK;
	rb_session_clear(&sh.session);
	rb_build_options_clear(&sh.options);
	return r;
}

const struct rb_verb rb_verb_shell = {
	.name = "shell",
	.usage = "shell [OPTIONS] STAGE|IMAGE [CONTEXT]",
	.summary = "open a shell in a stage of a Dockerfile, or in an image",
	.text = "A stage is that of the Dockerfile in CONTEXT, by default the current directory, and is "
		"built first.\nWhat the shell changes is thrown away. Exit status: that of the shell.",
	.run = run_shell,
};
