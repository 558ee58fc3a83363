# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The plugin, started in the root of a recording, and requests to it over real sockets."""

from __future__ import annotations

import http.client
import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from machine import Machine

PROGRAM = "/usr/local/bin/nvidia-docker-plugin"
SOCKET = "nvidia-docker.sock"

_START_S = 20
_STOP_S = 15
_TIMEOUT_S = 20
_POLL_S = 0.02
_LONGEST_SOCKET_NAME = 100


@dataclass(frozen=True)
class Answer:
    """What is compared of an HTTP answer; ``None``: not recorded."""

    status: int
    content_type: str | None
    body: str
    location: str | None = None


class UnixConnection(http.client.HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("plugin", timeout=_TIMEOUT_S)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(_TIMEOUT_S)
        self.sock.connect(str(self._path))


class RunningPlugin:
    """The plugin as its launcher starts it, with the flags of the recordings."""

    def __init__(self, machine: Machine, arguments: Sequence[str] | None = None) -> None:
        self._machine = machine
        self.socket = machine.path(machine.sockets) / SOCKET
        if len(str(self.socket)) > _LONGEST_SOCKET_NAME:
            raise SystemExit(f"Error: {self.socket} is too long for a socket: set TMPDIR")
        if arguments is None:
            arguments = ("-d", machine.volumes, "-l", machine.listen, "-s", machine.sockets)
        host, _colon, port = machine.listen.rpartition(":")
        self._address = (host, int(port))
        self._output = machine.folder / ".output"
        self._errors = machine.folder / ".errors"
        with self._output.open("wb") as output, self._errors.open("wb") as errors:
            self._process = subprocess.Popen(
                [PROGRAM, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=errors,
                env=machine.environment,
                preexec_fn=machine.inside(),
            )

    def serves(self) -> bool:
        """Wait until both sockets answer (True) or the process has ended (False)."""
        end = time.monotonic() + _START_S
        while time.monotonic() < end:
            if self._process.poll() is not None:
                return False
            if self._connects():
                return True
            time.sleep(_POLL_S)
        raise SystemExit(f"Error: the plugin neither serves nor ends: {self.errors()}")

    def _connects(self) -> bool:
        try:
            for family, address in (
                (socket.AF_UNIX, str(self.socket)),
                (socket.AF_INET, self._address),
            ):
                with socket.socket(family, socket.SOCK_STREAM) as one:
                    one.connect(address)
        except OSError:
            return False
        return True

    def ask(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str],
        body: str = "",
        unix: bool = False,
    ) -> Answer:
        """Send one request on a connection of its own, with these headers and no others."""
        connection = (
            UnixConnection(self.socket)
            if unix
            else http.client.HTTPConnection(*self._address, timeout=_TIMEOUT_S)
        )
        try:
            connection.putrequest(
                method, path, skip_host="Host" in headers, skip_accept_encoding=True
            )
            for name, value in headers.items():
                connection.putheader(name, value)
            data = body.encode()
            if data or method == "POST":
                connection.putheader("Content-Length", str(len(data)))
            connection.endheaders(data)
            response = connection.getresponse()
            text = response.read().decode("utf-8", errors="backslashreplace")
            return Answer(
                response.status,
                response.getheader("Content-Type"),
                text,
                response.getheader("Location"),
            )
        finally:
            connection.close()

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send a signal, if it still runs, and return the exit status; negative: by a signal."""
        if self._process.poll() is None:
            os.kill(self._process.pid, number)
        return self.wait()

    def wait(self) -> int:
        """Return the exit status of a process that is about to end."""
        try:
            return self._process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            raise SystemExit("Error: the plugin does not end") from None

    def output(self) -> str:
        """Return its standard output."""
        return self._output.read_text()

    def errors(self) -> str:
        """Return its standard error."""
        return self._errors.read_text()

    def log(self) -> list[str]:
        """Return the lines of its log."""
        return self.errors().splitlines()


_PREFIX = re.compile(r"^\S+ \| YYYY/MM/DD HH:MM:SS ")


def message(recorded: str) -> str:
    """Return a line of v1's log without program and time, which systemd's journal has itself."""
    return _PREFIX.sub("", recorded)
