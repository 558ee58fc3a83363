# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""tests/demo/record.py, and the picture in README that it has made."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "demo"))

import record  # noqa: E402

PICTURE = ROOT / "docs" / "demo.svg"
TEXT = "{http://www.w3.org/2000/svg}text"


def rows(picture: str) -> list[str]:
    return ["".join(one.itertext()) for one in ElementTree.fromstring(picture).iter(TEXT)]


def test_a_command_is_run_in_a_terminal() -> None:
    status, lines = record.run(["sh", "-c", "test -t 1 && echo one; stty size; exit 3"])
    assert status == 3
    assert [line.strip() for _dummy, line in lines] == ["one", f"{record.ROWS} {record.COLUMNS}"]


def test_colours_are_kept_and_what_was_written_over_is_not() -> None:
    assert record.pieces("10 %\r\x1b[0;32mok\x1b[0m: \x1b[1;31mx\x1b[K<\r") == [
        ("c32", "ok"),
        ("text", ": "),
        ("c31 b", "x<"),
    ]


def test_a_long_line_takes_more_rows() -> None:
    first, second = record.wrapped([("text", "a" * 90), ("c32", "b" * 20)])
    assert sum(len(text) for _dummy, text in first) == record.COLUMNS
    assert second == (("c32", "b" * 10),)


def test_waiting_is_shortened_and_the_home_is_not_shown() -> None:
    lines = record.shown(
        [(100.0, "/some/where/x"), (100.1, "y")], ["make", "it"], Path("/some/where")
    )
    assert [line.pieces[-1][1] for line in lines] == ["make it", "~/gpufleet.nvidia/x", "y"]
    waited = [line.seconds for line in lines]
    assert waited == pytest.approx([0, 0.35, 0.4])


def test_the_picture_has_each_row_and_ends_with_the_last_ones() -> None:
    lines = [record.Line(number / 10, (("text", f"<{number}>"),)) for number in range(40)]
    picture = record.draw(lines, "a & b")
    assert rows(picture) == [f"<{number}>" for number in range(40)]
    assert f"translateY({(record.ROWS - 40) * record.LINE}px)}}}}" in picture


def test_a_failing_command_leaves_no_picture(tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.setattr(sys, "argv", ["record.py", str(tmp_path / "x.svg"), "false"])
    assert record.main() == 1
    assert "'false' ended with status 1" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_the_picture_of_readme_shows_the_demo_to_its_end() -> None:
    """Headings of demo.sh, in their order, from the command to "Done"."""
    shown = rows(PICTURE.read_text())
    assert shown[0].startswith("$ make demo")
    headings = re.findall(
        r'^\s*heading "([^"$(]+)', (ROOT / "tests/demo/demo.sh").read_text(), re.M
    )
    told = [line for line in shown if line.startswith("==> ")]
    assert len(headings) >= 10
    for heading in headings:
        while told and not told[0].startswith(f"==> {heading.strip()}"):
            told.pop(0)
        assert told, heading


def test_the_picture_tells_nothing_of_where_it_was_made() -> None:
    assert not re.search(r"(?<![~\w])/(root|home|work)/", "\n".join(rows(PICTURE.read_text())))
