#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Random contexts with random ignore files, and what dockerfile.md 5.2 leaves of them.

    tests/helpers/ignore.py make DIR SEED COUNT    DIR/c0, DIR/c1, ... with a .dockerignore each
    tests/helpers/ignore.py left DIR               "N/PATH" of every entry that is not ignored, sorted

The rules are written here a second time, from the text and with regular expressions, so that two
readings of it meet.
"""
import os
import posixpath
import random
import re
import sys

NAMES = ["a", "b", "ab", "a.o", "x y", "d", "foo", "b.o", "-", "\u00e9"]
WORDS = NAMES + ["*", "**", "?", "*.o", "[ab]", "[^a]", "[a-c]*", "a*", "*b", "\\a", "**foo", "**.o", "foo**",
                 "a**b", "?.o", ".", ".."]


def make_tree(rnd, path, depth):
    for name in rnd.sample(NAMES, rnd.randint(1, 4)):
        entry = os.path.join(path, name)
        if depth and rnd.random() < 0.55:
            os.mkdir(entry)
            make_tree(rnd, entry, depth - 1)
        else:
            open(entry, "w", encoding="utf-8").close()


def make_line(rnd):
    if rnd.random() < 0.1:
        return rnd.choice(["# *", "", "  ", "#!a", " # *"])
    line = "/".join(rnd.choice(WORDS) for _ in range(rnd.choice([1, 1, 1, 2, 2, 3])))
    line = rnd.choice([""] * 16 + ["/", "./", "//"]) + line + rnd.choice(["", "", "", "", "/"])
    if rnd.random() < 0.4:
        line = "!" + rnd.choice(["", " ", "\t"]) + line
    return rnd.choice([""] * 9 + [" "]) + line + rnd.choice([""] * 12 + ["  ", "\t", "\r"])


def make(top, seed, count):
    rnd = random.Random(seed)
    for i in range(count):
        context = os.path.join(top, f"c{i}")
        os.mkdir(context)
        make_tree(rnd, context, 3)
        text = "\n".join(make_line(rnd) for _ in range(rnd.randint(1, 7)))
        text = rnd.choice([""] * 9 + ["\ufeff"]) + text + rnd.choice(["", "\n"])
        with open(os.path.join(context, ".dockerignore"), "w", encoding="utf-8", newline="") as f:
            f.write(text)


def expression(pattern):
    """The paths that a pattern matches by itself, as a regular expression."""
    if pattern.startswith("**") and not re.match(r"/|.*[*?\[\]\\]", pattern[2:]):
        return ".*" + re.escape(pattern[2:])
    result, at = "", 0
    while at < len(pattern):
        deep = re.compile(r"\*\*/?").match(pattern, at)
        of_class = re.compile(r"\[[^]]+\]").match(pattern, at)
        if deep:
            at = deep.end()
            result += "(.*/)?" if at < len(pattern) else ".*"
            continue
        if of_class:
            at = of_class.end()
            result += of_class.group()
            continue
        if pattern[at] == "\\":
            at += 1
            result += re.escape(pattern[at])
        else:
            result += {"*": "[^/]*", "?": "[^/]"}.get(pattern[at], re.escape(pattern[at]))
        at += 1
    return result


def read_rules(path):
    with open(path, encoding="utf-8-sig", newline="") as f:
        lines = f.read().split("\n")
    for line in lines:
        word = line.strip()
        if line.startswith("#") or not word:
            continue
        exception = word.startswith("!")
        clean = posixpath.normpath(word[exception:].strip())
        yield exception, re.compile(expression(clean.lstrip("/") or "/"), re.DOTALL)


def left_of(context):
    rules = list(read_rules(os.path.join(context, ".dockerignore")))
    left = set()
    for path, dirs, files in os.walk(context):
        for name in dirs + files:
            entry = os.path.relpath(os.path.join(path, name), context)
            parts = entry.split("/")
            parents = ["/".join(parts[: i + 1]) for i in range(len(parts))]
            included = True
            for exception, rule in rules:
                if any(rule.fullmatch(p) for p in parents):
                    included = exception
            if included:
                left.update(parents)
    return left


def main(verb, top, *rest):
    if verb == "make":
        return make(top, int(rest[0]), int(rest[1]))
    entries = [f"{c[1:]}/{entry}" for c in os.listdir(top) for entry in left_of(os.path.join(top, c))]
    sys.stdout.buffer.write("".join(e + "\n" for e in sorted(entries)).encode())
    return None


if __name__ == "__main__":
    main(*sys.argv[1:])
