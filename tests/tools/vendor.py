# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Put the packages of meta/vendored.txt into nvidia_docker/_vendor, so that targets need nothing.

The wheels are checked against the hashes in that file. A complete `_vendor` is left alone; a
changed or damaged one is made anew beside the old one.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import shutil
import sys
import tempfile
import zipfile
from pathlib import Path, PurePosixPath

import components
import wheels
from components import REQUIREMENTS, ROOT

VENDOR = ROOT / "plugins" / "module_utils" / "nvidia_docker" / "_vendor"
MANIFEST = ROOT / ".build" / "vendor.json"
# Examples and fronts of the packages that nothing here runs.
UNUSED = frozenset(
    {
        "example.py",
        "prometheus_client/multiprocess.py",
        "prometheus_client/openmetrics/parser.py",
        "prometheus_client/parser.py",
    }
)
UNUSED_FOLDERS = tuple(
    f"prometheus_client/{name}/" for name in ("aiohttp", "bridge", "django", "twisted")
)
INIT = '''\
# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Packages of others, unchanged: {packages}. Made by `make vendor`, pinned in meta/vendored.txt."""
'''


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def contents(folder: Path) -> dict[str, str]:
    """Every file of a folder, byte code left out, with its SHA-256."""
    return {
        path.relative_to(folder).as_posix(): digest(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts
    }


def manifest(folder: Path, packages: list[str]) -> dict[str, object]:
    """What `folder` holds and what it was made from."""
    return {
        "made_from": [
            digest(path) for path in (REQUIREMENTS, Path(__file__), Path(components.__file__))
        ],
        "packages": packages,
        "files": contents(folder),
    }


def recorded() -> dict[str, object]:
    """The manifest of the last run, or nothing where there is none to be read."""
    try:
        return dict(json.loads(MANIFEST.read_text()))
    except (OSError, ValueError):
        return {}


def unpack(wheel: Path, into: Path) -> str:
    """Unpack the Python files, licence and notice of a wheel; returns "name version"."""
    name, version = wheel.name.split("-")[:2]
    with zipfile.ZipFile(wheel) as archive:
        for member in archive.namelist():
            path = PurePosixPath(member)
            if path.parts[0].endswith(".dist-info"):
                if path.name.upper().startswith(("LICENSE", "COPYING")):
                    target = into / "licenses" / f"{name}-{version}.txt"
                elif path.name.upper().startswith("NOTICE"):
                    target = into / "licenses" / f"{name}-{version}-notice.txt"
                else:
                    continue
            elif path.suffix != ".py" or member in UNUSED or member.startswith(UNUSED_FOLDERS):
                continue
            else:
                target = into / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(archive.read(member))
    return f"{name.replace('_', '-')} {version}"


def make(into: Path) -> list[str]:
    """Download, check and unpack everything; returns "name version" of each package."""
    with tempfile.TemporaryDirectory(dir=MANIFEST.parent) as folder:
        packages = [unpack(wheel, into) for wheel in wheels.download(REQUIREMENTS, Path(folder))]
    for component in components.COMPONENTS:
        if component.text:
            text = components.licence_at_head((into / component.text).read_text())
            (into / component.licence_file).write_text(text)
    (into / "__init__.py").write_text(INIT.format(packages=", ".join(packages)))
    return packages


def main() -> int:
    MANIFEST.parent.mkdir(exist_ok=True)
    VENDOR.parent.mkdir(parents=True, exist_ok=True)
    with open(MANIFEST.parent / "vendor.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        before = recorded()
        packages = before.get("packages")
        if not isinstance(packages, list) or before != manifest(VENDOR, packages):
            fresh = Path(tempfile.mkdtemp(dir=MANIFEST.parent))
            try:
                packages = make(fresh)
                fresh.chmod(0o755)
                after = manifest(fresh, packages)
                shutil.rmtree(VENDOR, ignore_errors=True)
                fresh.rename(VENDOR)
                MANIFEST.write_text(json.dumps(after, indent=2) + "\n")
            finally:
                shutil.rmtree(fresh, ignore_errors=True)
    print(f"vendored in {VENDOR.relative_to(ROOT)}: {', '.join(packages)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
