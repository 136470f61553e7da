#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Shells: where a RUN failed (--on-fail=shell), in a stage and in an image, on a terminal that is not
# the caller's.
# users: range single
# needs: userns overlay
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
import_base busybox

# typed COMMAND... < LINES: what the terminal showed goes to $out
typed() { run_command python3 "$RB_TEST_SRC/tests/helpers/typed.py" "$@"; }

context "$T/c" <<'END'
FROM busybox AS base
RUN mkdir -p /etc /home/app && printf 'root:x:0:0::/root:/bin/sh\napp:x:77:77::/home/app:/bin/sh\n' >/etc/passwd && chown 77:77 /home/app && mkdir -p -m 700 /root && chmod 1777 /tmp
FROM base AS work
ENV GREETING=hello
USER app
WORKDIR /home/app/w
ARG NAME=value
RUN --mount=type=cache,target=/cache,uid=77 --mount=type=tmpfs,target=/scratch --mount=type=secret,id=s,uid=77 \
	grep -E 'Cap(Eff|Bnd|Inh|Amb)|Seccomp:|NoNewPrivs' /proc/self/status >/tmp/confinement; echo partial >half; false
END
echo planted-secret >"$T/secret"
typed "$RBUILD" --root "$RB_ROOT" build --progress plain --on-fail=shell --secret "id=s,src=$T/secret" "$T/c" <<'END'
pwd; cat half; echo "$GREETING $NAME $HOME"; id -un
grep -E 'Cap(Eff|Bnd|Inh|Amb)|Seccomp:|NoNewPrivs' /proc/self/status | cmp - /tmp/confinement && echo same confinement
grep -c ' /cache \| /scratch \| /run/secrets/s ' /proc/mounts; cat /run/secrets/s; echo kept >/cache/kept
test -t 0 && test -t 1 && echo terminal; echo through >/dev/tty; ls /proc/self/fd | tr '\n' ' '
kill -0 1 && ps | wc -l; hostname; touch /root/x 2>&1
exit 5
END
like "$out" '^rbuild: Dockerfile:8: .*did not complete successfully: exit code: 1' 'the failure is told first'
like "$out" '^/home/app/w$' 'the working directory is the step'\''s'
like "$out" '^partial$' 'the root is as the step left it'
like "$out" '^hello value /home/app$' 'with its environment'
like "$out" '^app$' 'its user'
like "$out" '^same confinement$' 'its confinement (S24)'
like "$out" '^3$' 'its mounts'
like "$out" '^planted-secret$' 'its secrets'
like "$out" '^terminal$' 'on a terminal'
# The supervisor of single has no terminal to open it for the step with (doc/modes.md).
[ "$RB_TEST_USER" = single ] || like "$out" '^through$' 'which /dev/tty is as well'
like "$out" '^touch: /root/x: Permission denied' 'and no more rights'
like "$out" '^\[status 1\]$' 'the build has failed all the same'
grep -rqsF planted-secret "$RB_ROOT" && bad='is in the store' || bad=''
is "$bad" '' 'the secret does not stay'
fails_with 1 'did not complete successfully' rb build --on-fail=shell --secret "id=s,src=$T/secret" "$T/c"
like "$err" '--on-fail=shell needs a terminal' 'without a terminal it is told that there is no shell'
fails_with 2 '--on-fail is shell, not "retry"' rb build --on-fail=retry "$T/c"
typed "$RBUILD" --root "$RB_ROOT" build --progress plain --on-fail=shell --target base "$T/c" </dev/null
like "$out" '^\[status 0\]$' 'no shell without a failure'

# The device of the caller's terminal is not that of the shell
cat >"$T/own.sh" <<'END'
stat -c %r /dev/tty >/dev/null; stat -L -c 'caller %d:%i' /proc/self/fd/0
exec "$@"
END
typed sh "$T/own.sh" "$RBUILD" --root "$RB_ROOT" shell busybox <<'END'
stat -L -c 'shell %d:%i' /proc/self/fd/0; echo shell made this >/made; exit 7
END
caller=$(sed -n 's/^caller //p' <<<"$out") shell=$(sed -n 's/^shell \([0-9]\)/\1/p' <<<"$out")
isnt "${caller:-none}" "$shell" 'the shell has a terminal of its own'
like "$out" '^\[status 7\]$' 'rbuild shell ends with the shell'\''s status'
typed "$RBUILD" --root "$RB_ROOT" shell busybox <<'END'
ls /made; exit 0
END
like "$out" 'ls: /made: No such file' 'what it changed is thrown away'
typed "$RBUILD" --root "$RB_ROOT" shell --build-arg NAME=other work "$T/c" </dev/null
like "$out" '^rbuild: Dockerfile:8: ' 'a stage that cannot be built is its error'
typed "$RBUILD" --root "$RB_ROOT" shell base "$T/c" <<'END'
grep app /etc/passwd; id -u; exit 0
END
like "$out" '^app:x:77:' 'a shell in a stage'
cd "$T/c" || exit 1
typed "$RBUILD" --root "$RB_ROOT" shell BASE <<'END'
grep -c app /etc/passwd; exit 0
END
like "$out" '^1$' 'a stage of the Dockerfile that lies here'
cd "$T" || exit 1
typed "$RBUILD" --root "$RB_ROOT" shell busybox <<'END'
head -n 8000 | tee /tmp/all; tail -n 1 /tmp/all | tr -s ' '; wc -l </tmp/all<paste 8000>
exit 0
END
is "$(grep -cE '^(line 7999|8000)$' <<<"$out") $(tail -n 1 <<<"$out")" '2 [status 0]' 'half a megabyte is pasted while the step says as much'
fails_with 2 'a shell needs a terminal' rb shell busybox
typed "$RBUILD" --root "$RB_ROOT" shell busybox <<'END'
sleep 4242 & echo started
<hangup>
END
like "$out" '^started$' 'a shell'
unlike "$out" '\[idle\]' 'ends when the terminal goes'
sleep 0.2
is "$(pgrep -u "$(id -u)" -f 'sleep 4242')" '' 'with all that it started'

# S15: devices of the image are not what they seem
echo canary >"$T/canary" && chmod 666 "$T/canary"
context "$T/evil" <<END
FROM busybox
RUN mkdir -p /dev/pts; ln -sf $T/canary /console; rm -rf /dev/console /dev/tty /dev/ptmx; ln -s $T/canary /tty; true
COPY evil /dev/
RUN echo failing; false
END
mkdir -p "$T/evil/evil/pts"
for name in console tty ptmx pts/0 pts/ptmx; do ln -s "$T/canary" "$T/evil/evil/$name"; done
typed "$RBUILD" --root "$RB_ROOT" build --progress plain --on-fail=shell "$T/evil" <<'END'
echo overwritten >/dev/console; echo overwritten >/dev/pts/0; echo to the terminal >/dev/tty
exit 0
END
[ "$RB_TEST_USER" = single ] || like "$out" '^to the terminal$' 'links for devices in the image: the terminal is the shell'\''s own'
is "$(cat "$T/canary")" canary 'and nothing outside is touched'
done_testing
