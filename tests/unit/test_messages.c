// SPDX-License-Identifier: Apache-2.0
/*
 * Every error of reading and planning a Dockerfile, as its author sees it: the whole message, the
 * lines it is about, and the frame that marks them. One Dockerfile each.
 */
#include "dockerfile/dockerfile.h"
#include "plan/plan.h"
#include "tap.h"

struct row {
	const char *text;
	unsigned first, last; /* 0: the whole file is meant */
	const char *message;
};

static int plan_it(const struct rb_dockerfile *df, const struct rb_image_config *base,
		   struct rb_plan **plan, struct rb_error **err)
{
	static const struct rb_env no_args;
	const struct rb_plan_options o = {
		.build_args = &no_args,
		.build_platform = {.os = "linux", .arch = "amd64"},
		.target_platform = {.os = "linux", .arch = "amd64"},
	};

	if (rb_plan_new(df, &o, plan, err) < 0)
		return -1;
	for (size_t i = 0; i < (*plan)->n_stages; i++) {
		for (size_t j = 0; j < (*plan)->n_images; j++)
			(*plan)->images[j]->config = base;
		if (rb_plan_can_elaborate(&(*plan)->stages[i]) &&
		    rb_plan_elaborate(*plan, &(*plan)->stages[i], err) < 0)
			return -1;
	}
	return 0;
}

/* The frame of 8.5 has ">>>" at all lines of the error and at no other. */
static void check_frame(const struct row *row, const struct rb_error *e)
{
	RB_CLEANUP(rb_strp)
	char *frame = rb_dockerfile_frame("Dockerfile", row->text, strlen(row->text), e->line_first,
					  e->line_last);
	unsigned marked = 0;

	for (const char *p = frame; (p = strstr(p, "| >>> ")); p++)
		marked++;
	RB_CLEANUP(rb_strp) char *head = rb_asprintf("Dockerfile:%u\n", e->line_first);
	CHECK(rb_starts_with(frame, head));
	CHECK_INT(marked, e->line_last - e->line_first + 1);
}

static void check_row(const struct row *row)
{
	struct rb_dockerfile *df = NULL;
	struct rb_plan *plan = NULL;
	struct rb_image_config base = {.platform = {.os = "linux", .arch = "amd64"}};
	struct rb_error *err = NULL;

	if (rb_dockerfile_parse(row->text, strlen(row->text), &df, &err) == 0)
		(void)plan_it(df, &base, &plan, &err);
	RB_CLEANUP(rb_strp) char *text = err ? rb_error_text(err) : NULL;
	tap_check_str(__FILE__, __LINE__, row->text, text, row->message);
	if (err && (err->line_first != row->first || err->line_last != row->last)) {
		tap_failures++;
		printf("# %s: lines %u-%u, not %u-%u\n", row->text, err->line_first, err->line_last,
		       row->first, row->last);
	}
	if (err && err->line_first)
		check_frame(row, err);
	rb_error_drop(&err);
	rb_plan_free(plan);
	rb_dockerfile_free(df);
	rb_image_config_clear(&base);
}

static void check_rows(const struct row *rows, size_t n)
{
	for (size_t i = 0; i < n; i++)
		check_row(&rows[i]);
}

static void test_messages__files_and_directives(void)
{
	static const struct row rows[] = {
		{"", 0, 0, "the Dockerfile cannot be empty: begin with FROM"},
		{"# only a comment\n", 0, 0, "file with no instructions: begin with FROM"},
		{"ARG a\n", 0, 0, "dockerfile contains no stages to build: add a FROM"},
		{"ARG a\nRUN \\\n x\nFROM b\n", 2, 3,
		 "no build stage in current context: RUN needs a FROM before it"},
		{"# escape=x\nFROM a\n", 1, 1, "invalid escape token 'x' does not match ` or \\"},
		{"# escape=`\n# escape=`\nFROM a\n", 2, 2,
		 "only one escape parser directive can be used"},
		{"# syntax=a\n# SYNTAX=b\nFROM a\n", 2, 2,
		 "only one syntax parser directive can be used"},
	};

	check_rows(rows, RB_ARRAY_LEN(rows));
}

static void test_messages__instructions(void)
{
	static const struct row rows[] = {
		{"FROM a\nRNU x\n", 2, 2,
		 "dockerfile parse error on line 2: unknown instruction: RNU (did you mean RUN?)"},
		{"FORM a\n", 1, 1,
		 "dockerfile parse error on line 1: unknown instruction: FORM (did you mean FROM?)"},
		{"FROM a\nWORKDIRR /x\n", 2, 2,
		 "dockerfile parse error on line 2: unknown instruction: WORKDIRR (did you mean WORKDIR?)"},
		{"FROM a\n\nxyzzy a\n", 3, 3,
		 "dockerfile parse error on line 3: unknown instruction: xyzzy"},
		{"FROM a\nRUN a\n && b \\\n && c\n", 3, 4,
		 "dockerfile parse error on line 3: unknown instruction: && (the line before it may lack a \\ at its end)"},
		{"# escape=`\nFROM a\nRUN a\n --b\n", 4, 4,
		 "dockerfile parse error on line 4: unknown instruction: --b (the line before it may lack a ` at its end)"},
		{"&& b\n", 1, 1, "dockerfile parse error on line 1: unknown instruction: &&"},
		{"FROM a b\n", 1, 1,
		 "dockerfile parse error on line 1: FROM requires either one or three arguments: FROM IMAGE or FROM IMAGE AS NAME"},
		{"FROM\n", 1, 1,
		 "dockerfile parse error on line 1: FROM requires either one or three arguments: FROM IMAGE or FROM IMAGE AS NAME"},
		{"FROM a AS 1b\n", 1, 1,
		 "dockerfile parse error on line 1: invalid name for build stage: \"1b\", name can't start with a number or contain symbols"},
		{"FROM a\nENV\n", 2, 2,
		 "dockerfile parse error on line 2: ENV requires at least one argument"},
		{"FROM a\nWORKDIR\n", 2, 2,
		 "dockerfile parse error on line 2: WORKDIR requires exactly one argument"},
		{"FROM a\nENV a\n", 2, 2,
		 "dockerfile parse error on line 2: ENV must have two arguments: write NAME=value"},
		{"FROM a\nENV a=b \\\n c\n", 2, 3,
		 "dockerfile parse error on line 2: can't find = in \"c\". Must be of the form: name=value"},
		{"FROM a\nENV =b\n", 2, 2,
		 "dockerfile parse error on line 2: ENV names can not be blank"},
		{"FROM a\nARG =b\n", 2, 2,
		 "dockerfile parse error on line 2: ARG names can not be blank"},
		{"FROM a\nLABEL a\n", 2, 2,
		 "dockerfile parse error on line 2: LABEL must have two arguments: write NAME=value"},
		{"FROM a\nCMD [1]\n", 2, 2,
		 "dockerfile parse error on line 2: when using JSON array syntax, arrays must be comprised of strings only"},
		{"FROM a\nRUN []\n", 2, 2,
		 "dockerfile parse error on line 2: RUN requires a command, but its JSON array is empty"},
		{"FROM a\nSHELL /bin/sh -c\n", 2, 2,
		 "dockerfile parse error on line 2: SHELL requires the arguments to be in JSON form, like [\"/bin/bash\", \"-c\"]"},
		{"FROM a\nSHELL [\"/bin/sh\", \"-c\"] # b\n", 2, 2,
		 "dockerfile parse error on line 2: SHELL requires the arguments to be in JSON form, like [\"/bin/bash\", \"-c\"], with nothing behind the ], not even a comment"},
		{"FROM a\nSHELL []\n", 2, 2,
		 "dockerfile parse error on line 2: SHELL requires at least one argument"},
		{"FROM a\nVOLUME [\"\"]\n", 2, 2,
		 "dockerfile parse error on line 2: VOLUME specified can not be an empty string"},
		{"FROM a\nVOLUME []\n", 2, 2,
		 "dockerfile parse error on line 2: VOLUME requires at least one argument"},
		{"FROM a\nMAINTAINER\n", 2, 2,
		 "dockerfile parse error on line 2: MAINTAINER requires exactly one argument"},
		{"FROM a\nHEALTHCHECK CMD\n", 2, 2,
		 "dockerfile parse error on line 2: Missing command after HEALTHCHECK CMD"},
		{"FROM a\nHEALTHCHECK CDM x\n", 2, 2,
		 "dockerfile parse error on line 2: Unknown type \"CDM\" in HEALTHCHECK (try CMD)"},
		{"FROM a\nHEALTHCHECK NONE x\n", 2, 2,
		 "dockerfile parse error on line 2: HEALTHCHECK NONE takes no arguments"},
		{"FROM a\nHEALTHCHECK --interval=1x CMD x\n", 2, 2,
		 "dockerfile parse error on line 2: HEALTHCHECK --interval: invalid duration \"1x\": write numbers with units h, m, s, ms, us or ns, like 1m30s"},
		{"FROM a\nHEALTHCHECK --interval=1us CMD x\n", 2, 2,
		 "dockerfile parse error on line 2: HEALTHCHECK --interval cannot be less than 1ms: 1us"},
		{"FROM a\nHEALTHCHECK --retries=-1 CMD x\n", 2, 2,
		 "dockerfile parse error on line 2: HEALTHCHECK --retries must be a number from 0 to 2147483647, not: -1"},
		{"FROM a\nONBUILD ONBUILD RUN x\n", 2, 2,
		 "dockerfile parse error on line 2: Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed"},
		{"FROM a\nONBUILD FROM x\n", 2, 2,
		 "dockerfile parse error on line 2: FROM isn't allowed as an ONBUILD trigger"},
		{"FROM a\nONBUILD RNU x\n", 2, 2,
		 "dockerfile parse error on line 2: unknown instruction: RNU (did you mean RUN?)"},
		{"FROM a\nRUN <<EOF\nx\n", 2, 2,
		 "dockerfile parse error on line 2: unterminated heredoc: no line \"EOF\" ends it"},
		{"FROM a\nCOPY <<a/b /x\nt\na/b\n", 2, 4,
		 "dockerfile parse error on line 2: the heredoc \"a/b\" of COPY becomes a file of that name, which no file can have"},
		{"FROM a\nCOPY <<EOF\nEOF\n", 2, 3,
		 "dockerfile parse error on line 2: COPY requires at least two arguments, but only one was provided. Destination could not be determined"},
		{"FROM a\nCOPY x <<EOF\nEOF\n", 2, 3,
		 "dockerfile parse error on line 2: COPY cannot accept a heredoc as a destination"},
		{"FROM a\nCOPY << EOF /x\nEOF\n", 2, 3,
		 "dockerfile parse error on line 2: the heredoc \"EOF\" of COPY must be written as one word without blanks, like <<EOF"},
		{"FROM a\nCOPY x\n", 2, 2,
		 "dockerfile parse error on line 2: COPY requires at least two arguments, but only one was provided. Destination could not be determined"},
	};

	check_rows(rows, RB_ARRAY_LEN(rows));
}

static void test_messages__flags(void)
{
	static const struct row rows[] = {
		{"FROM --platfrm=x a\n", 1, 1,
		 "dockerfile parse error on line 1: unknown flag: --platfrm (did you mean --platform?)"},
		{"FROM a\nRUN --mout=type=cache x\n", 2, 2,
		 "dockerfile parse error on line 2: unknown flag: --mout (did you mean --mount?)"},
		{"FROM a\nCOPY --form=x a b\n", 2, 2,
		 "dockerfile parse error on line 2: unknown flag: --form (did you mean --from?)"},
		{"FROM a\nADD --cheksum=x a b\n", 2, 2,
		 "dockerfile parse error on line 2: unknown flag: --cheksum (did you mean --checksum?)"},
		{"FROM a\nHEALTHCHECK --intervall=1s CMD x\n", 2, 2,
		 "dockerfile parse error on line 2: unknown flag: --intervall (did you mean --interval?)"},
		{"FROM a\nCMD --help\n", 2, 2,
		 "dockerfile parse error on line 2: unknown flag: --help"},
		{"FROM a\nUSER --x y\n", 2, 2,
		 "dockerfile parse error on line 2: unknown flag: --x"},
		{"FROM a\nCOPY --from a b\n", 2, 2,
		 "dockerfile parse error on line 2: missing a value on flag: --from"},
		{"FROM a\nCOPY --from=a --from=b c d\n", 2, 2,
		 "dockerfile parse error on line 2: duplicate flag specified: --from"},
		{"FROM a\nCOPY --link=maybe c d\n", 2, 2,
		 "dockerfile parse error on line 2: expecting boolean value for flag --link, not: maybe"},
		{"FROM a\nCOPY --link= c d\n", 2, 2,
		 "dockerfile parse error on line 2: missing a value on flag: --link"},
		{"FROM a\nCOPY --from=$X c d\n", 2, 2,
		 "dockerfile parse error on line 2: variable expansion is not supported for --from, define a new stage with FROM using ARG from global scope as a workaround"},
		{"FROM a\nRUN --network=hst x\n", 2, 2,
		 "dockerfile parse error on line 2: invalid network mode \"hst\" (did you mean host?): it is default, none or host"},
		{"FROM a\nRUN --security=secure x\n", 2, 2,
		 "dockerfile parse error on line 2: security \"secure\" is not valid (did you mean insecure?): it is sandbox or insecure"},
		{"FROM a\nRUN --security=sandbx x\n", 2, 2,
		 "dockerfile parse error on line 2: security \"sandbx\" is not valid (did you mean sandbox?): it is sandbox or insecure"},
		{"FROM a\nRUN --mount=type=cahce,target=/x y\n", 2, 2,
		 "dockerfile parse error on line 2: unsupported mount type \"cahce\" (did you mean cache?)"},
		{"FROM a\nRUN --mount=type=bind,tagret=/x y\n", 2, 2,
		 "dockerfile parse error on line 2: unexpected key 'tagret' in 'tagret=/x' (did you mean target?)"},
		{"FROM a\nRUN --mount=type=bind,foo y\n", 2, 2,
		 "dockerfile parse error on line 2: invalid field 'foo' must be a key=value pair"},
		{"FROM a\nRUN --mount=type=bind,target=/ y\n", 2, 2,
		 "invalid mount target \"/\": a step has its own root, /dev, /proc and /sys"},
		{"FROM a\nRUN --mount=type=bind,target=/x,sharing=shared y\n", 2, 2,
		 "dockerfile parse error on line 2: invalid cache sharing set for bind mount"},
		{"FROM a\nRUN --mount=type=cache,target=/x,sharing=share y\n", 2, 2,
		 "dockerfile parse error on line 2: unsupported sharing value \"share\" (did you mean shared?)"},
		{"FROM a\nRUN --mount=type=bind,target=/x,mode=0755 y\n", 2, 2,
		 "dockerfile parse error on line 2: mode not allowed for \"bind\" type mounts"},
		{"FROM a\nRUN --mount=type=bind,target=/x,size=1m y\n", 2, 2,
		 "dockerfile parse error on line 2: unexpected key 'size' for mount type 'bind'"},
		{"FROM a\nRUN --mount=type=secret y\n", 2, 2,
		 "dockerfile parse error on line 2: a secret mount needs one of id, source and target"},
		{"FROM a\nRUN --mount=from=$x,target=/x \\\n y\n", 2, 3,
		 "dockerfile parse error on line 2: 'from' doesn't support variable expansion, define alias stage instead"},
		{"FROM a\nCOPY http://example.org/x /x\n", 2, 2,
		 "dockerfile parse error on line 2: source can't be a URL for COPY: ADD takes one"},
		{"FROM a\nCOPY git@example.org:x /x\n", 2, 2,
		 "dockerfile parse error on line 2: source can't be a git ref for COPY: ADD takes one"},
		{"FROM a\nADD --checksum=sha256:aa http://a/x http://a/y /z/\n", 2, 2,
		 "dockerfile parse error on line 2: checksum can't be specified for multiple sources"},
	};

	check_rows(rows, RB_ARRAY_LEN(rows));
}

static void test_messages__options(void)
{
	static const struct row rows[] = {
		{"FROM a\nRUN --device=a,b x\n", 2, 2,
		 "dockerfile parse error on line 2: --device: unexpected key 'b' in 'b': write NAME, name=NAME or required"},
		{"FROM a\nRUN --device=a,required=2 x\n", 2, 2,
		 "dockerfile parse error on line 2: --device: invalid value for required: 2: write true or false"},
		{"FROM a\nRUN --device=required x\n", 2, 2,
		 "dockerfile parse error on line 2: --device=required names no device"},
		{"FROM a\nRUN --device= x\n", 2, 2,
		 "dockerfile parse error on line 2: --device= names no device"},
		{"FROM a\nRUN --mount=type=secret,id=a,source=b y\n", 2, 2,
		 "dockerfile parse error on line 2: a secret mount takes id or source, not both: they mean the same"},
		{"FROM a\nRUN --mount=type=secret,id=a,mode=9 y\n", 2, 2,
		 "dockerfile parse error on line 2: invalid value \"9\" for --mount option 'mode': write an octal number such as 0755"},
		{"FROM a\nRUN --mount=type=cache,target=/c,uid=x y\n", 2, 2,
		 "dockerfile parse error on line 2: invalid value \"x\" for --mount option 'uid': write a number; names are not looked up here"},
		{"FROM a\nRUN --mount=type=tmpfs,target=/c,size=many y\n", 2, 2,
		 "dockerfile parse error on line 2: invalid value \"many\" for --mount option 'size': write a size such as 64m or 1g"},
		{"FROM a\nRUN --mount=type=ssh,required=perhaps y\n", 2, 2,
		 "dockerfile parse error on line 2: invalid value \"perhaps\" for --mount option 'required': write true or false"},
		{"FROM a\nCOPY --link --chown=app x y\n", 2, 2,
		 "--chown=app: with --link there is no /etc/passwd to look up names in; write numbers, or leave --link out"},
		{"FROM a\nCOPY --chmod=u+q x y\n", 2, 2,
		 "invalid chmod parameter: 'u+q'. it should be octal string and between 0 and 07777, or symbolic as for chmod(1), like u=rwX,go=rX"},
		{"FROM a\nADD --checksum=md5:x http://a/b /c\n", 2, 2,
		 "invalid checksum \"md5:x\" for a URL: it is sha256: and 64 hexadecimal digits"},
		{"FROM a\nADD --checksum=sha256:aa b /c\n", 2, 2,
		 "checksum requires HTTP(S) or Git sources, not \"b\""},
		{"FROM a\nADD https://a/b.git?rev=x /c\n", 2, 2,
		 "unexpected query \"rev\" (did you mean ref?)"},
		{"FROM a\nADD https://a/b.git?ref=x&ref=y /c\n", 2, 2,
		 "query \"ref\" has multiple values"},
		{"FROM a\nADD https://a/b.git#../x /c\n", 2, 2,
		 "\"../x\" cannot be the name of a branch, tag or commit"},
		{"FROM a\nADD --unpack=x b /c\n", 2, 2,
		 "dockerfile parse error on line 2: expecting boolean value for flag --unpack, not: x"},
		{"FROM a\nADD --keep-git-dir=false https://a/b.git?keep-git-dir=1 /c\n", 2, 2,
		 "inconsistent keep-git-dir configuration"},
		{"FROM a\nADD --from=x b /c\n", 2, 2,
		 "dockerfile parse error on line 2: unknown flag: --from"},
		{"FROM a\nONBUILD COPY --form=x a b\n", 2, 2,
		 "dockerfile parse error on line 2: unknown flag: --form (did you mean --from?)"},
		{"FROM a AS b\nONBUILD EXPOSE x\nFROM b\n", 3, 3,
		 "invalid containerPort: x: write a number up to 65535, or a range like 8000-8010"},
		{"FROM a\nVOLUME [\"a\", 1]\n", 2, 2,
		 "dockerfile parse error on line 2: when using JSON array syntax, arrays must be comprised of strings only"},
		{"FROM a\nCMD [\"a\\u0000\"]\n", 2, 2,
		 "dockerfile parse error on line 2: a string of the JSON array has a NUL character, which no argument or path can have"},
	};

	check_rows(rows, RB_ARRAY_LEN(rows));
}

static void test_messages__expansion(void)
{
	static const struct row rows[] = {
		{"FROM a\nENV x=${y\n", 2, 2,
		 "failed to process \"${y\": syntax error: missing '}'"},
		{"FROM a\nENV x=${}\n", 2, 2,
		 "failed to process \"${}\": syntax error: bad substitution"},
		{"FROM a\nENV x=${y:=z}\n", 2, 2,
		 "failed to process \"${y:=z}\": unsupported modifier (:=) in substitution: there are :- - :+ + :? ? # ## % %% / and //"},
		{"FROM a\nENV x=${y^}\n", 2, 2,
		 "failed to process \"${y^}\": unsupported modifier (^) in substitution: there are :- - :+ + :? ? # ## % %% / and //"},
		{"FROM a\nENV x=${y/a}\n", 2, 2,
		 "failed to process \"${y/a}\": syntax error: missing '/' in ${}"},
		{"FROM a\nENV x=${y:?}\n", 2, 2,
		 "failed to process \"${y:?}\": y: is not allowed to be unset"},
		{"FROM a\nENV x=${y:?set y}\n", 2, 2,
		 "dockerfile parse error on line 2: can't find = in \"y}\". Must be of the form: name=value"},
		{"FROM a\nENV y=\nCOPY \\\n ${y:?} /\n", 3, 4,
		 "failed to process \"${y:?}\": y: is not allowed to be empty"},
		{"FROM a\nENV x='y\n", 2, 2,
		 "failed to process \"'y\": unexpected end of statement while looking for matching single-quote"},
		{"FROM a\nLABEL x=\"y\n", 2, 2,
		 "failed to process \"\\\"y\": unexpected end of statement while looking for matching double-quote"},
		{"FROM a\nENV x=${y#\\q}\n", 2, 2,
		 "failed to process \"${y#\\\\q}\": invalid escape '\\q'"},
		{"ARG x=${y\nFROM a\n", 1, 1,
		 "failed to process \"${y\": syntax error: missing '}'"},
		{"ARG x\nFROM ${x\n", 2, 2, "failed to process \"${x\": syntax error: missing '}'"},
		{"FROM a\nCOPY <<EOF /x\n${y:?}\nEOF\n", 2, 4,
		 "failed to process the here-document: y: is not allowed to be unset"},
	};

	check_rows(rows, RB_ARRAY_LEN(rows));
}

static void test_messages__values(void)
{
	static const struct row rows[] = {
		{"FROM a\nEXPOSE 99999\n", 2, 2,
		 "invalid containerPort: 99999: write a number up to 65535, or a range like 8000-8010"},
		{"FROM a\nEXPOSE 80-70\n", 2, 2,
		 "invalid containerPort: 80-70: write a number up to 65535, or a range like 8000-8010"},
		{"FROM a\nEXPOSE 80/tpc\n", 2, 2,
		 "invalid proto: tpc (did you mean tcp?): it is tcp, udp or sctp"},
		{"FROM a\nEXPOSE x:80\n", 2, 2, "invalid hostPort: x"},
		{"FROM a\nEXPOSE 1.2.3:80:80\n", 2, 2, "invalid IP address: 1.2.3"},
		{"FROM a\nEXPOSE 1-3:80-81\n", 2, 2,
		 "invalid ranges specified for container and host ports: 80-81 and 1-3"},
		{"FROM a\nSTOPSIGNAL SIGTREM\n", 2, 2,
		 "invalid signal: SIGTREM (did you mean SIGTERM?): write a name like SIGTERM, or a number"},
		{"FROM a\nSTOPSIGNAL KIL\n", 2, 2,
		 "invalid signal: KIL (did you mean KILL?): write a name like SIGTERM, or a number"},
		{"FROM a\nSTOPSIGNAL $X\n", 2, 2,
		 "invalid signal: \"\": write a name like SIGTERM, or a number"},
		{"FROM a\nSTOPSIGNAL 0\n", 2, 2,
		 "invalid signal: 0: write a name like SIGTERM, or a number"},
		{"FROM a\nCOPY --chmod=999 a b\n", 2, 2,
		 "invalid chmod parameter: '999'. it should be octal string and between 0 and 07777, or symbolic as for chmod(1), like u=rwX,go=rX"},
		{"FROM a\nENV $x=y\n", 2, 2, "ENV names can not be blank: $x is empty here"},
		{"FROM a\nVOLUME $x\n", 2, 2,
		 "VOLUME specified can not be an empty string: $x is empty here"},
		{"FROM a\nARG X=http://example.org/x\nCOPY $X /\n", 3, 3,
		 "source can't be a URL for COPY: ADD takes one"},
	};

	check_rows(rows, RB_ARRAY_LEN(rows));
}

static void test_messages__stages(void)
{
	static const struct row rows[] = {
		{"ARG X\nFROM $X\n", 2, 2,
		 "base name ($X) should not be blank: give its ARG a default before the first FROM, or a value with --build-arg"},
		{"FROM --platform=$X a\n", 1, 1,
		 "empty platform value from expression $X: give its ARG a value before the first FROM"},
		{"FROM --platform=a/b/c/d a\n", 1, 1,
		 "failed to parse platform a/b/c/d: expected os[/arch[/variant]]"},
		{"FROM Debian\n", 1, 1,
		 "failed to parse stage name \"Debian\": invalid reference format: repository name (library/Debian) must be lowercase"},
		{"FROM debian:\n", 1, 1,
		 "failed to parse stage name \"debian:\": invalid reference format: a tag is at most 128 letters, digits, \"_\", \".\", \"-\": \"debian:\""},
		{"FROM debian:${TAG}\n", 1, 1,
		 "debian:${TAG} becomes no name (an ARG before the first FROM, or --build-arg, gives a value): failed to parse stage name \"debian:\": invalid reference format: a tag is at most 128 letters, digits, \"_\", \".\", \"-\": \"debian:\""},
		{"FROM a\nFROM b\nCOPY --from=7 x y\n", 3, 3,
		 "invalid stage index 7: the stages are 0 to 1"},
		{"FROM a\nCOPY --from=0 x y\n", 2, 2,
		 "circular dependency detected on stage: stage-0: it takes from itself"},
		{"FROM a AS one\nCOPY --from=two x y\nFROM b AS two\nFROM one\n", 2, 2,
		 "cannot copy from stage \"two\", it needs to be defined before current stage \"one\""},
		{"FROM a AS one\nCOPY --from=two x y\nFROM one AS two\n", 2, 2,
		 "circular dependency detected on stage: one: it takes from two (line 3), which is made from it"},
		{"FROM a AS one\nCOPY --from=one x y\n", 2, 2,
		 "circular dependency detected on stage: one: it takes from itself"},
		{"FROM a AS one\nRUN --mount=from=two,target=/t x\nFROM b AS two\nFROM one\n", 2, 2,
		 "cannot mount from stage \"two\" to \"/t\", stage needs to be defined before current command"},
		{"FROM a AS build\nFROM Build\n", 2, 2,
		 "FROM takes names of stages in lower case only, so write build: failed to parse stage name \"Build\": invalid reference format: repository name (library/Build) must be lowercase"},
	};

	check_rows(rows, RB_ARRAY_LEN(rows));
}

/* Pulling fails much later; what the error says then is known here. */
static void test_messages__misspelt_stages_are_images(void)
{
	static const char text[] =
		"FROM debian AS build\nFROM scratch\nCOPY --from=biuld /a /b\nCOPY --from=tools /a /b\n";
	struct rb_dockerfile *df = NULL;
	struct rb_plan *plan = NULL;
	struct rb_image_config base = {.platform = {.os = "linux", .arch = "amd64"}};
	struct rb_error *err = NULL;

	CHECK_INT(rb_dockerfile_parse(text, strlen(text), &df, &err), 0);
	CHECK_INT(plan_it(df, &base, &plan, &err), 0);
	CHECK_OK(&err);
	CHECK_INT(plan->n_images, 2);
	CHECK_STR(plan->images[0]->near_stage, "biuld (did you mean build?)");
	CHECK_STR(plan->images[1]->near_stage, "");
	rb_plan_free(plan);
	rb_dockerfile_free(df);
	rb_image_config_clear(&base);
}

int main(void)
{
	return tap_run((const struct tap_test[]){
		TAP(test_messages__files_and_directives),
		TAP(test_messages__instructions),
		TAP(test_messages__flags),
		TAP(test_messages__options),
		TAP(test_messages__expansion),
		TAP(test_messages__values),
		TAP(test_messages__stages),
		TAP(test_messages__misspelt_stages_are_images),
		TAP_END,
	});
}
