# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""artifact.py BUILT TARGET: write what ansible-galaxy has built again, the same bytes everywhere.

ansible-galaxy lists files in the order of the disk and dates them with the clock. Here names are
sorted and all has the date of the release. ``TARGET`` is replaced whole.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import sys
import tarfile
from pathlib import Path
from typing import Any

import released


def to_json(value: Any) -> bytes:
    """As ansible-galaxy writes it."""
    return json.dumps(value, indent=1).encode()


def listing(contents: dict[str, bytes]) -> dict[str, bytes]:
    """FILES.json with its files sorted, and MANIFEST.json, which tells its checksum."""
    files = json.loads(contents["FILES.json"])
    files["files"].sort(key=lambda entry: entry["name"])
    manifest = json.loads(contents["MANIFEST.json"])
    checksum = hashlib.sha256(to_json(files)).hexdigest()
    manifest["file_manifest_file"]["chksum_sha256"] = checksum
    return {"MANIFEST.json": to_json(manifest), "FILES.json": to_json(files)}


def rewrite(built: bytes, seconds: int) -> bytes:
    """The same collection as a tarball that depends on names, contents and rights alone.

    Raises ValueError for a member that is neither file nor folder.
    """
    contents: dict[str, bytes] = {}
    rights: dict[str, int] = {}
    with tarfile.open(fileobj=io.BytesIO(built)) as archive:
        for member in archive:
            if not (member.isdir() or member.isfile()):
                raise ValueError(f"{member.name} is neither a file nor a folder")
            stream = archive.extractfile(member)
            rights[member.name] = 0o755 if member.isdir() or member.mode & 0o100 else 0o644
            if stream is not None:
                contents[member.name] = stream.read()
    first = listing(contents)  # ansible-galaxy looks for these two first
    contents.update(first)
    buffer = io.BytesIO()
    with (
        gzip.GzipFile("", "wb", 9, buffer, mtime=seconds) as zipped,
        tarfile.open(fileobj=zipped, mode="w", format=tarfile.USTAR_FORMAT) as archive,
    ):
        for name in sorted(rights, key=lambda name: (name not in first, name)):
            entry = tarfile.TarInfo(name)
            entry.mode, entry.mtime = rights[name], seconds
            if name in contents:
                entry.size = len(contents[name])
                archive.addfile(entry, io.BytesIO(contents[name]))
            else:
                entry.type = tarfile.DIRTYPE
                archive.addfile(entry)
    return buffer.getvalue()


def main(arguments: list[str]) -> int:
    built, target = map(Path, arguments)
    fresh = target.with_name(f"{target.name}.{os.getpid()}")
    fresh.write_bytes(rewrite(built.read_bytes(), released.seconds()))
    fresh.rename(target)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
