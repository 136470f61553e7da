// SPDX-License-Identifier: Apache-2.0
#include "cli/call.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base64.h"
#include "base/json.h"
#include "base/log.h"
#include "context/layout.h"
#include "dockerfile/gitref.h"

/* --- the request
 * ------------------------------------------------------------------------------------- */

static const struct {
	const char *name;
	enum rb_call_method method;
} methods[] = {
	{"build", RB_CALL_BUILD},
	{"check", RB_CALL_CHECK},
	{"outline", RB_CALL_OUTLINE},
	{"targets", RB_CALL_TARGETS},
	{"subrequests.describe", RB_CALL_DESCRIBE},
};

static int unknown_method(const char *name, struct rb_error **err)
{
	RB_CLEANUP(rb_buf_clear) struct rb_buf hint = RB_BUF_INIT;
	const char *names[RB_ARRAY_LEN(methods)];

	for (size_t i = 0; i < RB_ARRAY_LEN(methods); i++)
		names[i] = methods[i].name;
	return rb_fail(
		err, RB_ERR_USAGE,
		"--call is build, check, outline, targets or subrequests.describe, not \"%s\"%s",
		name, rb_suggest(&hint, name, names, RB_ARRAY_LEN(names)));
}

static int parse_call(const char *text, struct rb_call *ret, struct rb_error **err)
{
	const char *comma = strchr(text, ',');
	RB_CLEANUP(rb_strp)
	char *name = rb_strndup(text, comma ? (size_t)(comma - text) : strlen(text));
	size_t i = 0;

	while (i < RB_ARRAY_LEN(methods) && !rb_streq(methods[i].name, name))
		i++;
	if (i == RB_ARRAY_LEN(methods))
		return unknown_method(name, err);
	*ret = (struct rb_call){.method = methods[i].method};
	if (comma && ret->method == RB_CALL_BUILD)
		return rb_fail(err, RB_ERR_USAGE, "--call=build has no format");
	if (!comma || rb_streq(comma, ",format=text"))
		return 0;
	if (!rb_streq(comma, ",format=json"))
		return rb_fail(err, RB_ERR_USAGE,
			       "--call=%s takes format=text or format=json, not \"%s\"", name,
			       comma + 1);
	ret->json = true;
	return 0;
}

int rb_call_choose(const struct rb_build_options *o, struct rb_call *ret, struct rb_error **err)
{
	*ret = (struct rb_call){.method = o->check ? RB_CALL_CHECK : RB_CALL_BUILD};
	if (!o->call || !*o->call)
		return 0;
	if (parse_call(o->call, ret, err) < 0)
		return -1;
	if (o->check && ret->method != RB_CALL_CHECK)
		return rb_fail(err, RB_ERR_USAGE, "--check and --call=%s exclude each other",
			       o->call);
	return 0;
}

/* --- planning
 * ---------------------------------------------------------------------------------------- */

enum { CONFIG_BYTES_MAX = 8 << 20 };

/* Of a name that the store knows, or of an OCI layout. */
static int find_config(const struct rb_session *s, const struct rb_plan_image *image,
		       struct rb_digest *ret, struct rb_error **err)
{
	struct rb_image_record record = {0};
	char platform[RB_PLATFORM_TEXT_BYTES];
	struct rb_digest manifest;

	if (image->layout)
		return rb_layout_resolve(s->store, s->named[image->layout->index]->path,
					 &image->platform, &manifest, ret, err);
	int r = rb_store_get_image(s->store, image->name,
				   rb_platform_text(&image->platform, platform), &record, err);
	*ret = record.config;
	rb_image_record_clear(&record);
	return r;
}

/* The config of an image that is at hand, parsed; NULL when there is none that is sound. */
static struct rb_image_config *known_config(const struct rb_session *s,
					    const struct rb_plan_image *image)
{
	RB_CLEANUP(rb_buf_clear) struct rb_buf text = RB_BUF_INIT;
	struct rb_image_config *config = rb_calloc(1, sizeof(*config));
	struct rb_error *why = NULL;
	struct rb_digest digest;

	if (s->store && find_config(s, image, &digest, &why) == 0 &&
	    rb_store_read_blob(s->store, &digest, CONFIG_BYTES_MAX, &text, &why) == 0 &&
	    rb_image_config_parse(text.ptr, text.len, config, &why) == 0)
		return config;
	/* Whatever is wrong there: nothing is known of the image. A build will say why. */
	rb_error_drop(&why);
	rb_image_config_clear(config);
	free(config);
	return NULL;
}

struct configs {
	bool tell;                  /* of images that are not known */
	struct rb_image_config **v; /* by image index */
	size_t n, cap;
};

static void configs_clear(struct configs *c)
{
	for (size_t i = 0; i < c->n; i++) {
		rb_image_config_clear(c->v[i]);
		free(c->v[i]);
	}
	free(c->v);
}

/* Only then does anything ask for its config: COPY --from takes files alone. */
static bool is_base(const struct rb_plan *plan, const struct rb_plan_image *image)
{
	for (size_t i = 0; i < plan->n_stages; i++)
		if (plan->stages[i].base.image == image)
			return true;
	return false;
}

/* Stages whose base nobody knows are planned upon an empty one. */
static struct rb_image_config *assume_config(struct rb_plan_image *image, bool tell)
{
	struct rb_image_config *config = rb_calloc(1, sizeof(*config));
	char platform[RB_PLATFORM_TEXT_BYTES];

	config->platform = image->platform;
	image->assumed = true;
	if (tell && image->layout)
		rb_log_warn(
			"the image %s cannot be read, so variables and platform are not checked in stages from it",
			image->shown);
	else if (tell)
		rb_log_warn(
			"the image %s for %s is not in the store, so variables and platform are not checked in stages from it (rbuild pull %s)",
			image->shown, rb_platform_text(&image->platform, platform), image->shown);
	return config;
}

/* Elaboration may find more images to ask for. */
static void give_configs(struct rb_session *s, struct configs *c)
{
	for (; c->n < s->plan->n_images; c->n++) {
		struct rb_plan_image *image = s->plan->images[c->n];

		rb_grow(c->v, c->n, &c->cap);
		c->v[c->n] = known_config(s, image);
		if (!c->v[c->n])
			c->v[c->n] = assume_config(image, c->tell && is_base(s->plan, image));
		image->config = c->v[c->n];
	}
}

static int elaborate(struct rb_session *s, struct configs *c, struct rb_error **err)
{
	bool again = true;

	while (again) {
		again = false;
		give_configs(s, c);
		for (size_t i = 0; i < s->plan->n_stages; i++) {
			struct rb_plan_stage *stage = &s->plan->stages[i];

			if (!rb_plan_can_elaborate(stage))
				continue;
			if (rb_plan_elaborate(s->plan, stage, err) < 0)
				return -1;
			again = true;
		}
	}
	return rb_lint_verdict(&s->lint, err);
}

/* --- the session
 * ------------------------------------------------------------------------------------- */

struct asking {
	struct rb_session session;
	struct rb_build_options *options;
	struct rb_plan_options plan;
	const char *context;
	const struct rb_call *call;
	struct configs configs;
};

static void asking_clear(struct asking *a)
{
	rb_session_clear(&a->session);
	configs_clear(&a->configs);
}

/* Standard input is kept in the store, and a remote context becomes a tree of it. */
static bool needs_store(const struct asking *a)
{
	const char *file = a->options->file;

	return rb_streq(a->context, "-") ||
	       (file && (rb_streq(file, "-") || strstr(file, "://"))) ||
	       strstr(a->context, "://") || rb_git_ref_is(a->context, true);
}

/* For a directory asking must work also where nothing can be stored, as in a step of CI that has no
 * home, and where no step could run. */
static int open_session(struct asking *a, struct rb_error **err)
{
	struct rb_session *s = &a->session;
	struct rb_error *why = NULL;

	if (needs_store(a))
		return rb_session_open(s, s->cli, err);
	if (rb_cli_store(s->cli, &s->store, &why) < 0) {
		RB_CLEANUP(rb_strp) char *text = rb_error_text(why);

		rb_log_debug("no store: %s", text);
		rb_error_drop(&why);
	}
	return 0;
}

/* --- answers
 * ----------------------------------------------------------------------------------------- */

static struct rb_json *position(unsigned line)
{
	struct rb_json *j = rb_json_new_object();

	rb_json_set_i64(j, "line", line);
	rb_json_set_i64(j, "character", 0);
	return j;
}

void rb_call_set_location(struct rb_json *j, unsigned first, unsigned last)
{
	struct rb_json *location = rb_json_new_object(), *ranges = rb_json_new_array();

	rb_json_set_i64(location, "sourceIndex", 0);
	if (first) {
		struct rb_json *range = rb_json_new_object();

		rb_json_set(range, "start", position(first));
		rb_json_set(range, "end", position(last));
		rb_json_add(ranges, range);
	}
	rb_json_set(location, "ranges", ranges);
	rb_json_set(j, "location", location);
}

void rb_call_set_sources(struct rb_json *j, const struct rb_session *s)
{
	struct rb_json *sources = rb_json_new_array();

	if (s->file) {
		struct rb_json *source = rb_json_new_object();
		RB_CLEANUP(rb_buf_clear) struct rb_buf data = RB_BUF_INIT;

		rb_base64_encode(s->text.ptr, s->text.len, &data);
		rb_json_set_str(source, "filename", s->file);
		rb_json_set_str(source, "language", "Dockerfile");
		/* BuildKit's own description of how it got the file: it has no meaning here. */
		rb_json_set(source, "definition", rb_json_new_object());
		rb_json_set_str(source, "data", data.ptr);
		rb_json_add(sources, source);
	}
	rb_json_set(j, "sources", sources);
}

void rb_call_print_json(const struct rb_json *j)
{
	RB_CLEANUP(rb_strp) char *text = rb_json_dump(j, 2);

	(void)puts(text);
}

void rb_call_table_row(struct rb_call_table *t, const char *const *cells)
{
	for (size_t i = 0; i < t->n_columns; i++) {
		const char *cell = cells[i] ? cells[i] : "";

		/* Names, values and comments are as the Dockerfile has them. */
		rb_strv_take(&t->cells, rb_progress_clean_dup(cell, strlen(cell), SIZE_MAX));
	}
}

static size_t column_width(const struct rb_call_table *t, size_t column)
{
	size_t width = 0;

	for (size_t i = column; i < t->cells.n; i += t->n_columns)
		width = rb_max_size(width, strlen(t->cells.v[i]));
	return width;
}

void rb_call_table_print(struct rb_call_table *t)
{
	enum { GAP = 4 };
	RB_CLEANUP(rb_buf_clear) struct rb_buf line = RB_BUF_INIT;
	size_t ends[RB_CALL_COLUMNS_MAX] = {0};

	for (size_t i = 0; i < t->n_columns; i++)
		ends[i] = (i ? ends[i - 1] : 0) + column_width(t, i) + GAP;
	for (size_t i = 0; i < t->cells.n; i++) {
		size_t column = i % t->n_columns;

		rb_buf_addstr(&line, t->cells.v[i]);
		if (column + 1 < t->n_columns) {
			while (line.len < ends[column])
				rb_buf_addch(&line, ' ');
			continue;
		}
		while (line.len && line.ptr[line.len - 1] == ' ')
			rb_buf_truncate(&line, line.len - 1);
		(void)puts(line.ptr);
		rb_buf_truncate(&line, 0);
	}
	rb_strv_clear(&t->cells);
}

static void describe(bool json)
{
	static const struct {
		const char *name, *version, *description;
	} rows[] = {
		{"frontend.lint", "1.0.0", "Findings of the checks in a Dockerfile"},
		{"frontend.outline", "1.0.0", "Arguments, secrets and mounts that a target takes"},
		{"frontend.targets", "1.0.0", "Targets that a Dockerfile has"},
		{"frontend.subrequests.describe", "1.0.0", "This list"},
	};
	static const char *const headings[] = {"NAME", "VERSION", "DESCRIPTION"};
	struct rb_call_table t = {.n_columns = 3};
	RB_CLEANUP(rb_json_freep) struct rb_json *list = rb_json_new_array();

	rb_call_table_row(&t, headings);
	for (size_t i = 0; i < RB_ARRAY_LEN(rows); i++) {
		const char *const cells[] = {rows[i].name, rows[i].version, rows[i].description};
		struct rb_json *j = rb_json_new_object();

		rb_json_set_str(j, "name", rows[i].name);
		rb_json_set_str(j, "version", rows[i].version);
		rb_json_set_str(j, "description", rows[i].description);
		rb_json_add(list, j);
		rb_call_table_row(&t, cells);
	}
	if (json)
		rb_call_print_json(list);
	else
		rb_call_table_print(&t);
	rb_strv_clear(&t.cells);
}

static int answer(struct asking *a, struct rb_error **err)
{
	struct rb_session *s = &a->session;

	switch (a->call->method) {
	case RB_CALL_CHECK:
		return rb_call_check(s, a->call->json, err);
	case RB_CALL_OUTLINE:
		return rb_call_outline(s, a->call->json);
	case RB_CALL_TARGETS:
		return rb_call_targets(s, a->call->json);
	case RB_CALL_BUILD:
	case RB_CALL_DESCRIBE:
		break;
	}
	rb_bug("there is no answer to this call");
}

/* In the user namespace when the context is no directory. Returns the exit status. */
static int read_and_answer(void *ctx)
{
	struct asking *a = ctx;
	struct rb_session *s = &a->session;
	struct rb_error *err = NULL;
	/* Without a Dockerfile there is nothing to speak about. */
	int r = rb_session_read(s, a->context, a->options->file, &err);
	bool is_read = r == 0;

	if (r == 0)
		r = rb_session_define(s, &a->plan, &err);
	if (r == 0 && a->call->method != RB_CALL_TARGETS)
		r = elaborate(s, &a->configs, &err);
	if (r < 0 && !(is_read && a->call->method == RB_CALL_CHECK)) {
		struct rb_cli_source source = rb_session_source(s);

		return rb_cli_report(s->cli, &source, &err);
	}
	return answer(a, &err);
}

int rb_call_run(struct rb_cli *cli, struct rb_build_options *o, const char *context,
		const struct rb_call *call, struct rb_error **err)
{
	RB_CLEANUP(asking_clear)
	struct asking a = {.session = RB_SESSION_INIT,
			   .options = o,
			   .context = context,
			   .call = call,
			   .configs = {.tell = call->method == RB_CALL_CHECK}};

	if (call->method == RB_CALL_DESCRIBE) {
		describe(call->json);
		return RB_EXIT_OK;
	}
	a.session.cli = cli;
	if (rb_build_options_check(o, &a.plan, err) < 0 || open_session(&a, err) < 0)
		return -1;
	a.plan.allow = ~0U; /* nothing is run */
	a.plan.all_stages = call->method == RB_CALL_CHECK && !a.plan.target;
	return rb_session_start(&a.session, o, context, read_and_answer, &a, err);
}
