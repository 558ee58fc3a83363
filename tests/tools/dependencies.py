# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Put the collections that ours depends on into .build/collections, without Galaxy.

With containers.podman, which a sample of the documentation uses. They are taken out of the
`ansible` distribution on the Python package index, whose version and hash
tests/requirements/collections.txt pins.
"""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import sys
import tempfile
import zipfile
from pathlib import Path

import wheels

ROOT = Path(__file__).resolve().parents[2]
REQUIREMENTS = ROOT / "tests" / "requirements" / "collections.txt"
TARGET = ROOT / ".build" / "collections"
NEEDED = (
    "ansible_collections/community/docker/",
    "ansible_collections/community/library_inventory_filtering_v1/",
    "ansible_collections/containers/podman/",
)


def stamp() -> str:
    """What the collections were made from."""
    text = REQUIREMENTS.read_text() + "".join(NEEDED)
    return hashlib.sha256(text.encode()).hexdigest()


def extract(into: Path) -> None:
    """Download the distribution and unpack the needed collections into a folder."""
    with tempfile.TemporaryDirectory(dir=into.parent) as folder:
        (wheel,) = wheels.download(REQUIREMENTS, Path(folder))
        with zipfile.ZipFile(wheel) as archive:
            names = [name for name in archive.namelist() if name.startswith(NEEDED)]
            archive.extractall(into, names)


def main() -> int:
    TARGET.parent.mkdir(exist_ok=True)
    with open(TARGET.parent / "collections.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = TARGET / "stamp"
        if done.is_file() and done.read_text() == stamp():
            return 0
        fresh = Path(tempfile.mkdtemp(dir=TARGET.parent))
        try:
            extract(fresh)
            (fresh / "stamp").write_text(stamp())
            fresh.chmod(0o755)
            shutil.rmtree(TARGET, ignore_errors=True)
            fresh.rename(TARGET)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
