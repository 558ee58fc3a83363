# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""v1's description of the GPUs as text, ``/gpu/info``."""

from __future__ import annotations

from collections.abc import Iterator

from ..model import Device, DeviceDetails, Host, LinkType, P2PLink
from .gpu_info import architecture, bus_id, cores, family, memory_bandwidth, pcie_bandwidth
from .text_page import EMPTY, UNKNOWN, Line, amount, plain
from .text_page import text as text_of

LINK_NAMES = {
    LinkType.UNKNOWN: UNKNOWN,
    LinkType.CROSS_CPU_SOCKET: "Cross CPU socket",
    LinkType.SAME_CPU_SOCKET: "Same CPU socket",
    LinkType.HOST_PCI_BRIDGE: "Host PCI bridge",
    LinkType.MULTIPLE_PCI_SWITCHES: "Multiple PCI switches",
    LinkType.SINGLE_PCI_SWITCH: "Single PCI switch",
    LinkType.SAME_BOARD: "Same board",
}


def text(host: Host, details: tuple[DeviceDetails, ...]) -> str:
    """Return v1's ``/gpu/info``; ``details`` are in the order of the devices."""
    return text_of(_page(host, details))


def _page(host: Host, details: tuple[DeviceDetails, ...]) -> Iterator[Line]:
    yield EMPTY
    yield Line(0, "Driver version", plain(host.driver.version))
    yield Line(0, "Supported CUDA version", plain(host.driver.cuda_version))
    yield EMPTY
    for device, more in zip(host.devices, details):
        yield from _device(device, more)
        yield EMPTY


def _device(device: Device, details: DeviceDetails) -> Iterator[Line]:
    yield Line(0, f"Device #{device.index}")
    yield Line(2, "Model", plain(device.name))
    yield Line(2, "UUID", device.uuid)
    yield Line(2, "Path", device.node)
    yield Line(2, "Family", plain(family(details.compute_capability)))
    yield Line(2, "Arch", plain(architecture(details.compute_capability)))
    yield Line(2, "Cores", plain(cores(details)))
    yield Line(2, "Power", amount(details.power_limit_watts, "W"))
    yield Line(2, "CPU Affinity", f"NUMA node{details.numa_node}")
    yield Line(2, "PCI")
    yield Line(4, "Bus ID", bus_id(device.pci_bus_id))
    yield Line(4, "BAR1", amount(details.bar1_mib, "MiB"))
    yield Line(4, "Bandwidth", amount(pcie_bandwidth(details), "MB/s"))
    yield Line(2, "Memory")
    yield Line(4, "ECC", plain(details.ecc_enabled))
    yield Line(4, "Global", amount(details.global_memory_mib, "MiB"))
    yield Line(4, "Constant", amount(details.constant_memory_kib, "KiB"))
    yield Line(4, "Shared", amount(details.shared_memory_kib, "KiB"))
    yield Line(4, "L2 Cache", amount(details.l2_cache_kib, "KiB"))
    yield Line(4, "Bandwidth", amount(memory_bandwidth(details), "MB/s"))
    yield Line(2, "Clocks")
    yield Line(4, "Cores", amount(details.max_sm_clock_mhz, "MHz"))
    yield Line(4, "Memory", amount(details.max_memory_clock_mhz, "MHz"))
    yield from _peers(details.links or ())


def _peers(links: tuple[P2PLink, ...]) -> Iterator[Line]:
    """Without peers the line is one of the column before it, as in v1."""
    yield Line(2, "P2P Available", None if links else "None")
    for peer in links:
        yield Line(4, f"{bus_id(peer.pci_bus_id)} - {LINK_NAMES[peer.link]}")
