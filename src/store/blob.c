// SPDX-License-Identifier: Apache-2.0
/* Content-addressed blobs: blobs/sha256/<hex>, the layout of an OCI image layout. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "store/store-internal.h"

/* "blobs/sha256/" + 64 hex digits + NUL */
enum { BLOB_PATH_BYTES = 80 };
enum { HASH_BYTES = 64 * 1024 };

static const char *blob_path(const struct rb_digest *d, char buf[static BLOB_PATH_BYTES])
{
	char text[RB_DIGEST_TEXT_BYTES];

	(void)snprintf(buf, BLOB_PATH_BYTES, "blobs/sha256/%s", rb_digest_hex(d, text));
	return buf;
}

bool rb_store_has_blob(struct rb_store *store, const struct rb_digest *digest, uint64_t *ret_size)
{
	char path[BLOB_PATH_BYTES];
	struct stat st;

	if (fstatat(store->fd, blob_path(digest, path), &st, AT_SYMLINK_NOFOLLOW) < 0 ||
	    !S_ISREG(st.st_mode))
		return false;
	if (ret_size)
		*ret_size = (uint64_t)st.st_size;
	return true;
}

int rb_store_open_blob(struct rb_store *store, const struct rb_digest *digest,
		       struct rb_error **err)
{
	char path[BLOB_PATH_BYTES], text[RB_DIGEST_TEXT_BYTES];
	int fd = openat(store->fd, blob_path(digest, path), O_RDONLY | O_NOFOLLOW | O_CLOEXEC);

	if (fd >= 0)
		return fd;
	if (errno == ENOENT)
		return rb_fail(err, RB_ERR_NOTFOUND, "blob %s is not in the store %s",
			       rb_digest_text(digest, text), store->path);
	return rb_store_fail(store, -errno, "open a blob", err);
}

int rb_store_read_blob(struct rb_store *store, const struct rb_digest *digest, size_t max_bytes,
		       struct rb_buf *ret, struct rb_error **err)
{
	char path[BLOB_PATH_BYTES], text[RB_DIGEST_TEXT_BYTES];
	RB_CLEANUP(rb_closep) int fd = rb_store_open_blob(store, digest, err);
	RB_CLEANUP(rb_buf_clear) struct rb_buf b = RB_BUF_INIT;

	if (fd < 0)
		return -1;
	if (rb_read_fd(fd, max_bytes, &b, err) < 0)
		return rb_wrap(err, "blob %s", rb_digest_text(digest, text));
	struct rb_digest got = rb_digest_of(b.ptr, b.len);
	if (!rb_digest_eq(&got, digest))
		return rb_fail(err, RB_ERR_CORRUPT,
			       "%s/%s is damaged: its content does not hash to its name; remove "
			       "it and fetch it again",
			       store->path, blob_path(digest, path));
	rb_buf_clear(ret);
	*ret = b;
	b = (struct rb_buf)RB_BUF_INIT;
	return 0;
}

bool rb_store_drop_damaged(struct rb_store *store, const struct rb_digest *digest)
{
	RB_CLEANUP(rb_hash_freep) struct rb_hash *hash = rb_hash_new();
	RB_CLEANUP(rb_strp) char *buf = rb_malloc(HASH_BYTES);
	char path[BLOB_PATH_BYTES];
	RB_CLEANUP(rb_closep)
	int fd = openat(store->fd, blob_path(digest, path), O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	ssize_t n = -1;

	while (fd >= 0 && (n = rb_read_full(fd, buf, HASH_BYTES)) > 0)
		rb_hash_add(hash, buf, (size_t)n);
	if (n < 0)
		return false;
	struct rb_digest got = rb_hash_final(hash);
	return !rb_digest_eq(&got, digest) && unlinkat(store->fd, path, 0) == 0;
}

struct rb_blob_writer {
	struct rb_store *store;
	struct rb_store_temp temp;
	struct rb_hash *hash;
	uint64_t size;
};

int rb_blob_writer_new(struct rb_store *store, struct rb_blob_writer **ret, struct rb_error **err)
{
	struct rb_store_temp temp = RB_STORE_TEMP_INIT;

	if (rb_store_temp_open(store, &temp, err) < 0)
		return -1;
	struct rb_blob_writer *w = rb_calloc(1, sizeof(*w));
	*w = (struct rb_blob_writer){.store = store, .temp = temp, .hash = rb_hash_new()};
	*ret = w;
	return 0;
}

int rb_blob_writer_add(struct rb_blob_writer *w, const void *data, size_t len,
		       struct rb_error **err)
{
	int r = rb_write_full(w->temp.fd, data, len);

	if (r < 0)
		return rb_store_fail(w->store, r, "write a blob", err);
	rb_hash_add(w->hash, data, len);
	w->size += len;
	return 0;
}

int rb_blob_writer_commit(struct rb_blob_writer *w, const struct rb_digest *want,
			  uint64_t want_size, struct rb_blob *ret, struct rb_error **err)
{
	char path[BLOB_PATH_BYTES], text[RB_DIGEST_TEXT_BYTES], got[RB_DIGEST_TEXT_BYTES];
	struct rb_blob blob = {.digest = rb_hash_final(w->hash), .size = w->size};

	if (ret)
		*ret = blob;
	if (want_size != UINT64_MAX && want_size != w->size)
		return rb_fail(err, RB_ERR_CORRUPT, "expected %llu bytes, got %llu",
			       (unsigned long long)want_size, (unsigned long long)w->size);
	if (want && !rb_digest_eq(want, &blob.digest))
		return rb_fail(err, RB_ERR_CORRUPT, "expected %s, got %s",
			       rb_digest_text(want, text), rb_digest_text(&blob.digest, got));
	/*
	 * A plain rename, although a blob of that name may exist: it replaces equal content
	 * atomically, and mends a blob that a power failure left empty under its name.
	 */
	return rb_store_temp_publish(w->store, &w->temp, blob_path(&blob.digest, path), 0444, err);
}

void rb_blob_writer_free(struct rb_blob_writer *w)
{
	if (!w)
		return;
	rb_store_temp_drop(w->store, &w->temp);
	rb_hash_free(w->hash);
	free(w);
}

static bool is_there(struct rb_store *store, const struct rb_blob *blob)
{
	RB_CLEANUP(rb_buf_clear) struct rb_buf text = RB_BUF_INIT;
	struct rb_error *why = NULL;
	int r = rb_store_read_blob(store, &blob->digest, blob->size, &text, &why);

	rb_error_drop(&why);
	return r == 0;
}

int rb_store_put_blob(struct rb_store *store, const void *data, size_t len, struct rb_blob *ret,
		      struct rb_error **err)
{
	RB_CLEANUP(rb_blob_writer_freep) struct rb_blob_writer *w = NULL;

	*ret = (struct rb_blob){.digest = rb_digest_of(data, len), .size = len};
	if (is_there(store, ret))
		return 0;
	if (rb_blob_writer_new(store, &w, err) < 0 || rb_blob_writer_add(w, data, len, err) < 0)
		return -1;
	return rb_blob_writer_commit(w, NULL, UINT64_MAX, NULL, err);
}
