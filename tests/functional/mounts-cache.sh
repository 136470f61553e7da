#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# RUN --mount=type=cache: dockerfile.md 3.2, 6.1, 6.2.
# needs: userns overlay
# users: range single
. "$(dirname "$0")/../lib.sh"

base_image busybox >/dev/null
import_base busybox
mkdir "$T/c"

# build [OPTION...]: the Dockerfile on stdin; what steps printed is in $said, executed steps in $ran.
build() {
	cat >"$T/Dockerfile"
	works "$(head -n 1 "$T/Dockerfile" | sed 's/^# //')" \
		rb --progress=plain "$@" -f "$T/Dockerfile" "$T/c" || return
	said=$(sed -nE 's/^#[0-9]+ [0-9]+\.[0-9]{3} //p' <<<"$err")
	ran=$(step_states <<<"$err" | sed -nE 's/^DONE \[[^]]*\] (RUN|COPY|ADD|WORKDIR)/\1/p')
}

# step N TEXT [OPTION...]: one RUN on busybox that nothing has cached.
step() {
	local name=$1 text=$2
	shift 2
	build "$@" <<<"# $name
FROM busybox
ENV NOT_CACHED=$((++steps))
RUN $text"
}
steps=0

# --- it persists and is in no layer

step "a cache begins empty" '--mount=type=cache,target=/c stat -c "%a %u:%g" /c; ls -A /c; echo 1 >/c/x; echo 2 >/kept' \
	-o "type=oci,dest=$T/c.oci"
is "$said" "755 0:0" "as root's"
is "$(oci "$T/c.oci" list -1)" "kept f 0644 0:0 2 1" "what a step puts there is in no layer"
step "the next build finds it again" '--mount=type=cache,target=/c cat /c/x; echo 2 >>/c/x'
is "$said" 1 "with what the first left"
step "another target is another cache" '--mount=type=cache,target=/d ls -A /d; echo d >/d/d'
is "$said" "" "with nothing in it"
step "an id says which it is" '--mount=type=cache,target=/e,id=c --mount=type=cache,id=/c,target=/f ls -A /e; cat /f/x'
is "$said" $'1\n2' "whatever the target"
build <<'EOT'
# the default id is the target as written
FROM busybox
WORKDIR /w
RUN --mount=type=cache,target=/c/./ cat /c/x; ls -A /w
RUN --mount=type=cache,target=c ls -A /w /w/c; echo w >/w/c/w
RUN --mount=type=cache,id=c,target=/z cat /z/w
EOT
is "$said" $'1\n2\n/w:\nc\n\n/w/c:\nw' "cleaned, before the working directory comes in"

step "a name space" '--mount=type=cache,target=/c ls -A /c; echo ns >/c/ns' --build-arg BUILDKIT_CACHE_MOUNT_NS=mine
is "$said" "" "has caches of its own"
step "which are found again" '--mount=type=cache,target=/c ls -A /c' --build-arg BUILDKIT_CACHE_MOUNT_NS=mine
is "$said" ns "in it"

# --- options

step "owner and mode of a new one" '--mount=type=cache,target=/o,uid=7,gid=8,mode=0710 stat -c "%a %u:%g" /o && touch /o/x'
is "$said" "710 7:8" "are what the options say"
step "the owner of one that is there" '--mount=type=cache,target=/o,uid=9,mode=0777 stat -c "%a %u:%g" /o; ls /o'
is "$said" $'710 7:8\nx' "stays"
step "a read-only cache" '--mount=type=cache,target=/c,ro cat /c/x; touch /c/y 2>&1 || echo read-only'
is "$said" $'1\n2\ntouch: /c/y: Read-only file system\nread-only' "takes nothing"
step "source without from" '--mount=type=cache,target=/c,id=sub,source=a/b echo b >/c/f; true'
step "is a directory in it" '--mount=type=cache,target=/c,id=sub cat /c/a/b/f; stat -c %a /c/a'
is "$said" $'b\n755' "made when missing"
step "one cache twice in a step" '--mount=type=cache,id=t,target=/a,sharing=locked --mount=type=cache,id=t,target=/b echo x >/a/x; cat /b/x'
is "$said" x "is one directory"

# --- owners of what is in it

step "files of others" '--mount=type=cache,target=/own chown 33:44 /own; mkdir -m 2750 /own/d; touch /own/d/f; chown 5:6 /own/d/f; chmod 4755 /own/d/f'
step "owners persist" '--mount=type=cache,target=/own stat -c "%n %a %u:%g" /own /own/d /own/d/f && chown 70:80 /own/d && touch /own/new'
is "$said" $'/own 755 33:44\n/own/d 2750 0:0\n/own/d/f 4755 5:6' "over builds"
step "owners persist again" '--mount=type=cache,target=/own stat -c "%n %u:%g" /own /own/d /own/d/f /own/new; cp -a /own /kept' \
	-o "type=oci,dest=$T/own.oci"
is "$said" $'/own 33:44\n/own/d 70:80\n/own/d/f 5:6\n/own/new 0:0' "and over changes"
like "$(oci "$T/own.oci" list -1)" '^kept/d/f f 4755 5:6 ' "and a copy has them"

# --- seeds

mkdir "$T/c/seed"
echo seed >"$T/c/seed/f"
cat >"$T/seed" <<'EOT'
# a cache that starts with files of a stage
FROM busybox AS made
ARG SEED=1
RUN mkdir -p /s/d && echo $SEED >/s/d/f && chown 3:4 /s/d/f && chown 5:6 /s && chmod 750 /s && mkfifo /s/p
FROM busybox
ARG N
RUN --mount=type=cache,target=/c,from=made,source=/s stat -c '%n %a %u:%g' /c /c/d/f; cat /c/d/f /c/n 2>/dev/null; echo $N >/c/n
EOT
build --build-arg N=1 <"$T/seed"
is "$said" $'/c 750 5:6\n/c/d/f 644 3:4\n1' "with their owners"
build --build-arg N=2 <"$T/seed"
is "$said" $'/c 750 5:6\n/c/d/f 644 3:4\n1\n1' "keeps what was added"
build --build-arg N=3 --build-arg SEED=2 <"$T/seed"
is "$said" $'/c 750 5:6\n/c/d/f 644 3:4\n2' "and is another one with another seed"
build <<'EOT'
# a cache that starts with an image
FROM busybox
RUN --mount=type=cache,target=/c,from=busybox,source=etc cat /c/passwd | head -n 1 | cut -d: -f1
EOT
is "$said" root "has its files"

# --- keys

cat >"$T/keys" <<'EOT'
# keys
FROM busybox
RUN --mount=type=cache,target=/c,id=k1,sharing=locked echo x >>/c/x
EOT
build <"$T/keys"
build <"$T/keys"
is "$ran" "" "contents of a cache are in no key"
build <<<"$(sed 's/id=k1,sharing=locked/id=k2,sharing=private/' "$T/keys")"
is "$ran" "" "nor are id and sharing"

# --- --no-cache

step "fill a cache" '--mount=type=cache,id=n,target=/c echo old >/c/old'
build --no-cache <<'EOT'
# --no-cache empties it, once
FROM busybox
RUN --mount=type=cache,id=n,target=/c ls -A /c; echo new >/c/new
RUN --mount=type=cache,id=n,target=/c ls -A /c
EOT
is "$said" new "for the first step that uses it"

cat >"$T/filter" <<'EOT'
# --no-cache-filter
FROM busybox AS a
RUN --mount=type=cache,id=fa,target=/c ls /c; echo a >/c/a
FROM busybox AS b
RUN --mount=type=cache,id=fb,target=/c ls /c; echo b >/c/b
FROM scratch
COPY --from=a /bin/true /a
COPY --from=b /bin/true /b
EOT
build <"$T/filter"
sed -i 's/ls /ls -1 /' "$T/filter"
build --no-cache-filter=A <"$T/filter"
is "$said" b "empties those of the stages it names"
cat >"$T/Dockerfile" <<'EOT'
FROM busybox
RUN --mount=type=cache,target=/c,from=busybox,source=/etc/passwd true
EOT
fails_with 1 'Dockerfile:2: the cache mount at /c: a cache mount is a directory, but /etc/passwd of its source is a file' \
	rb build -f "$T/Dockerfile" "$T/c"

# --- several at a time

wait_script='n=0; until [ -e /c/go ] || [ $n = 100 ]; do sleep 0.1; n=$((n + 1)); done'
build <<EOT
# two steps share one
FROM busybox AS a
RUN --mount=type=cache,id=s,target=/c rm -f /c/*; touch /c/here; $wait_script; ls /c
FROM busybox AS b
RUN --mount=type=cache,id=s,target=/c n=0; until [ -e /c/here ] || [ \$n = 100 ]; do sleep 0.1; n=\$((n + 1)); done; touch /c/go
FROM scratch
COPY --from=a /bin/true /a
COPY --from=b /bin/true /b
EOT
is "$said" $'go\nhere' "at the same time"

critical='echo in; [ ! -e /c/busy ] || echo TOGETHER; touch /c/busy; sleep 0.7; rm /c/busy; echo out'
build <<EOT
# two steps with a locked one
FROM busybox AS a
RUN --mount=type=cache,id=l,target=/c,sharing=locked $critical
FROM busybox AS b
RUN --mount=type=cache,id=l,target=/c,sharing=locked $critical; true
FROM scratch
COPY --from=a /bin/true /a
COPY --from=b /bin/true /b
EOT
is "$said" $'in\nout\nin\nout' "come one after the other"
is "$(grep -c 'waiting for the cache mount /c, which another step uses' <<<"$err")" 1 "which the second says"

for i in 1 2; do
	cat >"$T/Dockerfile.$i" <<-EOT
		FROM busybox
		RUN : $i
		RUN --mount=type=cache,id=l2,target=/c,sharing=locked $critical; echo $i >>/c/who; cat /c/who
	EOT
	rb --progress=plain -f "$T/Dockerfile.$i" "$T/c" >"$T/out.$i" 2>&1 &
	pids[i]=$!
done
wait "${pids[1]}" && wait "${pids[2]}"
is $? 0 "two rbuilds with one locked cache"
said=$(sed -nE 's/^#[0-9]+ [0-9]+\.[0-9]{3} //p' "$T"/out.?)
is "$(grep -c TOGETHER <<<"$said") $(cat "$T"/out.? | grep -c 'waiting for the cache')" "0 1" "one waits for the other"
is "$(grep -cx '[12]' <<<"$said")" 3 "and sees what that wrote"

build <<EOT
# private ones
FROM busybox AS a
RUN --mount=type=cache,id=p,target=/c,sharing=private ls -A /c; touch /c/one; sleep 1
FROM busybox AS b
RUN --mount=type=cache,id=p,target=/c,sharing=private sleep 0.3; ls -A /c; touch /c/two; sleep 1
FROM scratch
COPY --from=a /bin/true /a
COPY --from=b /bin/true /b
EOT
is "$said" "" "do not see each other"
step "a later private one" '--mount=type=cache,id=p,target=/c,sharing=private ls -A /c | wc -l'
is "$said" 1 "takes one that is free"

# Emptied by another build while a step uses it: that one goes on with what it had.
cat >"$T/Dockerfile.1" <<'EOT'
FROM busybox
RUN --mount=type=cache,id=away,target=/c echo mine >/c/mine; echo started; sleep 2.5; echo more >>/c/mine && cat /c/mine && touch /c/late && ls /c
EOT
rb --progress=plain -f "$T/Dockerfile.1" "$T/c" >"$T/out.1" 2>&1 &
pid=$!
wait_for 20 grep -q '^#[0-9]* [0-9.]* started' "$T/out.1"
for i in 1 2; do
	build --no-cache <<-EOT
		# a build that empties a cache in use
		FROM busybox
		RUN --mount=type=cache,id=away,target=/c ls -A /c; touch /c/theirs$i
	EOT
	is "$said" "" "begins with nothing"
done
kill -0 $pid && ok "all while the step runs" || not_ok "all while the step runs" "$(cat "$T/out.1")"
wait $pid
is "$? $(sed -nE 's/^#[0-9]+ [0-9]+\.[0-9]{3} //p' "$T/out.1" | tr '\n' ' ')" "0 started mine more late mine " "whose files stay for it"
step "what was emptied" '--mount=type=cache,id=away,target=/c ls -A /c'
is "$said" theirs2 "does not come back"
is "$(find "$RB_ROOT/mounts" -mindepth 3 -maxdepth 3 -name 'dead-*')" "" "and is gone from the store"

# --- a killed build

cat >"$T/Dockerfile" <<'EOT'
FROM busybox
RUN --mount=type=cache,id=kill,target=/c,sharing=locked --mount=target=/s echo half >/c/x; echo started; sleep 60
EOT
"$RBUILD" --root "$RB_ROOT" --progress=plain -f "$T/Dockerfile" "$T/c" >"$T/killed" 2>&1 &
pid=$!
wait_for 20 grep -q '^#[0-9]* [0-9.]* started' "$T/killed"
kill -9 $pid
wait $pid 2>/dev/null
build <<'EOT'
# a build after one that was killed
FROM busybox
RUN --mount=type=cache,id=kill,target=/c,sharing=locked --mount=target=/s cat /c/x
EOT
is "$said" half "has the lock, and what that one wrote"
is "$(find "$RB_ROOT"/trees/*/ -maxdepth 1 -name 'b-*' | wc -l)" 0 "and leaves no copy of the context"

# --- users

step "a cache of another user" '--mount=type=cache,target=/u,uid=1000,gid=1000 id -u'
build <<'EOT'
# a step of another user
FROM busybox
RUN echo 'u:x:1000:1000::/:/bin/sh' >>/etc/passwd; echo 'u:x:1000:' >>/etc/group
USER u
RUN --mount=type=cache,target=/u,uid=1000,gid=1000 echo mine >/u/f && stat -c '%u:%g' /u/f
EOT
is "$said" "1000:1000" "writes into its own cache"
build <<'EOT'
# what nobody may do with its own files in mounts
FROM busybox
USER nobody
RUN --mount=type=tmpfs,target=/t --mount=type=cache,id=nobody,target=/c,uid=65534,gid=65534 \
	for d in /t /c; do mkdir $d/d && chmod 2775 $d/d && chown nobody:nogroup $d/d && touch $d/d/f && chown 65534 $d/d/f && stat -c '%n %a %u:%g' $d/d $d/d/f; done
EOT
is "$said" $'/t/d 2775 65534:65534\n/t/d/f 644 65534:65534\n/c/d 2775 65534:65534\n/c/d/f 644 65534:65534' "is as for any user"

# --- reset

like "$(find "$RB_ROOT/mounts" -maxdepth 2 -mindepth 2 | head -n 1)" '/mounts/(range|single)/[0-9a-f]{64}' "caches lie in the store by a hash"
works "reset" rb reset --force
is "$(ls -A "$RB_ROOT")" "" "removes them"

done_testing
