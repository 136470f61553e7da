#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Networks of RUN (dockerfile.md 3.2, 10.4, 10.9, 12): private ones through pasta and slirp4netns, the
# host's, none; names by a resolver on 127.0.0.53; what a step cannot reach (threats S44), and what
# helpers may (S24).
# users: root
# needs: root userns overlay ip pasta slirp4netns setpriv unshare
# images: debian
# timeout: 120
#
# "The host" is a network namespace of this test with an address that leads nowhere and its own
# resolver, below its own mounts: /dev/net/tun is for everybody there, as distributions have it.
if [ -z "${RB_TEST_INSIDE:-}" ]; then
	RB_TEST_INSIDE=1 exec unshare --net --mount --propagation private bash "$0"
fi
export TMPDIR=/var/tmp # where other users may go
. "$(dirname "$0")/../lib.sh"

chmod 711 "$T"
mount -t tmpfs none /mnt && mknod -m 666 /mnt/tun c 10 200 &&
	mount --bind /mnt/tun /dev/net/tun || bail_out "cannot set up /dev/net/tun"
printf 'search lan\nnameserver 127.0.0.53\noptions timeout:2\n' >/mnt/resolv && chmod 644 /mnt/resolv &&
	mount --bind /mnt/resolv "$(realpath /etc/resolv.conf)" || bail_out "cannot set up resolv.conf"
ip link set lo up && ip link add rb0 type veth peer name rb1 && ip link set rb1 up && ip addr add 192.0.2.1/24 dev rb0 && ip link set rb0 up &&
	ip route add default via 192.0.2.254 || bail_out "cannot set up an interface"

# A resolver that knows one name, a service on the host's address, one on its loopback, and one on an
# abstract socket.
cat >"$T/servers.py" <<-'EOP'
	import socket, struct, threading

	def names():
	    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
	    s.bind(("127.0.0.53", 53))
	    while True:
	        query, sender = s.recvfrom(2000)
	        question, end = query[12:], 0
	        while question[end]:
	            end += question[end] + 1
	        kind = struct.unpack(">H", question[end + 1:end + 3])[0]
	        known = question[:end + 1] == b"\x04name\x03lan\0"
	        answer = b"\xc0\x0c" + struct.pack(">HHIH4s", 1, 1, 60, 4, socket.inet_aton("192.0.2.1")) \
	            if known and kind == 1 else b""
	        s.sendto(query[:2] + (b"\x81\x80" if known else b"\x81\x83") +
	                 struct.pack(">HHHH", 1, 1 if answer else 0, 0, 0) + question[:end + 5] + answer, sender)

	def serve(family, address, word):
	    s = socket.socket(family)
	    s.bind(address)
	    s.listen(20)
	    while True:
	        peer = s.accept()[0]
	        peer.send(word)
	        peer.close()

	for what in ((names,), (serve, socket.AF_INET, ("192.0.2.1", 8000), b"outer\n"),
	             (serve, socket.AF_INET, ("127.0.0.1", 8001), b"canary-loopback\n"),
	             (serve, socket.AF_UNIX, "\0rbuild-canary", b"canary-abstract\n")):
	    threading.Thread(target=what[0], args=what[1:]).start()
EOP
python3 "$T/servers.py" &
stop_later $!
wait_for 10 bash -c 'exec 3<>/dev/tcp/127.0.0.1/8001' || bail_out "the servers do not start"

tar=$(base_image debian) || bail_out "no base image"
cp "$tar" "$T/debian.tar" && chmod 644 "$T/debian.tar"

# as USER COMMAND...: root itself, or a test user
as() {
	local user=$1
	shift
	if [ "$user" = root ]; then
		"$@"
	else
		setpriv --reuid "$user" --regid "$user" --clear-groups env HOME="$T/$user" TMPDIR="$T/$user" \
			XDG_RUNTIME_DIR="$T/$user" "$@"
	fi
}

# build [OPTION...]: of $T/$user/c as $user; $err is the progress, $said what steps printed
build() {
	local status
	run_command as "$user" "$T/$user/rbuild" --root "$T/$user/store" --progress=plain "$@" "$T/$user/c"
	status=$?
	said=$(sed -nE 's/^#[0-9]+ [0-9]+\.[0-9]{3} //p' <<<"$err")
	return $status
}
# start [OPTION...]: the same as a process, $pid
start() {
	setpriv --reuid "$user" --regid "$user" --clear-groups env HOME="$T/$user" XDG_RUNTIME_DIR="$T/$user" \
		"$T/$user/rbuild" --root "$T/$user/store" --progress=plain "$@" "$T/$user/c" &
	pid=$!
}
after() { sed -n "/^== $1\$/,/^== /p" <<<"$said" | sed '/^== /d'; }
dockerfile() { cat >"$T/$user/c/Dockerfile"; }
# The processes of pasta; it runs itself again by the name of a variant.
helpers() { grep -l '^Name:.pas[st]' /proc/[0-9]*/status 2>/dev/null | xargs -r dirname; }
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
	mkdir -p "$T/$user/c" && cp "$RBUILD" "$T/$user/rbuild" && chown -R "$user:" "$T/$user" && chmod 700 "$T/$user"
	as "$user" "$T/$user/rbuild" --root "$T/$user/store" import "$T/debian.tar" debian >/dev/null 2>&1 || bail_out "import"

	dockerfile <<<$'FROM debian\nRUN '"$probes"
	works "$user: a build with pasta works" build
	private "$user, pasta"
	isnt "$(after net)" "$(readlink /proc/self/ns/net)" "$user: its own network namespace"
	is "$(helpers | wc -l)" 0 "$user: the helper is gone after the build"

	# The mode asked for is in the key, not what the host could give.
	mount --bind /dev/null "$(realpath /usr/bin/pasta)"
	works "$user: again, without pasta" build
	like "$err" '^#[0-9]+ CACHED$' "$user: nothing has to be run again"
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
	is "$(after devices | sort -u)" lo "$user: there is lo"
	is "$(after outer)$(after loopback)$(after gateway)$(after abstract)$(after named)" closedclosedclosedclosedclosed "$user: and nothing else"
	unlike "$err" "$notice" "$user: without notice"
done

user=rb-range
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
two() { [ "$(helpers | wc -l)" = 2 ]; }
wait_for 10 two && ok "steps side by side have a helper each" || not_ok "steps side by side have a helper each" "$(helpers | wc -l)"

# --- what a helper may (S24)
helper=$(helpers | head -n 1)
sleep 0.3
status=$(cat "$helper/status" 2>/dev/null)
like "$status" $'^NoNewPrivs:\t1$' "a helper gains no privilege"
like "$status" $'^Seccomp:\t2$' "has a filter"
is "$(sed -n 's/^CapBnd:\t//p' <<<"$status")" 0000000000201000 "and could never get more than it needs to set the network up"
is "$(ls "$helper/root/" 2>/dev/null)" "" "its root is empty"
is "$(readlink "$helper"/fd/* 2>/dev/null | grep -cF "$T")" 0 "no descriptor of ours is open in it"
unlike "$(tr '\0' '\n' <"$helper/environ")" "^(HOME|TMPDIR|RB_TEST)" "nor is our environment in it"
wait $pid
is "$(grep -c ' served$' "$T/parallel")" 3 "they listen on the same low port, and so does a later one"
[ "$(grep -c ' served$' "$T/parallel")" = 3 ] || diag "$(cat "$T/parallel")"

# --- a build that is killed takes its helpers with it
dockerfile <<<$'FROM debian\nRUN sleep 60'
start 2>/dev/null
one() { [ "$(helpers | wc -l)" = 1 ]; }
wait_for 10 one || not_ok "the helper of a long step is there"
kill -9 $pid && wait $pid 2>/dev/null
none() { [ "$(helpers | wc -l)" = 0 ]; }
wait_for 5 none && ok "kill -9 of the build ends its helper" || not_ok "kill -9 of the build ends its helper"

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
