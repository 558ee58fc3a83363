# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""GPUs of this machine: from the driver to docker's options."""

from __future__ import annotations

from collections.abc import Callable

from ..errors import DriverUnavailable, NvidiaDockerError
from ..host.discovery import discover, require_driver
from ..host.modprobe import load_uvm
from ..image_environment import complete
from ..injection import VolumeName, plan
from ..model import REQUIRED_CONTROL_NODES, Host
from ..render.docker_cli import run_arguments
from ..requirement import DRIVER_VOLUME, Image, check
from ..selection import ALL, select


def options(discovered: Callable[[], Host], image: Image, gpus: tuple[str, ...]) -> list[str]:
    """Return what to add to docker's arguments, so that this image gets these GPUs.

    ``discovered`` gives what was found while the engine was asked for the image. Raises
    NvidiaDockerError if the driver can't be used, a GPU is unknown, or the image needs more.
    """
    host = _prepared(discovered())
    version = require_driver(host)
    devices = select(host, gpus or (ALL,))
    check(image, host, devices)
    needed = image.volumes_needed or (DRIVER_VOLUME,)
    volume = VolumeName(version) if DRIVER_VOLUME in needed else None
    return run_arguments(complete(plan(host, devices, volume), image))


def unknown_volumes(image: Image) -> tuple[str, ...]:
    """Return the volumes that the image asks for and that are not ours."""
    return tuple(name for name in image.volumes_needed if name != DRIVER_VOLUME)


def _prepared(host: Host) -> Host:
    """Load the unified memory module; look again if something was missing before."""
    try:
        load_uvm()
    except NvidiaDockerError:
        if host.driver.version is None:
            raise DriverUnavailable(host.reason) from None
        raise
    complete = set(REQUIRED_CONTROL_NODES) <= set(host.control_nodes) and not host.missing_nodes
    return host if complete and host.driver.version is not None else discover()
