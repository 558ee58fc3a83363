# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Requests to servers that answer anything, and through an ssh that does anything."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.cli.address import (
    Endpoint,
)
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.cli.connection import (
    Connection,
    ssh_command,
)
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.errors import (
    RemoteError,
)

Serve = Callable[[socket.socket], None]
OK = b"HTTP/1.1 200 OK\r\n"


@pytest.fixture
def serving() -> Iterator[Callable[[Serve], Endpoint]]:
    """A function that lets another one answer the connections to an endpoint."""
    listener = socket.create_server(("127.0.0.1", 0))
    threads: list[threading.Thread] = []

    def start(serve: Serve) -> Endpoint:
        def work() -> None:
            while True:
                try:
                    connection, _address = listener.accept()
                except OSError:
                    return
                # The client goes when it has seen enough.
                with connection, contextlib.suppress(OSError):
                    serve(connection)

        threads.append(threading.Thread(target=work))
        threads[0].start()
        return Endpoint("http", "", "127.0.0.1", None, listener.getsockname()[1])

    yield start
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    for thread in threads:
        thread.join()


def answer(*parts: bytes) -> Serve:
    def serve(connection: socket.socket) -> None:
        connection.recv(65536)
        for part in parts:
            connection.sendall(part)

    return serve


def endless(connection: socket.socket) -> None:
    connection.recv(65536)
    connection.sendall(OK + b"\r\n")
    while True:
        connection.sendall(b"--privileged " * 1000)


def endless_interim(connection: socket.socket) -> None:
    connection.recv(65536)
    while True:
        connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n" * 100)


def drip(connection: socket.socket) -> None:
    connection.recv(65536)
    connection.sendall(OK + b"X: ")
    stop = threading.Event()
    while not stop.wait(0.02):
        connection.sendall(b"x")


def silent(connection: socket.socket) -> None:
    while connection.recv(65536):
        pass


@pytest.mark.parametrize(
    ("serve", "sentence"),
    [
        (endless, "it answered more than 1048576 bytes; does"),
        (endless_interim, "it did not answer in time; does"),
        (drip, "it did not answer in time; does"),
        (silent, "it did not answer in time; does"),
        (answer(), "it closed the connection without an answer; does"),
        (answer(b"SSH-2.0-OpenSSH_9.2\r\n"), "SSH-2.0-OpenSSH_9.2; does"),
        (answer(b"\x1b[2J\r\n"), r"\?\[2J; does"),
        (answer(OK + b"Content-Length: 9\r\n\r\n--device"), "its answer ended early; does"),
        (
            answer(OK + b"Transfer-Encoding: chunked\r\n\r\n9\r\n--device"),
            "its answer ended early; does",
        ),
        (answer(OK + b"X: y\r\n" * 200 + b"\r\n"), "got more than 100 headers; does"),
        (
            answer(b"HTTP/1.1 503 Busy\x1b[2J\r\nContent-Length: 0\r\n\r\n"),
            r"^Busy\?\[2J \(the plugin at http://127.0.0.1:\d+, status 503\)$",
        ),
        (
            answer(b"HTTP/1.1 400 Bad\r\nContent-Length: 8\r\n\r\nno\n \xff\x07\r\n"),
            "^no \N{REPLACEMENT CHARACTER}\\? \\(the plugin at .*, status 400\\)$",
        ),
        (
            answer(b"HTTP/1.1 301 Moved\r\nLocation: http://h/\r\nContent-Length: 0\r\n\r\n"),
            r"^Moved \(the plugin at .*, status 301\)$",
        ),
    ],
)
def test_hostile_servers(serving, serve: Serve, sentence: str) -> None:
    """One sentence, in time, with nothing in it that a terminal obeys."""
    connection = Connection(serving(serve), seconds=0.5 if "in time" in sentence else 10)
    with pytest.raises(RemoteError, match=sentence) as caught:
        connection.get("/")
    connection.close()
    assert str(caught.value).isprintable()


def test_two_requests_on_one_connection(serving) -> None:
    """v1's headers, and no proxy of the environment."""
    received: list[bytes] = []

    def serve(connection: socket.socket) -> None:
        while request := connection.recv(65536):
            received.append(request)
            connection.sendall(OK + b"Content-Length: 2\r\n\r\nok")
        received.append(b"end")

    connection = Connection(serving(serve))
    assert [connection.get("/a"), connection.get("/b?c=+")] == ["ok", "ok"]
    connection.close()
    assert received[:2] == [
        b"GET /a HTTP/1.1\r\nHost: plugin\r\n\r\n",
        b"GET /b?c=+ HTTP/1.1\r\nHost: plugin\r\n\r\n",
    ]


def test_a_server_that_closes_is_connected_again(serving) -> None:
    """As Go's client did for v1."""
    closing = answer(OK + b"Connection: close\r\nContent-Length: 2\r\n\r\nok")
    connection = Connection(serving(closing))
    assert [connection.get("/a"), connection.get("/b")] == ["ok", "ok"]
    connection.close()


@pytest.mark.parametrize("name", ["gpu..lab", "x" * 64 + ".lab"])
def test_names_that_no_resolver_takes(name: str) -> None:
    with pytest.raises(RemoteError, match=r"^can't ask the plugin at http://"):
        Connection(Endpoint("http", "", name, None, 3476)).get("/")


@pytest.mark.parametrize(
    ("endpoint", "words"),
    [
        (Endpoint("ssh", "", "h", None, 3476), ["-W", "localhost:3476", "--", "h"]),
        (
            Endpoint("ssh", "me", "fe80::1", 2222, 80),
            ["-W", "localhost:80", "-l", "me", "-p", "2222", "--", "fe80::1"],
        ),
    ],
)
def test_ssh_command(endpoint: Endpoint, words: list[str]) -> None:
    """Nothing that the user did not say is said to ssh, but how long a connection may take."""
    assert list(ssh_command(endpoint)) == ["ssh", "-o", "ConnectTimeout=10", *words]


SSH = """\
#!{python} -IS
import json, os, signal, socket, sys, threading, time
with open({log!r}, "a") as log:
    log.write(json.dumps([os.getpid(), *sys.argv[1:]]) + "\\n")
def carry(source, target):
    while data := os.read(source, 65536):
        os.write(target, data)
    os._exit(0)
{behaviour}
"""
CARRY = """
sys.stderr.write({said!r})
sys.stderr.flush()
there = socket.create_connection(("127.0.0.1", {port}))
threading.Thread(target=carry, args=(0, there.fileno())).start()
carry(there.fileno(), 1)
"""
STUBBORN = """
signal.signal(signal.SIGTERM, signal.SIG_IGN)
os.write(1, b"HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\n\\r\\nok")
time.sleep(60)
"""
GPU1 = Endpoint("ssh", "me", "gpu1", 2222, 3476)
ADVICE = "; 'ssh gpu1' must work, and nvidia-docker-plugin run there"


@pytest.fixture
def ssh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], Path]]:
    """A function that makes an ssh in PATH and returns its log. In the end none of them is left."""
    log = tmp_path / "log"
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.delenv("SSH_ASKPASS", raising=False)

    def make(behaviour: str) -> Path:
        python = os.path.realpath(sys.executable)
        program = tmp_path / "ssh"
        program.write_text(SSH.format(python=python, log=str(log), behaviour=behaviour))
        program.chmod(0o755)
        return log

    yield make
    for line in log.read_text().splitlines():
        assert not Path(f"/proc/{json.loads(line)[0]}").exists(), "ssh was not reaped"


def test_one_ssh_for_all_requests(ssh, serving, capsys) -> None:
    """What ssh said is shown when it was of use; it is gone afterwards."""

    def serve(connection: socket.socket) -> None:
        while connection.recv(65536):
            connection.sendall(OK + b"Content-Length: 2\r\n\r\nok")

    port = serving(serve).port
    log = ssh(CARRY.format(port=port, said="Warning: Permanently added 'gpu1'.\r\n"))
    connection = Connection(GPU1)
    assert [connection.get("/a"), connection.get("/b")] == ["ok", "ok"]
    connection.close()
    [started] = [json.loads(line)[1:] for line in log.read_text().splitlines()]
    assert ["ssh", *started] == list(ssh_command(GPU1))
    assert capsys.readouterr().err == "Warning: Permanently added 'gpu1'.\n"


@pytest.mark.parametrize(
    ("behaviour", "reason"),
    [
        ("sys.exit(3)", "ssh ended with status 3"),
        ("sys.exit('banner\\n' * 50 + 'me@gpu1: Permission\\tdenied.\\r\\n')", "me@gpu1: Perm"),
        ("sys.exit('\\x1b[2Jno route')", r"\?\[2Jno route"),
        ("os.read(0, 999); os.close(0); os.close(1); time.sleep(60)", "it closed the connection"),
        ("time.sleep(60)", "it did not answer in time"),
    ],
)
def test_ssh_fails(ssh, behaviour: str, reason: str) -> None:
    """ssh's own words in our sentence."""
    ssh(behaviour)
    in_time = 0.5 if "in time" in reason else 10
    with pytest.raises(RemoteError, match=f"^can't ask the plugin at ssh://gpu1:3476: .*{reason}"):
        Connection(GPU1, in_time).get("/")


def test_an_ssh_that_does_not_end_is_ended(ssh) -> None:
    """It has been told to, first."""
    ssh(STUBBORN)
    connection = Connection(GPU1)
    assert connection.get("/") == "ok"
    connection.close()


def test_no_ssh(tmp_path, monkeypatch) -> None:
    """The program is missing."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(RemoteError, match="can't start ssh: No such file or directory" + ADVICE):
        Connection(GPU1).get("/")
