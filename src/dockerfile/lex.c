// SPDX-License-Identifier: Apache-2.0
#include <string.h>

#include "dockerfile/dockerfile-internal.h"

/* ---- Physical lines (dockerfile.md 1.1) ---- */

/* The next line without its CR and LF bytes; 1, 0 at the end, -1. lx->p is behind the LF. */
static int next_line(struct rb_lexer *lx, struct rb_slice *ret, struct rb_error **err)
{
	if (lx->p == lx->end)
		return 0;
	const char *lf = memchr(lx->p, '\n', (size_t)(lx->end - lx->p));
	struct rb_slice s = {lx->p, (size_t)((lf ? lf : lx->end) - lx->p)};
	lx->line++;
	if (s.len > RB_DOCKERFILE_LINE_MAX) {
		(void)rb_fail(err, RB_ERR_DOCKERFILE,
			      "dockerfile line greater than max allowed size of %d",
			      RB_DOCKERFILE_LINE_MAX);
		return rb_error_at(err, lx->line, lx->line);
	}
	if (memchr(s.ptr, '\0', s.len)) {
		(void)rb_fail(
			err, RB_ERR_DOCKERFILE,
			"line %u of the Dockerfile has a NUL byte: save the file as UTF-8 text",
			lx->line);
		return rb_error_at(err, lx->line, lx->line);
	}
	lx->p = lf ? lf + 1 : lx->end;
	while (s.len && s.ptr[s.len - 1] == '\r')
		s.len--;
	*ret = s;
	return 1;
}

/* ---- Directives (1.2) ---- */

static const char *const directive_names[] = {"syntax", "escape", "check"};
enum { DIRECTIVE_SYNTAX, DIRECTIVE_ESCAPE, DIRECTIVE_CHECK };

/* The scanner of directives knows fewer blanks than the rest of the language. */
static bool is_blank(char c)
{
	return c && strchr(" \t\n\f\r", c);
}

static struct rb_slice skip_blanks(struct rb_slice s)
{
	while (s.len && is_blank(*s.ptr)) {
		s.ptr++;
		s.len--;
	}
	return s;
}

static bool take(struct rb_slice *s, char c)
{
	if (!s->len || *s->ptr != c)
		return false;
	s->ptr++;
	s->len--;
	return true;
}

/* `# name=value`: which of the directives it is, or -1. */
static int parse_directive(struct rb_slice s, struct rb_slice *ret_value)
{
	if (!take(&s, '#'))
		return -1;
	s = skip_blanks(s);
	struct rb_slice key = {s.ptr, 0};
	while (key.len < s.len && rb_ascii_isalnum(s.ptr[key.len]))
		key.len++;
	s.ptr += key.len;
	s.len -= key.len;
	s = skip_blanks(s);
	if (!take(&s, '='))
		return -1;
	s = skip_blanks(s);
	while (s.len && is_blank(s.ptr[s.len - 1]))
		s.len--;
	if (!s.len)
		return -1;
	*ret_value = s;
	RB_CLEANUP(rb_strp) char *name = rb_strndup(key.ptr, key.len);
	for (size_t i = 0; i < RB_ARRAY_LEN(directive_names); i++)
		if (rb_ascii_strcaseeq(name, directive_names[i]))
			return (int)i;
	return -1;
}

static int set_escape(struct rb_lexer *lx, struct rb_slice value, struct rb_error **err)
{
	if (value.len != 1 || !strchr("\\`", *value.ptr))
		return rb_fail(err, RB_ERR_DOCKERFILE,
			       "invalid escape token '%.*s' does not match ` or \\",
			       (int)rb_min_size(value.len, 40), value.ptr);
	lx->escape = *value.ptr;
	return 0;
}

static const char *first_word(struct rb_lexer *lx, struct rb_slice value)
{
	const char *space = memchr(value.ptr, ' ', value.len);

	return rb_arena_strndup(lx->arena, value.ptr,
				space ? (size_t)(space - value.ptr) : value.len);
}

/*
 * Reads the directives at the top. The instruction parser and the search for `syntax` and `check`
 * differ in what the top is: the first ignores indentation, the second does not but skips a `#!`
 * line. So the text is scanned once for each, and `raw` is the second.
 */
static int scan_directives(struct rb_lexer *lx, bool raw, struct rb_error **err)
{
	bool seen[RB_ARRAY_LEN(directive_names)] = {false};

	for (;;) {
		const char *back = lx->p;
		struct rb_slice line, value;
		int r = next_line(lx, &line, err);

		if (r <= 0)
			return r;
		if (raw && lx->line == 1 && line.len > 1 && memcmp(line.ptr, "#!", 2) == 0)
			continue;
		int which = parse_directive(raw ? line : rb_slice_ltrim(line), &value);
		if (which < 0) {
			lx->p = back;
			lx->line--;
			return 0;
		}
		if (seen[which])
			r = rb_fail(err, RB_ERR_DOCKERFILE,
				    "only one %s parser directive can be used",
				    directive_names[which]);
		else if (!raw && which == DIRECTIVE_ESCAPE)
			r = set_escape(lx, value, err);
		else if (raw && which == DIRECTIVE_SYNTAX)
			lx->syntax = first_word(lx, value);
		else if (raw && which == DIRECTIVE_CHECK) {
			lx->check = first_word(lx, value);
			lx->check_line = lx->line;
			size_t used = strlen(lx->check);
			if (used < value.len)
				lx->check_rest = rb_arena_strndup(lx->arena, value.ptr + used,
								  value.len - used);
		}
		if (r < 0)
			return rb_error_at(err, lx->line, lx->line);
		seen[which] = true;
	}
}

int rb_lexer_start(struct rb_lexer *lx, struct rb_arena *arena, const char *text, size_t len,
		   struct rb_error **err)
{
	const struct rb_slice s = rb_slice_skip_mark((struct rb_slice){text, len});

	*lx = (struct rb_lexer){.arena = arena, .p = s.ptr, .end = s.ptr + s.len, .escape = '\\'};
	if (scan_directives(lx, true, err) < 0)
		return -1;
	lx->p = s.ptr;
	lx->line = 0;
	return scan_directives(lx, false, err);
}

void rb_lexer_clear(struct rb_lexer *lx)
{
	rb_strv_clear(&lx->comments);
}

/* ---- Comments and logical lines (1.3, 1.4) ---- */

static bool is_comment(struct rb_slice trimmed)
{
	return trimmed.len && *trimmed.ptr == '#';
}

/* Comments wait for their instruction; a bare '#' and, as docker documents it, an empty line
 * separate them from what comes next. */
static void keep_comment(struct rb_lexer *lx, struct rb_slice line)
{
	struct rb_slice text = rb_slice_trim((struct rb_slice){line.ptr + 1, line.len - 1});

	if (text.len)
		rb_strv_take(&lx->comments, rb_strndup(text.ptr, text.len));
	else
		rb_strv_clear(&lx->comments);
}

/*
 * A line continues when it ends in one escape and blanks. With two escapes it does not, and neither
 * with three: only the byte before the last one is looked at. Cuts the escape off.
 */
static bool take_continuation(struct rb_slice *line, char escape)
{
	size_t n = line->len;

	while (n && (line->ptr[n - 1] == ' ' || line->ptr[n - 1] == '\t'))
		n--;
	if (!n || line->ptr[n - 1] != escape || (n > 1 && line->ptr[n - 2] == escape))
		return false;
	line->len = n - 1;
	return true;
}

/* The first line of an instruction, left-trimmed. */
static int next_start(struct rb_lexer *lx, struct rb_slice *ret, struct rb_error **err)
{
	int r;

	while ((r = next_line(lx, ret, err)) > 0) {
		*ret = rb_slice_ltrim(*ret);
		if (is_comment(*ret))
			keep_comment(lx, *ret);
		else if (ret->len)
			return 1;
		else
			rb_strv_clear(&lx->comments);
	}
	return r;
}

/* Joins line and what continues it into b, without separators. */
static int join_lines(struct rb_lexer *lx, struct rb_slice line, struct rb_buf *b,
		      struct rb_logical_line *ret, struct rb_error **err)
{
	bool more = take_continuation(&line, lx->escape);

	rb_buf_add(b, line.ptr, line.len);
	while (more) {
		int r = next_line(lx, &line, err);

		if (r < 0)
			return -1;
		if (r == 0)
			break;
		struct rb_slice trimmed = rb_slice_ltrim(line);
		if (is_comment(trimmed))
			continue;
		if (!trimmed.len) {
			ret->has_empty_continuation = true;
			continue;
		}
		more = take_continuation(&line, lx->escape);
		rb_buf_add(b, line.ptr, line.len);
	}
	return 0;
}

int rb_lexer_next(struct rb_lexer *lx, struct rb_logical_line *ret, struct rb_error **err)
{
	RB_CLEANUP(rb_buf_clear) struct rb_buf b = RB_BUF_INIT;
	struct rb_slice line = {0};
	int r;

	while ((r = next_start(lx, &line, err)) > 0) {
		*ret = (struct rb_logical_line){.first = lx->line};
		if (join_lines(lx, line, &b, ret, err) < 0)
			return -1;
		struct rb_slice text = rb_slice_trim((struct rb_slice){b.ptr, b.len});
		/* Nothing but continuations. */
		if (!text.len) {
			rb_buf_truncate(&b, 0);
			continue;
		}
		ret->text = rb_arena_strndup(lx->arena, text.ptr, text.len);
		ret->last = lx->line;
		return 1;
	}
	return r;
}

/* ---- Heredoc bodies (1.9) ---- */

static struct rb_slice skip_tabs(struct rb_slice s)
{
	while (take(&s, '\t'))
		;
	return s;
}

static const char *without_tabs(struct rb_arena *arena, struct rb_slice raw)
{
	RB_CLEANUP(rb_buf_clear) struct rb_buf b = RB_BUF_INIT;

	while (raw.len) {
		raw = skip_tabs(raw);
		const char *lf = memchr(raw.ptr, '\n', raw.len);
		size_t n = lf ? (size_t)(lf - raw.ptr) + 1 : raw.len;
		rb_buf_add(&b, raw.ptr, n);
		raw.ptr += n;
		raw.len -= n;
	}
	return rb_arena_strndup(arena, b.ptr, b.len);
}

int rb_lexer_read_heredoc(struct rb_lexer *lx, struct rb_heredoc *h, struct rb_error **err)
{
	const char *start = lx->p;

	for (;;) {
		const char *line_start = lx->p;
		struct rb_slice line;
		int r = next_line(lx, &line, err);

		if (r < 0)
			return -1;
		if (r == 0)
			return rb_fail(err, RB_ERR_DOCKERFILE,
				       "unterminated heredoc: no line \"%s\" ends it", h->name);
		if (!rb_slice_eq(h->chomp ? skip_tabs(line) : line, h->name))
			continue;
		struct rb_slice raw = {start, (size_t)(line_start - start)};
		h->raw = rb_arena_strndup(lx->arena, raw.ptr, raw.len);
		h->body = h->chomp ? without_tabs(lx->arena, raw) : h->raw;
		return 0;
	}
}
