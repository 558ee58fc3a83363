# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""More connections at once than are served."""

from __future__ import annotations

import resource
import socket
import time
from collections.abc import Callable, Iterator

import pytest
from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.plugin.server import (
    TCP_CONNECTIONS,
    TURNED_AWAY,
    UNIX_CONNECTIONS,
)
from ansible_collections.gpufleet.nvidia.tests.fuzz.plugin import GOOD, Plugin

CONNECTIONS = 10_000
LIMIT = {"tcp": TCP_CONNECTIONS, "unix": UNIX_CONNECTIONS}


@pytest.fixture
def descriptors() -> Iterator[None]:
    """As many as this process needs for all the clients."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = CONNECTIONS + 500
    if before[1] != resource.RLIM_INFINITY and before[1] < needed:
        pytest.skip(f"this machine lets a process open {before[1]} files, not {needed}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(before[0], needed), before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def wait_for(condition: Callable[[], bool], seconds: float) -> None:
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.05)


def crowd(plugin: Plugin, kind: str) -> tuple[int, int]:
    """Connect all, ask on each; return how many were answered and how many turned away."""
    clients: list[socket.socket] = []
    try:
        for _dummy in range(CONNECTIONS):
            clients.append(plugin.connect(kind))
        other = "unix" if kind == "tcp" else "tcp"
        started = time.monotonic()
        answer = plugin.answer(other, GOOD[other])
        assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
        assert time.monotonic() - started < 1
        assert plugin.descriptors() < LIMIT[kind] + TURNED_AWAY + 64
        answered = away = 0
        for client in clients:
            received = b""
            try:
                client.sendall(GOOD[kind])
                received = client.recv(4096)
            except OSError:
                # It was told before it asked, and has sent to a closed connection.
                away += 1
                continue
            if received.startswith(b"HTTP/1.1 200 OK\r\n"):
                answered += 1
            else:
                assert not received or received.startswith(b"HTTP/1.1 503 ")
                away += 1
        return answered, away
    finally:
        for client in clients:
            client.close()


@pytest.mark.parametrize("kind", ["tcp", "unix"])
def test_ten_thousand_at_once(plugin: Plugin, kind: str, descriptors: None) -> None:
    for _dummy in range(50):
        plugin.is_fine()
    before = plugin.memory_kib(), plugin.descriptors(), plugin.threads()
    for _dummy in range(3):
        answered, away = crowd(plugin, kind)
        assert 0 < answered <= LIMIT[kind]
        assert answered + away == CONNECTIONS
        plugin.is_fine()
    wait_for(lambda: plugin.descriptors() <= before[1] and plugin.threads() <= before[2], 10)
    after = plugin.memory_kib(), plugin.descriptors(), plugin.threads()
    print(f"{kind}: KiB, descriptors, threads: {before} before, {after} after")
    for was, became in zip(before, after):
        assert became <= was * 1.1
    assert "Traceback" not in plugin.log.read_text()


def test_who_waits_to_read_gets_the_reason(plugin: Plugin) -> None:
    clients = [plugin.connect("tcp") for _dummy in range(TCP_CONNECTIONS + TURNED_AWAY)]
    texts = [client.recv(4096) for client in clients[TCP_CONNECTIONS:]]
    assert all(b"128 connections are open, no more is served\n" in text for text in texts)
    for client in clients:
        client.close()
