/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the caller lends to steps by name (--secret): values in memory, read when they are given,
 * for a missing file is to be known before the build, and because the user namespace may not be
 * allowed to read it. They are in no key, record, log or file; the pages are kept out of core
 * dumps, and out of swap as far as the limit of locked memory goes, and wiped at the end.
 *
 * SPEC is a CSV record (dockerfile.md 8.1):
 *
 *	id=ID[,type=file|env][,src=FILE|,source=FILE][,env=NAME]
 *
 * Without type, src and env: the environment variable ID if there is one, else the file ID.
 */
#ifndef RB_SOLVE_SECRETS_H
#define RB_SOLVE_SECRETS_H

#include "base/buf.h"
#include "base/error.h"

enum { RB_SECRET_BYTES_MAX = 500 * 1024 };

struct rb_secret {
	char *id;
	const char *value; /* any bytes, and a NUL behind them */
	size_t len;
};

struct rb_mask_set;
struct rb_secrets;

struct rb_secrets *rb_secrets_new(void);
void rb_secrets_free(struct rb_secrets *s);
RB_DEFINE_CLEANUP(rb_secrets)

/*
 * Reads one; the last of an id counts. An environment variable that is not set is an empty secret,
 * as in docker, and a warning. Errors: USAGE for the text, NOTFOUND and SYS for the file,
 * UNSUPPORTED beyond RB_SECRET_BYTES_MAX.
 */
int rb_secrets_add(struct rb_secrets *s, const char *spec, struct rb_error **err);

/* NULL when nobody gave it; `s` may be NULL. Borrowed. */
const struct rb_secret *rb_secrets_get(const struct rb_secrets *s, const char *id);

/* What must not be shown of all values; NULL when there is nothing. Borrowed. */
const struct rb_mask_set *rb_secrets_mask(struct rb_secrets *s);
/* Hides them in the messages of an error, before somebody sees it. */
void rb_secrets_hide(struct rb_secrets *s, struct rb_error *err);

#endif
