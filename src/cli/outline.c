// SPDX-License-Identifier: Apache-2.0
/* What a target takes, and which targets there are (dockerfile.md 8.3). */
#include "plan/outline.h"

#include <stdio.h>

#include "base/json.h"
#include "cli/call.h"

/* --- outline
 * ----------------------------------------------------------------------------------------- */

static void set_str(struct rb_json *j, const char *key, const char *value)
{
	if (value)
		rb_json_set_str(j, key, value);
}

static struct rb_json *args_json(const struct rb_outline *o)
{
	struct rb_json *list = rb_json_new_array();

	for (size_t i = 0; i < o->n_args; i++) {
		const struct rb_outline_arg *a = &o->args[i];
		struct rb_json *j = rb_json_new_object();

		rb_json_set_str(j, "name", a->name);
		set_str(j, "value", a->value);
		set_str(j, "description", a->description);
		rb_call_set_location(j, a->line_first, a->line_last);
		rb_json_add(list, j);
	}
	return list;
}

static void set_mounts(struct rb_json *to, const char *key, const struct rb_outline_mounts *mounts,
		       bool with_required)
{
	struct rb_json *list = rb_json_new_array();

	for (size_t i = 0; i < mounts->n; i++) {
		struct rb_json *j = rb_json_new_object();

		rb_json_set_str(j, with_required ? "name" : "id", mounts->v[i].name);
		if (with_required)
			rb_json_set_bool(j, "required", mounts->v[i].required);
		rb_call_set_location(j, mounts->v[i].line_first, mounts->v[i].line_last);
		rb_json_add(list, j);
	}
	rb_json_set(to, key, list);
}

static void outline_json(const struct rb_session *s, const struct rb_outline *o)
{
	RB_CLEANUP(rb_json_freep) struct rb_json *j = rb_json_new_object();

	set_str(j, "name", o->name);
	set_str(j, "description", o->description);
	rb_json_set(j, "args", args_json(o));
	set_mounts(j, "secrets", &o->secrets, true);
	set_mounts(j, "ssh", &o->ssh, true);
	set_mounts(j, "cache", &o->caches, false);
	rb_call_set_sources(j, s);
	rb_call_print_json(j);
}

static void print_args(const struct rb_outline *o)
{
	static const char *const headings[] = {"BUILD ARG", "VALUE", "DESCRIPTION"};
	struct rb_call_table t = {.n_columns = 3};

	rb_call_table_row(&t, headings);
	for (size_t i = 0; i < o->n_args; i++) {
		const struct rb_outline_arg *a = &o->args[i];

		rb_call_table_row(&t, (const char *const[]){a->name, a->value, a->description});
	}
	if (o->n_args)
		rb_call_table_print(&t);
	rb_strv_clear(&t.cells);
}

static void print_mounts(const char *heading, const struct rb_outline_mounts *mounts, bool *first)
{
	struct rb_call_table t = {.n_columns = 2};

	if (!mounts->n)
		return;
	(void)fputs(*first ? "" : "\n", stdout);
	*first = false;
	rb_call_table_row(&t, (const char *const[]){heading, "REQUIRED"});
	for (size_t i = 0; i < mounts->n; i++)
		rb_call_table_row(&t, (const char *const[]){mounts->v[i].name,
							    mounts->v[i].required ? "true" : ""});
	rb_call_table_print(&t);
}

static void outline_text(const struct rb_outline *o)
{
	struct rb_call_table t = {.n_columns = 2};
	bool first = !o->name && !o->n_args;

	if (o->name) {
		rb_call_table_row(&t, (const char *const[]){"TARGET:", o->name});
		if (o->description)
			rb_call_table_row(&t,
					  (const char *const[]){"DESCRIPTION:", o->description});
		rb_call_table_print(&t);
		(void)fputs(o->n_args ? "\n" : "", stdout);
	}
	print_args(o);
	print_mounts("SECRET", &o->secrets, &first);
	print_mounts("SSH", &o->ssh, &first);
}

int rb_call_outline(struct rb_session *s, bool json)
{
	RB_CLEANUP(rb_outline_clear) struct rb_outline o = {0};

	rb_plan_outline(s->plan, &o);
	if (json)
		outline_json(s, &o);
	else
		outline_text(&o);
	return RB_EXIT_OK;
}

/* --- targets
 * ----------------------------------------------------------------------------------------- */

static void targets_json(const struct rb_session *s)
{
	RB_CLEANUP(rb_json_freep) struct rb_json *j = rb_json_new_object();
	struct rb_json *list = rb_json_new_array();

	for (size_t i = 0; i < s->df->n_stages; i++) {
		const struct rb_stage *stage = &s->df->stages[i];
		struct rb_json *target = rb_json_new_object();

		set_str(target, "name", stage->name);
		if (i + 1 == s->df->n_stages)
			rb_json_set_bool(target, "default", true);
		set_str(target, "description", rb_stage_description(stage));
		rb_json_set_str(target, "base", stage->from->from.image);
		set_str(target, "platform", stage->from->from.platform);
		rb_call_set_location(target, stage->from->line_first, stage->from->line_last);
		rb_json_add(list, target);
	}
	rb_json_set(j, "targets", list);
	rb_call_set_sources(j, s);
	rb_call_print_json(j);
}

static void targets_text(const struct rb_session *s)
{
	struct rb_call_table t = {.n_columns = 2};

	rb_call_table_row(&t, (const char *const[]){"TARGET", "DESCRIPTION"});
	for (size_t i = 0; i < s->df->n_stages; i++) {
		const struct rb_stage *stage = &s->df->stages[i];
		/* --target takes the number of one that has no name. */
		RB_CLEANUP(rb_strp)
		char *name = stage->name ? rb_strdup(stage->name) : rb_asprintf("%zu", i);
		RB_CLEANUP(rb_strp)
		char *shown =
			rb_asprintf("%s%s", name, i + 1 == s->df->n_stages ? " (default)" : "");

		rb_call_table_row(&t, (const char *const[]){shown, rb_stage_description(stage)});
	}
	rb_call_table_print(&t);
}

int rb_call_targets(const struct rb_session *s, bool json)
{
	if (json)
		targets_json(s);
	else
		targets_text(s);
	return RB_EXIT_OK;
}
