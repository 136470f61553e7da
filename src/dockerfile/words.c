// SPDX-License-Identifier: Apache-2.0
#include <string.h>

#include "base/json.h"
#include "dockerfile/dockerfile-internal.h"

static bool is_ws(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r' && c != '\n');
}

struct rb_slice rb_words_head(struct rb_slice s, struct rb_slice *rest)
{
	size_t n = 0;

	while (n < s.len && !is_ws(s.ptr[n]))
		n++;
	*rest = rb_slice_trim((struct rb_slice){s.ptr + n, s.len - n});
	return (struct rb_slice){s.ptr, n};
}

void rb_words_split(const char *s, struct rb_strv *ret)
{
	while (*s) {
		size_t n = 0;

		while (is_ws(*s))
			s++;
		while (s[n] && !is_ws(s[n]))
			n++;
		if (n)
			rb_strv_take(ret, rb_strndup(s, n));
		s += n;
	}
}

/* One flag word: quotes and escapes are removed; returns its length in s. */
static size_t flag_word(struct rb_slice s, char escape, struct rb_buf *ret)
{
	char quote = '\0';
	size_t i = 0;

	while (i < s.len) {
		char c = s.ptr[i];

		if (!quote && rb_rune_space(s.ptr + i, s.len - i))
			break;
		i++;
		if (c == escape) {
			if (i < s.len)
				rb_buf_addch(ret, s.ptr[i++]);
		} else if (quote ? c == quote : c == '\'' || c == '"') {
			quote = quote ? '\0' : c;
		} else {
			rb_buf_addch(ret, c);
		}
	}
	return i;
}

struct rb_slice rb_words_take_flags(struct rb_slice s, char escape, struct rb_strv *flags)
{
	for (;;) {
		RB_CLEANUP(rb_buf_clear) struct rb_buf word = RB_BUF_INIT;

		s = rb_slice_trim(s);
		if (s.len < 2 || memcmp(s.ptr, "--", 2) != 0)
			return s;
		size_t n = flag_word(s, escape, &word);
		s.ptr += n;
		s.len -= n;
		if (rb_streq(word.ptr, "--"))
			return rb_slice_trim(s);
		rb_strv_take(flags, rb_buf_steal(&word));
	}
}

/* Length of one key/value word: up to the first blank that nothing protects. */
static size_t quoted_word(struct rb_slice s, char escape)
{
	char quote = '\0';
	size_t i = 0;

	while (i < s.len) {
		char c = s.ptr[i];

		if (!quote && rb_rune_space(s.ptr + i, s.len - i))
			break;
		i++;
		if (c == escape && quote != '\'')
			i += i < s.len;
		else if (quote ? c == quote : c == '\'' || c == '"')
			quote = quote ? '\0' : c;
	}
	return i;
}

void rb_words_split_quoted(const char *text, char escape, struct rb_strv *ret)
{
	struct rb_slice s = rb_slice_trim(rb_slice_str(text));

	while (s.len) {
		size_t n = quoted_word(s, escape);

		rb_strv_take(ret, rb_strndup(s.ptr, n));
		s = rb_slice_ltrim((struct rb_slice){s.ptr + n, s.len - n});
	}
}

/* The value of \uXXXX at s, or -1. */
static int32_t unicode_escape(const char *s)
{
	int32_t c = 0;

	if (s[0] != '\\' || s[1] != 'u')
		return -1;
	for (int i = 2; i < 6; i++) {
		int digit = rb_ascii_hex_value(s[i]);

		if (digit < 0)
			return -1;
		c = c << 4 | digit;
	}
	return c;
}

/* Length of the escape sequence at s. *ret_half: it is half of a surrogate pair alone. */
static size_t escape_length(const char *s, bool *ret_half)
{
	int32_t c = unicode_escape(s);

	*ret_half = false;
	if (c < 0)
		return s[1] ? 2 : 1;
	if (c < 0xd800 || c > 0xdfff)
		return 6;
	int32_t low = c < 0xdc00 ? unicode_escape(s + 6) : -1;
	if (low >= 0xdc00 && low <= 0xdfff)
		return 12;
	*ret_half = true;
	return 6;
}

/* Go reads JSON with U+FFFD for bytes that are no UTF-8 and for half surrogate pairs; our reader
 * would refuse them. */
static char *readable_json(const char *s)
{
	static const char replacement[] = "\xef\xbf\xbd";
	struct rb_buf b = RB_BUF_INIT;
	size_t len = strlen(s), n;

	for (; len; s += n, len -= n) {
		uint32_t c;
		bool bad = false;

		n = rb_rune_decode(s, len, &c);
		if (c == '\\')
			n = escape_length(s, &bad);
		if (bad || c >= RB_RUNE_BYTE)
			rb_buf_addstr(&b, replacement);
		else
			rb_buf_add(&b, s, n);
	}
	return rb_buf_steal(&b);
}

int rb_words_parse_json(const char *s, struct rb_strv *ret, struct rb_error **err)
{
	RB_CLEANUP(rb_json_freep) struct rb_json *j = NULL;

	if (*s != '[')
		return 0;
	RB_CLEANUP(rb_strp) char *text = readable_json(s);
	j = rb_json_recognize(text, strlen(text));
	/* Then it is shell text or a list of words: `[ -f x ] && y`. */
	if (!j)
		return 0;
	for (size_t i = 0; i < rb_json_length(j); i++) {
		size_t len;
		const char *word = rb_json_string(rb_json_at(j, i), &len);

		if (!word)
			return rb_fail(
				err, RB_ERR_DOCKERFILE,
				"when using JSON array syntax, arrays must be comprised of strings only");
		if (strlen(word) != len)
			return rb_fail(
				err, RB_ERR_DOCKERFILE,
				"a string of the JSON array has a NUL character, which no argument or path can have");
		rb_strv_add(ret, word);
	}
	return 1;
}
