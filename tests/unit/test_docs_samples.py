# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Samples of README and docs: modules, options, roles, variables, playbooks in them are there."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
PAGES += sorted((ROOT / "roles").glob("*/README.md"))
OURS = "gpufleet.nvidia."
BLOCK = re.compile(r"^```yaml\n(.*?)^```$", re.MULTILINE | re.DOTALL)
VARIABLE = re.compile(r"(docker|nvidia_docker|nvidia_cdi|simulated_gpu|gpufleet)_\w+")
# A line of a shell that runs a playbook of ours.
PLAYED = re.compile(rf"ansible-playbook .*?{re.escape(OURS)}(\w+)")
MACHINES = ROOT / "roles" / "simulated_gpu" / "files" / "machines"


def blocks() -> list[tuple[str, Any]]:
    found = []
    for page in PAGES:
        for number, text in enumerate(BLOCK.findall(page.read_text()), 1):
            found.append((f"{page.relative_to(ROOT)}:{number}", yaml.safe_load(text)))
    return found


def maps(value: Any) -> Iterator[dict[str, Any]]:
    """Every map in a value."""
    if isinstance(value, dict):
        yield value
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from maps(item)


@cache
def options(module: str) -> dict[str, Any]:
    """The documented options of a module of ours."""
    tree = ast.parse((ROOT / "plugins" / "modules" / f"{module}.py").read_text())
    for node in tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "DOCUMENTATION":
            return yaml.safe_load(ast.literal_eval(node.value))["options"]
    raise AssertionError(module)


@cache
def variables(role: str) -> dict[str, Any]:
    specs = (ROOT / "roles" / role / "meta" / "argument_specs.yml").read_text()
    return yaml.safe_load(specs)["argument_specs"]["main"]["options"]


@cache
def all_variables() -> set[str]:
    """Those of roles, and what the playbooks read."""
    known = {one for path in (ROOT / "roles").iterdir() for one in variables(path.name)}
    for path in (ROOT / "playbooks").glob("*.yml"):
        known |= {found[0] for found in VARIABLE.finditer(path.read_text())}
    return known


def check(given: dict[str, Any], known: dict[str, Any]) -> None:
    for name, value in given.items():
        assert name in known
        choices = known[name].get("choices")
        values = value if isinstance(value, list) else [value]
        assert choices is None or set(values) <= set(choices), f"{name}: {value}"


BLOCKS = blocks()


@pytest.mark.parametrize(
    "block", [each for _dummy, each in BLOCKS], ids=[where for where, _dummy in BLOCKS]
)
def test_a_sample_names_what_there_is(block: Any) -> None:
    for each in maps(block):
        for key, value in each.items():
            module = key.removeprefix(OURS)
            if module != key and module != "nvidia_container":  # that one takes docker_container's
                check(value or {}, options(module))
            if VARIABLE.fullmatch(key):
                assert key in all_variables()
        if str(each.get("role", "")).startswith(OURS):
            check(each.get("vars", {}), variables(each["role"].removeprefix(OURS)))
        if str(each.get("import_playbook", "")).startswith(OURS):
            played = each["import_playbook"].removeprefix(OURS)
            assert (ROOT / "playbooks" / f"{played}.yml").exists()
        if machine := each.get("simulated_gpu_machine"):
            assert (MACHINES / f"{machine}.json").exists()


def test_playbooks_of_shell_lines_are_there() -> None:
    played = {name for page in PAGES for name in PLAYED.findall(page.read_text())}
    assert {"site", "facts", "verify"} <= played
    assert played <= {path.stem for path in (ROOT / "playbooks").glob("*.yml")}


@pytest.mark.parametrize(
    "wrong",
    [
        {"gpufleet.nvidia.nvidia_cdi": {"sate": "verified"}},
        {"gpufleet.nvidia.nvidia_cdi": {"state": "checked"}},
        {"gpufleet.nvidia.nvidia_dci": None},
        {"hosts": "gpus", "roles": [{"role": "gpufleet.nvidia.docker", "vars": {"docker_x": 1}}]},
        {"docker_daemon_confg": {}},
    ],
)
def test_a_wrong_sample_is_noticed(wrong: Any) -> None:
    with pytest.raises((AssertionError, OSError)):
        test_a_sample_names_what_there_is(wrong)
