#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# RUN for another architecture: i386 by the kernel, arm64 by a qemu of the caller's PATH or by one that binfmt_misc
# has, and what is said where there is none. A binfmt_misc of a user namespace (Linux 6.7) stands for the host's.
# needs: userns overlay
# users: range single
# images: busybox busybox-arm64 busybox-i386 qemu-aarch64
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
[ "$(uname -m)" = x86_64 ] || skip_all 'written for x86-64'
[ -e /proc/sys/fs/binfmt_misc/status ] && grep -qs '^magic 7f454c460201.*b700$' /proc/sys/fs/binfmt_misc/* &&
	skip_all 'this machine runs arm64 already'

mkdir "$T/c" "$T/emulator"
for arch in arm64 i386; do
	name=busybox-$arch
	tar -xOf "$(base_image "$name")" bin/busybox >"$T/c/busybox-${arch/i386/386}"
done
name=qemu-aarch64
tar -C "$T/emulator" -xf "$(base_image "$name")"
chmod 755 "$T"/c/busybox-*
cat >"$T/c/Dockerfile" <<'EOF'
FROM scratch
ARG TARGETARCH
COPY --chmod=755 busybox-$TARGETARCH /bin/busybox
SHELL ["/bin/busybox", "sh", "-c"]
RUN echo "machine: $(/bin/busybox uname -m)"; /bin/busybox nc -w 1 127.0.0.1 9; /bin/busybox mkdir /made && /bin/busybox chown 1:2 /made
EOF
# build COMMAND...: with these words before rbuild
build() { "$@" "$RBUILD" --root "$RB_ROOT" build --no-cache --progress=plain --platform "${platform:-linux/arm64}" -o "type=oci,dest=$T/out.oci" "$T/c"; }

# --- i386
platform=linux/386
works 'linux/386 runs as it is' build env
like "$err" '^#[0-9]+ [0-9.]+ machine: [a-z0-9_]+$' 'a program says something'
like "$err" "can't connect to remote host" 'its sockets work, which go through socketcall'
is "$(oci "$T/out.oci" get .architecture)" 386 'the config says so'
platform=

# --- no emulator
fails_with 1 'Dockerfile:5: exec: "/bin/busybox": exec format error: the program is for arm64 and this machine is amd64: there is no emulator for it; put a static qemu-aarch64 into PATH' build env
mkdir "$T/script"
printf '#!/bin/sh\n' >"$T/script/qemu-aarch64"
chmod 755 "$T/script/qemu-aarch64"
fails_with 1 'there is no emulator for it' build env PATH="$T/script:$PATH"

if [ "$(printf '6.7\n%s\n' "$(uname -r)" | sort -V | head -n 1)" != 6.7 ]; then
	skip 'emulation' linux-6.7 'binfmt_misc belongs to user namespaces since Linux 6.7'
	done_testing
fi

# --- one of the caller's
works 'arm64 runs by a qemu of PATH' build env PATH="$T/emulator/bin:$PATH"
like "$err" 'machine: aarch64' 'emulated'
is "$(oci "$T/out.oci" list -1 | cut -d ' ' -f 1-4)" 'made d 0755 1:2' 'with the right owners'
is "$(oci "$T/out.oci" get .architecture)" arm64 'the config says so'
tar -xOf "$(base_image busybox)" bin/busybox >"$T/c/busybox-amd64"
platform=linux/amd64,linux/arm64 works 'both in one build' build env PATH="$T/emulator/bin:$PATH"
like "$err" 'machine: x86_64' 'natively'
like "$err" 'machine: aarch64' 'and emulated'

works 'it can be kept' env PATH="$T/emulator/bin:$PATH" "$RBUILD" --root "$RB_ROOT" build -q --platform linux/arm64 -t kept "$T/c"
works 'and run' env PATH="$T/emulator/bin:$PATH" "$RBUILD" --root "$RB_ROOT" run "$out" /bin/busybox uname -m
is "$out" aarch64 'by the emulator'

# --- the host's
line=':qemu-aarch64:M::\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00:\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff:'$T/emulator/bin/qemu-aarch64:
# registered FLAGS SETTING COMMAND...: in a namespace whose binfmt_misc has an entry for arm64
registered() {
	local map=(--map-root-user)
	[ "$RB_TEST_RUNG" = range ] && map+=(--map-auto)
	unshare -U "${map[@]}" -m bash -c '
		mount -t binfmt_misc none /proc/sys/fs/binfmt_misc && printf %s "$0" >/proc/sys/fs/binfmt_misc/register || exit 99
		[ -z "$1" ] || echo "$1" >/proc/sys/fs/binfmt_misc/qemu-aarch64
		shift && exec "$@"' "$line$1" "$2" "${@:3}"
}
if registered F '' true 2>/dev/null; then
	RB_ROOT=$T/other
	works 'arm64 runs by an entry of binfmt_misc' build registered F ''
	like "$err" 'machine: aarch64' 'emulated'
	fails_with 1 'qemu-aarch64 hands it to .*/emulator/bin/qemu-aarch64, which is not in the image: the entry needs the flag F' build registered '' ''
	fails_with 1 'qemu-aarch64 is disabled: echo 1 ' build registered F 0
	works 'one without F stands in nobody.s way' build registered '' '' env PATH="$T/emulator/bin:$PATH"
else
	skip 'entries of binfmt_misc' binfmt 'binfmt_misc cannot be mounted here'
fi
done_testing
