# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""render/container_plan.py: the value that the module returns"""

from __future__ import annotations

import json

from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.container_capabilities import (  # noqa: E501
    DEFAULT,
)
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.container_plan import (
    ContainerPlan,
    DeviceRequest,
)
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.container_requirements import (  # noqa: E501
    NOT_NEEDED,
    Requirements,
)
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.injection import (
    STABLE_NAME,
    plan,
)
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.model import Host
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.render.container_plan import (  # noqa: E501
    result,
)
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.selection import select


def test_a_plan_with_a_driver_volume(host: Host) -> None:
    devices = select(host, ["0", "3:1"])
    planned = ContainerPlan(
        kind="driver_volume",
        devices=devices,
        injection=plan(host, devices, STABLE_NAME),
        capabilities=DEFAULT,
        driver="375.26",
    )
    requirements = Requirements("unmet", (("cuda>=9", "unmet"),), "a warning")
    found = result(planned, requirements, ("GPU-x removed",))
    assert json.loads(json.dumps(found)) == found
    assert found == {
        "plan": {
            "gpus": [{"uuid": "GPU-836c", "index": "0"}, {"uuid": "MIG-ab", "index": "3:1"}],
            "sharing": "named",
            "injection": "driver_volume",
            "capabilities": ["compute", "utility"],
            "driver": "375.26",
            "device_nodes": [
                "/dev/nvidiactl",
                "/dev/nvidia-uvm",
                "/dev/nvidia-uvm-tools",
                "/dev/nvidia2",
                "/dev/nvidia3",
                "/dev/nvidia-caps/nvidia-cap11",
                "/dev/nvidia-caps/nvidia-cap12",
            ],
            "mounts": [{"source": "nvidia_driver", "target": "/usr/local/nvidia"}],
            "environment": {},
            "device_requests": [],
            "runtime": None,
            "groups": [],
            "requirements": {
                "result": "unmet",
                "conditions": [{"condition": "cuda>=9", "outcome": "unmet"}],
            },
        },
        "differences": ["GPU-x removed"],
    }


def test_nodes_that_the_engine_adds_are_told_too() -> None:
    planned = ContainerPlan(
        requests=(DeviceRequest("cdi", ("nvidia.com/gpu=0",)),), nodes_of_others=("/dev/nvidia0",)
    )
    found = result(planned, NOT_NEEDED, ())["plan"]
    assert found["device_nodes"] == ["/dev/nvidia0"]
    assert found["device_requests"][0]["device_ids"] == ["nvidia.com/gpu=0"]
