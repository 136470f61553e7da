// SPDX-License-Identifier: Apache-2.0
#include <curl/curl.h>
#include <dirent.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "net/net-internal.h"

/* Waiting time before each retry. */
static const int64_t backoff_ms[RB_NET_RETRIES] = {200, 800, 2000};

enum { TICK_MS = 100 }; /* how often cancellation is asked about and bytes are reported */

/* What lives only while one request is on the wire. */
struct rb_net_attempt {
	CURL *easy;
	struct curl_slist *headers;
	struct rb_blob_writer *writer;
	struct rb_net_url at;
	size_t header_bytes;
	struct rb_error *err; /* from a callback: ends the request for good */
	char detail[CURL_ERROR_SIZE];
};

#define must_set(easy, option, value)                                                              \
	do {                                                                                       \
		if (curl_easy_setopt((easy), (option), (value)) != CURLE_OK)                       \
			rb_bug("this libcurl does not know %s", #option);                          \
	} while (0)

static int64_t now_ms(void)
{
	return rb_monotonic_ns() / 1000000;
}

/* ---- certificates ---- */

static const char *const ca_dirs[] = {"/etc/ssl/certs", "/etc/pki/tls/certs"};
static const char *const ca_files[] = {
	"/etc/ssl/certs/ca-certificates.crt", /* Debian, Alpine, Arch */
	"/etc/pki/tls/certs/ca-bundle.crt",   /* Fedora, RHEL */
	"/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
	"/etc/ssl/ca-bundle.pem", /* openSUSE */
	"/etc/ssl/cert.pem",
};

/* OpenSSL looks certificates up as <8 hex digits of the subject's hash>.<n>. */
static bool is_hashed_dir(const char *path)
{
	DIR *dir = opendir(path);
	struct dirent *e;
	bool found = false;

	if (!dir)
		return false;
	while (!found && (e = readdir(dir)) != NULL)
		found = strspn(e->d_name, "0123456789abcdef") == 8 && e->d_name[8] == '.' &&
			rb_ascii_isdigit(e->d_name[9]);
	(void)closedir(dir);
	return found;
}

/*
 * SSL_CERT_DIR and SSL_CERT_FILE replace the system's directory and file, as for other programs on
 * OpenSSL. A directory is read by need (0.1 ms), a bundle as a whole (23 ms): only where there is
 * no directory.
 */
static void find_certificates(struct rb_net *h)
{
	const char *dir = getenv("SSL_CERT_DIR"), *file = getenv("SSL_CERT_FILE");

	if (dir && *dir)
		h->ca_dir = rb_strdup(dir);
	for (size_t i = 0; !h->ca_dir && i < RB_ARRAY_LEN(ca_dirs); i++)
		if (is_hashed_dir(ca_dirs[i]))
			h->ca_dir = rb_strdup(ca_dirs[i]);
	if (file && *file)
		h->ca_file = rb_strdup(file);
	for (size_t i = 0; !h->ca_dir && !h->ca_file && i < RB_ARRAY_LEN(ca_files); i++)
		if (access(ca_files[i], R_OK) == 0)
			h->ca_file = rb_strdup(ca_files[i]);
}

static int open_http(struct rb_net *h, struct rb_error **err)
{
	static bool initialised;

	if (h->multi)
		return 0;
	if (!initialised) {
		/* Before libcurl does it: the system's openssl.cnf may name modules, and a static
		 * binary cannot load them. */
		if (OPENSSL_init_ssl(OPENSSL_INIT_NO_LOAD_CONFIG, NULL) != 1 ||
		    curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
			return rb_fail(err, RB_ERR_SYS, "cannot initialise TLS");
		initialised = true;
	}
	h->multi = curl_multi_init();
	if (!h->multi)
		return rb_fail(err, RB_ERR_SYS, "cannot initialise libcurl");
	find_certificates(h);
	return 0;
}

void rb_net_close(struct rb_net *h)
{
	if (h->multi)
		(void)curl_multi_cleanup(h->multi);
	free(h->ca_dir);
	free(h->ca_file);
	*h = (struct rb_net){0};
}

/* ---- one attempt ---- */

static long status_of(const struct rb_net_attempt *a)
{
	long status = 0;

	(void)curl_easy_getinfo(a->easy, CURLINFO_RESPONSE_CODE, &status);
	return status;
}

/* The announced length, before bytes are spent on an answer that cannot be right. */
static int check_length(struct rb_net_fetch *f, struct rb_error **err)
{
	curl_off_t announced = -1;

	(void)curl_easy_getinfo(f->now->easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &announced);
	if (announced < 0)
		return 0;
	if (f->exact ? (uint64_t)announced != f->max_bytes : (uint64_t)announced > f->max_bytes)
		return rb_fail(err, RB_ERR_CORRUPT, "%s announces %lld bytes instead of %s%llu",
			       f->now->at.name, (long long)announced, f->exact ? "" : "at most ",
			       (unsigned long long)f->max_bytes);
	return 0;
}

static int take(struct rb_net_fetch *f, const char *data, size_t len, struct rb_error **err)
{
	if (f->got == 0 && check_length(f, err) < 0)
		return -1;
	if (len > f->max_bytes - f->got)
		return rb_fail(err, RB_ERR_CORRUPT, "%s sends more than %llu bytes",
			       f->now->at.name, (unsigned long long)f->max_bytes);
	f->got += len;
	if (f->store)
		return rb_blob_writer_add(f->now->writer, data, len, err);
	rb_buf_add(&f->body, data, len);
	return 0;
}

/* Returning another number than n ends the transfer with CURLE_WRITE_ERROR. */
static size_t on_body(char *data, size_t one, size_t n, void *ctx)
{
	struct rb_net_fetch *f = ctx;

	(void)one;
	if (f->ops->accepts(f, status_of(f->now)))
		return take(f, data, n, &f->now->err) < 0 ? 0 : n;
	/* The words of a refusal; finish_attempt() is content with its beginning. */
	if (f->body.len >= RB_NET_REFUSAL_MAX)
		return 0;
	rb_buf_add(&f->body, data, rb_min_size(n, RB_NET_REFUSAL_MAX - f->body.len));
	return n;
}

static size_t on_header(char *data, size_t one, size_t n, void *ctx)
{
	struct rb_net_fetch *f = ctx;

	(void)data;
	(void)one;
	f->now->header_bytes += n;
	if (f->now->header_bytes <= RB_NET_HEADERS_MAX)
		return n;
	(void)rb_fail(&f->now->err, RB_ERR_CORRUPT, "%s sends headers without end",
		      f->now->at.name);
	return 0;
}

void rb_net_add_header(struct rb_net_fetch *f, const char *name, const char *value)
{
	RB_CLEANUP(rb_strp) char *line = rb_asprintf("%s: %s", name, value);
	struct curl_slist *longer = curl_slist_append(f->now->headers, line);

	if (!longer)
		rb_bug("curl_slist_append: out of memory");
	f->now->headers = longer;
}

static void set_request(struct rb_net_fetch *f, const char *url)
{
	struct rb_net_attempt *a = f->now;

	must_set(a->easy, CURLOPT_URL, url);
	must_set(a->easy, CURLOPT_PRIVATE, f);
	must_set(a->easy, CURLOPT_ERRORBUFFER, a->detail);
	must_set(a->easy, CURLOPT_WRITEFUNCTION, on_body);
	must_set(a->easy, CURLOPT_WRITEDATA, f);
	must_set(a->easy, CURLOPT_HEADERFUNCTION, on_header);
	must_set(a->easy, CURLOPT_HEADERDATA, f);
	must_set(a->easy, CURLOPT_USERAGENT, "rbuild");
	if (f->head)
		must_set(a->easy, CURLOPT_NOBODY, 1L);
	if (f->accept)
		rb_net_add_header(f, "Accept", f->accept);
	if (f->ops->headers)
		f->ops->headers(f, &a->at);
	must_set(a->easy, CURLOPT_HTTPHEADER, a->headers);
}

/* CURLOPT_NOSIGNAL stays off: with it libcurl would not keep SIGPIPE from us, and there is a
 * resolver that needs no alarm. Redirects are followed by finish_redirect(), by our rules. */
static void set_transport(const struct rb_net *h, const struct rb_net_attempt *a)
{
	must_set(a->easy, CURLOPT_PROTOCOLS_STR, a->at.tls ? "https" : "http");
	must_set(a->easy, CURLOPT_FOLLOWLOCATION, 0L);
	must_set(a->easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	must_set(a->easy, CURLOPT_SSL_VERIFYPEER, 1L);
	must_set(a->easy, CURLOPT_SSL_VERIFYHOST, 2L);
	must_set(a->easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	/* NULL as well, to undo paths that were compiled in. */
	must_set(a->easy, CURLOPT_CAPATH, h->ca_dir);
	must_set(a->easy, CURLOPT_CAINFO, h->ca_file);
	must_set(a->easy, CURLOPT_CONNECTTIMEOUT, (long)RB_NET_CONNECT_SEC);
	must_set(a->easy, CURLOPT_LOW_SPEED_LIMIT, 1L);
	must_set(a->easy, CURLOPT_LOW_SPEED_TIME, (long)RB_NET_STALL_SEC);
	must_set(a->easy, CURLOPT_BUFFERSIZE, 128L << 10);
	/* Proxies are those of the environment; none of them can reach our loopback. */
	if (rb_net_is_loopback(a->at.host))
		must_set(a->easy, CURLOPT_NOPROXY, "*");
}

static void end_attempt(struct rb_net *h, struct rb_net_fetch *f)
{
	struct rb_net_attempt *a = f->now;

	if (!a)
		return;
	if (f->running)
		(void)curl_multi_remove_handle(h->multi, a->easy);
	curl_easy_cleanup(a->easy);
	curl_slist_free_all(a->headers);
	rb_blob_writer_free(a->writer);
	rb_net_clear_url(&a->at);
	rb_error_drop(&a->err);
	free(a);
	f->now = NULL;
	f->running = false;
}

static int begin_attempt(struct rb_net *h, struct rb_net_fetch *f, struct rb_error **err)
{
	const char *url = f->redirect ? f->redirect : f->url;
	struct rb_net_attempt *a = rb_calloc(1, sizeof(*a));

	f->now = a;
	f->got = 0;
	rb_buf_truncate(&f->body, 0);
	if (rb_net_split_url(url, &a->at) < 0)
		return rb_fail(err, RB_ERR_NETWORK, "not a usable URL: %.200s", url);
	if (a->at.tls && !h->ca_dir && !h->ca_file)
		return rb_fail(
			err, RB_ERR_NETWORK,
			"no certificates to check %s with: install ca-certificates, or set SSL_CERT_FILE",
			a->at.name);
	if (f->store && rb_blob_writer_new(f->store, &a->writer, err) < 0)
		return -1;
	a->easy = curl_easy_init();
	if (!a->easy)
		return rb_fail(err, RB_ERR_SYS, "cannot make a libcurl handle");
	set_request(f, url);
	set_transport(h, a);
	if (curl_multi_add_handle(h->multi, a->easy) != CURLM_OK)
		rb_bug("curl_multi_add_handle");
	f->running = true;
	rb_log_debug("net: %s %s://%s: %s", f->head ? "HEAD" : "GET", a->at.tls ? "https" : "http",
		     a->at.name, f->what);
	return 0;
}

/* ---- the end of an attempt: done (0), another one at once (1), or an error ---- */

const char *rb_net_answer_header(struct rb_net_fetch *f, const char *name, size_t i)
{
	struct curl_header *h = NULL;

	if (curl_easy_header(f->now->easy, name, i, CURLH_HEADER, -1, &h) != CURLHE_OK)
		return NULL;
	return h->value;
}

static void keep_headers(struct rb_net_fetch *f)
{
	for (size_t i = 0; i < f->n_headers; i++) {
		const char *value = NULL, *next;

		for (size_t j = 0; (next = rb_net_answer_header(f, f->headers[i].name, j)); j++)
			value = next;
		free(f->headers[i].value);
		f->headers[i].value = value ? rb_strdup(value) : NULL;
	}
}

static int finish_ok(struct rb_net_fetch *f, bool *ret_transient, struct rb_error **err)
{
	/* An empty body never came by take(). */
	if (f->got == 0 && check_length(f, err) < 0)
		return -1;
	if (f->exact && f->got < f->max_bytes) {
		*ret_transient = true;
		return rb_fail(err, RB_ERR_NETWORK,
			       "the connection to %s ended after %llu of %llu bytes",
			       f->now->at.name, (unsigned long long)f->got,
			       (unsigned long long)f->max_bytes);
	}
	keep_headers(f);
	/* 304: what the caller has is the body. */
	if (f->store && !f->head && f->status != 304 &&
	    rb_blob_writer_commit(f->now->writer, f->want, f->exact ? f->max_bytes : UINT64_MAX,
				  &f->blob, err) < 0)
		return rb_wrap(err, "%s sent bad bytes", f->now->at.name);
	return 0;
}

static int finish_redirect(struct rb_net_fetch *f, struct rb_error **err)
{
	RB_CLEANUP(rb_net_clear_url) struct rb_net_url to = {0};
	char *url = NULL;
	bool usable;

	(void)curl_easy_getinfo(f->now->easy, CURLINFO_REDIRECT_URL, &url);
	usable = url && rb_net_split_url(url, &to) == 0 && f->ops->may_redirect(&f->now->at, &to);
	if (!usable)
		return rb_fail(err, RB_ERR_NETWORK,
			       "%s redirects to a place that is not allowed (only %s)",
			       f->now->at.name, f->ops->redirect_rule);
	if (f->hops++ >= RB_NET_REDIRECTS_MAX)
		return rb_fail(err, RB_ERR_NETWORK, "%s: more than %d redirects", f->now->at.name,
			       RB_NET_REDIRECTS_MAX);
	free(f->redirect);
	f->redirect = rb_strdup(url);
	return 1;
}

static int finish_unauthorized(struct rb_net_fetch *f, struct rb_error **err)
{
	int r = f->ops->unauthorized ? f->ops->unauthorized(f, &f->now->at, err) : 0;

	if (r > 0) {
		free(rb_steal_ptr(&f->redirect));
		f->hops = 0;
	}
	return r;
}

/* Without a Location it is an answer, for those who accept it. */
static bool is_redirect(const struct rb_net_attempt *a, long status, bool accepted)
{
	char *url = NULL;

	(void)curl_easy_getinfo(a->easy, CURLINFO_REDIRECT_URL, &url);
	return (url || !accepted) &&
	       (status == 301 || status == 302 || status == 303 || status == 307 || status == 308);
}

static int finish_attempt(struct rb_net *h, struct rb_net_fetch *f, CURLcode code,
			  bool *ret_transient, struct rb_error **err)
{
	struct rb_net_attempt *a = f->now;
	long status = status_of(a);

	f->transport = (int)code;
	*ret_transient = false;
	if (a->err) {
		*err = rb_steal_ptr(&a->err);
		return -1;
	}
	f->status = status;
	bool accepted = f->ops->accepts(f, status);
	/* on_body() had enough of a refusal. */
	if (code == CURLE_WRITE_ERROR && !accepted)
		code = CURLE_OK;
	if (code != CURLE_OK)
		return rb_net_explain_transport(a->easy, (int)code, &a->at, a->detail, h,
						ret_transient, err);
	if (is_redirect(a, status, accepted))
		return finish_redirect(f, err);
	if (accepted)
		return finish_ok(f, ret_transient, err);
	if (status == 401) {
		int r = finish_unauthorized(f, err);

		if (r != 0)
			return r;
	}
	return f->ops->refused(f, &a->at, status, ret_transient, err);
}

/* Decides what follows: nothing, another attempt now or later, or the end of everything. */
static int settle(struct rb_net *h, struct rb_net_fetch *f, CURLcode code, struct rb_error **err)
{
	RB_CLEANUP(rb_error_freep) struct rb_error *why = NULL;
	bool transient = false;
	int r = finish_attempt(h, f, code, &transient, &why);

	end_attempt(h, f);
	f->done = r == 0;
	f->due_ms = now_ms();
	if (r >= 0)
		return 0;
	if (!transient || f->once || f->retries >= RB_NET_RETRIES) {
		*err = rb_steal_ptr(&why);
		if (f->retries > 0)
			return rb_wrap(err, "%s: tried %u times", f->what, f->retries + 1);
		return rb_wrap(err, "%s", f->what);
	}
	rb_log_debug("net: %s: %s; trying again", f->what, why->msg);
	f->due_ms += backoff_ms[f->retries++];
	f->authorized = false;
	free(rb_steal_ptr(&f->redirect));
	f->hops = 0;
	return 0;
}

/* ---- many at once ---- */

struct run {
	struct rb_net *h;
	struct rb_net_fetch *v;
	size_t n, next; /* v[next] was not started yet */
	struct rb_net_fetch *active[RB_NET_PARALLEL];
	int64_t reported_ms;
};

/* Fills free places and starts what is due; returns how many requests are unfinished, or -1. */
static int start_due(struct run *run, int64_t now, struct rb_error **err)
{
	int unfinished = 0;

	for (size_t i = 0; i < RB_NET_PARALLEL; i++) {
		struct rb_net_fetch **slot = &run->active[i];

		if (*slot && (*slot)->done)
			*slot = NULL;
		if (!*slot && run->next < run->n)
			*slot = &run->v[run->next++];
		if (!*slot)
			continue;
		unfinished++;
		if (!(*slot)->running && (*slot)->due_ms <= now &&
		    begin_attempt(run->h, *slot, err) < 0)
			return rb_wrap(err, "%s", (*slot)->what);
	}
	return unfinished;
}

/* How long may be slept: until a waiting request is due, at most a tick. */
static int nap_ms(const struct run *run, int64_t now)
{
	int64_t nap = TICK_MS;

	for (size_t i = 0; i < RB_NET_PARALLEL; i++) {
		const struct rb_net_fetch *f = run->active[i];

		if (f && f->done)
			return 0; /* its place is free */
		if (f && !f->running && f->due_ms - now < nap)
			nap = f->due_ms - now;
	}
	return nap > 0 ? (int)nap : 0;
}

static void report(struct run *run, int64_t now, bool final)
{
	const struct rb_net_progress *p = run->h->progress;
	uint64_t done = 0;

	if (!run->h->report_bytes || !p || !p->bytes ||
	    (!final && now - run->reported_ms < TICK_MS))
		return;
	run->reported_ms = now;
	for (size_t i = 0; i < run->next; i++)
		done += run->v[i].got;
	p->bytes(p->ctx, done, run->h->total);
}

static int settle_finished(struct run *run, struct rb_error **err)
{
	CURLMsg *msg;
	int left;

	while ((msg = curl_multi_info_read(run->h->multi, &left)) != NULL) {
		char *owner = NULL;

		if (msg->msg != CURLMSG_DONE)
			continue;
		(void)curl_easy_getinfo(msg->easy_handle, CURLINFO_PRIVATE, &owner);
		/* The message dies with its handle: the code is copied by the call. */
		if (settle(run->h, (struct rb_net_fetch *)(void *)owner, msg->data.result, err) < 0)
			return -1;
	}
	return 0;
}

static int turn(struct run *run, struct rb_error **err)
{
	const struct rb_net_progress *p = run->h->progress;
	int active;

	for (;;) {
		int64_t now = now_ms();
		int unfinished = start_due(run, now, err);

		if (unfinished < 0)
			return -1;
		report(run, now, unfinished == 0);
		if (unfinished == 0)
			return 0;
		if (p && p->cancelled && p->cancelled(p->ctx))
			return rb_fail(err, RB_ERR_CANCELLED, "cancelled");
		if (curl_multi_perform(run->h->multi, &active) != CURLM_OK)
			rb_bug("curl_multi_perform");
		if (settle_finished(run, err) < 0)
			return -1;
		if (curl_multi_poll(run->h->multi, NULL, 0, nap_ms(run, now_ms()), NULL) !=
		    CURLM_OK)
			return rb_fail(err, RB_ERR_SYS, "cannot wait for the network");
	}
}

int rb_net_run(struct rb_net *h, struct rb_net_fetch *v, size_t n, struct rb_error **err)
{
	struct run run = {.h = h, .v = v, .n = n};
	int r;

	if (open_http(h, err) < 0)
		return -1;
	r = turn(&run, err);
	for (size_t i = 0; i < run.next; i++)
		end_attempt(h, &v[i]);
	return r;
}

void rb_net_clear_fetch(struct rb_net_fetch *f)
{
	if (f->now)
		rb_bug("request cleared while it runs");
	free(f->url);
	free(f->redirect);
	for (size_t i = 0; i < f->n_headers; i++)
		free(rb_steal_ptr(&f->headers[i].value));
	rb_buf_clear(&f->body);
	*f = (struct rb_net_fetch){0};
}
