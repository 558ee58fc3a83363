# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A fleet from registered results, and as lines, CSV and JSON."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import pytest
from ansible_collections.gpufleet.nvidia.plugins.plugin_utils import (
    fleet,
    fleet_report,
    fleet_table,
)

GPU = {
    "index": 0,
    "uuid": "GPU-a",
    "pci_bus_id": "0000:04:00.0",
    "name": "Tesla P100",
    "memory_mib": 16276,
    "status": {"gpu_utilization_percent": 97, "memory_used_mib": 12346, "temperature_celsius": 61},
    "health": {"state": "ok", "temperature_celsius": 61},
}
HOT = {
    "id": "x",
    "severity": "warning",
    "gpu": "0000:04:00.0",
    "message": "hot",
    "fix": "",
}


def facts(**more: Any) -> dict[str, Any]:
    told = {"reason": None, "driver": {"version": "375.26"}, "devices": [GPU], **more}
    return {"ansible_facts": {"ansible_nvidia": told}}


def read(**more: Any) -> fleet.Host:
    return fleet.read_host("node1", fleet.plain(facts(**more)))


STATES: list[tuple[object, str, str | None]] = [
    (facts(), "ok", None),
    (facts(findings=[HOT]), "warning", None),
    (facts(findings=[{**HOT, "severity": "info"}]), "ok", None),
    (facts(findings=[{**HOT, "severity": "info"}, {**HOT, "gpu": None}]), "warning", None),
    (facts(unreadable=[{"index": 1, "reason": "lost"}]), "critical", None),
    (facts(reason="no driver", devices=[]), "critical", "no driver"),
    ({"unreachable": True, "msg": "timed\nout"}, "unreachable", "timed out"),
    ({"failed": True, "msg": "no Python"}, "failed", "no Python"),
    # What was gathered before a task was stopped is not the whole.
    ({"failed": True, "msg": "x", **facts()}, "failed", "x"),
    (None, "failed", "it was not asked"),
    ([], "failed", "it was not asked"),
    ({"ansible_facts": {"ansible_nvidia": "text"}}, "failed", "it was not asked"),
]


@pytest.mark.parametrize(("result", "state", "problem"), STATES)
def test_the_state_of_a_host_is_its_worst(result, state, problem) -> None:
    host = fleet.read_host("node1", fleet.plain(result))
    assert (host.state, host.problem) == (state, problem)


def test_a_gpu_is_as_bad_as_its_findings() -> None:
    other = {**GPU, "index": 1, "pci_bus_id": "0000:05:00.0"}
    host = read(devices=[GPU, other], findings=[HOT])
    assert [gpu.state for gpu in host.gpus] == ["warning", "ok"]
    plain = {name: GPU[name] for name in ("index", "uuid", "pci_bus_id", "name")}
    assert [gpu.state for gpu in read(devices=[plain]).gpus] == [None]


def test_what_is_accepted_is_shown_and_makes_nothing_worse() -> None:
    """Neither a GPU nor its host; the host's own word of the GPU does not know of it."""
    sick = {**GPU, "health": {"state": "warning"}}
    told = fleet.plain(facts(devices=[sick], findings=[HOT, {**HOT, "id": "y", "gpu": None}]))
    both = fleet.read_host("node1", told, {"x", "y"})
    assert (both.state, both.gpus[0].state, both.gpus[0].accepted) == ("ok", "ok", 1)
    assert [one.accepted for one in both.findings] == [True, True]
    one = fleet.read_host("node1", told, {"x"})
    assert (one.state, one.gpus[0].state) == ("warning", "ok")
    other = fleet.read_host("node1", told, {"y"})
    assert (other.state, other.gpus[0].state, other.gpus[0].accepted) == ("warning", "warning", 0)


def test_a_gpu_that_is_known_to_be_lost_makes_its_host_no_worse() -> None:
    lost = {"id": "gpu_unreadable", "severity": "critical", "gpu": "0000:05:00.0", "message": "x"}
    unreadable = [{"index": 1, "pci_bus_id": "0000:05:00.0", "reason": "GPU is lost"}]
    told = fleet.plain(facts(unreadable=unreadable, findings=[lost]))
    assert fleet.read_host("node1", told).state == "critical"
    host = fleet.read_host("node1", told, {"gpu_unreadable"})
    assert (host.state, host.gpus[1].state, host.gpus[1].accepted) == ("ok", "critical", 1)


def test_a_host_without_gpu_may_be_accepted() -> None:
    unusable = {"id": "driver_unusable", "severity": "critical", "gpu": None, "message": "x"}
    told = fleet.plain(facts(reason="no driver", devices=[], findings=[unusable]))
    assert fleet.read_host("node1", told).state == "critical"
    host = fleet.read_host("node1", told, {"driver_unusable"})
    assert (host.state, host.problem) == ("ok", "no driver")


def test_what_is_accepted_is_marked_in_each_form() -> None:
    told = fleet.plain(facts(findings=[HOT, {**HOT, "id": "y", "message": "dusty"}]))
    host = fleet.read_host("node1", told, {"x"})
    assert fleet_table.lines([host])[1].split("  ")[-2:] == ["warning, 1 accepted", "0000:04:00.0"]
    files = fleet_report.files([host], "2026-11-25T12:00:00Z")
    (row,) = csv.DictReader(io.StringIO(files["facts.csv"]))
    assert row["findings"] == "(accepted) hot; dusty"
    found = json.loads(files["facts.json"])["hosts"]["node1"]["findings"]
    assert [(one["id"], one["accepted"]) for one in found] == [("x", True), ("y", False)]


@pytest.mark.parametrize("value", [None, 7, {"x": 1}, [7, None, ["x"]], "absent"])
def test_a_variable_that_lists_no_ids_accepts_nothing(value) -> None:
    variables = {} if value == "absent" else {"known": value}
    assert fleet.accepted_findings({"node1": variables}, "node1", "known") == set()
    for known in (["x", "y"], "x,y", "x, y"):
        assert fleet.accepted_findings({"node1": {"known": known}}, "node1", "known") == {"x", "y"}
    assert fleet.accepted_findings({"node1": {"known": ["x"]}}, "node1", None) == set()


def test_an_unreadable_gpu_is_in_its_place() -> None:
    second = {**GPU, "index": 2}
    unreadable = [{"index": 1, "pci_bus_id": "0000:05:00.0", "reason": "GPU is lost"}]
    gpus = read(devices=[GPU, second], unreadable=unreadable).gpus
    assert [(gpu.index, gpu.problem) for gpu in gpus] == [(0, None), (1, "GPU is lost"), (2, None)]


WRONG = [
    None,
    True,
    "text",
    7,
    -1,
    float("nan"),
    float("inf"),
    [],
    [1],
    {},
    {"a": []},
    "\x1b[2J\x9b",
]


@pytest.mark.parametrize("value", WRONG, ids=repr)
def test_no_value_of_another_type_stops_the_report(value) -> None:
    """Each field of facts, in each place, from a host that answers anything."""
    whole = facts(
        findings=[HOT],
        unreadable=[{"index": 1, "reason": "lost"}],
        devices=[
            {
                **GPU,
                "mig_devices": [{"profile": "1g.5gb", "uuid": "MIG-1", "memory_mib": 4864}],
                "processes": [{"pid": 1, "name": "x", "memory_mib": 2, "container_id": "c"}],
                "topology": {"nvlink": {"active_links": 4}, "peers": [{"index": 1, "link": 3}]},
            }
        ],
    )
    count = 0
    for changed in _each_with(whole, value):
        host = fleet.read_host("node1", fleet.plain(changed))
        files = fleet_report.files([host], "2026-11-25T12:00:00Z")
        assert json.loads(files["facts.json"])["hosts"]["node1"]["state"] == host.state
        assert all(line.isprintable() for line in fleet_table.lines([host]))
        count += 1
    assert count > 40


def _each_with(tree: Any, value: object) -> Any:
    """Return copies of a tree, each with one node of it replaced."""
    yield value
    places = tree.items() if isinstance(tree, dict) else enumerate(tree)
    for name, below in places:
        changes = _each_with(below, value) if isinstance(below, (dict, list)) else [value]
        for changed in changes:
            copy = tree.copy()
            copy[name] = changed
            yield copy


def test_one_line_per_gpu_and_per_host_without() -> None:
    mig = {"profile": "1g.5gb", "uuid": "MIG-1", "memory_mib": 4864}
    hosts = [
        read(devices=[{**GPU, "mig_devices": [mig]}], unreadable=[{"index": 10, "reason": "lost"}]),
        fleet.read_host("node2", {"unreachable": True, "msg": "timed out"}),
    ]
    assert [" ".join(line.split()) for line in fleet_table.lines(hosts)] == [
        "HOST GPU MODEL DRIVER MEMORY UTIL TEMP STATE BUS ID",
        "node1 0 Tesla P100 375.26 12346 / 16276 MiB 97 % 61 °C ok 0000:04:00.0",
        "node1 1g.5gb 4864 MiB MIG-1",
        "node1 10 unreadable: lost 375.26 - - - critical -",
        "node2 unreachable: timed out",
    ]
    assert fleet_table.summary(hosts) == "2 hosts, 2 GPUs; hosts: 1 unreachable, 1 critical"
    assert fleet_table.summary([read()]) == "1 host, 1 GPU; all well"


def table(host: fleet.Host) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(fleet_table.write_csv([host]), newline="")))


def test_csv_tells_units_and_findings() -> None:
    (row,) = table(read(findings=[HOT, {**HOT, "gpu": None, "message": 'says "no", twice'}]))
    assert row["memory_used_mib"] == "12346"
    assert row["findings"] == 'hot; says "no", twice'
    assert row["serial"] == ""
    (row,) = table(fleet.read_host("node2", {"unreachable": True, "msg": "timed out"}))
    assert (row["host"], row["state"], row["index"]) == ("node2", "unreachable", "")
    assert row["problem"] == "timed out"


@pytest.mark.parametrize("name", ["=1+1", "+1", "-1", "@SUM(A1)"])
def test_a_spreadsheet_computes_nothing_that_a_host_says(name) -> None:
    (row,) = table(read(devices=[{**GPU, "name": name}]))
    assert row["name"] == f"'{name}"


def test_json_has_the_facts_as_they_are() -> None:
    text = fleet_report.facts_json([read(findings=[HOT])], "2026-11-25T12:00:00Z")
    told = json.loads(text)
    assert told["generated"] == "2026-11-25T12:00:00Z"
    assert told["hosts"]["node1"]["facts"]["devices"] == [GPU]
    assert len(text.splitlines()) == 3


def test_nothing_that_a_host_says_ends_the_data_of_the_page() -> None:
    for text in ("</script>", "<!--<script>", "]]>", "&lt;", "@STYLE@", "\u2028"):
        html = fleet_report.page([read(devices=[{**GPU, "name": text}])], "now")
        data = html.split('id="data">')[1].split("</script>")[0]
        assert not set("<>&") & set(data)
        assert " ".join(text.split()) in json.dumps(json.loads(data), ensure_ascii=False)


def test_hosts_that_are_wired_alike_share_a_drawing() -> None:
    def wired(link: int) -> fleet.Host:
        peers = {"peers": [{"index": 1, "link": link}]}
        return read(devices=[{**GPU, "topology": peers}])

    html = fleet_report.page([wired(3), wired(3), wired(5), read()], "now")
    data = json.loads(html.split('id="data">')[1].split("</script>")[0])
    assert [host.get("topology") for host in data["hosts"]] == [0, 0, 1, None]
    assert data["topologies"] == [[[0, [[1, 3]]]], [[0, [[1, 5]]]]]
