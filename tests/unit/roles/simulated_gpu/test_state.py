# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The state in the library file: changes while running, hard links, writers that were killed."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import simulated_gpu
from simgpu import state_file

# Another process: starts NVML, then answers each line with the temperature of GPU 0.
CHILD = """
import ctypes, sys
nvml = ctypes.CDLL(sys.argv[1])
assert nvml.nvmlInit_v2() == 0
gpu, value = ctypes.c_void_p(), ctypes.c_uint()
assert nvml.nvmlDeviceGetHandleByIndex_v2(0, ctypes.byref(gpu)) == 0
for line in sys.stdin:
    result = nvml.nvmlDeviceGetTemperature(gpu, 0, ctypes.byref(value))
    print(result or value.value, flush=True)
"""


class Process:
    def __init__(self, library: Path) -> None:
        command = [sys.executable, "-c", CHILD, str(library)]
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True)

    def temperature(self) -> int:
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline())

    def end(self) -> None:
        self.process.communicate()


def with_temperature(read: Any, degrees: Any) -> dict[str, Any]:
    machine: dict[str, Any] = read("zoo5")
    machine["gpus"][0]["temp"] = degrees
    return machine


def slots(library: Path) -> list[int]:
    start = library.stat().st_size - state_file.REGION_SIZE
    return [start, start + state_file.SLOT_SIZE]


def overwrite(library: Path, at: int, data: bytes) -> None:
    with library.open("r+b") as file:
        os.pwrite(file.fileno(), data, at)


def test_other_process_sees_a_change(driver: Any, read: Any) -> None:
    driver.show(with_temperature(read, 61))
    other = Process(driver.library)
    assert other.temperature() == 61
    for degrees in (62, 63, 64):
        driver.show(with_temperature(read, degrees))
        assert other.temperature() == degrees
    driver.show(with_temperature(read, "err:15"))
    assert other.temperature() == 15
    other.end()


def test_hard_link_shows_a_change(driver: Any, read: Any, tmp_path: Path) -> None:
    """As in a driver volume: another name, the same inode, perhaps not writable."""
    link = driver.prefix / "volume.so"
    os.link(driver.library, link)
    driver.show(with_temperature(read, 41))
    other = Process(link)
    assert other.temperature() == 41
    driver.show(with_temperature(read, 42))
    assert other.temperature() == 42
    other.end()


def test_inode_stays(driver: Any, read: Any) -> None:
    before = driver.library.stat()
    driver.show(with_temperature(read, 43))
    after = driver.library.stat()
    assert (before.st_ino, before.st_size) == (after.st_ino, after.st_size)


def test_half_written_slot_does_not_count(driver: Any, read: Any) -> None:
    """A writer that was killed has changed text but not the header of the older slot."""
    driver.show(with_temperature(read, 51))
    driver.show(with_temperature(read, 52))
    other = Process(driver.library)
    library, text = driver.library, simulated_gpu.read_state(driver.library)
    older = min(slots(library), key=lambda at: generation(library, at))
    overwrite(library, older + 40, b"torn" * 100)
    assert simulated_gpu.read_state(library) == text
    assert other.temperature() == 52
    driver.show(with_temperature(read, 53))
    assert other.temperature() == 53
    other.end()


def test_damaged_newest_slot_falls_back(driver: Any, read: Any) -> None:
    driver.show(with_temperature(read, 54))
    driver.show(with_temperature(read, 55))
    library = driver.library
    newest = max(slots(library), key=lambda at: generation(library, at))
    overwrite(library, newest + 40, b"torn" * 100)
    other = Process(library)
    assert other.temperature() == 54
    driver.show(with_temperature(read, 56))
    assert other.temperature() == 56
    other.end()


def generation(library: Path, at: int) -> int:
    with library.open("rb") as file:
        return int.from_bytes(os.pread(file.fileno(), 8, at + 8), sys.byteorder)


def test_writer_waits_for_a_reader(driver: Any, read: Any) -> None:
    """What is read under the lock is whole, however often it is written."""
    machines = [with_temperature(read, degrees) for degrees in (70, 71)]
    driver.show(machines[0])
    other = Process(driver.library)
    seen = set()
    for round in range(20):
        driver.show(machines[round % 2])
        seen.add(other.temperature())
    other.end()
    assert seen == {70, 71}


def test_a_gpu_that_works_changes_no_driver_file(driver: Any, read: Any) -> None:
    """Driver volumes are compared with the driver's files by size and time of modification."""
    os.utime(driver.library, ns=(1, 1_000_000_001))
    driver.show(with_temperature(read, 70))
    other = Process(driver.library)
    assert other.temperature() == 70
    other.end()
    assert os.stat(driver.library).st_mtime_ns == 1_000_000_001


def test_library_is_needed(tmp_path: Path) -> None:
    other = tmp_path / "libother.so"
    other.write_bytes(b"\x7fELF" + bytes(3 * 1024 * 1024 - 4))
    with pytest.raises(simulated_gpu.SimulationError, match="not a library of the simulated"):
        simulated_gpu.write_state(other, "driver=1\n")


def test_too_large_a_state_is_refused(driver: Any) -> None:
    before = simulated_gpu.read_state(driver.library)
    with pytest.raises(simulated_gpu.SimulationError, match="more than"):
        simulated_gpu.write_state(driver.library, "a=b\n" * 200_000)
    assert simulated_gpu.read_state(driver.library) == before


def test_without_nodes_there_is_no_driver(driver: Any, read: Any, tmp_path: Path) -> None:
    """Where nodes count, NVML and CUDA start only with /dev/nvidiactl."""
    if os.path.exists("/dev/nvidiactl"):
        pytest.skip("this machine has NVIDIA device nodes")
    library = simulated_gpu.build(read("single"), tmp_path)
    assert ctypes.CDLL(str(library)).nvmlInit_v2() == 9
    assert ctypes.CDLL(str(tmp_path / "lib" / "libcuda.so.1")).cuInit(0) == 100
