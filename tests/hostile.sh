# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# What tests of threats share, on top of lib.sh: a canary outside of every root, and evil images.

# The canary's directory, its text, and what both look like before anything hostile has run.
CANARY=$T/canary
CANARY_TEXT=the-canary-sings-$RANDOM$RANDOM
mkdir -m 755 "$CANARY" "$CANARY/dir"
echo "$CANARY_TEXT" >"$CANARY/secret"
echo inner >"$CANARY/dir/file"
chmod 640 "$CANARY/secret"
touch -d '2001-01-01 UTC' "$CANARY/dir/file" "$CANARY/secret" "$CANARY/dir" "$CANARY"
export CANARY
canary_state() { (cd "$CANARY" && find . -printf '%p %y %m %n %s %T@ %C@ %U:%G\n' | sort && cat secret dir/file); }
canary_before=$(canary_state)

# canary_safe NAME: nothing of the canary changed
canary_safe() { is "$(canary_state)" "$canary_before" "$1: the canary is as it was"; }

# inside COMMAND...: as root of the namespace that owns the store's trees
inside() {
	if [ "$RB_TEST_RUNG" = range ]; then unshare -U --map-root-user --map-auto "$@"; else "$@"; fi
}

# not_disclosed NAME FILE...: the canary's text is in none of the files, whatever they are packed in
not_disclosed() {
	local name=$1 file found=''
	shift
	for file; do
		if [ -d "$file" ]; then
			inside grep -rqF "$CANARY_TEXT" "$file" && found+=" $file"
		elif [ -e "$file" ]; then
			python3 - "$file" "$CANARY_TEXT" "$RB_TEST_SRC/tests" <<-'EOT' || found+=" $file"
				import sys
				sys.dont_write_bytecode = True
				sys.path.insert(0, sys.argv[3])
				from oci import Image
				text = sys.argv[2].encode()
				image = Image(sys.argv[1])
				pieces = [image.read(name) for name in image.files]
				pieces += [image.layer(i) for i in range(len(image.manifest["layers"]))]
				sys.exit(any(text in piece for piece in pieces))
			EOT
		fi
	done
	is "$found" '' "$name: nothing of the canary is disclosed"
}

# evil NAME [STEP...]: loads $T/NAME.oci and builds the steps on it into $T/out.oci; the exit status of
# whichever failed. Messages are in $err, the largest memory of a process, in kB, is in $peak.
# shellcheck disable=SC2034 # peak is for the tests
evil() {
	local name=$1 status
	shift
	rm -rf "$T/out.oci"
	{ echo "FROM $name" && printf '%s\n' "$@"; } | context "$T/evil-$name"
	run_command /usr/bin/time -q -o "$T/.peak" -f %M timeout 60 "$RBUILD" --root "$RB_ROOT" load -t "$name" "$T/$name.oci"
	status=$?
	peak=$(cat "$T/.peak")
	[ $status = 0 ] || return $status
	run_command /usr/bin/time -q -o "$T/.peak" -f %M timeout 60 "$RBUILD" --root "$RB_ROOT" \
		-o "type=oci,dest=$T/out.oci" "$T/evil-$name"
	status=$?
	[ "$(cat "$T/.peak")" -le "$peak" ] || peak=$(cat "$T/.peak")
	return $status
}

# evil_works NAME [STEP...]
# shellcheck disable=SC2154 # err is lib.sh's
evil_works() {
	if evil "$@"; then ok "$1: builds"; else not_ok "$1: builds" "$err"; fi
}

# evil_fails NAME REGEX: refused with exit status 1 and one line of rbuild that matches
evil_fails() {
	local status
	evil "$1" 'RUN true'
	status=$?
	if [ $status = 1 ] && [ "$(grep -c '^rbuild: ' <<<"$err")" = 1 ] && grep -Eq "^rbuild: .*$2" <<<"$err"; then
		ok "$1: refused with \"$2\""
	else
		not_ok "$1: refused with \"$2\"" "exit status $status" "$err"
	fi
}
