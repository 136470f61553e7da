#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# S3 and S5: mount points in a hostile image. Who removes them afterwards follows no link, and sources that are links lead
# into the image.
# users: range single
# needs: userns overlay
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/hostile.sh
. "$RB_TEST_SRC/tests/hostile.sh"

# What a remover would find behind a link: an empty directory and an empty file of the right names.
mkdir "$CANARY/q" "$CANARY/q/empty"
: >"$CANARY/q/file"
touch -d '2001-01-01 UTC' "$CANARY/q/empty" "$CANARY/q/file" "$CANARY/q" "$CANARY"
canary_before=$(canary_state)

base_image busybox >/dev/null
import_base busybox
mkdir "$T/c"
echo content >"$T/c/f"

build() {
	cat >"$T/Dockerfile"
	works "$1" rb --progress=plain --no-cache -o "type=oci,dest=$T/out.oci" -f "$T/Dockerfile" "$T/c"
	said=$(sed -nE 's/^#[0-9]+ [0-9]+\.[0-9]{3} //p' <<<"$err")
}

# --- S3

build "the parent of a mount point becomes a link" <<EOT
FROM busybox
RUN --mount=source=f,target=/p/q/file --mount=type=tmpfs,target=/p/q/empty mv /p /away && ln -s $CANARY /p
EOT
canary_safe "a parent that is a link now"
like "$(oci "$T/out.oci" list -1)" "^p l .*-> $CANARY" "the link is in the layer"
build "mount points of an image with links" <<EOT
FROM busybox
RUN ln -s $CANARY /abs && ln -s ../../../../../..$CANARY /up && ln -s /proc/self/root$CANARY /magic && ln -s /nowhere /dangling
RUN --mount=source=f,target=/abs/q/file cat $CANARY/q/file && [ ! -e $CANARY/secret ]
RUN --mount=source=f,target=/up/q/file cat $CANARY/q/file
RUN --mount=type=tmpfs,target=/abs/q/empty ls -A $CANARY/q
RUN --mount=source=f,target=/dangling/file cat /nowhere/file
RUN find $CANARY /nowhere 2>/dev/null; true
EOT
is "$said" $'content\ncontent\nempty\ncontent' "links lead to places in the image, where nothing is left"
canary_safe "links in the image"
fails_with 1 'cannot mount anything at /magic/q/file: Too many levels of symbolic links' rb build --no-cache -f - "$T/c" <<EOT
FROM busybox
RUN ln -s /proc/self/root$CANARY /magic
RUN --mount=source=f,target=/magic/q/file cat /magic/q/file
EOT
fails_with 1 'is a symbolic link that leads to itself' rb build --no-cache -f - "$T/c" <<'EOT'
FROM busybox
RUN ln -s b /a && ln -s a /b
RUN --mount=source=f,target=/a/x cat /a/x
EOT
build "a step fills, replaces and removes mount points" <<'EOT'
FROM busybox
RUN --mount=type=tmpfs,target=/p/q/r echo kept >/p/q/kept
RUN --mount=type=tmpfs,target=/x/y/z mv /x /w; mkdir -p /x/y; echo file >/x/y/z
RUN --mount=source=f,target=/m/file rm -r /m 2>/dev/null; mkdir /m2; true
RUN find /p /x /w /m 2>&1 | sort
EOT
is "$said" $'/p\n/p/q\n/p/q/kept\n/w\n/x\n/x/y\n/x/y/z\nfind: /m: No such file or directory' "what it made stays" ||
	diag "$said"

# --- S5

cat >"$T/evil.Dockerfile" <<EOT
FROM busybox AS evil
RUN echo of-the-image >/etc/mark && ln -s / /link && ln -s ../../../../../../.. /up && ln -s $CANARY /canary && \
	ln -s /proc/self/root /proclink && mkdir /d && ln -s /etc/mark /d/mark
FROM busybox
RUN --mount=type=bind,from=evil,source=/link,target=/m,rw cat /m/etc/mark && echo mine >/m/etc/mark && rm -r /m/home
RUN --mount=type=bind,from=evil,source=/up,target=/m cat /m/etc/mark
RUN --mount=type=bind,from=evil,source=link/up/link/d/mark,target=/m cat /m
RUN --mount=type=bind,from=evil,source=../../../d/../../etc/mark,target=/m cat /m
RUN --mount=type=cache,id=evil,from=evil,source=/link,target=/m cat /m/etc/mark && echo mine >/m/etc/mark
RUN --mount=type=bind,from=evil,target=/m cat /m/etc/mark && [ -d /m/home ]
EOT
build "sources that are links" <"$T/evil.Dockerfile"
is "$said" $'of-the-image\nof-the-image\nof-the-image\nof-the-image\nof-the-image\nof-the-image' \
	"lead to the image's own root, whose files stay"
for source in /canary /canary/secret /proclink /proclink$CANARY /../..$CANARY; do
	fails_with 1 '": not found' rb build -f - "$T/c" <<EOT
$(head -n 3 "$T/evil.Dockerfile")
FROM busybox
RUN --mount=type=bind,from=evil,source=$source,target=/m find /m
EOT
done
ln -s "$CANARY" "$T/c/canary"
ln -s / "$T/c/root"
for source in canary canary/secret root$CANARY/secret; do
	fails_with 1 '": not found' rb build -f - "$T/c" <<EOT
FROM busybox
RUN --mount=source=$source,target=/m find /m
EOT
done
canary_safe 'sources that are links'
not_disclosed 'mounts' "$T/out.oci" "$RB_ROOT"
done_testing
