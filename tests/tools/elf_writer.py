# Copyright (c) 2026 the gpufleet.nvidia authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""ELF files with nothing but what a loader and driver discovery read, written as bytes."""

from __future__ import annotations

import os
import struct

BASE = 0x40000
"""Addresses in the files differ from offsets by this."""
MACHINES = {32: 3, 64: 62}


def elf(
    soname: str | None = None,
    needed: tuple[str, ...] = (),
    bits: int = 64,
    kernel_abi: tuple[int, int, int] | None = None,
    machine: int | None = None,
    size: int = 0,
) -> bytes:
    """Return a shared object with nothing but what the loader reads, padded to ``size``."""
    strings = b"\0"
    dynamic: list[tuple[int, int]] = []
    for tag, name in [(1, n) for n in needed] + ([(14, soname)] if soname is not None else []):
        dynamic.append((tag, len(strings)))
        strings += os.fsencode(name) + b"\0"
    note = (
        b"" if kernel_abi is None else struct.pack("<III4sIIII", 4, 16, 1, b"GNU\0", 0, *kernel_abi)
    )
    headers = 3 if note else 2
    header_size, entry_size, pair = (64, 56, "<qQ") if bits == 64 else (52, 32, "<iI")
    at_dynamic = header_size + headers * entry_size
    at_note = at_dynamic + (len(dynamic) + 3) * struct.calcsize(pair)
    at_strings = at_note + len(note)
    dynamic += [(5, BASE + at_strings), (10, len(strings)), (0, 0)]
    end = at_strings + len(strings)
    segments = [(1, 0, end), (2, at_dynamic, at_note - at_dynamic)]
    segments += [(4, at_note, len(note))] if note else []
    ident = b"\x7fELF" + bytes([bits // 32, 1, 1]) + bytes(9)
    form = "<HHIQQQIHHHHHH" if bits == 64 else "<HHIIIIIHHHHHH"
    data = ident + struct.pack(
        form,
        3,
        machine or MACHINES[bits],
        1,
        0,
        header_size,
        0,
        0,
        header_size,
        entry_size,
        headers,
        0,
        0,
        0,
    )
    for kind, offset, length in segments:
        if bits == 64:
            data += struct.pack(
                "<IIQQQQQQ", kind, 4, offset, BASE + offset, 0, length, length, 4096
            )
        else:
            data += struct.pack(
                "<IIIIIIII", kind, offset, BASE + offset, 0, length, length, 4, 4096
            )
    data += b"".join(struct.pack(pair, *item) for item in dynamic) + note + strings
    return data.ljust(size, b"\0")
