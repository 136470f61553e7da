#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# ARG and --build-arg: scopes, order of values, what is given by itself, special names, history and cache; what
# else of a Dockerfile depends on names of stages.
# needs: userns overlay skopeo
# users: range single
# images: busybox
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
import_base busybox
arch=$(python3 -c 'import platform; print({"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine()))')

# said: what the steps of the last build printed
said() { sed -n 's/^#[0-9]* [0-9]*\.[0-9]* //p' <<<"$err"; }
# build [OPTION...] < Dockerfile
build() { context "$T/c" && rb build --progress=plain "$@" "$T/c"; }

# --- scopes
works 'global and stage scope' build --build-arg GIVEN=cli --build-arg LATE=cli <<'EOF'
ARG IMAGE=busybox
ARG SECOND=${IMAGE}-more GIVEN=default
FROM ${IMAGE} AS base
ARG SECOND
ARG GIVEN
ARG OWN=$SECOND LAST=$OWN
RUN echo "$SECOND|$GIVEN|$OWN|$LAST|${IMAGE-unset}"
ARG LATE
FROM base
RUN echo "$SECOND|$GIVEN|$LATE|$OWN"
ARG IMAGE=mine
RUN echo "$IMAGE"
EOF
is "$(said)" 'busybox-more|cli|busybox-more|busybox-more|unset
busybox-more|cli|cli|busybox-more
mine' 'have the values that they should'
fails_with 1 'Dockerfile:4: base name \(\$OTHER\) should not be blank' build <<<$'FROM busybox AS OTHER1\nARG OTHER=busybox\nENV OTHER=busybox\nFROM $OTHER'

# --- ENV and ARG: the last one counts
works 'ENV and ARG' build --build-arg A=cli --build-arg EMPTY= -o "type=oci,dest=$T/out.oci" <<'EOF'
FROM busybox
ARG A=1
ENV A=2
RUN echo "ENV after ARG: $A"
ENV B=2
ARG B=1
RUN echo "ARG after ENV: $B"
ARG EMPTY=default
ARG NOTHING
RUN echo "[$EMPTY][${NOTHING-unset}]"
ENV C=1 D=$C
ENV D2=$C
RUN echo "[$D][$D2]"
EOF
is "$(said)" 'ENV after ARG: 2
ARG after ENV: 1
[][unset]
[][1]' 'the last one counts, an instruction sees what was before it'
is "$(oci "$T/out.oci" get .config.Env | python3 -c 'import json, sys; print(*json.load(sys.stdin)[1:])')" 'A=2 B=2 C=1 D= D2=1' 'the image has what ENV said'
like "$(oci "$T/out.oci" get .history | grep -o 'RUN |[^#]*B[^#]*ARG after' | tail -n 1)" 'RUN \|2 A=2 B=1 /bin/sh' 'history has the arguments with their values'
like "$(oci "$T/out.oci" get .history)" '"ARG EMPTY="' 'an empty one'
like "$(oci "$T/out.oci" get .history)" '"ARG NOTHING"' 'one without a value'
works 'an unused argument' build --build-arg A=cli --build-arg NEW=2 <<<$'FROM busybox\nARG A\nARG NEW\nRUN echo same'
works 'that changes' build --build-arg A=cli --build-arg NEW=3 <<<$'FROM busybox\nARG A\nARG NEW\nRUN echo same'
like "$(step_states <<<"$err")" '^DONE .*RUN echo same' 'makes the next RUN run again'
is "$(said)" same 'indeed'
works 'an argument that no ARG names' build --build-arg A=cli --build-arg NEW=3 --build-arg OTHER=x <<<$'FROM busybox\nARG A\nARG NEW\nRUN echo same'
is "$(said)" '' 'does not'

# --- given by themselves
automatic='FROM busybox AS one
ARG BUILDPLATFORM BUILDOS BUILDOSVERSION BUILDARCH BUILDVARIANT
ARG TARGETPLATFORM TARGETOS TARGETOSVERSION TARGETARCH TARGETVARIANT TARGETSTAGE
RUN echo "$BUILDPLATFORM $BUILDOS [$BUILDOSVERSION] $BUILDARCH [$BUILDVARIANT]"; echo "$TARGETPLATFORM $TARGETOS [$TARGETOSVERSION] $TARGETARCH [$TARGETVARIANT] $TARGETSTAGE"
FROM one AS two'
works 'platforms' build <<<"$automatic"
is "$(said)" "linux/$arch linux [] $arch []
linux/$arch linux [] $arch [] two" 'and the last stage'
works 'with a target' build --no-cache --target ONE --build-arg TARGETOS=plan9 <<<"$automatic"
like "$(said)" "^linux/$arch plan9 \[\] $arch \[\] ONE$" 'its name as written; one can be replaced'
works 'without names' build <<<$'FROM busybox\nARG TARGETSTAGE\nRUN echo "<$TARGETSTAGE><${TARGETARCH-unset}>"'
is "$(said)" '<default><unset>' 'the stage is default, what was not declared is not there'
works 'in FROM' build --build-arg V=x <<<$'ARG V\nARG N=$TARGETARCH\nFROM --platform=$BUILDPLATFORM busybox AS s-amd64\nFROM s-amd64 AS s-arm64\nFROM s-${N}\nRUN echo ok'
like "$err" 'ok$' 'names of stages are expanded'

# --- proxies
works 'proxies' build --build-arg HTTP_proxy=http://secret-proxy -o "type=oci,dest=$T/out.oci" <<<$'FROM busybox\nRUN echo "$http_proxy $HTTP_PROXY" | tr a-z A-Z'
is "$(said)" 'HTTP://SECRET-PROXY HTTP://SECRET-PROXY' 'reach RUN in both spellings'
unlike "$(oci "$T/out.oci" config)" 'secret-proxy' 'and nothing else'
works 'another proxy' build --build-arg http_proxy=http://other <<<$'FROM busybox\nRUN echo "$http_proxy $HTTP_PROXY" | tr a-z A-Z'
is "$(said)" '' 'does not make the step run again'

# --- special names
works 'special names' build --build-arg BUILDKIT_BUILD_NAME=x --build-arg BUILDKIT_SYNTAX=docker/dockerfile:1 <<<$'# syntax=example/other\nFROM busybox\nRUN true'
unlike "$err" 'BUILDKIT|syntax' 'are taken in silence where they work'
works 'a foreign syntax' build <<<$'# syntax=example/other:1\nFROM busybox\nRUN true'
like "$err" '# syntax=example/other:1 is not fetched or run' 'is told'
works 'the usual ones' build <<<$'# syntax=docker.io/docker/dockerfile:1.7-labs\nFROM busybox\nRUN true'
unlike "$err" 'not fetched' 'are not'
works 'a name misspelt' build --build-arg BUILDKIT_INLINE_CASHE=1 <<<$'FROM busybox'
like "$err" 'BUILDKIT_INLINE_CASHE has no special meaning \(did you mean BUILDKIT_INLINE_CACHE\?\)' 'is told'
works 'what is no boolean' build --build-arg BUILDKIT_MULTI_PLATFORM=maybe <<<$'FROM busybox'
like "$err" 'BUILDKIT_MULTI_PLATFORM=maybe counts as false: it is true or false' 'is told'
works 'what has no effect yet' build --build-arg SOURCE_DATE_EPOCH=0 --build-arg BUILDKIT_SBOM_SCAN_CONTEXT=1 --build-arg BUILDKIT_SBOM_SCAN_STAGE=1 <<<$'FROM busybox\nARG SOURCE_DATE_EPOCH\nARG BUILDKIT_SBOM_SCAN_STAGE\nRUN echo "$SOURCE_DATE_EPOCH ${BUILDKIT_SBOM_SCAN_STAGE-unset}"'
like "$err" 'BUILDKIT_SBOM_SCAN_CONTEXT: this version of rbuild makes no SBOM' 'is told'
is "$(said)" '0 unset' 'what steps see'
fails_with 2 'BUILDKIT_DISABLE_FILEOP is not there any more' build --build-arg BUILDKIT_DISABLE_FILEOP=1 <<<'FROM busybox'

# --- names of stages
works 'a name used twice' build <<<$'FROM busybox AS x\nRUN echo first >/n\nFROM busybox AS x\nRUN echo second >/n\nFROM x\nRUN cat /n'
is "$(said)" second 'means the last one before'
fails_with 1 'must be lowercase' build <<<$'FROM busybox AS base\nFROM BASE'
works '--target by number' build --target 0 <<<$'FROM busybox AS x\nRUN echo zero\nFROM nothere\nRUN false'
is "$(said)" zero 'the first stage'
fails_with 1 'target stage "tow" could not be found \(did you mean two\?\)' build --target tow <<<$'FROM busybox AS one\nFROM one AS two'
fails_with 1 'Dockerfile:2: circular dependency detected on stage: one' build <<<$'FROM busybox AS one\nCOPY --from=one /a /a'
fails_with 1 'circular dependency detected on stage: one: it takes from two \(line 3\)' build <<<$'FROM busybox AS one\nCOPY --from=two /a /a\nFROM one AS two'
fails_with 1 'cannot copy from stage "two", it needs to be defined before current stage "one"' build --target one <<<$'FROM busybox AS one\nCOPY --from=two /a /a\nFROM busybox AS two'
fails_with 1 'cannot mount from stage "two" to "/m", stage needs to be defined before current command' build --target one <<<$'FROM busybox AS one\nRUN --mount=from=two,target=/m true\nFROM busybox AS two'
fails_with 1 'invalid stage index 4' build <<<$'FROM busybox\nCOPY --from=4 /a /a'
fails_with 1 'Dockerfile:2: empty platform value from expression \$NOPE' build <<<$'ARG X\nFROM --platform=$NOPE busybox'
fails_with 1 'Dockerfile:1: failed to parse platform linux/a/b/c' build <<<$'FROM --platform=linux/a/b/c busybox'
fails_with 1 "invalid name for build stage: \"1x\", name can't start with a number" build <<<$'FROM busybox AS 1x'
fails_with 1 'FROM requires either one or three arguments' build <<<$'FROM busybox AS'

done_testing
