// SPDX-License-Identifier: Apache-2.0
#include <errno.h>

#include "registry/registry-internal.h"
#include "tap.h"

static void test_challenge__finds_bearer_parameters(void)
{
	static const struct {
		const char *header;
		int result;
		bool bearer;
		const char *realm, *service, *scope, *other;
	} cases[] = {
		{"Bearer realm=\"https://a.example/token\",service=\"reg\",scope=\"repository:x:pull\"",
		 0, true, "https://a.example/token", "reg", "repository:x:pull", NULL},
		{"bearer REALM=\"https://a.example/\"", 0, true, "https://a.example/", NULL, NULL,
		 NULL},
		{"Bearer realm = \"https://a.example/\" , service = s", 0, true,
		 "https://a.example/", "s", NULL, NULL},
		{"Bearer realm=https://a.example/t,service=s", 0, true, "https://a.example/t", "s",
		 NULL, NULL},
		{"Bearer realm=\"a\\\"b\\\\c, d\"", 0, true, "a\"b\\c, d", NULL, NULL, NULL},
		{"Basic realm=\"r\"", 0, false, NULL, NULL, NULL, "Basic"},
		{"Basic realm=\"r\", Bearer realm=\"https://b/\"", 0, true, "https://b/", NULL,
		 NULL, "Basic"},
		{"Bearer realm=\"https://b/\", Basic realm=\"r\"", 0, true, "https://b/", NULL,
		 NULL, "Basic"},
		{"Bearer realm=\"https://b/\", Bearer realm=\"https://c/\"", 0, true, "https://b/",
		 NULL, NULL, NULL},
		{"Negotiate", 0, false, NULL, NULL, NULL, "Negotiate"},
		{"Negotiate YWJj/+==, Bearer realm=\"https://b/\"", 0, true, "https://b/", NULL,
		 NULL, "Negotiate"},
		{"NTLM TlRMTVNT", 0, false, NULL, NULL, NULL, "NTLM"},
		{"Bearer", 0, true, NULL, NULL, NULL, NULL},
		{" , ,, Bearer realm=\"x\",,", 0, true, "x", NULL, NULL, NULL},
		{"Bearer error=\"insufficient_scope\",realm=\"x\"", 0, true, "x", NULL, NULL, NULL},
		{"", 0, false, NULL, NULL, NULL, NULL},
		{"realm=\"x\"", -EINVAL, false, NULL, NULL, NULL, NULL},
		{"Bearer realm=\"x", -EINVAL, true, NULL, NULL, NULL, NULL},
		{"Bearer realm=\"x\\", -EINVAL, true, NULL, NULL, NULL, NULL},
		{"Bearer realm=\"x\ny\"", -EINVAL, true, NULL, NULL, NULL, NULL},
		{"Bearer realm=\"x\",realm=\"y\"", -EINVAL, true, "x", NULL, NULL, NULL},
		{"Bearer \"x\"", -EINVAL, true, NULL, NULL, NULL, NULL},
		{"\x01", -EINVAL, false, NULL, NULL, NULL, NULL},
	};

	for (size_t i = 0; i < RB_ARRAY_LEN(cases); i++) {
		RB_CLEANUP(rb_registry_clear_challenge) struct rb_challenge c = {0};

		CHECK_INT(rb_registry_parse_challenge(cases[i].header, &c), cases[i].result);
		CHECK_INT(c.bearer, cases[i].bearer);
		CHECK_STR(c.realm, cases[i].realm);
		CHECK_STR(c.service, cases[i].service);
		CHECK_STR(c.scope, cases[i].scope);
		CHECK_STR(c.other, cases[i].other);
	}
}

static void test_challenge__has_a_limit(void)
{
	RB_CLEANUP(rb_registry_clear_challenge) struct rb_challenge c = {0};
	RB_CLEANUP(rb_buf_clear) struct rb_buf b = RB_BUF_INIT;

	rb_buf_addstr(&b, "Bearer realm=\"");
	while (b.len < RB_REGISTRY_CHALLENGE_MAX - 1)
		rb_buf_addch(&b, 'x');
	rb_buf_addch(&b, '"');
	CHECK_INT(rb_registry_parse_challenge(b.ptr, &c), 0);
	rb_buf_addch(&b, ',');
	CHECK_INT(rb_registry_parse_challenge(b.ptr, &c), -E2BIG);
}

static void test_url__knows_loopback(void)
{
	static const struct {
		const char *domain, *host;
		bool loopback;
	} cases[] = {
		{"localhost", "localhost", true},
		{"LOCALHOST:5000", "LOCALHOST", true},
		{"127.0.0.1:5000", "127.0.0.1", true},
		{"127.8.9.10", "127.8.9.10", true},
		{"[::1]:5000", "[::1]", true},
		{"[::1]", "[::1]", true},
		{"[::2]:5000", "[::2]", false},
		{"128.0.0.1", "128.0.0.1", false},
		{"127.1", "127.1", false},
		{"127.0.0.1.example.com", "127.0.0.1.example.com", false},
		{"localhost.example.com:443", "localhost.example.com", false},
		{"docker.io", "docker.io", false},
	};

	for (size_t i = 0; i < RB_ARRAY_LEN(cases); i++) {
		RB_CLEANUP(rb_strp) char *host = rb_registry_strip_port(cases[i].domain);

		CHECK_STR(host, cases[i].host);
		CHECK_INT(rb_net_is_loopback(host), cases[i].loopback);
	}
}

static void test_url__names_documents_and_blobs(void)
{
	RB_CLEANUP(rb_strp)
	char *hub = rb_registry_url("https", "docker.io", "library/debian", "manifests", "12");
	RB_CLEANUP(rb_strp)
	char *local = rb_registry_url("http", "localhost:5000", "a/b", "blobs", "sha256:00");

	CHECK_STR(hub, "https://registry-1.docker.io/v2/library/debian/manifests/12");
	CHECK_STR(local, "http://localhost:5000/v2/a/b/blobs/sha256:00");
}

static void test_url__asks_for_tokens(void)
{
	static const struct {
		const char *realm, *service, *scope, *url;
	} cases[] = {
		{"https://auth.example/token", "registry.example", "repository:a/b:pull",
		 "https://auth.example/"
		 "token?service=registry.example&scope=repository%3aa%2fb%3apull"},
		{"https://auth.example/token?x=1", "s t&u=v", NULL,
		 "https://auth.example/token?x=1&service=s+t%26u%3dv"},
		{"https://auth.example/token", NULL, "r", "https://auth.example/token?scope=r"},
		{"ftp://auth.example/token", NULL, "r", NULL},
		{"file:///etc/passwd", NULL, "r", NULL},
		{"https://user:secret@auth.example/", NULL, "r", NULL},
		{"/token", NULL, "r", NULL},
		{"", NULL, "r", NULL},
	};

	for (size_t i = 0; i < RB_ARRAY_LEN(cases); i++) {
		RB_CLEANUP(rb_strp)
		char *url = rb_registry_token_url(cases[i].realm, cases[i].service, cases[i].scope);

		/* Whether %2f or %2F is libcurl's affair. */
		CHECK(cases[i].url ? url && rb_ascii_strcaseeq(url, cases[i].url) : !url);
	}
}

static void test_url__splits(void)
{
	static const struct {
		const char *url;
		int result;
		bool tls;
		const char *host, *origin;
	} cases[] = {
		{"https://a.example/x?y", 0, true, "a.example", "https://a.example:443"},
		{"http://localhost:5000/", 0, false, "localhost", "http://localhost:5000"},
		{"http://[::1]:5000/", 0, false, "[::1]", "http://[::1]:5000"},
		{"https://a@b.example/", -EINVAL, false, NULL, NULL},
		{"gopher://b.example/", -EINVAL, false, NULL, NULL},
		{"https://", -EINVAL, false, NULL, NULL},
		{"https://a b/", -EINVAL, false, NULL, NULL},
	};

	for (size_t i = 0; i < RB_ARRAY_LEN(cases); i++) {
		RB_CLEANUP(rb_net_clear_url) struct rb_net_url u = {0};

		CHECK_INT(rb_net_split_url(cases[i].url, &u), cases[i].result);
		CHECK_INT(u.tls, cases[i].tls);
		CHECK_STR(u.host, cases[i].host);
		CHECK_STR(u.origin, cases[i].origin);
	}
}

static void test_url__refuses_downgrades(void)
{
	static const struct {
		const char *from, *to;
		bool redirect, link;
	} cases[] = {
		{"https://a.example/", "https://b.example/", true, true},
		{"https://a.example/", "http://a.example/", false, false},
		{"https://a.example/", "http://127.0.0.1/", false, false},
		{"https://localhost/", "http://localhost/", false, true},
		{"http://localhost/", "http://127.0.0.1:99/", true, true},
		{"http://localhost/", "http://b.example/", false, false},
		{"http://localhost/", "https://b.example/", true, true},
	};

	for (size_t i = 0; i < RB_ARRAY_LEN(cases); i++) {
		RB_CLEANUP(rb_net_clear_url) struct rb_net_url from = {0};
		RB_CLEANUP(rb_net_clear_url) struct rb_net_url to = {0};

		CHECK_INT(rb_net_split_url(cases[i].from, &from), 0);
		CHECK_INT(rb_net_split_url(cases[i].to, &to), 0);
		CHECK_INT(rb_registry_may_refer(&from, &to, true), cases[i].redirect);
		CHECK_INT(rb_registry_may_refer(&from, &to, false), cases[i].link);
	}
}

static void test_explain__quotes_server_text(void)
{
	RB_CLEANUP(rb_buf_clear) struct rb_buf b = RB_BUF_INIT;
	char text[RB_NET_QUOTE_MAX + 1];

	rb_net_quote(&b, "a\x1b[31m\xc2\x9b\n\x7f!", 11);
	CHECK_STR(b.ptr, "a?[31m?\?\?\?!");
	rb_buf_truncate(&b, 0);
	memset(text, 'x', sizeof(text));
	rb_net_quote(&b, text, sizeof(text));
	CHECK_INT(b.len, RB_NET_QUOTE_MAX + 3);
}

static void test_explain__maps_status(void)
{
	static const struct {
		long status;
		enum rb_err code;
		bool transient;
		const char *body, *text;
	} cases[] = {
		{404, RB_ERR_NOTFOUND, false,
		 "{\"errors\":[{\"code\":\"MANIFEST_UNKNOWN\",\"message\":\"manifest unknown\"}]}",
		 "(HTTP status 404): \"MANIFEST_UNKNOWN: manifest unknown\""},
		{403, RB_ERR_AUTH, false, "{\"errors\":[{\"code\":\"DENIED\"}]}", ": \"DENIED\""},
		{401, RB_ERR_AUTH, false, "", "refuses access"},
		{429, RB_ERR_NETWORK, true, "{\"errors\":[]}", "too many requests"},
		{503, RB_ERR_NETWORK, true, "<html>", "(HTTP status 503)"},
		{500, RB_ERR_NETWORK, true, "{\"errors\":{}}", "(HTTP status 500)"},
		{418, RB_ERR_NETWORK, false, "[1,2]", "(HTTP status 418)"},
	};

	for (size_t i = 0; i < RB_ARRAY_LEN(cases); i++) {
		RB_CLEANUP(rb_buf_clear) struct rb_buf body = RB_BUF_INIT;
		struct rb_error *err = NULL;
		bool transient;

		rb_buf_addstr(&body, cases[i].body);
		CHECK_INT(rb_registry_explain_status(cases[i].status, "r.example", &body,
						     &transient, &err),
			  -1);
		CHECK_INT(err->code, cases[i].code);
		CHECK_INT(transient, cases[i].transient);
		CHECK_ERR(&err, cases[i].text);
	}
}

int main(void)
{
	return tap_run((const struct tap_test[]){
		TAP(test_challenge__finds_bearer_parameters), TAP(test_challenge__has_a_limit),
		TAP(test_url__knows_loopback), TAP(test_url__names_documents_and_blobs),
		TAP(test_url__asks_for_tokens), TAP(test_url__splits),
		TAP(test_url__refuses_downgrades), TAP(test_explain__quotes_server_text),
		TAP(test_explain__maps_status), TAP_END});
}
