// SPDX-License-Identifier: Apache-2.0
/* BUILDKIT_COLORS: fields WHAT=COLOUR with colons between; a colour is a name or R,G,B. */
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "cli/progress/progress-internal.h"

static const char *const names[] = {"black", "red",     "green", "yellow",
				    "blue",  "magenta", "cyan",  "white"};

enum { NORMAL = 30, BRIGHT = 90, RGB_PARTS = 3 };

static bool parse_rgb(const char *value, unsigned rgb[static RGB_PARTS])
{
	for (size_t i = 0; i < RGB_PARTS; i++) {
		size_t n = strcspn(value, ",");
		uint64_t part;

		if (rb_parse_u64((struct rb_slice){value, n}, 255, &part) < 0 ||
		    (value[n] == ',') != (i + 1 < RGB_PARTS))
			return false;
		rgb[i] = (unsigned)part;
		value += n + 1;
	}
	return true;
}

static bool parse_color(const char *value, char ret[static RB_PROGRESS_COLOR_BYTES])
{
	static const char light[] = "light-";
	bool is_light = rb_starts_with(value, light);
	const char *name = is_light ? value + strlen(light) : value;
	unsigned rgb[RGB_PARTS];

	for (unsigned i = 0; i < RB_ARRAY_LEN(names); i++)
		if (rb_streq(name, names[i])) {
			(void)snprintf(ret, RB_PROGRESS_COLOR_BYTES, "\x1b[%um",
				       (is_light ? BRIGHT : NORMAL) + i);
			return true;
		}
	if (rb_streq(value, "default")) {
		(void)snprintf(ret, RB_PROGRESS_COLOR_BYTES, "\x1b[39m");
		return true;
	}
	if (!parse_rgb(value, rgb))
		return false;
	(void)snprintf(ret, RB_PROGRESS_COLOR_BYTES, "\x1b[38;2;%u;%u;%um", rgb[0], rgb[1], rgb[2]);
	return true;
}

/* One WHAT=COLOUR. Warnings have no colour here. */
static bool set_color(struct rb_progress *p, const char *field)
{
	static const char *const keys[] = {"run", "cancel", "error", "warning"};
	char unused[RB_PROGRESS_COLOR_BYTES];
	const char *eq = strchr(field, '=');
	RB_CLEANUP(rb_strp) char *key = rb_strndup(field, eq ? (size_t)(eq - field) : 0);

	for (size_t i = 0; i < RB_ARRAY_LEN(keys); i++)
		if (rb_streq(key, keys[i]))
			return parse_color(eq + 1, i < RB_PROGRESS_COLORS ? p->colors[i] : unused);
	return false;
}

void rb_progress_choose_colors(struct rb_progress *p, const char *text)
{
	RB_CLEANUP(rb_strp) char *copy = rb_strdup(text && *text ? text : "");

	for (char *c = copy; *c; c++)
		*c = rb_ascii_lower(*c);
	(void)parse_color("blue", p->colors[RB_COLOR_RUN]);
	(void)parse_color("yellow", p->colors[RB_COLOR_CANCEL]);
	(void)parse_color("red", p->colors[RB_COLOR_ERROR]);
	for (char *rest = *copy ? copy : NULL, *field; (field = strsep(&rest, ":"));)
		if (!set_color(p, field))
			rb_log_warn("BUILDKIT_COLORS: \"%.60s\" is not understood: write "
				    "run=, cancel= or error= with a colour such as light-blue or "
				    "255,165,0, and colons between",
				    field);
}
