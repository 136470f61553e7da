/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by the files of plan/ only. */
#ifndef RB_PLAN_PLAN_INTERNAL_H
#define RB_PLAN_PLAN_INTERNAL_H

#include "plan/plan.h"

enum {
	/* Bytes that all expansions of a plan come to. What is expanded is kept, and a few lines
	 * can make a megabyte that every other line repeats. */
	RB_PLAN_EXPANDED_MAX = 64 << 20,
	/* A name that variables make longer than this is shown as written. */
	RB_STEP_NAME_EXPANDED_MAX = 4096,
};

#define RB_PLAN_DEFAULT_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

/* --- scope.c --- */

/*
 * What stages hand down by name. A child goes on where its parent ended, and a step keeps the place
 * where it stands in the file: copies for each would grow with the square of the file. So a place
 * (struct rb_scope) is the last change before it, which knows the one before that; all of them are
 * a tree. The maps are those of one place at a time, and led to another by undoing and doing
 * what lies between, which is little as long as stages are taken in the order of the file.
 */
enum rb_scope_map {
	RB_SCOPE_ENV,        /* stage environment (2.4) */
	RB_SCOPE_CONFIG_ENV, /* what of it is in the image config */
	RB_SCOPE_ARGS,       /* declared ARGs; the values are nothing */
	RB_SCOPE_ARG_VALUES, /* those that have a value */
	RB_SCOPE_LABELS,
	RB_SCOPE_PORTS,   /* a set: the values are nothing */
	RB_SCOPE_VOLUMES, /* the same */
	RB_SCOPE_MAPS
};

/* Places live as long as the arena. */
struct rb_scopes *rb_scopes_new(struct rb_arena *arena);
void rb_scopes_free(struct rb_scopes *s);
/* The map at that place, in order of first use; NULL is the place where all are empty. Good until
 * another place is asked for or something is set. */
const struct rb_env *rb_scope_map(struct rb_scopes *s, const struct rb_scope *scope,
				  enum rb_scope_map map);
/* *scope becomes the place behind the change. */
void rb_scope_set(struct rb_scopes *s, const struct rb_scope **scope, enum rb_scope_map map,
		  const char *name, const char *value);

/* --- stages --- */

/* An entry of the history; newest first, those of parent stages follow. */
struct rb_stage_history {
	const struct rb_stage_history *before;
	size_t n;               /* of entries up to this one */
	const char *created_by; /* NULL: a RUN's, made of the vertex when it is wanted */
	struct rb_vertex *vertex;
};

/*
 * What instructions of a stage see and change; a child stage starts with a copy, so there is
 * nothing in it that costs more than a few words: texts and lists are the arena's, never changed.
 */
struct rb_stage_state {
	const struct rb_scope *scope;
	const struct rb_stage_history *history;
	struct rb_vertex *top;       /* last vertex so far, of parent stages as well; or NULL */
	struct rb_platform platform; /* that the config names */
	const char *author, *user, *working_dir, *stop_signal; /* NULL: not set */
	struct rb_words entrypoint, cmd, shell;
	struct rb_words onbuild;      /* at the end of a stage: for its children */
	struct rb_healthcheck health; /* its test is: */
	struct rb_words health_test;
	bool args_escaped;
	bool cmd_set;      /* CMD was given in this very stage (3.4) */
	bool workdir_set;  /* WORKDIR was given in this stage or one that it is from */
	bool base_assumed; /* ENV of the base image is not known */
};

/* Elaboration of one stage in progress. */
struct rb_elab {
	struct rb_plan *plan;
	struct rb_plan_stage *stage;
	struct rb_stage_state *state;
	const struct rb_inst *inst;
	size_t step, n_steps; /* for progress names */
};

/* --- resolve.c --- */

/* What an instruction wants a tree of. */
struct rb_from {
	const char *text;         /* NULL: the build context */
	const char *mount_target; /* of RUN --mount, which takes no stage numbers; NULL: COPY */
};
/* Resolves COPY --from=X and RUN --mount=from=X of a stage (4.2). */
int rb_plan_resolve_from(struct rb_plan *plan, struct rb_plan_stage *stage,
			 const struct rb_inst *inst, const struct rb_from *from,
			 struct rb_root_ref *ret, struct rb_error **err);
/* Latest stage before `before` with that name, or NULL. Names are lower case already; fold: the
 * reference is not. */
struct rb_plan_stage *rb_plan_find_stage(const struct rb_plan *plan, const char *name,
					 size_t before, bool fold);
/* What that needs. */
void rb_plan_index_stages(struct rb_plan *plan);
/* " (did you mean build?)", or "", in *hint. */
const char *rb_plan_suggest_stage(const struct rb_plan *plan, const char *name,
				  struct rb_buf *hint);
/* Decides what FROM means; an image is only remembered by its text until the stage turns out to be
 * needed. */
int rb_plan_resolve_base(struct rb_plan *plan, struct rb_plan_stage *stage, struct rb_error **err);

/* --- images.c --- */

/*
 * The image of plan->images that `text` names, registered when it is new. `context`: the named one
 * that it was found by, or NULL. Errors are located at `inst`.
 */
int rb_plan_use_image(struct rb_plan *plan, const char *text, const struct rb_plan_context *context,
		      const struct rb_platform *platform, const struct rb_inst *inst,
		      struct rb_plan_image **ret, struct rb_error **err);

/* --- needs.c --- */

void rb_plan_need_stage(struct rb_plan_stage *stage);
/* What the needed stages before number `end` need. Stages refer to earlier ones only, so one pass
 * from the end suffices. */
int rb_plan_close_needs(struct rb_plan *plan, size_t end, struct rb_error **err);
/*
 * Parses the triggers that the state brings from its base and empties them there; what they
 * name is needed then. Errors are located at the FROM line.
 */
int rb_plan_take_triggers(struct rb_plan *plan, struct rb_plan_stage *stage, struct rb_error **err);

/* --- epoch.c: SOURCE_DATE_EPOCH --- */

#define RB_PLAN_EPOCH_ARG "SOURCE_DATE_EPOCH"
/* Fills plan->epoch, once names can be resolved; a stage that it is asked of is needed then. */
int rb_plan_find_epoch(struct rb_plan *plan, struct rb_error **err);
/* The value that --build-arg gives, or NULL. What an epoch was named by is no value of it. */
const char *rb_plan_given_arg(const struct rb_plan *plan, const char *name);

/* --- config.c --- */

/* What a stage that is from the image starts with; the same for all of them. */
const struct rb_stage_state *rb_plan_image_state(struct rb_plan *plan, struct rb_plan_image *image);
/* The same where there is no image. */
void rb_plan_scratch_state(struct rb_plan_stage *stage, struct rb_stage_state *ret);
/* The first ones, then the second ones, in a list of the arena; they are not copied. */
struct rb_words rb_plan_join_words(struct rb_plan *plan, const struct rb_words *a,
				   const struct rb_words *b);
/* A copy in the arena. */
struct rb_words rb_plan_keep_words(struct rb_plan *plan, char *const *v, size_t n);

/* --- plan.c --- */

/* Counts an expanded text; an error when it is too much. */
int rb_plan_count_expanded(struct rb_plan *plan, const char *text, struct rb_error **err);

/* --- elaborate.c: what the instructions of a stage share --- */

/* The stage's instructions in the order they are done: triggers first. None of a stage that a named
 * context replaces. */
static inline size_t rb_plan_n_insts(const struct rb_plan_stage *stage)
{
	return stage->n_triggers + (stage->replaced ? 0 : stage->ast->n_insts);
}
static inline const struct rb_inst *rb_plan_inst(const struct rb_plan_stage *stage, size_t i)
{
	return i < stage->n_triggers ? &stage->triggers[i]
				     : &stage->ast->insts[i - stage->n_triggers];
}

/* The escape character of the file that the instruction was written in. */
char rb_plan_escape(const struct rb_plan *plan, const struct rb_inst *inst);

/* A copy that lives as long as the plan. */
const char *rb_elab_keep(struct rb_elab *e, const char *s);
/* SHELL as it stands, plus the text. */
struct rb_words rb_elab_shell_form(struct rb_elab *e, const char *script);
/* The map where the stage stands now. */
const struct rb_env *rb_elab_map(const struct rb_elab *e, enum rb_scope_map map);
void rb_elab_set(struct rb_elab *e, enum rb_scope_map map, const char *name, const char *value);
/* WORKDIR, or "/". */
const char *rb_elab_working_dir(const struct rb_elab *e);
/* Adds a history entry; vertex NULL is an empty layer. created_by NULL: that of the RUN. */
void rb_elab_history(struct rb_elab *e, struct rb_vertex *vertex, const char *created_by);
/* Expands with the stage environment. Caller frees; NULL with *err. */
char *rb_elab_expand(struct rb_elab *e, const char *word, struct rb_error **err);

/* --- steps.c --- */

/* The vertex of e->inst on top of the stage. */
struct rb_vertex *rb_elab_add_vertex(struct rb_elab *e, enum rb_vertex_kind kind);
/* The name of the instruction's step (8.4), with a word before the instruction's. */
const char *rb_elab_step_name(struct rb_elab *e, const char *prefix);
/* "[build 2/3] WORD": how the name of every step begins; e->inst is the instruction. */
void rb_elab_step_number(const struct rb_elab *e, const char *word, struct rb_buf *name);

/* --- elab-config.c, elab-run.c, elab-copy.c, steps.c: an instruction each, e->inst --- */

/* All but RUN, COPY, ADD and WORKDIR, which append a vertex with its history. */
int rb_elab_config(struct rb_elab *e, struct rb_error **err);
int rb_elab_run(struct rb_elab *e, struct rb_error **err);
int rb_elab_copy(struct rb_elab *e, struct rb_error **err);
int rb_elab_workdir(struct rb_elab *e, struct rb_error **err);
/* FROM a named context that is no image: a vertex that copies its files. */
void rb_elab_from_context(struct rb_elab *e);
/* "RUN |1 A=b command # buildkit" (3.2); the plan's. */
const char *rb_run_created_by(const struct rb_vertex *v);

/* --- mounts.c --- */

/* Whether the mount takes from a tree, as far as that can be told before its values are expanded;
 * *ret_from is NULL for the context. */
bool rb_plan_mount_root(struct rb_plan *plan, const struct rb_kvs *options, const char **ret_from,
			const char **ret_target);
/* The mounts of a RUN whose cwd is set. */
int rb_elab_mounts(struct rb_elab *e, struct rb_vertex_run *run, struct rb_error **err);

/* --- remotes.c --- */

/* An expanded source of ADD that is a URL or git reference, registered in the plan. */
int rb_elab_remote(struct rb_elab *e, const char *source, struct rb_plan_remote **ret,
		   struct rb_error **err);

/* --- checks.c: rules of dockerfile.md 9, each where its values are known --- */

/* Expands with the global scope for inst, a FROM or a global ARG. Caller frees; NULL with *err. */
char *rb_plan_expand_global(struct rb_plan *plan, const struct rb_inst *inst, const char *word,
			    struct rb_error **err);
/* What every FROM is when no build argument is given; `automatic`: the platform arguments. */
void rb_plan_check_defaults(const struct rb_plan *plan, const struct rb_env *automatic);
void rb_plan_check_platform_flag(const struct rb_plan *plan, const struct rb_plan_stage *stage);
void rb_plan_check_base_platform(struct rb_elab *e, const struct rb_plan_image *image);
/* After an expansion with the stage environment; clears the report. */
void rb_elab_check_undefined(struct rb_elab *e, struct rb_expand_report *report);
/* CMD or ENTRYPOINT is in shell form. */
void rb_elab_check_shell_form(struct rb_elab *e);
/* An expanded WORKDIR. */
void rb_elab_check_workdir(struct rb_elab *e, const char *path);
/* An expanded word of EXPOSE. */
void rb_elab_check_port(struct rb_elab *e, const char *word);
/* An expanded source of COPY or ADD in the build context. */
void rb_elab_check_ignored(struct rb_elab *e, const char *source);

#endif
