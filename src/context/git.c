// SPDX-License-Identifier: Apache-2.0
/*
 * Git repositories (dockerfile.md 3.10, 5.5): what a reference names now, and its commits in a bare
 * repository of the store, one for each URL. A commit that was asked for is refs/rbuild/<id> there.
 * A record says what a whole id stands for once it and its submodules are complete. Text:
 *
 *	git COMMIT TIME
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/base64.h"
#include "base/child.h"
#include "base/fd.h"
#include "base/log.h"
#include "context/git-internal.h"
#include "net/net.h"

/* --- credentials */

static char *basic(const char *user, const char *password)
{
	RB_CLEANUP(rb_buf_clear) struct rb_buf value = RB_BUF_INIT;
	RB_CLEANUP(rb_strp)
	char *pair = rb_asprintf("%s%s%s", user, password ? ":" : "", password ? password : "");

	rb_buf_addstr(&value, "Basic ");
	rb_base64_encode(pair, strlen(pair), &value);
	return rb_buf_steal(&value);
}

/* GIT_AUTH_x.<host>; without a host it is for the repository that is named, not for those of its
 * submodules elsewhere. */
static int find_secret(const struct rb_git *g, const char *id, bool is_top, struct rb_buf *ret,
		       struct rb_error **err)
{
	RB_CLEANUP(rb_strp) char *prefix = rb_asprintf("%s.", id);
	int r = rb_remote_secret(g->env, prefix, g->ref->host, ret, err);

	return r || !is_top ? r : rb_remote_secret(g->env, id, "", ret, err);
}

static int find_auth(struct rb_git *g, bool is_top, struct rb_error **err)
{
	RB_CLEANUP(rb_buf_clear) struct rb_buf value = RB_BUF_INIT;
	int r;

	if (!rb_starts_with(g->ref->url, "http"))
		return 0;
	r = find_secret(g, "GIT_AUTH_HEADER", is_top, &value, err);
	if (r > 0)
		g->auth = rb_strdup(value.ptr);
	if (r != 0)
		return r < 0 ? -1 : 0;
	r = find_secret(g, "GIT_AUTH_TOKEN", is_top, &value, err);
	if (r < 0)
		return -1;
	if (r > 0)
		g->auth = basic("x-access-token", value.ptr);
	else if (g->ref->userinfo)
		g->auth = basic(g->ref->userinfo, NULL);
	return 0;
}

/* --- the repository in the store */

static char *repository_name(const struct rb_git_ref *ref)
{
	struct rb_digest d = rb_digest_of(ref->url, strlen(ref->url));
	char hex[RB_DIGEST_TEXT_BYTES];

	return rb_asprintf("git/%.32s", rb_digest_hex(&d, hex));
}

int rb_git_open(const struct rb_remote_env *env, const struct rb_git_ref *ref,
		const struct rb_git_ref *top, struct rb_git *ret, struct rb_error **err)
{
	RB_CLEANUP(rb_strp) char *program = rb_find_program("git");

	*ret = (struct rb_git){.env = env, .ref = ref};
	if (!program)
		return rb_fail(err, RB_ERR_UNSUPPORTED,
			       "git repositories need the program git: install the package git");
	ret->name = repository_name(ref);
	ret->dir = rb_asprintf("%s/%s", rb_store_path(env->store), ret->name);
	if (find_auth(ret, rb_streq(ref->host, top->host), err) == 0)
		return 0;
	rb_git_close(ret);
	return -1;
}

void rb_git_close(struct rb_git *g)
{
	free(g->dir);
	free(g->name);
	free(g->auth);
	*g = (struct rb_git){0};
}

static int run(const struct rb_git *g, const char *const *argv, bool network, struct rb_buf *out,
	       struct rb_error **err)
{
	const struct rb_git_command c = {
		.argv = argv, .cwd_fd = -1, .network = network, .out = out};

	return rb_git_run(g, &c, err);
}

static void remove_named(int dirfd, const char *sub, const char *prefix, const char *suffix)
{
	int fd = openat(dirfd, sub, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);

	if (!d) {
		rb_closep(&fd);
		return;
	}
	for (struct dirent *e; (e = readdir(d));)
		if (rb_starts_with(e->d_name, prefix) && rb_ends_with(e->d_name, suffix))
			(void)unlinkat(fd, e->d_name, 0);
	(void)closedir(d);
}

/* A git that was killed leaves locks, which nobody holds while we have the repository, and halves
 * of packs. */
static void tidy(int dirfd)
{
	remove_named(dirfd, ".", "", ".lock");
	remove_named(dirfd, "refs/rbuild", "", ".lock");
	remove_named(dirfd, "objects/pack", "tmp_", "");
}

/* Makes the repository when it is missing. Returns the lock, which the caller closes. */
static int lock_repository(const struct rb_git *g, struct rb_error **err)
{
	RB_CLEANUP(rb_strp) char *name = rb_asprintf("%s.lock", g->name);
	RB_CLEANUP(rb_closep) int dir = rb_store_dir(g->env->store, "git", err);
	RB_CLEANUP(rb_closep) int lock = -1;
	const char *const init[] = {"init", "--quiet", "--bare", "--template=", g->dir, NULL};

	if (dir < 0)
		return -1;
	lock = openat(rb_store_fd(g->env->store), name, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC,
		      0600);
	if (lock < 0)
		return rb_fail_errno(err, "cannot open %s in the store", name);
	while (flock(lock, LOCK_EX) < 0)
		if (errno != EINTR)
			return rb_fail_errno(err, "cannot lock %s in the store", name);
	RB_CLEANUP(rb_closep)
	int repository = openat(rb_store_fd(g->env->store), g->name,
				O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (repository >= 0)
		tidy(repository);
	if ((repository < 0 || faccessat(repository, "HEAD", F_OK, 0) < 0) &&
	    run(g, init, false, NULL, err) < 0)
		return -1;
	return rb_steal_fd(&lock);
}

static bool has_object(const struct rb_git *g, const char *id)
{
	RB_CLEANUP(rb_strp) char *path = rb_asprintf("%s/refs/rbuild/%s", g->name, id);

	return faccessat(rb_store_fd(g->env->store), path, F_OK, 0) == 0;
}

/* --- records */

static struct rb_digest record_key(const struct rb_git_ref *ref, const char *object)
{
	RB_CLEANUP(rb_hash_freep) struct rb_hash *h = rb_hash_new();

	rb_hash_addstr(h, "git source");
	rb_hash_addstr(h, ref->url);
	rb_hash_addstr(h, object);
	rb_hash_addu64(h, ref->submodules);
	return rb_hash_final(h);
}

static bool load_record(const struct rb_remote_env *env, const struct rb_git_ref *ref,
			const char *object, struct rb_git_commit *ret)
{
	RB_CLEANUP(rb_buf_clear) struct rb_buf text = RB_BUF_INIT;
	struct rb_digest key = record_key(ref, object);
	struct rb_error *why = NULL;
	long long when;

	if (rb_store_get_record(env->store, &key, &text, &why) < 0) {
		rb_error_drop(&why); /* then it is asked for */
		return false;
	}
	RB_CLEANUP(rb_strp) char *name = repository_name(ref);
	const struct rb_git g = {.env = env, .name = name};
	if (sscanf(text.ptr, "git %64s %lld", ret->commit, &when) != 2 || !has_object(&g, object))
		return false;
	(void)snprintf(ret->object, sizeof(ret->object), "%s", object);
	ret->time = when;
	ret->downloaded = false;
	return true;
}

static int save_record(const struct rb_remote_env *env, const struct rb_git_ref *ref,
		       const struct rb_git_commit *commit, struct rb_error **err)
{
	struct rb_digest key = record_key(ref, commit->object);
	RB_CLEANUP(rb_strp)
	char *text = rb_asprintf("git %s %lld", commit->commit, (long long)commit->time);

	return rb_store_put_record(env->store, &key, text, strlen(text), err);
}

/* --- what a reference names */

/* The whole id that a reference consists of, or NULL. */
static const char *whole_id(const struct rb_git_ref *ref)
{
	if (ref->by_commit)
		return ref->checksum;
	return ref->ref && rb_git_is_id(ref->ref) ? ref->ref : NULL;
}

/* The id that `name` has in what ls-remote printed: lines of ID TAB NAME. */
static bool find_name(const char *text, const char *name, char ret[static RB_GIT_ID_BYTES])
{
	size_t n = strlen(name);

	for (const char *line = text; *line;) {
		size_t len = strcspn(line, "\n"), id = strcspn(line, "\t\n");

		if (len == id + 1 + n && memcmp(line + id + 1, name, n) == 0 &&
		    id < RB_GIT_ID_BYTES) {
			memcpy(ret, line, id);
			ret[id] = '\0';
			return rb_git_is_id(ret);
		}
		line += len + (line[len] == '\n');
	}
	return false;
}

/* Asks the server. *ret_name is the full name the reference was found by; caller frees. */
static int ask(const struct rb_git *g, char ret[static RB_GIT_ID_BYTES], char **ret_name,
	       struct rb_error **err)
{
	/* A branch wins over a tag, as with git checkout. */
	static const char *const prefixes[] = {"", "refs/heads/", "refs/tags/", "refs/"};
	RB_CLEANUP(rb_buf_clear) struct rb_buf out = RB_BUF_INIT;
	RB_CLEANUP(rb_strv_clear) struct rb_strv argv = RB_STRV_INIT;
	const char *ref = g->ref->ref ? g->ref->ref : "HEAD";
	size_t first = 3;

	rb_strv_add(&argv, "ls-remote");
	rb_strv_add(&argv, "--");
	rb_strv_add(&argv, g->ref->url);
	for (size_t i = 0; i < RB_ARRAY_LEN(prefixes); i++) {
		bool whole = rb_streq(ref, "HEAD") || rb_starts_with(ref, "refs/");

		if (whole == !*prefixes[i])
			rb_strv_addf(&argv, "%s%s", prefixes[i], ref);
	}
	if (run(g, (const char *const *)rb_strv_argv(&argv), true, &out, err) < 0)
		return -1;
	for (size_t i = first; i < argv.n; i++)
		if (find_name(out.ptr, argv.v[i], ret)) {
			*ret_name = rb_strdup(argv.v[i]);
			return 0;
		}
	if (!g->ref->ref)
		return rb_fail(err, RB_ERR_NOTFOUND, "the repository has no HEAD: is it empty?");
	return rb_fail(err, RB_ERR_NOTFOUND, "the repository has no branch or tag \"%s\"%s", ref,
		       strspn(ref, "0123456789abcdef") == strlen(ref)
			       ? " (a commit needs all 40 digits of its hash here)"
			       : "");
}

/* --- fetching */

static int fetch_spec(const struct rb_git *g, const char *spec, const char *more, bool shallow,
		      struct rb_error **err)
{
	const char *argv[16];
	size_t n = 0;

	argv[n++] = "fetch";
	argv[n++] = "--quiet";
	if (shallow)
		argv[n++] = "--depth=1";
	argv[n++] = "--no-tags";
	argv[n++] = "--no-write-fetch-head";
	argv[n++] = "--force";
	argv[n++] = "--";
	argv[n++] = g->ref->url;
	argv[n++] = spec;
	argv[n++] = more;
	argv[n] = NULL;
	return run(g, argv, true, NULL, err);
}

/* Whether another way of asking may do: old servers give only what a branch or tag names, plain
 * file servers know no shallow histories. */
static bool is_limited(const struct rb_error *e)
{
	static const char *const signs[] = {"not our ref", "unadvertised object", "dumb http",
					    "does not support shallow"};
	RB_CLEANUP(rb_strp) char *text = rb_error_text(e);

	for (size_t i = 0; i < RB_ARRAY_LEN(signs); i++)
		if (strstr(text, signs[i]))
			return true;
	return false;
}

static int mark(const struct rb_git *g, const char *id, const char *from, struct rb_error **err)
{
	RB_CLEANUP(rb_strp) char *name = rb_asprintf("refs/rbuild/%s", id);
	const char *const argv[] = {"update-ref", "--", name, from, NULL};

	return run(g, argv, false, NULL, err);
}

/* Everything, when the server does not give the one thing. */
static int fetch_all(const struct rb_git *g, const char *id, const char *name,
		     struct rb_error **err)
{
	struct rb_error *why = NULL;
	RB_CLEANUP(rb_strp) char *spec = name ? rb_asprintf("+%s:refs/rbuild/%s", name, id) : NULL;

	if (name)
		return fetch_spec(g, spec, NULL, false, err);
	if (fetch_spec(g, "+refs/heads/*:refs/all/heads/*", "+refs/tags/*:refs/all/tags/*", false,
		       err) < 0)
		return -1;
	if (mark(g, id, id, &why) == 0)
		return 0;
	rb_error_drop(&why); /* git's way to say that there is none */
	return rb_fail(err, RB_ERR_NOTFOUND, "the repository has no commit %s", id);
}

static int fetch_object(const struct rb_git *g, const char *id, const char *name,
			struct rb_error **err)
{
	RB_CLEANUP(rb_strp) char *spec = rb_asprintf("+%s:refs/rbuild/%s", name ? name : id, id);

	if (fetch_spec(g, spec, NULL, true, err) == 0)
		return 0;
	if (!is_limited(*err))
		return -1;
	rb_log_debug("git: %s", (*err)->msg);
	rb_error_drop(err);
	return fetch_all(g, id, name, err);
}

/* Peels. A name that moved between asking and fetching has brought something else. */
static int read_commit(const struct rb_git *g, struct rb_git_commit *c, struct rb_error **err)
{
	RB_CLEANUP(rb_buf_clear) struct rb_buf out = RB_BUF_INIT;
	RB_CLEANUP(rb_strp) char *name = rb_asprintf("refs/rbuild/%s", c->object);
	RB_CLEANUP(rb_strp) char *peel = rb_asprintf("%s^{commit}", name);
	const char *const argv[] = {"rev-parse", "--verify", "--end-of-options", name, NULL};
	const char *const log[] = {"log", "-1", "--format=%H %ct", "--end-of-options", peel,
				   "--",  NULL};
	char object[RB_GIT_ID_BYTES];
	long long when;

	if (run(g, argv, false, &out, err) < 0)
		return -1;
	if (sscanf(out.ptr, "%64s", object) != 1 || !rb_streq(object, c->object))
		return rb_fail(err, RB_ERR_NETWORK,
			       "the reference was moved while it was fetched: build again");
	rb_buf_clear(&out);
	if (run(g, log, false, &out, err) < 0)
		return rb_wrap(err, "%s is no commit", c->object);
	if (sscanf(out.ptr, "%64s %lld", c->commit, &when) != 2 || !rb_git_is_id(c->commit))
		return rb_fail(err, RB_ERR_CORRUPT, "git tells of a commit in a way not known");
	c->time = when;
	return 0;
}

/* What one level of a fetch brings; the repository is free again afterwards. */
static int fetch_level(const struct rb_git *g, struct rb_git_commit *c, const char *name,
		       struct rb_git_links *links, struct rb_error **err)
{
	RB_CLEANUP(rb_closep) int lock = lock_repository(g, err);

	if (lock < 0)
		return -1;
	if (!has_object(g, c->object)) {
		c->downloaded = true;
		if (fetch_object(g, c->object, name, err) < 0)
			return -1;
	}
	if (read_commit(g, c, err) < 0) {
		RB_CLEANUP(rb_strp)
		char *ref = rb_asprintf("%s/refs/rbuild/%s", g->name, c->object);

		/* A mark that promises too much. */
		(void)unlinkat(rb_store_fd(g->env->store), ref, 0);
		return -1;
	}
	return rb_git_read_tree(g, c->commit, links, err);
}

/* --- with submodules */

struct walk {
	const struct rb_remote_env *env;
	const struct rb_git_ref *top;
	unsigned n_submodules, depth;
};

static int fetch_ref(struct walk *w, const struct rb_git_ref *ref, struct rb_git_commit *ret,
		     struct rb_error **err);

static int fetch_submodules(struct walk *w, const struct rb_git_links *links, bool *downloaded,
			    struct rb_error **err)
{
	w->n_submodules += (unsigned)links->n;
	if (w->n_submodules > RB_GIT_SUBMODULES_MAX || w->depth >= RB_GIT_SUBMODULE_DEPTH_MAX)
		return rb_fail(err, RB_ERR_CORRUPT,
			       "more than %d submodules, or nested more than %d deep (leave them "
			       "out with ?submodules=false)",
			       RB_GIT_SUBMODULES_MAX, RB_GIT_SUBMODULE_DEPTH_MAX);
	w->depth++;
	for (size_t i = 0; i < links->n; i++) {
		struct rb_git_commit c;

		if (fetch_ref(w, &links->v[i].ref, &c, err) < 0)
			return rb_wrap(err, "submodule %.200s (%s)", links->v[i].path,
				       links->v[i].ref.url);
		*downloaded |= c.downloaded;
	}
	w->depth--;
	return 0;
}

static int fetch_opened(struct walk *w, const struct rb_git *g, struct rb_git_commit *ret,
			struct rb_error **err)
{
	RB_CLEANUP(rb_git_links_clear) struct rb_git_links links = {0};
	RB_CLEANUP(rb_strp) char *name = NULL;
	const char *id = whole_id(g->ref);
	char object[RB_GIT_ID_BYTES];
	struct rb_git_commit c = {0};

	if (id)
		(void)snprintf(object, sizeof(object), "%s", id);
	else if (ask(g, object, &name, err) < 0)
		return -1;
	if (!load_record(w->env, g->ref, object, &c)) {
		memcpy(c.object, object, sizeof(object));
		if (fetch_level(g, &c, name, &links, err) < 0 ||
		    fetch_submodules(w, &links, &c.downloaded, err) < 0 ||
		    save_record(w->env, g->ref, &c, err) < 0)
			return -1;
	}
	*ret = c;
	return 0;
}

/* The bare repository may be missing where git was never run: asking needs one to run in. */
static int prepare(const struct rb_git *g, struct rb_error **err)
{
	RB_CLEANUP(rb_strp) char *head = rb_asprintf("%s/HEAD", g->name);

	if (faccessat(rb_store_fd(g->env->store), head, F_OK, 0) == 0)
		return 0;
	RB_CLEANUP(rb_closep) int lock = lock_repository(g, err);
	return lock < 0 ? -1 : 0;
}

static int fetch_ref(struct walk *w, const struct rb_git_ref *ref, struct rb_git_commit *ret,
		     struct rb_error **err)
{
	RB_CLEANUP(rb_git_close) struct rb_git g = {0};

	if (rb_git_open(w->env, ref, w->top, &g, err) < 0 || prepare(&g, err) < 0)
		return -1;
	return fetch_opened(w, &g, ret, err);
}

static int check_sum(const struct rb_git_ref *ref, const struct rb_git_commit *c,
		     struct rb_error **err)
{
	if (!ref->checksum || rb_starts_with(c->commit, ref->checksum) ||
	    rb_starts_with(c->object, ref->checksum))
		return 0;
	return rb_fail(err, RB_ERR_CORRUPT, "expected checksum to match %s, got %s", ref->checksum,
		       c->object);
}

int rb_git_fetch(const struct rb_remote_env *env, const struct rb_git_ref *ref,
		 struct rb_git_commit *ret, struct rb_error **err)
{
	struct walk w = {.env = env, .top = ref};
	struct rb_git_commit c;

	if (fetch_ref(&w, ref, &c, err) < 0 || check_sum(ref, &c, err) < 0)
		return rb_wrap(err, "%s", ref->url);
	*ret = c;
	return 0;
}

bool rb_git_known(const struct rb_remote_env *env, const struct rb_git_ref *ref,
		  struct rb_git_commit *ret)
{
	RB_CLEANUP(rb_error_freep) struct rb_error *why = NULL; /* rb_git_fetch() will say it */
	const char *id = whole_id(ref);

	return id && load_record(env, ref, id, ret) && check_sum(ref, ret, &why) == 0;
}

struct rb_digest rb_git_identity(const struct rb_git_ref *ref, const struct rb_git_commit *commit,
				 bool keep_git_dir)
{
	RB_CLEANUP(rb_hash_freep) struct rb_hash *h = rb_hash_new();

	rb_hash_addstr(h, "git");
	rb_hash_addstr(h, keep_git_dir ? commit->object : commit->commit);
	rb_hash_addstr(h, ref->subdir);
	rb_hash_addu64(h, keep_git_dir);
	rb_hash_addu64(h, ref->submodules);
	rb_hash_addu64(h, ref->commit_time);
	return rb_hash_final(h);
}
