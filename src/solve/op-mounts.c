// SPDX-License-Identifier: Apache-2.0
/*
 * What has to be there before a RUN with mounts can start, in this order: the contents of its
 * inputs and copies of those that are directories of this machine; the locks of its caches, always
 * in the order of their keys, so that nobody waits in a circle; what new caches start with; the
 * mounts. What may take long is done by workers.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/path.h"
#include "layer/copy.h"
#include "solve/caches.h"
#include "solve/solve-internal.h"

/* The one entry of a copied context's tree. */
#define COPY_ENTRY "s"

enum { REFILLS_MAX = 8 };

enum phase { PHASE_TREES, PHASE_LOCKS, PHASE_FILL, PHASE_MOUNT };

struct op_mounts {
	enum phase phase;
	struct rb_caches *caches; /* from PHASE_LOCKS on */
	unsigned refills;
	int fds[RB_RUN_MOUNTS_MAX]; /* by mount: detached; -1: none */
	struct rb_active *actives[RB_RUN_MOUNTS_MAX];
	struct rb_ledger *ledgers[RB_RUN_MOUNTS_MAX]; /* where the disk has not all owners */
	bool has_owners;
};

struct op_mounts_work {
	struct rb_solver *solver;
	struct rb_vertex *vertex;
	struct op_mounts *mounts;
};

static struct op_mounts *mounts_new(void)
{
	struct op_mounts *m = rb_calloc(1, sizeof(*m));

	for (size_t i = 0; i < RB_ARRAY_LEN(m->fds); i++)
		m->fds[i] = -1;
	return m;
}

void rb_op_mounts_free(struct op_mounts *m)
{
	if (!m)
		return;
	for (size_t i = 0; i < RB_ARRAY_LEN(m->fds); i++) {
		rb_closep(&m->fds[i]);
		/* An active state has its own. */
		if (!m->actives[i])
			rb_ledger_free(m->ledgers[i]);
		rb_active_free(m->actives[i]);
	}
	rb_caches_free(m->caches);
	free(m);
}

/* --- trees --- */

/* Id of the tree that holds a copy of what the mount takes from a directory of this machine. */
static void copy_id(const struct rb_digest *content, char ret[static RB_ID_BYTES])
{
	char hex[RB_DIGEST_TEXT_BYTES];

	(void)snprintf(ret, RB_ID_BYTES, RB_SNAPSHOT_COPY_PREFIX "%s", rb_digest_hex(content, hex));
}

static bool is_copied(struct rb_solver *s, const struct rb_vertex_mount *vm)
{
	return vm->spec.type == RB_MOUNT_BIND && rb_solve_local_dir(s, &vm->from);
}

/* Whether the copy is there; it stays to the end of the build then. */
static bool hold_copy(struct rb_solver *s, const char *id)
{
	for (size_t i = 0; i < s->n_copies; i++)
		if (rb_streq(s->copies[i].id, id))
			return true;
	int fd = rb_snapshot_hold(s->in.snapshots, id);
	if (fd < 0)
		return false;
	rb_grow(s->copies, s->n_copies, &s->cap_copies);
	struct held_copy *c = &s->copies[s->n_copies++];
	(void)snprintf(c->id, sizeof(c->id), "%s", id);
	c->fd = fd;
	return true;
}

void rb_op_mounts_drop_copies(struct rb_solver *s)
{
	for (size_t i = 0; i < s->n_copies; i++)
		rb_snapshot_let_go(s->in.snapshots, s->copies[i].id, s->copies[i].fd);
	s->n_copies = 0;
}

static bool has_trees(struct rb_solver *s, const struct rb_vertex *v)
{
	const struct vertex_state *st = &s->vertices[v->index];
	char id[RB_ID_BYTES];

	for (size_t i = 0; i < v->run.n_trees; i++) {
		if (!st->has_input[i])
			return false;
		copy_id(&st->content[i], id);
		if (is_copied(s, v->run.trees[i]) && !hold_copy(s, id))
			return false;
	}
	return true;
}

/* The content of what was copied, when the source is not any more what it was. */
static int look_again(struct op_mounts_work *w, size_t input, const struct source_tree *tree,
		      int mount, struct rb_worker_port *port, struct rb_error **err)
{
	struct rb_solver *s = w->solver;
	struct vertex_state *st = &s->vertices[w->vertex->index];
	const struct rb_root_ref *from = rb_vertex_input(w->vertex, input);
	const struct rb_source_root copied = {.root_fd = mount};
	struct rb_match m = {.path = (char *)(uintptr_t)COPY_ENTRY};
	struct rb_error *vanished = NULL;
	struct rb_digest now;

	if (rb_input_checksum(w->vertex, input, &tree->root,
			      rb_solve_context_state(s, from)->statcache, &now, &vanished) == 0 &&
	    rb_digest_eq(&now, &st->content[input]))
		return 0;
	/* Something is gone, or other now: what was copied counts. */
	rb_error_drop(&vanished);
	rb_worker_status(port, "the build context changed while it was copied");
	return rb_source_checksum(&copied, &m, NULL, &st->content[input], err);
}

static int copy_context(struct op_mounts_work *w, size_t input, struct rb_worker_port *port,
			struct rb_error **err)
{
	struct rb_solver *s = w->solver;
	const struct rb_run_mount *spec = &w->vertex->run.trees[input]->spec;
	RB_CLEANUP(rb_active_freep) struct rb_active *active = NULL;
	RB_CLEANUP(rb_source_tree_clear) struct source_tree tree;
	RB_CLEANUP(rb_matches_clear) struct rb_matches found = {0};
	RB_CLEANUP(rb_closep) int mount = -1;
	char id[RB_ID_BYTES];

	if (rb_source_tree_open(s, rb_vertex_input(w->vertex, input), &tree, err) < 0 ||
	    rb_source_find(&tree.root, spec->source ? spec->source : "/", &found, err) < 0 ||
	    rb_snapshot_prepare(s->in.snapshots, "", &active, err) < 0 ||
	    (mount = rb_active_mount(active, err)) < 0 ||
	    rb_input_copy(&tree.root, &found.v[0], mount, rb_active_ledger(active), "/" COPY_ENTRY,
			  err) < 0 ||
	    look_again(w, input, &tree, mount, port, err) < 0)
		return -1;
	rb_closep(&mount);
	copy_id(&s->vertices[w->vertex->index].content[input], id);
	return rb_active_commit(rb_steal_ptr(&active), id, NULL, err);
}

static int copy_contexts(struct op_mounts_work *w, struct rb_worker_port *port,
			 struct rb_error **err)
{
	struct rb_solver *s = w->solver;
	const struct rb_vertex *v = w->vertex;
	char id[RB_ID_BYTES];

	for (size_t i = 0; i < v->run.n_trees; i++) {
		copy_id(&s->vertices[v->index].content[i], id);
		if (is_copied(s, v->run.trees[i]) && !rb_snapshot_exists(s->in.snapshots, id) &&
		    copy_context(w, i, port, err) < 0)
			return -1;
	}
	return 0;
}

/*
 * A worker whose result is "1 <snapshot id>" when the contents of the inputs, which the look-up
 * could not know, have a result in the cache; else "0" and the contents.
 */
static int work_trees(void *ctx, struct rb_worker_port *port, struct rb_error **err)
{
	struct op_mounts_work *w = ctx;
	struct rb_solver *s = w->solver;
	struct vertex_state *st = &s->vertices[w->vertex->index];
	RB_CLEANUP(rb_buf_clear) struct rb_buf result = RB_BUF_INIT;
	char hex[RB_DIGEST_TEXT_BYTES];

	if (rb_input_compute(s, w->vertex, err) < 0)
		return -1;
	if (!w->vertex->no_cache && st->has_content && rb_cache_get(s, &st->content_key, st->id)) {
		rb_buf_addf(&result, "1 %s", st->id);
	} else {
		if (copy_contexts(w, port, err) < 0)
			return -1;
		rb_buf_addstr(&result, "0");
		for (size_t i = 0; i < w->vertex->run.n_trees; i++)
			rb_buf_addf(&result, " %s", rb_digest_text(&st->content[i], hex));
	}
	rb_worker_result(port, result.ptr, result.len);
	return 0;
}

/* 1: the step is cached. */
static int adopt_trees(struct rb_solver *s, struct job *job, struct rb_error **err)
{
	const struct rb_vertex *v = job->vertex;
	struct vertex_state *st = &s->vertices[v->index];
	const char *p = job->worker.result.ptr;

	if (rb_starts_with(p, "1 ") && strlen(p) - 2 < RB_ID_BYTES) {
		(void)snprintf(st->id, sizeof(st->id), "%s", p + 2);
		return st->has_definition && rb_cache_put(s, &st->definition_key, st->id, err) < 0
			       ? -1
			       : 1;
	}
	p += *p == '0';
	for (size_t i = 0; i < v->run.n_trees; i++) {
		size_t n = *p == ' ' ? strcspn(p + 1, " ") : 0;
		RB_CLEANUP(rb_strp) char *text = rb_strndup(p + 1, n);

		if (!n || rb_digest_parse(text, &st->content[i]) < 0)
			return rb_fail(err, RB_ERR_CORRUPT, "a worker sent a malformed result");
		st->has_input[i] = true;
		p += n + 1;
	}
	(void)rb_input_content_key(s, v);
	return 0;
}
/* --- mounts --- */

/* What the step writes goes with it (threats S8). */
static int mount_for_writing(struct rb_solver *s, const char *id, struct op_mounts *m, size_t i,
			     struct rb_error **err)
{
	if (rb_snapshot_prepare(s->in.snapshots, id, &m->actives[i], err) < 0)
		return -1;
	m->fds[i] = rb_active_mount(m->actives[i], err);
	if (rb_active_has_owners(m->actives[i]))
		m->ledgers[i] = rb_active_ledger(m->actives[i]);
	return m->fds[i] < 0 ? -1 : 0;
}

static int mount_tree(struct rb_solver *s, const char *id, bool read_only, struct op_mounts *m,
		      size_t i, struct rb_error **err)
{
	struct rb_snapshot_meta meta = {.has_owners = false};

	if (*id && rb_snapshot_stat(s->in.snapshots, id, &meta, err) < 0)
		return -1;
	m->has_owners |= meta.has_owners;
	if (!read_only)
		return mount_for_writing(s, id, m, i, err);
	m->fds[i] = rb_snapshot_view(s->in.snapshots, id, err);
	if (m->fds[i] >= 0 && meta.has_owners)
		return rb_snapshot_view_ledger(s->in.snapshots, id, &m->ledgers[i], err);
	return m->fds[i] < 0 ? -1 : 0;
}

static int mount_bind(struct rb_solver *s, const struct rb_vertex *v, struct op_mounts *m, size_t i,
		      struct rb_error **err)
{
	const struct rb_vertex_mount *vm = &v->run.mounts[i];
	char id[RB_ID_BYTES];

	if (is_copied(s, vm))
		copy_id(&s->vertices[v->index].content[rb_input_of_mount(v, vm)], id);
	else
		(void)snprintf(id, sizeof(id), "%s", rb_solve_root_id(s, &vm->from));
	return mount_tree(s, id, vm->spec.read_only, m, i, err);
}

/* 1 when another build has emptied the directory meanwhile. */
static int mount_cache(const struct rb_vertex *v, struct op_mounts *m, size_t i,
		       struct rb_error **err)
{
	rb_closep(&m->fds[i]);
	m->fds[i] = rb_caches_mount(m->caches, &v->run.mounts[i], err);
	if (m->fds[i] >= 0)
		return 0;
	if ((*err)->code != RB_ERR_NOTFOUND || m->refills++ == REFILLS_MAX)
		return -1;
	rb_error_drop(err);
	return 1;
}

static int mount_all(struct rb_solver *s, const struct rb_vertex *v, struct op_mounts *m,
		     struct rb_error **err)
{
	int r = 0;

	/* The caches first: they may have to be filled again. */
	for (size_t i = 0; r == 0 && i < v->run.n_mounts; i++)
		if (v->run.mounts[i].spec.type == RB_MOUNT_CACHE)
			r = mount_cache(v, m, i, err);
	for (size_t i = 0; r == 0 && i < v->run.n_mounts; i++)
		if (v->run.mounts[i].spec.type == RB_MOUNT_BIND)
			r = mount_bind(s, v, m, i, err);
	return r;
}

/* --- one after the other --- */

static int start_worker(struct rb_solver *s, struct job *job, rb_worker_fn *fn,
			struct rb_error **err)
{
	struct op_mounts_work w = {.solver = s, .vertex = job->vertex, .mounts = job->mounts};

	rb_buf_clear(&job->worker.result);
	return rb_worker_start(fn, &w, &job->worker, err) < 0 ? -1 : RB_MOUNTS_BUSY;
}

static int work_wait(void *ctx, struct rb_worker_port *port, struct rb_error **err)
{
	const struct op_mounts_work *w = ctx;

	if (rb_caches_wait(w->mounts->caches, port, err) < 0)
		return -1;
	rb_worker_result(port, "", 0);
	return 0;
}

static int work_fill(void *ctx, struct rb_worker_port *port, struct rb_error **err)
{
	const struct op_mounts_work *w = ctx;

	if (rb_caches_fill(w->mounts->caches, err) < 0)
		return -1;
	rb_worker_result(port, "", 0);
	return 0;
}

static int advance(struct rb_solver *s, struct job *job, struct rb_error **err)
{
	struct op_mounts *m = job->mounts;
	int r;

	switch (m->phase) {
	case PHASE_TREES:
		if (!has_trees(s, job->vertex))
			return start_worker(s, job, work_trees, err);
		m->caches = rb_caches_new(s, job->vertex);
		m->phase = PHASE_LOCKS;
		/* fallthrough */
	case PHASE_LOCKS:
		if ((r = rb_caches_lock(m->caches, err)) <= 0)
			return r < 0 ? -1 : start_worker(s, job, work_wait, err);
		m->phase = PHASE_FILL;
		/* fallthrough */
	case PHASE_FILL:
		if (!rb_caches_are_filled(m->caches))
			return start_worker(s, job, work_fill, err);
		m->phase = PHASE_MOUNT;
		/* fallthrough */
	case PHASE_MOUNT:
		break;
	}
	r = mount_all(s, job->vertex, m, err);
	if (r <= 0)
		return r < 0 ? -1 : RB_MOUNTS_READY;
	m->phase = PHASE_FILL;
	return advance(s, job, err);
}

int rb_op_mounts_start(struct rb_solver *s, struct job *job, struct rb_error **err)
{
	job->mounts = mounts_new();
	return advance(s, job, err);
}

int rb_op_mounts_resume(struct rb_solver *s, struct job *job, struct rb_error **err)
{
	struct op_mounts *m = job->mounts;

	if (m->phase == PHASE_TREES) {
		int r = adopt_trees(s, job, err);

		if (r)
			return r < 0 ? -1 : RB_MOUNTS_CACHED;
	}
	return advance(s, job, err);
}

bool rb_op_mounts_have_owners(const struct op_mounts *m)
{
	return m->has_owners;
}

struct rb_exec_mount rb_op_mounts_get(struct rb_solver *s, const struct rb_vertex *v,
				      const struct op_mounts *m, size_t i)
{
	const struct rb_vertex_mount *vm = &v->run.mounts[i];
	struct rb_exec_mount mount = {
		.target = vm->spec.target,
		.fd = m->fds[i],
		.read_only = vm->spec.read_only,
		.ledger = m->ledgers[i],
		.size_bytes = vm->spec.size_bytes,
	};

	if (vm->spec.type == RB_MOUNT_BIND)
		mount.path = is_copied(s, vm) ? COPY_ENTRY : vm->spec.source;
	return mount;
}
