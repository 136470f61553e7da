// SPDX-License-Identifier: Apache-2.0
#include "dockerfile/gitref.h"

#include <stdlib.h>
#include <string.h>

#include "base/path.h"
#include "dockerfile/values.h"

enum { ID_PREFIX_MIN = 4, SHA1_DIGITS = 40, SHA256_DIGITS = 64 };

void rb_git_ref_clear(struct rb_git_ref *r)
{
	free(r->url);
	free(r->host);
	free(r->userinfo);
	free(r->ref);
	free(r->subdir);
	free(r->checksum);
	*r = (struct rb_git_ref){0};
}

static bool is_http(const char *s)
{
	return rb_starts_with(s, "http://") || rb_starts_with(s, "https://");
}

static bool is_legacy(const char *s)
{
	return rb_starts_with(s, "github.com/") && s[strlen("github.com/")];
}

bool rb_git_ref_is(const char *text, bool as_context)
{
	return rb_dockerfile_source_kind(text) == RB_SOURCE_GIT || (as_context && is_legacy(text));
}

/* --- pieces */

char *rb_url_decode(const char *s, size_t len)
{
	RB_CLEANUP(rb_buf_clear) struct rb_buf b = RB_BUF_INIT;

	for (size_t i = 0; i < len; i++) {
		char c = s[i];

		if (c == '%') {
			int hi = len - i > 2 ? rb_ascii_hex_value(s[i + 1]) : -1;
			int lo = len - i > 2 ? rb_ascii_hex_value(s[i + 2]) : -1;

			if (hi < 0 || lo < 0)
				return NULL;
			c = (char)(hi * 16 + lo);
			i += 2;
		}
		if ((unsigned char)c < ' ' || c == 0x7f)
			return NULL;
		rb_buf_addch(&b, c);
	}
	return rb_buf_steal(&b);
}

/* What may not be part of a ref (git-check-ref-format(1)), and what git would take for an option.
 */
static bool is_ref(const char *s)
{
	if (!*s || *s == '-' || *s == '/' || rb_ends_with(s, "/") || rb_ends_with(s, "."))
		return false;
	for (const char *p = s; *p; p++)
		if ((unsigned char)*p <= ' ' || *p == 0x7f || strchr("~^:?*[\\", *p) ||
		    (*p == '.' && p[1] == '.') || (*p == '@' && p[1] == '{'))
			return false;
	return true;
}

static int set_ref(struct rb_git_ref *r, char *ref /* takes */, struct rb_error **err)
{
	RB_CLEANUP(rb_strp) char *mine = ref;

	if (!is_ref(mine))
		return rb_fail(err, RB_ERR_DOCKERFILE,
			       "\"%s\" cannot be the name of a branch, tag or commit", mine);
	if (r->ref && !rb_streq(r->ref, mine))
		return rb_fail(err, RB_ERR_DOCKERFILE,
			       "conflicting git references \"%s\" and \"%s\": keep one", r->ref,
			       mine);
	free(r->ref);
	r->ref = rb_steal_ptr(&mine);
	return 0;
}

/* A leading "/" is the root of the repository. */
static int set_subdir(struct rb_git_ref *r, const char *text, struct rb_error **err)
{
	RB_CLEANUP(rb_strp) char *clean = rb_path_clean(text + strspn(text, "/"));

	if (rb_streq(clean, "..") || rb_starts_with(clean, "../"))
		return rb_fail(err, RB_ERR_DOCKERFILE,
			       "the subdirectory \"%s\" is outside of the repository", text);
	if (r->subdir && !rb_streq(r->subdir, clean))
		return rb_fail(err, RB_ERR_DOCKERFILE,
			       "conflicting git subdirectories \"%s\" and \"%s\": keep one",
			       r->subdir, clean);
	free(r->subdir);
	r->subdir = rb_steal_ptr(&clean);
	return 0;
}

int rb_git_ref_set_checksum(struct rb_git_ref *r, const char *text, struct rb_error **err)
{
	RB_CLEANUP(rb_strp) char *lower = rb_strdup(text);
	size_t n = strlen(text);

	for (size_t i = 0; i < n; i++) {
		lower[i] = rb_ascii_lower(text[i]);
		if (rb_ascii_hex_value(lower[i]) < 0)
			n = 0;
	}
	if (n < ID_PREFIX_MIN || n > SHA256_DIGITS)
		return rb_fail(err, RB_ERR_DOCKERFILE,
			       "invalid checksum \"%s\" for a git source: it is the id of a commit "
			       "or at least its first %d hexadecimal digits",
			       text, ID_PREFIX_MIN);
	if (r->checksum && !rb_streq(r->checksum, lower))
		return rb_fail(err, RB_ERR_DOCKERFILE,
			       "conflicting git checksums \"%s\" and \"%s\": keep one", r->checksum,
			       lower);
	free(r->checksum);
	r->checksum = rb_steal_ptr(&lower);
	return 0;
}

bool rb_git_is_id(const char *s)
{
	size_t n = strspn(s, "0123456789abcdef");

	return !s[n] && (n == SHA1_DIGITS || n == SHA256_DIGITS);
}

/* --- the query */

static int key_ref(struct rb_git_ref *r, const char *value, struct rb_error **err)
{
	return set_ref(r, rb_strdup(value), err);
}

static char *below(const char *prefix, const char *name)
{
	return rb_asprintf("%s%s", rb_starts_with(name, prefix) ? "" : prefix, name);
}

static int key_tag(struct rb_git_ref *r, const char *value, struct rb_error **err)
{
	return set_ref(r, below("refs/tags/", value), err);
}

static int key_branch(struct rb_git_ref *r, const char *value, struct rb_error **err)
{
	return set_ref(r, below("refs/heads/", value), err);
}

static int key_mtime(struct rb_git_ref *r, const char *value, struct rb_error **err)
{
	r->commit_time = rb_streq(value, "commit");
	if (!r->commit_time && !rb_streq(value, "checkout"))
		return rb_fail(err, RB_ERR_DOCKERFILE,
			       "invalid value \"%s\" of query \"mtime\": it is checkout or commit",
			       value);
	return 0;
}

/* A key without a value is true. */
static int parse_bool(const char *key, const char *value, bool *ret, struct rb_error **err)
{
	if (!*value) {
		*ret = true;
		return 0;
	}
	return rb_parse_bool(value, ret) < 0
		       ? rb_fail(err, RB_ERR_DOCKERFILE,
				 "invalid value \"%s\" of query \"%s\": it is true or false", value,
				 key)
		       : 0;
}

static int key_keep(struct rb_git_ref *r, const char *value, struct rb_error **err)
{
	bool on;

	if (parse_bool("keep-git-dir", value, &on, err) < 0)
		return -1;
	r->keep_git_dir = on;
	return 0;
}

static int key_submodules(struct rb_git_ref *r, const char *value, struct rb_error **err)
{
	return parse_bool("submodules", value, &r->submodules, err);
}

static int key_by_commit(struct rb_git_ref *r, const char *value, struct rb_error **err)
{
	return parse_bool("fetch-by-commit", value, &r->by_commit, err);
}

static const struct query_key {
	const char *name;
	bool may_be_empty;
	int (*set)(struct rb_git_ref *r, const char *value, struct rb_error **err);
} query_keys[] = {
	{"ref", false, key_ref},
	{"tag", false, key_tag},
	{"branch", false, key_branch},
	{"subdir", false, set_subdir},
	{"checksum", false, rb_git_ref_set_checksum},
	{"commit", false, rb_git_ref_set_checksum},
	{"keep-git-dir", true, key_keep},
	{"submodules", true, key_submodules},
	{"mtime", false, key_mtime},
	{"fetch-by-commit", true, key_by_commit},
};

static int unexpected_query(const char *key, struct rb_error **err)
{
	RB_CLEANUP(rb_buf_clear) struct rb_buf hint = RB_BUF_INIT;
	const char *names[RB_ARRAY_LEN(query_keys)];

	for (size_t i = 0; i < RB_ARRAY_LEN(query_keys); i++)
		names[i] = query_keys[i].name;
	return rb_fail(err, RB_ERR_DOCKERFILE, "unexpected query \"%s\"%s", key,
		       rb_suggest(&hint, key, names, RB_ARRAY_LEN(names)));
}

static int query_pair(struct rb_git_ref *r, const char *pair, size_t len, unsigned *seen,
		      struct rb_error **err)
{
	const char *eq = memchr(pair, '=', len);
	size_t key_len = eq ? (size_t)(eq - pair) : len;
	RB_CLEANUP(rb_strp) char *key = rb_url_decode(pair, key_len);
	RB_CLEANUP(rb_strp)
	char *value = eq ? rb_url_decode(eq + 1, len - key_len - 1) : rb_strdup("");

	if (!key || !value)
		return rb_fail(err, RB_ERR_DOCKERFILE, "malformed query in the git reference");
	for (size_t i = 0; i < RB_ARRAY_LEN(query_keys); i++) {
		if (!rb_streq(key, query_keys[i].name))
			continue;
		if (*seen & 1u << i)
			return rb_fail(err, RB_ERR_DOCKERFILE, "query \"%s\" has multiple values",
				       key);
		*seen |= 1u << i;
		if (!*value && !query_keys[i].may_be_empty)
			return rb_fail(err, RB_ERR_DOCKERFILE, "query \"%s\" has no value", key);
		return query_keys[i].set(r, value, err);
	}
	return unexpected_query(key, err);
}

static int parse_query(struct rb_git_ref *r, const char *query, size_t len, struct rb_error **err)
{
	unsigned seen = 0;

	for (const char *end = query + len; query < end;) {
		const char *amp = memchr(query, '&', (size_t)(end - query));
		size_t n = (size_t)((amp ? amp : end) - query);

		if (n && query_pair(r, query, n, &seen, err) < 0)
			return -1;
		query += n + 1;
	}
	return 0;
}

/* REF[:SUBDIR] */
static int parse_fragment(struct rb_git_ref *r, const char *text, struct rb_error **err)
{
	RB_CLEANUP(rb_strp) char *plain = rb_url_decode(text, strlen(text));

	if (!plain)
		return rb_fail(err, RB_ERR_DOCKERFILE, "malformed fragment of the git reference");
	char *colon = strchr(plain, ':');
	if (colon) {
		*colon = '\0';
		if (colon[1] && set_subdir(r, colon + 1, err) < 0)
			return -1;
	}
	return *plain ? set_ref(r, rb_strdup(plain), err) : 0;
}

/* --- where the repository is */

static bool is_host(const char *s)
{
	if (!*s || *s == '-')
		return false;
	for (; *s; s++)
		if (!rb_ascii_isalnum(*s) && !strchr(".-_:[]", *s))
			return false;
	return true;
}

/* "[user[:password]@]host[:port]" of a URL with this scheme, and "/path" behind it. */
static int parse_authority(struct rb_git_ref *r, const char *scheme, const char *rest,
			   struct rb_error **err)
{
	size_t n = strcspn(rest, "/");
	RB_CLEANUP(rb_strp) char *authority = rb_strndup(rest, n);
	char *at = strrchr(authority, '@');

	r->host = rb_strdup(at ? at + 1 : authority);
	if (at && is_http(scheme)) {
		r->userinfo = rb_url_decode(authority, (size_t)(at - authority));
		if (!r->userinfo)
			return rb_fail(err, RB_ERR_DOCKERFILE,
				       "malformed user name or password in the URL of %s", r->host);
	}
	if (!is_host(r->host) || *authority == '-' || !rest[n])
		return rb_fail(err, RB_ERR_DOCKERFILE, "not a usable git URL: %s%s%s", scheme,
			       r->host, rest + n);
	r->url = rb_asprintf("%s%s%s", scheme, r->userinfo ? r->host : authority, rest + n);
	return 0;
}

/* user@host:path */
static int parse_scp(struct rb_git_ref *r, const char *text, struct rb_error **err)
{
	const char *at = strchr(text, '@'), *colon = at ? strchr(at, ':') : NULL;

	if (!colon)
		return rb_fail(err, RB_ERR_DOCKERFILE, "not a git reference: %s", text);
	r->ssh = true;
	r->host = rb_strndup(at + 1, (size_t)(colon - at - 1));
	r->url = rb_strdup(text);
	if (*text == '-' || !is_host(r->host) || !colon[1] || colon[1] == '-')
		return rb_fail(err, RB_ERR_DOCKERFILE, "not a usable git URL: %s", text);
	return 0;
}

static int parse_location(struct rb_git_ref *r, const char *text, struct rb_error **err)
{
	static const char *const schemes[] = {"https://", "http://", "git://", "ssh://"};

	for (size_t i = 0; i < RB_ARRAY_LEN(schemes); i++) {
		if (!rb_starts_with(text, schemes[i]))
			continue;
		r->ssh = rb_streq(schemes[i], "ssh://");
		return parse_authority(r, schemes[i], text + strlen(schemes[i]), err);
	}
	return parse_scp(r, text, err);
}

static int check_text(const char *text, struct rb_error **err)
{
	if (strnlen(text, RB_GIT_TEXT_MAX + 1) > RB_GIT_TEXT_MAX)
		return rb_fail(err, RB_ERR_DOCKERFILE, "a git reference of more than %d bytes",
			       RB_GIT_TEXT_MAX);
	for (const char *p = text; *p; p++)
		if ((unsigned char)*p <= ' ' || *p == 0x7f)
			return rb_fail(err, RB_ERR_DOCKERFILE,
				       "a git reference with a blank or control character (a "
				       "blank in a name is written %%20)");
	return 0;
}

static int finish(struct rb_git_ref *r, struct rb_error **err)
{
	if (!r->subdir)
		r->subdir = rb_strdup(".");
	if (r->by_commit && (!r->checksum || !rb_git_is_id(r->checksum)))
		return rb_fail(err, RB_ERR_DOCKERFILE,
			       "query \"fetch-by-commit\" needs the whole id of a commit in "
			       "\"checksum\"");
	return 0;
}

int rb_git_ref_parse(const char *text, bool as_context, struct rb_git_ref *ret,
		     struct rb_error **err)
{
	RB_CLEANUP(rb_git_ref_clear)
	struct rb_git_ref r = {.keep_git_dir = -1, .submodules = true};
	size_t before = strcspn(text, "#"), path = strcspn(text, "?#");
	bool legacy = as_context && is_legacy(text);
	RB_CLEANUP(rb_strp)
	char *location = rb_asprintf("%s%.*s", legacy ? "https://" : "", (int)path, text);

	if (check_text(text, err) < 0 || parse_location(&r, location, err) < 0 ||
	    (path < before && parse_query(&r, text + path + 1, before - path - 1, err) < 0) ||
	    (text[before] && parse_fragment(&r, text + before + 1, err) < 0) || finish(&r, err) < 0)
		return -1;
	*ret = r;
	r = (struct rb_git_ref){0};
	return 0;
}

/* --- submodules */

/* Takes the last component of the parent's path off; false at the host. */
static bool pop(char *url, size_t root)
{
	char *slash = strrchr(url, '/');

	if (slash && (size_t)(slash - url) >= root) {
		*slash = '\0';
		return true;
	}
	if (!url[root])
		return false;
	url[root] = '\0';
	return true;
}

/* Where the path of a URL starts that rb_git_ref_parse() made. */
static size_t path_start(const char *url)
{
	const char *scheme = strstr(url, "://");

	return scheme ? (size_t)(scheme + 3 - url) + strcspn(scheme + 3, "/")
		      : strcspn(url, ":") + 1;
}

/* "../x" beside the parent's URL; NULL when it climbs over the host. */
static char *resolve_relative(const char *parent, const char *url)
{
	RB_CLEANUP(rb_strp) char *base = rb_strdup(parent);
	size_t root = path_start(parent), n = strlen(base);

	while (n > root && base[n - 1] == '/')
		base[--n] = '\0';
	for (;;) {
		if (rb_starts_with(url, "./")) {
			url += 2;
		} else if (rb_starts_with(url, "../")) {
			url += 3;
			if (!pop(base, root))
				return NULL;
		} else {
			break;
		}
	}
	n = strlen(base);
	return rb_asprintf("%s%s%s", base, n && base[n - 1] == ':' ? "" : "/", url);
}

int rb_git_ref_submodule(const struct rb_git_ref *parent, const char *url, struct rb_git_ref *ret,
			 struct rb_error **err)
{
	RB_CLEANUP(rb_git_ref_clear) struct rb_git_ref r = {.keep_git_dir = -1, .submodules = true};
	RB_CLEANUP(rb_error_freep) struct rb_error *why = NULL;
	RB_CLEANUP(rb_strp) char *whole = NULL;

	if (rb_starts_with(url, "./") || rb_starts_with(url, "../"))
		whole = resolve_relative(parent->url, url);
	else
		whole = rb_strdup(url);
	if (!whole || check_text(whole, &why) < 0 || parse_location(&r, whole, &why) < 0 ||
	    finish(&r, &why) < 0) {
		RB_CLEANUP(rb_strp) char *shown = rb_url_redact(url);

		return rb_fail(err, RB_ERR_CORRUPT,
			       "the submodule's URL \"%.200s\" is none that may be fetched (http, "
			       "https, git and ssh are)",
			       shown);
	}
	/* Who may read the repository may read what it consists of, on the same host. */
	if (!r.userinfo && parent->userinfo && rb_streq(r.host, parent->host))
		r.userinfo = rb_strdup(parent->userinfo);
	*ret = r;
	r = (struct rb_git_ref){0};
	return 0;
}

/* --- for people */

char *rb_url_redact(const char *text)
{
	RB_CLEANUP(rb_buf_clear) struct rb_buf b = RB_BUF_INIT;
	const char *scheme;

	while ((scheme = strstr(text, "://"))) {
		const char *authority = scheme + 3;
		size_t n = strcspn(authority, "/?# \t\"");
		const char *at = memrchr(authority, '@', n);

		rb_buf_add(&b, text, (size_t)(authority - text));
		text = authority;
		if (!at)
			continue;
		rb_buf_addstr(&b, memchr(authority, ':', (size_t)(at - authority)) ? "xxxxx:xxxxx"
										   : "xxxxx");
		text = at;
	}
	rb_buf_addstr(&b, text);
	return rb_buf_steal(&b);
}
