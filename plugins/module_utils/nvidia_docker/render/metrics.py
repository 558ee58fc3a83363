# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What GPUs do, in Prometheus' text format: names, labels and units are dcgm-exporter's.

What a GPU does not tell has no sample: 0 would be a lie, and NaN breaks sums. No label has a value
that grows with what runs (processes, reasons): a host has some twenty series per GPU.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Callable

from ..model import Device, DeviceStatus, Host, MigDevice, UnreadableDevice

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
"""prometheus_client's CONTENT_TYPE_PLAIN_0_0_4, which every scraper takes. Its
CONTENT_TYPE_LATEST, 1.0.0, only adds names that are not needed here."""

_MIB = 1024 * 1024

Labels = dict[str, str]


@dataclass(frozen=True)
class Plugin:
    """What the plugin knows of itself."""

    host_name: str
    version: str
    sweep_began: float | None
    """When the last sweep that ended began, in seconds since 1970; ``None`` before the first."""
    sweep_took_s: float | None


def _scaled(name: str, divisor: float) -> Callable[[DeviceStatus], float | None]:
    def value(status: DeviceStatus) -> float | None:
        known: int | None = getattr(status, name)
        return None if known is None else known / divisor

    return value


def _free_mib(status: DeviceStatus) -> float | None:
    if status.memory_total_bytes is None or status.memory_used_bytes is None:
        return None
    return (status.memory_total_bytes - status.memory_used_bytes) / _MIB


def _process_count(status: DeviceStatus) -> float | None:
    return None if status.processes is None else len(status.processes)


GPU_METRICS: dict[str, tuple[str, Callable[[DeviceStatus], float | None]]] = {
    "DCGM_FI_DEV_SM_CLOCK": ("SM clock (MHz).", _scaled("sm_clock_mhz", 1)),
    "DCGM_FI_DEV_MEM_CLOCK": ("Memory clock (MHz).", _scaled("memory_clock_mhz", 1)),
    "DCGM_FI_DEV_GPU_TEMP": ("GPU temperature (C).", _scaled("temperature_celsius", 1)),
    "DCGM_FI_DEV_POWER_USAGE": ("Power draw (W).", _scaled("power_milliwatts", 1000)),
    "DCGM_FI_DEV_POWER_MGMT_LIMIT": ("Power limit (W).", _scaled("power_limit_milliwatts", 1000)),
    "DCGM_FI_DEV_PCIE_TX_THROUGHPUT": (
        "Sent by the GPU through PCIe, over 20 ms (KB/s).",
        _scaled("pcie_sent_kb_per_s", 1),
    ),
    "DCGM_FI_DEV_PCIE_RX_THROUGHPUT": (
        "Received by the GPU through PCIe, over 20 ms (KB/s).",
        _scaled("pcie_received_kb_per_s", 1),
    ),
    "DCGM_FI_DEV_GPU_UTIL": (
        "Time in which a kernel ran (%).",
        _scaled("gpu_utilization_percent", 1),
    ),
    "DCGM_FI_DEV_MEM_COPY_UTIL": (
        "Time in which device memory was read or written (%).",
        _scaled("memory_utilization_percent", 1),
    ),
    "DCGM_FI_DEV_ENC_UTIL": ("Encoder utilization (%).", _scaled("encoder_utilization_percent", 1)),
    "DCGM_FI_DEV_DEC_UTIL": ("Decoder utilization (%).", _scaled("decoder_utilization_percent", 1)),
    "DCGM_FI_DEV_FB_TOTAL": ("Device memory (MiB).", _scaled("memory_total_bytes", _MIB)),
    "DCGM_FI_DEV_FB_FREE": ("Device memory free (MiB).", _free_mib),
    "DCGM_FI_DEV_FB_USED": (
        "Device memory used, with what the driver keeps for itself (MiB).",
        _scaled("memory_used_bytes", _MIB),
    ),
    "DCGM_FI_DEV_BAR1_TOTAL": ("BAR1 window (MiB).", _scaled("bar1_total_bytes", _MIB)),
    "DCGM_FI_DEV_BAR1_USED": ("BAR1 window used (MiB).", _scaled("bar1_used_bytes", _MIB)),
    "DCGM_FI_DEV_ECC_DBE_VOL_L1": (
        "Uncorrected ECC errors in L1 caches since the driver was loaded.",
        _scaled("l1_ecc_errors", 1),
    ),
    "DCGM_FI_DEV_ECC_DBE_VOL_L2": (
        "Uncorrected ECC errors in the L2 cache since the driver was loaded.",
        _scaled("l2_ecc_errors", 1),
    ),
    "DCGM_FI_DEV_ECC_DBE_VOL_DEV": (
        "Uncorrected ECC errors in device memory since the driver was loaded.",
        _scaled("memory_ecc_errors", 1),
    ),
    "nvidia_docker_compute_processes": ("Processes that compute on the GPU.", _process_count),
}
"""Help and value of what each GPU may tell, by name."""

PLUGIN_METRICS = {
    "nvidia_docker_build_info": "Version of the plugin; the value is 1.",
    "nvidia_docker_driver_up": "1 if the driver has answered, 0 if it hangs, fails or is absent.",
    "nvidia_docker_driver_hanging": "1 while the driver lets the plugin wait, else 0.",
    "nvidia_docker_driver_loaded": "1 if Linux tells of the driver's kernel module, else 0.",
    "nvidia_docker_gpus": "GPUs that the driver tells of.",
    "nvidia_docker_unreadable_gpus": "GPUs that can't be used: the driver does not identify them.",
    "nvidia_docker_unreadable_gpu_info": "A GPU that can't be used; the value is 1.",
    "nvidia_docker_gpu_info": "A GPU that containers can use; the value is 1.",
    "nvidia_docker_mig_device_info": "A MIG device that containers can use; the value is 1.",
    "nvidia_docker_sweep_timestamp_seconds": "When the plugin last began to ask the driver.",
    "nvidia_docker_sweep_duration_seconds": "How long the driver then took to answer.",
}
"""Help of what the plugin itself tells, by name."""

_Samples = list[tuple[str, Labels, float]]


def answered(plugin: Plugin, host: Host, statuses: tuple[DeviceStatus, ...] | None) -> bytes:
    """Return the page of a driver that answers, or says why it does not.

    ``statuses`` are in the order of the devices, ``None`` if the driver went away meanwhile.
    """
    where = {"Hostname": plugin.host_name}
    driver_up = host.driver.version is not None and statuses is not None
    samples: _Samples = [
        ("nvidia_docker_driver_up", where, driver_up),
        ("nvidia_docker_driver_hanging", where, False),
        ("nvidia_docker_driver_loaded", where, host.driver.module_version is not None),
        ("nvidia_docker_gpus", where, len(host.devices)),
        ("nvidia_docker_unreadable_gpus", where, len(host.unreadable)),
    ]
    for unreadable in host.unreadable:
        labels = {**where, **_unreadable_labels(unreadable)}
        samples.append(("nvidia_docker_unreadable_gpu_info", labels, 1))
    per_gpu = [{**where, **_labels(device, host)} for device in host.devices]
    for device, labels in zip(host.devices, per_gpu):
        samples.append(("nvidia_docker_gpu_info", labels, 1))
        for mig in device.mig_devices:
            samples.append(("nvidia_docker_mig_device_info", {**labels, **_mig_labels(mig)}, 1))
    for name, (_help, value_of) in GPU_METRICS.items():
        for labels, status in zip(per_gpu, statuses or ()):
            value = value_of(status)
            if value is not None:
                samples.append((name, labels, value))
    return _text([*_of_plugin(plugin), *samples])


def silent(plugin: Plugin) -> bytes:
    """Return the page of a driver that hangs: nothing is known of GPUs."""
    where = {"Hostname": plugin.host_name}
    return _text(
        [
            *_of_plugin(plugin),
            ("nvidia_docker_driver_up", where, 0),
            ("nvidia_docker_driver_hanging", where, 1),
        ]
    )


def _of_plugin(plugin: Plugin) -> Iterator[tuple[str, Labels, float]]:
    where = {"Hostname": plugin.host_name}
    yield "nvidia_docker_build_info", {**where, "version": plugin.version}, 1
    if plugin.sweep_began is not None:
        yield "nvidia_docker_sweep_timestamp_seconds", where, plugin.sweep_began
    if plugin.sweep_took_s is not None:
        yield "nvidia_docker_sweep_duration_seconds", where, plugin.sweep_took_s


def _labels(device: Device, host: Host) -> Labels:
    """As dcgm-exporter; an empty label is as good as none, and left out."""
    return _known(
        gpu=str(device.index),
        UUID=device.uuid,
        pci_bus_id=_nvml_pci_bus_id(device.pci_bus_id),
        device=f"nvidia{device.minor_number}",
        modelName=device.name,
        DCGM_FI_DRIVER_VERSION=host.driver.version,
    )


def _mig_labels(mig: MigDevice) -> Labels:
    return _known(
        GPU_I_PROFILE=mig.profile,
        GPU_I_ID=str(mig.gpu_instance_id),
        compute_instance_id=str(mig.compute_instance_id),
        mig_uuid=mig.uuid,
    )


def _unreadable_labels(device: UnreadableDevice) -> Labels:
    return _known(
        gpu=None if device.index is None else str(device.index),
        pci_bus_id=device.pci_bus_id and _nvml_pci_bus_id(device.pci_bus_id),
    )


def _known(**labels: str | None) -> Labels:
    return {name: value for name, value in labels.items() if value}


def _nvml_pci_bus_id(sysfs: str) -> str:
    """``0000:af:00.0`` is ``00000000:AF:00.0`` in NVML, and so in dcgm-exporter."""
    domain, _colon, rest = sysfs.partition(":")
    return f"{domain:0>8}:{rest}".upper()


class _Families:
    """What prometheus_client takes for a registry."""

    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        return self._families


def _text(samples: _Samples) -> bytes:
    # Late: it costs memory that a plugin which nobody scrapes does not need.
    from prometheus_client.exposition import generate_latest
    from prometheus_client.metrics_core import Metric

    helps = PLUGIN_METRICS | {name: text for name, (text, _value) in GPU_METRICS.items()}
    families: dict[str, Metric] = {}
    for name, labels, value in samples:
        if name not in families:
            families[name] = Metric(name, helps[name], "gauge")
        printable = {key: _encodable(one) for key, one in labels.items()}
        families[name].add_sample(name, printable, float(value))
    page: bytes = generate_latest(_Families(families.values()))
    return page


def _encodable(text: str) -> str:
    """A lone surrogate has no bytes in UTF-8."""
    return text.encode("utf-8", errors="replace").decode()
