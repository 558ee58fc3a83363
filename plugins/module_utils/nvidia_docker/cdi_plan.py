# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""From a host to what each CDI device of it gives a container: the same selection and the same plan
as for every other way into a container."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from .cdi_reader import is_device_name
from .cdi_versions import DIGIT_FIRST, GROUPS, number
from .driver_files import DriverCapability, with_implied
from .errors import DriverUnavailable, MissingDeviceNode
from .injection import FileMount, Hook, Injection, plan
from .model import MODESET_NODE, Device, DeviceNode, Host, MigDevice
from .selection import ALL, Selected, select

VERSION_VARIABLE = "GPUFLEET_DRIVER_VERSION"
"""In every container that gets one of our devices, and what a specification of ours is known by."""
_HANDS_OFF = ("NVIDIA_VISIBLE_DEVICES", "void")
"""NVIDIA's runtime and hooks then leave the container alone."""


@dataclass(frozen=True)
class Surroundings:
    """What a host has for containers beside its GPUs."""

    driver_version: str
    nodes: tuple[DeviceNode, ...]
    """Of all device nodes that are there, of those that GPUs need or may have."""
    drm_nodes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """By PCI bus id: card and render node."""
    files: tuple[FileMount, ...] = ()
    """Driver files, firmware, sockets."""
    hooks: tuple[Hook, ...] = ()


@dataclass(frozen=True)
class LeftOut:
    """A GPU, MIG device or DRM node that no container can be given."""

    device: str
    reason: str

    def __str__(self) -> str:
        return f"{self.device} is left out: {self.reason}"


@dataclass(frozen=True)
class CdiPlan:
    """What a specification says."""

    kind: str
    common: Injection
    """For a container that gets any of the devices."""
    devices: tuple[tuple[str, Injection], ...]
    """(name, what it adds), in NVML order, ``all`` last."""
    nodes: tuple[DeviceNode, ...]
    """The device nodes of all these injections, as they are on the host."""
    left_out: tuple[LeftOut, ...] = ()

    @property
    def groups(self) -> tuple[int, ...]:
        """Numbers of the host's groups that a user other than root needs for all device nodes."""
        return _groups([node.path for node in self.nodes], {node.path: node for node in self.nodes})


def plan_devices(
    host: Host,
    identifiers: Iterable[str],
    kind: str,
    capabilities: Iterable[DriverCapability],
    around: Surroundings,
) -> CdiPlan:
    """Return what the selected devices of a host are as CDI devices.

    A GPU is called by index and UUID, a MIG device ``0:1`` and by UUID; a GPU that has MIG devices
    stands for all of them; ``all`` is all that was selected. What can't be given to a container is
    in ``left_out`` and spoils nothing else. Raises MissingDeviceNode if a control device node is
    not there, DriverUnavailable if nothing can be given, UnknownDevice for an identifier.
    """
    wanted = with_implied(capabilities)
    if not host.devices and host.reason:
        raise DriverUnavailable(f"no GPU can be given to a container: {host.reason}")
    common = plan(host, (), None)
    known = {node.path: node for node in around.nodes}
    if DriverCapability.DISPLAY in wanted and MODESET_NODE in known:
        common += Injection(device_nodes=(MODESET_NODE,))
    common += Injection(
        groups=_groups(common.device_nodes, known),
        environment=(_HANDS_OFF, (VERSION_VARIABLE, around.driver_version)),
        files=around.files,
        hooks=around.hooks,
    )
    drm_nodes = around.drm_nodes if DriverCapability.GRAPHICS in wanted else {}
    planner = _Planner(host, known, drm_nodes)
    chosen = set(select(host, identifiers))
    for device in host.devices:
        planner.add(device, chosen)
    left_out = [*planner.left_out]
    left_out += [LeftOut(f"GPU {one.known_as}", one.reason) for one in host.unreadable]
    if not planner.devices:
        reasons = "; ".join(map(str, left_out)) or "none was asked for"
        raise DriverUnavailable(f"no GPU can be given to a container: {reasons}")
    everything = sum((one for _name, one in planner.devices), Injection())
    devices = (*planner.devices, (ALL, everything))
    paths = dict.fromkeys((*common.device_nodes, *everything.device_nodes))
    missing = tuple(path for path in paths if path not in known)
    if missing:
        raise MissingDeviceNode(missing)
    return CdiPlan(kind, common, devices, tuple(known[path] for path in paths), tuple(left_out))


def limited(wanted: CdiPlan, version: str) -> tuple[CdiPlan, tuple[str, ...]]:
    """Return the plan without what CDI ``version`` does not have, and what that is.

    A dot in the class of the kind can't be done without: ``version`` is then not enough.
    """
    dropped = []
    devices = wanted.devices
    if number(version) < number(DIGIT_FIRST):
        digits = [name for name, _injection in devices if name[0].isdigit()]
        if digits:
            dropped.append(
                f"the devices {', '.join(digits)}, as names that start with a digit need CDI "
                f"{DIGIT_FIRST}: use UUIDs or 'all'"
            )
        devices = tuple((name, one) for name, one in devices if name not in digits)
    common = wanted.common
    groups = {*common.groups, *(group for _name, one in devices for group in one.groups)}
    if number(version) < number(GROUPS) and groups:
        dropped.append(
            f"the additional groups {', '.join(map(str, sorted(groups)))}, which need CDI "
            f"{GROUPS}: give them to containers that do not run as root"
        )
        devices = tuple((name, replace(one, groups=())) for name, one in devices)
        common = replace(common, groups=())
    return replace(wanted, common=common, devices=devices), tuple(dropped)


def _groups(paths: Iterable[str], known: Mapping[str, DeviceNode]) -> tuple[int, ...]:
    groups = {known[path].needed_group for path in paths if path in known}
    return tuple(sorted(group for group in groups if group is not None))


class _Planner:
    def __init__(
        self,
        host: Host,
        known: Mapping[str, DeviceNode],
        drm_nodes: Mapping[str, tuple[str, ...]],
    ) -> None:
        self._host = host
        self._known = known
        self._drm_nodes = drm_nodes
        self.devices: list[tuple[str, Injection]] = []
        self.left_out: list[LeftOut] = []

    def add(self, device: Device, chosen: set[Selected]) -> None:
        """Add a GPU, or those of its MIG devices that are chosen."""
        name = f"GPU {device.index} ({device.uuid})"
        if device in chosen and device.mig_enabled:
            reason = "it is in MIG mode and has no MIG device: make one, or leave MIG mode"
            self.left_out.append(LeftOut(name, reason))
        elif device in chosen:
            injection = self._usable(device, device, name)
            if injection is not None:
                self._name((str(device.index), device.uuid), injection)
        parts = [self._part(device, mig) for mig in device.mig_devices if mig in chosen]
        if parts and len(parts) == len(device.mig_devices) and None not in parts:
            whole = sum((part for part in parts if part is not None), Injection())
            self._name((str(device.index), device.uuid), whole)

    def _part(self, device: Device, mig: MigDevice) -> Injection | None:
        place = f"{device.index}:{mig.index}"
        injection = self._usable(device, mig, f"MIG device {place} ({mig.uuid})")
        if injection is not None:
            self._name((place, mig.uuid), injection)
        return injection

    def _usable(self, device: Device, target: Selected, name: str) -> Injection | None:
        try:
            plan(self._host, (target,), None)
        except MissingDeviceNode as error:
            self.left_out.append(LeftOut(name, str(error)))
            return None
        named = self._drm_nodes.get(device.pci_bus_id, ()) if target.draws else ()
        drm_nodes = tuple(path for path in named if path in self._known)
        for path in named:
            if path not in drm_nodes:
                reason = f"the kernel has it for {name}, but there is no such device node"
                self.left_out.append(LeftOut(f"DRM node {path}", reason))
        nodes = (*target.device_nodes, *drm_nodes)
        return Injection(device_nodes=nodes, groups=_groups(nodes, self._known))

    def _name(self, names: Iterable[str], injection: Injection) -> None:
        taken = dict(self.devices)
        for name in names:
            if name in taken or not is_device_name(name):
                reason = "another device has this name" if name in taken else "it is no CDI name"
                self.left_out.append(LeftOut(f"the name {name!r}", reason))
            else:
                self.devices.append((name, injection))
