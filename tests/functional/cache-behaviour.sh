#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What the cache answers, and what it must not: issue "Cache", dockerfile.md 6.
# needs: userns overlay
# users: range single
. "$(dirname "$0")/../lib.sh"

base_image busybox >/dev/null
import_base busybox

# build CONTEXT [OPTION...]: succeeds; its progress is in $err, its image ID in $id. Then $ran has
# the steps that were executed, $cached those that were not, without their numbers.
build() {
	local context=$1
	shift
	run_command rb --progress=plain --iidfile "$T/iid" "$@" "$context" ||
		bail_out "build of $context: $err"
	id=$(cat "$T/iid")
	ran=$(step_states <<<"$err" | sed -nE 's/^DONE \[[^]]*\] (RUN|COPY|ADD|WORKDIR)/\1/p')
	cached=$(step_states <<<"$err" | sed -nE 's/^CACHED \[[^]]*\] (RUN|COPY|ADD|WORKDIR)/\1/p')
}

# --- a second build, changes of the context

context "$T/c" <<'EOT'
FROM busybox
RUN echo first >/first
COPY src /src
RUN cat /src/a >/second
COPY other /other
RUN echo third >/third
EOT
mkdir "$T/c/src"
echo aaaa >"$T/c/src/a"
echo oooo >"$T/c/other"
touch -d '2020-01-01' "$T/c/src/a"
all=$'RUN echo first >/first\nCOPY src /src\nRUN cat /src/a >/second\nCOPY other /other\nRUN echo third >/third'
after_src=$(tail -n +2 <<<"$all")
after_other=$(tail -n +4 <<<"$all")

build "$T/c"
is "$ran" "$all" "the first build runs every step"
first_id=$id
like "$id" '^sha256:[0-9a-f]{64}$' "--iidfile has the image ID"

build "$T/c"
is "$ran" "" "the second build runs nothing"
is "$cached" "$all" "all its steps are cached"
is "$id" "$first_id" "it gives the same image ID"
unlike "$err" '^#[0-9]+ [0-9]+\.[0-9]{3} ' "and no step says anything"

touch "$T/c/src/a" "$T/c/src" "$T/c/Dockerfile"
build "$T/c"
is "$ran" "" "touching files changes nothing"
is "$id" "$first_id" "nor does it change the image"

cp -a "$T/c/src/a" "$T/c/src/a.new" && mv "$T/c/src/a.new" "$T/c/src/a"
build "$T/c"
is "$ran" "" "another inode with the same bytes changes nothing"

cp -a "$T/c" "$T/copied"
build "$T/copied"
is "$ran" "" "a copy of the context elsewhere hits the same cache"

echo unmatched >"$T/c/not-copied"
build "$T/c"
is "$ran" "" "a file that no COPY takes changes nothing"

echo pppp >"$T/c/other"
build "$T/c"
is "$ran" "$after_other" "a changed file runs its COPY and what follows, not what precedes"
is "$cached" "$(head -n 3 <<<"$all")" "what precedes is cached"

sleep 0.05
touch -r "$T/c/src/a" "$T/stamp"
echo bbbb >"$T/c/src/a"
touch -r "$T/stamp" "$T/c/src/a"
build "$T/c" -t same-size
is "$ran" "$after_src" "a changed byte is noticed with the same size and mtime"
works "the new bytes are in the image" rb run same-size cat /second
is "$out" "bbbb" "and are the ones of the context"

# In place, at once after a build, without the size or the mtime telling
for i in 1 2 3; do
	echo "ccc$i" | dd of="$T/c/src/a" conv=notrunc status=none
	touch -r "$T/stamp" "$T/c/src/a"
	build "$T/c"
	is "$ran" "$after_src" "a file changed in place right after a build is noticed ($i)"
done

chmod 600 "$T/c/src/a"
build "$T/c"
is "$ran" "$after_src" "chmod is a change"
mv "$T/c/src/a" "$T/c/src/b" && cp -a "$T/c/src/b" "$T/c/src/a"
build "$T/c"
is "$ran" "$after_src" "a further file in a copied directory is a change"
rm "$T/c/src/b"
build "$T/c"
is "$ran" "" "removing it again leads back to the earlier result"

# --- --no-cache

build "$T/c" --no-cache
is "$ran" "$all" "--no-cache runs every step again"
build "$T/c"
is "$ran" "" "and what it made serves the next build"

# --- --no-cache-filter

context "$T/filter" <<'EOT'
FROM busybox AS One
WORKDIR /w
RUN echo one >/one
FROM busybox AS two
RUN echo two >/two
FROM busybox
COPY --from=one /one /
COPY --from=two /two /
RUN echo last >/last
EOT
build "$T/filter"
build "$T/filter" --no-cache-filter ONE
is "$ran" 'RUN echo one >/one' "--no-cache-filter runs the steps of the stage again, but no WORKDIR, and nothing that takes the same files"
build "$T/filter" --no-cache-filter one,two
is "$(grep -c '^RUN' <<<"$ran")" 2 "of two stages, with a comma"
build "$T/filter" --no-cache-filter one --no-cache-filter two
is "$(grep -c '^RUN' <<<"$ran")" 2 "or given twice"
build "$T/filter" --no-cache-filter tow
is "$ran" '' "an unknown stage changes nothing"
like "$err" 'no stage has the name "tow" \(did you mean two\?\)' "and is told"

# --- the Dockerfile: ARG, ENV, LABEL

context "$T/arg" <<'EOT'
FROM busybox
ARG V=1
ARG UNUSED
RUN echo before
RUN echo $V >/v
EOT
build "$T/arg"
build "$T/arg" --build-arg V=1
is "$ran" "" "the default of an ARG given as --build-arg is the same"
build "$T/arg" --build-arg V=2
is "$ran" $'RUN echo before\nRUN echo 2 >/v' "another value of an ARG runs the RUNs behind it"
build "$T/arg"
is "$ran" "" "the earlier value is still cached"

context "$T/late" <<'EOT'
FROM busybox
RUN echo before
ARG V=1
RUN echo $V >/v
EOT
build "$T/late"
build "$T/late" --build-arg V=2
is "$ran" 'RUN echo 2 >/v' "a RUN before the ARG does not see it"

context "$T/env" <<'EOT'
FROM busybox
LABEL l=1
ENV E=1
COPY f /f
RUN echo $E >/e
EOT
echo f >"$T/env/f"
build "$T/env"
env_id=$id
sed -i s/l=1/l=2/ "$T/env/Dockerfile"
build "$T/env"
is "$ran" "" "LABEL runs nothing again"
isnt "$id" "$env_id" "but changes the image"
sed -i s/E=1/E=2/ "$T/env/Dockerfile"
build "$T/env"
is "$ran" 'RUN echo 2 >/e' "ENV runs the RUNs behind it, not a COPY that does not use it"
sed -i '/^LABEL/d; $aLABEL l=3' "$T/env/Dockerfile"
build "$T/env"
is "$ran" "" "LABEL moved to the end runs nothing"

# --- what a step borrows, and how it is asked for

context "$T/borrow" <<'EOT'
FROM busybox
ENV A=1 B=2
RUN --mount=type=secret,id=s cat /run/secrets/s | wc -c >/n; echo borrowed
EOT
echo one >"$T/secret-1"
echo another >"$T/secret-2"
build "$T/borrow" --secret "id=s,src=$T/secret-1"
build "$T/borrow" --secret "id=s,src=$T/secret-2"
is "$ran" "" "another value of a secret runs nothing"
A_SECRET=x build "$T/borrow" --secret id=s,env=A_SECRET
is "$ran" "" "nor does one from a variable"
build "$T/borrow"
is "$ran" "" "nor none at all, where none is required"
sed -i s/id=s/id=t/ "$T/borrow/Dockerfile" && sed -i s,secrets/s,secrets/t, "$T/borrow/Dockerfile"
build "$T/borrow" --secret "id=t,src=$T/secret-1"
like "$ran" borrowed "its id is in the key"
sed -i 's/A=1 B=2/B=2 A=1/' "$T/borrow/Dockerfile"
build "$T/borrow" --secret "id=t,src=$T/secret-1"
like "$ran" borrowed "so is the order of the environment"
sed -i 's/ENV B=2 A=1/ENV B=2\n\n# note\nENV A=1/; s/^RUN  */run   /' "$T/borrow/Dockerfile"
build "$T/borrow"
is "$ran" "" "comments, blanks, case and how it is divided are not"
build "$T/borrow" --network none
like "$ran" borrowed "the network mode is"

# --- stages: what copies from a rebuilt stage

context "$T/stages" <<'EOT'
FROM busybox AS gen
ARG NOTE=one
RUN echo same >/out && echo "$NOTE" >/aside
FROM busybox
COPY --from=gen /out /out
RUN cat /out >/used
EOT
build "$T/stages"
stages_id=$id
build "$T/stages" --build-arg NOTE=two
is "$ran" 'RUN echo same >/out && echo "two" >/aside' \
	"a rebuilt stage with the same file does not invalidate what copies it"
is "$cached" $'COPY --from=gen /out /out\nRUN cat /out >/used' "the copier and what follows are cached"
is "$id" "$stages_id" "and the image is the same"
sed -i 's/echo same/echo other/' "$T/stages/Dockerfile"
build "$T/stages" -t other
like "$ran" '^COPY --from=gen' "another content of the file does"
like "$ran" '^RUN cat' "and what follows runs"
works "with the new content" rb run other cat /used
is "$out" other "which is right"

# --- names

context "$T/local" <<'EOT'
FROM 127.0.0.1:1/made/here:1
RUN echo local
EOT
import_base busybox 127.0.0.1:1/made/here:1
build "$T/local"
unlike "$err" 'load metadata' "a local name is used without asking its registry"
is "$ran" "RUN echo local" "and its steps run"
fails_with 1 '^rbuild: Dockerfile:1: .*127\.0\.0\.1:1' rb --pull "$T/local"

# --- plan

context "$T/plan" <<'EOT'
FROM busybox AS unused
RUN false
FROM busybox AS used
RUN echo cached
FROM used
COPY f /f
RUN cat /f
EOT
echo 1 >"$T/plan/f"
works "plan before any build" rb plan "$T/plan"
like "$out" '^unused: skipped$' "plan says skipped"
unlike "$out" 'RUN false' "and nothing about the steps of that stage"
like "$out" '^  build  \[used 2/2\] RUN echo cached$' "plan says build"
build "$T/plan"
works "plan after the build" rb plan "$T/plan"
unlike "$out" '^  build ' "nothing is left to build"
like "$out" '^  cached \[stage-2 2/2\] RUN cat /f$' "plan says cached"
echo 2 >"$T/plan/f"
works "plan after a change" rb plan "$T/plan"
like "$out" '^  cached .*RUN echo cached$' "what does not depend on it is cached"
like "$out" '^  build  .*COPY f /f$' "what depends on it is to be built"
build "$T/plan"
is "$ran" $'COPY f /f\nRUN cat /f' "and plan was right"

done_testing
