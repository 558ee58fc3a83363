# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether a container may run though its image demands more than the host has."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from . import requirement
from .errors import InvalidInput, UnmetRequirement
from .model import Host
from .requirement import MET, UNMET, Image
from .selection import Selected

ENFORCE, WARN, IGNORE = "enforce", "warn", "ignore"
POLICIES = (ENFORCE, WARN, IGNORE)

IGNORED = "ignored"
NOT_CHECKED = "not checked: image not present"


@dataclass(frozen=True)
class Requirements:
    """What came of an image's requirements on a host."""

    result: str
    """``MET``, ``UNMET`` (with ``WARN`` only), ``IGNORED`` or ``NOT_CHECKED``."""
    conditions: tuple[tuple[str, str], ...] = ()
    """Each with what came of it, see ``requirement.outcomes()``."""
    warning: str | None = None

    @classmethod
    def of(
        cls, policy: str, image: Image | None, host: Host | None, devices: Iterable[Selected]
    ) -> Requirements:
        """Check an image, ``None``: it is not there, by a policy; without ``host`` nothing is
        demanded of it.

        Raises UnmetRequirement or InvalidInput with ``ENFORCE``.
        """
        if policy == IGNORE:
            return cls(IGNORED)
        if image is None:
            return cls(NOT_CHECKED)
        if host is None:
            return NOT_NEEDED
        given = tuple(devices)
        warning = None
        try:
            requirement.check(image, host, given)
        except (UnmetRequirement, InvalidInput) as error:
            if policy == ENFORCE:
                raise
            warning = f"requirements: warn, so the container runs all the same: {error}"
        conditions = requirement.outcomes(image, host, given)
        return cls(UNMET if warning else MET, conditions, warning)


NOT_NEEDED = Requirements(MET)
"""Of a container without GPUs."""
