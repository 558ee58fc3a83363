# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The machine zoo5 on which v1's answers in tests/golden/v1 were recorded, as values."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.host.volume_maker import (  # noqa: E501
    VolumeMaker,
)
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.model import (
    CONTROL_NODES,
    Device,
    DeviceDetails,
    Driver,
    Host,
    LinkType,
    P2PLink,
)
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.plugin.state import (
    State,
)


def gpu(index: int, minor: int, uuid: str, pci_bus_id: str, name: str | None) -> Device:
    return Device(
        index=index,
        uuid=uuid,
        minor_number=minor,
        pci_bus_id=pci_bus_id,
        name=name,
        memory_mib=None,
        compute_capability=None,
        brand=None,
        mig_enabled=False,
        mig_devices=(),
    )


def details(
    nvml: tuple[int | None, ...],
    cuda: tuple[int, ...],
    capability: tuple[int, int],
    links: tuple[P2PLink, ...],
    numa_node: int = 0,
) -> DeviceDetails:
    power, bar1, generation, width, sm_clock, memory_clock = nvml
    multiprocessors, ecc, memory, shared, l2, clock, bus_width = cuda
    return DeviceDetails(
        power_limit_watts=power,
        numa_node=numa_node,
        bar1_mib=bar1,
        pcie_generation=generation,
        pcie_width=width,
        max_sm_clock_mhz=sm_clock,
        max_memory_clock_mhz=memory_clock,
        links=links,
        compute_capability=capability,
        multiprocessors=multiprocessors,
        ecc_enabled=bool(ecc),
        global_memory_mib=memory,
        shared_memory_kib=shared,
        constant_memory_kib=64,
        l2_cache_kib=l2,
        memory_clock_khz=clock,
        memory_bus_width_bits=bus_width,
    )


P100, K80_A, K80_B, FERMI, T4 = (
    "0000:04:00.0",
    "0000:07:00.0",
    "0000:08:00.0",
    "0000:83:00.0",
    "0000:af:00.0",
)
ZOO5 = Host(
    driver=Driver("375.26", "8.0", "8.375.26", "375.26"),
    devices=(
        gpu(0, 2, "GPU-836c0c09-9f0d-5f33-b1b5-1b4a8f2d7c00", P100, "Tesla P100-SXM2-16GB"),
        gpu(1, 0, "GPU-b78a60a1-0c5e-4d29-8e57-6d8b5f1a2201", K80_A, "Tesla K80"),
        gpu(2, 1, "GPU-b78a60a1-77aa-4b1c-9d52-0e4f7c9b2202", K80_B, "Tesla K80"),
        gpu(3, 3, "GPU-0e4dd3c1-5b1f-41c6-9a77-2f6f6c5e3303", FERMI, None),
        gpu(4, 4, "GPU-fe3b0b7a-1c44-4a2e-b2aa-90c1f4ee4404", T4, "Tesla T4"),
    ),
    unreadable=(),
    control_nodes=CONTROL_NODES,
    missing_nodes=(),
    reason=None,
)
BRIDGE, SWITCH = LinkType.HOST_PCI_BRIDGE, LinkType.SINGLE_PCI_SWITCH
SOCKET = LinkType.SAME_CPU_SOCKET
ZOO5_DETAILS = (
    details(
        (300, 16384, 3, 16, 1480, 715),
        (56, 1, 16276, 64, 4096, 715000, 4096),
        (6, 0),
        (P2PLink(K80_A, BRIDGE), P2PLink(K80_B, BRIDGE)),
    ),
    details(
        (149, 16384, 3, 16, 875, 2505),
        (13, 1, 11439, 112, 1536, 2505000, 384),
        (3, 7),
        (P2PLink(P100, BRIDGE), P2PLink(K80_B, SWITCH)),
    ),
    details(
        (149, 16384, 3, 16, 875, 2505),
        (13, 0, 11439, 112, 1536, 2505000, 384),
        (3, 7),
        (P2PLink(P100, BRIDGE), P2PLink(K80_A, SWITCH)),
    ),
    details(
        (None, None, None, None, None, None),
        (7, 0, 1023, 48, 512, 1800000, 256),
        (2, 1),
        (P2PLink(T4, SOCKET),),
    ),
    details(
        (70, 256, 5, 16, 1590, 5001),
        (40, 1, 15109, 64, 4096, 5001000, 256),
        (7, 5),
        (P2PLink(FERMI, SOCKET),),
        numa_node=1,
    ),
)


@pytest.fixture
def zoo5() -> Host:
    return ZOO5


@pytest.fixture
def state(tmp_path: Path) -> State:
    """zoo5, and no volume."""
    return state_of(tmp_path, ZOO5)


def state_of(tmp_path: Path, host: Host, maker: VolumeMaker | None = None) -> State:
    """A machine that stays as it is."""
    return State(
        tmp_path / "volumes",
        lambda: host,
        lambda host: ZOO5_DETAILS,
        maker,
        module_version=lambda: host.driver.module_version,
    )
