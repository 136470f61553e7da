// SPDX-License-Identifier: Apache-2.0
#include "dockerfile/mount.h"

#include <string.h>

#include "base/csv.h"
#include "dockerfile/dockerfile-internal.h"

/* Of types. */
enum {
	BIND = 1u << RB_MOUNT_BIND,
	CACHE = 1u << RB_MOUNT_CACHE,
	TMPFS = 1u << RB_MOUNT_TMPFS,
	SECRET = 1u << RB_MOUNT_SECRET,
	SSH = 1u << RB_MOUNT_SSH,
	ALL = BIND | CACHE | TMPFS | SECRET | SSH,
};

static const char *const type_names[RB_MOUNT_TYPES] = {
	[RB_MOUNT_BIND] = "bind",     [RB_MOUNT_CACHE] = "cache", [RB_MOUNT_TMPFS] = "tmpfs",
	[RB_MOUNT_SECRET] = "secret", [RB_MOUNT_SSH] = "ssh",
};
static const char *const sharing_names[] = {
	[RB_MOUNT_SHARED] = "shared",
	[RB_MOUNT_PRIVATE] = "private",
	[RB_MOUNT_LOCKED] = "locked",
};

/* --- the CSV record --- */

static void add_option(struct rb_arena *arena, const char *field, struct rb_kv *ret)
{
	const char *eq = strchr(field, '=');
	char *key = rb_arena_strndup(arena, field, eq ? (size_t)(eq - field) : strlen(field));

	for (char *c = key; *c; c++)
		*c = rb_ascii_lower(*c);
	*ret = (struct rb_kv){.key = key, .value = eq ? rb_arena_strdup(arena, eq + 1) : NULL};
}

int rb_mount_split(struct rb_arena *arena, const char *record, struct rb_kvs *ret,
		   struct rb_error **err)
{
	RB_CLEANUP(rb_strv_clear) struct rb_strv fields = RB_STRV_INIT;

	if (rb_csv_split(record, RB_ERR_DOCKERFILE, &fields, err) < 0)
		return rb_wrap(err, "--mount");
	*ret = (struct rb_kvs){.v = rb_arena_array(arena, fields.n, sizeof(*ret->v))};
	for (; ret->n < fields.n; ret->n++)
		add_option(arena, fields.v[ret->n], &ret->v[ret->n]);
	return 0;
}

/* --- values --- */

static int invalid(const char *key, const char *value, const char *want, struct rb_error **err)
{
	return rb_fail(err, RB_ERR_DOCKERFILE, "invalid value \"%s\" for --mount option '%s': %s",
		       value, key, want);
}

static int find(const char *const *names, size_t n, const char *value)
{
	for (size_t i = 0; i < n; i++)
		if (rb_streq(names[i], value))
			return (int)i;
	return -1;
}

static int parse_bool(const char *key, const char *value, bool *ret, struct rb_error **err)
{
	return rb_parse_bool(value, ret) < 0 ? invalid(key, value, "write true or false", err) : 0;
}

enum { FRACTION_DIGITS_MAX = 6 };

/* Digits with at most one point, as a number of `unit`s. */
static int scale(const char *text, size_t len, uint64_t unit, uint64_t *ret)
{
	uint64_t whole = 0, part = 0, tens = 1;
	const char *point = memchr(text, '.', len);
	size_t n = point ? (size_t)(point - text) : len;

	if (rb_parse_u64((struct rb_slice){text, n}, UINT64_MAX / unit, &whole) < 0)
		return -1;
	if (point) {
		if (len - n - 1 > FRACTION_DIGITS_MAX ||
		    rb_parse_u64((struct rb_slice){point + 1, len - n - 1}, UINT32_MAX, &part) < 0)
			return -1;
		for (size_t i = n + 1; i < len; i++)
			tens *= 10;
	}
	part = unit / tens * part + unit % tens * part / tens;
	return __builtin_add_overflow(whole * unit, part, ret) ? -1 : 0;
}

int rb_dockerfile_parse_size(const char *text, uint64_t *ret)
{
	static const char units[] = "kmgtp";
	size_t n = strspn(text, "0123456789.");
	const char *unit = text + n + (text[n] == ' '), *known;
	uint64_t bytes = 1;

	if (*unit && (known = strchr(units, rb_ascii_lower(*unit)))) {
		bytes = (uint64_t)1 << 10 * (known - units + 1);
		unit++;
		if (rb_ascii_lower(*unit) == 'i' && rb_ascii_lower(unit[1]) == 'b')
			unit++;
	}
	if (rb_ascii_lower(*unit) == 'b')
		unit++;
	return *unit ? -1 : scale(text, n, bytes, ret);
}

/* --- options --- */

/* What an option sets. `key` is the word that was used for it. */
struct setting {
	const char *key, *value;
	struct rb_arena *arena;
	struct rb_run_mount *m;
	bool has_access; /* ro or rw was given */
};

typedef int set_fn(struct setting *s, struct rb_error **err);

static const char *keep(const struct setting *s)
{
	return *s->value ? rb_arena_strdup(s->arena, s->value) : NULL;
}

#define DEFINE_SET_TEXT(field)                                                                     \
	static int set_##field(struct setting *s, struct rb_error **err)                           \
	{                                                                                          \
		(void)err;                                                                         \
		s->m->field = keep(s);                                                             \
		return 0;                                                                          \
	}
DEFINE_SET_TEXT(target)
DEFINE_SET_TEXT(from)
DEFINE_SET_TEXT(source)
DEFINE_SET_TEXT(id)

static int set_env(struct setting *s, struct rb_error **err)
{
	if (!*s->value || strchr(s->value, '='))
		return invalid(s->key, s->value, "write the name of a variable", err);
	s->m->env = keep(s);
	return 0;
}

static int set_type(struct setting *s, struct rb_error **err)
{
	RB_CLEANUP(rb_buf_clear) struct rb_buf hint = RB_BUF_INIT;
	int type = find(type_names, RB_MOUNT_TYPES, s->value);

	if (type < 0)
		return rb_fail(err, RB_ERR_DOCKERFILE, "unsupported mount type \"%s\"%s", s->value,
			       rb_suggest(&hint, s->value, type_names, RB_MOUNT_TYPES));
	s->m->type = (enum rb_mount_type)type;
	return 0;
}

static int set_sharing(struct setting *s, struct rb_error **err)
{
	RB_CLEANUP(rb_buf_clear) struct rb_buf hint = RB_BUF_INIT;
	int sharing = find(sharing_names, RB_ARRAY_LEN(sharing_names), s->value);

	if (sharing < 0)
		return rb_fail(
			err, RB_ERR_DOCKERFILE, "unsupported sharing value \"%s\"%s", s->value,
			rb_suggest(&hint, s->value, sharing_names, RB_ARRAY_LEN(sharing_names)));
	s->m->sharing = (enum rb_mount_sharing)sharing;
	return 0;
}

static int set_read_only(struct setting *s, struct rb_error **err)
{
	s->has_access = true;
	return parse_bool(s->key, s->value, &s->m->read_only, err);
}

static int set_writable(struct setting *s, struct rb_error **err)
{
	bool writable = true;

	s->has_access = true;
	if (parse_bool(s->key, s->value, &writable, err) < 0)
		return -1;
	s->m->read_only = !writable;
	return 0;
}

static int set_required(struct setting *s, struct rb_error **err)
{
	return parse_bool(s->key, s->value, &s->m->required, err);
}

static int set_mode(struct setting *s, struct rb_error **err)
{
	uint64_t n;

	if (rb_parse_octal(rb_slice_str(s->value), 07777, &n) < 0)
		return invalid(s->key, s->value, "write an octal number such as 0755", err);
	s->m->mode = (int64_t)n;
	return 0;
}

static int parse_id(const struct setting *s, int64_t *ret, struct rb_error **err)
{
	uint64_t n;

	/* The last number means "no id" to the kernel. */
	if (rb_parse_u64(rb_slice_str(s->value), UINT32_MAX - 1, &n) < 0)
		return invalid(s->key, s->value, "write a number; names are not looked up here",
			       err);
	*ret = (int64_t)n;
	return 0;
}

static int set_uid(struct setting *s, struct rb_error **err)
{
	return parse_id(s, &s->m->uid, err);
}

static int set_gid(struct setting *s, struct rb_error **err)
{
	return parse_id(s, &s->m->gid, err);
}

static int set_size(struct setting *s, struct rb_error **err)
{
	/* The kernel takes 0 for "no limit", which is no size of anything. */
	if (rb_dockerfile_parse_size(s->value, &s->m->size_bytes) < 0 || !s->m->size_bytes)
		return invalid(s->key, s->value, "write a size such as 64m or 1g", err);
	return 0;
}

/* How a type that does not know an option says so (3.2). */
enum refusal { AS_UNKNOWN, NOT_ALLOWED, AS_SHARING };

static const struct option {
	const char *key;
	unsigned types; /* those that know it */
	bool bare;      /* may come without "=": true */
	enum refusal refusal;
	set_fn *set;
} options[] = {
	{"type", ALL, false, AS_UNKNOWN, set_type},
	{"target", ALL, false, AS_UNKNOWN, set_target},
	{"dst", ALL, false, AS_UNKNOWN, set_target},
	{"destination", ALL, false, AS_UNKNOWN, set_target},
	{"from", BIND | CACHE, false, AS_UNKNOWN, set_from},
	{"source", BIND | CACHE | SECRET, false, AS_UNKNOWN, set_source},
	{"src", BIND | CACHE | SECRET, false, AS_UNKNOWN, set_source},
	{"readonly", ALL, true, AS_UNKNOWN, set_read_only},
	{"ro", ALL, true, AS_UNKNOWN, set_read_only},
	{"readwrite", ALL, true, AS_UNKNOWN, set_writable},
	{"rw", ALL, true, AS_UNKNOWN, set_writable},
	{"id", CACHE | SECRET | SSH, false, AS_UNKNOWN, set_id},
	{"sharing", CACHE, false, AS_SHARING, set_sharing},
	{"mode", CACHE | SECRET | SSH, false, NOT_ALLOWED, set_mode},
	{"uid", CACHE | SECRET | SSH, false, NOT_ALLOWED, set_uid},
	{"gid", CACHE | SECRET | SSH, false, NOT_ALLOWED, set_gid},
	{"size", TMPFS, false, AS_UNKNOWN, set_size},
	{"required", SECRET | SSH, true, AS_UNKNOWN, set_required},
	{"env", SECRET, false, AS_UNKNOWN, set_env},
};

static const struct option *find_option(const char *key)
{
	for (size_t i = 0; i < RB_ARRAY_LEN(options); i++)
		if (rb_streq(options[i].key, key))
			return &options[i];
	return NULL;
}

static int unknown_key(const struct rb_kv *kv, struct rb_error **err)
{
	RB_CLEANUP(rb_buf_clear) struct rb_buf hint = RB_BUF_INIT;
	const char *names[RB_ARRAY_LEN(options)];

	for (size_t i = 0; i < RB_ARRAY_LEN(options); i++)
		names[i] = options[i].key;
	if (!kv->value)
		return rb_fail(err, RB_ERR_DOCKERFILE,
			       "invalid field '%s' must be a key=value pair%s", kv->key,
			       /* Two short words are always near each other. */
			       strlen(kv->key) > 4
				       ? rb_suggest(&hint, kv->key, names, RB_ARRAY_LEN(names))
				       : "");
	return rb_fail(err, RB_ERR_DOCKERFILE, "unexpected key '%s' in '%s=%s'%s", kv->key, kv->key,
		       kv->value, rb_suggest(&hint, kv->key, names, RB_ARRAY_LEN(names)));
}

static int wrong_type(const struct option *o, const char *type, struct rb_error **err)
{
	switch (o->refusal) {
	case AS_SHARING:
		return rb_fail(err, RB_ERR_DOCKERFILE, "invalid cache sharing set for %s mount",
			       type);
	case NOT_ALLOWED:
		return rb_fail(err, RB_ERR_DOCKERFILE, "%s not allowed for \"%s\" type mounts",
			       o->key, type);
	case AS_UNKNOWN:
		break;
	}
	return rb_fail(err, RB_ERR_DOCKERFILE, "unexpected key '%s' for mount type '%s'", o->key,
		       type);
}

/* --- a mount --- */

/* Whether expansion may make something else of it. */
static bool is_variable(const char *value)
{
	return value[strcspn(value, "$'\"\\`")] != '\0';
}

bool rb_run_mount_type_is_variable(const struct rb_kvs *kvs)
{
	for (size_t i = 0; i < kvs->n; i++)
		if (rb_streq(kvs->v[i].key, "type") && kvs->v[i].value &&
		    is_variable(kvs->v[i].value))
			return true;
	return false;
}

static int check_from_value(const char *value, struct rb_error **err)
{
	const char *dollar = strchr(value, '$');

	if (dollar && dollar[1])
		return rb_fail(err, RB_ERR_DOCKERFILE,
			       "'from' doesn't support variable expansion, define alias stage "
			       "instead");
	return 0;
}

struct parse {
	rb_mount_expand_fn *expand;
	void *ctx;
	bool any_type; /* the type is not known yet */
	bool left_out; /* some value was not looked at */
	struct setting s;
};

static int apply(struct parse *p, const struct rb_kv *kv, struct rb_error **err)
{
	const struct option *o = find_option(kv->key);
	bool is_from = o && o->set == set_from;
	RB_CLEANUP(rb_strp) char *value = NULL;

	if (!o)
		return unknown_key(kv, err);
	if (!kv->value && !o->bare)
		return rb_fail(err, RB_ERR_DOCKERFILE,
			       "invalid field '%s' must be a key=value pair", kv->key);
	if (!p->any_type && !(o->types >> p->s.m->type & 1))
		return wrong_type(o, type_names[p->s.m->type], err);
	if (is_from && kv->value && check_from_value(kv->value, err) < 0)
		return -1;
	if (!is_from && kv->value && is_variable(kv->value)) {
		if (!p->expand) {
			p->left_out = true;
			return 0;
		}
		value = p->expand(p->ctx, kv->value, err);
		if (!value)
			return -1;
	}
	p->s.key = kv->key;
	p->s.value = value ? value : kv->value ? kv->value : "true";
	return o->set(&p->s, err);
}

static int check_secret(const struct rb_run_mount *m, struct rb_error **err)
{
	if (m->source && m->id)
		return rb_fail(err, RB_ERR_DOCKERFILE,
			       "a secret mount takes id or source, not both: they mean the same");
	if (!m->source && !m->id && !m->target)
		return rb_fail(err, RB_ERR_DOCKERFILE,
			       "a secret mount needs one of id, source and target");
	return 0;
}

int rb_run_mount_parse(const struct rb_kvs *kvs, rb_mount_expand_fn *expand, void *ctx,
		       struct rb_arena *arena, struct rb_run_mount *ret, struct rb_error **err)
{
	struct rb_run_mount m = {.mode = -1, .uid = -1, .gid = -1};
	struct parse p = {.expand = expand, .ctx = ctx, .s = {.arena = arena, .m = &m}};

	/* The type first: it says what the others may be, wherever it stands. */
	p.any_type = !expand && rb_run_mount_type_is_variable(kvs);
	for (size_t i = 0; i < kvs->n; i++)
		if (rb_streq(kvs->v[i].key, "type") && apply(&p, &kvs->v[i], err) < 0)
			return -1;
	for (size_t i = 0; i < kvs->n; i++)
		if (!rb_streq(kvs->v[i].key, "type") && apply(&p, &kvs->v[i], err) < 0)
			return -1;
	if (!p.s.has_access)
		m.read_only = m.type != RB_MOUNT_CACHE && m.type != RB_MOUNT_TMPFS;
	if (!p.left_out && m.type == RB_MOUNT_SECRET && check_secret(&m, err) < 0)
		return -1;
	*ret = m;
	return 0;
}
