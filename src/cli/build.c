// SPDX-License-Identifier: Apache-2.0
/*
 * rbuild build. The look-up runs here; what it leaves runs in the user namespace, in a fork of this
 * process that goes on with the same solver and the same progress.
 */
#include <stdio.h>

#include "cli/build-options.h"
#include "cli/build-outputs.h"
#include "cli/call.h"
#include "cli/session.h"
#include "cli/shell.h"

struct build {
	struct rb_build_options options;
	const char *context; /* the argument */
	struct rb_session session;
	struct rb_plan_options plan_options;
	struct rb_build_cache cache;
	struct rb_build_outputs outputs;
	bool complete; /* the look-up answered everything */
};

static void build_clear(struct build *b)
{
	rb_build_outputs_clear(&b->outputs);
	rb_build_cache_clear(&b->cache);
	rb_session_clear(&b->session);
	rb_build_options_clear(&b->options);
}

static int end_build(struct build *b, int r, struct rb_error **err)
{
	struct rb_session *s = &b->session;

	if (s->progress)
		rb_progress_finish(s->progress, r < 0, s->solver ? rb_solve_now_ns(s->solver) : 0);
	if (r < 0) {
		struct rb_cli_source source = rb_session_source(s);

		rb_secrets_hide(s->secrets, *err);
		return rb_cli_report(s->cli, &source, err);
	}
	return RB_EXIT_OK;
}

/* Inside the user namespace. */
static int inner(void *ctx)
{
	struct build *b = ctx;
	struct rb_error *err = NULL;

	rb_session_reap(&b->session);
	int r = 0;
	for (size_t i = 0; r == 0 && !b->complete && i < b->session.n_platforms; i++)
		r = rb_solve_run(b->session.platforms[i].solver, &err);
	if (r == 0)
		r = rb_build_outputs_make(&b->outputs, &err);
	int status = end_build(b, r, &err);
	if (r < 0)
		rb_shell_on_failure(&b->session);
	return status;
}

static int prepare(struct build *b, struct rb_error **err)
{
	struct rb_session *s = &b->session;
	const char *progress = b->options.quiet ? "quiet" : b->options.progress;

	if (rb_build_options_check(&b->options, &b->plan_options, err) < 0 ||
	    rb_build_outputs_parse(&b->outputs, err) < 0 ||
	    rb_build_cache_parse(&b->options, &b->cache, err) < 0)
		return -1;
	if (rb_session_open(s, s->cli, err) < 0 || rb_session_progress(s, progress, err) < 0)
		return -1;
	if (b->options.jobs)
		s->options.jobs = b->options.jobs;
	s->options.pull = b->options.pull;
	if (b->options.on_fail && *b->options.on_fail)
		s->options.keep_failed = rb_shell_is_possible();
	s->options.settings = &b->options.steps.settings;
	s->options.cache_sources = b->cache.sources;
	s->options.n_cache_sources = b->cache.n_sources;
	return 0;
}

static void show_definition(struct rb_session *s)
{
	RB_CLEANUP(rb_strp)
	char *name = rb_asprintf("[internal] load build definition from %s", s->file);
	RB_CLEANUP(rb_strp) char *size = rb_asprintf("transferring dockerfile: %zuB", s->text.len);
	unsigned ev = rb_solve_announce(s->solver, name);

	rb_solve_emit(s->solver, ev, RB_EV_START, NULL);
	rb_solve_emit(s->solver, ev, RB_EV_STATUS, size);
	rb_solve_warn(s->solver, ev);
	rb_solve_emit(s->solver, ev, RB_EV_DONE, NULL);
}

static int look_up(struct build *b, struct rb_error **err)
{
	b->complete = true;
	for (size_t i = 0; i < b->session.n_platforms; i++) {
		int r = rb_solve_lookup(b->session.platforms[i].solver, err);

		if (r < 0)
			return -1;
		b->complete &= r > 0;
	}
	return 0;
}

/* From the reading of the Dockerfile on; returns the exit status. */
static int read_and_build(void *ctx)
{
	struct build *b = ctx;
	struct rb_session *s = &b->session;
	struct rb_error *err = NULL;
	bool enter = true;
	int r = rb_session_read(s, b->context, b->options.file, &err);

	if (r == 0)
		r = rb_session_plan_all(s, &b->plan_options, b->options.targets,
					b->options.n_targets, &err);
	if (r == 0) {
		show_definition(s);
		r = look_up(b, &err);
	}
	if (r == 0 && b->complete)
		r = rb_build_outputs_need_namespace(&b->outputs, &enter, &err);
	if (r == 0 && !enter)
		r = rb_build_outputs_make(&b->outputs, &err);
	else if (r == 0)
		r = rb_session_enter(s, inner, b, &err);
	if (r < 0 || !enter)
		return end_build(b, r, &err);
	return r; /* inner() has reported */
}

/* Everything; returns the exit status. */
static int build(struct build *b)
{
	struct rb_error *err = NULL;
	int r = prepare(b, &err);

	if (r == 0)
		r = rb_session_start(&b->session, &b->options, b->context, read_and_build, b, &err);
	return r < 0 ? end_build(b, r, &err) : r;
}

static int run_build(struct rb_cli *cli, int argc, char *const *argv, struct rb_error **err)
{
	RB_CLEANUP(rb_strv_clear) struct rb_strv rest = RB_STRV_INIT;
	RB_CLEANUP(build_clear) struct build b = {.session = RB_SESSION_INIT};
	const struct rb_option *table = rb_build_options_table(&b.options);
	struct rb_call call;
	int r = rb_cli_parse(cli, &rb_verb_build, table, argc, argv, false, 1, 1, &rest, err);

	if (r)
		return r < 0 ? -1 : RB_EXIT_OK;
	if (rb_call_choose(&b.options, &call, err) < 0)
		return -1;
	if (call.method != RB_CALL_BUILD)
		return rb_call_run(cli, &b.options, rest.v[0], &call, err);
	b.session.cli = cli;
	b.outputs = (struct rb_build_outputs){
		.options = &b.options, .session = &b.session, .cache = &b.cache};
	b.context = rest.v[0];
	return build(&b);
}

const struct rb_verb rb_verb_build = {
	.name = "build",
	.usage = "[build] [OPTIONS] CONTEXT",
	.summary = "build an image from a Dockerfile",
	.text = "CONTEXT is a directory; - for an archive or a Dockerfile on standard input; a git repository; or a URL.\n"
		"Without --output the image is kept in the store, under the names given with --tag.",
	.run = run_build,
};
