// SPDX-License-Identifier: Apache-2.0
/*
 * URLs and git repositories that ADD names. What is there now is found out by a worker each, once a
 * build; only what changed is fetched. Then the keys of the ADDs are known. Result of a worker:
 *
 *	url DOWNLOADED DIGEST SIZE MTIME
 *	git DOWNLOADED OBJECT COMMIT TIME
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "context/remote.h"
#include "layer/archive.h"
#include "solve/solve-internal.h"

/* --- asking */

static bool get_secret(void *ctx, const char *id, struct rb_buf *ret)
{
	const struct rb_remote_user *user = ctx;
	const struct rb_secret *secret = rb_secrets_get(user->secrets, id);

	if (secret)
		rb_buf_add(ret, secret->value, secret->len);
	return secret;
}

static void show_status(void *ctx, const char *text)
{
	const struct rb_remote_user *user = ctx;

	rb_worker_status(user->port, "%s", text);
}

struct rb_remote_env rb_remote_env_of(struct rb_store *store, struct rb_remote_user *user)
{
	return (struct rb_remote_env){
		.store = store,
		.secret = get_secret,
		.status = user->port ? show_status : NULL,
		.ctx = user,
	};
}

int rb_remote_lend(struct rb_remote_user *user, struct rb_remote_env *env, struct rb_error **err)
{
	if (!rb_ssh_has(user->ssh, "default"))
		return 0;
	if (rb_ssh_lend(user->ssh, "default", &user->loan, err) < 0)
		return -1;
	env->ssh_agent = user->loan.path;
	return 0;
}

void rb_remote_end_loan(struct rb_remote_user *user)
{
	rb_ssh_end_loan(&user->loan);
}

static int parse_git(const struct rb_plan_remote *r, struct rb_git_ref *ret, struct rb_error **err)
{
	if (rb_git_ref_parse(r->url, false, ret, err) < 0)
		return -1;
	return r->checksum ? rb_git_ref_set_checksum(ret, r->checksum, err) : 0;
}

static const struct rb_digest *parse_checksum(const struct rb_plan_remote *r, struct rb_digest *buf)
{
	return r->checksum && rb_digest_parse(r->checksum, buf) == 0 ? buf : NULL;
}

static int fetch_git(struct rb_remote_user *user, struct rb_remote_env *env,
		     const struct rb_plan_remote *r, struct rb_git_commit *ret,
		     struct rb_error **err)
{
	RB_CLEANUP(rb_git_ref_clear) struct rb_git_ref ref = {0};

	if (parse_git(r, &ref, err) < 0 || rb_remote_lend(user, env, err) < 0)
		return -1;
	return rb_git_fetch(env, &ref, ret, err);
}

int rb_op_remote(void *ctx, struct rb_worker_port *port, struct rb_error **err)
{
	const struct op_remote *op = ctx;
	RB_CLEANUP(rb_remote_end_loan)
	struct rb_remote_user user = {
		.secrets = op->solver->in.secrets, .port = port, .ssh = op->solver->in.ssh};
	struct rb_remote_env env = rb_remote_env_of(op->solver->in.store, &user);
	char digest[RB_DIGEST_TEXT_BYTES];
	RB_CLEANUP(rb_strp) char *text = NULL;
	struct rb_git_commit commit;
	struct rb_url_file file;
	struct rb_digest sum;
	int r = op->remote->git ? fetch_git(&user, &env, op->remote, &commit, err)
				: rb_url_fetch(&env, op->remote->url,
					       parse_checksum(op->remote, &sum), &file, err);

	if (r < 0)
		return -1;
	if (op->remote->git)
		text = rb_asprintf("git %d %s %s %lld", commit.downloaded, commit.object,
				   commit.commit, (long long)commit.time);
	else
		text = rb_asprintf("url %d %s %llu %lld", file.downloaded,
				   rb_digest_text(&file.digest, digest),
				   (unsigned long long)file.size, (long long)file.mtime);
	rb_worker_result(port, text, strlen(text));
	return 0;
}

/* --- knowing */

/* What decides about the image, for the keys. */
static int identify(const struct rb_plan_remote *r, const struct remote_state *st,
		    struct rb_digest *ret, struct rb_error **err)
{
	RB_CLEANUP(rb_git_ref_clear) struct rb_git_ref ref = {0};
	RB_CLEANUP(rb_hash_freep) struct rb_hash *h = rb_hash_new();
	char name[RB_URL_NAME_BYTES];

	if (r->git) {
		if (parse_git(r, &ref, err) < 0)
			return -1;
		*ret = rb_git_identity(&ref, &st->commit, r->keep_git_dir);
		return 0;
	}
	if (rb_url_name(r->url, name, err) < 0)
		return -1;
	rb_hash_addstr(h, "url");
	rb_hash_addstr(h, name);
	rb_hash_add(h, st->file.digest.bytes, sizeof(st->file.digest.bytes));
	rb_hash_addu64(h, (uint64_t)st->file.mtime);
	*ret = rb_hash_final(h);
	return 0;
}

static bool parse_result(const char *text, const struct rb_plan_remote *r, struct remote_state *ret)
{
	char digest[RB_DIGEST_TEXT_BYTES];
	long long when;
	unsigned long long size;
	int downloaded;

	if (r->git) {
		if (sscanf(text, "git %d %64s %64s %lld", &downloaded, ret->commit.object,
			   ret->commit.commit, &when) != 4)
			return false;
		ret->commit.time = when;
		ret->commit.downloaded = downloaded;
		return true;
	}
	if (sscanf(text, "url %d %71s %llu %lld", &downloaded, digest, &size, &when) != 4 ||
	    rb_digest_parse(digest, &ret->file.digest) < 0)
		return false;
	ret->file.size = size;
	ret->file.mtime = when;
	ret->file.downloaded = downloaded;
	return true;
}

int rb_remote_adopt(struct rb_solver *s, struct rb_plan_remote *r, const char *result,
		    bool *ret_cached, struct rb_error **err)
{
	struct remote_state *st = &s->remotes[r->index];

	if (!parse_result(result, r, st))
		return rb_fail(err, RB_ERR_CORRUPT, "a worker sent a malformed result");
	*ret_cached = r->git ? !st->commit.downloaded : !st->file.downloaded;
	return identify(r, st, &r->content, err);
}

bool rb_remote_known(struct rb_solver *s, struct rb_plan_remote *r)
{
	struct remote_state *st = &s->remotes[r->index];
	struct rb_remote_user user = {.secrets = s->in.secrets};
	const struct rb_remote_env env = rb_remote_env_of(s->in.store, &user);
	RB_CLEANUP(rb_git_ref_clear) struct rb_git_ref ref = {0};
	RB_CLEANUP(rb_error_freep) struct rb_error *why = NULL; /* the worker will say it again */
	struct rb_digest sum;

	if (r->git)
		return parse_git(r, &ref, &why) == 0 && rb_git_known(&env, &ref, &st->commit) &&
		       identify(r, st, &r->content, &why) == 0;
	return parse_checksum(r, &sum) && rb_url_known(&env, r->url, &sum, &st->file) &&
	       identify(r, st, &r->content, &why) == 0;
}

/* --- taking */

static int copy_url(struct rb_solver *s, const struct rb_vertex *v, const struct rb_plan_remote *r,
		    const struct rb_ignore *exclude, const struct rb_copy_spec *base,
		    struct rb_error **err)
{
	const struct rb_url_file *file = &s->remotes[r->index].file;
	const struct rb_copy_as as = {.mode = 0600, .mtime.tv_sec = file->mtime};
	struct rb_copy_spec spec = *base;
	char name[RB_URL_NAME_BYTES], hex[RB_DIGEST_TEXT_BYTES];
	RB_CLEANUP(rb_strp)
	char *path = rb_asprintf("blobs/sha256/%s", rb_digest_hex(&file->digest, hex));

	if (rb_store_drop_damaged(s->in.store, &file->digest))
		return rb_fail(err, RB_ERR_CORRUPT,
			       "its bytes in the store were damaged and are removed: build again "
			       "to fetch it");
	RB_CLEANUP(rb_closep) int blob = rb_store_open_blob(s->in.store, &file->digest, err);
	if (blob < 0 || rb_url_name(r->url, name, err) < 0)
		return -1;
	if (exclude && rb_ignore_matches(exclude, name, NULL))
		return 0;
	int archive = v->copy.unpack_urls ? rb_archive_detect(blob, r->shown, err) : 0;
	if (archive)
		return archive < 0 ? -1 : rb_archive_unpack(blob, &spec, err);
	spec.src_root_fd = rb_store_fd(s->in.store);
	spec.src_ledger = NULL;
	spec.src = path;
	spec.name = name;
	spec.skip = NULL;
	spec.as = &as;
	return rb_copy(&spec, err);
}

/* The contents of the repository, or of its subdirectory, go into the destination. */
static int copy_checkout(struct rb_solver *s, const struct rb_plan_remote *r,
			 const struct rb_remote_env *env, int dirfd,
			 const struct rb_ignore *exclude, const struct rb_copy_spec *base,
			 struct rb_error **err)
{
	RB_CLEANUP(rb_git_ref_clear) struct rb_git_ref ref = {0};
	RB_CLEANUP(rb_closep) int sub = -1;
	char path[] = ".";
	struct rb_match all = {.path = path, .name = path, .is_dir = true};
	struct rb_source_root root = {.exclude = exclude};
	struct rb_selection selection = {&root, &all};
	struct rb_copy_spec spec = *base;

	if (parse_git(r, &ref, err) < 0 || rb_git_checkout(env, &ref, &s->remotes[r->index].commit,
							   r->keep_git_dir, dirfd, err) < 0)
		return -1;
	sub = rb_git_open_subdir(dirfd, &ref, err);
	if (sub < 0)
		return -1;
	spec.src_root_fd = sub;
	spec.src_ledger = NULL;
	root.root_fd = sub;
	spec.src = spec.name = path;
	spec.skip = rb_source_skip;
	spec.skip_ctx = &selection;
	return rb_copy(&spec, err);
}

static int copy_git(struct rb_solver *s, const struct rb_plan_remote *r,
		    const struct rb_ignore *exclude, const struct rb_copy_spec *base,
		    struct rb_error **err)
{
	struct rb_remote_user user = {.secrets = s->in.secrets};
	const struct rb_remote_env env = rb_remote_env_of(s->in.store, &user);
	RB_CLEANUP(rb_closep) int tmp = rb_store_dir(s->in.store, "tmp", err);
	int store = rb_store_fd(s->in.store);
	char name[RB_STORE_TEMP_NAME_BYTES];

	if (tmp < 0)
		return -1;
	rb_store_temp_name(s->in.store, name);
	if (mkdirat(store, name, 0700) < 0)
		return rb_fail_errno(err, "cannot make a directory for a checkout");
	RB_CLEANUP(rb_closep)
	int dirfd = openat(store, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	int result = dirfd < 0 ? rb_fail_errno(err, "cannot open the directory of a checkout")
			       : copy_checkout(s, r, &env, dirfd, exclude, base, err);
	(void)rb_remove_tree_at(store, name);
	return result;
}

int rb_remote_copy(struct rb_solver *s, const struct rb_vertex *v, const struct rb_plan_remote *r,
		   const struct rb_ignore *exclude, const struct rb_copy_spec *base,
		   struct rb_error **err)
{
	if ((r->git ? copy_git(s, r, exclude, base, err) : copy_url(s, v, r, exclude, base, err)) ==
	    0)
		return 0;
	return rb_wrap(err, "%s", r->shown);
}
