#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The shapes of progress: dockerfile.md 8.4 and 8.5.
# needs: userns overlay
# users: range single
. "$(dirname "$0")/../lib.sh"

base_image busybox >/dev/null
import_base busybox

# 8.4, every line of plain progress is one of these
shape='^$|^#[0-9]+ (\[[^]]+\] .*|exporting .*|[0-9]+\.[0-9]{3} .*|[0-9]+\.[0-9]{3} ?|DONE [0-9]+\.[0-9]s|CACHED|CANCELED|ERROR: .*|WARN: .*|\.\.\.|transferring .*|extracting .*|writing .*|naming to .*|exporting .*)$'

context "$T/c" <<'EOT'
FROM busybox AS build
ARG WHO=world
RUN echo hello $WHO; printf 'no end'; printf 'to err\n' >&2
COPY f /f
FROM build
RUN printf '\033[31mred\033[0m\tand tab\r\n'; seq 1 5
COPY --from=build /f /g
WORKDIR /w
LABEL a=b
EOT
echo f >"$T/c/f"
works "a build with plain progress" rb --progress=plain -t shapes "$T/c"
is "$out" "" "nothing goes to the standard output"
is "$(grep -Ev "$shape" <<<"$err")" "" "every line has a shape of 8.4"
is "$(sed -n '1,3p' <<<"$err" | sed 's/[0-9.]*s$/Ns/; s/[0-9]*B$/NB/')" \
	$'#1 [internal] load build definition from Dockerfile\n#1 transferring dockerfile: NB\n#1 DONE Ns' \
	"the first step is that of the Dockerfile"
is "$(sed -nE 's/^#([0-9]+) (\[|exporting to image).*/\1/p' <<<"$err" | sort -un | tr '\n' ' ')" \
	"$(seq -s ' ' "$(sed -nE 's/^#([0-9]+) .*/\1/p' <<<"$err" | sort -un | tail -n 1)") " \
	"numbers are given without gaps"
is "$(step_states <<<"$err")" "$(
	cat <<-'EOF'
		DONE [internal] load build definition from Dockerfile
		DONE [build 1/3] FROM docker.io/library/busybox:latest
		DONE [build 2/3] RUN echo hello world; printf 'no end'; printf 'to err\n' >&2
		DONE [internal] load build context
		DONE [build 3/3] COPY f /f
		DONE [stage-1 1/3] RUN printf '\033[31mred\033[0m\tand tab\r\n'; seq 1 5
		DONE [stage-1 2/3] COPY --from=build /f /g
		DONE [stage-1 3/3] WORKDIR /w
		DONE exporting to image
	EOF
)" "each step has its name and an end"
like "$err" '^#[0-9]+ [0-9]+\.[0-9]{3} hello world$' "a line of output has number and time"
like "$err" '^#[0-9]+ [0-9]+\.[0-9]{3} no end$' "a last line without an end is shown"
like "$err" '^#[0-9]+ [0-9]+\.[0-9]{3} to err$' "so is the standard error"
is "$(grep -Ec '^#[0-9]+ [0-9.]+ [1-5]$' <<<"$err")" 5 "output is complete"
like "$err" $'\033\\[31mred\033\\[0m\tand tab' "plain passes on what a step prints as it is"
like "$err" '^#[0-9]+ writing image sha256:[0-9a-f]{64}$' "the image ID is shown"
like "$err" '^#[0-9]+ naming to docker.io/library/shapes:latest$' "and its name"

works "the second build" rb --progress=plain -t shapes "$T/c"
is "$(step_states <<<"$err" | grep -c '^CACHED \[\(build\|stage-1\) ')" 6 "cached steps are shown as CACHED"
is "$(grep -Ev "$shape" <<<"$err")" "" "in the same shapes"

works "a terminal is what tty needs: plain is the default elsewhere" rb "$T/c"
like "$err" '^#1 \[internal\]' "by its shape"
BUILDKIT_PROGRESS=quiet works "BUILDKIT_PROGRESS names another" env BUILDKIT_PROGRESS=quiet "$RBUILD" --root "$RB_ROOT" "$T/c"
is "$err$out" "" "quiet says nothing"

printf 'FROM busybox\nENV A="\033[31mred\007"\nRUN true $A\n' >"$T/c/controls"
works "a value with escape sequences" rb --progress=plain -f "$T/c/controls" "$T/c"
like "$err" '^#[0-9]+ \[2/2\] RUN true red' "is shown without them in a name"
works "plan of it" rb plan -f "$T/c/controls" "$T/c"
like "$out" '^  cached \[2/2\] RUN true red' "likewise"
unlike "$out$err" $'\033|\007' "none is left"

# --- quiet

works "--quiet" rb -q --iidfile "$T/iid" "$T/c"
is "$err" "" "says nothing on the standard error"
is "$out" "$(cat "$T/iid")" "and the image ID on the standard output"
like "$out" '^sha256:[0-9a-f]{64}$' "which looks like one"
printf 'FROM busybox\nRUN echo why; false\n' >"$T/c/fails"
fails_with 1 '^rbuild: fails:2: process ' rb -q -f "$T/c/fails" "$T/c"
is "$out" "" "a failure prints no ID"

# --- interleaved output

context "$T/two" <<'EOT'
FROM busybox AS a
RUN for i in 1 2 3; do echo a$i; sleep 0.6; done
FROM busybox AS b
RUN for i in 1 2 3; do echo b$i; sleep 0.6; done
FROM busybox
COPY --from=a /etc/passwd /a
COPY --from=b /etc/passwd /b
EOT
works "two steps that speak at the same time" rb --jobs 2 --progress=plain "$T/two"
is "$(grep -Ev "$shape" <<<"$err")" "" "every line has a shape of 8.4"
is "$(sed -nE 's/^#[0-9]+ [0-9.]+ (a[0-9])$/\1/p' <<<"$err" | tr '\n' ' ')" "a1 a2 a3 " "one's lines are in order"
is "$(sed -nE 's/^#[0-9]+ [0-9.]+ (b[0-9])$/\1/p' <<<"$err" | tr '\n' ' ')" "b1 b2 b3 " "and the other's"
# A line of step N stands under a header of N: since the last one no other step has spoken.
is "$(awk '/^#[0-9]+ /{ if ($2 ~ /^\[|^exporting$/ && $0 !~ /exporting layers/) current = $1; else if ($1 != current) print NR": "$0 }' <<<"$err")" \
	"" "each line stands below the header of its step"

# --- failure, 8.5

context "$T/bad" <<'EOT'
FROM busybox
WORKDIR /src
RUN seq 1 30; exit 5
RUN true
EOT
fails_with 1 '^rbuild: Dockerfile:3: process "/bin/sh -c seq 1 30; exit 5" did not complete successfully: exit code: 5' \
	rb --progress=plain "$T/bad"
like "$err" '^#[0-9]+ ERROR: process "/bin/sh -c seq 1 30; exit 5" did not complete' "the step ends with ERROR"
tail_part=$(sed -n '/^------$/,$p' <<<"$err")
is "$(sed -n 2p <<<"$tail_part")" " > [3/4] RUN seq 1 30; exit 5:" "then its name heads the last lines of its output"
like "$tail_part" '^[0-9]+\.[0-9]{3} 30$' "which end with the last one"
is "$(sed -n '/^Dockerfile:3$/,/^rbuild/p' <<<"$err" | sed '/^rbuild/d')" "$(
	cat <<-'EOF'
		Dockerfile:3
		--------------------
		   1 |     FROM busybox
		   2 |     WORKDIR /src
		   3 | >>> RUN seq 1 30; exit 5
		   4 |     RUN true
		--------------------
	EOF
)" "the frame points to the instruction"
like "$(tail -n 1 <<<"$err")" '^rbuild: Dockerfile:3: ' "the error is the last line"

# --- a large output is complete in the log, and unclipped

context "$T/large" <<'EOT'
FROM busybox
RUN seq 1 400000
EOT
works "a step that prints 400000 lines" rb --progress=plain "$T/large"
is "$(grep -Ec '^#[0-9]+ [0-9.]+ [0-9]+$' <<<"$err")" 400000 "all are shown"

# --- tty

context "$T/tty" <<'EOT'
FROM busybox
RUN echo visible; sleep 0.3
EOT
if command -v script >/dev/null; then
	printf '%s\n' "exec \"$RBUILD\" --root \"$RB_ROOT\" \"$T/tty\"" >"$T/tty.sh"
	TERM=xterm script -qec "sh $T/tty.sh" "$T/typescript" >"$T/.out" 2>&1 </dev/null
	is $? 0 "a build on a terminal"
	screen=$(tr -d '\r' <"$T/typescript")
	like "$screen" '\[\+\] Building [0-9.]+s \([0-9]+/[0-9]+\)' "shows the header"
	like "$screen" '\[\+\] Building [0-9.]+s \([0-9]+/[0-9]+\) FINISHED' "says that it is finished"
	like "$screen" ' => .*\[2/2\] RUN echo visible; sleep 0\.3' "shows the step"
	like "$screen" ' => => # .*visible' "shows what the running step says"
	like "$screen" $'\033\\[' "redraws in place"
	unlike "$screen" '^#1 ' "is not plain"
	TERM=dumb script -qec "sh $T/tty.sh" "$T/typescript" >"$T/.out" 2>&1 </dev/null
	like "$(tr -d '\r' <"$T/typescript")" '^#1 \[internal\]' "plain where the terminal is dumb"
	unlike "$(cat "$T/typescript")" $'\033\\[' "which nothing is to move about on"
else
	skip "a build on a terminal" script "script is not installed"
fi
works "tty by name needs no terminal" rb --progress=tty "$T/tty"
like "$err" '\[\+\] Building [0-9.]+s \([0-9]+/[0-9]+\) FINISHED' "and ends with the header"
fails_with 2 '^rbuild: --progress is auto, plain, tty, rawjson or quiet, not "fancy"$' rb --progress=fancy "$T/c"

done_testing
