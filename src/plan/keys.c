// SPDX-License-Identifier: Apache-2.0
/* Cache keys (dockerfile.md 6.1, design 3.5). Every field is length-prefixed; the first one names
 * the scheme. */
#include "plan/plan.h"

#define KEY_SCHEME "rbuild-key-1"

static void add_strv(struct rb_hash *h, const struct rb_strv *v)
{
	rb_hash_addu64(h, v->n);
	for (size_t i = 0; i < v->n; i++)
		rb_hash_addstr(h, v->v[i]);
}

static void add_run(struct rb_hash *h, const struct rb_vertex *v)
{
	const struct rb_vertex_run *run = &v->run;
	char platform[RB_PLATFORM_TEXT_BYTES];

	rb_hash_addstr(h, "run");
	add_strv(h, &run->argv);
	add_strv(h, &run->env);
	rb_hash_addstr(h, run->cwd);
	rb_hash_addstr(h, run->user);
	/* The mode asked for, not what the host could give (design 3.5). */
	rb_hash_addu64(h, run->network);
	rb_hash_addstr(h, run->script_name);
	rb_hash_addstr(h, run->script_body);
	rb_hash_addstr(h, rb_platform_text(&v->stage->platform, platform));
}

/* What a COPY does besides the bytes it takes. */
static void add_copy(struct rb_hash *h, const struct rb_vertex_copy *copy)
{
	rb_hash_addstr(h, "copy");
	rb_hash_addstr(h, copy->dest);
	rb_hash_addu64(h, copy->dest_is_dir);
	rb_hash_addstr(h, copy->chown);
	rb_hash_addu64(h, (uint64_t)copy->chmod);
	rb_hash_addu64(h, copy->unpack);
	rb_hash_addu64(h, copy->n_sources);
	for (size_t i = 0; i < copy->n_sources; i++) {
		/* Inline data is the operation's own; it needs no checksum of a tree. */
		rb_hash_addstr(h, copy->sources[i].inline_name);
		rb_hash_addstr(h, copy->sources[i].inline_data);
	}
}

static struct rb_hash *start(const char *parent_id)
{
	struct rb_hash *h = rb_hash_new();

	rb_hash_addstr(h, KEY_SCHEME);
	rb_hash_addstr(h, parent_id);
	return h;
}

bool rb_vertex_definition_key(const struct rb_vertex *v, const char *parent_id, const char *from_id,
			      struct rb_digest *ret)
{
	RB_CLEANUP(rb_hash_freep) struct rb_hash *h = start(parent_id);

	switch (v->kind) {
	case RB_VERTEX_RUN:
		add_run(h, v);
		break;
	case RB_VERTEX_WORKDIR:
		rb_hash_addstr(h, "workdir");
		rb_hash_addstr(h, v->workdir.path);
		rb_hash_addstr(h, v->workdir.user);
		break;
	case RB_VERTEX_COPY:
		if (!from_id)
			return false;
		add_copy(h, &v->copy);
		rb_hash_addstr(h, "definition");
		rb_hash_addstr(h, from_id);
		for (size_t i = 0; i < v->copy.n_sources; i++)
			rb_hash_addstr(h, v->copy.sources[i].path);
		break;
	}
	*ret = rb_hash_final(h);
	return true;
}

struct rb_digest rb_vertex_content_key(const struct rb_vertex *v, const char *parent_id,
				       const struct rb_digest *content)
{
	RB_CLEANUP(rb_hash_freep) struct rb_hash *h = start(parent_id);

	add_copy(h, &v->copy);
	rb_hash_addstr(h, "content");
	rb_hash_add(h, content->bytes, sizeof(content->bytes));
	return rb_hash_final(h);
}
