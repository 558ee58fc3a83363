# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Each role's variables: documented, with the defaults that they have."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

ROLES = Path(__file__).resolve().parents[3] / "roles"


NAME = re.compile(r"\w+")
ROW = re.compile(r"^\| `(\w+)` \| `(.*?)` \|", re.MULTILINE)
NO_VARIABLES = {"nvidia_docker_plugin"}
"""Modules whose names begin as a role's do."""
NAMES = sorted(path.name for path in ROLES.iterdir())


@pytest.mark.parametrize("role", NAMES)
def test_argument_specs_say_what_the_defaults_are(role) -> None:
    """ansible-doc -t role shows argument_specs; the role uses defaults/main.yml."""
    specs = yaml.safe_load((ROLES / role / "meta" / "argument_specs.yml").read_text())
    options = specs["argument_specs"]["main"]["options"]
    defaults = yaml.safe_load((ROLES / role / "defaults" / "main.yml").read_text())
    assert {name: option.get("default") for name, option in options.items()} == defaults
    assert all(name.startswith(f"{role}_") for name in options)
    assert all(option["description"] for option in options.values())


def words(role: str) -> set[str]:
    """Names in what the role does: tasks, templates, variables, without comments."""
    files = [
        path
        for folder in ("tasks", "templates", "vars", "handlers")
        for path in (ROLES / role / folder).rglob("*")
        if path.is_file()
    ]
    lines = [line for path in files for line in path.read_text().splitlines()]
    return {
        word for line in lines if not line.lstrip().startswith("#") for word in NAME.findall(line)
    }


@pytest.mark.parametrize("role", NAMES)
def test_every_documented_variable_is_used_and_no_other(role) -> None:
    """A role's own variables have two underscores, after its name or before."""
    defaults = yaml.safe_load((ROLES / role / "defaults" / "main.yml").read_text())
    own = re.compile(rf"{role}__\w+|__{role}_\w+")
    used = {one for one in words(role) if one.startswith(f"{role}_") and not own.fullmatch(one)}
    assert used - NO_VARIABLES == set(defaults)


@pytest.mark.parametrize("role", NAMES)
def test_the_readme_has_the_same_table(role) -> None:
    """Each variable with its default, in the order of the documentation."""
    specs = yaml.safe_load((ROLES / role / "meta" / "argument_specs.yml").read_text())
    options = specs["argument_specs"]["main"]["options"]
    rows = ROW.findall((ROLES / role / "README.md").read_text())
    shown = [(name, yaml.safe_load(default)) for name, default in rows if name in options]
    assert dict(shown) == {name: option["default"] for name, option in options.items()}
    assert len(shown) == len(options)
