#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# An image that claims the diff IDs of a tree we have, with other bytes: the tree is used, the bytes must never be
# handed on (threats S35 and S36; a layer's blob is checked against its diff ID before it is exported).
# needs: userns overlay zstd
# users: range single
# images: busybox
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"

base=$(base_image busybox) || bail_out 'no base image'
export base
craft <<-'EOT' || bail_out 'cannot craft the images'
	import gzip, os
	data = open(os.environ["base"], "rb").read()
	image("good.oci", [data])
	image("recompressed.oci", [b""], blobs=[gzip.compress(data, 1, mtime=0)], diff_ids=[blob_name(data)])
	image("lying.oci", [b""], blobs=[gzip.compress(data[:-20480] + b"\0" * 20480, 6, mtime=0)], diff_ids=[blob_name(data)])
	image("cut.oci", [b""], blobs=[gzip.compress(data, 6, mtime=0)[:-5000]], diff_ids=[blob_name(data)])
EOT
for name in good recompressed lying cut; do
	printf 'FROM %s\nRUN true\n' "$name" | context "$T/$name"
	works "$name is loaded" rb load -t "$name" "$T/$name.oci"
done
works 'the good one makes the tree' rb -o "type=oci,dest=$T/out.oci" "$T/good"
works 'the same tree in other bytes is used and exported' rb -o "type=oci,dest=$T/recompressed.out" "$T/recompressed"
is "$(oci "$T/recompressed.out" check)" '' 'with digests that agree'
fails_with 1 'layer 1 of 1 .*its diff ID is sha256:[0-9a-f]+, the image config says sha256:' \
	rb -o "type=oci,dest=$T/bad.out" "$T/lying"
fails_with 1 'layer 1 of 1' rb -o "type=oci,dest=$T/bad.out" "$T/cut"
is "$(ls "$T"/bad.out* 2>/dev/null)" '' 'nothing of them is written'
works 'the store is sound' rb -o "type=oci,dest=$T/again.out" "$T/good"
done_testing
