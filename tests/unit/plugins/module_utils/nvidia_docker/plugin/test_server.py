# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""server.py over real sockets."""

from __future__ import annotations

import http.client
import socket
import stat
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.errors import (
    InvalidInput,
    NvidiaDockerError,
)
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.plugin.api import (
    Api,
    Request,
    Response,
)
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.plugin.http1 import (
    MAX_BODY_BYTES,
    MAX_HEADER_BYTES,
)
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.plugin.server import (
    TCP_CONNECTIONS,
    Server,
    listen_tcp,
    listen_unix,
)
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.plugin.state import (
    State,
)

TIMEOUT_S = 10


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("docker", timeout=TIMEOUT_S)
        self._path = path

    def connect(self) -> None:
        self.sock = connect(self._path)


def connect(address: Path | tuple[str, int]) -> socket.socket:
    family = socket.AF_UNIX if isinstance(address, Path) else socket.AF_INET
    client = socket.socket(family)
    client.settimeout(TIMEOUT_S)
    client.connect(str(address) if isinstance(address, Path) else address)
    return client


class Running:
    """A server of a small API in a thread of this process."""

    def __init__(self, directory: Path, state: State) -> None:
        self.entered = threading.Event()
        self.let_go = threading.Event()
        api = Api(
            routes={
                ("GET", "/echo"): self.echo,
                ("POST", "/echo"): self.echo,
                ("GET", "/slow"): self.slow,
                ("GET", "/old"): self.old,
                ("GET", "//old"): self.old,
            },
            refuse=lambda request: None,
            failure=lambda request, error: Response.of(500, str(error)),
        )
        tcp = listen_tcp("127.0.0.1:0")
        self.address: tuple[str, int] = tcp.getsockname()
        self.path = directory / "plugins" / "nvidia-docker.sock"
        self.server = Server()
        self.server.add(tcp, api, state)
        self.server.add(listen_unix(self.path), api, state)
        self.server.remove_when_stopped(self.path)
        self.thread = threading.Thread(target=self.server.run)
        self.thread.start()

    def echo(self, request: Request, state: State) -> Response:
        seen = f"{request.method} {request.path} {request.query} {request.header('x-me')} "
        return Response.of(200, seen + request.body.decode())

    def old(self, request: Request, state: State) -> Response:
        return Response(301, request.path.encode(), "text/html; charset=utf-8", "/new")

    def slow(self, request: Request, state: State) -> Response:
        self.entered.set()
        self.let_go.wait(TIMEOUT_S)
        return Response.of(200, "done")

    def tcp(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(*self.address, timeout=TIMEOUT_S)

    def stop(self) -> None:
        self.server.stop()
        self.thread.join(TIMEOUT_S)
        assert not self.thread.is_alive()


@pytest.fixture
def running(tmp_path: Path, state: State) -> Iterator[Running]:
    server = Running(tmp_path, state)
    yield server
    server.let_go.set()
    server.stop()


def ask(
    connection: http.client.HTTPConnection, method: str, path: str, body: bytes = b""
) -> tuple[int, str]:
    connection.request(method, path, body, {"X-Me": "me"})
    response = connection.getresponse()
    return response.status, response.read().decode()


def test_both_sockets_are_served(running: Running) -> None:
    for connection in (running.tcp(), UnixConnection(running.path)):
        for _dummy in range(2):  # on one connection
            assert ask(connection, "GET", "/echo?a=%20b") == (200, "GET /echo a=%20b me ")
        assert ask(connection, "POST", "/echo", b"x" * 9999) == (
            200,
            "POST /echo  me " + "x" * 9999,
        )
        assert ask(connection, "POST", "/slow") == (404, "404 page not found\n")
        assert ask(connection, "HEAD", "/echo") == (404, "")
        assert ask(connection, "GET", "/%65cho")[0] == 200
        connection.close()


@pytest.mark.parametrize("path", ["/old", "//old"])
def test_redirects_have_a_location(running: Running, path: str) -> None:
    connection = running.tcp()
    connection.request("GET", path)
    response = connection.getresponse()
    assert (response.status, response.getheader("Location")) == (301, "/new")
    assert response.read().decode() == path
    connection.close()


def test_headers_tell_nothing_of_the_server(running: Running) -> None:
    connection = running.tcp()
    connection.request("GET", "/echo")
    response = connection.getresponse()
    response.read()
    assert {name.lower() for name, _dummy in response.getheaders()} == {
        "content-length",
        "content-type",
        "date",
    }
    connection.close()


BAD = [
    (b"GET / HTTP/1.1\r\nX: ".ljust(MAX_HEADER_BYTES, b"x"), 431),
    (b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % MAX_BODY_BYTES, 413),
    (b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n", 400),
    (b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n", 501),
    (b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
    (b"nonsense\r\n\r\n", 400),
    (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400),
    (b"GET /echo HTTP/1.1\r\nHost : a\r\n\r\n", 400),
]


@pytest.mark.parametrize(("sent", "status"), BAD)
def test_bad_requests_are_answered_and_hurt_nobody(
    running: Running, sent: bytes, status: int
) -> None:
    with connect(running.address) as client:
        client.sendall(sent)
        answer = client.makefile("rb").read().decode()
    assert answer.startswith(f"HTTP/1.0 {status} ") or answer.startswith(f"HTTP/1.1 {status} ")
    assert "bytearray" not in answer
    assert len(answer.partition("\r\n\r\n")[2]) > 10, "the reason is said"
    assert ask(running.tcp(), "GET", "/echo")[0] == 200


def test_slow_clients_do_not_keep_others_waiting(running: Running) -> None:
    """More of them than there are threads."""
    clients = [connect(running.address) for _dummy in range(20)]
    for client in clients:
        client.sendall(b"GET /echo HTTP/1.1\r\nHo")
    assert ask(running.tcp(), "GET", "/echo")[0] == 200
    clients[0].sendall(b"st: a\r\nConnection: close\r\n\r\n")
    assert clients[0].makefile("rb").read().startswith(b"HTTP/1.1 200 OK\r\n")
    for client in clients:
        client.close()


def test_tcp_clients_can_not_shut_docker_out(running: Running) -> None:
    """Neither with connections nor with requests that take long."""
    clients = [connect(running.address) for _dummy in range(TCP_CONNECTIONS + 10)]
    for client in clients:
        client.sendall(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
    assert running.entered.wait(TIMEOUT_S)
    assert ask(UnixConnection(running.path), "GET", "/echo")[0] == 200
    for client in clients:
        client.close()


def test_stop_finishes_what_was_begun(running: Running) -> None:
    idle = connect(running.address)
    half = connect(running.address)
    half.sendall(b"GET /echo HTTP/1.1\r\nHo")
    begun = running.tcp()
    begun.request("GET", "/slow")
    assert running.entered.wait(TIMEOUT_S)
    running.server.stop()
    assert idle.recv(1) == b"", "idle connections are closed"
    assert half.recv(1) == b"", "half a request has not begun"
    assert not running.path.exists()
    with pytest.raises(OSError):
        connect(running.address)
    running.let_go.set()
    response = begun.getresponse()
    assert (response.status, response.read()) == (200, b"done")
    for client in (idle, half, begun):
        client.close()


def test_stop_before_run(state: State) -> None:
    server = Server()
    server.stop()
    server.run()


def test_the_successors_socket_is_left(tmp_path: Path, state: State) -> None:
    first = Running(tmp_path, state)
    first.path.unlink()
    successor = listen_unix(first.path)
    first.stop()
    assert first.path.exists()
    successor.close()


def test_only_the_owner_can_reach_the_plugin_socket(tmp_path: Path) -> None:
    path = tmp_path / "plugins" / "n.sock"
    with listen_unix(path):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_a_stale_socket_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "s.sock"
    listen_unix(path).close()
    assert path.exists()
    listen_unix(path).close()


def test_a_served_socket_is_left(tmp_path: Path) -> None:
    path = tmp_path / "s.sock"
    with listen_unix(path) as listener:
        listener.listen()
        with pytest.raises(NvidiaDockerError, match="another process serves it"):
            listen_unix(path)
        connect(path).close()


def test_a_file_that_is_no_socket_is_left(tmp_path: Path) -> None:
    path, target = tmp_path / "s.sock", tmp_path / "target"
    target.write_text("mine")
    path.symlink_to(target)
    with pytest.raises(NvidiaDockerError, match="no socket"):
        listen_unix(path)
    assert target.read_text() == "mine"
    assert path.is_symlink()


def test_a_directory_that_can_not_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    path = tmp_path / "file" / "s.sock"
    with pytest.raises(
        NvidiaDockerError, match=r"listen unix .*: bind: (not a directory|file exists)"
    ):
        listen_unix(path)


def test_a_taken_port_is_said_in_v1s_words() -> None:
    with listen_tcp("localhost:0") as taken:
        host, port = taken.getsockname()
        taken.listen()
        with pytest.raises(NvidiaDockerError) as caught:
            listen_tcp(f"localhost:{port}")
    assert host == "127.0.0.1"
    assert str(caught.value) == f"listen tcp localhost:{port}: bind: address already in use"


@pytest.mark.parametrize(
    "address", ["", "3476", "localhost", "a:b", "::1:3476", "h:65536", "[::1]"]
)
def test_bad_addresses(address: str) -> None:
    with pytest.raises(InvalidInput, match="host:port"):
        listen_tcp(address)


def test_no_host_is_every_interface() -> None:
    with listen_tcp(":0") as listener:
        assert listener.getsockname()[0] in ("::", "0.0.0.0")
        listener.listen()
        connect(("127.0.0.1", listener.getsockname()[1])).close()
