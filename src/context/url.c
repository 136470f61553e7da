// SPDX-License-Identifier: Apache-2.0
/*
 * Files by URL (dockerfile.md 3.10, 6.1). The body goes into the store as it comes; a record says
 * which body a URL had last and what to ask the server about it. Text of a record:
 *
 *	url DIGEST SIZE LF Last-Modified LF ETag
 */
#include "context/remote.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/base64.h"
#include "base/log.h"
#include "base/path.h"
#include "context/context-internal.h"
#include "net/net.h"

#define URL_BYTES_MAX (UINT64_C(16) << 30)

enum {
	VALIDATOR_BYTES_MAX = 1024, /* an ETag or date that is kept */
	AUTH_BYTES_MAX = 8 << 10,
	REPORT_BYTES = 5000000,
};

/* What the store knows about a URL. */
struct known {
	bool is_there; /* and so is the body */
	struct rb_digest digest;
	uint64_t size;
	char *modified, *etag; /* as the server gave them; "" for none */
};

/* One fetch in progress. */
struct download {
	const struct rb_remote_env *env;
	char *url;            /* without user information */
	char *shown;          /* for people */
	struct rb_net_url at; /* its parts */
	char *auth;           /* value of Authorization, or NULL; has no formatter */
	struct known known;
	bool conditional; /* the request asks whether `known` is still right */
	uint64_t reported;
	struct rb_net http;
	struct rb_net_progress progress;
};

static void known_clear(struct known *k)
{
	free(k->modified);
	free(k->etag);
	*k = (struct known){0};
}

static void download_clear(struct download *d)
{
	rb_net_close(&d->http);
	rb_net_clear_url(&d->at);
	known_clear(&d->known);
	free(d->url);
	free(d->shown);
	free(d->auth);
}

/* --- the URL */

/* Splits "user:password@" off; it is sent as a header and to nobody else. */
static int take_userinfo(struct download *d, const char *url, char **ret_userinfo,
			 struct rb_error **err)
{
	const char *scheme = strstr(url, "://");
	const char *authority = scheme ? scheme + 3 : url;
	size_t n = strcspn(authority, "/?#");
	const char *at = memrchr(authority, '@', n);

	d->shown = rb_url_redact(url);
	*ret_userinfo = NULL;
	d->url = rb_asprintf("%.*s%s", (int)(authority - url), url, at ? at + 1 : authority);
	d->url[strcspn(d->url, "#")] = '\0';
	if (at && !(*ret_userinfo = rb_url_decode(authority, (size_t)(at - authority))))
		return rb_fail(err, RB_ERR_CONTEXT, "malformed user name or password in %s",
			       d->shown);
	if (rb_net_split_url(d->url, &d->at) < 0)
		return rb_fail(err, RB_ERR_CONTEXT, "not a usable URL: %.200s", d->shown);
	return 0;
}

int rb_url_name(const char *url, char ret[static RB_URL_NAME_BYTES], struct rb_error **err)
{
	const char *scheme = strstr(url, "://"), *host = scheme ? scheme + 3 : url;
	const char *path = host + strcspn(host, "/?#");
	RB_CLEANUP(rb_strp) char *plain = rb_url_decode(path, strcspn(path, "?#"));

	if (!plain)
		return rb_fail(err, RB_ERR_CONTEXT, "malformed path of a URL: %.200s", path);
	RB_CLEANUP(rb_strp) char *clean = rb_path_clean(plain);
	const char *name = rb_path_base(clean);
	if (rb_streq(name, "/") || rb_streq(name, "."))
		name = "__unnamed__";
	if (strlen(name) >= RB_URL_NAME_BYTES)
		return rb_fail(err, RB_ERR_CONTEXT,
			       "the name of the file in the URL has more than %d bytes: %.60s...",
			       RB_URL_NAME_BYTES - 1, name);
	(void)snprintf(ret, RB_URL_NAME_BYTES, "%s", name);
	return 0;
}

/* --- credentials */

/* A secret as a header's value: its last line end is the editor's; another one would start a header
 * of its own. */
static int take_value(struct rb_buf *value, const char *id, struct rb_error **err)
{
	while (value->len && strchr("\r\n", value->ptr[value->len - 1]))
		rb_buf_truncate(value, value->len - 1);
	for (size_t i = 0; i < value->len; i++)
		if (value->ptr[i] < ' ' || value->ptr[i] == 0x7f)
			return rb_fail(err, RB_ERR_AUTH,
				       "the secret %s cannot be sent: it is not one line of ASCII",
				       id);
	if (!value->len || value->len > AUTH_BYTES_MAX)
		return rb_fail(err, RB_ERR_AUTH, "the secret %s cannot be sent: it is %s", id,
			       value->len ? "too long" : "empty");
	return 0;
}

int rb_remote_secret(const struct rb_remote_env *env, const char *prefix, const char *host,
		     struct rb_buf *ret, struct rb_error **err)
{
	size_t bare = host[0] == '[' ? strcspn(host, "]") + 1 : strcspn(host, ":");
	RB_CLEANUP(rb_strp) char *full = rb_asprintf("%s%s", prefix, host);
	RB_CLEANUP(rb_strp) char *short_id = rb_asprintf("%s%.*s", prefix, (int)bare, host);
	const char *const ids[] = {full, short_id};

	for (size_t i = 0; env->secret && i < RB_ARRAY_LEN(ids); i++) {
		rb_buf_clear(ret);
		if (env->secret(env->ctx, ids[i], ret))
			return take_value(ret, ids[i], err) < 0 ? -1 : 1;
	}
	return 0;
}

static int find_auth(struct download *d, const char *userinfo, struct rb_error **err)
{
	RB_CLEANUP(rb_buf_clear) struct rb_buf value = RB_BUF_INIT;
	int r = rb_remote_secret(d->env, "HTTP_AUTH_HEADER_", d->at.name, &value, err);

	if (r > 0)
		d->auth = rb_strdup(value.ptr);
	if (r == 0 &&
	    (r = rb_remote_secret(d->env, "HTTP_AUTH_TOKEN_", d->at.name, &value, err)) > 0)
		d->auth = rb_asprintf("Bearer %s", value.ptr);
	if (r == 0 && userinfo) {
		rb_buf_clear(&value);
		rb_buf_addstr(&value, "Basic ");
		rb_base64_encode(userinfo, strlen(userinfo), &value);
		d->auth = rb_buf_steal(&value);
	}
	return r < 0 ? -1 : 0;
}

/* --- records */

static struct rb_digest record_key(const struct download *d)
{
	RB_CLEANUP(rb_hash_freep) struct rb_hash *h = rb_hash_new();

	rb_hash_addstr(h, "url source");
	rb_hash_addstr(h, d->url);
	return rb_hash_final(h);
}

static bool parse_known(char *text, struct known *ret)
{
	char *modified = strchr(text, '\n');
	char *etag = modified ? strchr(modified + 1, '\n') : NULL;
	char digest[RB_DIGEST_TEXT_BYTES];
	unsigned long long size;

	if (!etag)
		return false;
	*modified++ = '\0';
	*etag++ = '\0';
	if (sscanf(text, "url %71s %llu", digest, &size) != 2 ||
	    rb_digest_parse(digest, &ret->digest) < 0)
		return false;
	ret->size = size;
	ret->modified = rb_strdup(modified);
	ret->etag = rb_strdup(etag);
	return true;
}

static void load_known(struct download *d)
{
	RB_CLEANUP(rb_buf_clear) struct rb_buf text = RB_BUF_INIT;
	struct rb_digest key = record_key(d);
	struct rb_error *why = NULL;
	uint64_t size;

	if (rb_store_get_record(d->env->store, &key, &text, &why) < 0) {
		rb_error_drop(&why); /* then it is fetched */
		return;
	}
	d->known.is_there = parse_known(text.ptr, &d->known) &&
			    rb_store_has_blob(d->env->store, &d->known.digest, &size) &&
			    size == d->known.size;
}

/* Server text that goes into a record and back to the server; "" when it is not fit for that. */
static const char *validator(const char *text)
{
	size_t n = text ? strlen(text) : 0;

	if (!n || n > VALIDATOR_BYTES_MAX)
		return "";
	for (size_t i = 0; i < n; i++)
		if (text[i] < ' ' || text[i] == 0x7f)
			return "";
	return text;
}

static int save_known(struct download *d, struct rb_error **err)
{
	RB_CLEANUP(rb_buf_clear) struct rb_buf text = RB_BUF_INIT;
	struct rb_digest key = record_key(d);
	char digest[RB_DIGEST_TEXT_BYTES];

	rb_buf_addf(&text, "url %s %llu\n%s\n%s", rb_digest_text(&d->known.digest, digest),
		    (unsigned long long)d->known.size, d->known.modified, d->known.etag);
	return rb_store_put_record(d->env->store, &key, text.ptr, text.len, err);
}

/* --- requests */

static void add_headers(struct rb_net_fetch *f, const struct rb_net_url *at)
{
	const struct download *d = f->ctx;

	/* Whatever redirects say. */
	if (d->auth && rb_streq(at->origin, d->at.origin))
		rb_net_add_header(f, "Authorization", d->auth);
	if (d->conditional && *d->known.etag)
		rb_net_add_header(f, "If-None-Match", d->known.etag);
	if (d->conditional && *d->known.modified)
		rb_net_add_header(f, "If-Modified-Since", d->known.modified);
}

/*
 * Never from TLS to plain text. In plain text nobody else's page sends us to this machine, where
 * services trust whoever can reach them.
 */
static bool may_redirect(const struct rb_net_url *from, const struct rb_net_url *to)
{
	if (to->tls)
		return true;
	return !from->tls && (rb_net_is_loopback(from->host) || !rb_net_is_loopback(to->host));
}

static bool accepts(const struct rb_net_fetch *f, long status)
{
	const struct download *d = f->ctx;

	return status >= 200 && status < 400 && (status != 304 || d->conditional);
}

static int refused(struct rb_net_fetch *f, const struct rb_net_url *at, long status,
		   bool *ret_transient, struct rb_error **err)
{
	const struct download *d = f->ctx;

	*ret_transient = status >= 500 || status == 408 || status == 429;
	if (status == 404 || status == 410)
		return rb_fail(err, RB_ERR_NOTFOUND, "invalid response status %ld", status);
	if (status != 401 && status != 403)
		return rb_fail(err, RB_ERR_NETWORK, "invalid response status %ld", status);
	return rb_fail(err, RB_ERR_AUTH, "invalid response status %ld%s%s%s", status,
		       d->auth ? "" : " (a secret HTTP_AUTH_TOKEN_", d->auth ? "" : at->name,
		       d->auth ? "" : " would be sent)");
}

static const struct rb_net_ops url_ops = {
	.headers = add_headers,
	.may_redirect = may_redirect,
	.redirect_rule = "http and https, never from https to http, nor to this machine",
	.accepts = accepts,
	.refused = refused,
};

enum { MODIFIED, ETAG, N_HEADERS };
#define HEADERS_INIT                                                                               \
	{                                                                                          \
		[MODIFIED] = {.name = "Last-Modified"}, [ETAG] = {.name = "ETag" }                 \
	}

/* Asks with HEAD: 1 unchanged, 0 not known to be. */
static int is_unchanged(struct download *d)
{
	struct rb_net_header headers[N_HEADERS] = HEADERS_INIT;
	RB_CLEANUP(rb_net_clear_fetch)
	struct rb_net_fetch f = {.ops = &url_ops,
				 .ctx = d,
				 .what = d->shown,
				 .url = rb_strdup(d->url),
				 .head = true,
				 .max_bytes = URL_BYTES_MAX,
				 .once = true,
				 .headers = headers,
				 .n_headers = N_HEADERS,
				 .body = RB_BUF_INIT};
	struct rb_error *why = NULL;

	d->conditional = true;
	if (rb_net_run(&d->http, &f, 1, &why) < 0) {
		/* Some servers know GET only, and GET will say what is wrong with the others. */
		rb_error_drop(&why);
		return 0;
	}
	return f.status == 304 || (*d->known.etag && headers[ETAG].value &&
				   rb_streq(headers[ETAG].value, d->known.etag));
}

static int fail_digest(const struct download *d, const struct rb_digest *got,
		       const struct rb_digest *want, struct rb_error **err)
{
	char g[RB_DIGEST_TEXT_BYTES], w[RB_DIGEST_TEXT_BYTES];

	return rb_fail(err, RB_ERR_CORRUPT, "digest mismatch for %s: %s (expected: %s)", d->shown,
		       rb_digest_text(got, g), rb_digest_text(want, w));
}

/* GETs the body into the store; 1 when it came, 0 when what is there is right. */
static int get(struct download *d, const struct rb_digest *checksum, struct rb_error **err)
{
	struct rb_net_header headers[N_HEADERS] = HEADERS_INIT;
	RB_CLEANUP(rb_net_clear_fetch)
	struct rb_net_fetch f = {.ops = &url_ops,
				 .ctx = d,
				 .what = d->shown,
				 .url = rb_strdup(d->url),
				 .max_bytes = URL_BYTES_MAX,
				 .store = d->env->store,
				 .want = checksum,
				 .headers = headers,
				 .n_headers = N_HEADERS,
				 .body = RB_BUF_INIT};

	if (rb_net_run(&d->http, &f, 1, err) < 0) {
		if (!checksum || (*err)->code != RB_ERR_CORRUPT ||
		    rb_digest_is_zero(&f.blob.digest) || rb_digest_eq(&f.blob.digest, checksum))
			return -1;
		rb_error_drop(err); /* it says the same for registries */
		return fail_digest(d, &f.blob.digest, checksum, err);
	}
	if (f.status == 304)
		return 0;
	known_clear(&d->known);
	d->known = (struct known){
		.is_there = true,
		.digest = f.blob.digest,
		.size = f.blob.size,
		.modified = rb_strdup(validator(headers[MODIFIED].value)),
		.etag = rb_strdup(validator(headers[ETAG].value)),
	};
	return save_known(d, err) < 0 ? -1 : 1;
}

/* Brings d->known up to date; whether bytes had to be fetched for it. */
static int refresh(struct download *d, const struct rb_digest *checksum, struct rb_error **err)
{
	bool usable;

	load_known(d);
	usable = d->known.is_there && (!checksum || rb_digest_eq(checksum, &d->known.digest));
	if (usable && checksum)
		return 0;
	if (usable && (*d->known.etag || *d->known.modified)) {
		if (is_unchanged(d))
			return 0;
	} else {
		d->conditional = false;
	}
	return get(d, checksum, err);
}

/* --- the whole */

static void report_bytes(void *ctx, uint64_t done, uint64_t total)
{
	struct download *d = ctx;

	(void)total;
	if (!d->env->status || done - d->reported < REPORT_BYTES)
		return;
	d->reported = done;
	RB_CLEANUP(rb_strp) char *text = rb_asprintf("downloading %.2fMB", (double)done / 1e6);
	d->env->status(d->env->ctx, text);
}

int64_t rb_url_date(const char *text)
{
	static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	struct tm tm = {0};
	char month[4];
	const char *at;

	if (sscanf(text, "%*3[A-Za-z], %2d %3[A-Za-z] %4d %2d:%2d:%2d GMT", &tm.tm_mday, month,
		   &tm.tm_year, &tm.tm_hour, &tm.tm_min, &tm.tm_sec) != 6)
		return 0;
	at = strstr(months, month);
	if (!at || (at - months) % 3 || strlen(month) != 3 || tm.tm_year < 1970 || tm.tm_mday < 1 ||
	    tm.tm_mday > 31 || tm.tm_hour > 23 || tm.tm_min > 59 || tm.tm_sec > 60)
		return 0;
	tm.tm_mon = (int)(at - months) / 3;
	tm.tm_year -= 1900;
	return timegm(&tm);
}

static void tell(const struct download *d, struct rb_url_file *ret)
{
	ret->digest = d->known.digest;
	ret->size = d->known.size;
	ret->mtime = rb_url_date(d->known.modified);
}

static int fetch(struct download *d, const char *url, const struct rb_digest *checksum,
		 struct rb_url_file *ret, struct rb_error **err)
{
	RB_CLEANUP(rb_strp) char *userinfo = NULL;

	if (take_userinfo(d, url, &userinfo, err) < 0 || rb_url_name(d->url, ret->name, err) < 0 ||
	    find_auth(d, userinfo, err) < 0)
		return -1;
	int r = refresh(d, checksum, err);
	if (r < 0)
		return -1;
	tell(d, ret);
	ret->downloaded = r;
	rb_log_debug("url: %s: %s", d->shown, r ? "downloaded" : "unchanged");
	return 0;
}

bool rb_url_known(const struct rb_remote_env *env, const char *url,
		  const struct rb_digest *checksum, struct rb_url_file *ret)
{
	RB_CLEANUP(download_clear) struct download d = {.env = env};
	RB_CLEANUP(rb_error_freep) struct rb_error *why = NULL; /* rb_url_fetch() will say it */
	RB_CLEANUP(rb_strp) char *userinfo = NULL;

	*ret = (struct rb_url_file){0};
	if (take_userinfo(&d, url, &userinfo, &why) < 0 || rb_url_name(d.url, ret->name, &why) < 0)
		return false;
	load_known(&d);
	if (!d.known.is_there || !rb_digest_eq(&d.known.digest, checksum))
		return false;
	tell(&d, ret);
	return true;
}

int rb_url_fetch(const struct rb_remote_env *env, const char *url, const struct rb_digest *checksum,
		 struct rb_url_file *ret, struct rb_error **err)
{
	RB_CLEANUP(download_clear)
	struct download d = {
		.env = env,
		.http = {.peer = "server", .report_bytes = true},
		.progress = {.bytes = report_bytes},
	};
	struct rb_url_file file = {0};

	d.progress.ctx = &d;
	d.http.progress = &d.progress;
	if (fetch(&d, url, checksum, &file, err) < 0)
		return -1;
	*ret = file;
	return 0;
}
