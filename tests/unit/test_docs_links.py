# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Links in README and docs lead to files and headings that are there; every page can be found."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = [
    *sorted(ROOT.glob("*.md")),
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted((ROOT / "roles").glob("*/README.md")),
]
FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
CODE = re.compile(r"`[^`\n]*`")
HEADING = re.compile(r"^#{1,6} (.+)$", re.MULTILINE)
LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^()\s]+)\)")
# Pages that belong to the site alone.
OF_SITE = {"index.md", "quick-start.md"}


@cache
def prose(page: Path) -> str:
    return COMMENT.sub("", FENCE.sub("", page.read_text()))


@cache
def links(page: Path) -> list[tuple[str, str, str]]:
    """(mark of a picture, text, address) of each link that leads to no other site."""
    text = CODE.sub(lambda found: "`" * len(found[0]), prose(page))
    return [link for link in LINK.findall(text) if not link[2].startswith(("https:", "http:"))]


def slug(heading: str) -> str:
    """The anchor of a heading, as GitHub and the site make it."""
    plain = LINK.sub(r"\2", heading).replace("`", "").strip().lower()
    return re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")


@cache
def anchors(page: Path) -> set[str]:
    found: dict[str, int] = {}
    result = set()
    for heading in HEADING.findall(prose(page)):
        name = slug(heading)
        result.add(f"{name}-{found[name]}" if name in found else name)
        found[name] = found.get(name, 0) + 1
    return result


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_lead_somewhere(page: Path) -> None:
    wrong = []
    for _dummy, _text, address in links(page):
        path, _dummy, anchor = address.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            wrong.append(address)
    assert wrong == []


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_a_heading_is_there_once(page: Path) -> None:
    """Its link would lead to the first one."""
    headings = [slug(heading) for heading in HEADING.findall(prose(page))]
    assert sorted(set(headings)) == sorted(headings)


def test_pictures_have_a_text_and_are_small() -> None:
    """They are in the collection's artifact."""
    for page in PAGES:
        for picture, text, address in links(page):
            if picture:
                assert text, address
                assert (page.parent / address).stat().st_size <= 300_000, address


def test_every_page_can_be_reached_from_readme() -> None:
    known, new = set(), {ROOT / "README.md"}
    while new:
        page = new.pop()
        known.add(page)
        addresses = (address.partition("#")[0] for _dummy, _text, address in links(page))
        targets = {(page.parent / path).resolve() for path in addresses if path.endswith(".md")}
        new |= targets - known
    lost = {path.name for path in (ROOT / "docs").glob("*.md") if path not in known}
    assert lost <= OF_SITE


def test_links_are_found() -> None:
    """The checks above must not pass by finding nothing."""
    assert sum(len(links(page)) for page in PAGES) > 70
    assert (
        slug("The driver volume: `make` it, [check](x.md) it")
        == "the-driver-volume-make-it-check-it"
    )
