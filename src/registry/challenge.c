// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "registry/registry-internal.h"

struct cursor {
	const char *p;
	struct rb_challenge *ret;
	bool fresh;     /* a scheme was read and no parameter or comma since: token68 may follow */
	bool in_bearer; /* parameters belong to the Bearer challenge that counts */
	bool in_any;    /* a scheme was read at all */
};

static bool is_tchar(char c)
{
	return rb_ascii_isalnum(c) || (c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

static bool word_is(struct rb_slice word, const char *lower)
{
	for (size_t i = 0; i < word.len; i++)
		if (rb_ascii_lower(word.ptr[i]) != lower[i])
			return false; /* also at the NUL of a shorter name */
	return lower[word.len] == '\0';
}

static void skip_blank(struct cursor *c)
{
	while (*c->p == ' ' || *c->p == '\t')
		c->p++;
}

/* token, or the characters of a token68 (which adds "/"). */
static struct rb_slice read_word(struct cursor *c)
{
	const char *start = c->p;

	while (is_tchar(*c->p) || *c->p == '/')
		c->p++;
	return (struct rb_slice){start, (size_t)(c->p - start)};
}

/* The part between the quotes with its escapes undone. */
static int read_quoted(struct cursor *c, struct rb_buf *ret)
{
	for (c->p++; *c->p != '"'; c->p++) {
		if (*c->p == '\\')
			c->p++;
		/* Also the end of the text, which is a NUL. */
		if ((unsigned char)*c->p < 0x20 || *c->p == 0x7f)
			return -EINVAL;
		rb_buf_addch(ret, *c->p);
	}
	c->p++;
	return 0;
}

static int keep_param(struct cursor *c, struct rb_slice name, const char *value)
{
	const struct {
		const char *name;
		char **field;
	} params[] = {
		{"realm", &c->ret->realm},
		{"service", &c->ret->service},
		{"scope", &c->ret->scope},
	};

	if (!c->in_bearer)
		return 0;
	for (size_t i = 0; i < RB_ARRAY_LEN(params); i++) {
		if (!word_is(name, params[i].name))
			continue;
		if (*params[i].field)
			return -EINVAL;
		*params[i].field = rb_strdup(value);
	}
	return 0;
}

/* At the value of `name=`. */
static int read_param(struct cursor *c, struct rb_slice name)
{
	RB_CLEANUP(rb_buf_clear) struct rb_buf value = RB_BUF_INIT;
	int r = 0;

	if (*c->p == '"') {
		r = read_quoted(c, &value);
	} else {
		/* "/" and ":" are not in the grammar's token, but unquoted realms were seen. */
		const char *start = c->p;

		while (is_tchar(*c->p) || *c->p == '/' || *c->p == ':')
			c->p++;
		rb_buf_add(&value, start, (size_t)(c->p - start));
	}
	c->fresh = false;
	return r < 0 ? r : keep_param(c, name, value.ptr);
}

static void begin_scheme(struct cursor *c, struct rb_slice name)
{
	bool bearer = word_is(name, "bearer");

	c->in_any = true;
	c->fresh = true;
	c->in_bearer = bearer && !c->ret->bearer;
	c->ret->bearer |= bearer;
	if (!bearer && !c->ret->other)
		c->ret->other = rb_strndup(name.ptr, name.len);
}

/* A word is a parameter's name, a scheme, or a token68: what follows it decides. */
static int read_element(struct cursor *c)
{
	struct rb_slice word = read_word(c);

	if (word.len == 0)
		return -EINVAL;
	skip_blank(c);
	if (*c->p != '=') {
		if (c->fresh)
			c->fresh = false; /* token68 without padding: nothing we can use */
		else
			begin_scheme(c, word);
		return 0;
	}
	if (!c->in_any)
		return -EINVAL;
	c->p++;
	skip_blank(c);
	if (*c->p == '"' || is_tchar(*c->p))
		return read_param(c, word);
	while (*c->p == '=') /* padding of a token68 */
		c->p++;
	c->fresh = false;
	return 0;
}

int rb_registry_parse_challenge(const char *header, struct rb_challenge *ret)
{
	struct cursor c = {.p = header, .ret = ret};
	int r;

	if (strnlen(header, RB_REGISTRY_CHALLENGE_MAX + 1) > RB_REGISTRY_CHALLENGE_MAX)
		return -E2BIG;
	for (;;) {
		skip_blank(&c);
		while (*c.p == ',') {
			c.p++;
			c.fresh = false;
			skip_blank(&c);
		}
		if (*c.p == '\0')
			return 0;
		r = read_element(&c);
		if (r < 0)
			return r;
	}
}

void rb_registry_clear_challenge(struct rb_challenge *c)
{
	free(c->realm);
	free(c->service);
	free(c->scope);
	free(c->other);
	*c = (struct rb_challenge){0};
}
