#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Abstract sockets and services on localhost of the host, and those of other steps, are out of a
# step's reach where it has a network of its own; where it has none, that is said.
# users: root
# needs: root userns overlay ip pasta slirp4netns setpriv unshare
# images: debian
. "$(dirname "$0")/../own-host.sh"

abstract() { echo "perl -MSocket -e 'socket(S, AF_UNIX, SOCK_STREAM, 0) && connect(S, pack_sockaddr_un(\"\\0$1\")) && print(<S>) or print \"closed\\n\"'"; }
tcp() { echo "timeout 1 bash -c 'cat </dev/tcp/$1/$2' 2>/dev/null || echo closed"; }
for user in rb-range rb-single; do
	be $user
	{
		echo FROM debian
		echo "RUN $(abstract rbuild-canary); $(tcp 127.0.0.1 8001); $(tcp 10.0.2.2 8001); $(tcp 10.0.2.3 8001); $(tcp 127.0.0.53 53); $(tcp ::1 8001)"
	} | dockerfile
	for mode in default none; do
		works "$user: a build with --network=$mode" build --no-cache --network=$mode
		is "$(sort -u <<<"$said")" closed "$user: neither abstract sockets nor localhost with --network=$mode"
	done
	# A packet for the host's loopback is nothing that a step can write: the helper might take it there.
	{
		echo FROM debian
		echo "RUN perl -MSocket -e 'socket(S, AF_INET, SOCK_RAW, 255) and print qq(raw\n); socket(S, 17, SOCK_RAW, 0) and print qq(packet\n); socket(S, AF_INET, SOCK_DGRAM, 1) and print qq(ping\n)'"
	} | dockerfile
	works "$user: a step tries raw sockets" build --no-cache
	is "$said" ping "$user: it can ping, and write no packets of its own"
	{
		echo FROM debian AS one
		echo "RUN perl -MSocket -e 'socket(S, AF_UNIX, SOCK_STREAM, 0); bind(S, pack_sockaddr_un(\"\\0rbuild-step\")) && listen(S, 1) or die; sleep 2'"
		echo FROM debian
		echo "RUN sleep 0.7; $(abstract rbuild-step)"
		echo COPY --from=one /etc/hostname /x
	} | dockerfile
	works "$user: two steps side by side" build --no-cache -j2
	is "$said" closed "$user: a step does not reach the other's abstract socket"
done

mount --bind /dev/null "$(realpath /usr/bin/pasta)" && mount --bind /dev/null "$(realpath /usr/bin/slirp4netns)"
printf 'FROM debian\nRUN true\n' | dockerfile
works "a build without helpers" build --no-cache
like "$err" "WARN: steps share this host's network and what listens on its loopback" "says what its steps reach"
works "doctor" as "$user" "$T/$user/rbuild" --root "$T/$user/store" doctor
like "$out" 'steps share this host.s network: they reach services on localhost and abstract sockets' "says it, too"

done_testing
