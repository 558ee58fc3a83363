# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Directories of links to driver files, which CDI specifications mount into containers.

One has links of one kind only and the name says which: it is never changed while containers have
it. A reboot removes all of them, together with the specifications that name them.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from ..errors import CdiError
from .owned_file import delete
from .volume_store import DIRECTORY_MODE

ROOT = Path("/run/nvidia-docker-cdi/links")
_TEMPORARY = Path("/run")


def outlives(path: Path) -> bool:
    """Whether a specification at this path is still there after a reboot."""
    return _TEMPORARY not in Path(os.path.realpath(path)).parents


def are_right(directory: Path, links: Mapping[str, str]) -> bool:
    """Whether a directory has exactly these links, name to target, for everybody to see."""
    try:
        mode = os.lstat(directory).st_mode
        found = {name: os.readlink(directory / name) for name in os.listdir(directory)}
    except OSError:
        return False
    return mode == stat.S_IFDIR | DIRECTORY_MODE and found == dict(links)


def make(directory: Path, links: Mapping[str, str]) -> None:
    """Make it unless it is right, beside its place, then rename. Raises CdiError."""
    if are_right(directory, links):
        return
    beside = directory.with_name(f".{directory.name}.{os.getpid()}")
    try:
        for one in (directory.parent.parent, directory.parent, beside):
            if one == beside or not one.is_dir():
                os.mkdir(one)
            os.chmod(one, DIRECTORY_MODE)
        for name, target in links.items():
            os.symlink(target, beside / name)
        if os.path.lexists(directory):
            old = beside.with_suffix(".old")
            os.rename(directory, old)
            delete(old)
        os.rename(beside, directory)
    except OSError as error:
        with suppress(OSError):
            delete(beside)
        if are_right(directory, links):
            return  # another process has made it meanwhile
        raise CdiError(
            f"can't make the links in {directory}: {os.strerror(error.errno or 0)}"
        ) from error
