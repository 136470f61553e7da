#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Whatever goes wrong in a build ends with one clear line and the right status, and leaves a store in
# which the next build works.
# needs: userns overlay
# users: range single
# timeout: 60
. "$(dirname "$0")/../lib.sh"

base_image busybox >/dev/null
import_base busybox

context "$T/good" <<'EOT'
FROM busybox
COPY f /f
RUN cat /f >/g
EOT
echo good >"$T/good/f"
mkdir "$T/c"

# usable NAME: the next build works, without and with the cache
usable() {
	run_command rb --no-cache "$T/good" && run_command rb "$T/good"
	is "$?" 0 "the next build works after $1" || diag "$err"
}

# refused STATUS REGEX CONTEXT [OPTION...]: as fails_with; and the line is the only one of ours, and the last.
refused() {
	local status=$1 pattern=$2
	shift 2
	fails_with "$status" "^rbuild: $pattern" rb --progress=plain "$@"
	is "$(grep -c '^rbuild: ' <<<"$err") $(tail -n 1 <<<"$err" | cut -c1-8)" "1 rbuild: " "in one line, at the end" ||
		diag "$err"
}

# --- a failing RUN

context "$T/run" <<'EOT'
FROM busybox
RUN seq 1 5000; echo last words >&2; exit 9
EOT
refused 1 'Dockerfile:2: process "/bin/sh -c seq 1 5000; echo last words >&2; exit 9" did not complete successfully: exit code: 9 \(full log: ' \
	"$T/run"
log=$(sed -nE 's/^rbuild: .*\(full log: (.*)\)$/\1/p' <<<"$err")
is "$(grep -v '^last words$' "$log" | md5sum)" "$(seq 1 5000 | md5sum)" "the log that it names has all of the output"
is "$(grep -c '^last words$' "$log")" 1 "the standard error, too"
like "$err" '^   2 \| >>> RUN seq' "the frame shows the instruction"
refused 1 'Dockerfile:2: process ' "$T/run"
printf 'FROM busybox\nRUN <<EOF\necho one\nexit 4\nEOF\n' >"$T/run/Dockerfile"
refused 1 'Dockerfile:2: process "/bin/sh -c echo one\.\.\." did not complete successfully: exit code: 4 \(full log: ' "$T/run"
printf 'FROM busybox\nRUN exit 5 # \033[31m\007red\n' >"$T/run/Dockerfile"
refused 1 'Dockerfile:2: process "/bin/sh -c exit 5 # red" did not complete successfully: exit code: 5' "$T/run"
unlike "$err" $'\033|\007' "what could drive a terminal is left out"
printf 'FROM busybox\nRUN exit 6 # %060000d\n' 0 >"$T/run/Dockerfile"
refused 1 'Dockerfile:2: process "/bin/sh -c exit 6 # 0+\.\.\." did not complete successfully: exit code: 6' "$T/run"
is "$(($(tail -n 1 <<<"$err" | wc -c) < 1500))" 1 "a long command is not repeated as a whole"
usable "a failing RUN"

# --- sources

context "$T/missing" <<'EOT'
FROM busybox
RUN sleep 0.1
COPY nope /x
EOT
refused 1 'Dockerfile:3: failed to compute cache key: "/nope": not found$' "$T/missing"
mkdir "$T/missing/sub" && touch "$T/missing/sub/requirements.txt"
printf 'FROM busybox\nCOPY sub/requirments.txt /x\n' >"$T/missing/Dockerfile"
refused 1 'Dockerfile:2: .*"/sub/requirments\.txt": not found \(did you mean requirements\.txt\?\)$' "$T/missing"
printf 'FROM busybox\nCOPY --from=busybox /etc/paswd /x\n' >"$T/missing/Dockerfile"
refused 1 'Dockerfile:2: .*"/etc/paswd": not found \(did you mean passwd\?\)$' "$T/missing"
echo '*.secret' >"$T/missing/.dockerignore"
echo x >"$T/missing/a.secret"
printf 'FROM busybox\nCOPY a.secret /x\n' >"$T/missing/Dockerfile"
refused 1 'Dockerfile:2: .*"/a\.secret": not found: excluded by the pattern "\*\.secret" in \.dockerignore$' "$T/missing"
printf 'FROM busybox\nCOPY --from=busybox /nope /x\n' >"$T/missing/Dockerfile"
refused 1 'Dockerfile:2: .*"/nope": not found$' "$T/missing"
printf 'FROM busybox AS a\nRUN true\nFROM busybox\nCOPY --from=a /nope /x\n' >"$T/missing/Dockerfile"
refused 1 'Dockerfile:4: .*"/nope": not found$' "$T/missing"
printf 'FROM busybox\nCOPY sub /x  # what is needed\n' >"$T/missing/Dockerfile"
refused 1 'Dockerfile:2: failed to compute cache key: a comment has a line of its own: # and the words behind it are names of files here: "/x": not found$' "$T/missing"
mkdir "$T/unreadable"
printf 'FROM busybox\nCOPY . /x\n' >"$T/unreadable/Dockerfile"
echo x >"$T/unreadable/closed"
chmod 000 "$T/unreadable/closed"
refused 1 'Dockerfile:2: .*cannot read "closed" in the build context: Permission denied; make it readable or list it in \.dockerignore$' \
	"$T/unreadable"
mkdir -m 000 "$T/unreadable/dir" && rm -f "$T/unreadable/closed"
refused 1 'Dockerfile:2: .*cannot read "dir" in the build context: Permission denied; ' "$T/unreadable"
rmdir "$T/unreadable/dir"
printf 'FROM busybox\nCOPY f /etc/passwd/f\n' >"$T/c/Dockerfile" && echo f >"$T/c/f"
refused 1 'Dockerfile:2: cannot copy to non-directory: /etc/passwd$' "$T/c"
printf 'FROM busybox\nCOPY --chown=nosuch f /f\n' >"$T/c/Dockerfile"
refused 1 'Dockerfile:2: .*--chown=nosuch: .*nosuch' "$T/c"
usable "missing sources"

# --- the Dockerfile and the context

mkdir "$T/empty"
refused 1 'failed to read dockerfile: open Dockerfile: no such file or directory \(nor has the context a Containerfile; name another file with -f\)$' "$T/empty"
refused 1 'failed to read dockerfile: open .*/nope: no such file or directory \(a relative path of -f begins at the current directory\)$' -f "$T/empty/nope" "$T/empty"
: >"$T/empty/Dockerfile"
refused 1 'Dockerfile: the Dockerfile cannot be empty: begin with FROM$' "$T/empty"
rm "$T/empty/Dockerfile" && mkfifo "$T/empty/Dockerfile"
run_command timeout 10 "$RBUILD" --root "$RB_ROOT" "$T/empty"
is "$?" 1 "a FIFO as Dockerfile does not hang"
like "$err" '^rbuild: failed to read dockerfile: Dockerfile is not a regular file$' "and is refused"
rm "$T/empty/Dockerfile" && mkdir "$T/empty/Dockerfile"
refused 1 'failed to read dockerfile: Dockerfile is not a regular file$' "$T/empty"
rmdir "$T/empty/Dockerfile" && mkfifo "$T/empty/.dockerignore" && cp "$T/good/Dockerfile" "$T/empty/"
run_command timeout 10 "$RBUILD" --root "$RB_ROOT" "$T/empty"
is "$?" 1 "nor does one as .dockerignore"
like "$err" '^rbuild: failed to read ignore file: \.dockerignore is not a regular file$' "which is refused"
refused 1 "unable to prepare context: path \"$T/nowhere\" not found\$" "$T/nowhere"
refused 1 "unable to prepare context: \"$T/good/f\" is not a directory: name the directory, " "$T/good/f"
printf 'FROM busybox AS testing\nFROM testing\n' >"$T/c/Dockerfile"
refused 1 'Dockerfile: target stage "tesing" could not be found \(did you mean testing\?\)$' --target tesing "$T/c"
usable "a missing Dockerfile"

# --- options

refused 2 'build: unknown option: --tarqet \(did you mean --target\?\)$' --tarqet x "$T/good"
works "empty values are none" rb -q --platform= --network= --file= --iidfile= --target= "$T/good"
refused_word=$("$RBUILD" version word 2>&1)
is "$? $refused_word" "2 rbuild: version: too many arguments; usage: rbuild version" "a word too many"
is "$("$RBUILD" --version)" "$("$RBUILD" version)" "--version is version"
run_command rb imagse
is "$? $err" "2 rbuild: neither a verb nor a directory: imagse (did you mean images?)" "a misspelt verb"
works 'what switches attestations off is accepted' rb --sbom=false --provenance false -o type=cacheonly "$T/good"
refused 1 'build: --sbom is not supported yet by this version of rbuild: write --sbom=false$' --sbom true "$T/good"
refused 2 'build: .*--target' --target
refused 2 'build: an argument is missing; usage: rbuild \[build\] \[OPTIONS\] CONTEXT$'
refused 2 'build: too many arguments; usage: ' "$T/good" "$T/good"
fails_with 2 '^rbuild: the verb push is not supported yet by this version of rbuild' "$RBUILD" push x
refused 2 '--output: ' -o type=nope "$T/good"
refused 2 '--output: ' -o type=oci "$T/good"
refused 2 '--tag: ' -t 'UPPER CASE' "$T/good"
refused 2 '--network is default, none or host, not "x"$' --network x "$T/good"
refused 2 '--mode is range or single, not "nope"$' --mode=nope "$T/good"
works "options that do nothing here are accepted" rb --rm --force-rm --disable-content-trust "$T/good"

# --- --iidfile and outputs

works "--iidfile" rb --iidfile "$T/iid" "$T/good"
is "$(wc -c <"$T/iid")" 71 "has the ID and no newline, as docker does"
refused 1 'Dockerfile:2: process ' --iidfile "$T/iid" "$T/run"
if [ ! -e "$T/iid" ]; then ok "a failed build leaves no --iidfile"; else not_ok "a failed build leaves no --iidfile" "$(cat "$T/iid")"; fi
# Said before anything runs: the RUN would fail.
refused 1 '--iidfile: cannot write .*/no/dir/iid: No such file or directory' --iidfile "$T/no/dir/iid" "$T/run"
refused 2 '--iidfile needs an output that makes an image$' --iidfile "$T/iid" -o "type=local,dest=$T/out" "$T/good"
refused 1 '--output: cannot open the directory .*/no/dir/ of x\.tar: No such file or directory' -o "type=oci,dest=$T/no/dir/x.tar" "$T/run"
refused 2 '--output: .* exists and is not a regular file \(tar=false writes a directory\)' -o "type=oci,dest=$T/c" "$T/run"
refused 2 '--output: .* exists and is not an empty directory' -o "type=oci,tar=false,dest=$T/good" "$T/run"
refused 1 '--output: cannot write into .*/good/f: Not a directory' -o "$T/good/f" "$T/run"
refused 1 '--output: cannot make /proc/no/dir: cannot write into /proc: Permission denied' -o /proc/no/dir "$T/run"
refused 1 'Dockerfile:2: process ' -o "$T/not/yet" "$T/run"
refused 1 'Dockerfile:2: process ' -o "type=oci,tar=false,dest=$T/notyet" "$T/run"
is "$(ls -d "$T"/not* 2>&1 | grep -c ': No such file')" 1 "a failed build leaves no new output"
works "names of an output and of -t" rb -q -t by-tag -o type=image,name=by-output "$T/good"
is "$(rb images | grep -c '^by-[a-z]*:latest ')" 2 "the image has both"
BUILDKIT_PROGRESS=odd fails_with 2 '^rbuild: BUILDKIT_PROGRESS is auto, plain, tty, rawjson or quiet, not "odd"$' rb "$T/good"
echo old >"$T/x.tar"
refused 1 'Dockerfile:2: process ' -o "type=oci,dest=$T/x.tar" "$T/run"
is "$(cat "$T/x.tar")" old "a failed build leaves an old output alone"
usable "bad outputs"

# --- files that are something else

works "an OCI archive" rb -q -o "type=oci,dest=$T/image.oci" "$T/good"
fails_with 1 '^rbuild: .*/image\.oci: this is an image, not a root file system: use rbuild load$' rb import "$T/image.oci" oops
gzip -k "$T/image.oci"
fails_with 1 '^rbuild: .*/image\.oci\.gz: this is an image, not a root file system: use rbuild load$' rb import "$T/image.oci.gz" oops

# --- registries

printf 'FROM 127.0.0.1:%s/x:1\nRUN true\n' "$(free_port)" >"$T/c/Dockerfile"
refused 1 'Dockerfile:1: .*cannot connect to 127\.0\.0\.1:[0-9]+: Connection refused \(is the registry running there\?\)$' "$T/c"
import_base busybox 127.0.0.1:1/x:1
printf 'FROM --platform=linux/s390x 127.0.0.1:1/x:1\nRUN true\n' >"$T/c/Dockerfile"
refused 1 'Dockerfile:1: the store has 127\.0\.0\.1:1/x:1 for linux/[a-z0-9/]+, not for linux/s390x: cannot pull 127\.0\.0\.1:1/x:1: .*Connection refused' "$T/c"
usable "an unreachable registry"

# --- damage in the store

# Layers whose bytes changed, or are missing, before they were unpacked
for damage in flip "truncate -s 1000" "truncate -s 0"; do
	RB_ROOT=$T/damaged-$RANDOM
	import_base busybox
	layer=$(find "$RB_ROOT" -path '*/blobs/sha256/*' -type f -size +100k)
	chmod u+w "$layer"
	case $damage in
	flip) printf X | dd of="$layer" bs=1 seek=50000 conv=notrunc status=none ;;
	*) $damage "$layer" ;;
	esac
	refused 1 'Dockerfile:1: image busybox:latest: layer 1 of 1 \(sha256:[0-9a-f]{64}\): its bytes in the store were damaged and are removed: build again to pull it, or import or load the image again$' \
		"$T/good"
	import_base busybox
	usable "a damaged layer and another import ($damage)"
done
RB_ROOT=$T/store

# --- ends from outside

marker=91$RANDOM
context "$T/slow" <<EOT
FROM busybox
RUN echo started; (setsid sleep $marker &); sleep $marker
EOT

# start_slow: our own rbuild in the middle of a RUN, pid in $slow. A shell starts what runs beside it
# with SIGINT ignored.
start_slow() {
	rm -f "$T/slow.log"
	env --default-signal=INT "$RBUILD" --root "$RB_ROOT" --progress=plain "$T/slow" >"$T/slow.log" 2>&1 &
	slow=$!
	wait_for 20 grep -q '^#[0-9]* [0-9.]* started' "$T/slow.log" || bail_out "the step does not start: $(cat "$T/slow.log")"
}

# ended PID: it is no more, or a zombie until we wait for it
ended() { ! grep -qs '^State:.[^Z]' "/proc/$1/status"; }

# gone: nothing of the step is left; the namespace may take a moment to end
gone() { [ "$(processes "sleep $marker")" = 0 ]; }

start_slow
kill -KILL $slow
wait $slow 2>/dev/null
if wait_for 5 gone; then ok "kill -9 leaves nothing running"; else not_ok "kill -9 leaves nothing running"; fi
usable "kill -9"
is "$(cd "$RB_ROOT/trees" && find . -maxdepth 2 -name '.active-*')" '' 'and removes what the killed build left half-made'

for signal in INT:interrupted TERM:terminated HUP:"the terminal was closed"; do
	start_slow
	started=$SECONDS
	kill -"${signal%%:*}" $slow
	wait_for 20 ended $slow || kill -KILL $slow
	wait $slow
	is $? 1 "SIG${signal%%:*} ends the build with status 1"
	if [ $((SECONDS - started)) -lt 10 ]; then ok "at once"; else not_ok "at once" "$((SECONDS - started)) s"; fi
	like "$(tail -n 1 "$T/slow.log")" "^rbuild: (Dockerfile:[0-9]+: )?${signal#*:}\$" "and says so"
	like "$(cat "$T/slow.log")" '^#[0-9]+ CANCELED$' "the step is canceled"
	if wait_for 5 gone; then ok "nothing is left running"; else not_ok "nothing is left running"; fi
done

# Nor is one lost that comes while the build is still getting ready.
# Not by the shell: a signal may reach its child before that has become rbuild.
lost=$(python3 - "$RBUILD" --root "$RB_ROOT" "$T/slow" <<-'EOT'
	import subprocess, sys, time
	for delay_ms in (1, 2, 4, 6, 8, 10, 15, 20, 25, 30, 40):
	    build = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
	    time.sleep(delay_ms / 1000)
	    build.terminate()
	    try:
	        build.wait(timeout=10)
	    except subprocess.TimeoutExpired:
	        print(f"after {delay_ms} ms")
	        build.kill()
	        build.wait()
EOT
)
is "$lost" "" "a signal soon after the start is not lost"
if wait_for 5 gone; then ok "and leaves nothing running"; else not_ok "and leaves nothing running"; fi
usable "signals"

run_command timeout -s INT 1 "$RBUILD" --root "$RB_ROOT" --progress=plain "$T/slow"
is $? 124 "timeout -s INT ends it, too"
if wait_for 5 gone; then ok "with all of its processes"; else not_ok "with all of its processes"; fi

# The verb run hands its signals on by ending, and its command with it.
for signal in INT TERM HUP; do
	env --default-signal=INT "$RBUILD" --root "$RB_ROOT" run busybox sh -c "echo started; sleep $marker" >"$T/run.log" 2>&1 &
	slow=$!
	wait_for 20 grep -q started "$T/run.log" || bail_out "run does not start: $(cat "$T/run.log")"
	kill -$signal $slow
	wait_for 10 ended $slow || kill -KILL $slow
	wait $slow
	is $? $((128 + $(kill -l $signal))) "SIG$signal ends rbuild run"
	if wait_for 5 gone; then ok "and its command"; else not_ok "and its command"; fi
	rm "$T/run.log"
done

# The output is closed in the middle: at the next line that is written
context "$T/talks" <<EOT
FROM busybox
RUN while :; do echo $marker; sleep 0.1; done
EOT
started=$SECONDS
"$RBUILD" --root "$RB_ROOT" --progress=plain "$T/talks" 2>&1 | head -n 1 >"$T/head"
if [ $((SECONDS - started)) -lt 10 ]; then ok "a closed output ends the build"; else not_ok "a closed output ends the build"; fi
is "$(processes "/bin/sh -c while :; do echo $marker")" 0 "and its step"
usable "a closed output"

# --- a full disk: the store on a small file system in a mount namespace of our own

mkdir "$T/full"
cat >"$T/full.sh" <<'EOT'
mount -t tmpfs -o size=8m tmpfs "$T/full" || exit 77
cd "$T/full"
run() { # NAME ARG...
	local name=$1
	shift
	"$RBUILD" --root "$T/full/store" "$@" >"$T/full-$name" 2>&1
	echo "status $?" >>"$T/full-$name"
}
run import import "$1" busybox
printf 'FROM busybox\nRUN head -c 20000000 /dev/zero >/big\n' >Dockerfile
run run --progress=plain .
printf 'FROM busybox\nCOPY big /big\n' >Dockerfile
head -c 3000000 /dev/urandom >big
run copy --progress=plain .
rm big
printf 'FROM busybox\nRUN head -c 1500000 /dev/urandom >/big\n' >Dockerfile
run export --progress=plain -o type=oci,dest=out.tar .
head -c 20000000 /dev/zero >filler 2>/dev/null
printf 'FROM busybox\nRUN echo fine\n' >Dockerfile
run filled --progress=plain .
run filled-import import "$1" another
rm -f filler out.tar
run next --progress=plain .
run again --progress=plain .
head -c 20000000 /dev/zero >filler 2>/dev/null
run cached --progress=plain .
EOT
export T RBUILD
run_command unshare -r -m bash "$T/full.sh" "$(base_image busybox)"
is $? 0 "a store on a small file system" || diag "$out" "$err"

# full NAME STATUS REGEX: what the command NAME above did
full() {
	local said
	said=$(cat "$T/full-$1")
	is "$(tail -n 1 <<<"$said")" "status $2" "$1 on a full disk: status" || diag "$said"
	like "$said" "$3" "$1 on a full disk: message"
}
full import 0 'sha256:'
full run 1 '^rbuild: Dockerfile:2: process "/bin/sh -c head -c 20000000 /dev/zero >/big" did not complete successfully: exit code: 1'
full copy 1 '^rbuild: Dockerfile:2: cannot copy "big" to /big in the image \(free some space, or use another disk with --root DIR\): No space left on device$'
full export 1 '^rbuild: export: cannot write out\.tar \(nothing was written; free some space or choose another place\): No space left on device$'
full filled 1 '^rbuild: Dockerfile:2: cannot commit a snapshot in .*: free some space there or use a store on another disk with --root DIR: .*No space left on device$'
full filled-import 1 '^rbuild: cannot write a blob in the store .* \(free some space, or use another disk with --root DIR\): No space left on device$'
full next 0 '^#[0-9]+ [0-9.]+ fine$'
full again 0 '^#[0-9]+ CACHED$'
full cached 0 '^#[0-9]+ CACHED$'

done_testing
