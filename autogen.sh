#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Makes ./configure. Nothing that autotools generate is kept in git.
set -eu
cd "$(dirname "$0")"
for tool in autoreconf automake pkg-config; do
	command -v "$tool" >/dev/null || {
		echo "autogen.sh: $tool is missing; run: apt-get install -y autoconf automake pkg-config" >&2
		exit 1
	}
done
exec autoreconf --install --force "$@"
