/* SPDX-License-Identifier: Apache-2.0 */
/*
 * OCI image layouts in a directory (OCI image-layout.md): what `rbuild load` reads, and what a
 * named context oci-layout://PATH[:TAG][@DIGEST] takes one image from. Every blob is verified as it
 * comes into the store.
 */
#ifndef RB_CONTEXT_LAYOUT_H
#define RB_CONTEXT_LAYOUT_H

#include "base/buf.h"
#include "image/manifest.h"
#include "store/store.h"

/* Most bytes of a JSON document of a layout. */
enum { RB_LAYOUT_JSON_MAX = 8 << 20 };

struct rb_layout {
	struct rb_store *store;
	int dirfd; /* borrowed; -1: all its blobs are in the store already */
};

/*
 * Reads oci-layout, index.json or a document by its path. Links are followed inside of the layout
 * only: what a message quotes of a document must not be the host's. NOTFOUND.
 */
int rb_layout_read_json(int dirfd, const char *name, struct rb_buf *ret, struct rb_error **err);
/* The file oci-layout: UNSUPPORTED for another version than 1.0.0. */
int rb_layout_check_version(const struct rb_buf *text, struct rb_error **err);
/* Makes sure that the store has a blob, in the size that its descriptor promises. Errors: NOTFOUND,
 * CORRUPT. */
int rb_layout_need_blob(const struct rb_layout *l, const struct rb_digest *digest, uint64_t size,
			struct rb_error **err);
/* The same, and reads it: a JSON document. */
int rb_layout_read(const struct rb_layout *l, const struct rb_digest *digest, uint64_t size,
		   struct rb_buf *ret, struct rb_error **err);

struct rb_layout_image {
	struct rb_digest digest; /* of its manifest */
	uint64_t size;
	const char *media_type; /* a literal */
};
bool rb_layout_is_index(const struct rb_descriptor *d);
bool rb_layout_is_manifest(const struct rb_descriptor *d);
/* The platform's manifest in a nested index; NOTFOUND. */
int rb_layout_choose(const struct rb_layout *l, const struct rb_descriptor *index,
		     const struct rb_platform *platform, struct rb_layout_image *ret,
		     struct rb_error **err);

/*
 * Manifest and config of the image that "PATH[:TAG][@DIGEST]" names for a platform, as blobs of the
 * store. Without tag and digest it is the one tagged "latest", or the only one. Errors: NOTFOUND
 * (path, tag, digest, platform), CORRUPT, UNSUPPORTED.
 */
int rb_layout_resolve(struct rb_store *store, const char *spec, const struct rb_platform *platform,
		      struct rb_digest *ret_manifest, struct rb_digest *ret_config,
		      struct rb_error **err);
/* The layers of that manifest, as far as the store lacks them. */
int rb_layout_fetch(struct rb_store *store, const char *spec, const struct rb_manifest *m,
		    struct rb_error **err);

#endif
