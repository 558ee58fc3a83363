# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""container_changes.py: in what a container differs that has the same GPUs by the same kind."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.container_changes import (  # noqa: E501
    Given,
    describe,
)
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
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.selection import select

VOLUME = {"/usr/local/nvidia": "nvidia_driver"}
OF_IMAGE = {"PATH": "/bin"}


def planned(host: Host, *gpus: str, **more: Any) -> ContainerPlan:
    devices = select(host, gpus)
    injection = plan(host, devices, STABLE_NAME)
    return ContainerPlan(kind="driver_volume", devices=devices, injection=injection, **more)


def has(one: ContainerPlan, **more: Any) -> Given:
    """What a container has that was made by this plan, of an image with OF_IMAGE."""
    injection = one.injection
    usual = Given(
        device_nodes=("/dev/fuse", *injection.device_nodes),
        mounts={"/srv": "/srv", **{mount.target: mount.volume for mount in injection.mounts}},
        environment={**OF_IMAGE, **dict(injection.environment), "MINE": "1"},
        groups=("audio", *map(str, injection.groups)),
        device_ids=tuple(name for request in one.requests for name in request.device_ids),
        runtime=one.runtime or "runc",
    )
    return replace(usual, **more)


def told(given: Given, one: ContainerPlan, **of_task: str) -> tuple[str, ...]:
    return describe(given, one, OF_IMAGE, of_task)


def moved(host: Host, uuid: str, minor: int) -> Host:
    """The same GPUs, one of them with another device node."""
    devices = (
        replace(one, minor_number=minor) if one.uuid == uuid else one for one in host.devices
    )
    return replace(host, devices=tuple(devices))


def injected(one: ContainerPlan, **more: Any) -> ContainerPlan:
    return replace(one, injection=one.injection + Injection(**more))


@pytest.mark.parametrize("kind", ["driver_volume", "cdi", "device_request", "runtime", None])
def test_what_is_as_planned_differs_in_nothing(host: Host, kind: str | None) -> None:
    one = replace(
        planned(host, "all"),
        kind=kind,
        requests=(DeviceRequest("cdi", ("nvidia.com/gpu=0",)),),
        runtime="nvidia",
    )
    one = injected(one, environment=(("PATH", "/x:/bin"),), groups=(44,))
    assert told(has(one), one) == ()


def test_a_gpu_with_another_node(host: Host) -> None:
    before, after = (planned(one, "GPU-836c") for one in (host, moved(host, "GPU-836c", 9)))
    assert told(has(before), after) == ("GPU-836c is /dev/nvidia9 now, was /dev/nvidia2",)


def test_one_of_several_gpus_with_another_node(host: Host) -> None:
    """Which one had the old node is not known."""
    gpus = ("GPU-836c", "GPU-b78a-1")
    before, after = (planned(one, *gpus) for one in (host, moved(host, "GPU-836c", 9)))
    assert told(has(before), after) == (
        "GPU-836c is /dev/nvidia9 now",
        "device node /dev/nvidia2 removed",
    )


def test_a_mig_device_with_another_node(host: Host) -> None:
    """Of its compute instance."""
    before = planned(host, "3:1")
    nodes = [one.replace("cap12", "cap99") for one in has(before).device_nodes]
    assert told(has(before, device_nodes=tuple(nodes)), before) == (
        "MIG-ab is /dev/nvidia-caps/nvidia-cap12 now, was /dev/nvidia-caps/nvidia-cap99",
    )


def test_nodes_of_no_gpu(host: Host) -> None:
    before = planned(host, "0")
    drawing = injected(before, device_nodes=("/dev/dri/card1", "/dev/nvidia-modeset"))
    assert told(has(before), drawing) == (
        "device node /dev/dri/card1 added",
        "device node /dev/nvidia-modeset added",
    )
    # /dev/dri/card1 may be the user's own.
    assert told(has(drawing), before) == ("device node /dev/nvidia-modeset removed",)


@pytest.mark.parametrize("mounts", [{}, {"/usr/local/nvidia": "nvidia_driver_1.0"}])
def test_another_volume(host: Host, mounts: dict[str, str]) -> None:
    one = planned(host, "0")
    assert told(has(one, mounts=mounts), one) == ("mount /usr/local/nvidia changed",)


VARIABLES = [
    ({"PATH": "/old"}, {}, {}, ("variable PATH changed",)),
    ({"LD_LIBRARY_PATH": "/x"}, {}, {}, ("variable LD_LIBRARY_PATH removed",)),
    ({"NVIDIA_DISABLE_REQUIRE": "1"}, {}, {}, ("variable NVIDIA_DISABLE_REQUIRE removed",)),
    ({}, {"NVIDIA_DISABLE_REQUIRE": "1"}, {}, ("variable NVIDIA_DISABLE_REQUIRE added",)),
    ({}, {"PATH": "/x:/bin"}, {}, ("variable PATH changed",)),
    ({}, {"PATH": "/x:/bin"}, {"PATH": "/mine"}, ()),
    ({"PATH": "/mine"}, {}, {"PATH": "/mine"}, ()),
    ({"MINE": "2", "NVIDIA_OWN": "1"}, {}, {}, ()),
]


@pytest.mark.parametrize(("has_more", "gets_more", "of_task", "changes"), VARIABLES)
def test_variables(
    host: Host,
    has_more: dict[str, str],
    gets_more: dict[str, str],
    of_task: dict[str, str],
    changes: tuple[str, ...],
) -> None:
    """Not their values; and not those that the task sets."""
    one = planned(host, "0")
    given = has(one, environment={**has(one).environment, **has_more})
    gets = injected(one, environment=tuple(gets_more.items()))
    assert told(given, gets, **of_task) == changes


def test_another_path_of_the_image_is_none_of_a_hooks_business(host: Host) -> None:
    one = replace(planned(host, "0"), kind="runtime")
    given = has(one, environment={"PATH": "/old"})
    assert told(given, one) == ()


def test_other_cdi_devices(host: Host) -> None:
    """An edited specification may name a GPU by its UUID that was known by its index."""
    names = ("nvidia.com/gpu=0", "nvidia.com/gpu=GPU-836c")
    had, gets = (
        replace(planned(host, "0"), kind="cdi", requests=(DeviceRequest("cdi", (name,)),))
        for name in names
    )
    own = (*has(had).device_ids, "example.com/net=one")
    assert told(has(had, device_ids=own), gets) == (
        f"CDI device {names[0]} removed",
        f"CDI device {names[1]} added",
    )


def test_another_group_or_runtime(host: Host) -> None:
    one = planned(host, "0")
    gets = replace(injected(one, groups=(44,)), runtime="nvidia")
    assert told(has(one), gets) == ("group 44 added", "runtime runc -> nvidia")
