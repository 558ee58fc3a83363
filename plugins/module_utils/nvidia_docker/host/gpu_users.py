# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who uses the GPUs of this machine: managed containers, leases, compute processes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from ..allocation import PROCESS, Use
from ..container_labels import (
    EXCLUSIVE,
    GPUS_LABEL,
    INJECTION_LABEL,
    NAMED,
    SHARING_LABEL,
    split_uuids,
)
from ..model import ComputeProcess, Host
from . import discovery
from .engine import Engine, ListedContainer
from .leases import Lease, Leases

_PROC = Path("/proc")
_CONTAINER_ID = re.compile(r"[0-9a-f]{64}")
"""In the path of a control group: ``/docker/<id>``, ``/system.slice/docker-<id>.scope``."""
_NAME_LENGTH = 60


@dataclass(frozen=True)
class GpuUsers:
    """All that is known of who uses the GPUs of this machine, or is about to."""

    leases: tuple[Lease, ...]
    containers: tuple[ListedContainer, ...]
    """All of the engine."""
    processes: Mapping[str, tuple[ComputeProcess, ...] | None]
    """By UUID of the GPU or MIG device; ``None``: it does not tell."""

    @property
    def managed(self) -> tuple[ListedContainer, ...]:
        """Those containers that nvidia_container has made."""
        return tuple(one for one in self.containers if INJECTION_LABEL in one.labels)

    def uses(self) -> tuple[Use, ...]:
        """Return each use of a GPU or MIG device.

        A container that does not run uses its GPUs too: it can be started at any time.
        """
        return (*self._of_leases(), *self._of_containers(), *self._of_processes())

    def container_of(self, pid: int) -> str | None:
        """Return the name of the container that a process runs in, ``None`` if in none of these."""
        try:
            groups = (_PROC / str(pid) / "cgroup").read_text(errors="replace")
        except OSError:  # it ended meanwhile
            return None
        identifiers = set(_CONTAINER_ID.findall(groups))
        return next((one.name for one in self.containers if one.id in identifiers), None)

    def _of_leases(self) -> Iterator[Use]:
        for lease in self.leases:
            told = f"leased to container {lease.container} for {lease.seconds_left} s more"
            for uuid in lease.uuids:
                yield Use(uuid, told, EXCLUSIVE, lease.container)

    def _of_containers(self) -> Iterator[Use]:
        for one in self.managed:
            state = "" if one.status == "running" else f" ({one.status})"
            for uuid in uuids(one):
                yield Use(uuid, f"used by container {one.name}{state}", sharing(one), one.name)

    def _of_processes(self) -> Iterator[Use]:
        for uuid, computing in self.processes.items():
            if computing is None:
                yield Use(uuid, "does not tell its compute processes", PROCESS, None)
            for process in computing or ():
                container = self.container_of(process.pid)
                by = f"container {container}" if container else _told(process)
                yield Use(uuid, f"used by {by}", PROCESS, container)


def look(host: Host, engine: Engine, leases: Leases) -> GpuUsers:
    """Ask everybody. Raises LeaseError, DockerError, or DriverUnavailable if NVML can't be used any
    more."""
    # In this order: a lease that has ended meanwhile has left its container.
    leased = leases.read()
    containers = engine.containers()
    return GpuUsers(leased, containers, discovery.compute_processes(host))


def _told(process: ComputeProcess) -> str:
    if not process.name:
        return f"process {process.pid}"
    # Processes call themselves whatever they like.
    name = "".join(one if one.isprintable() else "?" for one in process.name[:_NAME_LENGTH])
    return f"process {process.pid} ({name})"


def uuids(container: ListedContainer) -> tuple[str, ...]:
    """Return the GPUs and MIG devices that a managed container was given."""
    return split_uuids(container.labels.get(GPUS_LABEL, ""))


def sharing(container: ListedContainer) -> str:
    """Return whether others may use the GPUs of a managed container (container_labels.py)."""
    return container.labels.get(SHARING_LABEL, NAMED)
