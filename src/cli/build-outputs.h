/* SPDX-License-Identifier: Apache-2.0 */
/* What a build is to give (dockerfile.md 7.6): --output, --tag and what is told of the result. */
#ifndef RB_CLI_BUILD_OUTPUTS_H
#define RB_CLI_BUILD_OUTPUTS_H

#include "cli/build-cache.h"
#include "cli/build-options.h"
#include "cli/session.h"
#include "output/output.h"

struct rb_build_outputs {
	/* Borrowed; the session need not be open before outputs are made. */
	const struct rb_build_options *options;
	struct rb_session *session;
	const struct rb_build_cache *cache;

	struct rb_output_spec *specs;
	size_t n;
	struct rb_strv names; /* of -t, normalised */
};

/* Reads the options, and whether there is a place for what they ask for, before the time of a
 * build is spent on it. To be cleared also on error. */
int rb_build_outputs_parse(struct rb_build_outputs *o, struct rb_error **err);
void rb_build_outputs_clear(struct rb_build_outputs *o);

/* Whether some output cannot be made outside of the user namespace: a tree has to be read or
 * unpacked. All stages are solved. */
int rb_build_outputs_need_namespace(struct rb_build_outputs *o, bool *ret, struct rb_error **err);
/* Makes all of them, and tells what was made. */
int rb_build_outputs_make(struct rb_build_outputs *o, struct rb_error **err);

#endif
