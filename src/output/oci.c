// SPDX-License-Identifier: Apache-2.0
/*
 * OCI image layouts (image-spec image-layout.md): blobs/sha256/<hex>, index.json, oci-layout, as a
 * tar file or as a directory. Both are lists of the same files in the same order.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "image/manifest.h"
#include "image/reference.h"
#include "output/output-internal.h"

static const char layout_text[] = "{\"imageLayoutVersion\":\"1.0.0\"}";

/* One file of the layout: text, or a blob of the store. */
struct item {
	char path[96];
	const char *text; /* NULL: the blob */
	struct rb_digest digest;
	uint64_t size;
};

struct layout {
	struct rb_store *store;
	struct rb_output_target *target;
	bool as_dir;
	struct item *items;
	size_t n;
	struct rb_strv texts; /* of items */
};

enum { BLOCK = 512 };

/* --- tar: ustar headers, as far as a layout needs them */

static void put_octal(uint8_t *field, size_t digits, uint64_t v)
{
	for (size_t i = digits; i-- > 0; v >>= 3)
		field[i] = (uint8_t)('0' + (v & 7));
}

/* Sizes from 8 GiB on are binary, big endian, as GNU tar, Go and libarchive read and write them. */
static void put_size(uint8_t field[static 12], uint64_t v)
{
	if (v < 1ull << 33) {
		put_octal(field, 11, v);
		return;
	}
	field[0] = 0x80;
	for (int i = 11; i > 3; i--, v >>= 8)
		field[i] = (uint8_t)v;
}

/* Owner 0:0, time 0: the same image gives the same archive. */
static void tar_header(uint8_t block[static BLOCK], const char *path, char type, unsigned mode,
		       uint64_t size)
{
	unsigned sum = 0;

	memset(block, 0, BLOCK);
	memcpy(block, path, strlen(path)); /* shorter than 100 bytes */
	put_octal(block + 100, 7, mode);
	put_octal(block + 108, 7, 0); /* uid */
	put_octal(block + 116, 7, 0); /* gid */
	put_size(block + 124, size);
	put_octal(block + 136, 11, 0); /* mtime */
	memset(block + 148, ' ', 8);   /* the checksum counts as blanks */
	block[156] = (uint8_t)type;
	memcpy(block + 257,
	       "ustar\0"
	       "00",
	       8);
	for (size_t i = 0; i < BLOCK; i++)
		sum += block[i];
	put_octal(block + 148, 6, sum);
	block[154] = '\0';
}

static int write_out(const struct layout *l, int fd, const void *data, size_t len,
		     struct rb_error **err)
{
	int r = rb_write_full(fd, data, len);

	return r < 0 ? rb_output_target_fail(l->target, r, err) : 0;
}

static int tar_begin(const struct layout *l, const char *path, char type, unsigned mode,
		     uint64_t size, struct rb_error **err)
{
	uint8_t block[BLOCK];

	tar_header(block, path, type, mode, size);
	return write_out(l, rb_output_target_fd(l->target), block, sizeof(block), err);
}

static int tar_pad(const struct layout *l, uint64_t size, struct rb_error **err)
{
	static const uint8_t zeros[2 * BLOCK];

	return write_out(l, rb_output_target_fd(l->target), zeros, -size % BLOCK, err);
}

/* --- content */

struct blob_target {
	const struct layout *l;
	int fd;
};

static int write_blob(void *ctx, const void *data, size_t len, struct rb_error **err)
{
	const struct blob_target *t = ctx;

	return write_out(t->l, t->fd, data, len, err);
}

static int copy_blob(const struct layout *l, const struct item *it, int fd, struct rb_error **err)
{
	struct blob_target t = {.l = l, .fd = fd};

	return rb_output_copy_blob(l->store, &it->digest, it->size, write_blob, &t, err);
}

static int write_content(const struct layout *l, const struct item *it, int fd,
			 struct rb_error **err)
{
	return it->text ? write_out(l, fd, it->text, it->size, err) : copy_blob(l, it, fd, err);
}

static int write_tar(const struct layout *l, struct rb_error **err)
{
	int fd = rb_output_target_fd(l->target);

	if (tar_begin(l, "blobs/", '5', 0755, 0, err) < 0 ||
	    tar_begin(l, "blobs/sha256/", '5', 0755, 0, err) < 0)
		return -1;
	for (size_t i = 0; i < l->n; i++) {
		const struct item *it = &l->items[i];

		if (tar_begin(l, it->path, '0', 0644, it->size, err) < 0 ||
		    write_content(l, it, fd, err) < 0 || tar_pad(l, it->size, err) < 0)
			return -1;
	}
	static const uint8_t end[2 * BLOCK];
	return write_out(l, fd, end, sizeof(end), err);
}

static int write_dir(const struct layout *l, struct rb_error **err)
{
	int dir = rb_output_target_fd(l->target), r = rb_mkdirs_at(dir, "blobs/sha256", 0777);

	if (r < 0)
		return rb_output_target_fail(l->target, r, err);
	for (size_t i = 0; i < l->n; i++) {
		RB_CLEANUP(rb_closep)
		int fd = openat(dir, l->items[i].path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC,
				0666);

		if (fd < 0)
			return rb_output_target_fail(l->target, -errno, err);
		if (write_content(l, &l->items[i], fd, err) < 0)
			return -1;
		if ((r = rb_close_written(&fd)) < 0)
			return rb_output_target_fail(l->target, r, err);
	}
	return 0;
}

/* --- the list of files */

static void add_blob(struct layout *l, const struct rb_digest *d, uint64_t size, const char *text)
{
	struct item *it = &l->items[l->n];
	char hex[RB_DIGEST_TEXT_BYTES];

	for (size_t i = 0; i < l->n; i++)
		if (rb_digest_eq(&l->items[i].digest, d))
			return; /* a layer may occur twice */
	*it = (struct item){.text = text, .digest = *d, .size = size};
	(void)snprintf(it->path, sizeof(it->path), "blobs/sha256/%s", rb_digest_hex(d, hex));
	l->n++;
}

static void add_file(struct layout *l, const char *path, const char *text)
{
	struct item *it = &l->items[l->n++];

	*it = (struct item){.text = text, .size = strlen(text)};
	(void)snprintf(it->path, sizeof(it->path), "%s", path);
}

static int compare_items(const void *a, const void *b)
{
	const struct item *x = a, *y = b;

	return strcmp(x->path, y->path);
}

/* index.json: it names one document, the manifest or the index of several. */
static char *name_result(const char *media_type, const struct rb_blob *result,
			 const struct rb_platform *platform, const struct rb_strv *names)
{
	struct rb_descriptor d = {
		.media_type = rb_strdup(media_type),
		.digest = result->digest,
		.size = result->size,
		.has_platform = platform,
	};
	struct rb_manifest index = {.kind = RB_DOC_INDEX, .layers = &d, .n_layers = 1};

	if (platform)
		d.platform = *platform;
	if (names->n) {
		const char *colon = strrchr(names->v[0], ':'); /* normalised: there is a tag */

		d.image_name = rb_strdup(names->v[0]);
		d.ref_name = rb_strdup(colon ? colon + 1 : "latest");
	}
	char *text = rb_manifest_dump(&index);
	free(d.media_type);
	free(d.image_name);
	free(d.ref_name);
	return text;
}

static int write_layout(struct layout *l, const char *dest, struct rb_error **err)
{
	int r = l->as_dir ? rb_output_target_dir(dest, &l->target, err)
			  : rb_output_target_file(dest, &l->target, err);

	if (r < 0 || (l->as_dir ? write_dir(l, err) : write_tar(l, err)) < 0)
		return -1;
	return rb_output_target_commit(l->target, err);
}

/* Takes text, which lives as long as the layout. */
static struct rb_blob add_text(struct layout *l, char *text)
{
	struct rb_blob b = {.digest = rb_digest_of(text, strlen(text)), .size = strlen(text)};

	rb_strv_take(&l->texts, text);
	add_blob(l, &b.digest, b.size, text);
	return b;
}

/* Config, manifest and layers; the manifest's digest and size. */
static struct rb_blob add_image(struct layout *l, const struct rb_solved_image *im)
{
	struct rb_blob config = add_text(l, rb_image_config_dump(&im->config));

	for (size_t i = 0; i < im->n_layers; i++)
		add_blob(l, &im->layers[i].blob, im->layers[i].blob_size, NULL);
	return add_text(l, rb_output_manifest(im, &config));
}

static size_t count_items(const struct rb_solved_image *images, size_t n)
{
	size_t items = 3; /* the index, index.json, oci-layout */

	for (size_t i = 0; i < n; i++)
		items += images[i].n_layers + 2;
	return items;
}

int rb_output_oci(struct rb_store *store, const struct rb_solved_image *images, size_t n,
		  bool as_index, const struct rb_output_spec *spec, const struct rb_strv *names,
		  struct rb_digest *ret, struct rb_error **err)
{
	struct layout l = {
		.store = store,
		.as_dir = spec->as_dir,
		.items = rb_calloc(count_items(images, n), sizeof(*l.items)),
	};
	struct rb_blob *manifests = rb_calloc(n, sizeof(*manifests)), result;

	for (size_t i = 0; i < n; i++)
		manifests[i] = add_image(&l, &images[i]);
	result = as_index ? add_text(&l, rb_output_index_text(images, manifests, n)) : manifests[0];
	RB_CLEANUP(rb_strp)
	char *index = name_result(as_index ? RB_MT_OCI_INDEX : RB_MT_OCI_MANIFEST, &result,
				  as_index ? NULL : &images[0].config.platform,
				  spec->names.n ? &spec->names : names);
	add_file(&l, "index.json", index);
	add_file(&l, "oci-layout", layout_text);
	qsort(l.items, l.n, sizeof(*l.items), compare_items);
	int r = write_layout(&l, spec->dest, err);
	rb_output_target_free(l.target);
	rb_strv_clear(&l.texts);
	free(manifests);
	free(l.items);
	if (r == 0)
		*ret = result.digest;
	return r;
}
