// SPDX-License-Identifier: Apache-2.0
/* COPY, ADD and WORKDIR, each in a worker of its own. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/fd.h"
#include "base/path.h"
#include "layer/acl.h"
#include "layer/archive.h"
#include "layer/copy.h"
#include "solve/solve-internal.h"

/* --- copying
 * ----------------------------------------------------------------------------------------- */

/* An archive as the source of ADD: unpacked into the destination, which is a directory then (3.10).
 */
static int add_archive(const struct rb_copy_spec *base, const struct rb_source_root *root,
		       const struct rb_match *m, bool *ret_done, struct rb_error **err)
{
	RB_CLEANUP(rb_closep)
	int fd = rb_open_in_root(root->root_fd, m->path, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0);

	*ret_done = false;
	if (fd < 0 || m->is_dir)
		return 0; /* rb_copy() says what is wrong with it */
	int kind = rb_archive_detect(fd, m->path, err);
	if (kind <= 0)
		return kind;
	*ret_done = true;
	return rb_archive_unpack(fd, base, err) < 0 ? rb_wrap(err, "%s", m->path) : 0;
}

static int copy_matches(const struct rb_vertex *v, const char *source, struct rb_copy_spec *spec,
			const struct rb_source_root *root, struct rb_error **err)
{
	struct rb_matches matches = {0};
	int r = rb_copy_match(&v->copy, root, source, &matches, err);

	for (size_t i = 0; i < matches.n && r == 0; i++) {
		struct rb_selection selection = {root, &matches.v[i]};
		bool done = false;

		spec->skip = rb_source_skip;
		spec->skip_ctx = &selection;
		spec->src = matches.v[i].path;
		spec->name = matches.v[i].name;
		if (v->copy.unpack)
			r = add_archive(spec, root, &matches.v[i], &done, err);
		if (r == 0 && !done)
			r = rb_copy(spec, err);
	}
	rb_matches_clear(&matches);
	return r;
}

static int copy_sources(struct rb_solver *s, const struct rb_vertex *v,
			const struct source_tree *src, int root_fd, struct rb_ledger *ledger,
			struct rb_error **err)
{
	uint32_t uid = 0, gid = 0;
	bool dest_is_file = false;
	struct rb_copy_spec spec = {
		.src_root_fd = src->root.root_fd,
		.src_ledger = src->ledger,
		.dst_root_fd = root_fd,
		.dst_ledger = ledger,
		.dest = v->copy.dest,
		.dest_is_dir = v->copy.dest_is_dir,
		.dest_is_file = &dest_is_file,
		.chown_uid = -1,
		.chown_gid = -1,
		.chmod = v->copy.chmod,
	};
	RB_CLEANUP(rb_ignore_freep) struct rb_ignore *exclude = NULL;
	struct rb_source_root root = src->root;

	if (rb_copy_exclude(&v->copy, &exclude, err) < 0)
		return -1;
	root.exclude = exclude;
	if (v->copy.chown) {
		if (rb_user_lookup_owner(root_fd, v->copy.chown, &uid, &gid, err) < 0)
			return rb_wrap(err, "--chown=%s", v->copy.chown);
		spec.chown_uid = uid;
		spec.chown_gid = gid;
	}
	for (size_t i = 0; i < v->copy.n_sources; i++) {
		const struct rb_copy_source *source = &v->copy.sources[i];

		if (source->remote) {
			if (rb_remote_copy(s, v, source->remote, exclude, &spec, err) < 0)
				return -1;
			continue;
		}
		if (source->path) {
			if (copy_matches(v, source->path, &spec, &root, err) < 0)
				return -1;
			continue;
		}
		spec.name = source->inline_name;
		if (rb_copy_inline(&spec, source->inline_data, strlen(source->inline_data), err) <
		    0)
			return -1;
	}
	return 0;
}

/* Whether the context still is what the key was computed from. */
static bool context_unchanged(struct rb_solver *s, const struct rb_vertex *v,
			      struct source_tree *src)
{
	struct rb_error *err = NULL;
	struct rb_digest now;

	if (src->ledger || !rb_vertex_n_inputs(v))
		return true; /* a committed tree, or none */
	struct rb_statcache *cache = rb_solve_context_state(s, &v->copy.from)->statcache;
	if (rb_input_checksum(v, 0, &src->root, cache, &now, &err) < 0) {
		/* Something vanished meanwhile: it changed. */
		rb_error_drop(&err);
		return false;
	}
	return rb_digest_eq(&now, &s->vertices[v->index].content[0]);
}

static void send_result(struct rb_worker_port *port, bool was_cached, const char *id)
{
	RB_CLEANUP(rb_strp) char *text = rb_asprintf("%d %s", was_cached, id);

	rb_worker_result(port, text, strlen(text));
}

static int put_records(struct rb_solver *s, const struct vertex_state *st, const char *id,
		       struct rb_error **err)
{
	if (st->has_definition && rb_cache_put(s, &st->definition_key, id, err) < 0)
		return -1;
	return st->has_content ? rb_cache_put(s, &st->content_key, id, err) : 0;
}

/* The content key of a COPY from another tree, which the look-up could not know. Returns 1 when it
 * hits. */
static int content_hit(struct rb_solver *s, const struct rb_vertex *v, struct source_tree *src,
		       struct vertex_state *st, struct rb_error **err)
{
	if (!src->ledger || st->has_content)
		return 0;
	if (rb_input_compute(s, v, err) < 0)
		return -1;
	if (v->no_cache || !rb_cache_get(s, &st->content_key, st->id))
		return 0;
	return put_records(s, st, st->id, err) < 0 ? -1 : 1;
}

/*
 * Where files are made: in the merged view, or without anything below in the plain directory. In
 * an overlay on nothing new directories would be marked opaque, and hide those of the stages that
 * the result is placed over.
 */
static int open_destination(const struct rb_vertex *v, struct rb_active *active,
			    struct rb_error **err)
{
	if (!rb_vertex_is_detached(v))
		return rb_active_mount(active, err);
	int fd = fcntl(rb_active_diff_fd(active), F_DUPFD_CLOEXEC, 0);
	return fd < 0 ? rb_fail_errno(err, "cannot duplicate a descriptor") : fd;
}

static int copy_and_commit(struct rb_solver *s, const struct rb_vertex *v, struct source_tree *src,
			   struct rb_worker_port *port, struct rb_error **err)
{
	struct vertex_state *st = &s->vertices[v->index];
	RB_CLEANUP(rb_active_freep) struct rb_active *active = NULL;
	RB_CLEANUP(rb_closep) int mount = -1;
	struct rb_snapshot_meta meta;

	if (rb_snapshot_prepare(s->in.snapshots, rb_solve_parent_id(s, v), &active, err) < 0 ||
	    (mount = open_destination(v, active, err)) < 0 ||
	    copy_sources(s, v, src, mount, rb_active_ledger(active), err) < 0)
		return -1;
	rb_closep(&mount);
	bool unchanged = context_unchanged(s, v, src);
	if (!unchanged)
		rb_worker_status(
			port,
			"the build context changed while it was copied: the result is not cached");
	if (rb_active_settle(active, err) < 0 ||
	    rb_active_commit(rb_steal_ptr(&active), NULL, &meta, err) < 0 ||
	    (unchanged && put_records(s, st, meta.id, err) < 0))
		return -1;
	send_result(port, false, meta.id);
	return 0;
}

/* Heredocs, URLs and git repositories alone take from no tree. */
static int open_source(struct rb_solver *s, const struct rb_vertex *v, struct source_tree *ret,
		       struct rb_error **err)
{
	*ret = (struct source_tree){.view_fd = -1, .root.root_fd = -1};
	return rb_vertex_n_inputs(v) ? rb_source_tree_open(s, &v->copy.from, ret, err) : 0;
}

int rb_op_copy(void *ctx, struct rb_worker_port *port, struct rb_error **err)
{
	const struct op_files *op = ctx;
	const struct rb_vertex *v = op->vertex;
	struct vertex_state *st = &op->solver->vertices[v->index];
	struct source_tree src;
	int r = open_source(op->solver, v, &src, err);

	if (r == 0)
		r = content_hit(op->solver, v, &src, st, err);
	if (r > 0)
		send_result(port, true, st->id);
	else if (r == 0)
		r = copy_and_commit(op->solver, v, &src, port, err);
	rb_source_tree_clear(&src);
	return r < 0 ? -1 : 0;
}

/* --- COPY --link: its result over the stage
 * ----------------------------------------------------------------------------------------- */

int rb_op_link(void *ctx, struct rb_worker_port *port, struct rb_error **err)
{
	const struct op_files *op = ctx;
	const struct rb_vertex *v = op->vertex;
	struct rb_solver *s = op->solver;
	struct rb_snapshot_meta meta;
	int r = rb_snapshot_place(s->in.snapshots, rb_solve_parent_id(s, v),
				  s->vertices[v->link.layer->index].id, &meta, err);

	if (r == 0)
		send_result(port, false, meta.id);
	return r;
}

/* --- WORKDIR
 * ----------------------------------------------------------------------------------------- */

enum { MADE_DIR_MODE = 0755 };

struct made_dir {
	struct rb_ledger *ledger;
	uint32_t uid, gid;
	size_t above; /* length of the path that the first one that was made is in */
	bool any;
};

static int own_made_dir(void *ctx, int dirfd, const char *path)
{
	struct made_dir *m = ctx;

	if (!m->any)
		m->above = (size_t)(strrchr(path, '/') - path);
	m->any = true;
	int r = rb_ledger_chown(m->ledger, dirfd, "", path + strspn(path, "/"), m->uid, m->gid);

	return r < 0 ? r : rb_acl_inherit_dir(dirfd, MADE_DIR_MODE);
}

/* What was made, and the directory that it was made in, which would have the time of this step. */
static int date_made_dirs(const struct made_dir *m, int root_fd, const char *path, int64_t epoch)
{
	const struct timespec times[2] = {{.tv_sec = epoch}, {.tv_sec = epoch}};
	RB_CLEANUP(rb_strp) char *part = rb_strdup(path);

	for (size_t n = strlen(part); m->any; n = (size_t)(strrchr(part, '/') - part)) {
		part[n] = '\0';
		RB_CLEANUP(rb_closep)
		int fd = rb_open_in_root(root_fd, n ? part : "/", O_RDONLY | O_DIRECTORY, 0);

		if (fd < 0 || futimens(fd, times) < 0)
			return fd < 0 ? fd : -errno;
		if (n <= m->above)
			break;
	}
	return 0;
}

static int make_workdir(const struct rb_vertex *v, int root_fd, struct rb_ledger *ledger,
			struct rb_error **err)
{
	struct made_dir made = {.ledger = ledger};

	if (*v->workdir.user &&
	    rb_user_lookup_owner(root_fd, v->workdir.user, &made.uid, &made.gid, err) < 0)
		return -1;
	RB_CLEANUP(rb_closep)
	int fd = rb_mkdirs_in_root(root_fd, v->workdir.path, MADE_DIR_MODE, own_made_dir, &made);
	if (fd < 0)
		return rb_fail_sys(err, fd, "cannot make the directory %s in the image",
				   v->workdir.path);
	int r = v->workdir.has_epoch
			? date_made_dirs(&made, root_fd, v->workdir.path, v->workdir.epoch)
			: 0;
	return r < 0 ? rb_fail_sys(err, r, "cannot set the times of the directory %s in the image",
				   v->workdir.path)
		     : 0;
}

int rb_op_workdir(void *ctx, struct rb_worker_port *port, struct rb_error **err)
{
	const struct op_files *op = ctx;
	struct rb_solver *s = op->solver;
	const struct rb_vertex *v = op->vertex;
	RB_CLEANUP(rb_active_freep) struct rb_active *active = NULL;
	RB_CLEANUP(rb_closep) int mount = -1;
	struct rb_snapshot_meta meta;

	if (rb_snapshot_prepare(s->in.snapshots, rb_solve_parent_id(s, v), &active, err) < 0 ||
	    (mount = rb_active_mount(active, err)) < 0 ||
	    make_workdir(v, mount, rb_active_ledger(active), err) < 0)
		return -1;
	rb_closep(&mount);
	if (rb_active_settle(active, err) < 0 ||
	    rb_active_commit(rb_steal_ptr(&active), NULL, &meta, err) < 0 ||
	    put_records(s, &s->vertices[v->index], meta.id, err) < 0)
		return -1;
	send_result(port, false, meta.id);
	return 0;
}
