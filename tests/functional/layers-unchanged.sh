#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A directory that a step leaves as it was is not in the step's layer, though the overlay has copied
# it up (dockerfile.md 7.2: changes only); one that the step changed is.
# users: range single
# needs: userns overlay
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"

base=$(base_image busybox) || bail_out 'no base image'
export base
# The base has no /etc/hosts, so each step's mount points are made in /etc and removed.
craft <<-'EOT' || bail_out 'cannot craft the bases'
	base = Layer(os.environ["base"]).directory("d")
	for name in ("mode", "time", "attribute", "same", "inner/most", "again", "again/sub", "full"):
	    base.directory("d/" + name, 0o1750, uid=7, gid=3000000, xattrs={"user.a": b"b"})
	base = base.file("d/again/file").file("d/full/file").bytes()
	image("plain.oci", [base])
	moved = Layer().file(".wh.etc").directory("usr", 0o711, mtime=5, xattrs={"user.a": b"b"})
	moved.directory("usr/etc", 0o2711, uid=7, gid=3000000, mtime=7).symlink("etc", "/usr/etc")
	image("moved.oci", [base, moved])
EOT

# Each line: a step, and the names in its layer behind "#".
cat >"$T/steps" <<'EOT'
RUN true #
RUN chmod 700 /d/mode # d d/mode
RUN chmod 1700 /d/mode # d d/mode
RUN chmod 777 /d/same && chmod 1750 /d/same #
RUN touch /d/time # d d/time
RUN touch /d/same && touch -d @1700000000 /d/same #
RUN /init setxattr /d/attribute user.a c # d d/attribute
RUN /init setxattr /d/attribute user.b c && true # d d/attribute
RUN echo >/d/inner/most/x && rm /d/inner/most/x && touch -d @1700000000 /d/inner/most #
RUN echo >/d/inner/most/x && rm /d/inner/most/x # d d/inner d/inner/most
RUN rm /d/full/file && touch -d @1700000000 /d/full # d d/full d/full/.wh.file
RUN chmod g+s /d/full/. && rmdir /d/full && mkdir -m 3750 /d/full # d d/full d/full/.wh..wh..opq
RUN rm -r /d/again && mkdir -m 1750 -p /d/again && mkdir -m 755 /d/again/sub && touch -d @1700000000 /d/again/sub # d d/again d/again/.wh..wh..opq d/again/sub
RUN echo >/d/kept && chmod 777 /d/same && chmod 1750 /d/same && touch -d @99 /d # d d/kept
RUN [ "$(stat -c %Y /d)" = 99 ] #
RUN mkdir -p /d/new/deep # d d/new d/new/deep
RUN mkdir /d/gone && rmdir /d/gone # d
WORKDIR /d/same #
EOT
for name in plain moved; do
	works "$name: load" rb load -t $name "$T/$name.oci"
	layer=$(oci "$T/$name.oci" layers)
	{ echo "FROM $name" && echo 'COPY init /init' && sed 's/ #.*//' "$T/steps"; } | context "$T/$name"
	cp "$RB_TEST_BUILD/tests/helpers/init" "$T/$name/"
	works "$name: the steps" rb -o "type=oci,dest=$T/out.oci" "$T/$name"
	is "$(oci "$T/out.oci" check)" '' "$name: the image is right"
	is "$(oci "$T/out.oci" list "$layer" | cut -d' ' -f1)" init "$name: COPY brings its file alone"
	while read -r line; do
		layer=$((layer + 1))
		is "$(oci "$T/out.oci" list $layer | cut -d' ' -f1 | xargs)" "$(xargs <<<"${line#*#}")" "$name: ${line%#*}"
	done <"$T/steps"
done
done_testing
