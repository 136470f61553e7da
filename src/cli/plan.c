// SPDX-License-Identifier: Apache-2.0
/* rbuild plan: the graph, and for each step whether it would be built, is cached, or is skipped. */
#include <stdio.h>
#include <string.h>

#include "cli/build-outputs.h"
#include "cli/session.h"

static const char *stage_title(const struct rb_plan_stage *stage, size_t n_stages)
{
	return n_stages == 1 ? "stage" : stage->label;
}

static void print_base(const struct rb_solver *solver, const struct rb_plan_stage *stage)
{
	switch (stage->base.kind) {
	case RB_ROOT_SCRATCH:
		(void)printf("  from scratch\n");
		break;
	case RB_ROOT_STAGE:
		(void)printf("  from stage %s\n", stage->base.stage->label);
		break;
	case RB_ROOT_IMAGE:
		(void)printf("  from image %s (%s)\n", stage->base.image->shown,
			     rb_solve_image_is_local(solver, stage->base.image) ? "local"
										: "to be pulled");
		break;
	case RB_ROOT_CONTEXT:
		(void)printf("  from the files of context %s\n", stage->base.context->name);
		break;
	}
}

/* Where a step takes files from, but for the build context itself. */
static void print_input(const struct rb_solver *solver, const struct rb_root_ref *from)
{
	switch (from->kind) {
	case RB_ROOT_STAGE:
		(void)printf("  <- stage %s", from->stage->label);
		break;
	case RB_ROOT_IMAGE:
		(void)printf("  <- image %s", from->image->shown);
		break;
	case RB_ROOT_CONTEXT:
		if (from->context)
			(void)printf("  <- context %s%s", from->context->name,
				     rb_solve_context_is_local(solver, from->context)
					     ? ""
					     : " (to be fetched)");
		break;
	case RB_ROOT_SCRATCH:
		break;
	}
}

static void print_steps(const struct rb_solver *solver, const struct rb_plan_stage *stage,
			bool waits_for_time)
{
	if (!stage->elaborated)
		(void)printf("  steps are known when %s\n",
			     waits_for_time
				     ? "what SOURCE_DATE_EPOCH names has been asked for its time"
				     : "the base image is pulled");
	for (size_t i = 0; i < stage->n_vertices; i++) {
		const struct rb_vertex *v = stage->vertices[i];
		/* Values that a base image brought are in it. */
		RB_CLEANUP(rb_strp)
		char *name = rb_progress_clean_dup(v->name, strlen(v->name), SIZE_MAX);

		(void)printf("  %-6s %s",
			     rb_solve_outlook(solver, v) == RB_OUTLOOK_CACHED ? "cached" : "build",
			     name);
		for (size_t k = 0; k < rb_vertex_n_inputs(v); k++)
			print_input(solver, rb_vertex_input(v, k));
		(void)putchar('\n');
	}
}

static void print_plan(const struct rb_session_platform *p)
{
	for (size_t i = 0; i < p->plan->n_stages; i++) {
		const struct rb_plan_stage *stage = &p->plan->stages[i];

		(void)printf("%s%s%s\n", stage_title(stage, p->plan->n_stages),
			     stage == p->plan->target ? " (target)" : "",
			     stage->needed ? "" : ": skipped");
		if (!stage->needed)
			continue;
		print_base(p->solver, stage);
		print_steps(p->solver, stage, p->plan->epoch.pending);
	}
}

static int print_all(const struct rb_session *s, struct rb_error **err)
{
	char text[RB_PLATFORM_TEXT_BYTES];

	for (size_t i = 0; i < s->n_platforms; i++)
		if (rb_solve_lookup(s->platforms[i].solver, err) < 0)
			return -1;
	for (size_t i = 0; i < s->n_platforms; i++) {
		const struct rb_session_platform *p = &s->platforms[i];

		if (s->n_platforms > 1)
			(void)printf("%s%s:\n", i ? "\n" : "",
				     rb_platform_text(&p->plan->options.target_platform, text));
		print_plan(p);
	}
	return 0;
}

struct planning {
	struct rb_build_options options;
	struct rb_plan_options plan;
	struct rb_build_outputs outputs; /* these two are read, that is all */
	struct rb_build_cache cache;
	const char *context;
	struct rb_session session;
};

static int report(struct rb_session *s, struct rb_error **err)
{
	struct rb_cli_source source = rb_session_source(s);

	return rb_cli_report(s->cli, &source, err);
}

static int read_and_plan(void *ctx)
{
	struct planning *p = ctx;
	struct rb_session *s = &p->session;
	struct rb_error *err = NULL;

	if (rb_session_read(s, p->context, p->options.file, &err) < 0 ||
	    rb_session_plan_all(s, &p->plan, p->options.targets, p->options.n_targets, &err) < 0 ||
	    print_all(s, &err) < 0)
		return report(s, &err);
	return RB_EXIT_OK;
}

static int start(struct planning *p, struct rb_error **err)
{
	struct rb_session *s = &p->session;

	if (rb_build_options_check(&p->options, &p->plan, err) < 0 ||
	    rb_build_outputs_parse(&p->outputs, err) < 0 ||
	    rb_build_cache_parse(&p->options, &p->cache, err) < 0 ||
	    rb_session_open(s, s->cli, err) < 0 || rb_session_progress(s, "quiet", err) < 0)
		return -1;
	return rb_session_start(s, &p->options, p->context, read_and_plan, p, err);
}

static void planning_clear(struct planning *p)
{
	rb_session_clear(&p->session);
	rb_build_outputs_clear(&p->outputs);
	rb_build_cache_clear(&p->cache);
	rb_build_options_clear(&p->options);
}

static int run_plan(struct rb_cli *cli, int argc, char *const *argv, struct rb_error **err)
{
	RB_CLEANUP(rb_strv_clear) struct rb_strv rest = RB_STRV_INIT;
	RB_CLEANUP(planning_clear) struct planning p = {.session = RB_SESSION_INIT};
	const struct rb_option *table = rb_build_options_table(&p.options);
	int r = rb_cli_parse(cli, &rb_verb_plan, table, argc, argv, false, 1, 1, &rest, err);

	if (r)
		return r < 0 ? -1 : RB_EXIT_OK;
	if (p.options.call || p.options.check)
		return rb_fail(err, RB_ERR_USAGE,
			       "plan answers a question of its own: leave out --%s",
			       p.options.call ? "call" : "check");
	p.outputs.options = &p.options;
	p.session.cli = cli;
	p.context = rest.v[0];
	r = start(&p, err);
	return r < 0 ? report(&p.session, err) : r;
}

const struct rb_verb rb_verb_plan = {
	.name = "plan",
	.usage = "plan [OPTIONS] CONTEXT",
	.summary = "show what a build would do, without doing it",
	.text = "Takes the options of build. A context that is no directory is fetched, named ones are not.\n"
		"A step behind one that would be built is shown as build too; it may still turn out to be cached when that\n"
		"step gives the same files as before.",
	.run = run_plan,
};
