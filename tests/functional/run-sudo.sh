#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Programs that change who they are work in a step: no_new_privs is off, setuid bits and file capabilities count.
# needs: userns overlay range net
# users: range
# images: debian
# timeout: 300
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"

import_base debian debian:bookworm
context "$T/c" <<-'EOT'
	FROM debian:bookworm
	RUN apt-get update && apt-get install -y --no-install-recommends sudo iputils-ping libcap2-bin
	RUN useradd -m -G sudo app && echo 'app ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/app
	RUN su app -c 'test "$(id -un)" = app && test "$(id -Gn)" = "app sudo" && ! touch /root/x'
	USER app
	RUN test "$(id -u)" != 0 && test "$(sudo id -u)" = 0 && sudo touch /root/made-by-sudo
	RUN grep -q '^NoNewPrivs:.0' /proc/self/status && grep -q '^CapEff:.0000000000000000' /proc/self/status
	RUN ! chown root /home/app 2>/dev/null && ! cat /etc/shadow 2>/dev/null
	RUN getcap /usr/bin/ping | grep -q cap_net_raw
EOT
works 'sudo, su, setuid programs and file capabilities in steps' rb -o "type=oci,dest=$T/out.oci" "$T/c"
like "$(oci "$T/out.oci" list 4)" 'root/made-by-sudo f 0644 0:0' 'what sudo made belongs to root'
like "$(oci "$T/out.oci" list 1)" 'usr/bin/sudo f 4755 0:0' 'sudo keeps its setuid bit in the layer'
done_testing
