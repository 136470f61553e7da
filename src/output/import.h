/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Images from files: OCI archives (`rbuild load`) and root file systems (`rbuild import`). The way
 * back of what output.h writes. Nothing is unpacked here and no user namespace is needed.
 */
#ifndef RB_OUTPUT_IMPORT_H
#define RB_OUTPUT_IMPORT_H

#include "image/platform.h"
#include "store/store.h"

struct rb_loaded {
	char *name;             /* normalised, as bound in the store */
	struct rb_digest image; /* image ID */
};
struct rb_loaded_list {
	struct rb_loaded *v;
	size_t n, cap;
};
void rb_loaded_list_clear(struct rb_loaded_list *l);

/*
 * Loads the images of an OCI image layout: a tar file (plain, gzip or zstd) or a directory. Where
 * the layout holds an image for several platforms, that for `platform` is taken. Each is bound to
 * `names` (normalised), or when that is empty to the name in the layout (annotation
 * io.containerd.image.name, else a full name in org.opencontainers.image.ref.name). Every blob is
 * verified as it is read. Errors: USAGE (no name known, several images for -t), NOTFOUND (platform,
 * blob), CORRUPT, UNSUPPORTED (docker-archive, by name).
 */
int rb_load_oci(struct rb_store *store, const char *path, const struct rb_strv *names,
		const struct rb_platform *platform, struct rb_loaded_list *ret,
		struct rb_error **err);

/*
 * Makes an image of one layer from a root file system tar (plain, gzip or zstd; others are
 * UNSUPPORTED by name), which is kept as it came, and binds `name` (normalised) to it. The tar is
 * read to its end first; whiteout names are CORRUPT. `origin` is recorded ("import", "bootstrap").
 */
int rb_import_rootfs(struct rb_store *store, const char *path, const char *name, const char *origin,
		     struct rb_digest *ret_image_id, struct rb_error **err);

#endif
