# SPDX-License-Identifier: Apache-2.0
"""Makes tars and OCI archives with any content, hostile ones included, for the functional tests.

    from craft import Layer, image
    layer = Layer()
    layer.file("../x", b"data", mode=0o4755, uid=5, xattrs={"user.a": b"1"})
    image("out.oci", [layer, b"bytes of a tar"], compression="zstd")
"""
import gzip
import hashlib
import io
import json
import os
import platform
import subprocess
import tarfile

TIME = 1700000000
ARCHITECTURE = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())


class Layer:
    """A tar whose names and links are written as they are given."""

    def __init__(self, base=None, format=tarfile.PAX_FORMAT):
        self.buffer = io.BytesIO()
        self.tar = tarfile.open(fileobj=self.buffer, mode="w", format=format, encoding="utf-8",
                                errors="surrogateescape")
        if base:
            with tarfile.open(base, errors="surrogateescape") as lower:
                for info in lower:
                    self.tar.addfile(info, lower.extractfile(info) if info.isfile() else None)

    def add(self, name, kind, mode=0o644, data=b"", link="", uid=0, gid=0, device=(0, 0), mtime=TIME,
            xattrs=None, pax=None):
        info = tarfile.TarInfo(os.fsdecode(name))
        info.type, info.mode, info.linkname, info.size = kind, mode, os.fsdecode(link), len(data)
        info.uid, info.gid, info.mtime = uid, gid, mtime
        info.devmajor, info.devminor = device
        info.pax_headers = dict(pax or {})
        for key, value in (xattrs or {}).items():
            info.pax_headers["SCHILY.xattr." + key] = value.decode("utf-8", "surrogateescape")
        self.tar.addfile(info, io.BytesIO(data))
        return self

    def file(self, name, data=b"", **how):
        return self.add(name, tarfile.REGTYPE, data=data, **how)

    def directory(self, name, mode=0o755, **how):
        return self.add(name, tarfile.DIRTYPE, mode=mode, **how)

    def symlink(self, name, target, **how):
        return self.add(name, tarfile.SYMTYPE, mode=0o777, link=target, **how)

    def hardlink(self, name, target, **how):
        return self.add(name, tarfile.LNKTYPE, link=target, **how)

    def fifo(self, name, **how):
        return self.add(name, tarfile.FIFOTYPE, **how)

    def char(self, name, major, minor, **how):
        return self.add(name, tarfile.CHRTYPE, device=(major, minor), **how)

    def block(self, name, major, minor, **how):
        return self.add(name, tarfile.BLKTYPE, device=(major, minor), **how)

    def bytes(self):
        self.tar.close()
        return self.buffer.getvalue()

    def write(self, path):
        with open(path, "wb") as out:
            out.write(self.bytes())


def compress(data, how):
    if how == "gzip":
        return gzip.compress(data, 6, mtime=0)
    if how == "zstd":
        return subprocess.run(["zstd", "-qc"], input=data, check=True, capture_output=True).stdout
    return data


def blob_name(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def image(path, layers, compression="gzip", blobs=None, diff_ids=None, config=None):
    """An OCI archive. `blobs` and `diff_ids` replace what is computed from the layers."""
    kind = "application/vnd.oci.image.layer.v1.tar" + ("+" + compression if compression else "")
    tars = [layer.bytes() if isinstance(layer, Layer) else layer for layer in layers]
    blobs = blobs or [compress(tar, compression) for tar in tars]
    document = {"architecture": ARCHITECTURE, "os": "linux", "config": config or {},
                "rootfs": {"type": "layers", "diff_ids": diff_ids or [blob_name(t) for t in tars]}}
    files = {}

    def store(data, media):
        name = blob_name(data)
        files["blobs/sha256/" + name.split(":")[1]] = data
        return {"mediaType": media, "digest": name, "size": len(data)}

    manifest = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
                "config": store(json.dumps(document).encode(),
                                "application/vnd.oci.image.config.v1+json"),
                "layers": [store(blob, kind) for blob in blobs]}
    index = {"schemaVersion": 2,
             "manifests": [store(json.dumps(manifest).encode(), manifest["mediaType"])]}
    files["oci-layout"] = b'{"imageLayoutVersion": "1.0.0"}'
    files["index.json"] = json.dumps(index).encode()
    with tarfile.open(path, "w") as tar:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
