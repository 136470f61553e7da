#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# RUN --mount=type=secret and --secret: dockerfile.md 3.2, 8.1 and 10.2.
# needs: userns overlay
# users: range single
. "$(dirname "$0")/../lib.sh"

base_image busybox >/dev/null
import_base busybox
cd "$T" || exit

# step NAME [OPTION...] < Dockerfile: builds it without cache; $err is the progress, $said what steps
# printed, without the times.
step() {
	local name=$1 status
	shift
	context "$T/$name"
	run_command rb build --progress=plain --no-cache "$@" "$T/$name"
	status=$?
	said=$(sed -nE 's/^#[0-9]+ [0-9]+\.[0-9]{3} //p' <<<"$err")
	return $status
}

# after LABEL: what the step printed after this label, up to the next
after() { sed -n "/^== $1\$/,/^== /p" <<<"$said" | sed '/^== /d'; }

# A value is told by its checksum: as such it is hidden.
sum() { printf %s "$1" | sha1sum | cut -d ' ' -f 1; }

in_file=file-$RANDOM$RANDOM in_env=env-$RANDOM$RANDOM
printf %s "$in_file" >token
printf %s "$in_file" >'a,b'
export TOKEN=$in_env

# --- files

step files --secret id=token,src=token --secret id=TOKEN --secret '"id=c","src=a,b"' --secret type=env,id=e,src=TOKEN <<'EOT' || bail_out "the build failed: $err"
FROM busybox
RUN --mount=type=secret,id=token <<EOF
echo "== default"; stat -c '%a %u:%g %F' /run/secrets/token; sha1sum </run/secrets/token
echo "== dir"; stat -c '%a %u:%g %F' /run/secrets; ls -A /run/secrets
echo "== write"; (echo x >/run/secrets/token) 2>/dev/null || echo refused
echo "== mount"; grep ' /run/secrets/token ' /proc/self/mountinfo | cut -d ' ' -f 4-6
echo "== dev"; ls -A /dev | grep '^\.'
echo "== env"; env | grep -ci secret || :
EOF
RUN --mount=type=secret,id=token,target=/a/b/c,mode=0444,uid=7,gid=8 echo "== options"; stat -c '%a %u:%g %F' /a/b/c; sha1sum </a/b/c
WORKDIR /w
RUN --mount=type=secret,src=token,dst=rel echo "== relative"; ls /w; sha1sum <rel
RUN --mount=type=secret,target=/x/c echo "== id of target"; sha1sum </x/c
RUN --mount=type=secret,id=TOKEN --mount=type=secret,id=e echo "== variables as files"; cat /run/secrets/TOKEN /run/secrets/e | sha1sum
RUN --mount=type=secret,id=token,target=/etc/group echo "== over a file"; sha1sum </etc/group; stat -c %a /etc/group
RUN --mount=type=secret,id=token,target=/etc/hosts --mount=type=secret,id=token,target=/etc/resolv.conf echo "== over ours"; cat /etc/hosts /etc/resolv.conf | sha1sum; ls -A /dev | grep '^\.' || :
RUN --mount=type=secret,id=token,target=/dev/a/b echo "== in dev"; sha1sum </dev/a/b
RUN echo "== nothing left"; for d in /run /a /w /x; do ls -Ad $d/* 2>&1; done; stat -c %a /etc/group
EOT
is "$(after default)" "$(printf '%s\n' '400 0:0 regular file' "$(sum "$in_file")  -")" "a secret is a file of root's, mode 0400"
is "$(after dir)" $'755 0:0 directory\ntoken' "in a directory with nothing else"
is "$(after write)" refused "that cannot be written"
like "$(after mount)" '^/0 /run/secrets/token ro,nosuid,nodev,noexec' "on a read-only mount of its own"
is "$(after dev)" "" "nothing is left of its file system in /dev"
is "$(after env)" 0 "nor in the environment"
is "$(after options)" "$(printf '%s\n' '444 7:8 regular file' "$(sum "$in_file")  -")" "target, mode, uid and gid"
is "$(after relative)" "$(printf '%s\n' rel "$(sum "$in_file")  -")" "source is another word for id; a relative target lies in WORKDIR"
is "$(after "id of target")" "$(sum "$in_file")  -" "the id is the target's last component by default; quoted fields"
is "$(after "variables as files")" "$(sum "$in_env$in_env")  -" "values of variables, by id and by type=env,src="
is "$(after "over a file")" "$(printf '%s\n' "$(sum "$in_file")  -" 400)" "a secret over a file of the image"
is "$(after "over ours")" "$(sum "$in_file$in_file")  -" "over /etc/hosts and resolv.conf"
is "$(after "in dev")" "$(sum "$in_file")  -" "below /dev"
is "$(after "nothing left")" "$(printf 'ls: /%s/*: No such file or directory\n' run a w x)"$'\n644' "the next step sees none of them"

# --- in other mounts

step within --secret id=token,src=token <<'EOT' || bail_out "the build failed: $err"
FROM busybox
RUN --mount=type=secret,id=token,target=/c/deep/token --mount=type=cache,target=/c echo "== cache"; sha1sum </c/deep/token; touch /c/kept
RUN --mount=type=cache,target=/c echo "== cache after"; find /c
RUN --mount=type=secret,id=token --mount=type=tmpfs,target=/run echo "== tmpfs"; sha1sum </run/secrets/token; find /run
RUN --mount=type=bind,target=/ctx --mount=type=secret,id=token,target=/ctx/Dockerfile echo "== bind"; sha1sum </ctx/Dockerfile
RUN echo "== afterwards"; find /c /run /ctx 2>&1 || :
EOT
is "$(after cache)" "$(sum "$in_file")  -" "a secret in a cache mount"
is "$(after "cache after")" $'/c\n/c/kept' "leaves nothing in it"
is "$(after tmpfs)" "$(printf '%s\n' "$(sum "$in_file")  -" /run /run/secrets /run/secrets/token)" "in a tmpfs"
is "$(after bind)" "$(sum "$in_file")  -" "over a file of a bind mount"
is "$(after afterwards)" "$(printf '%s\n' 'find: /c: No such file or directory' /run 'find: /ctx: No such file or directory')" "no mount point is left"

# --- who may read

step users --secret id=token,src=token <<'EOT' || bail_out "the build failed: $err"
FROM busybox
USER 1000:1000
RUN --mount=type=secret,id=token,uid=1000 echo "== own"; stat -c '%a %u:%g' /run/secrets/token; sha1sum </run/secrets/token
RUN --mount=type=secret,id=token,gid=1000,mode=0440 echo "== group"; stat -c '%a %u:%g' /run/secrets/token; sha1sum </run/secrets/token
RUN --mount=type=secret,id=token echo "== root's"; stat -c '%a %u:%g' /run/secrets/token; test -r /run/secrets/token || echo not readable; cat /run/secrets/token >/tmp/x 2>&1 || echo refused
RUN --mount=type=secret,id=token,uid=1001 echo "== another's"; test -r /run/secrets/token || echo not readable; cat /run/secrets/token >/tmp/x 2>&1 || echo refused
EOT
is "$(after own)" "$(printf '%s\n' '400 1000:0' "$(sum "$in_file")  -")" "uid= reads it"
is "$(after group)" "$(printf '%s\n' '440 0:1000' "$(sum "$in_file")  -")" "and so does gid= with mode="
# Plain opens are not enforced for emulated users: doc/modes.md.
refused=
[ "$RB_TEST_RUNG" = single ] || refused=$'\nrefused'
is "$(after "root's")" "400 0:0"$'\n'"not readable$refused" "others cannot"
is "$(after "another's")" "not readable$refused" "whoever it belongs to"

# --- variables

step env --secret id=token,src=token --secret id=TOKEN <<'EOT' || bail_out "the build failed: $err"
FROM busybox
ENV INHERITED=from-env
RUN --mount=type=secret,id=token,env=A echo "== variable"; printf %s "$A" | sha1sum; ls /run/secrets 2>&1 || :
RUN --mount=type=secret,id=token,env=A,target=/a echo "== both"; printf %s "$A" | sha1sum; sha1sum </a
RUN --mount=type=secret,id=nobody,env=NONE echo "== missing"; echo "${NONE-unset}|${NONE}|"; ls /run/secrets 2>&1 || :
RUN --mount=type=secret,id=nobody --mount=type=secret,id=none,target=/b echo "== no file"; ls /run/secrets /b 2>&1 || :
RUN --mount=type=secret,id=TOKEN,env=INHERITED echo "== over ENV"; printf %s "$INHERITED" | sha1sum; env | grep -c INHERITED
RUN echo "== next"; echo "${A-unset} $INHERITED"
EOT
is "$(after variable)" "$(printf '%s\n' "$(sum "$in_file")  -" 'ls: /run/secrets: No such file or directory')" "env= gives a variable and no file"
is "$(after both)" "$(printf '%s\n' "$(sum "$in_file")  -" "$(sum "$in_file")  -")" "env= with target= gives both"
is "$(after missing)" "$(printf '%s\n' '||' 'ls: /run/secrets: No such file or directory')" "a variable that nobody gave is empty"
is "$(after "no file")" "$(printf '%s\n' 'ls: /run/secrets: No such file or directory' 'ls: /b: No such file or directory')" "a file that nobody gave is not there"
is "$(after "over ENV")" "$(printf '%s\n' "$(sum "$in_env")  -" 1)" "it replaces a variable of the stage"
is "$(after next)" "unset from-env" "for one step"
like "$err" '^#[0-9]+ \[2/7\] RUN .* printf %s "\*\*\*\*" \| sha1sum' "the name of a step shows **** for it"

# --- masks

printf -- '-----BEGIN KEY-----\nQUJDREVGR0hJSktMTU5PUA\n}\n-----END KEY-----\n' >key
step masks --secret id=token,src=token --secret id=key,src=key --secret id=other,env=TOKEN --build-arg "LEAK=$in_env" <<'EOT' || bail_out "the build failed: $err"
FROM busybox
ARG LEAK
RUN echo "== arg $LEAK"
RUN --mount=type=secret,id=token,env=A --mount=type=secret,id=key <<EOF
echo "== whole"; echo "a $A b" "$A"
echo "== in parts"; printf %s "${A%???}"; sleep 0.2; echo "${A#"${A%???}"}"
echo "== errors"; echo "$A" >&2; sleep 0.1
echo "== lines"; cat /run/secrets/key; sed 's/^/> /' /run/secrets/key
echo "== end"
printf %s "${A%???}"; sleep 0.2; printf %s "${A#"${A%???}"}" >&2
sleep 0.2; echo; printf %s "${A%?}"
EOF
EOT
is "$(after whole)" "a **** b ****" "values are hidden in what steps print"
is "$(after "in parts")" "****" "also when they come in parts"
is "$(after errors)" "****" "and on the standard error"
is "$(after lines)" "$(printf '%s\n' '****' '****' '}' '****' '> ****' '> ****' '> }' '> ****')" "line by line"
like "$err" "^#[0-9]+ \[2/3\] RUN echo \"== arg \*\*\*\*\"" "and in names of steps"
like "$(after end)" "^${in_file%?}\$" "what is only the beginning of one is shown at the end"
for word in "$in_file" "$in_env" QUJDREVGR0hJSktMTU5PUA; do
	unlike "$err" "$word" "nothing of it is shown"
	is "$(grep -rlaF "$word" "$RB_ROOT/logs")" "" "nor in the logs"
done
context "$T/fail" <<'EOT'
FROM busybox
RUN --mount=type=secret,id=token cat /run/secrets/token; false
EOT
context "$T/leaks" <<'EOT'
FROM busybox
ARG LEAK
COPY $LEAK /
EOT
fails_with 1 '^rbuild: Dockerfile:3: .*\*\*\*\*.*not found' rb build --progress=plain --secret id=token,env=TOKEN --build-arg "LEAK=$in_env" "$T/leaks"
unlike "$err" "$in_env" "the message of an error hides it"
for progress in plain tty quiet; do
	run_command rb build --progress=$progress --secret id=token,src=token "$T/fail"
	unlike "$err" "$in_file" "the tail of a failed step hides it ($progress)"
done

# --- keys

context "$T/cached" <<'EOT'
FROM busybox
RUN --mount=type=secret,id=token sha1sum /run/secrets/token >/sum
RUN --mount=type=secret,id=token,env=A echo "$A" | sha1sum >/sum2
EOT
works "a build with a secret" rb build --progress=plain --secret id=token,src=token "$T/cached"
works "and with another value" rb build --progress=plain --secret id=token,env=TOKEN "$T/cached"
is "$(step_states <<<"$err" | grep -c '^CACHED .*RUN ')" 2 "hits: a value is in no key"
works "and without any" rb build --progress=plain "$T/cached"
is "$(step_states <<<"$err" | grep -c '^CACHED .*RUN ')" 2 "hits too"

# --- errors

context "$T/required" <<'EOT'
FROM busybox
RUN --mount=type=secret,id=token,required true
EOT
fails_with 1 '^rbuild: Dockerfile:2: the step requires the secret token, which was not given; give it with --secret id=token,src=FILE' \
	rb build "$T/required"
works "required and given" rb build --secret id=token,src=token "$T/required"
context "$T/zero" <<'EOT'
FROM busybox
RUN --mount=type=secret,id=zero,env=A true
EOT
printf 'a\0b' >zero.bin
fails_with 1 '^rbuild: Dockerfile:2: the secret zero has a zero byte and cannot be the variable A' rb build --secret id=zero,src=zero.bin "$T/zero"
context "$T/dir" <<'EOT'
FROM busybox
RUN --mount=type=secret,id=token,target=/etc true
EOT
fails_with 1 '^rbuild: Dockerfile:2: .*/etc' rb build --secret id=token,src=token "$T/dir"
head -c 512001 /dev/zero >big.bin
fails_with 1 '^rbuild: --secret: the file missing of the secret x does not exist' rb build --secret id=x,src=missing "$T/cached"
fails_with 1 '^rbuild: --secret: the secret x is larger than 500 kB' rb build --secret id=x,src=big.bin "$T/cached"
fails_with 2 "^rbuild: --secret: unexpected key 'sorce' in 'sorce=a' \(did you mean source\?\)" rb build --secret id=x,sorce=a "$T/cached"
fails_with 2 "^rbuild: --secret: invalid field 'x' must be a key=value pair" rb build --secret x "$T/cached"
fails_with 2 '^rbuild: --secret: a secret needs an id' rb build --secret src=token "$T/cached"
fails_with 2 '^rbuild: --secret: unsupported secret type "vault"' rb build --secret id=x,type=vault "$T/cached"
works "an unset variable is an empty secret" rb build --secret id=x,env=NOT_SET_AT_ALL "$T/cached"
like "$err" 'warning: --secret: the environment variable NOT_SET_AT_ALL is not set, so the secret x is empty' "with a warning"
head -c 512000 /dev/urandom >big.bin
context "$T/big" <<'EOT'
FROM busybox
RUN --mount=type=secret,id=big echo "sum: $(sha1sum </run/secrets/big)"
EOT
works "500 kB are fine, and so is a pipe" rb build --progress=plain --secret id=big,src=<(cat big.bin) "$T/big"
like "$err" "sum: $(sha1sum <big.bin | cut -d ' ' -f 1)" "whole"
done_testing
