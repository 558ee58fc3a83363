# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""docs/performance.md has the figures that are kept, and only those of a quiet machine."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "bench"))

import page  # noqa: E402

FIGURE = {
    "name": "one | two",
    "seconds": 0.0123456,
    "worst": 1.0,
    "baseline": "nothing",
    "baseline_seconds": 0.005,
    "target": "3 x",
    "remark": "",
}


def run(load: float = 0.1) -> dict[str, Any]:
    machine = {"cores": 2, "architecture": "x86_64", "load": load, "kernel": "6.1"}
    machine |= {"python": "3.11", "file_system": "ext4"}
    return {"date": "2026-11-29", "machine": machine, "subjects": {"cli": [FIGURE], "new": []}}


def test_the_page_is_what_the_kept_run_gives() -> None:
    text = page.PAGE.read_text()
    assert page.page(text, page.saved_run()) == text


def test_a_run_is_a_table_for_each_subject() -> None:
    text = page.page("a\n<!-- figures -->\nold\n<!-- end of figures -->\nb", run())
    assert "Measured on 2026-11-29: 2 cores (x86_64)" in text
    assert "## The command nvidia-docker\n" in text and "## new\n" in text
    assert "| one \\| two | 12.3 ms | 2.47 x | nothing: 5 ms | 3 x |  |" in text
    assert "old" not in text and text.startswith("a\n") and text.endswith("-->\nb")


def test_a_busy_machine_gives_no_page() -> None:
    with pytest.raises(ValueError, match=r"load 1\.7"):
        page.page(page.PAGE.read_text(), run(load=1.7))


@pytest.mark.parametrize(
    ("seconds", "shown"), [(12.0, "12 s"), (0.25, "250 ms"), (0.0042, "4.2 ms"), (3.2e-5, "32 µs")]
)
def test_times_have_a_unit_that_suits(seconds, shown) -> None:
    assert page.time(seconds) == shown


def test_run_knows_its_options() -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "tests/bench/run.py"), "--help"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "--save FILE" in done.stdout
