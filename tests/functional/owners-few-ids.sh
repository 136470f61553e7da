#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A range of fewer ids than images use: what is beyond it is emulated, in the step and in the image.
# users: root
# needs: userns overlay
# images: busybox
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"

unshare --mount --propagation private mount -t tmpfs tmpfs /media 2>/dev/null || skip_all "root may not mount here"
plain=$("$RB_TEST_SRC/tests/run" --make-user range | tail -n 1) || bail_out "no user for the test"
printf '%s:300000:1000\n' "$plain" >"$T/few"
mkdir "$T/c"
cat >"$T/c/Dockerfile" <<'END'
FROM base
RUN touch /a /b /c; chown 500:500 /a; chown 5000:6000 /b; mkfifo /p; chown 1000000:7 /p; mknod /n c 1 3
RUN for f in a b c p n; do stat -c '%n %u:%g %F' $f; done; mv b b2; chown 0:0 p
USER 4000:5
RUN id -u; id -g; touch /tmp/x; stat -c %u:%g /tmp/x; touch /etc/x 2>/dev/null || echo refused
END
base=$(base_image busybox) || exit 1

# The user's files are on a tmpfs of the host that is made up: the test's own directory lets nobody in.
cat >"$T/host" <<'END'
set -e
mount --bind "$T/few" /etc/subuid
mount --bind "$T/few" /etc/subgid
mount -t tmpfs -o mode=755 tmpfs /media
mkdir -m 700 /media/w
cp "$RBUILD" /media/w/rbuild
cp "$base" /media/w/base.tar
cp -r "$T/c" /media/w/c
chown -R "$plain:" /media/w
as() {
	(cd /media/w && setpriv --reuid "$plain" --regid "$(id -g "$plain")" --clear-groups \
		env -i HOME=/media/w PATH="$PATH" ./rbuild --root /media/w/store "$@")
}
as import base.tar base
as doctor
as --progress=plain -o type=oci,dest=/media/w/out.oci c 2>&1
cp /media/w/out.oci "$T/out.oci"
END
said=$(T=$T RBUILD=$RBUILD base=$base plain=$plain unshare --mount --propagation private bash "$T/host" 2>&1) ||
	not_ok "a build with a thousand ids" "$said"
like "$said" '^mode: range$' "a thousand ids are a range"
said=$(sed -n 's/^#[0-9]* [0-9][0-9.]* //p' <<<"$said")
is "$said" "$(
	cat <<-'END'
		a 500:500 regular empty file
		b 5000:6000 regular empty file
		c 0:0 regular empty file
		p 1000000:7 fifo
		n 0:0 character special file
		4000
		5
		4000:5
		refused
	END
)" "steps see every owner"
is "$(oci "$T/out.oci" tree | grep -E '^(a|b2|c|p|n|tmp/x) ' | cut -d ' ' -f 1-4)" "$(
	cat <<-'END'
		a f 0644 500:500
		b2 f 0644 5000:6000
		c f 0644 0:0
		n c 0644 0:0
		p p 0644 0:0
		tmp/x f 0644 4000:5
	END
)" "and the image has them"

done_testing
