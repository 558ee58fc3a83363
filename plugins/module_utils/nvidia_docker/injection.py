# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a container gets: device nodes, mounts, environment. Everything before computes it, every
rendering starts from it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from .errors import MissingDeviceNode, UnknownVolume
from .model import CONTROL_NODES, REQUIRED_CONTROL_NODES, Host
from .selection import Selected

MOUNT_POINT = "/usr/local/nvidia"
"""Where the driver volume is seen in a container (v1)."""
VOLUME_KIND = "nvidia_driver"
VOLUME_DRIVER = "nvidia-docker"
"""Name of Docker's volume driver: the plugin's socket is called so."""

_VERSION = re.compile(r"(?=.{1,64}\Z)[0-9]+(\.[0-9]+)*")
"""A version names a directory: longer ones no file system takes."""


@dataclass(frozen=True)
class VolumeName:
    """``nvidia_driver_550.54.15``: the driver volume of one driver version.

    ``nvidia_driver``, the stable name: that of whatever driver is loaded when it is mounted.
    """

    version: str | None
    """``None`` for the stable name."""

    @classmethod
    def parse(cls, text: str) -> VolumeName:
        """Read a Docker volume name. Raises UnknownVolume with v1's texts."""
        if text == VOLUME_KIND:
            return STABLE_NAME
        kind, separator, version = text.rpartition("_")
        if (
            not separator
            or not re.fullmatch(r"[a-zA-Z0-9_.-]+", kind)
            or not _VERSION.fullmatch(version)
        ):
            raise UnknownVolume(f"bad volume format: {text}")
        if kind != VOLUME_KIND:
            raise UnknownVolume(f"unsupported volume: {text}")
        return cls(version)

    def __str__(self) -> str:
        return VOLUME_KIND if self.version is None else f"{VOLUME_KIND}_{self.version}"


STABLE_NAME = VolumeName(None)


@dataclass(frozen=True)
class Mount:
    """A Docker volume seen at ``target`` in the container, read-only."""

    volume: str
    target: str
    volume_driver: str


@dataclass(frozen=True)
class FileMount:
    """A file or directory of the host seen at ``target`` in the container."""

    source: str
    target: str
    writable: bool = False
    """For sockets, which nobody could use otherwise; what is on it can't be executed."""


@dataclass(frozen=True)
class Hook:
    """A program of the host that the engine runs when it has made the container's files."""

    path: str
    arguments: tuple[str, ...]
    """After the program's own name."""


@dataclass(frozen=True)
class Injection:
    """Values add up; the order is kept and nothing is there twice."""

    device_nodes: tuple[str, ...] = ()
    mounts: tuple[Mount, ...] = ()
    environment: tuple[tuple[str, str], ...] = ()
    annotations: tuple[tuple[str, str], ...] = ()
    files: tuple[FileMount, ...] = ()
    groups: tuple[int, ...] = ()
    """Numbers of groups of the host whose device nodes the container uses."""
    hooks: tuple[Hook, ...] = ()

    def __add__(self, other: Injection) -> Injection:
        return Injection(
            device_nodes=tuple(dict.fromkeys(self.device_nodes + other.device_nodes)),
            mounts=tuple(dict.fromkeys(self.mounts + other.mounts)),
            environment=tuple(dict.fromkeys(self.environment + other.environment)),
            annotations=tuple(dict.fromkeys(self.annotations + other.annotations)),
            files=tuple(dict.fromkeys(self.files + other.files)),
            groups=tuple(dict.fromkeys(self.groups + other.groups)),
            hooks=tuple(dict.fromkeys(self.hooks + other.hooks)),
        )


def plan(host: Host, devices: Iterable[Selected], volume: VolumeName | None) -> Injection:
    """Return what a container needs to use these devices: the control device nodes, each device's
    own, and the driver volume (none: devices only).

    Raises MissingDeviceNode if one of the nodes is not there; a container started without it would
    fail later and say less.
    """
    control = tuple(
        path
        for path in CONTROL_NODES
        if path in host.control_nodes or path in REQUIRED_CONTROL_NODES
    )
    injection = Injection(device_nodes=control)
    for device in devices:
        injection += Injection(device_nodes=device.device_nodes)
    missing = tuple(path for path in injection.device_nodes if path in host.missing_nodes)
    if missing:
        raise MissingDeviceNode(missing)
    return injection + driver_volume(volume)


def driver_volume(volume: VolumeName | None) -> Injection:
    """Return the part of an injection that mounts the driver volume."""
    if volume is None:
        return Injection()
    return Injection(mounts=(Mount(str(volume), MOUNT_POINT, VOLUME_DRIVER),))
