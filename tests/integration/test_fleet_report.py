# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""playbooks/facts.yml: the table on the terminal, and the files that it writes."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

pytestmark = pytest.mark.suites("trixie")

NOWHERE = "gpus: {hosts: {nowhere: {ansible_host: 127.0.0.1, ansible_port: 9}}}\n"


@pytest.fixture(scope="module")
def inventory(tmp_path_factory) -> str:
    """The demo's, with a host that is not reached in front."""
    more = tmp_path_factory.mktemp("inventory") / "more.yml"
    more.write_text(NOWHERE)
    return f"-i {more} -i inventory"


def test_the_fleet_is_one_table(inventory, on_controller, facts) -> None:
    shown = on_controller(f"ansible-playbook {inventory} gpufleet.nvidia.facts").stdout
    told = facts()
    for device in told["devices"]:
        (line,) = [one for one in shown.splitlines() if device["pci_bus_id"] in one]
        assert (device["name"] or "unknown") in line
        assert told["driver"]["version"] in line
    assert "nowhere  unreachable: Failed to connect" in shown
    assert "2 hosts, 5 GPUs; hosts: 1 unreachable" in shown
    # What the inventory of the demo accepts makes no host worse, and is told.
    assert "critical" not in shown
    assert "ok, 1 accepted" in shown


def test_the_files_tell_the_same(inventory, on_controller, facts, host, tmp_path: Path) -> None:
    """Facts of the subset all, from the host that answers; the other one as a line."""
    folder = tmp_path / "report"
    line = f"ansible-playbook {inventory} gpufleet.nvidia.facts -e gpufleet_report={folder}"
    assert str(folder / "report.html") in on_controller(line).stdout
    told = json.loads((folder / "facts.json").read_text())["hosts"]
    assert told["nowhere"]["facts"] is None
    assert set(told[host]["facts"]["gathered"]) >= {"min", "status", "topology", "health"}
    findings = {one["id"]: one["accepted"] for one in told[host]["findings"]}
    findings.pop("gpus_lost_on_reload", None)
    assert findings == {"ecc_uncorrected": True, "persistence_off": False}
    devices = facts()["devices"]
    assert [one["uuid"] for one in told[host]["facts"]["devices"]] == [
        one["uuid"] for one in devices
    ]
    with (folder / "facts.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["uuid"] for row in rows] == ["", *(one["uuid"] for one in devices)]
    page = (folder / "report.html").read_text()
    assert all(one["uuid"] in page for one in devices)
    assert sorted(path.name for path in folder.iterdir()) == [
        "facts.csv",
        "facts.json",
        "report.html",
    ]


def test_facts_of_a_cache_are_not_those_of_a_host_that_is_not_reached(
    inventory, on_controller, tmp_path: Path
) -> None:
    cache = tmp_path / "cache"
    cache.mkdir()
    (cache / "nowhere").write_text(json.dumps({"ansible_nvidia": {"devices": [{"uuid": "old"}]}}))
    settings = {
        "ANSIBLE_CACHE_PLUGIN": "jsonfile",
        "ANSIBLE_CACHE_PLUGIN_CONNECTION": str(cache),
    }
    folder = tmp_path / "report"
    line = f"ansible-playbook {inventory} gpufleet.nvidia.facts -e gpufleet_report={folder}"
    on_controller(line, **settings)
    told = json.loads((folder / "facts.json").read_text())["hosts"]["nowhere"]
    assert (told["state"], told["facts"]) == ("unreachable", None)


def test_check_mode_reads_and_writes_nothing(on_controller, tmp_path: Path) -> None:
    folder, verdict = tmp_path / "report", tmp_path / "verdict.json"
    more = f"--check -e gpufleet_report={folder} -e gpufleet_verdict={verdict}"
    shown = on_controller(f"ansible-playbook -i inventory gpufleet.nvidia.facts {more}").stdout
    assert "changed=1" in shown
    on_controller(f"ansible-playbook -i inventory gpufleet.nvidia.verify {more}")
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_is_none_is_one_sentence(on_controller, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    for place in ("file", "no/such/folder"):
        more = f"-e gpufleet_report={tmp_path}/{place}"
        line = f"ansible-playbook -i inventory gpufleet.nvidia.facts {more}"
        done = on_controller(line, ok=False)
        assert done.returncode != 0
        assert f"the report can't be written to {tmp_path}/{place}: " in done.stdout
        assert "Traceback" not in done.stdout + done.stderr
    assert (tmp_path / "file").read_text() == "mine"
