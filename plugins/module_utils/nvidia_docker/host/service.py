# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The units of the plugin as systemd has them, its user, and what stands in the way of its port."""

from __future__ import annotations

import errno
import grp
import os
import pwd
import re
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

from ..errors import NvidiaDockerError
from . import process
from .layout import SERVICE, SOCKETS, USER, Layout

_PROPERTIES = ("Id", "ActiveState", "LoadState", "MainPID", "NeedDaemonReload", "Listen")
_ADDRESS = re.compile(r"(?P<host>[0-9.]*|localhost|\[[0-9A-Fa-f:.]+\]):(?P<port>[0-9]{1,5})")
_LISTENING = "0A"
"""State of a socket in /proc/net/tcp (TCP_LISTEN)."""


class AddressError(NvidiaDockerError):
    """The plugin could not listen at its address."""


@dataclass(frozen=True)
class Service:
    """The units now."""

    exists: bool
    active: bool
    main_pid: int | None
    release: str | None
    """Digest of the release that the running plugin imports from."""
    needs_reload: bool
    """A unit's file changed since systemd read it."""
    inactive_sockets: tuple[str, ...]
    """Units of ``SOCKETS`` that don't listen."""
    listens: tuple[str, ...]
    """Addresses at which systemd listens for the plugin."""


def ask(layout: Layout) -> Service | None:
    """Ask systemd; ``None`` where systemd does not run."""
    properties = (f"--property={name}" for name in _PROPERTIES)
    command = ("systemctl", "show", *properties, SERVICE, *SOCKETS)
    try:
        status, output = process.start(command).wait()[:2]
    except OSError:
        return None
    if status != 0:
        return None
    units = {unit["Id"]: unit for unit in map(_properties, output.split("\n\n"))}
    service, sockets = units[SERVICE], [units[name] for name in SOCKETS]
    pid = int(service.get("MainPID", "0")) or None
    return Service(
        exists=service.get("LoadState") not in (None, "not-found"),
        active=service.get("ActiveState") == "active",
        main_pid=pid,
        release=_release(layout, pid),
        needs_reload=any(unit.get("NeedDaemonReload") == "yes" for unit in units.values()),
        inactive_sockets=tuple(
            unit["Id"] for unit in sockets if unit.get("ActiveState") != "active"
        ),
        listens=tuple(
            line.partition(" ")[0]
            for unit in sockets
            if unit.get("ActiveState") == "active"
            for line in unit.get("Listen", "").splitlines()
        ),
    )


def _properties(block: str) -> dict[str, str]:
    """Read the properties of one unit; ``Listen`` has a line for each address."""
    found: dict[str, str] = {}
    for line in block.splitlines():
        name, _separator, value = line.partition("=")
        found[name] = f"{found[name]}\n{value}" if name in found else value
    return found


def make_user() -> None:
    """Make the plugin's user as its file in sysusers.d says; one that is there stays.

    Raises NvidiaDockerError with what systemd-sysusers said.
    """
    try:
        pwd.getpwnam(USER)
        return
    except KeyError:
        command = ("systemd-sysusers", f"{USER}.conf")
    try:
        status, _output, errors = process.start(command).wait()
    except OSError as error:
        status, errors = -1, error.strerror or str(error)
    if status != 0:
        raise NvidiaDockerError(f"'{' '.join(command)}' can't make the plugin's user: {errors}")


def remove_user() -> None:
    """Remove the plugin's user and the group of its name; none is fine.

    Raises NvidiaDockerError with what userdel said, such as that a process runs as the user.
    """
    # userdel removes the group too, unless this machine is configured otherwise.
    lookups: tuple[tuple[str, Callable[[str], object]], ...] = (
        ("userdel", pwd.getpwnam),
        ("groupdel", grp.getgrnam),
    )
    for command, look_up in lookups:
        try:
            look_up(USER)
            status, _output, errors = process.start((command, USER)).wait()
        except KeyError:
            continue
        except OSError as error:
            status, errors = -1, error.strerror or str(error)
        if status != 0:
            raise NvidiaDockerError(f"'{command} {USER}' failed: {errors.strip()}")


def check_address(address: str, service: Service | None) -> None:
    """Raise AddressError, naming who is there, if the plugin could not listen at ``host:port``.

    A port that systemd or this service's own plugin has for it is free.
    """
    match = _ADDRESS.fullmatch(address)
    if match is None or not 0 < int(match["port"]) < 65536:
        raise AddressError(f"can't listen at {address!r}: write, for example, 127.0.0.1:3476")
    host, port = match["host"].strip("[]"), int(match["port"])
    host = "127.0.0.1" if host == "localhost" else host
    sockets = _listening(port)
    if service is not None:
        if socket_address(address) in service.listens:
            return
        if service.main_pid is not None and _holders(sockets, service.main_pid):
            return
    everywhere = not host and socket.has_dualstack_ipv6()
    family = socket.AF_INET6 if everywhere or ":" in host else socket.AF_INET
    try:
        socket.create_server((host, port), family=family, dualstack_ipv6=everywhere).close()
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        if error.errno == errno.EADDRINUSE:
            holders = _describe(_holders(sockets, None))
            reason = f"the port is taken by {holders}; stop it or choose another address"
        raise AddressError(f"nvidia-docker-plugin can't listen at {address}: {reason}") from error


def socket_address(address: str) -> str:
    """Return ``host:port`` as a socket unit has it: no name, and every interface is ``[::]``."""
    host, _separator, port = address.rpartition(":")
    written = {"": "[::]", "localhost": "127.0.0.1"}.get(host, host)
    return f"{written}:{port}"


def _release(layout: Layout, pid: int | None) -> str | None:
    # The unit's working directory is the release that was current when the plugin started.
    try:
        folder = Path(os.readlink(f"/proc/{pid}/cwd"))
    except OSError:
        return None
    return folder.name if folder.parent == layout.releases else None


def _listening(port: int) -> frozenset[str]:
    """Return the sockets (``socket:[inode]``) that listen on this TCP port, of any address."""
    found = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            lines = Path(table).read_text().splitlines()[1:]
        except FileNotFoundError:  # no IPv6
            continue
        for line in lines:
            fields = line.split()
            if fields[3] == _LISTENING and int(fields[1].rpartition(":")[2], 16) == port:
                found.add(f"socket:[{fields[9]}]")
    return frozenset(found)


def _holders(sockets: frozenset[str], pid: int | None) -> list[int]:
    """Return the processes that have one of these sockets open; ``pid`` looks at that one only."""
    if not sockets:
        return []
    everyone = (int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit())
    pids = [pid] if pid else sorted(everyone)
    return [each for each in pids if sockets & _open_files(each)]


def _open_files(pid: int) -> set[str]:
    found = set()
    try:
        for descriptor in os.scandir(f"/proc/{pid}/fd"):
            found.add(os.readlink(descriptor.path))
    except OSError:  # it ended meanwhile
        pass
    return found


def _describe(pids: list[int]) -> str:
    names = []
    for pid in pids:
        try:
            names.append(f"process {pid} ({Path(f'/proc/{pid}/comm').read_text().strip()})")
        except OSError:
            names.append(f"process {pid}")
    return " and ".join(names) or "a process that can't be seen from here"
