// SPDX-License-Identifier: Apache-2.0
/* Cache keys (dockerfile.md 6.1, design 3.5). Every field is length-prefixed; the first one names
 * the scheme. */
#include "plan/plan.h"

#define KEY_SCHEME "rbuild-key-2"

static void add_list(struct rb_hash *h, const char *const *v, size_t n)
{
	rb_hash_addu64(h, n);
	for (size_t i = 0; i < n; i++)
		rb_hash_addstr(h, v[i]);
}

static void add_strv(struct rb_hash *h, const struct rb_strv *v)
{
	add_list(h, (const char *const *)v->v, v->n);
}

/* Neither contents nor id of a cache, nor the value of a secret (6.1). What a bind mount shows is
 * an input. */
static void add_mount(struct rb_hash *h, const struct rb_vertex_mount *vm)
{
	const struct rb_run_mount *m = &vm->spec;
	bool named = m->type == RB_MOUNT_SECRET || m->type == RB_MOUNT_SSH;

	rb_hash_addu64(h, m->type);
	rb_hash_addstr(h, m->target);
	rb_hash_addu64(h, m->read_only);
	rb_hash_addu64(h, m->size_bytes);
	rb_hash_addu64(h, vm->has_tree);
	rb_hash_addstr(h, vm->has_tree ? NULL : m->source);
	rb_hash_addstr(h, named ? m->id : NULL);
	rb_hash_addstr(h, m->env);
	rb_hash_addu64(h, m->required);
	rb_hash_addu64(h, (uint64_t)m->mode);
	rb_hash_addu64(h, (uint64_t)m->uid);
	rb_hash_addu64(h, (uint64_t)m->gid);
}

static void add_run(struct rb_hash *h, const struct rb_vertex *v)
{
	const struct rb_vertex_run *run = &v->run;
	RB_CLEANUP(rb_strv_clear) struct rb_strv env = RB_STRV_INIT;
	char platform[RB_PLATFORM_TEXT_BYTES];

	rb_hash_addstr(h, "run");
	add_list(h, run->argv.v, run->argv.n);
	rb_vertex_env(v, &env);
	add_strv(h, &env);
	rb_hash_addstr(h, run->cwd);
	rb_hash_addstr(h, run->user);
	/* The mode asked for, not what the host could give (design 3.5). */
	rb_hash_addu64(h, run->network);
	rb_hash_addu64(h, run->insecure);
	rb_hash_addstr(h, run->hostname);
	rb_hash_addu64(h, run->n_devices);
	for (size_t i = 0; i < run->n_devices; i++)
		rb_hash_addstr(h, run->devices[i].name);
	if (run->extra_key)
		add_strv(h, run->extra_key);
	rb_hash_addstr(h, run->script_name);
	rb_hash_addstr(h, run->script_body);
	rb_hash_addstr(h, rb_platform_text(&v->stage->platform, platform));
	rb_hash_addu64(h, run->n_mounts);
	for (size_t i = 0; i < run->n_mounts; i++)
		add_mount(h, &run->mounts[i]);
}

/* What a COPY does besides the bytes it takes. */
static void add_copy(struct rb_hash *h, const struct rb_vertex_copy *copy)
{
	rb_hash_addstr(h, "copy");
	rb_hash_addstr(h, copy->dest);
	rb_hash_addu64(h, copy->dest_is_dir);
	rb_hash_addstr(h, copy->chown);
	rb_hash_addstr(h, copy->chmod_text);
	rb_hash_addu64(h, copy->unpack);
	rb_hash_addu64(h, copy->link);
	rb_hash_addu64(h, copy->parents);
	add_list(h, copy->excludes.v, copy->excludes.n);
	rb_hash_addu64(h, copy->unpack_urls);
	rb_hash_addu64(h, copy->n_sources);
	for (size_t i = 0; i < copy->n_sources; i++) {
		const struct rb_plan_remote *remote = copy->sources[i].remote;

		if (remote)
			rb_hash_add(h, remote->content.bytes, sizeof(remote->content.bytes));
		/* Inline data is the operation's own; it needs no checksum of a tree. */
		rb_hash_addstr(h, copy->sources[i].inline_name);
		rb_hash_addstr(h, copy->sources[i].inline_data);
	}
}

bool rb_vertex_is_detached(const struct rb_vertex *v)
{
	return v->kind == RB_VERTEX_COPY && v->copy.link;
}

static struct rb_hash *start(const char *parent_id)
{
	struct rb_hash *h = rb_hash_new();

	rb_hash_addstr(h, KEY_SCHEME);
	rb_hash_addstr(h, parent_id);
	return h;
}

/* What of each input is taken. */
static void add_paths(struct rb_hash *h, const struct rb_vertex *v, size_t input)
{
	if (v->kind == RB_VERTEX_RUN) {
		rb_hash_addstr(h, v->run.trees[input]->spec.source);
		return;
	}
	for (size_t i = 0; i < v->copy.n_sources; i++)
		rb_hash_addstr(h, v->copy.sources[i].path);
}

static void add_operation(struct rb_hash *h, const struct rb_vertex *v)
{
	switch (v->kind) {
	case RB_VERTEX_RUN:
		add_run(h, v);
		break;
	case RB_VERTEX_WORKDIR:
		rb_hash_addstr(h, "workdir");
		rb_hash_addstr(h, v->workdir.path);
		rb_hash_addstr(h, v->workdir.user);
		if (v->workdir.has_epoch)
			rb_hash_addu64(h, (uint64_t)v->workdir.epoch);
		break;
	case RB_VERTEX_COPY:
		add_copy(h, &v->copy);
		break;
	case RB_VERTEX_LINK:
		rb_bug("a link has no key");
	}
}

bool rb_vertex_definition_key(const struct rb_vertex *v, const char *parent_id,
			      const char *const *input_ids, struct rb_digest *ret)
{
	size_t n = rb_vertex_n_inputs(v);

	if (v->kind == RB_VERTEX_LINK)
		return false;
	RB_CLEANUP(rb_hash_freep) struct rb_hash *h = start(parent_id);
	add_operation(h, v);
	if (n)
		rb_hash_addstr(h, "definition");
	for (size_t i = 0; i < n; i++) {
		if (!input_ids[i])
			return false;
		rb_hash_addstr(h, input_ids[i]);
		add_paths(h, v, i);
	}
	*ret = rb_hash_final(h);
	return true;
}

struct rb_digest rb_vertex_content_key(const struct rb_vertex *v, const char *parent_id,
				       const struct rb_digest *content)
{
	RB_CLEANUP(rb_hash_freep) struct rb_hash *h = start(parent_id);

	add_operation(h, v);
	rb_hash_addstr(h, "content");
	for (size_t i = 0; i < rb_vertex_n_inputs(v); i++)
		rb_hash_add(h, content[i].bytes, sizeof(content[i].bytes));
	return rb_hash_final(h);
}
