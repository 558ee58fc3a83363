# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The real program nvidia-docker-plugin as a process, on a simulated driver."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FILES = ROOT / "roles" / "simulated_gpu" / "files"
PACKAGES = [
    str(ROOT / "plugins" / "module_utils"),
    str(ROOT / "plugins" / "module_utils" / "nvidia_docker" / "_vendor"),
]
# As its launcher does.
START = (
    f"import sys; sys.path += {PACKAGES!r}; "
    "from nvidia_docker.plugin.main import main; sys.exit(main(sys.argv[1:]))"
)
TIMEOUT_S = 20
ACCEPT = "application/vnd.docker.plugins.v1.1+json"
GOOD = {
    "tcp": b"GET /gpu/info/json HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
    "unix": (
        b"POST /VolumeDriver.List HTTP/1.1\r\nHost: docker\r\nConnection: close\r\n"
        b"Accept: " + ACCEPT.encode() + b"\r\nContent-Length: 2\r\n\r\n{}"
    ),
}


class Plugin:
    """Serves from entering to leaving; ``directory`` is empty before."""

    def __init__(self, directory: Path, driver: Path, start: str = START) -> None:
        self.directory = directory
        self.store = directory / "volumes"
        self.log = directory / "log"
        self._driver = driver
        self._start = start

    @staticmethod
    def build_driver(prefix: Path) -> Path:
        """Compile a driver with eight GPUs; return the folder of its libraries."""
        sys.path.insert(0, str(FILES))
        import simulated_gpu  # type: ignore[import-not-found]

        machine = json.loads((FILES / "machines" / "h100x8.json").read_text())
        return Path(simulated_gpu.build(machine, prefix, nodes=False)).parent

    def __enter__(self) -> Plugin:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port: int = free.getsockname()[1]
        arguments = ["-d", str(self.store), "-s", str(self.directory / "run")]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [
                    sys.executable,
                    "-I",
                    "-c",
                    self._start,
                    *arguments,
                    "-l",
                    f"127.0.0.1:{self.port}",
                ],
                env={**os.environ, "LD_LIBRARY_PATH": str(self._driver)},
                cwd=self.directory,
                stderr=log,
            )
        end = time.monotonic() + TIMEOUT_S
        while not self._is_up():
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < end, "it does not start"
            time.sleep(0.02)
        return self

    def __exit__(self, *_dummy: object) -> None:
        self.process.send_signal(signal.SIGTERM)
        try:
            status = self.process.wait(TIMEOUT_S)
        finally:
            self.process.kill()
        assert status == 0

    def connect(self, kind: str) -> socket.socket:
        """Return a client's connection, to "tcp" or "unix"."""
        client = socket.socket(socket.AF_INET if kind == "tcp" else socket.AF_UNIX)
        try:
            unix = str(self.directory / "run" / "nvidia-docker.sock")
            client.connect(("127.0.0.1", self.port) if kind == "tcp" else unix)
        except OSError:
            client.close()
            raise
        # Not before: a connection that is not blocking does not wait for its turn on unix.
        client.settimeout(TIMEOUT_S)
        return client

    def answer(self, kind: str, sent: bytes) -> bytes:
        """Send all and nothing after it; return everything that comes back."""
        with self.connect(kind) as client:
            try:
                client.sendall(sent)
                client.shutdown(socket.SHUT_WR)
            except OSError:
                pass  # Refused before it was all sent: the reason can be read.
            received = b""
            while True:
                try:
                    data = client.recv(65536)
                except ConnectionResetError:
                    return received
                if not data:
                    return received
                received += data

    def is_fine(self) -> None:
        """Assert that it answers good requests on both sockets, soon."""
        for kind, sent in GOOD.items():
            started = time.monotonic()
            answer = self.answer(kind, sent)
            assert answer.startswith(b"HTTP/1.1 200 OK\r\n"), answer
            assert time.monotonic() - started < 1

    def memory_kib(self) -> int:
        """Return what it has in memory."""
        return self._status("VmRSS")

    def threads(self) -> int:
        return self._status("Threads")

    def descriptors(self) -> int:
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def _status(self, name: str) -> int:
        lines = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        return int(next(line.split()[1] for line in lines if line.startswith(f"{name}:")))

    def _is_up(self) -> bool:
        try:
            self.connect("tcp").close()
            self.connect("unix").close()
        except OSError:
            return False
        return True
