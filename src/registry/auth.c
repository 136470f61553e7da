// SPDX-License-Identifier: Apache-2.0
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "registry/registry-internal.h"

/* The URL to ask for a token, or -1: the realm is chosen by the registry, and a hostile one must
 * not make us speak plain HTTP to somebody, or to services of this machine. */
static int token_url(const struct rb_remote *r, const struct rb_challenge *c, char **ret,
		     struct rb_error **err)
{
	RB_CLEANUP(rb_net_clear_url) struct rb_net_url from = {0};
	RB_CLEANUP(rb_net_clear_url) struct rb_net_url to = {0};
	RB_CLEANUP(rb_strp) char *scope = rb_asprintf("repository:%s:pull", r->ref->path);
	RB_CLEANUP(rb_buf_clear) struct rb_buf realm = RB_BUF_INIT;

	if (rb_net_split_url(r->origin, &from) < 0)
		rb_bug("bad origin %s", r->origin);
	rb_net_quote(&realm, c->realm, strlen(c->realm));
	if (rb_net_split_url(c->realm, &to) < 0 || !rb_registry_may_refer(&from, &to, false))
		return rb_fail(
			err, RB_ERR_NETWORK,
			"%s names a token service that is not allowed (only https, and http on loopback for a registry on loopback): %s",
			r->name, realm.ptr);
	*ret = rb_registry_token_url(c->realm, c->service, c->scope ? c->scope : scope);
	if (!*ret)
		return rb_fail(err, RB_ERR_NETWORK, "%s names an unusable token service: %s",
			       r->name, realm.ptr);
	return 0;
}

/* A token becomes part of a header: visible ASCII only. */
static bool is_token(const char *s)
{
	for (const char *p = s; *p; p++)
		if (*p <= 0x20 || *p >= 0x7f)
			return false;
	return *s != '\0';
}

static int read_token(const struct rb_buf *body, char **ret, struct rb_error **err)
{
	RB_CLEANUP(rb_json_freep) struct rb_json *doc = NULL;
	const char *token = NULL;

	doc = rb_json_parse(body->ptr, body->len, "token", err);
	if (!doc || rb_json_get_str(doc, "token", "token", &token, err) < 0)
		return -1;
	if (!token && rb_json_get_str(doc, "access_token", "token", &token, err) < 0)
		return -1;
	if (!token || !is_token(token))
		return rb_fail(err, RB_ERR_NETWORK, "the token service sends no usable token");
	*ret = rb_strdup(token);
	return 0;
}

static int fetch_token(struct rb_remote *r, const struct rb_challenge *c, struct rb_error **err)
{
	RB_CLEANUP(rb_net_clear_fetch)
	struct rb_net_fetch f = {.ops = &rb_registry_ops,
				 .what = "access token",
				 .max_bytes = RB_REGISTRY_TOKEN_MAX,
				 .body = RB_BUF_INIT};
	char *token = NULL;

	if (token_url(r, c, &f.url, err) < 0)
		return -1;
	r->auth_http.progress = r->http.progress;
	if (rb_net_run(&r->auth_http, &f, 1, err) < 0 || read_token(&f.body, &token, err) < 0)
		return -1;
	free(r->token);
	r->token = token;
	r->token_number++;
	return 0;
}

/* After a 401: gets a token unless a newer one than the request had is there already. */
static int authorize(struct rb_net_fetch *f, const struct rb_challenge *challenge,
		     struct rb_error **err)
{
	struct rb_remote *r = f->ctx;
	bool transient;

	/* Another request has met the expired token first. */
	if (f->mark < r->token_number)
		return 0;
	/* Refused although the token is fresh. */
	if (f->authorized)
		return rb_registry_explain_status(401, r->name, &f->body, &transient, err);
	f->authorized = true;
	if (!challenge->bearer || !challenge->realm) {
		RB_CLEANUP(rb_buf_clear) struct rb_buf scheme = RB_BUF_INIT;

		if (challenge->other)
			rb_net_quote(&scheme, challenge->other, strlen(challenge->other));
		return rb_fail(err, RB_ERR_AUTH,
			       "%s wants a user name and password (authentication scheme: %s)",
			       r->name, scheme.len ? scheme.ptr : "none named");
	}
	return fetch_token(r, challenge, err);
}

/* The token goes to the registry itself and nowhere else, whatever redirects say (threats S34). */
static bool at_registry(const struct rb_net_fetch *f, const struct rb_net_url *at)
{
	const struct rb_remote *r = f->ctx;

	return r && rb_streq(at->origin, r->origin);
}

static void add_token(struct rb_net_fetch *f, const struct rb_net_url *at)
{
	const struct rb_remote *r = f->ctx;

	f->mark = 0;
	if (!at_registry(f, at) || !r->token)
		return;
	RB_CLEANUP(rb_strp) char *bearer = rb_asprintf("Bearer %s", r->token);
	rb_net_add_header(f, "Authorization", bearer);
	f->mark = r->token_number;
}

static int unauthorized(struct rb_net_fetch *f, const struct rb_net_url *at, struct rb_error **err)
{
	RB_CLEANUP(rb_registry_clear_challenge) struct rb_challenge challenge = {0};
	const char *header;

	if (!at_registry(f, at))
		return 0;
	for (size_t i = 0; !challenge.bearer; i++) {
		header = rb_net_answer_header(f, "WWW-Authenticate", i);
		if (!header)
			break;
		if (rb_registry_parse_challenge(header, &challenge) < 0)
			return rb_fail(err, RB_ERR_NETWORK,
				       "%s sends a WWW-Authenticate header that cannot be read",
				       at->name);
	}
	return authorize(f, &challenge, err) < 0 ? -1 : 1;
}

static bool may_redirect(const struct rb_net_url *from, const struct rb_net_url *to)
{
	return rb_registry_may_refer(from, to, true);
}

static bool accepts(const struct rb_net_fetch *f, long status)
{
	(void)f;
	return status == 200;
}

static int refused(struct rb_net_fetch *f, const struct rb_net_url *at, long status,
		   bool *ret_transient, struct rb_error **err)
{
	return rb_registry_explain_status(status, at->name, &f->body, ret_transient, err);
}

const struct rb_net_ops rb_registry_ops = {
	.headers = add_token,
	.unauthorized = unauthorized,
	.may_redirect = may_redirect,
	.redirect_rule = "https, and http from loopback to loopback",
	.accepts = accepts,
	.refused = refused,
};
