/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of output/ share. */
#ifndef RB_OUTPUT_OUTPUT_INTERNAL_H
#define RB_OUTPUT_OUTPUT_INTERNAL_H

#include "output/output.h"

/* --- layers.c */

/* The OCI media type of a layer. */
const char *rb_output_layer_type(enum rb_compression c);

/* The layer of one snapshot, completed as in rb_output_layers(), and when it was made. */
int rb_output_snapshot_layer(struct rb_store *store, struct rb_snapshotter *snapshots,
			     const char *id, const struct rb_output_blobs *blobs,
			     struct rb_solved_layer *ret, char **ret_created,
			     struct rb_error **err);

/* Hands the bytes of a blob on and hashes what it hands on (threats S35: verified on the bytes
 * used). */
int rb_output_copy_blob(struct rb_store *store, const struct rb_digest *digest, uint64_t size,
			int (*write)(void *ctx, const void *data, size_t len,
				     struct rb_error **err),
			void *ctx, struct rb_error **err);

/* --- image.c */

/* The manifest of an image whose layers all have blobs; caller frees. */
char *rb_output_manifest(const struct rb_solved_image *im, const struct rb_blob *config);
/* The index of n images whose manifests are these; caller frees. */
char *rb_output_index_text(const struct rb_solved_image *images, const struct rb_blob *manifests,
			   size_t n);
/* Config blob, manifest where all layers have blobs, names. `rung` NULL: no tree of im->top. */
int rb_output_record(struct rb_store *store, const struct rb_solved_image *im,
		     const struct rb_strv *names, const char *rung, const char *origin,
		     struct rb_digest *ret_image_id, struct rb_error **err);

/* --- local.c */

/* rb_output_local() of any tree, which must not change meanwhile. */
int rb_output_tree(int src, const struct rb_ledger *ledger, const struct rb_output_spec *spec,
		   struct rb_strv *notices, struct rb_error **err);

/* --- import.c */

/* Opens a tar file or directory that the user named; compressions that are not read are UNSUPPORTED
 * by name. */
int rb_output_open_source(const char *path, struct rb_error **err);

/* --- target.c: a destination that appears when it is complete, or not at all */

struct rb_output_target;
/* A regular file; what is there is replaced, unless it is not a regular file. */
int rb_output_target_file(const char *dest, struct rb_output_target **ret, struct rb_error **err);
/* A directory; `dest` must be missing or empty. */
int rb_output_target_dir(const char *dest, struct rb_output_target **ret, struct rb_error **err);
void rb_output_target_free(struct rb_output_target *t); /* drops it unless committed */
RB_DEFINE_CLEANUP(rb_output_target)
int rb_output_target_fd(const struct rb_output_target *t); /* borrowed */
int rb_output_target_commit(struct rb_output_target *t, struct rb_error **err);
/* SYS naming the destination, with what to do about a full disk. */
int rb_output_target_fail(const struct rb_output_target *t, int neg, struct rb_error **err);

#endif
