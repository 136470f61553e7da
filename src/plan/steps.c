// SPDX-License-Identifier: Apache-2.0
/* RUN, COPY, ADD and WORKDIR: the instructions that make vertices. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/path.h"
#include "dockerfile/gitref.h"
#include "dockerfile/values.h"
#include "plan/plan-internal.h"

static const char *keep(struct rb_elab *e, const char *s)
{
	return rb_arena_strdup(e->plan->arena, s);
}

/* " (first line...)" of a RUN that is one heredoc (1.9). */
static void add_heredoc_summary(const struct rb_inst *inst, struct rb_buf *b)
{
	enum { SHOWN = 120 };

	if (inst->kind != RB_INST_RUN || inst->n_heredocs != 1)
		return;
	const char *body = inst->heredocs[0].body;
	size_t n = strcspn(body, "\n");
	if (n)
		rb_buf_addf(b, " (%.*s%s)", (int)rb_min_size(n, SHOWN), body,
			    body[n] && body[n + 1] ? "..." : "");
}

void rb_elab_step_number(const struct rb_elab *e, const char *word, struct rb_buf *name)
{
	rb_buf_addf(name, "[%s%*zu/%zu] %s", e->stage->prefix, snprintf(NULL, 0, "%zu", e->n_steps),
		    e->step, e->n_steps, word);
}

/* The name of the instruction's step (8.4), with a word before the instruction's. The shell expands
 * more than we know, so what is not set here is shown as written. */
static const char *step_name(struct rb_elab *e, const char *prefix, const struct rb_env *env)
{
	const struct rb_inst *inst = e->inst;
	RB_CLEANUP(rb_buf_clear) struct rb_buf name = RB_BUF_INIT;

	if (inst->kind == RB_INST_FROM) {
		rb_elab_step_number(e, prefix, &name);
		rb_buf_addf(&name, "FROM %s", e->stage->from_name);
		return keep(e, name.ptr);
	}
	RB_CLEANUP(rb_strp)
	char *text = rb_expand_known(inst->original + strlen(inst->word), rb_elab_escape(e), env);

	RB_CLEANUP(rb_strp)
	char *shown = inst->kind == RB_INST_ADD ? rb_url_redact(text) : rb_strdup(text);

	rb_elab_step_number(e, prefix, &name);
	rb_buf_addf(&name, "%s%s%s", inst->trigger ? "ONBUILD " : "", rb_inst_kind_name(inst->kind),
		    shown);
	add_heredoc_summary(inst, &name);
	return keep(e, name.ptr);
}

static bool is_uncached(const struct rb_elab *e)
{
	const struct rb_plan_options *o = &e->plan->options;
	const char *name = e->stage->ast->name;

	for (size_t i = 0; name && o->no_cache_stages && i < o->no_cache_stages->n; i++)
		if (rb_ascii_strcaseeq(o->no_cache_stages->v[i], name))
			return true;
	return o->no_cache;
}

static struct rb_vertex *add_vertex(struct rb_elab *e, enum rb_vertex_kind kind)
{
	struct rb_plan_stage *stage = e->stage;
	struct rb_vertex *v = rb_arena_alloc(e->plan->arena, sizeof(*v));

	/* Of two vertices that are one instruction. */
	const bool again = kind == RB_VERTEX_LINK;

	e->step += !again;
	v->kind = kind;
	v->index = e->plan->n_vertices++;
	v->stage = stage;
	v->parent = e->top;
	v->inst = e->inst;
	v->name = step_name(e, again ? "LINK " : "", &e->state->env);
	v->no_cache = kind != RB_VERTEX_WORKDIR && is_uncached(e);
	stage->vertices[stage->n_vertices++] = v;
	e->top = v;
	return v;
}

/* --- RUN
 * --------------------------------------------------------------------------------------------- */

/* "|2 a=1 b=2 " when ARGs were declared (3.2). */
static void add_arg_prefix(struct rb_elab *e, struct rb_buf *b)
{
	const struct rb_stage_state *s = e->state;

	if (!s->arg_names.n)
		return;
	rb_buf_addf(b, "|%zu ", s->arg_names.n);
	for (size_t i = 0; i < s->arg_names.n; i++) {
		const char *name = s->arg_names.names[i], *value = rb_env_get(&s->env, name);

		if (!value)
			value = rb_env_get(&s->arg_values, name);
		rb_buf_addf(b, "%s=%s ", name, value ? value : "");
	}
}

/* Proxy build arguments reach every RUN in both spellings, without ARG and without being in the key
 * (3.14). */
static void add_proxies(struct rb_elab *e, struct rb_strv *ret)
{
	static const char *const names[][2] = {
		{"HTTP_PROXY", "http_proxy"}, {"HTTPS_PROXY", "https_proxy"},
		{"FTP_PROXY", "ftp_proxy"},   {"NO_PROXY", "no_proxy"},
		{"ALL_PROXY", "all_proxy"},
	};
	const struct rb_env *args = e->plan->options.build_args;

	for (size_t i = 0; i < RB_ARRAY_LEN(names); i++) {
		const char *value = NULL;

		for (size_t j = 0; j < args->n; j++)
			if (rb_ascii_strcaseeq(args->names[j], names[i][0]))
				value = args->values[j];
		if (!value)
			continue;
		rb_strv_addf(ret, "%s=%s", names[i][0], value);
		rb_strv_addf(ret, "%s=%s", names[i][1], value);
	}
}

static void run_argv(struct rb_elab *e, struct rb_vertex_run *run)
{
	const struct rb_inst *inst = e->inst;

	if (inst->run.exec) {
		for (size_t i = 0; i < inst->run.argv.n; i++)
			rb_strv_add(&run->argv, inst->run.argv.v[i]);
		return;
	}
	if (e->config->shell.n) {
		rb_strv_copy(&run->argv, &e->config->shell);
	} else {
		rb_strv_add(&run->argv, "/bin/sh");
		rb_strv_add(&run->argv, "-c");
	}
	if (inst->run.script_file) {
		run->script_name = inst->run.script_file->name;
		run->script_body = inst->run.script_file->body;
		rb_strv_addf(&run->argv, "/dev/pipes/%s", run->script_name);
	} else {
		rb_strv_add(&run->argv, inst->run.script);
	}
}

static enum rb_network_mode run_network(struct rb_elab *e)
{
	const char *own = e->inst->run.network;

	if (own && rb_streq(own, "none"))
		return RB_NETWORK_NONE;
	if (own && rb_streq(own, "host"))
		return RB_NETWORK_HOST;
	return e->plan->options.network;
}

/* A variable that carries a secret is set for this step, and its value is nobody's to see (8.4). */
static void name_with_secrets(struct rb_elab *e, struct rb_vertex *v)
{
	struct rb_env env = {0};

	for (size_t i = 0; i < v->run.n_mounts; i++) {
		const struct rb_run_mount *m = &v->run.mounts[i].spec;

		if (!m->env)
			continue;
		if (!env.n)
			rb_env_copy(&env, &e->state->env);
		rb_env_set(&env, m->env, "****");
	}
	if (env.n)
		v->name = step_name(e, "", &env);
	rb_env_clear(&env);
}

bool rb_plan_is_hostname(const char *name)
{
	enum { HOSTNAME_MAX = 64 }; /* __NEW_UTS_LEN */
	size_t n = 0;

	for (; name[n]; n++)
		if (!rb_ascii_isalnum(name[n]) && !strchr("-_.", name[n]))
			return false;
	return n > 0 && n <= HOSTNAME_MAX;
}

/* The name of the host is written into /etc/hosts: nothing that means something there. */
static int run_hostname(struct rb_elab *e, const char **ret, struct rb_error **err)
{
	static const char arg[] = "BUILDKIT_SANDBOX_HOSTNAME";
	const char *given = rb_env_get(e->plan->options.build_args, arg);

	*ret = NULL;
	if (given && *given) {
		if (!rb_plan_is_hostname(given))
			return rb_fail(
				err, RB_ERR_USAGE,
				"--build-arg %s=%.80s: a host name has letters, digits, \"-\", "
				"\"_\" and \".\", 64 at most",
				arg, given);
		*ret = keep(e, given);
	} else {
		*ret = e->plan->options.hostname;
	}
	return 0;
}

/* What takes a word of the user (8.1, 10.9). */
static int check_entitlements(struct rb_elab *e, const struct rb_vertex_run *run,
			      struct rb_error **err)
{
	const char *own = e->inst->run.network;
	unsigned allow = e->plan->options.allow;

	if (run->network == RB_NETWORK_HOST && !(allow & RB_ALLOW_NETWORK_HOST))
		return rb_fail(
			err, RB_ERR_DOCKERFILE,
			"%s--network=host needs the entitlement network.host: the step could "
			"reach all services of this host; if that is meant, add --allow "
			"network.host",
			own ? "RUN " : "");
	if (run->insecure && !(allow & RB_ALLOW_SECURITY_INSECURE))
		return rb_fail(
			err, RB_ERR_DOCKERFILE,
			"RUN --security=insecure needs the entitlement security.insecure: the "
			"step would run with all capabilities and without a system call "
			"filter; if that is meant, add --allow security.insecure");
	return 0;
}

static bool is_entry(const char *entry, const char *name, const char *value)
{
	size_t n = strlen(name);

	return strncmp(entry, name, n) == 0 && entry[n] == '=' && rb_streq(entry + n + 1, value);
}

/* The environment as it stands. Most of it was that of the step before, whose strings and, when
 * nothing has changed, list are used again. */
static struct rb_strv run_env(struct rb_elab *e)
{
	const struct rb_env *env = &e->state->env;
	struct rb_strv *last = &e->run_env;
	size_t same = 0;

	while (same < last->n && is_entry(last->v[same], env->names[same], env->values[same]))
		same++;
	if (same == env->n && same == last->n)
		return *last;
	char **v = rb_arena_array(e->plan->arena, env->n + 1, sizeof(*v));
	for (size_t i = 0; i < env->n; i++) {
		const char *name = env->names[i], *value = env->values[i];

		if (i < last->n && is_entry(last->v[i], name, value)) {
			v[i] = last->v[i];
			continue;
		}
		RB_CLEANUP(rb_strp) char *entry = rb_asprintf("%s=%s", name, value);
		v[i] = rb_arena_strdup(e->plan->arena, entry);
	}
	*last = (struct rb_strv){.v = v, .n = env->n};
	return *last;
}

int rb_elab_run(struct rb_elab *e, struct rb_error **err)
{
	RB_CLEANUP(rb_buf_clear) struct rb_buf by = RB_BUF_INIT;
	struct rb_vertex *v = add_vertex(e, RB_VERTEX_RUN);

	run_argv(e, &v->run);
	v->run.env = run_env(e);
	add_proxies(e, &v->run.proxy_env);
	/* A base image may have a relative one, or none. */
	RB_CLEANUP(rb_strp)
	char *cwd = rb_path_join_abs("/", e->config->working_dir ? e->config->working_dir : "");
	v->run.cwd = keep(e, cwd);
	v->run.user = keep(e, e->config->user ? e->config->user : "");
	v->run.network = run_network(e);
	v->run.insecure = e->inst->run.insecure;
	v->run.devices = e->inst->run.devices;
	v->run.n_devices = e->inst->run.n_devices;
	v->run.extra_key = e->plan->options.run_key;
	if (check_entitlements(e, &v->run, err) < 0 || run_hostname(e, &v->run.hostname, err) < 0 ||
	    rb_elab_mounts(e, &v->run, err) < 0)
		return -1;
	name_with_secrets(e, v);

	rb_buf_addstr(&by, "RUN ");
	add_arg_prefix(e, &by);
	for (size_t i = 0; i < v->run.argv.n; i++)
		rb_buf_addf(&by, "%s ", v->run.argv.v[i]);
	rb_buf_addstr(&by, "# buildkit");
	rb_elab_history(e, v, by.ptr);
	return 0;
}

/* --- COPY and ADD
 * ------------------------------------------------------------------------------------ */

static int copy_heredoc(struct rb_elab *e, const struct rb_heredoc *h, struct rb_copy_source *ret,
			struct rb_error **err)
{
	ret->inline_name = h->name;
	ret->inline_data = h->body;
	if (h->expand) {
		struct rb_expand_report report = {0};
		RB_CLEANUP(rb_strp)
		char *data = rb_expand_heredoc(h->body, &e->state->env, &report, err);

		rb_elab_check_undefined(e, &report);
		if (!data)
			return -1;
		ret->inline_data = keep(e, data);
	}
	return 0;
}

static int copy_source(struct rb_elab *e, const char *path, struct rb_copy_source *ret,
		       struct rb_error **err)
{
	const struct rb_inst *inst = e->inst;

	if (inst->kind == RB_INST_COPY && rb_dockerfile_check_copy_source(path, err) < 0)
		return -1;
	if (rb_dockerfile_source_kind(path) != RB_SOURCE_PATH)
		return rb_elab_remote(e, path, &ret->remote, err);
	if (inst->copy.checksum)
		return rb_fail(err, RB_ERR_DOCKERFILE,
			       "checksum requires HTTP(S) or Git sources, not \"%s\"", path);
	ret->path = keep(e, path);
	if (!inst->copy.from)
		rb_elab_check_ignored(e, path);
	return 0;
}

static int copy_sources(struct rb_elab *e, struct rb_vertex_copy *copy, struct rb_error **err)
{
	const struct rb_inst *inst = e->inst;

	copy->n_sources = inst->copy.n_order;
	copy->sources = rb_arena_array(e->plan->arena, copy->n_sources, sizeof(*copy->sources));
	for (size_t i = 0; i < copy->n_sources; i++) {
		size_t k = inst->copy.order[i];
		struct rb_copy_source *s = &copy->sources[i];

		if (k >= inst->copy.sources.n) {
			if (copy_heredoc(e, &inst->heredocs[k - inst->copy.sources.n], s, err) < 0)
				return -1;
			continue;
		}
		RB_CLEANUP(rb_strp) char *path = rb_elab_expand(e, inst->copy.sources.v[k], err);
		if (!path || copy_source(e, path, s, err) < 0)
			return -1;
	}
	return 0;
}

/* The expanded value of a flag that may be absent; an empty one is none. */
static int expand_flag(struct rb_elab *e, const char *value, const char **ret,
		       struct rb_error **err)
{
	*ret = NULL;
	if (!value)
		return 0;
	RB_CLEANUP(rb_strp) char *text = rb_elab_expand(e, value, err);
	if (!text)
		return -1;
	*ret = *text ? keep(e, text) : NULL;
	return 0;
}

static bool is_number_or_root(const char *s, size_t n)
{
	const struct rb_slice name = {s, n};
	uint64_t id;

	return rb_slice_eq(name, "root") || rb_parse_u64(name, UINT32_MAX, &id) != -EINVAL;
}

/* An empty root has no names (3.9). */
static int check_link_owner(const char *chown, struct rb_error **err)
{
	const size_t n = strcspn(chown, ":");

	if (is_number_or_root(chown, n) &&
	    (!chown[n] || is_number_or_root(chown + n + 1, strlen(chown + n + 1))))
		return 0;
	return rb_fail(
		err, RB_ERR_DOCKERFILE,
		"--chown=%s: with --link there is no /etc/passwd to look up names in; write numbers, or leave --link out",
		chown);
}

static int copy_flags(struct rb_elab *e, struct rb_vertex_copy *copy, struct rb_error **err)
{
	const struct rb_inst *inst = e->inst;

	if (expand_flag(e, inst->copy.chown, &copy->chown, err) < 0 ||
	    expand_flag(e, inst->copy.chmod, &copy->chmod_text, err) < 0)
		return -1;
	if (copy->chmod_text) {
		struct rb_mode_change *chmod = rb_arena_alloc(e->plan->arena, sizeof(*chmod));

		if (rb_dockerfile_parse_chmod(copy->chmod_text, chmod, err) < 0)
			return -1;
		copy->chmod = chmod;
	}
	copy->parents = inst->copy.parents;
	copy->excludes = inst->copy.excludes;
	copy->unpack = inst->kind == RB_INST_ADD && inst->copy.unpack != 0;
	copy->unpack_urls = inst->kind == RB_INST_ADD && inst->copy.unpack > 0;
	/* As other builders do: a mode makes it a plain copy. */
	copy->link = inst->copy.link && !copy->chmod;
	return copy->link && copy->chown ? check_link_owner(copy->chown, err) : 0;
}

static bool written_as_dir(const char *dest)
{
	return !*dest || rb_streq(dest, ".") || rb_ends_with(dest, "/") || rb_ends_with(dest, "/.");
}

static void add_sources_text(const struct rb_vertex_copy *copy, struct rb_buf *b)
{
	for (size_t i = 0; i < copy->n_sources; i++)
		if (copy->sources[i].path || copy->sources[i].remote)
			rb_buf_addf(b, " %s",
				    copy->sources[i].remote ? copy->sources[i].remote->shown
							    : copy->sources[i].path);
	for (size_t i = 0; i < copy->n_sources; i++)
		if (copy->sources[i].inline_data)
			rb_buf_addf(b, " <<%s", copy->sources[i].inline_name);
}

/* The vertex whose result the stage goes on with. */
static struct rb_vertex *add_copy(struct rb_elab *e, const struct rb_vertex_copy *copy)
{
	struct rb_vertex *below = e->top, *v = add_vertex(e, RB_VERTEX_COPY);

	v->copy = *copy;
	if (!copy->link)
		return v;
	v->parent = NULL;
	e->top = below;
	struct rb_vertex *link = add_vertex(e, RB_VERTEX_LINK);
	link->link.layer = v;
	return link;
}

int rb_elab_copy(struct rb_elab *e, struct rb_error **err)
{
	const struct rb_inst *inst = e->inst;
	RB_CLEANUP(rb_buf_clear) struct rb_buf by = RB_BUF_INIT;
	RB_CLEANUP(rb_strp) char *dest = rb_elab_expand(e, inst->copy.dest, err);
	struct rb_vertex_copy copy = {.dest_is_dir = dest && written_as_dir(dest)};
	const struct rb_from from = {.text = inst->copy.from};

	if (!dest || copy_sources(e, &copy, err) < 0 || copy_flags(e, &copy, err) < 0 ||
	    rb_plan_resolve_from(e->plan, e->stage, inst, &from, &copy.from, err) < 0)
		return -1;
	const char *wd =
		e->config->working_dir && *e->config->working_dir ? e->config->working_dir : "/";
	RB_CLEANUP(rb_strp) char *abs = rb_path_join_abs(wd, dest);
	RB_CLEANUP(rb_strp) char *rooted = rb_path_join_abs("/", abs);
	copy.dest = keep(e, rooted);

	rb_buf_addf(&by, "%s%s", rb_inst_kind_name(inst->kind), copy.parents ? " --parents" : "");
	if (copy.chown)
		rb_buf_addf(&by, " --chown=%s", copy.chown);
	if (copy.chmod)
		rb_buf_addf(&by, " --chmod=%s", copy.chmod_text);
	add_sources_text(&copy, &by);
	rb_buf_addf(&by, " %s # buildkit", dest);

	rb_elab_history(e, add_copy(e, &copy), by.ptr);
	return 0;
}

void rb_elab_from_context(struct rb_elab *e)
{
	struct rb_copy_source *all = rb_arena_array(e->plan->arena, 1, sizeof(*all));
	RB_CLEANUP(rb_strp) char *by = rb_asprintf("FROM %s", e->stage->from_name);

	all->path = "/";
	e->inst = e->stage->ast->from;
	struct rb_vertex *v = add_vertex(e, RB_VERTEX_COPY);
	v->copy = (struct rb_vertex_copy){
		.from = e->stage->base,
		.sources = all,
		.n_sources = 1,
		.dest = "/",
		.dest_is_dir = true,
	};
	rb_elab_history(e, v, by);
}

/* --- WORKDIR
 * ----------------------------------------------------------------------------------------- */

int rb_elab_workdir(struct rb_elab *e, struct rb_error **err)
{
	RB_CLEANUP(rb_strp) char *given = rb_elab_expand(e, e->inst->text, err);
	RB_CLEANUP(rb_buf_clear) struct rb_buf by = RB_BUF_INIT;

	if (!given)
		return -1;
	rb_elab_check_workdir(e, given);
	const char *wd =
		e->config->working_dir && *e->config->working_dir ? e->config->working_dir : "/";
	RB_CLEANUP(rb_strp) char *joined = rb_path_join_abs(wd, given);
	RB_CLEANUP(rb_strp) char *path = rb_path_join_abs("/", joined);
	free(e->config->working_dir);
	e->config->working_dir = rb_strdup(path);
	rb_buf_addf(&by, "WORKDIR %s", path);
	if (rb_streq(path, "/")) {
		/* Counted as a step in names, but there is nothing to make. */
		e->step++;
		rb_elab_history(e, NULL, by.ptr);
		return 0;
	}
	struct rb_vertex *v = add_vertex(e, RB_VERTEX_WORKDIR);
	v->workdir.path = keep(e, path);
	v->workdir.user = keep(e, e->config->user ? e->config->user : "");
	rb_elab_history(e, v, by.ptr);
	return 0;
}
