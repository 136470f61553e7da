#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What steps change is in their layers and nothing else: deletions, replacements, links, holes, names,
# times; in every compression, and as other people's tools read it.
# users: range single
# needs: userns overlay skopeo umoci zstd
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"

# Modes of whiteouts mean nothing.
whiteouts() { sed -E 's/(\.wh\.[^ ]* f) [0-7]+/\1/'; }

base=$(base_image busybox) || bail_out 'no base image'
export base
craft <<-'EOT' || bail_out 'cannot craft the base'
	layer = Layer(os.environ["base"])
	for name in ("gone", "keep", "renew", "tofile"):
	    layer.directory("w/" + name).file(f"w/{name}/a", b"a").file(f"w/{name}/b", b"b")
	layer.directory("w/gone/deep").file("w/gone/deep/c")
	layer.file("w/file", b"f").file("w/todir", b"t").file("w/one", b"1").hardlink("w/two", "w/one")
	layer.file("w/same", b"s")
	layer.write("base.tar")
EOT
works 'import' rb import "$T/base.tar" base

# --- whiteouts

context "$T/white" <<-'EOT'
	FROM base
	RUN cd /w && rm file && rm -r gone && rm keep/a && \
	    rm -r renew && mkdir renew && echo new >renew/new && \
	    rm -r tofile && echo file >tofile && rm todir && mkdir todir && echo in >todir/in && \
	    echo temporary >nothing && rm nothing && mkdir -p made/deep && rm -r made
	RUN ls -R /w >/listing
EOT
works 'a step that deletes and replaces' rb -o "type=oci,dest=$T/white.oci" "$T/white"
is "$(oci "$T/white.oci" check)" '' 'history, diff IDs and digests agree'
is "$(oci "$T/white.oci" list 1 | grep '^w' | whiteouts)" "$(
	cat <<-'EOT'
		w d 0755 0:0 0 1
		w/.wh.file f 0:0 0 1
		w/.wh.gone f 0:0 0 1
		w/keep d 0755 0:0 0 1
		w/keep/.wh.a f 0:0 0 1
		w/renew d 0755 0:0 0 1
		w/renew/.wh..wh..opq f 0:0 0 1
		w/renew/new f 0644 0:0 4 1
		w/todir d 0755 0:0 0 1
		w/todir/.wh..wh..opq f 0:0 0 1
		w/todir/in f 0644 0:0 3 1
		w/tofile f 0644 0:0 5 1
	EOT
)" 'deletions are whiteouts, a new directory of the same name is opaque'
after=$(printf '%s\n' w w/keep w/keep/b w/one w/renew w/renew/new w/same w/todir w/todir/in w/tofile w/two)
is "$(oci "$T/white.oci" tree | grep '^w' | cut -d' ' -f1)" "$after" 'the merged tree'
works 'umoci unpacks it' unpack_oci "$T/white.oci" "$T/white.d"
is "$(tree_list "$T/white.d/rootfs" | grep '^w' | cut -d' ' -f1)" "$after" 'umoci applies the deletions'
is "$(sha256sum <"$T/white.d/rootfs/listing")" "$(oci "$T/white.oci" cat -1 listing | sha256sum)" 'and has the files'
is "$(oci "$T/white.oci" cat -1 listing | tr '\n' ' ')" \
	'/w: keep one renew same todir tofile two  /w/keep: b  /w/renew: new  /w/todir: in ' 'the next step sees the same'
# Written, loaded, unpacked by rbuild: whiteouts in both directions
works 'load' rb load -t white "$T/white.oci"
printf 'FROM white\nRUN ls -R /w >/listing2 && cmp /listing /listing2\n' | context "$T/white2"
works 'a step on the loaded image sees the same tree' rb "$T/white2"

# --- links, holes, names, bits, times

mkdir -p "$T/odd/tree"
echo shared >"$T/odd/tree/one"
ln "$T/odd/tree/one" "$T/odd/tree/two"
echo x >"$T/odd/tree/"$'bad\xff\xfename'
ln -s $'to\xfe where' "$T/odd/tree/link"
truncate -s 32M "$T/odd/tree/hole"
printf end | dd of="$T/odd/tree/hole" bs=1 seek=16777216 conv=notrunc status=none
touch -d '2001-02-03 04:05:06.123456789 UTC' "$T/odd/tree/one"
touch -h -d '2002-02-03 04:05:06.000000001 UTC' "$T/odd/tree/link"
touch -d '1969-12-31 23:59:58.5 UTC' "$T/odd/tree/"$'bad\xff\xfename'
touch -d '2003-02-03 04:05:06.987654321 UTC' "$T/odd/tree"
component=$(printf 'n%.0s' $(seq 200))
context "$T/odd" <<-EOT
	FROM base
	COPY tree /tree/
	RUN mkdir /long && cd /long && for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15; do \\
	    mkdir $component && cd $component || exit 1; done && echo deep >file && \\
	    ln -s /long/$component/$component/../x link
	RUN truncate -s 40000000 /hole2 && printf end | dd of=/hole2 bs=1 seek=30000000 conv=notrunc && ln /w/one /w/three && \\
	    touch /suid && chmod 4755 /suid && mkdir /sgid && chmod 3770 /sgid && \\
	    stat -c '%b %s' /tree/hole >/blocks && ls -l "/tree/\$(printf 'bad\\377\\376name')"
	RUN true
	RUN --network=none true
EOT
works 'odd files' rb -o "type=oci,dest=$T/odd.oci" "$T/odd"
is "$(oci "$T/odd.oci" check)" '' 'history, diff IDs and digests agree'
is "$(oci "$T/odd.oci" layers)" 6 'each step has its layer, also the empty ones'
is "$(oci "$T/odd.oci" list 1)" "$(
	cat <<-'EOT'
		tree d 0755 0:0 0 1
		tree/bad\xff\xfename f 0644 0:0 2 1
		tree/hole f 0644 0:0 33554432 1
		tree/link l 0777 0:0 0 1 -> to\xfe\x20where
		tree/one f 0644 0:0 7 2
		tree/two h 0644 0:0 0 2 -> tree/one
	EOT
)" 'names in any bytes, links of both kinds'
times=$(craft <<-'EOT'
	from oci import Image
	with Image("odd.oci").layer_tar(1) as tar:
	    for info in tar:
	        print(ascii(info.name), info.pax_headers.get("mtime", str(info.mtime)))
EOT
)
like "$times" "^'tree/?' 1044245106.987654321$" 'the time of a directory, with nanoseconds'
like "$times" "^'tree/one' 981173106.123456789$" 'the time of a file'
like "$times" "^'tree/link' 1012709106.000000001$" 'the time of a link'
like "$times" "^'tree/bad.*' -1.5" 'a time before 1970'
like "$(oci "$T/odd.oci" list 3)" '^suid f 4755 ' 'setuid bits'
like "$(oci "$T/odd.oci" list 3)" '^sgid d 3770 ' 'setgid and sticky bits'
like "$(oci "$T/odd.oci" list 3)" '^w/three h .* -> w/one$' 'a further link to a lower file'
long=long/$(for _ in $(seq 15); do printf '%s/' "$component"; done)
is "$(oci "$T/odd.oci" list 2 | grep "^$long" | cut -d' ' -f2- | cut -c1-30)" "$(
	printf '%s\n' 'f 0644 0:0 5 1' 'l 0777 0:0 0 1 -> /long/nnnnnn'
)" 'a path of 3000 bytes'

read -r blocks size <<<"$(oci "$T/odd.oci" cat 3 blocks)"
is "$size" 33554432 'a step sees the size of a sparse file'
works 'and its holes' [ "$blocks" -lt 1024 ]
on_disk=$(find "$RB_ROOT" -type f \( -name hole -o -name hole2 \) -printf '%f %b\n' | awk '$2 > 1024')
is "$on_disk" '' 'holes are holes in the store'
works 'and small in the archive' [ "$(stat -c %s "$T/odd.oci")" -lt 20000000 ]
is "$(oci "$T/odd.oci" cat 1 tree/hole | sha256sum)" "$(sha256sum <"$T/odd/tree/hole")" 'the content is right'
works 'umoci unpacks it' unpack_oci "$T/odd.oci" "$T/odd.d"
works 'as other tools read it, too' cmp -s "$T/odd/tree/hole" "$T/odd.d/rootfs/tree/hole"
is "$(stat -c %s "$T/odd.d/rootfs/hole2") $(tail -c 10000000 "$T/odd.d/rootfs/hole2" | head -c 3)" '40000000 end' \
	'also one that a step made'

# --- the same bytes every time, in every compression

works 'a second export' rb -o "type=oci,dest=$T/odd2.oci" "$T/odd"
works 'exports are identical' cmp -s "$T/odd.oci" "$T/odd2.oci"
head -c 9000000 /dev/urandom >"$T/odd/big"
printf 'FROM base\nCOPY big link* /\n' | context "$T/odd"
works 'gzip' rb -o "type=oci,dest=$T/gzip.oci" "$T/odd"
works 'gzip by name' rb -o "type=oci,dest=$T/gzip2.oci,compression=gzip" "$T/odd"
works 'gzip is the default' cmp -s "$T/gzip.oci" "$T/gzip2.oci"
works 'zstd' rb -o "type=oci,dest=$T/zstd.oci,compression=zstd" "$T/odd"
works 'uncompressed' rb -o "type=oci,dest=$T/plain.oci,compression=uncompressed" "$T/odd"
for kind in gzip zstd plain; do
	is "$(oci "$T/$kind.oci" check)" '' "$kind: digests agree"
	is "$(oci "$T/$kind.oci" get .rootfs)" "$(oci "$T/gzip.oci" get .rootfs)" "$kind: the same diff IDs"
	is "$(oci "$T/$kind.oci" cat 1 big | sha256sum)" "$(sha256sum <"$T/odd/big")" "$kind: content"
	works "$kind: skopeo copies it" skopeo copy --quiet "oci-archive:$T/$kind.oci" "dir:$T/$kind.dir"
	works "$kind: and loads as a base" rb load -t "by-$kind" "$T/$kind.oci"
	printf 'FROM by-%s\nRUN cat big | sha256sum >/sum\n' "$kind" | context "$T/from-$kind"
	works "$kind: a step on it" rb -o "type=oci,dest=$T/from.oci" "$T/from-$kind"
	is "$(oci "$T/from.oci" cat -1 sum)" "$(sha256sum <"$T/odd/big")" "$kind: a step reads it"
done
works 'several in one build' rb -o "type=oci,dest=$T/both-zstd.oci,compression=zstd" -o "type=oci,dest=$T/both-gzip.oci" \
	-o "type=oci,dest=$T/both-plain.oci,compression=uncompressed" "$T/odd"
for kind in gzip zstd plain; do
	works "$kind is what it is alone" cmp -s "$T/both-$kind.oci" "$T/$kind.oci"
done
works 'umoci reads gzip' unpack_oci "$T/gzip.oci" "$T/gzip.d"
craft <<-'EOT' >"$T/members"
	from oci import Image
	import zlib
	image = Image("gzip.oci")
	data = image.blob(image.manifest["layers"][1])
	open("big.tar.gz", "wb").write(data)
	members = 0
	while data:
	    one = zlib.decompressobj(31)
	    one.decompress(data)
	    members, data = members + 1, one.unused_data
	print(members)
EOT
works 'large layers are several gzip members' [ "$(cat "$T/members")" -gt 1 ]
is "$(gunzip <"$T/big.tar.gz" | tar -xO -f - big | sha256sum)" "$(sha256sum <"$T/odd/big")" 'gunzip and tar read them'

# --- layers that others made

# shellcheck disable=SC2015
umoci init --layout "$T/umoci" && umoci new --image "$T/umoci:img" &&
	umoci raw add-layer --image "$T/umoci:img" "$T/base.tar" &&
	skopeo copy --quiet "oci:$T/umoci:img" "oci-archive:$T/umoci.oci" || bail_out 'umoci makes no image'
craft <<-'EOT'
	base = open(os.environ["base"], "rb").read()
	for name, how in (("gz", "gzip"), ("zst", "zstd"), ("tar", "")):
	    image(f"{name}.oci", [base, Layer().file("made", name.encode())], compression=how)
	gz = compress(base[:700000], "gzip") + compress(base[700000:], "gzip")
	image("members.oci", [base], blobs=[gz])
	gnu = Layer(format=tarfile.GNU_FORMAT).directory("l" * 150 + "/" + "m" * 150)
	gnu.file("l" * 150 + "/" + "m" * 150 + "/file", b"gnu")
	gnu.symlink("x", "y" * 300)
	image("gnu.oci", [base, gnu])
EOT
for kind in umoci gz zst tar members gnu; do
	works "load $kind" rb load -t "from-$kind" "$T/$kind.oci"
	printf 'FROM from-%s\nRUN test -x /bin/busybox && ls / >/list\n' "$kind" | context "$T/load"
	works "$kind: a step" rb -o "type=oci,dest=$T/load.oci" "$T/load"
	is "$(oci "$T/load.oci" check)" '' "$kind: the image is right"
done
is "$(oci "$T/load.oci" list 1 | cut -d' ' -f1,2,5 | tail -n 2 | tr '\n' ' ' | tr -s lmy)" 'l/m/file f 3 x l 0 ' \
	'GNU long names'
done_testing
