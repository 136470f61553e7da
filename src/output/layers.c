// SPDX-License-Identifier: Apache-2.0
/* Layers of the result: diff IDs and blobs, each computed once and recorded in its snapshot. */
#include <stdio.h>
#include <string.h>

#include "base/fd.h"
#include "image/manifest.h"
#include "output/output-internal.h"

const char *rb_output_layer_type(enum rb_compression c)
{
	switch (c) {
	case RB_COMPRESSION_GZIP:
		return RB_MT_OCI_LAYER_GZIP;
	case RB_COMPRESSION_ZSTD:
		return RB_MT_OCI_LAYER_ZSTD;
	case RB_COMPRESSION_NONE:
	case RB_COMPRESSION_BZIP2:
	case RB_COMPRESSION_XZ:
		break;
	}
	return RB_MT_OCI_LAYER;
}

/* A layer that came as a blob: solve/ names the tree of such a one after its chain ID. */
static bool is_base_layer(const struct rb_solved_layer *l)
{
	return !*l->snapshot || rb_starts_with(l->snapshot, "c-");
}

static bool has_usable_blob(struct rb_store *store, const struct rb_solved_layer *l,
			    const struct rb_output_blobs *blobs)
{
	uint64_t size;

	return l->has_blob && rb_store_has_blob(store, &l->blob, &size) && size == l->blob_size &&
	       (is_base_layer(l) ||
		rb_streq(l->media_type, rb_output_layer_type(blobs->compression)));
}

static bool is_known(struct rb_store *store, const struct rb_solved_layer *l,
		     const struct rb_output_blobs *blobs)
{
	return l->has_diff && (!blobs || has_usable_blob(store, l, blobs));
}

bool rb_output_layers_known(struct rb_store *store, const struct rb_solved_image *im,
			    const struct rb_output_blobs *blobs)
{
	for (size_t i = 0; i < im->n_layers; i++)
		if (!is_known(store, &im->layers[i], blobs))
			return false;
	return true;
}

int rb_output_copy_blob(struct rb_store *store, const struct rb_digest *digest, uint64_t size,
			int (*write)(void *ctx, const void *data, size_t len,
				     struct rb_error **err),
			void *ctx, struct rb_error **err)
{
	enum { COPY_BYTES = 256 << 10 };
	char text[RB_DIGEST_TEXT_BYTES];
	RB_CLEANUP(rb_closep) int in = rb_store_open_blob(store, digest, err);
	RB_CLEANUP(rb_hash_freep) struct rb_hash *hash = rb_hash_new();
	RB_CLEANUP(rb_strp) char *buf = rb_malloc(COPY_BYTES);
	uint64_t left = size;
	ssize_t n;

	if (in < 0)
		return -1;
	while ((n = rb_read_full(in, buf, COPY_BYTES)) > 0 && (uint64_t)n <= left) {
		rb_hash_add(hash, buf, (size_t)n);
		left -= (uint64_t)n;
		if (write(ctx, buf, (size_t)n, err) < 0)
			return -1;
	}
	if (n < 0)
		return rb_fail_sys(err, (int)n, "cannot read blob %s",
				   rb_digest_text(digest, text));
	struct rb_digest got = rb_hash_final(hash);
	if (n > 0 || left || !rb_digest_eq(&got, digest))
		return rb_fail(err, RB_ERR_CORRUPT,
			       "blob %s in the store %s is damaged: its content does not hash to "
			       "its name",
			       rb_digest_text(digest, text), rb_store_path(store));
	return 0;
}

static int add_to_blob(void *ctx, const void *data, size_t len, struct rb_error **err)
{
	return rb_blob_writer_add(ctx, data, len, err);
}

/* Writes the layer of one snapshot; into `blob` unless that is NULL. */
static int write_layer(struct rb_snapshotter *snapshots, const struct rb_snapshot_meta *meta,
		       const struct rb_output_blobs *blobs, const int64_t *newest,
		       struct rb_blob_writer *blob, struct rb_layer_write_result *ret,
		       struct rb_error **err)
{
	RB_CLEANUP(rb_closep) int diff_fd = -1;
	RB_CLEANUP(rb_closep) int parent_fd = -1;
	RB_CLEANUP(rb_ledger_freep) struct rb_ledger *ledger = NULL;
	RB_CLEANUP(rb_ledger_freep) struct rb_ledger *parent_ledger = NULL;

	/* The merged root below has the metadata of the topmost tree's root. */
	if (rb_snapshot_diff(snapshots, meta->id, &diff_fd, &ledger, err) < 0 ||
	    (*meta->parent &&
	     rb_snapshot_diff(snapshots, meta->parent, &parent_fd, &parent_ledger, err) < 0))
		return -1;
	const struct rb_layer_write_spec spec = {
		.diff_fd = diff_fd,
		.ledger = ledger,
		.parent_fd = parent_fd,
		.compression = blobs ? blobs->compression : RB_COMPRESSION_NONE,
		.level = blobs ? blobs->level : -1,
		.write = blob ? add_to_blob : NULL,
		.ctx = blob,
		.threads = blobs ? blobs->threads : 1,
		.newest = newest,
	};
	return rb_layer_write(&spec, ret, err);
}

static int check_diff(const struct rb_solved_layer *l, const struct rb_digest *diff,
		      struct rb_error **err)
{
	char want[RB_DIGEST_TEXT_BYTES], got[RB_DIGEST_TEXT_BYTES];

	if (!l->has_diff || rb_digest_eq(&l->diff_id, diff))
		return 0;
	if (is_base_layer(l))
		return rb_fail(err, RB_ERR_NOTFOUND,
			       "the blob of base layer %s is no longer in the store: pull or load "
			       "the base image again",
			       rb_digest_text(&l->diff_id, want));
	return rb_fail(err, RB_ERR_CORRUPT,
		       "the files of layer %s in the store have changed (they make %s now): build "
		       "with --no-cache",
		       rb_digest_text(&l->diff_id, want), rb_digest_text(diff, got));
}

static int complete_layer(struct rb_store *store, struct rb_snapshotter *snapshots,
			  struct rb_solved_layer *l, const struct rb_output_blobs *blobs,
			  struct rb_error **err)
{
	RB_CLEANUP(rb_blob_writer_freep) struct rb_blob_writer *writer = NULL;
	char text[RB_DIGEST_TEXT_BYTES];
	struct rb_layer_write_result written;
	struct rb_snapshot_meta meta;
	struct rb_blob blob;

	if (!*l->snapshot)
		return rb_fail(err, RB_ERR_NOTFOUND,
			       "the blob %s of a base layer is not in the store",
			       rb_digest_text(&l->blob, text));
	if (rb_snapshot_stat(snapshots, l->snapshot, &meta, err) < 0 ||
	    (blobs && rb_blob_writer_new(store, &writer, err) < 0) ||
	    write_layer(snapshots, &meta, blobs, NULL, writer, &written, err) < 0 ||
	    check_diff(l, &written.diff, err) < 0)
		return -1;
	meta.has_diff = l->has_diff = true;
	meta.diff_id = l->diff_id = written.diff;
	meta.diff_size = written.diff_size;
	if (writer) {
		if (rb_blob_writer_commit(writer, &written.blob, written.blob_size, &blob, err) < 0)
			return -1;
		meta.has_blob = l->has_blob = true;
		meta.blob = l->blob = blob.digest;
		meta.blob_size = l->blob_size = blob.size;
		(void)snprintf(meta.media_type, sizeof(meta.media_type), "%s",
			       rb_output_layer_type(blobs->compression));
		memcpy(l->media_type, meta.media_type, sizeof(l->media_type));
	}
	return rb_snapshot_update(snapshots, &meta, err);
}

int rb_output_snapshot_layer(struct rb_store *store, struct rb_snapshotter *snapshots,
			     const char *id, const struct rb_output_blobs *blobs,
			     struct rb_solved_layer *ret, char **ret_created, struct rb_error **err)
{
	struct rb_snapshot_meta meta;

	if (rb_snapshot_stat(snapshots, id, &meta, err) < 0)
		return -1;
	rb_solved_layer_set(ret, &meta);
	if (!is_known(store, ret, blobs) && complete_layer(store, snapshots, ret, blobs, err) < 0)
		return -1;
	*ret_created = rb_rfc3339(meta.created_s, meta.created_ns);
	return 0;
}

static void list_diff_ids(struct rb_solved_image *im)
{
	im->config.n_diff_ids = 0;
	for (size_t i = 0; i < im->n_layers; i++)
		rb_image_config_add_diff(&im->config, &im->layers[i].diff_id);
}

int rb_output_layers(struct rb_store *store, struct rb_snapshotter *snapshots,
		     struct rb_solved_image *im, const struct rb_output_blobs *blobs,
		     struct rb_error **err)
{
	for (size_t i = 0; i < im->n_layers; i++)
		if (!is_known(store, &im->layers[i], blobs) &&
		    complete_layer(store, snapshots, &im->layers[i], blobs, err) < 0)
			return rb_wrap(err, "layer %zu of %zu", i + 1, im->n_layers);
	list_diff_ids(im);
	return 0;
}

/* The snapshot is not told: its own layer is another one. */
static int rewrite_layer(struct rb_store *store, struct rb_snapshotter *snapshots,
			 struct rb_solved_layer *l, const int64_t *newest,
			 const struct rb_output_blobs *blobs, struct rb_error **err)
{
	RB_CLEANUP(rb_blob_writer_freep) struct rb_blob_writer *writer = NULL;
	struct rb_layer_write_result written;
	struct rb_snapshot_meta meta;
	struct rb_blob blob;

	if (rb_snapshot_stat(snapshots, l->snapshot, &meta, err) < 0 ||
	    rb_blob_writer_new(store, &writer, err) < 0 ||
	    write_layer(snapshots, &meta, blobs, newest, writer, &written, err) < 0 ||
	    rb_blob_writer_commit(writer, &written.blob, written.blob_size, &blob, err) < 0)
		return -1;
	*l = (struct rb_solved_layer){
		.has_diff = true,
		.diff_id = written.diff,
		.has_blob = true,
		.blob = blob.digest,
		.blob_size = blob.size,
	};
	(void)snprintf(l->media_type, sizeof(l->media_type), "%s",
		       rb_output_layer_type(blobs->compression));
	return 0;
}

int rb_output_rewrite_layers(struct rb_store *store, struct rb_snapshotter *snapshots,
			     struct rb_solved_image *im, const struct rb_output_blobs *blobs,
			     struct rb_error **err)
{
	if (!im->has_epoch)
		return 0;
	for (size_t i = im->n_base_layers; i < im->n_layers; i++)
		if (rewrite_layer(store, snapshots, &im->layers[i], &im->epoch, blobs, err) < 0)
			return rb_wrap(err, "rewrite-timestamp: layer %zu of %zu", i + 1,
				       im->n_layers);
	*im->top = '\0';
	list_diff_ids(im);
	return 0;
}
