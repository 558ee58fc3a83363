# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""main.py as a process, the way its launcher starts it. Works with and without a GPU."""

from __future__ import annotations

import ctypes
import os
import platform
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

MODULE_UTILS = Path(__file__).resolve().parents[6] / "plugins" / "module_utils"
START = (
    f"import sys; sys.path[:0] = [{str(MODULE_UTILS)!r}]; "
    "from nvidia_docker.plugin.main import main; sys.exit(main(sys.argv[1:]))"
)
TIMEOUT_S = 20


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-I", "-c", START, *arguments]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*arguments), capture_output=True, text=True, timeout=TIMEOUT_S, check=False
    )


@pytest.mark.parametrize(
    "arguments", ["-v", "--v", "--version", "-d=/a -v", "--l :1 -s /b --v", "-v extra"]
)
def test_version(arguments: str) -> None:
    done = run(*arguments.split())
    assert (done.returncode, done.stdout, done.stderr) == (0, "NVIDIA Docker plugin: 1.0.0\n", "")


@pytest.mark.parametrize("arguments", ["-x", "-l", "--vers"])
def test_unknown_flags(arguments: str) -> None:
    done = run(*arguments.split())
    assert done.returncode == 2
    assert done.stderr.startswith("usage: nvidia-docker-plugin ")


def test_a_taken_port_ends_it(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        done = run("-d", str(tmp_path / "v"), "-s", str(tmp_path / "s"), "-l", address)
    assert done.returncode == 1
    assert f"Error: listen tcp {address}: bind: address already in use\n" in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.rglob("*.sock"))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_from_ready_to_stop(tmp_path: Path, number: signal.Signals) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    plugin_socket = tmp_path / "nvidia-docker.sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        systemd.settimeout(TIMEOUT_S)
        process = subprocess.Popen(
            command("-d", str(tmp_path / "v"), "-s", str(tmp_path), "-l", f"localhost:{port}"),
            env={**os.environ, "NOTIFY_SOCKET": str(tmp_path / "notify")},
            stderr=subprocess.PIPE,
            text=True,
        )
        with process:
            assert systemd.recv(99) == b"READY=1"
            # Ready means that both answer, at the first try.
            socket.create_connection(("127.0.0.1", port), TIMEOUT_S).close()
            with socket.socket(socket.AF_UNIX) as client:
                client.connect(str(plugin_socket))
            process.send_signal(number)
            log = process.communicate(timeout=TIMEOUT_S)[1]
    assert process.returncode == 0
    assert not plugin_socket.exists()
    lines = [line for line in log.splitlines() if not line.startswith("Warning: ")]
    assert lines == [
        "Loading NVIDIA unified memory",
        "Loading NVIDIA management library",
        "Discovering GPU devices",
        f"Provisioning volumes at {tmp_path / 'v'}",
        f"Serving plugin API at {tmp_path}",
        f"Serving remote API at localhost:{port}",
        "Successfully terminated",
    ]


@pytest.mark.parametrize("name", ["", "*", "a b", "gpu7:3476", "-a", "a..b", "a\n", "ü", "a" * 254])
def test_allowed_host_is_a_name(name: str) -> None:
    done = run(f"--allowed-host={name}")
    assert done.returncode == 2
    assert "is no host name" in done.stderr
    assert "Traceback" not in done.stderr


def test_hosts_that_are_allowed(tmp_path: Path) -> None:
    """On TCP alone: what the socket's file lets in may name any host."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    arguments = ["-d", str(tmp_path / "v"), "-s", str(tmp_path), "-l", f"localhost:{port}"]
    names = ["--allowed-host", "GPU7.example.org", "--allowed-host=gpu7"]
    process = subprocess.Popen(command(*arguments, *names), stderr=subprocess.PIPE, text=True)
    with process:
        try:
            assert process.stderr is not None
            while "Serving remote API" not in process.stderr.readline():
                pass

            def status(host: str, path: str = "") -> bytes:
                client = socket.socket(socket.AF_UNIX if path else socket.AF_INET)
                with client:
                    client.settimeout(TIMEOUT_S)
                    client.connect(path or ("127.0.0.1", port))
                    client.sendall(b"GET /no HTTP/1.0\r\nHost: %s\r\n\r\n" % host.encode())
                    return client.makefile("rb").read()

            # `Serving` is said just before; the backlog holds who comes too early.
            for host in ("gpu7.example.org:80", "gpu7", "localhost", "[::1]:1", "10.0.0.1"):
                assert b" 404 " in status(host)
            for host in ("gpu8.example.org", "gpu7.example.org.evil", "example.org"):
                answer = status(host)
                assert b" 403 " in answer
                assert answer.endswith(b"--allowed-host\n")
            assert b" 406 " in status("evil", str(tmp_path / "nvidia-docker.sock"))
        finally:
            process.terminate()


TGKILL = {"x86_64": 234, "aarch64": 131}
"""Number of the system call that sends a signal to one thread."""


def test_a_signal_that_another_thread_gets_stops_it_too(tmp_path: Path) -> None:
    """The kernel chooses the thread; the main one may wait for a connection for ever."""
    number = TGKILL.get(platform.machine())
    if number is None:
        pytest.skip("the number of tgkill is not known for this machine")
    path = tmp_path / "nvidia-docker.sock"
    arguments = ("-d", str(tmp_path / "v"), "-s", str(tmp_path), "-l", "127.0.0.1:0")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        systemd.settimeout(TIMEOUT_S)
        with subprocess.Popen(
            command(*arguments),
            env={**os.environ, "NOTIFY_SOCKET": str(tmp_path / "notify")},
            stderr=subprocess.DEVNULL,
        ) as process:
            assert systemd.recv(99) == b"READY=1"
            with socket.socket(socket.AF_UNIX) as client:
                client.settimeout(TIMEOUT_S)
                client.connect(str(path))
                client.sendall(b"POST /Plugin.Activate HTTP/1.1\r\nHost: x\r\n\r\n")
                assert client.recv(99)
                threads = [int(name) for name in os.listdir(f"/proc/{process.pid}/task")]
                other = next(thread for thread in threads if thread != process.pid)
                assert ctypes.CDLL(None).syscall(number, process.pid, other, signal.SIGTERM) == 0
                try:
                    assert process.wait(TIMEOUT_S) == 0
                finally:
                    process.kill()
