// SPDX-License-Identifier: Apache-2.0
/*
 * `rbuild load`: an OCI image layout from a tar file or a directory. Of a tar all blobs go into the
 * store as they pass, because what they are is known only from index.json, which may come last;
 * each gets its name only when it hashes to it. Every other name is ignored.
 */
#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/fd.h"
#include "context/layout.h"
#include "image/config.h"
#include "image/manifest.h"
#include "output/import.h"
#include "output/output-internal.h"

enum {
	PIECE_BYTES = 256 << 10,
	ENTRIES_MAX = 1 << 20,
	RATIO_FROM_BYTES = 64 << 20, /* small archives may compress well */
};

static const char blob_prefix[] = "blobs/sha256/";

struct loader {
	struct rb_store *store;
	int dirfd;                    /* -1: a tar, all of whose blobs are in the store */
	struct rb_buf index, version; /* index.json, oci-layout */
	bool has_docker_manifest;
};

/* One image of the layout. */
struct image {
	struct rb_layout_image manifest;
	const char *ref_name, *image_name; /* borrowed from the index */
};

static struct rb_layout layout_of(const struct loader *l)
{
	return (struct rb_layout){.store = l->store, .dirfd = l->dirfd};
}

void rb_loaded_list_clear(struct rb_loaded_list *l)
{
	for (size_t i = 0; i < l->n; i++)
		free(l->v[i].name);
	free(l->v);
	*l = (struct rb_loaded_list){0};
}

/* --- from a tar */

static void free_archive(struct archive **a)
{
	if (*a)
		archive_read_free(*a);
	*a = NULL;
}

static int fail_archive(struct archive *a, struct rb_error **err)
{
	const char *why = archive_error_string(a);

	return rb_fail(err, RB_ERR_CORRUPT, "not a tar archive, or a damaged one: %s",
		       why ? why : "unknown format");
}

static int check_ratio(struct archive *a, struct rb_error **err)
{
	int64_t out = archive_filter_bytes(a, 0), in = archive_filter_bytes(a, -1);

	if (out > RATIO_FROM_BYTES && in > 0 && out / in > rb_layer_limits_default.ratio)
		return rb_fail(err, RB_ERR_CORRUPT,
			       "expands to more than %u times its size, which no image does",
			       rb_layer_limits_default.ratio);
	return 0;
}

static int read_text(struct archive *a, const char *name, struct rb_buf *ret, struct rb_error **err)
{
	char piece[4096];
	la_ssize_t n;

	rb_buf_clear(ret);
	while ((n = archive_read_data(a, piece, sizeof(piece))) > 0) {
		rb_buf_add(ret, piece, (size_t)n);
		if (ret->len > RB_LAYOUT_JSON_MAX)
			return rb_fail(err, RB_ERR_CORRUPT, "%s is larger than %d bytes", name,
				       RB_LAYOUT_JSON_MAX);
	}
	return n < 0 ? fail_archive(a, err) : 0;
}

/* The digest that the name of a blob promises. */
static bool blob_digest(const char *name, struct rb_digest *ret)
{
	char text[RB_DIGEST_TEXT_BYTES];

	if (!rb_starts_with(name, blob_prefix))
		return false;
	int n = snprintf(text, sizeof(text), "sha256:%s", name + strlen(blob_prefix));
	return n > 0 && n < (int)sizeof(text) && rb_digest_parse(text, ret) == 0;
}

static int take_blob(struct loader *l, struct archive *a, uint64_t size,
		     const struct rb_digest *digest, struct rb_error **err)
{
	RB_CLEANUP(rb_blob_writer_freep) struct rb_blob_writer *w = NULL;
	RB_CLEANUP(rb_strp) char *buf = NULL;
	uint64_t have;
	la_ssize_t n;

	if (rb_store_has_blob(l->store, digest, &have) && have == size)
		return 0;
	if (rb_blob_writer_new(l->store, &w, err) < 0)
		return -1;
	buf = rb_malloc(PIECE_BYTES);
	while ((n = archive_read_data(a, buf, PIECE_BYTES)) > 0)
		if (check_ratio(a, err) < 0 || rb_blob_writer_add(w, buf, (size_t)n, err) < 0)
			return -1;
	if (n < 0)
		return fail_archive(a, err);
	if (rb_blob_writer_commit(w, digest, UINT64_MAX, NULL, err) < 0)
		return rb_wrap(err, "a blob is damaged");
	return 0;
}

static int take_entry(struct loader *l, struct archive *a, struct archive_entry *e,
		      struct rb_error **err)
{
	const char *name = archive_entry_pathname(e);
	struct rb_digest digest;

	if (!name || archive_entry_filetype(e) != AE_IFREG || archive_entry_hardlink(e))
		return 0;
	while (rb_starts_with(name, "./"))
		name += 2;
	if (rb_streq(name, "index.json"))
		return read_text(a, name, &l->index, err);
	if (rb_streq(name, "oci-layout"))
		return read_text(a, name, &l->version, err);
	l->has_docker_manifest |= rb_streq(name, "manifest.json");
	if (blob_digest(name, &digest))
		return take_blob(l, a, (uint64_t)archive_entry_size(e), &digest, err);
	return 0;
}

static int read_tar(struct loader *l, int fd, struct rb_error **err)
{
	RB_CLEANUP(free_archive) struct archive *a = archive_read_new();
	struct archive_entry *e;
	unsigned entries = 0;
	int r;

	if (!a)
		rb_bug("cannot make a libarchive reader");
	(void)archive_read_support_format_tar(a);
	(void)archive_read_support_filter_gzip(a);
	(void)archive_read_support_filter_zstd(a);
	if (archive_read_open_fd(a, fd, PIECE_BYTES) != ARCHIVE_OK)
		return fail_archive(a, err);
	while ((r = archive_read_next_header(a, &e)) == ARCHIVE_OK || r == ARCHIVE_WARN) {
		if (++entries > ENTRIES_MAX)
			return rb_fail(err, RB_ERR_CORRUPT, "more than %d entries", ENTRIES_MAX);
		if (check_ratio(a, err) < 0 || take_entry(l, a, e, err) < 0)
			return -1;
	}
	return r == ARCHIVE_EOF ? 0 : fail_archive(a, err);
}

/* --- from a directory */

static int read_dir_file(struct loader *l, const char *name, struct rb_buf *ret,
			 struct rb_error **err)
{
	if (rb_layout_read_json(l->dirfd, name, ret, err) == 0)
		return 0;
	if ((*err)->code != RB_ERR_NOTFOUND)
		return -1;
	rb_error_drop(err); /* said better by check_layout() */
	return 0;
}

static int read_dir(struct loader *l, struct rb_error **err)
{
	if (read_dir_file(l, "index.json", &l->index, err) < 0)
		return -1;
	return read_dir_file(l, "oci-layout", &l->version, err);
}

/* --- what both hold */

static int check_layout(struct loader *l, struct rb_error **err)
{
	if (!l->index.len && l->has_docker_manifest)
		return rb_fail(
			err, RB_ERR_UNSUPPORTED,
			"this is a docker-archive (docker save), which is not supported yet; "
			"make an OCI archive of it: skopeo copy docker-archive:FILE "
			"oci-archive:NEW");
	if (!l->index.len || !l->version.len)
		return rb_fail(err, RB_ERR_CORRUPT, "not an OCI image layout: it has no %s",
			       l->index.len ? "oci-layout" : "index.json");
	return rb_layout_check_version(&l->version, err);
}

static void free_images(struct image **v)
{
	free(*v);
}

/* The images that index.json names; `v` has room for all its entries. */
static int find_images(struct loader *l, const struct rb_manifest *index,
		       const struct rb_platform *platform, struct image *v, size_t *ret_n,
		       struct rb_error **err)
{
	const struct rb_layout layout = layout_of(l);
	size_t n = 0;

	for (size_t i = 0; i < index->n_layers; i++) {
		const struct rb_descriptor *d = &index->layers[i];

		v[n] = (struct image){
			.manifest = {d->digest, d->size, d->media_type},
			.ref_name = d->ref_name,
			.image_name = d->image_name,
		};
		if (rb_layout_is_index(d)) {
			if (rb_layout_choose(&layout, d, platform, &v[n].manifest, err) < 0)
				return -1;
			n++;
		} else if (rb_layout_is_manifest(d)) {
			n++;
		}
	}
	if (!n)
		return rb_fail(err, RB_ERR_NOTFOUND, "it holds no image");
	*ret_n = n;
	return 0;
}

/* Names of an image: those asked for, or what the layout calls it. */
static int find_names(const struct image *im, const struct rb_strv *asked, struct rb_strv *ret,
		      struct rb_error **err)
{
	const char *own = im->image_name;

	if (asked->n) {
		rb_strv_copy(ret, asked);
		return 0;
	}
	/* ref.name alone is only a tag ("latest") in most layouts. */
	if (!own && im->ref_name && strpbrk(im->ref_name, ":/"))
		own = im->ref_name;
	if (!own)
		return rb_fail(err, RB_ERR_USAGE,
			       "it does not say what the image is called: name it with -t NAME");
	return rb_output_add_name(ret, own, err);
}

/* Manifest, config and layers fit together and are there. */
static int check_image(struct loader *l, const struct image *im, struct rb_image_record *r,
		       char platform[static RB_PLATFORM_TEXT_BYTES], struct rb_error **err)
{
	RB_CLEANUP(rb_buf_clear) struct rb_buf text = RB_BUF_INIT;
	RB_CLEANUP(rb_manifest_clear) struct rb_manifest m = {.kind = RB_DOC_MANIFEST};
	RB_CLEANUP(rb_image_config_clear) struct rb_image_config config = {0};
	const struct rb_layout layout = layout_of(l);

	if (rb_layout_read(&layout, &im->manifest.digest, im->manifest.size, &text, err) < 0 ||
	    rb_manifest_parse(text.ptr, text.len, im->manifest.media_type, &m, err) < 0)
		return -1;
	if (rb_manifest_is_cache(&m))
		return rb_fail(err, RB_ERR_UNSUPPORTED,
			       "this is a build cache, not an image: name it with --cache-from");
	if (rb_layout_read(&layout, &m.config.digest, m.config.size, &text, err) < 0 ||
	    rb_image_config_parse(text.ptr, text.len, &config, err) < 0)
		return -1;
	if (m.n_layers != config.n_diff_ids)
		return rb_fail(err, RB_ERR_CORRUPT,
			       "the manifest has %zu layers, the image config %zu", m.n_layers,
			       config.n_diff_ids);
	for (size_t i = 0; i < m.n_layers; i++)
		if (rb_layout_need_blob(&layout, &m.layers[i].digest, m.layers[i].size, err) < 0)
			return rb_wrap(err, "layer %zu of %zu", i + 1, m.n_layers);
	r->manifest = im->manifest.digest;
	r->config = m.config.digest;
	r->platform = rb_platform_text(&config.platform, platform);
	return 0;
}

static int load_image(struct loader *l, const struct image *im, const struct rb_strv *asked,
		      struct rb_loaded_list *ret, struct rb_error **err)
{
	RB_CLEANUP(rb_strv_clear) struct rb_strv names = RB_STRV_INIT;
	char platform[RB_PLATFORM_TEXT_BYTES], origin[] = "load";
	struct rb_image_record r = {.origin = origin, .resolved = time(NULL)};

	if (find_names(im, asked, &names, err) < 0 || check_image(l, im, &r, platform, err) < 0)
		return -1;
	for (size_t i = 0; i < names.n; i++) {
		r.name = names.v[i];
		if (rb_store_put_image(l->store, &r, err) < 0)
			return -1;
		rb_grow(ret->v, ret->n, &ret->cap);
		ret->v[ret->n++] = (struct rb_loaded){.name = rb_strdup(r.name), .image = r.config};
	}
	return 0;
}

static int load_layout(struct loader *l, const struct rb_strv *names,
		       const struct rb_platform *platform, struct rb_loaded_list *ret,
		       struct rb_error **err)
{
	RB_CLEANUP(rb_manifest_clear) struct rb_manifest index = {.kind = RB_DOC_INDEX};
	size_t n = 0;

	if (check_layout(l, err) < 0 ||
	    rb_manifest_parse(l->index.ptr, l->index.len, RB_MT_OCI_INDEX, &index, err) < 0)
		return -1;
	RB_CLEANUP(free_images)
	struct image *images = rb_calloc(index.n_layers + 1, sizeof(*images));
	if (find_images(l, &index, platform, images, &n, err) < 0)
		return -1;
	if (n > 1 && names->n)
		return rb_fail(err, RB_ERR_USAGE,
			       "it holds %zu images, which cannot all be called %s: load it "
			       "without -t",
			       n, names->v[0]);
	for (size_t i = 0; i < n; i++)
		if (load_image(l, &images[i], names, ret, err) < 0)
			return -1;
	return 0;
}

int rb_load_oci(struct rb_store *store, const char *path, const struct rb_strv *names,
		const struct rb_platform *platform, struct rb_loaded_list *ret,
		struct rb_error **err)
{
	RB_CLEANUP(rb_closep) int fd = rb_output_open_source(path, err);
	struct loader l = {
		.store = store, .dirfd = -1, .index = RB_BUF_INIT, .version = RB_BUF_INIT};
	struct rb_loaded_list loaded = {0};
	struct stat st;

	if (fd < 0)
		return -1;
	if (fstat(fd, &st) < 0)
		return rb_fail_errno(err, "cannot stat %s", path);
	l.dirfd = S_ISDIR(st.st_mode) ? fd : -1;
	int r = l.dirfd >= 0 ? read_dir(&l, err) : read_tar(&l, fd, err);
	if (r == 0)
		r = load_layout(&l, names, platform, &loaded, err);
	rb_buf_clear(&l.index);
	rb_buf_clear(&l.version);
	if (r < 0) {
		rb_loaded_list_clear(&loaded);
		return rb_wrap(err, "%s", path);
	}
	*ret = loaded;
	return 0;
}
