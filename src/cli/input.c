// SPDX-License-Identifier: Apache-2.0
/* The context argument and the Dockerfile: what they are and where they come from (dockerfile.md
 * 5.1, 5.4). */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/sys.h"
#include "cli/session.h"
#include "dockerfile/gitref.h"
#include "solve/worker.h"

/* The Dockerfile has no name when it comes from a stream; messages need one. */
#define STREAM_NAME "Dockerfile"

static bool is_url(const char *text)
{
	return rb_starts_with(text, "http://") || rb_starts_with(text, "https://");
}

static bool is_stdin(const char *text)
{
	return text && rb_streq(text, "-");
}

/* --- what it is */

static int read_stdin(struct rb_session *s, struct rb_spool *ret, struct rb_error **err)
{
	if (rb_spool_read(s->store, STDIN_FILENO, ret, err) == 0)
		return 0;
	return rb_error_push(err, RB_ERR_CONTEXT, 0, RB_HERE, "unable to prepare context");
}

/* Standard input is an archive, or the Dockerfile of a build without files. */
static int classify_stdin(struct rb_session *s, struct rb_error **err)
{
	struct rb_input *in = &s->input;

	if (is_stdin(in->file))
		return rb_fail(
			err, RB_ERR_USAGE,
			"invalid argument: can't use stdin for both build context and dockerfile");
	if (read_stdin(s, &in->spool, err) < 0)
		return -1;
	int r = rb_context_is_archive(in->spool.fd, "the standard input", err);
	if (r < 0)
		return rb_wrap(err, "unable to prepare context");
	in->kind = r ? RB_INPUT_ARCHIVE : RB_INPUT_DOCKERFILE;
	if (!r && in->file)
		return rb_fail(
			err, RB_ERR_USAGE,
			"ambiguous Dockerfile source: both stdin and flag correspond to Dockerfiles");
	return 0;
}

/* Tells what the context argument is; reads standard input as far as it is one. */
static int classify(struct rb_session *s, const char *context, const char *file,
		    struct rb_error **err)
{
	struct rb_input *in = &s->input;
	struct stat st;

	in->context = context;
	in->file = file;
	if (is_stdin(context))
		return classify_stdin(s, err);
	/* What is there is a directory, whatever else its name may look like. */
	bool exists = stat(context, &st) == 0, dir = exists && S_ISDIR(st.st_mode);
	if (exists && S_ISREG(st.st_mode))
		return rb_fail(err, RB_ERR_CONTEXT,
			       "unable to prepare context: \"%s\" is not a directory: name the "
			       "directory, and a Dockerfile with -f FILE (for an archive write - < "
			       "FILE)",
			       context);
	if (!dir && rb_git_ref_is(context, true))
		in->kind = RB_INPUT_GIT;
	else if (!dir && is_url(context))
		in->kind = RB_INPUT_URL;
	else
		in->kind = RB_INPUT_DIR;
	return is_stdin(file) ? read_stdin(s, &in->spool, err) : 0;
}

/* --- trees */

/* A worker that makes the tree; its result is "<0|1> TIME <id>", 1 for an archive. */
static int make_tree(void *ctx, struct rb_worker_port *port, struct rb_error **err)
{
	struct rb_session *s = ctx;
	const struct rb_input *in = &s->input;
	RB_CLEANUP(rb_remote_end_loan)
	struct rb_remote_user user = {.secrets = s->secrets, .port = port, .ssh = s->ssh};
	struct rb_remote_env env = rb_remote_env_of(s->store, &user);
	bool archive = true;
	char id[RB_TREE_ID_BYTES];
	int64_t when = -1;
	int r;

	if (in->kind == RB_INPUT_GIT && rb_remote_lend(&user, &env, err) < 0)
		return -1;
	if (in->kind == RB_INPUT_ARCHIVE)
		r = rb_context_tree_archive(s->snapshots, in->spool.fd, &in->spool.digest, id, err);
	else if (in->kind == RB_INPUT_GIT)
		r = rb_context_tree_git(s->snapshots, &env, in->context, &in->git, id, &when, err);
	else
		r = rb_context_tree_url(s->snapshots, &env, in->context, true, &archive, id, &when,
					err);
	if (r < 0)
		return in->kind == RB_INPUT_ARCHIVE ? rb_wrap(err, "unable to prepare context")
						    : -1;
	RB_CLEANUP(rb_strp) char *text = rb_asprintf("%d %lld %s", archive, (long long)when, id);
	rb_worker_result(port, text, strlen(text));
	return 0;
}

struct shown {
	struct rb_session *s;
	unsigned ev;
};

static void emit(const struct shown *to, enum rb_event_kind kind, const char *text)
{
	const struct rb_event ev = {
		.kind = kind,
		.vertex = to->ev,
		.time_ns = rb_monotonic_ns() - to->s->start_ns,
		.name = kind == RB_EV_ADD ? text : NULL,
		.data = kind == RB_EV_ADD ? NULL : text,
		.len = text && kind != RB_EV_ADD ? strlen(text) : 0,
	};

	if (to->s->sink.event)
		to->s->sink.event(to->s->sink.ctx, &ev);
}

static void show_status(void *ctx, const char *text)
{
	emit(ctx, RB_EV_STATUS, text);
}

/* The worker to its end. There is no plan yet, and so no solver whose loop could wait for it. */
static int run_worker(struct shown *shown, struct rb_worker *w, struct rb_error **err)
{
	const struct rb_event_sink *sink = &shown->s->sink;

	for (;;) {
		struct pollfd p = {.fd = w->fd, .events = POLLIN};
		int timeout =
			sink->tick ? sink->tick(sink->ctx, rb_monotonic_ns() - shown->s->start_ns)
				   : -1;

		if (poll(&p, 1, timeout) > 0 && rb_worker_read(w, show_status, shown))
			return rb_worker_finish(w, err);
	}
}

static int tree_worker(struct shown *shown, struct rb_worker *w, struct rb_error **err)
{
	RB_CLEANUP(rb_strp) char *shown_as = rb_url_redact(shown->s->input.context);
	RB_CLEANUP(rb_strp)
	char *name = shown->s->input.kind == RB_INPUT_ARCHIVE
			     ? rb_strdup("[internal] load remote build context")
			     : rb_asprintf("[internal] load remote build context %s", shown_as);

	emit(shown, RB_EV_ADD, name);
	emit(shown, RB_EV_START, NULL);
	if (rb_worker_start(make_tree, shown->s, w, err) == 0 && run_worker(shown, w, err) == 0) {
		emit(shown, RB_EV_DONE, NULL);
		return 0;
	}
	RB_CLEANUP(rb_strp) char *text = rb_error_text(*err);
	emit(shown, RB_EV_ERROR, text);
	return -1;
}

static int load_tree(struct rb_session *s, bool *ret_archive, struct rb_error **err)
{
	if (!s->inside)
		rb_bug("a context that is no directory is read by rb_session_start() only");
	struct shown shown = {.s = s, .ev = ++s->n_events};
	struct rb_worker w = RB_WORKER_INIT;
	int r = tree_worker(&shown, &w, err), archive;
	char id[RB_TREE_ID_BYTES];
	long long when;

	if (r == 0 && sscanf(w.result.ptr, "%d %lld %79s", &archive, &when, id) != 3)
		r = rb_fail(err, RB_ERR_CORRUPT, "a worker sent a malformed result");
	if (r == 0) {
		*ret_archive = archive;
		s->context = rb_context_new(RB_CONTEXT_TREE, s->input.context);
		s->context->tree = rb_strdup(id);
		s->context->time = when;
		s->context->is_archive = archive && s->input.kind != RB_INPUT_GIT;
	}
	rb_buf_clear(&w.result);
	return r;
}

/* --- the Dockerfile */

static int stream_dockerfile(struct rb_session *s, struct rb_error **err)
{
	rb_buf_clear(&s->text);
	if (lseek(s->input.spool.fd, 0, SEEK_SET) < 0)
		return rb_fail_errno(err, "cannot rewind the Dockerfile");
	if (rb_read_fd(s->input.spool.fd, RB_DOCKERFILE_BYTES_MAX, &s->text, err) < 0)
		return rb_error_push(err, RB_ERR_CONTEXT, 0, RB_HERE,
				     "failed to read dockerfile: the standard input");
	s->file = rb_strdup(STREAM_NAME);
	return 0;
}

static int url_dockerfile(struct rb_session *s, struct rb_error **err)
{
	struct rb_remote_user user = {.secrets = s->secrets};
	const struct rb_remote_env env = rb_remote_env_of(s->store, &user);
	struct rb_url_file file;

	rb_buf_clear(&s->text);
	if (rb_url_fetch(&env, s->input.file, NULL, &file, err) < 0 ||
	    rb_store_read_blob(s->store, &file.digest, RB_DOCKERFILE_BYTES_MAX, &s->text, err) < 0)
		return rb_error_push(err, RB_ERR_CONTEXT, 0, RB_HERE, "failed to read dockerfile");
	s->file = rb_strdup(file.name);
	return 0;
}

/* Of a tree: `file` is relative to its root, and an absolute one is this machine's. */
static int tree_dockerfile(struct rb_session *s, const char *file, struct rb_error **err)
{
	if (file && *file == '/')
		return rb_context_host_dockerfile(file, &s->text, &s->file, err);
	RB_CLEANUP(rb_closep) int fd = rb_snapshot_view(s->snapshots, s->context->tree, err);
	return fd < 0 ? -1 : rb_context_tree_dockerfile(fd, file, &s->text, &s->file, err);
}

/* The one file of a tree that was made of it; messages call it as the URL does. */
static int only_dockerfile(struct rb_session *s, struct rb_error **err)
{
	char name[RB_URL_NAME_BYTES];

	if (tree_dockerfile(s, RB_URL_CONTEXT_NAME, err) < 0 ||
	    rb_url_name(s->input.context, name, err) < 0)
		return -1;
	free(s->file);
	s->file = rb_strdup(name);
	return 0;
}

static int read_dir(struct rb_session *s, struct rb_error **err)
{
	const char *file = s->input.file;

	if (rb_context_open(s->input.context, &s->context, err) < 0)
		return -1;
	if (!file || !(is_stdin(file) || is_url(file)))
		return rb_context_dockerfile(s->context, file, &s->text, &s->file, err);
	if (rb_context_load_ignore(s->context, err) < 0)
		return -1;
	return is_stdin(file) ? stream_dockerfile(s, err) : url_dockerfile(s, err);
}

static int read_tree(struct rb_session *s, struct rb_error **err)
{
	const char *file = s->input.file;
	bool archive = true;

	if (load_tree(s, &archive, err) < 0)
		return -1;
	if (is_stdin(file))
		return stream_dockerfile(s, err);
	if (file && is_url(file))
		return url_dockerfile(s, err);
	/* A URL that is no archive is the Dockerfile, whatever -f says. */
	return archive ? tree_dockerfile(s, file, err) : only_dockerfile(s, err);
}

int rb_session_read(struct rb_session *s, const char *context, const char *file,
		    struct rb_error **err)
{
	if (!s->input.context && classify(s, context, file, err) < 0)
		return -1;
	switch (s->input.kind) {
	case RB_INPUT_DIR:
		return read_dir(s, err);
	case RB_INPUT_DOCKERFILE:
		s->context = rb_context_new(RB_CONTEXT_TREE, "-");
		s->context->tree = rb_strdup("");
		return stream_dockerfile(s, err);
	case RB_INPUT_ARCHIVE:
	case RB_INPUT_GIT:
	case RB_INPUT_URL:
		return read_tree(s, err);
	}
	rb_bug("unknown input");
}

/* With an epoch the time of a checkout would be the one thing that is never the same (5.5). */
static bool wants_epoch(const struct rb_env *args)
{
	const char *epoch = rb_env_get(args, "SOURCE_DATE_EPOCH");

	return epoch && *epoch;
}

/* What --secret and --ssh give. A context may need it already, so whatever reads one has it. */
static int lend(struct rb_session *s, const struct rb_build_options *o, struct rb_error **err)
{
	s->secrets = rb_secrets_new();
	s->ssh = rb_ssh_new();
	for (size_t i = 0; i < o->secrets.n; i++)
		if (rb_secrets_add(s->secrets, o->secrets.v[i], err) < 0)
			return rb_wrap(err, "--secret");
	for (size_t i = 0; i < o->ssh.n; i++)
		if (rb_ssh_add(s->ssh, o->ssh.v[i], err) < 0)
			return rb_wrap(err, "--ssh");
	return 0;
}

int rb_session_start(struct rb_session *s, const struct rb_build_options *o, const char *context,
		     int (*fn)(void *ctx), void *ctx, struct rb_error **err)
{
	s->named = o->named.opened;
	const char *keep = rb_env_get(&o->args, "BUILDKIT_CONTEXT_KEEP_GIT_DIR");
	if (keep)
		(void)rb_parse_bool(keep, &s->input.git.keep_git_dir);
	s->input.git.commit_time = wants_epoch(&o->args);
	if (lend(s, o, err) < 0 || classify(s, context, o->file, err) < 0)
		return -1;
	if (s->input.kind == RB_INPUT_DIR || s->input.kind == RB_INPUT_DOCKERFILE)
		return fn(ctx);
	return rb_session_enter(s, fn, ctx, err);
}
