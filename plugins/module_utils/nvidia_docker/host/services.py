# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What runs on a host beside the driver: container toolkit, Docker, fabric manager, persistenced.

``root`` is the folder in which all of it is looked up. A program that does not answer in time, or
says something else than its version, is taken for one that does not tell.
"""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from ..facts import DeviceNode
from ..subset_facts import DockerEngine, FabricManager, Services
from . import kernel, process

_PROGRAM_FOLDERS = ("usr/bin", "usr/local/bin", "usr/local/nvidia/toolkit")
"""The last is where the GPU operator puts the toolkit."""
_TOOLKIT_PROGRAMS = ("nvidia-ctk", "nvidia-container-cli")
_VERSION = re.compile(r"(?:version(?: is)?\s*:?\s+)([0-9][0-9A-Za-z.~+-]*)", re.IGNORECASE)
_PATIENCE_S = 5
_DOCKER_SOCKET = "run/docker.sock"
_REQUEST = b"GET /info HTTP/1.0\r\nHost: docker\r\n\r\n"
_MOST_BYTES = 4 * 1024 * 1024
_PERSISTENCED_SOCKET = "run/nvidia-persistenced/socket"
_FABRIC_MANAGER = "nv-fabricmanager"
_COMM_LENGTH = 15
"""The kernel cuts the name of a process there."""


def read(root: Path, nodes: tuple[DeviceNode, ...]) -> Services:
    """Return what runs beside the driver; ``nodes`` are those that containers are given."""
    return Services(
        toolkit_version=_toolkit_version(root),
        docker=_docker(root, nodes),
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


def _docker(root: Path, nodes: tuple[DeviceNode, ...]) -> DockerEngine | None:
    """Asked without the docker client, which is not on every host and takes longer to start."""
    told = _docker_info(root / _DOCKER_SOCKET)
    if told is None:
        return None
    return DockerEngine(
        version=_text(told.get("ServerVersion")),
        cgroup_driver=_text(told.get("CgroupDriver")),
        cgroup_version=_text(told.get("CgroupVersion")),
        default_runtime=_text(told.get("DefaultRuntime")),
        missing_char_links=tuple(
            node.path
            for node in nodes
            if node.state == "present"
            and not (root / f"dev/char/{node.major}:{node.minor}").exists()
        ),
    )


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _docker_info(path: Path) -> dict[str, Any] | None:
    """Docker's API, ``GET /info``; ``None`` if no engine answers in time or to us."""
    data = b""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as engine:
            engine.settimeout(_PATIENCE_S)
            engine.connect(str(path))
            engine.sendall(_REQUEST)
            while len(data) < _MOST_BYTES:
                part = engine.recv(65536)
                if not part:
                    break
                data += part
        head, _blank, body = data.partition(b"\r\n\r\n")
        told = json.loads(body) if head.split(b" ", 2)[1:2] == [b"200"] else None
    except (OSError, ValueError):
        return None
    return told if isinstance(told, dict) else None
