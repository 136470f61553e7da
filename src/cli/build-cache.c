// SPDX-License-Identifier: Apache-2.0
#include "cli/build-cache.h"

#include <stdlib.h>
#include <string.h>

#include "solve/worker.h"

static int parse_dests(const struct rb_strv *texts, struct rb_build_cache *ret,
		       struct rb_error **err)
{
	ret->dests = rb_calloc(texts->n, sizeof(*ret->dests));
	for (size_t i = 0; i < texts->n; i++) {
		struct rb_output_spec *spec = &ret->dests[ret->n_dests];

		/* An empty value is none, as elsewhere: scripts write --cache-to "$CACHE". */
		if (!*texts->v[i])
			continue;
		if (rb_output_cache_parse(texts->v[i], spec, err) < 0)
			return rb_wrap(err, "--cache-to");
		ret->n_dests++;
		ret->is_inline |= spec->type == RB_OUTPUT_CACHE_INLINE;
		if (!spec->ignore_error && rb_output_spec_check(spec, err) < 0)
			return rb_wrap(err, "--cache-to");
	}
	return 0;
}

static int parse_sources(const struct rb_strv *texts, struct rb_build_cache *ret,
			 struct rb_error **err)
{
	ret->sources = rb_calloc(texts->n, sizeof(*ret->sources));
	for (size_t i = 0; i < texts->n; i++) {
		if (!*texts->v[i])
			continue;
		if (rb_cache_source_parse(texts->v[i], &ret->sources[ret->n_sources], err) < 0)
			return rb_wrap(err, "--cache-from");
		ret->n_sources++;
	}
	return 0;
}

int rb_build_cache_parse(struct rb_build_options *o, struct rb_build_cache *ret,
			 struct rb_error **err)
{
	const char *arg = rb_env_get(&o->args, "BUILDKIT_INLINE_CACHE");

	/* Another value is none, as elsewhere: it may be an argument of the Dockerfile's own. */
	if (arg)
		(void)rb_parse_bool(arg, &ret->is_inline);
	return parse_dests(&o->cache_to, ret, err) < 0 ||
			       parse_sources(&o->cache_from, ret, err) < 0
		       ? -1
		       : 0;
}

void rb_build_cache_clear(struct rb_build_cache *c)
{
	for (size_t i = 0; i < c->n_dests; i++)
		rb_output_spec_clear(&c->dests[i]);
	for (size_t i = 0; i < c->n_sources; i++)
		rb_cache_source_clear(&c->sources[i]);
	free(c->dests);
	free(c->sources);
	*c = (struct rb_build_cache){0};
}

bool rb_build_cache_has_directory(const struct rb_build_cache *c)
{
	for (size_t i = 0; i < c->n_dests; i++)
		if (c->dests[i].type == RB_OUTPUT_CACHE_LOCAL)
			return true;
	return false;
}

/* --- export --- */

struct cache_export {
	const struct rb_build_cache *cache;
	struct rb_session *session;
	struct rb_solved_step *steps;
	size_t n_steps;
};

static void collect_steps(struct cache_export *e)
{
	for (size_t i = 0; i < e->session->n_platforms; i++) {
		struct rb_solved_step *steps;
		size_t n;

		rb_solve_steps(e->session->platforms[i].solver, &steps, &n);
		e->steps = rb_reallocarray(e->steps, e->n_steps + n, sizeof(*e->steps));
		memcpy(e->steps + e->n_steps, steps, n * sizeof(*steps));
		e->n_steps += n;
		free(steps);
	}
}

static int export_one(struct cache_export *e, const struct rb_output_spec *spec,
		      struct rb_worker_port *port, struct rb_error **err)
{
	struct rb_session *s = e->session;

	if (rb_output_cache(s->store, s->snapshots, e->steps, e->n_steps, spec, s->options.jobs,
			    err) == 0)
		return 0;
	if (!spec->ignore_error)
		return rb_wrap(err, "--cache-to");
	RB_CLEANUP(rb_strp) char *why = rb_error_text(*err);
	rb_error_drop(err);
	rb_worker_status(port, "ignored: %s", why);
	return 0;
}

static int export_all(void *ctx, struct rb_worker_port *port, struct rb_error **err)
{
	struct cache_export *e = ctx;

	for (size_t i = 0; i < e->cache->n_dests; i++)
		if (e->cache->dests[i].type == RB_OUTPUT_CACHE_LOCAL &&
		    export_one(e, &e->cache->dests[i], port, err) < 0)
			return -1;
	return 0;
}

int rb_build_cache_export(const struct rb_build_cache *c, struct rb_session *s,
			  struct rb_error **err)
{
	struct cache_export e = {.cache = c, .session = s};

	if (!rb_build_cache_has_directory(c))
		return 0;
	collect_steps(&e);
	int r = rb_solve_task(s->solver, "exporting cache to client directory", export_all, &e,
			      NULL, err);
	free(e.steps);
	return r;
}

void rb_build_cache_add_inline(const struct rb_build_cache *c, struct rb_solver *solver,
			       struct rb_solved_image *im)
{
	struct rb_solved_step *steps;
	size_t n;

	if (!c->is_inline)
		return;
	rb_solve_steps(solver, &steps, &n);
	free(im->config.inline_cache);
	im->config.inline_cache = rb_output_cache_inline(im, steps, n);
	free(steps);
}
