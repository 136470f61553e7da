// SPDX-License-Identifier: Apache-2.0
/* SOURCE_DATE_EPOCH in the documents of an image (dockerfile.md 7.5). */
#include <stdlib.h>
#include <string.h>

#include "output/output-internal.h"

/*
 * No later than the epoch, and there: an image without any layer was made at no particular time, so
 * that it is the same whenever it is built.
 */
static void date(char **created, const struct rb_solved_image *im)
{
	int64_t sec;
	uint32_t nsec;

	if (*created &&
	    (!im->has_epoch || (rb_rfc3339_parse(*created, &sec, &nsec) == 0 && sec < im->epoch)))
		return;
	free(*created);
	*created = rb_rfc3339(im->has_epoch ? im->epoch : 0, 0);
}

void rb_output_dated_image(const struct rb_solved_image *im, const struct rb_output_spec *spec,
			   struct rb_solved_image *ret)
{
	*ret = *im;
	memset(&ret->config, 0, sizeof(ret->config));
	rb_image_config_copy(&ret->config, &im->config);
	ret->config.inline_cache =
		im->config.inline_cache ? rb_strdup(im->config.inline_cache) : NULL;
	ret->layers = rb_calloc(im->n_layers, sizeof(*ret->layers));
	if (im->n_layers)
		memcpy(ret->layers, im->layers, im->n_layers * sizeof(*ret->layers));
	ret->has_epoch = !spec->no_epoch && (spec->has_epoch || im->has_epoch);
	ret->epoch = spec->has_epoch ? spec->epoch : im->epoch;
	for (size_t i = im->n_base_history; i < ret->config.n_history; i++)
		date(&ret->config.history[i].created, ret);
	date(&ret->config.created, ret);
}
