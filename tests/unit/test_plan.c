// SPDX-License-Identifier: Apache-2.0
#include "plan/outline.h"

#include "tap.h"

/* A plan over literal text; bases that are images get an empty config. */
struct fixture {
	struct rb_dockerfile *df;
	struct rb_plan *plan;
	struct rb_env args;
	struct rb_labels labels;
	struct rb_image_config base;
	struct rb_image_config config; /* of the target, once asked for */
	const struct rb_plan_context *contexts;
	size_t n_contexts;
};

static void fixture_clear(struct fixture *f)
{
	rb_plan_free(f->plan);
	rb_dockerfile_free(f->df);
	rb_env_clear(&f->args);
	rb_strv_clear(&f->labels.keys);
	rb_strv_clear(&f->labels.values);
	rb_image_config_clear(&f->base);
	rb_image_config_clear(&f->config);
}

static int make(struct fixture *f, const char *text, const char *target, struct rb_error **err)
{
	struct rb_plan_options o = {
		.target = target,
		.build_args = &f->args,
		.labels = &f->labels,
		.build_platform = {.os = "linux", .arch = "amd64"},
		.target_platform = {.os = "linux", .arch = "amd64"},
		.contexts = f->contexts,
		.n_contexts = f->n_contexts,
	};

	if (rb_dockerfile_parse(text, strlen(text), &f->df, err) < 0 ||
	    rb_plan_new(f->df, &o, &f->plan, err) < 0)
		return -1;
	for (bool more = true; more;) {
		more = false;
		for (size_t i = 0; i < f->plan->n_images; i++)
			f->plan->images[i]->config = &f->base;
		for (size_t i = 0; i < f->plan->n_stages; i++) {
			if (!rb_plan_can_elaborate(&f->plan->stages[i]))
				continue;
			if (rb_plan_elaborate(f->plan, &f->plan->stages[i], err) < 0)
				return -1;
			more = true;
		}
	}
	return 0;
}

static const struct rb_image_config *config(struct fixture *f)
{
	rb_image_config_clear(&f->config);
	rb_plan_config(f->plan->target, &f->config);
	return &f->config;
}

static char *joined(const struct rb_strv *v)
{
	static struct rb_buf b = RB_BUF_INIT;

	rb_buf_clear(&b);
	for (size_t i = 0; i < v->n; i++)
		rb_buf_addf(&b, "%s%s", i ? "|" : "", v->v[i]);
	rb_buf_addstr(&b, "");
	return b.ptr;
}

/* --- reachability and names
 * ----------------------------------------------------------------------------------- */

static void check_needed(const char *text, const char *target, const char *want)
{
	struct fixture f = {0};
	struct rb_error *err = NULL;
	char got[32] = "";

	CHECK_INT(make(&f, text, target, &err), 0);
	CHECK_OK(&err);
	for (size_t i = 0; f.plan && i < f.plan->n_stages && i < 31; i++) {
		got[i] = f.plan->stages[i].needed ? '1' : '0';
		got[i + 1] = '\0';
	}
	CHECK_STR(got, want);
	fixture_clear(&f);
}

static void test_plan__builds_only_what_the_target_needs(void)
{
	static const char text[] =
		"FROM debian AS base\nFROM base AS one\nRUN false\nFROM base AS two\nRUN true\n"
		"FROM scratch\nCOPY --from=one /a /a\n";

	check_needed(text, "two", "1010");
	check_needed(text, "TWO", "1010");
	check_needed(text, "base", "1000");
	check_needed(text, "2", "1010");
	check_needed(text, NULL, "1101");
	check_needed(text, "", "1101");
	check_needed("FROM a\nFROM b\nCOPY --from=0 /x /y\n", NULL, "11");
	check_needed("FROM a AS Foo\nFROM b\nCOPY --from=FOO /x /y\n", NULL, "11");
	/* The latest definition of a name before the reference counts. */
	check_needed("FROM a AS x\nFROM b AS x\nFROM c\nCOPY --from=x /x /y\n", NULL, "011");
}

static void test_plan__asks_only_for_images_that_are_needed(void)
{
	struct fixture f = {0};
	struct rb_error *err = NULL;

	CHECK_INT(
		make(&f, "FROM nothere AS x\nFROM debian\nCOPY --from=tools:1 /t /t\n", NULL, &err),
		0);
	CHECK_OK(&err);
	CHECK_INT(f.plan->n_images, 2);
	CHECK_STR(f.plan->images[0]->name, "docker.io/library/tools:1");
	CHECK_STR(f.plan->images[1]->name, "docker.io/library/debian:latest");
	fixture_clear(&f);
}

/* --- ONBUILD
 * -----------------------------------------------------------------------------------------------
 */

/* Names of the target's steps and, after " | ", its history. */
static void check_steps(struct fixture *f, const char *want)
{
	struct rb_buf b = RB_BUF_INIT;

	for (size_t i = 0; f->plan && i < f->plan->target->n_vertices; i++)
		rb_buf_addf(&b, "%s\n", f->plan->target->vertices[i]->name);
	CHECK_STR(b.ptr, want);
	rb_buf_clear(&b);
}

static void test_plan__triggers_come_first_and_are_gone_afterwards(void)
{
	struct fixture f = {0};
	size_t n;
	struct rb_error *err = NULL;

	CHECK_INT(make(&f,
		       "FROM a AS base\nONBUILD ARG V=1\nONBUILD RUN echo $V\nENV E=base\n"
		       "FROM base AS child\nRUN two\nFROM child\nRUN three\n",
		       "child", &err),
		  0);
	CHECK_OK(&err);
	check_steps(&f, "[child 1/2] ONBUILD RUN echo 1\n[child 2/2] RUN two\n");
	CHECK_INT(config(&f)->onbuild.n, 0);
	RB_CLEANUP(rb_image_config_clear) struct rb_image_config base = {0};
	rb_plan_config(&f.plan->stages[0], &base);
	CHECK_INT(base.onbuild.n, 2);
	CHECK_STR(base.onbuild.v[1], "RUN echo $V");
	CHECK_INT(f.plan->target->vertices[0]->inst->line_first, 5);
	CHECK_STR(rb_plan_history(f.plan->target, &n)[2].created_by,
		  "RUN |1 V=1 /bin/sh -c echo $V # buildkit");
	fixture_clear(&f);

	CHECK_INT(make(&f, "FROM a AS base\nONBUILD RUN x\nFROM base AS child\nFROM child\nRUN y\n",
		       NULL, &err),
		  0);
	CHECK_OK(&err);
	check_steps(&f, "[stage-2 1/1] RUN y\n");
	fixture_clear(&f);
}

static void test_plan__what_triggers_name_becomes_needed(void)
{
	struct fixture f = {0};
	struct rb_error *err = NULL;

	rb_strv_add(&f.base.onbuild, "COPY --from=Tool /x /y");
	rb_strv_add(&f.base.onbuild, "COPY --from=other:1 /x /y");
	rb_strv_add(&f.base.onbuild, "COPY <<E /e\nbody\nE");
	CHECK_INT(make(&f,
		       "FROM scratch AS deep\nCOPY a /\nFROM scratch AS unused\nRUN x\n"
		       "FROM deep AS tool\nFROM debian AS app\nCOPY b /\n",
		       NULL, &err),
		  0);
	CHECK_OK(&err);
	CHECK(f.plan->stages[0].needed && f.plan->stages[2].needed && !f.plan->stages[1].needed);
	CHECK_INT(f.plan->n_images, 2);
	CHECK_STR(f.plan->images[1]->name, "docker.io/library/other:1");
	check_steps(&f, "[app 2/5] ONBUILD COPY --from=Tool /x /y\n"
			"[app 3/5] ONBUILD COPY --from=other:1 /x /y\n"
			"[app 4/5] ONBUILD COPY <<E /e\n[app 5/5] COPY b /\n");
	CHECK_STR(f.plan->target->vertices[2]->copy.sources[0].inline_data, "body\n");
	fixture_clear(&f);
}

/* The trigger was written in a file with another escape character (3.15). */
static void test_plan__triggers_have_the_default_escape(void)
{
	struct fixture f = {0};
	struct rb_error *err = NULL;

	rb_strv_add(&f.base.onbuild, "ENV A=a\\ b`c");
	CHECK_INT(make(&f, "# escape=`\nFROM debian\nENV B=a` b\n", NULL, &err), 0);
	CHECK_OK(&err);
	CHECK_STR(config(&f)->env.v[1], "A=a b`c");
	CHECK_STR(config(&f)->env.v[2], "B=a b");
	fixture_clear(&f);
}

/* Which variables they use depends on that as well. */
static void test_plan__outlines_read_triggers_with_the_default_escape(void)
{
	struct fixture f = {0};
	struct rb_error *err = NULL;
	struct rb_outline o;

	rb_strv_add(&f.base.onbuild, "ARG A=1 B=2");
	rb_strv_add(&f.base.onbuild, "LABEL a=\\$A b=`$B");
	CHECK_INT(make(&f, "# escape=`\nFROM debian\n", NULL, &err), 0);
	CHECK_OK(&err);
	rb_plan_outline(f.plan, &o);
	CHECK_INT(o.n_args, 1);
	CHECK_STR(o.n_args ? o.args[0].name : NULL, "B");
	rb_outline_clear(&o);
	fixture_clear(&f);
}

static void test_plan__bad_triggers_are_told_at_the_from_line(void)
{
	static const struct {
		const char *trigger, *message;
	} rows[] = {
		{"FOO x", "ONBUILD trigger \"FOO x\" of the base debian"},
		{"FOO x", "unknown instruction: FOO"},
		{"ONBUILD RUN x", "Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed"},
		{"from x", "FROM isn't allowed as an ONBUILD trigger"},
		{"MAINTAINER x", "MAINTAINER isn't allowed as an ONBUILD trigger"},
		{"", "onbuild trigger should be a single expression"},
		{"# RUN x", "onbuild trigger should be a single expression"},
		{"RUN x\nRUN y", "onbuild trigger should be a single expression"},
		{"RUN <<E\nx", "unterminated heredoc"},
		{"COPY --from=later /x /y", "cannot copy from stage \"later\""},
		{"COPY --from=app /x /y", "circular dependency detected on stage: app"},
		{"COPY --from=9 /x /y", "invalid stage index 9"},
		{"ENV A=${x?}", "x: is not allowed to be unset"},
	};

	for (size_t i = 0; i < RB_ARRAY_LEN(rows); i++) {
		struct fixture f = {0};
		struct rb_error *err = NULL;

		rb_strv_add(&f.base.onbuild, rows[i].trigger);
		CHECK_INT(make(&f,
			       "ARG A\nFROM debian \\\n# c\n AS app\nRUN x\nFROM debian AS later\n",
			       "app", &err),
			  -1);
		if (!err)
			continue;
		char *text = rb_error_text(err);
		if (!strstr(text, rows[i].message))
			CHECK_STR(text, rows[i].message);
		CHECK_INT(err->line_first, 2);
		CHECK_INT(err->line_last, 4);
		CHECK_INT(err->code, RB_ERR_DOCKERFILE);
		free(text);
		rb_error_free(err);
		fixture_clear(&f);
	}
}

struct bad {
	const char *text;
	const char *target;
	const char *message;
	unsigned line;
	enum rb_err code;
};

static const struct bad bad[] = {
	{"FROM a AS testing\n", "tesing",
	 "target stage \"tesing\" could not be found (did you mean testing?)", 0,
	 RB_ERR_DOCKERFILE},
	{"FROM a\n", "7", "target stage \"7\" could not be found", 0, RB_ERR_DOCKERFILE},
	{"FROM a\nFROM b\n", "2", "target stage \"2\" could not be found", 0, RB_ERR_DOCKERFILE},
	{"FROM a\nCOPY --from=5 /x /y\n", NULL, "invalid stage index 5", 2, RB_ERR_DOCKERFILE},
	{"FROM a\nFROM b\nCOPY --from=2 /x /y\n", NULL, "invalid stage index 2", 3,
	 RB_ERR_DOCKERFILE},
	{"FROM a AS one\nCOPY --from=two /x /y\nFROM b AS two\n", "one",
	 "cannot copy from stage \"two\", it needs to be defined before current stage \"one\"", 2,
	 RB_ERR_DOCKERFILE},
	{"FROM a AS one\nRUN x\nCOPY --from=one /x /y\n", NULL,
	 "circular dependency detected on stage: one", 3, RB_ERR_DOCKERFILE},
	{"FROM a AS one\nCOPY --from=0 /x /y\n", NULL, "circular dependency detected on stage: one",
	 2, RB_ERR_DOCKERFILE},
	{"FROM a\nCOPY --from=0 /x /y\n", NULL, "circular dependency detected on stage: stage-0", 2,
	 RB_ERR_DOCKERFILE},
	{"FROM a AS one\nCOPY --from=three /x /y\nFROM one AS two\nFROM two AS three\n", NULL,
	 "circular dependency detected on stage: one", 2, RB_ERR_DOCKERFILE},
	{"FROM a AS one\nCOPY --from=1 /x /y\nFROM a AS two\nCOPY --from=ONE /x /y\n", NULL,
	 "circular dependency detected on stage: one", 2, RB_ERR_DOCKERFILE},
	{"FROM a AS one\nCOPY --from=two /x /y\nFROM a AS two\nCOPY --from=three /x /y\n"
	 "FROM one AS three\nCOPY --from=two /x /y\n",
	 NULL, "circular dependency detected on stage: two", 4, RB_ERR_DOCKERFILE},
	{"ARG X\nFROM ${X}\n", NULL, "base name (${X}) should not be blank", 2, RB_ERR_DOCKERFILE},
	{"FROM --platform=$NOPE a\n", NULL, "empty platform value from expression $NOPE", 1,
	 RB_ERR_DOCKERFILE},
	{"FROM --platform=not/a/real/thing/x a\n", NULL, "failed to parse platform", 1,
	 RB_ERR_DOCKERFILE},
	{"FROM a AS base\nFROM BASE\n", NULL, "must be lowercase", 2, RB_ERR_DOCKERFILE},
	{"FROM a\nEXPOSE 99999\n", NULL, "invalid containerPort: 99999", 2, RB_ERR_DOCKERFILE},
	{"FROM a\nEXPOSE 80/foo\n", NULL, "invalid proto: foo", 2, RB_ERR_DOCKERFILE},
	{"FROM a\nSTOPSIGNAL FOO\n", NULL, "invalid signal: FOO", 2, RB_ERR_DOCKERFILE},
	{"FROM a\nVOLUME [\" \"]\n", NULL, "VOLUME specified can not be an empty string", 2,
	 RB_ERR_DOCKERFILE},
	{"FROM a\nENV A=${B:?unset}\n", NULL, "B: unset", 2, RB_ERR_DOCKERFILE},
	{"FROM a\nCOPY --chmod=9 a b\n", NULL, "invalid chmod parameter: '9'", 2,
	 RB_ERR_DOCKERFILE},
	{"FROM a\nCOPY --link --chown=me a b\n", NULL, "--chown=me: with --link there is no", 2,
	 RB_ERR_DOCKERFILE},
	{"FROM a\nCOPY --chmod=u+y a b\n", NULL, "invalid chmod parameter: 'u+y'", 2,
	 RB_ERR_DOCKERFILE},
	{"FROM a\nADD --checksum=sha256:00 x /x\n", NULL,
	 "checksum requires HTTP(S) or Git sources", 2, RB_ERR_DOCKERFILE},
	/* In a circle by number, by a mount, past stages that are reached twice. */
	{"FROM a AS x\nCOPY --from=y /a /a\nFROM b AS y\nCOPY --from=0 /a /a\n", NULL,
	 "circular dependency detected on stage: x: it takes from y (line 3), which is made from it",
	 2, RB_ERR_DOCKERFILE},
	{"FROM a AS x\nCOPY --from=Z /a /a\nFROM b AS y\nRUN --mount=from=X,target=/m true\n"
	 "FROM y AS z\nCOPY --from=Y /a /a\nCOPY --from=y /a /a\n",
	 NULL, "circular dependency detected on stage: x: it takes from z (line 5)", 2,
	 RB_ERR_DOCKERFILE},
	{"FROM a AS x\nCOPY --from=LATER /a /a\nFROM b AS later\nCOPY --from=2 / /\nFROM later\nCOPY --from=later / /\n",
	 "x", "cannot copy from stage \"later\", it needs to be defined before current stage \"x\"",
	 2, RB_ERR_DOCKERFILE},
	{"FROM a AS x\nRUN --mount=from=y,target=/m z\nFROM b AS y\nFROM x\n", NULL,
	 "cannot mount from stage \"y\" to \"/m\", stage needs to be defined before current command",
	 2, RB_ERR_DOCKERFILE},
	{"FROM a AS x\nRUN --mount=type=cache,from=x,target=/m z\n", NULL,
	 "circular dependency detected on stage: x", 2, RB_ERR_DOCKERFILE},
	{"FROM a\nRUN --mount=from=A:B:C,target=/m z\n", NULL, "failed to parse stage name", 2,
	 RB_ERR_DOCKERFILE},
	{"FROM a\nRUN --mount=target=/../ z\n", NULL, "invalid mount target \"/\"", 2,
	 RB_ERR_DOCKERFILE},
	{"FROM a\nWORKDIR /\nRUN --mount=type=tmpfs z\n", NULL, "invalid mount target \"/\"", 3,
	 RB_ERR_DOCKERFILE},
	{"FROM a\nARG D=/sys/x\nRUN --mount=type=tmpfs,target=$D z\n", NULL,
	 "invalid mount target \"/sys/x\"", 3, RB_ERR_DOCKERFILE},
	{"FROM a\nRUN --mount=type=tmpfs,target=/dev z\n", NULL, "invalid mount target \"/dev\"", 2,
	 RB_ERR_DOCKERFILE},
	{"FROM a\nARG T=foo\nRUN --mount=type=$T,target=/x z\n", NULL,
	 "unsupported mount type \"foo\"", 3, RB_ERR_DOCKERFILE},
};

static void test_plan__refuses_with_message_and_line(void)
{
	for (size_t i = 0; i < RB_ARRAY_LEN(bad); i++) {
		struct fixture f = {0};
		struct rb_error *err = NULL;

		CHECK_INT(make(&f, bad[i].text, bad[i].target, &err), -1);
		if (err) {
			CHECK_INT(err->line_first, bad[i].line);
			CHECK_INT(err->code, bad[i].code);
		}
		CHECK_ERR(&err, bad[i].message);
		fixture_clear(&f);
	}
}

static void test_plan__what_is_refused_in_an_unneeded_stage_does_no_harm(void)
{
	check_needed("FROM a AS x\nRUN --mount=from=y,target=/m make\nFROM b AS y\nRUN true\n", "y",
		     "01");
}

/* --- config
 * -------------------------------------------------------------------------------------------------------
 */

static void test_plan__scratch_has_path_and_root_as_directory(void)
{
	struct fixture f = {0};
	struct rb_error *err = NULL;

	CHECK_INT(make(&f, "FROM scratch\n", NULL, &err), 0);
	CHECK_OK(&err);
	CHECK_STR(joined(&config(&f)->env),
		  "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
	CHECK_STR(config(&f)->working_dir, "/");
	CHECK_STR(config(&f)->platform.arch, "amd64");
	fixture_clear(&f);
}

static void test_plan__metadata_reaches_the_config(void)
{
	struct fixture f = {0};
	struct rb_error *err = NULL;

	rb_strv_add(&f.base.env, "PATH=/bin");
	rb_strv_add(&f.base.env, "X=base");
	CHECK_INT(
		make(&f,
		     "FROM a\nENV X=1 Y=$X\nENV Z two words\nLABEL b=2 a=\"1 1\"\nMAINTAINER me\n"
		     "EXPOSE 80 53/UDP 7000-7002\nVOLUME /v /a\nUSER app:grp\nWORKDIR /w\nWORKDIR sub/../x\n"
		     "STOPSIGNAL SIGTERM\nSHELL [\"/bin/bash\", \"-c\"]\nCMD run it\n"
		     "HEALTHCHECK --interval=30s --retries=3 CMD curl localhost\n",
		     NULL, &err),
		0);
	CHECK_OK(&err);
	const struct rb_image_config *c = config(&f);
	CHECK_STR(joined(&c->env), "PATH=/bin|X=1|Y=base|Z=two words");
	CHECK_STR(joined(&c->labels.keys), "a|b");
	CHECK_STR(joined(&c->labels.values), "1 1|2");
	CHECK_STR(c->author, "me");
	CHECK_STR(joined(&c->exposed_ports), "53/udp|7000/tcp|7001/tcp|7002/tcp|80/tcp");
	CHECK_STR(joined(&c->volumes), "/a|/v");
	CHECK_STR(c->user, "app:grp");
	CHECK_STR(c->working_dir, "/w/x");
	CHECK_STR(c->stop_signal, "SIGTERM");
	CHECK_STR(joined(&c->shell), "/bin/bash|-c");
	CHECK_STR(joined(&c->cmd), "/bin/bash|-c|run it");
	CHECK(c->args_escaped);
	CHECK_STR(joined(&c->health.test), "CMD-SHELL|curl localhost");
	CHECK_INT(c->health.interval_ns, 30000000000);
	CHECK_INT(c->health.retries, 3);
	fixture_clear(&f);
}

/* Of a parent, of the stage itself: nothing is left of what was there. */
static void test_plan__the_last_one_counts(void)
{
	struct fixture f = {0};
	struct rb_error *err = NULL;

	rb_strv_add(&f.base.shell, "/bin/base");
	CHECK_INT(
		make(&f,
		     "FROM a AS p\nSHELL [\"/s1\", \"-x\"]\nENTRYPOINT one\nUSER u1\nSTOPSIGNAL 1\n"
		     "HEALTHCHECK --interval=1s --retries=3 CMD one\nMAINTAINER one\n"
		     "FROM p\nCMD shell of the parent\nSHELL [\"/s2\"]\nENTRYPOINT [\"old\", \"old\"]\n"
		     "ENTRYPOINT two\nCMD [\"old\"]\nCMD two\nUSER u2\nSTOPSIGNAL 2\nMAINTAINER two\n"
		     "HEALTHCHECK --timeout=2s CMD [\"two\", \"three\"]\n",
		     NULL, &err),
		0);
	CHECK_OK(&err);
	const struct rb_image_config *c = config(&f);
	CHECK_STR(joined(&c->shell), "/s2");
	CHECK_STR(joined(&c->entrypoint), "/s2|two");
	CHECK_STR(joined(&c->cmd), "/s2|two");
	CHECK_STR(c->user, "u2");
	CHECK_STR(c->stop_signal, "2");
	CHECK_STR(c->author, "two");
	CHECK(c->health.set);
	CHECK_STR(joined(&c->health.test), "CMD|two|three");
	CHECK_INT(c->health.interval_ns, 0);
	CHECK_INT(c->health.timeout_ns, 2000000000);
	CHECK_INT(c->health.retries, 0);
	fixture_clear(&f);
}

static void check_cmd(const char *text, const char *entrypoint, const char *cmd)
{
	struct fixture f = {0};
	struct rb_error *err = NULL;

	rb_strv_add(&f.base.cmd, "basecmd");
	CHECK_INT(make(&f, text, NULL, &err), 0);
	CHECK_OK(&err);
	CHECK_STR(joined(&config(&f)->entrypoint), entrypoint);
	CHECK_STR(joined(&config(&f)->cmd), cmd);
	fixture_clear(&f);
}

static void test_plan__entrypoint_clears_a_cmd_that_was_not_set_here(void)
{
	check_cmd("FROM a\nENTRYPOINT [\"e\"]\n", "e", "");
	check_cmd("FROM a\nCMD [\"c\"]\nENTRYPOINT [\"e\"]\n", "e", "c");
	check_cmd("FROM a\nENTRYPOINT [\"e\"]\nCMD [\"c\"]\n", "e", "c");
	check_cmd("FROM a AS p\nCMD [\"c\"]\nFROM p\nENTRYPOINT [\"e\"]\n", "e", "");
	check_cmd("FROM a\nENTRYPOINT x y\n", "/bin/sh|-c|x y", "");
	check_cmd("FROM a\nENTRYPOINT [\"e\"]\nENTRYPOINT []\n", "", "");
	check_cmd("FROM a\nCMD []\n", "", "");
	check_cmd("FROM a\nRUN x\n", "", "basecmd");
}

static void test_plan__the_working_directory_of_a_base_may_be_relative(void)
{
	static const struct {
		const char *base, *want;
	} rows[] = {{NULL, "/"}, {"", "/"}, {"/a", "/a"}, {"a/../b", "/b"}};

	for (size_t i = 0; i < RB_ARRAY_LEN(rows); i++) {
		struct fixture f = {0};
		struct rb_error *err = NULL;

		f.base.working_dir = rows[i].base ? rb_strdup(rows[i].base) : NULL;
		CHECK_INT(make(&f, "FROM a\nRUN x\n", NULL, &err), 0);
		CHECK_OK(&err);
		CHECK_STR(rb_plan_stage_top(f.plan->target)->run.cwd, rows[i].want);
		fixture_clear(&f);
	}
}

/* --- history
 * ------------------------------------------------------------------------------------------------------
 */

struct history_row {
	const char *text; /* instructions after FROM scratch */
	const char *want; /* the last entry */
	bool layer;
};

static const struct history_row history_rows[] = {
	{"RUN make", "RUN /bin/sh -c make # buildkit", true},
	{"RUN [\"a\", \"b c\"]", "RUN a b c # buildkit", true},
	{"ARG foo=bar2\nENV bar=123\nARG bar\nRUN ls",
	 "RUN |2 foo=bar2 bar=123 /bin/sh -c ls # buildkit", true},
	{"ARG foo\nRUN ls", "RUN |1 foo= /bin/sh -c ls # buildkit", true},
	{"CMD [\"a\", \"b\"]", "CMD [\"a\" \"b\"]", false},
	{"CMD echo \"hi\"", "CMD [\"/bin/sh\" \"-c\" \"echo \\\"hi\\\"\"]", false},
	{"ENTRYPOINT [\"a\"]", "ENTRYPOINT [\"a\"]", false},
	{"ENV a=1 b=\"2 3\"", "ENV a=1 b=2 3", false},
	{"LABEL a=1", "LABEL a=1", false},
	{"MAINTAINER some body", "MAINTAINER some body", false},
	{"EXPOSE 2375 1234/udp", "EXPOSE [1234/udp 2375/tcp]", false},
	{"ENV P=\"90 10/udp\"\nEXPOSE 80 $P 443", "EXPOSE [90/tcp 10/udp 443/tcp 80/tcp]", false},
	{"VOLUME /a /b", "VOLUME [/a /b]", false},
	{"USER x", "USER x", false},
	{"WORKDIR /a/b/../c", "WORKDIR /a/c", true},
	{"WORKDIR /", "WORKDIR /", false},
	{"ARG a=1 b", "ARG a=1 b", false},
	{"STOPSIGNAL 9", "STOPSIGNAL 9", false},
	{"SHELL [\"/bin/bash\", \"-c\"]", "SHELL [/bin/bash -c]", false},
	{"HEALTHCHECK --interval=30s CMD curl",
	 "HEALTHCHECK {Test:[CMD-SHELL curl] Interval:30s Timeout:0s StartPeriod:0s StartInterval:0s Retries:0}",
	 false},
	{"HEALTHCHECK --retries=2 CMD [\"curl\", \"a b\"]",
	 "HEALTHCHECK {Test:[CMD curl a b] Interval:0s Timeout:0s StartPeriod:0s StartInterval:0s Retries:2}",
	 false},
	{"HEALTHCHECK NONE",
	 "HEALTHCHECK {Test:[NONE] Interval:0s Timeout:0s StartPeriod:0s StartInterval:0s Retries:0}",
	 false},
	{"COPY a b /dst/", "COPY a b /dst/ # buildkit", true},
	{"ARG X=y\nCOPY --chown=1:2 --chmod=755 $X /dst",
	 "COPY --chown=1:2 --chmod=755 y /dst # buildkit", true},
	{"COPY <<EOF /x\nhi\nEOF", "COPY <<EOF /x # buildkit", true},
	{"COPY --chown= --chmod= a b", "COPY a b # buildkit", true},
	{"COPY --exclude=x --chmod=u+x --chown=1 --parents --link ./a /b",
	 "COPY --parents --chown=1 --chmod=u+x ./a /b # buildkit", true},
	{"ADD --link --exclude=x --unpack=false a /b", "ADD a /b # buildkit", true},
	{"ADD a /b", "ADD a /b # buildkit", true},
};

static void test_plan__history_says_what_docker_says(void)
{
	for (size_t i = 0; i < RB_ARRAY_LEN(history_rows); i++) {
		struct fixture f = {0};
		struct rb_error *err = NULL;
		RB_CLEANUP(rb_strp)
		char *text = rb_asprintf("FROM scratch\n%s\n", history_rows[i].text);

		CHECK_INT(make(&f, text, NULL, &err), 0);
		CHECK_OK(&err);
		size_t n;
		const struct rb_plan_history *h = rb_plan_history(f.plan->target, &n);
		CHECK(n > 0);
		if (n) {
			CHECK_STR(h[n - 1].created_by, history_rows[i].want);
			CHECK_INT(h[n - 1].vertex != NULL, history_rows[i].layer);
		}
		fixture_clear(&f);
	}
}

/* --- ARG and ENV
 * --------------------------------------------------------------------------------------------------
 */

struct arg_row {
	const char *text;
	const char *given; /* --build-arg A=... or NULL */
	const char *env;   /* of the last RUN, without PATH */
};

static const struct arg_row arg_rows[] = {
	{"FROM scratch\nARG A=1\nRUN x\n", NULL, "A=1"},
	{"FROM scratch\nARG A=1\nRUN x\n", "2", "A=2"},
	{"FROM scratch\nARG A=1\nRUN x\n", "", "A="},
	{"FROM scratch\nARG A\nRUN x\n", NULL, ""},
	{"FROM scratch\nARG A\nRUN x\n", "2", "A=2"},
	{"FROM scratch\nRUN x\n", "2", ""},
	{"ARG A=g\nFROM scratch\nARG A\nRUN x\n", NULL, "A=g"},
	{"ARG A=g\nFROM scratch\nARG A=own\nRUN x\n", NULL, "A=own"},
	{"ARG A=g\nFROM scratch\nRUN x\n", NULL, ""},
	{"FROM scratch\nARG A=1\nENV A=2\nRUN x\n", NULL, "A=2"},
	{"FROM scratch\nENV A=2\nARG A=1\nRUN x\n", NULL, "A=1"},
	{"FROM scratch\nENV A=2\nARG A\nRUN x\n", NULL, "A=2"},
	{"FROM scratch\nARG a=1 b=$a\nRUN x\n", NULL, "a=1|b=1"},
	{"FROM scratch\nENV a=1\nENV a=2 b=$a\nRUN x\n", NULL, "a=2|b=1"},
	{"FROM scratch AS p\nARG A=1\nFROM p\nRUN x\n", NULL, "A=1"},
	{"FROM scratch\nARG TARGETARCH\nRUN x\n", NULL, "TARGETARCH=amd64"},
	{"FROM scratch\nRUN x $TARGETARCH\n", NULL, ""},
};

static void test_plan__arg_and_env_by_file_order(void)
{
	for (size_t i = 0; i < RB_ARRAY_LEN(arg_rows); i++) {
		struct fixture f = {0};
		struct rb_error *err = NULL;

		if (arg_rows[i].given)
			rb_env_set(&f.args, "A", arg_rows[i].given);
		CHECK_INT(make(&f, arg_rows[i].text, NULL, &err), 0);
		CHECK_OK(&err);
		const struct rb_vertex *v = rb_plan_stage_top(f.plan->target);
		RB_CLEANUP(rb_strv_clear) struct rb_strv env = RB_STRV_INIT;
		rb_vertex_env(v, &env);
		const char *got = joined(&env);
		CHECK_STR(got + strcspn(got, "|") + (strchr(got, '|') != NULL), arg_rows[i].env);
		fixture_clear(&f);
	}
}

/* Each step sees the environment of its own line, in order. */
static void test_plan__the_environment_of_each_step(void)
{
	static const char *const want[] = {"PATH=/p|X=1",    "PATH=/p|X=2",    "PATH=/p|X=2",
					   "PATH=/p|X=2|Y=", "PATH=/p|X=|Y=x", "PATH=/q|X=|Y=x"};
	struct fixture f = {0};
	struct rb_error *err = NULL;

	rb_strv_add(&f.base.env, "PATH=/p");
	CHECK_INT(make(&f,
		       "FROM a\nENV X=1\nRUN 0\nENV X=2\nRUN 1\nRUN 2\nARG Y=\nRUN 3\n"
		       "ENV X=\nARG Y=x\nRUN 4\nENV PATH=/q\nRUN 5\n",
		       NULL, &err),
		  0);
	CHECK_OK(&err);
	struct rb_plan_stage *stage = f.plan->target;
	CHECK_INT(stage->n_vertices, RB_ARRAY_LEN(want));
	for (size_t i = 0; i < stage->n_vertices && i < RB_ARRAY_LEN(want); i++) {
		RB_CLEANUP(rb_strv_clear) struct rb_strv env = RB_STRV_INIT;

		rb_vertex_env(stage->vertices[i], &env);
		CHECK_STR(joined(&env), want[i]);
	}
	fixture_clear(&f);
}

/* Steps and history of a child go on where those of its parent end, however long they are. */
static void test_plan__a_child_goes_on_after_its_parent(void)
{
	enum { PARENT = 40 };
	struct fixture f = {0};
	struct rb_error *err = NULL;
	RB_CLEANUP(rb_buf_clear) struct rb_buf text = RB_BUF_INIT;

	rb_buf_addstr(&text, "FROM a AS p\nRUN first\n");
	for (int i = 1; i < PARENT; i++)
		rb_buf_addf(&text, "LABEL l=%d\n", i);
	rb_buf_addstr(&text, "FROM p AS nothing\nFROM nothing\nENV x=y\nRUN last\n");
	CHECK_INT(make(&f, text.ptr, NULL, &err), 0);
	CHECK_OK(&err);
	const struct rb_plan_stage *stage = f.plan->target;
	CHECK_INT(stage->n_vertices, 1);
	CHECK(stage->vertices[0]->parent == f.plan->stages[0].vertices[0]);
	size_t n;
	const struct rb_plan_history *history = rb_plan_history(stage, &n);
	CHECK_INT(n, PARENT + 2);
	CHECK_STR(history[0].created_by, "RUN /bin/sh -c first # buildkit");
	for (int i = 1; i < PARENT; i++) {
		RB_CLEANUP(rb_strp) char *want = rb_asprintf("LABEL l=%d", i);

		CHECK_STR(history[i].created_by, want);
	}
	CHECK_STR(history[PARENT + 1].created_by, "RUN /bin/sh -c last # buildkit");
	fixture_clear(&f);
}

static void test_plan__proxies_reach_run_without_its_key(void)
{
	struct fixture f = {0}, g = {0};
	struct rb_error *err = NULL;
	struct rb_digest a, b;

	rb_env_set(&f.args, "http_proxy", "http://p");
	CHECK_INT(make(&f, "FROM scratch\nRUN x\n", NULL, &err), 0);
	CHECK_INT(make(&g, "FROM scratch\nRUN x\n", NULL, &err), 0);
	CHECK_OK(&err);
	const struct rb_vertex *v = rb_plan_stage_top(f.plan->target);
	CHECK_STR(joined(&f.plan->proxy_env), "HTTP_PROXY=http://p|http_proxy=http://p");
	CHECK(rb_vertex_definition_key(v, "", NULL, &a));
	CHECK(rb_vertex_definition_key(rb_plan_stage_top(g.plan->target), "", NULL, &b));
	CHECK(rb_digest_eq(&a, &b));
	fixture_clear(&f);
	fixture_clear(&g);
}

static const char *const type_names[RB_MOUNT_TYPES] = {"bind", "cache", "tmpfs", "secret", "ssh"};

/* --- mounts of RUN
 * ---------------------------------------------------------------------------------------------------------
 */

/* "type target id source mode", a line each, of the first RUN of the target. */
static char *mounts_of(const struct fixture *f)
{
	static struct rb_buf b = RB_BUF_INIT;
	const struct rb_vertex *v = f->plan ? rb_plan_stage_top(f->plan->target) : NULL;

	rb_buf_clear(&b);
	for (size_t i = 0; v && i < v->run.n_mounts; i++) {
		const struct rb_run_mount *m = &v->run.mounts[i].spec;

		rb_buf_addf(&b, "%s%s %s %s %s", i ? "|" : "", type_names[m->type],
			    m->target ? m->target : "-", m->id ? m->id : "-",
			    m->source ? m->source : "-");
		if (m->mode >= 0)
			rb_buf_addf(&b, " %llo", (unsigned long long)m->mode);
	}
	return b.ptr;
}

static void test_plan__mounts_are_completed_and_sorted(void)
{
	static const struct {
		const char *options, *want;
	} rows[] = {
		{"--mount=target=b/../c,source=a//b/..", "bind /w/c - /a"},
		{"--mount=source=x", "bind /w - /x"},
		{"--mount=target=/x/y --mount=type=tmpfs,target=/x --mount=target=/a",
		 "bind /a - -|tmpfs /x - -|bind /x/y - -"},
		{"--mount=type=cache,target=c/", "cache /w/c /c - 755"},
		{"--mount=type=cache,target=/c,id=../i,mode=0700", "cache /c /../i - 700"},
		{"--mount=type=cache,target=/c,from=s,source=../d", "cache /c //c /d 755"},
		{"--mount=type=secret,id=a/b", "secret /run/secrets/b a/b - 400"},
		{"--mount=type=secret,src=a,mode=0440", "secret /run/secrets/a a - 440"},
		{"--mount=type=secret,target=/x/tok", "secret /x/tok tok - 400"},
		{"--mount=type=secret,id=a,env=A", "secret - a - 400"},
		{"--mount=type=secret,id=a,env=A,target=/t", "secret /t a - 400"},
		{"--mount=type=ssh --mount=type=ssh,id=o",
		 "ssh /run/buildkit/ssh_agent.0 default - 600|ssh /run/buildkit/ssh_agent.1 o - 600"},
		{"--mount=type=ssh,target=/z --mount=type=ssh,id=o",
		 "ssh /run/buildkit/ssh_agent.1 o - 600|ssh /z default - 600"},
	};

	for (size_t i = 0; i < RB_ARRAY_LEN(rows); i++) {
		struct fixture f = {0};
		struct rb_error *err = NULL;
		RB_CLEANUP(rb_strp)
		char *text =
			rb_asprintf("FROM a AS s\nFROM a\nWORKDIR /w\nRUN %s x\n", rows[i].options);

		CHECK_INT(make(&f, text, NULL, &err), 0);
		CHECK_OK(&err);
		CHECK_STR(mounts_of(&f), rows[i].want);
		fixture_clear(&f);
	}
}

static void test_plan__mounts_need_their_stages(void)
{
	check_needed("FROM a AS x\nFROM a AS y\nFROM a AS z\nFROM b\n"
		     "RUN --mount=from=X,target=/m --mount=type=cache,from=z,target=/n q\n",
		     NULL, "1011");
	/* No numbers: an image of that name is meant. */
	check_needed("FROM a AS x\nFROM b\nRUN --mount=from=0,target=/m q\n", NULL, "01");
}

/* --- keys
 * ---------------------------------------------------------------------------------------------------------
 */

static struct rb_digest key_of(const char *text, const char *parent)
{
	struct fixture f = {0};
	struct rb_error *err = NULL;
	struct rb_digest d = {{0}};

	CHECK_INT(make(&f, text, NULL, &err), 0);
	CHECK_OK(&err);
	const char *const inputs[] = {"from", "from", "from"};
	CHECK(rb_vertex_definition_key(rb_plan_stage_top(f.plan->target), parent, inputs, &d));
	fixture_clear(&f);
	return d;
}

static void check_keys(bool same, const char *a, const char *b)
{
	struct rb_digest x = key_of(a, "p"), y = key_of(b, "p");

	if (rb_digest_eq(&x, &y) != same)
		printf("# %s / %s\n", a, b);
	CHECK_INT(rb_digest_eq(&x, &y), same);
}

static void test_plan__keys_cover_what_matters_and_nothing_else(void)
{
	check_keys(true, "FROM scratch\nRUN x\n", "FROM scratch AS other\n# comment\nrun x\n");
	check_keys(true, "FROM scratch\nLABEL a=1\nRUN x\n",
		   "FROM scratch\nLABEL a=2\nCMD y\nRUN x\n");
	check_keys(false, "FROM scratch\nRUN x\n", "FROM scratch\nRUN y\n");
	check_keys(false, "FROM scratch\nRUN x\n", "FROM scratch\nENV A=1\nRUN x\n");
	check_keys(false, "FROM scratch\nARG A=1\nRUN x\n", "FROM scratch\nARG A=2\nRUN x\n");
	check_keys(true, "FROM scratch\nARG A\nRUN x\n", "FROM scratch\nRUN x\n");
	check_keys(false, "FROM scratch\nRUN x\n", "FROM scratch\nUSER u\nRUN x\n");
	check_keys(false, "FROM scratch\nRUN x\n", "FROM scratch\nRUN --network=none x\n");
	check_keys(false, "FROM scratch\nRUN x\n",
		   "FROM scratch\nRUN --mount=type=cache,target=/c x\n");
	check_keys(true, "FROM scratch\nRUN --mount=type=cache,target=/c,id=a x\n",
		   "FROM scratch\nRUN --mount=type=cache,target=/c,id=b,sharing=locked x\n");
	check_keys(false, "FROM scratch\nRUN --mount=type=cache,target=/c x\n",
		   "FROM scratch\nRUN --mount=type=cache,target=/c,ro x\n");
	check_keys(false, "FROM scratch\nRUN --mount=from=a,target=/c x\n",
		   "FROM scratch\nRUN --mount=from=a,target=/c,source=/d x\n");
	check_keys(true, "FROM scratch\nRUN --mount=from=a,target=/c x\n",
		   "FROM scratch\nRUN --mount=target=/x/../c,from=a,source=/,ro x\n");
	check_keys(false, "FROM scratch\nRUN --mount=type=tmpfs,target=/c x\n",
		   "FROM scratch\nRUN --mount=type=tmpfs,target=/c,size=1m x\n");
	check_keys(false, "FROM scratch\nRUN --mount=type=secret,id=a x\n",
		   "FROM scratch\nRUN --mount=type=secret,id=b x\n");
	check_keys(false, "FROM scratch\nRUN [\"a\", \"b\"]\n", "FROM scratch\nRUN [\"a b\"]\n");
	check_keys(false, "FROM scratch\nCOPY --from=a /x /y\n",
		   "FROM scratch\nCOPY --from=a /x /z\n");
	check_keys(false, "FROM scratch\nCOPY --from=a /x /y\n",
		   "FROM scratch\nCOPY --from=a --chown=1 /x /y\n");
	check_keys(false, "FROM scratch\nCOPY --from=a --chmod=u+x /x /y\n",
		   "FROM scratch\nCOPY --from=a --chmod=g+x /x /y\n");
	check_keys(false, "FROM scratch\nCOPY --from=a /x /y\n",
		   "FROM scratch\nCOPY --from=a --parents /x /y\n");
	check_keys(false, "FROM scratch\nCOPY --from=a --exclude=b /x /y\n",
		   "FROM scratch\nCOPY --from=a --exclude=b --exclude=c /x /y\n");
	check_keys(false, "FROM scratch\nCOPY --from=a --exclude=b --exclude=c /x /y\n",
		   "FROM scratch\nCOPY --from=a --exclude=c --exclude=b /x /y\n");
	check_keys(true, "FROM scratch\nCOPY --from=a /x /y\n",
		   "FROM scratch\nWORKDIR /\nCOPY --from=a --link=false --parents=false /x y\n");
	/* With a mode it is no copy of its own. */
	check_keys(true, "FROM scratch\nCOPY --from=a --chmod=1 /x /y\n",
		   "FROM scratch\nCOPY --from=a --link --chmod=1 /x /y\n");
	struct rb_digest x = key_of("FROM scratch\nRUN x\n", "p"),
			 y = key_of("FROM scratch\nRUN x\n", "q");
	CHECK(!rb_digest_eq(&x, &y));
}

static void test_plan__link_is_a_copy_and_what_places_it(void)
{
	struct fixture f = {0};
	struct rb_error *err = NULL;
	struct rb_digest plain, link;
	const char *const inputs[] = {"from"};

	CHECK_INT(
		make(&f,
		     "FROM debian\nRUN x\nCOPY --link --from=a /x /y\nCOPY --from=a /x /y\nADD --link=true z z\n",
		     NULL, &err),
		0);
	CHECK_OK(&err);
	struct rb_vertex *const *v = f.plan->stages[0].vertices;
	CHECK_INT(f.plan->stages[0].n_vertices, 6);
	CHECK_STR(v[1]->name, "[3/5] COPY --link --from=a /x /y");
	CHECK_STR(v[2]->name, "[3/5] LINK COPY --link --from=a /x /y");
	CHECK_STR(v[3]->name, "[4/5] COPY --from=a /x /y");
	CHECK_STR(v[5]->name, "[5/5] LINK ADD --link=true z z");
	CHECK(rb_vertex_is_detached(v[1]) && !v[1]->parent);
	CHECK(v[2]->kind == RB_VERTEX_LINK && v[2]->parent == v[0] && v[2]->link.layer == v[1]);
	CHECK(!rb_vertex_is_detached(v[2]) && !rb_vertex_is_detached(v[3]));
	CHECK(v[3]->parent == v[2] && v[5]->parent == v[3]);
	CHECK(rb_vertex_definition_key(v[1], "", inputs, &link));
	CHECK(rb_vertex_definition_key(v[3], "", inputs, &plain));
	CHECK(!rb_digest_eq(&link, &plain));
	CHECK(!rb_vertex_definition_key(v[2], "", inputs, &plain));
	size_t n;
	const struct rb_plan_history *h = rb_plan_history(&f.plan->stages[0], &n);
	CHECK(h[n - 1].vertex == v[5]);
	fixture_clear(&f);
}

/* --- sizes
 * ------------------------------------------------------------------------------------------------------
 */

/* "ENV A=..." of that size after n lines, each of which doubles 64 bytes. */
static void add_long_value(struct rb_buf *b, unsigned n)
{
	rb_buf_addf(b, "ENV A=%064d\n", 0);
	for (unsigned i = 0; i < n; i++)
		rb_buf_addstr(b, "ENV A=$A$A\n");
}

static void check_size_error(const char *head, const char *line, unsigned n, const char *part,
			     unsigned at)
{
	RB_CLEANUP(rb_buf_clear) struct rb_buf b = RB_BUF_INIT;
	struct rb_error *err = NULL;
	struct fixture f = {0};

	rb_buf_addstr(&b, head);
	add_long_value(&b, 13);
	for (unsigned i = 0; i < n; i++)
		rb_buf_addstr(&b, line);
	CHECK_INT(make(&f, b.ptr, NULL, &err), -1);
	CHECK_INT(err ? err->line_first : 0, at);
	CHECK_ERR(&err, part);
	fixture_clear(&f);
}

/* Half a megabyte that others repeat. */
static void test_plan__long_values_are_not_repeated_without_end(void)
{
	static const char much[] =
		"the variables of this Dockerfile expand to more than 64 MiB altogether";

	check_size_error("FROM scratch\n", "ENV B=$A\n", 1000, much, 141);
	check_size_error("FROM scratch\n", "LABEL B=$A\n", 1000, much, 141);
	check_size_error("FROM scratch\n", "COPY <<X /x\n$A\nX\n", 1000, much, 391);
	check_size_error("FROM scratch\n", "WORKDIR $A\n", 1,
			 "this path has 524289 bytes, and Linux takes 4095", 16);
}

static void test_plan__names_of_steps_are_no_longer_than_people_read(void)
{
	RB_CLEANUP(rb_buf_clear) struct rb_buf b = RB_BUF_INIT;
	struct rb_error *err = NULL;
	struct fixture f = {0};

	rb_buf_addstr(&b, "FROM scratch\n");
	add_long_value(&b, 10);
	rb_buf_addstr(&b, "ENV B=b\nRUN echo $A\nRUN echo $B\n");
	CHECK_INT(make(&f, b.ptr, NULL, &err), 0);
	CHECK_OK(&err);
	check_steps(&f, "[1/2] RUN echo $A\n[2/2] RUN echo b\n");
	fixture_clear(&f);
}

/* --- names of steps
 * --------------------------------------------------------------------------------------------- */

static void test_plan__numbers_steps_as_docker_does(void)
{
	struct fixture f = {0};
	struct rb_error *err = NULL;

	CHECK_INT(
		make(&f,
		     "FROM debian AS build\nENV A=1\nWORKDIR /w\nrun make  x\nFROM scratch\nCOPY --from=build /a /b\n",
		     NULL, &err),
		0);
	CHECK_OK(&err);
	const struct rb_plan_stage *st = &f.plan->stages[0];
	CHECK_STR(st->from_name, "[build 1/3] FROM docker.io/library/debian:latest");
	CHECK_STR(st->vertices[0]->name, "[build 2/3] WORKDIR /w");
	CHECK_STR(st->vertices[1]->name, "[build 3/3] RUN make  x");
	CHECK_STR(f.plan->stages[1].vertices[0]->name, "[stage-1 1/1] COPY --from=build /a /b");
	fixture_clear(&f);
}

struct shown {
	const char *inst, *want;
};

static void test_plan__shows_known_variables_in_names(void)
{
	static const struct shown rows[] = {
		{"RUN echo hello $WHO", "RUN echo hello world"},
		{"run echo ${WHO}s ${WHO:-x} ${NOPE:-$WHO}",
		 "RUN echo worlds world ${NOPE:-world}"},
		{"RUN for i in 1 2; do echo $i $WHO $1 $$ $?; done",
		 "RUN for i in 1 2; do echo $i world $1 $$ $?; done"},
		{"RUN echo '$WHO' \"$WHO's\" \\$WHO \"\\$WHO\"",
		 "RUN echo '$WHO' \"world's\" \\$WHO \"\\$WHO\""},
		{"RUN echo ${WHO ${ $(date) ${#WHO} $UNSET",
		 "RUN echo ${WHO ${ $(date) ${#WHO} $UNSET"},
		{"RUN echo it's $WHO", "RUN echo it's world"},
		{"RUN [\"echo\", \"$WHO\"]", "RUN [\"echo\", \"world\"]"},
		{"RUN --network=none echo $WHO", "RUN --network=none echo world"},
		{"RUN --mount=type=secret,id=$WHO,env=TOK --mount=type=secret,id=y cmd $TOK $WHO",
		 "RUN --mount=type=secret,id=world,env=TOK --mount=type=secret,id=y cmd **** world"},
		{"RUN --mount=type=secret,id=x,env=WHO cmd $WHO",
		 "RUN --mount=type=secret,id=x,env=WHO cmd ****"},
		{"RUN echo $WHO \\\n $GIVEN", "RUN echo world  build-arg"},
		{"RUN <<EOF\necho $WHO\nEOF", "RUN <<EOF (echo $WHO)"},
		{"RUN <<EOF cat\na $WHO\nb\nEOF", "RUN <<EOF cat (a $WHO...)"},
		{"COPY --chown=$ID:$ID --chmod=0$MODE $WHO /d/$WHO",
		 "COPY --chown=7:7 --chmod=0644 world /d/world"},
		{"copy --from=tools [\"a b\", \"/$WHO\"]",
		 "COPY --from=tools [\"a b\", \"/world\"]"},
		{"COPY <<$WHO /f\nx\n$WHO", "COPY <<world /f"},
		{"ADD a$WHO b", "ADD aworld b"},
		{"WORKDIR /$WHO", "WORKDIR /world"},
		{"WORKDIR sub/$WHO", "WORKDIR sub/world"},
	};

	for (size_t i = 0; i < RB_ARRAY_LEN(rows); i++) {
		RB_CLEANUP(rb_strp)
		char *text = rb_asprintf(
			"FROM debian\nARG WHO=world GIVEN\nENV ID=7 MODE=644\n%s\n", rows[i].inst);
		RB_CLEANUP(rb_strp) char *want = rb_asprintf("[2/2] %s", rows[i].want);
		struct fixture f = {0};
		struct rb_error *err = NULL;

		rb_env_set(&f.args, "GIVEN", "build-arg");
		CHECK_INT(make(&f, text, NULL, &err), 0);
		CHECK_OK(&err);
		if (f.plan && f.plan->stages[0].n_vertices == 1)
			CHECK_STR(f.plan->stages[0].vertices[0]->name, want);
		else
			CHECK_STR("no step", want);
		fixture_clear(&f);
	}
}

static void test_plan__sorts_what_a_step_borrows(void)
{
	struct fixture f = {0};
	struct rb_error *err = NULL;
	static const struct {
		const char *target;
		size_t written;
	} want[] = {{NULL, 1}, {"/a", 2}, {"/b", 0}, {"/run/buildkit/ssh_agent.1", 3}};

	CHECK_INT(make(&f,
		       "FROM debian\nRUN --mount=type=ssh,target=/b --mount=type=secret,id=x,env=X "
		       "--mount=type=secret,target=/a --mount=type=ssh true\n",
		       NULL, &err),
		  0);
	CHECK_OK(&err);
	const struct rb_vertex_run *run = &f.plan->stages[0].vertices[0]->run;
	CHECK_INT(run->n_mounts, RB_ARRAY_LEN(want));
	for (size_t i = 0; i < run->n_mounts; i++) {
		CHECK_STR(run->mounts[i].spec.target, want[i].target);
		CHECK_INT(run->mounts[i].written, want[i].written);
	}
	fixture_clear(&f);
}

/* --- named contexts
 * -----------------------------------------------------------------------------------------------
 */

static void test_plan__context_names_are_those_of_images(void)
{
	static const struct {
		const char *name, *want;
	} rows[] = {
		{"alpine", "alpine"},
		{"alpine:latest", "alpine"},
		{"docker.io/library/alpine", "alpine"},
		{"docker.io/library/alpine:latest", "alpine"},
		{"alpine:3", "alpine:3"},
		{"me/x", "me/x"},
		{"quay.io/a/b:latest", "quay.io/a/b"},
		{"localhost:5000/x", "localhost:5000/x"},
		{"Upper", NULL},
		{"a b", NULL},
		{"", NULL},
	};

	for (size_t i = 0; i < RB_ARRAY_LEN(rows); i++) {
		RB_CLEANUP(rb_strp) char *key = rb_plan_context_key(rows[i].name);

		CHECK_STR(key, rows[i].want);
	}
}

/* What a root is: "image NAME", "context NAME", "main", "scratch", "stage LABEL". */
static const char *root_text(const struct rb_root_ref *ref)
{
	static char text[128];

	switch (ref->kind) {
	case RB_ROOT_SCRATCH:
		return "scratch";
	case RB_ROOT_CONTEXT:
		if (!ref->context)
			return "main";
		(void)snprintf(text, sizeof(text), "context %zu", ref->context->index);
		return text;
	case RB_ROOT_IMAGE:
		(void)snprintf(text, sizeof(text), "image %s", ref->image->name);
		return text;
	case RB_ROOT_STAGE:
		(void)snprintf(text, sizeof(text), "stage %s", ref->stage->label);
		return text;
	}
	return "?";
}

static const struct rb_plan_context contexts[] = {
	{.index = 0, .name = "dir", .platform = "", .kind = RB_NAMED_TREE},
	{.index = 1, .name = "img", .platform = "", .kind = RB_NAMED_IMAGE, .image = "debian:12"},
	{.index = 2, .name = "nil", .platform = "", .kind = RB_NAMED_IMAGE, .image = "scratch"},
	{.index = 3,
	 .name = "lay",
	 .platform = "",
	 .kind = RB_NAMED_LAYOUT,
	 .image = "oci-layout://l"},
	{.index = 4, .name = "plat", .platform = "linux/amd64", .kind = RB_NAMED_TREE},
	{.index = 5, .name = "plat", .platform = "", .kind = RB_NAMED_IMAGE, .image = "other"},
	{.index = 6, .name = "scratch", .platform = "", .kind = RB_NAMED_TREE},
	{.index = 7, .name = "dir", .platform = "", .kind = RB_NAMED_TREE},
	{.index = 8, .name = "far", .platform = "linux/s390x", .kind = RB_NAMED_TREE},
};

/* Base of the target and what its first COPY takes from, with those contexts. */
static void test_plan__contexts_replace_stages_and_images(void)
{
	static const struct {
		const char *text, *base, *from, *needed;
	} rows[] = {
		/* the last of a name; with any spelling of the image's name */
		{"FROM dir\nCOPY --from=dir / /\n", "context 7", "context 7", "1"},
		{"FROM docker.io/library/dir:latest\nCOPY --from=dir:latest / /\n", "context 7",
		 "context 7", "1"},
		{"FROM img\nCOPY --from=img / /\n", "image docker.io/library/debian:12",
		 "image docker.io/library/debian:12", "1"},
		{"FROM nil\nCOPY --from=nil / /\n", "scratch", "scratch", "1"},
		{"FROM lay\nCOPY --from=lay / /\n", "image oci-layout://l", "image oci-layout://l",
		 "1"},
		/* one for this platform first; none of another one */
		{"FROM plat\nCOPY --from=plat / /\n", "context 4", "context 4", "1"},
		{"FROM --platform=linux/arm64 plat\nCOPY --from=plat / /\n",
		 "image docker.io/library/other:latest", "context 4", "1"},
		{"FROM far\nCOPY a /\n", "image docker.io/library/far:latest", "main", "1"},
		/* scratch is never looked up */
		{"FROM scratch\nCOPY --from=scratch / /\n", "scratch", "scratch", "1"},
		/* a stage of that name is gone, with all it needs */
		{"FROM x AS y\nFROM y AS dir\nRUN a\nFROM dir\nCOPY --from=dir / /\n", "stage dir",
		 "context 7", "011"},
		{"FROM $UNSET AS dir\nFROM scratch\nCOPY --from=0 / /\n", "scratch", "context 7",
		 "01"},
		{"FROM x AS Dir\nFROM scratch\nCOPY --from=DIR / /\n", "scratch", "context 7",
		 "01"},
		{"FROM x AS img\nRUN a\nFROM scratch\nCOPY --from=img / /\n", "scratch",
		 "stage img", "11"},
		/* a stage comes before a context that is called like an image */
		{"FROM x AS dir2\nFROM scratch\nCOPY --from=dir2 / /\n", "scratch", "stage dir2",
		 "11"},
	};

	for (size_t i = 0; i < RB_ARRAY_LEN(rows); i++) {
		struct fixture f = {.contexts = contexts, .n_contexts = RB_ARRAY_LEN(contexts)};
		struct rb_error *err = NULL;
		unsigned before = tap_failures;
		char needed[8] = "";

		CHECK_INT(make(&f, rows[i].text, NULL, &err), 0);
		CHECK_OK(&err);
		if (f.plan) {
			const struct rb_plan_stage *t = f.plan->target;
			const struct rb_vertex *last = t->vertices[t->n_vertices - 1];

			CHECK_STR(root_text(&t->base), rows[i].base);
			CHECK_STR(root_text(&last->copy.from), rows[i].from);
			for (size_t j = 0; j < f.plan->n_stages; j++)
				needed[j] = f.plan->stages[j].needed ? '1' : '0';
			CHECK_STR(needed, rows[i].needed);
		}
		if (tap_failures != before)
			printf("# of: %s\n", rows[i].text);
		fixture_clear(&f);
	}
}

static void test_plan__from_a_context_is_a_step(void)
{
	struct fixture f = {.contexts = contexts, .n_contexts = RB_ARRAY_LEN(contexts)};
	struct rb_error *err = NULL;

	CHECK_INT(make(&f, "FROM dir\nENV A=b\nCOPY a /\n", NULL, &err), 0);
	CHECK_OK(&err);
	check_steps(&f, "[1/2] FROM dir\n[2/2] COPY a /\n");
	size_t n;
	const struct rb_plan_history *h = rb_plan_history(f.plan->target, &n);
	CHECK_STR(h[0].created_by, "FROM dir");
	CHECK(h[0].vertex != NULL);
	CHECK_STR(joined(&config(&f)->env),
		  "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin|A=b");
	struct rb_root_ref root = rb_plan_stage_root(f.plan->target);
	CHECK_INT(root.kind, RB_ROOT_SCRATCH);
	fixture_clear(&f);
}

int main(void)
{
	return tap_run((const struct tap_test[]){
		TAP(test_plan__builds_only_what_the_target_needs),
		TAP(test_plan__asks_only_for_images_that_are_needed),
		TAP(test_plan__triggers_come_first_and_are_gone_afterwards),
		TAP(test_plan__what_triggers_name_becomes_needed),
		TAP(test_plan__triggers_have_the_default_escape),
		TAP(test_plan__long_values_are_not_repeated_without_end),
		TAP(test_plan__names_of_steps_are_no_longer_than_people_read),
		TAP(test_plan__outlines_read_triggers_with_the_default_escape),
		TAP(test_plan__bad_triggers_are_told_at_the_from_line),
		TAP(test_plan__refuses_with_message_and_line),
		TAP(test_plan__what_is_refused_in_an_unneeded_stage_does_no_harm),
		TAP(test_plan__scratch_has_path_and_root_as_directory),
		TAP(test_plan__metadata_reaches_the_config),
		TAP(test_plan__the_last_one_counts),
		TAP(test_plan__entrypoint_clears_a_cmd_that_was_not_set_here),
		TAP(test_plan__the_working_directory_of_a_base_may_be_relative),
		TAP(test_plan__history_says_what_docker_says),
		TAP(test_plan__arg_and_env_by_file_order),
		TAP(test_plan__the_environment_of_each_step),
		TAP(test_plan__a_child_goes_on_after_its_parent),
		TAP(test_plan__proxies_reach_run_without_its_key),
		TAP(test_plan__mounts_are_completed_and_sorted),
		TAP(test_plan__mounts_need_their_stages),
		TAP(test_plan__keys_cover_what_matters_and_nothing_else),
		TAP(test_plan__link_is_a_copy_and_what_places_it),
		TAP(test_plan__numbers_steps_as_docker_does),
		TAP(test_plan__shows_known_variables_in_names),
		TAP(test_plan__sorts_what_a_step_borrows),
		TAP(test_plan__context_names_are_those_of_images),
		TAP(test_plan__contexts_replace_stages_and_images),
		TAP(test_plan__from_a_context_is_a_step),
		TAP_END,
	});
}
