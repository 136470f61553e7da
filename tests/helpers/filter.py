#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs a command under a seccomp filter, as a container engine would.

    filter.py CALL[:FLAGS]=ANSWER... -- COMMAND [ARG...]

CALL is the name of a system call; with FLAGS it is meant only when its first argument has all of
them. ANSWER is the name of an errno, or "notify": then a listener is attached, whom nobody serves.
As root no_new_privs stays off.
"""
import ctypes
import errno
import os
import sys

ALLOW, ERRNO, NOTIFY = 0x7FFF0000, 0x00050000, 0x7FC00000
CTL_NNP, MASKED_EQ = 3, 7


class Compare(ctypes.Structure):
    _fields_ = [("arg", ctypes.c_uint), ("op", ctypes.c_int), ("a", ctypes.c_uint64), ("b", ctypes.c_uint64)]


def check(result, what):
    if result < 0:
        sys.exit(f"filter.py: {what}: {os.strerror(-result)}")


def main():
    split = sys.argv.index("--")
    lib = ctypes.CDLL("libseccomp.so.2")
    lib.seccomp_init.restype = ctypes.c_void_p
    context = ctypes.c_void_p(lib.seccomp_init(ctypes.c_uint32(ALLOW)))
    for rule in sys.argv[1:split]:
        call, answer = rule.split("=")
        name, _, flags = call.partition(":")
        action = NOTIFY if answer == "notify" else ERRNO | getattr(errno, answer)
        compare = (Compare * 1)()
        if flags:
            compare[0] = Compare(0, MASKED_EQ, int(flags, 0), int(flags, 0))
        check(lib.seccomp_rule_add_array(context, ctypes.c_uint32(action),
                                         lib.seccomp_syscall_resolve_name(name.encode()),
                                         1 if flags else 0, compare), rule)
    check(lib.seccomp_attr_set(context, CTL_NNP, ctypes.c_uint32(os.geteuid() != 0)), "no_new_privs")
    check(lib.seccomp_load(context), "load")
    if any(rule.endswith("=notify") for rule in sys.argv[1:split]):
        os.set_inheritable(lib.seccomp_notify_fd(context), True)    # gone with its last holder
    command = sys.argv[split + 1:]
    os.execvp(command[0], command)


main()
