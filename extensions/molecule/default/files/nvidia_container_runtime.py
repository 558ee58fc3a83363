# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Stands in for NVIDIA's runtime: gives a Swarm task the device nodes of the GPUs it has reserved.

NVIDIA's does so with swarm-resource = "DOCKER_RESOURCE_NVIDIA-GPU" in its config.toml.
"""

import json
import os
import pathlib
import re
import sys
import urllib.request

RESERVED = "DOCKER_RESOURCE_NVIDIA-GPU="


def give(bundle: pathlib.Path) -> None:
    """Add the nodes to the container in this bundle, if it has reserved GPUs."""
    file = bundle / "config.json"
    config = json.loads(file.read_text())
    gpus = [
        one.removeprefix(RESERVED) for one in config["process"]["env"] if one.startswith(RESERVED)
    ]
    if not gpus:
        return
    url = f"http://127.0.0.1:3476/docker/cli?dev={gpus[0].replace(',', '+')}"
    with urllib.request.urlopen(url) as answer:
        nodes = re.findall(r"--device=(\S+)", answer.read().decode())
    linux = config["linux"]
    for node in nodes:
        number = os.stat(node).st_rdev
        device = {"type": "c", "major": os.major(number), "minor": os.minor(number)}
        linux.setdefault("devices", []).append({**device, "path": node, "fileMode": 0o666})
        linux["resources"].setdefault("devices", []).append(
            {**device, "allow": True, "access": "rw"}
        )
    file.write_text(json.dumps(config))


arguments = sys.argv[1:]
if "create" in arguments and "--bundle" in arguments:
    give(pathlib.Path(arguments[arguments.index("--bundle") + 1]))
os.execvp("runc", ["runc", *arguments])
