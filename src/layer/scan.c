// SPDX-License-Identifier: Apache-2.0
/* Looking through a layer without unpacking it. */
#include <archive_entry.h>

#include "layer/layer-internal.h"

int rb_layer_scan(int src_fd, const struct rb_layer_limits *limits, bool plain_archive,
		  struct rb_apply_result *ret, struct rb_error **err)
{
	RB_CLEANUP(rb_layer_reader_freep)
	struct rb_layer_reader *reader = rb_layer_reader_new(src_fd, limits, plain_archive);
	RB_CLEANUP(rb_tar_freep) struct rb_tar *tar = rb_tar_new(reader, limits);
	struct rb_apply_result result;
	struct archive_entry *e;
	int r;

	while ((r = rb_tar_next(tar, &e, err)) > 0) {
		const char *name = archive_entry_pathname(e);
		RB_CLEANUP(rb_strp) char *clean = rb_layer_clean_name(name);

		if (plain_archive && rb_whiteout_kind(clean) != RB_WHITEOUT_NONE)
			return rb_whiteout_refuse(name, err);
		if (plain_archive && rb_streq(clean, "oci-layout"))
			return rb_fail(err, RB_ERR_UNSUPPORTED,
				       "this is an image, not a root file system: use rbuild load");
	}
	if (r < 0 || rb_layer_reader_finish(reader, NULL, NULL, &result, err) < 0)
		return -1;
	result.entries = rb_tar_entries(tar);
	*ret = result;
	return 0;
}
