// SPDX-License-Identifier: Apache-2.0
/* rbuild doctor: what this machine allows, which mode rbuild takes and why, and what would unlock
 * the next one. */
#include <stdio.h>

#include "cli/cli.h"

static void print_checks(const struct rb_host *h)
{
	for (size_t i = 0; i < h->n_checks; i++) {
		const struct rb_host_check *c = &h->checks[i];

		(void)printf("  %-4s %-24s %s\n", c->ok ? "ok" : "no", c->name,
			     c->found ? c->found : "");
		if (c->unlock)
			(void)printf("       %-24s -> %s\n", "", c->unlock);
	}
}

static int run_doctor(struct rb_cli *cli, int argc, char *const *argv, struct rb_error **err)
{
	RB_CLEANUP(rb_strv_clear) struct rb_strv rest = RB_STRV_INIT;
	RB_CLEANUP(rb_store_freep) struct rb_store *store = NULL;
	struct rb_host host = {0};
	int r = rb_cli_parse(cli, &rb_verb_doctor, NULL, argc, argv, false, 0, 0, &rest, err);

	if (r)
		return r < 0 ? -1 : RB_EXIT_OK;
	if (cli->mode)
		return rb_fail(err, RB_ERR_USAGE, "doctor looks at every mode: leave out --mode %s",
			       cli->mode);
	if (rb_cli_store(cli, &store, err) < 0 ||
	    rb_host_doctor(rb_store_path(store), &host, err) < 0)
		return -1;
	(void)printf("mode: %s\n", rb_rung_name(host.rung));
	if (host.why_not_range)
		(void)printf("not range: %s\n", host.why_not_range);
	if (host.why_not_single)
		(void)printf("not single: %s\n", host.why_not_single);
	(void)printf("store: %s\n\n", rb_store_path(store));
	print_checks(&host);
	rb_host_clear(&host);
	return RB_EXIT_OK;
}

const struct rb_verb rb_verb_doctor = {
	.name = "doctor",
	.usage = "doctor",
	.summary = "say what this machine allows and what would unlock more",
	.run = run_doctor,
};
