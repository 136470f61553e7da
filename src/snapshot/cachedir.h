/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Directories of cache mounts (dockerfile.md 3.2): writable, shared by all builds of a store, in no
 * layer.
 *
 *	mounts/<rung>/<key>[-<n>]/data/   what steps see; <n>: copies of private mounts
 *	mounts/<rung>/<key>[-<n>]/lock    flock: shared by those who share, exclusive by one alone
 *	mounts/<rung>/<key>[-<n>]/fill    flock: held by whoever makes data
 *	mounts/<rung>/<key>[-<n>]/new     data in the making
 *	mounts/<rung>/<key>[-<n>]/dead-*  emptied; removed when no step uses it any more
 *
 * A step holds a shared flock on the data that it uses, also when that has become dead-*.
 *
 * <key> is a digest: nothing that a Dockerfile says becomes part of a path (threats S6). The user
 * namespace is needed for all of it.
 */
#ifndef RB_SNAPSHOT_CACHEDIR_H
#define RB_SNAPSHOT_CACHEDIR_H

#include "base/digest.h"
#include "base/error.h"
#include "host/host.h"
#include "layer/ledger.h"
#include "store/store.h"

struct rb_cachedir;

/* Who a new directory belongs to. */
struct rb_cachedir_owner {
	uint32_t uid, gid;
	mode_t mode;
};

/* `copy`: 0, or the number of a further one of private mounts. */
int rb_cachedir_open(struct rb_store *store, const struct rb_host *host,
		     const struct rb_digest *key, unsigned copy, struct rb_cachedir **ret,
		     struct rb_error **err);
void rb_cachedir_free(struct rb_cachedir *c); /* gives the lock back, also that of forks */
RB_DEFINE_CLEANUP(rb_cachedir)

/* 1, or 0 when others use it in a way that excludes this; `alone`: nobody else may. */
int rb_cachedir_lock(struct rb_cachedir *c, bool alone, struct rb_error **err);
/* Waits for the lock, which a fork of this process has then as well: for a worker. */
int rb_cachedir_wait(struct rb_cachedir *c, bool alone, struct rb_error **err);

/* From now on it is empty; who uses it just now goes on with what was there. What was there is
 * removed by the next fill that finds it unused. */
int rb_cachedir_empty(struct rb_cachedir *c, struct rb_error **err);
/* Whether nothing has to be filled. */
bool rb_cachedir_is_filled(const struct rb_cachedir *c);
/* Makes the directory unless another one has. `seed` (may be NULL) puts the first files into it and
 * may change its owner. */
typedef int rb_cachedir_seed_fn(void *ctx, int dirfd, struct rb_ledger *ledger,
				struct rb_error **err);
int rb_cachedir_fill(struct rb_cachedir *c, const struct rb_cachedir_owner *owner,
		     rb_cachedir_seed_fn *seed, void *ctx, struct rb_error **err);

/*
 * Detached mount of the directory; the caller closes. `path` (may be NULL): of a directory in it,
 * made when missing. Links on the way end inside. NOTFOUND when another build has emptied it
 * meanwhile: fill it again.
 */
int rb_cachedir_mount(struct rb_cachedir *c, const char *path,
		      const struct rb_cachedir_owner *owner, struct rb_error **err);

#endif
