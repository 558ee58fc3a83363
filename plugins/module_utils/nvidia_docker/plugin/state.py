# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the plugin knows between two requests: where the volumes are, who makes them, and the
machine as last seen."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Callable

from ..host.discovery import module_version, require_driver
from ..host.image_reader import ImageReader, LocalImageReader
from ..host.volume_maker import LocalVolumeMaker, VolumeMaker
from ..model import DeviceDetails, Host

MAX_AGE_S = 1.0
"""The machine is looked at again when a request finds an older picture of it."""


class State:
    """Shared by all threads. The machine is asked by one of them at a time."""

    def __init__(
        self,
        volumes: Path,
        discover: Callable[[], Host],
        describe: Callable[[Host], tuple[DeviceDetails, ...]],
        maker: VolumeMaker | None = None,
        images: ImageReader | None = None,
        module_version: Callable[[], str | None] = module_version,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.volumes = volumes
        """Root of the driver volumes (``-d``)."""
        self.maker = maker or LocalVolumeMaker(volumes)
        self.images = images or LocalImageReader()
        self._module_version = module_version
        self._discover = discover
        self._describe = describe
        self._clock = clock
        self._lock = threading.Lock()
        self._host: Host | None = None
        self._seen_at = 0.0
        self._described: tuple[Host, tuple[DeviceDetails, ...]] | None = None

    def host(self, max_age_s: float = MAX_AGE_S) -> Host:
        """Return the machine as it was at most ``max_age_s`` ago."""
        with self._lock:
            return self._look(max_age_s)

    def described(self) -> tuple[Host, tuple[DeviceDetails, ...]]:
        """Return the machine and the details of its devices, in their order."""
        with self._lock:
            host = self._look(MAX_AGE_S)
            # Details do not change while the driver is loaded: asked once per picture.
            if self._described is None or self._described[0] != host:
                self._described = (host, self._describe(host))
            return self._described

    def loaded_version(self) -> str:
        """Return the version of the loaded driver. Raises DriverUnavailable if none is loaded.

        The kernel module decides: a library of another version can't talk to it. NVML is asked on
        machines whose kernel does not tell.
        """
        return self._module_version() or require_driver(self.host(max_age_s=0))

    def _look(self, max_age_s: float) -> Host:
        now = self._clock()
        if self._host is None or now - self._seen_at >= max_age_s:
            self._host = self._discover()
            self._seen_at = now
        return self._host
