// SPDX-License-Identifier: Apache-2.0
/*
 * Cache records. A record's key is the vertex key and the rung: trees of different rungs are kept
 * apart, and a result is a tree. Text of a result: `result <snapshot id>`; of a checksum: `checksum
 * <digest>`.
 */
#include <string.h>

#include "base/log.h"
#include "solve/solve-internal.h"

static struct rb_digest record_key(const struct rb_solver *s, const char *kind,
				   const struct rb_digest *key)
{
	RB_CLEANUP(rb_hash_freep) struct rb_hash *h = rb_hash_new();

	rb_hash_addstr(h, kind);
	rb_hash_addstr(h, rb_rung_name(s->in.host->rung));
	rb_hash_add(h, key->bytes, sizeof(key->bytes));
	return rb_hash_final(h);
}

/* The record's text behind `word `, or NULL. */
static const char *get_record(struct rb_solver *s, const char *kind, const struct rb_digest *key,
			      struct rb_buf *text)
{
	struct rb_digest k = record_key(s, kind, key);
	struct rb_error *err = NULL;
	size_t n = strlen(kind);

	if (rb_store_get_record(s->in.store, &k, text, &err) < 0) {
		/* A missing or damaged record is a miss. */
		rb_error_drop(&err);
		return NULL;
	}
	if (!rb_starts_with(text->ptr, kind) || text->ptr[n] != ' ')
		return NULL;
	return text->ptr + n + 1;
}

static int put_record(struct rb_solver *s, const char *kind, const struct rb_digest *key,
		      const char *value, struct rb_error **err)
{
	struct rb_digest k = record_key(s, kind, key);
	RB_CLEANUP(rb_strp) char *text = rb_asprintf("%s %s", kind, value);

	return rb_store_put_record(s->in.store, &k, text, strlen(text), err);
}

bool rb_cache_get(struct rb_solver *s, const struct rb_digest *key, char id[static RB_ID_BYTES])
{
	RB_CLEANUP(rb_buf_clear) struct rb_buf text = RB_BUF_INIT;
	char hex[RB_DIGEST_TEXT_BYTES];
	const char *found = get_record(s, "result", key, &text);
	/* The tree may have been thrown away: then the record says nothing any more. */
	bool hit =
		found && strlen(found) < RB_ID_BYTES && rb_snapshot_exists(s->in.snapshots, found);

	rb_log_debug("cache %s: key=%.12s", hit ? "hit" : "miss", rb_digest_hex(key, hex));
	if (hit)
		memcpy(id, found, strlen(found) + 1);
	return hit;
}

int rb_cache_put(struct rb_solver *s, const struct rb_digest *key, const char *id,
		 struct rb_error **err)
{
	return put_record(s, "result", key, id, err);
}

/* Identity of "these paths of that tree"; committed trees never change. */
static struct rb_digest checksum_key(struct rb_solver *s, const struct rb_vertex *v, size_t input)
{
	RB_CLEANUP(rb_hash_freep) struct rb_hash *h = rb_hash_new();

	rb_hash_addstr(h, rb_solve_root_id(s, rb_vertex_input(v, input)));
	if (v->kind == RB_VERTEX_RUN) {
		rb_hash_addstr(h, "mount");
		rb_hash_addstr(h, v->run.trees[input]->spec.source);
		return rb_hash_final(h);
	}
	rb_hash_addstr(h, v->copy.parents ? "parents" : "copy");
	for (size_t i = 0; i < v->copy.n_sources; i++)
		rb_hash_addstr(h, v->copy.sources[i].path);
	rb_hash_addu64(h, v->copy.excludes.n);
	for (size_t i = 0; i < v->copy.excludes.n; i++)
		rb_hash_addstr(h, v->copy.excludes.v[i]);
	return rb_hash_final(h);
}

bool rb_cache_get_checksum(struct rb_solver *s, const struct rb_vertex *v, size_t input,
			   struct rb_digest *ret)
{
	RB_CLEANUP(rb_buf_clear) struct rb_buf text = RB_BUF_INIT;
	struct rb_digest key = checksum_key(s, v, input);
	const char *found = get_record(s, "checksum", &key, &text);

	return found && rb_digest_parse(found, ret) == 0;
}

int rb_cache_put_checksum(struct rb_solver *s, const struct rb_vertex *v, size_t input,
			  const struct rb_digest *checksum, struct rb_error **err)
{
	struct rb_digest key = checksum_key(s, v, input);
	char text[RB_DIGEST_TEXT_BYTES];

	return put_record(s, "checksum", &key, rb_digest_text(checksum, text), err);
}

bool rb_cache_is_verified(struct rb_solver *s, const struct rb_digest *blob,
			  const struct rb_digest *diff_id)
{
	RB_CLEANUP(rb_buf_clear) struct rb_buf text = RB_BUF_INIT;
	const char *found = get_record(s, "diff", blob, &text);
	struct rb_digest diff;

	return found && rb_digest_parse(found, &diff) == 0 && rb_digest_eq(&diff, diff_id);
}

int rb_cache_put_verified(struct rb_solver *s, const struct rb_digest *blob,
			  const struct rb_digest *diff_id, struct rb_error **err)
{
	char text[RB_DIGEST_TEXT_BYTES];

	return put_record(s, "diff", blob, rb_digest_text(diff_id, text), err);
}
