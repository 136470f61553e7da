#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# examples/pruning and copy-from-image: a stage that is not needed is not built, and an image that is
# not in the store is pulled.
# needs: userns overlay registry skopeo umoci podman runc
# users: range single
# images: debian
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/readback.sh
. "$RB_TEST_SRC/tests/readback.sh"

examples=$RB_TEST_SRC/examples
import_base debian debian:bookworm

works 'plan of a target' rb plan --target stage2 "$examples/pruning"
is "$out" "base
  from image debian:bookworm (local)
  build  [base 2/2] RUN echo \"base\"
stage1: skipped
stage2 (target)
  from stage base
  build  [stage2 1/1] RUN echo \"stage2\" > /stage2" 'plan: what would be built'
archive=$T/stage2.tar
works 'target stage2' rb build --progress=plain --target stage2 -o "type=oci,dest=$archive" "$examples/pruning"
unlike "$err" 'stage1' 'target stage2: stage1 does not run'
readback "$archive" 'target stage2'
is "$(oci "$archive" layers)" 3 'target stage2: the base and two steps'
is "$(oci "$archive" list -1 | cut -d ' ' -f 1-4 | grep -v '^etc ')" 'stage2 f 0644 0:0' 'target stage2: its file'
is "$(bundle_runs "$archive.d" 2>&1)" stage2 'target stage2: runc prints it'
works 'the last stage is the default' rb build --progress=plain "$examples/pruning"
unlike "$err" 'stage1' 'the default target: stage1 does not run'

fails_with 1 '^rbuild: Dockerfile:7: process "/bin/sh -c echo "stage1" && false" did not complete successfully: exit code: 1 ' \
	rb build --progress=plain --target stage1 "$examples/pruning"
like "$err" '^#[0-9]+ [0-9.]+ stage1$' 'target stage1: the output of the step'
unlike "$err" '\[stage2 ' 'target stage1: stage2 does not run'
is "$(sed -n '/^Dockerfile:7$/,/^rbuild:/p' <<<"$err" | sed '$d')" "Dockerfile:7
--------------------
   5 |     
   6 |     FROM base AS stage1
   7 | >>> RUN echo \"stage1\" && false
   8 |     
   9 |     FROM base AS stage2
--------------------" 'target stage1: the frame of the instruction'
log=$(sed -n 's/^rbuild: .*(full log: \(.*\))$/\1/p' <<<"$err")
is "$(sed 's/^[0-9.]* //' "$log")" stage1 'target stage1: the message names the log'

# The example names a registry on port 5000; the one of this test is elsewhere.
# shellcheck disable=SC2119
start_registry
cp -R "$examples/copy-from-image" "$T/copy" && sed -i "s/localhost:5000/localhost:${REGISTRY##*:}/" "$T/copy/Dockerfile"
fails_with 1 'Dockerfile:4: .*settings:1.0' rb build --progress=plain "$T/copy"
context "$T/settings" <<-'EOT'
	FROM scratch
	COPY --chown=7:9 --chmod=640 <<EOF /etc/settings.conf
	colour = blue
	EOF
EOT
works 'the image to copy from' rb build -q -o "type=oci,dest=$T/settings.tar" "$T/settings"
is "$(oci "$T/settings.tar" list 0 | cut -d ' ' -f 1-4)" $'etc d 0640 7:9\netc/settings.conf f 0640 7:9' \
	'--chown and --chmod are for the directories that COPY makes, too'
push_archive "$T/settings.tar" settings:1.0 || bail_out 'skopeo cannot push'
archive=$T/copy.tar
works 'a file out of an image that is pulled' rb build --progress=plain -o "type=oci,dest=$archive" "$T/copy"
like "$err" "FROM localhost:${REGISTRY##*:}/settings:1.0" 'its progress names the image'
like "$(cat "$REGISTRY_LOG")" 'GET /v2/settings/blobs/' 'the registry was asked'
readback "$archive" copy-from-image
base_kept "$archive" copy-from-image
is "$(oci "$archive" list -1 | cut -d ' ' -f 1-4)" 'settings.conf f 0640 7:9' 'the file keeps mode and owner'
is "$(bundle_runs "$archive.d" 2>&1)" 'colour = blue' 'runc prints it'
asked=$(grep -c 'GET /v2/settings/' "$REGISTRY_LOG")
kill "$REGISTRY_PID" && wait "$REGISTRY_PID" 2>/dev/null
works 'without the registry' rb build --progress=plain "$T/copy"
is "$(grep -c 'GET /v2/settings/' "$REGISTRY_LOG")" "$asked" 'the store has the image now'
done_testing
