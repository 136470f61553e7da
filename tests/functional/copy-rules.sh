#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Where COPY and ADD take from and put to: the rules of destinations and sources, owners and modes,
# heredocs, ignore files, and links that lead out of the context.
# users: range single
# needs: userns overlay
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/hostile.sh
. "$RB_TEST_SRC/tests/hostile.sh"

base_image busybox >/dev/null
import_base busybox base

# names LAYER: path, type, mode and owner of what one layer of $T/out.oci has
names() { oci "$T/out.oci" list "$1" | cut -d' ' -f1-4; }
# build DIR < Dockerfile: builds into $T/out.oci; errors are diagnosed
build() {
	context "$1"
	rb -o "type=oci,dest=$T/out.oci" "$1" >"$T/.build" 2>&1 || diag "$(cat "$T/.build")"
}
# refused NAME REGEX < Dockerfile
refused() {
	context "$T/c"
	run_command rb -o "type=oci,dest=$T/refused.oci" "$T/c"
	if [ $? = 1 ] && grep -Eq "^rbuild: Dockerfile:[0-9]+: .*$2" <<<"$err"; then ok "$1"; else not_ok "$1" "$err"; fi
}

mkdir -p "$T/c/dir/sub/deep" "$T/c/empty" "$T/c/wild"
echo a >"$T/c/a"
echo b >"$T/c/b"
echo x >"$T/c/dir/x"
echo y >"$T/c/dir/sub/y"
echo z >"$T/c/dir/sub/deep/z"
ln -s x "$T/c/dir/link"
ln -s dir "$T/c/todir"
ln -s a "$T/c/tofile"
ln -s "$CANARY/secret" "$T/c/escape"
ln -s "../../../../../../../../../..$CANARY" "$T/c/escape-dir"
ln -s "$CANARY/secret" "$T/c/dir/inside"
for name in 1.c 2.c 3.h '[odd]' 'sp ace'; do echo "$name" >"$T/c/wild/$name"; done
mkdir "$T/c/wild/d.c"
echo deep >"$T/c/wild/d.c/deep"
chmod 700 "$T/c/dir/sub"
chmod 4755 "$T/c/b"
chmod 600 "$T/c/a"

# --- destinations

build "$T/c" <<-'EOT'
	FROM base
	COPY a /file
	COPY a /slash/
	COPY a b /two/
	WORKDIR /work
	COPY a rel
	COPY a .
	COPY a ./new/dir/
	COPY ["a", "/json name/"]
	COPY dir /contents
	COPY a ../../../../up
	COPY dir/ /contents2/
	COPY dir/. /contents3
EOT
is "$(names 1)" 'file f 0600 0:0' 'a file'
is "$(names 2)" "$(printf '%s\n' 'slash d 0755 0:0' 'slash/a f 0600 0:0')" 'a destination with a trailing slash is made'
is "$(names 3)" "$(printf '%s\n' 'two d 0755 0:0' 'two/a f 0600 0:0' 'two/b f 4755 0:0')" 'two sources'
is "$(names 5 | tail -n 1)" 'work/rel f 0600 0:0' 'relative to WORKDIR'
is "$(names 6 | tail -n 1)" 'work/a f 0600 0:0' '. is WORKDIR'
is "$(names 7 | tail -n 1)" 'work/new/dir/a f 0600 0:0' 'below it'
is "$(names 8 | tail -n 1)" 'json\x20name/a f 0600 0:0' 'JSON form with a space'
contents=$(
	cat <<-'EOT'
		contents d 0755 0:0
		contents/inside l 0777 0:0
		contents/link l 0777 0:0
		contents/sub d 0700 0:0
		contents/sub/deep d 0755 0:0
		contents/sub/deep/z f 0644 0:0
		contents/sub/y f 0644 0:0
		contents/x f 0644 0:0
	EOT
)
is "$(names 9)" "$contents" 'of a directory the contents'
is "$(names 10)" 'up f 0600 0:0' 'too many .. end at the root'
is "$(names 11 | sed 's/^contents2/contents/')" "$contents" 'a trailing slash of the source changes nothing'
is "$(names 12 | sed 's/^contents3/contents/')" "$contents" 'nor does /.'

build "$T/c" <<-'EOT'
	FROM base
	RUN mkdir -m 711 /there /there/sub && ln -s there /here && ln -s /there/sub/new /dangling && ln -s target /file && \
	    echo old >/target && ln -s /etc/../there/sub /chain && mkdir /files && echo old >/files/x
	COPY a /here/
	COPY a /here
	COPY dir /here
	COPY a /chain/
	COPY b /file
	COPY dir/x /files/x
	COPY a /dangling/
EOT
is "$(names 2)" "$(printf '%s\n' 'there d 0711 0:0' 'there/a f 0600 0:0')" 'through a link to a directory'
is "$(names 3)" "$(printf '%s\n' 'there d 0711 0:0' 'there/a f 0600 0:0')" 'the same without a slash'
is "$(names 4 | head -n 4 | tr '\n' ' ')" 'there d 0711 0:0 there/inside l 0777 0:0 there/link l 0777 0:0 there/sub d 0700 0:0 ' \
	'an existing destination keeps its mode, directories below get that of the source'
like "$(names 5)" '^there/sub/a f' 'through a link with ..'
like "$(names 6)" '^(file|target) f 4755 0:0$' 'onto a link'
is "$(oci "$T/out.oci" cat 7 files/x)" x 'a file replaces a file'
like "$(names 8)" '^there/sub/new/a f' 'a dangling link as destination is made in the root'

# --- sources

build "$T/c" <<-'EOT'
	FROM base
	COPY wild/*.c /c/
	COPY wild/?.h wild/[12].c /ch/
	COPY nothing* /nothing/
	COPY wild/[[]odd] /odd/
	COPY */x /x/
	COPY todir /todir/
	COPY tofile /tofile/
	COPY todir/sub/y /y/
	COPY /../../a /dots/
	COPY ["wild/sp ace", "/sp/"]
	COPY empty /empty/
EOT
is "$(names 1 | cut -d' ' -f1,2 | tr '\n' ' ')" 'c d c/1.c f c/2.c f c/deep f ' 'a wildcard; of a matching directory the contents'
is "$(names 2 | cut -d' ' -f1 | tr '\n' ' ')" 'ch ch/1.c ch/2.c ch/3.h ' '? and []'
unlike "$(names 3)" '^nothing.* f' 'a wildcard without match copies nothing'
is "$(names 4 | tail -n 1)" 'odd/[odd] f 0644 0:0' 'quoted brackets'
is "$(names 5 | tail -n 1)" 'x/x f 0644 0:0' 'a wildcard for a directory'
like "$(names 6)" '^todir/sub/y f' 'a link to a directory as source is that directory'
is "$(names 7 | tail -n 1)" 'tofile/tofile f 0600 0:0' 'a link to a file is that file, under its own name'
is "$(names 8 | tail -n 1)" 'y/y f 0644 0:0' 'links on the way'
is "$(names 9 | tail -n 1)" 'dots/a f 0600 0:0' '.. of a source ends at the context'
is "$(names 10 | tail -n 1)" 'sp/sp\x20ace f 0644 0:0' 'a name with a space'
is "$(names 11)" 'empty d 0755 0:0' 'an empty directory'

refused 'a missing file' '"?/?missing"?.* not found' <<<$'FROM base\nCOPY missing /'
refused 'a missing directory' 'not found' <<<$'FROM base\nCOPY no/such/ /'
refused 'a URL' "source can't be a URL for COPY" <<<$'FROM base\nCOPY https://example.org/x /'
refused 'a file over a directory' 'cannot replace to directory .*/d/a' <<<$'FROM base\nRUN mkdir -p /d/a\nCOPY a /d/'
refused 'a directory over a file' 'cannot copy to non-directory: .*/f' <<<$'FROM base\nRUN touch /f\nCOPY dir /f'
refused 'a directory over a file, deeper' 'cannot copy to non-directory: .*/d/sub' \
	<<<$'FROM base\nRUN mkdir /d && touch /d/sub\nCOPY dir /d'
refused 'a directory over a link, deeper' 'cannot copy to non-directory: .*/d/sub' \
	<<<$'FROM base\nRUN mkdir /d && ln -s /etc /d/sub\nCOPY dir /d'
refused 'a mode that is none' 'invalid chmod parameter' <<<$'FROM base\nCOPY --chmod=999 a /'
refused 'an unknown user' 'nosuch' <<<$'FROM base\nCOPY --chown=nosuch a /'
refused 'a missing stage file' 'not found' <<<$'FROM base AS s\nFROM base\nCOPY --from=s /missing /'

# --- owners and modes

build "$T/c" <<-'EOT'
	FROM base AS other
	COPY --chown=7:8 --chmod=640 a /kept
	COPY --chown=7:8 dir /tree
	FROM base
	COPY --from=other /kept /
	COPY --from=0 --chown=nobody /tree /tree/
	COPY --chown=daemon:mail a /names
	COPY --chown=5 a /number
	COPY --chmod=7750 dir /modes
	USER nobody
	COPY a /user
	WORKDIR /sub
	COPY --from=other kept /relative
EOT
is "$(names 1)" 'kept f 0640 7:8' 'from a stage: owner and mode are kept'
is "$(names 2 | grep -v ' 65534:65534$')" '' 'a user name: all of the tree and its primary group'
is "$(names 3)" 'names f 0600 1:8' 'names of a user and a group'
is "$(names 4)" 'number f 0600 5:5' 'a number alone is the group, too'
is "$(names 5 | grep -v '^modes/\(link\|inside\) ' | cut -d' ' -f3 | sort -u)" 7750 '--chmod: files and directories'
like "$(names 5)" '^modes/link l 0777' '--chmod: not links'
is "$(names 6)" 'user f 0600 0:0' 'USER does not matter'
is "$(names 8)" 'relative f 0640 7:8' 'relative sources of a stage are relative to /'

# --- heredocs

build "$T/c" <<-'EOT'
	FROM base
	ARG who=world
	ENV X="a b"
	COPY <<one /one
	hello $who ${X}
	  kept   spaces \$who
	one
	COPY <<'two' <<-three a /dir/
	raw $who \n ${X
	two
		tabs gone
		$who
	three
	COPY --chown=5:6 --chmod=0711 <<"four" /bin/four
	"quoted" `x`
	four
	COPY <<empty /empty-file
	empty
	ADD <<five /five
	by ADD
	five
EOT
is "$(oci "$T/out.oci" cat 1 one)" $'hello world a b\n  kept   spaces $who' 'variables are expanded'
is "$(oci "$T/out.oci" cat 2 dir/two)" $'raw $who \\n ${X' 'not with a quoted delimiter'
is "$(oci "$T/out.oci" cat 2 dir/three)" $'tabs gone\nworld' '<<- takes tabs away'
is "$(names 2 | tr '\n' ' ')" 'dir d 0755 0:0 dir/a f 0600 0:0 dir/three f 0644 0:0 dir/two f 0644 0:0 ' \
	'heredocs and files together, named by their delimiters'
is "$(names 3 | tail -n 1)" 'bin/four f 0711 5:6' '--chown and --chmod'
# shellcheck disable=SC2016 # that is the point
is "$(oci "$T/out.oci" cat 3 bin/four)" '"quoted" `x`' 'quotes stay'
is "$(oci "$T/out.oci" list 4)" 'empty-file f 0644 0:0 0 1' 'an empty one'
is "$(oci "$T/out.oci" cat 5 five)" 'by ADD' 'of ADD'

# --- ignore files

mkdir -p "$T/i"/{src/{a,b},node_modules/x,docs/keep}
touch "$T/i"/{README.md,main.o,src/{x.o,a/{y.o,y.c},b/z.o,keep.o},node_modules/x/m,docs/{a,keep/b},secret.key,.hidden,sp}
cat >"$T/i/.dockerignore" <<-'EOT'
	# a comment
	**/*.o
	!src/keep.o
	node_modules
	/docs
	!docs/keep
	*.key
	src/b/../b/z*
	.dockerignore
	Dockerfile
EOT
build "$T/i" <<-'EOT'
	FROM base
	COPY . /all/
EOT
is "$(names 1 | cut -d' ' -f1 | tr '\n' ' ')" \
	'all all/.hidden all/README.md all/docs all/docs/keep all/docs/keep/b all/sp all/src all/src/a all/src/a/y.c all/src/b all/src/keep.o ' \
	'.dockerignore with ** and !'
context "$T/i" <<<$'FROM base\nCOPY secret.key /'
run_command rb "$T/i"
is $? 1 'an ignored file cannot be copied by name'
like "$err" '^rbuild: Dockerfile:2: .*secret\.key.*not found' 'it is not found'
like "$err" 'ignore' 'and the message says that it is ignored'
printf 'README.md\n' >"$T/i/Dockerfile.dockerignore"
build "$T/i" <<<$'FROM base\nCOPY . /all/'
unlike "$(names 1)" README.md 'Dockerfile.dockerignore comes first'
like "$(names 1)" 'secret.key' 'and replaces the other'

# --- nothing from outside of the context (S9, S13)

for source in escape escape-dir/secret escape-dir "$CANARY/secret" "../..$CANARY/secret"; do
	context "$T/c" <<<$'FROM base\nCOPY '"$source"$' /got/\nRUN cat -r /got 2>/dev/null; true'
	run_command rb -o "type=oci,dest=$T/escape.oci" "$T/c"
	is $? 1 "COPY ${source//$T/T}: not found"
	unlike "$err$out" "$CANARY_TEXT" 'and nothing of it is said'
done
context "$T/c" <<<$'FROM base\nCOPY esc* /got/'
run_command rb -o "type=oci,dest=$T/escape.oci" "$T/c"
not_disclosed 'a wildcard' "$T/escape.oci" "$RB_ROOT"
ln -s "$CANARY/secret" "$T/c/.dockerignore"
context "$T/c" <<<$'FROM base\nCOPY . /got/'
run_command rb -o "type=oci,dest=$T/escape.oci" "$T/c"
unlike "$err$out" "$CANARY_TEXT" 'an ignore file that is a link out of the context is not shown'
not_disclosed 'the whole context' "$T/escape.oci" "$RB_ROOT"
canary_safe 'everything'
done_testing
