// SPDX-License-Identifier: Apache-2.0
/* Lexing and typed instructions: dockerfile.md 1 and the value-free checks of 3. */
#include "dockerfile/dockerfile.h"

#include "base/buf.h"
#include "dockerfile/values.h"
#include "tap.h"

/* ---- A tree as text, so that tests are tables ---- */

static void add_words(struct rb_buf *b, const struct rb_words *w)
{
	for (size_t i = 0; i < w->n; i++)
		rb_buf_addf(b, " [%s]", w->v[i]);
}

static void add_kvs(struct rb_buf *b, const struct rb_kvs *kvs)
{
	for (size_t i = 0; i < kvs->n; i++) {
		rb_buf_addf(b, " [%s]", kvs->v[i].key);
		if (kvs->v[i].value)
			rb_buf_addf(b, "=[%s]", kvs->v[i].value);
	}
}

static void add_flag(struct rb_buf *b, const char *name, const char *value)
{
	if (value)
		rb_buf_addf(b, " %s=%s", name, value);
}

static void add_command(struct rb_buf *b, bool exec, const struct rb_words *argv,
			const char *script)
{
	if (exec) {
		rb_buf_addstr(b, " exec");
		add_words(b, argv);
	} else {
		rb_buf_addf(b, " sh [%s]", script);
	}
}

static void add_copy(struct rb_buf *b, const struct rb_inst *inst)
{
	add_flag(b, "from", inst->copy.from);
	add_flag(b, "chown", inst->copy.chown);
	add_flag(b, "chmod", inst->copy.chmod);
	if (inst->copy.unpack >= 0)
		rb_buf_addf(b, " unpack=%d", inst->copy.unpack);
	rb_buf_addf(b, "%s%s", inst->copy.link ? " link" : "",
		    inst->copy.parents ? " parents" : "");
	for (size_t i = 0; i < inst->copy.excludes.n; i++)
		rb_buf_addf(b, " exclude=%s", inst->copy.excludes.v[i]);
	CHECK_INT(inst->copy.n_order, inst->copy.sources.n + inst->n_heredocs);
	for (size_t i = 0; i < inst->copy.n_order; i++) {
		size_t at = inst->copy.order[i];

		if (at < inst->copy.sources.n) {
			rb_buf_addf(b, " [%s]", inst->copy.sources.v[at]);
			continue;
		}
		const struct rb_heredoc *h = &inst->heredocs[at - inst->copy.sources.n];
		rb_buf_addf(b, " <<%s%s{%s}", h->name, h->expand ? "" : "(literal)", h->body);
	}
	rb_buf_addf(b, " -> [%s]", inst->copy.dest);
}

static void add_health(struct rb_buf *b, const struct rb_inst *inst)
{
	const struct {
		const char *name;
		int64_t value;
	} numbers[] = {
		{"interval", inst->health.interval_ns},
		{"timeout", inst->health.timeout_ns},
		{"start-period", inst->health.start_period_ns},
		{"start-interval", inst->health.start_interval_ns},
		{"retries", inst->health.retries},
	};

	for (size_t i = 0; i < RB_ARRAY_LEN(numbers); i++)
		if (numbers[i].value)
			rb_buf_addf(b, " %s=%lld", numbers[i].name, (long long)numbers[i].value);
	if (inst->health.none)
		rb_buf_addstr(b, " none");
	else
		add_command(b, inst->health.exec, &inst->health.argv, inst->health.script);
}

static void add_from(struct rb_buf *b, const struct rb_inst *inst)
{
	add_flag(b, "platform", inst->from.platform);
	rb_buf_addf(b, " [%s]", inst->from.image);
	if (inst->from.name)
		rb_buf_addf(b, " as %s (%s)", inst->from.name, inst->from.name_written);
}

static void add_mount(struct rb_buf *b, const struct rb_kvs *options)
{
	rb_buf_addstr(b, " mount");
	for (size_t i = 0; i < options->n; i++)
		rb_buf_addf(b, " %s%s%s", options->v[i].key, options->v[i].value ? "=" : "",
			    options->v[i].value ? options->v[i].value : "");
}

static void add_inst(struct rb_buf *b, const struct rb_inst *inst)
{
	rb_buf_addf(b, "%u-%u %s", inst->line_first, inst->line_last,
		    rb_inst_kind_name(inst->kind));
	switch (inst->kind) {
	case RB_INST_FROM:
		add_from(b, inst);
		break;
	case RB_INST_ARG:
	case RB_INST_ENV:
	case RB_INST_LABEL:
		add_kvs(b, &inst->kvs);
		break;
	case RB_INST_RUN:
		add_flag(b, "network", inst->run.network);
		if (inst->run.insecure)
			rb_buf_addstr(b, " insecure");
		for (size_t i = 0; i < inst->run.n_devices; i++)
			rb_buf_addf(b, " device %s%s", inst->run.devices[i].name,
				    inst->run.devices[i].required ? " required" : "");
		for (size_t i = 0; i < inst->run.n_mounts; i++)
			add_mount(b, &inst->run.mounts[i]);
		if (inst->run.script_file)
			rb_buf_addf(b, " file %s", inst->run.script_file->name);
		add_command(b, inst->run.exec, &inst->run.argv, inst->run.script);
		break;
	case RB_INST_CMD:
	case RB_INST_ENTRYPOINT:
		add_command(b, inst->cmd.exec, &inst->cmd.argv, inst->cmd.script);
		break;
	case RB_INST_ADD:
	case RB_INST_COPY:
		add_copy(b, inst);
		break;
	case RB_INST_EXPOSE:
	case RB_INST_VOLUME:
	case RB_INST_SHELL:
		add_words(b, &inst->words);
		break;
	case RB_INST_HEALTHCHECK:
		add_health(b, inst);
		break;
	default:
		rb_buf_addf(b, " [%s]", inst->text);
	}
	rb_buf_addch(b, '\n');
}

static char *dump(const struct rb_dockerfile *df)
{
	struct rb_buf b = RB_BUF_INIT;

	for (size_t i = 0; i < df->n_global_args; i++)
		add_inst(&b, &df->global_args[i]);
	for (size_t i = 0; i < df->n_stages; i++) {
		CHECK_INT(df->stages[i].index, i);
		add_inst(&b, df->stages[i].from);
		for (size_t j = 0; j < df->stages[i].n_insts; j++)
			add_inst(&b, &df->stages[i].insts[j]);
	}
	return rb_buf_steal(&b);
}

struct row {
	const char *text;
	const char *want; /* the tree, or with `bad` a part of the error */
	bool bad;
	unsigned line_first, line_last; /* of the error */
};

#define GOOD(text, tree)                                                                           \
	{                                                                                          \
		text, tree, false, 0, 0                                                            \
	}
#define BAD(text, error, first, last)                                                              \
	{                                                                                          \
		text, error, true, first, last                                                     \
	}

static void check_bad(const struct row *row, const char *text)
{
	struct rb_dockerfile *df = NULL;
	struct rb_error *err = NULL;

	if (rb_dockerfile_parse(text, strlen(text), &df, &err) == 0) {
		tap_failures++;
		printf("# %s: parsed, lacks error \"%s\"\n", text, row->want);
		rb_dockerfile_free(df);
		return;
	}
	CHECK_INT(err->code, RB_ERR_DOCKERFILE);
	if (err->line_first != row->line_first || err->line_last != row->line_last) {
		tap_failures++;
		printf("# %s: error on lines %u-%u, not %u-%u\n", text, err->line_first,
		       err->line_last, row->line_first, row->line_last);
	}
	CHECK_ERR(&err, row->want);
}

static void check_good(const struct row *row, const char *text)
{
	struct rb_dockerfile *df = NULL;
	struct rb_error *err = NULL;

	(void)rb_dockerfile_parse(text, strlen(text), &df, &err);
	CHECK_OK(&err);
	if (!df) {
		printf("# %s\n", text);
		return;
	}
	char *got = dump(df);
	tap_check_str(__FILE__, __LINE__, text, got, row->want);
	free(got);
	rb_dockerfile_free(df);
}

/* With a prefix, rows are what follows it: "FROM a\n" for instructions of a stage. */
static void check_rows(const char *prefix, const struct row *rows, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		char *text = rb_asprintf("%s%s", prefix, rows[i].text);

		if (rows[i].bad)
			check_bad(&rows[i], text);
		else
			check_good(&rows[i], text);
		free(text);
	}
}

#define CHECK_FILES(rows) check_rows("", rows, RB_ARRAY_LEN(rows))
#define CHECK_INSTS(rows) check_inst_rows(rows, RB_ARRAY_LEN(rows))

/* The same with the FROM of the prefix taken out of what is compared. */
static void check_inst_rows(const struct row *rows, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct row row = rows[i];
		char *want = row.bad ? NULL : rb_asprintf("1-1 FROM [a]\n%s", row.want);

		if (want)
			row.want = want;
		check_rows("FROM a\n", &row, 1);
		free(want);
	}
}

/* ---- 1.1 ---- */

static void test_dockerfile__files(void)
{
	static const struct row rows[] = {
		BAD("", "the Dockerfile cannot be empty", 0, 0),
		BAD("\n", "file with no instructions", 0, 0),
		BAD("\n  \n\t\n", "file with no instructions", 0, 0),
		BAD("# only\n#comments\n", "file with no instructions", 0, 0),
		BAD("# escape=`\n", "file with no instructions", 0, 0),
		BAD("\xef\xbb\xbf", "file with no instructions", 0, 0),
		BAD("\\\n\\\n", "file with no instructions", 0, 0),
		BAD("ARG a\n", "dockerfile contains no stages to build", 0, 0),
		BAD("RUN x\n", "no build stage in current context", 1, 1),
		BAD("ARG a\n\nENV a=1\nFROM a\n", "no build stage in current context", 3, 3),
		BAD("FRMO a\n",
		    "dockerfile parse error on line 1: unknown instruction: FRMO (did you mean FROM?)",
		    1, 1),
		BAD("FROM a\nCOPPY a b\n",
		    "dockerfile parse error on line 2: unknown instruction: COPPY (did you mean COPY?)",
		    2, 2),
		BAD("FROM a\nRNU x\n", "unknown instruction: RNU (did you mean RUN?)", 2, 2),
		BAD("FROM a\nxyzzy \\\n b\n",
		    "dockerfile parse error on line 2: unknown instruction: xyzzy", 2, 3),
		BAD("FROM a\nEOF\n", "unknown instruction: EOF", 2, 2),
		BAD("FROM a\n\xef\xbb\xbfRUN x\n", "unknown instruction: \xef\xbb\xbfRUN", 2, 2),
		GOOD("FROM a", "1-1 FROM [a]\n"),
		GOOD("FROM a\n", "1-1 FROM [a]\n"),
		GOOD("\xef\xbb\xbf"
		     "FROM a\n",
		     "1-1 FROM [a]\n"),
		GOOD("FROM a\r\nRUN x\r\n", "1-1 FROM [a]\n2-2 RUN sh [x]\n"),
		GOOD("FROM a\r\r\n", "1-1 FROM [a]\n"),
		GOOD("FROM a\nRUN x\ry\n", "1-1 FROM [a]\n2-2 RUN sh [x\ry]\n"),
		/* A lone CR is white space inside its line, not its end. */
		BAD("FROM a\rRUN x\n", "FROM requires either one or three arguments", 1, 1),
		GOOD("\n\n  FROM a\n\n\tRUN x\n", "3-3 FROM [a]\n5-5 RUN sh [x]\n"),
		GOOD("\xc2\xa0\xe3\x80\x80"
		     "FROM a\n",
		     "1-1 FROM [a]\n"), /* Unicode white space */
		GOOD("ARG v=1\nARG w\nFROM a\nARG x\n",
		     "1-1 ARG [v]=[1]\n2-2 ARG [w]\n3-3 FROM [a]\n4-4 ARG [x]\n"),
		GOOD("FROM a\nFROM b AS c\nRUN x\nFROM c\n",
		     "1-1 FROM [a]\n2-2 FROM [b] as c (c)\n3-3 RUN sh [x]\n4-4 FROM [c]\n"),
	};

	CHECK_FILES(rows);
}

static char *filled(const char *before, char c, size_t n, const char *after)
{
	struct rb_buf b = RB_BUF_INIT;

	rb_buf_addstr(&b, before);
	for (size_t i = 0; i < n; i++)
		rb_buf_addch(&b, c);
	rb_buf_addstr(&b, after);
	return rb_buf_steal(&b);
}

static void check_text_error(const char *text, size_t len, const char *error, unsigned line)
{
	struct rb_dockerfile *df = NULL;
	struct rb_error *err = NULL;

	CHECK_INT(rb_dockerfile_parse(text, len, &df, &err), -1);
	CHECK_INT(err ? err->line_first : 0, line);
	CHECK_ERR(&err, error);
}

static void test_dockerfile__limits(void)
{
	static const char too_long[] = "dockerfile line greater than max allowed size of 65535";
	struct rb_dockerfile *df = NULL;
	struct rb_error *err = NULL;
	char *text;

	text = filled("FROM a\nRUN ", 'x', 65535 - 4, "\n");
	CHECK_INT(rb_dockerfile_parse(text, strlen(text), &df, &err), 0);
	CHECK_OK(&err);
	rb_dockerfile_free(df);
	free(text);
	text = filled("FROM a\nRUN ", 'x', 65536 - 4, "\n");
	check_text_error(text, strlen(text), too_long, 2);
	free(text);
	text = filled("# ", 'x', 65536, "\nFROM a\n");
	check_text_error(text, strlen(text), too_long, 1);
	free(text);
	text = filled("FROM a\nRUN <<E\n", 'x', 65536, "\nE\n");
	check_text_error(text, strlen(text), too_long, 3);
	free(text);
	text = filled("FROM a\n", '\n', 16 << 20, "");
	check_text_error(text, strlen(text), "the Dockerfile is larger than 16777216 bytes", 0);
	free(text);
	check_text_error("FROM a\nRUN x\0y\n", 15, "line 2 of the Dockerfile has a NUL byte", 2);
	check_text_error("F\0R\0O\0", 6, "save the file as UTF-8", 1);
}

/* ---- 1.2 ---- */

static void test_dockerfile__directives(void)
{
	static const struct {
		const char *text;
		char escape;
		const char *syntax, *check;
	} rows[] = {
		{"FROM a", '\\', NULL, NULL},
		{"# escape=`\nFROM a", '`', NULL, NULL},
		{"# escape=\\\nFROM a", '\\', NULL, NULL},
		{"#escape=`\nFROM a", '`', NULL, NULL},
		{"#\tescape\t=\t`\t\nFROM a", '`', NULL, NULL},
		{"# ESCAPE = `\nFROM a", '`', NULL, NULL},
		{"# escape=`\r\nFROM a", '`', NULL, NULL},
		{"\xef\xbb\xbf# escape=`\nFROM a", '`', NULL, NULL},
		{"  # escape=`\nFROM a", '`', NULL, NULL},
		{"# syntax=docker/dockerfile:1\nFROM a", '\\', "docker/dockerfile:1", NULL},
		{"# Syntax = x y\nFROM a", '\\', "x", NULL},
		{" # syntax=x\nFROM a", '\\', NULL, NULL},
		{"# check=skip=A,B;error=true\nFROM a", '\\', NULL, "skip=A,B;error=true"},
		{"# check=skip=A, B\nFROM a", '\\', NULL, "skip=A,"},
		{"# syntax=x\n# escape=`\n# check=skip=all\nFROM a", '`', "x", "skip=all"},
		{"# check=skip=all\n# syntax=x\nFROM a", '\\', "x", "skip=all"},
		{"# comment\n# escape=`\nFROM a", '\\', NULL, NULL},
		{"\n# escape=`\nFROM a", '\\', NULL, NULL},
		{"# other=x\n# escape=`\nFROM a", '\\', NULL, NULL},
		{"# syntax=x\n# other=y\n# escape=`\nFROM a", '\\', "x", NULL},
		{"# syntax=x\n\n# check=skip=all\nFROM a", '\\', "x", NULL},
		{"FROM a\n# escape=`\n", '\\', NULL, NULL},
		{"# syntax=\n# escape=`\nFROM a", '\\', NULL, NULL},
		{"# 1syntax=x\nFROM a", '\\', NULL, NULL},
		{"# syn-tax=x\nFROM a", '\\', NULL, NULL},
		{"# syntax x\nFROM a", '\\', NULL, NULL},
		{"#!/usr/bin/env rbuild\n# syntax=x\n# check=skip=all\nFROM a", '\\', "x",
		 "skip=all"},
		{"#!/usr/bin/env rbuild\n# escape=`\nFROM a", '\\', NULL, NULL},
		{"# syntax=x\n#!/not/first\n# check=skip=all\nFROM a", '\\', "x", NULL},
		/* What looks like a directive too late is not validated. */
		{"# comment\n# escape=xx\nFROM a", '\\', NULL, NULL},
		{"# comment\n# escape=`\n# escape=`\nFROM a", '\\', NULL, NULL},
	};
	static const struct row bad[] = {
		BAD("# escape=x\nFROM a", "invalid escape token 'x' does not match ` or \\", 1, 1),
		BAD("# escape=\\\\\nFROM a", "invalid escape token '\\\\' does not match ` or \\",
		    1, 1),
		BAD("# escape=``\nFROM a", "invalid escape token '``'", 1, 1),
		BAD("# escape=\xc5\xbe\nFROM a", "invalid escape token '\xc5\xbe'", 1, 1),
		BAD("# escape=`\n# escape=`\nFROM a",
		    "only one escape parser directive can be used", 2, 2),
		BAD("# syntax=a\n# escape=`\n# SYNTAX=a\nFROM a",
		    "only one syntax parser directive can be used", 3, 3),
		BAD("# check=a\n# check=a\nFROM a", "only one check parser directive can be used",
		    2, 2),
	};

	for (size_t i = 0; i < RB_ARRAY_LEN(rows); i++) {
		struct rb_dockerfile *df = NULL;
		struct rb_error *err = NULL;

		CHECK_INT(rb_dockerfile_parse(rows[i].text, strlen(rows[i].text), &df, &err), 0);
		CHECK_OK(&err);
		if (!df)
			continue;
		if (df->escape != rows[i].escape)
			printf("# %s\n", rows[i].text);
		CHECK_INT(df->escape, rows[i].escape);
		tap_check_str(__FILE__, __LINE__, rows[i].text, df->syntax, rows[i].syntax);
		tap_check_str(__FILE__, __LINE__, rows[i].text, df->check, rows[i].check);
		rb_dockerfile_free(df);
	}
	CHECK_FILES(bad);
}

/* ---- 1.3 ---- */

static void test_dockerfile__comments(void)
{
	static const struct {
		const char *text;
		const char *want; /* comments of the FROM, joined by '|' */
	} rows[] = {
		{"FROM a", ""},
		{"# one\nFROM a", "one"},
		{"#one\n#  two  \nFROM a", "one|two"},
		{"# one\n\n# two\nFROM a", "two"},
		{"# one\n \t\r\nFROM a", ""},
		{"# one\n#\n# two\nFROM a", "two"},
		{"# one\n#  \nFROM a", ""},
		{"  # one\nFROM a", "one"},
		{"## one\nFROM a", "# one"},
		{"# syntax=x\n# one\nFROM a", "one"},
		{"# one\nARG x\n# two\nFROM a", "two"},
		{"# one\nARG x\nFROM a", ""},
		{"# one \\\nFROM a", "one \\"},
		{"FROM a\n# after\n", ""},
	};

	for (size_t i = 0; i < RB_ARRAY_LEN(rows); i++) {
		struct rb_dockerfile *df = NULL;
		struct rb_error *err = NULL;
		struct rb_buf b = RB_BUF_INIT;

		CHECK_INT(rb_dockerfile_parse(rows[i].text, strlen(rows[i].text), &df, &err), 0);
		CHECK_OK(&err);
		if (!df)
			continue;
		const struct rb_inst *from = df->stages[0].from;
		for (size_t j = 0; j < from->n_comments; j++)
			rb_buf_addf(&b, "%s%s", j ? "|" : "", from->comments[j]);
		tap_check_str(__FILE__, __LINE__, rows[i].text, b.ptr, rows[i].want);
		rb_buf_clear(&b);
		rb_dockerfile_free(df);
	}
}

/* ---- 1.4 ---- */

static void test_dockerfile__continuation(void)
{
	static const struct row rows[] = {
		GOOD("RUN a \\\n b\n", "2-3 RUN sh [a  b]\n"),
		GOOD("RUN a\\\nb\n", "2-3 RUN sh [ab]\n"),
		GOOD("RUN a \\  \t\nb\n", "2-3 RUN sh [a b]\n"),
		GOOD("RUN a \\\r\nb\r\n", "2-3 RUN sh [a b]\n"),
		GOOD("RUN a \\\n\tb\\\n  c\n", "2-4 RUN sh [a \tb  c]\n"),
		GOOD("RUN a \\\\\n", "2-2 RUN sh [a \\\\]\n"),
		GOOD("RUN a \\\\\\\n", "2-2 RUN sh [a \\\\\\]\n"),
		GOOD("RUN a \\ \\\nb\n", "2-3 RUN sh [a \\ b]\n"),
		GOOD("RUN a \\\n# comment\nb\n", "2-4 RUN sh [a b]\n"),
		GOOD("RUN a \\\n  # comment \\\nb\n", "2-4 RUN sh [a b]\n"),
		GOOD("RUN a \\\n# comment\n", "2-3 RUN sh [a]\n"),
		GOOD("RUN a \\\n", "2-2 RUN sh [a]\n"),
		GOOD("RUN a \\", "2-2 RUN sh [a]\n"),
		GOOD("RUN a \\\n\n  \nb\n", "2-5 RUN sh [a b]\n"),
		GOOD("RUN a \\\n\\\nb\n", "2-4 RUN sh [a b]\n"),
		GOOD("RUN \\\n a\n", "2-3 RUN sh [a]\n"),
		GOOD("\\\nRUN a\n", "2-3 RUN sh [a]\n"),
		GOOD("RU\\\nN a\n", "2-3 RUN sh [a]\n"),
		GOOD("RUN a # not a comment\n", "2-2 RUN sh [a # not a comment]\n"),
		GOOD("RUN a `\n", "2-2 RUN sh [a `]\n"),
		GOOD("RUN a \\\nRUN b\n", "2-3 RUN sh [a RUN b]\n"),
	};

	CHECK_INSTS(rows);
}

static void test_dockerfile__continuation_by_backtick(void)
{
	static const struct row rows[] = {
		GOOD("RUN a `\n b\n", "2-2 FROM [a]\n3-4 RUN sh [a  b]\n"),
		GOOD("RUN a \\\n", "2-2 FROM [a]\n3-3 RUN sh [a \\]\n"),
		GOOD("RUN a ``\n", "2-2 FROM [a]\n3-3 RUN sh [a ``]\n"),
		GOOD("COPY C:\\a C:\\b\\\n", "2-2 FROM [a]\n3-3 COPY [C:\\a] -> [C:\\b\\]\n"),
		GOOD("ENV a=b` c d=\"e`\"f\"\n",
		     "2-2 FROM [a]\n3-3 ENV [a]=[b` c] [d]=[\"e`\"f\"]\n"),
	};

	check_rows("# escape=`\nFROM a\n", rows, RB_ARRAY_LEN(rows));
}

static void test_dockerfile__empty_continuation(void)
{
	static const char text[] =
		"FROM a\nRUN a \\\n\n b \\\n\n c\nRUN d \\\n# fine\n e\nRUN f \\\n \n";
	struct rb_dockerfile *df = NULL;
	struct rb_error *err = NULL;

	CHECK_INT(rb_dockerfile_parse(text, sizeof(text) - 1, &df, &err), 0);
	CHECK_OK(&err);
	CHECK_INT(df->stages[0].insts[0].empty_continuation, 6);
	CHECK_INT(df->stages[0].insts[1].empty_continuation, 0);
	CHECK_INT(df->stages[0].insts[2].empty_continuation, 11);
	rb_dockerfile_free(df);
}

/* ---- 1.5 ---- */

static void test_dockerfile__names_and_flags(void)
{
	static const struct row rows[] = {
		GOOD("run x\n", "2-2 RUN sh [x]\n"),
		GOOD("RuN x\n", "2-2 RUN sh [x]\n"),
		GOOD("RUN\tx\n", "2-2 RUN sh [x]\n"),
		GOOD("RUN \t\v\f x y  \n", "2-2 RUN sh [x y]\n"),
		GOOD("RUN --network=none x\n", "2-2 RUN network=none sh [x]\n"),
		GOOD("RUN --network=none   --security=sandbox\tx\n",
		     "2-2 RUN network=none sh [x]\n"),
		GOOD("RUN --network=\"no\"'ne' x\n", "2-2 RUN network=none sh [x]\n"),
		GOOD("RUN --net\\work=none x\n", "2-2 RUN network=none sh [x]\n"),
		GOOD("RUN --network=none -- --x\n", "2-2 RUN network=none sh [--x]\n"),
		GOOD("RUN -- --network=none\n", "2-2 RUN sh [--network=none]\n"),
		GOOD("RUN x --network=none\n", "2-2 RUN sh [x --network=none]\n"),
		GOOD("RUN -x\n", "2-2 RUN sh [-x]\n"),
		GOOD("RUN --network=none\n", "2-2 RUN network=none sh []\n"),
		GOOD("RUN --network=none \\\n x\n", "2-3 RUN network=none sh [x]\n"),
		GOOD("COPY --chown='a b' x y\n", "2-2 COPY chown=a b [x] -> [y]\n"),
		GOOD("COPY --chown=\"a\\\"b\" x y\n", "2-2 COPY chown=a\"b [x] -> [y]\n"),
		GOOD("COPY --chown=\\a\\ b x y\n", "2-2 COPY chown=a b [x] -> [y]\n"),
		GOOD("COPY --chown= --chmod= --from= x y\n", "2-2 COPY [x] -> [y]\n"),
		GOOD("COPY --link=false --parents=FALSE x y\n", "2-2 COPY [x] -> [y]\n"),
		GOOD("ADD --unpack x y\n", "2-2 ADD unpack=1 [x] -> [y]\n"),
		GOOD("ADD --unpack=true x y\n", "2-2 ADD unpack=1 [x] -> [y]\n"),
		GOOD("ADD --unpack=False x y\n", "2-2 ADD unpack=0 [x] -> [y]\n"),
		GOOD("ARG --whatever --no=1 x\n", "2-2 ARG [x]\n"),
		GOOD("STOPSIGNAL --x TERM\n", "2-2 STOPSIGNAL [TERM]\n"),
		GOOD("HEALTHCHECK --x NONE\n", "2-2 HEALTHCHECK none\n"),
		BAD("CMD --help\n", "dockerfile parse error on line 2: unknown flag: --help", 2, 2),
		BAD("RUN --netwrk=none x\n", "unknown flag: --netwrk (did you mean --network?)", 2,
		    2),
		BAD("RUN --x=y z\n", "unknown flag: --x", 2, 2),
		BAD("RUN --=y z\n", "unknown flag: --", 2, 2),
		BAD("ENV --a=b\n", "ENV requires at least one argument", 2, 2),
		BAD("ENV --a=b c=d\n", "unknown flag: --a", 2, 2),
		BAD("COPY --form=a b c\n", "unknown flag: --form (did you mean --from?)", 2, 2),
		BAD("COPY --unpack a b\n", "unknown flag: --unpack", 2, 2),
		BAD("COPY --checksum=a a b\n", "unknown flag: --checksum", 2, 2),
		BAD("ADD --from=a b c\n", "unknown flag: --from", 2, 2),
		BAD("ADD --parents b c\n", "unknown flag: --parents", 2, 2),
		BAD("FROM --platfrom=x a\n", "unknown flag: --platfrom (did you mean --platform?)",
		    2, 2),
		BAD("COPY --from=a --from=b c d\n", "duplicate flag specified: --from", 2, 2),
		BAD("COPY --link --link c d\n", "duplicate flag specified: --link", 2, 2),
		BAD("COPY --from a b\n", "missing a value on flag: --from", 2, 2),
		BAD("RUN --mount x\n", "missing a value on flag: --mount", 2, 2),
		BAD("COPY --link= a b\n", "missing a value on flag: --link", 2, 2),
		BAD("COPY --link=yes a b\n", "expecting boolean value for flag --link, not: yes", 2,
		    2),
		BAD("HEALTHCHECK --intervall=1s CMD x\n",
		    "unknown flag: --intervall (did you mean --interval?)", 2, 2),
	};

	CHECK_INSTS(rows);
}

static void test_dockerfile__original_text(void)
{
	static const char text[] =
		"FROM a\n  run   --network=none \\\n  x  \nCOPY <<E y\nbody\nE\n";
	struct rb_dockerfile *df = NULL;
	struct rb_error *err = NULL;

	CHECK_INT(rb_dockerfile_parse(text, sizeof(text) - 1, &df, &err), 0);
	CHECK_OK(&err);
	const struct rb_inst *insts = df->stages[0].insts;
	CHECK_STR(insts[0].word, "run");
	CHECK_STR(insts[0].original, "run   --network=none   x");
	CHECK_STR(insts[1].original, "COPY <<E y");
	CHECK_STR(df->stages[0].from->original, "FROM a");
	rb_dockerfile_free(df);
}

/* ---- 1.6, 1.7 ---- */

static void test_dockerfile__json_form(void)
{
	static const struct row rows[] = {
		GOOD("CMD [\"a\", \"b c\"]\n", "2-2 CMD exec [a] [b c]\n"),
		GOOD("CMD   [ \"a\" ]  \n", "2-2 CMD exec [a]\n"),
		GOOD("CMD [\"a\",\\\n \"b\"]\n", "2-3 CMD exec [a] [b]\n"),
		GOOD("CMD []\n", "2-2 CMD exec\n"),
		GOOD("CMD [\"\"]\n", "2-2 CMD exec []\n"),
		GOOD("CMD [\"\\u00e9\\n\\t\\\"\\\\\\/\"]\n", "2-2 CMD exec [\xc3\xa9\n\t\"\\/]\n"),
		GOOD("CMD [\"\\ud83d\\ude00\"]\n", "2-2 CMD exec [\xf0\x9f\x98\x80]\n"),
		/* Half a surrogate pair is a character that cannot be shown. */
		GOOD("CMD [\"\\ud83dx\", \"\\uDE00\\ud83d\\ud83d\\ude00\"]\n",
		     "2-2 CMD exec [\xef\xbf\xbdx] "
		     "[\xef\xbf\xbd\xef\xbf\xbd\xf0\x9f\x98\x80]\n"),
		GOOD("CMD [\"\\\\ud83d\", \"\\u005cud83d\"]\n",
		     "2-2 CMD exec [\\ud83d] [\\ud83d]\n"),
		GOOD("CMD [\"\\ud83dxude00\", \"\\fdead\"]\n",
		     "2-2 CMD exec [\xef\xbf\xbdxude00] [\fdead]\n"),
		GOOD("CMD [\"\\ud7ff\\ue000\\ud800\\udc00\\udbff\\udfff\"]\n",
		     "2-2 CMD exec [\xed\x9f\xbf\xee\x80\x80\xf0\x90\x80\x80\xf4\x8f\xbf\xbf]\n"),
		GOOD("CMD [\"\\udfff\\ud800\\ue000\\udbff\\udbff\"]\n",
		     "2-2 CMD exec [\xef\xbf\xbd\xef\xbf\xbd\xee\x80\x80\xef\xbf\xbd\xef\xbf\xbd]\n"),
		GOOD("CMD [\"\\ud83\"]\n", "2-2 CMD sh [[\"\\ud83\"]]\n"),
		GOOD("CMD [\"\\\n", "2-2 CMD sh [[\"]\n"),
		GOOD("RUN [ 99999999999999999999 = x ]\n",
		     "2-2 RUN sh [[ 99999999999999999999 = x ]]\n"),
		GOOD("CMD [\"a\xff\"]\n", "2-2 CMD exec [a\xef\xbf\xbd]\n"),
		GOOD("CMD ['a']\n", "2-2 CMD sh [['a']]\n"),
		GOOD("CMD [a\n", "2-2 CMD sh [[a]\n"),
		GOOD("CMD [\"a\"]x\n", "2-2 CMD sh [[\"a\"]x]\n"),
		GOOD("CMD [\"a\",]\n", "2-2 CMD sh [[\"a\",]]\n"),
		GOOD("CMD [\"C:\\d\"]\n", "2-2 CMD sh [[\"C:\\d\"]]\n"),
		GOOD("CMD \"a\"\n", "2-2 CMD sh [\"a\"]\n"),
		GOOD("CMD {\"a\": 1}\n", "2-2 CMD sh [{\"a\": 1}]\n"),
		GOOD("CMD a \"b\"  'c'\n", "2-2 CMD sh [a \"b\"  'c']\n"),
		GOOD("CMD\n", "2-2 CMD sh []\n"),
		GOOD("ENTRYPOINT [\"a\"]\n", "2-2 ENTRYPOINT exec [a]\n"),
		GOOD("ENTRYPOINT []\n", "2-2 ENTRYPOINT exec\n"),
		GOOD("ENTRYPOINT\n", "2-2 ENTRYPOINT sh []\n"),
		GOOD("ENTRYPOINT a $b\n", "2-2 ENTRYPOINT sh [a $b]\n"),
		GOOD("RUN [\"a\", \"$b\"]\n", "2-2 RUN exec [a] [$b]\n"),
		GOOD("RUN [ -f x ] && y\n", "2-2 RUN sh [[ -f x ] && y]\n"),
		GOOD("RUN [[ -f x ]]\n", "2-2 RUN sh [[[ -f x ]]]\n"),
		GOOD("RUN\n", "2-2 RUN sh []\n"),
		GOOD("SHELL [\"/bin/bash\", \"-c\"]\n", "2-2 SHELL [/bin/bash] [-c]\n"),
		GOOD("VOLUME [\"/a b\", \"/c\"]\n", "2-2 VOLUME [/a b] [/c]\n"),
		GOOD("VOLUME /a /b\n", "2-2 VOLUME [/a] [/b]\n"),
		GOOD("VOLUME [\" /a \"]\n", "2-2 VOLUME [/a]\n"),
		GOOD("VOLUME [/a]\n", "2-2 VOLUME [[/a]]\n"),
		GOOD("COPY [\"a b\", \"c d\"]\n", "2-2 COPY [a b] -> [c d]\n"),
		GOOD("COPY --chown=1 [\"a\", \"b\", \"c/\"]\n",
		     "2-2 COPY chown=1 [a] [b] -> [c/]\n"),
		GOOD("ADD [\"a b\", \"c d\"]\n", "2-2 ADD [a b] -> [c d]\n"),
		GOOD("COPY [a b\n", "2-2 COPY [[a] -> [b]\n"),
		GOOD("COPY [a-z]* b\n", "2-2 COPY [[a-z]*] -> [b]\n"),
		BAD("CMD [\"a\", 1]\n",
		    "line 2: when using JSON array syntax, arrays must be comprised of strings only",
		    2, 2),
		BAD("COPY [99999999999999999999, \"b\"]\n",
		    "arrays must be comprised of strings only", 2, 2),
		BAD("RUN [{\"a\": 1, \"a\": 2}]\n", "arrays must be comprised of strings only", 2,
		    2),
		BAD("CMD [null]\n", "arrays must be comprised of strings only", 2, 2),
		BAD("RUN [[\"a\"]]\n", "arrays must be comprised of strings only", 2, 2),
		BAD("COPY [{}, \"a\"]\n", "arrays must be comprised of strings only", 2, 2),
		BAD("CMD [\"a\\u0000b\"]\n", "has a NUL character", 2, 2),
		BAD("RUN []\n", "RUN requires a command", 2, 2),
		BAD("SHELL []\n", "SHELL requires at least one argument", 2, 2),
		BAD("SHELL\n", "SHELL requires at least one argument", 2, 2),
		BAD("SHELL /bin/sh -c\n", "SHELL requires the arguments to be in JSON form", 2, 2),
		BAD("VOLUME []\n", "VOLUME requires at least one argument", 2, 2),
		BAD("VOLUME\n", "VOLUME requires at least one argument", 2, 2),
		BAD("VOLUME [\"\"]\n", "VOLUME specified can not be an empty string", 2, 2),
		BAD("VOLUME [\"/a\", \" \"]\n", "VOLUME specified can not be an empty string", 2,
		    2),
	};

	CHECK_INSTS(rows);
}

static void test_dockerfile__texts(void)
{
	static const struct row rows[] = {
		GOOD("WORKDIR /a b  c\n", "2-2 WORKDIR [/a b  c]\n"),
		GOOD("WORKDIR \"/a\"\n", "2-2 WORKDIR [\"/a\"]\n"),
		GOOD("USER $u:g\n", "2-2 USER [$u:g]\n"),
		GOOD("STOPSIGNAL SIGTERM\n", "2-2 STOPSIGNAL [SIGTERM]\n"),
		GOOD("MAINTAINER A B <a@b>\n", "2-2 MAINTAINER [A B <a@b>]\n"),
		GOOD("EXPOSE 80 443/tcp\t$p\n", "2-2 EXPOSE [80] [443/tcp] [$p]\n"),
		BAD("WORKDIR\n", "WORKDIR requires exactly one argument", 2, 2),
		BAD("USER\n", "USER requires exactly one argument", 2, 2),
		BAD("STOPSIGNAL\n", "STOPSIGNAL requires exactly one argument", 2, 2),
		BAD("MAINTAINER \\\n\n", "MAINTAINER requires exactly one argument", 2, 3),
		/* What separates words, and what only looks empty. */
		GOOD("EXPOSE 1\r2\v3\f4\t5 6\xc2\xa0"
		     "7\n",
		     "2-2 EXPOSE [1] [2] [3] [4] [5] [6\xc2\xa0"
		     "7]\n"),
		GOOD("USER\ra\rb\n", "2-2 USER [a\rb]\n"),
		BAD("EXPOSE\n", "EXPOSE requires at least one argument", 2, 2),
		BAD("HEALTHCHECK\n", "HEALTHCHECK requires at least one argument", 2, 2),
		BAD("ONBUILD\n", "ONBUILD requires at least one argument", 2, 2),
		BAD("ARG\n", "ARG requires at least one argument", 2, 2),
		BAD("ENV\n", "ENV requires at least one argument", 2, 2),
		BAD("LABEL\n", "LABEL requires at least one argument", 2, 2),
	};

	CHECK_INSTS(rows);
}

static void test_dockerfile__from(void)
{
	static const struct row rows[] = {
		GOOD("FROM scratch", "1-1 FROM [scratch]\n"),
		GOOD("from a:1@sha256:00", "1-1 FROM [a:1@sha256:00]\n"),
		GOOD("FROM a AS b", "1-1 FROM [a] as b (b)\n"),
		GOOD("FROM a as Build-1.x_y", "1-1 FROM [a] as build-1.x_y (Build-1.x_y)\n"),
		GOOD("FROM  a\taS  b", "1-1 FROM [a] as b (b)\n"),
		GOOD("FROM --platform=linux/arm64 a", "1-1 FROM platform=linux/arm64 [a]\n"),
		GOOD("FROM --platform=$BUILDPLATFORM a AS b",
		     "1-1 FROM platform=$BUILDPLATFORM [a] as b (b)\n"),
		GOOD("FROM --platform= a", "1-1 FROM [a]\n"),
		GOOD("FROM ${A:-b}", "1-1 FROM [${A:-b}]\n"),
		BAD("FROM",
		    "dockerfile parse error on line 1: FROM requires either one or three arguments",
		    1, 1),
		BAD("FROM a b", "FROM requires either one or three arguments", 1, 1),
		BAD("FROM a AS", "FROM requires either one or three arguments", 1, 1),
		BAD("FROM a IS b", "FROM requires either one or three arguments", 1, 1),
		BAD("FROM a AS b c", "FROM requires either one or three arguments", 1, 1),
		BAD("FROM a AS 1b",
		    "invalid name for build stage: \"1b\", name can't start with a number or contain symbols",
		    1, 1),
		BAD("FROM a AS B:c", "invalid name for build stage: \"B:c\"", 1, 1),
		BAD("FROM a AS $b", "invalid name for build stage: \"$b\"", 1, 1),
		BAD("FROM a AS _b", "invalid name for build stage: \"_b\"", 1, 1),
		BAD("FROM a AS b\xc5\xbe", "invalid name for build stage", 1, 1),
		BAD("FROM --platform a", "missing a value on flag: --platform", 1, 1),
	};

	CHECK_FILES(rows);
}

/* ---- 1.8 ---- */

static void test_dockerfile__pairs(void)
{
	static const struct row rows[] = {
		GOOD("ENV a=b\n", "2-2 ENV [a]=[b]\n"),
		GOOD("ENV a=b c=d\n", "2-2 ENV [a]=[b] [c]=[d]\n"),
		GOOD("ENV a=b \\\n c=d\n", "2-3 ENV [a]=[b] [c]=[d]\n"),
		GOOD("ENV a=\n", "2-2 ENV [a]=[]\n"),
		GOOD("ENV a=b=c\n", "2-2 ENV [a]=[b=c]\n"),
		GOOD("ENV a=\"b c\" d='e f'\n", "2-2 ENV [a]=[\"b c\"] [d]=['e f']\n"),
		GOOD("ENV a=b\\ c d=e\n", "2-2 ENV [a]=[b\\ c] [d]=[e]\n"),
		GOOD("ENV a=\"b\\\" c\" d=e\n", "2-2 ENV [a]=[\"b\\\" c\"] [d]=[e]\n"),
		GOOD("ENV a='b\\' c=d\n", "2-2 ENV [a]=['b\\'] [c]=[d]\n"),
		GOOD("ENV a=\"it's\" b=c\n", "2-2 ENV [a]=[\"it's\"] [b]=[c]\n"),
		GOOD("ENV a=\"x\"y'z w'\n", "2-2 ENV [a]=[\"x\"y'z w']\n"),
		GOOD("ENV a=\"b c\n", "2-2 ENV [a]=[\"b c]\n"),
		GOOD("ENV \"a b\"=c\n", "2-2 ENV [\"a b\"]=[c]\n"),
		GOOD("ENV a=b\\ \n",
		     "2-2 ENV [a]=[b]\n"), /* the escape continues the line: end of file */
		GOOD("ENV a=b\\\\ c=d\n", "2-2 ENV [a]=[b\\\\] [c]=[d]\n"),
		GOOD("ENV a=b\xc2\xa0"
		     "c=d\n",
		     "2-2 ENV [a]=[b] [c]=[d]\n"),
		BAD("ENV a=$b${c:-d e}\n", "can't find = in \"e}\"", 2,
		    2), /* braces protect nothing */
		GOOD("ENV a b\n", "2-2 ENV [a]=[b]\n"),
		GOOD("ENV a b c=d  e\n", "2-2 ENV [a]=[b c=d  e]\n"),
		GOOD("ENV a\t\"b\"\n", "2-2 ENV [a]=[\"b\"]\n"),
		GOOD("ENV a \\\n  b\n", "2-3 ENV [a]=[b]\n"),
		GOOD("LABEL a=b \"c.d\"=\"e f\"\n", "2-2 LABEL [a]=[b] [\"c.d\"]=[\"e f\"]\n"),
		GOOD("LABEL a b c\n", "2-2 LABEL [a]=[b c]\n"),
		GOOD("ARG a\n", "2-2 ARG [a]\n"),
		GOOD("ARG a=\n", "2-2 ARG [a]=[]\n"),
		GOOD("ARG a=1 b c=\"x y\"\n", "2-2 ARG [a]=[1] [b] [c]=[\"x y\"]\n"),
		GOOD("ARG a b\n", "2-2 ARG [a] [b]\n"),
		GOOD("ARG a=b=c\n", "2-2 ARG [a]=[b=c]\n"),
		BAD("ENV a\n", "ENV must have two arguments", 2, 2),
		BAD("ENV \"\"\n", "ENV must have two arguments", 2, 2),
		BAD("LABEL a\n", "LABEL must have two arguments", 2, 2),
		BAD("ENV =a\n", "ENV names can not be blank", 2, 2),
		BAD("ENV a=b =c\n", "ENV names can not be blank", 2, 2),
		BAD("LABEL =a\n", "LABEL names can not be blank", 2, 2),
		BAD("ARG =a\n", "ARG names can not be blank", 2, 2),
		BAD("ENV a=b c\n", "can't find = in \"c\". Must be of the form: name=value", 2, 2),
		BAD("LABEL a=b c d\n", "can't find = in \"c\"", 2, 2),
	};

	CHECK_INSTS(rows);
}

/* ---- 1.9 ---- */

static void test_dockerfile__run_heredocs(void)
{
	static const struct row rows[] = {
		GOOD("RUN <<EOF\na\nb\nEOF\n", "2-5 RUN sh [a\nb\n]\n"),
		GOOD("RUN <<EOF\na\nEOF", "2-4 RUN sh [a\n]\n"),
		GOOD("RUN <<EOF\nEOF\n", "2-3 RUN sh []\n"),
		GOOD("RUN <<EOF\na\nEOF\nRUN b\n", "2-4 RUN sh [a\n]\n5-5 RUN sh [b]\n"),
		GOOD("RUN <<EOF\n# not a comment\n\na \\\nEOF\n",
		     "2-6 RUN sh [# not a comment\n\na \\\n]\n"),
		GOOD("RUN <<EOF\n EOF\nEOF \nEOFF\nEOF\n", "2-6 RUN sh [ EOF\nEOF \nEOFF\n]\n"),
		GOOD("RUN <<EOF\r\na\r\nEOF\r\n", "2-4 RUN sh [a\r\n]\n"),
		GOOD("RUN <<-EOF\n\ta\n\t\tb\n c\n\tEOF\n", "2-6 RUN sh [a\nb\n c\n]\n"),
		GOOD("RUN <<'EOF'\n$a\nEOF\n", "2-4 RUN sh [$a\n]\n"),
		GOOD("RUN <<\"EOF\"\n$a\nEOF\n", "2-4 RUN sh [$a\n]\n"),
		GOOD("RUN << EOF\na\nEOF\n", "2-4 RUN sh [a\n]\n"),
		GOOD("RUN <<- EOF\n\ta\n\tEOF\n", "2-4 RUN sh [a\n]\n"),
		GOOD("RUN 3<<EOF\na\nEOF\n", "2-4 RUN sh [a\n]\n"),
		GOOD("RUN <<'one two'\na\none two\n", "2-4 RUN sh [a\n]\n"),
		GOOD("RUN <<eo\\'f\na\neo'f\n", "2-4 RUN sh [a\n]\n"),
		GOOD("RUN <<$X\na\n$X\n", "2-4 RUN sh [a\n]\n"),
		GOOD("RUN <<A\"B\"\na\nAB\n", "2-4 RUN sh [a\n]\n"),
		GOOD("RUN --network=none <<EOF\na\nEOF\n", "2-4 RUN network=none sh [a\n]\n"),
		GOOD("RUN \\\n <<EOF\na\nEOF\n", "2-5 RUN sh [a\n]\n"),
		GOOD("RUN <<EOF\n#!/usr/bin/python\nx\nEOF\n",
		     "2-5 RUN file EOF sh [#!/usr/bin/python\nx\n]\n"),
		GOOD("RUN <<-EOF\n\t#!/x\n\tEOF\n", "2-4 RUN file EOF sh [#!/x\n]\n"),
		GOOD("RUN <<EOF bash\na\nEOF\n", "2-4 RUN sh [<<EOF bash\na\nEOF]\n"),
		GOOD("RUN bash <<EOF\n#!x\nEOF\n", "2-4 RUN sh [bash <<EOF\n#!x\nEOF]\n"),
		GOOD("RUN cat << EOF > /x\na\nEOF\n", "2-4 RUN sh [cat << EOF > /x\na\nEOF]\n"),
		GOOD("RUN cat <<-'EOF' | x\n\ta\n\tEOF\n",
		     "2-4 RUN sh [cat <<-'EOF' | x\n\ta\nEOF]\n"),
		GOOD("RUN a <<A | b 3<<B\n1\nA\n2\nB\n",
		     "2-6 RUN sh [a <<A | b 3<<B\n1\nA\n2\nB]\n"),
		GOOD("RUN a <<A \\\n <<B\n1\nA\n2\nB\n", "2-7 RUN sh [a <<A  <<B\n1\nA\n2\nB]\n"),
		GOOD("RUN <<A <<B\n1\nA\n2\nB\n", "2-6 RUN sh [<<A <<B\n1\nA\n2\nB]\n"),
		GOOD("RUN \"\\\"\" '\\' <<E\na\nE\n", "2-4 RUN sh [\"\\\"\" '\\' <<E\na\nE]\n"),
		GOOD("RUN \\' <<\"a\\\"b\\c\"\n1\na\"b\\c\n",
		     "2-4 RUN sh [\\' <<\"a\\\"b\\c\"\n1\na\"b\\c]\n"),
		/* Not heredocs. */
		GOOD("RUN cat<<EOF\n", "2-2 RUN sh [cat<<EOF]\n"),
		GOOD("RUN cat <<<x\n", "2-2 RUN sh [cat <<<x]\n"),
		GOOD("RUN cat <<< x\n", "2-2 RUN sh [cat <<< x]\n"),
		GOOD("RUN echo \"<<EOF\"\n", "2-2 RUN sh [echo \"<<EOF\"]\n"),
		GOOD("RUN echo '<<EOF'\n", "2-2 RUN sh [echo '<<EOF']\n"),
		GOOD("RUN echo \"a <<EOF b\"\n", "2-2 RUN sh [echo \"a <<EOF b\"]\n"),
		GOOD("RUN echo \\<<EOF\n", "2-2 RUN sh [echo \\<<EOF]\n"),
		GOOD("RUN echo <<\n", "2-2 RUN sh [echo <<]\n"),
		GOOD("RUN echo <<-\n", "2-2 RUN sh [echo <<-]\n"),
		GOOD("RUN echo <<''\n", "2-2 RUN sh [echo <<'']\n"),
		GOOD("RUN echo <<\\<b\n", "2-2 RUN sh [echo <<\\<b]\n"),
		GOOD("RUN echo <<a<b\n", "2-2 RUN sh [echo <<a<b]\n"),
		GOOD("RUN echo $((1 << 2))\n", "2-2 RUN sh [echo $((1 << 2))]\n"),
		GOOD("RUN echo $((1 <<n)) x\n", "2-2 RUN sh [echo $((1 <<n)) x]\n"),
		GOOD("RUN echo don't <<EOF\n", "2-2 RUN sh [echo don't <<EOF]\n"),
		GOOD("RUN cat <<A don't\n", "2-2 RUN sh [cat <<A don't]\n"),
		GOOD("RUN 99999999999<<EOF\n", "2-2 RUN sh [99999999999<<EOF]\n"),
		GOOD("RUN [\"cat\", \"<<EOF\"]\n", "2-2 RUN exec [cat] [<<EOF]\n"),
		GOOD("CMD <<EOF\n", "2-2 CMD sh [<<EOF]\n"),
		GOOD("ENV a=<<EOF\n", "2-2 ENV [a]=[<<EOF]\n"),
		GOOD("RUN echo $((1 << 2)) <<EOF\na\nEOF\n",
		     "2-4 RUN sh [echo $((1 << 2)) <<EOF\na\nEOF]\n"),
		GOOD("RUN <<a/b\nc\na/b\n", "2-4 RUN sh [c\n]\n"),
		BAD("RUN <<a/b\n#!c\na/b\n",
		    "the heredoc \"a/b\" of RUN becomes a file of that name", 2, 4),
		BAD("RUN <<EOF\na\n", "dockerfile parse error on line 2: unterminated heredoc", 2,
		    2),
		BAD("RUN <<EOF\na\n\tEOF\n", "unterminated heredoc", 2, 2),
		BAD("RUN <<A <<B\n1\nA\n2\n", "unterminated heredoc: no line \"B\" ends it", 2, 2),
		BAD("COPY <<EOF /x", "unterminated heredoc", 2, 2),
	};

	CHECK_INSTS(rows);
}

static void test_dockerfile__copy_heredocs(void)
{
	static const struct row rows[] = {
		GOOD("COPY <<EOF /x\n$a\nEOF\n", "2-4 COPY <<EOF{$a\n} -> [/x]\n"),
		GOOD("COPY <<'EOF' /x\n$a\nEOF\n", "2-4 COPY <<EOF(literal){$a\n} -> [/x]\n"),
		GOOD("COPY <<-EOF /x\n\t$a\n\tEOF\n", "2-4 COPY <<EOF{$a\n} -> [/x]\n"),
		GOOD("COPY a <<B c <<D /x/\n1\nB\n2\nD\n",
		     "2-6 COPY [a] <<B{1\n} [c] <<D{2\n} -> [/x/]\n"),
		GOOD("COPY <<A <<A /x/\n1\nA\n2\nA\n", "2-6 COPY <<A{1\n} <<A{2\n} -> [/x/]\n"),
		GOOD("ADD <<EOF /x\na\nEOF\n", "2-4 ADD <<EOF{a\n} -> [/x]\n"),
		GOOD("COPY --chmod=755 <<EOF /x\na\nEOF\nRUN b\n",
		     "2-4 COPY chmod=755 <<EOF{a\n} -> [/x]\n5-5 RUN sh [b]\n"),
		GOOD("COPY [\"<<EOF\", \"/x\"]\n", "2-2 COPY [<<EOF] -> [/x]\n"),
		BAD("COPY <<a/b /x\nc\na/b\n",
		    "the heredoc \"a/b\" of COPY becomes a file of that name", 2, 4),
		BAD("ADD <<.. /x\nc\n..\n", "the heredoc \"..\" of ADD becomes a file of that name",
		    2, 4),
		BAD("COPY a <<EOF\nb\nEOF\n", "COPY cannot accept a heredoc as a destination", 2,
		    4),
		BAD("ADD a <<EOF\nb\nEOF\n", "ADD cannot accept a heredoc as a destination", 2, 4),
		BAD("COPY <<EOF\nb\nEOF\n",
		    "COPY requires at least two arguments, but only one was provided", 2, 4),
		BAD("COPY << EOF /x\nb\nEOF\n",
		    "the heredoc \"EOF\" of COPY must be written as one word without blanks", 2, 4),
		BAD("COPY <<'E F' /x\nb\nE F\n",
		    "the heredoc \"E F\" of COPY must be written as one word", 2, 4),
	};

	CHECK_INSTS(rows);
}

/* ---- Section 3, what needs no values ---- */

static void test_dockerfile__run_flags(void)
{
	static const struct row rows[] = {
		GOOD("RUN --network=host x\n", "2-2 RUN network=host sh [x]\n"),
		GOOD("RUN --network=default x\n", "2-2 RUN network=default sh [x]\n"),
		GOOD("RUN --security=sandbox x\n", "2-2 RUN sh [x]\n"),
		GOOD("RUN --security=insecure x\n", "2-2 RUN insecure sh [x]\n"),
		GOOD("RUN --mount=type=cache,target=/x y\n",
		     "2-2 RUN mount type=cache target=/x sh [y]\n"),
		GOOD("RUN --mount=Dst=$1 --mount=target='/x y',RO y\n",
		     "2-2 RUN mount dst=$1 mount target=/x y ro sh [y]\n"),
		GOOD("RUN --device=x y\n", "2-2 RUN device x sh [y]\n"),
		GOOD("RUN --device=a/b=c,required --device=required,Name=d,required=false y\n",
		     "2-2 RUN device a/b=c required device d sh [y]\n"),
		BAD("RUN --device=a,x=1 y\n", "--device: unexpected key 'x' in 'x=1'", 2, 2),
		BAD("RUN --device=a,required=x y\n", "--device: invalid value for required: x", 2,
		    2),
		BAD("RUN --device=required y\n", "--device=required names no device", 2, 2),
		GOOD("RUN --mount=ro <<EOF\nb\nEOF\n", "2-4 RUN mount ro sh [b\n]\n"),
		BAD("RUN --mount=a x\n", "invalid field 'a' must be a key=value pair", 2, 2),
		BAD("RUN --network=x y\n", "invalid network mode \"x\"", 2, 2),
		BAD("RUN --network= y\n", "invalid network mode \"\"", 2, 2),
		BAD("RUN --network=None y\n", "invalid network mode \"None\"", 2, 2),
		BAD("RUN --security=x y\n", "security \"x\" is not valid", 2, 2),
	};

	CHECK_INSTS(rows);
}

static void test_dockerfile__copy(void)
{
	static const struct row rows[] = {
		GOOD("COPY a b\n", "2-2 COPY [a] -> [b]\n"),
		GOOD("COPY a b c/\n", "2-2 COPY [a] [b] -> [c/]\n"),
		GOOD("COPY \"a b\" c\n", "2-2 COPY [\"a] [b\"] -> [c]\n"), /* no quoting */
		GOOD("COPY a\\ b c\n", "2-2 COPY [a\\] [b] -> [c]\n"),
		GOOD("COPY --from=Build --chown=1:2 --chmod=644 a b\n",
		     "2-2 COPY from=Build chown=1:2 chmod=644 [a] -> [b]\n"),
		GOOD("COPY --from=0 a b\n", "2-2 COPY from=0 [a] -> [b]\n"),
		GOOD("COPY --chmod=u+x a b\n", "2-2 COPY chmod=u+x [a] -> [b]\n"),
		GOOD("COPY --chown=$u a b\n", "2-2 COPY chown=$u [a] -> [b]\n"),
		GOOD("COPY $a ${b} /c\n", "2-2 COPY [$a] [${b}] -> [/c]\n"),
		GOOD("COPY github.com/a/b.git /c\n", "2-2 COPY [github.com/a/b.git] -> [/c]\n"),
		GOOD("COPY --link a b\n", "2-2 COPY link [a] -> [b]\n"),
		GOOD("COPY --parents a b\n", "2-2 COPY parents [a] -> [b]\n"),
		GOOD("COPY --exclude=x --exclude=y a b\n",
		     "2-2 COPY exclude=x exclude=y [a] -> [b]\n"),
		GOOD("ADD --exclude='*.$x' --exclude=!y a b\n",
		     "2-2 ADD exclude=*.$x exclude=!y [a] -> [b]\n"),
		GOOD("ADD --link a b\n", "2-2 ADD link [a] -> [b]\n"),
		GOOD("ADD --checksum=sha256:x a b\n", "2-2 ADD [a] -> [b]\n"),
		GOOD("ADD --checksum= --keep-git-dir=false a b\n", "2-2 ADD [a] -> [b]\n"),
		GOOD("ADD --keep-git-dir a b\n", "2-2 ADD [a] -> [b]\n"),
		GOOD("ADD http://h/x b\n", "2-2 ADD [http://h/x] -> [b]\n"),
		GOOD("ADD https://h/x.git b\n", "2-2 ADD [https://h/x.git] -> [b]\n"),
		GOOD("ADD a git@h:x b\n", "2-2 ADD [a] [git@h:x] -> [b]\n"),
		GOOD("ADD $URL b\n", "2-2 ADD [$URL] -> [b]\n"),
		BAD("COPY\n",
		    "COPY requires at least two arguments, but only one was provided. Destination could not be determined",
		    2, 2),
		BAD("ADD a\n",
		    "ADD requires at least two arguments, but only one was provided. Destination could not be determined",
		    2, 2),
		BAD("COPY []\n", "COPY requires at least two arguments", 2, 2),
		BAD("COPY [\"a\"]\n", "COPY requires at least two arguments", 2, 2),
		BAD("COPY http://h/x b\n", "source can't be a URL for COPY", 2, 2),
		BAD("COPY a https://h/x.git#main b\n", "source can't be a git ref for COPY", 2, 2),
		BAD("COPY --from=$x a b\n",
		    "variable expansion is not supported for --from, define a new stage with FROM using ARG from global scope as a workaround",
		    2, 2),
		BAD("COPY --from=${x a b\n", "failed to process \"${x\": syntax error: missing '}'",
		    2, 2),
		BAD("ADD --checksum=x a b c\n", "checksum can't be specified for multiple sources",
		    2, 2),
	};

	CHECK_INSTS(rows);
}

static void test_dockerfile__healthcheck(void)
{
	static const struct row rows[] = {
		GOOD("HEALTHCHECK NONE\n", "2-2 HEALTHCHECK none\n"),
		GOOD("HEALTHCHECK none\n", "2-2 HEALTHCHECK none\n"),
		GOOD("HEALTHCHECK CMD a  b\n", "2-2 HEALTHCHECK sh [a  b]\n"),
		GOOD("HEALTHCHECK cmd [\"a\", \"b\"]\n", "2-2 HEALTHCHECK exec [a] [b]\n"),
		GOOD("HEALTHCHECK CMD [a\n", "2-2 HEALTHCHECK sh [[a]\n"),
		GOOD("HEALTHCHECK --interval=1m30s --timeout=500ms --start-period=1h --start-interval=1ms --retries=3 CMD a\n",
		     "2-2 HEALTHCHECK interval=90000000000 timeout=500000000 start-period=3600000000000 start-interval=1000000 retries=3 sh [a]\n"),
		GOOD("HEALTHCHECK --interval=0 --timeout=0s --retries=0 CMD a\n",
		     "2-2 HEALTHCHECK sh [a]\n"),
		GOOD("HEALTHCHECK --interval= --retries= CMD a\n", "2-2 HEALTHCHECK sh [a]\n"),
		BAD("HEALTHCHECK NONE x\n", "HEALTHCHECK NONE takes no arguments", 2, 2),
		BAD("HEALTHCHECK CMD\n", "Missing command after HEALTHCHECK CMD", 2, 2),
		BAD("HEALTHCHECK CMD []\n", "Missing command after HEALTHCHECK CMD", 2, 2),
		BAD("HEALTHCHECK CMD [1]\n", "arrays must be comprised of strings only", 2, 2),
		BAD("HEALTHCHECK curl x\n", "Unknown type \"CURL\" in HEALTHCHECK (try CMD)", 2, 2),
		BAD("HEALTHCHECK --interval=1us CMD a\n",
		    "HEALTHCHECK --interval cannot be less than 1ms: 1us", 2, 2),
		BAD("HEALTHCHECK --timeout=-1s CMD a\n",
		    "HEALTHCHECK --timeout cannot be less than 1ms: -1s", 2, 2),
		BAD("HEALTHCHECK --timeout=5 CMD a\n",
		    "HEALTHCHECK --timeout: invalid duration \"5\"", 2, 2),
		BAD("HEALTHCHECK --retries=-1 CMD a\n",
		    "HEALTHCHECK --retries must be a number from 0", 2, 2),
		BAD("HEALTHCHECK --retries=x CMD a\n",
		    "HEALTHCHECK --retries must be a number from 0", 2, 2),
		BAD("HEALTHCHECK --retries=99999999999 CMD a\n",
		    "HEALTHCHECK --retries must be a number from 0", 2, 2),
	};

	CHECK_INSTS(rows);
}

static void test_dockerfile__onbuild(void)
{
	static const struct row rows[] = {
		GOOD("ONBUILD RUN a  b\n", "2-2 ONBUILD [RUN a  b]\n"),
		GOOD("ONBUILD run --mount=ro a\n", "2-2 ONBUILD [run --mount=ro a]\n"),
		GOOD("ONBUILD COPY [\"a\", \"b\"]\n", "2-2 ONBUILD [COPY [\"a\", \"b\"]]\n"),
		GOOD("ONBUILD RUN <<A cat <<B\n1\nA\n2\nB\nRUN x\n",
		     "2-6 ONBUILD [RUN <<A cat <<B\n1\nA\n2\nB]\n7-7 RUN sh [x]\n"),
		BAD("ONBUILD ONBUILD RUN x\n",
		    "Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed", 2, 2),
		BAD("ONBUILD onbuild\n", "Chaining ONBUILD via", 2, 2),
		BAD("ONBUILD FROM a\n", "FROM isn't allowed as an ONBUILD trigger", 2, 2),
		BAD("ONBUILD maintainer a\n", "MAINTAINER isn't allowed as an ONBUILD trigger", 2,
		    2),
		BAD("ONBUILD FOO\n", "unknown instruction: FOO", 2, 2),
		BAD("ONBUILD COPY a\n", "COPY requires at least two arguments", 2, 2),
		BAD("ONBUILD --x RUN a\n", "unknown flag: --x", 2, 2),
		BAD("ONBUILD RUN <<EOF\n", "unterminated heredoc", 2, 2),
		BAD("ONBUILD COPY <<A \\\n<<B\n1\nA\n2\nB\n",
		    "COPY cannot accept a heredoc as a destination", 2, 7),
		BAD("ONBUILD RUN --security=x <<A\n1\nA\n", "security \"x\" is not valid", 2, 4),
	};

	CHECK_INSTS(rows);
}

/* ---- 8.5 ---- */

static void test_dockerfile__frame(void)
{
	static const char text[] =
		"\xef\xbb\xbf"
		"a\nb\r\nc \x1b[1m\nd\te\nf\xc2\x9b\xff\n\xc5\xbe\n7\n8\n9\nten\n";
	static const struct {
		unsigned first, last;
		const char *want;
	} rows[] = {
		{1, 1,
		 "Dockerfile:1\n--------------------\n"
		 "   1 | >>> a\n   2 |     b\n   3 |     c ?[1m\n--------------------\n"},
		{4, 4,
		 "Dockerfile:4\n--------------------\n"
		 "   2 |     b\n   3 |     c ?[1m\n   4 | >>> d\te\n   5 |     f??\n   6 |     \xc5\xbe\n--------------------\n"},
		{2, 3,
		 "Dockerfile:2\n--------------------\n"
		 "   1 |     a\n   2 | >>> b\n   3 | >>> c ?[1m\n   4 |     d\te\n--------------------\n"},
		{9, 12,
		 "Dockerfile:9\n--------------------\n"
		 "   8 |     8\n   9 | >>> 9\n  10 | >>> ten\n--------------------\n"},
		{99, 99, "Dockerfile:99\n--------------------\n--------------------\n"},
	};

	for (size_t i = 0; i < RB_ARRAY_LEN(rows); i++) {
		char *got = rb_dockerfile_frame("Dockerfile", text, sizeof(text) - 1, rows[i].first,
						rows[i].last);

		CHECK_STR(got, rows[i].want);
		free(got);
	}
}

static void test_dockerfile__frame_of_a_long_line(void)
{
	char text[1003];

	memset(text, 'x', sizeof(text));
	text[500] = text[1002] = '\n'; /* 500 bytes are shown whole, 501 are not */
	char *got = rb_dockerfile_frame("Dockerfile", text, sizeof(text), 2, 2);
	const char *second = strstr(got, ">>>");

	CHECK_INT(strcspn(got + strlen("Dockerfile:2\n--------------------\n"), "\n"), 11 + 500);
	CHECK_INT(second ? strcspn(second, "\n") : 0, 4 + 500 + 3);
	CHECK(second && strstr(second, "x...\n"));
	free(got);
}

/* ---- values.h ---- */

static void test_values__ports(void)
{
	static const struct {
		const char *spec, *want, *error;
	} rows[] = {
		{"80", "80/tcp", NULL},
		{"80/tcp", "80/tcp", NULL},
		{"80/UDP", "80/udp", NULL},
		{"80/sctp", "80/sctp", NULL},
		{"80/", "80/tcp", NULL},
		{"0", "0/tcp", NULL},
		{"65535", "65535/tcp", NULL},
		{"080", "80/tcp", NULL},
		{"80-82", "80/tcp 81/tcp 82/tcp", NULL},
		{"80-80/udp", "80/udp", NULL},
		{"65534-65535", "65534/tcp 65535/tcp", NULL},
		{"8080:80", "80/tcp", NULL},
		{"127.0.0.1:8080:80/udp", "80/udp", NULL},
		{"127.0.0.1::80", "80/tcp", NULL},
		{"[::1]:8080:80", "80/tcp", NULL},
		{":80", "80/tcp", NULL},
		{"8000-8001:80-81", "80/tcp 81/tcp", NULL},
		{"8000-8009:80", "80/tcp", NULL},
		{"", NULL, "invalid containerPort: "},
		{"http", NULL, "invalid containerPort: http"},
		{"-80", NULL, "invalid containerPort: -80"},
		{"80-", NULL, "invalid containerPort: 80-"},
		{"82-80", NULL, "invalid containerPort: 82-80"},
		{"65536", NULL, "invalid containerPort: 65536"},
		{"99999999999999999999", NULL, "invalid containerPort: 9"},
		{"80 ", NULL, "invalid containerPort: 80 "},
		{"80:", NULL, "invalid containerPort: "},
		{"80/xyz", NULL, "invalid proto: xyz"},
		{"80/tcp/udp", NULL, "invalid proto: tcp/udp"},
		{"x:80", NULL, "invalid hostPort: x"},
		{"host:80:80", NULL, "invalid IP address: host"},
		{"8000-8001:80-82", NULL, "invalid ranges specified"},
	};

	for (size_t i = 0; i < RB_ARRAY_LEN(rows); i++) {
		struct rb_strv ports = RB_STRV_INIT;
		struct rb_buf joined = RB_BUF_INIT;
		struct rb_error *err = NULL;
		int r = rb_dockerfile_parse_port(rows[i].spec, &ports, &err);

		CHECK_INT(r, rows[i].want ? 0 : -1);
		for (size_t j = 0; j < ports.n; j++)
			rb_buf_addf(&joined, "%s%s", j ? " " : "", ports.v[j]);
		if (rows[i].want) {
			CHECK_OK(&err);
			tap_check_str(__FILE__, __LINE__, rows[i].spec, joined.ptr, rows[i].want);
		} else {
			CHECK_INT(ports.n, 0);
			CHECK_ERR(&err, rows[i].error);
		}
		rb_buf_clear(&joined);
		rb_strv_clear(&ports);
	}
}

static void test_values__signals(void)
{
	static const char *const good[] = {
		"SIGTERM",  "TERM",        "sigterm", "Kill",   "SIGRTMIN",  "RTMIN+1",
		"rtmin+15", "SIGRTMAX-14", "RTMAX-1", "RTMAX",  "9",         "-1",
		"+2",       "64",          "1000",    "SIGCLD", "SIGSTKFLT", "99999999999"};
	static const char *const bad[] = {
		"",         "0",        "SIG",      "FOO",    "SIGSIGTERM",
		"RTMIN+0",  "RTMIN+16", "RTMAX-15", "RTMIN+", "RTMAX+1",
		"RTMIN-1",  "TERM ",    "1.5",      "--1",    "99999999999999999999",
		"RTMIN+01", "+0"};
	struct rb_error *err = NULL;

	for (size_t i = 0; i < RB_ARRAY_LEN(good); i++) {
		CHECK_INT(rb_dockerfile_check_signal(good[i], &err), 0);
		CHECK_OK(&err);
	}
	for (size_t i = 0; i < RB_ARRAY_LEN(bad); i++) {
		char *want = rb_asprintf("invalid signal: %s", bad[i]);

		CHECK_INT(rb_dockerfile_check_signal(bad[i], &err), -1);
		CHECK_ERR(&err, want);
		free(want);
	}
}

static void test_values__chmod(void)
{
	static const struct {
		const char *text;
		int want;
	} rows[] = {{"0", 0},      {"755", 0755}, {"0644", 0644}, {"7777", 07777}, {"00755", 0755},
		    {"10000", -1}, {"8", -1},     {"u+x", 0764},  {"", -1},        {"-1", -1},
		    {"0o755", -1}, {"u+y", -1},   {"u+x,", -1},   {"u", -1},       {"u+x g-x", -1}};

	for (size_t i = 0; i < RB_ARRAY_LEN(rows); i++) {
		struct rb_error *err = NULL;
		struct rb_mode_change mode;
		int r = rb_dockerfile_parse_chmod(rows[i].text, &mode, &err);

		if (rows[i].want >= 0) {
			CHECK_OK(&err);
			CHECK_INT(rb_mode_apply(&mode, 0664, false), rows[i].want);
			continue;
		}
		char *want = rb_asprintf(
			"invalid chmod parameter: '%s'. it should be octal string and between 0 and 07777",
			rows[i].text);
		CHECK_INT(r, -1);
		CHECK_ERR(&err, want);
		free(want);
	}
}

static void test_values__durations(void)
{
	static const struct {
		const char *text;
		int64_t ns;
		const char *printed; /* NULL: text */
	} rows[] = {
		{"0s", 0, NULL},
		{"0", 0, "0s"},
		{"+0", 0, "0s"},
		{"1ns", 1, NULL},
		{"999ns", 999, NULL},
		{"1us", 1000, "1\xc2\xb5s"},
		{"1\xc2\xb5s", 1000, NULL},
		{"1\xce\xbcs", 1000, "1\xc2\xb5s"},
		{"1.5ms", 1500000, NULL},
		{"1.000001ms", 1000001, NULL},
		{"30s", 30000000000, NULL},
		{"1m", 60000000000, "1m0s"},
		{"90s", 90000000000, "1m30s"},
		{"1h30m", 5400000000000, "1h30m0s"},
		{"1.5h", 5400000000000, "1h30m0s"},
		{"1h0m0.1s", 3600100000000, NULL},
		{".5s", 500000000, "500ms"},
		{"1.s", 1000000000, "1s"},
		{"2m3.5s", 123500000000, NULL},
		{"0.25m", 15000000000, "15s"},
		{"0.1234567891s", 123456789, "123.456789ms"},
		{"1.25us", 1250, "1.25\xc2\xb5s"},
		{"1.5ns", 1, "1ns"},
		{"-1.5s", -1500000000, NULL},
		{"+5s", 5000000000, "5s"},
		{"1s1s", 2000000000, "2s"},
		{"100h", 360000000000000, "100h0m0s"},
		{"9223372036854775807ns", INT64_MAX, "2562047h47m16.854775807s"},
	};
	static const char *const bad[] = {"",         "-",
					  "5",        "s",
					  ".s",       ".",
					  "1x",       "1 s",
					  "1h-5m",    "1s ",
					  " 1s",      "1S",
					  "--1s",     "9223372036854775808ns",
					  "2562048h", "99999999999999999999s",
					  "1.2.3s",   "1e3s",
					  "1hh"};
	struct rb_error *err = NULL;

	for (size_t i = 0; i < RB_ARRAY_LEN(rows); i++) {
		struct rb_buf b = RB_BUF_INIT;
		int64_t ns = -7;

		CHECK_INT(rb_dockerfile_parse_duration(rows[i].text, &ns, &err), 0);
		CHECK_OK(&err);
		if (ns != rows[i].ns)
			printf("# %s\n", rows[i].text);
		CHECK_INT(ns, rows[i].ns);
		rb_dockerfile_add_duration(&b, ns);
		CHECK_STR(b.ptr, rows[i].printed ? rows[i].printed : rows[i].text);
		rb_buf_clear(&b);
	}
	for (size_t i = 0; i < RB_ARRAY_LEN(bad); i++) {
		int64_t ns;

		CHECK_INT(rb_dockerfile_parse_duration(bad[i], &ns, &err), -1);
		CHECK_ERR(&err, "invalid duration \"");
	}
}

static void test_values__quoted(void)
{
	static const struct {
		const char *text, *want;
	} rows[] = {
		{"", "\"\""},
		{"a b", "\"a b\""},
		{"a\"b\\c'", "\"a\\\"b\\\\c'\""},
		{"\a\b\t\n\v\f\r", "\"\\a\\b\\t\\n\\v\\f\\r\""},
		{"\x01\x1b\x7f", "\"\\x01\\x1b\\x7f\""},
		{"\xc5\xbe", "\"\xc5\xbe\""},
		{"\xf0\x9f\x98\x80", "\"\xf0\x9f\x98\x80\""},
		{"\xff"
		 "a",
		 "\"\\xffa\""},
		{"\xc5", "\"\\xc5\""},
		{"\xed\xa0\x80", "\"\\xed\\xa0\\x80\""}, /* a surrogate */
		{"\xc0\x80", "\"\\xc0\\x80\""},          /* overlong */
		{"\xc2\xa0", "\"\\u00a0\""},
		{"\xe2\x80\xa8", "\"\\u2028\""},
		{"\xef\xbf\xbd", "\"\xef\xbf\xbd\""},
		{"\xf3\xa0\x80\x81", "\"\\U000e0001\""},
	};

	for (size_t i = 0; i < RB_ARRAY_LEN(rows); i++) {
		struct rb_buf b = RB_BUF_INIT;

		rb_dockerfile_add_quoted(&b, rows[i].text);
		CHECK_STR(b.ptr, rows[i].want);
		rb_buf_clear(&b);
	}
}

static void test_values__sources(void)
{
	static const struct {
		const char *text;
		enum rb_source_kind want;
	} rows[] = {
		{"a", RB_SOURCE_PATH},
		{"a@b", RB_SOURCE_PATH},
		{"./git@h:x", RB_SOURCE_PATH},
		{"a b@c:d", RB_SOURCE_PATH},
		{"@h:x", RB_SOURCE_PATH},
		{"a@:x", RB_SOURCE_PATH},
		{"http:/x", RB_SOURCE_PATH},
		{"ftp://h/x", RB_SOURCE_PATH},
		{"x.git", RB_SOURCE_PATH},
		{"github.com/a/b", RB_SOURCE_PATH},
		{"http://h", RB_SOURCE_URL},
		{"https://h/x.tar.gz", RB_SOURCE_URL},
		{"https://h/x.git/y", RB_SOURCE_URL},
		{"https://h/x?y=.git", RB_SOURCE_URL},
		{"https://h/x.git", RB_SOURCE_GIT},
		{"http://h/x.git#v1:dir", RB_SOURCE_GIT},
		{"https://h/x.git?ref=v1", RB_SOURCE_GIT},
		{"git://h/x", RB_SOURCE_GIT},
		{"ssh://git@h/x", RB_SOURCE_GIT},
		{"git@github.com:a/b", RB_SOURCE_GIT},
		{"me-2_x@h.example:b#main", RB_SOURCE_GIT},
	};
	struct rb_error *err = NULL;

	for (size_t i = 0; i < RB_ARRAY_LEN(rows); i++) {
		if (rb_dockerfile_source_kind(rows[i].text) != rows[i].want)
			printf("# %s\n", rows[i].text);
		CHECK_INT(rb_dockerfile_source_kind(rows[i].text), rows[i].want);
	}
	CHECK_INT(rb_dockerfile_check_copy_source("https://h/x", &err), -1);
	CHECK_INT(err->code, RB_ERR_DOCKERFILE);
	CHECK_ERR(&err, "source can't be a URL for COPY");
	CHECK_INT(rb_dockerfile_check_copy_source("a", &err), 0);
	CHECK_OK(&err);
}

int main(void)
{
	return tap_run((const struct tap_test[]){
		TAP(test_dockerfile__files),
		TAP(test_dockerfile__limits),
		TAP(test_dockerfile__directives),
		TAP(test_dockerfile__comments),
		TAP(test_dockerfile__continuation),
		TAP(test_dockerfile__continuation_by_backtick),
		TAP(test_dockerfile__empty_continuation),
		TAP(test_dockerfile__names_and_flags),
		TAP(test_dockerfile__original_text),
		TAP(test_dockerfile__json_form),
		TAP(test_dockerfile__texts),
		TAP(test_dockerfile__from),
		TAP(test_dockerfile__pairs),
		TAP(test_dockerfile__run_heredocs),
		TAP(test_dockerfile__copy_heredocs),
		TAP(test_dockerfile__run_flags),
		TAP(test_dockerfile__copy),
		TAP(test_dockerfile__healthcheck),
		TAP(test_dockerfile__onbuild),
		TAP(test_dockerfile__frame),
		TAP(test_dockerfile__frame_of_a_long_line),
		TAP(test_values__ports),
		TAP(test_values__signals),
		TAP(test_values__chmod),
		TAP(test_values__durations),
		TAP(test_values__quoted),
		TAP(test_values__sources),
		TAP_END,
	});
}
