/* SPDX-License-Identifier: Apache-2.0 */
/* Go's path.Match. */
#include <errno.h>

#include "context/context.h"
#include "tap.h"

static const struct {
	const char *pattern, *path;
	int want;
} rows[] = {
	{"abc", "abc", 1},
	{"", "", 1},
	{"", "a", 0},
	{"*", "abc", 1},
	{"*", "", 1},
	{"*c", "abc", 1},
	{"a*", "a", 1},
	{"a*", "abc", 1},
	{"a*", "ab/c", 0},
	{"a*/b", "abc/b", 1},
	{"a*/b", "a/c/b", 0},
	{"*/*", "a/b", 1},
	{"*/*", "a", 0},
	{"*/*", "a/b/c", 0},
	{"**", "a/b", 0},
	{"**", "ab", 1},
	{"a*b*c*d*e*/f", "axbxcxdxe/f", 1},
	{"a*b*c*d*e*/f", "axbxcxdxexxx/f", 1},
	{"a*b*c*d*e*/f", "axbxcxdxe/xxx/f", 0},
	{"a*b*c*d*e*/f", "axbxcxdxexxx/fff", 0},
	{"a*b?c*x", "abxbbxdbxebxczzx", 1},
	{"a*b?c*x", "abxbbxdbxebxczzy", 0},
	{"ab[c]", "abc", 1},
	{"ab[b-d]", "abc", 1},
	{"ab[e-g]", "abc", 0},
	{"ab[^c]", "abc", 0},
	{"ab[^b-d]", "abc", 0},
	{"ab[^e-g]", "abc", 1},
	{"[a-cx-z]*", "yes", 1},
	{"[a-cx-z]*", "no", 0},
	{"[^]x]a", "ya", -EINVAL},
	{"[!a]", "!", 1},
	{"[!a]", "b", 0},
	{"[\\]a]", "]", 1},
	{"[\\-]", "-", 1},
	{"[x\\-]", "x", 1},
	{"[x\\-]", "-", 1},
	{"[x\\-]", "z", 0},
	{"[\\-x]", "x", 1},
	{"[z-a]", "m", 0},
	{"a\\*b", "a*b", 1},
	{"a\\*b", "ab", 0},
	{"a\\[b", "a[b", 1},
	{"\\a", "a", 1},
	{"a]", "a]", 1},
	{"a?b", "a/b", 0},
	{"a?b", "aXb", 1},
	{"a?b", "ab", 0},
	/* characters, not bytes */
	{"a?b",
	 "a\xe2\x98\xba"
	 "b",
	 1},
	{"a???b",
	 "a\xe2\x98\xba"
	 "b",
	 0},
	{"a[^a]b",
	 "a\xe2\x98\xba"
	 "b",
	 1},
	{"a[^a][^a][^a]b",
	 "a\xe2\x98\xba"
	 "b",
	 0},
	{"[\xce\xb1-\xcf\x89]x", "\xce\xb2x", 1},
	{"[\xce\xb1-\xcf\x89]x", "ax", 0},
	/* a byte that is not UTF-8 is one character, and only itself */
	{"a?b",
	 "a\xff"
	 "b",
	 1},
	{"a\xff"
	 "b",
	 "a\xff"
	 "b",
	 1},
	{"a\xff"
	 "b",
	 "a\xfe"
	 "b",
	 0},
	{"??", "\xe2\x98", 1},
	/* a class may be a slash, as in Go */
	{"a[^b]c", "a/c", 1},
	{"a[/]c", "a/c", 1},
	/* bad patterns, whether or not the text gets that far */
	{"[]a]", "]", -EINVAL},
	{"[-]", "-", -EINVAL},
	{"[x-]", "x", -EINVAL},
	{"[x-]", "z", -EINVAL},
	{"[-x]", "x", -EINVAL},
	{"\\", "a", -EINVAL},
	{"[a-b-c]", "a", -EINVAL},
	{"[", "a", -EINVAL},
	{"[^", "a", -EINVAL},
	{"[^bc", "a", -EINVAL},
	{"[a", "a", -EINVAL},
	{"[a\\", "a", -EINVAL},
	{"a[", "a", -EINVAL},
	{"a[", "ab", -EINVAL},
	{"x[", "a", -EINVAL},
	{"a/b[", "x", -EINVAL},
	{"[\xff]", "a", -EINVAL},
	{"a\\", "b", -EINVAL},
	/* no exponential time */
	{"a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*b",
	 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", 0},
};

static void test_match__as_go(void)
{
	for (size_t i = 0; i < RB_ARRAY_LEN(rows); i++) {
		int got = rb_path_match(rows[i].pattern, rows[i].path);

		if (got != rows[i].want)
			printf("# \"%s\" on \"%s\"\n", rows[i].pattern, rows[i].path);
		CHECK_INT(got, rows[i].want);
	}
}

static void test_match__has_wildcard(void)
{
	static const struct {
		const char *pattern;
		bool want;
	} names[] = {
		{"", false},     {"a/b", false},   {"a*", true},   {"?", true},     {"a/[b]", true},
		{"a\\*", false}, {"a\\\\*", true}, {"a\\", false}, {"\\[x", false}, {"a]b", false},
	};

	for (size_t i = 0; i < RB_ARRAY_LEN(names); i++)
		CHECK_INT(rb_path_has_wildcard(names[i].pattern), names[i].want);
}

int main(void)
{
	return tap_run((const struct tap_test[]){TAP(test_match__as_go),
						 TAP(test_match__has_wildcard), TAP_END});
}
