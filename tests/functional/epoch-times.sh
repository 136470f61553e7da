#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# SOURCE_DATE_EPOCH (dockerfile.md 7.5): where it comes from, what it may be, which times it sets and
# which it leaves, rewrite-timestamp and source-date-epoch of outputs, and that two stores make one image.
# users: range single
# needs: userns overlay skopeo umoci git python3
# images: busybox
# shellcheck disable=SC2016,SC2119
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/web.sh
. "$RB_TEST_SRC/tests/web.sh"

unset SOURCE_DATE_EPOCH
import_base busybox
mkdir -p "$T/c/d"
echo x >"$T/c/f" && echo y >"$T/c/d/g"
touch -d @1000000000 "$T/c/f" "$T/c/d/g" "$T/c/d"
touch -d @2000000000 "$T/c/f"
sources() { touch -d @1000000000 "$T/c/d/g" "$T/c/d"; }
sde=SOURCE_DATE_EPOCH

# build [OPTION...] < Dockerfile: into $T/out.oci
build() {
	context "$T/c"
	rm -rf "$T/out.oci"
	rb --progress=plain -o "type=oci,dest=$T/out.oci${keys:-}" "$@" "$T/c"
}
# times: what the image says of when it was made: config, then the history from the top
times() { oci "$T/out.oci" config | python3 -c 'import json, sys; c = json.load(sys.stdin); print(c["created"], *[h.get("created") for h in c["history"][::-1]])'; }
said() { sed -n 's/^#[0-9]* [0-9]*\.[0-9]* //p' <<<"$err"; }

# --- the image's own times

works 'a base of its own time' rb -t base - <<<$'FROM busybox\nRUN echo >/of-base'
works 'without an epoch' build <<<$'FROM base\nENV A=1'
old=$(times | cut -d' ' -f2-)
steps=$'FROM base\nENV A=1\nWORKDIR /usr/w/d\nRUN echo "[${SOURCE_DATE_EPOCH-unset}]"\nLABEL l=m'
works 'a number' build --build-arg $sde=1600000001 <<<"$steps"
t=2020-09-13T12:26:41Z
is "$(times)" "$t $t $t $t $t ${old#* }" 'is the time of the config and of what is new in its history'
is "$(said)" '[unset]' 'steps see it only when they declare it'
is "$(oci "$T/out.oci" mtimes -2 | sort)" $'usr 1600000001\nusr/w 1600000001\nusr/w/d 1600000001' 'WORKDIR makes directories of that time'
is "$(skopeo inspect --format '{{.Created}}' "oci-archive:$T/out.oci")" '2020-09-13 12:26:41 +0000 UTC' 'skopeo reads it'
works 'a later one' build --build-arg $sde=1700000000 <<<"$steps"
is "$(oci "$T/out.oci" mtimes -2 | sort)" $'usr 1700000000\nusr/w 1700000000\nusr/w/d 1700000000' 'makes WORKDIR again'
works 'the first again' build --build-arg $sde=1600000001 <<<"$steps"
is "$(step_states <<<"$err" | grep -cE '^CACHED .*(WORKDIR|RUN)')" 2 'and finds it'
works 'one of the future' build --build-arg $sde=9999999999 <<<"$steps"
unlike "$(times)" '2286-' 'what is older keeps its time'
works 'another place of WORKDIR' build --build-arg $sde=7 <<<$'FROM base\nWORKDIR /tmp\nWORKDIR /tmp/x'
is "$(oci "$T/out.oci" list -2)$(oci "$T/out.oci" mtimes -1)" $'tmp 7\ntmp/x 7' 'a directory that is there is not touched'
works 'only the base' build --build-arg $sde=7 <<<'FROM base'
is "$(times)" "1970-01-01T00:00:07Z ${old#* }" 'its history stays, the config is new'

# --- where it comes from

works 'the environment' env $sde=5 "$RBUILD" --root "$RB_ROOT" -o "type=oci,dest=$T/out.oci" - <<<$'FROM scratch\nLABEL a=b'
is "$(times)" '1970-01-01T00:00:05Z 1970-01-01T00:00:05Z' 'counts'
works 'a build argument' env $sde=5 "$RBUILD" --root "$RB_ROOT" --build-arg $sde=6 -o "type=oci,dest=$T/out.oci" - <<<$'FROM scratch\nLABEL a=b'
is "$(times)" '1970-01-01T00:00:06Z 1970-01-01T00:00:06Z' 'counts more'
works 'an ARG before the first FROM' build <<<$'ARG SOURCE_DATE_EPOCH=8\nFROM busybox\nARG SOURCE_DATE_EPOCH\nRUN echo "$SOURCE_DATE_EPOCH"'
is "$(times | cut -d' ' -f1) $(said)" '1970-01-01T00:00:08Z 8' 'counts, and is an ordinary ARG in the stage'
works 'an ARG of a stage alone' build <<<$'FROM scratch\nARG SOURCE_DATE_EPOCH=8'
unlike "$(times)" '00:00:08Z' 'does not'
works 'an empty one' build --build-arg $sde= <<<$'ARG SOURCE_DATE_EPOCH=8\nFROM scratch\nLABEL a=b'
unlike "$(times)" '00:00:08Z' 'is none'
for bad in abc -1 1.5 253402300800 99999999999999999999 ' 1'; do
	fails_with 2 "^rbuild: invalid SOURCE_DATE_EPOCH: $bad: expected whole seconds since 1970, \"context\", or" build --build-arg "$sde=$bad" <<<'FROM scratch'
done
fails_with 1 '^rbuild: Dockerfile:2: invalid SOURCE_DATE_EPOCH: soon: ' build <<<$'ARG A\nARG SOURCE_DATE_EPOCH=soon\nFROM scratch'
like "$err" '^ *2 \| +>>> ARG SOURCE_DATE_EPOCH=soon' 'with the line'

# --- what has a time

works 'context, a directory' build --build-arg $sde=context <<<$'FROM busybox\nARG SOURCE_DATE_EPOCH\nRUN echo "[${SOURCE_DATE_EPOCH-unset}]"'
is "$(said)" '[unset]' 'has none'
start_web
git init -q -b main "$T/repo"
printf 'FROM busybox\nARG SOURCE_DATE_EPOCH\nRUN echo "[$SOURCE_DATE_EPOCH]" && echo >/made\n' >"$T/repo/Dockerfile"
git -C "$T/repo" add . && git -C "$T/repo" commit -qm one && publish "$T/repo"
commit=1643861106
works 'context, a repository' rb --progress=plain --build-arg $sde=context -o "type=oci,dest=$T/out.oci" "http://$WEB/git/repo.git"
is "$(said) $(times | cut -d' ' -f1)" "[$commit] 2022-02-03T04:05:06Z" 'its commit'
tar -C "$T/c" -cf "$T/c.tar" Dockerfile d
works 'context, an archive' rb --progress=plain --build-arg $sde=context -o "type=oci,dest=$T/out.oci" - < <(touch -d @1234567890 "$T/c/d/g" "$T/c/Dockerfile" && touch -d @1300000000 "$T/c/d" && tar -C "$T/c" -cz Dockerfile d)
is "$(said) $(times | cut -d' ' -f1)" '[1234567890] 2009-02-13T23:31:30Z' 'its newest file'
serve c.tar <"$T/c.tar"
works 'context, an archive by HTTP' rb --progress=plain --build-arg $sde=context -o "type=oci,dest=$T/out.oci" "http://$WEB/files/c.tar"
is "$(said)" '[1614834367]' 'its Last-Modified'
serve file <<<x
use=$'FROM busybox\nARG SOURCE_DATE_EPOCH\nRUN echo "[$SOURCE_DATE_EPOCH]"\nWORKDIR /made'
works 'a named repository' build --build-context "src=http://$WEB/git/repo.git" --build-arg $sde=src <<<"$use"
is "$(said) $(oci "$T/out.oci" mtimes -1)" "[$commit] made $commit" 'its commit, also where nothing else needs it'
works 'a plan' rb plan --build-context "src=http://$WEB/git/repo.git" --build-arg $sde=src "$T/c"
like "$out" '^  steps are known when what SOURCE_DATE_EPOCH names has been asked for its time$' 'does not ask for it'
works 'it again' build --build-context "src=http://$WEB/git/repo.git" --build-arg $sde=src <<<"$use"
is "$(step_states <<<"$err" | grep -cE '^CACHED .*(WORKDIR|RUN)')" 2 'hits'
works 'a copy of it' build --build-context "src=http://$WEB/git/repo.git" --build-arg $sde=77 <<<$'FROM scratch\nCOPY --from=src Dockerfile /'
is "$(oci "$T/out.oci" mtimes -1)" "Dockerfile $commit" 'has the time of the commit, as of a context'
GIT_COMMITTER_DATE='@253402300800 +0000' git -C "$T/repo" commit -q --allow-empty -m two && publish "$T/repo"
fails_with 1 'invalid SOURCE_DATE_EPOCH: the time of what it names, 253402300800 seconds, is not in the years 1970 to 9999' build --build-context "src=http://$WEB/git/repo.git" --build-arg $sde=src <<<"$use"
git -C "$T/repo" reset -q --hard HEAD^ && publish "$T/repo"
works 'a named file' build --build-context "src=http://$WEB/files/file" <<<$'ARG SOURCE_DATE_EPOCH=src\n'"$use"
is "$(said)" '[1614834367]' 'its Last-Modified'
works 'a named directory' build --build-context "src=$T/repo" --build-arg $sde=src <<<"${use//:-/}"
is "$(said)" '[]' 'has none'
fails_with 2 'invalid SOURCE_DATE_EPOCH: src: that context is an image' build --build-context src=docker-image://busybox --build-arg $sde=src <<<"$use"
works 'a stage' build --build-arg $sde=Src <<<"FROM scratch AS src
ARG NAME=file
ADD http://$WEB/files/\$NAME /x
$use"
is "$(oci "$T/out.oci" mtimes -1) $(times | cut -d' ' -f1)" 'made 1614834367 2021-03-04T05:06:07Z' 'what it ADDs, here a file'
works 'a stage that is used' build --build-arg $sde=src <<<"FROM scratch AS src
ADD --keep-git-dir http://$WEB/git/repo.git /
$use
COPY --from=src /Dockerfile /"
is "$(oci "$T/out.oci" mtimes -2) $(times | cut -d' ' -f1)" "made $commit 2022-02-03T04:05:06Z" 'here a repository'
for bad in 'FROM busybox AS src|ADD http://h/x /' 'FROM scratch AS src|COPY f /' 'FROM scratch AS src|ADD http://h/x http://h/y /' 'FROM scratch AS src|ADD http://h/x /|WORKDIR /w'; do
	fails_with 2 'invalid SOURCE_DATE_EPOCH: src: a stage has a time when it is FROM scratch and its only step is one ADD' build --build-arg $sde=src <<<"${bad//|/$'\n'}"$'\n'"$use"
done
fails_with 1 '^rbuild: Dockerfile:2: invalid SOURCE_DATE_EPOCH: src: what this stage ADDs is no URL' build --build-arg $sde=src <<<$'FROM scratch AS src\nADD f /\n'"$use"
fails_with 1 '^rbuild: Dockerfile:2: invalid SOURCE_DATE_EPOCH: the server tells no Last-Modified of' build --build-arg $sde=src <<<"FROM scratch AS src
ADD http://$WEB/tagged/file /
$use"

# --- outputs

works 'files' rb --build-arg $sde=1600000001 -o "$T/local" - <<<$'FROM busybox\nRUN mkdir /d && echo >/d/f && ln -s f /d/l && mkfifo /d/p'
is "$(cd "$T/local" && find . -mindepth 1 -printf '%T@\n' | sort | uniq -c | tr -s ' ')" " $(find "$T/local" -mindepth 1 | wc -l) 1600000001.0000000000" 'all have that time'
works 'files of another' rb --build-arg $sde=1600000001 -o "type=local,dest=$T/local2,source-date-epoch=1234" - <<<$'FROM busybox\nRUN mkdir /d && echo >/d/f && ln -s f /d/l && mkfifo /d/p'
is "$(stat -c %Y "$T/local2/d/f" "$T/local2/bin" | uniq)" 1234 'source-date-epoch counts more'
works 'files without' rb --build-arg $sde=1600000001 -o "type=local,dest=$T/local3,source-date-epoch=" - <<<$'FROM busybox\nRUN mkdir /d && echo >/d/f && ln -s f /d/l && mkfifo /d/p'
isnt "$(stat -c %Y "$T/local3/d/f")" 1600000001 'an empty one is none'
keys=,source-date-epoch=99 works 'an image of another' build --build-arg $sde=1600000001 <<<$'FROM base\nENV A=1'
is "$(times)" "1970-01-01T00:01:39Z 1970-01-01T00:01:39Z ${old#* }" 'likewise'

# What COPY touches has the time of the copying; the layers of the base are its own.
many=$'FROM base\nWORKDIR /w\nENV A=1\nCOPY f d /w/\nCOPY <<E /w/new/h\nhi\nE\nRUN echo >/w/ran && ln -s ran /w/link && ln /w/ran /w/hard && rm /of-base\nLABEL l=m'
sources
keys=,rewrite-timestamp=true works 'rewrite-timestamp' build --build-arg $sde=1500000000 --iidfile "$T/iid" <<<"$many"
is "$(for i in -1 -2 -3 -4; do oci "$T/out.oci" mtimes $i; done | sed 's/.* //' | sort | uniq -c | tr -s ' ')" "$(printf ' 1 0\n 2 1000000000\n 9 1500000000')" 'no file is newer, older ones and deletions keep their time'
is "$(oci "$T/out.oci" check)" '' 'the image is whole'
is "$(oci "$T/out.oci" manifest | python3 -c 'import json, sys; print(json.load(sys.stdin)["config"]["digest"])')" "$(cat "$T/iid")" 'its ID is told'
unpack_oci "$T/out.oci" "$T/u" && is "$(stat -c %Y "$T/u/rootfs/w/new/h")" 1500000000 'umoci unpacks it'
keys=,rewrite-timestamp=true works 'two platforms' build --platform linux/amd64,linux/arm64 --build-arg $sde=7 <<<$'FROM scratch\nCOPY <<E /f\nx\nE'
skopeo copy -q --all "oci-archive:$T/out.oci" "oci:$T/both" && is "$(for m in $(skopeo inspect --raw "oci-archive:$T/out.oci" | grep -o 'sha256:[0-9a-f]*'); do python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))["layers"][0]["digest"][7:])' "$T/both/blobs/sha256/${m#*:}"; done | sort -u | while read -r l; do tar -tvzf "$T/both/blobs/sha256/$l" --full-time; done | tr -s ' ')" '-rw-r--r-- 0/0 2 1970-01-01 00:00:07 f' 'each has its layers made anew'
works 'rewrite-timestamp without an epoch' rb --progress=plain -o type=image,rewrite-timestamp=true - <<<'FROM busybox'
like "$err" 'rewrite-timestamp=true does nothing: there is no SOURCE_DATE_EPOCH' 'is told'

# --- two stores

works 'a base for both' rb -o "type=oci,dest=$T/base,tar=false" - <<<'FROM base'
# make STORE NAME [OPTION...] < Dockerfile: the image ID
make() {
	rb --root "$T/$1" -t "$2" --iidfile "$T/iid" --build-context "base=oci-layout://$T/base" --build-arg $sde=1500000000 "${@:3}" "$T/c" >"$T/.id" 2>&1 || diag "$(cat "$T/.id")"
	cat "$T/iid"
}
plain=$'FROM base\nWORKDIR /w/d\nENV A=1\nWORKDIR e\nLABEL l=m'
context "$T/c" <<<"$plain"
first=$(make one plain)
sleep 1.1
is "$(make two plain)" "$first" 'WORKDIR and metadata: one image from two stores'
like "$first" '^sha256:' 'there is one'
context "$T/c" <<<"$many"
sources
first=$(make one many -o type=image,rewrite-timestamp=true)
touch -d @1800000000 "$T/c/f"
is "$(make two many -o type=image,rewrite-timestamp=true)" "$first" 'with rewrite-timestamp also COPY and RUN'
is "$(make two many -o "type=oci,dest=$T/out.oci,rewrite-timestamp=true")" "$first" 'and every output that has it'
isnt "$(make two many)" "$first" 'but no other'
RB_ROOT=$T/two
works 'the image in the store' rb -t many -o type=image,rewrite-timestamp=true --build-context "base=oci-layout://$T/base" --build-arg $sde=1500000000 "$T/c"
works 'and can be built upon' rb --progress=plain -o "type=oci,dest=$T/out.oci" - <<<$'FROM many\nRUN stat -c %Y /w/ran /w/f /w/link'
is "$(said)" $'1500000000\n1500000000\n1500000000' 'with the times that it has'

done_testing
