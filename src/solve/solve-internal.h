/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by the files of solve/ only. */
#ifndef RB_SOLVE_SOLVE_INTERNAL_H
#define RB_SOLVE_SOLVE_INTERNAL_H

#include <signal.h>

#include "context/remote.h"
#include "exec/exec.h"
#include "exec/network.h"
#include "layer/copy.h"
#include "solve/scheduler.h"
#include "solve/solve.h"
#include "solve/worker.h"

enum { RB_ID_BYTES = 80 };

enum job_kind {
	JOB_CONFIG,      /* image: its config is known; work: pull */
	JOB_MATERIALIZE, /* image: its tree is unpacked; work: pull layers, unpack */
	JOB_CONTEXT,     /* context: the tree of a named one that lies elsewhere; work: fetch */
	JOB_EPOCH,       /* SOURCE_DATE_EPOCH is known; never work: it waits for what tells it */
	JOB_ELABORATE,   /* stage: instructions became vertices; never work */
	JOB_STAGE_END,   /* stage: its last vertex is done; never work */
	JOB_REMOTE,      /* URL, git repository: what is there now is known; work: ask, fetch */
	JOB_VERTEX,      /* work: RUN, COPY, WORKDIR */
	JOB_IMPORT,      /* work: results of other builds (import.c) */
	JOB_TASK,        /* work: whatever rb_solve_task() was given */
};

/* A RUN in progress (op-run.c), and what its mounts need (op-mounts.c). */
struct op_run;
struct op_mounts;

struct job {
	enum job_kind kind;
	union {
		struct rb_plan_image *image;
		struct rb_plan_stage *stage;
		struct rb_vertex *vertex;
		struct rb_plan_remote *remote;
		const struct rb_plan_context *context;
	};
	unsigned ev; /* number in the event stream, 0 before it was announced */
	bool running;
	struct rb_worker worker;
	struct op_run *run; /* RUN vertices only; NULL while a worker prepares its mounts */
	struct op_mounts *mounts;
	bool was_cached; /* found by the contents of its inputs */
};

struct vertex_state {
	unsigned node;
	bool known;    /* id is valid */
	bool missed;   /* looked up, not there */
	bool has_keys; /* those that can be known are */
	char id[RB_ID_BYTES];
	bool has_definition, has_content;
	struct rb_digest definition_key, content_key;
	struct rb_digest *content; /* of what is taken from each input (owned), as far as known: */
	bool *has_input;

	/* Set by import.c. */
	bool learned;    /* the next three are known */
	bool runs_again; /* itself, or something that it is made from */
	bool has_chain_key;
	struct rb_digest chain_key;
	bool needed;   /* for the target, given what was imported */
	bool imported; /* id is that of a tree that was built elsewhere */
};

struct image_state {
	unsigned config_node, materialize_node;
	bool has_materialize_node;
	struct rb_image_record record;
	struct rb_image_config config;
	char id[RB_ID_BYTES];    /* snapshot id of its tree, whether unpacked or not */
	bool has_snapshot_chain; /* id is a built snapshot, not "c-<chain id>" */
	unsigned ev;
	bool ev_ended;
};

/* A directory that files are taken from; what one pass reads of it is one step of the display. */
struct context_state {
	struct rb_statcache *statcache; /* opened at the first need */
	unsigned ev;                    /* "[internal] load build context", once a build */
	bool open;                      /* it has begun and not ended */
	bool has_node;                  /* its tree has to be fetched, by: */
	unsigned node;
};

struct remote_state {
	unsigned node;
	/* What was found, by kind. */
	struct rb_url_file file;
	struct rb_git_commit commit;
};

struct stage_state {
	bool added; /* it has its nodes */
	unsigned elaborate_node, end_node;
};

/* A copy of files of a context that this build's steps mount. */
struct held_copy {
	char id[RB_ID_BYTES];
	int fd; /* of rb_snapshot_hold() */
};

struct rb_solver {
	struct rb_solve_inputs in;
	struct rb_sched *sched;
	struct job **jobs; /* by node id */
	size_t n_jobs, cap_jobs;
	struct vertex_state *vertices; /* by vertex index */
	size_t n_vertices;
	struct image_state **images; /* by image index; more come, but none moves */
	size_t n_images;
	size_t n_stages; /* those that were added: as many as are needed */
	struct remote_state *remotes; /* by index */
	size_t n_remotes;
	struct stage_state *stages;     /* by stage index */
	struct context_state *contexts; /* the build context, then those of in.named */
	bool has_epoch_node;
	unsigned epoch_node;
	unsigned *n_events, own_events; /* event vertices announced, with those of solvers before */
	size_t n_warned;                /* warnings of the plan's checks that were emitted */
	int64_t start_ns;
	int signal_fd;      /* -1: not opened */
	sigset_t unblocked; /* the signal mask before that */
	struct held_copy *copies;
	size_t n_copies, cap_copies;
	struct rb_strv caches_used;   /* keys of cache mounts that this build has used */
	bool filter_ready;            /* rb_exec_filter_prepare() was called */
	struct rb_networks *networks; /* NULL: no step wanted one yet */
	struct job *failed;           /* RUN whose root was kept */
	struct op_run *failed_run;    /* and that root */
	struct import *import;        /* --cache-from, once somebody wants it */
	struct rb_error *error;       /* first failure */
};

/* Nodes and jobs (solve.c). */
/* Takes in what the plan has come to need, and the vertices it has made, since the last call. */
void rb_solve_extend(struct rb_solver *s);
struct job *rb_solve_add_job(struct rb_solver *s, enum job_kind kind, unsigned *ret_node);

/* The loop (loop.c). */
/* Blocks the signals that end a build and opens their descriptor, once. */
int rb_solve_open_signals(struct rb_solver *s, struct rb_error **err);
/* Looks up every node that is ready for it. */
int rb_solve_examine_all(struct rb_solver *s, struct rb_error **err);
/* Until nothing is left to do, or to the first failure; nothing runs any more when it returns. */
int rb_solve_loop(struct rb_solver *s, struct rb_error **err);

/* As rb_solve_announce(), with what the step is made from. */
unsigned rb_solve_announce_vertex(struct rb_solver *s, const struct rb_vertex *v);

/* Look-ups (lookup.c): examine a READY node; -1 with *err. */
int rb_solve_examine(struct rb_solver *s, unsigned node, struct rb_error **err);
/* Result id of the tree a vertex works on / a COPY takes from. */
const char *rb_solve_parent_id(struct rb_solver *s, const struct rb_vertex *v);
const char *rb_solve_root_id(struct rb_solver *s, const struct rb_root_ref *ref);

/* The node that fetches a named context, made at the first need. */
unsigned rb_solve_context_node(struct rb_solver *s, const struct rb_root_ref *ref);

/* SOURCE_DATE_EPOCH where something has to be asked for it (epoch.c). */
int rb_epoch_examine(struct rb_solver *s, unsigned node, struct rb_error **err);

/* Content of what a COPY takes from a context directory, once. */
int rb_solve_know_content(struct rb_solver *s, struct rb_vertex *v, struct rb_error **err);

/* Results that were built elsewhere (import.c). */
/* Whether there are sources to ask. */
bool rb_import_wants(const struct rb_solver *s);
/* The node waits until they have been asked, which happens once. */
void rb_import_wait(struct rb_solver *s, unsigned node);
/* From then on every vertex state says whether it is needed and whether it was imported. */
bool rb_import_is_done(const struct rb_solver *s);
int rb_import_examine(struct rb_solver *s, unsigned node, struct rb_error **err);
/* What its job does next, as a step of the display. */
const char *rb_import_job_name(const struct rb_solver *s);
/* Takes what the worker brought; false when it has to run again. */
bool rb_import_adopt(struct rb_solver *s, struct job *job);
void rb_import_free(struct import *import);
/* The key under which every builder would know the step's result; false: there is none. */
bool rb_solve_chain_key(struct rb_solver *s, const struct rb_vertex *v, struct rb_digest *ret);
struct op_import {
	struct rb_solver *solver;
};
rb_worker_fn rb_op_import;

/* Where files come from (tree.c). */
size_t rb_solve_n_contexts(const struct rb_solver *s);
/* Of a root of kind CONTEXT; NULL: there is none, and so no file. */
struct rb_context *rb_solve_context(const struct rb_solver *s, const struct rb_root_ref *ref);
struct context_state *rb_solve_context_state(struct rb_solver *s, const struct rb_root_ref *ref);
/* The directory that a root is, or NULL: it is a committed tree. */
struct rb_context *rb_solve_local_dir(const struct rb_solver *s, const struct rb_root_ref *ref);

/* Contexts that lie elsewhere (context-remote.c). */
/* Whether the tree is still to be fetched. */
bool rb_context_is_pending(const struct rb_context *c);
/* Sets the tree when it is there and no server need be asked: of a commit named by its id. */
void rb_context_known(struct rb_solver *s, struct rb_context *c);
/* Result: "TIME ID" of the tree. */
struct op_context {
	struct rb_solver *solver;
	const struct rb_plan_context *context;
};
rb_worker_fn rb_op_context;
int rb_context_adopt(struct rb_context *c, const char *result, struct rb_error **err);
/* Name of a tree that is made from these bytes in this way (context-tree.c). */
void rb_context_tree_id(const char *kind, const struct rb_digest *of, int64_t more,
			char id[static RB_ID_BYTES]);

/*
 * A root opened for reading: a context directory as it is, anything else as a read-only view of its
 * snapshot with its ledger. Inside the namespace, once the root's tree is there.
 */
struct source_tree {
	struct rb_source_root root;
	int view_fd;              /* owned; -1 for a directory */
	struct rb_ledger *ledger; /* owned; NULL for a directory */
};
int rb_source_tree_open(struct rb_solver *s, const struct rb_root_ref *ref, struct source_tree *ret,
			struct rb_error **err);
void rb_source_tree_clear(struct source_tree *t);
struct rb_source_root rb_source_root_of(const struct rb_context *dir);

/* Cache records (cache.c): key -> snapshot id, and (tree, sources) -> content checksum. */
bool rb_cache_get(struct rb_solver *s, const struct rb_digest *key, char id[static RB_ID_BYTES]);
int rb_cache_put(struct rb_solver *s, const struct rb_digest *key, const char *id,
		 struct rb_error **err);
bool rb_cache_get_checksum(struct rb_solver *s, const struct rb_vertex *v, size_t input,
			   struct rb_digest *ret);
int rb_cache_put_checksum(struct rb_solver *s, const struct rb_vertex *v, size_t input,
			  const struct rb_digest *checksum, struct rb_error **err);

/* Blobs that were read to their end once and have this diff ID. */
bool rb_cache_is_verified(struct rb_solver *s, const struct rb_digest *blob,
			  const struct rb_digest *diff_id);
int rb_cache_put_verified(struct rb_solver *s, const struct rb_digest *blob,
			  const struct rb_digest *diff_id, struct rb_error **err);

/* Images (op-image.c). */
/* Id of the tree made of the first n layers; shared by all images that begin with them. */
void rb_chain_snapshot_id(const struct rb_image_config *config, size_t n,
			  char id[static RB_ID_BYTES]);
struct rb_descriptor;
/* Unpacks a blob of the store over `parent` as the snapshot `id`; it must have the diff ID. */
int rb_unpack_layer(struct rb_solver *s, const char *parent, const char *id,
		    const struct rb_descriptor *layer, const struct rb_digest *diff_id,
		    struct rb_error **err);
int rb_image_load(struct rb_solver *s, struct rb_plan_image *image, struct rb_error **err);
rb_worker_fn rb_op_pull_config, rb_op_materialize;
bool rb_image_is_unpacked(struct rb_solver *s, const struct image_state *st);
/* Layers of an image, bottom to top, appended. */
int rb_image_layers(struct rb_solver *s, const struct rb_plan_image *image,
		    struct rb_solved_layer **layers, size_t *n, struct rb_error **err);
/* Whether all blobs of its layers are in the store and are what the config says of them. */
bool rb_image_has_blobs(struct rb_solver *s, const struct rb_plan_image *image);
struct op_image {
	struct rb_solver *solver;
	struct rb_plan_image *image;
	bool unpack; /* rb_op_materialize: make the tree */
	bool verify; /* rb_op_materialize: see that the blobs have the config's diff IDs */
};

/* COPY, ADD, WORKDIR (op-copy.c): workers whose result is "<1|0> <snapshot id>", 1 when it came
 * from the cache. */
struct op_files {
	struct rb_solver *solver;
	struct rb_vertex *vertex;
};
rb_worker_fn rb_op_copy, rb_op_workdir, rb_op_link;

/* What vertices take from other trees (inputs.c). */

/* The rules of --exclude, NULL when there are none; caller frees. */
int rb_copy_exclude(const struct rb_vertex_copy *copy, struct rb_ignore **ret,
		    struct rb_error **err);
/* What one source of a COPY names; clear *ret on error, too. */
int rb_copy_match(const struct rb_vertex_copy *copy, const struct rb_source_root *root,
		  const char *source, struct rb_matches *ret, struct rb_error **err);
/* Checksum of what the vertex takes from its input, whose tree is `root`: what the sources of a
 * COPY select, in order; what a mount shows. */
int rb_input_checksum(const struct rb_vertex *v, size_t input, const struct rb_source_root *root,
		      struct rb_statcache *sc, struct rb_digest *ret, struct rb_error **err);
/* For a mount of an image: its identity serves as its content. An image has the same files for
 * ever, and reading gigabytes of them to learn that would take longer than most steps. */
bool rb_input_identity(struct rb_solver *s, const struct rb_vertex *v, size_t input,
		       struct rb_digest *ret);
/* Fills the content key when the content of all inputs is known; whether it is. */
bool rb_input_content_key(struct rb_solver *s, const struct rb_vertex *v);
/* The input that a mount with a tree is. */
size_t rb_input_of_mount(const struct rb_vertex *v, const struct rb_vertex_mount *vm);
/* Copies an entry of a source to `dest` below dst_fd; of a directory its contents and metadata, but
 * not its owner. */
int rb_input_copy(const struct rb_source_root *root, const struct rb_match *m, int dst_fd,
		  struct rb_ledger *ledger, const char *dest, struct rb_error **err);
/* Computes what is not known of the content of the vertex's inputs, and its content key. */
int rb_input_compute(struct rb_solver *s, const struct rb_vertex *v, struct rb_error **err);

/* Sources by URL and git (op-remote.c). */
struct op_remote {
	struct rb_solver *solver;
	const struct rb_plan_remote *remote;
};
rb_worker_fn rb_op_remote;
/* Takes over what the worker found; *ret_cached: nothing had to be fetched. */
int rb_remote_adopt(struct rb_solver *s, struct rb_plan_remote *r, const char *result,
		    bool *ret_cached, struct rb_error **err);
/* Whether it is known without asking anybody, which it then is. */
bool rb_remote_known(struct rb_solver *s, struct rb_plan_remote *r);
/* Copies what `exclude` (may be NULL) leaves of it to where `base` says; what of base is about
 * sources does not count. */
int rb_remote_copy(struct rb_solver *s, const struct rb_vertex *v, const struct rb_plan_remote *r,
		   const struct rb_ignore *exclude, const struct rb_copy_spec *base,
		   struct rb_error **err);

/*
 * What the mounts of a RUN need before it can start (op-mounts.c). start, and resume when the
 * worker has ended well, give one of these, or -1.
 */
enum {
	RB_MOUNTS_BUSY = 1, /* job->worker is at work */
	RB_MOUNTS_READY,
	RB_MOUNTS_CACHED, /* the vertex's id is set: there is nothing to run */
};
int rb_op_mounts_start(struct rb_solver *s, struct job *job, struct rb_error **err);
int rb_op_mounts_resume(struct rb_solver *s, struct job *job, struct rb_error **err);
bool rb_op_mounts_have_owners(const struct op_mounts *m);
/* Mount i of the RUN: a bind, a cache or a tmpfs. */
struct rb_exec_mount rb_op_mounts_get(struct rb_solver *s, const struct rb_vertex *v,
				      const struct op_mounts *m, size_t i);
void rb_op_mounts_free(struct op_mounts *m);
/* Removes what was copied for the steps of this build, unless other builds use it. */
void rb_op_mounts_drop_copies(struct rb_solver *s);

/* RUN (op-run.c). start, and resume when a worker of its mounts has ended well: 1 when the step has
 * ended already, because its result is known; 0 when it is under way. */
int rb_op_run_start(struct rb_solver *s, struct job *job, struct rb_error **err);
int rb_op_run_resume(struct rb_solver *s, struct job *job, struct rb_error **err);
enum { RB_OP_RUN_FDS = 5 };
/* Descriptors to poll; -1 for those already closed. */
void rb_op_run_fds(const struct op_run *run, int fds[static RB_OP_RUN_FDS]);
/* Called when one of them is readable; true when the step has ended and rb_op_run_finish() is due.
 */
bool rb_op_run_pump(struct rb_solver *s, struct job *job);
/* Commits on success and writes the snapshot's id. */
int rb_op_run_finish(struct rb_solver *s, struct job *job, char id[static RB_ID_BYTES],
		     struct rb_error **err);
void rb_op_run_kill(struct job *job);
void rb_op_run_forget_failed(struct rb_solver *s);

#endif
