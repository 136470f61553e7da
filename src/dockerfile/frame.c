// SPDX-License-Identifier: Apache-2.0
/* The part of the Dockerfile that an error is about (dockerfile.md 8.5). */
#include <string.h>

#include "dockerfile/dockerfile-internal.h"

#define RULE "--------------------\n"

/* A line may have 65535 bytes; the rest of one this long would only hide the error below. */
enum { SHOWN_BYTES_MAX = 500 };

/* What a terminal might obey is not printed: control characters and bytes that are no UTF-8. */
static void add_visible(struct rb_buf *b, struct rb_slice line)
{
	const char *end = line.ptr + SHOWN_BYTES_MAX;

	while (line.len) {
		uint32_t c;
		size_t n = rb_rune_decode(line.ptr, line.len, &c);
		bool control = c < 0x20 ? c != '\t' : c == 0x7f || (c >= 0x80 && c < 0xa0);

		if (control || c >= RB_RUNE_BYTE)
			rb_buf_addch(b, '?');
		else
			rb_buf_add(b, line.ptr, n);
		line.ptr += n;
		line.len -= n;
		if (line.len && line.ptr >= end) {
			rb_buf_addstr(b, "...");
			return;
		}
	}
}

char *rb_dockerfile_frame(const char *file, const char *text, size_t len, unsigned first,
			  unsigned last)
{
	struct rb_slice rest = rb_slice_skip_mark((struct rb_slice){text, len});
	struct rb_buf b = RB_BUF_INIT;
	unsigned around = first == last ? 2 : 1;
	unsigned line = 0;

	rb_buf_addf(&b, "%s:%u\n" RULE, file, first);
	while (rest.len && line < last + around) {
		const char *lf = memchr(rest.ptr, '\n', rest.len);
		struct rb_slice s = {rest.ptr, lf ? (size_t)(lf - rest.ptr) : rest.len};
		size_t used = lf ? s.len + 1 : s.len;

		rest.ptr += used;
		rest.len -= used;
		if (++line + around < first)
			continue;
		while (s.len && s.ptr[s.len - 1] == '\r')
			s.len--;
		rb_buf_addf(&b, " %3u | %s ", line, line >= first && line <= last ? ">>>" : "   ");
		add_visible(&b, s);
		rb_buf_addch(&b, '\n');
	}
	rb_buf_addstr(&b, RULE);
	return rb_buf_steal(&b);
}
