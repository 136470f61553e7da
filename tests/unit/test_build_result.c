// SPDX-License-Identifier: Apache-2.0
#include "tap.h"

#include "cli/build-result.h"

#define A "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define B "sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

static void test_build_result__comes_back_from_the_worker(void)
{
	static const char *const texts[] = {"", A, A " " B " 123", A " " A " 18446744073709551615"};

	for (size_t i = 0; i < RB_ARRAY_LEN(texts); i++) {
		struct rb_build_result r;
		struct rb_error *err = NULL;

		CHECK_INT(rb_build_result_parse(texts[i], &r, &err), 0);
		CHECK_OK(&err);
		CHECK_INT(r.has_id, i > 0);
		CHECK_INT(r.has_manifest, i > 1);
		RB_CLEANUP(rb_strp) char *text = rb_build_result_text(&r);
		CHECK_STR(text, texts[i]);
	}
}

static void test_build_result__refuses_what_no_worker_sends(void)
{
	static const char *const texts[] = {"x",      "sha256:",     A " " B,
					    A " x 1", A "0 " B " 1", "x " B " 1"};

	for (size_t i = 0; i < RB_ARRAY_LEN(texts); i++) {
		struct rb_build_result r;
		struct rb_error *err = NULL;

		CHECK_INT(rb_build_result_parse(texts[i], &r, &err), -1);
		CHECK_ERR(&err, "malformed result");
	}
}

int main(void)
{
	return tap_run((const struct tap_test[]){
		TAP(test_build_result__comes_back_from_the_worker),
		TAP(test_build_result__refuses_what_no_worker_sends),
		TAP_END,
	});
}
