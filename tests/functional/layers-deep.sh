#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Images of very many layers, and the clear end of what the kernel stacks.
# users: range single
# needs: userns overlay
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"

base_image busybox >/dev/null
import_base busybox

# steps N: a Dockerfile of N steps, of which every hundredth leaves a file and removes another
steps() {
	local i
	echo "FROM ${2:-busybox}"
	for i in $(seq "$1"); do
		[ $((i % 100)) = 0 ] && echo "RUN echo $i >/f$i && rm -f /etc/shadow" || echo "RUN true"
	done
}

steps 300 | context "$T/deep"
works '300 steps build' rb -o "type=oci,dest=$T/deep.oci" "$T/deep"
works 'and keep a name' rb -t deep "$T/deep"
is "$(oci "$T/deep.oci" check)" '' 'history, diff IDs and digests agree'
is "$(oci "$T/deep.oci" layers)" 301 'each step is a layer'
is "$(oci "$T/deep.oci" list 100 | grep -v '^etc d' | cut -d' ' -f1,2,5 | tr '\n' ' ')" \
	'etc/.wh.shadow f 0 f100 f 4 ' 'the layer of step 100'
tree=$(oci "$T/deep.oci" tree)
like "$tree" '^f300 f 0644 0:0 4 1$' 'the image has what the last step made'
unlike "$tree" '^etc/shadow' 'and not what an early step removed'

printf 'FROM deep\nRUN cat /f100 /f200 /f300 >/all && ls /etc >>/all\nCOPY --from=deep /f100 /copy\n' | context "$T/on"
works 'a step on the deep image' rb -o "type=oci,dest=$T/on.oci" "$T/on"
is "$(oci "$T/on.oci" cat 301 all | tr '\n' ' ')" '100 200 300 group hosts passwd resolv.conf ' 'sees every layer'
is "$(oci "$T/on.oci" layers)" 303 'and adds its own'

# Unpacked anew from its blobs, as a machine does that loads or pulls it
RB_ROOT=$T/store2
works 'the deep image is loaded' rb load -t deep "$T/deep.oci"
works 'and unpacked' rb -o "type=oci,dest=$T/on2.oci" "$T/on"
is "$(oci "$T/on2.oci" cat 301 all | tr '\n' ' ')" '100 200 300 group hosts passwd resolv.conf ' 'with the same content'

RB_ROOT=$T/store
steps 510 | context "$T/too-deep"
run_command rb "$T/too-deep"
is $? 1 'more steps than the kernel stacks fail'
is "$(grep -c '^rbuild: ' <<<"$err")" 1 'with one error line'
like "$err" '^rbuild: Dockerfile:[0-9]+: .*layers' 'that says what is too much, and where'
works 'the store is usable afterwards' rb "$T/on"
done_testing
