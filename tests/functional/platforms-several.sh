#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# --platform with several values: one plan each, an index of the results, directories of local output.
# needs: userns overlay skopeo
# users: range single
# images: busybox
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
import_base busybox
native=$(python3 -c 'import platform; print({"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine()))')
other=arm64
[ "$native" = arm64 ] && other=amd64

context "$T/c" <<'EOF'
FROM --platform=$BUILDPLATFORM busybox AS build
ARG BUILDPLATFORM
RUN cat /proc/sys/kernel/random/uuid >/shared && echo "on $BUILDPLATFORM" >>/shared
ARG TARGETARCH
RUN echo "for $TARGETARCH" >/out
FROM scratch
ARG TARGETPLATFORM
COPY --from=build /shared /shared
COPY --from=build /out /out
COPY file /
ENV FOR=$TARGETPLATFORM
EOF
echo content >"$T/c/file"
both=linux/$native,linux/$other

works 'two platforms' rb build --progress=plain --platform "$both" --platform "linux/$native" -t two --iidfile "$T/id" \
	-o type=image -o "type=oci,dest=$T/two.oci" -o "type=local,dest=$T/local" "$T/c" || done_testing
like "$err" "^#[0-9]+ \[linux/$native build 2/3\] RUN cat /proc" 'steps tell the platform'
like "$err" "^#[0-9]+ \[linux/$native->$other build 3/3\] RUN echo" 'and that of their target where it is another'
like "$err" "^#[0-9]+ \[linux/$other stage-1 3/3\] COPY file" 'a stage of the other platform'
is "$(cat "$T/local/linux_$native/shared")" "$(cat "$T/local/linux_$other/shared")" 'what is the same was run once'
is "$(cat "$T/local/linux_$native/out" "$T/local/linux_$other/out")" "for $native
for $other" 'what is not, twice'
is "$(ls "$T/local")" "$(printf 'linux_%s\n' "$native" "$other" | sort)" 'a directory for each'

# --- the archive, read by others
is "$(skopeo inspect --raw "oci-archive:$T/two.oci" | python3 -c '
import json, sys
d = json.load(sys.stdin)
print(d["mediaType"], " ".join("%(os)s/%(architecture)s" % m["platform"] for m in d["manifests"]))')" \
	"application/vnd.oci.image.index.v1+json linux/$native linux/$other" 'an index with platforms'
is "$(skopeo inspect --raw "oci-archive:$T/two.oci" | sha256sum | cut -d ' ' -f 1)" "$(sed s/sha256:// "$T/id")" 'its digest is what --iidfile has'
for arch in $native $other; do
	is "$(skopeo inspect --override-arch "$arch" --config "oci-archive:$T/two.oci" | python3 -c '
import json, sys
d = json.load(sys.stdin)
print(d["os"], d["architecture"], d["config"]["Env"][-1], len(d["rootfs"]["diff_ids"]))')" \
		"linux $arch FOR=linux/$arch 3" "the config of $arch"
done
works 'skopeo copies all of it' skopeo copy --quiet --all "oci-archive:$T/two.oci" "oci:$T/layout:two"

# --- again, and in the store
works 'again' rb build -q --platform "$both" -t two "$T/c"
is "$out" "$(cat "$T/id")" '-q prints the digest of the index, and it is the same'
like "$(rb images)" "two:latest +linux/$native" 'the store has it for this machine'
like "$(rb images)" "two:latest +linux/$other" 'and for the other'
context "$T/from" <<<$'FROM two\nCOPY <<e /e\ne'
works 'both serve as a base' rb build --progress=plain --platform "$both" -o type=cacheonly "$T/from"
works 'without the cache what is the same still runs once' rb build --progress=plain --no-cache --platform "$both" -o "type=local,dest=$T/again" "$T/c"
is "$(cat "$T/again/linux_$native/shared")" "$(cat "$T/again/linux_$other/shared")" 'once for both'
isnt "$(cat "$T/again/linux_$native/shared")" "$(cat "$T/local/linux_$native/shared")" 'but anew'

# --- one platform as an index, and one that is not
works 'BUILDKIT_MULTI_PLATFORM=1' rb build -q --build-arg BUILDKIT_MULTI_PLATFORM=1 -o "type=oci,dest=$T/one.oci" "$T/c"
like "$(skopeo inspect --raw "oci-archive:$T/one.oci")" 'image.index.v1' 'makes an index of one'
works 'the other alone' rb build -q --platform "linux/$other" -o "type=oci,dest=$T/alone.oci" "$T/c"
like "$(skopeo inspect --raw "oci-archive:$T/alone.oci")" 'image.manifest.v1' 'is no index'
is "$(oci "$T/alone.oci" get .architecture)" "$other" 'and is for that platform'

# --- refusals
fails_with 1 'docker exporter does not currently support exporting manifest lists' rb build --platform "$both" -o "type=docker,dest=$T/x" "$T/c"
fails_with 1 'trees of several platforms cannot share a directory' rb build --platform "$both" -o "type=local,dest=$T/x,platform-split=false" "$T/c"
works 'platform-split=true' rb build -q -o "type=local,dest=$T/split,platform-split=true" "$T/c"
is "$(ls "$T/split")" "linux_$native" 'one directory'
fails_with 2 '--platform: failed to parse platform' rb build --platform "linux/$native,no/such/thing/x" "$T/c"
works 'plan' rb plan --platform "$both" "$T/c"
is "$(grep -c '^linux/.*:$' <<<"$out")" 2 'is told for each'

done_testing
