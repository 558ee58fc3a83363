# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What NVML, CUDA and sysfs say of one GPU that does not change while the driver is loaded."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ..model import Device, DeviceDetails, P2PLink
from . import cuda, kernel, nvml
from .nvml_asker import NvmlError

_KIB = 1024


def read(
    device: Device,
    by_index: dict[int, nvml.NvmlDevice],
    devices: tuple[Device, ...],
    on_cuda: dict[str, cuda.CudaDevice | None],
    root: Path,
) -> DeviceDetails:
    """Return the details of ``device``, one of ``devices``; others are asked for its links."""
    gpu = by_index[device.index]
    known = on_cuda[device.uuid]

    def attribute(which: cuda.Attribute) -> int | None:
        return known.attribute(which) if known else None

    def kib(which: cuda.Attribute) -> int | None:
        value = attribute(which)
        return None if value is None else value // _KIB

    major = attribute(cuda.Attribute.COMPUTE_CAPABILITY_MAJOR)
    minor = attribute(cuda.Attribute.COMPUTE_CAPABILITY_MINOR)
    ecc = attribute(cuda.Attribute.ECC_ENABLED)
    memory = known.memory_bytes() if known else None
    return DeviceDetails(
        power_limit_watts=_or_none(gpu.power_limit_watts),
        numa_node=kernel.numa_node(root, device.pci_bus_id),
        bar1_mib=_or_none(gpu.bar1_mib),
        pcie_generation=_or_none(gpu.pcie_generation),
        pcie_width=_or_none(gpu.pcie_width),
        max_sm_clock_mhz=_or_none(gpu.max_sm_clock_mhz),
        max_memory_clock_mhz=_or_none(gpu.max_memory_clock_mhz),
        links=_links(device, by_index, devices, on_cuda),
        compute_capability=None if major is None or minor is None else (major, minor),
        multiprocessors=attribute(cuda.Attribute.MULTIPROCESSORS),
        ecc_enabled=None if ecc is None else bool(ecc),
        global_memory_mib=None if memory is None else memory // _KIB // _KIB,
        shared_memory_kib=kib(cuda.Attribute.SHARED_MEMORY_PER_MULTIPROCESSOR),
        constant_memory_kib=kib(cuda.Attribute.CONSTANT_MEMORY),
        l2_cache_kib=kib(cuda.Attribute.L2_CACHE),
        memory_clock_khz=attribute(cuda.Attribute.MEMORY_CLOCK_KHZ),
        memory_bus_width_bits=attribute(cuda.Attribute.MEMORY_BUS_WIDTH),
    )


def _or_none(question: Callable[[], int | None]) -> int | None:
    try:
        return question()
    except NvmlError:
        return None


def _links(
    device: Device,
    by_index: dict[int, nvml.NvmlDevice],
    devices: tuple[Device, ...],
    on_cuda: dict[str, cuda.CudaDevice | None],
) -> tuple[P2PLink, ...] | None:
    known = on_cuda[device.uuid]
    if known is None:
        return None
    links = []
    for other in devices:
        peer = on_cuda[other.uuid]
        if other.uuid == device.uuid or peer is None or not known.can_access(peer):
            continue
        try:
            link = by_index[device.index].link_to(by_index[other.index])
        except NvmlError:
            continue
        links.append(P2PLink(other.pci_bus_id, link))
    return tuple(links)
