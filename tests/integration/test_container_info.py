# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""nvidia_container_info tells what is stale and what is gone, by each kind of injection.

GPUFLEET_MATRIX=full: on Docker 20.10 too.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from container_cells import CDI, DEVICE_REQUEST, DRIVER_VOLUME, RUNTIME
from toolkit_hosts import Host, Tasks, become, machines

pytestmark = pytest.mark.suites("toolkit")

KINDS = {
    "bookworm": (DEVICE_REQUEST, DRIVER_VOLUME, RUNTIME),
    "trixie": (CDI, DEVICE_REQUEST, DRIVER_VOLUME, RUNTIME),
}
SUITES = tuple(KINDS) if os.environ.get("GPUFLEET_MATRIX") else ("trixie",)
LAST = machines()["usual"]["gpus"][-1]["uuid"]
"""The GPU that machine ``gone`` does not have."""
OLD, NEW = (machines()[one]["driver"] for one in ("usual", "upgraded"))
CASES = {
    "made": (OLD, [], False),
    "gone": (OLD, [LAST], False),
    "upgraded": (OLD, [], True),
    "restarted": (NEW, [], False),
}
"""What has happened to the containers, and driver, gone and stale then."""


def shell(*lines: str) -> dict[str, Any]:
    return {"ansible.builtin.shell": "\n".join(("set -e", *lines))}


def tasks(kinds: tuple[str, ...]) -> Tasks:
    names = " ".join(f"told-{kind}" for kind in kinds)
    options = {
        "name": "told-{{ item }}",
        "image": "gpufleet/cuda:8.0",
        "command": "sleep infinity",
        "gpus": LAST,
        "stop_timeout": 0,
        "injection": "{{ item }}",
    }
    made = {"gpufleet.nvidia.nvidia_container": options, "loop": list(kinds), "register": "all"}

    def look(case: str) -> dict[str, Any]:
        return {"gpufleet.nvidia.nvidia_container_info": {}, "register": case}

    return [
        made,
        look("made"),
        shell(*become("gone")),
        look("gone"),
        shell(*become("upgraded")),
        look("upgraded"),
        shell(f"docker restart --time 0 {names}"),
        look("restarted"),
        shell(f"docker rm --force {names}"),
        shell(*become("usual")),
    ]


@pytest.fixture(scope="module")
def told(hosts: tuple[Host, ...]) -> Callable[[str, str], dict[str, dict[str, Any]]]:
    """What the module said of a host's containers in a case, by kind."""
    mine = [one for one in hosts if one.suite in SUITES]
    with ThreadPoolExecutor() as pool:
        played = pool.map(lambda one: one.play("info", tasks(KINDS[one.suite])), mine)
        results = dict(zip((one.suite for one in mine), played))
    for of in results.values():
        assert not [one["msg"] for one in of["all"]["results"] if one.get("failed")]

    def of(suite: str, case: str) -> dict[str, dict[str, Any]]:
        said = results[suite][case]
        mine = [one for one in said["containers"] if one["name"].startswith("told-")]
        assert said["driver"] == (NEW if case in ("upgraded", "restarted") else OLD)
        return {one["name"].removeprefix("told-"): one for one in mine}

    return of


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("suite", SUITES)
def test_what_has_become_of_containers(suite: str, case: str, told) -> None:
    driver, gone, stale = CASES[case]
    said = told(suite, case)
    assert {
        kind: {key: one[key] for key in ("injection", "gpus", "driver", "gone", "stale", "status")}
        for kind, one in said.items()
    } == {
        kind: {
            "injection": kind,
            "gpus": [LAST],
            "driver": driver,
            "gone": gone,
            "stale": stale,
            "status": "running",
        }
        for kind in KINDS[suite]
    }
