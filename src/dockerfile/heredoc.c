// SPDX-License-Identifier: Apache-2.0
/* Which words ask for a heredoc (dockerfile.md 1.9). */
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "dockerfile/dockerfile-internal.h"

/* This is shell text: its escape is a backslash whatever that of the Dockerfile is. */
enum { ESCAPE = '\\' };

/* Length of what is quoted at s, with its quotes, or 0 when the closing quote is missing. */
static size_t quoted_length(struct rb_slice s)
{
	char quote = *s.ptr;

	for (size_t i = 1; i < s.len; i++) {
		if (s.ptr[i] == quote)
			return i + 1;
		if (s.ptr[i] == ESCAPE && quote == '"')
			i++;
	}
	return 0;
}

/* The last "))" of the text: looking for one behind it would cost the rest of the text each time.
 */
static const char *last_arithmetic_end(struct rb_slice s)
{
	for (size_t i = s.len; i >= 2; i--)
		if (s.ptr[i - 1] == ')' && s.ptr[i - 2] == ')')
			return s.ptr + i - 2;
	return s.ptr;
}

/* In $((1 << n)) nothing is a heredoc. Length of the arithmetic expansion at s, or 0. */
static size_t arithmetic_length(struct rb_slice s, const char *last_end)
{
	if (s.len < 3 || memcmp(s.ptr, "$((", 3) != 0 || s.ptr >= last_end)
		return 0;
	const char *end = memmem(s.ptr, s.len, "))", 2);
	return end ? (size_t)(end - s.ptr) + 2 : 0;
}

/* Length of the shell word at s; 0: a quote is not closed. */
static size_t word_length(struct rb_slice s, const char *last_end)
{
	size_t i = 0;

	while (i < s.len && !rb_rune_space(s.ptr + i, s.len - i)) {
		struct rb_slice here = {s.ptr + i, s.len - i};
		size_t n = 1;

		if (*here.ptr == '\'' || *here.ptr == '"') {
			n = quoted_length(here);
			if (!n)
				return 0;
		} else if (*here.ptr == ESCAPE) {
			n = rb_min_size(2, here.len);
		} else if (*here.ptr == '$') {
			n = arithmetic_length(here, last_end);
			n = n ? n : 1;
		}
		i += n;
	}
	return i;
}

/* Removes quotes and escapes from the delimiter; false when it is not exactly one word. */
static bool parse_delimiter(struct rb_slice s, struct rb_buf *name, bool *ret_quoted)
{
	bool quoted = false;
	char quote = '\0';

	for (size_t i = 0; i < s.len; i++) {
		char c = s.ptr[i];
		char next = i + 1 < s.len ? s.ptr[i + 1] : '\0';

		if (c == '<' || (!quote && rb_rune_space(s.ptr + i, s.len - i)))
			return false;
		if (c == ESCAPE && (!quote || (quote == '"' && next && strchr("\"$\\", next)))) {
			if (next && next != '<')
				rb_buf_addch(name, s.ptr[++i]);
		} else if (quote ? c == quote : c == '\'' || c == '"') {
			quote = quote ? '\0' : c;
			quoted = true;
		} else {
			rb_buf_addch(name, c);
		}
	}
	*ret_quoted = quoted;
	return !quote && name->len > 0;
}

/* Digits, "<<" and perhaps "-"; the length of that, or 0. */
static size_t parse_operator(struct rb_slice s, uint64_t *fd, bool *chomp)
{
	size_t n = 0;

	while (n < s.len && rb_ascii_isdigit(s.ptr[n]))
		n++;
	*fd = 0;
	if (n && rb_parse_u64((struct rb_slice){s.ptr, n}, UINT_MAX, fd) < 0)
		return 0;
	if (s.len - n < 2 || memcmp(s.ptr + n, "<<", 2) != 0)
		return 0;
	n += 2;
	*chomp = n < s.len && s.ptr[n] == '-';
	return n + *chomp;
}

bool rb_heredoc_parse(struct rb_arena *arena, struct rb_slice word, struct rb_heredoc *ret)
{
	RB_CLEANUP(rb_buf_clear) struct rb_buf name = RB_BUF_INIT;
	bool quoted, chomp;
	uint64_t fd;
	size_t n = parse_operator(word, &fd, &chomp);

	if (!n || !parse_delimiter(rb_slice_ltrim((struct rb_slice){word.ptr + n, word.len - n}),
				   &name, &quoted))
		return false;
	*ret = (struct rb_heredoc){.name = rb_arena_strndup(arena, name.ptr, name.len),
				   .fd = (unsigned)fd,
				   .expand = !quoted,
				   .chomp = chomp};
	return true;
}

/* `<< EOF`: the delimiter is the next word. */
static size_t with_next_word(struct rb_slice s, size_t n, const char *last_end)
{
	bool chomp;
	uint64_t fd;

	if (parse_operator((struct rb_slice){s.ptr, n}, &fd, &chomp) != n)
		return n;
	struct rb_slice next = rb_slice_ltrim((struct rb_slice){s.ptr + n, s.len - n});
	return s.len - next.len + word_length(next, last_end);
}

size_t rb_heredoc_find(struct rb_arena *arena, const char *text, struct rb_heredoc **ret)
{
	struct rb_heredoc *list = NULL;
	size_t n_list = 0, cap = 0;
	struct rb_slice s = rb_slice_trim(rb_slice_str(text));
	const char *last_end = last_arithmetic_end(s);

	while (s.len) {
		size_t n = word_length(s, last_end);

		/* A line with an open quote has no words, and so no heredocs. */
		if (n == 0) {
			n_list = 0;
			break;
		}
		n = with_next_word(s, n, last_end);
		rb_grow(list, n_list, &cap);
		if (rb_heredoc_parse(arena, (struct rb_slice){s.ptr, n}, &list[n_list]))
			n_list++;
		s = rb_slice_ltrim((struct rb_slice){s.ptr + n, s.len - n});
	}
	if (n_list) {
		*ret = rb_arena_array(arena, n_list, sizeof(*list));
		memcpy(*ret, list, n_list * sizeof(*list));
	}
	free(list);
	return n_list;
}
