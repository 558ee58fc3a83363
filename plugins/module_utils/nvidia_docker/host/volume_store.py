# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The store: ``<root>/nvidia_driver/<version>/``, v1's place. Names, locks, listing, removal.

What stands beside the volumes begins with a dot: locks, and trees that are being built or deleted.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import shlex
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ..errors import DriverVolumeError, InvalidInput, UnknownVolume
from ..injection import VOLUME_KIND, VolumeName
from .durable import sync_directory

VOLUMES_ROOT = "/var/lib/nvidia-docker/volumes"
DIRECTORY_MODE = 0o755

_VERSION = re.compile(r"[0-9]+(\.[0-9]+)*")
_LOCK = re.compile(r"\.[0-9.]+\.lock")
_RANDOM_BYTES = 4


def directory(root: Path, version: str) -> Path:
    """Return where the volume of a driver version is, or would be.

    Raises InvalidInput for a text that is no version, or a root that is no absolute path.
    """
    if not _VERSION.fullmatch(version):
        raise InvalidInput(
            f"invalid driver version {version!r}: give digits joined by single dots, e.g. 550.54.15"
        )
    if not root.is_absolute() or ".." in root.parts or "\0" in str(root):
        raise InvalidInput(
            f"invalid directory for driver volumes {str(root)!r}: give an absolute path"
        )
    return root / VOLUME_KIND / version


def exists(root: Path, version: str) -> bool:
    """Whether there is a directory for this version; nothing is said of what is in it."""
    return _is_directory(directory(root, version))


def mount_point(root: Path, version: str) -> Path:
    """Return the directory of an existing volume. Raises UnknownVolume."""
    path = directory(root, version)
    if not _is_directory(path):
        raise UnknownVolume(f"no such volume: {VolumeName(version)}")
    return path


def list_volumes(root: Path) -> tuple[str, ...]:
    """Return the versions that have a volume, oldest first. Raises DriverVolumeError."""
    store = root / VOLUME_KIND
    with reported(f"list the driver volumes in {store}"):
        try:
            names = os.listdir(store)
        except FileNotFoundError:
            return ()
        versions = [n for n in names if _VERSION.fullmatch(n) and _is_directory(store / n)]
    return tuple(sorted(versions, key=lambda v: [int(p) for p in v.split(".")]))


def remove(root: Path, version: str) -> bool:
    """Delete a volume, and what killed processes left of it, and return whether there was one.

    Raises DriverVolumeError.
    """
    path = directory(root, version)
    store = path.parent
    with reported(f"remove the driver volume {path}"):
        if not os.path.lexists(path) and not leftovers(store, version):
            return False
        refuse_unsafe(store)
        with locked(store, version) as lock:
            gone = beside(store, version)
            try:
                os.rename(path, gone)
                sync_directory(store)
                delete(gone)
            except FileNotFoundError:
                return False
            finally:
                # Last: who makes the volume meanwhile has a new lock and deletes what is left over.
                os.unlink(lock)
    return True


def remove_store(root: Path) -> bool:
    """Delete every volume, and the store, and return whether there was one.

    The default root goes with it if it is empty. Raises DriverVolumeError.
    """
    store = root / VOLUME_KIND
    if not _is_directory(store):
        return False
    for version in list_volumes(root):
        remove(root, version)
    sweep(root)
    with reported(f"remove the driver volumes in {root}"):
        for name in os.listdir(store):
            if _LOCK.fullmatch(name):
                os.unlink(store / name)
        os.rmdir(store)
        if str(root) == VOLUMES_ROOT:
            for folder in (root, root.parent):
                with suppress(OSError):
                    os.rmdir(folder)
    return True


def sweep(root: Path) -> None:
    """Delete what killed processes left, of versions that have no volume too.

    Raises DriverVolumeError.
    """
    store = root / VOLUME_KIND
    with reported(f"delete what is left over in {store}"):
        names = os.listdir(store) if _is_directory(store) else []
        versions = {name[1:].rpartition(".")[0] for name in names if name.startswith(".")}
        for version in sorted(versions):
            if not _VERSION.fullmatch(version) or not leftovers(store, version):
                continue
            refuse_unsafe(store)
            with locked(store, version) as lock:
                if not os.path.lexists(store / version):
                    os.unlink(lock)


def prepare(store: Path) -> None:
    """Make the store's directories. Raises DriverVolumeError if others could write to them."""
    missing = [p for p in (store, *store.parents) if not p.exists() and not p.is_symlink()]
    for new in reversed(missing):
        try:
            os.mkdir(new)
        except FileExistsError:
            continue
        os.chmod(new, DIRECTORY_MODE)
        sync_directory(new.parent)
    refuse_unsafe(store)


def refuse_unsafe(store: Path) -> None:
    """Who can write to the store could give every container a library of his own.

    Raises DriverVolumeError with the command that mends it.
    """
    if store.is_symlink() or not store.is_dir():
        raise DriverVolumeError(f"{store} must be a directory and no symbolic link")
    for path in (store.parent, store):
        status = os.stat(path)
        if status.st_mode & 0o022 or status.st_uid not in (0, os.geteuid()):
            name = shlex.quote(str(path))
            raise DriverVolumeError(
                f"{path} can be written by others than root (owner {status.st_uid}, mode "
                f"{stat.S_IMODE(status.st_mode):04o}): chown root {name}; chmod go-w {name}"
            )


@contextmanager
def locked(store: Path, version: str) -> Iterator[Path]:
    """Hold the one lock of a volume, with nothing left over from a killed holder.

    The kernel gives the lock back if the holder dies.
    """
    path = store / f".{version}.lock"
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            # A remover deletes the file; who waited for it has to look for the new one.
            if _is_same_file(path, descriptor):
                for left in leftovers(store, version):
                    delete(left)
                yield path
                return
        finally:
            os.close(descriptor)


def beside(store: Path, version: str) -> Path:
    """Return a new name beside a volume; ``locked`` deletes what has such a name."""
    return store / f".{version}.{os.urandom(_RANDOM_BYTES).hex()}"


def leftovers(store: Path, version: str) -> tuple[Path, ...]:
    """Return the trees beside a volume: a killed process left them, or a living one builds them."""
    pattern = re.compile(rf"\.{re.escape(version)}\.[0-9a-f]{{{2 * _RANDOM_BYTES}}}")
    try:
        return tuple(store / name for name in os.listdir(store) if pattern.fullmatch(name))
    except (FileNotFoundError, NotADirectoryError):
        return ()


def delete(path: Path) -> None:
    """Delete a tree, a file or a link; nothing there is fine."""
    if _is_directory(path):
        shutil.rmtree(path)
    elif os.path.lexists(path):
        os.unlink(path)


def status_of(path: Path) -> os.stat_result | None:
    """Return lstat's answer, ``None`` if there is no such name, or can be none: it is too long."""
    try:
        return os.lstat(path)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG):
            return None
        raise


@contextmanager
def reported(doing: str) -> Iterator[None]:
    """Turn an OSError into a DriverVolumeError: ``can't <doing>: <reason>``."""
    try:
        yield
    except OSError as error:
        where = f" ({os.fsdecode(error.filename)})" if error.filename else ""
        raise DriverVolumeError(f"can't {doing}: {os.strerror(error.errno or 0)}{where}") from error


def _is_directory(path: Path) -> bool:
    status = status_of(path)
    return status is not None and stat.S_ISDIR(status.st_mode)


def _is_same_file(path: Path, descriptor: int) -> bool:
    status = status_of(path)
    return status is not None and os.path.samestat(status, os.fstat(descriptor))
