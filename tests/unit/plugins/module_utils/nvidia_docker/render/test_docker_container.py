# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What docker_container is given."""

from __future__ import annotations

from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.container_plan import (
    ContainerPlan,
    DeviceRequest,
)
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.injection import (
    STABLE_NAME,
    Injection,
    plan,
)
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.model import Host
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.render import (
    docker_container,
)
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.selection import select

NOTHING = {
    "devices": [],
    "device_requests": [],
    "mounts": [],
    "env": {},
    "groups": [],
    "runtime": None,
    "labels": {"a": "b"},
}


def test_nothing_but_the_record() -> None:
    assert docker_container.options(ContainerPlan(), {"a": "b"}) == NOTHING


def test_an_injection_becomes_options(host: Host) -> None:
    devices = select(host, ["0", "1"])
    planned = ContainerPlan(injection=plan(host, devices, STABLE_NAME))
    assert docker_container.options(planned, {"a": "b"}) == {
        **NOTHING,
        "devices": [
            "/dev/nvidiactl",
            "/dev/nvidia-uvm",
            "/dev/nvidia-uvm-tools",
            "/dev/nvidia2",
            "/dev/nvidia0",
        ],
        "mounts": [
            {
                "type": "volume",
                "source": "nvidia_driver",
                "target": "/usr/local/nvidia",
                "read_only": True,
                "no_copy": True,
                "volume_driver": "nvidia-docker",
            }
        ],
    }


def test_the_other_ways_become_options() -> None:
    """docker_container takes a request without driver and count for another each time."""
    planned = ContainerPlan(
        injection=Injection(environment=(("NVIDIA_X", "1"),), groups=(44,)),
        requests=(
            DeviceRequest("cdi", ("nvidia.com/gpu=0",)),
            DeviceRequest("nvidia", ("GPU-a",), ("gpu", "compute")),
        ),
        runtime="nvidia",
    )
    assert docker_container.options(planned, {"a": "b"}) == {
        **NOTHING,
        "device_requests": [
            {"driver": "cdi", "count": 0, "device_ids": ["nvidia.com/gpu=0"]},
            {
                "driver": "nvidia",
                "count": 0,
                "device_ids": ["GPU-a"],
                "capabilities": [["gpu", "compute"]],
            },
        ],
        "env": {"NVIDIA_X": "1"},
        "groups": ["44"],
        "runtime": "nvidia",
    }
