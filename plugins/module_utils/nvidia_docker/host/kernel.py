# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the kernel says in /proc and /sys of the NVIDIA driver and its GPUs.

``root`` is the folder in which proc and sys are looked up.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from ..model import sysfs_pci_bus_id

MIG_MINORS = "proc/driver/nvidia-caps/mig-minors"

_VERSION = re.compile(r"[0-9A-Fa-f]+(\.[0-9A-Fa-f]+)+")
_MODULES = (
    *("gdrdrv", "nvidia", "nvidia_drm", "nvidia_fs", "nvidia_modeset", "nvidia_peermem"),
    *("nvidia_uvm", "nvidia_vgpu_vfio"),
)
"""Kernel modules for NVIDIA GPUs, as /sys/module writes them."""


class KernelGpu(NamedTuple):
    """A GPU that the kernel module drives, whether NVML can open it or not."""

    pci_bus_id: str
    minor_number: int
    vbios: str | None
    gsp_firmware: str | None


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
            lines = (folder / "information").read_text(errors="replace").splitlines()
        except OSError:
            continue
        told = {name.strip(): value.strip() for name, _colon, value in _pairs(lines)}
        minor = told.get("Device Minor", "")
        if bus_id is not None and minor.isascii() and minor.isdigit():
            versions = (told.get(name, "") for name in ("Video BIOS", "GPU Firmware"))
            found.append(KernelGpu(bus_id, int(minor), *map(_version, versions)))
    return tuple(found)


def module_kind(root: Path) -> str | None:
    """Return whether the loaded kernel module is the ``open`` or the ``proprietary`` one."""
    try:
        text = (root / "proc/driver/nvidia/version").read_text()
    except OSError:
        return None
    return "open" if "Open Kernel Module" in text else "proprietary"


def modules(root: Path) -> tuple[str, ...]:
    """Return which kernel modules for NVIDIA GPUs are loaded, by name."""
    return tuple(name for name in _MODULES if (root / "sys/module" / name).exists())


def nouveau_is_loaded(root: Path) -> bool:
    """Whether the kernel module that keeps NVIDIA's from the GPUs is loaded."""
    return (root / "sys/module/nouveau").exists()


def nvswitches(root: Path) -> int:
    """Return how many NVSwitches the kernel drives."""
    try:
        return len(list((root / "proc/driver/nvidia-nvswitch/devices").iterdir()))
    except OSError:
        return 0


def _pairs(lines: Iterable[str]) -> Iterator[tuple[str, str, str]]:
    return (line.partition(":") for line in lines)


def _version(text: str) -> str | None:
    """A GPU that was never initialised has question marks."""
    return text if _VERSION.fullmatch(text) else None


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
