# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the real NVML binding reads from every machine file, against the file itself."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import pytest

NOT_SUPPORTED = 3
ALL_BITS = 2**64 - 1

# Field of the machine file, call of the binding, how to ask it.
QUESTIONS: list[tuple[str, str, Callable[..., Any]]] = [
    ("uuid", "nvmlDeviceGetUUID", lambda ask, gpu: ask(gpu)),
    ("name", "nvmlDeviceGetName", lambda ask, gpu: ask(gpu)),
    ("minor", "nvmlDeviceGetMinorNumber", lambda ask, gpu: ask(gpu)),
    ("serial", "nvmlDeviceGetSerial", lambda ask, gpu: ask(gpu)),
    ("vbios", "nvmlDeviceGetVbiosVersion", lambda ask, gpu: ask(gpu)),
    ("busid", "nvmlDeviceGetPciInfo", lambda ask, gpu: ask(gpu).busIdLegacy),
    ("power_limit_mw", "nvmlDeviceGetPowerManagementLimit", lambda ask, gpu: ask(gpu)),
    ("power_limit_mw", "nvmlDeviceGetEnforcedPowerLimit", lambda ask, gpu: ask(gpu)),
    ("power_mw", "nvmlDeviceGetPowerUsage", lambda ask, gpu: ask(gpu)),
    ("temp", "nvmlDeviceGetTemperature", lambda ask, gpu: ask(gpu, 0)),
    ("temp", "nvmlDeviceGetTemperatureV", lambda ask, gpu: ask(gpu, 0)),
    ("bar1_total", "nvmlDeviceGetBAR1MemoryInfo", lambda ask, gpu: ask(gpu).bar1Total),
    ("bar1_used", "nvmlDeviceGetBAR1MemoryInfo", lambda ask, gpu: ask(gpu).bar1Used),
    ("mem_total", "nvmlDeviceGetMemoryInfo", lambda ask, gpu: ask(gpu).total),
    ("mem_used", "nvmlDeviceGetMemoryInfo", lambda ask, gpu: ask(gpu).used),
    ("mem_total", "nvmlDeviceGetMemoryInfo", lambda ask, gpu: ask(gpu, 0x02000028).total),
    ("pcie_gen", "nvmlDeviceGetMaxPcieLinkGeneration", lambda ask, gpu: ask(gpu)),
    ("pcie_width", "nvmlDeviceGetMaxPcieLinkWidth", lambda ask, gpu: ask(gpu)),
    ("pcie_width_now", "nvmlDeviceGetCurrPcieLinkWidth", lambda ask, gpu: ask(gpu)),
    ("pcie_tx_kbs", "nvmlDeviceGetPcieThroughput", lambda ask, gpu: ask(gpu, 0)),
    ("pcie_rx_kbs", "nvmlDeviceGetPcieThroughput", lambda ask, gpu: ask(gpu, 1)),
    ("sm_clock", "nvmlDeviceGetClockInfo", lambda ask, gpu: ask(gpu, 1)),
    ("mem_clock", "nvmlDeviceGetClockInfo", lambda ask, gpu: ask(gpu, 2)),
    ("max_sm_clock", "nvmlDeviceGetMaxClockInfo", lambda ask, gpu: ask(gpu, 1)),
    ("max_mem_clock", "nvmlDeviceGetMaxClockInfo", lambda ask, gpu: ask(gpu, 2)),
    ("max_mem_clock", "nvmlDeviceGetSupportedMemoryClocks", lambda ask, gpu: ask(gpu)[0]),
    ("util_gpu", "nvmlDeviceGetUtilizationRates", lambda ask, gpu: ask(gpu).gpu),
    ("util_mem", "nvmlDeviceGetUtilizationRates", lambda ask, gpu: ask(gpu).memory),
    ("util_enc", "nvmlDeviceGetEncoderUtilization", lambda ask, gpu: ask(gpu)[0]),
    ("util_dec", "nvmlDeviceGetDecoderUtilization", lambda ask, gpu: ask(gpu)[0]),
    ("ecc_l1", "nvmlDeviceGetMemoryErrorCounter", lambda ask, gpu: ask(gpu, 1, 0, 0)),
    ("ecc_l2", "nvmlDeviceGetMemoryErrorCounter", lambda ask, gpu: ask(gpu, 1, 0, 1)),
    ("ecc_mem", "nvmlDeviceGetMemoryErrorCounter", lambda ask, gpu: ask(gpu, 1, 0, 2)),
    ("ecc_mem", "nvmlDeviceGetDetailedEccErrors", lambda ask, gpu: ask(gpu, 1, 0).deviceMemory),
    ("cc_major", "nvmlDeviceGetCudaComputeCapability", lambda ask, gpu: ask(gpu)[0]),
    ("cc_minor", "nvmlDeviceGetCudaComputeCapability", lambda ask, gpu: ask(gpu)[1]),
    ("bus_width", "nvmlDeviceGetMemoryBusWidth", lambda ask, gpu: ask(gpu)),
    ("mig_mode", "nvmlDeviceGetMigMode", lambda ask, gpu: ask(gpu)[0]),
    ("nvlink_version", "nvmlDeviceGetNvLinkVersion", lambda ask, gpu: ask(gpu, 0)),
    ("remapped_failed", "nvmlDeviceGetRemappedRows", lambda ask, gpu: ask(gpu)[3]),
]


@contextmanager
def started(nvml: ModuleType) -> Iterator[None]:
    nvml.nvmlInit()
    try:
        yield
    finally:
        nvml.nvmlShutdown()


@pytest.fixture(name="binding")
def _binding(nvml: ModuleType, driver: Any, machine: dict[str, Any]) -> Iterator[ModuleType]:
    """NVML that shows the machine, started."""
    driver.show(machine)
    with started(nvml):
        yield nvml


def asked(nvml: ModuleType, question: Callable[..., Any], *arguments: Any) -> Any:
    """The answer, or "err:N" as a machine file writes it."""
    try:
        answer = question(*arguments)
    except nvml.NVMLError as error:
        return f"err:{error.value}"
    return answer.decode() if isinstance(answer, bytes) else answer


def expected(value: Any) -> Any:
    return f"err:{NOT_SUPPORTED}" if value is None else value


def test_fields(binding: ModuleType, machine: dict[str, Any]) -> None:
    for index, gpu in enumerate(machine["gpus"]):
        gpu = {"pcie_width_now": gpu.get("pcie_width"), **gpu}
        handle = binding.nvmlDeviceGetHandleByIndex(index)
        answers, told = {}, {}
        for place, (field, name, how) in enumerate(QUESTIONS):
            call = getattr(binding, name)
            answers[place, name] = asked(binding, how, call, handle)
            told[place, name] = expected(gpu.get(field))
        assert answers == told, f"GPU {index}"


def test_system(binding: ModuleType, machine: dict[str, Any]) -> None:
    assert binding.nvmlDeviceGetCount() == len(machine["gpus"])
    assert binding.nvmlSystemGetDriverVersion() == machine["driver"]
    assert binding.nvmlSystemGetNVMLVersion().endswith(machine["driver"])
    cuda = machine["cuda"] if isinstance(machine["cuda"], int) else "err:12"
    assert asked(binding, binding.nvmlSystemGetCudaDriverVersion) == cuda
    for pid, name in machine["procs"].items():
        assert binding.nvmlSystemGetProcessName(int(pid)) == name
    assert asked(binding, binding.nvmlSystemGetProcessName, 1) == "err:6"


def test_processes(binding: ModuleType, machine: dict[str, Any]) -> None:
    for index, gpu in enumerate(machine["gpus"]):
        handle = binding.nvmlDeviceGetHandleByIndex(index)
        found = asked(binding, binding.nvmlDeviceGetComputeRunningProcesses, handle)
        if gpu["procs"] is None:
            assert found == "err:3"
            continue
        pairs = [entry.split(":") for entry in gpu["procs"].split(",") if entry]
        # The binding says None where NVML says that the size is unknown.
        told = [(int(pid), None if int(size) == ALL_BITS else int(size)) for pid, size in pairs]
        assert [(process.pid, process.usedGpuMemory) for process in found] == told


def test_handles(binding: ModuleType, machine: dict[str, Any]) -> None:
    for index, gpu in enumerate(machine["gpus"]):
        handle = binding.nvmlDeviceGetHandleByIndex(index)
        domain, rest = gpu["busid"].split(":", 1)
        addresses = [gpu["busid"], gpu["busid"].lower(), f"{int(domain, 16):08X}:{rest}"]
        found = [binding.nvmlDeviceGetHandleByPciBusId(address) for address in addresses]
        if gpu["uuid"] and not gpu["uuid"].startswith("err:"):
            found.append(binding.nvmlDeviceGetHandleByUUID(gpu["uuid"]))
        assert [binding.nvmlDeviceGetIndex(other) for other in found] == [index] * len(found)
        assert binding.nvmlDeviceGetIndex(handle) == index
    count = len(machine["gpus"])
    assert asked(binding, binding.nvmlDeviceGetHandleByIndex, count) == "err:2"
    assert asked(binding, binding.nvmlDeviceGetHandleByUUID, "GPU-none") == "err:6"
    assert asked(binding, binding.nvmlDeviceGetHandleByPciBusId, "0000:FE:00.0") == "err:6"


def test_topology(binding: ModuleType, machine: dict[str, Any]) -> None:
    handles = [binding.nvmlDeviceGetHandleByIndex(i) for i in range(len(machine["gpus"]))]
    for i, one in enumerate(handles):
        for j in range(i + 1, len(handles)):
            pair, other = f"{i}.{j}", handles[j]
            level = asked(binding, binding.nvmlDeviceGetTopologyCommonAncestor, other, one)
            assert level == expected(machine["topo"].get(pair))
            status = binding.nvmlDeviceGetP2PStatus(one, other, 0)
            assert (status == binding.NVML_P2P_STATUS_OK) == bool(machine["p2p"].get(pair))
        near = binding.nvmlDeviceGetTopologyNearestGpus(one, binding.NVML_TOPOLOGY_SYSTEM)
        levels = [machine["topo"].get(f"{min(i, j)}.{max(i, j)}") for j in range(len(handles))]
        assert [binding.nvmlDeviceGetIndex(gpu) for gpu in near] == [
            j for j, level in enumerate(levels) if level == 50 and j != i
        ]


@pytest.mark.parametrize(
    ("name", "change", "code"),
    [
        ("badinit", {}, 9),
        ("zoo5", {"init": "err:999"}, 999),
        ("zoo5", {"module_version": "384.90"}, 18),  # the kernel module is another than the library
    ],
)
def test_init(
    nvml: ModuleType, driver: Any, read: Any, name: str, change: dict[str, Any], code: int
) -> None:
    driver.show({**read(name), **change})
    assert asked(nvml, nvml.nvmlInit) == f"err:{code}"
    assert asked(nvml, nvml.nvmlDeviceGetCount) == "err:1"


def test_no_answer_after_shutdown(nvml: ModuleType, driver: Any, read: Any) -> None:
    driver.show(read("zoo5"))
    with started(nvml):
        gpu = nvml.nvmlDeviceGetHandleByIndex(0)
    assert asked(nvml, nvml.nvmlDeviceGetName, gpu) == "err:1"
    assert asked(nvml, nvml.nvmlShutdown) == "err:1"


def test_lost_gpu(nvml: ModuleType, driver: Any, read: Any) -> None:
    """A GPU that fell off the bus keeps its identity and answers nothing else."""
    machine = read("zoo5")
    machine["gpus"][1]["lost"] = 1
    driver.show(machine)
    with started(nvml):
        gpu = nvml.nvmlDeviceGetHandleByIndex(1)
        assert nvml.nvmlDeviceGetUUID(gpu) == machine["gpus"][1]["uuid"]
        assert asked(nvml, nvml.nvmlDeviceGetName, gpu) == "err:15"
        assert asked(nvml, nvml.nvmlDeviceGetUtilizationRates, gpu) == "err:15"


def test_slow_gpu(nvml: ModuleType, driver: Any, read: Any) -> None:
    """Each call takes its time once, however many values it gives; other GPUs answer at once."""
    machine = read("zoo5")
    machine["gpus"][1]["delay_ms"] = 60
    driver.show({**machine, "delay_ms": 40})
    with started(nvml):

        def took(index: int, call: Callable[[Any], Any]) -> float:
            """The shortest of a few times in seconds: other work can only add to it."""
            gpu = nvml.nvmlDeviceGetHandleByIndex(index)
            times = []
            for _try in range(5):
                begun = time.monotonic()
                call(gpu)
                times.append(time.monotonic() - begun)
            return min(times)

        assert 0.06 <= took(1, nvml.nvmlDeviceGetName) < 0.12
        assert 0.06 <= took(1, nvml.nvmlDeviceGetMemoryInfo) < 0.12
        assert took(0, nvml.nvmlDeviceGetMemoryInfo) < 0.06


def test_slow_start(nvml: ModuleType, driver: Any, read: Any) -> None:
    driver.show({**read("zoo5"), "delay_ms": 60})
    begun = time.monotonic()
    with started(nvml):
        assert time.monotonic() - begun >= 0.06


def test_handle_that_fails(nvml: ModuleType, driver: Any, read: Any) -> None:
    machine = read("zoo5")
    machine["gpus"][1]["handle"] = "err:15"
    driver.show(machine)
    with started(nvml):
        assert nvml.nvmlDeviceGetCount() == 5
        assert asked(nvml, nvml.nvmlDeviceGetHandleByIndex, 1) == "err:15"
        assert nvml.nvmlDeviceGetIndex(nvml.nvmlDeviceGetHandleByIndex(2)) == 2


def test_field_values(nvml: ModuleType, driver: Any, read: Any) -> None:
    """Many fields in one call, each with a result of its own."""
    driver.show(read("a100_mig"))
    with started(nvml):
        gpu = nvml.nvmlDeviceGetHandleByIndex(0)
        wanted = [nvml.NVML_FI_DEV_MEMORY_TEMP, nvml.NVML_FI_DEV_RETIRED_SBE, 9999]
        values = nvml.nvmlDeviceGetFieldValues(gpu, wanted)
        assert [value.nvmlReturn for value in values] == [0, 3, 3]
        assert values[0].value.uiVal == 35


@pytest.mark.parametrize(
    "name",
    [
        "nvmlDeviceGetPersistenceMode",
        "nvmlDeviceGetComputeMode",
        "nvmlDeviceGetDisplayMode",
        "nvmlDeviceGetDisplayActive",
        "nvmlDeviceGetMultiGpuBoard",
        "nvmlDeviceGetVirtualizationMode",
        "nvmlDeviceGetCurrentClocksEventReasons",
        "nvmlDeviceGetSupportedEventTypes",
        "nvmlDeviceGetPerformanceState",
    ],
)
def test_settings_have_a_plain_value(nvml: ModuleType, driver: Any, read: Any, name: str) -> None:
    driver.show(read("zoo5"))
    with started(nvml):
        assert getattr(nvml, name)(nvml.nvmlDeviceGetHandleByIndex(0)) == 0


def test_derived(nvml: ModuleType, driver: Any, read: Any) -> None:
    """What follows from compute capability, name and SM count."""
    driver.show(read("zoo5"))
    with started(nvml):
        told = []
        for index in range(5):
            gpu = nvml.nvmlDeviceGetHandleByIndex(index)
            calls = (nvml.nvmlDeviceGetArchitecture, nvml.nvmlDeviceGetNumGpuCores)
            told.append(tuple(asked(nvml, call, gpu) for call in calls))
    assert told == [(4, 3584), (2, 2496), (2, 2496), ("err:3", 336), (6, 2560)]


def test_event_sets_can_be_waited_on(nvml: ModuleType, driver: Any, read: Any) -> None:
    driver.show(read("zoo5"))
    with started(nvml):
        events = nvml.nvmlEventSetCreate()
        assert asked(nvml, nvml.nvmlEventSetWait, events, 1) == "err:10"
        nvml.nvmlEventSetFree(events)


def test_mig(nvml: ModuleType, driver: Any, read: Any) -> None:
    machine = read("a100_mig")
    driver.show(machine)
    with started(nvml):
        plain, parent = (nvml.nvmlDeviceGetHandleByIndex(i) for i in range(2))
        assert nvml.nvmlDeviceGetMaxMigDeviceCount(parent) == 7
        assert asked(nvml, nvml.nvmlDeviceGetMigDeviceHandleByIndex, plain, 0) == "err:6"
        assert asked(nvml, nvml.nvmlDeviceGetMigDeviceHandleByIndex, parent, 3) == "err:6"
        for place, told in enumerate(machine["gpus"][1]["migs"]):
            mig = nvml.nvmlDeviceGetMigDeviceHandleByIndex(parent, place)
            assert nvml.nvmlDeviceIsMigDeviceHandle(mig) and nvml.nvmlDeviceGetIndex(mig) == place
            assert nvml.nvmlDeviceGetUUID(mig) == told["uuid"]
            assert nvml.nvmlDeviceGetName(mig) == f"NVIDIA A100-SXM4-40GB MIG {told['profile']}"
            assert nvml.nvmlDeviceGetGpuInstanceId(mig) == told["gi"]
            assert nvml.nvmlDeviceGetComputeInstanceId(mig) == told["ci"]
            assert nvml.nvmlDeviceGetMemoryInfo(mig).total == told["mem_total"]
            attributes = nvml.nvmlDeviceGetAttributes_v2(mig)
            assert attributes.gpuInstanceSliceCount == int(told["profile"][0])
            assert attributes.memorySizeMB == told["mem_total"] >> 20
            assert attributes.multiprocessorCount == told["sm_count"]
            owner = nvml.nvmlDeviceGetDeviceHandleFromMigDeviceHandle(mig)
            assert nvml.nvmlDeviceGetIndex(owner) == 1
            again = nvml.nvmlDeviceGetHandleByUUID(told["uuid"])
            assert nvml.nvmlDeviceGetUUID(again) == told["uuid"]
            assert nvml.nvmlDeviceGetPciInfo(mig).busId == "00000000:0F:00.0"
        busy = nvml.nvmlDeviceGetMigDeviceHandleByIndex(parent, 1)
        process = nvml.nvmlDeviceGetComputeRunningProcesses(busy)[0]
        assert (process.pid, process.gpuInstanceId, process.computeInstanceId) == (31044, 3, 0)


COUNTED = """
import ctypes, sys
nvml = ctypes.CDLL(sys.argv[1])
nvml.nvmlInit_v2()
count = ctypes.c_uint()
nvml.nvmlDeviceGetCount_v2(ctypes.byref(count))
nvml.nvmlDeviceGetCount(ctypes.byref(count))
"""


def test_calls_are_counted_as_the_program_makes_them(driver: Any, read: Any, tmp_path: Any) -> None:
    """What the library calls in itself is no call; nvmlInit_v2 calls nvmlInitWithFlags."""
    driver.show(read("zoo5"))
    calls = tmp_path / "calls"
    subprocess.run(
        [sys.executable, "-c", COUNTED, str(driver.library)],
        check=True,
        env={**os.environ, "SIMULATED_GPU_CALLS": str(calls)},
    )
    assert calls.read_text().split() == [
        "nvmlInit_v2",
        "nvmlDeviceGetCount_v2",
        "nvmlDeviceGetCount",
    ]
