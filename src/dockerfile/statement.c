// SPDX-License-Identifier: Apache-2.0
/* What the instructions take from their statements: flags (dockerfile.md 1.5), words, heredocs. */
#include <limits.h>
#include <string.h>

#include "dockerfile/dockerfile-internal.h"

int rb_statement_parse_flags(struct rb_statement *st, struct rb_error **err)
{
	return rb_flags_parse(st->kind->flags, &st->flag_words, &st->flags, err);
}

const char *rb_statement_flag(struct rb_statement *st, const char *name)
{
	const char *value = rb_flags_find(&st->flags, name)->value;

	return value && *value ? rb_arena_strdup(st->lx->arena, value) : NULL;
}

struct rb_words rb_statement_words(struct rb_statement *st, char *const *v, size_t n)
{
	struct rb_words w = {rb_arena_array(st->lx->arena, n + 1, sizeof(*w.v)), n};

	for (size_t i = 0; i < n; i++)
		w.v[i] = rb_arena_strdup(st->lx->arena, v[i]);
	return w;
}

struct rb_words rb_statement_flag_list(struct rb_statement *st, const char *name)
{
	RB_CLEANUP(rb_strp) char *prefix = rb_asprintf("--%s=", name);
	RB_CLEANUP(rb_strv_clear) struct rb_strv values = RB_STRV_INIT;

	for (size_t i = 0; i < st->flag_words.n; i++)
		if (rb_starts_with(st->flag_words.v[i], prefix))
			rb_strv_add(&values, st->flag_words.v[i] + strlen(prefix));
	return rb_statement_words(st, values.v, values.n);
}

const char *rb_statement_with_bodies(struct rb_statement *st)
{
	RB_CLEANUP(rb_buf_clear) struct rb_buf b = RB_BUF_INIT;

	if (!st->inst->n_heredocs)
		return st->args;
	rb_buf_addstr(&b, st->args);
	for (size_t i = 0; i < st->inst->n_heredocs; i++) {
		const struct rb_heredoc *h = &st->inst->heredocs[i];

		rb_buf_addch(&b, '\n');
		rb_buf_addstr(&b, h->raw);
		rb_buf_addstr(&b, h->name);
	}
	return rb_arena_strndup(st->lx->arena, b.ptr, b.len);
}

int rb_statement_check_file_name(const struct rb_statement *st, const char *name,
				 struct rb_error **err)
{
	if (!strchr(name, '/') && !rb_streq(name, ".") && !rb_streq(name, "..") &&
	    strlen(name) <= NAME_MAX)
		return 0;
	return rb_fail(
		err, RB_ERR_DOCKERFILE,
		"the heredoc \"%.60s\" of %s becomes a file of that name, which no file can have",
		name, st->kind->name);
}
