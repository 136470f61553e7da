// SPDX-License-Identifier: Apache-2.0
/*
 * Manifests, indexes, image configs and build caches as a registry may send them. What is accepted
 * must come back unchanged after it was written and read again: two readings of one document are
 * two images.
 */
#include <stdlib.h>
#include <string.h>

#include "image/cache-config.h"
#include "image/config.h"
#include "image/manifest.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char *config_again(const char *text, size_t len)
{
	struct rb_image_config c = {0}, copy = {0};
	struct rb_error *err = NULL;

	if (rb_image_config_parse(text, len, &c, &err) < 0) {
		rb_error_drop(&err); /* refusing is fine */
		return NULL;
	}
	rb_image_config_copy(&copy, &c);
	char *dump = rb_image_config_dump(&copy);
	rb_image_config_clear(&c);
	rb_image_config_clear(&copy);
	return dump;
}

static char *manifest_again(const char *text, size_t len)
{
	struct rb_manifest m;
	struct rb_platform want = rb_platform_host();
	struct rb_error *err = NULL;

	if (rb_manifest_parse(text, len, NULL, &m, &err) < 0) {
		rb_error_drop(&err); /* refusing is fine */
		return NULL;
	}
	const struct rb_descriptor *d = m.kind == RB_DOC_INDEX ? rb_index_choose(&m, &want) : NULL;
	if (d && (d < m.layers || d >= m.layers + m.n_layers))
		abort();
	char *dump = rb_manifest_dump(&m);
	rb_manifest_clear(&m);
	return dump;
}

static char *cache_again(const char *text, size_t len)
{
	struct rb_cache_config c = {0};
	struct rb_error *err = NULL;

	if (rb_cache_config_parse(text, len, &c, &err) < 0) {
		rb_error_drop(&err); /* refusing is fine */
		return NULL;
	}
	for (size_t i = 0; i < c.n_records; i++)
		if (!rb_cache_config_depth(&c, c.records[i].layer))
			abort();
	/* Layers that say too little of themselves belong to no record, and cannot be written. */
	bool whole = true;
	for (size_t i = 0; i < c.n_layers; i++)
		whole &= c.layers[i].media_type && c.layers[i].size;
	char *dump = whole ? rb_cache_config_dump(&c) : NULL;
	rb_cache_config_clear(&c);
	return dump;
}

static void check(char *(*again)(const char *text, size_t len), const char *text, size_t len)
{
	RB_CLEANUP(rb_strp) char *once = again(text, len);

	if (!once)
		return;
	RB_CLEANUP(rb_strp) char *twice = again(once, strlen(once));
	if (!twice || !rb_streq(once, twice))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	check(config_again, (const char *)data, size);
	check(manifest_again, (const char *)data, size);
	check(cache_again, (const char *)data, size);
	return 0;
}
