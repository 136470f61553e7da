/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Snapshots: directory states that stack. A committed snapshot is immutable and has at most one
 * parent; an active one is writable and becomes a committed one, or is dropped.
 *
 *	trees/<rung>/<id>/diff/      the changes against the parent (an overlay upperdir)
 *	trees/<rung>/<id>/ledger     table of the ownership ledger (layer/ledger.h), missing when
 *	                             empty
 *	trees/<rung>/<id>/meta       JSON: ids below, created, and later diff ID and blob (meta.c)
 *	trees/<rung>/l-<hex>/meta    a placed one: another one's diff over other trees
 *	trees/<rung>/.active-<rnd>/  diff, work, lock (flock held by the maker: what nobody locks is
 *	                             a left-over)
 *	trees/<rung>/.dead-<rnd>/    being removed
 *	trees/<rung>/.empty/         directories that stay empty
 *
 * Everything but `meta` may be owned by subordinate ids: the user namespace is needed to touch it.
 * Reading metadata and existence works outside of it.
 */
#ifndef RB_SNAPSHOT_SNAPSHOT_H
#define RB_SNAPSHOT_SNAPSHOT_H

#include "base/digest.h"
#include "base/error.h"
#include "host/host.h"
#include "layer/ledger.h"
#include "store/store.h"

/* Most snapshots below one root: the kernel's limit for overlay lower directories (OVL_MAX_STACK).
 */
enum { RB_SNAPSHOT_DEPTH_MAX = 499 };

struct rb_snapshotter;
struct rb_active; /* an active snapshot */

#define RB_SNAPSHOT_ID_BYTES 80

struct rb_snapshot_meta {
	char id[RB_SNAPSHOT_ID_BYTES];
	char parent[RB_SNAPSHOT_ID_BYTES]; /* "" for a bottom one */
	unsigned depth;                    /* 1 for a bottom one */
	bool placed;                       /* has no diff of its own: rb_snapshot_place() */
	int64_t created_s;                 /* when it was committed, seconds since the epoch */
	uint32_t created_ns;
	bool has_diff; /* diff_id and diff_size are known */
	struct rb_digest diff_id;
	uint64_t diff_size;
	bool has_blob; /* a blob of that layer is (or was) in the store */
	struct rb_digest blob;
	uint64_t blob_size;
	char media_type[80];
	bool has_owners; /* this or one below holds owners that the disk cannot (devices do not
			    count) */
};

int rb_snapshotter_open(struct rb_store *store, const struct rb_host *host,
			struct rb_snapshotter **ret, struct rb_error **err);
void rb_snapshotter_free(struct rb_snapshotter *s);
RB_DEFINE_CLEANUP(rb_snapshotter)

/* The empty id "" stands for scratch: it exists, has depth 0 and no parent. */
bool rb_snapshot_exists(struct rb_snapshotter *s, const char *id);
/* NOTFOUND, or CORRUPT for damaged metadata. */
int rb_snapshot_stat(struct rb_snapshotter *s, const char *id, struct rb_snapshot_meta *ret,
		     struct rb_error **err);
/* Adds diff ID and blob to the metadata of a committed snapshot (atomic replacement). */
int rb_snapshot_update(struct rb_snapshotter *s, const struct rb_snapshot_meta *meta,
		       struct rb_error **err);
/* The ids of the trees from the bottom to `id`, appended; the last one is another than `id` when
 * that is placed. */
int rb_snapshot_chain(struct rb_snapshotter *s, const char *id, struct rb_strv *ret,
		      struct rb_error **err);

/* The id of what rb_snapshot_place() makes of the two. */
void rb_snapshot_placed_id(const char *parent, const char *layer,
			   char ret[static RB_SNAPSHOT_ID_BYTES]);
/*
 * Puts what `layer` changes, which was made on nothing, over `parent`: a snapshot that shares the
 * layer's diff, and its time. The same two always give the same one. Errors: UNSUPPORTED when the
 * stack would be deeper than RB_SNAPSHOT_DEPTH_MAX.
 */
int rb_snapshot_place(struct rb_snapshotter *s, const char *parent, const char *layer,
		      struct rb_snapshot_meta *ret, struct rb_error **err);

/* From here on: inside the user namespace. */

/*
 * A writable state over `parent`. The new upperdir's root takes mode, owner and times of the
 * parent's root. Errors: UNSUPPORTED when the stack would be deeper than RB_SNAPSHOT_DEPTH_MAX,
 * with what to do about it.
 */
int rb_snapshot_prepare(struct rb_snapshotter *s, const char *parent, struct rb_active **ret,
			struct rb_error **err);
/* Detached overlay mount of the active state (userxattr); the caller closes. A bottom one is
 * mounted too. */
int rb_active_mount(struct rb_active *a, struct rb_error **err);
/* The upperdir. Borrowed. Writing into it while the overlay is mounted is the caller's
 * responsibility. */
int rb_active_diff_fd(const struct rb_active *a);
/* Ledger of the merged view, its topmost table being this state's own; borrowed, saved by commit.
 */
struct rb_ledger *rb_active_ledger(struct rb_active *a);
/* Whether the states below hold owners that the disk cannot. */
bool rb_active_has_owners(const struct rb_active *a);
/*
 * For what a step wrote, when its mounts are closed and before the commit: makes the upperdir hold
 * changes only, by removing directories that were copied up and are as below again. Errors: CORRUPT
 * for what no layer can hold, a name `.wh.*` (threats S43) or too deep a directory; SYS.
 */
int rb_active_settle(struct rb_active *a, struct rb_error **err);
/*
 * Makes it immutable under `id` (NULL: a new random one, returned). A snapshot of that id that
 * exists already wins and this one is dropped. Consumes the active state, on error too.
 */
int rb_active_commit(struct rb_active *a, const char *id, struct rb_snapshot_meta *ret,
		     struct rb_error **err);
void rb_active_free(struct rb_active *a); /* drops the state and removes its files */
RB_DEFINE_CLEANUP(rb_active)
/* For a process that forked after prepare: forget without removing. */
void rb_active_forget(struct rb_active *a);

/* Read-only detached mount of a committed snapshot with everything below it; "" is an empty
 * directory. Caller closes. */
int rb_snapshot_view(struct rb_snapshotter *s, const char *id, struct rb_error **err);
/* Ledger of that view; caller frees. The snapshotter must outlive it. */
int rb_snapshot_view_ledger(struct rb_snapshotter *s, const char *id, struct rb_ledger **ret,
			    struct rb_error **err);
/* The diff directory of a committed snapshot (read only by convention) and the ledger of that tree
 * alone. */
int rb_snapshot_diff(struct rb_snapshotter *s, const char *id, int *ret_fd,
		     struct rb_ledger **ret_ledger, struct rb_error **err);
/*
 * Snapshots that only those need who hold them: their ids begin with RB_SNAPSHOT_COPY_PREFIX. One
 * that nobody holds is removed by who lets it go last, or by reaping.
 *
 * hold: a descriptor that is to be given back, or -1 when there is no such snapshot (any more).
 * let_go: takes the descriptor; removes unless others hold it, too.
 */
#define RB_SNAPSHOT_COPY_PREFIX "b-"
int rb_snapshot_hold(struct rb_snapshotter *s, const char *id);
void rb_snapshot_let_go(struct rb_snapshotter *s, const char *id, int fd);
int rb_snapshot_remove(struct rb_snapshotter *s, const char *id, struct rb_error **err);
/* Removes active states whose maker is gone. */
int rb_snapshot_reap(struct rb_snapshotter *s, struct rb_error **err);

#endif
