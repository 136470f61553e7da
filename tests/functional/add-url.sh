#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# ADD of files by URL (dockerfile.md 3.10 item 2): name, mode, owner, time, --checksum, --unpack; what
# is asked again and what is not fetched again.
# users: range single
# needs: userns overlay python3
# shellcheck disable=SC2119,SC2016
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/web.sh
. "$RB_TEST_SRC/tests/web.sh"

start_web
# build < Dockerfile: into $T/out.oci
build() {
	context "$T/c"
	rb --progress=plain -o "type=oci,dest=$T/out.oci" "$T/c" >"$T/.build" 2>&1 || diag "$(cat "$T/.build")"
}
# refused REGEX < Dockerfile
refused() {
	context "$T/c"
	fails_with 1 "^rbuild: Dockerfile:[0-9]+: .*$1" rb -o type=cacheonly "$T/c"
}
# listing: the files of the image
listing() { oci "$T/out.oci" tree | cut -d' ' -f1-5; }

echo hello | serve hello.txt
echo other | serve 'na me'
printf 'root:x:0:0::/:/\nme:x:1234:1235::/:/\n' >"$T/c.passwd"
tar -C "$T/web/files" --owner=0 --group=0 -czf "$T/archive" hello.txt && serve archive.tgz <"$T/archive"
sum=sha256:$(sha256sum <"$T/web/files/hello.txt" | cut -d' ' -f1)

# --- what it becomes

mkdir -p "$T/c"
echo local >"$T/c/local"
build <<-EOT
	FROM scratch
	COPY <<EOF /etc/passwd
	me:x:1234:1235::/:/
	EOF
	ADD http://$WEB/files/hello.txt /d/
	ADD http://$WEB/files/hello.txt /named
	ADD --chmod=0755 --chown=me:7 http://$WEB/plain/hello.txt?query=1 /mine
	ADD http://$WEB/files/na%20me#fragment /d/
	ADD http://$WEB/files/archive.tgz /packed/
	ADD --unpack http://$WEB/files/archive.tgz /unpacked
	ADD local http://$WEB/files/hello.txt http://$OTHER/files/archive.tgz <<EOF /all/
	inline
	EOF
EOT
is "$(listing)" 'all d 0755 0:0 0
all/EOF f 0644 0:0 7
all/archive.tgz f 0600 0:0 '"$(stat -c %s "$T/archive")"'
all/hello.txt f 0600 0:0 6
all/local f 0644 0:0 6
d d 0755 0:0 0
d/hello.txt f 0600 0:0 6
d/na\x20me f 0600 0:0 6
etc d 0755 0:0 0
etc/passwd f 0644 0:0 20
mine f 0755 1234:7 6
named f 0600 0:0 6
packed d 0755 0:0 0
packed/archive.tgz f 0600 0:0 '"$(stat -c %s "$T/archive")"'
unpacked d 0755 0:0 0
unpacked/hello.txt f 0644 0:0 6' 'names, modes and owners; sources of all kinds in one ADD'
is "$(oci "$T/out.oci" get '.history[2].created_by')" "ADD http://$WEB/files/hello.txt /named # buildkit" history

build <<-EOT
	FROM scratch
	ADD http://$WEB/files/hello.txt http://$WEB/plain/archive.tgz /t/
EOT
is "$(oci "$T/out.oci" mtimes -1| grep t/.)" 't/archive.tgz 0
t/hello.txt 1614834367' 'the time is Last-Modified, or 1970'
# --- what is asked and fetched

requests >/dev/null
dockerfile() { printf 'FROM scratch\nADD http://%s/%s /f\n' "$WEB" "$1"; }
for kind in files dated tagged; do
	build <<<"$(dockerfile $kind/hello.txt)"
	isnt "$(requests)" '' "$kind: fetched"
	build <<<"$(dockerfile $kind/hello.txt)"
	like "$(requests)" "^HEAD /$kind/hello.txt (304|200)$" "$kind: asked with HEAD"
	unlike "$(cat "$T/.build")" 'ADD.*DONE' "$kind: nothing is done again"
	is "$(grep -c CACHED "$T/.build")" 2 "$kind: source and step are cached"
done
build <<<"$(dockerfile get-only/hello.txt)"
requests >/dev/null
build <<<"$(dockerfile get-only/hello.txt)"
is "$(requests)" 'HEAD /get-only/hello.txt 405
GET /get-only/hello.txt 304' 'without HEAD: GET with If-None-Match'
build <<<"$(dockerfile plain/hello.txt)"
requests >/dev/null
build <<<"$(dockerfile plain/hello.txt)"
is "$(requests)" 'GET /plain/hello.txt 200' 'without validators it is fetched'
is "$(grep -c 'ADD.*' "$T/.build") $(grep -c CACHED "$T/.build")" '1 1' 'the same bytes are a hit all the same'

echo changed | serve hello.txt
build <<<"$(dockerfile files/hello.txt)"
is "$(requests)" 'HEAD /files/hello.txt 200
GET /files/hello.txt 200' 'what changed is fetched'
is "$(oci "$T/out.oci" cat -1 f)" changed 'and is in the image'
echo changed | serve hello.txt 2024-01-01T00:00:00Z
build <<<"$(dockerfile dated/hello.txt)"
is "$(oci "$T/out.oci" mtimes -1| grep f)" 'f 1704067200' 'another Last-Modified alone makes another layer'
echo hello | serve hello.txt

# --- --checksum

requests >/dev/null
checked() { printf 'FROM scratch\nARG sum=%s\nADD --checksum=$sum http://%s/plain/hello.txt /f\n' "$1" "$WEB"; }
build <<<"$(checked "$sum")"
is "$(oci "$T/out.oci" cat -1 f)" hello 'the checksum holds; it may be a variable'
requests >/dev/null
build <<<"$(checked "$sum")"
is "$(requests)" '' 'with a checksum nobody is asked again'
is "$(grep -c CACHED "$T/.build")" 2 'source and step are cached'
bad=sha256:$(printf '%064d' 1)
refused "digest mismatch for http://$WEB/plain/hello.txt: $sum \(expected: $bad\)" <<<"$(checked "$bad")"
refused 'invalid checksum "md5:00" for a URL' <<<"$(checked md5:00)"
refused 'checksum requires HTTP\(S\) or Git sources' <<<$'FROM scratch\nADD --checksum='"$sum"$' local /f'
context "$T/c" <<<$'FROM scratch\nADD --checksum='"$sum"" http://$WEB/a http://$WEB/b /f"
fails_with 1 "checksum can't be specified for multiple sources" rb -o type=cacheonly "$T/c"

# --- refusals

for row in 'status/404|invalid response status 404' 'status/403|invalid response status 403' \
	'status/418|invalid response status 418' 'loop|more than 10 redirects' \
	'huge|announces 1152921504606846976 bytes' 'headers|headers without end'; do
	refused "http://$WEB/${row%%|*}: .*${row#*|}" <<<"$(dockerfile "${row%%|*}")"
done
refused "http://$WEB/half/hello.txt: tried 4 times: " <<<"$(dockerfile half/hello.txt)"
refused 'invalid response status 304' <<<"$(dockerfile status/304)"
is "$(find "$RB_ROOT/tmp" -type f | wc -l)" 0 'half a body is not kept'
refused 'cannot connect to 127.0.0.1:1: Connection refused \(is the server running there\?\)' \
	<<<$'FROM scratch\nADD http://127.0.0.1:1/x /x'
refused 'not a usable URL' <<<$'FROM scratch\nADD http:// /x'
build <<<"$(dockerfile to/files/hello.txt)"
is "$(oci "$T/out.oci" list -1 | cut -d' ' -f1,5)" 'f 6' 'a redirect is followed; the name is that of the first URL'

# A build that waits for a silent server ends when it is asked to.
context "$T/c" <<<"$(dockerfile stall)"
start=$SECONDS
"$RBUILD" --root "$RB_ROOT" -o type=cacheonly "$T/c" >"$T/.stall" 2>&1 &
pid=$!
wait_for 10 grep -q stall "$WEB_LOG"
kill -TERM $pid
wait $pid
is "$? $((SECONDS - start < 10))" '1 1' 'a stalled download is ended by a signal'
is "$(find "$RB_ROOT/tmp" -type f | wc -l)" 0 'what had come of it is removed'
done_testing
