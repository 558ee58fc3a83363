# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The CDI devices by which an engine finds GPUs, in whatever specifications this machine has."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from ..cdi_spec import GPU_KIND, Edits, Spec, SpecDevice
from ..cdi_versions import InstalledEngine
from ..container_plan import index_of
from ..driver_mounts import link_directories
from ..errors import CdiError, NotInstalled
from ..model import Host
from ..selection import Selected
from . import cdi_check, cdi_machine, cdi_store

_ROLE = "apply role gpufleet.nvidia.nvidia_cdi, or start nvidia-docker-cdi.service"
_MOST_PROBLEMS = 3


@dataclass(frozen=True)
class CdiDevices:
    """CDI devices that stand for GPUs and MIG devices."""

    names: tuple[str, ...]
    """Whole, ``nvidia.com/gpu=GPU-…``, sorted."""
    edits: tuple[Edits, ...]
    """What a container gets that is given them."""

    @property
    def device_nodes(self) -> tuple[str, ...]:
        """Their device nodes, as the container sees them."""
        paths = (node.path for one in self.edits for node in one.nodes)
        return tuple(dict.fromkeys(paths))

    def linked(self, root: Path = Path("/")) -> tuple[str, ...]:
        """Return the names of driver files in the directories of links that they mount."""
        places = link_directories(os.uname().machine)
        mounts = (mount for one in self.edits for mount in one.mounts)
        folders = {mount.host_path for mount in mounts if mount.container_path in places}
        names: set[str] = set()
        for folder in folders:
            with suppress(OSError):
                names.update(os.listdir(root / folder.lstrip("/")))
        return tuple(sorted(names))

    def groups(self, root: Path = Path("/")) -> tuple[int, ...]:
        """Return the groups that a user other than root needs; Docker adds none by itself."""
        paths = dict.fromkeys(node.on_host for one in self.edits for node in one.nodes)
        nodes = (cdi_machine.node(path, root) for path in paths)
        found = {group for one in self.edits for group in one.groups}
        found |= {node.needed_group for node in nodes if node and node.needed_group is not None}
        return tuple(sorted(found))


@dataclass(frozen=True)
class _Found:
    path: Path
    spec: Spec
    rank: int
    """Of its directory: the later counts."""


def find(
    host: Host,
    devices: Iterable[Selected],
    directories: Iterable[str],
    engine: InstalledEngine,
    root: Path = Path("/"),
) -> CdiDevices:
    """Return the CDI devices of these GPUs and MIG devices; only specifications that have one of
    them are compared with the machine, and only what concerns them.

    Raises NotInstalled if there is no specification of GPUs, CdiError if none has one of the
    devices, two have it, or one is not true of this machine; each with what to do.
    """
    looked_in = tuple(directories)
    specs, unread = _specs(looked_in, root)
    if not specs:
        told = f" ({'; '.join(unread)})" if unread else ""
        raise NotInstalled(
            f"no CDI specification in {', '.join(looked_in)} has devices of {GPU_KIND}{told}: "
            f"{_ROLE}"
        )
    chosen: dict[Path, list[SpecDevice]] = {}
    by_path = {one.path: one for one in specs}
    for device in devices:
        path, found = _resolve(specs, device)
        chosen.setdefault(path, []).append(found)
    edits: list[Edits] = []
    for path, of_spec in chosen.items():
        spec = replace(by_path[path].spec, devices=tuple(of_spec))
        problems = cdi_check.problems(spec, host, (), (engine,), root)
        if problems:
            more = len(problems) - _MOST_PROBLEMS
            told = "; ".join(problems[:_MOST_PROBLEMS]) + (f"; {more} more" if more > 0 else "")
            raise CdiError(f"{path} is not true of this host: {told}: {_ROLE}")
        edits += [spec.common, *(one.edits for one in of_spec)]
    names = sorted(f"{GPU_KIND}={one.name}" for of_spec in chosen.values() for one in of_spec)
    return CdiDevices(tuple(names), tuple(edits))


def _specs(directories: tuple[str, ...], root: Path) -> tuple[list[_Found], list[str]]:
    found, unread = [], []
    for rank, directory in enumerate(directories):
        for path in cdi_store.files(root / directory.lstrip("/")):
            try:
                spec = cdi_store.load(path)
            except CdiError as error:
                unread.append(str(error))
                continue
            if spec.kind == GPU_KIND:
                found.append(_Found(path, spec, rank))
    return found, unread


def _resolve(specs: list[_Found], device: Selected) -> tuple[Path, SpecDevice]:
    # By UUID first: an index names another GPU after a reboot.
    for name in (device.uuid, index_of(device)):
        having = [(one, found) for one in specs for found in one.spec.devices if found.name == name]
        highest = max((one.rank for one, _found in having), default=None)
        best = [(one.path, found) for one, found in having if one.rank == highest]
        if len(best) > 1:
            paths = " and ".join(str(path) for path, _found in best)
            raise CdiError(
                f"both {paths} have {GPU_KIND}={name}, so the engine resolves neither: remove one"
            )
        if best:
            return best[0]
    paths = ", ".join(str(one.path) for one in specs)
    raise CdiError(f"{device.uuid} is no CDI device in {paths}: {_ROLE}")
