// SPDX-License-Identifier: Apache-2.0
/* --output TEXT (dockerfile.md 7.6). */
#include <stdlib.h>
#include <string.h>

#include "base/csv.h"
#include "image/config.h"
#include "image/reference.h"
#include "output/output.h"

struct type_name {
	const char *name;
	int type; /* -1: known elsewhere, not here yet */
};

static const struct type_name image_types[] = {
	{"image", RB_OUTPUT_IMAGE},
	{"oci", RB_OUTPUT_OCI},
	{"local", RB_OUTPUT_LOCAL},
	{"cacheonly", RB_OUTPUT_CACHEONLY},
	{"none", RB_OUTPUT_CACHEONLY},
	{"docker", -1},
	{"registry", -1},
	{"tar", -1},
};

static const struct type_name cache_types[] = {
	{"local", RB_OUTPUT_CACHE_LOCAL},
	{"inline", RB_OUTPUT_CACHE_INLINE},
	{"registry", -1},
	{"gha", -1},
	{"s3", -1},
	{"azblob", -1},
};

/* What may stand behind type=, and how a person is told. */
struct family {
	const struct type_name *types;
	size_t n;
	const char *here;
};

static const struct family images = {image_types, RB_ARRAY_LEN(image_types),
				     "image, oci, local or cacheonly"};
static const struct family caches = {cache_types, RB_ARRAY_LEN(cache_types), "local or inline"};

/* Keys of the same options elsewhere: refused by name instead of as unknown, unless they ask for
 * what is done anyway. */
static const struct {
	const char *key;
	const char *anyway;
} other_keys[] = {
	{"attestation-inline", NULL},
	{"attestation-prefix", NULL},
	{"dangling-name-prefix", NULL},
	{"force-compression", "false"},
	{"image-manifest", "true"},
	{"mode", "copy"},
	{"name-canonical", "false"},
	{"oci-artifact", NULL},
	{"oci-mediatypes", "true"},
	{"prefer-nondist-layers", "false"},
	{"push", "false"},
	{"push-by-digest", "false"},
	{"registry.insecure", "false"},
	{"store", "true"},
	{"unpack", "false"},
};

static int bad_value(const char *key, const char *value, const char *expected,
		     struct rb_error **err)
{
	return rb_fail(err, RB_ERR_USAGE, "invalid value \"%s\" for %s (expected %s)", value, key,
		       expected);
}

int rb_output_add_name(struct rb_strv *names, const char *text, struct rb_error **err)
{
	struct rb_ref ref = {0};

	if (rb_ref_parse(text, &ref, err) < 0)
		return -1;
	bool has_digest = ref.digest,
	     reserved = rb_streq(ref.path, "library/scratch") && rb_streq(ref.domain, "docker.io");
	RB_CLEANUP(rb_strp) char *full = rb_ref_text(&ref);
	rb_ref_clear(&ref);
	if (has_digest)
		return rb_fail(err, RB_ERR_USAGE,
			       "invalid name \"%s\" for a new image: the digest is not known "
			       "before the image is made",
			       text);
	if (reserved)
		return rb_fail(err, RB_ERR_USAGE,
			       "invalid name \"%s\" for an image: FROM scratch means an empty one",
			       text);
	if (rb_strv_find(names, full) < 0)
		rb_strv_take(names, rb_steal_ptr(&full));
	return 0;
}

static int set_dest(struct rb_output_spec *s, const char *value, struct rb_error **err)
{
	if (!*value)
		return bad_value("dest", value, "a path", err);
	if (rb_streq(value, "-"))
		return rb_fail(err, RB_ERR_UNSUPPORTED,
			       "writing to standard output (dest=-) is not supported "
			       "yet: name a file");
	free(s->dest);
	s->dest = rb_strdup(value);
	return 0;
}

static int set_names(struct rb_output_spec *s, const char *value, struct rb_error **err)
{
	RB_CLEANUP(rb_strp) char *list = rb_strdup(value);

	for (char *rest = list, *name; (name = strsep(&rest, ","));)
		if (rb_output_add_name(&s->names, name, err) < 0)
			return rb_wrap(err, "name");
	return 0;
}

static int parse_bool(const char *key, const char *value, bool *ret, struct rb_error **err)
{
	return rb_parse_bool(value, ret) < 0 ? bad_value(key, value, "true or false", err) : 0;
}

static int set_tar(struct rb_output_spec *s, const char *value, struct rb_error **err)
{
	bool tar = true;

	if (parse_bool("tar", value, &tar, err) < 0)
		return -1;
	s->as_dir = !tar;
	return 0;
}

static int set_keep_special(struct rb_output_spec *s, const char *value, struct rb_error **err)
{
	return parse_bool("keep-special", value, &s->keep_special, err);
}

static int set_rewrite_times(struct rb_output_spec *s, const char *value, struct rb_error **err)
{
	return parse_bool("rewrite-timestamp", value, &s->rewrite_times, err);
}

static int set_epoch(struct rb_output_spec *s, const char *value, struct rb_error **err)
{
	uint64_t seconds = 0;

	if (*value && rb_parse_u64(rb_slice_str(value), RB_TIME_MAX, &seconds) < 0)
		return bad_value("source-date-epoch", value, "whole seconds since 1970", err);
	s->has_epoch = *value;
	s->no_epoch = !*value;
	s->epoch = (int64_t)seconds;
	return 0;
}

static int set_platform_split(struct rb_output_spec *s, const char *value, struct rb_error **err)
{
	bool split = false;

	if (parse_bool("platform-split", value, &split, err) < 0)
		return -1;
	s->platform_split = split;
	return 0;
}

static int set_compression(struct rb_output_spec *s, const char *value, struct rb_error **err)
{
	static const struct {
		const char *name;
		enum rb_compression value;
	} names[] = {
		{"gzip", RB_COMPRESSION_GZIP},
		{"zstd", RB_COMPRESSION_ZSTD},
		{"uncompressed", RB_COMPRESSION_NONE},
	};

	for (size_t i = 0; i < RB_ARRAY_LEN(names); i++) {
		if (rb_streq(value, names[i].name)) {
			s->compression = names[i].value;
			return 0;
		}
	}
	if (rb_streq(value, "estargz"))
		return rb_fail(err, RB_ERR_UNSUPPORTED, "compression=estargz is not supported yet");
	return bad_value("compression", value, "gzip, zstd or uncompressed", err);
}

static int set_level(struct rb_output_spec *s, const char *value, struct rb_error **err)
{
	uint64_t level;

	if (rb_parse_u64(rb_slice_str(value), 22, &level) < 0)
		return bad_value("compression-level", value, "a number from 0 to 22", err);
	s->level = (int)level;
	return 0;
}

static int set_mode(struct rb_output_spec *s, const char *value, struct rb_error **err)
{
	if (!rb_streq(value, "min") && !rb_streq(value, "max"))
		return bad_value("mode", value, "min or max", err);
	s->all_steps = rb_streq(value, "max");
	if (s->all_steps && s->type == RB_OUTPUT_CACHE_INLINE)
		return rb_fail(err, RB_ERR_UNSUPPORTED,
			       "an inline cache has the layers of the result only: leave mode=max "
			       "out, or write type=local");
	return 0;
}

static int set_tag(struct rb_output_spec *s, const char *value, struct rb_error **err)
{
	if (!*value)
		return bad_value("tag", value, "a name", err);
	free(s->tag);
	s->tag = rb_strdup(value);
	return 0;
}

static int set_ignore_error(struct rb_output_spec *s, const char *value, struct rb_error **err)
{
	return parse_bool("ignore-error", value, &s->ignore_error, err);
}

static int set_reset(struct rb_output_spec *s, const char *value, struct rb_error **err)
{
	return parse_bool("reset", value, &s->reset, err);
}

#define ON(type) (1u << (type))

static const struct {
	const char *key;
	unsigned types;
	int (*set)(struct rb_output_spec *s, const char *value, struct rb_error **err);
} keys[] = {
	{"dest", ON(RB_OUTPUT_OCI) | ON(RB_OUTPUT_LOCAL) | ON(RB_OUTPUT_CACHE_LOCAL), set_dest},
	{"name", ON(RB_OUTPUT_OCI) | ON(RB_OUTPUT_IMAGE), set_names},
	{"tar", ON(RB_OUTPUT_OCI), set_tar},
	{"compression", ON(RB_OUTPUT_OCI) | ON(RB_OUTPUT_CACHE_LOCAL), set_compression},
	{"compression-level", ON(RB_OUTPUT_OCI) | ON(RB_OUTPUT_CACHE_LOCAL), set_level},
	{"keep-special", ON(RB_OUTPUT_LOCAL), set_keep_special},
	{"platform-split", ON(RB_OUTPUT_LOCAL), set_platform_split},
	{"rewrite-timestamp", ON(RB_OUTPUT_OCI) | ON(RB_OUTPUT_IMAGE), set_rewrite_times},
	{"source-date-epoch", ON(RB_OUTPUT_OCI) | ON(RB_OUTPUT_IMAGE) | ON(RB_OUTPUT_LOCAL),
	 set_epoch},
	{"mode", ON(RB_OUTPUT_CACHE_LOCAL) | ON(RB_OUTPUT_CACHE_INLINE), set_mode},
	{"tag", ON(RB_OUTPUT_CACHE_LOCAL), set_tag},
	{"reset", ON(RB_OUTPUT_CACHE_LOCAL), set_reset},
	{"ignore-error", ON(RB_OUTPUT_CACHE_LOCAL), set_ignore_error},
};

static int other_key(const char *type, const char *key, const char *value, const char *anyway,
		     struct rb_error **err)
{
	bool is = false, wanted = anyway && rb_streq(anyway, "true");

	if (anyway && (rb_streq(value, anyway) || (rb_parse_bool(value, &is) == 0 && is == wanted)))
		return 0;
	return rb_fail(err, RB_ERR_UNSUPPORTED, "the key %s of type=%s is not supported yet%s%s",
		       key, type, anyway ? ", but for " : "", anyway ? anyway : "");
}

/* annotation[-manifest|-index...][[PLATFORM]].NAME */
static bool is_annotation(const char *key)
{
	return rb_starts_with(key, "annotation") && strchr(".-[", key[strlen("annotation")]);
}

static int unknown_key(const struct rb_output_spec *s, const char *type, const char *key,
		       const char *value, struct rb_error **err)
{
	RB_CLEANUP(rb_buf_clear) struct rb_buf hint = RB_BUF_INIT;
	const char *candidates[RB_ARRAY_LEN(keys)];
	size_t n = 0;

	if (is_annotation(key))
		return rb_fail(err, RB_ERR_UNSUPPORTED,
			       "the key %s of type=%s is not supported yet: --label puts the same "
			       "into the image's config",
			       key, type);
	for (size_t i = 0; i < RB_ARRAY_LEN(other_keys); i++)
		if (rb_streq(key, other_keys[i].key))
			return other_key(type, key, value, other_keys[i].anyway, err);
	for (size_t i = 0; i < RB_ARRAY_LEN(keys); i++)
		if (keys[i].types & ON(s->type))
			candidates[n++] = keys[i].key;
	return rb_fail(err, RB_ERR_USAGE, "type=%s has no key \"%s\"%s", type, key,
		       rb_suggest(&hint, key, candidates, n));
}

static int set_key(struct rb_output_spec *s, const char *type, const char *key, const char *value,
		   struct rb_error **err)
{
	for (size_t i = 0; i < RB_ARRAY_LEN(keys); i++)
		if (rb_streq(keys[i].key, key) && (keys[i].types & ON(s->type)))
			return keys[i].set(s, value, err);
	return unknown_key(s, type, key, value, err);
}

static int find_type(const struct family *f, const char *name, enum rb_output_type *ret,
		     struct rb_error **err)
{
	RB_CLEANUP(rb_buf_clear) struct rb_buf hint = RB_BUF_INIT;
	const char *candidates[8];
	size_t n = rb_min_size(f->n, RB_ARRAY_LEN(candidates));

	for (size_t i = 0; i < n; i++) {
		candidates[i] = f->types[i].name;
		if (!rb_streq(f->types[i].name, name))
			continue;
		if (f->types[i].type < 0)
			return rb_fail(err, RB_ERR_UNSUPPORTED,
				       "type=%s is not supported yet: use %s", name, f->here);
		*ret = (enum rb_output_type)f->types[i].type;
		return 0;
	}
	return rb_fail(err, RB_ERR_USAGE, "unknown type \"%s\"%s", name,
		       rb_suggest(&hint, name, candidates, n));
}

/* Splits "key=value" in place; keys are lower-cased as buildx does. */
static char *split_value(char *field)
{
	char *eq = strchr(field, '=');

	if (!eq)
		return NULL;
	*eq = '\0';
	for (char *c = field; *c; c++)
		*c = rb_ascii_lower(*c);
	return eq + 1;
}

static int check_complete(const struct rb_output_spec *s, const char *type, struct rb_error **err)
{
	if ((s->type == RB_OUTPUT_OCI || s->type == RB_OUTPUT_LOCAL ||
	     s->type == RB_OUTPUT_CACHE_LOCAL) &&
	    !s->dest)
		return rb_fail(err, RB_ERR_USAGE, "type=%s needs dest=%s", type,
			       s->type == RB_OUTPUT_OCI && !s->as_dir ? "FILE" : "DIR");
	if (s->level >= 0 && s->compression == RB_COMPRESSION_NONE)
		return rb_fail(err, RB_ERR_USAGE,
			       "compression-level needs compression=gzip or zstd");
	if (s->compression == RB_COMPRESSION_GZIP && s->level > 9)
		return rb_fail(err, RB_ERR_USAGE, "compression-level of gzip is 0 to 9, not %d",
			       s->level);
	return 0;
}

static int parse_fields(const struct family *f, struct rb_strv *fields, struct rb_output_spec *s,
			struct rb_error **err)
{
	const char *type = NULL;
	RB_CLEANUP(rb_strv_clear) struct rb_strv values = RB_STRV_INIT;

	/* The type first, wherever it stands: it says which keys there are. */
	for (size_t i = 0; i < fields->n; i++) {
		const char *value = split_value(fields->v[i]);

		if (!value)
			return rb_fail(err, RB_ERR_USAGE, "\"%s\" is not key=value", fields->v[i]);
		rb_strv_add(&values, value);
		if (rb_streq(fields->v[i], "type"))
			type = values.v[i];
	}
	if (!type)
		return rb_fail(err, RB_ERR_USAGE, "type is required (%s)", f->here);
	if (find_type(f, type, &s->type, err) < 0)
		return -1;
	for (size_t i = 0; i < fields->n; i++)
		if (!rb_streq(fields->v[i], "type") &&
		    set_key(s, type, fields->v[i], values.v[i], err) < 0)
			return -1;
	return check_complete(s, type, err);
}

/* `bare`: what a text without key=value means. */
static int parse(const struct family *f, const char *text,
		 int (*bare)(struct rb_output_spec *s, const char *value, struct rb_error **err),
		 struct rb_output_spec *ret, struct rb_error **err)
{
	RB_CLEANUP(rb_strv_clear) struct rb_strv fields = RB_STRV_INIT;
	struct rb_output_spec s = {
		.compression = RB_COMPRESSION_GZIP, .level = -1, .platform_split = -1};

	if (rb_csv_split(text, RB_ERR_USAGE, &fields, err) < 0)
		return -1;
	int r = fields.n == 1 && !strchr(fields.v[0], '=') ? bare(&s, fields.v[0], err)
							   : parse_fields(f, &fields, &s, err);
	if (r < 0) {
		rb_output_spec_clear(&s);
		return -1;
	}
	*ret = s;
	return 0;
}

static int bare_directory(struct rb_output_spec *s, const char *value, struct rb_error **err)
{
	s->type = RB_OUTPUT_LOCAL;
	return set_dest(s, value, err);
}

int rb_output_spec_parse(const char *text, struct rb_output_spec *ret, struct rb_error **err)
{
	return parse(&images, text, bare_directory, ret, err);
}

static int bare_reference(struct rb_output_spec *s, const char *value, struct rb_error **err)
{
	(void)value;
	return find_type(&caches, "registry", &s->type, err);
}

int rb_output_cache_parse(const char *text, struct rb_output_spec *ret, struct rb_error **err)
{
	return parse(&caches, text, bare_reference, ret, err);
}

void rb_output_spec_clear(struct rb_output_spec *spec)
{
	free(spec->dest);
	free(spec->tag);
	rb_strv_clear(&spec->names);
	*spec = (struct rb_output_spec){.level = -1};
}
