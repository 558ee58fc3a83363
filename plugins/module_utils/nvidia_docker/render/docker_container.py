# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a container gets, as options of community.docker.docker_container.

docker_container lets a container have more devices than it is given: taken-away GPUs go unnoticed.
So what is injected is recorded in labels of the container, and compared by these.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..container_plan import ContainerPlan, DeviceRequest
from ..injection import Mount

Options = dict[str, Any]


def options(plan: ContainerPlan, labels: Mapping[str, str]) -> Options:
    """Return the options that give a container what is planned, with the labels that record it."""
    injection = plan.injection
    return {
        "devices": list(injection.device_nodes),
        "device_requests": [device_request(one) for one in plan.requests],
        "mounts": [_mount(mount) for mount in injection.mounts],
        "env": dict(injection.environment),
        "groups": [str(group) for group in injection.groups],
        "runtime": plan.runtime,
        "labels": dict(labels),
    }


def device_request(request: DeviceRequest) -> Options:
    """Return a request with what docker_container compares: it would recreate the container each
    time if driver or count were left out."""
    found: Options = {
        "driver": request.driver,
        "count": 0,
        "device_ids": list(request.device_ids),
    }
    if request.capabilities:
        found["capabilities"] = [list(request.capabilities)]
    return found


def _mount(mount: Mount) -> Options:
    return {
        "type": "volume",
        "source": mount.volume,
        "target": mount.target,
        "read_only": True,
        # Without, Docker gives the volume the owner of what the image has at the target.
        "no_copy": True,
        "volume_driver": mount.volume_driver,
    }
