# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""docs/glossary.md against the code."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PLUGINS = ROOT / "plugins"
ROW = re.compile(r"^\| (?P<term>[^|]+) \| (?P<meaning>[^|]+) \| (?P<code>[^|]+) \|$", re.MULTILINE)

# Words for things that have another name here.
NEVER = [
    r"\bpci_busid\b",
    r"\bgpu_object\b",
    r"\bnv_version\b",
    r"\bmig_slice\b",
    r"\bguid\b",
    r"\bvolume_plugin\b",
    r"\bGpuInfo\b",
]


def rows() -> list[tuple[str, str]]:
    found = ROW.findall((ROOT / "docs" / "glossary.md").read_text())
    return [
        (term.strip(), code) for term, _dummy, code in found if term.strip() not in ("term", "---")
    ]


def sources() -> str:
    files = [p for p in sorted(PLUGINS.rglob("*.py")) if "_vendor" not in p.parts]
    return "\n".join(path.read_text() for path in files)


@pytest.mark.parametrize(("term", "code"), rows())
def test_each_term_names_something_that_exists(term, code) -> None:
    """The third column is a file, a folder, a role, or a name in the code."""
    for name in re.findall(r"`([^`]+)`", code):
        if "/" in name or name.endswith(".py"):
            assert (PLUGINS / "module_utils" / "nvidia_docker" / name).exists(), name
            continue
        if (ROOT / "roles" / name).is_dir():
            continue
        for part in name.removesuffix("()").split("."):
            assert re.search(rf"\b{re.escape(part)}\b", sources()), name


@pytest.mark.parametrize("word", NEVER)
def test_other_words_for_the_same_thing_are_not_used(word) -> None:
    """One thing, one name."""
    assert not re.search(word, sources())
