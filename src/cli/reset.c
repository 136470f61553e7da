// SPDX-License-Identifier: Apache-2.0
/* rbuild reset: removes the store, also where its files belong to subordinate ids. */
#include <fcntl.h>
#include <stdio.h>

#include "base/fd.h"
#include "cli/cli.h"

/* What the store consists of; anything else in its directory is not ours and stays. */
static const char *const parts[] = {"trees", "mounts", "records", "images", "blobs",
				    "logs",  "cache",  "tmp",     "version"};

struct reset {
	const struct rb_cli *cli;
	struct rb_store *store;
};

static int inner(void *ctx)
{
	const struct reset *reset = ctx;
	struct rb_error *err = NULL;

	for (size_t i = 0; i < RB_ARRAY_LEN(parts); i++) {
		int r = rb_remove_tree_at(rb_store_fd(reset->store), parts[i]);

		if (r < 0) {
			(void)rb_fail_sys(&err, r, "cannot remove %s/%s",
					  rb_store_path(reset->store), parts[i]);
			return rb_cli_report(reset->cli, NULL, &err);
		}
	}
	return RB_EXIT_OK;
}

static int run_reset(struct rb_cli *cli, int argc, char *const *argv, struct rb_error **err)
{
	RB_CLEANUP(rb_strv_clear) struct rb_strv rest = RB_STRV_INIT;
	RB_CLEANUP(rb_store_freep) struct rb_store *store = NULL;
	struct rb_host host = {0};
	bool yes = false;
	const struct rb_option table[] = {
		{"force", 'f', RB_OPT_FLAG, &yes, NULL, "needed: everything in the store is lost"},
		{0},
	};
	int r = rb_cli_parse(cli, &rb_verb_reset, table, argc, argv, false, 0, 0, &rest, err);

	if (r)
		return r < 0 ? -1 : RB_EXIT_OK;
	if (rb_cli_store(cli, &store, err) < 0)
		return -1;
	if (!yes)
		return rb_fail(
			err, RB_ERR_USAGE,
			"this removes all images, layers and cached steps in %s; say rbuild reset --force",
			rb_store_path(store));
	if (rb_store_seize(store, err) < 0 || rb_cli_host(cli, store, &host, err) < 0)
		return -1;
	struct reset reset = {.cli = cli, .store = store};
	r = rb_host_enter(&host, inner, &reset, err);
	rb_host_clear(&host);
	return r;
}

const struct rb_verb rb_verb_reset = {
	.name = "reset",
	.usage = "reset --force",
	.summary = "remove everything in the store",
	.run = run_reset,
};
