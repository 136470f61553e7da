// SPDX-License-Identifier: Apache-2.0
/* rbuild images: the names in the store. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "cli/cli.h"
#include "image/reference.h"

static int print_image(void *ctx, const struct rb_image_record *r)
{
	struct rb_ref ref = {0};
	struct rb_error *err = NULL;
	RB_CLEANUP(rb_strp) char *name = NULL;
	char id[RB_DIGEST_TEXT_BYTES], when[32] = "";
	time_t t = (time_t)r->resolved;
	struct tm tm;

	(void)ctx;
	if (rb_ref_parse(r->name, &ref, &err) == 0)
		name = rb_ref_familiar(&ref);
	else
		name = rb_strdup(r->name); /* shown as it is in the store */
	rb_error_drop(&err);
	rb_ref_clear(&ref);
	if (gmtime_r(&t, &tm))
		(void)strftime(when, sizeof(when), "%Y-%m-%d %H:%M", &tm);
	(void)printf("%-40s %-14s %.12s  %-16s  %s\n", name, r->platform,
		     rb_digest_hex(&r->config, id), when, r->origin ? r->origin : "");
	return 0;
}

static int run_images(struct rb_cli *cli, int argc, char *const *argv, struct rb_error **err)
{
	RB_CLEANUP(rb_strv_clear) struct rb_strv rest = RB_STRV_INIT;
	RB_CLEANUP(rb_store_freep) struct rb_store *store = NULL;
	int r = rb_cli_parse(cli, &rb_verb_images, NULL, argc, argv, false, 0, 0, &rest, err);

	if (r)
		return r < 0 ? -1 : RB_EXIT_OK;
	if (rb_cli_store(cli, &store, err) < 0)
		return -1;
	(void)printf("%-40s %-14s %-12s  %-16s  %s\n", "NAME", "PLATFORM", "IMAGE ID",
		     "BOUND (UTC)", "BY");
	return rb_store_each_image(store, print_image, NULL, err) < 0 ? -1 : RB_EXIT_OK;
}

const struct rb_verb rb_verb_images = {
	.name = "images",
	.usage = "images",
	.summary = "list the images in the store",
	.run = run_images,
};
