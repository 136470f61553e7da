/* SPDX-License-Identifier: Apache-2.0 */
/* Ignore rules: dockerfile.md 5.2. */
#include <time.h>

#include "base/buf.h"
#include "context/context.h"
#include "tap.h"

static struct rb_ignore *parse(const char *text)
{
	struct rb_error *err = NULL;
	struct rb_ignore *ig = NULL;

	(void)rb_ignore_parse(text, strlen(text), ".dockerignore", &ig, &err);
	CHECK_OK(&err);
	return ig;
}

/* One file and what it says about paths: those before the "|" are excluded, those after it are not.
 */
static const struct {
	const char *text;
	const char *paths;
} rows[] = {
	/* literal, anchored at the root, with all below */
	{"foo", "foo foo/bar foo/bar/baz | . x/foo foobar fo oo"},
	{"/foo", "foo foo/bar | x/foo"},
	{"foo/", "foo foo/bar | x"},
	{"./a//b/../c/", "a/c a/c/d | a a/b a/b/c"},
	{"a/b", "a/b a/b/c | a b a/bc x/a/b"},
	{"../a", "| a b"},
	{"/", "| a ."},
	{".", "| a ."},
	/* one component */
	{"*.o", "x.o .o x.o/y | d/x.o x.oo"},
	{"*", "a a/b .c | ."},
	{"*/*.o", "a/x.o a/x.o/b | x.o a/b/x.o"},
	{"a?c", "abc axc/d | ac a/c abbc"},
	{"a[bc]d", "abd acd | aad ad"},
	{"a[^bc]d", "aad azd | abd acd"},
	{"a[!b]", "a! ab | ac"},
	{"a\\*b", "a*b | axb ab"},
	{"a\\[b]", "a[b] | ab"},
	{"a.b", "a.b | axb"},
	{"a+b", "a+b | aab"},
	{"(a|b)$", "(a|b)$ | a b"},
	{"a{1}", "a{1} | a"},
	{"^a", "^a | a"},
	{"a]", "a] | a"},
	/* any depth */
	{"**", "a a/b a/b/c .x | ."},
	{"**/foo", "foo a/foo a/b/foo a/foo/x | afoo foob a/foob a/xfoo"},
	{"**/*.o", "x.o a/x.o a/b/x.o a/x.o/y | a a/b x.c"},
	{"**/a/b", "a/b x/a/b x/y/a/b/z | a b a/x/b xa/b"},
	{"a/**", "a/b a/b/c | a ab b/a"},
	{"a/**/b", "a/b a/x/b a/x/y/b a/b/c | a b ab a/xb x/a/b"},
	{"a/**/*.c", "a/x.c a/b/x.c | x.c ax.c"},
	{"**/a/**", "a/b x/a/b x/y/a/b/c | a x/a b"},
	{"**/a/**/b", "a/b a/x/b y/a/x/b | a b x/ab"},
	{"**/**", "a a/b | ."},
	{"**/**/x", "x a/x a/b/x | ax"},
	{"**/?", "a b/c ab/c/de | ab cd.e/fg"},
	{"a/***/b", "a/x/b a/b/b | a"},
	/* without slashes */
	{"**foo", "foo afoo a/foo a/bfoo a/bfoo/x | foob fo"},
	{"foo**", "foo foob foo/b foob/c/d | afoo a/foo"},
	{"a**b", "ab ax/b ax/y/b a/b | axb axyb"},
	{"**foo*", "foo fooa x/foo x/foob | xfoo"},
	{"a**", "a ab a/b | b ba"},
	{"a/b**", "a/b a/bc a/bc/d | a b a/cb"},
	/* order and exceptions */
	{"*\n!b", "a c | b b/x"},
	{"!b\n*", "a b b/x | ."},
	{"a\n!a/b", "a a/c | a/b a/b/c"},
	{"a\n!a/b\na/b/c", "a a/b/c a/b/c/d a/x | a/b a/b/x"},
	{"*\n!*.md\nREADME.md", "a README.md | b.md c.md/x"},
	{"**\n!**/*.go", "a a/b x/y | m.go a/m.go a/b/m.go"},
	{"docs\n!docs\n", "| docs docs/x"},
	{"!a", "| a b"},
	{"* \n! b", "a | b b/c"},
	{"*\n!./b/", "a | b b/c"},
	{"*\n!/b", "a | b b/c"},
	{"a/*\n!a/b", "a/c a/c/d | a a/b a/b/x"},
	/* the file format */
	{"# a\n#b\na", "a | #b b"},
	{" #a", "#a | a"},
	{"\xef\xbb\xbf# x\na", "a | x"},
	{"\xef\xbb\xbf"
	 "a",
	 "a | b"},
	{"\r\n  a  \r\n\t\n", "a | b"},
	/* All white space that Unicode knows. */
	{"\xc2\xa0"
	 "a\xe3\x80\x80\n!\xe2\x80\x83"
	 "a\xc2\x85\n\xe2\x80\x8b"
	 "b\n",
	 "\xe2\x80\x8b"
	 "b | a b"},
	{"a b", "| a b"},
	{"", "| a b/c"},
	/* characters */
	{"?.txt", "\xc3\xa9.txt a.txt | ab.txt .txt"},
	{"**/\xc3\xa9*", "\xc3\xa9 a/\xc3\xa9x | \xc3\xa8 e"},
	{"[\xc3\xa0-\xc3\xbf]", "\xc3\xa9 | e \xc5\x93"},
	{"\xff*", "\xff \xff"
		  "a | \xfe a"},
};

static void test_ignore__table(void)
{
	for (size_t i = 0; i < RB_ARRAY_LEN(rows); i++) {
		struct rb_ignore *ig = parse(rows[i].text);
		RB_CLEANUP(rb_strp) char *paths = rb_strdup(rows[i].paths);
		bool want = true;

		for (char *save = NULL, *p = strtok_r(paths, " ", &save); p && ig;
		     p = strtok_r(NULL, " ", &save)) {
			if (rb_streq(p, "|")) {
				want = false;
				continue;
			}
			bool got = rb_ignore_matches(ig, p, NULL);
			if (got != want)
				printf("# rules \"%s\" on \"%s\"\n", rows[i].text, p);
			CHECK_INT(got, want);
		}
		rb_ignore_free(ig);
	}
}

static void test_ignore__deciding_pattern(void)
{
	static const struct {
		const char *path, *pattern;
	} cases[] = {{"a", "*"},        {"b", "! b"}, {"b/c", "b/c/"},
		     {"b/c/d", "b/c/"}, {".", NULL},  {"x.o", "*"}};
	struct rb_ignore *ig = parse("*.o\n*\n ! b \n  b/c/  \n");
	const char *pattern;

	for (size_t i = 0; i < RB_ARRAY_LEN(cases); i++) {
		(void)rb_ignore_matches(ig, cases[i].path, &pattern);
		CHECK_STR(pattern, cases[i].pattern);
	}
	rb_ignore_free(ig);
}

static void test_ignore__may_reinclude(void)
{
	static const struct {
		const char *text, *dir;
		bool want;
	} cases[] = {
		{"a", "a", false},
		{"a\n!b", "a", false},
		{"a\n!a/b", "a", true},
		{"a\n!a/b", "a/c", false},
		{"a\n!a/b/c/d", "a/b", true},
		{"a\n!a/b/c/d", "a/b/x", false},
		{"!a/b\na", "a", false},
		{"*\n!**/*.go", "a/b/c", true},
		{"*\n!*.go", "a", false},
		{"a\n!a/**", "a", true},
		{"a/**\n!a/*/x", "a/q", true},
		{"a/**\n!a/*/x", "a/q/r", false},
		{"a\n!ab/c", "a", false},
		{"a\n!a*/c", "a", true},
		{"a\n!**/x", "a/b/c", true},
	};

	for (size_t i = 0; i < RB_ARRAY_LEN(cases); i++) {
		struct rb_ignore *ig = parse(cases[i].text);
		bool got = rb_ignore_may_reinclude(ig, cases[i].dir);

		if (got != cases[i].want)
			printf("# rules \"%s\" on \"%s\"\n", cases[i].text, cases[i].dir);
		CHECK_INT(got, cases[i].want);
		rb_ignore_free(ig);
	}
}

static void test_ignore__errors(void)
{
	static const struct {
		const char *text, *error;
	} cases[] = {
		{"a\n!\n", ".dockerignore:2: illegal exclusion pattern: \"!\""},
		{"! ", ".dockerignore:1: illegal exclusion pattern: \"!\""},
		{"\n\n[a", ".dockerignore:3: syntax error in pattern: \"[a\""},
		{"a[]b]", "syntax error in pattern: \"a[]b]\""},
		{"!x[z-", "syntax error in pattern: \"!x[z-\""},
		{"a\\", "syntax error in pattern: \"a\\\""},
	};
	struct rb_error *err = NULL;
	struct rb_ignore *ig = NULL;

	for (size_t i = 0; i < RB_ARRAY_LEN(cases); i++) {
		CHECK_INT(rb_ignore_parse(cases[i].text, strlen(cases[i].text), ".dockerignore",
					  &ig, &err),
			  -1);
		CHECK_INT(err ? err->code : 0, RB_ERR_CONTEXT);
		CHECK_ERR(&err, cases[i].error);
	}
	CHECK_INT(rb_ignore_parse("a\0b", 3, "f", &ig, &err), -1);
	CHECK_ERR(&err, "f:1: syntax error");
	char *big = rb_calloc(1, (1 << 20) + 1);
	CHECK_INT(rb_ignore_parse(big, (1 << 20) + 1, "f", &ig, &err), -1);
	CHECK_ERR(&err, "f is larger than the limit");
	free(big);
}

/* Many states: what is thrown away is made again, with the same answers. */
static void test_ignore__many_patterns(void)
{
	RB_CLEANUP(rb_buf_clear) struct rb_buf text = RB_BUF_INIT;
	struct timespec t0, t1;
	unsigned excluded = 0;
	char path[128];

	for (unsigned i = 0; i < 1000; i++) {
		static const char *const shapes[][2] = {{"dir", "/sub"},
							{"**/*.x", ""},
							{"**/name", ""},
							{"a/**/b", "/*.c"},
							{"file", "*"}};

		rb_buf_addf(&text, "%s%u%s\n", shapes[i % 5][0], i, shapes[i % 5][1]);
	}
	struct rb_ignore *ig = parse(text.ptr);
	(void)clock_gettime(CLOCK_MONOTONIC, &t0);
	for (unsigned i = 0; i < 100000; i++) {
		(void)snprintf(path, sizeof(path), "src/module%u/part%u/source%u.x%u", i % 97,
			       i % 1009, i, i % 2000);
		excluded += rb_ignore_matches(ig, path, NULL);
	}
	(void)clock_gettime(CLOCK_MONOTONIC, &t1);
	/* i % 2000 < 1000 and == 1 mod 5: 200 of 2000 */
	CHECK_INT(excluded, 10000);
	printf("# 1000 patterns, 100000 paths: %.0f ms\n",
	       (double)(t1.tv_sec - t0.tv_sec) * 1e3 + (double)(t1.tv_nsec - t0.tv_nsec) / 1e6);
	rb_ignore_free(ig);
}

/* More states than the cache holds. */
static void test_ignore__cache_overflow(void)
{
	RB_CLEANUP(rb_buf_clear) struct rb_buf text = RB_BUF_INIT;
	char path[64];

	for (unsigned i = 0; i < 3000; i++)
		rb_buf_addf(&text, "**/%u*%u\n", i * 7919 % 100003, i);
	struct rb_ignore *ig = parse(text.ptr);
	for (unsigned round = 0; round < 2; round++) {
		for (unsigned i = 0; i < 3000; i++) {
			(void)snprintf(path, sizeof(path), "d%u/%u-x-%u", i, i * 7919 % 100003, i);
			CHECK(rb_ignore_matches(ig, path, NULL));
			(void)snprintf(path, sizeof(path), "d%u/%u-x-%uy", i, i * 7919 % 100003, i);
			CHECK(!rb_ignore_matches(ig, path, NULL));
		}
	}
	rb_ignore_free(ig);
}

int main(void)
{
	return tap_run((const struct tap_test[]){
		TAP(test_ignore__table), TAP(test_ignore__deciding_pattern),
		TAP(test_ignore__may_reinclude), TAP(test_ignore__errors),
		TAP(test_ignore__many_patterns), TAP(test_ignore__cache_overflow), TAP_END});
}
