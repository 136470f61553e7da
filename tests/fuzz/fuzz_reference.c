// SPDX-License-Identifier: Apache-2.0
/* Image references and platforms: what is accepted means the same after it was written and read
 * again. */
#include <stdlib.h>
#include <string.h>

#include "image/platform.h"
#include "image/reference.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must_mean(const char *text, const char *full)
{
	struct rb_ref ref = {0};
	struct rb_error *err = NULL;

	if (rb_ref_parse(text, &ref, &err) < 0)
		abort();
	RB_CLEANUP(rb_strp) char *again = rb_ref_text(&ref);
	if (!rb_streq(again, full))
		abort();
	rb_ref_clear(&ref);
}

static void check_reference(const char *text)
{
	struct rb_ref ref = {0};
	struct rb_error *err = NULL;

	if (rb_ref_parse(text, &ref, &err) < 0) {
		rb_error_drop(&err); /* refusing is fine */
		return;
	}
	RB_CLEANUP(rb_strp) char *full = rb_ref_text(&ref);
	RB_CLEANUP(rb_strp) char *familiar = rb_ref_familiar(&ref);
	must_mean(full, full);
	must_mean(familiar, full);
	rb_ref_clear(&ref);
}

static void check_platform(const char *text)
{
	struct rb_platform p, again;
	struct rb_error *err = NULL;
	char buf[RB_PLATFORM_TEXT_BYTES];

	if (rb_platform_parse(text, &p, &err) < 0) {
		rb_error_drop(&err); /* refusing is fine */
		return;
	}
	if (rb_platform_parse(rb_platform_text(&p, buf), &again, &err) < 0 ||
	    !rb_platform_eq(&p, &again) || rb_platform_match(&p, &again) == 0)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	RB_CLEANUP(rb_strp) char *text = rb_strndup((const char *)data, size);

	check_reference(text);
	check_platform(text);
	return 0;
}
