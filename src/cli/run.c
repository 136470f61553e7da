// SPDX-License-Identifier: Apache-2.0
/* rbuild run: a process in an image, confined as a RUN is; what it writes is thrown away. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/child.h"
#include "base/fd.h"
#include "base/sys.h"
#include "cli/run.h"
#include "cli/terminal.h"
#include "exec/exec.h"
#include "image/reference.h"

/* Docker's rule: ENTRYPOINT is followed by the arguments given, or by CMD when none are. */
static int command(const struct rb_run_request *rq, const struct rb_image_config *c,
		   struct rb_strv *argv, struct rb_error **err)
{
	if (rq->shell) {
		rb_solve_shell(&c->shell, argv);
		return 0;
	}
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

/* --- signals
 * ----------------------------------------------------------------------------------------- */

/*
 * Whether the command, pid 1 of its namespace, would never notice the signal: to such a process the
 * kernel drops what it neither catches, blocks nor ignores (pid_namespaces(7)), where any other
 * would end. True also when /proc does not tell.
 */
static bool is_dropped(int pidfd, int sig)
{
	enum { STATUS_BYTES_MAX = 64 << 10 };
	static const char *const masks[] = {"\nSigBlk:", "\nSigIgn:", "\nSigCgt:"};
	RB_CLEANUP(rb_closep) int proc_fd = rb_host_open_proc(pidfd, NULL);
	RB_CLEANUP(rb_buf_clear) struct rb_buf status = RB_BUF_INIT;
	struct rb_error *why = NULL;

	if (proc_fd < 0 ||
	    rb_read_file_at(proc_fd, "status", STATUS_BYTES_MAX, &status, &why) < 0) {
		rb_error_drop(&why);
		return true;
	}
	for (size_t i = 0; i < RB_ARRAY_LEN(masks); i++) {
		const char *line = strstr(status.ptr, masks[i]);

		if (line && strtoull(line + strlen(masks[i]), NULL, 16) >> (sig - 1) & 1)
			return false;
	}
	return true;
}

static int open_signals(struct rb_error **err)
{
	static const int wanted[] = {SIGINT, SIGTERM, SIGHUP};

	/* The process outside of the namespace hands on what the terminal sends to its group; the
	 * command is not to get it twice. */
	(void)setpgid(0, 0);
	return rb_open_signals(wanted, RB_ARRAY_LEN(wanted), NULL, err);
}

/* Hands a signal on; *ended_by is one that ends the command although it has nothing for it. */
static void forward(int signal_fd, int pidfd, int *ended_by)
{
	struct signalfd_siginfo si;

	if (read(signal_fd, &si, sizeof(si)) != (ssize_t)sizeof(si))
		return;
	int sig = (int)si.ssi_signo;
	if (is_dropped(pidfd, sig)) {
		*ended_by = sig;
		sig = SIGKILL;
	}
	(void)rb_sys_pidfd_send_signal(pidfd, sig);
}

/* The exit status of the command. */
static int wait_for_command(struct rb_exec *exec, int signal_fd, struct rb_error **err)
{
	struct pollfd p[] = {{.fd = exec->pidfd, .events = POLLIN},
			     {.fd = signal_fd, .events = POLLIN},
			     {.fd = exec->attend_fd, .events = POLLIN}};
	struct rb_exec_result result;
	int ended_by = 0;

	while (!p[0].revents) {
		if (poll(p, RB_ARRAY_LEN(p), -1) < 0)
			continue;
		if (p[1].revents)
			forward(signal_fd, exec->pidfd, &ended_by);
		if (p[2].revents && !p[0].revents)
			rb_exec_attend(exec);
		p[2].fd = exec->attend_fd;
	}
	if (rb_exec_finish(exec, &result, err) < 0)
		return -1;
	return ended_by && result.signal == SIGKILL ? 128 + ended_by : result.exit_status;
}

/* --- the command
 * ----------------------------------------------------------------------------------------- */

static int on_descriptors(const struct rb_exec_spec *spec, struct rb_error **err)
{
	RB_CLEANUP(rb_closep) int signal_fd = open_signals(err);
	struct rb_exec exec;

	if (signal_fd < 0 || rb_exec_start(spec, &exec, err) < 0)
		return -1;
	return wait_for_command(&exec, signal_fd, err);
}

static int on_terminal(const struct rb_exec_spec *spec, struct rb_error **err)
{
	struct rb_exec_spec on = *spec;
	struct rb_exec_result result;
	struct rb_terminal t;
	struct rb_exec exec;

	if (rb_terminal_open(&t, err) < 0)
		return -1;
	on.terminal = true;
	on.stdin_fd = on.stdout_fd = on.stderr_fd = t.step_fd;
	int r = rb_exec_start(&on, &exec, err);
	if (r == 0)
		r = rb_terminal_follow(&t, &exec, &result, err);
	rb_terminal_close(&t);
	return r < 0 ? -1 : result.exit_status;
}

static int run_process(const struct rb_run_request *rq, const struct rb_image_config *c,
		       struct rb_active *active, int root_fd, int *ret_status,
		       struct rb_error **err)
{
	RB_CLEANUP(rb_strv_clear) struct rb_strv argv = RB_STRV_INIT;
	RB_CLEANUP(rb_strv_clear) struct rb_strv env = RB_STRV_INIT;

	RB_CLEANUP(rb_closep) int cache = rb_store_dir(rq->s->store, "cache", err);
	if (cache < 0 || rb_exec_filter_prepare(cache, err) < 0 || command(rq, c, &argv, err) < 0)
		return -1;
	rb_strv_copy(&env, &c->env);
	for (size_t i = 0; i < rq->env.n; i++)
		rb_strv_add(&env, rq->env.v[i]);
	if (rq->shell)
		rb_strv_addf(&env, "TERM=%s", rb_terminal_name());
	const struct rb_exec_spec spec = {
		.root_fd = root_fd,
		.host = &rq->s->host,
		.ledger = rb_active_ledger(active),
		.diff_fd = rb_active_diff_fd(active),
		.has_owners = rb_active_has_owners(active),
		.argv = (const char *const *)rb_strv_argv(&argv),
		.envp = (const char *const *)rb_strv_argv(&env),
		.arch = c->platform.arch,
		.cwd = rq->workdir                         ? rq->workdir
		       : c->working_dir && *c->working_dir ? c->working_dir
							   : "/",
		.user = rq->user ? rq->user : c->user,
		.network = rq->network && rb_streq(rq->network, "none") ? RB_NET_NONE : RB_NET_HOST,
		.stdin_fd = STDIN_FILENO,
		.stdout_fd = STDOUT_FILENO,
		.stderr_fd = STDERR_FILENO,
	};
	int status = rq->shell ? on_terminal(&spec, err) : on_descriptors(&spec, err);
	if (status < 0)
		return -1;
	*ret_status = status;
	return 0;
}

static int run_in_namespace(struct rb_run_request *rq, int *ret_status, struct rb_error **err)
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
	/* From here on nobody reads them from the solver's descriptor: they end us, until there is
	 * a command to get them. */
	rb_solve_release_signals(s->solver);
	if (rb_snapshot_prepare(s->snapshots, im.top, &active, err) < 0 ||
	    (mount = rb_active_mount(active, err)) < 0)
		r = -1;
	else
		r = run_process(rq, &im.config, active, mount, ret_status, err);
	rb_solved_image_clear(&im);
	return r;
}

int rb_run_inner(void *ctx)
{
	struct rb_run_request *rq = ctx;
	struct rb_error *err = NULL;
	int status = RB_EXIT_FAILED;

	if (run_in_namespace(rq, &status, &err) < 0) {
		struct rb_cli_source source = rb_session_source(rq->s);

		return rb_cli_report(rq->s->cli, &source, &err);
	}
	return status;
}

/* Whether a name is bound in the store, for this machine. */
static bool is_bound(struct rb_store *store, const char *image)
{
	const struct rb_platform platform = rb_platform_host();
	char platform_text[RB_PLATFORM_TEXT_BYTES];
	struct rb_image_record record = {0};
	struct rb_error *why = NULL;
	struct rb_ref ref = {0};
	RB_CLEANUP(rb_strp) char *name = NULL;

	if (rb_ref_parse(image, &ref, &why) == 0) {
		name = rb_ref_text(&ref);
		rb_ref_clear(&ref);
	}
	bool bound =
		name && rb_store_get_image(store, name, rb_platform_text(&platform, platform_text),
					   &record, &why) == 0;
	rb_error_drop(&why); /* whoever uses the name says it */
	rb_image_record_clear(&record);
	return bound;
}

/*
 * IMAGE is a name or, as in docker, an ID or the beginning of one: "sha256:..." always, hex digits
 * when no name of the store is written like that. An ID stands for a name that is bound to it.
 */
static int find_image(struct rb_run_request *rq, struct rb_plan_options *plan,
		      struct rb_error **err)
{
	struct rb_session *s = rq->s;
	const char *image = rq->args->v[0];
	bool is_id = rb_starts_with(image, "sha256:");
	struct rb_image_record record = {0};

	if (!is_id && is_bound(s->store, image))
		return rb_session_from(s, image, err);
	if (rb_store_find_image(s->store, image, &record, err) < 0) {
		if (is_id || (*err)->code != RB_ERR_NOTFOUND)
			return -1;
		rb_error_drop(err); /* a name then, which may have to be pulled */
		return rb_session_from(s, image, err);
	}
	int r = rb_session_from(s, record.name, err);
	if (r == 0)
		r = rb_platform_parse(record.platform, &plan->target_platform, err);
	rb_image_record_clear(&record);
	return r;
}

int rb_run_prepare(struct rb_run_request *rq, struct rb_error **err)
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
	    find_image(rq, &plan, err) < 0 || rb_session_plan(s, &plan, err) < 0 ||
	    rb_solve_lookup(s->solver, err) < 0)
		return -1;
	return 0;
}

static int run_run(struct rb_cli *cli, int argc, char *const *argv, struct rb_error **err)
{
	RB_CLEANUP(rb_strv_clear) struct rb_strv rest = RB_STRV_INIT;
	RB_CLEANUP(rb_session_clear) struct rb_session s = RB_SESSION_INIT;
	struct rb_run_request rq = {.s = &s, .args = &rest};
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
		r = rb_run_prepare(&rq, err);
	else if (r > 0)
		return RB_EXIT_OK;
	if (r == 0)
		r = rb_session_enter(&s, rb_run_inner, &rq, err);
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
