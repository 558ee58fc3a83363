# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""text_page.py"""

from __future__ import annotations

import pytest
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.render.text_page import (  # noqa: E501
    EMPTY,
    Line,
    amount,
    plain,
    text,
)

COLUMNS = [
    ([], ""),
    ([EMPTY], "\n"),
    ([Line(0, "Device #0"), EMPTY], "Device #0\n\n"),
    ([Line(2, "A", "1")], "  A:  1\n"),
    ([Line(0, "Long", "1"), Line(2, "A", "22")], "Long:  1\n  A:   22\n"),
    # A line without value ends the column.
    ([Line(0, "Long", "1"), Line(0, "B"), Line(0, "C", "2")], "Long:  1\nB\nC:  2\n"),
    ([Line(0, "Long", "1"), EMPTY, Line(0, "C", "2")], "Long:  1\n\nC:  2\n"),
    # An empty value is one, and nothing stands behind a value.
    ([Line(0, "A", ""), Line(0, "Long", "x")], "A:     \nLong:  x\n"),
    # Characters are counted, not bytes.
    ([Line(0, "°", "1"), Line(0, "ab", "2")], "°:   1\nab:  2\n"),
]


@pytest.mark.parametrize(("lines", "page"), COLUMNS)
def test_values_stand_in_columns(lines: list[Line], page: str) -> None:
    assert text(lines) == page


@pytest.mark.parametrize("name", ["a\nDevice #9", "a\x1b[2J", "a\u2028b", "a\rb"])
def test_a_value_can_not_make_lines_of_its_own(name: str) -> None:
    """A process names itself."""
    page = text([Line(0, "Name", name)])
    assert page.count("\n") == 1
    assert page[:-1].isprintable()
    assert "\ufffd" in page


def test_zero_and_false_are_values() -> None:
    assert (amount(0, "W"), amount(None, "W")) == ("0 W", "N/A")
    assert (plain(0), plain(False), plain(True), plain(None)) == ("0", "false", "true", "N/A")
