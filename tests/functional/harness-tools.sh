#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The test library itself: its readers agree with other people's tools, its registry comes and goes.
# needs: registry skopeo umoci
# users: range single
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"

tar=$(base_image busybox)
like "$(tree_list "$tar")" '^etc/shadow f 0640 0:42 19 1$' 'tree_list reads owners out of a tar'

mkdir "$T/dir"
echo text >"$T/dir/a"
ln "$T/dir/a" "$T/dir/b"
ln -s 'some where' "$T/dir/c"
chmod 600 "$T/dir/a"
like "$(tree_list "$T/dir")" "^b f 0600 $(id -u):$(id -g) 5 2\$" 'tree_list counts links of a directory'
like "$(tree_list "$T/dir")" '^c l 0777 .* -> some\\x20where$' 'tree_list shows targets'
tar -C "$T/dir" --sort=name -cf "$T/dir.tar" .
like "$(tree_list "$T/dir.tar")" '^b h 0600 .* 0 2 -> a$' 'tree_list knows hard links of a tar'

# shellcheck disable=SC2119
start_registry
push_base busybox base:1
works 'the registry gives back what was pushed' skopeo copy --quiet \
	--src-tls-verify=false "docker://$REGISTRY/base:1" "oci-archive:$T/image.tar"
is "$(oci "$T/image.tar" layers)" 1 'the archive has one layer'
is "$(oci "$T/image.tar" get .config.Cmd[0])" /bin/sh 'the config is read'
like "$(oci "$T/image.tar" tree)" '^var/mail d 2775 0:8 0 1$' 'the tree is read'
works 'the archive is whole' oci "$T/image.tar" check
unpack_oci "$T/image.tar" "$T/unpacked"
is "$(cd "$T/unpacked/rootfs" && find . | sort)" \
	"$(tar -tf "$tar" | sed 's,/$,,; s,^,./,; 1i .' | sort)" 'umoci unpacks the same names'
fails_with 2 'No such file' ls "$T/nothing"

kill "$REGISTRY_PID"
wait "$REGISTRY_PID" 2>/dev/null
fails_with 1 'connection refused|Connection refused' skopeo inspect --tls-verify=false "docker://$REGISTRY/base:1"
done_testing
