// SPDX-License-Identifier: Apache-2.0
#include "base/json.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/unicode.h"

/* struct rb_json is never defined: a pointer to it is a json_t in disguise, so that jansson stays
 * in here. */
static json_t *un(const struct rb_json *j)
{
	union {
		const struct rb_json *in;
		json_t *out;
	} u = {.in = j};

	return u.out;
}

static struct rb_json *wrap(const json_t *j)
{
	union {
		const json_t *in;
		struct rb_json *out;
	} u = {.in = j};

	return u.out;
}

static json_t *must(json_t *j)
{
	if (!j)
		rb_bug("cannot make a JSON value");
	return j;
}

struct rb_json *rb_json_parse(const char *text, size_t len, const char *what, struct rb_error **err)
{
	json_error_t je;
	json_t *j = json_loadb(text, len, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY | JSON_ALLOW_NUL,
			       &je);

	if (!j) {
		(void)rb_fail(err, RB_ERR_CORRUPT, "%s: not valid JSON: line %d: %s", what, je.line,
			      je.text);
		return NULL;
	}
	return wrap(j);
}

struct rb_json *rb_json_recognize(const char *text, size_t len)
{
	json_error_t unused;

	/* An integer that has no place in 64 bits has one as a real number. */
	return wrap(json_loadb(
		text, len, JSON_DECODE_ANY | JSON_ALLOW_NUL | JSON_DECODE_INT_AS_REAL, &unused));
}

void rb_json_free(struct rb_json *j)
{
	json_decref(un(j));
}

bool rb_json_is_object(const struct rb_json *j)
{
	return json_is_object(un(j));
}

bool rb_json_is_array(const struct rb_json *j)
{
	return json_is_array(un(j));
}

const struct rb_json *rb_json_member(const struct rb_json *obj, const char *key)
{
	return wrap(json_object_get(un(obj), key));
}

size_t rb_json_length(const struct rb_json *arr)
{
	return json_array_size(un(arr));
}

const struct rb_json *rb_json_at(const struct rb_json *arr, size_t i)
{
	return wrap(json_array_get(un(arr), i));
}

const char *rb_json_string(const struct rb_json *j, size_t *len)
{
	if (!json_is_string(un(j)))
		return NULL;
	if (len)
		*len = json_string_length(un(j));
	return json_string_value(un(j));
}

int rb_json_each(const struct rb_json *obj,
		 int (*fn)(void *ctx, const char *key, const struct rb_json *value), void *ctx)
{
	const char *key;
	json_t *value;

	json_object_foreach (un(obj), key, value) {
		int r = fn(ctx, key, wrap(value));

		if (r < 0)
			return r;
	}
	return 0;
}

static int wrong_type(const char *what, const char *key, const char *type, struct rb_error **err)
{
	return rb_fail(err, RB_ERR_CORRUPT, "%s: %s: expected %s", what, key, type);
}

/* The member, or NULL when it is absent or null. */
static json_t *present(const struct rb_json *obj, const char *key)
{
	json_t *v = json_object_get(un(obj), key);

	return v && !json_is_null(v) ? v : NULL;
}

static bool plain_string(const json_t *v)
{
	return json_is_string(v) && strlen(json_string_value(v)) == json_string_length(v);
}

int rb_json_get_str(const struct rb_json *obj, const char *key, const char *what, const char **ret,
		    struct rb_error **err)
{
	json_t *v = present(obj, key);

	if (!v)
		return 0;
	if (!plain_string(v))
		return wrong_type(what, key, "string", err);
	*ret = json_string_value(v);
	return 0;
}

int rb_json_get_i64(const struct rb_json *obj, const char *key, const char *what, int64_t *ret,
		    struct rb_error **err)
{
	json_t *v = present(obj, key);

	if (!v)
		return 0;
	if (!json_is_integer(v))
		return wrong_type(what, key, "integer", err);
	*ret = json_integer_value(v);
	return 0;
}

int rb_json_get_bool(const struct rb_json *obj, const char *key, const char *what, bool *ret,
		     struct rb_error **err)
{
	json_t *v = present(obj, key);

	if (!v)
		return 0;
	if (!json_is_boolean(v))
		return wrong_type(what, key, "boolean", err);
	*ret = json_is_true(v);
	return 0;
}

int rb_json_get_strv(const struct rb_json *obj, const char *key, const char *what,
		     struct rb_strv *ret, struct rb_error **err)
{
	json_t *v = present(obj, key), *item;
	size_t i;

	if (!v)
		return 0;
	if (!json_is_array(v))
		return wrong_type(what, key, "array of strings", err);
	json_array_foreach (v, i, item) {
		if (!plain_string(item))
			return wrong_type(what, key, "array of strings", err);
		rb_strv_add(ret, json_string_value(item));
	}
	return 0;
}

int rb_json_get_object(const struct rb_json *obj, const char *key, const char *what,
		       const struct rb_json **ret, struct rb_error **err)
{
	json_t *v = present(obj, key);

	if (!v)
		return 0;
	if (!json_is_object(v))
		return wrong_type(what, key, "object", err);
	*ret = wrap(v);
	return 0;
}

int rb_json_get_array(const struct rb_json *obj, const char *key, const char *what,
		      const struct rb_json **ret, struct rb_error **err)
{
	json_t *v = present(obj, key);

	if (!v)
		return 0;
	if (!json_is_array(v))
		return wrong_type(what, key, "array", err);
	*ret = wrap(v);
	return 0;
}

struct rb_json *rb_json_new_object(void)
{
	return wrap(must(json_object()));
}

struct rb_json *rb_json_new_array(void)
{
	return wrap(must(json_array()));
}

static json_t *string_value(const char *s)
{
	json_t *v = json_string(s);

	if (v)
		return v;
	struct rb_buf b = RB_BUF_INIT;
	for (const char *at = s; *s; at = s) {
		if (rb_rune_next(&s) < RB_RUNE_BYTE)
			rb_buf_add(&b, at, (size_t)(s - at));
		else
			rb_buf_addstr(&b, "\xef\xbf\xbd");
	}
	v = must(json_string(b.ptr));
	rb_buf_clear(&b);
	return v;
}

void rb_json_set(struct rb_json *obj, const char *key, struct rb_json *value)
{
	/* Keys come from images too (labels): the lenient call is only taken where the strict one
	 * refuses. */
	if (json_object_set(un(obj), key, un(value)) < 0) {
		json_t *k = string_value(key);

		if (json_object_set(un(obj), json_string_value(k), un(value)) < 0)
			rb_bug("cannot set JSON member");
		json_decref(k);
	}
	json_decref(un(value));
}

void rb_json_set_str(struct rb_json *obj, const char *key, const char *value)
{
	rb_json_set(obj, key, wrap(string_value(value)));
}

void rb_json_set_i64(struct rb_json *obj, const char *key, int64_t value)
{
	rb_json_set(obj, key, wrap(must(json_integer(value))));
}

void rb_json_set_bool(struct rb_json *obj, const char *key, bool value)
{
	rb_json_set(obj, key, wrap(must(json_boolean(value))));
}

void rb_json_set_strv(struct rb_json *obj, const char *key, const struct rb_strv *value)
{
	struct rb_json *arr = rb_json_new_array();

	for (size_t i = 0; i < value->n; i++)
		rb_json_add_str(arr, value->v[i]);
	rb_json_set(obj, key, arr);
}

void rb_json_add(struct rb_json *arr, struct rb_json *value)
{
	if (json_array_append_new(un(arr), un(value)) < 0)
		rb_bug("cannot append to a JSON array");
}

void rb_json_add_str(struct rb_json *arr, const char *value)
{
	rb_json_add(arr, wrap(string_value(value)));
}

struct rb_json *rb_json_copy(const struct rb_json *j)
{
	return wrap(must(json_deep_copy(un(j))));
}

char *rb_json_dump(const struct rb_json *j, unsigned indent)
{
	size_t flags = (indent ? JSON_INDENT(indent) : JSON_COMPACT) | JSON_ENCODE_ANY;
	char *s = json_dumps(un(j), flags);

	if (!s)
		rb_bug("cannot write JSON");
	return s;
}
