# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The file daemon.json: read, locked against a second writer, replaced as a whole."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ..errors import DaemonJsonError
from .durable import sync_directory
from .owned_file import beside

NEW_FILE_MODE = 0o644
_NEW_DIRECTORY_MODE = 0o755
_NO_ATTRIBUTES = (errno.ENOTSUP, errno.EPERM, errno.EACCES)


def target(path: str) -> Path:
    """Return the file itself where ``path`` is a symbolic link to it, also to one not there yet."""
    return Path(os.path.realpath(path))


def read(file: Path) -> bytes | None:
    """Return what a regular file holds, None if there is none. Raises DaemonJsonError."""
    try:
        if not stat.S_ISREG(file.stat().st_mode):
            raise DaemonJsonError(f"{file} is not a regular file: move it away")
        return file.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise DaemonJsonError(f"{file} can't be read: {error.strerror}") from error


@contextmanager
def locked(file: Path) -> Iterator[None]:
    """Make the directory of ``file`` and keep other callers of this function out of it."""
    try:
        file.parent.mkdir(mode=_NEW_DIRECTORY_MODE, parents=True, exist_ok=True)
        directory = os.open(file.parent, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise DaemonJsonError(f"{file.parent} can't be used: {error.strerror}") from error
    try:
        fcntl.flock(directory, fcntl.LOCK_EX)
        yield
    finally:
        os.close(directory)


def replace(file: Path, text: str | None, old: bytes | None) -> None:
    """Put ``text`` in place of ``file``, or remove it (None): whole or not at all.

    That holds when the machine stops, too. Owner, mode and extended attributes (SELinux label, ACL)
    of an existing file are kept. ``old`` is what was read from it, None if it was not there. Raises
    DaemonJsonError, also if somebody else has changed it since; the file is then as it was.
    """
    new = beside(file)
    try:
        if text is not None:
            _prepare(new, text, file)
        if read(file) != old:
            raise DaemonJsonError(
                f"{file} was changed by another program at the same time, nothing was written: "
                "run this again, it reads the file anew"
            )
        if text is None:
            file.unlink()
        else:
            os.replace(new, file)
        sync_directory(file.parent)
    except OSError as error:
        raise DaemonJsonError(f"{file} can't be written: {error.strerror}") from error
    finally:
        with suppress(OSError):
            new.unlink()


def _prepare(new: Path, text: str, old: Path) -> None:
    # A killed writer leaves one; who comes here has the lock.
    with suppress(FileNotFoundError):
        new.unlink()
    with open(new, "xb", opener=_private) as file:
        file.write(text.encode("utf-8"))
        _keep_attributes(old, file.fileno())
        file.flush()
        os.fsync(file.fileno())


def _private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW, 0o600)


def _keep_attributes(old: Path, new: int) -> None:
    if not old.exists():
        os.fchmod(new, NEW_FILE_MODE)
        return
    facts = old.stat()
    os.fchown(new, facts.st_uid, facts.st_gid)
    os.fchmod(new, stat.S_IMODE(facts.st_mode))
    for name in os.listxattr(old):
        try:
            os.setxattr(new, name, os.getxattr(old, name))
        except OSError as error:
            if error.errno not in _NO_ATTRIBUTES:
                raise
