# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Driver volumes: ``<root>/nvidia_driver/<version>/{bin,lib,lib64}``, v1's place and tree.

What exists is trusted only as far as its manifest, the tree and this machine's driver files agree.
"""

from __future__ import annotations

import fcntl
import os
import re
import secrets
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ..errors import DriverVolumeError, InvalidInput, UnknownVolume
from ..injection import VOLUME_KIND, VolumeName
from . import manifest as manifests
from .driver_candidates import Candidate, candidates
from .driver_choice import Choice, choose
from .durable import sync_directory
from .manifest import Manifest
from .volume_builder import build, put_in_place
from .volume_check import DIRECTORY_MODE, differences, line, status_of, tree

VOLUMES_ROOT = "/var/lib/nvidia-docker/volumes"

_VERSION = re.compile(r"[0-9]+(\.[0-9]+)*")
_RANDOM_BYTES = 4


@dataclass(frozen=True)
class Comparison:
    """A driver volume as it is and as it has to be."""

    path: Path
    differences: tuple[str, ...]
    """Why it has to be made (again); empty if it is right."""
    before: tuple[str, ...]
    """One line per file and symbolic link."""
    after: tuple[str, ...]
    files: tuple[str, ...]
    """As it has to be: relative paths, sorted."""
    link: str | None
    """``hard``, ``copy`` or ``mixed``; ``None`` if it has to be made."""
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class Made:
    """A driver volume that is right."""

    changed: bool
    path: Path
    files: tuple[str, ...]
    """Relative paths of files and symbolic links, sorted."""
    link: str | None
    """``hard``, ``copy``, or ``mixed`` if only some files could be linked."""
    warnings: tuple[str, ...]


def compare(root: Path, version: str, driver_root: Path = Path("/")) -> Comparison:
    """Return how the volume of this driver version differs from what it has to be; writes nothing.

    A volume that is right costs stat calls only, no driver file is opened. Raises InvalidInput for
    a bad version or root, DriverFilesError if this machine hasn't this driver's files.
    """
    path = _directory(root, version)
    with _reported(f"verify the driver volume {path}"):
        return _compare(path, version, driver_root)[0]


def _compare(
    path: Path, version: str, driver_root: Path
) -> tuple[Comparison, tuple[Candidate, ...], Choice | None]:
    """Return the comparison and what it is based on; no choice is made if the volume is right."""
    found = candidates(driver_root)
    manifest, reason = _manifest(path)
    before = tree(path, manifest)
    if manifest is None:
        reasons: tuple[str, ...] = (reason,)
    else:
        reasons = differences(path, manifest, found, driver_root, version)
        if not reasons:
            files, link, warnings = manifest.paths, manifest.link, manifest.warnings
            return Comparison(path, (), before, before, files, link, warnings), found, None
    choice = choose(driver_root, found, version)
    after = [line(c.path, c.inode, c.size) for c in choice.files]
    after += [f"{name} -> {target}" for name, target in choice.symlinks]
    files = tuple(
        sorted([c.path for c in choice.files] + [name for name, _target in choice.symlinks])
    )
    comparison = Comparison(
        path, reasons, before, tuple(sorted(after)), files, None, choice.warnings
    )
    return comparison, found, choice


def _manifest(path: Path) -> tuple[Manifest | None, str]:
    """Return a volume's manifest, or why there is none to be trusted."""
    if not os.path.lexists(path):
        return None, "it does not exist"
    try:
        return manifests.read(path), ""
    except ValueError as error:
        return None, str(error)


def create(root: Path, version: str, driver_root: Path = Path("/")) -> Made:
    """Make the volume of this driver version, or make it again if it is not right.

    Several processes may do so at once. Raises as ``compare`` does, and DriverVolumeError if it
    can't be written; then what was there before is still there.
    """
    comparison = compare(root, version, driver_root)
    if not comparison.differences:
        return _made(comparison)
    path, store = comparison.path, comparison.path.parent
    with _reported(f"make the driver volume {path}"):
        _make_directories(store)
        with _lock(store, version):
            comparison, found, choice = _compare(path, version, driver_root)
            if choice is None:
                return _made(comparison)
            _remove_leftovers(store, version)
            built = _beside(store, version)
            os.mkdir(built)
            try:
                manifest = build(built, driver_root, found, choice, version)
                put_in_place(built, path)
            finally:
                _delete(built)
    return Made(True, path, manifest.paths, manifest.link, manifest.warnings)


def content(root: Path, version: str) -> tuple[Path, tuple[str, ...] | None]:
    """Return a volume's directory and, if it exists, its lines as in ``Comparison.before``."""
    path = _directory(root, version)
    if not os.path.lexists(path):
        return path, None
    with _reported(f"look at the driver volume {path}"):
        return path, tree(path, _manifest(path)[0])


def remove(root: Path, name: VolumeName) -> bool:
    """Delete a volume and return whether there was one. Raises DriverVolumeError."""
    path = _directory(root, name.version)
    if not os.path.lexists(path):
        return False
    with _reported(f"remove the driver volume {path}"), _lock(path.parent, name.version) as lock:
        _remove_leftovers(path.parent, name.version)
        gone = _beside(path.parent, name.version)
        try:
            os.rename(path, gone)
        except FileNotFoundError:
            return False
        finally:
            os.unlink(lock)
        sync_directory(path.parent)
        _delete(gone)
    return True


def mount_point(root: Path, name: VolumeName) -> Path:
    """Return the directory of an existing volume. Raises UnknownVolume."""
    path = _directory(root, name.version)
    if not _is_directory(path):
        raise UnknownVolume(f"no such volume: {name}")
    return path


def list_volumes(root: Path) -> tuple[VolumeName, ...]:
    """Return the existing volumes, oldest driver version first. Raises DriverVolumeError."""
    store = root / VOLUME_KIND
    with _reported(f"list the driver volumes in {store}"):
        try:
            names = os.listdir(store)
        except FileNotFoundError:
            return ()
        versions = [n for n in names if _VERSION.fullmatch(n) and _is_directory(store / n)]
    return tuple(
        VolumeName(v) for v in sorted(versions, key=lambda v: [int(p) for p in v.split(".")])
    )


def _directory(root: Path, version: str) -> Path:
    if not _VERSION.fullmatch(version):
        raise InvalidInput(
            f"invalid driver version {version!r}: give digits joined by single dots, e.g. 550.54.15"
        )
    if not root.is_absolute() or ".." in root.parts or "\0" in str(root):
        raise InvalidInput(
            f"invalid directory for driver volumes {str(root)!r}: give an absolute path"
        )
    return root / VOLUME_KIND / version


def _is_directory(path: Path) -> bool:
    status = status_of(path)
    return status is not None and stat.S_ISDIR(status.st_mode)


def _made(right: Comparison) -> Made:
    return Made(False, right.path, right.files, right.link, right.warnings)


def _make_directories(store: Path) -> None:
    missing = [p for p in (store, *store.parents) if not p.exists() and not p.is_symlink()]
    for directory in reversed(missing):
        try:
            os.mkdir(directory)
        except FileExistsError:
            continue
        os.chmod(directory, DIRECTORY_MODE)
        sync_directory(directory.parent)
    if store.is_symlink() or not store.is_dir():
        raise DriverVolumeError(f"{store} must be a directory and no symbolic link")


@contextmanager
def _lock(store: Path, version: str) -> Iterator[Path]:
    """Hold the one lock of a volume. The kernel gives it back if the holder dies."""
    path = store / f".{version}.lock"
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            status = status_of(path)
            # A remover deletes the file; who waited for it has to look for the new one.
            if status is not None and status.st_ino == os.fstat(descriptor).st_ino:
                yield path
                return
        finally:
            os.close(descriptor)


def _beside(store: Path, version: str) -> Path:
    return store / f".{version}.{secrets.token_hex(_RANDOM_BYTES)}"


def _remove_leftovers(store: Path, version: str) -> None:
    """Delete what a killed builder left; the lock is held, so no one builds."""
    pattern = re.compile(rf"\.{re.escape(version)}\.[0-9a-f]{{{2 * _RANDOM_BYTES}}}")
    for name in os.listdir(store):
        if pattern.fullmatch(name):
            _delete(store / name)


def _delete(path: Path) -> None:
    if _is_directory(path):
        shutil.rmtree(path)
    elif os.path.lexists(path):
        os.unlink(path)


@contextmanager
def _reported(doing: str) -> Iterator[None]:
    """Turn an OSError into a sentence."""
    try:
        yield
    except OSError as error:
        where = f" ({os.fsdecode(error.filename)})" if error.filename else ""
        raise DriverVolumeError(f"can't {doing}: {os.strerror(error.errno or 0)}{where}") from error
