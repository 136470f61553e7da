#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# RUN --mount=type=ssh and --ssh: dockerfile.md 3.2, 8.1 and 10.2; threats.md S24.
# needs: userns overlay ssh-agent ssh-add ssh-keygen
# users: range single
. "$(dirname "$0")/../lib.sh"

base_image busybox >/dev/null
import_base busybox
cd "$T" || exit

# step NAME [OPTION...] < Dockerfile: builds it without cache; $err is the progress, $said what steps
# printed, without the times.
step() {
	local dir=$T/step-$1 status
	shift
	context "$dir"
	run_command rb build --progress=plain --no-cache "$@" "$dir"
	status=$?
	said=$(sed -nE 's/^#[0-9]+ [0-9]+\.[0-9]{3} //p' <<<"$err")
	return $status
}

# after LABEL: what the step printed after this label, up to the next
after() { sed -n "/^== $1\$/,/^== /p" <<<"$said" | sed '/^== /d'; }

# OpenSSH's programs with their libraries, for an image that has none.
mkdir base
for program in ssh-add ssh-keygen; do
	path=$(command -v $program)
	for file in "$path" $(ldd "$path" | grep -o '/[^ ]*'); do
		mkdir -p "base/root$(dirname "$file")" && cp -L "$file" "base/root$file"
	done
done
cat >base/Dockerfile <<'EOT'
FROM busybox
COPY root/ /
RUN ln -sf /usr/bin/ssh-add /usr/bin/ssh-keygen /bin; echo 'app:x:1000:1000::/:/bin/sh' >>/etc/passwd
EOT
works "an image with ssh-add" rb build -t ssh base || bail_out "$err"

for key in agent one two locked; do
	ssh-keygen -q -t ed25519 -N "$([ $key = locked ] && echo passphrase)" -C "key-$key" -f $key
done
# fingerprint KEY...: sorted
fingerprint() { for key; do ssh-keygen -lf "$key.pub" | cut -d ' ' -f 2; done | sort; }
unset SSH_AUTH_SOCK SSH_AGENT_PID
eval "$(ssh-agent)" >agent.out
stop_later "$SSH_AGENT_PID"
ssh-add -q agent || bail_out "no agent to forward to"

# --- the caller's agent

step agent --ssh default <<'EOT' || bail_out "the build failed: $err"
FROM ssh
RUN --mount=type=ssh <<EOF
echo "== socket"; stat -c '%a %u:%g %F' /run/buildkit/ssh_agent.0; echo $SSH_AUTH_SOCK; ls -A /run/buildkit
echo "== keys"; ssh-add -l | cut -d ' ' -f 2
echo "== sign"; echo text >/tmp/text; ssh-add -L >/tmp/key.pub; ssh-keygen -q -Y sign -n file -f /tmp/key.pub /tmp/text 2>/dev/null && ssh-keygen -Y check-novalidate -n file -s /tmp/text.sig </tmp/text | cut -d ' ' -f 1
echo "== add"; ssh-keygen -q -t ed25519 -N '' -f /tmp/new; ssh-add -q /tmp/new 2>/dev/null || echo refused
echo "== remove"; ssh-add -q -D 2>/dev/null || echo refused
echo "== lock"; ssh-add -x </dev/null >/dev/null 2>&1 || echo refused
echo "== after"; ssh-add -l | cut -d ' ' -f 2
echo "== at once"; for i in 1 2 3 4 5 6 7 8 9 10; do ssh-add -l >/tmp/l.$i & done; wait; cat /tmp/l.* | cut -d ' ' -f 2 | sort | uniq -c | sed 's/^ *//'
echo "== mount"; grep ' /run/buildkit/ssh_agent.0 ' /proc/self/mountinfo | cut -d ' ' -f 5,6
EOF
RUN echo "== next"; env | grep -c SSH_; ls -A /run
EOT
is "$(after socket)" $'600 0:0 socket\n/run/buildkit/ssh_agent.0\nssh_agent.0' "a socket of root's, named by SSH_AUTH_SOCK"
is "$(after keys)" "$(fingerprint agent)" "lists the keys of the caller's agent"
is "$(after sign)" Good "and signs with them"
is "$(after add)$(after remove)$(after lock)" refusedrefusedrefused "keys cannot be added, removed or locked"
is "$(after "at once")" "10 $(fingerprint agent)" "several clients at once"
like "$(after mount)" ' ro,nosuid,nodev,noexec' "on a read-only mount of its own"
is "$(ssh-add -l | cut -d ' ' -f 2)" "$(fingerprint agent)" "the agent is as it was"
is "$(after next)" "0" "the next step has nothing of it"

# What reads the messages of a step has no rights and nothing open but the two sockets.
context forwarder <<'EOT'
FROM ssh
RUN --mount=type=ssh echo be''gin; sleep 1.5; ssh-add -l
EOT
rb build --progress=plain --no-cache --ssh default forwarder >forwarder.out 2>&1 &
build=$!
wait_for 10 grep -q begin forwarder.out
for pid in $(pgrep -u "$(id -u)" -x rbuild); do
	# The supervisor of single has capabilities, the process outside of the namespace may gain some.
	{ grep -q "$T" "/proc/$pid/cmdline" && grep -q '^CapPrm:.0*$' "/proc/$pid/status" &&
		grep -q '^NoNewPrivs:.1' "/proc/$pid/status"; } 2>/dev/null || continue
	grep -E '^Cap(Eff|Amb)' "/proc/$pid/status"
	find "/proc/$pid/fd" -type l -printf '%f\n' | sort -n | tr '\n' ' '
done | tr -s '\t\n' ' ' >forwarder.is
wait $build
is "$(cat forwarder.is)" "CapEff: 0000000000000000 CapAmb: 0000000000000000 0 1 2 3 4 " \
	"the forwarder has no capability and two descriptors of its own"
is "$(sed -nE 's/.* (SHA256:[^ ]*) .*/\1/p' forwarder.out)" "$(fingerprint agent)" "and does its work"

# --- places, users, several agents

step options --ssh default --ssh deploy=one,two --ssh "third=$T/two" <<'EOT' || bail_out "the build failed: $err"
FROM ssh
RUN --mount=type=ssh,id=deploy echo "== keys"; ssh-add -l | cut -d ' ' -f 2 | sort
RUN --mount=type=ssh,id=third --mount=type=ssh,target=/a/sock,mode=0660,gid=5 echo "== two"; echo $SSH_AUTH_SOCK; ssh-add -l | cut -d ' ' -f 2; SSH_AUTH_SOCK=/a/sock ssh-add -l | cut -d ' ' -f 2; stat -c '%a %u:%g %F' /a/sock; ls /run/buildkit
RUN --mount=type=ssh,target=/b/sock --mount=type=ssh,id=third,target=/a/sock echo "== first as written"; echo $SSH_AUTH_SOCK
ENV SSH_AUTH_SOCK=/elsewhere
RUN --mount=type=ssh echo "== env"; echo $SSH_AUTH_SOCK
ENV SSH_AUTH_SOCK=/run/buildkit/ssh_agent.0
USER app
RUN --mount=type=ssh,uid=1000 echo "== user"; id -u; stat -c %u:%g $SSH_AUTH_SOCK; ssh-add -l | cut -d ' ' -f 2
RUN --mount=type=ssh,mode=0666 echo "== mode"; ssh-add -l | cut -d ' ' -f 2
RUN --mount=type=ssh echo "== another's"; ssh-add -l >/dev/null 2>&1 || echo refused
EOT
is "$(after keys)" "$(fingerprint one two)" "keys of files"
is "$(after two)" "$(printf '%s\n' /run/buildkit/ssh_agent.0 "$(fingerprint two)" "$(fingerprint agent)" '660 0:5 socket' ssh_agent.0)" "two agents, target, mode and owner"
is "$(after "first as written")" /b/sock "SSH_AUTH_SOCK is the first one"
is "$(after env)" /elsewhere "unless it is set"
is "$(after user)" "$(printf '%s\n' 1000 1000:0 "$(fingerprint agent)")" "a user with uid= can connect"
is "$(after mode)" "$(fingerprint agent)" "and so can all with mode=0666"
# Plain opens are not enforced for emulated users: doc/modes.md.
is "$(after "another's")" "$([ "$RB_TEST_RUNG" = single ] || echo refused)" "others cannot"

# --- optional and required, cache

context optional <<'EOT'
FROM ssh
RUN --mount=type=ssh echo "sock: ${SSH_AUTH_SOCK-unset} $(ls -A /run)"
EOT
works "without --ssh" rb build --progress=plain optional
like "$err" '^#[0-9]+ [0-9.]+ sock: unset $' "there is no socket and no variable"
works "with --ssh" rb build --progress=plain --ssh default optional
is "$(step_states <<<"$err" | grep -c '^CACHED .*RUN ')" 1 "it hits: agents are in no key"
context required <<'EOT'
FROM ssh
RUN --mount=type=ssh,id=deploy,required true
EOT
fails_with 1 '^rbuild: Dockerfile:2: the step requires the ssh agent deploy, which was not given; give it with --ssh deploy' rb build --ssh default required
works "required and given" rb build --ssh deploy=one required

# --- errors

fails_with 1 '^rbuild: --ssh: missing does not exist: neither the socket of an agent nor a key' rb build --ssh x=missing optional
fails_with 2 '^rbuild: --ssh: only one agent socket can have an id' rb build --ssh "x=$SSH_AUTH_SOCK,$SSH_AUTH_SOCK" optional
fails_with 2 '^rbuild: --ssh: SSH_AUTH_SOCK is not set' env -u SSH_AUTH_SOCK "$RBUILD" --root "$RB_ROOT" build --ssh default optional
fails_with 1 '^rbuild: Dockerfile:2: ssh-add does not take the key locked of --ssh deploy.* one with a passphrase has to be in an agent of yours \(ssh-add locked\)' \
	rb build --no-cache --ssh deploy=locked required </dev/null
echo nonsense >nonsense
fails_with 1 '^rbuild: Dockerfile:2: ssh-add does not take the key nonsense' rb build --no-cache --ssh deploy=nonsense required

# --- an agent that dies, and what is left over

context gone <<'EOT'
FROM ssh
RUN --mount=type=ssh ssh-add -l; echo "status $?"
EOT
eval "$(ssh-agent)" >agent2.out
second=$SSH_AUTH_SOCK
kill "$SSH_AGENT_PID"
wait_for 5 test ! -S "$second"
python3 -c 'import socket; s = socket.socket(socket.AF_UNIX); s.bind("dead")'
works "a socket that nobody serves" rb build --progress=plain --no-cache --ssh default=dead gone
like "$err" '^#[0-9]+ [0-9.]+ error fetching identities: agent refused operation$' "refuses everything"
context restarted <<'EOT'
FROM ssh
RUN --mount=type=ssh,id=deploy ssh-add -l; echo rea''dy; sleep 2
RUN --mount=type=ssh,id=deploy ssh-add -l
EOT
rb build --progress=plain --no-cache --ssh deploy=one restarted >restarted.out 2>&1 &
build=$!
wait_for 10 grep -q ready restarted.out
works "the agent of a build is killed" pkill -KILL -u "$(id -u)" -fx "ssh-agent -D -a agent"
wait $build
is "$? $(sed -nE 's/.* (SHA256:[^ ]*) .*/\1/p' restarted.out | tr '\n' ' ')" "0 $(fingerprint one) $(fingerprint one) " "and the next step has another one"
agents() { [ "$(processes "ssh-agent -D -a agent")" = "$1" ]; }
if wait_for 10 agents 0; then ok "no agent of a build is left running"; else not_ok "no agent of a build is left running"; fi
is "$(grep -rlaF -e "$(sed -n 3p one)" -e "$(sed -n 3p two)" "$RB_ROOT")" "" "no key is in the store"
done_testing
