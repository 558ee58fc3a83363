# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Hostile requests to the running plugin; GPUFLEET_FUZZ says how many."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from ansible_collections.gpufleet.nvidia.tests.fuzz import hostile
from ansible_collections.gpufleet.nvidia.tests.fuzz.plugin import Plugin

COUNT = int(os.environ.get("GPUFLEET_FUZZ", "5000"))
SEED = int(os.environ.get("GPUFLEET_FUZZ_SEED", "1"))

_STATUS_LINE = re.compile(rb"HTTP/1\.1 ([1-5][0-9]{2}) [A-Za-z' -]+\r\n")
# The protocol of volume drivers refuses another version with 406 and no body, as v1 did.
_WITHOUT_REASON = (406,)


def check(sent: bytes, received: bytes) -> list[int]:
    """Assert that all that came back is answers; return their statuses."""
    statuses = []
    rest = received
    while rest:
        match = _STATUS_LINE.match(rest)
        assert match, (sent, received)
        status = int(match[1])
        head, end, rest = rest.partition(b"\r\n\r\n")
        assert end, (sent, received)
        if status == 100:
            continue
        statuses.append(status)
        length = re.search(rb"\r\nContent-Length: ([0-9]+)", head)
        assert length, (sent, received)
        if b"HEAD" not in sent or (rest and not rest.startswith(b"HTTP/")):
            body, rest = rest[: int(length[1])], rest[int(length[1]) :]
            assert len(body) == int(length[1]), (sent, received)
            assert len(body) > 10 or status in _WITHOUT_REASON, (sent, received)
        # The only thing of the plugin that may fail here is the driver; nothing is unforeseen.
        assert b"internal error" not in received, (sent, received)
        assert b"Traceback" not in received, (sent, received)
    return statuses


def files(directory: Path, store: Path) -> dict[str, int]:
    return {
        str(path): path.lstat().st_mode
        for path in directory.rglob("*")
        if path != store and store not in path.parents
    }


@pytest.mark.parametrize("kind", ["tcp", "unix"])
def test_hostile_requests(plugin: Plugin, kind: str) -> None:
    for name in ("victim", "nvidia_driver", "nvidia_driver_1"):
        (plugin.directory / name).mkdir()
        (plugin.directory / name / "file").write_text("mine")
    before = files(plugin.directory, plugin.store)
    plugin.is_fine()
    seen: dict[int, int] = {}
    silent = 0
    for number, sent in enumerate(hostile.requests(SEED, COUNT // 2)):
        received = plugin.answer(kind, sent)
        silent += not received
        for status in check(sent, received):
            seen[status] = seen.get(status, 0) + 1
        if number % 500 == 0:
            plugin.is_fine()
            assert plugin.process.poll() is None
    plugin.is_fine()
    print(f"{kind}: {dict(sorted(seen.items()))}, {silent} unfinished; {plugin.memory_kib()} KiB")
    assert files(plugin.directory, plugin.store) == before
    assert "Traceback" not in plugin.log.read_text()
    assert {200, 400, 404} <= seen.keys()
