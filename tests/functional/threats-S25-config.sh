#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# S25: no label, annotation, variable, trigger or other field of an image's config changes how a step is confined.
# users: range single
# needs: userns overlay
# images: busybox
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
import_base busybox

look='grep -E "^(Cap|Seccomp|NoNewPrivs|Uid|Gid|Groups)" /proc/self/status; ls -l /proc/self/ns | sed "s/.* //; s/:.*//"; wc -l </proc/self/mountinfo; cat /proc/self/uid_map /proc/self/setgroups; cat /proc/self/oom_score_adj; unshare -U true 2>&1; mount -t tmpfs x /mnt 2>&1; mknod /dev/sda b 8 0 2>&1; ls /dev | tr "\n" " "; ls /proc/self/fd | wc -l'
said() { sed -n 's/^#[0-9]* [0-9]*\.[0-9]* //p' <<<"$err"; }
context "$T/plain" <<<"FROM busybox
RUN $look"
works 'an ordinary step' rb build --no-cache --progress=plain -o type=cacheonly "$T/plain"
plain=$(said)

context "$T/base" <<EOF
FROM busybox
LABEL io.podman.annotations.seccomp=unconfined io.podman.annotations.privileged=TRUE io.podman.annotations.label=disable \
 io.kubernetes.cri-o.userns-mode=host run.oci.keep_original_groups=1 run.oci.seccomp_fail_unknown_syscall=0 \
 io.buildah.version=1 security.insecure=true privileged=true org.rbuild.insecure=1
ENV BUILDAH_ISOLATION=chroot _CONTAINERS_USERNS_CONFIGURED=done BUILDKIT_SECURITY=insecure RBUILD_INSECURE=1 SECURITY=insecure NETWORK=host LD_DEBUG_OUTPUT=/x
VOLUME ["/", "/proc", "/dev"]
EXPOSE 1
STOPSIGNAL 9
HEALTHCHECK CMD true
ENTRYPOINT ["/bin/false"]
ONBUILD ENV PRIVILEGED=1
ONBUILD RUN $look
EOF
works 'a base with all that was ever believed' rb build -q -t hostile "$T/base"
context "$T/child" <<<'FROM hostile'
works 'its trigger' rb build --no-cache --progress=plain -o type=cacheonly "$T/child"
is "$(said)" "$plain" 'is confined as any step'

for trigger in 'RUN --security=insecure true' 'RUN --network=host true'; do
	context "$T/base" <<<$'FROM busybox\nONBUILD '"$trigger"
	works "a base that asks for $trigger" rb build -q -t asking "$T/base"
	context "$T/child" <<<'FROM asking'
	fails_with 1 'Dockerfile:1: .*needs the entitlement' rb build "$T/child"
done
done_testing
