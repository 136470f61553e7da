#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# --cache-to and --cache-from: results of one store used by another one, as a directory and inside of
# an image at a registry; and caches that cannot be had, or lie.
# users: range single
# needs: userns overlay registry skopeo
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"

# store NAME: the store that commands use from now on, with its base image
store() {
	RB_ROOT=$T/store-$1
	[ -d "$RB_ROOT" ] || import_base busybox
}
store first

context "$T/context" <<'END'
FROM busybox AS build
COPY source /source
RUN date +%s%N >/made; echo by the build stage
FROM busybox AS other
RUN date +%s%N >/other
FROM busybox
COPY --from=build /made /made
RUN chown 12:34 /made && ln /made /again && mkdir -m 2775 /dir
COPY --from=other /other /linked/
WORKDIR /work
ENV A=b
END
echo content >"$T/context/source"
progress() { step_states <<<"$err" | grep -E 'RUN|COPY|WORKDIR'; }
# build NAME OPTION...: of the context, as a layout in $T/NAME
build() {
	local name=$1
	shift
	works "$name" rb build --progress plain -o "type=oci,dest=$T/$name.tar" "$@" "$T/context"
}

build first --cache-to "type=local,dest=$T/max,mode=max" --cache-to "type=local,dest=$T/min" \
	--cache-to "type=local,dest=$T/max,tag=zstd,mode=max,compression=zstd"
unlike "$(progress)" CACHED 'the first store has nothing'
# layers ARCHIVE: the digests of its layers
layers() { oci "$1" manifest | python3 -c 'import json, sys; [print(l["digest"]) for l in json.load(sys.stdin)["layers"]]'; }

# What others make of the directory
works 'skopeo reads the cache as an OCI layout' skopeo inspect --raw "oci:$T/max:latest"
like "$out" '"mediaType": "application/vnd.buildkit.cacheconfig.v0"' 'its config is a cache config'
is "$(python3 - "$T/max" <<'END'
import hashlib, json, os, sys
root = sys.argv[1]
for name in os.listdir(root + "/blobs/sha256"):
    with open(f"{root}/blobs/sha256/{name}", "rb") as f:
        if hashlib.sha256(f.read()).hexdigest() != name: print("bad blob", name)
index = json.load(open(root + "/index.json"))
def read(digest): return json.load(open(f"{root}/blobs/{digest.replace(':', '/')}"))
for m in index["manifests"]:
    config = read(read(m["digest"])["config"]["digest"])
    for r in config["records"]:
        assert 0 <= r["layers"][0]["layer"] < len(config["layers"])
    print(m["annotations"]["org.opencontainers.image.ref.name"], len(config["records"]))
END
)" "$(printf 'latest 7\nzstd 7')" 'blobs are what their names say, and every step has a record'

for from in max min "max,tag=zstd"; do
	store "from-$from"
	again=again-${from//,/-}
	build "$again" --cache-from "type=local,src=$T/$from"
	is "$(progress | grep -v CACHED)" '' "$from: every step of the target comes from the cache"
	unlike "$(progress)" 'build 2/3|other 2/2' "$from: the other stages are not needed"
	like "$err" "importing cache manifest from type=local,src=$T/$from" "$from: the source is told"
	[ "$from" = max,tag=zstd ] || is "$(layers "$T/$again.tar" | tail -n +2)" "$(layers "$T/first.tar" | tail -n +2)" \
		"$from: the layers are the first store's"
done

# What has changed is built, what has not comes from the cache
store changed
sed -i 's/ENV A=b/RUN echo more >\/more/' "$T/context/Dockerfile"
build changed --cache-from "type=local,src=$T/max" --cache-from "type=local,src=$T/nosuch"
like "$(progress)" '^DONE \[stage-2 6/6\] RUN echo more' 'a new step runs'
is "$(progress | grep -c CACHED)" 4 'what is below it comes from the cache'
like "$err" "WARN: the cache type=local,src=$T/nosuch is not used: cannot open" 'a source that is not there is a warning'
store source
echo changed >"$T/context/source"
build source --cache-from "type=local,src=$T/max"
like "$(progress)" '^DONE \[build 3/3\] RUN date' 'a changed file: its stage is built'
like "$(progress)" '^DONE \[stage-2 2/6\] COPY --from=build' 'and what copies from it'
unlike "$(progress)" '^DONE \[other' 'the stage that has not changed is not'
echo content >"$T/context/source"
store no-cache
build no-cache --no-cache --cache-from "type=local,src=$T/max"
unlike "$(progress | grep -v WORKDIR)" CACHED '--no-cache asks no cache'

# Inside of the image, at a registry
start_registry
store first
build inline --cache-to type=inline
build argument --build-arg BUILDKIT_INLINE_CACHE=1
is "$(layers "$T/argument.tar")" "$(layers "$T/inline.tar")" 'the build argument does the same'
works 'the image goes to the registry' skopeo copy --quiet --dest-tls-verify=false "oci-archive:$T/inline.tar" "docker://$REGISTRY/app:1"
works 'the cache goes to the registry' skopeo copy --quiet --dest-tls-verify=false "oci:$T/max:latest" "docker://$REGISTRY/cache:1"
store inline
build from-inline --cache-from "$REGISTRY/app:1"
is "$(progress | grep -v CACHED)" '' 'every step comes from the image'
unlike "$(layers "$T/from-inline.tar")" '^$' 'with its layers'
store registry
sed -i 's/RUN echo more.*/ENV A=b/' "$T/context/Dockerfile"
build from-registry --cache-from "type=registry,ref=$REGISTRY/cache:1"
is "$(progress | grep -v CACHED)" '' 'every step comes from the cache at the registry'
fails_with 1 'this is a build cache, not an image: name it with --cache-from' rb pull "$REGISTRY/cache:1"
store plain
build plain --cache-from "$REGISTRY/nosuch:1" --cache-from "127.0.0.1:1/dead:1" --cache-from "$REGISTRY/app:1"
like "$err" "WARN: the cache $REGISTRY/nosuch:1 is not used: .*no such image" 'an image that is not there'
like "$err" 'WARN: the cache 127.0.0.1:1/dead:1 is not used: ' 'a registry that is not there'
is "$(progress | grep -v CACHED)" '' 'the third source is used all the same'
store many
many=()
for i in {1..400}; do many+=(--cache-from "type=local,src=$(printf '/nosuch/%0200d' "$i")"); done
build many "${many[@]}" --cache-from "$REGISTRY/app:1"
is "$(grep -c 'WARN: the cache type=local,src=/nosuch/0.* is not used: cannot open' <<<"$err")" 400 'hundreds that are not there'
is "$(progress | grep -v CACHED)" '' 'and the last one is used'

# Caches that lie cost their hits and nothing else
# lie NAME PYTHON: a copy of the cache whose config, as `c`, is changed; root is the directory
lie() {
	cp -r "$T/min" "$T/lie-$1"
	python3 - "$T/lie-$1" "$2" <<'END' || bail_out "lie $1"
import hashlib, json, os, sys
root, change = sys.argv[1:]
def path(digest): return f"{root}/blobs/{digest.replace(':', '/')}"
def put(text):
    digest = "sha256:" + hashlib.sha256(text.encode()).hexdigest()
    with open(path(digest), "w") as f: f.write(text)
    return digest, len(text)
index = json.load(open(root + "/index.json"))
manifest = json.load(open(path(index["manifests"][0]["digest"])))
c = json.load(open(path(manifest["config"]["digest"])))
text = None
exec(change)
manifest["config"]["digest"], manifest["config"]["size"] = put(text if text is not None else json.dumps(c))
index["manifests"][0]["digest"], index["manifests"][0]["size"] = put(json.dumps(manifest))
json.dump(index, open(root + "/index.json", "w"))
END
}
lie depth 'c["layers"][0]["parent"] = len(c["layers"]) - 1'
lie parent 'c["layers"][1]["parent"] = 4000'
lie record 'c["records"][0]["layers"][0]["layer"] = -7'
lie json 'text = "{\"layers\": ["'
lie diff 'c["layers"][-1]["annotations"]["diffID"] = "sha256:" + "0" * 63 + "1"'
lie swap 'c["layers"][-1]["blob"] = c["layers"][0]["blob"]; c["layers"][-1]["annotations"]["size"] = c["layers"][0]["annotations"]["size"]'
lie lost 'os.unlink(path(c["layers"][-1]["blob"]))'
lie short 'open(path(c["layers"][-1]["blob"]), "w").write("short")'
lie size 'c["layers"][-1]["annotations"]["size"] = 1 << 62'
lie shuffled 'd = [r["digest"] for r in c["records"]]; [r.update(digest=d[i - 1]) for i, r in enumerate(c["records"])]'
for name in depth parent record json diff swap lost short size shuffled; do
	store "lie-$name"
	build "lie-$name" --cache-from "type=local,src=$T/lie-$name"
	like "$(progress)" '^DONE \[build 3/3\] RUN date' "$name: the build does it itself"
done
mkfifo "$T/lie-lost/fifo" && rm "$T/lie-lost/index.json" && mv "$T/lie-lost/fifo" "$T/lie-lost/index.json"
store lie-fifo
build lie-fifo --cache-from "type=local,src=$T/lie-lost"
like "$err" 'WARN: the cache .* is not used' 'a FIFO for an index is told'
# A registry that accepts and says nothing; beside the rest, for it takes its time
if [ "$RB_TEST_USER" = range ]; then
	python3 - "$T/port" <<'END' &
import socket, sys, time
s = socket.create_server(("127.0.0.1", 0))
open(sys.argv[1], "w").write(str(s.getsockname()[1]))
time.sleep(120)
END
	stop_later $!
	wait_for 5 test -s "$T/port"
	store stalls
	cp -r "$T/min" "$T/beside"
	(trap '' ALRM && exec "$RBUILD" --root "$RB_ROOT" build --progress plain --cache-from "type=local,src=$T/beside" --cache-from "127.0.0.1:$(cat "$T/port")/stalls:1" "$T/context" >"$T/stalls" 2>&1) &
	stalling=$!
fi

# Refused and wrong ones
fails_with 1 'type=gha is not supported yet: use local or inline' rb build --cache-to type=gha "$T/context"
fails_with 1 'type=registry is not supported' rb build --cache-to "$REGISTRY/x" "$T/context"
fails_with 1 'type=s3 is not supported: use registry or local' rb build --cache-from type=s3 "$T/context"
fails_with 1 'type=s3 is not supported: use registry or local' rb build --cache-from region=eu-west-1,type=s3,bucket=b "$T/context"
fails_with 1 'type=azblob is not supported' rb build --cache-from type=azblob "$T/context"
fails_with 2 'an inline cache is read with type=registry,ref=IMAGE' rb build --cache-from type=inline "$T/context"
fails_with 1 'an inline cache has the layers of the result only: leave mode=max' rb build --cache-to type=inline,mode=max "$T/context"
works 'keys that ask for what is done anyway' rb build --cache-to type=inline,mode=min \
	--cache-to "type=local,dest=$T/anyway,image-manifest=true,oci-mediatypes=true,force-compression=false" "$T/context"
fails_with 2 'type=local needs src=DIR' rb build --cache-from type=local "$T/context"
fails_with 2 'type=local needs dest=DIR' rb build --cache-to type=local "$T/context"
fails_with 2 'invalid value "most" for mode \(expected min or max\)' rb build --cache-to "type=local,dest=$T/x,mode=most" "$T/context"
store first
mkdir "$T/closed" && chmod 500 "$T/closed"
fails_with 1 '--cache-to: .*cannot write' rb build --cache-to "type=local,dest=$T/closed/x" "$T/context"
works 'ignore-error' rb build --progress plain --cache-to "type=local,dest=$T/context/source/x,ignore-error=true" "$T/context"
like "$err" 'ignored: .*cannot write the cache' 'tells what it ignores'

cp -r "$T/min" "$T/damaged" && echo '{' >"$T/damaged/index.json"
fails_with 1 'cannot add to the cache, which other tags may be in; remove the directory' rb build --cache-to "type=local,dest=$T/damaged" "$T/context"
is "$(cat "$T/damaged/index.json")" '{' 'an index that cannot be read is not replaced'

# reset: what nothing names goes, other tags stay
dead="$(printf %064d 7) .rbuild-0123456789abcdef $(printf %064d 8).tmp-0123456789abcdef"
(cd "$T/max/blobs/sha256" && touch $dead README)
printf 'FROM scratch\nARG TARGETARCH\nENV A=$TARGETARCH\nCOPY source /\n' >"$T/context/several"
works 'an image of two platforms' rb build --platform linux/amd64,linux/arm64 -f "$T/context/several" -o "type=oci,dest=$T/several.oci" "$T/context"
works 'in the same layout' skopeo copy --quiet --all "oci-archive:$T/several.oci" "oci:$T/max:several"
python3 - "$T/max/index.json" <<'END'
import json, sys
index = json.load(open(sys.argv[1]))
index["annotations"] = {"org.example.of": "somebody"}
for m in index["manifests"]: m["annotations"]["org.example.note"] = "of " + m["annotations"]["org.opencontainers.image.ref.name"]
json.dump(index, open(sys.argv[1], "w"))
END
build reset --cache-to "type=local,dest=$T/max,mode=min,reset=true"
is "$(python3 - "$T/max/index.json" <<'END'
import json, sys
index = json.load(open(sys.argv[1]))
print(index["annotations"]["org.example.of"], *[m["annotations"].get("org.example.note", "ours") for m in index["manifests"]])
END
)" \
	'somebody of zstd of several ours' 'what others wrote into the index stays'
is "$(cd "$T/max/blobs/sha256" && ls -d $dead README 2>/dev/null)" README 'reset removes what no tag names, also what a killed build left'
works 'and not what an index names' skopeo copy --quiet --all "oci:$T/max:several" "oci:$T/several"
store after-reset
build after-reset --cache-from "type=local,src=$T/max,tag=zstd"
is "$(progress | grep -v CACHED)" '' 'and nothing of the other tag'
is "$(find "$T/max" "$T/min" -name '.rbuild-*')" '' 'no temporaries are left'

# Several at once: each waits for its turn, so that no tag is lost and no blob removed that another one counts on
store first
mkdir -p "$T/many/deep"
exec 9<"$T/many/deep" && flock 9
"$RBUILD" --root "$RB_ROOT" build --progress plain --cache-to "type=local,dest=$T/many/deep,tag=waits" "$T/context" >"$T/waits" 2>&1 9<&- &
waits=$!
wait_for 10 grep -q "waiting for another build that writes the cache $T/many/deep" "$T/waits" || not_ok 'it says that it waits' "$(cat "$T/waits")"
is "$(ls "$T/many/deep")" '' 'a build waits while another one writes to the directory'
flock -u 9
wait $waits
is "$? $(grep -c waits "$T/many/deep/index.json")" '0 1' 'and writes then'
works 'a directory in a directory that is not there yet' rb build --cache-to "type=local,dest=$T/new/deep/cache" "$T/context"
works 'skopeo reads it' skopeo inspect --raw "oci:$T/new/deep/cache:latest"

# A long way through the stages
{
	printf 'FROM scratch AS s0\nCOPY source /a\n'
	for ((i = 0; i < 2500; i++)); do printf 'FROM scratch AS s%d\nCOPY --from=s%d /a /a\n' $((i + 1)) $i; done
} >"$T/context/long"
store long
works 'thousands of stages, each from the one before' bash -c 'ulimit -s 512 && "$@"' - \
	"$RBUILD" --root "$RB_ROOT" build --progress plain --cache-from "type=local,src=$T/max" -f "$T/context/long" "$T/context"
like "$err" 'importing cache' 'ask the cache'
rm "$T/context/long"

if [ "$RB_TEST_USER" = range ]; then
	wait "$stalling"
	is $? 0 'a registry that stalls does not fail the build'
	like "$(cat "$T/stalls")" 'WARN: the cache .* is not used: it could not be read in time' 'and is told'
	unlike "$(cat "$T/stalls")" "WARN: the cache .*$T/beside" 'the source before it'
	is "$(step_states <"$T/stalls" | grep -E 'RUN|COPY|WORKDIR' | grep -v CACHED)" '' 'is used all the same'
fi
done_testing
