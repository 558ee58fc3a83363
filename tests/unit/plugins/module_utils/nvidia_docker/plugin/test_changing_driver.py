# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The plugin lives on while GPUs and drivers come and go, on the simulated driver."""

from __future__ import annotations

import json
from pathlib import Path

SIMULATOR = Path(__file__).resolve().parents[6] / "roles" / "simulated_gpu" / "files"

LIVE = """
import json, os, sys
from pathlib import Path
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.host import (
    describe_apart, discovery
)
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.plugin import (
    api, remote_api, state
)
sys.path.append(sys.argv[1])
import simulated_gpu

library = Path(os.environ["LD_LIBRARY_PATH"], "libnvidia-ml.so.1").resolve()
now = 0.0
seen = state.State(
    Path("/nowhere"),
    discovery.discover,
    describe_apart.describe,
    clock=lambda: now,
    sample=discovery.sample,
    keep_open=discovery.kept_open,
)

def ask(path):
    request = api.Request("GET", path, headers={"host": "localhost"})
    answer = api.respond(remote_api.api(set()), seen, request)
    return answer.status, answer.body.decode()

told = []
for machine in json.load(sys.stdin):
    simulated_gpu.write_state(library, simulated_gpu.flatten(machine, nodes=False))
    now += 2
    info = json.loads(ask("/gpu/info/json")[1])
    status, body = ask("/gpu/status/json")
    told.append({
        "names": [device["Model"] for device in info["Devices"]],
        "cores": [device["Cores"] for device in info["Devices"]],
        "temperatures": [device["Temperature"] for device in json.loads(body)["Devices"]],
        "held": [name for name in os.listdir("/proc/self/fd")
                 if "nvidia" in os.path.realpath("/proc/self/fd/" + name)],
        "mapped": "nvidia-ml" in open("/proc/self/maps").read()
                  or "libcuda" in open("/proc/self/maps").read(),
    })
print(json.dumps(told))
"""


def test_what_changes_is_seen_at_the_next_sweep(on_machine, machine_file) -> None:
    """And between two sweeps nothing of the driver is held, so that it can be unloaded."""
    one = machine_file("single")
    hotter = machine_file("single")
    hotter["gpus"][0]["temp"] += 20
    gone = machine_file("badinit")
    two = machine_file("nop2p")
    steps = [one, hotter, gone, two, one]
    told = json.loads(on_machine("single", LIVE, str(SIMULATOR), stdin=json.dumps(steps)))
    p100, degrees = one["gpus"][0]["name"], one["gpus"][0]["temp"]
    assert [step["temperatures"] for step in told] == [
        [degrees],
        [degrees + 20],
        [],
        [gpu["temp"] for gpu in two["gpus"]],
        [degrees],
    ]
    assert [step["names"] for step in told] == [
        [p100],
        [p100],
        [],
        [gpu["name"] for gpu in two["gpus"]],
        [p100],
    ]
    assert [len(step["cores"]) for step in told] == [1, 1, 0, 2, 1]
    assert None not in told[4]["cores"]
    assert not any(step["held"] or step["mapped"] for step in told)
