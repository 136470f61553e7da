/* SPDX-License-Identifier: Apache-2.0 */
/* Between import.c, which decides, and op-import.c, which fetches. */
#ifndef RB_SOLVE_IMPORT_INTERNAL_H
#define RB_SOLVE_IMPORT_INTERNAL_H

#include "image/cache-config.h"
#include "image/manifest.h"
#include "solve/solve-internal.h"

/* What a source holds. */
struct imported {
	bool spoiled; /* cannot be read, or has not what it says */
	struct rb_cache_config config;
};

/* A record that is used. */
struct import_hit {
	size_t source, layer;
};

struct import {
	struct imported *v; /* as in options.cache_sources */
	size_t n;
	unsigned node;
	bool was_read; /* the sources; what is left is to fetch the hits */
	struct import_hit *hits;
	size_t n_hits, cap_hits;
};

/* Ids of the trees of a stack, from the bottom. */
void rb_import_chain_ids(const struct rb_cache_config *config, const size_t *chain, size_t n,
			 char (*ids)[RB_ID_BYTES]);

#endif
