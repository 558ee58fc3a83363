# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""load.py PORT PATH CONNECTIONS SECONDS [RATE]: asks a server on this machine, and prints JSON.

Keep-alive, plain sockets, one process of its own. Without RATE each connection asks again as soon
as it is answered; with it so many requests a second are due, and a request that has to wait for a
free connection waits in its latency too.
"""

from __future__ import annotations

import json
import re
import select
import socket
import sys
import time
from collections import deque


class Client:
    """One connection; every answer has the length of the first one."""

    def __init__(self, port: int, path: str) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), 10)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.request = f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
        self.socket.sendall(self.request)
        first = b""
        while b"\r\n\r\n" not in first:
            first += self.socket.recv(65536)
        assert first.startswith(b"HTTP/1.1 200"), first
        length = re.search(rb"(?i)\r\ncontent-length: *([0-9]+)", first)
        assert length is not None, first
        self.length = first.index(b"\r\n\r\n") + 4 + int(length[1])
        while len(first) < self.length:
            first += self.socket.recv(65536)
        self.left = 0
        self.asked = 0.0

    def ask(self, asked: float) -> None:
        self.asked = asked
        self.left = self.length
        self.socket.send(self.request)

    def is_answered(self) -> bool:
        data = self.socket.recv(65536)
        assert data, "the server has closed a connection"
        self.left -= len(data)
        return self.left <= 0


def load(port: int, path: str, connections: int, seconds: float, rate: float) -> dict[str, float]:
    clients = [Client(port, path) for _dummy in range(connections)]
    by_number = {client.socket.fileno(): client for client in clients}
    events = select.epoll()
    for number in by_number:
        events.register(number, select.EPOLLIN)
    latencies: list[float] = []
    free = deque(clients)
    started = now = time.perf_counter()
    asked = 0
    while now < started + seconds:
        while free and (not rate or started + asked / rate <= now):
            free.popleft().ask(started + asked / rate if rate else now)
            asked += 1
        wait = max(0.0, started + asked / rate - now) if rate and free else 1.0
        for number, _event in events.poll(wait):
            client = by_number[number]
            if client.is_answered():
                now = time.perf_counter()
                latencies.append(now - client.asked)
                free.append(client)
        now = time.perf_counter()
    latencies.sort()
    count = len(latencies)
    return {
        "count": count,
        "per_second": count / (now - started),
        "p50_ms": latencies[count // 2] * 1000,
        "p99_ms": latencies[count * 99 // 100] * 1000,
    }


if __name__ == "__main__":
    port, path, connections, seconds, *rate = sys.argv[1:]
    result = load(int(port), path, int(connections), float(seconds), float(*rate or "0"))
    print(json.dumps(result))
