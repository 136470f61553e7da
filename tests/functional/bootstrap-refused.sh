#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# bootstrap needs more than one id. Without them it says so at once, and what to do instead.
# needs: userns overlay
# users: single
# images: busybox
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"

fails_with 1 '^rbuild: bootstrap needs subordinate ids' rb bootstrap debian:bookworm
like "$err" 'rbuild import rootfs\.tar debian:bookworm' 'it says how to import a root file system'
like "$err" "--add-subuids .* $(id -un)( |\$)" 'it says what would allow it'
is "$(wc -l <<<"$err")" 1 'it says so on one line'

# What it advises is what works.
cp "$(base_image busybox)" "$T/rootfs.tar"
works 'rbuild import rootfs.tar debian:bookworm' rb import "$T/rootfs.tar" debian:bookworm
context "$T/context" <<<$'FROM debian:bookworm\nRUN echo built'
works 'FROM of the imported name' rb build --progress=plain "$T/context"
like "$err" '^#[0-9]+ [0-9.]+ built$' 'its steps run'
done_testing
