// SPDX-License-Identifier: Apache-2.0
/* COPY and ADD -> vertices, and what starts from the files of a named context. */
#include <errno.h>
#include <string.h>

#include "base/path.h"
#include "dockerfile/values.h"
#include "plan/plan-internal.h"

static int copy_heredoc(struct rb_elab *e, const struct rb_heredoc *h, struct rb_copy_source *ret,
			struct rb_error **err)
{
	ret->inline_name = h->name;
	ret->inline_data = h->body;
	if (h->expand) {
		struct rb_expand_report report = {0};
		RB_CLEANUP(rb_strp)
		char *data = rb_expand_heredoc(h->body, rb_elab_map(e, RB_SCOPE_ENV), &report, err);

		rb_elab_check_undefined(e, &report);
		if (!data || rb_plan_count_expanded(e->plan, data, err) < 0)
			return -1;
		ret->inline_data = rb_elab_keep(e, data);
	}
	return 0;
}

static int copy_source(struct rb_elab *e, const char *path, struct rb_copy_source *ret,
		       struct rb_error **err)
{
	const struct rb_inst *inst = e->inst;

	if (inst->kind == RB_INST_COPY && rb_dockerfile_check_copy_source(path, err) < 0)
		return -1;
	if (rb_dockerfile_source_kind(path) != RB_SOURCE_PATH)
		return rb_elab_remote(e, path, &ret->remote, err);
	if (inst->copy.checksum)
		return rb_fail(err, RB_ERR_DOCKERFILE,
			       "checksum requires HTTP(S) or Git sources, not \"%s\"", path);
	ret->path = rb_elab_keep(e, path);
	if (!inst->copy.from)
		rb_elab_check_ignored(e, path);
	return 0;
}

static int copy_sources(struct rb_elab *e, struct rb_vertex_copy *copy, struct rb_error **err)
{
	const struct rb_inst *inst = e->inst;

	copy->n_sources = inst->copy.n_order;
	copy->sources = rb_arena_array(e->plan->arena, copy->n_sources, sizeof(*copy->sources));
	for (size_t i = 0; i < copy->n_sources; i++) {
		size_t k = inst->copy.order[i];
		struct rb_copy_source *s = &copy->sources[i];

		if (k >= inst->copy.sources.n) {
			if (copy_heredoc(e, &inst->heredocs[k - inst->copy.sources.n], s, err) < 0)
				return -1;
			continue;
		}
		RB_CLEANUP(rb_strp) char *path = rb_elab_expand(e, inst->copy.sources.v[k], err);
		if (!path || copy_source(e, path, s, err) < 0)
			return -1;
	}
	return 0;
}

/* The expanded value of a flag that may be absent; an empty one is none. */
static int expand_flag(struct rb_elab *e, const char *value, const char **ret,
		       struct rb_error **err)
{
	*ret = NULL;
	if (!value)
		return 0;
	RB_CLEANUP(rb_strp) char *text = rb_elab_expand(e, value, err);
	if (!text)
		return -1;
	*ret = *text ? rb_elab_keep(e, text) : NULL;
	return 0;
}

static bool is_number_or_root(const char *s, size_t n)
{
	const struct rb_slice name = {s, n};
	uint64_t id;

	return rb_slice_eq(name, "root") || rb_parse_u64(name, UINT32_MAX, &id) != -EINVAL;
}

/* An empty root has no names (3.9). */
static int check_link_owner(const char *chown, struct rb_error **err)
{
	const size_t n = strcspn(chown, ":");

	if (is_number_or_root(chown, n) &&
	    (!chown[n] || is_number_or_root(chown + n + 1, strlen(chown + n + 1))))
		return 0;
	return rb_fail(
		err, RB_ERR_DOCKERFILE,
		"--chown=%s: with --link there is no /etc/passwd to look up names in; write numbers, or leave --link out",
		chown);
}

static int copy_flags(struct rb_elab *e, struct rb_vertex_copy *copy, struct rb_error **err)
{
	const struct rb_inst *inst = e->inst;

	if (expand_flag(e, inst->copy.chown, &copy->chown, err) < 0 ||
	    expand_flag(e, inst->copy.chmod, &copy->chmod_text, err) < 0)
		return -1;
	if (copy->chmod_text) {
		struct rb_mode_change *chmod = rb_arena_alloc(e->plan->arena, sizeof(*chmod));

		if (rb_dockerfile_parse_chmod(copy->chmod_text, chmod, err) < 0)
			return -1;
		copy->chmod = chmod;
	}
	copy->parents = inst->copy.parents;
	copy->excludes = inst->copy.excludes;
	copy->unpack = inst->kind == RB_INST_ADD && inst->copy.unpack != 0;
	copy->unpack_urls = inst->kind == RB_INST_ADD && inst->copy.unpack > 0;
	/* As other builders do: a mode makes it a plain copy. */
	copy->link = inst->copy.link && !copy->chmod;
	return copy->link && copy->chown ? check_link_owner(copy->chown, err) : 0;
}

static bool written_as_dir(const char *dest)
{
	return !*dest || rb_streq(dest, ".") || rb_ends_with(dest, "/") || rb_ends_with(dest, "/.");
}

static void add_sources_text(const struct rb_vertex_copy *copy, struct rb_buf *b)
{
	for (size_t i = 0; i < copy->n_sources; i++)
		if (copy->sources[i].path || copy->sources[i].remote)
			rb_buf_addf(b, " %s",
				    copy->sources[i].remote ? copy->sources[i].remote->shown
							    : copy->sources[i].path);
	for (size_t i = 0; i < copy->n_sources; i++)
		if (copy->sources[i].inline_data)
			rb_buf_addf(b, " <<%s", copy->sources[i].inline_name);
}

/* The vertex whose result the stage goes on with. */
static struct rb_vertex *add_copy(struct rb_elab *e, const struct rb_vertex_copy *copy)
{
	struct rb_vertex *below = e->state->top, *v = rb_elab_add_vertex(e, RB_VERTEX_COPY);

	v->copy = *copy;
	if (!copy->link)
		return v;
	v->parent = NULL;
	e->state->top = below;
	struct rb_vertex *link = rb_elab_add_vertex(e, RB_VERTEX_LINK);
	link->link.layer = v;
	return link;
}

int rb_elab_copy(struct rb_elab *e, struct rb_error **err)
{
	const struct rb_inst *inst = e->inst;
	RB_CLEANUP(rb_buf_clear) struct rb_buf by = RB_BUF_INIT;
	RB_CLEANUP(rb_strp) char *dest = rb_elab_expand(e, inst->copy.dest, err);
	struct rb_vertex_copy copy = {.dest_is_dir = dest && written_as_dir(dest)};
	const struct rb_from from = {.text = inst->copy.from};

	if (!dest || copy_sources(e, &copy, err) < 0 || copy_flags(e, &copy, err) < 0 ||
	    rb_plan_resolve_from(e->plan, e->stage, inst, &from, &copy.from, err) < 0)
		return -1;
	RB_CLEANUP(rb_strp) char *abs = rb_path_join_abs(rb_elab_working_dir(e), dest);
	RB_CLEANUP(rb_strp) char *rooted = rb_path_join_abs("/", abs);
	copy.dest = rb_elab_keep(e, rooted);

	rb_buf_addf(&by, "%s%s", rb_inst_kind_name(inst->kind), copy.parents ? " --parents" : "");
	if (copy.chown)
		rb_buf_addf(&by, " --chown=%s", copy.chown);
	if (copy.chmod)
		rb_buf_addf(&by, " --chmod=%s", copy.chmod_text);
	add_sources_text(&copy, &by);
	rb_buf_addf(&by, " %s # buildkit", dest);

	rb_elab_history(e, add_copy(e, &copy), by.ptr);
	return 0;
}

void rb_elab_from_context(struct rb_elab *e)
{
	struct rb_copy_source *all = rb_arena_array(e->plan->arena, 1, sizeof(*all));
	RB_CLEANUP(rb_strp) char *by = rb_asprintf("FROM %s", e->stage->from_name);

	all->path = "/";
	e->inst = e->stage->ast->from;
	struct rb_vertex *v = rb_elab_add_vertex(e, RB_VERTEX_COPY);
	v->copy = (struct rb_vertex_copy){
		.from = e->stage->base,
		.sources = all,
		.n_sources = 1,
		.dest = "/",
		.dest_is_dir = true,
	};
	rb_elab_history(e, v, by);
}
