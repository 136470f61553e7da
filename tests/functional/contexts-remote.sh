#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Contexts that lie elsewhere: git repositories, archives and Dockerfiles by HTTP, as the context
# argument and by name.
# users: range single
# needs: userns overlay git
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/hostile.sh
. "$RB_TEST_SRC/tests/hostile.sh"

unset http_proxy https_proxy HTTP_PROXY HTTPS_PROXY
export GIT_CONFIG_GLOBAL=/dev/null GIT_AUTHOR_NAME=n GIT_AUTHOR_EMAIL=n@x GIT_COMMITTER_NAME=n GIT_COMMITTER_EMAIL=n@x
git_port=$(free_port) http_port=$(free_port)
git_url=git://127.0.0.1:$git_port/repo.git http_url=http://127.0.0.1:$http_port
mkdir -p "$T/srv/work/sub" "$T/c"
cd "$T/srv/work" || bail_out 'no directory'
git init -q -b main .
echo one >top
echo in >sub/in
echo top >.dockerignore
ln -s ../top sub/up
ln -s "$CANARY/secret" sub/out
ln -s / rootlink
ln -s "$CANARY" canarylink
ln -s ../../.. uplink
printf 'FROM scratch\nCOPY . /\n' >Dockerfile
printf 'FROM scratch\nCOPY in /\n' >sub/D
chmod 755 sub/in
git add . && git commit -qm one && git tag -a -m tag v1
echo two >top && git commit -qam two && git checkout -qb side && echo side >top && git commit -qam side && git checkout -q main
first=$(git rev-parse 'v1^{commit}')
git clone -q --bare . ../repo.git
tar -C "$T/srv/work" --exclude=.git --owner=12 --group=34 -czf "$T/srv/context" .
cp sub/D ../D.txt
cd "$T" || bail_out 'no directory'
git daemon --export-all --base-path="$T/srv" --listen=127.0.0.1 --port="$git_port" 2>/dev/null &
stop_later $!
python3 -m http.server --bind 127.0.0.1 --directory "$T/srv" "$http_port" 2>"$T/http.log" &
stop_later $!
wait_for 10 python3 -c "import urllib.request; urllib.request.urlopen('$http_url/D.txt')" || bail_out 'no HTTP server'
wait_for 10 git ls-remote "$git_url" || bail_out 'no git server'

# build [OPTION...]: into $T/out.oci; progress in $err
build() {
	rm -f "$T/out.oci"
	run_command rb -o "type=oci,dest=$T/out.oci" "$@" || diag "$err"
}
tree() { oci "$T/out.oci" tree | cut -d' ' -f1-4; }
text() { oci "$T/out.oci" cat -1 "$1"; }
# refused REGEX OPTION...
refused() {
	local want=$1
	shift
	fails_with 1 "$want" rb -o "type=oci,dest=$T/refused.oci" "$@"
}

# --- git

build "$git_url"
is "$(tree)" "$(printf '%s\n' '.dockerignore f 0644 0:0' 'Dockerfile f 0644 0:0' 'canarylink l 0777 0:0' \
	'rootlink l 0777 0:0' 'sub d 0755 0:0' 'sub/D f 0644 0:0' 'sub/in f 0755 0:0' 'sub/out l 0777 0:0' 'sub/up l 0777 0:0' \
	'top f 0644 0:0' 'uplink l 0777 0:0')" 'a repository: no .git, nothing ignored'
is "$(text top)" two 'what its HEAD is'
build "$git_url"
like "$(step_states <<<"$err")" '^CACHED .*COPY \. /$' 'the same commit is the same'
for ref in '#v1' "#$first" '#refs/tags/v1' '?ref=v1' '?tag=v1' "?ref=main&commit=$first&fetch-by-commit=1"; do
	build "$git_url$ref"
	is "$(text top)" one "$ref"
done
for ref in '#HEAD' '?ref=HEAD' '#refs/heads/main' '#heads/main'; do
	build "$git_url$ref"
	is "$(text top)" two "$ref"
done
for ref in '#side' '?branch=side'; do
	build "$git_url$ref"
	is "$(text top)" side "$ref"
done
for ref in '#v1:sub' '?ref=v1&subdir=sub' '#:sub'; do
	build -f D "$git_url$ref"
	is "$(tree)" 'in f 0755 0:0' "$ref: a subdirectory, and -f in it"
done
cp "$T/srv/D.txt" "$T/c/Dockerfile" && echo 'COPY up /' >>"$T/c/Dockerfile"
refused '^rbuild: Dockerfile:3: "/up": not found: it is a symbolic link to "\.\./top", which leads to nothing' -f "$T/c/Dockerfile" "$git_url#:sub"
refused 'failed to read dockerfile: out is a symbolic link that leads out' -f out "$git_url#:sub"
for link in rootlink uplink; do
	build "$git_url#:$link"
	is "$(text top)" two "a subdirectory that is a link out, $link: the repository is the root"
done
refused '^rbuild: unable to prepare context: .*no directory "canarylink"' "$git_url#:canarylink"
refused '^rbuild: unable to prepare context: ' "$git_url#:../.."
refused '^rbuild: unable to prepare context: ' "$git_url#--upload-pack=x"
refused '^rbuild: unable to prepare context: a git reference with a blank .*%20' "$git_url#:a b"
refused '^rbuild: unable to prepare context: .*no directory "a b"' "$git_url#:a%20b"
build --build-arg BUILDKIT_CONTEXT_KEEP_GIT_DIR=1 "$git_url"
is "$(oci "$T/out.oci" tree | grep -c '^\.git/HEAD ')" 1 'BUILDKIT_CONTEXT_KEEP_GIT_DIR'
build "$git_url?keep-git-dir=true"
is "$(oci "$T/out.oci" tree | grep -c '^\.git/HEAD ')" 1 'keep-git-dir'
build --no-cache --build-arg SOURCE_DATE_EPOCH=1 "$git_url#v1"
unpack_oci "$T/out.oci" "$T/u" && is "$(stat -c %Y "$T/u/rootfs/top")" "$(git -C "$T/srv/work" log -1 --format=%ct v1)" \
	'SOURCE_DATE_EPOCH: files have the time of the commit'
refused '^rbuild: unable to prepare context: .*no branch or tag "nope"' "$git_url#nope"
refused '^rbuild: unable to prepare context: .*no directory "nope"' "$git_url#:nope"
refused '^rbuild: unable to prepare context: .*not exported' "${git_url%repo.git}nope.git"
refused '^rbuild: unable to prepare context: unexpected query "nope"' "$git_url?nope=1"
refused '^rbuild: unable to prepare context: .*conflict' "$git_url?ref=a#b"
works 'rbuild plan' rb plan "$git_url"
like "$out" '^  (build|cached) +\[1/1\] COPY \. /$' 'of a repository'

mkdir -p "$T/c/github.com/org/repo" && printf 'FROM scratch\nLABEL a=b\n' >"$T/c/github.com/org/repo/Dockerfile"
(cd "$T/c" && build github.com/org/repo)
is "$(oci "$T/out.oci" get .config.Labels.a)" b 'a directory that is there is no repository'
rm -r "$T/c/github.com"

# --- HTTP

build "$http_url/context"
is "$(tree)" "$(printf '%s\n' '.dockerignore f 0644 12:34' 'Dockerfile f 0644 12:34' 'canarylink l 0777 12:34' \
	'rootlink l 0777 12:34' 'sub d 0755 12:34' 'sub/D f 0644 12:34' \
	'sub/in f 0755 12:34' 'sub/out l 0777 12:34' 'sub/up l 0777 12:34' 'top f 0644 12:34' 'uplink l 0777 12:34')" 'an archive, whatever it is called'
build -f sub/D "$http_url/context" || true
like "$err" '"/in": not found' '-f is a path in it'
refused '^rbuild: D.txt:2: "/in": not found' "$http_url/D.txt"
printf 'FROM scratch\nCOPY . /\n' >"$T/srv/D2"
build "$http_url/D2"
is "$(tree)" 'context f 0600 0:0' 'text is the Dockerfile, with itself as context'
echo in >"$T/c/in"
build -f "$http_url/D.txt" "$T/c"
is "$(tree)" 'in f 0644 0:0' '-f is a URL'
refused 'invalid response status 404' "$http_url/nope"
gzip <"$T/srv/D.txt" >"$T/srv/D.gz"
refused '^rbuild: unable to prepare context: the archive cannot be unpacked: not a tar archive' "$http_url/D.gz"
refused 'failed to read dockerfile: .*invalid response status 404' -f "$http_url/nope" "$T/c"
refused 'failed to read dockerfile: open nope: no such file' -f nope "$http_url/context"

# --- by name

dockerfile=$(
	cat <<-'EOT'
		FROM nowhere.invalid/x AS replaced
		RUN false
		FROM repo
		COPY --from=file / /file/
		COPY --from=replaced in /in
	EOT
)
named=(--build-context "repo=$git_url#v1" --build-context "file=$http_url/context" --build-context "replaced=$git_url#:sub")
echo "$dockerfile" >"$T/c/Dockerfile"
build "${named[@]}" "$T/c"
is "$(oci "$T/out.oci" cat 0 top) $(oci "$T/out.oci" list 1 | cut -d' ' -f1-4 | tail -n 1) $(text in)" 'one file/context f 0600 0:0 in' \
	'git and URL contexts in FROM, --from and instead of a stage'
like "$err" "^#[0-9]+ \\[context file\\] load $http_url/context\$" 'progress names them'
build "${named[@]}" "$T/c"
is "$(step_states <<<"$err" | grep -c '^CACHED .*\(COPY\|FROM\)')" 3 'and the second time all of it is cached'
build --build-context "repo=$git_url#$first" --build-context "file=$http_url/context" --build-context "replaced=$git_url#:sub" "$T/c"
is "$(step_states <<<"$err" | grep -c '^CACHED .*\(COPY\|FROM\)')" 3 'also when the commit is named otherwise'
printf 'FROM scratch\nCOPY --from=repo top /\n' >"$T/c/Dockerfile"
build --build-context "repo=$git_url#$first" "$T/c"
unlike "$err" 'context repo' 'a commit that is known is not asked for'
works 'rbuild plan' rb plan "${named[@]}" "$T/c"
like "$out" 'COPY --from=repo top /  <- context repo \(to be fetched\)$' 'shows them'
refused '^rbuild: context repo: unable to prepare context: .*no branch or tag "nope"' --build-context "repo=$git_url#nope" "$T/c"
printf 'FROM scratch\nCOPY in /\n' >"$T/c/Dockerfile"
build --build-context "repo=git://nowhere.invalid/x.git" "$T/c"
is "$(tree)" 'in f 0644 0:0' 'what is not needed is not fetched'

# Bytes that are known, and have been damaged since
echo genuine >"$T/srv/plain"
printf 'FROM scratch\nADD %s /\n' "$http_url/plain" >"$T/c/Dockerfile"
build "$T/c"
blob=$(find "$RB_ROOT/blobs" -name "$(sha256sum <"$T/srv/plain" | cut -d' ' -f1)")
chmod 600 "$blob" && echo damaged >"$blob"
printf 'FROM scratch\nCOPY --from=plain context /\n' >"$T/c/Dockerfile"
build --build-context "plain=$http_url/plain" "$T/c"
is "$(text context)" genuine 'are fetched again'

canary_safe 'remote contexts'
not_disclosed 'remote contexts' "$RB_ROOT"
is "$(inside find "$RB_ROOT" -name '.active-*' | wc -l)" 0 'nothing half-made is left'
done_testing
