# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The options of nvidia_facts. What it gathers is tested in module_utils and on hosts."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml
from ansible.module_utils.testing import patch_module_args
from ansible_collections.gpufleet.nvidia.plugins.modules import nvidia_facts as module


def answer(capsys: pytest.CaptureFixture[str], **options: Any) -> dict[str, Any]:
    """What the module prints."""
    with patch_module_args(options), pytest.raises(SystemExit):
        module.main()
    told: dict[str, Any] = json.loads(capsys.readouterr().out)
    return told


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            {"gather_subset": ["gpus"]},
            "gather_subset 'gpus' is unknown: use min, devices, status, ",
        ),
        ({"gather_timeout": 0}, "gather_timeout 0 must be 1 second or more"),
        ({"gather_timeout": -3}, "gather_timeout -3 must be 1 second or more"),
    ],
)
def test_wrong_options_are_one_sentence(options, said, capsys) -> None:
    told = answer(capsys, **options)
    assert told["failed"]
    assert told["msg"].startswith(said)
    assert "ansible_facts" not in told


def test_a_host_without_driver_is_a_fact(capsys) -> None:
    """This machine may have none: either way there are facts."""
    told = answer(capsys, gather_subset=["!all"])
    assert not told["changed"]
    facts = told["ansible_facts"]["ansible_nvidia"]
    assert facts["gathered"] == ["min"]
    assert (facts["reason"] is None) == (facts["count"] > 0)


def test_options_are_documented_with_their_defaults() -> None:
    documented = yaml.safe_load(module.DOCUMENTATION)["options"]
    assert {
        name: (spec["type"], spec["default"], spec.get("elements"))
        for name, spec in documented.items()
    } == {
        name: (spec["type"], spec["default"], spec.get("elements"))
        for name, spec in module.ARGUMENT_SPEC.items()
    }
