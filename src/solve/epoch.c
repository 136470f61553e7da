// SPDX-License-Identifier: Apache-2.0
/* SOURCE_DATE_EPOCH where it is the time of something (dockerfile.md 7.5). */
#include "solve/solve-internal.h"

static int known(struct rb_solver *s, unsigned node, const int64_t *seconds, struct rb_error **err)
{
	/* Whoever made the commit or runs the server chose it. */
	if (seconds && (*seconds < 0 || *seconds > RB_TIME_MAX))
		return rb_fail(
			err, RB_ERR_DOCKERFILE,
			"invalid SOURCE_DATE_EPOCH: the time of what it names, %lld seconds, "
			"is not in the years 1970 to 9999; give the seconds",
			(long long)*seconds);
	rb_plan_set_epoch(s->in.plan, seconds);
	rb_sched_finish(s->sched, node);
	return 0;
}

/* Whether the node has to wait for another one. */
static bool waits(struct rb_solver *s, unsigned node, unsigned input)
{
	if (rb_sched_state(s->sched, input) == RB_NODE_DONE)
		return false;
	rb_sched_depend(s->sched, node, input);
	return true;
}

static int no_time(const char *what, struct rb_error **err)
{
	return rb_fail(err, RB_ERR_DOCKERFILE,
		       "invalid SOURCE_DATE_EPOCH: the server tells no Last-Modified of %s; give "
		       "the seconds",
		       what);
}

/* A directory of this machine has no time that would be the same on another one. */
static int of_context(struct rb_solver *s, unsigned node, const struct rb_root_ref *ref,
		      struct rb_error **err)
{
	struct rb_context *c = rb_solve_context(s, ref);

	if (rb_context_is_pending(c))
		rb_context_known(s, c);
	if (rb_context_is_pending(c)) {
		rb_sched_depend(s->sched, node, rb_solve_context_node(s, ref));
		return 0;
	}
	if (!c || !c->tree || !*c->tree)
		return known(s, node, NULL, err);
	if (c->time < 0 && c->is_archive &&
	    rb_context_tree_newest(s->in.snapshots, c->tree, &c->time, err) < 0)
		return -1;
	if (c->time < 0 && !c->is_archive) {
		RB_CLEANUP(rb_strp) char *shown = rb_url_redact(c->path);

		return no_time(shown, err);
	}
	return known(s, node, c->time < 0 ? NULL : &c->time, err);
}

static int of_stage(struct rb_solver *s, unsigned node, const struct rb_plan_stage *stage,
		    struct rb_error **err)
{
	struct rb_plan_remote *remote;

	if (waits(s, node, s->stages[stage->ast->index].elaborate_node))
		return 0;
	if (rb_plan_epoch_remote(s->in.plan, &remote, err) < 0)
		return -1;
	const struct remote_state *st = &s->remotes[remote->index];
	if (waits(s, node, st->node))
		return 0;
	if (remote->git)
		return known(s, node, &st->commit.time, err);
	if (st->file.mtime)
		return known(s, node, &st->file.mtime, err);
	(void)no_time(remote->shown, err);
	return rb_error_at(err, remote->line_first, remote->line_last);
}

int rb_epoch_examine(struct rb_solver *s, unsigned node, struct rb_error **err)
{
	const struct rb_root_ref *from = &s->in.plan->epoch.from;

	return from->kind == RB_ROOT_STAGE ? of_stage(s, node, from->stage, err)
					   : of_context(s, node, from, err);
}
