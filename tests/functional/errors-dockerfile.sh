#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What is wrong in a Dockerfile is said with its line, once, with status 1. The unit tests know every
# message; here are representatives of each kind, as the user sees them.
# users: range single
. "$(dirname "$0")/../lib.sh"

base_image busybox >/dev/null
import_base busybox
mkdir "$T/c"
echo data >"$T/c/f"

# refused LINE MESSAGE [OPTION...] < Dockerfile: exactly this one line of ours, after the frame of the
# instruction; MESSAGE is compared literally. LINE 0: the message has no line and no frame.
refused() {
	local line=$1 message=$2 status want shown
	shift 2
	cat >"$T/c/Dockerfile"
	run_command rb --progress=plain "$@" "$T/c"
	status=$?
	want="rbuild: Dockerfile:$line: $message"
	[ "$line" = 0 ] && want="rbuild: Dockerfile: $message"
	shown=$(grep '^rbuild: ' <<<"$err")
	if [ $status != 1 ] || [ "$shown" != "$want" ]; then
		not_ok "$message" "exit status $status, want 1 and the line" "$want" "$out" "$err"
	elif [ "$line" != 0 ] && ! grep -Eq "^ *$line \| >>> " <<<"$err"; then
		not_ok "$message" "no frame that points to line $line" "$err"
	elif [ -n "$out" ]; then
		not_ok "$message" "something on the standard output" "$out"
	else
		ok "$message"
	fi
}

# --- 1: lexer, directives, forms

refused 0 "the Dockerfile cannot be empty: begin with FROM" </dev/null
refused 0 "file with no instructions: begin with FROM" <<<'# only a comment'
refused 0 "dockerfile contains no stages to build: add a FROM" <<<'ARG a'
refused 1 "no build stage in current context: RUN needs a FROM before it" <<<'RUN x'
refused 2 "dockerfile parse error on line 2: unknown instruction: COPPY (did you mean COPY?)" \
	<<<$'FROM busybox\nCOPPY f /f'
refused 3 "dockerfile parse error on line 3: unknown instruction: xyzzy" <<<$'FROM busybox\n\nxyzzy a'
refused 1 "invalid escape token 'x' does not match \` or \\" \
	<<<$'# escape=x\nFROM busybox'
refused 2 "dockerfile parse error on line 2: unknown flag: --netwrk (did you mean --network?)" \
	<<<$'FROM busybox\nRUN --netwrk=none x'
refused 2 "dockerfile parse error on line 2: missing a value on flag: --from" \
	<<<$'FROM busybox\nCOPY --from a b'
refused 2 "dockerfile parse error on line 2: unterminated heredoc: no line \"EOF\" ends it" \
	<<<$'FROM busybox\nRUN <<EOF\na'
refused 2 "dockerfile parse error on line 2: SHELL requires the arguments to be in JSON form, like [\"/bin/bash\", \"-c\"]" \
	<<<$'FROM busybox\nSHELL /bin/sh -c'
refused 2 "dockerfile parse error on line 2: ENV requires at least one argument" <<<$'FROM busybox\nENV'
refused 1 "dockerfile parse error on line 1: FROM requires either one or three arguments: FROM IMAGE or FROM IMAGE AS NAME" \
	<<<'FROM busybox AS'
refused 1 "dockerfile parse error on line 1: invalid name for build stage: \"1b\", name can't start with a number or contain symbols" \
	<<<'FROM busybox AS 1b'

# --- 2: expansion

refused 2 "failed to process \"\${x\": syntax error: missing '}'" <<<$'FROM busybox\nCOPY ${x /f'
refused 2 "failed to process \"\${B:?unset}\": B: unset" <<<$'FROM busybox\nENV A=${B:?unset}'
refused 2 "base name (\${X}) should not be blank: give its ARG a default before the first FROM, or a value with --build-arg" <<<$'ARG X\nFROM ${X}'

# --- 3: instructions

refused 2 "invalid containerPort: 99999: write a number up to 65535, or a range like 8000-8010" <<<$'FROM busybox\nEXPOSE 99999'
refused 2 "invalid signal: FOO (did you mean FPE?): write a name like SIGTERM, or a number" <<<$'FROM busybox\nSTOPSIGNAL FOO'
refused 2 "invalid chmod parameter: '9'. it should be octal string and between 0 and 07777, or symbolic as for chmod(1), like u=rwX,go=rX" \
	<<<$'FROM busybox\nCOPY --chmod=9 f /f'
refused 2 "dockerfile parse error on line 2: unsupported mount type \"cach\" (did you mean cache?)" \
	<<<$'FROM busybox\nRUN --mount=type=cach,target=/c make'
refused 2 'checksum requires HTTP(S) or Git sources, not "x"' \
	<<<$'FROM busybox\nADD --checksum=sha256:00 x /x'

# --- 4: stages

refused 0 'target stage "tesing" could not be found (did you mean testing?)' --target tesing \
	<<<'FROM busybox AS testing'
refused 0 'target stage "7" could not be found' --target 7 <<<'FROM busybox'
refused 2 "invalid stage index 5: the stages are 0 to 0" <<<$'FROM busybox\nCOPY --from=5 /x /y'
refused 2 "circular dependency detected on stage: one: it takes from itself" <<<$'FROM busybox AS one\nCOPY --from=one /x /y'
refused 1 'failed to parse platform x/y/z/w: expected os[/arch[/variant]]' \
	<<<'FROM --platform=x/y/z/w busybox'

# --- and the way out

# An error behind an instruction of several lines, and one that spans several.
refused 4 "dockerfile parse error on line 4: unknown instruction: xyzzy" <<'EOT'
FROM busybox
RUN one \
    two
xyzzy \
    three
EOT
like "$err" '^ +5 \| >>> ' "the frame marks the last line of the instruction, too"

printf 'FROM busybox\nCOPY f /f\nRUN cat /f\n' >"$T/c/Dockerfile"
works "the next build works" rb "$T/c"

done_testing
