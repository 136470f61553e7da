// SPDX-License-Identifier: Apache-2.0
/* Heredocs (dockerfile.md 1.9): the first line asks for them, what follows are their bodies. */
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

static size_t count_lines(const char *s)
{
	size_t n = 0;

	for (; *s; s++)
		n += *s == '\n';
	return n;
}

static void check_body(const struct rb_heredoc *h)
{
	require(strlen(h->body) <= strlen(h->raw));
	require(count_lines(h->body) == count_lines(h->raw));
	require(!*h->raw || h->raw[strlen(h->raw) - 1] == '\n');
	if (!h->chomp) {
		require(rb_streq(h->body, h->raw));
		return;
	}
	for (const char *p = h->body; *p; p += strcspn(p, "\n"), p += *p == '\n')
		require(*p != '\t');
}

/* A word that is a heredoc is one as a line, too. */
static void check_word(struct rb_arena *arena, const char *line, const struct rb_heredoc *found,
		       size_t n)
{
	struct rb_heredoc whole = {0};

	if (!rb_heredoc_parse(arena, rb_slice_str(line), &whole))
		return;
	require(whole.name && *whole.name);
	if (n == 1)
		require(whole.chomp == found->chomp && whole.expand == found->expand &&
			rb_streq(whole.name, found->name));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	RB_CLEANUP(rb_arena_freep) struct rb_arena *arena = rb_arena_new();
	RB_CLEANUP(rb_error_freep) struct rb_error *err = NULL;
	const char *text = (const char *)data;
	const char *lf = size ? memchr(text, '\n', size) : NULL;
	RB_CLEANUP(rb_strp) char *head = rb_strndup(text, lf ? (size_t)(lf - text) : size);
	/* Arguments come trimmed: a blank at the end is not there to be escaped. */
	struct rb_slice first = rb_slice_trim(rb_slice_str(head));
	const char *line = rb_arena_strndup(arena, first.ptr, first.len);
	const char *bodies = lf ? lf + 1 : text + size;
	struct rb_lexer lx = {.arena = arena, .p = bodies, .end = text + size, .escape = '\\'};
	struct rb_heredoc *found = NULL;
	size_t n = rb_heredoc_find(arena, line, &found);

	check_word(arena, line, found, n);
	for (size_t i = 0; i < n; i++) {
		require(found[i].name && *found[i].name && !strchr(found[i].name, '\n'));
		if (rb_lexer_read_heredoc(&lx, &found[i], &err) < 0) {
			require(err && err->code == RB_ERR_DOCKERFILE);
			break;
		}
		check_body(&found[i]);
		require(lx.p > bodies && lx.p <= lx.end);
	}
	rb_lexer_clear(&lx);
	return 0;
}
