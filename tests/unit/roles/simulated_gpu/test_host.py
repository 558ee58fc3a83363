# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a driver makes at boot: device nodes and kernel files, by machine."""

from __future__ import annotations

from typing import Any

import pytest
from simgpu import kernel_files, nodes
from simgpu.flat import compute_instance_cap, gpu_instance_cap


def test_nodes(read: Any) -> None:
    wanted = nodes.wanted_nodes(read("zoo5"))
    assert {node.path: (node.major, node.minor, node.mode) for node in wanted} == {
        "/dev/nvidiactl": (195, 255, 0o666),
        "/dev/nvidia-modeset": (195, 254, 0o666),
        "/dev/nvidia-uvm": (511, 0, 0o666),
        "/dev/nvidia-uvm-tools": (511, 1, 0o666),
        **{f"/dev/nvidia{minor}": (195, minor, 0o666) for minor in range(5)},
    }


def test_capability_nodes(read: Any) -> None:
    """Minors as the driver gives them: gpu1/gi3 is 165, its compute instance 0 is 166."""
    found = {node.path: node for node in nodes.wanted_nodes(read("a100_mig"))}
    caps = {path: node.minor for path, node in found.items() if "caps" in path}
    assert caps == {
        f"/dev/nvidia-caps/nvidia-cap{minor}": minor
        for minor in (1, 2, 156, 157, 165, 166, 219, 220)
    }


@pytest.mark.parametrize(
    ("gpu", "instance", "cap"), [(0, 0, 3), (0, 1, 12), (0, 7, 66), (1, 0, 138), (31, 14, 4314)]
)
def test_capability_minors(gpu: int, instance: int, cap: int) -> None:
    assert gpu_instance_cap(gpu, instance) == cap
    assert compute_instance_cap(gpu, instance, 7) == cap + 8


def test_proc(read: Any) -> None:
    files = kernel_files.proc_driver(read("a100_mig"))
    assert "Kernel Module  550.163.01" in files["nvidia/version"]
    information = files["nvidia/gpus/0000:0f:00.0/information"]
    rows = dict(row.split(":", 1) for row in information.splitlines())
    assert rows["GPU UUID"].strip() == "GPU-6e9b2f1b-44b2-4d5f-8e1a-5a2c1b8f2001"
    assert rows["Device Minor"].strip() == "1"
    assert "gpu1/gi3/ci0/access 166\n" in files["nvidia-caps/mig-minors"]
    access = files["nvidia/capabilities/gpu1/mig/gi3/ci0/access"]
    assert access.startswith("DeviceFileMinor: 166\n")
    assert not any("capabilities" in name for name in kernel_files.proc_driver(read("zoo5")))


def test_module_version_may_differ_from_the_libraries(read: Any) -> None:
    machine = {**read("zoo5"), "module_version": "384.90"}
    assert kernel_files.sys_module(machine)["nvidia/version"] == "384.90\n"
    assert "384.90" in kernel_files.proc_driver(machine)["nvidia/version"]


def test_numa_nodes(read: Any) -> None:
    files = kernel_files.pci_devices(read("zoo5"))
    numa = {name: text for name, text in files.items() if name.endswith("numa_node")}
    assert numa == {
        "0000:04:00.0/numa_node": "0\n",
        "0000:07:00.0/numa_node": "0\n",
        "0000:83:00.0/numa_node": "-1\n",
        "0000:af:00.0/numa_node": "1\n",
    }
    assert "0001:1b:00.0/numa_node" in kernel_files.pci_devices(read("h100x8"))
