// SPDX-License-Identifier: Apache-2.0
/*
 * The file `meta` of a committed snapshot:
 *
 *	{"lowers": ["<bottom id>", …, "<parent id>"], "created_s": N, "created_ns": N,
 *	 "diff_id": "sha256:…", "diff_size": N,
 *	 "owners": 1, "placed": 1,
 *	 "blob": "sha256:…", "blob_size": N, "media_type": "…"}
 *
 * All ids below are in every file, so that a stack of any depth is known after one read. The last
 * two lines are missing until they are known. Of a placed snapshot the last of `lowers` is the tree
 * that it shares.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/fd.h"
#include "base/json.h"
#include "snapshot/snapshot-internal.h"

/* 499 ids of 79 characters and the rest fit several times. */
enum { META_BYTES_MAX = 256 * 1024 };

bool rb_snapshot_id_valid(const char *id)
{
	size_t n = strspn(id, "0123456789abcdefghijklmnopqrstuvwxyz-");

	return n > 0 && n < sizeof((struct rb_snapshot_meta){0}.id) && id[n] == '\0' &&
	       id[0] != '-';
}

static int damaged(struct rb_error **err, const char *id, const char *what)
{
	return rb_fail(err, RB_ERR_CORRUPT, "metadata of snapshot %s is damaged: %s", id, what);
}

static int get_digest(const struct rb_json *j, const char *key, const char *what, bool *ret_has,
		      struct rb_digest *ret, struct rb_error **err)
{
	const char *text = NULL;

	if (rb_json_get_str(j, key, what, &text, err) < 0)
		return -1;
	if (text && rb_digest_parse(text, ret) < 0)
		return rb_fail(err, RB_ERR_CORRUPT, "%s: %s: not a digest", what, key);
	*ret_has = text != NULL;
	return 0;
}

static int get_size(const struct rb_json *j, const char *key, const char *what, uint64_t *ret,
		    struct rb_error **err)
{
	int64_t v = 0;

	if (rb_json_get_i64(j, key, what, &v, err) < 0)
		return -1;
	if (v < 0)
		return rb_fail(err, RB_ERR_CORRUPT, "%s: %s: negative", what, key);
	*ret = (uint64_t)v;
	return 0;
}

/* A member that fits into a fixed field; absent leaves it empty. */
static int get_text(const struct rb_json *j, const char *key, const char *what, char *ret,
		    size_t size, struct rb_error **err)
{
	const char *text = NULL;

	if (rb_json_get_str(j, key, what, &text, err) < 0)
		return -1;
	if (text && (size_t)snprintf(ret, size, "%s", text) >= size)
		return rb_fail(err, RB_ERR_CORRUPT, "%s: %s: too long", what, key);
	return 0;
}

static int decode(const struct rb_json *j, const char *id, struct rb_snapshot_meta *m,
		  struct rb_strv *lowers, struct rb_error **err)
{
	uint64_t ns = 0, owners = 0, placed = 0;

	if (!rb_json_is_object(j) || !rb_json_member(j, "lowers"))
		return damaged(err, id, "no list of lower snapshots");
	if (rb_json_get_strv(j, "lowers", "meta", lowers, err) < 0 ||
	    rb_json_get_i64(j, "created_s", "meta", &m->created_s, err) < 0 ||
	    get_size(j, "created_ns", "meta", &ns, err) < 0 ||
	    get_size(j, "owners", "meta", &owners, err) < 0 ||
	    get_size(j, "placed", "meta", &placed, err) < 0 ||
	    get_digest(j, "diff_id", "meta", &m->has_diff, &m->diff_id, err) < 0 ||
	    get_size(j, "diff_size", "meta", &m->diff_size, err) < 0 ||
	    get_digest(j, "blob", "meta", &m->has_blob, &m->blob, err) < 0 ||
	    get_size(j, "blob_size", "meta", &m->blob_size, err) < 0 ||
	    get_text(j, "media_type", "meta", m->media_type, sizeof(m->media_type), err) < 0)
		return -1;
	if (ns > 999999999)
		return damaged(err, id, "impossible time");
	m->created_ns = (uint32_t)ns;
	m->has_owners = owners != 0;
	m->placed = placed != 0;
	m->depth = (unsigned)lowers->n + !m->placed;
	if (m->depth > RB_SNAPSHOT_DEPTH_MAX)
		return damaged(err, id, "stack too deep");
	if (m->depth == 0)
		return damaged(err, id, "no tree");
	for (size_t i = 0; i < lowers->n; i++)
		if (!rb_snapshot_id_valid(lowers->v[i]))
			return damaged(err, id, "bad id of a lower snapshot");
	(void)snprintf(m->id, sizeof(m->id), "%s", id);
	(void)snprintf(m->parent, sizeof(m->parent), "%s",
		       m->depth > 1 ? lowers->v[m->depth - 2] : "");
	return 0;
}

int rb_snapshot_meta_read(int trees_fd, const char *id, struct rb_snapshot_meta *ret,
			  struct rb_strv *ret_lowers, struct rb_error **err)
{
	RB_CLEANUP(rb_buf_clear) struct rb_buf text = RB_BUF_INIT;
	RB_CLEANUP(rb_strv_clear) struct rb_strv lowers = RB_STRV_INIT;
	RB_CLEANUP(rb_json_freep) struct rb_json *j = NULL;
	struct rb_snapshot_meta m = {0};

	if (!rb_snapshot_id_valid(id))
		return rb_fail(err, RB_ERR_NOTFOUND, "snapshot \"%s\" does not exist", id);
	RB_CLEANUP(rb_strp) char *name = rb_asprintf("%s/meta", id);
	if (rb_read_file_at(trees_fd, name, META_BYTES_MAX, &text, err) < 0)
		return rb_wrap(err, "snapshot %s", id);
	j = rb_json_parse(text.ptr, text.len, "meta", err);
	if (!j || decode(j, id, &m, &lowers, err) < 0)
		return rb_wrap(err, "snapshot %s", id);
	*ret = m;
	if (ret_lowers) {
		rb_strv_clear(ret_lowers);
		*ret_lowers = lowers;
		lowers = (struct rb_strv)RB_STRV_INIT;
	}
	return 0;
}

static void set_digest(struct rb_json *j, const char *key, const struct rb_digest *d)
{
	char text[RB_DIGEST_TEXT_BYTES];

	rb_json_set_str(j, key, rb_digest_text(d, text));
}

int rb_snapshot_meta_write(int dirfd, const struct rb_snapshot_meta *meta,
			   const struct rb_strv *lowers, struct rb_error **err)
{
	RB_CLEANUP(rb_json_freep) struct rb_json *j = rb_json_new_object();

	rb_json_set_strv(j, "lowers", lowers);
	rb_json_set_i64(j, "created_s", meta->created_s);
	rb_json_set_i64(j, "created_ns", meta->created_ns);
	if (meta->has_owners)
		rb_json_set_i64(j, "owners", 1);
	if (meta->placed)
		rb_json_set_i64(j, "placed", 1);
	if (meta->has_diff) {
		set_digest(j, "diff_id", &meta->diff_id);
		rb_json_set_i64(j, "diff_size", (int64_t)meta->diff_size);
	}
	if (meta->has_blob) {
		set_digest(j, "blob", &meta->blob);
		rb_json_set_i64(j, "blob_size", (int64_t)meta->blob_size);
		rb_json_set_str(j, "media_type", meta->media_type);
	}
	RB_CLEANUP(rb_strp) char *text = rb_json_dump(j, 0);
	return rb_publish_at(dirfd, "meta", text, strlen(text), 0600, err);
}
