/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by the files of plan/ only. */
#ifndef RB_PLAN_PLAN_INTERNAL_H
#define RB_PLAN_PLAN_INTERNAL_H

#include "plan/plan.h"

#define RB_PLAN_DEFAULT_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

/* What instructions of a stage see and change besides the config; a child stage starts with a copy.
 */
struct rb_stage_state {
	struct rb_env env;        /* stage environment (2.4) */
	struct rb_env config_env; /* what of it is in the image config */
	struct rb_env arg_names;  /* declared ARGs in order of first declaration, inherited ones
				     included; the values are nothing */
	struct rb_env arg_values; /* those that have a value */
	bool cmd_set;             /* CMD was given in this very stage (3.4) */
	bool workdir_set;         /* WORKDIR was given in this stage or one that it is from */
	bool base_assumed;        /* ENV of the base image is not known */
};

void rb_stage_state_copy(struct rb_stage_state *dst, const struct rb_stage_state *src);
void rb_stage_state_clear(struct rb_stage_state *s);

/* Elaboration of one stage in progress. */
struct rb_elab {
	struct rb_plan *plan;
	struct rb_plan_stage *stage;
	struct rb_stage_state *state;
	struct rb_image_config *config; /* stage->config */
	const struct rb_inst *inst;
	struct rb_vertex *top; /* last vertex so far, or NULL */
	size_t step, n_steps;  /* for progress names */
	size_t cap_vertices, cap_history;
	struct rb_strv run_env; /* of the last RUN; in the plan's arena */
	struct rb_plan_history *history;
	size_t n_history;
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
/* Whether the mount takes from a tree, as far as that can be told before its values are expanded;
 * *ret_from is NULL for the context. */
bool rb_plan_mount_root(struct rb_plan *plan, const struct rb_kvs *options, const char **ret_from,
			const char **ret_target);
/* Latest stage before `before` with that name, or NULL. Names are lower case already; fold: the
 * reference is not. */
struct rb_plan_stage *rb_plan_find_stage(struct rb_plan *plan, const char *name, size_t before,
					 bool fold);
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

/* What the needed stages before number `end` need. Stages refer to earlier ones only, so one pass
 * from the end suffices. */
int rb_plan_close_needs(struct rb_plan *plan, size_t end, struct rb_error **err);
/*
 * Parses the triggers that stage->config brings from its base and empties config.OnBuild; what they
 * name is needed then. Errors are located at the FROM line.
 */
int rb_plan_take_triggers(struct rb_plan *plan, struct rb_plan_stage *stage, struct rb_error **err);

/* --- epoch.c: SOURCE_DATE_EPOCH --- */

#define RB_PLAN_EPOCH_ARG "SOURCE_DATE_EPOCH"
/* Fills plan->epoch, once names can be resolved; a stage that it is asked of is needed then. */
int rb_plan_find_epoch(struct rb_plan *plan, struct rb_error **err);
/* The value that --build-arg gives, or NULL. What an epoch was named by is no value of it. */
const char *rb_plan_given_arg(const struct rb_plan *plan, const char *name);

/* --- elaborate.c and the files of its instructions --- */

/* FROM a named context that is no image: a vertex that copies its files. */
void rb_elab_from_context(struct rb_elab *e);
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

/* The instruction e->inst: all but RUN, COPY, ADD and WORKDIR, which append a vertex with its
 * history. */
int rb_elab_config(struct rb_elab *e, struct rb_error **err);
int rb_elab_run(struct rb_elab *e, struct rb_error **err);
int rb_elab_copy(struct rb_elab *e, struct rb_error **err);
int rb_elab_workdir(struct rb_elab *e, struct rb_error **err);
/* The mounts of a RUN whose cwd is set. */
int rb_elab_mounts(struct rb_elab *e, struct rb_vertex_run *run, struct rb_error **err);

/* A copy that lives as long as the plan. */
const char *rb_elab_keep(struct rb_elab *e, const char *s);
/* Adds a history entry; vertex NULL is an empty layer. */
void rb_elab_history(struct rb_elab *e, struct rb_vertex *vertex, const char *created_by);
/* The vertex of e->inst on top of the stage. */
struct rb_vertex *rb_elab_add_vertex(struct rb_elab *e, enum rb_vertex_kind kind);
/* The name of the instruction's step (8.4), with a word before the instruction's. */
const char *rb_elab_step_name(struct rb_elab *e, const char *prefix, const struct rb_env *env);
/* "[build 2/3] WORD": how the name of every step begins; e->inst is the instruction. */
void rb_elab_step_number(const struct rb_elab *e, const char *word, struct rb_buf *name);
/* The escape character of the file that the instruction was written in. */
char rb_elab_escape(const struct rb_elab *e);
/* An expanded source of ADD that is a URL or git reference, registered in the plan. */
int rb_elab_remote(struct rb_elab *e, const char *source, struct rb_plan_remote **ret,
		   struct rb_error **err);
/* Expands with the stage environment. Caller frees; NULL with *err. */
char *rb_elab_expand(struct rb_elab *e, const char *word, struct rb_error **err);

/* --- checks.c: rules of dockerfile.md 9, each where its values are known --- */

/* Expands with the global scope for inst, a FROM or a global ARG. Caller frees; NULL with *err. */
char *rb_plan_expand_global(const struct rb_plan *plan, const struct rb_inst *inst,
			    const char *word, struct rb_error **err);
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
