# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The few questions that a dockerd's own API answers best, at its unix socket.

Not the docker client: Docker's packages do not bring it everywhere, and it does not say whether it
was the daemon that refused.
"""

from __future__ import annotations

import json
import socket
from dataclasses import dataclass
from typing import Any

_SECONDS = 5


@dataclass(frozen=True)
class Info:
    """What ``GET /info`` tells of a running daemon."""

    running: int
    """Containers that run."""
    live_restore: bool
    swarm: bool
    """Whether this host is a node of a Swarm."""


def answers(path: str) -> bool:
    """Whether the daemon takes requests."""
    return _get(path, "/_ping") is not None


def info(path: str) -> Info | None:
    """Return what the daemon tells of itself, None if it does not answer."""
    told = _object(_get(path, "/info"))
    if told is None:
        return None
    swarm = (told.get("Swarm") or {}).get("LocalNodeState", "")
    return Info(
        running=int(told.get("ContainersRunning") or 0),
        live_restore=bool(told.get("LiveRestoreEnabled")),
        swarm=swarm not in ("", "inactive"),
    )


def reloaded(path: str, since: float, until: float) -> bool:
    """Whether the daemon has taken a new configuration between these times, in s since the epoch.

    One that it refused is no event.
    """
    filters = "%7B%22type%22%3A%5B%22daemon%22%5D%2C%22event%22%3A%5B%22reload%22%5D%7D"
    found = _get(path, f"/events?since={since:.9f}&until={until:.9f}&filters={filters}")
    return bool(found and found.strip())


def _object(body: bytes | None) -> dict[str, Any] | None:
    try:
        found = json.loads(body or b"null")
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _get(path: str, request: str) -> bytes | None:
    """Return the body of an answer 200, None for any other, or if there is none in time."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(_SECONDS)
            connection.connect(path)
            # HTTP/1.0: the answer comes in one piece and ends with the connection.
            connection.sendall(f"GET {request} HTTP/1.0\r\nHost: docker\r\n\r\n".encode())
            answer = b"".join(iter(lambda: connection.recv(65536), b""))
    except OSError:
        return None
    head, _separator, body = answer.partition(b"\r\n\r\n")
    return body if head.split(b" ", 2)[1:2] == [b"200"] else None
