#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# S2 and S4: the source of a mount is swapped for a link by another step, of the same build or of another one, while it
# is opened. What is mounted is in the cache or stage in any case.
# users: range single
# needs: userns overlay
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/hostile.sh
. "$RB_TEST_SRC/tests/hostile.sh"

BUSYBOX=$(base_image busybox) PROGRAM=$RB_TEST_BUILD/tests/helpers/swap craft <<-'EOT' || bail_out 'no base'
	layer = Layer(os.environ["BUSYBOX"])
	with open(os.environ["PROGRAM"], "rb") as program:
	    layer.file("swap", program.read(), mode=0o755)
	layer.write("base.tar")
EOT
works 'import' rb import "$T/base.tar" base

# The link leads to the canary, absolutely and upwards, and to the host's root. In the cache there is something by each of
# these names, so that every mount succeeds.
links=("$CANARY" "../../../../../../../../../../../../..$CANARY" / /proc/self/root/..)
attacker() {
	local make="rm -rf /c/*" dir
	for dir in "$CANARY" /sub / /proc/self /proc/self/root; do
		make+=" && mkdir -p /c$dir && echo inside >/c$dir/secret"
	done
	echo "FROM base AS attacker"
	echo "RUN --mount=type=cache,id=x,target=/c $make && ln -s $1 /c/link && touch /c/ready-$2 && /swap /c/sub /c/link 100000 /c/stop"
}
victim() {
	local i
	echo "FROM base AS victim"
	echo "RUN --mount=type=cache,id=x,target=/c n=0; until [ -e /c/ready-$1 ] || [ \$n = 100 ]; do sleep 0.05; n=\$((n + 1)); done"
	for i in 1 2 3 4 5; do
		echo "RUN --mount=type=cache,id=x,source=sub,target=/s : $1$i; cat /s/secret /s/dir/file 2>/dev/null; [ ! -e /s/etc ] || echo the host"
	done
	echo "RUN --mount=type=cache,id=x,target=/c touch /c/stop"
}

: >"$T/log"
good=0
for i in 0 1 2 3; do
	mkdir -p "$T/$i"
	{ attacker "${links[i]}" $i && victim $i && printf '%s\n' 'FROM scratch' \
		'COPY --from=attacker /swap /a' 'COPY --from=victim /swap /b'; } >"$T/$i/Dockerfile"
	if rb --progress=plain "$T/$i" >"$T/out" 2>&1; then
		good=$((good + 1))
	else
		cat "$T/out"
	fi
	cat "$T/out" >>"$T/log"
done
is $good 4 "each build succeeds"

# Two rbuilds.
for i in 0 1; do
	mkdir -p "$T/a$i" "$T/v$i"
	{ attacker "${links[i]}" two$i && echo "RUN : $i"; } >"$T/a$i/Dockerfile"
	victim "two$i" >"$T/v$i/Dockerfile"
	rb --progress=plain --no-cache "$T/a$i" >"$T/out.a" 2>&1 &
	rb --progress=plain "$T/v$i" >"$T/out.v" 2>&1
	wait $!
	is $? 0 "the attacker ends ($i)"
	cat "$T/out.a" "$T/out.v" >>"$T/log"
done
# A writable bind of a stage is the attacker's own.
mkdir "$T/stage"
cat >"$T/stage/Dockerfile" <<EOT
FROM base AS made
RUN mkdir -p /m/sub $CANARY && echo inside | tee /m/sub/secret >$CANARY/secret && ln -s $CANARY /m/link
FROM base AS attacker
RUN --mount=from=made,source=/m,target=/m,rw cp -a /m/sub /m/own && rm -r /m/sub && mv /m/own /m/sub && /swap /m/sub /m/link 20000
FROM base AS victim
$(for i in 1 2 3 4 5; do echo "RUN --mount=from=made,source=/m/sub,target=/s,rw : $i; cat /s/secret && ls /s && echo outside >/s/secret"; done)
FROM scratch
COPY --from=attacker /swap /a
COPY --from=victim /swap /b
EOT
works "a stage whose source is swapped" rb --progress=plain "$T/stage"
is "$(sed -nE 's/^#[0-9]+ [0-9]+\.[0-9]{3} //p' <<<"$err" | sort | uniq -c | tr -s ' \n' ' ')" \
	" 5 inside 5 secret 1 swapped 20000 " "is the same for everybody else"

seen=$(sed -nE 's/^#[0-9]+ [0-9]+\.[0-9]{3} //p' "$T/log" | grep -v '^swapped' | sort -u | tr '\n' ' ')
is "$seen" "inside " "nobody ever sees anything but the cache"
is "$(sed -nE 's/^#[0-9]+ [0-9]+\.[0-9]{3} swapped //p' "$T/log" | wc -l)" 6 "while six attackers swapped"
diag "$(grep -o 'swapped [0-9]*$' "$T/log" | tr '\n' ' ')"
canary_safe 'swapped sources'
not_disclosed 'swapped sources' "$RB_ROOT/logs" "$RB_ROOT/mounts"
done_testing
