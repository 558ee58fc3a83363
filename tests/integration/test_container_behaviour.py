# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ansible's ways to run a task do with nvidia_container what they do with docker_container.

Each is tried with both, on the same host in the same run; what nvidia_container adds is looked at
beside. The demo's host has five GPUs.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from typing import Any

import pytest
from ansible_collections.gpufleet.nvidia.tests.integration import recorded_play
from ansible_collections.gpufleet.nvidia.tests.integration.recorded_play import (
    Recorded,
    Recording,
    play,
)

from .conftest import FOLDER

OURS = "gpufleet.nvidia.nvidia_container"
PLAIN = "community.docker.docker_container"
SOCKET = "unix:///run/docker.sock"
SECRET = "correct-horse"

WAYS: dict[str, dict[str, Any]] = {
    "plain": {},
    "check mode": {"check_mode": True},
    "diff": {"diff": True},
    "async": {"async": 120, "poll": 1},
    "loop": {"loop": ["a", "b"]},
    "delegate_to": {"delegate_to": "{{ groups['gpus'][0] }}"},
    "no_log": {"no_log": True},
    "become": {"become": True, "vars": {"ansible_user": "deploy"}},
    "become, no pipelining": {
        "become": True,
        "vars": {"ansible_user": "deploy", "ansible_pipelining": False},
    },
    "no pipelining": {"vars": {"ansible_pipelining": False}},
}
"""Keywords of the task."""
COMPARED = ("plain", "check mode", "diff", "async", "loop", "no_log")
"""Those that are tried with docker_container too; the others are none of a module's business."""
CLEAN = (
    "docker ps --all --quiet --filter status=created | xargs -r docker rm --force; "
    "rm -f /run/nvidia-docker/leases/*.json"
)
"""None of the containers is started; a job that nobody waits for leaves its lease."""
CHANGED = ("check mode", "diff")
"""Those in which something is changed then."""


def options(module: str, way: str) -> dict[str, Any]:
    """Two modules, the same container."""
    name = f"{way.replace(', ', '-').replace(' ', '-')}-{'ours' if module == OURS else 'plain'}"
    given: dict[str, Any] = {
        "name": name + ("-{{ item }}" if way == "loop" else ""),
        "image": "gpufleet/cuda:8.0",
        "state": "present",
        "env": {"TOKEN": SECRET} if way == "no_log" else {},
        "command": "sleep infinity",
    }
    return {**given, "gpus": [1]} if module == OURS else given


def plays() -> Iterator[dict[str, Any]]:
    """Yield each way with each module: twice, then maybe with one more option."""
    for way, keywords in WAYS.items():
        for module in (PLAIN, OURS) if way in COMPARED else (OURS,):
            given = options(module, way)
            steps = {"first": given, "again": given}
            if way in CHANGED:
                steps["changed"] = {**given, "hostname": "another"}
            tasks = [{"name": name, module: one, **keywords} for name, one in steps.items()]
            where = {"hosts": "localhost"} if way == "delegate_to" else {}
            yield play(f"{way}, {module}", tasks, **where)
    yield from of_ours()
    demo = {"name": "training", "image": "gpufleet/cuda:8.0", "command": "sleep infinity"}
    again = {**demo, "gpus": "all", "init": True, "restart_policy": "unless-stopped"}
    yield play("the demo's container is back", [{OURS: again}])


def of_ours() -> Iterator[dict[str, Any]]:
    """Yield what docker_container has no match for, or what takes tasks of its own."""
    given = {**options(OURS, "later"), "name": "later", "gpus": 2}
    yield play(
        "poll: 0",
        [
            {OURS: given, "async": 120, "poll": 0, "register": "started"},
            {
                "ansible.builtin.async_status": {"jid": "{{ started.ansible_job_id }}"},
                "register": "status",
                "until": "status is finished",
                "retries": 60,
                "delay": 1,
                "ignore_errors": True,
            },
            {OURS: given},
            {"ansible.builtin.shell": "grep -hs . /run/nvidia-docker/leases/*.json || true"},
        ],
    )
    taken = {**options(OURS, "plain"), "gpus": [0]}
    yield play("GPU-level reason", [{OURS: taken, "diff": True, "check_mode": True}])
    short = {"name": "defaults", "command": "sleep infinity", "state": "present"}
    group = {"image": "gpufleet/cuda:8.0", "gpus": [2]}
    yield play(
        "defaults of our group",
        [{OURS: short}],
        module_defaults={"group/gpufleet.nvidia.nvidia": group},
    )
    yield play(
        "defaults of docker's group",
        [{OURS: {**short, **group}}],
        module_defaults={"group/community.docker.docker": {"docker_host": "unix:///nowhere.sock"}},
    )
    yield play(
        "defaults of docker_container",
        [{OURS: {**short, **group, "name": "inner"}}],
        module_defaults={PLAIN: {"restart_policy": "always", "docker_host": SOCKET}},
    )


@pytest.fixture(scope="module")
def _idle_gpus(on_host) -> Iterator[None]:
    """Nothing computes, and the demo's container, which has all GPUs, is away."""
    shown = on_host("simulated-gpu show | grep -E '^gpu\\.[0-9]+\\.procs='").stdout.splitlines()
    before = [line.removeprefix("gpu.") for line in shown]
    idle = shlex.join(f"{number}.procs=" for number in range(len(before)))
    on_host(f"docker rm --force training; simulated-gpu set {idle}")
    yield
    on_host(f"simulated-gpu set {shlex.join(before)}")


@pytest.fixture(scope="module")
def ran(_idle_gpus, on_host) -> Iterator[Recording]:
    """All plays in one run, told in detail; a user that may become root by sudo."""
    on_host(CLEAN)
    on_host(
        "id deploy 2>/dev/null || useradd --create-home deploy; "
        "echo 'deploy ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/deploy"
    )
    yield recorded_play.run(FOLDER, list(plays()), "-vvv")
    on_host(CLEAN)
    on_host("rm /etc/sudoers.d/deploy; userdel --remove deploy", ok=False)


OF_JOBS = {
    "ansible_job_id",
    "results_file",
    "started",
    "finished",
    "stdout",
    "stderr",
    "stdout_lines",
    "stderr_lines",
}
"""What async_status adds."""


def tasks(ran: Recording, way: str, module: str) -> dict[str, Recorded]:
    return {one.task: one for one in ran.of(f"{way}, {module}")}


@pytest.mark.parametrize("way", WAYS)
def test_a_way_makes_the_container_once(ran, way) -> None:
    """Check mode announces it each time."""
    ours = tasks(ran, way, OURS)
    assert {one.state for one in ours.values()} == {"ok"}, ours
    if way != "no_log":
        expected = [True, True, True] if way == "check mode" else [True, False, True]
        assert [one.result["changed"] for one in ours.values()] == expected[: len(ours)]


@pytest.mark.parametrize("way", COMPARED)
def test_a_result_is_docker_containers_and_what_the_container_gets(ran, way) -> None:
    """Nothing that docker_container tells is lost."""
    plain, ours = (tasks(ran, way, module) for module in (PLAIN, OURS))
    for name, other in plain.items():
        told = ours[name].result
        assert told.get("changed") == other.result.get("changed")
        for one, two in zip(
            told.get("results", [told]), other.result.get("results", [other.result])
        ):
            assert set(two) - OF_JOBS <= set(one)
            if way != "no_log":
                assert [gpu["index"] for gpu in one["nvidia"]["plan"]["gpus"]] == ["1"]


def test_check_mode_makes_no_container(ran, on_host) -> None:
    names = on_host("docker ps --all --format '{{.Names}}'").stdout.split()
    assert "plain-ours" in names
    assert not [one for one in names if one.startswith("check-mode")]


def test_a_diff_names_the_gpu(ran) -> None:
    """Beside what docker_container tells."""
    told = ran.result("GPU-level reason")
    added, removed = sorted(told["nvidia"]["differences"], key=lambda one: one.split()[1])
    assert added.endswith(" added") and removed.endswith(" removed")
    assert added in json.dumps(told["diff"]) and removed in json.dumps(told["diff"])
    changed = tasks(ran, "diff", OURS)["changed"].result["diff"]
    assert changed["before"]["hostname"] != changed["after"]["hostname"] == "another"


def test_a_task_that_nobody_waits_for_makes_the_container(ran) -> None:
    """The next run has nothing to change, and ends the lease."""
    _started, status, again, leases = ran.of("poll: 0")
    assert status.state == "ok", status
    assert status.result["finished"]
    assert (again.state, again.result["changed"]) == ("ok", False), again
    assert len(again.result["nvidia"]["plan"]["gpus"]) == 2
    assert leases.result["stdout"] == ""


def test_what_is_not_to_be_logged_is_not(ran) -> None:
    """Not even told in detail; a task without it shows its variables, as docker_container's."""
    assert "censored" in tasks(ran, "no_log", OURS)["first"].result
    assert SECRET not in ran.output


def test_defaults_of_groups_reach_the_plan_and_the_container(ran) -> None:
    """Ours, docker's and docker_container's."""
    ours = ran.result("defaults of our group")
    assert ours["changed"] is True
    assert [gpu["index"] for gpu in ours["nvidia"]["plan"]["gpus"]] == ["2"]
    docker = ran.of("defaults of docker's group")[-1]
    assert docker.state == "failed"
    assert "/nowhere.sock" in docker.result["msg"]
    inner = ran.result("defaults of docker_container")
    assert inner["container"]["HostConfig"]["RestartPolicy"]["Name"] == "always"


@pytest.mark.parametrize("way", [way for way in WAYS if way != "loop"])
def test_a_task_runs_two_modules(ran, way) -> None:
    """The plan and docker_container."""
    _dummy, _dummy, after = ran.output.partition(f"PLAY [{way}, {OURS}] ")
    lines = [one for one in after.partition("\nPLAY [")[0].splitlines() if "Using module" in one]
    plans = [one for one in lines if "nvidia_container.py" in one]
    others = [one for one in lines if "docker_container.py" in one]
    runs = len(tasks(ran, way, OURS))
    assert (len(plans), len(others)) == (runs, runs)
