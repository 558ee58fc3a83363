# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is planned for which state, and what the action is told. The docker client is a script."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.container_plan import (
    ContainerPlan,
)
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.container_requirements import (  # noqa: E501
    NOT_NEEDED,
)
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.errors import (
    InvalidInput,
)
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.host.container_planner import (  # noqa: E501
    Planned,
)
from ansible_collections.gpufleet.nvidia.plugins.modules import nvidia_container as module

CLIENT = """#!/bin/sh
cd {state} || exit
shift 2
echo "$1 $2" >>calls
case "$1 $2" in
  "container inspect") kind=container ;;
  "image inspect") kind=image ;;
esac
[ -e $kind ] || {{ echo "Error: No such $kind: x" >&2; exit 1; }}
cat $kind
"""
CONTAINER = {
    "name": "/c",
    "image": "sha256:ab",
    "labels": {"a": "b"},
    "pid": 0,
    "env": None,
    "host": {},
}


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What the engine has: files named container and image."""
    state = tmp_path / "state"
    state.mkdir()
    program = tmp_path / "docker"
    program.write_text(CLIENT.format(state=state))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    (state / "container").write_text(json.dumps(CONTAINER))
    (state / "image").write_text("{}")
    return state


def parameters(**more: Any) -> dict[str, Any]:
    defaults = {name: spec.get("default") for name, spec in module.ARGUMENT_SPEC.items()}
    return {**defaults, "name": "c", "image": "i", "gpus": ["none"], **more}


@pytest.mark.usefixtures("state")
def test_absent_needs_no_plan() -> None:
    found = module.plan(parameters(state="absent", image=None, gpus=["GPU-x"]), False)
    assert found == {"changed": False, "overrides": {}}


@pytest.mark.usefixtures("state")
def test_a_container_is_stopped_as_it_is() -> None:
    """Else a strict comparison would recreate it, without its GPUs."""
    found = module.plan(parameters(state="stopped", gpus=["GPU-x"]), False)
    assert found == {"changed": False, "overrides": {"comparisons": {"*": "ignore"}}}


@pytest.mark.parametrize("recreate", [True, False])
def test_a_stopped_container_that_is_made_is_planned(state: Path, recreate: bool) -> None:
    if not recreate:
        (state / "container").unlink()
    assert "options" in module.plan(parameters(state="stopped", recreate=recreate), False)


@pytest.mark.usefixtures("state")
def test_what_the_action_is_told() -> None:
    found = module.plan(parameters(), False)
    assert found["overrides"] == {"pull": "never", "recreate": True}
    assert found["nvidia"]["differences"] == ["not made by nvidia_container"]
    assert found["options"]["labels"]["io.gpufleet.nvidia.gpus"] == ""
    assert (found["lease"], found["warnings"], found["changed"]) == (None, [], False)
    assert json.loads(json.dumps(found)) == found


def test_what_is_no_gpu_is_told_before_anything_else_is_asked(state: Path) -> None:
    with pytest.raises(InvalidInput, match="gpus: 0 asks for no GPU"):
        module.plan(parameters(gpus=0), False)
    assert (state / "calls").read_text().splitlines() == ["container inspect"]


OVERRIDES = [
    ({}, False, {"pull": "never"}),
    ({"recreate": True}, False, {"pull": "never", "recreate": True}),
    ({"restart": True}, False, {"pull": "never", "restart": True}),
    # docker_container says then what it would pull.
    ({"restart": True}, True, {"restart": True}),
]


@pytest.mark.parametrize(("to_do", "check_mode", "overrides"), OVERRIDES)
def test_overrides(to_do: dict[str, bool], check_mode: bool, overrides: dict) -> None:
    planned = Planned(ContainerPlan(), {}, NOT_NEEDED, **to_do)
    assert module._overrides(planned, check_mode) == overrides


def test_variables_of_a_file_count_too(tmp_path: Path) -> None:
    file = tmp_path / "env"
    file.write_text("A=file\nB=file\n")
    asked = module._asked(parameters(env_file=str(file), env={"A": 1}))
    assert (asked.env, asked.in_file) == ({"A": "1", "B": "file"}, {"B"})
