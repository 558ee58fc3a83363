# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Versions of CUDA, drivers and GPU architectures, as requirements compare them."""

from __future__ import annotations

from .errors import InvalidInput


class Version:
    """Digits and dots, compared number by number; missing ones are 0, so that 12 is 12.0.0.

    Raises InvalidInput for other text.
    """

    __slots__ = ("_numbers", "text")

    def __init__(self, text: str) -> None:
        numbers = [number.lstrip("0") for number in text.split(".")]
        digits = text.replace(".", "")
        if not (digits.isascii() and digits.isdigit()):
            raise InvalidInput(f"{text[:80]!r} is no version: digits joined by dots")
        while numbers and not numbers[-1]:
            numbers.pop()
        self.text = text
        # Not int(): it is slow for, and then refuses, as many digits as an image can have.
        self._numbers = tuple((len(number), number) for number in numbers)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Version) and self._numbers == other._numbers

    def __hash__(self) -> int:
        return hash(self._numbers)

    def __lt__(self, other: Version) -> bool:
        return self._numbers < other._numbers

    def __le__(self, other: Version) -> bool:
        return self._numbers <= other._numbers

    def __gt__(self, other: Version) -> bool:
        return self._numbers > other._numbers

    def __ge__(self, other: Version) -> bool:
        return self._numbers >= other._numbers
