/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tree <-> tar changeset (OCI image-spec layer.md). Reader: libarchive behind our own
 * decompression, so that the diff ID sees every byte to the end of the stream. Extractor: confined
 * to a root descriptor. Writer: deterministic pax.
 */
#ifndef RB_LAYER_LAYER_H
#define RB_LAYER_LAYER_H

#include "base/digest.h"
#include "base/error.h"
#include "layer/ledger.h"

enum rb_compression {
	RB_COMPRESSION_NONE,
	RB_COMPRESSION_GZIP,
	RB_COMPRESSION_ZSTD,
	/* Of archives only; no layer is compressed so. */
	RB_COMPRESSION_BZIP2,
	RB_COMPRESSION_XZ,
};

/* What one layer may cost; exceeding any is RB_ERR_CORRUPT naming the limit (threats S32). */
struct rb_layer_limits {
	uint64_t bytes; /* uncompressed tar */
	uint64_t entries;
	unsigned depth;      /* path components */
	uint64_t file_bytes; /* apparent size of one file */
	unsigned ratio;      /* uncompressed : compressed, checked after the first 64 MiB */
};
extern const struct rb_layer_limits rb_layer_limits_default;

struct rb_layer_owner {
	uint32_t uid, gid;
};

struct rb_apply_spec {
	int src_fd; /* blob, read to its end; compression is told by its magic (gzip, zstd, none; of
		       an archive also bzip2, xz) */
	int root_fd;  /* where it goes: a plain directory, or an overlay's merged root */
	int upper_fd; /* the overlay's upperdir, or -1 when root_fd is a plain directory with
			 nothing below */
	struct rb_ledger *ledger;
	const struct rb_layer_owner *owner; /* of every entry; NULL: what the archive says */
	const struct rb_layer_limits *limits;
	const struct rb_digest *want_blob; /* NULL: not checked */
	const struct rb_digest *want_diff; /* NULL: not checked */
	/*
	 * false: names are a layer's, `.wh.*` are whiteouts. true: a root file system or ADDed
	 * archive: whiteout names are plain files, which the layer format cannot hold, and so are
	 * an error; and the directory it is unpacked into keeps its metadata.
	 */
	bool plain_archive;
	/* Whiteout names are files all the same: the tree is no layer, and what makes one of it
	 * refuses those that it takes. */
	bool keep_whiteouts;
};

struct rb_apply_result {
	struct rb_digest blob; /* of the bytes read from src_fd */
	uint64_t blob_size;
	struct rb_digest diff; /* of the uncompressed tar */
	uint64_t diff_size;
	uint64_t entries;
	enum rb_compression compression;
};

/*
 * Unpacks. Names never leave the root: absolute and `..` names, links and hard links are
 * interpreted inside it, a hard link to something outside or missing is an error (threats S28-S31).
 * Opaque markers are returned to the overlay as user.overlay.opaque on the upperdir, whiteouts as
 * deletions through root_fd that spare what this layer made. On error the tree is half-written and
 * the caller discards it. Errors: CORRUPT, SYS.
 */
int rb_layer_apply(const struct rb_apply_spec *spec, struct rb_apply_result *ret,
		   struct rb_error **err);

/*
 * Reads a layer to its end without unpacking: its digests, and that it is a tar within the limits.
 * plain_archive as above; an OCI image layout is none (UNSUPPORTED). Errors: CORRUPT, SYS.
 */
int rb_layer_scan(int src_fd, const struct rb_layer_limits *limits, bool plain_archive,
		  struct rb_apply_result *ret, struct rb_error **err);

struct rb_layer_write_spec {
	int diff_fd; /* the tree: an overlay upperdir or a whole root file system */
	const struct rb_ledger *ledger; /* of that tree alone */
	int parent_fd; /* root of the snapshot below (its metadata of "/"), or -1 */
	enum rb_compression compression;
	int level; /* -1: default of the compressor */
	/* Where compressed bytes go, in order; NULL: only the diff ID is wanted and nothing is
	 * compressed. */
	int (*write)(void *ctx, const void *data, size_t len, struct rb_error **err);
	void *ctx;
	unsigned threads; /* for compression; 1: none are started */
	const int64_t *newest; /* later times are written as this one, in seconds; NULL: as they are */
};

struct rb_layer_write_result {
	struct rb_digest diff; /* diff ID */
	uint64_t diff_size;
	struct rb_digest blob; /* of the bytes written (zero without `write`) */
	uint64_t blob_size;
};

/*
 * Writes the changeset: sorted, numeric owners, no names, pax for what ustar cannot say, hard links
 * as type 1, overlay whiteouts as `.wh.<name>`, opaque directories as `.wh..wh..opq`. The same tree
 * gives the same bytes. A file called
 * `.wh.*` is an error naming the path (threats S43). Sockets are left out, as every builder does.
 */
int rb_layer_write(const struct rb_layer_write_spec *spec, struct rb_layer_write_result *ret,
		   struct rb_error **err);

/* Names that begin so mean deletions in a layer, so no file of an image can have one. */
#define RB_WHITEOUT_PREFIX ".wh."
/* CORRUPT, naming the path (threats S43). */
int rb_whiteout_refuse(const char *path, struct rb_error **err);

/*
 * Whether two directories are alike to an image but for times and entries: mode, owner, allowed
 * attributes. 1, 0 or -errno.
 */
int rb_layer_same_dir(const struct rb_ledger *l, int a_fd, int b_fd);

/* Magic bytes -> kind; 6 bytes tell them all, less than 4 bytes is NONE. */
enum rb_compression rb_compression_detect(const void *data, size_t len);

#endif
