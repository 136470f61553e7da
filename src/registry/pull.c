// SPDX-License-Identifier: Apache-2.0
#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>

#include "image/config.h"
#include "registry/registry-internal.h"

static const char accepted_documents[] =
	RB_MT_OCI_MANIFEST ", " RB_MT_OCI_INDEX ", " RB_MT_DOCKER_MANIFEST ", " RB_MT_DOCKER_INDEX;

/* What one pull works with. */
struct pull {
	struct rb_store *store;
	struct rb_remote remote;
};

struct document {
	struct rb_digest digest;
	bool any_platform; /* taken from an index that does not say what platform it is for */
	struct rb_manifest m;
};

static void clear_document(struct document *d)
{
	rb_manifest_clear(&d->m);
	*d = (struct document){0};
}

static void clear_pull(struct pull *p)
{
	rb_net_close(&p->remote.http);
	rb_net_close(&p->remote.auth_http);
	free(p->remote.origin);
	free(p->remote.token);
}

/* ---- the registry ---- */

/*
 * A registry on loopback may speak plain HTTP. That is found out by trying TLS: only a handshake
 * that gets no sensible answer (or a closed port, as 443 is when 80 is meant) leads to HTTP; a bad
 * certificate does not.
 */
static const char *probe_scheme(struct rb_remote *r)
{
	RB_CLEANUP(rb_net_clear_fetch)
	struct rb_net_fetch f = {.ops = &rb_registry_ops,
				 .what = "probe",
				 .url = rb_asprintf("https://%s/v2/", r->ref->domain),
				 .max_bytes = RB_NET_REFUSAL_MAX,
				 .once = true,
				 .body = RB_BUF_INIT};
	struct rb_error *ignored = NULL;

	/* Most registries answer 401 here, or anything: only the transport matters. */
	(void)rb_net_run(&r->http, &f, 1, &ignored);
	rb_error_drop(&ignored);
	return f.transport == CURLE_SSL_CONNECT_ERROR || f.transport == CURLE_COULDNT_CONNECT
		       ? "http"
		       : "https";
}

static int reach_remote(struct rb_remote *r, struct rb_error **err)
{
	RB_CLEANUP(rb_net_clear_url) struct rb_net_url parts = {0};
	RB_CLEANUP(rb_strp) char *url = NULL;
	RB_CLEANUP(rb_strp) char *host = rb_registry_strip_port(r->ref->domain);
	const char *scheme = "https";

	if (r->scheme)
		return 0;
	if (rb_net_is_loopback(host))
		scheme = probe_scheme(r);
	url = rb_asprintf("%s://%s/", scheme, r->name);
	if (rb_net_split_url(url, &parts) < 0)
		return rb_fail(err, RB_ERR_USAGE, "not a usable registry name: %s", r->ref->domain);
	r->origin = rb_steal_ptr(&parts.origin);
	r->scheme = scheme;
	return 0;
}

static int get(struct pull *p, struct rb_net_fetch *f, const char *kind, const char *name,
	       struct rb_error **err)
{
	if (reach_remote(&p->remote, err) < 0)
		return -1;
	f->ops = &rb_registry_ops;
	f->ctx = &p->remote;
	f->url = rb_registry_url(p->remote.scheme, p->remote.ref->domain, p->remote.ref->path, kind,
				 name);
	return rb_net_run(&p->remote.http, f, 1, err);
}

/* ---- documents ---- */

/* A web page is recognised before anybody complains about its JSON; the media type itself is the
 * parser's affair. */
static int check_type(const struct pull *p, const char *type, struct rb_error **err)
{
	RB_CLEANUP(rb_buf_clear) struct rb_buf words = RB_BUF_INIT;

	if (!type || rb_starts_with(type, "application/") || rb_starts_with(type, "text/plain"))
		return 0;
	rb_net_quote(&words, type, strlen(type));
	return rb_fail(
		err, RB_ERR_NETWORK,
		"%s answers with %s instead of a manifest: is it a registry, or does the network want you to log in first?",
		p->remote.name, words.ptr);
}

/* The server's own statement about the bytes, where it makes one, must be true. */
static int check_digest_header(const struct pull *p, const char *header,
			       const struct rb_digest *actual, struct rb_error **err)
{
	struct rb_digest said;
	char text[RB_DIGEST_TEXT_BYTES];

	if (!header || (rb_digest_parse(header, &said) == 0 && rb_digest_eq(&said, actual)))
		return 0;
	return rb_fail(
		err, RB_ERR_CORRUPT,
		"the manifest from %s is %s, but its Docker-Content-Digest header says otherwise",
		p->remote.name, rb_digest_text(actual, text));
}

static int check_bytes(const struct pull *p, const char *what, const struct rb_buf *bytes,
		       const struct rb_descriptor *want, struct rb_error **err)
{
	struct rb_digest actual = rb_digest_of(bytes->ptr, bytes->len);
	char is[RB_DIGEST_TEXT_BYTES], should[RB_DIGEST_TEXT_BYTES];

	if (!rb_digest_eq(&actual, &want->digest))
		return rb_fail(err, RB_ERR_CORRUPT, "%s: %s sent %s instead of %s", what,
			       p->remote.name, rb_digest_text(&actual, is),
			       rb_digest_text(&want->digest, should));
	if (want->size != UINT64_MAX && bytes->len != want->size)
		return rb_fail(err, RB_ERR_CORRUPT, "%s: has %zu bytes, its descriptor says %llu",
			       what, bytes->len, (unsigned long long)want->size);
	return 0;
}

/* A small blob or document that the store may hold already: 1 and its bytes, or 0. */
static int read_stored(const struct pull *p, const struct rb_descriptor *want, size_t max_bytes,
		       struct rb_buf *ret, struct rb_error **err)
{
	if (!rb_store_has_blob(p->store, &want->digest, NULL))
		return 0;
	return rb_store_read_blob(p->store, &want->digest, max_bytes, ret, err) < 0 ? -1 : 1;
}

static int download_document(struct pull *p, const char *name, struct rb_buf *ret_bytes,
			     char **ret_type, struct rb_error **err)
{
	struct rb_net_header headers[] = {{.name = "Content-Type"},
					  {.name = "Docker-Content-Digest"}};
	RB_CLEANUP(rb_net_clear_fetch)
	struct rb_net_fetch f = {.what = "manifest",
				 .accept = accepted_documents,
				 .max_bytes = RB_REGISTRY_MANIFEST_MAX,
				 .headers = headers,
				 .n_headers = RB_ARRAY_LEN(headers),
				 .body = RB_BUF_INIT};
	struct rb_digest actual;

	if (get(p, &f, "manifests", name, err) < 0) {
		if ((*err)->code == RB_ERR_NOTFOUND)
			return rb_wrap(
				err,
				"there is no such image or %s at %s (a private image looks the same)",
				p->remote.ref->digest ? "digest" : "tag", p->remote.name);
		return -1;
	}
	actual = rb_digest_of(f.body.ptr, f.body.len);
	if (check_digest_header(p, headers[1].value, &actual, err) < 0 ||
	    check_type(p, headers[0].value, err) < 0)
		return -1;
	*ret_type = rb_steal_ptr(&headers[0].value);
	*ret_bytes = f.body;
	f.body = (struct rb_buf)RB_BUF_INIT;
	return 0;
}

/*
 * The manifest or index called `name` (a tag, or the text of a digest). `want` is what it must be:
 * NULL for a tag; a size of UINT64_MAX and a media type of NULL mean any. The bytes that were
 * verified are the ones that are parsed and stored.
 */
static int get_document(struct pull *p, const char *name, const struct rb_descriptor *want,
			struct document *ret, struct rb_error **err)
{
	RB_CLEANUP(rb_buf_clear) struct rb_buf bytes = RB_BUF_INIT;
	RB_CLEANUP(rb_strp) char *type = NULL;
	struct rb_blob blob;
	int stored = want ? read_stored(p, want, RB_REGISTRY_MANIFEST_MAX, &bytes, err) : 0;

	if (stored < 0 || (stored == 0 && download_document(p, name, &bytes, &type, err) < 0))
		return -1;
	if (want && check_bytes(p, "manifest", &bytes, want, err) < 0)
		return -1;
	if (want && want->media_type) {
		free(type);
		type = rb_strdup(want->media_type);
	}
	if (rb_manifest_parse(bytes.ptr, bytes.len, type, &ret->m, err) < 0)
		return -1;
	if (rb_store_put_blob(p->store, bytes.ptr, bytes.len, &blob, err) < 0)
		return -1;
	ret->digest = blob.digest;
	return 0;
}

/* Which platforms an index has, for somebody who asked for another. */
static void list_platforms(struct rb_buf *out, const struct rb_manifest *index)
{
	enum { SHOWN = 16 };
	size_t shown = 0;
	char text[RB_PLATFORM_TEXT_BYTES];

	for (size_t i = 0; i < index->n_layers && shown < SHOWN; i++) {
		const struct rb_descriptor *d = &index->layers[i];

		/* Attestations hide behind unknown/unknown. */
		if (!d->has_platform || rb_streq(d->platform.os, "unknown"))
			continue;
		rb_buf_addstr(out, shown++ ? ", " : "");
		rb_platform_text(&d->platform, text);
		rb_net_quote(out, text, strlen(text));
	}
	if (shown == 0)
		rb_buf_addstr(out, "none that is named");
}

static int choose(struct pull *p, const struct rb_manifest *index, const struct rb_platform *want,
		  struct document *ret, struct rb_error **err)
{
	RB_CLEANUP(rb_buf_clear) struct rb_buf names = RB_BUF_INIT;
	const struct rb_descriptor *entry = rb_index_choose(index, want);
	char platform[RB_PLATFORM_TEXT_BYTES], digest[RB_DIGEST_TEXT_BYTES];

	if (!entry) {
		list_platforms(&names, index);
		return rb_fail(err, RB_ERR_NOTFOUND,
			       "there is no image for platform %s (there is: %s)",
			       rb_platform_text(want, platform), names.ptr);
	}
	/* The entry's media type is a manifest's, and its document is held to that: no second
	 * index. */
	if (get_document(p, rb_digest_text(&entry->digest, digest), entry, ret, err) < 0)
		return -1;
	ret->any_platform = !entry->has_platform;
	return 0;
}

/* The manifest that `ref` means on the platform. */
static int find_manifest(struct pull *p, const struct rb_platform *platform, struct document *ret,
			 struct rb_error **err)
{
	RB_CLEANUP(clear_document) struct document top = {0};
	const struct rb_ref *ref = p->remote.ref;
	struct rb_descriptor want = {.size = UINT64_MAX};

	if (ref->digest && rb_digest_parse(ref->digest, &want.digest) < 0)
		return rb_fail(err, RB_ERR_UNSUPPORTED, "only sha256 digests are supported: %s",
			       ref->digest);
	if (get_document(p, ref->digest ? ref->digest : ref->tag, ref->digest ? &want : NULL, &top,
			 err) < 0)
		return -1;
	if (top.m.kind == RB_DOC_INDEX)
		return choose(p, &top.m, platform, ret, err);
	*ret = top;
	top = (struct document){0};
	return 0;
}

/* ---- blobs ---- */

/* The bytes of the config, which is a blob of the store then. */
static int get_config_blob(struct pull *p, const struct rb_manifest *m, uint64_t max,
			   struct rb_buf *ret, struct rb_error **err)
{
	RB_CLEANUP(rb_net_clear_fetch)
	struct rb_net_fetch f = {.what = "image config",
				 .max_bytes = m->config.size,
				 .exact = true,
				 .body = RB_BUF_INIT};
	char text[RB_DIGEST_TEXT_BYTES];
	struct rb_blob blob;

	if (m->config.size > max)
		return rb_fail(err, RB_ERR_CORRUPT, "image config: %llu bytes are more than %llu",
			       (unsigned long long)m->config.size, (unsigned long long)max);
	int stored = read_stored(p, &m->config, max, &f.body, err);
	if (stored < 0 ||
	    (stored == 0 && get(p, &f, "blobs", rb_digest_text(&m->config.digest, text), err) < 0))
		return -1;
	if (check_bytes(p, f.what, &f.body, &m->config, err) < 0 ||
	    (!stored && rb_store_put_blob(p->store, f.body.ptr, f.body.len, &blob, err) < 0))
		return -1;
	*ret = f.body;
	f.body = (struct rb_buf)RB_BUF_INIT;
	return 0;
}

static int get_config(struct pull *p, const struct rb_manifest *m, struct rb_platform *ret,
		      struct rb_error **err)
{
	RB_CLEANUP(rb_buf_clear) struct rb_buf text = RB_BUF_INIT;
	RB_CLEANUP(rb_image_config_clear) struct rb_image_config config = {0};

	if (rb_manifest_is_cache(m))
		return rb_fail(err, RB_ERR_UNSUPPORTED,
			       "this is a build cache, not an image: name it with --cache-from");
	if (get_config_blob(p, m, RB_REGISTRY_CONFIG_MAX, &text, err) < 0 ||
	    rb_image_config_parse(text.ptr, text.len, &config, err) < 0)
		return -1;
	if (config.n_diff_ids != m->n_layers)
		return rb_fail(err, RB_ERR_CORRUPT,
			       "image config: has diff IDs of %zu layers, the manifest has %zu",
			       config.n_diff_ids, m->n_layers);
	*ret = config.platform;
	return 0;
}

/* Requests for the layers that are missing, each digest once. */
struct layers {
	struct rb_net_fetch *v;
	struct rb_strv names; /* what the requests call them */
	size_t n;
	uint64_t total;
};

static void clear_layers(struct layers *l)
{
	for (size_t i = 0; i < l->n; i++)
		rb_net_clear_fetch(&l->v[i]);
	free(l->v);
	rb_strv_clear(&l->names);
}

static bool is_listed(const struct layers *l, const struct rb_digest *digest)
{
	for (size_t i = 0; i < l->n; i++)
		if (rb_digest_eq(l->v[i].want, digest))
			return true;
	return false;
}

static int list_missing(struct pull *p, const struct rb_manifest *m, struct layers *ret,
			struct rb_error **err)
{
	const struct rb_ref *ref = p->remote.ref;
	char text[RB_DIGEST_TEXT_BYTES];

	ret->v = rb_calloc(m->n_layers, sizeof(*ret->v));
	for (size_t i = 0; i < m->n_layers; i++) {
		const struct rb_descriptor *d = &m->layers[i];
		struct rb_net_fetch *f = &ret->v[ret->n];
		uint64_t stored_size;

		rb_digest_text(&d->digest, text);
		if (rb_store_has_blob(p->store, &d->digest, &stored_size)) {
			if (stored_size != d->size)
				return rb_fail(err, RB_ERR_CORRUPT,
					       "layer %s has %llu bytes, the manifest says %llu",
					       text, (unsigned long long)stored_size,
					       (unsigned long long)d->size);
			continue;
		}
		if (is_listed(ret, &d->digest))
			continue;
		if (__builtin_add_overflow(ret->total, d->size, &ret->total))
			return rb_fail(err, RB_ERR_CORRUPT, "manifest: absurd layer sizes");
		if (reach_remote(&p->remote, err) < 0)
			return -1;
		rb_strv_addf(&ret->names, "layer %s", text);
		*f = (struct rb_net_fetch){
			.ops = &rb_registry_ops,
			.ctx = &p->remote,
			.what = ret->names.v[ret->n++],
			.url = rb_registry_url(p->remote.scheme, ref->domain, ref->path, "blobs",
					       text),
			.max_bytes = d->size,
			.exact = true,
			.store = p->store,
			.want = &d->digest,
			.body = RB_BUF_INIT,
		};
	}
	return 0;
}

static int get_layers(struct pull *p, const struct rb_manifest *m, struct rb_error **err)
{
	RB_CLEANUP(clear_layers) struct layers missing = {0};

	if (list_missing(p, m, &missing, err) < 0)
		return -1;
	p->remote.http.report_bytes = true;
	p->remote.http.total = missing.total;
	return missing.n ? rb_net_run(&p->remote.http, missing.v, missing.n, err) : 0;
}

/* ---- the whole ---- */

static int pull(struct pull *p, const struct rb_platform *want, bool config_only,
		struct rb_pulled *ret, struct rb_error **err)
{
	RB_CLEANUP(clear_document) struct document doc = {0};
	struct rb_pulled pulled = {0};
	char asked[RB_PLATFORM_TEXT_BYTES], has[RB_PLATFORM_TEXT_BYTES];

	if (find_manifest(p, want, &doc, err) < 0 ||
	    get_config(p, &doc.m, &pulled.platform, err) < 0)
		return -1;
	if (doc.any_platform && !rb_platform_match(want, &pulled.platform))
		return rb_fail(
			err, RB_ERR_NOTFOUND, "there is no image for platform %s (there is: %s)",
			rb_platform_text(want, asked), rb_platform_text(&pulled.platform, has));
	if (!config_only && get_layers(p, &doc.m, err) < 0)
		return -1;
	pulled.manifest = doc.digest;
	pulled.config = doc.m.config.digest;
	*ret = pulled;
	return 0;
}

static int explain_failure(const char *name, struct rb_error **err)
{
	if ((*err)->code == RB_ERR_AUTH)
		return rb_wrap(
			err,
			"cannot pull %s: it is private or does not exist (this version of rbuild has no login: it pulls public images only)",
			name);
	return rb_wrap(err, "cannot pull %s", name);
}

static struct pull new_pull(struct rb_store *store, const struct rb_ref *ref,
			    const struct rb_net_progress *progress)
{
	return (struct pull){
		.store = store,
		.remote = {.ref = ref,
			   .name = rb_registry_host(ref->domain),
			   .http = {.peer = "registry", .progress = progress},
			   .auth_http.peer = "registry"},
	};
}

int rb_registry_pull(struct rb_store *store, const struct rb_ref *ref,
		     const struct rb_platform *want, bool config_only,
		     const struct rb_net_progress *progress, struct rb_pulled *ret,
		     struct rb_error **err)
{
	RB_CLEANUP(rb_strp) char *name = rb_ref_familiar(ref);
	RB_CLEANUP(clear_pull) struct pull p = new_pull(store, ref, progress);

	return pull(&p, want, config_only, ret, err) < 0 ? explain_failure(name, err) : 0;
}

static int pull_cache(struct pull *p, const struct rb_platform *want, struct rb_pulled *ret,
		      struct rb_error **err)
{
	RB_CLEANUP(clear_document) struct document doc = {0};
	RB_CLEANUP(rb_buf_clear) struct rb_buf text = RB_BUF_INIT;

	if (find_manifest(p, want, &doc, err) < 0 ||
	    get_config_blob(p, &doc.m, RB_REGISTRY_CACHE_MAX, &text, err) < 0)
		return -1;
	*ret = (struct rb_pulled){
		.manifest = doc.digest, .config = doc.m.config.digest, .platform = *want};
	return 0;
}

int rb_registry_pull_cache(struct rb_store *store, const struct rb_ref *ref,
			   const struct rb_platform *want, struct rb_pulled *ret,
			   struct rb_error **err)
{
	RB_CLEANUP(rb_strp) char *name = rb_ref_familiar(ref);
	RB_CLEANUP(clear_pull) struct pull p = new_pull(store, ref, NULL);

	return pull_cache(&p, want, ret, err) < 0 ? explain_failure(name, err) : 0;
}

int rb_registry_pull_blobs(struct rb_store *store, const struct rb_ref *ref,
			   struct rb_descriptor *blobs, size_t n,
			   const struct rb_net_progress *progress, struct rb_error **err)
{
	RB_CLEANUP(rb_strp) char *name = rb_ref_familiar(ref);
	RB_CLEANUP(clear_pull) struct pull p = new_pull(store, ref, progress);
	const struct rb_manifest m = {.kind = RB_DOC_MANIFEST, .layers = blobs, .n_layers = n};

	return get_layers(&p, &m, err) < 0 ? explain_failure(name, err) : 0;
}
