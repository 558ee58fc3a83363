# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Items that another process makes, each waited for no longer than so long.

NVML runs in the driver, which can hang: what hangs there can't be interrupted, only left alone.
"""

from __future__ import annotations

import os
import pickle
import select
import signal
import struct
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

_LENGTH = struct.Struct("!I")
"""Before each item; the length 0 is the end."""
_END_SECONDS = 1


class Silent(Exception):
    """The other process made no item in time."""


class Ended(Exception):
    """The other process ended before it had made all items; the text says how."""


def items(make: Callable[[], Iterable[Any]], patience_s: float) -> Iterator[Any]:
    """Yield what ``make()`` yields, in a process of its own; it must be picklable.

    Raises Silent if an item takes longer than ``patience_s`` seconds, Ended if the process ends.
    For a process with one thread: it is forked.
    """
    read_end, write_end = os.pipe()
    pid = os.fork()
    if pid == 0:
        _make(make, write_end)
    os.close(write_end)
    try:
        with open(read_end, "rb", buffering=0) as pipe:
            while True:
                length = _LENGTH.unpack(_read(pipe, _LENGTH.size, patience_s))[0]
                if length == 0:
                    return
                item = pickle.loads(_read(pipe, length, patience_s))
                if isinstance(item, Ended):
                    raise item
                yield item
    finally:
        _end(pid)


def _make(make: Callable[[], Iterable[Any]], write_end: int) -> None:
    """The other process; never returns."""
    status = 1
    try:
        # Whoever started us waits until nobody has these open, and we may hang for ever.
        null = os.open(os.devnull, os.O_RDWR)
        for descriptor in (0, 1, 2):
            os.dup2(null, descriptor)
        with open(write_end, "wb") as pipe:
            try:
                for item in make():
                    _write(pipe, item)
                    pipe.flush()
            except Exception as error:  # noqa: BLE001
                # Told by the one who waits: nobody sees what is raised here.
                _write(pipe, Ended(f"asking the driver failed: {type(error).__name__}: {error}"))
            pipe.write(_LENGTH.pack(0))
        status = 0
    finally:
        # Not sys.exit(): the clean-up of the process that was forked is not ours to do.
        os._exit(status)


def _write(pipe: Any, item: object) -> None:
    data = pickle.dumps(item)
    pipe.write(_LENGTH.pack(len(data)) + data)


def _read(pipe: Any, size: int, patience_s: float) -> bytes:
    data = b""
    limit = time.monotonic() + patience_s
    while len(data) < size:
        left = limit - time.monotonic()
        if left <= 0 or not select.select([pipe], [], [], left)[0]:
            raise Silent
        part = pipe.read(size - len(data))
        if not part:
            raise Ended("the process that asks the driver ended early")
        data += part
    return data


def _end(pid: int) -> None:
    """End a process that may hang in the kernel, where it can't be ended: then it is left alone."""
    os.kill(pid, signal.SIGKILL)
    limit = time.monotonic() + _END_SECONDS
    while os.waitpid(pid, os.WNOHANG)[0] == 0 and time.monotonic() < limit:
        time.sleep(0.01)
