# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""nvidia-docker-cdi on a host with eight GPUs, and what its specification adds to the start of a
container; nvidia-ctk as it was recorded, in starts of a process on the same machine.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
from collections.abc import Iterator
from pathlib import Path

from ansible_collections.gpufleet.nvidia.tests.bench.measure import Figure

ROOT = Path(__file__).resolve().parents[2]
HOST = os.environ.get("GPUFLEET_DEMO", "gpufleet-bench-cdi")
INVENTORY = ROOT / ".build" / "demo" / HOST / "inventory"
MACHINE = "h100x8"
IMAGE = "gpufleet/cuda:8.0"
RUNS = 15
CLIENT = "one start of the docker client (docker version)"
CTK_CLIENTS, CTK_PROCESSOR_S = 37 / 22, 0.040
"""nvidia-ctk cdi generate, eight GPUs: in starts of a docker client (22 ms); of the processor."""
CTK_ADDED = 0.110 / 0.250
"""What a specification with nvidia-ctk's hooks added to docker run, of docker run without."""


def play(name: str, *options: str) -> None:
    """Run a playbook of the collection on the host."""
    command = [ROOT / ".venv/bin/ansible-playbook", "-i", INVENTORY, f"gpufleet.nvidia.{name}"]
    environment = {**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg")}
    subprocess.run([*command, *options], env=environment, stdout=subprocess.DEVNULL, check=True)


Times = dict[str, list[float]]


def measured() -> tuple[Times, Times]:
    """Return the seconds of each run on a host whose Docker takes CDI, and the processor's."""
    known = ["docker", "container", "inspect", HOST]
    mine = subprocess.run(known, capture_output=True, check=False).returncode != 0
    demo = {**os.environ, "GPUFLEET_DEMO": HOST, "DEMO_SUITE": "trixie"}
    subprocess.run([ROOT / "tests/demo/demo.sh"], env=demo, stdout=subprocess.DEVNULL, check=True)
    try:
        play("simulated", "-e", f"simulated_gpu_machine={MACHINE}")
        play("site", "-e", "gpufleet_cdi=true", "-e", '{"gpufleet_containers": []}')
        script = (Path(__file__).parent / "on_host" / "cdi.py").read_bytes()
        command = ["docker", "exec", "-i", HOST, "/usr/bin/python3", "-", "/usr/local"]
        done = subprocess.run(
            [*command, IMAGE, str(RUNS)], input=script, stdout=subprocess.PIPE, check=True
        )
        times, processor = map(json.loads, done.stdout.splitlines())
        return times, processor
    finally:
        if mine:
            subprocess.run([ROOT / "tests/hosts/host.sh", "down", HOST], check=True)
        else:
            play("simulated")


def figures(directory: Path) -> Iterator[Figure]:
    """Yield the specification's figures, then those of a container."""
    times, processor = measured()
    medians = {name: statistics.median(values) for name, values in times.items()}
    client_s = medians["docker version"]
    for name, what in (
        ("first", "nvidia-docker-cdi, program start to file, 8 GPUs: the first run after a boot"),
        ("written", "nvidia-docker-cdi, the same where engines have told their versions before"),
        ("right", "nvidia-docker-cdi, where the file is right"),
        ("look", "nvidia-docker-cdi, the look of every 20 s"),
        ("interpreter", "of these: python3 -IS -c pass"),
    ):
        # On a busy machine the least of the processor hardly changes.
        least = min(processor[name])
        yield Figure(
            name=what,
            seconds=medians[name],
            worst=max(times[name]),
            baseline=CLIENT,
            baseline_seconds=client_s,
            target="3 x nvidia-ctk" if name == "written" else "",
            remark=f"{medians[name] / client_s / CTK_CLIENTS:.2f} x nvidia-ctk; of the processor "
            f"{least * 1000:.1f} ms, {least / CTK_PROCESSOR_S:.2f} x nvidia-ctk",
        )
    pairs = zip(times["docker run --device"], times["docker run"])
    differences = [ours - plain for ours, plain in pairs]
    added = statistics.median(differences)
    yield Figure(
        name="docker run --device nvidia.com/gpu=all, added to docker run",
        seconds=added,
        worst=max(differences),
        baseline="docker run",
        baseline_seconds=medians["docker run"],
        target="30 ms of 250 ms, 0.12 x",
        remark=f"{added / medians['docker run'] / CTK_ADDED:.2f} x what nvidia-ctk's hooks add",
    )
