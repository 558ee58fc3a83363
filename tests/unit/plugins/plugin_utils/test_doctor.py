# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which results of the checks are findings, and in which words."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.gpufleet.nvidia.plugins.plugin_utils import doctor

GPU = {"index": 0, "uuid": "GPU-a", "pci_bus_id": "0000:04:00.0", "node": "/dev/nvidia0"}
MIG = {**GPU, "mig_devices": [{"uuid": "MIG-1", "gpu_uuid": "GPU-a"}]}
OPTIONS = "--device=/dev/nvidia0 --volume=nvidia_driver_1.0:/usr/local/nvidia:ro"


def facts(**more: Any) -> dict[str, Any]:
    told = {"reason": None, "driver": {"version": "1.0"}, "devices": [GPU], "findings": [], **more}
    return {"ansible_facts": {"ansible_nvidia": told}}


def loop(**result: Any) -> dict[str, Any]:
    return {"results": [{"item": {"name": "training"}, "rc": 0, **result}]}


WELL: dict[str, Any] = {
    "facts": facts(),
    "driver_volume": {"volume": "nvidia_driver_1.0", "failed": False},
    "plugin": {"status": 200, "content": OPTIONS},
    "given": loop(stdout="GPU-a"),
    "seen": loop(stdout="GPU 0: Tesla (UUID: GPU-a)"),
}


def lines(**changed: Any) -> list[str]:
    found = doctor.examine("node1", {**WELL, **changed})
    return [doctor.sentence("node1", one) for one in found if doctor.needs_action(one)]


def test_a_host_that_is_well_has_no_finding() -> None:
    assert lines() == []
    mig = "GPU 0: A100 (UUID: GPU-a)\n  MIG 1g.5gb Device 0: (UUID: MIG-1)"
    given = {"given": loop(stdout="MIG-1"), "seen": loop(stdout=mig)}
    assert lines(facts=facts(devices=[MIG]), **given) == []


SITE = "run gpufleet.nvidia.site for this host"
LOOK = "look at 'systemctl status nvidia-docker-plugin' on the host"
AGAIN = f"run 'docker restart training' on the host; if that does not help, {SITE}"
SICK = {"id": "x", "severity": "warning", "gpu": "0", "message": "GPU 0 is hot", "fix": "cool it"}
ROWS: list[tuple[dict[str, Any], str]] = [
    (
        {"facts": {"unreachable": True, "msg": "timed out"}},
        "unreachable: timed out: check address, user and key of this host",
    ),
    (
        {"facts": {"failed": True, "msg": "no Python"}},
        "no facts: no Python: run 'ansible -m gpufleet.nvidia.nvidia_facts -vvv node1' to see why",
    ),
    (
        {"facts": None},
        "no facts: it was not asked: "
        "run 'ansible -m gpufleet.nvidia.nvidia_facts -vvv node1' to see why",
    ),
    ({"facts": facts(findings=[SICK])}, "GPU 0 is hot: cool it"),
    (
        {"facts": facts(reason="no driver is installed")},
        "no driver is installed: look at 'dmesg | grep NVRM' on the host",
    ),
    (
        {"driver_volume": {"failed": False, "msg": "lib64/libcuda.so.1 is missing"}},
        f"lib64/libcuda.so.1 is missing: {SITE}",
    ),
    (
        {"driver_volume": {"msg": "wrong: a; b; c; d; e"}},
        f"wrong: a; b; c; and 2 more: {SITE}",
    ),
    (
        {"driver_volume": {"failed": True, "msg": "timed out.", "timedout": {"period": 120}}},
        f"timed out: {SITE}",
    ),
    (
        {"plugin": {"status": -1, "msg": "Connection refused"}},
        f"nvidia-docker-plugin gives no options: Connection refused: {LOOK}",
    ),
    (
        {"plugin": {"status": 503, "msg": "HTTP 503", "content": "the driver is silent\n"}},
        f"nvidia-docker-plugin gives no options: the driver is silent: {LOOK}",
    ),
    (
        {"plugin": {"status": 200, "content": OPTIONS.replace("nvidia0", "nvidia00")}},
        f"nvidia-docker-plugin answers without --device=/dev/nvidia0: {LOOK}",
    ),
    (
        {"plugin": {"status": 200, "content": OPTIONS.replace("1.0", "1.1")}},
        "nvidia-docker-plugin answers without "
        f"--volume=nvidia_driver_1.0:/usr/local/nvidia:ro: {LOOK}",
    ),
    (
        {"given": loop(rc=1, stderr="No such container: training")},
        f"container training is not there: No such container: training: {SITE}",
    ),
    (
        {"seen": loop(rc=1, stderr="not running")},
        f"container training can't list its GPUs: not running: {AGAIN}",
    ),
    (
        {"seen": loop(rc=124, stderr="")},
        f"container training can't list its GPUs: no answer in time: {AGAIN}",
    ),
    (
        {"seen": loop(rc=126, stderr="", stdout="exec failed", msg="non-zero return code")},
        f"container training can't list its GPUs: exec failed: {AGAIN}",
    ),
    ({"seen": loop(stdout="")}, f"container training sees no GPU instead of GPU-a: {AGAIN}"),
    (
        {"seen": loop(stdout="(UUID: GPU-a) (UUID: GPU-b)")},
        f"container training sees GPU-a, GPU-b instead of GPU-a: {AGAIN}",
    ),
    (
        {"given": loop(stdout=""), "seen": loop(stdout="")},
        f"container training sees no GPU instead of a GPU: {AGAIN}",
    ),
]


@pytest.mark.parametrize(("changed", "sentence"), ROWS)
def test_what_is_wrong_is_one_sentence_with_its_fix(changed, sentence) -> None:
    assert lines(**changed) == [f"node1: {sentence}"]


def test_what_was_skipped_is_not_looked_at() -> None:
    skipped = {name: {"skipped": True} for name in doctor.CHECKS[1:]}
    assert lines(**skipped) == []
    assert doctor.examine("node1", {"facts": WELL["facts"]}) == []


def test_the_worst_comes_first() -> None:
    sick = [{**SICK, "severity": severity} for severity in ("info", "critical", "warning")]
    found = doctor.examine("node1", {**WELL, "facts": facts(findings=sick), "plugin": {"msg": "?"}})
    assert [one.severity for one in found] == ["critical", "critical", "warning", "info"]


@pytest.mark.parametrize(
    ("severity", "well"), [("info", True), ("warning", False), ("critical", False), ("new", False)]
)
def test_information_needs_no_action(severity: str, well: bool) -> None:
    """A severity that is not known yet is something to do."""
    (found,) = doctor.examine("n", {"facts": facts(findings=[{**SICK, "severity": severity}])})
    assert doctor.needs_action(found) is not well


def test_what_is_accepted_is_told_and_needs_no_action() -> None:
    sick = facts(findings=[SICK, {**SICK, "id": "y"}])
    found = doctor.examine("n", {**WELL, "facts": sick, "plugin": {"msg": "?"}}, ["y"])
    assert [(one.id, doctor.needs_action(one)) for one in found] == [
        ("plugin_silent", True),
        ("x", True),
        ("y", False),
    ]
