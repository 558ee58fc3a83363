# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The layout of v1's text pages: labels, and values that stand in a column."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

UNKNOWN = "N/A"


@dataclass(frozen=True)
class Line:
    """One line; ``value`` is ``None`` for a heading, and for an empty line."""

    indent: int
    label: str
    value: str | None = None


EMPTY = Line(0, "")


def text(lines: Iterable[Line]) -> str:
    """Return the page. Values of lines that follow each other stand in one column, two blanks
    behind the longest label; a line without value ends the column. Widths are in characters."""
    written: list[str] = []
    block: list[tuple[str, str]] = []

    def end_block() -> None:
        width = max((len(label) for label, _dummy in block), default=0)
        written.extend(label.ljust(width) + value for label, value in block)
        block.clear()

    for line in lines:
        label = " " * line.indent + line.label
        if line.value is None:
            end_block()
            written.append(label)
        else:
            block.append((label + ":  ", printable(line.value)))
    end_block()
    return "".join(line + "\n" for line in written)


def printable(text: str) -> str:
    """Return ``text`` without line breaks and control characters: a process names itself."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else "\ufffd" for char in text)


def amount(value: object, unit: str) -> str:
    """Return ``value unit``, or ``N/A``."""
    return UNKNOWN if value is None else f"{value} {unit}"


def plain(value: object) -> str:
    """Return a value without unit, or ``N/A``; truth as Go writes it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return UNKNOWN if value is None else str(value)
