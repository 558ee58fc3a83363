# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What computes where, and who uses what: the real pynvml on the simulated driver, and a docker
client that is a script."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.host.usage import (
    ContainerUsage,
    GpuUsage,
    ProcessUsage,
)

PACKAGE = "ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.host"
PROCESSES = f"""
import pickle, sys
from pathlib import Path
from {PACKAGE} import discovery
host = discovery.discover(Path(sys.argv[1]))
sys.stdout.buffer.write(pickle.dumps(discovery.compute_processes(host)))
"""
USAGE = f"""
import pickle, sys
from pathlib import Path
from {PACKAGE} import discovery, usage
from {PACKAGE}.engine import Engine
from {PACKAGE}.leases import Leases
leases = Leases(Path(sys.argv[1]))
with leases.locked():
    leases.write("next", ("GPU-b78a60a1-77aa-4b1c-9d52-0e4f7c9b2202",))
found = usage.look(discovery.discover(), Engine("unix:///run/docker.sock"), leases)
sys.stdout.buffer.write(pickle.dumps(found))
"""


@pytest.fixture
def processes(on_machine, tmp_path: Path):
    """Return a function: machine -> UUID -> PIDs."""

    def ask(machine):
        found = pickle.loads(on_machine(machine, PROCESSES, str(tmp_path)))
        return {
            uuid: None if told is None else [one.pid for one in told]
            for uuid, told in found.items()
        }

    return ask


def test_processes_of_each_gpu(processes, machine_file) -> None:
    """One that does not tell is not one on which nothing computes."""
    gpus = machine_file("zoo5")["gpus"]
    assert processes("zoo5") == {
        gpus[0]["uuid"]: [4242, 4243],
        gpus[1]["uuid"]: [999],
        gpus[2]["uuid"]: [],
        gpus[3]["uuid"]: None,
        gpus[4]["uuid"]: [],
    }


def test_a_lost_gpu_does_not_tell(processes, machine_file) -> None:
    machine = machine_file("zoo5")
    machine["gpus"][0]["procs"] = "err:15"
    assert processes(machine)[machine["gpus"][0]["uuid"]] is None


def test_processes_of_mig_devices(processes, machine_file, tmp_path: Path) -> None:
    """NVML lists them with the GPU too, which is not asked: its other MIG devices are free."""
    machine = machine_file("a100_mig")
    split = next(gpu for gpu in machine["gpus"] if gpu.get("mig_mode"))
    split["procs"] = "31008:1"
    for mig in split["migs"]:
        mig["procs"] = ""
    split["migs"][0]["procs"] = "31008:1"
    minors = tmp_path / "proc/driver/nvidia-caps/mig-minors"
    minors.parent.mkdir(parents=True)
    for number, mig in enumerate(split["migs"]):
        instance = f"gpu{split['minor']}/gi{mig['gi']}"
        with minors.open("a") as lines:
            lines.write(f"{instance}/access {number}1\n{instance}/ci{mig['ci']}/access {number}2\n")
    found = processes(machine)
    assert split["uuid"] not in found
    first, *others = (mig["uuid"] for mig in split["migs"])
    assert found[first] == [31008]
    assert [found[uuid] for uuid in others] == [[] for _uuid in others] != []


def test_without_a_driver_nothing_computes(processes, machine_file) -> None:
    assert processes("badinit") == {}


A, B = "GPU-836c0c09-9f0d-5f33-b1b5-1b4a8f2d7c00", "GPU-b78a60a1-0c5e-4d29-8e57-6d8b5f1a2201"
C, D = "GPU-b78a60a1-77aa-4b1c-9d52-0e4f7c9b2202", "GPU-0e4dd3c1-5b1f-41c6-9a77-2f6f6c5e3303"
E = "GPU-fe3b0b7a-1c44-4a2e-b2aa-90c1f4ee4404"
CLIENT = f"""#!/bin/sh
case "$*" in *inspect*) exec echo $PPID ;; esac
cat <<'LISTED'
{{"id":"a1","name":"trainer","status":"running","labels":{{"io.gpufleet.nvidia.gpus":"{A},GPU-gone","io.gpufleet.nvidia.injection":"0","io.gpufleet.nvidia.sharing":"exclusive"}}}}
{{"id":"b2","name":"exporter","status":"exited","labels":{{"io.gpufleet.nvidia.gpus":"{A},{E}","io.gpufleet.nvidia.injection":"0","io.gpufleet.nvidia.sharing":"shared"}}}}
{{"id":"c3","name":"web","status":"running","labels":{{}}}}
LISTED
"""


def test_usage(on_machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who has what, what is gone, and what is free: not what is exclusive, computes, is leased or
    does not tell."""
    client = tmp_path / "docker"
    client.write_text(CLIENT)
    client.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    found = pickle.loads(on_machine("zoo5", USAGE, str(tmp_path / "leases")))
    assert found.containers == (
        ContainerUsage(
            "exporter", "b2", "exited", (A, E), (), "driver_volume", "shared", None, False
        ),
        ContainerUsage(
            "trainer",
            "a1",
            "running",
            (A, "GPU-gone"),
            ("GPU-gone",),
            "driver_volume",
            "exclusive",
            None,
            False,
        ),
    )
    train = "/usr/local/bin/train --epochs 90"
    computing = (ProcessUsage(4242, "python3", None), ProcessUsage(4243, train, None))
    server = (ProcessUsage(999, "nvidia-cuda-mps-server", None),)
    assert found.gpus == (
        GpuUsage(A, "0", ("exporter", "trainer"), computing, (), free=False),
        GpuUsage(B, "1", (), server, (), free=False),
        GpuUsage(C, "2", (), (), ("next",), free=False),
        GpuUsage(D, "3", (), None, (), free=False),
        GpuUsage(E, "4", ("exporter",), (), (), free=True),
    )
