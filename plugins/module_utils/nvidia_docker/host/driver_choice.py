# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which candidates are the driver's and belong into a driver volume. Opens the files."""

from __future__ import annotations

import json
import os
import re
import shlex
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ..driver_files import (
    ALL_CAPABILITIES,
    ENTRIES,
    ESSENTIAL_LIBRARY,
    ConfigurationFile,
    DriverCapability,
    Library,
    driver_version_of,
    library_name,
    needed_for,
    with_implied,
)
from ..errors import DriverFilesError
from . import elf
from .driver_candidates import Candidate
from .driver_root import DriverRoot
from .library_search import LIB32, LIB64, MACHINES, Machine, by_cache, machines

SAFE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]*")
"""Names of files and links in a volume."""
_MODERN_TLS = (3, 99)
"""NVIDIA marks the TLS library for kernels with thread-local storage as ABI 2.3.99."""
_LARGEST_TEXT = 1024 * 1024
_TEXTS = (".json", ".icd")
_WRITABLE_BY_OTHERS = 0o022
_MACHINE_NAMES = {elf.EM_386: "i386", **{m.elf_machine: m.name for m in MACHINES}}


@dataclass(frozen=True)
class Choice:
    """What belongs into a volume."""

    files: tuple[Candidate, ...]
    symlinks: tuple[tuple[str, str], ...]
    """(``lib64/libcuda.so.1``, ``libcuda.so.550.54.15``)."""
    warnings: tuple[str, ...]


def choose(
    root: Path,
    found: tuple[Candidate, ...],
    version: str,
    capabilities: Iterable[DriverCapability] = ALL_CAPABILITIES,
    machine: str | None = None,
) -> Choice:
    """Return which candidates are the driver's of this version, and the links beside them.

    Only files of ``capabilities`` and of those that they imply; 32-bit libraries only with
    ``compat32``. Of two files that programs would look for under one name the first wins. Raises
    DriverFilesError if there is no 64-bit libnvidia-ml of this version (then there is no such
    driver here), and if others than root could write to a file that nothing can stand in for.
    """
    tree = DriverRoot(root)
    warnings = []
    try:
        by_cache(tree, machine)
    except DriverFilesError as error:
        warnings.append(f"the usual library directories were searched: {error}")
    essential = [c for c in found if c.catalogue_name == ESSENTIAL_LIBRARY]
    native = _native(tree, essential, version, machine)
    if native is None:
        seen = ", ".join(c.origin for c in essential) or "none at all"
        raise DriverFilesError(
            f"found no 64-bit {ESSENTIAL_LIBRARY}.so of driver {version} in {tree.on_host('/')}: "
            f"the loader's cache and the usual library directories lead to {seen}; install that "
            "driver's libraries and run ldconfig"
        )
    chooser = _Chooser(tree, native, version, with_implied(capabilities), warnings)
    for candidate in found:
        chooser.look_at(candidate)
    return chooser.choice()


def _native(
    root: DriverRoot, essential: Iterable[Candidate], version: str, host: str | None
) -> Machine | None:
    """Return the machine of this driver: the host's, else the one that libnvidia-ml is for."""
    found = []
    for candidate in essential:
        if candidate.directory == LIB64 and _version_of(candidate) in (version, None):
            try:
                found.append(elf.read(root.on_host(candidate.origin)).machine)
            except DriverFilesError:
                continue
    return next((machine for machine in machines(host) if machine.elf_machine in found), None)


def _version_of(candidate: Candidate) -> str | None:
    entry = ENTRIES[candidate.catalogue_name]
    return driver_version_of(candidate.file_name) if isinstance(entry, Library) else None


class _Chooser:
    def __init__(
        self,
        root: DriverRoot,
        native: Machine,
        version: str,
        capabilities: frozenset[DriverCapability],
        warnings: list[str],
    ) -> None:
        self._root = root
        self._native = native
        self._version = version
        self._capabilities = capabilities
        self._twins = native.has_twins and DriverCapability.COMPAT32 in capabilities
        self._warnings = warnings
        self._other_versions: dict[str, list[str]] = {}
        self._refused: list[tuple[Candidate, str]] = []
        self._taken: dict[str, Candidate] = {}
        self._symlinks: dict[str, str] = {}
        self._files: list[Candidate] = []

    def look_at(self, candidate: Candidate) -> None:
        if not self._is_asked_for(candidate):
            return
        version = _version_of(candidate)
        if version not in (self._version, None):
            self._other_versions.setdefault(version or "", []).append(candidate.origin)
            return
        try:
            names = self._names(candidate)
        except DriverFilesError as error:
            self._warn(candidate, str(error))
            return
        for name in names:
            winner = self._taken.get(f"{candidate.directory}/{name}")
            if winner is not None:
                self._warn(candidate, f"{name} is already {winner.origin}")
                return
        if names and _is_safe(candidate):
            self._take(candidate, names)
        elif names:
            self._refused.append((candidate, names[-1]))

    def _is_asked_for(self, candidate: Candidate) -> bool:
        entry = ENTRIES[candidate.catalogue_name]
        if not needed_for(candidate.catalogue_name) & self._capabilities:
            return False
        if candidate.directory == LIB32:
            return self._twins
        if isinstance(entry, ConfigurationFile) and entry.machine is not None:
            return entry.machine == self._native.name or (entry.machine == "i686" and self._twins)
        return True

    def _names(self, candidate: Candidate) -> tuple[str, ...]:
        """Return the names that it takes in its directory, the one that programs use last.

        None if it is other software's. Raises DriverFilesError if it can't be used.
        """
        entry = ENTRIES[candidate.catalogue_name]
        names = [candidate.file_name]
        if isinstance(entry, ConfigurationFile):
            _check_text(self._root.on_host(candidate.origin), candidate)
        else:
            facts = elf.read(self._root.on_host(candidate.origin))
            self._check_machine(candidate, facts)
            if isinstance(entry, Library):
                if _is_foreign(entry, facts):
                    return ()
                names += [facts.soname] if facts.soname is not None else []
        for name in names:
            if not SAFE_NAME.fullmatch(name):
                raise DriverFilesError(f"{name!r} is no name for a driver file")
        return tuple(names)

    def _check_machine(self, candidate: Candidate, facts: elf.Elf) -> None:
        expected = elf.EM_386 if candidate.directory == LIB32 else self._native.elf_machine
        if facts.machine != expected:
            actual = _MACHINE_NAMES.get(facts.machine, f"machine {facts.machine}")
            raise DriverFilesError(
                f"it is a file of {facts.bits} bits for {actual}, "
                f"{candidate.directory} is for {_MACHINE_NAMES[expected]}"
            )

    def _take(self, candidate: Candidate, names: Iterable[str]) -> None:
        self._files.append(candidate)
        for name in names:
            path = f"{candidate.directory}/{name}"
            self._taken[path] = candidate
            if name != candidate.file_name:
                self._symlinks[path] = candidate.file_name

    def _warn(self, candidate: Candidate, reason: str) -> None:
        self._warnings.append(f"left out {candidate.origin}: {reason}")

    def choice(self) -> Choice:
        """Return what was chosen. Raises DriverFilesError if a refused file has no stand-in."""
        needed = []
        for candidate, name in self._refused:
            if f"{candidate.directory}/{name}" in self._taken:
                self._warn(candidate, f"{_ownership(candidate)}: others than root can change it")
            else:
                needed.append(candidate)
        if needed:
            raise _refusal(self._root, needed)
        for candidate in self._files:
            entry = ENTRIES[candidate.catalogue_name]
            if isinstance(entry, Library) and entry.link is not None:
                path = f"{candidate.directory}/{entry.link}"
                if path not in self._taken:
                    self._taken[path] = candidate
                    self._symlinks[path] = candidate.file_name
        for version, origins in self._other_versions.items():
            self._warnings.append(
                f"left out files of driver {version}, this is {self._version}: {', '.join(origins)}"
            )
        return Choice(
            tuple(self._files), tuple(sorted(self._symlinks.items())), tuple(self._warnings)
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


def _check_text(path: str, candidate: Candidate) -> None:
    """Raise DriverFilesError if a configuration file is too large, or JSON that can't be read."""
    if not candidate.catalogue_name.endswith(_TEXTS):
        return
    if candidate.size > _LARGEST_TEXT:
        raise DriverFilesError(f"it has {candidate.size} bytes, at most {_LARGEST_TEXT} are right")
    if not candidate.catalogue_name.endswith(".json"):
        return
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
        with open(descriptor, "rb") as file:
            json.loads(file.read(_LARGEST_TEXT + 1))
    except OSError as error:
        raise DriverFilesError(f"can't read it: {os.strerror(error.errno or 0)}") from error
    except (ValueError, RecursionError) as error:
        raise DriverFilesError(f"it is no JSON: {error}") from error


def _is_safe(candidate: Candidate) -> bool:
    """Tell whether root alone (or the user who runs this) can change what containers will run."""
    return _has_right_owner(candidate) and not candidate.mode & _WRITABLE_BY_OTHERS


def _has_right_owner(candidate: Candidate) -> bool:
    return candidate.owner in (0, os.geteuid())


def _ownership(candidate: Candidate) -> str:
    return f"it belongs to user {candidate.owner} and has mode {candidate.mode:04o}"


def _refusal(root: DriverRoot, needed: Iterable[Candidate]) -> DriverFilesError:
    """Return the error that names every refused file and the command that mends them all."""
    what = [f"{root.on_host(c.origin)} (user {c.owner}, mode {c.mode:04o})" for c in needed]
    commands = []
    for command, files in (
        ("chown root", [c for c in needed if not _has_right_owner(c)]),
        ("chmod go-w", [c for c in needed if c.mode & _WRITABLE_BY_OTHERS]),
    ):
        if files:
            names = " ".join(shlex.quote(root.on_host(c.origin)) for c in files)
            commands.append(f"{command} {names}")
    return DriverFilesError(
        f"others than root can change {', '.join(what)}, which containers would run; "
        f"run: {' && '.join(commands)}"
    )
