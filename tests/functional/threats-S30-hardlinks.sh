#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# S30: a hard link to what is outside is refused, and nothing is copied instead.
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
	up = "../" * 40
	out = Layer().symlink("out", canary).symlink("link", canary + "/secret")
	image("absolute.oci", [base, Layer().hardlink("evil", canary + "/secret")])
	image("dots.oci", [base, Layer().hardlink("evil", up + canary[1:] + "/secret")])
	image("shadow.oci", [Layer().hardlink("evil", "../../etc/shadow"), base])
	image("through.oci", [base, Layer().symlink("out", canary).hardlink("evil", "out/secret")])
	image("across.oci", [base, Layer().symlink("out", canary), Layer().hardlink("evil", "out/secret")])
	image("proc.oci", [base, Layer().hardlink("evil", "proc/self/root" + canary + "/secret")])
	image("missing.oci", [base, Layer().hardlink("evil", "no/such")])
	image("directory.oci", [base, Layer().hardlink("evil", "etc")])
	image("deleted.oci", [base, Layer().file("etc/.wh.shadow").hardlink("evil", "etc/shadow")])
	# Data behind a hard link's header, which some readers write through it
	image("data.oci", [base, Layer().symlink("link", canary + "/secret").hardlink("evil", "link", data=b"overwritten")])
	# What is legal: to lower layers, to symlinks, with dots, to itself
	legal = Layer().hardlink("shadow", "/etc/shadow").hardlink("a/b/../twin", "../../etc/./passwd")
	legal.symlink("link", canary + "/secret").hardlink("second", "link").file("self", b"s").hardlink("self", "self")
	legal.symlink("via", "etc").hardlink("group", "via/group")
	image("legal.oci", [base, legal])
EOT
for name in absolute dots shadow through across proc missing; do
	evil_fails "$name" 'evil: hard link to .*, which is no file of this image'
done
evil_fails directory 'evil'
for name in deleted data; do
	evil "$name" 'RUN true'
	status=$?
	works "$name: no crash" [ $status -le 1 ]
done
canary_safe 'hard links to the outside'
not_disclosed 'hard links to the outside' "$RB_ROOT"

# shellcheck disable=SC1003
evil_works legal 'RUN cmp /shadow /etc/shadow && test /shadow -ef /etc/shadow && test /a/twin -ef /etc/passwd && \' \
	"    test /group -ef /etc/group && readlink /second >/list" \
	'COPY --from=legal /shadow /a/twin /self /copies/' || diag "$err"
canary_safe 'legal hard links'
is "$(oci "$T/out.oci" cat 2 list)" "$CANARY/secret" 'legal: a link to a symlink is that symlink'
done_testing
