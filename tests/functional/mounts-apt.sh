#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Cache mounts as people use them for apt and for pip: packages are fetched once, and nothing of it is in the image.
# needs: userns overlay dpkg-deb
# users: range single
. "$(dirname "$0")/../lib.sh"

base_image debian >/dev/null
import_base debian

# package NAME: a package in the repository of the context
mkdir -p "$T/c/repo"
package() {
	local dir=$T/pkg-$1 deb=$1_1_all.deb
	mkdir -p "$dir/DEBIAN" "$dir/usr/share/$1"
	echo "$1" >"$dir/usr/share/$1/file"
	printf 'Package: %s\nVersion: 1\nArchitecture: all\nMaintainer: nobody <nobody@example.org>\nDescription: %s\n' \
		"$1" "$1" >"$dir/DEBIAN/control"
	chmod -R u=rwX,go=rX "$dir"
	dpkg-deb --root-owner-group -b "$dir" "$T/c/repo/$deb" >/dev/null || bail_out "cannot make a package"
	{
		cat "$dir/DEBIAN/control"
		printf 'Filename: ./%s\nSize: %s\nSHA256: %s\n\n' "$deb" "$(stat -c %s "$T/c/repo/$deb")" \
			"$(sha256sum <"$T/c/repo/$deb" | cut -d' ' -f1)"
	} >>"$T/c/repo/Packages"
}
package first
package second
rm -rf "$T"/pkg-*

# install PACKAGE: an image with it; $said is what the step printed about archives
install() {
	cat >"$T/Dockerfile" <<-EOT
		FROM debian
		RUN rm -rf /etc/apt/apt.conf.d/docker-clean /etc/apt/sources.list /etc/apt/sources.list.d && \
			echo 'Binary::apt::APT::Keep-Downloaded-Packages "true";' >/etc/apt/apt.conf.d/keep-cache && \
			echo 'deb [trusted=yes] copy:/repo ./' >/etc/apt/sources.list
		RUN --mount=type=cache,target=/var/cache/apt,sharing=locked \\
			--mount=type=cache,target=/var/lib/apt,sharing=locked \\
			--mount=type=bind,source=repo,target=/repo \\
			apt-get update >/log 2>&1 && apt-get install -y --no-install-recommends $1 >>/log 2>&1 || { cat /log; exit 1; }; \\
			echo archives: \$(ls /var/cache/apt/archives); stat -c '%n %U' /var/cache/apt/archives/partial
		RUN cat /usr/share/$1/file
	EOT
	works "install $1" rb --progress=plain -o "type=oci,dest=$T/$1.oci" -f "$T/Dockerfile" "$T/c"
	said=$(sed -nE 's/^#[0-9]+ [0-9]+\.[0-9]{3} //p' <<<"$err")
}

install first
is "$said" $'archives: first_1_all.deb lock partial\n/var/cache/apt/archives/partial _apt\nfirst' "the package is kept"
is "$(oci "$T/first.oci" tree | grep -c '^var/cache/apt/.*deb\|^var/lib/apt/lists/.*Packages\|^repo')" 0 "the image has nothing of it"
like "$(oci "$T/first.oci" tree)" '^usr/share/first/file f 0644 0:0 ' "but what was installed"
install second
is "$said" $'archives: first_1_all.deb lock partial second_1_all.deb\n/var/cache/apt/archives/partial _apt\nsecond' \
	"the next build finds it"

# pip's way: a cache of the user who runs it, and a bind of what is asked for
echo 'thing==1' >"$T/c/requirements.txt"
cat >"$T/pip.Dockerfile" <<'EOT'
FROM debian
RUN useradd -m -u 1000 app
USER app
WORKDIR /home/app
ARG N
RUN --mount=type=cache,target=/home/app/.cache/pip,uid=1000,gid=1000 \
    --mount=type=bind,source=requirements.txt,target=requirements.txt \
    wheel=.cache/pip/$(cat requirements.txt); if [ -e "$wheel" ]; then echo cached; else echo fetched; : >"$wheel"; fi; \
    stat -c '%n %U:%G %a' .cache .cache/pip "$wheel"; touch .cache/pip/x requirements.txt 2>/dev/null || echo "no: $N"
EOT
for n in 1 2; do
	works "pip's way ($n)" rb --progress=plain -f "$T/pip.Dockerfile" --build-arg N=$n -o "type=oci,dest=$T/pip.oci" "$T/c"
	is "$(sed -nE 's/^#[0-9]+ [0-9]+\.[0-9]{3} //p' <<<"$err")" "$([ $n = 1 ] && echo fetched || echo cached)
.cache root:root 755
.cache/pip app:app 755
.cache/pip/thing==1 app:app 644
no: $n" "a cache of the user, and a file of the context"
done
is "$(oci "$T/pip.oci" list -1)" "" "nothing of it is in the layer"

done_testing
