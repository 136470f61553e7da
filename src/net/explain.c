// SPDX-License-Identifier: Apache-2.0
#include <curl/curl.h>
#include <openssl/x509_vfy.h>
#include <stdlib.h>
#include <string.h>

#include "net/net-internal.h"

void rb_net_quote(struct rb_buf *out, const char *text, size_t len)
{
	size_t shown = rb_min_size(len, RB_NET_QUOTE_MAX);

	/* Not even UTF-8: a terminal takes some of its bytes for control sequences. */
	for (size_t i = 0; i < shown; i++)
		rb_buf_addch(out, text[i] >= 0x20 && text[i] < 0x7f ? text[i] : '?');
	if (shown < len)
		rb_buf_addstr(out, "...");
}

/* What to look at when a host cannot be reached; caller frees. */
static char *reach_hint(const struct rb_net *h, const char *host)
{
	static const char *const proxies[] = {"https_proxy", "HTTPS_PROXY", "all_proxy",
					      "ALL_PROXY"};

	if (rb_net_is_loopback(host))
		return rb_asprintf("is the %s running there?", h->peer);
	for (size_t i = 0; i < RB_ARRAY_LEN(proxies); i++) {
		const char *value = getenv(proxies[i]);

		if (value && *value)
			return rb_strdup(
				"check the proxy named by https_proxy or all_proxy, and no_proxy");
	}
	return rb_strdup("check the name and the network; behind a proxy, set https_proxy");
}

/* Where CA certificates were looked for; caller frees. */
static char *trust_places(const struct rb_net *h)
{
	const char *dir = h->ca_dir ? h->ca_dir : "", *file = h->ca_file ? h->ca_file : "";

	return rb_asprintf("%s%s%s", dir, *dir && *file ? " and " : "", file);
}

static int explain_certificate(CURL *easy, const char *host, const char *detail,
			       const struct rb_net *h, struct rb_error **err)
{
	RB_CLEANUP(rb_buf_clear) struct rb_buf words = RB_BUF_INIT;
	RB_CLEANUP(rb_strp) char *places = trust_places(h);
	long verdict = X509_V_OK;

	rb_net_quote(&words, detail, strlen(detail));
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

static int explain_connect(CURL *easy, const struct rb_net *h, const struct rb_net_url *at,
			   bool *ret_transient, struct rb_error **err)
{
	RB_CLEANUP(rb_strp) char *hint = reach_hint(h, at->host);
	long sys = 0;

	(void)curl_easy_getinfo(easy, CURLINFO_OS_ERRNO, &sys);
	/* Nobody listens on this very machine: waiting two seconds will not change it. */
	*ret_transient = !rb_net_is_loopback(at->host);
	return rb_fail(err, RB_ERR_NETWORK, "cannot connect to %s: %s (%s)", at->name,
		       sys ? strerrordesc_np((int)sys) : "no address answers", hint);
}

static int explain_timeout(CURL *easy, const struct rb_net *h, const struct rb_net_url *at,
			   struct rb_error **err)
{
	RB_CLEANUP(rb_strp) char *hint = reach_hint(h, at->host);
	curl_off_t ready_us = 0;

	/* Time until the request could be sent; 0: it never could. */
	(void)curl_easy_getinfo(easy, CURLINFO_PRETRANSFER_TIME_T, &ready_us);
	if (ready_us == 0)
		return rb_fail(err, RB_ERR_NETWORK, "no connection to %s within %d seconds (%s)",
			       at->name, RB_NET_CONNECT_SEC, hint);
	return rb_fail(err, RB_ERR_NETWORK, "%s sent nothing for %d seconds", at->name,
		       RB_NET_STALL_SEC);
}

int rb_net_explain_transport(void *easy, int code, const struct rb_net_url *at, const char *detail,
			     const struct rb_net *h, bool *ret_transient, struct rb_error **err)
{
	RB_CLEANUP(rb_buf_clear) struct rb_buf words = RB_BUF_INIT;
	RB_CLEANUP(rb_strp) char *places = trust_places(h);
	RB_CLEANUP(rb_strp) char *hint = reach_hint(h, at->host);

	*ret_transient = false;
	rb_net_quote(&words, detail, strlen(detail));
	switch (code) {
	case CURLE_PEER_FAILED_VERIFICATION:
		return explain_certificate(easy, at->name, detail, h, err);
	case CURLE_SSL_CACERT_BADFILE:
		return rb_fail(err, RB_ERR_NETWORK, "cannot read the CA certificates in %s",
			       places);
	case CURLE_COULDNT_CONNECT:
		return explain_connect(easy, h, at, ret_transient, err);
	default:
		break;
	}
	*ret_transient = true;
	switch (code) {
	case CURLE_COULDNT_RESOLVE_HOST:
		return rb_fail(err, RB_ERR_NETWORK, "cannot resolve the host name %s (%s)",
			       at->host, hint);
	case CURLE_COULDNT_RESOLVE_PROXY:
		return rb_fail(err, RB_ERR_NETWORK,
			       "cannot resolve the proxy for %s (check https_proxy and all_proxy)",
			       at->name);
	case CURLE_OPERATION_TIMEDOUT:
		return explain_timeout(easy, h, at, err);
	case CURLE_SSL_CONNECT_ERROR:
		return rb_fail(err, RB_ERR_NETWORK, "no TLS connection to %s: %s", at->name,
			       words.ptr);
	default:
		return rb_fail(err, RB_ERR_NETWORK, "the connection to %s failed: %s", at->name,
			       words.len ? words.ptr : curl_easy_strerror((CURLcode)code));
	}
}
