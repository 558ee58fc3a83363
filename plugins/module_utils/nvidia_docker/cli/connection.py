# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Asks a plugin by HTTP, on TCP or through the user's own ssh, and trusts nothing that answers."""

from __future__ import annotations

import http.client
import io
import os
import socket
import sys
from time import monotonic

from ..errors import RemoteError
from ..host import process

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from .address import Endpoint

_ANSWER_SECONDS = 10
"""v1's limit for one request, from the connection to the last byte of the answer."""
_LOGIN_SECONDS = 120
"""More for the first answer through ssh where a person can be asked: sshd's LoginGraceTime."""
_MAX_ANSWER_BYTES = 1 << 20
_TIMEOUTS = (TimeoutError, socket.timeout)
"""Two classes before Python 3.10."""
_ENDING_SECONDS = 1
"""ssh closes its output before it has ended."""
_SHOWN_LINES = 3
"""Of what ssh says, the last ones: before them can be a server's banner."""


class Connection:
    """One connection for all requests: one login, one password prompt.

    ``seconds``: how long each answer may take.
    """

    def __init__(self, endpoint: Endpoint, seconds: float = _ANSWER_SECONDS) -> None:
        self._endpoint = endpoint
        self._seconds = seconds
        self._http = _Http(endpoint)

    def get(self, path: str) -> str:
        """Return the body of an answer with status 200.

        Raises RemoteError with the reason; what the other machine says is made one harmless line.
        """
        try:
            status, reason, body = self._http.ask(path, self._seconds)
        except (OSError, http.client.HTTPException, UnicodeError) as error:
            # UnicodeError: a host name with an empty or overlong part.
            raise RemoteError(
                f"can't ask the plugin at {self._endpoint}: {self._problem(error)}"
            ) from None
        if status != 200:
            raise RemoteError(
                f"{line(body) or line(reason)} (the plugin at {self._endpoint}, status {status})"
            )
        return body

    def close(self) -> None:
        """End the connection, and ssh; what it said is shown: a new host key, a banner."""
        sys.stderr.write(self._http.end()[1])
        sys.stderr.flush()

    def _problem(self, error: Exception) -> str:
        endpoint, reason = self._endpoint, _reason(error)
        if endpoint.scheme != "ssh":
            return (
                f"{reason}; does nvidia-docker-plugin listen there? By default it does for its own "
                f"machine alone: NV_HOST=ssh://{endpoint.host}: asks it through ssh"
            )
        status, said = self._http.end(0 if isinstance(error, _TIMEOUTS) else _ENDING_SECONDS)
        # ssh knows more of what went wrong than the end of its output tells.
        if said and not isinstance(error, _TIMEOUTS):
            reason = line(" ".join(said.splitlines()[-_SHOWN_LINES:]))
        elif status > 0:
            reason = f"ssh ended with status {status}"
        return f"{reason}; 'ssh {endpoint.host}' must work, and nvidia-docker-plugin run there"


def line(text: str) -> str:
    """Return another machine's text as one short line that does nothing to a terminal."""
    words = " ".join(text.split())[:300]
    return "".join(character if character.isprintable() else "?" for character in words)


class _Http(http.client.HTTPConnection):
    """HTTP over what ``connect`` opens, with one limit in time for each whole exchange."""

    def __init__(self, endpoint: Endpoint) -> None:
        super().__init__(endpoint.host, endpoint.port)
        self._endpoint = endpoint
        self._socket: socket.socket | None = None
        self._ssh: process.Process | None = None
        self._limit = 0.0

    def ask(self, path: str, seconds: float) -> tuple[int, str, str]:
        """Return status, reason and body. Raises OSError or HTTPException."""
        self._limit = monotonic() + seconds
        if self._endpoint.scheme == "ssh" and self._ssh is None and _can_ask_the_user():
            self._limit += _LOGIN_SECONDS
        self.putrequest("GET", path, skip_host=True, skip_accept_encoding=True)
        self.putheader("Host", "plugin")
        self.endheaders()
        response = self.getresponse()
        body = response.read(_MAX_ANSWER_BYTES + 1)
        if len(body) > _MAX_ANSWER_BYTES:
            raise http.client.HTTPException(f"it answered more than {_MAX_ANSWER_BYTES} bytes")
        if response.length:
            raise http.client.HTTPException("its answer ended early")
        return response.status, response.reason, body.decode("utf-8", "replace")

    def connect(self) -> None:
        """Open the connection; http.client does it for the first request, and after a close."""
        self._hang_up(0)
        if self._endpoint.scheme == "ssh":
            self._socket = self._through_ssh()
        else:
            address = (self._endpoint.host, self._endpoint.port)
            self._socket = socket.create_connection(address, timeout=self._left())
        self.sock = _Stream(self._socket, self._left)

    def end(self, seconds: float = 0) -> tuple[int, str]:
        """Close, let ssh end for so many seconds; return its status and what it said."""
        self.close()
        return self._hang_up(seconds)

    def _hang_up(self, seconds: float) -> tuple[int, str]:
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        if self._ssh is None:
            return 0, ""
        status, _dummy, said = self._ssh.end(seconds)
        self._ssh = None
        return status, said

    def _through_ssh(self) -> socket.socket:
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                self._ssh = process.start(
                    ssh_command(self._endpoint), output=theirs.fileno(), source=theirs.fileno()
                )
            except OSError as error:
                ours.close()
                raise OSError(f"can't start ssh: {error.strerror}") from None
        return ours

    def _left(self) -> float:
        left = self._limit - monotonic()
        if left <= 0:
            raise TimeoutError("timed out")
        return left


def ssh_command(endpoint: Endpoint) -> tuple[str, ...]:
    """Return the ssh that connects its standard input and output with the plugin.

    Who the user is, keys, host keys, jump hosts and the rest are ssh's own business.
    """
    # The time for a TCP connection; what a person types comes after it.
    words = ["ssh", "-o", f"ConnectTimeout={_ANSWER_SECONDS}", "-W", f"localhost:{endpoint.port}"]
    if endpoint.user:
        words += ["-l", endpoint.user]
    if endpoint.ssh_port is not None:
        words += ["-p", str(endpoint.ssh_port)]
    return (*words, "--", endpoint.host)


class _Stream:
    """A socket as http.client uses it, whose every wait ends when the time is up."""

    def __init__(self, connected: socket.socket, left: Callable[[], float]) -> None:
        self._socket = connected
        self._left = left

    def sendall(self, data: bytes) -> None:
        self._socket.settimeout(self._left())
        self._socket.sendall(data)

    def makefile(self, mode: str) -> io.BufferedReader:
        return io.BufferedReader(_Reader(self._socket, self._left))

    def close(self) -> None:
        """Not the socket: http.client closes before it reads an answer without a length."""


class _Reader(io.RawIOBase):
    def __init__(self, connected: socket.socket, left: Callable[[], float]) -> None:
        super().__init__()
        self._socket = connected
        self._left = left

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._socket.settimeout(self._left())
        return self._socket.recv_into(buffer)


def _reason(error: Exception) -> str:
    if isinstance(error, _TIMEOUTS):
        return "it did not answer in time"
    if isinstance(error, http.client.RemoteDisconnected):
        return "it closed the connection without an answer"
    if isinstance(error, http.client.IncompleteRead):
        return "its answer ended early"
    text = getattr(error, "strerror", None) or str(error)
    return line(text) or type(error).__name__


def _can_ask_the_user() -> bool:
    if os.environ.get("SSH_ASKPASS"):
        return True
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC))
    except OSError:
        return False
    return True
