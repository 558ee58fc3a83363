# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The service manager: sockets that it has opened for this process, and what it is told."""

from __future__ import annotations

import os
import socket

_FIRST = 3
"""SD_LISTEN_FDS_START of sd_listen_fds(3)."""


def listeners() -> list[socket.socket]:
    """Return the sockets that were passed to this process; children will not inherit them."""
    if os.environ.get("LISTEN_PID") != str(os.getpid()):
        return []
    count = os.environ.get("LISTEN_FDS", "")
    if not count.isdecimal():
        return []
    descriptors = range(_FIRST, _FIRST + int(count))
    for descriptor in descriptors:
        os.set_inheritable(descriptor, False)
    return [socket.socket(fileno=descriptor) for descriptor in descriptors]


def watchdog_s() -> float | None:
    """Return how often the service manager wants to be told ``WATCHDOG=1``, twice in its limit;
    ``None`` if it does not. sd_watchdog_enabled(3)."""
    limit_us = os.environ.get("WATCHDOG_USEC", "")
    meant = os.environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
    return int(limit_us) / 1e6 / 2 if meant and limit_us.isdecimal() and int(limit_us) else None


def tell(message: str) -> None:
    """sd_notify(3): a datagram to the socket that the unit's Type=notify names."""
    address = os.environ.get("NOTIFY_SOCKET")
    if address:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
            notify.connect("\0" + address[1:] if address.startswith("@") else address)
            notify.sendall(message.encode())
