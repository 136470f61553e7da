#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Pulling from a real registry: both families of documents, indexes, tags and digests, damaged blobs.
# needs: registry skopeo umoci
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"

# shellcheck disable=SC2119
start_registry
data=$T/registry-${REGISTRY##*:}/docker/registry/v2

# Two layers, the second large enough to be in flight for a while.
umoci init --layout "$T/oci" && umoci new --image "$T/oci:base"
mkdir -p "$T/one/etc" "$T/two"
echo one >"$T/one/etc/one"
head -c 3000000 /dev/urandom >"$T/two/two"
for name in one two; do
	tar -C "$T/$name" -cf "$T/$name.tar" .
	umoci raw add-layer --image "$T/oci:base" "$T/$name.tar"
done
push() { skopeo copy --quiet --dest-tls-verify=false "$@"; }
push "oci:$T/oci:base" "docker://$REGISTRY/oci:1" || bail_out 'skopeo cannot push'
push --format v2s2 "oci:$T/oci:base" "docker://$REGISTRY/docker:1"
# manifest NAME: bytes as the registry serves them
manifest() { skopeo inspect --raw --tls-verify=false "docker://$REGISTRY/$1"; }
manifest oci:1 >"$T/oci.json"
manifest docker:1 >"$T/docker.json"
digest() { echo "sha256:$(sha256sum <"$1" | cut -d' ' -f1)"; }
id=$(python3 -c 'import json, sys; print(json.load(sys.stdin)["config"]["digest"])' <"$T/oci.json")

# fresh NAME REFERENCE [OPTION...]: pulls into an empty store
fresh() {
	local name=$1 reference=$2
	shift 2
	RB_ROOT=$T/store-$((++stores))
	works "$name" rb pull "$@" "$reference" && is "$out" "$id" "$name: prints the image ID"
}
stores=0

# The blobs of the store are what their names say, and nothing else was left behind.
sound() {
	local bad
	bad=$(cd "$RB_ROOT/blobs/sha256" && sha256sum -- * | awk '$1 != $2 { print $2 }')
	is "$bad$(ls -A "$RB_ROOT/tmp" 2>/dev/null)" '' "$1: the store is sound"
}

fresh 'an OCI manifest by tag' "$REGISTRY/oci:1"
sound 'after a pull'
is "$(cd "$RB_ROOT/blobs/sha256" && find . -type f | wc -l)" 4 'manifest, config and two layers are stored'
is "$(digest "$RB_ROOT/blobs/sha256/$(sha256sum <"$T/oci.json" | cut -d' ' -f1)")" "$(digest "$T/oci.json")" \
	'the manifest is stored as it came'
before=$(grep -c '/blobs/' "$REGISTRY_LOG")
like "$(rb images)" "^$REGISTRY/oci:1 .* $(date -u +%Y)-[0-9-]+ [0-9:]+  pull$" 'images says when it was pulled'
works 'a second pull' rb pull "$REGISTRY/oci:1"
is "$(grep -c '/blobs/' "$REGISTRY_LOG")" "$before" 'a second pull fetches no blob'
fresh 'a Docker manifest by tag' "$REGISTRY/docker:1"
fresh 'by digest' "$REGISTRY/oci@$(digest "$T/oci.json")"
fresh 'the digest counts beside a tag' "$REGISTRY/oci:nosuch@$(digest "$T/oci.json")"
fresh 'by the name localhost' "localhost:${REGISTRY##*:}/oci:1"

python3 - "$REGISTRY" "$T" <<-'EOT' || bail_out 'cannot push an index'
	import hashlib, json, sys, urllib.request
	registry, t = sys.argv[1:]
	kinds = {"oci": ("application/vnd.oci.image.manifest.v1+json", "application/vnd.oci.image.index.v1+json"),
	         "docker": ("application/vnd.docker.distribution.manifest.v2+json",
	                    "application/vnd.docker.distribution.manifest.list.v2+json")}
	opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
	for name, (manifest, index) in kinds.items():
	    data = open(f"{t}/{name}.json", "rb").read()
	    entry = {"mediaType": manifest, "digest": "sha256:" + hashlib.sha256(data).hexdigest(), "size": len(data)}
	    body = json.dumps({"schemaVersion": 2, "mediaType": index, "manifests": [
	        dict(entry, platform={"os": "linux", "architecture": a}) for a in ("arm64", "amd64")]}).encode()
	    opener.open(urllib.request.Request(f"http://{registry}/v2/{name}/manifests/index", body,
	                                       {"Content-Type": index}, method="PUT"))
EOT
fresh 'an OCI index' "$REGISTRY/oci:index" --platform linux/amd64
fresh 'a Docker manifest list' "$REGISTRY/docker:index" --platform linux/arm64
fails_with 1 'no image for platform linux/s390x \(there is: linux/arm64, linux/amd64\)' \
	rb pull --platform linux/s390x "$REGISTRY/oci:index"

fails_with 1 "$REGISTRY/oci:nosuch.*no such image or tag.*private.*MANIFEST_UNKNOWN" rb pull "$REGISTRY/oci:nosuch"
fails_with 1 "$REGISTRY/nosuch:latest.*no such image or tag" rb pull "$REGISTRY/nosuch"

# A proxy of the environment is not asked for loopback.
RB_ROOT=$T/store-proxy
works 'loopback goes past proxies' env http_proxy=http://127.0.0.1:9 https_proxy=http://127.0.0.1:9 \
	all_proxy=http://127.0.0.1:9 "$RBUILD" --root "$RB_ROOT" pull "$REGISTRY/oci:1"

large=$(find "$data/blobs" -name data -size +2000k)
cp "$large" "$T/large"
printf X | dd of="$large" bs=1 seek=100000 conv=notrunc status=none
RB_ROOT=$T/store-damaged
fails_with 1 'layer sha256:.*sent bad bytes' rb pull "$REGISTRY/oci:1"
sound 'after a damaged layer'
cp "$T/large" "$large"
works 'the next pull takes what was missing' rb pull "$REGISTRY/oci:1"
sound 'after both'

kill "$REGISTRY_PID"
wait "$REGISTRY_PID" 2>/dev/null
fails_with 1 'cannot connect to .*: Connection refused \(is the registry running there\?\)' \
	rb pull "$REGISTRY/oci:other"
done_testing
