# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a GPU host does, seen from inside and outside of containers."""

from __future__ import annotations

import json
import subprocess
import time

import pytest

IMAGE = "gpufleet/cuda:8.0"
CONTAINER = "training"


def listed(text: str) -> list[str]:
    """The UUIDs that nvidia-smi -L lists."""
    return [line.rsplit("UUID: ", 1)[1].rstrip(")") for line in text.splitlines() if "UUID" in line]


def uuids(facts) -> list[str]:
    """What nvidia-smi lists of the whole host: each GPU, its MIG devices below it."""
    return [
        one["uuid"] for device in facts()["devices"] for one in (device, *device["mig_devices"])
    ]


def test_the_declared_container_lists_its_gpus(on_host, facts) -> None:
    """nvidia-smi and libnvidia-ml are those of the driver volume."""
    done = on_host(f"docker exec {CONTAINER} /usr/local/nvidia/bin/nvidia-smi -L")
    assert listed(done.stdout) == uuids(facts)


def test_a_container_sees_the_gpus_of_its_nodes_only(on_host, facts) -> None:
    """Three ways to give a container its second GPU."""
    second = uuids(facts)[1]
    for line in (
        f"NV_GPU=1 nvidia-docker run --rm {IMAGE} nvidia-smi -L",
        f"NV_GPU={second} nvidia-docker run --rm {IMAGE} nvidia-smi -L",
        f"docker run --rm $(curl -s 'localhost:3476/docker/cli?dev=1') {IMAGE} nvidia-smi -L",
    ):
        assert listed(on_host(line).stdout) == [second]


def test_the_volume_is_the_hosts_files(on_host, facts) -> None:
    """The same inode, and Docker says whose volume it is."""
    version = facts()["driver"]["version"]
    name = f"nvidia_driver_{version}"
    inspected = on_host(f"docker volume inspect {name}")
    assert json.loads(inspected.stdout)[0]["Driver"] == "nvidia-docker"
    host = on_host("stat -Lc %i $(ldconfig -p | awk '/libnvidia-ml.so.1/{print $NF; exit}')")
    inside = on_host(
        f"docker exec {CONTAINER} stat -Lc %i /usr/local/nvidia/lib64/libnvidia-ml.so.1"
    )
    assert host.stdout == inside.stdout
    assert on_host(f"docker exec {CONTAINER} touch /usr/local/nvidia/x", ok=False).returncode != 0


def test_other_commands_are_dockers_own(on_host) -> None:
    """Pass-through by exec: output and status are docker's."""
    assert on_host("nvidia-docker ps -q").stdout == on_host("docker ps -q").stdout
    refused = on_host("nvidia-docker no-such-command", ok=False)
    assert refused.returncode == on_host("docker no-such-command", ok=False).returncode
    assert on_host("nvidia-docker version").stdout.startswith("NVIDIA Docker: ")


WRONG = [
    ("NV_GPU=99 nvidia-docker run --rm {image} true", "invalid device: 99: "),
    ("NV_GPU=GPU-zz nvidia-docker run --rm {image} true", "invalid device: GPU-zz: "),
    ("nvidia-docker run --rm {newer} true", "unsupported CUDA version: driver "),
    ("docker volume create -d nvidia-docker nvidia_driver_1.2", "1.2"),
    ("docker volume create -d nvidia-docker other", "bad volume format: other"),
    ("curl -sS 'localhost:3476/docker/cli?dev=99'", "invalid device: 99"),
    ("curl -sS 'localhost:3476/docker/cli?image={newer}'", "unsupported CUDA version: driver "),
    ("curl -sS 'localhost:3476/docker/cli?image=nothing'", "image nothing is not on this host"),
    ("curl -fsS 'localhost:3476/docker/cli?image={newer}'", "error: 409"),
    ("curl -sS 'localhost:3476/docker/cli?device=0'", "device"),
]


@pytest.mark.parametrize(("line", "sentence"), WRONG)
def test_wrong_input_is_answered_with_one_sentence(on_host, newer_image, line, sentence) -> None:
    """No traceback, no start."""
    done = on_host(line.format(image=IMAGE, newer=newer_image), ok=False)
    text = done.stdout + done.stderr
    assert sentence in text
    assert "Traceback" not in text
    assert len(text.strip().splitlines()) == 1


def test_an_image_is_checked_before_docker_gets_its_options(on_host, newer_image) -> None:
    """v1's way of running a container with the plugin alone, now with the command's check."""
    ask = "options=$(curl -fsS 'localhost:3476/docker/cli?image={image}')"
    line = ask + " && docker run --rm $options {image} {command}"
    done = on_host(line.format(image=IMAGE, command="nvidia-smi -L"))
    assert "UUID" in done.stdout
    refused = on_host(line.format(image=newer_image, command="echo started"), ok=False)
    assert refused.returncode != 0
    assert "started" not in refused.stdout


def test_a_restart_of_the_host_brings_everything_back(host, on_host, facts) -> None:
    """Nodes, plugin, container: without Ansible."""
    before = facts()
    subprocess.run(["docker", "restart", host], check=True, capture_output=True)
    deadline = time.monotonic() + 90
    line = f"docker exec {CONTAINER} nvidia-smi -L"
    while on_host(line, ok=False).returncode != 0 and time.monotonic() < deadline:
        time.sleep(1)
    assert facts() == before
    assert listed(on_host(line).stdout) == uuids(facts)
    assert on_host("curl -sf localhost:3476/docker/cli").stdout


MACHINES = ["a100_mig", "zoo5-lostgpu"]


@pytest.mark.parametrize("name", MACHINES)
def test_another_machine_is_followed_everywhere(
    name, machine, on_host, on_controller, facts
) -> None:
    """Facts, REST, command and container say the same after the hardware and driver changed."""
    machine(name)
    on_controller("ansible-playbook -i inventory gpufleet.nvidia.site")
    wanted = uuids(facts)
    nodes = [device["node"] for device in facts()["devices"]]
    arguments = on_host("curl -sf localhost:3476/docker/cli").stdout.split()
    assert [node for node in nodes if f"--device={node}" in arguments] == nodes
    assert f"nvidia_driver_{facts()['driver']['version']}:" in " ".join(arguments)
    run = on_host(f"nvidia-docker run --rm {IMAGE} nvidia-smi -L")
    assert listed(run.stdout) == wanted
    assert listed(on_host(f"docker exec {CONTAINER} nvidia-smi -L").stdout) == wanted
