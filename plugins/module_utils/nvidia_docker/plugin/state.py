# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the plugin knows between two requests: where the volumes are, who makes them, and the
machine as last seen."""

from __future__ import annotations

import logging
import time
from collections.abc import Hashable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any, Callable, TypeVar

from ..errors import NvidiaDockerError
from ..host.discovery import module_version, require_driver, sample
from ..host.image_reader import ImageReader, LocalImageReader
from ..host.volume_maker import LocalVolumeMaker, VolumeMaker
from ..model import DeviceDetails, DeviceStatus, Host
from .sweeper import PATIENCE_S, Sweeper

GLANCE_S = 10.0
"""Who only wants to know whether the driver answers causes one sweep in so long, at most."""

_T = TypeVar("_T")

logger = logging.getLogger(__name__)


class Part(Enum):
    """What can be known of the machine; each is asked only while somebody wants it."""

    HOST = "host"
    DETAILS = "details"
    STATUS = "status"


@dataclass(frozen=True)
class Picture:
    """The machine as one sweep saw it, and what was rendered from it."""

    host: Host
    _details: tuple[DeviceDetails, ...] | Exception | None = None
    _statuses: tuple[DeviceStatus, ...] | Exception | None = None
    began: float = 0.0
    """When the sweep began, in seconds since 1970."""
    took_s: float = 0.0
    pages: dict[Callable[[Picture], Any], Any] = field(default_factory=dict, compare=False)

    @property
    def details(self) -> tuple[DeviceDetails, ...]:
        """In the order of the devices. Raises what asking for them raised."""
        return _value(self._details)

    @property
    def statuses(self) -> tuple[DeviceStatus, ...]:
        """In the order of the devices. Raises what asking for them raised."""
        return _value(self._statuses)


class State:
    """Shared by all threads. None of those that answer requests ever waits for NVML itself."""

    def __init__(
        self,
        volumes: Path,
        discover: Callable[[], Host],
        describe: Callable[[Host], tuple[DeviceDetails, ...]],
        maker: VolumeMaker | None = None,
        images: ImageReader | None = None,
        module_version: Callable[[], str | None] = module_version,
        clock: Callable[[], float] = time.monotonic,
        sample: Callable[[Host], tuple[DeviceStatus, ...]] = sample,
        keep_open: Callable[[], AbstractContextManager[None]] = nullcontext,
        patience_s: float = PATIENCE_S,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self.volumes = volumes
        """Root of the driver volumes (``-d``)."""
        self.maker = maker or LocalVolumeMaker(volumes)
        self.images = images or LocalImageReader()
        self._module_version = module_version
        self._discover = discover
        self._describe = describe
        self._sample = sample
        self._keep_open = keep_open
        self._clock = clock
        self._wall_clock = wall_clock
        self._sweeper: Sweeper[Picture] = Sweeper(self._sweep, clock, patience_s)
        self._described: tuple[Host, tuple[DeviceDetails, ...]] | None = None

    def host(self, newer: bool = False) -> Host:
        """Return the machine as last seen; with ``newer`` it is looked at after this call.

        Raises DriverUnavailable when the driver does not answer.
        """
        return self._sweeper.latest(Part.HOST, newer).host

    def page(self, part: Part, build: Callable[[Picture], _T], once: bool = False) -> _T:
        """Return what ``build`` makes of a picture that has ``part``; it is made once for each.

        Who asks seldom does so with ``once``: it costs one sweep. Raises DriverUnavailable when the
        driver does not answer.
        """
        picture = self._sweeper.latest(part, once=once)
        page: _T | None = picture.pages.get(build)
        if page is None:
            # Two threads may make the same one: that costs less than to let one wait.
            page = picture.pages[build] = build(picture)
        return page

    def glance(self) -> Picture | None:
        """Return the last picture, of the last seconds if anybody asks, without waiting for it.

        ``None`` before the first one. Raises DriverUnavailable when the driver does not answer.
        """
        return self._sweeper.glance(Part.HOST, GLANCE_S)

    def last_picture(self) -> Picture | None:
        """Return the last picture, however old: for a driver that does not answer any more."""
        return self._sweeper.last()

    def loaded_version(self) -> str:
        """Return the version of the loaded driver. Raises DriverUnavailable if none is loaded.

        The kernel module decides: a library of another version can't talk to it. NVML is asked on
        machines whose kernel does not tell.
        """
        return self._module_version() or require_driver(self.host(newer=True))

    def stop(self) -> None:
        """Ask the driver no more."""
        self._sweeper.stop()

    def _sweep(self, parts: frozenset[Hashable]) -> Picture:
        began, start = self._wall_clock(), self._clock()
        with self._keep_open():
            host = self._discover()
            details = _attempt(self._details_of, host) if Part.DETAILS in parts else None
            statuses = _attempt(self._sample, host) if Part.STATUS in parts else None
        return Picture(host, details, statuses, began, self._clock() - start)

    def _details_of(self, host: Host) -> tuple[DeviceDetails, ...]:
        # They do not change while the driver is loaded: asked once per host.
        if self._described is None or self._described[0] != host:
            self._described = (host, self._describe(host))
        return self._described[1]


def _attempt(ask: Callable[[Host], tuple[_T, ...]], host: Host) -> tuple[_T, ...] | Exception:
    """What fails costs its own part only: those who want it are told."""
    try:
        return ask(host)
    except NvidiaDockerError as error:
        return error
    except Exception as error:
        logger.exception("Error: looking at the GPUs")
        return error


def _value(known: tuple[_T, ...] | Exception | None) -> tuple[_T, ...]:
    if isinstance(known, Exception):
        raise known.with_traceback(None)
    if known is None:
        raise AssertionError("this part was not asked for")
    return known
