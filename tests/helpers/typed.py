#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs a command on a terminal and types lines into it, each when a prompt is shown.

    typed.py COMMAND [ARG...] < LINES

Prints what the terminal showed and, last, "[status N]". A line <hangup> closes the terminal. A line
that ends with <paste N> is followed by N numbered lines at once, as soon as the terminal takes them.
When nothing happens for ten seconds the terminal is closed, which says "[idle]".
"""
import os
import pty
import re
import select
import signal
import sys
import time

lines = sys.stdin.read().splitlines()
pid, fd = pty.fork()
if pid == 0:
    os.execvp(sys.argv[1], sys.argv[1:])
os.set_blocking(fd, False)
out = pasted = b""
while True:
    readable, writable, _ = select.select([fd], [fd] if pasted else [], [], 10)
    if not readable and not writable:
        sys.stdout.write("[idle]\n")
        os.close(fd)
        break
    if writable:
        pasted = pasted[os.write(fd, pasted[:4096]):]
    if not readable:
        continue
    try:
        data = os.read(fd, 4096)
    except OSError:
        break
    if not data:
        break
    out += data
    # A shell may ask the terminal where the cursor is.
    if re.search(rb"[#$] (\x1b\[6n)?$", out) and lines:
        line = lines.pop(0)
        if line == "<hangup>":
            os.close(fd)
            break
        line, _, count = line.removesuffix(">").partition("<paste ")
        os.write(fd, line.encode() + b"\r")
        if count:
            time.sleep(0.5)
            pasted = b"".join(b"line %60d\r" % i for i in range(int(count)))
signal.alarm(20)
status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
sys.stdout.write(out.decode(errors="replace").replace("\r", "").replace("\x1b[6n", ""))
sys.stdout.write(f"\n[status {status}]\n")
