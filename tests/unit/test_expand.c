// SPDX-License-Identifier: Apache-2.0
/* Variable expansion: dockerfile.md 2. */
#include "dockerfile/expand.h"

#include "tap.h"

/* What all rows see. `unset` and names not listed here are not set. */
static const char *const env_pairs[][2] = {
	{"foo", "bar"},
	{"empty", ""},
	{"num", "42"},
	{"sp", "a  b"},
	{"path", "/usr/local/bin:/bin"},
	{"file", "archive.tar.gz"},
	{"lf", "one\ntwo"},
	{"uni", "\xc5\xbelu\xc5\xa5"}, /* žluť */
	{"dollar", "$foo"},
	{"quoted", "'x' \"y\""},
	{"bs", "a\\b"},
	{"star", "a*b?c"},
	{"slash", "a/b/c"},
	{"aaa", "aaa"},
	{"abab", "abab"},
	{"brace", "a}b"},
	{"brackets", "[x]y"},
	{"_under", "u"},
	{"n1", "one"},
	{"UPPER", "up"},
	{"\xc3\xa9t\xc3\xa9", "summer"}, /* été */
	{"bin", "a\xff"
		"b"},
};

static struct rb_env make_env(void)
{
	struct rb_env env = {0};

	for (size_t i = 0; i < RB_ARRAY_LEN(env_pairs); i++)
		rb_env_set(&env, env_pairs[i][0], env_pairs[i][1]);
	return env;
}

enum { BS = 1, BT = 2, ANY_ESCAPE = BS | BT };

struct row {
	int escapes; /* with which escape characters the row holds */
	const char *word;
	const char *want; /* NULL: `error` is part of the message */
	const char *error;
};

static void check_row(const struct row *row, char escape, const struct rb_env *env)
{
	struct rb_error *err = NULL;
	char *got = rb_expand(row->word, escape, env, NULL, &err);
	char *text = err ? rb_error_text(err) : NULL;
	bool ok = row->want ? got && rb_streq(got, row->want)
			    : !got && text && strstr(text, row->error) &&
				      rb_starts_with(text, "failed to process \"") &&
				      err->code == RB_ERR_DOCKERFILE;

	if (!ok) {
		tap_failures++;
		printf("# %s with %c: got \"%s\" error \"%s\", not \"%s\"\n", row->word, escape,
		       got ? got : "(null)", text ? text : "(none)",
		       row->want ? row->want : row->error);
	}
	free(got);
	free(text);
	rb_error_drop(&err);
}

static void check_rows(const struct row *rows, size_t n)
{
	struct rb_env env = make_env();

	for (size_t i = 0; i < n; i++) {
		if (rows[i].escapes & BS)
			check_row(&rows[i], '\\', &env);
		if (rows[i].escapes & BT)
			check_row(&rows[i], '`', &env);
	}
	rb_env_clear(&env);
}

#define CHECK_ROWS(rows) check_rows(rows, RB_ARRAY_LEN(rows))
#define E                ANY_ESCAPE

static void test_expand__plain_words(void)
{
	static const struct row rows[] = {
		{E, "", "", NULL},
		{E, "word", "word", NULL},
		{E, "two words", "two words", NULL},
		{E, "  kept  blanks\t", "  kept  blanks\t", NULL},
		{E, "a=b", "a=b", NULL},
		{E, "#no comment", "#no comment", NULL},
		{E, "\xc5\xbe", "\xc5\xbe", NULL},
		{E,
		 "a\xff"
		 "b",
		 "a\xff"
		 "b",
		 NULL},
		{E, "{foo}", "{foo}", NULL},
		{E, "}", "}", NULL},
		{E, "a/b*c?[d]", "a/b*c?[d]", NULL},
		{BT, "C:\\dir\\file", "C:\\dir\\file", NULL},
		{BS, "C:\\dir\\file", "C:dirfile", NULL},
		{BS, "a`b", "a`b", NULL},
		{BT, "a`b", "ab", NULL},
	};

	CHECK_ROWS(rows);
}

static void test_expand__names(void)
{
	static const struct row rows[] = {
		{E, "$foo", "bar", NULL},
		{E, "${foo}", "bar", NULL},
		{E, "$foo$foo", "barbar", NULL},
		{E, "${foo}${foo}", "barbar", NULL},
		{E, "x$foo", "xbar", NULL},
		{E, "x${foo}y", "xbary", NULL},
		{E, "$foo.txt", "bar.txt", NULL},
		{E, "$foo-x", "bar-x", NULL},
		{E, "$foo/x", "bar/x", NULL},
		{E, "$foo:x", "bar:x", NULL},
		{E, "$foo=x", "bar=x", NULL},
		{E, "$foo}", "bar}", NULL},
		{E, "$foo{", "bar{", NULL},
		{E, "$foo x", "bar x", NULL},
		{E, "$foox", "", NULL},
		{E, "$foo_", "", NULL},
		{E, "$foo1", "", NULL},
		{E, "${foo}x", "barx", NULL},
		{E, "$Foo", "", NULL},
		{E, "$FOO", "", NULL},
		{E, "$UPPER", "up", NULL},
		{E, "$_under", "u", NULL},
		{E, "${_under}", "u", NULL},
		{E, "$n1", "one", NULL},
		{E, "$n1x", "", NULL},
		{E, "$num", "42", NULL},
		{E, "$unset", "", NULL},
		{E, "${unset}", "", NULL},
		{E, "a${unset}b", "ab", NULL},
		{E, "$empty", "", NULL},
		{E, "${empty}", "", NULL},
		{E, "$sp", "a  b", NULL},
		{E, "$lf", "one\ntwo", NULL},
		{E, "$uni", "\xc5\xbelu\xc5\xa5", NULL},
		{E, "$bin",
		 "a\xff"
		 "b",
		 NULL},
		{E, "$\xc3\xa9t\xc3\xa9", "summer", NULL},
		{E, "${\xc3\xa9t\xc3\xa9}", "summer", NULL},
		{E, "$foo\xc3\xa9", "", NULL},                    /* é is a letter */
		{E, "$foo\xe2\x80\xa6", "bar\xe2\x80\xa6", NULL}, /* … is not */
		{E, "$foo\xff", "bar\xff", NULL},
		{E, "$foo\xe5\xad\x97", "", NULL}, /* an ideograph is a letter */
		{E, "$foo\xd9\xa1", "", NULL},     /* an Arabic digit is a digit */
		{E, "$foo\xf0\x9f\x98\x80", "bar\xf0\x9f\x98\x80", NULL},
		/* Values are not looked at again. */
		{E, "$dollar", "$foo", NULL},
		{E, "$quoted", "'x' \"y\"", NULL},
		{E, "$bs", "a\\b", NULL},
		{E, "$star", "a*b?c", NULL},
		{E, "${brace}", "a}b", NULL},
	};

	CHECK_ROWS(rows);
}

static void test_expand__special_names(void)
{
	static const struct row rows[] = {
		{E, "$", "$", NULL},
		{E, "a$", "a$", NULL},
		{E, "$ a", "$ a", NULL},
		{E, "$.", "$.", NULL},
		{E, "$/", "$/", NULL},
		{E, "$=", "$=", NULL},
		{E, "$%", "$%", NULL},
		{E, "$(x)", "$(x)", NULL},
		{E, "$((1+2))", "$((1+2))", NULL},
		{E, "$}", "$}", NULL},
		{E, "$\xe2\x80\xa6", "$\xe2\x80\xa6", NULL},
		{E, "$$", "", NULL},
		{E, "$$foo", "foo", NULL},
		{E, "$@", "", NULL},
		{E, "$*", "", NULL},
		{E, "$#", "", NULL},
		{E, "$?", "", NULL},
		{E, "$-", "", NULL},
		{E, "$!", "", NULL},
		{E, "$0", "", NULL},
		{E, "$1", "", NULL},
		{E, "$12x", "x", NULL},
		{E, "$1foo", "foo", NULL},
		{E, "$@foo", "foo", NULL},
		{E, "$-x", "x", NULL},
		{E, "${1}", "", NULL},
		{E, "${12}", "", NULL},
		{E, "${@}", "", NULL},
		{E, "${*}", "", NULL},
		{E, "${#}", "", NULL},
		{E, "${?}", "", NULL},
		{E, "${-}", "", NULL},
		{E, "${$}", "", NULL},
		{E, "${!}", "", NULL},
		{E, "${0}", "", NULL},
		{E, "${1:-one}", "one", NULL},
		{E, "${@:-all}", "all", NULL},
		{E, "${--x}", "x", NULL},
		{E, "${1foo}", NULL, "unsupported modifier (f) in substitution"},
		{E, "${#foo}", NULL, "unsupported modifier (f) in substitution"},
		{E, "${!foo}", NULL, "unsupported modifier (f) in substitution"},
		{E, "${@foo}", NULL, "unsupported modifier (f) in substitution"},
	};

	CHECK_ROWS(rows);
}

static void test_expand__quotes(void)
{
	static const struct row rows[] = {
		{E, "''", "", NULL},
		{E, "\"\"", "", NULL},
		{E, "'a'", "a", NULL},
		{E, "\"a\"", "a", NULL},
		{E, "'a b'", "a b", NULL},
		{E, "\"a b\"", "a b", NULL},
		{E, "a'b'c", "abc", NULL},
		{E, "a\"b\"c", "abc", NULL},
		{E, "'$foo'", "$foo", NULL},
		{E, "'${foo}'", "${foo}", NULL},
		{E, "'${'", "${", NULL},
		{E, "\"$foo\"", "bar", NULL},
		{E, "\"${foo}\"", "bar", NULL},
		{E, "\"a $foo b\"", "a bar b", NULL},
		{E, "\"'$foo'\"", "'bar'", NULL},
		{E, "'\"$foo\"'", "\"$foo\"", NULL},
		{E, "'a'\"b\"c", "abc", NULL},
		{E, "'a'$foo'b'", "abarb", NULL},
		{E, "\"a\"$foo\"b\"", "abarb", NULL},
		{E, "$foo'x'", "barx", NULL},
		{E, "$'x'", "$x", NULL},
		{E, "$\"x\"", "$x", NULL},
		{E, "\"$\"", "$", NULL},
		{E, "\"a$\"", "a$", NULL},
		{E, "\"${unset:-a b}\"", "a b", NULL},
		{E, "\"${unset:-'a'}\"", "a", NULL},
		{E, "\"${unset:-\"a\"}\"", "a", NULL},
		{E, "key=\"a b\"", "key=a b", NULL},
		{E, "'#'", "#", NULL},
		{E, "'}'", "}", NULL},
		{E, "'\n'", "\n", NULL},
		{E, "'\\'", "\\", NULL},
		{E, "'`'", "`", NULL},
		{E, "'\\$foo'", "\\$foo", NULL},
		{E, "'a\\\\b'", "a\\\\b", NULL},
		{E, "'", NULL,
		 "unexpected end of statement while looking for matching single-quote"},
		{E, "'a", NULL,
		 "unexpected end of statement while looking for matching single-quote"},
		{E, "a'", NULL,
		 "unexpected end of statement while looking for matching single-quote"},
		{E, "it's", NULL, "looking for matching single-quote"},
		{E, "'a''", NULL, "looking for matching single-quote"},
		{E, "\"", NULL,
		 "unexpected end of statement while looking for matching double-quote"},
		{E, "\"a", NULL, "looking for matching double-quote"},
		{E, "a\"", NULL, "looking for matching double-quote"},
		{E, "\"'", NULL, "looking for matching double-quote"},
		{E, "'\"", NULL, "looking for matching single-quote"},
		{E, "\"$foo", NULL, "looking for matching double-quote"},
		{E, "\"${foo\"", NULL, "unsupported modifier (\") in substitution"},
	};

	CHECK_ROWS(rows);
}

static void test_expand__escapes(void)
{
	static const struct row rows[] = {
		{BS, "\\$foo", "$foo", NULL},
		{BT, "`$foo", "$foo", NULL},
		{BT, "\\$foo", "\\bar", NULL},
		{BS, "`$foo", "`bar", NULL},
		{BS, "\\${foo}", "${foo}", NULL},
		{BT, "`${foo}", "${foo}", NULL},
		{BS, "\\\\$foo", "\\bar", NULL},
		{BT, "``$foo", "`bar", NULL},
		{BS, "\\\\\\$foo", "\\$foo", NULL},
		{BS, "a\\ b", "a b", NULL},
		{BT, "a` b", "a b", NULL},
		{BS, "\\t\\n", "tn", NULL},
		{BT, "`t`n", "tn", NULL},
		{BS, "\\'", "'", NULL},
		{BS, "\\\"", "\"", NULL},
		{BT, "`'`\"", "'\"", NULL},
		{BS, "it\\'s", "it's", NULL},
		{BS, "\\\\", "\\", NULL},
		{BS, "\\", "", NULL},
		{BT, "`", "", NULL},
		{BS, "a\\", "a", NULL},
		{BT, "a`", "a", NULL},
		{BS, "$foo\\", "bar", NULL},
		{BS, "$\\foo", "$foo", NULL},
		{BS, "\\\xc5\xbe", "\xc5\xbe", NULL},
		{BS, "$foo\\x", "barx", NULL},
		{BS, "\"\\\"\"", "\"", NULL},
		{BT, "\"`\"\"", "\"", NULL},
		{BS, "\"\\$foo\"", "$foo", NULL},
		{BT, "\"`$foo\"", "$foo", NULL},
		{BS, "\"\\\\\"", "\\", NULL},
		{BT, "\"``\"", "`", NULL},
		{BS, "\"\\n\"", "\\n", NULL},
		{BT, "\"`n\"", "`n", NULL},
		{BS, "\"\\'\"", "\\'", NULL},
		{BS, "\"\\`\"", "\\`", NULL},
		{BT, "\"`\\\"", "`\\", NULL},
		{BS, "\"a\\ b\"", "a\\ b", NULL},
		{BT, "\"\\$foo\"", "\\bar", NULL},
		{BS, "\"`$foo\"", "`bar", NULL},
		{BS, "\"\\\\$foo\"", "\\bar", NULL},
		{BS, "\"\\\\\\$foo\"", "\\$foo", NULL},
		{BS, "\"\\", NULL, "looking for matching double-quote"},
		{BS, "\"\\\"", NULL, "looking for matching double-quote"},
		{BT, "\"`\"", NULL, "looking for matching double-quote"},
		{BT, "\"\\\"", "\\", NULL},
		{BS, "'\\''", NULL, "looking for matching single-quote"},
		{BS, "${unset:-a\\}b}", "a}b", NULL},
		{BT, "${unset:-a`}b}", "a}b", NULL},
		{BS, "${unset:-\\$foo}", "$foo", NULL},
		{BS, "${unset:-\\\\}", "\\", NULL},
		{BS, "${foo\\}", NULL, "unsupported modifier (\\) in substitution"},
		{BS, "${\\foo}", NULL, "bad substitution"},
	};

	CHECK_ROWS(rows);
}

static void test_expand__default_and_alternate(void)
{
	static const struct row rows[] = {
		{E, "${foo:-w}", "bar", NULL},
		{E, "${empty:-w}", "w", NULL},
		{E, "${unset:-w}", "w", NULL},
		{E, "${foo-w}", "bar", NULL},
		{E, "${empty-w}", "", NULL},
		{E, "${unset-w}", "w", NULL},
		{E, "${foo:+w}", "w", NULL},
		{E, "${empty:+w}", "", NULL},
		{E, "${unset:+w}", "", NULL},
		{E, "${foo+w}", "w", NULL},
		{E, "${empty+w}", "w", NULL},
		{E, "${unset+w}", "", NULL},
		{E, "${foo:-}", "bar", NULL},
		{E, "${unset:-}", "", NULL},
		{E, "${unset-}", "", NULL},
		{E, "${foo:+}", "", NULL},
		{E, "${foo+}", "", NULL},
		{E, "${unset:-$foo}", "bar", NULL},
		{E, "${unset:-${foo}}", "bar", NULL},
		{E, "${unset:-x${foo}y}", "xbary", NULL},
		{E, "${unset:-${unset:-deep}}", "deep", NULL},
		{E, "${unset:-${empty:-${foo}}}", "bar", NULL},
		{E, "${foo:+$num}", "42", NULL},
		{E, "${foo:+${num:+${sp}}}", "a  b", NULL},
		{E, "${unset:-a b}", "a b", NULL},
		{E, "${unset:-'a b'}", "a b", NULL},
		{E, "${unset:-\"a $foo\"}", "a bar", NULL},
		{E, "${unset:-'$foo'}", "$foo", NULL},
		{E, "${unset:-'}'}", "}", NULL},
		{E, "${unset:-\"}\"}", "}", NULL},
		{E, "${unset:-{}", "{", NULL},
		{E, "${unset:-{}}", "{}", NULL},
		{E, "${unset:--}", "-", NULL},
		{E, "${unset:-:-}", ":-", NULL},
		{E, "${unset:-/a/b}", "/a/b", NULL},
		{E, "${unset--x}", "-x", NULL},
		{E, "${unset-+x}", "+x", NULL},
		{E, "${unset+-x}", "", NULL},
		{E, "${foo+-x}", "-x", NULL},
		{E, "${unset:-\xc5\xbe}", "\xc5\xbe", NULL},
		{E, "a${unset:-b}c", "abc", NULL},
		{E, "a${foo:+/}b", "a/b", NULL},
		{E, "${empty:-$empty}", "", NULL},
		{E, "${foo:-${unset:?gone}}", "bar", NULL}, /* the word is not wanted */
		{E, "${unset:+${unset:?gone}}", "", NULL},
		{E, "${unset:-${unset:?gone}}", NULL, "unset: gone"},
		{E, "${foo:-${}}", NULL, "bad substitution"}, /* wanted or not */
		{E, "${foo:-", NULL, "syntax error: missing '}'"},
		{E, "${foo:-w", NULL, "syntax error: missing '}'"},
		{E, "${foo-", NULL, "syntax error: missing '}'"},
		{E, "${foo:+w", NULL, "syntax error: missing '}'"},
		{E, "${foo+w", NULL, "syntax error: missing '}'"},
		{E, "${unset:-${foo}", NULL, "syntax error: missing '}'"},
		{E, "${unset:-'a}", NULL, "looking for matching single-quote"},
		{E, "${unset:-\"a}", NULL, "looking for matching double-quote"},
		{E, "${unset:-${foo^}}", NULL, "unsupported modifier (^)"},
	};

	CHECK_ROWS(rows);
}

static void test_expand__required(void)
{
	static const struct row rows[] = {
		{E, "${foo?}", "bar", NULL},
		{E, "${foo:?}", "bar", NULL},
		{E, "${foo?w}", "bar", NULL},
		{E, "${foo:?w}", "bar", NULL},
		{E, "${empty?}", "", NULL},
		{E, "${empty?w}", "", NULL},
		{E, "${foo:?$unset}", "bar", NULL},
		{E, "x${num?}y", "x42y", NULL},
		{E, "${unset?}", NULL, "unset: is not allowed to be unset"},
		{E, "${unset:?}", NULL, "unset: is not allowed to be unset"},
		{E, "${empty:?}", NULL, "empty: is not allowed to be empty"},
		{E, "${unset?set me}", NULL, "unset: set me"},
		{E, "${unset:?set me}", NULL, "unset: set me"},
		{E, "${empty:?set me}", NULL, "empty: set me"},
		{E, "${unset:?'set me'}", NULL, "unset: set me"},
		{E, "${unset:?need $foo}", NULL, "unset: need bar"},
		{E, "${unset:?${empty:-deep}}", NULL, "unset: deep"},
		{E, "${unset:?$unset}", NULL, "unset: is not allowed to be unset"},
		{E, "${foo#${unset:?gone}}", NULL, "unset: gone"},
		{E, "${foo%%${unset:?gone}}", NULL, "unset: gone"},
		{E, "${foo/${unset:?gone}/x}", NULL, "unset: gone"},
		{E, "${foo//a/${unset:?gone}}", NULL, "unset: gone"},
		{E, "${unset?", NULL, "missing '}'"},
		{E, "${unset:?x", NULL, "missing '}'"},
		{E, "ok ${unset:?}", NULL, "failed to process \"ok ${unset:?}\": unset: is not"},
	};

	CHECK_ROWS(rows);
}

static void test_expand__prefixes(void)
{
	static const struct row rows[] = {
		{E, "${file#*.}", "tar.gz", NULL},
		{E, "${file##*.}", "gz", NULL},
		{E, "${path#/usr}", "/local/bin:/bin", NULL},
		{E, "${path##/usr}", "/local/bin:/bin", NULL},
		{E, "${path#*/}", "usr/local/bin:/bin", NULL},
		{E, "${path##*/}", "bin", NULL},
		{E, "${path#nothing}", "/usr/local/bin:/bin", NULL},
		{E, "${path##nothing*}", "/usr/local/bin:/bin", NULL},
		{E, "${foo#}", "bar", NULL},
		{E, "${foo##}", "bar", NULL},
		{E, "${foo#b}", "ar", NULL},
		{E, "${foo#ba}", "r", NULL},
		{E, "${foo#bar}", "", NULL},
		{E, "${foo#barx}", "bar", NULL},
		{E, "${foo#a}", "bar", NULL},
		{E, "${foo#?}", "ar", NULL},
		{E, "${foo#??}", "r", NULL},
		{E, "${foo#???}", "", NULL},
		{E, "${foo#????}", "bar", NULL},
		{E, "${foo#*}", "bar", NULL},
		{E, "${foo##*}", "", NULL},
		{E, "${foo#**}", "bar", NULL},
		{E, "${foo#*a}", "r", NULL},
		{E, "${foo#b*}", "ar", NULL},
		{E, "${foo##b*}", "", NULL},
		{E, "${aaa#a}", "aa", NULL},
		{E, "${aaa##a}", "aa", NULL},
		{E, "${aaa##a*a}", "", NULL},
		{E, "${aaa#a*a}", "a", NULL},
		{E, "${abab##*b}", "", NULL},
		{E, "${abab#*b}", "ab", NULL},
		{E, "${empty#x}", "", NULL},
		{E, "${empty#*}", "", NULL},
		{E, "${unset#x}", "", NULL},
		{E, "${unset##*}", "", NULL},
		{E, "${uni#?}", "lu\xc5\xa5", NULL}, /* a character, not a byte */
		{E, "${uni#\xc5\xbe}", "lu\xc5\xa5", NULL},
		{E, "${bin#a?}", "b", NULL},
		{E, "${lf#*}", "one\ntwo", NULL},
		{E, "${lf##*}", "\ntwo", NULL}, /* a star stops at LF */
		{E, "${lf#one?}", "one\ntwo", NULL},
		{E, "${lf#one\n}", "two", NULL},
		{E, "${brackets#[}", "x]y", NULL}, /* no sets */
		{E, "${brackets#[x]}", "y", NULL},
		{E, "${brackets#[a-z]}", "[x]y", NULL},
		{E, "${foo#$foo}", "", NULL},
		{E, "${foo#${unset:-b}}", "ar", NULL},
		{E, "${foo#\"b\"}", "ar", NULL},
		{E, "${foo#'b'}", "ar", NULL},
		{E, "${foo#'*'}", "bar", NULL},
		{E, "${foo##'*'}", "", NULL}, /* quotes do not make a star literal */
		{BS, "${star#a\\*}", "b?c", NULL},
		{BS, "${star#a\\*b\\?}", "c", NULL},
		{BS, "${foo#\\*}", "bar", NULL},
		{BS, "${brace#a\\}}", "b", NULL},
		{BS, "${slash#a\\/}", "b/c", NULL},
		{E, "${slash#a/}", "b/c", NULL},
		{BS, "${bs#a\\\\}", "b", NULL},
		{BT, "${star#a\\*}", "b?c", NULL}, /* patterns always use a backslash */
		{BT, "${bs#a\\\\}", "b", NULL},
		{E, "${num###}", "42", NULL},
		{BS, "${foo#\\b}", NULL, "invalid escape '\\b'"},
		{BS, "${foo#\\$}", NULL, "invalid escape '\\$'"},
		{BS, "${foo#a\\.b}", NULL, "invalid escape '\\.'"},
		{BT, "${foo#\\b}", NULL, "invalid escape '\\b'"},
		{E, "${foo#'\\'}", NULL, "invalid escape '\\'"},
		{E, "${foo:#b}", NULL, "unsupported modifier (:#) in substitution"},
		{E, "${foo:##b}", NULL, "unsupported modifier (:#) in substitution"},
		{E, "${foo#b", NULL, "missing '}'"},
		{E, "${foo##", NULL, "missing '}'"},
		{E, "${foo#", NULL, "missing '}'"},
	};

	CHECK_ROWS(rows);
}

static void test_expand__suffixes(void)
{
	static const struct row rows[] = {
		{E, "${file%.*}", "archive.tar", NULL},
		{E, "${file%%.*}", "archive", NULL},
		{E, "${file%.gz}", "archive.tar", NULL},
		{E, "${file%.zip}", "archive.tar.gz", NULL},
		{E, "${path%/*}", "/usr/local/bin:", NULL},
		{E, "${path%%/*}", "", NULL},
		{E, "${path%:*}", "/usr/local/bin", NULL},
		{E, "${foo%}", "bar", NULL},
		{E, "${foo%%}", "bar", NULL},
		{E, "${foo%r}", "ba", NULL},
		{E, "${foo%ar}", "b", NULL},
		{E, "${foo%bar}", "", NULL},
		{E, "${foo%xbar}", "bar", NULL},
		{E, "${foo%a}", "bar", NULL},
		{E, "${foo%?}", "ba", NULL},
		{E, "${foo%%?}", "ba", NULL},
		{E, "${foo%*}", "bar", NULL},
		{E, "${foo%%*}", "", NULL},
		{E, "${foo%a*}", "b", NULL},
		{E, "${foo%*r}", "ba", NULL},
		{E, "${foo%%*r}", "", NULL},
		{E, "${aaa%a}", "aa", NULL},
		{E, "${aaa%%a}", "aa", NULL},
		{E, "${aaa%%a*}", "", NULL},
		{E, "${aaa%a*}", "aa", NULL},
		{E, "${abab%b*}", "aba", NULL},
		{E, "${abab%%b*}", "a", NULL},
		{E, "${abab%a*b}", "ab", NULL},
		{E, "${abab%%a*b}", "", NULL},
		{E, "${empty%x}", "", NULL},
		{E, "${unset%%*}", "", NULL},
		{E, "${uni%?}", "\xc5\xbelu", NULL},
		{E, "${uni%\xc5\xa5}", "\xc5\xbelu", NULL},
		{E, "${lf%%*}", "one\n", NULL},
		{E, "${lf%\n*}", "one", NULL},
		{E, "${brackets%]y}", "[x", NULL},
		{BS, "${star%\\?c}", "a*b", NULL},
		{BT, "${star%\\?c}", "a*b", NULL},
		{BS, "${brace%\\}b}", "a", NULL},
		{BS, "${bs%\\\\b}", "a", NULL},
		{E, "${slash%/*}", "a/b", NULL},
		{E, "${slash%%/*}", "a", NULL},
		{E, "\"${file%.*}\"", "archive.tar", NULL},
		{E, "\"${file%\".gz\"}\"", "archive.tar", NULL},
		{BS, "\"${star%\"\\?c\"}\"", "a*b", NULL}, /* raw also inside quotes */
		{BS, "${foo%\\r}", NULL, "invalid escape '\\r'"},
		{E, "${foo:%r}", NULL, "unsupported modifier (:%) in substitution"},
		{E, "${foo:%%r}", NULL, "unsupported modifier (:%) in substitution"},
		{E, "${foo%", NULL, "missing '}'"},
		{E, "${foo%%r", NULL, "missing '}'"},
	};

	CHECK_ROWS(rows);
}

static void test_expand__replacements(void)
{
	static const struct row rows[] = {
		{E, "${foo/a/o}", "bor", NULL},
		{E, "${foo/ar/}", "b", NULL},
		{E, "${foo/x/y}", "bar", NULL},
		{E, "${aaa/a/b}", "baa", NULL},
		{E, "${aaa//a/b}", "bbb", NULL},
		{E, "${aaa//aa/b}", "ba", NULL},
		{E, "${aaa//a/}", "", NULL},
		{E, "${aaa//x/y}", "aaa", NULL},
		{E, "${abab//ab/x}", "xx", NULL},
		{E, "${abab/b*/x}", "ax", NULL}, /* leftmost, as long as possible */
		{E, "${abab//b?/x}", "axb", NULL},
		{E, "${abab//?/x}", "xxxx", NULL},
		{E, "${abab//*/x}", "x", NULL},
		{E, "${abab/*b/x}", "x", NULL},
		{E, "${abab/a*a/x}", "xb", NULL},
		{E, "${file//./-}", "archive-tar-gz", NULL},
		{E, "${file/./-}", "archive-tar.gz", NULL},
		{E, "${file/.*/}", "archive", NULL},
		{E, "${path//:/ }", "/usr/local/bin /bin", NULL},
		{E, "${path/bin/sbin}", "/usr/local/sbin:/bin", NULL},
		{E, "${path//bin/sbin}", "/usr/local/sbin:/sbin", NULL},
		{E, "${foo/a/$num}", "b42r", NULL},
		{E, "${foo/a/${num}}", "b42r", NULL},
		{E, "${foo/$foo/x}", "x", NULL},
		{E, "${foo/${unset:-a}/x}", "bxr", NULL},
		{E, "${foo/'a'/'o'}", "bor", NULL},
		{E, "${foo/\"a\"/\"o o\"}", "bo or", NULL},
		{E, "${foo/'/'/x}", "bar", NULL},
		{E, "${slash/'/'/x}", "axb/c", NULL},
		{E, "${slash//'/'/x}", "axbxc", NULL},
		{BS, "${slash/\\//x}", "axb/c", NULL},
		{BS, "${slash//\\//x}", "axbxc", NULL},
		{BS, "${slash//b/\\/}", "a/\\//c", NULL}, /* the replacement stays raw */
		{E, "${foo/a//}", "b/r", NULL},
		{E, "${foo/a/x/y}", "bx/yr", NULL},
		{E, "${foo//x}", NULL, "missing '/' in ${"}, /* "//" means all */
		{E, "${foo///x}", "xbxaxrx", NULL},
		{E, "${foo/''/x}", "xbar", NULL}, /* an empty pattern matches at the start */
		{E, "${foo//''/-}", "-b-a-r-", NULL},
		{E, "${empty/x/y}", "", NULL},
		{E, "${empty/*/y}", "y", NULL},
		{E, "${empty//*/y}", "y", NULL},
		{E, "${unset/x/y}", "", NULL},
		{E, "${uni/?/z}", "zlu\xc5\xa5", NULL},
		{E, "${uni//?/z}", "zzzz", NULL},
		{E, "${uni/\xc5\xa5/t}", "\xc5\xbelut", NULL},
		{E, "${lf/*/x}", "x\ntwo", NULL},
		{E, "${lf//*/x}", "x\nx", NULL},
		{E, "${lf//\n/,}", "one,two", NULL},
		{E, "${brackets//[/(}", "(x]y", NULL},
		{E, "${brackets/[x]/z}", "zy", NULL},
		{BS, "${star//\\*/+}", "a+b?c", NULL},
		{BT, "${star//\\*/+}", "a+b?c", NULL},
		{BS, "${star//\\?/+}", "a*b+c", NULL},
		{BS, "${brace/\\}/+}", "a+b", NULL},
		{BS, "${bs//\\\\/+}", "a+b", NULL},
		{E, "${foo/a/$unset}", "br", NULL},
		{E, "${foo/a/}x", "brx", NULL},
		{E, "\"${foo/a/ }\"", "b r", NULL},
		{BS, "${foo/\\a/x}", NULL, "invalid escape '\\a'"},
		{E, "${foo/a}", NULL, "missing '/' in ${"},
		{E, "${foo/}", NULL, "missing '/' in ${"},
		{E, "${foo/", NULL, "missing '/' in ${"},
		{E, "${foo//", NULL, "missing '/' in ${"},
		{E, "${foo/a/", NULL, "missing '}'"},
		{E, "${foo/a/b", NULL, "missing '}'"},
		{E, "${foo:/a/b}", NULL, "unsupported modifier (:/) in substitution"},
		{E, "${foo:1:2}", NULL, "unsupported modifier (:1) in substitution"},
	};

	CHECK_ROWS(rows);
}

static void test_expand__syntax_errors(void)
{
	static const struct row rows[] = {
		{E, "${}", NULL, "syntax error: bad substitution"},
		{E, "${:}", NULL, "syntax error: bad substitution"},
		{E, "${:-x}", NULL, "syntax error: bad substitution"},
		{E, "${{foo}}", NULL, "syntax error: bad substitution"},
		{E, "${ foo}", NULL, "syntax error: bad substitution"},
		{E, "${+x}", NULL, "syntax error: bad substitution"},
		{E, "${/a/b}", NULL, "syntax error: bad substitution"},
		{E, "${%x}", NULL, "syntax error: bad substitution"},
		{E, "${.}", NULL, "syntax error: bad substitution"},
		{E, "${", NULL, "syntax error: missing '}'"},
		{E, "a${", NULL, "syntax error: missing '}'"},
		{E, "${foo", NULL, "syntax error: missing '}'"},
		{E, "${foo:", NULL, "syntax error: missing '}'"},
		{E, "\"${foo", NULL, "syntax error: missing '}'"},
		{E, "${foo }", NULL, "unsupported modifier ( ) in substitution"},
		{E, "${foo.x}", NULL, "unsupported modifier (.) in substitution"},
		{E, "${foo=x}", NULL, "unsupported modifier (=) in substitution"},
		{E, "${foo:=x}", NULL, "unsupported modifier (:=) in substitution"},
		{E, "${foo^}", NULL, "unsupported modifier (^) in substitution"},
		{E, "${foo^^}", NULL, "unsupported modifier (^) in substitution"},
		{E, "${foo,}", NULL, "unsupported modifier (,) in substitution"},
		{E, "${foo@Q}", NULL, "unsupported modifier (@) in substitution"},
		{E, "${foo[0]}", NULL, "unsupported modifier ([) in substitution"},
		{E, "${foo$}", NULL, "unsupported modifier ($) in substitution"},
		{E, "${foo{}", NULL, "unsupported modifier ({) in substitution"},
		{E, "${foo:}", NULL, "unsupported modifier (:}) in substitution"},
		{E, "${foo::-x}", NULL, "unsupported modifier (::) in substitution"},
		{E, "${foo\xe2\x80\xa6}", NULL, "unsupported modifier (\xe2\x80\xa6)"},
		{E, "${foo\x1b}", NULL, "unsupported modifier () in substitution"},
		{E, "\x1b${}", NULL, "failed to process \"\\x1b${}\": syntax error"},
	};

	CHECK_ROWS(rows);
}

static void test_expand__limits(void)
{
	struct rb_env env = make_env();
	struct rb_buf b = RB_BUF_INIT;
	struct rb_error *err = NULL;

	/* One after the other is not one in the other. */
	for (int i = 0; i < 100; i++)
		rb_buf_addstr(&b, "${unset:-${empty:-x}}${foo#bar}");
	char *flat = rb_expand(b.ptr, '\\', &env, NULL, &err);
	CHECK_OK(&err);
	CHECK(flat && strlen(flat) == 100);
	free(flat);
	rb_buf_clear(&b);
	for (int i = 0; i < 1000; i++)
		rb_buf_addstr(&b, "${unset:-");
	CHECK(!rb_expand(b.ptr, '\\', &env, NULL, &err));
	CHECK_ERR(&err, "nested more than 64 deep");

	rb_buf_clear(&b);
	for (int i = 0; i < 4096; i++)
		rb_buf_addstr(&b, "0123456789abcdef");
	rb_env_set(&env, "big", b.ptr);
	rb_buf_clear(&b);
	for (int i = 0; i < 300; i++)
		rb_buf_addstr(&b, "$big");
	CHECK(!rb_expand(b.ptr, '\\', &env, NULL, &err));
	CHECK_ERR(&err, "expands to more than 1048576 bytes");
	CHECK(!rb_expand("${big//?/$big}", '\\', &env, NULL, &err));
	CHECK_ERR(&err, "expands to more than 1048576 bytes");

	rb_buf_clear(&b);
	rb_buf_addstr(&b, "${foo#");
	for (int i = 0; i < 1025; i++)
		rb_buf_addstr(&b, "*");
	rb_buf_addstr(&b, "}");
	CHECK(!rb_expand(b.ptr, '\\', &env, NULL, &err));
	CHECK_ERR(&err, "pattern is longer than 1024 characters");
	CHECK(!rb_expand(b.ptr, '\\', &env, NULL, &err));
	CHECK_ERR(&err, "***\"...: pattern"); /* a long word is not shown whole */
	rb_buf_clear(&b);
	rb_env_clear(&env);
}

static void test_expand__split(void)
{
	static const struct {
		const char *word;
		const char *want; /* words joined by '|' */
	} rows[] = {
		{"80", "80"},
		{"", ""},
		{"  ", ""},
		{"80 443", "80|443"},
		{" 80\t443 ", "80|443"},
		{"$sp", "a|b"},
		{"x$sp", "xa|b"},
		{"$sp$sp", "a|ba|b"},
		{"\"$sp\"", "a  b"},
		{"'a b'", "a b"},
		{"a\\ b", "a b"},
		{"$empty", ""},
		{"$unset 80", "80"},
		{"''", ""},
		{"${unset:-80 443}", "80|443"},
		{"${unset:-'80 443'}", "80|443"}, /* a substitution is split as a whole */
		{"\"${unset:-80 443}\"", "80 443"},
		{"$lf", "one|two"},
		{"a\xc2\xa0"
		 "b",
		 "a|b"}, /* no-break space */
		{"\xc5\xbe \xc5\xbe", "\xc5\xbe|\xc5\xbe"},
		{"$num/tcp $foo", "42/tcp|bar"},
	};
	struct rb_env env = make_env();

	for (size_t i = 0; i < RB_ARRAY_LEN(rows); i++) {
		struct rb_strv words = RB_STRV_INIT;
		struct rb_buf joined = RB_BUF_INIT;
		struct rb_error *err = NULL;

		CHECK_INT(rb_expand_split(rows[i].word, '\\', &env, NULL, &words, &err), 0);
		CHECK_OK(&err);
		for (size_t j = 0; j < words.n; j++)
			rb_buf_addf(&joined, "%s%s", j ? "|" : "", words.v[j]);
		CHECK_STR(joined.ptr, rows[i].want);
		rb_buf_clear(&joined);
		rb_strv_clear(&words);
	}
	rb_env_clear(&env);
}

static void test_expand__split_failure_adds_nothing(void)
{
	struct rb_env env = {0};
	struct rb_strv words = RB_STRV_INIT;
	struct rb_error *err = NULL;

	rb_strv_add(&words, "before");
	CHECK_INT(rb_expand_split("80 443 ${", '\\', &env, NULL, &words, &err), -1);
	CHECK_ERR(&err, "failed to process \"80 443 ${\": syntax error: missing '}'");
	CHECK_INT(words.n, 1);
	rb_strv_clear(&words);
}

static void test_expand__heredoc(void)
{
	static const struct {
		const char *body;
		const char *want;
	} rows[] = {
		{"", ""},
		{"plain\n", "plain\n"},
		{"$foo\n", "bar\n"},
		{"${foo:+x}\n", "x\n"},
		{"it's $foo\n", "it's bar\n"},
		{"\"$foo\"\n", "\"bar\"\n"},
		{"'$foo'\n", "'bar'\n"},
		{"\\$foo\n", "$foo\n"},
		{"\\\\\n", "\\\n"},
		{"\\n\n", "n\n"},
		{"a\\\nb\n", "a\nb\n"},
		{"`$foo`\n", "`bar`\n"},
		{"${unset:-\"x\"}\n", "\"x\"\n"},
		{"$\n", "$\n"},
		{"\\", ""},
		{"\t$foo\r\n", "\tbar\r\n"},
	};
	struct rb_env env = make_env();
	struct rb_error *err = NULL;

	for (size_t i = 0; i < RB_ARRAY_LEN(rows); i++) {
		char *got = rb_expand_heredoc(rows[i].body, &env, NULL, &err);

		CHECK_OK(&err);
		CHECK_STR(got, rows[i].want);
		free(got);
	}
	CHECK(!rb_expand_heredoc("a ${foo\nb\n", &env, NULL, &err));
	CHECK_ERR(&err, "failed to process the here-document: unsupported modifier");
	rb_env_clear(&env);
}

static void test_expand__reports_undefined(void)
{
	struct rb_env env = make_env();
	struct rb_expand_report report = {RB_STRV_INIT};
	struct rb_error *err = NULL;
	char *got = rb_expand(
		"$zz $foo ${yy} $zz ${dd:-x} ${ff:+x} $1 $@ ${pp#x} ${foo:-$qq} ${dd:-$ww}", '\\',
		&env, &report, &err);

	CHECK_OK(&err);
	free(got);
	CHECK_INT(report.undefined.n, 4);
	CHECK_STR(report.undefined.v[0], "zz");
	CHECK_STR(report.undefined.v[1], "yy");
	CHECK_STR(report.undefined.v[2], "pp");
	CHECK_STR(report.undefined.v[3], "ww");
	rb_strv_clear(&report.undefined);
	rb_env_clear(&env);
}

static void test_env__keeps_order(void)
{
	struct rb_env env = {0}, copy = {0};
	struct rb_strv v = RB_STRV_INIT;

	rb_env_set(&env, "A", "1");
	rb_env_set(&env, "B", "2");
	rb_env_set(&env, "C", "");
	rb_env_set(&env, "A", "3");
	rb_env_set(&env, "B", rb_env_get(&env, "B"));
	CHECK_STR(rb_env_get(&env, "A"), "3");
	CHECK_STR(rb_env_get(&env, "C"), "");
	CHECK(!rb_env_get(&env, "a"));
	rb_env_set(&copy, "gone", "x");
	rb_env_copy(&copy, &env);
	rb_env_unset(&env, "A");
	rb_env_unset(&env, "not there");
	CHECK(!rb_env_get(&env, "A"));
	rb_env_set(&env, "A", "4");
	rb_env_to_strv(&env, &v);
	rb_env_to_strv(&copy, &v);
	static const char *const want[] = {"B=2", "C=", "A=4", "A=3", "B=2", "C="};
	CHECK_INT(v.n, RB_ARRAY_LEN(want));
	for (size_t i = 0; i < v.n && i < RB_ARRAY_LEN(want); i++)
		CHECK_STR(v.v[i], want[i]);
	rb_strv_clear(&v);
	rb_env_clear(&env);
	rb_env_clear(&copy);
	CHECK_INT(env.n, 0);
}

static void test_expand__known_only(void)
{
	static const struct {
		const char *text, *want;
	} rows[] = {
		{"", ""},
		{"a $foo${num}$unset ${unset}", "a bar42$unset ${unset}"},
		{"${foo:+$num} ${unset:-$num} ${file%%.*}", "42 ${unset:-42} archive"},
		{"'$foo' \"$foo '$foo'\" \\$foo \\\\$foo", "'$foo' \"bar 'bar'\" \\$foo \\\\bar"},
		{"$dollar $ $", "$foo $ $"},
		{"${foo ${foo^} ${empty:?no} ${}", "${foo ${foo^} ${empty:?no} ${}"},
		{"'$foo", "'bar"},
		{"$foo\\", "bar\\"},
	};
	struct rb_env env = make_env();

	for (size_t i = 0; i < RB_ARRAY_LEN(rows); i++) {
		RB_CLEANUP(rb_strp) char *got = rb_expand_known(rows[i].text, '\\', &env);

		CHECK_STR(got, rows[i].want);
	}
	RB_CLEANUP(rb_strp) char *backtick = rb_expand_known("`$foo \\$foo", '`', &env);
	CHECK_STR(backtick, "`$foo \\bar");
	rb_env_clear(&env);
}

int main(void)
{
	return tap_run((const struct tap_test[]){
		TAP(test_expand__plain_words),
		TAP(test_expand__names),
		TAP(test_expand__special_names),
		TAP(test_expand__quotes),
		TAP(test_expand__escapes),
		TAP(test_expand__default_and_alternate),
		TAP(test_expand__required),
		TAP(test_expand__prefixes),
		TAP(test_expand__suffixes),
		TAP(test_expand__replacements),
		TAP(test_expand__syntax_errors),
		TAP(test_expand__limits),
		TAP(test_expand__known_only),
		TAP(test_expand__split),
		TAP(test_expand__split_failure_adds_nothing),
		TAP(test_expand__heredoc),
		TAP(test_expand__reports_undefined),
		TAP(test_env__keeps_order),
		TAP_END,
	});
}
