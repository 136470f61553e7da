// SPDX-License-Identifier: Apache-2.0
/*
 * Lines, directives, continuation and the ways to cut a line (dockerfile.md 1.1 to 1.8). The same
 * text with CR LF for LF must come to the same lines.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "dockerfile/dockerfile-internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool ok)
{
	if (!ok)
		abort();
}

static bool has_blank(const char *s)
{
	return s[strcspn(s, " \t\n\v\f\r")];
}

static void check_cuts(const char *text, char escape)
{
	struct rb_strv flags = RB_STRV_INIT, words = RB_STRV_INIT;
	struct rb_slice whole = rb_slice_str(text), rest;
	struct rb_slice head = rb_words_head(whole, &rest);

	require(head.ptr >= text && rest.ptr + rest.len <= text + whole.len);
	rest = rb_words_take_flags(rest, escape, &flags);
	require(rest.ptr >= text && rest.ptr + rest.len == text + whole.len);
	for (size_t i = 0; i < flags.n; i++)
		require(rb_starts_with(flags.v[i], "--"));
	rb_words_split(text, &words);
	for (size_t i = 0; i < words.n; i++)
		require(*words.v[i] && !has_blank(words.v[i]));
	rb_strv_clear(&words);
	rb_words_split_quoted(text, escape, &words);
	for (size_t i = 0; i < words.n; i++)
		require(*words.v[i] && strlen(words.v[i]) <= whole.len);
	rb_strv_clear(&words);
	rb_strv_clear(&flags);
}

static void check_line(const struct rb_logical_line *line, unsigned before)
{
	struct rb_slice s = rb_slice_str(line->text), trimmed = rb_slice_trim(s);

	require(s.len && trimmed.ptr == s.ptr && trimmed.len == s.len);
	require(line->first > before && line->last >= line->first);
	require(!strchr(line->text, '\n'));
}

/* All lines as one text, with what belongs to them; or the error. */
static void lex(const char *text, size_t len, bool cut, struct rb_buf *ret)
{
	RB_CLEANUP(rb_arena_freep) struct rb_arena *arena = rb_arena_new();
	RB_CLEANUP(rb_error_freep) struct rb_error *err = NULL;
	struct rb_logical_line line = {0};
	struct rb_lexer lx = {0};
	unsigned before = 0;
	int r = rb_lexer_start(&lx, arena, text, len, &err);

	while (r == 0 && (r = rb_lexer_next(&lx, &line, &err)) > 0) {
		check_line(&line, before);
		before = line.last;
		rb_buf_addf(ret, "%u-%u %d %s\n", line.first, line.last,
			    line.has_empty_continuation, line.text);
		for (size_t i = 0; i < lx.comments.n; i++) {
			require(*lx.comments.v[i] && !strchr(lx.comments.v[i], '\n'));
			rb_buf_addf(ret, "# %s\n", lx.comments.v[i]);
		}
		rb_strv_clear(&lx.comments);
		if (cut)
			check_cuts(line.text, lx.escape);
		r = 0;
	}
	require((r < 0) == !!err);
	if (r == 0) {
		require(lx.escape == '\\' || lx.escape == '`');
		require(rb_lexer_next(&lx, &line, &err) == 0);
		rb_buf_addf(ret, "%c %s %s\n", lx.escape, lx.syntax ? lx.syntax : "",
			    lx.check ? lx.check : "");
	} else {
		rb_buf_addf(ret, "line %u: %s\n", err->line_first, err->msg);
	}
	rb_lexer_clear(&lx);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	RB_CLEANUP(rb_buf_clear) struct rb_buf crlf = RB_BUF_INIT;
	RB_CLEANUP(rb_buf_clear) struct rb_buf once = RB_BUF_INIT;
	RB_CLEANUP(rb_buf_clear) struct rb_buf twice = RB_BUF_INIT;

	/* The limit of a line counts its CR. */
	if (size >= RB_DOCKERFILE_LINE_MAX)
		return 0;
	for (size_t i = 0; i < size; i++) {
		if (data[i] == '\n')
			rb_buf_addch(&crlf, '\r');
		rb_buf_addch(&crlf, (char)data[i]);
	}
	lex((const char *)data, size, true, &once);
	lex(crlf.ptr, crlf.len, false, &twice);
	require(rb_streq(once.ptr, twice.ptr));
	return 0;
}
