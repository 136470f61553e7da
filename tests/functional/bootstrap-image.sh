#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Without a registry: bootstrap makes the base image from packages, and FROM finds it by its name.
# needs: userns range overlay net mmdebstrap
# timeout: 600
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"

suite=$(sed -n 's/^ID=//p' /etc/os-release):$(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release)
case $suite in
debian:?* | ubuntu:?*) ;;
*) skip_all "this machine has packages of neither Debian nor Ubuntu ($suite)" ;;
esac

fails_with 1 "no archive|names no|nosuch" rb bootstrap debian:nosuch
is "$(rb images 2>&1 | grep -c debian)" 0 'what cannot be made leaves no name'

# The directories of a test let nobody else in; mmdebstrap works as another id.
fails_with 1 'set TMPDIR=/var/tmp' rb bootstrap "$suite"
TMPDIR=$(mktemp -d /var/tmp/rb-XXXXXX)
chmod 755 "$TMPDIR"
export TMPDIR
works 'bootstrap' rb bootstrap "$suite" --include libcap2-bin || bail_out 'no base image'
like "$out" "$suite sha256:[0-9a-f]{64}\$" 'it prints the image ID'
like "$(rb images)" "^(docker\\.io/library/)?${suite%:*}[: ]+${suite#*:}" 'the image has the name that was asked for'
is "$(ls -A "$TMPDIR")$(ls -A "$RB_ROOT/tmp")" '' 'nothing is left behind'
rmdir "$TMPDIR"

context "$T/context" <<-EOT
	FROM $suite
	RUN . /etc/os-release && echo "release \$ID:\$VERSION_CODENAME"
	RUN command -v setcap && apt-get update && apt-get install -y --no-install-recommends hello
	RUN hello && stat -c '%n %U:%G %a' /etc/shadow /var/mail
	RUN dpkg --audit && dpkg-query -W -f '\${Package} \${db:Status-Status}\n' libcap2-bin
EOT
works 'FROM of its name' rb build --progress=plain -o "type=oci,dest=$T/image.tar" "$T/context"
like "$err" "^#[0-9]+ [0-9.]+ release $suite\$" 'it is the release that was asked for'
like "$err" '^#[0-9]+ [0-9.]+ Hello, world!$' 'apt-get works in it'
like "$err" '^#[0-9]+ [0-9.]+ /etc/shadow root:shadow 640$' 'owner of /etc/shadow'
like "$err" '^#[0-9]+ [0-9.]+ /var/mail root:mail 2775$' 'owner of /var/mail'
like "$err" '^#[0-9]+ [0-9.]+ libcap2-bin installed$' 'it includes the package that was asked for'
works 'the image of it is sound' oci "$T/image.tar" check
like "$(oci "$T/image.tar" get .history[0].created_by)" 'rbuild bootstrap' 'its history begins with bootstrap'
like "$(oci "$T/image.tar" get .config.Env)" 'PATH=' 'it has a PATH'
unlike "$(oci "$T/image.tar" tree)" '^(dev/[^ ]+ [bc]|var/cache/apt/archives/[^ ]+\.deb|var/lib/apt/lists/[^ ]+_Packages) .*0:0 0 1$' \
	'neither devices nor downloaded packages are in the base'
done_testing
