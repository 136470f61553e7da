// SPDX-License-Identifier: Apache-2.0
#include "cli/contexts.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "dockerfile/gitref.h"
#include "image/reference.h"

/* One option, taken apart. */
struct named {
	struct rb_arena *arena;
	const char *text; /* NAME as given, for messages */
	const char *value;
	struct rb_plan_context *plan;
	struct rb_context *opened;
};

static int open_dir(struct named *n, struct rb_error **err)
{
	const char *path = rb_starts_with(n->value, "local:") ? n->value + 6 : n->value;

	n->plan->kind = RB_NAMED_TREE;
	if (rb_context_open(path, &n->opened, err) < 0 ||
	    rb_context_load_ignore(n->opened, err) < 0)
		return rb_wrap(err, "failed to get build context %s", n->text);
	/* Messages tell it from that of the build context. */
	char *name = n->opened->ignore_file;
	if (name)
		n->opened->ignore_file = rb_asprintf("%s/%s", path, name);
	free(name);
	return 0;
}

static int open_image(struct named *n, struct rb_error **err)
{
	const char *image = n->value + strlen("docker-image://");
	struct rb_ref ref = {0};

	n->plan->kind = RB_NAMED_IMAGE;
	n->plan->image = rb_arena_strdup(n->arena, image);
	if (rb_streq(image, "scratch"))
		return 0;
	if (rb_ref_parse(image, &ref, err) < 0)
		return rb_wrap(err, "failed to get build context %s", n->text);
	rb_ref_clear(&ref);
	return 0;
}

static int open_layout(struct named *n, struct rb_error **err)
{
	(void)err;
	n->plan->kind = RB_NAMED_LAYOUT;
	n->plan->image = rb_arena_strdup(n->arena, n->value);
	n->opened = rb_context_new(RB_CONTEXT_LAYOUT, n->value + strlen("oci-layout://"));
	return 0;
}

static int open_remote(struct named *n, struct rb_error **err)
{
	(void)err;
	n->plan->kind = RB_NAMED_TREE;
	n->opened = rb_context_new(RB_CONTEXT_REMOTE, n->value);
	return 0;
}

static int refuse_bake(struct named *n, struct rb_error **err)
{
	return rb_fail(err, RB_ERR_UNSUPPORTED,
		       "--build-context %s=%s: results of other builds are for bake files, which "
		       "rbuild does not read; build that one first and name its image",
		       n->text, n->value);
}

static const struct {
	const char *prefix;
	int (*open)(struct named *n, struct rb_error **err);
} kinds[] = {
	{"docker-image://", open_image}, {"oci-layout://", open_layout}, {"local:", open_dir},
	{"http://", open_remote},        {"https://", open_remote},      {"target:", refuse_bake},
	{"input:", refuse_bake},
};

static int open_value(struct named *n, struct rb_error **err)
{
	for (size_t i = 0; i < RB_ARRAY_LEN(kinds); i++)
		if (rb_starts_with(n->value, kinds[i].prefix))
			return kinds[i].open(n, err);
	if (rb_git_ref_is(n->value, true))
		return open_remote(n, err);
	const char *scheme = strstr(n->value, "://");
	if (scheme && !memchr(n->value, '/', (size_t)(scheme - n->value)))
		return rb_fail(err, RB_ERR_UNSUPPORTED,
			       "unsupported context source %.*s for %s: it is a directory, "
			       "docker-image://NAME, oci-layout://DIR, a git repository or an "
			       "http(s) URL",
			       (int)(scheme - n->value), n->value, n->text);
	return open_dir(n, err);
}

/* NAME or NAME::os/arch, as they are looked up. */
static int parse_name(struct named *n, struct rb_error **err)
{
	const char *colons = strstr(n->text, "::");
	RB_CLEANUP(rb_strp)
	char *name = colons ? rb_strndup(n->text, (size_t)(colons - n->text)) : rb_strdup(n->text);
	RB_CLEANUP(rb_strp) char *key = rb_plan_context_key(name);
	char text[RB_PLATFORM_TEXT_BYTES] = "";
	struct rb_platform platform;

	if (!key)
		return rb_fail(err, RB_ERR_USAGE,
			       "--build-context: invalid context name %s: it is a name as of an "
			       "image, in lower case",
			       n->text);
	if (colons && rb_platform_parse(colons + 2, &platform, err) < 0)
		return rb_wrap(err, "--build-context %s", n->text);
	if (colons)
		rb_platform_text(&platform, text);
	if (rb_streq(name, "scratch") || rb_streq(name, "context"))
		rb_log_warn("--build-context %s is never looked at: that name has a meaning of its "
			    "own",
			    n->text);
	n->plan->name = rb_arena_strdup(n->arena, key);
	n->plan->platform = rb_arena_strdup(n->arena, text);
	return 0;
}

static int open_one(struct rb_named_contexts *c, const char *option, struct rb_error **err)
{
	const char *eq = strchr(option, '=');

	if (!eq || eq == option || !eq[1])
		return rb_fail(err, RB_ERR_USAGE,
			       "--build-context: invalid context value: %s, expected NAME=VALUE",
			       option);
	RB_CLEANUP(rb_strp) char *name = rb_strndup(option, (size_t)(eq - option));
	struct named n = {.arena = c->arena, .text = name, .value = eq + 1, .plan = &c->plan[c->n]};
	n.plan->index = c->n;
	if (parse_name(&n, err) < 0)
		return -1;
	int r = open_value(&n, err);
	if (n.opened)
		n.opened->where = rb_asprintf("the context %s", name);
	c->opened[c->n++] = n.opened;
	return r;
}

int rb_named_contexts_open(const struct rb_strv *texts, struct rb_named_contexts *ret,
			   struct rb_error **err)
{
	ret->arena = rb_arena_new();
	ret->plan = rb_calloc(texts->n, sizeof(*ret->plan));
	ret->opened = rb_calloc(texts->n, sizeof(*ret->opened));
	for (size_t i = 0; i < texts->n; i++)
		if (open_one(ret, texts->v[i], err) < 0)
			return -1;
	return 0;
}

void rb_named_contexts_clear(struct rb_named_contexts *c)
{
	for (size_t i = 0; i < c->n; i++)
		rb_context_free(c->opened[i]);
	free(c->opened);
	free(c->plan);
	if (c->arena)
		rb_arena_free(c->arena);
	memset(c, 0, sizeof(*c));
}
