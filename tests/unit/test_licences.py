# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is shipped of others: each file has an owner, each owner a licence and its text."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "tools"))

import components  # noqa: E402

VENDOR = ROOT / "plugins" / "module_utils" / "nvidia_docker" / "_vendor"
COMPATIBLE = {"Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "MIT"}
"""Licences whose works may be part of one under the GPL, version 3 or later, as the FSF sees it."""
FIRST_WORDS = {
    "Apache-2.0": "Apache License Version 2.0, January 2004",
    "BSD-2-Clause": "Redistribution and use in source and binary forms",
    "BSD-3-Clause": "Neither the name of the",
    "MIT": "Permission is hereby granted, free of charge, to any person obtaining a copy",
}


def vendored() -> list[str]:
    paths = [path.relative_to(VENDOR).as_posix() for path in VENDOR.rglob("*") if path.is_file()]
    return sorted(path for path in paths if "__pycache__" not in path)


def test_every_vendored_file_has_an_owner() -> None:
    """A package that is added has to say its licence. Ours is the file that names the others."""
    assert [path for path in vendored() if components.owner(path) is None] == ["__init__.py"]
    assert {component.name for component in map(components.owner, vendored()) if component} == {
        component.name for component in components.COMPONENTS
    }


def test_components_are_the_pinned_packages_and_what_they_bundle() -> None:
    """Nothing is named twice, nothing forgotten."""
    own = {component.name for component in components.COMPONENTS if not component.bundled}
    assert own == set(components.pinned())


@pytest.mark.parametrize("component", components.COMPONENTS, ids=lambda found: found.name)
def test_the_licence_text_is_that_of_the_licence(component) -> None:
    """With the copyright notice, which all but Apache's have to keep."""
    text = " ".join((VENDOR / component.licence_file).read_text().split())
    assert FIRST_WORDS[component.licence] in text
    if component.licence != "Apache-2.0":
        assert f"Copyright (c) {component.copyright.split()[0]}" in text
    assert component.licence in COMPATIBLE


def test_galaxy_names_each_licence() -> None:
    """And none that nothing here has."""
    told = yaml.safe_load((ROOT / "galaxy.yml").read_text())["license"]
    found = {component.licence for component in components.COMPONENTS}
    assert told == ["GPL-3.0-or-later", *sorted(found)]


def test_a_head_without_licence_is_refused() -> None:
    """A new version whose head has none would be shipped without."""
    with pytest.raises(ValueError, match="no BSD licence"):
        components.licence_at_head("# Copyright (c) 2030 Somebody\n\nimport os\n# DAMAGE.\n")
