# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is planned for which state, image and pull policy. The docker client here is a script."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker import injection
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.errors import (
    DockerError,
    InvalidInput,
)
from ansible_collections.gpufleet.nvidia.plugins.modules import nvidia_container as module

CLIENT = """#!/bin/sh
cd {state} || exit
shift 2
echo "$1 $2" >>calls
case "$1 $2" in
  "container inspect") kind=container ;;
  "image inspect") kind=image ;;
  pull*)
    cp newest image
    exit
    ;;
esac
[ -e $kind ] || {{ echo "Error: No such $kind: x" >&2; exit 1; }}
case "$*" in
  *json*) cat $kind ;;
  *) cksum <$kind ;;
esac
"""


class Machine:
    """A host with a docker client: files named container, image and newest (in the registry)."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def has(self, name: str, content: str) -> None:
        (self._directory / name).write_text(content)

    @property
    def calls(self) -> list[str]:
        return (self._directory / "calls").read_text().splitlines()

    @property
    def pulled(self) -> bool:
        return any(call.startswith("pull") for call in self.calls)


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    state = tmp_path / "state"
    state.mkdir()
    program = tmp_path / "docker"
    program.write_text(CLIENT.format(state=state))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    host = Machine(state)
    host.has("newest", '{"Labels":{"com.nvidia.cuda.version":"99.0"}}')
    return host


def parameters(**more: Any) -> dict[str, Any]:
    defaults = {name: spec.get("default") for name, spec in module.ARGUMENT_SPEC.items()}
    return {**defaults, "name": "c", "image": "i", "gpus": ["none"], **more}


OLD_CONTAINER = json.dumps(
    {
        "name": "/c",
        "image": "sha256:ab",
        "labels": {"io.gpufleet.nvidia.gpus": "GPU-a"},
        "pid": 0,
    }
)


def test_absent_needs_no_plan(machine: Machine) -> None:
    machine.has("container", OLD_CONTAINER)
    found = module.plan(parameters(state="absent", image=None, gpus=["GPU-x"]), False)
    assert found == {"changed": False, "overrides": {}}


def test_a_container_is_stopped_as_it_is(machine: Machine) -> None:
    """Else a strict comparison would recreate it, without its GPUs."""
    machine.has("container", OLD_CONTAINER)
    found = module.plan(parameters(state="stopped", gpus=["GPU-x"]), False)
    assert found == {"changed": False, "overrides": {"comparisons": {"*": "ignore"}}}


@pytest.mark.parametrize("recreate", [True, False])
def test_a_stopped_container_that_is_made_is_planned(machine: Machine, recreate: bool) -> None:
    machine.has("image", "{}")
    if recreate:
        machine.has("container", OLD_CONTAINER)
    assert "options" in module.plan(parameters(state="stopped", recreate=recreate), False)


def test_without_gpus_no_driver_is_needed(machine: Machine) -> None:
    machine.has("image", '{"Labels":{"com.nvidia.cuda.version":"99.0"}}')
    found = module.plan(parameters(gpus=[]), False)
    assert found == module.plan(parameters(gpus=["none"]), False)
    assert found["nvidia"] == {
        "gpus": [],
        "sharing": "named",
        "devices": (),
        "volume": None,
        "driver": None,
        "requirements": "met",
        "differences": (),
    }
    assert found["warnings"] == []


def test_programs_in_the_container_find_the_driver_volume(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beside what the image has in its variables; without the volume there is nothing to find."""
    machine.has("image", '{"Env":["PATH=/opt/bin","LD_LIBRARY_PATH=/usr/local/nvidia/lib64"]}')
    assert module.plan(parameters(), False)["options"]["env"] == {}
    mounted = injection.driver_volume(injection.STABLE_NAME)
    given = module.Given(None, (), mounted, "named")
    monkeypatch.setattr(module, "_give", lambda host, devices, sharing: given)
    found = module.plan(parameters(), False)
    assert found["options"]["env"] == {"PATH": "/usr/local/nvidia/bin:/opt/bin"}


SHARINGS = [
    (2, False, ("d",), "exclusive"),
    (2, True, ("d",), "shared"),
    (("0",), False, ("d",), "named"),
    (("0",), True, ("d",), "shared"),
    (("none",), True, (), "named"),
]


@pytest.mark.parametrize(("wanted", "shared", "devices", "expected"), SHARINGS)
def test_how_gpus_are_asked_for_says_how_they_are_shared(
    wanted: module.Wanted, shared: bool, devices: tuple[Any, ...], expected: str
) -> None:
    assert module._sharing(wanted, devices, shared) == expected


def test_what_is_no_gpu_is_told_before_anything_else_is_asked(machine: Machine) -> None:
    with pytest.raises(InvalidInput, match="gpus: 0 asks for no GPU"):
        module.plan(parameters(gpus=0), False)
    assert machine.calls == ["container inspect"]


def test_a_container_that_differs_is_recreated(machine: Machine) -> None:
    machine.has("image", "{}")
    machine.has("container", OLD_CONTAINER)
    found = module.plan(parameters(), False)
    assert found["overrides"] == {"pull": "never", "recreate": True}
    assert found["nvidia"]["differences"] == ("not made by nvidia_container",)


def test_a_container_that_does_not_differ_is_kept(machine: Machine) -> None:
    machine.has("image", "{}")
    labels = module.plan(parameters(), False)["options"]["labels"]
    machine.has("container", json.dumps({**json.loads(OLD_CONTAINER), "labels": labels}))
    found = module.plan(parameters(image=None), False)
    assert found["overrides"] == {"pull": "never"}
    assert not machine.pulled


@pytest.mark.parametrize(
    ("pid", "mounted", "driver", "expected"),
    [
        (7, "375.26", "384.90", ("driver 375.26 -> 384.90",)),
        (7, "384.90", "384.90", ()),
        (7, None, "384.90", ()),
        (7, "375.26", None, ()),
        (0, "375.26", "384.90", ()),
    ],
)
def test_a_container_that_runs_on_an_older_drivers_files_is_outdated(
    monkeypatch: pytest.MonkeyPatch,
    pid: int,
    mounted: str | None,
    driver: str | None,
    expected: tuple[str, ...],
) -> None:
    """One that does not run gets the right files when it starts."""
    monkeypatch.setattr(module.volume_users, "mounted_version", lambda pid: mounted)
    assert module._outdated(module.Container("c", "sha256:ab", {}, pid), driver) == expected


def test_no_container_and_no_image_is_one_sentence(machine: Machine) -> None:
    with pytest.raises(InvalidInput, match="no container 'c' yet: give its 'image'"):
        module.plan(parameters(image=None), False)


PULLS = [
    ("missing", True, False, False),
    ("missing", False, True, True),
    ("always", False, True, True),
    ("never", True, False, False),
]


@pytest.mark.parametrize(("policy", "present", "pulled", "changed"), PULLS)
def test_pull(machine: Machine, policy: str, present: bool, pulled: bool, changed: bool) -> None:
    if present:
        machine.has("image", "{}")
    found = module.plan(parameters(pull=policy), False)
    assert (machine.pulled, found["changed"]) == (pulled, changed)
    assert found["overrides"]["pull"] == "never"


@pytest.mark.parametrize(("newest", "changed"), [("{}", False), ('{"Env":["A=b"]}', True)])
def test_always_pulled_is_a_change_only_if_the_image_is_another(
    machine: Machine, newest: str, changed: bool
) -> None:
    machine.has("image", "{}")
    machine.has("newest", newest)
    assert module.plan(parameters(pull="always"), False)["changed"] is changed
    assert machine.pulled


@pytest.mark.parametrize("policy", ["missing", "always"])
def test_check_mode_pulls_nothing_and_says_what_it_did_not_check(
    machine: Machine, policy: str
) -> None:
    found = module.plan(parameters(pull=policy), True)
    assert not machine.pulled
    assert found["overrides"] == {}
    assert found["nvidia"]["requirements"] == "not checked: image not present"


@pytest.mark.parametrize("check_mode", [True, False])
def test_never_pulled_and_absent_is_one_sentence(machine: Machine, check_mode: bool) -> None:
    with pytest.raises(DockerError, match="image i is not on this host, and 'pull' is never"):
        module.plan(parameters(pull="never"), check_mode)
