# SPDX-License-Identifier: Apache-2.0
"""What a program calls-* printed beside what real root made it print; see tests/calls.sh.

    calls.py MODE PROGRAM GOT WANT DIFFERENCES

Prints one line for each difference that the file DIFFERENCES does not name, and one for each entry
there that no longer is one. Its lines: MODES PROGRAM PATTERN = REASON, where PATTERN is of the shell
and matches what would be printed, "LINE: got X, want Y". A "?" behind MODES: chance decides whether it
is there.
"""
import difflib
import fnmatch
import sys


def observations(path, program):
    """Pairs of what was looked at and what was found. calls-paths has one line for many calls."""
    pairs = []
    for line in open(path, encoding="utf-8", errors="backslashreplace"):
        line = line.rstrip("\n")
        split = line.partition if program == "calls-paths" else line.rpartition
        head, found, rest = split(": ") if ": " in line else (line, "", "")
        if program == "calls-paths" and found and not head.startswith("before"):
            outcome, _, calls = rest.rpartition(": ")
            pairs += [(f"{head}, {call}", outcome) for call in calls.split()]
        else:
            pairs.append((head, rest))
    return sorted(pairs) if program == "calls-paths" else pairs


def differences(got, want):
    if len({key for key, _ in want}) == len(want):      # a key is there once
        got, want = dict(got), dict(want)
        for key in sorted(got.keys() | want.keys()):
            if got.get(key) != want.get(key):
                yield key, got.get(key, "nothing"), want.get(key, "nothing")
        return
    matcher = difflib.SequenceMatcher(None, got, want, autojunk=False)
    for kind, a, b, c, d in matcher.get_opcodes():
        if kind == "equal":
            continue
        for i in range(max(b - a, d - c)):
            left = got[a + i] if a + i < b else ("", "nothing")
            right = want[c + i] if c + i < d else ("", "nothing")
            if left[0] in ("", right[0]) or right[0] == "":
                yield left[0] or right[0], left[1], right[1]
            else:
                yield right[0], ": ".join(left), right[1]


def main():
    mode, program, got, want, known = sys.argv[1:]
    rules = {}
    for line in open(known, encoding="ascii"):
        if line.strip() and not line.startswith("#"):
            modes, name, pattern = line.split(" = ")[0].split(" ", 2)
            if mode in modes.rstrip("?").split(",") and name == program:
                rules[pattern] = int(modes.endswith("?"))
    for key, left, right in differences(observations(got, program), observations(want, program)):
        text = f"{key}: got {left}, want {right}"
        matching = [pattern for pattern in rules if fnmatch.fnmatchcase(text, pattern)]
        for pattern in matching:
            rules[pattern] += 1
        if not matching:
            print(text)
    for pattern, count in rules.items():
        if not count:
            print(f"no longer a difference: {pattern}")


main()
