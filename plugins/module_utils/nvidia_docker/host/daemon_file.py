# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The file daemon.json: read, locked against a second writer, replaced as a whole."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ..errors import DaemonJsonError
from .durable import sync_directory

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


def replace(file: Path, text: str) -> None:
    """Put ``text`` in place of ``file``: whole or not at all, also when the machine stops.

    Owner, mode and extended attributes (SELinux label, ACL) of an existing file are kept.
    Raises DaemonJsonError; the old file is then as it was.
    """
    temporary = ""
    try:
        descriptor, temporary = tempfile.mkstemp(
            dir=file.parent, prefix=f".{file.name}.", suffix=".new"
        )
        with open(descriptor, "wb") as new:
            new.write(text.encode("utf-8"))
            _keep_attributes(file, new.fileno())
            new.flush()
            os.fsync(new.fileno())
        os.replace(temporary, file)
        sync_directory(file.parent)
    except OSError as error:
        if temporary:
            with suppress(FileNotFoundError):
                os.unlink(temporary)
        raise DaemonJsonError(f"{file} can't be written: {error.strerror}") from error


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
