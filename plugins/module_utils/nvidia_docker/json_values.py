# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""JSON values: numbers as they were written, compared, named, and written down."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

_INLINE_WIDTH = 72


class Real(float):
    """A number with a fraction or an exponent that remembers how it was written."""

    text: str

    def __new__(cls, text: str) -> Real:
        """Make the number of its JSON text, e.g. ``1.50``."""
        real = super().__new__(cls, text)
        real.text = text
        return real


def kind(value: Any) -> str:
    """Name the JSON type of a value, with its article."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, (int, float)):
        return "a number"
    if isinstance(value, str):
        return "a string"
    return "an object" if isinstance(value, Mapping) else "a list"


def quote(text: str) -> str:
    """Write a string as JSON, everything but controls as it is."""
    quoted = json.dumps(text, ensure_ascii=False)
    # Half of a surrogate pair is valid in JSON's escapes only, not in UTF-8.
    return json.dumps(text) if re.search("[\ud800-\udfff]", quoted) else quoted


def same(left: Any, right: Any) -> bool:
    """Say whether two values are the same JSON; the order of keys does not count, 1 is not true."""
    return canonical(left) == canonical(right)


def canonical(value: Any) -> str:
    """Return a text that is the same for values that are the same JSON."""
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{quote(k)}:{canonical(v)}" for k, v in sorted(value.items())) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ",".join(canonical(item) for item in value) + "]"
    return _scalar(value)


def dump(value: Any, indent: str, newline: str, level: int) -> str:
    """Write a value whose key is ``level`` times indented; short lists on one line."""
    if isinstance(value, Mapping):
        items = [
            f"{quote(key)}: {dump(item, indent, newline, level + 1)}" for key, item in value.items()
        ]
        opening, closing = "{", "}"
    elif isinstance(value, (list, tuple)):
        items = [dump(item, indent, newline, level + 1) for item in value]
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
