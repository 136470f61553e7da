// SPDX-License-Identifier: Apache-2.0
/* From results of vertices to the image: history with times, layers bottom to top
 * (dockerfile.md 7.1). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "solve/solve-internal.h"

void rb_solved_layer_set(struct rb_solved_layer *l, const struct rb_snapshot_meta *meta)
{
	*l = (struct rb_solved_layer){
		.has_diff = meta->has_diff,
		.diff_id = meta->diff_id,
		.has_blob = meta->has_blob,
		.blob = meta->blob,
		.blob_size = meta->blob_size,
	};
	(void)snprintf(l->snapshot, sizeof(l->snapshot), "%s", meta->id);
	(void)snprintf(l->media_type, sizeof(l->media_type), "%s", meta->media_type);
}

/* Layers of the snapshots in `chain`, from `first` on, appended. */
static int append_snapshots(struct rb_solver *s, const struct rb_strv *chain, size_t first,
			    struct rb_solved_image *im, struct rb_error **err)
{
	for (size_t i = first; i < chain->n; i++) {
		struct rb_snapshot_meta meta;

		if (rb_snapshot_stat(s->in.snapshots, chain->v[i], &meta, err) < 0)
			return -1;
		im->layers = rb_reallocarray(im->layers, im->n_layers + 1, sizeof(*im->layers));
		rb_solved_layer_set(&im->layers[im->n_layers++], &meta);
	}
	return 0;
}

/* When a vertex's result was made. */
static int created(struct rb_solver *s, const struct rb_vertex *v, char **ret,
		   struct rb_error **err)
{
	struct rb_snapshot_meta meta;

	if (rb_snapshot_stat(s->in.snapshots, s->vertices[v->index].id, &meta, err) < 0)
		return -1;
	free(*ret);
	*ret = rb_rfc3339(meta.created_s, meta.created_ns);
	return 0;
}

/* The time that metadata entries before the first layer of this build take: that layer's; without
 * one, the base's, which is all that the config tells so far. */
static int first_time(struct rb_solver *s, const struct rb_plan_history *added, size_t n_added,
		      const struct rb_image_config *config, char **ret, struct rb_error **err)
{
	for (size_t i = 0; i < n_added; i++)
		if (added[i].vertex)
			return created(s, added[i].vertex, ret, err);
	for (size_t i = config->n_history; i-- > 0 && !*ret;)
		if (config->history[i].created)
			*ret = rb_strdup(config->history[i].created);
	return 0;
}

/* A base may have no history (OCI config.md), but readers pair what entries there are with the
 * layers, one by one from below: each of its layers gets one before ours follow. */
static void complete_history(struct rb_image_config *config, size_t layers)
{
	size_t told = 0;

	for (size_t i = 0; i < config->n_history; i++)
		told += !config->history[i].empty_layer;
	for (; told < layers; told++)
		rb_image_config_add_history(config, NULL, NULL, NULL, NULL, false);
}

/* base_layers: how many of the layers are the base's. */
static int finish_config(struct rb_solver *s, const struct rb_plan_stage *stage, size_t base_layers,
			 struct rb_image_config *config, size_t *ret_base_history,
			 struct rb_error **err)
{
	RB_CLEANUP(rb_strp) char *time = NULL;
	size_t n;
	const struct rb_plan_history *added = rb_plan_history(stage, &n);

	if (first_time(s, added, n, config, &time, err) < 0)
		return -1;
	if (n)
		complete_history(config, base_layers);
	*ret_base_history = config->n_history;
	for (size_t i = 0; i < n; i++) {
		const struct rb_plan_history *h = &added[i];

		if (h->vertex && created(s, h->vertex, &time, err) < 0)
			return -1;
		rb_image_config_add_history(config, time, h->created_by, NULL, "rbuild",
					    !h->vertex);
	}
	config->created = time ? rb_strdup(time) : NULL;
	return 0;
}

static int collect(struct rb_solver *s, struct rb_solved_image *im, struct rb_error **err)
{
	const struct rb_plan_stage *target = s->in.plan->target;
	struct rb_root_ref root = rb_plan_stage_root(target);
	const struct rb_vertex *top = rb_plan_stage_top(target);
	RB_CLEANUP(rb_strv_clear) struct rb_strv chain = RB_STRV_INIT;

	(void)snprintf(im->top, sizeof(im->top), "%s",
		       top ? s->vertices[top->index].id : rb_solve_root_id(s, &root));
	rb_plan_config(target, &im->config);
	if (root.kind == RB_ROOT_IMAGE &&
	    rb_image_layers(s, root.image, &im->layers, &im->n_layers, err) < 0)
		return -1;
	const size_t base = im->n_base_layers = im->n_layers;
	im->has_epoch = s->in.plan->epoch.set;
	im->epoch = s->in.plan->epoch.seconds;
	/* Without a vertex the base's layers are all there is, and they may never have been
	 * unpacked. */
	if ((top || !base) && *im->top &&
	    rb_snapshot_chain(s->in.snapshots, im->top, &chain, err) < 0)
		return -1;
	if (append_snapshots(s, &chain, base, im, err) < 0)
		return -1;
	return finish_config(s, target, base, &im->config, &im->n_base_history, err);
}

int rb_solve_image(struct rb_solver *s, struct rb_solved_image *ret, struct rb_error **err)
{
	memset(ret, 0, sizeof(*ret));
	if (collect(s, ret, err) == 0)
		return 0;
	rb_solved_image_clear(ret);
	return -1;
}

void rb_solved_image_clear(struct rb_solved_image *im)
{
	rb_image_config_clear(&im->config);
	free(im->layers);
	memset(im, 0, sizeof(*im));
}
