#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# rbuild run: signals reach the command, and an image can be named by its ID.
# needs: userns overlay
# users: range single
. "$(dirname "$0")/../lib.sh"

base_image busybox >/dev/null
import_base busybox

# --- signals

# run_traps TRAP: a command that catches signals, in the background; sets $run, its output is in $T/run.log.
run_traps() {
	: >"$T/run.log"
	env --default-signal=INT,HUP,TERM "$RBUILD" --root "$RB_ROOT" run busybox sh -c \
		"$1; echo started; while :; do sleep 0.1; done" >"$T/run.log" 2>&1 &
	run=$!
	wait_for 20 grep -q started "$T/run.log" || bail_out "run does not start: $(cat "$T/run.log")"
}
ended() { ! kill -0 "$1"; }
# ends STATUS NAME
ends() {
	wait_for 10 ended $run || kill -KILL $run
	wait $run
	is $? "$1" "$2"
}

for signal in INT TERM HUP; do
	run_traps "trap 'echo got $signal; exit 23' $signal"
	kill -$signal $run
	ends 23 "SIG$signal: the command that catches it says how it ends"
	is "$(grep -c "^got $signal\$" "$T/run.log")" 1 "it got it once"
done

run_traps "trap 'echo again' HUP; trap 'exit 5' TERM"
kill -HUP $run
wait_for 10 grep -q again "$T/run.log"
kill -HUP $run
ok_again() { [ "$(grep -c again "$T/run.log")" = 2 ]; }
if wait_for 10 ok_again; then ok "a caught SIGHUP ends nothing"; else not_ok "a caught SIGHUP ends nothing"; fi
kill -TERM $run
ends 5 "the SIGTERM after it does"

run_traps "trap '' TERM"
kill -TERM $run
sleep 0.5
if ended $run 2>/dev/null; then not_ok "an ignored SIGTERM is ignored"; else ok "an ignored SIGTERM is ignored"; fi
kill -INT $run
ends 130 "a signal that it does nothing about ends it although it is pid 1"

run_traps "trap 'echo still here' INT"
kill -INT $run
wait_for 10 grep -q 'still here' "$T/run.log"
kill -INT $run
ends 130 "a second SIGINT ends all"

# From a terminal, which signals a whole process group
terminal=$(python3 - "$RBUILD" --root "$RB_ROOT" run busybox sh -c \
	'trap "echo got it" INT; echo started; while :; do sleep 0.1; done' <<-'EOT'
	import os, pty, sys, time
	pid, fd = pty.fork()
	if pid == 0:
	    os.execv(sys.argv[1], sys.argv[1:])
	text = b""
	def until(words, seconds):
	    global text
	    end = time.time() + seconds
	    os.set_blocking(fd, False)
	    while words not in text and time.time() < end:
	        try:
	            text += os.read(fd, 4096)
	        except BlockingIOError:
	            time.sleep(0.05)
	until(b"started", 20)
	os.write(fd, b"\x03")
	until(b"got it", 10)
	until(b"never", 1)
	print(text.count(b"got it"))
	os.write(fd, b"\x03")
	print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
EOT
)
is "$terminal" $'1\n130' "Ctrl-C is one SIGINT, a second one ends all"

# --- IDs

context "$T/c" <<'EOT'
FROM busybox
RUN echo by its ID >/file
CMD ["cat", "/file"]
EOT
works "an image" rb -q -t named --iidfile "$T/iid" "$T/c"
id=$(cat "$T/iid") hex=${id#sha256:}
for name in "$id" "$hex" "sha256:${hex:0:12}" "${hex:0:12}" "${hex:0:5}"; do
	works "run ${name:0:20}" rb run "$name" && is "$out" "by its ID" "is the image"
done
works "the arguments follow an ID, too" rb run "${hex:0:12}" echo other
is "$out" other "and replace CMD"
context "$T/other" <<'EOT'
FROM busybox
CMD ["echo", "by its name"]
EOT
works "an image whose name is the beginning of an ID" rb -q -t "${hex:0:12}" "$T/other"
works "run of that" rb run "${hex:0:12}"
is "$out" "by its name" "a name goes first"
works "with the algorithm before it" rb run "sha256:${hex:0:12}"
is "$out" "by its ID" "it is an ID"
fails_with 1 '^rbuild: no image with ID sha256:0123456789ab in the store ' rb run sha256:0123456789ab
fails_with 1 '^rbuild: "sha256:xyz" is not an image ID' rb run sha256:xyz

done_testing
