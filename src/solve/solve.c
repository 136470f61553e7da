// SPDX-License-Identifier: Apache-2.0
/* The solver as its callers see it: its life, its events, a build, and tasks after the build. */
#include "solve/solve.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fd.h"
#include "solve/mask.h"
#include "solve/solve-internal.h"

int64_t rb_solve_now_ns(const struct rb_solver *s)
{
	return rb_monotonic_ns() - s->start_ns;
}

/* --- events
 * ------------------------------------------------------------------------------------------ */

/* Text that may hold what the caller lends to steps; caller frees. */
static char *mask(struct rb_solver *s, const char *text)
{
	const struct rb_mask_set *set = text ? rb_secrets_mask(s->in.secrets) : NULL;

	return set ? rb_mask_text(set, text) : text ? rb_strdup(text) : NULL;
}

static unsigned announce(struct rb_solver *s, const char *name, const unsigned *inputs,
			 size_t n_inputs)
{
	RB_CLEANUP(rb_strp) char *shown = mask(s, name);
	const struct rb_event ev = {
		.kind = RB_EV_ADD,
		.vertex = ++*s->n_events,
		.time_ns = rb_solve_now_ns(s),
		.name = shown,
		.inputs = inputs,
		.n_inputs = n_inputs,
	};

	s->in.sink->event(s->in.sink->ctx, &ev);
	return ev.vertex;
}

unsigned rb_solve_announce(struct rb_solver *s, const char *name)
{
	return announce(s, name, NULL, 0);
}

/* The event vertex that made a tree; 0: none was shown. */
static unsigned event_of(struct rb_solver *s, const struct rb_root_ref *ref)
{
	switch (ref->kind) {
	case RB_ROOT_SCRATCH:
		return 0;
	case RB_ROOT_CONTEXT: {
		const struct context_state *st = rb_solve_context_state(s, ref);

		return st->ev || !st->has_node ? st->ev : s->jobs[st->node]->ev;
	}
	case RB_ROOT_IMAGE:
		return s->images[ref->image->index]->ev;
	case RB_ROOT_STAGE: {
		const struct rb_vertex *top = rb_plan_stage_top(ref->stage);
		struct rb_root_ref root = rb_plan_stage_root(ref->stage);

		return top ? s->jobs[s->vertices[top->index].node]->ev : event_of(s, &root);
	}
	}
	rb_bug("unknown root");
}

unsigned rb_solve_announce_vertex(struct rb_solver *s, const struct rb_vertex *v)
{
	size_t n_roots = rb_vertex_n_inputs(v), n = 0;
	unsigned *inputs = rb_calloc(1 + n_roots, sizeof(*inputs));
	struct rb_root_ref base = rb_plan_stage_root(v->stage);

	if (!rb_vertex_is_detached(v))
		inputs[n] = v->parent ? s->jobs[s->vertices[v->parent->index].node]->ev
				      : event_of(s, &base);
	n += inputs[n] != 0;
	for (size_t i = 0; i < n_roots; i++) {
		inputs[n] = event_of(s, rb_vertex_input(v, i));
		n += inputs[n] != 0;
	}
	unsigned ev = announce(s, v->name, inputs, n);
	free(inputs);
	return ev;
}

void rb_solve_emit(struct rb_solver *s, unsigned vertex, enum rb_event_kind kind, const char *text)
{
	RB_CLEANUP(rb_strp) char *shown = mask(s, text);
	const struct rb_event ev = {
		.kind = kind,
		.vertex = vertex,
		.time_ns = rb_solve_now_ns(s),
		.data = shown,
		.len = shown ? strlen(shown) : 0,
	};

	s->in.sink->event(s->in.sink->ctx, &ev);
}

void rb_solve_warn(struct rb_solver *s, unsigned ev)
{
	const struct rb_lint *lint = s->in.plan->options.lint;

	for (; lint && s->n_warned < lint->n; s->n_warned++) {
		const struct rb_lint_warning *w = &lint->warnings[s->n_warned];
		RB_CLEANUP(rb_strp)
		char *text = rb_asprintf("%s: %s (line %u)", rb_lint_rule_info(w->rule)->name,
					 w->detail, w->line_first);

		rb_solve_emit(s, ev, RB_EV_WARN, text);
	}
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
	struct image_state *st = rb_calloc(1, sizeof(*st));

	s->images = rb_reallocarray(s->images, image->index + 1, sizeof(struct image_state *));
	s->images[image->index] = st;
	s->n_images = image->index + 1;
	rb_solve_add_job(s, JOB_CONFIG, &st->config_node)->image = image;
}

static void add_stage(struct rb_solver *s, struct rb_plan_stage *stage)
{
	struct stage_state *st = &s->stages[stage->ast->index];

	const struct rb_plan_epoch *epoch = &s->in.plan->epoch;

	st->added = true;
	s->n_stages++;
	rb_solve_add_job(s, JOB_ELABORATE, &st->elaborate_node)->stage = stage;
	rb_solve_add_job(s, JOB_STAGE_END, &st->end_node)->stage = stage;
	rb_sched_depend(s->sched, st->end_node, st->elaborate_node);
	if (epoch->pending && epoch->from.stage != stage)
		rb_sched_depend(s->sched, st->elaborate_node, s->epoch_node);
	if (stage->base.kind == RB_ROOT_IMAGE)
		rb_sched_depend(s->sched, st->elaborate_node,
				s->images[stage->base.image->index]->config_node);
	else if (stage->base.kind == RB_ROOT_STAGE)
		rb_sched_depend(s->sched, st->elaborate_node,
				s->stages[stage->base.stage->ast->index].elaborate_node);
}

static void add_remotes(struct rb_solver *s)
{
	const struct rb_plan *plan = s->in.plan;

	s->remotes = rb_reallocarray(s->remotes, plan->n_remotes, sizeof(*s->remotes));
	for (; s->n_remotes < plan->n_remotes; s->n_remotes++) {
		struct remote_state *st = &s->remotes[s->n_remotes];

		*st = (struct remote_state){0};
		rb_solve_add_job(s, JOB_REMOTE, &st->node)->remote = plan->remotes[s->n_remotes];
	}
}

void rb_solve_extend(struct rb_solver *s)
{
	struct rb_plan *plan = s->in.plan;

	for (size_t i = s->n_images; i < plan->n_images; i++)
		add_image(s, plan->images[i]);
	if (plan->epoch.pending && !s->has_epoch_node) {
		rb_solve_add_job(s, JOB_EPOCH, &s->epoch_node);
		s->has_epoch_node = true;
	}
	/* In file order: a stage's inputs are made before it. */
	for (size_t i = 0; s->n_stages < plan->n_needed && i < plan->n_stages; i++)
		if (plan->stages[i].needed && !s->stages[i].added)
			add_stage(s, &plan->stages[i]);
	add_remotes(s);
	if (plan->n_vertices == s->n_vertices)
		return;
	s->vertices = rb_reallocarray(s->vertices, plan->n_vertices, sizeof(*s->vertices));
	memset(s->vertices + s->n_vertices, 0,
	       (plan->n_vertices - s->n_vertices) * sizeof(*s->vertices));
	s->n_vertices = plan->n_vertices;
}

struct rb_solver *rb_solver_new(const struct rb_solve_inputs *in)
{
	struct rb_solver *s = rb_calloc(1, sizeof(*s));

	s->in = *in;
	s->signal_fd = -1;
	s->start_ns = in->start_ns ? in->start_ns : rb_monotonic_ns();
	s->own_events = in->n_events;
	s->n_events = &s->own_events;
	if (in->before) {
		s->start_ns = in->before->start_ns;
		s->n_events = in->before->n_events;
	}
	s->sched = rb_sched_new();
	s->stages = rb_calloc(in->plan->n_stages, sizeof(*s->stages));
	s->contexts = rb_calloc(rb_solve_n_contexts(s), sizeof(*s->contexts));
	rb_solve_extend(s);
	return s;
}

void rb_solver_free(struct rb_solver *s)
{
	if (!s)
		return;
	rb_op_run_forget_failed(s);
	for (size_t i = 0; i < s->n_jobs; i++) {
		rb_worker_kill(&s->jobs[i]->worker);
		rb_op_run_kill(s->jobs[i]);
		rb_op_mounts_free(s->jobs[i]->mounts);
		free(s->jobs[i]);
	}
	free(s->jobs);
	for (size_t i = 0; i < s->n_images; i++) {
		rb_image_config_clear(&s->images[i]->config);
		rb_image_record_clear(&s->images[i]->record);
		free(s->images[i]);
	}
	/* The plan may have more, of a stage whose elaboration failed. */
	for (size_t i = 0; i < s->n_vertices; i++) {
		free(s->vertices[i].content);
		free(s->vertices[i].has_input);
	}
	rb_import_free(s->import);
	free(s->vertices);
	free(s->images);
	free(s->remotes);
	free(s->stages);
	for (size_t i = 0; i < rb_solve_n_contexts(s); i++)
		rb_statcache_free(s->contexts[i].statcache);
	free(s->contexts);
	rb_networks_free(s->networks);
	/* A shell in a failed step may have had some made again. */
	rb_op_mounts_drop_copies(s);
	free(s->copies);
	rb_strv_clear(&s->caches_used);
	rb_sched_free(s->sched);
	rb_closep(&s->signal_fd);
	rb_error_free(s->error);
	free(s);
}

/* --- the build
 * ---------------------------------------------------------------------------------------- */

static bool complete(const struct rb_solver *s)
{
	unsigned end = s->stages[s->in.plan->target->ast->index].end_node;

	return rb_sched_state(s->sched, end) == RB_NODE_DONE;
}

/* Base images that nothing had to be unpacked for. */
static void end_image_events(struct rb_solver *s)
{
	for (size_t i = 0; i < s->n_images; i++) {
		struct image_state *st = s->images[i];

		if (st->ev && !st->ev_ended)
			rb_solve_emit(s, st->ev, RB_EV_CACHED, NULL);
		st->ev_ended = true;
	}
}

static void save_statcaches(struct rb_solver *s)
{
	for (size_t i = 0; i < rb_solve_n_contexts(s); i++) {
		struct rb_statcache *sc = s->contexts[i].statcache;
		struct rb_error *err = NULL;

		/* Losing it costs a second look at the files, nothing else. */
		if (sc && rb_statcache_save(sc, &err) < 0)
			rb_error_drop(&err);
	}
}

int rb_solve_lookup(struct rb_solver *s, struct rb_error **err)
{
	rb_sched_set_slots(s->sched, 0);
	if (rb_solve_examine_all(s, err) < 0)
		return -1;
	save_statcaches(s);
	if (!complete(s))
		return 0;
	end_image_events(s);
	return 1;
}

int rb_solve_run(struct rb_solver *s, struct rb_error **err)
{
	if (rb_solve_open_signals(s, err) < 0)
		return -1;
	/* The solvers before have run since the look-up of this one. */
	if (s->in.before)
		rb_sched_reconsider(s->sched);
	rb_sched_set_slots(s->sched, s->in.options->jobs);
	int r = rb_solve_loop(s, err);
	rb_op_mounts_drop_copies(s);
	if (r < 0)
		return -1;
	save_statcaches(s);
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

	if (rb_solve_open_signals(s, err) < 0)
		return -1;
	job->ev = ev;
	rb_sched_set_slots(s->sched, rb_sched_running(s->sched) + 1);
	if (rb_solve_examine_all(s, err) < 0)
		return -1;
	was_running = rb_sched_next_job(s->sched, &node);
	if (!was_running || s->jobs[node] != job)
		rb_bug("a task did not get its slot");
	rb_solve_emit(s, ev, RB_EV_START, NULL);
	if (rb_worker_start(fn, ctx, &job->worker, err) < 0)
		return -1;
	job->running = true;
	int r = rb_solve_loop(s, err);
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
	bool need_tree = tree && !rb_image_is_unpacked(s, s->images[root.image->index]);
	bool need_blobs = blobs && !rb_image_has_blobs(s, root.image);
	*ret_work = need_tree || need_blobs;
	if (!*ret_work || !may_work)
		return 0;
	struct op_image op = {
		.solver = s, .image = root.image, .unpack = need_tree, .verify = need_blobs};
	name = rb_asprintf("%s %s", need_tree ? "unpacking" : "checking layers of",
			   root.image->name);
	if (rb_solve_task(s, name, rb_op_materialize, &op, NULL, err) < 0)
		return rb_error_at(err, root.image->line_first, root.image->line_last);
	return 0;
}

enum rb_outlook rb_solve_outlook(const struct rb_solver *s, const struct rb_vertex *v)
{
	return s->vertices[v->index].known ? RB_OUTLOOK_CACHED : RB_OUTLOOK_BUILD;
}

bool rb_solve_image_is_local(const struct rb_solver *s, const struct rb_plan_image *image)
{
	return s->images[image->index]->record.name != NULL;
}

const struct rb_digest *rb_solve_image_id(const struct rb_solver *s,
					  const struct rb_plan_image *image)
{
	return &s->images[image->index]->record.config;
}
