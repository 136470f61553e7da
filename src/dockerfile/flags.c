// SPDX-License-Identifier: Apache-2.0
/* Flags in front of the arguments (dockerfile.md 1.5). */
#include <stdio.h>
#include <string.h>

#include "dockerfile/dockerfile-internal.h"

enum { NAME_MAX_SHOWN = 60 };

static int unknown_flag(const struct rb_flag_spec *specs, const char *name, struct rb_error **err)
{
	RB_CLEANUP(rb_buf_clear) struct rb_buf hint = RB_BUF_INIT;
	RB_CLEANUP(rb_strp) char *shown = rb_asprintf("--%.*s", NAME_MAX_SHOWN, name);
	char known[RB_FLAGS_MAX][24];
	const char *names[RB_FLAGS_MAX];
	size_t n = 0;

	for (; specs && specs[n].name; n++) {
		(void)snprintf(known[n], sizeof(known[n]), "--%s", specs[n].name);
		names[n] = known[n];
	}
	return rb_fail(err, RB_ERR_DOCKERFILE, "unknown flag: %s%s", shown,
		       rb_suggest(&hint, shown, names, n));
}

static int missing_value(const char *name, struct rb_error **err)
{
	return rb_fail(err, RB_ERR_DOCKERFILE, "missing a value on flag: --%s", name);
}

static int set_bool(struct rb_flag *f, const char *name, const char *value, struct rb_error **err)
{
	if (value && !*value)
		return missing_value(name, err);
	f->on = !value || rb_ascii_strcaseeq(value, "true");
	if (!f->on && !rb_ascii_strcaseeq(value, "false"))
		return rb_fail(err, RB_ERR_DOCKERFILE,
			       "expecting boolean value for flag --%s, not: %s", name, value);
	return 0;
}

static int parse_flag(const char *word, struct rb_flags *flags, struct rb_error **err)
{
	const struct rb_flag_spec *spec = flags->specs;
	const char *eq = strchr(word, '=');
	const char *value = eq ? eq + 1 : NULL;
	RB_CLEANUP(rb_strp)
	char *name = rb_strndup(word + 2, eq ? (size_t)(eq - word) - 2 : strlen(word) - 2);

	while (spec && spec->name && !rb_streq(spec->name, name))
		spec++;
	if (!spec || !spec->name)
		return unknown_flag(flags->specs, name, err);
	struct rb_flag *f = &flags->flag[spec - flags->specs];
	if (f->given && spec->type != RB_FLAG_LIST)
		return rb_fail(err, RB_ERR_DOCKERFILE, "duplicate flag specified: --%s", name);
	f->given = true;
	f->value = value;
	if (spec->type == RB_FLAG_BOOL) {
		if (set_bool(f, name, value, err) < 0)
			return -1;
	} else if (!value) {
		return missing_value(name, err);
	}
	return 0;
}

int rb_flags_parse(const struct rb_flag_spec *specs, const struct rb_strv *words,
		   struct rb_flags *ret, struct rb_error **err)
{
	*ret = (struct rb_flags){.specs = specs};
	for (size_t i = 0; i < words->n; i++)
		if (parse_flag(words->v[i], ret, err) < 0)
			return -1;
	return 0;
}

const struct rb_flag *rb_flags_find(const struct rb_flags *flags, const char *name)
{
	static const struct rb_flag none;

	for (size_t i = 0; flags->specs && flags->specs[i].name; i++)
		if (rb_streq(flags->specs[i].name, name))
			return &flags->flag[i];
	return &none;
}
