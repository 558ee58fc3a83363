# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""container_requirements.py: enforce, warn, ignore"""

from __future__ import annotations

import pytest
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.container_requirements import (  # noqa: E501
    ENFORCE,
    IGNORE,
    WARN,
    Requirements,
)
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.errors import (
    InvalidInput,
    UnmetRequirement,
)
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.model import Host
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.requirement import Image

NOT_PRESENT = Requirements("not checked: image not present")


def image(cuda: str = "", **env: str) -> Image:
    return Image("i", {"com.nvidia.cuda.version": cuda} if cuda else {}, env)


GOOD = image("8.0", NVIDIA_REQUIRE_CUDA="cuda>=7.5 brand=grid", NVIDIA_REQUIRE_ARCH="arch>=6.0")
HELD = (
    ("com.nvidia.cuda.version=8.0", "met"),
    ("arch>=6.0", "met"),
    ("cuda>=7.5 brand=grid", "met"),
)


@pytest.mark.parametrize("policy", [ENFORCE, WARN])
def test_what_holds_is_told_condition_by_condition(host: Host, policy: str) -> None:
    assert Requirements.of(policy, GOOD, host, host.devices[:1]) == Requirements("met", HELD)


UNMET = [
    (image("99.0"), (("com.nvidia.cuda.version=99.0", "unmet"),), "unsupported CUDA version"),
    (
        image(NVIDIA_REQUIRE_A="cuda>=99.0", NVIDIA_REQUIRE_B="cuda>=7"),
        (("cuda>=99.0", "unmet"), ("cuda>=7", "met")),
        "cuda>=99.0 is not met",
    ),
    (image(NVIDIA_REQUIRE_A="magic"), (("magic", "unreadable"),), "'magic' is not understood"),
    (
        image("99.0", NVIDIA_REQUIRE_A="cuda>=99", NVIDIA_DISABLE_REQUIRE="1"),
        (("com.nvidia.cuda.version=99.0", "unmet"), ("cuda>=99", "skipped")),
        "unsupported CUDA version",
    ),
]


@pytest.mark.parametrize(("demanding", "conditions", "sentence"), UNMET)
def test_what_does_not_hold(host: Host, demanding: Image, conditions: tuple, sentence: str) -> None:
    """Refused, told, or not looked at."""
    gpus = host.devices[:1]
    with pytest.raises((UnmetRequirement, InvalidInput)) as refused:
        Requirements.of(ENFORCE, demanding, host, gpus)
    assert sentence in str(refused.value)
    warned = Requirements.of(WARN, demanding, host, gpus)
    assert (warned.result, warned.conditions) == ("unmet", conditions)
    assert warned.warning == (
        f"requirements: warn, so the container runs all the same: {refused.value}"
    )
    assert Requirements.of(IGNORE, demanding, host, gpus) == Requirements("ignored")


@pytest.mark.parametrize("policy", [ENFORCE, WARN])
def test_what_is_not_there_is_not_checked(host: Host, policy: str) -> None:
    assert Requirements.of(policy, None, host, ()) == NOT_PRESENT
    assert Requirements.of(policy, None, None, ()) == NOT_PRESENT


def test_a_container_without_gpus_demands_nothing() -> None:
    assert Requirements.of(ENFORCE, image("99.0"), None, ()) == Requirements("met")
