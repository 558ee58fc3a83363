# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where nvidia-docker finds the image, beside where docker's own parser does.

GPUFLEET_ARGUMENTS: so many command lines for each client, 100 by default. GPUFLEET_ARGUMENTS_SEED:
which ones.
"""

from __future__ import annotations

import copy
import os
import random
from functools import partial
from typing import Any

import pytest
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.cli import (
    client_options,
    docker_command,
)
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.host.docker import (
    Docker,
)
from ansible_collections.gpufleet.nvidia.tests.docker_clients.arguments import command_line
from ansible_collections.gpufleet.nvidia.tests.docker_clients.conftest import Client

COUNT = int(os.environ.get("GPUFLEET_ARGUMENTS", "100"))
SEED = os.environ.get("GPUFLEET_ARGUMENTS_SEED", "1")
PARTS = 4
ADDED = [
    "--device=/dev/nvidiactl",
    "--device=/dev/nvidia0",
    "--mount=type=volume,source=nvidia_driver_1,target=/usr/local/nvidia,readonly,"
    "volume-driver=nvidia-docker",
]
VARIABLE = "LD_LIBRARY_PATH=/usr/local/nvidia/lib"


def with_added(body: dict[str, Any], environment: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return a create request that has our devices, our mount and this environment more."""
    expected = copy.deepcopy(body)
    host = expected["HostConfig"]
    devices = [
        {"PathOnHost": path, "PathInContainer": path, "CgroupPermissions": "rwm"}
        for path in ("/dev/nvidiactl", "/dev/nvidia0")
    ]
    mount = {
        "Type": "volume",
        "Source": "nvidia_driver_1",
        "Target": "/usr/local/nvidia",
        "ReadOnly": True,
        "VolumeOptions": {"DriverConfig": {"Name": "nvidia-docker"}},
    }
    host["Devices"] = [*(host["Devices"] or []), *devices]
    host["Mounts"] = [*(host.get("Mounts") or []), mount]
    expected["Env"] = [*(expected["Env"] or []), *environment]
    return in_order(expected)


def in_order(body: dict[str, Any]) -> dict[str, Any]:
    """Return a create request whose environment and mounts are sorted: docker keeps the one in a
    map, and puts the mount of its own --use-api-socket last."""
    host = body["HostConfig"]
    mounts = sorted(host.get("Mounts") or [], key=lambda one: one["Target"])
    return {
        **body,
        "Env": sorted(body["Env"] or []),
        "HostConfig": {**host, "Mounts": mounts},
    }


@pytest.mark.parametrize("part", range(PARTS))
def test_docker_agrees(client: Client, part: int) -> None:
    """The image and what follows it are those that docker asks the engine for; with our options in
    the place that was found, docker asks for the same and ours."""
    docker = Docker((str(client.path),))

    accepted = 0
    for number in range(COUNT // PARTS):
        dice = random.Random(f"{SEED} {part} {number}")
        words = command_line(dice, client.engine.address, str(client.home))
        client.run(*words)
        bodies = client.engine.creations()
        found = docker_command.find(words, partial(client_options.ask, docker, client.environ))
        if not bodies:
            continue
        accepted += 1
        [body] = bodies
        assert found.image is not None, words
        assert words[found.image :] == [body["Image"], *(body["Cmd"] or [])], words
        assert words[found.insert : found.image] in ([], ["--"]), words
        if dice.randrange(2):
            added = [*ADDED, f"--env={VARIABLE}"]
            client.run(*words[: found.insert], *added, *words[found.insert :])
            expected = [with_added(body, (VARIABLE,))]
            assert [in_order(one) for one in client.engine.creations()] == expected, words
    # What docker refuses says little.
    assert accepted > COUNT // PARTS // 2
