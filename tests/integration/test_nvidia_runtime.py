# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Hosts whose Docker runs every container with NVIDIA's runtime, and has NVIDIA's hook or not.

That runtime gives GPUs to whatever asks for them with NVIDIA_VISIBLE_DEVICES, as most GPU images
do: all of them. Docker looks for the hook when it starts.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from container_cells import CDI, DEVICE_REQUEST, DRIVER_VOLUME, RUNTIME
from toolkit_hosts import Host, Tasks, machines

pytestmark = pytest.mark.suites("toolkit")

IMAGE = "asks/all:1"
DOCKERFILE = "FROM gpufleet/cuda:8.0\\nENV NVIDIA_VISIBLE_DEVICES=all\\n"
NONE, BY_VARIABLE = "no_gpu", "by_variable"
KINDS = {
    "bookworm": (DRIVER_VOLUME, DEVICE_REQUEST, RUNTIME),
    "trixie": (DRIVER_VOLUME, CDI, DEVICE_REQUEST, RUNTIME),
}
EVERY = [gpu["uuid"] for gpu in machines()["usual"]["gpus"]]
HOOK = "/usr/local/bin/nvidia-container-runtime-hook"
FILE = "/etc/docker/daemon.json"
INSTALLED_LATE = "was installed after Docker started, which looks for it only then: restart Docker"


LOOK = "docker exec asks-{0} nvidia-smi -L 2>/dev/null | sed 's/^/{0} /' || true"


def task(name: str, register: str | None = None, **more: Any) -> dict[str, Any]:
    options = {
        "name": f"asks-{name}",
        "image": IMAGE,
        "command": "sleep infinity",
        "gpus": [1],
        "stop_timeout": 0,
        **more,
    }
    return {"gpufleet.nvidia.nvidia_container": options, "register": register or name}


def shell(*lines: str, **more: Any) -> dict[str, Any]:
    return {"ansible.builtin.shell": "\n".join(lines), **more}


def tasks(kinds: tuple[str, ...]) -> Tasks:
    """Docker does without the hook at first, which is there then; at last it is another file."""
    ours = [one for one in kinds if one in (DRIVER_VOLUME, CDI)]
    return [
        shell(
            f"printf '{DOCKERFILE}' | docker build --quiet --tag {IMAGE} -",
            f"mv {HOOK} /root; systemctl restart docker; mv /root/$(basename {HOOK}) {HOOK}",
            "docker run --rm --gpus all gpufleet/cuda:8.0 true",
            register="docker",
        ),
        task("late", injection=DEVICE_REQUEST),
        shell("systemctl restart docker"),
        *(task(kind, injection=kind) for kind in kinds),
        task(NONE, gpus="none"),
        task(BY_VARIABLE, env={"NVIDIA_VISIBLE_DEVICES": "all"}),
        *(task(kind, f"{kind}_again", injection=kind) for kind in ours),
        task(NONE, f"{NONE}_again", gpus="none"),
        shell(
            f"docker run --detach --name asks-plain {IMAGE} sleep infinity",
            f"cp {HOOK} {HOOK}.new && mv {HOOK}.new {HOOK}",
        ),
        task("upgraded", injection=DEVICE_REQUEST),
        shell(
            *(LOOK.format(one) for one in (*kinds, NONE, "plain", "upgraded")), register="listed"
        ),
    ]


def play(host: Host) -> dict[str, Any]:
    """What the module does on a host, and by ``seen`` the GPUs that containers list."""
    before = host.run(f"cat {FILE}").stdout
    host.put(FILE, json.dumps({**json.loads(before), "default-runtime": "nvidia"}))
    try:
        results = host.play("nvidia-runtime", tasks(KINDS[host.suite]))
    finally:
        host.put(FILE, before)
        host.run("docker ps --all --quiet --filter name=^asks- | xargs -r docker rm --force")
        host.run("systemctl restart docker")
    seen: dict[str, list[str]] = {}
    for name, uuid in re.findall(r"(?m)^(\w+) .*UUID: ([^)]+)", results["listed"]["stdout"]):
        seen.setdefault(name, []).append(uuid)
    return {**results, "seen": seen}


@pytest.fixture(scope="module")
def told(hosts: tuple[Host, ...]) -> Iterator[dict[str, dict[str, Any]]]:
    with ThreadPoolExecutor() as pool:
        yield dict(zip((one.suite for one in hosts), pool.map(play, hosts)))


@pytest.mark.parametrize("suite", KINDS)
def test_a_container_has_no_more_than_its_gpus(suite: str, told: dict[str, Any]) -> None:
    """Whichever kind gives them, and if it has none; one that Docker alone makes has all.

    A hook that was replaced after Docker's start is dockerd's: another container has it.
    """
    results, kinds = told[suite], (*KINDS[suite], "upgraded")
    assert not [results[one]["msg"] for one in (*kinds, NONE) if results[one].get("failed")]
    assert results["seen"] == {"plain": EVERY, **dict.fromkeys(kinds, EVERY[1:2])}
    again = [one for name, one in results.items() if name.endswith("_again")]
    assert again
    assert not [one for one in again if one["changed"]]


@pytest.mark.parametrize("suite", KINDS)
def test_a_variable_of_the_task_gives_none_beside(suite: str, told: dict[str, Any]) -> None:
    result = told[suite][BY_VARIABLE]
    assert result["failed"]
    assert "env: NVIDIA_VISIBLE_DEVICES: 'all' gives GPUs beside those that" in result["msg"]


@pytest.mark.parametrize("suite", KINDS)
def test_a_hook_that_was_installed_late_is_none(suite: str, told: dict[str, Any]) -> None:
    """Docker itself says so only when it starts a container that asks for it."""
    assert 'could not select device driver "" with capab' in told[suite]["docker"]["stderr"]
    result = told[suite]["late"]
    assert result["failed"]
    assert INSTALLED_LATE in result["msg"]
