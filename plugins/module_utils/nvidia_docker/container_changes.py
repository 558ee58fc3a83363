# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a container has by its own configuration, and in which part it differs from a plan."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from .cdi_spec import GPU_KIND
from .container_capabilities import VARIABLE
from .container_plan import CDI, DRIVER_VOLUME, ContainerPlan
from .model import CONTROL_NODES, MODESET_NODE, is_device_node
from .requirement import DISABLE, VISIBLE_DEVICES

_NOT_OF_A_GPU = (*CONTROL_NODES, MODESET_NODE)
_VARIABLES = (VISIBLE_DEVICES, VARIABLE, DISABLE)
_OF_THE_VOLUME = ("LD_LIBRARY_PATH", "PATH")
"""With a driver volume, see image_environment.py."""


@dataclass(frozen=True)
class Given:
    """What a container has: of us, of its image and of its user, told apart by nothing."""

    device_nodes: tuple[str, ...] = ()
    """By their paths on the host."""
    mounts: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """Volumes and directories of the host by their place in the container."""
    environment: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    groups: tuple[str, ...] = ()
    """Numbers or names."""
    device_ids: tuple[str, ...] = ()
    """Of its device requests."""
    runtime: str = ""


def describe(
    given: Given, plan: ContainerPlan, environment: Mapping[str, str], of_task: Mapping[str, str]
) -> tuple[str, ...]:
    """Return in what a container differs from a plan with the same GPUs by the same kind.

    ``environment`` is the image's, ``of_task`` what the task sets. Each is a short text for the
    user, without values of variables. Of groups, mounts and DRM nodes that are no longer given
    nobody knows whose they were: they are not told.
    """
    return (
        *_nodes(given, plan),
        *_mounts(given, plan),
        *_variables(given, plan, environment, of_task),
        *(f"group {one} added" for one in plan.injection.groups if str(one) not in given.groups),
        *_requests(given, plan),
        *_runtime(given, plan),
    )


def _nodes(given: Given, plan: ContainerPlan) -> Iterator[str]:
    if plan.kind != DRIVER_VOLUME:
        return
    added = [one for one in plan.injection.device_nodes if one not in given.device_nodes]
    removed = [
        one
        for one in given.device_nodes
        if is_device_node(one) and one not in plan.injection.device_nodes
    ]
    was = [one for one in removed if one not in _NOT_OF_A_GPU]
    for device in plan.devices:
        nodes = [one for one in device.device_nodes if one in added]
        if nodes:
            told = f"{device.uuid} is {' and '.join(nodes)} now"
            # Of several GPUs nobody knows which one it was.
            if was and len(plan.devices) == 1:
                told += f", was {' and '.join(was)}"
                removed = [one for one in removed if one not in was]
            yield told
    of_gpus = {node for device in plan.devices for node in device.device_nodes}
    yield from (f"device node {one} removed" for one in removed)
    yield from (f"device node {one} added" for one in added if one not in of_gpus)


def _mounts(given: Given, plan: ContainerPlan) -> Iterator[str]:
    for mount in plan.injection.mounts:
        if given.mounts.get(mount.target) != mount.volume:
            yield f"mount {mount.target} changed"


def _variables(
    given: Given, plan: ContainerPlan, environment: Mapping[str, str], of_task: Mapping[str, str]
) -> Iterator[str]:
    planned = dict(plan.injection.environment)
    names = _VARIABLES + (_OF_THE_VOLUME if plan.kind == DRIVER_VOLUME else ())
    for name in dict.fromkeys((*planned, *names)):
        was, becomes = given.environment.get(name), planned.get(name, environment.get(name))
        if name not in of_task and was != becomes:
            word = "added" if was is None else "removed" if becomes is None else "changed"
            yield f"variable {name} {word}"


def _requests(given: Given, plan: ContainerPlan) -> Iterator[str]:
    if plan.kind != CDI:
        return
    gets = [name for one in plan.requests for name in one.device_ids]
    had = [one for one in given.device_ids if one.startswith(f"{GPU_KIND}=")]
    yield from (f"CDI device {one} removed" for one in had if one not in gets)
    yield from (f"CDI device {one} added" for one in gets if one not in had)


def _runtime(given: Given, plan: ContainerPlan) -> Iterator[str]:
    if plan.runtime and plan.runtime != given.runtime:
        yield f"runtime {given.runtime} -> {plan.runtime}"
