#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# S1: a working directory named through a descriptor, written plainly, through a link, or by ONBUILD of a base
# image, is inside the root; a step has no descriptor but 0, 1 and 2.
# users: range single
# needs: userns overlay
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/hostile.sh
. "$RB_TEST_SRC/tests/hostile.sh"

base_image busybox >/dev/null
import_base busybox

# What a step sees of where it is. An outside directory has no name there, or one of the host.
look='echo "at: $(/bin/busybox pwd -P 2>&1)"; ls /proc/self/fd | grep -vxE "[0-3]" | sed "s/^/fd: /"; ls -a . .. ../../../.. | sed "s/^/saw: /"; :'
# contained NAME: the step was refused, or what it printed shows nothing of the host
contained() {
	local said
	said=$(sed -n 's/^#[0-9]* [0-9]*\.[0-9]* //p' <<<"$err")
	like "$said$err" '^at: /|cannot use the working directory|cannot make the directory' "$1: the step ran or was refused"
	unlike "$said" '^fd: ' "$1: no descriptor beside 0, 1, 2 and that of ls"
	unlike "$said" "^at: .*(unreachable|$(basename "$T"))" "$1: inside the root"
	unlike "$said" "^saw: ($(basename "$T")|canary|store)\$" "$1: nothing of the host"
}

{
	echo 'FROM busybox'
	for n in $(seq 3 99); do echo "ONBUILD WORKDIR /proc/self/fd/$n"; done
	echo "ONBUILD RUN $look"
} | context "$T/base"
works 'a base whose triggers name descriptors' rb build -q -t hostile "$T/base"
context "$T/child" <<<'FROM hostile'
run_command timeout 120 "$RBUILD" --root "$RB_ROOT" build --progress=plain "$T/child"
contained 'by ONBUILD'

for n in 3 4 5 7 8 10 20; do
	context "$T/plain" <<<"FROM busybox
WORKDIR /proc/self/fd/$n
RUN $look"
	run_command timeout 120 "$RBUILD" --root "$RB_ROOT" build --progress=plain "$T/plain"
	contained "descriptor $n"
done
context "$T/link" <<<"FROM busybox
RUN ln -s /proc/self/fd /w && ln -s /proc/self/fd/7 /v
WORKDIR /w/7
WORKDIR /v
RUN $look"
run_command timeout 120 "$RBUILD" --root "$RB_ROOT" build --progress=plain "$T/link"
contained 'through a link'
canary_safe 'all of them'
done_testing
