// SPDX-License-Identifier: Apache-2.0
/* The worker of JOB_IMPORT: reads the sources of --cache-from, then fetches the layers of hits. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "context/layout.h"
#include "registry/registry.h"
#include "solve/import-internal.h"

enum {
	DOCUMENT_BYTES_MAX = 32 << 20,
	REASON_BYTES_MAX = 4096,
	READ_SEC = 30, /* all sources together; layers may take as long as they need */
};

/* --- an OCI layout in a directory --- */

static int open_layout(const struct rb_cache_source *c, struct rb_error **err)
{
	int fd = open(c->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 ? rb_fail_errno(err, "cannot open %s", c->path) : fd;
}

static const struct rb_descriptor *choose_entry(const struct rb_cache_source *c,
						const struct rb_manifest *index)
{
	const char *tag = c->tag ? c->tag : "latest";

	for (size_t i = 0; i < index->n_layers; i++) {
		const struct rb_descriptor *d = &index->layers[i];

		if (c->has_digest ? rb_digest_eq(&d->digest, &c->digest)
				  : d->ref_name && rb_streq(d->ref_name, tag))
			return d;
	}
	return NULL;
}

static int read_layout(struct rb_solver *s, const struct rb_cache_source *c, struct rb_digest *ret,
		       struct rb_error **err)
{
	RB_CLEANUP(rb_closep) int dir = open_layout(c, err);
	RB_CLEANUP(rb_buf_clear) struct rb_buf text = RB_BUF_INIT;
	RB_CLEANUP(rb_manifest_clear) struct rb_manifest index = {.kind = RB_DOC_INDEX};
	RB_CLEANUP(rb_manifest_clear) struct rb_manifest m = {.kind = RB_DOC_MANIFEST};

	if (dir < 0 || rb_layout_read_json(dir, "index.json", &text, err) < 0 ||
	    rb_manifest_parse(text.ptr, text.len, RB_MT_OCI_INDEX, &index, err) < 0)
		return -1;
	const struct rb_descriptor *d = choose_entry(c, &index);
	if (!d)
		return rb_fail(err, RB_ERR_NOTFOUND, "%s/index.json has no %s %s", c->path,
			       c->has_digest ? "such digest" : "entry with the tag",
			       c->has_digest ? ""
			       : c->tag      ? c->tag
					     : "latest");
	const struct rb_layout layout = {.store = s->in.store, .dirfd = dir};
	rb_buf_truncate(&text, 0);
	if (rb_layout_read(&layout, &d->digest, d->size, &text, err) < 0 ||
	    rb_manifest_parse(text.ptr, text.len, d->media_type, &m, err) < 0)
		return -1;
	if (m.kind != RB_DOC_MANIFEST || m.config.size > DOCUMENT_BYTES_MAX)
		return rb_fail(err, RB_ERR_CORRUPT, "this is no build cache");
	*ret = d->digest;
	return rb_layout_need_blob(&layout, &m.config.digest, m.config.size, err);
}

/* --- reading the sources --- */

static int read_registry(struct rb_solver *s, const struct rb_cache_source *c,
			 struct rb_digest *ret, struct rb_error **err)
{
	struct rb_pulled pulled;

	if (rb_registry_pull_cache(s->in.store, &c->ref, &s->in.plan->options.target_platform,
				   &pulled, err) < 0)
		return -1;
	*ret = pulled.manifest;
	return 0;
}

/* A line of the result: the manifest's digest, or why there is none. */
static void read_source(struct rb_solver *s, const struct rb_cache_source *c,
			struct rb_worker_port *port)
{
	RB_CLEANUP(rb_buf_clear) struct rb_buf line = RB_BUF_INIT;
	struct rb_error *err = NULL;
	struct rb_digest manifest;
	char text[RB_DIGEST_TEXT_BYTES];

	rb_worker_status(port, "importing cache manifest from %s", c->shown);
	if ((c->path ? read_layout(s, c, &manifest, &err) : read_registry(s, c, &manifest, &err)) <
	    0) {
		RB_CLEANUP(rb_strp) char *why = rb_error_text(err);

		for (char *p = why; (p = strchr(p, '\n'));)
			*p = ' ';
		rb_buf_add(&line, why, rb_min_size(strlen(why), REASON_BYTES_MAX));
		rb_error_drop(&err);
	} else {
		rb_buf_addstr(&line, rb_digest_text(&manifest, text));
	}
	rb_buf_addch(&line, '\n');
	rb_worker_part(port, line.ptr, line.len);
}

static void read_sources(struct rb_solver *s, struct rb_worker_port *port)
{
	const struct rb_solve_options *o = s->in.options;

	/* Whoever started rbuild may have it ignored. */
	(void)signal(SIGALRM, SIG_DFL);
	(void)alarm(READ_SEC);
	for (size_t i = 0; i < o->n_cache_sources; i++)
		read_source(s, &o->cache_sources[i], port);
}

/* --- fetching the layers --- */

static int fetch_from_layout(struct rb_solver *s, const struct rb_cache_source *c,
			     const struct rb_descriptor *v, size_t n, struct rb_error **err)
{
	RB_CLEANUP(rb_closep) int dir = open_layout(c, err);
	const struct rb_layout layout = {.store = s->in.store, .dirfd = dir};

	if (dir < 0)
		return -1;
	for (size_t i = 0; i < n; i++)
		if (rb_layout_need_blob(&layout, &v[i].digest, v[i].size, err) < 0)
			return -1;
	return 0;
}

static int fetch_missing(struct rb_solver *s, const struct rb_cache_source *c,
			 const struct rb_cache_config *config, const size_t *chain, size_t n,
			 struct rb_error **err)
{
	struct rb_descriptor *want = rb_calloc(n, sizeof(*want));

	for (size_t i = 0; i < n; i++) {
		const struct rb_cache_layer *l = &config->layers[chain[i]];

		want[i] = (struct rb_descriptor){.digest = l->blob, .size = l->size};
	}
	int r = c->path ? fetch_from_layout(s, c, want, n, err)
			: rb_registry_pull_blobs(s->in.store, &c->ref, want, n, NULL, err);
	free(want);
	return r;
}

/* The time of the step that made it, which the image's history shows. */
static int set_created(struct rb_solver *s, const char *id, const char *created,
		       struct rb_error **err)
{
	struct rb_snapshot_meta meta;

	if (!created)
		return 0;
	if (rb_snapshot_stat(s->in.snapshots, id, &meta, err) < 0)
		return -1;
	return rb_rfc3339_parse(created, &meta.created_s, &meta.created_ns) < 0
		       ? 0
		       : rb_snapshot_update(s->in.snapshots, &meta, err);
}

/* Unpacks what is missing of a stack, from the bottom. */
static int fetch_stack(struct rb_solver *s, const struct import_hit *h, struct rb_worker_port *port,
		       struct rb_error **err)
{
	const struct rb_cache_config *config = &s->import->v[h->source].config;
	const struct rb_cache_source *c = &s->in.options->cache_sources[h->source];
	size_t n = rb_cache_config_depth(config, h->layer), first = 0;
	size_t *chain = rb_calloc(n, sizeof(*chain));
	char(*ids)[RB_ID_BYTES] = rb_calloc(n, sizeof(*ids));
	int r = 0;

	rb_cache_config_chain(config, h->layer, chain);
	rb_import_chain_ids(config, chain, n, ids);
	for (size_t i = n; i-- > 0 && !first;)
		if (rb_snapshot_exists(s->in.snapshots, ids[i]))
			first = i + 1;
	if (first < n)
		r = fetch_missing(s, c, config, chain + first, n - first, err);
	for (size_t i = first; r == 0 && i < n; i++) {
		const struct rb_cache_layer *l = &config->layers[chain[i]];
		const struct rb_descriptor d = {
			.media_type = l->media_type, .digest = l->blob, .size = l->size};

		rb_worker_status(port, "extracting layer %zu/%zu", i + 1, n);
		r = rb_unpack_layer(s, i ? ids[i - 1] : "", ids[i], &d, &l->diff_id, err);
		if (r == 0)
			r = set_created(s, ids[i], l->created, err);
	}
	free(ids);
	free(chain);
	return r;
}

static void fetch_hits(struct rb_solver *s, struct rb_worker_port *port)
{
	for (size_t i = 0; i < s->import->n_hits; i++) {
		struct rb_error *err = NULL;
		int r = fetch_stack(s, &s->import->hits[i], port, &err);

		if (r < 0) {
			RB_CLEANUP(rb_strp) char *why = rb_error_text(err);

			rb_worker_status(port, "%s", why);
		}
		rb_error_drop(&err);
		rb_worker_part(port, r == 0 ? "1" : "0", 1);
	}
}

int rb_op_import(void *ctx, struct rb_worker_port *port, struct rb_error **err)
{
	const struct op_import *op = ctx;

	(void)err;
	if (op->solver->import->was_read)
		fetch_hits(op->solver, port);
	else
		read_sources(op->solver, port);
	return 0;
}
