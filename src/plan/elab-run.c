// SPDX-License-Identifier: Apache-2.0
/* RUN -> a vertex; its mounts are in mounts.c. */
#include <string.h>

#include "base/path.h"
#include "plan/plan-internal.h"

static struct rb_words run_argv(struct rb_elab *e, struct rb_vertex_run *run)
{
	const struct rb_inst *inst = e->inst;

	if (inst->run.exec)
		return inst->run.argv;
	if (!inst->run.script_file)
		return rb_elab_shell_form(e, inst->run.script);
	run->script_name = inst->run.script_file->name;
	run->script_body = inst->run.script_file->body;
	RB_CLEANUP(rb_strp) char *path = rb_asprintf("/dev/pipes/%s", run->script_name);
	return rb_elab_shell_form(e, rb_elab_keep(e, path));
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
	const struct rb_scope *scope = e->state->scope;

	for (size_t i = 0; i < v->run.n_mounts; i++)
		if (v->run.mounts[i].spec.env)
			rb_elab_set(e, RB_SCOPE_ENV, v->run.mounts[i].spec.env, "****");
	if (e->state->scope != scope)
		v->name = rb_elab_step_name(e, "");
	e->state->scope = scope;
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
		*ret = given;
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

int rb_elab_run(struct rb_elab *e, struct rb_error **err)
{
	const char *dir = e->state->working_dir ? e->state->working_dir : "";
	struct rb_vertex *v = rb_elab_add_vertex(e, RB_VERTEX_RUN);

	v->run.argv = run_argv(e, &v->run);
	v->run.scope = e->state->scope;
	/* A base image may have a relative one, or none. */
	RB_CLEANUP(rb_strp) char *cwd = rb_path_join_abs("/", dir);
	v->run.cwd = rb_streq(cwd, dir) ? dir : rb_elab_keep(e, cwd);
	v->run.user = e->state->user ? e->state->user : "";
	v->run.network = run_network(e);
	v->run.insecure = e->inst->run.insecure;
	v->run.devices = e->inst->run.devices;
	v->run.n_devices = e->inst->run.n_devices;
	v->run.extra_key = e->plan->options.run_key;
	if (check_entitlements(e, &v->run, err) < 0 || run_hostname(e, &v->run.hostname, err) < 0 ||
	    rb_elab_mounts(e, &v->run, err) < 0)
		return -1;
	name_with_secrets(e, v);
	rb_elab_history(e, v, NULL);
	return 0;
}

void rb_vertex_env(const struct rb_vertex *v, struct rb_strv *ret)
{
	rb_env_to_strv(rb_scope_map(v->stage->plan->scopes, v->run.scope, RB_SCOPE_ENV), ret);
}

/* "|2 a=1 b=2 " when ARGs were declared (3.2). */
static void add_args(const struct rb_vertex *v, struct rb_buf *b)
{
	struct rb_scopes *scopes = v->stage->plan->scopes;
	const struct rb_env *args = rb_scope_map(scopes, v->run.scope, RB_SCOPE_ARGS);
	const struct rb_env *env = rb_scope_map(scopes, v->run.scope, RB_SCOPE_ENV);

	if (args->n)
		rb_buf_addf(b, "|%zu ", args->n);
	for (size_t i = 0; i < args->n; i++) {
		const char *value = rb_env_get(env, args->names[i]);

		rb_buf_addf(b, "%s=%s ", args->names[i], value ? value : "");
	}
}

const char *rb_run_created_by(const struct rb_vertex *v)
{
	RB_CLEANUP(rb_buf_clear) struct rb_buf by = RB_BUF_INIT;

	rb_buf_addstr(&by, "RUN ");
	add_args(v, &by);
	for (size_t i = 0; i < v->run.argv.n; i++)
		rb_buf_addf(&by, "%s ", v->run.argv.v[i]);
	rb_buf_addstr(&by, "# buildkit");
	return rb_arena_strndup(v->stage->plan->arena, by.ptr, by.len);
}
