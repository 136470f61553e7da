#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A real project: apt-get installs a compiler into a bare Debian, a Debian source package is fetched,
# configured, built and tested in RUN, and its program goes into an image of its own.
# needs: userns range overlay net skopeo umoci podman runc
# images: debian
# timeout: 600
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/readback.sh
. "$RB_TEST_SRC/tests/readback.sh"

import_base debian debian:bookworm
context "$T/context" <<-'EOT'
	FROM debian:bookworm AS build
	ARG DEBIAN_FRONTEND=noninteractive
	RUN apt-get update && apt-get install -y --no-install-recommends dpkg-dev gcc libc6-dev make
	WORKDIR /src
	# Wherever packages come from, their sources do.
	RUN <<EOF
	set -e
	for file in /etc/apt/sources.list /etc/apt/sources.list.d/*; do
		[ ! -e "$file" ] || sed -i -e 's/^Types:.*/Types: deb deb-src/' -e '/^deb /{p;s/^deb /deb-src /}' "$file"
	done
	apt-get update
	apt-get source hello
	mv hello-*/ hello
	EOF
	WORKDIR hello
	RUN ./configure --disable-nls --prefix=/usr && make
	RUN make check
	RUN <<EOF
	set -e
	make install-exec DESTDIR=/out
	ldd /out/usr/bin/hello | grep -o '/[^ ]*' | xargs cp -L --parents --target-directory=/out
	stat -c '%U:%G %a' /etc/shadow /usr/bin/chage /var/mail > /out/owners
	EOF

	FROM scratch
	COPY --from=build /out /
	LABEL org.opencontainers.image.title=hello
	ENTRYPOINT ["/usr/bin/hello"]
EOT

archive=$T/hello.tar
works 'a Debian source package is built' rb build --progress=plain -t hello -o type=image -o "type=oci,dest=$archive" \
	"$T/context" || bail_out 'the build failed'
like "$err" '^#[0-9]+ [0-9.]+ Setting up gcc ' 'apt-get installs the compiler'
like "$err" '^#[0-9]+ [0-9.]+ dpkg-source: info: extracting hello in ' 'apt-get unpacks the source package'
like "$err" '^#[0-9]+ [0-9.]+ # PASS: +[1-9]' 'its test suite runs'
like "$err" '^#[0-9]+ [0-9.]+ # FAIL: +0$' 'no test of it fails'
unlike "$err" 'dpkg: error|^E: ' 'apt and dpkg meet no error'

readback "$archive" hello
is "$(oci "$archive" layers)" 1 'the image is one layer'
like "$(oci "$archive" list 0)" '^usr/bin/hello f 0755 0:0 ' 'the program is in it'
is "$(oci "$archive" list 0 | grep -Ec ' f .* 0:0 ')" "$(oci "$archive" list 0 | grep -c ' f ')" 'all files are root'\''s'
is "$(oci "$archive" cat 0 owners)" $'root:shadow 640\nroot:shadow 2755\nroot:mail 2775' 'owners as the steps saw them'
is "$(oci "$archive" get .config.Labels)" '{"org.opencontainers.image.title": "hello"}' 'its label'
is "$(bundle_runs "$archive.d" 2>&1)" 'Hello, world!' 'runc runs it'
is "$(chroot_runs "$archive.d" /usr/bin/hello -t)" 'hello, world' 'chroot runs it'
is "$(rb run hello --greeting=built)" built 'rbuild runs it'
works 'again' rb build --progress=plain "$T/context"
unlike "$err" '^#[0-9]+ [0-9]+\.[0-9]+ ' 'the second build runs nothing'
done_testing
