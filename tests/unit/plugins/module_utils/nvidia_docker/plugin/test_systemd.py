# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Sockets that the service manager passes: the program is started with them as systemd does."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.plugin import systemd

MODULE_UTILS = Path(__file__).resolve().parents[6] / "plugins" / "module_utils"
START = f"""
import os, sys
os.environ["LISTEN_PID"] = str(os.getpid())
sys.path[:0] = [{str(MODULE_UTILS)!r}]
from nvidia_docker.plugin.main import main
sys.exit(main(sys.argv[1:]))
"""


def test_passed_sockets_are_served_and_stay(tmp_path: Path) -> None:
    """The plugin binds nothing of its own, and leaves the socket's file to systemd."""
    path = tmp_path / "passed.sock"
    plugin = socket.socket(socket.AF_UNIX)
    plugin.bind(str(path))
    plugin.listen()
    with plugin, socket.create_server(("127.0.0.1", 0)) as rest:
        port = rest.getsockname()[1]
        # As systemd: the first passed socket is descriptor 3.
        script = f'exec 3<&{plugin.fileno()} 4<&{rest.fileno()}; exec "$@"'
        command = ["bash", "-c", script, "-", sys.executable, "-I", "-c", START]
        arguments = ["-d", str(tmp_path / "v"), "-s", str(tmp_path / "s"), "-l", "127.0.0.1:1"]
        process = subprocess.Popen(
            [*command, *arguments],
            env={**os.environ, "LISTEN_FDS": "2"},
            pass_fds=(plugin.fileno(), rest.fileno()),
            stderr=subprocess.PIPE,
            text=True,
        )
        with process:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
            connection.request("GET", "/nowhere")
            assert connection.getresponse().status == 404
            with socket.socket(socket.AF_UNIX) as client:
                client.settimeout(20)
                client.connect(str(path))
                client.sendall(b"POST /Plugin.Activate HTTP/1.0\r\n\r\n")
                assert client.recv(99).startswith(b"HTTP/1.1 406")
            process.send_signal(signal.SIGTERM)
            log = process.communicate(timeout=20)[1]
        assert process.returncode == 0, log
        assert path.exists()
        assert not (tmp_path / "s").exists()


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"LISTEN_FDS": "1"},
        {"LISTEN_FDS": "1", "LISTEN_PID": "1"},
        {"LISTEN_FDS": "x", "LISTEN_PID": "own"},
        {"LISTEN_FDS": "0", "LISTEN_PID": "own"},
    ],
)
def test_sockets_for_another_process_are_not_taken(
    environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """sd_listen_fds(3)."""
    for name in ("LISTEN_FDS", "LISTEN_PID"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, str(os.getpid()) if value == "own" else value)
    assert systemd.listeners() == []


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "30000000"}, 15.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "own"}, 15.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "x"}, None),
    ],
)
def test_how_often_the_watchdog_wants_to_hear(
    environment: dict[str, str], expected: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """sd_watchdog_enabled(3)."""
    for name in ("WATCHDOG_USEC", "WATCHDOG_PID"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, str(os.getpid()) if value == "own" else value)
    assert systemd.watchdog_s() == expected


def test_the_watchdog_hears_of_a_plugin_that_serves(tmp_path: Path) -> None:
    """Again and again, whether somebody asks it or not; not once it is stuck."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(20)
        arguments = ["-d", str(tmp_path / "v"), "-s", str(tmp_path / "s"), "-l", "127.0.0.1:0"]
        with subprocess.Popen(
            [sys.executable, "-I", "-c", START, *arguments],
            env={
                **os.environ,
                "NOTIFY_SOCKET": str(tmp_path / "notify"),
                "WATCHDOG_USEC": "200000",
            },
            stderr=subprocess.DEVNULL,
        ) as process:
            assert manager.recv(99) == b"READY=1"
            assert [manager.recv(99) for _dummy in range(3)] == [b"WATCHDOG=1"] * 3
            process.send_signal(signal.SIGSTOP)
            manager.settimeout(0.5)
            with pytest.raises(TimeoutError):
                while True:
                    manager.recv(99)
            process.send_signal(signal.SIGCONT)
            process.send_signal(signal.SIGTERM)
            assert process.wait(20) == 0
