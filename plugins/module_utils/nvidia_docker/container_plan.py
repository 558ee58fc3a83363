# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a container that is managed by Ansible gets, by whichever way GPUs come into it."""

from __future__ import annotations

from dataclasses import dataclass, field

from .container_capabilities import DEFAULT
from .driver_files import DriverCapability
from .injection import Injection
from .model import Device
from .selection import Selected

DRIVER_VOLUME = "driver_volume"
"""Device nodes by name, and the driver volume."""
CDI = "cdi"
"""CDI devices, which the engine looks up in a specification at each start."""
DEVICE_REQUEST = "device_request"
"""``docker run --gpus``: dockerd has NVIDIA's hook inject them at each start."""
RUNTIME = "runtime"
"""NVIDIA's runtime injects what NVIDIA_VISIBLE_DEVICES names at each start."""
KINDS = (DRIVER_VOLUME, CDI, DEVICE_REQUEST, RUNTIME)
"""Best first: what comes with the container rather than by a hook stays in it."""
AUTO = "auto"
"""The kind that the container has, else the best that the host has."""


@dataclass(frozen=True)
class DeviceRequest:
    """Devices that the engine's device driver ``driver`` gives, and what they are to be able to."""

    driver: str
    device_ids: tuple[str, ...]
    """Sorted: Docker keeps their order, and another order is no other request."""
    capabilities: tuple[str, ...] = ()


@dataclass(frozen=True)
class ContainerPlan:
    """What one container gets of this host."""

    kind: str | None = None
    """One of ``KINDS``; ``None``: no GPU."""
    devices: tuple[Selected, ...] = ()
    """In NVML order."""
    injection: Injection = field(default_factory=Injection)
    """What the container itself is given: device nodes, mounts, environment, groups."""
    requests: tuple[DeviceRequest, ...] = ()
    runtime: str | None = None
    capabilities: frozenset[DriverCapability] = frozenset()
    """What it was planned for."""
    effective: frozenset[DriverCapability] = DEFAULT
    """Those of them by which the container differs from others; the rest is the volume's or the
    specification's matter."""
    driver: str | None = None
    """Version, ``None`` without GPUs."""
    sharing: str = "named"
    """Whether others may have the same GPUs (container_labels.py)."""
    asked_indices: tuple[str, ...] = ()
    """Indices by which the GPUs were asked for; they may name others after a reboot."""
    nodes_of_others: tuple[str, ...] = ()
    """Device nodes that the engine adds by itself, as far as that is known."""


def index_of(device: Selected) -> str:
    """Return how a device can be named by its place: ``0``, of a MIG device ``0:1``."""
    if isinstance(device, Device):
        return str(device.index)
    return f"{device.gpu_index}:{device.index}"
