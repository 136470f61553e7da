#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# S6, S7, S8: ids of caches are no paths; odd options are refused with their line; what a step writes into a bind mount is
# nowhere afterwards.
# users: range single
# needs: userns overlay
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/hostile.sh
. "$RB_TEST_SRC/tests/hostile.sh"

base_image busybox >/dev/null
import_base busybox
mkdir "$T/c"

# --- S6

long=$(head -c 60000 /dev/zero | tr '\0' a)
ids=(.. ../../.. / /etc/passwd ../../../../../../../../../../../../.."$CANARY" . lock data 'a%00b' $'\\0' "$long" "$long/" '*' '~' '-rf')
for i in "${!ids[@]}"; do
	cat >"$T/Dockerfile" <<-EOT
		FROM busybox
		RUN --mount=type=cache,id=${ids[i]},target=/c : $i; ls -A /c; echo $i >/c/secret
		RUN --mount=type=cache,id=${ids[i]},target=/d cat /d/secret
	EOT
	rb --progress=plain -f "$T/Dockerfile" "$T/c" >"$T/out" 2>&1
	is "$? $(sed -nE 's/^#[0-9]+ [0-9]+\.[0-9]{3} //p' "$T/out")" "0 $i" "a cache of its own for the id ${ids[i]:0:20}"
done
is "$(find "$RB_ROOT/mounts" -mindepth 2 -maxdepth 2 -printf '%f\n' | grep -Evc '^[0-9a-f]{64}$')" 0 "names in the store are hashes"
is "$(find "$RB_ROOT/mounts" -mindepth 2 -maxdepth 2 | wc -l)" ${#ids[@]} "one for each"
canary_safe 'ids of caches'

# --- S7

while IFS='|' read -r options message; do
	fails_with 1 "Dockerfile:3: .*$message" rb build -f - "$T/c" <<-EOT
		FROM busybox
		ARG EMPTY
		RUN --mount=$options true
	EOT
done <<'EOT'
target=/x,bind-propagation=rshared|unexpected key 'bind-propagation'
target=/x,propagation=shared|unexpected key 'propagation'
target=/x,z|invalid field 'z' must be a key=value pair
target=/x,relabel=shared|unexpected key 'relabel'
target=/x,U=true|unexpected key 'u'
target=/x,tmpfs-size=1|unexpected key 'tmpfs-size'
target=/x,type=nfs|unsupported mount type "nfs"
target=/x,type=overlay,lowerdir=/|unsupported mount type "overlay"
type=tmpfs,target=/x,size=1m%2Cmode=777|invalid value
'type=tmpfs,target=/x,"size=1m,mode=777"'|invalid value "1m,mode=777"
type=tmpfs,target=/x,size=-1|invalid value "-1"
type=tmpfs,target=/x,size=18446744073709551616|invalid value
type=tmpfs,target=/x,size=${EMPTY}|invalid value ""
type=cache,target=/x,sharing=rslave|unsupported sharing value "rslave"
type=cache,target=/x,mode=07777777777|invalid value
type=cache,target=/x,uid=4294967295|invalid value
type=cache,target=/x,gid=0x0|invalid value
type=bind,target=/x,source=/,from=busybox:$EMPTY|'from' doesn't support variable expansion
type=tmpfs,target=/proc|invalid mount target "/proc"
type=tmpfs,target=/proc/sys|invalid mount target "/proc/sys"
type=tmpfs,target=/x/../sys/fs/cgroup|invalid mount target "/sys/fs/cgroup"
type=tmpfs,target=/dev|invalid mount target "/dev"
type=tmpfs,target=/..|invalid mount target "/"
type=tmpfs,target=/x,target=|invalid mount target "/"
EOT

# --- S8

mkdir "$T/c/d"
echo one >"$T/c/one"
echo two >"$T/c/d/two"
ln -s one "$T/c/l"
ln "$T/c/one" "$T/c/hard"
state() { (cd "$T/c" && find . -printf '%p %y %m %n %s %T@ %C@ %U:%G %l\n' | sort && cat one d/two); }
before=$(state)
attack='cd /m && echo x >one && echo y >>d/two && rm l && ln -s /etc/passwd l && chmod 777 one d && chown 5:6 one d && \
	touch -d 2000-01-01 d && mkdir n && mv d n/d && echo z >n/d/two && ln one again && rm hard && mkfifo p && \
	dd if=/dev/zero of=one bs=1k count=1 conv=notrunc 2>/dev/null; ls'
cat >"$T/Dockerfile" <<EOT
FROM busybox AS made
RUN mkdir /s && echo made >/s/one && ln /s/one /s/hard && mkdir /s/d && echo two >/s/d/two && ln -s one /s/l
FROM busybox
RUN --mount=target=/m,rw $attack
RUN --mount=target=/m,rw,source=d echo x >/m/two
RUN --mount=target=/m/f,rw,source=one echo x >/m/f
RUN --mount=target=/m,rw,from=made,source=/s $attack
RUN --mount=target=/m,from=made,source=/s cat /m/one /m/hard /m/d/two && ls /m
RUN --mount=target=/m cat /m/one /m/hard /m/d/two && ls /m
EOT
works 'steps that write into bind mounts' rb --progress=plain -f "$T/Dockerfile" "$T/c"
is "$(state)" "$before" 'the context is as it was, to the time of change'
is "$(sed -nE 's/^#[0-9]+ [0-9]+\.[0-9]{3} //p' <<<"$err" | tail -n 14 | tr '\n' ' ')" \
	"made made two d hard l one one one two d hard l one " 'and so is what later steps see of context and stage'
find "$RB_ROOT"/trees/*/ -maxdepth 1 -name '.active-*' | grep -q . && left=yes
is "${left:-}" '' 'what was written is removed'
canary_safe 'writes'
done_testing
