/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The store: plain files published by write-to-temporary and rename. No server, no database;
 * readers never wait (but for a reset); any number of rbuilds share one store, and kill -9 at any
 *moment leaves one in which the next build works.
 *
 *	ROOT/version               "1\n"; another number is another program's: refused
 *	ROOT/blobs/sha256/<hex>    0444, content verified before it gets its name
 *	ROOT/images/<hex>          one name on one platform: JSON of struct rb_image_record;
 *	                           <hex> is sha256(name NUL platform)
 *	ROOT/records/<aa>/<hex>    small records by key: cache results, checksums (text;
 *	                           the first line is the digest of the rest)
 *	ROOT/logs/<build>/<n>.log  full output of steps
 *	ROOT/cache/<name>          per-boot probe results, stat caches: may vanish
 *	ROOT/trees/<rung>/...      snapshots (snapshot/snapshot.h)
 *	ROOT/mounts/<rung>/...     directories of cache mounts (snapshot/cachedir.h)
 *	ROOT/tmp/                  temporaries; what is older than a day is removed
 *
 * ROOT and all directories are 0700 and must belong to the caller (threats S42).
 */
#ifndef RB_STORE_STORE_H
#define RB_STORE_STORE_H

#include "base/buf.h"
#include "base/digest.h"
#include "base/error.h"

struct rb_store;

/*
 * Opens the store, making it when missing. `root` NULL: $RBUILD_ROOT, else $XDG_DATA_HOME/rbuild,
 * else $HOME/.local/share/rbuild. Errors say which directory and what to do (owner, mode, version,
 * no space).
 */
int rb_store_open(const char *root, struct rb_store **ret, struct rb_error **err);
void rb_store_free(struct rb_store *store);
RB_DEFINE_CLEANUP(rb_store)
const char *rb_store_path(const struct rb_store *store); /* absolute */
int rb_store_fd(const struct rb_store *store);           /* the root directory; borrowed */
/*
 * Makes this process, and what it forks, the only one in the store until it is closed: for removing
 * what is in it. Whoever opens the store meanwhile waits. An error that names them, as far as
 * known, when others are at work in it.
 */
int rb_store_seize(struct rb_store *store, struct rb_error **err);
/* Opens (making it, 0700) a directory below the store, e.g. "trees/range"; caller closes. */
int rb_store_dir(struct rb_store *store, const char *rel, struct rb_error **err);

/*
 * A new name below tmp/, for what this process or one that it forks makes there: "tmp/...". Nothing
 * has that name.
 */
enum { RB_STORE_TEMP_NAME_BYTES = 48 };
void rb_store_temp_name(struct rb_store *store, char ret[static RB_STORE_TEMP_NAME_BYTES]);
/* Removes everything of such names: what forked processes left that were killed. */
void rb_store_drop_temps(struct rb_store *store);

/* Blobs. */
struct rb_blob {
	struct rb_digest digest;
	uint64_t size;
};
bool rb_store_has_blob(struct rb_store *store, const struct rb_digest *digest, uint64_t *ret_size);
/* Read-only descriptor; NOTFOUND. The reader hashes what it uses. */
int rb_store_open_blob(struct rb_store *store, const struct rb_digest *digest,
		       struct rb_error **err);
/* Whole blob, verified; CORRUPT when it does not hash to its name. */
int rb_store_read_blob(struct rb_store *store, const struct rb_digest *digest, size_t max_bytes,
		       struct rb_buf *ret, struct rb_error **err);
/* Removes a blob that does not hash to its name any more, so that it can be fetched again; whether
 * it did. */
bool rb_store_drop_damaged(struct rb_store *store, const struct rb_digest *digest);
/* A document. One that is there, and whole, is not written again. */
int rb_store_put_blob(struct rb_store *store, const void *data, size_t len, struct rb_blob *ret,
		      struct rb_error **err);

/* Streaming writer: bytes are hashed as they pass; nothing is visible before commit. */
struct rb_blob_writer;
int rb_blob_writer_new(struct rb_store *store, struct rb_blob_writer **ret, struct rb_error **err);
int rb_blob_writer_add(struct rb_blob_writer *w, const void *data, size_t len,
		       struct rb_error **err);
/*
 * Publishes. `want` (NULL: any) and `want_size` (UINT64_MAX: any) are compared with what was
 * written: CORRUPT, and nothing is published. A blob already present is success. *ret says what
 * was written also when that is refused.
 */
int rb_blob_writer_commit(struct rb_blob_writer *w, const struct rb_digest *want,
			  uint64_t want_size, struct rb_blob *ret, struct rb_error **err);
void rb_blob_writer_free(struct rb_blob_writer *w); /* drops the temporary unless committed */
RB_DEFINE_CLEANUP(rb_blob_writer)

/* One image name on one platform. */
struct rb_image_record {
	char *name;                /* normalised reference with tag: "docker.io/library/x:latest" */
	char *platform;            /* "linux/amd64" */
	struct rb_digest config;   /* image ID; the config blob is in the store */
	struct rb_digest manifest; /* zero: built or imported, never exported; layers are found by
				      `snapshot` */
	char *snapshot; /* top snapshot of a built image, or NULL: layers are blobs of the manifest
			 */
	char *rung;     /* rung whose trees hold `snapshot`, or NULL */
	int64_t resolved; /* seconds since the epoch when the name was bound */
	char *origin;     /* "pull", "build", "import", "load", "bootstrap" */
};
void rb_image_record_clear(struct rb_image_record *r);
int rb_store_put_image(struct rb_store *store, const struct rb_image_record *r,
		       struct rb_error **err);
/* NOTFOUND when the name is not bound for that platform, or its record is damaged (with a warning).
 */
int rb_store_get_image(struct rb_store *store, const char *name, const char *platform,
		       struct rb_image_record *ret, struct rb_error **err);
/* By image ID (full digest text or a unique hex prefix of at least 4 digits). Errors: NOTFOUND,
 * USAGE when several images match. */
int rb_store_find_image(struct rb_store *store, const char *id, struct rb_image_record *ret,
			struct rb_error **err);
/* Calls fn for each record, sorted by name and platform; a negative return stops and is returned
 * (with *err untouched). A damaged record is skipped with a warning. */
int rb_store_each_image(struct rb_store *store,
			int (*fn)(void *ctx, const struct rb_image_record *r), void *ctx,
			struct rb_error **err);

/*
 * Small records by key. The text is opaque. A record whose checksum does not match is a miss
 * (NOTFOUND), never an error of the build.
 */
int rb_store_get_record(struct rb_store *store, const struct rb_digest *key, struct rb_buf *ret,
			struct rb_error **err);
int rb_store_put_record(struct rb_store *store, const struct rb_digest *key, const char *text,
			size_t len, struct rb_error **err);

#endif
