/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON documents: strict reading (RFC 8259, duplicate keys refused) with errors that name the path,
 * and building with a fixed key order, because emitted bytes are hashed.
 */
#ifndef RB_BASE_JSON_H
#define RB_BASE_JSON_H

#include "base/buf.h"
#include "base/error.h"

struct rb_json; /* one value; the root owns all below it */

/*
 * Parses one document. `what` names it in errors ("manifest"). Any value may be the root.
 * Errors: RB_ERR_CORRUPT "manifest: line 3: ...".
 */
struct rb_json *rb_json_parse(const char *text, size_t len, const char *what,
			      struct rb_error **err);
/*
 * The same for a text that a person wrote and that is something else when it is no JSON: names of
 * members may repeat and integers may have any size. NULL: it is none.
 */
struct rb_json *rb_json_recognize(const char *text, size_t len);
void rb_json_free(struct rb_json *j);
RB_DEFINE_CLEANUP(rb_json)

bool rb_json_is_object(const struct rb_json *j);
bool rb_json_is_array(const struct rb_json *j);

/* Plain access: NULL when absent or of another type. Borrowed. */
const struct rb_json *rb_json_member(const struct rb_json *obj, const char *key);
size_t rb_json_length(const struct rb_json *arr);
const struct rb_json *rb_json_at(const struct rb_json *arr, size_t i);
/* String content (may hold NUL bytes: *len), NULL when not a string. */
const char *rb_json_string(const struct rb_json *j, size_t *len);
/* Calls fn for each member in document order; stops at the first negative return and returns it. */
int rb_json_each(const struct rb_json *obj,
		 int (*fn)(void *ctx, const char *key, const struct rb_json *value), void *ctx);

/*
 * Typed getters: a missing or null member leaves *ret alone and returns 0; a present one of the
 * wrong type is RB_ERR_CORRUPT "<what>: <key>: expected string". Returned strings are borrowed from
 * the document. Strings with a NUL byte inside are refused.
 */
int rb_json_get_str(const struct rb_json *obj, const char *key, const char *what, const char **ret,
		    struct rb_error **err);
int rb_json_get_i64(const struct rb_json *obj, const char *key, const char *what, int64_t *ret,
		    struct rb_error **err);
int rb_json_get_bool(const struct rb_json *obj, const char *key, const char *what, bool *ret,
		     struct rb_error **err);
/* Array of strings, appended to *ret. */
int rb_json_get_strv(const struct rb_json *obj, const char *key, const char *what,
		     struct rb_strv *ret, struct rb_error **err);
/* *ret = the member, which must be an object / array when present. */
int rb_json_get_object(const struct rb_json *obj, const char *key, const char *what,
		       const struct rb_json **ret, struct rb_error **err);
int rb_json_get_array(const struct rb_json *obj, const char *key, const char *what,
		      const struct rb_json **ret, struct rb_error **err);

/* A value of a document of its own. */
struct rb_json *rb_json_copy(const struct rb_json *j);

/* Building. Setters take the key order as called; text that is not UTF-8 is written with U+FFFD. */
struct rb_json *rb_json_new_object(void);
struct rb_json *rb_json_new_array(void);
void rb_json_set(struct rb_json *obj, const char *key, struct rb_json *value /* takes */);
void rb_json_set_str(struct rb_json *obj, const char *key, const char *value);
void rb_json_set_i64(struct rb_json *obj, const char *key, int64_t value);
void rb_json_set_bool(struct rb_json *obj, const char *key, bool value);
void rb_json_set_strv(struct rb_json *obj, const char *key, const struct rb_strv *value);
void rb_json_add(struct rb_json *arr, struct rb_json *value /* takes */);
void rb_json_add_str(struct rb_json *arr, const char *value);

/* Compact text, no final newline; caller frees. indent > 0 pretty-prints. */
char *rb_json_dump(const struct rb_json *j, unsigned indent);

#endif
