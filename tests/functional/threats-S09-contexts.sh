#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# S9, S28 to S32: hostile archives and repositories as build context. Names, links and hard links stay
# in the context, the Dockerfile is one of its files, whiteouts delete nothing, and bombs are refused
# in bounded memory.
# users: range single
# needs: userns overlay git
# timeout: 200
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/hostile.sh
. "$RB_TEST_SRC/tests/hostile.sh"

base_image busybox >/dev/null
import_base busybox base
craft <<-'EOT' || bail_out 'cannot craft the archives'
	import struct, zlib
	canary = os.environ["CANARY"]
	up = "../" * 40
	all_files = b"FROM base\nCOPY . /ctx/\nRUN find /ctx | sort >/list\n"

	def context(name, layer, dockerfile=all_files):
	    if dockerfile:
	        layer.file("Dockerfile", dockerfile)
	    layer.write(name + ".tar")

	def links(layer):
	    layer.symlink("abs", canary).symlink("rel", up + canary[1:]).symlink("file", canary + "/secret")
	    return layer.symlink("root", "/proc/self/root" + canary).symlink("cwd", "/proc/self/cwd/" + up + canary[1:])

	# Names
	context("absolute", Layer().file("/evil1", b"x").file(canary + "/evil2", b"x").file("a/../evil3", b"x")
	        .file(canary + "/secret", b"overwritten"))
	for number, name in enumerate(("../evil", up + canary[1:] + "/evil", "a/../../evil")):
	    context(f"climbs{number}", Layer().file(name, b"x"))
	context("pax", Layer().file("x", b"x", pax={"path": canary + "/evil-pax"}))
	# Writes through links
	through = links(Layer())
	for number, name in enumerate(("abs", "rel", "root", "cwd")):
	    through.file(f"{name}/evil{number}", b"evil")
	through.file("abs/secret", b"overwritten").file("file", b"overwritten")
	context("through", through)
	# Hard links, which could be copied instead
	for number, target in enumerate((canary + "/secret", up + canary[1:] + "/secret", "out/secret", "nothing")):
	    context(f"hard{number}", Layer().symlink("out", canary).hardlink("evil", target))
	# The Dockerfile itself
	context("df-link", Layer().symlink("Dockerfile", canary + "/secret"), None)
	context("df-up", Layer().symlink("Dockerfile", up + canary[1:] + "/secret"), None)
	context("df-dir", Layer().symlink("sub", canary).file("Dockerfile.x"), None)
	context("df-fifo", Layer().fifo("Dockerfile"), None)
	context("df-char", Layer().char("Dockerfile", 1, 5), None)
	context("df-in", Layer().symlink("Dockerfile", "/sub/real").file("sub/real", all_files), None)
	# Sources
	context("source", links(Layer()), b"FROM base\nCOPY file /x\n")
	context("source-dir", links(Layer()), b"FROM base\nCOPY abs/secret /x\n")
	# Whiteouts are names
	context("whiteout", Layer().file("kept", b"k").file(".wh.kept").file("d/.wh..wh..opq"), b"FROM base\nCOPY kept /\n")
	context("whiteout-copied", Layer().file("kept", b"k").file(".wh.kept"))
	# Bombs
	def header(name, size):
	    info = tarfile.TarInfo(name)
	    info.size = size
	    return info.tobuf(tarfile.GNU_FORMAT)
	size = 160 << 20
	packer = zlib.compressobj(9, wbits=31)
	with open("bomb.tar", "wb") as out:
	    for piece in [header("bomb", size)] + [b"A" * (1 << 20)] * (size >> 20) + [bytes(1024)]:
	        out.write(packer.compress(piece))
	    out.write(packer.flush())
	open("huge.tar", "wb").write(header("huge", 1 << 62))
	open("window.tar", "wb").write(b"\x28\xb5\x2f\xfd\x00\xa8" + b"\x02\x80\x00A" * 1000)
	context("deep", Layer().file("d/" * 1500 + "f"))
	open("garbage.tar", "wb").write(b"\x1f\x8b" + os.urandom(100000))
	import bz2, lzma
	noise = Layer().file("noise", os.urandom(100000)).bytes()
	open("bzip2.tar", "wb").write(bz2.compress(noise)[:-20])
	open("xz.tar", "wb").write(lzma.compress(noise)[:-20])
	open("short.tar", "wb").write(compress(b"x" * 100, "gzip")[:-12])
EOT

# try NAME [OPTION...]: builds it; messages in $err, the largest memory in kB in $peak
try() {
	local name=$1 status
	shift
	rm -f "$T/out.oci"
	run_command /usr/bin/time -q -o "$T/.peak" -f %M timeout 60 "$RBUILD" --root "$RB_ROOT" \
		-o "type=oci,dest=$T/out.oci" "$@" - <"$T/$name.tar"
	status=$?
	peak=$(cat "$T/.peak")
	return $status
}
# refused NAME REGEX [OPTION...]
refused() {
	local name=$1 want=$2 status
	shift 2
	try "$name" "$@"
	status=$?
	if [ $status = 1 ] && [ "$(grep -c '^rbuild: ' <<<"$err")" = 1 ] && grep -Eq "^rbuild: .*$want" <<<"$err"; then
		ok "$name: refused with \"$want\""
	else
		not_ok "$name: refused with \"$want\"" "exit status $status" "$err"
	fi
	unlike "$err" "$CANARY_TEXT" "$name: without a word of the canary"
}

try absolute
is "$(oci "$T/out.oci" cat -1 list | grep -c evil)" 3 'absolute names are names in the context'
try pax
is "$(oci "$T/out.oci" cat -1 list | grep evil)" "/ctx$CANARY/evil-pax" 'also those of pax headers'
try through || diag "$err"
is "$(oci "$T/out.oci" cat -1 list | grep -c 'evil[0-3]$')" 4 'what is written through links lands in the context'
canary_safe 'names and links'
for number in 0 1 2; do refused "climbs$number" 'leaves the directory it is unpacked into'; done
for number in 0 1 2 3; do refused "hard$number" 'evil: hard link to .*, which is no file'; done
refused df-link 'failed to read dockerfile: Dockerfile is a symbolic link that leads out of'
refused df-up 'failed to read dockerfile: Dockerfile is a symbolic link that leads out of'
refused df-dir 'failed to read dockerfile: .*sub/secret' -f sub/secret
refused df-dir 'failed to read dockerfile: .*' -f "../../../../../../..$CANARY/secret"
refused df-fifo 'failed to read dockerfile: Dockerfile is not a regular file'
# A device is an empty file in the tree, and has no instruction
try df-char
is $? 1 'a device as Dockerfile is refused'
try df-in
is "$(oci "$T/out.oci" cat -1 list | grep -c real)" 1 'a link in the context is followed'
refused source '"/file": not found: it is a symbolic link'
refused source-dir '"/abs/secret": not found'
canary_safe 'links'

try whiteout
status=$?
[ $status = 0 ] || diag "$err"
is "$status $(oci "$T/out.oci" list -1 | cut -d' ' -f1)" '0 kept' 'whiteouts delete nothing'
refused whiteout-copied 'a file called .*\.wh\.|\.wh\.kept'

refused bomb 'grows to more than 1000 times'
refused huge '.'
refused window '.'
refused deep '.'
refused garbage 'damaged gzip'
refused short 'ends too early'
refused bzip2 'ends too early'
refused xz 'ends too early'
works 'in bounded memory' [ "$peak" -le 300000 ]
# --- repositories

export GIT_CONFIG_GLOBAL=/dev/null GIT_AUTHOR_NAME=n GIT_AUTHOR_EMAIL=n@x GIT_COMMITTER_NAME=n GIT_COMMITTER_EMAIL=n@x
git_port=$(free_port)
url=git://127.0.0.1:$git_port/evil
git init -q -b main "$T/srv/evil"
(
	cd "$T/srv/evil" || exit
	ln -s "$CANARY/secret" Dockerfile
	ln -s "$CANARY/secret" file
	ln -s "$CANARY" dir
	ln -s "../../../../../../../../../..$CANARY" up
	printf 'FROM base\nCOPY file /x\n' >D1
	printf 'FROM base\nCOPY dir/secret /x\n' >D2
	printf 'FROM base\nCOPY . /ctx/\n' >D3
	printf 'FROM base\nADD up/secret /x\n' >D4
	git add . && git commit -qm evil
)
git daemon --export-all --base-path="$T/srv" --listen=127.0.0.1 --port="$git_port" 2>/dev/null &
stop_later $!
wait_for 10 git ls-remote "$url" || bail_out 'no git server'
printf 'FROM base\nCOPY --from=evil file /x\n' >"$T/named"
for try in '' '-f D1' '-f D2' '-f D4' '-f dir/secret' '-f up/secret' "-f $T/named --build-context evil=$url"; do
	# shellcheck disable=SC2086
	run_command timeout 60 "$RBUILD" --root "$RB_ROOT" -o "type=oci,dest=$T/out.oci" $try "$url"
	is $? 1 "repository, ${try%% --*}: refused"
	unlike "$out$err" "$CANARY_TEXT" 'without a word of the canary'
done
for sub in dir up dir/dir; do
	run_command timeout 60 "$RBUILD" --root "$RB_ROOT" -f D3 -o "type=oci,dest=$T/out.oci" "$url#:$sub"
	is $? 1 "repository, subdirectory $sub: refused"
done
run_command rb -f D3 -o "type=oci,dest=$T/out.oci" "$url"
is "$(oci "$T/out.oci" list -1 | sed -n 's/.* l .* -> /-> /p' | sort -u | wc -l)" 3 'links are copied as links'
not_disclosed 'repositories' "$T/out.oci"

is "$(inside find "$RB_ROOT" -name '.active-*' | wc -l)" 0 'nothing half-made is left'
is "$(find "$RB_ROOT/tmp" -type f | wc -l)" 0 'no temporary file either'
canary_safe 'everything'
not_disclosed 'everything' "$RB_ROOT"
done_testing
