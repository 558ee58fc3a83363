# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Sockets and connections: an API is served on each listening socket, all in one process."""

from __future__ import annotations

import _thread
import errno
import logging
import os
import re
import select
import socket
import stat
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from ..errors import InvalidInput, NvidiaDockerError
from .api import Api, Response, respond, sentence
from .http1 import LINGER_S, Heads, Refused, Stream, answer
from .state import State

GRACE_S = 5
"""Requests that are being answered may take so long after a stop; v1's limit too."""
TCP_CONNECTIONS = 128
UNIX_CONNECTIONS = 128
"""Counted apart: whatever clients do on TCP, Docker is served."""
TURNED_AWAY = 128
"""So many connections beyond the limit may still read why; the unit's LimitNOFILE covers all."""
BACKLOG = 1024
ACCEPTED_AT_ONCE = 64

_ADDRESS = re.compile(r"(?P<host>\[[^\[\]]*\]|[^:\[\]]*):(?P<port>[0-9]{1,5})")

logger = logging.getLogger(__name__)


def listen_tcp(address: str) -> socket.socket:
    """Return a socket bound to ``host:port``; no host means all interfaces.

    Raises NvidiaDockerError with v1's sentence when the address can't be had.
    """
    match = _ADDRESS.fullmatch(address)
    if match is None or int(match["port"]) > 65535:
        raise InvalidInput(f"listen tcp {address}: write host:port, for example 127.0.0.1:3476")
    # The name is not looked up: on machines without it in /etc/hosts v1 failed here.
    host = "127.0.0.1" if match["host"] == "localhost" else match["host"].strip("[]")
    everywhere = not host and socket.has_dualstack_ipv6()
    try:
        family = socket.AF_INET6 if everywhere or ":" in host else socket.AF_INET
        return socket.create_server(
            (host, int(match["port"])), family=family, dualstack_ipv6=everywhere
        )
    except OSError as error:
        raise NvidiaDockerError(f"listen tcp {address}: bind: {_reason(error)}") from error


def listen_unix(path: Path) -> socket.socket:
    """Return a socket bound to ``path``, for its owner only. Its directory is made.

    A socket file that nobody serves is left from a killed plugin and replaced. Raises
    NvidiaDockerError when somebody does, or when it can't be made.
    """
    listener = socket.socket(socket.AF_UNIX)
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _remove_stale(path)
        umask = os.umask(0o177)
        try:
            listener.bind(str(path))
        finally:
            os.umask(umask)
    except OSError as error:
        listener.close()
        raise NvidiaDockerError(f"listen unix {path}: bind: {_reason(error)}") from error
    except NvidiaDockerError:
        listener.close()
        raise
    return listener


def _remove_stale(path: Path) -> None:
    try:
        is_socket = stat.S_ISSOCK(path.lstat().st_mode)
    except FileNotFoundError:
        return
    if not is_socket:
        raise NvidiaDockerError(f"listen unix {path}: there is a file that is no socket: remove it")
    with socket.socket(socket.AF_UNIX) as client:
        if client.connect_ex(str(path)) != errno.ECONNREFUSED:
            raise NvidiaDockerError(f"listen unix {path}: another process serves it: stop it first")
    path.unlink()


def _reason(error: OSError) -> str:
    return os.strerror(error.errno).lower() if error.errno else str(error)


class _Door:
    """A listening socket, what is served on it, and who is connected."""

    def __init__(self, listener: socket.socket, api: Api, state: State) -> None:
        self.listener = listener
        self.api = api
        self.state = state
        is_unix = listener.family == socket.AF_UNIX
        self.limit = UNIX_CONNECTIONS if is_unix else TCP_CONNECTIONS
        self.connections: set[socket.socket] = set()


class Server:
    """Serves until it is stopped. Each connection has a thread of its own, which waits for the
    client in the kernel: a slow client or a slow answer keeps nobody else waiting."""

    def __init__(self) -> None:
        self._heads = Heads()
        self._doors: list[_Door] = []
        self._turned_away: deque[tuple[float, socket.socket]] = deque()
        self._files: list[tuple[Path, os.stat_result]] = []
        self._stopping = False
        # Never closed: a late signal must not ring at what has the number then.
        self._bell, self._rung = socket.socketpair()
        self._bell.setblocking(False)

    def add(self, listener: socket.socket, api: Api, state: State) -> None:
        """Serve ``api`` on a bound socket."""
        listener.setblocking(False)
        listener.listen(BACKLOG)
        self._doors.append(_Door(listener, api, state))

    def remove_when_stopped(self, file: Path) -> None:
        """Let ``run`` delete this socket file, which ``listen_unix`` has made, in the end."""
        self._files.append((file, file.lstat()))

    def stop(self) -> None:
        """Make ``run`` return; may be called by a signal handler, before it too."""
        self._stopping = True
        with suppress(OSError):
            self._bell.send(b"!")

    @property
    def wakeup(self) -> int:
        """Descriptor for ``signal.set_wakeup_fd``: a signal may reach any thread, and its handler
        runs in the main one, which waits for connections."""
        return self._bell.fileno()

    def run(self, beat: Callable[[], None] | None = None, beat_s: float = 0) -> None:
        """Serve until ``stop``: then accept nothing more, finish what was begun, remove the socket
        files. ``beat`` is called every ``beat_s`` seconds while connections are accepted."""
        try:
            self._accept_until_stopped(beat, beat_s)
        finally:
            for door in self._doors:
                door.listener.close()
            for file, made in self._files:
                _remove_own(file, made)
        self._finish()
        self._forget(0)

    def _accept_until_stopped(self, beat: Callable[[], None] | None, beat_s: float) -> None:
        poll = select.poll()
        poll.register(self._rung, select.POLLIN)
        doors = {door.listener.fileno(): door for door in self._doors}
        for descriptor in doors:
            poll.register(descriptor, select.POLLIN)
        next_beat = time.monotonic()
        while not self._stopping:
            waits = [0.1] if self._turned_away else []
            if beat is not None:
                if time.monotonic() >= next_beat:
                    beat()
                    next_beat = time.monotonic() + beat_s
                waits.append(max(0, next_beat - time.monotonic()))
            ready = poll.poll(min(waits) * 1000 if waits else None)
            for descriptor, _event in ready:
                if descriptor in doors:
                    self._accept(doors[descriptor])
                else:
                    self._rung.recv(64)
            self._forget(TURNED_AWAY)

    def _accept(self, door: _Door) -> None:
        for _dummy in range(ACCEPTED_AT_ONCE):
            try:
                connection = door.listener.accept()[0]
            except (BlockingIOError, ConnectionError):
                return
            except OSError as error:
                # The limits are below those on descriptors. Should it be the machine's: wait.
                logger.error("Error: accept: %s", error)
                time.sleep(0.1)
                return
            if len(door.connections) >= door.limit:
                self._turn_away(connection, f"{door.limit} connections are open, no more is served")
                continue
            door.connections.add(connection)
            try:
                # threading's waits until the new thread runs, and others wait to be accepted.
                _thread.start_new_thread(self._serve, (door, connection))
            except RuntimeError as error:
                door.connections.discard(connection)
                self._turn_away(connection, f"{error}: try again")

    def _turn_away(self, connection: socket.socket, reason: str) -> None:
        """Answer at once, and close later: the client is about to send its request."""
        with suppress(OSError):
            connection.send(
                answer(Response.of(503, reason + "\n"), close=True), socket.MSG_DONTWAIT
            )
            connection.shutdown(socket.SHUT_WR)
        self._turned_away.append((time.monotonic() + LINGER_S, connection))
        self._forget(TURNED_AWAY)

    def _forget(self, limit: int) -> None:
        """Close those whose time is over, and the first of too many."""
        now = time.monotonic()
        while self._turned_away and (
            len(self._turned_away) > limit or self._turned_away[0][0] <= now
        ):
            self._turned_away.popleft()[1].close()

    def _serve(self, door: _Door, connection: socket.socket) -> None:
        try:
            stream = Stream(connection, self._heads)
            try:
                self._converse(door, stream)
            except Refused as refused:
                stream.send(answer(refused.response, close=True))
            except OSError:
                return
            except Exception as error:
                logger.exception("Error: connection")
                stream.send(answer(Response.of(500, sentence(error) + "\n"), close=True))
            stream.leave()
        except OSError:
            pass  # The client is gone.
        finally:
            door.connections.discard(connection)
            connection.close()

    def _converse(self, door: _Door, stream: Stream) -> None:
        received = stream.next()
        while received is not None:
            request = received.request
            response = respond(door.api, door.state, request)
            close = self._stopping or not received.keep
            stream.send(answer(response, close, head_only=request.method == "HEAD"))
            if close:
                return
            received = stream.next()

    def _finish(self) -> None:
        """Nothing more is read; those that wait for a request end, the others answer first."""
        for door in self._doors:
            for connection in list(door.connections):
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RD)
        end = time.monotonic() + GRACE_S
        while any(door.connections for door in self._doors) and time.monotonic() < end:
            time.sleep(0.002)


def _remove_own(file: Path, made: os.stat_result) -> None:
    """A plugin started meanwhile may have put its own socket there."""
    try:
        if os.path.samestat(file.lstat(), made):
            file.unlink()
    except FileNotFoundError:
        pass
