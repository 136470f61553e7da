// SPDX-License-Identifier: Apache-2.0
#include "solve/mask.h"

#include "tap.h"

static struct rb_mask_set *new_set(const char *const *values)
{
	struct rb_mask_set *set = rb_mask_set_new();

	for (; *values; values++)
		rb_mask_set_add(set, *values, strlen(*values));
	return set;
}

static void check_text(const char *const *values, const char *text, const char *want)
{
	struct rb_mask_set *set = new_set(values);
	RB_CLEANUP(rb_strp) char *got = rb_mask_text(set, text);

	CHECK_STR(got, want);
	rb_mask_set_free(set);
}

#define VALUES(...) ((const char *const[]){__VA_ARGS__, NULL})

static void test_mask__text(void)
{
	check_text(VALUES("hunter22"), "a hunter22 b hunter22", "a **** b ****");
	check_text(VALUES("hunter22"), "hunter2", "hunter2");
	check_text(VALUES("hunter22"), "hunterhunter22", "hunter****");
	check_text(VALUES("hunter22"), "", "");
	check_text(VALUES("hunter22\n"), "(hunter22)", "(****)");
	check_text(VALUES(" \thunter22\r\n\n"), "(hunter22)", "(****)");
	check_text(VALUES("a=b*?[x]"), "a=b*?[x]", "****");
}

static void test_mask__several(void)
{
	/* The longest, and all of what overlaps. */
	check_text(VALUES("abcd", "abcdef"), "xabcdefx abcdx", "x****x ****x");
	check_text(VALUES("abcd", "cdef"), "xabcdefx", "x****x");
	check_text(VALUES("abcdef", "bcde"), "bcde abcdef", "**** ****");
	check_text(VALUES("aaaa"), "aaaaaaa", "****");
	check_text(VALUES("abcabd"), "abcabcabd", "abc****");
}

static void test_mask__lines(void)
{
	static const char key[] =
		"-----BEGIN KEY-----\nQUJDREVG\n  SGVsbG8gd29y\n}\n-----END KEY-----\n";

	check_text(VALUES(key), "> QUJDREVG <\nSGVsbG8gd29y\n}\n", "> **** <\n****\n}\n");
	check_text(VALUES(key), key, "****\n****\n  ****\n}\n****\n");
}

static void test_mask__short(void)
{
	struct rb_mask_set *set = new_set(VALUES("", "\n", "abc", "abc\nabcde\n\n"));

	CHECK(rb_mask_set_is_empty(set));
	rb_mask_set_free(set);
	check_text(VALUES("abcd"), "abcd", "****");
}

static void test_mask__long(void)
{
	struct rb_buf value = RB_BUF_INIT, text = RB_BUF_INIT;

	/* Around the size of a piece, and several of them. */
	for (size_t len = 4090; len < 20000; len += len < 4200 ? 1 : 3333) {
		rb_buf_clear(&value);
		rb_buf_clear(&text);
		for (size_t i = 0; i < len; i++)
			rb_buf_addch(&value, (char)('a' + i * i % 23));
		rb_buf_addf(&text, "<%s>", value.ptr);
		struct rb_mask_set *set = new_set(VALUES(value.ptr));
		RB_CLEANUP(rb_strp) char *got = rb_mask_text(set, text.ptr);
		CHECK_INT(strspn(got + 1, "*"), strlen(got) - 2);
		CHECK(got[0] == '<' && rb_ends_with(got, "*>"));
		rb_mask_set_free(set);
	}
	rb_buf_clear(&value);
	rb_buf_clear(&text);
}

/* --- streams --- */

struct seen {
	struct rb_buf all, of[RB_MASK_STREAMS];
};

static void see(void *ctx, int stream, const char *data, size_t len)
{
	struct seen *seen = ctx;

	rb_buf_add(&seen->all, data, len);
	rb_buf_add(&seen->of[stream - 1], data, len);
}

static void seen_clear(struct seen *seen)
{
	rb_buf_clear(&seen->all);
	rb_buf_clear(&seen->of[0]);
	rb_buf_clear(&seen->of[1]);
}

#define SEEN_INIT                                                                                  \
	{                                                                                          \
		RB_BUF_INIT,                                                                       \
		{                                                                                  \
			RB_BUF_INIT, RB_BUF_INIT                                                   \
		}                                                                                  \
	}

static void test_mask__every_split(void)
{
	static const char text[] = "one s3cr3t-value two s3cr3t-other s3cr3t-valu three";
	static const char want[] = "one **** two **** s3cr3t-valu three";
	struct rb_mask_set *set = new_set(VALUES("s3cr3t-value", "s3cr3t-other", "t-value two"));
	size_t len = strlen(text);

	for (size_t a = 0; a <= len; a++) {
		for (size_t b = a; b <= len; b++) {
			RB_CLEANUP(seen_clear) struct seen seen = SEEN_INIT;
			struct rb_mask *m = rb_mask_new(set);

			rb_mask_feed(m, 1, text, a, see, &seen);
			rb_mask_feed(m, 1, text + a, b - a, see, &seen);
			rb_mask_feed(m, 1, text + b, len - b, see, &seen);
			rb_mask_flush(m, see, &seen);
			/* What overlaps is one. */
			CHECK_STR(seen.all.ptr, "one **** **** s3cr3t-valu three");
			rb_mask_free(m);
		}
	}
	rb_mask_set_free(set);
	check_text(VALUES("s3cr3t-value", "s3cr3t-other"), text, want);
}

static void test_mask__over_two_pipes(void)
{
	static const char value[] = "s3cr3t-value";
	struct rb_mask_set *set = new_set(VALUES(value));
	size_t len = strlen(value);

	for (size_t a = 1; a < len; a++) {
		RB_CLEANUP(seen_clear) struct seen seen = SEEN_INIT;
		struct rb_mask *m = rb_mask_new(set);

		/* A reader of both sees it whole. */
		rb_mask_feed(m, 1, value, a, see, &seen);
		rb_mask_feed(m, 2, value + a, len - a, see, &seen);
		rb_mask_feed(m, 2, ".", 1, see, &seen);
		/* A reader of the first sees it whole. */
		rb_mask_feed(m, 1, value, a, see, &seen);
		rb_mask_feed(m, 2, "between", 7, see, &seen);
		rb_mask_feed(m, 1, value + a, len - a, see, &seen);
		rb_mask_flush(m, see, &seen);
		CHECK(!strstr(seen.all.ptr, value));
		CHECK(!strstr(seen.of[0].ptr, value));
		CHECK_STR(seen.of[0].ptr, "********");
		CHECK_STR(seen.of[1].ptr, ".between");
		rb_mask_free(m);
	}
	rb_mask_set_free(set);
}

static void test_mask__waits_for_what_may_be_one(void)
{
	struct rb_mask_set *set = new_set(VALUES("value1"));
	RB_CLEANUP(seen_clear) struct seen seen = SEEN_INIT;
	struct rb_mask *m = rb_mask_new(set);

	rb_mask_feed(m, 1, "ready\n", 6, see, &seen);
	CHECK_STR(seen.all.ptr, "ready\n");
	rb_mask_feed(m, 1, "val", 3, see, &seen);
	CHECK_STR(seen.all.ptr, "ready\n");
	rb_mask_feed(m, 1, "id\n", 3, see, &seen);
	CHECK_STR(seen.all.ptr, "ready\nvalid\n");
	rb_mask_feed(m, 1, "value", 5, see, &seen);
	rb_mask_flush(m, see, &seen);
	CHECK_STR(seen.all.ptr, "ready\nvalid\nvalue");
	rb_mask_free(m);
	rb_mask_set_free(set);
}

int main(void)
{
	return tap_run((const struct tap_test[]){
		TAP(test_mask__text), TAP(test_mask__several), TAP(test_mask__lines),
		TAP(test_mask__short), TAP(test_mask__long), TAP(test_mask__every_split),
		TAP(test_mask__over_two_pipes), TAP(test_mask__waits_for_what_may_be_one),
		TAP_END});
}
