# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""selection.py"""

from __future__ import annotations

import pytest
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.errors import (
    InvalidInput,
    UnknownDevice,
)
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.model import (
    sysfs_pci_bus_id,
)
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.selection import (
    select,
    visible_devices,
)

NAMED = [
    ([], []),
    (["none"], []),
    (["none", "none"], []),
    (["all"], ["GPU-836c", "GPU-b78a-1", "GPU-b78a-2", "MIG-aa", "MIG-ab"]),
    (["all", "0"], ["GPU-836c", "GPU-b78a-1", "GPU-b78a-2", "MIG-aa", "MIG-ab"]),
    (["0"], ["GPU-836c"]),
    (["00"], ["GPU-836c"]),
    (["2", "0"], ["GPU-836c", "GPU-b78a-2"]),
    (["0", "0", "GPU-836c"], ["GPU-836c"]),
    (["GPU-8"], ["GPU-836c"]),
    (["GPU-b78a-2"], ["GPU-b78a-2"]),
    (["0000:07:00.0"], ["GPU-b78a-1"]),
    (["00000001:08:00.0"], ["GPU-b78a-2"]),
    (["AF:00.0"], ["MIG-aa", "MIG-ab"]),
    (["3:1"], ["MIG-ab"]),
    (["MIG-aa", "1"], ["GPU-b78a-1", "MIG-aa"]),
    (["3"], ["MIG-aa", "MIG-ab"]),
    (["GPU-dd"], ["MIG-aa", "MIG-ab"]),
]


@pytest.mark.parametrize(("identifiers", "uuids"), NAMED)
def test_identifiers_name_devices_in_nvml_order(host, identifiers, uuids) -> None:
    """Each device once, whatever the order and the way it was named."""
    assert [device.uuid for device in select(host, identifiers)] == uuids


REFUSED = ["9", "-1", "+1", "", " 0", "0,1", "*", "void", "gpu-8", "GPU-b78a", "GPU-zz"]
REFUSED += ["MIG-a", "0:0", "3:2", "0000:09:00.0", "4294967296", "0x1", "all ", "GPU", "\x1b[2J"]
UNCLEAR = ["", " 0", "all ", "\x1b[2J"]
"""Whose ends would not be seen, or that a terminal would obey."""


@pytest.mark.parametrize("identifier", REFUSED)
def test_an_identifier_that_names_nothing_or_two_is_refused(host, identifier) -> None:
    """The sentence names the identifier and what the host has."""
    with pytest.raises(UnknownDevice) as caught:
        select(host, [identifier])
    shown = repr(identifier) if identifier in UNCLEAR else identifier
    assert str(caught.value).startswith(f"invalid device: {shown}: ")
    assert "0 (GPU-836c)" in str(caught.value)


def test_the_start_of_two_uuids_says_so(host) -> None:
    """v1 took the first; a container could get another GPU than the one that was meant."""
    with pytest.raises(UnknownDevice, match="start of 2 UUIDs"):
        select(host, ["GPU-b78a"])


def test_none_beside_others_is_refused(host) -> None:
    """Either nothing or something."""
    with pytest.raises(InvalidInput, match="'none' can't be combined"):
        select(host, ["none", "0"])


BUS_IDS = [
    ("0000:AF:00.0", "0000:af:00.0"),
    ("00000000:3B:00.0", "0000:3b:00.0"),
    ("00010000:3B:00.1", "10000:3b:00.1"),
    ("3b:0.0", "0000:3b:00.0"),
    ("3b:00", None),
    ("0000:3b:00.8", None),
    ("../../etc", None),
    ("", None),
]


@pytest.mark.parametrize(("text", "wanted"), BUS_IDS)
def test_pci_bus_ids_are_written_as_sysfs_does(text, wanted) -> None:
    """NVML's and people's forms become one; what is none of them is None."""
    assert sysfs_pci_bus_id(text) == wanted


EVERY = ["GPU-836c", "GPU-b78a-1", "GPU-b78a-2", "MIG-aa", "MIG-ab"]
UNTOUCHED = None

VISIBLE = [
    # Not for us.
    (None, UNTOUCHED),
    ("", UNTOUCHED),
    (" ", UNTOUCHED),
    (",", UNTOUCHED),
    (" , ,", UNTOUCHED),
    ("void", UNTOUCHED),
    (" void ", UNTOUCHED),
    ("0,void", UNTOUCHED),
    ("void,all", UNTOUCHED),
    ("none,void", UNTOUCHED),
    # The driver, no GPU.
    ("none", []),
    ("0,none", []),
    ("none,0", []),
    ("none,none", []),
    ("none,all", []),
    ("99,none", []),
    # All.
    ("all", EVERY),
    ("0,all", EVERY),
    ("all,0", EVERY),
    ("all,all", EVERY),
    ("all,none", EVERY),
    # Some, in NVML's order.
    ("0", ["GPU-836c"]),
    ("2,0", ["GPU-836c", "GPU-b78a-2"]),
    (" 1, 2 ", ["GPU-b78a-1", "GPU-b78a-2"]),
    ("1,,2,", ["GPU-b78a-1", "GPU-b78a-2"]),
    ("\t1 ,\n2", ["GPU-b78a-1", "GPU-b78a-2"]),
    ("GPU-836c", ["GPU-836c"]),
    ("0000:07:00.0", ["GPU-b78a-1"]),
    # NVIDIA's CDI mode gives no GPU at all for a duplicate.
    ("0,0", ["GPU-836c"]),
    ("0,1,0", ["GPU-836c", "GPU-b78a-1"]),
    ("0, 0", ["GPU-836c"]),
    ("0,GPU-836c,0000:04:00.0,00", ["GPU-836c"]),
    # MIG: by place, by UUID, and by the GPU that has them.
    ("3:0", ["MIG-aa"]),
    ("3:1,MIG-ab", ["MIG-ab"]),
    ("MIG-ab,0,3:0", ["GPU-836c", "MIG-aa", "MIG-ab"]),
    ("3", ["MIG-aa", "MIG-ab"]),
    ("3,3:1", ["MIG-aa", "MIG-ab"]),
]


@pytest.mark.parametrize(("value", "uuids"), VISIBLE)
def test_nvidia_visible_devices_names_devices(host, value, uuids) -> None:
    """NVIDIA's grammar with its corner cases: a list, a word for all, none, or hands off."""
    identifiers = visible_devices(value)
    given = None if identifiers is None else [one.uuid for one in select(host, identifiers)]
    assert given == uuids


REFUSED_VALUES = [
    ("9", "9"),
    ("0,9", "9"),
    ("0,bogus", "bogus"),
    ("0 1", "0 1"),
    ("0;1", "0;1"),
    ("-1", "-1"),
    ("0-2", "0-2"),
    ("All", "All"),
    ("NONE", "NONE"),
    ("Void", "Void"),
    ("gpu-836c", "gpu-836c"),
    ("1:0", "1:0"),
    ("3:2", "3:2"),
    ("3:", "3:"),
    ("MIG-zz", "MIG-zz"),
    ("GPU-b78a", "GPU-b78a"),
    ("/dev/nvidia0", "/dev/nvidia0"),
    ("nvidia.com/gpu=0", "nvidia.com/gpu=0"),
]


@pytest.mark.parametrize(("value", "identifier"), REFUSED_VALUES)
def test_nvidia_visible_devices_that_names_nothing_is_refused(host, value, identifier) -> None:
    """Never a container with fewer GPUs than it asks for: the item at fault is named."""
    with pytest.raises(UnknownDevice) as caught:
        select(host, visible_devices(value))
    assert caught.value.identifier == identifier
