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
#include "snapshot/cachedir.h"
#include "solve/solve-internal.h"

/* The one entry of a copied context's tree. */
#define COPY_ENTRY "s"

enum { REFILLS_MAX = 8 };

enum phase { PHASE_TREES, PHASE_LOCKS, PHASE_FILL, PHASE_MOUNT };

/* A directory of this step's cache mounts: several mounts may be of one. */
struct cache {
	const struct rb_vertex_mount *vm; /* the first of them */
	struct rb_digest key;
	bool alone, private;
	unsigned copy; /* of private ones */
	struct rb_cachedir *dir;
};

struct op_mounts {
	enum phase phase;
	struct cache caches[RB_RUN_MOUNTS_MAX]; /* sorted by key */
	size_t n_caches, n_locked;
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
	for (size_t i = 0; i < m->n_caches; i++)
		rb_cachedir_free(m->caches[i].dir);
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

/* What rb_copy() leaves to the destination: the metadata of the copied directory itself. */
static int copy_top(int from_fd, int to_fd)
{
	struct rb_xattr *v = NULL;
	struct stat st;

	if (fstat(from_fd, &st) < 0 || fchmod(to_fd, st.st_mode & 07777) < 0)
		return -errno;
	ssize_t n = rb_xattrs_read(from_fd, "", &v);
	if (n < 0)
		return (int)n;
	int r = rb_layer_set_xattrs(to_fd, "", v, (size_t)n, "/");
	rb_xattrs_free(v, (size_t)n);
	const struct timespec times[2] = {st.st_atim, st.st_mtim};
	return r == 0 && futimens(to_fd, times) < 0 ? -errno : r;
}

/* Copies an entry of a source, a directory's contents if it is one, to `dest` below dst_fd. */
static int copy_entry(const struct rb_source_root *root, const struct rb_match *m, int dst_fd,
		      struct rb_ledger *ledger, const char *dest, struct rb_error **err)
{
	struct rb_selection selection = {.root = root, .match = m};
	const struct rb_copy_spec spec = {
		.src_root_fd = root->root_fd,
		.src_ledger = root->ledger,
		.dst_root_fd = dst_fd,
		.dst_ledger = ledger,
		.src = m->path,
		.name = m->name,
		.dest = dest,
		.chown_uid = -1,
		.chown_gid = -1,
		.skip = root->ignore ? rb_source_skip : NULL,
		.skip_ctx = &selection,
	};

	if (rb_copy(&spec, err) < 0)
		return -1;
	if (!m->is_dir)
		return 0;
	RB_CLEANUP(rb_closep)
	int from = rb_open_in_root(root->root_fd, m->path, O_RDONLY | O_DIRECTORY, 0);
	RB_CLEANUP(rb_closep)
	int to = rb_open_in_root(dst_fd, dest, O_RDONLY | O_DIRECTORY, 0);
	int r = from < 0 ? from : to < 0 ? to : copy_top(from, to);
	return r < 0 ? rb_fail_sys(err, r, "cannot copy the metadata of %s", m->path) : 0;
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
	    copy_entry(&tree.root, &found.v[0], mount, rb_active_ledger(active), "/" COPY_ENTRY,
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

/* --- caches --- */

static size_t input_of(const struct rb_vertex *v, const struct rb_vertex_mount *vm)
{
	for (size_t i = 0; i < v->run.n_trees; i++)
		if (v->run.trees[i] == vm)
			return i;
	rb_bug("a mount without a tree");
}

/* The id, and what the cache starts with: another seed, another cache (3.2). */
static struct rb_digest cache_key(struct rb_solver *s, const struct rb_vertex *v,
				  const struct rb_vertex_mount *vm)
{
	const struct vertex_state *st = &s->vertices[v->index];
	RB_CLEANUP(rb_hash_freep) struct rb_hash *h = rb_hash_new();

	rb_hash_addstr(h, "cache mount");
	rb_hash_addstr(h, vm->spec.id);
	if (vm->has_tree) {
		const struct rb_digest *seed = &st->content[input_of(v, vm)];

		rb_hash_add(h, seed->bytes, sizeof(seed->bytes));
	}
	return rb_hash_final(h);
}

static void add_cache(struct op_mounts *m, const struct rb_vertex_mount *vm, struct rb_digest key)
{
	bool private = vm->spec.sharing == RB_MOUNT_PRIVATE;
	size_t i = 0;
	int order = 1;

	while (i < m->n_caches &&
	       (order = memcmp(key.bytes, m->caches[i].key.bytes, sizeof(key.bytes))) > 0)
		i++;
	if (i == m->n_caches || order) {
		memmove(&m->caches[i + 1], &m->caches[i], (m->n_caches++ - i) * sizeof(*m->caches));
		m->caches[i] = (struct cache){.vm = vm, .key = key, .private = private};
	}
	m->caches[i].private &= private;
	m->caches[i].alone |= vm->spec.sharing != RB_MOUNT_SHARED;
}

static void list_caches(struct rb_solver *s, const struct rb_vertex *v, struct op_mounts *m)
{
	for (size_t i = 0; i < v->run.n_mounts; i++)
		if (v->run.mounts[i].spec.type == RB_MOUNT_CACHE)
			add_cache(m, &v->run.mounts[i], cache_key(s, v, &v->run.mounts[i]));
}

static struct cache *find_cache(struct rb_solver *s, const struct rb_vertex *v, struct op_mounts *m,
				const struct rb_vertex_mount *vm)
{
	struct rb_digest key = cache_key(s, v, vm);

	for (size_t i = 0; i < m->n_caches; i++)
		if (rb_digest_eq(&m->caches[i].key, &key))
			return &m->caches[i];
	rb_bug("a cache mount without a cache");
}

/* The first copy that nobody uses. There is always a further one. */
static int lock_private(struct rb_solver *s, struct cache *c, struct rb_error **err)
{
	for (;; c->copy++) {
		if (rb_cachedir_open(s->in.store, s->in.host, &c->key, c->copy, &c->dir, err) < 0)
			return -1;
		int r = rb_cachedir_lock(c->dir, true, err);
		if (r)
			return r;
		rb_cachedir_free(rb_steal_ptr(&c->dir));
	}
}

static int lock_cache(struct rb_solver *s, struct cache *c, struct rb_error **err)
{
	if (c->private)
		return lock_private(s, c, err);
	if (rb_cachedir_open(s->in.store, s->in.host, &c->key, 0, &c->dir, err) < 0)
		return -1;
	return rb_cachedir_lock(c->dir, c->alone, err);
}

/* --no-cache empties a cache that a step uses, once a build (6.2). */
static int empty_cache(struct rb_solver *s, const struct rb_vertex *v, struct cache *c,
		       struct rb_error **err)
{
	char hex[RB_DIGEST_TEXT_BYTES];
	RB_CLEANUP(rb_strp)
	char *name = rb_asprintf("%s-%u", rb_digest_hex(&c->key, hex), c->copy);

	if (rb_strv_find(&s->caches_used, name) >= 0)
		return 0;
	rb_strv_add(&s->caches_used, name);
	return v->no_cache ? rb_cachedir_empty(c->dir, err) : 0;
}

static int work_wait(void *ctx, struct rb_worker_port *port, struct rb_error **err)
{
	struct op_mounts_work *w = ctx;
	struct cache *c = &w->mounts->caches[w->mounts->n_locked];

	rb_worker_status(port, "waiting for the cache mount %s, which another step uses",
			 c->vm->spec.target);
	if (rb_cachedir_wait(c->dir, c->alone, err) < 0)
		return -1;
	rb_worker_result(port, "", 0);
	return 0;
}

struct seed {
	struct rb_solver *solver;
	const struct rb_vertex_mount *vm;
};

/* Owner and mode are the seed's, too (3.2). */
static int own_as_seed(const struct rb_source_root *root, const struct rb_match *m, int dirfd,
		       struct rb_ledger *ledger)
{
	struct stat st;
	RB_CLEANUP(rb_closep) int fd = rb_open_in_root(root->root_fd, m->path, O_PATH, 0);
	int r = fd < 0 ? fd : 0;

	if (r == 0 && root->ledger)
		r = rb_ledger_stat(root->ledger, fd, "", m->path, &st);
	if (r == 0 && root->ledger)
		r = rb_ledger_chown(ledger, dirfd, "", "", st.st_uid, st.st_gid);
	return r;
}

static int sow(void *ctx, int dirfd, struct rb_ledger *ledger, struct rb_error **err)
{
	const struct seed *seed = ctx;
	const struct rb_run_mount *spec = &seed->vm->spec;
	RB_CLEANUP(rb_source_tree_clear) struct source_tree tree;
	RB_CLEANUP(rb_matches_clear) struct rb_matches found = {0};

	if (rb_source_tree_open(seed->solver, &seed->vm->from, &tree, err) < 0 ||
	    rb_source_find(&tree.root, spec->source ? spec->source : "/", &found, err) < 0)
		return -1;
	if (!found.v[0].is_dir)
		return rb_fail(err, RB_ERR_UNSUPPORTED,
			       "a cache mount is a directory, but %s of its source is a file",
			       spec->source);
	if (copy_entry(&tree.root, &found.v[0], dirfd, ledger, "/", err) < 0)
		return -1;
	int r = own_as_seed(&tree.root, &found.v[0], dirfd, ledger);
	return r < 0 ? rb_fail_sys(err, r, "cannot give the cache mount its owner") : 0;
}

static struct rb_cachedir_owner owner_of(const struct rb_run_mount *m)
{
	return (struct rb_cachedir_owner){
		.uid = (uint32_t)m->uid, .gid = (uint32_t)m->gid, .mode = (mode_t)m->mode};
}

static int work_fill(void *ctx, struct rb_worker_port *port, struct rb_error **err)
{
	struct op_mounts_work *w = ctx;

	for (size_t i = 0; i < w->mounts->n_caches; i++) {
		const struct cache *c = &w->mounts->caches[i];
		struct rb_cachedir_owner owner = owner_of(&c->vm->spec);
		struct seed seed = {.solver = w->solver, .vm = c->vm};

		if (!rb_cachedir_is_filled(c->dir) &&
		    rb_cachedir_fill(c->dir, &owner, c->vm->has_tree ? sow : NULL, &seed, err) < 0)
			return rb_wrap(err, "the cache mount at %s", c->vm->spec.target);
	}
	rb_worker_result(port, "", 0);
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
		copy_id(&s->vertices[v->index].content[input_of(v, vm)], id);
	else
		(void)snprintf(id, sizeof(id), "%s", rb_solve_root_id(s, &vm->from));
	return mount_tree(s, id, vm->spec.read_only, m, i, err);
}

/* 1 when another build has emptied the directory meanwhile. */
static int mount_cache(struct rb_solver *s, const struct rb_vertex *v, struct op_mounts *m,
		       size_t i, struct rb_error **err)
{
	const struct rb_vertex_mount *vm = &v->run.mounts[i];
	struct rb_cachedir_owner owner = owner_of(&vm->spec);

	rb_closep(&m->fds[i]);
	m->fds[i] = rb_cachedir_mount(find_cache(s, v, m, vm)->dir,
				      vm->has_tree ? NULL : vm->spec.source, &owner, err);
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
			r = mount_cache(s, v, m, i, err);
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

static int lock_all(struct rb_solver *s, struct job *job, struct rb_error **err)
{
	struct op_mounts *m = job->mounts;

	for (; m->n_locked < m->n_caches; m->n_locked++) {
		struct cache *c = &m->caches[m->n_locked];
		/* With a directory already, a worker has waited for its lock. */
		int r = c->dir ? 1 : lock_cache(s, c, err);

		if (r == 0)
			return start_worker(s, job, work_wait, err);
		if (r < 0 || empty_cache(s, job->vertex, c, err) < 0)
			return -1;
	}
	return 0;
}

static bool all_filled(const struct op_mounts *m)
{
	for (size_t i = 0; i < m->n_caches; i++)
		if (!rb_cachedir_is_filled(m->caches[i].dir))
			return false;
	return true;
}

static int advance(struct rb_solver *s, struct job *job, struct rb_error **err)
{
	struct op_mounts *m = job->mounts;
	int r;

	switch (m->phase) {
	case PHASE_TREES:
		if (!has_trees(s, job->vertex))
			return start_worker(s, job, work_trees, err);
		list_caches(s, job->vertex, m);
		m->phase = PHASE_LOCKS;
		/* fallthrough */
	case PHASE_LOCKS:
		if ((r = lock_all(s, job, err)))
			return r;
		m->phase = PHASE_FILL;
		/* fallthrough */
	case PHASE_FILL:
		if (!all_filled(m))
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
