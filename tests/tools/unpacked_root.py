# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Make what the packages' scripts would have made in a root of arm64 that was only unpacked.

unpacked_root.py ROOT MODEL: dpkg's lists, the diversions and alternatives of MODEL, which is an
installed root of amd64, and the loader's cache.
"""

from __future__ import annotations

import os
import re
import shutil
import struct
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from driver_packages import INFO, DriverFilesError, diversions, driver_root, elf, ldcache

ARM = "aarch64-linux-gnu"


def complete(root: Path, model: Path) -> None:
    """Make dpkg's lists, diversions, alternatives and the loader's cache in an unpacked root."""
    _register(root)
    mapped = _to_arm(model)
    for path, (diverted, by) in diversions(model).items():
        if by != "glx-diversions" or not os.path.lexists(f"{root}{path}"):
            continue
        Path(f"{root}{diverted}").parent.mkdir(parents=True, exist_ok=True)
        os.rename(f"{root}{path}", f"{root}{diverted}")
    shutil.copy(model / "var/lib/dpkg/diversions", root / "var/lib/dpkg/diversions")
    _link_alternatives(root, mapped)
    entries = cache_entries(root, ARM, elf.EM_AARCH64)
    (root / ldcache.CACHE.lstrip("/")).write_bytes(_cache(entries))


def _register(root: Path) -> None:
    """Write dpkg's status and file lists out of the archives that were unpacked."""
    info = root / INFO
    info.mkdir(parents=True, exist_ok=True)
    status = []
    for archive in sorted((root / "var/cache/apt/archives").glob("*.deb")):
        control = _output("dpkg-deb", "--field", str(archive))
        name = re.search(r"^Package: (.*)$", control, re.MULTILINE)
        assert name is not None
        tar = subprocess.Popen(["dpkg-deb", "--fsys-tarfile", str(archive)], stdout=subprocess.PIPE)
        names = subprocess.run(
            ["tar", "-t"], stdin=tar.stdout, stdout=subprocess.PIPE, text=True, check=True
        ).stdout
        if tar.wait() != 0:
            raise SystemExit(f"Error: can't read {archive}")
        paths = [line[1:].rstrip("/") for line in names.splitlines()]
        (info / f"{name[1]}.list").write_text("\n".join(paths) + "\n")
        status.append(control.replace("\n", "\nStatus: install ok unpacked\n", 1).strip())
    (root / "var/lib/dpkg/status").write_text("\n\n".join(status) + "\n")


def _output(*command: str) -> str:
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout


def _to_arm(model: Path) -> dict[str, str]:
    """Return the links of an amd64 root's alternatives, and their targets, as arm64 has them."""
    amd, arm = "x86_64-linux-gnu", ARM
    found = {}
    for directory, _names, names in os.walk(model):
        _names.sort()
        for name in sorted(names) + [n for n in _names if os.path.islink(f"{directory}/{n}")]:
            path = f"{directory}/{name}"
            if not os.path.islink(path):
                continue
            target, inside = os.readlink(path), path[len(str(model)) :]
            base = os.path.basename(target if target.startswith("/etc/alternatives/") else path)
            if base.startswith(("glx", "nvidia")) and (
                inside.startswith("/etc/alternatives/") or target.startswith("/etc/alternatives/")
            ):
                found[inside.replace(amd, arm)] = target.replace(amd, arm)
    return found


def _link_alternatives(root: Path, links: dict[str, str]) -> None:
    """Make those links whose end the packages have."""
    made = []
    for path, target in links.items():
        place = Path(f"{root}{path}")
        if not os.path.lexists(place):
            place.parent.mkdir(parents=True, exist_ok=True)
            place.symlink_to(target)
            made.append(path)
    for path in made:
        if driver_root.DriverRoot(root).resolve(path) is None:
            os.unlink(f"{root}{path}")
    for path in made:
        directory = Path(f"{root}{path}").parent
        if directory.is_dir() and not any(directory.iterdir()):
            directory.rmdir()


def cache_entries(root: Path, triplet: str, machine: int) -> list[tuple[str, str]]:
    """Return (name, path) of the libraries in /lib/TRIPLET as ldconfig lists them."""
    directory = f"/lib/{triplet}"
    place = f"{root}{driver_root.DriverRoot(root).resolve(directory)}"
    found: dict[str, str] = {}
    for name in sorted(os.listdir(place)):
        origin = driver_root.DriverRoot(root).resolve(f"{directory}/{name}")
        if not re.fullmatch(r"(lib|ld-).*\.so(\..*)?", name) or origin is None:
            continue
        try:
            facts = elf.read(f"{root}{origin}")
        except DriverFilesError:
            continue
        if facts.machine == machine:
            soname = facts.soname or name
            found[soname] = f"{directory}/{soname}"
            # A link such as libcuda.so counts too, unless it is the linker's, beside its SONAME.
            link = os.readlink(f"{place}/{name}") if os.path.islink(f"{place}/{name}") else soname
            if name.endswith(".so") and link != soname:
                found[name] = f"{directory}/{name}"
    return sorted(found.items(), key=lambda entry: _library_key(entry[0]), reverse=True)


def _library_key(name: str) -> list[tuple[int, int, str]]:
    """Order names as glibc's _dl_cache_libcmp: numbers by value, after all other characters."""
    return [
        (1, int(part), "") if part.isdigit() else (0, 0, part)
        for part in re.findall(r"[0-9]+|[^0-9]", name)
    ]


def _cache(entries: Iterable[tuple[str, str]]) -> bytes:
    """Return a cache file of glibc's new format for aarch64."""
    entries = list(entries)
    header, entry = struct.Struct("<20sII20x"), struct.Struct("<iIIIQ")
    strings, table = b"", b""
    start = header.size + entry.size * len(entries)
    for name, path in entries:
        key = start + len(strings)
        strings += os.fsencode(name) + b"\0"
        value = start + len(strings)
        strings += os.fsencode(path) + b"\0"
        table += entry.pack(0x0A03, key, value, 0, 0)
    return header.pack(b"glibc-ld.so.cache1.1", len(entries), len(strings)) + table + strings


def main(arguments: list[str]) -> int:
    if len(arguments) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    complete(Path(arguments[0]).resolve(), Path(arguments[1]).resolve())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
