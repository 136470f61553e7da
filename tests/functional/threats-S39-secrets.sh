#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# threats.md S39 (and S23): no byte that a build leaves behind or shows holds a secret.
# needs: userns overlay skopeo umoci
# users: range single
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/hostile.sh
. "$RB_TEST_SRC/tests/hostile.sh"

base_image busybox >/dev/null
import_base busybox
cd "$T" || exit
mkdir given

# Words of their own for each way in, so that a find tells which one leaked.
random() { head -c 12 /dev/urandom | od -An -tx1 | tr -d ' \n'; }
file_word=f$(random) env_word=e$(random) line_word=l$(random) 
printf %s "$file_word" >given/file
printf -- '-----BEGIN KEY-----\n%s\n-----END KEY-----\n' "$line_word" >given/key
export ENV_WORD=$env_word
words=("$file_word" "$env_word" "$line_word")
secrets=(--secret 'id=file,src=given/file' --secret 'id=env,env=ENV_WORD' --secret 'id=key,src=given/key')

# leaks PLACE...: files that hold one of the words, as they are or as tools may encode them
leaks() {
	local word patterns=()
	for word in "${words[@]}"; do
		patterns+=(-e "$word" -e "$(printf %s "$word" | base64 | cut -c 1-16)" -e "$(printf %s "$word" | od -An -tx1 | tr -d ' \n')")
	done
	inside grep -rlaF "${patterns[@]}" "$@" 2>/dev/null
}

is "$(leaks given | sort)" $'given/file\ngiven/key' "what is looked for can be found"

context c <<'EOT'
FROM busybox AS one
RUN --mount=type=secret,id=file --mount=type=secret,id=env,env=VALUE --mount=type=secret,id=key,target=/root/.key,mode=0444 \
    test -n "$VALUE" && test -s /run/secrets/file && test -s /root/.key && echo "$VALUE" && cat /run/secrets/file /root/.key && echo made >/one
RUN cat /proc/[0-9]*/environ >/tmp/all 2>/dev/null; env >>/tmp/all; cat /proc/mounts >>/tmp/all; find / -xdev >>/tmp/all; cat /one
FROM busybox
COPY --from=one /one /tmp/all /
RUN --mount=type=secret,id=env,required,env=VALUE,target=/w/secret cd /w; (echo x >secret) 2>/dev/null; echo "$VALUE" >&2; ls -lA /w
USER 1000
RUN --mount=type=secret,id=key,uid=1000 cat /run/secrets/key >&2
CMD ["true"]
EOT
works "a build" rb build --progress=plain "${secrets[@]}" -t a:1 --iidfile iid -o type=image -o type=oci,dest=c.tar,compression=uncompressed -o type=local,dest=local c
printf '%s\n' "$out" "$err" >shown-plain
for progress in tty quiet; do
	works "with --progress=$progress" rb --debug build --progress=$progress --no-cache "${secrets[@]}" c
	printf '%s\n' "$out" "$err" >shown-$progress
done
works "with --progress=rawjson" rb build --progress=rawjson --no-cache "${secrets[@]}" c
printf '%s\n' "$err" >shown-rawjson
# Its logs are base64.
python3 -c '
import base64, json, sys
for line in sys.stdin:
    for log in json.loads(line).get("logs") or []:
        sys.stdout.write(base64.b64decode(log["data"]).decode())
' <shown-rawjson >shown-json
like "$(cat shown-json)" '\*\*\*\*' "whose logs show **** instead"
context f <<EOT
FROM busybox
RUN --mount=type=secret,id=file,env=A echo "\$A" && sh -c 'echo "\$0 failed" >&2; false' "\$A"
EOT
fails_with 1 'did not complete successfully: exit code: 1' rb build --progress=plain "${secrets[@]}" f
printf '%s\n' "$out" "$err" >shown-failure
works "a plan" rb plan c
printf '%s\n' "$out" "$err" >shown-plan

is "$(leaks "$RB_ROOT" local c.tar iid)" "" "no file of the store and of the outputs holds a secret"
is "$(leaks shown-*)" "" "nor anything that was printed"
works "skopeo reads the image" skopeo inspect --config "oci-archive:c.tar"
printf '%s\n' "$out" >config
is "$(leaks config)" "" "nor its config and history"
unpack_oci c.tar unpacked || not_ok "umoci unpacks the image"
is "$(leaks unpacked)" "" "nor its files"
is "$(cd unpacked/rootfs && ls -Ad run/* w root/.key 2>/dev/null)" "" "no stub of a mount is left in it"
is "$(oci c.tar list -1; oci c.tar list -2)" "" "steps that only looked at secrets have empty layers"

# --- while a step runs: nobody else sees the value, on the host and in other steps

context slow <<'EOT'
FROM busybox AS a
RUN --mount=type=secret,id=file,env=VALUE --mount=type=secret,id=file echo "$VALUE" >/dev/null; i=0; until [ -e /tmp/x ] || [ $i = 12 ]; do sleep 0.1; i=$((i+1)); done
FROM busybox AS b
RUN sleep 0.5; find / -xdev -type f -path '*/secrets/*'; cat /proc/*/environ /proc/*/cmdline | tr '\0' '\n' | grep -c . >/dev/null; ps; find /dev -type f
FROM busybox
COPY --from=a /bin/sh /a
COPY --from=b /bin/sh /b
EOT
rb build --progress=plain "${secrets[@]}" slow >slow.out 2>&1 &
build=$!
wait_for 10 grep -q 'RUN --mount' slow.out || not_ok "the slow step starts" "$(cat slow.out)"
sleep 0.3
kill -0 $build || not_ok "the slow step is at work while processes are looked at" "$(cat slow.out)"
for pid in /proc/[0-9]*; do
	[ -O "$pid" ] && { cat "$pid/cmdline" 2>/dev/null; echo; }
done | tr '\0' ' ' >cmdlines
wait $build
is $? 0 "the slow build works"
is "$(leaks cmdlines slow.out)" "" "no command line holds one while a step runs, and no other step finds it"
is "$(sed -nE 's/^#[0-9]+ [0-9.]+ (\/.*)/\1/p' slow.out)" "" "its file is nowhere in other steps"
is "$(leaks "$RB_ROOT")" "" "the store holds none after that"
is "$(leaks "${TMPDIR:-/var/tmp}" /dev/shm | grep -v /given/)" "" "nor does a directory for temporary files"
done_testing
