#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# ADD of git repositories (dockerfile.md 3.10 item 1, 5.5): references, subdirectories, the query
# form, submodules, --keep-git-dir, --checksum; what is asked again and what is not fetched again.
# users: range single
# needs: userns overlay python3 git
# shellcheck disable=SC2119,SC2001
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/web.sh
. "$RB_TEST_SRC/tests/web.sh"

start_web
# build < Dockerfile: into $T/out.oci
build() {
	context "$T/c"
	rb --progress=plain -o "type=oci,dest=$T/out.oci" "$T/c" >"$T/.build" 2>&1 || diag "$(cat "$T/.build")"
}
# one REFERENCE [FLAG...]: an image of that ADD alone
one() { build <<<$'FROM scratch\nADD '"${*:2} http://$WEB/$1 /d"; }
# refused REFERENCE REGEX [FLAG...]
refused() {
	context "$T/c" <<<$'FROM scratch\nADD '"${*:3} http://$WEB/$1 /d"
	fails_with 1 "^rbuild: Dockerfile:2: .*$2" rb -o type=cacheonly "$T/c"
}
listing() { oci "$T/out.oci" tree | cut -d' ' -f1-4,7-; }
files() { oci "$T/out.oci" tree | awk '$2 != "d" { print $1 }' | paste -sd' '; }

git init -q -b main "$T/lib" && cd "$T/lib" || exit 1
mkdir -p src/deep bin
echo one >a && echo '#!/bin/sh' >bin/tool && chmod 750 bin/tool && chmod 600 a
echo deep >src/deep/f && ln -s ../a src/link
git add . && git commit -qm one && git tag light && git tag -a -m tagged v1
v1=$(git rev-parse v1) first=$(git rev-parse HEAD)
echo two >b && git add b && git commit -qm two
git checkout -q -b side && echo side >s && git add s && git commit -qm side
git branch v2 main && git tag -a -m v2 v2 main~1 && git checkout -q main
head=$(git rev-parse HEAD)
publish "$T/lib"

# --- what it becomes

one git/lib.git
is "$(listing)" 'd d 0755 0:0
d/a f 0644 0:0
d/b f 0644 0:0
d/bin d 0755 0:0
d/bin/tool f 0755 0:0
d/src d 0755 0:0
d/src/deep d 0755 0:0
d/src/deep/f f 0644 0:0
d/src/link l 0777 0:0 -> ../a' 'HEAD: modes, owners, links, no .git'
is "$(oci "$T/out.oci" get '.history[0].created_by')" "ADD http://$WEB/git/lib.git /d # buildkit" history
one git/lib.git --chown=3:4 --chmod=0700 --exclude=src
is "$(listing | head -n 3)" 'd d 0700 3:4
d/a f 0700 3:4
d/b f 0700 3:4' '--chown, --chmod'
unlike "$(files)" src '--exclude'
for row in '#v1|a bin/tool src/deep/f src/link' '#light|a bin/tool src/deep/f src/link' \
	'#side|a b bin/tool s src/deep/f src/link' "#$first|a bin/tool src/deep/f src/link" \
	'#refs/heads/side:src|deep/f link' '#:src/deep|f' '#main:/src/../bin/|tool' \
	'?ref=v1&subdir=bin|tool' '?branch=side&subdir=src/deep|f' '?tag=v1#:src/deep|f' \
	'#v2:.|a b bin/tool src/deep/f src/link' '?tag=v2|a bin/tool src/deep/f src/link' \
	"?commit=${first:0:9}#v1|a bin/tool src/deep/f src/link" \
	"?fetch-by-commit=1&checksum=$first|a bin/tool src/deep/f src/link"; do
	one "git/lib.git${row%%|*}"
	is "$(files)" "$(sed 's#[^ ]*#d/&#g' <<<"${row#*|}")" "${row%%|*}"
done
one 'git/lib.git?mtime=commit#v1:src/deep'
is "$(oci "$T/out.oci" mtimes -1 | grep f)" 'd/f 1643861106' 'mtime=commit'
one 'dumb/lib.git#v1:src/deep'
is "$(files)" d/f 'a server of plain files'
build <<-EOT
	FROM scratch
	ADD http://$WEB/git/lib.git#v1:bin http://$WEB/git/lib.git#side:src/deep /both
EOT
is "$(files)" 'both/f both/tool' 'two repositories in one ADD'

# --- --keep-git-dir

rb -o "type=local,dest=$T/kept" - >"$T/.build" 2>&1 <<-EOT || diag "$(cat "$T/.build")"
	FROM scratch
	ADD --keep-git-dir http://$WEB/git/lib.git#v1 /tag
	ADD http://$WEB/git/lib.git?keep-git-dir=1&branch=side /side
	ADD --keep-git-dir=false http://$WEB/git/lib.git#v1 /none
EOT
is "$(git -C "$T/kept/tag" status --porcelain; git -C "$T/kept/tag" describe; git -C "$T/kept/tag" rev-parse HEAD)" \
	"v1
$first" 'tag: clean, described, at its commit'
is "$(git -C "$T/kept/side" log --format=%s)" side 'branch: one commit deep'
is "$(git -C "$T/kept/side" config remote.origin.url)" "http://$WEB/git/lib.git" 'it knows where it is from'
is "$(git -C "$T/kept/tag" fsck 2>&1)" '' 'git fsck'
is "$(ls -A "$T/kept/none")" 'a
bin
src' '--keep-git-dir=false'
refused 'git/lib.git?keep-git-dir=0' 'inconsistent keep-git-dir configuration' --keep-git-dir

# --- --checksum

for sum in "$first" "${first:0:8}" "$v1" "${v1:0:7}"; do
	one git/lib.git#v1:src/deep "--checksum=$sum"
	is "$(files)" d/f "--checksum=$sum"
done
refused git/lib.git#v1 "expected checksum to match $head, got $v1" "--checksum=$head"
refused 'git/lib.git?checksum=00112233' "expected checksum to match 00112233, got $head"
refused git/lib.git 'invalid checksum "sha256:00" for a git source' --checksum=sha256:00
refused "git/lib.git?commit=$first" 'conflicting git checksums' "--checksum=$head"

# --- what is asked and fetched

one git/lib.git#side:src
requests >/dev/null
one git/lib.git#side:src
like "$(requests)" 'GET /git/lib.git/info/refs' 'a branch is asked for again'
is "$(grep -c CACHED "$T/.build")" 2 'source and step are cached'
one "git/lib.git#$head:src"
requests >/dev/null
one "git/lib.git#$head:src"
is "$(requests)" '' 'a commit is not'
is "$(grep -c CACHED "$T/.build")" 2 'and is cached'
one "git/lib.git#$first"
sed -i 's/http:/http:/' "$T/c/Dockerfile"
one 'git/lib.git#light'
is "$(grep -c CACHED "$T/.build")" 2 'the same commit by another name is a hit'
(cd "$T/lib" && git checkout -q side && echo more >"more" && git add more && git commit -qm more)
publish "$T/lib"
one git/lib.git#side
like "$(files)" d/more 'a branch that moved is fetched'
is "$(find "$RB_ROOT/tmp" -type f -o -name 'index-*' | wc -l) $(find "$RB_ROOT/git" -name '*.lock' | grep -vc '/[0-9a-f]*\.lock$')" \
	'0 0' 'nothing is left behind'

# --- submodules

git init -q -b main "$T/inner" && cd "$T/inner" && echo inner >i && git add i && git commit -qm inner
publish "$T/inner"
git init -q -b main "$T/middle" && cd "$T/middle" || exit 1
git -c protocol.file.allow=always submodule --quiet add "$T/inner" deps/inner 2>/dev/null
git config -f .gitmodules submodule.deps/inner.url ../inner.git
git add . && git commit -qm middle
publish "$T/middle"
git init -q -b main "$T/outer" && cd "$T/outer" || exit 1
git -c protocol.file.allow=always submodule --quiet add "$T/middle" sub 2>/dev/null
git config -f .gitmodules submodule.sub.url "http://$OTHER/git/middle.git"
git add . && git commit -qm outer
publish "$T/outer"
one git/outer.git
is "$(files)" 'd/.gitmodules d/sub/.gitmodules d/sub/deps/inner/i' 'submodules, recursive, absolute and relative'
requests >/dev/null
one git/outer.git
unlike "$(requests)" 'inner|POST .*middle' 'they are not asked for again'
one 'git/outer.git?submodules=false'
is "$(files)" 'd/.gitmodules' 'submodules=false'
one 'git/outer.git#:sub/deps'
is "$(files)" 'd/inner/i' 'a subdirectory inside of a submodule'
cd "$T/outer" && git rm -q --cached .gitmodules && git commit -qm lost && publish "$T/outer"
refused git/outer.git 'submodule at sub, but .gitmodules does not say where'

# --- refusals

refused git/none.git "http://$WEB/git/none.git: git: .*not found"
refused git/lib.git#nothing 'the repository has no branch or tag "nothing"'
refused git/lib.git#d4f088e 'the repository has no branch or tag "d4f088e" \(a commit needs all 40 digits of its hash here\)'
refused "git/lib.git#$(printf '%040d' 7)" 'the repository has no commit 0{39}7'
refused git/lib.git#:missing 'the repository has no directory "missing": No such file or directory'
refused git/lib.git#:a 'the repository has no directory "a": Not a directory'
refused 'git/lib.git?what=1' 'unexpected query "what"'
refused 'git/lib.git?ref=a#b' 'conflicting git references "a" and "b"'
git init -q --bare "$T/web/git/empty.git"
refused git/empty.git 'the repository has no HEAD: is it empty\?'
for form in git@127.0.0.1:lib.git ssh://git@127.0.0.1/lib.git; do
	context "$T/c" <<<$'FROM scratch\nADD '"$form /d"
	fails_with 1 "^rbuild: Dockerfile:2: $form: it is reached by ssh: lend the build an agent with --ssh default" \
		rb -o type=cacheonly "$T/c"
done
daemon=127.0.0.1:$(free_port)
"$(git --exec-path)/git-daemon" --listen=127.0.0.1 --port="${daemon##*:}" --base-path="$T/web/git" --export-all 2>"$T/daemon.log" &
stop_later $!
wait_for 10 git ls-remote "git://$daemon/lib.git" >/dev/null 2>&1 || bail_out "git-daemon: $(cat "$T/daemon.log")"
build <<<$'FROM scratch\nADD '"git://$daemon/lib.git#v1:src/deep /d"
is "$(files)" d/f 'git://'
works 'git:// as the context' rb build -f - -o type=oci,dest="$T/out.oci" "git://$daemon/lib.git#side" <<<$'FROM scratch\nCOPY s b /'
is "$(files)" 'b s' 'its files'
git init -q --bare -b main --object-format=sha256 "$T/web/git/new.git"
git init -q --object-format=sha256 "$T/new" && git -C "$T/new" commit -q --allow-empty -m one &&
	git -C "$T/new" push -q "$T/web/git/new.git" HEAD:main
refused git/new.git 'git: .* \(repositories of the SHA-256 format are not supported\)'
context "$T/c" <<<$'FROM scratch\nADD '"git://$daemon/nosuch.git /d"
fails_with 1 "^rbuild: Dockerfile:2: .*git://$daemon/nosuch.git" rb -o type=cacheonly "$T/c"
context "$T/c" <<<$'FROM scratch\nADD '"http://$WEB/stall/x.git /d"
"$RBUILD" --root "$RB_ROOT" -o type=cacheonly "$T/c" >"$T/.stall" 2>&1 &
pid=$!
wait_for 20 grep -q stall "$WEB_LOG"
isnt "$(processes "git --git-dir=$RB_ROOT")" 0 'git waits for a silent server'
kill -TERM $pid
wait $pid
wait_for 10 test "$(processes "git --git-dir=$RB_ROOT")" = 0
is "$(processes "git --git-dir=$RB_ROOT")" 0 'and ends with the build'
context "$T/c" <<<$'FROM scratch\nADD '"http://$WEB/git/lib.git#side /d"
if [ -x /usr/bin/git ]; then
	fails_with 1 'git repositories need the program git: install the package git' \
		unshare -Ur --mount sh -c "mount --bind /dev/null /usr/bin/git && exec \"\$0\" \"\$@\"" \
		"$RBUILD" --root "$T/nogit" --mode single -o type=cacheonly "$T/c"
fi
done_testing
