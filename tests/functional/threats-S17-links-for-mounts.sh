#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# S17: what a step's mounts go over (/dev, /proc, /sys, /etc, resolv.conf and so on) is a link in the
# image: the step is refused, or all happens in the root.
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
	targets = {"absolute": canary, "relative": up + canary[1:], "dangling": "/no/such", "proc": "/proc/self/root" + canary,
	           "file": canary + "/secret", "loop": None}
	places = ("dev", "proc", "sys", "etc", "run", "tmp", "etc/resolv.conf", "etc/hosts", "dev/null", "dev/shm", "dev/pts")
	for place in places:
	    for kind, target in targets.items():
	        layer = Layer()
	        if "/" in place and not place.startswith("etc/"):
	            layer.directory(os.path.dirname(place))
	        layer.symlink(place, target or os.path.basename(place))
	        image(f"{place.replace('/', '-')}-{kind}.oci", [base, layer])
	# The directory is there, and what is to be mounted over is something else
	for kind, layer in (("fifo", Layer().fifo("etc/hosts").fifo("etc/resolv.conf")), ("dir", Layer().directory("etc/hosts")),
	                    ("device", Layer().char("etc/resolv.conf", 1, 3)), ("file", Layer().file("proc").file("sys").file("dev"))):
	    image(f"other-{kind}.oci", [base, layer])
EOT

# Each step writes where it can; what it cannot do must not reach the canary.
step='RUN echo evil >/etc/hosts; echo evil >/etc/resolv.conf; echo evil >/dev/null; echo evil >/tmp/evil; \
    cat /etc/resolv.conf /etc/hosts >/seen 2>/dev/null; ls /dev /proc/self /sys >/dev/null; mkdir -p /run/evil; true'
crashed='' vague=''
for archive in "$T"/*-*.oci; do
	name=$(basename "$archive" .oci)
	evil "$name" "$step"
	status=$?
	if [ $status -gt 1 ]; then crashed+=" $name($status)"; fi
	if [ $status = 1 ] && [ "$(grep -c '^rbuild: ' <<<"$err")" != 1 ]; then vague+=" $name"; fi
	[ "$(canary_state)" = "$canary_before" ] || not_ok "$name: the canary is as it was" "$(canary_state)"
	case $name in
	proc-* | sys-*) like "$err" "^rbuild: Dockerfile:2: /${name%%-*} of the image is a symbolic link" "$name: refused by name" ;;
	esac
done
is "$crashed" '' 'none crashed'
is "$vague" '' 'each refusal has one line'
canary_safe 'all of them'
not_disclosed 'all of them' "$RB_ROOT"

# In-root: a legal system with such links works
craft <<-'EOT'
	layer = Layer(os.environ["base"])
	layer.directory("run/real").symlink("etc/resolv.conf", "../run/real/resolv.conf").symlink("var/run", "../run")
	layer.symlink("etc/hosts", "/run/real/hosts").file("run/real/hosts", b"image\n")
	image("legal.oci", [layer.bytes()])
EOT
evil_works legal 'RUN cat /etc/resolv.conf >/resolv && grep localhost /etc/hosts >/hosts && test -L /etc/hosts -a -L /etc/resolv.conf'
like "$(oci "$T/out.oci" cat 1 hosts)" localhost 'legal: a step sees its hosts file through the link'
done_testing
