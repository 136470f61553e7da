/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of src/layer/ share and nobody else includes. */
#ifndef RB_LAYER_INTERNAL_H
#define RB_LAYER_INTERNAL_H

#include "layer/layer.h"

/* --- resolve.c: real paths. A real path is relative to a root, has no `.`, `..` or empty component
 * and no symlink in any component but the last; "" is the root itself. */

/*
 * Follows every link of `path`, also in the last component, inside the root. Components that do not
 * exist are kept as they are, so that a dangling link names what it would make. Mechanism (-ELOOP
 * after 40 links).
 */
int rb_layer_resolve(int rootfd, const char *path, struct rb_buf *ret);
/* Opens a real path and fails with -ELOOP where a link is in the way; O_NOFOLLOW|O_PATH may open a
 * last link. */
int rb_layer_open(int rootfd, const char *real, int flags);
/* Opens the directory of a real path's last component, which *ret_name points to (inside `real`).
 */
int rb_layer_open_parent(int rootfd, const char *real, const char **ret_name);

/* What directories that have to be made on the way look like. */
struct rb_layer_made {
	struct rb_ledger *ledger;
	mode_t mode;
	uint32_t uid, gid;
};
/* mkdir -p of a real path: an O_PATH descriptor of it, or -errno. */
int rb_layer_mkdirs(int rootfd, const char *real, const struct rb_layer_made *made);

/* Lexically clean, relative to the root, without leading slash: "/a/../b/" -> "b", "./" -> "".
 * Caller frees. */
char *rb_layer_clean_name(const char *name);

/* Appends a component to a real path; returns the length to truncate back to. */
size_t rb_layer_push(struct rb_buf *path, const char *name);

/* Names in a directory without "." and "..", sorted bytewise. Mechanism. */
int rb_layer_list(int dirfd, struct rb_strv *ret);

/* --- xattr.c */

/* Capabilities of any version as version 2 (20 bytes) into `ret`; -EINVAL when malformed. */
enum { RB_CAPS_V2_BYTES = 20 };
int rb_layer_caps_v2(const void *value, size_t len, uint8_t ret[static RB_CAPS_V2_BYTES]);
/* Removes every allowed attribute. Mechanism. */
int rb_layer_clear_xattrs(int dirfd, const char *name);

/* --- reader.c: a blob's bytes decompressed, hashed before and after, within limits */

struct rb_layer_reader;
/* `archive`: not a layer, so that more compressors are known. */
struct rb_layer_reader *rb_layer_reader_new(int fd, const struct rb_layer_limits *limits,
					    bool archive);
void rb_layer_reader_free(struct rb_layer_reader *r);
RB_DEFINE_CLEANUP(rb_layer_reader)
/* The next piece (valid until the next call): its size, 0 at the checked end of the stream, or -1.
 */
ssize_t rb_layer_reader_next(struct rb_layer_reader *r, const void **ret, struct rb_error **err);
/* Reads what is left, so that the digests cover every byte, and compares them. */
int rb_layer_reader_finish(struct rb_layer_reader *r, const struct rb_digest *want_blob,
			   const struct rb_digest *want_diff, struct rb_apply_result *ret,
			   struct rb_error **err);
/* Whether all bytes are zero. */
bool rb_layer_is_zero(const void *data, size_t len);

/* --- tar.c: the entries in a reader's bytes */

struct archive_entry;
struct rb_tar;
/* Errors of opening are told by the first rb_tar_next(). */
struct rb_tar *rb_tar_new(struct rb_layer_reader *reader /* borrowed */,
			  const struct rb_layer_limits *limits);
void rb_tar_free(struct rb_tar *t);
RB_DEFINE_CLEANUP(rb_tar)
/* 1 and the next entry (borrowed until the next call), 0 at the end, -1. Data not read is skipped.
 */
int rb_tar_next(struct rb_tar *t, struct archive_entry **ret, struct rb_error **err);
/* 1 and the next piece of the entry's data with its offset in the file, 0 at its end, -1. */
int rb_tar_data(struct rb_tar *t, const void **ret, size_t *ret_len, uint64_t *ret_offset,
		struct rb_error **err);
uint64_t rb_tar_entries(const struct rb_tar *t);

/* --- whiteout.c: names that delete (OCI layer.md, "Whiteouts") */

#define RB_WHITEOUT_META   ".wh..wh."
#define RB_WHITEOUT_OPAQUE ".wh..wh..opq"
enum rb_whiteout {
	RB_WHITEOUT_NONE,     /* an ordinary entry */
	RB_WHITEOUT_NAME,     /* deletes the base name without the prefix */
	RB_WHITEOUT_DIR,      /* makes its directory opaque */
	RB_WHITEOUT_METADATA, /* AUFS left-overs, to be ignored */
	RB_WHITEOUT_BAD,      /* deletes nothing that can exist */
};
/* What a clean name of a layer means. */
enum rb_whiteout rb_whiteout_kind(const char *clean);
/*
 * Deletes the entry `real` as far as lower layers hold it. Where this layer holds a directory of
 * that name, the directory is added to `opaque` (real paths) instead.
 */
int rb_whiteout_delete(const struct rb_apply_spec *spec, const char *real, struct rb_strv *opaque,
		       struct rb_error **err);
/* After the last entry: hides what lower layers have in the directories of `opaque`. */
int rb_whiteout_finish(const struct rb_apply_spec *spec, struct rb_strv *opaque,
		       struct rb_error **err);

/* --- apply.c */

/* rb_layer_apply() with all names below the real path `prefix`; links are followed in the whole
 * root. */
int rb_layer_apply_below(const struct rb_apply_spec *spec, const char *prefix,
			 struct rb_apply_result *ret, struct rb_error **err);

/* --- pax.c: one tar header */

struct rb_tar_entry {
	const char *path;     /* directories with a trailing slash */
	const char *linkname; /* or NULL */
	char type;            /* '0' to '6' of ustar */
	mode_t mode;
	uint32_t uid, gid;
	uint64_t size;
	struct timespec mtime;
	dev_t rdev;
	const struct rb_xattr *xattrs;
	size_t n_xattrs;
};
/* Appends header blocks: ustar, behind a pax header when ustar cannot say it. */
int rb_tar_header(struct rb_buf *out, const struct rb_tar_entry *e, struct rb_error **err);

/* --- sink.c: tar bytes in, diff ID and compressed blob out */

struct rb_layer_sink;
struct rb_layer_sink *rb_layer_sink_new(const struct rb_layer_write_spec *spec,
					struct rb_error **err);
void rb_layer_sink_free(struct rb_layer_sink *s);
RB_DEFINE_CLEANUP(rb_layer_sink)
/* Room for at least one byte to write into, made by passing on what is full; then advance. */
int rb_layer_sink_room(struct rb_layer_sink *s, void **ret, size_t *ret_len, struct rb_error **err);
void rb_layer_sink_advance(struct rb_layer_sink *s, size_t len);
/* Copies data in; NULL adds zeros. */
int rb_layer_sink_add(struct rb_layer_sink *s, const void *data, uint64_t len,
		      struct rb_error **err);
int rb_layer_sink_finish(struct rb_layer_sink *s, struct rb_layer_write_result *ret,
			 struct rb_error **err);

#endif
