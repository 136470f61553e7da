#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# S31: whiteouts delete in the root only, and in lower layers only; and legal links with many ../ and
# files that replace links keep working, byte for byte.
# users: range single
# needs: userns overlay umoci skopeo
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/hostile.sh
. "$RB_TEST_SRC/tests/hostile.sh"

base=$(base_image busybox) || bail_out 'no base image'
export base
craft <<-'EOT' || bail_out 'cannot craft the images'
	base = open(os.environ["base"], "rb").read()
	canary = os.environ["CANARY"]
	up = "../" * 40
	links = Layer().symlink("out", canary).symlink("link", canary + "/secret").symlink("todir", "w").directory("w")
	links.file("w/a", b"a").file("w/b", b"b").directory("w/sub").file("w/sub/c", b"c")
	escapes = Layer().file("out/.wh.secret").file("out/.wh.dir").file(up + canary[1:] + "/.wh.secret")
	escapes.file(canary + "/.wh.dir").file("out/.wh..wh..opq").file(up + ".wh." + canary[1:].split("/")[0])
	image("escapes.oci", [base, links, escapes])
	image("target.oci", [base, links, Layer().file(".wh.link").file("todir/.wh.a")])
	own = Layer().file("w/.wh.new", b"").file("w/new", b"mine").directory("w/sub").file("w/sub/d", b"d")
	own.file("w/.wh.sub").file("w/own", b"own").file("w/.wh.own").file("w/.wh..wh..opq")
	image("own.oci", [base, links, own])
	image("root.oci", [base, Layer().file("old"), Layer(os.environ["base"]).file(".wh..wh..opq").file("kept", b"k")])
	image("meta.oci", [base, Layer().directory(".wh..wh.plnk").file(".wh..wh.plnk/x").file(".wh..wh.aufs")])
	image("nothing.oci", [base, Layer().file("no/such/.wh.dir").file(".wh.none").file("etc/passwd/.wh.x")
	                      .file("bottom/.wh..wh..opq")])
	image("bottom.oci", [Layer().file(".wh.etc").file("etc/.wh..wh..opq").file(".wh..wh..opq"), base])
	for number, name in enumerate((".wh.", ".wh...", ".wh..", "w/.wh./x", ".wh.w/x", "w/.wh...")):
	    image(f"bad{number}.oci", [base, links, Layer().file(name)])
	for kind, what in (("link", Layer().symlink("w/.wh.a", canary)), ("dir", Layer().directory("w/.wh.a"))):
	    image(f"as-{kind}.oci", [base, links, what])

	# usrmerge, alternatives, a JDK's links: lower layers and then packages that say the old names
	merged = Layer().directory("usr/lib").symlink("lib", "usr/lib").symlink("lib64", "./usr/../usr/lib")
	merged.directory("etc/ssl/certs").file("etc/ssl/certs/cacerts", b"certificates").file("bin/dash", b"#!dash", mode=0o755)
	merged.symlink("bin/sh2", "dash").directory("usr/lib/jvm/java/lib/security")
	merged.symlink("usr/lib/jvm/java/lib/security/cacerts", "../../../../../../etc/ssl/certs/cacerts")
	merged.symlink("usr/lib/many", "../" * 30 + "etc/ssl/certs/cacerts").symlink("usr/lib/absolute", "/etc/ssl/certs/cacerts")
	merged.symlink("usr/lib/dots", "./.././lib//jvm/../many").symlink("usr/lib/empty-ish", ".").symlink("dangling", "../../nowhere/../x")
	package = Layer().file("lib/x", b"in usr/lib").file("lib64/y", b"too").file("bin/bash2", b"#!bash", mode=0o755)
	package.symlink("bin/sh2", "bash2").directory("lib/jvm/java/bin").file("lib/jvm/java/bin/java", b"java")
	image("legal.oci", [base, merged, package])
EOT

top=${CANARY#/}
evil_works escapes "RUN test -L /out -a -L /link -a ! -e /${top%%/*}"
canary_safe escapes
not_disclosed escapes "$T/out.oci"
evil_works target 'RUN ls -a / /w >/list && test ! -e /link -a ! -L /link'
canary_safe target
is "$(oci "$T/out.oci" cat -1 list | grep -cx '[ab]')" 1 'target: a whiteout through a link to a directory deletes there'
evil_works own 'RUN cd /w && ls * >/list'
is "$(oci "$T/out.oci" cat -1 list | tr '\n' ' ')" 'new own  sub: d ' 'own: what the layer itself has stays, all below is hidden'
evil_works root 'RUN ls / >/list'
is "$(oci "$T/out.oci" cat -1 list | grep -cx 'kept\|old\|etc')" 2 'root: an opaque root'
for name in meta nothing bottom; do
	evil_works "$name" 'RUN test -s /etc/passwd -a ! -e /.wh..wh.plnk && ls -a /etc >/list'
	unlike "$(oci "$T/out.oci" cat -1 list)" '\.wh\.' "$name: no such name is left"
done
for name in bad0 bad1 bad2 bad3 bad4 bad5; do
	evil_fails "$name" 'not a possible whiteout'
done
for name in as-link as-dir; do
	evil_works "$name" 'RUN test ! -e /w/a -a -e /w/b'
done
canary_safe 'all whiteouts'

# --- not to be blocked

# shellcheck disable=SC1003,SC2016
evil_works legal 'RUN cat /lib/jvm/java/lib/security/cacerts /usr/lib/many /usr/lib/absolute /usr/lib/dots >/certs && \' \
	'    cat /usr/lib/x /lib64/x /usr/lib/y /bin/sh2 /bin/dash /usr/lib/jvm/java/bin/java >/files && for l in /bin/sh2 /lib /dangling; do readlink $l; done >/links' \
	'COPY --from=legal /usr/lib /copied/'
is "$(oci "$T/out.oci" cat 3 certs)" certificatescertificatescertificatescertificates 'legal: links with many ../ lead where they should'
is "$(oci "$T/out.oci" cat 3 files)" 'in usr/libin usr/libtoo#!bash#!dashjava' 'legal: files through merged directories; a link that replaced a link'
is "$(oci "$T/out.oci" cat 3 links | tr '\n' ' ')" 'bash2 usr/lib ../../nowhere/../x ' 'legal: targets byte for byte'
is "$(oci "$T/out.oci" list 4 | grep ' l ' | sed 's/.* -> //' | sort | tr '\n' ' ')" \
	"$(printf '%s\n' . ./.././lib//jvm/../many /etc/ssl/certs/cacerts "$(printf '../%.0s' $(seq 30))etc/ssl/certs/cacerts" \
		../../../../../../etc/ssl/certs/cacerts | sort | tr '\n' ' ')" 'legal: copied links, too'
works 'umoci unpacks the image' unpack_oci "$T/out.oci" "$T/unpacked"
is "$(cat "$T/unpacked/rootfs/files")" "$(oci "$T/out.oci" cat 3 files)" 'and finds the same'
done_testing
