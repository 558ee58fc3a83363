# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where this machine has the files of the catalogue, and which of them are the driver's.

Two steps, so that a second look costs no open(): ``candidates`` only resolves names and calls
stat, ``choose`` opens the ELF files. A driver root other than ``/`` is a tree with its own
/etc/ld.so.cache; absolute symbolic links in it are taken as inside it.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path

from ..driver_files import (
    BINARIES,
    BINARY_DIRECTORIES,
    ESSENTIAL_LIBRARY,
    LIBRARIES,
    Library,
    driver_version_of,
    library_name,
)
from ..errors import DriverFilesError
from . import elf, ldcache

BIN, LIB32, LIB64 = "bin", "lib", "lib64"
DIRECTORIES = (BIN, LIB32, LIB64)
"""Of a driver volume (v1)."""

_DIRECTORY_OF_ABI = {
    ldcache.Abi.X86_64: LIB64,
    ldcache.Abi.AARCH64: LIB64,
    ldcache.Abi.I386: LIB32,
}
_BITS = {LIB32: 32, LIB64: 64}
_LIBRARIES = {library.name: library for library in LIBRARIES}
_MODERN_TLS = (3, 99)
"""NVIDIA marks the TLS library for kernels with thread-local storage as ABI 2.3.99."""
SAFE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]*")
"""Names of files and links in a volume."""
_MOST_LINKS = 40


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

    @property
    def path(self) -> str:
        """Where it is in a volume: ``lib64/libcuda.so.550.54.15``."""
        return f"{self.directory}/{self.file_name}"


@dataclass(frozen=True)
class Choice:
    """What belongs into a volume."""

    files: tuple[Candidate, ...]
    symlinks: tuple[tuple[str, str], ...]
    """(``lib64/libcuda.so.1``, ``libcuda.so.550.54.15``)."""
    warnings: tuple[str, ...]


def resolve(root: str, path: str) -> str | None:
    """Return ``path`` without symbolic links, as seen in ``root``; ``None`` if nothing is there.

    A link that points out of ``root`` is followed inside of it, as after chroot.
    """
    base = root.rstrip("/")
    pending = path.split("/")[::-1]
    resolved = ""
    links = 0
    while pending:
        part = pending.pop()
        if part in ("", "."):
            continue
        if part == "..":
            resolved = resolved.rpartition("/")[0]
            continue
        try:
            target = os.readlink(f"{base}{resolved}/{part}")
        except OSError as error:
            if error.errno != errno.EINVAL:
                return None
            resolved = f"{resolved}/{part}"
            continue
        except ValueError:
            return None
        links += 1
        if links > _MOST_LINKS:
            return None
        if target.startswith("/"):
            resolved = ""
        pending += target.split("/")[::-1]
    return resolved or "/"


def candidates(root: Path) -> tuple[Candidate, ...]:
    """Return the files of the catalogue, in the order of the loader's cache, then the programs.

    Opens nothing but /etc/ld.so.cache. Raises DriverFilesError if that can't be read.
    """
    base = str(root)
    cache = resolve(base, ldcache.CACHE) or ldcache.CACHE
    found: dict[tuple[str | None, str], Candidate] = {}

    def add(path: str, directory: str, catalogue_name: str, file_name: str | None) -> None:
        origin = resolve(base, path)
        if origin is None or (file_name, origin) in found:
            return
        try:
            status = os.lstat(base.rstrip("/") + origin)
        except FileNotFoundError:
            return
        if stat.S_ISREG(status.st_mode):
            found[file_name, origin] = Candidate(
                directory=directory,
                catalogue_name=catalogue_name,
                file_name=file_name or os.path.basename(origin),
                origin=origin,
                inode=status.st_ino,
                size=status.st_size,
                modified_ns=status.st_mtime_ns,
            )

    for entry in ldcache.read(Path(base.rstrip("/") + cache)):
        name = library_name(entry.name)
        if name in _LIBRARIES:
            add(entry.path, _DIRECTORY_OF_ABI[entry.abi], name, None)
    for binary in BINARIES:
        for directory in BINARY_DIRECTORIES:
            add(f"{directory}/{binary.name}", BIN, binary.name, binary.name)
    return tuple(found.values())


def choose(root: Path, found: tuple[Candidate, ...], version: str) -> Choice:
    """Return which candidates are the driver's of this version, and the links beside them.

    Of two files that programs would look for under one name the first wins. Raises DriverFilesError
    if there is no 64-bit libnvidia-ml of this version: then there is no such driver here.
    """
    chooser = _Chooser(str(root), version)
    for candidate in found:
        chooser.look_at(candidate)
    if not any(
        c.directory == LIB64 and c.catalogue_name == ESSENTIAL_LIBRARY for c in chooser.files
    ):
        seen = [c.origin for c in found if c.catalogue_name == ESSENTIAL_LIBRARY]
        raise DriverFilesError(
            f"found no 64-bit {ESSENTIAL_LIBRARY}.so of driver {version}: the loader's cache "
            f"{str(root).rstrip('/')}{ldcache.CACHE} leads to {', '.join(seen) or 'none at all'}; "
            "install that driver's libraries and run ldconfig"
        )
    return chooser.choice()


class _Chooser:
    def __init__(self, root: str, version: str) -> None:
        self._base = root.rstrip("/")
        self._version = version
        self._taken: dict[str, Candidate] = {}
        self._other_versions: dict[str, list[str]] = {}
        self._warnings: list[str] = []
        self._symlinks: dict[str, str] = {}
        self.files: list[Candidate] = []

    def look_at(self, candidate: Candidate) -> None:
        version = driver_version_of(candidate.file_name)
        if version is not None and version != self._version and candidate.directory != BIN:
            self._other_versions.setdefault(version, []).append(candidate.origin)
            return
        try:
            facts = elf.read(self._base + candidate.origin)
        except DriverFilesError as error:
            self._warn(candidate, str(error))
            return
        names = [candidate.file_name]
        library = None if candidate.directory == BIN else _LIBRARIES[candidate.catalogue_name]
        if library is not None:
            if facts.bits != _BITS[candidate.directory]:
                self._warn(
                    candidate, f"a file of {facts.bits} bits can't be in {candidate.directory}"
                )
                return
            if _is_foreign(library, facts):
                return
            names += [facts.soname] if facts.soname is not None else []
        unsafe = [name for name in names if not SAFE_NAME.fullmatch(name)]
        if unsafe:
            self._warn(candidate, f"{unsafe[0]!r} is no name for a driver file")
            return
        for name in names:
            winner = self._taken.get(f"{candidate.directory}/{name}")
            if winner is not None:
                self._warn(candidate, f"{name} is already {winner.origin}")
                return
        self._take(candidate, names, library)

    def _take(self, candidate: Candidate, names: list[str], library: Library | None) -> None:
        self.files.append(candidate)
        for name in names:
            path = f"{candidate.directory}/{name}"
            self._taken[path] = candidate
            if name != candidate.file_name:
                self._symlinks[path] = candidate.file_name

    def _warn(self, candidate: Candidate, reason: str) -> None:
        self._warnings.append(f"left out {candidate.origin}: {reason}")

    def choice(self) -> Choice:
        for candidate in self.files:
            library = None if candidate.directory == BIN else _LIBRARIES[candidate.catalogue_name]
            if library is not None and library.link is not None:
                path = f"{candidate.directory}/{library.link}"
                if path not in self._taken:
                    self._taken[path] = candidate
                    self._symlinks[path] = candidate.file_name
        for version, origins in self._other_versions.items():
            self._warnings.append(
                f"left out files of driver {version}, this is {self._version}: {', '.join(origins)}"
            )
        return Choice(
            tuple(self.files), tuple(sorted(self._symlinks.items())), tuple(self._warnings)
        )


def _is_foreign(library: Library, facts: elf.Elf) -> bool:
    """Tell whether it is other software's file of that name (v1's rules)."""
    needed = {library_name(name) for name in facts.needed}
    if library.needs_one_of and not needed.intersection(library.needs_one_of):
        return True
    return (
        library.modern_tls_only
        and facts.kernel_abi is not None
        and facts.kernel_abi[1:] != _MODERN_TLS
    )
