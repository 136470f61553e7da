// SPDX-License-Identifier: Apache-2.0
/* RUN: a writable snapshot, a confined process on it, its output as events and as a log in the
 * store. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/child.h"
#include "base/fd.h"
#include "base/sys.h"
#include "solve/lend.h"
#include "solve/mask.h"
#include "solve/solve-internal.h"

enum { COMMAND_SHOWN_MAX = 1000 }; /* bytes of it in the error */

struct op_run {
	struct rb_active *active;
	struct rb_netns *netns; /* NULL: not a private network */
	struct rb_networks *networks;
	int ask_fd, answer_fd;       /* our end and the step's, where it asks for that */
	struct rb_error *no_network; /* what came of it */
	int root_fd;
	struct rb_exec exec;
	bool ended;
	int log_fd;           /* opened at the first output */
	struct rb_mask *mask; /* NULL: nothing to hide */
	char *log_path;
	struct rb_loan loan; /* of secrets and agents */
};

static struct op_run *op_run_new(void)
{
	struct op_run *run = rb_calloc(1, sizeof(*run));

	*run = (struct op_run){
		.root_fd = -1,
		.log_fd = -1,
		.ask_fd = -1,
		.answer_fd = -1,
		.loan = RB_LOAN_INIT,
		.exec = {.pidfd = -1, .out_fd = -1, .err_fd = -1, .attend_fd = -1},
	};
	return run;
}

static void op_run_free(struct op_run *run)
{
	rb_closep(&run->exec.out_fd);
	rb_closep(&run->exec.err_fd);
	rb_closep(&run->root_fd);
	rb_closep(&run->log_fd);
	rb_active_free(run->active);
	rb_mask_free(run->mask);
	rb_loan_clear(&run->loan);
	rb_netns_give_back(run->netns);
	rb_closep(&run->ask_fd);
	rb_closep(&run->answer_fd);
	rb_error_drop(&run->no_network);
	free(run->log_path);
	free(run);
}

/* Replaces a variable of that name. */
static void set_variable(struct rb_strv *env, const char *text)
{
	ssize_t i = rb_strv_find_var(env, (struct rb_slice){text, strcspn(text, "=")});

	if (i < 0) {
		rb_strv_add(env, text);
		return;
	}
	free(env->v[i]);
	env->v[i] = rb_strdup(text);
}

/* A proxy's variable replaces an ENV of its name (10.2): of two, programs would take the first. */
static void run_environment(const struct rb_vertex *v, struct rb_strv *ret)
{
	const struct rb_strv *proxies = &v->stage->plan->proxy_env;

	rb_vertex_env(v, ret);
	for (size_t i = 0; i < proxies->n; i++)
		set_variable(ret, proxies->v[i]);
}

struct mounts {
	struct rb_exec_mount v[RB_RUN_MOUNTS_MAX];
	char names[RB_RUN_MOUNTS_MAX][RB_LOAN_NAME_BYTES]; /* of what is on loan */
	size_t n;
};

/* In the order of the plan; what is asked for and not there is left out. */
static int add_mounts(struct rb_solver *s, const struct rb_vertex *v, const struct op_mounts *m,
		      struct op_run *run, struct rb_strv *env, struct mounts *ret,
		      struct rb_error **err)
{
	const struct rb_lender lender = {.secrets = s->in.secrets, .ssh = s->in.ssh};

	if (rb_lend(&lender, &v->run, env, &run->loan, err) < 0)
		return -1;
	for (size_t i = 0; i < run->loan.env.n; i++)
		set_variable(env, run->loan.env.v[i]);
	rb_strv_wipe(&run->loan.env);
	for (size_t i = 0; i < v->run.n_mounts; i++) {
		const struct rb_run_mount *spec = &v->run.mounts[i].spec;

		if (spec->type != RB_MOUNT_SECRET && spec->type != RB_MOUNT_SSH) {
			ret->v[ret->n++] = rb_op_mounts_get(s, v, m, i);
			continue;
		}
		if (!run->loan.there[i])
			continue;
		rb_loan_name(i, ret->names[i]);
		ret->v[ret->n++] = (struct rb_exec_mount){.target = spec->target,
							  .fd = run->loan.dir_fd,
							  .path = ret->names[i],
							  .ledger = run->loan.owners,
							  .read_only = spec->read_only};
	}
	return 0;
}

static bool wants_gateway(const struct rb_exec_settings *settings)
{
	for (size_t i = 0; settings && i < settings->n_hosts; i++)
		if (!settings->hosts[i].address)
			return true;
	return false;
}

static struct rb_networks *new_networks(struct rb_solver *s)
{
	struct rb_error *why = NULL;
	RB_CLEANUP(rb_closep) int cache = rb_store_dir(s->in.store, "cache", &why);

	rb_error_drop(&why); /* then nothing is remembered */
	return rb_networks_new(s->in.host, wants_gateway(s->in.options->settings), cache);
}

/* Whoever waits for the network goes on; a supervisor waits for those of its threads that do. */
static void answer_network(struct op_run *run)
{
	if (run->ask_fd >= 0)
		(void)send(run->ask_fd, "y", 1, MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* When a step asks: its network, or its end. */
static void give_network(struct op_run *run)
{
	char byte;

	if (run->ask_fd < 0 || run->no_network || recv(run->ask_fd, &byte, 1, MSG_DONTWAIT) != 1)
		return;
	if (rb_netns_connect(run->networks, run->netns, &run->no_network) < 0) {
		(void)rb_wrap(&run->no_network,
			      "the step cannot have a network of its own (build again: steps share "
			      "this host's then)");
		(void)rb_sys_pidfd_send_signal(run->exec.pidfd, SIGKILL);
	}
	answer_network(run);
}

/* Instead of a private network the host's serves, and is told of once (12). */
static void notice_network(struct rb_solver *s, const struct job *job, const char *why)
{
	RB_CLEANUP(rb_strp)
	char *text =
		rb_asprintf("steps share this host's network and what listens on its loopback: "
			    "%s (--network=none closes it; see rbuild doctor)",
			    why);

	if (!*s->in.network_noticed)
		rb_solve_emit(s, job->ev, RB_EV_WARN, text);
	*s->in.network_noticed = true;
}

static int take_network(struct rb_solver *s, const struct job *job, struct op_run *run,
			struct rb_exec_spec *spec, struct rb_error **err)
{
	const char *why;
	int ends[2];

	if (!s->networks)
		s->networks = new_networks(s);
	run->networks = s->networks;
	run->netns = rb_networks_take(s->networks, !rb_exec_can_ask(spec), &why);
	if (!run->netns) {
		notice_network(s, job, why);
		return 0;
	}
	spec->network = RB_NET_PRIVATE;
	spec->net_fd = rb_netns_fd(run->netns);
	if (rb_netns_is_connected(run->netns))
		return 0;
	if (socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, ends) < 0)
		return rb_fail_errno(err, "cannot make a socket pair");
	run->ask_fd = ends[0];
	run->answer_fd = ends[1];
	spec->net_on_demand = true;
	spec->ask_fd = run->answer_fd;
	return 0;
}

/* The mode asked for, as far as this host has it. */
static int choose_network(struct rb_solver *s, const struct job *job, struct op_run *run,
			  struct rb_exec_spec *spec, struct rb_error **err)
{
	switch (job->vertex->run.network) {
	case RB_NETWORK_NONE:
		spec->network = RB_NET_NONE;
		return 0;
	case RB_NETWORK_HOST:
		spec->network = RB_NET_HOST;
		return 0;
	case RB_NETWORK_DEFAULT:
		break;
	}
	return take_network(s, job, run, spec, err);
}

/* Nobody gives devices: what a step can do without is left out, and said. */
static int check_devices(struct rb_solver *s, const struct job *job, struct rb_error **err)
{
	const struct rb_vertex_run *run = &job->vertex->run;

	for (size_t i = 0; i < run->n_devices; i++) {
		const char *name = run->devices[i].name;

		if (run->devices[i].required)
			return rb_fail(
				err, RB_ERR_UNSUPPORTED,
				"RUN --device: the step requires the CDI device %s, and this "
				"version of rbuild gives steps no devices of the host",
				name);
		RB_CLEANUP(rb_strp)
		char *text = rb_asprintf("the CDI device %s is not available to steps; the step "
					 "does without, as it is not required",
					 name);
		rb_solve_emit(s, job->ev, RB_EV_WARN, text);
	}
	return 0;
}

/* In place of the step's own command. */
struct shell {
	struct rb_strv argv;
	int tty_fd;
	const char *term;
};

/* `shell` NULL: the step itself. */
static int start(struct rb_solver *s, const struct job *job, struct op_run *run,
		 const struct shell *shell, struct rb_error **err)
{
	RB_CLEANUP(rb_strv_wipe) struct rb_strv env = RB_STRV_INIT;
	const struct rb_vertex *v = job->vertex;
	const struct op_mounts *m = job->mounts;

	if (!run->active &&
	    rb_snapshot_prepare(s->in.snapshots, rb_solve_parent_id(s, v), &run->active, err) < 0)
		return -1;
	if ((run->root_fd = rb_active_mount(run->active, err)) < 0)
		return -1;
	run_environment(v, &env);
	struct mounts mounts = {.n = 0};
	if (add_mounts(s, v, m, run, &env, &mounts, err) < 0)
		return -1;
	if (shell && rb_strv_find_var(&env, rb_slice_str("TERM")) < 0)
		rb_strv_addf(&env, "TERM=%s", shell->term);
	struct rb_exec_spec spec = {
		.root_fd = run->root_fd,
		.host = s->in.host,
		.ledger = rb_active_ledger(run->active),
		.diff_fd = rb_active_diff_fd(run->active),
		.has_owners = rb_active_has_owners(run->active) || rb_op_mounts_have_owners(m),
		.argv = shell ? (const char *const *)rb_strv_argv(&shell->argv) : v->run.argv.v,
		.envp = (const char *const *)rb_strv_argv(&env),
		.arch = v->stage->platform.arch,
		.cwd = v->run.cwd,
		.user = v->run.user,
		.hostname = v->run.hostname,
		.insecure = v->run.insecure,
		.settings = s->in.options->settings,
		.script_name = v->run.script_name,
		.script_body = v->run.script_body,
		.mounts = mounts.v,
		.n_mounts = mounts.n,
		.terminal = shell,
		.stdin_fd = shell ? shell->tty_fd : -1,
		.stdout_fd = shell ? shell->tty_fd : -1,
		.stderr_fd = shell ? shell->tty_fd : -1,
	};
	if (choose_network(s, job, run, &spec, err) < 0 ||
	    rb_exec_start(&spec, &run->exec, err) < 0)
		return -1;
	if (!shell) {
		(void)fcntl(run->exec.out_fd, F_SETFL, O_NONBLOCK);
		(void)fcntl(run->exec.err_fd, F_SETFL, O_NONBLOCK);
	}
	return 0;
}

/* The filter is the same for every step: read from the store's cache once a build. */
static int prepare_filter(struct rb_solver *s, struct rb_error **err)
{
	if (s->filter_ready)
		return 0;
	RB_CLEANUP(rb_closep) int cache = rb_store_dir(s->in.store, "cache", err);
	if (cache < 0 || rb_exec_filter_prepare(cache, err) < 0)
		return -1;
	s->filter_ready = true;
	return 0;
}

/* What to do when the mounts have come that far. */
static int go_on(struct rb_solver *s, struct job *job, int mounts, struct rb_error **err)
{
	if (mounts == RB_MOUNTS_BUSY)
		return 0;
	job->was_cached = mounts == RB_MOUNTS_CACHED;
	if (mounts < 0 || job->was_cached)
		return mounts < 0 ? -1 : 1;
	struct op_run *run = op_run_new();
	if (prepare_filter(s, err) < 0 || check_devices(s, job, err) < 0 ||
	    start(s, job, run, NULL, err) < 0) {
		op_run_free(run);
		return -1;
	}
	job->run = run;
	return 0;
}

int rb_op_run_start(struct rb_solver *s, struct job *job, struct rb_error **err)
{
	return go_on(s, job, rb_op_mounts_start(s, job, err), err);
}

int rb_op_run_resume(struct rb_solver *s, struct job *job, struct rb_error **err)
{
	return go_on(s, job, rb_op_mounts_resume(s, job, err), err);
}

void rb_op_run_fds(const struct op_run *run, int fds[static RB_OP_RUN_FDS])
{
	fds[0] = run->exec.out_fd;
	fds[1] = run->exec.err_fd;
	fds[2] = run->ended ? -1 : run->exec.pidfd;
	fds[3] = run->ended ? -1 : run->exec.attend_fd;
	fds[4] = run->ended ? -1 : run->ask_fd;
}

/* A log that cannot be written (full disk) must not end a step that goes on fine. */
static void write_log(struct rb_solver *s, struct job *job, const char *data, size_t len)
{
	struct op_run *run = job->run;
	struct rb_error *err = NULL;

	if (!run->log_path) {
		RB_CLEANUP(rb_strp) char *rel = rb_asprintf("logs/%s", s->in.options->build_id);
		RB_CLEANUP(rb_closep) int dir = rb_store_dir(s->in.store, rel, &err);
		RB_CLEANUP(rb_strp) char *name = rb_asprintf("%u.log", job->ev);

		rb_error_drop(&err);
		run->log_path = rb_asprintf("%s/%s/%s", rb_store_path(s->in.store), rel, name);
		if (dir >= 0)
			run->log_fd =
				openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	}
	if (run->log_fd >= 0 && rb_write_full(run->log_fd, data, len) < 0)
		rb_closep(&run->log_fd);
}

struct output {
	struct rb_solver *s;
	struct job *job;
};

/* Nobody sees output but through here. */
static void show(void *ctx, int stream, const char *data, size_t len)
{
	const struct output *o = ctx;
	const struct rb_event ev = {
		.kind = RB_EV_LOG,
		.vertex = o->job->ev,
		.time_ns = rb_solve_now_ns(o->s),
		.data = data,
		.len = len,
		.stream = stream,
	};

	o->s->in.sink->event(o->s->in.sink->ctx, &ev);
	write_log(o->s, o->job, data, len);
}

static void take_output(struct output *o, int stream, const char *data, size_t len)
{
	const struct rb_mask_set *hidden = rb_secrets_mask(o->s->in.secrets);
	struct op_run *run = o->job->run;

	if (hidden && !run->mask)
		run->mask = rb_mask_new(hidden);
	if (run->mask)
		rb_mask_feed(run->mask, stream, data, len, show, o);
	else
		show(o, stream, data, len);
}

/* Takes what a pipe has; closes it at its end. */
static void pump_pipe(struct output *o, int *fd, int stream)
{
	char chunk[16384];

	/* A bounded number of rounds: a step that only prints must not starve the others. */
	for (int rounds = 0; *fd >= 0 && rounds < 16; rounds++) {
		ssize_t n = read(*fd, chunk, sizeof(chunk));

		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n <= 0) {
			rb_closep(fd);
			return;
		}
		take_output(o, stream, chunk, (size_t)n);
	}
}

bool rb_op_run_pump(struct rb_solver *s, struct job *job)
{
	struct op_run *run = job->run;

	struct output o = {.s = s, .job = job};

	pump_pipe(&o, &run->exec.out_fd, 1);
	pump_pipe(&o, &run->exec.err_fd, 2);
	if (!run->ended && rb_pidfd_has_ended(run->exec.pidfd))
		run->ended = true;
	if (!run->ended) {
		rb_exec_attend(&run->exec);
		give_network(run);
	}
	/* The pid namespace is gone with its first process, so the pipes reach their end. */
	if (!run->ended || run->exec.out_fd >= 0 || run->exec.err_fd >= 0)
		return false;
	if (run->mask)
		rb_mask_flush(run->mask, show, &o);
	return true;
}

static int failed(const struct rb_vertex *v, const struct op_run *run,
		  const struct rb_exec_result *result, struct rb_error **err)
{
	RB_CLEANUP(rb_buf_clear) struct rb_buf argv = RB_BUF_INIT;
	RB_CLEANUP(rb_buf_clear) struct rb_buf how = RB_BUF_INIT;

	/* Of a heredoc the first line, of a line no screenful: the frame shows more. */
	for (size_t i = 0; i < v->run.argv.n; i++)
		rb_buf_addf(&argv, "%s%s", i ? " " : "", v->run.argv.v[i]);
	size_t shown = strcspn(argv.ptr, "\n");
	if (shown > COMMAND_SHOWN_MAX)
		shown = COMMAND_SHOWN_MAX;
	if (shown < argv.len) {
		rb_buf_truncate(&argv, shown);
		rb_buf_addstr(&argv, "...");
	}
	if (result->out_of_memory)
		rb_buf_addstr(&how, "killed, and the kernel ran out of memory meanwhile");
	else if (result->signal)
		rb_buf_addf(&how, "exit code: %d (killed by signal %d, %s)", result->exit_status,
			    result->signal, sigdescr_np(result->signal));
	else
		rb_buf_addf(&how, "exit code: %d", result->exit_status);
	if (run->log_path)
		rb_buf_addf(&how, " (full log: %s)", run->log_path);
	(void)rb_fail(err, RB_ERR_RUN, "process \"%s\" did not complete successfully: %s", argv.ptr,
		      how.ptr);
	(*err)->exit_status = result->exit_status;
	return -1;
}

int rb_op_run_finish(struct rb_solver *s, struct job *job, char id[static RB_ID_BYTES],
		     struct rb_error **err)
{
	const struct rb_vertex *v = job->vertex;
	struct vertex_state *st = &s->vertices[v->index];
	struct op_run *run = rb_steal_ptr(&job->run);
	struct rb_exec_result result;
	struct rb_snapshot_meta meta;

	answer_network(run);
	int r = rb_exec_finish(&run->exec, &result, err);
	if (run->no_network) {
		rb_error_drop(err); /* because of it */
		*err = rb_steal_ptr(&run->no_network);
		r = -1;
	}
	bool keeps = r == 0 && result.exit_status && s->in.options->keep_failed && !s->failed;
	if (r == 0 && result.exit_status)
		r = failed(v, run, &result, err);
	rb_closep(&run->root_fd);
	if (r == 0)
		r = rb_active_settle(run->active, err);
	if (r == 0)
		r = rb_active_commit(rb_steal_ptr(&run->active), NULL, &meta, err);
	if (r == 0 && st->has_definition)
		r = rb_cache_put(s, &st->definition_key, meta.id, err);
	if (r == 0 && st->has_content)
		r = rb_cache_put(s, &st->content_key, meta.id, err);
	if (r == 0)
		(void)snprintf(id, RB_ID_BYTES, "%s", meta.id);
	if (keeps) {
		s->failed = job;
		s->failed_run = op_run_new();
		s->failed_run->active = rb_steal_ptr(&run->active);
	}
	op_run_free(run);
	return r;
}

void rb_op_run_kill(struct job *job)
{
	if (!job->run)
		return;
	rb_exec_kill(&job->run->exec);
	op_run_free(job->run);
	job->run = NULL;
}

/* --- the shell after a failure --- */

void rb_solve_shell(const struct rb_strv *shell, struct rb_strv *ret)
{
	size_t n = shell->n;

	if (n && rb_streq(shell->v[n - 1], "-c"))
		n--;
	for (size_t i = 0; i < n; i++)
		rb_strv_add(ret, shell->v[i]);
	if (!n)
		rb_strv_add(ret, "/bin/sh");
}

/* A step in shell form is SHELL and the script. */
static void choose_shell(const struct rb_vertex *v, struct rb_strv *ret)
{
	RB_CLEANUP(rb_strv_clear) struct rb_strv shell = RB_STRV_INIT;

	for (size_t i = 0; !v->inst->run.exec && i + 1 < v->run.argv.n; i++)
		rb_strv_add(&shell, v->run.argv.v[i]);
	rb_solve_shell(&shell, ret);
}

/* Nobody waits for questions of a shell: the answer is there before them. */
static int give_network_at_once(struct op_run *run, struct rb_error **err)
{
	if (run->ask_fd < 0)
		return 0;
	if (rb_netns_connect(run->networks, run->netns, err) < 0) {
		rb_exec_kill(&run->exec);
		return -1;
	}
	answer_network(run);
	return 0;
}

/* As for the step itself, but nothing else runs any more. */
static int mount_again(struct rb_solver *s, struct job *job, struct rb_error **err)
{
	int r = rb_op_mounts_start(s, job, err);

	while (r == RB_MOUNTS_BUSY) {
		struct pollfd p = {.fd = job->worker.fd, .events = POLLIN};

		if (poll(&p, 1, -1) < 0 || !rb_worker_read(&job->worker, NULL, NULL))
			continue;
		r = rb_worker_finish(&job->worker, err);
		if (r == 0)
			r = rb_op_mounts_resume(s, job, err);
	}
	if (r == RB_MOUNTS_CACHED)
		return rb_fail(err, RB_ERR_RUN,
			       "another build has done the step meanwhile: build again");
	return r < 0 ? -1 : 0;
}

bool rb_solve_has_failed_step(const struct rb_solver *s)
{
	return s->failed;
}

struct rb_exec *rb_solve_failed_shell(struct rb_solver *s, int tty_fd, const char *term,
				      struct rb_error **err)
{
	struct shell shell = {.argv = RB_STRV_INIT, .tty_fd = tty_fd, .term = term};
	int r;

	if (!s->failed)
		return NULL;
	choose_shell(s->failed->vertex, &shell.argv);
	r = mount_again(s, s->failed, err);
	if (r == 0)
		r = start(s, s->failed, s->failed_run, &shell, err);
	rb_strv_clear(&shell.argv);
	if (r == 0)
		r = give_network_at_once(s->failed_run, err);
	if (r < 0) {
		const struct rb_inst *inst = s->failed->vertex->inst;

		(void)rb_error_at(err, inst->line_first, inst->line_last);
		return NULL;
	}
	return &s->failed_run->exec;
}

void rb_op_run_forget_failed(struct rb_solver *s)
{
	if (s->failed_run)
		op_run_free(s->failed_run);
	s->failed_run = NULL;
	s->failed = NULL;
}
