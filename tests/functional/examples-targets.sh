#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# examples/targets: the build stops at the stage that is asked for.
# needs: userns overlay skopeo umoci podman runc
# users: range single
# images: debian-build
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/readback.sh
. "$RB_TEST_SRC/tests/readback.sh"

example=$RB_TEST_SRC/examples/targets
import_base debian-build debian:bookworm

# build TARGET: as $T/TARGET.tar, which $archive names then
build() {
	archive=$T/$1.tar
	works "it builds up to $1" rb build --progress=plain --target "$1" -o "type=oci,dest=$archive" "$example" ||
		bail_out 'it does not build'
}

build build
unlike "$err" '\[(testing|production) ' 'target build: no later stage is begun'
# The next image is this one and two layers: unpacking it once is enough.
inspects "$archive" 'target build'
base_kept "$archive" 'target build'
is "$(grep '^src' "$T/tree" | cut -d ' ' -f 1-4)" \
	$'src d 0755 0:0\nsrc/add.c f 0644 0:0\nsrc/add.h f 0644 0:0\nsrc/add.o f 0644 0:0' 'target build: its files'
is "$(oci "$archive" get .config.WorkingDir) $(oci "$archive" get .config.Cmd)" '/src null' 'target build: config'
is "$(oci "$archive" layers)" 4 'target build: the base, WORKDIR, COPY and RUN'
is "$(oci "$archive" get .history[-1].created_by)" 'RUN /bin/sh -c gcc -O2 -c add.c # buildkit' \
	'target build: the last step of its history'

build testing
like "$err" '\[testing 2/2\] RUN gcc -O2 -o test test.c add.o && ./test > /test-report$' 'target testing: the tests run'
is "$(grep -A 1 '\[build 4/4\] RUN' <<<"$err" | tail -n 1 | cut -d ' ' -f 2)" CACHED 'target testing: build is not built again'
unlike "$err" '\[production ' 'target testing: production is not begun'
readback "$archive" 'target testing'
base_kept "$archive" 'target testing'
is "$(oci "$archive" get .config.Cmd)" '["cat", "/test-report"]' 'target testing: Cmd'
is "$(oci "$archive" cat -1 test-report)" '1 test passed' 'target testing: the report'
is "$(bundle_runs "$archive.d" 2>&1)" '1 test passed' 'target testing: runc prints the report'

build production
unlike "$err" '\[testing ' 'production does not need testing'
readback "$archive" production
is "$(oci "$archive" get .config.Entrypoint) $(oci "$archive" get .config.Cmd)" '["/bin/sum"] null' \
	'production: Entrypoint, and Cmd of no other stage'
unlike "$(oci "$archive" tree)" '^(test-report|src/test)' 'production: no files of testing'
is "$(bundle_runs "$archive.d" /bin/sum 40 2 2>&1)" 42 'production: runc runs it'
is "$(chroot_runs "$archive.d" /bin/sum 1 2 3)" 6 'production: chroot runs it'
rb build -q -o type=image,name=sum "$example" >/dev/null
is "$(rb run sum 19 23)" 42 'production: rbuild runs it'

fails_with 1 'target stage "biuld" could not be found|did you mean' rb build --target biuld "$example"
like "$err" 'did you mean "?build' 'a target that is almost right'
done_testing
