#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Instructions that only describe the image: the config and the history that others read, and what children inherit.
# needs: userns overlay skopeo
# users: range
# images: busybox
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
import_base busybox

# build [OPTION...] < Dockerfile
build() { context "$T/c" && rb build -q -o "type=oci,dest=$T/out.oci" "$@" "$T/c"; }
# field NAME: of the config that skopeo shows, as JSON
field() { skopeo inspect --config --raw "oci-archive:$T/out.oci" | python3 -c '
import json, sys
value = json.load(sys.stdin)
for key in sys.argv[1].split("."):
    value = value.get(key) if value else None
print(json.dumps(value, sort_keys=True))' "$1"; }
history() { skopeo inspect --config --raw "oci-archive:$T/out.oci" | python3 -c '
import json, sys
for h in json.load(sys.stdin)["history"]:
    print(h["created_by"], "" if h.get("empty_layer") else "(layer)")' | grep -v '^import' | sed 's/ $//'; }

works 'everything at once' build -t all -o type=image --label cli=1 --label both=cli <<'EOF'
FROM busybox
MAINTAINER Some One <one@example.com>
ENV A=1 B="two words" C=it\ is
ENV legacy the rest = of the line
LABEL both=file "quoted key"="a b" multi.label1=x \
	multi.label2=y
EXPOSE 8000-8002 53/UDP 80
VOLUME /data /with\ blank
VOLUME ["/json path", "/data"]
RUN mkdir -p /data && echo kept >/data/file
USER 12:34
WORKDIR /a
WORKDIR b/../c
STOPSIGNAL sigusr1
SHELL ["/bin/busybox", "sh", "-c"]
CMD echo "$A"
ENTRYPOINT ["/bin/echo", "$A"]
CMD ["x", "y z"]
HEALTHCHECK --interval=1m30s --timeout=500ms --start-period=1h --start-interval=2s --retries=4 CMD wget -q localhost
EOF
is "$(field author)" '"Some One <one@example.com>"' 'MAINTAINER'
is "$(field config.Env)" '["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "A=1", "B=two words", "C=it is", "legacy=the rest = of the line"]' 'ENV, both forms'
is "$(field config.Labels)" '{"both": "cli", "cli": "1", "multi.label1": "x", "multi.label2": "y", "quoted key": "a b"}' 'LABEL, those of the command line last'
is "$(field config.ExposedPorts)" '{"53/udp": {}, "80/tcp": {}, "8000/tcp": {}, "8001/tcp": {}, "8002/tcp": {}}' 'EXPOSE, ranges and protocols'
is "$(field config.Volumes)" '{"/data": {}, "/json path": {}, "/with": {}, "blank": {}}' 'VOLUME, words and JSON'
is "$(field config.User)" '"12:34"' 'USER'
is "$(field config.WorkingDir)" '"/a/c"' 'WORKDIR, relative to the one before'
is "$(field config.StopSignal)" '"sigusr1"' 'STOPSIGNAL, as written'
is "$(field config.Shell)" '["/bin/busybox", "sh", "-c"]' 'SHELL'
is "$(field config.Entrypoint)" '["/bin/echo", "$A"]' 'ENTRYPOINT is not expanded'
is "$(field config.Cmd)" '["x", "y z"]' 'the last CMD counts'
is "$(field config.ArgsEscaped)" true 'ArgsEscaped'
is "$(field config.Healthcheck)" '{"Interval": 90000000000, "Retries": 4, "StartInterval": 2000000000, "StartPeriod": 3600000000000, "Test": ["CMD-SHELL", "wget -q localhost"], "Timeout": 500000000}' 'HEALTHCHECK, in nanoseconds'
is "$(oci "$T/out.oci" tree | grep -c '^data/file f ')" 1 'what is written into a volume stays'
is "$(oci "$T/out.oci" tree | grep -E '^(a|a/c) ' | cut -d ' ' -f 1-4)" 'a d 0755 12:34
a/c d 0755 12:34' 'directories of WORKDIR belong to USER'
is "$(history | tail -n 17)" "$(
	cat <<'EOF'
MAINTAINER Some One <one@example.com>
ENV A=1 B=two words C=it is
ENV legacy=the rest = of the line
LABEL both=file quoted key=a b multi.label1=x multi.label2=y
EXPOSE [53/udp 80/tcp 8000/tcp 8001/tcp 8002/tcp]
VOLUME [/data /with blank]
VOLUME [/json path /data]
RUN /bin/sh -c mkdir -p /data && echo kept >/data/file # buildkit (layer)
USER 12:34
WORKDIR /a (layer)
WORKDIR /a/c (layer)
STOPSIGNAL sigusr1
SHELL [/bin/busybox sh -c]
CMD ["/bin/busybox" "sh" "-c" "echo \"$A\""]
ENTRYPOINT ["/bin/echo" "$A"]
CMD ["x" "y z"]
HEALTHCHECK {Test:[CMD-SHELL wget -q localhost] Interval:1m30s Timeout:500ms StartPeriod:1h0m0s StartInterval:2s Retries:4}
EOF
)" 'the history, word for word'

works 'a child' build <<<$'FROM all\nENTRYPOINT ["/bin/true"]\nHEALTHCHECK NONE\nEXPOSE 9\nENV A=2\nLABEL both=child'
is "$(field config.Cmd)" null 'a new ENTRYPOINT clears an inherited CMD'
is "$(field config.Healthcheck)" '{"Test": ["NONE"]}' 'NONE stays NONE'
is "$(field config.Env | grep -o 'A=2", "B=two words')" 'A=2", "B=two words' 'a variable keeps its place'
is "$(field config.ExposedPorts | grep -o '"9/tcp"')" '"9/tcp"' 'ports are added'
is "$(field config.Labels | grep -o '"both": "child"')" '"both": "child"' 'labels are replaced'
is "$(field config.User) $(field config.WorkingDir) $(field config.Shell)" '"12:34" "/a/c" ["/bin/busybox", "sh", "-c"]' 'the rest is inherited'
works 'a shell form uses SHELL of the base' build <<<$'FROM all\nCMD a b'
is "$(field config.Cmd)" '["/bin/busybox", "sh", "-c", "a b"]' 'CMD'
works 'ENTRYPOINT after CMD of the same stage' build <<<$'FROM busybox\nCMD ["c"]\nENTRYPOINT e'
is "$(field config.Cmd) $(field config.Entrypoint)" '["c"] ["/bin/sh", "-c", "e"]' 'leaves it'
works 'empty ones' build <<<$'FROM all\nENTRYPOINT []\nCMD []'
is "$(field config.Cmd) $(field config.Entrypoint)" 'null null' 'are none'
works 'variables' build <<<$'FROM busybox\nENV P="80 90/udp" U=me S=9 V=/v\nEXPOSE $P\nUSER $U\nSTOPSIGNAL $S\nVOLUME $V'
is "$(field config.ExposedPorts) $(field config.User) $(field config.StopSignal) $(field config.Volumes)" '{"80/tcp": {}, "90/udp": {}} "me" "9" {"/v": {}}' 'EXPOSE splits, the others do not'
works 'scratch' build <<<$'FROM scratch\nWORKDIR /'
is "$(field config.WorkingDir) $(field rootfs.diff_ids)" '"/" []' 'WORKDIR / is no layer'

# --- a base of somebody else's with all that a config can have
craft <<'EOF' || bail_out 'cannot craft the base'
image("full.oci", [Layer().file("f")], config={
    "User": "5:6", "ExposedPorts": {"1/tcp": {}}, "Env": ["A=1", "B=x=y", "PATH=/p"], "Entrypoint": ["e"], "Cmd": ["c", "d"],
    "Volumes": {"/v": {}}, "WorkingDir": "/w", "Labels": {"l": "1", "m": "2"}, "StopSignal": "SIGINT", "ArgsEscaped": True,
    "Healthcheck": {"Test": ["CMD", "h"], "Interval": 1, "Timeout": 2, "StartPeriod": 3, "StartInterval": 4, "Retries": 5},
    "Shell": ["/s", "-c"], "OnBuild": ["LABEL trigger=$A"], "Unknown": "field"})
EOF
works 'it is loaded' rb load -t full "$T/full.oci"
works 'a child that says nothing' build <<<'FROM full'
is "$(field config)" '{"ArgsEscaped": true, "Cmd": ["c", "d"], "Entrypoint": ["e"], "Env": ["A=1", "B=x=y", "PATH=/p"], "ExposedPorts": {"1/tcp": {}}, "Healthcheck": {"Interval": 1, "Retries": 5, "StartInterval": 4, "StartPeriod": 3, "Test": ["CMD", "h"], "Timeout": 2}, "Labels": {"l": "1", "m": "2", "trigger": "1"}, "Shell": ["/s", "-c"], "StopSignal": "SIGINT", "User": "5:6", "Volumes": {"/v": {}}, "WorkingDir": "/w"}' \
	'has all of it but the triggers, which were run, and what nobody knows'
works 'one that adds' build <<<$'FROM full AS p\nEXPOSE 2\nVOLUME /u\nENV A=2 C=3\nLABEL m=3 n=4\nFROM p\nHEALTHCHECK --retries=1 CMD x\nENTRYPOINT []'
is "$(field config.ExposedPorts) $(field config.Volumes)" '{"1/tcp": {}, "2/tcp": {}} {"/u": {}, "/v": {}}' 'to ports and volumes'
is "$(field config.Env) $(field config.Labels)" '["A=2", "B=x=y", "PATH=/p", "C=3"] {"l": "1", "m": "3", "n": "4", "trigger": "1"}' 'to variables and labels'
is "$(field config.Healthcheck) $(field config.Entrypoint) $(field config.Cmd)" '{"Retries": 1, "Test": ["CMD-SHELL", "x"]} null null' 'and replaces the rest'

fails_with 1 'SHELL requires the arguments to be in JSON form' build <<<$'FROM busybox\nSHELL bash -c'
fails_with 1 'HEALTHCHECK NONE takes no arguments' build <<<$'FROM busybox\nHEALTHCHECK NONE x'
fails_with 1 'Unknown type "FOO" in HEALTHCHECK \(try CMD\)' build <<<$'FROM busybox\nHEALTHCHECK foo'
fails_with 1 'HEALTHCHECK --interval cannot be less than 1ms' build <<<$'FROM busybox\nHEALTHCHECK --interval=1us CMD x'
fails_with 1 'invalid proto: foo' build <<<$'FROM busybox\nEXPOSE 1/foo'
fails_with 1 'VOLUME specified can not be an empty string' build <<<$'FROM busybox\nVOLUME [""]'
done_testing
