// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/unicode.h"
#include "context/context-internal.h"

static struct rb_glob_tok *add_tok(struct rb_glob *g, enum rb_glob_op op)
{
	rb_grow(g->toks, g->n_toks, &g->cap_toks);
	struct rb_glob_tok *t = &g->toks[g->n_toks++];
	*t = (struct rb_glob_tok){.op = (uint8_t)op, .pattern = (uint32_t)g->n_starts - 1};
	return t;
}

/* One end of a range. What follows must not be the end of the pattern, as in Go. */
static int class_char(const char **p, uint32_t *ret)
{
	if (**p == '\0' || **p == '-' || **p == ']')
		return -EINVAL;
	if (**p == '\\')
		(*p)++;
	if (**p == '\0')
		return -EINVAL;
	*ret = rb_rune_next(p);
	return *ret >= RB_RUNE_BYTE || **p == '\0' ? -EINVAL : 0;
}

/* From behind "[" to behind "]". */
static int add_class(struct rb_glob *g, const char **p)
{
	struct rb_glob_tok *t = add_tok(g, RB_GLOB_CLASS);

	t->a = (uint32_t)g->n_ranges;
	t->negated = **p == '^';
	*p += t->negated;
	while (t->b == 0 || **p != ']') {
		struct rb_glob_range r;

		if (class_char(p, &r.lo) < 0)
			return -EINVAL;
		r.hi = r.lo;
		if (**p == '-') {
			(*p)++;
			if (class_char(p, &r.hi) < 0)
				return -EINVAL;
		}
		rb_grow(g->ranges, g->n_ranges, &g->cap_ranges);
		g->ranges[g->n_ranges++] = r;
		t->b++;
	}
	(*p)++;
	return 0;
}

/* From behind "**": dockerfile.md 5.2. Before plain text without "/" at the start of a pattern it
 * stands for any text, else for directories. */
static void add_deep(struct rb_glob *g, const char **p, bool first)
{
	bool slash = **p == '/';

	*p += slash;
	if (**p == '\0')
		add_tok(g, RB_GLOB_ALL);
	else if (first && !slash && !(*p)[strcspn(*p, "*?[]\\")])
		add_tok(g, RB_GLOB_ALL);
	else
		add_tok(g, RB_GLOB_DIRS);
}

static int add_pattern(struct rb_glob *g, const char *pattern, bool deep)
{
	for (const char *p = pattern; *p;) {
		bool first = p == pattern;

		if (deep && p[0] == '*' && p[1] == '*') {
			p += 2;
			add_deep(g, &p, first);
		} else if (*p == '*') {
			p++;
			add_tok(g, RB_GLOB_STAR);
		} else if (*p == '?') {
			p++;
			add_tok(g, RB_GLOB_ANY);
		} else if (*p == '[') {
			p++;
			if (add_class(g, &p) < 0)
				return -EINVAL;
		} else {
			if (*p == '\\' && *++p == '\0')
				return -EINVAL;
			add_tok(g, RB_GLOB_CHAR)->a = rb_rune_next(&p);
		}
	}
	add_tok(g, RB_GLOB_END);
	return 0;
}

int rb_glob_add(struct rb_glob *g, const char *pattern, bool deep)
{
	rb_grow(g->starts, g->n_starts, &g->cap_starts);
	g->starts[g->n_starts++] = (uint32_t)g->n_toks;
	return add_pattern(g, pattern, deep);
}

void rb_glob_clear(struct rb_glob *g)
{
	free(g->toks);
	free(g->ranges);
	free(g->starts);
	*g = (struct rb_glob){0};
}

void rb_glob_set_init(struct rb_glob_set *s, const struct rb_glob *g)
{
	*s = (struct rb_glob_set){.v = rb_calloc(g->n_toks, sizeof(*s->v)),
				  .mark = rb_calloc(g->n_toks, sizeof(*s->mark))};
}

void rb_glob_set_clear(struct rb_glob_set *s)
{
	free(s->v);
	free(s->mark);
	*s = (struct rb_glob_set){0};
}

static void restart(const struct rb_glob *g, struct rb_glob_set *s)
{
	s->n = 0;
	if (++s->gen == 0) { /* wrapped: old marks would look new */
		memset(s->mark, 0, g->n_toks * sizeof(*s->mark));
		s->gen = 1;
	}
}

static bool add_position(struct rb_glob_set *s, uint32_t pos)
{
	if (s->mark[pos] == s->gen)
		return false;
	s->mark[pos] = s->gen;
	s->v[s->n++] = pos;
	return true;
}

/*
 * A position that is reached, with those that follow it for nothing. One of DIRS may be in the set
 * already from the middle of its run, which what follows does not depend on.
 */
static void reach(const struct rb_glob *g, struct rb_glob_set *s, uint32_t pos)
{
	for (;; pos++) {
		uint8_t op = g->toks[pos].op;

		if (!add_position(s, pos) && op != RB_GLOB_DIRS)
			return;
		if (op < RB_GLOB_STAR || op > RB_GLOB_DIRS)
			return;
	}
}

void rb_glob_begin(const struct rb_glob *g, struct rb_glob_set *ret)
{
	restart(g, ret);
	for (size_t i = 0; i < g->n_starts; i++)
		reach(g, ret, g->starts[i]);
}

static bool in_class(const struct rb_glob *g, const struct rb_glob_tok *t, uint32_t c)
{
	const struct rb_glob_range *r = g->ranges + t->a;

	for (uint32_t i = 0; i < t->b; i++)
		if (c >= r[i].lo && c <= r[i].hi)
			return !t->negated;
	return t->negated;
}

void rb_glob_step(const struct rb_glob *g, const uint32_t *from, size_t n, uint32_t c,
		  struct rb_glob_set *ret)
{
	restart(g, ret);
	for (size_t i = 0; i < n; i++) {
		uint32_t pos = from[i];
		const struct rb_glob_tok *t = &g->toks[pos];

		switch ((enum rb_glob_op)t->op) {
		case RB_GLOB_CHAR:
			if (c == t->a)
				reach(g, ret, pos + 1);
			break;
		case RB_GLOB_ANY:
			if (c != '/')
				reach(g, ret, pos + 1);
			break;
		case RB_GLOB_CLASS:
			if (in_class(g, t, c))
				reach(g, ret, pos + 1);
			break;
		case RB_GLOB_STAR:
			if (c != '/')
				reach(g, ret, pos);
			break;
		case RB_GLOB_ALL:
			reach(g, ret, pos);
			break;
		case RB_GLOB_DIRS:
			/* In the middle of a run only a "/" ends it. */
			add_position(ret, pos);
			if (c == '/')
				reach(g, ret, pos + 1);
			break;
		case RB_GLOB_END:
			break;
		}
	}
}

static bool has_end(const struct rb_glob *g, const struct rb_glob_set *s)
{
	for (size_t i = 0; i < s->n; i++)
		if (g->toks[s->v[i]].op == RB_GLOB_END)
			return true;
	return false;
}

bool rb_glob_matches(const struct rb_glob *g, const char *path, bool *ret_below)
{
	struct rb_glob_set sets[2];
	unsigned now = 0;

	rb_glob_set_init(&sets[0], g);
	rb_glob_set_init(&sets[1], g);
	rb_glob_begin(g, &sets[0]);
	while (*path && sets[now].n) {
		uint32_t c = rb_rune_next(&path);

		rb_glob_step(g, sets[now].v, sets[now].n, c, &sets[!now]);
		now = !now;
	}
	bool matches = has_end(g, &sets[now]);
	if (ret_below) {
		rb_glob_step(g, sets[now].v, sets[now].n, '/', &sets[!now]);
		*ret_below = sets[!now].n > 0;
	}
	rb_glob_set_clear(&sets[0]);
	rb_glob_set_clear(&sets[1]);
	return matches;
}

int rb_path_match(const char *pattern, const char *path)
{
	RB_CLEANUP(rb_glob_clear) struct rb_glob g = {0};

	if (rb_glob_add(&g, pattern, false) < 0)
		return -EINVAL;
	return rb_glob_matches(&g, path, NULL);
}

bool rb_path_has_wildcard(const char *pattern)
{
	for (const char *p = pattern; *p; p++) {
		if (*p == '\\') {
			if (!*++p)
				return false;
		} else if (strchr("*?[", *p)) {
			return true;
		}
	}
	return false;
}
