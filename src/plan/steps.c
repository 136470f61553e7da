// SPDX-License-Identifier: Apache-2.0
/* What all steps have: a vertex with a name; and WORKDIR, which has little else. */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/path.h"
#include "dockerfile/gitref.h"
#include "plan/plan-internal.h"

/* " (first line...)" of a RUN that is one heredoc (1.9). */
static void add_heredoc_summary(const struct rb_inst *inst, struct rb_buf *b)
{
	enum { SHOWN = 120 };

	if (inst->kind != RB_INST_RUN || inst->n_heredocs != 1)
		return;
	const char *body = inst->heredocs[0].body;
	size_t n = strcspn(body, "\n");
	if (n)
		rb_buf_addf(b, " (%.*s%s)", (int)rb_min_size(n, SHOWN), body,
			    body[n] && body[n + 1] ? "..." : "");
}

void rb_elab_step_number(const struct rb_elab *e, const char *word, struct rb_buf *name)
{
	rb_buf_addf(name, "[%s%*zu/%zu] %s", e->stage->prefix, snprintf(NULL, 0, "%zu", e->n_steps),
		    e->step, e->n_steps, word);
}

/* The shell expands more than we know, so what is not set here is shown as written; so is all of a
 * text that values make longer than anybody reads. */
static char *expand_shown(struct rb_elab *e, const char *text)
{
	char *shown = rb_expand_known(text, rb_plan_escape(e->plan, e->inst),
				      rb_elab_map(e, RB_SCOPE_ENV));
	size_t n = strlen(shown);

	if (n <= RB_STEP_NAME_EXPANDED_MAX || n <= strlen(text))
		return shown;
	free(shown);
	return rb_strdup(text);
}

const char *rb_elab_step_name(struct rb_elab *e, const char *prefix)
{
	const struct rb_inst *inst = e->inst;
	RB_CLEANUP(rb_buf_clear) struct rb_buf name = RB_BUF_INIT;

	if (inst->kind == RB_INST_FROM) {
		rb_elab_step_number(e, prefix, &name);
		rb_buf_addf(&name, "FROM %s", e->stage->from_name);
		return rb_elab_keep(e, name.ptr);
	}
	RB_CLEANUP(rb_strp) char *text = expand_shown(e, inst->original + strlen(inst->word));
	RB_CLEANUP(rb_strp)
	char *shown = inst->kind == RB_INST_ADD ? rb_url_redact(text) : rb_strdup(text);

	rb_elab_step_number(e, prefix, &name);
	rb_buf_addf(&name, "%s%s%s", inst->trigger ? "ONBUILD " : "", rb_inst_kind_name(inst->kind),
		    shown);
	add_heredoc_summary(inst, &name);
	return rb_elab_keep(e, name.ptr);
}

static bool is_uncached(const struct rb_elab *e)
{
	const struct rb_plan_options *o = &e->plan->options;
	const char *name = e->stage->ast->name;

	for (size_t i = 0; name && o->no_cache_stages && i < o->no_cache_stages->n; i++)
		if (rb_ascii_strcaseeq(o->no_cache_stages->v[i], name))
			return true;
	return o->no_cache;
}

struct rb_vertex *rb_elab_add_vertex(struct rb_elab *e, enum rb_vertex_kind kind)
{
	struct rb_plan_stage *stage = e->stage;
	struct rb_vertex *v = rb_arena_alloc(e->plan->arena, sizeof(*v));

	/* Of two vertices that are one instruction. */
	const bool again = kind == RB_VERTEX_LINK;

	e->step += !again;
	v->kind = kind;
	v->index = e->plan->n_vertices++;
	v->stage = stage;
	v->parent = e->state->top;
	v->inst = e->inst;
	v->name = rb_elab_step_name(e, again ? "LINK " : "");
	v->no_cache = kind != RB_VERTEX_WORKDIR && is_uncached(e);
	stage->vertices[stage->n_vertices++] = v;
	e->state->top = v;
	return v;
}

int rb_elab_workdir(struct rb_elab *e, struct rb_error **err)
{
	RB_CLEANUP(rb_strp) char *given = rb_elab_expand(e, e->inst->text, err);
	RB_CLEANUP(rb_buf_clear) struct rb_buf by = RB_BUF_INIT;

	if (!given)
		return -1;
	rb_elab_check_workdir(e, given);
	RB_CLEANUP(rb_strp) char *joined = rb_path_join_abs(rb_elab_working_dir(e), given);
	RB_CLEANUP(rb_strp) char *path = rb_path_join_abs("/", joined);
	e->state->working_dir = rb_elab_keep(e, path);
	/* What follows joins its paths to this one. */
	if (strlen(path) >= PATH_MAX)
		return rb_fail(err, RB_ERR_DOCKERFILE,
			       "WORKDIR %.60s...: this path has %zu bytes, and Linux takes %d",
			       path, strlen(path), PATH_MAX - 1);
	rb_buf_addf(&by, "WORKDIR %s", path);
	if (rb_streq(path, "/")) {
		/* Counted as a step in names, but there is nothing to make. */
		e->step++;
		rb_elab_history(e, NULL, by.ptr);
		return 0;
	}
	struct rb_vertex *v = rb_elab_add_vertex(e, RB_VERTEX_WORKDIR);
	v->workdir.path = e->state->working_dir;
	v->workdir.user = e->state->user ? e->state->user : "";
	v->workdir.has_epoch = e->plan->epoch.set;
	v->workdir.epoch = e->plan->epoch.seconds;
	rb_elab_history(e, v, by.ptr);
	return 0;
}
