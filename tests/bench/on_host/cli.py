# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""cli.py FOLDER IMAGE RUNS: times, on a test host, docker, nvidia-docker of FOLDER, and what that
consists of, in turns, and prints the seconds of each run as JSON, then of the processor. Python 3.9
is all that it needs.
"""

from __future__ import annotations

import json
import os
import sys
import time

WARM_UP = 3
PYTHON = ["/usr/bin/python3", "-IS", "-c"]
INSPECT = ["docker", "image", "inspect", "--format", "{{json .Config}}", "--"]
# As the launcher: the first release that it can import from.
IMPORT = "import os, sys; sys.path += [{release!r}, {release!r} + '/nvidia_docker/_vendor']; "
TIMED = (
    "import time; start = time.perf_counter(); {}; first = time.perf_counter(); {}; "
    "print(first - start, time.perf_counter() - first)"
)
ENVIRONMENT = {"PATH": os.environ["PATH"]}


def run(command: list[str], output: int, **variables: str) -> tuple[float, float]:
    """Return the seconds from start to end, and the processor's, children included."""
    actions = [(os.POSIX_SPAWN_DUP2, output, 1)]
    started = time.perf_counter()
    pid = os.posix_spawnp(
        command[0], command, {**ENVIRONMENT, **variables}, file_actions=actions, setsigdef=()
    )
    _dummy, status, usage = os.wait4(pid, 0)
    taken = time.perf_counter() - started
    assert status == 0, command
    return taken, usage.ru_utime + usage.ru_stime


def main(folder: str, image: str, runs: int) -> None:
    ours = f"{folder}/bin/nvidia-docker"
    release = os.path.realpath(f"{folder}/lib/nvidia-docker/current")
    setup = IMPORT.format(release=release)
    commands = {
        "docker version": (["docker", "version", "--format", "{{.Client.Version}}"], {}),
        "docker ps": (["docker", "ps"], {}),
        "nvidia-docker ps": ([ours, "ps"], {}),
        "docker create": (["docker", "create", image, "true"], {}),
        "nvidia-docker create": ([ours, "create", image, "true"], {}),
        "interpreter": ([*PYTHON, "pass"], {}),
        "pass-through": ([ours, "ps"], {"NV_DOCKER": "true"}),
        "true": (["true"], {}),
        "image query": ([*INSPECT, image], {}),
        "nvidia-modprobe": (["nvidia-modprobe", "-u", "-c=0"], {}),
    }
    inside = {
        "discovery": ("from nvidia_docker.host.discovery import discover", "discover()"),
        "rest": ("from nvidia_docker.cli import local", "pass"),
    }
    times: dict[str, list[float]] = {}
    processor: dict[str, list[float]] = {}
    containers = os.memfd_create("containers")
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for _dummy in range(WARM_UP + runs):
        for name, (command, variables) in commands.items():
            output = containers if "create" in name else nowhere
            taken, used = run(command, output, **variables)
            times.setdefault(name, []).append(taken)
            processor.setdefault(name, []).append(used)
        for name, steps in inside.items():
            printed = os.memfd_create(name)
            # local needs what discovery has imported.
            before = "" if name == "discovery" else inside["discovery"][0] + "; "
            run([*PYTHON, setup + before + TIMED.format(*steps)], printed)
            imported, done = map(float, os.pread(printed, 100, 0).split())
            os.close(printed)
            times.setdefault(f"import {name}", []).append(imported)
            times.setdefault(name, []).append(done)
    made = os.pread(containers, 1 << 20, 0).decode().split()
    run(["docker", "rm", *made], nowhere)
    for seconds in (times, processor):
        print(json.dumps({name: values[WARM_UP:] for name, values in seconds.items()}))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
