# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Text files and links of ours in folders of others: a mark in a file, or where a link leads, tells
them apart; a crash leaves none half."""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
from dataclasses import dataclass
from pathlib import Path

from .durable import sync_directory

MARK = "# Made by gpufleet.nvidia: changes made here are lost."
"""In the first lines of each file that is ours to replace and to remove."""


@dataclass(frozen=True)
class TextFile:
    """A file as it is or shall be."""

    path: Path
    text: str
    mode: int


@dataclass(frozen=True)
class Link:
    """A symbolic link as it is or shall be; one that leads elsewhere is not ours."""

    path: Path
    target: str

    @property
    def exists(self) -> bool:
        return os.path.islink(self.path) and os.readlink(self.path) == self.target

    @property
    def is_foreign(self) -> bool:
        """Whether there is something else in its place."""
        return os.path.lexists(self.path) and not self.exists

    def make(self) -> None:
        """Put the link in place at once, over whatever was there."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        new = beside(self.path)
        delete(new)
        os.symlink(self.target, new)
        os.replace(new, self.path)
        sync_directory(self.path.parent)


def is_ours(path: Path) -> bool:
    """Whether there is a regular file with the mark."""
    try:
        if not stat.S_ISREG(path.lstat().st_mode):
            return False
        with path.open("rb") as stream:
            return MARK.encode() in stream.read(4096).splitlines()[:3]
    except FileNotFoundError:
        return False


def is_foreign(path: Path) -> bool:
    """Whether there is something that is not ours."""
    return os.path.lexists(path) and not is_ours(path)


def read(path: Path) -> TextFile | None:
    """Return the file, or ``None`` if there is none."""
    try:
        text = path.read_bytes().decode(errors="replace")
        return TextFile(path, text, stat.S_IMODE(path.lstat().st_mode))
    except FileNotFoundError:
        return None


def write(file: TextFile) -> None:
    """Put the file in place at once, over whatever was there."""
    file.path.parent.mkdir(parents=True, exist_ok=True)
    new = beside(file.path)
    delete(new)
    with new.open("x", encoding="utf-8") as stream:
        os.fchmod(stream.fileno(), file.mode)
        stream.write(file.text)
        stream.flush()
        os.fsync(stream.fileno())
    os.replace(new, file.path)
    sync_directory(file.path.parent)


def beside(path: Path) -> Path:
    """Return the name under which ``path`` is prepared; whoever holds the lock may delete it."""
    return path.with_name(f".{path.name}.new")


def delete(path: Path) -> None:
    """Delete a file, a link or a whole folder; nothing there is fine."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        with contextlib.suppress(FileNotFoundError):
            path.unlink()
