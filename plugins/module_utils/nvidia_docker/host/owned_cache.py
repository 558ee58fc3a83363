# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Files in the user's cache that nobody else can have written.

A cache saves time only: what can't be read or written is never an error.
"""

from __future__ import annotations

import os
import stat

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping


class OwnedCache:
    """XDG_CACHE_HOME, or ~/.cache (XDG base directory specification)."""

    __slots__ = ("_base",)

    def __init__(self, base: str) -> None:
        self._base = base

    @classmethod
    def below(cls, environ: Mapping[str, str]) -> OwnedCache | None:
        """Return the cache that the variables name, None without one.

        None too if it is another user's, as under sudo: root's files there would be in the way.
        """
        base, home = environ.get("XDG_CACHE_HOME", ""), environ.get("HOME", "")
        if not base.startswith("/"):
            if not home.startswith("/"):
                return None
            base = os.path.join(home, ".cache")
        existing = base
        while not os.path.lexists(existing):
            existing = os.path.dirname(existing)
        try:
            return cls(base) if os.stat(existing).st_uid == os.geteuid() else None
        except OSError:
            return None

    def read(self, folder: str, name: str, most: int) -> str:
        """Return the text of a file of at most ``most`` bytes; empty for none that is ours."""
        try:
            descriptor = self._open(folder, name)
            with open(descriptor, "rb") as file:
                if not _ours(os.fstat(descriptor), stat.S_IFREG):
                    return ""
                data = file.read(most + 1)
            return data.decode() if len(data) <= most else ""
        except (OSError, ValueError):
            return ""

    def write(self, folder: str, name: str, text: str) -> None:
        """Put a file there, whole or not at all. It is not synced: a lost one is made again."""
        path = os.path.join(self._base, folder)
        beside = f".{name}.{os.getpid()}"
        try:
            os.makedirs(path, mode=0o700, exist_ok=True)
            parent = self._folder(folder)
        except OSError:
            return
        try:
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            with open(os.open(beside, flags, 0o600, dir_fd=parent), "w", encoding="utf-8") as file:
                file.write(text)
            os.rename(beside, name, src_dir_fd=parent, dst_dir_fd=parent)
        except OSError:
            _remove(beside, parent)
        finally:
            os.close(parent)

    def _open(self, folder: str, name: str) -> int:
        parent = self._folder(folder)
        try:
            # Not blocking: a FIFO there would be waited for.
            flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
            return os.open(name, flags, dir_fd=parent)
        finally:
            os.close(parent)

    def _folder(self, folder: str) -> int:
        """Open the folder. Raises OSError if it is not ours alone to write in."""
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(os.path.join(self._base, folder), flags)
        if _ours(os.fstat(descriptor), stat.S_IFDIR):
            return descriptor
        os.close(descriptor)
        raise PermissionError(f"{folder} is not this user's alone")


def _ours(status: os.stat_result, kind: int) -> bool:
    others = stat.S_IWGRP | stat.S_IWOTH
    return (
        stat.S_IFMT(status.st_mode) == kind
        and status.st_uid == os.geteuid()
        and not status.st_mode & others
    )


def _remove(name: str, parent: int) -> None:
    try:
        os.unlink(name, dir_fd=parent)
    except OSError:
        return
