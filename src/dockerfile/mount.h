/* SPDX-License-Identifier: Apache-2.0 */
/*
 * RUN --mount=... (dockerfile.md 3.2): one CSV record of `key=value` fields. A field may be in
 * double quotes, with "" for one of them inside. Parsed twice: as written, when the file is read,
 * for all that can be told without knowing variables; and by plan/ with the values expanded. Pure.
 */
#ifndef RB_DOCKERFILE_MOUNT_H
#define RB_DOCKERFILE_MOUNT_H

#include "base/arena.h"
#include "dockerfile/dockerfile.h"

enum rb_mount_type {
	RB_MOUNT_BIND,
	RB_MOUNT_CACHE,
	RB_MOUNT_TMPFS,
	RB_MOUNT_SECRET,
	RB_MOUNT_SSH,
	RB_MOUNT_TYPES
};

enum rb_mount_sharing { RB_MOUNT_SHARED, RB_MOUNT_PRIVATE, RB_MOUNT_LOCKED };

/* What the options say. Texts are NULL when not given, or given empty; plan/ knows the defaults. */
struct rb_run_mount {
	enum rb_mount_type type;
	const char *target;
	const char *from;   /* bind, cache; never expanded */
	const char *source; /* bind, cache: path in `from`; secret: another word for id */
	const char *id;     /* cache, secret, ssh */
	const char *env;    /* secret */
	enum rb_mount_sharing sharing;
	bool read_only; /* by default bind, secret and ssh are */
	bool required;  /* secret, ssh */
	int64_t mode;   /* -1: not given; so are the next two */
	int64_t uid, gid;
	uint64_t size_bytes; /* tmpfs; 0: not given */
};

/* Gives the expansion of a value; caller frees; NULL with *err. */
typedef char *rb_mount_expand_fn(void *ctx, const char *word, struct rb_error **err);

/*
 * The options of inst->run.mounts[i]. With `expand` NULL, what depends on a value with variables,
 * quotes or escapes is left out, and not checked. Texts live in the arena. Errors:
 * RB_ERR_DOCKERFILE with the texts of 3.2; the caller adds the lines.
 */
int rb_run_mount_parse(const struct rb_kvs *options, rb_mount_expand_fn *expand, void *ctx,
		       struct rb_arena *arena, struct rb_run_mount *ret, struct rb_error **err);

/* Whether `type` was written so that only expansion tells what it is. */
bool rb_run_mount_type_is_variable(const struct rb_kvs *options);

/* "64m", "1.5 GiB", "4096": binary units, in any case, with or without b and ib. 0, or -1 when it
 * is no size. */
int rb_dockerfile_parse_size(const char *text, uint64_t *ret);

#endif
