// SPDX-License-Identifier: Apache-2.0
/*
 * Ignore rules against a second, naive reading of dockerfile.md 5.2 that backtracks over the text
 * of the patterns. Input: a path, a newline, the file.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/path.h"
#include "base/unicode.h"
#include "context/context-internal.h"

/* Beyond these the naive matcher takes too long. */
enum { PATH_BYTES = 48, STEPS_MAX = 20000 };

static unsigned steps;

static bool plain(const char *p)
{
	return !p[strcspn(p, "*?[]\\")];
}

/* One class at *p, from behind "[". Valid, since the parser took it. */
static bool class_has(const char **p, uint32_t c)
{
	bool negated = **p == '^', found = false;

	*p += negated;
	for (bool first = true; first || **p != ']'; first = false) {
		*p += **p == '\\';
		uint32_t lo = rb_rune_next(p), hi = lo;

		if (**p == '-') {
			(*p)++;
			*p += **p == '\\';
			hi = rb_rune_next(p);
		}
		found |= c >= lo && c <= hi;
	}
	(*p)++;
	return found != negated;
}

static bool match(const char *start, const char *p, const char *s)
{
	if (++steps > STEPS_MAX)
		return false;
	if (!*p)
		return !*s;
	if (p[0] == '*' && p[1] == '*') {
		const char *rest = p + 2 + (p[2] == '/');

		if (!*rest)
			return true;
		if (match(start, rest, s))
			return true;
		bool any = p == start && p[2] != '/' && plain(rest);
		while (*s) {
			uint32_t c = rb_rune_next(&s);

			if ((any || c == '/') && match(start, rest, s))
				return true;
		}
		return false;
	}
	if (*p == '*') {
		for (;;) {
			/* "*" before "*" is read from the left: "***" is "**" and "*" */
			if (match(start, p + 1, s))
				return true;
			if (!*s || rb_rune_next(&s) == '/')
				return false;
		}
	}
	if (!*s)
		return false;
	uint32_t c = rb_rune_next(&s);
	if (*p == '[') {
		p++;
		return class_has(&p, c) && match(start, p, s);
	}
	if (*p == '?')
		return c != '/' && match(start, p + 1, s);
	p += *p == '\\';
	return rb_rune_next(&p) == c && match(start, p, s);
}

static bool match_or_parent(const char *pattern, const char *path)
{
	RB_CLEANUP(rb_strp) char *copy = rb_strdup(path);

	for (char *slash = strchr(copy, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		bool m = match(pattern, pattern, copy);
		*slash = '/';
		if (m)
			return true;
	}
	return match(pattern, pattern, path);
}

/* Length of the white space (dockerfile.md 5.2) that s begins with, or that its `end` bytes end
 * with. */
static size_t blank(const char *s, size_t end)
{
	static const char *const blanks[] = {
		" ",
		"\t",
		"\v",
		"\f",
		"\r",
		"\xc2\x85",
		"\xc2\xa0",
		"\xe1\x9a\x80",
		"\xe2\x80\x80",
		"\xe2\x80\x81",
		"\xe2\x80\x82",
		"\xe2\x80\x83",
		"\xe2\x80\x84",
		"\xe2\x80\x85",
		"\xe2\x80\x86",
		"\xe2\x80\x87",
		"\xe2\x80\x88",
		"\xe2\x80\x89",
		"\xe2\x80\x8a",
		"\xe2\x80\xa8",
		"\xe2\x80\xa9",
		"\xe2\x80\xaf",
		"\xe2\x81\x9f",
		"\xe3\x80\x80",
	};

	for (size_t i = 0; i < RB_ARRAY_LEN(blanks); i++) {
		size_t n = strlen(blanks[i]);

		if (end ? n <= end && memcmp(s + end - n, blanks[i], n) == 0
			: rb_starts_with(s, blanks[i]))
			return n;
	}
	return 0;
}

static char *skip_blanks(char *s)
{
	for (size_t n; (n = blank(s, 0)) > 0;)
		s += n;
	return s;
}

/* What the lines decide; they are valid. */
static bool naive(const char *text, const char *path)
{
	RB_CLEANUP(rb_strp) char *copy = rb_strdup(text);
	bool excluded = false;

	for (char *save = NULL, *line = strtok_r(copy, "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save)) {
		if (*line == '#')
			continue;
		line = skip_blanks(line);
		for (size_t n, len = strlen(line); len && (n = blank(line, len)) > 0; len -= n)
			line[len - n] = '\0';
		if (!*line)
			continue;
		bool except = *line == '!';
		line = except ? skip_blanks(line + 1) : line;
		RB_CLEANUP(rb_strp) char *clean = rb_path_clean(line);
		if (match_or_parent(clean[0] == '/' && clean[1] ? clean + 1 : clean, path))
			excluded = !except;
	}
	return excluded;
}

/* A wildcard of COPY is a pattern by itself, to which "**" is "*". */
static void check_alone(const char *text, const char *path)
{
	RB_CLEANUP(rb_strp) char *pattern = rb_strndup(text, strcspn(text, "\n"));
	int got = rb_path_match(pattern, path);

	if (got < 0 || strstr(pattern, "**"))
		return;
	steps = 0;
	if (match(pattern, pattern, path) != got && steps <= STEPS_MAX)
		abort();
	if (!rb_path_has_wildcard(pattern) && !strchr(pattern, '\\') &&
	    got != rb_streq(pattern, path))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	RB_CLEANUP(rb_strp) char *input = rb_strndup((const char *)data, size);
	RB_CLEANUP(rb_ignore_freep) struct rb_ignore *ig = NULL;
	char *text = strchr(input, '\n');
	const char *pattern = NULL;

	if (!text || text - input > PATH_BYTES)
		return 0;
	*text++ = '\0';
	RB_CLEANUP(rb_strp) char *path = rb_path_clean(input);
	check_alone(text, path);
	if (rb_ignore_parse(text, strlen(text), "f", &ig, NULL) < 0 || path[0] == '/')
		return 0;
	bool got = rb_ignore_matches(ig, path, &pattern);
	/* what is not excluded below an excluded directory must have been announced */
	for (char *s = strchr(path, '/'); s && !got; s = strchr(s + 1, '/')) {
		*s = '\0';
		if (rb_ignore_matches(ig, path, NULL) && !rb_ignore_may_reinclude(ig, path))
			abort();
		*s = '/';
	}
	if (got && (!pattern || *pattern == '!'))
		abort();
	if (rb_starts_with(text, "\xef\xbb\xbf"))
		return 0;
	steps = 0;
	if (!rb_streq(path, ".") && naive(text, path) != got && steps <= STEPS_MAX)
		abort();
	return 0;
}
