#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Where COPY takes from: stages by name and number, images; names and paths of sources; what of the
# content is in the key.
# users: range single
# needs: userns overlay
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/copy.sh
. "$RB_TEST_SRC/tests/copy.sh"

base_image busybox >/dev/null
import_base busybox base

# refused LINE REGEX < Dockerfile
refused() {
	context "$T/c"
	fails_with 1 "^rbuild: Dockerfile:$1: .*$2" rb "$T/c"
}
# states < Dockerfile: what becomes of the COPYs
states() {
	context "$T/c"
	rb --progress plain "$T/c" 2>&1 | step_states | grep ' COPY ' | cut -d' ' -f1 | tr '\n' ' '
}

mkdir -p "$T/c/d"
echo a >"$T/c/a"
echo b >"$T/c/b"
echo x >"$T/c/d/x"

# --- from

build <<-'EOT'
	FROM base AS Builder
	RUN mkdir /o && echo one >/o/f
	FROM base AS second
	RUN echo two >/t
	FROM scratch
	COPY --from=builder /o/f /1
	COPY --from=BUILDER o/f /2
	COPY --from=0 /o /3
	COPY --from=1 ./t /4
	COPY --from=base /etc/passwd /5
	COPY --from=docker.io/library/base:latest /etc/group /6/
	COPY --from=second /t /../../etc/../t /7/
EOT
is "$(for i in 0 1 2 3 4 5 6; do names $i; echo; done | sed '/^$/d')" "$(printf '%s\n' '1 f 0644 0:0' '2 f 0644 0:0' '3 d 0755 0:0 3/f f 0644 0:0' '4 f 0644 0:0' '5 f 0644 0:0' '6 d 0755 0:0 6/group f 0644 0:0' '7 d 0755 0:0 7/t f 0644 0:0')" \
	'a stage in any case, a number, an image'
is "$(oci "$T/out.oci" cat 3 4)" two 'the second stage'
refused 2 'cannot copy from stage "late", it needs to be defined before current stage "now"' <<<$'FROM base AS now\nCOPY --from=late /x /y\nFROM base AS late\nFROM now'
refused 2 'cannot copy from stage "late", it needs to be defined before current stage "a"' <<<$'FROM base AS a\nCOPY --from=1 /x /y\nFROM base AS late\nFROM a'
refused 2 'circular dependency detected on stage: a' <<<$'FROM base AS a\nCOPY --from=a /x /y'
refused 2 'circular dependency detected on stage: a' <<<$'FROM base AS a\nCOPY --from=b /x /y\nFROM a AS b'
refused 2 'invalid stage index 7: the stages are 0 to 0' <<<$'FROM base\nCOPY --from=7 /x /y'
refused 3 'variable expansion is not supported for --from' <<<$'FROM base AS s\nFROM base\nCOPY --from=${S} /x /y'
refused 3 '"/nope": not found' <<<$'FROM base AS s\nFROM base\nCOPY --from=s /nope /y'
refused 3 '"/etc/nope/x": not found' <<<$'FROM base AS s\nFROM base\nCOPY --from=s etc/nope/x /y'
refused 2 "source can't be a URL for COPY" <<<$'FROM base\nCOPY http://example.org/x /y'
refused 2 "source can't be a git ref for COPY" <<<$'FROM base\nCOPY git@example.org:x/y.git /y'

# --- sources and destinations as they are written

build <<-'EOT'
	FROM base
	COPY b /file
	COPY /a /b/ /../d/./x/ /dir/
	COPY d/ d /both
	WORKDIR /w/x
	COPY a ""
	COPY a ../y/
	COPY ["a", "b", "./"]
	COPY a /w/x/.
	COPY a /w/z/.
EOT
is "$(oci "$T/out.oci" cat 1 file)" b 'a file'
is "$(names 2)" 'dir d 0755 0:0 dir/a f 0644 0:0 dir/b f 0644 0:0 dir/x f 0644 0:0' 'slashes and dots of sources'
is "$(names 3)" 'both d 0755 0:0 both/x f 0644 0:0' 'the same twice'
is "$(names 6 | tr ' ' '\n' | grep -c '^w/y/a$')" 1 'relative to WORKDIR'
is "$(names 7 | tr ' ' '\n' | grep -cE '^w/x/[ab]$')" 2 './ is WORKDIR'
is "$(names 9 | tr ' ' '\n' | grep -c '^w/z/a$')" 1 'a trailing /. is a directory'

# --- keys

states <<<$'FROM base\nCOPY d /k/\nCOPY *[ab] /l/' >/dev/null
file=$'FROM base\nCOPY d /k/\nCOPY [ab] /l/\nCOPY d/x /m\n'
states <<<"$file" >/dev/null
touch -d 2001-01-01 "$T/c/d/x" "$T/c/d" "$T/c/a"
is "$(states <<<"$file")" 'CACHED CACHED CACHED ' 'other times: a hit'
cp -p "$T/c/d/x" "$T/c/d/y" && mv "$T/c/d/y" "$T/c/d/x"
is "$(states <<<"$file")" 'CACHED CACHED CACHED ' 'another inode: a hit'
echo >"$T/c/beside"
is "$(states <<<"$file")" 'CACHED CACHED CACHED ' 'a file beside: a hit'
chmod 600 "$T/c/a"
is "$(states <<<"$file")" 'CACHED DONE DONE ' 'another mode: a miss'
echo y >"$T/c/d/x"
is "$(states <<<"$file")" 'DONE DONE DONE ' 'other bytes: a miss'
mv "$T/c/d/x" "$T/c/d/z"
is "$(states <<<"${file/d\/x/d\/z}")" 'DONE DONE DONE ' 'another name in a directory: a miss'
mv "$T/c/d/z" "$T/c/d/x"
ln -s x "$T/c/d/l"
is "$(states <<<"$file" | cut -d' ' -f1)" 'DONE' 'one more link: a miss'
rm "$T/c/d/l"
# The same files from a rebuilt stage are a hit.
file=$'FROM base AS s\nRUN echo VALUE >/log && mkdir /o && echo same >/o/f && touch -d 2001-01-01 /o/f\nFROM base\nCOPY --from=s /o /o\n'
states <<<"$file" >/dev/null
is "$(states <<<"${file/VALUE/other}")" 'CACHED ' 'a rebuilt stage with the same files'
is "$(states <<<"${file/same/not}")" 'DONE ' 'with others'
done_testing
