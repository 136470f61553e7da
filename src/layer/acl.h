/* SPDX-License-Identifier: Apache-2.0 */
/*
 * POSIX ACLs as extended attributes hold them (acl(5), linux/posix_acl_xattr.h).
 *
 * The kernel refuses an ACL that names an id which the user namespace does not map. Such a one is
 * kept in an attribute of our own, with the ids of the image; the disk's permission bits are what
 * the ACL makes of them (owner, mask, others), and stay the truth about these three: chmod needs
 * to know nothing of ACLs, for what is kept is brought into line whenever it is read. The
 * attributes never leave the store (rb_xattr_allowed).
 */
#ifndef RB_LAYER_ACL_H
#define RB_LAYER_ACL_H

#include <sys/stat.h>

#include "base/base.h"

#define RB_ACL_ACCESS  "system.posix_acl_access"
#define RB_ACL_DEFAULT "system.posix_acl_default"

/* --- acl.c: values. Pure. */

/* Whether the kernel would take the value if all its ids were mapped. */
bool rb_acl_is_valid(const void *value, size_t len);
/* The rest takes valid ones. Its permission bits, 0 to 0777. */
mode_t rb_acl_mode(const void *value, size_t len);
/* What chmod makes of it. */
void rb_acl_chmod(void *value, size_t len, mode_t mode);
/* Makes the default ACL of a directory into the access ACL of a file made in it with `mode`; the
 * permission bits that it has then. */
mode_t rb_acl_create(void *value, size_t len, mode_t mode);

/*
 * Whom the ACL takes the caller for; then the bits that count for it. `in_group` asks about a
 * group of the caller's.
 */
struct rb_acl_who {
	uint32_t owner, group; /* of the file */
	uint32_t uid;
	bool (*in_group)(const void *ctx, uint32_t gid);
	const void *ctx;
};
/* Whether it grants every bit of `want` (4 read, 2 write, 1 execute). */
bool rb_acl_grants(const void *value, size_t len, const struct rb_acl_who *who, unsigned want);

/* --- xattr.c: on disk; `key` is one of the two above. Mechanism. */

/* The attribute that keeps the ACL of this name; NULL when it is none. */
const char *rb_acl_kept_key(const char *key);
/* The ACL's name of an attribute that keeps one, or NULL. */
const char *rb_acl_key_of_kept(const char *name);
/* Keeps it, which is valid, instead of the kernel's. -EOPNOTSUPP where there are no attributes of
 * users. */
int rb_acl_keep(int dirfd, const char *name, const char *key, const void *value, size_t len);
/* 1 and the kept ACL (caller frees), 0 when there is none. */
int rb_acl_kept(int dirfd, const char *name, const char *key, char **ret, size_t *ret_len);
/* 1 when one was kept. */
int rb_acl_drop(int dirfd, const char *name, const char *key);
/* What a new file or directory, made with `mode`, has from a kept ACL of its directory. */
int rb_acl_inherit(int parent_fd, int dirfd, const char *name, mode_t mode);
/* The same for a new directory that was given this mode afterwards, and has it then. */
int rb_acl_inherit_dir(int fd, mode_t mode);

#endif
