// SPDX-License-Identifier: Apache-2.0
/* The images that FROM, COPY --from and RUN --mount=from name. */
#include <string.h>

#include "image/reference.h"
#include "plan/plan-internal.h"

/* The image of that name, registered when it is new. */
static struct rb_plan_image *register_image(struct rb_plan *plan, const char *name,
					    const char *shown, const struct rb_platform *platform,
					    const struct rb_inst *inst)
{
	struct rb_plan_image *image;
	char text[RB_PLATFORM_TEXT_BYTES];
	RB_CLEANUP(rb_strp)
	char *key = rb_asprintf("%s\n%s", rb_platform_text(platform, text), name);
	ssize_t known = rb_env_find(&plan->image_index, key);

	if (known >= 0)
		return plan->images[known];
	rb_env_set(&plan->image_index, key, "");
	image = rb_arena_alloc(plan->arena, sizeof(*image));
	rb_grow(plan->images, plan->n_images, &plan->cap_images);
	plan->images[plan->n_images] = image;
	*image = (struct rb_plan_image){
		.index = plan->n_images++,
		.name = rb_arena_strdup(plan->arena, name),
		.shown = rb_arena_strdup(plan->arena, shown),
		.platform = *platform,
		.line_first = inst->line_first,
		.line_last = inst->line_last,
	};
	return image;
}

static const char *near_stage(const struct rb_plan *plan, const char *text)
{
	RB_CLEANUP(rb_buf_clear) struct rb_buf hint = RB_BUF_INIT;
	RB_CLEANUP(rb_buf_clear) struct rb_buf b = RB_BUF_INIT;

	if (*rb_plan_suggest_stage(plan, text, &hint))
		rb_buf_addf(&b, "%s%s", text, hint.ptr);
	return rb_arena_strdup(plan->arena, b.ptr);
}

int rb_plan_use_image(struct rb_plan *plan, const char *text, const struct rb_plan_context *context,
		      const struct rb_platform *platform, const struct rb_inst *inst,
		      struct rb_plan_image **ret, struct rb_error **err)
{
	struct rb_ref ref = {0};

	if (context)
		text = context->image;
	if (context && context->kind == RB_NAMED_LAYOUT) {
		*ret = register_image(plan, text, text, platform, inst);
		(*ret)->layout = context;
		return 0;
	}
	if (rb_ref_parse(text, &ref, err) < 0) {
		(*err)->code = RB_ERR_DOCKERFILE;
		(void)rb_wrap(err, "failed to parse stage name \"%s\"", text);
		const struct rb_plan_stage *stage =
			rb_plan_find_stage(plan, text, plan->n_stages, true);
		if (stage && inst->kind == RB_INST_FROM)
			(void)rb_wrap(err,
				      "FROM takes names of stages in lower case only, so write %s",
				      stage->ast->name);
		else if (inst->kind == RB_INST_FROM && strchr(inst->from.image, '$'))
			(void)rb_wrap(err,
				      "%s becomes no name (an ARG before the first FROM, or "
				      "--build-arg, gives a value)",
				      inst->from.image);
		return rb_error_at(err, inst->line_first, inst->line_last);
	}
	RB_CLEANUP(rb_strp) char *name = rb_ref_text(&ref);
	RB_CLEANUP(rb_strp) char *shown = rb_ref_familiar(&ref);
	rb_ref_clear(&ref);
	*ret = register_image(plan, name, shown, platform, inst);
	if (!(*ret)->near_stage)
		(*ret)->near_stage = near_stage(plan, text);
	return 0;
}
