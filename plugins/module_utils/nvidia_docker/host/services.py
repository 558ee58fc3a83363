# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What runs on a host beside the driver: container toolkit, fabric manager, persistenced; Docker is
in docker_facts.py.

``root`` is the folder in which all of it is looked up. A program that does not answer in time, or
says something else than its version, is taken for one that does not tell.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from ..facts import DeviceNode
from ..subset_facts import FabricManager, Services
from . import docker_facts, kernel, process

_PROGRAM_FOLDERS = ("usr/bin", "usr/local/bin", "usr/local/nvidia/toolkit")
"""The last is where the GPU operator puts the toolkit."""
_TOOLKIT_PROGRAMS = ("nvidia-ctk", "nvidia-container-cli")
_VERSION = re.compile(r"(?:version(?: is)?\s*:?\s+)([0-9][0-9A-Za-z.~+-]*)", re.IGNORECASE)
_PATIENCE_S = 5
_PERSISTENCED_SOCKET = "run/nvidia-persistenced/socket"
_FABRIC_MANAGER = "nv-fabricmanager"
_COMM_LENGTH = 15
"""The kernel cuts the name of a process there."""


def read(root: Path, nodes: tuple[DeviceNode, ...]) -> Services:
    """Return what runs beside the driver; ``nodes`` are those that containers are given."""
    return Services(
        toolkit_version=_toolkit_version(root),
        docker=docker_facts.read(root, nodes),
        fabric_manager=_fabric_manager(root),
        persistenced_running=(root / _PERSISTENCED_SOCKET).exists(),
    )


def _toolkit_version(root: Path) -> str | None:
    for name in _TOOLKIT_PROGRAMS:
        for program in _programs(root, name):
            version = _version_of(program)
            if version is not None:
                return version
    return None


def _fabric_manager(root: Path) -> FabricManager | None:
    version = next(map(_version_of, _programs(root, _FABRIC_MANAGER)), None)
    switches = kernel.nvswitches(root)
    if version is None and not switches:
        return None
    return FabricManager(version, _FABRIC_MANAGER[:_COMM_LENGTH] in _running(root), switches)


def _programs(root: Path, name: str) -> Iterator[Path]:
    for folder in _PROGRAM_FOLDERS:
        path = root / folder / name
        if path.is_file():
            yield path


def _version_of(program: Path) -> str | None:
    try:
        started = process.start((str(program), "--version"))
    except OSError:
        return None
    _status, output, _errors = started.end(_PATIENCE_S)
    found = _VERSION.search(output)
    return found[1] if found else None


def _running(root: Path) -> set[str]:
    names = set()
    for path in (root / "proc").glob("[0-9]*/comm"):
        with suppress(OSError):  # it ended meanwhile
            names.add(path.read_text(errors="replace").rstrip("\n"))
    return names
