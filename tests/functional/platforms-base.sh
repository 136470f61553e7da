#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A base image that exists for another platform only, and --platform of FROM in all its forms.
# needs: userns overlay skopeo registry
# users: range
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
arch=$(python3 -c 'import platform; print({"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine()))')
other=s390x

context "$T/c" <<<$'FROM scratch\nCOPY <<f /\nf'
works 'an image of another platform' rb build -q --platform "linux/$other" -o "type=oci,dest=$T/other.oci" "$T/c"
start_registry
push_archive "$T/other.oci" other:1 >/dev/null

# build [OPTION...] < Dockerfile
build() { context "$T/d" && rb build --progress=plain -o "type=oci,dest=$T/out.oci" "$@" "$T/d"; }
works 'is a base where nobody asks for a platform' build <<<"FROM $REGISTRY/other:1
COPY <<g /
g"
like "$err" "InvalidBaseImagePlatform: Base image $REGISTRY/other:1 was pulled with platform \"linux/$other\", expected \"linux/$arch\"" 'with a warning'
is "$(oci "$T/out.oci" get .architecture)" $other 'and the result says what it is'
works 'also where one asks' build --platform "linux/$arch" <<<"FROM $REGISTRY/other:1"
like "$err" 'InvalidBaseImagePlatform' 'with a warning'
is "$(oci "$T/out.oci" get .architecture)" "$arch" 'and the result says what was asked for'
works 'on each of several platforms' build --platform "linux/$other,linux/$arch,linux/riscv64" <<<"FROM $REGISTRY/other:1"
like "$err" "other:1 was pulled with platform \"linux/$other\", expected \"linux/$arch\"" 'with a warning'
like "$err" "other:1 was pulled with platform \"linux/$other\", expected \"linux/riscv64\"" 'for each that it is not'
unlike "$err" "expected \"linux/$other\"" 'and none for that which it is'

# FORM ARCHITECTURE VARIANT
while read -r form want variant; do
	works "--platform=$form" build <<<"FROM --platform=$form $REGISTRY/other:1"
	like "$err" "expected \"linux/$want${variant:+/$variant}\"" "means $want $variant"
done <<'EOF'
linux/x86_64 amd64
linux/aarch64 arm64
linux/arm64/v8 arm64
linux/armhf arm v7
linux/arm/7 arm v7
linux/armel arm v6
i386 386
linux/PPC64LE ppc64le
EOF
done_testing
