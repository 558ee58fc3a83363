# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A driver root: the tree that has the driver, ``/`` or another one, seen as after chroot.

Neither absolute symbolic links nor ``..`` lead out of it.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

_MOST_LINKS = 40


class DriverRoot:
    """One look at a driver root. Symbolic links are read once: make a new one for a new look."""

    def __init__(self, root: Path) -> None:
        self._base = str(root).rstrip("/")
        self._links: dict[str, str | None] = {}
        self._missing: set[str] = set()

    def on_host(self, path: str) -> str:
        """Return where ``path`` of this tree is on the host."""
        return f"{self._base}{path}"

    def resolve(self, path: str) -> str | None:
        """Return ``path`` without symbolic links; ``None`` if nothing is there."""
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
            name = f"{resolved}/{part}"
            if not self._is_there(name):
                return None
            target = self._links[name]
            if target is None:
                resolved = name
                continue
            links += 1
            if links > _MOST_LINKS:
                return None
            if target.startswith("/"):
                resolved = ""
            pending += target.split("/")[::-1]
        return resolved or "/"

    def _is_there(self, name: str) -> bool:
        """Read a link once; ``None`` in ``_links`` is a name that is no link."""
        if name in self._links:
            return True
        if name in self._missing:
            return False
        try:
            self._links[name] = os.readlink(self.on_host(name))
        except OSError as error:
            if error.errno != errno.EINVAL:
                self._missing.add(name)
                return False
            self._links[name] = None
        except ValueError:
            return False
        return True

    def file(self, path: str) -> tuple[str, os.stat_result] | None:
        """Return the regular file that ``path`` leads to and its status; ``None`` if none."""
        resolved = self.resolve(path)
        if resolved is None:
            return None
        try:
            status = os.lstat(self.on_host(resolved))
        except FileNotFoundError:
            return None
        return (resolved, status) if stat.S_ISREG(status.st_mode) else None

    def names(self, directory: str) -> tuple[str, ...]:
        """Return what is in a directory, sorted; nothing if there is none or it can't be read."""
        resolved = self.resolve(directory)
        if resolved is None:
            return ()
        try:
            return tuple(sorted(os.listdir(self.on_host(resolved))))
        except OSError:
            return ()
