// SPDX-License-Identifier: Apache-2.0
/* Base images: names -> config, blobs, unpacked trees. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/fd.h"
#include "context/layout.h"
#include "image/manifest.h"
#include "image/reference.h"
#include "layer/layer.h"
#include "registry/registry.h"
#include "solve/solve-internal.h"

enum { CONFIG_BYTES_MAX = 8 << 20, MANIFEST_BYTES_MAX = 4 << 20 };

/* Id of the tree made of the first n layers; shared by all images that begin with them. */
void rb_chain_snapshot_id(const struct rb_image_config *config, size_t n,
			  char id[static RB_ID_BYTES])
{
	struct rb_digest chain;
	char hex[RB_DIGEST_TEXT_BYTES];

	id[0] = '\0';
	if (!n)
		return;
	chain = rb_chain_id(NULL, &config->diff_ids[0]);
	for (size_t i = 1; i < n; i++)
		chain = rb_chain_id(&chain, &config->diff_ids[i]);
	(void)snprintf(id, RB_ID_BYTES, "c-%s", rb_digest_hex(&chain, hex));
}

static int load_config(struct rb_solver *s, struct image_state *st, struct rb_error **err)
{
	RB_CLEANUP(rb_buf_clear) struct rb_buf text = RB_BUF_INIT;

	if (rb_store_read_blob(s->in.store, &st->record.config, CONFIG_BYTES_MAX, &text, err) < 0)
		return -1;
	return rb_image_config_parse(text.ptr, text.len, &st->config, err);
}

/* A built image whose layers are snapshots of this rung. */
static bool has_built_tree(struct rb_solver *s, const struct rb_image_record *r)
{
	return r->snapshot && r->rung && rb_streq(r->rung, rb_rung_name(s->in.host->rung)) &&
	       rb_snapshot_exists(s->in.snapshots, r->snapshot);
}

int rb_image_load(struct rb_solver *s, struct rb_plan_image *image, struct rb_error **err)
{
	struct image_state *st = s->images[image->index];

	if (load_config(s, st, err) < 0)
		return rb_wrap(err, "image %s in the store", image->shown);
	st->has_snapshot_chain = has_built_tree(s, &st->record);
	if (st->has_snapshot_chain)
		(void)snprintf(st->id, sizeof(st->id), "%s", st->record.snapshot);
	else if (rb_digest_is_zero(&st->record.manifest) && st->config.n_diff_ids)
		return rb_fail(
			err, RB_ERR_NOTFOUND,
			"the image %s was built in mode %s and its layers are not available in mode %s; build it "
			"again, or use --mode %s",
			image->shown, st->record.rung ? st->record.rung : "unknown",
			rb_rung_name(s->in.host->rung),
			st->record.rung ? st->record.rung : "range");
	else
		rb_chain_snapshot_id(&st->config, st->config.n_diff_ids, st->id);
	image->config = &st->config;
	return 0;
}

bool rb_image_is_unpacked(struct rb_solver *s, const struct image_state *st)
{
	return rb_snapshot_exists(s->in.snapshots, st->id);
}

/* --- pulling
 * ----------------------------------------------------------------------------------------- */

struct pull_report {
	struct rb_worker_port *port;
	uint64_t shown; /* bytes at the last status */
};

static void report_bytes(void *ctx, uint64_t done, uint64_t total)
{
	struct pull_report *r = ctx;

	/* At most every 5 % or 5 MB (8.4). */
	if (done != total && done - r->shown < total / 20 && done - r->shown < 5000000)
		return;
	r->shown = done;
	rb_worker_status(r->port, "%.2fMB / %.2fMB", (double)done / 1e6, (double)total / 1e6);
}

static int pull(const struct op_image *op, const char *digest, bool config_only,
		struct rb_worker_port *port, struct rb_pulled *ret, struct rb_error **err)
{
	struct pull_report report = {.port = port};
	const struct rb_net_progress progress = {.bytes = report_bytes, .ctx = &report};
	struct rb_ref ref = {0};

	if (rb_ref_parse(op->image->name, &ref, err) < 0)
		return -1;
	if (digest) {
		free(ref.digest);
		ref.digest = rb_strdup(digest);
	}
	int r = rb_registry_pull(op->solver->in.store, &ref, &op->image->platform, config_only,
				 &progress, ret, err);
	rb_ref_clear(&ref);
	return r;
}

struct platforms {
	const char *name;
	struct rb_buf text;
};

static int add_platform(void *ctx, const struct rb_image_record *r)
{
	struct platforms *p = ctx;

	if (rb_streq(r->name, p->name))
		rb_buf_addf(&p->text, "%s%s", p->text.len ? ", " : "", r->platform);
	return 0;
}

/* Somebody who has just loaded the image would not know why it is asked for elsewhere. */
static int pull_failed(const struct op_image *op, struct rb_error **err)
{
	struct platforms p = {.name = op->image->name, .text = RB_BUF_INIT};
	char platform[RB_PLATFORM_TEXT_BYTES];
	struct rb_error *ignored = NULL;

	(void)rb_store_each_image(op->solver->in.store, add_platform, &p, &ignored);
	rb_error_drop(&ignored);
	if (p.text.len)
		(void)rb_wrap(err, "the store has %s for %s, not for %s", op->image->shown,
			      p.text.ptr, rb_platform_text(&op->image->platform, platform));
	rb_buf_clear(&p.text);
	if (op->image->near_stage && *op->image->near_stage)
		(void)rb_wrap(err, "no earlier stage is called %s, so it is taken for an image",
			      op->image->near_stage);
	return -1;
}

int rb_op_pull_config(void *ctx, struct rb_worker_port *port, struct rb_error **err)
{
	const struct op_image *op = ctx;
	struct rb_pulled pulled;
	char platform[RB_PLATFORM_TEXT_BYTES];

	if (pull(op, NULL, true, port, &pulled, err) < 0)
		return pull_failed(op, err);
	const struct rb_image_record record = {
		.name = rb_strdup(op->image->name),
		.platform = rb_platform_text(&op->image->platform, platform),
		.config = pulled.config,
		.manifest = pulled.manifest,
		.resolved = time(NULL),
		.origin = rb_strdup("pull"),
	};
	return rb_store_put_image(op->solver->in.store, &record, err);
}

/* --- unpacking
 * --------------------------------------------------------------------------------------- */

static int load_manifest(const struct op_image *op, struct rb_manifest *ret, struct rb_error **err)
{
	const struct image_state *st = op->solver->images[op->image->index];
	RB_CLEANUP(rb_buf_clear) struct rb_buf text = RB_BUF_INIT;

	if (rb_store_read_blob(op->solver->in.store, &st->record.manifest, MANIFEST_BYTES_MAX,
			       &text, err) < 0 ||
	    rb_manifest_parse(text.ptr, text.len, NULL, ret, err) < 0)
		return -1;
	if (ret->kind != RB_DOC_MANIFEST || ret->n_layers != st->config.n_diff_ids) {
		size_t n = ret->n_layers;

		rb_manifest_clear(ret);
		return rb_fail(err, RB_ERR_CORRUPT,
			       "the manifest has %zu layers, the image config %zu", n,
			       st->config.n_diff_ids);
	}
	return 0;
}

static int pull_missing(const struct op_image *op, const struct rb_manifest *m,
			struct rb_worker_port *port, struct rb_error **err)
{
	const struct image_state *st = op->solver->images[op->image->index];
	char digest[RB_DIGEST_TEXT_BYTES];
	struct rb_pulled pulled;
	bool missing = false;

	for (size_t i = 0; i < m->n_layers; i++)
		missing |= !rb_store_has_blob(op->solver->in.store, &m->layers[i].digest, NULL);
	if (missing && op->image->layout)
		return rb_layout_fetch(op->solver->in.store,
				       op->solver->in.named[op->image->layout->index]->path, m,
				       err);
	/* By digest: the tag may name something else by now. */
	return missing ? pull(op, rb_digest_text(&st->record.manifest, digest), false, port,
			      &pulled, err)
		       : 0;
}

static int unpack_into(struct rb_solver *s, struct rb_active *active, bool bottom,
		       const struct rb_descriptor *layer, const struct rb_digest *diff_id,
		       struct rb_apply_result *ret, struct rb_error **err)
{
	RB_CLEANUP(rb_closep)
	int blob = rb_store_open_blob(s->in.store, &layer->digest, err);
	RB_CLEANUP(rb_closep) int mount = -1;

	if (blob < 0)
		return -1;
	/* Nothing lies below a bottom layer: the directory itself serves, without an overlay's
	 * cost. */
	if (!bottom && (mount = rb_active_mount(active, err)) < 0)
		return -1;
	const struct rb_apply_spec spec = {
		.src_fd = blob,
		.root_fd = bottom ? rb_active_diff_fd(active) : mount,
		.upper_fd = bottom ? -1 : rb_active_diff_fd(active),
		.ledger = rb_active_ledger(active),
		.limits = &rb_layer_limits_default,
		.want_blob = &layer->digest,
		.want_diff = diff_id,
	};
	return rb_layer_apply(&spec, ret, err);
}

int rb_unpack_layer(struct rb_solver *s, const char *parent, const char *id,
		    const struct rb_descriptor *layer, const struct rb_digest *diff_id,
		    struct rb_error **err)
{
	struct rb_snapshotter *snapshots = s->in.snapshots;
	RB_CLEANUP(rb_active_freep) struct rb_active *active = NULL;
	struct rb_apply_result applied;
	struct rb_snapshot_meta meta;

	if (rb_snapshot_prepare(snapshots, parent, &active, err) < 0 ||
	    unpack_into(s, active, !*parent, layer, diff_id, &applied, err) < 0 ||
	    rb_active_commit(rb_steal_ptr(&active), id, &meta, err) < 0)
		return -1;
	meta.has_diff = meta.has_blob = true;
	meta.diff_id = applied.diff;
	meta.diff_size = applied.diff_size;
	meta.blob = applied.blob;
	meta.blob_size = applied.blob_size;
	(void)snprintf(meta.media_type, sizeof(meta.media_type), "%s", layer->media_type);
	if (rb_cache_put_verified(s, &applied.blob, &applied.diff, err) < 0)
		return -1;
	return rb_snapshot_update(snapshots, &meta, err);
}

/* A layer that is not what was pulled or imported any more gets out of the way of its repair. */
static int drop_if_damaged(const struct op_image *op, const struct rb_descriptor *layer,
			   struct rb_error **err)
{
	if (!rb_store_drop_damaged(op->solver->in.store, &layer->digest))
		return -1;
	rb_error_drop(err);
	return rb_fail(
		err, RB_ERR_CORRUPT,
		"its bytes in the store were damaged and are removed: build again to pull it, or "
		"import or load the image again");
}

static int unpack_layers(const struct op_image *op, const struct rb_manifest *m,
			 struct rb_worker_port *port, struct rb_error **err)
{
	const struct rb_image_config *config = &op->solver->images[op->image->index]->config;
	char parent[RB_ID_BYTES] = "", id[RB_ID_BYTES], digest[RB_DIGEST_TEXT_BYTES];

	for (size_t i = 0; i < m->n_layers; i++) {
		rb_chain_snapshot_id(config, i + 1, id);
		if (!rb_snapshot_exists(op->solver->in.snapshots, id)) {
			rb_worker_status(port, "extracting layer %zu/%zu", i + 1, m->n_layers);
			if (rb_unpack_layer(op->solver, parent, id, &m->layers[i],
					    &config->diff_ids[i], err) < 0 &&
			    drop_if_damaged(op, &m->layers[i], err) < 0)
				return rb_wrap(err, "layer %zu of %zu (%s)", i + 1, m->n_layers,
					       rb_digest_text(&m->layers[i].digest, digest));
		}
		memcpy(parent, id, sizeof(parent));
	}
	return 0;
}

static int verify_layer(const struct op_image *op, const struct rb_descriptor *layer,
			const struct rb_digest *diff_id, struct rb_error **err)
{
	RB_CLEANUP(rb_closep)
	int blob = rb_store_open_blob(op->solver->in.store, &layer->digest, err);
	char got[RB_DIGEST_TEXT_BYTES], want[RB_DIGEST_TEXT_BYTES];
	struct rb_apply_result r;

	if (blob < 0 || rb_layer_scan(blob, &rb_layer_limits_default, false, &r, err) < 0)
		return -1;
	if (!rb_digest_eq(&r.blob, &layer->digest))
		return rb_fail(err, RB_ERR_CORRUPT, "its bytes in the store have the digest %s",
			       rb_digest_text(&r.blob, got));
	if (!rb_digest_eq(&r.diff, diff_id))
		return rb_fail(err, RB_ERR_CORRUPT, "its diff ID is %s, the image config says %s",
			       rb_digest_text(&r.diff, got), rb_digest_text(diff_id, want));
	return rb_cache_put_verified(op->solver, &layer->digest, diff_id, err);
}

/*
 * Blobs that are handed on must be what the config says, also where their tree was made from other
 * blobs of the same diff IDs, or never: the trees are known by chain ID, and say nothing of a blob.
 */
static int verify_layers(const struct op_image *op, const struct rb_manifest *m,
			 struct rb_worker_port *port, struct rb_error **err)
{
	const struct rb_image_config *config = &op->solver->images[op->image->index]->config;
	char digest[RB_DIGEST_TEXT_BYTES];

	for (size_t i = 0; i < m->n_layers; i++) {
		if (rb_cache_is_verified(op->solver, &m->layers[i].digest, &config->diff_ids[i]))
			continue;
		rb_worker_status(port, "verifying layer %zu/%zu", i + 1, m->n_layers);
		if (verify_layer(op, &m->layers[i], &config->diff_ids[i], err) < 0 &&
		    drop_if_damaged(op, &m->layers[i], err) < 0)
			return rb_wrap(err, "layer %zu of %zu (%s)", i + 1, m->n_layers,
				       rb_digest_text(&m->layers[i].digest, digest));
	}
	return 0;
}

/* Reads what is in the store, fetches what is not; the error of a pull names the image itself. */
static int materialize(const struct op_image *op, struct rb_manifest *m,
		       struct rb_worker_port *port, struct rb_error **err)
{
	if (load_manifest(op, m, err) < 0)
		return rb_wrap(err, "image %s", op->image->shown);
	if (pull_missing(op, m, port, err) < 0)
		return -1;
	if ((op->unpack && unpack_layers(op, m, port, err) < 0) ||
	    (op->verify && verify_layers(op, m, port, err) < 0))
		return rb_wrap(err, "image %s", op->image->shown);
	return 0;
}

int rb_op_materialize(void *ctx, struct rb_worker_port *port, struct rb_error **err)
{
	const struct op_image *op = ctx;
	struct rb_manifest m = {0};
	int r = materialize(op, &m, port, err);

	rb_manifest_clear(&m);
	return r;
}

/* --- layers of the result
 * ---------------------------------------------------------------------------- */

static struct rb_solved_layer *append_layer(struct rb_solved_layer **layers, size_t *n)
{
	*layers = rb_reallocarray(*layers, *n + 1, sizeof(**layers));
	struct rb_solved_layer *l = &(*layers)[(*n)++];
	memset(l, 0, sizeof(*l));
	return l;
}

int rb_image_layers(struct rb_solver *s, const struct rb_plan_image *image,
		    struct rb_solved_layer **layers, size_t *n, struct rb_error **err)
{
	const struct image_state *st = s->images[image->index];
	const struct op_image op = {.solver = s, .image = s->in.plan->images[image->index]};
	struct rb_manifest m = {0};

	if (st->has_snapshot_chain || !st->config.n_diff_ids)
		return 0;
	if (load_manifest(&op, &m, err) < 0)
		return rb_wrap(err, "image %s", image->shown);
	for (size_t i = 0; i < m.n_layers; i++) {
		struct rb_solved_layer *l = append_layer(layers, n);

		l->has_diff = l->has_blob = true;
		l->diff_id = st->config.diff_ids[i];
		l->blob = m.layers[i].digest;
		l->blob_size = m.layers[i].size;
		(void)snprintf(l->media_type, sizeof(l->media_type), "%s", m.layers[i].media_type);
	}
	rb_manifest_clear(&m);
	return 0;
}

bool rb_image_has_blobs(struct rb_solver *s, const struct rb_plan_image *image)
{
	const struct image_state *st = s->images[image->index];
	const struct op_image op = {.solver = s, .image = s->in.plan->images[image->index]};
	struct rb_manifest m = {0};
	struct rb_error *err = NULL;
	bool all = true;

	if (st->has_snapshot_chain || !st->config.n_diff_ids)
		return true;
	if (load_manifest(&op, &m, &err) < 0) {
		/* Whoever needs the blobs will meet the same error and report it. */
		rb_error_drop(&err);
		return false;
	}
	for (size_t i = 0; i < m.n_layers; i++)
		all &= rb_store_has_blob(s->in.store, &m.layers[i].digest, NULL) &&
		       rb_cache_is_verified(s, &m.layers[i].digest, &st->config.diff_ids[i]);
	rb_manifest_clear(&m);
	return all;
}
