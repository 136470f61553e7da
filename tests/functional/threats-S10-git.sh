#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Hostile git repositories and references (threats S9, S10, S38): nothing from outside of the checkout
# is read or written, no program but git's own is run, no protocol but those of the net is spoken.
# users: range single
# needs: userns overlay python3 git
# shellcheck disable=SC2119,SC2015
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/hostile.sh
. "$RB_TEST_SRC/tests/hostile.sh"
# shellcheck source=tests/web.sh
. "$RB_TEST_SRC/tests/web.sh"

start_web
cd "$T" || exit 1

# add REFERENCE [FLAG...]: an image of that ADD alone at $T/out.oci
add() {
	rm -f out.oci
	context c <<<$'FROM scratch\nADD '"${*:2} $1 /d"
	run_command rb --progress=plain -o "type=oci,dest=$T/out.oci,compression=uncompressed" c
	added=$?
}
# refused REGEX NAME: the last add failed with one line that matches, and made no image
refused() {
	if [ $added = 1 ] && [ "$(grep -c '^rbuild: ' <<<"$err")" = 1 ] && grep -Eq "^rbuild: .*$1" <<<"$err" && [ ! -e out.oci ]; then
		ok "$2"
	else
		not_ok "$2" "exit status $added" "$err" "$(ls -l out.oci 2>&1)"
	fi
}
# holds NAMES NAME: the last add made an image of just these, below d
holds() { is "$added $(oci out.oci list 0 | sed -n 's,^d/\([^ ]*\) .*,\1,p' | paste -sd' ')" "0 $1" "$2"; }
# innocent NAME: the image, if there is one, and the store have nothing of the canary's
innocent() {
	is "$(inside grep -rlaF "$CANARY_TEXT" out.oci "$RB_ROOT" 2>/dev/null; canary_state)" "$canary_before" "$1"
}

# ENTRIES="MODE PATH CONTENT..." commit NAME: a repository whose tree has exactly these entries, also
# such as git would not add; published as NAME.git. CONTENT has \n for line ends.
commit() {
	rm -rf "$1" && git init -q -b main "$1" && python3 - "$1" <<-'EOT' || bail_out "no repository $1"
		import os, subprocess, sys
		os.chdir(sys.argv[1])
		def git(*argv, data=b""):
		    done = subprocess.run(["git", *argv], input=data, check=True, stdout=subprocess.PIPE)
		    return done.stdout.strip().decode()
		def blob(text):
		    return git("hash-object", "-w", "--stdin", data=text.encode().decode("unicode_escape").encode())
		def tree(entries):
		    here, below = [], {}
		    for mode, path, content in entries:
		        name, _, rest = path.partition("/")
		        if rest:
		            below.setdefault(name, []).append((mode, rest, content))
		        else:
		            here.append((mode, name, content if mode == "160000" else blob(content)))
		    here += [("40000", name, tree(v)) for name, v in below.items()]
		    here.sort(key=lambda e: e[1] + ("/" if e[0] == "40000" else ""))
		    raw = b"".join(f"{m} {n}".encode() + b"\0" + bytes.fromhex(i) for m, n, i in here)
		    return git("hash-object", "-w", "-t", "tree", "--literally", "--stdin", data=raw)
		entries = [line.split(" ", 2) for line in os.environ["ENTRIES"].split("\n") if line]
		git("update-ref", "refs/heads/main", git("commit-tree", "-m", "x", tree(entries)))
	EOT
	publish "$T/$1"
}

# --- S9, S10: links out of the checkout

ENTRIES="120000 Dockerfile $CANARY/secret
120000 absolute $CANARY
120000 climbing ../../../../../../../../../../../../../../$CANARY
120000 dir inside
100644 inside/f content
120000 inside/up ../../..
120000 .dockerignore $CANARY/secret
120000 .gitattributes $CANARY/secret" commit links
add "http://$WEB/git/links.git"
is "$(oci out.oci tree | grep -c ' l 0777')" 7 'links are links in the image'
innocent 'links to the outside'
all='.dockerignore .gitattributes Dockerfile absolute climbing dir inside inside/f inside/up'
holds "$all" 'and all of them, with the files'
for subdir in absolute climbing absolute/secret; do
	add "http://$WEB/git/links.git#:$subdir"
	refused "the repository has no directory \"$subdir\"" "subdirectory $subdir: is refused"
	innocent '  and nothing happens'
done
add "http://$WEB/git/links.git#:inside/up/../../.."
refused 'is outside of the repository' 'subdirectory inside/up/../../..: is refused'
for subdir in climbing/.. inside/up; do
	add "http://$WEB/git/links.git#:$subdir"
	holds "$all" "subdirectory $subdir: is the top"
	innocent '  and nothing beyond'
done
add "http://$WEB/git/links.git#:dir"
is "$(oci out.oci list 0 | cut -d' ' -f1,2 | paste -sd' ')" 'd d d/f f d/up l' 'a link inside is followed'
for subdir in ../.. a/../../.. /../x %2e%2e/x '..'; do
	add "http://$WEB/git/links.git#:$subdir"
	refused 'is outside of the repository' "subdirectory $subdir"
done

# --- S10: submodules in places of links, links in places of submodules

git init -q -b main sub && (cd sub && echo s >s && ln -s "$CANARY" out && git add . && git commit -qm s) && publish "$T/sub"
id=$(git -C sub rev-parse HEAD)
ENTRIES="100644 .gitmodules [submodule \"x\"]\n\tpath = x\n\turl = ../sub.git\n
160000 x $id" commit withsub
add "http://$WEB/git/withsub.git#:x/out"
innocent 'a link of a submodule as subdirectory'
refused 'the repository has no directory "x/out"' 'is refused'
ENTRIES="100644 .gitmodules [submodule \"x\"]\n\tpath = link/x\n\turl = ../sub.git\n
120000 link $CANARY" commit overlink
add "http://$WEB/git/overlink.git"
innocent 'a submodule whose path goes through a link'
holds '.gitmodules link' 'is not fetched: the tree has no commit there'
ENTRIES="100644 .gitmodules [submodule \"../../x\"]\n\tpath = x\n\turl = ../sub.git\n
160000 x $id" commit subname
add "http://$WEB/git/subname.git"
is "$(oci out.oci list 0 | cut -d' ' -f1 | paste -sd' ')" 'd d/.gitmodules d/x d/x/out d/x/s' 'a submodule named ../../x is nothing but a name'

# --- S38: protocols and options by way of .gitmodules

n=0
for url in "file://$CANARY/repo" "$CANARY/repo" 'ext::sh -c "id >pwned"' '-u./pwned' '--upload-pack=touch pwned' \
	'ssh://-oProxyCommand=touch%20pwned/x' 'git@-oProxyCommand=x:y' '../../../../x' "http://$WEB/git/x.bundle#y" \
	'fd::3' "rsync://$WEB/x" "http://$WEB/git/sub.git -x" '' 'http://'; do
	ENTRIES="100644 .gitmodules [submodule \"x\"]\n\tpath = x\n\turl = ${url//\"/\\\\\"}\n
160000 x $id" commit "url$((++n))"
	add "http://$WEB/git/url$n.git"
	refused 'submodule x' "URL of a submodule: $url"
	innocent "  and nothing happens: $(grep -o 'submodule.*' <<<"$err" | head -n 1 | cut -c 1-70)"
done
# Of what includes name, nothing is read; what hooks and helpers name, nothing is run.
ENTRIES="100644 .gitmodules [include]\n\tpath = $CANARY/secret\n[core]\n\tfsmonitor = touch $T/pwned\n\thooksPath = hooks\n[submodule \"x\"]\n\tpath = x\n\turl = ../sub.git\n\tupdate = !touch $T/pwned\n
100644 .gitattributes * filter=evil\n
100755 hooks/post-checkout #!/bin/sh\ntouch $T/pwned\n
160000 x $id" commit hooks
add "http://$WEB/git/hooks.git" --keep-git-dir
like "$(oci out.oci list 0 | cut -d' ' -f1)" '^d/x/s$' 'include, hooks, fsmonitor, update: the files come'
innocent 'and nothing else happens'
mkdir home && printf '[core]\n\tfsmonitor = touch %s/pwned\n\thooksPath = %s/home\n[url "%s"]\n\tinsteadOf = http://\n' "$T" "$T" "$CANARY" >home/.gitconfig
printf '#!/bin/sh\ntouch %s/pwned\n' "$T" >home/post-checkout && chmod +x home/post-checkout
cp home/.gitconfig config
GIT_CONFIG_GLOBAL=$T/config GIT_SSH=$T/home/post-checkout GIT_EXEC_PATH=$T/home GIT_DIR=$T/sub/.git GIT_ASKPASS=$T/home/post-checkout \
	HOME=$T/home add "http://$WEB/git/sub.git"
is "$(oci out.oci list 0 | cut -d' ' -f1 | paste -sd' ')" 'd d/out d/s' "the user's configuration and environment do not count"
is "$(find . -name pwned)" '' 'no program was run'

# --- S38: entries that git must not write

for entry in '120000 .git '"$CANARY" '100644 .git/config [core]' '100644 .GIT/config x' '100644 git~1/config x' \
	'120000 ..  x' '100644 ../../escaped x' '100644 .git/hooks/post-checkout x' '100644 a/.git/config x'; do
	ENTRIES=$entry commit evil 2>/dev/null
	add "http://$WEB/git/evil.git"
	refused "git: error: invalid path" "entry ${entry%% *} ${entry#* }: git refuses it"
	innocent '  and nothing is written'
done

# --- S38: references that are not for us

for source in "file://$T/sub" 'ext::sh -c id' "ssh://-oProxyCommand=touch%20$T/pwned/x.git" \
	"http://$WEB/git/sub.git#--upload-pack=touch" "http://$WEB/git/sub.git?ref=-x" "http://$WEB/git/sub.git#a..b"; do
	context c <<<$'FROM scratch\nADD ["'"$source"$'", "/d"]'
	fails_with 1 '^rbuild: Dockerfile:2: .' rb -o type=cacheonly c
done
is "$(find . -name pwned)" '' 'no program was run'

# --- S32: more than a checkout may have

[ "$RB_TEST_USER" = range ] || done_testing
mkdir deep && (
	cd deep && git init -q -b main && id=$(echo x | git hash-object -w --stdin)
	tree=$(printf '100644 blob %s\tf\n' "$id" | git mktree)
	for ((i = 0; i < 10; i++)); do
		tree=$(for j in 0 1 2 3 4 5 6 7 8 9; do printf '040000 tree %s\td%s\n' "$tree" $j; done | git mktree)
	done
	git update-ref refs/heads/main "$(git commit-tree -m bomb "$tree")"
) && publish "$T/deep"
add "http://$WEB/git/deep.git"
refused 'the commit has more than 1000000 entries' 'ten thousand million files'
done_testing
