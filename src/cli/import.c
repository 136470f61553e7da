// SPDX-License-Identifier: Apache-2.0
/* rbuild import, load and bootstrap: images that do not come from a registry. */
#include "output/import.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "cli/bootstrap.h"
#include "cli/cli.h"
#include "output/output.h"

/* Normalised form of the one name an image gets. */
static int one_name(const char *text, struct rb_strv *ret, struct rb_error **err)
{
	return rb_output_add_name(ret, text, err);
}

static int import_file(const struct rb_cli *cli, const char *file, const char *name,
		       const char *origin, struct rb_error **err)
{
	RB_CLEANUP(rb_store_freep) struct rb_store *store = NULL;
	RB_CLEANUP(rb_strv_clear) struct rb_strv names = RB_STRV_INIT;
	struct rb_digest id;
	char text[RB_DIGEST_TEXT_BYTES];

	if (one_name(name, &names, err) < 0 || rb_cli_store(cli, &store, err) < 0 ||
	    rb_import_rootfs(store, file, names.v[0], origin, &id, err) < 0)
		return -1;
	(void)printf("%s %s\n", names.v[0], rb_digest_text(&id, text));
	return RB_EXIT_OK;
}

static int run_import(struct rb_cli *cli, int argc, char *const *argv, struct rb_error **err)
{
	RB_CLEANUP(rb_strv_clear) struct rb_strv rest = RB_STRV_INIT;
	int r = rb_cli_parse(cli, &rb_verb_import, NULL, argc, argv, false, 2, 2, &rest, err);

	if (r)
		return r < 0 ? -1 : RB_EXIT_OK;
	return import_file(cli, rest.v[0], rest.v[1], "import", err);
}

const struct rb_verb rb_verb_import = {
	.name = "import",
	.usage = "import FILE NAME[:TAG]",
	.summary = "make an image from a root file system tar (plain, gzip or zstd)",
	.run = run_import,
};

static int load_file(const struct rb_cli *cli, const char *file, const struct rb_strv *tags,
		     const char *platform_text, struct rb_error **err)
{
	RB_CLEANUP(rb_store_freep) struct rb_store *store = NULL;
	RB_CLEANUP(rb_strv_clear) struct rb_strv names = RB_STRV_INIT;
	RB_CLEANUP(rb_loaded_list_clear) struct rb_loaded_list loaded = {0};
	struct rb_platform platform = rb_platform_host();
	char text[RB_DIGEST_TEXT_BYTES];

	for (size_t i = 0; i < tags->n; i++)
		if (one_name(tags->v[i], &names, err) < 0)
			return rb_wrap(err, "--tag");
	if (platform_text && rb_platform_parse(platform_text, &platform, err) < 0)
		return rb_wrap(err, "--platform");
	if (rb_cli_store(cli, &store, err) < 0 ||
	    rb_load_oci(store, file, &names, &platform, &loaded, err) < 0)
		return -1;
	for (size_t i = 0; i < loaded.n; i++)
		(void)printf("%s %s\n", loaded.v[i].name, rb_digest_text(&loaded.v[i].image, text));
	return RB_EXIT_OK;
}

static int run_load(struct rb_cli *cli, int argc, char *const *argv, struct rb_error **err)
{
	RB_CLEANUP(rb_strv_clear) struct rb_strv rest = RB_STRV_INIT;
	RB_CLEANUP(rb_strv_clear) struct rb_strv tags = RB_STRV_INIT;
	const char *platform = NULL;
	const struct rb_option table[] = {
		{"tag", 't', RB_OPT_LIST, &tags, "NAME[:TAG]",
		 "instead of the name in the archive"},
		{"platform", 0, RB_OPT_STRING, &platform, "OS/ARCH",
		 "platform to choose from an index"},
		{0},
	};
	int r = rb_cli_parse(cli, &rb_verb_load, table, argc, argv, false, 1, 1, &rest, err);

	if (r)
		return r < 0 ? -1 : RB_EXIT_OK;
	return load_file(cli, rest.v[0], &tags, platform, err);
}

const struct rb_verb rb_verb_load = {
	.name = "load",
	.usage = "load [OPTIONS] FILE|DIR",
	.summary = "read an OCI archive or layout into the store",
	.run = run_load,
};

/* The tar that mmdebstrap writes lies in the store's directory for temporaries until it is a blob.
 */
static int bootstrap(const struct rb_cli *cli, const char *spec, const struct rb_strv *include,
		     const char *name, struct rb_error **err)
{
	RB_CLEANUP(rb_store_freep) struct rb_store *store = NULL;
	RB_CLEANUP(rb_strv_clear) struct rb_strv names = RB_STRV_INIT;
	RB_CLEANUP(rb_closep) int dir = -1;
	char rnd[17];

	/* Before half a minute is spent. */
	if (one_name(name, &names, err) < 0 || rb_cli_store(cli, &store, err) < 0 ||
	    (dir = rb_store_dir(store, "tmp", err)) < 0)
		return -1;
	rb_random_hex(rnd, 8);
	RB_CLEANUP(rb_strp) char *file = rb_asprintf("bootstrap-%s.tar", rnd);
	RB_CLEANUP(rb_strp) char *path = rb_asprintf("%s/tmp/%s", rb_store_path(store), file);
	int r = rb_bootstrap(spec, include, path, err);
	if (r == 0)
		r = import_file(cli, path, name, "bootstrap", err);
	(void)unlinkat(dir, file, 0);
	return r;
}

static int run_bootstrap(struct rb_cli *cli, int argc, char *const *argv, struct rb_error **err)
{
	RB_CLEANUP(rb_strv_clear) struct rb_strv rest = RB_STRV_INIT;
	RB_CLEANUP(rb_strv_clear) struct rb_strv include = RB_STRV_INIT;
	const char *tag = NULL;
	const struct rb_option table[] = {
		{"include", 0, RB_OPT_LIST, &include, "PKG,...",
		 "packages beside the essential ones"},
		{"tag", 't', RB_OPT_STRING, &tag, "NAME[:TAG]",
		 "name of the image (default: DIST:SUITE)"},
		{0},
	};
	int r = rb_cli_parse(cli, &rb_verb_bootstrap, table, argc, argv, false, 1, 1, &rest, err);

	if (r)
		return r < 0 ? -1 : RB_EXIT_OK;
	return bootstrap(cli, rest.v[0], &include, tag ? tag : rest.v[0], err);
}

const struct rb_verb rb_verb_bootstrap = {
	.name = "bootstrap",
	.usage = "bootstrap [OPTIONS] DIST:SUITE",
	.summary = "make a base image from the distribution's own packages (mmdebstrap)",
	.text = "The host's apt sources for the suite are used and put into the image. Needs subordinate ids.",
	.run = run_bootstrap,
};
