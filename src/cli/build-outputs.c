// SPDX-License-Identifier: Apache-2.0
#include "cli/build-outputs.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "cli/build-result.h"
#include "solve/worker.h"

static const struct rb_output_spec *first_output(const struct rb_build_outputs *o,
						 enum rb_output_type type)
{
	for (size_t i = 0; i < o->n; i++)
		if (o->specs[i].type == type)
			return &o->specs[i];
	return NULL;
}

static bool has_output(const struct rb_build_outputs *o, enum rb_output_type type)
{
	return first_output(o, type) != NULL;
}

static const struct rb_output_spec *first_image(const struct rb_build_outputs *o)
{
	for (size_t i = 0; i < o->n; i++)
		if (o->specs[i].type == RB_OUTPUT_IMAGE || o->specs[i].type == RB_OUTPUT_OCI)
			return &o->specs[i];
	return NULL;
}

/* Whether something needs the image's config and so all diff IDs. */
static bool wants_image(const struct rb_build_outputs *o)
{
	return first_image(o) != NULL;
}

/* Whether something tells of manifests, so that all layers need blobs. */
static bool wants_manifests(const struct rb_build_outputs *o)
{
	return wants_image(o) && (o->options->as_index || o->options->metadata_file);
}

/* An image in the store has the names of -t also where the output gives it others. */
static void add_tags(struct rb_output_spec *spec, const struct rb_strv *tags)
{
	if (spec->type == RB_OUTPUT_IMAGE && spec->names.n)
		for (size_t i = 0; i < tags->n; i++)
			rb_strv_add(&spec->names, tags->v[i]);
}

/* What cannot be said of several platforms. */
static int check_platforms(const struct rb_build_outputs *o, const char *text,
			   const struct rb_output_spec *spec, struct rb_error **err)
{
	if (o->options->n_targets < 2)
		return 0;
	if (spec->type == RB_OUTPUT_LOCAL && spec->platform_split == 0)
		return rb_fail(err, RB_ERR_UNSUPPORTED,
			       "%s: the trees of several platforms cannot share a directory; "
			       "leave platform-split=false out",
			       text);
	return 0;
}

static int parse_output(struct rb_build_outputs *o, const char *text, struct rb_output_spec *ret,
			struct rb_error **err)
{
	if (o->options->n_targets > 1 && strstr(text, "type=docker"))
		return rb_fail(err, RB_ERR_UNSUPPORTED,
			       "docker exporter does not currently support exporting manifest "
			       "lists: write several platforms with type=oci, or build one");
	return rb_output_spec_parse(text, ret, err) < 0 ? -1 : check_platforms(o, text, ret, err);
}

static int parse_outputs(struct rb_build_outputs *o, struct rb_error **err)
{
	const struct rb_build_options *given = o->options;
	size_t n = given->outputs.n ? given->outputs.n : 1;

	for (size_t i = 0; i < given->tags.n; i++)
		if (rb_output_add_name(&o->names, given->tags.v[i], err) < 0)
			return rb_wrap(err, "--tag");
	o->specs = rb_calloc(n, sizeof(*o->specs));
	for (size_t i = 0; i < n; i++) {
		if (parse_output(o, given->outputs.n ? given->outputs.v[i] : "type=image",
				 &o->specs[i], err) < 0)
			return rb_wrap(err, "--output");
		o->n++;
		add_tags(&o->specs[i], &o->names);
	}
	if (o->names.n && !first_image(o))
		rb_log_warn("--tag has no effect: no output makes an image (-o type=image would)");
	if (given->iidfile && !first_image(o))
		return rb_fail(err, RB_ERR_USAGE, "--iidfile needs an output that makes an image");
	return 0;
}

int rb_build_outputs_parse(struct rb_build_outputs *o, struct rb_error **err)
{
	if (parse_outputs(o, err) < 0)
		return -1;
	for (size_t i = 0; i < o->n; i++)
		if (rb_output_spec_check(&o->specs[i], err) < 0)
			return rb_wrap(err, "--output");
	return rb_build_result_check(o->options, err);
}

void rb_build_outputs_clear(struct rb_build_outputs *o)
{
	for (size_t i = 0; i < o->n; i++)
		rb_output_spec_clear(&o->specs[i]);
	free(o->specs);
	rb_strv_clear(&o->names);
}

static bool rewrites_times(const struct rb_build_outputs *o)
{
	for (size_t i = 0; i < o->n; i++)
		if (o->specs[i].rewrite_times)
			return true;
	return false;
}

/* The blobs that an OCI output wants. */
static struct rb_output_blobs wanted_blobs(const struct rb_build_outputs *o,
					   const struct rb_output_spec *spec)
{
	return (struct rb_output_blobs){
		.compression = spec->compression,
		.level = spec->level,
		.threads = o->session->options.jobs,
	};
}

/* Whether all outputs find their layers made; diff IDs are enough for all but OCI ones. */
static bool layers_are_known(const struct rb_build_outputs *o, const struct rb_solved_image *im)
{
	struct rb_store *store = o->session->store;

	for (size_t i = 0; i < o->n; i++) {
		const struct rb_output_blobs blobs = wanted_blobs(o, &o->specs[i]);

		if ((o->specs[i].type == RB_OUTPUT_OCI || wants_manifests(o)) &&
		    !rb_output_layers_known(store, im, &blobs))
			return false;
	}
	return rb_output_layers_known(store, im, NULL);
}

struct export
{
	struct rb_build_outputs *o;
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
	struct rb_session *s = e->o->session;
	struct rb_output_blobs blobs;

	if (blobs_of)
		blobs = wanted_blobs(e->o, blobs_of);
	for (size_t i = 0; i < e->n; i++)
		if (rb_output_layers(s->store, s->snapshots, &e->images[i],
				     blobs_of ? &blobs : NULL, err) < 0)
			return -1;
	return 0;
}

static int export_image(struct export *e, const struct rb_strv *names, struct rb_worker_port *port,
			struct rb_error **err)
{
	struct rb_session *s = e->o->session;
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
	bool split = spec->platform_split < 0 ? e->o->options->as_index : spec->platform_split;

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
		if (rb_output_local(e->o->session->snapshots, e->images[i].top, &one, &notices,
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
	const struct rb_strv *names = spec->names.n ? &spec->names : &e->o->names;
	struct rb_digest digest;
	char text[RB_DIGEST_TEXT_BYTES];

	switch (spec->type) {
	case RB_OUTPUT_IMAGE:
		return export_image(e, names, port, err);
	case RB_OUTPUT_OCI:
		if (rb_output_oci(e->o->session->store, e->images, e->n, e->o->options->as_index,
				  spec, names, &digest, err) < 0)
			return -1;
		rb_worker_status(port, "writing %s, %s %s", spec->dest,
				 e->o->options->as_index ? "manifest list" : "manifest",
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
	const bool as_index = e->o->options->as_index;
	char text[RB_DIGEST_TEXT_BYTES];

	if (wants_manifests(e->o)) {
		ret->has_manifest = true;
		ret->manifest = rb_output_manifest_blob(e->images, e->n, as_index);
	}
	ret->has_id = true;
	ret->id = as_index ? ret->manifest.digest : rb_output_image_id(&e->images[0]);
	/* Whoever is told of it finds it in the store, where the images are. */
	if (!as_index || !(has_output(e->o, RB_OUTPUT_IMAGE) || e->o->options->iidfile))
		return 0;
	if (rb_output_index(e->o->session->store, e->images, e->n, &ret->id, err) < 0)
		return -1;
	rb_worker_status(port, "exporting manifest list %s", rb_digest_text(&ret->id, text));
	return 0;
}

/* The images as one output gives them; *ret is freed with clear_images(), also on error. */
static int date_images(struct export *e, const struct rb_output_spec *spec,
		       struct rb_worker_port *port, struct export *ret, struct rb_error **err)
{
	const struct rb_output_blobs blobs = wanted_blobs(e->o, spec);
	struct rb_session *s = e->o->session;

	*ret = (struct export){.o = e->o, .images = rb_calloc(e->n, sizeof(*ret->images))};
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
	if (r == 0 && spec == first_image(e->o))
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
	const struct rb_build_outputs *o = e->o;
	const struct rb_output_spec *blobs_of = first_output(o, RB_OUTPUT_OCI);
	struct rb_build_result told = {0};

	if (!blobs_of && wants_manifests(o))
		blobs_of = &o->specs[0];
	if (wants_image(o)) {
		rb_worker_status(port, "exporting layers");
		if (make_layers(e, blobs_of, err) < 0)
			return -1;
		for (size_t i = 0; i < e->n; i++)
			rb_build_cache_add_inline(o->cache, o->session->platforms[i].solver,
						  &e->images[i]);
	}
	for (size_t i = 0; i < o->n; i++)
		if (export_dated(e, &o->specs[i], port, &told, err) < 0)
			return rb_wrap(err, "export");
	RB_CLEANUP(rb_strp) char *text = rb_build_result_text(&told);
	rb_worker_result(port, text, strlen(text));
	return 0;
}

static const char *export_name(const struct rb_build_outputs *o)
{
	if (o->n > 1)
		return "exporting";
	switch (o->specs[0].type) {
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
static int solved_images(struct rb_build_outputs *o, struct export *ret, struct rb_error **err)
{
	struct rb_session *s = o->session;

	*ret = (struct export){.o = o, .images = rb_calloc(s->n_platforms, sizeof(*ret->images))};
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
		bool blobs = wants_image(e->o) && base_is_incomplete(&e->images[i]), work = false;

		if (rb_solve_materialize(e->o->session->platforms[i].solver,
					 has_output(e->o, RB_OUTPUT_LOCAL) || rewrites_times(e->o),
					 blobs, may_work, &work, err) < 0)
			return -1;
		*ret_work |= work;
	}
	return 0;
}

int rb_build_outputs_need_namespace(struct rb_build_outputs *o, bool *ret, struct rb_error **err)
{
	struct export e;
	bool work = false;

	if (solved_images(o, &e, err) < 0)
		return -1;
	*ret = has_output(o, RB_OUTPUT_LOCAL) || rewrites_times(o) ||
	       rb_build_cache_has_directory(o->cache);
	for (size_t i = 0; i < e.n; i++)
		*ret |= wants_image(o) && !layers_are_known(o, &e.images[i]);
	int r = complete_bases(&e, false, &work, err);
	*ret |= work;
	clear_images(&e);
	return r;
}

/* Everything but what only the cache is for; *ret tells of it. */
static int export(struct rb_build_outputs *o, struct rb_build_result *ret, struct rb_error **err)
{
	RB_CLEANUP(rb_buf_clear) struct rb_buf text = RB_BUF_INIT;
	struct rb_session *s = o->session;
	struct export e;
	bool worked;

	if (o->n == 1 && o->specs[0].type == RB_OUTPUT_CACHEONLY)
		return 0;
	if (solved_images(o, &e, err) < 0)
		return -1;
	int r = complete_bases(&e, true, &worked, err);
	if (r == 0)
		r = rb_solve_task(s->solver, export_name(o), export_all, &e, &text, err);
	clear_images(&e);
	return r < 0 ? -1 : rb_build_result_parse(text.ptr, ret, err);
}

int rb_build_outputs_make(struct rb_build_outputs *o, struct rb_error **err)
{
	const struct rb_output_spec *image = first_image(o);
	struct rb_build_result result = {0};
	char id[RB_DIGEST_TEXT_BYTES];

	if (export(o, &result, err) < 0 ||
	    rb_build_result_write(o->options, &result,
				  image && image->names.n ? &image->names : &o->names, err) < 0 ||
	    rb_build_cache_export(o->cache, o->session, err) < 0)
		return -1;
	if (o->options->quiet && result.has_id &&
	    (printf("%s\n", rb_digest_text(&result.id, id)) < 0 || fflush(stdout) != 0))
		return rb_fail_errno(err, "cannot write the image ID to the standard output");
	return 0;
}
