/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pulling from registries (OCI distribution-spec): reference -> manifest -> config and layer blobs
 * in the store. HTTP only on localhost and 127.0.0.0/8 (tried when HTTPS is not spoken there),
 * verified HTTPS elsewhere.
 */
#ifndef RB_REGISTRY_REGISTRY_H
#define RB_REGISTRY_REGISTRY_H

#include "base/error.h"
#include "image/manifest.h"
#include "image/platform.h"
#include "image/reference.h"
#include "net/net.h"
#include "store/store.h"

struct rb_pulled {
	struct rb_digest manifest; /* of the platform's manifest, which is a blob of the store */
	struct rb_digest config;
	struct rb_platform platform;
};

/*
 * Pulls what is missing. With config_only the layer blobs are left for a later call. Digests are
 * verified on the bytes that are stored. A manifest list is resolved to the best entry for `want`.
 * Layers are fetched in parallel. Errors: NOTFOUND (no such image or tag; says which), AUTH,
 * NETWORK (host, cause, what to check), CORRUPT, UNSUPPORTED.
 */
int rb_registry_pull(struct rb_store *store, const struct rb_ref *ref,
		     const struct rb_platform *want, bool config_only,
		     const struct rb_net_progress *progress, struct rb_pulled *ret,
		     struct rb_error **err);

/*
 * What `ref` holds for --cache-from: a build cache (rb_manifest_is_cache), or an image, whose
 * config may have one inside. Manifest and config become blobs of the store, whatever the config
 * is; no layer is fetched. Errors as above.
 */
int rb_registry_pull_cache(struct rb_store *store, const struct rb_ref *ref,
			   const struct rb_platform *want, struct rb_pulled *ret,
			   struct rb_error **err);
/* Blobs of the repository that the store has not, as digest and size say. */
int rb_registry_pull_blobs(struct rb_store *store, const struct rb_ref *ref,
			   struct rb_descriptor *blobs, size_t n,
			   const struct rb_net_progress *progress, struct rb_error **err);

#endif
