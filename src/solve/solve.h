/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Computes the result of a plan: cache look-ups, and what they do not answer by running, copying
 *and pulling.
 *
 *	rb_solver_new -> rb_solve_lookup (outside the user namespace; files the caller owns, nothing
 *is started)
 *	              -> rb_solve_run    (inside, when the look-up left work; may be in a fork of
 *the process)
 *	              -> rb_solve_image  (what came out)
 *
 * Both steps drive the same scheduler; the second goes on where the first one stopped. The process
 *stays single-threaded.
 */
#ifndef RB_SOLVE_SOLVE_H
#define RB_SOLVE_SOLVE_H

#include "context/context.h"
#include "context/remote.h"
#include "host/host.h"
#include "plan/plan.h"
#include "snapshot/snapshot.h"
#include "solve/cache-source.h"
#include "solve/events.h"
#include "solve/secrets.h"
#include "solve/ssh.h"
#include "store/store.h"

struct rb_solver;
struct rb_exec;
struct rb_exec_settings; /* exec/exec.h */
struct rb_worker_port;

struct rb_solve_options {
	unsigned jobs; /* steps that run at a time; at least 1 */
	bool pull;     /* ask the registry even for names that the store knows */
	bool debug;
	bool keep_failed;     /* the root of a RUN that fails, for rb_solve_failed_shell() */
	const char *build_id; /* names the directory of logs */
	const struct rb_exec_settings *settings;     /* of all steps; NULL: none */
	const struct rb_cache_source *cache_sources; /* --cache-from; borrowed */
	size_t n_cache_sources;
};

/*
 * All borrowed for the solver's life. `context` may be NULL when the plan does not need one.
 * `named`: what the plan's options->contexts[i] are; NULL for those that are images.
 */
struct rb_solve_inputs {
	struct rb_plan *plan;
	struct rb_store *store;
	struct rb_snapshotter *snapshots;
	const struct rb_host *host;
	struct rb_context *context;
	struct rb_context *const *named;
	const struct rb_solve_options *options;
	const struct rb_event_sink *sink;
	struct rb_secrets *secrets; /* what steps may ask for; NULL: nothing, as of ssh */
	struct rb_ssh *ssh;
	unsigned n_events; /* that the caller has announced to the sink before */
	int64_t start_ns;  /* CLOCK_MONOTONIC that event times count from; 0: now */
	/*
	 * The solver of another platform of this build, or NULL: looked up and run before this one.
	 * Its events and its clock go on here, and its results are taken where a step is the same,
	 * also with --no-cache.
	 */
	struct rb_solver *before;
	bool *network_noticed; /* that steps share the host's network: told once a build */
};

struct rb_solver *rb_solver_new(const struct rb_solve_inputs *in);
void rb_solver_free(struct rb_solver *s);
RB_DEFINE_CLEANUP(rb_solver)

/* 1: every needed result is known; 0: work is left; -1: error (a missing COPY source, a bad
 * expansion, ...). */
int rb_solve_lookup(struct rb_solver *s, struct rb_error **err);

/*
 * Runs what is left. The first failure stops everything else and is the error; what was built stays
 * cached. RB_ERR_CANCELLED on SIGINT, SIGTERM, SIGHUP or when the sink is broken; a second SIGINT
 * ends the process at once.
 */
int rb_solve_run(struct rb_solver *s, struct rb_error **err);
/*
 * After a run that failed at a RUN, with keep_failed: a shell in the root that it left, with its
 * environment, mounts, user and confinement, on the terminal tty_fd; `term` is TERM for it. *ret
 * belongs to the solver; the caller follows it to its end. NULL with *err NULL: nothing was kept.
 */
struct rb_exec *rb_solve_failed_shell(struct rb_solver *s, int tty_fd, const char *term,
				      struct rb_error **err);
/* SHELL, without what makes it read a script, for a person to type into: appended. */
void rb_solve_shell(const struct rb_strv *shell, struct rb_strv *ret);
bool rb_solve_has_failed_step(const struct rb_solver *s);
/* Gives the signals that end a build back to the caller, who goes on without the solver. */
void rb_solve_release_signals(struct rb_solver *s);

/* For `rbuild plan`: what the look-up found of a vertex. */
enum rb_outlook { RB_OUTLOOK_CACHED, RB_OUTLOOK_BUILD };
enum rb_outlook rb_solve_outlook(const struct rb_solver *s, const struct rb_vertex *v);
/* Whether an image's name is bound in the store (else it has to be pulled). */
bool rb_solve_image_is_local(const struct rb_solver *s, const struct rb_plan_image *image);

/* Whether a named context is at hand (else it has to be fetched). */
bool rb_solve_context_is_local(const struct rb_solver *s, const struct rb_plan_context *context);

/* Config digest of an image whose config is known. Borrowed. */
const struct rb_digest *rb_solve_image_id(const struct rb_solver *s,
					  const struct rb_plan_image *image);

/* One layer of the result: a blob of the store, or a snapshot, or both. */
struct rb_solved_layer {
	char snapshot[80]; /* "" for a base layer that was never unpacked */
	bool has_diff;
	struct rb_digest diff_id;
	bool has_blob;
	struct rb_digest blob;
	uint64_t blob_size;
	char media_type[80];
};

/* What the metadata of a snapshot says of its layer. */
void rb_solved_layer_set(struct rb_solved_layer *l, const struct rb_snapshot_meta *meta);

struct rb_solved_image {
	struct rb_image_config config;  /* history complete with times, as is `created`, where there
					   is a layer that has one; diff_ids only as far as known */
	struct rb_solved_layer *layers; /* bottom to top */
	size_t n_layers;
	size_t n_base_layers, n_base_history; /* that came with the base image */
	bool has_epoch;                       /* SOURCE_DATE_EPOCH; the times are still their own */
	int64_t epoch;
	char top[80]; /* snapshot id of the whole tree: "" for an empty root. May not be unpacked
			 yet. */
};

/* The target's image after a complete look-up or run. */
int rb_solve_image(struct rb_solver *s, struct rb_solved_image *ret, struct rb_error **err);
void rb_solved_image_clear(struct rb_solved_image *im);

/*
 * Makes sure that the target's tree is unpacked (`tree`) and that its base layers' blobs are in the
 * store (`blobs`), for exporters that need them. Inside the namespace when something has to be
 * done; *ret_work tells whether it has, in which case, called with `may_work` false, nothing is
 * done.
 */
int rb_solve_materialize(struct rb_solver *s, bool tree, bool blobs, bool may_work, bool *ret_work,
			 struct rb_error **err);

/* A step whose result is known, for --cache-to. */
struct rb_solved_step {
	struct rb_digest key; /* under which other builds look for it (import.c) */
	char snapshot[80];
	bool of_target; /* its layer is one of the result's */
};
/* After a complete look-up or run; the caller frees *ret. */
void rb_solve_steps(struct rb_solver *s, struct rb_solved_step **ret, size_t *ret_n);

/* Runs fn in a worker as a vertex of the progress ("exporting to oci image format"); its result
 * goes to *ret. */
int rb_solve_task(struct rb_solver *s, const char *name,
		  int (*fn)(void *ctx, struct rb_worker_port *port, struct rb_error **err),
		  void *ctx, struct rb_buf *ret, struct rb_error **err);

/* --- what lies elsewhere: who asks for it (op-remote.c) */

struct rb_remote_user {
	struct rb_secrets *secrets;  /* for authentication; NULL: none */
	struct rb_worker_port *port; /* hears of the progress; NULL: nobody does */
	struct rb_ssh *ssh;          /* for rb_remote_lend(); NULL: no agents */
	struct rb_ssh_loan loan;     /* zero before that */
};
/* Borrows what the user has. */
struct rb_remote_env rb_remote_env_of(struct rb_store *store, struct rb_remote_user *user);
/*
 * Gives git the agent "default", if there is one: any repository may have submodules that are
 * reached by ssh. In a process without threads; rb_remote_end_loan() ends it.
 */
int rb_remote_lend(struct rb_remote_user *user, struct rb_remote_env *env, struct rb_error **err);
void rb_remote_end_loan(struct rb_remote_user *user);

/* --- contexts that are no directory of this machine (context-tree.c, context-remote.c)
 *
 * Each makes a committed tree, unless it is there, and writes its id. Inside the namespace, in a
 * worker: they read what strangers wrote. Errors begin "unable to prepare context". */

enum { RB_TREE_ID_BYTES = 80 };
/* What a downloaded file is called in its tree. */
#define RB_URL_CONTEXT_NAME "context"

/* An open archive, compressed or not, whose bytes have that digest. Keeps owners, modes, times. */
int rb_context_tree_archive(struct rb_snapshotter *snapshots, int fd,
			    const struct rb_digest *digest, char ret_id[static RB_TREE_ID_BYTES],
			    struct rb_error **err);
/* The time of the newest regular file of a tree; -1 when it has none. */
int rb_context_tree_newest(struct rb_snapshotter *snapshots, const char *id, int64_t *ret,
			   struct rb_error **err);
/* What the reference itself may override. */
struct rb_git_wishes {
	bool keep_git_dir;
	bool commit_time; /* files have the commit's time, not that of the checkout */
};
/* A git reference (5.5): the tree of its commit, or the subdirectory of it. *ret_time: of the
 * commit. */
int rb_context_tree_git(struct rb_snapshotter *snapshots, const struct rb_remote_env *env,
			const char *text, const struct rb_git_wishes *wishes,
			char ret_id[static RB_TREE_ID_BYTES], int64_t *ret_time,
			struct rb_error **err);
/* A file by HTTP; *ret_archive tells whether it was an archive, which `unpack_archive` unpacks.
 * *ret_time: Last-Modified, or -1. */
int rb_context_tree_url(struct rb_snapshotter *snapshots, const struct rb_remote_env *env,
			const char *url, bool unpack_archive, bool *ret_archive,
			char ret_id[static RB_TREE_ID_BYTES], int64_t *ret_time,
			struct rb_error **err);

/* Nanoseconds since the solver was made: the clock of its events. */
int64_t rb_solve_now_ns(const struct rb_solver *s);
/* An event vertex for work the caller does itself ("[internal] load build definition"). */
unsigned rb_solve_announce(struct rb_solver *s, const char *name);
void rb_solve_emit(struct rb_solver *s, unsigned ev, enum rb_event_kind kind, const char *text);
/* Emits the warnings of the plan's checks that were not emitted before. */
void rb_solve_warn(struct rb_solver *s, unsigned ev);

#endif
