// SPDX-License-Identifier: Apache-2.0
/*
 * Ignore rules (dockerfile.md 5.2): the last pattern that matches a path, or a directory above it,
 * decides. All patterns are one automaton whose states are made when a path first reaches them, so
 * that a path costs a table look-up for each character however many patterns there are. The states
 * are a cache of bounded size inside struct rb_ignore: one thread at a time.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/path.h"
#include "base/unicode.h"
#include "context/context-internal.h"

enum {
	IGNORE_BYTES_MAX = 1 << 20,
	CACHE_BYTES_MAX = 4 << 20, /* states beyond this are thrown away and made again */
	ASCII = 128,
};

struct pattern {
	char *text; /* as written, without white space around it */
	bool exception;
};

/* A state: the positions in the patterns after some text. */
struct state {
	uint32_t first, n; /* positions: pool[first .. first + n) */
	uint32_t hash;
	int32_t matched;    /* last pattern that matches the text, or -1 */
	int32_t may_except; /* last exception that may match a longer text, or -1 */
};

struct automaton {
	struct rb_glob glob;
	struct rb_glob_set scratch;
	uint32_t *bounds; /* class i of characters is [bounds[i], bounds[i + 1]) */
	uint32_t n_classes, cap_classes;
	uint32_t ascii[ASCII]; /* class of each */
	struct state *states;  /* 0 is the start */
	size_t n_states, cap_states;
	uint32_t *next;  /* n_classes for each state: its number + 1, 0: not known yet */
	size_t cap_next; /* in states */
	uint32_t *pool;
	size_t n_pool, cap_pool;
	uint32_t *table; /* hash table of state numbers + 1; size is a power of two */
	size_t n_table;
};

struct rb_ignore {
	struct pattern *patterns;
	size_t n, cap;
	struct automaton *automaton;
};

/* --- classes of characters that no pattern tells apart --- */

static void add_bound(struct automaton *a, uint32_t c)
{
	if (a->n_classes == a->cap_classes) {
		a->cap_classes = a->cap_classes ? a->cap_classes * 2 : 64;
		a->bounds = rb_reallocarray(a->bounds, a->cap_classes, sizeof(*a->bounds));
	}
	a->bounds[a->n_classes++] = c;
}

static uint32_t find_class(const struct automaton *a, uint32_t c)
{
	uint32_t lo = 0, hi = a->n_classes;

	while (hi - lo > 1) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (a->bounds[mid] <= c)
			lo = mid;
		else
			hi = mid;
	}
	return lo;
}

static void make_classes(struct automaton *a)
{
	const struct rb_glob *g = &a->glob;
	uint32_t n = 0;

	add_bound(a, 0);
	add_bound(a, '/');
	add_bound(a, '/' + 1);
	for (size_t i = 0; i < g->n_toks; i++) {
		if (g->toks[i].op != RB_GLOB_CHAR)
			continue;
		add_bound(a, g->toks[i].a);
		add_bound(a, g->toks[i].a + 1);
	}
	for (size_t i = 0; i < g->n_ranges; i++) {
		add_bound(a, g->ranges[i].lo);
		add_bound(a, g->ranges[i].hi + 1);
	}
	qsort(a->bounds, a->n_classes, sizeof(*a->bounds), rb_cmp_u32);
	for (uint32_t i = 0; i < a->n_classes; i++)
		if (i == 0 || a->bounds[i] != a->bounds[n - 1])
			a->bounds[n++] = a->bounds[i];
	a->n_classes = n;
	for (uint32_t c = 0; c < ASCII; c++)
		a->ascii[c] = find_class(a, c);
}

/* --- states --- */

static uint32_t hash_positions(const uint32_t *v, size_t n)
{
	uint64_t h = 0xcbf29ce484222325u;

	for (size_t i = 0; i < n; i++)
		h = (h ^ v[i]) * 0x100000001b3u;
	return (uint32_t)(h ^ h >> 32);
}

static void table_insert(struct automaton *a, uint32_t state)
{
	size_t i = a->states[state].hash & (a->n_table - 1);

	while (a->table[i])
		i = (i + 1) & (a->n_table - 1);
	a->table[i] = state + 1;
}

static void table_grow(struct automaton *a)
{
	a->n_table = a->n_table ? a->n_table * 2 : 256;
	free(a->table);
	a->table = rb_calloc(a->n_table, sizeof(*a->table));
	for (uint32_t i = 0; i < a->n_states; i++)
		table_insert(a, i);
}

static void drop_states(struct automaton *a)
{
	a->n_states = a->n_pool = 0;
	if (a->n_table)
		memset(a->table, 0, a->n_table * sizeof(*a->table));
}

static void describe(const struct rb_ignore *ig, struct state *s, const uint32_t *v)
{
	const struct rb_glob *g = &ig->automaton->glob;

	s->matched = s->may_except = -1;
	for (size_t i = 0; i < s->n; i++) {
		const struct rb_glob_tok *t = &g->toks[v[i]];
		int32_t pattern = (int32_t)t->pattern;

		if (t->op == RB_GLOB_END) {
			if (pattern > s->matched)
				s->matched = pattern;
		} else if (ig->patterns[pattern].exception && pattern > s->may_except) {
			s->may_except = pattern;
		}
	}
}

/* The state of the positions in `scratch`. */
static uint32_t intern(const struct rb_ignore *ig)
{
	struct automaton *a = ig->automaton;
	const uint32_t *v = a->scratch.v;
	struct state s = {.n = (uint32_t)a->scratch.n, .hash = hash_positions(v, a->scratch.n)};

	if (a->n_states * 2 >= a->n_table)
		table_grow(a);
	for (size_t i = s.hash & (a->n_table - 1); a->table[i]; i = (i + 1) & (a->n_table - 1)) {
		const struct state *old = &a->states[a->table[i] - 1];

		if (old->hash == s.hash && old->n == s.n &&
		    (s.n == 0 || memcmp(a->pool + old->first, v, s.n * sizeof(*v)) == 0))
			return a->table[i] - 1;
	}
	s.first = (uint32_t)a->n_pool;
	describe(ig, &s, v);
	while (a->cap_pool < a->n_pool + s.n) {
		a->cap_pool = a->cap_pool ? a->cap_pool * 2 : 1024;
		a->pool = rb_reallocarray(a->pool, a->cap_pool, sizeof(*a->pool));
	}
	if (s.n)
		memcpy(a->pool + a->n_pool, v, s.n * sizeof(*v));
	a->n_pool += s.n;
	rb_grow(a->states, a->n_states, &a->cap_states);
	if (a->cap_next < a->cap_states) {
		a->cap_next = a->cap_states;
		a->next = rb_reallocarray(a->next, a->cap_next, a->n_classes * sizeof(*a->next));
	}
	memset(a->next + a->n_states * a->n_classes, 0, a->n_classes * sizeof(*a->next));
	a->states[a->n_states] = s;
	table_insert(a, (uint32_t)a->n_states);
	return (uint32_t)a->n_states++;
}

static uint32_t start_state(const struct rb_ignore *ig)
{
	struct automaton *a = ig->automaton;

	if (a->n_states == 0) {
		rb_glob_begin(&a->glob, &a->scratch);
		(void)intern(ig);
	}
	return 0;
}

static bool cache_is_full(const struct automaton *a)
{
	return (a->n_states * (a->n_classes + 8u) + a->n_pool) * sizeof(uint32_t) > CACHE_BYTES_MAX;
}

static uint32_t make_next(const struct rb_ignore *ig, uint32_t state, uint32_t class)
{
	struct automaton *a = ig->automaton;
	const struct state *s = &a->states[state];

	rb_glob_step(&a->glob, a->pool + s->first, s->n, a->bounds[class], &a->scratch);
	if (cache_is_full(a)) {
		/* The start must become state 0 again before this one gets a number. */
		RB_CLEANUP(rb_glob_set_clear) struct rb_glob_set kept = a->scratch;

		rb_glob_set_init(&a->scratch, &a->glob);
		drop_states(a);
		(void)start_state(ig);
		memcpy(a->scratch.v, kept.v, kept.n * sizeof(*kept.v));
		a->scratch.n = kept.n;
		return intern(ig);
	}
	uint32_t next = intern(ig);
	a->next[state * (size_t)a->n_classes + class] = next + 1;
	return next;
}

static uint32_t step(const struct rb_ignore *ig, uint32_t state, uint32_t c)
{
	const struct automaton *a = ig->automaton;
	uint32_t class = c < ASCII ? a->ascii[c] : find_class(a, c);
	uint32_t next = a->next[state * (size_t)a->n_classes + class];

	return next ? next - 1 : make_next(ig, state, class);
}

/* The pattern that decides about path, or -1; *ret_below: the last exception that may match below
 * it, or -1. */
static int32_t decide(const struct rb_ignore *ig, const char *path, int32_t *ret_below)
{
	uint32_t state = start_state(ig);
	int32_t last = -1;

	/* No position left: nothing matches this path or one below it. */
	while (*path && ig->automaton->states[state].n) {
		uint32_t c = rb_rune_next(&path);

		if (c == '/' && ig->automaton->states[state].matched > last)
			last = ig->automaton->states[state].matched;
		state = step(ig, state, c);
	}
	if (ig->automaton->states[state].matched > last)
		last = ig->automaton->states[state].matched;
	if (ret_below) {
		state = step(ig, state, '/');
		*ret_below = ig->automaton->states[state].may_except;
	}
	return last;
}

static bool is_root(const char *path)
{
	return !*path || rb_streq(path, ".");
}

bool rb_ignore_matches(const struct rb_ignore *ig, const char *path, const char **ret_pattern)
{
	int32_t last = is_root(path) ? -1 : decide(ig, path, NULL);

	if (ret_pattern)
		*ret_pattern = last < 0 ? NULL : ig->patterns[last].text;
	return last >= 0 && !ig->patterns[last].exception;
}

bool rb_ignore_may_reinclude(const struct rb_ignore *ig, const char *dir)
{
	int32_t below;

	if (is_root(dir))
		return true;
	/* An exception above the pattern that excludes dir cannot win: that one matches all below.
	 */
	return decide(ig, dir, &below) < below;
}

bool rb_ignore_has_exceptions(const struct rb_ignore *ig)
{
	for (size_t i = 0; i < ig->n; i++)
		if (ig->patterns[i].exception)
			return true;
	return false;
}

bool rb_ignore_has_catch_all(const struct rb_ignore *ig)
{
	static const char *const all[] = {"*", "**", "**/*"};

	for (size_t i = 0; i < ig->n; i++)
		for (size_t j = 0; j < RB_ARRAY_LEN(all); j++)
			if (rb_streq(ig->patterns[i].text, all[j]))
				return true;
	return false;
}

/* --- the file --- */

/* Takes the text it is shown with. */
static int add_rule(struct rb_ignore *ig, const char *glob, bool exception, const char *text,
		    struct rb_error **err)
{
	if (rb_glob_add(&ig->automaton->glob, glob, true) < 0)
		return rb_fail(err, RB_ERR_CONTEXT, "syntax error in pattern: \"%s\"", text);
	rb_grow(ig->patterns, ig->n, &ig->cap);
	ig->patterns[ig->n++] = (struct pattern){.text = rb_strdup(text), .exception = exception};
	return 0;
}

static int add_pattern(struct rb_ignore *ig, struct rb_slice s, struct rb_error **err)
{
	const bool exception = s.len && s.ptr[0] == '!';
	RB_CLEANUP(rb_strp) char *text = rb_strndup(s.ptr, s.len);

	if (exception)
		s = rb_slice_trim((struct rb_slice){s.ptr + 1, s.len - 1});
	if (s.len == 0)
		return rb_fail(err, RB_ERR_CONTEXT, "illegal exclusion pattern: \"!\"");
	RB_CLEANUP(rb_strp) char *raw = rb_strndup(s.ptr, s.len);
	RB_CLEANUP(rb_strp) char *clean = rb_path_clean(raw);
	/* A pattern that is "/" stays, and matches nothing. */
	const char *glob = clean[0] == '/' && clean[1] ? clean + 1 : clean;
	if (memchr(s.ptr, '\0', s.len))
		return rb_fail(err, RB_ERR_CONTEXT, "syntax error in pattern: \"%s\"", text);
	return add_rule(ig, glob, exception, text, err);
}

static struct rb_ignore *start(void)
{
	struct rb_ignore *ig = rb_calloc(1, sizeof(*ig));

	ig->automaton = rb_calloc(1, sizeof(*ig->automaton));
	return ig;
}

/* All patterns are known. */
static struct rb_ignore *finish(struct rb_ignore *ig)
{
	rb_glob_set_init(&ig->automaton->scratch, &ig->automaton->glob);
	make_classes(ig->automaton);
	return ig;
}

int rb_ignore_new(const char *const *patterns, size_t n, struct rb_ignore **ret,
		  struct rb_error **err)
{
	RB_CLEANUP(rb_ignore_freep) struct rb_ignore *ig = start();

	for (size_t i = 0; i < n; i++) {
		struct rb_slice s = rb_slice_trim(rb_slice_str(patterns[i]));

		if (s.len && add_pattern(ig, s, err) < 0)
			return -1;
	}
	*ret = finish(rb_steal_ptr(&ig));
	return 0;
}

int rb_ignore_new_all_but(const char *pattern, struct rb_ignore **ret, struct rb_error **err)
{
	RB_CLEANUP(rb_ignore_freep) struct rb_ignore *ig = start();

	if (add_rule(ig, "**", false, "**", err) < 0 ||
	    add_rule(ig, pattern, true, pattern, err) < 0)
		return -1;
	*ret = finish(rb_steal_ptr(&ig));
	return 0;
}

static int add_line(struct rb_ignore *ig, struct rb_slice line, struct rb_error **err)
{
	struct rb_slice s = rb_slice_trim(line);

	return s.len == 0 || line.ptr[0] == '#' ? 0 : add_pattern(ig, s, err);
}

int rb_ignore_parse(const char *text, size_t len, const char *file, struct rb_ignore **ret,
		    struct rb_error **err)
{
	RB_CLEANUP(rb_ignore_freep) struct rb_ignore *ig = start();
	unsigned number = 0;

	if (len > IGNORE_BYTES_MAX)
		return rb_fail(err, RB_ERR_CONTEXT, "%s is larger than the limit of %d bytes", file,
			       IGNORE_BYTES_MAX);
	struct rb_slice rest = rb_slice_skip_mark((struct rb_slice){text, len});
	while (rest.len) {
		const char *nl = memchr(rest.ptr, '\n', rest.len);
		size_t n = nl ? (size_t)(nl - rest.ptr) : rest.len;

		number++;
		if (add_line(ig, (struct rb_slice){rest.ptr, n}, err) < 0)
			return rb_wrap(err, "%s:%u", file, number);
		n += nl != NULL;
		rest = (struct rb_slice){rest.ptr + n, rest.len - n};
	}
	*ret = finish(rb_steal_ptr(&ig));
	return 0;
}

void rb_ignore_free(struct rb_ignore *ig)
{
	if (!ig)
		return;
	struct automaton *a = ig->automaton;
	for (size_t i = 0; i < ig->n; i++)
		free(ig->patterns[i].text);
	free(ig->patterns);
	rb_glob_clear(&a->glob);
	rb_glob_set_clear(&a->scratch);
	free(a->bounds);
	free(a->states);
	free(a->next);
	free(a->pool);
	free(a->table);
	free(a);
	free(ig);
}
