// SPDX-License-Identifier: Apache-2.0
#include <curl/curl.h>
#include <openssl/x509_vfy.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "registry/registry-internal.h"

void rb_registry_quote(struct rb_buf *out, const char *text, size_t len)
{
	size_t shown = rb_min_size(len, RB_REGISTRY_QUOTE_MAX);

	/* Not even UTF-8: a terminal takes some of its bytes for control sequences. */
	for (size_t i = 0; i < shown; i++)
		rb_buf_addch(out, text[i] >= 0x20 && text[i] < 0x7f ? text[i] : '?');
	if (shown < len)
		rb_buf_addstr(out, "...");
}

/* ---- transport ---- */

/* What to look at when a host cannot be reached. */
static const char *reach_hint(const char *host)
{
	static const char *const proxies[] = {"https_proxy", "HTTPS_PROXY", "all_proxy",
					      "ALL_PROXY"};

	if (rb_registry_is_loopback(host))
		return "is the registry running there?";
	for (size_t i = 0; i < RB_ARRAY_LEN(proxies); i++) {
		const char *value = getenv(proxies[i]);

		if (value && *value)
			return "check the proxy named by https_proxy or all_proxy, and no_proxy";
	}
	return "check the name and the network; behind a proxy, set https_proxy";
}

/* Where CA certificates were looked for; caller frees. */
static char *trust_places(const struct rb_http *h)
{
	const char *dir = h->ca_dir ? h->ca_dir : "", *file = h->ca_file ? h->ca_file : "";

	return rb_asprintf("%s%s%s", dir, *dir && *file ? " and " : "", file);
}

static int explain_certificate(CURL *easy, const char *host, const char *detail,
			       const struct rb_http *h, struct rb_error **err)
{
	RB_CLEANUP(rb_buf_clear) struct rb_buf words = RB_BUF_INIT;
	RB_CLEANUP(rb_strp) char *places = trust_places(h);
	long verdict = X509_V_OK;

	rb_registry_quote(&words, detail, strlen(detail));
	(void)curl_easy_getinfo(easy, CURLINFO_SSL_VERIFYRESULT, &verdict);
	switch (verdict) {
	case X509_V_ERR_CERT_HAS_EXPIRED:
		return rb_fail(
			err, RB_ERR_NETWORK,
			"the TLS certificate of %s has expired (or this machine's clock is wrong)",
			host);
	case X509_V_ERR_CERT_NOT_YET_VALID:
		return rb_fail(
			err, RB_ERR_NETWORK,
			"the TLS certificate of %s is not valid yet (is this machine's clock right?)",
			host);
	case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
	case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
	case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
		return rb_fail(
			err, RB_ERR_NETWORK,
			"the TLS certificate of %s has an issuer unknown to this machine (looked in %s): if you trust it, set SSL_CERT_FILE to its CA certificate",
			host, places);
	/* libcurl compares the name before it asks for the verdict on the chain, which is then as
	 * it was initialised. A bad chain ends the handshake, with one of the verdicts above. */
	case X509_V_ERR_UNSPECIFIED:
	case X509_V_OK:
		return rb_fail(err, RB_ERR_NETWORK,
			       "the TLS certificate of %s was issued for another host name (%s)",
			       host, words.ptr);
	default:
		return rb_fail(err, RB_ERR_NETWORK,
			       "the TLS certificate of %s is not acceptable: %s", host, words.ptr);
	}
}

static int explain_connect(CURL *easy, const struct rb_url_parts *at, bool *ret_transient,
			   struct rb_error **err)
{
	long sys = 0;

	(void)curl_easy_getinfo(easy, CURLINFO_OS_ERRNO, &sys);
	/* Nobody listens on this very machine: waiting two seconds will not change it. */
	*ret_transient = !rb_registry_is_loopback(at->host);
	return rb_fail(err, RB_ERR_NETWORK, "cannot connect to %s: %s (%s)", at->name,
		       sys ? strerrordesc_np((int)sys) : "no address answers",
		       reach_hint(at->host));
}

static int explain_timeout(CURL *easy, const struct rb_url_parts *at, struct rb_error **err)
{
	curl_off_t ready_us = 0;

	/* Time until the request could be sent; 0: it never could. */
	(void)curl_easy_getinfo(easy, CURLINFO_PRETRANSFER_TIME_T, &ready_us);
	if (ready_us == 0)
		return rb_fail(err, RB_ERR_NETWORK, "no connection to %s within %d seconds (%s)",
			       at->name, RB_REGISTRY_CONNECT_SEC, reach_hint(at->host));
	return rb_fail(err, RB_ERR_NETWORK, "%s sent nothing for %d seconds", at->name,
		       RB_REGISTRY_STALL_SEC);
}

int rb_registry_explain_transport(void *easy, int code, const struct rb_url_parts *at,
				  const char *detail, const struct rb_http *h, bool *ret_transient,
				  struct rb_error **err)
{
	RB_CLEANUP(rb_buf_clear) struct rb_buf words = RB_BUF_INIT;
	RB_CLEANUP(rb_strp) char *places = trust_places(h);

	*ret_transient = false;
	rb_registry_quote(&words, detail, strlen(detail));
	switch (code) {
	case CURLE_PEER_FAILED_VERIFICATION:
		return explain_certificate(easy, at->name, detail, h, err);
	case CURLE_SSL_CACERT_BADFILE:
		return rb_fail(err, RB_ERR_NETWORK, "cannot read the CA certificates in %s",
			       places);
	case CURLE_COULDNT_CONNECT:
		return explain_connect(easy, at, ret_transient, err);
	default:
		break;
	}
	*ret_transient = true;
	switch (code) {
	case CURLE_COULDNT_RESOLVE_HOST:
		return rb_fail(err, RB_ERR_NETWORK, "cannot resolve the host name %s (%s)",
			       at->host, reach_hint(at->host));
	case CURLE_COULDNT_RESOLVE_PROXY:
		return rb_fail(err, RB_ERR_NETWORK,
			       "cannot resolve the proxy for %s (check https_proxy and all_proxy)",
			       at->name);
	case CURLE_OPERATION_TIMEDOUT:
		return explain_timeout(easy, at, err);
	case CURLE_SSL_CONNECT_ERROR:
		return rb_fail(err, RB_ERR_NETWORK, "no TLS connection to %s: %s", at->name,
			       words.ptr);
	default:
		return rb_fail(err, RB_ERR_NETWORK, "the connection to %s failed: %s", at->name,
			       words.len ? words.ptr : curl_easy_strerror((CURLcode)code));
	}
}

/* ---- status ---- */

/* `: "CODE: message"` out of the error document of the distribution-spec, or nothing. */
static void add_words(struct rb_buf *out, const struct rb_buf *body)
{
	struct rb_error *ignored = NULL;
	RB_CLEANUP(rb_json_freep)
	struct rb_json *doc = rb_json_parse(body->ptr, body->len, "error", &ignored);
	const struct rb_json *first;
	const char *code, *message;
	size_t code_len = 0, message_len = 0;

	rb_error_drop(&ignored); /* proxies and plain web servers answer in HTML: no words then */
	first = doc ? rb_json_at(rb_json_member(doc, "errors"), 0) : NULL;
	code = first ? rb_json_string(rb_json_member(first, "code"), &code_len) : NULL;
	message = first ? rb_json_string(rb_json_member(first, "message"), &message_len) : NULL;
	if (!code && !message)
		return;
	rb_buf_addstr(out, ": \"");
	if (code)
		rb_registry_quote(out, code, code_len);
	if (code && message)
		rb_buf_addstr(out, ": ");
	if (message)
		rb_registry_quote(out, message, message_len);
	rb_buf_addch(out, '"');
}

int rb_registry_explain_status(long status, const char *name, const struct rb_buf *body,
			       bool *ret_transient, struct rb_error **err)
{
	static const struct {
		long status;
		enum rb_err code;
		bool transient;
		const char *meaning;
	} known[] = {
		{401, RB_ERR_AUTH, false, "refuses access"},
		{403, RB_ERR_AUTH, false, "refuses access"},
		{404, RB_ERR_NOTFOUND, false, "does not have it"},
		{407, RB_ERR_NETWORK, false, "cannot be reached: the proxy wants a password"},
		{408, RB_ERR_NETWORK, true, "lost patience"},
		{429, RB_ERR_NETWORK, true, "has had too many requests from here: try later"},
	};
	RB_CLEANUP(rb_buf_clear) struct rb_buf words = RB_BUF_INIT;
	const char *meaning = "gives an answer that makes no sense";
	enum rb_err code = RB_ERR_NETWORK;

	add_words(&words, body);
	*ret_transient = status >= 500;
	if (status >= 500)
		meaning = "is in trouble";
	for (size_t i = 0; i < RB_ARRAY_LEN(known); i++) {
		if (known[i].status != status)
			continue;
		code = known[i].code;
		meaning = known[i].meaning;
		*ret_transient = known[i].transient;
	}
	return rb_fail(err, code, "%s %s (HTTP status %ld)%s", name, meaning, status, words.ptr);
}
