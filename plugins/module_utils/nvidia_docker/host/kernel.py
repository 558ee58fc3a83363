# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the kernel says in /proc and /sys of the NVIDIA driver and its GPUs.

``root`` is the folder in which proc and sys are looked up.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from ..model import sysfs_pci_bus_id

MIG_MINORS = "proc/driver/nvidia-caps/mig-minors"

_MINOR = re.compile(r"^Device Minor:\s*([0-9]+)\s*$", re.MULTILINE)


class KernelGpu(NamedTuple):
    """A GPU that the kernel module drives, whether NVML can open it or not."""

    pci_bus_id: str
    minor_number: int


def module_version(root: Path) -> str | None:
    """Return the version of the loaded kernel module (/sys/module/nvidia/version)."""
    try:
        return (root / "sys/module/nvidia/version").read_text().strip() or None
    except OSError:
        return None


def gpus(root: Path) -> tuple[KernelGpu, ...]:
    """Return the GPUs of /proc/driver/nvidia/gpus, by PCI bus id."""
    found = []
    try:
        folders = sorted((root / "proc/driver/nvidia/gpus").iterdir())
    except OSError:
        return ()
    for folder in folders:
        bus_id = sysfs_pci_bus_id(folder.name)
        try:
            minor = _MINOR.search((folder / "information").read_text())
        except OSError:
            continue
        if bus_id is not None and minor is not None:
            found.append(KernelGpu(bus_id, int(minor[1])))
    return tuple(found)


def capability_minors(root: Path) -> dict[str, int]:
    """Return MIG capabilities and their minor numbers: ``{"gpu0/gi3/ci0/access": 31}``."""
    try:
        lines = (root / MIG_MINORS).read_text().splitlines()
    except OSError:
        return {}
    pairs = (line.split() for line in lines)
    return {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2 and pair[1].isdigit()}


def numa_node(root: Path, pci_bus_id: str) -> int:
    """Return the NUMA node of a GPU; as v1, 0 where sysfs does not say or says -1."""
    try:
        number = int((root / "sys/bus/pci/devices" / pci_bus_id / "numa_node").read_text())
    except (OSError, ValueError):
        return 0
    return max(number, 0)
