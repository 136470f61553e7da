/* SPDX-License-Identifier: Apache-2.0 */
/* What a build tells of its result: --iidfile, --metadata-file and -q (dockerfile.md 7.6). */
#ifndef RB_CLI_BUILD_RESULT_H
#define RB_CLI_BUILD_RESULT_H

#include "cli/build-options.h"
#include "store/store.h"

struct rb_build_result {
	bool has_id;
	struct rb_digest id; /* of the image; of several platforms that of their index */
	bool has_manifest;
	struct rb_blob manifest; /* or the index */
};

/* Whether the files can be written, so that nobody builds in vain. Old ones are removed: a build
 * that fails leaves none. */
int rb_build_result_check(const struct rb_build_options *o, struct rb_error **err);
/* As the exporting worker sends it; caller frees. */
char *rb_build_result_text(const struct rb_build_result *r);
int rb_build_result_parse(const char *text, struct rb_build_result *ret, struct rb_error **err);
/* Writes the files that were asked for; `names` are the image's. */
int rb_build_result_write(const struct rb_build_options *o, const struct rb_build_result *r,
			  const struct rb_strv *names, struct rb_error **err);

#endif
