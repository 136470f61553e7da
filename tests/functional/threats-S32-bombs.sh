#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# S32 (and S33): layers that are made to take memory, disk or time, and broken ones: each ends with one
# line, within little memory, and the store stays usable.
# users: range single
# needs: userns overlay zstd time
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/hostile.sh
. "$RB_TEST_SRC/tests/hostile.sh"

base=$(base_image busybox) || bail_out 'no base image'
export base
craft <<-'EOT' || bail_out 'cannot craft the images'
	import struct, zlib
	base = open(os.environ["base"], "rb").read()

	def header(name, kind, size):
	    info = tarfile.TarInfo(name)
	    info.type, info.size = kind, size
	    return info.tobuf(tarfile.GNU_FORMAT)       # sizes beyond 8 GiB in base 256

	def deflated(head, byte, count):
	    """A tar of one file of a repeated byte, compressed as it is made: gzip and its diff ID."""
	    packer, digest, out = zlib.compressobj(9, wbits=31), hashlib.sha256(), []
	    block = byte * (1 << 20)
	    for piece in [head] + [block] * (count >> 20) + [bytes(1024)]:
	        digest.update(piece)
	        out.append(packer.compress(piece))
	    return b"".join(out + [packer.flush()]), "sha256:" + digest.hexdigest()

	def bomb(name, packed, diff):
	    image(name + ".oci", [base, b""], blobs=[compress(base, "gzip"), packed], diff_ids=[blob_name(base), diff])

	none = "sha256:" + "0" * 64
	size = 160 << 20
	bomb("gzip-bomb", *deflated(header("bomb", b"0", size), b"A", size))
	bomb("gzip-zeros", *deflated(header("zeros", b"0", size), b"\0", size))
	big = header("bomb", b"0", 1 << 30) + b"A" * (96 << 20)
	packed = subprocess.run(["zstd", "-qc"], input=big, check=True,
	                        capture_output=True).stdout
	image("zstd-bomb.oci", [base, b""], compression="zstd", blobs=[compress(base, "zstd"), packed],
	      diff_ids=[blob_name(base), none])
	# A frame that wants a window of 2 GiB
	image("window.oci", [base, b""], compression="zstd", diff_ids=[blob_name(base), none],
	      blobs=[compress(base, "zstd"), b"\x28\xb5\x2f\xfd\x00\xa8" + b"\x02\x80\x00A" * 1000])
	# 2^33 bytes of nothing: a hole, and a map of 2^33 holes that is not there
	hole = Layer().file("GNUSparseFile.0/hole", b"1\n8589934591\n1\n".ljust(512, b"\0") + b"x" , pax={
	    "GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.name": "hole", "GNU.sparse.realsize": str(1 << 33)})
	image("sparse.oci", [base, hole])
	image("sparse-map.oci", [base, Layer().file("x", b"8589934592\n" + b"1\n" * 4000000, pax={
	    "GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.name": "hole", "GNU.sparse.realsize": str(1 << 33)})])
	image("sparse-old.oci", [base, Layer().file("x", b"", pax={
	    "GNU.sparse.size": str(1 << 33), "GNU.sparse.numblocks": str(1 << 33), "GNU.sparse.map": "0,1," * 100000})])
	image("huge-size.oci", [base, header("huge", b"0", 1 << 62)])
	image("negative.oci", [base, header("negative", b"0", 0)[:124] + b"\xff" * 12 + header("negative", b"0", 0)[136:]])
	# Deep directories: by one name, and one below the other through a link
	image("deep.oci", [base, Layer().file("d/" * 1500 + "f")])
	deep = Layer().symlink("s", "d/" * 200).directory("d/" * 200)
	for level in range(4):
	    deep.symlink(("s/" + "d/" * 200) + "t" if level == 0 else f"t{level}", "d/" * 200)
	image("deep-links.oci", [base, deep.file("s/" + "d/" * 300 + "f")])
	# pax records: 4 GiB promised, 64 MiB there, a size that is none
	image("pax-4g.oci", [base, header("x", b"x", 1 << 32) + b"4294967296 path=" + b"A" * 100000])
	pax = header("x", b"x", 64 << 20) + b"67108864 path=" + b"A" * ((64 << 20) - 14)
	image("pax-64m.oci", [base, pax])
	image("longname.oci", [base, header("x", b"L", 64 << 20) + b"A" * (64 << 20)])
	image("pax-bad.oci", [base, header("x", b"x", 512) + b"999999999999999999999 path=x\n".ljust(512, b"\0")])
	many = header("x", b"x", 3 << 20) + (b"26 SCHILY.xattr.user.a=bb\n" * 200000)[:3 << 20] + header("f", b"0", 0)
	image("pax-many.oci", [base, many])
	# Very many entries in one directory are fine, and cost no memory
	crowd = io.BytesIO()
	with tarfile.open(fileobj=crowd, mode="w", format=tarfile.USTAR_FORMAT) as tar:
	    for number in range(20000):
	        tar.addfile(tarfile.TarInfo(f"crowd/{number}"))
	image("crowd.oci", [base, crowd.getvalue()])
	# Broken: S33
	gz = compress(base, "gzip")
	for name, blob, what in (("cut-gzip", gz[:len(gz) // 2], base), ("cut-tar", compress(base[:700000], "gzip"), None),
	                         ("flipped", gz[:5000] + bytes([gz[5000] ^ 255]) + gz[5001:], base), ("garbage", os.urandom(100000), None),
	                         ("trailing", gz + b"garbage", base), ("empty", b"", b""), ("text", b"<html>not found</html>" * 100, None)):
	    image(f"{name}.oci", [b""], blobs=[blob], diff_ids=[blob_name(what) if what is not None else none])
	cut = compress(base, "zstd")
	image("cut-zstd.oci", [b""], compression="zstd", blobs=[cut[:len(cut) // 2]], diff_ids=[blob_name(base)])
	image("other-diff.oci", [base], diff_ids=[none])
EOT

# bounded NAME: a quarter of a gigabyte is more than any of this needs
bounded() {
	if [ "${peak:-0}" -gt 0 ] && [ "$peak" -lt 262144 ]; then ok "$1: bounded memory"; else not_ok "$1: bounded memory" "$peak kB"; fi
}

# refused NAME REGEX
refused() {
	evil_fails "$1" "$2"
	bounded "$1"
}
started=$SECONDS
refused gzip-bomb 'more than 1000 times its size'
refused zstd-bomb 'more than 1000 times its size'
refused window 'zstd stream'
refused huge-size 'limit'
refused negative 'damaged|limit'
refused deep 'deeper than the limit of 512 directories|File name too long'
refused pax-4g 'damaged|exceed'
refused pax-64m 'damaged|exceed'
refused longname 'damaged|exceed'
refused pax-bad 'damaged'
# Each in a store of its own, for a tree that is there by its diff ID is not unpacked again.
used=$RB_ROOT
for name in cut-gzip cut-tar flipped garbage trailing text cut-zstd other-diff; do
	RB_ROOT=$T/store-$name
	refused "$name" ''
done
RB_ROOT=$used
works 'within seconds' [ $((SECONDS - started)) -lt 60 ]
not_left=$(du -sm "$RB_ROOT" 2>/dev/null | cut -f1)
works 'what was unpacked is gone' [ "$not_left" -lt 400 ]
is "$(ls -A "$RB_ROOT/tmp" 2>/dev/null)" '' 'no temporary file is left'

# Large, and legal
evil_works gzip-zeros 'RUN stat -c "%s %b" /zeros >/size'
bounded gzip-zeros
is "$(oci "$T/out.oci" cat -1 size)" '167772160 0' 'gzip-zeros: zeros are a hole'
evil_works sparse 'RUN stat -c "%s %b" /hole >/size && tail -c 2 /hole | od -An -c >>/size'
bounded sparse
is "$(oci "$T/out.oci" cat -1 size | tr -s ' \n' ' ')" '8589934592 8 \0 x ' 'sparse: 8 GiB of hole and one byte'
evil_works crowd 'RUN ls /crowd | wc -l >/size'
bounded crowd
is "$(oci "$T/out.oci" cat -1 size)" 20000 'crowd: all are there'
# Nonsense that may be taken for something small
for name in deep-links pax-many empty sparse-map sparse-old; do
	evil "$name" 'RUN true'
	status=$?
	works "$name: no crash" [ $status -le 1 ]
	bounded "$name"
done
canary_safe 'all of them'
done_testing
