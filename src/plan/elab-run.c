// SPDX-License-Identifier: Apache-2.0
/* RUN -> a vertex; its mounts are in mounts.c. */
#include <string.h>

#include "base/path.h"
#include "plan/plan-internal.h"

/* "|2 a=1 b=2 " when ARGs were declared (3.2). */
static void add_arg_prefix(struct rb_elab *e, struct rb_buf *b)
{
	const struct rb_stage_state *s = e->state;

	if (!s->arg_names.n)
		return;
	rb_buf_addf(b, "|%zu ", s->arg_names.n);
	for (size_t i = 0; i < s->arg_names.n; i++) {
		const char *name = s->arg_names.names[i], *value = rb_env_get(&s->env, name);

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
		v->name = rb_elab_step_name(e, "", &env);
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
		*ret = rb_elab_keep(e, given);
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
	struct rb_vertex *v = rb_elab_add_vertex(e, RB_VERTEX_RUN);

	run_argv(e, &v->run);
	v->run.env = run_env(e);
	add_proxies(e, &v->run.proxy_env);
	/* A base image may have a relative one, or none. */
	RB_CLEANUP(rb_strp)
	char *cwd = rb_path_join_abs("/", e->config->working_dir ? e->config->working_dir : "");
	v->run.cwd = rb_elab_keep(e, cwd);
	v->run.user = rb_elab_keep(e, e->config->user ? e->config->user : "");
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
