#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# RUN --mount=type=bind and tmpfs: dockerfile.md 3.2, 4.2, 6.1, 10.4.
# needs: userns overlay
# users: range single
. "$(dirname "$0")/../lib.sh"

base_image busybox >/dev/null
import_base busybox

# build DIR [OPTION...]: the Dockerfile on stdin; what steps printed is in $said, executed steps in $ran.
build() {
	local dir=$1
	shift
	cat >"$T/Dockerfile"
	works "$(head -n 1 "$T/Dockerfile" | sed 's/^# //')" \
		rb --progress=plain "$@" -f "$T/Dockerfile" "$dir" || return
	said=$(sed -nE 's/^#[0-9]+ [0-9]+\.[0-9]{3} //p' <<<"$err")
	ran=$(step_states <<<"$err" | sed -nE 's/^DONE \[[^]]*\] (RUN|COPY|ADD|WORKDIR)/\1/p')
}

refused() {
	local pattern=$1
	shift
	cat >"$T/Dockerfile"
	fails_with 1 "$pattern" rb --progress=plain "$@" -f "$T/Dockerfile" "$T/c"
}

# --- the build context

mkdir -p "$T/c/sub/dir"
echo one >"$T/c/one"
echo two >"$T/c/sub/two"
echo hidden >"$T/c/secret.txt"
ln -s sub/two "$T/c/link"
chmod 0750 "$T/c/sub"
chmod 0604 "$T/c/one"
touch -d '2021-02-03 04:05:06' "$T/c/one" "$T/c/sub"
echo secret.txt >"$T/c/.dockerignore"
sums() { (cd "$T/c" && find . -printf '%p %y %m %l %T@ %U:%G\n' | sort && cat one sub/two secret.txt); }
before=$(sums)

build "$T/c" -o "type=oci,dest=$T/bind.oci" <<'EOT'
# a read-only bind of the whole context
FROM busybox
RUN --mount=target=/src cat /src/one /src/link; ls -A /src; stat -c '%n %a %u:%g %Y' /src/one /src/sub; \
	touch /src/new 2>&1 || echo cannot write; cp /src/one /kept
EOT
is "$said" "one
two
.dockerignore
link
one
sub
/src/one 604 0:0 $(date -d '2021-02-03 04:05:06' +%s)
/src/sub 750 0:0 $(date -d '2021-02-03 04:05:06' +%s)
touch: /src/new: Read-only file system
cannot write" "it shows the files that are not ignored, as root's, and takes no writes"
is "$(oci "$T/bind.oci" list -1 | grep -v kept)" "" "neither the mount nor its mount point is in the layer"
is "$(oci "$T/bind.oci" cat -1 kept)" one "what the step copied out of it is"

build "$T/c" <<'EOT'
# a writable bind: what is written is gone afterwards
FROM busybox
RUN --mount=target=/src,rw echo changed >/src/one && rm -r /src/sub && mkdir /src/new && cat /src/one && ls /src
RUN --mount=target=/src,rw cat /src/one /src/sub/two && ls /src/new 2>&1 || echo not there
EOT
is "$said" $'changed\nlink\nnew\none\none\ntwo\nls: /src/new: No such file or directory\nnot there' \
	"each step sees the context as it is"
is "$(sums)" "$before" "the context itself is as it was (S8)"

build "$T/c" <<'EOT'
# parts of the context
FROM busybox
WORKDIR /w
ARG D=sub
RUN --mount=source=$D/two,target=deep/file cat /w/deep/file && stat -c %F /w/deep/file
RUN --mount=source=/${D},dst=. ls /w
RUN --mount=src=link,destination=/x/y/z cat /x/y/z
RUN ls -A /w; ls -d /x 2>/dev/null || echo no mount points are left
EOT
is "$said" $'two\nregular file\ndir\ntwo\ntwo\nno mount points are left' \
	"files, directories, links; relative targets and the working directory itself"

# --- from stages and images

build "$T/c" -o "type=oci,dest=$T/from.oci" <<'EOT'
# binds from stages and images
FROM busybox AS Made
RUN mkdir -p /out/deep && echo made >/out/file && ln -s /out/file /link && ln -s /out /dirlink && \
	chown 7:8 /out/file && chmod 640 /out/file
FROM busybox
COPY --from=made /out /before
RUN --mount=from=MADE,source=/out,target=/m stat -c '%n %a %u:%g' /m/file && cat /m/file && touch /m/x 2>&1 || echo ro
RUN --mount=from=made,source=/link,target=/f cat /f
RUN --mount=from=made,source=dirlink,target=/d,rw cat /d/file && echo new >/d/file && cat /d/file && cp -a /d/file /kept
RUN --mount=from=made,source=/out,target=/m cat /m/file
RUN --mount=from=busybox,source=/bin,target=/b test -x /b/sh && echo image
RUN --mount=from=scratch,target=/s,rw ls -A /s && echo x >/s/x && cat /s/x
EOT
is "$said" $'/m/file 640 7:8\nmade\ntouch: /m/x: Read-only file system\nro\nmade\nmade\nnew\nmade\nimage\nx' \
	"stages in any case, images, links inside, writes that are dropped"
like "$(oci "$T/from.oci" tree)" '^kept f 0640 7:8 ' "owners are those of the stage"

build "$T/c" -o "type=oci,dest=$T/owners.oci" <<'EOT'
# owners of links in a bind
FROM busybox AS made
RUN mkdir /s && ln -s x /s/l && chown -h 5:6 /s/l && mkfifo /s/p && chown 7:8 /s/p && touch /s/f && chown 9:10 /s/f
FROM busybox
RUN --mount=from=made,source=/s,target=/m stat -c '%n %u:%g' /m/l /m/p /m/f && cp -a /m /kept
RUN --mount=from=made,source=/s,target=/m,rw chown -h 11:12 /m/l && mv /m/p /m/q && stat -c '%n %u:%g' /m/l /m/q
RUN --mount=from=made,source=/s,target=/m stat -c '%n %u:%g' /m/l
EOT
is "$said" $'/m/l 5:6\n/m/p 7:8\n/m/f 9:10\n/m/l 11:12\n/m/q 7:8\n/m/l 5:6' "are those of the stage, too"
like "$(oci "$T/owners.oci" tree)" '^kept/l l 0777 5:6 ' "and are copied"

# --- keys

cp -r "$T/c" "$T/k"
cat >"$T/keys" <<'EOT'
# keys of binds
FROM busybox AS made
ARG WHAT=1
RUN echo $WHAT >/unused; echo same >/used
FROM busybox
RUN --mount=source=sub,target=/s cat /s/two >/a
RUN --mount=from=made,source=/used,target=/u cat /u >/b
EOT
build "$T/k" <"$T/keys"
build "$T/k" <"$T/keys"
is "$ran" "" "a second build runs nothing"
touch "$T/k/sub/two"
echo other >"$T/k/one"
build "$T/k" <"$T/keys"
is "$ran" "" "nor with other times and files that no mount shows"
build "$T/k" --build-arg WHAT=2 <"$T/keys"
is "$ran" 'RUN echo 2 >/unused; echo same >/used' "a stage that yields the same invalidates nobody"
echo three >"$T/k/sub/two"
build "$T/k" --build-arg WHAT=2 <"$T/keys"
like "$ran" 'RUN --mount=source=sub,' "a changed file of a mount is a miss"
chmod 600 "$T/k/sub/two"
build "$T/k" --build-arg WHAT=2 <"$T/keys"
like "$ran" 'RUN --mount=source=sub,' "and so is a changed mode"
build "$T/k" --build-arg WHAT=2 <<<"$(sed 's/target=.s cat/target=\/s,rw cat/' "$T/keys")"
like "$ran" 'RUN --mount=source=sub,.*rw' "and the way it is mounted"

build "$T/k" -q <<'EOT'
# copies of the context are gone when the build is over
FROM busybox
RUN --mount=target=/s,source=one ls "$RB_ROOT" 2>/dev/null; cat /s
EOT
is "$(find "$RB_ROOT"/trees/*/ -maxdepth 1 -name 'b-*' | wc -l)" 0 "nothing of them is left"

mkdir "$T/other"
echo other >"$T/other/file"
echo hidden >"$T/other/hidden"
echo hidden >"$T/other/.dockerignore"
build "$T/c" --build-context other="$T/other" <<'EOT'
# a named context
FROM busybox
RUN --mount=from=other,target=/o ls /o && cat /o/file && stat -c %u:%g /o/file
EOT
is "$said" $'file\nother\n0:0' "with its own ignore file"

# --- mounts in mounts

build "$T/c" <<'EOT'
# mounts in mounts, written in the wrong order
FROM busybox
RUN mkdir -p /real && ln -s /real /via
RUN --mount=type=tmpfs,target=/m/one/deep --mount=target=/m,rw,source=sub --mount=source=one,target=/m/one/deep/file \
	cat /m/two /m/one/deep/file && echo x >/m/one/deep/x && ls /m/one/deep
RUN --mount=type=tmpfs,target=/via/t echo y >/real/t/y && cat /via/t/y
RUN find /m /real 2>&1; true
EOT
is "$said" $'two\none\nfile\nx\ny\nfind: /m: No such file or directory\n/real' "parents come first"
refused 'the mount at /m/new lies in that at /m' <<'EOT'
FROM busybox
RUN --mount=target=/m,source=sub --mount=type=tmpfs,target=/m/new true
EOT

# --- tmpfs

build "$T/c" <<'EOT'
# tmpfs
FROM busybox
RUN --mount=type=tmpfs,target=/t,size=1m stat -f -c %T /t; stat -c %a /t; echo x >/t/x; \
	dd if=/dev/zero of=/t/big bs=64k count=32 2>/dev/null || echo full
RUN --mount=type=tmpfs,target=/t ls -A /t; df -k /t | awk 'END { print ($2 > 2048) ? "larger" : "small" }'
RUN --mount=type=tmpfs,target=/t,ro touch /t/x 2>&1 || echo read-only
RUN --mount=type=tmpfs,target=/dev/shm,size=2m df -k /dev/shm | awk 'END { print $2 }'
RUN --mount=type=tmpfs,target=/t echo before >/etc/x && stat -c %Y / >/stamp
EOT
is "$said" $'tmpfs\n1777\nfull\nlarger\ntouch: /t/x: Read-only file system\nread-only\n2048' "size, contents, access"

build "$T/c" -o "type=oci,dest=$T/cwd.oci" <<'EOT'
# the working directory where a mount hides that of the image
FROM busybox
WORKDIR /m/a/b
RUN --mount=type=tmpfs,target=/m pwd; stat -c '%n %a %u:%g' /m/a /m/a/b; touch here
USER 7:8
RUN --mount=type=cache,target=/m pwd; stat -c '%a %u:%g' /m/a .; touch here
RUN --mount=type=cache,target=/m ls
RUN --mount=target=/m,rw stat -c '%a %u:%g' .; ls /m/one
RUN --mount=type=tmpfs,target=.. pwd; ls
EOT
is "$said" $'/m/a/b\n/m/a 755 0:0\n/m/a/b 755 0:0\n/m/a/b\n755 7:8\n755 7:8\nhere\n755 7:8\n/m/one\n/m/a/b' \
	"it is made in the mount, as the user's"
is "$(oci "$T/cwd.oci" tree | grep '^m')" $'m d 0755 0:0 0 1\nm/a d 0755 0:0 0 1\nm/a/b d 0755 0:0 0 1' "which is in no layer"
refused 'cannot use the working directory /m/none of the step: Read-only file system' <<'EOT'
FROM busybox
WORKDIR /m/none
RUN --mount=target=/m true
EOT

# --- users

build "$T/c" <<'EOT'
# a step of another user
FROM busybox
RUN echo 'u:x:1000:1000::/:/bin/sh' >>/etc/passwd
USER u
RUN --mount=target=/src cat /src/one && stat -c %u:%g /src/one && id -u
EOT
is "$said" $'one\n0:0\n1000' "sees the same files"

# --- time of the mount point's directory

build "$T/c" -o "type=oci,dest=$T/times.oci" <<'EOT'
# times of parents
FROM busybox
RUN mkdir /p && touch -d '2001-01-01 00:00:00' /p
RUN --mount=target=/p/q/r ls /p >/dev/null
EOT
is "$(oci "$T/times.oci" list -1)" "" "a step that only reads leaves an empty layer"

# --- refusals

refused 'Dockerfile:2: .*"/none": not found' <<'EOT'
FROM busybox
RUN --mount=source=none,target=/n true
EOT
refused '"/secret.txt": not found: excluded by the pattern "secret.txt"' <<'EOT'
FROM busybox
RUN --mount=source=secret.txt,target=/n true
EOT
refused '"/none": not found' <<'EOT'
FROM busybox AS made
RUN echo made
FROM busybox
RUN --mount=from=made,source=/none,target=/n true
EOT
refused 'Dockerfile:2: "/none/x": not found, for the mount at /n' <<'EOT'
FROM busybox
RUN --mount=from=busybox,source=/none/x,target=/n true
EOT
refused 'invalid mount target "/"' <<'EOT'
FROM busybox
RUN --mount=target=/ true
EOT
refused 'invalid mount target "/proc/x"' <<'EOT'
FROM busybox
RUN --mount=type=tmpfs,target=/proc/x true
EOT
refused 'cannot mount from stage "later" to "/x", stage needs to be defined before current command' <<'EOT'
FROM busybox AS here
RUN --mount=from=later,target=/x true
FROM busybox AS later
FROM here
EOT
refused 'circular dependency detected on stage: here' <<'EOT'
FROM busybox AS here
RUN --mount=from=here,target=/x true
EOT
refused 'cannot prepare the mount point /bin/sh' <<'EOT'
FROM busybox
RUN --mount=target=/bin/sh true
EOT

done_testing
