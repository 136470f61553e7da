// SPDX-License-Identifier: Apache-2.0
#include "base/digest.h"

#include <errno.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

struct rb_hash {
	EVP_MD_CTX *ctx;
};

struct rb_hash *rb_hash_new(void)
{
	struct rb_hash *h = rb_calloc(1, sizeof(*h));

	h->ctx = EVP_MD_CTX_new();
	if (!h->ctx || EVP_DigestInit_ex(h->ctx, EVP_sha256(), NULL) != 1)
		rb_bug("SHA-256 is not available");
	return h;
}

void rb_hash_free(struct rb_hash *h)
{
	if (!h)
		return;
	EVP_MD_CTX_free(h->ctx);
	free(h);
}

void rb_hash_add(struct rb_hash *h, const void *data, size_t len)
{
	if (EVP_DigestUpdate(h->ctx, data, len) != 1)
		rb_bug("SHA-256 update failed");
}

void rb_hash_addu64(struct rb_hash *h, uint64_t v)
{
	uint8_t b[8];

	for (int i = 0; i < 8; i++)
		b[i] = (uint8_t)(v >> (8 * i));
	rb_hash_add(h, b, sizeof(b));
}

void rb_hash_addstr(struct rb_hash *h, const char *s)
{
	rb_hash_addu64(h, s ? strlen(s) : UINT64_MAX);
	if (s)
		rb_hash_add(h, s, strlen(s));
}

struct rb_digest rb_hash_final(struct rb_hash *h)
{
	struct rb_digest d;
	unsigned n = 0;

	if (EVP_DigestFinal_ex(h->ctx, d.bytes, &n) != 1 || n != sizeof(d.bytes) ||
	    EVP_DigestInit_ex(h->ctx, NULL, NULL) != 1)
		rb_bug("SHA-256 final failed");
	return d;
}

struct rb_digest rb_digest_of(const void *data, size_t len)
{
	struct rb_hash *h = rb_hash_new();

	rb_hash_add(h, data, len);
	struct rb_digest d = rb_hash_final(h);
	rb_hash_free(h);
	return d;
}

bool rb_digest_eq(const struct rb_digest *a, const struct rb_digest *b)
{
	return memcmp(a->bytes, b->bytes, sizeof(a->bytes)) == 0;
}

bool rb_digest_is_zero(const struct rb_digest *a)
{
	static const struct rb_digest zero;

	return rb_digest_eq(a, &zero);
}

char *rb_digest_text(const struct rb_digest *d, char buf[static RB_DIGEST_TEXT_BYTES])
{
	static const char digits[] = "0123456789abcdef";

	memcpy(buf, "sha256:", 7);
	for (size_t i = 0; i < sizeof(d->bytes); i++) {
		buf[7 + 2 * i] = digits[d->bytes[i] >> 4];
		buf[8 + 2 * i] = digits[d->bytes[i] & 15];
	}
	buf[71] = '\0';
	return buf;
}

const char *rb_digest_hex(const struct rb_digest *d, char buf[static RB_DIGEST_TEXT_BYTES])
{
	return rb_digest_text(d, buf) + 7;
}

int rb_digest_parse(const char *text, struct rb_digest *ret)
{
	struct rb_digest d;

	if (strncmp(text, "sha256:", 7) != 0 || strlen(text) != 71)
		return -EINVAL;
	for (size_t i = 0; i < 64; i++) {
		char c = text[7 + i];
		uint8_t v;

		if (c >= '0' && c <= '9')
			v = (uint8_t)(c - '0');
		else if (c >= 'a' && c <= 'f')
			v = (uint8_t)(c - 'a' + 10);
		else
			return -EINVAL;
		d.bytes[i / 2] = i % 2 ? (uint8_t)(d.bytes[i / 2] | v) : (uint8_t)(v << 4);
	}
	*ret = d;
	return 0;
}
