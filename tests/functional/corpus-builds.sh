#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Dockerfiles of tests/data/dockerfiles that Debian's packages and busybox can serve are built, and
# what came out is read back. tests/unit/test_corpus.c plans and checks all of them.
# users: range single
# images: busybox debian debian-build
# timeout: 600
. "$(dirname "$0")/../lib.sh"

import_base busybox busybox:1.36
import_base debian debian:bookworm-slim
mkdir -p "$T/c"

# build NAME OPTION...: the corpus file NAME
build() {
	local name=$1
	shift
	works "$name is built" rb build --progress=plain \
		-f "$RB_TEST_SRC/tests/data/dockerfiles/$name.Dockerfile" "$@" "$T/c"
}
# built NAME: into the directory $T/NAME
built() { build "$@" -o "type=local,dest=$T/$1"; }
# image NAME [OPTION...]: into the archive $T/NAME.oci
image() { build "$@" -o "type=oci,dest=$T/$1.oci"; }
# holds NAME FILE TEXT: what a file of the result has in it
holds() { is "$(cat "$T/$1/$2" 2>&1)" "$3" "$1: $2"; }
# config NAME PATH VALUE: of the image of the last build, by skopeo and python
config() { is "$(oci "$T/$1.oci" get "$2")" "$3" "$1: $2"; }

# --- heredocs
built heredoc-scripts
holds heredoc-scripts three $'one\ntwo'
holds heredoc-scripts four 'from /dev/pipes/SCRIPT'
holds heredoc-scripts five $'a\nb'
holds heredoc-scripts texts/hello.txt 'Hello world, 5 and $NAME'
holds heredoc-scripts texts/raw.txt 'Hello ${NAME}'
holds heredoc-scripts usr/local/bin/entry $'#!/bin/sh\nexec "$@"'
is "$(stat -c %a "$T/heredoc-scripts/usr/local/bin/entry")" 755 "its mode"
built heredoc-onbuild
holds heredoc-onbuild etc/site "site default"
[ -e "$T/heredoc-onbuild/built" ] && ok "the trigger's script has run" || not_ok "the trigger's script has run"

# --- stages
built diamond
holds diamond left base
holds diamond right base
built long-chain
holds long-chain n $'0\n1\n2\n3\n4'
holds long-chain n1 $'0\n1'
unlike "$err" '\[side ' "long-chain: what is not needed is not run"
echo '<p>' >"$T/c/index.html"
built onbuild-copy-from
holds onbuild-copy-from srv/assets/site.css body
holds onbuild-copy-from srv/index.html '<p>'

# --- arguments
built expansion-modifiers
holds expansion-modifiers opt/tool-1.2.3/state '1_2_3 1_2.3 none yes'
mkdir "$T/c/config" && echo setting >"$T/c/config/bookworm.conf"
image args-everywhere --build-arg UID=1234
config args-everywhere .config.WorkingDir /opt/bookworm
config args-everywhere .config.User 1234:1000
config args-everywhere .config.StopSignal SIGINT
is "$(oci "$T/args-everywhere.oci" tree | grep bookworm.conf | cut -d' ' -f4)" 1234:1000 "args-everywhere: owner of the file"
image multiarch-args
like "$(oci "$T/multiarch-args.oci" cat -1 log)" "^fetching for [a-z0-9]+" "multiarch-args: platform arguments in a step"
like "$(oci "$T/multiarch-args.oci" get .config.Labels.platform)" "^linux/" "multiarch-args: and in a label"
arch=$(cut -d/ -f2 <<<"$(oci "$T/multiarch-args.oci" get .config.Labels.platform)")
if [ "$arch" = amd64 ] || [ "$arch" = arm64 ]; then
	built multiarch-per-arch-stages
	like "$(cat "$T/multiarch-per-arch-stages/march")" '^(x86-64-v2|armv8-a)$' "multiarch-per-arch-stages: the stage of the platform"
else
	skip "stages by architecture" amd64 "the file has none for $arch"
fi

# --- metadata
image labels-and-metadata
config labels-and-metadata .config.Labels.description 'This text spans lines'
config labels-and-metadata .config.User nobody:nogroup
config labels-and-metadata .config.Healthcheck.Test '["NONE"]'
config labels-and-metadata .config.OnBuild '["LABEL child=true"]'

# --- programs
import_base debian-build gcc:12
printf 'hello: hello.c\n\t$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^\n' >"$T/c/Makefile"
printf '#include <stdio.h>\n#include "text.h"\nint main(void) { return puts(TEXT) < 0; }\n' >"$T/c/hello.c"
echo '#define TEXT "hello from C"' >"$T/c/text.h"
built c-make-static
is "$("$T/c-make-static/hello")" "hello from C" "c-make-static: the program runs"
touch "$T/c/docker-entrypoint.sh" "$T/c/docker-ensure-initdb.sh"
image postgres-like
is "$(oci "$T/postgres-like.oci" tree | grep '^var/lib/postgresql ' | cut -d' ' -f3,4)" "1777 999:999" "postgres-like: owner and mode"
config postgres-like .config.Env "$(printf '["PATH=%s", "PG_MAJOR=16", "PGDATA=/var/lib/postgresql/data"]' \
	"/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/usr/lib/postgresql/16/bin")"
done_testing
