// SPDX-License-Identifier: Apache-2.0
#include "image/reference.h"

#include <stdlib.h>
#include <string.h>

/*
 *	reference      := name [ ":" tag ] [ "@" digest ]
 *	name           := [ domain "/" ] component *( "/" component )
 *	domain         := host [ ":" port ]     host := dns-name | IPv4 | "[" IPv6 "]"
 *	component      := alnum *( separator alnum )     alnum := 1*( a-z | 0-9 )
 *	separator      := "." | "_" | "__" | 1*"-"
 *	tag            := ( letter | digit | "_" ) *127( letter | digit | "_" | "." | "-" )
 */
enum { REF_TEXT_MAX = 4096, REF_PATH_MAX = 255, REF_TAG_MAX = 128, REF_DOMAIN_MAX = 255 };

static const char default_domain[] = "docker.io";
static const char default_prefix[] = "library/";

static bool is_component_char(char c)
{
	return rb_ascii_isdigit(c) || (c >= 'a' && c <= 'z');
}

/* Length of the separator at s: 0 when there is none, or one that the grammar does not know. */
static size_t separator_len(const char *s)
{
	size_t n = strspn(s, "-");

	if (n)
		return n;
	if (s[0] == '.')
		return 1;
	if (s[0] == '_')
		return s[1] == '_' ? 2 : 1;
	return 0;
}

static bool valid_path(const char *s)
{
	for (;;) {
		if (!is_component_char(*s))
			return false;
		while (is_component_char(*s))
			s++;
		if (*s == '\0')
			return true;
		s += *s == '/' ? 1 : separator_len(s);
	}
}

static bool valid_tag(const char *s)
{
	size_t n = strlen(s);

	if (n == 0 || n > REF_TAG_MAX || s[0] == '.' || s[0] == '-')
		return false;
	for (size_t i = 0; i < n; i++)
		if (!rb_ascii_isalnum(s[i]) && !strchr("_.-", s[i]))
			return false;
	return true;
}

/* Components of letters, digits and inner hyphens, joined by single dots; IPv4 is one of them. */
static bool valid_dns_name(const char *s, size_t n)
{
	char prev = '.';

	for (size_t i = 0; i < n; i++) {
		if (!rb_ascii_isalnum(s[i]) && !(s[i] == '-' && prev != '.') &&
		    !(s[i] == '.' && rb_ascii_isalnum(prev)))
			return false;
		prev = s[i];
	}
	return rb_ascii_isalnum(prev);
}

static bool valid_domain(const char *s)
{
	size_t n = strlen(s), host;
	uint64_t port;

	if (n > REF_DOMAIN_MAX)
		return false;
	if (s[0] == '[') {
		host = strspn(s + 1, "0123456789abcdefABCDEF:.") + 1;
		if (host == 1 || s[host++] != ']')
			return false;
	} else {
		host = strcspn(s, ":");
		if (!valid_dns_name(s, host))
			return false;
	}
	if (s[host] == '\0')
		return true;
	return s[host] == ':' && rb_parse_u64(rb_slice_str(s + host + 1), 65535, &port) == 0;
}

static bool is_image_id(const char *name)
{
	return strlen(name) == 64 && strspn(name, "0123456789abcdef") == 64;
}

static int bad(const char *text, const char *why, struct rb_error **err)
{
	return rb_fail(err, RB_ERR_USAGE, "invalid reference format: %s: \"%s\"", why, text);
}

/* Whether the text before the first slash is a host and not the first component of a path. */
static bool looks_like_domain(const char *s, size_t n)
{
	if (n == strlen("localhost") && memcmp(s, "localhost", n) == 0)
		return true;
	for (size_t i = 0; i < n; i++)
		if (strchr(".:[", s[i]) || (s[i] >= 'A' && s[i] <= 'Z'))
			return true;
	return false;
}

/* Cuts "@digest" and ":tag" off the end of `name`. */
static int split_suffixes(const char *text, char *name, struct rb_ref *ref, struct rb_error **err)
{
	struct rb_digest digest;
	char *at = strchr(name, '@');

	if (at) {
		*at = '\0';
		if (rb_digest_parse(at + 1, &digest) < 0)
			return bad(text, "a digest is sha256: and 64 lower case hex digits", err);
		ref->digest = rb_strdup(at + 1);
	}
	char *slash = strrchr(name, '/');
	char *colon = strchr(slash ? slash : name, ':');
	if (colon) {
		*colon = '\0';
		if (!valid_tag(colon + 1))
			return bad(text,
				   "a tag is at most 128 letters, digits, \"_\", \".\", \"-\"",
				   err);
		ref->tag = rb_strdup(colon + 1);
	} else if (!at) {
		ref->tag = rb_strdup("latest");
	}
	return 0;
}

static void split_domain(const char *name, struct rb_ref *ref)
{
	const char *slash = strchr(name, '/');
	size_t n = slash ? (size_t)(slash - name) : 0;

	if (n && looks_like_domain(name, n)) {
		ref->domain = rb_strndup(name, n);
		ref->path = rb_strdup(slash + 1);
		if (rb_streq(ref->domain, "index.docker.io")) {
			free(ref->domain);
			ref->domain = rb_strdup(default_domain);
		}
	} else {
		ref->domain = rb_strdup(default_domain);
		ref->path = rb_strdup(name);
	}
	if (rb_streq(ref->domain, default_domain) && !strchr(ref->path, '/')) {
		char *full = rb_asprintf("%s%s", default_prefix, ref->path);

		free(ref->path);
		ref->path = full;
	}
}

static int check_name(const char *text, const char *name, const struct rb_ref *ref,
		      struct rb_error **err)
{
	if (is_image_id(name))
		return bad(text, "64 hex digits are an image ID, not a name", err);
	if (!valid_domain(ref->domain))
		return bad(text, "odd registry host", err);
	if (strlen(ref->path) > REF_PATH_MAX)
		return bad(text, "the repository name is longer than 255 bytes", err);
	for (const char *c = ref->path; *c; c++)
		if (*c >= 'A' && *c <= 'Z')
			return rb_fail(
				err, RB_ERR_USAGE,
				"invalid reference format: repository name (%s) must be lowercase",
				ref->path);
	if (!valid_path(ref->path))
		return bad(text,
			   "a repository name is lower case letters and digits, separated by one "
			   "of / . _ __ -",
			   err);
	return 0;
}

int rb_ref_parse(const char *text, struct rb_ref *ret, struct rb_error **err)
{
	struct rb_ref ref = {0};

	if (!*text)
		return rb_fail(err, RB_ERR_USAGE, "invalid reference format: the name is empty");
	if (strlen(text) > REF_TEXT_MAX)
		return rb_fail(err, RB_ERR_USAGE, "invalid reference format: longer than %d bytes",
			       REF_TEXT_MAX);
	RB_CLEANUP(rb_strp) char *name = rb_strdup(text);
	int r = split_suffixes(text, name, &ref, err);
	if (r == 0) {
		split_domain(name, &ref);
		r = check_name(text, name, &ref, err);
	}
	if (r < 0) {
		rb_ref_clear(&ref);
		return -1;
	}
	*ret = ref;
	return 0;
}

void rb_ref_clear(struct rb_ref *ref)
{
	free(ref->domain);
	free(ref->path);
	free(ref->tag);
	free(ref->digest);
	*ref = (struct rb_ref){0};
}

static char *text_with_name(const struct rb_ref *ref, const char *domain, const char *path)
{
	return rb_asprintf("%s%s%s%s%s%s%s", domain, *domain ? "/" : "", path, ref->tag ? ":" : "",
			   ref->tag ? ref->tag : "", ref->digest ? "@" : "",
			   ref->digest ? ref->digest : "");
}

char *rb_ref_text(const struct rb_ref *ref)
{
	return text_with_name(ref, ref->domain, ref->path);
}

char *rb_ref_familiar(const struct rb_ref *ref)
{
	const char *path = ref->path, *rest = path + strlen(default_prefix);

	if (!rb_streq(ref->domain, default_domain))
		return rb_ref_text(ref);
	if (rb_starts_with(path, default_prefix) && !strchr(rest, '/') && !is_image_id(rest))
		return text_with_name(ref, "", rest);
	/* "docker.io/my.org/x" without its domain would be read as host my.org. */
	if (looks_like_domain(path, strcspn(path, "/")))
		return rb_ref_text(ref);
	return text_with_name(ref, "", path);
}
