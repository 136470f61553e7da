#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Registries that misbehave (tests/helpers/badregistry.py): each way ends in one clear error or in the
# image, and the store stays sound (threats S32-S35).
# needs: python3
# timeout: 600
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"

mkfifo "$T/stop" "$T/ports"
python3 "$RB_TEST_SRC/tests/helpers/badregistry.py" --log "$T/log" <"$T/stop" >"$T/ports" &
stop_later $!
exec 9>"$T/stop"
read -r port other <"$T/ports" || bail_out 'badregistry does not start'
R=127.0.0.1:$port

# Each pull has a store of its own, so that every byte comes from the registry.
fresh() { RB_ROOT=$T/store-$1; }
sound() {
	[ ! -d "$RB_ROOT/blobs/sha256" ] || (cd "$RB_ROOT/blobs/sha256" &&
		find . -type f -printf '%f\n' | xargs -r sha256sum | awk '$1 != $2 { print $2 }')
	ls -A "$RB_ROOT/tmp" 2>/dev/null
}

while read -r name <&8; do
	fresh "$name"
	works "$name: pulls" rb pull "$R/$name:1"
	is "$(sound)" '' "$name: the store is sound"
done 8<<'EOT'
ok
parameter
general-type
index
token-good
token-access
token-expires
busy
trouble
reset
redirect
redirect-other
token-redirect-other
no-length
half-once
EOT

# name, what the error must say
while read -r name pattern <&8; do
	fresh "$name"
	fails_with 1 "cannot pull $R/$name:1(@sha256:[0-9a-f]+)?: .*$pattern" rb pull "$R/$name:1"
	is "$(sound)" '' "$name: the store is sound"
done 8<<'EOT'
html answers with text/html instead of a manifest
not-json not valid JSON
deep not valid JSON
schema1 schema 1 is not supported
index-as-manifest served as .*manifest.* but says of itself to be .*index
manifest-as-index served as .*index.* but says of itself to be .*manifest
both has both layers and manifests
twice duplicate object key
nested-index but says of itself to be .*index
path-digest layers\[0\]: digest: expected sha256
sha512 layers\[0\]: digest: expected sha256
huge-size image config: 4611686018427387904 bytes are more than
overflow absurd layer sizes
negative config: size
fewer-layers has diff IDs of 6 layers, the manifest has 3
artifact helm.* is not one of a container image
digest-header Docker-Content-Digest header says otherwise
digest-header-path Docker-Content-Digest header says otherwise
endless-manifest sends more than 4194304 bytes
endless-headers headers without end
endless-refusal no such image or tag
basic private or does not exist.*wants a user name and password \(authentication scheme: Basic\)
no-challenge wants a user name and password
bad-challenge .*WWW-Authenticate header that cannot be read
forbidden refuses access \(HTTP status 403\): "DENIED: \?\[31mred\? \?\? alert"
private private or does not exist.*refuses access \(HTTP status 401\)
realm-remote-http token service that is not allowed.*http://192.0.2.1/token
realm-file token service that is not allowed.*file:///etc/passwd
token-refused access token: .*refuses access \(HTTP status 403\)
token-bad-json token: not valid JSON
token-none the token service sends no usable token
token-header the token service sends no usable token
token-huge access token: .*sends more than 65536 bytes
redirect-remote-http redirects to a place that is not allowed
redirect-file redirects to a place that is not allowed
redirect-user redirects to a place that is not allowed
redirect-nowhere redirects to a place that is not allowed
redirect-loop more than 10 redirects
wrong-config image config: .* sent sha256:.* instead of sha256:
wrong-bytes sent bad bytes: expected sha256:.*, got sha256:
missing-layer layer sha256:.*does not have it \(HTTP status 404\)
long sends more than 143393 bytes
endless-layer sends more than 143393 bytes
says-longer announces 143394 bytes instead of 143393
says-shorter announces 143392 bytes instead of 143393
empty announces 0 bytes instead of 143393
half tried 4 times: .*71697 bytes remaining
no-length-half tried 4 times: .*ended after 71696 of 143393 bytes
broken tried 4 times: .*is in trouble \(HTTP status 500\): "UNKNOWN: disk on fire"
EOT

fresh wrong-digest
fails_with 1 'manifest: .* sent sha256:.* instead of sha256:' \
	rb pull "$R/wrong-digest@sha256:$(printf '%064d' 0)"

requests() { grep -c -E "$1" "$T/log"; }
is "$(requests "^$other GET /blob/.* Bearer")" 0 'a redirect takes no token to another origin'
isnt "$(requests "^$port GET /v2/token-redirect-other/blobs/.* Bearer_good\$")" 0 'the registry itself gets it'
is "$(requests "GET /v2/private/manifests/1 ")" 2 'a fresh token that is refused is not renewed'
is "$(grep 'GET /v2/wrong-bytes/blobs/' "$T/log" | sort | uniq -d)" '' 'bad bytes are not asked for again'

done_testing
