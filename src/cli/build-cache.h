/* SPDX-License-Identifier: Apache-2.0 */
/* --cache-from and --cache-to of a build (dockerfile.md 6.3). */
#ifndef RB_CLI_BUILD_CACHE_H
#define RB_CLI_BUILD_CACHE_H

#include "cli/build-options.h"
#include "cli/session.h"
#include "output/output.h"

struct rb_build_cache {
	struct rb_cache_source *sources; /* --cache-from */
	size_t n_sources;
	struct rb_output_spec *dests; /* --cache-to */
	size_t n_dests;
	bool is_inline; /* the image holds its own cache */
};

/* Fills *ret, also with what build args say. Errors: USAGE, UNSUPPORTED, a place that cannot be
 * written. */
int rb_build_cache_parse(struct rb_build_options *o, struct rb_build_cache *ret,
			 struct rb_error **err);
void rb_build_cache_clear(struct rb_build_cache *c);
/* Whether steps have to become layers of a cache. */
bool rb_build_cache_has_directory(const struct rb_build_cache *c);
/* As a task of the solver, inside the user namespace; the steps of all platforms together. */
int rb_build_cache_export(const struct rb_build_cache *c, struct rb_session *s,
			  struct rb_error **err);
/* Puts the cache inside of the image of a platform whose layers are complete. */
void rb_build_cache_add_inline(const struct rb_build_cache *c, struct rb_solver *solver,
			       struct rb_solved_image *im);

#endif
