# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A task of nvidia_container that has nothing to change, beside docker_container with the same
device nodes, volume and labels by hand: on the demo's host, docker connection, pipelining.
"""

from __future__ import annotations

import os
import re
import resource
import statistics
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ansible_collections.gpufleet.nvidia.tests.bench.cli import host
from ansible_collections.gpufleet.nvidia.tests.bench.measure import Figure
from ansible_collections.gpufleet.nvidia.tests.integration import recorded_play

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / ".build" / "demo" / os.environ.get("GPUFLEET_DEMO", "gpufleet-demo")
NAME = "gpufleet-bench"
RUNS, WARM_UP = 15, 2
OURS = "gpufleet.nvidia.nvidia_container"
PLAIN = "community.docker.docker_container"
TARGET_S = 0.5


def play(tasks: list[dict[str, Any]]) -> recorded_play.Recording:
    one = {"name": NAME, "hosts": "gpus", "gather_facts": False, "tasks": tasks}
    ran = recorded_play.run(FOLDER, [one], "-vvv")
    bad = [each for each in ran.tasks if each.state != "ok"]
    if bad:
        raise RuntimeError(f"{bad[0].task}: {bad[0].result.get('msg')}")
    return ran


def by_hand(container: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    """Return the options of docker_container that a made container fulfils."""
    of_host = container["HostConfig"]
    (mount,) = of_host["Mounts"]
    return {
        **given,
        "devices": [one["PathOnHost"] for one in of_host["Devices"]],
        "labels": {
            key: value
            for key, value in container["Config"]["Labels"].items()
            if key.startswith("io.gpufleet.nvidia.")
        },
        "mounts": [
            {
                "type": "volume",
                "source": mount["Source"],
                "target": mount["Target"],
                "read_only": True,
                "no_copy": True,
                "volume_driver": mount["VolumeOptions"]["DriverConfig"]["Name"],
            }
        ],
    }


def processor(task: dict[str, Any]) -> float:
    """Return the controller's seconds of the processor that one more of this task takes."""

    def taken(count: int) -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        play([task] * count)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    return (taken(1 + RUNS) - taken(1)) / RUNS


def figures(directory: Path) -> Iterator[Figure]:
    """Yield what a task takes, and what it takes more than docker_container."""
    del directory
    given = {"name": NAME, "image": "gpufleet/cuda:8.0", "command": "sleep infinity"}
    with host():
        ours = {"name": "ours", OURS: {**given, "gpus": [0]}}
        made = play([ours]).result(NAME)["container"]
        plain = {"name": "plain", PLAIN: by_hand(made, given)}
        try:
            ran = play([plain, ours] * (WARM_UP + RUNS))
            spent = {task["name"]: processor(task) for task in (plain, ours)}
        finally:
            play([{PLAIN: {"name": NAME, "state": "absent", "stop_timeout": 0}}])
    if any(one.result["changed"] for one in ran.tasks):
        raise RuntimeError("a task changed the container, so they did not do the same")
    times = {
        name: [one.seconds for one in ran.tasks if one.task == name][WARM_UP:]
        for name in ("plain", "ours")
    }
    added = [our - other for our, other in zip(times["ours"], times["plain"])]
    modules = len(re.findall(r"Using module file", ran.output)) - len(ran.tasks) // 2
    remark = (
        f"module runs: {modules / (len(ran.tasks) // 2):g}; controller's processor: "
        f"{spent['ours']:.2f} s, docker_container {spent['plain']:.2f} s"
    )
    for name, values, target in (
        ("nvidia_container, nothing to change", times["ours"], ""),
        ("added to docker_container", added, f"at most {TARGET_S} s, exactly 2 module runs"),
    ):
        yield Figure(
            name=name,
            seconds=statistics.median(values),
            worst=max(values),
            baseline="docker_container with the same devices by hand, nothing to change",
            baseline_seconds=statistics.median(times["plain"]),
            target=target,
            remark=remark if target else "",
        )
