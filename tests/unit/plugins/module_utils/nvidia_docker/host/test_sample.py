# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""discovery.sample() and nvml_status.py: the real pynvml on the simulated driver."""

from __future__ import annotations

import pickle

import pytest
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.model import (
    ComputeProcess,
    DeviceStatus,
)

SAMPLE = """
import pickle, sys
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.host import discovery
host = discovery.discover()
sys.stdout.buffer.write(pickle.dumps((host, discovery.sample(host))))
"""

FIELDS = [
    ("power_mw", "power_milliwatts"),
    ("power_limit_mw", "power_limit_milliwatts"),
    ("temp", "temperature_celsius"),
    ("util_gpu", "gpu_utilization_percent"),
    ("util_mem", "memory_utilization_percent"),
    ("util_enc", "encoder_utilization_percent"),
    ("util_dec", "decoder_utilization_percent"),
    ("mem_used", "memory_used_bytes"),
    ("mem_total", "memory_total_bytes"),
    ("bar1_used", "bar1_used_bytes"),
    ("bar1_total", "bar1_total_bytes"),
    ("pcie_rx_kbs", "pcie_received_kb_per_s"),
    ("pcie_tx_kbs", "pcie_sent_kb_per_s"),
    ("sm_clock", "sm_clock_mhz"),
    ("mem_clock", "memory_clock_mhz"),
    ("ecc_l1", "l1_ecc_errors"),
    ("ecc_l2", "l2_ecc_errors"),
    ("ecc_mem", "memory_ecc_errors"),
]
"""Field of the machine file, field of the status; both in NVML's units."""
MACHINES = [
    *("zoo5", "zoo5-lostgpu", "zoo5-procgone", "zoo5-33procs", "zoo5-l2unsupported"),
    *("h100x8", "a100_mig"),
]


def known(value: object) -> object:
    return None if isinstance(value, str) and value.startswith("err:") else value


@pytest.fixture
def sampled(on_machine):
    """Return a function: machine -> (Host, statuses)."""
    return lambda machine: pickle.loads(on_machine(machine, SAMPLE))


@pytest.mark.parametrize("name", MACHINES)
def test_a_status_is_what_the_machine_file_says(name, sampled, machine_file) -> None:
    """None for what NVML refuses, for whatever reason: v1 failed as a whole."""
    machine = machine_file(name)
    host, statuses = sampled(name)
    assert len(statuses) == len(host.devices) > 0
    for device, status in zip(host.devices, statuses):
        gpu = machine["gpus"][device.index]
        told = {mine: getattr(status, mine) for _dummy, mine in FIELDS}
        assert told == {mine: known(gpu[theirs]) for theirs, mine in FIELDS}
        if gpu["procs"] is None:
            assert status.processes is None
            continue
        listed = [pair.split(":") for pair in gpu["procs"].split(",") if pair]
        assert status.processes == tuple(
            ComputeProcess(
                int(pid),
                machine.get("procs", {}).get(pid),
                None if int(size) == 2**64 - 1 else int(size),
            )
            for pid, size in listed
        )


GONE = """
import dataclasses, pickle, sys
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.host import discovery
host = discovery.discover()
gpus = [dataclasses.replace(d, uuid="GPU-gone") if d.index == 1 else d for d in host.devices]
host = dataclasses.replace(host, devices=tuple(gpus))
sys.stdout.buffer.write(pickle.dumps((host, discovery.sample(host))))
"""


def test_a_gpu_that_went_tells_nothing_and_spoils_no_other(on_machine, sampled) -> None:
    """Another one that has its index by now is not taken for it."""
    _dummy, before = sampled("zoo5")
    _dummy, after = pickle.loads(on_machine("zoo5", GONE))
    assert after == (before[0], DeviceStatus(), *before[2:])


PATCH = """
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.host import (
    pynvml_binding,
)
nvml = pynvml_binding._load()
"""
NAME = PATCH + "nvml.nvmlSystemGetProcessName = nvml.convertStrBytes(lambda pid: b'caf\\xe9')"


def test_a_process_may_have_any_name(on_machine) -> None:
    """pynvml raises UnicodeDecodeError."""
    _dummy, (status,) = pickle.loads(on_machine("single", NAME + SAMPLE))
    assert {process.name for process in status.processes} == {"caf\ufffd"}


OLD = """
def absent(handle): raise nvml.NVMLError(nvml.NVML_ERROR_FUNCTION_NOT_FOUND)
nvml.nvmlDeviceGetComputeRunningProcesses_v3 = absent
"""


def test_drivers_before_510_list_processes_too(on_machine, sampled) -> None:
    old = pickle.loads(on_machine("zoo5", PATCH + OLD + SAMPLE))
    assert old == sampled("zoo5")


OPENINGS = """
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.host import discovery
calls = []
for name in ("nvmlInit", "nvmlShutdown"):
    def counted(name=name, call=getattr(nvml, name)):
        calls.append(name)
        return call()
    setattr(nvml, name, counted)
for _ in range(2):
    with discovery.kept_open():
        host = discovery.discover()
        discovery.sample(host)
print(*calls, len(host.devices), open("/proc/self/maps").read().count("libnvidia-ml"))
"""


def test_kept_open_shares_one_opening_and_leaves_none(on_machine) -> None:
    """A plugin that has NVML open keeps rmmod from working."""
    assert on_machine("zoo5", PATCH + OPENINGS).split() == [
        *(b"nvmlInit", b"nvmlShutdown", b"nvmlInit", b"nvmlShutdown", b"5", b"0")
    ]


def test_kept_open_without_a_driver(on_machine) -> None:
    """discover() says why."""
    code = PATCH + OPENINGS.replace("print(", "print(host.reason); print(")
    assert b"kernel module is not loaded" in on_machine("badinit", code)
