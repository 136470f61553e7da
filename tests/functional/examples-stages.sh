#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# examples/two-stages, named-stage, shared-base and hello: built by a plain user, read back and run by
# the tools of others.
# needs: userns overlay skopeo umoci podman runc
# users: range single
# images: debian-build
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/readback.sh
. "$RB_TEST_SRC/tests/readback.sh"

examples=$RB_TEST_SRC/examples
import_base debian-build debian:bookworm

# build NAME [OPTION...]: examples/NAME as $T/NAME.tar
build() {
	local name=$1
	shift
	works "$name builds" rb build --progress=plain -t "example/$name" --iidfile "$T/$name.id" \
		-o type=image -o "type=oci,dest=$T/$name.tar" "$@" "$examples/$name" || bail_out "$name does not build"
}

# hello_world NAME STEPS: the result of the first two examples
hello_world() {
	local name=$1
	readback "$T/$name.tar" "$name"
	is "$(oci "$T/$name.tar" layers)" 1 "$name: one layer"
	is "$(oci "$T/$name.tar" list 0 | cut -d ' ' -f 1-4)" $'bin d 0755 0:0\nbin/hello f 0755 0:0' \
		"$name: its only file is the compiled one"
	is "$(oci "$T/$name.tar" get .config.Cmd)" '["/bin/hello"]' "$name: Cmd"
	is "$(oci "$T/$name.tar" get .config.Entrypoint)" null "$name: no Entrypoint"
	is "$(oci "$T/$name.tar" get .history[0].created_by)" 'COPY /bin/hello /bin/hello # buildkit' \
		"$name: history begins in the last stage"
	is "$(stat -c %a "$T/$name.tar.d/rootfs/bin/hello")" 755 "$name: mode on disk"
	is "$(chroot_runs "$T/$name.tar.d" /bin/hello)" 'hello, world' "$name: chroot runs it"
	is "$(bundle_runs "$T/$name.tar.d" 2>&1)" 'hello, world' "$name: runc runs it"
	works "$name: rbuild runs it" rb run "example/$name" && is "$out" 'hello, world' "$name: its output"
}

build two-stages
like "$err" '^#[0-9]+ \[stage-0 4/4\] RUN gcc -static -O2 -o /bin/hello ./main.c$' 'the stage without a name is stage-0'
like "$err" '^#[0-9]+ \[stage-1 1/1\] COPY --from=0 /bin/hello /bin/hello$' 'it is copied from by its number'
hello_world two-stages

build named-stage
like "$err" '^#[0-9]+ \[build 4/4\] RUN gcc' 'a stage is named in lower case'
like "$err" '^#[0-9]+ \[stage-1 1/1\] COPY --from=BUILD' 'it is copied from in any case'
hello_world named-stage
is "$(cat "$T/named-stage.id")" "$(cat "$T/two-stages.id")" 'the name changes nothing in the image'
works 'the name in mixed case' rb build -q --target bUiLd "$examples/named-stage"

build shared-base
is "$(grep -c '\] RUN gcc --version > /compiler$' <<<"$err")" 1 'the shared stage runs once'
for program in one:1 two:2; do
	like "$err" "\\[build${program#*:} 2/2\\] RUN gcc -static -o /bin/${program%:*}" "stage build${program#*:} runs"
done
archive=$T/shared-base.tar
readback "$archive" shared-base
is "$(oci "$archive" tree | cut -d ' ' -f 1-4)" \
	$'bin d 0755 0:0\nbin/one f 0755 0:0\nbin/two f 0755 0:0\ncompiler f 0644 0:0' \
	'shared-base: the files of three stages'
is "$(oci "$archive" layers)" 3 'shared-base: a layer for each COPY'
is "$(bundle_runs "$archive.d" 2>&1)" 'this is one' 'shared-base: runc runs one'
is "$(chroot_runs "$archive.d" /bin/two)" 'this is two' 'shared-base: chroot runs two'
like "$(cat "$archive.d/rootfs/compiler")" '^(gcc|cc) .*[0-9]' 'shared-base: what the base stage found'
is "$(rb run example/shared-base /bin/two)" 'this is two' 'shared-base: another command'

build hello
like "$err" '^#[0-9]+ \[build 4/4\] RUN make hello$' 'hello: make runs'
unlike "$err" '\[testing ' 'hello: the stage that tests is not needed and not built'
archive=$T/hello.tar
readback "$archive" hello
is "$(oci "$archive" get .config.Entrypoint) $(oci "$archive" get .config.Cmd)" '["/bin/hello"] ["world"]' \
	'hello: Entrypoint and Cmd'
is "$(oci "$archive" get .config.Env)" '["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]' \
	'hello: the PATH of an image from scratch'
is "$(oci "$archive" tree | cut -d ' ' -f 1-4)" $'bin d 0755 0:0\nbin/hello f 0755 0:0' 'hello: one file'
is "$(bundle_runs "$archive.d" 2>&1)" 'hello, world' 'hello: runc runs it'
is "$(rb run example/hello everybody)" 'hello, everybody' 'hello: an argument replaces Cmd'
works 'hello up to testing' rb build --progress=plain --target testing "$examples/hello"
like "$err" '^#[0-9]+ [0-9.]+ 2 tests passed$' 'hello: its tests run in the build'

build hello
is "$(grep -c '\] RUN ' <<<"$err")" "$(grep -A 1 '\] RUN ' <<<"$err" | grep -c ' CACHED$')" 'a second build runs nothing'
done_testing
