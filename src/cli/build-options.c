// SPDX-License-Identifier: Apache-2.0
#include "cli/build-options.h"

#include <stdlib.h>
#include <string.h>

#include "base/csv.h"

const struct rb_option *rb_build_options_table(struct rb_build_options *o)
{
	const struct rb_option table[] = {
		{"add-host", 0, RB_OPT_LIST, &o->steps.hosts, "NAME:IP",
		 "line of /etc/hosts in RUN; IP may be host-gateway"},
		{"allow", 0, RB_OPT_LIST, &o->steps.allow, "WHAT",
		 "what RUN may ask for: network.host, security.insecure"},
		{"build-arg", 0, RB_OPT_LIST, &o->build_args, "NAME[=VALUE]",
		 "value of an ARG; without =, the variable's"},
		{"build-context", 0, RB_OPT_LIST, &o->build_contexts, "NAME=VALUE",
		 "files or image that FROM and --from=NAME mean"},
		{"call", 0, RB_OPT_STRING, &o->call, "METHOD",
		 "check, outline, targets, subrequests.describe; [,format=json]"},
		{"check", 0, RB_OPT_FLAG, &o->check, NULL, "the same as --call=check"},
		{"cache-from", 0, RB_OPT_LIST, &o->cache_from, "SPEC",
		 "use results of other builds: REF, type=local,src=DIR"},
		{"cache-to", 0, RB_OPT_LIST, &o->cache_to, "SPEC",
		 "keep results for other builds: type=local,dest=DIR, type=inline"},
		{"file", 'f', RB_OPT_STRING, &o->file, "FILE",
		 "Dockerfile (default: CONTEXT/Dockerfile); -: standard input"},
		{"hostname", 0, RB_OPT_STRING, &o->steps.hostname, "NAME", "host name in RUN"},
		{"iidfile", 0, RB_OPT_STRING, &o->iidfile, "FILE", "write the image ID to FILE"},
		{"jobs", 'j', RB_OPT_COUNT, &o->jobs, "N",
		 "steps at a time (default: number of processors)"},
		{"label", 0, RB_OPT_LIST, &o->labels, "KEY=VALUE", "label of the image"},
		{"metadata-file", 0, RB_OPT_STRING, &o->metadata_file, "FILE",
		 "write digests and names of the image to FILE, as JSON"},
		{"network", 0, RB_OPT_STRING, &o->steps.network, "MODE",
		 "default, none or host: network of RUN"},
		{"no-cache", 0, RB_OPT_FLAG, &o->no_cache, NULL, "run every step again"},
		{"no-cache-filter", 0, RB_OPT_LIST, &o->no_cache_filter, "STAGE[,...]",
		 "run every step of these stages again"},
		{"on-fail", 0, RB_OPT_STRING, &o->on_fail, "ACTION",
		 "shell: on a terminal, open one where a RUN failed"},
		{"output", 'o', RB_OPT_LIST, &o->outputs, "SPEC",
		 "type=oci,dest=FILE, type=local,dest=DIR, ..."},
		{"platform", 0, RB_OPT_LIST, &o->platforms, "OS/ARCH[,...]",
		 "target platforms; several make an index"},
		{"progress", 0, RB_OPT_STRING, &o->progress, "KIND",
		 "auto, plain, tty, rawjson or quiet"},
		{"pull", 0, RB_OPT_FLAG, &o->pull, NULL,
		 "ask the registry even for images in the store"},
		{"quiet", 'q', RB_OPT_FLAG, &o->quiet, NULL, "print the image ID only"},
		{"secret", 0, RB_OPT_LIST, &o->secrets, "id=ID[,...]",
		 "secret for RUN, with src=FILE or env=NAME"},
		{"shm-size", 0, RB_OPT_STRING, &o->steps.shm_size, "BYTES",
		 "size of /dev/shm in RUN (default: 64m)"},
		{"ssh", 0, RB_OPT_LIST, &o->ssh, "ID[=PATH,...]",
		 "agent (socket) or keys (files) for RUN and git"},
		{"tag", 't', RB_OPT_LIST, &o->tags, "NAME[:TAG]", "name of the image in the store"},
		{"target", 0, RB_OPT_STRING, &o->target, "STAGE",
		 "stage to build (name in any case, or number)"},
		{"ulimit", 0, RB_OPT_LIST, &o->steps.ulimits, "NAME=SOFT[:HARD]",
		 "limit of RUN, such as nofile=1024"},

		{"annotation", 0, RB_OPT_REFUSED, NULL, "KEY=VALUE",
		 "--label puts the same into the image's config"},
		{"attest", 0, RB_OPT_REFUSED, NULL, "SPEC", "leave it out"},
		{"builder", 0, RB_OPT_REFUSED, NULL, "NAME",
		 "rbuild is the builder itself; another store is --root DIR"},
		{"cgroup-parent", 0, RB_OPT_STRING, &o->steps.cgroup_parent, "PATH", NULL},
		{"load", 0, RB_OPT_OFF, NULL, NULL,
		 "the image is in rbuild's store anyway; for another engine write "
		 "-o type=oci,dest=FILE, which podman load reads"},
		{"policy", 0, RB_OPT_REFUSED, NULL, "SPEC",
		 "name images by their digest to pin them"},
		{"provenance", 0, RB_OPT_OFF, NULL, "SPEC", "write --provenance=false"},
		{"push", 0, RB_OPT_OFF, NULL, NULL,
		 "write -o type=oci,dest=FILE, and push that: skopeo copy oci-archive:FILE "
		 "docker://NAME"},
		{"resource", 0, RB_OPT_LIST, &o->steps.resources, "SPEC", NULL},
		{"sbom", 0, RB_OPT_OFF, NULL, "SPEC", "write --sbom=false"},
		{"print", 0, RB_OPT_STRING, &o->call, "METHOD", NULL},
		{"compress", 0, RB_OPT_IGNORED, NULL, NULL, NULL},
		{"cpu-period", 0, RB_OPT_IGNORED, NULL, "N", NULL},
		{"cpu-quota", 0, RB_OPT_IGNORED, NULL, "N", NULL},
		{"cpu-shares", 'c', RB_OPT_IGNORED, NULL, "N", NULL},
		{"cpuset-cpus", 0, RB_OPT_IGNORED, NULL, "LIST", NULL},
		{"cpuset-mems", 0, RB_OPT_IGNORED, NULL, "LIST", NULL},
		{"disable-content-trust", 0, RB_OPT_IGNORED, NULL, NULL, NULL},
		{"isolation", 0, RB_OPT_IGNORED, NULL, "KIND", NULL},
		{"memory", 'm', RB_OPT_IGNORED, NULL, "BYTES", NULL},
		{"memory-swap", 0, RB_OPT_IGNORED, NULL, "BYTES", NULL},
		{"security-opt", 0, RB_OPT_IGNORED, NULL, "OPTION", NULL},
		{"squash", 0, RB_OPT_IGNORED, NULL, NULL, NULL},
		{"force-rm", 0, RB_OPT_IGNORED, NULL, NULL, NULL},
		{"rm", 0, RB_OPT_IGNORED, NULL, NULL, NULL},
		{0},
	};

	o->table = rb_malloc(sizeof(table));
	memcpy(o->table, table, sizeof(table));
	return o->table;
}

/* An empty value is none, as docker has it: scripts write --platform "$PLATFORM". */
static void drop_empty(struct rb_build_options *o)
{
	const char **values[] = {&o->file, &o->iidfile, &o->metadata_file, &o->target, &o->call};

	for (size_t i = 0; i < RB_ARRAY_LEN(values); i++)
		if (*values[i] && !**values[i])
			*values[i] = NULL;
}

static int check_args(struct rb_build_options *o, struct rb_error **err)
{
	for (size_t i = 0; i < o->build_args.n; i++) {
		const char *arg = o->build_args.v[i], *eq = strchr(arg, '=');
		RB_CLEANUP(rb_strp)
		char *name = rb_strndup(arg, eq ? (size_t)(eq - arg) : strlen(arg));
		const char *value = eq ? eq + 1 : getenv(name);

		if (!*name)
			return rb_fail(
				err, RB_ERR_USAGE,
				"--build-arg \"%s\" has no name: write NAME=VALUE, or NAME for the "
				"value of the environment variable",
				arg);
		/* A bare name that the environment does not have is ignored, as docker does. */
		if (value)
			rb_env_set(&o->args, name, value);
	}
	/* The one variable that is a build argument without being asked for (7.5). */
	static const char epoch[] = "SOURCE_DATE_EPOCH";
	const char *value = getenv(epoch);
	if (value && *value && !rb_env_get(&o->args, epoch))
		rb_env_set(&o->args, epoch, value);
	return rb_build_args_check(&o->args, err);
}

static int check_labels(struct rb_build_options *o, struct rb_error **err)
{
	for (size_t i = 0; i < o->labels.n; i++) {
		const char *label = o->labels.v[i], *eq = strchr(label, '=');
		RB_CLEANUP(rb_strp)
		char *key = rb_strndup(label, eq ? (size_t)(eq - label) : strlen(label));

		if (!*key)
			return rb_fail(err, RB_ERR_USAGE,
				       "--label \"%s\" has no key: write KEY=VALUE", label);
		rb_labels_set(&o->label_map, key, eq ? eq + 1 : "");
	}
	return 0;
}

/* One word of --platform; `local` is this machine's. A platform named twice is built once. */
static int add_platform(struct rb_build_options *o, const char *text, struct rb_error **err)
{
	struct rb_platform p = rb_platform_host();

	if (!rb_streq(text, "local") && rb_platform_parse(text, &p, err) < 0)
		return -1;
	for (size_t i = 0; i < o->n_targets; i++)
		if (rb_platform_eq(&o->targets[i], &p))
			return 0;
	if (o->n_targets == RB_BUILD_PLATFORMS_MAX)
		return rb_fail(err, RB_ERR_USAGE, "more than %d platforms in one build",
			       RB_BUILD_PLATFORMS_MAX);
	o->targets = rb_reallocarray(o->targets, o->n_targets + 1, sizeof(*o->targets));
	o->targets[o->n_targets++] = p;
	return 0;
}

static int check_platforms(struct rb_build_options *o, bool *ret_default, struct rb_error **err)
{
	for (size_t i = 0; i < o->platforms.n; i++) {
		RB_CLEANUP(rb_strp) char *list = rb_strdup(o->platforms.v[i]);

		for (char *rest = *list ? list : NULL, *word; (word = strsep(&rest, ","));)
			if (add_platform(o, word, err) < 0)
				return -1;
	}
	*ret_default = !o->n_targets;
	return *ret_default ? add_platform(o, "local", err) : 0;
}

int rb_build_options_check(struct rb_build_options *o, struct rb_plan_options *ret,
			   struct rb_error **err)
{
	memset(ret, 0, sizeof(*ret));
	drop_empty(o);
	if (check_args(o, err) < 0 || check_labels(o, err) < 0 ||
	    rb_step_options_check(&o->steps, ret, err) < 0)
		return -1;
	if (check_platforms(o, &ret->platform_is_default, err) < 0)
		return rb_wrap(err, "--platform");
	const char *multi = rb_env_get(&o->args, "BUILDKIT_MULTI_PLATFORM");
	if (multi)
		(void)rb_parse_bool(multi, &o->as_index);
	o->as_index |= o->n_targets > 1;
	ret->several_platforms = o->as_index;
	ret->target_platform = o->targets[0];
	ret->target = o->target;
	ret->build_args = &o->args;
	ret->labels = &o->label_map;
	for (size_t i = 0; i < o->no_cache_filter.n; i++)
		if (rb_csv_split(o->no_cache_filter.v[i], RB_ERR_USAGE, &o->no_cache_stages, err) <
		    0)
			return rb_wrap(err, "--no-cache-filter");
	if (o->on_fail && !rb_streq(o->on_fail, "shell") && *o->on_fail)
		return rb_fail(err, RB_ERR_USAGE, "--on-fail is shell, not \"%s\"", o->on_fail);
	ret->no_cache = o->no_cache;
	ret->no_cache_stages = &o->no_cache_stages;
	if (rb_named_contexts_open(&o->build_contexts, &o->named, err) < 0)
		return -1;
	ret->contexts = o->named.plan;
	ret->n_contexts = o->named.n;
	return 0;
}

void rb_build_options_clear(struct rb_build_options *o)
{
	struct rb_strv *lists[] = {
		&o->cache_from,      &o->cache_to,   &o->tags,   &o->no_cache_filter,
		&o->no_cache_stages, &o->build_args, &o->labels, &o->outputs,
		&o->platforms,       &o->secrets,    &o->ssh,    &o->label_map.keys,
		&o->label_map.values};

	for (size_t i = 0; i < RB_ARRAY_LEN(lists); i++)
		rb_strv_clear(lists[i]);
	rb_step_options_clear(&o->steps);
	rb_env_clear(&o->args);
	rb_strv_clear(&o->build_contexts);
	rb_named_contexts_clear(&o->named);
	free(o->targets);
	free(o->table);
	o->table = NULL;
}
