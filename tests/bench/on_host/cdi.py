# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""cdi.py FOLDER IMAGE RUNS: times, on a test host, nvidia-docker-cdi of FOLDER and containers with
its specification, in turns, and prints the seconds of each run as JSON, then of the processor.
Python 3.9 is all that it needs.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

WARM_UP = 3
SPECIFICATION = "/var/run/cdi/nvidia.json"
SEEN = "/run/gpufleet-bench-seen"
ENGINES = "/run/nvidia-docker-cdi/engines"
"""What the engines have told of their versions."""
CLIENT = ["docker", "version", "--format", "{{.Client.Version}}"]
RUN = ["docker", "run", "--rm", "--network=none"]


def run(command: list[str], output: int) -> tuple[float, float]:
    """Return the seconds from start to end, and the processor's, children included."""
    actions = [(os.POSIX_SPAWN_DUP2, output, 1), (os.POSIX_SPAWN_DUP2, output, 2)]
    started = time.perf_counter()
    pid = os.posix_spawnp(command[0], command, os.environ, file_actions=actions)
    _pid, status, usage = os.wait4(pid, 0)
    taken = time.perf_counter() - started
    assert status == 0, command
    return taken, usage.ru_utime + usage.ru_stime


def main(folder: str, image: str, runs: int) -> None:
    ours = f"{folder}/bin/nvidia-docker-cdi"
    path = f"--path={SPECIFICATION}"
    commands = {
        "docker version": CLIENT,
        "interpreter": ["/usr/bin/python3", "-IS", "-c", "pass"],
        "first": [ours, path],
        "written": [ours, path],
        "right": [ours, path],
        "look": [ours, path, f"--unless-same-as={SEEN}"],
        "docker run": [*RUN, image, "true"],
        "docker run --device": [*RUN, "--device=nvidia.com/gpu=all", image, "true"],
    }
    times: dict[str, list[float]] = {name: [] for name in commands}
    processor: dict[str, list[float]] = {name: [] for name in commands}
    with open(os.devnull, "wb") as nowhere:
        for number in range(WARM_UP + runs):
            for name, command in commands.items():
                if name in ("first", "written"):
                    Path(SPECIFICATION).unlink(missing_ok=True)
                if name == "first":
                    Path(ENGINES).unlink(missing_ok=True)
                if name == "look":
                    # What was seen before is no more: the file is a new one.
                    run(command, nowhere.fileno())
                taken, used = run(command, nowhere.fileno())
                if number >= WARM_UP:
                    times[name].append(taken)
                    processor[name].append(used)
    Path(SEEN).unlink(missing_ok=True)
    print(json.dumps(times))
    print(json.dumps(processor))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
