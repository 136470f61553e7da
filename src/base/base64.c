// SPDX-License-Identifier: Apache-2.0
#include "base/base64.h"

#include <errno.h>
#include <openssl/evp.h>
#include <string.h>

/* Groups at a time: libcrypto counts with int. */
enum { GROUPS = 1024 };

void rb_base64_encode(const void *data, size_t len, struct rb_buf *ret)
{
	const uint8_t *p = data;
	uint8_t out[4 * GROUPS + 1];

	for (size_t n; len; p += n, len -= n) {
		n = rb_min_size(len, 3 * GROUPS);
		int made = EVP_EncodeBlock(out, p, (int)n);
		rb_buf_add(ret, out, (size_t)made);
	}
}

static size_t padding(const char *text, size_t len)
{
	size_t n = 0;

	while (n < 2 && n < len && text[len - 1 - n] == '=')
		n++;
	return n;
}

int rb_base64_decode(const char *text, size_t len, struct rb_buf *ret)
{
	uint8_t out[3 * GROUPS];
	size_t pad = padding(text, len);

	/* libcrypto skips blanks and takes padding for zeros, wherever they are. */
	if (len % 4 || memchr(text, '=', len - pad) || memchr(text, ' ', len) ||
	    memchr(text, '\n', len) || memchr(text, '\t', len) || memchr(text, '\r', len))
		return -EINVAL;
	while (len) {
		size_t n = rb_min_size(len, 4 * GROUPS);
		int made = EVP_DecodeBlock(out, (const uint8_t *)text, (int)n);

		if (made != (int)(n / 4 * 3))
			return -EINVAL;
		text += n;
		len -= n;
		rb_buf_add(ret, out, (size_t)made - (len ? 0 : pad));
	}
	return 0;
}
