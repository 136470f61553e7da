// SPDX-License-Identifier: Apache-2.0
#include "cli/options.h"

#include <string.h>

#include "base/log.h"

static const struct rb_option *find(const struct rb_option *const *tables, const char *name,
				    size_t len, char letter)
{
	for (; *tables; tables++)
		for (const struct rb_option *o = *tables; o->name; o++)
			if (letter ? o->letter == letter
				   : strlen(o->name) == len && memcmp(o->name, name, len) == 0)
				return o;
	return NULL;
}

static int unknown(const struct rb_option *const *tables, const char *name, struct rb_error **err)
{
	RB_CLEANUP(rb_strv_clear) struct rb_strv known = RB_STRV_INIT;
	RB_CLEANUP(rb_strp) char *shown = rb_asprintf("--%s", name);
	RB_CLEANUP(rb_buf_clear) struct rb_buf hint = RB_BUF_INIT;

	for (; *tables; tables++)
		for (const struct rb_option *o = *tables; o->name; o++)
			rb_strv_addf(&known, "--%s", o->name);
	return rb_fail(err, RB_ERR_USAGE, "unknown option: %s%s", shown,
		       rb_suggest(&hint, shown, (const char *const *)known.v, known.n));
}

static int set_flag(const struct rb_option *o, const char *value, struct rb_error **err)
{
	bool *target = o->target;

	if (!value)
		*target = true;
	else if (rb_parse_bool(value, target) < 0)
		return rb_fail(err, RB_ERR_USAGE, "--%s is true or false, not \"%s\"", o->name,
			       value);
	return 0;
}

/* What asks for nothing can be had: a script writes --push=false, or --metadata-file "$FILE". */
static int refuse(const struct rb_option *o, const char *value, struct rb_error **err)
{
	bool on = true;

	if (value && o->kind == RB_OPT_OFF)
		(void)rb_parse_bool(value, &on);
	if (!on || (value && !*value))
		return 0;
	return rb_fail(err, RB_ERR_UNSUPPORTED,
		       "--%s is not supported yet by this version of rbuild%s%s", o->name,
		       o->help ? ": " : "", o->help ? o->help : "");
}

static int set_count(const struct rb_option *o, const char *value, struct rb_error **err)
{
	uint64_t n;

	if (rb_parse_u64(rb_slice_str(value), 1024, &n) < 0 || n == 0)
		return rb_fail(err, RB_ERR_USAGE, "--%s is a number from 1 to 1024, not \"%s\"",
			       o->name, value);
	*(unsigned *)o->target = (unsigned)n;
	return 0;
}

static int set(const struct rb_option *o, const char *value, struct rb_error **err)
{
	switch (o->kind) {
	case RB_OPT_FLAG:
		return set_flag(o, value, err);
	case RB_OPT_STRING:
		*(const char **)o->target = value;
		return 0;
	case RB_OPT_LIST:
		rb_strv_add(o->target, value);
		return 0;
	case RB_OPT_COUNT:
		return set_count(o, value, err);
	case RB_OPT_OFF:
	case RB_OPT_REFUSED:
		return refuse(o, value, err);
	case RB_OPT_IGNORED:
		rb_log_warn("--%s has no meaning for rbuild and is ignored", o->name);
		return 0;
	}
	rb_bug("unknown option kind");
}

/* `--name[=value]`; *i is moved over a value in the next word. */
static int parse_long(int argc, char *const *argv, int *i, const struct rb_option *const *tables,
		      struct rb_error **err)
{
	const char *word = argv[*i] + 2, *eq = strchr(word, '=');
	size_t len = eq ? (size_t)(eq - word) : strlen(word);
	const struct rb_option *o = find(tables, word, len, 0);

	if (!o) {
		RB_CLEANUP(rb_strp) char *name = rb_strndup(word, len);

		return unknown(tables, name, err);
	}
	if (eq || !o->arg)
		return set(o, eq ? eq + 1 : NULL, err);
	if (*i + 1 >= argc)
		return rb_fail(err, RB_ERR_USAGE, "--%s needs a value: %s", o->name, o->arg);
	return set(o, argv[++*i], err);
}

/* `-x`, `-xVALUE`, `-x=VALUE`, `-x VALUE`, `-xyz` for flags. */
static int parse_short(int argc, char *const *argv, int *i, const struct rb_option *const *tables,
		       struct rb_error **err)
{
	for (const char *p = argv[*i] + 1; *p; p++) {
		const struct rb_option *o = find(tables, NULL, 0, *p);

		if (!o)
			return rb_fail(err, RB_ERR_USAGE, "unknown option: -%c", *p);
		if (!o->arg && p[1] != '=') {
			if (set(o, NULL, err) < 0)
				return -1;
			continue;
		}
		if (p[1])
			return set(o, p[1] == '=' ? p + 2 : p + 1, err);
		if (*i + 1 >= argc)
			return rb_fail(err, RB_ERR_USAGE, "-%c needs a value: %s", *p, o->arg);
		return set(o, argv[++*i], err);
	}
	return 0;
}

int rb_options_parse(int argc, char *const *argv, const struct rb_option *const *tables,
		     bool stop_at_rest, struct rb_strv *rest, struct rb_error **err)
{
	bool only_rest = false;

	for (int i = 0; i < argc; i++) {
		const char *w = argv[i];
		int r = 0;

		if (only_rest || w[0] != '-' || !w[1]) {
			rb_strv_add(rest, w);
			only_rest |= stop_at_rest;
		} else if (rb_streq(w, "--")) {
			only_rest = true;
		} else if (w[1] == '-') {
			r = parse_long(argc, argv, &i, tables, err);
		} else {
			r = parse_short(argc, argv, &i, tables, err);
		}
		if (r < 0)
			return -1;
	}
	return 0;
}

void rb_options_help(const struct rb_option *const *tables, struct rb_buf *out)
{
	enum { COLUMN = 34 };

	for (; *tables; tables++) {
		for (const struct rb_option *o = *tables; o->name; o++) {
			size_t start = out->len;

			if (!o->help || o->kind == RB_OPT_REFUSED || o->kind == RB_OPT_OFF)
				continue;
			if (o->letter)
				rb_buf_addf(out, "  -%c, --%s", o->letter, o->name);
			else
				rb_buf_addf(out, "      --%s", o->name);
			if (o->arg)
				rb_buf_addf(out, " %s", o->arg);
			while (out->len - start < COLUMN)
				rb_buf_addch(out, ' ');
			rb_buf_addf(out, " %s\n", o->help);
		}
	}
}
