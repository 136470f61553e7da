#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# S12 and S45: files put into a directory stay in it, whatever links the image or somebody else puts in
# the way, and lose what would let others run as the caller. With it: what type=local writes at all.
# users: range single
# needs: userns overlay setfattr getfattr
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/hostile.sh
. "$RB_TEST_SRC/tests/hostile.sh"

base=$(base_image busybox) || bail_out 'no base image'
export base
craft <<-'EOT' || bail_out 'cannot craft the images'
	canary = os.environ["CANARY"]
	layer = Layer().symlink("x", canary).symlink("secret", canary + "/secret").symlink("rel", "../" * 40 + canary[1:])
	layer.directory("dir", 0o2775, uid=5, gid=8).file("dir/f", b"f", mode=0o640, uid=5, gid=42, xattrs={"user.kept": b"k"})
	layer.hardlink("dir/twin", "dir/f").file("suid", b"s", mode=0o4755).file("sgid", b"s", mode=0o2755, uid=7)
	layer.file("caps", b"c", mode=0o755,
	           xattrs={"security.capability": bytes.fromhex("0100000200040000000000000000000000000000")})
	layer.char("null", 1, 3).fifo("fifo").directory("sticky", 0o1777).directory("closed", 0o500).file("closed/f", b"in")
	layer.file(b"bad\xff", b"b").symlink("dangling", "no/where").file("hole", bytes(1 << 20) + b"end")
	image("tree.oci", [layer])
EOT
works 'load' rb load -t tree "$T/tree.oci"
context "$T/c" <<<$'FROM tree\nCOPY Dockerfile /dir/copied'
works 'type=local' rb -o "type=local,dest=$T/out" "$T/c"
message=$err
is "$(tree_list "$T/out" | sed "s/ $(id -u):$(id -g) / me /")" "$(
	cat <<-EOT
		. d 0755 me 0 1
		bad\\xff f 0644 me 1 1
		caps f 0755 me 1 1
		closed d 0500 me 0 1
		closed/f f 0644 me 2 1
		dangling l 0777 me 0 1 -> no/where
		dir d 0775 me 0 1
		dir/copied f 0644 me 38 1
		dir/f f 0640 me 1 2
		dir/twin f 0640 me 1 2
		fifo p 0644 me 0 1
		hole f 0644 me 1048579 1
		rel l 0777 me 0 1 -> $(printf '../%.0s' $(seq 40))${CANARY#/}
		secret l 0777 me 0 1 -> $CANARY/secret
		sgid f 0755 me 1 1
		sticky d 1777 me 0 1
		suid f 0755 me 1 1
		x l 0777 me 0 1 -> $CANARY
	EOT
)" 'plain files of the caller; no set-id bits, no devices'
is "$(getfattr -h -d -m - --absolute-names "$T/out/caps" "$T/out/dir/f" | grep '=')" 'user.kept="k"' \
	'no capabilities, ordinary attributes'
like "$message" 'keep-special=true' 'a notice says so'
is "$(grep -c 'keep-special' <<<"$message")" 1 'once'
like "$message" 'device' 'and that devices are left out'
is "$(stat -c %Y "$T/out/dir/f")" 1700000000 'times are kept'
works 'holes are kept' [ "$(stat -c %b "$T/out/hole")" -lt 64 ]
works 'with keep-special' rb -o "type=local,dest=$T/special,keep-special=true" "$T/c"
is "$(stat -c '%a %n' "$T"/special/{suid,sgid,dir} | sed "s|$T/special/||")" "$(printf '%s\n' '4755 suid' '2755 sgid' '2775 dir')" \
	'the bits are kept'

# Again over it, and over what somebody else has put there
works 'a second time over the first' rb -o "type=local,dest=$T/out" "$T/c"
canary_safe 'a second time'
mkdir -p "$T/planted"
for name in dir closed sticky; do ln -s "$CANARY" "$T/planted/$name"; done
for name in suid hole caps; do ln -s "$CANARY/secret" "$T/planted/$name"; done
ln "$CANARY/dir/file" "$T/planted/sgid"
works 'over planted links' rb -o "type=local,dest=$T/planted" "$T/c"
is "$(cat "$CANARY/secret" "$CANARY/dir/file"; ls "$CANARY" "$CANARY/dir")" "$(printf '%s\n' "$CANARY_TEXT" inner "$CANARY:" dir secret '' "$CANARY/dir:" file)" \
	'over planted links: the canary is as it was'
is "$(cat "$T/planted/suid" "$T/planted/sgid" "$T/planted/closed/f")" ssin 'over planted links: they are replaced'
ln -s "$T/elsewhere" "$T/through"
mkdir "$T/elsewhere"
works 'a destination that is a link is the caller'"'"'s choice' rb -o "type=local,dest=$T/through" "$T/c"
is "$(cat "$T/elsewhere/dir/f")" f 'and is followed'

# Somebody swaps a directory for a link all the time
mkdir -p "$T/race"
(
	end=$((SECONDS + 20))
	while [ $SECONDS -lt $end ] && [ ! -e "$T/stop" ]; do
		mv "$T/race/dir" "$T/race/old" && ln -s "$CANARY" "$T/race/dir"
		rm -rf "$T/race/dir" "$T/race/old"
	done
) 2>/dev/null &
racer=$!
stop_later $racer
for _ in $(seq 15); do rb -o "type=local,dest=$T/race" "$T/c" >"$T/.race" 2>&1; done
touch "$T/stop"
wait $racer
is "$(ls "$CANARY" "$CANARY/dir"; cat "$CANARY/secret")" "$(printf '%s\n' "$CANARY:" dir secret '' "$CANARY/dir:" file "$CANARY_TEXT")" \
	'a destination that changes meanwhile: nothing leaves it'

touch "$T/file"
fails_with 1 '^rbuild: .*/file' rb -o "type=local,dest=$T/file" "$T/c"
# S45: nobody else reaches unpacked trees
is "$(find "$RB_ROOT" -maxdepth 0 -perm /077)" '' 'the store is closed for others'
chmod -R u+rwX "$T/out" "$T/special" "$T/planted" "$T/elsewhere" "$T/race" 2>/dev/null
done_testing
