/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside registry/: limits, URLs, challenges. The requests themselves are made by net/.
 *
 *	pull.c      which documents and blobs, in which order; what they must hash to
 *	auth.c      401 -> anonymous bearer token (distribution-spec, token authentication)
 *	explain.c   what a refusal means, for a person
 *	url.c       where things are and which hosts may be talked to without TLS
 *	challenge.c WWW-Authenticate (RFC 9110 11.6.1)
 *
 * Everything the other side sends is hostile: each length below is a limit, digests are compared
 * with the bytes that are kept, and server text is made printable before a person sees it.
 */
#ifndef RB_REGISTRY_REGISTRY_INTERNAL_H
#define RB_REGISTRY_REGISTRY_INTERNAL_H

#include "base/buf.h"
#include "base/digest.h"
#include "base/error.h"
#include "net/net.h"
#include "registry/registry.h"

enum {
	RB_REGISTRY_MANIFEST_MAX = 4 << 20, /* bytes, as are all below */
	RB_REGISTRY_CONFIG_MAX = 8 << 20,
	RB_REGISTRY_CACHE_MAX = 32 << 20,
	RB_REGISTRY_TOKEN_MAX = 64 << 10,
	RB_REGISTRY_CHALLENGE_MAX = 8 << 10,
};

/* ---- challenge.c ---- */

/*
 * What a 401 asks for. Grammar (RFC 9110 11.6.1; one header may hold several challenges):
 *
 *	header    = [ challenge ] *( "," [ challenge ] )
 *	challenge = scheme [ 1*SP ( token68 / [ param ] *( "," [ param ] ) ) ]
 *	param     = token "=" ( token / quoted-string )
 */
struct rb_challenge {
	bool bearer; /* a Bearer challenge was found; the strings are its parameters or NULL */
	char *realm, *service, *scope;
	char *other; /* first scheme that is not Bearer ("Basic"), or NULL */
};

/*
 * Adds one header's challenges to *ret (zero-initialised by the caller, who clears it also after a
 * failure). The first Bearer challenge counts. Mechanism: 0, -EINVAL for text that is not in the
 * grammar, repeats a parameter or holds control characters, -E2BIG when it is too long.
 */
int rb_registry_parse_challenge(const char *header, struct rb_challenge *ret);
void rb_registry_clear_challenge(struct rb_challenge *c);

/* ---- url.c ---- */

/* The host that serves a reference's domain: docker.io's registry has another name. */
const char *rb_registry_host(const char *domain);
/* Host of "host[:port]" without the port, brackets kept; caller frees. */
char *rb_registry_strip_port(const char *domain);
/* "https://host/v2/PATH/KIND/NAME"; kind is "manifests" or "blobs". Caller frees. */
char *rb_registry_url(const char *scheme, const char *domain, const char *path, const char *kind,
		      const char *name);
/* The realm with service and scope (NULL: left out) added to its query; NULL when it is no URL. */
char *rb_registry_token_url(const char *realm, const char *service, const char *scope);

/*
 * Whether a page at `from` may send us to `to`: TLS always; without TLS only from loopback to
 * loopback. A redirect, in addition, never leaves TLS.
 */
bool rb_registry_may_refer(const struct rb_net_url *from, const struct rb_net_url *to,
			   bool redirect);

/* ---- auth.c ---- */

/* One repository of one registry. */
struct rb_remote {
	const struct rb_ref *ref; /* borrowed */
	const char *scheme;       /* "https" or "http"; NULL before the first request */
	const char *name;         /* of the registry, for messages */
	char *origin;             /* as in struct rb_net_url */
	struct rb_net http;
	struct rb_net auth_http; /* a token is fetched while transfers of `http` are in flight */
	char *token;             /* or NULL; has no formatter */
	unsigned token_number;   /* how many were fetched */
};

/*
 * How a registry is talked to; ctx is a struct rb_remote, whose token is sent and renewed, or NULL
 * for anonymous requests. Errors: NOTFOUND (404), AUTH (401 that no anonymous token cures, 403),
 * NETWORK.
 */
extern const struct rb_net_ops rb_registry_ops;

/* ---- explain.c ---- */

/* An answer other than 200. `body` may hold the registry's own words. */
int rb_registry_explain_status(long status, const char *name, const struct rb_buf *body,
			       bool *ret_transient, struct rb_error **err);

#endif
