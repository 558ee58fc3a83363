# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The user's options of docker_container beside ours."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.container_plan import (
    ContainerPlan,
    DeviceRequest,
)
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.errors import (
    InvalidInput,
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
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.render.docker_container_options import (  # noqa: E501
    merge,
)
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.selection import select

CONTROL = ["/dev/nvidiactl", "/dev/nvidia-uvm", "/dev/nvidia-uvm-tools"]
MOUNT = {
    "type": "volume",
    "source": "nvidia_driver",
    "target": "/usr/local/nvidia",
    "read_only": True,
    "no_copy": True,
    "volume_driver": "nvidia-docker",
}
RECORD = {"io.gpufleet.nvidia.gpus": "GPU-a"}


def rendered(**more: Any) -> docker_container.Options:
    return docker_container.options(replace(ContainerPlan(), **more), RECORD)


NOTHING = rendered()
BY_CDI = rendered(requests=(DeviceRequest("cdi", ("nvidia.com/gpu=GPU-a",)),))
BY_REQUEST = rendered(requests=(DeviceRequest("nvidia", ("GPU-a",), ("gpu",)),))
BY_RUNTIME = rendered(
    runtime="nvidia", injection=Injection(environment=(("NVIDIA_VISIBLE_DEVICES", "GPU-a"),))
)

HANDS_OFF = rendered(injection=Injection(environment=(("NVIDIA_VISIBLE_DEVICES", "void"),)))
"""Where NVIDIA's runtime is Docker's default."""


def ours(host: Host, *gpus: str) -> docker_container.Options:
    return rendered(injection=plan(host, select(host, gpus), STABLE_NAME))


def test_the_users_variables_keep_their_values() -> None:
    given = rendered(injection=Injection(environment=(("NVIDIA_X", "1"),)))
    assert merge({"env": {"A": "b"}}, given)["env"] == {"NVIDIA_X": "1", "A": "b"}
    assert merge({"env": {"NVIDIA_X": "2"}}, given)["env"] == {"NVIDIA_X": "2"}


def test_the_users_groups_come_first_and_each_is_there_once() -> None:
    given = rendered(injection=Injection(groups=(44, 105)))
    assert merge({"groups": ["audio", 44]}, given)["groups"] == ["audio", "44", "105"]


def test_the_users_requests_are_made_comparable() -> None:
    """docker_container recreates a container for a driver or a count that is left out."""
    user = {"device_requests": [{"driver": "cdi", "device_ids": ["vendor.com/nic=0"]}]}
    assert merge(user, BY_CDI)["device_requests"] == [
        *BY_CDI["device_requests"],
        {"driver": "cdi", "count": 0, "device_ids": ["vendor.com/nic=0"]},
    ]
    user = {"device_requests": [{"capabilities": [["fpga"]], "count": -1}]}
    assert merge(user, NOTHING)["device_requests"] == [
        {"driver": "", "capabilities": [["fpga"]], "count": -1}
    ]


@pytest.mark.parametrize("runtime", ["runc", "kata", None])
def test_a_runtime_of_the_users_is_kept(host: Host, runtime: str | None) -> None:
    user = {"runtime": runtime} if runtime else {}
    assert merge(user, ours(host, "1")).get("runtime") == runtime


def test_the_same_runtime_said_twice_is_fine() -> None:
    assert merge({"runtime": "nvidia"}, BY_RUNTIME)["runtime"] == "nvidia"


OTHER_GPUS = [
    ({"devices": ["nvidia.com/gpu=0"]}, NOTHING, "devices: 'nvidia.com/gpu=0' is a CDI device"),
    ({"device_requests": [{"driver": "cdi", "device_ids": ["nvidia.com/gpu=0"]}]}, BY_CDI, "asks"),
    ({"device_requests": [{"driver": "nvidia", "count": -1}]}, NOTHING, "asks for GPUs"),
    ({"device_requests": [{"capabilities": [["gpu"]]}]}, BY_RUNTIME, "asks for GPUs"),
    ({"device_requests": [{"capabilities": "compute, gpu"}]}, BY_REQUEST, "asks for GPUs"),
    ({"runtime": "runc"}, BY_RUNTIME, "runtime: 'runc' is another than 'nvidia'"),
    ({"runtime": "nvidia"}, BY_CDI, "runtime: 'nvidia' gives GPUs beside those"),
    ({"runtime": "nvidia"}, NOTHING, "runtime: 'nvidia' gives GPUs beside those"),
    ({"env": {"NVIDIA_VISIBLE_DEVICES": "all"}}, BY_RUNTIME, "env: NVIDIA_VISIBLE_DEVICES"),
    ({"env": {"NVIDIA_VISIBLE_DEVICES": "all"}}, BY_REQUEST, "env: NVIDIA_VISIBLE_DEVICES"),
    (
        {"env": {"NVIDIA_VISIBLE_DEVICES": "all"}},
        HANDS_OFF,
        "env: NVIDIA_VISIBLE_DEVICES: 'all' gives GPUs beside those that 'gpus' names, as NVIDIA's",
    ),
]


@pytest.mark.parametrize(("user", "given", "sentence"), OTHER_GPUS)
def test_gpus_beside_ours_are_refused(user: dict, given: dict, sentence: str) -> None:
    """Whatever gives them: the container would have more than it is recorded with."""
    with pytest.raises(InvalidInput) as refused:
        merge(user, given)
    assert sentence in str(refused.value)


def test_a_variable_without_effect_is_the_users_own_matter(host: Host) -> None:
    user = {"env": {"NVIDIA_VISIBLE_DEVICES": "all"}}
    assert merge(user, ours(host, "1"))["env"] == user["env"]


@pytest.mark.parametrize("value", ["", "none", "void"])
def test_a_variable_that_asks_for_no_gpu_is_the_users_own_matter_too(value: str) -> None:
    user = {"env": {"NVIDIA_VISIBLE_DEVICES": value}}
    assert merge(user, HANDS_OFF)["env"] == user["env"]


def test_the_users_options_are_kept(host: Host) -> None:
    user = {
        "name": "c",
        "devices": ["/dev/fuse", "/dev/nvidia0:/dev/nvidia0", "/dev/nvidia1"],
        "mounts": [{"type": "bind", "source": "/srv", "target": "/srv"}],
        "volumes": ["/a:/usr/local/nvidia2:ro", "data:/data", "/anonymous", "/b:ro"],
        "tmpfs": ["/tmp:size=1m"],
        "env": {"A": "b"},
        "labels": {"a": "b"},
        "shm_size": "1G",
    }
    found = merge(user, ours(host, "1"))
    assert found == {
        **user,
        "devices": [*CONTROL, "/dev/nvidia0", "/dev/fuse", "/dev/nvidia1"],
        "mounts": [MOUNT, *user["mounts"]],
        "labels": {"a": "b", **RECORD},
    }


def test_without_gpus_only_the_record_is_added() -> None:
    """An empty list of devices would be compared, an option that is not given is not."""
    found = merge({"name": "c"}, NOTHING)
    assert found == {"name": "c", "labels": RECORD}


def test_what_the_user_empties_stays_empty(host: Host) -> None:
    """With ``comparisons: {devices: strict}`` an empty list says: none."""
    user = {"devices": [], "mounts": [], "env": {}}
    assert merge(user, NOTHING) == {**user, "labels": RECORD}


CONFLICTS = [
    ({"devices": ["/dev/fuse:/dev/nvidia0"]}, "'/dev/fuse:/dev/nvidia0'"),
    ({"devices": ["/dev/nvidia0:/dev/nvidia0:r"]}, "'/dev/nvidia0:/dev/nvidia0:r'"),
    ({"mounts": [{"type": "tmpfs", "target": "/usr/local/nvidia"}]}, "mounts: '/usr/local/nvidia'"),
    ({"volumes": ["/opt:/usr/local/nvidia:ro"]}, "volumes: '/usr/local/nvidia'"),
    ({"volumes": ["/opt:/usr/local/nvidia/"]}, "volumes: '/usr/local/nvidia/'"),
    ({"volumes": ["/usr/local/nvidia"]}, "volumes: '/usr/local/nvidia'"),
    ({"volumes": ["/usr/local/nvidia:ro"]}, "volumes: '/usr/local/nvidia'"),
    ({"tmpfs": ["/usr/local/nvidia:size=1m"]}, "tmpfs: '/usr/local/nvidia'"),
    ({"labels": {"io.gpufleet.nvidia.gpus": ""}}, "labels: 'io.gpufleet.nvidia.gpus'"),
]


@pytest.mark.parametrize(("user", "named"), CONFLICTS)
def test_options_at_odds_with_ours_are_refused(host: Host, user: dict, named: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        merge(user, ours(host, "1"))
    assert named in str(refused.value)


@pytest.mark.parametrize("user", [one for one, _dummy in CONFLICTS if "labels" not in one])
def test_without_gpus_nothing_is_at_odds(user: dict) -> None:
    assert merge(user, NOTHING) == {**user, "labels": RECORD}
