#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The options of dockerfile.md 8.1 as scripts write them: values that mean none, words that switch off, what is refused
# with what to do instead, help that lists what there is.
# needs: userns overlay
# users: single
# images: busybox
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"

import_base busybox
context "$T/c" <<<$'FROM busybox AS base\nRUN true\nFROM base AS last'

# --- true, false and nothing

for word in 1 t T TRUE true; do works "--quiet=$word" rb --quiet=$word "$T/c" && is "$err" '' 'is quiet'; done
for word in 0 f F FALSE false; do works "--quiet=$word" rb --quiet=$word "$T/c" && like "$err" '^#1 ' 'is not'; done
works '-q=false' rb -q -q=false "$T/c"
like "$err" '^#1 ' 'takes -q back'
fails_with 2 '^rbuild: build: --pull is true or false, not "maybe"$' rb --pull=maybe "$T/c"
works 'what switches off asks for nothing' rb --push=false --load=0 --provenance=F --sbom false "$T/c"
works 'nor does an empty value' rb --metadata-file= --builder= --annotation '' --progress= --platform= --platform local "$T/c"
works 'BUILDKIT_PROGRESS may be empty' env BUILDKIT_PROGRESS= "$RBUILD" --root "$RB_ROOT" "$T/c"
like "$err" '^#1 ' 'and means auto then'

# --- refused, each with what to do

while read -r option advice; do
	fails_with 1 "^rbuild: build: ${option%%=*} is not supported yet by this version of rbuild: .*$advice" rb "$option" "$T/c"
done <<-'EOT'
	--annotation=a=b --label
	--attest=type=sbom leave it out
	--builder=x --root DIR
	--load -o type=oci,dest=FILE
	--policy=x digest
	--provenance=true --provenance=false
	--push skopeo copy
	--sbom=true --sbom=false
EOT
fails_with 2 '^rbuild: --add-host: invalid host "": write' rb --add-host '' "$T/c"
fails_with 2 '^rbuild: --build-arg "=x" has no name: write NAME=VALUE' rb --build-arg =x "$T/c"
fails_with 2 '^rbuild: --label "" has no key: write KEY=VALUE' rb --label '' "$T/c"
fails_with 2 '^rbuild: --allow: unknown entitlement "network.host,device": .* one with each --allow$' rb --allow network.host,device "$T/c"
fails_with 2 "^rbuild: --shm-size: invalid size: '64x': write .* 64m\$" rb --shm-size 64x "$T/c"
fails_with 1 '^rbuild: --iidfile: cannot replace .*/c: Is a directory$' rb --iidfile "$T/c" "$T/c"
fails_with 1 '^rbuild: Dockerfile: target stage "zzz" could not be found: there are base, last$' rb --target zzz "$T/c"
fails_with 1 '^rbuild: unable to prepare context: ".*/Dockerfile" is not a directory: name the directory, and a Dockerfile with -f' rb "$T/c/Dockerfile"

# plan reads also what it does not use: the build would refuse it
while read -r status option value; do
	fails_with "$status" "^rbuild: $option: " rb plan "$option" "$value" "$T/c"
done <<-'EOT'
	2 --output type=foo
	2 --cache-to type=foo
	2 --cache-from type=foo
	2 --tag UPPER
	1 --iidfile /nosuch/x
EOT
works 'but makes nothing of it' rb plan -t name -o "type=oci,dest=$T/planned.oci" -o "type=local,dest=$T/planned" --iidfile "$T/planned.id" --cache-to "type=local,dest=$T/planned.cache" "$T/c"
is "$(cd "$T" && ls -d planned* 2>/dev/null)" '' 'no output, no file'

# --- what a limit says

fails_with 1 '^rbuild: .*: Too many open files \(.* ulimit -n\)$' bash -c 'ulimit -n 20; "$0" --root "$1" --no-cache "$2"' "$RBUILD" "$RB_ROOT" "$T/c"
fails_with 1 '^rbuild: .*: File too large \(see ulimit -f\)$' bash -c 'ulimit -f 1; "$0" --root "$1" -o type=oci,dest="$2/x.tar" "$2"' "$RBUILD" "$RB_ROOT" "$T/c"

works 'an empty source of a secret is none' rb --secret id=HOME,src=,env= -o type=cacheonly "$T/c"
is "$(grep '^rbuild:' <<<"$err")" '' 'the variable of its id is taken'
fails_with 1 'unsupported context source ftp for x: it is a directory, docker-image://NAME, ' rb --build-context x=ftp://x "$T/c"
works 'a name for nothing' rb -t name -o type=cacheonly "$T/c"
like "$err" '^rbuild: warning: --tag has no effect: no output makes an image' 'is told'
works 'a name for an image' rb -t name -o "type=oci,dest=$T/x.tar" -o type=cacheonly "$T/c"
unlike "$err" 'has no effect' 'is not'

# --- --debug and --help, wherever they stand

for words in "--debug=true build -q" "build -qD" "-D -q" "build -q --debug=1"; do
	# shellcheck disable=SC2086 # words
	works "$words" "$RBUILD" --root "$RB_ROOT" $words "$T/c"
	like "$err" '^rbuild: debug: mode ' 'says what is decided'
done
works 'run -D' rb run -D busybox true
like "$err" '^rbuild: debug: ' 'does, too'
works 'not the command of run' rb run busybox true -D
is "$err" '' 'whose options are its own'
fails_with 2 '^rbuild: build: --root needs a value: DIR$' "$RBUILD" --root
fails_with 2 '^rbuild: neither a verb nor a directory: chek \(did you mean check\?\)$' "$RBUILD" help chek
for verb in build check plan pull load import images run shell bootstrap doctor reset version; do
	is "$("$RBUILD" help $verb)" "$("$RBUILD" $verb --help)" "help $verb"
	"$RBUILD" $verb --help >"$T/help"
	is "$(sed -nE 's/^  (-., |    )(--[a-z-]+).*/\2/p' "$T/help" | sort | uniq -d)" '' 'has each option once'
	# The section of the verb in the manual, and that of all verbs.
	sed -n "/^\.Sh DESCRIPTION/,/^\.Ss build/p; /^\.Ss $verb\$/,/^\.S[sh] /p" "$RB_TEST_SRC/man/rbuild.1" >"$T/man"
	case $verb in plan | shell) sed -n '/^\.Ss build/,/^\.Ss check/p' "$RB_TEST_SRC/man/rbuild.1" >>"$T/man" ;; esac
	missing=
	for option in $(sed -nE 's/^  (-., |    )--([a-z-]+).*/\2/p' "$T/help"); do
		grep -Eq "^\.(It |Fl ).*-$option( |\$)" "$T/man" || missing+=" --$option"
	done
	is "$missing" '' 'and the manual has them'
done
done_testing
