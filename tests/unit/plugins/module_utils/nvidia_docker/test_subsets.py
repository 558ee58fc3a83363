# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""subsets.py: what gather_subset means."""

from __future__ import annotations

import pytest
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.errors import (
    InvalidInput,
)
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.subsets import (
    SUBSETS,
    chosen,
)

ALL = "min devices status processes topology health"


@pytest.mark.parametrize(
    ("wanted", "meant"),
    [
        (["devices"], "min devices"),
        (["status", "devices"], "min devices status"),
        (["min"], "min"),
        ([], ALL),
        (["all"], ALL),
        (["!all"], "min"),
        (["!min"], ALL),
        (["!status"], "min devices processes topology health"),
        (["all", "!processes", "!topology"], "min devices status health"),
        (["!all", "health"], "min health"),
        (["health", "!all"], "min health"),
        (["status", "!devices"], "min status"),
        (["status", "status"], "min status"),
    ],
)
def test_subsets_are_chosen_as_setup_does(wanted, meant) -> None:
    assert chosen(wanted) == tuple(meant.split())


@pytest.mark.parametrize("word", ["gpu", "!gpu", "", "!", "Devices", "devices,status", "!!all"])
def test_an_unknown_subset_is_named(word) -> None:
    """In one sentence, with what would be right."""
    with pytest.raises(InvalidInput) as caught:
        chosen(["devices", word])
    assert repr(word) in str(caught.value)
    assert ", ".join(SUBSETS) in str(caught.value)
