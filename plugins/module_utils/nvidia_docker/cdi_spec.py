# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A specification of the Container Device Interface as records, whoever wrote it."""

from __future__ import annotations

from dataclasses import dataclass

GPU_KIND = "nvidia.com/gpu"
"""Kind of the CDI devices that are NVIDIA GPUs."""


@dataclass(frozen=True)
class Node:
    """A device node of ``deviceNodes``; ``None``: the engine takes it from the host's node."""

    path: str
    host_path: str | None = None
    type: str | None = None
    major: int | None = None
    minor: int | None = None
    file_mode: int | None = None
    permissions: str | None = None
    uid: int | None = None
    gid: int | None = None

    @property
    def on_host(self) -> str:
        """Where it is on the host."""
        return self.host_path or self.path


@dataclass(frozen=True)
class BindMount:
    """An item of ``mounts``."""

    host_path: str
    container_path: str
    options: tuple[str, ...] = ()
    type: str | None = None


@dataclass(frozen=True)
class SpecHook:
    """An item of ``hooks``."""

    name: str
    path: str
    arguments: tuple[str, ...] = ()
    environment: tuple[str, ...] = ()


@dataclass(frozen=True)
class Edits:
    """``containerEdits``."""

    environment: tuple[str, ...] = ()
    nodes: tuple[Node, ...] = ()
    mounts: tuple[BindMount, ...] = ()
    hooks: tuple[SpecHook, ...] = ()
    groups: tuple[int, ...] = ()
    fields: frozenset[str] = frozenset()
    """Names of the fields that are there, also of those that no GPU needs."""


@dataclass(frozen=True)
class SpecDevice:
    """An item of ``devices``."""

    name: str
    edits: Edits
    annotated: bool = False


@dataclass(frozen=True)
class Spec:
    """A whole specification."""

    version: str
    kind: str
    common: Edits
    devices: tuple[SpecDevice, ...]
    annotated: bool = False

    def variable(self, name: str) -> str | None:
        """Return a variable of the common environment."""
        return next(
            (
                one.partition("=")[2]
                for one in self.common.environment
                if one.startswith(f"{name}=")
            ),
            None,
        )

    def all_edits(self) -> tuple[tuple[str, Edits], ...]:
        """Return (where, edits) of the specification and of each of its devices."""
        return (
            ("every device", self.common),
            *((f"device {device.name}", device.edits) for device in self.devices),
        )
