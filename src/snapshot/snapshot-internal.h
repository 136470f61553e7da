/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shared by the files of src/snapshot/ only. Directories, metadata, locks and reaping are the same
 * for every backend; a backend only turns a stack of directories into a mount.
 */
#ifndef RB_SNAPSHOT_INTERNAL_H
#define RB_SNAPSHOT_INTERNAL_H

#include "base/buf.h"
#include "snapshot/snapshot.h"

#define RB_SNAPSHOT_ACTIVE_PREFIX ".active-"
#define RB_SNAPSHOT_PLACED_PREFIX "l-"
#define RB_SNAPSHOT_DEAD_PREFIX   ".dead-" /* being removed, or to be by the next reaping */

/* A directory that stays empty: the lowest layer where a stack alone is too small to be mounted. */
#define RB_SNAPSHOT_EMPTY_DIR ".empty"
enum { RB_SNAPSHOT_EMPTIES = 2 }; /* .empty/0 and .empty/1 */

/* What a backend mounts. Names are relative to the trees directory, contain no comma, colon or
 * backslash. */
struct rb_snapshot_stack {
	int trees_fd;                 /* opened in the current mount namespace */
	const char *trees_path;       /* for messages */
	const struct rb_strv *lowers; /* directories, topmost first */
	const char *upper;            /* NULL: read only */
	const char *work;             /* NULL with upper */
};

struct rb_snapshotter_ops {
	const char *name;
	size_t lowers_min; /* of a read-only stack; a writable one needs one lower */
	/* Detached mount; caller closes. */
	int (*mount)(const struct rb_snapshot_stack *stack, struct rb_error **err);
};

extern const struct rb_snapshotter_ops rb_snapshot_overlay;

/*
 * The two ways to mount an overlay, apart so that tests reach both: fsconfig(lowerdir+) of Linux
 * 6.5, which takes any number of lowers, and mount(2), whose options must fit into one page.
 * Mechanism: descriptor or -errno.
 */
int rb_overlay_mount_api(const struct rb_snapshot_stack *stack);
int rb_overlay_mount_legacy(const struct rb_snapshot_stack *stack);

/* An open diff directory that ledgers borrow. */
struct rb_snapshot_fd {
	char *id;
	int fd;
};

struct rb_snapshotter {
	const struct rb_snapshotter_ops *ops; /* NULL: no backend on this rung */
	char *why_not;                        /* sentence when there is none */
	int dirfd;                            /* the trees directory */
	char *path;                           /* its absolute path */
	uint32_t uid_limit, gid_limit;
	bool xattrs_checked;
	struct rb_snapshot_fd *fds;
	size_t n_fds, cap_fds;
};

/* Whether text can be the id of a committed snapshot: 1..79 of [0-9a-z-], not starting with "-". */
bool rb_snapshot_id_valid(const char *id);
/* Metadata and the ids below, bottom first (NULL: not wanted). */
int rb_snapshot_meta_read(int trees_fd, const char *id, struct rb_snapshot_meta *ret,
			  struct rb_strv *ret_lowers, struct rb_error **err);
/* Writes `meta` into the directory of a snapshot. parent and depth follow from lowers. */
int rb_snapshot_meta_write(int dirfd, const struct rb_snapshot_meta *meta,
			   const struct rb_strv *lowers, struct rb_error **err);
/* UNSUPPORTED with the reason on a rung that has no backend. */
int rb_snapshot_check_backend(const struct rb_snapshotter *s, struct rb_error **err);
/* Mounts what `chain` (ids, bottom first) makes, with upper and work directories or read only. */
int rb_snapshot_mount(struct rb_snapshotter *s, const struct rb_strv *chain, const char *upper,
		      const char *work, struct rb_error **err);
/* Adds the trees of a chain to a ledger, topmost first, as far down as there are tables. */
int rb_snapshot_add_trees(struct rb_snapshotter *s, struct rb_ledger *l,
			  const struct rb_strv *chain, struct rb_error **err);
/* UNSUPPORTED when a stack of so many cannot be mounted. */
int rb_snapshot_check_depth(size_t depth, struct rb_error **err);
/* settle.c: rb_active_settle() for the upperdir `diff_fd` over `lowers` (ids, bottom first). */
int rb_snapshot_settle(struct rb_snapshotter *s, const struct rb_strv *lowers, int diff_fd,
		       const struct rb_ledger *ledger, struct rb_error **err);
/* Renames a committed snapshot so that reaping removes it. Mechanism; caller frees the name. */
int rb_snapshot_set_aside(struct rb_snapshotter *s, const char *id, char **ret_name);
#define RB_SNAPSHOT_NO_SPACE "free some space there or use a store on another disk with --root DIR"
/* SYS with what to do about a full disk or quota. `neg` is a negative errno. */
int rb_snapshot_fail_disk(struct rb_error **err, int neg, const char *what, const char *where);

#endif
