# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The documentation site: built without a warning, whole without a network, read in a browser."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "report"))

from browser import Browser  # noqa: E402

KEPT = ROOT / ".build" / "site"
# What a browser fetches by itself.
LOADED = {("link", "href"), ("script", "src"), ("img", "src"), ("iframe", "src"), ("source", "src")}
LOOKS = {"light": (1280, 900, False), "dark": (1280, 900, True), "phone": (390, 844, False)}
SHOWN = ["index", "concepts", "troubleshooting", "reference/nvidia_container_module"]


class Page(HTMLParser):
    """Names, links and loaded files of a page."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path
        self.ids: set[str] = set()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.feed(path.read_text())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name == "id" and value:
                self.ids.add(value)
            elif (tag, name) in LOADED and ("rel", "canonical") not in attrs:
                self.loaded.append(value or "")
            elif tag == "a" and name == "href":
                self.links.append(value or "")


@pytest.fixture(scope="module")
def site() -> Path:
    """The folder of the built site."""
    subprocess.run([str(ROOT / "tests" / "tools" / "docs.sh")], check=True)
    return ROOT / ".build" / "docs" / "html"


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[Path, Page]:
    return {path: Page(path) for path in sorted(site.rglob("*.html"))}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    running = Browser()
    yield running
    running.quit()


def test_links_lead_to_pages_and_places_that_are_there(pages: dict[Path, Page]) -> None:
    wrong, inside = [], 0
    for path, page in pages.items():
        for link in page.links:
            if re.match(r"(https?|mailto):", link):
                continue
            inside += 1
            file, _dummy, anchor = unquote(link).partition("#")
            target = (path.parent / file.partition("?")[0]).resolve() if file else path
            place = pages[target].ids if target in pages else {anchor}
            if not target.exists() or (anchor and anchor not in place):
                wrong.append((path.name, link))
    assert wrong == []
    assert inside > 1000


def test_nothing_is_loaded_from_elsewhere(site: Path, pages: dict[Path, Page]) -> None:
    wrong = []
    for path, page in pages.items():
        for file in page.loaded:
            # The search page names itself "#".
            if file != "#" and not (path.parent / file.partition("?")[0]).is_file():
                wrong.append((path.name, file))
    assert wrong == []
    for sheet in site.rglob("*.css"):
        assert not re.search(r"(url\(['\"]?|@import ['\"])(https?:)?//", sheet.read_text()), sheet


def test_every_module_and_role_has_its_page(pages: dict[Path, Page]) -> None:
    modules = [p.stem for p in (ROOT / "plugins" / "modules").glob("*.py") if p.stem[0] != "_"]
    roles = [p.name for p in (ROOT / "roles").iterdir() if (p / "meta").is_dir()]
    wanted = {f"{name}_module.html" for name in modules} | {f"{name}_role.html" for name in roles}
    (contents,) = (page for path, page in pages.items() if path.name == "reference.html")
    assert {link.removeprefix("reference/") for link in contents.links} >= wanted
    assert {path.name for path in pages if path.parent.name == "reference"} == wanted


def test_the_theme_complains_nowhere(pages: dict[Path, Page]) -> None:
    """It does so on the page: a table of contents, for example, is no warning of Sphinx."""
    assert [path.name for path in pages if "ERROR: Adding" in path.read_text()] == []


def test_every_page_is_in_the_contents(pages: dict[Path, Page]) -> None:
    (index,) = (page for path, page in pages.items() if path.name == "index.html")
    listed = set(index.links) | {"index.html", "search.html", "genindex.html"}
    top = {path.name for path in pages if path.parent == index.path.parent}
    assert top <= listed


def test_the_search_needs_no_server(browser: Browser, site: Path) -> None:
    browser.look(*LOOKS["light"])
    for words, title in (("hard links", "The driver volume"), ("left_out", "Module nvidia_cdi")):
        browser.open(site / "index.html")
        browser.run("location.href = 'search.html?q=' + encodeURIComponent(arguments[0])", words)
        found: list[str] = []
        until = time.monotonic() + 20
        while title not in found and time.monotonic() < until:
            time.sleep(0.1)
            found = browser.texts("ul.search li a")
        assert title in found


def test_no_page_is_wider_than_a_phone(browser: Browser, pages: dict[Path, Page]) -> None:
    browser.look(*LOOKS["phone"])
    wide = []
    for path in pages:
        browser.open(path)
        wide += [(path.name, text) for text in browser.run(OUT_OF_SIGHT)]
    assert wide == []
    browser.run("document.querySelector('h1').style.width = '900px'")
    assert len(browser.run(OUT_OF_SIGHT)) == 1


@pytest.mark.parametrize("name", SHOWN)
@pytest.mark.parametrize("look", LOOKS)
def test_a_page_can_be_read(browser: Browser, site: Path, look: str, name: str) -> None:
    """Text stands out from what is behind it: WCAG's 4.5, of tables, notes and code too."""
    browser.look(*LOOKS[look])
    browser.open(site / f"{name}.html")
    browser.screenshot(KEPT / f"{name.replace('/', '-')}-{look}.png")
    assert browser.run(CONTRAST) == []
    ground = browser.run("return getComputedStyle(document.body).backgroundColor.match(/[0-9]+/g)")
    assert (int(ground[0]) < 128) == LOOKS[look][2]


OUT_OF_SIGHT = """
const scrolls = element => {
  for (let one = element; one.tagName != 'ARTICLE'; one = one.parentElement)
    if (['auto', 'scroll'].includes(getComputedStyle(one).overflowX)) return true;
  return false;
};
return [...document.querySelectorAll('article *')]
  .filter(one => one.getBoundingClientRect().right > innerWidth + 1 && !scrolls(one))
  .map(one => `${one.tagName} ${one.innerText.slice(0, 40)}`);
"""
"""What is beyond the right edge and can't be scrolled to: the theme cuts it off."""

CONTRAST = """
const parts = colour => colour.match(/[\\d.]+/g).map(Number);
const light = ([r, g, b]) => [r, g, b].map(v => v / 255)
  .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
  .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
const over = (top, below) => {
  const a = top.length > 3 ? top[3] : 1;
  return [0, 1, 2].map(i => top[i] * a + below[i] * (1 - a));
};
const behind = element => {
  const layers = [];
  for (let one = element; one; one = one.parentElement)
    layers.unshift(parts(getComputedStyle(one).backgroundColor));
  return layers.reduce((below, top) => over(top, below), [255, 255, 255]);
};
const wrong = new Set();
const walker = document.createTreeWalker(document.querySelector('.main'), NodeFilter.SHOW_TEXT);
while (walker.nextNode()) {
  const element = walker.currentNode.parentElement;
  if (!walker.currentNode.data.trim() || !element.checkVisibility({opacityProperty: true})
      || element.closest('.headerlink, .muted-link, .visually-hidden, svg')) continue;
  const ground = behind(element);
  const [a, b] = [light(over(parts(getComputedStyle(element).color), ground)), light(ground)];
  const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  if (ratio < 4.5) wrong.add(`${ratio.toFixed(1)}: ${walker.currentNode.data.trim().slice(0, 40)}`);
}
return [...wrong];
"""
"""Texts whose colour is too near to that of their background, with the ratio."""
