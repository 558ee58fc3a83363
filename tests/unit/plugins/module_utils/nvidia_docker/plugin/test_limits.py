# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What clients are limited to, over real sockets: every refusal has its status and its sentence."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.plugin import (
    http1,
    server,
)
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.plugin.api import (
    Api,
    Request,
    Response,
)
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.plugin.state import (
    State,
)

TIMEOUT_S = 10
REPOSITORY = Path(__file__).resolve().parents[6]


def echo(request: Request, state: State) -> Response:
    seen = f"{request.method} {request.path}?{request.query} host={request.header('host')} "
    return Response.of(200, seen + request.body.decode())


class Served:
    def __init__(self, directory: Path, state: State) -> None:
        api = Api(
            routes={(method, "/echo"): echo for method in ("GET", "POST")},
            refuse=lambda request: None,
            failure=lambda request, error: Response.of(500, str(error)),
        )
        tcp = server.listen_tcp("127.0.0.1:0")
        self.addresses: dict[str, object] = {
            "tcp": tcp.getsockname(),
            "unix": str(directory / "s.sock"),
        }
        self.server = server.Server()
        self.server.add(tcp, api, state)
        self.server.add(server.listen_unix(directory / "s.sock"), api, state)
        self.thread = threading.Thread(target=self.server.run)
        self.thread.start()

    def connect(self, kind: str = "tcp") -> socket.socket:
        client = socket.socket(socket.AF_INET if kind == "tcp" else socket.AF_UNIX)
        client.settimeout(TIMEOUT_S)
        client.connect(self.addresses[kind])  # type: ignore[arg-type]
        return client

    def ask(self, sent: bytes, kind: str = "tcp") -> str:
        """Send it and read until the server closes."""
        with self.connect(kind) as client:
            client.sendall(sent)
            return client.makefile("rb").read().decode()


@pytest.fixture
def served(tmp_path: Path, state: State) -> Iterator[Served]:
    running = Served(tmp_path, state)
    yield running
    running.server.stop()
    running.thread.join(TIMEOUT_S)
    assert not running.thread.is_alive()


HEAD = b"POST /echo HTTP/1.1\r\nHost: a\r\n"
GET = b"GET /echo HTTP/1.1\r\nHost: a\r\n"
CLOSE = b"Connection: close\r\n"
FULL = http1.MAX_HEADER_BYTES - len(GET + CLOSE) - len(b"X: \r\n\r\n")
REFUSED = {
    "long request line": (b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", 431),
    "long header": (GET + b"X: " + b"x" * 20_000 + b"\r\n\r\n", 431),
    "header one too long": (GET + CLOSE + b"X: " + b"x" * (FULL + 1) + b"\r\n\r\n", 431),
    "many headers": (GET + b"X: y\r\n" * 9000 + b"\r\n", 431),
    "long body": (HEAD + b"Content-Length: 65536\r\n\r\n", 413),
    "huge length": (HEAD + b"Content-Length: 99999999999999999999\r\n\r\n", 413),
    "absurd length": (HEAD + b"Content-Length: " + b"9" * 5000 + b"\r\n\r\n", 400),
    "negative length": (HEAD + b"Content-Length: -1\r\n\r\n", 400),
    "signed length": (HEAD + b"Content-Length: +1\r\n\r\nx", 400),
    "hexadecimal length": (HEAD + b"Content-Length: 0x1\r\n\r\nx", 400),
    "two lengths": (HEAD + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nxx", 400),
    "length list": (HEAD + b"Content-Length: 1, 2\r\n\r\nxx", 400),
    "length and chunks": (
        HEAD + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        400,
    ),
    "chunks in 1.0": (b"POST /echo HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    "other encoding": (HEAD + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501),
    "hidden encoding": (HEAD + b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n", 400),
    "encoding twice": (HEAD + b"Transfer-Encoding: chunked\r\n" * 2 + b"\r\n0\r\n\r\n", 501),
    "blank before colon": (HEAD + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n", 400),
    "bad chunk size": (HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
    "bad chunk end": (HEAD + b"Transfer-Encoding: chunked\r\n\r\n1\r\nxy\r\n0\r\n\r\n", 400),
    "long chunks": (
        HEAD + b"Transfer-Encoding: chunked\r\n\r\nffff\r\n" + b"x" * 65535 + b"\r\n1\r\nx\r\n",
        413,
    ),
    "small chunks": (HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * 5000, 413),
    "no host": (b"GET /echo HTTP/1.1\r\n\r\n", 400),
    "two hosts": (GET + b"Host: b\r\n\r\n", 400),
    "two hosts in 1.0": (b"GET /echo HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n", 400),
    "nul in header": (GET + b"X: a\x00b\r\n\r\n", 400),
    "folded first header": (b"GET /echo HTTP/1.1\r\n Host: a\r\n\r\n", 400),
    "no version": (b"GET /echo\r\n\r\n", 400),
    "HTTP/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
    "HTTP/0.9": (b"GET /echo HTTP/0.9\r\n\r\n", 505),
    "TLS": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(256)), 400),
    "blank in target": (b"GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "bytes in target": (b"GET /\xff HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "target without slash": (b"GET echo HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "target of another scheme": (b"GET ftp://a/echo HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "expectation": (HEAD + b"Expect: gold\r\nContent-Length: 1\r\n\r\nx", 417),
}


@pytest.mark.parametrize("kind", ["tcp", "unix"])
@pytest.mark.parametrize("name", REFUSED)
def test_refused(served: Served, name: str, kind: str) -> None:
    sent, status = REFUSED[name]
    head, _end, body = served.ask(sent, kind).partition("\r\n\r\n")
    assert head.startswith(f"HTTP/1.1 {status} "), head
    assert "Connection: close" in head
    assert "text/plain; charset=utf-8" in head
    assert len(body) > 20
    assert body.endswith("\n")
    assert "Traceback" not in body
    assert "bytearray" not in body
    assert " 200 OK" in served.ask(GET + CLOSE + b"\r\n", kind)


ANSWERED = {
    "the longest head": (GET + CLOSE + b"X: " + b"x" * FULL + b"\r\n\r\n", "host=a"),
    "a long body": (
        HEAD + CLOSE + b"Content-Length: 65535\r\n\r\n" + b"x" * 65535,
        "host=a " + "x" * 65535,
    ),
    "HTTP/1.0": (b"GET /echo HTTP/1.0\r\n\r\n", "GET /echo? host= "),
    "chunks": (
        HEAD + CLOSE + b"Transfer-Encoding: chunked\r\n\r\n1;a=b\r\nx\r\n2\r\nyz\r\n0\r\n\r\n",
        "host=a xyz",
    ),
    "absolute target": (
        b"GET http://b:1/echo?a HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        "GET /echo?a host=b:1 ",
    ),
    "escaped": (b"GET /%65cho?%41 HTTP/1.0\r\n\r\n", "GET /echo?%41 host= "),
    "escaped slash": (b"GET %2Fecho HTTP/1.0\r\n\r\n", "is a path"),
    "two slashes": (b"GET //echo HTTP/1.0\r\n\r\n", "404 page not found\n"),
    "slashes inside": (b"GET /a//echo HTTP/1.0\r\n\r\n", "404 page not found\n"),
    "nul": (b"GET /echo%00 HTTP/1.0\r\n\r\n", "404 page not found\n"),
    "dots": (b"GET /a/../echo HTTP/1.0\r\n\r\n", "404 page not found\n"),
    "no utf-8": (b"GET /%ff HTTP/1.0\r\n\r\n", "404 page not found\n"),
    "every resource": (b"OPTIONS * HTTP/1.0\r\n\r\n", "404 page not found\n"),
    "CONNECT": (b"CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n", "404 page not found\n"),
    "upgrade": (GET + b"Upgrade: h2c\r\nConnection: Upgrade\r\n\r\n", "GET /echo? host=a "),
}


@pytest.mark.parametrize("name", ANSWERED)
def test_answered(served: Served, name: str) -> None:
    sent, expected = ANSWERED[name]
    if name == "upgrade":
        sent = sent + GET + CLOSE + b"\r\n"
    assert expected in served.ask(sent)


def test_head_has_no_body(served: Served) -> None:
    answer = served.ask(b"HEAD /echo HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    assert answer.startswith("HTTP/1.1 404 ")
    assert "Content-Length: 19\r\n" in answer
    assert answer.endswith("\r\n\r\n")


def test_pipelined_requests_are_answered_in_their_order(served: Served) -> None:
    requests = [GET + b"\r\n", HEAD + b"Content-Length: 2\r\n\r\nhi", GET.replace(b"a", b"b")]
    for _dummy in range(2):  # Then each head is known.
        answer = served.ask(b"".join(requests) + CLOSE + b"\r\n")
        assert answer.count("HTTP/1.1 200 OK\r\n") == 3
        bodies = [line for line in answer.replace("HTTP", "\nHTTP").splitlines() if "host=" in line]
        assert bodies == ["GET /echo? host=a ", "POST /echo? host=a hi", "GET /echo? host=b "]


def test_a_known_head_is_told_from_one_like_it(served: Served) -> None:
    with served.connect() as client:
        for query in (b"a", b"b", b"a", b"b"):
            client.sendall(GET.replace(b"/echo", b"/echo?" + query) + b"\r\n")
            assert b"GET /echo?%s host=a " % query in client.recv(4096)
        for piece in (GET, b"\r", b"\n"):  # One that comes in pieces.
            client.sendall(piece)
            time.sleep(0.02)
        assert b"GET /echo? host=a " in client.recv(4096)


def test_expect_100_continue(served: Served) -> None:
    with served.connect() as client:
        client.sendall(HEAD + CLOSE + b"Expect: 100-continue\r\nContent-Length: 2\r\n\r\n")
        assert client.recv(4096).startswith(b"HTTP/1.1 100 ")
        client.sendall(b"hi")
        assert client.makefile("rb").read().endswith(b"host=a hi")
    long = HEAD + b"Expect: 100-continue\r\nContent-Length: 65536\r\n\r\n"
    assert served.ask(long).startswith("HTTP/1.1 413 ")


def test_slow_clients_are_cut(served: Served) -> None:
    """All at once: idle from the start and after a request, half a head, half a body, and a byte
    each half second."""
    started = time.monotonic()
    silent, idle, half, body, slow = (served.connect() for _dummy in range(5))
    idle.sendall(GET + b"\r\n")
    assert b" 200 OK" in idle.recv(4096)
    half.sendall(GET)
    body.sendall(HEAD + b"Content-Length: 2\r\n\r\nx")
    slow.settimeout(0.5)
    answer = b""
    while not answer and time.monotonic() < started + TIMEOUT_S:
        slow.send(b"G")
        try:
            answer = slow.recv(4096)
        except socket.timeout:
            continue
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert answer.endswith(b"the request was not complete within 5 seconds\n")
    assert silent.recv(1) == b""
    assert idle.recv(1) == b""
    assert half.makefile("rb").read().startswith(b"HTTP/1.1 408 ")
    assert body.makefile("rb").read().startswith(b"HTTP/1.1 408 ")
    assert 4 < time.monotonic() - started < 8
    for client in (silent, idle, half, body, slow):
        client.close()


def test_who_does_not_read_is_cut(served: Served) -> None:
    started = time.monotonic()
    with served.connect() as client:
        client.settimeout(2 * TIMEOUT_S)
        with pytest.raises(ConnectionError):
            while True:
                client.sendall(HEAD + b"Content-Length: 60000\r\n\r\n" + b"x" * 60000)
    assert 4 < time.monotonic() - started < 12


def test_beyond_the_limit_the_reason_is_said(served: Served) -> None:
    """Whatever is done on TCP, Docker's socket is served."""
    clients = [served.connect() for _dummy in range(server.TCP_CONNECTIONS)]
    clients[0].sendall(GET + b"\r\n")
    assert b" 200 OK" in clients[0].recv(4096)
    for _dummy in range(3):
        answer = served.ask(GET + b"\r\n")
        assert answer.startswith("HTTP/1.1 503 ")
        assert answer.endswith("128 connections are open, no more is served\n")
    assert " 200 OK" in served.ask(GET + CLOSE + b"\r\n", "unix")
    for client in clients:
        client.close()
    time.sleep(0.2)
    assert " 200 OK" in served.ask(GET + CLOSE + b"\r\n")


def test_the_unit_lets_it_open_as_much(served: Served) -> None:
    unit = "roles/nvidia_docker/templates/etc/systemd/system/nvidia-docker-plugin.service.j2"
    lines = (REPOSITORY / unit).read_text().splitlines()
    limit = int(next(line for line in lines if line.startswith("LimitNOFILE=")).partition("=")[2])
    most = server.TCP_CONNECTIONS + server.UNIX_CONNECTIONS + server.TURNED_AWAY
    assert most + 256 <= limit
