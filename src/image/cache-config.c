// SPDX-License-Identifier: Apache-2.0
#include "image/cache-config.h"

#include <stdlib.h>
#include <string.h>

#include "base/base64.h"
#include "base/json.h"

enum { DEPTH_MAX = 4096 };

static const char what[] = "cache config";

/* --- as data --- */

void rb_cache_config_clear(struct rb_cache_config *c)
{
	for (size_t i = 0; i < c->n_layers; i++) {
		free(c->layers[i].media_type);
		free(c->layers[i].created);
	}
	free(c->layers);
	free(c->records);
	*c = (struct rb_cache_config){0};
}

size_t rb_cache_config_add_layer(struct rb_cache_config *c, struct rb_cache_layer layer)
{
	for (size_t i = 0; i < c->n_layers; i++)
		if (c->layers[i].parent == layer.parent &&
		    rb_digest_eq(&c->layers[i].blob, &layer.blob)) {
			free(layer.media_type);
			free(layer.created);
			return i;
		}
	rb_grow(c->layers, c->n_layers, &c->cap_layers);
	c->layers[c->n_layers] = layer;
	return c->n_layers++;
}

const struct rb_cache_record *rb_cache_config_find(const struct rb_cache_config *c,
						   const struct rb_digest *key)
{
	for (size_t i = 0; i < c->n_records; i++)
		if (rb_digest_eq(&c->records[i].key, key))
			return &c->records[i];
	return NULL;
}

void rb_cache_config_add_record(struct rb_cache_config *c, const struct rb_digest *key,
				size_t layer)
{
	if (rb_cache_config_find(c, key))
		return;
	rb_grow(c->records, c->n_records, &c->cap_records);
	c->records[c->n_records++] = (struct rb_cache_record){.key = *key, .layer = layer};
}

size_t rb_cache_config_depth(const struct rb_cache_config *c, size_t layer)
{
	size_t n = 0;

	for (; layer != RB_CACHE_NO_PARENT; layer = c->layers[layer].parent)
		n++;
	return n;
}

void rb_cache_config_chain(const struct rb_cache_config *c, size_t layer, size_t *ret)
{
	for (size_t n = rb_cache_config_depth(c, layer); n-- > 0; layer = c->layers[layer].parent)
		ret[n] = layer;
}

/* --- reading --- */

static int read_digest(const struct rb_json *obj, const char *key, struct rb_digest *ret)
{
	const char *text = rb_json_string(rb_json_member(obj, key), NULL);

	return text ? rb_digest_parse(text, ret) : -1;
}

static char *read_string(const struct rb_json *obj, const char *key)
{
	const char *text = rb_json_string(rb_json_member(obj, key), NULL);

	return text && *text ? rb_strdup(text) : NULL;
}

static int read_layer(const struct rb_json *j, size_t n, struct rb_cache_layer *ret,
		      struct rb_error **err)
{
	const struct rb_json *notes = NULL;
	int64_t parent = -1, size = -1;

	if (!rb_json_is_object(j) || read_digest(j, "blob", &ret->blob) < 0)
		return rb_fail(err, RB_ERR_CORRUPT, "%s: a layer without a blob", what);
	if (rb_json_get_i64(j, "parent", what, &parent, err) < 0 ||
	    rb_json_get_object(j, "annotations", what, &notes, err) < 0)
		return -1;
	if (parent < -1 || parent >= (int64_t)n)
		return rb_fail(err, RB_ERR_CORRUPT, "%s: a layer on a layer that is not there",
			       what);
	ret->parent = parent < 0 ? RB_CACHE_NO_PARENT : (size_t)parent;
	if (!notes)
		return 0;
	if (rb_json_get_i64(notes, "size", what, &size, err) < 0)
		return -1;
	ret->size = size > 0 ? (uint64_t)size : 0;
	ret->media_type = read_string(notes, "mediaType");
	ret->created = read_string(notes, "createdAt");
	/* Without it the layer stays unusable: no diff ID is all zeros. */
	(void)read_digest(notes, "diffID", &ret->diff_id);
	return 0;
}

static int read_layers(const struct rb_json *list, struct rb_cache_config *ret,
		       struct rb_error **err)
{
	size_t n = rb_json_length(list);

	if (n > RB_CACHE_LAYERS_MAX)
		return rb_fail(err, RB_ERR_CORRUPT, "%s: more than %d layers", what,
			       RB_CACHE_LAYERS_MAX);
	ret->layers = rb_calloc(n, sizeof(*ret->layers));
	ret->cap_layers = n;
	for (size_t i = 0; i < n; i++) {
		ret->n_layers = i + 1;
		if (read_layer(rb_json_at(list, i), n, &ret->layers[i], err) < 0)
			return -1;
	}
	return 0;
}

/* A layer may name any other as its parent, so a circle is possible. */
static int check_depths(const struct rb_cache_config *c, struct rb_error **err)
{
	for (size_t i = 0; i < c->n_layers; i++) {
		size_t layer = i;

		for (int steps = 0; layer != RB_CACHE_NO_PARENT; layer = c->layers[layer].parent)
			if (++steps >= DEPTH_MAX)
				return rb_fail(err, RB_ERR_CORRUPT,
					       "%s: layers in a circle, or more than %d deep", what,
					       DEPTH_MAX);
	}
	return 0;
}

static bool is_usable(const struct rb_cache_config *c, size_t layer)
{
	for (; layer != RB_CACHE_NO_PARENT; layer = c->layers[layer].parent)
		if (rb_digest_is_zero(&c->layers[layer].diff_id) || !c->layers[layer].size ||
		    !c->layers[layer].media_type)
			return false;
	return true;
}

/* Others' keys are digests of other things; what has no key or no layer is of no use. */
static int read_records(const struct rb_json *list, struct rb_cache_config *ret,
			struct rb_error **err)
{
	size_t n = rb_json_length(list);

	if (n > RB_CACHE_RECORDS_MAX)
		return rb_fail(err, RB_ERR_CORRUPT, "%s: more than %d records", what,
			       RB_CACHE_RECORDS_MAX);
	ret->records = rb_calloc(n, sizeof(*ret->records));
	ret->cap_records = n;
	for (size_t i = 0; i < n; i++) {
		const struct rb_json *j = rb_json_at(list, i);
		const struct rb_json *layers = rb_json_member(j, "layers");
		struct rb_cache_record *r = &ret->records[ret->n_records];
		int64_t layer = -1;

		if (read_digest(j, "digest", &r->key) < 0 || rb_json_length(layers) == 0)
			continue;
		if (rb_json_get_i64(rb_json_at(layers, 0), "layer", what, &layer, err) < 0)
			return -1;
		if (layer < 0 || layer >= (int64_t)ret->n_layers)
			return rb_fail(err, RB_ERR_CORRUPT,
				       "%s: a record of a layer that is not there", what);
		if (!is_usable(ret, (size_t)layer))
			continue;
		r->layer = (size_t)layer;
		ret->n_records++;
	}
	return 0;
}

static int read_document(const struct rb_json *doc, struct rb_cache_config *ret,
			 struct rb_error **err)
{
	const struct rb_json *layers = NULL, *records = NULL;

	if (!rb_json_is_object(doc))
		return rb_fail(err, RB_ERR_CORRUPT, "%s: expected object", what);
	if (rb_json_get_array(doc, "layers", what, &layers, err) < 0 ||
	    rb_json_get_array(doc, "records", what, &records, err) < 0)
		return -1;
	if (read_layers(layers, ret, err) < 0 || check_depths(ret, err) < 0)
		return -1;
	return read_records(records, ret, err);
}

int rb_cache_config_parse(const char *text, size_t len, struct rb_cache_config *ret,
			  struct rb_error **err)
{
	RB_CLEANUP(rb_json_freep) struct rb_json *doc = rb_json_parse(text, len, what, err);

	if (doc && read_document(doc, ret, err) == 0)
		return 0;
	rb_cache_config_clear(ret);
	return -1;
}

int rb_cache_config_parse_inline(const char *base64, struct rb_cache_config *c,
				 struct rb_error **err)
{
	RB_CLEANUP(rb_buf_clear) struct rb_buf text = RB_BUF_INIT;

	if (rb_base64_decode(base64, strlen(base64), &text) < 0)
		return rb_fail(err, RB_ERR_CORRUPT, "%s: not in base64", what);
	RB_CLEANUP(rb_json_freep)
	struct rb_json *list = rb_json_parse(text.ptr, text.len, what, err);
	if (!list)
		return -1;
	if (!rb_json_is_array(list))
		return rb_fail(err, RB_ERR_CORRUPT, "%s: expected array", what);
	return read_records(list, c, err);
}

/* --- writing --- */

static struct rb_json *write_layer(const struct rb_cache_layer *l)
{
	struct rb_json *o = rb_json_new_object(), *notes = rb_json_new_object();
	char text[RB_DIGEST_TEXT_BYTES];

	rb_json_set_str(notes, "mediaType", l->media_type);
	rb_json_set_str(notes, "diffID", rb_digest_text(&l->diff_id, text));
	rb_json_set_i64(notes, "size", (int64_t)l->size);
	if (l->created)
		rb_json_set_str(notes, "createdAt", l->created);
	rb_json_set_str(o, "blob", rb_digest_text(&l->blob, text));
	rb_json_set_i64(o, "parent", l->parent == RB_CACHE_NO_PARENT ? -1 : (int64_t)l->parent);
	rb_json_set(o, "annotations", notes);
	return o;
}

static struct rb_json *write_records(const struct rb_cache_config *c)
{
	struct rb_json *list = rb_json_new_array();
	char text[RB_DIGEST_TEXT_BYTES];

	for (size_t i = 0; i < c->n_records; i++) {
		const struct rb_cache_record *r = &c->records[i];
		struct rb_json *o = rb_json_new_object(), *layers = rb_json_new_array();
		struct rb_json *layer = rb_json_new_object();

		rb_json_set_i64(layer, "layer", (int64_t)r->layer);
		if (c->layers[r->layer].created)
			rb_json_set_str(layer, "createdAt", c->layers[r->layer].created);
		rb_json_add(layers, layer);
		rb_json_set_str(o, "digest", rb_digest_text(&r->key, text));
		rb_json_set(o, "layers", layers);
		rb_json_add(list, o);
	}
	return list;
}

char *rb_cache_config_dump(const struct rb_cache_config *c)
{
	RB_CLEANUP(rb_json_freep) struct rb_json *doc = rb_json_new_object();
	struct rb_json *layers = rb_json_new_array();

	for (size_t i = 0; i < c->n_layers; i++)
		rb_json_add(layers, write_layer(&c->layers[i]));
	rb_json_set(doc, "layers", layers);
	rb_json_set(doc, "records", write_records(c));
	return rb_json_dump(doc, 0);
}

char *rb_cache_config_dump_inline(const struct rb_cache_config *c)
{
	RB_CLEANUP(rb_json_freep) struct rb_json *list = write_records(c);
	RB_CLEANUP(rb_strp) char *text = rb_json_dump(list, 0);
	struct rb_buf out = RB_BUF_INIT;

	rb_base64_encode(text, strlen(text), &out);
	return rb_buf_steal(&out);
}
