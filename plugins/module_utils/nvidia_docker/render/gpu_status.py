# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""v1's description of what GPUs do now, ``/gpu/status`` and ``/gpu/status/json``.

Field names, order and units are v1's; every division truncates. What v1 could not tell without
failing is ``null`` and ``N/A``.
"""

from __future__ import annotations

from collections.abc import Iterator

from ..model import ComputeProcess, DeviceStatus, Host
from .text_page import EMPTY, UNKNOWN, Line, amount, plain
from .text_page import text as text_of

_MIB = 1024 * 1024


def document(statuses: tuple[DeviceStatus, ...]) -> dict[str, object]:
    """Return the object of v1's ``/gpu/status/json``; its devices are in the order given."""
    return {"Devices": [_device(status) for status in statuses]}


def text(host: Host, statuses: tuple[DeviceStatus, ...]) -> str:
    """Return v1's ``/gpu/status``; ``statuses`` are in the order of the devices."""
    return text_of(_page(host, statuses))


def _device(status: DeviceStatus) -> dict[str, object]:
    return {
        "Power": _whole(status.power_milliwatts, 1000),
        "Temperature": status.temperature_celsius,
        "Utilization": {
            "GPU": status.gpu_utilization_percent,
            "Memory": status.memory_utilization_percent,
            "Encoder": status.encoder_utilization_percent,
            "Decoder": status.decoder_utilization_percent,
        },
        "Memory": {
            "GlobalUsed": _whole(status.memory_used_bytes, _MIB),
            "ECCErrors": {
                "L1Cache": status.l1_ecc_errors,
                "L2Cache": status.l2_ecc_errors,
                "Global": status.memory_ecc_errors,
            },
        },
        "Clocks": {"Cores": status.sm_clock_mhz, "Memory": status.memory_clock_mhz},
        "PCI": {
            "BAR1Used": _whole(status.bar1_used_bytes, _MIB),
            "Throughput": {
                "RX": _whole(status.pcie_received_kb_per_s, 1000),
                "TX": _whole(status.pcie_sent_kb_per_s, 1000),
            },
        },
        # v1 does not tell "none" from "unknown".
        "Processes": [_process(process) for process in status.processes or ()] or None,
    }


def _process(process: ComputeProcess) -> dict[str, object]:
    return {
        "PID": process.pid,
        "Name": process.name,
        "MemoryUsed": _whole(process.memory_bytes, _MIB),
    }


def _page(host: Host, statuses: tuple[DeviceStatus, ...]) -> Iterator[Line]:
    yield EMPTY
    for device, status in zip(host.devices, statuses):
        yield Line(0, f"Device #{device.index}")
        yield from _lines(status)
        yield EMPTY


def _lines(status: DeviceStatus) -> Iterator[Line]:
    yield Line(2, "Power", _of(status.power_milliwatts, status.power_limit_milliwatts, 1000, "W"))
    yield Line(2, "Temperature", amount(status.temperature_celsius, "°C"))
    yield Line(2, "Utilization")
    yield Line(4, "GPU", amount(status.gpu_utilization_percent, "%"))
    yield Line(4, "Memory", amount(status.memory_utilization_percent, "%"))
    yield Line(4, "Encoder", amount(status.encoder_utilization_percent, "%"))
    yield Line(4, "Decoder", amount(status.decoder_utilization_percent, "%"))
    yield Line(2, "Memory")
    yield Line(4, "Global", _of(status.memory_used_bytes, status.memory_total_bytes, _MIB, "MiB"))
    yield Line(4, "ECC Errors")
    yield Line(6, "L1 Cache", plain(status.l1_ecc_errors))
    yield Line(6, "L2 Cache", plain(status.l2_ecc_errors))
    yield Line(6, "Global", plain(status.memory_ecc_errors))
    yield Line(2, "PCI")
    yield Line(4, "BAR1", _of(status.bar1_used_bytes, status.bar1_total_bytes, _MIB, "MiB"))
    yield Line(4, "Throughput")
    yield Line(6, "RX", amount(_whole(status.pcie_received_kb_per_s, 1000), "MB/s"))
    yield Line(6, "TX", amount(_whole(status.pcie_sent_kb_per_s, 1000), "MB/s"))
    yield Line(2, "Clocks")
    yield Line(4, "Cores", amount(status.sm_clock_mhz, "MHz"))
    yield Line(4, "Memory", amount(status.memory_clock_mhz, "MHz"))
    yield from _process_lines(status.processes or ())


def _process_lines(processes: tuple[ComputeProcess, ...]) -> Iterator[Line]:
    """Without processes the line is one of the column before it, as in v1."""
    yield Line(2, "Processes", None if processes else "None")
    for process in processes:
        yield Line(4, "- PID", plain(process.pid))
        yield Line(6, "Name", plain(process.name))
        yield Line(6, "Memory", amount(_whole(process.memory_bytes, _MIB), "MiB"))


def _of(used: int | None, total: int | None, divisor: int, unit: str) -> str:
    """Return ``used / total unit``; one without the other says nothing."""
    if used is None or total is None:
        return UNKNOWN
    return f"{used // divisor} / {total // divisor} {unit}"


def _whole(value: int | None, divisor: int) -> int | None:
    return None if value is None else value // divisor
