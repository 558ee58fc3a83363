# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The examples of docs/containers.md, run as they stand there, on a host with eight GPUs.

The last of them is in MIG mode. What the text promises is looked at from inside the containers.
"""

from __future__ import annotations

import copy
import json
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.gpufleet.nvidia.tests.integration import recorded_play
from ansible_collections.gpufleet.nvidia.tests.integration.recorded_play import Recording, play

from .conftest import FOLDER

pytestmark = pytest.mark.suites("trixie")

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "containers.md"
MACHINES = ROOT / "roles" / "simulated_gpu" / "files" / "machines"
EXAMPLE = re.compile(r"<!-- example: (\w+) -->\n```yaml\n(.*?)```", re.DOTALL)
OLD, NEW = "550.163.01", "570.86.15"
"""Drivers, before and after the upgrade."""

IMAGES = {
    "trainer:5": "",
    "notebook:1": "",
    "inference:2": "",
    "exporter:3": "",
    "inference:3": "ENV RELEASE=3",
    "trainer:99": "LABEL com.nvidia.cuda.version=99.0",
}
"""What is added to the image that stands in for each."""
PROGRAMS = {"train": "nvidia-smi -L; exec sleep infinity", "evaluate": "nvidia-smi -L"}


def examples() -> dict[str, str]:
    return dict(EXAMPLE.findall(PAGE.read_text()))


def described(driver: str) -> dict[str, Any]:
    """Eight GPUs, the last in MIG mode with three devices."""
    host = json.loads((MACHINES / "h100x8.json").read_text())
    migs = json.loads((MACHINES / "a100_mig.json").read_text())["gpus"][1]
    for key in ("mig_mode", "mig_mode_pending", "mig_max", "migs"):
        if key in migs:
            host["gpus"][7][key] = migs[key]
    return {**host, "driver": driver}


GPUS = [one["uuid"] for one in described(OLD)["gpus"]]
MIGS = [one["uuid"] for one in described(OLD)["gpus"][7]["migs"]]


def lay_out(folder: Path) -> None:
    """Write the machines, and what the images are made from."""
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "image").mkdir(parents=True)
    for driver in (OLD, NEW):
        (folder / f"{driver}.json").write_text(json.dumps(described(driver)))
    for name, code in PROGRAMS.items():
        (folder / "image" / name).write_text(f"#!/bin/sh\n{code}\n")
        (folder / "image" / name).chmod(0o755)
    base = "FROM gpufleet/cuda:8.0\nCOPY train evaluate /usr/bin/\nCMD train\nSTOPSIGNAL SIGKILL\n"
    for name, more in IMAGES.items():
        (folder / f"Dockerfile.{name}").write_text(base + more)


def changed(name: str, **options: object) -> list[dict[str, Any]]:
    """Return the tasks of an example with other options of nvidia_container."""
    tasks = copy.deepcopy(yaml.safe_load(examples()[name]))
    for task in tasks:
        if "gpufleet.nvidia.nvidia_container" in task:
            task["gpufleet.nvidia.nvidia_container"].update(options)
    return tasks


CHANGES: dict[str, list[dict[str, object]]] = {
    "training": [
        {"gpus": [GPUS[0]]},
        {"gpus": [1]},
        {"gpus": [1], "command": ["train", "--epochs", "4"]},
        {"gpus": [1], "command": ["train", "--epochs", "4"], "injection": "cdi"},
    ],
    "inference": [{"gpus": [1, 0]}, {"restart_policy": "always"}, {"gpus": [0]}],
    "beside": [{"env": {}}, {"gpus": [1]}],
    "exclusive": [{"gpus": 4}],
    "batch": [{"command": ["sh", "-c", "exit 3"]}],
    "requirements": [{"requirements": "enforce"}],
    "exporter": [{"shared": False}],
}
"""What each example's text says of changes, in the order in which they are made."""


DIFFERENCES: dict[str, list[str]] = {
    "training, change 0": [],
    "training, change 1": [f"{GPUS[0]} removed", f"{GPUS[1]} added"],
    "training, change 2": [],
    "inference, change 0": [],
    "inference, change 2": [f"{GPUS[1]} removed"],
    "beside, change 0": [],
    "beside, change 1": [f"{GPUS[0]} removed"],
    "exporter, change 0": ["sharing shared -> named"],
}


def plays() -> Iterator[dict[str, Any]]:
    """Yield each example, and again."""
    for name, text in examples().items():
        if yaml.safe_load(text)[0].get("hosts"):
            continue
        (FOLDER / f"example-{name}.yml").write_text(text)
        include = [{"ansible.builtin.include_tasks": f"example-{name}.yml"}]
        yield play(name, include)
        yield play(f"{name}, again", include)


def changed_plays() -> Iterator[dict[str, Any]]:
    for name, changes in CHANGES.items():
        for number, options in enumerate(changes):
            yield play(f"{name}, change {number}", changed(name, **options))


@pytest.fixture(scope="module", autouse=True)
def _host(machine, host, on_host, on_controller) -> Iterator[None]:
    """Eight GPUs, the images, a device of the user's own; ``machine`` brings back the demo's."""
    lay_out(FOLDER / "examples")
    on_controller(f"docker cp examples {host}:/root/")
    lines = [
        "set -e; cd /root/examples",
        "docker ps --all --quiet | xargs --no-run-if-empty docker rm --force",
        # Of an earlier run: made of files that are not this driver's any more.
        f"rm -rf /var/lib/nvidia-docker/volumes/nvidia_driver/{{{OLD},{NEW}}}",
        f"simulated-gpu load {OLD}.json",
        "for file in Dockerfile.*; do cp $file image/Dockerfile",
        "docker build -q -t registry.example.com/${file#*.} image; done",
        "mkdir -p /dev/infiniband",
        "test -e /dev/infiniband/uverbs0 || mknod /dev/infiniband/uverbs0 c 1 5",
    ]
    on_host("\n".join(lines))
    yield
    on_host("docker ps --all --quiet | xargs --no-run-if-empty docker rm --force --volumes")
    on_controller(
        "ansible -i inventory gpus -m include_role -a name=gpufleet.nvidia.nvidia_cdi "
        "-e nvidia_cdi_state=absent"
    )
    on_host("rm -rf /dev/infiniband /root/examples; docker volume rm checkpoints", ok=False)


LOOK = """
docker inspect --format '{{.Name}} {{.Id}}' $(docker ps --quiet --no-trunc) | while read name id; do
  echo "== ${name#/}"
  docker exec $id sh -c 'nvidia-smi -L; env; ls /dev /dev/nvidia-caps /dev/infiniband 2>&1; true'
done
"""
"""What is seen in each container."""


@dataclass(frozen=True)
class Ran:
    """The examples as they were run, and then each container as it is from inside."""

    recording: Recording
    inside: dict[str, str]


def inside(on_host: Callable[..., Any]) -> dict[str, str]:
    parts = on_host(LOOK).stdout.split("== ")[1:]
    return {name: text for name, _dummy, text in (part.partition("\n") for part in parts)}


@pytest.fixture(scope="module")
def ran(on_host) -> Ran:
    """The examples, each twice."""
    recording = recorded_play.run(FOLDER, list(plays()))
    return Ran(recording, inside(on_host))


@pytest.fixture(scope="module")
def changes(ran) -> Recording:
    """What comes of changes, after that."""
    return recorded_play.run(FOLDER, list(changed_plays()))


@pytest.fixture(scope="module")
def takes_cdi(on_host) -> bool:
    """Whether the host's Docker does."""
    version = on_host("docker version --format '{{.Server.Version}}'").stdout
    return int(version.partition(".")[0]) >= 25


def seen(text: str) -> list[str]:
    """UUIDs that nvidia-smi lists, of GPUs and MIG devices."""
    return re.findall(r"UUID: ([\w-]+)", text)


INSIDE = {
    "training": [GPUS[0]],
    "notebook": [GPUS[7], MIGS[2]],
    "inference": GPUS[:2],
    "fold-a": GPUS[2:4],
    "fold-b": GPUS[4:6],
    "exporter": [*GPUS, *MIGS],
    "rank-0": GPUS[:2],
    "trial": [GPUS[0]],
}
"""Which GPUs and MIG devices nvidia-smi lists in each container."""


@pytest.fixture(scope="module")
def upgraded(changes, on_host, on_controller, host) -> Iterator[Callable[..., Any]]:
    """The driver is another one. Run the rolling restart on a fleet whose first host is this."""
    on_host(f"simulated-gpu load /root/examples/{NEW}.json")
    (FOLDER / "rolling.yml").write_text(examples()["rolling"])

    def run(first: str) -> Any:
        names = {name: {"ansible_connection": "community.docker.docker"} for name in ("1", "2")}
        names["1"]["ansible_host"], names["2"]["ansible_host"] = first, host
        (FOLDER / "fleet").write_text(json.dumps({"gpus": {"hosts": names}}))
        return on_controller("ansible-playbook -i fleet rolling.yml", ok=False)

    yield run


def nodes(text: str) -> set[str]:
    """Device nodes of GPUs and MIG devices that were listed."""
    return set(re.findall(r"^nvidia(?:-cap)?[0-9]+$", text, re.MULTILINE))


def test_there_are_ten() -> None:
    assert len(examples()) == 10


@pytest.mark.parametrize("name", [one for one in examples() if one not in ("cdi", "rolling")])
def test_an_example_works_and_once_is_enough(ran, name) -> None:
    """The batch job alone runs each time."""
    works(ran, name)


def works(ran: Ran, name: str) -> None:
    first, again = (ran.recording.of(play) for play in (name, f"{name}, again"))
    assert {one.state for one in (*first, *again)} <= {"ok", "skipped"}, first
    assert any(one.result["changed"] for one in first)
    assert any(one.result["changed"] for one in again) is (name == "batch")


@pytest.mark.parametrize("name", INSIDE)
def test_a_container_sees_its_gpus_and_no_other(ran, name) -> None:
    assert seen(ran.inside[name]) == INSIDE[name]


def test_cdi_devices_where_docker_takes_them(ran, changes, takes_cdi) -> None:
    """Elsewhere the task fails, with what there is, and makes nothing."""
    becomes = changes.of("training, change 3")[-1]
    if takes_cdi:
        works(ran, "cdi")
        assert seen(ran.inside["embedding"]) == [GPUS[0]]
        assert ran.recording.result("cdi")["nvidia"]["plan"]["mounts"] == []
        assert becomes.result["nvidia"]["differences"] == ["injection driver_volume -> cdi"]
    else:
        for refused in (ran.recording.of("cdi")[-1], becomes):
            assert refused.state == "failed"
            assert refused.result["msg"].startswith("injection cdi is not to be had on this host: ")
            assert "other kinds that it has: driver_volume" in refused.result["msg"]
        assert "embedding" not in ran.inside


def test_no_other_node_is_there(ran) -> None:
    """GPU 0 has minor number 3; a MIG device has two nodes beside its GPU's."""
    assert nodes(ran.inside["training"]) == {"nvidia3"}
    assert nodes(ran.inside["notebook"]) == {"nvidia4", "nvidia-cap624", "nvidia-cap625"}


def test_a_service_is_healthy_and_comes_back(ran, on_host) -> None:
    """With the same GPUs after it has crashed."""
    assert ran.recording.result("inference")["container"]["State"]["Health"]["Status"] == "healthy"
    state = "docker inspect --format '{{.State.Pid}}:{{.RestartCount}}' inference"
    before = seen(inside(on_host)["inference"])
    pid, _dummy, restarts = on_host(state).stdout.strip().partition(":")
    on_host(f"kill -9 {pid}; timeout 20 sh -c 'until {state} | grep -q :1; do sleep 0.2; done'")
    assert restarts == "0"
    assert seen(inside(on_host)["inference"]) == before != []


def test_a_batch_job_prints_and_leaves_nothing(ran, changes, on_host) -> None:
    """Neither does one that fails, and its status is told."""
    assert seen(ran.recording.of("batch")[1].result["container"]["Output"]) == [GPUS[6]]
    failed = changes.of("batch, change 0")[0]
    assert (failed.state, failed.result["status"]) == ("failed", 3)
    names = on_host("docker ps --all --format '{{.Names}}'").stdout.split()
    assert "evaluation" not in names and "fold-a" in names


def test_own_devices_and_variables_are_there_beside(ran) -> None:
    text = ran.inside["rank-0"]
    assert "NCCL_DEBUG=INFO" in text
    assert "uverbs0" in text


def test_what_is_unmet_is_warned_of(ran) -> None:
    """The default callback takes warnings out of results; they are in the output."""
    planned = ran.recording.result("requirements")["nvidia"]["plan"]
    assert planned["requirements"]["result"] == "unmet"
    words = " ".join(ran.recording.output.split())
    assert "[WARNING]" in words
    assert "unsupported CUDA version: driver 12.8 < image 99.0" in words


@pytest.mark.parametrize(("play", "differences"), DIFFERENCES.items())
def test_a_change_does_what_the_text_says(changes, ran, play, differences) -> None:
    """Nothing, or a container of another id, for that reason."""
    (done,) = changes.of(play)
    assert done.state == "ok", done
    assert done.result["nvidia"]["differences"] == differences


def test_too_few_free_gpus_are_told_of(changes) -> None:
    """With who has the others; nothing is changed."""
    (refused,) = changes.of("exclusive, change 0")
    told = [one["msg"] for one in refused.result["results"]]
    assert [one.partition(":")[0] for one in told] == ["4 GPUs asked for, 3 free"] * 2
    assert f"{GPUS[4]} used by container fold-b" in told[0]


def test_an_image_that_can_not_run_leaves_the_container(changes, ran, on_host) -> None:
    (refused,) = changes.of("requirements, change 0")
    assert refused.result["msg"].startswith("unsupported CUDA version: driver 12.8 < image 99.0")
    (before,) = ran.recording.of("requirements, again")[-1:]
    identifier = on_host("docker inspect --format '{{.Id}} {{.State.Running}}' trial").stdout
    assert identifier.split() == [before.result["container"]["Id"], "true"]


def test_a_change_in_place_leaves_the_container(changes) -> None:
    before, after = (changes.result(f"inference, change {number}") for number in (0, 1))
    assert after["changed"] is True
    assert after["container"]["Id"] == before["container"]["Id"]
    assert after["container"]["HostConfig"]["RestartPolicy"]["Name"] == "always"


def stale(on_controller: Callable[..., Any]) -> set[str]:
    done = on_controller("ansible -i inventory gpus -m nvidia_container_info")
    told = json.loads(done.stdout.split("=>", 1)[1])
    return {one["name"] for one in told["containers"] if one["stale"]}


def test_a_fleet_is_restarted_after_a_driver_upgrade(
    upgraded, on_controller, on_host, host
) -> None:
    """One host after the other; the next one is left alone where the first can't be reached."""
    running = set(on_host("docker ps --format '{{.Names}}'").stdout.split())
    assert stale(on_controller) == running
    assert upgraded("no-such-host").returncode != 0
    assert stale(on_controller) == running
    done = upgraded(host)
    assert done.returncode == 0, done.stdout
    assert stale(on_controller) == set()
    assert set(on_host("docker ps --format '{{.Names}}'").stdout.split()) == running
