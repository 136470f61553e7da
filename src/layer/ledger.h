/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ownership ledger: what an image says about an entry and the disk cannot hold (design 2).
 *
 * Owners whose ids are mapped in the current user namespace are real owners on disk. Others, and
 * device nodes (EPERM in every unprivileged namespace), are recorded: the file on disk is 0:0 (a
 * device is an empty regular file), and
 *  - regular files and directories carry the entry as the extended attribute `user.rbuild.entry`:
 * it follows rename, link and overlay copy-up by itself and dies with the file;
 *  - symlinks, FIFOs and sockets, which cannot carry user attributes, are in a table beside the
 * tree (file `ledger` of the snapshot), keyed by path in the tree. Grammar of an entry:
 * `<uid>:<gid>[:<c|b>:<major>:<minor>]`, decimal. Permission bits are always on disk. The attribute
 * never leaves the store: the layer reader and writer, the copier and checksums filter
 * `user.rbuild.`.
 */
#ifndef RB_LAYER_LEDGER_H
#define RB_LAYER_LEDGER_H

#include <sys/stat.h>

#include "base/buf.h"
#include "base/error.h"

#define RB_LEDGER_XATTR "user.rbuild.entry"

struct rb_ledger;

/* What one entry says. `type` is 0 when the disk's type is right, else S_IFCHR or S_IFBLK. */
struct rb_owner {
	uint32_t uid, gid;
	mode_t type;
	uint32_t major, minor;
};

/* Whether entries of files of this type are in tables, not in the attribute. */
bool rb_owner_in_table(mode_t mode);
/* The attribute of a regular file or directory: 1 and the entry, 0 when there is none, -errno. */
int rb_owner_read(int dirfd, const char *name, struct rb_owner *ret);
int rb_owner_write(int dirfd, const char *name, const struct rb_owner *o);
/* Makes what the disk's stat said into what the image says. */
void rb_owner_apply(const struct rb_owner *o, struct stat *st);

/* A ledger for trees written in a namespace where ids below the limits are real. Starts with an
 * empty table. */
struct rb_ledger *rb_ledger_new(uint32_t uid_limit, uint32_t gid_limit);
void rb_ledger_free(struct rb_ledger *l);
RB_DEFINE_CLEANUP(rb_ledger)

/*
 * Adds the table of one tree below what was added so far (first call: the topmost tree). `diff_fd`
 * is that tree's directory (borrowed: must outlive the ledger), `table_dirfd/name` its table file;
 * a missing file is an empty table. With several trees the ledger serves a merged (overlay) view: a
 * table entry counts only where the merged entry is that tree's inode.
 */
int rb_ledger_add_tree(struct rb_ledger *l, int diff_fd, int table_dirfd, const char *name,
		       struct rb_error **err);
/* Writes the topmost table (nothing when empty) as dirfd/name; entries whose path is gone are left
 * out. */
int rb_ledger_save(const struct rb_ledger *l, int diff_fd, int dirfd, const char *name,
		   struct rb_error **err);

/* Calls fn for each table entry that counts in the merged view. */
typedef void rb_ledger_row_fn(void *ctx, const char *path, const struct rb_owner *o);
void rb_ledger_each(const struct rb_ledger *l, rb_ledger_row_fn *fn, void *ctx);
/* Whether owners were given here that the disk cannot hold; a supervised step notes it. */
bool rb_ledger_has_owners(const struct rb_ledger *l);
void rb_ledger_note_owners(struct rb_ledger *l);
/* Enters a link, FIFO or socket, whose path is in the topmost tree, into that tree's table. */
void rb_ledger_set(struct rb_ledger *l, const char *path, const struct rb_owner *o);
/*
 * Enters the links, FIFOs and sockets of the topmost tree `diff_fd` whose inode numbers are given;
 * other numbers are of other trees or gone. Walks the tree unless n is 0. Mechanism.
 */
struct rb_ledger_node {
	uint64_t ino;
	struct rb_owner owner;
};
int rb_ledger_take(struct rb_ledger *l, int diff_fd, const struct rb_ledger_node *v, size_t n);

/*
 * lstat as the image sees it: owner, and type and numbers of devices. `path` is the entry's path in
 * the tree without leading slash; name "" with dirfd is the entry itself. Mechanism: 0 or -errno.
 */
int rb_ledger_stat(const struct rb_ledger *l, int dirfd, const char *name, const char *path,
		   struct stat *ret);
/* Applies the image's owner to what the disk's lstat said (saves a second lstat). */
int rb_ledger_fix(const struct rb_ledger *l, int dirfd, const char *name, const char *path,
		  struct stat *st);

/* chown (never following): on disk when both ids are mapped (an old entry goes away), else
 * recorded. Mechanism. */
int rb_ledger_chown(struct rb_ledger *l, int dirfd, const char *name, const char *path,
		    uint32_t uid, uint32_t gid);
/* Makes a device placeholder (S_IFCHR/S_IFBLK), 0:0 devices included: never a real 0:0 node
 * (threats S43). Mechanism. */
int rb_ledger_mknod(struct rb_ledger *l, int dirfd, const char *name, const char *path, mode_t mode,
		    dev_t rdev);

/*
 * Which extended attributes may be in layers, copies and keys (design 3.10): user.* (not
 * user.overlay.*, not user.rbuild.*), security.capability, system.posix_acl_access and _default.
 */
bool rb_xattr_allowed(const char *name);

struct rb_xattr {
	char *name;
	char *value;
	size_t len;
};
/*
 * The allowed attributes of an entry, sorted by name; the overlay's escape (user.overlay.overlay.x
 * -> user.overlay.x) is not undone here since such names are not allowed. security.capability comes
 * as version 2 whatever the disk holds. Returns the number (0 on file systems without attributes)
 * or -errno; caller frees with rb_xattrs_free().
 */
ssize_t rb_xattrs_read(int dirfd, const char *name, struct rb_xattr **ret);
void rb_xattrs_free(struct rb_xattr *v, size_t n);
/*
 * Sets allowed attributes. An ACL with ids that the user namespace does not map is kept beside
 * (layer/acl.h). What this file system cannot hold is logged with `path` (user attributes of a
 * symlink); other failures are returned. Mechanism.
 */
int rb_layer_set_xattrs(int dirfd, const char *name, const struct rb_xattr *v, size_t n,
			const char *path);

#endif
