/* SPDX-License-Identifier: Apache-2.0 */
/* SHA-256: streaming hash, and the digest text form `sha256:<64 lower case hex>` of the OCI
 * image-spec. */
#ifndef RB_BASE_DIGEST_H
#define RB_BASE_DIGEST_H

#include "base/buf.h"

struct rb_digest {
	uint8_t bytes[32];
};

/* Room for "sha256:" + 64 hex + NUL. */
#define RB_DIGEST_TEXT_BYTES 72

struct rb_hash; /* opaque streaming state */

struct rb_hash *rb_hash_new(void);
void rb_hash_free(struct rb_hash *h);
RB_DEFINE_CLEANUP(rb_hash)
void rb_hash_add(struct rb_hash *h, const void *data, size_t len);
/* Adds a length-prefixed string, so that ("ab","c") and ("a","bc") differ. NULL differs from "". */
void rb_hash_addstr(struct rb_hash *h, const char *s);
void rb_hash_addu64(struct rb_hash *h, uint64_t v);
/* The digest of all that was added; the state starts afresh. */
struct rb_digest rb_hash_final(struct rb_hash *h);

struct rb_digest rb_digest_of(const void *data, size_t len);
bool rb_digest_eq(const struct rb_digest *a, const struct rb_digest *b);
bool rb_digest_is_zero(const struct rb_digest *a);

/* "sha256:<hex>" into buf, which is returned. */
char *rb_digest_text(const struct rb_digest *d, char buf[static RB_DIGEST_TEXT_BYTES]);
/* The 64 hex digits alone: &rb_digest_text()[7]. */
const char *rb_digest_hex(const struct rb_digest *d, char buf[static RB_DIGEST_TEXT_BYTES]);
/* Accepts exactly `sha256:` and 64 lower case hex digits; 0 or -EINVAL (threats S34). */
int rb_digest_parse(const char *text, struct rb_digest *ret);

#endif
