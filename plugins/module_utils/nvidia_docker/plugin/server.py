# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Sockets and HTTP: waitress serves an API on each listening socket, all in one process."""

from __future__ import annotations

import errno
import os
import re
import socket
import stat
import time
from collections.abc import Iterable
from http import HTTPStatus
from pathlib import Path
from typing import Any, Callable

from ..errors import InvalidInput, NvidiaDockerError
from .api import Api, Request, Response, respond
from .state import State

THREADS = 4
"""Requests handled at once, per socket: a slow one on TCP never keeps Docker waiting."""
MAX_HEADER_BYTES = 16 * 1024
MAX_BODY_BYTES = 64 * 1024
IDLE_S = 5
"""A connection on which nothing happens is closed; v1's limit too."""
GRACE_S = 5
"""Requests that are being answered may take so long after a stop; v1's limit too."""
TCP_CONNECTIONS = 128
UNIX_CONNECTIONS = 256
"""waitress counts the connections of both: above TCP's limit, so that TCP can't use it up."""

_ADDRESS = re.compile(r"(?P<host>\[[^\[\]]*\]|[^:\[\]]*):(?P<port>[0-9]{1,5})")

StartResponse = Callable[[str, "list[tuple[str, str]]"], object]


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


class Server:
    """Serves until it is stopped."""

    def __init__(self) -> None:
        # Late: Ansible's checks import each file where waitress is not vendored.
        import waitress
        from waitress import wasyncore

        self._create = waitress.create_server
        self._wasyncore = wasyncore
        self._sockets: dict[int, Any] = {}
        self._servers: list[Any] = []
        self._files: list[tuple[Path, os.stat_result]] = []
        self._stopping = False

    def add(self, listener: socket.socket, api: Api, state: State) -> None:
        """Serve ``api`` on a bound socket."""
        is_unix = listener.family == socket.AF_UNIX
        self._servers.append(
            self._create(
                _application(api, state),
                map=self._sockets,
                sockets=[listener],
                threads=THREADS,
                connection_limit=UNIX_CONNECTIONS if is_unix else TCP_CONNECTIONS,
                max_request_header_size=MAX_HEADER_BYTES,
                max_request_body_size=MAX_BODY_BYTES,
                channel_timeout=IDLE_S,
                cleanup_interval=1,
                ident=None,
                clear_untrusted_proxy_headers=False,
                log_socket_errors=False,
            )
        )

    def remove_when_stopped(self, file: Path) -> None:
        """Let ``run`` delete this socket file, which ``listen_unix`` has made, in the end."""
        self._files.append((file, file.lstat()))

    def stop(self) -> None:
        """Make ``run`` return; may be called by a signal handler, before it too."""
        self._stopping = True
        for server in self._servers:
            server.pull_trigger()

    def run(self) -> None:
        """Serve until ``stop``: then accept nothing more, finish what was begun, remove the socket
        files."""
        try:
            while not self._stopping:
                self._turn(timeout_s=1)
        finally:
            for server in self._servers:
                self._wasyncore.dispatcher.close(server)
            for file, made in self._files:
                _remove_own(file, made)
        end = time.monotonic() + GRACE_S
        while self._close_idle() and time.monotonic() < end:
            self._turn(timeout_s=0.1)
        for server in self._servers:
            server.task_dispatcher.shutdown(timeout=max(0, end - time.monotonic()))

    def _turn(self, timeout_s: float) -> None:
        self._wasyncore.loop(timeout=timeout_s, use_poll=True, map=self._sockets, count=1)

    def _close_idle(self) -> bool:
        """Close connections without a request in work; return whether others are left."""
        channels = [
            channel for server in self._servers for channel in server.active_channels.values()
        ]
        for channel in channels:
            if not channel.requests and not channel.total_outbufs_len:
                channel.will_close = True
        return bool(channels)


def _remove_own(file: Path, made: os.stat_result) -> None:
    """A plugin started meanwhile may have put its own socket there."""
    try:
        if os.path.samestat(file.lstat(), made):
            file.unlink()
    except FileNotFoundError:
        pass


def _application(
    api: Api, state: State
) -> Callable[[dict[str, Any], StartResponse], Iterable[bytes]]:
    def application(environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        request = Request(
            method=environ["REQUEST_METHOD"],
            path=_path(environ),
            query=environ["QUERY_STRING"],
            headers={
                key[5:].lower().replace("_", "-"): value
                for key, value in environ.items()
                if key.startswith("HTTP_")
            },
            body=environ["wsgi.input"].read(),
        )
        response = respond(api, state, request)
        status = HTTPStatus(response.status)
        start_response(f"{status.value} {status.phrase}", _headers(response))
        return [] if request.method == "HEAD" else [response.body]

    return application


def _path(environ: dict[str, Any]) -> str:
    """Return the path as it was sent: waitress makes one of the slashes at its beginning."""
    path: str = environ["PATH_INFO"]
    return f"/{path}" if environ["REQUEST_URI"].startswith("//") else path


def _headers(response: Response) -> list[tuple[str, str]]:
    headers = [("Content-Length", str(len(response.body)))]
    if response.content_type is not None:
        headers.append(("Content-Type", response.content_type))
    if response.location is not None:
        headers.append(("Location", response.location))
    if response.status >= 400:
        headers.append(("X-Content-Type-Options", "nosniff"))
    return headers
