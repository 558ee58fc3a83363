# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What docker_container is given, and what makes a container differ from it."""

from __future__ import annotations

from dataclasses import replace

import pytest
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
NOTHING = docker_container.options(Injection(), ())


def options(host: Host, *gpus: str) -> docker_container.Options:
    devices = select(host, gpus)
    return docker_container.options(plan(host, devices, STABLE_NAME), devices)


def test_an_injection_becomes_options(host: Host) -> None:
    found = options(host, "0", "1")
    assert found["devices"] == [*CONTROL, "/dev/nvidia2", "/dev/nvidia0"]
    assert found["mounts"] == [MOUNT]
    assert found["env"] == {}
    assert found["labels"][docker_container.GPUS_LABEL] == "GPU-836c,GPU-b78a-1"


def test_a_mig_device_is_recorded_by_its_own_uuid(host: Host) -> None:
    found = options(host, "3:1")
    assert found["labels"][docker_container.GPUS_LABEL] == "MIG-ab"
    assert found["devices"][3:] == [
        "/dev/nvidia3",
        "/dev/nvidia-caps/nvidia-cap11",
        "/dev/nvidia-caps/nvidia-cap12",
    ]


@pytest.mark.parametrize("sharing", ["named", "exclusive", "shared"])
def test_sharing_is_always_recorded(sharing: str) -> None:
    """Else a container would have that of the container that its image was made from."""
    found = docker_container.options(Injection(), (), sharing)
    assert found["labels"]["io.gpufleet.nvidia.sharing"] == sharing


SHARINGS = [
    ("named", "exclusive", ("sharing named -> exclusive",)),
    ("exclusive", "shared", ("sharing exclusive -> shared",)),
    ("shared", "shared", ()),
]


@pytest.mark.parametrize(("was", "becomes", "difference"), SHARINGS)
def test_another_sharing_is_a_difference(
    was: str, becomes: str, difference: tuple[str, ...]
) -> None:
    had, gets = (docker_container.options(Injection(), (), one) for one in (was, becomes))
    assert docker_container.differences(had["labels"], gets["labels"]) == difference


def test_environment_is_given(host: Host) -> None:
    injection = Injection(environment=(("NVIDIA_X", "1"),))
    found = docker_container.options(injection, ())
    assert docker_container.merge({"env": {"A": "b"}}, found)["env"] == {"NVIDIA_X": "1", "A": "b"}
    assert docker_container.merge({"env": {"NVIDIA_X": "2"}}, found)["env"] == {"NVIDIA_X": "2"}


def renumbered(host: Host) -> Host:
    """The same GPUs after a reboot that swapped two of them: index and minor number."""
    first, second, *others = host.devices
    swapped = (
        replace(second, index=0, minor_number=first.minor_number),
        replace(first, index=1, minor_number=second.minor_number),
    )
    return replace(host, devices=(*swapped, *others))


SAME = [
    (("0", "1"), ("1", "0")),
    (("0",), ("GPU-836c",)),
    (("0",), ("0000:04:00.0",)),
    (("all",), ("3", "2", "1", "0")),
    (("3",), ("3:0", "3:1")),
]


@pytest.mark.parametrize(("before", "after"), SAME)
def test_no_difference(host: Host, before: tuple[str, ...], after: tuple[str, ...]) -> None:
    had, gets = options(host, *before), options(host, *after)
    assert docker_container.differences(had["labels"], gets["labels"]) == ()


def test_a_renumbering_that_changes_nothing_for_the_container_is_no_difference(host: Host) -> None:
    had, gets = options(host, "0", "1"), options(renumbered(host), "0", "1")
    assert docker_container.differences(had["labels"], gets["labels"]) == ()


DIFFERENT = [
    (("0", "1"), ("0",), ("GPU-b78a-1 removed",)),
    (("0",), ("0", "1"), ("GPU-b78a-1 added",)),
    (("0",), ("1",), ("GPU-836c removed", "GPU-b78a-1 added")),
    (("3:0", "3:1"), ("3:1",), ("MIG-aa removed",)),
]


@pytest.mark.parametrize(("before", "after", "difference"), DIFFERENT)
def test_another_set_of_gpus_is_a_difference(
    host: Host, before: tuple[str, ...], after: tuple[str, ...], difference: tuple[str, ...]
) -> None:
    had, gets = options(host, *before), options(host, *after)
    assert docker_container.differences(had["labels"], gets["labels"]) == difference


def test_another_driver_is_no_difference(host: Host) -> None:
    """The container gets the loaded driver's volume when it starts."""
    newer = replace(host, driver=replace(host.driver, version="381.4", module_version="381.4"))
    had, gets = options(host, "0"), options(newer, "0")
    assert docker_container.differences(had["labels"], gets["labels"]) == ()
    assert had == gets


def test_the_same_gpu_behind_another_node_is_a_difference(host: Host) -> None:
    had, gets = options(host, "GPU-836c"), options(renumbered(host), "GPU-836c")
    found = docker_container.differences(had["labels"], gets["labels"])
    assert found == ("device nodes, mounts or environment changed",)


def test_all_gpus_taken_away_is_a_difference(host: Host) -> None:
    found = docker_container.differences(options(host, "0")["labels"], NOTHING["labels"])
    assert found == ("GPU-836c removed",)


@pytest.mark.parametrize("labels", [{}, {"maintainer": "me"}])
def test_a_container_without_record_differs(labels: dict[str, str]) -> None:
    """Whatever GPUs it has: nothing tells that it has no more than it should."""
    found = docker_container.differences(labels, NOTHING["labels"])
    assert found == ("not made by nvidia_container",)


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
    ours = options(host, "1")
    found = docker_container.merge(user, ours)
    assert found == {
        **user,
        "devices": [*CONTROL, "/dev/nvidia0", "/dev/fuse", "/dev/nvidia1"],
        "mounts": [MOUNT, *user["mounts"]],
        "labels": {"a": "b", **ours["labels"]},
    }


def test_without_gpus_only_the_record_is_added() -> None:
    """An empty list of devices would be compared, an option that is not given is not."""
    found = docker_container.merge({"name": "c"}, NOTHING)
    assert found == {"name": "c", "labels": NOTHING["labels"]}


def test_what_the_user_empties_stays_empty(host: Host) -> None:
    """With ``comparisons: {devices: strict}`` an empty list says: none."""
    user = {"devices": [], "mounts": [], "env": {}}
    assert docker_container.merge(user, NOTHING) == {**user, "labels": NOTHING["labels"]}


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
        docker_container.merge(user, options(host, "1"))
    assert named in str(refused.value)


@pytest.mark.parametrize("user", [one for one, _dummy in CONFLICTS if "labels" not in one])
def test_without_gpus_nothing_is_at_odds(user: dict) -> None:
    assert docker_container.merge(user, NOTHING) == {**user, "labels": NOTHING["labels"]}
