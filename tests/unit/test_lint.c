// SPDX-License-Identifier: Apache-2.0
#include "dockerfile/lint.h"

#include "plan/plan.h"
#include "tap.h"

/* What the checks of a file are run with, besides its text. */
struct given {
	const char *text;
	const char *arg, *value; /* a build argument */
	const char *env;         /* Env of every base image */
	bool foreign;            /* base images are linux/s390x */
	bool assumed;            /* nobody knows the base images' configs */
	const char *target;
};

static bool ignores_node_modules(void *ctx, const char *source)
{
	(void)ctx;
	return rb_streq(source, "node_modules");
}

static int plan_it(const struct given *g, const struct rb_dockerfile *df, struct rb_env *args,
		   struct rb_lint *lint, struct rb_image_config *base, struct rb_error **err)
{
	struct rb_plan_options o = {
		.target = g->target,
		.build_args = args,
		.build_platform = {.os = "linux", .arch = "amd64"},
		.target_platform = {.os = "linux", .arch = "amd64"},
		.all_stages = !g->target,
		.lint = lint,
	};
	RB_CLEANUP(rb_plan_freep) struct rb_plan *plan = NULL;

	if (rb_lint_configure(lint, df, args, err) < 0)
		return -1;
	lint->is_ignored = ignores_node_modules;
	rb_lint_file(lint, df);
	if (rb_plan_new(df, &o, &plan, err) < 0)
		return -1;
	for (size_t i = 0; i < plan->n_images; i++) {
		plan->images[i]->config = base;
		plan->images[i]->assumed = g->assumed;
	}
	for (size_t i = 0; i < plan->n_stages; i++)
		if (rb_plan_can_elaborate(&plan->stages[i]) &&
		    rb_plan_elaborate(plan, &plan->stages[i], err) < 0)
			return -1;
	return rb_lint_verdict(lint, err);
}

/* "Rule 2-3: detail" lines, then "note: ..." lines, then "error 2: ..."; caller frees. */
static char *findings(const struct given *g)
{
	struct rb_buf b = RB_BUF_INIT;
	struct rb_dockerfile *df = NULL;
	struct rb_lint lint = {0};
	struct rb_env args = {0};
	struct rb_image_config base = {.platform = {.os = "linux", .arch = "amd64"}};
	struct rb_error *err = NULL;

	if (g->foreign)
		base.platform = (struct rb_platform){.os = "linux", .arch = "s390x"};
	if (g->env)
		rb_strv_add(&base.env, g->env);
	if (g->arg)
		rb_env_set(&args, g->arg, g->value);
	if (rb_dockerfile_parse(g->text, strlen(g->text), &df, &err) == 0)
		(void)plan_it(g, df, &args, &lint, &base, &err);
	rb_lint_sort(&lint);
	for (size_t i = 0; i < lint.n; i++) {
		const struct rb_lint_warning *w = &lint.warnings[i];

		rb_buf_addf(&b, "%s %u-%u: %s\n", rb_lint_rule_info(w->rule)->name, w->line_first,
			    w->line_last, w->detail);
	}
	for (size_t i = 0; i < lint.notes.n; i++)
		rb_buf_addf(&b, "note: %s\n", lint.notes.v[i]);
	if (err) {
		char *text = rb_error_text(err);

		rb_buf_addf(&b, "error %u: %s\n", err->line_first, text);
		free(text);
	}
	rb_error_drop(&err);
	rb_lint_clear(&lint);
	rb_env_clear(&args);
	rb_image_config_clear(&base);
	rb_dockerfile_free(df);
	return rb_buf_steal(&b);
}

struct row {
	struct given g;
	const char *want;
};

#define ROW(text_, want_)                                                                          \
	{                                                                                          \
		{.text = (text_)}, want_                                                           \
	}

static void check_rows(const struct row *rows, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		char *got = findings(&rows[i].g);

		tap_check_str(__FILE__, __LINE__, rows[i].g.text, got, rows[i].want);
		free(got);
	}
}

/* --- names and casing --- */

static void test_lint__stage_names(void)
{
	static const struct row rows[] = {
		ROW("FROM a AS build\n", ""),
		ROW("FROM a AS Build\n",
		    "StageNameCasing 1-1: Stage name 'Build' should be lowercase\n"),
		ROW("FROM a AS x\nFROM b AS y\nFROM c AS X\n",
		    "DuplicateStageName 3-3: Duplicate stage name \"X\", stage names should be unique\n"
		    "StageNameCasing 3-3: Stage name 'X' should be lowercase\n"),
		ROW("FROM a AS x\nFROM b AS x\nFROM c AS x\n",
		    "DuplicateStageName 2-2: Duplicate stage name \"x\", stage names should be unique\n"
		    "DuplicateStageName 3-3: Duplicate stage name \"x\", stage names should be unique\n"),
		ROW("FROM a AS scratch\nFROM b AS context\nFROM c AS contexts\n",
		    "ReservedStageName 1-1: Stage name should not use the same name as reserved stage \"scratch\"\n"
		    "ReservedStageName 2-2: Stage name should not use the same name as reserved stage \"context\"\n"),
	};

	check_rows(rows, RB_ARRAY_LEN(rows));
}

static void test_lint__casing(void)
{
	static const struct row rows[] = {
		ROW("FROM a as b\n",
		    "FromAsCasing 1-1: 'as' and 'FROM' keywords' casing do not match\n"),
		ROW("from a AS b\n",
		    "FromAsCasing 1-1: 'AS' and 'from' keywords' casing do not match\n"),
		ROW("from a as b\n", ""),
		ROW("FROM --platform=$BUILDPLATFORM a \\\n  As b\n",
		    "FromAsCasing 1-2: 'As' and 'FROM' keywords' casing do not match\n"),
		/* FROM itself is not consistent, so there is nothing to follow. */
		ROW("From a as b\n",
		    "ConsistentInstructionCasing 1-1: Command 'From' should match the case of the command majority (uppercase)\n"),
		ROW("FROM a\nrun b\n",
		    "ConsistentInstructionCasing 2-2: Command 'run' should match the case of the command majority (uppercase)\n"),
		ROW("from a\nrun b\nCOPY c d\n",
		    "ConsistentInstructionCasing 3-3: Command 'COPY' should match the case of the command majority (lowercase)\n"),
		ROW("arg X\nFROM a\nRun b\n",
		    "ConsistentInstructionCasing 1-1: Command 'arg' should match the case of the command majority (uppercase)\n"
		    "ConsistentInstructionCasing 3-3: Command 'Run' should match the case of the command majority (uppercase)\n"),
		ROW("from a\nrun b\n", ""),
	};

	check_rows(rows, RB_ARRAY_LEN(rows));
}

/* --- forms --- */

static void test_lint__forms(void)
{
	static const struct row rows[] = {
		ROW("FROM a\nRUN a \\\n\n  b\nRUN c \\\n# fine\n  d\n",
		    "NoEmptyContinuation 4-4: Empty continuation line\n"),
		ROW("FROM a\nCOPY <<E \\\n\n /x\nbody\nE\n",
		    "NoEmptyContinuation 4-4: Empty continuation line\n"),
		ROW("FROM a\nMAINTAINER me\n",
		    "MaintainerDeprecated 2-2: Maintainer instruction is deprecated in favor of using label\n"),
		ROW("FROM a\nENV a b\nENV c=d\nLABEL e f=g\nLABEL h=i\n",
		    "LegacyKeyValueFormat 2-2: \"ENV key=value\" should be used instead of legacy \"ENV key value\" format\n"
		    "LegacyKeyValueFormat 4-4: \"LABEL key=value\" should be used instead of legacy \"LABEL key value\" format\n"),
		ROW("FROM a\nCMD a\nFROM a\nENTRYPOINT b\n",
		    "JSONArgsRecommended 2-2: JSON arguments recommended for CMD to prevent surprises with OS signals\n"
		    "JSONArgsRecommended 4-4: JSON arguments recommended for ENTRYPOINT to prevent surprises with OS signals\n"),
		ROW("FROM a AS b\nSHELL [\"/bin/bash\", \"-c\"]\nFROM b\nCMD a\nENTRYPOINT [\"b\"]\n",
		    ""),
		ROW("FROM a\nCMD [\"a\"]\nCMD [\"b\"]\nCMD [\"c\"]\n",
		    "MultipleInstructionsDisallowed 2-2: Multiple CMD instructions should not be used in the same stage, only the last one has an effect\n"
		    "MultipleInstructionsDisallowed 3-3: Multiple CMD instructions should not be used in the same stage, only the last one has an effect\n"),
		ROW("FROM a AS b\nCMD [\"a\"]\nENTRYPOINT [\"b\"]\nHEALTHCHECK NONE\nFROM b\nCMD [\"a\"]\n",
		    ""),
		ROW("FROM a\nHEALTHCHECK NONE\nHEALTHCHECK CMD x\nENTRYPOINT [\"a\"]\nENTRYPOINT [\"b\"]\n",
		    "MultipleInstructionsDisallowed 2-2: Multiple HEALTHCHECK instructions should not be used in the same stage, only the last one has an effect\n"
		    "MultipleInstructionsDisallowed 4-4: Multiple ENTRYPOINT instructions should not be used in the same stage, only the last one has an effect\n"),
	};

	check_rows(rows, RB_ARRAY_LEN(rows));
}

static void test_lint__workdir(void)
{
	static const struct row rows[] = {
		ROW("FROM a\nWORKDIR app\nWORKDIR b\n",
		    "WorkdirRelativePath 2-2: Relative workdir \"app\" can have unexpected results if the base image changes\n"),
		ROW("FROM a\nARG D=app\nWORKDIR $D\n",
		    "WorkdirRelativePath 3-3: Relative workdir \"app\" can have unexpected results if the base image changes\n"),
		ROW("FROM a AS b\nWORKDIR /x\nFROM b\nWORKDIR y\n", ""),
		ROW("FROM a AS b\nFROM b\nWORKDIR y\n",
		    "WorkdirRelativePath 3-3: Relative workdir \"y\" can have unexpected results if the base image changes\n"),
	};

	check_rows(rows, RB_ARRAY_LEN(rows));
}

static void test_lint__expose(void)
{
	static const struct row rows[] = {
		ROW("FROM a\nEXPOSE 80 80/tcp 53/udp 8000-8010\n", ""),
		ROW("FROM a\nEXPOSE 80/TcP\n",
		    "ExposeProtoCasing 2-2: Defined protocol '80/TcP' in EXPOSE instruction should be lowercase\n"),
		ROW("FROM a\nARG P=53/UDP\nEXPOSE $P\n",
		    "ExposeProtoCasing 3-3: Defined protocol '53/UDP' in EXPOSE instruction should be lowercase\n"),
		ROW("FROM a\nEXPOSE 127.0.0.1:80:80 8080:80\n",
		    "ExposeInvalidFormat 2-2: EXPOSE instruction should not define an IP address or host-port mapping, found '127.0.0.1:80:80'\n"
		    "ExposeInvalidFormat 2-2: EXPOSE instruction should not define an IP address or host-port mapping, found '8080:80'\n"),
	};

	check_rows(rows, RB_ARRAY_LEN(rows));
}

/* --- variables --- */

static void test_lint__variables(void)
{
	static const struct row rows[] = {
		ROW("FROM a\nARG NAME\nENV x=$NAME y=$PATH\nCOPY $x /y\n", ""),
		ROW("FROM a\nARG NAME\nENV x=$NAMEE\n",
		    "UndefinedVar 3-3: Usage of undefined variable '$NAMEE' (did you mean $NAME?)\n"),
		ROW("FROM a\nRUN echo $x\nCMD [\"$y\"]\nHEALTHCHECK CMD $z\nLABEL l='$q'\n", ""),
		ROW("FROM a\nCOPY $x $x/$x\nUSER ${y:-me}\nUSER ${z:+me}\n",
		    "UndefinedVar 2-2: Usage of undefined variable '$x'\n"),
		ROW("FROM a\nCOPY <<E <<'F' /\n$x $1 $$\nE\n$y\nF\nEXPOSE 80$q\n",
		    "UndefinedVar 2-6: Usage of undefined variable '$x'\n"
		    "UndefinedVar 7-7: Usage of undefined variable '$q'\n"),
		/* A global ARG is not visible in a stage before it is declared there. */
		ROW("ARG V=1\nFROM a\nENV x=$V\n",
		    "UndefinedVar 3-3: Usage of undefined variable '$V'\n"),
		ROW("ARG V=1\nFROM a\nARG V\nENV x=$V\n", ""),
		{{.text = "FROM a\nENV x=$HERE\n", .env = "HERE=1"}, ""},
		{{.text = "FROM a AS b\nENV x=$NOT\nFROM b\nENV y=$EITHER\n", .assumed = true}, ""},
		ROW("ARG A=1\nARG B=${A}${C}\nFROM x:$B\n",
		    "UndefinedVar 2-2: Usage of undefined variable '$C' (did you mean A?)\n"),
		ROW("ARG VERSION=1\nFROM a:${VERSON}x\n",
		    "UndefinedArgInFrom 2-2: FROM argument 'VERSON' is not declared (did you mean VERSION?)\n"),
		ROW("FROM --platform=$BUILDPLATFORMS a AS b\n",
		    "UndefinedArgInFrom 1-1: FROM argument 'BUILDPLATFORMS' is not declared (did you mean BUILDPLATFORM?)\n"
		    "error 1: empty platform value from expression $BUILDPLATFORMS: give its ARG a value before the first FROM\n"),
	};

	check_rows(rows, RB_ARRAY_LEN(rows));
}

static void test_lint__default_args(void)
{
	static const struct row rows[] = {
		ROW("ARG I=debian\nFROM $I\n", ""),
		{{.text = "ARG I\nFROM ${I}\n", .arg = "I", .value = "debian"},
		 "InvalidDefaultArgInFrom 2-2: Default value for ARG ${I} results in empty or invalid base image name\n"},
		{{.text = "ARG T\nFROM debian:${T}\n", .arg = "T", .value = "1"},
		 "InvalidDefaultArgInFrom 2-2: Default value for ARG debian:${T} results in empty or invalid base image name\n"},
		{{.text = "ARG T=2\nARG I=debian:$T\nFROM $I\n", .arg = "T", .value = "1"}, ""},
		{{.text = "ARG I\nFROM ${I:-scratch}\n", .arg = "I", .value = "debian"}, ""},
		{{.text = "ARG I\nFROM ${I:?which}\n", .arg = "I", .value = "debian"}, ""},
		ROW("ARG TARGETARCH\nFROM base-$TARGETARCH\n", ""),
		ROW("ARG I\nFROM $I\n",
		    "InvalidDefaultArgInFrom 2-2: Default value for ARG $I results in empty or invalid base image name\n"
		    "error 2: base name ($I) should not be blank: give its ARG a default before the first FROM, or a value with --build-arg\n"),
	};

	check_rows(rows, RB_ARRAY_LEN(rows));
}

static void test_lint__secrets(void)
{
	static const struct row rows[] = {
		ROW("ARG TOKEN\nFROM a\nARG DB_PASSWORD\nENV API_KEY=x AWS_SECRET_ACCESS=y\n",
		    "SecretsUsedInArgOrEnv 1-1: Do not use ARG or ENV instructions for sensitive data (ARG \"TOKEN\")\n"
		    "SecretsUsedInArgOrEnv 3-3: Do not use ARG or ENV instructions for sensitive data (ARG \"DB_PASSWORD\")\n"
		    "SecretsUsedInArgOrEnv 4-4: Do not use ARG or ENV instructions for sensitive data (ENV \"API_KEY\")\n"
		    "SecretsUsedInArgOrEnv 4-4: Do not use ARG or ENV instructions for sensitive data (ENV \"AWS_SECRET_ACCESS\")\n"),
		ROW("FROM a\nARG github_apikey\nENV Auth_Url=x\n",
		    "SecretsUsedInArgOrEnv 2-2: Do not use ARG or ENV instructions for sensitive data (ARG \"github_apikey\")\n"
		    "SecretsUsedInArgOrEnv 3-3: Do not use ARG or ENV instructions for sensitive data (ENV \"Auth_Url\")\n"),
		ROW("FROM a\nENV PUBLIC_KEY=x TOKEN_FILE=y KEYRING=z SECRET_VERSION=1 MONKEY=1\nLABEL TOKEN=x\n",
		    ""),
	};

	check_rows(rows, RB_ARRAY_LEN(rows));
}

/* --- platforms, context --- */

static void test_lint__platforms(void)
{
	static const struct row rows[] = {
		ROW("FROM --platform=$TARGETPLATFORM a\n",
		    "RedundantTargetPlatform 1-1: Setting platform to predefined $TARGETPLATFORM in FROM is redundant, it is the default\n"),
		ROW("FROM --platform=${TARGETPLATFORM} a\n",
		    "RedundantTargetPlatform 1-1: Setting platform to predefined ${TARGETPLATFORM} in FROM is redundant, it is the default\n"),
		ROW("FROM --platform=$BUILDPLATFORM a\n", ""),
		ROW("FROM --platform=linux/amd64 a\n",
		    "FromPlatformFlagConstDisallowed 1-1: FROM --platform flag should not use constant value \"linux/amd64\"\n"),
		ROW("FROM --platform=linux/amd64 a AS build\n",
		    "FromPlatformFlagConstDisallowed 1-1: FROM --platform flag should not use constant value \"linux/amd64\"\n"),
		ROW("FROM --platform=linux/x86_64 a AS build_amd64\nFROM --platform=linux/amd64 a AS on-linux\n",
		    ""),
		{{.text = "FROM debian\n", .foreign = true},
		 "InvalidBaseImagePlatform 1-1: Base image debian:latest was pulled with platform \"linux/s390x\", expected \"linux/amd64\" for current build\n"},
		{{.text = "FROM debian\n", .foreign = true, .assumed = true}, ""},
	};

	check_rows(rows, RB_ARRAY_LEN(rows));
}

static void test_lint__ignored_sources(void)
{
	static const struct row rows[] = {
		ROW("FROM a\nCOPY ./node_modules/ /x\n",
		    "CopyIgnoredFile 2-2: Attempting to Copy file \"./node_modules/\" that is excluded by .dockerignore\n"),
		ROW("FROM a\nADD src /node_modules b/\n",
		    "CopyIgnoredFile 2-2: Attempting to Add file \"/node_modules\" that is excluded by .dockerignore\n"),
		ROW("FROM a AS b\nFROM a\nCOPY --from=b node_modules /x\nCOPY . .\n", ""),
	};

	check_rows(rows, RB_ARRAY_LEN(rows));
}

/* --- stages that are looked at --- */

static void test_lint__stages_of_the_target(void)
{
	static const char text[] =
		"FROM a AS One\nENV x=$U\nCMD a\nCMD b\nFROM a AS two\nENV t=$V\n";
	const struct row rows[] = {
		{{.text = text, .target = "two"},
		 "StageNameCasing 1-1: Stage name 'One' should be lowercase\n"
		 "UndefinedVar 6-6: Usage of undefined variable '$V'\n"},
		{{.text = text, .target = "one"},
		 "StageNameCasing 1-1: Stage name 'One' should be lowercase\n"
		 "UndefinedVar 2-2: Usage of undefined variable '$U'\n"
		 "MultipleInstructionsDisallowed 3-3: Multiple CMD instructions should not be used in the same stage, only the last one has an effect\n"
		 "JSONArgsRecommended 3-3: JSON arguments recommended for CMD to prevent surprises with OS signals\n"
		 "JSONArgsRecommended 4-4: JSON arguments recommended for CMD to prevent surprises with OS signals\n"},
	};

	check_rows(rows, RB_ARRAY_LEN(rows));
}

/* --- configuration --- */

#define DESCRIBED                                                                                  \
	"# about it\nARG A=1\n# A is fine\nARG A=2\n#\nARG B\n# the\n# stage build\nFROM a AS build\n"

static void test_lint__configuration(void)
{
	static const struct row rows[] = {
		ROW("# check=skip=JSONArgsRecommended\nFROM a\nCMD b\nENV c d\n",
		    "LegacyKeyValueFormat 4-4: \"ENV key=value\" should be used instead of legacy \"ENV key value\" format\n"),
		ROW("# check=skip=JSONArgsRecommended,LegacyKeyValueFormat\nFROM a\nCMD b\nENV c d\n",
		    ""),
		ROW("# check=skip=all\nFROM a as B\nCMD b\nENV c d\n", ""),
		ROW("# check=skip=all;error=true\nFROM a as B\n", ""),
		ROW("# check=skip=jsonargsrecommended\nFROM a\nCMD b\n",
		    "JSONArgsRecommended 3-3: JSON arguments recommended for CMD to prevent surprises with OS signals\n"
		    "note: check= names the rule jsonargsrecommended, which does not exist\n"),
		ROW("# check=skip=JSONArgRecommended\nFROM a\n",
		    "note: check= names the rule JSONArgRecommended, which does not exist (did you mean JSONArgsRecommended?)\n"),
		ROW("# check=error=true\nFROM a as b\nCMD c\n",
		    "FromAsCasing 2-2: 'as' and 'FROM' keywords' casing do not match\n"
		    "JSONArgsRecommended 3-3: JSON arguments recommended for CMD to prevent surprises with OS signals\n"
		    "error 3: lint violation found for rules: FromAsCasing, JSONArgsRecommended\n"),
		ROW("# check=error=true\nFROM a\n", ""),
		ROW("# syntax=x\n# check=err=true\nFROM a\n",
		    "error 2: invalid check option \"err=true\": the options are skip=RULE,..., error=true and experimental=RULE,..., separated by ;\n"),
		ROW("# check=error=maybe\nFROM a\n",
		    "error 1: invalid check option \"error=maybe\": the options are skip=RULE,..., error=true and experimental=RULE,..., separated by ;\n"),
		ROW("# check=skip=A;skip=B;skip=C;skip=D\nFROM a\n",
		    "note: check= names the rule A, which does not exist\n"
		    "note: check= names the rule B, which does not exist\n"
		    "note: check= names the rule C, which does not exist\n"
		    "error 1: invalid check option \"skip=D\": there are more than 3\n"),
		{{.text = "# check=error=true\nFROM a\nCMD b\n",
		  .arg = "BUILDKIT_DOCKERFILE_CHECK",
		  .value = "skip=JSONArgsRecommended"},
		 ""},
		{{.text = "FROM a\n", .arg = "BUILDKIT_DOCKERFILE_CHECK", .value = "nope"},
		 "error 0: --build-arg BUILDKIT_DOCKERFILE_CHECK: invalid check option \"nope\": the options are skip=RULE,..., error=true and experimental=RULE,..., separated by ;\n"},
		/* For one instruction */
		ROW("FROM a\n# check=skip=JSONArgsRecommended\nCMD b\n\nENTRYPOINT c\n",
		    "JSONArgsRecommended 5-5: JSON arguments recommended for ENTRYPOINT to prevent surprises with OS signals\n"),
		ROW("FROM a\n# check=skip=all;error=true\nCMD b\n", ""),
		ROW("FROM a\n# check=skip=all\n\nCMD b\n",
		    "JSONArgsRecommended 4-4: JSON arguments recommended for CMD to prevent surprises with OS signals\n"),
		ROW("# check=error=1\nFROM a AS B\n",
		    "StageNameCasing 2-2: Stage name 'B' should be lowercase\n"
		    "error 2: lint violation found for rules: StageNameCasing\n"),
		ROW("# check=skip=A11, B\nFROM a\n",
		    "note: check= names the rule A11, which does not exist\n"
		    "note: line 1: check= ends at the first blank, so this is not read: B\n"),
		ROW("FROM a\n# check=skip=Nope\nCMD [\"b\"]\n",
		    "note: the comment above line 3: check= names the rule Nope, which does not exist\n"),
		ROW("FROM a\n# check=the weather\nCMD b\n",
		    "JSONArgsRecommended 3-3: JSON arguments recommended for CMD to prevent surprises with OS signals\n"
		    "note: the comment above line 3: invalid check option \"the weather\": the options are skip=RULE,..., error=true and experimental=RULE,..., separated by ;\n"),
		ROW(DESCRIBED, ""),
		ROW("# check=experimental=all\n" DESCRIBED,
		    "InvalidDefinitionDescription 3-3: Comment for ARG should follow the format: `# A <description>`\n"
		    "InvalidDefinitionDescription 10-10: Comment for build stage should follow the format: `# build <description>`\n"),
		ROW("# check=skip=all;experimental=all\n# no\nARG A=1\nFROM a as B\n",
		    "InvalidDefinitionDescription 3-3: Comment for ARG should follow the format: `# A <description>`\n"),
		ROW("# check=skip=all;experimental=InvalidDefinitionDescription\nFROM a\n# check=skip=all\nARG A=1\n",
		    ""),
		ROW("# not mine\n# check=experimental=InvalidDefinitionDescription\nARG A=1\n# nor this\nARG B=1\nFROM a\n",
		    "InvalidDefinitionDescription 3-3: Comment for ARG should follow the format: `# A <description>`\n"),
	};

	check_rows(rows, RB_ARRAY_LEN(rows));
}

static void test_lint__many_warnings_are_counted(void)
{
	struct rb_buf text = RB_BUF_INIT;
	struct rb_dockerfile *df = NULL;
	struct rb_error *err = NULL;
	struct rb_lint lint = {0};

	rb_buf_addstr(&text, "FROM a\n");
	for (int i = 0; i < RB_LINT_WARNINGS_MAX + 5; i++)
		rb_buf_addf(&text, "ENV a%d b\n", i);
	CHECK_INT(rb_dockerfile_parse(text.ptr, text.len, &df, &err), 0);
	rb_lint_file(&lint, df);
	CHECK_INT(lint.n, RB_LINT_WARNINGS_MAX);
	CHECK_INT(lint.dropped, 5);
	rb_lint_clear(&lint);
	rb_dockerfile_free(df);
	rb_buf_clear(&text);
}

static void test_lint__rules_are_described(void)
{
	for (size_t i = 0; i < RB_LINT_N; i++) {
		const struct rb_lint_rule_info *r = rb_lint_rule_info((enum rb_lint_rule)i);

		CHECK(r->name && *r->name && r->description && *r->description && r->instead &&
		      *r->instead && r->url);
		CHECK(*r->url || i == RB_LINT_INVALID_BASE_IMAGE_PLATFORM);
		CHECK_INT(r->experimental, i == RB_LINT_INVALID_DEFINITION_DESCRIPTION);
	}
	CHECK_STR(rb_lint_rule_info(RB_LINT_JSON_ARGS_RECOMMENDED)->url,
		  "https://docs.docker.com/go/dockerfile/rule/json-args-recommended/");
}

int main(void)
{
	return tap_run((const struct tap_test[]){
		TAP(test_lint__stage_names),
		TAP(test_lint__casing),
		TAP(test_lint__forms),
		TAP(test_lint__workdir),
		TAP(test_lint__expose),
		TAP(test_lint__variables),
		TAP(test_lint__default_args),
		TAP(test_lint__secrets),
		TAP(test_lint__platforms),
		TAP(test_lint__ignored_sources),
		TAP(test_lint__stages_of_the_target),
		TAP(test_lint__configuration),
		TAP(test_lint__many_warnings_are_counted),
		TAP(test_lint__rules_are_described),
		TAP_END,
	});
}
