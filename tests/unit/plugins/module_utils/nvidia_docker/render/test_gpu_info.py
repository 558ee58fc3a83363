# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""gpu_info.py: what the recorded machine does not have; see plugin/test_remote_api.py."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.model import (
    Device,
    DeviceDetails,
    Driver,
    Host,
)
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.render.gpu_info import (
    document,
)

GPU = Device(0, "GPU-a", 0, "0001:0a:00.0", None, None, None, None, False, ())
HOST = Host(Driver("1.0", None, None, None), (GPU,), (), (), (), None)


def described(**known: Any) -> dict[str, Any]:
    fields: dict[str, Any] = dict.fromkeys(DeviceDetails.__dataclass_fields__)
    devices: Any = document(HOST, (DeviceDetails(**{**fields, "numa_node": 0, **known}),))
    return dict(devices["Devices"][0])


FAMILIES = [
    ((1, 3), "Tesla", 8),
    ((5, 2), "Maxwell", 128),
    ((6, 1), "Pascal", 128),
    ((7, 0), "Volta", 64),
    ((7, 5), "Turing", 64),
    ((8, 0), "Ampere", 64),
    ((8, 6), "Ampere", 128),
    ((8, 9), "Ada", 128),
    ((9, 0), "Hopper", 128),
    ((10, 0), "Blackwell", 128),
    ((12, 0), "Blackwell", 128),
    ((12, 9), "Blackwell", None),
    ((99, 0), None, None),
]


@pytest.mark.parametrize(("capability", "family", "cores"), FAMILIES)
def test_families_and_cores(
    capability: tuple[int, int], family: str | None, cores: int | None
) -> None:
    device = described(compute_capability=capability, multiprocessors=10)
    assert device["Family"] == family
    assert device["Arch"] == f"{capability[0]}.{capability[1]}"
    assert device["Cores"] == (cores and cores * 10)


PCIE = [(1, 16, 4000), (4, 8, 15752), (5, 16, 63008), (6, 1, 7563), (7, 16, None), (4, None, None)]


@pytest.mark.parametrize(("generation", "width", "bandwidth"), PCIE)
def test_pcie_bandwidth(generation: int, width: int | None, bandwidth: int | None) -> None:
    """A generation that is not in the table is unknown; v1 said 0."""
    device = described(pcie_generation=generation, pcie_width=width)
    assert device["PCI"]["Bandwidth"] == bandwidth


def test_a_gpu_that_tells_nothing_is_null_throughout() -> None:
    device = described(links=())
    assert device == {
        "UUID": "GPU-a",
        "Path": "/dev/nvidia0",
        "Model": None,
        "Power": None,
        "CPUAffinity": 0,
        "PCI": {"BusID": "0001:0A:00.0", "BAR1": None, "Bandwidth": None},
        "Clocks": {"Cores": None, "Memory": None},
        "Topology": None,
        "Family": None,
        "Arch": None,
        "Cores": None,
        "Memory": dict.fromkeys(("ECC", "Global", "Shared", "Constant", "L2Cache", "Bandwidth")),
    }


def test_every_division_rounds_down() -> None:
    device = described(memory_clock_khz=1999, memory_bus_width_bits=71)
    assert device["Memory"]["Bandwidth"] == 2 * 1 * 8
