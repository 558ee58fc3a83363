# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""metrics.py, read back with the parser of prometheus_client."""

from __future__ import annotations

import dataclasses
import math
from collections import Counter

import pytest
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.model import (
    ComputeProcess,
    Device,
    DeviceStatus,
    Driver,
    Host,
    UnreadableDevice,
)
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.render import metrics
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.parser import text_string_to_metric_families

GPU = Device(7, "GPU-a", 2, "0000:af:00.0", "Tesla T4", None, None, None, False, ())
HOST = Host(Driver("550.1", None, None, "550.1"), (GPU,), (), (), (), None)
PLUGIN = metrics.Plugin("gpu1.example", "1.2.3", 1500000000.25, 0.125)
WHERE = {"Hostname": "gpu1.example"}
LABELS = {
    **WHERE,
    "gpu": "7",
    "UUID": "GPU-a",
    "pci_bus_id": "00000000:AF:00.0",
    "device": "nvidia2",
    "modelName": "Tesla T4",
    "DCGM_FI_DRIVER_VERSION": "550.1",
}
MIB = 2**20

Read = dict[str, list[tuple[dict[str, str], float]]]


def read(page: bytes) -> Read:
    """Samples by name. Whatever the page holds: each family once and described, no NaN, no series
    twice."""
    found: Read = {}
    for family in text_string_to_metric_families(page.decode()):
        assert family.name not in found
        assert family.documentation and family.type == "gauge"
        assert family.samples, f"{family.name} is announced without a sample"
        for sample in family.samples:
            assert sample.name == family.name
            assert math.isfinite(sample.value)
            found.setdefault(sample.name, []).append((sample.labels, sample.value))
    series = Counter(
        (name, *sorted(labels.items())) for name, many in found.items() for labels, _one in many
    )
    assert set(series.values()) <= {1}
    return found


def page(
    *known: DeviceStatus, host: Host = HOST, plugin: metrics.Plugin = PLUGIN, **changes: object
) -> Read:
    return read(metrics.answered(plugin, dataclasses.replace(host, **changes), known))


PROCESSES = (ComputeProcess(1, "a", None), ComputeProcess(2, 'b"\n', MIB))
VALUES: list[tuple[str, dict, float]] = [
    ("DCGM_FI_DEV_SM_CLOCK", {"sm_clock_mhz": 1328}, 1328),
    ("DCGM_FI_DEV_MEM_CLOCK", {"memory_clock_mhz": 715}, 715),
    ("DCGM_FI_DEV_GPU_TEMP", {"temperature_celsius": 61}, 61),
    ("DCGM_FI_DEV_POWER_USAGE", {"power_milliwatts": 131499}, 131.499),
    ("DCGM_FI_DEV_POWER_MGMT_LIMIT", {"power_limit_milliwatts": 70500}, 70.5),
    ("DCGM_FI_DEV_PCIE_TX_THROUGHPUT", {"pcie_sent_kb_per_s": 999}, 999),
    ("DCGM_FI_DEV_PCIE_RX_THROUGHPUT", {"pcie_received_kb_per_s": 1234567}, 1234567),
    ("DCGM_FI_DEV_GPU_UTIL", {"gpu_utilization_percent": 97}, 97),
    ("DCGM_FI_DEV_MEM_COPY_UTIL", {"memory_utilization_percent": 43}, 43),
    ("DCGM_FI_DEV_ENC_UTIL", {"encoder_utilization_percent": 3}, 3),
    ("DCGM_FI_DEV_DEC_UTIL", {"decoder_utilization_percent": 0}, 0),
    ("DCGM_FI_DEV_FB_TOTAL", {"memory_total_bytes": 16276 * MIB}, 16276),
    ("DCGM_FI_DEV_FB_USED", {"memory_used_bytes": 3 * MIB // 2}, 1.5),
    ("DCGM_FI_DEV_BAR1_TOTAL", {"bar1_total_bytes": 256 * MIB}, 256),
    ("DCGM_FI_DEV_BAR1_USED", {"bar1_used_bytes": 2 * MIB}, 2),
    ("DCGM_FI_DEV_ECC_DBE_VOL_L1", {"l1_ecc_errors": 0}, 0),
    ("DCGM_FI_DEV_ECC_DBE_VOL_L2", {"l2_ecc_errors": 2}, 2),
    ("DCGM_FI_DEV_ECC_DBE_VOL_DEV", {"memory_ecc_errors": 1}, 1),
    ("nvidia_docker_compute_processes", {"processes": PROCESSES}, 2),
    ("nvidia_docker_compute_processes", {"processes": ()}, 0),
]


@pytest.mark.parametrize(("name", "known", "value"), VALUES)
def test_a_value_alone(name: str, known: dict, value: float) -> None:
    """In its unit; what the GPU does not tell is absent."""
    told = page(DeviceStatus(**known))
    assert told[name] == [(LABELS, value)]
    assert set(told) & set(metrics.GPU_METRICS) == {name}


def test_free_memory_needs_both_halves() -> None:
    told = page(DeviceStatus(memory_used_bytes=MIB, memory_total_bytes=3 * MIB))
    assert told["DCGM_FI_DEV_FB_FREE"] == [(LABELS, 2)]


def test_every_metric_has_a_row_above() -> None:
    rows = {name for name, _known, _value in VALUES}
    assert set(metrics.GPU_METRICS) - rows == {"DCGM_FI_DEV_FB_FREE"}


def test_content_type() -> None:
    assert metrics.CONTENT_TYPE == CONTENT_TYPE_PLAIN_0_0_4


def test_the_plugin_itself() -> None:
    told = page(DeviceStatus())
    assert told["nvidia_docker_build_info"] == [({**WHERE, "version": "1.2.3"}, 1)]
    assert told["nvidia_docker_sweep_timestamp_seconds"] == [(WHERE, 1500000000.25)]
    assert told["nvidia_docker_sweep_duration_seconds"] == [(WHERE, 0.125)]
    assert told["nvidia_docker_gpu_info"] == [(LABELS, 1)]
    values = {name: told[name] for name in told if name.endswith(("_up", "ing", "loaded", "gpus"))}
    assert values == {
        "nvidia_docker_driver_up": [(WHERE, 1)],
        "nvidia_docker_driver_hanging": [(WHERE, 0)],
        "nvidia_docker_driver_loaded": [(WHERE, 1)],
        "nvidia_docker_gpus": [(WHERE, 1)],
        "nvidia_docker_unreadable_gpus": [(WHERE, 0)],
    }


def test_a_driver_that_hangs() -> None:
    """How long it does follows from the timestamp."""
    told = read(metrics.silent(PLUGIN))
    assert told.pop("nvidia_docker_build_info")
    assert told == {
        "nvidia_docker_sweep_timestamp_seconds": [(WHERE, 1500000000.25)],
        "nvidia_docker_sweep_duration_seconds": [(WHERE, 0.125)],
        "nvidia_docker_driver_up": [(WHERE, 0)],
        "nvidia_docker_driver_hanging": [(WHERE, 1)],
    }


def test_a_driver_that_never_answered() -> None:
    plugin = metrics.Plugin("gpu1.example", "1.2.3", None, None)
    assert "nvidia_docker_sweep_timestamp_seconds" not in read(metrics.silent(plugin))


NO_DRIVER = Driver(None, None, None, None)
DOWN = [
    ("none", {"driver": NO_DRIVER, "devices": (), "reason": "none"}, (), (0, 0, 0)),
    ("fails", {"driver": Driver(None, None, None, "5"), "devices": ()}, (), (0, 1, 0)),
    ("no GPU", {"devices": (), "reason": "the driver reports no GPU"}, (), (1, 1, 0)),
    ("went away", {}, None, (0, 1, 1)),
]


@pytest.mark.parametrize(("changes", "statuses", "expected"), [row[1:] for row in DOWN])
def test_hosts_without_samples(changes: dict, statuses: tuple | None, expected: tuple) -> None:
    """(up, loaded, GPUs); nothing of a GPU that was not asked."""
    told = read(metrics.answered(PLUGIN, dataclasses.replace(HOST, **changes), statuses))
    names = ("nvidia_docker_driver_up", "nvidia_docker_driver_loaded", "nvidia_docker_gpus")
    assert tuple(told[name][0][1] for name in names) == expected
    assert not set(told) & set(metrics.GPU_METRICS)


def test_unreadable_gpus_are_named() -> None:
    """By what is known of them; the reason is in the log, as its words would be ever new series."""
    lost = (
        UnreadableDevice(1, "0000:07:00.0", "lost\n"),
        UnreadableDevice(2, None, "no UUID"),
        UnreadableDevice(None, "10001:08:00.0", "not listed"),
    )
    told = page(DeviceStatus(), unreadable=lost)
    assert told["nvidia_docker_unreadable_gpus"] == [(WHERE, 3)]
    assert told["nvidia_docker_unreadable_gpu_info"] == [
        ({**WHERE, "gpu": "1", "pci_bus_id": "00000000:07:00.0"}, 1),
        ({**WHERE, "gpu": "2"}, 1),
        ({**WHERE, "pci_bus_id": "00010001:08:00.0"}, 1),
    ]


def test_a_lost_gpu_hides_no_other() -> None:
    other = dataclasses.replace(GPU, index=8, uuid="GPU-b")
    told = page(
        DeviceStatus(), DeviceStatus(temperature_celsius=50), host=HOST, devices=(GPU, other)
    )
    ((labels, value),) = told["DCGM_FI_DEV_GPU_TEMP"]
    assert (labels["UUID"], value) == ("GPU-b", 50)
    assert len(told["nvidia_docker_gpu_info"]) == 2


def test_mig_devices(host: Host) -> None:
    """Each with its GPU's labels, so that they can be joined."""
    told = page(*(DeviceStatus() for _one in host.devices), host=host)
    first, second = told["nvidia_docker_mig_device_info"]
    assert first[0]["UUID"] == second[0]["UUID"] == "GPU-dd"
    assert {key: first[0][key] for key in ("gpu", "GPU_I_PROFILE", "GPU_I_ID", "mig_uuid")} == {
        "gpu": "3",
        "GPU_I_PROFILE": "1g.5gb",
        "GPU_I_ID": "7",
        "mig_uuid": "MIG-aa",
    }
    assert (second[0]["GPU_I_ID"], second[0]["compute_instance_id"]) == ("8", "0")


NAMES = [
    'a "b"',
    "a\nb",
    "a\\b",
    "a\\nb",
    "Größe µ \U0001f600",
    "a{b},c=d",
    " a ",
    "\x00\x7f",
    "\r",
]


@pytest.mark.parametrize("name", NAMES)
def test_labels_are_escaped(name: str) -> None:
    """A driver of somebody else's GPU may name it as it likes."""
    devices = (dataclasses.replace(GPU, name=name),)
    told = page(DeviceStatus(sm_clock_mhz=1), devices=devices)
    assert told["DCGM_FI_DEV_SM_CLOCK"] == [({**LABELS, "modelName": name}, 1)]
    plugin = dataclasses.replace(PLUGIN, host_name=name)
    assert page(DeviceStatus(), plugin=plugin)["nvidia_docker_gpus"] == [({"Hostname": name}, 1)]


def test_a_name_without_bytes() -> None:
    told = page(DeviceStatus(sm_clock_mhz=1), devices=(dataclasses.replace(GPU, name="a\udcff"),))
    assert told["DCGM_FI_DEV_SM_CLOCK"][0][0]["modelName"] == "a?"


@pytest.mark.parametrize("name", [None, ""])
def test_an_unknown_name_is_no_label(name: str | None) -> None:
    told = page(DeviceStatus(sm_clock_mhz=1), devices=(dataclasses.replace(GPU, name=name),))
    assert "modelName" not in told["DCGM_FI_DEV_SM_CLOCK"][0][0]


def test_series_do_not_grow_with_processes() -> None:
    """A host that runs a job after another would fill Prometheus' memory."""
    few, many = (
        page(DeviceStatus(processes=tuple(ComputeProcess(pid, f"p{pid}", 1) for pid in range(n))))
        for n in (1, 1000)
    )
    assert sum(map(len, few.values())) == sum(map(len, many.values()))
    assert {name: [labels for labels, _one in few[name]] for name in few} == {
        name: [labels for labels, _one in many[name]] for name in many
    }
