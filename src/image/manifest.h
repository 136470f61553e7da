/* SPDX-License-Identifier: Apache-2.0 */
/* OCI manifests and indexes, and Docker's schema 2 equivalents (dockerfile.md 7.3). Pure. */
#ifndef RB_IMAGE_MANIFEST_H
#define RB_IMAGE_MANIFEST_H

#include "base/buf.h"
#include "base/digest.h"
#include "base/error.h"
#include "image/platform.h"

#define RB_MT_OCI_MANIFEST      "application/vnd.oci.image.manifest.v1+json"
#define RB_MT_OCI_INDEX         "application/vnd.oci.image.index.v1+json"
#define RB_MT_OCI_CONFIG        "application/vnd.oci.image.config.v1+json"
#define RB_MT_OCI_LAYER         "application/vnd.oci.image.layer.v1.tar"
#define RB_MT_OCI_LAYER_GZIP    "application/vnd.oci.image.layer.v1.tar+gzip"
#define RB_MT_OCI_LAYER_ZSTD    "application/vnd.oci.image.layer.v1.tar+zstd"
#define RB_MT_DOCKER_MANIFEST   "application/vnd.docker.distribution.manifest.v2+json"
#define RB_MT_DOCKER_INDEX      "application/vnd.docker.distribution.manifest.list.v2+json"
#define RB_MT_DOCKER_CONFIG     "application/vnd.docker.container.image.v1+json"
#define RB_MT_DOCKER_LAYER_GZIP "application/vnd.docker.image.rootfs.diff.tar.gzip"

struct rb_descriptor {
	char *media_type;
	struct rb_digest digest;
	uint64_t size;
	bool has_platform;
	struct rb_platform platform;
	char *ref_name;   /* annotation org.opencontainers.image.ref.name, or NULL */
	char *image_name; /* annotation io.containerd.image.name, or NULL */
};

enum rb_doc_kind { RB_DOC_MANIFEST, RB_DOC_INDEX };

struct rb_manifest {
	enum rb_doc_kind kind;
	char *media_type;
	struct rb_descriptor config;  /* manifest */
	struct rb_descriptor *layers; /* manifest: layers; index: manifests */
	size_t n_layers;
};

/* Most entries accepted in one document. */
enum { RB_MANIFEST_LAYERS_MAX = 4096 };

/*
 * Parses either kind. `media_type` is what the transport said, or NULL; body and media type must
 * agree, and a document with both `layers` and `manifests` is refused (CVE-2021-41190, threats
 * S35). Errors: RB_ERR_CORRUPT, RB_ERR_UNSUPPORTED for schema 1 and for layer kinds that are not
 * file systems (by media type).
 */
int rb_manifest_parse(const char *text, size_t len, const char *media_type, struct rb_manifest *ret,
		      struct rb_error **err);
void rb_manifest_clear(struct rb_manifest *m);
/* Whether it is that of a build cache, whose config is no image config (image/cache-config.h). */
bool rb_manifest_is_cache(const struct rb_manifest *m);
/* Best entry of an index for the platform, or NULL; attestation entries (unknown/unknown) and
 * nested indexes are never chosen. An entry without a platform serves when no other does: compare
 * the config's. */
const struct rb_descriptor *rb_index_choose(const struct rb_manifest *index,
					    const struct rb_platform *want);
/* OCI form; caller frees. */
char *rb_manifest_dump(const struct rb_manifest *m);
/*
 * The text of an index with one more entry, instead of those of the same ref_name. All else that
 * others have written into it stays. An empty text is no index yet. Errors: RB_ERR_CORRUPT. Caller
 * frees.
 */
char *rb_index_put(const char *text, size_t len, const struct rb_descriptor *entry,
		   struct rb_error **err);

#endif
