// SPDX-License-Identifier: Apache-2.0
/* What ADD of a URL reads from it and from the server (dockerfile.md 3.10), and
 * credentials as headers. */
#include "base/base64.h"
#include "base/buf.h"
#include "context/context-internal.h"
#include "tap.h"

static void test_remote__names(void)
{
	static const struct {
		const char *url, *want;
	} rows[] = {
		{"http://h/a/b.txt", "b.txt"},
		{"http://h/a/b.txt?q=/c#d/e", "b.txt"},
		{"http://h/a/", "a"},
		{"http://h/a//b/./", "b"},
		{"http://h/%61%20b", "a b"},
		{"http://h/a%2Fb", "b"},
		{"http://h", "__unnamed__"},
		{"http://h/", "__unnamed__"},
		{"http://h?x=/y", "__unnamed__"},
		{"http://h/..", "__unnamed__"},
		{"http://h/a/../..", "__unnamed__"},
		{"http://u:p@h/f", "f"},
		{"http://h/%00", NULL},
		{"http://h/a%0ab", NULL},
		{"http://h/%zz", NULL},
	};
	char name[RB_URL_NAME_BYTES], url[RB_URL_NAME_BYTES + 20];
	struct rb_error *err = NULL;

	for (size_t i = 0; i < RB_ARRAY_LEN(rows); i++) {
		int r = rb_url_name(rows[i].url, name, &err);

		CHECK_STR(r < 0 ? NULL : name, rows[i].want);
		rb_error_drop(&err);
	}
	(void)snprintf(url, sizeof(url), "http://h/%0*d", RB_URL_NAME_BYTES, 0);
	CHECK_INT(rb_url_name(url, name, &err), -1);
	CHECK_ERR(&err, "has more than 255 bytes");
}

static void test_remote__dates(void)
{
	static const struct {
		const char *text;
		int64_t want;
	} rows[] = {
		{"Sun, 06 Nov 1994 08:49:37 GMT", 784111777},
		{"Thu, 01 Jan 1970 00:00:00 GMT", 0},
		{"Tue, 29 Feb 2028 23:59:60 GMT", 1835481600},
		{"Fri, 01 Jan 2100 00:00:00 GMT", 4102444800},
		{"", 0},
		{"yesterday", 0},
		{"Sunday, 06-Nov-94 08:49:37 GMT", 0},
		{"Sun, 06 Foo 1994 08:49:37 GMT", 0},
		{"Sun, 06 anF 1994 08:49:37 GMT", 0},
		{"Sun, 06 Nov 1969 08:49:37 GMT", 0},
		{"Sun, 06 Nov 1994 25:49:37 GMT", 0},
		{"Sun, 99 Nov 1994 08:49:37 GMT", 0},
		{"Sun, 06 Nov 99999999 08:49:37 GMT", 0},
		{"Sun, -6 Nov 1994 -8:49:37 GMT", 0},
	};

	for (size_t i = 0; i < RB_ARRAY_LEN(rows); i++)
		CHECK_INT(rb_url_date(rows[i].text), rows[i].want);
}

static void test_remote__base64(void)
{
	static const struct {
		const char *text, *want;
	} rows[] = {
		{"", ""},
		{"f", "Zg=="},
		{"fo", "Zm8="},
		{"foo", "Zm9v"},
		{"foob", "Zm9vYg=="},
		{"fooba", "Zm9vYmE="},
		{"foobar", "Zm9vYmFy"},
		{"\xff\xfe\xfb", "//77"},
	};

	for (size_t i = 0; i < RB_ARRAY_LEN(rows); i++) {
		struct rb_buf b = RB_BUF_INIT;

		rb_base64_encode(rows[i].text, strlen(rows[i].text), &b);
		CHECK_STR(b.ptr, rows[i].want);
		rb_buf_clear(&b);
	}
}

static bool get_secret(void *ctx, const char *id, struct rb_buf *ret)
{
	const char *const *secret = ctx;

	if (!rb_streq(id, secret[0]))
		return false;
	rb_buf_addstr(ret, secret[1]);
	return true;
}

static void test_remote__secrets(void)
{
	static const struct {
		const char *secret[2], *host;
		int result;
		const char *want;
	} rows[] = {
		{{"T_h", "v\n"}, "h", 1, "v"},
		{{"T_h", "v\r\n"}, "h:80", 1, "v"},
		{{"T_h:80", "v"}, "h:80", 1, "v"},
		{{"T_h:80", "v"}, "h", 0, ""},
		{{"T_[::1]", "v w"}, "[::1]:8080", 1, "v w"},
		{{"T_g", "v"}, "h", 0, ""},
		{{"T_h", ""}, "h", -1, ""},
		{{"T_h", "\n"}, "h", -1, ""},
		{{"T_h", "a\r\nX: y"}, "h", -1, ""},
		{{"T_h", "a\x01"}, "h", -1, ""},
	};

	for (size_t i = 0; i < RB_ARRAY_LEN(rows); i++) {
		const char *secret[] = {rows[i].secret[0], rows[i].secret[1]};
		const struct rb_remote_env env = {.secret = get_secret, .ctx = secret};
		struct rb_buf b = RB_BUF_INIT;
		struct rb_error *err = NULL;
		int r = rb_remote_secret(&env, "T_", rows[i].host, &b, &err);

		CHECK_INT(r, rows[i].result);
		if (r >= 0)
			CHECK_STR(b.ptr, rows[i].want);
		rb_error_drop(&err);
		rb_buf_clear(&b);
	}
}

int main(void)
{
	return tap_run((const struct tap_test[]){
		TAP(test_remote__names),
		TAP(test_remote__dates),
		TAP(test_remote__base64),
		TAP(test_remote__secrets),
		TAP_END,
	});
}
