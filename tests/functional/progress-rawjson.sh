#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# --progress=rawjson: each line a JSON object that programs can follow a build with.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
import_base busybox

context "$T/c" <<'EOT'
FROM busybox AS base
RUN printf 'a line\nno end'; printf 'caf\303\251 \033[31m\377' >&2
FROM base
MAINTAINER somebody
COPY file /file
RUN echo "quo\"te"
EOT
echo 1 >"$T/c/file"
cat >"$T/read.py" <<'EOT'
import base64, datetime, json, sys

vertexes, logs, warnings, statuses = {}, {}, [], {}
def short(name): return " ".join(name.split("] ")[-1].split(" ")[:2])
def when(text): return datetime.datetime.fromisoformat(text[:19])
for line in open(sys.argv[1], "rb"):
    o = json.loads(line)
    assert len(o) == 1, o
    for v in o.get("vertexes", []):
        old = vertexes.get(v["digest"], {})
        assert old.get("name", v["name"]) == v["name"] and v["digest"].startswith("sha256:")
        assert "completed" not in old, "a vertex goes on after its end"
        for key in ("started", "completed"):
            if key in v: assert abs((when(v[key]) - datetime.datetime.utcnow()).total_seconds()) < 3600
        vertexes[v["digest"]] = v
    for l in o.get("logs", []):
        assert l["vertex"] in vertexes and l["timestamp"]
        logs.setdefault((vertexes[l["vertex"]]["name"], l["stream"]), bytearray()).extend(base64.b64decode(l["data"], validate=True))
    warnings += [base64.b64decode(w["short"], validate=True).decode() for w in o.get("warnings", [])]
    for s in o.get("statuses", []):
        assert s["vertex"] in vertexes and s["id"] and s["name"] and s["started"] <= s["timestamp"] and s["current"] >= 0
        statuses[s["vertex"], s["id"]] = (s["current"] > 0, "completed" in s)
for v in vertexes.values():
    state = "error" if "error" in v else "cached" if v.get("cached") else "done" if "completed" in v else "open"
    print("vertex", state, v["name"])
    for d in v.get("inputs", []): print("input", short(vertexes[d]["name"]), "->", short(v["name"]))
for (name, stream), data in sorted(logs.items()): print("log", stream, name.split(" ")[2:4], bytes(data))
for w in warnings: print("warning", w)
for (_, id), (counts, completed) in statuses.items(): print("status", id, "counts" if counts else "", "completed" if completed else "open")
EOT
# follow OPTION...: builds and reads what was said into $out
follow() { rb --progress=rawjson "$@" "$T/c" 2>"$T/lines" >"$T/stdout"; status=$?; run_command python3 "$T/read.py" "$T/lines"; }
follow
is "$status$err" 0 'every line is an object that can be read'
unlike "$out" '^vertex open' 'everything ends'
like "$out" '^vertex done \[stage-1 3/3\] RUN echo "quo\\"te"$|^vertex done \[stage-1 [0-9]/[0-9]\] RUN echo "quo' 'steps have their names'
like "$out" "^log 1 .* b'a line.nno end'" 'output comes byte for byte'
like "$out" "^log 2 .* b'caf.xc3.xa9 .x1b\[31m.xff'" 'each stream by itself'
like "$out" '^warning MaintainerDeprecated: ' 'warnings'
like "$out" '^status transferring dockerfile: counts completed$' 'statuses'
like "$out" '^status exporting layers  completed$' 'each ends'
unlike "$out" '^status .* open$' 'all of them'
is "$(sed -n 's/^input //p' <<<"$out" | sort)" "$(
	cat <<-'EOF'
		COPY file -> RUN echo
		FROM docker.io/library/busybox:latest -> RUN printf
		RUN printf -> COPY file
		load build -> COPY file
	EOF
)" 'what each step is made from'
is "$(cat "$T/stdout")" '' 'nothing on the standard output'
follow -q
is "$(wc -l <"$T/lines")" 0 '-q says nothing'
like "$(cat "$T/stdout")" '^sha256:[0-9a-f]{64}$' 'but the image ID'
follow
like "$out" '^vertex cached .*RUN printf' 'cached steps'
is "$(grep -c '^vertex cached .*\(RUN\|COPY\)' <<<"$out")" 3 'all of them'
cat >>"$T/c/Dockerfile" <<<'RUN echo why; exit 3'
rb --progress=rawjson "$T/c" 2>"$T/all"
is $? 1 'a failing build'
grep '^{' "$T/all" >"$T/lines"
run_command python3 "$T/read.py" "$T/lines"
like "$out" '^vertex error .*exit 3' 'tells the step'
is "$(grep -v '^{' "$T/all" | tail -n 1 | cut -c1-22)" 'rbuild: Dockerfile:7: ' 'and the message comes last'
unlike "$(cat "$T/all")" '^------$' 'without the lines that were told'
BUILDKIT_PROGRESS=rawjson works 'by the environment' rb --no-cache --target base "$T/c"
like "$err" '^\{"vertexes":\[' 'too'
done_testing
