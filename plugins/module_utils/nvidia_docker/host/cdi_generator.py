# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Looks at this machine and plans its CDI devices."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ..cdi_plan import CdiPlan, Surroundings, plan_devices
from ..driver_files import ALL_CAPABILITIES, DriverCapability, with_implied
from ..driver_mounts import (
    few_mounts,
    library_directories,
    library_links,
    link_directories,
    links_name,
    mounts,
)
from ..errors import CdiError
from ..injection import FileMount
from ..model import Host
from . import cdi_machine, driver_candidates, driver_volume
from .driver_volume import Contents

_ROOT = Path("/")


@dataclass(frozen=True)
class Asked:
    """What a specification is to be of."""

    kind: str
    identifiers: tuple[str, ...]
    capabilities: frozenset[DriverCapability] = ALL_CAPABILITIES
    """All: those that the driver volume has."""
    toolkit_hooks: bool = False
    links: Path | None = None
    """Where directories of links may be; ``None``: driver files are mounted one by one."""


@dataclass(frozen=True)
class Made:
    """A plan, and what its driver files are in."""

    plan: CdiPlan
    volume: Contents
    version: str
    """Of the driver."""
    links_directory: Path | None = None
    links: Mapping[str, str] = field(default_factory=dict)
    """What has to be in it, name to target."""


def make(
    host: Host,
    asked: Asked,
    volumes: Path,
    driver_root: Path = _ROOT,
    root: Path = _ROOT,
) -> Made:
    """Return what this machine's specification has to say; writes nothing.

    ``volumes`` is where driver volumes are. The volume need not be there yet: see
    ``Contents.differences``. Raises DriverFilesError where there is no driver, CdiError if the
    volume is not for what is asked, NotInstalled, and as ``plan_devices`` does.
    """
    version = driver_volume.installed_version(driver_root, host.driver.module_version)
    volume = driver_volume.contents(volumes, version, driver_root)
    capabilities = _capabilities(asked, volume)
    machine = os.uname().machine
    drm = cdi_machine.drm_nodes(host, root)
    directories = library_directories(machine)
    links: Mapping[str, str] = {}
    links_directory = None
    if asked.links is not None and cdi_machine.has_link_directories(machine, root):
        links = library_links(volume.files, capabilities)
        links_directory = asked.links / links_name(version, links)
        directories += link_directories(machine)
        files = few_mounts(
            str(volume.path), volume.files, capabilities, machine, str(links_directory)
        )
    else:
        files = mounts(str(volume.path), volume.files, capabilities, machine)
    files += tuple(
        FileMount(f"{str(driver_root).rstrip('/')}{path}", path)
        for path in driver_candidates.firmware(driver_root, version)
    )
    around = Surroundings(
        driver_version=version,
        nodes=cdi_machine.nodes(host, (path for one in drm.values() for path in one), root),
        drm_nodes=drm,
        files=files + cdi_machine.sockets(capabilities, root),
        hooks=(
            cdi_machine.toolkit_hooks(version, directories, root) if asked.toolkit_hooks else ()
        ),
    )
    plan = plan_devices(host, asked.identifiers, asked.kind, capabilities, around)
    return Made(plan, volume, version, links_directory, links)


def _capabilities(asked: Asked, volume: Contents) -> frozenset[DriverCapability]:
    if asked.capabilities == ALL_CAPABILITIES:
        return volume.capabilities
    wanted = with_implied(asked.capabilities)
    lacking = sorted(one.value for one in wanted - volume.capabilities)
    if lacking:
        raise CdiError(
            f"the driver volume {volume.path} has no files for {', '.join(lacking)}: make it with "
            "these capabilities, or ask for fewer"
        )
    return wanted
