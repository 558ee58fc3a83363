# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Hosts as values, for tests of what follows from them, and the simulated driver."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.model import (
    CONTROL_NODES,
    Device,
    Driver,
    Host,
    MigDevice,
)

REPOSITORY = Path(__file__).resolve().parents[5]
SIMULATOR = REPOSITORY / "roles" / "simulated_gpu" / "files"
LOAD = (
    "import json, sys; from pathlib import Path; import simulated_gpu as s;"
    "state = s.flatten(json.load(sys.stdin), nodes=False);"
    "s.write_state(Path(sys.argv[1]), state)"
)


def gpu(index: int, minor: int, uuid: str, pci_bus_id: str, migs: tuple = (), cc: str = "6.0"):
    return Device(
        index=index,
        uuid=uuid,
        minor_number=minor,
        pci_bus_id=pci_bus_id,
        name="Tesla",
        memory_mib=16276,
        compute_capability=cc,
        brand="tesla",
        mig_enabled=bool(migs),
        mig_devices=migs,
    )


def mig(index: int, uuid: str) -> MigDevice:
    return MigDevice(
        uuid=uuid,
        index=index,
        gpu_index=3,
        gpu_uuid="GPU-dd",
        gpu_instance_id=7 + index,
        compute_instance_id=0,
        name="A100 MIG 1g.5gb",
        profile="1g.5gb",
        memory_mib=4864,
        node="/dev/nvidia3",
        capability_nodes=(
            f"/dev/nvidia-caps/nvidia-cap{index}1",
            f"/dev/nvidia-caps/nvidia-cap{index}2",
        ),
    )


@pytest.fixture
def host() -> Host:
    """Four GPUs: minor numbers differ from indices, two UUIDs share a start, the last has MIG."""
    return Host(
        driver=Driver("375.26", "8.0", "8.375.26", "375.26"),
        devices=(
            gpu(0, 2, "GPU-836c", "0000:04:00.0"),
            gpu(1, 0, "GPU-b78a-1", "0000:07:00.0"),
            gpu(2, 1, "GPU-b78a-2", "0001:08:00.0"),
            gpu(3, 3, "GPU-dd", "0000:af:00.0", (mig(0, "MIG-aa"), mig(1, "MIG-ab")), "8.0"),
        ),
        unreadable=(),
        control_nodes=CONTROL_NODES,
        missing_nodes=(),
        reason=None,
    )


@pytest.fixture(scope="session")
def machine_file() -> Callable[[str], dict]:
    """A function from a name to the machine file's JSON."""
    return lambda name: json.loads((SIMULATOR / "machines" / f"{name}.json").read_text())


@pytest.fixture(scope="session")
def on_machine(tmp_path_factory, machine_file):
    """A function that runs Python code where NVML shows a machine, and returns what it prints.

    Each in a process of its own, as the loader keeps the first libnvidia-ml it found.
    """
    prefix = tmp_path_factory.mktemp("simulated_driver")
    command = [sys.executable, str(SIMULATOR / "simulated_gpu.py"), "build", "--no-nodes"]
    built = subprocess.run(
        [*command, "--machine", str(SIMULATOR / "machines/zoo5.json"), "--prefix", str(prefix)],
        check=True,
        capture_output=True,
        text=True,
    )

    def run(machine: str | dict, code: str, *arguments: str, stdin: str = "") -> bytes:
        shown = machine_file(machine) if isinstance(machine, str) else machine
        subprocess.run(
            [sys.executable, "-c", LOAD, built.stdout.strip()],
            check=True,
            input=json.dumps(shown).encode(),
            env={**os.environ, "PYTHONPATH": str(SIMULATOR)},
        )
        return subprocess.run(
            [sys.executable, "-c", code, *arguments],
            check=True,
            input=stdin.encode(),
            stdout=subprocess.PIPE,
            env={
                **os.environ,
                "LD_LIBRARY_PATH": str(prefix / "lib"),
                "PYTHONPATH": str(REPOSITORY / ".dev"),
            },
        ).stdout

    return run


@pytest.fixture(scope="session")
def kernel_of():
    """A function that makes /dev, /proc and /sys of a machine below a directory."""
    sys.path.insert(0, str(SIMULATOR))
    from simgpu import flat, kernel_files

    def make(root: Path, machine: dict) -> None:
        content = {"proc/driver": kernel_files.proc_driver(machine)}
        content["sys/module"] = kernel_files.sys_module(machine)
        content["sys/bus/pci/devices"] = kernel_files.pci_devices(machine)
        # /dev/null, which stands for every device node, has major number 1.
        names = "  1 nvidia-frontend\n  1 nvidia-uvm\n  1 nvidia-caps\n"
        content["proc"] = {"devices": f"Character devices:\n{names}\nBlock devices:\n  7 loop\n"}
        for folder, files in content.items():
            for name, text in files.items():
                path = root / folder / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text)
        nodes = ["nvidiactl", "nvidia-uvm", "nvidia-uvm-tools"]
        for gpu in machine["gpus"]:
            nodes.append(f"nvidia{gpu['minor']}")
            for one in gpu.get("migs", ()):
                instance = flat.gpu_instance_cap(gpu["minor"], one["gi"])
                part = flat.compute_instance_cap(gpu["minor"], one["gi"], one["ci"])
                nodes += [f"nvidia-caps/nvidia-cap{minor}" for minor in (instance, part)]
        for node in dict.fromkeys(nodes):
            path = root / "dev" / node
            path.parent.mkdir(parents=True, exist_ok=True)
            path.symlink_to("/dev/null")

    return make
