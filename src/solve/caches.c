// SPDX-License-Identifier: Apache-2.0
/* The directories of a step's cache mounts: which, when they are free, what they start with. */
#include "solve/caches.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "base/path.h"

/* Several mounts may be of one directory. */
struct cache {
	const struct rb_vertex_mount *vm; /* the first of them */
	struct rb_digest key;
	bool alone, private;
	unsigned copy; /* of private ones */
	struct rb_cachedir *dir;
};

struct rb_caches {
	struct rb_solver *solver;
	const struct rb_vertex *vertex;
	struct cache v[RB_RUN_MOUNTS_MAX]; /* sorted by key */
	size_t n, n_locked;
};

/* --- which --- */

/* The id, and what the cache starts with: another seed, another cache (3.2). */
static struct rb_digest cache_key(struct rb_solver *s, const struct rb_vertex *v,
				  const struct rb_vertex_mount *vm)
{
	const struct vertex_state *st = &s->vertices[v->index];
	RB_CLEANUP(rb_hash_freep) struct rb_hash *h = rb_hash_new();

	rb_hash_addstr(h, "cache mount");
	rb_hash_addstr(h, vm->spec.id);
	if (vm->has_tree) {
		const struct rb_digest *seed = &st->content[rb_input_of_mount(v, vm)];

		rb_hash_add(h, seed->bytes, sizeof(seed->bytes));
	}
	return rb_hash_final(h);
}

static void add_cache(struct rb_caches *m, const struct rb_vertex_mount *vm, struct rb_digest key)
{
	bool private = vm->spec.sharing == RB_MOUNT_PRIVATE;
	size_t i = 0;
	int order = 1;

	while (i < m->n && (order = memcmp(key.bytes, m->v[i].key.bytes, sizeof(key.bytes))) > 0)
		i++;
	if (i == m->n || order) {
		memmove(&m->v[i + 1], &m->v[i], (m->n++ - i) * sizeof(*m->v));
		m->v[i] = (struct cache){.vm = vm, .key = key, .private = private};
	}
	m->v[i].private &= private;
	m->v[i].alone |= vm->spec.sharing != RB_MOUNT_SHARED;
}

struct rb_caches *rb_caches_new(struct rb_solver *s, const struct rb_vertex *v)
{
	struct rb_caches *c = rb_calloc(1, sizeof(*c));

	c->solver = s;
	c->vertex = v;
	for (size_t i = 0; i < v->run.n_mounts; i++)
		if (v->run.mounts[i].spec.type == RB_MOUNT_CACHE)
			add_cache(c, &v->run.mounts[i], cache_key(s, v, &v->run.mounts[i]));
	return c;
}

void rb_caches_free(struct rb_caches *c)
{
	if (!c)
		return;
	for (size_t i = 0; i < c->n; i++)
		rb_cachedir_free(c->v[i].dir);
	free(c);
}

static struct cache *find_cache(struct rb_caches *c, const struct rb_vertex_mount *vm)
{
	struct rb_digest key = cache_key(c->solver, c->vertex, vm);

	for (size_t i = 0; i < c->n; i++)
		if (rb_digest_eq(&c->v[i].key, &key))
			return &c->v[i];
	rb_bug("a cache mount without a cache");
}

/* --- locks --- */

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

	/* A build of several platforms has a solver for each. */
	for (const struct rb_solver *t = s; t; t = t->in.before)
		if (rb_strv_find(&t->caches_used, name) >= 0)
			return 0;
	rb_strv_add(&s->caches_used, name);
	return v->no_cache ? rb_cachedir_empty(c->dir, err) : 0;
}

int rb_caches_lock(struct rb_caches *all, struct rb_error **err)
{
	for (; all->n_locked < all->n; all->n_locked++) {
		struct cache *c = &all->v[all->n_locked];
		/* With a directory already, a worker has waited for its lock. */
		int r = c->dir ? 1 : lock_cache(all->solver, c, err);

		if (r <= 0)
			return r;
		if (empty_cache(all->solver, all->vertex, c, err) < 0)
			return -1;
	}
	return 1;
}

int rb_caches_wait(struct rb_caches *all, struct rb_worker_port *port, struct rb_error **err)
{
	struct cache *c = &all->v[all->n_locked];

	rb_worker_status(port, "waiting for the cache mount %s, which another step uses",
			 c->vm->spec.target);
	return rb_cachedir_wait(c->dir, c->alone, err);
}

/* --- what they start with --- */

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
	if (rb_input_copy(&tree.root, &found.v[0], dirfd, ledger, "/", err) < 0)
		return -1;
	int r = own_as_seed(&tree.root, &found.v[0], dirfd, ledger);
	return r < 0 ? rb_fail_sys(err, r, "cannot give the cache mount its owner") : 0;
}

static struct rb_cachedir_owner owner_of(const struct rb_run_mount *m)
{
	return (struct rb_cachedir_owner){
		.uid = (uint32_t)m->uid, .gid = (uint32_t)m->gid, .mode = (mode_t)m->mode};
}

bool rb_caches_are_filled(const struct rb_caches *all)
{
	for (size_t i = 0; i < all->n; i++)
		if (!rb_cachedir_is_filled(all->v[i].dir))
			return false;
	return true;
}

int rb_caches_fill(struct rb_caches *all, struct rb_error **err)
{
	for (size_t i = 0; i < all->n; i++) {
		const struct cache *c = &all->v[i];
		struct rb_cachedir_owner owner = owner_of(&c->vm->spec);
		struct seed seed = {.solver = all->solver, .vm = c->vm};

		if (!rb_cachedir_is_filled(c->dir) &&
		    rb_cachedir_fill(c->dir, &owner, c->vm->has_tree ? sow : NULL, &seed, err) < 0)
			return rb_wrap(err, "the cache mount at %s", c->vm->spec.target);
	}
	return 0;
}

int rb_caches_mount(struct rb_caches *all, const struct rb_vertex_mount *vm, struct rb_error **err)
{
	struct rb_cachedir_owner owner = owner_of(&vm->spec);

	return rb_cachedir_mount(find_cache(all, vm)->dir, vm->has_tree ? NULL : vm->spec.source,
				 &owner, err);
}
