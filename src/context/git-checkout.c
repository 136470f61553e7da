// SPDX-License-Identifier: Apache-2.0
/*
 * From commits of the store to files. git writes below a directory of ours that nobody else has
 * yet; it makes no entry called .git and follows no link that it made (threats S10, S38).
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/path.h"
#include "base/sys.h"
#include "context/git-internal.h"

struct checkout {
	const struct rb_remote_env *env;
	const struct rb_git_ref *top;
	bool keep_git_dir;
	int64_t time;
};

static int run_in(const struct rb_git *g, int dirfd, const char *const *argv, bool from_store,
		  struct rb_error **err)
{
	const struct rb_git_command c = {
		.argv = argv, .cwd_fd = dirfd, .own_dir = true, .from_store = from_store};

	return rb_git_run(g, &c, err);
}

/* --- without .git */

static int write_tree(const struct rb_git *g, const char *commit, int dirfd, struct rb_error **err)
{
	char name[RB_STORE_TEMP_NAME_BYTES];

	/* Not in the repository, where git's locks may be removed by whoever fetches next. */
	RB_CLEANUP(rb_closep) int tmp = rb_store_dir(g->env->store, "tmp", err);
	if (tmp < 0)
		return -1;
	rb_store_temp_name(g->env->store, name);
	RB_CLEANUP(rb_strp)
	char *index = rb_asprintf("%s/%s", rb_store_path(g->env->store), name);
	const char *const argv[] = {"--work-tree=.", "read-tree", "--reset", "-u", commit, NULL};
	const struct rb_git_command c = {.argv = argv, .cwd_fd = dirfd, .index = index};
	int r = rb_git_run(g, &c, err);

	(void)unlink(index);
	return r;
}

/* --- with .git: a repository of its own, of this one commit, with a detached HEAD */

/* The tag that was asked for is part of the history that is kept. */
static char *tag_name(const struct rb_git_ref *ref, const char *object, const char *commit)
{
	const char *tags = "refs/tags/";

	if (!ref->ref || rb_git_is_id(ref->ref))
		return NULL;
	if (rb_starts_with(ref->ref, tags))
		return rb_strdup(ref->ref);
	return rb_streq(object, commit) ? NULL : rb_asprintf("%s%s", tags, ref->ref);
}

static int write_repository(const struct rb_git *g, const char *object, const char *commit,
			    int dirfd, struct rb_error **err)
{
	RB_CLEANUP(rb_strp) char *tag = tag_name(g->ref, object, commit);
	RB_CLEANUP(rb_strp)
	char *spec = rb_asprintf("+refs/rbuild/%s:%s", object, tag ? tag : "refs/rbuild/head");
	const char *const init[] = {"init", "--quiet", "--template=", ".", NULL};
	const char *const fetch[] = {
		"--git-dir=.git",        "fetch", "--quiet", "--depth=1", "--no-tags",
		"--no-write-fetch-head", "--",    g->dir,    spec,        NULL};
	const char *const head[] = {"--git-dir=.git", "update-ref", "--no-deref", "--",
				    "HEAD",           commit,       NULL};
	const char *const forget[] = {"--git-dir=.git",   "update-ref", "-d", "--",
				      "refs/rbuild/head", NULL};
	const char *const url[] = {"--git-dir=.git",    "config",    "--add",
				   "remote.origin.url", g->ref->url, NULL};
	const char *const branches[] = {"--git-dir=.git",
					"config",
					"--add",
					"remote.origin.fetch",
					"+refs/heads/*:refs/remotes/origin/*",
					NULL};
	const char *const tree[] = {
		"--git-dir=.git", "--work-tree=.", "read-tree", "--reset", "-u", "HEAD", NULL};

	if (run_in(g, dirfd, init, false, err) < 0 || run_in(g, dirfd, fetch, true, err) < 0 ||
	    run_in(g, dirfd, head, false, err) < 0 ||
	    (!tag && run_in(g, dirfd, forget, false, err) < 0) ||
	    run_in(g, dirfd, url, false, err) < 0 || run_in(g, dirfd, branches, false, err) < 0)
		return -1;
	return run_in(g, dirfd, tree, false, err);
}

/* --- times */

static int set_times(int dirfd, const char *name, const struct timespec times[2], unsigned depth)
{
	RB_CLEANUP(rb_strv_clear) struct rb_strv names = RB_STRV_INIT;
	RB_CLEANUP(rb_closep)
	int fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	int r;

	if (fd < 0 && errno != ENOTDIR && errno != ELOOP)
		return -errno;
	if (fd >= 0) {
		r = depth > RB_SOURCE_DEPTH_MAX ? -ENAMETOOLONG : rb_list_names(fd, &names);
		for (size_t i = 0; r == 0 && i < names.n; i++)
			r = set_times(fd, names.v[i], times, depth + 1);
		if (r < 0)
			return r;
	}
	return utimensat(dirfd, name, times, AT_SYMLINK_NOFOLLOW) < 0 ? -errno : 0;
}

/* --- all levels */

static int checkout(struct checkout *c, const struct rb_git_ref *ref, const char *object,
		    const char *commit, int dirfd, unsigned depth, struct rb_error **err);

/* git has made an empty directory for it. */
static int checkout_link(struct checkout *c, const struct rb_git_link *link, int dirfd,
			 unsigned depth, struct rb_error **err)
{
	RB_CLEANUP(rb_closep)
	int sub = rb_sys_openat2(dirfd, link->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0,
				 RB_RESOLVE_BENEATH | RB_RESOLVE_NO_SYMLINKS |
					 RB_RESOLVE_NO_MAGICLINKS);

	if (sub < 0)
		return rb_fail_sys(err, sub, "cannot open the directory of the submodule %.200s",
				   link->path);
	return checkout(c, &link->ref, link->id, link->id, sub, depth + 1, err);
}

static int checkout(struct checkout *c, const struct rb_git_ref *ref, const char *object,
		    const char *commit, int dirfd, unsigned depth, struct rb_error **err)
{
	RB_CLEANUP(rb_git_links_clear) struct rb_git_links links = {0};
	RB_CLEANUP(rb_git_close) struct rb_git g = {0};

	if (depth > RB_GIT_SUBMODULE_DEPTH_MAX)
		return rb_fail(err, RB_ERR_CORRUPT, "submodules are nested more than %d deep",
			       RB_GIT_SUBMODULE_DEPTH_MAX);
	if (rb_git_open(c->env, ref, c->top, &g, err) < 0 ||
	    rb_git_read_tree(&g, commit, &links, err) < 0 ||
	    (c->keep_git_dir ? write_repository(&g, object, commit, dirfd, err)
			     : write_tree(&g, commit, dirfd, err)) < 0)
		return -1;
	for (size_t i = 0; i < links.n; i++)
		if (checkout_link(c, &links.v[i], dirfd, depth, err) < 0)
			return -1;
	return 0;
}

int rb_git_checkout(const struct rb_remote_env *env, const struct rb_git_ref *ref,
		    const struct rb_git_commit *commit, bool keep_git_dir, int dirfd,
		    struct rb_error **err)
{
	struct checkout c = {.env = env, .top = ref, .keep_git_dir = keep_git_dir};
	const struct timespec when = {.tv_sec = commit->time}, times[2] = {when, when};
	int r;

	if (checkout(&c, ref, commit->object, commit->commit, dirfd, 0, err) < 0)
		return -1;
	r = ref->commit_time ? set_times(dirfd, ".", times, 0) : 0;
	return r < 0 ? rb_fail_sys(err, r, "cannot set the times of a checkout") : 0;
}

int rb_git_open_subdir(int dirfd, const struct rb_git_ref *ref, struct rb_error **err)
{
	int fd = rb_open_in_root(dirfd, ref->subdir, O_PATH | O_DIRECTORY, 0);

	if (fd < 0)
		return rb_fail(err, RB_ERR_NOTFOUND, "the repository has no directory \"%s\": %s",
			       ref->subdir, strerrordesc_np(-fd));
	return fd;
}
