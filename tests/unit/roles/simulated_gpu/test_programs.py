# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""nvidia-smi and the other programs of the driver."""

from __future__ import annotations

import os
import subprocess
from typing import Any


def run(driver: Any, program: str, *arguments: str) -> tuple[int, str]:
    done = subprocess.run(
        [str(driver.prefix / "bin" / program), *arguments],
        env={**os.environ, "LD_LIBRARY_PATH": str(driver.prefix / "lib")},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout


def test_list(driver: Any, read: Any) -> None:
    driver.show(read("zoo5"))
    assert run(driver, "nvidia-smi", "-L") == (
        0,
        "GPU 0: Tesla P100-SXM2-16GB (UUID: GPU-836c0c09-9f0d-5f33-b1b5-1b4a8f2d7c00)\n"
        "GPU 1: Tesla K80 (UUID: GPU-b78a60a1-0c5e-4d29-8e57-6d8b5f1a2201)\n"
        "GPU 2: Tesla K80 (UUID: GPU-b78a60a1-77aa-4b1c-9d52-0e4f7c9b2202)\n"
        "GPU 3: N/A (UUID: GPU-0e4dd3c1-5b1f-41c6-9a77-2f6f6c5e3303)\n"
        "GPU 4: Tesla T4 (UUID: GPU-fe3b0b7a-1c44-4a2e-b2aa-90c1f4ee4404)\n",
    )


def test_list_of_mig_devices(driver: Any, read: Any) -> None:
    driver.show(read("a100_mig"))
    lines = run(driver, "nvidia-smi", "-L")[1].splitlines()
    assert lines[2:] == [
        "  MIG 3g.20gb    Device  0: (UUID: MIG-1d2f9f61-6c0c-5a0e-8f0e-0c2a51e3a320)",
        "  MIG 2g.10gb    Device  1: (UUID: MIG-2b7b3d5e-0a4c-5b53-9a3b-6d1c2f4b0210)",
        "  MIG 1g.5gb     Device  2: (UUID: MIG-3c9d6a10-51ab-5c4f-8c4d-7e2d3a5c0105)",
    ]


def test_table(driver: Any, read: Any) -> None:
    driver.show(read("zoo5"))
    code, text = run(driver, "nvidia-smi")
    assert code == 0
    lines = text.splitlines()
    assert len({len(line) for line in lines}) == 1, "the table's border is straight"
    assert "Driver Version: 375.26" in lines[1] and "CUDA Version: 8.0" in lines[1]
    assert any("Tesla T4" in line and "3MiB / 15109MiB" in line and "29C" in line for line in lines)


def test_failures(driver: Any, read: Any) -> None:
    """Exit status and text by which scripts know what is wrong."""
    driver.show(read("none"))
    assert run(driver, "nvidia-smi", "-L") == (6, "No devices found.\n")
    driver.show(read("badinit"))
    code, text = run(driver, "nvidia-smi")
    assert code == 9 and "couldn't communicate with the NVIDIA driver" in text
    driver.show({**read("zoo5"), "module_version": "384.90"})
    code, text = run(driver, "nvidia-smi")
    assert (code, text) == (18, "Failed to initialize NVML: Driver/library version mismatch\n")
    assert run(driver, "nvidia-smi", "--frobnicate")[0] == 2


def test_modprobe_can_be_made_to_fail(driver: Any, read: Any) -> None:
    driver.show({**read("zoo5"), "modprobe_rc": 3})
    assert run(driver, "nvidia-modprobe", "-u", "-c=0") == (3, "")


def test_the_others_start(driver: Any) -> None:
    names = {"nvidia-debugdump", "nvidia-persistenced", "nvidia-cuda-mps-control"}
    for name in {*names, "nvidia-cuda-mps-server"}:
        assert run(driver, name)[0] == 0
