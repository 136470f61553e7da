// SPDX-License-Identifier: Apache-2.0
#include "solve/cache-source.h"

#include <stdlib.h>
#include <string.h>

#include "base/csv.h"

struct fields {
	const char *type, *ref, *src, *tag, *digest;
};

/* Before the keys are looked at: a type that is not known here has others. */
static int check_type(const struct rb_strv *list, struct rb_error **err)
{
	static const char *const others[] = {"gha", "s3", "azblob"};

	for (size_t i = 0; i < list->n; i++)
		for (size_t k = 0; k < RB_ARRAY_LEN(others); k++)
			if (strncasecmp(list->v[i], "type=", 5) == 0 &&
			    rb_streq(list->v[i] + 5, others[k]))
				return rb_fail(err, RB_ERR_UNSUPPORTED,
					       "type=%s is not supported: use registry or local",
					       others[k]);
	return 0;
}

static int split(struct rb_strv *list, struct fields *ret, struct rb_error **err)
{
	const struct {
		const char *key;
		const char **value;
	} keys[] = {
		{"type", &ret->type}, {"ref", &ret->ref},       {"src", &ret->src},
		{"tag", &ret->tag},   {"digest", &ret->digest},
	};
	RB_CLEANUP(rb_buf_clear) struct rb_buf hint = RB_BUF_INIT;
	const char *names[RB_ARRAY_LEN(keys)];

	for (size_t i = 0; i < RB_ARRAY_LEN(keys); i++)
		names[i] = keys[i].key;
	for (size_t i = 0; i < list->n; i++) {
		char *eq = strchr(list->v[i], '=');
		size_t k = 0;

		if (!eq)
			return rb_fail(err, RB_ERR_USAGE, "\"%s\" is not key=value", list->v[i]);
		*eq = '\0';
		while (k < RB_ARRAY_LEN(keys) && !rb_ascii_strcaseeq(keys[k].key, list->v[i]))
			k++;
		if (k == RB_ARRAY_LEN(keys))
			return rb_fail(err, RB_ERR_USAGE, "there is no key \"%s\"%s", list->v[i],
				       rb_suggest(&hint, list->v[i], names, RB_ARRAY_LEN(names)));
		*keys[k].value = eq + 1;
	}
	return 0;
}

static int set_local(const struct fields *f, struct rb_cache_source *ret, struct rb_error **err)
{
	if (!f->src || !*f->src)
		return rb_fail(err, RB_ERR_USAGE, "type=local needs src=DIR");
	if (f->ref)
		return rb_fail(err, RB_ERR_USAGE, "type=local has no key \"ref\"");
	if (f->digest && rb_digest_parse(f->digest, &ret->digest) < 0)
		return rb_fail(err, RB_ERR_USAGE,
			       "digest=%s is not sha256: and 64 lower case hex digits", f->digest);
	ret->has_digest = f->digest;
	ret->path = rb_strdup(f->src);
	ret->tag = f->tag ? rb_strdup(f->tag) : NULL;
	return 0;
}

static int set_registry(const struct fields *f, struct rb_cache_source *ret, struct rb_error **err)
{
	if (!f->ref || !*f->ref)
		return rb_fail(err, RB_ERR_USAGE, "type=registry needs ref=NAME");
	if (f->src || f->tag || f->digest)
		return rb_fail(err, RB_ERR_USAGE,
			       "type=registry has ref=NAME[:TAG][@DIGEST] and no other key");
	return rb_ref_parse(f->ref, &ret->ref, err);
}

static int parse(const char *text, struct rb_cache_source *ret, struct rb_error **err)
{
	RB_CLEANUP(rb_strv_clear) struct rb_strv list = RB_STRV_INIT;
	struct fields f = {0};

	ret->shown = rb_strdup(text);
	if (rb_csv_split(text, RB_ERR_USAGE, &list, err) < 0)
		return -1;
	if (list.n == 1 && !strchr(list.v[0], '='))
		f = (struct fields){.type = "registry", .ref = list.v[0]};
	else if (check_type(&list, err) < 0 || split(&list, &f, err) < 0)
		return -1;
	if (!f.type)
		return rb_fail(err, RB_ERR_USAGE, "type is required (registry or local)");
	if (rb_streq(f.type, "local"))
		return set_local(&f, ret, err);
	if (rb_streq(f.type, "registry"))
		return set_registry(&f, ret, err);
	if (rb_streq(f.type, "inline"))
		return rb_fail(err, RB_ERR_USAGE,
			       "an inline cache is read with type=registry,ref=IMAGE");
	return rb_fail(err, RB_ERR_USAGE, "unknown type \"%s\" (registry or local)", f.type);
}

int rb_cache_source_parse(const char *text, struct rb_cache_source *ret, struct rb_error **err)
{
	struct rb_cache_source c = {0};

	if (parse(text, &c, err) < 0) {
		rb_cache_source_clear(&c);
		return -1;
	}
	*ret = c;
	return 0;
}

void rb_cache_source_clear(struct rb_cache_source *c)
{
	free(c->shown);
	free(c->path);
	free(c->tag);
	rb_ref_clear(&c->ref);
	*c = (struct rb_cache_source){0};
}
