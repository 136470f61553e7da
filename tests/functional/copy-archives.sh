#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# ADD of local archives: told by their content, unpacked by the rules of dockerfile.md 3.10; hostile
# ones stay in the root (S9, S29, S30, S32, S43).
# users: range single
# needs: userns overlay bzip2 xz zstd
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/copy.sh
. "$RB_TEST_SRC/tests/copy.sh"
# shellcheck source=tests/hostile.sh
. "$RB_TEST_SRC/tests/hostile.sh"

base_image busybox >/dev/null
import_base busybox base

# refused REGEX < Dockerfile
refused() {
	context "$T/c"
	fails_with 1 "^rbuild: Dockerfile:[0-9]+: .*$1" rb "$T/c"
}

# --- kinds

mkdir -p "$T/t/dir/sub" "$T/c/into"
cd "$T/t" || exit
echo one >dir/f
echo two >dir/sub/g
ln dir/f dir/hard
ln -s f dir/soft
chmod 4750 dir/f
chmod 2711 dir/sub
touch -d '2001-02-03 04:05:06 UTC' dir/f dir/sub/g dir/sub dir
tar --numeric-owner --owner=7 --group=8 -cf "$T/c/plain.tar" dir
cd "$T/c" || exit
gzip -k <plain.tar >a.gz
bzip2 -k <plain.tar >a.bz2
xz -k <plain.tar >a.xz
zstd -q <plain.tar >a.zst
cp a.xz notes.txt
{ bzip2 -c <(head -c 3000 plain.tar); bzip2 -c <(tail -c +3001 plain.tar); } >parts.bz2
echo text | gzip >text.gz
echo text | xz >text.xz
echo text | bzip2 >text.bz2
head -c 4096 /dev/zero >zeros
: >nothing
ln -s a.xz tolink
cp plain.tar into/
cd / || exit
want='x d 0755 0:0 x/dir d 0755 7:8 x/dir/f f 4750 7:8 x/dir/hard h 0000 7:8 x/dir/soft l 0777 7:8 x/dir/sub d 2711 7:8 x/dir/sub/g f 0644 7:8'
want=${want/h 0000/h 4750}
kinds=(plain.tar a.gz a.bz2 a.xz a.zst notes.txt parts.bz2 tolink)
build <<-EOT
	FROM base
	$(for kind in "${kinds[@]}"; do echo "ADD $kind /x"; echo "RUN rm -r /x"; done)
EOT
layer=1
for kind in "${kinds[@]}"; do
	is "$(names $layer | sed 's/h 0000/h 4750/')" "$want" "ADD $kind"
	layer=$((layer + 2))
done
is "$(oci "$T/out.oci" cat 7 x/dir/sub/g)" two 'with its content'
build <<-'EOT'
	FROM base
	ADD text.gz text.xz text.bz2 zeros nothing into /x/
	ADD --unpack=false a.xz plain.tar /y/
	ADD --unpack=true plain.tar /z
	COPY a.xz /copied
	ADD --unpack a.zst text.gz *.bz2 /many/
	ADD --chown=3:4 --chmod=700 --exclude=**/g --exclude=dir a.xz /w/
	ADD --exclude=*.tar plain.tar a.gz /v/
EOT
is "$(names 1)" 'x d 0755 0:0 x/nothing f 0644 0:0 x/plain.tar f 0644 0:0 x/text.bz2 f 0644 0:0 x/text.gz f 0644 0:0 x/text.xz f 0644 0:0 x/zeros f 0644 0:0' \
	'what is compressed and no archive is copied, also an archive in a directory'
is "$(names 2)" 'y d 0755 0:0 y/a.xz f 0644 0:0 y/plain.tar f 0644 0:0' '--unpack=false'
is "$(names 3 | sed 's/h 0000/h 4750/')" "${want//x/z}" '--unpack=true'
is "$(names 4)" 'copied f 0644 0:0' 'COPY unpacks nothing'
is "$(names 5 | tr ' ' '\n' | grep -c '^many/')" 8 'several sources, each on its own'
is "$(names 6 | sed 's/h 0000/h 4750/')" 'w d 0755 3:4 w/dir d 0755 3:4 w/dir/f f 4750 3:4 w/dir/hard h 4750 3:4 w/dir/soft l 0777 3:4 w/dir/sub d 2711 3:4 w/dir/sub/g f 0644 3:4' \
	'--chown counts for what is in it, --chmod and --exclude do not'
is "$(names 7 | cut -d' ' -f1,5)" 'v v/dir' '--exclude counts for the archive itself'
python3 - "$T/out.oci" "$RB_TEST_SRC/tests" >"$T/layer.tar" <<-'EOT'
	import sys
	sys.dont_write_bytecode = True
	sys.path.insert(0, sys.argv[2])
	from oci import Image
	sys.stdout.buffer.write(Image(sys.argv[1]).layer(3))
EOT
is "$(tar --utc --full-time -tvf "$T/layer.tar" z/dir/f z/dir/sub | grep -c '2001-02-03 04:05:06')" 3 'times are those of the archive'

# --- onto what there is

craft <<-'EOT'
	import io, tarfile
	def tar(name, *entries):
	    with tarfile.open(f"c/{name}", "w") as t:
	        for path, kind, value, mode in entries:
	            info = tarfile.TarInfo(path)
	            info.type, info.mode, info.uid, info.gid = kind, mode, 1, 2
	            info.mtime = 1000000000
	            data = b""
	            if kind == tarfile.REGTYPE:
	                data = value.encode()
	            elif value:
	                info.linkname = value
	            info.size = len(data)
	            t.addfile(info, io.BytesIO(data))
	F, D, L, H, P, C = (tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE)
	tar("over.tar", ("d/", D, "", 0o700), ("d/file", F, "new", 0o640), ("d/link", F, "new", 0o644), ("d/dir/", D, "", 0o711),
	    ("d/wasfile/", D, "", 0o755), ("d/wasfile/x", F, "x", 0o644), ("no/parents/here", F, "x", 0o600), ("p", P, "", 0o622), ("/abs", F, "a", 0o644), ("./dot", F, "d", 0o644))
	tar("climb.tar", ("../../climbed", F, "x", 0o644))
	tar("links.tar", ("out", L, "/tmp", 0o777), ("out/into", F, "x", 0o644), ("up", L, "../../../../../../../../tmp", 0o777), ("up/too", F, "x", 0o644))
	tar("hard.tar", ("h", H, "../../../../../../etc/passwd", 0o644))
	tar("hard2.tar", ("h", H, "/etc/hostname-of-the-machine", 0o644))
	tar("white.tar", (".wh.x", F, "", 0o644))
	tar("device.tar", ("null", C, "", 0o666))
EOT
build <<-'EOT'
	FROM base
	RUN mkdir -p /t/d/dir /t/d/kept && echo old >/t/d/file && ln -s file /t/d/link && echo old >/t/d/wasfile && ln -s t /s && chmod 750 /t
	ADD over.tar /s
	ADD over.tar /fresh/deep
	ADD device.tar /dev2
	ADD links.tar /l
EOT
is "$(names 2)" 't d 0750 0:0 t/abs f 0644 1:2 t/d d 0700 1:2 t/d/dir d 0711 1:2 t/d/file f 0640 1:2 t/d/link f 0644 1:2 t/d/wasfile d 0755 1:2 t/d/wasfile/.wh..wh..opq f 0000 0:0 t/d/wasfile/x f 0644 1:2 t/dot f 0644 1:2 t/no d 0755 0:0 t/no/parents d 0755 0:0 t/no/parents/here f 0600 1:2 t/p p 0622 1:2' \
	'files and links are replaced, directories merged; the destination is followed'
is "$(oci "$T/out.oci" cat 2 t/d/file)" new 'a link in the way is not written through'
is "$(oci "$T/out.oci" tree | grep -c '^t/d/kept d')" 1 'what was there stays'
is "$(names 3 | cut -d' ' -f1-8)" 'fresh d 0755 0:0 fresh/deep d 0755 0:0' 'the destination is made'
like "$(names 4)" 'dev2/null c 0666 1:2' 'a device'
like "$(names 5)" 'tmp/into f 0644' 'a link of the archive leads to where the image has it'
like "$(names 5)" 'tmp/too f 0644' 'and never out of it'
# "./" of an archive says how a temporary directory was; the destination stays, or is made, as any
mkdir -m 700 "$T/t/tmp"
echo x >"$T/t/tmp/f"
tar -C "$T/t/tmp" --numeric-owner --owner=7 --group=8 --xattrs -czf "$T/c/dot.tgz" .
build <<-'EOT'
	FROM base
	RUN mkdir -m 711 /there && touch -d 2001-01-01 /there
	ADD dot.tgz /
	ADD dot.tgz /there
	ADD dot.tgz /made/
	ADD --chown=3:4 dot.tgz /owned/
EOT
is "$(oci "$T/out.oci" tree | grep -E '^(f|there|made|owned)' | cut -d' ' -f1-4 | tr '\n' ' ')" 'f f 0644 7:8 made d 0755 0:0 made/f f 0644 7:8 owned d 0755 3:4 owned/f f 0644 3:4 there d 0711 0:0 there/f f 0644 7:8 ' \
	'"./" of an archive changes nothing'
is "$(oci "$T/out.oci" tree | grep '^\. ')" '' 'nor the root'
refused 'climb.tar.*climbed' <<<$'FROM base\nADD climb.tar /a/b/'
refused 'hard.tar' <<<$'FROM scratch\nADD hard.tar /a/b/'
refused 'hard2.tar' <<<$'FROM base\nADD hard2.tar /a/b/'
refused 'white.tar.*\.wh\.x' <<<$'FROM base\nADD white.tar /a/'
refused 'cannot copy to non-directory: /etc/passwd' <<<$'FROM base\nADD plain.tar /etc/passwd'
head -c 1500 "$T/c/a.xz" >"$T/c/cut.xz" # no tar header comes out of it
xz -0 <(cat "$T/c/plain.tar" <(head -c 3000000 /dev/urandom)) -c | head -c 1000000 >"$T/c/cut2.xz"
refused 'cut2.xz: the xz stream ends too early' <<<$'FROM base\nADD cut2.xz /x'

# a bomb that is a tar: the limits of layers
python3 - "$T/c/bomb.tar" <<-'EOT'
	import subprocess, sys, tarfile
	info = tarfile.TarInfo("bomb")
	info.size = 200 << 20
	with open(sys.argv[1] + ".xz", "wb") as out:
	    xz = subprocess.Popen(["xz", "-0", "-T1"], stdin=subprocess.PIPE, stdout=out)
	    xz.stdin.write(info.tobuf())
	    piece = b"bomb" * (1 << 18)
	    for _ in range(200):
	        xz.stdin.write(piece)
	    xz.stdin.close()
	    sys.exit(xz.wait())
EOT
refused 'bomb.tar.xz: .*more than [0-9]+ times its size' <<<$'FROM base\nADD bomb.tar.xz /x'
canary_safe 'everything'
done_testing
