// SPDX-License-Identifier: Apache-2.0
#include "cli/session.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "cli/build-options.h"
#include "image/reference.h"

/* Trees are walked with a descriptor a level, and a deep stack of snapshots needs one each. */
static void raise_descriptor_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
		limit.rlim_cur = limit.rlim_max < 65536 ? limit.rlim_max : 65536;
		(void)setrlimit(RLIMIT_NOFILE, &limit);
	}
}

int rb_session_open(struct rb_session *s, struct rb_cli *cli, struct rb_error **err)
{
	char rnd[9];

	s->cli = cli;
	s->start_ns = rb_monotonic_ns();
	rb_random_hex(rnd, 4);
	(void)snprintf(s->build_id, sizeof(s->build_id), "%lld-%s", (long long)time(NULL), rnd);
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	s->options.jobs = cpus > 0 ? (unsigned)cpus : 1;
	s->options.build_id = s->build_id;
	s->options.debug = cli->debug;
	if (rb_cli_store(cli, &s->store, err) < 0 || rb_cli_host(cli, s->store, &s->host, err) < 0)
		return -1;
	raise_descriptor_limit();
	rb_log_debug("mode %s, store %s", rb_rung_name(s->host.rung), rb_store_path(s->store));
	return rb_snapshotter_open(s->store, &s->host, &s->snapshots, err);
}

int rb_session_from(struct rb_session *s, const char *image, struct rb_error **err)
{
	struct rb_ref ref = {0};

	if (rb_ref_parse(image, &ref, err) < 0)
		return -1;
	RB_CLEANUP(rb_strp) char *name = rb_ref_text(&ref);
	rb_ref_clear(&ref);
	rb_buf_clear(&s->text);
	rb_buf_addf(&s->text, "FROM %s\n", name);
	return 0;
}

static int tick(void *ctx, int64_t now_ns)
{
	rb_progress_tick(ctx, now_ns);
	return rb_progress_tick_ms(ctx);
}

static bool broken(void *ctx)
{
	return rb_progress_broken(ctx);
}

static void resized(void *ctx)
{
	rb_progress_resized(ctx);
}

/* A terminal that cannot be redrawn, such as a window of an editor. */
static bool is_dumb(void)
{
	const char *term = getenv("TERM");

	return term && rb_streq(term, "dumb");
}

int rb_session_progress(struct rb_session *s, const char *kind, struct rb_error **err)
{
	enum rb_progress_kind k;
	const char *source = "--progress";

	if (!kind || !*kind) {
		kind = getenv("BUILDKIT_PROGRESS");
		source = "BUILDKIT_PROGRESS";
	}
	if (!kind || !*kind || rb_streq(kind, "auto"))
		k = isatty(STDERR_FILENO) && !is_dumb() ? RB_PROGRESS_TTY : RB_PROGRESS_PLAIN;
	else if (rb_streq(kind, "plain"))
		k = RB_PROGRESS_PLAIN;
	else if (rb_streq(kind, "tty"))
		k = RB_PROGRESS_TTY;
	else if (rb_streq(kind, "quiet") || rb_streq(kind, "none"))
		k = RB_PROGRESS_QUIET;
	else if (rb_streq(kind, "rawjson"))
		k = RB_PROGRESS_RAWJSON;
	else
		return rb_fail(err, RB_ERR_USAGE,
			       "%s is auto, plain, tty, rawjson or quiet, not \"%s\"", source,
			       kind);
	s->progress = rb_progress_new(k, STDERR_FILENO);
	s->sink = (struct rb_event_sink){
		.event = rb_progress_event,
		.tick = tick,
		.broken = broken,
		.resized = resized,
		.ctx = s->progress,
	};
	rb_log_set_sink(rb_progress_note, s->progress);
	return 0;
}

static bool is_ignored(void *ctx, const char *source)
{
	return rb_ignore_matches(ctx, source, NULL);
}

static int start_lint(struct rb_session *s, const struct rb_plan_options *options,
		      struct rb_error **err)
{
	struct rb_ignore *ignore = s->context ? s->context->ignore : NULL;

	if (rb_lint_configure(&s->lint, s->df, options->build_args, err) < 0)
		return -1;
	/* With exceptions a source may be a directory of which some files are left. */
	if (ignore && !rb_ignore_has_exceptions(ignore)) {
		s->lint.is_ignored = is_ignored;
		s->lint.ignore_ctx = ignore;
		s->lint.ignore_wants_all = rb_ignore_has_catch_all(ignore);
	}
	rb_lint_file(&s->lint, s->df);
	for (size_t i = 0; i < s->lint.notes.n; i++)
		rb_log_warn("%s", s->lint.notes.v[i]);
	return 0;
}

static int add_plan(struct rb_session *s, const struct rb_plan_options *options,
		    struct rb_error **err)
{
	struct rb_plan *plan;

	if (rb_plan_new(s->df, options, &plan, err) < 0)
		return -1;
	s->platforms = rb_reallocarray(s->platforms, s->n_platforms + 1, sizeof(*s->platforms));
	s->platforms[s->n_platforms++] = (struct rb_session_platform){.plan = plan};
	s->plan = s->platforms[0].plan;
	return 0;
}

/* For the plan that was added last. */
static void add_solver(struct rb_session *s)
{
	struct rb_session_platform *p = &s->platforms[s->n_platforms - 1];
	const struct rb_solve_inputs in = {
		.plan = p->plan,
		.store = s->store,
		.snapshots = s->snapshots,
		.host = &s->host,
		.context = s->context,
		.named = s->named,
		.n_events = s->n_events,
		.start_ns = s->start_ns,
		.options = &s->options,
		.network_noticed = &s->network_noticed,
		.sink = &s->sink,
		.secrets = s->secrets,
		.ssh = s->ssh,
		.before = s->n_platforms > 1 ? p[-1].solver : NULL,
	};

	p->solver = rb_solver_new(&in);
	s->solver = s->platforms[0].solver;
}

/* Not an error: one line of a script may serve several Dockerfiles. */
static void check_stage_names(const struct rb_session *s, const struct rb_strv *names)
{
	for (size_t i = 0; names && i < names->n; i++) {
		RB_CLEANUP(rb_strv_clear) struct rb_strv stages = RB_STRV_INIT;
		RB_CLEANUP(rb_buf_clear) struct rb_buf hint = RB_BUF_INIT;
		bool found = !*names->v[i];

		for (size_t k = 0; k < s->df->n_stages; k++) {
			const char *name = s->df->stages[k].name;

			if (name)
				rb_strv_add(&stages, name);
			found |= name && rb_ascii_strcaseeq(name, names->v[i]);
		}
		if (!found)
			rb_log_warn("--no-cache-filter: no stage has the name \"%s\"%s",
				    names->v[i],
				    rb_suggest(&hint, names->v[i], (const char *const *)stages.v,
					       stages.n));
	}
}

int rb_session_define(struct rb_session *s, struct rb_plan_options *options, struct rb_error **err)
{
	options->build_platform = rb_platform_host();
	if (!*options->target_platform.os)
		options->target_platform = options->build_platform;
	options->lint = &s->lint;
	if (rb_dockerfile_parse(s->text.ptr, s->text.len, &s->df, err) < 0 ||
	    start_lint(s, options, err) < 0)
		return -1;
	rb_build_syntax_check(s->df, options->build_args);
	check_stage_names(s, options->no_cache_stages);
	int r = add_plan(s, options, err);
	rb_lint_sort(&s->lint);
	return r;
}

int rb_session_plan(struct rb_session *s, struct rb_plan_options *options, struct rb_error **err)
{
	if (rb_session_define(s, options, err) < 0)
		return -1;
	add_solver(s);
	return 0;
}

int rb_session_plan_all(struct rb_session *s, struct rb_plan_options *options,
			const struct rb_platform *platforms, size_t n, struct rb_error **err)
{
	options->several_platforms |= n > 1;
	options->target_platform = platforms[0];
	if (rb_session_plan(s, options, err) < 0)
		return -1;
	/* What the checks find is the same on each platform, and told once. */
	options->lint = NULL;
	for (size_t i = 1; i < n; i++) {
		options->target_platform = platforms[i];
		if (add_plan(s, options, err) < 0)
			return -1;
		add_solver(s);
	}
	return 0;
}

/* What is done inside. */
struct entering {
	struct rb_session *session;
	int (*fn)(void *ctx);
	void *ctx;
};

static int enter(void *ctx)
{
	const struct entering *e = ctx;

	e->session->inside = true;
	return e->fn(e->ctx);
}

int rb_session_enter(struct rb_session *s, int (*fn)(void *ctx), void *ctx, struct rb_error **err)
{
	struct entering e = {.session = s, .fn = fn, .ctx = ctx};

	if (s->inside)
		return fn(ctx);
	/* What stdio holds would be written by both processes. */
	(void)fflush(NULL);
	return rb_host_enter(&s->host, enter, &e, err);
}

void rb_session_reap(struct rb_session *s)
{
	struct rb_error *err = NULL;

	if (rb_snapshot_reap(s->snapshots, &err) == 0)
		return;
	/* It only takes room: whatever is wrong there must not stop a build that may go well. */
	RB_CLEANUP(rb_strp) char *text = rb_error_text(err);
	rb_log_warn("%s", text);
	rb_error_drop(&err);
}

struct rb_cli_source rb_session_source(const struct rb_session *s)
{
	return (struct rb_cli_source){.name = s->file, .text = s->text.ptr, .len = s->text.len};
}

void rb_session_clear(struct rb_session *s)
{
	rb_log_set_sink(NULL, NULL);
	/* A solver takes from those before it. */
	for (size_t i = s->n_platforms; i-- > 0;)
		rb_solver_free(s->platforms[i].solver);
	rb_ssh_free(s->ssh);
	rb_secrets_free(s->secrets);
	for (size_t i = 0; i < s->n_platforms; i++)
		rb_plan_free(s->platforms[i].plan);
	free(s->platforms);
	rb_lint_clear(&s->lint);
	rb_dockerfile_free(s->df);
	rb_progress_free(s->progress);
	rb_context_free(s->context);
	if (s->input.spool.fd > 0)
		rb_closep(&s->input.spool.fd);
	rb_snapshotter_free(s->snapshots);
	rb_host_clear(&s->host);
	rb_store_free(s->store);
	rb_buf_clear(&s->text);
	free(s->file);
	*s = (struct rb_session)RB_SESSION_INIT;
}
