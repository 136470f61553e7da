#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# S28: names of layers with `..`, absolute, long, odd: all of them stay in the root.
# users: range single
# needs: userns overlay
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/hostile.sh
. "$RB_TEST_SRC/tests/hostile.sh"

base=$(base_image busybox) || bail_out 'no base image'
export base
craft <<-'EOT' || bail_out 'cannot craft the images'
	base = open(os.environ["base"], "rb").read()
	canary = os.environ["CANARY"]
	names = ["../evil1", "../" * 40 + "evil2", "/evil3", "//..//evil4", "a/../../../evil5", "./././evil6",
	         "usr/./bin/../evil7", "../" * 40 + canary[1:] + "/evil8", canary + "/evil9",
	         "n" * 200 + "/" + "m" * 120 + "/evil10", "tmp/\u00e9vil-evil11", "evil13\nnewline",
	         "..evil14", ".../evil15", "evil16/..evil", "$(touch evil17)", "-evil18"]
	for format, label in ((tarfile.PAX_FORMAT, "pax"), (tarfile.GNU_FORMAT, "gnu")):
	    layer = Layer(format=format)
	    for name in names:
	        layer.file(name, b"evil")
	    for target in (canary + "/secret", "../" * 40 + canary[1:] + "/dir/file"):
	        layer.file(target, b"overwritten")
	    image(f"names-{label}.oci", [base, layer])
	# The same names of directories: their modes and times are set at the end
	layer = Layer()
	for name in ["..", ".", "/", "../" * 40 + canary[1:], canary + "/dir", "evil/.."]:
	    layer.directory(name, 0o755)
	    layer.directory(name + "/evil-new", 0o777, uid=5)
	image("directories.oci", [base, layer])
	# pax and GNU headers that say another name than the header they precede
	layer = Layer()
	layer.file("harmless", b"x", pax={"path": canary + "/evil-pax"})
	layer.file("harmless2", b"x", pax={"path": "../" * 40 + canary[1:] + "/secret"})
	image("pax-path.oci", [base, layer])
	for label, path in (("nul", "evil\0" + canary), ("empty", "")):
	    image(f"pax-{label}.oci", [base, Layer().file("plain", b"x", pax={"path": path})])
	image("slash.oci", [base, Layer().file("evil12/", b"evil")])
	image("too-long.oci", [base, Layer().file("x" * 300, b"x")])
	image("root-file.oci", [base, Layer().file("a/..", b"x")])
	image("root-link.oci", [base, Layer().symlink("/", canary)])
EOT

find_evil="RUN find / -xdev -path /proc -prune -o -name '*evil*' -print | sort >/found"
for kind in pax gnu; do
	evil_works "names-$kind" "$find_evil" "RUN cat .$CANARY/secret >/read"
	canary_safe "names-$kind"
	like "$(oci "$T/out.oci" cat 2 found)" '^/evil2$' "names-$kind: too many .. end at the root"
	like "$(oci "$T/out.oci" cat 2 found)" "^$CANARY/evil9\$" "names-$kind: absolute names are the image's"
	is "$(oci "$T/out.oci" cat 2 found | grep -c .)" 19 "names-$kind: all of them are there"
	not_disclosed "names-$kind" "$T/out.oci" "$RB_ROOT"
done
evil_works directories "$find_evil"
canary_safe directories
like "$(oci "$T/out.oci" cat 2 found)" "^$CANARY/evil-new\$" 'directories: in the root'
evil_works pax-path "$find_evil"
canary_safe pax-path
is "$(oci "$T/out.oci" cat 2 found)" "$CANARY/evil-pax" 'pax-path: the name of the record counts, in the root'
for name in pax-nul pax-empty slash; do
	evil "$name" 'RUN true'
	status=$?
	works "$name: no crash" [ $status -le 1 ]
	canary_safe "$name"
done
evil_fails too-long 'File name too long'
evil_fails root-file 'the root is a directory'
evil_fails root-link 'the root is a directory'
canary_safe 'refused names'

# The same through ADD, which unpacks with the same code
mkdir "$T/add"
craft <<-'EOT'
	canary = os.environ["CANARY"]
	layer = Layer().file("../" * 40 + "evil1", b"x").file(canary + "/evil2", b"x").file("../evil3", b"x")
	layer.file("../" * 40 + canary[1:] + "/secret", b"overwritten").symlink("out", canary).file("out/evil4", b"x")
	layer.write("add/evil.tar")
EOT
import_base busybox base
printf 'FROM base\nADD evil.tar /a/b/\n%s\n' "$find_evil" | context "$T/add"
fails_with 1 'Dockerfile:2: evil.tar: \.\./.* leaves the directory it is unpacked into' rb -o "type=oci,dest=$T/out.oci" "$T/add"
canary_safe ADD
done_testing
