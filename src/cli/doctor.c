// SPDX-License-Identifier: Apache-2.0
/* rbuild doctor: what this machine allows, which mode rbuild takes and why, and what would unlock
 * the next one. */
#include <stdio.h>

#include "base/fd.h"
#include "base/json.h"
#include "cli/cli.h"

static const struct {
	enum rb_rung rung;
	const char *name;
} modes[] = {{RB_RUNG_RANGE, "range"}, {RB_RUNG_SINGLE, "single"}};

static const char *why_not(const struct rb_host *h, enum rb_rung rung)
{
	return rung == RB_RUNG_RANGE ? h->why_not_range : h->why_not_single;
}

static const char *unlock_of(const struct rb_host *h, enum rb_rung rung)
{
	return rung == RB_RUNG_RANGE ? h->unlock_range : h->unlock_single;
}

static void print_text(const struct rb_host *h, const char *store_path)
{
	(void)printf("mode: %s\n", rb_rung_name(h->rung));
	for (size_t i = 0; i < RB_ARRAY_LEN(modes); i++) {
		const char *why = why_not(h, modes[i].rung);
		const char *unlock = unlock_of(h, modes[i].rung);

		if (why)
			(void)printf("not %s: %s\n", modes[i].name, why);
		if (unlock)
			(void)printf("    -> %s\n", unlock);
	}
	(void)printf("store: %s\n\n", store_path ? store_path : "none that can be used");
	for (size_t i = 0; i < h->n_checks; i++) {
		const struct rb_host_check *c = &h->checks[i];

		(void)printf("  %-4s %-20s %s\n", c->ok ? "ok" : "no", c->name,
			     c->found ? c->found : "");
		if (c->unlock)
			(void)printf("       %-20s -> %s\n", "", c->unlock);
	}
}

static void set_text(struct rb_json *j, const char *key, const char *value)
{
	if (value)
		rb_json_set_str(j, key, value);
}

static struct rb_json *modes_json(const struct rb_host *h)
{
	struct rb_json *list = rb_json_new_array();

	for (size_t i = 0; i < RB_ARRAY_LEN(modes); i++) {
		struct rb_json *j = rb_json_new_object();

		rb_json_set_str(j, "mode", modes[i].name);
		rb_json_set_bool(j, "ok", !why_not(h, modes[i].rung));
		set_text(j, "why", why_not(h, modes[i].rung));
		set_text(j, "unlock", unlock_of(h, modes[i].rung));
		rb_json_add(list, j);
	}
	return list;
}

static struct rb_json *store_json(const struct rb_host *h, const char *path)
{
	struct rb_json *j = rb_json_new_object();

	rb_json_set_str(j, "path", path);
	if (!h->store_type)
		return j;
	rb_json_set_str(j, "fileSystem", h->store_type);
	rb_json_set_i64(j, "freeBytes", (int64_t)h->store_free_bytes);
	if (h->store_free_inodes != UINT64_MAX)
		rb_json_set_i64(j, "freeInodes", (int64_t)h->store_free_inodes);
	return j;
}

static struct rb_json *checks_json(const struct rb_host *h)
{
	struct rb_json *list = rb_json_new_array();

	for (size_t i = 0; i < h->n_checks; i++) {
		const struct rb_host_check *c = &h->checks[i];
		struct rb_json *j = rb_json_new_object();

		rb_json_set_str(j, "name", c->name);
		rb_json_set_bool(j, "ok", c->ok);
		set_text(j, "found", c->found);
		set_text(j, "unlock", c->unlock);
		rb_json_add(list, j);
	}
	return list;
}

static void print_json(const struct rb_host *h, const char *store_path)
{
	RB_CLEANUP(rb_json_freep) struct rb_json *j = rb_json_new_object();

	rb_json_set_str(j, "mode", rb_rung_name(h->rung));
	rb_json_set(j, "modes", modes_json(h));
	if (h->rung != RB_RUNG_NONE) {
		rb_json_set_i64(j, "uids", rb_id_map_limit(&h->uids));
		rb_json_set_i64(j, "gids", rb_id_map_limit(&h->gids));
	}
	if (store_path)
		rb_json_set(j, "store", store_json(h, store_path));
	rb_json_set(j, "checks", checks_json(h));
	RB_CLEANUP(rb_strp) char *text = rb_json_dump(j, 2);
	(void)puts(text);
}

/* NULL with the reason when there is no store that could be used. */
static struct rb_store *open_store(const struct rb_cli *cli, char **ret_why)
{
	struct rb_store *store = NULL;
	struct rb_error *err = NULL;

	if (rb_cli_store(cli, &store, &err) < 0) {
		*ret_why = rb_error_text(err);
		rb_error_drop(&err); /* a finding like the others */
		return NULL;
	}
	int cache = rb_store_dir(store, "cache", &err);
	rb_error_drop(&err); /* nothing is remembered there, then */
	/* Who asks has perhaps just changed something. */
	if (cache >= 0)
		rb_host_forget(cache);
	rb_closep(&cache);
	return store;
}

static int run_doctor(struct rb_cli *cli, int argc, char *const *argv, struct rb_error **err)
{
	RB_CLEANUP(rb_strv_clear) struct rb_strv rest = RB_STRV_INIT;
	RB_CLEANUP(rb_store_freep) struct rb_store *store = NULL;
	RB_CLEANUP(rb_host_clear) struct rb_host host = {0};
	const char *format = "text";
	char *why = NULL;
	const struct rb_option own[] = {
		{"format", 0, RB_OPT_STRING, &format, "FORMAT", "text or json; default: text"},
		{0},
	};
	int r = rb_cli_parse(cli, &rb_verb_doctor, own, argc, argv, false, 0, 0, &rest, err);

	if (r)
		return r < 0 ? -1 : RB_EXIT_OK;
	if (cli->mode)
		return rb_fail(err, RB_ERR_USAGE, "doctor looks at every mode: leave out --mode %s",
			       cli->mode);
	if (!rb_streq(format, "text") && !rb_streq(format, "json"))
		return rb_fail(err, RB_ERR_USAGE, "--format is text or json, not \"%s\"", format);
	store = open_store(cli, &why);
	const char *path = store ? rb_store_path(store) : NULL;
	rb_host_doctor(path, &host);
	if (why)
		rb_host_add_check(&host, "store", false, why, NULL);
	(rb_streq(format, "json") ? print_json : print_text)(&host, path);
	return RB_EXIT_OK;
}

const struct rb_verb rb_verb_doctor = {
	.name = "doctor",
	.usage = "doctor [--format FORMAT]",
	.summary = "say what this machine allows and what would unlock more",
	.run = run_doctor,
};
