# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""facts.py FOLDER PING FACTS RUNS: runs, on a test host, two modules as Ansible has sent them to
FOLDER, in turns; prints JSON: processor seconds of each run, GPUs found, calls of NVML in one run.
Python 3.9 is all that it needs.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys

WARM_UP = 2
NO_PROGRAMS = "mount -t tmpfs none /usr/local/lib/nvidia-docker && exec python3 "
"""In a mount namespace of its own."""


def run(command: list[str]) -> float:
    """Return the seconds of the processors, for all of a command's processes."""
    null = os.open(os.devnull, os.O_RDWR)
    actions = [(os.POSIX_SPAWN_DUP2, null, 0), (os.POSIX_SPAWN_DUP2, null, 1)]
    pid = os.posix_spawnp(command[0], command, os.environ, file_actions=actions)
    os.close(null)
    _dummy, status, usage = os.wait4(pid, 0)
    assert status == 0, command
    return usage.ru_utime + usage.ru_stime


def main(folder: str, ping: str, facts: str, runs: int) -> None:
    modules = {
        "ping": ["python3", f"{folder}/{ping}"],
        "programs installed": ["python3", f"{folder}/{facts}"],
        "no programs": ["unshare", "-m", "sh", "-c", f"{NO_PROGRAMS}{folder}/{facts}"],
    }
    seconds: dict[str, list[float]] = {name: [] for name in modules}
    for number in range(WARM_UP + runs):
        for name, command in modules.items():
            taken = run(command)
            if number >= WARM_UP:
                seconds[name].append(taken)
    calls = f"{folder}/calls"
    done = subprocess.run(
        ["python3", f"{folder}/{facts}"],
        env={**os.environ, "SIMULATED_GPU_CALLS": calls},
        stdout=subprocess.PIPE,
        check=True,
    )
    told = json.loads(done.stdout)["ansible_facts"]["ansible_nvidia"]
    with open(calls) as lines:
        names = [line.strip() for line in lines]
    os.unlink(calls)
    of_gpus = sum(n.startswith("nvmlDevice") and "GetCount" not in n for n in names)
    print(json.dumps({"seconds": seconds, "gpus": told["count"], "calls": of_gpus}))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]))
