# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reads the YAML in which nvidia-ctk writes CDI specifications, as hosts have no YAML library.

Block mappings and lists, and scalars on one line, plain or in quotes; what is beyond that (anchors,
tags, flow style, text over several lines, tabs, a second document) is refused, never guessed.
"""

from __future__ import annotations

import json
import re
from typing import Any, NamedTuple

from .errors import CdiError

_MAX_DEPTH = 32
_KEY = re.compile(r"([A-Za-z][A-Za-z0-9_.-]*|\"[^\"\\]*\"|'[^']*'):(?:[ ]+(.*))?$")
_INTEGER = re.compile(r"-?(0|[1-9][0-9]*)")
_AMBIGUOUS = re.compile(
    r"""[-+]?(0[xob][0-9a-f_]+
             |[0-9][0-9_]*(\.[0-9_]*)?(e[-+]?[0-9]+)?
             |\.[0-9_]+(e[-+]?[0-9]+)?
             |[1-9][0-9_]*(:[0-5]?[0-9])+
             |[0-9][0-9_]*(:[0-5]?[0-9])+\.[0-9_]*
             |\.(inf|nan))
       |[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}.*
       |yes|no|on|off|y|n|true|false|null|=|<<""",
    re.IGNORECASE | re.VERBOSE,
)
"""Numbers, dates and words that mean something else in one version of YAML or another."""
_WORDS: dict[str, Any] = {
    "": None,
    "~": None,
    "null": None,
    "true": True,
    "false": False,
    "[]": [],
    "{}": {},
}
_NOT_PLAIN = tuple("&*!|>%@`{}[],\"'#")


class _Line(NamedTuple):
    number: int
    indent: int
    text: str


def read(text: str) -> Any:
    """Return the value that a YAML document holds. Raises CdiError with the line at fault."""
    lines = []
    for number, line in enumerate(text.splitlines(), 1):
        stripped = line.strip(" ")
        if not stripped or stripped.startswith("#") or (number == 1 and stripped == "---"):
            continue
        if "\t" in line or not line.isprintable():
            raise _error(number, "it has a tab or another control character")
        if stripped in ("---", "...") and line == stripped:
            raise _error(number, "a second document is not understood")
        lines.append(_Line(number, len(line) - len(line.lstrip(" ")), stripped))
    reader = _Reader(lines)
    value = reader.block(0, 0) if lines else None
    if reader.at < len(lines):
        raise _error(
            lines[reader.at].number, "it is indented less or otherwise than what it follows"
        )
    return value


class _Reader:
    def __init__(self, lines: list[_Line]) -> None:
        self._lines = lines
        self.at = 0

    def block(self, least: int, depth: int) -> Any:
        """Read the list or mapping that starts here, indented by at least ``least``."""
        line = self._lines[self.at]
        if line.indent < least:
            return None
        if depth > _MAX_DEPTH:
            raise _error(line.number, f"values are nested more than {_MAX_DEPTH} deep")
        if _is_item(line.text):
            return self._list(line.indent, depth)
        if _KEY.fullmatch(line.text):
            return self._mapping(line.indent, depth)
        self.at += 1
        return _scalar(line.number, line.text)

    def _list(self, indent: int, depth: int) -> list[Any]:
        found = []
        while self._is_here(indent) and _is_item(self._lines[self.at].text):
            line = self._lines[self.at]
            rest = line.text[1:].lstrip(" ")
            if rest:
                # What follows the dash is a block of its own that starts in that column.
                inner = indent + len(line.text) - len(rest)
                self._lines[self.at] = _Line(line.number, inner, rest)
                found.append(self.block(inner, depth + 1))
            else:
                self.at += 1
                found.append(self._nested(indent + 1, depth))
        return found

    def _mapping(self, indent: int, depth: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        while self._is_here(indent):
            line = self._lines[self.at]
            match = _KEY.fullmatch(line.text)
            if match is None:
                break
            key = match[1].strip("\"'")
            if key in found:
                raise _error(line.number, f"the key {key!r} is there twice")
            self.at += 1
            if match[2]:
                found[key] = _scalar(line.number, match[2])
            else:
                # A list may stand in the column of its key.
                here = self._is_here(indent) and _is_item(self._lines[self.at].text)
                found[key] = self._nested(indent if here else indent + 1, depth)
        return found

    def _nested(self, least: int, depth: int) -> Any:
        return self.block(least, depth + 1) if self.at < len(self._lines) else None

    def _is_here(self, indent: int) -> bool:
        return self.at < len(self._lines) and self._lines[self.at].indent == indent


def _is_item(text: str) -> bool:
    return text == "-" or text.startswith("- ")


def _scalar(number: int, text: str) -> Any:
    if text in _WORDS:
        value = _WORDS[text]
        return value.copy() if isinstance(value, (list, dict)) else value
    if text[0] == '"':
        try:
            value = json.loads(text)
        except ValueError:
            raise _error(number, f"this string in quotes is not understood: {text}") from None
        return value
    if text[0] == "'":
        if len(text) < 2 or text[-1] != "'" or "'" in text[1:-1].replace("''", ""):
            raise _error(number, f"this string in quotes is not understood: {text}")
        return text[1:-1].replace("''", "'")
    if _INTEGER.fullmatch(text):
        return int(text)
    if (
        text.startswith((*_NOT_PLAIN, "- ", "? ", ": "))
        or ": " in text
        or " #" in text
        or text.endswith(":")
        or _AMBIGUOUS.fullmatch(text)
    ):
        raise _error(number, f"this is not understood: {text}")
    return text


def _error(number: int, reason: str) -> CdiError:
    return CdiError(
        f"line {number}: {reason}; of YAML only what nvidia-ctk writes is read, a JSON file in full"
    )
