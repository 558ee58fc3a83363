# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What goes to the plan, what to docker_container, and what comes back."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.gpufleet.nvidia.plugins.action import nvidia_container as action
from ansible_collections.gpufleet.nvidia.plugins.modules import nvidia_container as module

OURS = {
    "devices": ["/dev/nvidiactl", "/dev/nvidia0"],
    "device_requests": [],
    "groups": [],
    "runtime": None,
    "mounts": [{"type": "volume", "source": "nvidia_driver_1.0", "target": "/usr/local/nvidia"}],
    "env": {},
    "labels": {"io.gpufleet.nvidia.gpus": "GPU-a"},
}


def plan(**more: Any) -> dict[str, Any]:
    nvidia = {"gpus": ["GPU-a"], "differences": []}
    return {"changed": False, "options": OURS, "overrides": {}, "nvidia": nvidia, **more}


def test_the_plan_reads_what_the_action_sends() -> None:
    names = set(module.ARGUMENT_SPEC) | set(module.ARGUMENT_SPEC["docker_host"]["aliases"])
    assert set(action.PLANNED) == names


def test_ansible_lint_does_not_try_options_on_the_module() -> None:
    """It does where there is a main, and knows only the options of the plan."""
    assert not hasattr(module, "main")


@pytest.mark.parametrize(
    ("given", "sent"), [(True, "always"), (False, "missing"), ("never", "never")]
)
def test_what_is_sent_to_the_plan(given: object, sent: str) -> None:
    options = {"name": "c", "gpus": 2, "shared": True, "pull": given, "memory": "1g"}
    assert action.planned(options) == {"name": "c", "gpus": 2, "shared": True, "pull": sent}


def test_only_variables_that_concern_gpus_are_sent_to_the_plan() -> None:
    env = {"SECRET": "x", "NVIDIA_DISABLE_REQUIRE": "1", "PATH": "/bin", "CUDA_VERSION": "8.0"}
    sent = {name: value for name, value in env.items() if name != "SECRET"}
    assert action.planned({"env": env}) == {"env": sent}


def test_what_is_ours_is_not_sent_to_docker_container() -> None:
    ours = {"injection": "cdi", "capabilities": ["all"], "requirements": "warn"}
    merged = action.merge({"name": "c", "gpus": [0], "shared": True, **ours}, plan())
    assert merged == {
        "name": "c",
        "devices": OURS["devices"],
        "mounts": OURS["mounts"],
        "labels": OURS["labels"],
    }


def test_overrides_of_the_plan_win() -> None:
    overrides = {"pull": "never", "recreate": True}
    merged = action.merge({"pull": "always"}, plan(overrides=overrides))
    assert (merged["pull"], merged["recreate"]) == ("never", True)


def test_without_a_plan_the_options_are_the_users() -> None:
    options = {"name": "c", "gpus": ["all"], "state": "absent", "labels": "a=b"}
    merged = action.merge(options, {"changed": False, "overrides": {}})
    assert merged == {"name": "c", "state": "absent", "labels": "a=b"}


FORMS = [
    ("devices", "/dev/fuse,/dev/kvm", [*OURS["devices"], "/dev/fuse", "/dev/kvm"]),
    ("devices", "/dev/fuse", [*OURS["devices"], "/dev/fuse"]),
    ("labels", "a=b", {"a": "b", **OURS["labels"]}),
    ("env", '{"A": "b"}', {"A": "b"}),
    ("volumes", "/a:/b", ["/a:/b"]),
    ("mounts", ["type=tmpfs target=/t"], [*OURS["mounts"], {"type": "tmpfs", "target": "/t"}]),
    ("groups", "44,audio", ["44", "audio"]),
    (
        "device_requests",
        ['{"driver": "x", "count": 1}'],
        [{"driver": "x", "count": 1}],
    ),
]


@pytest.mark.parametrize(("option", "given", "merged"), FORMS)
def test_the_forms_that_ansible_reads_are_read(option: str, given: object, merged: object) -> None:
    assert action.merge(action.read({option: given}), plan())[option] == merged


WRONG = [("labels", 5), ("mounts", [5]), ("device_requests", ["x"]), ("env", ["a"])]


@pytest.mark.parametrize(("option", "given"), WRONG)
def test_an_option_of_another_type_is_one_sentence(option: str, given: object) -> None:
    with pytest.raises(TypeError, match=f"argument '{option}' can't be read"):
        action.read({option: given})


LIMITS = {"before": {"memory": 1}, "after": {"memory": 2}}
PREDICTIONS = [
    ({"changed": False, "diff": {"before": {}, "after": {}}}, False),
    ({"changed": True, "diff": {"before": {}, "after": {}}}, True),
    ({"changed": False, "diff": LIMITS}, True),
    ({"failed": True, "msg": "x"}, False),
]


@pytest.mark.parametrize("wanted", [True, False])
@pytest.mark.parametrize(("made", "changed"), PREDICTIONS)
def test_check_mode_calls_a_change_of_limits_a_change(made, changed, wanted) -> None:
    """docker_container has it in its diff only."""
    found = action.predicted(made, wanted)
    assert found["changed"] is changed
    assert ("diff" in found) is (wanted and "diff" in made)


CHANGES = [(False, False, False), (True, False, True), (False, True, True)]


@pytest.mark.parametrize(("pulled", "made", "changed"), CHANGES)
def test_a_pulled_image_is_a_change(pulled: bool, made: bool, changed: bool) -> None:
    joined = action.join(plan(changed=pulled), {"changed": made})
    assert joined == {"changed": changed, "nvidia": {"gpus": ["GPU-a"], "differences": []}}


def test_warnings_of_both_are_kept() -> None:
    joined = action.join(plan(warnings=["a"]), {"changed": False, "warnings": ["b"]})
    assert joined["warnings"] == ["a", "b"]


def test_the_diff_names_the_gpus() -> None:
    nvidia = {"gpus": [], "differences": ["GPU-a removed", "driver 1 -> none"]}
    result = {"changed": True, "diff": {"before": {}, "after": {}}}
    joined = action.join(plan(nvidia=nvidia), result)
    assert joined["diff"] == {
        "before": {},
        "after": {},
        "prepared": "GPU-a removed\ndriver 1 -> none\n",
    }


def test_errors_name_the_module_that_the_user_wrote() -> None:
    failed = {
        "failed": True,
        "msg": "Unsupported parameters for (community.docker.docker_container) module: x",
    }
    joined = action.join(plan(), failed)
    assert joined["failed"]
    assert "(gpufleet.nvidia.nvidia_container)" in joined["msg"]
