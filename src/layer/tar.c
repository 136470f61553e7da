// SPDX-License-Identifier: Apache-2.0
/* libarchive's tar reader on top of our bytes. */
#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "layer/layer-internal.h"

/*
 * What may be read to get from one entry's end to the next entry: libarchive takes pax and GNU
 * headers up to 1 MiB each, but a sparse map as long as it is, into memory.
 */
enum { HEADER_BYTES_MAX = 8 << 20 };

struct rb_tar {
	struct archive *archive;
	struct rb_layer_reader *reader;
	struct rb_layer_limits limits;
	bool opened;
	uint64_t entries;
	uint64_t header_bytes;  /* read since the entry's data ended */
	struct rb_error *error; /* of the reader: libarchive's callbacks cannot carry it */
};

static la_ssize_t read_piece(struct archive *a, void *ctx, const void **ret)
{
	struct rb_tar *t = ctx;
	ssize_t n = rb_layer_reader_next(t->reader, ret, &t->error);

	if (n > 0 && (t->header_bytes += (uint64_t)n) > HEADER_BYTES_MAX)
		n = rb_fail(&t->error, RB_ERR_CORRUPT, "the headers of one entry exceed %d bytes",
			    HEADER_BYTES_MAX);
	if (n < 0)
		archive_set_error(a, EIO, "cannot read");
	return n < 0 ? ARCHIVE_FATAL : n;
}

struct rb_tar *rb_tar_new(struct rb_layer_reader *reader, const struct rb_layer_limits *limits)
{
	struct rb_tar *t = rb_calloc(1, sizeof(*t));

	t->reader = reader;
	t->limits = *limits;
	t->archive = archive_read_new();
	if (!t->archive || archive_read_support_format_tar(t->archive) != ARCHIVE_OK)
		rb_bug("cannot make a libarchive reader");
	return t;
}

void rb_tar_free(struct rb_tar *t)
{
	if (!t)
		return;
	archive_read_free(t->archive);
	rb_error_free(t->error);
	free(t);
}

uint64_t rb_tar_entries(const struct rb_tar *t)
{
	return t->entries;
}

static int damaged(struct rb_tar *t, struct rb_error **err)
{
	const char *why = archive_error_string(t->archive);

	if (t->error) {
		*err = rb_steal_ptr(&t->error);
		return -1;
	}
	return rb_fail(err, RB_ERR_CORRUPT, "not a tar archive, or a damaged one: %s",
		       why ? why : "unknown fault");
}

/*
 * In the C locale every name that pax declares as UTF-8 is warned of and its bytes are kept, which
 * is what we want. Other warnings say that something was left out.
 */
static bool is_harmless(struct archive *a)
{
	const char *why = archive_error_string(a);

	return why && strstr(why, "can't be converted");
}

static int open_once(struct rb_tar *t, struct rb_error **err)
{
	if (t->opened)
		return 0;
	t->opened = true;
	if (archive_read_open(t->archive, t, NULL, read_piece, NULL) != ARCHIVE_OK)
		return damaged(t, err);
	return 0;
}

/* Also what a hard link or a symlink carries in spite of its type. */
static int skip_data(struct rb_tar *t, struct rb_error **err)
{
	const void *piece;
	uint64_t offset;
	size_t len;
	int r;

	while ((r = rb_tar_data(t, &piece, &len, &offset, err)) > 0)
		;
	return r;
}

int rb_tar_next(struct rb_tar *t, struct archive_entry **ret, struct rb_error **err)
{
	if (t->entries ? skip_data(t, err) < 0 : open_once(t, err) < 0)
		return -1;
	t->header_bytes = 0;
	int r = archive_read_next_header(t->archive, ret);
	if (r == ARCHIVE_EOF)
		return 0;
	if (r != ARCHIVE_OK && !(r == ARCHIVE_WARN && is_harmless(t->archive)))
		return damaged(t, err);
	if (++t->entries > t->limits.entries)
		return rb_fail(err, RB_ERR_CORRUPT, "more than %llu entries",
			       (unsigned long long)t->limits.entries);
	const char *name = archive_entry_pathname(*ret);
	if (!name || !*name)
		return rb_fail(err, RB_ERR_CORRUPT, "an entry has no name");
	if (archive_entry_size(*ret) < 0 ||
	    (uint64_t)archive_entry_size(*ret) > t->limits.file_bytes)
		return rb_fail(err, RB_ERR_CORRUPT, "%s: larger than the limit of %llu bytes", name,
			       (unsigned long long)t->limits.file_bytes);
	return 1;
}

int rb_tar_data(struct rb_tar *t, const void **ret, size_t *ret_len, uint64_t *ret_offset,
		struct rb_error **err)
{
	la_int64_t offset = 0;
	int r = archive_read_data_block(t->archive, ret, ret_len, &offset);

	t->header_bytes = 0;
	if (r == ARCHIVE_EOF)
		return 0;
	if (r != ARCHIVE_OK)
		return damaged(t, err);
	*ret_offset = (uint64_t)offset;
	return 1;
}
