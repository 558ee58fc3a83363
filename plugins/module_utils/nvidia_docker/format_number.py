# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is kept on a host carries the number of its format. A newer one is not guessed at."""

from __future__ import annotations

_MOST = 999
"""A number that is greater is damage, not a format."""


def is_newer(found: object, known: int) -> bool:
    """Whether a format number was written by a newer version than one that writes ``known``."""
    return isinstance(found, int) and not isinstance(found, bool) and known < found <= _MOST


def refusal(what: str, found: object, known: int, or_else: str = "") -> str:
    """Return the sentence: what it is, and what to do; ``or_else`` is another way out."""
    return (
        f"{what} has format {found}, this version of gpufleet.nvidia reads {known}: use the "
        f"version that wrote it or a later one{or_else and f', or {or_else}'}"
    )
