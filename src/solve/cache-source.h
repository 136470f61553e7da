/* SPDX-License-Identifier: Apache-2.0 */
/* --cache-from: where the results of earlier builds may be had (dockerfile.md 6.3). */
#ifndef RB_SOLVE_CACHE_SOURCE_H
#define RB_SOLVE_CACHE_SOURCE_H

#include "base/digest.h"
#include "base/error.h"
#include "image/reference.h"

struct rb_cache_source {
	char *shown;     /* as the user wrote it */
	char *path;      /* type=local: an OCI layout; NULL: type=registry */
	char *tag;       /* local: entry of its index; NULL: latest */
	bool has_digest; /* local: the manifest's, instead of a tag */
	struct rb_digest digest;
	struct rb_ref ref; /* registry: a cache, or an image with one inside */
};

/*
 *	type=registry,ref=REF, or REF alone
 *	type=local,src=DIR[,tag=NAME][,digest=sha256:...]
 *
 * Errors: USAGE, UNSUPPORTED for the services of others.
 */
int rb_cache_source_parse(const char *text, struct rb_cache_source *ret, struct rb_error **err);
void rb_cache_source_clear(struct rb_cache_source *c);

#endif
