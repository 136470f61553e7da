// SPDX-License-Identifier: Apache-2.0
/*
 * Patterns inside ${}: `?` is one character, `*` any run of them, neither is LF, and there are no
 * sets (dockerfile.md 2.3).
 *
 * Matching keeps the set of pattern positions that are reachable and walks the text once, so that
 * the cost is length times pattern whatever the pattern is. Suffixes are prefixes of the reversed
 * text under the reversed pattern.
 */
#include <stdlib.h>
#include <string.h>

#include "dockerfile/dockerfile-internal.h"

enum { ANY = 0x7ffffffe, STAR = 0x7fffffff }; /* no character has these numbers */

struct runes {
	uint32_t *c;
	size_t *at; /* byte offset of each character, and of the end */
	size_t n;
};

static void runes_clear(struct runes *r)
{
	free(r->c);
	free(r->at);
}

static struct runes runes_of(const char *s)
{
	size_t len = strlen(s), i = 0;
	struct runes r = {.c = rb_reallocarray(NULL, len + 1, sizeof(*r.c)),
			  .at = rb_reallocarray(NULL, len + 1, sizeof(*r.at))};

	while (i < len) {
		r.at[r.n] = i;
		i += rb_rune_decode(s + i, len - i, &r.c[r.n]);
		r.n++;
	}
	r.at[r.n] = len;
	return r;
}

static void boolp(bool **p)
{
	free(*p);
}

static void reverse(uint32_t *c, size_t n)
{
	for (size_t i = 0; i < n / 2; i++) {
		uint32_t t = c[i];

		c[i] = c[n - 1 - i];
		c[n - 1 - i] = t;
	}
}

struct glob {
	uint32_t *token;
	bool *set; /* n + 1 flags: [i] when the first i tokens are matched */
	size_t n;
};

static void glob_clear(struct glob *g)
{
	free(g->token);
	free(g->set);
}

/* Backslash is the escape of patterns, whatever that of the Dockerfile is. */
static int glob_compile(const char *pattern, struct glob *ret, struct rb_error **err)
{
	RB_CLEANUP(runes_clear) struct runes r = runes_of(pattern);
	size_t n = 0;

	if (r.n > RB_GLOB_PATTERN_MAX)
		return rb_fail(err, RB_ERR_DOCKERFILE, "pattern is longer than %d characters",
			       RB_GLOB_PATTERN_MAX);
	for (size_t i = 0; i < r.n; i++) {
		uint32_t c = r.c[i];

		if (c == '\\') {
			const char *next = pattern + r.at[++i > r.n ? r.n : i];
			size_t len = i < r.n ? r.at[i + 1] - r.at[i] : 0;

			if (len != 1 || !strchr("*?\\}/", *next))
				return rb_fail(err, RB_ERR_DOCKERFILE, "invalid escape '\\%.*s'",
					       (int)len, next);
			c = r.c[i];
		} else if (c == '*') {
			c = STAR;
		} else if (c == '?') {
			c = ANY;
		}
		r.c[n++] = c;
	}
	*ret = (struct glob){rb_steal_ptr(&r.c), rb_calloc(n + 1, sizeof(bool)), n};
	return 0;
}

/* A star may also match nothing. */
static void set_close(struct glob *g)
{
	for (size_t i = 0; i < g->n; i++)
		if (g->set[i] && g->token[i] == STAR)
			g->set[i + 1] = true;
}

static void set_start(struct glob *g)
{
	memset(g->set, 0, g->n + 1);
	g->set[0] = true;
	set_close(g);
}

/* Moves over one character; false when nothing is reachable any more. */
static bool set_step(struct glob *g, uint32_t c)
{
	bool alive = false;

	for (size_t i = g->n + 1; i-- > 0;) {
		bool stays = g->set[i] && i < g->n && g->token[i] == STAR && c != '\n';
		bool comes = i > 0 && g->set[i - 1] &&
			     (g->token[i - 1] == c || (g->token[i - 1] == ANY && c != '\n'));

		g->set[i] = stays || comes;
		alive |= g->set[i];
	}
	set_close(g);
	return alive;
}

/* Where the shortest or longest match that begins at c ends, in characters; -1: there is none. */
static ssize_t match_end(struct glob *g, const uint32_t *c, size_t n, bool longest)
{
	ssize_t found = -1;

	set_start(g);
	for (size_t i = 0;; i++) {
		if (g->set[g->n]) {
			found = (ssize_t)i;
			if (!longest)
				break;
		}
		if (i == n || !set_step(g, c[i]))
			break;
	}
	return found;
}

static int check_size(const char *value, struct rb_error **err)
{
	if (strlen(value) > RB_GLOB_TEXT_MAX)
		return rb_fail(err, RB_ERR_DOCKERFILE,
			       "the value is longer than %d bytes, too long to match a pattern",
			       RB_GLOB_TEXT_MAX);
	return 0;
}

int rb_expand_trim(const char *pattern, const char *value, bool suffix, bool longest,
		   struct rb_buf *ret, struct rb_error **err)
{
	RB_CLEANUP(glob_clear) struct glob g = {0};

	if (check_size(value, err) < 0 || glob_compile(pattern, &g, err) < 0)
		return -1;
	RB_CLEANUP(runes_clear) struct runes r = runes_of(value);
	if (suffix) {
		reverse(r.c, r.n);
		reverse(g.token, g.n);
	}
	ssize_t end = match_end(&g, r.c, r.n, longest);
	size_t cut = end > 0 ? (size_t)end : 0;
	if (suffix)
		rb_buf_add(ret, value, r.at[r.n - cut]);
	else
		rb_buf_addstr(ret, value + r.at[cut]);
	return 0;
}

/* starts[i]: some match begins at character i. One walk backwards finds them all. */
static bool *find_starts(struct glob *g, struct runes *r)
{
	bool *starts = rb_calloc(r->n + 1, sizeof(*starts));

	reverse(g->token, g->n);
	memset(g->set, 0, g->n + 1);
	for (size_t i = r->n;; i--) {
		g->set[0] = true;
		set_close(g);
		starts[i] = g->set[g->n];
		if (i == 0)
			break;
		(void)set_step(g, r->c[i - 1]);
	}
	reverse(g->token, g->n);
	return starts;
}

/*
 * Leftmost match first, as long as possible. An empty match right after another match does not
 * count. Walking on for a longer match costs nothing overall: while a star keeps the walk alive,
 * every later match would have extended this one.
 */
int rb_expand_replace(const char *pattern, const char *value, const char *with, bool all,
		      struct rb_buf *ret, struct rb_error **err)
{
	RB_CLEANUP(glob_clear) struct glob g = {0};
	size_t i = 0, last_end = SIZE_MAX, before = ret->len;

	if (check_size(value, err) < 0 || glob_compile(pattern, &g, err) < 0)
		return -1;
	RB_CLEANUP(runes_clear) struct runes r = runes_of(value);
	RB_CLEANUP(boolp) bool *starts = find_starts(&g, &r);
	while (i <= r.n) {
		size_t end = i;

		if (starts[i])
			end += (size_t)match_end(&g, r.c + i, r.n - i, true);
		if (starts[i] && (end > i || i != last_end)) {
			rb_buf_addstr(ret, with);
			last_end = end;
			if (ret->len - before > RB_EXPAND_BYTES_MAX)
				return rb_fail(err, RB_ERR_DOCKERFILE,
					       "expands to more than %d bytes",
					       RB_EXPAND_BYTES_MAX);
			if (!all) {
				rb_buf_addstr(ret, value + r.at[end]);
				return 0;
			}
		}
		if (end == i) {
			if (i < r.n)
				rb_buf_add(ret, value + r.at[i], r.at[i + 1] - r.at[i]);
			end++;
		}
		i = end;
	}
	return 0;
}
