#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Networks of RUN (dockerfile.md 3.2, 10.4, 10.9, 12): private ones through pasta and slirp4netns, the
# host's, none; names by a resolver on 127.0.0.53.
# What a step cannot reach: threats-S44-host-services.sh.
# users: root
# needs: root userns overlay ip pasta slirp4netns setpriv unshare
# images: debian
# timeout: 120
. "$(dirname "$0")/../own-host.sh"

notice='steps share this host.s network'

# connect LABEL ADDRESS PORT: what is said there
probes='connect() { echo "== $1"; timeout 1 bash -c "exec 3<>/dev/tcp/$2/$3 && cat <&3" 2>/dev/null || echo closed; }; \
    connect outer 192.0.2.1 8000; connect loopback 127.0.0.1 8001; connect gateway 10.0.2.2 8001; connect named name 8000; \
    echo "== abstract"; perl -MSocket -e '\''socket(S, AF_UNIX, SOCK_STREAM, 0) && connect(S, pack_sockaddr_un("\0rbuild-canary")) && print <S> or print "closed\n"'\''; \
    echo "== net"; readlink /proc/self/ns/net; echo "== devices"; ls /sys/class/net; tail -n +3 /proc/net/dev | cut -d: -f1 | tr -d " "; \
    echo "== resolv"; cat /etc/resolv.conf; echo "== end"'

private() {
	is "$(after outer)$(after named)" outerouter "$1: the host's network is reached, by name too"
	is "$(after loopback)$(after gateway)$(after abstract)" closedclosedclosed "$1: not the host's loopback, nor its abstract sockets"
	is "$(after devices | sort -u)" $'eth0\nlo' "$1: eth0 and lo, in /sys too"
	is "$(after resolv)" $'search lan\nnameserver 10.0.2.3\noptions timeout:2' "$1: names go through the helper"
	unlike "$err" "$notice" "$1: without notice"
}

for user in rb-range rb-single root; do
	be "$user"

	dockerfile <<<$'FROM debian\nRUN '"$probes"
	works "$user: a build with pasta works" build
	private "$user, pasta"
	isnt "$(after net)" "$(readlink /proc/self/ns/net)" "$user: its own network namespace"
	is "$(helpers | wc -l)" 0 "$user: the helper is gone after the build"

	# The mode asked for is in the key, not what the host could give.
	mount --bind /dev/null "$(realpath /usr/bin/pasta)"
	works "$user: again, without pasta" build
	is "$(step_states <<<"$err" | grep -c '^CACHED .*RUN ')" 1 "$user: nothing has to be run again"
	works "$user: a build with slirp4netns works" build --no-cache
	private "$user, slirp4netns"
	mount --bind /dev/null "$(realpath /usr/bin/slirp4netns)"
	dockerfile <<<$'FROM debian\nRUN '"$probes"$'\nRUN true'
	works "$user: a build without helpers works" build --no-cache
	is "$(grep -c "$notice" <<<"$err")" 1 "$user: one notice"
	like "$err" "neither pasta nor slirp4netns is installed" "$user: with the reason"
	is "$(after net)" "$(readlink /proc/self/ns/net)" "$user: it has the host's network"
	umount "$(realpath /usr/bin/slirp4netns)" "$(realpath /usr/bin/pasta)"

	fails_with 1 '--network=host needs the entitlement network.host' build --network=host
	dockerfile <<<$'FROM debian\nRUN --network=host '"$probes"
	fails_with 1 '^rbuild: Dockerfile:2: RUN --network=host needs the entitlement network.host.*--allow network.host$' build
	works "$user: --network=host works when it is allowed" build --allow network.host
	is "$(after net)" "$(readlink /proc/self/ns/net)" "$user: it is the host's"
	is "$(after outer)$(after loopback)$(after abstract)$(after named)" outercanary-loopbackcanary-abstractouter "$user: with all that is there"
	is "$(after resolv)" "$(cat /etc/resolv.conf)" "$user: resolv.conf is the host's"
	dockerfile <<<$'FROM debian\nRUN --network=none '"$probes"
	works "$user: --network=none works" build
	is "$(after devices)" $'lo\nlo' "$user: there is lo, in /sys too"
	is "$(after outer)$(after loopback)$(after gateway)$(after abstract)$(after named)" closedclosedclosedclosedclosed "$user: and nothing else"
	unlike "$err" "$notice" "$user: without notice"
done

user=rb-range
# --- a resolver that steps reach by themselves
cp /etc/resolv.conf "$T/resolv" && printf 'nameserver 192.0.2.1\nsearch lan\n' >/etc/resolv.conf
for helper in pasta slirp4netns; do
	dockerfile <<<$'FROM debian\nRUN cat /etc/resolv.conf; getent hosts name.lan'
	works "names with $helper" build --no-cache
	is "$said" "$(printf '%s\n' 'nameserver 192.0.2.1' 'search lan' '192.0.2.1       name.lan')" "$helper: the host's resolver is asked itself"
	mount --bind /dev/null "$(realpath /usr/bin/pasta)"
done
umount "$(realpath /usr/bin/pasta)" && umount "$(realpath /usr/bin/pasta)"
cat "$T/resolv" >/etc/resolv.conf

# --- host-gateway: because the user says so
dockerfile <<<$'FROM debian\nRUN cat /etc/hosts; '"$probes"
works "--add-host NAME:host-gateway works" build --add-host hub:host-gateway
like "$said" $'^10.0.2.2\thub$' "it is the gateway"
is "$(after gateway)$(after loopback)" canary-loopbackclosed "which leads to the host's loopback then"

# --- side by side, and one after the other
dockerfile <<'EOF'
FROM debian AS a
RUN perl -MSocket -e 'socket(S, AF_INET, SOCK_STREAM, 0); bind(S, pack_sockaddr_in(80, INADDR_ANY)) or die "in use: $!"; listen(S, 1); sleep 2; print "served\n"'
FROM debian AS b
RUN : b; perl -MSocket -e 'socket(S, AF_INET, SOCK_STREAM, 0); bind(S, pack_sockaddr_in(80, INADDR_ANY)) or die "in use: $!"; listen(S, 1); sleep 2; print "served\n"'
FROM debian
COPY --from=a /etc/hostname /a
COPY --from=b /etc/hostname /b
RUN perl -MSocket -e 'socket(S, AF_INET, SOCK_STREAM, 0); bind(S, pack_sockaddr_in(80, INADDR_ANY)) or die "in use: $!"; print "served\n"'
EOF
start --no-cache -j2 2>"$T/parallel"
wait_for 10 helpers_are 2 && ok "steps side by side have a helper each" || not_ok "steps side by side have a helper each" "$(helpers | wc -l)"

wait $pid
is "$(grep -c ' served$' "$T/parallel")" 3 "they listen on the same low port, and so does a later one"
[ "$(grep -c ' served$' "$T/parallel")" = 3 ] || diag "$(cat "$T/parallel")"

# --- the helper is started when a step wants the network, once it is known to work here
dockerfile <<<$'FROM debian\nRUN sleep 1; perl -MSocket -e "socket(S, AF_UNIX, SOCK_STREAM, 0) or die"; sleep 1'
start --no-cache 2>"$T/lazy"
sleep 0.5
most=0
while kill -0 $pid 2>/dev/null; do
	helpers_are 0 || most=1
	sleep 0.1
done
wait $pid
is "$?$most" 00 "a step that makes no internet socket has no helper"
for family in AF_INET AF_INET6 16; do
	dockerfile <<-EOF
		FROM debian
		RUN perl -l -MSocket -e 'socket(S, $family, SOCK_DGRAM, 0) or die \$!; open(F, "<", "/proc/net/dev"); print grep(/eth0/, <F>) ? "there" : "not there"'
	EOF
	works "a step that makes a socket of $family" build --no-cache
	is "$said" there "finds its network when the call returns"
done
for user in rb-range rb-single; do
	dockerfile <<-'EOF'
		FROM debian
		RUN perl -l -MSocket -e '$SIG{USR1} = sub { $seen++ }; $p = $$; $k = fork; if (!$k) { for (1..2000) { kill "USR1", $p; select(undef, undef, undef, 0.0001) } exit } \
		    1 until socket(S, AF_INET, SOCK_STREAM, 0) || !$!{EINTR}; $r = fileno(S) ? "made" : "$!"; kill "KILL", $k; print $r; print $seen ? "signals" : "none"'
	EOF
	works "$user: a socket that is made while signals come" build --no-cache
	is "$said" $'made\nsignals' "$user: is made"
	dockerfile <<-'EOF'
		FROM debian
		RUN for i in 1 2 3 4; do perl -l -MSocket -e 'socket(S, AF_INET, SOCK_STREAM, 0) or die; print "one"' & done; wait
	EOF
	works "$user: several that want it at once" build --no-cache
	is "$(wc -l <<<"$said")" 4 "$user: have it"

	# Helpers that worked before and do no more: an error, and the next build knows.
	printf '#!/bin/sh\necho it is broken >&2\nexit 1\n' >"$T/broken" && chmod 755 "$T/broken"
	mount --bind "$T/broken" "$(realpath /usr/bin/pasta)" && mount --bind "$T/broken" "$(realpath /usr/bin/slirp4netns)"
	fails_with 1 '^rbuild: Dockerfile:2: the step cannot have a network of its own \(build again: steps share this host.s then\): pasta ended: it is broken$' build --no-cache
	works "$user: the next build uses the host's" build --no-cache
	like "$err" "$notice.*: pasta ended: it is broken" "$user: and says why"
	umount "$(realpath /usr/bin/slirp4netns)" "$(realpath /usr/bin/pasta)"
	works "$user: one with helpers that work again" build --no-cache
	unlike "$err" "$notice" "$user: has its own again"
done
user=rb-range

# --- doctor
works "doctor says so" as "$user" "$T/$user/rbuild" --root "$T/$user/store" doctor
like "$out" 'network .*steps have networks of their own' "of the network"
like "$out" 'network helpers .*pasta' "and of the helper"
chmod 600 /dev/net/tun
works "without the device" as "$user" "$T/$user/rbuild" --root "$T/$user/store" doctor
like "$out" 'network helpers .*cannot open /dev/net/tun \(Permission denied\)' "that is said"
like "$out" 'chmod 666 /dev/net/tun' "with the line that helps"
dockerfile <<<$'FROM debian\nRUN true'
works "a build works then" build --no-cache
like "$err" "$notice.*cannot open /dev/net/tun" "with the notice"

done_testing
