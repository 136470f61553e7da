#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# --metadata-file (dockerfile.md 7.6): what it says of images, of indexes and of files, and that a build that
# fails leaves none.
# users: range single
# needs: userns overlay skopeo python3
# images: busybox
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"

import_base busybox
context "$T/c" <<<$'FROM busybox\nRUN echo x >/f\nLABEL a=b'
m=$T/meta.json
# get KEY...: a value of the file, by a path of keys
get() { python3 -c 'import functools, json, sys; v = functools.reduce(lambda d, k: d[k], sys.argv[2:], json.load(open(sys.argv[1]))); print(v if isinstance(v, (str, int)) else " ".join(v))' "$m" "$@"; }
# sum ARCHIVE: digest and size of what its index.json names, by other people's tools
sum() { skopeo inspect --raw "oci-archive:$1" >"$T/raw" && echo "sha256:$(sha256sum <"$T/raw" | cut -d' ' -f1) $(wc -c <"$T/raw")"; }

works 'an archive' rb -t app:1 -t "localhost:5000/app" --metadata-file "$m" --iidfile "$T/iid" -o "type=oci,dest=$T/o.oci" "$T/c"
is "$(get)" 'containerimage.config.digest containerimage.descriptor containerimage.digest image.name' 'has these keys'
is "$(get containerimage.digest) $(get containerimage.descriptor size)" "$(sum "$T/o.oci")" 'digest and size of the manifest'
is "$(get containerimage.descriptor mediaType) $(get containerimage.descriptor digest)" "application/vnd.oci.image.manifest.v1+json $(get containerimage.digest)" 'its descriptor'
is "$(get containerimage.config.digest)" "$(python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))["config"]["digest"])' "$T/raw")" 'the digest of its config'
is "$(get containerimage.config.digest)" "$(cat "$T/iid")" 'which is the image ID'
is "$(get image.name)" 'docker.io/library/app:1,localhost:5000/app:latest' 'and the names'
is "$(stat -c %a "$m") $(find "$T" -maxdepth 1 -name '*.json*' | wc -l)" '644 1' 'nothing lies beside it'
digest=$(get containerimage.digest)
works 'an image in the store' rb -q --metadata-file "$m" "$T/c"
is "$(get) $(get containerimage.digest)" "containerimage.config.digest containerimage.descriptor containerimage.digest $digest" 'has the same digest; without a name there is none'
is "$out" "$(cat "$T/iid")" '-q has the image ID'
works 'several outputs' rb --metadata-file "$m" -o "type=local,dest=$T/l" -o "type=oci,dest=$T/z.oci,compression=zstd,name=other" -o type=image "$T/c"
is "$(get containerimage.digest) $(get containerimage.descriptor size) $(get image.name)" "$(sum "$T/z.oci") docker.io/library/other:latest" 'the first that makes an image is told of'

context "$T/p" <<<$'FROM scratch\nCOPY Dockerfile /f'
works 'several platforms' rb -q --platform linux/amd64,linux/arm64 --metadata-file "$m" -o "type=oci,dest=$T/p.oci" "$T/p"
is "$(get containerimage.digest) $(get containerimage.descriptor size)" "$(sum "$T/p.oci")" 'have an index'
is "$(get) $(get containerimage.descriptor mediaType)" 'containerimage.descriptor containerimage.digest application/vnd.oci.image.index.v1+json' 'and no config'
is "$out" "$(get containerimage.digest)" 'whose digest -q has'

for output in "type=local,dest=$T/l2" type=cacheonly; do
	works "${output%%,*}" rb --metadata-file "$m" -o "$output" "$T/c"
	is "$(cat "$m")" '{}' 'there is nothing to tell'
done
context "$T/bad" <<<$'FROM busybox\nRUN false'
fails_with 1 'Dockerfile:2: process ' rb --metadata-file "$m" "$T/bad"
is "$(find "$T" -maxdepth 1 -name 'meta*')" '' 'a build that fails leaves none, not even the old one'
fails_with 1 '^rbuild: --metadata-file: cannot write .*/no/x: No such file' rb --metadata-file "$T/no/x" "$T/bad"
fails_with 1 '^rbuild: --metadata-file: cannot replace .*/c: Is a directory' rb --metadata-file "$T/c" "$T/bad"
works 'an empty one is none' rb --metadata-file= "$T/c"

done_testing
