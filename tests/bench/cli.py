# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The command with a real docker client, engine and plugin on the demo's host; nvidia-docker 1.0.1
as it was recorded, in starts of a docker client on the same machine.
"""

from __future__ import annotations

import contextlib
import json
import os
import statistics
import subprocess
from collections.abc import Iterator
from pathlib import Path

from ansible_collections.gpufleet.nvidia.tests.bench.measure import RUNS, Figure

ROOT = Path(__file__).resolve().parents[2]
HOST = os.environ.get("GPUFLEET_DEMO", "gpufleet-demo")
PREFIX = "/opt/gpufleet-bench"
IMAGE = "gpufleet/cuda:8.0"
CLIENT = "one start of the docker client (docker version)"
V1 = {"ps": 27 / 22, "create": 130 / 22}
"""What v1.0.1 added to docker, in starts of its client: that took 22 ms (median of 40-60 runs)."""
TARGETS = {"ps": "0.6 x", "create": "0.75 x, goal 0.5 x"}


@contextlib.contextmanager
def host() -> Iterator[None]:
    """The demo's host with the checkout's programs; one that was up before stays up."""
    known = ["docker", "container", "inspect", HOST]
    mine = subprocess.run(known, capture_output=True, check=False).returncode != 0
    if mine:
        subprocess.run([ROOT / "tests/demo/demo.sh"], check=True)
    try:
        yield
    finally:
        subprocess.run(["docker", "exec", HOST, "rm", "-rf", PREFIX], check=True)
        if mine:
            subprocess.run([ROOT / "tests/hosts/host.sh", "down", HOST], check=True)


def install(directory: Path) -> None:
    """Put the programs of the checkout beside the installed ones."""
    environment = {name: value for name, value in os.environ.items() if name != "MAKEFLAGS"}
    make = ["make", "-C", str(ROOT), "install", f"PREFIX={PREFIX}", f"DESTDIR={directory}"]
    subprocess.run(make, env=environment, stdout=subprocess.DEVNULL, check=True)
    archive = subprocess.run(
        ["tar", "-C", directory, "-c", "opt"], stdout=subprocess.PIPE, check=True
    ).stdout
    subprocess.run(
        ["docker", "exec", "-i", HOST, "tar", "-C", "/", "-x"], input=archive, check=True
    )


Times = dict[str, list[float]]


def measured() -> tuple[Times, Times]:
    """Return the seconds of each run on the host, and those of the processor."""
    script = (Path(__file__).parent / "on_host" / "cli.py").read_bytes()
    command = ["docker", "exec", "-i", HOST, "/usr/bin/python3", "-", PREFIX, IMAGE, str(RUNS)]
    done = subprocess.run(command, input=script, stdout=subprocess.PIPE, check=True)
    times, processor = map(json.loads, done.stdout.splitlines())
    return times, processor


def added(command: str, times: Times, processor: Times) -> Figure:
    """Return what nvidia-docker adds to a command of docker."""
    plain, ours = times[f"docker {command}"], times[f"nvidia-docker {command}"]
    differences = [our - other for our, other in zip(ours, plain)]
    middle, client_s = statistics.median(differences), statistics.median(times["docker version"])
    # On a busy machine this one hardly changes.
    least = {name: min(values) for name, values in processor.items()}
    more = least[f"nvidia-docker {command}"] - least[f"docker {command}"]
    return Figure(
        name=f"nvidia-docker {command}, added to docker {command}",
        seconds=middle,
        worst=max(differences),
        baseline=CLIENT,
        baseline_seconds=client_s,
        target=f"{TARGETS[command]} of what v1.0.1 added, {V1[command]:.1f} starts of a client",
        remark=f"{middle / client_s / V1[command]:.2f} x v1.0.1; of the processor "
        f"{more * 1000:.1f} ms, {more / least['docker version'] / V1[command]:.2f} x v1.0.1",
    )


def figures(directory: Path) -> Iterator[Figure]:
    """Yield what is added, then where the time of a create goes."""
    with host():
        install(directory)
        times, processor = measured()
    medians = {name: statistics.median(values) for name, values in times.items()}
    for command in ("ps", "create"):
        yield added(command, times, processor)
    passed = [whole - start for whole, start in zip(times["pass-through"], times["interpreter"])]
    parts = {
        "interpreter: python3 -IS -c pass": (times["interpreter"], "before all"),
        "imports of a pass-through, and exec": (passed, "before all"),
        "image query: docker image inspect": (times["image query"], "beside the next two"),
        "import of discovery": (times["import discovery"], "beside the image query"),
        "discovery: NVML and device nodes": (times["discovery"], "beside the image query"),
        "import of what plans": (times["import rest"], "after the image query"),
        "nvidia-modprobe": (times["nvidia-modprobe"], "after the image query"),
        "start of a program: true": (times["true"], ""),
    }
    for name, (values, when) in parts.items():
        yield Figure(
            name=name,
            seconds=statistics.median(values),
            worst=max(values),
            baseline="nvidia-docker create, all of it",
            baseline_seconds=medians["nvidia-docker create"],
            target="",
            remark=when,
        )
