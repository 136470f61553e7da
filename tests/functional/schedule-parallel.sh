#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What runs at the same time, what runs once, and what is ended when something fails.
# needs: userns overlay
# users: range single
. "$(dirname "$0")/../lib.sh"

base_image busybox >/dev/null
import_base busybox

now_ms() { echo $(($(date +%s%N) / 1000000)); }

# --- independent stages

# Each stage says when it began and ended; date of busybox has no nanoseconds, /proc/uptime has
# hundredths.
context "$T/two" <<'EOT'
FROM busybox AS a
RUN cut -d' ' -f1 /proc/uptime >/times; sleep 1; cut -d' ' -f1 /proc/uptime >>/times
FROM busybox AS b
RUN cut -d' ' -f1  /proc/uptime >/times; sleep 1; cut -d' ' -f1 /proc/uptime >>/times
FROM scratch
COPY --from=a /times /a
COPY --from=b /times /b
EOT

# overlap DIR: whether the times of a and b do
overlap() {
	awk '{ t[FILENAME, FNR] = $1 } END { exit !(t[ARGV[1], 1] < t[ARGV[2], 2] && t[ARGV[2], 1] < t[ARGV[1], 2]) }' \
		"$1/a" "$1/b"
}

works "two stages with --jobs 2" rb --jobs 2 -o "type=local,dest=$T/par" "$T/two"
if overlap "$T/par"; then ok "run at the same time"; else not_ok "run at the same time" "$(cat "$T"/par/?)"; fi
works "two stages with --jobs 1" rb --jobs 1 --no-cache -o "type=local,dest=$T/seq" "$T/two"
if ! overlap "$T/seq"; then ok "run one after the other"; else not_ok "run one after the other" "$(cat "$T"/seq/?)"; fi

context "$T/default" <<'EOT'
FROM busybox AS a
RUN cut -d' ' -f1 /proc/uptime >/times; sleep 1.1; cut -d' ' -f1 /proc/uptime >>/times
FROM busybox AS b
RUN cut -d' ' -f1  /proc/uptime >/times; sleep 1.1; cut -d' ' -f1 /proc/uptime >>/times
FROM scratch
COPY --from=a /times /a
COPY --from=b /times /b
EOT
works "two stages without --jobs" rb -o "type=local,dest=$T/def" "$T/default"
if [ "$(nproc)" -gt 1 ]; then
	if overlap "$T/def"; then ok "run at the same time, too"; else not_ok "run at the same time, too" "$(cat "$T"/def/?)"; fi
fi
fails_with 2 '^rbuild: .*--jobs' rb --jobs 0 "$T/two"

# --- a failure

marker=82$RANDOM
context "$T/failing" <<EOT
FROM busybox AS slow
RUN sleep $marker
FROM busybox AS bad
RUN sleep 0.3; echo reason; exit 3
FROM busybox
COPY --from=slow /etc/passwd /a
COPY --from=bad /etc/passwd /b
EOT
started=$(now_ms)
fails_with 1 '^rbuild: Dockerfile:4: process "/bin/sh -c sleep 0.3; echo reason; exit 3" did not complete successfully: exit code: 3' \
	rb --jobs 2 --progress=plain "$T/failing"
took=$(($(now_ms) - started))
if [ $took -lt 10000 ]; then ok "a failure ends the build at once"; else not_ok "a failure ends the build at once" "$took ms"; fi
states=$(step_states <<<"$err")
like "$states" '^ERROR \[bad 2/2\]' "the step that failed is shown so"
like "$states" "^CANCELED \[slow 2/2\] RUN sleep $marker" "the other one is canceled"
is "$(grep -c '^rbuild: ' <<<"$err")" 1 "there is one error line"
like "$(tail -n 1 <<<"$err")" '^rbuild: Dockerfile:4: ' "it is the last line and names the step that failed first"
is "$(processes "sleep $marker")" 0 "nothing of the other step is left running"

# --- the same step twice in one build

context "$T/same" <<'EOT'
FROM busybox AS a
RUN echo once; sleep 0.3; head -c 8 /dev/urandom | od -An -tx1 >/random
FROM busybox AS b
RUN echo once; sleep 0.3; head -c 8 /dev/urandom | od -An -tx1 >/random
FROM scratch
COPY --from=a /random /a
COPY --from=b /random /b
EOT
works "the same step in two stages" rb --jobs 2 --progress=plain -o "type=local,dest=$T/once" "$T/same"
is "$(grep -Ec '^#[0-9]+ [0-9.]+ once$' <<<"$err")" 1 "runs once"
works "and both have its result" cmp "$T/once/a" "$T/once/b"
works "with --no-cache" rb --jobs 2 --progress=plain --no-cache -o "type=local,dest=$T/once" "$T/same"
is "$(grep -Ec '^#[0-9]+ [0-9.]+ once$' <<<"$err")" 1 "it still runs once in one build"

# --- stages that are not needed

context "$T/pruned" <<'EOT'
FROM busybox AS base
RUN echo base
FROM base AS stage1
RUN false
FROM base AS stage2
RUN echo stage2
EOT
works "a stage that the target does not need is not built" rb --progress=plain --target stage2 "$T/pruned"
unlike "$err" 'stage1' "nor mentioned"

# --- builds at the same time on one store

context "$T/shared" <<'EOT'
FROM busybox AS a
RUN echo a >/a; sleep 0.2
FROM busybox
COPY --from=a /a /a
COPY f /f
RUN cat /a /f >/both; sleep 0.2
EOT
echo f >"$T/shared/f"
RB_ROOT=$T/fresh
import_base busybox
pids=()
for i in 1 2 3 4; do
	rb --jobs 2 --progress=plain --iidfile "$T/id$i" -t "shared:$i" "$T/shared" >"$T/log$i" 2>&1 &
	pids+=($!)
done
for i in 1 2 3 4; do
	if wait "${pids[i - 1]}"; then ok "build $i of four on one store"; else not_ok "build $i of four on one store" "$(cat "$T/log$i")"; fi
done
works "and their images are all there" rb images
for i in 1 2 3 4; do
	like "$out" "shared:$i" "image $i"
done
is "$(cat "$T"/id? | tr ' ' '\n' | grep -c sha256)" 1 "written in one line each" || cat "$T"/id?
works "the next build works" rb --progress=plain "$T/shared"
is "$(step_states <<<"$err" | grep -c '^DONE .*RUN')" 0 "and is cached"

done_testing
