/* SPDX-License-Identifier: Apache-2.0 */
/*
 * UTF-8 (RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF), and the classes of
 * characters that Go knows, which the language and its files inherited.
 */
#ifndef RB_BASE_UNICODE_H
#define RB_BASE_UNICODE_H

#include "base/buf.h"

/* A byte that is no UTF-8 is a character of its own: RB_RUNE_BYTE | byte. */
#define RB_RUNE_BYTE 0x110000u

/* Decodes the character at s (len > 0 bytes); returns its length. */
size_t rb_rune_decode(const char *s, size_t len, uint32_t *ret);
/* The character at *text, which goes on behind it; a text ends with a NUL byte. */
static inline uint32_t rb_rune_next(const char **text)
{
	uint32_t c;

	/* A NUL byte continues no character, so nothing behind it is read. */
	*text += rb_rune_decode(*text, 4, &c);
	return c;
}
bool rb_is_utf8(const char *text);

bool rb_rune_is_space(uint32_t c);
/* Letter, decimal digit or underscore: what a variable name consists of. */
bool rb_rune_is_word(uint32_t c);
bool rb_rune_is_printable(uint32_t c);
/* Length of the white space character at s, 0 when there is none. */
size_t rb_rune_space(const char *s, size_t len);
struct rb_slice rb_slice_ltrim(struct rb_slice s);
struct rb_slice rb_slice_trim(struct rb_slice s);
/* Without the byte order mark of a file. */
struct rb_slice rb_slice_skip_mark(struct rb_slice file);

#endif
