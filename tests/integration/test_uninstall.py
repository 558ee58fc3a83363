# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""uninstall.yml on a host that somebody else still needs: one sentence, and nothing is changed.

Molecule runs it to its end, and has the refusals for Swarm and Podman.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "uninstall.md"
COMMAND = "ansible-playbook -i inventory gpufleet.nvidia.uninstall"
CONTAINERS = "-e gpufleet_uninstall_containers=true"
DOCKER = "-e gpufleet_uninstall_docker=true"
VOLUMES = "/var/lib/nvidia-docker/volumes/nvidia_driver"
UNIT = (
    "systemd-run --quiet --unit=another-engine --service-type=notify --property=NotifyAccess=all "
    "--property=PrivateMounts=yes"
)


@pytest.fixture(scope="module", autouse=True)
def _unchanged(host) -> Iterator[None]:
    """After all refusals every file, mount and unit of the host is as it was."""

    def snapshot(verb: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["docker", "exec", "-i", host, "python3", "-", verb, "refusals"],
            input=(ROOT / "tests/hosts/snapshot.py").read_text(),
            stdout=subprocess.PIPE,
            text=True,
            check=verb == "take",
        )

    snapshot("take")
    yield
    assert snapshot("compare").stdout.strip() == ""


@pytest.fixture
def refusal(on_controller, on_host) -> Callable[[str], str]:
    """Uninstall, and return why not. The demo's container runs on, and none is removed."""

    def run(options: str = "") -> str:
        names = "docker ps --all --format '{{.Names}} {{.State}}' | sort"
        before = on_host(names, ok=False).stdout
        done = on_controller(f"{COMMAND} {options}", ok=False)
        assert done.returncode == 2
        assert " changed=0 " in done.stdout
        assert on_host(names, ok=False).stdout == before
        return json.loads(re.search(r"FAILED! => (\{.*\})", done.stdout)[1])["msg"]

    return run


@pytest.fixture
def containers(on_host) -> Iterator[None]:
    """One that needs the volume, and one that needs Docker alone; neither runs."""
    image = "gpufleet/cuda:8.0"
    on_host(f"nvidia-docker create --name by-hand {image} true")
    on_host(f"docker create --name plain {image} true")
    yield
    on_host("docker rm by-hand plain")


@pytest.mark.usefixtures("containers")
def test_no_container_is_removed_without_being_told(refusal) -> None:
    """They are named, those too that do not run or were made by docker run."""
    assert COMMAND in PAGE.read_text().splitlines()
    message = refusal()
    names = re.match(r"Containers need what would be removed: (.*)\. Remove them", message)[1]
    assert sorted(names.split(", ")) == ["by-hand (created)", "training (running)"]


@pytest.mark.usefixtures("containers")
def test_docker_stays_while_it_has_other_containers(refusal) -> None:
    assert refusal(f"{CONTAINERS} {DOCKER}") == (
        "Docker has other containers: plain. Remove them yourself, or keep Docker with "
        "gpufleet_uninstall_docker=false; nothing was changed."
    )


def test_a_docker_that_does_not_answer_stops_it(refusal, on_host) -> None:
    """What it has can't be known, though the user says that it may go."""
    on_host("systemctl stop docker.socket docker")
    try:
        message = refusal(f"{CONTAINERS} {DOCKER}")
    finally:
        on_host("systemctl start docker.socket docker")
    assert message.startswith("Docker does not tell which containers this host has: Cannot connect")
    assert message.endswith("Start it with 'systemctl start docker'; nothing was changed.")
    assert on_host("docker inspect --format '{{.State.Running}}' training").stdout == "true\n"


def test_a_volume_that_another_engine_has_mounted_stops_it(refusal, on_host) -> None:
    """Before a container of Docker's is removed. A user's own Podman does such mounts."""
    mount = f"mount --bind {VOLUMES}/$(cat /sys/module/nvidia/version) /mnt"
    on_host(f"{UNIT} sh -c '{mount} && systemd-notify --ready && exec sleep 600'")
    try:
        pid = on_host("systemctl show --property=MainPID --value another-engine").stdout.strip()
        message = refusal(CONTAINERS)
    finally:
        on_host("systemctl stop another-engine")
    assert message == (
        f"A driver volume is in use by process {pid}. End that first; nothing was changed."
    )
