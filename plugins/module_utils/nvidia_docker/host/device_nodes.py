# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether what is in /dev under an NVIDIA name leads to the driver."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from pathlib import Path

from ..model import node_driver

_GPU_MAJOR = 195
"""Linux's list of allocated devices (Documentation/admin-guide/devices.txt)."""
_GPU_DRIVERS = ("nvidia-frontend", "nvidia")
"""What the driver of GPUs is called in /proc/devices; other drivers have one name."""


class DeviceNodes:
    """The device nodes of a machine; ``root`` is where /dev and /proc are looked up.

    The numbers of nvidia-uvm and nvidia-caps may change when the module is loaded again: a node
    that is left from before, or from another system, opens another driver or none.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._majors = _majors(root)

    def is_right(self, path: str) -> bool:
        """Whether it is a character device with the driver's major number, as far as known.

        A kernel that tells of GPUs tells of every module: what it does not name is not loaded.
        """
        try:
            found = os.stat(self._root / path.lstrip("/"))
        except OSError:
            return False
        if not stat.S_ISCHR(found.st_mode):
            return False
        driver = node_driver(path)
        drivers = _GPU_DRIVERS if driver in _GPU_DRIVERS else (driver,)
        majors = {self._majors[name] for name in drivers if name in self._majors}
        if not majors and drivers == _GPU_DRIVERS:
            majors = {_GPU_MAJOR}
        told = any(name in self._majors for name in _GPU_DRIVERS)
        return os.major(found.st_rdev) in majors or not (majors or told)


def _majors(root: Path) -> dict[str, int]:
    """Return name -> major number of the kernel's character devices (/proc/devices)."""
    try:
        lines: Iterable[str] = (root / "proc/devices").read_text().splitlines()
    except OSError:
        return {}
    pairs = [line.split() for line in lines]
    blocks = pairs.index(["Block", "devices:"]) if ["Block", "devices:"] in pairs else len(pairs)
    return {
        pair[1]: int(pair[0]) for pair in pairs[:blocks] if len(pair) == 2 and pair[0].isdigit()
    }
