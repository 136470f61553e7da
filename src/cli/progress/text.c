// SPDX-License-Identifier: Apache-2.0
#include "cli/progress/progress-internal.h"

#include <string.h>

#include "base/unicode.h"

#define ESC         0x1bu
#define BEL         0x07u
#define DEL         0x7fu
#define TAB_COLUMNS 8

/* Controls of the terminal, and marks that reorder or hide what stands around them. */
static bool is_hidden(uint32_t cp)
{
	static const struct {
		uint32_t first, last;
	} ranges[] = {
		{0x00, 0x1f},     {0x7f, 0x9f},     {0x200b, 0x200f}, {0x2028, 0x202e},
		{0x2060, 0x2069}, {0xfeff, 0xfeff}, {0xfff9, 0xfffb},
	};

	for (size_t i = 0; i < RB_ARRAY_LEN(ranges); i++)
		if (cp >= ranges[i].first && cp <= ranges[i].last)
			return true;
	return false;
}

/*
 * Length of the escape sequence at s[0] == ESC (ECMA-48): a control sequence up to its final byte,
 * a control string up to its terminator, else intermediates and one byte. An unfinished one ends
 * with the text.
 */
static size_t escape_len(const unsigned char *s, size_t len)
{
	size_t i = 1;

	if (len < 2)
		return len;
	if (s[1] == '[') {
		for (i = 2; i < len && s[i] >= 0x20 && s[i] <= 0x3f;)
			i++;
	} else if (memchr("]P_^X", s[1], 5)) {
		for (i = 2; i < len && s[i] != BEL; i++)
			if (s[i] == ESC)
				return i + 1 < len && s[i + 1] == '\\' ? i + 2 : i;
	} else {
		while (i < len && s[i] >= 0x20 && s[i] <= 0x2f)
			i++;
	}
	/* A final byte from outside the set belongs to the text again. */
	return i < len && (s[i] == BEL || (s[i] >= 0x30 && s[i] < DEL)) ? i + 1 : i;
}

size_t rb_progress_clean(struct rb_buf *out, const char *text, size_t len, size_t cols_max)
{
	const unsigned char *s = (const unsigned char *)text;
	size_t cols = 0;

	for (size_t i = 0, step; i < len && cols < cols_max; i += step) {
		uint32_t cp;

		step = rb_rune_decode(text + i, len - i, &cp);
		if (cp == ESC) {
			step = escape_len(s + i, len - i);
		} else if (cp == '\t') {
			do
				rb_buf_addch(out, ' ');
			while (++cols % TAB_COLUMNS && cols < cols_max);
		} else if (cp == '\n') {
			rb_buf_addch(out, ' ');
			cols++;
		} else if (cp >= RB_RUNE_BYTE) {
			rb_buf_addstr(out, "\xef\xbf\xbd");
			cols++;
		} else if (!is_hidden(cp)) {
			rb_buf_add(out, text + i, step);
			cols++;
		}
	}
	return cols;
}

char *rb_progress_clean_dup(const char *s, size_t len, size_t cols_max)
{
	struct rb_buf b = RB_BUF_INIT;

	(void)rb_progress_clean(&b, s, len, cols_max);
	return rb_buf_steal(&b);
}

struct rb_slice rb_progress_last_segment(struct rb_slice line)
{
	while (line.len && line.ptr[line.len - 1] == '\r')
		line.len--;
	const char *cr = line.len ? memrchr(line.ptr, '\r', line.len) : NULL;
	if (!cr)
		return line;
	return (struct rb_slice){cr + 1, (size_t)(line.ptr + line.len - cr - 1)};
}
