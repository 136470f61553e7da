// SPDX-License-Identifier: Apache-2.0
/* What a root is that files are taken from: a directory of this machine or a committed tree. */
#include "base/fd.h"
#include "solve/solve-internal.h"

size_t rb_solve_n_contexts(const struct rb_solver *s)
{
	return 1 + s->in.plan->options.n_contexts;
}

struct rb_context *rb_solve_context(const struct rb_solver *s, const struct rb_root_ref *ref)
{
	return ref->context ? s->in.named[ref->context->index] : s->in.context;
}

struct context_state *rb_solve_context_state(struct rb_solver *s, const struct rb_root_ref *ref)
{
	return &s->contexts[ref->context ? 1 + ref->context->index : 0];
}

struct rb_context *rb_solve_local_dir(const struct rb_solver *s, const struct rb_root_ref *ref)
{
	struct rb_context *c = ref->kind == RB_ROOT_CONTEXT ? rb_solve_context(s, ref) : NULL;

	return c && c->kind == RB_CONTEXT_DIR ? c : NULL;
}

bool rb_solve_context_is_local(const struct rb_solver *s, const struct rb_plan_context *context)
{
	return !rb_context_is_pending(s->in.named[context->index]);
}

void rb_source_tree_clear(struct source_tree *t)
{
	rb_closep(&t->view_fd);
	rb_ledger_free(t->ledger);
}

struct rb_source_root rb_source_root_of(const struct rb_context *dir)
{
	return (struct rb_source_root){
		.root_fd = dir->root_fd,
		.ignore = dir->ignore,
		.ignore_file = dir->ignore_file,
		.where = dir->where,
	};
}

static const char *where(const struct rb_solver *s, const struct rb_root_ref *ref)
{
	const struct rb_context *c = ref->kind == RB_ROOT_CONTEXT ? rb_solve_context(s, ref) : NULL;

	if (!c)
		return NULL;
	return c->where ? c->where : "the build context";
}

int rb_source_tree_open(struct rb_solver *s, const struct rb_root_ref *ref, struct source_tree *ret,
			struct rb_error **err)
{
	const struct rb_context *dir = rb_solve_local_dir(s, ref);

	*ret = (struct source_tree){.view_fd = -1, .root.root_fd = -1};
	if (dir) {
		ret->root = rb_source_root_of(dir);
		return 0;
	}
	const char *id = rb_solve_root_id(s, ref);
	ret->view_fd = rb_snapshot_view(s->in.snapshots, id, err);
	if (ret->view_fd < 0 || rb_snapshot_view_ledger(s->in.snapshots, id, &ret->ledger, err) < 0)
		return -1;
	ret->root.root_fd = ret->view_fd;
	ret->root.ledger = ret->ledger;
	ret->root.where = where(s, ref);
	return 0;
}
