// SPDX-License-Identifier: Apache-2.0
#include <arpa/inet.h>
#include <curl/curl.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "net/net.h"

static inline void url_cleanupp(CURLU **u)
{
	curl_url_cleanup(*u);
}

bool rb_net_is_loopback(const char *host)
{
	struct in_addr v4;

	if (rb_ascii_strcaseeq(host, "localhost") || rb_streq(host, "[::1]"))
		return true;
	/* inet_pton takes four decimal parts only: no "127.1", no octal, no name lookup. */
	return inet_pton(AF_INET, host, &v4) == 1 && ntohl(v4.s_addr) >> 24 == 127;
}

/* NULL when it is no http(s) URL, names a user, or is too long. */
static CURLU *parse_url(const char *text)
{
	RB_CLEANUP(url_cleanupp) CURLU *u = NULL;
	char *scheme = NULL;
	bool ok;

	if (strnlen(text, RB_NET_URL_MAX + 1) > RB_NET_URL_MAX)
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

char *rb_net_add_query(const char *url, const char *key, const char *value)
{
	RB_CLEANUP(url_cleanupp) CURLU *u = parse_url(url);
	RB_CLEANUP(rb_strp) char *pair = rb_asprintf("%s=%s", key, value);

	/* URLENCODE with APPENDQUERY keeps the first "=" and encodes all others. */
	if (!u || curl_url_set(u, CURLUPART_QUERY, pair, CURLU_APPENDQUERY | CURLU_URLENCODE) !=
			  CURLUE_OK)
		return NULL;
	return get_part(u, CURLUPART_URL, 0);
}

int rb_net_split_url(const char *url, struct rb_net_url *ret)
{
	RB_CLEANUP(url_cleanupp) CURLU *u = NULL;
	RB_CLEANUP(rb_strp) char *scheme = NULL;
	RB_CLEANUP(rb_strp) char *host = NULL;
	RB_CLEANUP(rb_strp) char *port = NULL;
	RB_CLEANUP(rb_strp) char *written_port = NULL;
	RB_CLEANUP(rb_strp) char *path = NULL;

	if (strnlen(url, RB_NET_URL_MAX + 1) > RB_NET_URL_MAX)
		return -E2BIG;
	u = parse_url(url);
	if (!u)
		return -EINVAL;
	scheme = get_part(u, CURLUPART_SCHEME, 0);
	host = get_part(u, CURLUPART_HOST, 0);
	port = get_part(u, CURLUPART_PORT, CURLU_DEFAULT_PORT);
	written_port = get_part(u, CURLUPART_PORT, CURLU_NO_DEFAULT_PORT);
	path = get_part(u, CURLUPART_PATH, 0);
	if (!scheme || !host || !port || !path)
		return -EINVAL;
	ret->tls = rb_streq(scheme, "https");
	ret->origin = rb_asprintf("%s://%s:%s", scheme, host, port);
	ret->name = rb_asprintf("%s%s%s", host, written_port ? ":" : "",
				written_port ? written_port : "");
	ret->host = rb_steal_ptr(&host);
	ret->path = rb_steal_ptr(&path);
	return 0;
}

void rb_net_clear_url(struct rb_net_url *u)
{
	free(u->host);
	free(u->name);
	free(u->origin);
	free(u->path);
	*u = (struct rb_net_url){0};
}
