# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where a driver root has the libraries of the catalogue: by the loader's cache or by directory.

The loader's cache is what programs of the host go by. Where it does not know the driver (no
ldconfig was run, a root that is not the host's own) the directories are searched that the driver's
installer and the distributions' packages use. Neither way opens a library.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ..driver_files import ESSENTIAL_LIBRARY, LIBRARIES, library_name
from ..errors import DriverFilesError
from . import elf, ldcache
from .driver_root import DriverRoot

LIB32, LIB64 = "lib", "lib64"
"""Directories of a driver volume (v1)."""


@dataclass(frozen=True)
class Machine:
    """A kind of machine that has 64-bit drivers."""

    name: str
    """As ``uname -m`` says."""
    elf_machine: int
    abi: ldcache.Abi
    triplet: str
    has_twins: bool
    """Whether its drivers bring 32-bit (i386) twins."""


MACHINES = (
    Machine("x86_64", elf.EM_X86_64, ldcache.Abi.X86_64, "x86_64-linux-gnu", True),
    Machine("aarch64", elf.EM_AARCH64, ldcache.Abi.AARCH64, "aarch64-linux-gnu", False),
)
_TWIN_TRIPLET = "i386-linux-gnu"
_OLD_UBUNTU = re.compile(r"nvidia-([0-9]{3})")
_LIBRARIES = {library.name: library for library in LIBRARIES}


@dataclass(frozen=True)
class Located:
    """A name in a driver root that may lead to a library of the catalogue."""

    path: str
    directory: str
    """``lib`` or ``lib64`` of a driver volume."""
    library: str


def machines(host: str | None = None) -> tuple[Machine, ...]:
    """Return the machines in the order of preference: that of the host (``uname -m``) first."""
    name = os.uname().machine if host is None else host
    return tuple(sorted(MACHINES, key=lambda machine: machine.name != name))


def by_cache(root: DriverRoot, host: str | None = None) -> tuple[Located, ...]:
    """Return the libraries of one machine that the loader's cache names, in its order.

    Raises DriverFilesError with why it can't be gone by: it is missing or damaged, or leads to no
    64-bit libnvidia-ml.
    """
    cache = root.on_host(root.resolve(ldcache.CACHE) or ldcache.CACHE)
    entries = ldcache.read(Path(cache), lambda name: library_name(name) in _LIBRARIES)
    for machine in machines(host):
        directories = {machine.abi: LIB64}
        if machine.has_twins:
            directories[ldcache.Abi.I386] = LIB32
        located = [
            Located(entry.path, directories[entry.abi], library)
            for entry in entries
            for library in (library_name(entry.name),)
            if entry.abi in directories and library is not None
        ]
        if _has_driver(root, located):
            return tuple(located + list(_beside(root, located)))
    raise DriverFilesError(
        f"the loader's cache {cache} leads to no 64-bit {ESSENTIAL_LIBRARY}; run ldconfig"
    )


def _has_driver(root: DriverRoot, located: Iterable[Located]) -> bool:
    return any(
        where.library == ESSENTIAL_LIBRARY
        and where.directory == LIB64
        and root.file(where.path) is not None
        for where in located
    )


def _beside(root: DriverRoot, located: Iterable[Located]) -> Iterator[Located]:
    """Yield what the cache never lists since ldconfig does not look there, such as ``vdpau/``.

    It is in the directory of the other libraries, or, if that is the driver's own, above it.
    """
    places = []
    for where in located:
        for path in (where.path, root.resolve(where.path) or where.path):
            place = path.rpartition("/")[0]
            places.append((place, where.directory))
            above, _separator, name = place.rpartition("/")
            if name.startswith("nvidia"):
                places.append((above, where.directory))
    for place, directory in dict.fromkeys(places):
        yield from _beside_in(place, directory)


def _beside_in(place: str, directory: str) -> Iterator[Located]:
    for library in LIBRARIES:
        for name in library.beside:
            yield Located(f"{place}/{name}", directory, library.name)


def by_directory(root: DriverRoot, host: str | None = None) -> tuple[Located, ...]:
    """Return the libraries in the usual directories, by directory and name.

    A directory's name tells bits, not always the machine: for what else is in it look at the files.
    """
    seen: set[str] = set()
    located: list[Located] = []
    for machine in machines(host):
        located += _in_directories(root, _wide(root, machine), LIB64, seen)
        if _has_driver(root, located):
            break
    else:
        located += _in_directories(root, _UNNAMED, LIB64, seen)
    located += _in_directories(root, _narrow(root), LIB32, seen)
    # On RPM systems these have the twins; where there is no lib64, the libraries, as seen above.
    located += _in_directories(root, _UNNAMED, LIB32, seen)
    return tuple(located)


_UNNAMED = ("/usr/lib", "/usr/lib/nvidia", "/lib", "/usr/local/lib")
"""Directories whose names don't tell for how many bits their libraries are."""


def _wide(root: DriverRoot, machine: Machine) -> tuple[str, ...]:
    old_ubuntu = _old_ubuntu(root, "/usr/lib") if machine.has_twins else ()
    return (
        f"/usr/lib/{machine.triplet}",
        f"/usr/lib/{machine.triplet}/nvidia/current",
        "/usr/lib64",
        "/usr/lib64/nvidia",
        f"/lib/{machine.triplet}",
        f"/lib/{machine.triplet}/nvidia/current",
        "/lib64",
        f"/usr/local/lib/{machine.triplet}",
        "/usr/local/lib64",
        *old_ubuntu,
    )


def _narrow(root: DriverRoot) -> tuple[str, ...]:
    return (
        f"/usr/lib/{_TWIN_TRIPLET}",
        f"/usr/lib/{_TWIN_TRIPLET}/nvidia/current",
        "/usr/lib32",
        f"/lib/{_TWIN_TRIPLET}",
        f"/lib/{_TWIN_TRIPLET}/nvidia/current",
        "/lib32",
        f"/usr/local/lib/{_TWIN_TRIPLET}",
        "/usr/local/lib32",
        *_old_ubuntu(root, "/usr/lib32"),
    )


def _old_ubuntu(root: DriverRoot, parent: str) -> tuple[str, ...]:
    """Return ``/usr/lib/nvidia-384`` …, of Ubuntu's packages up to 16.04, the newest first."""
    names = [name for name in root.names(parent) if _OLD_UBUNTU.fullmatch(name)]
    return tuple(f"{parent}/{name}" for name in names[::-1])


def _in_directories(
    root: DriverRoot, places: Iterable[str], directory: str, seen: set[str]
) -> Iterator[Located]:
    for place in places:
        resolved = root.resolve(place)
        if resolved is None or resolved in seen:
            continue
        seen.add(resolved)
        # Old drivers have the library for kernels with thread-local storage in tls/.
        for below in (place, f"{place}/tls"):
            for name in root.names(below):
                library = library_name(name)
                if library in _LIBRARIES:
                    yield Located(f"{below}/{name}", directory, library)
        yield from _beside_in(place, directory)
