# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Is a driver volume right? Compares its tree, its manifest and this machine's driver files."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Container, Iterator
from pathlib import Path

from . import manifest as manifests
from .driver_candidates import Candidate, directories_of
from .manifest import Link, Manifest, Record
from .volume_store import DIRECTORY_MODE, status_of


def differences(
    path: Path, manifest: Manifest, found: tuple[Candidate, ...], driver_root: Path, version: str
) -> tuple[str, ...]:
    """Return why the volume at ``path`` is not what ``found`` would give; empty if it is right.

    Only stat calls: the same candidates as when it was made give the same choice.
    """
    recorded = {(r.candidate.path, r.candidate.origin): r.candidate for r in manifest.records}
    current = {(c.path, c.origin): c for c in found}
    unlike = [f"{origin} is new on this host" for _path, origin in current.keys() - recorded.keys()]
    unlike += [f"{origin} is no longer there" for _path, origin in recorded.keys() - current.keys()]
    if list(recorded) != list(current) and not unlike:
        unlike.append("the order in the loader's cache changed")
    for key in current.keys() & recorded.keys():
        if current[key] != recorded[key]:
            unlike.append(f"{current[key].origin} is another file than before")
    if not unlike:
        unlike += damages(path, manifest, version)
    if not unlike:
        unlike += _other_devices(path, manifest, driver_root)
    return tuple(sorted(unlike))


def damages(path: Path, manifest: Manifest, version: str) -> tuple[str, ...]:
    """Return where the volume at ``path`` is not what its manifest says; only stat calls."""
    if manifest.driver_version != version:
        return (f"its manifest is of driver {manifest.driver_version}",)
    return tuple(sorted(_disagreements(path, manifest)))


def _disagreements(path: Path, manifest: Manifest) -> Iterator[str]:
    directories = directories_of(manifest.paths)
    for directory in (path, *(path / name for name in directories)):
        status = status_of(directory)
        if status is None or not stat.S_ISDIR(status.st_mode):
            yield f"{directory} is no directory"
        elif stat.S_IMODE(status.st_mode) != DIRECTORY_MODE:
            yield f"{directory} has mode {stat.S_IMODE(status.st_mode):04o}"
        elif status.st_uid not in (0, os.geteuid()):
            yield f"{directory} belongs to user {status.st_uid}"
    yield from _open_to_others(path / manifests.FILE_NAME)
    expected = {manifests.FILE_NAME, *manifest.paths}
    for stray in sorted(set(_names(path, directories)) - expected):
        yield f"{stray} does not belong there"
    for record in manifest.files:
        name = record.candidate.path
        status = status_of(path / name)
        if status is None or not stat.S_ISREG(status.st_mode):
            yield f"{name} is missing"
        elif not _is_as_recorded(status, record):
            yield f"{name} was changed"
    for name, target in manifest.symlinks:
        if _target(path / name) != target:
            yield f"{name} does not lead to {target}"


def _open_to_others(manifest: Path) -> Iterator[str]:
    """Who can write to the manifest could tell what is right."""
    status = status_of(manifest)
    if status is not None and stat.S_IMODE(status.st_mode) & 0o022:
        yield f"{manifests.FILE_NAME} has mode {stat.S_IMODE(status.st_mode):04o}"
    elif status is not None and status.st_uid not in (0, os.geteuid()):
        yield f"{manifests.FILE_NAME} belongs to user {status.st_uid}"


def _is_as_recorded(status: os.stat_result, record: Record) -> bool:
    """A copy has an inode of its own, the time of its origin, and is for nobody else to write."""
    candidate, mode = record.candidate, stat.S_IMODE(status.st_mode)
    if (status.st_size, status.st_mtime_ns) != (candidate.size, candidate.modified_ns):
        return False
    if record.link is Link.HARD:
        return (status.st_ino, mode) == (candidate.inode, candidate.mode)
    return mode == candidate.mode & DIRECTORY_MODE and status.st_uid in (0, os.geteuid())


def _other_devices(path: Path, manifest: Manifest, driver_root: Path) -> Iterator[str]:
    """Yield hard links whose inode is their origin's by number only."""
    base = str(driver_root).rstrip("/")
    for record in manifest.files:
        if record.link is Link.HARD:
            status = status_of(path / record.candidate.path)
            origin = status_of(Path(base + record.candidate.origin))
            if status is None or origin is None or not os.path.samestat(status, origin):
                yield f"{record.candidate.path} is not {record.candidate.origin}"


def tree(path: Path, manifest: Manifest | None) -> tuple[str, ...]:
    """Return what is in a volume, one line per name.

    A copy is shown with its origin's inode, as in what the volume has to be.
    """
    copies = {
        record.candidate.path: record.candidate.inode
        for record in (manifest.files if manifest else ())
        if record.link is not Link.HARD
    }
    lines = []
    directories = directories_of(manifest.paths if manifest else ())
    for name in _names(path, directories):
        status, target = status_of(path / name), _target(path / name)
        if name == manifests.FILE_NAME or status is None:
            continue
        if target is not None:
            lines.append(f"{name} -> {target}")
        else:
            lines.append(line(name, copies.get(name, status.st_ino), status.st_size))
    return tuple(sorted(lines))


def _target(path: Path) -> str | None:
    """Return where a symbolic link leads; ``None`` if it is none, or was removed meanwhile."""
    try:
        return os.readlink(path)
    except OSError as error:
        if error.errno in (errno.EINVAL, errno.ENOENT, errno.ENOTDIR):
            return None
        raise


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
