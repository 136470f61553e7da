// SPDX-License-Identifier: Apache-2.0
/* Looking through a layer without unpacking it. */
#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <string.h>

#include "layer/layer-internal.h"

struct scan {
	struct rb_layer_reader *reader;
	struct rb_error *error; /* of the reader, which libarchive cannot carry */
};

static la_ssize_t read_piece(struct archive *a, void *ctx, const void **ret)
{
	struct scan *s = ctx;
	ssize_t n = rb_layer_reader_next(s->reader, ret, &s->error);

	if (n < 0)
		archive_set_error(a, EIO, "cannot read");
	return n < 0 ? ARCHIVE_FATAL : n;
}

static void free_archive(struct archive **a)
{
	if (*a)
		archive_read_free(*a);
	*a = NULL;
}

static int fail(struct scan *s, struct archive *a, struct rb_error **err)
{
	if (s->error) {
		*err = rb_steal_ptr(&s->error);
		return -1;
	}
	return rb_fail(err, RB_ERR_CORRUPT, "not a tar archive, or a damaged one: %s",
		       archive_error_string(a) ? archive_error_string(a) : "unknown format");
}

/* Whether the last component is one that deletes in a layer. */
static bool is_whiteout(const char *path)
{
	RB_CLEANUP(rb_strp) char *clean = rb_layer_clean_name(path);
	const char *slash = strrchr(clean, '/');

	return rb_starts_with(slash ? slash + 1 : clean, ".wh.");
}

static int check_entry(struct archive_entry *e, bool plain_archive, struct rb_error **err)
{
	const char *path = archive_entry_pathname(e);

	if (!path)
		return rb_fail(err, RB_ERR_CORRUPT, "an entry of the archive has no name");
	if (plain_archive && is_whiteout(path))
		return rb_fail(err, RB_ERR_CORRUPT,
			       "%s: names that begin with .wh. mean deletions in layers and cannot "
			       "be files of an image",
			       path);
	return 0;
}

static int scan_entries(struct scan *s, struct archive *a, const struct rb_layer_limits *limits,
			bool plain_archive, uint64_t *ret_entries, struct rb_error **err)
{
	struct archive_entry *e;
	uint64_t n = 0;
	int r;

	while ((r = archive_read_next_header(a, &e)) == ARCHIVE_OK || r == ARCHIVE_WARN) {
		if (++n > limits->entries)
			return rb_fail(err, RB_ERR_CORRUPT, "more than %llu entries",
				       (unsigned long long)limits->entries);
		if (check_entry(e, plain_archive, err) < 0)
			return -1;
		if (archive_read_data_skip(a) < ARCHIVE_WARN)
			return fail(s, a, err);
	}
	if (r != ARCHIVE_EOF)
		return fail(s, a, err);
	*ret_entries = n;
	return 0;
}

int rb_layer_scan(int src_fd, const struct rb_layer_limits *limits, bool plain_archive,
		  struct rb_apply_result *ret, struct rb_error **err)
{
	RB_CLEANUP(rb_layer_reader_freep)
	struct rb_layer_reader *reader = rb_layer_reader_new(src_fd, limits);
	RB_CLEANUP(free_archive) struct archive *a = archive_read_new();
	struct scan s = {.reader = reader};
	struct rb_apply_result result;
	uint64_t entries = 0;

	if (!a)
		rb_bug("cannot make a libarchive reader");
	(void)archive_read_support_format_tar(a);
	if (archive_read_open(a, &s, NULL, read_piece, NULL) != ARCHIVE_OK)
		return fail(&s, a, err);
	if (scan_entries(&s, a, limits, plain_archive, &entries, err) < 0 ||
	    rb_layer_reader_finish(reader, NULL, NULL, &result, err) < 0)
		return -1;
	result.entries = entries;
	*ret = result;
	return 0;
}
