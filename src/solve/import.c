// SPDX-License-Identifier: Apache-2.0
/*
 * Results that were built elsewhere (--cache-from, dockerfile.md 6.3).
 *
 * Here a step's key is made of the ids of its inputs' results, which nobody else knows. So in a
 * cache that travels a step is known by its chain key: the same digest with the chain keys of the
 * inputs in their place, down to what everybody can know: the layers of base images, the content of
 * files. It can be computed before anything is built, and its result is the whole stack of layers.
 *
 * Sources are asked at the first step that the store does not have, once all stages are elaborated.
 * Then the target is walked from its end: the first step with a record makes all below it, and the
 * stages that only those need, superfluous. What was found is fetched and unpacked before it
 * counts, so that a source that lies, stalls or loses layers costs its hits and nothing else.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "solve/import-internal.h"

enum { CONFIG_BYTES_MAX = 32 << 20, MANIFEST_BYTES_MAX = 4 << 20 };

/* --- chain keys --- */

static bool vertex_chain_id(struct rb_solver *s, const struct rb_vertex *v,
			    char id[static RB_ID_BYTES]);

/* The layers that an image has, whoever unpacked or built it. */
static void image_chain_id(const struct image_state *st, char id[static RB_ID_BYTES])
{
	rb_chain_snapshot_id(&st->config, st->config.n_diff_ids, id);
}

static bool root_chain_id(struct rb_solver *s, const struct rb_root_ref *ref,
			  char id[static RB_ID_BYTES])
{
	id[0] = '\0';
	switch (ref->kind) {
	case RB_ROOT_SCRATCH:
		return true;
	case RB_ROOT_CONTEXT:
		(void)snprintf(id, RB_ID_BYTES, "%s", rb_solve_root_id(s, ref));
		return true;
	case RB_ROOT_IMAGE:
		image_chain_id(s->images[ref->image->index], id);
		return true;
	case RB_ROOT_STAGE: {
		const struct rb_vertex *top = rb_plan_stage_top(ref->stage);
		struct rb_root_ref root = rb_plan_stage_root(ref->stage);

		return top ? vertex_chain_id(s, top, id) : root_chain_id(s, &root, id);
	}
	}
	rb_bug("unknown root");
}

static bool vertex_chain_id(struct rb_solver *s, const struct rb_vertex *v,
			    char id[static RB_ID_BYTES])
{
	struct rb_digest key;
	char hex[RB_DIGEST_TEXT_BYTES];

	if (!rb_solve_chain_key(s, v, &key))
		return false;
	(void)snprintf(id, RB_ID_BYTES, "k-%s", rb_digest_hex(&key, hex));
	return true;
}

static bool parent_chain_id(struct rb_solver *s, const struct rb_vertex *v,
			    char id[static RB_ID_BYTES])
{
	struct rb_root_ref root = rb_plan_stage_root(v->stage);

	id[0] = '\0';
	if (rb_vertex_is_detached(v))
		return true;
	return v->parent ? vertex_chain_id(s, v->parent, id) : root_chain_id(s, &root, id);
}

/* The id of an input; of a directory, what is taken from it. */
static bool input_chain_id(struct rb_solver *s, const struct rb_vertex *v, size_t i,
			   char id[static RB_ID_BYTES])
{
	const struct vertex_state *st = &s->vertices[v->index];
	char hex[RB_DIGEST_TEXT_BYTES];

	if (!rb_solve_local_dir(s, rb_vertex_input(v, i)))
		return root_chain_id(s, rb_vertex_input(v, i), id);
	if (st->has_input[i])
		(void)snprintf(id, RB_ID_BYTES, "f-%s", rb_digest_hex(&st->content[i], hex));
	return st->has_input[i];
}

static struct rb_digest link_chain_key(const char *parent, const char *layer)
{
	RB_CLEANUP(rb_hash_freep) struct rb_hash *h = rb_hash_new();

	rb_hash_addstr(h, "link");
	rb_hash_addstr(h, parent);
	rb_hash_addstr(h, layer);
	return rb_hash_final(h);
}

static bool key_with_inputs(struct rb_solver *s, const struct rb_vertex *v, const char *parent,
			    struct rb_digest *ret)
{
	RB_CLEANUP(rb_strv_clear) struct rb_strv ids = RB_STRV_INIT;
	size_t n = rb_vertex_n_inputs(v), dirs = 0;
	char id[RB_ID_BYTES];

	for (size_t i = 0; i < n; i++) {
		if (!input_chain_id(s, v, i, id))
			return false;
		rb_strv_add(&ids, id);
		dirs += rb_solve_local_dir(s, rb_vertex_input(v, i)) != NULL;
	}
	if (!n || dirs < n)
		return rb_vertex_definition_key(v, parent, (const char *const *)ids.v, ret);
	/* Where in the directory the files lie does not matter then. */
	*ret = rb_vertex_content_key(v, parent, s->vertices[v->index].content);
	return true;
}

static bool compute_chain_key(struct rb_solver *s, const struct rb_vertex *v, struct rb_digest *ret)
{
	char parent[RB_ID_BYTES], layer[RB_ID_BYTES];

	if (!parent_chain_id(s, v, parent))
		return false;
	if (v->kind == RB_VERTEX_LINK) {
		if (!vertex_chain_id(s, v->link.layer, layer))
			return false;
		*ret = link_chain_key(parent, layer);
		return true;
	}
	return key_with_inputs(s, v, parent, ret);
}

/* The step that makes a tree; NULL: none of this build. */
static const struct rb_vertex *top_of(const struct rb_root_ref *ref)
{
	return ref->kind == RB_ROOT_STAGE ? rb_plan_stage_top(ref->stage) : NULL;
}

static bool runs_again(struct rb_solver *s, const struct rb_vertex *v);

/* What is to run again is not what others have, and so is nothing that is made from it. */
static bool find_fate(struct rb_solver *s, const struct rb_vertex *v)
{
	bool again = v->no_cache || runs_again(s, v->parent) ||
		     (v->kind == RB_VERTEX_LINK && runs_again(s, v->link.layer));

	for (size_t i = 0; i < rb_vertex_n_inputs(v) && !again; i++)
		again = runs_again(s, top_of(rb_vertex_input(v, i)));
	return again;
}

/* Key and fate of v and all below it, from below: a stage may be longer than a stack is deep. */
static const struct vertex_state *learn(struct rb_solver *s, const struct rb_vertex *v)
{
	const struct rb_vertex **todo = NULL;
	size_t n = 0, cap = 0;

	for (const struct rb_vertex *p = v; p && !s->vertices[p->index].learned; p = p->parent) {
		rb_grow(todo, n, &cap);
		todo[n++] = p;
	}
	while (n-- > 0) {
		struct vertex_state *st = &s->vertices[todo[n]->index];

		st->runs_again = find_fate(s, todo[n]);
		st->has_chain_key = compute_chain_key(s, todo[n], &st->chain_key);
		st->learned = true;
	}
	free(todo);
	return &s->vertices[v->index];
}

static bool runs_again(struct rb_solver *s, const struct rb_vertex *v)
{
	return v && learn(s, v)->runs_again;
}

bool rb_solve_chain_key(struct rb_solver *s, const struct rb_vertex *v, struct rb_digest *ret)
{
	const struct vertex_state *st = learn(s, v);

	*ret = st->chain_key;
	return st->has_chain_key;
}

/* --- what is needed, and what the sources have of it --- */

/* Steps from the stage's base root up to v, and the layers of that root. */
static size_t steps_to(const struct rb_vertex *v)
{
	size_t n = 0;

	for (; v; v = v->parent)
		n++;
	return n;
}

/* The stack of a record begins with the base's own layers, and each step is one layer. */
static bool fits(struct rb_solver *s, const struct rb_vertex *v, const struct imported *im,
		 const size_t *chain, size_t n)
{
	struct rb_root_ref root = rb_plan_stage_root(v->stage);
	const struct rb_image_config *base = root.kind == RB_ROOT_IMAGE && !rb_vertex_is_detached(v)
						     ? &s->images[root.image->index]->config
						     : NULL;
	size_t n_base = base ? base->n_diff_ids : 0;

	if (n != n_base + steps_to(v))
		return false;
	for (size_t i = 0; i < n_base; i++)
		if (!rb_digest_eq(&im->config.layers[chain[i]].diff_id, &base->diff_ids[i]))
			return false;
	return true;
}

void rb_import_chain_ids(const struct rb_cache_config *config, const size_t *chain, size_t n,
			 char (*ids)[RB_ID_BYTES])
{
	struct rb_digest d;
	char hex[RB_DIGEST_TEXT_BYTES];

	for (size_t i = 0; i < n; i++) {
		const struct rb_digest *diff = &config->layers[chain[i]].diff_id;

		d = rb_chain_id(i ? &d : NULL, diff);
		(void)snprintf(ids[i], RB_ID_BYTES, "c-%s", rb_digest_hex(&d, hex));
	}
}

/* The step and all below it that are not known yet take their results from the record. */
static void take(struct rb_solver *s, const struct rb_vertex *v, const struct imported *im,
		 const size_t *chain, size_t n)
{
	char(*ids)[RB_ID_BYTES] = rb_calloc(n, sizeof(*ids));

	rb_import_chain_ids(&im->config, chain, n, ids);
	for (; v; v = v->parent, n--) {
		struct vertex_state *st = &s->vertices[v->index];

		st->needed = true;
		if (st->known)
			continue;
		st->imported = true;
		memcpy(st->id, ids[n - 1], sizeof(st->id));
	}
	free(ids);
}

static void free_chain(size_t **chain)
{
	free(*chain);
}

static bool find(struct rb_solver *s, const struct rb_vertex *v)
{
	struct import *import = s->import;
	struct rb_digest key;

	if (runs_again(s, v) || !rb_solve_chain_key(s, v, &key))
		return false;
	for (size_t i = 0; i < import->n; i++) {
		struct imported *im = &import->v[i];
		const struct rb_cache_record *r = rb_cache_config_find(&im->config, &key);

		if (!r || im->spoiled)
			continue;
		size_t n = rb_cache_config_depth(&im->config, r->layer);
		RB_CLEANUP(free_chain) size_t *chain = rb_calloc(n, sizeof(*chain));
		rb_cache_config_chain(&im->config, r->layer, chain);
		if (!fits(s, v, im, chain, n))
			continue;
		take(s, v, im, chain, n);
		rb_grow(import->hits, import->n_hits, &import->cap_hits);
		import->hits[import->n_hits++] =
			(struct import_hit){.source = i, .layer = r->layer};
		return true;
	}
	return false;
}

struct vertex_list {
	const struct rb_vertex **v;
	size_t n, cap;
};

static void list_add(struct vertex_list *l, const struct rb_vertex *v)
{
	rb_grow(l->v, l->n, &l->cap);
	l->v[l->n++] = v;
}

/* One stage from v down; the ends of others that it takes from are left in `others`. */
static void need_stage(struct rb_solver *s, const struct rb_vertex *v, struct vertex_list *others)
{
	for (; v; v = v->parent) {
		struct vertex_state *st = &s->vertices[v->index];

		if (st->needed)
			return;
		st->needed = true;
		if (st->known)
			continue;
		if (find(s, v))
			return;
		if (v->kind == RB_VERTEX_LINK)
			list_add(others, v->link.layer);
		for (size_t i = 0; i < rb_vertex_n_inputs(v); i++)
			list_add(others, top_of(rb_vertex_input(v, i)));
	}
}

static void need(struct rb_solver *s, const struct rb_vertex *top)
{
	struct vertex_list todo = {0};

	list_add(&todo, top);
	while (todo.n) {
		const struct rb_vertex *v = todo.v[--todo.n];

		need_stage(s, v, &todo);
	}
	free(todo.v);
}

/* Stages take from earlier ones: in this order no look goes through more than one, however long the
 * way through all of them is. */
static void learn_all(struct rb_solver *s)
{
	for (size_t i = 0; i < s->in.plan->n_stages; i++)
		if (s->stages[i].added)
			(void)runs_again(s, rb_plan_stage_top(&s->in.plan->stages[i]));
}

/* Goes through the whole plan anew. */
static void choose(struct rb_solver *s)
{
	s->import->n_hits = 0;
	for (size_t i = 0; i < s->n_vertices; i++) {
		struct vertex_state *st = &s->vertices[i];

		st->needed = false;
		st->imported = false;
	}
	learn_all(s);
	need(s, rb_plan_stage_top(s->in.plan->target));
}

/* --- the two jobs --- */

bool rb_import_wants(const struct rb_solver *s)
{
	return s->in.options->n_cache_sources;
}

void rb_import_wait(struct rb_solver *s, unsigned node)
{
	struct import *import = s->import;

	if (!import) {
		import = s->import = rb_calloc(1, sizeof(*import));
		import->n = s->in.options->n_cache_sources;
		import->v = rb_calloc(import->n, sizeof(*import->v));
		rb_solve_add_job(s, JOB_IMPORT, &import->node);
	}
	rb_sched_depend(s->sched, node, import->node);
}

bool rb_import_is_done(const struct rb_solver *s)
{
	return s->import && rb_sched_state(s->sched, s->import->node) == RB_NODE_DONE;
}

static bool waits_for(struct rb_solver *s, unsigned node)
{
	if (rb_sched_state(s->sched, node) == RB_NODE_DONE)
		return false;
	rb_sched_depend(s->sched, s->import->node, node);
	return true;
}

/* Every stage is to have its steps first, and what they fetch is to be known. */
static bool waits_for_keys(struct rb_solver *s)
{
	bool waits = false;

	for (size_t i = 0; i < s->in.plan->n_stages; i++)
		if (s->stages[i].added)
			waits |= waits_for(s, s->stages[i].elaborate_node);
	for (size_t i = 0; i < s->n_remotes; i++)
		waits |= waits_for(s, s->remotes[i].node);
	return waits;
}

/* Contents of context directories are parts of chain keys. */
static int know_contents(struct rb_solver *s, struct rb_error **err)
{
	for (size_t i = 0; i < s->in.plan->n_stages; i++) {
		const struct rb_plan_stage *stage = &s->in.plan->stages[i];

		for (size_t k = 0; k < stage->n_vertices; k++)
			if (rb_solve_know_content(s, stage->vertices[k], err) < 0)
				return -1;
	}
	return 0;
}

int rb_import_examine(struct rb_solver *s, unsigned node, struct rb_error **err)
{
	if (waits_for_keys(s))
		return 0;
	if (!s->import->was_read && know_contents(s, err) < 0)
		return -1;
	rb_sched_want_slot(s->sched, node);
	return 0;
}

/* A source that cannot be had is told, and that is all. */
static void warn(struct rb_solver *s, unsigned ev, const struct rb_cache_source *source,
		 const char *why)
{
	RB_CLEANUP(rb_strp)
	char *text = rb_asprintf("the cache %s is not used: %s", source->shown, why);

	rb_solve_emit(s, ev, RB_EV_WARN, text);
}

static int load_inline(const struct rb_manifest *m, const struct rb_buf *text,
		       struct rb_cache_config *ret, struct rb_error **err)
{
	RB_CLEANUP(rb_image_config_clear) struct rb_image_config config = {0};
	RB_CLEANUP(rb_strp) char *records = rb_image_config_inline_cache(text->ptr, text->len);
	size_t layer = 0;

	if (rb_image_config_parse(text->ptr, text->len, &config, err) < 0)
		return -1;
	if (!records)
		return rb_fail(err, RB_ERR_NOTFOUND, "the image has no cache inside");
	if (m->n_layers != config.n_diff_ids)
		return rb_fail(err, RB_ERR_CORRUPT,
			       "the manifest has %zu layers, the image config %zu", m->n_layers,
			       config.n_diff_ids);
	for (size_t i = 0; i < m->n_layers; i++)
		(void)rb_cache_config_add_layer(
			ret, (struct rb_cache_layer){
				     .blob = m->layers[i].digest,
				     .size = m->layers[i].size,
				     .media_type = rb_strdup(m->layers[i].media_type),
				     .diff_id = config.diff_ids[i],
				     .parent = i ? i - 1 : RB_CACHE_NO_PARENT,
			     });
	for (size_t i = 0; i < config.n_history && layer < ret->n_layers; i++)
		if (!config.history[i].empty_layer)
			ret->layers[layer++].created = rb_strdup(
				config.history[i].created ? config.history[i].created : "");
	return rb_cache_config_parse_inline(records, ret, err);
}

/* What the worker fetched: manifest and config are blobs of the store now. */
static int load(struct rb_solver *s, struct imported *im, const struct rb_digest *manifest,
		struct rb_error **err)
{
	RB_CLEANUP(rb_buf_clear) struct rb_buf text = RB_BUF_INIT;
	RB_CLEANUP(rb_buf_clear) struct rb_buf config = RB_BUF_INIT;
	RB_CLEANUP(rb_manifest_clear) struct rb_manifest m = {.kind = RB_DOC_MANIFEST};

	if (rb_store_read_blob(s->in.store, manifest, MANIFEST_BYTES_MAX, &text, err) < 0 ||
	    rb_manifest_parse(text.ptr, text.len, NULL, &m, err) < 0 ||
	    rb_store_read_blob(s->in.store, &m.config.digest, CONFIG_BYTES_MAX, &config, err) < 0)
		return -1;
	return rb_manifest_is_cache(&m)
		       ? rb_cache_config_parse(config.ptr, config.len, &im->config, err)
		       : load_inline(&m, &config, &im->config, err);
}

/* A line for each source: the manifest's digest, or why there is none. */
static void adopt_sources(struct rb_solver *s, struct job *job)
{
	struct import *import = s->import;
	RB_CLEANUP(rb_strp)
	char *text = rb_strndup(job->worker.result.ptr, job->worker.result.len);
	char *rest = text;

	for (size_t i = 0; i < import->n; i++) {
		struct imported *im = &import->v[i];
		const char *line = strsep(&rest, "\n");
		struct rb_error *err = NULL;
		struct rb_digest manifest;

		if (!line || !*line)
			line = "it could not be read in time";
		im->spoiled = rb_digest_parse(line, &manifest) < 0;
		if (im->spoiled) {
			warn(s, job->ev, &s->in.options->cache_sources[i], line);
		} else if (load(s, im, &manifest, &err) < 0) {
			RB_CLEANUP(rb_strp) char *why = rb_error_text(err);

			warn(s, job->ev, &s->in.options->cache_sources[i], why);
			rb_error_drop(&err);
			rb_cache_config_clear(&im->config);
			im->spoiled = true;
		}
		rb_log_debug("cache %s: %zu records", s->in.options->cache_sources[i].shown,
			     im->config.n_records);
	}
}

/* Bytes of the result: one a hit, '1' when its tree is there. */
static void adopt_layers(struct rb_solver *s, struct job *job)
{
	struct import *import = s->import;

	for (size_t i = 0; i < import->n_hits; i++) {
		const struct import_hit *h = &import->hits[i];

		if (i < job->worker.result.len && job->worker.result.ptr[i] == '1')
			continue;
		if (!import->v[h->source].spoiled)
			warn(s, job->ev, &s->in.options->cache_sources[h->source],
			     "a layer that it names cannot be had");
		import->v[h->source].spoiled = true;
	}
}

static bool all_there(const struct rb_solver *s)
{
	for (size_t i = 0; i < s->n_vertices; i++)
		if (s->vertices[i].imported &&
		    !rb_snapshot_exists(s->in.snapshots, s->vertices[i].id))
			return false;
	return true;
}

const char *rb_import_job_name(const struct rb_solver *s)
{
	return s->import->was_read ? "importing cached layers" : "importing cache";
}

bool rb_import_adopt(struct rb_solver *s, struct job *job)
{
	struct import *import = s->import;

	if (import->was_read)
		adopt_layers(s, job);
	else
		adopt_sources(s, job);
	import->was_read = true;
	choose(s);
	return all_there(s);
}

/* --- for --cache-to --- */

static bool is_of_target(const struct rb_solver *s, const struct rb_vertex *v)
{
	const struct rb_vertex *t = rb_plan_stage_top(s->in.plan->target);

	while (t && t != v)
		t = t->parent;
	return t;
}

void rb_solve_steps(struct rb_solver *s, struct rb_solved_step **ret, size_t *ret_n)
{
	struct rb_solved_step *v = rb_calloc(s->n_vertices, sizeof(*v));
	size_t n = 0;

	/* More contents are known than when sources were asked. */
	for (size_t i = 0; i < s->n_vertices; i++)
		s->vertices[i].learned = false;
	for (size_t i = 0; i < s->in.plan->n_stages; i++) {
		const struct rb_plan_stage *stage = &s->in.plan->stages[i];

		for (size_t k = 0; k < stage->n_vertices; k++) {
			const struct rb_vertex *vertex = stage->vertices[k];
			const struct vertex_state *st = &s->vertices[vertex->index];

			if (!st->known || !rb_solve_chain_key(s, vertex, &v[n].key))
				continue;
			memcpy(v[n].snapshot, st->id, sizeof(v[n].snapshot));
			v[n++].of_target = is_of_target(s, vertex);
		}
	}
	*ret = v;
	*ret_n = n;
}

void rb_import_free(struct import *import)
{
	if (!import)
		return;
	for (size_t i = 0; i < import->n; i++)
		rb_cache_config_clear(&import->v[i].config);
	free(import->v);
	free(import->hits);
	free(import);
}
