# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""daemon.json as text: read strictly, merge into it, take out of it, write it down again.

The strictest reader of a fleet decides: what one dockerd refuses or silently cuts is refused here,
with line and column. What a change leaves alone is copied as it was written.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from .daemon_json_lists import NOTHING, Path, parts, with_parts
from .errors import DaemonJsonError
from .json_reader import read
from .json_values import canonical, dump, kind, quote, same

Config = dict[str, Any]
"""Keys of daemon.json and their values, in the order of the file."""

DEFAULT_INDENT = "  "

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
    """Return ``current`` with ``wanted`` in it: maps by key, lists as LISTS says, else replaced.

    Keys keep their order, new ones follow. Raises DaemonJsonError where one side has a map or such
    a list and the other does not: replacing it would drop what somebody else has put there.
    """
    return dict(_merge((), current, wanted))


def render(document: Document, config: Mapping[str, Any], original: Document | None = None) -> str:
    """Return the text of ``config`` in the style of ``document``.

    Values that did not change are copied from it as written; an equal configuration is its text.
    Values that are again what they were in ``original`` are written as there.
    """
    if document.text and same(config, document.config):
        return document.text
    lines = []
    for key, value in config.items():
        written = _written(key, value, document) or (original and _written(key, value, original))
        written = written or dump(value, document.indent, document.newline, 1)
        lines.append(f"{document.indent}{quote(key)}: {written}")
    newline = document.newline
    body = f",{newline}".join(lines)
    return f"{{{newline}{body}{newline}}}{newline}" if lines else f"{{}}{newline}"


def _written(key: str, value: Any, document: Document) -> str | None:
    there = key in document.written and same(value, document.config[key])
    return document.written[key] if there else None


def _merge(path: Path, current: Any, wanted: Any) -> Any:
    there = parts(path, current) or {}
    changes: dict[str, Any] = {}
    for name, value in (parts(path, wanted) or {}).items():
        old = there.get(name, NOTHING)
        if isinstance(wanted, Mapping):
            merged = _merged((*path, name), old, value)
        else:
            merged = old if old is not NOTHING and _same_items(old, value) else value
        if merged is not old:
            changes[name] = merged
    return with_parts(path, current, changes) if changes else current


def _merged(path: Path, old: Any, value: Any) -> Any:
    if old is NOTHING or old is None:
        if parts(path, value) is None:
            return value
        return _merge(path, {} if isinstance(value, Mapping) else [], value)
    there, inside = parts(path, old), parts(path, value)
    if (there or inside) and kind(old) != kind(value):
        raise DaemonJsonError(
            f"{'.'.join(path)} is {kind(old)} in the file and {kind(value)} is wanted: "
            "correct the one that is wrong"
        )
    if inside is None or there is None:
        return old if same(old, value) else value
    return _merge(path, old, value)


def _same_items(left: Iterable[Any], right: Iterable[Any]) -> bool:
    return {canonical(item) for item in left} == {canonical(item) for item in right}
