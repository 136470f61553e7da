#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What rbuild is started in and the supervisor has to do with: a step never gets the terminal that
# rbuild runs on, also not by an open that the supervisor makes for it (one with O_CREAT, as <> and
# >> of the shell are); and a limit that leaves no room for a step's users is told.
# users: range single
# needs: userns overlay
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
import_base busybox

context "$T/context" <<'END'
FROM busybox
RUN for how in '</dev/tty' '<>/dev/tty' '>>/dev/tty'; do \
	if (eval ": 3$how") 2>/dev/null; then echo "got $how"; else echo "none by $how"; fi; done
END
cat >"$T/spawn.py" <<'END'
import os, pty, sys

sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))
END
works 'a build on a terminal' python3 "$T/spawn.py" "$RBUILD" --root "$RB_ROOT" build --no-cache \
	--progress plain "$T/context" </dev/null
like "$out" 'none by <>/dev/tty' 'the step asks for the terminal'
unlike "$out" 'got [<>]+/dev' 'and gets none'

if [ "$RB_TEST_USER" = single ]; then
	fails_with 1 'ulimit -H -x.*is below 1024; raise it' prlimit --locks=10:10 "$RBUILD" --root "$RB_ROOT" \
		build --no-cache "$T/context"
fi

# A container that hides a part of /proc lets nobody mount a fresh one, through which callers are looked at.
map=--map-auto
[ "$RB_TEST_USER" = single ] && map=--map-root-user
masked() {
	unshare --map-root-user $map -m sh -c 'mount -t tmpfs tmpfs /proc/fs && exec "$@"' - "$RBUILD" --root "$T/masked" "$@"
}
works 'import with a masked /proc' masked import "$(base_image busybox)" busybox
printf 'FROM busybox\nRUN chown 5:6 /etc/passwd; mkdir -m 700 /d; chown 7:8 /d\nCOPY --from=busybox /bin/true /t\n' | context "$T/owners"
if [ "$RB_TEST_USER" = range ]; then
	works 'owners with a masked /proc' masked --progress=plain -o "type=oci,dest=$T/masked.oci" "$T/owners"
	is "$(oci "$T/masked.oci" list 1 | cut -d ' ' -f 1-4 | grep -v ^etc$)" $'d d 0700 7:8\netc d 0755 0:0\netc/passwd f 0644 5:6' 'are those of the kernel'
else
	fails_with 1 'Dockerfile:2: cannot mount a procfs for the supervisor of the step \(a container that masks /proc forbids it' masked "$T/owners"
	works 'doctor' masked doctor
	like "$out" 'no +procfs +.*: the supervisor of a step needs one, so no RUN works' 'says so'
fi

done_testing
