# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""nvidia_facts through Ansible, on a host that has Docker and whose driver can be made sick."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

pytestmark = pytest.mark.suites("trixie")

PLAY = """
- hosts: gpus
  gather_facts: true
  vars:
    ansible_facts_modules: [ansible.builtin.setup, gpufleet.nvidia.nvidia_facts]
    ansible_facts_parallel: false
  module_defaults:
    gpufleet.nvidia.nvidia_facts:
      gather_subset: [status]
  tasks:
    - ansible.builtin.assert:
        that:
          - ansible_facts.nvidia.gathered == ['min', 'status']
          - ansible_facts.nvidia.devices | map(attribute='status.temperature_celsius') | length == 5
          - ansible_facts.distribution is defined
          - ansible_nvidia is not defined
"""


@pytest.fixture(name="gathered")
def _gathered(on_controller) -> Callable[..., dict[str, Any]]:
    """A function from options of the module to its answer, as the user sees it."""

    def read(options: str) -> dict[str, Any]:
        command = f"ansible -i inventory gpus -m nvidia_facts -a '{options}'"
        answer: dict[str, Any] = json.loads(
            on_controller(command, ok=False).stdout.split("=>", 1)[1]
        )
        return answer

    return read


@pytest.fixture(name="simulated")
def _simulated(on_host) -> Iterator[Callable[..., None]]:
    """A function that changes a field of a simulated GPU, until the end of the test."""
    undo: list[str] = []

    def change(field: str, value: str, otherwise: str = "") -> None:
        shown = on_host("simulated-gpu show").stdout.splitlines()
        before = [line.partition("=")[2] for line in shown if line.startswith(f"gpu.{field}=")]
        undo.append(f"{field}={before[0] if before else otherwise}")
        on_host(f"simulated-gpu set '{field}={value}'")

    yield change
    for assignment in undo:
        on_host(f"simulated-gpu set '{assignment}'")


@pytest.mark.parametrize("option", ["", "--check"])
def test_with_each_play(option, on_controller, tmp_path) -> None:
    """As one of ansible_facts_modules, without facts as variables, in check mode too."""
    (tmp_path / "play.yml").write_text(PLAY)
    on_controller(
        f"ansible-playbook -i inventory {option} {tmp_path}/play.yml",
        ANSIBLE_INJECT_FACT_VARS="false",
    )


def test_a_gpu_that_hangs_does_not_hang_ansible(gathered, simulated) -> None:
    """The process that hangs in the driver has none of the connection's ends."""
    simulated("2.hang", "1", otherwise="0")
    facts = gathered("gather_timeout=2")["ansible_facts"]["ansible_nvidia"]
    assert [one["index"] for one in facts["unreadable"]] == [2]
    assert "NVML has not answered for 2 s" in facts["unreadable"][0]["reason"]
    assert facts["count"] == 4


def test_a_process_is_told_with_its_container(gathered, simulated, on_host) -> None:
    """The same identifier as Docker's."""
    told = on_host("docker inspect -f '{{.State.Pid}} {{.Id}}' training").stdout
    pid, identifier = told.split()
    simulated("0.procs", f"{pid}:1048576")
    facts = gathered("gather_subset=processes")["ansible_facts"]["ansible_nvidia"]
    (process,) = facts["devices"][0]["processes"]
    assert (process["pid"], process["container_id"]) == (int(pid), identifier)


def test_docker_is_told_as_it_says_itself(gathered, on_host) -> None:
    fields = ("ServerVersion", "CgroupDriver", "CgroupVersion", "DefaultRuntime")
    template = " ".join(f"{{{{.{field}}}}}" for field in fields)
    wanted = on_host(f"docker info -f '{template}'").stdout.split()
    facts = gathered("gather_subset=health")["ansible_facts"]["ansible_nvidia"]
    told = facts["docker"]
    names = ("version", "cgroup_driver", "cgroup_version", "default_runtime")
    assert [told[name] for name in names] == wanted
    linked = on_host("ls /dev/char", ok=False).stdout.split()
    nodes = {
        node["path"]
        for node in facts["device_nodes"]
        if node["state"] == "present" and f"{node['major']}:{node['minor']}" not in linked
    }
    assert set(told["missing_char_links"]) == nodes
    assert told["loses_gpus_on_reload"] == bool(told["containers_at_risk"])
    ids = [one["id"] for one in facts["findings"]]
    assert ("gpus_lost_on_reload" in ids) == told["loses_gpus_on_reload"]


def test_owner_and_mode_of_device_nodes(gathered, on_host) -> None:
    facts = gathered("gather_subset=min")["ansible_facts"]["ansible_nvidia"]
    for node in facts["device_nodes"]:
        told = on_host(f"stat -c '%u %g 0%a %Hr %Lr' {node['path']}").stdout.split()
        names = ("owner", "group", "mode", "major", "minor")
        assert [str(node[name]) for name in names] == told
