# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The files in a driver root that the catalogue names, by name and stat alone.

A second look at a driver volume needs no more than this: it opens nothing but the loader's cache.
"""

from __future__ import annotations

import fnmatch
import os
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ..driver_files import (
    BINARIES,
    BINARY_DIRECTORIES,
    CONFIGURATION_DIRECTORIES,
    CONFIGURATION_FILES,
    ESSENTIAL_LIBRARY,
    FIRMWARE,
    driver_version_of,
)
from ..errors import DriverFilesError
from .driver_root import DriverRoot
from .library_search import LIB32, LIB64, by_cache, by_directory

BIN, SHARE = "bin", "share"
TOP_DIRECTORIES = (BIN, LIB32, LIB64, SHARE)
"""Of every driver volume, empty or not: v1's three, and one for configuration files."""
DIRECTORIES = frozenset(TOP_DIRECTORIES) | {
    f"{SHARE}/{os.path.dirname(file.name)}" for file in CONFIGURATION_FILES
}
"""Every directory that a driver volume may have files in."""


@dataclass(frozen=True)
class Candidate:
    """A file that the catalogue names and this machine has."""

    directory: str
    """Of ``DIRECTORIES``."""
    catalogue_name: str
    file_name: str
    """In the volume."""
    origin: str
    """Under the driver root, without symbolic links."""
    inode: int
    size: int
    modified_ns: int
    owner: int
    mode: int
    """The permission bits."""

    @property
    def path(self) -> str:
        """Where it is in a volume: ``lib64/libcuda.so.550.54.15``."""
        return f"{self.directory}/{self.file_name}"


def directories_of(paths: Iterable[str]) -> tuple[str, ...]:
    """Return the directories of a volume with these paths in it, parents first."""
    found = dict.fromkeys(TOP_DIRECTORIES)
    for path in sorted(paths):
        parts = path.split("/")[:-1]
        for length in range(1, len(parts) + 1):
            found["/".join(parts[:length])] = None
    return tuple(found)


def candidates(root: Path, machine: str | None = None) -> tuple[Candidate, ...]:
    """Return the files of the catalogue: libraries, then programs, then configuration files.

    Libraries come in the order of the loader's cache, or of the usual directories if that does not
    know the driver. They are those of ``machine`` (the host's, by default) if it has a driver in
    this root, else of the one that has. Opens nothing but the cache.
    """
    tree = DriverRoot(root)
    found: dict[tuple[str, str], Candidate] = {}

    def add(path: str, directory: str, catalogue_name: str, file_name: str | None = None) -> None:
        file = tree.file(path)
        if file is None:
            return
        origin, status = file
        name = os.path.basename(origin) if file_name is None else file_name
        if (f"{directory}/{name}", origin) not in found:
            found[f"{directory}/{name}", origin] = Candidate(
                directory=directory,
                catalogue_name=catalogue_name,
                file_name=name,
                origin=origin,
                inode=status.st_ino,
                size=status.st_size,
                modified_ns=status.st_mtime_ns,
                owner=status.st_uid,
                mode=stat.S_IMODE(status.st_mode),
            )

    try:
        libraries = by_cache(tree, machine)
    except DriverFilesError:
        libraries = by_directory(tree, machine)
    for where in libraries:
        add(where.path, where.directory, where.library)
    for binary in BINARIES:
        for place in BINARY_DIRECTORIES:
            add(f"{place}/{binary.name}", BIN, binary.name, binary.name)
    for file in CONFIGURATION_FILES:
        below, _separator, name = file.name.rpartition("/")
        places = [
            f"{place}/{other}"
            for other in (file.name, *file.other_names)
            for place in CONFIGURATION_DIRECTORIES
        ]
        places += [
            f"{os.path.dirname(candidate.origin)}/{name}"
            for candidate in found.values()
            if candidate.catalogue_name == file.beside
        ]
        for path in places:
            add(path, f"{SHARE}/{below}", file.name, name)
    return tuple(found.values())


def version_of(found: Iterable[Candidate]) -> str | None:
    """Return the driver version by the files' own names, ``None`` if none tells.

    Of the first 64-bit libnvidia-ml that has one, else libcuda.
    """
    libraries = [candidate for candidate in found if candidate.directory == LIB64]
    for name in (ESSENTIAL_LIBRARY, "libcuda"):
        for candidate in libraries:
            version = driver_version_of(candidate.file_name)
            if candidate.catalogue_name == name and version is not None:
                return version
    return None


def firmware(root: Path, version: str) -> tuple[str, ...]:
    """Return the paths, as seen in ``root``, of this driver's firmware files, sorted by name.

    Of two of one name that which Linux loads: it looks below ``updates`` and a directory of its
    own release first (Documentation/driver-api/firmware/fw_search_path.rst).
    """
    tree = DriverRoot(root)
    release = os.uname().release
    found: dict[str, str] = {}
    for place in (f"updates/{release}", "updates", release, ""):
        directory = os.path.join("/lib/firmware", place, "nvidia", version)
        for name in fnmatch.filter(tree.names(directory), FIRMWARE):
            if name not in found and tree.file(f"{directory}/{name}") is not None:
                found[name] = f"{directory}/{name}"
    return tuple(path for _name, path in sorted(found.items()))
