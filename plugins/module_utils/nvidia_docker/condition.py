# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The grammar of NVIDIA_REQUIRE_*, as libnvidia-container has it.

    condition: term { " " term }      one of the terms has to hold; the first that does ends it
    term:      factor { "," factor }  all of the factors have to hold
    factor:    key operator value     cuda>=12.4  driver<471  arch>=8.0  brand=tesla

Blanks and commas may repeat; a condition without factors holds. A lone ``!`` is ``!=``. Keys and
brands are compared without case. As there, what follows a term that holds is not read.
"""

from __future__ import annotations

from .errors import InvalidInput
from .version import Version

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from .model import Device, Driver

KEYS = ("cuda", "driver", "arch", "brand")
_LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
_OPERATORS = (">=", "<=", "!=", "=", "<", ">", "!")
_LONGEST_SHOWN = 80


class Factor:
    """One comparison. ``key`` is lower case, ``operator`` one of ``= != < <= > >=``.

    Raises InvalidInput, naming the text, if it is none.
    """

    __slots__ = ("key", "operator", "value", "version")

    def __init__(self, text: str) -> None:
        rest = text.lstrip(_LETTERS)
        self.key = text[: len(text) - len(rest)].lower()
        operator = next((one for one in _OPERATORS if rest.startswith(one)), "")
        self.value = rest[len(operator) :]
        self.operator = "!=" if operator == "!" else operator
        shown = f"'{_shown(text)}'"
        if self.key not in KEYS or not operator or not self.value or self.value[0] in "=!<>":
            raise InvalidInput(
                f"requirement {shown} is not understood: cuda, driver, arch or brand, then one of "
                "= != < <= > >=, then a value"
            )
        if self.key == "brand":
            if self.operator not in ("=", "!="):
                raise InvalidInput(f"requirement {shown}: brands can be compared by = and != only")
            return
        try:
            self.version = Version(self.value)
        except InvalidInput as error:
            raise InvalidInput(f"requirement {shown}: {error}") from None

    def __str__(self) -> str:
        return f"{self.key}{self.operator}{self.shown}"

    @property
    def shown(self) -> str:
        """The value, short and harmless to a terminal."""
        return _shown(self.value)

    def of_driver(self, driver: Driver) -> str | None:
        """Return what a driver has of what ``cuda`` or ``driver`` compares."""
        return driver.cuda_version if self.key == "cuda" else driver.version

    def of_gpu(self, gpu: Device) -> str | None:
        """Return what a GPU has of what ``arch`` or ``brand`` compares."""
        return gpu.compute_capability if self.key == "arch" else gpu.brand

    def holds(self, driver: Driver, gpu: Device | None) -> bool:
        """Whether this driver, with this GPU, meets it.

        Without a GPU there is no architecture or brand to refuse, and one that the GPU does not
        tell is not held against it (libnvidia-container). Without a driver nothing can be served.
        """
        if self.key in ("cuda", "driver"):
            has = self.of_driver(driver)
            return has is not None and self._allows(Version(has))
        has = None if gpu is None else self.of_gpu(gpu)
        if has is None:
            return True
        if self.key == "brand":
            return (has.lower() == self.value.lower()) == (self.operator == "=")
        return self._allows(Version(has))

    def _allows(self, version: Version) -> bool:
        if self.operator == "=":
            return version == self.version
        if self.operator == "!=":
            return version != self.version
        if self.operator == "<":
            return version < self.version
        if self.operator == "<=":
            return version <= self.version
        if self.operator == ">":
            return version > self.version
        return version >= self.version


def _shown(text: str) -> str:
    return repr(text[:_LONGEST_SHOWN])[1:-1]


class Condition:
    """The value of one variable NVIDIA_REQUIRE_*."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def __str__(self) -> str:
        return repr(self._text)[1:-1]

    def holds(self, driver: Driver, gpu: Device | None) -> bool:
        """Whether this driver, with this GPU, meets one of the terms.

        Raises InvalidInput for a factor that is none, if it is come to.
        """
        empty = True
        for term in self._terms():
            if all(Factor(text).holds(driver, gpu) for text in term):
                return True
            empty = False
        return empty

    def terms(self) -> list[list[Factor]]:
        """Return all terms. Raises InvalidInput for a factor that is none."""
        return [[Factor(text) for text in term] for term in self._terms()]

    def _terms(self) -> Iterator[list[str]]:
        for term in self._text.split(" "):
            factors = [text for text in term.split(",") if text]
            if factors:
                yield factors
