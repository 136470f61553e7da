#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A step never gets the terminal that rbuild runs on, also not by an open that the supervisor makes
# for it: one with O_CREAT, as <> and >> of the shell are.
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

done_testing
