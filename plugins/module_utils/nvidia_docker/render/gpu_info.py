# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""v1's description of the GPUs, ``/gpu/info/json``; gpu_info_text.py writes the same as text.

Field names, order and units are v1's. Tables that ended in 2017 go on: families and cores per
multiprocessor after Pascal, PCI Express after generation 4.
"""

from __future__ import annotations

from ..model import Device, DeviceDetails, Host

_FAMILY_BY_MAJOR = {
    1: "Tesla",
    2: "Fermi",
    3: "Kepler",
    5: "Maxwell",
    6: "Pascal",
    7: "Volta",
    8: "Ampere",
    9: "Hopper",
    10: "Blackwell",
    11: "Blackwell",
    12: "Blackwell",
}
_FAMILY = {(7, 5): "Turing", (8, 9): "Ada"}
"""Compute capabilities whose family is not that of their major number."""

_CORES_PER_MULTIPROCESSOR = {
    (1, 0): 8,
    (1, 1): 8,
    (1, 2): 8,
    (1, 3): 8,
    (2, 0): 32,
    (2, 1): 48,
    (3, 0): 192,
    (3, 2): 192,
    (3, 5): 192,
    (3, 7): 192,
    (5, 0): 128,
    (5, 2): 128,
    (5, 3): 128,
    (6, 0): 64,
    (6, 1): 128,
    (6, 2): 128,
    (7, 0): 64,
    (7, 2): 64,
    (7, 5): 64,
    (8, 0): 64,
    (8, 6): 128,
    (8, 7): 128,
    (8, 9): 128,
    (9, 0): 128,
    (10, 0): 128,
    (10, 1): 128,
    (10, 3): 128,
    (11, 0): 128,
    (12, 0): 128,
    (12, 1): 128,
}
"""CUDA C++ Programming Guide, "Arithmetic Instructions": results per clock for 32-bit floats."""

_PCIE_MB_PER_S = {1: 250, 2: 500, 3: 985, 4: 1969, 5: 3938, 6: 7563}
"""Of one lane in one direction, by generation."""


def document(host: Host, details: tuple[DeviceDetails, ...]) -> dict[str, object]:
    """Return the object of v1's ``/gpu/info/json``; ``details`` are in the order of the devices."""
    return {
        "Version": {"Driver": host.driver.version, "CUDA": host.driver.cuda_version},
        "Devices": [_device(device, more) for device, more in zip(host.devices, details)],
    }


def _device(device: Device, details: DeviceDetails) -> dict[str, object]:
    return {
        "UUID": device.uuid,
        "Path": device.node,
        "Model": device.name,
        "Power": details.power_limit_watts,
        "CPUAffinity": details.numa_node,
        "PCI": {
            "BusID": bus_id(device.pci_bus_id),
            "BAR1": details.bar1_mib,
            "Bandwidth": pcie_bandwidth(details),
        },
        "Clocks": {
            "Cores": details.max_sm_clock_mhz,
            "Memory": details.max_memory_clock_mhz,
        },
        "Topology": [
            {"BusID": bus_id(peer.pci_bus_id), "Link": int(peer.link)}
            for peer in details.links or ()
        ]
        or None,
        "Family": family(details.compute_capability),
        "Arch": architecture(details.compute_capability),
        "Cores": cores(details),
        "Memory": {
            "ECC": details.ecc_enabled,
            "Global": details.global_memory_mib,
            "Shared": details.shared_memory_kib,
            "Constant": details.constant_memory_kib,
            "L2Cache": details.l2_cache_kib,
            "Bandwidth": memory_bandwidth(details),
        },
    }


def bus_id(sysfs_bus_id: str) -> str:
    """NVML, and so v1, writes the hexadecimal digits in capitals."""
    return sysfs_bus_id.upper()


def pcie_bandwidth(details: DeviceDetails) -> int | None:
    """MB/s in one direction; ``None`` for a generation that is not in the table (v1: 0)."""
    per_lane = _PCIE_MB_PER_S.get(details.pcie_generation or 0)
    if per_lane is None or details.pcie_width is None:
        return None
    return per_lane * details.pcie_width


def family(capability: tuple[int, int] | None) -> str | None:
    """Name of the architecture, ``Ampere``."""
    if capability is None:
        return None
    return _FAMILY.get(capability, _FAMILY_BY_MAJOR.get(capability[0]))


def architecture(capability: tuple[int, int] | None) -> str | None:
    """Compute capability, ``8.0``."""
    return None if capability is None else "{}.{}".format(*capability)


def cores(details: DeviceDetails) -> int | None:
    """CUDA cores of all multiprocessors."""
    if details.compute_capability is None or details.multiprocessors is None:
        return None
    per_multiprocessor = _CORES_PER_MULTIPROCESSOR.get(details.compute_capability)
    return None if per_multiprocessor is None else details.multiprocessors * per_multiprocessor


def memory_bandwidth(details: DeviceDetails) -> int | None:
    """MB/s, rounded down at each step as v1 did; two transfers per clock."""
    if details.memory_clock_khz is None or details.memory_bus_width_bits is None:
        return None
    return 2 * (details.memory_clock_khz // 1000) * (details.memory_bus_width_bits // 8)
