# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The state inside a library file: two slots behind its ELF data, written in turn.

Every hard link of the library, as in a driver volume, shows the same state: the file is changed
in place.
"""

from __future__ import annotations

import fcntl
import os
import struct
import zlib
from pathlib import Path

from .machine import SimulationError

ALIGNMENT = 64 * 1024
SLOT_SIZE = 512 * 1024
REGION_SIZE = 2 * SLOT_SIZE

_MAGIC = b"SIMGPU1\0"
_HEADER = struct.Struct("=8sQII")


def add_region(library: Path) -> None:
    """Appends an empty state (sparse) to a freshly linked library."""
    with library.open("r+b") as file:
        start = -(-os.fstat(file.fileno()).st_size // ALIGNMENT) * ALIGNMENT
        file.truncate(start + REGION_SIZE)
        file.seek(start)
        file.write(_HEADER.pack(_MAGIC, 1, 0, zlib.crc32(b"")))


def read_state(library: Path) -> str:
    """The state that readers use now."""
    with library.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_SH)
        _dummy, _dummy, text = _newest(file.fileno(), library)
    return text.decode()


def write_state(library: Path, text: str) -> None:
    """Replaces the state, for all processes at once; killed half-way, the old one stays.

    The library keeps its time of modification: no driver file changes because a GPU works.

    :raises SimulationError: the file has no place for a state, or the state does not fit
    """
    data = text.encode()
    if len(data) > SLOT_SIZE - _HEADER.size:
        raise SimulationError(
            f"the machine's state has {len(data)} bytes, more than {SLOT_SIZE - _HEADER.size}"
        )
    with Path(library).open("r+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        slot, generation, _dummy = _newest(file.fileno(), library)
        before = os.fstat(file.fileno())
        start = before.st_size - REGION_SIZE + (1 - slot) * SLOT_SIZE
        os.pwrite(file.fileno(), data, start + _HEADER.size)
        os.fsync(file.fileno())
        os.pwrite(
            file.fileno(), _HEADER.pack(_MAGIC, generation + 1, len(data), zlib.crc32(data)), start
        )
        os.utime(file.fileno(), ns=(before.st_atime_ns, before.st_mtime_ns))
        os.fsync(file.fileno())


def _newest(file: int, library: Path) -> tuple[int, int, bytes]:
    """Number and text of the whole slot that was written last, and the generation to count on from.

    Readers see that something changed by the generations: a damaged slot's is not used again.
    """
    start = os.fstat(file).st_size - REGION_SIZE
    whole: list[tuple[int, int, bytes]] = []
    highest = 0
    for slot in (0, 1) if start >= 0 and start % ALIGNMENT == 0 else ():
        header = os.pread(file, _HEADER.size, start + slot * SLOT_SIZE)
        magic, generation, length, checksum = _HEADER.unpack(header)
        if magic != _MAGIC:
            continue
        highest = max(highest, generation)
        text = os.pread(file, length, start + slot * SLOT_SIZE + _HEADER.size)
        if zlib.crc32(text) == checksum:
            whole.append((generation, slot, text))
    if not whole:
        raise SimulationError(f"{library} is not a library of the simulated driver")
    _dummy, slot, text = max(whole)
    return slot, highest, text
