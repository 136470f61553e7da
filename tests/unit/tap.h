/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Test Anything Protocol for unit tests: one main per file, tests as a table, checks that say what they saw.
 *
 *	static void test_buf__grows(void) { CHECK_INT(b.len, 3); CHECK_STR(b.ptr, "abc"); }
 *	int main(void) { return tap_run((const struct tap_test[]){TAP(test_buf__grows), TAP_END}); }
 *
 * A failed check is reported with file and line and the test goes on; a test with a failed check is "not ok".
 */
#ifndef RB_TESTS_TAP_H
#define RB_TESTS_TAP_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "base/error.h"

struct tap_test {
	const char *name;
	void (*fn)(void);
};

#define TAP(fn)  {#fn, fn}
#define TAP_END  {NULL, NULL}

static unsigned tap_failures __attribute__((unused));

#define CHECK(cond)                                                                                \
	do {                                                                                       \
		if (!(cond)) {                                                                     \
			tap_failures++;                                                            \
			printf("# %s:%d: not true: %s\n", __FILE__, __LINE__, #cond);              \
		}                                                                                  \
	} while (0)

#define CHECK_INT(got, want)                                                                       \
	do {                                                                                       \
		long long got_ = (long long)(got), want_ = (long long)(want);                      \
		if (got_ != want_) {                                                               \
			tap_failures++;                                                            \
			printf("# %s:%d: %s is %lld, not %lld\n", __FILE__, __LINE__, #got, got_,  \
			       want_);                                                             \
		}                                                                                  \
	} while (0)

#define CHECK_STR(got, want) tap_check_str(__FILE__, __LINE__, #got, (got), (want))

static inline void tap_check_str(const char *file, int line, const char *what, const char *got,
				 const char *want)
{
	if ((got == NULL) != (want == NULL) || (got && strcmp(got, want) != 0)) {
		tap_failures++;
		printf("# %s:%d: %s is \"%s\", not \"%s\"\n", file, line, what, got ? got : "(null)",
		       want ? want : "(null)");
	}
}

/* The error's whole text must contain `part`; frees it. */
#define CHECK_ERR(err, part) tap_check_err(__FILE__, __LINE__, (err), (part))

static inline void tap_check_err(const char *file, int line, struct rb_error **err, const char *part)
{
	char *text = *err ? rb_error_text(*err) : NULL;

	if (!text || !strstr(text, part)) {
		tap_failures++;
		printf("# %s:%d: error is \"%s\", lacks \"%s\"\n", file, line, text ? text : "(none)",
		       part);
	}
	free(text);
	rb_error_drop(err);
}

/* No error: prints it otherwise; frees it. */
#define CHECK_OK(err) tap_check_ok(__FILE__, __LINE__, (err))

static inline void tap_check_ok(const char *file, int line, struct rb_error **err)
{
	if (*err) {
		char *text = rb_error_text(*err);

		tap_failures++;
		printf("# %s:%d: unexpected error: %s\n", file, line, text);
		free(text);
		rb_error_drop(err);
	}
}

static inline int tap_run(const struct tap_test *tests)
{
	size_t n = 0, bad = 0;

	while (tests[n].name)
		n++;
	printf("1..%zu\n", n);
	for (size_t i = 0; i < n; i++) {
		unsigned before = tap_failures;

		tests[i].fn();
		printf("%sok %zu - %s\n", tap_failures == before ? "" : "not ", i + 1, tests[i].name);
		(void)fflush(stdout);
		bad += tap_failures != before;
	}
	return bad ? 1 : 0;
}

#endif
