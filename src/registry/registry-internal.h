/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside registry/: limits, URLs, challenges, and the engine that runs GET requests.
 *
 *	pull.c      which documents and blobs, in which order; what they must hash to
 *	auth.c      401 -> anonymous bearer token (distribution-spec, token authentication)
 *	http.c      many GETs at once through one libcurl multi handle: redirects, retries, limits
 *	explain.c   what a failed transfer means, for a person
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
#include "registry/registry.h"

enum {
	RB_REGISTRY_PARALLEL = 4, /* transfers at once */
	RB_REGISTRY_REDIRECTS_MAX = 10,
	RB_REGISTRY_RETRIES = 3,
	RB_REGISTRY_CONNECT_SEC = 10, /* name, TCP and TLS together */
	RB_REGISTRY_STALL_SEC = 30,   /* without a byte */

	RB_REGISTRY_MANIFEST_MAX = 4 << 20, /* bytes, as are all below */
	RB_REGISTRY_CONFIG_MAX = 8 << 20,
	RB_REGISTRY_TOKEN_MAX = 64 << 10,
	RB_REGISTRY_HEADERS_MAX = 256 << 10, /* of one response */
	RB_REGISTRY_REFUSAL_MAX = 16 << 10,  /* body of an answer that is not 200 */
	RB_REGISTRY_CHALLENGE_MAX = 8 << 10,
	RB_REGISTRY_URL_MAX = 16 << 10,
	RB_REGISTRY_QUOTE_MAX = 300, /* server text in one of our messages */
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

/* Host name as in a URL or reference, without port: "localhost", 127.0.0.0/8, "[::1]". */
bool rb_registry_is_loopback(const char *host);
/* The host that serves a reference's domain: docker.io's registry has another name. */
const char *rb_registry_host(const char *domain);
/* Host of "host[:port]" without the port, brackets kept; caller frees. */
char *rb_registry_strip_port(const char *domain);
/* "https://host/v2/PATH/KIND/NAME"; kind is "manifests" or "blobs". Caller frees. */
char *rb_registry_url(const char *scheme, const char *domain, const char *path, const char *kind,
		      const char *name);
/* The realm with service and scope (NULL: left out) added to its query; NULL when it is no URL. */
char *rb_registry_token_url(const char *realm, const char *service, const char *scope);

struct rb_url_parts {
	bool tls;
	char *host;   /* brackets kept */
	char *name;   /* the host, with its port unless that is the usual one: for messages */
	char *origin; /* "https://host:443": equal origins may see each other's tokens */
};
/*
 * Splits an absolute http or https URL without user information. Mechanism: 0, -EINVAL, -E2BIG.
 * The caller clears *ret, which must be zero before.
 */
int rb_registry_split_url(const char *url, struct rb_url_parts *ret);
void rb_registry_clear_url(struct rb_url_parts *u);
/*
 * Whether a page at `from` may send us to `to`: TLS always; without TLS only from loopback to
 * loopback. A redirect, in addition, never leaves TLS.
 */
bool rb_registry_may_refer(const struct rb_url_parts *from, const struct rb_url_parts *to,
			   bool redirect);

/* ---- http.c ---- */

/* One libcurl multi handle with its open connections; opened by the first request. */
struct rb_http {
	void *multi;                             /* CURLM */
	char *ca_dir, *ca_file;                  /* what certificates are checked against */
	const struct rb_pull_progress *progress; /* may be NULL */
	bool report_bytes;
	uint64_t total; /* bytes of all transfers, for the report */
};
void rb_registry_close_http(struct rb_http *h);

struct rb_remote;  /* below */
struct rb_attempt; /* a request on the wire: http.c */

/* One GET. Fields up to `body` are the caller's (body = RB_BUF_INIT), the rest starts as zero. */
struct rb_fetch {
	struct rb_remote *remote; /* whose token is sent and renewed; NULL: anonymous */
	const char *what;         /* "manifest", for messages; borrowed */
	char *url;                /* owned */
	const char *accept;       /* media types, or NULL */
	uint64_t max_bytes;       /* CORRUPT beyond */
	bool exact;               /* the body has exactly max_bytes */
	bool once;                /* no retries */
	struct rb_store *store;   /* the body becomes the blob `digest`; NULL: goes to `body` */
	struct rb_digest digest;

	struct rb_buf body;
	char *content_type;   /* of the answer, or NULL */
	char *content_digest; /* Docker-Content-Digest, or NULL */
	int transport;        /* CURLcode of the last attempt */

	char *redirect;      /* where the last answer sent us, or NULL */
	unsigned hops;       /* redirects followed in this attempt */
	unsigned retries;    /* made so far */
	bool authorized;     /* a token was fetched for this attempt */
	unsigned token_seen; /* number of the token sent last, 0: none */
	bool running, done;
	int64_t due_ms; /* not before (monotonic) */
	uint64_t got;   /* bytes of the body in this attempt */
	struct rb_attempt *now;
};
void rb_registry_clear_fetch(struct rb_fetch *f);

/*
 * Runs n requests, RB_REGISTRY_PARALLEL at a time; returns when all have been answered with 200 and
 * are complete, or with the first error. Errors: NOTFOUND (404), AUTH (401 that no anonymous token
 * cures, 403), NETWORK, CORRUPT, CANCELLED, SYS.
 */
int rb_registry_run(struct rb_http *h, struct rb_fetch *v, size_t n, struct rb_error **err);

/* ---- auth.c ---- */

/* One repository of one registry. */
struct rb_remote {
	const struct rb_ref *ref; /* borrowed */
	const char *scheme;       /* "https" or "http"; NULL before the first request */
	const char *name;         /* of the registry, for messages */
	char *origin;             /* as in struct rb_url_parts */
	struct rb_http http;
	struct rb_http auth_http; /* a token is fetched while transfers of `http` are in flight */
	char *token;              /* or NULL; has no formatter */
	unsigned token_number;    /* how many were fetched */
};

/*
 * After a 401: gets a token unless a newer one than the request had is there already. 0 when the
 * request should be sent again, else -1 with AUTH or what the token request ended with.
 */
int rb_registry_authorize(struct rb_fetch *f, const struct rb_challenge *challenge,
			  struct rb_error **err);

/* ---- explain.c ---- */

/* Adds at most RB_REGISTRY_QUOTE_MAX bytes of server text; anything but printable ASCII is '?'. */
void rb_registry_quote(struct rb_buf *out, const char *text, size_t len);

/* A transfer that libcurl gave up. `*ret_transient`: worth another attempt. */
int rb_registry_explain_transport(void *easy, int code, const struct rb_url_parts *at,
				  const char *detail, const struct rb_http *h, bool *ret_transient,
				  struct rb_error **err);
/* An answer other than 200. `body` may hold the registry's own words. */
int rb_registry_explain_status(long status, const char *name, const struct rb_buf *body,
			       bool *ret_transient, struct rb_error **err);

#endif
