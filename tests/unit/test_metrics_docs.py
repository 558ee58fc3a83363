# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""docs/metrics.md, the dashboard and the alert rules name metrics that the renderer writes."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.render.metrics import (
    GPU_METRICS,
    PLUGIN_METRICS,
)

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGE = (DOCS / "metrics.md").read_text()
DASHBOARD = json.loads((DOCS / "grafana" / "nvidia-docker.json").read_text())
GROUPS = yaml.safe_load((DOCS / "grafana" / "alerts.yml").read_text())["groups"]
RULES = [rule for group in GROUPS for rule in group["rules"]]
BLOCKS = [yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)]

OURS = {*GPU_METRICS, *PLUGIN_METRICS}
WORDS = {"and", "or", "unless", "by", "on", "sum", "count", "time", "vector", "max_over_time"}
WORDS |= {"label_replace", "label_values"}
LABELS = {"Hostname", "gpu", "UUID", "pci_bus_id", "device", "modelName", "instance", "job"}
LABELS |= {"DCGM_FI_DRIVER_VERSION", "GPU_I_PROFILE", "GPU_I_ID", "mig_uuid"}


def names(expression: str) -> set[str]:
    """The metrics of a PromQL expression: what is no function, string, label or range."""
    bare = re.sub(r'"[^"]*"', " ", expression)
    bare = re.sub(r"\{[^}]*\}|\[[^]]*\]|\b(by|on)\s*\([^)]*\)", " ", bare)
    return set(re.findall(r"(?<![\w$.])[a-zA-Z_:][\w:]*", bare)) - WORDS


def matched_labels(expression: str) -> set[str]:
    return set(re.findall(r"[{,]\s*(\w+)\s*(?:=~|!=|!~|=)", expression))


def panels() -> Iterator[dict[str, Any]]:
    for panel in DASHBOARD["panels"]:
        yield panel
        yield from panel.get("panels", ())


def queries() -> list[str]:
    return [target["expr"] for panel in panels() for target in panel.get("targets", ())]


VARIABLES = {one["name"]: one for one in DASHBOARD["templating"]["list"]}
ASKED = [
    re.sub(r", \w+\)$", ")", one["definition"]) for one in VARIABLES.values() if "definition" in one
]


@pytest.mark.parametrize("expression", [*queries(), *ASKED, *(rule["expr"] for rule in RULES)])
def test_a_query_names_what_is_told(expression: str) -> None:
    assert names(expression)
    assert names(expression) <= OURS | {"up"}
    assert matched_labels(expression) <= LABELS
    assert Counter(expression)["("] == Counter(expression)[")"]


def test_names_are_found() -> None:
    """The check above must not pass by finding nothing."""
    expression = 'max_over_time(a_b{c="d e", f=~"$g"}[5m]) / on (h) G_I or time() - i * 1e6'
    assert names(expression) == {"a_b", "G_I", "i"}
    assert matched_labels(expression) == {"c", "f"}


def test_the_dashboard_can_be_imported() -> None:
    """With any data source: none is named, and no panel is numbered or placed twice."""
    assert (DASHBOARD["id"], DASHBOARD["uid"]) == (None, "gpufleet-nvidia-docker")
    assert DASHBOARD["schemaVersion"] >= 39
    assert VARIABLES["datasource"]["type"] == "datasource"
    ids = [panel["id"] for panel in panels()]
    assert len(ids) == len(set(ids))
    covered: Counter[tuple[int, int]] = Counter()
    for panel in panels():
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        covered.update(
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        )
        for part in [panel, *panel.get("targets", ())] if panel["type"] != "row" else ():
            assert part["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
        letters = [target["refId"] for target in panel.get("targets", ())]
        assert len(letters) == len(set(letters))
    assert set(covered.values()) == {1}


def test_the_dashboard_shows_every_metric_of_a_gpu() -> None:
    shown = {name for expression in queries() for name in names(expression)}
    rarely_wanted = {"FB_FREE", "BAR1_TOTAL", "BAR1_USED"}
    assert set(GPU_METRICS) - shown == {f"DCGM_FI_DEV_{name}" for name in rarely_wanted}


def test_queries_follow_the_variables() -> None:
    used = set(re.findall(r"\$\{?(\w+)", " ".join(queries())))
    assert used == {"Hostname", "gpu"} < set(VARIABLES)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_a_rule_is_whole(rule: dict[str, Any]) -> None:
    assert set(rule) <= {"alert", "expr", "for", "labels", "annotations"}
    assert re.fullmatch(r"[0-9]+[smh]", rule.get("for", "0s"))
    assert rule["labels"]["severity"] in ("warning", "critical")
    told = " ".join(rule["annotations"].values())
    assert set(re.findall(r"\$labels\.(\w+)", told)) <= LABELS
    assert "summary" in rule["annotations"]


def test_rules_have_different_names() -> None:
    assert len({rule["alert"] for rule in RULES}) == len(RULES)


def test_every_metric_is_documented() -> None:
    first_cells = set(re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE))
    theirs = {name for name in first_cells if name.startswith("nvidia_smi_")}
    told = {name for name in first_cells - theirs if re.match("DCGM_FI_DEV_|nvidia_docker_", name)}
    assert told == OURS
    assert len(theirs) > 15


def test_the_mapping_leads_to_what_is_told() -> None:
    rows = re.findall(r"^\| `nvidia_smi_\w+` \| `([^`]+)`", PAGE, re.MULTILINE)
    assert rows and all(names(expression) <= OURS for expression in rows)


def test_the_examples_are_configuration() -> None:
    scrape, rules, probe = BLOCKS
    assert scrape["scrape_configs"][0]["job_name"] in RULES[0]["expr"]
    (rule,) = rules["groups"][0]["rules"]
    assert names(rule["expr"]) <= OURS
    assert probe["readinessProbe"]["httpGet"]["path"] == "/healthz"
