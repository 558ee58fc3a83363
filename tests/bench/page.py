# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""page.py: writes the figures of tests/bench/figures.json, which ``make bench SAVE=…`` has saved,
into docs/performance.md.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
FIGURES = ROOT / "tests" / "bench" / "figures.json"
PAGE = ROOT / "docs" / "performance.md"
SECTION = re.compile(r"(?<=<!-- figures -->\n).*?(?=<!-- end of figures -->)", re.DOTALL)
QUIET = 0.5
"""Load before the first subject, above which the machine had something else to do."""

SUBJECTS = {
    "cdi": "CDI specification",
    "cli": "The command nvidia-docker",
    "container": "nvidia_container",
    "driver_volume": "Driver volume",
    "facts": "nvidia_facts",
    "rest": "REST API",
}
"""Headings; a subject that is not here has its name."""


def time(seconds: float) -> str:
    """Three digits, in the unit that suits."""
    for factor, unit in ((1, "s"), (1e3, "ms")):
        if seconds * factor >= 1:
            return f"{_three(seconds * factor)} {unit}"
    return f"{_three(seconds * 1e6)} µs"


def _three(number: float) -> str:
    return f"{number:.0f}" if number >= 100 else f"{number:.3g}"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def lines(saved: dict[str, Any]) -> Iterator[str]:
    """The section of a saved run. Raises ValueError for one of a busy machine."""
    machine = saved["machine"]
    if machine["load"] > QUIET:
        raise ValueError(
            f"the machine was busy (load {machine['load']:.1f}, at most {QUIET} is quiet): run "
            "make bench again when it is not"
        )
    yield (
        f"Measured on {saved['date']}: {machine['cores']} cores ({machine['architecture']}), Linux "
        f"{machine['kernel']}, Python {machine['python']}, {machine['file_system']}; medians of "
        "warm runs."
    )
    for subject, figures in saved["subjects"].items():
        yield ""
        yield f"## {SUBJECTS.get(subject, subject)}"
        yield ""
        yield "| what | time | ratio | baseline | aimed at | |"
        yield "| --- | --- | --- | --- | --- | --- |"
        for one in figures:
            ratio = one["seconds"] / one["baseline_seconds"]
            baseline = f"{one['baseline']}: {time(one['baseline_seconds'])}"
            cells = [one["name"], time(one["seconds"]), f"{ratio:.2f} x", baseline]
            yield "| " + " | ".join(map(_cell, [*cells, one["target"], one["remark"]])) + " |"


def page(text: str, saved: dict[str, Any] | None) -> str:
    """The page with these figures; without any it says so."""
    section = ["No run on a quiet machine is kept with this version: `make bench` prints one."]
    if saved is not None:
        section = list(lines(saved))
    return SECTION.sub(lambda _dummy: "\n" + "\n".join(section) + "\n\n", text)


def saved_run() -> dict[str, Any] | None:
    return json.loads(FIGURES.read_text()) if FIGURES.exists() else None


if __name__ == "__main__":
    try:
        PAGE.write_text(page(PAGE.read_text(), saved_run()))
    except ValueError as error:
        sys.exit(f"Error: {error}")
