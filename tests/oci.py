#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Reads OCI archives and trees for the functional tests, without any code of rbuild.

    oci.py ARCHIVE config|manifest|layers|check|tree
    oci.py ARCHIVE get .path[0].key
    oci.py ARCHIVE list N
    oci.py ARCHIVE xattrs N
    oci.py ARCHIVE mtimes N
    oci.py ARCHIVE cat N PATH
    oci.py --tree DIR|TAR

A listing has one line for each entry, sorted by path:

    PATH TYPE MODE UID:GID SIZE LINKS [-> TARGET]

TYPE is f, d, l, h (a further name of a file, in a tar), p, s, b or c; SIZE is 0 but for files
("MAJOR,MINOR" for devices); LINKS counts the names of a file within the listing. Bytes outside
printable ASCII are written \\xNN.
"""
import gzip
import hashlib
import io
import json
import os
import re
import stat
import subprocess
import sys
import tarfile


def printable(name):
    raw = os.fsencode(name)
    return "".join(chr(b) if 0x21 <= b <= 0x7e and b != 0x5c else f"\\x{b:02x}" for b in raw)


class Entry:
    """What a listing says about one path."""

    def __init__(self, kind, mode, owner, size="0", target=None):
        self.kind, self.mode, self.owner, self.size, self.target = kind, mode, owner, size, target
        self.links = 1

    def line(self, path):
        text = f"{printable(path)} {self.kind} {self.mode:04o} {self.owner} {self.size} {self.links}"
        return text + (f" -> {printable(self.target)}" if self.target is not None else "")


def clean(name):
    return os.path.normpath(name.lstrip("/")) if name.strip("/") else "."


def entries_of_tar(tar):
    """Entries by path, in the order of the archive; hard links know how many they are."""
    kinds = {tarfile.DIRTYPE: "d", tarfile.SYMTYPE: "l", tarfile.LNKTYPE: "h", tarfile.FIFOTYPE: "p",
             tarfile.CHRTYPE: "c", tarfile.BLKTYPE: "b"}
    found = {}
    for info in tar:
        kind = kinds.get(info.type, "f")
        entry = Entry(kind, info.mode & 0o7777, f"{info.uid}:{info.gid}")
        if kind == "f":
            entry.size = str(info.size)
        elif kind in "bc":
            entry.size = f"{info.devmajor},{info.devminor}"
        elif kind == "l":
            entry.target = info.linkname
        elif kind == "h":
            entry.target = clean(info.linkname)
        found[clean(info.name)] = entry
    for entry in list(found.values()):
        if entry.kind == "h" and entry.target in found:
            found[entry.target].links += 1
    for entry in found.values():
        if entry.kind == "h" and entry.target in found:
            entry.links = found[entry.target].links
    return found


def entries_of_dir(top):
    found, inodes = {}, {}
    paths = ["."]
    for base, dirs, files in os.walk(top):
        paths += [os.path.relpath(os.path.join(base, name), top) for name in dirs + files]
    for path in paths:
        st = os.lstat(os.path.join(top, path))
        kind = {stat.S_IFREG: "f", stat.S_IFDIR: "d", stat.S_IFLNK: "l", stat.S_IFIFO: "p",
                stat.S_IFSOCK: "s", stat.S_IFBLK: "b", stat.S_IFCHR: "c"}[stat.S_IFMT(st.st_mode)]
        entry = Entry(kind, stat.S_IMODE(st.st_mode), f"{st.st_uid}:{st.st_gid}")
        if kind == "f":
            entry.size = str(st.st_size)
        elif kind in "bc":
            entry.size = f"{os.major(st.st_rdev)},{os.minor(st.st_rdev)}"
        elif kind == "l":
            entry.target = os.readlink(os.path.join(top, path))
        found[path] = entry
        if kind != "d":
            inodes.setdefault((st.st_dev, st.st_ino), []).append(entry)
    for same in inodes.values():
        for entry in same:
            entry.links = len(same)
    return found


def show(entries):
    for path in sorted(entries, key=os.fsencode):
        print(entries[path].line(path))


class Image:
    """One image of an OCI archive."""

    def __init__(self, path):
        self.tar = tarfile.open(path)
        self.files = {clean(info.name): info for info in self.tar if info.isfile()}
        self.problems = []
        if json.loads(self.read("oci-layout")).get("imageLayoutVersion") != "1.0.0":
            self.problems.append("oci-layout: version is not 1.0.0")
        descriptor = json.loads(self.read("index.json"))["manifests"][0]
        while "index" in descriptor["mediaType"]:
            descriptor = json.loads(self.blob(descriptor))["manifests"][0]
        self.manifest = json.loads(self.blob(descriptor))
        self.config = json.loads(self.blob(self.manifest["config"]))

    def read(self, name):
        return self.tar.extractfile(self.files[name]).read()

    def blob(self, descriptor):
        algorithm, _, digest = descriptor["digest"].partition(":")
        data = self.read(f"blobs/{algorithm}/{digest}")
        if hashlib.new(algorithm, data).hexdigest() != digest:
            self.problems.append(f"{descriptor['digest']}: the bytes have another digest")
        if len(data) != descriptor["size"]:
            self.problems.append(f"{descriptor['digest']}: size is {len(data)}, not {descriptor['size']}")
        return data

    def layer(self, number):
        descriptor = self.manifest["layers"][number]
        data = self.blob(descriptor)
        kind = descriptor["mediaType"]
        if kind.endswith("gzip"):
            return gzip.decompress(data)
        if kind.endswith("zstd"):
            return subprocess.run(["zstd", "-dc"], input=data, check=True, capture_output=True).stdout
        return data

    def layer_tar(self, number):
        return tarfile.open(fileobj=io.BytesIO(self.layer(number)), errors="surrogateescape")

    def xattrs(self, number):
        """PATH NAME=VALUE of a layer, sorted."""
        with self.layer_tar(number) as tar:
            return sorted(f"{printable(clean(info.name))} {key[13:]}={printable(value)}" for info in tar
                          for key, value in info.pax_headers.items() if key.startswith("SCHILY.xattr."))

    def tree(self):
        """Paths after all layers. A lower hard link stays what its own layer said."""
        tree = {}
        for number in range(len(self.manifest["layers"])):
            with self.layer_tar(number) as tar:
                new = entries_of_tar(tar)
            for path in new:
                head, name = os.path.split(path)
                if name == ".wh..wh..opq":
                    remove_below(tree, head or ".")
                elif name.startswith(".wh."):
                    gone = os.path.join(head, name[4:])
                    tree.pop(gone, None)
                    remove_below(tree, gone)
            for path, entry in new.items():
                if os.path.basename(path).startswith(".wh."):
                    continue
                if path in tree and (entry.kind == "d") != (tree[path].kind == "d"):
                    remove_below(tree, path)
                tree[path] = entry
        return tree

    def check(self):
        diff_ids = self.config["rootfs"]["diff_ids"]
        if len(diff_ids) != len(self.manifest["layers"]):
            self.problems.append("as many diff IDs as layers are wanted")
        for number, diff_id in enumerate(diff_ids):
            if "sha256:" + hashlib.sha256(self.layer(number)).hexdigest() != diff_id:
                self.problems.append(f"layer {number}: its tar is not {diff_id}")
        filled = [step for step in self.config.get("history", []) if not step.get("empty_layer")]
        if self.config.get("history") and len(filled) != len(diff_ids):
            self.problems.append(f"history has {len(filled)} steps with a layer, not {len(diff_ids)}")
        return self.problems


def remove_below(tree, directory):
    prefix = "" if directory == "." else directory + "/"
    for path in [p for p in tree if p.startswith(prefix) and p not in (".", directory)]:
        del tree[path]


def get(value, path):
    for key, index in re.findall(r"\.([^.\[\]]+)|\[(-?\d+)\]", path):
        value = value[int(index)] if index else value.get(key) if isinstance(value, dict) else None
        if value is None:
            break
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True)


def main(first, verb, *rest):
    if first == "--tree":
        if os.path.isdir(verb):
            show(entries_of_dir(verb))
        else:
            with tarfile.open(verb, errors="surrogateescape") as tar:
                show(entries_of_tar(tar))
        return 0
    image = Image(first)
    if verb == "config":
        print(json.dumps(image.config, indent=1, sort_keys=True))
    elif verb == "manifest":
        print(json.dumps(image.manifest, indent=1, sort_keys=True))
    elif verb == "get":
        print(get(image.config, rest[0]))
    elif verb == "layers":
        print(len(image.manifest["layers"]))
    elif verb == "list":
        with image.layer_tar(int(rest[0])) as tar:
            show(entries_of_tar(tar))
    elif verb == "xattrs":
        print("\n".join(image.xattrs(int(rest[0]))))
    elif verb == "mtimes":
        with image.layer_tar(int(rest[0])) as tar:
            print("\n".join(sorted(f"{printable(clean(info.name))} {int(info.mtime)}" for info in tar)))
    elif verb == "tree":
        show(image.tree())
    elif verb == "cat":
        with image.layer_tar(int(rest[0])) as tar:
            wanted = next(info for info in tar if clean(info.name) == clean(rest[1]))
            sys.stdout.buffer.write(tar.extractfile(wanted).read())
    elif verb == "check":
        print("\n".join(image.check()), end="")
        return 1 if image.problems else 0
    else:
        sys.exit(f"oci.py: unknown verb {verb}")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
