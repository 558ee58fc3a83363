# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Is a driver volume right? Compares its tree, its manifest and this machine's driver files."""

from __future__ import annotations

import os
import stat
from collections.abc import Container, Iterator
from pathlib import Path

from . import manifest as manifests
from .driver_candidates import Candidate, directories_of
from .manifest import Link, Manifest, Record

DIRECTORY_MODE = 0o755


def differences(
    path: Path, manifest: Manifest, found: tuple[Candidate, ...], driver_root: Path, version: str
) -> tuple[str, ...]:
    """Return why the volume at ``path`` is not what ``found`` would give; empty if it is right.

    Only stat calls: the same candidates as when it was made give the same choice.
    """
    if manifest.driver_version != version:
        return (f"its manifest is of driver {manifest.driver_version}",)
    recorded = {(r.candidate.path, r.candidate.origin): r for r in manifest.records}
    current = {(c.path, c.origin): c for c in found}
    unlike = [f"{origin} is new on this host" for _path, origin in current.keys() - recorded.keys()]
    unlike += [f"{origin} is no longer there" for _path, origin in recorded.keys() - current.keys()]
    if list(recorded) != list(current) and not unlike:
        unlike.append("the order in the loader's cache changed")
    for key, candidate in current.items():
        record = recorded.get(key)
        if record is not None and not _is_same(candidate, record):
            unlike.append(f"{candidate.origin} is another file than before")
    if not unlike:
        unlike += _disagreements(path, manifest, driver_root)
    return tuple(sorted(unlike))


def _is_same(candidate: Candidate, record: Record) -> bool:
    """A hard link sees writes to its origin by itself; for a copy the origin's time tells."""
    before = record.candidate
    same = ("inode", "size", "owner", "mode")
    return all(getattr(candidate, name) == getattr(before, name) for name in same) and (
        record.link is not Link.COPY or candidate.modified_ns == before.modified_ns
    )


def _disagreements(path: Path, manifest: Manifest, driver_root: Path) -> Iterator[str]:
    """Yield where the tree is not as the manifest says."""
    directories = directories_of(manifest.paths)
    for directory in (path, *(path / name for name in directories)):
        status = status_of(directory)
        if status is None or not stat.S_ISDIR(status.st_mode):
            yield f"{directory} is no directory"
        elif stat.S_IMODE(status.st_mode) != DIRECTORY_MODE:
            yield f"{directory} has mode {stat.S_IMODE(status.st_mode):04o}"
        elif status.st_uid not in (0, os.geteuid()):
            yield f"{directory} belongs to user {status.st_uid}"
    expected = {manifests.FILE_NAME, *manifest.paths}
    for stray in sorted(set(_names(path, directories)) - expected):
        yield f"{stray} does not belong there"
    for record in manifest.files:
        candidate = record.candidate
        status = status_of(path / candidate.path)
        if status is None or not stat.S_ISREG(status.st_mode):
            yield f"{candidate.path} is missing"
        elif record.link is Link.HARD:
            origin = status_of(Path(str(driver_root).rstrip("/") + candidate.origin))
            if origin is None or (status.st_dev, status.st_ino) != (origin.st_dev, origin.st_ino):
                yield f"{candidate.path} is not {candidate.origin}"
        elif (status.st_size, status.st_mtime_ns) != (candidate.size, candidate.modified_ns):
            yield f"{candidate.path} was changed"
    for name, target in manifest.symlinks:
        if not (path / name).is_symlink() or os.readlink(path / name) != target:
            yield f"{name} does not lead to {target}"


def tree(path: Path, manifest: Manifest | None) -> tuple[str, ...]:
    """Return what is in a volume, one line per name.

    A copy is shown with its origin's inode, as in what the volume has to be.
    """
    copies = {
        record.candidate.path: record.candidate.inode
        for record in (manifest.files if manifest else ())
        if record.link is Link.COPY
    }
    lines = []
    directories = directories_of(manifest.paths if manifest else ())
    for name in _names(path, directories):
        status = status_of(path / name)
        if name == manifests.FILE_NAME or status is None:
            continue
        if stat.S_ISLNK(status.st_mode):
            lines.append(f"{name} -> {os.readlink(path / name)}")
        else:
            lines.append(line(name, copies.get(name, status.st_ino), status.st_size))
    return tuple(sorted(lines))


def line(name: str, inode: int, size: int) -> str:
    """Return how a file is shown in a diff."""
    return f"{name} (inode {inode}, {size} bytes)"


def _names(path: Path, expected: Container[str]) -> Iterator[str]:
    """Yield everything in a volume but the directories that it has to have, relative to it."""
    for top, directories, files in os.walk(path):
        inside = os.path.relpath(top, path)
        for name in files + directories:
            relative = name if inside == "." else f"{inside}/{name}"
            if name in files or relative not in expected:
                yield relative


def status_of(path: Path) -> os.stat_result | None:
    """Return lstat's answer, ``None`` if there is no such name."""
    try:
        return os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
