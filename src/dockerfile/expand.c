// SPDX-License-Identifier: Apache-2.0
/* Word grammar of dockerfile.md 2.2 and modifiers of 2.3 as a recursive descent over the text. */
#include "dockerfile/expand.h"

#include <string.h>

#include "dockerfile/dockerfile-internal.h"
#include "dockerfile/values.h"

struct expander {
	const char *p, *end;
	char escape;
	bool quotes; /* ' and " mean something */
	const struct rb_env *env;
	struct rb_expand_report *report; /* or NULL */
	unsigned depth;
	unsigned unused; /* > 0: inside a word whose value nobody wants */
	size_t bytes;    /* of variable values used so far */
	struct rb_error **err;
};

struct sink {
	struct rb_buf word;
	struct rb_strv *words; /* NULL: one word, never split */
};

static int expand_until(struct expander *x, char stop, bool raw, struct sink *out);

#define fail(x, ...) rb_fail((x)->err, RB_ERR_DOCKERFILE, __VA_ARGS__)

static void sink_end_word(struct sink *out)
{
	if (out->word.len)
		rb_strv_add(out->words, out->word.ptr);
	rb_buf_truncate(&out->word, 0);
}

/* Text outside quotes: blanks end the word where words are split. */
static void sink_add(struct sink *out, const char *s, size_t len)
{
	if (!out->words) {
		rb_buf_add(&out->word, s, len);
		return;
	}
	while (len) {
		size_t n = rb_rune_space(s, len);

		if (n)
			sink_end_word(out);
		else
			rb_buf_addch(&out->word, *s);
		n = n ? n : 1;
		s += n;
		len -= n;
	}
}

static void report_undefined(struct expander *x, const char *name)
{
	struct rb_expand_report *r = x->report;

	/* Positional and special names are never set and nobody misses them. */
	if (!r || x->unused || rb_ascii_isdigit(*name) || strchr("@*#?-$!", *name))
		return;
	if (r->undefined.n < RB_EXPAND_REPORT_MAX && rb_strv_find(&r->undefined, name) < 0)
		rb_strv_add(&r->undefined, name);
}

/* Counts what values add, so that `ENV a=$a$a` repeated cannot fill the memory. */
static int spend(struct expander *x, size_t bytes)
{
	x->bytes += bytes;
	if (x->bytes > RB_EXPAND_BYTES_MAX)
		return fail(x, "expands to more than %d bytes", RB_EXPAND_BYTES_MAX);
	return 0;
}

static int plain(struct expander *x, const char *name, struct rb_buf *ret)
{
	const char *value = rb_env_get(x->env, name);

	if (!value) {
		report_undefined(x, name);
		return 0;
	}
	if (spend(x, strlen(value)) < 0)
		return -1;
	rb_buf_addstr(ret, value);
	return 0;
}

/* A name, the digits of a position or one special character; NULL when there is none. */
static char *take_name(struct expander *x)
{
	const char *start = x->p;

	if (x->p < x->end && rb_ascii_isdigit(*x->p)) {
		while (x->p < x->end && rb_ascii_isdigit(*x->p))
			x->p++;
	} else if (x->p < x->end && *x->p && strchr("@*#?-$!", *x->p)) {
		x->p++;
	} else {
		while (x->p < x->end) {
			uint32_t c;
			size_t n = rb_rune_decode(x->p, (size_t)(x->end - x->p), &c);

			if (!rb_rune_is_word(c))
				break;
			x->p += n;
		}
	}
	return x->p == start ? NULL : rb_strndup(start, (size_t)(x->p - start));
}

/* The word of a modifier, up to `stop`. Errors of values that nobody wants are not raised. */
static int take_word(struct expander *x, char stop, bool raw, bool wanted, struct rb_buf *ret)
{
	struct sink out = {.word = RB_BUF_INIT};

	if (x->depth == RB_EXPAND_DEPTH_MAX)
		return fail(x, "substitutions are nested more than %d deep", RB_EXPAND_DEPTH_MAX);
	x->depth++;
	x->unused += !wanted;
	int r = expand_until(x, stop, raw, &out);
	x->unused -= !wanted;
	x->depth--;
	if (r == 0)
		rb_buf_add(ret, out.word.ptr, out.word.len);
	rb_buf_clear(&out.word);
	return r;
}

/* ${v-w} ${v+w} ${v?w}, and with the colon, for which empty is as good as unset. */
static int default_or_alternate(struct expander *x, const char *name, char op, bool colon,
				struct rb_buf *ret)
{
	const char *value = rb_env_get(x->env, name);
	bool is_set = value && (!colon || *value);
	RB_CLEANUP(rb_buf_clear) struct rb_buf word = RB_BUF_INIT;

	if (take_word(x, '}', false, is_set == (op == '+'), &word) < 0)
		return -1;
	if (op == '+' || (op == '-' && !is_set)) {
		if (is_set == (op == '+'))
			rb_buf_add(ret, word.ptr, word.len);
		return 0;
	}
	if (!is_set) {
		if (x->unused)
			return 0;
		if (word.len)
			return fail(x, "%s: %s", name, word.ptr);
		return fail(x, "%s: is not allowed to be %s", name, value ? "empty" : "unset");
	}
	return plain(x, name, ret);
}

static bool take_char(struct expander *x, char c)
{
	if (x->p == x->end || *x->p != c)
		return false;
	x->p++;
	return true;
}

static int trim(struct expander *x, const char *name, char op, struct rb_buf *ret)
{
	RB_CLEANUP(rb_buf_clear) struct rb_buf pattern = RB_BUF_INIT;
	RB_CLEANUP(rb_buf_clear) struct rb_buf value = RB_BUF_INIT;
	bool longest = take_char(x, op);

	if (take_word(x, '}', true, true, &pattern) < 0 || plain(x, name, &value) < 0)
		return -1;
	return rb_expand_trim(pattern.ptr, value.ptr, op == '%', longest, ret, x->err);
}

static int replace(struct expander *x, const char *name, struct rb_buf *ret)
{
	RB_CLEANUP(rb_buf_clear) struct rb_buf pattern = RB_BUF_INIT;
	RB_CLEANUP(rb_buf_clear) struct rb_buf with = RB_BUF_INIT;
	RB_CLEANUP(rb_buf_clear) struct rb_buf value = RB_BUF_INIT;
	bool all = take_char(x, '/');
	size_t before = ret->len;

	if (take_word(x, '/', true, true, &pattern) < 0 ||
	    take_word(x, '}', true, true, &with) < 0 || plain(x, name, &value) < 0)
		return -1;
	if (rb_expand_replace(pattern.ptr, value.ptr, with.ptr, all, ret, x->err) < 0)
		return -1;
	return spend(x, ret->len - before);
}

static int missing(struct expander *x, char stop)
{
	if (stop == '/')
		return fail(x, "syntax error: missing '/' in ${}");
	return fail(x, "syntax error: missing '}'");
}

static int unsupported_modifier(struct expander *x, bool colon)
{
	uint32_t c;
	size_t n = rb_rune_decode(x->p, (size_t)(x->end - x->p), &c);

	return fail(
		x,
		"unsupported modifier (%s%.*s) in substitution: there are :- - :+ + :? ? # ## %% %%%% / and //",
		colon ? ":" : "", rb_rune_is_printable(c) ? (int)n : 0, x->p);
}

/* After "${". */
static int braces(struct expander *x, struct rb_buf *ret)
{
	if (x->p == x->end)
		return missing(x, '}');
	RB_CLEANUP(rb_strp) char *name = take_name(x);
	if (!name)
		return fail(x, "syntax error: bad substitution");
	bool colon = take_char(x, ':');
	if (x->p == x->end)
		return missing(x, '}');
	char op = *x->p;
	if (!strchr(colon ? "+-?" : "}+-?#%/", op))
		return unsupported_modifier(x, colon);
	x->p++;
	switch (op) {
	case '}':
		return plain(x, name, ret);
	case '#':
	case '%':
		return trim(x, name, op, ret);
	case '/':
		return replace(x, name, ret);
	default:
		return default_or_alternate(x, name, op, colon, ret);
	}
}

/* At '$'. */
static int dollar(struct expander *x, struct rb_buf *ret)
{
	x->p++;
	if (take_char(x, '{'))
		return braces(x, ret);
	RB_CLEANUP(rb_strp) char *name = take_name(x);
	if (name)
		return plain(x, name, ret);
	rb_buf_addch(ret, '$');
	return 0;
}

static int single_quoted(struct expander *x, struct sink *out)
{
	const char *start = ++x->p;
	const char *close = memchr(start, '\'', (size_t)(x->end - start));

	if (!close)
		return fail(x,
			    "unexpected end of statement while looking for matching single-quote");
	rb_buf_add(&out->word, start, (size_t)(close - start));
	x->p = close + 1;
	return 0;
}

/* The escape character works on ", $ and itself; before anything else it is a character. */
static int double_quoted(struct expander *x, bool raw, struct sink *out)
{
	x->p++;
	while (x->p < x->end) {
		char c = *x->p;

		if (c == '$') {
			if (dollar(x, &out->word) < 0)
				return -1;
			continue;
		}
		x->p++;
		if (c == '"')
			return 0;
		if (c == x->escape && x->p < x->end) {
			char next = *x->p++;

			if (raw || (next != '"' && next != '$' && next != x->escape))
				rb_buf_addch(&out->word, c);
			c = next;
		}
		rb_buf_addch(&out->word, c);
	}
	return fail(x, "unexpected end of statement while looking for matching double-quote");
}

/* At an escape outside quotes: the next character is literal and never splits. One at the end is
 * dropped. `raw` keeps the escape for the pattern. */
static void escaped(struct expander *x, bool raw, struct sink *out)
{
	char escape = *x->p++;
	uint32_t c;

	if (raw)
		rb_buf_addch(&out->word, escape);
	if (x->p == x->end)
		return;
	size_t n = rb_rune_decode(x->p, (size_t)(x->end - x->p), &c);
	rb_buf_add(&out->word, x->p, n);
	x->p += n;
}

static int expand_dollar(struct expander *x, struct sink *out)
{
	RB_CLEANUP(rb_buf_clear) struct rb_buf value = RB_BUF_INIT;

	if (dollar(x, &value) < 0)
		return -1;
	sink_add(out, value.ptr, value.len);
	return 0;
}

/* Expands up to and over `stop`, or to the end when stop is NUL. */
static int expand_until(struct expander *x, char stop, bool raw, struct sink *out)
{
	while (x->p < x->end) {
		char c = *x->p;
		int r = 0;

		if (c == stop) {
			x->p++;
			return 0;
		}
		if (c == '$') {
			r = expand_dollar(x, out);
		} else if (c == '\'' && x->quotes) {
			r = single_quoted(x, out);
		} else if (c == '"' && x->quotes) {
			r = double_quoted(x, raw, out);
		} else if (c == x->escape) {
			escaped(x, raw, out);
		} else {
			uint32_t rune;
			size_t n = rb_rune_decode(x->p, (size_t)(x->end - x->p), &rune);

			sink_add(out, x->p, n);
			x->p += n;
		}
		if (r < 0)
			return -1;
	}
	return stop ? missing(x, stop) : 0;
}

static int run(struct expander *x, const char *text, struct sink *out)
{
	x->p = text;
	x->end = text + strlen(text);
	return expand_until(x, '\0', false, out);
}

static int wrap_failure(const char *word, struct rb_error **err)
{
	enum { SHOWN = 200 };
	RB_CLEANUP(rb_buf_clear) struct rb_buf quoted = RB_BUF_INIT;
	RB_CLEANUP(rb_strp) char *head = rb_strndup(word, SHOWN);

	rb_dockerfile_add_quoted(&quoted, head);
	return rb_wrap(err, "failed to process %s%s", quoted.ptr,
		       strlen(word) > SHOWN ? "..." : "");
}

char *rb_expand(const char *word, char escape, const struct rb_env *env,
		struct rb_expand_report *report, struct rb_error **err)
{
	struct expander x = {
		.escape = escape, .quotes = true, .env = env, .report = report, .err = err};
	struct sink out = {.word = RB_BUF_INIT};

	if (run(&x, word, &out) == 0)
		return rb_buf_steal(&out.word);
	rb_buf_clear(&out.word);
	(void)wrap_failure(word, err);
	return NULL;
}

int rb_expand_split(const char *word, char escape, const struct rb_env *env,
		    struct rb_expand_report *report, struct rb_strv *ret, struct rb_error **err)
{
	struct expander x = {
		.escape = escape, .quotes = true, .env = env, .report = report, .err = err};
	RB_CLEANUP(rb_strv_clear) struct rb_strv words = RB_STRV_INIT;
	struct sink out = {.word = RB_BUF_INIT, .words = &words};

	int r = run(&x, word, &out);
	sink_end_word(&out);
	rb_buf_clear(&out.word);
	if (r < 0)
		return wrap_failure(word, err);
	for (size_t i = 0; i < words.n; i++) {
		rb_strv_take(ret, words.v[i]);
		words.v[i] = NULL;
	}
	return 0;
}

char *rb_expand_heredoc(const char *body, const struct rb_env *env, struct rb_expand_report *report,
			struct rb_error **err)
{
	struct expander x = {.escape = '\\', .env = env, .report = report, .err = err};
	struct sink out = {.word = RB_BUF_INIT};

	if (run(&x, body, &out) == 0)
		return rb_buf_steal(&out.word);
	rb_buf_clear(&out.word);
	(void)rb_wrap(err, "failed to process the here-document");
	return NULL;
}

/* --- text for people
 * --------------------------------------------------------------------------------- */

/* At '$': the value when the name is set and the expression is sound, else the name as written. */
static void expand_if_known(struct expander *x, struct rb_buf *ret)
{
	struct rb_error *why = NULL;
	struct expander whole = *x, head = *x;
	RB_CLEANUP(rb_buf_clear) struct rb_buf value = RB_BUF_INIT;

	head.p++;
	(void)take_char(&head, '{');
	RB_CLEANUP(rb_strp) char *name = take_name(&head);
	whole.err = &why;
	if (name && rb_env_get(x->env, name) && dollar(&whole, &value) == 0) {
		rb_buf_add(ret, value.ptr, value.len);
		x->p = whole.p;
		x->bytes = whole.bytes;
	} else {
		rb_buf_add(ret, x->p, (size_t)(head.p - x->p));
		x->p = head.p;
	}
	rb_error_drop(&why); /* nothing depends on what is only shown */
}

/* Bytes at p that stand for themselves: what an escape or single quotes protect, or one. */
static size_t protected_len(const struct expander *x, bool in_double)
{
	size_t left = (size_t)(x->end - x->p);

	if (*x->p == x->escape)
		return left > 1 ? 2 : 1;
	const char *close = *x->p == '\'' && !in_double ? memchr(x->p + 1, '\'', left - 1) : NULL;
	return close ? (size_t)(close + 1 - x->p) : 1;
}

char *rb_expand_known(const char *text, char escape, const struct rb_env *env)
{
	struct expander x = {.p = text,
			     .end = text + strlen(text),
			     .escape = escape,
			     .quotes = true,
			     .env = env};
	struct rb_buf ret = RB_BUF_INIT;
	bool in_double = false;

	while (x.p < x.end) {
		if (*x.p == '$') {
			expand_if_known(&x, &ret);
			continue;
		}
		size_t n = protected_len(&x, in_double);
		in_double ^= *x.p == '"';
		rb_buf_add(&ret, x.p, n);
		x.p += n;
	}
	return rb_buf_steal(&ret);
}
