# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Is a CDI specification, ours or nvidia-ctk's, still true of this machine?"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from ..cdi_plan import VERSION_VARIABLE
from ..cdi_spec import Edits, Node, Spec
from ..cdi_versions import InstalledEngine, demands, number, refusals
from ..driver_files import driver_version_of, library_name
from ..model import REQUIRED_CONTROL_NODES, Device, Host
from ..selection import ALL, select
from . import cdi_machine

_TOOLKIT_VERSION = "--host-driver-version="
_DRIVER_LIBRARIES = ("libcuda", "libnvidia-ml")


def problems(
    spec: Spec,
    host: Host,
    identifiers: Iterable[str],
    engines: tuple[InstalledEngine, ...],
    root: Path = Path("/"),
) -> tuple[str, ...]:
    """Return what in a specification is stale, missing, or refused by an engine of this machine.

    ``identifiers`` are the GPUs that it is to have. Raises UnknownDevice for one of these.
    """
    found = [*_versions(spec, engines)]
    found += _nodes(spec, root)
    found += _paths(spec, root)
    found += _driver(spec, host)
    found += _devices(spec, host, identifiers)
    return tuple(dict.fromkeys(found))


def differences(spec: Spec, wanted: Spec) -> tuple[str, ...]:
    """Return in what a specification of ours is not the one that would be made now."""
    found = []
    if (spec.version, spec.kind) != (wanted.version, wanted.kind):
        found.append(
            f"it is of {spec.kind}, CDI {spec.version}; it would be of {wanted.kind}, "
            f"CDI {wanted.version}"
        )
    had, gets = dict(spec.all_edits()), dict(wanted.all_edits())
    found += [f"{where} is no longer to be there" for where in had if where not in gets]
    found += [f"{where} is missing" for where in gets if where not in had]
    for where in gets:
        if where in had:
            old, new = _told(had[where]), _told(gets[where])
            found += [f"{where}: {one} is missing" for one in new if one not in old]
            found += [f"{where}: {one} is no longer to be there" for one in old if one not in new]
    return tuple(found)


def _told(edits: Edits) -> dict[str, None]:
    told = [f"variable {one}" for one in edits.environment]
    told += [f"device node {one.path} ({_shown(one)})" for one in edits.nodes]
    told += [
        f"mount {one.host_path} at {one.container_path} ({','.join(one.options)})"
        for one in edits.mounts
    ]
    told += [f"hook {' '.join((one.path, *one.arguments[1:]))}" for one in edits.hooks]
    told += [f"additional group {one}" for one in edits.groups]
    return dict.fromkeys(told)


def _shown(node: Node) -> str:
    mode = "no mode" if node.file_mode is None else f"mode {node.file_mode:04o}"
    return f"{node.major}:{node.minor}, {mode}, group {node.gid or 0}, {node.permissions}"


def driver_version(spec: Spec) -> str | None:
    """Return the driver version that a specification was made for, ``None`` if nothing tells."""
    version = spec.variable(VERSION_VARIABLE)
    if version is not None:
        return version
    for _where, edits in spec.all_edits():
        for hook in edits.hooks:
            for word in hook.arguments:
                if word.startswith(_TOOLKIT_VERSION):
                    return word[len(_TOOLKIT_VERSION) :]
    for _where, edits in spec.all_edits():
        for mount in edits.mounts:
            name = os.path.basename(mount.host_path)
            version = driver_version_of(name)
            if version is not None and library_name(name) in _DRIVER_LIBRARIES:
                return version
    return None


def _versions(spec: Spec, engines: tuple[InstalledEngine, ...]) -> list[str]:
    most = demands(spec)[-1]
    found = list(refusals(spec.version, engines))
    if number(most.version) > number(spec.version):
        found.append(
            f"it says cdiVersion {spec.version}, but {most.what} needs {most.version}: newer "
            "engines ignore it"
        )
    return found


def _nodes(spec: Spec, root: Path) -> list[str]:
    wanted: dict[Node, list[str]] = {}
    for where, edits in spec.all_edits():
        for node in edits.nodes:
            wanted.setdefault(node, []).append(where)
    return [
        f"{node.on_host}, for {', '.join(places)}: {reason}"
        for node, places in wanted.items()
        for reason in _unlike(node, root)
    ]


def _unlike(node: Node, root: Path) -> list[str]:
    live = cdi_machine.node(node.on_host, root)
    if live is None:
        return ["this device node is not there"]
    found = []
    if node.type not in (None, "c", "u"):
        found.append(f"it is a character device, the specification says type {node.type}")
    # Engines take the numbers from the host where there is no major.
    if node.major and (node.major, node.minor or 0) != (live.major, live.minor):
        found.append(
            f"it is {live.major}:{live.minor}, the specification says "
            f"{node.major}:{node.minor or 0}: containers would get another device"
        )
    if node.file_mode is not None and node.file_mode & 0o777 != live.mode:
        found.append(
            f"it has mode {live.mode:04o}, the specification says {node.file_mode & 0o777:04o}"
        )
    if node.gid is not None and node.gid != live.gid:
        found.append(f"it belongs to group {live.gid}, the specification says {node.gid}")
    return found


def _paths(spec: Spec, root: Path) -> list[str]:
    found = []
    for _where, edits in spec.all_edits():
        found += [
            f"{mount.host_path} is not there: containers would not start"
            for mount in edits.mounts
            if not os.path.exists(root / mount.host_path.lstrip("/"))
        ]
        for hook in edits.hooks:
            if not os.access(root / hook.path.lstrip("/"), os.X_OK):
                found.append(f"the hook {hook.path} is no program: containers would not start")
            elif "update-ldcache" in hook.arguments and not os.access(
                root / cdi_machine.LDCONFIG.lstrip("/"), os.X_OK
            ):
                found.append(
                    f"a hook runs {cdi_machine.LDCONFIG}, which is not there: containers would not "
                    "start"
                )
    return found


def _driver(spec: Spec, host: Host) -> list[str]:
    made_for = driver_version(spec)
    loaded = host.driver.module_version or host.driver.version
    if made_for is None or loaded is None or made_for == loaded:
        return []
    return [f"it is for driver {made_for}, loaded is {loaded}"]


def _devices(spec: Spec, host: Host, identifiers: Iterable[str]) -> list[str]:
    if host.reason is not None:
        return [f"no GPU of this machine can be used: {host.reason}"]
    known = _known_names(host)
    by_name = {device.name: device.edits for device in spec.devices}
    found = []
    for name, edits in by_name.items():
        paths = {node.on_host for node in edits.nodes}
        if name in known:
            lacking = sorted(set(known[name]) - paths)
            if not known[name]:
                found.append(f"device {name}: the GPU is in MIG mode, without a MIG device")
            elif lacking:
                found.append(f"device {name} is another one by now: it lacks {', '.join(lacking)}")
        elif name.startswith(("GPU-", "MIG-")) or name[0].isdigit():
            found.append(f"device {name} is not on this machine")
    every = {node.on_host for node in by_name[ALL].nodes} if ALL in by_name else None
    for one in select(host, identifiers):
        if isinstance(one, Device) and one.mig_enabled:
            continue
        if not set(one.device_nodes).isdisjoint(host.missing_nodes):
            continue
        if one.uuid not in by_name and not any(
            name in by_name and set(paths) == set(one.device_nodes) for name, paths in known.items()
        ):
            found.append(f"{one.uuid} is not in the specification")
        elif every is not None and not every.issuperset(one.device_nodes):
            found.append(f"{one.uuid} is not in device all")
    if any(name in known for name in by_name):
        common = {node.path for node in spec.common.nodes}
        found += [
            f"{path} is not in the specification: CUDA would fail"
            for path in REQUIRED_CONTROL_NODES
            if path not in common
            and not all(path in {node.path for node in one.nodes} for one in by_name.values())
        ]
    return found


def _known_names(host: Host) -> dict[str, tuple[str, ...]]:
    """Return the names that this machine's devices have in specifications, with their nodes."""
    known: dict[str, tuple[str, ...]] = {}
    for device in host.devices:
        nodes: tuple[str, ...] = () if device.mig_enabled else device.device_nodes
        for mig in device.mig_devices:
            nodes += mig.device_nodes
            for name in (mig.uuid, f"{device.index}:{mig.index}", f"mig{device.index}:{mig.index}"):
                known[name] = mig.device_nodes
        for name in (device.uuid, str(device.index), f"gpu{device.index}"):
            known[name] = nodes
    return known
