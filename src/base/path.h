/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Paths inside a foreign root. A root is an O_PATH|O_DIRECTORY (or O_RDONLY) descriptor; absolute
 * links and
 * `..` are interpreted relative to it and never leave it. Resolve once, then use only the
 * descriptor.
 */
#ifndef RB_BASE_PATH_H
#define RB_BASE_PATH_H

#include <fcntl.h>

#include "base/buf.h"

/*
 * Opens path (absolute or relative, both mean "from the root") below rootfd with
 * openat2(RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS), retrying EAGAIN. O_CLOEXEC is added. Follows a
 * symlink in the last component unless O_NOFOLLOW is given. Mechanism: descriptor or -errno.
 */
int rb_open_in_root(int rootfd, const char *path, int flags, mode_t mode);

/*
 * Opens the directory that holds the last component of path, following links in the directories
 * before it. *ret_name points into path and has no trailing slash. -EINVAL for paths without a last
 * component ("/", "..").
 */
int rb_open_parent_in_root(int rootfd, const char *path, int flags,
			   char **ret_name /* caller frees */);

/*
 * mkdir -p below rootfd. Existing directories and links to directories are kept and followed; each
 * directory made is reported to `made` (with a descriptor that is closed afterwards and its path
 * relative to the root), so that the caller can set its owner. Returns an O_PATH descriptor of the
 * last directory, or -errno.
 */
typedef int rb_made_dir_fn(void *ctx, int dirfd, const char *path);
int rb_mkdirs_in_root(int rootfd, const char *path, mode_t mode, rb_made_dir_fn *made, void *ctx);

/* Lexical cleaning as Go's path.Clean: "a//b/../c/" -> "a/c"; "" -> "."; "/.." -> "/". Caller
 * frees. */
char *rb_path_clean(const char *path);
/* path.Join + Clean; an absolute b replaces a. Caller frees. */
char *rb_path_join_abs(const char *a, const char *b);
/* Last component of a clean path ("/" -> "/"); points into path. */
const char *rb_path_base(const char *path);

#endif
