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

done_testing
