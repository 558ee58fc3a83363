# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The driver capabilities that a container is given: what the task says, else the image."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from .driver_files import ALL_CAPABILITIES, DriverCapability
from .errors import InvalidInput

VARIABLE = "NVIDIA_DRIVER_CAPABILITIES"
"""Of images, and of containers whose GPUs NVIDIA's runtime or its hook injects."""
DEFAULT = frozenset((DriverCapability.COMPUTE, DriverCapability.UTILITY))
"""Of an image that says nothing."""

_ALL = "all"
_WORDS = {one.value: frozenset((one,)) for one in DriverCapability} | {_ALL: ALL_CAPABILITIES}


@dataclass(frozen=True)
class WantedCapabilities:
    """What a container is to be able to do."""

    capabilities: frozenset[DriverCapability] = DEFAULT
    demanded: frozenset[DriverCapability] = frozenset()
    """Those of them that the task names one by one: without these there is to be no container."""

    @property
    def words(self) -> tuple[str, ...]:
        """Return them as NVIDIA_DRIVER_CAPABILITIES names them, sorted."""
        return words(self.capabilities)


def words(capabilities: Iterable[DriverCapability]) -> tuple[str, ...]:
    """Return capabilities as NVIDIA_DRIVER_CAPABILITIES names them, sorted."""
    return tuple(sorted(one.value for one in capabilities))


def read(given: Iterable[str] | None, environment: Mapping[str, str]) -> WantedCapabilities:
    """Return the capabilities that ``given`` names, without it those of the environment.

    ``environment`` is the image's with the container's own. As with NVIDIA's toolkit, a variable
    that is unset or empty stands for compute and utility; a word of an image that nobody knows is
    passed over. Raises InvalidInput for a word of ``given`` that is no capability, and for none.
    """
    if given is None:
        named = [word.strip() for word in environment.get(VARIABLE, "").split(",")]
        found = frozenset[DriverCapability]().union(*(_WORDS.get(word, ()) for word in named))
        return WantedCapabilities(found or DEFAULT)
    asked = list(given)
    unknown = [word for word in asked if word not in _WORDS]
    if unknown or not asked:
        raise InvalidInput(
            f"capabilities: {unknown[0]!r} is no driver capability: give some of "
            f"{', '.join(_WORDS)}"
            if unknown
            else f"capabilities: an empty list asks for nothing: give some of {', '.join(_WORDS)}, "
            "or leave it out"
        )
    wanted = frozenset[DriverCapability]().union(*(_WORDS[word] for word in asked))
    return WantedCapabilities(wanted, frozenset() if _ALL in asked else wanted)
