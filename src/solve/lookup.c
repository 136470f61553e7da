// SPDX-License-Identifier: Apache-2.0
/* Examining nodes: what is known without work, what is needed first, what has to be done. */
#include <string.h>

#include "base/log.h"
#include "context/layout.h"
#include "solve/solve-internal.h"

const char *rb_solve_root_id(struct rb_solver *s, const struct rb_root_ref *ref)
{
	switch (ref->kind) {
	case RB_ROOT_SCRATCH:
		return "";
	case RB_ROOT_CONTEXT: {
		const struct rb_context *c = rb_solve_context(s, ref);

		return c && c->tree ? c->tree : "";
	}
	case RB_ROOT_IMAGE:
		return s->images[ref->image->index]->id;
	case RB_ROOT_STAGE: {
		const struct rb_vertex *top = rb_plan_stage_top(ref->stage);
		struct rb_root_ref root = rb_plan_stage_root(ref->stage);

		return top ? s->vertices[top->index].id : rb_solve_root_id(s, &root);
	}
	}
	rb_bug("unknown root");
}

const char *rb_solve_parent_id(struct rb_solver *s, const struct rb_vertex *v)
{
	struct rb_root_ref root = rb_plan_stage_root(v->stage);

	if (rb_vertex_is_detached(v))
		return "";
	return v->parent ? s->vertices[v->parent->index].id : rb_solve_root_id(s, &root);
}

/* --- stages
 * ------------------------------------------------------------------------------------------ */

unsigned rb_solve_context_node(struct rb_solver *s, const struct rb_root_ref *ref)
{
	struct context_state *st = rb_solve_context_state(s, ref);

	if (!st->has_node)
		rb_solve_add_job(s, JOB_CONTEXT, &st->node)->context = ref->context;
	st->has_node = true;
	return st->node;
}

static unsigned add_vertex(struct rb_solver *s, struct rb_vertex *v)
{
	unsigned node;
	struct job *job = rb_solve_add_job(s, JOB_VERTEX, &node);

	job->vertex = v;
	s->vertices[v->index].node = node;
	struct vertex_state *st = &s->vertices[v->index];
	size_t n = rb_vertex_n_inputs(v);

	st->content = rb_calloc(n, sizeof(*st->content));
	st->has_input = rb_calloc(n, sizeof(*st->has_input));
	for (size_t i = 0; v->kind == RB_VERTEX_COPY && i < v->copy.n_sources; i++)
		if (v->copy.sources[i].remote)
			rb_sched_depend(s->sched, node,
					s->remotes[v->copy.sources[i].remote->index].node);
	for (size_t i = 0; i < n; i++) {
		const struct rb_root_ref *from = rb_vertex_input(v, i);

		if (from->kind == RB_ROOT_STAGE)
			rb_sched_depend(s->sched, node,
					s->stages[from->stage->ast->index].end_node);
		else if (from->kind == RB_ROOT_IMAGE)
			rb_sched_depend(s->sched, node, s->images[from->image->index]->config_node);
		else if (from->kind == RB_ROOT_CONTEXT &&
			 rb_context_is_pending(rb_solve_context(s, from)))
			rb_sched_depend(s->sched, node, rb_solve_context_node(s, from));
	}
	if (v->kind == RB_VERTEX_LINK)
		rb_sched_depend(s->sched, node, s->vertices[v->link.layer->index].node);
	return node;
}

/* What the checks found in a stage, and when it was the last one, whether that fails the build. */
static int tell_checks(struct rb_solver *s, const struct rb_plan_stage *stage,
		       struct rb_error **err)
{
	const struct rb_lint *lint = s->in.plan->options.lint;

	if (!lint)
		return 0;
	if (s->n_warned < lint->n) {
		RB_CLEANUP(rb_strp)
		char *name = rb_asprintf("[internal] check stage%s%s", *stage->label ? " " : "",
					 stage->label);
		unsigned ev = rb_solve_announce(s, name);

		rb_solve_emit(s, ev, RB_EV_START, NULL);
		rb_solve_warn(s, ev);
		rb_solve_emit(s, ev, RB_EV_DONE, NULL);
	}
	for (size_t i = 0; lint->config.error && i < s->in.plan->n_stages; i++)
		if (s->in.plan->stages[i].needed && !s->in.plan->stages[i].elaborated)
			return 0;
	return rb_lint_verdict(lint, err);
}

/* What the check InvalidBaseImagePlatform says on the first platform of a build. */
static void warn_of_platform(const struct rb_plan *plan, const struct rb_plan_image *image)
{
	const struct rb_platform *have = &image->config->platform, *want = &image->platform;
	char texts[2][RB_PLATFORM_TEXT_BYTES];

	if (plan->options.lint || image->assumed || !*have->os ||
	    (rb_streq(have->os, want->os) && rb_streq(have->arch, want->arch)))
		return;
	rb_log_warn("base image %s was pulled with platform \"%s\", expected \"%s\"", image->shown,
		    rb_platform_text(have, texts[0]), rb_platform_text(want, texts[1]));
}

static int examine_elaborate(struct rb_solver *s, unsigned node, struct rb_plan_stage *stage,
			     struct rb_error **err)
{
	const struct stage_state *st = &s->stages[stage->ast->index];
	bool has_before = stage->base.kind == RB_ROOT_STAGE;
	unsigned before = has_before ? s->stages[stage->base.stage->ast->index].end_node : 0;

	if (rb_plan_elaborate(s->in.plan, stage, err) < 0 || tell_checks(s, stage, err) < 0)
		return -1;
	rb_solve_extend(s);
	if (stage->base.kind == RB_ROOT_IMAGE) {
		struct image_state *im = s->images[stage->base.image->index];

		warn_of_platform(s->in.plan, stage->base.image);
		if (!im->ev) {
			im->ev = rb_solve_announce(s, stage->from_name);
			if (rb_image_is_unpacked(s, im)) {
				rb_solve_emit(s, im->ev, RB_EV_CACHED, NULL);
				im->ev_ended = true;
			}
		}
	}
	for (size_t i = 0; i < stage->n_vertices; i++) {
		unsigned n = add_vertex(s, stage->vertices[i]);

		/* Waits for nothing in its stage, where its LINK alone waits for it. */
		if (rb_vertex_is_detached(stage->vertices[i]))
			continue;
		if (has_before)
			rb_sched_depend(s->sched, n, before);
		before = n;
		has_before = true;
	}
	if (has_before)
		rb_sched_depend(s->sched, st->end_node, before);
	rb_sched_finish(s->sched, node);
	return 0;
}

/* --- contexts that lie elsewhere
 * ------------------------------------------------------------------------------------------ */

static void examine_context(struct rb_solver *s, unsigned node,
			    const struct rb_plan_context *context)
{
	struct rb_context *c = s->in.named[context->index];

	/* Another platform of this build may have fetched it. */
	rb_context_known(s, c);
	if (c->tree)
		rb_sched_finish(s->sched, node);
	else
		rb_sched_want_slot(s->sched, node);
}

/* --- images
 * ------------------------------------------------------------------------------------------ */

/* Reads a few small files; layers are fetched when they are needed. */
static int examine_layout(struct rb_solver *s, unsigned node, struct rb_plan_image *image,
			  struct rb_error **err)
{
	struct image_state *st = s->images[image->index];
	const char *path = s->in.named[image->layout->index]->path;
	char platform[RB_PLATFORM_TEXT_BYTES];

	if (rb_layout_resolve(s->in.store, path, &image->platform, &st->record.manifest,
			      &st->record.config, err) < 0) {
		(void)rb_wrap(err, "context %s", image->layout->name);
		return rb_error_at(err, image->line_first, image->line_last);
	}
	st->record.name = rb_strdup(image->name);
	st->record.platform = rb_strdup(rb_platform_text(&image->platform, platform));
	st->record.origin = rb_strdup("oci-layout");
	if (rb_image_load(s, image, err) < 0)
		return rb_error_at(err, image->line_first, image->line_last);
	rb_sched_finish(s->sched, node);
	return 0;
}

static int examine_config(struct rb_solver *s, unsigned node, struct rb_plan_image *image,
			  struct rb_error **err)
{
	struct image_state *st = s->images[image->index];
	char platform[RB_PLATFORM_TEXT_BYTES];
	struct rb_error *lookup = NULL;

	if (image->layout)
		return examine_layout(s, node, image, err);
	if (!s->in.options->pull) {
		if (rb_store_get_image(s->in.store, image->name,
				       rb_platform_text(&image->platform, platform), &st->record,
				       &lookup) == 0) {
			if (rb_image_load(s, image, err) < 0)
				return rb_error_at(err, image->line_first, image->line_last);
			rb_sched_finish(s->sched, node);
			return 0;
		}
		if (lookup->code != RB_ERR_NOTFOUND) {
			*err = lookup;
			return -1;
		}
		/* Not in the store: it has to be pulled. */
		rb_error_drop(&lookup);
	}
	rb_sched_want_slot(s->sched, node);
	return 0;
}

/* The node that unpacks the image, made at the first need. */
static unsigned materialize_node(struct rb_solver *s, struct rb_plan_image *image)
{
	struct image_state *st = s->images[image->index];

	if (!st->has_materialize_node) {
		struct job *job = rb_solve_add_job(s, JOB_MATERIALIZE, &st->materialize_node);

		job->image = image;
		st->has_materialize_node = true;
	}
	return st->materialize_node;
}

/* --- vertices
 * ---------------------------------------------------------------------------------------- */

static void hit(struct rb_solver *s, unsigned node, struct job *job)
{
	s->vertices[job->vertex->index].known = true;
	job->ev = rb_solve_announce_vertex(s, job->vertex);
	rb_solve_emit(s, job->ev, RB_EV_CACHED, NULL);
	rb_sched_finish(s->sched, node);
}

static void announce_context(struct rb_solver *s, const struct rb_root_ref *ref,
			     struct context_state *st)
{
	RB_CLEANUP(rb_strp)
	char *name = ref->context ? rb_asprintf("[context %s] load from client", ref->context->name)
				  : rb_strdup("[internal] load build context");

	st->ev = rb_solve_announce(s, name);
	rb_solve_emit(s, st->ev, RB_EV_START, NULL);
	st->open = true;
}

static void examine_remote(struct rb_solver *s, unsigned node, struct job *job)
{
	if (!rb_remote_known(s, job->remote)) {
		rb_sched_want_slot(s->sched, node);
		return;
	}
	job->ev = rb_solve_announce(s, job->remote->shown);
	rb_solve_emit(s, job->ev, RB_EV_CACHED, NULL);
	rb_sched_finish(s->sched, node);
}

/* Checksum of what a vertex takes from a context directory, in place: the walk is over files the
 * caller owns. */
static int context_checksum(struct rb_solver *s, struct rb_vertex *v, size_t input,
			    struct rb_context *dir, struct rb_error **err)
{
	const struct rb_root_ref *from = rb_vertex_input(v, input);
	struct context_state *st = rb_solve_context_state(s, from);
	const struct rb_source_root root = rb_source_root_of(dir);

	if (!st->ev)
		announce_context(s, from, st);
	if (!st->statcache && rb_statcache_open(s->in.store, dir, &st->statcache, err) < 0)
		return -1;
	if (rb_input_checksum(v, input, &root, st->statcache, &s->vertices[v->index].content[input],
			      err) < 0) {
		(void)rb_wrap(err, "failed to compute cache key");
		return rb_error_at(err, v->inst->line_first, v->inst->line_last);
	}
	return 0;
}

/* Once; what is in directories, and what the store remembers of other trees. */
static int find_content(struct rb_solver *s, struct rb_vertex *v, size_t input,
			struct rb_error **err)
{
	struct vertex_state *st = &s->vertices[v->index];
	struct rb_context *dir = rb_solve_local_dir(s, rb_vertex_input(v, input));

	if (st->has_input[input])
		return 0;
	if (dir && context_checksum(s, v, input, dir, err) < 0)
		return -1;
	st->has_input[input] = dir || rb_input_identity(s, v, input, &st->content[input]) ||
			       rb_cache_get_checksum(s, v, input, &st->content[input]);
	return 0;
}

int rb_solve_know_content(struct rb_solver *s, struct rb_vertex *v, struct rb_error **err)
{
	for (size_t i = 0; i < rb_vertex_n_inputs(v); i++)
		if (rb_solve_local_dir(s, rb_vertex_input(v, i)) && find_content(s, v, i, err) < 0)
			return -1;
	return 0;
}

static void definition_key(struct rb_solver *s, struct rb_vertex *v)
{
	struct vertex_state *st = &s->vertices[v->index];
	const char *ids[RB_RUN_MOUNTS_MAX];

	for (size_t i = 0; i < rb_vertex_n_inputs(v); i++) {
		const struct rb_root_ref *from = rb_vertex_input(v, i);

		ids[i] = rb_solve_local_dir(s, from) ? NULL : rb_solve_root_id(s, from);
	}
	st->has_definition =
		rb_vertex_definition_key(v, rb_solve_parent_id(s, v), ids, &st->definition_key);
}

/* Fills the keys that can be known without work. */
static int compute_keys(struct rb_solver *s, struct rb_vertex *v, struct rb_error **err)
{
	struct vertex_state *st = &s->vertices[v->index];

	if (st->has_keys)
		return 0;
	st->has_keys = true;
	definition_key(s, v);
	for (size_t i = 0; i < rb_vertex_n_inputs(v); i++)
		if (find_content(s, v, i, err) < 0)
			return -1;
	(void)rb_input_content_key(s, v);
	return 0;
}

static bool same_key(const struct vertex_state *a, const struct vertex_state *b)
{
	if (a->has_definition && b->has_definition &&
	    rb_digest_eq(&a->definition_key, &b->definition_key))
		return true;
	return a->has_content && b->has_content && rb_digest_eq(&a->content_key, &b->content_key);
}

/* The same step of another platform of this build. */
static struct vertex_state *find_earlier_twin(struct rb_solver *s, const struct vertex_state *st)
{
	for (struct rb_solver *t = s->in.before; t; t = t->in.before)
		for (size_t i = 0; i < t->n_vertices; i++)
			if (t->vertices[i].known && same_key(st, &t->vertices[i]))
				return &t->vertices[i];
	return NULL;
}

/*
 * The same step elsewhere in this build: done or under way. It runs once (6.2), also with
 * --no-cache.
 */
static struct vertex_state *find_twin(struct rb_solver *s, const struct rb_vertex *v)
{
	for (size_t i = 0; i < s->n_vertices; i++) {
		struct vertex_state *other = &s->vertices[i];

		if (i == v->index || !same_key(&s->vertices[v->index], other))
			continue;
		if (other->known)
			return other;
		enum rb_node_state state = rb_sched_state(s->sched, other->node);
		if (state == RB_NODE_RUNNING || state == RB_NODE_QUEUED)
			return other;
	}
	return find_earlier_twin(s, &s->vertices[v->index]);
}

static bool cached(struct rb_solver *s, const struct rb_vertex *v, struct vertex_state *st)
{
	if (v->kind == RB_VERTEX_LINK) {
		rb_snapshot_placed_id(rb_solve_parent_id(s, v),
				      s->vertices[v->link.layer->index].id, st->id);
		return rb_snapshot_exists(s->in.snapshots, st->id);
	}
	return (st->has_definition && rb_cache_get(s, &st->definition_key, st->id)) ||
	       (st->has_content && rb_cache_get(s, &st->content_key, st->id));
}

static bool wait_for_tree(struct rb_solver *s, unsigned node, struct rb_root_ref ref)
{
	if (ref.kind != RB_ROOT_IMAGE || rb_image_is_unpacked(s, s->images[ref.image->index]))
		return false;
	rb_sched_depend(s->sched, node, materialize_node(s, ref.image));
	return true;
}

/* Trees that the work needs on disk; returns true when the node has to wait for one. */
static bool wait_for_trees(struct rb_solver *s, unsigned node, const struct rb_vertex *v)
{
	bool waits =
		!rb_vertex_is_detached(v) && wait_for_tree(s, node, rb_plan_stage_root(v->stage));

	for (size_t i = 0; i < rb_vertex_n_inputs(v); i++) {
		struct rb_root_ref from = *rb_vertex_input(v, i);

		if (from.kind == RB_ROOT_STAGE)
			from = rb_plan_stage_root(from.stage);
		waits |= wait_for_tree(s, node, from);
	}
	return waits;
}

/* Also the store's own result from now on, as far as its inputs have any: what only it needed was
 * never made. */
static int import_hit(struct rb_solver *s, unsigned node, struct job *job, struct rb_error **err)
{
	struct rb_vertex *v = job->vertex;
	struct vertex_state *st = &s->vertices[v->index];
	bool has_inputs = true;

	for (size_t i = 0; i < rb_vertex_n_inputs(v); i++) {
		const struct rb_root_ref *from = rb_vertex_input(v, i);
		const struct rb_vertex *top =
			from->kind == RB_ROOT_STAGE ? rb_plan_stage_top(from->stage) : NULL;

		has_inputs &= !top || s->vertices[top->index].known;
	}
	if (has_inputs &&
	    (compute_keys(s, v, err) < 0 ||
	     (st->has_definition && rb_cache_put(s, &st->definition_key, st->id, err) < 0) ||
	     (st->has_content && rb_cache_put(s, &st->content_key, st->id, err) < 0)))
		return -1;
	hit(s, node, job);
	return 0;
}

static int examine_vertex(struct rb_solver *s, unsigned node, struct job *job,
			  struct rb_error **err)
{
	struct rb_vertex *v = job->vertex;
	struct vertex_state *st = &s->vertices[v->index];

	if (rb_import_is_done(s) && !st->needed && !st->known) {
		rb_sched_finish(s->sched, node);
		return 0;
	}
	if (st->imported)
		return import_hit(s, node, job, err);
	if (compute_keys(s, v, err) < 0)
		return -1;
	struct vertex_state *twin = find_twin(s, v);
	if (twin && twin->known) {
		memcpy(st->id, twin->id, sizeof(st->id));
		hit(s, node, job);
		return 0;
	}
	if (twin) {
		rb_sched_depend(s->sched, node, twin->node);
		return 0;
	}
	if (!st->missed && !v->no_cache && cached(s, v, st)) {
		hit(s, node, job);
		return 0;
	}
	if (!v->no_cache && rb_import_wants(s) && !rb_import_is_done(s)) {
		rb_import_wait(s, node);
		return 0;
	}
	st->missed = true;
	if (!wait_for_trees(s, node, v))
		rb_sched_want_slot(s->sched, node);
	return 0;
}

int rb_solve_examine(struct rb_solver *s, unsigned node, struct rb_error **err)
{
	struct job *job = s->jobs[node];

	switch (job->kind) {
	case JOB_CONFIG:
		return examine_config(s, node, job->image, err);
	case JOB_CONTEXT:
		examine_context(s, node, job->context);
		return 0;
	case JOB_EPOCH:
		return rb_epoch_examine(s, node, err);
	case JOB_ELABORATE:
		return examine_elaborate(s, node, job->stage, err);
	case JOB_STAGE_END:
		rb_sched_finish(s->sched, node);
		return 0;
	case JOB_REMOTE:
		examine_remote(s, node, job);
		return 0;
	case JOB_VERTEX:
		return examine_vertex(s, node, job, err);
	case JOB_IMPORT:
		return rb_import_examine(s, node, err);
	case JOB_MATERIALIZE:
		/* The solver of another platform may have unpacked it meanwhile. */
		if (rb_image_is_unpacked(s, s->images[job->image->index])) {
			rb_sched_finish(s->sched, node);
			return 0;
		}
		rb_sched_want_slot(s->sched, node);
		return 0;
	case JOB_TASK:
		rb_sched_want_slot(s->sched, node);
		return 0;
	}
	rb_bug("unknown job");
}
