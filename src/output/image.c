// SPDX-License-Identifier: Apache-2.0
/* The config blob and names in the store. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "image/manifest.h"
#include "output/output-internal.h"

struct rb_digest rb_output_image_id(const struct rb_solved_image *im)
{
	RB_CLEANUP(rb_strp) char *text = rb_image_config_dump(&im->config);

	return rb_digest_of(text, strlen(text));
}

static void describe(const struct rb_solved_layer *l, struct rb_descriptor *d)
{
	d->media_type = rb_strdup(l->media_type);
	d->digest = l->blob;
	d->size = l->blob_size;
}

char *rb_output_manifest(const struct rb_solved_image *im, const struct rb_blob *config)
{
	struct rb_manifest m = {
		.kind = RB_DOC_MANIFEST,
		.config = {.media_type = rb_strdup(RB_MT_OCI_CONFIG),
			   .digest = config->digest,
			   .size = config->size},
		.layers = rb_calloc(im->n_layers, sizeof(*m.layers)),
		.n_layers = im->n_layers,
	};

	for (size_t i = 0; i < im->n_layers; i++)
		describe(&im->layers[i], &m.layers[i]);
	char *text = rb_manifest_dump(&m);
	rb_manifest_clear(&m);
	return text;
}

char *rb_output_index_text(const struct rb_solved_image *images, const struct rb_blob *manifests,
			   size_t n)
{
	struct rb_manifest m = {
		.kind = RB_DOC_INDEX, .layers = rb_calloc(n, sizeof(*m.layers)), .n_layers = n};

	for (size_t i = 0; i < n; i++)
		m.layers[i] = (struct rb_descriptor){
			.media_type = rb_strdup(RB_MT_OCI_MANIFEST),
			.digest = manifests[i].digest,
			.size = manifests[i].size,
			.has_platform = true,
			.platform = images[i].config.platform,
		};
	char *text = rb_manifest_dump(&m);
	rb_manifest_clear(&m);
	return text;
}

static struct rb_blob blob_of(char *text /* takes */)
{
	struct rb_blob b = {.digest = rb_digest_of(text, strlen(text)), .size = strlen(text)};

	free(text);
	return b;
}

struct rb_blob rb_output_manifest_blob(const struct rb_solved_image *images, size_t n,
				       bool as_index)
{
	struct rb_blob *manifests = rb_calloc(n, sizeof(*manifests)), ret;

	for (size_t i = 0; i < n; i++) {
		struct rb_blob config = blob_of(rb_image_config_dump(&images[i].config));

		manifests[i] = blob_of(rb_output_manifest(&images[i], &config));
	}
	ret = as_index ? blob_of(rb_output_index_text(images, manifests, n)) : manifests[0];
	free(manifests);
	return ret;
}

/* Whether the layers can be found without any snapshot. */
static bool has_all_blobs(struct rb_store *store, const struct rb_solved_image *im)
{
	for (size_t i = 0; i < im->n_layers; i++) {
		const struct rb_solved_layer *l = &im->layers[i];
		uint64_t size;

		if (!l->has_blob || !rb_store_has_blob(store, &l->blob, &size) ||
		    size != l->blob_size)
			return false;
	}
	return true;
}

static int put_manifest(struct rb_store *store, const struct rb_solved_image *im,
			const struct rb_blob *config, struct rb_blob *ret, struct rb_error **err)
{
	RB_CLEANUP(rb_strp) char *text = rb_output_manifest(im, config);

	return rb_store_put_blob(store, text, strlen(text), ret, err);
}

int rb_output_record(struct rb_store *store, const struct rb_solved_image *im,
		     const struct rb_strv *names, const char *rung, const char *origin,
		     struct rb_digest *ret_image_id, struct rb_error **err)
{
	RB_CLEANUP(rb_strp) char *config = rb_image_config_dump(&im->config);
	RB_CLEANUP(rb_strp) char *top = rung ? rb_strdup(im->top) : NULL;
	RB_CLEANUP(rb_strp) char *mode = rung ? rb_strdup(rung) : NULL;
	RB_CLEANUP(rb_strp) char *from = rb_strdup(origin);
	char platform[RB_PLATFORM_TEXT_BYTES];
	struct rb_blob blob;

	if (rb_store_put_blob(store, config, strlen(config), &blob, err) < 0)
		return -1;
	struct rb_image_record r = {
		.platform = rb_platform_text(&im->config.platform, platform),
		.config = blob.digest,
		.snapshot = top,
		.rung = mode,
		.resolved = time(NULL),
		.origin = from,
	};
	if (has_all_blobs(store, im)) {
		struct rb_blob manifest;

		if (put_manifest(store, im, &blob, &manifest, err) < 0)
			return -1;
		r.manifest = manifest.digest;
	} else if (!rung) {
		return rb_fail(err, RB_ERR_NOTFOUND,
			       "the layers of the base image are not in the store: pull it first");
	}
	for (size_t i = 0; i < names->n; i++) {
		r.name = names->v[i];
		if (rb_store_put_image(store, &r, err) < 0)
			return -1;
	}
	*ret_image_id = blob.digest;
	return 0;
}

int rb_output_image(struct rb_store *store, struct rb_snapshotter *snapshots,
		    const struct rb_solved_image *im, const struct rb_strv *names, const char *rung,
		    struct rb_digest *ret_image_id, struct rb_error **err)
{
	/* A base that was never unpacked is found again by its blobs alone. */
	bool unpacked = *im->top && rb_snapshot_exists(snapshots, im->top);

	return rb_output_record(store, im, names, unpacked ? rung : NULL, "build", ret_image_id,
				err);
}

static int put_index(struct rb_store *store, const struct rb_solved_image *images, size_t n,
		     struct rb_blob *manifests, struct rb_digest *ret, struct rb_error **err)
{
	struct rb_blob blob;

	for (size_t i = 0; i < n; i++) {
		RB_CLEANUP(rb_strp) char *config = rb_image_config_dump(&images[i].config);

		if (rb_store_put_blob(store, config, strlen(config), &blob, err) < 0 ||
		    put_manifest(store, &images[i], &blob, &manifests[i], err) < 0)
			return -1;
	}
	RB_CLEANUP(rb_strp) char *text = rb_output_index_text(images, manifests, n);
	if (rb_store_put_blob(store, text, strlen(text), &blob, err) < 0)
		return -1;
	*ret = blob.digest;
	return 0;
}

int rb_output_index(struct rb_store *store, const struct rb_solved_image *images, size_t n,
		    struct rb_digest *ret, struct rb_error **err)
{
	struct rb_blob *manifests = rb_calloc(n, sizeof(*manifests));
	int r = put_index(store, images, n, manifests, ret, err);

	free(manifests);
	return r;
}
