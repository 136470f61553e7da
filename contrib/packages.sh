# shellcheck shell=sh disable=SC2034
# SPDX-License-Identifier: Apache-2.0
# The Debian packages that building and testing need, for contrib/check and contrib/quickstart.
BUILD_PACKAGES='autoconf automake binutils dpkg-dev file gcc libarchive-dev libbz2-dev libc-ares-dev
libc6-dev libcap-dev libdeflate-dev libjansson-dev liblzma-dev libseccomp-dev libssl-dev libzstd-dev
make pkg-config uthash-dev xz-utils zlib1g-dev'
# What a machine needs to make base images and run them.
RUN_PACKAGES='ca-certificates mmdebstrap python3 uidmap'
TEST_PACKAGES='attr buildah busybox-static crun docker-registry fuse-overlayfs git libcap2-bin
openssh-client openssl passt podman runc skopeo slirp4netns umoci zstd'

# missing_packages NAME...: those that are not installed, on one line
missing_packages() {
	for package; do
		dpkg-query -W -f '${db:Status-Status}\n' "$package" 2>/dev/null | grep -qx installed ||
			printf ' %s' "$package"
	done
}

# need_packages NAME...: installs what is missing if this is root; else prints the line and fails.
need_packages() {
	if ! command -v dpkg-query >/dev/null; then
		echo "# this is no Debian machine: its packages are not checked"
		return 0
	fi
	missing=$(missing_packages "$@")
	[ -n "$missing" ] || return 0
	if [ "$(id -u)" != 0 ]; then
		echo "packages are missing; as root: apt-get install -y$missing" >&2
		return 1
	fi
	echo "# installing:$missing"
	# shellcheck disable=SC2086
	# The names are known once the lists are: a machine image may come without any.
	install_packages $missing 2>/dev/null || { apt-get -qq update && install_packages $missing; }
}

install_packages() {
	DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "$@" >/dev/null
}
