# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""daemon.json as text: read strictly, merge into it, take out of it, write it down again.

The strictest reader of a fleet decides: what one dockerd refuses or silently cuts is refused here,
with line and column. What a change leaves alone is copied as it was written.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .errors import DaemonJsonError
from .json_reader import Real, kind, quote, read

Config = dict[str, Any]
"""Keys of daemon.json and their values, in the order of the file."""

DEFAULT_INDENT = "  "
_INLINE_WIDTH = 72

_FIRST_INDENT = re.compile(r'\s*\{[ \t]*\r?\n([ \t]+)"')


@dataclass(frozen=True)
class Document:
    """A daemon.json: its text, what it says, and the text of each top-level value."""

    text: str = ""
    config: Config = field(default_factory=dict)
    written: Mapping[str, str] = field(default_factory=dict)

    @property
    def indent(self) -> str:
        """White space before a top-level key; two blanks where the file has all on one line."""
        found = _FIRST_INDENT.match(self.text)
        return found.group(1) if found else DEFAULT_INDENT

    @property
    def newline(self) -> str:
        """How the file ends its lines."""
        return "\r\n" if "\r\n" in self.text else "\n"


def parse(data: bytes, name: str = "daemon.json") -> Document:
    """Return what a file says; an empty or blank one and ``null`` are an empty configuration.

    ``name`` is what the message calls the file. Raises DaemonJsonError with ``name:line:column``
    for comments, a trailing comma, a BOM, duplicate keys, a second document, anything but an
    object, and whatever else JSON does not know.
    """
    config, written = read(data, name)
    return Document(data.decode("utf-8"), config, written)


def merge(current: Config, wanted: Mapping[str, Any]) -> Config:
    """Return ``current`` with ``wanted`` in it: maps are merged, lists and all else replaced.

    Keys keep their order, new ones follow. Raises DaemonJsonError where one side has a map and the
    other does not: replacing it would drop what somebody else has put there.
    """
    return _merge(current, wanted, "")


def without(current: Config, wanted: Mapping[str, Any]) -> Config:
    """Return ``current`` less the values that equal ``wanted``'s, and the maps that empties."""
    rest: Config = {}
    for key, value in current.items():
        if key not in wanted:
            rest[key] = value
        elif isinstance(value, dict) and isinstance(wanted[key], Mapping):
            inner = without(value, wanted[key])
            if inner or (not value and wanted[key]):
                rest[key] = inner
        elif not same(value, wanted[key]):
            rest[key] = value
    return rest


def same(left: Any, right: Any) -> bool:
    """Say whether two values are the same JSON; the order of keys does not count, 1 is not true."""
    return _canonical(left) == _canonical(right)


def render(document: Document, config: Mapping[str, Any]) -> str:
    """Return the text of ``config`` in the style of ``document``.

    Values that did not change are copied from it as written; an equal configuration is its text.
    """
    if document.text and same(config, document.config):
        return document.text
    lines = []
    for key, value in config.items():
        written = document.written.get(key)
        if written is None or not same(value, document.config[key]):
            written = _dump(value, document.indent, document.newline, 1)
        lines.append(f"{document.indent}{quote(key)}: {written}")
    newline = document.newline
    body = f",{newline}".join(lines)
    return f"{{{newline}{body}{newline}}}{newline}" if lines else f"{{}}{newline}"


def _merge(current: Config, wanted: Mapping[str, Any], where: str) -> Config:
    merged = dict(current)
    for key, value in wanted.items():
        old = merged.get(key)
        place = f"{where}{key}"
        if isinstance(value, Mapping) and (old is None or isinstance(old, dict)):
            merged[key] = _merge(old or {}, value, f"{place}.")
        elif old is not None and isinstance(old, dict) != isinstance(value, Mapping):
            raise DaemonJsonError(
                f"{place} is {kind(old)} in the file and {kind(value)} is wanted: "
                "correct the one that is wrong"
            )
        elif key not in merged or not same(old, value):
            merged[key] = value
    return merged


def _canonical(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{quote(k)}:{_canonical(v)}" for k, v in sorted(value.items())) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ",".join(_canonical(item) for item in value) + "]"
    return _scalar(value)


def _dump(value: Any, indent: str, newline: str, level: int) -> str:
    if isinstance(value, Mapping):
        items = [
            f"{quote(key)}: {_dump(item, indent, newline, level + 1)}"
            for key, item in value.items()
        ]
        opening, closing = "{", "}"
    elif isinstance(value, (list, tuple)):
        items = [_dump(item, indent, newline, level + 1) for item in value]
        opening, closing = "[", "]"
        line = f"[{', '.join(items)}]"
        if len(line) <= _INLINE_WIDTH and not any(isinstance(v, (Mapping, list)) for v in value):
            return line
    else:
        return _scalar(value)
    if not items:
        return opening + closing
    inner = newline + indent * (level + 1)
    return opening + inner + f",{inner}".join(items) + newline + indent * level + closing


def _scalar(value: Any) -> str:
    if isinstance(value, str):
        return quote(value)
    return value.text if isinstance(value, Real) else json.dumps(value)
