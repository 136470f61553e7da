// SPDX-License-Identifier: Apache-2.0
#include <arpa/inet.h>
#include <curl/curl.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "registry/registry-internal.h"

static inline void url_cleanupp(CURLU **u)
{
	curl_url_cleanup(*u);
}

bool rb_registry_is_loopback(const char *host)
{
	struct in_addr v4;

	if (rb_ascii_strcaseeq(host, "localhost") || rb_streq(host, "[::1]"))
		return true;
	/* inet_pton takes four decimal parts only: no "127.1", no octal, no name lookup. */
	return inet_pton(AF_INET, host, &v4) == 1 && ntohl(v4.s_addr) >> 24 == 127;
}

const char *rb_registry_host(const char *domain)
{
	return rb_streq(domain, "docker.io") ? "registry-1.docker.io" : domain;
}

char *rb_registry_strip_port(const char *domain)
{
	const char *from = domain[0] == '[' ? strchr(domain, ']') : domain;
	const char *colon = from ? strchr(from, ':') : NULL;

	return rb_strndup(domain, colon ? (size_t)(colon - domain) : strlen(domain));
}

char *rb_registry_url(const char *scheme, const char *domain, const char *path, const char *kind,
		      const char *name)
{
	/* The reference grammar leaves nothing in path, tag or digest that a URL would quote. */
	return rb_asprintf("%s://%s/v2/%s/%s/%s", scheme, rb_registry_host(domain), path, kind,
			   name);
}

/* NULL when it is no http(s) URL, names a user, or is too long. */
static CURLU *parse_url(const char *text)
{
	RB_CLEANUP(url_cleanupp) CURLU *u = NULL;
	char *scheme = NULL;
	bool ok;

	if (strnlen(text, RB_REGISTRY_URL_MAX + 1) > RB_REGISTRY_URL_MAX)
		return NULL;
	u = curl_url();
	if (!u)
		rb_bug("curl_url: out of memory");
	/* User information would be sent as credentials. */
	if (curl_url_set(u, CURLUPART_URL, text, CURLU_DISALLOW_USER) != CURLUE_OK ||
	    curl_url_get(u, CURLUPART_SCHEME, &scheme, 0) != CURLUE_OK)
		return NULL;
	ok = rb_streq(scheme, "https") || rb_streq(scheme, "http");
	curl_free(scheme);
	return ok ? rb_steal_ptr(&u) : NULL;
}

/* A part as our own memory, or NULL. */
static char *get_part(CURLU *u, CURLUPart part, unsigned flags)
{
	char *text = NULL, *ret;

	if (curl_url_get(u, part, &text, flags) != CURLUE_OK)
		return NULL;
	ret = rb_strdup(text);
	curl_free(text);
	return ret;
}

static bool add_query(CURLU *u, const char *key, const char *value)
{
	RB_CLEANUP(rb_strp) char *pair = NULL;

	if (!value)
		return true;
	pair = rb_asprintf("%s=%s", key, value);
	/* URLENCODE with APPENDQUERY keeps the first "=" and encodes all others. */
	return curl_url_set(u, CURLUPART_QUERY, pair, CURLU_APPENDQUERY | CURLU_URLENCODE) ==
	       CURLUE_OK;
}

char *rb_registry_token_url(const char *realm, const char *service, const char *scope)
{
	RB_CLEANUP(url_cleanupp) CURLU *u = parse_url(realm);

	if (!u || !add_query(u, "service", service) || !add_query(u, "scope", scope))
		return NULL;
	return get_part(u, CURLUPART_URL, 0);
}

int rb_registry_split_url(const char *url, struct rb_url_parts *ret)
{
	RB_CLEANUP(url_cleanupp) CURLU *u = NULL;
	RB_CLEANUP(rb_strp) char *scheme = NULL;
	RB_CLEANUP(rb_strp) char *host = NULL;
	RB_CLEANUP(rb_strp) char *port = NULL;
	RB_CLEANUP(rb_strp) char *written_port = NULL;

	if (strnlen(url, RB_REGISTRY_URL_MAX + 1) > RB_REGISTRY_URL_MAX)
		return -E2BIG;
	u = parse_url(url);
	if (!u)
		return -EINVAL;
	scheme = get_part(u, CURLUPART_SCHEME, 0);
	host = get_part(u, CURLUPART_HOST, 0);
	port = get_part(u, CURLUPART_PORT, CURLU_DEFAULT_PORT);
	written_port = get_part(u, CURLUPART_PORT, CURLU_NO_DEFAULT_PORT);
	if (!scheme || !host || !port)
		return -EINVAL;
	ret->tls = rb_streq(scheme, "https");
	ret->origin = rb_asprintf("%s://%s:%s", scheme, host, port);
	ret->name = rb_asprintf("%s%s%s", host, written_port ? ":" : "",
				written_port ? written_port : "");
	ret->host = rb_steal_ptr(&host);
	return 0;
}

void rb_registry_clear_url(struct rb_url_parts *u)
{
	free(u->host);
	free(u->name);
	free(u->origin);
	*u = (struct rb_url_parts){0};
}

bool rb_registry_may_refer(const struct rb_url_parts *from, const struct rb_url_parts *to,
			   bool redirect)
{
	if (to->tls)
		return true;
	if (redirect && from->tls)
		return false;
	return rb_registry_is_loopback(from->host) && rb_registry_is_loopback(to->host);
}
