# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which GPUs a container gets that asks for a number of them. The host has three whole GPUs, a b c,
and one in MIG mode."""

from __future__ import annotations

import dataclasses

import pytest
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.allocation import (
    PROCESS,
    Use,
    choose,
    is_free,
    read,
    units_of,
)
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.errors import (
    GpusInUse,
    InvalidInput,
)
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.model import (
    UnreadableDevice,
)

UUIDS = {
    "a": "GPU-836c",
    "b": "GPU-b78a-1",
    "c": "GPU-b78a-2",
    "d": "GPU-dd",
    "m": "MIG-aa",
    "n": "MIG-ab",
}
LETTERS = {uuid: letter for letter, uuid in UUIDS.items()}
SHARINGS = {"exclusive": "exclusive", "shared": "shared", "named": "named", "computes": PROCESS}


def use(text: str) -> Use:
    """``a named other``: container other has GPU a, asked for by name."""
    letter, sharing, container = text.split()
    name = None if container == "-" else container
    return Use(UUIDS[letter], f"used by {name or 'process 7'}", SHARINGS[sharing], name)


def uses(*texts: str) -> list[Use]:
    return [use(text) for text in texts]


CHOICES = [
    # number, uses, chosen
    ("nobody uses any", 2, [], "ab"),
    ("all of them", 3, [], "abc"),
    ("exclusive", 1, ["a exclusive other"], "b"),
    ("named by others", 1, ["a named other"], "b"),
    ("a process", 1, ["a computes -"], "b"),
    ("a process in another container", 1, ["a computes other"], "b"),
    ("unshared ones first", 1, ["a shared other"], "b"),
    ("shared is no obstacle", 3, ["a shared other"], "abc"),
    ("kept, not the first", 1, ["c exclusive me"], "c"),
    ("kept and one more", 2, ["c exclusive me"], "ac"),
    ("one less: the first of its own", 1, ["b exclusive me", "c exclusive me"], "b"),
    ("kept with its own process", 1, ["c exclusive me", "c computes me"], "c"),
    ("kept with a foreign process", 1, ["c exclusive me", "c computes -"], "c"),
    ("kept though others named it since", 1, ["c exclusive me", "c named other"], "c"),
    ("named by both before", 1, ["a named me", "a named other"], "a"),
    ("not kept: another one's", 1, ["a named me", "a exclusive other"], "b"),
    ("its own lease", 1, ["b exclusive me"], "b"),
    ("its own process alone keeps nothing", 1, ["c computes me"], "a"),
    ("its own beside another one's", 1, ["a exclusive other", "b exclusive me"], "b"),
]


@pytest.mark.parametrize(
    ("number", "used", "chosen"), [row[1:] for row in CHOICES], ids=[row[0] for row in CHOICES]
)
def test_choice(host, number, used, chosen) -> None:
    """The same for uses in any order, and always in NVML order."""
    for order in (uses(*used), uses(*reversed(used))):
        found = choose(host, number, order, "me")
        assert "".join(LETTERS[one.uuid] for one in found) == chosen


SHARED_CHOICES = [
    ("processes are no obstacle", 1, ["a computes -"], "a"),
    ("exclusive ones are", 1, ["a exclusive other"], "b"),
    ("named ones are", 1, ["a named other"], "b"),
    ("the fewest first", 1, ["a shared x", "a shared y", "b shared x", "c shared x"], "b"),
    ("one container counts once", 1, ["a shared x", "a shared x", "b shared x", "b shared y"], "c"),
    ("kept", 1, ["b shared me", "b shared x"], "b"),
    ("kept though named since", 1, ["b shared me", "b named x"], "b"),
    ("not kept: another one's", 1, ["b shared me", "b exclusive x"], "a"),
]


@pytest.mark.parametrize(
    ("number", "used", "chosen"),
    [row[1:] for row in SHARED_CHOICES],
    ids=[row[0] for row in SHARED_CHOICES],
)
def test_choice_of_a_shared_container(host, number, used, chosen) -> None:
    found = choose(host, number, uses(*used), "me", shared=True)
    assert "".join(LETTERS[one.uuid] for one in found) == chosen


def test_a_gpu_that_is_gone_is_replaced(host) -> None:
    gone = Use("GPU-gone", "used by me", "exclusive", "me")
    assert choose(host, 1, [gone], "me") == host.devices[:1]


def test_what_does_not_suit_the_image_is_passed_over(host) -> None:
    assert choose(host, 1, [], "me", unfit={"GPU-836c": "is too old"}) == host.devices[1:2]
    kept = uses("a exclusive me")
    assert choose(host, 1, kept, "me", unfit={"GPU-836c": "is too old"}) == host.devices[1:2]


def all_in_mig_mode(host):
    return dataclasses.replace(host, devices=host.devices[3:])


def test_mig_devices_count_where_all_gpus_are_in_mig_mode(host) -> None:
    migs = all_in_mig_mode(host)
    assert [one.uuid for one in choose(migs, 2, [], "me")] == ["MIG-aa", "MIG-ab"]
    assert [one.uuid for one in choose(migs, 1, uses("m named x"), "me")] == ["MIG-ab"]


def test_a_gpu_that_was_given_whole_is_used_with_all_its_mig_devices(host) -> None:
    with pytest.raises(GpusInUse, match="1 MIG device asked for, 0 free: MIG-aa used by x, MIG-ab"):
        choose(all_in_mig_mode(host), 1, uses("d named x"), "me")


def test_a_gpu_in_mig_mode_without_mig_devices_does_not_count(host) -> None:
    bare = dataclasses.replace(host.devices[3], mig_devices=())
    empty = dataclasses.replace(host, devices=(bare,))
    assert units_of(empty) == ()
    with pytest.raises(GpusInUse) as error:
        choose(empty, 1, [], "me")
    assert str(error.value) == "1 GPU asked for, 0 free: GPU-dd is in MIG mode, this host has 0"


REFUSALS = [
    (
        3,
        ["a exclusive trainer", "b computes -"],
        "3 GPUs asked for, 1 free: GPU-836c used by trainer, GPU-b78a-1 used by process 7, "
        "GPU-dd is in MIG mode",
    ),
    (4, [], "4 GPUs asked for, 3 free: GPU-dd is in MIG mode, this host has 3"),
    (
        3,
        ["a named x", "a computes -", "a named x"],
        "3 GPUs asked for, 2 free: GPU-836c used by x and process 7, GPU-dd is in MIG mode",
    ),
    (
        3,
        ["a exclusive me", "b exclusive x"],
        "3 GPUs asked for, 2 free: GPU-b78a-1 used by x, GPU-dd is in MIG mode",
    ),
]


@pytest.mark.parametrize(("number", "used", "sentence"), REFUSALS)
def test_too_few_is_one_sentence_with_who_uses_them(host, number, used, sentence) -> None:
    with pytest.raises(GpusInUse) as error:
        choose(host, number, uses(*used), "me")
    assert str(error.value) == sentence


def test_a_gpu_that_can_not_be_read_is_told(host) -> None:
    broken = dataclasses.replace(host, unreadable=(UnreadableDevice(4, "0000:b0:00.0", "lost"),))
    with pytest.raises(GpusInUse, match=r"GPU 0000:b0:00\.0 can't be given: lost, this host has 3"):
        choose(broken, 4, [], "me")


@pytest.mark.parametrize("text", ["a exclusive x", "a named x", "a computes -", "a shared x", None])
def test_free_is_what_a_new_container_could_be_given(host, text) -> None:
    used = uses(text) if text else []
    first = host.devices[0]
    alone = dataclasses.replace(host, devices=(first,))
    try:
        given = choose(alone, 1, used, "new")
    except GpusInUse:
        given = ()
    assert is_free(alone, first, used) == (given == (first,))


def test_a_mig_device_is_not_free_for_a_number_beside_whole_gpus(host) -> None:
    mig = host.devices[3].mig_devices[0]
    assert not is_free(host, mig, [])
    assert is_free(all_in_mig_mode(host), mig, [])


READ = [
    (2, 2),
    ("2", 2),
    (" 12 ", 12),
    ([2], ("2",)),
    (["2", 0], ("2", "0")),
    ("0,1", ("0", "1")),
    ("2,", ("2", "")),
    ("all", ("all",)),
    ("0:1", ("0:1",)),
    ("GPU-a, GPU-b", ("GPU-a", "GPU-b")),
    (["none"], ("none",)),
    ([], ()),
]


@pytest.mark.parametrize(("value", "wanted"), READ)
def test_a_number_alone_says_how_many(value, wanted) -> None:
    assert read(value) == wanted


@pytest.mark.parametrize("value", [True, [True], None, 1.5, {"a": 1}, [["0"]], -1.0])
def test_what_is_no_gpu_is_refused(value) -> None:
    with pytest.raises(InvalidInput, match=r"^gpus: .* is no GPU: give all, none, a number"):
        read(value)


@pytest.mark.parametrize("value", [0, "0", "00"])
def test_no_gpu_at_all_is_refused_as_it_may_mean_the_first(value) -> None:
    with pytest.raises(InvalidInput, match=r"write \[0\] for the GPU of index 0, or none"):
        read(value)
