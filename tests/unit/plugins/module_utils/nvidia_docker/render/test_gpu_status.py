# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""gpu_status.py: what the recorded machines do not have; see plugin/test_recorded.py."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.model import (
    ComputeProcess,
    Device,
    DeviceStatus,
    Driver,
    Host,
)
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.render.gpu_status import (  # noqa: E501
    document,
    text,
)

GPU = Device(7, "GPU-a", 0, "0000:0a:00.0", None, None, None, None, False, ())
HOST = Host(Driver("1.0", None, None, None), (GPU,), (), (), (), None)
MIB = 2**20

TRUNCATED: list[tuple[dict[str, int], tuple[str, ...], int]] = [
    ({"power_milliwatts": 1999}, ("Power",), 1),
    ({"memory_used_bytes": 2 * MIB - 1}, ("Memory", "GlobalUsed"), 1),
    ({"bar1_used_bytes": MIB - 1}, ("PCI", "BAR1Used"), 0),
    ({"pcie_received_kb_per_s": 1999}, ("PCI", "Throughput", "RX"), 1),
    ({"pcie_sent_kb_per_s": 999}, ("PCI", "Throughput", "TX"), 0),
]


@pytest.mark.parametrize(("known", "path", "expected"), TRUNCATED)
def test_every_division_truncates(
    known: dict[str, int], path: tuple[str, ...], expected: int
) -> None:
    value: Any = document((DeviceStatus(**known),))["Devices"]
    value = value[0]
    for key in path:
        value = value[key]
    assert value == expected


HALVES: list[tuple[dict[str, int], str]] = [
    ({"power_milliwatts": 5000, "power_limit_milliwatts": 70500}, "  Power:        5 / 70 W\n"),
    ({"power_milliwatts": 5000}, "  Power:        N/A\n"),
    ({"power_limit_milliwatts": 70000}, "  Power:        N/A\n"),
    ({"memory_used_bytes": 0, "memory_total_bytes": MIB}, "    Global:  0 / 1 MiB\n"),
    ({"memory_used_bytes": MIB}, "    Global:  N/A\n"),
    ({"bar1_total_bytes": MIB}, "    BAR1:  N/A\n"),
    ({"l2_ecc_errors": 5}, "      L2 Cache:  5\n"),
    ({"pcie_sent_kb_per_s": 5000}, "      TX:  5 MB/s\n"),
    ({"memory_clock_mhz": 5}, "    Memory:   5 MHz\n"),
]


@pytest.mark.parametrize(("known", "line"), HALVES)
def test_one_without_the_other(known: dict[str, int], line: str) -> None:
    """v1 failed for a good first half without a second one of counters and clocks."""
    assert line in text(HOST, (DeviceStatus(**known),))


def test_a_device_has_the_number_that_selects_it() -> None:
    """Devices that can't be read leave gaps."""
    assert text(HOST, (DeviceStatus(),)).startswith("\nDevice #7\n")


def test_a_process_of_which_nothing_is_known() -> None:
    status = DeviceStatus(processes=(ComputeProcess(1, None, None), ComputeProcess(23, "a", MIB)))
    assert text(HOST, (status,)).endswith(
        "  Processes\n"
        "    - PID:     1\n      Name:    N/A\n      Memory:  N/A\n"
        "    - PID:     23\n      Name:    a\n      Memory:  1 MiB\n\n"
    )
    devices: Any = document((status,))["Devices"]
    assert devices[0]["Processes"][0] == {"PID": 1, "Name": None, "MemoryUsed": None}


@pytest.mark.parametrize("processes", [None, ()])
def test_no_process_is_null(processes: tuple[ComputeProcess, ...] | None) -> None:
    """v1 does not tell "none" from "unknown"."""
    status = DeviceStatus(processes=processes)
    devices: Any = document((status,))["Devices"]
    assert devices[0]["Processes"] is None
    assert text(HOST, (status,)).endswith("    Memory:   N/A\n  Processes:  None\n\n")
