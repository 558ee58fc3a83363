# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who may write to the store of driver volumes, and how the others ask for it.

The plugin has no write access: it asks the helper nvidia-docker-volume-maker. What that makes is
this machine's own driver's volume, so that a request can choose nothing but which version to make
or to remove.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from ..errors import DriverVolumeError, InvalidInput
from . import driver_volume, volume_store
from .driver_volume import Wanted
from .helper import Helper

PROGRAM = "nvidia-docker-volume-maker"
_TIMEOUT_S = 300
"""A volume of copies on a slow disk."""


class VolumeMaker(Protocol):
    """Makes and removes the volumes of one store."""

    def make(self, version: str) -> tuple[str, ...]:
        """Make the loaded driver's volume, or make it right, and return warnings.

        Raises NvidiaDockerError; what was there is still there then.
        """

    def remove(self, version: str) -> None:
        """Remove a volume; none is fine. Raises NvidiaDockerError."""


class LocalVolumeMaker:
    """This process makes them."""

    def __init__(
        self, root: Path, driver_root: Path = Path("/"), wanted: Wanted | None = None
    ) -> None:
        self._root = root
        self._driver_root = driver_root
        self._wanted = wanted

    def make(self, version: str) -> tuple[str, ...]:
        made = driver_volume.create(self._root, version, self._driver_root, self._wanted)
        if made.changed and made.link != "hard":
            # It takes space, and v1 could not do it: whoever reads the log should know.
            return (
                *made.warnings,
                f"files came into {made.path} by {made.link}, not as hard links",
            )
        return made.warnings

    def remove(self, version: str) -> None:
        volume_store.remove(self._root, version)


class RemoteVolumeMaker:
    """The helper behind a unix socket makes them."""

    def __init__(self, path: Path) -> None:
        self._helper = Helper(path, PROGRAM, DriverVolumeError, _TIMEOUT_S)

    def make(self, version: str) -> tuple[str, ...]:
        answer = self._helper.ask({"action": "make", "version": version})
        return tuple(map(str, answer.get("warnings", ())))

    def remove(self, version: str) -> None:
        self._helper.ask({"action": "remove", "version": version})


def act(maker: VolumeMaker, request: Mapping[str, Any]) -> dict[str, object]:
    """Do what the helper is asked for and return the answer's members. Raises NvidiaDockerError."""
    action, version = request.get("action"), request.get("version")
    if action not in ("make", "remove") or not isinstance(version, str):
        raise InvalidInput(f"can't {action!r} {version!r}: make or remove a driver version")
    if action == "make":
        return {"warnings": maker.make(version)}
    maker.remove(version)
    return {}
