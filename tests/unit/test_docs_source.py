# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""tests/tools/docs_source.py: what of the checkout becomes a page of the site; where links lead."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "tools"))

import docs_source  # noqa: E402

FILES = "https://github.com/gpufleet/gpufleet.nvidia/blob/main"


@pytest.mark.parametrize(
    ("origin", "link", "moved"),
    [
        ("docs/cdi.md", "plugin.md#rest-api", "plugin.md#rest-api"),
        ("docs/cdi.md", "#devices", "#devices"),
        ("docs/cdi.md", "https://example.org/x", "https://example.org/x"),
        ("docs/cdi.md", "../README.md#try-it", f"{FILES}/README.md#try-it"),
        ("docs/cdi.md", "../roles/docker/README.md", f"{FILES}/roles/docker/README.md"),
        ("README.md", "docs/cdi.md#devices", "cdi.md#devices"),
        ("README.md", "docs/grafana/alerts.yml", "grafana/alerts.yml"),
        # Sphinx refuses what is not there.
        ("docs/cdi.md", "gone.md", "gone.md"),
    ],
)
def test_links_lead_to_pages_else_to_the_repository(origin: str, link: str, moved: str) -> None:
    text = docs_source.relink(f"see [it]({link}).", ROOT / origin, Path("cdi.md"))
    assert text == f"see [it]({moved})."


def test_a_section_ends_where_the_next_one_begins() -> None:
    text = "# A\n\n## B\n\none\n\n### C\n\ntwo\n\n## D\n\nthree\n"
    assert docs_source.section(text, "B") == "one\n\n### C\n\ntwo"
    assert docs_source.section(text, "D") == "three"
    with pytest.raises(SystemExit, match="no section 'E'"):
        docs_source.section(text, "E")


def test_pages_of_others_are_found() -> None:
    """A page that index.md does not name is in the contents all the same."""
    index = "```{toctree}\n:caption: x\n\none\nTwo <two>\n```\nthree\n"
    assert docs_source.listed(index) == {"one", "two"}


def test_the_reference_has_the_short_names(tmp_path: Path) -> None:
    for kind in ("module", "role"):
        title = f"gpufleet.nvidia.thing {kind} -- Make it \\- well"
        block = ".. contents:: Topics\n   :local:\n   :depth: 1\n"
        text = f"{title}\n{'+' * len(title)}\n\n{block}\nText\n"
        (tmp_path / f"thing_{kind}.rst").write_text(text)
    contents = docs_source.reference(tmp_path)
    assert "| [`thing`](reference/thing_module.rst) | Make it - well |" in contents
    assert "role thing <reference/thing_role>" in contents
    page = (tmp_path / "thing_role.rst").read_text()
    assert page == "Role thing\n++++++++++\n\nMake it \\- well\n\n\nText\n"


def test_a_page_without_the_usual_title_is_noticed(tmp_path: Path) -> None:
    (tmp_path / "thing_module.rst").write_text("Another title\n+++++++++++++\n")
    with pytest.raises(SystemExit, match="thing_module"):
        docs_source.reference(tmp_path)
