// SPDX-License-Identifier: Apache-2.0
/* rbuild pull: an image and all its layers from a registry into the store. */
#include <stdio.h>

#include "cli/session.h"

static int pull_in_session(struct rb_session *s, const char *image, const char *platform,
			   const char *progress, struct rb_error **err)
{
	struct rb_env no_args = {0};
	struct rb_plan_options plan = {.build_args = &no_args};
	bool worked;
	char id[RB_DIGEST_TEXT_BYTES];

	if (platform && rb_platform_parse(platform, &plan.target_platform, err) < 0)
		return rb_wrap(err, "--platform");
	if (rb_session_open(s, s->cli, err) < 0 || rb_session_progress(s, progress, err) < 0 ||
	    rb_session_from(s, image, err) < 0)
		return -1;
	s->options.pull = true;
	if (rb_session_plan(s, &plan, err) < 0)
		return -1;
	/* No tree is made, so this needs no user namespace. */
	int r = rb_solve_run(s->solver, err);
	if (r == 0)
		r = rb_solve_materialize(s->solver, false, true, true, &worked, err);
	rb_progress_finish(s->progress, r < 0, rb_solve_now_ns(s->solver));
	if (r < 0)
		return -1;
	(void)printf("%s\n",
		     rb_digest_text(rb_solve_image_id(s->solver, s->plan->target->base.image), id));
	return RB_EXIT_OK;
}

static int run_pull(struct rb_cli *cli, int argc, char *const *argv, struct rb_error **err)
{
	RB_CLEANUP(rb_strv_clear) struct rb_strv rest = RB_STRV_INIT;
	RB_CLEANUP(rb_session_clear) struct rb_session s = RB_SESSION_INIT;
	const char *platform = NULL, *progress = NULL;
	bool quiet = false;
	const struct rb_option table[] = {
		{"platform", 0, RB_OPT_STRING, &platform, "OS/ARCH",
		 "platform to choose from an index"},
		{"progress", 0, RB_OPT_STRING, &progress, "KIND",
		 "auto, plain, tty, rawjson or quiet"},
		{"quiet", 'q', RB_OPT_FLAG, &quiet, NULL, "print the image ID only"},
		{0},
	};
	int r = rb_cli_parse(cli, &rb_verb_pull, table, argc, argv, false, 1, 1, &rest, err);

	if (r)
		return r < 0 ? -1 : RB_EXIT_OK;
	s.cli = cli;
	return pull_in_session(&s, rest.v[0], platform, quiet ? "quiet" : progress, err);
}

const struct rb_verb rb_verb_pull = {
	.name = "pull",
	.usage = "pull [OPTIONS] NAME[:TAG|@DIGEST]",
	.summary = "fetch an image from a registry into the store",
	.run = run_pull,
};
