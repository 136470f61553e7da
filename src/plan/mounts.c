// SPDX-License-Identifier: Apache-2.0
/* RUN --mount (dockerfile.md 3.2): values expanded, defaults filled in, trees resolved. */
#include <string.h>

#include "base/path.h"
#include "plan/plan-internal.h"

static char *expand(void *ctx, const char *word, struct rb_error **err)
{
	return rb_elab_expand(ctx, word, err);
}

/* --- before elaboration --- */

/* What the parser has let pass. */
static void parse_again(struct rb_plan *plan, const struct rb_kvs *options,
			struct rb_run_mount *ret)
{
	struct rb_error *err = NULL;

	if (rb_run_mount_parse(options, NULL, NULL, plan->arena, ret, &err) < 0)
		rb_bug("a mount that was parsed is wrong now: %s", err->msg);
}

bool rb_plan_mount_root(struct rb_plan *plan, const struct rb_kvs *options, const char **ret_from,
			const char **ret_target)
{
	struct rb_run_mount m;

	parse_again(plan, options, &m);
	*ret_from = m.from;
	*ret_target = m.target ? m.target : "";
	return m.from || m.type == RB_MOUNT_BIND || rb_run_mount_type_is_variable(options);
}

/* --- targets, ids and owners --- */

/* Where a step has mounts of its own that nothing may hide or get into (threats S16). */
static bool is_taken(const char *path)
{
	static const char *const trees[] = {"/proc", "/sys"};

	if (rb_streq(path, "/") || rb_streq(path, "/dev"))
		return true;
	for (size_t i = 0; i < RB_ARRAY_LEN(trees); i++) {
		size_t n = strlen(trees[i]);

		if (strncmp(path, trees[i], n) == 0 && (path[n] == '/' || !path[n]))
			return true;
	}
	return false;
}

/* Relative to the working directory, which is also what no target means. */
static int set_target(struct rb_elab *e, const char *cwd, struct rb_run_mount *m,
		      struct rb_error **err)
{
	RB_CLEANUP(rb_strp) char *joined = rb_path_join_abs(cwd, m->target ? m->target : "");
	RB_CLEANUP(rb_strp) char *path = rb_path_join_abs("/", joined);

	if (is_taken(path))
		return rb_fail(err, RB_ERR_DOCKERFILE,
			       "invalid mount target \"%s\": a step has its own root, /dev, /proc "
			       "and /sys",
			       path);
	m->target = rb_elab_keep(e, path);
	return 0;
}

static void set_defaults(struct rb_run_mount *m, int64_t mode)
{
	m->mode = m->mode < 0 ? mode : m->mode;
	m->uid = m->uid < 0 ? 0 : m->uid;
	m->gid = m->gid < 0 ? 0 : m->gid;
}

static int complete_cache(struct rb_elab *e, const char *cwd, struct rb_run_mount *m,
			  struct rb_error **err)
{
	const char *ns = rb_env_get(e->plan->options.build_args, "BUILDKIT_CACHE_MOUNT_NS");
	/* The target as it is written, before the working directory comes in. */
	RB_CLEANUP(rb_strp) char *clean = rb_path_clean(m->target ? m->target : "");
	RB_CLEANUP(rb_strp) char *id = rb_asprintf("%s/%s", ns ? ns : "", m->id ? m->id : clean);

	m->id = rb_elab_keep(e, id);
	set_defaults(m, 0755);
	return set_target(e, cwd, m, err);
}

static int complete_secret(struct rb_elab *e, const char *cwd, struct rb_run_mount *m,
			   struct rb_error **err)
{
	if (!m->id)
		m->id = m->source;
	if (!m->id)
		m->id = rb_elab_keep(e, rb_path_base(m->target));
	m->source = NULL;
	set_defaults(m, 0400);
	/* Only a variable. */
	if (m->env && !m->target)
		return 0;
	if (!m->target) {
		RB_CLEANUP(rb_strp) char *id = rb_path_clean(m->id);
		RB_CLEANUP(rb_strp)
		char *path = rb_asprintf("/run/secrets/%s", rb_path_base(id));
		m->target = rb_elab_keep(e, path);
	}
	return set_target(e, cwd, m, err);
}

static int complete_ssh(struct rb_elab *e, const char *cwd, size_t index, struct rb_run_mount *m,
			struct rb_error **err)
{
	if (!m->id)
		m->id = "default";
	set_defaults(m, 0600);
	if (!m->target) {
		RB_CLEANUP(rb_strp)
		char *path = rb_asprintf("/run/buildkit/ssh_agent.%zu", index);
		m->target = rb_elab_keep(e, path);
	}
	return set_target(e, cwd, m, err);
}

/* The tree of a bind, or the seed of a cache. */
static int set_tree(struct rb_elab *e, struct rb_vertex_mount *vm, const char *target,
		    struct rb_error **err)
{
	struct rb_run_mount *m = &vm->spec;
	RB_CLEANUP(rb_strp) char *source = rb_path_join_abs("/", m->source ? m->source : "");

	m->source = source[1] ? rb_elab_keep(e, source) : NULL;
	vm->has_tree = m->from || m->type == RB_MOUNT_BIND;
	if (!vm->has_tree)
		return 0;
	const struct rb_from from = {.text = m->from, .mount_target = target};
	return rb_plan_resolve_from(e->plan, e->stage, e->inst, &from, &vm->from, err);
}

static int complete(struct rb_elab *e, const char *cwd, size_t n_ssh, struct rb_vertex_mount *vm,
		    struct rb_error **err)
{
	struct rb_run_mount *m = &vm->spec;
	const char *target = m->target ? m->target : "";

	switch (m->type) {
	case RB_MOUNT_CACHE:
		return set_tree(e, vm, target, err) < 0 ? -1 : complete_cache(e, cwd, m, err);
	case RB_MOUNT_BIND:
		return set_tree(e, vm, target, err) < 0 ? -1 : set_target(e, cwd, m, err);
	case RB_MOUNT_SECRET:
		return complete_secret(e, cwd, m, err);
	case RB_MOUNT_SSH:
		return complete_ssh(e, cwd, n_ssh, m, err);
	case RB_MOUNT_TMPFS:
	case RB_MOUNT_TYPES:
		break;
	}
	return set_target(e, cwd, m, err);
}

/* --- a RUN --- */

/* A secret that is only a variable has no target. */
static const char *sort_key(const struct rb_vertex_mount *m)
{
	return m->spec.target ? m->spec.target : "";
}

/* Parents before what is in them; of equal ones the later lies on top. */
static void sort_by_target(struct rb_vertex_mount *v, size_t n)
{
	for (size_t i = 1; i < n; i++) {
		struct rb_vertex_mount m = v[i];
		size_t k = i;

		for (; k > 0 && strcmp(sort_key(&v[k - 1]), sort_key(&m)) > 0; k--)
			v[k] = v[k - 1];
		v[k] = m;
	}
}

static void list_trees(struct rb_elab *e, struct rb_vertex_run *run)
{
	run->trees =
		rb_arena_array(e->plan->arena, run->n_mounts, sizeof(struct rb_vertex_mount *));
	for (size_t i = 0; i < run->n_mounts; i++)
		if (run->mounts[i].has_tree)
			run->trees[run->n_trees++] = &run->mounts[i];
}

int rb_elab_mounts(struct rb_elab *e, struct rb_vertex_run *run, struct rb_error **err)
{
	const struct rb_inst *inst = e->inst;
	size_t n_ssh = 0;

	if (inst->run.n_mounts > RB_RUN_MOUNTS_MAX)
		return rb_fail(err, RB_ERR_DOCKERFILE,
			       "%zu mounts for one RUN; it takes at most %d", inst->run.n_mounts,
			       RB_RUN_MOUNTS_MAX);
	run->mounts = rb_arena_array(e->plan->arena, inst->run.n_mounts, sizeof(*run->mounts));
	for (size_t i = 0; i < inst->run.n_mounts; i++) {
		struct rb_vertex_mount *vm = &run->mounts[run->n_mounts++];

		vm->written = i;

		if (rb_run_mount_parse(&inst->run.mounts[i], expand, e, e->plan->arena, &vm->spec,
				       err) < 0 ||
		    complete(e, run->cwd, n_ssh, vm, err) < 0)
			return -1;
		n_ssh += vm->spec.type == RB_MOUNT_SSH;
	}
	sort_by_target(run->mounts, run->n_mounts);
	list_trees(e, run);
	return 0;
}
