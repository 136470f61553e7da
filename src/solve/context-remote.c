// SPDX-License-Identifier: Apache-2.0
/* Contexts that lie elsewhere: fetched, and made trees of the store (context-tree.c). */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/fd.h"
#include "solve/solve-internal.h"

/* --- repositories */

/* Moves what is in one directory into another, empty one of the same file system. */
static int move_all(int from, int to, struct rb_error **err)
{
	RB_CLEANUP(rb_strv_clear) struct rb_strv names = RB_STRV_INIT;
	int r = rb_list_names(from, &names);

	for (size_t i = 0; r == 0 && i < names.n; i++)
		if (renameat(from, names.v[i], to, names.v[i]) < 0)
			r = -errno;
	return r < 0 ? rb_fail_sys(err, r, "cannot move the subdirectory's files") : 0;
}

/* The subdirectory alone is the context, so that no link in it can lead to the rest. */
static int checkout_subdir(struct rb_snapshotter *snapshots, const struct rb_remote_env *env,
			   const struct rb_git_ref *ref, const struct rb_git_commit *commit, int to,
			   struct rb_error **err)
{
	RB_CLEANUP(rb_active_freep) struct rb_active *whole = NULL;

	if (rb_snapshot_prepare(snapshots, "", &whole, err) < 0)
		return -1;
	int fd = rb_active_diff_fd(whole);
	if (rb_git_checkout(env, ref, commit, ref->keep_git_dir > 0, fd, err) < 0)
		return -1;
	RB_CLEANUP(rb_closep) int sub = rb_git_open_subdir(fd, ref, err);
	return sub < 0 ? -1 : move_all(sub, to, err);
}

static int checkout(struct rb_snapshotter *snapshots, const struct rb_remote_env *env,
		    const struct rb_git_ref *ref, const struct rb_git_commit *commit,
		    const char *id, struct rb_error **err)
{
	RB_CLEANUP(rb_active_freep) struct rb_active *active = NULL;
	struct rb_snapshot_meta meta;

	if (rb_snapshot_prepare(snapshots, "", &active, err) < 0)
		return -1;
	int fd = rb_active_diff_fd(active);
	int r = rb_streq(ref->subdir, ".")
			? rb_git_checkout(env, ref, commit, ref->keep_git_dir > 0, fd, err)
			: checkout_subdir(snapshots, env, ref, commit, fd, err);
	return r < 0 ? -1 : rb_active_commit(rb_steal_ptr(&active), id, &meta, err);
}

static void git_tree_id(const struct rb_git_ref *ref, const struct rb_git_commit *commit,
			char id[static RB_ID_BYTES])
{
	struct rb_digest identity = rb_git_identity(ref, commit, ref->keep_git_dir > 0);

	rb_context_tree_id("git", &identity, 0, id);
}

static int git_tree(struct rb_snapshotter *snapshots, const struct rb_remote_env *env,
		    const struct rb_git_ref *ref, char ret_id[static RB_TREE_ID_BYTES],
		    int64_t *ret_time, struct rb_error **err)
{
	struct rb_git_commit commit;
	char id[RB_ID_BYTES];

	if (rb_git_fetch(env, ref, &commit, err) < 0)
		return -1;
	git_tree_id(ref, &commit, id);
	if (!rb_snapshot_exists(snapshots, id) &&
	    checkout(snapshots, env, ref, &commit, id, err) < 0)
		return -1;
	memcpy(ret_id, id, sizeof(id));
	*ret_time = commit.time;
	return 0;
}

int rb_context_tree_git(struct rb_snapshotter *snapshots, const struct rb_remote_env *env,
			const char *text, const struct rb_git_wishes *wishes,
			char ret_id[static RB_TREE_ID_BYTES], int64_t *ret_time,
			struct rb_error **err)
{
	struct rb_git_ref ref;
	int r = rb_git_ref_parse(text, true, &ref, err);

	if (r == 0) {
		if (ref.keep_git_dir < 0)
			ref.keep_git_dir = wishes->keep_git_dir;
		ref.commit_time |= wishes->commit_time;
		r = git_tree(snapshots, env, &ref, ret_id, ret_time, err);
		rb_git_ref_clear(&ref);
	}
	if (r == 0)
		return 0;
	/* It was named on the command line: no line of the Dockerfile is to blame. */
	(*err)->code = RB_ERR_CONTEXT;
	return rb_wrap(err, "unable to prepare context");
}

/* --- files by HTTP */

/* One file, as ADD of a URL would make it. */
static int put_file(struct rb_store *store, const struct rb_url_file *file, int dirfd,
		    struct rb_error **err)
{
	const struct timespec times[2] = {{.tv_sec = file->mtime}, {.tv_sec = file->mtime}};
	RB_CLEANUP(rb_closep) int in = rb_store_open_blob(store, &file->digest, err);

	if (in < 0)
		return -1;
	RB_CLEANUP(rb_closep)
	int out = openat(dirfd, RB_URL_CONTEXT_NAME, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (out < 0)
		return rb_fail_errno(err, "cannot make a file");
	int r = rb_copy_data(in, out, file->size);
	if (r < 0)
		return rb_fail_sys(err, r, "cannot copy the file");
	if (fchmod(out, 0600) < 0 || futimens(out, times) < 0)
		return rb_fail_errno(err, "cannot set the file's times");
	return 0;
}

static int file_tree(struct rb_snapshotter *snapshots, struct rb_store *store,
		     const struct rb_url_file *file, const char *id, struct rb_error **err)
{
	RB_CLEANUP(rb_active_freep) struct rb_active *active = NULL;
	struct rb_snapshot_meta meta;

	if (rb_snapshot_prepare(snapshots, "", &active, err) < 0 ||
	    put_file(store, file, rb_active_diff_fd(active), err) < 0)
		return -1;
	return rb_active_commit(rb_steal_ptr(&active), id, &meta, err);
}

static int url_tree(struct rb_snapshotter *snapshots, const struct rb_remote_env *env,
		    const char *url, bool unpack_archive, bool *ret_archive,
		    char ret_id[static RB_TREE_ID_BYTES], int64_t *ret_time, struct rb_error **err)
{
	struct rb_url_file file;
	char id[RB_ID_BYTES];

	*ret_archive = false;
	/* Once more when the bytes that it knew have been damaged meanwhile. */
	if (rb_url_fetch(env, url, NULL, &file, err) < 0 ||
	    (!file.downloaded && rb_store_drop_damaged(env->store, &file.digest) &&
	     rb_url_fetch(env, url, NULL, &file, err) < 0))
		return -1;
	*ret_time = file.mtime ? file.mtime : -1;
	if (unpack_archive) {
		RB_CLEANUP(rb_closep) int fd = rb_store_open_blob(env->store, &file.digest, err);
		int r = fd < 0 ? -1 : rb_context_is_archive(fd, url, err);

		if (r < 0)
			return -1;
		*ret_archive = r;
		if (r)
			return rb_context_tree_archive(snapshots, fd, &file.digest, ret_id, err);
	}
	rb_context_tree_id("url", &file.digest, file.mtime, id);
	if (!rb_snapshot_exists(snapshots, id) &&
	    file_tree(snapshots, env->store, &file, id, err) < 0)
		return -1;
	memcpy(ret_id, id, sizeof(id));
	return 0;
}

int rb_context_tree_url(struct rb_snapshotter *snapshots, const struct rb_remote_env *env,
			const char *url, bool unpack_archive, bool *ret_archive,
			char ret_id[static RB_TREE_ID_BYTES], int64_t *ret_time,
			struct rb_error **err)
{
	if (url_tree(snapshots, env, url, unpack_archive, ret_archive, ret_id, ret_time, err) == 0)
		return 0;
	return rb_wrap(err, "unable to prepare context");
}

/* --- named ones */

bool rb_context_is_pending(const struct rb_context *c)
{
	return c && c->kind == RB_CONTEXT_REMOTE && !c->tree;
}

/* As for the build context (5.5): the time of a checkout would be another one each time. */
static struct rb_git_wishes wishes(const struct rb_solver *s)
{
	const struct rb_plan_epoch *epoch = &s->in.plan->epoch;

	return (struct rb_git_wishes){.commit_time = epoch->set || epoch->is_asked};
}

void rb_context_known(struct rb_solver *s, struct rb_context *c)
{
	const struct rb_remote_env env = {.store = s->in.store};
	struct rb_error *ignored = NULL;
	struct rb_git_commit commit;
	struct rb_git_ref ref;
	char id[RB_ID_BYTES];

	if (c->tree || !rb_git_ref_is(c->path, true))
		return;
	if (rb_git_ref_parse(c->path, true, &ref, &ignored) < 0) {
		/* The worker will say it. */
		rb_error_drop(&ignored);
		return;
	}
	ref.commit_time |= wishes(s).commit_time;
	if (rb_git_known(&env, &ref, &commit)) {
		git_tree_id(&ref, &commit, id);
		if (rb_snapshot_exists(s->in.snapshots, id)) {
			c->tree = rb_strdup(id);
			c->time = commit.time;
		}
	}
	rb_git_ref_clear(&ref);
}

int rb_op_context(void *ctx, struct rb_worker_port *port, struct rb_error **err)
{
	const struct op_context *op = ctx;
	struct rb_solver *s = op->solver;
	RB_CLEANUP(rb_remote_end_loan)
	struct rb_remote_user user = {.secrets = s->in.secrets, .port = port, .ssh = s->in.ssh};
	struct rb_remote_env env = rb_remote_env_of(s->in.store, &user);
	const char *url = s->in.named[op->context->index]->path;
	const struct rb_git_wishes wish = wishes(s);
	char id[RB_ID_BYTES];
	int64_t when;
	bool archive, git = rb_git_ref_is(url, true);

	if (git && rb_remote_lend(&user, &env, err) < 0)
		return rb_wrap(err, "context %s", op->context->name);
	if ((git ? rb_context_tree_git(s->in.snapshots, &env, url, &wish, id, &when, err)
		 : rb_context_tree_url(s->in.snapshots, &env, url, false, &archive, id, &when,
				       err)) < 0)
		return rb_wrap(err, "context %s", op->context->name);
	RB_CLEANUP(rb_strp) char *text = rb_asprintf("%lld %s", (long long)when, id);
	rb_worker_result(port, text, strlen(text));
	return 0;
}

int rb_context_adopt(struct rb_context *c, const char *result, struct rb_error **err)
{
	char id[RB_ID_BYTES];
	long long when;

	if (sscanf(result, "%lld %79s", &when, id) != 2)
		return rb_fail(err, RB_ERR_CORRUPT, "a worker sent a malformed result");
	c->time = when;
	free(c->tree);
	c->tree = rb_strdup(id);
	return 0;
}
