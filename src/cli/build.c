// SPDX-License-Identifier: Apache-2.0
/*
 * rbuild build. The look-up runs here; what it leaves runs in the user namespace, in a fork of this
 * process that goes on with the same solver and the same progress.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "cli/build-cache.h"
#include "cli/build-options.h"
#include "cli/build-result.h"
#include "cli/call.h"
#include "cli/session.h"
#include "cli/shell.h"
#include "output/output.h"
#include "solve/worker.h"

struct build {
	struct rb_build_options options;
	const char *context; /* the argument */
	struct rb_session session;
	struct rb_plan_options plan_options;
	struct rb_strv names; /* of -t, normalised */
	struct rb_output_spec *outputs;
	size_t n_outputs;
	struct rb_build_cache cache;
	bool complete; /* the look-up answered everything */
};

static void build_clear(struct build *b)
{
	for (size_t i = 0; i < b->n_outputs; i++)
		rb_output_spec_clear(&b->outputs[i]);
	free(b->outputs);
	rb_build_cache_clear(&b->cache);
	rb_strv_clear(&b->names);
	rb_session_clear(&b->session);
	rb_build_options_clear(&b->options);
}

/* --- outputs
 * ---------------------------------------------------------------------------------------------------
 */

static const struct rb_output_spec *first_output(const struct build *b, enum rb_output_type type)
{
	for (size_t i = 0; i < b->n_outputs; i++)
		if (b->outputs[i].type == type)
			return &b->outputs[i];
	return NULL;
}

static bool has_output(const struct build *b, enum rb_output_type type)
{
	return first_output(b, type) != NULL;
}

static const struct rb_output_spec *first_image(const struct build *b)
{
	for (size_t i = 0; i < b->n_outputs; i++)
		if (b->outputs[i].type == RB_OUTPUT_IMAGE || b->outputs[i].type == RB_OUTPUT_OCI)
			return &b->outputs[i];
	return NULL;
}

/* Whether something needs the image's config and so all diff IDs. */
static bool wants_image(const struct build *b)
{
	return first_image(b) != NULL;
}

/* Whether something tells of manifests, so that all layers need blobs. */
static bool wants_manifests(const struct build *b)
{
	return wants_image(b) && (b->options.as_index || b->options.metadata_file);
}

/* An image in the store has the names of -t also where the output gives it others. */
static void add_tags(struct rb_output_spec *spec, const struct rb_strv *tags)
{
	if (spec->type == RB_OUTPUT_IMAGE && spec->names.n)
		for (size_t i = 0; i < tags->n; i++)
			rb_strv_add(&spec->names, tags->v[i]);
}

/* What cannot be said of several platforms. */
static int check_platforms(const struct build *b, const char *text,
			   const struct rb_output_spec *spec, struct rb_error **err)
{
	if (b->options.n_targets < 2)
		return 0;
	if (spec->type == RB_OUTPUT_LOCAL && spec->platform_split == 0)
		return rb_fail(err, RB_ERR_UNSUPPORTED,
			       "%s: the trees of several platforms cannot share a directory; "
			       "leave platform-split=false out",
			       text);
	return 0;
}

static int parse_output(struct build *b, const char *text, struct rb_output_spec *ret,
			struct rb_error **err)
{
	if (b->options.n_targets > 1 && strstr(text, "type=docker"))
		return rb_fail(err, RB_ERR_UNSUPPORTED,
			       "docker exporter does not currently support exporting manifest "
			       "lists: write several platforms with type=oci, or build one");
	return rb_output_spec_parse(text, ret, err) < 0 ? -1 : check_platforms(b, text, ret, err);
}

static int parse_outputs(struct build *b, struct rb_error **err)
{
	const struct rb_build_options *o = &b->options;
	size_t n = o->outputs.n ? o->outputs.n : 1;

	for (size_t i = 0; i < o->tags.n; i++)
		if (rb_output_add_name(&b->names, o->tags.v[i], err) < 0)
			return rb_wrap(err, "--tag");
	b->outputs = rb_calloc(n, sizeof(*b->outputs));
	for (size_t i = 0; i < n; i++) {
		if (parse_output(b, o->outputs.n ? o->outputs.v[i] : "type=image", &b->outputs[i],
				 err) < 0)
			return rb_wrap(err, "--output");
		b->n_outputs++;
		add_tags(&b->outputs[i], &b->names);
	}
	if (b->names.n && !first_image(b))
		rb_log_warn("--tag has no effect: no output makes an image (-o type=image would)");
	if (o->iidfile && !first_image(b))
		return rb_fail(err, RB_ERR_USAGE, "--iidfile needs an output that makes an image");
	return 0;
}

/* Whether there is a place for what is asked for, before the time of a build is spent on it. */
static int check_outputs(const struct build *b, struct rb_error **err)
{
	for (size_t i = 0; i < b->n_outputs; i++)
		if (rb_output_spec_check(&b->outputs[i], err) < 0)
			return rb_wrap(err, "--output");
	return rb_build_result_check(&b->options, err);
}

static bool rewrites_times(const struct build *b)
{
	for (size_t i = 0; i < b->n_outputs; i++)
		if (b->outputs[i].rewrite_times)
			return true;
	return false;
}

/* The blobs that an OCI output wants. */
static struct rb_output_blobs wanted_blobs(const struct build *b, const struct rb_output_spec *spec)
{
	return (struct rb_output_blobs){
		.compression = spec->compression,
		.level = spec->level,
		.threads = b->session.options.jobs,
	};
}

/* Whether all outputs find their layers made; diff IDs are enough for all but OCI ones. */
static bool layers_are_known(const struct build *b, const struct rb_solved_image *im)
{
	struct rb_store *store = b->session.store;

	for (size_t i = 0; i < b->n_outputs; i++) {
		const struct rb_output_blobs blobs = wanted_blobs(b, &b->outputs[i]);

		if ((b->outputs[i].type == RB_OUTPUT_OCI || wants_manifests(b)) &&
		    !rb_output_layers_known(store, im, &blobs))
			return false;
	}
	return rb_output_layers_known(store, im, NULL);
}

struct export
{
	struct build *b;
	struct rb_solved_image *images; /* one a platform */
	size_t n;
};

static void clear_images(struct export *e)
{
	for (size_t i = 0; i < e->n; i++)
		rb_solved_image_clear(&e->images[i]);
	free(e->images);
}

/* A layer has one blob at a time, so those of an OCI output are made just before it is written.
 * `blobs_of` NULL: diff IDs are enough. */
static int make_layers(struct export *e, const struct rb_output_spec *blobs_of,
		       struct rb_error **err)
{
	struct rb_session *s = &e->b->session;
	struct rb_output_blobs blobs;

	if (blobs_of)
		blobs = wanted_blobs(e->b, blobs_of);
	for (size_t i = 0; i < e->n; i++)
		if (rb_output_layers(s->store, s->snapshots, &e->images[i],
				     blobs_of ? &blobs : NULL, err) < 0)
			return -1;
	return 0;
}

static int export_image(struct export *e, const struct rb_strv *names, struct rb_worker_port *port,
			struct rb_error **err)
{
	struct rb_session *s = &e->b->session;
	struct rb_digest digest;
	char text[RB_DIGEST_TEXT_BYTES];

	for (size_t i = 0; i < e->n; i++) {
		if (rb_output_image(s->store, s->snapshots, &e->images[i], names,
				    rb_rung_name(s->host.rung), &digest, err) < 0)
			return -1;
		rb_worker_status(port, "writing image %s", rb_digest_text(&digest, text));
	}
	for (size_t i = 0; i < names->n; i++)
		rb_worker_status(port, "naming to %s", names->v[i]);
	return 0;
}

/* DIR/linux_arm64 for each of several platforms (dockerfile.md 7.6). */
static int export_local(struct export *e, const struct rb_output_spec *spec,
			struct rb_worker_port *port, struct rb_error **err)
{
	bool split = spec->platform_split < 0 ? e->b->options.as_index : spec->platform_split;

	for (size_t i = 0; i < e->n; i++) {
		RB_CLEANUP(rb_strv_clear) struct rb_strv notices = RB_STRV_INIT;
		char platform[RB_PLATFORM_TEXT_BYTES];
		struct rb_output_spec one = *spec;

		(void)rb_platform_text(&e->images[i].config.platform, platform);
		for (char *c = platform; *c; c++)
			*c = *c == '/' ? '_' : *c;
		RB_CLEANUP(rb_strp) char *dir = rb_asprintf("%s/%s", spec->dest, platform);
		if (split)
			one.dest = dir;
		one.has_epoch = e->images[i].has_epoch;
		one.epoch = e->images[i].epoch;
		if (rb_output_local(e->b->session.snapshots, e->images[i].top, &one, &notices,
				    err) < 0)
			return -1;
		for (size_t j = 0; j < notices.n; j++)
			rb_worker_status(port, "%s", notices.v[j]);
	}
	return 0;
}

static int export_one(struct export *e, const struct rb_output_spec *spec,
		      struct rb_worker_port *port, struct rb_error **err)
{
	const struct rb_strv *names = spec->names.n ? &spec->names : &e->b->names;
	struct rb_digest digest;
	char text[RB_DIGEST_TEXT_BYTES];

	switch (spec->type) {
	case RB_OUTPUT_IMAGE:
		return export_image(e, names, port, err);
	case RB_OUTPUT_OCI:
		if (rb_output_oci(e->b->session.store, e->images, e->n, e->b->options.as_index,
				  spec, names, &digest, err) < 0)
			return -1;
		rb_worker_status(port, "writing %s, %s %s", spec->dest,
				 e->b->options.as_index ? "manifest list" : "manifest",
				 rb_digest_text(&digest, text));
		return 0;
	case RB_OUTPUT_LOCAL:
		return export_local(e, spec, port, err);
	case RB_OUTPUT_CACHEONLY:
		return 0;
	case RB_OUTPUT_CACHE_LOCAL:
	case RB_OUTPUT_CACHE_INLINE:
		break; /* no --output has them */
	}
	rb_bug("unknown output type");
}

/* What is told of the images. */
static int describe(struct export *e, struct rb_worker_port *port, struct rb_build_result *ret,
		    struct rb_error **err)
{
	const bool as_index = e->b->options.as_index;
	char text[RB_DIGEST_TEXT_BYTES];

	if (wants_manifests(e->b)) {
		ret->has_manifest = true;
		ret->manifest = rb_output_manifest_blob(e->images, e->n, as_index);
	}
	ret->has_id = true;
	ret->id = as_index ? ret->manifest.digest : rb_output_image_id(&e->images[0]);
	/* Whoever is told of it finds it in the store, where the images are. */
	if (!as_index || !(has_output(e->b, RB_OUTPUT_IMAGE) || e->b->options.iidfile))
		return 0;
	if (rb_output_index(e->b->session.store, e->images, e->n, &ret->id, err) < 0)
		return -1;
	rb_worker_status(port, "exporting manifest list %s", rb_digest_text(&ret->id, text));
	return 0;
}

/* The images as one output gives them; *ret is freed with clear_images(), also on error. */
static int date_images(struct export *e, const struct rb_output_spec *spec,
		       struct rb_worker_port *port, struct export *ret, struct rb_error **err)
{
	const struct rb_output_blobs blobs = wanted_blobs(e->b, spec);
	struct rb_session *s = &e->b->session;

	*ret = (struct export){.b = e->b, .images = rb_calloc(e->n, sizeof(*ret->images))};
	for (; ret->n < e->n; ret->n++)
		rb_output_dated_image(&e->images[ret->n], spec, &ret->images[ret->n]);
	if (spec->rewrite_times && !ret->images[0].has_epoch)
		rb_worker_status(port, "rewrite-timestamp=true does nothing: there is no "
				       "SOURCE_DATE_EPOCH");
	for (size_t i = 0; spec->rewrite_times && i < ret->n; i++)
		if (rb_output_rewrite_layers(s->store, s->snapshots, &ret->images[i], &blobs, err) <
		    0)
			return -1;
	return 0;
}

/* One output; what is told is about the first that makes an image. */
static int export_dated(struct export *e, const struct rb_output_spec *spec,
			struct rb_worker_port *port, struct rb_build_result *told,
			struct rb_error **err)
{
	struct export dated;
	int r = 0;

	if ((spec->type == RB_OUTPUT_OCI || spec->rewrite_times) && make_layers(e, spec, err) < 0)
		return -1;
	r = date_images(e, spec, port, &dated, err);
	if (r == 0 && spec == first_image(e->b))
		r = describe(&dated, port, told, err);
	if (r == 0)
		r = export_one(&dated, spec, port, err);
	clear_images(&dated);
	return r;
}

/* The exporting worker; its result is that of rb_build_result_text(). */
static int export_all(void *ctx, struct rb_worker_port *port, struct rb_error **err)
{
	struct export *e = ctx;
	const struct build *b = e->b;
	const struct rb_output_spec *blobs_of = first_output(b, RB_OUTPUT_OCI);
	struct rb_build_result told = {0};

	if (!blobs_of && wants_manifests(b))
		blobs_of = &b->outputs[0];
	if (wants_image(b)) {
		rb_worker_status(port, "exporting layers");
		if (make_layers(e, blobs_of, err) < 0)
			return -1;
		for (size_t i = 0; i < e->n; i++)
			rb_build_cache_add_inline(&b->cache, b->session.platforms[i].solver,
						  &e->images[i]);
	}
	for (size_t i = 0; i < b->n_outputs; i++)
		if (export_dated(e, &b->outputs[i], port, &told, err) < 0)
			return rb_wrap(err, "export");
	RB_CLEANUP(rb_strp) char *text = rb_build_result_text(&told);
	rb_worker_result(port, text, strlen(text));
	return 0;
}

static const char *export_name(const struct build *b)
{
	if (b->n_outputs > 1)
		return "exporting";
	switch (b->outputs[0].type) {
	case RB_OUTPUT_OCI:
		return "exporting to oci image format";
	case RB_OUTPUT_LOCAL:
		return "exporting to client directory";
	case RB_OUTPUT_IMAGE:
	case RB_OUTPUT_CACHEONLY:
	case RB_OUTPUT_CACHE_LOCAL:
	case RB_OUTPUT_CACHE_INLINE:
		break;
	}
	return "exporting to image";
}

/* A base that was only looked at must be there in full before something refers to its layers. */
static bool base_is_incomplete(const struct rb_solved_image *im)
{
	for (size_t i = 0; i < im->n_layers; i++)
		if (!*im->layers[i].snapshot)
			return true;
	return false;
}

/* The results of all platforms; *ret is freed with clear_images(). */
static int solved_images(struct build *b, struct export *ret, struct rb_error **err)
{
	struct rb_session *s = &b->session;

	*ret = (struct export){.b = b, .images = rb_calloc(s->n_platforms, sizeof(*ret->images))};
	for (; ret->n < s->n_platforms; ret->n++) {
		if (rb_solve_image(s->platforms[ret->n].solver, &ret->images[ret->n], err) == 0)
			continue;
		clear_images(ret);
		return -1;
	}
	return 0;
}

/* Trees and blobs of the bases that the outputs read; without may_work, only whether there is
 * something to do. */
static int complete_bases(struct export *e, bool may_work, bool *ret_work, struct rb_error **err)
{
	*ret_work = false;
	for (size_t i = 0; i < e->n; i++) {
		bool blobs = wants_image(e->b) && base_is_incomplete(&e->images[i]), work = false;

		if (rb_solve_materialize(e->b->session.platforms[i].solver,
					 has_output(e->b, RB_OUTPUT_LOCAL) || rewrites_times(e->b),
					 blobs, may_work, &work, err) < 0)
			return -1;
		*ret_work |= work;
	}
	return 0;
}

/* Whether the outputs can be made outside of the user namespace: no tree has to be read or
 * unpacked. */
static int outputs_need_namespace(struct build *b, bool *ret, struct rb_error **err)
{
	struct export e;
	bool work = false;

	if (solved_images(b, &e, err) < 0)
		return -1;
	*ret = has_output(b, RB_OUTPUT_LOCAL) || rewrites_times(b) ||
	       rb_build_cache_has_directory(&b->cache);
	for (size_t i = 0; i < e.n; i++)
		*ret |= wants_image(b) && !layers_are_known(b, &e.images[i]);
	int r = complete_bases(&e, false, &work, err);
	*ret |= work;
	clear_images(&e);
	return r;
}

/* Everything but what only the cache is for; *ret tells of it. */
static int export(struct build *b, struct rb_build_result *ret, struct rb_error **err)
{
	RB_CLEANUP(rb_buf_clear) struct rb_buf text = RB_BUF_INIT;
	struct rb_session *s = &b->session;
	struct export e;
	bool worked;

	if (b->n_outputs == 1 && b->outputs[0].type == RB_OUTPUT_CACHEONLY)
		return 0;
	if (solved_images(b, &e, err) < 0)
		return -1;
	int r = complete_bases(&e, true, &worked, err);
	if (r == 0)
		r = rb_solve_task(s->solver, export_name(b), export_all, &e, &text, err);
	clear_images(&e);
	return r < 0 ? -1 : rb_build_result_parse(text.ptr, ret, err);
}

static int make_outputs(struct build *b, struct rb_error **err)
{
	const struct rb_output_spec *image = first_image(b);
	struct rb_build_result result = {0};
	char id[RB_DIGEST_TEXT_BYTES];

	if (export(b, &result, err) < 0 ||
	    rb_build_result_write(&b->options, &result,
				  image && image->names.n ? &image->names : &b->names, err) < 0 ||
	    rb_build_cache_export(&b->cache, &b->session, err) < 0)
		return -1;
	if (b->options.quiet && result.has_id &&
	    (printf("%s\n", rb_digest_text(&result.id, id)) < 0 || fflush(stdout) != 0))
		return rb_fail_errno(err, "cannot write the image ID to the standard output");
	return 0;
}

/* --- the build
 * -------------------------------------------------------------------------------------------------
 */

static int end_build(struct build *b, int r, struct rb_error **err)
{
	struct rb_session *s = &b->session;

	if (s->progress)
		rb_progress_finish(s->progress, r < 0, s->solver ? rb_solve_now_ns(s->solver) : 0);
	if (r < 0) {
		struct rb_cli_source source = rb_session_source(s);

		rb_secrets_hide(s->secrets, *err);
		return rb_cli_report(s->cli, &source, err);
	}
	return RB_EXIT_OK;
}

/* Inside the user namespace. */
static int inner(void *ctx)
{
	struct build *b = ctx;
	struct rb_error *err = NULL;

	rb_session_reap(&b->session);
	int r = 0;
	for (size_t i = 0; r == 0 && !b->complete && i < b->session.n_platforms; i++)
		r = rb_solve_run(b->session.platforms[i].solver, &err);
	if (r == 0)
		r = make_outputs(b, &err);
	int status = end_build(b, r, &err);
	if (r < 0)
		rb_shell_on_failure(&b->session);
	return status;
}

static int prepare(struct build *b, struct rb_error **err)
{
	struct rb_session *s = &b->session;
	const char *progress = b->options.quiet ? "quiet" : b->options.progress;

	if (rb_build_options_check(&b->options, &b->plan_options, err) < 0 ||
	    parse_outputs(b, err) < 0 || check_outputs(b, err) < 0 ||
	    rb_build_cache_parse(&b->options, &b->cache, err) < 0)
		return -1;
	if (rb_session_open(s, s->cli, err) < 0 || rb_session_progress(s, progress, err) < 0)
		return -1;
	if (b->options.jobs)
		s->options.jobs = b->options.jobs;
	s->options.pull = b->options.pull;
	if (b->options.on_fail && *b->options.on_fail)
		s->options.keep_failed = rb_shell_is_possible();
	s->options.settings = &b->options.steps.settings;
	s->options.cache_sources = b->cache.sources;
	s->options.n_cache_sources = b->cache.n_sources;
	return 0;
}

static void show_definition(struct rb_session *s)
{
	RB_CLEANUP(rb_strp)
	char *name = rb_asprintf("[internal] load build definition from %s", s->file);
	RB_CLEANUP(rb_strp) char *size = rb_asprintf("transferring dockerfile: %zuB", s->text.len);
	unsigned ev = rb_solve_announce(s->solver, name);

	rb_solve_emit(s->solver, ev, RB_EV_START, NULL);
	rb_solve_emit(s->solver, ev, RB_EV_STATUS, size);
	rb_solve_warn(s->solver, ev);
	rb_solve_emit(s->solver, ev, RB_EV_DONE, NULL);
}

static int look_up(struct build *b, struct rb_error **err)
{
	b->complete = true;
	for (size_t i = 0; i < b->session.n_platforms; i++) {
		int r = rb_solve_lookup(b->session.platforms[i].solver, err);

		if (r < 0)
			return -1;
		b->complete &= r > 0;
	}
	return 0;
}

/* From the reading of the Dockerfile on; returns the exit status. */
static int read_and_build(void *ctx)
{
	struct build *b = ctx;
	struct rb_session *s = &b->session;
	struct rb_error *err = NULL;
	bool enter = true;
	int r = rb_session_read(s, b->context, b->options.file, &err);

	if (r == 0)
		r = rb_session_plan_all(s, &b->plan_options, b->options.targets,
					b->options.n_targets, &err);
	if (r == 0) {
		show_definition(s);
		r = look_up(b, &err);
	}
	if (r == 0 && b->complete)
		r = outputs_need_namespace(b, &enter, &err);
	if (r == 0 && !enter)
		r = make_outputs(b, &err);
	else if (r == 0)
		r = rb_session_enter(s, inner, b, &err);
	if (r < 0 || !enter)
		return end_build(b, r, &err);
	return r; /* inner() has reported */
}

/* Everything; returns the exit status. */
static int build(struct build *b)
{
	struct rb_error *err = NULL;
	int r = prepare(b, &err);

	if (r == 0)
		r = rb_session_start(&b->session, &b->options, b->context, read_and_build, b, &err);
	return r < 0 ? end_build(b, r, &err) : r;
}

static int run_build(struct rb_cli *cli, int argc, char *const *argv, struct rb_error **err)
{
	RB_CLEANUP(rb_strv_clear) struct rb_strv rest = RB_STRV_INIT;
	RB_CLEANUP(build_clear) struct build b = {.session = RB_SESSION_INIT};
	const struct rb_option *table = rb_build_options_table(&b.options);
	struct rb_call call;
	int r = rb_cli_parse(cli, &rb_verb_build, table, argc, argv, false, 1, 1, &rest, err);

	if (r)
		return r < 0 ? -1 : RB_EXIT_OK;
	if (rb_call_choose(&b.options, &call, err) < 0)
		return -1;
	if (call.method != RB_CALL_BUILD)
		return rb_call_run(cli, &b.options, rest.v[0], &call, err);
	b.session.cli = cli;
	b.context = rest.v[0];
	return build(&b);
}

const struct rb_verb rb_verb_build = {
	.name = "build",
	.usage = "[build] [OPTIONS] CONTEXT",
	.summary = "build an image from a Dockerfile",
	.text = "CONTEXT is a directory; - for an archive or a Dockerfile on standard input; a git repository; or a URL.\n"
		"Without --output the image is kept in the store, under the names given with --tag.",
	.run = run_build,
};
