// SPDX-License-Identifier: Apache-2.0
/* A whole Dockerfile: parsed, its tree read to the last string, its values and frames made. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "dockerfile/dockerfile.h"
#include "dockerfile/values.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static volatile size_t sink;

/* Reads a string, so that the sanitizer sees one that is not there or has no end. */
static void touch(const char *s)
{
	sink += strlen(s);
}

static void touch_or_null(const char *s)
{
	if (s)
		touch(s);
}

static void touch_words(const struct rb_words *w)
{
	for (size_t i = 0; i < w->n; i++)
		touch(w->v[i]);
	if (w->v && w->v[w->n])
		abort();
}

static void touch_command(bool exec, const struct rb_words *argv, const char *script)
{
	if (exec)
		touch_words(argv);
	else
		touch(script);
}

static void touch_copy(const struct rb_inst *inst)
{
	touch_words(&inst->copy.sources);
	touch(inst->copy.dest);
	touch_or_null(inst->copy.from);
	touch_or_null(inst->copy.chown);
	touch_or_null(inst->copy.chmod);
	if (inst->copy.n_order != inst->copy.sources.n + inst->n_heredocs)
		abort();
	for (size_t i = 0; i < inst->copy.n_order; i++)
		if (inst->copy.order[i] >= inst->copy.n_order)
			abort();
}

static void touch_kvs(const struct rb_kvs *kvs)
{
	for (size_t i = 0; i < kvs->n; i++) {
		touch(kvs->v[i].key);
		touch_or_null(kvs->v[i].value);
	}
}

static void touch_ports(const struct rb_words *words)
{
	for (size_t i = 0; i < words->n; i++) {
		struct rb_strv ports = RB_STRV_INIT;

		(void)rb_dockerfile_parse_port(words->v[i], &ports, NULL);
		rb_strv_clear(&ports);
	}
}

static void touch_health(const struct rb_inst *inst)
{
	struct rb_buf b = RB_BUF_INIT;
	struct rb_error *err = NULL;
	int64_t again;

	rb_dockerfile_add_duration(&b, inst->health.interval_ns);
	if (rb_dockerfile_parse_duration(b.ptr, &again, &err) < 0 ||
	    again != inst->health.interval_ns)
		abort();
	rb_buf_clear(&b);
	if (!inst->health.none)
		touch_command(inst->health.exec, &inst->health.argv, inst->health.script);
}

static void touch_values(const struct rb_inst *inst)
{
	switch (inst->kind) {
	case RB_INST_FROM:
		touch(inst->from.image);
		touch_or_null(inst->from.platform);
		touch_or_null(inst->from.name);
		break;
	case RB_INST_ARG:
	case RB_INST_ENV:
	case RB_INST_LABEL:
		touch_kvs(&inst->kvs);
		break;
	case RB_INST_RUN:
		touch_or_null(inst->run.network);
		touch_command(inst->run.exec, &inst->run.argv, inst->run.script);
		break;
	case RB_INST_CMD:
	case RB_INST_ENTRYPOINT:
		touch_command(inst->cmd.exec, &inst->cmd.argv, inst->cmd.script);
		break;
	case RB_INST_ADD:
	case RB_INST_COPY:
		touch_copy(inst);
		break;
	case RB_INST_EXPOSE:
		touch_ports(&inst->words);
		break;
	case RB_INST_VOLUME:
	case RB_INST_SHELL:
		touch_words(&inst->words);
		break;
	case RB_INST_HEALTHCHECK:
		touch_health(inst);
		break;
	case RB_INST_STOPSIGNAL:
		(void)rb_dockerfile_check_signal(inst->text, NULL);
		break;
	default:
		touch(inst->text);
	}
}

static void touch_inst(const struct rb_inst *inst)
{
	touch(inst->word);
	touch(inst->original);
	if (inst->line_first == 0 || inst->line_last < inst->line_first)
		abort();
	for (size_t i = 0; i < inst->n_comments; i++)
		touch(inst->comments[i]);
	for (size_t i = 0; i < inst->n_heredocs; i++) {
		touch(inst->heredocs[i].name);
		touch(inst->heredocs[i].body);
		touch(inst->heredocs[i].raw);
	}
	touch_values(inst);
}

static void touch_frame(const uint8_t *data, size_t size, unsigned first, unsigned last)
{
	char *frame = rb_dockerfile_frame("Dockerfile", (const char *)data, size, first, last);

	touch(frame);
	free(frame);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	RB_CLEANUP(rb_dockerfile_freep) struct rb_dockerfile *df = NULL;
	RB_CLEANUP(rb_error_freep) struct rb_error *err = NULL;

	if (rb_dockerfile_parse((const char *)data, size, &df, &err) < 0) {
		if (err->code != RB_ERR_DOCKERFILE || err->line_last < err->line_first)
			abort();
		touch_frame(data, size, err->line_first, err->line_last);
		return 0;
	}
	for (size_t i = 0; i < df->n_global_args; i++)
		touch_inst(&df->global_args[i]);
	for (size_t i = 0; i < df->n_stages; i++) {
		const struct rb_stage *stage = &df->stages[i];

		touch_inst(stage->from);
		for (size_t j = 0; j < stage->n_insts; j++)
			touch_inst(&stage->insts[j]);
		touch_frame(data, size, stage->from->line_first, stage->from->line_last);
	}
	return 0;
}
