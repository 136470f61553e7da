#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What COPY and ADD take of their sources: --exclude and --parents, alone, together and with an
# ignore file; what of it is in the keys.
# users: range single
# needs: userns overlay
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"

base_image busybox >/dev/null
import_base busybox base

# taken LAYER: paths of one layer of $T/out.oci, in one line
taken() { oci "$T/out.oci" list "$1" | cut -d' ' -f1 | tr '\n' ' ' | sed 's/ $//'; }
# build < Dockerfile: builds $T/c into $T/out.oci; errors are diagnosed
build() {
	context "$T/c"
	rm -f "$T/out.oci" # no earlier result for the checks that follow
	rb -o "type=oci,dest=$T/out.oci" "$T/c" >"$T/.build" 2>&1 || diag "$(cat "$T/.build")"
}
# states < Dockerfile: what becomes of the steps
states() {
	context "$T/c"
	rb --progress plain "$T/c" 2>&1 | step_states | grep -E ' (COPY|ADD) ' | cut -d' ' -f1 | tr '\n' ' '
}
# refused REGEX < Dockerfile
refused() {
	context "$T/c"
	fails_with 1 "^rbuild: Dockerfile:[0-9]+: .*$1" rb "$T/c"
}

mkdir -p "$T/c/src/"{app/{a,b/deep},lib,node_modules/x/node_modules} "$T/c/two/"{one,two}/in
cd "$T/c" || exit
touch src/{main.c,main.o,README.md,'[odd]'} src/app/{a/{x.c,x.o,x.md},b/{y.c,y.o,deep/{z.c,z.txt}}} src/lib/{l.c,l.txt,.hidden}
touch src/node_modules/x/{m.js,node_modules/n.js} two/{one,two}/{in/f,g} top.txt top.md
chmod 700 src/app
chmod 711 src/app/b
touch -d '2001-02-03 04:05:06 UTC' src/app/b
ln -s app/b src/tob
ln -s ../README.md src/lib/link.md
cd / || exit

# --- exclude

build <<-'EOT'
	FROM base
	COPY --exclude=*.o --exclude=node_modules src /1/
	COPY --exclude=**/*.o --exclude=**/node_modules --exclude=app/b src /2/
	COPY --exclude=** --exclude=!**/*.c src /3/
	COPY --exclude=app --exclude=!app/b/deep src /4/
	COPY --exclude=src/lib src /5/
	COPY --exclude=/lib --exclude=./app//a/ src /6/
	COPY --exclude=*.md top.* /7/
	COPY --exclude=top.md top.md top.txt /8/
	COPY --exclude=g two/* /9/
	COPY --exclude=src/*/* --exclude=two . /10/
	ADD --exclude=**/*.[oc] --exclude=**/?.md --exclude=node_modules src /11/
	COPY --exclude=top* top.txt /12/
	COPY --exclude= --exclude='[[]odd]' src/lib /13/
	COPY --exclude=app --exclude=!**/*.txt src /14/
EOT
is "$(taken 1)" '1 1/README.md 1/[odd] 1/app 1/app/a 1/app/a/x.c 1/app/a/x.md 1/app/a/x.o 1/app/b 1/app/b/deep 1/app/b/deep/z.c 1/app/b/deep/z.txt 1/app/b/y.c 1/app/b/y.o 1/lib 1/lib/.hidden 1/lib/l.c 1/lib/l.txt 1/lib/link.md 1/main.c 1/tob' \
	'--exclude is anchored at the directory that is copied'
is "$(taken 2)" '2 2/README.md 2/[odd] 2/app 2/app/a 2/app/a/x.c 2/app/a/x.md 2/lib 2/lib/.hidden 2/lib/l.c 2/lib/l.txt 2/lib/link.md 2/main.c 2/tob' '** at any depth'
is "$(taken 3)" '3 3/app 3/app/a 3/app/a/x.c 3/app/b 3/app/b/deep 3/app/b/deep/z.c 3/app/b/y.c 3/lib 3/lib/l.c 3/main.c' 'a ! takes back, with its directories and no others'
is "$(taken 4 | tr ' ' '\n' | grep app | tr '\n' ' ')" '4/app 4/app/b 4/app/b/deep 4/app/b/deep/z.c 4/app/b/deep/z.txt ' 'a ! below an excluded directory'
is "$(oci "$T/out.oci" list 4 | sed -n 's/^\(4.app[^ ]*\) d \(....\) .*/\1 \2/p' | tr '\n' ' ')" '4/app 0700 4/app/b 0711 4/app/b/deep 0755 ' 'its parents look like the source'"'"'s'
like "$(taken 5)" '5/lib/l.c' 'not relative to the context'
is "$(taken 6 | tr ' ' '\n' | grep -E '6/(lib|app/a)')" '' 'patterns are cleaned'
is "$(taken 7)" '7 7/top.txt' 'the name of a file that a wildcard matches'
is "$(taken 8)" '8 8/top.txt' 'and of one that is named'
is "$(taken 9)" '9 9/in 9/in/f' 'in each directory that a wildcard matches'
is "$(taken 10)" '10 10/Dockerfile 10/src 10/src/README.md 10/src/[odd] 10/src/app 10/src/lib 10/src/main.c 10/src/main.o 10/src/node_modules 10/src/tob 10/top.md 10/top.txt' \
	'of the whole context'
is "$(taken 11)" '11 11/README.md 11/[odd] 11/app 11/app/a 11/app/b 11/app/b/deep 11/app/b/deep/z.txt 11/lib 11/lib/.hidden 11/lib/l.txt 11/lib/link.md 11/tob' 'of ADD'
is "$(taken 12)" '' 'all that there is'
is "$(taken 13)" '13 13/.hidden 13/l.c 13/l.txt 13/link.md' 'an empty pattern is none'
like "$(taken 14)" '14/app/b/deep/z.txt' 'exceptions with **'
# shellcheck disable=SC2016
like "$(oci "$T/out.oci" config)" '"COPY src /1/ # buildkit"' 'history does not have it'
refused 'COPY.*--exclude: syntax error in pattern: "\[a"|--exclude: syntax error in pattern: "\[a"' <<<$'FROM base\nCOPY --exclude=[a src /x'
refused '--exclude: illegal exclusion pattern: "!"' <<<$'FROM base\nCOPY --exclude=! src /x'
mkdir "$T/c/links" && ln -s nowhere "$T/c/links/dangling" && ln -s loop "$T/c/links/loop" && touch "$T/c/links/f"
build <<-'EOT'
	FROM base
	COPY --exclude=dang* --exclude=loop links/* /1/
	COPY --exclude=dangling links/dangling links/f /2/
EOT
is "$(taken 1) $(taken 2)" '1 1/f 2 2/f' 'links to nothing that are left out'
refused '"/links/dangling": not found: it is a symbolic link to "nowhere"' <<<$'FROM base\nCOPY --exclude=loop links/* /x/'
refused '"/links/missing": not found' <<<$'FROM base\nCOPY --exclude=missing links/missing /x/'
rm -r "$T/c/links"

# --- parents

build <<-'EOT'
	FROM base
	RUN mkdir -m 750 /there && mkdir -m 711 /there/src
	COPY --parents src/app/a/x.c top.txt /1/
	COPY --parents src/**/*.c /2
	COPY --parents src/app/b /3/
	COPY --parents ./src/./app/b/*.c /4/
	COPY --parents src/./app/./b/y.c /5/
	COPY --parents src/*/./*.txt /6/
	COPY --parents **/*.nothing /7/
	COPY --parents /src/lib/l.c /../src//lib/./l.txt src/lib/. /8/
	COPY --parents src/app/b/y.c /there
	COPY --parents --exclude=**/b --exclude=**/*.o src/app ./9/
	COPY --parents src/*/l.* src/[[]odd] src/lib/link.md /10/
	COPY --parents src/tob/./y.c /11/
	COPY --parents two/*/in /12/
	COPY --parents src/./ /13/
	COPY --parents --chown=7:8 --chmod=u+rwx,go= src/app/a/x.* /14/
	COPY --parents . /15/
	COPY --parents src/app/b/**/z.* /16/
EOT
is "$(taken 2)" '1 1/src 1/src/app 1/src/app/a 1/src/app/a/x.c 1/top.txt' '--parents keeps the path'
is "$(oci "$T/out.oci" list 2 | cut -d' ' -f1-3 | grep 'app d')" '1/src/app d 0700' 'with the directories of the source'
is "$(taken 3)" '2 2/src 2/src/app 2/src/app/a 2/src/app/a/x.c 2/src/app/b 2/src/app/b/deep 2/src/app/b/deep/z.c 2/src/app/b/y.c 2/src/lib 2/src/lib/l.c 2/src/main.c' '** crosses directories'
is "$(taken 4)" '3 3/src 3/src/app 3/src/app/b 3/src/app/b/deep 3/src/app/b/deep/z.c 3/src/app/b/deep/z.txt 3/src/app/b/y.c 3/src/app/b/y.o' 'a directory with all that is in it'
is "$(taken 5)" '4 4/app 4/app/b 4/app/b/y.c' 'the pivot: what is before it is not kept'
is "$(taken 6)" '5 5/app 5/app/b 5/app/b/y.c' 'the first pivot counts'
is "$(taken 7)" '6 6/l.txt' 'a pattern before the pivot'
is "$(taken 8)" '7' 'a pattern without match makes the destination'
is "$(taken 9)" '8 8/l.txt 8/src 8/src/lib 8/src/lib/.hidden 8/src/lib/l.c 8/src/lib/l.txt 8/src/lib/link.md' 'sources are cleaned, a trailing /. is no pivot, one in the middle is'
is "$(oci "$T/out.oci" list 10 | cut -d' ' -f1-3 | tr '\n' ' ')" 'there d 0750 there/src d 0755 there/src/app d 0700 there/src/app/b d 0711 there/src/app/b/y.c f 0644 ' \
	'of directories that exist the destination alone stays as it is'
is "$(taken 11)" '9 9/src 9/src/app 9/src/app/a 9/src/app/a/x.c 9/src/app/a/x.md' 'with --exclude'
is "$(taken 12)" '10 10/src 10/src/[odd] 10/src/lib 10/src/lib/l.c 10/src/lib/l.txt 10/src/lib/link.md' 'several sources, wildcards and an escape'
like "$(oci "$T/out.oci" list 12)" '^10/src/lib/link.md l .* -> ../README.md$' 'a link is copied as a link'
is "$(taken 13)" '11 11/y.c' 'links before the pivot are followed'
is "$(taken 14)" '12 12/two 12/two/one 12/two/one/in 12/two/one/in/f 12/two/two 12/two/two/in 12/two/two/in/f' 'a wildcard for a directory takes what is in the directories'
like "$(taken 15)" '^13 13/README.md' 'nothing behind the pivot is everything'
is "$(oci "$T/out.oci" list 16 | cut -d' ' -f1-4 | tr '\n' ' ')" '14 d 0755 7:8 14/src d 0700 7:8 14/src/app d 0700 7:8 14/src/app/a d 0700 7:8 14/src/app/a/x.c f 0700 7:8 14/src/app/a/x.md f 0700 7:8 14/src/app/a/x.o f 0700 7:8 ' \
	'with --chown and --chmod'
like "$(taken 17)" '15/src/node_modules/x/m.js' 'the whole context'
is "$(taken 18)" '16 16/src 16/src/app 16/src/app/b 16/src/app/b/deep 16/src/app/b/deep/z.c 16/src/app/b/deep/z.txt' '** in the middle'
like "$(oci "$T/out.oci" config)" '"COPY --parents --chown=7:8 --chmod=u\+rwx,go= src/app/a/x.\* /14/ # buildkit"' 'history has it'
refused '"/src/missing.c": not found' <<<$'FROM base\nCOPY --parents src/missing.c /x/'
refused '"/missing": not found' <<<$'FROM base\nCOPY --parents missing/./x /x/'
refused '"/src/tob/y.c": not found: a symbolic link on the way leads to "/src/app/b"' <<<$'FROM base\nCOPY --parents src/tob/y.c /x/'
refused '"/top.txt": not a directory' <<<$'FROM base\nCOPY --parents top.txt/./x /x/'
refused 'syntax error in pattern' <<<$'FROM base\nCOPY --parents src/[a /x/'
refused 'unknown flag: --parents' <<<$'FROM base\nADD --parents src /x/'

# from a stage, whose owners are kept
build <<-'EOT'
	FROM base AS s
	RUN mkdir -p /opt/a/b && touch /opt/a/b/f /opt/a/g && chown -R 5:6 /opt/a && chmod 2775 /opt/a/b && ln -s /opt/a /o
	FROM base
	COPY --parents --from=s /opt/a/b/f /
	COPY --parents --from=s o/./b /x/
	COPY --exclude=b --from=s /o /y/
EOT
is "$(oci "$T/out.oci" list 1 | cut -d' ' -f1-4 | tr '\n' ' ')" 'opt d 0755 0:0 opt/a d 0755 5:6 opt/a/b d 2775 5:6 opt/a/b/f f 0644 5:6 ' '--parents from a stage'
is "$(oci "$T/out.oci" list 2 | cut -d' ' -f1-4 | tr '\n' ' ')" 'x d 0755 0:0 x/b d 2775 5:6 x/b/f f 0644 5:6 ' 'a link before the pivot'
is "$(oci "$T/out.oci" list 3 | cut -d' ' -f1-4 | tr '\n' ' ')" 'y d 0755 0:0 y/g f 0644 5:6 ' '--exclude from a stage'

# --- with an ignore file

printf '%s\n' '**/*.o' node_modules src/node_modules '!src/app/b/y.o' src/lib '!src/lib/l.c' Dockerfile .dockerignore >"$T/c/.dockerignore"
build <<-'EOT'
	FROM base
	COPY --parents src/**/*.o src/lib/l.* /1/
	COPY --exclude=**/*.c --exclude=!lib src /2/
EOT
is "$(taken 1)" '1 1/src 1/src/app 1/src/app/b 1/src/app/b/y.o 1/src/lib 1/src/lib/l.c' '--parents takes nothing that is ignored'
is "$(taken 2 | tr ' ' '\n' | grep -E 'lib|\.o$' | tr '\n' ' ')" '2/app/b/y.o 2/lib 2/lib/l.c ' '--exclude cannot take back what is ignored'
refused '"/src/lib/l.txt": not found: excluded by the pattern "src/lib" in .dockerignore' <<<$'FROM base\nCOPY --parents src/lib/l.txt /x/'
refused '"/src/main.o": not found: excluded by the pattern "\*\*/\*\.o" in .dockerignore' <<<$'FROM base\nCOPY --parents src/./main.o /x/'
rm "$T/c/.dockerignore"

# --- keys

file=$'FROM base\nCOPY --exclude=**/*.txt src /k/\nCOPY --parents src/app/**/*.c /l/\n'
states <<<"$file" >/dev/null
is "$(states <<<"$file")" 'CACHED CACHED ' 'nothing changed'
date >"$T/c/src/lib/l.txt"
date >"$T/c/src/app/b/y.o.txt"
is "$(states <<<"$file")" 'CACHED CACHED ' 'a change of what is left out does not matter'
date >"$T/c/src/app/b/y.c"
is "$(states <<<"$file")" 'DONE DONE ' 'a change of what is taken does'
is "$(states <<<$'FROM base\nCOPY --exclude=**/*.txt --exclude=x src /k/')" 'DONE ' 'another list of patterns is another step'
is "$(states <<<$'FROM base\nCOPY src/app/a/x.c /k/\nCOPY --parents src/app/a/x.c /l/')" 'DONE DONE ' 'so is --parents'
# which is known for trees of stages, too
file=$'FROM base AS s\nRUN mkdir /d && touch /d/a /d/b\nFROM base\nCOPY --from=s /d /k/\n'
states <<<"$file" >/dev/null
is "$(states <<<"${file/COPY/COPY --exclude=a}")" 'DONE ' 'of a stage'
is "$(states <<<"${file/COPY/COPY --parents}")" 'DONE ' 'with --parents'
is "$(states <<<"${file/COPY/COPY --exclude=a}")$(states <<<"$file")" 'CACHED CACHED ' 'and back again'
done_testing
