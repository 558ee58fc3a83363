# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A choice and its lease: the real pynvml on the simulated driver, an engine without containers."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

PACKAGE = "ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker"
CHOOSE = f"""
import json, sys
from pathlib import Path
from {PACKAGE}.errors import NvidiaDockerError
from {PACKAGE}.host import discovery
from {PACKAGE}.host.engine import Engine
from {PACKAGE}.host.gpu_choice import GpuChoice
from {PACKAGE}.host.leases import Leases
from {PACKAGE}.requirement import Image
directory, steps = sys.argv[1:]
host, engine = discovery.discover(), Engine("unix:///run/docker.sock")
found = []
for how, container, number, demand in json.loads(steps):
    choice = GpuChoice(host, engine, Leases(Path(directory)), container, number, False)
    image = Image("i", {{}}, {{"NVIDIA_REQUIRE_CUDA": demand}}) if demand else None
    try:
        devices = choice.look(image) if how == "look" else choice.take(image)[0]
        found.append([device.index for device in devices])
    except NvidiaDockerError as error:
        found.append(str(error))
print(json.dumps(found))
"""


@pytest.fixture
def choose(on_machine, machine_file, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable:
    """Return a function: steps -> indices, or the error, of each. Nothing computes."""
    client = tmp_path / "docker"
    client.write_text("#!/bin/sh\n")
    client.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    machine = machine_file("zoo5")
    for gpu in machine["gpus"]:
        gpu["procs"] = ""

    def run(*steps: tuple) -> list:
        directory = str(tmp_path / "leases")
        return json.loads(on_machine(machine, CHOOSE, directory, json.dumps(steps)))

    return run


def test_what_is_taken_is_leased_and_what_is_looked_at_is_not(choose) -> None:
    """A container that asks again keeps what it was promised."""
    assert choose(
        ("look", "a", 2, None),
        ("take", "b", 2, None),
        ("take", "a", 2, None),
        ("take", "b", 2, None),
        ("take", "b", 3, None),
    ) == [[0, 1], [0, 1], [2, 3], [0, 1], [0, 1, 4]]


def test_what_is_refused_is_not_leased(choose) -> None:
    refused, *others = choose(("take", "a", 6, None), ("take", "b", 5, None))
    assert refused == "6 GPUs asked for, 5 free: this host has 5"
    assert others == [[0, 1, 2, 3, 4]]


def test_a_lease_is_told_with_the_time_that_it_has_left(choose) -> None:
    refused = choose(("take", "a", 4, None), ("take", "b", 2, None))[1]
    assert refused.startswith("2 GPUs asked for, 1 free: GPU-836c0c09-9f0d-5f33-b1b5-1b4a8f2d7c00 ")
    assert " leased to container a for " in refused


FITTING = [
    ("arch>=7.0", 1, [4]),
    ("arch>=3.5", 3, [0, 1, 2]),
    ("brand=unknown", 1, [3]),
    ("arch>=99.0", 1, [0]),
]


@pytest.mark.parametrize(("demand", "number", "chosen"), FITTING)
def test_gpus_are_chosen_that_offer_what_the_image_demands(choose, demand, number, chosen) -> None:
    """The GPUs' compute capabilities are 6.0, 3.7, 3.7, 2.1, 7.5. What none offers is no reason to
    choose one: the check of the image tells it better."""
    assert choose(("look", "a", number, demand)) == [chosen]


def test_gpus_that_do_not_offer_it_are_told(choose) -> None:
    (refused,) = choose(("take", "a", 2, "arch>=7.0"))
    assert refused.startswith("2 GPUs asked for, 1 free: GPU-836c0c09-9f0d-5f33-b1b5-1b4a8f2d7c00 ")
    assert refused.count(" does not offer what image i demands") == 4
