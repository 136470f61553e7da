// SPDX-License-Identifier: Apache-2.0
/*
 * Build arguments that mean something to the builder (dockerfile.md 3.14). Those that work are read
 * where they work; here is told which do not.
 */
#include <string.h>

#include "base/log.h"
#include "cli/build-options.h"

enum meaning { WORKS, SWITCH, NO_EFFECT, REMOVED };

static const struct {
	const char *name;
	enum meaning meaning;
	const char *why;
} special[] = {
	{"BUILDKIT_BUILD_NAME", WORKS, NULL}, /* a label of the daemon's log, which there is none */
	{"BUILDKIT_CACHE_MOUNT_NS", WORKS, NULL},
	{"BUILDKIT_CONTEXT_KEEP_GIT_DIR", SWITCH, NULL},
	{"BUILDKIT_DISABLE_FILEOP", REMOVED, "COPY and ADD have one way of working"},
	{"BUILDKIT_DOCKERFILE_CHECK", WORKS, NULL},
	{"BUILDKIT_INLINE_CACHE", SWITCH, NULL},
	{"BUILDKIT_MULTI_PLATFORM", SWITCH, NULL},
	{"BUILDKIT_SANDBOX_HOSTNAME", WORKS, NULL},
	{"BUILDKIT_SBOM_SCAN_CONTEXT", NO_EFFECT, "this version of rbuild makes no SBOM"},
	{"BUILDKIT_SBOM_SCAN_STAGE", NO_EFFECT, "this version of rbuild makes no SBOM"},
	{"BUILDKIT_SYNTAX", WORKS, NULL},
	{"SOURCE_DATE_EPOCH", WORKS, NULL},
};

static int check_one(const char *name, const char *value, struct rb_error **err)
{
	RB_CLEANUP(rb_buf_clear) struct rb_buf hint = RB_BUF_INIT;
	const char *names[RB_ARRAY_LEN(special)];
	bool on;

	for (size_t i = 0; i < RB_ARRAY_LEN(special); i++) {
		names[i] = special[i].name;
		if (!rb_streq(special[i].name, name))
			continue;
		if (special[i].meaning == REMOVED)
			return rb_fail(err, RB_ERR_USAGE,
				       "--build-arg %s is not there any more: %s", name,
				       special[i].why);
		/* Not an error: it may be an argument of the Dockerfile's own. */
		if (special[i].meaning == SWITCH && *value && rb_parse_bool(value, &on) < 0)
			rb_log_warn("--build-arg %s=%.60s counts as false: it is true or false",
				    name, value);
		if (special[i].meaning == NO_EFFECT)
			rb_log_warn("--build-arg %s: %s", name, special[i].why);
		return 0;
	}
	if (rb_starts_with(name, "BUILDKIT_"))
		rb_log_warn("--build-arg %s has no special meaning%s", name,
			    rb_suggest(&hint, name, names, RB_ARRAY_LEN(names)));
	return 0;
}

int rb_build_args_check(const struct rb_env *args, struct rb_error **err)
{
	for (size_t i = 0; i < args->n; i++)
		if (check_one(args->names[i], args->values[i], err) < 0)
			return -1;
	return 0;
}

/* One name of the language that is spoken here, in any version. */
static bool is_our_language(const char *syntax)
{
	static const char *const known[] = {"docker/dockerfile", "docker/dockerfile-upstream",
					    "dockerfile.v0"};
	static const char domain[] = "docker.io/";

	if (rb_starts_with(syntax, domain))
		syntax += strlen(domain);
	for (size_t i = 0; i < RB_ARRAY_LEN(known); i++) {
		size_t n = strlen(known[i]);

		if (strncmp(syntax, known[i], n) == 0 && strchr(":@", syntax[n]))
			return true;
	}
	return false;
}

void rb_build_syntax_check(const struct rb_dockerfile *df, const struct rb_env *args)
{
	const char *arg = rb_env_get(args, "BUILDKIT_SYNTAX");
	const char *syntax = arg && *arg ? arg : df->syntax;

	if (syntax && !is_our_language(syntax))
		rb_log_warn(
			"%s%s is not fetched or run: the file is read as an ordinary Dockerfile",
			syntax == arg ? "--build-arg BUILDKIT_SYNTAX=" : "# syntax=", syntax);
}
