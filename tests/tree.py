#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Lists all that an image says about its tree, from a directory or from layers, to be compared.

    tree.py [--noise FILE] [--cache DIR] DIRECTORY|OCI-LAYOUT

A directory is listed as it lies (by root, who sees the owners); the layers of an OCI layout are put on
each other here, without any code of rbuild. One line for each path, sorted:

    PATH TYPE MODE UID:GID SIZE|MAJOR,MINOR DIGEST|TARGET|- [NAME=VALUE...] [= FIRST-NAME]

Times are no part of it, nor are sockets, which no layer can hold. "= FIRST-NAME" stands behind each
further name of a file. FILE names what differs between any two runs, one rule on a line:

    content REGEX   of matching paths neither size nor digest is compared
    absent REGEX    matching paths are left out
    name REGEX TO   matching parts of paths (random names) are written TO

--cache DIR keeps what was read of a layer: a base is in many images.
"""
import argparse
import gzip
import hashlib
import json
import os
import pickle
import re
import stat
import subprocess
import sys
import tarfile

XATTRS = re.compile(r"user\.|security\.capability$|system\.posix_acl_(access|default)$")


class Inode:
    """What names share; which names do is seen by identity."""

    def __init__(self, kind, mode, owner):
        self.kind, self.mode, self.owner = kind, mode, owner
        self.size, self.what, self.xattrs = 0, "-", {}

    def line(self, skip_content):
        size, what = ("~", "~") if skip_content and self.kind in "fl" else (self.size, self.what)
        words = [self.kind, f"{self.mode:04o}", self.owner, str(size), what]
        return " ".join(words + [f"{name}={value.hex()}" for name, value in sorted(self.xattrs.items())])


def printable(name):
    raw = os.fsencode(name)
    return "".join(chr(b) if 0x21 <= b <= 0x7e and b != 0x5c else f"\\x{b:02x}" for b in raw)


def digest_of(file):
    digest = hashlib.sha256()
    while chunk := file.read(1 << 20):
        digest.update(chunk)
    return digest.hexdigest()[:16]


# --- a directory ----------------------------------------------------------------------------

KINDS = {stat.S_IFREG: "f", stat.S_IFDIR: "d", stat.S_IFLNK: "l", stat.S_IFIFO: "p",
         stat.S_IFSOCK: "s", stat.S_IFBLK: "b", stat.S_IFCHR: "c"}


def read_inode(path, st):
    inode = Inode(KINDS[stat.S_IFMT(st.st_mode)], stat.S_IMODE(st.st_mode), f"{st.st_uid}:{st.st_gid}")
    if inode.kind == "f":
        inode.size = st.st_size
        with open(path, "rb") as file:
            inode.what = digest_of(file)
    elif inode.kind == "l":
        inode.what = printable(os.readlink(path))
    elif inode.kind in "bc":
        inode.size = f"{os.major(st.st_rdev)},{os.minor(st.st_rdev)}"
    for name in os.listxattr(path, follow_symlinks=False):
        if XATTRS.match(name):
            inode.xattrs[name] = os.getxattr(path, name, follow_symlinks=False)
    return inode


def tree_of_directory(top):
    tree, seen = {}, {}
    paths = ["."]
    for base, dirs, files in os.walk(top):
        paths += [os.path.relpath(os.path.join(base, name), top) for name in dirs + files]
    for path in paths:
        full = os.path.join(top, path)
        st = os.lstat(full)
        # Only of files: the overlay may show two directories of different layers as one inode.
        key = path if stat.S_ISDIR(st.st_mode) else (st.st_dev, st.st_ino)
        if key not in seen:
            seen[key] = read_inode(full, st)
        if seen[key].kind != "s":
            tree[path] = seen[key]
    return tree


# --- layers ---------------------------------------------------------------------------------

def clean(name):
    return os.path.normpath(name.lstrip("/")) if name.strip("/") else "."


TAR_KINDS = {tarfile.DIRTYPE: "d", tarfile.SYMTYPE: "l", tarfile.FIFOTYPE: "p", tarfile.CHRTYPE: "c",
             tarfile.BLKTYPE: "b"}


def entries_of_layer(file):
    """(path, inode, None) or, for a further name, (path, None, target), in the order of the tar."""
    entries = []
    with tarfile.open(fileobj=file, mode="r|", errors="surrogateescape") as tar:
        for info in tar:
            if info.islnk():
                entries.append((clean(info.name), None, clean(info.linkname)))
                continue
            inode = Inode(TAR_KINDS.get(info.type, "f"), info.mode & 0o7777, f"{info.uid}:{info.gid}")
            if inode.kind == "f":
                inode.size, inode.what = info.size, digest_of(tar.extractfile(info))
            elif inode.kind == "l":
                inode.what = printable(info.linkname)
            elif inode.kind in "bc":
                inode.size = f"{info.devmajor},{info.devminor}"
            for key, value in info.pax_headers.items():
                if key.startswith("SCHILY.xattr."):
                    inode.xattrs[key[13:]] = os.fsencode(value)
            entries.append((clean(info.name), inode, None))
    return entries


def open_layer(path, media_type):
    if media_type.endswith("gzip"):
        return gzip.open(path)
    if media_type.endswith("zstd"):
        return subprocess.Popen(["zstd", "-dc", path], stdout=subprocess.PIPE).stdout
    return open(path, "rb")


def read_layer(layout, descriptor, cache):
    algorithm, _, digest = descriptor["digest"].partition(":")
    kept = cache and os.path.join(cache, digest)
    if kept and os.path.exists(kept):
        with open(kept, "rb") as file:
            return pickle.load(file)
    with open_layer(os.path.join(layout, "blobs", algorithm, digest), descriptor["mediaType"]) as file:
        entries = entries_of_layer(file)
    if kept:
        with open(f"{kept}.{os.getpid()}", "wb") as file:
            pickle.dump(entries, file)
        os.rename(f"{kept}.{os.getpid()}", kept)
    return entries


def remove(tree, path, itself=True):
    prefix = "" if path == "." else path + "/"
    for name in [name for name in tree if name.startswith(prefix) and name != "."]:
        del tree[name]
    if itself:
        tree.pop(path, None)


def apply_layer(tree, entries):
    """Whiteouts speak of lower layers only, wherever in the tar they are."""
    for path, _inode, _target in entries:
        head, name = os.path.split(path)
        if name == ".wh..wh..opq":
            remove(tree, head or ".", itself=False)
        elif name.startswith(".wh."):
            remove(tree, os.path.join(head, name[4:]))
    for path, inode, target in entries:
        if os.path.basename(path).startswith(".wh."):
            continue
        if path in tree and not (inode and inode.kind == tree[path].kind == "d"):
            remove(tree, path)
        tree[path] = inode or tree[target]


def read_json(layout, descriptor):
    with open(os.path.join(layout, "blobs", *descriptor["digest"].split(":")), "rb") as file:
        return json.load(file)


def tree_of_layout(layout, cache):
    with open(os.path.join(layout, "index.json"), "rb") as file:
        descriptor = json.load(file)["manifests"][0]
    while "index" in descriptor["mediaType"]:
        descriptor = read_json(layout, descriptor)["manifests"][0]
    tree = {}
    for layer in read_json(layout, descriptor)["layers"]:
        apply_layer(tree, read_layer(layout, layer, cache))
    return tree


# --- the listing ----------------------------------------------------------------------------

class Noise:
    """The rules of a noise file; what the regular expressions match is a path without a first /."""

    def __init__(self, path):
        self.content, self.absent, self.names = [], [], []
        lines = open(path, encoding="utf-8").read().splitlines() if path else []
        for line in lines:
            words = line.split()
            if not words or words[0].startswith("#"):
                continue
            if words[0] == "name" and len(words) == 3:
                self.names.append((re.compile(words[1]), words[2]))
            elif words[0] in ("content", "absent") and len(words) == 2:
                getattr(self, words[0]).append(re.compile(words[1]))
            else:
                sys.exit(f"tree.py: {path}: this is no rule: {line}")

    def rename(self, path):
        for pattern, to in self.names:
            path = pattern.sub(to, path)
        return path


def listing(tree, noise):
    first = {}
    for path in sorted(tree, key=os.fsencode):
        inode = tree[path]
        if any(pattern.fullmatch(path) for pattern in noise.absent):
            continue
        shown = printable(noise.rename(path))
        line = f"{shown} {inode.line(any(p.fullmatch(path) for p in noise.content))}"
        if inode.kind != "d" and first.setdefault(id(inode), shown) != shown:
            line += f" = {first[id(inode)]}"
        yield line


def main():
    parser = argparse.ArgumentParser(description="Lists a tree (see the top of this file).")
    parser.add_argument("--noise")
    parser.add_argument("--cache")
    parser.add_argument("tree")
    options = parser.parse_args()
    if os.path.exists(os.path.join(options.tree, "oci-layout")):
        tree = tree_of_layout(options.tree, options.cache)
    else:
        tree = tree_of_directory(options.tree)
    print("\n".join(sorted(listing(tree, Noise(options.noise)))))


if __name__ == "__main__":
    main()
