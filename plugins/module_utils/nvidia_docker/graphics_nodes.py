# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The device nodes that a container needs to draw, beside those that it needs to compute."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from .driver_files import DriverCapability, with_implied
from .injection import Injection
from .model import MODESET_NODE, Device, DeviceNode, Host
from .selection import Selected


@dataclass(frozen=True)
class GraphicsNodes:
    """What there is of them on a host."""

    drm_nodes: Mapping[str, tuple[str, ...]]
    """By PCI bus id: card and render node."""
    known: Mapping[str, DeviceNode]
    """By path: DRM nodes and the modeset node, as they are; what is not in it is not there."""


def plan_graphics(
    host: Host,
    devices: Iterable[Selected],
    capabilities: Iterable[DriverCapability],
    nodes: GraphicsNodes,
) -> tuple[Injection, frozenset[DriverCapability]]:
    """Return the nodes for ``graphics`` and ``display``, with the groups that open them, and which
    of these capabilities they are for.

    A host without DRM nodes draws off screen by the GPU's own node: nothing is missing then.
    """
    wanted = with_implied(capabilities)
    bus_ids = {device.uuid: device.pci_bus_id for device in host.devices}
    found: dict[str, DriverCapability] = {}
    if DriverCapability.DISPLAY in wanted:
        found[MODESET_NODE] = DriverCapability.DISPLAY
    if DriverCapability.GRAPHICS in wanted:
        for device in devices:
            gpu = device.uuid if isinstance(device, Device) else device.gpu_uuid
            named = nodes.drm_nodes.get(bus_ids[gpu], ()) if device.draws else ()
            found.update(dict.fromkeys(named, DriverCapability.GRAPHICS))
    given = {path: one for path, one in found.items() if path in nodes.known}
    groups = {nodes.known[path].needed_group for path in given}
    injection = Injection(
        device_nodes=tuple(given),
        groups=tuple(sorted(group for group in groups if group is not None)),
    )
    return injection, frozenset(given.values())
