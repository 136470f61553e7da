#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# rbuild check and build --call: what they say of a Dockerfile, as text and as JSON, and that they run
# and fetch nothing. tests/unit/test_lint.c has every rule; here is what users and scripts see.
# users: range single
. "$(dirname "$0")/../lib.sh"

base_image busybox >/dev/null
import_base busybox
url=https://docs.docker.com/go/dockerfile/rule

# json EXPRESSION: of the document j in $out, by python
json() {
	python3 -c 'import json, sys; j = json.loads(sys.argv[1]); print(eval(sys.argv[2]))' "$out" "$1"
}

# --- text

context "$T/c" <<'EOT'
FROM busybox as build
run echo \
   a

ENV name value
CMD echo hello
EOT
run_command rb check "$T/c"
is $? 1 "a warning is exit status 1"
is "$out" "Check complete, 4 warnings have been found!

WARNING: FromAsCasing - $url/from-as-casing/
'as' and 'FROM' keywords' casing do not match
Dockerfile:1
--------------------
   1 | >>> FROM busybox as build
   2 |     run echo \\
   3 |        a
--------------------
Instead: write FROM ... AS build.

WARNING: ConsistentInstructionCasing - $url/consistent-instruction-casing/
Command 'run' should match the case of the command majority (uppercase)
Dockerfile:2
--------------------
   1 |     FROM busybox as build
   2 | >>> run echo \\
   3 | >>>    a
   4 |     
--------------------
Instead: write RUN.

WARNING: LegacyKeyValueFormat - $url/legacy-key-value-format/
\"ENV key=value\" should be used instead of legacy \"ENV key value\" format
Dockerfile:5
--------------------
   3 |        a
   4 |     
   5 | >>> ENV name value
   6 |     CMD echo hello
--------------------
Instead: write ENV name=\"...\".

WARNING: JSONArgsRecommended - $url/json-args-recommended/
JSON arguments recommended for CMD to prevent surprises with OS signals
Dockerfile:6
--------------------
   4 |     
   5 |     ENV name value
   6 | >>> CMD echo hello
--------------------
Instead: write CMD [\"program\", \"argument\"], or set SHELL if a shell is meant." "the text of warnings"
is "$err" "" "nothing on the standard error"
run_command rb build --check "$T/c"
is "$? $(grep -c ^WARNING: <<<"$out")" "1 4" "build --check is the same"

context "$T/c" <<<$'FROM busybox\nENV a=$PATH\nCMD ["x"]'
works "a file without findings" rb check "$T/c"
is "$out" "Check complete, no warnings found." "... is said to be one"
context "$T/c" <<<$'FROM busybox\nENTRYPOINT ["x"] # why'
run_command rb check "$T/c"
like "$out" 'not JSON .* double quotes, commas between them and nothing behind the \]' 'a comment behind JSON is named'
context "$T/c" <<<$'FROM busybox\nMAINTAINER me'
run_command rb check "$T/c"
is "$(head -n 1 <<<"$out")" "Check complete, 1 warning has been found!" "one warning"

# --- JSON

context "$T/c" <<'EOT'
FROM busybox
RUN touch /ran \
    && exit 1
MAINTAINER "me"
EXPOSE 80/TCP
EOT
run_command rb build --call=check,format=json "$T/c"
is $? 1 "JSON: a warning is exit status 1"
is "$(json '[w["ruleName"] for w in j["warnings"]]')" "['MaintainerDeprecated', 'ExposeProtoCasing']" "names of the rules"
is "$(json 'sorted(j["warnings"][0])')" "['description', 'detail', 'location', 'ruleName', 'url']" "keys of a warning"
is "$(json 'j["warnings"][0]["location"]')" \
	"{'sourceIndex': 0, 'ranges': [{'start': {'line': 4, 'character': 0}, 'end': {'line': 4, 'character': 0}}]}" "location"
is "$(json 'j["warnings"][1]["detail"]')" "Defined protocol '80/TCP' in EXPOSE instruction should be lowercase" "detail"
is "$(json 'sorted(j["sources"][0])')" "['data', 'definition', 'filename', 'language']" "keys of a source"
is "$(json '__import__("base64").b64decode(j["sources"][0]["data"]).decode()')" "$(cat "$T/c/Dockerfile")" "the Dockerfile is in it"
is "$(json '"buildError" in j')" False "no error, no buildError"
run_command rb check --format json "$T/c"
is "$(json 'len(j["warnings"])')" 2 "check --format json is the same"

context "$T/c" <<<$'FROM busybox as x\nCOPY --fron=x a b'
run_command rb check --format=json "$T/c"
is "$? $(json 'j["buildError"]["message"]')" \
	"1 dockerfile parse error on line 2: unknown flag: --fron (did you mean --from?)" "an error is in the JSON"
is "$(json 'j["buildError"]["location"]["ranges"][0]["start"]["line"]')" 2 "... with its line"
fails_with 1 '^rbuild: Dockerfile:2: dockerfile parse error on line 2: unknown flag: --fron' rb check "$T/c"
context "$T/c" <<<$'FROM busybox as x\nCOPY --from=y a b\nFROM busybox AS y'
run_command rb check "$T/c"
like "$out" "^WARNING: FromAsCasing" "an error in planning: what was found before is said"
like "$err" "^rbuild: Dockerfile:2: cannot copy from stage \"y\"" "... and so is the error"

# --- what is looked at

context "$T/c" <<'EOT'
FROM busybox AS one
WORKDIR one
FROM not.there/image AS two
ENV a=$nothing
FROM busybox
COPY --from=not.there/files /f /f
RUN --mount=from=not.there/tools,target=/t x
CMD ["x"]
EOT
run_command rb check "$T/c"
is "$? $(grep ^WARNING: <<<"$out")" "1 WARNING: WorkdirRelativePath - $url/workdir-relative-path/" "all stages are looked at"
like "$err" "the image not.there/image:latest for linux/[a-z0-9]+ is not in the store" "an unknown base image is said"
works "a target: what it is not made from is not looked at" rb check --target 2 "$T/c"
is "$err" "" "... and needs no image, nor does one whose files alone are taken"
printf 'node_modules\n*.log\n' >"$T/c/.dockerignore"
context "$T/c" <<<$'FROM busybox\nCOPY node_modules /m\nCOPY x.log /x'
run_command rb check "$T/c"
is "$(grep '^Attempting' <<<"$out")" 'Attempting to Copy file "node_modules" that is excluded by .dockerignore
Attempting to Copy file "x.log" that is excluded by .dockerignore' "ignored sources"
echo '!x.log' >>"$T/c/.dockerignore"
works "an ignore file with exceptions is not judged" rb check "$T/c"
rm "$T/c/.dockerignore"
"$RBUILD" --root "$T/none" check "$T/c" >/dev/null 2>&1
works "check asks nobody what the images are" env -i HOME=/nonexistent PATH="$PATH" "$RBUILD" --root /proc/none check "$T/c"
like "$err" "the image busybox:latest .* is not in the store" "... also where there can be no store"
run_command rb check - <<<$'FROM busybox\nMAINTAINER me'
is "$? $(grep ^WARNING: <<<"$out")" "1 WARNING: MaintainerDeprecated - $url/maintainer-deprecated/" "a Dockerfile on standard input"
run_command rb check --format json - < <(tar -C "$T/c" -c .)
is "$? $(json '[w["ruleName"] for w in j["warnings"]]')" "0 []" "an archive on standard input"
context "$T/c" <<<$'FROM lib\nCOPY --from=lib /a /b\nENV x=$y'
run_command rb check --build-context "lib=$T/c" "$T/c"
is "$? $(grep ^WARNING: <<<"$out") $err" "1 WARNING: UndefinedVar - $url/undefined-var/ " "a named context is no unknown image"
rm "$T/c/Dockerfile"
fails_with 1 '^rbuild: failed to read dockerfile' rb check "$T/c"
fails_with 1 '^rbuild: unable to prepare context' rb check "$T/missing"
fails_with 2 '^rbuild: --format is text or json, not "xml"' rb check --format xml "$T/c"
fails_with 2 '^rbuild: --call is build, check, outline, targets or subrequests.describe, not "chek" \(did you mean check\?\)' \
	rb build --call=chek "$T/c"
fails_with 2 '^rbuild: --call=check takes format=text or format=json, not "format=yaml"' rb build --call=check,format=yaml "$T/c"
fails_with 2 '^rbuild: --check and --call=outline exclude each other' rb build --check --call=outline "$T/c"
fails_with 2 '^rbuild: plan answers a question of its own: leave out --check' rb plan --check "$T/c"

# --- a build says it too

context "$T/c" <<<$'FROM busybox\nMAINTAINER me\nENV a=$b\nRUN :'
works "warnings do not fail a build" rb build --progress=plain "$T/c"
like "$err" '^#[0-9]+ WARN: MaintainerDeprecated: Maintainer instruction is deprecated in favor of using label \(line 2\)$' "WARN lines: text"
like "$err" "^#[0-9]+ WARN: UndefinedVar: Usage of undefined variable '\\\$b' \(line 3\)\$" "WARN lines: values"
works "a skipped rule" rb build --progress=plain --build-arg BUILDKIT_DOCKERFILE_CHECK=skip=all "$T/c"
unlike "$err" WARN "... says nothing"
context "$T/c" <<<$'# check=error=true;skip=MaintainerDeprecated\nFROM busybox\nMAINTAINER me\nENV a=$b\nRUN touch /ran && exit 3'
fails_with 1 '^rbuild: Dockerfile:4: lint violation found for rules: UndefinedVar$' rb build --progress=plain "$T/c"
unlike "$err" '\[2/2\] RUN' "nothing was run"
like "$err" '^   4 \| >>> ENV a=\$b$' "the place is shown"
fails_with 1 '^rbuild: Dockerfile:4: lint violation found for rules: UndefinedVar$' rb check "$T/c"
context "$T/c" <<<$'FROM busybox\n# check=skip=MaintainerDeprecated\nMAINTAINER me\nRUN :'
works "a comment above an instruction" rb check "$T/c"
context "$T/c" <<<$'# check=skip=NoSuchRule\nFROM busybox'
works "a rule that does not exist" rb check "$T/c"
like "$err" 'check= names the rule NoSuchRule, which does not exist' "... is named"
context "$T/c" <<<$'# check=skp=all\nFROM busybox'
fails_with 1 '^rbuild: Dockerfile:1: invalid check option "skp=all"' rb build "$T/c"

# --- outline and targets

context "$T/c" <<'EOT'
# VERSION is what is built
ARG VERSION=1.${MINOR}
ARG UNUSED=1
ARG IMAGE=busybox
# Base has the tools
# and more
FROM ${IMAGE} AS Base
ARG JOBS=4 EXTRA
FROM base AS build
ARG VERSION
RUN make
FROM scratch AS other
ARG NEVER
RUN never
# something else
FROM scratch
ARG DEST
ARG LAST=x
COPY --from=build /x /$DEST/
EOT
works "outline" rb build --call=outline "$T/c"
is "$out" "BUILD ARG    VALUE      DESCRIPTION
VERSION      1.         is what is built
IMAGE        busybox
JOBS         4
EXTRA
DEST" "arguments that the target uses"
works "outline of another target" rb build --call=outline --target BASE --build-arg IMAGE=debian "$T/c"
is "$out" "TARGET:         base
DESCRIPTION:    has the tools

BUILD ARG    VALUE     DESCRIPTION
IMAGE        debian" "its name, description, value"
works "outline as JSON" rb build --print=outline,format=json "$T/c"
is "$(json '[(a["name"], a.get("value"), a["location"]["ranges"][0]["start"]["line"]) for a in j["args"]]')" \
	"[('VERSION', '1.', 2), ('IMAGE', 'busybox', 4), ('JOBS', '4', 8), ('EXTRA', None, 8), ('DEST', None, 17)]" "its arguments"
is "$(json 'sorted(j)')" "['args', 'cache', 'secrets', 'sources', 'ssh']" "its keys"
context "$T/m" <<'EOT'
FROM busybox AS deps
ARG ID=npm
RUN --mount=type=secret,id=$ID,required --mount=type=cache,target=/cache true
RUN --mount=type=secret,id=other,env=OTHER --mount=type=secret,id=npm --mount=type=ssh true
FROM busybox AS unused
RUN --mount=type=secret,id=never true
FROM scratch
COPY --from=deps / /
EOT
works "outline of mounts" rb build --call=outline "$T/m"
is "$out" "BUILD ARG    VALUE    DESCRIPTION
ID           npm

SECRET    REQUIRED
npm       true
other

SSH        REQUIRED
default" "secrets and agents of the target's stages"
works "outline of mounts as JSON" rb build --call=outline,format=json "$T/m"
is "$(json '[(s["name"], s["required"]) for s in j["secrets"]]')" "[('npm', True), ('other', False)]" "secrets"
is "$(json '[(s["id"], s["location"]["ranges"][0]["start"]["line"]) for s in j["cache"]]')" "[('/cache', 3)]" "cache mounts"
works "targets" rb build --call=targets "$T/c"
is "$out" "TARGET         DESCRIPTION
base           has the tools
build
other
3 (default)" "targets as text"
works "targets as JSON" rb build --call=targets,format=json "$T/c"
is "$(json '[(t.get("name"), t.get("default"), t.get("description"), t["base"]) for t in j["targets"]]')" \
	"[('base', None, 'has the tools', '\${IMAGE}'), ('build', None, None, 'base'), ('other', None, None, 'scratch'), (None, True, None, 'scratch')]" \
	"targets as JSON"
works "subrequests.describe" rb build --call=subrequests.describe "$T/c"
like "$out" '^frontend.outline +1.0.0 ' "lists what there is"
done_testing
