// SPDX-License-Identifier: Apache-2.0
#include "config.h"

#include <stdio.h>

#include "cli/cli.h"

static int run_version(struct rb_cli *cli, int argc, char *const *argv, struct rb_error **err)
{
	RB_CLEANUP(rb_strv_clear) struct rb_strv rest = RB_STRV_INIT;
	int r = rb_cli_parse(cli, &rb_verb_version, NULL, argc, argv, false, 0, 0, &rest, err);

	if (r)
		return r < 0 ? -1 : RB_EXIT_OK;
	(void)printf("rbuild %s\n", PACKAGE_VERSION);
	return RB_EXIT_OK;
}

const struct rb_verb rb_verb_version = {
	.name = "version",
	.usage = "version",
	.summary = "print the version",
	.run = run_version,
};
