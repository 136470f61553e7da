// SPDX-License-Identifier: Apache-2.0
#include "image/manifest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "image/cache-config.h"

#define REF_NAME_KEY   "org.opencontainers.image.ref.name"
#define IMAGE_NAME_KEY "io.containerd.image.name"

enum role { ROLE_MANIFEST, ROLE_INDEX, ROLE_CONFIG, ROLE_LAYER };

/* Everything that is understood, and what the same thing is called in OCI documents. */
static const struct media_type {
	const char *name;
	enum role role;
	const char *oci;
} media_types[] = {
	[ROLE_MANIFEST] = {RB_MT_OCI_MANIFEST, ROLE_MANIFEST, RB_MT_OCI_MANIFEST},
	[ROLE_INDEX] = {RB_MT_OCI_INDEX, ROLE_INDEX, RB_MT_OCI_INDEX},
	{RB_MT_DOCKER_MANIFEST, ROLE_MANIFEST, RB_MT_OCI_MANIFEST},
	{RB_MT_DOCKER_INDEX, ROLE_INDEX, RB_MT_OCI_INDEX},
	{RB_MT_OCI_CONFIG, ROLE_CONFIG, RB_MT_OCI_CONFIG},
	{RB_MT_DOCKER_CONFIG, ROLE_CONFIG, RB_MT_OCI_CONFIG},
	{RB_MT_CACHE_CONFIG, ROLE_CONFIG, RB_MT_CACHE_CONFIG},
	{RB_MT_OCI_LAYER, ROLE_LAYER, RB_MT_OCI_LAYER},
	{RB_MT_OCI_LAYER_GZIP, ROLE_LAYER, RB_MT_OCI_LAYER_GZIP},
	{RB_MT_OCI_LAYER_ZSTD, ROLE_LAYER, RB_MT_OCI_LAYER_ZSTD},
	{RB_MT_DOCKER_LAYER_GZIP, ROLE_LAYER, RB_MT_OCI_LAYER_GZIP},
	{"application/vnd.docker.image.rootfs.diff.tar", ROLE_LAYER, RB_MT_OCI_LAYER},
	{"application/vnd.docker.image.rootfs.diff.tar.zstd", ROLE_LAYER, RB_MT_OCI_LAYER_ZSTD},
};

/* Known, and refused with a reason of their own. */
static const struct {
	const char *prefix, *why;
} refused_types[] = {
	{"application/vnd.docker.distribution.manifest.v1+",
	 "Docker's schema 1 is not supported: push the image again with a current tool"},
	{"application/vnd.docker.image.rootfs.foreign.",
	 "layers that are kept outside of the registry are not supported"},
	{"application/vnd.oci.image.layer.nondistributable.",
	 "layers that are kept outside of the registry are not supported"},
	{"application/vnd.in-toto+", "this is an attestation, not a file system"},
};

/* What servers say that do not know what they serve. */
static const char *const vague_types[] = {"", "application/json", "application/octet-stream",
					  "text/plain"};

static const struct media_type *find_type(const char *name)
{
	for (size_t i = 0; i < RB_ARRAY_LEN(media_types); i++)
		if (rb_streq(media_types[i].name, name))
			return &media_types[i];
	return NULL;
}

static int refuse_type(const char *where, const char *type, struct rb_error **err)
{
	for (size_t i = 0; i < RB_ARRAY_LEN(refused_types); i++)
		if (rb_starts_with(type, refused_types[i].prefix))
			return rb_fail(err, RB_ERR_UNSUPPORTED, "%s: %s (media type %s)", where,
				       refused_types[i].why, type);
	return rb_fail(err, RB_ERR_UNSUPPORTED,
		       "%s: media type \"%s\" is not one of a container image", where, type);
}

static const struct media_type *document_type(const char *type, struct rb_error **err)
{
	const struct media_type *mt = find_type(type);

	if (mt && (mt->role == ROLE_MANIFEST || mt->role == ROLE_INDEX))
		return mt;
	(void)refuse_type("manifest", type, err);
	return NULL;
}

/* What the transport said, without parameters; NULL when it said nothing useful. Caller frees. */
static char *transport_type(const char *media_type)
{
	size_t n = media_type ? strcspn(media_type, "; \t") : 0;
	RB_CLEANUP(rb_strp) char *type = rb_strndup(media_type ? media_type : "", n);

	for (size_t i = 0; i < RB_ARRAY_LEN(vague_types); i++)
		if (rb_streq(vague_types[i], type))
			return NULL;
	return rb_steal_ptr(&type);
}

/*
 * One document must have one meaning: transport, `mediaType` and the members present have to agree,
 * or two readers of the same digest see two images (CVE-2021-41190).
 */
static const struct media_type *agree_on_type(const struct rb_json *doc, const char *transport,
					      struct rb_error **err)
{
	const struct media_type *said = NULL, *mt = NULL;
	bool has_layers = rb_json_member(doc, "layers") || rb_json_member(doc, "config");
	bool has_manifests = rb_json_member(doc, "manifests");
	const char *body = NULL;

	if (rb_json_get_str(doc, "mediaType", "manifest", &body, err) < 0)
		return NULL;
	if (transport && !(said = document_type(transport, err)))
		return NULL;
	if (body && *body && !(mt = document_type(body, err)))
		return NULL;
	if (said && mt && said != mt) {
		(void)rb_fail(err, RB_ERR_CORRUPT,
			      "manifest: served as %s, but says of itself to be %s", transport,
			      body);
		return NULL;
	}
	if (has_layers && has_manifests) {
		(void)rb_fail(err, RB_ERR_CORRUPT,
			      "manifest: has both layers and manifests, so what it is depends on "
			      "the reader");
		return NULL;
	}
	if (!mt)
		mt = said ? said : &media_types[has_manifests ? ROLE_INDEX : ROLE_MANIFEST];
	if (mt->role == ROLE_INDEX ? has_layers : has_manifests) {
		(void)rb_fail(err, RB_ERR_CORRUPT, "manifest: content does not fit media type %s",
			      mt->name);
		return NULL;
	}
	return mt;
}

static int check_schema(const struct rb_json *doc, struct rb_error **err)
{
	int64_t version = 0;

	if (!rb_json_is_object(doc))
		return rb_fail(err, RB_ERR_CORRUPT, "manifest: expected object");
	if (rb_json_get_i64(doc, "schemaVersion", "manifest", &version, err) < 0)
		return -1;
	if (version == 1)
		return rb_fail(err, RB_ERR_UNSUPPORTED, "manifest: %s", refused_types[0].why);
	if (version != 2)
		return rb_fail(err, RB_ERR_CORRUPT, "manifest: schemaVersion: expected 2");
	return 0;
}

static int read_field(const struct rb_json *obj, const char *key, const char *where, char *field,
		      size_t size, struct rb_error **err)
{
	const char *s = "";

	if (rb_json_get_str(obj, key, where, &s, err) < 0)
		return -1;
	if (strlen(s) >= size)
		return rb_fail(err, RB_ERR_CORRUPT, "%s: %s: longer than %zu bytes", where, key,
			       size - 1);
	(void)snprintf(field, size, "%s", s);
	return 0;
}

static int read_platform(const struct rb_json *obj, const char *where, struct rb_descriptor *d,
			 struct rb_error **err)
{
	const struct rb_json *platform = NULL;
	struct rb_platform *p = &d->platform;

	if (rb_json_get_object(obj, "platform", where, &platform, err) < 0)
		return -1;
	if (!platform)
		return 0;
	d->has_platform = true;
	if (read_field(platform, "os", where, p->os, sizeof(p->os), err) < 0 ||
	    read_field(platform, "architecture", where, p->arch, sizeof(p->arch), err) < 0)
		return -1;
	return read_field(platform, "variant", where, p->variant, sizeof(p->variant), err);
}

static int read_names(const struct rb_json *obj, const char *where, struct rb_descriptor *d,
		      struct rb_error **err)
{
	const struct rb_json *annotations = NULL;
	const char *ref = NULL, *image = NULL;

	if (rb_json_get_object(obj, "annotations", where, &annotations, err) < 0)
		return -1;
	if (!annotations)
		return 0;
	if (rb_json_get_str(annotations, REF_NAME_KEY, where, &ref, err) < 0 ||
	    rb_json_get_str(annotations, IMAGE_NAME_KEY, where, &image, err) < 0)
		return -1;
	if (ref)
		d->ref_name = rb_strdup(ref);
	if (image)
		d->image_name = rb_strdup(image);
	return 0;
}

static int read_descriptor(const struct rb_json *obj, const char *where, struct rb_descriptor *d,
			   struct rb_error **err)
{
	const char *type = "", *digest = "";
	int64_t size = -1;

	if (!obj || !rb_json_is_object(obj))
		return rb_fail(err, RB_ERR_CORRUPT, "%s: expected a descriptor", where);
	if (rb_json_get_str(obj, "mediaType", where, &type, err) < 0 ||
	    rb_json_get_str(obj, "digest", where, &digest, err) < 0 ||
	    rb_json_get_i64(obj, "size", where, &size, err) < 0)
		return -1;
	if (rb_digest_parse(digest, &d->digest) < 0)
		return rb_fail(err, RB_ERR_CORRUPT,
			       "%s: digest: expected sha256: and 64 lower case hex digits", where);
	if (size < 0)
		return rb_fail(err, RB_ERR_CORRUPT, "%s: size: expected integer", where);
	d->size = (uint64_t)size;
	d->media_type = rb_strdup(type);
	if (read_platform(obj, where, d, err) < 0)
		return -1;
	return read_names(obj, where, d, err);
}

static int check_role(const struct rb_descriptor *d, enum role role, const char *where,
		      struct rb_error **err)
{
	const struct media_type *mt = find_type(d->media_type);

	return mt && mt->role == role ? 0 : refuse_type(where, d->media_type, err);
}

static int read_list(const struct rb_json *doc, const char *key, struct rb_manifest *m,
		     struct rb_error **err)
{
	const struct rb_json *list = rb_json_member(doc, key);

	if (!list || !rb_json_is_array(list))
		return rb_fail(err, RB_ERR_CORRUPT, "manifest: %s: expected array", key);
	size_t n = rb_json_length(list);
	if (n > RB_MANIFEST_LAYERS_MAX)
		return rb_fail(err, RB_ERR_CORRUPT, "manifest: %s: more than %d entries", key,
			       RB_MANIFEST_LAYERS_MAX);
	m->layers = rb_calloc(n, sizeof(*m->layers));
	for (size_t i = 0; i < n; i++) {
		char where[48];

		(void)snprintf(where, sizeof(where), "manifest: %s[%zu]", key, i);
		m->n_layers = i + 1;
		if (read_descriptor(rb_json_at(list, i), where, &m->layers[i], err) < 0)
			return -1;
		if (m->kind == RB_DOC_MANIFEST &&
		    check_role(&m->layers[i], ROLE_LAYER, where, err) < 0)
			return -1;
	}
	return 0;
}

static int read_document(const struct rb_json *doc, const char *transport, struct rb_manifest *m,
			 struct rb_error **err)
{
	static const char where[] = "manifest: config";

	if (check_schema(doc, err) < 0)
		return -1;
	const struct media_type *mt = agree_on_type(doc, transport, err);
	if (!mt)
		return -1;
	m->kind = mt->role == ROLE_INDEX ? RB_DOC_INDEX : RB_DOC_MANIFEST;
	m->media_type = rb_strdup(mt->name);
	if (m->kind == RB_DOC_INDEX)
		return read_list(doc, "manifests", m, err);
	if (read_descriptor(rb_json_member(doc, "config"), where, &m->config, err) < 0 ||
	    check_role(&m->config, ROLE_CONFIG, where, err) < 0)
		return -1;
	return read_list(doc, "layers", m, err);
}

int rb_manifest_parse(const char *text, size_t len, const char *media_type, struct rb_manifest *ret,
		      struct rb_error **err)
{
	RB_CLEANUP(rb_json_freep) struct rb_json *doc = rb_json_parse(text, len, "manifest", err);
	RB_CLEANUP(rb_strp) char *transport = transport_type(media_type);
	struct rb_manifest m = {.kind = RB_DOC_MANIFEST};

	if (!doc)
		return -1;
	if (read_document(doc, transport, &m, err) < 0) {
		rb_manifest_clear(&m);
		return -1;
	}
	*ret = m;
	return 0;
}

static void descriptor_clear(struct rb_descriptor *d)
{
	free(d->media_type);
	free(d->ref_name);
	free(d->image_name);
}

bool rb_manifest_is_cache(const struct rb_manifest *m)
{
	return m->kind == RB_DOC_MANIFEST && m->config.media_type &&
	       rb_streq(m->config.media_type, RB_MT_CACHE_CONFIG);
}

void rb_manifest_clear(struct rb_manifest *m)
{
	descriptor_clear(&m->config);
	for (size_t i = 0; i < m->n_layers; i++)
		descriptor_clear(&m->layers[i]);
	free(m->layers);
	free(m->media_type);
	*m = (struct rb_manifest){.kind = RB_DOC_MANIFEST};
}

const struct rb_descriptor *rb_index_choose(const struct rb_manifest *index,
					    const struct rb_platform *want)
{
	const struct rb_descriptor *found = NULL, *unnamed = NULL;
	int best = 0;

	for (size_t i = 0; i < index->n_layers; i++) {
		const struct rb_descriptor *d = &index->layers[i];
		const struct media_type *mt = find_type(d->media_type);

		if (!mt || mt->role != ROLE_MANIFEST)
			continue;
		int score = d->has_platform ? rb_platform_match(want, &d->platform) : 0;
		if (score > best) {
			best = score;
			found = d;
		}
		if (!d->has_platform && !unnamed)
			unnamed = d;
	}
	/* `platform` is optional: the reader of an entry without it compares the config's. */
	return found ? found : unnamed;
}

static void write_platform(struct rb_json *obj, const struct rb_platform *p)
{
	struct rb_json *o = rb_json_new_object();

	rb_json_set_str(o, "architecture", p->arch);
	rb_json_set_str(o, "os", p->os);
	if (p->variant[0])
		rb_json_set_str(o, "variant", p->variant);
	rb_json_set(obj, "platform", o);
}

static struct rb_json *write_descriptor(const struct rb_descriptor *d)
{
	const struct media_type *mt = find_type(d->media_type);
	struct rb_json *o = rb_json_new_object();
	char digest[RB_DIGEST_TEXT_BYTES];

	/* An index describes blobs as they are: a Docker manifest stays one. */
	bool as_oci = mt && (mt->role == ROLE_CONFIG || mt->role == ROLE_LAYER);
	rb_json_set_str(o, "mediaType", as_oci ? mt->oci : d->media_type);
	rb_json_set_str(o, "digest", rb_digest_text(&d->digest, digest));
	rb_json_set_i64(o, "size", (int64_t)d->size);
	if (d->ref_name || d->image_name) {
		struct rb_json *a = rb_json_new_object();

		if (d->image_name)
			rb_json_set_str(a, IMAGE_NAME_KEY, d->image_name);
		if (d->ref_name)
			rb_json_set_str(a, REF_NAME_KEY, d->ref_name);
		rb_json_set(o, "annotations", a);
	}
	if (d->has_platform)
		write_platform(o, &d->platform);
	return o;
}

char *rb_manifest_dump(const struct rb_manifest *m)
{
	bool is_index = m->kind == RB_DOC_INDEX;
	RB_CLEANUP(rb_json_freep) struct rb_json *doc = rb_json_new_object();
	struct rb_json *list = rb_json_new_array();

	rb_json_set_i64(doc, "schemaVersion", 2);
	rb_json_set_str(doc, "mediaType", is_index ? RB_MT_OCI_INDEX : RB_MT_OCI_MANIFEST);
	if (!is_index)
		rb_json_set(doc, "config", write_descriptor(&m->config));
	for (size_t i = 0; i < m->n_layers; i++)
		rb_json_add(list, write_descriptor(&m->layers[i]));
	rb_json_set(doc, is_index ? "manifests" : "layers", list);
	return rb_json_dump(doc, 2);
}

static int keep_member(void *ctx, const char *key, const struct rb_json *value)
{
	if (!rb_streq(key, "manifests"))
		rb_json_set(ctx, key, rb_json_copy(value));
	return 0;
}

static bool has_ref_name(const struct rb_json *entry, const char *name)
{
	const struct rb_json *a = rb_json_member(entry, "annotations");
	const char *s = a ? rb_json_string(rb_json_member(a, REF_NAME_KEY), NULL) : NULL;

	return s && rb_streq(s, name);
}

char *rb_index_put(const char *text, size_t len, const struct rb_descriptor *entry,
		   struct rb_error **err)
{
	RB_CLEANUP(rb_manifest_clear) struct rb_manifest valid = {.kind = RB_DOC_INDEX};
	RB_CLEANUP(rb_json_freep) struct rb_json *doc = rb_json_new_object();
	RB_CLEANUP(rb_json_freep) struct rb_json *old = NULL;
	struct rb_json *list = rb_json_new_array();

	rb_json_set_i64(doc, "schemaVersion", 2);
	rb_json_set_str(doc, "mediaType", RB_MT_OCI_INDEX);
	rb_json_set(doc, "manifests", list);
	if (len) {
		old = rb_json_parse(text, len, "index", err);
		if (!old || rb_manifest_parse(text, len, RB_MT_OCI_INDEX, &valid, err) < 0)
			return NULL;
		(void)rb_json_each(old, keep_member, doc);
		const struct rb_json *entries = rb_json_member(old, "manifests");
		for (size_t i = 0; i < rb_json_length(entries); i++)
			if (!has_ref_name(rb_json_at(entries, i), entry->ref_name))
				rb_json_add(list, rb_json_copy(rb_json_at(entries, i)));
	}
	rb_json_add(list, write_descriptor(entry));
	return rb_json_dump(doc, 2);
}
