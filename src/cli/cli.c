// SPDX-License-Identifier: Apache-2.0
#include "cli/cli.h"

#include <stdio.h>
#include <string.h>

#include "base/fd.h"
#include "base/log.h"
#include "cli/progress/progress.h"
#include "dockerfile/dockerfile.h"

int rb_cli_parse(struct rb_cli *cli, const struct rb_verb *verb, const struct rb_option *own,
		 int argc, char *const *argv, bool stop_at_rest, size_t min, size_t max,
		 struct rb_strv *rest, struct rb_error **err)
{
	const struct rb_option common[] = {
		{"root", 0, RB_OPT_STRING, &cli->root, "DIR", "directory of the store"},
		{"mode", 0, RB_OPT_STRING, &cli->mode, "MODE",
		 "range or single; default: the best that works"},
		{"debug", 'D', RB_OPT_FLAG, &cli->debug, NULL, "say what is decided and why"},
		{"help", 'h', RB_OPT_FLAG, &cli->help, NULL, "this text"},
		{0},
	};
	static const struct rb_option none[] = {{0}};
	const struct rb_option *tables[] = {own ? own : none, common, NULL};
	RB_CLEANUP(rb_buf_clear) struct rb_buf help = RB_BUF_INIT;

	if (rb_options_parse(argc, argv, tables, stop_at_rest, rest, err) < 0)
		return rb_wrap(err, "%s", verb->name);
	if (cli->debug)
		rb_log_set_level(RB_LOG_DEBUG);
	if (cli->mode && !rb_streq(cli->mode, "range") && !rb_streq(cli->mode, "single"))
		return rb_fail(err, RB_ERR_USAGE, "--mode is range or single, not \"%s\"",
			       cli->mode);
	if (cli->help) {
		rb_buf_addf(&help, "Usage: rbuild %s\n\n%s\n", verb->usage, verb->summary);
		if (verb->text)
			rb_buf_addf(&help, "\n%s\n", verb->text);
		rb_buf_addstr(&help, "\nOptions:\n");
		rb_options_help(tables, &help);
		(void)fputs(help.ptr, stdout);
		return 1;
	}
	if (rest->n < min || rest->n > max)
		return rb_fail(err, RB_ERR_USAGE, "%s: %s; usage: rbuild %s", verb->name,
			       rest->n < min ? "an argument is missing" : "too many arguments",
			       verb->usage);
	return 0;
}

int rb_cli_store(const struct rb_cli *cli, struct rb_store **ret, struct rb_error **err)
{
	return rb_store_open(cli->root, ret, err);
}

int rb_cli_host(const struct rb_cli *cli, struct rb_store *store, struct rb_host *ret,
		struct rb_error **err)
{
	int cache = rb_store_dir(store, "cache", err);

	if (cache < 0)
		return -1;
	int r = rb_host_probe(cli->mode, cache, ret, err);
	rb_closep(&cache);
	if (r == 0 && ret->rung == RB_RUNG_NONE) {
		(void)rb_fail(err, RB_ERR_UNSUPPORTED, "%s; rbuild doctor says what would help",
			      ret->why_not_single ? ret->why_not_single
						  : "no user namespace can be made here");
		rb_host_clear(ret);
		return -1;
	}
	return r;
}

static void print_origins(const struct rb_error *e)
{
	for (; e; e = e->cause)
		(void)fprintf(stderr, "  at %s: %s\n", e->origin ? e->origin : "?", e->msg);
}

int rb_cli_report(const struct rb_cli *cli, const struct rb_cli_source *source,
		  struct rb_error **err)
{
	struct rb_error *e = *err;
	RB_CLEANUP(rb_strp) char *raw = rb_error_text(e);
	/* Commands, names and values are in it as the Dockerfile has them. */
	RB_CLEANUP(rb_strp) char *text = rb_progress_clean_dup(raw, strlen(raw), SIZE_MAX);
	int status = e->code == RB_ERR_USAGE ? RB_EXIT_USAGE : RB_EXIT_FAILED;

	if (source && source->name && e->line_first) {
		RB_CLEANUP(rb_strp)
		char *frame = rb_dockerfile_frame(source->name, source->text, source->len,
						  e->line_first, e->line_last);

		(void)fprintf(stderr, "%srbuild: %s:%u: %s\n", frame, source->name, e->line_first,
			      text);
	} else if (source && source->name && e->code == RB_ERR_DOCKERFILE) {
		(void)fprintf(stderr, "rbuild: %s: %s\n", source->name, text);
	} else {
		(void)fprintf(stderr, "rbuild: %s\n", text);
	}
	if (cli->debug)
		print_origins(e);
	rb_error_drop(err);
	return status;
}
