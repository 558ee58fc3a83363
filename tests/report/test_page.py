# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The page of a fleet in headless Chromium: what a person does with it."""

from __future__ import annotations

import sys
import time
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
# .dev holds a link ansible_collections/gpufleet/nvidia to the checkout.
sys.path[:0] = [str(ROOT / ".dev"), str(ROOT / "tests" / "report")]

from ansible_collections.gpufleet.nvidia.plugins.plugin_utils import (  # noqa: E402
    fleet,
    fleet_report,
)
from browser import Browser  # noqa: E402
from simulated_fleet import HOSTILE, hostile, results  # noqa: E402

NOT_TOLD = "\N{EN DASH}"
KEPT = ROOT / ".build" / "report"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    running = Browser()
    yield running
    running.quit()


def written(folder: Path, told: dict[str, Any], accepted: Collection[str] = ()) -> Path:
    hosts = [fleet.read_host(name, fleet.plain(one), accepted) for name, one in told.items()]
    path = folder / "report.html"
    path.write_text(fleet_report.page(hosts, "2026-11-25T18:00:00Z"))
    return path


@pytest.fixture(scope="module")
def fleet_page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(tmp_path_factory.mktemp("fleet"), results(200))


@pytest.fixture
def page(browser: Browser, fleet_page: Path) -> Iterator[Browser]:
    """A fleet of 200 hosts, freshly opened; in the end nothing may be on the console."""
    browser.look(1280, 800)
    browser.open(fleet_page)
    yield browser
    assert browser.console() == []


def rows(page: Browser, column: int) -> list[str]:
    return page.texts(f"#table tbody tr > :nth-child({column})")


def choose(page: Browser, select: str, value: str) -> None:
    page.run(
        "const one = document.getElementById(arguments[0]); one.value = arguments[1];"
        "one.dispatchEvent(new Event('input', {bubbles: true}))",
        select,
        value,
    )


def test_the_console_would_tell(browser: Browser, tmp_path: Path) -> None:
    """A page that the other tests must not pass: a script and a request that it must not have."""
    text = written(tmp_path, results(1)).read_text()
    (tmp_path / "bad.html").write_text(
        text.replace("</body>", "<script>1</script><img src=x></body>")
    )
    browser.open(tmp_path / "bad.html")
    said = " ".join(browser.console())
    assert said.count("Content Security Policy") == 2


def test_all_hosts_are_listed_by_pages(page: Browser) -> None:
    assert page.texts("#count") == ["200 of 200 hosts"]
    assert rows(page, 1)[0] == "gpu-0000.example.org"
    assert len(rows(page, 1)) == 100
    page.run("document.getElementById('next').scrollIntoView()")
    page.click("#next")
    assert rows(page, 1)[0] == "gpu-0100.example.org"
    assert page.texts("#page") == ["Page 2 of 2"]
    assert page.run("return document.getElementById('next').disabled")


def test_the_totals_are_of_the_whole_fleet(page: Browser) -> None:
    names, values = page.texts("#totals dt"), page.texts("#totals dd")
    told = dict(zip(names, values))
    assert (told["Hosts"], told["GPUs"], told["Hosts not read"]) == ("200", "1568", "2")
    assert told["Hosts critical"] == str(2 + 14)


def test_words_filter_in_each_view(page: Browser) -> None:
    page.type("#search", "A100 gpu-0025.")
    assert page.texts("#count") == ["1 of 200 hosts"]
    page.click("[data-view=gpus]")
    assert page.texts("#count") == ["8 of 1568 GPUs"]
    assert set(rows(page, 3)) == {"NVIDIA A100-SXM4-40GB"}
    page.click("[data-view=findings]")
    assert page.texts("#count")[0].startswith("0 of ")
    page.click("#reset")
    assert page.texts("#search") == [""]


def test_lists_filter(page: Browser) -> None:
    choose(page, "state", "unreachable")
    assert rows(page, 1) == ["gpu-0099.example.org", "gpu-0199.example.org"]
    assert "Failed to connect: timed out" in rows(page, 3)[0]
    choose(page, "state", "")
    choose(page, "model", "Tesla V100-SXM2-16GB")
    choose(page, "driver", "535.261.03")
    assert page.texts("#count") == ["60 of 200 hosts"]
    choose(page, "driver", "570.86.15")
    assert page.texts("#count") == ["0 of 200 hosts"]


def heads(page: Browser) -> list[str]:
    script = "return [...document.querySelectorAll('#table thead th')].map(th => th.ariaSort)"
    return page.run(script)


def test_a_column_sorts_both_ways_and_says_so(page: Browser) -> None:
    page.click("[data-view=gpus]")
    assert heads(page)[:2] == ["ascending", "none"]
    page.click("#table thead th:nth-child(8) button")
    cold = [int(text.split()[0]) for text in rows(page, 8)]
    assert cold == sorted(cold)
    page.click("#table thead th:nth-child(8) button")
    hot = [int(text.split()[0]) for text in rows(page, 8)]
    assert hot == sorted(hot, reverse=True)
    assert hot[0] > cold[0]
    assert (heads(page)[0], heads(page)[7]) == ("none", "descending")


def test_what_is_not_told_is_last_both_ways(page: Browser) -> None:
    page.click("[data-view=gpus]")
    page.type("#search", "gpu-0003.")
    for _time in range(2):
        page.click("#table thead th:nth-child(8) button")
        assert rows(page, 8)[-1] == NOT_TOLD


def test_names_are_in_the_order_of_numbers(page: Browser, tmp_path: Path) -> None:
    told = next(iter(results(1).values()))
    path = written(tmp_path, dict.fromkeys(("node10", "node9", "node1"), told))
    page.open(path)
    assert rows(page, 1) == ["node1", "node9", "node10"]


def test_a_host_shows_findings_and_how_its_gpus_are_wired(page: Browser) -> None:
    page.type("#search", "gpu-0003.")
    page.click("#table .link")
    assert page.texts("#detail-title") == ["gpu-0003.example.org"]
    findings = page.texts("#detail .findings li")
    assert "NVML says GPU is lost" in findings[0]
    assert "wait to be remapped" in findings[1]
    boxes = page.run(
        "return [...document.querySelectorAll('#detail svg text')].map(one => one.textContent)"
    )
    assert boxes[:4] == ["Cross CPU socket", "Same CPU socket", "Single PCI switch", "GPU 0"]
    assert boxes[-1] == "NVLink, 18 links per GPU"
    # The seventh GPU has lost the one with which it shares a switch.
    assert boxes.count("Single PCI switch") == 3
    page.press("\ue00c")
    assert not page.run("return document.getElementById('detail').open")


def test_what_is_accepted_is_shown_apart(page: Browser, tmp_path: Path) -> None:
    """Of 20 hosts three have a warning that is accepted, and two of these a lost GPU besides."""
    page.open(written(tmp_path, results(20), {"row_remapping_pending"}))
    told = dict(zip(page.texts("#totals dt"), page.texts("#totals dd")))
    assert (told["Hosts critical"], told["Hosts with warnings"]) == ("2", "0")
    choose(page, "state", "accepted")
    assert page.texts("#count") == ["3 of 20 hosts"]
    assert rows(page, 8) == ["1 + 1 accepted", "none + 1 accepted", "1 + 1 accepted"]
    page.click("[data-view=gpus]")
    assert page.texts("#count")[0].startswith("3 of ")
    assert rows(page, 4) == ["ok"] * 3
    page.click("[data-view=findings]")
    assert rows(page, 2) == ["accepted warning"] * 3
    choose(page, "state", "warning")
    assert page.texts("#count") == ["0 of 5 findings"]
    choose(page, "state", "")
    assert rows(page, 2) == ["critical"] * 2 + ["accepted warning"] * 3
    assert page.run(CONTRAST) == []
    page.click("#table tbody tr:last-child .link")
    assert "accepted warning" in page.texts("#detail .findings li")[-1]


def test_the_keyboard_alone_is_enough(page: Browser) -> None:
    tab, enter = "\ue004", "\ue007"
    reached = []
    for _step in range(30):
        page.press(tab)
        reached.append(page.run("return document.activeElement.innerText.trim()"))
        if reached[-1] == "gpu-0000.example.org":
            break
    assert {"GPUs", "Findings", "Host", "State"} <= set(reached)
    page.press(enter)
    assert page.texts("#detail-title") == ["gpu-0000.example.org"]
    assert page.run("return document.activeElement.id") == "close"
    page.press(enter)
    focused = page.run("return document.activeElement.innerText.trim()")
    assert focused == "gpu-0000.example.org"


def test_each_thing_has_a_name_for_a_screen_reader(page: Browser) -> None:
    unnamed = page.run(
        "return [...document.querySelectorAll("
        "'button, input, select, [role=img], [role=region], nav')]"
        ".filter(one => !(one.innerText?.trim() || one.labels?.length || one.ariaLabel))"
        ".map(one => one.outerHTML)"
    )
    assert unnamed == []
    assert page.run("return document.getElementById('count').role") == "status"
    pressed = page.run("return document.querySelector('[data-view=hosts]').ariaPressed")
    assert pressed == "true"


CONTRAST = """
const parse = text => text.match(/[\\d.]+/g).map(Number);
const light = rgb => {
  const [r, g, b] = rgb.map(v => v / 255)
    .map(v => v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4);
  return .2126 * r + .7152 * g + .0722 * b;
};
const low = [];
for (const one of document.querySelectorAll('main *, header *')) {
  const hasText = [...one.childNodes].some(node => node.nodeType === 3 && node.data.trim());
  if (!hasText || !one.checkVisibility()) continue;
  let under = one, back;
  do { back = parse(getComputedStyle(under).backgroundColor); under = under.parentElement; }
  while (under && back.length === 4 && back[3] < 1);
  const [a, b] = [parse(getComputedStyle(one).color), back]
    .map(colour => light(colour.slice(0, 3))).sort((x, y) => y - x);
  if ((a + .05) / (b + .05) < 4.5 && !one.disabled) low.push(one.outerHTML.slice(0, 90));
}
return low;
"""


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_text_has_the_contrast_of_wcag_aa(page: Browser, dark: bool) -> None:
    page.look(1280, 800, dark)
    for view in ("hosts", "gpus", "findings"):
        page.click(f"[data-view={view}]")
        assert page.run(CONTRAST) == []


def test_a_phone_shows_cards_and_sorts(page: Browser) -> None:
    page.look(390, 844)
    wide = "return document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert page.run(wide) <= 0
    choose(page, "sort", "7 -1")
    findings = [text.removeprefix("Findings").strip() for text in rows(page, 8)]
    assert findings[0] == "2"
    assert (
        page.run("return getComputedStyle(document.querySelector('#table tr')).display") == "grid"
    )
    page.run("document.querySelector('#table .link').scrollIntoView({block: 'center'})")
    page.click("#table .link")
    assert page.run(wide) <= 0


def test_what_a_host_says_is_text(browser: Browser, tmp_path: Path) -> None:
    browser.open(written(tmp_path, {HOSTILE: hostile()}))
    assert browser.texts("#table .link") == [HOSTILE]
    browser.click("#table .link")
    assert HOSTILE in browser.texts("#detail .findings li")[0]
    assert browser.run("return document.querySelectorAll('img, #detail b b, script').length") == 2
    assert browser.console() == []


def test_a_thousand_hosts_stay_usable(browser: Browser, tmp_path: Path) -> None:
    """Says how long things take; how fast this machine is fails nothing."""
    told = results(1000)
    begin = time.perf_counter()
    path = written(tmp_path, told)
    made = time.perf_counter()
    browser.look(1280, 800)
    browser.open(path)
    opened = time.perf_counter()
    browser.click("[data-view=gpus]")
    took = browser.run(
        "const search = document.getElementById('search'), start = performance.now();"
        "search.value = 'a100 gpu-0025.'; search.dispatchEvent(new Event('input'));"
        "return performance.now() - start"
    )
    assert browser.texts("#count") == ["8 of 7840 GPUs"]
    assert browser.run("return document.querySelectorAll('*').length") < 5000
    print(
        f"1,000 hosts with 7,840 GPUs: page of {path.stat().st_size >> 10} KiB made in "
        f"{made - begin:.2f} s, opened in {opened - made:.2f} s, filtered in {took:.0f} ms"
    )


PICTURES = [
    ("hosts-light.webp", 1280, 800),  # docs/fleet-report.webp
    ("gpus-dark.png", 1280, 800),
    ("findings-light.png", 1280, 800),
    ("hosts-phone-dark.png", 390, 844),
]
STARTS = {".png": b"\x89PNG", ".webp": b"RIFF"}


@pytest.mark.parametrize(("name", "width", "height"), PICTURES)
def test_pictures_are_kept(page: Browser, name: str, width: int, height: int) -> None:
    page.look(width, height, "dark" in name)
    page.click(f"[data-view={name.split('-')[0]}]")
    path = KEPT / name
    page.screenshot(path)
    assert path.read_bytes().startswith(STARTS[path.suffix])
