# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What NVML says that a GPU does now. Sixteen calls, and one per process."""

from __future__ import annotations

from typing import Any

from ..model import ComputeProcess, DeviceStatus
from .nvml_asker import Asker

_LISTS = ("nvmlDeviceGetComputeRunningProcesses_v3", "nvmlDeviceGetComputeRunningProcesses_v2")
"""Drivers before 510 have only the second. Both grow their buffer to what is running."""


def read(ask: Asker, handle: Any) -> DeviceStatus:
    """Return the status of the GPU of this handle."""
    nvml = ask.nvml
    rates = ask.value("utilization", "nvmlDeviceGetUtilizationRates", handle)
    memory = ask.value("memory", "nvmlDeviceGetMemoryInfo", handle)
    bar1 = ask.value("BAR1", "nvmlDeviceGetBAR1MemoryInfo", handle)
    encoder = ask.value("encoder utilization", "nvmlDeviceGetEncoderUtilization", handle)
    decoder = ask.value("decoder utilization", "nvmlDeviceGetDecoderUtilization", handle)

    def throughput(counter: int) -> int | None:
        return ask.number("PCIe throughput", "nvmlDeviceGetPcieThroughput", handle, counter)

    def clock(kind: int) -> int | None:
        return ask.number("clock", "nvmlDeviceGetClockInfo", handle, kind)

    def ecc_errors(location: int) -> int | None:
        return ask.number(
            "ECC errors",
            "nvmlDeviceGetMemoryErrorCounter",
            handle,
            nvml.NVML_MEMORY_ERROR_TYPE_UNCORRECTED,
            nvml.NVML_VOLATILE_ECC,
            location,
        )

    return DeviceStatus(
        power_milliwatts=ask.number("power", "nvmlDeviceGetPowerUsage", handle),
        power_limit_milliwatts=ask.number(
            "power limit", "nvmlDeviceGetPowerManagementLimit", handle
        ),
        temperature_celsius=ask.number(
            "temperature", "nvmlDeviceGetTemperature", handle, nvml.NVML_TEMPERATURE_GPU
        ),
        gpu_utilization_percent=None if rates is None else rates.gpu,
        memory_utilization_percent=None if rates is None else rates.memory,
        encoder_utilization_percent=None if encoder is None else encoder[0],
        decoder_utilization_percent=None if decoder is None else decoder[0],
        memory_used_bytes=None if memory is None else memory.used,
        memory_total_bytes=None if memory is None else memory.total,
        bar1_used_bytes=None if bar1 is None else bar1.bar1Used,
        bar1_total_bytes=None if bar1 is None else bar1.bar1Total,
        pcie_received_kb_per_s=throughput(nvml.NVML_PCIE_UTIL_RX_BYTES),
        pcie_sent_kb_per_s=throughput(nvml.NVML_PCIE_UTIL_TX_BYTES),
        sm_clock_mhz=clock(nvml.NVML_CLOCK_SM),
        memory_clock_mhz=clock(nvml.NVML_CLOCK_MEM),
        l1_ecc_errors=ecc_errors(nvml.NVML_MEMORY_LOCATION_L1_CACHE),
        l2_ecc_errors=ecc_errors(nvml.NVML_MEMORY_LOCATION_L2_CACHE),
        memory_ecc_errors=ecc_errors(nvml.NVML_MEMORY_LOCATION_DEVICE_MEMORY),
        processes=processes(ask, handle),
    )


def processes(ask: Asker, handle: Any) -> tuple[ComputeProcess, ...] | None:
    """Return what computes on the GPU or MIG device of this handle."""
    for name in _LISTS:
        found = ask.value("processes", name, handle)
        if found is not None:
            return tuple(
                ComputeProcess(
                    one.pid,
                    ask.text("process name", "nvmlSystemGetProcessName", one.pid),
                    one.usedGpuMemory,
                )
                for one in found
            )
    return None
