#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# --build-context: directories, images and OCI layouts by name, in FROM, COPY --from and instead of
# stages and images.
# users: range single
# needs: userns overlay skopeo
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/hostile.sh
. "$RB_TEST_SRC/tests/hostile.sh"

base_image busybox >/dev/null
import_base busybox base
mkdir -p "$T/c" "$T/dep/sub" "$T/other"
echo main >"$T/c/main"
echo ignored >"$T/c/ignored"
echo ignored >"$T/c/.dockerignore"
echo one >"$T/dep/one"
echo two >"$T/dep/sub/two"
echo mine >"$T/dep/ignored"
echo other >"$T/other/other"
printf 'two\nsub/two\n' >"$T/dep/.dockerignore"
ln -s "$CANARY/secret" "$T/dep/link"
chmod 640 "$T/dep/one"

# build [OPTION...] < Dockerfile: into $T/out.oci; progress in $err
build() {
	cat >"$T/Dockerfile"
	rm -f "$T/out.oci"
	run_command rb "$@" -f "$T/Dockerfile" -o "type=oci,dest=$T/out.oci" "$T/c" || diag "$err"
}
names() { oci "$T/out.oci" list "$1" | cut -d' ' -f1-4; }
# refused REGEX OPTION... < Dockerfile
refused() {
	local want=$1
	shift
	cat >"$T/Dockerfile"
	fails_with 1 "$want" rb "$@" -f "$T/Dockerfile" -o "type=oci,dest=$T/refused.oci" "$T/c"
}

# --- directories

build --build-context "dep=$T/dep" <<-'EOT'
	FROM scratch
	COPY --from=dep one main* sub /a/
	COPY --from=dep . /all/
	COPY . /main/
EOT
is "$(names 0)" "$(printf '%s\n' 'a d 0755 0:0' 'a/one f 0640 0:0')" 'COPY --from a directory: owners are 0:0, its files alone'
is "$(names 1)" "$(printf '%s\n' 'all d 0755 0:0' 'all/.dockerignore f 0644 0:0' 'all/ignored f 0644 0:0' \
	'all/link l 0777 0:0' 'all/one f 0640 0:0' 'all/sub d 0755 0:0')" 'its own ignore file counts, and not the other'
is "$(names 2)" "$(printf '%s\n' 'main d 0755 0:0' 'main/.dockerignore f 0644 0:0' 'main/main f 0644 0:0')" 'and only there'
like "$err" '^#[0-9]+ \[context dep\] load from client$' 'progress tells whose files are read'

dockerfile=$(
	cat <<-'EOT'
		FROM scratch
		COPY --from=dep one /
	EOT
)
build --build-context "dep=local:$T/dep" <<<"$dockerfile"
echo changed >"$T/dep/ignored"
touch -d 2020-01-01 "$T/dep/one"
build --build-context "dep=$T/dep" <<<"$dockerfile"
like "$(step_states <<<"$err")" '^CACHED .*COPY --from=dep one /$' 'what no source names, and times, are not in the key'
echo changed >"$T/dep/one"
build --build-context "dep=$T/dep" <<<"$dockerfile"
like "$(step_states <<<"$err")" '^DONE .*COPY --from=dep one /$' 'what a source names is'
build --build-context "dep=$T/other" --build-context "dep=$T/dep" <<<"$dockerfile"
like "$(step_states <<<"$err")" '^CACHED .*COPY --from=dep one /$' 'of two contexts of one name the last counts'
cp -r "$T/dep" "$T/dep2"
build --build-context "dep=$T/dep2" <<<"$dockerfile"
like "$(step_states <<<"$err")" '^CACHED .*COPY --from=dep one /$' 'the same files elsewhere are the same'

mkdir "$T/odd"
echo x >"$T/odd/x"
mkfifo "$T/odd/fifo"
echo secret >"$T/odd/unreadable"
chmod 0 "$T/odd/unreadable"
build --build-context "dep=$T/odd" <<-'EOT'
	FROM scratch
	COPY --from=dep x /
EOT
is "$(names 0)" 'x f 0644 0:0' 'what cannot be read does no harm where nobody asks for it'
refused 'cannot read "unreadable" in the context dep: Permission denied' --build-context "dep=$T/odd" <<-'EOT'
	FROM scratch
	COPY --from=dep . /
EOT
refused '"/link": not found: it is a symbolic link to ".*", which leads to nothing inside of the context dep' --build-context "dep=$T/dep" <<-'EOT'
	FROM scratch
	COPY --from=dep link /
EOT
refused '"/sub/two": not found: excluded by the pattern "sub/two" in .*/dep/\.dockerignore' --build-context "dep=$T/dep" <<-'EOT'
	FROM scratch
	COPY --from=dep sub/two /
EOT

# What the caller owns is root's in the user namespace anyway; /etc belongs to somebody it does not know.
build --build-context etc=/etc <<-'EOT'
	FROM base
	RUN --mount=from=etc,source=passwd,target=/m stat -c %u:%g /m >/seen
	COPY --from=etc passwd /copied
EOT
is "$(oci "$T/out.oci" cat 1 seen) $(names 2)" '0:0 copied f 0644 0:0' 'files of somebody else are root'"'"'s too'

# --- FROM

build --build-context "dep=$T/dep" <<-'EOT'
	FROM dep
	ENV A=b
	COPY main /
EOT
is "$(names 0)" "$(printf '%s\n' '.dockerignore f 0644 0:0' 'ignored f 0644 0:0' 'link l 0777 0:0' 'one f 0640 0:0' \
	'sub d 0755 0:0')" 'FROM a directory: its files are a layer'
is "$(oci "$T/out.oci" get .config.Env)" '["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "A=b"]' \
	'with the configuration of an empty image'
is "$(oci "$T/out.oci" check)" '' 'history and layers agree'
build --build-context "base=$T/dep" <<-'EOT'
	FROM docker.io/library/base:latest
	COPY main /
EOT
is "$(names 0 | tail -n 1)" 'sub d 0755 0:0' 'a context replaces an image, however it is written'
build --build-context "docker.io/library/base:latest=$T/dep" <<-'EOT'
	FROM base
	COPY main /
EOT
is "$(names 0 | tail -n 1)" 'sub d 0755 0:0' 'on both sides'
build --build-context "base:1=$T/dep" <<-'EOT'
	FROM base
	COPY main /
EOT
is "$(oci "$T/out.oci" layers)" 2 'a tag that is not latest is another name'
native=$(oci "$T/out.oci" get .architecture)
build --build-context "dep::linux/s390x=$T/other" --build-context "dep::linux/$native=$T/dep" --build-context "dep=$T/c" <<<"$dockerfile"
is "$(names 0)" 'one f 0640 0:0' 'NAME::os/arch is preferred on that platform'

# --- stages

stages=$(
	cat <<-'EOT'
		FROM nosuchimage.invalid/x AS build
		RUN false
		COPY --from=nothing.invalid/y /x /
		FROM scratch
		COPY --from=build one /one
		COPY --from=0 sub /sub
		FROM build
		COPY main /
	EOT
)
build --build-context "build=$T/dep" <<<"$stages"
is "$(names 0 | head -n 1)" '.dockerignore f 0644 0:0' 'FROM a stage that is replaced'
build --build-context "build=$T/dep" --target 1 <<<"$stages"
is "$(names 0) $(names 1)" 'one f 0640 0:0 sub d 0755 0:0' 'COPY --from a stage that is replaced, by name and number'
unlike "$err" 'nosuchimage|nothing' 'nothing of the stage is looked at'
build --build-context "build=docker-image://base" --target build <<<"$stages"
is "$(oci "$T/out.oci" layers)" 1 'by an image, which may be the target'
build --build-context "build=docker-image://scratch" <<<"$stages"
is "$(oci "$T/out.oci" tree)" 'main f 0644 0:0 5 1' 'by scratch'
works 'rbuild plan' rb plan --build-context "build=$T/dep" -f "$T/Dockerfile" --target 1 "$T/c"
like "$out" '^  (cached|build) +.*COPY --from=build one /one  <- context build$' 'shows where the files come from'
works 'rbuild plan' rb plan --build-context "build=$T/dep" -f "$T/Dockerfile" "$T/c"
like "$out" '^  from the files of context build$' 'and what a stage is made of'

# --- images

build --build-context "tools=docker-image://docker.io/library/base" <<-'EOT'
	FROM tools AS x
	RUN echo ran >/ran
	FROM scratch
	COPY --from=tools /bin/busybox /
	COPY --from=x /ran /
EOT
is "$(oci "$T/out.oci" cat 1 ran)" ran 'docker-image:// in FROM and --from'
build --build-context "scratch=$T/dep" --build-context "context=$T/dep" <<-'EOT'
	FROM scratch
	COPY main /
EOT
is "$(oci "$T/out.oci" tree)" 'main f 0644 0:0 5 1' 'scratch is never a context'
like "$err" 'context scratch is never looked at' 'which is said'

# --- in mounts and triggers

build --build-context "dep=$T/dep" --build-context "tools=docker-image://base" <<-'EOT'
	FROM base
	RUN --mount=from=dep,target=/m --mount=from=dep,source=sub,target=/s --mount=from=tools,source=bin,target=/b \
	    stat -c '%n %u:%g' /m/* /s /b/busybox >/seen
EOT
is "$(oci "$T/out.oci" cat 1 seen)" $'/m/ignored 0:0\n/m/link 0:0\n/m/one 0:0\n/m/sub 0:0\n/s 0:0\n/b/busybox 0:0' \
	'RUN --mount from a context: without what it ignores, and of root'
printf 'FROM base\nONBUILD COPY --from=dep one /triggered\n' >"$T/Dockerfile"
works 'an image with a trigger' rb -t trigger -f "$T/Dockerfile" "$T/c"
build --build-context "dep=$T/dep" <<-'EOT'
	FROM trigger
EOT
is "$(names 1)" 'triggered f 0640 0:0' 'ONBUILD COPY --from a context'
build --build-context "other=docker-image://trigger" --build-context "dep=$T/dep" <<-'EOT'
	FROM other
EOT
is "$(names 1)" 'triggered f 0640 0:0' 'of an image that is a context itself'

# A layout of two images, one of them under a nested index, written by other people's tools
build <<-'EOT'
	FROM base
	ENV WHICH=first
	RUN echo first >/which && chown 12:34 /which || true
EOT
works 'skopeo writes a layout' skopeo copy --quiet "oci-archive:$T/out.oci" "oci:$T/layout:one"
first=$(python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))["manifests"][0]["digest"])' "$T/layout/index.json")
layout='FROM lay
COPY --from=lay2 which /second'
RB_ROOT=$T/fresh build --build-context "lay=oci-layout://$T/layout:one" --build-context "lay2=oci-layout://$T/layout" <<<"$layout"
is "$(oci "$T/out.oci" cat -1 second) $(oci "$T/out.oci" get .config.Env | grep -o first)" 'first first' 'oci-layout:// by tag, and the only one'
is "$(oci "$T/out.oci" manifest | grep -c '"digest"')" 4 'with its layers and one more'
(cd "$T" && RB_ROOT=$T/fresh build --build-context "lay=oci-layout://layout:one" --build-context "lay2=oci-layout://layout@$first" <<<"$layout")
like "$(step_states <<<"$(RB_ROOT=$T/fresh rb --build-context "lay=oci-layout://$T/layout:one" --build-context "lay2=oci-layout://$T/layout@$first" \
	-f "$T/Dockerfile" "$T/c" 2>&1)")" '^CACHED .*COPY --from=lay2' 'by digest, relative, and cached as by tag'
cp -R "$T/layout" "$T/with@sign"
for which in :one "@$first" ":one@$first" ''; do
	RB_ROOT=$T/fresh-at build --build-context "lay=oci-layout://$T/with@sign$which" --build-context "lay2=oci-layout://$T/with@sign" <<<"$layout"
	is "$(oci "$T/out.oci" cat -1 second)" first "a layout in a directory with @ in its name, ${which:-no tag}"
done
works 'rbuild check' rb check --build-context "lay=oci-layout://$T/layout:one" --build-context "lay2=oci-layout://$T/layout" -f "$T/Dockerfile" "$T/c"
is "$err" '' 'reads what variables the image of a layout has'
works 'a second image in the layout' skopeo copy --quiet "oci-archive:$T/out.oci" "oci:$T/layout:two"
build --platform linux/amd64,linux/arm64 <<-'EOT'
	FROM scratch
	ARG TARGETARCH
	ENV WHICH=$TARGETARCH
	COPY main /
EOT
works 'an index in a layout' skopeo copy --quiet --all "oci-archive:$T/out.oci" "oci:$T/index:latest"
for arch in amd64 arm64; do
	build --platform "linux/$arch" --build-context "lay=oci-layout://$T/index" <<<$'FROM lay\nCOPY main /again'
	like "$(oci "$T/out.oci" get .config.Env)" "WHICH=$arch" "its image for $arch"
	digest=$(python3 -c 'import json, sys
d = sys.argv[1]
index = json.load(open(d + "/index.json"))["manifests"][0]["digest"].replace(":", "/")
print(*(m["digest"] for m in json.load(open(d + "/blobs/" + index))["manifests"] if m["platform"]["architecture"] == sys.argv[2]))' "$T/index" "$arch")
	build --build-context "lay=oci-layout://$T/index@$digest" <<<$'FROM lay\nCOPY main /again'
	like "$(oci "$T/out.oci" get .config.Env)" "WHICH=$arch" "and by the digest of its manifest"
done
refused 'it holds no image for linux/s390x' --platform linux/s390x --build-context "lay=oci-layout://$T/index" <<<'FROM lay'
refused 'context lay: OCI image layout .*: it holds no image tagged "latest"' --build-context "lay=oci-layout://$T/layout" <<<'FROM lay'
refused 'it holds no image tagged "three"' --build-context "lay=oci-layout://$T/layout:three" <<<'FROM lay'
refused "it holds no image sha256:$(printf '0%.0s' {1..64})" --build-context "lay=oci-layout://$T/layout@sha256:$(printf '0%.0s' {1..64})" <<<'FROM lay'
refused 'cannot open the OCI image layout .*/nowhere' --build-context "lay=oci-layout://$T/nowhere" <<<'FROM lay'
refused 'not an OCI image layout' --build-context "lay=oci-layout://$T/dep" <<<'FROM lay'
blob=$T/layout/blobs/sha256/${first#sha256:}
cp "$blob" "$T/blob" && sed -i 's/config/cOnfig/' "$blob"
RB_ROOT=$T/fresh2 refused 'is damaged' --build-context "lay=oci-layout://$T/layout:one" <<<'FROM lay'
truncate -s 8G "$blob"
RB_ROOT=$T/fresh2 refused 'is damaged: it has 8589934592 bytes, but its descriptor says' --build-context "lay=oci-layout://$T/layout:one" <<<'FROM lay'
rm "$blob" && ln -s "$CANARY/secret" "$blob"
RB_ROOT=$T/fresh2 refused 'OCI image layout .*: cannot open blobs' --build-context "lay=oci-layout://$T/layout:one" <<<'FROM lay'
unlike "$err" "$CANARY_TEXT" 'a blob that is a link out of the layout is not shown'
# Whole, but for the place: a link in it must not reach it
for name in blobs blobs/sha256 index.json oci-layout; do
	cp -r "$T/index" "$T/linked" && mv "$T/linked/$name" "$T/outside" && ln -s "$T/outside" "$T/linked/$name"
	RB_ROOT=$T/fresh3 refused 'OCI image layout .*/linked: .*(missing|No such file)' --build-context "lay=oci-layout://$T/linked" <<<'FROM lay'
	rm -rf "$T/linked" "$T/outside"
done
cp -r "$T/index" "$T/linked" && rm "$T/linked/index.json" && ln -s "$CANARY/secret" "$T/linked/index.json"
RB_ROOT=$T/fresh3 refused 'not an OCI image layout: index.json' --build-context "lay=oci-layout://$T/linked" <<<'FROM lay'
unlike "$err" "$CANARY_TEXT" 'nor is what an index would be that is one'
build --cache-from "type=local,src=$T/linked" <<<$'FROM scratch\nCOPY main /not-built-before'
like "$err" 'index.json: No such file' 'a cache'
unlike "$err" "$CANARY_TEXT" 'shows nothing either'
refused 'cannot open the OCI image layout [^:]*: Not a directory$' --build-context "lay=oci-layout://$T/linked/oci-layout" <<<'FROM lay'

# --- what is refused

refused 'unsupported context source foo for x' --build-context x=foo://bar <<<'FROM scratch'
refused 'failed to get build context x: unable to prepare context: path "nowhere" not found' --build-context x=nowhere <<<'FROM scratch'
refused 'failed to get build context x: .*"/etc/passwd" is not a directory' --build-context x=/etc/passwd <<<'FROM scratch'
refused '--build-context x=target:y: results of other builds' --build-context x=target:y <<<'FROM scratch'
for wrong in x =y x= Upper=y 'a b=y'; do
	fails_with 2 '^rbuild: --build-context: invalid context (name|value)' rb --build-context "$wrong" "$T/c"
done
fails_with 2 '^rbuild: failed to get build context x: invalid reference format' rb --build-context x=docker-image://UPPER "$T/c"
canary_safe 'named contexts'
not_disclosed 'named contexts' "$RB_ROOT" "$T/fresh" "$T/fresh2"
done_testing
