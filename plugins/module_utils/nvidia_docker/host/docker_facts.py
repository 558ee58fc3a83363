# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The Docker engine of a host, and which containers lose their GPUs with a reload of systemd.

Asked at its socket, without the docker client, which is not everywhere and takes longer to start.
"""

from __future__ import annotations

import json
import re
import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from ..facts import DeviceNode
from ..subset_facts import DockerEngine

_SOCKET = "run/docker.sock"
_PATIENCE_S = 5
"""For all questions together."""
_MOST_BYTES = 4 * 1024 * 1024
_HOOK_RUNTIMES = ("nvidia", "nvidia-legacy")
"""NVIDIA's runtimes that give GPUs by a hook; nvidia-cdi names device nodes."""
_HOOK_DRIVERS = ("", "nvidia")
"""Of device requests, ``--gpus``; cdi names device nodes."""
_ALLOWED = re.compile(r"^DeviceAllow=/dev/char/([0-9]+:[0-9]+) ", re.MULTILINE)
_NO_GPU = ("", "none", "void")
"""Values of NVIDIA_VISIBLE_DEVICES."""


def read(root: Path, nodes: tuple[DeviceNode, ...]) -> DockerEngine | None:
    """Return the engine, ``None`` if none answers; ``nodes`` are those that containers get."""
    asked = _Asked(root / _SOCKET)
    told = asked.mapping("/info")
    if told is None:
        return None
    cgroup_driver = _text(told.get("CgroupDriver"))
    return DockerEngine(
        version=_text(told.get("ServerVersion")),
        cgroup_driver=cgroup_driver,
        cgroup_version=_text(told.get("CgroupVersion")),
        default_runtime=_text(told.get("DefaultRuntime")),
        missing_char_links=tuple(
            node.path
            for node in nodes
            if node.state == "present"
            and not (root / f"dev/char/{node.major}:{node.minor}").exists()
        ),
        containers_at_risk=(
            tuple(sorted(_at_risk(asked, root, nodes))) if cgroup_driver == "systemd" else ()
        ),
    )


def _at_risk(asked: _Asked, root: Path, nodes: tuple[DeviceNode, ...]) -> Iterator[str]:
    """The names of running containers with GPUs that systemd does not know of: when it is reloaded,
    it allows again what runc has asked it for.

    A hook tells it nothing, and runc 1.1.5 nothing of device nodes without a link in /dev/char.
    """
    for listed in asked.mappings("/containers/json"):
        container = asked.mapping(f"/containers/{listed.get('Id')}/json")
        if container is None:
            continue
        named = _named(container, nodes)
        known = _known_to_systemd(root, str(listed.get("Id"))) if named else None
        # A node that is not there any more has no number to look for.
        numbers = {f"{one.major}:{one.minor}" for one in named if one.state == "present"}
        lost = known is not None and not numbers <= known
        if lost or (not named and _by_hook(container)):
            yield (_text(container.get("Name")) or "").lstrip("/")


def _named(container: dict[str, Any], nodes: tuple[DeviceNode, ...]) -> list[DeviceNode]:
    """The device nodes that a container names itself."""
    host = _mapping(container.get("HostConfig"))
    paths = {_text(one.get("PathOnHost")) for one in _mappings(host.get("Devices"))}
    return [] if host.get("Privileged") else [node for node in nodes if node.path in paths]


def _known_to_systemd(root: Path, identifier: str) -> set[str] | None:
    """Major and minor numbers, ``195:0``, that runc has asked systemd to allow to a container."""
    if not identifier.isalnum():
        return None
    path = root / f"run/systemd/transient/docker-{identifier}.scope.d/50-DeviceAllow.conf"
    with suppress(OSError):
        return set(_ALLOWED.findall(path.read_text(errors="replace")))
    return None


def _by_hook(container: dict[str, Any]) -> bool:
    host, config = _mapping(container.get("HostConfig")), _mapping(container.get("Config"))
    if host.get("Privileged"):
        return False
    if any(_is_of_gpus(one) for one in _mappings(host.get("DeviceRequests"))):
        return True
    environment = [one for one in config.get("Env") or () if isinstance(one, str)]
    wanted = dict(one.partition("=")[::2] for one in environment).get("NVIDIA_VISIBLE_DEVICES", "")
    return host.get("Runtime") in _HOOK_RUNTIMES and wanted not in _NO_GPU


def _is_of_gpus(request: dict[str, Any]) -> bool:
    capabilities = [one for group in request.get("Capabilities") or () for one in group or ()]
    driver = request.get("Driver")
    return driver == "nvidia" or (driver in _HOOK_DRIVERS and "gpu" in capabilities)


class _Asked:
    """Docker's API at a socket, for so long. What is not what it should be is not told."""

    def __init__(self, path: Path) -> None:
        self._path = str(path)
        self._until = time.monotonic() + _PATIENCE_S

    def mapping(self, path: str) -> dict[str, Any] | None:
        told = self._get(path)
        return told if isinstance(told, dict) else None

    def mappings(self, path: str) -> list[dict[str, Any]]:
        return _mappings(self._get(path))

    def _get(self, path: str) -> object:
        data = b""
        with suppress(OSError, ValueError), socket.socket(socket.AF_UNIX) as engine:
            engine.settimeout(self._left())
            engine.connect(self._path)
            engine.sendall(f"GET {path} HTTP/1.0\r\nHost: docker\r\n\r\n".encode("ascii"))
            while len(data) < _MOST_BYTES:
                engine.settimeout(self._left())
                part = engine.recv(65536)
                if not part:
                    break
                data += part
            head, _blank, body = data.partition(b"\r\n\r\n")
            if head.split(b" ", 2)[1:2] == [b"200"]:
                return json.loads(body)
        return None

    def _left(self) -> float:
        left = self._until - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return left


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _mapping(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _mappings(value: object) -> list[dict[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []
