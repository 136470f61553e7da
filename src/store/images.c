// SPDX-License-Identifier: Apache-2.0
/*
 * Image names: images/<hex of sha256(name NUL platform)>, one JSON document for a name on a
 * platform, so that binding a name never has to read and rewrite what another process binds.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/json.h"
#include "base/log.h"
#include "store/store-internal.h"

/* "images/" + 64 hex digits + NUL */
enum { IMAGE_PATH_BYTES = 80, IMAGE_BYTES_MAX = 64 << 10, HEX_DIGITS = 64, ID_DIGITS_MIN = 4 };

static const char *image_path(const char *name, const char *platform,
			      char buf[static IMAGE_PATH_BYTES])
{
	char text[RB_DIGEST_TEXT_BYTES];
	RB_CLEANUP(rb_buf_clear) struct rb_buf key = RB_BUF_INIT;

	rb_buf_add(&key, name, strlen(name) + 1);
	rb_buf_addstr(&key, platform);
	struct rb_digest d = rb_digest_of(key.ptr, key.len);
	(void)snprintf(buf, IMAGE_PATH_BYTES, "images/%s", rb_digest_hex(&d, text));
	return buf;
}

void rb_image_record_clear(struct rb_image_record *r)
{
	free(r->name);
	free(r->platform);
	free(r->snapshot);
	free(r->rung);
	free(r->origin);
	*r = (struct rb_image_record){0};
}

static void write_digest(struct rb_json *doc, const char *key, const struct rb_digest *d)
{
	char text[RB_DIGEST_TEXT_BYTES];

	if (!rb_digest_is_zero(d))
		rb_json_set_str(doc, key, rb_digest_text(d, text));
}

int rb_store_put_image(struct rb_store *store, const struct rb_image_record *r,
		       struct rb_error **err)
{
	char path[IMAGE_PATH_BYTES];
	RB_CLEANUP(rb_json_freep) struct rb_json *doc = rb_json_new_object();

	rb_json_set_str(doc, "name", r->name);
	rb_json_set_str(doc, "platform", r->platform);
	write_digest(doc, "config", &r->config);
	write_digest(doc, "manifest", &r->manifest);
	if (r->snapshot)
		rb_json_set_str(doc, "snapshot", r->snapshot);
	if (r->rung)
		rb_json_set_str(doc, "rung", r->rung);
	rb_json_set_i64(doc, "resolved", r->resolved);
	if (r->origin)
		rb_json_set_str(doc, "origin", r->origin);
	RB_CLEANUP(rb_strp) char *text = rb_json_dump(doc, 1);
	if (rb_store_publish(store, image_path(r->name, r->platform, path), text, strlen(text),
			     err) < 0)
		return rb_wrap(err, "cannot record the image %s", r->name);
	return 0;
}

static int read_field(const struct rb_json *doc, const char *key, char **ret, struct rb_error **err)
{
	const char *s = NULL;

	if (rb_json_get_str(doc, key, "image record", &s, err) < 0)
		return -1;
	if (s)
		*ret = rb_strdup(s);
	return 0;
}

static int read_digest(const struct rb_json *doc, const char *key, struct rb_digest *ret,
		       struct rb_error **err)
{
	const char *s = NULL;

	if (rb_json_get_str(doc, key, "image record", &s, err) < 0)
		return -1;
	if (s && rb_digest_parse(s, ret) < 0)
		return rb_fail(err, RB_ERR_CORRUPT, "image record: %s: not a digest", key);
	return 0;
}

static int read_document(const struct rb_json *doc, struct rb_image_record *r,
			 struct rb_error **err)
{
	if (!rb_json_is_object(doc))
		return rb_fail(err, RB_ERR_CORRUPT, "image record: expected object");
	if (read_field(doc, "name", &r->name, err) < 0 ||
	    read_field(doc, "platform", &r->platform, err) < 0 ||
	    read_field(doc, "snapshot", &r->snapshot, err) < 0 ||
	    read_field(doc, "rung", &r->rung, err) < 0 ||
	    read_field(doc, "origin", &r->origin, err) < 0 ||
	    read_digest(doc, "config", &r->config, err) < 0 ||
	    read_digest(doc, "manifest", &r->manifest, err) < 0 ||
	    rb_json_get_i64(doc, "resolved", "image record", &r->resolved, err) < 0)
		return -1;
	if (!r->name || !r->platform || rb_digest_is_zero(&r->config))
		return rb_fail(err, RB_ERR_CORRUPT,
			       "image record: name, platform or config is missing");
	return 0;
}

static int read_record(struct rb_store *store, const char *path, struct rb_image_record *ret,
		       struct rb_error **err)
{
	RB_CLEANUP(rb_buf_clear) struct rb_buf text = RB_BUF_INIT;
	struct rb_image_record r = {0};

	if (rb_read_file_at(store->fd, path, IMAGE_BYTES_MAX, &text, err) < 0)
		return -1;
	RB_CLEANUP(rb_json_freep)
	struct rb_json *doc = rb_json_parse(text.ptr, text.len, "image record", err);
	if (!doc)
		return -1;
	if (read_document(doc, &r, err) < 0) {
		rb_image_record_clear(&r);
		return -1;
	}
	*ret = r;
	return 0;
}

/* A name whose record is damaged can be bound again, so it is reported and then as good as
 * missing. */
static void warn_damaged(struct rb_store *store, const char *path, struct rb_error **err)
{
	RB_CLEANUP(rb_strp) char *why = rb_error_text(*err);

	rb_log_warn("%s/%s is damaged and left out: %s", store->path, path, why);
	rb_error_drop(err);
}

int rb_store_get_image(struct rb_store *store, const char *name, const char *platform,
		       struct rb_image_record *ret, struct rb_error **err)
{
	char path[IMAGE_PATH_BYTES];
	struct rb_image_record r = {0};

	if (read_record(store, image_path(name, platform, path), &r, err) == 0) {
		if (rb_streq(r.name, name) && rb_streq(r.platform, platform)) {
			*ret = r;
			return 0;
		}
		rb_image_record_clear(&r);
	} else if ((*err)->code == RB_ERR_NOTFOUND) {
		rb_error_drop(err); /* said better below */
	} else if ((*err)->code == RB_ERR_CORRUPT) {
		warn_damaged(store, path, err);
	} else {
		return rb_wrap(err, "the store %s", store->path);
	}
	return rb_fail(err, RB_ERR_NOTFOUND, "no image %s for %s in the store %s", name, platform,
		       store->path);
}

struct record_list {
	struct rb_image_record *v;
	size_t n, cap;
};

static void record_list_clear(struct record_list *l)
{
	for (size_t i = 0; i < l->n; i++)
		rb_image_record_clear(&l->v[i]);
	free(l->v);
}

static int compare_records(const void *a, const void *b)
{
	const struct rb_image_record *x = a, *y = b;
	int r = strcmp(x->name, y->name);

	return r ? r : strcmp(x->platform, y->platform);
}

static int add_record(struct rb_store *store, const char *file, struct record_list *l,
		      struct rb_error **err)
{
	char path[IMAGE_PATH_BYTES];
	struct rb_image_record r = {0};

	if (strlen(file) != HEX_DIGITS || strspn(file, "0123456789abcdef") != HEX_DIGITS)
		return 0;
	(void)snprintf(path, sizeof(path), "images/%s", file);
	if (read_record(store, path, &r, err) < 0) {
		if ((*err)->code == RB_ERR_SYS)
			return rb_wrap(err, "the store %s", store->path);
		if ((*err)->code == RB_ERR_NOTFOUND)
			rb_error_drop(err); /* removed while we looked */
		else
			warn_damaged(store, path, err);
		return 0;
	}
	rb_grow(l->v, l->n, &l->cap);
	l->v[l->n++] = r;
	return 0;
}

static int load_records(struct rb_store *store, struct record_list *l, struct rb_error **err)
{
	int fd = openat(store->fd, "images", O_RDONLY | O_DIRECTORY | O_CLOEXEC), r = 0;

	if (fd < 0 && errno == ENOENT)
		return 0;
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	if (!d) {
		int saved = errno;

		rb_closep(&fd);
		return rb_store_fail(store, -saved, "list the images", err);
	}
	for (struct dirent *e; r == 0 && (e = readdir(d));)
		r = add_record(store, e->d_name, l, err);
	closedir(d);
	if (r == 0 && l->n)
		qsort(l->v, l->n, sizeof(*l->v), compare_records);
	return r;
}

int rb_store_each_image(struct rb_store *store,
			int (*fn)(void *ctx, const struct rb_image_record *r), void *ctx,
			struct rb_error **err)
{
	RB_CLEANUP(record_list_clear) struct record_list l = {0};

	if (load_records(store, &l, err) < 0)
		return -1;
	for (size_t i = 0; i < l.n; i++) {
		int r = fn(ctx, &l.v[i]);

		if (r < 0)
			return r;
	}
	return 0;
}

int rb_store_find_image(struct rb_store *store, const char *id, struct rb_image_record *ret,
			struct rb_error **err)
{
	RB_CLEANUP(record_list_clear) struct record_list l = {0};
	const char *hex = rb_starts_with(id, "sha256:") ? id + strlen("sha256:") : id;
	size_t digits = strlen(hex);
	struct rb_image_record *found = NULL;
	char text[RB_DIGEST_TEXT_BYTES];

	if (digits < ID_DIGITS_MIN || digits > HEX_DIGITS ||
	    strspn(hex, "0123456789abcdef") != digits)
		return rb_fail(err, RB_ERR_NOTFOUND,
			       "\"%s\" is not an image ID (at least %d of its hex digits)", id,
			       ID_DIGITS_MIN);
	if (load_records(store, &l, err) < 0)
		return -1;
	for (size_t i = 0; i < l.n; i++) {
		if (!rb_starts_with(rb_digest_hex(&l.v[i].config, text), hex))
			continue;
		if (found && !rb_digest_eq(&found->config, &l.v[i].config))
			return rb_fail(err, RB_ERR_USAGE,
				       "several images have an ID that begins with %s: give more "
				       "digits",
				       id);
		if (!found)
			found = &l.v[i];
	}
	if (!found)
		return rb_fail(err, RB_ERR_NOTFOUND, "no image with ID %s in the store %s", id,
			       store->path);
	*ret = *found;
	*found = (struct rb_image_record){0};
	return 0;
}
