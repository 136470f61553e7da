#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# S27 and its neighbours: the supervisor is not led out of the step's root, nobody becomes who he is not, and a step that is
# killed in the middle leaves nothing behind.
# users: range single
# needs: userns overlay
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/hostile.sh
. "$RB_TEST_SRC/tests/hostile.sh"

BUSYBOX=$(base_image busybox) PROGRAM=$RB_TEST_BUILD/tests/helpers/attack craft <<-'EOT' || bail_out 'no base'
	layer = Layer(os.environ["BUSYBOX"])
	with open(os.environ["PROGRAM"], "rb") as program:
	    layer.file("attack", program.read(), mode=0o755)
	layer.write("base.tar")
EOT
works 'import' rb import "$T/base.tar" base

context "$T/attack" <<<$'FROM base\nRUN ["/attack", "'"$CANARY"$'"]'
works 'the attacks run' rb --progress=plain --no-cache -o "type=oci,dest=$T/out.oci" "$T/attack"
# (What the races before have left in the root decides which component of the canary's path is missing there.)
is "$(sed -nE 's/^#[0-9]+ [0-9]+\.[0-9]{3} //p' <<<"$err" | sed 's/from there: ENOTDIR$/from there: ENOENT/')" "$(
	cat <<-'EOT'
		links and names that lead out: nothing
		a directory that becomes a link: nothing
		a path rewritten by a thread: nothing
		processes that are not the step's: nothing
		the parent's root: nothing
		process numbers used again: nothing
		jail: absolute: ok
		jail: by a link: ok
		jail: by a link upwards: ok
		jail: above: ok
		jail: in a passed directory: ok
		jail: chown there: ok
		jail: the canary from there: ENOENT
		jail: cannot see outside: ENOENT
		absolute: there
		by a link: there
		by a link upwards: there
		above: there
		passed: d 0700 7:8
		a user who wants to be root: nothing
		a forged resource limit: nothing
		filter: allowing everything: ok
		filter: a listener of its own: refused
		filter: refusing mkdir: ok
		filter: is obeyed: EXDEV
		a filter of its own: nothing
		a traced process: nothing
		kill of everybody: ESRCH
		kill of the parent's group: ok
		and owners still work: ok
		they are: f 0644 11:12 6
		done
	EOT
)" 'they get nothing'
canary_safe 'attacks'
not_disclosed 'attacks' "$T/out.oci" "$RB_ROOT/logs"

# What a step that is killed leaves: no process, and a store in which the next build works.
marker=74$RANDOM
context "$T/busy" <<-EOT
	FROM base
	RUN mkdir /w && cd /w && (setsid sleep $marker &) ; while :; do for i in 1 2 3 4 5 6 7 8 9; do echo x >\$i; chown \$i:\$i \$i; mv \$i a\$i; done; rm -f *; done
EOT
ended() { [ "$(processes "sleep $marker")" = 0 ] && [ "$(processes "$RBUILD --root $RB_ROOT --progress=plain")" = 0 ]; }
started() { [ "$(processes "sleep $marker")" = 1 ]; }
for signal in KILL TERM; do
	"$RBUILD" --root "$RB_ROOT" --progress=plain --no-cache "$T/busy" >"$T/log" 2>&1 &
	pid=$!
	wait_for 20 started || bail_out "the step does not start: $(cat "$T/log")"
	sleep 0.2
	kill -$signal $pid
	wait $pid 2>/dev/null
	if wait_for 10 ended; then ok "SIG$signal in the middle leaves no process"; else
		not_ok "SIG$signal in the middle leaves no process" "$(processes "$RBUILD") of rbuild"
	fi
	context "$T/next" <<<$'FROM base\nRUN echo x >/x && chown 3:4 /x && chown 5:6 /etc/passwd'
	works "and a store in which the next build works" rb --no-cache -o "type=oci,dest=$T/next.oci" "$T/next"
	is "$(oci "$T/next.oci" list -1 | grep -E '^(x|etc/passwd) ' | cut -d' ' -f1-4)" $'etc/passwd f 0644 5:6\nx f 0644 3:4' 'with the right owners'
done
canary_safe 'killed steps'
done_testing
