# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which managed container uses which GPUs, which should be made anew, and which GPUs are free."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from .. import container_labels
from ..allocation import is_free
from ..model import Host
from . import gpu_users, volume_users
from .engine import Engine, ListedContainer
from .gpu_users import GpuUsers
from .leases import Leases


@dataclass(frozen=True)
class ContainerUsage:
    """A managed container and what has become of its GPUs."""

    name: str
    id: str
    status: str
    """Docker's word: ``running``, ``exited`` …"""
    gpus: tuple[str, ...]
    """UUIDs of the GPUs and MIG devices that it was given."""
    gone: tuple[str, ...]
    """Those of them that the host does not have, or can't read."""
    injection: str | None
    """Kind of injection, one of ``container_plan.KINDS``; ``None`` if it was given no GPU."""
    sharing: str
    driver: str | None
    """Version of the driver whose files it has mounted; ``None`` if none are to be seen, as it does
    not run."""
    stale: bool
    """Whether that is another driver than the loaded one."""


@dataclass(frozen=True)
class ProcessUsage:
    """A compute process."""

    pid: int
    name: str | None
    container: str | None
    """Name of the container that it runs in."""


@dataclass(frozen=True)
class GpuUsage:
    """A GPU, or a MIG device of one that is in MIG mode."""

    uuid: str
    index: str
    """As it can be named in ``gpus``: ``0``, of a MIG device ``0:1``."""
    containers: tuple[str, ...]
    """Names of the managed containers that were given it."""
    processes: tuple[ProcessUsage, ...] | None
    """``None`` if the GPU does not tell."""
    leases: tuple[str, ...]
    """Names of containers that are about to be made with it."""
    free: bool
    """Whether a container that asks for a number of GPUs could be given it."""


@dataclass(frozen=True)
class Usage:
    """All managed containers and all GPUs."""

    containers: tuple[ContainerUsage, ...]
    gpus: tuple[GpuUsage, ...]


def look(host: Host, engine: Engine, leases: Leases) -> Usage:
    """Return who uses what. Raises as ``gpu_users.look()``."""
    users = gpu_users.look(host, engine, leases)
    pids = engine.pids([one.id for one in users.managed if one.status in ("running", "paused")])
    return Usage(
        tuple(_container(host, one, pids.get(one.id, 0)) for one in users.managed),
        tuple(_gpus(host, users)),
    )


def loaded_driver(host: Host) -> str | None:
    """Return the version of the loaded driver.

    NVML tells it only if it is of the same version: not between an upgrade of the driver's files
    and the load of the new kernel module.
    """
    return host.driver.module_version or host.driver.version


def _container(host: Host, container: ListedContainer, pid: int) -> ContainerUsage:
    given = gpu_users.uuids(container)
    here = {device.uuid for device in host.devices}
    here |= {mig.uuid for device in host.devices for mig in device.mig_devices}
    driver = volume_users.mounted_version(pid) if pid else None
    loaded = loaded_driver(host)
    return ContainerUsage(
        name=container.name,
        id=container.id,
        status=container.status,
        gpus=given,
        gone=tuple(uuid for uuid in given if uuid not in here),
        injection=container_labels.kind_of(container.labels),
        sharing=gpu_users.sharing(container),
        driver=driver,
        stale=None not in (driver, loaded) and driver != loaded,
    )


def _gpus(host: Host, users: GpuUsers) -> Iterator[GpuUsage]:
    uses = users.uses()
    for device in host.devices:
        for unit in device.mig_devices if device.mig_enabled else (device,):
            own = (unit.uuid, device.uuid)
            processes = users.processes.get(unit.uuid)
            yield GpuUsage(
                uuid=unit.uuid,
                index=str(device.index) if unit is device else f"{device.index}:{unit.index}",
                containers=tuple(
                    one.name
                    for one in users.managed
                    if any(uuid in own for uuid in gpu_users.uuids(one))
                ),
                processes=None
                if processes is None
                else tuple(
                    ProcessUsage(one.pid, one.name, users.container_of(one.pid))
                    for one in processes
                ),
                leases=tuple(
                    lease.container
                    for lease in users.leases
                    if any(uuid in own for uuid in lease.uuids)
                ),
                free=is_free(host, unit, uses),
            )
