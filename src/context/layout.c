// SPDX-License-Identifier: Apache-2.0
#include "context/layout.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/json.h"
#include "base/path.h"

enum { PIECE_BYTES = 256 << 10 };

/* --- blobs */

static int copy_blob(const struct rb_layout *l, const struct rb_digest *digest, uint64_t size,
		     struct rb_error **err)
{
	RB_CLEANUP(rb_blob_writer_freep) struct rb_blob_writer *w = NULL;
	RB_CLEANUP(rb_strp) char *buf = rb_malloc(PIECE_BYTES);
	char name[96], hex[RB_DIGEST_TEXT_BYTES];
	struct stat st;
	ssize_t n;

	(void)snprintf(name, sizeof(name), "blobs/sha256/%s", rb_digest_hex(digest, hex));
	RB_CLEANUP(rb_closep)
	int fd = rb_open_in_root(l->dirfd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0);
	if (fd == -ENOENT)
		return rb_fail(err, RB_ERR_NOTFOUND, "the blob %s is missing", name);
	if (fd < 0)
		return rb_fail_sys(err, fd, "cannot open %s", name);
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return rb_fail(err, RB_ERR_CORRUPT, "%s is not a regular file", name);
	/* Also so that no hole fills the store's disk. */
	if ((uint64_t)st.st_size != size)
		return rb_fail(err, RB_ERR_CORRUPT,
			       "%s is damaged: it has %llu bytes, but its descriptor says %llu",
			       name, (unsigned long long)st.st_size, (unsigned long long)size);
	if (rb_blob_writer_new(l->store, &w, err) < 0)
		return -1;
	for (uint64_t left = size;; left -= (uint64_t)n) {
		n = rb_read_full(fd, buf, left < PIECE_BYTES ? (size_t)left : PIECE_BYTES);
		if (n <= 0)
			break;
		if (rb_blob_writer_add(w, buf, (size_t)n, err) < 0)
			return -1;
	}
	if (n < 0)
		return rb_fail_sys(err, (int)n, "cannot read %s", name);
	if (rb_blob_writer_commit(w, digest, UINT64_MAX, NULL, err) < 0)
		return rb_wrap(err, "%s is damaged", name);
	return 0;
}

int rb_layout_read_json(int dirfd, const char *name, struct rb_buf *ret, struct rb_error **err)
{
	RB_CLEANUP(rb_closep)
	int fd = rb_open_in_root(dirfd, name, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0);
	struct stat st;

	if (fd == -ENOENT || fd == -ENOTDIR)
		return rb_error_push(err, RB_ERR_NOTFOUND, -fd, RB_HERE, "%s: %s", name,
				     strerrordesc_np(-fd));
	if (fd < 0)
		return rb_fail_sys(err, fd, "cannot open %s", name);
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return rb_fail(err, RB_ERR_UNSUPPORTED, "%s is not a regular file", name);
	if (rb_read_fd(fd, RB_LAYOUT_JSON_MAX, ret, err) < 0)
		return rb_wrap(err, "%s", name);
	return 0;
}

int rb_layout_need_blob(const struct rb_layout *l, const struct rb_digest *digest, uint64_t size,
			struct rb_error **err)
{
	char text[RB_DIGEST_TEXT_BYTES];
	uint64_t have = 0;
	bool present = rb_store_has_blob(l->store, digest, &have);

	if (l->dirfd >= 0 && (!present || have != size)) {
		if (copy_blob(l, digest, size, err) < 0)
			return -1;
		present = rb_store_has_blob(l->store, digest, &have);
	}
	if (!present)
		return rb_fail(err, RB_ERR_NOTFOUND, "the blob %s is missing",
			       rb_digest_text(digest, text));
	if (have != size)
		return rb_fail(err, RB_ERR_CORRUPT,
			       "the blob %s has %llu bytes, but its descriptor says %llu",
			       rb_digest_text(digest, text), (unsigned long long)have,
			       (unsigned long long)size);
	return 0;
}

int rb_layout_read(const struct rb_layout *l, const struct rb_digest *digest, uint64_t size,
		   struct rb_buf *ret, struct rb_error **err)
{
	char text[RB_DIGEST_TEXT_BYTES];

	if (size > RB_LAYOUT_JSON_MAX)
		return rb_fail(err, RB_ERR_CORRUPT, "the document %s has more than %d bytes",
			       rb_digest_text(digest, text), RB_LAYOUT_JSON_MAX);
	if (rb_layout_need_blob(l, digest, size, err) < 0)
		return -1;
	return rb_store_read_blob(l->store, digest, RB_LAYOUT_JSON_MAX, ret, err);
}

/* --- documents */

int rb_layout_check_version(const struct rb_buf *text, struct rb_error **err)
{
	const char *version = "";
	RB_CLEANUP(rb_json_freep)
	struct rb_json *doc = rb_json_parse(text->ptr, text->len, "oci-layout", err);

	if (!doc || rb_json_get_str(doc, "imageLayoutVersion", "oci-layout", &version, err) < 0)
		return -1;
	if (!rb_streq(version, "1.0.0"))
		return rb_fail(err, RB_ERR_UNSUPPORTED,
			       "version \"%s\" of the OCI image layout is not supported, 1.0.0 is",
			       version);
	return 0;
}

bool rb_layout_is_index(const struct rb_descriptor *d)
{
	return rb_streq(d->media_type, RB_MT_OCI_INDEX) ||
	       rb_streq(d->media_type, RB_MT_DOCKER_INDEX);
}

/* Attestations are manifests of no platform. */
bool rb_layout_is_manifest(const struct rb_descriptor *d)
{
	return (rb_streq(d->media_type, RB_MT_OCI_MANIFEST) ||
		rb_streq(d->media_type, RB_MT_DOCKER_MANIFEST)) &&
	       !(d->has_platform && rb_streq(d->platform.os, "unknown"));
}

static struct rb_layout_image image_of(const struct rb_descriptor *d)
{
	return (struct rb_layout_image){
		.digest = d->digest,
		.size = d->size,
		/* The literals live longer than the document. */
		.media_type = rb_streq(d->media_type, RB_MT_OCI_MANIFEST) ? RB_MT_OCI_MANIFEST
									  : RB_MT_DOCKER_MANIFEST,
	};
}

int rb_layout_choose(const struct rb_layout *l, const struct rb_descriptor *d,
		     const struct rb_platform *platform, struct rb_layout_image *ret,
		     struct rb_error **err)
{
	RB_CLEANUP(rb_buf_clear) struct rb_buf text = RB_BUF_INIT;
	RB_CLEANUP(rb_manifest_clear) struct rb_manifest index = {.kind = RB_DOC_INDEX};
	char want[RB_PLATFORM_TEXT_BYTES];

	if (rb_layout_read(l, &d->digest, d->size, &text, err) < 0 ||
	    rb_manifest_parse(text.ptr, text.len, d->media_type, &index, err) < 0)
		return -1;
	const struct rb_descriptor *found = rb_index_choose(&index, platform);
	if (!found)
		return rb_fail(err, RB_ERR_NOTFOUND, "it holds no image for %s",
			       rb_platform_text(platform, want));
	*ret = image_of(found);
	return 0;
}

/* --- PATH[:TAG][@DIGEST] */

struct spec {
	char *path, *tag; /* tag: NULL when not given */
	bool has_digest;
	struct rb_digest digest;
};

static void spec_clear(struct spec *s)
{
	free(s->path);
	free(s->tag);
}

static int parse_spec(const char *text, struct spec *ret, struct rb_error **err)
{
	const char *at = strrchr(text, '@');

	/* Names of directories may have one, too. */
	if (at && !rb_starts_with(at + 1, "sha256:"))
		at = NULL;
	RB_CLEANUP(rb_strp)
	char *head = at ? rb_strndup(text, (size_t)(at - text)) : rb_strdup(text);
	char *colon = strrchr(head, ':');

	if (at && rb_digest_parse(at + 1, &ret->digest) < 0)
		return rb_fail(err, RB_ERR_USAGE,
			       "invalid digest %s: it is sha256: and 64 hexadecimal digits",
			       at + 1);
	ret->has_digest = at;
	if (colon && !strchr(colon, '/')) {
		ret->tag = rb_strdup(colon + 1);
		*colon = '\0';
	}
	ret->path = rb_steal_ptr(&head);
	return 0;
}

static int open_layout(const struct spec *spec, struct rb_error **err)
{
	int fd = open(spec->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd >= 0)
		return fd;
	return rb_error_push(err, errno == ENOENT ? RB_ERR_NOTFOUND : RB_ERR_CONTEXT, errno,
			     RB_HERE, "cannot open the OCI image layout %s: %s", spec->path,
			     strerrordesc_np(errno));
}

static int read_index(int dirfd, struct rb_manifest *ret, struct rb_error **err)
{
	RB_CLEANUP(rb_buf_clear) struct rb_buf text = RB_BUF_INIT;
	RB_CLEANUP(rb_buf_clear) struct rb_buf version = RB_BUF_INIT;

	if (rb_layout_read_json(dirfd, "oci-layout", &version, err) < 0 ||
	    rb_layout_read_json(dirfd, "index.json", &text, err) < 0)
		return rb_wrap(err, "not an OCI image layout");
	if (rb_layout_check_version(&version, err) < 0)
		return -1;
	return rb_manifest_parse(text.ptr, text.len, RB_MT_OCI_INDEX, ret, err);
}

static bool is_meant(const struct spec *spec, const struct rb_descriptor *d)
{
	if (!rb_layout_is_index(d) && !rb_layout_is_manifest(d))
		return false;
	if (spec->has_digest)
		return rb_digest_eq(&spec->digest, &d->digest);
	return d->ref_name && rb_streq(d->ref_name, spec->tag ? spec->tag : "latest");
}

/* The entry of index.json that is meant. */
static const struct rb_descriptor *find_entry(const struct spec *spec,
					      const struct rb_manifest *index)
{
	const struct rb_descriptor *only = NULL;
	size_t n = 0;

	for (size_t i = 0; i < index->n_layers; i++) {
		const struct rb_descriptor *d = &index->layers[i];

		if (is_meant(spec, d))
			return d;
		if (rb_layout_is_index(d) || rb_layout_is_manifest(d)) {
			only = d;
			n++;
		}
	}
	return n == 1 && !spec->tag && !spec->has_digest ? only : NULL;
}

/* A digest that index.json does not list may be that of a manifest in a nested index. */
static int find_nested(const struct rb_layout *l, const struct spec *spec,
		       const struct rb_manifest *index, struct rb_layout_image *ret,
		       struct rb_error **err)
{
	char want[RB_DIGEST_TEXT_BYTES];

	for (size_t i = 0; spec->has_digest && i < index->n_layers; i++) {
		RB_CLEANUP(rb_buf_clear) struct rb_buf text = RB_BUF_INIT;
		RB_CLEANUP(rb_manifest_clear) struct rb_manifest nested = {.kind = RB_DOC_INDEX};
		const struct rb_descriptor *d = &index->layers[i];

		if (!rb_layout_is_index(d))
			continue;
		if (rb_layout_read(l, &d->digest, d->size, &text, err) < 0 ||
		    rb_manifest_parse(text.ptr, text.len, d->media_type, &nested, err) < 0)
			return -1;
		for (size_t j = 0; j < nested.n_layers; j++) {
			if (!rb_digest_eq(&nested.layers[j].digest, &spec->digest))
				continue;
			*ret = image_of(&nested.layers[j]);
			return 0;
		}
	}
	if (spec->has_digest)
		return rb_fail(err, RB_ERR_NOTFOUND, "it holds no image %s",
			       rb_digest_text(&spec->digest, want));
	return rb_fail(err, RB_ERR_NOTFOUND,
		       "it holds no image tagged \"%s\": name another one as PATH:TAG",
		       spec->tag ? spec->tag : "latest");
}

static int find_image(const struct rb_layout *l, const struct spec *spec,
		      const struct rb_platform *platform, struct rb_layout_image *ret,
		      struct rb_error **err)
{
	RB_CLEANUP(rb_manifest_clear) struct rb_manifest index = {.kind = RB_DOC_INDEX};

	if (read_index(l->dirfd, &index, err) < 0)
		return -1;
	const struct rb_descriptor *d = find_entry(spec, &index);
	if (!d)
		return find_nested(l, spec, &index, ret, err);
	if (rb_layout_is_index(d))
		return rb_layout_choose(l, d, platform, ret, err);
	*ret = image_of(d);
	return 0;
}

static int resolve(struct rb_store *store, const struct spec *spec,
		   const struct rb_platform *platform, struct rb_digest *ret_manifest,
		   struct rb_digest *ret_config, struct rb_error **err)
{
	RB_CLEANUP(rb_closep) int fd = open_layout(spec, err);
	RB_CLEANUP(rb_buf_clear) struct rb_buf text = RB_BUF_INIT;
	RB_CLEANUP(rb_manifest_clear) struct rb_manifest m = {.kind = RB_DOC_MANIFEST};
	const struct rb_layout l = {.store = store, .dirfd = fd};
	struct rb_layout_image im;

	if (fd < 0)
		return -1;
	if (find_image(&l, spec, platform, &im, err) < 0 ||
	    rb_layout_read(&l, &im.digest, im.size, &text, err) < 0 ||
	    rb_manifest_parse(text.ptr, text.len, im.media_type, &m, err) < 0 ||
	    rb_layout_need_blob(&l, &m.config.digest, m.config.size, err) < 0)
		return rb_wrap(err, "OCI image layout %s", spec->path);
	*ret_manifest = im.digest;
	*ret_config = m.config.digest;
	return 0;
}

int rb_layout_resolve(struct rb_store *store, const char *text, const struct rb_platform *platform,
		      struct rb_digest *ret_manifest, struct rb_digest *ret_config,
		      struct rb_error **err)
{
	RB_CLEANUP(spec_clear) struct spec spec = {0};

	if (parse_spec(text, &spec, err) < 0)
		return -1;
	return resolve(store, &spec, platform, ret_manifest, ret_config, err);
}

int rb_layout_fetch(struct rb_store *store, const char *text, const struct rb_manifest *m,
		    struct rb_error **err)
{
	RB_CLEANUP(spec_clear) struct spec spec = {0};

	if (parse_spec(text, &spec, err) < 0)
		return -1;
	RB_CLEANUP(rb_closep) int fd = open_layout(&spec, err);
	const struct rb_layout l = {.store = store, .dirfd = fd};
	if (fd < 0)
		return -1;
	for (size_t i = 0; i < m->n_layers; i++)
		if (rb_layout_need_blob(&l, &m->layers[i].digest, m->layers[i].size, err) < 0)
			return rb_wrap(err, "OCI image layout %s: layer %zu of %zu", spec.path,
				       i + 1, m->n_layers);
	return 0;
}
