# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""GPUs by number: chosen, kept, refused, leased; and who uses what. The demo host has five."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import yaml
from ansible_collections.gpufleet.nvidia.plugins.modules import nvidia_container_info

pytestmark = pytest.mark.suites("trixie")

IMAGE = "gpufleet/cuda:8.0"
LEASES = "/run/nvidia-docker/leases"
Ask = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def _idle_gpus(on_host) -> Iterator[None]:
    """Nothing computes."""
    shown = on_host("simulated-gpu show | grep -E '^gpu\\.[0-9]+\\.procs='").stdout.splitlines()
    before = [line.removeprefix("gpu.") for line in shown]
    on_host(f"simulated-gpu set {shlex.join(f'{n}.procs=' for n in range(len(before)))}")
    yield
    on_host(f"simulated-gpu set {shlex.join(before)}")


@pytest.fixture(scope="module", autouse=True)
def _demo_is_away(_idle_gpus, machine, on_host) -> None:
    """The demo's container, which has all GPUs; in the end ``machine`` brings it back."""
    on_host("docker rm --force training")


@pytest.fixture(autouse=True)
def _no_container_is_left(on_host) -> Iterator[None]:
    yield
    on_host("docker ps --all --quiet | xargs --no-run-if-empty docker rm --force")


@pytest.fixture(scope="session")
def container(on_controller) -> Ask:
    """Run nvidia_container ad hoc and return its result."""

    def run(name: str, gpus: object, *flags: str, **more: Any) -> dict[str, Any]:
        given = {"name": name, "gpus": gpus, "image": IMAGE, "command": "sleep infinity"}
        arguments = shlex.quote(json.dumps({**given, "stop_timeout": 0, **more}))
        line = f"ansible -i inventory gpus -m nvidia_container -a {arguments} {shlex.join(flags)}"
        done = on_controller(line, ok=False)
        assert "Traceback" not in done.stdout + done.stderr
        return json.loads(done.stdout.split("=>", 1)[1])

    return run


@pytest.fixture(scope="session")
def usage(on_controller) -> Callable[[], dict[str, Any]]:
    """Run nvidia_container_info and return its result."""

    def run() -> dict[str, Any]:
        done = on_controller("ansible -i inventory gpus -m nvidia_container_info")
        return json.loads(done.stdout.split("=>", 1)[1])

    return run


@pytest.fixture
def examples(on_controller, folder) -> Callable[[], str]:
    """Run the examples of nvidia_container_info, and return what is printed."""

    def run() -> str:
        tasks = yaml.safe_load(nvidia_container_info.EXAMPLES)
        play = [{"hosts": "gpus", "gather_facts": False, "tasks": tasks}]
        (folder / "examples.yml").write_text(json.dumps(play))
        return on_controller("ansible-playbook -i inventory examples.yml").stdout

    return run


@pytest.fixture(scope="module")
def uuids(facts) -> list[str]:
    return [device["uuid"] for device in facts()["devices"]]


def given(result: dict[str, Any]) -> list[str]:
    assert "nvidia" in result, result
    return [gpu["uuid"] for gpu in result["nvidia"]["plan"]["gpus"]]


def leased(on_host) -> list[str]:
    """Names of the leases that there are."""
    return on_host(f"ls {LEASES}").stdout.split()


def test_a_choice_is_kept_and_grows_and_shrinks(container, uuids, on_host) -> None:
    """Without another container's GPUs, and without a lease that is left."""
    first = container("trainer", 1)
    assert (first["changed"], given(first)) == (True, uuids[:1])
    assert given(container("other", "1")) == uuids[1:2]
    again = container("trainer", 1)
    assert (again["changed"], given(again)) == (False, uuids[:1])
    grown = container("trainer", 2, "--diff")
    assert given(grown) == [uuids[0], uuids[2]]
    assert grown["nvidia"]["differences"] == [f"{uuids[2]} added"]
    nodes = on_host("docker inspect --format '{{json .HostConfig.Devices}}' trainer").stdout
    inside = {one["PathInContainer"] for one in json.loads(nodes)}
    assert inside == set(grown["nvidia"]["plan"]["device_nodes"])
    shrunk = container("trainer", 1)
    assert (shrunk["changed"], given(shrunk)) == (True, uuids[:1])
    identifier = on_host("docker inspect --format '{{.Id}}' trainer").stdout.strip()
    assert not container(identifier, 1)["changed"]
    assert leased(on_host) == []


def test_too_few_is_one_sentence_and_nothing_changes(container, uuids, on_host) -> None:
    """A stopped container has its GPUs still; a process in any container is that one's."""
    container("trainer", 1)
    on_host("docker stop --time 0 trainer")
    on_host(f"docker run --detach --name job --entrypoint sleep {IMAGE} infinity")
    pid = on_host("docker inspect --format '{{.State.Pid}}' job").stdout.strip()
    on_host(f"simulated-gpu set 1.procs={pid}:1048576 2.procs=1:4096")
    try:
        refused = container("greedy", 4)
    finally:
        on_host("simulated-gpu set 1.procs= 2.procs=")
    assert refused["msg"] == (
        f"4 GPUs asked for, 2 free: {uuids[0]} used by container trainer (exited), "
        f"{uuids[1]} used by container job, {uuids[2]} used by process 1"
    )
    assert on_host("docker ps --all --format '{{.Names}}' | sort").stdout.split() == [
        "job",
        "trainer",
    ]
    assert leased(on_host) == []


def test_plays_at_once_never_share_a_gpu(container, uuids, usage, on_host) -> None:
    """Three want two of five, all at the same time: two get them."""
    with ThreadPoolExecutor(3) as pool:
        results = list(pool.map(lambda n: container(f"c{n}", 2), range(3)))
    made = [uuid for one in results if "nvidia" in one for uuid in given(one)]
    (refused,) = [one["msg"] for one in results if "nvidia" not in one]
    assert sorted(made) == sorted(uuids[:4])
    assert refused.startswith("2 GPUs asked for, 1 free: ")
    assert [len(one["containers"]) for one in usage()["gpus"]] == [1, 1, 1, 1, 0]
    assert leased(on_host) == []


def test_a_container_that_can_not_be_made_frees_its_gpus(container, usage, on_host) -> None:
    """Docker refuses so little memory."""
    failed = container("trainer", 5, memory="1k")
    assert "memory limit" in failed["msg"]
    assert leased(on_host) == []
    assert all(one["free"] for one in usage()["gpus"])


def test_options_that_clash_with_the_plan_free_its_gpus(container, on_host) -> None:
    """docker_container is not even run then."""
    failed = container("trainer", 5, volumes=["/tmp:/usr/local/nvidia"])
    assert "is where the driver volume is mounted" in failed["msg"]
    assert leased(on_host) == []


def test_an_image_that_is_refused_frees_its_gpus(container, newer_image, on_host) -> None:
    failed = container("trainer", 5, image=newer_image)
    assert failed["msg"].startswith("unsupported CUDA version")
    assert leased(on_host) == []


def test_check_mode_takes_no_lease(container, uuids, on_host) -> None:
    """Not even for a moment: the directory is not written to."""
    container("trainer", 1)
    look = f"stat --format %y {LEASES}"
    before = on_host(look).stdout
    announced = container("other", 2, "--check")
    assert (announced["changed"], given(announced)) == (True, uuids[1:3])
    assert container("greedy", 5, "--check")["msg"].startswith("5 GPUs asked for, 4 free: ")
    assert on_host(look).stdout == before


TAKE = """
import sys
sys.path.insert(0, "/usr/local/lib/nvidia-docker/current")
from nvidia_docker.host.leases import Leases
leases = Leases()
with leases.locked():
    leases.write("next", ("{uuid}",))
"""


def test_a_lease_of_a_killed_play_holds_for_its_container(container, uuids, usage, on_host) -> None:
    """Until it expires; that container's next play gets what was promised."""
    on_host(f"python3 -ISc {shlex.quote(TAKE.format(uuid=uuids[3]))}")
    try:
        assert [one["leases"] for one in usage()["gpus"]] == [[], [], [], ["next"], []]
        refused = container("greedy", 5)["msg"]
        assert refused.startswith(f"5 GPUs asked for, 4 free: {uuids[3]} leased to container next ")
        assert given(container("next", 1)) == [uuids[3]]
    finally:
        on_host(f"rm -f {LEASES}/*.json")


def test_shared_containers_leave_gpus_free(container, uuids, usage) -> None:
    """One that watches all GPUs, one that has one exclusively, one that wants to share."""
    assert given(container("exporter", "all", shared=True)) == uuids
    trainer = container("trainer", 1)
    assert (trainer["nvidia"]["plan"]["sharing"], given(trainer)) == ("exclusive", uuids[:1])
    assert given(container("notebook", 1, shared=True)) == uuids[1:2]
    told = usage()
    assert {one["name"]: one["sharing"] for one in told["containers"]} == {
        "exporter": "shared",
        "notebook": "shared",
        "trainer": "exclusive",
    }
    assert [one["free"] for one in told["gpus"]] == [False, True, True, True, True]
    exclusive = container("notebook", 1)
    assert exclusive["changed"]
    assert exclusive["nvidia"]["differences"] == ["sharing shared -> exclusive"]
    assert given(exclusive) == uuids[1:2]


def test_info_tells_what_is_stale_and_what_is_gone(
    container, uuids, usage, machine, examples
) -> None:
    """After another driver was loaded, and after GPUs were taken out. The module's examples restart
    what is stale."""
    container("trainer", 2)
    before = usage()["containers"][0]
    assert (before["name"], before["status"], before["gpus"]) == (
        "trainer",
        "running",
        sorted(uuids[:2]),
    )
    assert (before["stale"], before["gone"]) == (False, [])
    machine("newdriver")
    after = usage()
    assert after["driver"] != before["driver"]
    assert (after["containers"][0]["driver"], after["containers"][0]["stale"]) == (
        before["driver"],
        True,
    )
    assert "5 GPUs are free" not in examples()
    assert usage()["containers"][0]["stale"] is False
    machine("single")
    told = usage()
    here = {one["uuid"] for one in told["gpus"]}
    assert told["containers"][0]["gone"] == sorted(set(uuids[:2]) - here) != []
