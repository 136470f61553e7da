// SPDX-License-Identifier: Apache-2.0
#include "dockerfile/dockerfile.h"

#include <stdlib.h>
#include <string.h>

#include "dockerfile/dockerfile-internal.h"

/* What rb_dockerfile_free() finds behind the public part. */
struct parsed {
	struct rb_dockerfile df;
	struct rb_arena *arena;
	struct rb_inst *insts;
	size_t n, cap;
};

void rb_dockerfile_free(struct rb_dockerfile *df)
{
	struct parsed *p = (struct parsed *)df;

	if (!p)
		return;
	rb_arena_free(p->arena);
	free(p->insts);
	free(p);
}

static int parse_instructions(struct parsed *p, struct rb_lexer *lx, struct rb_error **err)
{
	struct rb_logical_line line;
	bool in_stage = false;
	int r;

	while ((r = rb_lexer_next(lx, &line, err)) > 0) {
		rb_grow(p->insts, p->n, &p->cap);
		struct rb_inst *inst = &p->insts[p->n];

		if (rb_inst_parse(lx, &line, inst, err) < 0)
			return -1;
		p->n++;
		if (line.has_empty_continuation)
			inst->empty_continuation = line.last;
		in_stage |= inst->kind == RB_INST_FROM;
		if (!in_stage && inst->kind != RB_INST_ARG) {
			(void)rb_fail(
				err, RB_ERR_DOCKERFILE,
				"no build stage in current context: %s needs a FROM before it",
				rb_inst_kind_name(inst->kind));
			return rb_error_at(err, inst->line_first, inst->line_last);
		}
	}
	return r;
}

/* Cuts the list of instructions at every FROM. */
static void build_stages(struct parsed *p)
{
	struct rb_dockerfile *df = &p->df;
	struct rb_stage *stage = NULL;

	for (size_t i = 0; i < p->n; i++)
		df->n_stages += p->insts[i].kind == RB_INST_FROM;
	df->stages = rb_arena_array(p->arena, df->n_stages, sizeof(*df->stages));
	df->global_args = p->insts;
	for (size_t i = 0; i < p->n; i++) {
		const struct rb_inst *inst = &p->insts[i];

		if (inst->kind == RB_INST_FROM) {
			size_t index = stage ? stage->index + 1 : 0;

			stage = &df->stages[index];
			*stage = (struct rb_stage){.index = index,
						   .from = inst,
						   .name = inst->from.name,
						   .insts = inst + 1};
		} else if (stage) {
			stage->n_insts++;
		} else {
			df->n_global_args++;
		}
	}
}

static int parse(struct parsed *p, const char *text, size_t len, struct rb_error **err)
{
	struct rb_lexer lx = {0};

	int r = rb_lexer_start(&lx, p->arena, text, len, err);
	if (r == 0)
		r = parse_instructions(p, &lx, err);
	rb_lexer_clear(&lx);
	if (r < 0)
		return -1;
	if (p->n == 0)
		return rb_fail(err, RB_ERR_DOCKERFILE,
			       "file with no instructions: begin with FROM");
	build_stages(p);
	if (p->df.n_stages == 0)
		return rb_fail(err, RB_ERR_DOCKERFILE,
			       "dockerfile contains no stages to build: add a FROM");
	p->df.escape = lx.escape;
	p->df.syntax = lx.syntax;
	p->df.check = lx.check;
	p->df.check_rest = lx.check_rest;
	p->df.check_line = lx.check_line;
	return 0;
}

static int parse_trigger(struct rb_lexer *lx, struct rb_inst *ret, struct rb_error **err)
{
	struct rb_logical_line line, second;
	int r = rb_lexer_next(lx, &line, err);

	if (r > 0 && rb_inst_parse(lx, &line, ret, err) < 0)
		return -1;
	if (r > 0 && rb_inst_check_trigger(ret->word, err) < 0)
		return -1;
	if (r < 0 || (r > 0 && (r = rb_lexer_next(lx, &second, err)) < 0))
		return -1;
	return ret->word && r == 0 ? 0
				   : rb_fail(err, RB_ERR_DOCKERFILE,
					     "onbuild trigger should be a single expression");
}

int rb_dockerfile_parse_trigger(struct rb_arena *arena, const char *text, unsigned line_first,
				unsigned line_last, struct rb_inst *ret, struct rb_error **err)
{
	struct rb_lexer lx = {0};
	size_t len = strlen(text);

	*ret = (struct rb_inst){0};
	int r = len > RB_DOCKERFILE_BYTES_MAX
			? rb_fail(err, RB_ERR_DOCKERFILE, "the trigger is larger than %d bytes",
				  RB_DOCKERFILE_BYTES_MAX)
			: rb_lexer_start(&lx, arena, text, len, err);
	if (r == 0)
		r = parse_trigger(&lx, ret, err);
	rb_lexer_clear(&lx);
	ret->trigger = true;
	ret->line_first = line_first;
	ret->line_last = line_last;
	if (r < 0) {
		(*err)->line_first = line_first;
		(*err)->line_last = line_last;
	}
	return r;
}

int rb_dockerfile_parse(const char *text, size_t len, struct rb_dockerfile **ret,
			struct rb_error **err)
{
	if (len == 0)
		return rb_fail(err, RB_ERR_DOCKERFILE,
			       "the Dockerfile cannot be empty: begin with FROM");
	if (len > RB_DOCKERFILE_BYTES_MAX)
		return rb_fail(err, RB_ERR_DOCKERFILE, "the Dockerfile is larger than %d bytes",
			       RB_DOCKERFILE_BYTES_MAX);
	struct parsed *p = rb_calloc(1, sizeof(*p));
	p->arena = rb_arena_new();
	if (parse(p, text, len, err) < 0) {
		rb_dockerfile_free(&p->df);
		return -1;
	}
	*ret = &p->df;
	return 0;
}
