// SPDX-License-Identifier: Apache-2.0
/* COPY and ADD (dockerfile.md 3.9, 3.10). */
#include "dockerfile/dockerfile-internal.h"
#include "dockerfile/expand.h"
#include "dockerfile/values.h"

/* --from is no place for variables: what expansion would change is refused. */
static int check_from(struct rb_statement *st, const char *from, struct rb_error **err)
{
	struct rb_env none = {0};
	RB_CLEANUP(rb_strp) char *value = rb_expand(from, st->lx->escape, &none, NULL, err);

	if (!value)
		return -1;
	if (!rb_streq(value, from))
		return rb_fail(
			err, RB_ERR_DOCKERFILE,
			"variable expansion is not supported for --from, define a new stage with FROM using ARG from global scope as a workaround");
	return 0;
}

/*
 * Tells heredocs from paths. The line was searched for heredocs as shell text, but these words are
 * split at blanks, so both must come to the same list: a delimiter with a blank does not.
 */
static int sort_sources(struct rb_statement *st, struct rb_error **err)
{
	struct rb_inst *inst = st->inst;
	size_t n = st->list.n - 1, n_heredocs = 0;
	size_t n_paths = n < inst->n_heredocs ? 0 : n - inst->n_heredocs;
	size_t *order = rb_arena_array(st->lx->arena, n, sizeof(*order));
	RB_CLEANUP(rb_strv_clear) struct rb_strv paths = RB_STRV_INIT;

	for (size_t i = 0; i < n; i++) {
		struct rb_heredoc h;
		const char *word = st->list.v[i];

		if (!st->json && rb_heredoc_parse(st->lx->arena, rb_slice_str(word), &h) &&
		    n_heredocs < inst->n_heredocs &&
		    rb_streq(h.name, inst->heredocs[n_heredocs].name)) {
			order[i] = n_paths + n_heredocs++;
			if (rb_statement_check_file_name(st, h.name, err) < 0)
				return -1;
			continue;
		}
		order[i] = paths.n;
		rb_strv_add(&paths, word);
		if (inst->kind == RB_INST_COPY && rb_dockerfile_check_copy_source(word, err) < 0)
			return -1;
	}
	if (n_heredocs != inst->n_heredocs)
		return rb_fail(
			err, RB_ERR_DOCKERFILE,
			"the heredoc \"%s\" of %s must be written as one word without blanks, like <<EOF",
			inst->heredocs[n_heredocs].name, st->kind->name);
	inst->copy.sources = rb_statement_words(st, paths.v, paths.n);
	inst->copy.order = order;
	inst->copy.n_order = n;
	return 0;
}

int rb_inst_parse_copy(struct rb_statement *st, struct rb_error **err)
{
	struct rb_inst *inst = st->inst;
	const struct rb_flag *unpack = rb_flags_find(&st->flags, "unpack");
	const struct rb_flag *keep = rb_flags_find(&st->flags, "keep-git-dir");
	struct rb_heredoc h;

	if (!st->json)
		rb_words_split(st->args, &st->list);
	if (st->list.n < 2)
		return rb_fail(
			err, RB_ERR_DOCKERFILE,
			"%s requires at least two arguments, but only one was provided. Destination could not be determined",
			st->kind->name);
	const char *dest = st->list.v[st->list.n - 1];
	if (!st->json && rb_heredoc_parse(st->lx->arena, rb_slice_str(dest), &h))
		return rb_fail(err, RB_ERR_DOCKERFILE,
			       "%s cannot accept a heredoc as a destination", st->kind->name);
	inst->copy.dest = rb_arena_strdup(st->lx->arena, dest);
	inst->copy.from = rb_statement_flag(st, "from");
	inst->copy.chown = rb_statement_flag(st, "chown");
	inst->copy.chmod = rb_statement_flag(st, "chmod");
	inst->copy.unpack = unpack->given ? unpack->on : -1;
	inst->copy.link = rb_flags_find(&st->flags, "link")->on;
	inst->copy.parents = rb_flags_find(&st->flags, "parents")->on;
	inst->copy.excludes = rb_statement_flag_list(st, "exclude");
	inst->copy.keep_git_dir = keep->given ? keep->on : -1;
	inst->copy.checksum = rb_statement_flag(st, "checksum");
	if (inst->copy.checksum && st->list.n > 2)
		return rb_fail(err, RB_ERR_DOCKERFILE,
			       "checksum can't be specified for multiple sources");
	if (inst->copy.from && check_from(st, inst->copy.from, err) < 0)
		return -1;
	return sort_sources(st, err);
}
