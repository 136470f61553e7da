#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# S29: a link first, then a write through it, in one layer and across layers: the write lands in the
# root or replaces the link.
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

	def links(layer):
	    layer.symlink("abs", canary).symlink("rel", up + canary[1:]).symlink("chain", "abs")
	    layer.symlink("proc-root", "/proc/self/root" + canary).symlink("proc-cwd", "/proc/self/cwd/" + up + canary[1:])
	    layer.symlink("file", canary + "/secret").symlink("file2", up + canary[1:] + "/secret")
	    layer.symlink("dir", canary).symlink("dir2", canary + "/dir").symlink("fifo", canary + "/secret")
	    layer.symlink("owned", canary + "/secret").symlink("loop", "loop2").symlink("loop2", "loop")
	    layer.symlink("dev-null", canary + "/secret")
	    return layer

	def through(layer):
	    for number, name in enumerate(("abs", "rel", "chain", "proc-root", "proc-cwd", "dir")):
	        layer.file(f"{name}/evil{number}", b"evil")
	    layer.file("abs/secret", b"overwritten").file("rel/dir/file", b"overwritten")
	    layer.file("file", b"overwritten", mode=0o4777, uid=5).file("file2", b"overwritten")
	    layer.directory("dir2", 0o700, uid=5).file("dir2/evil", b"evil")
	    layer.fifo("fifo", mode=0o666).symlink("owned", "elsewhere", uid=7).char("dev-null", 1, 3)
	    layer.hardlink("twin", "file").file("twin", b"again")
	    return layer

	image("one.oci", [base, through(links(Layer()))])
	image("across.oci", [base, links(Layer()), through(Layer())])
	image("bottom.oci", [through(links(Layer())), base])
	image("loop.oci", [base, links(Layer()), Layer().file("loop/evil", b"evil")])
	image("links.oci", [base, links(Layer())])
EOT

check="RUN for f in file file2; do test -f \$f && test ! -L \$f || exit 1; done && test -d dir2 -a ! -L dir2 -a -p fifo && \
test \"\$(readlink owned)\" = elsewhere && cat /file >/content && ls .$CANARY .$CANARY/dir >/list"
for name in one across bottom; do
	evil_works "$name" "$check"
	canary_safe "$name"
	is "$(oci "$T/out.oci" cat -1 content)" overwritten "$name: a file in place of a link replaces it"
	is "$(oci "$T/out.oci" cat -1 list | grep -c '^evil[0125]$')" 4 "$name: writes through links land in the root"
	not_disclosed "$name" "$T/out.oci" "$RB_ROOT"
done
evil loop 'RUN true'
is $? 1 'a loop of links is refused'
like "$err" '^rbuild: .*loop/evil' 'by name'
canary_safe loop

# Copying from and into such trees
works 'load' rb load -t links "$T/links.oci"
printf 'FROM links\nCOPY --from=links /file /taken\n' | context "$T/from"
fails_with 1 '/file.* not found' rb "$T/from"
for source in /file /abs/secret /rel/dir/file /proc-root/secret "$CANARY/secret"; do
	printf 'FROM scratch\nCOPY --from=links %s /taken\n' "$source" | context "$T/from"
	run_command rb -o "type=oci,dest=$T/out.oci" "$T/from"
	is $? 1 "COPY --from of $source finds nothing"
done
printf 'FROM links\nCOPY x /abs/\nCOPY x /file\nCOPY x /dir2/deep/x\nADD x /proc-root/\nWORKDIR /rel/work\n' |
	context "$T/into"
echo evil >"$T/into/x"
works 'COPY through links' rb -o "type=oci,dest=$T/out.oci" "$T/into"
canary_safe 'COPY through links'
like "$(oci "$T/out.oci" tree)" "^${CANARY#/}/x f" 'COPY into a link to a directory lands in the root'
like "$(oci "$T/out.oci" tree)" "^${CANARY#/}/dir/deep/x f" 'COPY below a link makes directories in the root'
like "$(oci "$T/out.oci" tree)" "^${CANARY#/}/work d" 'WORKDIR does, too'
done_testing
