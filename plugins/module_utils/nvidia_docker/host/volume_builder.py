# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Makes the tree of a driver volume beside its place, then puts it there.

A container mounts the volume's directory itself. So an existing one stays, and what is in it
changes places with what was built: containers that run see the new files, at no moment none.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from ..driver_files import DriverCapability
from ..errors import DriverVolumeError
from .driver_candidates import TOP_DIRECTORIES, Candidate, directories_of
from .driver_choice import Choice
from .durable import sync_directory
from .manifest import FILE_NAME, Link, Manifest, Record
from .volume_store import DIRECTORY_MODE

_NO_HARD_LINK = (errno.EXDEV, errno.EPERM, errno.EMLINK, errno.EOPNOTSUPP, errno.ENOSYS)
"""Another file system; a file system without links, or fs.protected_hardlinks; too many links."""
_FICLONE = 0x40049409
"""ioctl_ficlone(2): the copy shares the blocks of the original (Btrfs, XFS, Bcachefs)."""
_AT_FDCWD, _RENAME_EXCHANGE = -100, 2


def build(
    directory: Path,
    root: Path,
    found: tuple[Candidate, ...],
    choice: Choice,
    version: str,
    capabilities: frozenset[DriverCapability],
    hard_links_only: bool,
) -> Manifest:
    """Fill the empty ``directory`` with what was chosen and write its manifest, all on disk.

    Raises OSError, or DriverVolumeError if a driver file changes meanwhile or can't be linked.
    """
    os.chmod(directory, DIRECTORY_MODE)
    directories = directories_of(candidate.path for candidate in choice.files)
    for name in directories:
        os.mkdir(directory / name)
        os.chmod(directory / name, DIRECTORY_MODE)
    chosen = set(choice.files)
    records = []
    for candidate in found:
        if candidate in chosen:
            records.append(_bring(directory, root, candidate, hard_links_only))
        else:
            records.append(Record(candidate, None))
    for path, target in choice.symlinks:
        os.symlink(target, directory / path)
    manifest = Manifest(version, capabilities, tuple(records), choice.symlinks, choice.warnings)
    with _new_file(directory / FILE_NAME, 0o644) as descriptor:
        _write(descriptor, manifest.to_json().encode())
    for name in (*directories, "."):
        sync_directory(directory / name)
    return manifest


def _bring(directory: Path, root: Path, candidate: Candidate, hard_links_only: bool) -> Record:
    source = str(root).rstrip("/") + candidate.origin
    target = directory / candidate.path
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError as error:
        if error.errno not in _NO_HARD_LINK:
            raise
        if hard_links_only:
            raise DriverVolumeError(
                f"no hard link to {source} can be made in {directory.parent} "
                f"({os.strerror(error.errno)}): use a directory on the same file system, "
                "or allow copies"
            ) from error
        return Record(candidate, _copy(source, target, candidate))
    status = os.lstat(target)
    if not stat.S_ISREG(status.st_mode) or not _is_like(status, candidate):
        raise _changed(source)
    # On overlayfs the first link gives a file its own inode.
    return Record(replace(candidate, inode=status.st_ino), Link.HARD)


def _is_like(status: os.stat_result, candidate: Candidate) -> bool:
    """Whether a linked file is what was chosen, as far as its status tells."""
    mode = stat.S_IMODE(status.st_mode)
    return (status.st_size, status.st_mtime_ns, status.st_uid, mode) == (
        candidate.size,
        candidate.modified_ns,
        candidate.owner,
        candidate.mode,
    )


def _copy(source: str, target: Path, candidate: Candidate) -> Link:
    descriptor = os.open(source, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    with open(descriptor, "rb") as original:
        status = os.fstat(descriptor)
        if (status.st_ino, status.st_size) != (candidate.inode, candidate.size):
            raise _changed(source)
        with _new_file(target, stat.S_IMODE(status.st_mode) & DIRECTORY_MODE) as copy:
            link = _clone(descriptor, copy)
            if link is Link.COPY:
                with open(copy, "wb", closefd=False) as file:
                    shutil.copyfileobj(original, file, 1024 * 1024)
            # The origin's time is how a later look sees that the origin was written to.
            os.utime(copy, ns=(status.st_atime_ns, candidate.modified_ns))
            after = os.fstat(descriptor)
            if (after.st_mtime_ns, os.fstat(copy).st_size) != (
                candidate.modified_ns,
                candidate.size,
            ):
                raise _changed(source)
    return link


def _clone(original: int, copy: int) -> Link:
    """Share the original's blocks; ``COPY`` if the file system can't, and nothing was done."""
    try:
        fcntl.ioctl(copy, _FICLONE, original)
    except OSError:
        return Link.COPY
    return Link.REFLINK


def _changed(source: str) -> DriverVolumeError:
    return DriverVolumeError(f"{source} changed while the driver volume was made; try again")


@contextmanager
def _new_file(path: Path, mode: int) -> Iterator[int]:
    descriptor = os.open(
        path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600
    )
    try:
        os.fchmod(descriptor, mode)
        yield descriptor
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]


def put_in_place(built: Path, target: Path) -> None:
    """Make ``target`` what ``built`` is; what was there is in ``built`` afterwards, to be deleted.

    Killed on the way, ``target`` has directories of both and the old manifest, which verification
    does not accept. Raises OSError.
    """
    if not os.path.lexists(target):
        os.rename(built, target)
    elif target.is_symlink() or not target.is_dir():
        _exchange(built, target)
    else:
        os.chmod(target, DIRECTORY_MODE)
        if os.geteuid() == 0:
            os.chown(target, 0, 0)
        strays = [name for name in os.listdir(target) if name not in (*TOP_DIRECTORIES, FILE_NAME)]
        os.mkdir(built / "strays")
        for name in strays:
            os.rename(target / name, built / "strays" / name)
        for name in (*TOP_DIRECTORIES, FILE_NAME):
            if os.path.lexists(target / name):
                _exchange(built / name, target / name)
            else:
                os.rename(built / name, target / name)
        sync_directory(target)
    sync_directory(target.parent)


def _exchange(first: Path, second: Path) -> None:
    """Let two names change places: in one step where the system can (renameat2), else in three."""
    libc = ctypes.CDLL(None, use_errno=True)
    if hasattr(libc, "renameat2"):
        names = os.fsencode(first), os.fsencode(second)
        if libc.renameat2(_AT_FDCWD, names[0], _AT_FDCWD, names[1], _RENAME_EXCHANGE) == 0:
            return
    exchange_in_three_steps(first, second)


def exchange_in_three_steps(first: Path, second: Path) -> None:
    """Let two names change places; for a moment there is no ``second``. Raises OSError."""
    aside = first.with_name(f"{first.name}.old")
    os.rename(second, aside)
    try:
        os.rename(first, second)
    except OSError:
        os.rename(aside, second)
        raise
    os.rename(aside, first)
