// SPDX-License-Identifier: Apache-2.0
/*
 * Placed snapshots: the diff of one that was made on nothing, over other trees (COPY --link). Such
 * a diff says nothing about what is below it, so that any stack may have it on top as it is: the
 * placed snapshot is only its metadata, and its chain names the tree where it lies.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "snapshot/snapshot-internal.h"

void rb_snapshot_placed_id(const char *parent, const char *layer,
			   char ret[static RB_SNAPSHOT_ID_BYTES])
{
	RB_CLEANUP(rb_hash_freep) struct rb_hash *h = rb_hash_new();
	char hex[RB_DIGEST_TEXT_BYTES];

	rb_hash_addstr(h, parent);
	rb_hash_addstr(h, layer);
	const struct rb_digest d = rb_hash_final(h);
	(void)snprintf(ret, RB_SNAPSHOT_ID_BYTES, RB_SNAPSHOT_PLACED_PREFIX "%s",
		       rb_digest_hex(&d, hex));
}

/* What the two make, but for its files. */
static int describe(struct rb_snapshotter *s, const char *parent, const char *layer,
		    struct rb_snapshot_meta *ret, struct rb_strv *lowers, struct rb_error **err)
{
	struct rb_snapshot_meta below, m;

	if (rb_snapshot_stat(s, parent, &below, err) < 0 ||
	    rb_snapshot_stat(s, layer, &m, err) < 0 ||
	    rb_snapshot_chain(s, parent, lowers, err) < 0 ||
	    rb_snapshot_check_depth(lowers->n + m.depth, err) < 0)
		return -1;
	if (m.depth != 1)
		rb_bug("snapshot %s was made on another one", layer);
	rb_strv_add(lowers, layer);
	*ret = (struct rb_snapshot_meta){
		.depth = (unsigned)lowers->n,
		.placed = true,
		.created_s = m.created_s,
		.created_ns = m.created_ns,
		.has_owners = m.has_owners || below.has_owners,
	};
	if (lowers->n > 1)
		(void)snprintf(ret->parent, sizeof(ret->parent), "%s", lowers->v[lowers->n - 2]);
	rb_snapshot_placed_id(parent, layer, ret->id);
	return 0;
}

int rb_snapshot_place(struct rb_snapshotter *s, const char *parent, const char *layer,
		      struct rb_snapshot_meta *ret, struct rb_error **err)
{
	RB_CLEANUP(rb_strv_clear) struct rb_strv lowers = RB_STRV_INIT;
	struct rb_snapshot_meta m;

	if (describe(s, parent, layer, &m, &lowers, err) < 0)
		return -1;
	/* Whoever makes it, it is the same; without metadata it does not exist yet. */
	if (mkdirat(s->dirfd, m.id, 0700) < 0 && errno != EEXIST)
		return rb_snapshot_fail_disk(err, -errno, "cannot make a snapshot", s->path);
	RB_CLEANUP(rb_closep)
	int dirfd = openat(s->dirfd, m.id, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (dirfd < 0)
		return rb_fail_errno(err, "cannot open snapshot %s in %s", m.id, s->path);
	if (rb_snapshot_meta_write(dirfd, &m, &lowers, err) < 0)
		return rb_wrap(err, "cannot make snapshot %s in %s", m.id, s->path);
	*ret = m;
	return 0;
}
