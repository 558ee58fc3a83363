# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The facts of a machine as the plain data of ``ansible_nvidia``; its RETURN says what each is."""

from __future__ import annotations

from typing import Any

from ..facts import DeviceFacts, HostFacts
from ..model import Device, LinkType
from .gpu_info import family

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..findings import Finding
    from ..subset_facts import DeviceCondition, DeviceTopology, Services

_NOT_TOLD = ("ecc_enabled", "ecc_pending", "pcie_max_width")
"""Of a condition: they are told among the properties, and here for the findings only."""


def render(facts: HostFacts) -> dict[str, Any]:
    """Return the value of ``ansible_nvidia``, which JSON can carry."""
    host = facts.host
    found: tuple[Finding, ...] = ()
    if facts.services is not None:
        # Here, as the default subset does without it and its imports.
        from ..findings import findings

        found = findings(facts)
    rendered: dict[str, Any] = {
        "gathered": list(facts.gathered),
        "count": len(host.devices),
        "reason": host.reason,
        "driver": {
            **vars(host.driver),
            "module_kind": facts.kernel.module_kind,
            "libraries_match": facts.libraries_match,
        },
        "kernel_modules": list(facts.kernel.modules),
        "nouveau_loaded": facts.kernel.nouveau_loaded,
        "devices": [
            _device(device, facts.devices.get(device.uuid, DeviceFacts()), facts.gathered, found)
            for device in host.devices
        ],
        "unreadable": [dict(vars(one)) for one in host.unreadable],
        "control_nodes": list(host.control_nodes),
        "missing_nodes": list(host.missing_nodes),
        "device_nodes": [dict(vars(node)) for node in facts.device_nodes],
    }
    if facts.services is not None:
        rendered.update(_services(facts.services))
        rendered["findings"] = [dict(vars(one)) for one in found]
    return rendered


def _device(
    device: Device, facts: DeviceFacts, gathered: tuple[str, ...], found: tuple[Finding, ...]
) -> dict[str, Any]:
    rendered: dict[str, Any] = {
        **vars(device),
        "node": device.node,
        "architecture": _architecture(device),
        "mig_devices": [
            {**vars(mig), "capability_nodes": list(mig.capability_nodes)}
            for mig in device.mig_devices
        ],
    }
    if facts.properties is not None:
        rendered.update(vars(facts.properties))
    if facts.activity is not None:
        rendered["status"] = _plain(vars(facts.activity))
    if "processes" in gathered:
        told = facts.processes
        rendered["processes"] = None if told is None else [dict(vars(one)) for one in told]
    if "topology" in gathered:
        rendered["topology"] = _topology(facts.topology)
    if facts.condition is not None:
        rendered["health"] = _health(device, facts.condition, found)
    return rendered


def _health(
    device: Device, condition: DeviceCondition, found: tuple[Finding, ...]
) -> dict[str, Any]:
    from ..findings import state

    told = {name: value for name, value in vars(condition).items() if name not in _NOT_TOLD}
    return {"state": state(device.pci_bus_id, found), **_plain(told)}


def _architecture(device: Device) -> str | None:
    major, _dot, minor = (device.compute_capability or "").partition(".")
    return family((int(major), int(minor))) if major and minor else None


def _topology(topology: DeviceTopology | None) -> dict[str, Any] | None:
    if topology is None:
        return None
    from .gpu_info_text import LINK_NAMES

    return {
        "nvlink": None if topology.nvlink is None else dict(vars(topology.nvlink)),
        "peers": [
            {
                "index": peer.index,
                "pci_bus_id": peer.pci_bus_id,
                "link": int(peer.link),
                "link_name": LINK_NAMES[LinkType(peer.link)],
                "p2p": peer.p2p,
            }
            for peer in topology.peers
        ],
    }


def _services(services: Services) -> dict[str, Any]:
    from ..toolkit_vulnerabilities import READ, vulnerabilities

    version, docker = services.toolkit_version, services.docker
    manager = services.fabric_manager
    return {
        "container_toolkit": None
        if version is None
        else {
            "version": version,
            "vulnerabilities": [dict(vars(one)) for one in vulnerabilities(version)],
            "bulletins_read": READ,
        },
        "docker": None
        if docker is None
        else {**_plain(vars(docker)), "loses_gpus_on_reload": bool(docker.containers_at_risk)},
        "fabric_manager": None if manager is None else dict(vars(manager)),
        "persistenced_running": services.persistenced_running,
    }


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    return {
        name: list(value) if isinstance(value, tuple) else value for name, value in values.items()
    }
