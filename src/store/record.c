// SPDX-License-Identifier: Apache-2.0
/*
 * Small records by key: records/<aa>/<hex>. The first line is the SHA-256 of the rest, because a
 * power failure may leave a file with a name and without its content.
 */
#include <stdio.h>
#include <string.h>

#include "base/fd.h"
#include "base/log.h"
#include "store/store-internal.h"

/* "records/aa/" + 64 hex digits + NUL; digest text + newline */
enum { RECORD_PATH_BYTES = 80, HEADER_BYTES = 72, RECORD_BYTES_MAX = 64 << 20 };

static const char *record_path(const struct rb_digest *key, char buf[static RECORD_PATH_BYTES])
{
	char text[RB_DIGEST_TEXT_BYTES];
	const char *hex = rb_digest_hex(key, text);

	(void)snprintf(buf, RECORD_PATH_BYTES, "records/%.2s/%s", hex, hex);
	return buf;
}

static bool is_intact(const struct rb_buf *file)
{
	char text[RB_DIGEST_TEXT_BYTES];

	if (file->len < HEADER_BYTES || file->ptr[HEADER_BYTES - 1] != '\n')
		return false;
	struct rb_digest d = rb_digest_of(file->ptr + HEADER_BYTES, file->len - HEADER_BYTES);
	return memcmp(rb_digest_text(&d, text), file->ptr, HEADER_BYTES - 1) == 0;
}

int rb_store_get_record(struct rb_store *store, const struct rb_digest *key, struct rb_buf *ret,
			struct rb_error **err)
{
	char path[RECORD_PATH_BYTES];
	RB_CLEANUP(rb_buf_clear) struct rb_buf file = RB_BUF_INIT;

	if (rb_read_file_at(store->fd, record_path(key, path), RECORD_BYTES_MAX, &file, err) < 0)
		return rb_wrap(err, "the store %s", store->path);
	if (!is_intact(&file)) {
		rb_log_debug("store: damaged record %s counts as missing", path);
		return rb_fail(err, RB_ERR_NOTFOUND, "record %s of the store %s is damaged", path,
			       store->path);
	}
	rb_buf_clear(ret);
	rb_buf_add(ret, file.ptr + HEADER_BYTES, file.len - HEADER_BYTES);
	return 0;
}

int rb_store_put_record(struct rb_store *store, const struct rb_digest *key, const char *text,
			size_t len, struct rb_error **err)
{
	char path[RECORD_PATH_BYTES], digest[RB_DIGEST_TEXT_BYTES];
	RB_CLEANUP(rb_buf_clear) struct rb_buf file = RB_BUF_INIT;
	struct rb_digest d = rb_digest_of(text, len);

	rb_buf_addf(&file, "%s\n", rb_digest_text(&d, digest));
	rb_buf_add(&file, text, len);
	return rb_store_publish(store, record_path(key, path), file.ptr, file.len, err);
}
