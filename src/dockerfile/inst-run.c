// SPDX-License-Identifier: Apache-2.0
/* RUN and its flags (dockerfile.md 3.2). */
#include <string.h>

#include "base/csv.h"
#include "dockerfile/dockerfile-internal.h"
#include "dockerfile/mount.h"

/* The value of a flag is one of n; *hint, where it is none, nearly says which. */
static bool is_one_of(const char *s, const char *const *list, size_t n, struct rb_buf *hint)
{
	for (size_t i = 0; i < n; i++)
		if (rb_streq(s, list[i]))
			return true;
	(void)rb_suggest(hint, s, list, n);
	return false;
}

static int parse_mounts(struct rb_statement *st, struct rb_error **err)
{
	static const char flag[] = "--mount=";
	struct rb_arena *arena = st->lx->arena;
	struct rb_kvs *mounts = rb_arena_array(arena, st->flag_words.n + 1, sizeof(*mounts));
	size_t n = 0;

	for (size_t i = 0; i < st->flag_words.n; i++) {
		const char *word = st->flag_words.v[i];
		struct rb_run_mount unused;

		if (!rb_starts_with(word, flag))
			continue;
		if (rb_mount_split(arena, word + strlen(flag), &mounts[n], err) < 0 ||
		    rb_run_mount_parse(&mounts[n], NULL, NULL, arena, &unused, err) < 0)
			return -1;
		n++;
	}
	st->inst->run.mounts = mounts;
	st->inst->run.n_mounts = n;
	return 0;
}

/* name=NAME, required and required=BOOL; a first field without "=" is the name. */
static int parse_device_field(struct rb_device *d, const char *field, bool first,
			      struct rb_arena *arena, struct rb_error **err)
{
	const char *eq = strchr(field, '=');
	RB_CLEANUP(rb_strp)
	char *key = rb_strndup(field, eq ? (size_t)(eq - field) : strlen(field));

	bool is_required = rb_ascii_strcaseeq(key, "required");

	/* A CDI name has a "=" itself: vendor.com/class=name. */
	if (eq && rb_ascii_strcaseeq(key, "name"))
		d->name = rb_arena_strdup(arena, eq + 1);
	else if (!is_required && first)
		d->name = rb_arena_strdup(arena, field);
	else if (!is_required)
		return rb_fail(err, RB_ERR_DOCKERFILE,
			       "unexpected key '%s' in '%s': write NAME, name=NAME or required",
			       key, field);
	else if (!eq)
		d->required = true;
	else if (rb_parse_bool(eq + 1, &d->required) < 0)
		return rb_fail(err, RB_ERR_DOCKERFILE,
			       "invalid value for required: %s: write true or false", eq + 1);
	return 0;
}

static int parse_device(struct rb_statement *st, const char *record, struct rb_device *ret,
			struct rb_error **err)
{
	RB_CLEANUP(rb_strv_clear) struct rb_strv fields = RB_STRV_INIT;

	if (rb_csv_split(record, RB_ERR_DOCKERFILE, &fields, err) < 0)
		return -1;
	for (size_t i = 0; i < fields.n; i++)
		if (parse_device_field(ret, fields.v[i], i == 0, st->lx->arena, err) < 0)
			return rb_wrap(err, "--device");
	if (!ret->name || !*ret->name)
		return rb_fail(err, RB_ERR_DOCKERFILE, "--device=%s names no device", record);
	return 0;
}

static int parse_devices(struct rb_statement *st, struct rb_error **err)
{
	static const char flag[] = "--device=";
	struct rb_device *v = rb_arena_array(st->lx->arena, st->flag_words.n + 1, sizeof(*v));
	size_t n = 0;

	for (size_t i = 0; i < st->flag_words.n; i++)
		if (rb_starts_with(st->flag_words.v[i], flag) &&
		    parse_device(st, st->flag_words.v[i] + strlen(flag), &v[n++], err) < 0)
			return -1;
	st->inst->run.devices = v;
	st->inst->run.n_devices = n;
	return 0;
}

static int parse_run_flags(struct rb_statement *st, struct rb_error **err)
{
	static const char *const networks[] = {"default", "none", "host"};
	static const char *const securities[] = {"sandbox", "insecure"};
	const struct rb_flag *network = rb_flags_find(&st->flags, "network");
	const struct rb_flag *security = rb_flags_find(&st->flags, "security");
	RB_CLEANUP(rb_buf_clear) struct rb_buf hint = RB_BUF_INIT;

	if (network->given && !is_one_of(network->value, networks, RB_ARRAY_LEN(networks), &hint))
		return rb_fail(err, RB_ERR_DOCKERFILE,
			       "invalid network mode \"%s\"%s: it is default, none or host",
			       network->value, hint.ptr);
	st->inst->run.network = rb_statement_flag(st, "network");
	if (security->given &&
	    !is_one_of(security->value, securities, RB_ARRAY_LEN(securities), &hint))
		return rb_fail(err, RB_ERR_DOCKERFILE,
			       "security \"%s\" is not valid%s: it is sandbox or insecure",
			       security->value, hint.ptr);
	st->inst->run.insecure = security->given && rb_streq(security->value, "insecure");
	return parse_mounts(st, err) < 0 ? -1 : parse_devices(st, err);
}

int rb_inst_parse_run(struct rb_statement *st, struct rb_error **err)
{
	struct rb_inst *inst = st->inst;
	struct rb_heredoc whole;

	if (parse_run_flags(st, err) < 0)
		return -1;
	inst->run.exec = st->json;
	if (st->json) {
		if (st->list.n == 0)
			return rb_fail(err, RB_ERR_DOCKERFILE,
				       "RUN requires a command, but its JSON array is empty");
		inst->run.argv = rb_statement_words(st, st->list.v, st->list.n);
	} else if (inst->n_heredocs == 1 &&
		   rb_heredoc_parse(st->lx->arena, rb_slice_str(st->args), &whole)) {
		inst->run.script = inst->heredocs[0].body;
		if (rb_starts_with(inst->run.script, "#!")) {
			inst->run.script_file = &inst->heredocs[0];
			return rb_statement_check_file_name(st, inst->heredocs[0].name, err);
		}
	} else {
		inst->run.script = rb_statement_with_bodies(st);
	}
	return 0;
}
