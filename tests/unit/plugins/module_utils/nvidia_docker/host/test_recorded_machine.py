# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""tests/gpu: facts of a real GPU as a machine file, and beside what nvidia-smi says."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

REPOSITORY = Path(__file__).resolve().parents[6]
GOLDEN = REPOSITORY / "tests/golden/facts"
GATHER = """
import json, sys
from pathlib import Path
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.host import gather
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.render import facts
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.subsets import chosen
told = gather.gather(chosen(["all"]), 20, Path(sys.argv[1]))
print(json.dumps(facts.render(told)))
"""


def load(name: str) -> ModuleType:
    path = REPOSITORY / "tests/gpu" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"tests_gpu_{name}", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


machine, smi = load("machine"), load("smi")


def without(facts: dict[str, Any]) -> dict[str, Any]:
    """Facts without what no machine file has: containers, and refused questions."""
    for device in facts["devices"]:
        device["health"].update(errors=[], state=None)
        for process in device["processes"] or ():
            process["container_id"] = None
    facts["findings"] = [one for one in facts["findings"] if one["id"] != "gpu_errors"]
    return facts


@pytest.mark.parametrize("name", ["h100x8", "hgx_sick", "a100_mig", "zoo5"])
def test_a_recorded_machine_tells_the_same_facts(name, on_machine, kernel_of, tmp_path) -> None:
    """The golden facts, recorded, simulated and gathered again."""
    golden = json.loads((GOLDEN / f"{name}.json").read_text())
    recorded = machine.machine(golden)
    kernel_of(tmp_path, recorded)
    told = json.loads(on_machine(recorded, GATHER, str(tmp_path)))
    assert without(told) == without(golden)


RECORDED = (REPOSITORY / "tests/golden/nvidia_smi/h100x8.csv").read_text()
"""The machine file h100x8 in the form of nvidia-smi 570: no real one was recorded yet."""


def rows(**changed: str) -> dict[str, dict[str, str]]:
    """What nvidia-smi says of the machine h100x8, of its third GPU with changes."""
    told = smi.rows(RECORDED, smi.QUERY)
    third = list(told.values())[2]
    third.update({name.replace("__", "."): value for name, value in changed.items()})
    return told


def differences(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    return list(smi.differences(json.loads((GOLDEN / "h100x8.json").read_text()), before, after))


def test_facts_equal_what_nvidia_smi_says() -> None:
    assert len(rows()) == 8
    assert differences(rows(), rows()) == []


WRONG = {
    "name": "NVIDIA H200",
    "pci__bus_id": "00000001:4C:00.0",
    "serial": "1",
    "compute_cap": "9.1",
    "memory__total": "81560.5",
    "memory__used": "9000",
    "mig__mode__current": "Enabled",
    "ecc__mode__pending": "Disabled",
    "power__limit": "650.00",
    "compute_mode": "Prohibited",
    "temperature__gpu": "40",
    "temperature__memory": "[N/A]",
    "fan__speed": "30",
    "pstate": "P8",
    "clocks_throttle_reasons__hw_slowdown": "Active",
    "retired_pages__pending": "Yes",
    "ecc__errors__uncorrected__volatile__total": "1",
}


@pytest.mark.parametrize(("name", "value"), WRONG.items())
def test_each_difference_is_a_sentence(name: str, value: str) -> None:
    (said,) = differences(rows(**{name: value}), rows(**{name: value}))
    assert said.startswith("GPU 2: " + name.replace("__", "."))


def test_what_moves_may_be_between_two_samples() -> None:
    """30 °C is between 20 and 40; what does not move is as it was said last."""
    name = "temperature__gpu"
    assert differences(rows(**{name: "20"}), rows(**{name: "40"})) == []
    assert differences(rows(**{name: "20"}), rows(**{name: "24"})) != []
    assert differences(rows(name="another"), rows()) == []
    assert differences(rows(), rows(name="another")) != []


def test_a_gpu_that_only_one_of_them_sees() -> None:
    fewer = rows()
    gone = fewer.pop(next(iter(fewer)))
    assert differences(rows(), fewer) == [f"{gone['uuid']} is told by nvidia_facts only"]


def test_a_field_that_this_nvidia_smi_does_not_know_is_not_compared() -> None:
    told = rows()
    for row in told.values():
        del row["temperature.memory"], row["clocks_throttle_reasons.sync_boost"]
    assert differences(told, told) == []
