#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Standard descriptors that the caller closed, and a standard output that cannot be written: nothing of ours takes their
# place in a step, and nobody takes a failure for success.
# needs: userns overlay
# users: range single
# images: busybox
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"

import_base busybox
is "$(rb run busybox sh -c 'readlink /proc/self/fd/0' <&-)" /dev/null 'a closed standard input is /dev/null in a step'
rb run busybox sh -c 'readlink /proc/self/fd/2' 2>&- >"$T/err"
is "$(cat "$T/err")" /dev/null 'a closed standard error too'
rb run busybox sh -c 'exec 3>&1; readlink /proc/self/fd/3 >&2' >&- 2>"$T/out"
is "$(cat "$T/out")" /dev/null 'a closed standard output too'
printf 'FROM busybox\nRUN ls -l /proc/self/fd >/fds\n' | context "$T/c"
works 'a build with all of them closed' bash -c "'$RBUILD' --root '$RB_ROOT' '$T/c' <&- >&- 2>&-"
fails_with 1 'cannot write the image ID to the standard output' bash -c "'$RBUILD' --root '$RB_ROOT' -q '$T/c' >/dev/full"
fails_with 2 '^rbuild: --mode is range or single, not "odd"$' rb images --mode odd
fails_with 2 '--env is NAME=VALUE' rb run -e =x busybox true
fails_with 2 'FROM scratch means an empty one' rb -t scratch "$T/c"
mkdir "$T/tar" && echo hi >"$T/tar/f" && chmod 644 "$T/tar/f"
tar -C "$T/tar" --owner=9 --group=9 -cf "$T/c/plain.tar" f
printf 'FROM scratch\nADD --chown=5:6 plain.tar /d/e/\n' >"$T/c/Dockerfile"
works 'ADD --chown of an archive' rb -o "type=oci,dest=$T/chown.oci" "$T/c"
is "$(oci "$T/chown.oci" list 0)" "$(printf 'd d 0755 5:6 0 1\nd/e d 0755 5:6 0 1\nd/e/f f 0644 5:6 3 1')" 'gives all of it away'
tar -C "$T/tar" --transform='s,^f,../../up,' -P -cf "$T/c/plain.tar" f
fails_with 1 'Dockerfile:2: .*\.\./\.\./up leaves the directory it is unpacked into' rb "$T/c"
done_testing
