/* SPDX-License-Identifier: Apache-2.0 */
/* Copying trees into a root: the file operations of COPY and ADD (dockerfile.md 3.9, rules 3 to 9).
 */
#ifndef RB_LAYER_COPY_H
#define RB_LAYER_COPY_H

#include "base/error.h"
#include "base/mode.h"
#include "layer/ledger.h"

/* What a file is taken to be, whatever its inode says. */
struct rb_copy_as {
	mode_t mode; /* permissions */
	struct timespec mtime;
};

struct rb_copy_spec {
	int src_root_fd;                    /* source root */
	const struct rb_ledger *src_ledger; /* NULL: a local context: every owner is 0:0 */
	int dst_root_fd; /* destination root (merged view of the snapshot being written) */
	struct rb_ledger *dst_ledger;
	const char *src; /* path in the source root; links are followed, also the last component
			    (rule 3) */
	const char
		*name; /* base name used when dest is a directory: that of the source as matched */
	const char *dest;   /* absolute path in the destination root */
	bool dest_is_dir;   /* dest was written with a trailing "/" or "/.", or as "." or "" */
	bool *dest_is_file; /* shared by the copies of one instruction: set by the one that makes
			       dest itself a file, after which another such one is refused, since
			       it would undo it; NULL: there is one copy only */
	int64_t chown_uid, chown_gid;       /* -1: keep (or 0:0 for a local context) */
	const struct rb_mode_change *chmod; /* NULL: keep; of files and directories, never links */
	const struct rb_copy_as *as;        /* of a single file; NULL: what its inode says */
	/*
	 * Tells whether an entry of the source is left out (ignore rules); `path` is relative to
	 * the source root. A directory answered with RB_COPY_DESCEND is made only if something
	 * below it is copied. NULL: nothing is left out.
	 */
	int (*skip)(void *ctx, const char *path, bool is_dir);
	void *skip_ctx;
};
enum { RB_COPY_TAKE = 0, RB_COPY_SKIP = 1, RB_COPY_DESCEND = 2 };

/*
 * Copies one resolved source. Errors carry the paths: "cannot copy to non-directory: /x", "cannot
 * replace to directory /x with file", "cannot copy several files to /x". Data goes by
 * copy_file_range with holes kept; hard links inside one call are kept; devices become ledger
 * entries; sockets of a context become empty regular files, those of other sources are left out;
 * allowed xattrs, modes and times are kept.
 */
int rb_copy(const struct rb_copy_spec *spec, struct rb_error **err);

/* A file with given content (heredoc): mode 0644 (or chmod), 0:0 (or chown), mtime now. `spec.src*`
 * are unused. */
int rb_copy_inline(const struct rb_copy_spec *spec, const void *data, size_t len,
		   struct rb_error **err);

#endif
