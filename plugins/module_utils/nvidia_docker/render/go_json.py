# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""JSON as Go's encoder writes it: v1's clients compare bytes."""

from __future__ import annotations

import json

_ESCAPES = str.maketrans({char: f"\\u{ord(char):04x}" for char in "<>&\u2028\u2029"})


def dumps(value: object) -> str:
    """Return ``value`` on one line without blanks, keys in their order, and a newline."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return text.translate(_ESCAPES) + "\n"
