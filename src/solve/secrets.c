// SPDX-License-Identifier: Apache-2.0
#include "solve/secrets.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/csv.h"
#include "base/fd.h"
#include "base/log.h"
#include "solve/mask.h"

/* One byte more than a secret may have, to see that there is more, and a NUL. */
enum { ROOM_BYTES = RB_SECRET_BYTES_MAX + 2 };

struct rb_secrets {
	struct rb_secret *v; /* their values are mappings of ROOM_BYTES */
	size_t n, cap;
	struct rb_mask_set *mask; /* made when first asked for */
};

struct spec {
	char *id, *type, *src, *env;
};

/* --- memory --- */

static char *new_room(struct rb_error **err)
{
	char *room =
		mmap(NULL, ROOM_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (room == MAP_FAILED) {
		(void)rb_fail_errno(err, "no memory for a secret");
		return NULL;
	}
	(void)madvise(room, ROOM_BYTES, MADV_DONTDUMP);
	return room;
}

static void free_room(const char *value)
{
	union {
		const char *in;
		char *out;
	} room = {.in = value};

	explicit_bzero(room.out, ROOM_BYTES);
	(void)munmap(room.out, ROOM_BYTES);
}

struct rb_secrets *rb_secrets_new(void)
{
	return rb_calloc(1, sizeof(struct rb_secrets));
}

static void forget_mask(struct rb_secrets *s)
{
	rb_mask_set_free(s->mask);
	s->mask = NULL;
}

void rb_secrets_free(struct rb_secrets *s)
{
	if (!s)
		return;
	forget_mask(s);
	for (size_t i = 0; i < s->n; i++) {
		free(s->v[i].id);
		free_room(s->v[i].value);
	}
	free(s->v);
	free(s);
}

/* --- SPEC --- */

static void spec_clear(struct spec *sp)
{
	free(sp->id);
	free(sp->type);
	free(sp->src);
	free(sp->env);
}

static int set_field(struct spec *sp, const char *field, struct rb_error **err)
{
	const struct {
		const char *key;
		char **value;
	} keys[] = {{"id", &sp->id},
		    {"type", &sp->type},
		    {"src", &sp->src},
		    {"env", &sp->env},
		    {"source", &sp->src}};
	const char *eq = strchr(field, '=');
	RB_CLEANUP(rb_buf_clear) struct rb_buf hint = RB_BUF_INIT;
	const char *names[RB_ARRAY_LEN(keys)];

	if (!eq)
		return rb_fail(err, RB_ERR_USAGE, "invalid field '%s' must be a key=value pair",
			       field);
	RB_CLEANUP(rb_strp) char *key = rb_strndup(field, (size_t)(eq - field));
	for (size_t i = 0; i < RB_ARRAY_LEN(keys); i++) {
		names[i] = keys[i].key;
		if (!rb_ascii_strcaseeq(key, keys[i].key))
			continue;
		free(*keys[i].value);
		/* An empty value is none: scripts write src="$FILE". */
		*keys[i].value = eq[1] ? rb_strdup(eq + 1) : NULL;
		return 0;
	}
	return rb_fail(err, RB_ERR_USAGE, "unexpected key '%s' in '%s'%s", key, field,
		       rb_suggest(&hint, key, names, RB_ARRAY_LEN(names)));
}

/* Leaves exactly one of src and env. */
static int choose_source(struct spec *sp, struct rb_error **err)
{
	bool wants_env = sp->type && rb_streq(sp->type, "env");
	bool wants_file = sp->type && rb_streq(sp->type, "file");

	if (sp->type && !wants_env && !wants_file)
		return rb_fail(err, RB_ERR_USAGE,
			       "unsupported secret type \"%s\" (expected file or env)", sp->type);
	/* docker takes type=env,src=NAME as well. */
	if (wants_env && !sp->env)
		sp->env = rb_steal_ptr(&sp->src);
	if ((sp->env && sp->src) || (wants_file && sp->env))
		return rb_fail(
			err, RB_ERR_USAGE,
			"the secret %s cannot be both a file and an environment variable: give "
			"src= or env=",
			sp->id);
	if (!sp->env && !sp->src) {
		bool is_env = wants_env || (!wants_file && getenv(sp->id));

		if (is_env)
			sp->env = rb_strdup(sp->id);
		else
			sp->src = rb_strdup(sp->id);
	}
	return 0;
}

static int parse(const char *text, struct spec *sp, struct rb_error **err)
{
	RB_CLEANUP(rb_strv_clear) struct rb_strv fields = RB_STRV_INIT;

	if (rb_csv_split(text, RB_ERR_USAGE, &fields, err) < 0)
		return -1;
	for (size_t i = 0; i < fields.n; i++)
		if (set_field(sp, fields.v[i], err) < 0)
			return -1;
	if (!sp->id || !*sp->id)
		return rb_fail(err, RB_ERR_USAGE,
			       "a secret needs an id, as in id=token,src=token.txt");
	return choose_source(sp, err);
}

/* --- values --- */

static int too_big(const char *id, struct rb_error **err)
{
	return rb_fail(err, RB_ERR_UNSUPPORTED, "the secret %s is larger than %d kB", id,
		       RB_SECRET_BYTES_MAX / 1024);
}

/* A FIFO is fine: --secret id=x,src=<(pass show x). */
static int read_file(const struct spec *sp, char *room, size_t *ret_len, struct rb_error **err)
{
	RB_CLEANUP(rb_closep) int fd = open(sp->src, O_RDONLY | O_NOCTTY | O_CLOEXEC);
	struct stat st;

	if (fd < 0 && errno == ENOENT)
		return rb_fail(
			err, RB_ERR_NOTFOUND,
			"the file %s of the secret %s does not exist; give another with src=, or "
			"an environment variable with env=",
			sp->src, sp->id);
	if (fd < 0 || fstat(fd, &st) < 0)
		return rb_fail_errno(err, "cannot read the file %s of the secret %s", sp->src,
				     sp->id);
	ssize_t n = rb_read_full(fd, room, RB_SECRET_BYTES_MAX + 1);
	if (n < 0)
		return rb_fail_sys(err, (int)n, "cannot read the file %s of the secret %s", sp->src,
				   sp->id);
	if (n > RB_SECRET_BYTES_MAX)
		return too_big(sp->id, err);
	*ret_len = (size_t)n;
	return 0;
}

static int read_env(const struct spec *sp, char *room, size_t *ret_len, struct rb_error **err)
{
	const char *value = getenv(sp->env);
	size_t len = value ? strlen(value) : 0;

	if (!value)
		rb_log_warn(
			"--secret: the environment variable %s is not set, so the secret %s is empty",
			sp->env, sp->id);
	if (len > RB_SECRET_BYTES_MAX)
		return too_big(sp->id, err);
	if (len)
		memcpy(room, value, len);
	*ret_len = len;
	return 0;
}

static void keep(struct rb_secrets *s, struct rb_secret secret)
{
	forget_mask(s);
	for (size_t i = 0; i < s->n; i++) {
		if (!rb_streq(s->v[i].id, secret.id))
			continue;
		free(s->v[i].id);
		free_room(s->v[i].value);
		s->v[i] = secret;
		return;
	}
	rb_grow(s->v, s->n, &s->cap);
	s->v[s->n++] = secret;
}

int rb_secrets_add(struct rb_secrets *s, const char *spec, struct rb_error **err)
{
	RB_CLEANUP(spec_clear) struct spec sp = {0};
	size_t len = 0;

	if (parse(spec, &sp, err) < 0)
		return -1;
	char *room = new_room(err);
	if (!room)
		return -1;
	if ((sp.env ? read_env(&sp, room, &len, err) : read_file(&sp, room, &len, err)) < 0) {
		free_room(room);
		return -1;
	}
	(void)mlock(room, len);
	keep(s, (struct rb_secret){.id = rb_steal_ptr(&sp.id), .value = room, .len = len});
	return 0;
}

const struct rb_secret *rb_secrets_get(const struct rb_secrets *s, const char *id)
{
	for (size_t i = 0; s && i < s->n; i++)
		if (rb_streq(s->v[i].id, id))
			return &s->v[i];
	return NULL;
}

const struct rb_mask_set *rb_secrets_mask(struct rb_secrets *s)
{
	if (!s || !s->n)
		return NULL;
	if (!s->mask) {
		s->mask = rb_mask_set_new();
		for (size_t i = 0; i < s->n; i++)
			rb_mask_set_add(s->mask, s->v[i].value, s->v[i].len);
	}
	return rb_mask_set_is_empty(s->mask) ? NULL : s->mask;
}

void rb_secrets_hide(struct rb_secrets *s, struct rb_error *err)
{
	const struct rb_mask_set *mask = rb_secrets_mask(s);

	for (; mask && err; err = err->cause) {
		char *text = rb_mask_text(mask, err->msg);

		free(err->msg);
		err->msg = text;
	}
}
