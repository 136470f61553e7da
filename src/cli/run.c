// SPDX-License-Identifier: Apache-2.0
/* rbuild run: a process in an image, confined as a RUN is; what it writes is thrown away. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "cli/session.h"
#include "exec/exec.h"

struct run_request {
	struct rb_session *s;
	const struct rb_strv *args; /* image, then what replaces CMD */
	const char *user, *workdir, *network;
	struct rb_strv env;
};

/* Docker's rule: ENTRYPOINT is followed by the arguments given, or by CMD when none are. */
static int command(const struct run_request *rq, const struct rb_image_config *c,
		   struct rb_strv *argv, struct rb_error **err)
{
	for (size_t i = 0; i < c->entrypoint.n; i++)
		rb_strv_add(argv, c->entrypoint.v[i]);
	for (size_t i = 1; i < rq->args->n; i++)
		rb_strv_add(argv, rq->args->v[i]);
	for (size_t i = 0; rq->args->n == 1 && i < c->cmd.n; i++)
		rb_strv_add(argv, c->cmd.v[i]);
	if (!argv->n)
		return rb_fail(
			err, RB_ERR_USAGE,
			"the image %s has no command of its own; give one: rbuild run %s COMMAND",
			rq->args->v[0], rq->args->v[0]);
	return 0;
}

static int run_process(const struct run_request *rq, const struct rb_image_config *c, int root_fd,
		       int *ret_status, struct rb_error **err)
{
	RB_CLEANUP(rb_strv_clear) struct rb_strv argv = RB_STRV_INIT;
	RB_CLEANUP(rb_strv_clear) struct rb_strv env = RB_STRV_INIT;
	struct rb_exec exec;
	struct rb_exec_result result;

	RB_CLEANUP(rb_closep) int cache = rb_store_dir(rq->s->store, "cache", err);
	if (cache < 0 || rb_exec_filter_prepare(cache, err) < 0 || command(rq, c, &argv, err) < 0)
		return -1;
	rb_strv_copy(&env, &c->env);
	for (size_t i = 0; i < rq->env.n; i++)
		rb_strv_add(&env, rq->env.v[i]);
	const struct rb_exec_spec spec = {
		.root_fd = root_fd,
		.host = &rq->s->host,
		.argv = (const char *const *)rb_strv_argv(&argv),
		.envp = (const char *const *)rb_strv_argv(&env),
		.cwd = rq->workdir                         ? rq->workdir
		       : c->working_dir && *c->working_dir ? c->working_dir
							   : "/",
		.user = rq->user ? rq->user : c->user,
		.network = rq->network && rb_streq(rq->network, "none") ? RB_NET_NONE : RB_NET_HOST,
		.stdin_fd = STDIN_FILENO,
		.stdout_fd = STDOUT_FILENO,
		.stderr_fd = STDERR_FILENO,
	};
	if (rb_exec_start(&spec, &exec, err) < 0 || rb_exec_finish(&exec, &result, err) < 0)
		return -1;
	*ret_status = result.exit_status;
	return 0;
}

static int run_in_namespace(struct run_request *rq, int *ret_status, struct rb_error **err)
{
	struct rb_session *s = rq->s;
	RB_CLEANUP(rb_active_freep) struct rb_active *active = NULL;
	RB_CLEANUP(rb_closep) int mount = -1;
	struct rb_solved_image im;
	bool worked;

	rb_session_reap(s);
	int r = rb_solve_run(s->solver, err);
	if (r == 0)
		r = rb_solve_materialize(s->solver, true, false, true, &worked, err);
	rb_progress_finish(s->progress, r < 0, rb_solve_now_ns(s->solver));
	if (r < 0 || rb_solve_image(s->solver, &im, err) < 0)
		return -1;
	/* From here on nobody reads them from the solver's descriptor: they end us, and with this
	 * pid 1 the command. */
	rb_solve_release_signals(s->solver);
	if (rb_snapshot_prepare(s->snapshots, im.top, &active, err) < 0 ||
	    (mount = rb_active_mount(active, err)) < 0)
		r = -1;
	else
		r = run_process(rq, &im.config, mount, ret_status, err);
	rb_solved_image_clear(&im);
	return r;
}

static int inner(void *ctx)
{
	struct run_request *rq = ctx;
	struct rb_error *err = NULL;
	int status = RB_EXIT_FAILED;

	if (run_in_namespace(rq, &status, &err) < 0)
		return rb_cli_report(rq->s->cli, NULL, &err);
	return status;
}

static int prepare(struct run_request *rq, struct rb_error **err)
{
	struct rb_env no_args = {0};
	struct rb_plan_options plan = {.build_args = &no_args};
	struct rb_session *s = rq->s;

	for (size_t i = 0; i < rq->env.n; i++)
		if (!strchr(rq->env.v[i], '=') || rq->env.v[i][0] == '=')
			return rb_fail(err, RB_ERR_USAGE, "--env is NAME=VALUE, not \"%s\"",
				       rq->env.v[i]);
	if (rq->network && !rb_streq(rq->network, "none") && !rb_streq(rq->network, "host") &&
	    !rb_streq(rq->network, "default"))
		return rb_fail(err, RB_ERR_USAGE, "--network is default, none or host, not \"%s\"",
			       rq->network);
	if (rb_session_open(s, s->cli, err) < 0 || rb_session_progress(s, "quiet", err) < 0 ||
	    rb_session_from(s, rq->args->v[0], err) < 0 || rb_session_plan(s, &plan, err) < 0 ||
	    rb_solve_lookup(s->solver, err) < 0)
		return -1;
	return 0;
}

static int run_run(struct rb_cli *cli, int argc, char *const *argv, struct rb_error **err)
{
	RB_CLEANUP(rb_strv_clear) struct rb_strv rest = RB_STRV_INIT;
	RB_CLEANUP(rb_session_clear) struct rb_session s = RB_SESSION_INIT;
	struct run_request rq = {.s = &s, .args = &rest};
	const struct rb_option table[] = {
		{"env", 'e', RB_OPT_LIST, &rq.env, "NAME=VALUE", "environment variable"},
		{"network", 0, RB_OPT_STRING, &rq.network, "MODE", "default, none or host"},
		{"user", 'u', RB_OPT_STRING, &rq.user, "USER[:GROUP]", "instead of the image's"},
		{"workdir", 'w', RB_OPT_STRING, &rq.workdir, "DIR", "instead of the image's"},
		{"interactive", 'i', RB_OPT_IGNORED, NULL, NULL, NULL},
		{"rm", 0, RB_OPT_IGNORED, NULL, NULL, NULL},
		{"tty", 't', RB_OPT_IGNORED, NULL, NULL, NULL},
		{"volume", 'v', RB_OPT_REFUSED, NULL, "SPEC", NULL},
		{"mount", 0, RB_OPT_REFUSED, NULL, "SPEC", NULL},
		{"publish", 'p', RB_OPT_REFUSED, NULL, "SPEC", NULL},
		{"detach", 'd', RB_OPT_REFUSED, NULL, NULL, NULL},
		{0},
	};
	int r = rb_cli_parse(cli, &rb_verb_run, table, argc, argv, true, 1, SIZE_MAX, &rest, err);

	s.cli = cli;
	if (r == 0)
		r = prepare(&rq, err);
	else if (r > 0)
		return RB_EXIT_OK;
	if (r == 0)
		r = rb_session_enter(&s, inner, &rq, err);
	rb_strv_clear(&rq.env);
	return r;
}

const struct rb_verb rb_verb_run = {
	.name = "run",
	.usage = "run [OPTIONS] IMAGE [ARG...]",
	.summary = "run a command in an image; its changes are thrown away",
	.text = "Exit status: that of the command.",
	.run = run_run,
};
