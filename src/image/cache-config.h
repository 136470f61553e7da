/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a build cache holds (dockerfile.md 6.3): layers, and which step's key leads to which of
 * them. The format is BuildKit's (media type below), so that registries and tools that keep such
 * caches keep ours; the keys are our own, and those of others never match. Pure.
 */
#ifndef RB_IMAGE_CACHE_CONFIG_H
#define RB_IMAGE_CACHE_CONFIG_H

#include "base/digest.h"
#include "base/error.h"

#define RB_MT_CACHE_CONFIG "application/vnd.buildkit.cacheconfig.v0"

struct rb_cache_layer {
	struct rb_digest blob;
	uint64_t size; /* of the blob */
	char *media_type;
	struct rb_digest diff_id;
	char *created; /* RFC 3339, or NULL */
	size_t parent; /* index of the layer below it, or RB_CACHE_NO_PARENT */
};

#define RB_CACHE_NO_PARENT SIZE_MAX

struct rb_cache_record {
	struct rb_digest key;
	size_t layer; /* index of the topmost layer of the step's result */
};

struct rb_cache_config {
	struct rb_cache_layer *layers;
	size_t n_layers, cap_layers;
	struct rb_cache_record *records;
	size_t n_records, cap_records;
};

enum { RB_CACHE_LAYERS_MAX = 16384, RB_CACHE_RECORDS_MAX = 65536 };

/*
 * Storage of the caller, zero before. Every layer ends at a bottom one in fewer than 4096 steps.
 * What a record or layer lacks that we need (others may write caches too) leaves it out. Errors:
 * CORRUPT.
 */
int rb_cache_config_parse(const char *text, size_t len, struct rb_cache_config *ret,
			  struct rb_error **err);
void rb_cache_config_clear(struct rb_cache_config *c);
char *rb_cache_config_dump(const struct rb_cache_config *c);

/* The layer of that blob on that parent, added when it is not there: its index. The strings are
 * taken over. */
size_t rb_cache_config_add_layer(struct rb_cache_config *c, struct rb_cache_layer layer);
/* A key that is there already keeps its layer. */
void rb_cache_config_add_record(struct rb_cache_config *c, const struct rb_digest *key,
				size_t layer);
/* The topmost layer of a step's result; NULL when there is no such record. */
const struct rb_cache_record *rb_cache_config_find(const struct rb_cache_config *c,
						   const struct rb_digest *key);
/* Layers from the bottom to `layer`: their number, and their indexes into ret (room for depth). */
size_t rb_cache_config_depth(const struct rb_cache_config *c, size_t layer);
void rb_cache_config_chain(const struct rb_cache_config *c, size_t layer, size_t *ret);

/*
 * Inline form: the records alone, in the image's own config (`moby.buildkit.cache.v0`, base64); a
 * layer's index is that of the image's layer.
 */
char *rb_cache_config_dump_inline(const struct rb_cache_config *c);
/* Records of an inline cache, added to *c, which has the image's layers already. */
int rb_cache_config_parse_inline(const char *base64, struct rb_cache_config *c,
				 struct rb_error **err);

#endif
