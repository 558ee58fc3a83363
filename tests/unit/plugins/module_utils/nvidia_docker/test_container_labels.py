# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is recorded on a container, and what makes it differ from what it would get now."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker import container_labels
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.container_capabilities import (  # noqa: E501
    read,
)
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.container_labels import (  # noqa: E501
    differences,
    kept,
    kind_of,
    labels,
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
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.selection import (
    is_index,
    select,
)

PREFIX = "io.gpufleet.nvidia."
NOTHING = labels(ContainerPlan(), {})


def planned(host: Host, *gpus: str, **more: Any) -> ContainerPlan:
    devices = select(host, gpus)
    return ContainerPlan(
        kind="driver_volume",
        devices=devices,
        injection=plan(host, devices, STABLE_NAME),
        asked_indices=tuple(one for one in gpus if is_index(one)),
        **more,
    )


def record(host: Host, *gpus: str, **more: Any) -> dict[str, str]:
    return labels(planned(host, *gpus, **more), {})


def capabilities(*words: str) -> frozenset:
    return read(words, {}).capabilities


def test_a_container_of_a_driver_volume_is_recorded_as_it_always_was(host: Host) -> None:
    """The digests are those of the version before there were kinds: with another one, or a further
    label, each container of that version would be recreated for nothing."""
    assert record(host, "GPU-836c", "GPU-b78a-1") == {
        PREFIX + "gpus": "GPU-836c,GPU-b78a-1",
        PREFIX + "injection": "3cd82b5c2839742b",
        PREFIX + "sharing": "named",
    }
    assert NOTHING[PREFIX + "injection"] == "44136fa355b3678a"
    one = planned(host, "GPU-836c")
    completed = Injection(environment=(("PATH", "/usr/local/nvidia/bin:/bin"),))
    found = labels(replace(one, injection=one.injection + completed), {})
    assert found[PREFIX + "injection"] == "a2ec0ac9f1c9d72b"


def test_a_mig_device_is_recorded_by_its_own_uuid(host: Host) -> None:
    assert record(host, "3:1")[PREFIX + "gpus"] == "MIG-ab"


def test_indices_are_recorded_with_what_they_named(host: Host) -> None:
    """A GPU in MIG mode stands for its MIG devices: its own index names none of them."""
    found = record(host, "1", "GPU-836c", "3:1", "3")
    assert found[PREFIX + "indices"] == "1=GPU-b78a-1,3:1=MIG-ab"


def test_what_an_image_records_is_not_the_containers(host: Host) -> None:
    """An image that was made from a container has its labels, which its containers would have."""
    of_image = {PREFIX + one: "x" for one in ("kind", "capabilities", "indices", "sharing")}
    found = labels(planned(host, "GPU-836c"), of_image)
    assert found[PREFIX + "kind"] == "driver_volume"
    assert found[PREFIX + "capabilities"] == "compute,utility"
    assert found[PREFIX + "indices"] == ""
    assert found[PREFIX + "sharing"] == "named"
    assert differences(found, record(host, "GPU-836c")) == ()


KINDS = [
    ({}, None),
    ({PREFIX + "gpus": "GPU-a"}, None),
    (NOTHING, None),
    ({**NOTHING, PREFIX + "gpus": "GPU-a"}, "driver_volume"),
    ({**NOTHING, PREFIX + "gpus": "GPU-a", PREFIX + "kind": "cdi"}, "cdi"),
    ({**NOTHING, PREFIX + "gpus": "GPU-a", PREFIX + "kind": "magic"}, None),
]


@pytest.mark.parametrize(("current", "kind"), KINDS)
def test_the_kind_of_a_container(current: dict[str, str], kind: str | None) -> None:
    assert kind_of(current) == kind


SHARINGS = [
    ("named", "exclusive", ("sharing named -> exclusive",)),
    ("exclusive", "shared", ("sharing exclusive -> shared",)),
    ("shared", "shared", ()),
]


@pytest.mark.parametrize(("was", "becomes", "difference"), SHARINGS)
def test_another_sharing_is_a_difference(
    was: str, becomes: str, difference: tuple[str, ...]
) -> None:
    had, gets = (labels(ContainerPlan(sharing=one), {}) for one in (was, becomes))
    assert differences(had, gets) == difference


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
    assert differences(record(host, *before), record(host, *after)) == ()


@pytest.mark.parametrize(("before", "after"), SAME)
def test_a_container_without_difference_keeps_its_labels(
    host: Host, before: tuple[str, ...], after: tuple[str, ...]
) -> None:
    """What docker_container is given is what is there, else it would recreate the container."""
    current = record(host, *before)
    assert kept(record(host, *after), current) == current


def test_a_renumbering_that_changes_nothing_for_the_container_is_no_difference(host: Host) -> None:
    assert differences(record(host, "0", "1"), record(renumbered(host), "0", "1")) == ()


def test_an_index_that_names_another_gpu_now_is_told(host: Host) -> None:
    assert differences(record(host, "0"), record(renumbered(host), "0")) == (
        "index 0 is GPU-b78a-1 now",
        "GPU-836c removed",
        "GPU-b78a-1 added",
    )


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
    assert differences(record(host, *before), record(host, *after)) == difference


def test_another_driver_is_no_difference(host: Host) -> None:
    """The container gets the loaded driver's volume when it starts."""
    newer = replace(host, driver=replace(host.driver, version="381.4", module_version="381.4"))
    had, gets = record(host, "0", driver="375.26"), record(newer, "0", driver="381.4")
    assert had == gets


def test_the_same_gpu_behind_another_node_is_a_difference(host: Host) -> None:
    found = differences(record(host, "GPU-836c"), record(renumbered(host), "GPU-836c"))
    assert found == ("device nodes, mounts or environment changed",)


def test_what_else_is_known_is_told_where_labels_tell_no_more(host: Host) -> None:
    """Not where GPUs are others, which says it all."""
    had, gets = record(host, "GPU-836c"), record(renumbered(host), "GPU-836c")
    assert differences(had, gets, ("GPU-836c is x now",)) == ("GPU-836c is x now",)
    assert differences(had, had, ("GPU-836c is x now",)) == ()
    fewer = record(host, "GPU-836c", "GPU-b78a-1")
    assert differences(fewer, gets, ("GPU-836c is x now",)) == ("GPU-b78a-1 removed",)


def test_all_gpus_taken_away_is_a_difference(host: Host) -> None:
    assert differences(record(host, "0"), NOTHING) == ("GPU-836c removed",)


@pytest.mark.parametrize("current", [{}, {"maintainer": "me"}])
def test_a_container_without_record_differs(current: dict[str, str]) -> None:
    """Whatever GPUs it has: nothing tells that it has no more than it should."""
    assert differences(current, NOTHING) == ("not made by nvidia_container",)


WAYS = [
    ({"kind": "cdi"}, {"kind": "runtime"}, ("injection cdi -> runtime",)),
    ({}, {"kind": "device_request"}, ("injection driver_volume -> device_request",)),
    ({}, {"effective": capabilities("compute")}, ("capability utility removed",)),
    (
        {"effective": capabilities("compute", "graphics")},
        {"effective": capabilities("compute", "video")},
        ("capability graphics removed", "capability video added"),
    ),
    ({"runtime": "a"}, {"runtime": "b"}, ("device nodes, mounts or environment changed",)),
    (
        {"requests": (DeviceRequest("cdi", ("a",)),)},
        {"requests": (DeviceRequest("cdi", ("b",)),)},
        ("device nodes, mounts or environment changed",),
    ),
    (
        {"injection": Injection(groups=(44,))},
        {"injection": Injection(groups=(45,))},
        ("device nodes, mounts or environment changed",),
    ),
]


@pytest.mark.parametrize(("before", "after", "difference"), WAYS)
def test_another_way_is_a_difference(
    host: Host, before: dict, after: dict, difference: tuple[str, ...]
) -> None:
    had, gets = (labels(replace(planned(host, "0"), **one), {}) for one in (before, after))
    assert differences(had, gets) == difference


def test_a_container_that_loses_its_gpus_is_not_told_of_their_way(host: Host) -> None:
    had = labels(replace(planned(host, "0"), kind="cdi"), {})
    assert differences(had, NOTHING) == ("GPU-836c removed",)
    assert container_labels.kind_of(NOTHING) is None
