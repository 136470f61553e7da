// SPDX-License-Identifier: Apache-2.0
/* What vertices take from other trees: what COPY copies and what mounts of a RUN show. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "base/path.h"
#include "layer/copy.h"
#include "solve/solve-internal.h"

int rb_copy_exclude(const struct rb_vertex_copy *copy, struct rb_ignore **ret,
		    struct rb_error **err)
{
	if (!copy->excludes.n)
		return 0;
	if (rb_ignore_new(copy->excludes.v, copy->excludes.n, ret, err) < 0)
		return rb_wrap(err, "--exclude");
	return 0;
}

/* COPY . . # all of it */
static bool has_comment(const struct rb_vertex_copy *copy)
{
	for (size_t i = 0; i < copy->n_sources; i++)
		if (copy->sources[i].path && copy->sources[i].path[0] == '#')
			return true;
	return false;
}

int rb_copy_match(const struct rb_vertex_copy *copy, const struct rb_source_root *root,
		  const char *source, struct rb_matches *ret, struct rb_error **err)
{
	int r = copy->parents ? rb_source_match_parents(root, source, ret, err)
			      : rb_source_match(root, source, ret, err);

	if (r < 0 && has_comment(copy))
		return rb_wrap(err, "a comment has a line of its own: # and the words behind it "
				    "are names of files here");
	return r;
}

static int copy_checksum(const struct rb_vertex *v, const struct rb_source_root *whole,
			 struct rb_statcache *sc, struct rb_digest *ret, struct rb_error **err)
{
	RB_CLEANUP(rb_hash_freep) struct rb_hash *h = rb_hash_new();
	RB_CLEANUP(rb_ignore_freep) struct rb_ignore *exclude = NULL;
	struct rb_source_root root = *whole;

	if (rb_copy_exclude(&v->copy, &exclude, err) < 0)
		return -1;
	root.exclude = exclude;
	for (size_t i = 0; i < v->copy.n_sources; i++) {
		struct rb_matches matches = {0};

		if (!v->copy.sources[i].path)
			continue;
		rb_hash_addstr(h, "source");
		int r = rb_copy_match(&v->copy, &root, v->copy.sources[i].path, &matches, err);
		for (size_t j = 0; j < matches.n && r == 0; j++) {
			struct rb_digest d;

			r = rb_source_checksum(&root, &matches.v[j], sc, &d, err);
			if (r < 0)
				break;
			/* The base name decides where a file lands in a directory destination. */
			rb_hash_addstr(h, matches.v[j].is_dir ? "" : matches.v[j].name);
			rb_hash_add(h, d.bytes, sizeof(d.bytes));
		}
		rb_matches_clear(&matches);
		if (r < 0)
			return -1;
	}
	*ret = rb_hash_final(h);
	return 0;
}

static int mount_checksum(const struct rb_vertex_mount *m, const struct rb_source_root *root,
			  struct rb_statcache *sc, struct rb_digest *ret, struct rb_error **err)
{
	struct rb_matches matches = {0};
	int r = rb_source_find(root, m->spec.source ? m->spec.source : "/", &matches, err);

	if (r == 0)
		r = rb_source_checksum(root, &matches.v[0], sc, ret, err);
	rb_matches_clear(&matches);
	return r;
}

int rb_input_checksum(const struct rb_vertex *v, size_t input, const struct rb_source_root *root,
		      struct rb_statcache *sc, struct rb_digest *ret, struct rb_error **err)
{
	if (v->kind == RB_VERTEX_RUN)
		return mount_checksum(v->run.trees[input], root, sc, ret, err);
	return copy_checksum(v, root, sc, ret, err);
}

bool rb_input_content_key(struct rb_solver *s, const struct rb_vertex *v)
{
	struct vertex_state *st = &s->vertices[v->index];
	size_t n = rb_vertex_n_inputs(v);

	for (size_t i = 0; i < n; i++)
		if (!st->has_input[i])
			return false;
	st->has_content = n > 0;
	if (n)
		st->content_key = rb_vertex_content_key(v, rb_solve_parent_id(s, v), st->content);
	return st->has_content;
}

/* The image that a mount is of, untouched; NULL: it is of something else. */
static const struct rb_root_ref *untouched_image(const struct rb_root_ref *from,
						 struct rb_root_ref *root)
{
	*root = *from;
	if (from->kind == RB_ROOT_STAGE && !rb_plan_stage_top(from->stage))
		*root = rb_plan_stage_root(from->stage);
	return root->kind == RB_ROOT_IMAGE ? root : NULL;
}

bool rb_input_identity(struct rb_solver *s, const struct rb_vertex *v, size_t i,
		       struct rb_digest *ret)
{
	struct rb_root_ref root;
	const struct rb_root_ref *image =
		v->kind == RB_VERTEX_RUN ? untouched_image(rb_vertex_input(v, i), &root) : NULL;

	if (!image)
		return false;
	RB_CLEANUP(rb_hash_freep) struct rb_hash *h = rb_hash_new();
	rb_hash_addstr(h, "image");
	rb_hash_addstr(h, rb_solve_root_id(s, image));
	rb_hash_addstr(h, v->run.trees[i]->spec.source);
	*ret = rb_hash_final(h);
	return true;
}

static int compute_input(struct rb_solver *s, const struct rb_vertex *v, size_t i,
			 struct rb_error **err)
{
	struct vertex_state *st = &s->vertices[v->index];
	RB_CLEANUP(rb_source_tree_clear) struct source_tree tree;

	if (rb_source_tree_open(s, rb_vertex_input(v, i), &tree, err) < 0 ||
	    rb_input_checksum(v, i, &tree.root, NULL, &st->content[i], err) < 0)
		return -1;
	st->has_input[i] = true;
	/* The content of a directory is no lasting fact. */
	return tree.ledger ? rb_cache_put_checksum(s, v, i, &st->content[i], err) : 0;
}

int rb_input_compute(struct rb_solver *s, const struct rb_vertex *v, struct rb_error **err)
{
	for (size_t i = 0; i < rb_vertex_n_inputs(v); i++)
		if (!s->vertices[v->index].has_input[i] && compute_input(s, v, i, err) < 0)
			return -1;
	(void)rb_input_content_key(s, v);
	return 0;
}

/* --- copies
 * ------------------------------------------------------------------------------------------- */

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

int rb_input_copy(const struct rb_source_root *root, const struct rb_match *m, int dst_fd,
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

size_t rb_input_of_mount(const struct rb_vertex *v, const struct rb_vertex_mount *vm)
{
	for (size_t i = 0; i < v->run.n_trees; i++)
		if (v->run.trees[i] == vm)
			return i;
	rb_bug("a mount without a tree");
}
