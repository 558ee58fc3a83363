# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who may write to the store of driver volumes, and how the others ask for it.

The plugin reads requests of strangers, so it has no write access. A volume maker has, and takes one
request per connection of a unix socket: a line of JSON each way. What it makes is this machine's
own driver's volume, so that a request can choose nothing but which version to make or to remove.
"""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Protocol

from ..errors import DriverVolumeError, InvalidInput, NvidiaDockerError
from . import driver_volume, volume_store
from .driver_volume import Wanted

TIMEOUT_S = 300
"""A volume of copies on a slow disk."""
LARGEST_REQUEST = 1024
_LARGEST_ANSWER = 1024 * 1024


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
        return driver_volume.create(self._root, version, self._driver_root, self._wanted).warnings

    def remove(self, version: str) -> None:
        volume_store.remove(self._root, version)


class RemoteVolumeMaker:
    """A volume maker behind a unix socket."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def make(self, version: str) -> tuple[str, ...]:
        return self._ask("make", version)

    def remove(self, version: str) -> None:
        self._ask("remove", version)

    def _ask(self, action: str, version: str) -> tuple[str, ...]:
        request = json.dumps({"action": action, "version": version}) + "\n"
        try:
            with socket.socket(socket.AF_UNIX) as connection:
                connection.settimeout(TIMEOUT_S)
                connection.connect(str(self._path))
                connection.sendall(request.encode())
                with connection.makefile("rb") as stream:
                    answer = stream.readline(_LARGEST_ANSWER)
        except OSError as error:
            raise DriverVolumeError(
                f"the volume maker at {self._path} can't be asked ({error.strerror or error}): "
                "start nvidia-docker-volume-maker.socket"
            ) from error
        try:
            told = json.loads(answer)
            problem, warnings = told["error"], tuple(map(str, told["warnings"]))
        except (ValueError, KeyError, TypeError) as error:
            raise DriverVolumeError(
                f"the volume maker at {self._path} gave no answer: see "
                "journalctl --unit='nvidia-docker-volume-maker@*'"
            ) from error
        if problem is not None:
            raise DriverVolumeError(str(problem))
        return warnings


def answer(maker: VolumeMaker, request: bytes) -> bytes:
    """Do what a request asks for and return the answer to it. Raises nothing of ours."""
    warnings: tuple[str, ...] = ()
    problem: str | None = None
    try:
        action, version = _read(request)
        if action == "make":
            warnings = maker.make(version)
        else:
            maker.remove(version)
    except NvidiaDockerError as error:
        problem = str(error)
    return (json.dumps({"error": problem, "warnings": warnings}) + "\n").encode()


def _read(request: bytes) -> tuple[str, str]:
    try:
        asked = json.loads(request)
        action, version = asked["action"], asked["version"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise InvalidInput(f"a request is one line of JSON, not {request[:80]!r}") from error
    if action not in ("make", "remove") or not isinstance(version, str):
        raise InvalidInput(f"can't {action!r} {version!r}: make or remove a driver version")
    return action, version
