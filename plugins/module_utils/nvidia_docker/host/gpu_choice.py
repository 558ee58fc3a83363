# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""GPUs for a container that asks for a number of them: chosen and leased, one task at a time."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from .. import requirement
from ..allocation import choose, units_of
from ..errors import UnmetRequirement
from ..model import Host
from ..requirement import Image
from ..selection import Selected
from . import gpu_users
from .engine import Engine
from .leases import Leases


@dataclass(frozen=True)
class GpuChoice:
    """Chooses GPUs of a host for one container."""

    host: Host
    engine: Engine
    leases: Leases
    container: str
    """Name."""
    number: int
    shared: bool
    """Whether others may have the GPUs too."""

    def look(self, image: Image | None) -> tuple[Selected, ...]:
        """Return what the container would get now, of what offers what the image demands.

        Raises GpusInUse if there are too few, DockerError, LeaseError, or DriverUnavailable.
        """
        uses = gpu_users.look(self.host, self.engine, self.leases).uses()
        unfit = self._unfit(image) if image else {}
        return choose(self.host, self.number, uses, self.container, self.shared, unfit)

    def take(self, image: Image | None) -> tuple[tuple[Selected, ...], Path]:
        """Choose, and return the devices and their lease, to be ended when the container is there.

        Raises as ``look()``; there is no lease then.
        """
        with self.leases.locked():
            devices = self.look(image)
            uuids = tuple(device.uuid for device in devices)
            return devices, self.leases.write(self.container, uuids)

    def _unfit(self, image: Image) -> dict[str, str]:
        """Return by UUID the GPUs that the image can't run on, if there are others that it can."""
        units = units_of(self.host)
        found = {}
        for unit in units:
            try:
                requirement.check(image, self.host, (unit,))
            except UnmetRequirement:
                found[unit.uuid] = f"does not offer what image {image.reference} demands"
        # What no GPU offers is told better by the check of them all.
        return found if len(found) < len(units) else {}
