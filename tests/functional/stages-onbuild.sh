#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# ONBUILD: triggers of a base image and of a parent stage, what they name in the child build, and their errors.
# needs: userns overlay skopeo
# users: range single
# images: busybox
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
import_base busybox

# --- a base image with triggers, of every kind that names something of the child
context "$T/base" <<'DOCKERFILE'
FROM busybox
ENV FROM_BASE=1
ONBUILD ARG WHO=nobody
ONBUILD WORKDIR /app
ONBUILD COPY --from=tool /made /from-stage
ONBUILD COPY --from=extra /extra /from-image
ONBUILD COPY . .
ONBUILD COPY <<"EOF" /etc/trigger
kept $WHO
EOF
ONBUILD RUN <<END
echo "$WHO in $PWD" >who
END
ONBUILD ENV DONE=$WHO
DOCKERFILE
works 'the base builds' rb build -q -t base -o type=image -o "type=oci,dest=$T/base.oci" "$T/base"
is "$(skopeo inspect --config --raw "oci-archive:$T/base.oci" | python3 -c 'import json,sys; [print(repr(t)) for t in json.load(sys.stdin)["config"]["OnBuild"]]')" \
	"$(
		cat <<'LIST'
'ARG WHO=nobody'
'WORKDIR /app'
'COPY --from=tool /made /from-stage'
'COPY --from=extra /extra /from-image'
'COPY . .'
'COPY <<"EOF" /etc/trigger\nkept $WHO\nEOF'
'RUN <<END\necho "$WHO in $PWD" >who\nEND'
'ENV DONE=$WHO'
LIST
	)" 'skopeo reads the triggers, with their heredocs'
unlike "$(oci "$T/base.oci" get .history)" ONBUILD 'they leave no history'
context "$T/extra" <<<$'FROM scratch\nCOPY <<extra /\nsomething\nextra'
works 'an image that a trigger names' rb build -q -t extra "$T/extra"

context "$T/child" <<'EOF'
FROM busybox AS deep
RUN echo made >/made
FROM busybox AS unused
RUN false
FROM deep AS tool
FROM base AS app
RUN cat who && test "$DONE" = me
EOF
touch "$T/child/file"
works 'the child builds' rb build --progress=plain --build-arg WHO=me --target app -t child -o type=image -o "type=oci,dest=$T/child.oci" "$T/child"
like "$err" '\[app 2/8\] ONBUILD WORKDIR /app' 'steps of triggers say so'
like "$err" '\[app 7/8\] ONBUILD RUN <<END \(echo "\$?' 'and have their place in the count'
like "$err" 'me in /app$' 'arguments of this build count'
unlike "$err" 'RUN false' 'a stage that nothing names is skipped'
is "$(oci "$T/child.oci" get .config.OnBuild)" null 'the child has no triggers'
like "$(oci "$T/child.oci" get .config.Env)" '"DONE=me"' 'ENV of a trigger is in its config'
is "$(oci "$T/child.oci" cat -3 etc/trigger)" 'kept $WHO' 'quoted heredoc'
is "$(rb run child cat /from-stage /from-image /app/who)" $'made\nsomething\nme in /app' 'files of stage, image and RUN'

works 'again' rb build --progress=plain --build-arg WHO=me --target app "$T/child"
is "$(step_states <<<"$err" | grep '\[app' | cut -d ' ' -f 1 | sort -u)" CACHED 'all is cached'

context "$T/grandchild" <<<$'FROM child\nRUN echo more'
works 'a grandchild runs no triggers' rb build --progress=plain "$T/grandchild"
unlike "$err" 'ONBUILD' 'none at all'

# --- a parent stage's
context "$T/parent" <<'EOF'
FROM busybox AS parent
ONBUILD RUN echo trigger >>/log
RUN echo parent >>/log
FROM parent AS one
RUN echo one >>/log
FROM one
RUN cat /log
EOF
works 'triggers of a parent stage' rb build --progress=plain "$T/parent"
is "$(sed -n 's/^#[0-9]* [0-9.]* //p' <<<"$err")" $'parent\ntrigger\none' 'run in the child stage, before its own, and once'
works 'plan tells what will be needed' rb plan --target app "$T/child"
like "$out" 'ONBUILD COPY --from=tool .*<- stage tool' 'and where from'
like "$out" '^unused: skipped' 'and what not'

# --- mounts and named contexts
context "$T/mounting" <<'DOCKERFILE'
FROM busybox
ONBUILD RUN --mount=type=bind,from=tool,target=/t --mount=type=bind,from=extra,target=/x cat /t/made /x/extra
ONBUILD COPY --from=files f /f
ONBUILD RUN cat /f
DOCKERFILE
works 'a base whose triggers mount' rb build -q -t mounting "$T/mounting"
mkdir "$T/files" && echo 'from a directory' >"$T/files/f"
context "$T/mounted" <<<$'FROM busybox AS unused\nRUN false\nFROM busybox AS tool\nRUN echo tooled >/made\nFROM mounting'
works 'mounts of stages and images' rb build --progress=plain --build-context "files=$T/files" -o type=cacheonly "$T/mounted"
is "$(sed -n 's/^#[0-9]* [0-9.]* //p' <<<"$err")" $'tooled\nsomething\nfrom a directory' 'and files of a named context'
works 'several platforms' rb build --progress=plain --platform linux/amd64,linux/s390x -o type=cacheonly - <<<$'FROM scratch AS up\nONBUILD COPY <<f /\nf\nFROM up'
is "$(grep -c 'ONBUILD COPY <<f /' <<<"$err")" 2 'have triggers on each'

# --- errors
# refused_trigger WHAT REGEX
refused_trigger() {
	context "$T/bad" <<<$'FROM busybox AS up\nONBUILD '"$1"$'\n\nFROM up AS down\nRUN x\nFROM busybox AS later'
	fails_with 1 "$2" rb build --target down "$T/bad"
	like "$err" '>>> FROM up AS down' 'at the FROM line'
}
refused_trigger 'COPY --from=later /a /a' 'cannot copy from stage "later", it needs to be defined before current stage "down"'
refused_trigger 'COPY --from=down /a /a' 'circular dependency detected on stage: down'
refused_trigger 'COPY --from=7 /a /a' 'invalid stage index 7'
context "$T/bad" <<<$'FROM busybox\nONBUILD ONBUILD RUN x'
fails_with 1 'Chaining ONBUILD via `ONBUILD ONBUILD` isn.t allowed' rb build "$T/bad"
context "$T/bad" <<<$'FROM busybox\nONBUILD FROM x'
fails_with 1 'FROM isn.t allowed as an ONBUILD trigger' rb build "$T/bad"

done_testing
