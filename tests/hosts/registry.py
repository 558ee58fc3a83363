# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A registry on a test host, from which Docker can pull: registry.py serve FOLDER PORT; what is
asked for is written to FOLDER/asked, a line each.

docker save IMAGE | registry.py add FOLDER NAME TAG: puts an image there, over that of the same tag.
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
import tarfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
CONFIG = "application/vnd.docker.container.image.v1+json"
LAYER = "application/vnd.docker.image.rootfs.diff.tar"


def keep(folder: Path, content: bytes) -> dict[str, object]:
    """Write a blob; return what a manifest says of it."""
    digest = hashlib.sha256(content).hexdigest()
    (folder / "blobs").mkdir(parents=True, exist_ok=True)
    (folder / "blobs" / digest).write_bytes(content)
    return {"size": len(content), "digest": f"sha256:{digest}"}


def add(folder: Path, name: str, tag: str) -> None:
    with tarfile.open(fileobj=sys.stdin.buffer, mode="r|") as stream:
        files = {
            member.name: opened.read()
            for member in stream
            if member.isfile() and (opened := stream.extractfile(member))
        }
    (image,) = json.loads(files["manifest.json"])
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": {"mediaType": CONFIG, **keep(folder, files[image["Config"]])},
        "layers": [{"mediaType": LAYER, **keep(folder, files[one])} for one in image["Layers"]],
    }
    kept = keep(folder, json.dumps(manifest).encode())
    place = folder / "tags" / name / tag
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(str(kept["digest"]))


class Handler(BaseHTTPRequestHandler):
    folder = Path()

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        with (self.folder / "asked").open("a") as log:
            print(self.command, self.path, file=log)
        found = re.fullmatch(r"/v2/(.+)/(manifests|blobs)/([\w.:-]+)", self.path)
        if self.path == "/v2/":
            self.answer(b"{}", "application/json")
        elif found:
            name, kind, which = found.groups()
            tag = self.folder / "tags" / name / which
            digest = tag.read_text() if tag.exists() else which
            blob = self.folder / "blobs" / digest.removeprefix("sha256:")
            if blob.exists():
                content_type = MANIFEST if kind == "manifests" else "application/octet-stream"
                self.answer(blob.read_bytes(), content_type, digest)
            else:
                self.send_error(404)
        else:
            self.send_error(404)

    def answer(self, content: bytes, content_type: str, digest: str = "") -> None:
        self.send_response(200)
        self.send_header("Docker-Distribution-Api-Version", "registry/2.0")
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(content)))
        if digest:
            self.send_header("Docker-Content-Digest", digest)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content)

    def log_message(self, *_arguments: object) -> None:
        pass


def serve(folder: Path, port: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    Handler.folder = folder
    ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()


if __name__ == "__main__":
    if sys.argv[1] == "add":
        add(Path(sys.argv[2]), *sys.argv[3:])
    else:
        serve(Path(sys.argv[2]), int(sys.argv[3]))
