/* SPDX-License-Identifier: Apache-2.0 */
/* What a verb that works on a plan holds open: store, rung, context, Dockerfile, plan, solver,
 * progress. */
#ifndef RB_CLI_SESSION_H
#define RB_CLI_SESSION_H

#include "cli/build-options.h"
#include "cli/cli.h"
#include "cli/progress/progress.h"
#include "context/context.h"
#include "plan/plan.h"
#include "snapshot/snapshot.h"
#include "solve/secrets.h"
#include "solve/solve.h"
#include "solve/ssh.h"

/* What the context argument is (dockerfile.md 5.4). */
enum rb_input_kind {
	RB_INPUT_DIR,
	RB_INPUT_DOCKERFILE, /* "-": the Dockerfile itself, of a build without files */
	RB_INPUT_ARCHIVE,    /* "-": an archive */
	RB_INPUT_GIT,
	RB_INPUT_URL,
};
struct rb_input {
	enum rb_input_kind kind;
	const char *context, *file; /* as given; NULL before it is known */
	struct rb_spool spool;      /* what standard input was; fd 0: it was not read */
	struct rb_git_wishes git;
};

struct rb_session {
	struct rb_cli *cli;
	struct rb_store *store;
	struct rb_host host;
	struct rb_snapshotter *snapshots;
	struct rb_input input;
	struct rb_context *context;      /* NULL: none */
	struct rb_context *const *named; /* of --build-context; borrowed */
	bool inside;                     /* of the user namespace */
	char *file; /* name of the Dockerfile in messages; NULL: none that a user wrote */
	struct rb_buf text;
	struct rb_dockerfile *df;
	struct rb_lint lint;  /* what rb_session_define() and later planning warn of */
	struct rb_plan *plan; /* of the first platform */
	struct rb_progress *progress;
	struct rb_event_sink sink;
	unsigned n_events; /* announced before there is a solver */
	int64_t start_ns;
	bool network_noticed;
	struct rb_solve_options options;
	struct rb_secrets *secrets; /* NULL: none, as of ssh */
	struct rb_ssh *ssh;
	char build_id[40];
	struct rb_solver *solver; /* of the first platform */
	/* All platforms of the build, the first included; each is looked up and run after those
	 * before it. */
	struct rb_session_platform {
		struct rb_plan *plan;
		struct rb_solver *solver;
	} * platforms;
	size_t n_platforms;
};

#define RB_SESSION_INIT                                                                            \
	{                                                                                          \
		.text = RB_BUF_INIT                                                                \
	}

/* Store, rung and snapshots. */
int rb_session_open(struct rb_session *s, struct rb_cli *cli, struct rb_error **err);
/*
 * Begins a build: takes what --secret and --ssh lend, tells what the context argument is and calls
 * fn, which reads it by rb_session_read() and goes on. A context that is no directory becomes a
 * tree of the store, so fn runs in the user namespace then, as by rb_session_enter(); its exit
 * status is returned.
 */
int rb_session_start(struct rb_session *s, const struct rb_build_options *o, const char *context,
		     int (*fn)(void *ctx), void *ctx, struct rb_error **err);
/* The context and the Dockerfile (dockerfile.md 5.1). `file` NULL: the default names. */
int rb_session_read(struct rb_session *s, const char *context, const char *file,
		    struct rb_error **err);
/* A one-line Dockerfile for verbs that take an image: FROM image. */
int rb_session_from(struct rb_session *s, const char *image, struct rb_error **err);
/* "auto" (NULL), "plain", "tty", "quiet"; USAGE for others. */
int rb_session_progress(struct rb_session *s, const char *kind, struct rb_error **err);
/* Parses and plans what was read, with its checks. `options` platforms are filled in when their os
 * is "". */
int rb_session_define(struct rb_session *s, struct rb_plan_options *options, struct rb_error **err);
/* The same, and makes the solver. */
int rb_session_plan(struct rb_session *s, struct rb_plan_options *options, struct rb_error **err);

/* The same for each of n platforms, at least one. */
int rb_session_plan_all(struct rb_session *s, struct rb_plan_options *options,
			const struct rb_platform *platforms, size_t n, struct rb_error **err);

/*
 * Does what is left in the user namespace, in which the session may be already: fn runs as uid 0 in
 * it, reports its errors itself and returns an exit status.
 */
int rb_session_enter(struct rb_session *s, int (*fn)(void *ctx), void *ctx, struct rb_error **err);

/* Removes what killed builds left half-made in the store. Inside the namespace. */
void rb_session_reap(struct rb_session *s);

/* The Dockerfile for rb_cli_report(). */
struct rb_cli_source rb_session_source(const struct rb_session *s);
void rb_session_clear(struct rb_session *s);

#endif
