/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTP and HTTPS requests on libcurl, for registries and for files by URL.
 *
 *	http.c      many GETs at once through one multi handle: redirects, retries, limits
 *	explain.c   what a failed transfer means, for a person
 *	url.c       URLs
 *
 * Everything the other side sends is hostile: each length below is a limit, and server text is made
 * printable before a person sees it. Certificates are always verified.
 */
#ifndef RB_NET_NET_H
#define RB_NET_NET_H

#include "base/buf.h"
#include "base/digest.h"
#include "base/error.h"
#include "store/store.h"

enum {
	RB_NET_PARALLEL = 4, /* transfers at once */
	RB_NET_REDIRECTS_MAX = 10,
	RB_NET_RETRIES = 3,
	RB_NET_CONNECT_SEC = 10, /* name, TCP and TLS together */
	RB_NET_STALL_SEC = 30,   /* without a byte */

	RB_NET_HEADERS_MAX = 256 << 10, /* bytes of one response, as are all below */
	RB_NET_REFUSAL_MAX = 16 << 10,  /* body of a refusal */
	RB_NET_URL_MAX = 16 << 10,
	RB_NET_QUOTE_MAX = 300, /* server text in one of our messages */
};

/* --- url.c --- */

/* Host name as in a URL or reference, without port: "localhost", 127.0.0.0/8, "[::1]". */
bool rb_net_is_loopback(const char *host);

struct rb_net_url {
	bool tls;
	char *host;   /* brackets kept */
	char *name;   /* the host, with its port unless that is the usual one: for messages */
	char *origin; /* "https://host:443": equal origins may see each other's tokens */
	char *path;   /* "/a/b%20c" as it is in the URL, without query and fragment */
};
/*
 * Splits an absolute http or https URL without user information. Mechanism: 0, -EINVAL, -E2BIG.
 * The caller clears *ret, which must be zero before.
 */
int rb_net_split_url(const char *url, struct rb_net_url *ret);
void rb_net_clear_url(struct rb_net_url *u);
/* The URL with "key=value" added to its query; NULL when it is no URL. Caller frees. */
char *rb_net_add_query(const char *url, const char *key, const char *value);

/* --- http.c --- */

struct rb_net_progress {
	/* Called now and then with the bytes of all blobs so far and in all; may be NULL. */
	void (*bytes)(void *ctx, uint64_t done, uint64_t total);
	/* Polled: true ends the transfers with RB_ERR_CANCELLED; may be NULL. */
	bool (*cancelled)(void *ctx);
	void *ctx;
};

/* One libcurl multi handle with its open connections; opened by the first request. Starts as zero
 * but for the caller's fields. */
struct rb_net {
	const char *peer;                       /* what is talked to: "registry", "server" */
	const struct rb_net_progress *progress; /* may be NULL */
	bool report_bytes;
	uint64_t total; /* bytes of all transfers, for the report; 0: not known */

	void *multi;            /* CURLM */
	char *ca_dir, *ca_file; /* what certificates are checked against */
};
void rb_net_close(struct rb_net *h);

struct rb_net_fetch;
struct rb_net_attempt; /* a request on the wire: http.c */

/* What differs between those who fetch. */
struct rb_net_ops {
	/* Adds headers to a request that goes to `at`, by rb_net_add_header(); may be NULL. */
	void (*headers)(struct rb_net_fetch *f, const struct rb_net_url *at);
	/* After a 401 from `at`: 1 when the request should be sent again, 0 when this is an
	 * ordinary refusal, -1 with *err. May be NULL. */
	int (*unauthorized)(struct rb_net_fetch *f, const struct rb_net_url *at,
			    struct rb_error **err);
	/* Whether a page at `from` may send us on to `to`. */
	bool (*may_redirect)(const struct rb_net_url *from, const struct rb_net_url *to);
	/* The rule it follows, for the message. */
	const char *redirect_rule;
	/* Whether an answer with this status, which is no redirect, is a good one. */
	bool (*accepts)(const struct rb_net_fetch *f, long status);
	/* The error for any other. f->body begins what the server says. Returns -1. */
	int (*refused)(struct rb_net_fetch *f, const struct rb_net_url *at, long status,
		       bool *ret_transient, struct rb_error **err);
};

/* A header of the answer that the caller wants to see; of several, the last. */
struct rb_net_header {
	const char *name;
	char *value; /* owned by the fetch; NULL: there is none */
};

/* One request. Fields up to `body` are the caller's (body = RB_BUF_INIT), the rest starts as zero.
 */
struct rb_net_fetch {
	const struct rb_net_ops *ops;
	void *ctx;                    /* of ops */
	const char *what;             /* "manifest", for messages; borrowed */
	char *url;                    /* owned */
	const char *accept;           /* media types, or NULL */
	bool head;                    /* HEAD instead of GET */
	uint64_t max_bytes;           /* CORRUPT beyond */
	bool exact;                   /* the body has exactly max_bytes */
	bool once;                    /* no retries */
	struct rb_store *store;       /* the body becomes a blob; NULL: goes to `body` */
	const struct rb_digest *want; /* what that blob must hash to; NULL: anything */
	struct rb_net_header *headers;
	size_t n_headers;

	struct rb_buf body;
	long status;         /* of the last answer */
	struct rb_blob blob; /* with `store`; after CORRUPT, what came instead */
	int transport;       /* CURLcode of the last attempt */

	char *redirect;   /* where the last answer sent us, or NULL */
	unsigned hops;    /* redirects followed in this attempt */
	unsigned retries; /* made so far */
	/* Left to ops, and `authorized` is false again in each retry. */
	bool authorized;
	unsigned mark;
	bool running, done;
	int64_t due_ms; /* not before (monotonic) */
	uint64_t got;   /* bytes of the body in this attempt */
	struct rb_net_attempt *now;
};
void rb_net_clear_fetch(struct rb_net_fetch *f);

/*
 * Runs n requests, RB_NET_PARALLEL at a time; returns when all have been accepted and are complete,
 * or with the first error. Errors: what ops->refused gives, NETWORK, CORRUPT, CANCELLED, SYS.
 */
int rb_net_run(struct rb_net *h, struct rb_net_fetch *v, size_t n, struct rb_error **err);

/* For ops->headers. */
void rb_net_add_header(struct rb_net_fetch *f, const char *name, const char *value);
/* For ops->unauthorized: the i-th header of that name, or NULL. Borrowed until the next call. */
const char *rb_net_answer_header(struct rb_net_fetch *f, const char *name, size_t i);

/* --- explain.c --- */

/* Adds at most RB_NET_QUOTE_MAX bytes of server text; anything but printable ASCII is '?'. */
void rb_net_quote(struct rb_buf *out, const char *text, size_t len);

#endif
