# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The table of what differs from v1 on purpose: fixed_on_purpose.json, and the page made of it.

A row names recording and item, and the very lines by which our answer differs from the recorded
one: as all other lines are equal, this is our whole answer.
"""

from __future__ import annotations

import json
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CHECKOUT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(CHECKOUT / ".dev"))

from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker import (  # noqa: E402
    __version__,
)

TABLE = Path(__file__).with_suffix(".json")
PAGE = CHECKOUT / "docs" / "conformance.md"
BEGIN, END = "<!-- table: begin -->", "<!-- table: end -->"


Place = tuple[str, str]
"""A recording and an item of it."""


@dataclass(frozen=True)
class Difference:
    """The same change at one or more places."""

    places: tuple[Place, ...]
    changes: tuple[str, ...]
    like: Place | None
    """The changes are those from what was recorded there; ``None``: at the place itself."""


@dataclass(frozen=True)
class Row:
    """Why something differs, and where."""

    title: str
    reason: str
    differences: tuple[Difference, ...]


def read(path: Path = TABLE) -> tuple[Row, ...]:
    """Return the table; ``{version}`` in it is that of this collection."""
    text = path.read_text(encoding="utf-8").replace("{version}", __version__)
    return tuple(
        Row(row["title"], row["reason"], tuple(map(_difference, row["differences"])))
        for row in json.loads(text)
    )


def _difference(one: dict[str, Any]) -> Difference:
    places = tuple((recording, name) for recording in one["at"] for name in one["at"][recording])
    like = one.get("like")
    return Difference(places, tuple(one["changes"]), None if like is None else (like[0], like[1]))


class Table:
    """Rows by place."""

    def __init__(self, rows: tuple[Row, ...]) -> None:
        self._by_place: dict[Place, Difference] = {}
        for row in rows:
            for difference in row.differences:
                for place in difference.places:
                    if place in self._by_place:
                        raise SystemExit(f"Error: {TABLE.name} has {place} twice")
                    self._by_place[place] = difference

    def at(self, place: Place) -> Difference | None:
        """Return how a place is to differ; ``None``: not at all."""
        return self._by_place.get(place)

    def knows(self, item: str, changes: tuple[str, ...]) -> bool:
        """Whether each change is one of those at items of this name, in whatever recording.

        It may be of another GPU, process or driver: the numbers of list members and the driver's
        version in a volume's name do not count.
        """
        known = {
            change
            for place, row in self._by_place.items()
            if _subject(place[1]) == _subject(item) and row.like is None
            for change in _split(row.changes)
        }
        return known.issuperset(_split(changes))

    def places(self) -> tuple[Place, ...]:
        """Return every place that has a row."""
        return tuple(self._by_place)


_NUMBER = re.compile(r"(?<=\[)[0-9]+(?=\])|(?<=nvidia_driver_)[0-9]+(\.[0-9]+)+")
_OF_ANY_COMMAND_LINE = re.compile(r".*: (docker|environment|requests)")


def _subject(item: str) -> str:
    """Return the name of an item, without that of a command line where it does not matter."""
    found = _OF_ANY_COMMAND_LINE.fullmatch(item)
    return found[1] if found else item


def _split(changes: tuple[str, ...]) -> list[tuple[str, ...]]:
    """Return changes one by one: lines that go, with the lines that stand there instead."""
    parts: list[tuple[str, ...]] = []
    previous = "+"
    for line in changes:
        if (previous == "+" and line[0] == "-") or not parts:
            parts.append(())
        parts[-1] += (_NUMBER.sub("", line),)
        previous = line[0]
    return parts


_SHOWN = 8
_WIDTH = 120
"""The page shows the beginning of long changes; the table has them all."""


def page(rows: tuple[Row, ...]) -> str:
    """Return the table as Markdown."""
    text = []
    for row in rows:
        count = sum(len(difference.places) for difference in row.differences)
        text += [f"### {row.title}", "", row.reason, ""]
        text += [f"<details><summary>{count} recorded</summary>", ""]
        for difference in row.differences:
            recordings: dict[str, list[str]] = {}
            for recording, name in difference.places:
                recordings.setdefault(recording, []).append(f"`` {name} ``")
            text += [
                f"- {recording}: {', '.join(names)}" for recording, names in recordings.items()
            ]
            if difference.like is not None:
                text += [
                    "",
                    f"As recorded in {difference.like[0]}: `` {difference.like[1]} ``, but",
                ]
            shown = [_cut(line) for line in difference.changes[:_SHOWN]]
            if len(difference.changes) > _SHOWN:
                shown.append(f"… {len(difference.changes) - _SHOWN} more lines")
            text += ["", "```diff", *shown, "```", ""]
        text += ["</details>", ""]
    return "\n".join(text)


def _cut(line: str) -> str:
    return line if len(line) <= _WIDTH else f"{line[:_WIDTH]}…"


def with_page(document: str, rows: tuple[Row, ...]) -> str:
    """Return a document with the table between its two marks."""
    before, _begin, rest = document.partition(BEGIN)
    _old, _end, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{page(rows)}\n{END}{after}"


def write_page() -> None:
    """Bring the page up to date."""
    document = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(with_page(document, read()), encoding="utf-8")
