/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From instructions to a graph of vertices (dockerfile.md 3 and 4). Pure: no I/O, no clock, no
 * globals.
 *
 * Two steps, because ENV expansion, USER and WORKDIR need the base image's config, and that is I/O:
 *  1. rb_plan_new() resolves names, the target and reachability. It names the images whose configs
 * are needed (plan->images); a stage that the target does not need is never elaborated and its
 * image never asked for.
 *  2. rb_plan_elaborate() turns a stage into vertices once its base's config (or its parent stage)
 * is known. It may be called in any order that respects base edges. ONBUILD triggers of the base
 * become known here, and what they name is needed from then on: after each call there may be more
 * needed stages, and more images at the end of plan->images.
 */
#ifndef RB_PLAN_PLAN_H
#define RB_PLAN_PLAN_H

#include "base/arena.h"
#include "base/digest.h"
#include "base/error.h"
#include "base/mode.h"
#include "dockerfile/dockerfile.h"
#include "dockerfile/expand.h"
#include "dockerfile/lint.h"
#include "dockerfile/mount.h"
#include "image/config.h"
#include "image/platform.h"

enum rb_network_mode { RB_NETWORK_DEFAULT, RB_NETWORK_NONE, RB_NETWORK_HOST };

/* --allow: what a Dockerfile may only have when the command line says so (threats S24). */
enum rb_entitlement {
	RB_ALLOW_NETWORK_HOST = 1,
	RB_ALLOW_SECURITY_INSECURE = 2,
	RB_ALLOW_DEVICE = 4,
};

/*
 * A build context beside the main one (--build-context, 4.5). What it is called and what it stands
 * for; opening it is the solver's matter.
 */
enum rb_named_kind {
	RB_NAMED_TREE,   /* files: a directory, a repository, a download */
	RB_NAMED_IMAGE,  /* docker-image:// */
	RB_NAMED_LAYOUT, /* oci-layout:// */
};
struct rb_plan_context {
	size_t index;         /* in the options' list */
	const char *name;     /* as rb_plan_context_key() writes it */
	const char *platform; /* of NAME::os/arch; "" where it is for all */
	enum rb_named_kind kind;
	const char *image; /* IMAGE: the reference, or "scratch"; LAYOUT: as given */
};

struct rb_plan_options {
	const char *target;              /* NULL: the last stage; a name in any case, or a number */
	const struct rb_env *build_args; /* --build-arg */
	const struct rb_labels *labels;  /* --label, merged last into the target */
	struct rb_platform build_platform; /* where we run */
	struct rb_platform target_platform;
	bool platform_is_default; /* nobody asked for one: the target's is that of this machine */
	bool several_platforms;   /* of one build: names of steps tell which */
	enum rb_network_mode network; /* --network: default of RUN */
	unsigned allow;               /* of enum rb_entitlement */
	const char *hostname;         /* of RUN; NULL: the usual one. A build argument wins */
	/* What else the command line says of all RUNs and belongs into their keys; NULL: nothing.
	 */
	const struct rb_strv *run_key;
	bool no_cache;
	const struct rb_strv *no_cache_stages;  /* names in any case; NULL: none */
	const struct rb_plan_context *contexts; /* --build-context; of one name the last counts */
	size_t n_contexts;
	bool all_stages;      /* every stage is needed, not only what the target is made from */
	struct rb_lint *lint; /* collects what is worth a warning; or NULL */
};

/* An image that FROM or COPY --from names; one per distinct reference and platform. */
struct rb_plan_image {
	size_t index;
	const char *name;  /* normalised reference */
	const char *shown; /* as a person writes it */
	struct rb_platform platform;
	const struct rb_plan_context *layout; /* where it is taken from; NULL: store or registry */
	unsigned line_first, line_last;       /* where it is named first */
	const struct rb_image_config *config; /* set by the caller before elaboration; borrowed */
	const char *near_stage; /* "biuld (did you mean build?)" when a stage is called nearly so,
				   or "" */
	bool assumed; /* set by the caller: the config stands in for one that nobody has */
	const struct rb_stage_state *state; /* internal: what stages start with; NULL: none yet */
};

enum rb_root_kind { RB_ROOT_SCRATCH, RB_ROOT_STAGE, RB_ROOT_IMAGE, RB_ROOT_CONTEXT };

/* Where a tree comes from before anything is done to it. */
struct rb_root_ref {
	enum rb_root_kind kind;
	struct rb_plan_stage *stage; /* RB_ROOT_STAGE: the end of that stage */
	struct rb_plan_image *image; /* RB_ROOT_IMAGE */
	/* RB_ROOT_CONTEXT: NULL is the build context itself. Of a stage's base: the named context
	 * that it is, whatever the kind. */
	const struct rb_plan_context *context;
};

enum rb_vertex_kind { RB_VERTEX_RUN, RB_VERTEX_COPY, RB_VERTEX_WORKDIR, RB_VERTEX_LINK };

/* More than anybody writes; what a step needs for each is bounded by it. */
enum { RB_RUN_MOUNTS_MAX = 64 };

/* One mount of a RUN, complete: the defaults of 3.2 are filled in. */
struct rb_vertex_mount {
	/*
	 * target: absolute, clean, not "/"; NULL for a secret that is only a variable.
	 * source: bind, cache: absolute, clean; NULL: all of the tree. Others: NULL.
	 * id: cache: with its name space; secret, ssh: as given.
	 * mode, uid, gid: set where the type has them.
	 */
	struct rb_run_mount spec;
	size_t written; /* its place among the mounts of the RUN as written */
	bool has_tree;  /* bind: what is mounted; cache: what it starts with: */
	struct rb_root_ref from;
};

struct rb_vertex_run {
	struct rb_words argv;
	const struct rb_scope *scope; /* internal: see rb_vertex_env() */
	const char *cwd;
	const char *user; /* "" is root */
	enum rb_network_mode network;
	struct rb_vertex_mount *mounts; /* sorted by target, parents first */
	size_t n_mounts;
	struct rb_vertex_mount **trees; /* those that have one, in this order */
	size_t n_trees;
	bool insecure;        /* --security=insecure */
	const char *hostname; /* NULL: the usual one */
	const struct rb_device *devices;
	size_t n_devices;
	const struct rb_strv *extra_key; /* may be NULL */
	const char *script_name;         /* one-heredoc RUN with "#!" or NULL */
	const char *script_body;
};

/* A URL or git repository that ADD names; one per distinct way to ask for it. */
struct rb_plan_remote {
	size_t index;
	bool git;
	const char *url;      /* expanded; may hold credentials, so only fetchers see it */
	const char *shown;    /* without them */
	const char *checksum; /* --checksum or NULL */
	bool keep_git_dir;
	unsigned line_first, line_last; /* where it is named first */
	/* What makes a difference to the image: set by the caller before keys are computed. */
	struct rb_digest content;
};

/* One of path, remote and inline_data. */
struct rb_copy_source {
	const char *path; /* expanded */
	struct rb_plan_remote *remote;
	const char *inline_name; /* heredoc */
	const char *inline_data;
};

struct rb_vertex_copy {
	struct rb_root_ref from; /* RB_ROOT_CONTEXT for a plain COPY or ADD */
	struct rb_copy_source *sources;
	size_t n_sources;
	const char *dest; /* absolute, clean */
	bool dest_is_dir;
	const char *chown;                  /* expanded text or NULL */
	const char *chmod_text;             /* expanded text or NULL */
	const struct rb_mode_change *chmod; /* what it means, or NULL */
	bool unpack;                        /* ADD: local archives are unpacked */
	bool unpack_urls;                   /* ADD --unpack: those of URLs as well */
	bool parents;                       /* sources keep their path (3.9 --parents) */
	struct rb_words excludes;
	/*
	 * Made on an empty root, whatever the stage is; a vertex of kind RB_VERTEX_LINK, which
	 * comes next, puts the result over the stage.
	 */
	bool link;
};

struct rb_vertex {
	enum rb_vertex_kind kind;
	size_t index; /* 0, 1, ... in order of elaboration */
	struct rb_plan_stage *stage;
	struct rb_vertex *parent;   /* NULL: the stage's base root, or with copy.link none */
	const struct rb_inst *inst; /* FROM: the files of a named context that it starts from */
	const char *name;           /* progress name: "[build 2/3] RUN make" */
	bool no_cache;
	union {
		struct rb_vertex_run run;
		struct rb_vertex_copy copy;
		struct {
			const char *path; /* absolute, clean, not "/" */
			const char *user; /* "" is root */
			bool has_epoch;   /* what is made has this time: */
			int64_t epoch;
		} workdir;
		struct {
			struct rb_vertex *layer; /* a COPY with `link` */
		} link;
	};
};

/* An entry that this build adds to the history; its time comes from the vertex's result. */
struct rb_plan_history {
	const char *created_by;
	struct rb_vertex *vertex; /* NULL: empty_layer */
};

struct rb_plan_stage {
	struct rb_plan *plan;
	const struct rb_stage *ast;
	const char *label;  /* "build", "stage-1"; "" in a file with one stage */
	const char *prefix; /* of names of steps: the label, in a build of several platforms that
			       too, and a blank where there is something */
	bool needed;
	bool replaced; /* by a named context: no instruction of it counts (4.2) */
	struct rb_root_ref base;
	struct rb_platform platform;
	const char *from_name; /* progress name of an image base: "[build 1/3] FROM
				  debian:bookworm", else NULL */

	bool has_inputs; /* needed, and what its instructions name is needed as well */

	/* After elaboration: */
	bool elaborated;
	const struct rb_inst *triggers; /* ONBUILD of the base: done before ast->insts */
	size_t n_triggers;
	struct rb_vertex **vertices; /* in order */
	size_t n_vertices;
	struct rb_stage_state *state; /* internal: what a child stage inherits */
};

/*
 * SOURCE_DATE_EPOCH (7.5): the time that the result is to have. Some values name what has it, which
 * somebody has to ask: then no stage is elaborated but `from.stage` until rb_plan_set_epoch().
 */
struct rb_plan_epoch {
	bool set; /* there is one: */
	int64_t seconds;
	bool pending;            /* it is not known yet, but that of: */
	struct rb_root_ref from; /* CONTEXT, or a STAGE whose one step is the ADD of a remote */
	bool is_asked;           /* it was pending */
	bool is_arg;             /* a build argument, and no ARG of the file, says so */
};

struct rb_plan {
	struct rb_arena *arena;
	const struct rb_dockerfile *df; /* borrowed */
	struct rb_plan_options options; /* borrowed contents */
	struct rb_plan_stage *stages;
	size_t n_stages, n_needed;
	struct rb_plan_stage **by_name; /* internal: those that have one, sorted */
	size_t n_by_name;
	struct rb_plan_stage *target;
	struct rb_plan_image **images; /* of needed stages; grows, but none moves */
	size_t n_images, cap_images;
	struct rb_env image_index; /* internal: what tells them apart, in the same order */
	struct rb_env global;      /* global ARGs and automatic platform arguments with values */
	struct rb_strv global_declared;
	struct rb_plan_epoch epoch;
	struct rb_strv proxy_env;        /* exported to every RUN, not in its key */
	struct rb_scopes *scopes;        /* internal */
	size_t n_vertices;               /* elaborated so far */
	struct rb_plan_remote **remotes; /* of elaborated stages */
	size_t n_remotes, cap_remotes;
	struct rb_env remote_index; /* internal: the same */
	size_t expanded_bytes;      /* internal: by variables, so far */
	bool needs_context;         /* some needed stage copies from the build context */
};

/* Errors: RB_ERR_DOCKERFILE or UNSUPPORTED with lines; USAGE for an unknown target. */
int rb_plan_new(const struct rb_dockerfile *df, const struct rb_plan_options *options,
		struct rb_plan **ret, struct rb_error **err);
void rb_plan_free(struct rb_plan *plan);
RB_DEFINE_CLEANUP(rb_plan)

/*
 * The name by which contexts are looked up: the reference as a person writes it, without ":latest".
 * NULL when it can be no name of an image. Caller frees.
 */
char *rb_plan_context_key(const char *name);
/* The named context for a name as written, or NULL; one for this very platform is preferred. */
const struct rb_plan_context *rb_plan_find_context(const struct rb_plan *plan, const char *name,
						   const struct rb_platform *platform);

/* What the epoch is that was pending, 0 to RB_TIME_MAX; NULL: there is none. */
void rb_plan_set_epoch(struct rb_plan *plan, const int64_t *seconds);
/*
 * The URL or repository whose time is the epoch, once the stage plan->epoch.from.stage is
 * elaborated. Errors: DOCKERFILE when what it adds is none.
 */
int rb_plan_epoch_remote(const struct rb_plan *plan, struct rb_plan_remote **ret,
			 struct rb_error **err);

/* Whether the base's config is known: the stage is needed, not elaborated yet, and can be now. */
bool rb_plan_can_elaborate(const struct rb_plan_stage *stage);
int rb_plan_elaborate(struct rb_plan *plan, struct rb_plan_stage *stage, struct rb_error **err);

/*
 * The image config at the end of an elaborated stage, into cleared storage: the base's history and
 * diff IDs are in it as they came, those of this build are not.
 */
void rb_plan_config(const struct rb_plan_stage *stage, struct rb_image_config *ret);
/* What this build adds to the history, that of parent stages of this file included; the plan's. */
const struct rb_plan_history *rb_plan_history(const struct rb_plan_stage *stage, size_t *ret_n);

/* "NAME=value": the environment of a RUN, which is in its key; appended. */
void rb_vertex_env(const struct rb_vertex *v, struct rb_strv *ret);

/* Last vertex whose result is the root of the stage's end, or NULL: the base root itself, see
 * rb_plan_stage_root(). */
struct rb_vertex *rb_plan_stage_top(const struct rb_plan_stage *stage);
/* The trees that a vertex takes from, besides the one it works on: one of a COPY, those of the
 * mounts of a RUN. */
size_t rb_vertex_n_inputs(const struct rb_vertex *v);
const struct rb_root_ref *rb_vertex_input(const struct rb_vertex *v, size_t i);

/* The root below all vertices of the stage and its parent stages: scratch or an image. */
struct rb_root_ref rb_plan_stage_root(const struct rb_plan_stage *stage);

/* Whether a step can be given this host name: 1 to 64 letters, digits and "-", "_", ".". */
bool rb_plan_is_hostname(const char *name);

/* --- keys (plan/keys.c)
 * --------------------------------------------------------------------------------------------- */

/* Whether the vertex is made on an empty root, not on what is below it in its stage. */
bool rb_vertex_is_detached(const struct rb_vertex *v);

/*
 * Definition key: the operation, the result ids of its inputs, and what of the environment it can
 * see (dockerfile.md 6.1). `parent_id`: result id of the root it works on. `input_ids`: of the
 * trees of rb_vertex_input(), NULL for the context, whose content is never identified by anything
 * but a checksum: a vertex that takes from it has no definition key (returns false). Nor
 * has a LINK, whose result is named after what it is made of.
 */
bool rb_vertex_definition_key(const struct rb_vertex *v, const char *parent_id,
			      const char *const *input_ids, struct rb_digest *ret);
/* Content key of a vertex with inputs: `content` has for each of them the checksum of what is
 * taken.
 */
struct rb_digest rb_vertex_content_key(const struct rb_vertex *v, const char *parent_id,
				       const struct rb_digest *content);

#endif
