# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# A host of the test's own, for tests of networks: begin with
#
#	# users: root
#	# needs: root userns overlay ip pasta slirp4netns setpriv unshare
#	# images: debian
#	. "$(dirname "$0")/../own-host.sh"
#
# instead of lib.sh, which it includes. It is a network namespace with an address that leads nowhere
# (192.0.2.1) and a resolver on 127.0.0.53, and there, that knows name.lan, below mounts of its own, where
# /dev/net/tun is for everybody, as distributions have it. On 192.0.2.1:8000, 127.0.0.1:8001 and the
# abstract socket "rbuild-canary" somebody says "outer", "canary-loopback" and "canary-abstract".
if [ -z "${RB_TEST_INSIDE:-}" ]; then
	RB_TEST_INSIDE=1 exec unshare --net --mount --propagation private bash "$0"
fi
export TMPDIR=/var/tmp # where other users may go
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

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

	def names(address):
	    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
	    s.bind((address, 53))
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

	for what in ((names, "127.0.0.53"), (names, "192.0.2.1"), (serve, socket.AF_INET, ("192.0.2.1", 8000), b"outer\n"),
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

# be USER: who the next functions are; has a copy of the program and the image debian
be() {
	user=$1
	mkdir -p "$T/$user/c" && cp "$RBUILD" "$T/$user/rbuild" && chown -R "$user:" "$T/$user" && chmod 700 "$T/$user"
	as "$user" "$T/$user/rbuild" --root "$T/$user/store" import "$T/debian.tar" debian >/dev/null 2>&1 || bail_out "import"
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

# The processes of pasta on this host; it runs itself again by the name of a variant.
helpers() {
	local status
	for status in $(grep -l '^Name:.pas[st]' /proc/[0-9]*/status 2>/dev/null); do
		[ "$(readlink "${status%/status}/ns/net")" != "$(readlink /proc/self/ns/net)" ] || echo "${status%/status}"
	done
}
# helpers_are N
helpers_are() { [ "$(helpers | wc -l)" = "$1" ]; }
