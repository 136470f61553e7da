#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# rbuild reset removes a store, but none that another rbuild is at work in.
# needs: userns overlay
# users: range single
. "$(dirname "$0")/../lib.sh"

base_image busybox >/dev/null
import_base busybox

fails_with 2 '^rbuild: this removes all images, layers and cached steps in .*; say rbuild reset --force$' rb reset

# --- while a build runs

context "$T/slow" <<'EOT'
FROM busybox
RUN echo started; while [ ! -e /dev/shm/never ]; do sleep 0.1; done
EOT
"$RBUILD" --root "$RB_ROOT" --progress=plain "$T/slow" >"$T/slow.log" 2>&1 &
build=$!
wait_for 20 grep -q ' started$' "$T/slow.log" || bail_out "the build does not start: $(cat "$T/slow.log")"
fails_with 1 "^rbuild: another rbuild \\(pid $build\\) is at work in the store $RB_ROOT: wait for its end, or end it\$" \
	rb reset --force
like "$(rb images)" '^busybox:latest ' "nothing is removed"
if kill -0 $build; then ok "the build goes on"; else not_ok "the build goes on" "$(cat "$T/slow.log")"; fi
kill -TERM $build
wait $build

"$RBUILD" --root "$RB_ROOT" run busybox sh -c 'echo started; while :; do sleep 0.1; done' >"$T/run.log" 2>&1 &
run=$!
wait_for 20 grep -q started "$T/run.log" || bail_out "run does not start: $(cat "$T/run.log")"
fails_with 1 "^rbuild: another rbuild \\(pid $run\\) is at work" rb reset --force
kill -KILL $run
wait $run 2>/dev/null

# --- afterwards: a killed one leaves no lock

works "then it is removed" wait_for 10 rb reset --force
is "$(ls -A "$RB_ROOT")" "" "the store is empty"
import_base busybox
context "$T/c" <<'EOT'
FROM busybox
RUN true
EOT
works "and can be used again" rb "$T/c"

# --- at the same time: whoever comes later waits and finds an empty store

python3 - "$RB_ROOT" >"$T/lock.log" <<'EOT' &
import fcntl, os, sys, time
fd = os.open(sys.argv[1], os.O_RDONLY)
fcntl.flock(fd, fcntl.LOCK_EX)
print("locked", flush=True)
time.sleep(1)
EOT
lock=$!
wait_for 10 grep -q locked "$T/lock.log"
works "a build during a reset waits for its end" rb "$T/c"
like "$err" '^rbuild: (warning: )?waiting until the rbuild reset of the store .* is over$' "and says so"
wait $lock

done_testing
