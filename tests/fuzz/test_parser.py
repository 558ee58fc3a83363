# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is remembered of a head never changes what is read, however the bytes are cut."""

from __future__ import annotations

import socket
import threading

from ansible_collections.gpufleet.nvidia.plugins.module_utils.nvidia_docker.plugin.http1 import (
    Heads,
    Received,
    Refused,
    Stream,
)
from ansible_collections.gpufleet.nvidia.tests.fuzz import hostile
from hypothesis import given, settings
from hypothesis import strategies as st

Seen = list[object]


def read(heads: Heads, pieces: list[bytes]) -> Seen:
    """Return every request in these bytes, and how they end."""
    ours, theirs = socket.socketpair()
    with ours, theirs:

        def write() -> None:
            for piece in pieces:
                theirs.sendall(piece)
            theirs.shutdown(socket.SHUT_WR)

        thread = threading.Thread(target=write)
        thread.start()
        seen: Seen = []
        stream = Stream(ours, heads)
        try:
            received: Received | None = stream.next()
            while received is not None:
                seen.append(received)
                received = stream.next() if received.keep else None
        except Refused as refused:
            seen.append(refused.response)
        # Whoever was refused may still be writing.
        ours.setblocking(True)
        while ours.recv(65536):
            pass
        thread.join()
        return seen


@settings(max_examples=150, deadline=None)
@given(seed=st.integers(0, 10**9), cuts=st.lists(st.integers(0, 600), max_size=4))
def test_remembering_changes_nothing(seed: int, cuts: list[int]) -> None:
    data = b"".join(hostile.requests(seed, 3))
    heads = Heads()
    first = read(heads, [data])
    assert read(heads, [data]) == first, "with the heads known"
    edges = [0, *sorted(cuts), len(data)]
    pieces = [data[a:b] for a, b in zip(edges, edges[1:])]
    assert read(Heads(), pieces) == first, "in pieces"
    assert read(heads, pieces) == first, "in pieces, with the heads known"


def test_what_is_remembered_is_bounded() -> None:
    heads = Heads()
    for number in range(3 * Heads.LIMIT):
        read(heads, [b"GET /%d HTTP/1.1\r\nHost: a\r\n\r\n" % number])
    read(heads, [b"GET / HTTP/1.1\r\nHost: a\r\nX: %s\r\n\r\n" % (b"x" * Heads.LONGEST)])
    known = heads.get.__self__  # type: ignore[attr-defined]
    assert 0 < len(known) <= Heads.LIMIT
    assert all(len(head) <= Heads.LONGEST for head in known)
