// SPDX-License-Identifier: Apache-2.0
/* The solver: its nodes, its loop, its failures. What single jobs do is in op-*.c, what is known
 * without work in lookup.c. */
#include "solve/solve.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/fd.h"
#include "solve/solve-internal.h"

static int64_t monotonic_ns(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

int64_t rb_solve_now_ns(const struct rb_solver *s)
{
	return monotonic_ns() - s->start_ns;
}

/* --- events
 * ------------------------------------------------------------------------------------------ */

unsigned rb_solve_announce(struct rb_solver *s, const char *name)
{
	const struct rb_event ev = {
		.kind = RB_EV_ADD,
		.vertex = ++s->n_events,
		.time_ns = rb_solve_now_ns(s),
		.name = name,
	};

	s->in.sink->event(s->in.sink->ctx, &ev);
	return ev.vertex;
}

void rb_solve_emit(struct rb_solver *s, unsigned vertex, enum rb_event_kind kind, const char *text)
{
	const struct rb_event ev = {
		.kind = kind,
		.vertex = vertex,
		.time_ns = rb_solve_now_ns(s),
		.data = text,
		.len = text ? strlen(text) : 0,
	};

	s->in.sink->event(s->in.sink->ctx, &ev);
}

/* --- nodes
 * ------------------------------------------------------------------------------------------- */

struct job *rb_solve_add_job(struct rb_solver *s, enum job_kind kind, unsigned *ret_node)
{
	struct job *job = rb_calloc(1, sizeof(*job));
	unsigned node = rb_sched_add(s->sched);

	job->kind = kind;
	job->worker = (struct rb_worker)RB_WORKER_INIT;
	if (node != s->n_jobs)
		rb_bug("node %u is not job %zu", node, s->n_jobs);
	rb_grow(s->jobs, s->n_jobs, &s->cap_jobs);
	s->jobs[s->n_jobs++] = job;
	*ret_node = node;
	return job;
}

static void add_image(struct rb_solver *s, struct rb_plan_image *image)
{
	rb_solve_add_job(s, JOB_CONFIG, &s->images[image->index].config_node)->image = image;
}

static void add_stage(struct rb_solver *s, struct rb_plan_stage *stage)
{
	struct stage_state *st = &s->stages[stage->ast->index];

	rb_solve_add_job(s, JOB_ELABORATE, &st->elaborate_node)->stage = stage;
	rb_solve_add_job(s, JOB_STAGE_END, &st->end_node)->stage = stage;
	rb_sched_depend(s->sched, st->end_node, st->elaborate_node);
	if (stage->base.kind == RB_ROOT_IMAGE)
		rb_sched_depend(s->sched, st->elaborate_node,
				s->images[stage->base.image->index].config_node);
	else if (stage->base.kind == RB_ROOT_STAGE)
		rb_sched_depend(s->sched, st->elaborate_node,
				s->stages[stage->base.stage->ast->index].elaborate_node);
}

struct rb_solver *rb_solver_new(const struct rb_solve_inputs *in)
{
	struct rb_solver *s = rb_calloc(1, sizeof(*s));
	struct rb_plan *plan = in->plan;

	s->in = *in;
	s->signal_fd = -1;
	s->start_ns = monotonic_ns();
	s->sched = rb_sched_new();
	s->vertices = rb_calloc(plan->n_vertices_max, sizeof(*s->vertices));
	s->images = rb_calloc(plan->n_images, sizeof(*s->images));
	s->stages = rb_calloc(plan->n_stages, sizeof(*s->stages));
	for (size_t i = 0; i < plan->n_images; i++)
		add_image(s, &plan->images[i]);
	/* In file order: a stage's inputs are made before it. */
	for (size_t i = 0; i < plan->n_stages; i++)
		if (plan->stages[i].needed)
			add_stage(s, &plan->stages[i]);
	return s;
}

void rb_solver_free(struct rb_solver *s)
{
	if (!s)
		return;
	for (size_t i = 0; i < s->n_jobs; i++) {
		rb_worker_kill(&s->jobs[i]->worker);
		rb_op_run_kill(s->jobs[i]);
		free(s->jobs[i]);
	}
	free(s->jobs);
	for (size_t i = 0; i < s->in.plan->n_images; i++) {
		rb_image_config_clear(&s->images[i].config);
		rb_image_record_clear(&s->images[i].record);
	}
	free(s->vertices);
	free(s->images);
	free(s->stages);
	rb_statcache_free(s->statcache);
	rb_sched_free(s->sched);
	rb_closep(&s->signal_fd);
	rb_error_free(s->error);
	free(s);
}

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

static void cancel_running(struct rb_solver *s)
{
	for (size_t i = 0; i < s->n_jobs; i++) {
		struct job *job = s->jobs[i];

		if (!job->running)
			continue;
		rb_worker_kill(&job->worker);
		rb_op_run_kill(job);
		job->running = false;
		rb_sched_drop(s->sched, (unsigned)i);
		rb_solve_emit(s, job->ev, RB_EV_CANCELED, NULL);
	}
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
		struct image_state *st = &s->images[job->image->index];

		if (!st->ev) {
			name = rb_asprintf("FROM %s", job->image->name);
			st->ev = rb_solve_announce(s, name);
		}
		job->ev = st->ev;
		break;
	}
	case JOB_VERTEX:
		job->ev = rb_solve_announce(s, job->vertex->name);
		break;
	case JOB_TASK:
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
	case JOB_VERTEX: {
		struct op_files op = {.solver = s, .vertex = job->vertex};

		if (job->vertex->kind == RB_VERTEX_RUN)
			return rb_op_run_start(s, job, err);
		return rb_worker_start(job->vertex->kind == RB_VERTEX_COPY ? rb_op_copy
									   : rb_op_workdir,
				       &op, &job->worker, err);
	}
	case JOB_TASK:
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
		struct image_state *st = &s->images[job->image->index];

		if (rb_store_get_image(s->in.store, job->image->name,
				       rb_platform_text(&job->image->platform, platform),
				       &st->record, err) < 0)
			return -1;
		return rb_image_load(s, job->image, err);
	}
	case JOB_MATERIALIZE:
		s->images[job->image->index].ev_ended = true;
		return 0;
	case JOB_VERTEX:
		if (job->vertex->kind != RB_VERTEX_RUN && adopt_files(s, job, ret_cached, err) < 0)
			return -1;
		s->vertices[job->vertex->index].known = true;
		return 0;
	case JOB_TASK:
	case JOB_ELABORATE:
	case JOB_STAGE_END:
		break;
	}
	return 0;
}

static void end_job(struct rb_solver *s, unsigned node, struct rb_error **err)
{
	struct job *job = s->jobs[node];
	bool was_cached = false;

	job->running = false;
	if (!*err && adopt(s, job, &was_cached, err) == 0) {
		rb_sched_finish(s->sched, node);
		rb_solve_emit(s, job->ev, was_cached ? RB_EV_CACHED : RB_EV_DONE, NULL);
		return;
	}
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
		if (start_worker(s, job, &err) < 0)
			end_job(s, node, &err);
	}
}

/* The context is read by the examining of COPYs: what one pass reads is one step of the display. */
static void end_context_event(struct rb_solver *s, const struct rb_error *failure)
{
	RB_CLEANUP(rb_strp) char *text = failure ? rb_error_text(failure) : NULL;

	if (s->context_open)
		rb_solve_emit(s, s->context_ev, text ? RB_EV_ERROR : RB_EV_DONE, text);
	s->context_open = false;
}

static int examine_all(struct rb_solver *s, struct rb_error **err)
{
	unsigned node;
	int r = 0;

	while (r == 0 && rb_sched_next(s->sched, &node))
		r = rb_solve_examine(s, node, err);
	end_context_event(s, r < 0 ? *err : NULL);
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
		int fds[RB_OP_RUN_FDS] = {-1, -1, -1};

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
		bool ours = false;

		si.si_pid = 0;
		if (waitid(P_ALL, 0, &si, WEXITED | WNOHANG | WNOWAIT) < 0 || !si.si_pid)
			return;
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

static int open_signals(struct rb_solver *s, struct rb_error **err)
{
	static const int wanted[] = {SIGINT, SIGTERM, SIGHUP, SIGCHLD, SIGWINCH};
	sigset_t set;

	if (s->signal_fd >= 0)
		return 0;
	sigemptyset(&set);
	for (size_t i = 0; i < RB_ARRAY_LEN(wanted); i++)
		sigaddset(&set, wanted[i]);
	if (sigprocmask(SIG_BLOCK, &set, &s->unblocked) < 0)
		return rb_fail_errno(err, "cannot block signals");
	s->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return s->signal_fd < 0 ? rb_fail_errno(err, "cannot open a signal descriptor") : 0;
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
		(void)rb_worker_finish(&job->worker, &err);
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

static int loop(struct rb_solver *s, struct rb_error **err)
{
	struct poll_set set = {0};
	int r = 0;

	while (!s->error) {
		if (examine_all(s, &s->error) < 0)
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

static bool complete(const struct rb_solver *s)
{
	unsigned end = s->stages[s->in.plan->target->ast->index].end_node;

	return rb_sched_state(s->sched, end) == RB_NODE_DONE;
}

/* Base images that nothing had to be unpacked for. */
static void end_image_events(struct rb_solver *s)
{
	for (size_t i = 0; i < s->in.plan->n_images; i++) {
		struct image_state *st = &s->images[i];

		if (st->ev && !st->ev_ended)
			rb_solve_emit(s, st->ev, RB_EV_CACHED, NULL);
		st->ev_ended = true;
	}
}

static int save_statcache(struct rb_solver *s)
{
	struct rb_error *err = NULL;

	/* Losing it costs a second look at the files, nothing else. */
	if (s->statcache && rb_statcache_save(s->statcache, &err) < 0)
		rb_error_drop(&err);
	return 0;
}

int rb_solve_lookup(struct rb_solver *s, struct rb_error **err)
{
	rb_sched_set_slots(s->sched, 0);
	if (examine_all(s, err) < 0)
		return -1;
	(void)save_statcache(s);
	if (!complete(s))
		return 0;
	end_image_events(s);
	return 1;
}

int rb_solve_run(struct rb_solver *s, struct rb_error **err)
{
	if (open_signals(s, err) < 0)
		return -1;
	rb_sched_set_slots(s->sched, s->in.options->jobs);
	if (loop(s, err) < 0)
		return -1;
	(void)save_statcache(s);
	if (!complete(s))
		rb_bug("the build stopped although the target is not complete");
	end_image_events(s);
	return 0;
}

/* --- after the build
 * --------------------------------------------------------------------------------- */

/* One worker to its end, with the loop's signals and redraws. */
static int run_worker(struct rb_solver *s, unsigned ev, rb_worker_fn *fn, void *ctx,
		      struct rb_buf *ret, struct rb_error **err)
{
	unsigned node;
	struct job *job = rb_solve_add_job(s, JOB_TASK, &node);
	bool was_running;

	if (open_signals(s, err) < 0)
		return -1;
	job->ev = ev;
	rb_sched_set_slots(s->sched, rb_sched_running(s->sched) + 1);
	if (examine_all(s, err) < 0)
		return -1;
	was_running = rb_sched_next_job(s->sched, &node);
	if (!was_running || s->jobs[node] != job)
		rb_bug("a task did not get its slot");
	rb_solve_emit(s, ev, RB_EV_START, NULL);
	if (rb_worker_start(fn, ctx, &job->worker, err) < 0)
		return -1;
	job->running = true;
	int r = loop(s, err);
	if (r == 0 && ret) {
		rb_buf_clear(ret);
		rb_buf_add(ret, job->worker.result.ptr, job->worker.result.len);
	}
	return r;
}

int rb_solve_task(struct rb_solver *s, const char *name, rb_worker_fn *fn, void *ctx,
		  struct rb_buf *ret, struct rb_error **err)
{
	return run_worker(s, rb_solve_announce(s, name), fn, ctx, ret, err);
}

int rb_solve_materialize(struct rb_solver *s, bool tree, bool blobs, bool may_work, bool *ret_work,
			 struct rb_error **err)
{
	struct rb_root_ref root = rb_plan_stage_root(s->in.plan->target);
	RB_CLEANUP(rb_strp) char *name = NULL;

	*ret_work = false;
	if (root.kind != RB_ROOT_IMAGE)
		return 0;
	bool need_tree = tree && !rb_image_is_unpacked(s, &s->images[root.image->index]);
	bool need_blobs = blobs && !rb_image_has_blobs(s, root.image);
	*ret_work = need_tree || need_blobs;
	if (!*ret_work || !may_work)
		return 0;
	struct op_image op = {
		.solver = s, .image = root.image, .unpack = need_tree, .verify = need_blobs};
	name = rb_asprintf("%s %s", need_tree ? "unpacking" : "checking layers of",
			   root.image->name);
	return rb_solve_task(s, name, rb_op_materialize, &op, NULL, err);
}

enum rb_outlook rb_solve_outlook(const struct rb_solver *s, const struct rb_vertex *v)
{
	return s->vertices[v->index].known ? RB_OUTLOOK_CACHED : RB_OUTLOOK_BUILD;
}

bool rb_solve_image_is_local(const struct rb_solver *s, const struct rb_plan_image *image)
{
	return s->images[image->index].record.name != NULL;
}

const struct rb_digest *rb_solve_image_id(const struct rb_solver *s,
					  const struct rb_plan_image *image)
{
	return &s->images[image->index].record.config;
}
