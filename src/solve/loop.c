// SPDX-License-Identifier: Apache-2.0
/* The loop of a build: starts the jobs that are ready, waits for those that run, and stops all at
 * the first failure or signal. What single jobs do is in op-*.c, what is known without work in
 * lookup.c. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/child.h"
#include "base/fd.h"
#include "solve/solve-internal.h"

/* --- failure
 * ----------------------------------------------------------------------------------------- */

/* Keeps the first error: what fails later fails because of it, or does not matter any more. Takes
 * *err. */
static void set_failed(struct rb_solver *s, struct rb_error **err)
{
	if (!s->error)
		s->error = rb_steal_ptr(err);
	else
		rb_error_drop(err);
}

static void drop_mounts(struct job *job)
{
	rb_op_mounts_free(job->mounts);
	job->mounts = NULL;
}

static void cancel_running(struct rb_solver *s)
{
	bool any = false;

	for (size_t i = 0; i < s->n_jobs; i++) {
		struct job *job = s->jobs[i];

		if (!job->running)
			continue;
		rb_worker_kill(&job->worker);
		rb_op_run_kill(job);
		drop_mounts(job);
		job->running = false;
		any = true;
		rb_sched_drop(s->sched, (unsigned)i);
		rb_solve_emit(s, job->ev, RB_EV_CANCELED, NULL);
	}
	/* Halves of downloads and of checkouts. */
	if (any)
		rb_store_drop_temps(s->in.store);
}

/* --- jobs
 * -------------------------------------------------------------------------------------------- */

static void announce_job(struct rb_solver *s, struct job *job)
{
	RB_CLEANUP(rb_strp) char *name = NULL;

	switch (job->kind) {
	case JOB_CONFIG:
		name = rb_asprintf("[internal] load metadata for %s", job->image->name);
		job->ev = rb_solve_announce(s, name);
		break;
	case JOB_MATERIALIZE: {
		struct image_state *st = s->images[job->image->index];

		if (!st->ev) {
			name = rb_asprintf("FROM %s", job->image->name);
			st->ev = rb_solve_announce(s, name);
		}
		job->ev = st->ev;
		break;
	}
	case JOB_REMOTE:
		job->ev = rb_solve_announce(s, job->remote->shown);
		break;
	case JOB_CONTEXT: {
		RB_CLEANUP(rb_strp)
		char *url = rb_url_redact(s->in.named[job->context->index]->path);

		name = rb_asprintf("[context %s] load %s", job->context->name, url);
		job->ev = rb_solve_announce(s, name);
		break;
	}
	case JOB_VERTEX:
		job->ev = rb_solve_announce_vertex(s, job->vertex);
		break;
	case JOB_IMPORT:
		job->ev = rb_solve_announce(s, rb_import_job_name(s));
		break;
	case JOB_TASK:
	case JOB_EPOCH:
	case JOB_ELABORATE:
	case JOB_STAGE_END:
		break;
	}
	rb_solve_emit(s, job->ev, RB_EV_START, NULL);
}

static int start_worker(struct rb_solver *s, struct job *job, struct rb_error **err)
{
	switch (job->kind) {
	case JOB_CONFIG: {
		struct op_image op = {.solver = s, .image = job->image};

		return rb_worker_start(rb_op_pull_config, &op, &job->worker, err);
	}
	case JOB_MATERIALIZE: {
		struct op_image op = {.solver = s, .image = job->image, .unpack = true};

		return rb_worker_start(rb_op_materialize, &op, &job->worker, err);
	}
	case JOB_REMOTE: {
		struct op_remote op = {.solver = s, .remote = job->remote};

		return rb_worker_start(rb_op_remote, &op, &job->worker, err);
	}
	case JOB_CONTEXT: {
		struct op_context op = {.solver = s, .context = job->context};

		return rb_worker_start(rb_op_context, &op, &job->worker, err);
	}
	case JOB_VERTEX: {
		static rb_worker_fn *const ops[] = {
			[RB_VERTEX_COPY] = rb_op_copy,
			[RB_VERTEX_WORKDIR] = rb_op_workdir,
			[RB_VERTEX_LINK] = rb_op_link,
		};
		struct op_files op = {.solver = s, .vertex = job->vertex};

		if (job->vertex->kind == RB_VERTEX_RUN)
			return rb_op_run_start(s, job, err);
		return rb_worker_start(ops[job->vertex->kind], &op, &job->worker, err);
	}
	case JOB_IMPORT: {
		struct op_import op = {.solver = s};

		return rb_worker_start(rb_op_import, &op, &job->worker, err);
	}
	case JOB_TASK:
	case JOB_EPOCH:
	case JOB_ELABORATE:
	case JOB_STAGE_END:
		break;
	}
	rb_bug("a job of kind %d does no work", job->kind);
}

/* A worker's "<1|0> <snapshot id>". */
static int adopt_files(struct rb_solver *s, struct job *job, bool *ret_cached,
		       struct rb_error **err)
{
	struct vertex_state *st = &s->vertices[job->vertex->index];
	const char *text = job->worker.result.ptr;

	if (job->worker.result.len < 3 || job->worker.result.len - 2 >= RB_ID_BYTES)
		return rb_fail(err, RB_ERR_CORRUPT, "a worker sent a malformed result");
	*ret_cached = text[0] == '1';
	(void)snprintf(st->id, sizeof(st->id), "%s", text + 2);
	return 0;
}

/* Takes over what a finished job brought. */
static int adopt(struct rb_solver *s, struct job *job, bool *ret_cached, struct rb_error **err)
{
	char platform[RB_PLATFORM_TEXT_BYTES];

	switch (job->kind) {
	case JOB_CONFIG: {
		struct image_state *st = s->images[job->image->index];

		if (rb_store_get_image(s->in.store, job->image->name,
				       rb_platform_text(&job->image->platform, platform),
				       &st->record, err) < 0)
			return -1;
		return rb_image_load(s, job->image, err);
	}
	case JOB_MATERIALIZE:
		s->images[job->image->index]->ev_ended = true;
		return 0;
	case JOB_REMOTE:
		return rb_remote_adopt(s, job->remote, job->worker.result.ptr, ret_cached, err);
	case JOB_CONTEXT:
		return rb_context_adopt(s->in.named[job->context->index], job->worker.result.ptr,
					err);
	case JOB_VERTEX:
		*ret_cached = job->was_cached;
		if (job->vertex->kind != RB_VERTEX_RUN && adopt_files(s, job, ret_cached, err) < 0)
			return -1;
		s->vertices[job->vertex->index].known = true;
		return 0;
	case JOB_IMPORT:
	case JOB_TASK:
	case JOB_EPOCH:
	case JOB_ELABORATE:
	case JOB_STAGE_END:
		break;
	}
	return 0;
}

/* Whatever became of it: a cache that fails is no failure of the build. */
static void end_import(struct rb_solver *s, unsigned node, struct rb_error **err)
{
	struct job *job = s->jobs[node];

	rb_error_drop(err);
	bool done = rb_import_adopt(s, job);
	rb_buf_clear(&job->worker.result);
	rb_solve_emit(s, job->ev, RB_EV_DONE, NULL);
	if (done)
		rb_sched_finish(s->sched, node);
	else
		rb_sched_again(s->sched, node);
}

/* What goes wrong is about the lines that ask for the work. */
static void place_error(const struct job *job, struct rb_error **err)
{
	switch (job->kind) {
	case JOB_CONFIG:
	case JOB_MATERIALIZE:
		(void)rb_error_at(err, job->image->line_first, job->image->line_last);
		break;
	case JOB_REMOTE:
		(void)rb_error_at(err, job->remote->line_first, job->remote->line_last);
		break;
	case JOB_VERTEX:
		(void)rb_error_at(err, job->vertex->inst->line_first, job->vertex->inst->line_last);
		break;
	case JOB_CONTEXT:
	case JOB_EPOCH:
	case JOB_ELABORATE:
	case JOB_STAGE_END:
	case JOB_IMPORT:
	case JOB_TASK:
		break;
	}
}

static void end_job(struct rb_solver *s, unsigned node, struct rb_error **err)
{
	struct job *job = s->jobs[node];
	bool was_cached = false;

	job->running = false;
	if (job->kind == JOB_IMPORT) {
		end_import(s, node, err);
		return;
	}
	drop_mounts(job);
	if (!*err && adopt(s, job, &was_cached, err) == 0) {
		rb_sched_finish(s->sched, node);
		rb_solve_emit(s, job->ev, was_cached ? RB_EV_CACHED : RB_EV_DONE, NULL);
		return;
	}
	place_error(job, err);
	RB_CLEANUP(rb_strp) char *text = rb_error_text(*err);
	rb_sched_drop(s->sched, node);
	rb_solve_emit(s, job->ev, RB_EV_ERROR, text);
	set_failed(s, err);
}

static void start_jobs(struct rb_solver *s)
{
	unsigned node;

	while (!s->error && rb_sched_next_job(s->sched, &node)) {
		struct job *job = s->jobs[node];
		struct rb_error *err = NULL;

		announce_job(s, job);
		job->running = true;
		/* 1: there was nothing to do after all. */
		if (start_worker(s, job, &err))
			end_job(s, node, &err);
	}
}

/* Contexts are read by the examining of COPYs. */
static void end_context_events(struct rb_solver *s, const struct rb_error *failure)
{
	RB_CLEANUP(rb_strp) char *text = failure ? rb_error_text(failure) : NULL;

	for (size_t i = 0; i < rb_solve_n_contexts(s); i++) {
		struct context_state *st = &s->contexts[i];

		if (st->open)
			rb_solve_emit(s, st->ev, text ? RB_EV_ERROR : RB_EV_DONE, text);
		st->open = false;
	}
}

int rb_solve_examine_all(struct rb_solver *s, struct rb_error **err)
{
	unsigned node;
	int r = 0;

	while (r == 0 && rb_sched_next(s->sched, &node))
		r = rb_solve_examine(s, node, err);
	end_context_events(s, r < 0 ? *err : NULL);
	return r;
}

/* --- the loop
 * ---------------------------------------------------------------------------------------- */

struct poll_set {
	struct pollfd *fds;
	unsigned *nodes; /* parallel; UINT32_MAX: the signal descriptor */
	size_t n, cap, cap_nodes;
};

static void poll_add(struct poll_set *set, int fd, unsigned node)
{
	size_t n = set->n;

	if (fd < 0)
		return;
	rb_grow(set->fds, n, &set->cap);
	rb_grow(set->nodes, n, &set->cap_nodes);
	set->fds[n] = (struct pollfd){.fd = fd, .events = POLLIN};
	set->nodes[n] = node;
	set->n++;
}

static void poll_collect(struct rb_solver *s, struct poll_set *set)
{
	set->n = 0;
	poll_add(set, s->signal_fd, UINT32_MAX);
	for (size_t i = 0; i < s->n_jobs; i++) {
		const struct job *job = s->jobs[i];
		int fds[RB_OP_RUN_FDS] = {-1, -1, -1, -1, -1};

		if (!job->running)
			continue;
		if (job->run)
			rb_op_run_fds(job->run, fds);
		else
			fds[0] = job->worker.fd;
		for (size_t j = 0; j < RB_ARRAY_LEN(fds); j++)
			poll_add(set, fds[j], (unsigned)i);
	}
}

static void cancelled_by(struct rb_solver *s, const char *why)
{
	struct rb_error *err = NULL;

	(void)rb_fail(&err, RB_ERR_CANCELLED, "%s", why);
	set_failed(s, &err);
}

/* As pid 1 of our namespace we inherit orphans; those that are nobody's job are reaped here. */
static void reap_orphans(struct rb_solver *s)
{
	siginfo_t si;

	for (;;) {
		bool ours;

		si.si_pid = 0;
		if (waitid(P_ALL, 0, &si, WEXITED | WNOHANG | WNOWAIT) < 0 || !si.si_pid)
			return;
		ours = rb_networks_owns(s->networks, si.si_pid);
		for (size_t i = 0; i < s->n_jobs && !ours; i++) {
			const struct job *job = s->jobs[i];

			/* RUNs are waited for by their pidfd, and their pid is not known here. */
			ours = job->running && (job->run || job->worker.child.pid == si.si_pid);
		}
		if (ours)
			return;
		(void)waitpid(si.si_pid, NULL, 0);
	}
}

static void take_signals(struct rb_solver *s)
{
	struct signalfd_siginfo si;

	while (read(s->signal_fd, &si, sizeof(si)) == (ssize_t)sizeof(si)) {
		switch (si.ssi_signo) {
		case SIGCHLD:
			reap_orphans(s);
			break;
		case SIGWINCH:
			if (s->in.sink->resized)
				s->in.sink->resized(s->in.sink->ctx);
			break;
		default:
			/* From a terminal a SIGINT comes twice, so it is not counted here: the
			 * process outside of the namespace ends everything at the second one. */
			cancelled_by(s, si.ssi_signo == SIGINT    ? "interrupted"
					: si.ssi_signo == SIGTERM ? "terminated"
								  : "the terminal was closed");
		}
	}
}

int rb_solve_open_signals(struct rb_solver *s, struct rb_error **err)
{
	static const int wanted[] = {SIGINT, SIGTERM, SIGHUP, SIGCHLD, SIGWINCH};

	if (s->signal_fd < 0)
		s->signal_fd = rb_open_signals(wanted, RB_ARRAY_LEN(wanted), &s->unblocked, err);
	return s->signal_fd < 0 ? -1 : 0;
}

void rb_solve_release_signals(struct rb_solver *s)
{
	if (s->signal_fd < 0)
		return;
	rb_closep(&s->signal_fd);
	(void)sigprocmask(SIG_SETMASK, &s->unblocked, NULL);
}

struct status_target {
	struct rb_solver *s;
	unsigned ev;
};

static void show_status(void *ctx, const char *text)
{
	const struct status_target *t = ctx;

	rb_solve_emit(t->s, t->ev, RB_EV_STATUS, text);
}

static void pump_job(struct rb_solver *s, unsigned node)
{
	struct job *job = s->jobs[node];
	struct status_target target = {.s = s, .ev = job->ev};
	struct rb_error *err = NULL;

	if (!job->running)
		return;
	if (job->run) {
		if (!rb_op_run_pump(s, job))
			return;
		(void)rb_op_run_finish(s, job, s->vertices[job->vertex->index].id, &err);
	} else {
		if (!rb_worker_read(&job->worker, show_status, &target))
			return;
		int r = rb_worker_finish(&job->worker, &err);

		if (r == 0 && job->mounts && rb_op_run_resume(s, job, &err) == 0)
			return;
	}
	end_job(s, node, &err);
}

static int wait_for_events(struct rb_solver *s, struct poll_set *set, struct rb_error **err)
{
	const struct rb_event_sink *sink = s->in.sink;
	int timeout = sink->tick ? sink->tick(sink->ctx, rb_solve_now_ns(s)) : -1;

	poll_collect(s, set);
	if (poll(set->fds, set->n, timeout) < 0 && errno != EINTR)
		return rb_fail_errno(err, "cannot wait for the steps of the build");
	for (size_t i = 0; i < set->n; i++) {
		if (!set->fds[i].revents)
			continue;
		if (set->nodes[i] == UINT32_MAX)
			take_signals(s);
		else
			pump_job(s, set->nodes[i]);
	}
	if (sink->broken && sink->broken(sink->ctx))
		cancelled_by(s, "the output of the build was closed");
	return 0;
}

int rb_solve_loop(struct rb_solver *s, struct rb_error **err)
{
	struct poll_set set = {0};
	int r = 0;

	while (!s->error) {
		if (rb_solve_examine_all(s, &s->error) < 0)
			break;
		start_jobs(s);
		if (s->error || !rb_sched_running(s->sched))
			break;
		if ((r = wait_for_events(s, &set, err)) < 0)
			break;
	}
	free(set.fds);
	free(set.nodes);
	cancel_running(s);
	if (s->error) {
		*err = rb_steal_ptr(&s->error);
		return -1;
	}
	return r;
}
