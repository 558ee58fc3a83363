# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Versions of CDI: which one a specification needs, and which ones engines take.

An engine ignores a specification of a version that it does not know, and newer ones also one that
claims a lower version than its fields need; all that users see is "unresolvable CDI devices".
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NamedTuple

from .cdi_spec import Edits, Spec
from .errors import InvalidInput

VERSIONS = ("0.3.0", "0.4.0", "0.5.0", "0.6.0", "0.7.0", "0.8.0", "1.0.0")
"""Those that can be demanded; 1.1.0 adds nothing for GPUs."""
LOWEST = VERSIONS[0]
DIGIT_FIRST = "0.5.0"
"""Device names that start with a digit."""
DOTTED_CLASS = "0.6.0"
GROUPS = "0.7.0"
"""``additionalGids``."""


def number(version: str) -> tuple[int, ...]:
    """Return a version as numbers, to compare it by; a missing part is 0 for all that matters."""
    return tuple(int(part) for part in version.split("."))


def check(version: str) -> str:
    """Return ``version``, or raise InvalidInput if it can't be demanded."""
    if version not in VERSIONS:
        raise InvalidInput(f"CDI version {version!r} is not one of {', '.join(VERSIONS)}")
    return version


class Demand(NamedTuple):
    """A version and what needs it."""

    version: str
    what: str


def demands(spec: Spec) -> tuple[Demand, ...]:
    """Return what in a specification needs which version, lowest first."""
    found = [Demand(LOWEST, "the format")]
    digits = [device.name for device in spec.devices if device.name[0].isdigit()]
    if digits:
        found.append(Demand(DIGIT_FIRST, f"device names that start with a digit ({digits[0]})"))
    if "." in spec.kind.partition("/")[2]:
        found.append(Demand(DOTTED_CLASS, f"a dot in the class of {spec.kind}"))
    if spec.annotated or any(device.annotated for device in spec.devices):
        found.append(Demand("0.6.0", "annotations"))
    for _where, edits in spec.all_edits():
        found += _demands_of(edits)
    return tuple(sorted(dict.fromkeys(found), key=lambda demand: number(demand.version)))


def _demands_of(edits: Edits) -> list[Demand]:
    found = []
    if any(mount.type is not None for mount in edits.mounts):
        found.append(Demand("0.4.0", "a mount's type"))
    if any(node.host_path is not None for node in edits.nodes):
        found.append(Demand("0.5.0", "a device node's hostPath"))
    if "additionalGids" in edits.fields:
        found.append(Demand(GROUPS, "additionalGids"))
    if "intelRdt" in edits.fields:
        found.append(Demand("0.7.0", "intelRdt"))
    if "netDevices" in edits.fields:
        found.append(Demand("1.1.0", "netDevices"))
    return found


@dataclass(frozen=True)
class InstalledEngine:
    """A container engine that is installed on a host."""

    name: str
    """``docker`` or ``podman``."""
    version: str
    """As it tells: ``26.1.5+dfsg1``."""

    def __str__(self) -> str:
        return f"{self.name} {self.version}"


class _Takes(NamedTuple):
    name: str
    since: tuple[int, ...]
    until: tuple[int, ...]
    """From here on it may take more."""
    highest: str


_TAKES = (
    # Recorded: podman 4.3.1 (Debian 12) took 0.3.0 to 0.5.0 and refused 0.6.0, 4.9.3 refuses 0.7.0.
    _Takes("podman", (4, 1), (5,), "0.5.0"),
    # Recorded: podman 5.4.2 (Debian 13) took 0.8.0 and refused 1.0.0.
    _Takes("podman", (5, 4), (5, 5), "0.8.0"),
    # CDI came with 25.0 and a library that knows 0.5.0 and more.
    _Takes("docker", (25,), (25,), "0.5.0"),
    # Recorded: dockerd 26.1.5 (Debian 13) took 0.7.0 and refused 0.8.0.
    _Takes("docker", (26,), (27,), "0.7.0"),
)


def highest(engine: InstalledEngine) -> str | None:
    """Return the highest version that an engine is known to take; ``None``: it has no CDI.

    One that is newer than what was tried takes at least what the newest one that was tried does.
    """
    row = _row(engine)
    return None if row is None else row.highest


def highest_of(engines: tuple[InstalledEngine, ...]) -> str | None:
    """Return the highest version that all of them take; ``None``: none of them has CDI."""
    known = [most for most in map(highest, engines) if most is not None]
    return min(known, key=number, default=None)


def refusals(version: str, engines: tuple[InstalledEngine, ...]) -> tuple[str, ...]:
    """Return, one sentence each, which of a host's engines are known to refuse this version."""
    found = []
    for engine in engines:
        row = _row(engine)
        if (
            row is not None
            and _numbers(engine) < row.until
            and number(version) > number(row.highest)
        ):
            found.append(
                f"{engine} takes CDI specifications of up to version {row.highest}, this is one of "
                f"{version}: containers would fail with 'unresolvable CDI devices'"
            )
    return tuple(found)


def _row(engine: InstalledEngine) -> _Takes | None:
    rows = [row for row in _TAKES if row.name == engine.name and row.since <= _numbers(engine)]
    return max(rows, key=lambda row: row.since, default=None)


def _numbers(engine: InstalledEngine) -> tuple[int, ...]:
    found = re.match(r"[0-9]+(\.[0-9]+)*", engine.version)
    return number(found.group()) if found else ()
