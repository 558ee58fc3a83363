# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Write down what Debian's packages of the NVIDIA driver put into a root (driver_packages.sh).

driver_packages.py ROOT: prints the record, as in tests/golden/driver_packages.

A record has the files of the driver, GLVND and Mesa's two vendor libraries, the symbolic links that
lead to them, and their entries of the loader's cache. Its file list is complete for these packages,
manual pages and the like apart.
"""

from __future__ import annotations

import json
import os
import re
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / ".dev"))

from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.errors import (
    DriverFilesError,
)
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.host import (
    driver_root,
    elf,
    ldcache,
)

DRIVER = "nvidia-graphics-drivers"
SOURCES = (DRIVER, "libglvnd", "mesa", "ocl-icd", "libvdpau", "nvidia-", "egl-", "glx-")
"""Source packages that are recorded; ``-`` at the end: all that begin so."""
_OF_MESA = re.compile(r"lib(EGL|GLX)_mesa\.so|50_mesa\.json")
_UNIMPORTANT = re.compile(
    r"/etc/(init|rc.)\.d/|/usr/share/(bug|doc|doc-base|lintian|locale|man|metainfo)/|.*\.gz$"
)
_TEXT = re.compile(r".*\.(json|icd|conf)")
_LONGEST_TEXT = 4096
_MACHINES = {elf.EM_X86_64: "x86_64", elf.EM_AARCH64: "aarch64"}
INFO = "var/lib/dpkg/info"


class Packages:
    """What dpkg's database in a root says of the packages that are recorded."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self.source_versions: dict[str, str] = {}
        self._lists: list[tuple[str, str, Path]] = []
        self._diversions = diversions(root)
        for paragraph in (root / "var/lib/dpkg/status").read_text().split("\n\n"):
            field: dict[str, str] = dict(
                re.findall(r"^([A-Z][A-Za-z-]*): *(.*)$", paragraph, re.MULTILINE)
            )
            if not field:
                continue
            # A source has a version of its own in parentheses where it is not the binary's.
            source, _separator, version = field.get("Source", field["Package"]).partition(" ")
            if source.startswith(tuple(s for s in SOURCES if s.endswith("-"))) or source in SOURCES:
                self.source_versions[source] = version.strip("()") or field["Version"]
                self._lists.append((source, field["Package"], self._list(field)))

    def _list(self, field: dict[str, str]) -> Path:
        name = field["Package"]
        paths = [self._root / INFO / f"{n}.list" for n in (f"{name}:{field['Architecture']}", name)]
        return next(path for path in paths if path.exists())

    @property
    def driver_version(self) -> str:
        return self.source_versions[DRIVER].rpartition("-")[0]

    def __iter__(self) -> Iterator[str]:
        """Yield the paths of all files, as they lie in the root."""
        for source, package, path in self._lists:
            for line in path.read_text().splitlines():
                diverted, by = self._diversions.get(line, (line, package))
                name = line if by == package else diverted
                if _UNIMPORTANT.match(name) or (source == "mesa" and not _OF_MESA.search(name)):
                    continue
                yield name


def diversions(root: Path) -> dict[str, tuple[str, str]]:
    path = root / "var/lib/dpkg/diversions"
    lines = path.read_text().splitlines() if path.exists() else []
    return {line: (lines[i + 1], lines[i + 2]) for i, line in enumerate(lines) if i % 3 == 0}


def record(root: Path) -> dict[str, Any]:
    """Return the record of a root."""
    packages = Packages(root)
    places = {place for path in packages if (place := _place(root, path)) is not None}
    files = {place for place in places if not os.path.islink(f"{root}{place}")}
    links = places - files | {f"/{name}" for name in os.listdir(root) if (root / name).is_symlink()}
    cache = [
        entry
        for entry in ldcache.read(root / ldcache.CACHE.lstrip("/"))
        if driver_root.DriverRoot(root).resolve(entry.path) in files
    ]
    for path in [*_links_to(root, files), *(entry.path for entry in cache), *sorted(links)]:
        links.update(_links_on(root, path))
    facts = {path: _facts(root, path) for path in sorted(files | links)}
    main = next(
        f["elf"]["machine"]
        for path, f in facts.items()
        if os.path.basename(path) == f"libnvidia-ml.so.{packages.driver_version}"
        and f["elf"]["bits"] == 64
    )
    versions = ", ".join(f"{n} {v}" for n, v in sorted(packages.source_versions.items()))
    return {
        "source": f"{(root / '.how').read_text().strip()}; sources: {versions}",
        "machine": _MACHINES[main],
        "driver_version": packages.driver_version,
        "files": [{"path": path, **fact} for path, fact in facts.items()],
        "cache": [[entry.name, entry.path, entry.abi.value] for entry in cache],
    }


def _place(root: Path, path: str) -> str | None:
    """Return a path with its directory resolved, ``None`` if it is a directory or not there."""
    directory, _separator, name = path.rpartition("/")
    parent = driver_root.DriverRoot(root).resolve(directory or "/")
    if parent is None or not name or name == ".":
        return None
    place = f"{parent.rstrip('/')}/{name}"
    full = f"{root}{place}"
    if not os.path.lexists(full) or (os.path.isdir(full) and not os.path.islink(full)):
        return None
    return place


def _links_to(root: Path, files: set[str]) -> Iterator[str]:
    """Yield the symbolic links of the whole root that lead to one of the files."""
    for directory, _names, names in os.walk(root):
        for name in names:
            if os.path.islink(f"{directory}/{name}"):
                path = f"{directory}/{name}"[len(str(root)) :]
                if (
                    not _UNIMPORTANT.match(path)
                    and driver_root.DriverRoot(root).resolve(path) in files
                ):
                    yield path


def _links_on(root: Path, path: str) -> Iterator[str]:
    """Yield every symbolic link that is followed on the way to a path, with the path itself."""
    pending, done = path.split("/")[::-1], ""
    seen: set[str] = set()
    while pending:
        part = pending.pop()
        if part in ("", "."):
            continue
        if part == "..":
            done = done.rpartition("/")[0]
            continue
        step = f"{done}/{part}"
        if not os.path.islink(f"{root}{step}"):
            done = step
            continue
        if step in seen:
            return
        seen.add(step)
        yield step
        target = os.readlink(f"{root}{step}")
        done = "" if target.startswith("/") else done
        pending += target.split("/")[::-1]


def _facts(root: Path, path: str) -> dict[str, Any]:
    full = f"{root}{path}"
    status = os.lstat(full)
    if stat.S_ISLNK(status.st_mode):
        return {"link": os.readlink(full)}
    facts: dict[str, Any] = {"mode": f"{stat.S_IMODE(status.st_mode):o}", "size": status.st_size}
    try:
        found = elf.read(full)
    except DriverFilesError:
        if _TEXT.fullmatch(path) and status.st_size <= _LONGEST_TEXT:
            facts["text"] = Path(full).read_text()
        return facts
    facts["elf"] = {
        "machine": found.machine,
        "bits": found.bits,
        "soname": found.soname,
        "needed": list(found.needed),
        "kernel_abi": found.kernel_abi and list(found.kernel_abi),
    }
    return facts


def as_text(what: dict[str, Any]) -> str:
    """Return JSON with one line per file and cache entry."""
    parts = []
    for key, value in what.items():
        text = json.dumps(value)
        if isinstance(value, list):
            text = "[\n" + ",\n".join(f"    {json.dumps(line)}" for line in value) + "\n  ]"
        parts.append(f"  {json.dumps(key)}: {text}")
    return "{\n" + ",\n".join(parts) + "\n}\n"


def main(arguments: list[str]) -> int:
    if len(arguments) != 1:
        print(__doc__, file=sys.stderr)
        return 2
    sys.stdout.write(as_text(record(Path(arguments[0]).resolve())))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
