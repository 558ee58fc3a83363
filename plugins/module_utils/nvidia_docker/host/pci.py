# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What sysfs says of a GPU as a PCI device. ``root`` is the folder in which sys is looked up."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

_GENERATIONS = {"2.5": 1, "5.0": 2, "8.0": 3, "16.0": 4, "32.0": 5, "64.0": 6}
"""By transfers per second, as the kernel writes them: ``16.0 GT/s PCIe``."""


class PciLink(NamedTuple):
    """A PCIe link; ``None`` where sysfs does not say."""

    max_generation: int | None
    max_width: int | None
    width: int | None


def link(root: Path, pci_bus_id: str) -> PciLink:
    """Return the link of a GPU: the most that it and the port above it can do, and now."""
    device = _folder(root, pci_bus_id)
    # Not the unresolved parent: that is the list of all devices.
    ends = (device, device.resolve().parent)
    return PciLink(
        _least(_generation(end / "max_link_speed") for end in ends),
        _least(_number(end / "max_link_width") for end in ends),
        _number(device / "current_link_width"),
    )


def numa_node(root: Path, pci_bus_id: str) -> int | None:
    """Return the NUMA node of a GPU, ``None`` if it has none."""
    node = _number(_folder(root, pci_bus_id) / "numa_node")
    return None if node is None or node < 0 else node


def cpu_affinity(root: Path, pci_bus_id: str) -> str | None:
    """Return the CPUs near a GPU as the kernel lists them, ``0-15,32-47``."""
    return _text(_folder(root, pci_bus_id) / "local_cpulist") or None


def _folder(root: Path, pci_bus_id: str) -> Path:
    return root / "sys/bus/pci/devices" / pci_bus_id


def _text(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""


def _number(path: Path) -> int | None:
    try:
        return int(_text(path))
    except ValueError:
        return None


def _generation(path: Path) -> int | None:
    return _GENERATIONS.get(_text(path).partition(" ")[0])


def _least(values: Iterable[int | None]) -> int | None:
    return min((value for value in values if value is not None), default=None)
